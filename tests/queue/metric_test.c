/* SPDX-License-Identifier: Apache-2.0 */
/* The table of figures, and the walk over all of them in steps. */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/metric.h"
#include "oxbow/binding.h"
#include "oxbow/forward.h"
#include "oxbow/policy.h"

#include <ctype.h>
#include <stdlib.h>

/* What a sink was given. */
struct seen {
    const struct oxbow_metric *metric;
    uint64_t value;
    uint32_t database;
    char queue[32];
    char name[32];
    const char *cause;
};

struct told {
    struct seen all[4096];
    size_t count;
};

static struct told told;

static void copy(char out[32], struct oxbow_bytes from)
{
    assert_true(from.len < 32);
    if (from.len > 0) {
        memcpy(out, from.data, from.len);
    }
    out[from.len] = '\0';
}

static void take(void *ctx, const struct oxbow_sample *s)
{
    struct told *t = ctx;
    struct seen *seen = &t->all[t->count++];

    assert_true(t->count <= sizeof t->all / sizeof t->all[0]);
    *seen = (struct seen){s->metric, s->value, s->database, "", "", s->cause};
    copy(seen->queue, s->queue);
    copy(seen->name, s->name);
}

static const struct oxbow_metrics_sink sink = {&told, take};

static void walk(struct streams *f, unsigned *steps)
{
    struct oxbow_metrics_walk w = {0};
    bool more = true;

    told.count = 0;
    *steps = 0;
    while (more) {
        size_t before = told.count;

        assert_ok(oxbow_metrics_step(f->txn, &w, &sink, &more));
        assert_true(told.count - before <= 100 * OXBOW_METRICS_STEP);
        (*steps)++;
        streams_commit(f);
        streams_begin(f);
    }
}

/* The value; UINT64_MAX: it was not told. Told twice fails. */
static uint64_t value(const char *metric, const char *queue, const char *name, const char *cause)
{
    uint64_t found = UINT64_MAX;

    for (size_t i = 0; i < told.count; i++) {
        const struct seen *s = &told.all[i];

        if (strcmp(s->metric->name, metric) == 0 && strcmp(s->queue, queue) == 0 &&
            strcmp(s->name, name) == 0 &&
            (cause == NULL ? s->cause == NULL : s->cause != NULL && strcmp(s->cause, cause) == 0)) {
            assert_true(found == UINT64_MAX);
            found = s->value;
        }
    }
    return found;
}

static void every_row_is_named_as_prometheus_wants_it(void **state)
{
    static const char *const scopes[] = {"oxbow_store_", "oxbow_queue_",   "oxbow_queue_",
                                         "oxbow_group_", "oxbow_forward_", "oxbow_source_"};
    size_t count;
    const struct oxbow_metric *rows = oxbow_metrics(&count);

    (void)state;
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        const struct oxbow_metric *m = &rows[i];
        size_t len = strlen(m->name);

        for (size_t c = 0; c < len; c++) {
            assert_true(islower((unsigned char)m->name[c]) || m->name[c] == '_');
        }
        assert_true(m->scope <= OXBOW_METRIC_SOURCE);
        assert_memory_equal(m->name, scopes[m->scope], strlen(scopes[m->scope]));
        assert_int_equal(m->kind == OXBOW_METRIC_COUNTER,
                         len > 6 && strcmp(m->name + len - 6, "_total") == 0);
        assert_true(m->per == 1 || m->per == 1000 || m->per == 1000000);
        assert_true(strcmp(m->unit, "seconds") != 0 || strstr(m->name, "_seconds") != NULL);
        assert_true(strcmp(m->unit, "bytes") != 0 || strstr(m->name, "_bytes") != NULL);
        assert_true(strlen(m->help) > 10 && strpbrk(m->help, "\\\n") == NULL);
        assert_ptr_equal(oxbow_metric_find(m->name), m);
        assert_int_equal(m->at % sizeof(uint64_t), 0);
        assert_true(m->at < sizeof(union metric_values));
    }
    assert_null(oxbow_metric_find("oxbow_queue_entrie"));
    assert_null(oxbow_metric_find(""));
}

static void all_queues_of_all_databases_are_told_in_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes one = {"x", 1};
    uint64_t entries = 0;
    unsigned steps;

    for (unsigned i = 0; i < 200; i++) {
        char name[16];

        snprintf(name, sizeof name, "q%u", i);
        assert_ok(oxbow_txn_select(f->txn, i % 2 == 0 ? 0 : 15));
        for (unsigned k = 0; k <= i % 3; k++) {
            assert_ok(oxbow_list_push(f->txn, text_bytes(name), OXBOW_RIGHT, &one, 1, NULL));
            entries++;
        }
    }
    assert_ok(oxbow_txn_select(f->txn, 0));
    streams_commit(f);
    streams_begin(f);
    walk(f, &steps);
    assert_true(steps >= 200 / OXBOW_METRICS_STEP);
    assert_true(steps <= 30);
    for (unsigned i = 0; i < 200; i++) {
        char name[16];

        snprintf(name, sizeof name, "q%u", i);
        assert_int_equal(value("oxbow_queue_entries", name, "", NULL), i % 3 + 1);
        entries -= i % 3 + 1;
    }
    assert_int_equal(entries, 0);
    for (size_t i = 0; i < told.count; i++) {
        if (told.all[i].queue[0] == 'q') {
            assert_int_equal(told.all[i].database, atoi(told.all[i].queue + 1) % 2 == 0 ? 0 : 15);
        }
    }
}

static void an_empty_store_tells_of_itself_alone(void **state)
{
    struct streams *f = *state;
    unsigned steps;

    walk(f, &steps);
    assert_int_equal(steps, 4);
    for (size_t i = 0; i < told.count; i++) {
        assert_int_equal(told.all[i].metric->scope, OXBOW_METRIC_STORE);
    }
    assert_true(value("oxbow_store_quota_bytes", "", "", NULL) > 0);
    assert_true(value("oxbow_store_endurance_used_ratio", "", "", NULL) == UINT64_MAX);
}

static void a_forward_is_told_under_its_own_name(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {
        .key = text_bytes("s"), .type = OXBOW_TYPE_STREAM, .target = text_bytes("t")};
    unsigned steps;

    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    walk(f, &steps);
    assert_int_equal(value("oxbow_forward_backlog_entries", "s", "up", NULL), 0);
    assert_int_equal(value("oxbow_forward_oldest_age_seconds", "s", "up", NULL), 0);
    streams_fill(f, "s", 5);
    streams_commit(f);
    rig_pass_ms(&f->rig, 90000);
    streams_begin(f);
    walk(f, &steps);
    assert_int_equal(value("oxbow_forward_backlog_entries", "s", "up", NULL), 5);
    assert_true(value("oxbow_forward_backlog_bytes", "s", "up", NULL) > 0);
    assert_int_equal(value("oxbow_forward_unsent_entries", "s", "up", NULL), 5);
    assert_in_range(value("oxbow_forward_oldest_age_seconds", "s", "up", NULL), 90000, 91000);
    assert_true(value("oxbow_forward_blocked_seconds", "s", "up", NULL) == UINT64_MAX);
}

/* Complaint 24: "see it: age of the oldest item, drops by cause, storage health". */
static void complaint_24_age_drops_and_the_storages_health_are_in_one_table(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy policy = {.max_entries = 3, .on_full = OXBOW_POLICY_DROP_OLDEST};
    const struct oxbow_group_create_options begin = {0};
    const struct oxbow_group_read_options two = {.count = 2};
    unsigned steps;

    assert_ok(oxbow_policy_set(f->txn, text_bytes("readings"), &policy));
    streams_fill(f, "readings", 5);
    assert_ok(oxbow_group_create(f->txn, group_of("readings", "g"), &begin));
    assert_ok(
        oxbow_group_read(f->txn, group_of("readings", "g"), text_bytes("c"), &two, &f->result));
    streams_commit(f);
    rig_pass_ms(&f->rig, 3600000);
    streams_begin(f);
    walk(f, &steps);
    assert_int_equal(value("oxbow_queue_entries", "readings", "", NULL), 3);
    assert_in_range(value("oxbow_queue_oldest_age_seconds", "readings", "", NULL), 3600000,
                    3601000);
    assert_int_equal(value("oxbow_queue_dropped_entries_total", "readings", "", "length"), 2);
    assert_int_equal(value("oxbow_queue_dropped_entries_total", "readings", "", "age"), 0);
    assert_true(value("oxbow_queue_dropped_bytes_total", "readings", "", "length") > 0);
    assert_int_equal(value("oxbow_queue_full", "readings", "", NULL), 1);
    assert_int_equal(value("oxbow_queue_limit_entries", "readings", "", NULL), 3);
    assert_int_equal(value("oxbow_queue_added_entries_total", "readings", "", NULL), 5);
    assert_int_equal(value("oxbow_group_lag_entries", "readings", "g", NULL), 1);
    assert_int_equal(value("oxbow_group_pending_entries", "readings", "g", NULL), 2);
    assert_int_equal(value("oxbow_store_values_bad_total", "", "", NULL), 0);
    assert_true(value("oxbow_store_used_bytes", "", "", NULL) > 0);
    assert_true(value("oxbow_store_life_written_bytes_total", "", "", NULL) > 0);
}

/* Sources that keep nothing are no keys: they are told all the same, each once. */
static void sources_of_bindings_are_told_in_steps(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    unsigned bindings = 0, entries = 0, routed = 0, steps;

    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        struct oxbow_binding b = {.destination = text_bytes("d")};

        snprintf(name, sizeof name, "s%u", i);
        assert_ok(oxbow_txn_select(f->txn, i % 3));
        b.source = text_bytes(name);
        assert_ok(oxbow_bind(f->txn, &b, NULL));
        assert_ok(oxbow_source_set(f->txn, text_bytes(name),
                                   &(struct oxbow_source){.keeps_nothing = i % 2 == 0}));
        assert_ok(oxbow_stream_add(f->txn, text_bytes(name), NULL, &field, 1, NULL));
    }
    walk(f, &steps);
    for (size_t i = 0; i < told.count; i++) {
        const struct seen *s = &told.all[i];

        bindings += strcmp(s->metric->name, "oxbow_source_bindings") == 0 && s->value == 1;
        entries += strcmp(s->metric->name, "oxbow_source_entries_total") == 0 && s->value == 1;
        routed += strcmp(s->metric->name, "oxbow_source_routed_entries_total") == 0;
    }
    assert_true(bindings == 100 && entries == 100 && routed == 100);
    assert_ok(oxbow_txn_select(f->txn, 1));
    told.count = 0;
    assert_ok(oxbow_metrics_queue(f->txn, text_bytes("s1"), &sink)); /* it keeps its entries */
    assert_int_equal(value("oxbow_source_routed_entries_total", "s1", "", NULL), 1);
}

static void bad_calls_are_refused(void **state)
{
    struct streams *f = *state;
    const struct oxbow_metrics_sink none = {NULL, NULL};
    struct oxbow_metrics_walk w = {0};
    bool more;

    assert_err(oxbow_metrics_step(f->txn, NULL, &sink, &more), OXBOW_EINVAL);
    assert_err(oxbow_metrics_step(f->txn, &w, NULL, &more), OXBOW_EINVAL);
    assert_err(oxbow_metrics_step(f->txn, &w, &none, &more), OXBOW_EINVAL);
    assert_err(oxbow_metrics_step(f->txn, &w, &sink, NULL), OXBOW_EINVAL);
    w.part = 9;
    assert_err(oxbow_metrics_step(f->txn, &w, &sink, &more), OXBOW_EINVAL);
    w = (struct oxbow_metrics_walk){.part = 1, .database = 16};
    assert_err(oxbow_metrics_step(f->txn, &w, &sink, &more), OXBOW_EINVAL);
    w = (struct oxbow_metrics_walk){.part = 3};
    assert_ok(oxbow_metrics_step(f->txn, &w, &sink, &more));
    assert_false(more);
    assert_err(oxbow_metrics_queue(f->txn, text_bytes("nope"), &sink), OXBOW_ENOENT);
    assert_err(oxbow_metrics_queue(f->txn, text_bytes("s"), &none), OXBOW_EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_row_is_named_as_prometheus_wants_it),
        T(all_queues_of_all_databases_are_told_in_steps),
        T(an_empty_store_tells_of_itself_alone),
        T(a_forward_is_told_under_its_own_name),
        T(complaint_24_age_drops_and_the_storages_health_are_in_one_table),
        T(sources_of_bindings_are_told_in_steps),
        T(bad_calls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
