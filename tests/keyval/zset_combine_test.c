/* SPDX-License-Identifier: Apache-2.0 */
/* ZINTER, ZUNION and ZDIFF with weights and sums, of sorted sets and sets; results as redis-server 7.0
 * gives them. */
#include "tests/keyval/zset_fixture.h"

#include "oxbow/set.h"

#include <math.h>

static void sorted_sets_and_sets_are_combined_in_order(void **state)
{
    static const double weights[] = {2, -1, 10};
    static const struct oxbow_bytes keys[] = {{"x", 1}, {"y", 1}, {"s", 1}};
    static const struct {
        struct oxbow_zset_combination c;
        const char *want;
    } rows[] = {
        {{.op = OXBOW_ZSET_INTER, .count = 2}, "b=12 c=23"},
        {{.op = OXBOW_ZSET_INTER, .count = 3}, "b=13"},
        {{.op = OXBOW_ZSET_INTER, .count = 2, .sum = OXBOW_ZSET_LEAST}, "b=2 c=3"},
        {{.op = OXBOW_ZSET_INTER, .count = 2, .sum = OXBOW_ZSET_MOST}, "b=10 c=20"},
        {{.op = OXBOW_ZSET_UNION, .count = 2}, "a=1 b=12 c=23 d=30"},
        {{.op = OXBOW_ZSET_UNION, .count = 3}, "a=2 b=13 c=23 d=30"},
        {{.op = OXBOW_ZSET_UNION, .count = 3, .weights = weights}, "d=-30 c=-14 b=4 a=12"},
        {{.op = OXBOW_ZSET_UNION, .count = 3, .weights = weights, .sum = OXBOW_ZSET_MOST},
         "d=-30 c=6 a=10 b=10"},
        {{.op = OXBOW_ZSET_DIFF, .count = 1}, "a=1 b=2 c=3"},
        {{.op = OXBOW_ZSET_DIFF, .count = 2}, "a=1"},
        {{.op = OXBOW_ZSET_DIFF, .count = 3}, ""},
    };
    const struct oxbow_bytes members[] = {BYTES("a"), BYTES("b")};
    struct streams *f = *state;

    zadd(f, "x", 0, 1, "a");
    zadd(f, "x", 0, 2, "b");
    zadd(f, "x", 0, 3, "c");
    zadd(f, "y", 0, 10, "b");
    zadd(f, "y", 0, 20, "c");
    zadd(f, "y", 0, 30, "d");
    assert_ok(oxbow_set_add(f->txn, BYTES("s"), members, 2, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_zset_combination c = rows[i].c;
        uint64_t n;

        c.keys = keys;
        assert_ok(oxbow_zset_combine(f->txn, &c, &f->result));
        assert_string_equal(scored_text(&f->result), rows[i].want);
        assert_ok(oxbow_zset_combine_store(f->txn, BYTES("to"), &c, &n));
        assert_int_equal(n, f->result.item_count);
        assert_string_equal(zall(f, "to"), rows[i].want);
        zcheck(f, "to");
    }
}

static void what_would_be_no_number_is_zero(void **state)
{
    static const double weights[] = {1, 0};
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("y")};
    struct oxbow_zset_combination c = {.op = OXBOW_ZSET_UNION, .keys = keys, .count = 2};
    struct streams *f = *state;

    zadd(f, "x", 0, INFINITY, "a");
    zadd(f, "y", 0, -INFINITY, "a");
    zadd(f, "y", 0, INFINITY, "b");
    assert_ok(oxbow_zset_combine(f->txn, &c, &f->result));
    assert_string_equal(scored_text(&f->result), "a=0 b=inf");
    c.weights = weights;
    assert_ok(oxbow_zset_combine(f->txn, &c, &f->result));
    assert_string_equal(scored_text(&f->result), "b=0 a=inf");
}

static void a_result_may_replace_one_of_its_sources(void **state)
{
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("y")};
    const struct oxbow_zset_combination c = {.op = OXBOW_ZSET_DIFF, .keys = keys, .count = 2};
    struct streams *f = *state;
    uint64_t n;

    zadd(f, "x", 0, 1, "a");
    zadd(f, "x", 0, 2, "b");
    zadd(f, "y", 0, 3, "b");
    assert_ok(oxbow_zset_combine_store(f->txn, BYTES("y"), &c, &n));
    assert_string_equal(zall(f, "y"), "a=1");
    assert_ok(oxbow_zset_combine_store(
        f->txn, BYTES("x"),
        &(struct oxbow_zset_combination){.op = OXBOW_ZSET_DIFF,
                                         .keys = (const struct oxbow_bytes[]){keys[1], keys[0]},
                                         .count = 2},
        &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_zset_inter_count(f->txn, keys, 2, 0, &n));
    assert_int_equal(n, 0);
    zadd(f, "x", 0, 2, "a");
    assert_ok(oxbow_zset_inter_count(f->txn, keys, 2, 0, &n));
    assert_int_equal(n, 1);
}

static void bad_input_is_refused(void **state)
{
    static const double nan[] = {NAN};
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("list")};
    const struct oxbow_zset_combination bad[] = {
        {.op = (enum oxbow_zset_op)3, .keys = keys, .count = 1},
        {.sum = (enum oxbow_zset_sum)3, .keys = keys, .count = 1},
        {.keys = keys},
        {.count = 1},
        {.keys = keys, .count = 1, .weights = nan},
    };
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;

    zadd(f, "x", 0, 1, "a");
    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &element, 1, NULL));
    for (size_t i = 0; i < 5; i++) {
        assert_err(oxbow_zset_combine(f->txn, &bad[i], &f->result), OXBOW_EINVAL);
        assert_err(oxbow_zset_combine_store(f->txn, BYTES("x"), &bad[i], &n), OXBOW_EINVAL);
    }
    assert_err(oxbow_zset_combine(f->txn, NULL, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_zset_inter_count(f->txn, keys, 2, 0, &n), OXBOW_EWRONGTYPE);
    assert_string_equal(zall(f, "x"), "a=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sorted_sets_and_sets_are_combined_in_order),
        TEST(what_would_be_no_number_is_zero),
        TEST(a_result_may_replace_one_of_its_sources),
        TEST(bad_input_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
