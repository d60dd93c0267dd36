/* SPDX-License-Identifier: Apache-2.0 */
/* The group's clock: idle times across jumps of the wall clock, restarts and reboots. */
#include "tests/queue/stream_fixture.h"

#define Y2026 1767225600000u

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

static void setup(struct streams *f, uint64_t wall_ms)
{
    struct oxbow_group_create_options opt = {.make_stream = true};

    streams_commit(f);
    f->rig.wall_ms = wall_ms;
    streams_begin(f);
    assert_ok(oxbow_group_create(f->txn, g(), &opt));
    streams_fill(f, "s", 1);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 1);
}

static uint64_t idle(struct streams *f)
{
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 1};
    struct oxbow_pending row;
    size_t count;

    assert_ok(oxbow_group_pending(f->txn, g(), &filter, &f->result, &row, &count));
    assert_int_equal(count, 1);
    return row.idle_ms;
}

static void a_jump_of_the_wall_clock_makes_nothing_idle(void **state)
{
    struct streams *f = *state;

    setup(f, 60000);
    streams_commit(f);
    rig_pass_ms(&f->rig, 100);
    f->rig.wall_ms = Y2026;
    streams_begin(f);
    assert_int_equal(idle(f), 100);
    streams_commit(f);
    f->rig.wall_ms = 0;
    streams_begin(f);
    assert_int_equal(idle(f), 100);
}

static void a_restart_takes_no_time_from_the_clock(void **state)
{
    struct streams *f = *state;

    setup(f, 60000);
    streams_commit(f);
    rig_pass_ms(&f->rig, 100);
    rig_close(&f->rig);
    rig_pass_ms(&f->rig, 50);
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(idle(f), 150);
}

static void a_believable_wall_clock_knows_how_long_the_power_was_off(void **state)
{
    struct streams *f = *state;

    setup(f, Y2026);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = Y2026 + 3600000;
    f->rig.mono_us = 5000000; /* a fresh boot */
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(idle(f), 3600000);
}

static void without_one_at_least_the_time_since_boot_has_passed(void **state)
{
    struct streams *f = *state;

    setup(f, Y2026);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = 7000; /* 1970 again */
    f->rig.mono_us = 5000000;
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(idle(f), 5000);
}

static void a_claim_in_vain_still_sets_the_clock_after_a_reboot(void **state)
{
    struct streams *f = *state;
    struct oxbow_autoclaim_options opt = {.min_idle_ms = 2000000};
    struct oxbow_id next;

    /* Up for 1000 s when it was delivered; then a reboot with no clock. Were the clock not set by
     * the claims, it would fall back once the new uptime passes the old. */
    setup(f, 7000);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = 900000000;
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(idle(f), 900000);
    assert_ok(oxbow_group_autoclaim(f->txn, g(), BYTES("d"), &opt, &f->result, &next));
    assert_int_equal(f->result.entry_count, 0);
    streams_commit(f);
    rig_pass_ms(&f->rig, 1200000);
    streams_begin(f);
    assert_int_equal(idle(f), 2100000);
    assert_ok(oxbow_group_autoclaim(f->txn, g(), BYTES("d"), &opt, &f->result, &next));
    assert_int_equal(f->result.entry_count, 1);
}

/* A fresh boot with such a wall clock: up for five seconds, and each time for one less. */
static void reboot(struct streams *f, uint64_t wall_ms)
{
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = wall_ms;
    f->rig.mono_us = f->rig.mono_us > 5000000 ? 5000000 : f->rig.mono_us - 1000000;
    rig_open(&f->rig);
    streams_begin(f);
}

/* Acks entry n and delivers the next one. */
static void deliver_after(struct streams *f, uint64_t n)
{
    struct oxbow_id id = {n, 0};
    uint64_t acked;

    assert_ok(oxbow_group_ack(f->txn, g(), &id, 1, &acked));
    assert_ok(streams_put(f, "s", (struct oxbow_id){n + 1, 0}, "x"));
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 1);
}

static void a_wall_clock_that_is_wrong_after_a_restart_makes_nothing_idle(void **state)
{
    struct streams *f = *state;

    setup(f, Y2026);
    reboot(f, Y2026 + (uint64_t)56 * 365 * 86400000); /* and it says that it is set */
    assert_int_equal(idle(f), 5000);
}

static void time_off_before_a_delivery_does_not_count_when_it_is_known_afterwards(void **state)
{
    struct streams *f = *state;

    setup(f, Y2026);
    reboot(f, 7000); /* eight days later, and nobody knows */
    deliver_after(f, 1);
    assert_int_equal(idle(f), 0);
    reboot(f, Y2026 + (uint64_t)8 * 86400000 + 10000); /* now it is known */
    assert_int_equal(idle(f), 4000);
    deliver_after(f, 2);
    reboot(f, Y2026 + (uint64_t)9 * 86400000 + 10000); /* from here on it is known throughout */
    assert_int_equal(idle(f), 86400000);
}

static void nor_when_it_is_known_in_the_same_opening(void **state)
{
    struct streams *f = *state;

    setup(f, Y2026);
    reboot(f, 7000);
    deliver_after(f, 1);
    streams_commit(f);
    f->rig.wall_ms = Y2026 + (uint64_t)8 * 86400000;
    streams_begin(f);
    assert_int_equal(idle(f), 0);
    reboot(f, Y2026 + (uint64_t)8 * 86400000 + 60000);
    assert_int_equal(idle(f), 4000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(a_jump_of_the_wall_clock_makes_nothing_idle),
        T(a_restart_takes_no_time_from_the_clock),
        T(a_believable_wall_clock_knows_how_long_the_power_was_off),
        T(without_one_at_least_the_time_since_boot_has_passed),
        T(a_claim_in_vain_still_sets_the_clock_after_a_reboot),
        T(a_wall_clock_that_is_wrong_after_a_restart_makes_nothing_idle),
        T(time_off_before_a_delivery_does_not_count_when_it_is_known_afterwards),
        T(nor_when_it_is_known_in_the_same_opening),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
