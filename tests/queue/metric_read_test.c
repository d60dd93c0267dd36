/* SPDX-License-Identifier: Apache-2.0 */
/* What single figures say: ages through clock jumps and reboots, rates, damage. */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/metric.h"
#include "engine/queue/stream.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"

#define YEAR (366u * 86400000ull)

static struct metric_queue read_queue(struct streams *f, const char *key)
{
    struct metric_queue q;

    assert_ok(metric_read_queue(f->txn, text_bytes(key), &q));
    return q;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static void add(struct streams *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};

        assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, NULL));
    }
}

static void remove_all(struct streams *f)
{
    const struct oxbow_stream_trim opt = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 0};
    uint64_t gone;

    assert_ok(oxbow_stream_trim(f->txn, text_bytes("s"), &opt, &gone));
}

static void the_oldest_age_follows_the_stores_clock_and_not_the_wall(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 3);
    pass(f, 5000);
    assert_in_range(read_queue(f, "s").oldest_ms, 5000, 5010);
    streams_commit(f);
    f->rig.wall_ms += 56 * YEAR;
    streams_begin(f);
    assert_in_range(read_queue(f, "s").oldest_ms, 5000, 5010);
    streams_commit(f);
    f->rig.wall_ms = 1000;
    streams_begin(f);
    pass(f, 5000);
    assert_in_range(read_queue(f, "s").oldest_ms, 10000, 10010);
    remove_all(f);
    assert_int_equal(read_queue(f, "s").oldest_ms, 0);
    assert_int_equal(read_queue(f, "s").entries, 0);
}

static void the_oldest_age_is_known_after_a_reopen(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes one = {"x", 1};

    streams_fill(f, "s", 3);
    assert_ok(oxbow_list_push(f->txn, text_bytes("l"), OXBOW_LEFT, &one, 1, NULL));
    pass(f, 5000);
    for (unsigned i = 1; i <= 3; i++) {
        streams_reopen(f);
        pass(f, 1000);
        assert_in_range(read_queue(f, "s").oldest_ms, 5000 + i * 1000, 5100 + i * 1000);
        assert_in_range(read_queue(f, "l").oldest_ms, 5000 + i * 1000, 5100 + i * 1000);
    }
}

static void rates_are_over_a_window_of_the_monotonic_clock(void **state)
{
    struct streams *f = *state;
    struct metric_queue q;

    add(f, 100);
    q = read_queue(f, "s");
    assert_true(q.in_milli == METRIC_UNKNOWN && q.out_milli == METRIC_UNKNOWN);
    pass(f, 500);
    assert_true(read_queue(f, "s").in_milli == METRIC_UNKNOWN); /* too soon to tell */
    for (unsigned second = 0; second < 60; second++) {
        add(f, 7);
        if (second == 30) {
            streams_commit(f);
            f->rig.wall_ms += 56 * YEAR; /* not of its business */
            streams_begin(f);
        }
        pass(f, 1000);
        q = read_queue(f, "s");
        if (second > 25) {
            assert_in_range(q.in_milli, 6900, 7100);
            assert_int_equal(q.out_milli, 0);
        }
    }
    pass(f, 4000); /* within the window it counts less and less */
    assert_in_range(read_queue(f, "s").in_milli, 3000, 6500);
    remove_all(f);
    for (unsigned i = 0; i < 3; i++) {
        pass(f, OXBOW_RATE_WINDOW_MS);
        q = read_queue(f, "s");
    }
    assert_int_equal(q.in_milli, 0);
    assert_int_equal(q.out_milli, 0);
}

static void a_forward_has_a_rate_of_what_is_sent(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {
        .key = BYTES("s"), .type = OXBOW_TYPE_STREAM, .target = BYTES("t")};
    struct metric_forward m;

    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    assert_ok(metric_read_forward(f->txn, "up", &m));
    assert_true(m.sent_milli == METRIC_UNKNOWN);
    for (unsigned second = 0; second < 40; second++) {
        struct oxbow_stream_info info;

        add(f, 5);
        assert_ok(oxbow_stream_info(f->txn, BYTES("s"), &info));
        assert_ok(oxbow_forward_sent(f->txn, "up", info.last_id));
        pass(f, 1000);
        assert_ok(metric_read_forward(f->txn, "up", &m));
    }
    assert_int_equal(m.sent, 200);
    assert_in_range(m.sent_milli, 4900, 5100);
    assert_true(read_queue(f, "s").in_milli == METRIC_UNKNOWN); /* a reading of its own */
    for (unsigned i = 0; i < 3; i++) {
        pass(f, OXBOW_RATE_WINDOW_MS);
        assert_ok(metric_read_forward(f->txn, "up", &m));
    }
    assert_int_equal(m.sent_milli, 0);
}

/* What had been in it did not come and go: it was forgotten with its name. */
static void a_queue_that_is_made_anew_is_counted_on(void **state)
{
    struct streams *f = *state;

    add(f, 1000);
    (void)read_queue(f, "s");
    pass(f, 2000);
    assert_int_equal(read_queue(f, "s").in_milli, 0);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL));
    add(f, 40);
    pass(f, 2000);
    assert_in_range(read_queue(f, "s").in_milli, 9900, 10000); /* over four seconds */
    assert_int_equal(read_queue(f, "s").out_milli, 0);
    assert_int_equal(read_queue(f, "s").added, 40);
}

static void a_list_has_rates_and_no_total(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes one = {"x", 1};

    assert_ok(oxbow_list_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &one, 1, NULL));
    assert_true(read_queue(f, "l").in_milli == METRIC_UNKNOWN);
    assert_true(read_queue(f, "l").in_bytes_milli == METRIC_UNKNOWN);
    pass(f, 20000);
    assert_int_equal(read_queue(f, "l").in_milli, 0);
    assert_int_equal(read_queue(f, "l").out_bytes_milli, 0);
    assert_true(read_queue(f, "l").added == METRIC_UNKNOWN);
    assert_int_equal(read_queue(f, "l").bytes, 1);
}

static void more_queues_than_rates_are_kept_for_are_told_without(void **state)
{
    struct streams *f = *state;
    char name[16];

    for (unsigned i = 0; i <= OXBOW_RATE_QUEUES; i++) {
        snprintf(name, sizeof name, "s%u", i);
        assert_ok(streams_put(f, name, (struct oxbow_id){1, 1}, "v"));
        (void)read_queue(f, name);
    }
    pass(f, 2000);
    assert_int_equal(read_queue(f, "s0").in_milli, 0);
    snprintf(name, sizeof name, "s%u", OXBOW_RATE_QUEUES - 1);
    assert_int_equal(read_queue(f, name).in_milli, 0);
    snprintf(name, sizeof name, "s%u", OXBOW_RATE_QUEUES);
    assert_true(read_queue(f, name).in_milli == METRIC_UNKNOWN);
    assert_int_equal(read_queue(f, name).entries, 1);
}

static void a_queue_that_is_damaged_is_told_as_that(void **state)
{
    struct streams *f = *state;
    uint8_t key[KV_KEY_MAX];
    struct object object;
    size_t len;

    streams_fill(f, "s", 3);
    assert_ok(catalog_find(f->txn, text_bytes("s"), &object));
    len = object_key(key, object.id, STREAM_KIND_HEAD, NULL, 0);
    assert_ok(kv_put(f->txn, (struct oxbow_bytes){key, len}, text_bytes("?")));
    assert_int_equal(read_queue(f, "s").unreadable, 1);
    assert_true(read_queue(f, "s").entries == METRIC_UNKNOWN);
}

static void a_group_with_options_tells_of_redeliveries(void **state)
{
    struct streams *f = *state;
    const struct oxbow_group_create_options begin = {0};
    const struct oxbow_group_options opt = {.visibility_ms = 1000};
    const struct oxbow_group_read_options all = {.count = 10};
    struct metric_group g;

    streams_fill(f, "s", 3);
    assert_ok(oxbow_group_create(f->txn, group_of("s", "g"), &begin));
    assert_ok(metric_read_group(f->txn, text_bytes("s"), text_bytes("g"), &g));
    assert_int_equal(g.lag, 3);
    assert_true(g.redelivered == METRIC_UNKNOWN);
    assert_ok(oxbow_group_options_set(f->txn, group_of("s", "g"), &opt));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), text_bytes("c"), &all, &f->result));
        assert_int_equal(f->result.entry_count, 3);
        pass(f, 2000);
    }
    assert_ok(metric_read_group(f->txn, text_bytes("s"), text_bytes("g"), &g));
    assert_int_equal(g.redelivered, 3);
    assert_int_equal(g.pending, 3);
    assert_int_equal(g.lag, 0);
    assert_int_equal(g.dead_letters, 0);
    assert_err(metric_read_group(f->txn, text_bytes("s"), text_bytes("h"), &g), OXBOW_ENOGROUP);
    assert_err(metric_read_group(f->txn, text_bytes("t"), text_bytes("g"), &g), OXBOW_ENOENT);
}

static void reading_writes_nothing(void **state)
{
    struct streams *f = *state;
    struct metric_store s;
    struct oxbow_stat before;
    struct oxbow_stat after;

    streams_fill(f, "s", 3);
    streams_commit(f);
    oxbow_stat(f->rig.db, &before);
    streams_begin(f);
    (void)read_queue(f, "s");
    assert_ok(metric_read_store(f->txn, &s));
    assert_int_equal(s.lsn_applied, before.lsn_applied);
    streams_commit(f);
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.lsn_applied, before.lsn_applied);
    streams_begin(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_oldest_age_follows_the_stores_clock_and_not_the_wall),
        T(the_oldest_age_is_known_after_a_reopen),
        T(rates_are_over_a_window_of_the_monotonic_clock),
        T(a_forward_has_a_rate_of_what_is_sent),
        T(a_queue_that_is_made_anew_is_counted_on),
        T(a_list_has_rates_and_no_total),
        T(more_queues_than_rates_are_kept_for_are_told_without),
        T(a_queue_that_is_damaged_is_told_as_that),
        T(a_group_with_options_tells_of_redeliveries),
        T(reading_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
