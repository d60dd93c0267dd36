/* SPDX-License-Identifier: Apache-2.0 */
/* Intersections, unions and differences of sets, given, stored and counted. */
#include "tests/keyval/set_fixture.h"

static const char *combined(struct streams *f, enum oxbow_set_op op, const char *a, const char *b,
                            const char *c)
{
    const struct oxbow_bytes keys[] = {text_bytes(a), text_bytes(b), text_bytes(c)};

    assert_ok(oxbow_set_combine(f->txn, op, keys, 3, &f->result));
    return letters(&f->result);
}

static void sets_are_combined(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        const char *c;
        const char *inter;
        const char *unite;
        const char *diff;
    } rows[] = {
        {"x", "y", "z", "c", "abcdefg", "a"}, {"x", "x", "x", "abc", "abc", ""},
        {"x", "none", "y", "", "abcde", "a"}, {"none", "x", "y", "", "abcde", ""},
        {"none", "none", "none", "", "", ""}, {"z", "x", "x", "c", "abcfg", "fg"},
    };
    struct streams *f = *state;

    sadd(f, "x", "abc");
    sadd(f, "y", "bcde");
    sadd(f, "z", "cfg");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(combined(f, OXBOW_SET_INTER, rows[i].a, rows[i].b, rows[i].c),
                            rows[i].inter);
        assert_string_equal(combined(f, OXBOW_SET_UNION, rows[i].a, rows[i].b, rows[i].c),
                            rows[i].unite);
        assert_string_equal(combined(f, OXBOW_SET_DIFF, rows[i].a, rows[i].b, rows[i].c),
                            rows[i].diff);
    }
}

static void what_is_combined_is_stored_over_whatever_was_there(void **state)
{
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("y")};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;

    sadd(f, "x", "abc");
    sadd(f, "y", "bcde");
    assert_ok(oxbow_list_push(f->txn, BYTES("to"), OXBOW_RIGHT, &element, 1, NULL));
    assert_ok(oxbow_set_combine_store(f->txn, BYTES("to"), OXBOW_SET_UNION, keys, 2, &n));
    assert_int_equal(n, 5);
    assert_string_equal(sall(f, "to"), "abcde");
    assert_ok(oxbow_set_combine_store(f->txn, BYTES("x"), OXBOW_SET_INTER, keys, 2, &n));
    assert_int_equal(n, 2);
    assert_string_equal(sall(f, "x"), "bc");
    assert_ok(oxbow_set_combine_store(f->txn, BYTES("to"), OXBOW_SET_DIFF, keys, 2, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 2);
}

static void an_intersection_is_counted_up_to_a_limit(void **state)
{
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("y")};
    struct streams *f = *state;
    uint64_t n;

    sadd(f, "x", "abcdef");
    sadd(f, "y", "bcdez");
    assert_ok(oxbow_set_inter_count(f->txn, keys, 2, 0, &n));
    assert_int_equal(n, 4);
    assert_ok(oxbow_set_inter_count(f->txn, keys, 2, 3, &n));
    assert_int_equal(n, 3);
    assert_ok(oxbow_set_inter_count(f->txn, keys, 2, 4, &n));
    assert_int_equal(n, 4);
    assert_ok(oxbow_set_inter_count(f->txn, keys, 2, 5, &n));
    assert_int_equal(n, 4);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    const struct oxbow_bytes keys[] = {BYTES("x"), BYTES("list"), {NULL, 1}};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;

    sadd(f, "x", "a");
    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &element, 1, NULL));
    assert_err(oxbow_set_combine(f->txn, OXBOW_SET_UNION, keys, 2, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_combine_store(f->txn, BYTES("x"), OXBOW_SET_UNION, keys, 2, &n),
               OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_inter_count(f->txn, keys, 2, 0, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_combine(f->txn, OXBOW_SET_UNION, keys + 2, 1, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_set_combine(f->txn, OXBOW_SET_UNION, keys, 0, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_set_combine(f->txn, (enum oxbow_set_op)3, keys, 1, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_set_combine(f->txn, OXBOW_SET_UNION, keys, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_set_inter_count(f->txn, keys, 1, 0, NULL), OXBOW_EINVAL);
    assert_string_equal(sall(f, "x"), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sets_are_combined),
        TEST(what_is_combined_is_stored_over_whatever_was_there),
        TEST(an_intersection_is_counted_up_to_a_limit),
        TEST(bad_input_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
