/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

static void setup(struct streams *f, uint64_t entries)
{
    struct oxbow_group_create_options opt = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, g(), &opt));
    streams_fill(f, "s", entries);
}

static struct oxbow_acked_prefix prefix(struct streams *f)
{
    struct oxbow_acked_prefix p;

    assert_ok(oxbow_group_acked_prefix(f->txn, g(), &p));
    return p;
}

static void ack(struct streams *f, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};

    assert_ok(oxbow_group_ack(f->txn, g(), &id, 1, NULL));
}

static void the_acked_prefix_ends_below_the_first_pending(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options four = {.count = 4};
    struct oxbow_acked_prefix p;

    assert_err(oxbow_group_acked_prefix(f->txn, g(), &p), OXBOW_ENOGROUP);
    setup(f, 6);
    assert_id(prefix(f).id, "0-0");
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), &four, &f->result));
    assert_id(prefix(f).id, "0-18446744073709551615");
    assert_true(prefix(f).blocked);
    assert_id(prefix(f).blocked_by, "1-0");
    ack(f, 2);
    assert_id(prefix(f).blocked_by, "1-0");
    ack(f, 1);
    assert_id(prefix(f).id, "2-18446744073709551615");
    streams_commit(f);
    rig_pass_ms(&f->rig, 1234);
    streams_begin(f);
    assert_id(prefix(f).blocked_by, "3-0");
    assert_int_equal(prefix(f).blocked_ms, 1234);
    assert_int_equal(prefix(f).blocked_deliveries, 1);
    ack(f, 3);
    ack(f, 4);
    assert_id(prefix(f).id, "4-0"); /* not 6: the last two were not delivered */
    assert_false(prefix(f).blocked);
}

static void a_forced_claim_ahead_does_not_raise_the_prefix(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {5, 0};
    struct oxbow_claim_options opt = {.ids = &id, .count = 1, .force = true};

    setup(f, 6);
    assert_ok(oxbow_group_claim(f->txn, g(), BYTES("c"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    assert_id(prefix(f).id, "0-0");
    assert_id(prefix(f).blocked_by, "5-0");
}

static void consumers_tell_when_they_were_seen_and_active(void **state)
{
    struct streams *f = *state;
    struct oxbow_consumer_info info;

    setup(f, 1);
    assert_ok(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), NULL));
    streams_commit(f);
    rig_pass_ms(&f->rig, 70);
    streams_begin(f);
    assert_ok(oxbow_group_consumer_info(f->txn, g(), BYTES("c"), &info));
    assert_int_equal(info.idle_ms, 70);
    assert_false(info.has_active);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result));
    streams_commit(f);
    rig_pass_ms(&f->rig, 30);
    streams_begin(f);
    assert_ok(oxbow_group_consumer_info(f->txn, g(), BYTES("c"), &info));
    assert_int_equal(info.idle_ms, 30);
    assert_true(info.has_active);
    assert_int_equal(info.inactive_ms, 30);
    assert_int_equal(info.pending, 1);
}

static void a_filter_without_room_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX};
    struct oxbow_pending row;
    size_t count;

    setup(f, 1);
    assert_err(oxbow_group_pending(f->txn, g(), &filter, &f->result, &row, &count), OXBOW_EINVAL);
    filter.count = 1;
    filter.min_idle_ms = UINT64_MAX;
    assert_ok(oxbow_group_pending(f->txn, g(), &filter, &f->result, &row, &count));
    assert_int_equal(count, 0);
}

static void the_lag_is_what_is_left_to_read(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options two = {.count = 2};
    struct oxbow_group_info info;
    struct oxbow_id id = {4, 0};

    setup(f, 5);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), &two, &f->result));
    assert_ok(oxbow_group_info(f->txn, g(), &info));
    assert_true(info.has_lag);
    assert_int_equal(info.lag, 3);
    assert_int_equal(info.entries_read, 2);
    /* A deletion ahead makes it unknown. */
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_ok(oxbow_group_info(f->txn, g(), &info));
    assert_false(info.has_lag);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(the_acked_prefix_ends_below_the_first_pending),
        T(a_forced_claim_ahead_does_not_raise_the_prefix),
        T(consumers_tell_when_they_were_seen_and_active),
        T(a_filter_without_room_is_refused),
        T(the_lag_is_what_is_left_to_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
