/* SPDX-License-Identifier: Apache-2.0 */
/* The store's own clock: what counts and what does not, through jumps of the wall clock of 56 years
 * both ways, restarts, reboots, boards that wake in 1970, and power cuts. */
#include "engine/store/clock.h"

#include "engine/store/store.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR     3600000u
#define DAY      (24u * HOUR)
#define YEARS_56 (56u * 365ull * DAY)
#define NOT_SET  1000u /* a second after the beginning of 1970 */

static struct rig rig;

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

static uint64_t now(void)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    uint64_t ms = txn_clock_ms(txn);

    rig_abort(txn);
    return ms;
}

static uint64_t leapt(void)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    uint64_t ms = txn_clock_added_ms(txn);

    rig_abort(txn);
    return ms;
}

static enum oxbow_err write_something(struct oxbow *db)
{
    static const uint8_t key[] = {KV_SPACE_OBJECT, 1};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err == OXBOW_OK) {
        err = kv_put(txn, (struct oxbow_bytes){key, sizeof key}, (struct oxbow_bytes){"value", 5});
        return err == OXBOW_OK ? oxbow_txn_commit(txn, NULL) : err;
    }
    return err;
}

static void commit(void)
{
    assert_int_equal(write_something(rig.db), OXBOW_OK);
}

/* The board is switched off for that long, and takes 20 s to come up again. */
static void reboot(uint64_t off_ms, bool knows_time)
{
    if (rig.db != NULL) {
        rig_close(&rig);
    }
    rig.wall_ms = knows_time ? rig.wall_ms + off_ms + 20000 : NOT_SET + 20000;
    rig.mono_us = 20000000;
    rig_open(&rig);
}

static void it_begins_at_one_and_runs_with_the_monotonic_clock(void **state)
{
    uint64_t start = now();

    (void)state;
    assert_int_not_equal(start, 0);
    rig_pass_ms(&rig, 1234);
    assert_int_equal(now() - start, 1234);
    rig_pass_ms(&rig, 10 * 365 * (uint64_t)DAY);
    assert_int_equal(now() - start, 1234 + 10 * 365 * (uint64_t)DAY);
}

static void it_stands_still_within_a_transaction(void **state)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    uint64_t first = txn_clock_ms(txn);

    (void)state;
    rig_pass_ms(&rig, 5000);
    assert_int_equal(txn_clock_ms(txn), first);
    rig_abort(txn);
    assert_int_equal(now() - first, 5000);
}

static void a_transaction_that_takes_hours_is_counted_when_it_commits(void **state)
{
    static const uint8_t key[] = {KV_SPACE_OBJECT, 1};
    struct oxbow_txn *txn;
    uint64_t start;
    uint64_t wall;

    (void)state;
    commit();
    rig_pass_ms(&rig, 2 * (uint64_t)CLOCK_MARK_MS); /* the next commit looks at the wall clock */
    txn = rig_begin(&rig, 0);
    start = txn_clock_ms(txn);
    assert_int_equal(
        kv_put(txn, (struct oxbow_bytes){key, sizeof key}, (struct oxbow_bytes){"value", 5}), 0);
    rig_pass_ms(&rig, 3 * HOUR);
    rig_commit(txn);
    wall = rig.wall_ms;
    rig.wall_ms = NOT_SET; /* so that closing puts nothing right */
    rig_close(&rig);
    rig.wall_ms = wall;
    reboot(HOUR, true); /* the wall clock adds the time without power, and not the three again */
    assert_int_equal(now() - start, 4 * HOUR + 20000);
    assert_int_equal(leapt(), HOUR);
}

static void jumps_of_the_wall_clock_do_not_move_it(void **state)
{
    uint64_t start = now();

    (void)state;
    rig.wall_ms += YEARS_56;
    commit();
    assert_int_equal(now(), start);
    rig_pass_ms(&rig, 100);
    rig.wall_ms -= YEARS_56;
    commit();
    assert_int_equal(now(), start + 100);
    rig_pass_ms(&rig, 5000);
    rig.wall_ms = NOT_SET;
    commit();
    assert_int_equal(now(), start + 5100);
    rig_reopen(&rig);
    assert_int_equal(now(), start + 5100);
}

static void a_monotonic_clock_that_goes_back_does_not_turn_it_back(void **state)
{
    uint64_t start = now();

    (void)state;
    rig.mono_us -= 500000000;
    assert_int_equal(now(), start);
    commit();
    rig.mono_us += 500001000;
    assert_int_equal(now(), start + 1);
}

static void a_restart_of_the_program_counts_in_full(void **state)
{
    uint64_t start = now();

    (void)state;
    commit();
    rig_close(&rig);
    rig.mono_us += HOUR * 1000ull; /* and the wall clock says nothing of it */
    rig_open(&rig);
    assert_int_equal(now() - start, HOUR);
}

static void time_without_power_counts_once_where_the_wall_clock_knows_it(void **state)
{
    uint64_t start = now();

    (void)state;
    rig_pass_ms(&rig, 5000);
    commit();
    reboot(30 * (uint64_t)DAY, true);
    assert_int_equal(now() - start, 5000 + 30 * (uint64_t)DAY + 20000);
    rig_reopen(&rig);
    assert_int_equal(now() - start, 5000 + 30 * (uint64_t)DAY + 20000);
    reboot(DAY, true);
    assert_int_equal(now() - start, 5000 + 31 * (uint64_t)DAY + 40000);
}

static void of_time_without_power_and_clock_only_the_uptime_counts(void **state)
{
    uint64_t start = now();

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        rig_pass_ms(&rig, 1000);
        commit();
        reboot(DAY, false);
        assert_int_equal(now() - start, i * 21000);
    }
}

static void time_without_power_is_added_when_the_clock_is_set_later(void **state)
{
    uint64_t wall = rig.wall_ms;
    uint64_t start = now();

    (void)state;
    commit();
    reboot(0, false);
    rig_pass_ms(&rig, 1000);
    commit();
    reboot(0, false);
    rig_pass_ms(&rig, HOUR);
    assert_int_equal(now() - start, 41000 + HOUR);
    rig.wall_ms = wall + 7 * (uint64_t)DAY; /* the link came */
    assert_int_equal(now() - start, 7 * (uint64_t)DAY);
    rig.wall_ms += DAY; /* once */
    commit();
    assert_int_equal(now() - start, 7 * (uint64_t)DAY);
    rig_reopen(&rig);
    assert_int_equal(now() - start, 7 * (uint64_t)DAY);
}

static void a_wall_clock_that_is_decades_off_at_a_start_adds_nothing(void **state)
{
    uint64_t wall = rig.wall_ms;
    uint64_t start = now();

    (void)state;
    commit();
    reboot(YEARS_56, true);
    assert_int_equal(now() - start, 20000);
    rig.wall_ms = wall + DAY; /* put right */
    assert_int_equal(now() - start, DAY);
    commit();
    rig_pass_ms(&rig, 1000);
    commit();
    rig.wall_ms = wall - 300 * (uint64_t)DAY; /* behind, but set */
    rig_close(&rig);
    rig.mono_us = 20000000;
    rig_open(&rig);
    assert_int_equal(now() - start, DAY + 21000);
    rig.wall_ms = wall + 2 * (uint64_t)DAY;
    assert_int_equal(now() - start, 2 * (uint64_t)DAY);
}

static void five_years_are_the_most_that_is_believed(void **state)
{
    uint64_t start = now();

    (void)state;
    commit();
    reboot(CLOCK_OFF_MAX_MS, true);
    assert_int_equal(now() - start, CLOCK_OFF_MAX_MS + 20000);
    rig_pass_ms(&rig, 1000);
    commit();
    reboot(CLOCK_OFF_MAX_MS + 1, true);
    assert_int_equal(now() - start, CLOCK_OFF_MAX_MS + 41000);
}

static void a_clock_that_was_once_set_wrong_is_believed_again_after_a_steady_day(void **state)
{
    uint64_t start;
    uint64_t then;

    (void)state;
    rig.wall_ms += YEARS_56;
    rig_reopen(&rig); /* adds nothing, and after a day it is taken for right */
    start = now();
    for (unsigned i = 0; i < 25; i++) {
        rig_pass_ms(&rig, HOUR);
        commit();
    }
    assert_int_equal(now() - start, 25 * HOUR);
    rig.wall_ms -= YEARS_56;
    reboot(DAY, true); /* now the right one is what is doubted */
    then = now();
    assert_int_equal(then - start, 25 * HOUR + 20000);
    for (unsigned i = 0; i < 25; i++) {
        rig_pass_ms(&rig, HOUR);
        commit();
    }
    assert_int_equal(now() - then, 25 * HOUR);
    reboot(DAY, true);
    assert_int_equal(now() - then, 25 * HOUR + DAY + 20000);
}

static void what_is_read_only_has_the_clock_too(void **state)
{
    uint64_t start = now();

    (void)state;
    commit();
    rig_close(&rig);
    rig.config.flags = OXBOW_OPEN_READONLY;
    rig_pass_ms(&rig, 700);
    rig_open(&rig);
    assert_int_equal(now() - start, 700);
    rig_close(&rig);
    rig.config.flags = 0;
    rig_open(&rig);
    assert_int_equal(now() - start, 700);
}

static void it_can_be_raised_and_never_lowered(void **state)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    uint64_t start = txn_clock_ms(txn);

    (void)state;
    txn_clock_raise(txn, start + DAY);
    assert_int_equal(txn_clock_ms(txn), start + DAY);
    txn_clock_raise(txn, start);
    assert_int_equal(txn_clock_ms(txn), start + DAY);
    rig_abort(txn);
    commit();
    rig_reopen(&rig);
    assert_int_equal(now(), start + DAY); /* and the wall clock does not add that once more */
    reboot(DAY, true);
    assert_int_equal(now(), start + 2 * (uint64_t)DAY + 20000);
}

/* Opens the store, commits `count` times, `step_ms` apart, and dies; what the clock showed at the
 * last commit. */
static uint64_t die_after(unsigned count, uint64_t step_ms)
{
    uint64_t shown = 0;
    int ends[2];
    int status;
    pid_t pid;

    rig_close(&rig);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (oxbow_open(&rig.config, &rig.db) != OXBOW_OK) {
            _exit(1);
        }
        for (unsigned i = 0; i < count; i++) {
            rig_pass_ms(&rig, step_ms);
            if (write_something(rig.db) != OXBOW_OK) {
                _exit(2);
            }
            shown = rig.db->clock.now_ms;
        }
        _exit(write(ends[1], &shown, sizeof shown) == sizeof shown ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &shown, sizeof shown), sizeof shown);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
    return shown;
}

static void after_a_power_cut_it_goes_on_from_the_newest_mark(void **state)
{
    (void)state;
    for (uint64_t step = 1; step <= 10000; step *= 10) {
        uint64_t shown = die_after(100, step);

        reboot(0, false);
        assert_in_range(now(), shown - CLOCK_MARK_MS + 20000, shown + 20000);
    }
}

static void after_a_crash_of_the_program_nothing_is_lost(void **state)
{
    (void)state;
    for (uint64_t step = 1; step <= 10000; step *= 10) {
        uint64_t shown = die_after(100, step);

        rig_pass_ms(&rig, 100 * step); /* as it did over there */
        rig_open(&rig);
        assert_int_equal(now(), shown);
    }
}

/* What a random life of a board is checked against: the time that has passed in truth. */
static void it_never_goes_back_nor_ahead_of_the_truth(void **state)
{
    uint64_t seed = rig_seed("clock_test");
    uint64_t base_wall = rig.wall_ms;
    uint64_t nonsense = 0;
    uint64_t passed = 0; /* in truth, since the first reading */
    uint64_t start = now();
    uint64_t last = start;
    uint64_t kept = start; /* shown at the newest commit or opening */

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t dice = rig_random(&seed) % 100;
        uint64_t ms = rig_random(&seed) % (dice % 7 == 0 ? 3 * DAY : 5000);

        if (dice < 50) {
            rig_pass_ms(&rig, ms);
            passed += ms;
            commit();
        } else if (dice < 60) {
            rig.wall_ms = NOT_SET + ms; /* lost */
        } else if (dice < 70) {
            rig.wall_ms = base_wall + passed; /* right again */
        } else if (dice < 75) {
            rig.wall_ms =
                base_wall + passed + YEARS_56 + nonsense++ * (CLOCK_OFF_MAX_MS + 30 * DAY);
        } else if (dice < 90) {
            passed += ms;
            rig_pass_ms(&rig, ms);
            rig_reopen(&rig);
        } else {
            rig_close(&rig);
            passed += ms;
            rig.wall_ms = dice < 95 ? base_wall + passed : NOT_SET;
            rig.mono_us = rig_random(&seed) % (ms * 1000 + 1);
            rig_open(&rig);
        }
        assert_in_range(now(), dice < 75 ? last : kept, start + passed);
        last = now();
        kept = dice < 50 || dice >= 75 ? last : kept;
    }
    assert_true(last - start > passed / 8); /* nor does it stand still */
}

/* Its time is kept in a file, and goes on from there. */
static void what_a_wall_clock_is_behind_at_a_start_is_not_added_later(void **state)
{
    uint64_t start = now();
    uint64_t wall = rig.wall_ms;
    uint64_t passed = 0;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        rig_pass_ms(&rig, 1000);
        commit();
        rig_close(&rig);
        rig.mono_us = 30000000; /* 30 s to come up, of which the wall clock knows nothing */
        passed += 31000;
        rig_open(&rig);
        rig_pass_ms(&rig, 5000);
        commit();
        passed += 5000;
        assert_int_equal(now() - start, passed);
    }
    rig.wall_ms = wall + passed; /* right again, while the store is open */
    commit();
    rig_pass_ms(&rig, 5000);
    commit();
    passed += 5000;
    assert_int_equal(now() - start, passed);
    reboot(DAY, true);
    assert_int_equal(now() - start, passed + DAY + 20000);
    assert_int_equal(leapt(), DAY);
}

static void nor_when_it_is_right_at_the_next_start(void **state)
{
    uint64_t start = now();
    uint64_t wall = rig.wall_ms;

    (void)state;
    rig_pass_ms(&rig, 1000);
    commit();
    rig_close(&rig);
    rig.mono_us = 30000000;
    rig_open(&rig);
    rig_pass_ms(&rig, 5000);
    commit();
    rig_close(&rig);
    rig.mono_us = 30000000;
    rig.wall_ms = wall + 1000 + 30000 + 5000 + 30000;
    rig_open(&rig);
    assert_int_equal(now() - start, 66000);
    assert_int_equal(leapt(), 0);
}

static void it_says_how_much_of_it_the_wall_clock_has_added(void **state)
{
    (void)state;
    commit();
    assert_int_equal(leapt(), 0);
    reboot(3 * DAY, true);
    assert_int_equal(leapt(), 3ull * DAY);
    rig_pass_ms(&rig, HOUR);
    commit();
    assert_int_equal(leapt(), 3ull * DAY);
    rig_reopen(&rig);
    assert_int_equal(leapt(), 3ull * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_begins_at_one_and_runs_with_the_monotonic_clock, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_stands_still_within_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_that_takes_hours_is_counted_when_it_commits,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(jumps_of_the_wall_clock_do_not_move_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_monotonic_clock_that_goes_back_does_not_turn_it_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_of_the_program_counts_in_full, setup, teardown),
        cmocka_unit_test_setup_teardown(
            time_without_power_counts_once_where_the_wall_clock_knows_it, setup, teardown),
        cmocka_unit_test_setup_teardown(of_time_without_power_and_clock_only_the_uptime_counts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(time_without_power_is_added_when_the_clock_is_set_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_wall_clock_that_is_decades_off_at_a_start_adds_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(five_years_are_the_most_that_is_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_clock_that_was_once_set_wrong_is_believed_again_after_a_steady_day, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_read_only_has_the_clock_too, setup, teardown),
        cmocka_unit_test_setup_teardown(it_can_be_raised_and_never_lowered, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_power_cut_it_goes_on_from_the_newest_mark, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(after_a_crash_of_the_program_nothing_is_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(it_never_goes_back_nor_ahead_of_the_truth, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_wall_clock_is_behind_at_a_start_is_not_added_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(nor_when_it_is_right_at_the_next_start, setup, teardown),
        cmocka_unit_test_setup_teardown(it_says_how_much_of_it_the_wall_clock_has_added, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
