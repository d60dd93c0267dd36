/* SPDX-License-Identifier: Apache-2.0 */
/* What schedules add and when: missed times, jumps of the wall clock, refusals, power cuts, lack of
 * memory, and a random life of a board in which no time is dealt with twice. */
#include "engine/queue/schedule.h"

#include "oxbow/policy.h"
#include "oxbow/wait.h"
#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MINUTE   60000u
#define HOUR     3600000u
#define DAY      (24u * (uint64_t)HOUR)
#define YEARS_56 (56u * 365u * DAY)
#define START_MS 1767225600000u /* 2026-01-01, where the rig begins */
#define NOT_SET  1000u

static void set_as(struct streams *f, const char *name, const char *when,
                   enum oxbow_schedule_missed missed)
{
    const struct oxbow_schedule_options opt = {.when = text_bytes(when),
                                               .missed = missed,
                                               .key = text_bytes(name),
                                               .end = OXBOW_RIGHT,
                                               .value = text_bytes("v")};

    assert_ok(oxbow_schedule_set(f->txn, name, &opt));
}

static struct oxbow_schedule_info get(struct streams *f, const char *name)
{
    struct oxbow_schedule_info info;

    assert_ok(oxbow_schedule_get(f->txn, name, &info));
    return info;
}

static uint64_t run(struct streams *f)
{
    uint64_t sum = 0;
    uint64_t done;
    bool more = true;

    while (more) {
        assert_ok(oxbow_schedule_run(f->txn, 0, &done, &more));
        sum += done;
    }
    return sum;
}

/* How many have been added, as the list and the counter say. */
static uint64_t len_of(struct streams *f, const char *name)
{
    uint64_t len;

    assert_ok(oxbow_list_len(f->txn, text_bytes(name), &len));
    assert_int_equal(len, get(f, name).added);
    return len;
}

/* The clocks are read by a transaction when it first asks, and while it is held the store's own thread
 * does nothing: what is due is left to the test. */
static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    streams_begin(f);
    rig_pass_ms(&f->rig, ms);
}

static void turn_clock(struct streams *f, uint64_t wall_ms)
{
    streams_commit(f);
    streams_begin(f);
    f->rig.wall_ms = wall_ms;
}

static void an_entry_is_added_at_each_time(void **state)
{
    static const struct oxbow_field fields[] = {{{"a", 1}, {"1", 1}}};
    const struct oxbow_schedule_options opt = {.when = text_bytes("*/10 * * * *"),
                                               .key = text_bytes("s"),
                                               .fields = fields,
                                               .field_count = 1};
    struct streams *f = *state;
    uint64_t len;

    set_as(f, "period", "every 7m", OXBOW_MISSED_SKIP);
    assert_ok(oxbow_schedule_set(f->txn, "stream", &opt));
    assert_int_equal(run(f), 0);
    for (uint64_t minute = 1; minute <= 100; minute++) {
        pass(f, MINUTE - 1);
        assert_int_equal(run(f), 0);
        pass(f, 1);
        assert_int_equal(run(f), (minute % 10 == 0) + (minute % 7 == 0));
        assert_int_equal(run(f), 0);
    }
    assert_int_equal(len_of(f, "period"), 14);
    assert_ok(oxbow_stream_len(f->txn, text_bytes("s"), &len));
    assert_int_equal(len, 10);
    assert_int_equal(get(f, "stream").last_ms, START_MS + 100 * MINUTE);
    assert_int_equal(get(f, "stream").next_ms, START_MS + 110 * MINUTE);
    assert_int_equal(get(f, "stream").missed + get(f, "period").missed, 0);
    assert_memory_equal(streams_all(f, "s") + strlen(streams_all(f, "s")) - 5, "{a=1}", 5);
}

static void what_was_missed_while_the_store_was_closed_goes_by_what_was_said(void **state)
{
    struct streams *f = *state;

    for (unsigned wall = 0; wall < 2; wall++) {
        const char *when = wall != 0 ? "@hourly" : "every 1h";

        set_as(f, wall != 0 ? "wskip" : "skip", when, OXBOW_MISSED_SKIP);
        set_as(f, wall != 0 ? "wonce" : "once", when, OXBOW_MISSED_ONCE);
        set_as(f, wall != 0 ? "wall" : "all", when, OXBOW_MISSED_ALL);
    }
    streams_commit(f);
    rig_close(&f->rig);
    rig_pass_ms(&f->rig, 150 * HOUR + 30 * MINUTE);
    rig_open(&f->rig);
    streams_begin(f);
    (void)run(f);
    for (unsigned wall = 0; wall < 2; wall++) {
        assert_int_equal(len_of(f, wall != 0 ? "wskip" : "skip"), 0);
        assert_int_equal(get(f, wall != 0 ? "wskip" : "skip").missed, 150);
        assert_int_equal(len_of(f, wall != 0 ? "wonce" : "once"), 1);
        assert_int_equal(get(f, wall != 0 ? "wonce" : "once").missed, 149);
        assert_int_equal(len_of(f, wall != 0 ? "wall" : "all"), 100);
        assert_int_equal(get(f, wall != 0 ? "wall" : "all").missed, 50);
    }
    pass(f, 30 * MINUTE);
    assert_int_equal(run(f), 6);
}

static void what_is_late_by_less_is_added(void **state)
{
    struct streams *f = *state;

    set_as(f, "hour", "@hourly", OXBOW_MISSED_SKIP);
    set_as(f, "short", "every 10s", OXBOW_MISSED_SKIP); /* late is by more than its period */
    pass(f, HOUR + MINUTE);
    (void)run(f);
    assert_int_equal(len_of(f, "hour"), 1);
    assert_int_equal(len_of(f, "short"), 2);
    assert_int_equal(get(f, "short").missed, 364);
    pass(f, HOUR + 1);
    (void)run(f);
    assert_int_equal(len_of(f, "hour"), 1);
    assert_int_equal(get(f, "hour").missed, 1);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 3 * HOUR);
}

static void what_the_clock_does_not_know_waits_until_it_does(void **state)
{
    struct streams *f = *state;

    streams_commit(f);
    rig_fini(&f->rig);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.wall_ms = NOT_SET;
    rig_open(&f->rig);
    streams_begin(f);
    set_as(f, "wall", "* * * * *", OXBOW_MISSED_ALL);
    set_as(f, "period", "every 1m", OXBOW_MISSED_ALL);
    assert_false(get(f, "wall").planned);
    pass(f, 30 * MINUTE);
    (void)run(f);
    assert_int_equal(len_of(f, "wall"), 0);
    assert_int_equal(len_of(f, "period"), 30);
    turn_clock(f, START_MS + 30000); /* fifty-six years later: nothing was missed by that */
    assert_int_equal(run(f), 0);
    assert_true(get(f, "wall").planned);
    assert_int_equal(get(f, "wall").next_ms, START_MS + MINUTE);
    pass(f, 30000);
    assert_int_equal(run(f), 1);
    assert_int_equal(get(f, "wall").missed, 0);
    turn_clock(f, NOT_SET); /* lost again */
    pass(f, 10 * MINUTE);
    (void)run(f);
    assert_int_equal(len_of(f, "wall"), 1);
    turn_clock(f, START_MS + 11 * MINUTE);
    (void)run(f);
    assert_int_equal(len_of(f, "wall"), 11);
}

static void a_jump_of_decades_adds_no_more_than_was_said(void **state)
{
    struct streams *f = *state;

    set_as(f, "all", "* * * * *", OXBOW_MISSED_ALL);
    set_as(f, "once", "* * * * *", OXBOW_MISSED_ONCE);
    set_as(f, "skip", "* * * * *", OXBOW_MISSED_SKIP);
    set_as(f, "period", "every 1h", OXBOW_MISSED_ALL);
    turn_clock(f, START_MS + YEARS_56);
    for (unsigned hour = 0; hour < 23; hour++) { /* such a clock is not believed for a day */
        pass(f, HOUR);
        assert_int_equal(run(f), 1);
        set_as(f, "write", hour % 2 == 0 ? "every 300d" : "every 200d", OXBOW_MISSED_SKIP);
    }
    pass(f, HOUR);
    set_as(f, "write", "every 400d", OXBOW_MISSED_SKIP);
    pass(f, HOUR);
    (void)run(f);
    set_as(f, "write", "every 500d", OXBOW_MISSED_SKIP);
    pass(f, 1);
    (void)run(f);
    assert_int_equal(len_of(f, "all"), 100);
    assert_int_equal(get(f, "all").missed, (YEARS_56 + 25 * HOUR) / MINUTE - 100);
    assert_int_equal(len_of(f, "once"), 1);
    assert_in_range(len_of(f, "skip"), 1, 2);
    assert_int_equal(get(f, "skip").missed + get(f, "skip").added, (YEARS_56 + 25 * HOUR) / MINUTE);
    assert_int_equal(len_of(f, "period"), 25);
}

static void a_clock_that_is_set_back_repeats_nothing(void **state)
{
    struct streams *f = *state;

    set_as(f, "hour", "@hourly", OXBOW_MISSED_ALL);
    for (unsigned i = 1; i <= 10; i++) {
        pass(f, HOUR);
        assert_int_equal(run(f), 1);
    }
    turn_clock(f, START_MS + HOUR + 30 * MINUTE);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(run(f), 0);
        pass(f, HOUR);
    }
    assert_int_equal(get(f, "hour").next_ms, START_MS + 11 * HOUR);
    pass(f, 30 * MINUTE);
    assert_int_equal(run(f), 1);
    /* Nor one that was paused meanwhile, or given another time. */
    turn_clock(f, START_MS + HOUR);
    assert_ok(oxbow_schedule_pause(f->txn, "hour", true));
    assert_ok(oxbow_schedule_pause(f->txn, "hour", false));
    assert_int_equal(get(f, "hour").next_ms, START_MS + 12 * HOUR);
    set_as(f, "hour", "0,30 * * * *", OXBOW_MISSED_ALL);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 11 * HOUR + 30 * MINUTE);
}

static void one_that_was_years_ahead_is_forgotten_when_it_is_put_right(void **state)
{
    struct streams *f = *state;

    set_as(f, "hour", "@hourly", OXBOW_MISSED_SKIP);
    set_as(f, "year", "@yearly", OXBOW_MISSED_SKIP);
    turn_clock(f, START_MS + 400 * DAY + 30 * MINUTE);
    assert_int_equal(run(f), 0);
    pass(f, 30 * MINUTE);
    assert_int_equal(run(f), 1);
    turn_clock(f, START_MS + 2 * HOUR);
    assert_int_equal(run(f), 0);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 3 * HOUR);
    assert_int_equal(get(f, "year").next_ms, START_MS + 365 * DAY);
    pass(f, HOUR);
    assert_int_equal(run(f), 1);
    streams_reopen(f);
    turn_clock(f, START_MS + 500 * DAY);
    (void)run(f);
    streams_reopen(f); /* nothing in memory knows that */
    turn_clock(f, START_MS + 10 * HOUR);
    assert_int_equal(run(f), 0);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 11 * HOUR);
}

/* What a transaction had planned anew is as before when it is aborted, and must be planned again. */
static void a_plan_that_was_put_right_in_vain_is_put_right_again(void **state)
{
    struct streams *f = *state;

    turn_clock(f, START_MS + 400 * DAY + 30 * MINUTE);
    set_as(f, "hour", "@hourly", OXBOW_MISSED_SKIP);
    turn_clock(f, START_MS + 2 * HOUR);
    assert_int_equal(run(f), 0);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 3 * HOUR);
    streams_abort(f);
    streams_begin(f);
    f->rig.wall_ms = START_MS + 2 * HOUR;
    assert_int_equal(run(f), 0);
    assert_int_equal(get(f, "hour").next_ms, START_MS + 3 * HOUR);
    pass(f, HOUR);
    assert_int_equal(run(f), 1);
}

static void what_the_queue_refuses_is_counted_and_holds_up_nothing(void **state)
{
    const struct oxbow_policy one = {.max_entries = 1};
    struct streams *f = *state;

    assert_ok(oxbow_policy_set(f->txn, text_bytes("full"), &one));
    assert_ok(streams_put(f, "wrong", ID(1, 0), "v"));
    set_as(f, "full", "every 1m", OXBOW_MISSED_ALL);
    set_as(f, "wrong", "every 1m", OXBOW_MISSED_ALL);
    set_as(f, "zfine", "every 1m", OXBOW_MISSED_ALL);
    for (unsigned i = 0; i < 5; i++) {
        pass(f, MINUTE);
        assert_int_equal(run(f), 3);
    }
    assert_int_equal(len_of(f, "full"), 1);
    assert_int_equal(get(f, "full").refused, 4);
    assert_int_equal(get(f, "full").why, OXBOW_EFULL);
    assert_int_equal(get(f, "wrong").refused, 5);
    assert_int_equal(get(f, "wrong").why, OXBOW_EWRONGTYPE);
    assert_int_equal(len_of(f, "zfine"), 5);
    assert_ok(oxbow_list_pop(f->txn, text_bytes("full"), OXBOW_LEFT, 1, &f->result));
    pass(f, MINUTE);
    (void)run(f);
    assert_int_equal(get(f, "full").added, 2);
}

static void it_goes_to_the_database_it_was_set_in(void **state)
{
    struct streams *f = *state;

    assert_ok(oxbow_txn_select(f->txn, 3));
    set_as(f, "l", "every 1m", OXBOW_MISSED_SKIP);
    assert_ok(oxbow_txn_select(f->txn, 0));
    pass(f, MINUTE);
    (void)run(f);
    assert_int_equal(txn_database(f->txn), 0);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(len_of(f, "l"), 1);
}

static void a_damaged_one_stops_and_the_others_go_on(void **state)
{
    struct streams *f = *state;

    set_as(f, "a", "every 1m", OXBOW_MISSED_SKIP);
    set_as(f, "b", "every 1m", OXBOW_MISSED_SKIP);
    set_as(f, "c", "every 1m", OXBOW_MISSED_SKIP);
    assert_ok(kv_put(f->txn,
                     BYTES("\x3c"
                           "ca"),
                     BYTES("nonsense")));
    assert_ok(kv_del(f->txn, BYTES("\x3c"
                                   "sb")));
    pass(f, MINUTE);
    assert_int_equal(run(f), 1);
    assert_int_equal(len_of(f, "c"), 1);
    pass(f, MINUTE);
    assert_int_equal(run(f), 1);
}

static void a_store_clock_that_was_lost_stops_no_period(void **state)
{
    struct streams *f = *state;
    struct schedule_state was;
    struct schedule_state st;

    set_as(f, "a", "every 1m", OXBOW_MISSED_ALL);
    assert_ok(schedule_state_get(f->txn, text_bytes("a"), &was));
    st = was;
    st.at_ms += 1000 * DAY;
    st.next_ms += 1000 * DAY;
    assert_ok(schedule_state_put(f->txn, text_bytes("a"), &st, &was));
    assert_int_equal(run(f), 0);
    assert_int_equal(get(f, "a").next_ms, txn_clock_ms(f->txn) + MINUTE);
}

static void a_period_set_before_the_clock_was_is_not_early(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes value = text_bytes("v");

    assert_ok(oxbow_list_push(f->txn, text_bytes("written"), OXBOW_RIGHT, &value, 1, NULL));
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = 20000000;
    f->rig.wall_ms = NOT_SET;
    rig_open(&f->rig);
    streams_begin(f);
    set_as(f, "a", "every 1h", OXBOW_MISSED_ALL);
    turn_clock(f, START_MS + 8 * DAY);
    assert_int_equal(run(f), 0);
    pass(f, HOUR - 1);
    assert_int_equal(run(f), 0);
    pass(f, 1);
    assert_int_equal(run(f), 1);
    assert_int_equal(get(f, "a").missed, 0);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = 20000000;
    f->rig.wall_ms += 10 * HOUR; /* what is off later counts */
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(run(f), 10);
}

static void an_aborted_transaction_adds_nothing(void **state)
{
    struct streams *f = *state;

    set_as(f, "a", "* * * * *", OXBOW_MISSED_ALL);
    pass(f, 10 * MINUTE);
    assert_int_equal(run(f), 10);
    streams_abort(f);
    streams_begin(f); /* the store's own thread may have come first */
    (void)run(f);
    assert_int_equal(len_of(f, "a"), 10);
    assert_int_equal(get(f, "a").missed, 0);
    assert_int_equal(run(f), 0);
}

/* With the real clock: nobody calls anything. */
static void a_waiter_wakes_when_it_is_time(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes key = text_bytes("l");
    const struct oxbow_list_pop_options pop = {
        .keys = &key, .key_count = 1, .end = OXBOW_LEFT, .count = 1};
    const struct oxbow_wait_options wait = {.timeout_ms = 20000};
    const struct oxbow_clock *clock = &oxbow_port_default()->clock;
    uint64_t began;

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.port.clock = *clock;
    rig_open(&f->rig);
    streams_begin(f);
    set_as(f, "l", "every 100ms", OXBOW_MISSED_SKIP);
    began = clock->mono_us(clock->ctx);
    streams_commit(f);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(oxbow_list_pop_wait(f->rig.db, &wait, &pop, NULL, &f->result));
    }
    assert_in_range((clock->mono_us(clock->ctx) - began) / 1000, 298, 15000);
    streams_begin(f);
}

/* ---- faults ---- */

/* An allocation fails, the n-th: the transaction is lost, the occurrence is added or counted as
 * refused, once. */
static void lack_of_memory_loses_count_of_nothing(void **state)
{
    static char text[300];
    struct oxbow_field fields[20];
    const struct oxbow_schedule_options many = {.when = text_bytes("* * * * *"),
                                                .missed = OXBOW_MISSED_ALL,
                                                .key = text_bytes("s"),
                                                .fields = fields,
                                                .field_count = 20};
    struct streams *f = *state;
    struct fault fault;
    uint64_t points = 0;

    for (unsigned i = 0; i < 20; i++) {
        fields[i] = (struct oxbow_field){text_bytes("name"), {text, sizeof text}};
    }

    streams_commit(f);
    rig_close(&f->rig);
    fault_init(&fault, &f->rig.port);
    f->rig.config.port = &fault.port;
    rig_open(&f->rig);
    streams_begin(f);
    set_as(f, "a", "every 1m", OXBOW_MISSED_ALL);
    set_as(f, "b", "* * * * *", OXBOW_MISSED_ALL);
    assert_ok(oxbow_schedule_set(f->txn, "s", &many));
    for (uint64_t n = 1; n < 500; n++) {
        struct oxbow_schedule_info a;
        struct oxbow_schedule_info b;
        struct oxbow_schedule_info s;
        enum oxbow_err err;
        uint64_t failed;
        uint64_t len;

        pass(f, MINUTE);
        fault_arm_alloc(&fault, n, 1);
        err = oxbow_schedule_run(f->txn, 0, NULL, NULL);
        failed = fault.alloc_failed;
        fault_disarm(&fault);
        if (err != OXBOW_OK) {
            assert_err(err, OXBOW_ENOMEM);
            assert_true(failed > 0);
            streams_abort(f);
            streams_begin(f);
        }
        (void)run(f);
        a = get(f, "a");
        b = get(f, "b");
        assert_int_equal(a.added + a.refused, n);
        s = get(f, "s");
        assert_int_equal(b.added + b.refused, n);
        assert_int_equal(s.added + s.refused, n);
        assert_ok(oxbow_stream_len(f->txn, text_bytes("s"), &len));
        assert_int_equal(len, s.added);
        assert_int_equal(a.missed + b.missed, 0);
        (void)len_of(f, "a");
        (void)len_of(f, "b");
        if (failed == 0) {
            break;
        }
        points++;
    }
    assert_in_range(points, 4, 498);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.port = &f->rig.port;
    rig_open(&f->rig);
    streams_begin(f);
}

/* A process adds by two schedules and dies; each time is there once. */
static void nothing_is_lost_or_doubled_by_dying_anywhere(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("schedule_run_test");
    uint64_t minutes = 0;

    set_as(f, "wall", "* * * * *", OXBOW_MISSED_ALL);
    set_as(f, "period", "every 1m", OXBOW_MISSED_ALL);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.sync = OXBOW_SYNC_ALWAYS;
    for (unsigned life = 0; life < 8; life++) {
        unsigned turns = 1 + (unsigned)(rig_random(&seed) % 15);
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            struct oxbow_txn *txn;

            if (oxbow_open(&f->rig.config, &f->rig.db) != OXBOW_OK) {
                _exit(1);
            }
            for (unsigned i = 0; i < turns; i++) {
                rig_pass_ms(&f->rig, MINUTE);
                if (oxbow_txn_begin(f->rig.db, NULL, &txn) != OXBOW_OK ||
                    oxbow_schedule_run(txn, 0, NULL, NULL) != OXBOW_OK ||
                    oxbow_txn_commit(txn, NULL) != OXBOW_OK) {
                    _exit(2);
                }
            }
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        rig_pass_ms(&f->rig, turns * (uint64_t)MINUTE); /* as it did over there */
        minutes += turns;
        rig_open(&f->rig);
        streams_begin(f);
        (void)run(f);
        assert_int_equal(len_of(f, "wall"), minutes);
        assert_int_equal(len_of(f, "period"), minutes);
        streams_commit(f);
        rig_close(&f->rig);
    }
    rig_open(&f->rig);
    streams_begin(f);
}

/* ---- a random life ---- */

/* Whatever clocks do within a day: each time up to the highest that was believed is dealt with once. */
static void no_time_is_dealt_with_twice_or_not_at_all(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("schedule_run_test");
    const struct oxbow_schedule_options every = {.when = text_bytes("*/7 * * * *"),
                                                 .missed = OXBOW_MISSED_ALL,
                                                 .missed_max = OXBOW_SCHEDULE_MADE_UP,
                                                 .key = text_bytes("all"),
                                                 .value = text_bytes("v")};
    uint64_t high = START_MS;
    uint64_t jumped = 0;

    set_as(f, "skip", "*/7 * * * *", OXBOW_MISSED_SKIP);
    set_as(f, "once", "*/7 * * * *", OXBOW_MISSED_ONCE);
    assert_ok(oxbow_schedule_set(f->txn, "all", &every));
    streams_commit(f); /* before the first abort */
    streams_begin(f);
    for (unsigned turn = 0; turn < 600; turn++) {
        static const char *const names[] = {"skip", "once", "all"};
        struct cron c;
        uint64_t wall = 0;
        uint64_t dice = rig_random(&seed) % 100;
        uint64_t ms = rig_random(&seed) % (dice % 7 == 0 ? 10 * HOUR : 10 * MINUTE);

        if (dice < 60) {
            pass(f, ms);
        } else if (dice < 70) {
            streams_reopen(f);
        } else if (dice < 75) {
            streams_abort(f);
            streams_begin(f);
        } else if (dice < 85) { /* back, never by a day below the highest */
            uint64_t back = high - DAY + HOUR > START_MS ? high - DAY + HOUR : START_MS;

            turn_clock(f, f->rig.wall_ms - ms > back ? f->rig.wall_ms - ms : back);
            jumped++;
        } else if (dice < 90) {
            turn_clock(f, f->rig.wall_ms + ms);
            jumped++;
        } else {
            wall = f->rig.wall_ms;
            turn_clock(f, NOT_SET);
            assert_int_equal(run(f), 0);
            turn_clock(f, wall);
        }
        (void)run(f);
        if (txn_wall_believed(f->txn, &wall) && wall > high) {
            high = wall; /* set back by an hour before an opening, it is not for a day */
        }
        assert_ok(cron_parse(text_bytes("*/7 * * * *"), &c, NULL));
        for (unsigned i = 0; i < 3; i++) {
            struct oxbow_schedule_info info = get(f, names[i]);

            assert_int_equal(info.added + info.missed, cron_count(&c, START_MS, high));
            assert_true(i != 2 || info.missed == 0);
            (void)len_of(f, names[i]);
        }
    }
    assert_true(jumped > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(an_entry_is_added_at_each_time),
        TEST(what_was_missed_while_the_store_was_closed_goes_by_what_was_said),
        TEST(what_is_late_by_less_is_added),
        TEST(what_the_clock_does_not_know_waits_until_it_does),
        TEST(a_jump_of_decades_adds_no_more_than_was_said),
        TEST(a_clock_that_is_set_back_repeats_nothing),
        TEST(one_that_was_years_ahead_is_forgotten_when_it_is_put_right),
        TEST(a_plan_that_was_put_right_in_vain_is_put_right_again),
        TEST(what_the_queue_refuses_is_counted_and_holds_up_nothing),
        TEST(it_goes_to_the_database_it_was_set_in),
        TEST(a_damaged_one_stops_and_the_others_go_on),
        TEST(a_store_clock_that_was_lost_stops_no_period),
        TEST(a_period_set_before_the_clock_was_is_not_early),
        TEST(an_aborted_transaction_adds_nothing),
        TEST(a_waiter_wakes_when_it_is_time),
        TEST(lack_of_memory_loses_count_of_nothing),
        TEST(nothing_is_lost_or_doubled_by_dying_anywhere),
        TEST(no_time_is_dealt_with_twice_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
