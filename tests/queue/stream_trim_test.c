/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes KEY = {"s", 1};

static uint64_t trim(struct streams *f, struct oxbow_stream_trim how)
{
    uint64_t removed = 99;

    assert_ok(oxbow_stream_trim(f->txn, KEY, &how, &removed));
    return removed;
}

static struct oxbow_stream_info info(struct streams *f)
{
    struct oxbow_stream_info info;

    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    return info;
}

static void trimming_by_length_keeps_the_newest(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 5);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 5}), 0);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 2}), 3);
    assert_string_equal(streams_all(f, "s"), "4-0{f=4} 5-0{f=5}");
    assert_id(info(f).recorded_first_id, "4-0");
    /* A trim is no deletion by id: the largest deleted one is not touched. */
    assert_id(info(f).max_deleted_id, "0-0");
    assert_int_equal(info(f).entries_added, 5);
}

static void trimming_by_id_removes_what_is_below(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 5);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MINID, .minid = ID(1, 0)}),
                     0);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MINID, .minid = ID(3, 1)}),
                     3);
    assert_string_equal(streams_all(f, "s"), "4-0{f=4} 5-0{f=5}");
}

static void a_stream_trimmed_to_nothing_stays_and_goes_on(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 3);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}), 3);
    assert_int_equal(info(f).length, 0);
    assert_id(info(f).last_id, "3-0");
    assert_id(info(f).recorded_first_id, "0-0");
    assert_err(streams_put(f, "s", ID(3, 0), "x"), OXBOW_EIDORDER);
    assert_ok(streams_put(f, "s", ID(4, 0), "x"));
    assert_string_equal(streams_all(f, "s"), "4-0{f=x}");
}

static void an_approximate_trim_removes_whole_chunks_alone(void **state)
{
    struct streams *f = *state;
    uint64_t chunks, removed;

    streams_fill(f, "s", 5000);
    chunks = info(f).chunks;
    assert_true(chunks > 5);
    removed =
        trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 2500, .approx = 1});
    assert_true(removed > 1000 && removed <= 2500);
    assert_int_equal(info(f).length, 5000 - removed);
    assert_true(info(f).chunks < chunks);
    assert_int_equal(
        trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 2500, .approx = 1}),
        0);
}

static void an_approximate_trim_stops_at_its_limit(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_trim how = {.by = OXBOW_TRIM_MAXLEN, .approx = true, .limit = 1};

    streams_fill(f, "s", 12000);
    assert_int_equal(trim(f, how), 0);
    how.limit = 0; /* Redis' 10,000 */
    assert_in_range(trim(f, how), 5000, 10000);
    how.limit = UINT64_MAX;
    assert_in_range(trim(f, how), 1, 7000);
    how.approx = false;
    assert_err(oxbow_stream_trim(f->txn, KEY, &how, NULL), OXBOW_EINVAL);
}

static void a_trim_in_steps_says_whether_there_is_more(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_trim how = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 10};
    uint64_t removed, total = 0;
    bool more = true;
    int steps = 0;

    streams_fill(f, "s", 3000);
    while (more) {
        assert_ok(oxbow_stream_trim_step(f->txn, KEY, &how, 100, &removed, &more));
        assert_true(removed < 1200);
        total += removed;
        steps++;
    }
    assert_int_equal(total, 2990);
    assert_true(steps >= 3);
}

static void an_add_can_trim(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_add_options opt = {.trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 2}};
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_id id;

    streams_fill(f, "s", 5);
    assert_ok(oxbow_stream_add(f->txn, KEY, &opt, &field, 1, &id));
    assert_int_equal(info(f).length, 2);
    opt.trim.maxlen = 0;
    assert_ok(oxbow_stream_add(f->txn, KEY, &opt, &field, 1, &id));
    assert_int_equal(info(f).length, 0);
    assert_id(info(f).last_id, streams_id(id));
}

static void trimming_what_is_not_there_removes_nothing(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;

    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}), 0);
    assert_ok(oxbow_key_type(f->txn, KEY, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(trimming_by_length_keeps_the_newest),
        T(trimming_by_id_removes_what_is_below),
        T(a_stream_trimmed_to_nothing_stays_and_goes_on),
        T(an_approximate_trim_removes_whole_chunks_alone),
        T(an_approximate_trim_stops_at_its_limit),
        T(a_trim_in_steps_says_whether_there_is_more),
        T(an_add_can_trim),
        T(trimming_what_is_not_there_removes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
