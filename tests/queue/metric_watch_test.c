/* SPDX-License-Identifier: Apache-2.0 */
/* Being told when a figure crosses a line: once, and once when it is back. */
#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include "engine/queue/metric.h"
#include "oxbow/policy.h"

#include <stdatomic.h>
#include <unistd.h>

#define PATIENCE_US 120000000u

struct heard {
    atomic_uint over;
    atomic_uint back;
    atomic_uint_least64_t value;
};

static void on_crossing(void *ctx, const struct oxbow_crossing *c)
{
    struct heard *h = ctx;

    atomic_store(&h->value, c->value);
    atomic_fetch_add(c->over ? &h->over : &h->back, 1);
}

static atomic_uint warnings;

static void on_line(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    if (level == OXBOW_LOG_WARN && strstr(text, "crossed") != NULL) {
        assert_non_null(strstr(text, "oxbow_queue_entries of \"l?\" is 10 entries: crossed 10"));
        atomic_fetch_add(&warnings, 1);
    }
}

static struct oxbow_watch_options depth_of(const char *queue, struct heard *h)
{
    return (struct oxbow_watch_options){.metric = "oxbow_queue_entries",
                                        .queue = text_bytes(queue),
                                        .limit = 10,
                                        .back = 5,
                                        .crossed = on_crossing,
                                        .ctx = h};
}

static void push(struct streams *f, const char *key, unsigned n)
{
    struct oxbow_bytes one = {"x", 1};

    for (unsigned i = 0; i < n; i++) {
        assert_ok(oxbow_list_push(f->txn, text_bytes(key), OXBOW_RIGHT, &one, 1, NULL));
    }
}

static void pop(struct streams *f, const char *key, uint64_t n)
{
    assert_ok(oxbow_list_pop(f->txn, text_bytes(key), OXBOW_LEFT, n, &f->result));
}

/* Lets time go by for the store, which looks once a second, until so many were heard. */
static void until(struct streams *f, atomic_uint *count, unsigned want)
{
    unsigned waited = 0;

    streams_commit(f);
    while (atomic_load(count) < want && waited < PATIENCE_US) {
        rig_pass_ms(&f->rig, 500);
        usleep(10000);
        waited += 10000;
    }
    streams_begin(f);
    assert_int_equal(atomic_load(count), want);
}

/* A full look goes by, at least: a watch that stands behind all others is made to tell of one. */
static void a_look(struct streams *f)
{
    struct heard beat = {0};
    struct oxbow_watch_options opt = depth_of("beat", &beat);
    uint64_t id;

    opt.limit = 1;
    opt.back = 0;
    streams_commit(f);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    push(f, "beat", 1);
    until(f, &beat.over, 1);
    pop(f, "beat", 1);
    streams_commit(f);
    assert_ok(oxbow_unwatch(f->rig.db, id));
    streams_begin(f);
}

static void a_crossing_is_told_once_and_so_is_the_return(void **state)
{
    struct streams *f = *state;
    struct heard h = {0};
    const struct oxbow_watch_options opt = depth_of("l\n", &h);
    uint64_t id;

    push(f, "l\n", 9);
    streams_commit(f);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    a_look(f);
    assert_int_equal(atomic_load(&h.over), 0);
    push(f, "l\n", 1);
    until(f, &h.over, 1);
    assert_int_equal(atomic_load(&h.value), 10);
    for (unsigned i = 0; i < 3; i++) { /* it trembles: between 6 and 11 nothing is told */
        pop(f, "l\n", 4);
        a_look(f);
        push(f, "l\n", 5);
        a_look(f);
        pop(f, "l\n", 1);
    }
    assert_int_equal(atomic_load(&h.over), 1);
    assert_int_equal(atomic_load(&h.back), 0);
    pop(f, "l\n", 5);
    until(f, &h.back, 1);
    assert_int_equal(atomic_load(&h.value), 5);
    pop(f, "l\n", 5); /* the list is gone: nothing new is known of it */
    a_look(f);
    assert_int_equal(atomic_load(&h.back), 1);
    push(f, "l\n", 10);
    until(f, &h.over, 2);
}

static void a_line_is_logged_without_a_callback(void **state)
{
    struct streams *f = *state;
    struct oxbow_watch_options opt = depth_of("l\n", NULL);
    uint64_t id;

    opt.crossed = NULL;
    f->rig.port.log.line = on_line;
    streams_reopen(f);
    push(f, "l\n", 10);
    streams_commit(f);
    atomic_store(&warnings, 0);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    until(f, &warnings, 1);
}

static void an_age_grows_without_a_commit(void **state)
{
    struct streams *f = *state;
    struct heard h = {0};
    struct oxbow_watch_options opt = depth_of("s", &h);
    uint64_t id;

    opt.metric = "oxbow_queue_oldest_age_seconds";
    opt.limit = 60000;
    opt.back = 0;
    streams_fill(f, "s", 1);
    streams_commit(f);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    until(f, &h.over, 1);
    assert_true(atomic_load(&h.value) >= 60000);
}

static void below_is_told_likewise(void **state)
{
    struct streams *f = *state;
    struct heard h = {0};
    struct oxbow_watch_options opt = depth_of("l", &h);
    uint64_t id;

    opt.side = OXBOW_WATCH_BELOW;
    opt.limit = 2;
    opt.back = 4;
    push(f, "l", 3);
    streams_commit(f);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    a_look(f);
    assert_int_equal(atomic_load(&h.over), 0);
    pop(f, "l", 1);
    until(f, &h.over, 1);
    push(f, "l", 1);
    a_look(f);
    assert_int_equal(atomic_load(&h.back), 0);
    push(f, "l", 1);
    until(f, &h.back, 1);
}

static void who_ends_a_watch_is_told_no_more(void **state)
{
    struct streams *f = *state;
    struct heard h = {0};
    const struct oxbow_watch_options opt = depth_of("l", &h);
    uint64_t id;
    uint64_t other;

    streams_commit(f);
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    assert_ok(oxbow_watch(f->rig.db, &opt, &other));
    assert_true(id != other);
    assert_ok(oxbow_unwatch(f->rig.db, id));
    assert_err(oxbow_unwatch(f->rig.db, id), OXBOW_ENOENT);
    streams_begin(f);
    push(f, "l", 10);
    until(f, &h.over, 1);
    a_look(f);
    assert_int_equal(atomic_load(&h.over), 1);
    streams_commit(f);
    assert_ok(oxbow_unwatch(f->rig.db, other));
    streams_begin(f);
    pop(f, "l", 10);
    a_look(f);
    assert_int_equal(atomic_load(&h.back), 0);
}

static void there_are_limits_and_bad_words_are_refused(void **state)
{
    struct streams *f = *state;
    static char large[1025];
    struct oxbow_watch_options opt = depth_of("l", NULL);
    struct oxbow_watch_options bad;
    uint64_t id;

    streams_commit(f);
    for (unsigned i = 0; i < OXBOW_WATCHES_MAX; i++) {
        assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    }
    assert_err(oxbow_watch(f->rig.db, &opt, &id), OXBOW_ERANGE);
    assert_ok(oxbow_unwatch(f->rig.db, id));
    bad = opt;
    bad.metric = "oxbow_queue_depth";
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad.metric = NULL;
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.back = 11;
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.cause = "age";
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad.metric = "oxbow_queue_dropped_entries_total";
    bad.cause = "boredom";
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad.cause = NULL;
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.metric = "oxbow_group_lag_entries";
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.name = text_bytes("g");
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.database = 16;
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.side = (enum oxbow_watch_side)2;
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_EINVAL);
    bad = opt;
    bad.queue = (struct oxbow_bytes){large, sizeof large};
    assert_err(oxbow_watch(f->rig.db, &bad, &id), OXBOW_ETOOBIG);
    bad.queue.len--;
    assert_ok(oxbow_watch(f->rig.db, &bad, &id));
    assert_err(oxbow_watch(f->rig.db, &opt, NULL), OXBOW_EINVAL);
    assert_err(oxbow_unwatch(f->rig.db, 0), OXBOW_EINVAL);
    streams_begin(f);
}

/* Every scope can be watched, be it there or not. */
static void what_is_not_there_is_waited_for(void **state)
{
    struct streams *f = *state;
    size_t count;
    const struct oxbow_metric *rows = oxbow_metrics(&count);
    struct heard h = {0};
    struct heard there = {0};
    struct oxbow_watch_options opt = depth_of("l", &there);
    uint64_t id;

    streams_commit(f);
    for (size_t i = 0; i < count; i++) {
        struct oxbow_watch_options all = {.metric = rows[i].name,
                                          .queue = text_bytes("nope"),
                                          .limit = UINT64_MAX - 1,
                                          .crossed = on_crossing,
                                          .ctx = &h};

        if (rows[i].scope == OXBOW_METRIC_GROUP || rows[i].scope == OXBOW_METRIC_FORWARD) {
            all.name = text_bytes("none");
        }
        all.cause = rows[i].scope == OXBOW_METRIC_DROPS ? "quota" : NULL;
        assert_ok(oxbow_watch(f->rig.db, &all, &id));
    }
    assert_ok(oxbow_watch(f->rig.db, &opt, &id));
    streams_begin(f);
    push(f, "l", 10);
    until(f, &there.over, 1);
    assert_int_equal(atomic_load(&h.over) + atomic_load(&h.back), 0);
}

static void no_memory_leaves_nothing_watched(void **state)
{
    struct streams *f = *state;
    struct oxbow_watch_options opt = depth_of("l", NULL);
    struct fault fault;
    unsigned points = 0;
    uint64_t id;

    streams_commit(f);
    rig_close(&f->rig);
    fault_init(&fault, &f->rig.port);
    f->rig.config.port = &fault.port;
    for (uint64_t n = 1;; n++) {
        enum oxbow_err err;

        rig_open(&f->rig);
        fault_arm_alloc(&fault, n, 1);
        err = oxbow_watch(f->rig.db, &opt, &id);
        fault_disarm(&fault);
        if (err == OXBOW_OK) {
            break;
        }
        assert_err(err, OXBOW_ENOMEM);
        points++;
        assert_ok(oxbow_watch(f->rig.db, &opt, &id));
        assert_int_equal(id, 1);
        rig_close(&f->rig);
        assert_int_equal(fault.live_bytes, 0);
    }
    assert_int_equal(points, 3);
    rig_close(&f->rig);
    f->rig.config.port = &f->rig.port;
    rig_open(&f->rig);
    streams_begin(f);
}

static void a_store_that_is_only_read_has_no_watches(void **state)
{
    struct streams *f = *state;
    struct oxbow_watch_options opt = depth_of("l", NULL);
    uint64_t id;

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.flags = OXBOW_OPEN_READONLY;
    rig_open(&f->rig);
    assert_err(oxbow_watch(f->rig.db, &opt, &id), OXBOW_EREADONLY);
    rig_close(&f->rig);
    f->rig.config.flags = 0;
    rig_open(&f->rig);
    streams_begin(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_crossing_is_told_once_and_so_is_the_return),
        T(a_line_is_logged_without_a_callback),
        T(an_age_grows_without_a_commit),
        T(below_is_told_likewise),
        T(who_ends_a_watch_is_told_no_more),
        T(there_are_limits_and_bad_words_are_refused),
        T(what_is_not_there_is_waited_for),
        T(no_memory_leaves_nothing_watched),
        T(a_store_that_is_only_read_has_no_watches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
