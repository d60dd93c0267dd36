/* SPDX-License-Identifier: Apache-2.0 */
/* What has used up its deliveries goes to the dead letters although nobody reads. */
#include "tests/queue/group_fixture.h"

#include "engine/queue/group_idle.h"

#include <stdlib.h>
#include <unistd.h>

#define GRACE IDLE_GRACE_MS

static const struct oxbow_group_options TWICE = {
    .visibility_ms = 1000, .max_deliveries = 2, .dead_letter = {"dead", 4}};

/* What the store does when it has time; it may have done some of it by itself. */
static unsigned idle(struct streams *f)
{
    bool more = true;
    unsigned steps = 0;

    streams_commit(f);
    for (; more; steps++) {
        struct oxbow_txn *txn = rig_begin(&f->rig, 0);

        assert_in_range(steps, 0, 1000);
        assert_ok(group_idle(txn, &more));
        rig_commit(txn);
    }
    streams_begin(f);
    return steps;
}

static void let_fail_twice(struct streams *f)
{
    take(f, "bob", 0);
    pass(f, 1000);
    take(f, "bob", 0);
    pass(f, 1000);
}

static void a_group_that_nobody_reads_gives_up_by_itself(void **state)
{
    struct streams *f = *state;
    struct oxbow_acked_prefix prefix;

    setup(f, &TWICE, 1);
    let_fail_twice(f);
    pass(f, GRACE - 1500);
    idle(f);
    assert_int_equal(length(f, "dead"), 0);
    assert_string_equal(pending(f), "1-0:bob:2");
    pass(f, 60000);
    idle(f);
    assert_int_equal(length(f, "dead"), 1);
    assert_string_equal(pending(f), "");
    assert_int_equal(status(f).dead_letters, 1);
    assert_ok(oxbow_group_acked_prefix(f->txn, the_group(), &prefix));
    assert_false(prefix.blocked);
    streams_all(f, "dead");
    assert_string_equal(field(f, 0, "oxbow.key"), "s");
    assert_string_equal(field(f, 0, "oxbow.group"), "g");
    assert_string_equal(field(f, 0, "oxbow.consumer"), "bob");
    assert_string_equal(field(f, 0, "oxbow.deliveries"), "2");
}

static void the_store_does_it_while_it_is_open(void **state)
{
    struct streams *f = *state;

    setup(f, &TWICE, 1);
    let_fail_twice(f);
    for (int i = 0; i < 6000 && length(f, "dead") == 0; i++) {
        assert_ok(streams_put(f, "other", ID(i + 1, 0), "x")); /* the store's thread looks up */
        streams_commit(f);
        rig_pass_ms(&f->rig, 2000);
        usleep(10000);
        streams_begin(f);
    }
    assert_int_equal(length(f, "dead"), 1);
}

static void what_is_only_to_be_given_again_is_left_alone(void **state)
{
    struct streams *f = *state;

    setup(f, &TWICE, 3);
    take(f, "bob", 2);
    pass(f, 10 * GRACE);
    idle(f);
    assert_string_equal(pending(f), "1-0:bob:1 2-0:bob:1");
    assert_int_equal(length(f, "dead"), 0);
    assert_string_equal(take(f, "eve", 1), "1-0{f=1}");
}

static void reopening_and_other_databases_make_no_difference(void **state)
{
    struct streams *f = *state;

    assert_ok(oxbow_txn_select(f->txn, 3));
    setup(f, &TWICE, 1);
    take(f, "bob", 0);
    pass(f, 1000);
    assert_ok(oxbow_txn_select(f->txn, 3));
    take(f, "bob", 0);
    pass(f, 1000);
    streams_reopen(f);
    pass(f, 2 * GRACE);
    idle(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(length(f, "dead"), 1);
    assert_string_equal(pending(f), "");
}

static void many_go_in_bounded_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options once = TWICE;

    once.max_deliveries = 1;
    setup(f, &once, 1000);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    pass(f, 3 * GRACE);
    idle(f);
    assert_int_equal(length(f, "dead"), 1000);
    assert_string_equal(pending(f), "");
}

static void dead_letters_that_refuse_are_tried_again(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes item = BYTES("x");

    setup(f, &TWICE, 1);
    assert_ok(oxbow_list_push(f->txn, BYTES("dead"), OXBOW_RIGHT, &item, 1, NULL));
    let_fail_twice(f);
    pass(f, 2 * GRACE);
    idle(f);
    assert_string_equal(pending(f), "1-0:bob:2");
    assert_int_equal(status(f).dead_problem, OXBOW_EWRONGTYPE);
    assert_ok(oxbow_key_delete(f->txn, BYTES("dead"), NULL));
    pass(f, 2 * GRACE + 10000);
    idle(f);
    assert_int_equal(length(f, "dead"), 1);
    assert_int_equal(status(f).dead_problem, OXBOW_OK);
}

static void a_group_that_is_gone_is_forgotten_and_one_renamed_is_noted_again(void **state)
{
    struct streams *f = *state;
    bool existed;

    setup(f, &TWICE, 1);
    let_fail_twice(f);
    assert_ok(oxbow_key_rename(f->txn, BYTES("s"), BYTES("t"), false));
    pass(f, 2 * GRACE);
    idle(f);
    assert_int_equal(length(f, "dead"), 0);
    assert_ok(oxbow_key_rename(f->txn, BYTES("t"), BYTES("s"), false));
    take(f, "eve", 0);
    assert_int_equal(length(f, "dead"), 1);
    assert_ok(oxbow_group_destroy(f->txn, the_group(), &existed));
    pass(f, 2 * GRACE);
    idle(f);
    assert_in_range(idle(f), 1, 2);
}

static void entries_in_order_of_their_key_go_in_that_order(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = TWICE;

    opt.key_field = BYTES("k");
    opt.max_deliveries = 1;
    setup(f, &opt, 0);
    for (uint64_t i = 1; i <= 4; i++) {
        const struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i, 0}};
        struct oxbow_field fields[] = {{BYTES("k"), BYTES("a")}};

        assert_ok(oxbow_stream_add(f->txn, BYTES("s"), &add, fields, 1, NULL));
    }
    take(f, "bob", 2);
    take(f, "eve", 2);
    assert_string_equal(pending(f), "1-0:bob:1 2-0:bob:1 3-0::0 4-0::0");
    pass(f, 2 * GRACE);
    idle(f);
    assert_int_equal(length(f, "dead"), 1); /* the next has its turn, and its time */
    pass(f, 2 * GRACE);
    idle(f);
    assert_int_equal(length(f, "dead"), 2);
    assert_string_equal(pending(f), "3-0::0 4-0::0");
    assert_string_equal(take(f, "eve", 1), "3-0{k=a}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(a_group_that_nobody_reads_gives_up_by_itself),
        TEST(the_store_does_it_while_it_is_open),
        TEST(what_is_only_to_be_given_again_is_left_alone),
        TEST(reopening_and_other_databases_make_no_difference),
        TEST(many_go_in_bounded_steps),
        TEST(dead_letters_that_refuse_are_tried_again),
        TEST(a_group_that_is_gone_is_forgotten_and_one_renamed_is_noted_again),
        TEST(entries_in_order_of_their_key_go_in_that_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
