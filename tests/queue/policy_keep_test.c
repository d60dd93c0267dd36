/* SPDX-License-Identifier: Apache-2.0 */
/* The replay window: delivered entries stay for a time or a size, and no longer. */
#include "tests/support/rig.h"

#include "engine/queue/policy_age.h"
#include "oxbow/forward.h"
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HOUR 3600000u

#define assert_ok(expr) assert_int_equal((expr), OXBOW_OK)

static struct rig rig;
static const struct oxbow_bytes key = {"s", 1};

static int setup(void **state)
{
    (void)state;
    rig_init(&rig, OXBOW_SYNC_ALWAYS);
    rig_open(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static void set(struct oxbow_policy p)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    assert_ok(oxbow_policy_set(txn, key, &p));
    rig_commit(txn);
}

static void add(uint64_t from, uint64_t to)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    for (uint64_t i = from; i <= to; i++) {
        const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i, 0}};
        const struct oxbow_field field = {{"v", 1}, {"0123456789", 10}};

        assert_ok(oxbow_stream_add(txn, key, &opt, &field, 1, NULL));
    }
    rig_commit(txn);
}

static struct oxbow_group group(const char *name)
{
    return (struct oxbow_group){key, {name, strlen(name)}};
}

static void make_group(const char *name)
{
    const struct oxbow_group_create_options opt = {.make_stream = true};
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    assert_ok(oxbow_group_create(txn, group(name), &opt));
    rig_commit(txn);
}

/* The group reads all that is new, and acks what lies at or below `to`. */
static void ack(const char *name, uint64_t to)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    struct oxbow_result result = {0};
    uint64_t acked;

    assert_ok(oxbow_group_read(txn, group(name), (struct oxbow_bytes){"c", 1}, NULL, &result));
    for (uint64_t i = 1; i <= to; i++) {
        const struct oxbow_id id = {i, 0};

        assert_ok(oxbow_group_ack(txn, group(name), &id, 1, &acked));
    }
    oxbow_result_fini(&result);
    rig_commit(txn);
}

static void sweep(void)
{
    bool more = true;

    for (int i = 0; more && i < 1000; i++) {
        struct oxbow_txn *txn = rig_begin(&rig, 0);

        assert_ok(policy_sweep(txn, &more));
        rig_commit(txn);
    }
    assert_false(more);
}

static struct oxbow_stream_info info(void)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_stream_info i;

    assert_ok(oxbow_stream_info(txn, key, &i));
    rig_abort(txn);
    return i;
}

static uint64_t first(void)
{
    return info().recorded_first_id.ms;
}

static void what_is_acked_by_all_stays_for_its_time(void **state)
{
    (void)state;
    make_group("a");
    make_group("b");
    set((struct oxbow_policy){.keep_ms = HOUR});
    add(1, 10);
    ack("a", 10);
    ack("b", 4);
    sweep();
    rig_pass_ms(&rig, HOUR - 1);
    sweep();
    assert_int_equal(first(), 1);
    rig_pass_ms(&rig, 1);
    sweep();
    assert_int_equal(first(), 5); /* the other group has yet to ack the rest */
    rig_pass_ms(&rig, 5 * HOUR);
    ack("b", 10);
    sweep();
    assert_int_equal(first(), 5);
    rig_pass_ms(&rig, HOUR);
    sweep();
    assert_int_equal(first(), 0);
    assert_int_equal(info().length, 0);
}

static void a_window_goes_on_over_a_reopen(void **state)
{
    (void)state;
    make_group("a");
    set((struct oxbow_policy){.keep_ms = HOUR});
    add(1, 3);
    ack("a", 3);
    sweep();
    rig_pass_ms(&rig, HOUR / 2);
    rig_reopen(&rig);
    sweep();
    assert_int_equal(first(), 1);
    rig_pass_ms(&rig, HOUR / 2);
    sweep();
    assert_int_equal(first(), 0);
}

static void time_off_before_the_delivery_is_not_counted_when_it_becomes_known(void **state)
{
    uint64_t start = rig.wall_ms;

    (void)state;
    make_group("a");
    set((struct oxbow_policy){.keep_ms = HOUR});
    add(1, 3);
    rig_close(&rig);
    rig.mono_us = 5000000; /* ten hours later, and nobody knows */
    rig.wall_ms = 7000;
    rig_open(&rig);
    ack("a", 3);
    sweep();
    rig_close(&rig);
    rig.mono_us = 4000000;
    rig.wall_ms = start + 10 * HOUR + 10000; /* now it is known */
    rig_open(&rig);
    sweep();
    assert_int_equal(first(), 1);
    rig_pass_ms(&rig, HOUR - 10000);
    sweep();
    assert_int_equal(first(), 1);
    rig_pass_ms(&rig, 20000);
    sweep();
    assert_int_equal(first(), 0);
}

static void acks_without_end_leave_no_more_than_a_quarter_too_much(void **state)
{
    (void)state;
    make_group("a");
    set((struct oxbow_policy){.keep_ms = HOUR});
    for (unsigned i = 1; i <= 300; i++) { /* one each minute */
        add(i, i);
        ack("a", i);
        sweep();
        assert_true(first() + 60 + 60 / 4 + 2 >= i);
        assert_true(i < 60 || first() <= i - 60 + 1);
        rig_pass_ms(&rig, 60000);
    }
}

static void delivered_bytes_stay_up_to_their_limit(void **state)
{
    uint64_t one;

    (void)state;
    make_group("a");
    add(1, 100);
    one = (info().bytes + 99) / 100;
    set((struct oxbow_policy){.keep_bytes = 10 * one});
    sweep();
    assert_int_equal(first(), 1); /* nothing is delivered */
    ack("a", 50);
    sweep();
    assert_in_range(first(), 41, 42);
    ack("a", 100);
    sweep();
    assert_in_range(first(), 91, 92);
    assert_true(info().bytes <= 10 * one);
}

static void deletions_by_others_do_not_confuse_the_count(void **state)
{
    struct oxbow_txn *txn;
    uint64_t one, n;

    (void)state;
    make_group("a");
    add(1, 100);
    one = (info().bytes + 99) / 100;
    set((struct oxbow_policy){.keep_bytes = 20 * one});
    ack("a", 100);
    sweep();
    assert_in_range(first(), 80, 83);
    txn = rig_begin(&rig, 0);
    for (uint64_t i = 85; i < 95; i++) {
        assert_ok(oxbow_stream_delete(txn, key, &(struct oxbow_id){i, 0}, 1, &n));
    }
    rig_commit(txn);
    add(101, 110);
    ack("a", 110);
    sweep();
    assert_in_range(first(), 80, 83); /* ten left, ten came */
    add(111, 112);
    ack("a", 112);
    sweep();
    assert_in_range(first(), 82, 85);
}

static void a_long_window_is_counted_in_steps(void **state)
{
    struct oxbow_txn *txn;
    bool more = true;
    unsigned steps = 0;

    (void)state;
    make_group("a");
    add(1, 20000);
    ack("a", 0);
    txn = rig_begin(&rig, 0);
    assert_ok(oxbow_group_destroy(txn, group("a"), NULL));
    rig_commit(txn);
    txn = rig_begin(&rig, 0);
    assert_ok(
        oxbow_group_create(txn, group("b"), &(struct oxbow_group_create_options){.at_end = true}));
    rig_commit(txn);
    set((struct oxbow_policy){.keep_bytes = 1});
    for (; more && steps < 100; steps++) {
        txn = rig_begin(&rig, 0);
        assert_ok(policy_sweep(txn, &more));
        rig_commit(txn);
    }
    assert_in_range(steps, 5, 40);
    assert_int_equal(info().length, 0);
}

static void a_limit_goes_before_the_window(void **state)
{
    (void)state;
    make_group("a");
    set((struct oxbow_policy){.keep_ms = HOUR, .max_entries = 3});
    add(1, 3);
    ack("a", 3);
    sweep();
    add(4, 5);
    assert_int_equal(first(), 3);
}

static void without_anybody_to_deliver_to_nothing_goes(void **state)
{
    (void)state;
    set((struct oxbow_policy){.keep_ms = 1, .keep_bytes = 1});
    add(1, 5);
    sweep();
    rig_pass_ms(&rig, HOUR);
    sweep();
    assert_int_equal(first(), 1);
}

static void forward(enum oxbow_forward_after after, uint32_t hold_ms)
{
    const struct oxbow_forward_options opt = {.key = key,
                                              .type = OXBOW_TYPE_STREAM,
                                              .target = {"t", 1},
                                              .after = after,
                                              .hold_ms = hold_ms};
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    assert_ok(oxbow_forward_create(txn, "up", &opt));
    rig_commit(txn);
}

static void deliver(uint64_t id)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    bool more;

    assert_ok(oxbow_forward_confirmed(txn, "up", (struct oxbow_id){id, 0}, &more));
    rig_commit(txn);
}

/* What the uplink does every second or so. */
static void forward_trim(void)
{
    bool more = true;

    while (more) {
        struct oxbow_txn *txn = rig_begin(&rig, 0);
        uint64_t removed;

        assert_ok(oxbow_forward_trim(txn, "up", &removed, &more));
        rig_commit(txn);
    }
}

static void a_forward_that_keeps_leaves_it_to_the_window(void **state)
{
    (void)state;
    forward(OXBOW_AFTER_KEEP, 0);
    set((struct oxbow_policy){.keep_ms = HOUR});
    add(1, 6);
    deliver(4);
    sweep();
    rig_pass_ms(&rig, HOUR);
    sweep();
    forward_trim();
    assert_int_equal(first(), 5);
}

static void of_hold_and_window_the_longer_one_wins(void **state)
{
    (void)state;
    forward(OXBOW_AFTER_TRIM, HOUR);
    set((struct oxbow_policy){.keep_ms = 2 * HOUR});
    add(1, 6);
    deliver(3);
    sweep();
    rig_pass_ms(&rig, HOUR);
    sweep();
    forward_trim();
    assert_int_equal(first(), 1); /* the hold is over, the window is not */
    rig_pass_ms(&rig, HOUR);
    sweep();
    forward_trim();
    assert_int_equal(first(), 4);
    set((struct oxbow_policy){.keep_ms = HOUR / 4});
    deliver(5);
    sweep();
    rig_pass_ms(&rig, HOUR / 4);
    sweep();
    forward_trim();
    assert_int_equal(first(), 4); /* the window is over, the hold is not */
    rig_pass_ms(&rig, HOUR);
    forward_trim();
    assert_int_equal(first(), 6);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_acked_by_all_stays_for_its_time),
        T(a_window_goes_on_over_a_reopen),
        T(time_off_before_the_delivery_is_not_counted_when_it_becomes_known),
        T(acks_without_end_leave_no_more_than_a_quarter_too_much),
        T(delivered_bytes_stay_up_to_their_limit),
        T(deletions_by_others_do_not_confuse_the_count),
        T(a_long_window_is_counted_in_steps),
        T(a_limit_goes_before_the_window),
        T(without_anybody_to_deliver_to_nothing_goes),
        T(a_forward_that_keeps_leaves_it_to_the_window),
        T(of_hold_and_window_the_longer_one_wins),
    };

    return cmocka_run_group_tests_name("policy_keep", tests, NULL, NULL);
}
