/* SPDX-License-Identifier: Apache-2.0 */
/* Patrols send back what consumers of a list have left behind: not early, not twice, nothing lost. */
#include "oxbow/patrol.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

static const struct oxbow_patrol_options PLAIN = {
    .processing = {"work", 4}, .to = {"jobs", 4}, .to_end = OXBOW_RIGHT, .timeout_ms = 1000};

static void push(struct streams *f, const char *key, const char *value)
{
    struct oxbow_bytes v = text_bytes(value);

    assert_ok(oxbow_list_push(f->txn, text_bytes(key), OXBOW_LEFT, &v, 1, NULL));
}

/* A consumer takes the oldest job into its own list. */
static const char *take(struct streams *f)
{
    static char text[64];
    enum oxbow_err err =
        oxbow_list_move(f->txn, BYTES("jobs"), BYTES("work"), OXBOW_RIGHT, OXBOW_LEFT, &f->result);

    if (err == OXBOW_ENOENT) {
        return "";
    }
    assert_ok(err);
    snprintf(text, sizeof text, "%.*s", (int)f->result.items[0].len,
             (const char *)f->result.items[0].data);
    return text;
}

static uint64_t done(struct streams *f, const char *value)
{
    uint64_t removed;

    assert_ok(oxbow_list_remove(f->txn, BYTES("work"), 1, text_bytes(value), &removed));
    return removed;
}

static const char *list(struct streams *f, const char *key)
{
    static char text[4096];
    size_t len = 0;

    assert_ok(oxbow_list_range(f->txn, text_bytes(key), 0, -1, &f->result));
    text[0] = '\0';
    for (size_t i = 0; i < f->result.item_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i > 0 ? " " : "",
                                (int)f->result.items[i].len, (const char *)f->result.items[i].data);
    }
    return text;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static struct oxbow_patrol patrol(struct streams *f, const struct oxbow_patrol_options *opt)
{
    struct oxbow_patrol out;

    assert_ok(oxbow_list_patrol(f->txn, opt, &out));
    return out;
}

static void what_is_left_too_long_goes_back(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol out;

    push(f, "jobs", "a");
    push(f, "jobs", "b");
    push(f, "jobs", "c");
    assert_string_equal(take(f), "a");
    assert_string_equal(take(f), "b");
    out = patrol(f, &PLAIN);
    assert_int_equal(out.found, 2);
    assert_int_equal(out.returned, 0);
    assert_true(out.has_next);
    assert_int_equal(out.next_ms, 1000);
    pass(f, 400);
    assert_string_equal(take(f), "c");
    assert_int_equal(done(f, "a"), 1);
    patrol(f, &PLAIN);
    pass(f, 599);
    assert_int_equal(patrol(f, &PLAIN).returned, 0);
    streams_reopen(f);
    pass(f, 1);
    out = patrol(f, &PLAIN);
    assert_int_equal(out.returned, 1);
    assert_int_equal(out.next_ms, 400);
    assert_string_equal(list(f, "jobs"), "b");
    assert_string_equal(list(f, "work"), "c");
    pass(f, 400);
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
    assert_string_equal(list(f, "jobs"), "b c");
    assert_string_equal(list(f, "work"), "");
    assert_false(patrol(f, &PLAIN).has_next);
}

static void an_element_that_comes_again_is_new_again(void **state)
{
    struct streams *f = *state;

    push(f, "jobs", "a");
    take(f);
    patrol(f, &PLAIN);
    pass(f, 1000);
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
    assert_string_equal(take(f), "a");
    assert_int_equal(patrol(f, &PLAIN).returned, 0);
    pass(f, 999);
    assert_int_equal(patrol(f, &PLAIN).returned, 0);
    /* Done and given out anew between two patrols: they cannot tell. */
    pass(f, 1);
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
}

static void of_equal_elements_only_the_old_ones_go(void **state)
{
    struct streams *f = *state;

    push(f, "jobs", "x");
    push(f, "jobs", "x");
    push(f, "jobs", "x");
    take(f);
    patrol(f, &PLAIN);
    pass(f, 600);
    take(f);
    take(f);
    patrol(f, &PLAIN);
    pass(f, 400);
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
    assert_string_equal(list(f, "work"), "x x");
    assert_string_equal(list(f, "jobs"), "x");
    pass(f, 600);
    assert_int_equal(patrol(f, &PLAIN).returned, 2);
}

static void sent_back_too_often_it_goes_to_the_dead(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol_options opt = PLAIN;

    opt.max_returns = 2;
    opt.dead = BYTES("dead");
    push(f, "jobs", "poison");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(take(f), "poison");
        patrol(f, &opt);
        pass(f, 1000);
        assert_int_equal(patrol(f, &opt).returned, i < 2);
        streams_reopen(f);
    }
    assert_string_equal(list(f, "dead"), "poison");
    assert_string_equal(list(f, "jobs"), "");
    assert_string_equal(list(f, "work"), "");
    /* The dead go back as from any list. */
    assert_ok(
        oxbow_list_move(f->txn, BYTES("dead"), BYTES("jobs"), OXBOW_LEFT, OXBOW_LEFT, &f->result));
    assert_string_equal(take(f), "poison");
    patrol(f, &opt);
    pass(f, 1000);
    assert_int_equal(patrol(f, &opt).returned, 1);
}

static void what_cannot_go_back_stays(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol out;

    push(f, "jobs", "a");
    take(f);
    patrol(f, &PLAIN);
    pass(f, 1000);
    streams_fill(f, "jobs", 1); /* a stream of that name now */
    out = patrol(f, &PLAIN);
    assert_int_equal(out.returned, 0);
    assert_int_equal(out.problem, OXBOW_EWRONGTYPE);
    assert_string_equal(list(f, "work"), "a");
    assert_ok(oxbow_key_delete(f->txn, BYTES("jobs"), NULL));
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
}

static void an_aborted_patrol_has_sent_nothing(void **state)
{
    struct streams *f = *state;

    push(f, "jobs", "a");
    take(f);
    patrol(f, &PLAIN);
    pass(f, 1000);
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
    streams_abort(f);
    streams_begin(f);
    assert_string_equal(list(f, "work"), "a");
    assert_string_equal(list(f, "jobs"), "");
    assert_int_equal(patrol(f, &PLAIN).returned, 1);
}

static void a_patrol_does_bounded_work(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol out;
    uint64_t returned = 0, len;

    for (int i = 0; i < 1500; i++) {
        char text[16];

        snprintf(text, sizeof text, "%d", i);
        push(f, "work", text);
    }
    assert_int_equal(patrol(f, &PLAIN).found, OXBOW_PATROL_ELEMENTS_MAX);
    pass(f, 1000);
    do {
        out = patrol(f, &PLAIN);
        assert_true(out.returned <= 100);
        returned += out.returned;
    } while (out.more);
    assert_int_equal(returned, OXBOW_PATROL_ELEMENTS_MAX);
    pass(f, 1000);
    do {
        out = patrol(f, &PLAIN);
        returned += out.returned;
    } while (out.more);
    assert_int_equal(returned, 1500);
    assert_ok(oxbow_list_len(f->txn, BYTES("jobs"), &len));
    assert_int_equal(len, 1500);
}

static void a_patrol_that_finds_what_it_knows_writes_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before, after;

    push(f, "jobs", "a");
    take(f);
    patrol(f, &PLAIN);
    pass(f, 100);
    oxbow_stat(f->rig.db, &before);
    patrol(f, &PLAIN);
    pass(f, 100);
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.payload_bytes, before.payload_bytes);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol out;
    static const char long_name[OXBOW_KEY_NAME_MAX + 1];

#define BAD(...)                                                                                   \
    do {                                                                                           \
        struct oxbow_patrol_options bad = PLAIN;                                                   \
        __VA_ARGS__;                                                                               \
        assert_err(oxbow_list_patrol(f->txn, &bad, &out), OXBOW_EINVAL);                           \
    } while (0)
    BAD(bad.timeout_ms = 0);
    BAD(bad.timeout_ms = OXBOW_PATROL_MS_MAX + 1);
    BAD(bad.to = bad.processing);
    BAD(bad.to_end = (enum oxbow_end)2);
    BAD(bad.max_returns = 1);
    BAD(bad.max_returns = 1; bad.dead = bad.processing);
    assert_err(oxbow_list_patrol(f->txn, NULL, &out), OXBOW_EINVAL);
    assert_err(oxbow_list_patrol(f->txn, &PLAIN, NULL), OXBOW_EINVAL);
    {
        struct oxbow_patrol_options far = PLAIN;

        far.processing = (struct oxbow_bytes){long_name, sizeof long_name};
        assert_err(oxbow_list_patrol(f->txn, &far, &out), OXBOW_ETOOBIG);
    }
    streams_fill(f, "work", 1);
    assert_err(oxbow_list_patrol(f->txn, &PLAIN, &out), OXBOW_EWRONGTYPE);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_list_patrol(f->txn, &PLAIN, &out), OXBOW_EREADONLY);
}

/* Random consumers that die: every job is in exactly one place, and all get done in the end. */
static void jobs_of_dying_consumers_are_neither_lost_nor_doubled(void **state)
{
    struct streams *f = *state;
    uint64_t rng = rig_seed("patrol_test");
    bool finished[200] = {false};
    int left = 200;

    for (int i = 0; i < 200; i++) {
        char text[16];

        snprintf(text, sizeof text, "%d", i);
        push(f, "jobs", text);
    }
    for (int i = 0; i < 20000 && left > 0; i++) {
        const char *job = rig_random(&rng) % 4 == 0 ? "" : take(f);
        uint64_t jobs, work;

        if (job[0] != '\0' && rig_random(&rng) % 2 == 0) {
            int n = atoi(job);

            assert_false(finished[n]);
            finished[n] = true;
            left--;
            assert_int_equal(done(f, job), 1);
        }
        if (rig_random(&rng) % 4 == 0) {
            patrol(f, &PLAIN);
        }
        if (rig_random(&rng) % 4 == 0) {
            pass(f, rig_random(&rng) % 500);
        }
        if (rig_random(&rng) % 100 == 0) {
            streams_reopen(f);
        }
        assert_ok(oxbow_list_len(f->txn, BYTES("jobs"), &jobs));
        assert_ok(oxbow_list_len(f->txn, BYTES("work"), &work));
        assert_int_equal(jobs + work, left);
    }
    assert_int_equal(left, 0);
}

/* As a power cut leaves it, and a board that is up again at once. */
static void cut_power(struct streams *f)
{
    const char *off = getenv("OXBOW_TEST_JOURNAL");
    char command[1200];

    streams_commit(f);
    if (off != NULL && strcmp(off, "off") == 0) {
        assert_ok(oxbow_flush(f->rig.db));
    }
    snprintf(command, sizeof command, "cp -r '%s' '%s.cut'", f->rig.store, f->rig.store);
    assert_int_equal(system(command), 0);
    rig_close(&f->rig);
    snprintf(command, sizeof command, "rm -rf '%s' && mv '%s.cut' '%s'", f->rig.store, f->rig.store,
             f->rig.store);
    assert_int_equal(system(command), 0);
    f->rig.mono_us = 1000;
    f->rig.wall_ms = 0;
    rig_open(&f->rig);
    streams_begin(f);
}

static void a_clock_that_a_power_cut_puts_back_a_little_makes_nothing_old(void **state)
{
    struct streams *f = *state;
    struct oxbow_patrol out;

    push(f, "jobs", "a");
    pass(f, 900); /* no mark of the clock is due */
    assert_string_equal(take(f), "a");
    out = patrol(f, &PLAIN);
    assert_int_equal(out.found, 1);
    cut_power(f);
    out = patrol(f, &PLAIN);
    assert_int_equal(out.returned, 0);
    assert_string_equal(list(f, "work"), "a");
    pass(f, 2000);
    out = patrol(f, &PLAIN);
    assert_int_equal(out.returned, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(what_is_left_too_long_goes_back),
        TEST(an_element_that_comes_again_is_new_again),
        TEST(of_equal_elements_only_the_old_ones_go),
        TEST(sent_back_too_often_it_goes_to_the_dead),
        TEST(what_cannot_go_back_stays),
        TEST(an_aborted_patrol_has_sent_nothing),
        TEST(a_patrol_does_bounded_work),
        TEST(a_patrol_that_finds_what_it_knows_writes_nothing),
        TEST(what_makes_no_sense_is_refused),
        TEST(a_clock_that_a_power_cut_puts_back_a_little_makes_nothing_old),
        TEST(jobs_of_dying_consumers_are_neither_lost_nor_doubled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
