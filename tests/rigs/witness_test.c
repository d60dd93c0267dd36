/* SPDX-License-Identifier: Apache-2.0 */
/* That the witness, the plan and the model see what they are there to see. */
#include "tests/rigs/model.h"
#include "tests/rigs/witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void opened(struct witness *w, bool journal)
{
    witness_take(w, &(struct record){.kind = RECORD_OPENED, .n = journal, .begin_us = 10000});
}

static void did(struct witness *w, enum record_policy policy, uint32_t thread, uint64_t lsn)
{
    struct record r = {.policy = policy, .thread = thread, .lsn = lsn};

    r.kind = policy == POLICY_ALWAYS ? RECORD_DURABLE : RECORD_APPLIED;
    r.n = w->applied[thread] + 1;
    r.begin_us = lsn * 1000;
    r.end_us = lsn * 1000 + 500;
    witness_take(w, &r);
}

static bool agrees(const struct witness *w, uint64_t first, uint64_t second, const char *about)
{
    const uint64_t found[THREADS_MAX] = {first, second};
    char why[300] = "";
    bool yes = witness_agrees(w, found, why, sizeof why);

    if (!yes && strstr(why, about) == NULL)
        fail_msg("it complains of something else: %s", why);
    return yes;
}

static void a_durable_operation_must_be_there(void **state)
{
    struct witness w = {0};

    (void)state;
    opened(&w, true);
    did(&w, POLICY_ALWAYS, 0, 1);
    did(&w, POLICY_NOWAIT, 0, 2);
    assert_true(agrees(&w, 1, 0, ""));
    assert_true(agrees(&w, 2, 0, ""));
    assert_true(agrees(&w, 3, 0, "")); /* under way, and nobody was told */
    assert_false(agrees(&w, 0, 0, "acknowledged 1"));
    assert_false(agrees(&w, 4, 0, "applied 2"));
    witness_take(&w, &(struct record){.kind = RECORD_REACHED, .n = 2});
    assert_false(agrees(&w, 1, 0, "acknowledged 2"));
    witness_free(&w);
}

static void what_is_lost_is_no_hole(void **state)
{
    struct witness w = {0};

    (void)state;
    opened(&w, true);
    did(&w, POLICY_NOWAIT, 0, 1);
    did(&w, POLICY_NOWAIT, 1, 2);
    did(&w, POLICY_NOWAIT, 0, 3);
    assert_true(agrees(&w, 2, 1, ""));
    assert_true(agrees(&w, 1, 1, ""));
    assert_true(agrees(&w, 1, 0, ""));
    assert_false(agrees(&w, 2, 0, "a hole: operation 1 of thread 1"));
    assert_false(agrees(&w, 0, 1, "a hole: operation 1 of thread 0"));
    witness_free(&w);
}

static void an_interval_loses_no_more_than_one(void **state)
{
    struct witness w = {0};

    (void)state;
    opened(&w, true);
    for (uint64_t lsn = 1; lsn <= 12; lsn++)
        did(&w, POLICY_INTERVAL, 0, lsn);
    /* The newest began at 12,000 us; an operation ends half a millisecond after it began. */
    assert_true(agrees(&w, 1, 0, ""));
    assert_false(agrees(&w, 0, 0, "interval: what is lost was acknowledged over 10500 us"));
    witness_free(&w);
}

static void a_kill_takes_nothing_from_a_journal(void **state)
{
    struct witness w = {.page_cache_survives = true};

    (void)state;
    opened(&w, true);
    did(&w, POLICY_NONE, 0, 1);
    did(&w, POLICY_NOWAIT, 1, 2);
    assert_true(agrees(&w, 1, 0, ""));
    assert_false(agrees(&w, 0, 0, "acknowledged 1"));
    witness_free(&w);
    w = (struct witness){.page_cache_survives = true};
    opened(&w, false);
    did(&w, POLICY_INTERVAL, 0, 1);
    assert_true(agrees(&w, 0, 0, ""));
    witness_free(&w);
}

static void the_next_life_begins_where_it_must(void **state)
{
    struct witness w = {0};

    (void)state;
    opened(&w, true);
    did(&w, POLICY_ALWAYS, 0, 1);
    did(&w, POLICY_ALWAYS, 0, 2);
    opened(&w, true);
    witness_take(&w, &(struct record){.kind = RECORD_FOUND, .n = 1});
    assert_false(agrees(&w, 2, 0, "thread 0 was found at 1, durable 2"));
    witness_free(&w);
    w = (struct witness){0};
    opened(&w, true);
    did(&w, POLICY_NOWAIT, 0, 1);
    opened(&w, true);
    witness_take(&w, &(struct record){.kind = RECORD_FOUND, .n = 0});
    witness_take(&w, &(struct record){.kind = RECORD_CLOSED});
    assert_true(agrees(&w, 0, 0, "")); /* a close makes durable what is there, not what was lost */
    witness_free(&w);
}

static void a_record_is_whole_or_none(void **state)
{
    const struct record r = {.kind = RECORD_DURABLE, .thread = 3, .n = 7, .lsn = 9, .end_us = 11};
    uint8_t bytes[RECORD_BYTES];
    struct record back;

    (void)state;
    record_encode(&r, bytes);
    assert_true(record_decode(bytes, &back));
    assert_true(back.kind == r.kind && back.thread == 3 && back.n == 7 && back.lsn == 9);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 0x10;
        assert_false(record_decode(bytes, &back));
        bytes[i] ^= 0x10;
    }
}

static void a_value_tells_whether_it_is_the_one_that_was_written(void **state)
{
    uint8_t *bytes = malloc(VALUE_MAX);
    struct token token;

    (void)state;
    assert_non_null(bytes);
    for (uint64_t n = 1; n < 200; n++) {
        size_t len = plan_value(5, (struct token){2, 0, n}, bytes);
        assert_true(plan_is_value(5, bytes, len, &token) && token.n == n && token.thread == 2);
        assert_false(plan_is_value(6, bytes, len, &token));
        assert_false(plan_is_value(5, bytes, len - 1, &token));
        bytes[n % len] ^= 1;
        assert_false(plan_is_value(5, bytes, len, &token));
    }
    free(bytes);
}

/* The thread's first shared operation of that kind. */
static uint64_t first_of(enum op_kind kind, uint64_t *before)
{
    for (uint64_t n = 1;; n++) {
        struct op op = plan_op(1, 0, n);
        if (op.kind == kind)
            return n;
        if (op_is_shared(op.kind))
            *before = n;
    }
}

static void the_log_must_be_possible(void **state)
{
    uint64_t before = 0, found[THREADS_MAX] = {0};
    uint64_t n = first_of(OP_PRODUCE, &before);
    struct model m;
    char row[64], why[200];

    (void)state;
    found[0] = n;
    model_init(&m, 1, found);
    m.logged[0] = before;
    assert_false(model_log_ends(&m, why, sizeof why));
    snprintf(row, sizeof row, "0 %llu M 1", (unsigned long long)n);
    assert_false(model_log(&m, row, strlen(row), why, sizeof why)); /* another kind */
    m.logged[0] = before;
    snprintf(row, sizeof row, "0 %llu P", (unsigned long long)n + 1);
    assert_false(model_log(&m, row, strlen(row), why, sizeof why)); /* out of order */
    snprintf(row, sizeof row, "0 %llu P", (unsigned long long)n);
    assert_true(model_log(&m, row, strlen(row), why, sizeof why));
    assert_int_equal(m.work.count, 1);
    assert_true(model_log_ends(&m, why, sizeof why));
    assert_false(model_log(&m, row, strlen(row), why, sizeof why)); /* twice */
    model_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_durable_operation_must_be_there),
        cmocka_unit_test(what_is_lost_is_no_hole),
        cmocka_unit_test(an_interval_loses_no_more_than_one),
        cmocka_unit_test(a_kill_takes_nothing_from_a_journal),
        cmocka_unit_test(the_next_life_begins_where_it_must),
        cmocka_unit_test(a_record_is_whole_or_none),
        cmocka_unit_test(a_value_tells_whether_it_is_the_one_that_was_written),
        cmocka_unit_test(the_log_must_be_possible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
