/* SPDX-License-Identifier: Apache-2.0 */
/* What is too old goes, never too early and at most a rotation too late, through reboots and jumps of
 * the wall clock. */
#include "tests/support/rig.h"

#include "engine/queue/policy_age.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "oxbow/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR     3600000u
#define DAY      (24u * (uint64_t)HOUR)
#define YEARS_56 (56u * 365u * DAY)
#define ROTATE   60000u

#define assert_ok(expr)        assert_int_equal((expr), OXBOW_OK)
#define assert_err(expr, want) assert_string_equal(oxbow_err_name(expr), oxbow_err_name(want))

static struct rig rig;
static const struct oxbow_bytes stream = {"s", 1};
static const struct oxbow_bytes list = {"l", 1};

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

static void set(struct oxbow_bytes key, struct oxbow_policy p)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    assert_ok(oxbow_policy_set(txn, key, &p));
    rig_commit(txn);
}

static enum oxbow_err add(uint64_t id)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {id, 0}};
    const struct oxbow_field field = {{"v", 1}, {"x", 1}};
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    enum oxbow_err err = oxbow_stream_add(txn, stream, &opt, &field, 1, NULL);

    rig_commit(txn);
    return err;
}

static enum oxbow_err push(enum oxbow_end end, const char *value)
{
    struct oxbow_bytes v = {value, strlen(value)};
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    enum oxbow_err err = oxbow_list_push(txn, list, end, &v, 1, NULL);

    rig_commit(txn);
    return err;
}

/* What the store does when it has time. */
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

static uint64_t first_id(void)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_stream_info info;

    assert_ok(oxbow_stream_info(txn, stream, &info));
    rig_abort(txn);
    return info.recorded_first_id.ms;
}

static uint64_t length(void)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    uint64_t len;

    assert_ok(oxbow_list_len(txn, list, &len));
    rig_abort(txn);
    return len;
}

static struct oxbow_drops aged(struct oxbow_bytes key)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(txn, key, OXBOW_DROP_AGE, &d));
    rig_abort(txn);
    return d;
}

/* The board is switched off, and takes 20 s to come up again. */
static void reboot(uint64_t off_ms, bool knows_time)
{
    rig_close(&rig);
    rig.wall_ms = knows_time ? rig.wall_ms + off_ms + 20000 : 21000;
    rig.mono_us = 20000000;
    rig_open(&rig);
}

static void entries_of_a_stream_go_when_they_are_too_old(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR});
    for (unsigned i = 1; i <= 180; i++) { /* one each minute, for three hours */
        assert_ok(add(i));
        rig_pass_ms(&rig, 60000);
        sweep();
        if (i > 62) {
            /* Entry n came n - 1 minutes after the first one, and it is i minutes after it now. */
            assert_in_range(first_id(), i - 62, i - 59 + 1);
        }
    }
    assert_true(first_id() > 180 - 62);
    rig_pass_ms(&rig, HOUR + ROTATE);
    sweep();
    assert_int_equal(first_id(), 0);
    assert_int_equal(aged(stream).entries, 180);
    assert_int_equal(aged(stream).first.ms, 1);
    assert_int_equal(aged(stream).to.ms, 180);
}

static void nothing_goes_too_early(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR});
    set(list, (struct oxbow_policy){.max_age_ms = HOUR});
    for (unsigned i = 1; i <= 100; i++) { /* within a minute, in one chunk */
        assert_ok(add(i));
        assert_ok(push(OXBOW_RIGHT, "x"));
        rig_pass_ms(&rig, 590);
    }
    rig_pass_ms(&rig, HOUR - 600);
    sweep();
    assert_int_equal(first_id(), 1);
    assert_int_equal(length(), 100);
    rig_pass_ms(&rig, ROTATE + 2000);
    sweep();
    assert_int_equal(first_id(), 0);
    assert_int_equal(length(), 0);
}

/* What a boot's record says of its clock holds for all that the boot adds after it. */
static void a_transaction_that_takes_hours_makes_nothing_older(void **state)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {1, 0}};
    const struct oxbow_field field = {{"v", 1}, {"x", 1}};
    struct oxbow_time time;
    struct oxbow_txn *txn;

    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = 10 * HOUR});
    txn = rig_begin(&rig, 0);
    assert_ok(oxbow_time_now(txn, &time));
    rig_pass_ms(&rig, 5 * HOUR);
    assert_ok(oxbow_stream_add(txn, stream, &opt, &field, 1, NULL));
    rig_commit(txn);
    rig_pass_ms(&rig, 2 * ROTATE);
    assert_ok(add(2));
    reboot(0, false);
    rig_pass_ms(&rig, 6 * HOUR);
    sweep();
    assert_int_equal(first_id(), 2);
    rig_pass_ms(&rig, 4 * HOUR + 2 * ROTATE);
    sweep();
    assert_int_equal(first_id(), 0);
}

static void elements_of_a_list_go_from_the_end_where_they_are_old(void **state)
{
    (void)state;
    set(list, (struct oxbow_policy){.max_age_ms = HOUR});
    assert_ok(push(OXBOW_LEFT, "a"));
    assert_ok(push(OXBOW_RIGHT, "b"));
    rig_pass_ms(&rig, HOUR / 2);
    assert_ok(push(OXBOW_LEFT, "c"));
    assert_ok(push(OXBOW_RIGHT, "d"));
    rig_pass_ms(&rig, HOUR / 2 + 2 * ROTATE);
    sweep();
    /* "a" and "b" lie between newer ones: they go as soon as these are gone. */
    assert_int_equal(length(), 4);
    rig_pass_ms(&rig, HOUR / 2);
    sweep();
    assert_int_equal(length(), 0);
    assert_int_equal(aged(list).entries, 4);
    for (int right = 0; right < 2; right++) {
        assert_ok(push(right ? OXBOW_RIGHT : OXBOW_LEFT, "old"));
        rig_pass_ms(&rig, HOUR / 2);
        assert_ok(push(right ? OXBOW_RIGHT : OXBOW_LEFT, "new"));
        rig_pass_ms(&rig, HOUR / 2 + 2 * ROTATE);
        sweep();
        assert_int_equal(length(), 1);
        rig_pass_ms(&rig, HOUR);
        sweep();
        assert_int_equal(length(), 0);
    }
}

static void a_backlog_from_before_counts_from_when_the_limit_was_set(void **state)
{
    (void)state;
    assert_ok(add(1));
    assert_ok(push(OXBOW_RIGHT, "x"));
    rig_pass_ms(&rig, 10 * DAY);
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR});
    set(list, (struct oxbow_policy){.max_age_ms = HOUR});
    sweep();
    assert_int_equal(first_id(), 1);
    rig_pass_ms(&rig, HOUR - 1);
    sweep();
    assert_int_equal(first_id(), 1);
    assert_int_equal(length(), 1);
    rig_pass_ms(&rig, 2 * ROTATE);
    sweep();
    assert_int_equal(first_id(), 0);
    assert_int_equal(length(), 0);
}

static void jumps_of_the_wall_clock_make_nothing_old_or_young(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = DAY});
    set(list, (struct oxbow_policy){.max_age_ms = DAY});
    assert_ok(add(1));
    assert_ok(push(OXBOW_RIGHT, "x"));
    rig.wall_ms += YEARS_56;
    rig_pass_ms(&rig, HOUR);
    assert_ok(add(2));
    sweep();
    assert_int_equal(first_id(), 1);
    rig.wall_ms -= 2 * YEARS_56 / 3;
    rig_pass_ms(&rig, 22 * HOUR);
    sweep();
    assert_int_equal(first_id(), 1);
    assert_int_equal(length(), 1);
    rig_pass_ms(&rig, 4 * HOUR);
    sweep();
    assert_int_equal(first_id(), 0);
    assert_int_equal(length(), 0);
}

static void an_age_goes_on_over_reboots(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = DAY});
    set(list, (struct oxbow_policy){.max_age_ms = DAY});
    assert_ok(add(1));
    assert_ok(push(OXBOW_RIGHT, "x"));
    rig_pass_ms(&rig, 10 * HOUR);
    set((struct oxbow_bytes){"other", 5}, (struct oxbow_policy){0}); /* a commit keeps the clock */
    reboot(0, false);
    assert_ok(add(2));
    sweep();
    rig_pass_ms(&rig, 13 * HOUR);
    sweep();
    assert_int_equal(first_id(), 1);
    assert_int_equal(length(), 1);
    rig_pass_ms(&rig, HOUR + 2 * ROTATE + 20000);
    sweep();
    assert_int_equal(first_id(), 2);
    assert_int_equal(length(), 0);
    set((struct oxbow_bytes){"other", 5}, (struct oxbow_policy){0});
    reboot(0, false);
    rig_pass_ms(&rig, 10 * HOUR + 2 * ROTATE);
    sweep();
    assert_int_equal(first_id(), 0);
}

static void time_switched_off_counts_when_the_clock_knows_it(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = DAY});
    assert_ok(add(1));
    rig_pass_ms(&rig, HOUR);
    assert_ok(add(2));
    sweep();
    reboot(2 * DAY, true);
    rig_pass_ms(&rig, ROTATE);
    sweep();
    assert_int_equal(first_id(), 0);
}

static void time_that_passed_before_an_opening_that_did_not_know_it_makes_nothing_old(void **state)
{
    uint64_t wall_ms = rig.wall_ms;

    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = DAY});
    assert_ok(add(1));
    reboot(3 * DAY, false);
    assert_ok(add(2));
    rig_pass_ms(&rig, HOUR);
    assert_ok(add(3));
    rig.wall_ms = wall_ms + 3 * DAY + HOUR + 20000;
    reboot(0, true);
    sweep();
    assert_int_equal(first_id(), 2);
    rig_pass_ms(&rig, 22 * HOUR);
    sweep();
    assert_int_equal(first_id(), 2);
    rig_pass_ms(&rig, HOUR + 2 * ROTATE);
    sweep();
    assert_int_equal(first_id(), 3);
    rig_pass_ms(&rig, HOUR);
    sweep();
    assert_int_equal(first_id(), 0);
}

static void what_is_too_old_makes_room_in_a_full_queue(void **state)
{
    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR, .max_entries = 2});
    set(list, (struct oxbow_policy){.max_age_ms = HOUR, .max_entries = 2});
    for (unsigned i = 1; i <= 2; i++) {
        assert_ok(add(i));
        assert_ok(push(OXBOW_RIGHT, "x"));
    }
    assert_err(add(3), OXBOW_EFULL);
    assert_err(push(OXBOW_RIGHT, "x"), OXBOW_EFULL);
    rig_pass_ms(&rig, HOUR + 2 * ROTATE);
    assert_ok(add(3));
    assert_ok(push(OXBOW_RIGHT, "y"));
    assert_int_equal(first_id(), 3);
    assert_int_equal(length(), 1);
}

static void a_long_backlog_goes_in_bounded_steps(void **state)
{
    struct oxbow_txn *txn;
    bool more = true;
    unsigned steps = 0;

    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR});
    for (unsigned n = 0; n < 10; n++) {
        txn = rig_begin(&rig, 0);
        for (unsigned i = 0; i < 5000; i++) {
            const struct oxbow_field field = {{"v", 1}, {"0123456789012345678901234567890", 31}};

            assert_ok(oxbow_stream_add(txn, stream, NULL, &field, 1, NULL));
        }
        rig_commit(txn);
    }
    rig_pass_ms(&rig, HOUR + 2 * ROTATE);
    for (; more; steps++) {
        txn = rig_begin(&rig, 0);
        assert_ok(policy_sweep(txn, &more));
        rig_commit(txn);
    }
    assert_in_range(steps, 5, 50);
    assert_int_equal(first_id(), 0);
    assert_int_equal(aged(stream).entries, 50000);
}

static void an_aborted_step_is_done_again(void **state)
{
    struct oxbow_drops drops;
    struct oxbow_txn *txn;
    bool more;

    (void)state;
    set(stream, (struct oxbow_policy){.max_age_ms = HOUR});
    assert_ok(add(1));
    rig_pass_ms(&rig, HOUR + 2 * ROTATE);
    txn = rig_begin(&rig, 0);
    assert_ok(policy_sweep(txn, &more));
    assert_ok(oxbow_policy_drops(txn, stream, OXBOW_DROP_AGE, &drops));
    assert_int_equal(drops.entries, 1);
    rig_abort(txn);
    sweep(); /* unless the store has done so by itself */
    assert_int_equal(first_id(), 0);
    assert_int_equal(aged(stream).entries, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(entries_of_a_stream_go_when_they_are_too_old),
        T(nothing_goes_too_early),
        T(a_transaction_that_takes_hours_makes_nothing_older),
        T(elements_of_a_list_go_from_the_end_where_they_are_old),
        T(a_backlog_from_before_counts_from_when_the_limit_was_set),
        T(jumps_of_the_wall_clock_make_nothing_old_or_young),
        T(an_age_goes_on_over_reboots),
        T(time_switched_off_counts_when_the_clock_knows_it),
        T(time_that_passed_before_an_opening_that_did_not_know_it_makes_nothing_old),
        T(what_is_too_old_makes_room_in_a_full_queue),
        T(a_long_backlog_goes_in_bounded_steps),
        T(an_aborted_step_is_done_again),
    };

    return cmocka_run_group_tests_name("policy_age", tests, NULL, NULL);
}
