/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose directory can be taken away and given back, and a place for its stand-in. The port's
 * faults are at the test's disposal.
 */
#ifndef OXBOW_TESTS_QUEUE_STAND_IN_FIXTURE_H
#define OXBOW_TESTS_QUEUE_STAND_IN_FIXTURE_H

#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/stream.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct stand_rig {
    char base[64];
    char dir[80];    /* of the store */
    char away[80];   /* where it is when it is gone */
    char memory[80]; /* for the stand-in */
    struct fault f;
    struct oxbow_config config;
    struct oxbow *db;
};

static inline struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static inline void rig_open(struct stand_rig *r)
{
    assert_int_equal(oxbow_open(&r->config, &r->db), OXBOW_OK);
}

static inline void rig_close(struct stand_rig *r)
{
    assert_int_equal(oxbow_close(r->db), OXBOW_OK);
    r->db = NULL;
}

/* A store that is there and closed. */
static inline void rig_make(struct stand_rig *r)
{
    memset(r, 0, sizeof *r);
    snprintf(r->base, sizeof r->base, "/tmp/oxbow-stand-XXXXXX");
    assert_non_null(mkdtemp(r->base));
    snprintf(r->dir, sizeof r->dir, "%s/store", r->base);
    snprintf(r->away, sizeof r->away, "%s/away", r->base);
    snprintf(r->memory, sizeof r->memory, "%s/memory", r->base);
    fault_init(&r->f, oxbow_port_default());
    r->config = (struct oxbow_config){.dir = r->dir,
                                      .port = &r->f.port,
                                      .quota_bytes = 64u << 20,
                                      .on_failure = OXBOW_FAILURE_MEMORY,
                                      .memory_max = 4u << 20,
                                      .stand_in = r->memory};
    rig_open(r);
    rig_close(r);
    r->config.flags = OXBOW_OPEN_EXISTING;
}

static inline void rig_free(struct stand_rig *r)
{
    char command[128];

    fault_disarm(&r->f);
    if (r->db != NULL) {
        rig_close(r);
    }
    assert_int_equal(r->f.live_bytes, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", r->base);
    assert_int_equal(system(command), 0);
}

static inline void device_gone(struct stand_rig *r)
{
    assert_int_equal(rename(r->dir, r->away), 0);
}

static inline void device_back(struct stand_rig *r)
{
    assert_int_equal(rename(r->away, r->dir), 0);
}

static inline struct oxbow_stat stat_of(struct stand_rig *r)
{
    struct oxbow_stat stat;

    oxbow_stat(r->db, &stat);
    return stat;
}

static inline void rig_open_stand_in(struct stand_rig *r)
{
    rig_open(r);
    assert_true(stat_of(r).stand_in);
}

/* The store itself, with all that stand-ins had. */
static inline void rig_open_store(struct stand_rig *r)
{
    struct oxbow_recovery recovery;

    rig_open(r);
    assert_false(stat_of(r).in_memory);
    oxbow_recovery(r->db, &recovery);
    assert_int_equal(recovery.merge_left, OXBOW_OK);
}

static inline struct oxbow_txn *rig_txn(struct stand_rig *r)
{
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(r->db, NULL, &txn), OXBOW_OK);
    return txn;
}

/* Commits; in a stand-in that is said. */
static inline void rig_commit(struct stand_rig *r, struct oxbow_txn *txn)
{
    assert_int_equal(oxbow_txn_commit(txn, NULL),
                     stat_of(r).in_memory ? OXBOW_EVOLATILE : OXBOW_OK);
}

/* Appends numbers, one field `n` each, in one transaction. */
static inline void add_numbers(struct stand_rig *r, const char *key, int from, int count)
{
    struct oxbow_txn *txn = rig_txn(r);

    for (int i = from; i < from + count; i++) {
        char text[16];
        struct oxbow_field field = {bytes_of("n"), {text, 0}};

        field.value.len = (size_t)snprintf(text, sizeof text, "%d", i);
        assert_int_equal(oxbow_stream_add(txn, bytes_of(key), NULL, &field, 1, NULL), OXBOW_OK);
    }
    rig_commit(r, txn);
}

static inline void push_numbers(struct stand_rig *r, const char *key, int from, int count)
{
    struct oxbow_txn *txn = rig_txn(r);

    for (int i = from; i < from + count; i++) {
        char text[16];
        struct oxbow_bytes value = {text, (size_t)snprintf(text, sizeof text, "%d", i)};

        assert_int_equal(oxbow_list_push(txn, bytes_of(key), OXBOW_RIGHT, &value, 1, NULL),
                         OXBOW_OK);
    }
    rig_commit(r, txn);
}

static inline int number_of(struct oxbow_bytes value)
{
    char text[16] = "";

    assert_in_range(value.len, 1, sizeof text - 1);
    memcpy(text, value.data, value.len);
    return atoi(text);
}

/* The numbers of a stream or a list, in order; at most `max`. */
static inline int numbers_in(struct stand_rig *r, const char *key, bool list, int *out, int max)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn = rig_txn(r);
    int count = 0;

    assert_int_equal(list ? oxbow_list_range(txn, bytes_of(key), 0, -1, &result)
                          : oxbow_stream_range(txn, bytes_of(key), &all, &result),
                     OXBOW_OK);
    oxbow_txn_abort(txn);
    for (size_t i = 0; i < (list ? result.item_count : result.entry_count) && count < max; i++) {
        out[count++] = number_of(list ? result.items[i] : result.entries[i].fields[0].value);
    }
    oxbow_result_fini(&result);
    return count;
}

static inline void assert_numbers(struct stand_rig *r, const char *key, bool list, int from,
                                  int count)
{
    static int got[20000];
    int n = numbers_in(r, key, list, got, 20000);

    assert_int_equal(n, count);
    for (int i = 0; i < n; i++) {
        assert_int_equal(got[i], from + i);
    }
}

#endif
