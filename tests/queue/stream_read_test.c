/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static const char *range(struct streams *f, struct oxbow_stream_range r)
{
    assert_ok(oxbow_stream_range(f->txn, BYTES("s"), &r, &f->result));
    return streams_entries(&f->result);
}

static void a_range_is_inclusive_in_both_directions(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 5);
    assert_string_equal(range(f, (struct oxbow_stream_range){.from = {2, 0}, .to = {3, 0}}),
                        "2-0{f=2} 3-0{f=3}");
    assert_string_equal(
        range(f, (struct oxbow_stream_range){.from = {2, 0}, .to = {3, 0}, .reverse = true}),
        "3-0{f=3} 2-0{f=2}");
    assert_string_equal(range(f, (struct oxbow_stream_range){.from = {2, 1}, .to = {2, 9}}), "");
    assert_string_equal(range(f, (struct oxbow_stream_range){.from = {4, 0}, .to = {3, 0}}), "");
    assert_string_equal(
        range(f, (struct oxbow_stream_range){.from = {0, 0}, .to = {9, 0}, .count = 1}),
        "1-0{f=1}");
    assert_string_equal(range(f,
                              (struct oxbow_stream_range){
                                  .from = {0, 0}, .to = {9, 0}, .count = 1, .reverse = true}),
                        "5-0{f=5}");
}

static void a_range_stops_at_its_bytes_but_never_before_one_entry(void **state)
{
    struct streams *f = *state;

    assert_ok(streams_put(f, "s", ID(1, 0), "0123456789"));
    assert_ok(streams_put(f, "s", ID(2, 0), "0123456789"));
    assert_ok(streams_put(f, "s", ID(3, 0), "0123456789"));
    range(f, (struct oxbow_stream_range){.from = {0, 0}, .to = {9, 0}, .bytes = 1});
    assert_int_equal(f->result.entry_count, 1);
    range(f, (struct oxbow_stream_range){.from = {0, 0}, .to = {9, 0}, .bytes = 25});
    assert_int_equal(f->result.entry_count, 2);
    range(f, (struct oxbow_stream_range){.from = {0, 0}, .to = {9, 0}, .bytes = 1000});
    assert_int_equal(f->result.entry_count, 3);
}

static void a_read_gives_what_came_after_an_id(void **state)
{
    struct streams *f = *state;

    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), OXBOW_ID_MIN, 0, &f->result));
    assert_int_equal(f->result.entry_count, 0);
    streams_fill(f, "s", 3);
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), ID(1, 0), 0, &f->result));
    assert_string_equal(streams_entries(&f->result), "2-0{f=2} 3-0{f=3}");
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), ID(1, 0), 1, &f->result));
    assert_string_equal(streams_entries(&f->result), "2-0{f=2}");
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), ID(3, 0), 0, &f->result));
    assert_int_equal(f->result.entry_count, 0);
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), OXBOW_ID_MAX, 0, &f->result));
    assert_int_equal(f->result.entry_count, 0);
}

static void information_needs_a_stream(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_info info;
    struct oxbow_stamp stamp;

    assert_err(oxbow_stream_info(f->txn, BYTES("s"), &info), OXBOW_ENOENT);
    assert_err(oxbow_stream_stamp(f->txn, BYTES("s"), ID(1, 0), &stamp), OXBOW_ENOENT);
    streams_fill(f, "s", 3);
    assert_ok(oxbow_stream_info(f->txn, BYTES("s"), &info));
    assert_int_equal(info.length, 3);
    assert_int_equal(info.entries_added, 3);
    assert_int_equal(info.groups, 0);
    assert_id(info.last_id, "3-0");
    assert_id(info.recorded_first_id, "1-0");
}

static void a_result_outlives_its_transaction(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 2);
    streams_all(f, "s");
    streams_reopen(f);
    assert_ok(streams_put(f, "s", ID(9, 0), "x"));
    assert_string_equal(streams_entries(&f->result), "1-0{f=1} 2-0{f=2}");
}

static void databases_keep_their_streams_apart(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 2);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_string_equal(streams_all(f, "s"), "");
    assert_ok(streams_put(f, "s", ID(1, 0), "other"));
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_string_equal(streams_all(f, "s"), "1-0{f=1} 2-0{f=2}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(a_range_is_inclusive_in_both_directions),
        T(a_range_stops_at_its_bytes_but_never_before_one_entry),
        T(a_read_gives_what_came_after_an_id),
        T(information_needs_a_stream),
        T(a_result_outlives_its_transaction),
        T(databases_keep_their_streams_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
