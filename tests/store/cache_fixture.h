/* SPDX-License-Identifier: Apache-2.0 */
/* A store of whose databases two are caches, with a clock to turn. */
#ifndef OXBOW_TESTS_STORE_CACHE_FIXTURE_H
#define OXBOW_TESTS_STORE_CACHE_FIXTURE_H

#include "oxbow/cache.h"
#include "oxbow/string.h"
#include "tests/queue/stream_fixture.h"

#include <time.h>

enum { CACHE = 3, OTHER_CACHE = 4, LIMIT = 1 << 20 };

#define CACHE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, streams_teardown)

static inline int setup(void **state)
{
    struct streams *f;

    (void)streams_setup(state);
    f = *state;
    f->rig.config.cache_databases = 1u << CACHE | 1u << OTHER_CACHE;
    streams_reopen(f);
    return 0;
}

static inline void in(struct streams *f, uint32_t database)
{
    assert_ok(oxbow_txn_select(f->txn, database));
}

static inline enum oxbow_err set_in(struct streams *f, struct oxbow_bytes key, const char *value)
{
    return oxbow_string_set(f->txn, key, text_bytes(value));
}

static inline void assert_string(struct streams *f, struct oxbow_bytes key, const char *want)
{
    assert_ok(oxbow_string_get(f->txn, key, &f->result));
    assert_int_equal(f->result.items[0].len, strlen(want));
    assert_memory_equal(f->result.items[0].data, want, strlen(want));
}

/* Lets idle work have the store: the test's clock does not move by itself. */
static inline void nap(void)
{
    const struct timespec ms10 = {.tv_nsec = 10000000};

    (void)nanosleep(&ms10, NULL);
}

static inline bool there(struct streams *f, struct oxbow_bytes key)
{
    enum oxbow_type type;

    assert_ok(oxbow_key_type(f->txn, key, &type));
    return type != OXBOW_TYPE_NONE;
}

static inline uint64_t keys(struct streams *f)
{
    uint64_t n;

    assert_ok(oxbow_key_count(f->txn, &n));
    return n;
}

static inline struct oxbow_cache_stat cache_stat(struct streams *f)
{
    struct oxbow_cache_stat s;

    oxbow_cache_stat(f->txn, &s);
    return s;
}

static inline void limit(struct streams *f, enum oxbow_evict evict)
{
    const struct oxbow_cache_limit l = {.bytes = LIMIT, .evict = evict};

    streams_commit(f);
    assert_ok(oxbow_cache_limit_set(f->rig.db, &l));
    streams_begin(f);
    in(f, CACHE);
}

/* Opens with a database that is a cache now; the store was closed. */
static inline enum oxbow_err open_with(struct streams *f, uint32_t databases)
{
    struct oxbow_config config = f->rig.config;
    struct oxbow *db;
    enum oxbow_err err;

    config.cache_databases = databases;
    err = oxbow_open(&config, &db);
    return err == OXBOW_OK ? oxbow_close(db) : err;
}

#endif
