/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a fresh directory for one test, and shorthands. What fails ends the test. */
#ifndef OXBOW_TESTS_QUEUE_FIXTURE_H
#define OXBOW_TESTS_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    char dir[64];
    struct oxbow_config config;
    struct oxbow *db;
    struct oxbow_txn *txn;
    struct oxbow_result result;
};

/* Opens a store with sync interval. `config` may be NULL; its dir is set here. */
void fixture_init(struct fixture *f, const struct oxbow_config *config);
/* Closes what is open and removes the directory. */
void fixture_fini(struct fixture *f);
void fixture_reopen(struct fixture *f);
/* Begins, commits, aborts f->txn. */
void fixture_begin(struct fixture *f);
void fixture_commit(struct fixture *f);
void fixture_abort(struct fixture *f);
/* Removes a directory and the files in it. */
void fixture_remove(const char *dir);

/* cmocka's set-up and tear-down with a default store and an open transaction. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

static inline struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

/* Items of the result, joined by a blank; valid until the next call. */
const char *fixture_items(const struct oxbow_result *result);

/* From OXBOW_SEED, else from the clock; printed. */
uint64_t fixture_seed(void);
/* A step of a small generator. */
uint64_t fixture_random(uint64_t *state);

#define assert_ok(expr)        assert_int_equal((expr), OXBOW_OK)
#define assert_err(expr, want) assert_string_equal(oxbow_err_name(expr), oxbow_err_name(want))
#define assert_items(f, want)  assert_string_equal(fixture_items(&(f)->result), (want))

#endif
