/* SPDX-License-Identifier: Apache-2.0 */
/* What was not acked in time comes back; limits, turns, waiting. */
#include "tests/queue/group_fixture.h"

#define VIS ((struct oxbow_group_options){.visibility_ms = 1000})

static void what_is_not_acked_in_time_is_delivered_again(void **state)
{
    struct streams *f = *state;

    setup(f, &VIS, 3);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1} 2-0{f=2} 3-0{f=3}");
    assert_int_equal(ack(f, 2), 1);
    pass(f, 999);
    assert_string_equal(take(f, "eve", 0), "");
    pass(f, 1);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 3-0{f=3}");
    assert_string_equal(pending(f), "1-0:eve:2 3-0:eve:2");
    assert_string_equal(take(f, "bob", 0), "");
    pass(f, 1000);
    assert_string_equal(take(f, "bob", 1), "1-0{f=1}");
    assert_string_equal(take(f, "eve", 1), "3-0{f=3}");
    assert_string_equal(pending(f), "1-0:bob:3 3-0:eve:3");
    assert_int_equal(status(f).redelivered, 4);
}

static void counts_of_consumers_follow_what_changes_hands(void **state)
{
    struct streams *f = *state;
    struct oxbow_consumer_info info;

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    pass(f, 1000);
    take(f, "eve", 2);
    assert_ok(oxbow_group_consumer_info(f->txn, the_group(), BYTES("bob"), &info));
    assert_int_equal(info.pending, 1);
    assert_ok(oxbow_group_consumer_info(f->txn, the_group(), BYTES("eve"), &info));
    assert_int_equal(info.pending, 2);
}

static void a_reopened_store_knows_what_is_due(void **state)
{
    struct streams *f = *state;

    setup(f, &VIS, 300);
    take(f, "bob", 0);
    pass(f, 400);
    streams_reopen(f);
    assert_string_equal(take(f, "eve", 1), "");
    pass(f, 600);
    assert_string_equal(take(f, "eve", 2), "1-0{f=1} 2-0{f=2}");
    assert_true(status(f).has_due);
    take(f, "eve", 0);
    assert_int_equal(f->result.entry_count, 298);
    assert_int_equal(status(f).due_ms, 1000);
}

static void a_jump_of_the_wall_clock_brings_nothing_back(void **state)
{
    struct streams *f = *state;

    setup(f, &VIS, 2);
    take(f, "bob", 0);
    streams_commit(f);
    f->rig.wall_ms += (uint64_t)56 * 365 * 86400 * 1000;
    streams_begin(f);
    assert_string_equal(take(f, "eve", 0), "");
    streams_commit(f);
    f->rig.wall_ms = 1000;
    streams_begin(f);
    assert_string_equal(take(f, "eve", 0), "");
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2}");
}

static void a_group_without_options_waits_for_ever(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options create = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    streams_fill(f, "s", 1);
    take(f, "bob", 0);
    pass(f, (uint64_t)365 * 86400 * 1000);
    assert_string_equal(take(f, "eve", 0), "");
    assert_false(status(f).has_due);
}

static void half_of_a_read_is_for_new_entries(void **state)
{
    struct streams *f = *state;

    setup(f, &VIS, 4);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_ok(streams_put(f, "s", ID(5, 0), "5"));
    assert_ok(streams_put(f, "s", ID(6, 0), "6"));
    assert_ok(streams_put(f, "s", ID(7, 0), "7"));
    assert_string_equal(take(f, "eve", 3), "1-0{f=1} 2-0{f=2} 5-0{f=5}");
    assert_string_equal(take(f, "eve", 9), "3-0{f=3} 4-0{f=4} 6-0{f=6} 7-0{f=7}");
}

static void reads_of_one_take_turns(void **state)
{
    struct streams *f = *state;

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_ok(streams_put(f, "s", ID(5, 0), "5"));
    assert_ok(streams_put(f, "s", ID(6, 0), "6"));
    assert_string_equal(take(f, "eve", 1), "1-0{f=1}");
    assert_string_equal(take(f, "eve", 1), "5-0{f=5}");
    streams_reopen(f);
    assert_string_equal(take(f, "eve", 1), "2-0{f=2}");
    assert_string_equal(take(f, "eve", 1), "6-0{f=6}");
    assert_string_equal(take(f, "eve", 1), "3-0{f=3}");
}

static void new_ones_that_are_all_deleted_leave_room_for_failed_ones(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {5, 0};

    setup(f, &VIS, 2);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_ok(streams_put(f, "s", id, "5"));
    assert_string_equal(take(f, "eve", 1), "1-0{f=1}");
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_string_equal(take(f, "eve", 1), "2-0{f=2}");
}

static void a_failed_entry_that_was_deleted_is_pending_no_more(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {1, 0};

    setup(f, &VIS, 2);
    take(f, "bob", 0);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 0), "2-0{f=2}");
    assert_string_equal(pending(f), "2-0:eve:2");
}

static void a_read_of_limited_bytes_leaves_the_rest_due(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.bytes = 3};

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("eve"), &opt, &f->result));
    assert_string_equal(streams_entries(&f->result), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(take(f, "eve", 0), "3-0{f=3}");
}

static void history_and_claims_give_more_time(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {2, 0};
    struct oxbow_group_read_options history = {.history = true, .count = 1};
    struct oxbow_claim_options claim = {.ids = &id, .count = 1, .just_id = true};

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    pass(f, 600);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), &history, &f->result));
    assert_ok(oxbow_group_claim(f->txn, the_group(), BYTES("bob"), &claim, &f->result));
    pass(f, 400);
    assert_string_equal(take(f, "eve", 0), "3-0{f=3}");
    pass(f, 600);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(pending(f), "1-0:eve:3 2-0:eve:2 3-0:eve:2");
}

static void a_claim_that_makes_an_entry_old_makes_it_due(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {2, 0};
    struct oxbow_claim_options claim = {
        .ids = &id, .count = 1, .has_idle = true, .idle_ms = 900, .just_id = true};

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    assert_ok(oxbow_group_claim(f->txn, the_group(), BYTES("bob"), &claim, &f->result));
    pass(f, 100);
    assert_string_equal(take(f, "eve", 0), "2-0{f=2}");
}

static void a_failed_entry_rests_longer_each_time(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {
        .visibility_ms = 1000, .retry_base_ms = 100, .retry_max_ms = 300};
    uint64_t rest[] = {100, 200, 300, 300};
    size_t i;

    setup(f, &opt, 1);
    take(f, "bob", 0);
    for (i = 0; i < 4; i++) {
        pass(f, 1000 + rest[i] - 1);
        assert_string_equal(take(f, "bob", 0), "");
        pass(f, 1);
        assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
    }
}

static void a_last_delivery_is_given_alone(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {
        .visibility_ms = 1000, .max_deliveries = 3, .dead_letter = BYTES("dead")};

    setup(f, &opt, 3);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1} 2-0{f=2} 3-0{f=3}");
    pass(f, 1000);
    assert_ok(streams_put(f, "s", ID(4, 0), "4"));
    assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
    assert_string_equal(take(f, "bob", 0), "2-0{f=2}");
    assert_int_equal(ack(f, 2), 1);
    assert_string_equal(take(f, "bob", 0), "3-0{f=3}");
    assert_string_equal(take(f, "bob", 0), "4-0{f=4}");
}

static void poison_does_not_block_others(void **state)
{
    struct streams *f = *state;
    uint64_t i, seen = 0;

    /* No limit and no rest: the worst of options. */
    setup(f, &(struct oxbow_group_options){.visibility_ms = 1}, 40);
    take(f, "bob", 20);
    for (i = 0; i < 40; i++) {
        pass(f, 1);
        take(f, "bob", 1);
        assert_int_equal(f->result.entry_count, 1);
        seen += f->result.entries[0].id.ms > 20;
    }
    assert_int_equal(seen, 20);
}

static void a_consumer_gets_no_more_than_it_may_have_pending(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 1000, .prefetch = 2};

    setup(f, &opt, 6);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(take(f, "bob", 0), "");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "bob", 5), "3-0{f=3}");
    assert_string_equal(take(f, "eve", 1), "4-0{f=4}");
    pass(f, 1000);
    /* Bob is full, but what he failed to ack is his to try again. */
    assert_string_equal(take(f, "bob", 0), "2-0{f=2} 3-0{f=3}");
    assert_string_equal(take(f, "bob", 0), "");
    assert_string_equal(take(f, "eve", 0), "5-0{f=5}");
    assert_string_equal(take(f, "eve", 0), "4-0{f=4}");
    assert_string_equal(take(f, "eve", 0), "");
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 0), "4-0{f=4} 5-0{f=5}");
    assert_string_equal(pending(f), "2-0:bob:2 3-0:bob:2 4-0:eve:3 5-0:eve:2");
}

static void a_deleted_consumer_gives_back_what_it_had(void **state)
{
    struct streams *f = *state;
    uint64_t had;

    setup(f, &VIS, 3);
    take(f, "bob", 2);
    assert_ok(oxbow_group_consumer_delete(f->txn, the_group(), BYTES("bob"), &had));
    assert_int_equal(had, 2);
    assert_string_equal(pending(f), "1-0::1 2-0::1");
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2} 3-0{f=3}");
    assert_string_equal(pending(f), "1-0:eve:2 2-0:eve:2 3-0:eve:1");
}

static void a_poll_that_finds_nothing_writes_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before, after;

    setup(f, &VIS, 3);
    take(f, "bob", 0);
    pass(f, 500);
    take(f, "eve", 0);
    streams_commit(f);
    oxbow_stat(f->rig.db, &before);
    streams_begin(f);
    assert_string_equal(take(f, "eve", 0), "");
    streams_commit(f);
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.lsn_applied, before.lsn_applied);
    streams_begin(f);
}

static void many_chunks_come_back_in_order(void **state)
{
    struct streams *f = *state;
    uint64_t next = 1;

    setup(f, &VIS, 5000);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 5000);
    pass(f, 1000);
    while (next <= 5000) {
        size_t i;

        take(f, "eve", 700);
        assert_true(f->result.entry_count > 0);
        for (i = 0; i < f->result.entry_count; i++) {
            assert_int_equal(f->result.entries[i].id.ms, next++);
        }
    }
    assert_string_equal(take(f, "eve", 0), "");
    assert_int_equal(status(f).redelivered, 5000);
    for (next = 1; next <= 5000; next++) {
        assert_int_equal(ack(f, next), 1);
    }
    pass(f, 5000);
    assert_string_equal(take(f, "eve", 0), "");
    assert_false(status(f).has_due);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(what_is_not_acked_in_time_is_delivered_again),
        TEST(counts_of_consumers_follow_what_changes_hands),
        TEST(a_reopened_store_knows_what_is_due),
        TEST(a_jump_of_the_wall_clock_brings_nothing_back),
        TEST(a_group_without_options_waits_for_ever),
        TEST(half_of_a_read_is_for_new_entries),
        TEST(reads_of_one_take_turns),
        TEST(new_ones_that_are_all_deleted_leave_room_for_failed_ones),
        TEST(a_failed_entry_that_was_deleted_is_pending_no_more),
        TEST(a_read_of_limited_bytes_leaves_the_rest_due),
        TEST(history_and_claims_give_more_time),
        TEST(a_claim_that_makes_an_entry_old_makes_it_due),
        TEST(a_failed_entry_rests_longer_each_time),
        TEST(a_last_delivery_is_given_alone),
        TEST(poison_does_not_block_others),
        TEST(a_consumer_gets_no_more_than_it_may_have_pending),
        TEST(a_deleted_consumer_gives_back_what_it_had),
        TEST(a_poll_that_finds_nothing_writes_nothing),
        TEST(many_chunks_come_back_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
