/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests share that take keys away from a store and have it mended: chance, contents that tell their
 * number, transactions, and the keys that there are. The test says what number i looks like: `content`.
 */
#ifndef OXBOW_TESTS_QUEUE_MEND_FIXTURE_H
#define OXBOW_TESTS_QUEUE_MEND_FIXTURE_H

#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

#define KEYS_MAX 4000u

static char dir[SCRATCH_MAX];
static struct fault quiet; /* its port prints nothing and knows what memory is in use */
static uint64_t dice_state;

static struct oxbow_bytes content(uint32_t i);

/* From OXBOW_SEED, or the clock; says which. */
static inline void dice_begin(void)
{
    const char *seed = getenv("OXBOW_SEED");

    dice_state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)dice_state);
}

static inline uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

static inline struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

/* The number of a content that is whole. */
static inline uint32_t number_of(struct oxbow_bytes b)
{
    uint32_t i;

    assert_true(b.len >= 4);
    i = get_be32(b.data);
    assert_int_equal(b.len, content(i).len);
    assert_memory_equal(b.data, content(i).data, b.len);
    return i;
}

static inline enum oxbow_err no_mend(struct oxbow *db)
{
    (void)db;
    return OXBOW_OK;
}

static inline struct oxbow_txn *begin(struct oxbow *db)
{
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    return txn;
}

static inline void commit(struct oxbow_txn *txn)
{
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

struct key {
    uint8_t bytes[KV_KEY_MAX];
    uint8_t len;
};

static struct key keys[KEYS_MAX];
static size_t key_count;

/* All but the store's own. */
static inline void list_keys(struct oxbow_txn *txn)
{
    static const uint8_t first = KV_SPACE_CATALOG;
    struct oxbow_bytes key, value;
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    key_count = 0;
    enum oxbow_err err = kv_cursor_seek(&c, (struct oxbow_bytes){&first, 1}, &key, &value);
    for (; err == OXBOW_OK; err = kv_cursor_next(&c, &key, &value)) {
        assert_true(key_count < KEYS_MAX);
        memcpy(keys[key_count].bytes, key.data, key.len);
        keys[key_count++].len = (uint8_t)key.len;
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
}

#endif
