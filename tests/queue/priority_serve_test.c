/* SPDX-License-Identifier: Apache-2.0 */
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "tests/queue/priority_fixture.h"

static void higher_priorities_go_first_and_each_in_order(void **state)
{
    struct streams *f = *state;

    priorities(f, 3, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0120120");
    assert_string_equal(take(f, "g", 1), "3");
    assert_string_equal(take(f, "g", 3), "6 2 5");
    put_all(f, 8, "02");
    assert_string_equal(take(f, "g", 0), "9 1 4 7 8");
    assert_string_equal(take(f, "g", 0), "");
}

static void plain_reads_show_the_order_of_ids(void **state)
{
    struct streams *f = *state;

    priorities(f, 2, 0, 0);
    put_all(f, 1, "0101");
    assert_string_equal(streams_all(f, "s"), "1-0{f=v} 2-0{f=v} 3-0{f=v} 4-0{f=v}");
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), ID(2, 0), 0, &f->result));
    assert_string_equal(streams_entries(&f->result), "3-0{f=v} 4-0{f=v}");
    assert_int_equal(f->result.entries[0].priority, 0);
    assert_int_equal(f->result.entries[1].priority, 1);
}

static void weights_share_a_read_and_go_on_over_reads(void **state)
{
    struct streams *f = *state;

    priorities(f, 2, OXBOW_PRIORITY_WEIGHT(0, 1) | OXBOW_PRIORITY_WEIGHT(1, 3), 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "00001111111");
    assert_string_equal(take(f, "g", 2), "5 6");
    streams_reopen(f);
    assert_string_equal(take(f, "g", 2), "7 1");
    assert_string_equal(take(f, "g", 6), "8 9 10 2 11 3");
    assert_string_equal(take(f, "g", 9), "4");
}

static void no_priority_starves_with_weights(void **state)
{
    struct streams *f = *state;
    uint64_t seen = 0;

    priorities(f, 8, OXBOW_PRIORITY_WEIGHT(7, 255), 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(try_put(f, 1, 0));
    for (uint64_t ms = 2; ms < 1000 && seen == 0; ms++) {
        assert_ok(try_put(f, ms, 7));
        seen = strcmp(take(f, "g", 1), "1") == 0 ? ms : 0;
    }
    assert_int_equal(seen, 257);
}

static void a_priority_that_waited_too_long_gives_one_entry_first(void **state)
{
    struct streams *f = *state;

    priorities(f, 3, 0, 5000);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0012222222");
    assert_string_equal(take(f, "g", 1), "4");
    streams_commit(f);
    rig_pass_ms(&f->rig, 4999);
    streams_begin(f);
    assert_string_equal(take(f, "g", 1), "5");
    streams_reopen(f);
    rig_pass_ms(&f->rig, 1);
    streams_commit(f);
    streams_begin(f);
    assert_string_equal(take(f, "g", 3), "1 3 6");
    assert_string_equal(take(f, "g", 1), "7");
    streams_commit(f);
    rig_pass_ms(&f->rig, 5000);
    streams_begin(f);
    assert_string_equal(take(f, "g", 2), "2 8");
}

static void a_group_from_before_goes_on(void **state)
{
    struct streams *f = *state;

    group_make_at(f, "g", OXBOW_ID_MIN);
    group_make_at(f, "new", ID(4, 0));
    put_all(f, 1, "00000");
    assert_string_equal(take(f, "g", 2), "1 2");
    priorities(f, 2, 0, 0);
    assert_string_equal(take(f, "g", 1), "3");
    put_all(f, 6, "0101");
    assert_string_equal(take(f, "g", 3), "7 9 4");
    assert_string_equal(take(f, "g", 0), "5 6 8");
    assert_string_equal(take(f, "new", 0), "7 9 5 6 8");
    assert_int_equal(prefix(f, "g"), 0);
}

static void fewer_priorities_leave_what_is_there(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_priorities info;

    priorities(f, 4, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0321");
    priorities(f, 2, 0, 0);
    assert_err(try_put(f, 5, 2), OXBOW_EINVAL);
    put_all(f, 5, "1");
    assert_ok(oxbow_stream_priorities(f->txn, BYTES("s"), &info));
    assert_int_equal(info.count, 2);
    assert_int_equal(info.entries[3], 1);
    assert_int_equal(info.entries[1], 2);
    assert_string_equal(take(f, "g", 3), "2 3 4");
    priorities(f, 0, 0, 0);
    assert_err(try_put(f, 6, 1), OXBOW_EINVAL);
    put_all(f, 6, "0");
    assert_string_equal(take(f, "g", 0), "5 1 6");
}

static void a_stream_that_ran_empty_without_them_has_none(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_trim none = {.by = OXBOW_TRIM_MAXLEN};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0101");
    assert_string_equal(take(f, "g", 1), "2");
    assert_ok(oxbow_policy_clear(f->txn, BYTES("s"), NULL));
    assert_ok(oxbow_stream_trim(f->txn, BYTES("s"), &none, NULL));
    put_all(f, 5, "00");
    assert_string_equal(take(f, "g", 1), "5");
    priorities(f, 2, 0, 0);
    put_all(f, 7, "01");
    assert_string_equal(take(f, "g", 0), "8 6 7");
}

static void the_acked_prefix_waits_for_lower_priorities(void **state)
{
    struct streams *f = *state;

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "1011");
    assert_string_equal(take(f, "g", 2), "1 3");
    assert_int_equal(done(f, "g", 3), 1);
    assert_int_equal(prefix(f, "g"), 0);
    assert_int_equal(done(f, "g", 1), 1);
    assert_int_equal(prefix(f, "g"), 1); /* 2 is still to be given */
    assert_string_equal(take(f, "g", 2), "4 2");
    assert_int_equal(done(f, "g", 4), 1);
    assert_int_equal(prefix(f, "g"), 1);
    assert_int_equal(done(f, "g", 2), 1);
    assert_int_equal(prefix(f, "g"), 4);
}

static void an_entry_that_is_deleted_before_it_is_given_blocks_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_id low = ID(1, 0);

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0111");
    assert_string_equal(take(f, "g", 1), "2");
    assert_int_equal(done(f, "g", 2), 1);
    assert_int_equal(prefix(f, "g"), 0);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &low, 1, NULL));
    assert_string_equal(take(f, "g", 1), "3");
    assert_int_equal(done(f, "g", 3), 1);
    assert_int_equal(prefix(f, "g"), 3);
}

static void only_what_all_groups_have_done_is_deleted(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[] = {ID(1, 0), ID(2, 0), ID(3, 0)};
    enum oxbow_delete_outcome out[3];

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0110");
    assert_string_equal(take(f, "g", 2), "2 3");
    assert_int_equal(done(f, "g", 2), 1);
    assert_ok(oxbow_stream_delete_refs(f->txn, BYTES("s"), OXBOW_REFS_ACKED, ids, 3, out));
    assert_int_equal(out[0], OXBOW_DELETE_REFERENCED); /* not given yet */
    assert_int_equal(out[1], OXBOW_DELETE_DONE);
    assert_int_equal(out[2], OXBOW_DELETE_REFERENCED); /* pending */
}

static void the_lag_counts_what_is_to_be_given(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_info info;

    priorities(f, 2, 0, 0);
    put_all(f, 1, "01010");
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(oxbow_group_info(f->txn, group_of("s", "g"), &info));
    assert_true(info.has_lag);
    assert_int_equal(info.lag, 5);
    assert_string_equal(take(f, "g", 3), "2 4 1");
    assert_ok(oxbow_group_info(f->txn, group_of("s", "g"), &info));
    assert_true(info.has_lag);
    assert_int_equal(info.lag, 2);
    assert_int_equal(info.last_id.ms, 2); /* all up to there was given */
    assert_string_equal(take(f, "g", 3), "3 5");
    assert_ok(oxbow_group_info(f->txn, group_of("s", "g"), &info));
    assert_int_equal(info.lag, 0);
}

static void a_group_that_is_set_back_is_given_it_again(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options back = {.id = ID(1, 0)};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0101");
    assert_string_equal(take(f, "g", 0), "2 4 1 3");
    assert_ok(oxbow_group_set_id(f->txn, group_of("s", "g"), &back));
    assert_string_equal(take(f, "g", 0), "2 4 3");
}

static void failed_entries_take_half_and_priorities_the_other(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 1000};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(oxbow_group_options_set(f->txn, group_of("s", "g"), &opt));
    put_all(f, 1, "0000");
    assert_string_equal(take(f, "g", 2), "1 2");
    streams_commit(f);
    rig_pass_ms(&f->rig, 1000);
    streams_begin(f);
    put_all(f, 5, "11");
    assert_string_equal(take(f, "g", 4), "1 2 5 6");
    assert_string_equal(take(f, "g", 4), "3 4");
    for (uint64_t ms = 1; ms <= 6; ms++) {
        assert_int_equal(done(f, "g", ms), 1);
    }
    assert_int_equal(prefix(f, "g"), 6);
}

static void a_group_with_keys_is_given_the_order_of_ids(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 1000};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0101");
    assert_string_equal(take(f, "g", 1), "2");
    assert_int_equal(done(f, "g", 2), 1);
    opt.key_field = BYTES("f");
    assert_ok(oxbow_group_options_set(f->txn, group_of("s", "g"), &opt));
    assert_string_equal(take(f, "g", 1), "1"); /* and 2 is not given again */
    assert_string_equal(take(f, "g", 9), "3 4");
    opt.key_field = BYTES("");
    assert_ok(oxbow_group_options_set(f->txn, group_of("s", "g"), &opt));
    put_all(f, 5, "01");
    assert_string_equal(take(f, "g", 9), "6 5");
}

static void reads_without_acks_are_served_likewise(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.count = 2, .noack = true};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0011");
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), BYTES("c"), &opt, &f->result));
    assert_string_equal(streams_entries(&f->result), "3-0{f=v} 4-0{f=v}");
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), BYTES("c"), &opt, &f->result));
    assert_string_equal(streams_entries(&f->result), "1-0{f=v} 2-0{f=v}");
    assert_int_equal(prefix(f, "g"), 4);
}

static void a_read_keeps_to_its_bytes(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.bytes = 5};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0101");
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), BYTES("c"), &opt, &f->result));
    assert_string_equal(streams_entries(&f->result), "2-0{f=v} 4-0{f=v}");
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), BYTES("c"), &opt, &f->result));
    assert_string_equal(streams_entries(&f->result), "1-0{f=v} 3-0{f=v}");
}

static void what_has_expired_is_passed_over(void **state)
{
    struct streams *f = *state;
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .id = {1, 0}, .priority = 1, .ttl_ms = 10};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(oxbow_stream_add(f->txn, BYTES("s"), &opt, &field, 1, NULL));
    put_all(f, 2, "01");
    streams_commit(f);
    rig_pass_ms(&f->rig, 10);
    streams_begin(f);
    assert_string_equal(take(f, "g", 9), "3 2");
    assert_int_equal(done(f, "g", 3) + done(f, "g", 2), 2);
    assert_int_equal(prefix(f, "g"), 3);
}

static void a_delayed_entry_keeps_its_priority(void **state)
{
    struct streams *f = *state;
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 10};
    struct oxbow_delay_id low, high, highest;
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;

    priorities(f, 3, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(oxbow_delay_add(f->txn, BYTES("s"), &when, &field, 1, &low));
    assert_ok(oxbow_delay_add(f->txn, BYTES("s"), &when, &field, 1, &high));
    assert_ok(oxbow_delay_add(f->txn, BYTES("s"), &when, &field, 1, &highest));
    assert_ok(oxbow_delay_set_priority(f->txn, high, 1));
    assert_ok(oxbow_delay_set_priority(f->txn, highest, 7));
    assert_err(oxbow_delay_set_priority(f->txn, high, 8), OXBOW_EINVAL);
    assert_ok(oxbow_delay_next(f->txn, &place, &info));
    assert_int_equal(info.priority, 0);
    assert_ok(oxbow_delay_next(f->txn, &place, &info));
    assert_int_equal(info.priority, 1);
    assert_ok(oxbow_delay_push(f->txn, BYTES("l"), OXBOW_LEFT, &when, BYTES("v"), &low));
    assert_err(oxbow_delay_set_priority(f->txn, low, 1), OXBOW_EINVAL);
    low.number = 77;
    assert_err(oxbow_delay_set_priority(f->txn, low, 1), OXBOW_ENOENT);
    streams_commit(f);
    rig_pass_ms(&f->rig, 10);
    streams_begin(f);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    (void)take(f, "g", 0);
    assert_int_equal(f->result.entry_count, 3);
    assert_int_equal(f->result.entries[0].priority, 2); /* the highest that there is */
    assert_int_equal(f->result.entries[1].priority, 1);
    assert_int_equal(f->result.entries[2].priority, 0);
}

static void what_was_dropped_is_told_once(void **state)
{
    struct streams *f = *state;
    struct oxbow_policy p = {
        .priorities = 2, .max_entries = 4, .on_full = OXBOW_POLICY_DROP_OLDEST};

    assert_ok(oxbow_policy_set(f->txn, BYTES("s"), &p));
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0011");
    assert_string_equal(take(f, "g", 1), "3");
    assert_int_equal(f->result.missed, 0);
    put_all(f, 5, "1"); /* 1 goes: the oldest, whatever its priority */
    assert_string_equal(take(f, "g", 1), "4");
    assert_int_equal(f->result.missed, 1);
    assert_string_equal(take(f, "g", 1), "5");
    assert_int_equal(f->result.missed, 0);
    assert_string_equal(take(f, "g", 1), "2");
    assert_int_equal(f->result.missed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(higher_priorities_go_first_and_each_in_order),
        TEST(plain_reads_show_the_order_of_ids),
        TEST(weights_share_a_read_and_go_on_over_reads),
        TEST(no_priority_starves_with_weights),
        TEST(a_priority_that_waited_too_long_gives_one_entry_first),
        TEST(a_group_from_before_goes_on),
        TEST(fewer_priorities_leave_what_is_there),
        TEST(a_stream_that_ran_empty_without_them_has_none),
        TEST(the_acked_prefix_waits_for_lower_priorities),
        TEST(an_entry_that_is_deleted_before_it_is_given_blocks_nothing),
        TEST(only_what_all_groups_have_done_is_deleted),
        TEST(the_lag_counts_what_is_to_be_given),
        TEST(a_group_that_is_set_back_is_given_it_again),
        TEST(failed_entries_take_half_and_priorities_the_other),
        TEST(a_group_with_keys_is_given_the_order_of_ids),
        TEST(reads_without_acks_are_served_likewise),
        TEST(a_read_keeps_to_its_bytes),
        TEST(what_has_expired_is_passed_over),
        TEST(a_delayed_entry_keeps_its_priority),
        TEST(what_was_dropped_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
