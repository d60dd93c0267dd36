/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters go back to where they came from, each once. */
#include "tests/queue/group_fixture.h"

static const struct oxbow_group_options ONCE = {
    .visibility_ms = 1000, .max_deliveries = 1, .dead_letter = {"dead", 4}};

/* n entries, all of them dead. */
static void all_dead(struct streams *f, uint64_t n)
{
    uint64_t i;

    setup(f, &ONCE, n);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    for (i = 1; i <= n; i++) {
        assert_int_equal(nack(f, i, OXBOW_NACK_DEAD, 0), 1);
    }
    assert_int_equal(length(f, "dead"), n);
}

static struct oxbow_redrive redrive(struct streams *f, const struct oxbow_redrive_options *opt)
{
    struct oxbow_redrive out;

    assert_ok(oxbow_redrive(f->txn, BYTES("dead"), opt, &out));
    return out;
}

static void a_letter_is_pending_again_as_if_never_delivered(void **state)
{
    struct streams *f = *state;
    struct oxbow_redrive out;

    all_dead(f, 3);
    out = redrive(f, NULL);
    assert_int_equal(out.redriven, 3);
    assert_int_equal(out.skipped, 0);
    assert_false(out.more);
    assert_int_equal(length(f, "dead"), 0);
    assert_int_equal(length(f, "s"), 3);
    assert_string_equal(pending(f), "1-0::0 2-0::0 3-0::0");
    streams_reopen(f);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2} 3-0{f=3}");
    assert_string_equal(pending(f), "1-0:eve:1 2-0:eve:1 3-0:eve:1");
    assert_int_equal(redrive(f, NULL).redriven, 0);
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 0), "");
    assert_int_equal(length(f, "dead"), 3);
}

static void letters_can_be_chosen_by_id(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[3] = {{0, 0}, {1, 0}, {0, 0}};
    struct oxbow_redrive_options opt = {.ids = ids, .count = 3};
    struct oxbow_redrive out;

    all_dead(f, 3);
    streams_all(f, "dead");
    ids[0] = f->result.entries[2].id;
    ids[2] = f->result.entries[2].id;
    out = redrive(f, &opt);
    assert_int_equal(out.redriven, 1);
    assert_int_equal(out.skipped, 2);
    assert_string_equal(pending(f), "3-0::0");
    assert_int_equal(length(f, "dead"), 2);
}

static void all_goes_in_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_redrive_options opt = {.count = 4};
    struct oxbow_redrive out;

    all_dead(f, 10);
    out = redrive(f, &opt);
    assert_int_equal(out.redriven, 4);
    assert_true(out.more);
    opt.from = out.next;
    out = redrive(f, &opt);
    assert_true(out.more);
    opt.from = out.next;
    out = redrive(f, &opt);
    assert_int_equal(out.redriven, 2);
    assert_false(out.more);
    assert_int_equal(length(f, "dead"), 0);
}

static void what_is_no_letter_stays(void **state)
{
    struct streams *f = *state;
    struct oxbow_redrive out;

    all_dead(f, 1);
    assert_ok(streams_put(f, "dead", ID((uint64_t)1 << 60, 0), "no letter"));
    out = redrive(f, NULL);
    assert_int_equal(out.redriven, 1);
    assert_int_equal(out.skipped, 1);
    assert_string_equal(streams_all(f, "dead"), "1152921504606846976-0{f=no letter}");
}

static void an_original_that_is_gone_is_added_anew(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {1, 0};

    all_dead(f, 2);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_int_equal(redrive(f, NULL).redriven, 2);
    assert_string_equal(pending(f), "2-0::0");
    assert_int_equal(length(f, "s"), 2);
    take(f, "eve", 0);
    assert_int_equal(f->result.entry_count, 2);
    assert_int_equal(f->result.entries[1].field_count, 1);
    assert_string_equal(field(f, 1, "f"), "1");
}

static void a_letter_of_a_stream_that_is_gone_makes_it_anew(void **state)
{
    struct streams *f = *state;

    all_dead(f, 2);
    assert_ok(oxbow_key_delete(f->txn, BYTES("s"), NULL));
    assert_int_equal(redrive(f, NULL).redriven, 2);
    assert_int_equal(length(f, "s"), 2);
    assert_int_equal(length(f, "dead"), 0);
}

static void a_group_that_was_set_back_reads_it_as_new(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options at = {.id = {0, 0}};

    all_dead(f, 2);
    assert_ok(oxbow_group_set_id(f->txn, the_group(), &at));
    assert_int_equal(redrive(f, NULL).redriven, 2);
    assert_string_equal(pending(f), "");
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2}");
}

static void an_aborted_redrive_leaves_all_where_it_was(void **state)
{
    struct streams *f = *state;

    all_dead(f, 2);
    streams_commit(f);
    streams_begin(f);
    assert_int_equal(redrive(f, NULL).redriven, 2);
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(length(f, "dead"), 2);
    assert_string_equal(pending(f), "");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes item = BYTES("x");
    struct oxbow_redrive out;

    assert_ok(oxbow_redrive(f->txn, BYTES("dead"), NULL, &out));
    assert_int_equal(out.redriven, 0);
    assert_err(oxbow_redrive(f->txn, BYTES("dead"), NULL, NULL), OXBOW_EINVAL);
    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &item, 1, NULL));
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_redrive(f->txn, BYTES("dead"), NULL, &out), OXBOW_EREADONLY);
    streams_commit(f);
    streams_begin(f);
    assert_err(oxbow_redrive(f->txn, BYTES("list"), NULL, &out), OXBOW_EWRONGTYPE);
    streams_abort(f);
    streams_begin(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(a_letter_is_pending_again_as_if_never_delivered),
        TEST(letters_can_be_chosen_by_id),
        TEST(all_goes_in_steps),
        TEST(what_is_no_letter_stays),
        TEST(an_original_that_is_gone_is_added_anew),
        TEST(a_letter_of_a_stream_that_is_gone_makes_it_anew),
        TEST(a_group_that_was_set_back_reads_it_as_new),
        TEST(an_aborted_redrive_leaves_all_where_it_was),
        TEST(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
