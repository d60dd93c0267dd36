/* SPDX-License-Identifier: Apache-2.0 */
/* A store under `interval` whose clock stands, and shorthands for keys and values. */
#ifndef OXBOW_TESTS_STORE_KV_FIXTURE_H
#define OXBOW_TESTS_STORE_KV_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/store/store.h"
#include "tests/support/rig.h"

#include <stdlib.h>
#include <string.h>

/* `config` may be NULL; its directory, port and policy are set here. */
static inline int kv_setup_with(void **state, const struct oxbow_config *config)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    if (config != NULL) {
        struct oxbow_config own = rig->config;

        rig->config = *config;
        rig->config.dir = own.dir;
        rig->config.port = own.port;
        rig->config.sync = own.sync;
    }
    rig->config.journal = OXBOW_JOURNAL_OFF; /* these tests look at tables and tree */
    rig_open(rig);
    *state = rig;
    return 0;
}

static inline int kv_setup(void **state)
{
    return kv_setup_with(state, NULL);
}

static inline int kv_teardown(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static inline void put(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes value)
{
    assert_int_equal(kv_put(txn, key, value), OXBOW_OK);
}

static inline void assert_bytes(struct oxbow_bytes got, struct oxbow_bytes want)
{
    assert_int_equal(got.len, want.len);
    if (want.len > 0) {
        assert_memory_equal(got.data, want.data, want.len);
    }
}

static inline void assert_value(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_bytes want)
{
    struct oxbow_bytes got;

    assert_int_equal(kv_get(txn, key, &got), OXBOW_OK);
    assert_bytes(got, want);
}

static inline void assert_absent(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct oxbow_bytes got;

    assert_int_equal(kv_get(txn, key, &got), OXBOW_ENOENT);
}

/* Begins a transaction below which what was committed last is the frozen table, not yet the tree's
 * for a reader: who has the turn keeps it from being retired. */
static inline struct oxbow_txn *begin_over_frozen(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    while (rig->db->frozen != NULL) {
        rig_abort(txn);
        txn = rig_begin(rig, 0);
    }
    assert_true(rig->db->active->dirty);
    store_lock(rig->db);
    turn_freeze(rig->db);
    store_unlock(rig->db);
    return txn;
}

#define KV_TEST(name) cmocka_unit_test_setup_teardown(name, kv_setup, kv_teardown)

#endif
