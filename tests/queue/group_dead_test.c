/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: when, with what in them, and what happens when they cannot be written. */
#include "tests/queue/group_fixture.h"

#include "oxbow/forward.h"
#include "oxbow/policy.h"

#include <stdlib.h>

static const struct oxbow_group_options TWICE = {
    .visibility_ms = 1000, .max_deliveries = 2, .dead_letter = {"dead", 4}};

static void let_fail(struct streams *f)
{
    take(f, "bob", 0);
    pass(f, 1000);
}

static void an_entry_that_failed_too_often_goes_to_the_dead_letters(void **state)
{
    struct streams *f = *state;
    struct oxbow_acked_prefix prefix;

    setup(f, &TWICE, 2);
    let_fail(f);
    take(f, "bob", 0);
    assert_int_equal(ack(f, 2), 1);
    pass(f, 1000);
    assert_int_equal(length(f, "dead"), 0);
    assert_string_equal(take(f, "eve", 0), "");
    assert_string_equal(pending(f), "");
    assert_int_equal(status(f).dead_letters, 1);
    assert_ok(oxbow_group_acked_prefix(f->txn, the_group(), &prefix));
    assert_false(prefix.blocked);
    assert_id(prefix.id, "2-0");
    streams_reopen(f);
    assert_int_equal(length(f, "dead"), 1);
    assert_int_equal(length(f, "s"), 2);
    streams_all(f, "dead");
    assert_memory_equal(f->result.entries[0].fields[0].name.data, "f", 1);
    assert_string_equal(field(f, 0, "f"), "1");
    assert_string_equal(field(f, 0, "oxbow.key"), "s");
    assert_string_equal(field(f, 0, "oxbow.group"), "g");
    assert_string_equal(field(f, 0, "oxbow.id"), "1-0");
    assert_string_equal(field(f, 0, "oxbow.reason"), "max-deliveries");
    assert_string_equal(field(f, 0, "oxbow.deliveries"), "2");
    assert_string_equal(field(f, 0, "oxbow.consumer"), "bob");
    assert_string_equal(field(f, 0, "oxbow.payload"), "");
    assert_int_equal(f->result.entries[0].field_count, 10);
    {
        uint64_t last = strtoull(field(f, 0, "oxbow.last"), NULL, 10);
        uint64_t first = strtoull(field(f, 0, "oxbow.first"), NULL, 10);

        assert_int_equal(f->result.entries[0].id.ms - last, 1000);
        assert_int_equal(last - first, 1000);
    }
}

static void a_nack_can_send_it_there_at_once(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[] = {{1, 0}, {2, 0}};
    struct oxbow_group_nack_options opt = {
        .ids = ids, .count = 1, .how = OXBOW_NACK_DEAD, .reason = BYTES("bad checksum")};

    setup(f, &TWICE, 2);
    take(f, "bob", 0);
    assert_ok(oxbow_group_nack(f->txn, the_group(), &opt, NULL));
    opt = (struct oxbow_group_nack_options){.ids = ids, .count = 2, .how = OXBOW_NACK_DEAD};
    assert_ok(oxbow_group_nack(f->txn, the_group(), &opt, NULL));
    streams_all(f, "dead");
    assert_int_equal(f->result.entry_count, 2);
    assert_string_equal(field(f, 0, "oxbow.reason"), "bad checksum");
    assert_string_equal(field(f, 0, "oxbow.deliveries"), "1");
    assert_string_equal(field(f, 1, "oxbow.reason"), "rejected");
    assert_string_equal(pending(f), "");
}

static void a_nack_of_the_last_delivery_sends_it_there(void **state)
{
    struct streams *f = *state;

    setup(f, &TWICE, 1);
    let_fail(f);
    take(f, "eve", 0);
    assert_int_equal(nack(f, 1, OXBOW_NACK_RETRY, 0), 1);
    assert_int_equal(length(f, "dead"), 1);
    streams_all(f, "dead");
    assert_string_equal(field(f, 0, "oxbow.consumer"), "eve");
    assert_string_equal(field(f, 0, "oxbow.reason"), "max-deliveries");
}

static void an_aborted_move_leaves_it_where_it_was(void **state)
{
    struct streams *f = *state;

    setup(f, &TWICE, 1);
    let_fail(f);
    let_fail(f);
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 1);
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(length(f, "dead"), 0);
    assert_string_equal(pending(f), "1-0:bob:2");
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 1);
}

static void dead_letters_that_refuse_keep_it_pending_and_out_of_the_way(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes item = BYTES("x");

    setup(f, &TWICE, 1);
    assert_ok(oxbow_list_push(f->txn, BYTES("dead"), OXBOW_RIGHT, &item, 1, NULL));
    let_fail(f);
    let_fail(f);
    assert_ok(streams_put(f, "s", ID(2, 0), "2"));
    assert_string_equal(take(f, "bob", 2), "2-0{f=2}");
    assert_string_equal(pending(f), "1-0:bob:2 2-0:bob:1");
    assert_int_equal(status(f).dead_refused, 1);
    assert_int_equal(status(f).dead_problem, OXBOW_EWRONGTYPE);
    assert_int_equal(ack(f, 2), 1);
    pass(f, 9999);
    assert_string_equal(take(f, "bob", 0), "");
    assert_int_equal(status(f).dead_refused, 1);
    assert_ok(oxbow_key_delete(f->txn, BYTES("dead"), NULL));
    pass(f, 1);
    assert_string_equal(take(f, "bob", 0), "");
    assert_int_equal(length(f, "dead"), 1);
    assert_int_equal(status(f).dead_problem, OXBOW_OK);
    assert_string_equal(pending(f), "");
}

static void an_original_that_is_gone_makes_no_letter(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {1, 0};

    setup(f, &TWICE, 1);
    let_fail(f);
    let_fail(f);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_string_equal(take(f, "bob", 0), "");
    assert_string_equal(pending(f), "");
    assert_int_equal(length(f, "dead"), 0);
    assert_int_equal(status(f).dead_letters, 0);
}

static void a_letter_that_is_too_long_comes_in_two_entries(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options create = {.make_stream = true};
    char *big = malloc(100000);
    struct oxbow_field one = {BYTES("f"), {big, 99980}};
    struct oxbow_redrive out;

    assert_non_null(big);
    memset(big, 'b', 100000);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.entry_bytes = 100000;
    rig_open(&f->rig);
    streams_begin(f);
    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    options(f, &TWICE);
    assert_ok(oxbow_stream_add(f->txn, BYTES("s"), NULL, &one, 1, NULL));
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    {
        struct oxbow_id id = f->result.entries[0].id;
        struct oxbow_group_nack_options opt = {.ids = &id, .count = 1, .how = OXBOW_NACK_DEAD};

        assert_ok(oxbow_group_nack(f->txn, the_group(), &opt, NULL));
        assert_string_equal(pending(f), "");
        {
            struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};

            assert_ok(oxbow_stream_range(f->txn, BYTES("dead"), &all, &f->result));
        }
        assert_int_equal(f->result.entry_count, 2);
        assert_int_equal(f->result.entries[0].field_count, 1);
        assert_int_equal(f->result.entries[0].fields[0].value.len, 99980);
        assert_string_equal(field(f, 1, "oxbow.payload"), streams_id(f->result.entries[0].id));
        assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    }
    assert_ok(oxbow_redrive(f->txn, BYTES("dead"), NULL, &out));
    assert_int_equal(out.redriven, 1);
    assert_int_equal(out.skipped, 0);
    assert_int_equal(length(f, "dead"), 0);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    assert_int_equal(f->result.entries[0].field_count, 1);
    assert_int_equal(f->result.entries[0].fields[0].value.len, 99980);
    free(big);
}

static void many_letters_are_written_in_bounded_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options once = TWICE;
    int reads = 0;

    once.max_deliveries = 1;
    setup(f, &once, 500);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 500);
    pass(f, 1000);
    while (status(f).has_due) {
        uint64_t before = length(f, "dead");

        assert_string_equal(take(f, "eve", 0), "");
        assert_in_range(length(f, "dead") - before, 0, 16);
        reads++;
    }
    assert_int_equal(length(f, "dead"), 500);
    assert_true(reads >= 500 / 16);
    assert_string_equal(pending(f), "");
}

static void an_original_may_go_with_it_and_is_told_as_dropped(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = TWICE;
    struct oxbow_group_options got;
    struct oxbow_result memory = {0};
    struct oxbow_drops drops;
    struct oxbow_redrive out;

    opt.dead_remove = true;
    opt.key_field = BYTES("k");
    setup(f, &opt, 3);
    let_fail(f);
    assert_int_equal(ack(f, 3), 1);
    let_fail(f);
    streams_reopen(f);
    assert_ok(oxbow_group_options_get(f->txn, the_group(), &memory, &got));
    assert_true(got.dead_remove);
    assert_memory_equal(got.dead_letter.data, "dead", 4);
    assert_memory_equal(got.key_field.data, "k", 1);
    oxbow_result_fini(&memory);
    take(f, "eve", 0);
    take(f, "eve", 0);
    pass(f, 1000);
    take(f, "eve", 0);
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 2);
    assert_int_equal(length(f, "s"), 1);
    assert_ok(oxbow_policy_drops(f->txn, BYTES("s"), OXBOW_DROP_DEAD_LETTER, &drops));
    assert_int_equal(drops.entries, 2);
    assert_true(drops.bytes > 0);
    assert_id(drops.from, "1-0");
    assert_id(drops.to, "2-0");
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), OXBOW_ID_MIN, 0, &f->result));
    assert_int_equal(f->result.missed, 2);
    assert_ok(oxbow_redrive(f->txn, BYTES("dead"), NULL, &out));
    assert_int_equal(out.redriven, 2);
    assert_int_equal(length(f, "s"), 3);
}

static void an_original_that_others_want_stays(void **state)
{
    struct streams *f = *state;
    const struct oxbow_group other = {BYTES("s"), BYTES("h")};
    struct oxbow_group_options opt = TWICE;
    struct oxbow_drops drops;

    opt.dead_remove = true;
    setup(f, &opt, 1);
    assert_ok(oxbow_group_create(f->txn, other, &(struct oxbow_group_create_options){0}));
    let_fail(f);
    let_fail(f);
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 1);
    assert_int_equal(length(f, "s"), 1);
    assert_err(oxbow_policy_drops(f->txn, BYTES("s"), OXBOW_DROP_DEAD_LETTER, &drops),
               OXBOW_ENOENT);
}

static void an_original_that_a_forward_has_yet_to_deliver_stays(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options forward = {
        .key = BYTES("s"), .type = OXBOW_TYPE_STREAM, .target = BYTES("t")};
    struct oxbow_group_options opt = TWICE;

    opt.dead_remove = true;
    setup(f, &opt, 1);
    assert_ok(oxbow_forward_create(f->txn, "up", &forward));
    let_fail(f);
    let_fail(f);
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 1);
    assert_int_equal(length(f, "s"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(an_entry_that_failed_too_often_goes_to_the_dead_letters),
        TEST(a_nack_can_send_it_there_at_once),
        TEST(a_nack_of_the_last_delivery_sends_it_there),
        TEST(an_aborted_move_leaves_it_where_it_was),
        TEST(dead_letters_that_refuse_keep_it_pending_and_out_of_the_way),
        TEST(an_original_that_is_gone_makes_no_letter),
        TEST(a_letter_that_is_too_long_comes_in_two_entries),
        TEST(many_letters_are_written_in_bounded_steps),
        TEST(an_original_may_go_with_it_and_is_told_as_dropped),
        TEST(an_original_that_others_want_stays),
        TEST(an_original_that_a_forward_has_yet_to_deliver_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
