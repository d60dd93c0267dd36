/* SPDX-License-Identifier: Apache-2.0 */
/* A store with a clock to turn, an open transaction, and shorthands for streams and groups. */
#ifndef OXBOW_TESTS_QUEUE_STREAM_FIXTURE_H
#define OXBOW_TESTS_QUEUE_STREAM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/stream.h"
#include "tests/support/rig.h"

#include <stdio.h>
#include <string.h>

struct streams {
    struct rig rig;
    struct oxbow_txn *txn;
    struct oxbow_result result;
};

/* cmocka's set-up and tear-down: sync interval, a transaction open, wall clock 2026. */
int streams_setup(void **state);
int streams_teardown(void **state);
void streams_begin(struct streams *f);
void streams_commit(struct streams *f);
void streams_abort(struct streams *f);
/* Commits, opens the store again, begins. */
void streams_reopen(struct streams *f);

/* Adds {name: value} under an explicit id, `ms-seq`; gives what the add gave. */
enum oxbow_err streams_put(struct streams *f, const char *key, struct oxbow_id id,
                           const char *value);
/* Adds n entries ms-0, ms = 1..n, one field each. */
void streams_fill(struct streams *f, const char *key, uint64_t n);

/* "1-0{a=1,b=2} 2-0{} 3-0!" (deleted); valid until the next call. */
const char *streams_entries(const struct oxbow_result *result);
/* The whole stream so. */
const char *streams_all(struct streams *f, const char *key);
/* `ms-seq`, valid until the fourth call after it. */
const char *streams_id(struct oxbow_id id);

static inline struct oxbow_bytes text_bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static inline struct oxbow_group group_of(const char *key, const char *name)
{
    return (struct oxbow_group){text_bytes(key), text_bytes(name)};
}

#define ID(ms, seq)            ((struct oxbow_id){ms, seq})
#define assert_ok(expr)        assert_string_equal(oxbow_err_name(expr), "OXBOW_OK")
#define assert_err(expr, want) assert_string_equal(oxbow_err_name(expr), oxbow_err_name(want))
#define assert_id(id, want)    assert_string_equal(streams_id(id), want)

#endif
