/* SPDX-License-Identifier: Apache-2.0 */
/* When entries were truly written, for boards that wake in 1970: the clock set later in the same
 * opening, in a later one, and never. The ids never change. */
#include "engine/queue/boots.h"

#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#define HOUR     3600000u
#define DAY      (24u * (uint64_t)HOUR)
#define YEARS_56 (56u * 365u * DAY)
#define NOT_SET  1000u

static struct oxbow_id add(struct streams *f)
{
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, &id));
    return id;
}

static struct oxbow_true_time true_time(struct streams *f, struct oxbow_id id)
{
    struct oxbow_true_time t;

    assert_ok(oxbow_stream_true_time(f->txn, text_bytes("s"), id, &t));
    return t;
}

/* With the transaction open: nobody else may see one clock turned and the other not yet. */
static void pass(struct streams *f, uint64_t ms)
{
    rig_pass_ms(&f->rig, ms);
    streams_commit(f);
    streams_begin(f);
}

static void set_wall(struct streams *f, uint64_t wall_ms)
{
    streams_commit(f);
    f->rig.wall_ms = wall_ms;
    streams_begin(f);
}

/* Off for that long, and 20 s to come up; the clock is not set after it. */
static void reboot(struct streams *f)
{
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = 20000000;
    f->rig.wall_ms = NOT_SET + 20000;
    rig_open(&f->rig);
    streams_begin(f);
}

static void expect(struct streams *f, struct oxbow_id id, bool known, uint64_t from, uint64_t to)
{
    struct oxbow_true_time t = true_time(f, id);

    assert_int_equal(t.known, known);
    assert_int_equal(t.from_ms, from);
    assert_int_equal(t.to_ms, to);
}

static void with_a_clock_that_is_right_ids_and_true_times_are_the_same(void **state)
{
    struct streams *f = *state;

    for (unsigned i = 0; i < 200; i++) {
        struct oxbow_id id = add(f);

        expect(f, id, true, f->rig.wall_ms, f->rig.wall_ms);
        assert_int_equal(id.ms, f->rig.wall_ms);
        pass(f, 1 + i * i);
    }
}

static void
what_was_written_in_1970_is_dated_when_the_clock_is_set_in_the_same_opening(void **state)
{
    struct streams *f = *state;
    uint64_t truth = f->rig.wall_ms;
    struct oxbow_id ids[2];

    reboot(f);
    truth += DAY; /* it was off for a day */
    ids[0] = add(f);
    assert_int_equal(ids[0].ms, NOT_SET + 20000);
    pass(f, 3 * HOUR);
    ids[1] = add(f);
    assert_false(true_time(f, ids[0]).known);
    pass(f, HOUR);
    set_wall(f, truth + 4 * HOUR); /* the link came */
    expect(f, ids[0], true, truth, truth);
    expect(f, ids[1], true, truth + 3 * HOUR, truth + 3 * HOUR);
    (void)add(f);
    reboot(f); /* and that is remembered */
    expect(f, ids[0], true, truth, truth);
    expect(f, ids[1], true, truth + 3 * HOUR, truth + 3 * HOUR);
    assert_string_equal(streams_id(ids[0]), "21000-0");
}

static void what_was_written_in_1970_is_bounded_by_the_openings_that_know_the_time(void **state)
{
    struct streams *f = *state;
    uint64_t before = f->rig.wall_ms;
    uint64_t after = before + 10 * DAY;
    struct oxbow_id first;
    struct oxbow_id second;
    struct oxbow_id id = add(f);

    expect(f, id, true, before, before);
    reboot(f);
    pass(f, HOUR);
    first = add(f);
    expect(f, first, false, before + 20000 + HOUR, UINT64_MAX);
    pass(f, HOUR);
    reboot(f);
    second = add(f);
    pass(f, 2 * HOUR);
    assert_int_equal(true_time(f, second).to_ms, UINT64_MAX);
    set_wall(f, after);
    expect(f, second, true, after - 2 * HOUR, after - 2 * HOUR);
    (void)add(f);
    reboot(f);
    /* At least the uptimes lie between: an hour after the first one, and what it takes to come up. */
    expect(f, first, false, before + 20000 + HOUR, after - 3 * HOUR - 20000);
}

static void a_range_gives_them_beside_its_entries(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_range plain = {.to = OXBOW_ID_MAX};
    const struct oxbow_stream_range timed = {.to = OXBOW_ID_MAX, .true_time = true};
    uint64_t wall = f->rig.wall_ms + DAY;

    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &timed, &f->result));
    assert_int_equal(f->result.entry_count, 0);
    (void)add(f);
    reboot(f);
    (void)add(f);
    pass(f, HOUR);
    (void)add(f);
    reboot(f);
    (void)add(f);
    set_wall(f, wall);
    (void)add(f);
    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &timed, &f->result));
    assert_int_equal(f->result.entry_count, 5);
    for (size_t i = 0; i < 5; i++) {
        struct oxbow_id id = f->result.entries[i].id;

        expect(f, id, f->result.times[i].known, f->result.times[i].from_ms,
               f->result.times[i].to_ms);
        assert_int_equal(oxbow_true_time_is_id(&f->result.times[i], id), i == 0 || i == 4);
    }
    assert_true(f->result.times[4].known && f->result.times[3].known);
    assert_false(f->result.times[1].known);
    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &plain, &f->result));
    assert_int_equal(f->result.entry_count, 5);
    assert_null(f->result.times);
}

/* The device fails before the store knows the time, and is back when it does. */
static void what_was_held_in_memory_keeps_its_true_time(void **state)
{
    enum { STEP = 100 }; /* the device is looked for after a second */
    struct streams *f = *state;
    uint64_t truth = f->rig.wall_ms + DAY;
    struct oxbow_id ids[4];
    struct oxbow_stat stat;
    struct fault fault;

    fault_init(&fault, &f->rig.port);
    f->rig.config.port = &fault.port;
    f->rig.config.sync = OXBOW_SYNC_ALWAYS;
    f->rig.config.journal = OXBOW_JOURNAL_ON; /* which is written by the port */
    f->rig.config.on_failure = OXBOW_FAILURE_MEMORY;
    reboot(f);
    ids[0] = add(f);
    rig_pass_ms(&f->rig, STEP);
    streams_commit(f);
    fault_arm_files(&fault, FAULT_WRITING, 1, UINT64_MAX, OXBOW_EIO);
    for (unsigned i = 1; i <= 3; i++) {
        streams_begin(f);
        if (i == 3) {
            f->rig.wall_ms = truth + 3 * STEP; /* the link came */
        }
        ids[i] = add(f);
        rig_pass_ms(&f->rig, STEP);
        assert_err(rig_try_commit(f->txn, NULL), OXBOW_EVOLATILE);
        f->txn = NULL;
    }
    oxbow_stat(f->rig.db, &stat);
    assert_true(stat.in_memory);
    fault_disarm(&fault);
    assert_ok(oxbow_return(f->rig.db));
    streams_begin(f);
    for (unsigned i = 0; i <= 3; i++) {
        expect(f, ids[i], true, truth + i * STEP, truth + i * STEP);
    }
    reboot(f);
    for (unsigned i = 0; i <= 3; i++) {
        expect(f, ids[i], true, truth + i * STEP, truth + i * STEP);
    }
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.port = &f->rig.port;
    rig_open(&f->rig);
    streams_begin(f);
}

static void a_true_time_has_a_text(void **state)
{
    static const struct {
        struct oxbow_true_time t;
        const char *text;
    } rows[] = {
        {{true, 1767225600000, 1767225600000}, "1767225600000"},
        {{true, 1767225600000, 1767225600001}, "1767225600000..1767225600001"},
        {{false, 1767225600000, UINT64_MAX}, "1767225600000.."},
        {{false, 0, 1767225600000}, "..1767225600000"},
        {{false, 0, UINT64_MAX}, ".."},
        {{true, 0, 0}, "..0"},
        {{false, UINT64_MAX - 1, UINT64_MAX - 2}, "18446744073709551614..18446744073709551613"}};
    char text[OXBOW_TRUE_TIME_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(oxbow_true_time_text(&rows[i].t, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void an_id_tells_the_time_within_two_seconds(void **state)
{
    const struct oxbow_true_time exact = {true, 10000, 10000};
    const struct oxbow_true_time doubted = {false, 10000, 10000};

    (void)state;
    assert_true(oxbow_true_time_is_id(&exact, ID(8000, 0)));
    assert_true(oxbow_true_time_is_id(&exact, ID(12000, 0)));
    assert_false(oxbow_true_time_is_id(&exact, ID(7999, 0)));
    assert_false(oxbow_true_time_is_id(&exact, ID(12001, 0)));
    assert_false(oxbow_true_time_is_id(&doubted, ID(10000, 0)));
}

static void what_nobody_knows_is_said_to_be_unknown(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id;

    streams_abort(f);
    rig_fini(&f->rig); /* a board that never knew the time */
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.wall_ms = NOT_SET;
    rig_open(&f->rig);
    streams_begin(f);
    id = add(f);
    expect(f, id, false, 0, UINT64_MAX);
    reboot(f);
    expect(f, id, false, 0, UINT64_MAX);
    set_wall(f, 1800000000000u);
    expect(f, id, false, 0, 1800000000000u - 20000);
}

static void a_wall_clock_that_jumps_decades_ahead_dates_nothing(void **state)
{
    struct streams *f = *state;
    uint64_t truth = f->rig.wall_ms;
    struct oxbow_id ids[3];

    ids[0] = add(f);
    pass(f, HOUR);
    set_wall(f, truth + HOUR + YEARS_56);
    ids[1] = add(f);
    assert_int_equal(ids[1].ms, truth + HOUR + YEARS_56);
    pass(f, HOUR);
    set_wall(f, truth + 2 * HOUR);
    ids[2] = add(f); /* its id goes on from the jump */
    assert_int_equal(ids[2].ms, ids[1].ms);
    expect(f, ids[0], true, truth, truth);
    expect(f, ids[1], true, truth + HOUR, truth + HOUR);
    assert_in_range(true_time(f, ids[2]).from_ms, truth + 2 * HOUR - 5, truth + 2 * HOUR);
}

static void entries_with_ids_of_their_own_are_dated_by_their_chunks(void **state)
{
    struct streams *f = *state;
    uint64_t truth = f->rig.wall_ms;
    struct oxbow_true_time t;

    for (uint64_t i = 1; i <= 10; i++) {
        assert_ok(streams_put(f, "s", ID(i, 0), "v"));
        pass(f, HOUR);
    }
    expect(f, ID(1, 0), true, truth, truth);
    t = true_time(f, ID(5, 0));
    assert_true(t.known);
    assert_in_range(truth + 4 * HOUR, t.from_ms, t.to_ms);
    assert_true(t.to_ms <= truth + 10 * HOUR);
}

static void what_has_no_record_is_taken_at_its_own_word_if_that_can_be(void **state)
{
    struct streams *f = *state;
    struct oxbow_stamp stamp = {.boot = 7000, .uptime_ms = 5, .wall_ms = 1800000000000u};
    struct oxbow_true_time t;

    (void)add(f);
    assert_ok(oxbow_true_time(f->txn, &stamp, &t));
    assert_true(t.known);
    assert_int_equal(t.from_ms, 1800000000000u);
    stamp.wall_ms = NOT_SET;
    assert_ok(oxbow_true_time(f->txn, &stamp, &t));
    assert_false(t.known);
    assert_int_equal(t.from_ms, f->rig.wall_ms);
    stamp.boot = 0;
    assert_ok(oxbow_true_time(f->txn, &stamp, &t));
    assert_false(t.known);
    assert_int_equal(t.from_ms, 0);
    assert_int_equal(t.to_ms, f->rig.wall_ms);
}

static void bad_arguments_are_refused(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stamp stamp = {0};
    struct oxbow_true_time t;
    struct oxbow_time now;
    struct oxbow_id id = add(f);

    assert_err(oxbow_true_time(f->txn, NULL, &t), OXBOW_EINVAL);
    assert_err(oxbow_true_time(f->txn, &stamp, NULL), OXBOW_EINVAL);
    assert_err(oxbow_time_now(f->txn, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_true_time(f->txn, text_bytes("s"), id, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_true_time(f->txn, text_bytes("t"), id, &t), OXBOW_ENOENT);
    assert_err(oxbow_stream_true_time(f->txn, text_bytes("s"), ID(1, 1), &t), OXBOW_ENOENT);
    assert_ok(oxbow_time_now(f->txn, &now));
    assert_true(now.wall_set && now.wall_believed);
    assert_int_equal(now.wall_ms, f->rig.wall_ms);
    assert_int_equal(now.boot, 1);
}

static void an_aborted_opening_of_the_record_leaves_no_trace(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id;

    reboot(f);
    (void)add(f);
    streams_abort(f);
    streams_begin(f);
    id = add(f);
    expect(f, id, false, f->rig.wall_ms < DAY ? true_time(f, id).from_ms : 0, UINT64_MAX);
    pass(f, 100);
    set_wall(f, 1800000000000u);
    expect(f, id, true, 1800000000000u - 100, 1800000000000u - 100);
}

static void only_the_last_openings_are_remembered(void **state)
{
    struct streams *f = *state;
    struct oxbow_id oldest = add(f);
    struct oxbow_stamp stamp;
    struct oxbow_stat stat;

    streams_commit(f);
    for (unsigned i = 0; i < OXBOW_TIME_BOOTS + 10; i++) {
        rig_close(&f->rig);
        f->rig.mono_us += 1000000;
        f->rig.wall_ms = NOT_SET;
        rig_open(&f->rig);
        streams_begin(f);
        assert_ok(streams_put(f, "s", ID(f->rig.mono_us + DAY * 100000, 0), "v"));
        streams_commit(f);
    }
    streams_begin(f);
    assert_ok(oxbow_stream_stamp(f->txn, text_bytes("s"), oldest, &stamp));
    expect(f, oldest, true, stamp.wall_ms, stamp.wall_ms); /* at its own word */
    streams_reopen(f);
    oxbow_stat(f->rig.db, &stat);
    assert_in_range(stat.keys, OXBOW_TIME_BOOTS, 2 * OXBOW_TIME_BOOTS + 50); /* and the chunks */
}

/* A random life: each entry's true time lies within what is said of it, and is exact in openings
 * that knew the time. */
static void the_truth_lies_within_what_is_said(void **state)
{
    struct streams *f = *state;
    enum { ENTRIES = 400 };
    static struct oxbow_id ids[ENTRIES];
    static uint64_t truths[ENTRIES];
    uint64_t seed = rig_seed("boots_test");
    uint64_t base = f->rig.wall_ms;
    uint64_t passed = 0;
    size_t known = 0;

    ids[0] = add(f); /* before the clock first jumps: else nothing could tell the earliest time */
    truths[0] = base;
    for (size_t n = 1; n < ENTRIES;) {
        uint64_t dice = rig_random(&seed) % 100;
        uint64_t ms = rig_random(&seed) % (dice % 5 == 0 ? 3 * HOUR : 5000);

        pass(f, ms);
        passed += ms;
        if (dice < 70) {
            ids[n] = add(f);
            truths[n++] = base + passed;
        } else if (dice < 80) {
            set_wall(f, base + passed);
        } else if (dice < 85) {
            set_wall(f, NOT_SET + ms);
        } else if (dice < 90) {
            set_wall(f, base + passed + YEARS_56 + rig_random(&seed) % YEARS_56);
        } else {
            uint64_t off = rig_random(&seed) % (2 * DAY);

            reboot(f);
            passed += off + 20000;
            if (dice < 93) {
                set_wall(f, base + passed);
            }
        }
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        struct oxbow_true_time t = true_time(f, ids[i]);

        known += t.known;
        assert_in_range(truths[i] + 2000, t.from_ms,
                        t.to_ms < UINT64_MAX - 4000 ? t.to_ms + 4000 : t.to_ms);
        assert_true(t.from_ms >= base - 1);
    }
    assert_true(known > ENTRIES / 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_a_clock_that_is_right_ids_and_true_times_are_the_same),
        TEST(what_was_written_in_1970_is_dated_when_the_clock_is_set_in_the_same_opening),
        TEST(what_was_written_in_1970_is_bounded_by_the_openings_that_know_the_time),
        TEST(a_range_gives_them_beside_its_entries),
        TEST(what_was_held_in_memory_keeps_its_true_time),
        TEST(a_true_time_has_a_text),
        TEST(an_id_tells_the_time_within_two_seconds),
        TEST(what_nobody_knows_is_said_to_be_unknown),
        TEST(a_wall_clock_that_jumps_decades_ahead_dates_nothing),
        TEST(entries_with_ids_of_their_own_are_dated_by_their_chunks),
        TEST(what_has_no_record_is_taken_at_its_own_word_if_that_can_be),
        TEST(bad_arguments_are_refused),
        TEST(an_aborted_opening_of_the_record_leaves_no_trace),
        TEST(only_the_last_openings_are_remembered),
        TEST(the_truth_lies_within_what_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
