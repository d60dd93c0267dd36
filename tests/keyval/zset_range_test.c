/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges by index, score and bytes, in both directions, with limits; removing and storing them. */
#include "tests/keyval/zset_fixture.h"

#include "oxbow/forward.h"
#include "oxbow/list.h"

#include <math.h>

static void fill(struct streams *f)
{
    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 2, "b");
    zadd(f, "z", 0, 2, "c");
    zadd(f, "z", 0, 3, "d");
}

static void ranges_by_index_count_from_either_end(void **state)
{
    static const struct {
        int64_t start;
        int64_t stop;
        const char *up;
        const char *down;
    } rows[] = {
        {0, -1, "a=1 b=2 c=2 d=3", "d=3 c=2 b=2 a=1"},
        {0, 0, "a=1", "d=3"},
        {1, 2, "b=2 c=2", "c=2 b=2"},
        {-2, -1, "c=2 d=3", "b=2 a=1"},
        {-100, 1, "a=1 b=2", "d=3 c=2"},
        {3, 100, "d=3", "a=1"},
        {4, 100, "", ""},
        {2, 1, "", ""},
        {0, -5, "", ""},
        {INT64_MIN, INT64_MAX, "a=1 b=2 c=2 d=3", "d=3 c=2 b=2 a=1"},
        {INT64_MAX, INT64_MIN, "", ""},
    };
    struct streams *f = *state;

    assert_string_equal(zall(f, "none"), "");
    fill(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_zset_range r = {.start = rows[i].start, .stop = rows[i].stop};

        assert_string_equal(zrange(f, "z", &r), rows[i].up);
        r.reverse = true;
        assert_string_equal(zrange(f, "z", &r), rows[i].down);
    }
}

static void ranges_by_score_have_open_and_closed_ends_and_limits(void **state)
{
    static const struct {
        struct oxbow_zset_range r;
        const char *want;
    } rows[] = {
        {{.min = 2, .max = 3}, "b=2 c=2 d=3"},
        {{.min = 2, .max = 3, .low_open = true}, "d=3"},
        {{.min = 2, .max = 3, .high_open = true}, "b=2 c=2"},
        {{.min = 2, .max = 2}, "b=2 c=2"},
        {{.min = 2, .max = 2, .low_open = true}, ""},
        {{.min = 3, .max = 1}, ""},
        {{.min = -INFINITY, .max = INFINITY}, "a=1 b=2 c=2 d=3"},
        {{.min = -INFINITY, .max = INFINITY, .low_open = true, .high_open = true, .reverse = true},
         "d=3 c=2 b=2 a=1"},
        {{.min = 1.5, .max = 2.5, .reverse = true}, "c=2 b=2"},
        {{.min = 1, .max = 3, .limited = true, .offset = 1, .limit = 2}, "b=2 c=2"},
        {{.min = 1, .max = 3, .limited = true, .offset = 1, .limit = 2, .reverse = true},
         "c=2 b=2"},
        {{.min = 1, .max = 3, .limited = true, .offset = 3, .limit = 9, .reverse = true}, "a=1"},
        {{.min = 1, .max = 3, .limited = true, .offset = 2, .limit = -1}, "c=2 d=3"},
        {{.min = 1, .max = 3, .limited = true, .offset = 4, .limit = -1}, ""},
        {{.min = 1, .max = 3, .limited = true, .offset = 4, .limit = 1, .reverse = true}, ""},
        {{.min = 1, .max = 3, .limited = true, .offset = -1, .limit = 2}, ""},
        {{.min = 1, .max = 3, .limited = true, .limit = 0}, ""},
        {{.min = 4, .max = 9}, ""},
    };
    struct streams *f = *state;

    fill(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_zset_range r = rows[i].r;

        r.by = OXBOW_ZSET_BY_SCORE;
        assert_string_equal(zrange(f, "z", &r), rows[i].want);
    }
}

static void ranges_by_bytes_go_by_the_members(void **state)
{
    static const struct {
        struct oxbow_zset_range r;
        const char *want;
    } rows[] = {
        {{.from_lowest = true, .to_highest = true}, "=0 a=0 aa=0 b=0 c=0"},
        {{.from_lowest = true, .to_highest = true, .reverse = true}, "c=0 b=0 aa=0 a=0 =0"},
        {{.from = {"a", 1}, .to = {"b", 1}}, "a=0 aa=0 b=0"},
        {{.from = {"a", 1}, .to = {"b", 1}, .low_open = true, .high_open = true}, "aa=0"},
        {{.from = {"a", 1},
          .to = {"b", 1},
          .low_open = true,
          .limited = true,
          .offset = 1,
          .limit = 5},
         "b=0"},
        {{.from = {"a0", 2}, .to_highest = true}, "aa=0 b=0 c=0"},
        {{.from_lowest = true, .to = {"", 0}}, "=0"},
        {{.from_lowest = true, .to = {"", 0}, .high_open = true}, ""},
        {{.from_highest = true, .to_highest = true}, ""},
        {{.from_lowest = true, .to_lowest = true}, ""},
        {{.from = {"c", 1}, .to = {"a", 1}}, ""},
    };
    static const char *const members[] = {"b", "", "aa", "a", "c"};
    struct streams *f = *state;

    for (size_t i = 0; i < 5; i++) {
        zadd(f, "z", 0, 0, members[i]);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_zset_range r = rows[i].r;

        r.by = OXBOW_ZSET_BY_LEX;
        assert_string_equal(zrange(f, "z", &r), rows[i].want);
    }
}

static void ranges_are_removed(void **state)
{
    const struct oxbow_zset_range two = {.by = OXBOW_ZSET_BY_SCORE, .min = 2, .max = 2};
    struct streams *f = *state;
    uint64_t n;

    assert_ok(oxbow_zset_range_remove(f->txn, BYTES("z"), &two, &n));
    assert_int_equal(n, 0);
    fill(f);
    assert_ok(oxbow_zset_range_remove(f->txn, BYTES("z"), &two, &n));
    assert_int_equal(n, 2);
    assert_string_equal(zall(f, "z"), "a=1 d=3");
    zcheck(f, "z");
    assert_ok(oxbow_zset_range_remove(f->txn, BYTES("z"), &two, NULL));
    assert_ok(
        oxbow_zset_range_remove(f->txn, BYTES("z"), &(struct oxbow_zset_range){.stop = -1}, &n));
    assert_int_equal(n, 2);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

static void a_range_is_stored_over_whatever_was_there(void **state)
{
    const struct oxbow_zset_range two = {.start = 1, .stop = 2, .reverse = true};
    const struct oxbow_zset_range none = {.start = 10, .stop = 20};
    const struct oxbow_forward_options opt = {.key = text_bytes("fwd"), .type = OXBOW_TYPE_STREAM};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;

    fill(f);
    assert_ok(oxbow_list_push(f->txn, BYTES("to"), OXBOW_RIGHT, &element, 1, NULL));
    assert_ok(oxbow_zset_range_store(f->txn, BYTES("to"), BYTES("z"), &two, &n));
    assert_int_equal(n, 2);
    assert_string_equal(zall(f, "to"), "b=2 c=2");
    assert_string_equal(zall(f, "z"), "a=1 b=2 c=2 d=3");
    assert_ok(oxbow_zset_range_store(f->txn, BYTES("z"), BYTES("z"), &two, &n)); /* onto itself */
    assert_string_equal(zall(f, "z"), "b=2 c=2");
    zcheck(f, "z");
    assert_ok(oxbow_zset_range_store(f->txn, BYTES("to"), BYTES("z"), &none, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    assert_ok(streams_put(f, "fwd", ID(1, 1), "v"));
    assert_err(oxbow_zset_range_store(f->txn, BYTES("fwd"), BYTES("z"), &two, &n),
               OXBOW_EPROTECTED);
    streams_reopen(f);
    assert_string_equal(streams_all(f, "fwd"), "1-1{f=v}");
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
    static const struct oxbow_zset_range bad[] = {
        {.by = (enum oxbow_zset_by)3},
        {.limited = true},
        {.by = OXBOW_ZSET_BY_SCORE, .min = NAN},
        {.by = OXBOW_ZSET_BY_SCORE, .max = NAN},
        {.by = OXBOW_ZSET_BY_LEX, .from = {NULL, 1}},
        {.by = OXBOW_ZSET_BY_LEX, .to = {NULL, 1}},
    };
    struct streams *f = *state;
    uint64_t n;

    fill(f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_err(oxbow_zset_range(f->txn, BYTES("z"), &bad[i], &f->result), OXBOW_EINVAL);
        assert_err(oxbow_zset_range_count(f->txn, BYTES("z"), &bad[i], &n), OXBOW_EINVAL);
        assert_err(oxbow_zset_range_remove(f->txn, BYTES("z"), &bad[i], &n), OXBOW_EINVAL);
        assert_err(oxbow_zset_range_store(f->txn, BYTES("y"), BYTES("z"), &bad[i], &n),
                   OXBOW_EINVAL);
    }
    assert_err(oxbow_zset_range(f->txn, BYTES("z"), NULL, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_zset_range(f->txn, BYTES("z"), &(struct oxbow_zset_range){.stop = 1}, NULL),
               OXBOW_EINVAL);
    assert_string_equal(zall(f, "z"), "a=1 b=2 c=2 d=3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_by_index_count_from_either_end),
        TEST(ranges_by_score_have_open_and_closed_ends_and_limits),
        TEST(ranges_by_bytes_go_by_the_members),
        TEST(ranges_are_removed),
        TEST(a_range_is_stored_over_whatever_was_there),
        TEST(ranges_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
