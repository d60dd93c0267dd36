/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same work with and without what a queue can be given: what a queue pays that has none of it, and
 * what one pays that has.
 */
#include "tools/oxbow/bench_oxbow.h"

#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/stream.h"

#define BATCH   64u
#define HOUR_MS 3600000u

static const struct oxbow_bytes stream_key = {"s", 1};
static const struct oxbow_bytes other_key = {"other", 5};
static const struct oxbow_group the_group = {{"s", 1}, {"g", 1}};
static const struct oxbow_policy roomy = {.max_entries = 1000000000, .max_bytes = 1000000000000};

/* What is set up before the work, in a transaction of its own. */
typedef int (*give_fn)(struct oxbow_txn *txn);

static int give_nothing(struct oxbow_txn *txn)
{
    (void)txn;
    return 0;
}

static int give_policy(struct oxbow_txn *txn)
{
    TRY(oxbow_policy_set(txn, stream_key, &roomy));
    return 0;
}

static int forward_of(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    const struct oxbow_forward_options opt = {.key = key, .type = OXBOW_TYPE_STREAM};

    TRY(oxbow_identity_set(txn, "bench", NULL));
    TRY(oxbow_forward_create(txn, "up", &opt));
    return 0;
}

static int give_forward(struct oxbow_txn *txn)
{
    return forward_of(txn, stream_key);
}

static int give_binding(struct oxbow_txn *txn)
{
    TRY(oxbow_bind(txn, &(struct oxbow_binding){.source = stream_key, .destination = {"copy", 4}},
                   NULL));
    return 0;
}

/* All of it, to another queue. */
static int give_others(struct oxbow_txn *txn)
{
    const struct oxbow_field field = {{"v", 1}, {"v", 1}};
    const struct oxbow_delay_when late = {OXBOW_DELAY_FOR, 1000 * (uint64_t)HOUR_MS};
    const struct oxbow_schedule_options daily = {
        .when = {"0 3 * * *", 9}, .key = other_key, .fields = &field, .field_count = 1};
    const struct oxbow_stream_add_options brief = {.ttl_ms = 1000 * (uint64_t)HOUR_MS};
    struct oxbow_policy policy = roomy;

    policy.priorities = 3;
    policy.keep_ms = HOUR_MS;
    TRY(oxbow_policy_set(txn, other_key, &policy));
    TRY(oxbow_bind(txn, &(struct oxbow_binding){.source = other_key, .destination = {"copy", 4}},
                   NULL));
    TRY(oxbow_stream_add(txn, other_key, &brief, &field, 1, NULL));
    TRY(oxbow_delay_add(txn, other_key, &late, &field, 1, NULL));
    TRY(oxbow_schedule_set(txn, "daily", &daily));
    return forward_of(txn, other_key);
}

static int open_with(const struct bench_run *run, give_fn give, struct bench_store *s)
{
    struct oxbow_txn *txn;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, s) != 0) {
        return -1;
    }
    TRY(oxbow_txn_begin(s->db, NULL, &txn));
    if (give(txn) != 0) {
        oxbow_txn_abort(txn);
        return -1;
    }
    TRY(oxbow_txn_commit(txn, NULL));
    return 0;
}

/* ---- adding ---- */

static int add_with(const struct bench_run *run, give_fn give, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 2000000);
    struct bench_store s;

    if (open_with(run, give, &s) != 0) {
        return -1;
    }
    bench_store_start(run, &s);
    if (bench_add(s.db, count, BATCH) != 0) {
        return -1;
    }
    bench_store_stop(&s, count, out);
    return bench_store_close(run, &s, count, out);
}

int bench_stream_plain(const struct bench_run *run, struct bench_sample *out)
{
    return add_with(run, give_nothing, out);
}

int bench_stream_memory(const struct bench_run *run, struct bench_sample *out)
{
    bench_store_holds();
    return add_with(run, give_nothing, out);
}

int bench_stream_others(const struct bench_run *run, struct bench_sample *out)
{
    return add_with(run, give_others, out);
}

int bench_stream_policy(const struct bench_run *run, struct bench_sample *out)
{
    return add_with(run, give_policy, out);
}

int bench_stream_forward(const struct bench_run *run, struct bench_sample *out)
{
    return add_with(run, give_forward, out);
}

int bench_stream_bound(const struct bench_run *run, struct bench_sample *out)
{
    return add_with(run, give_binding, out);
}

/* ---- reading and acking ---- */

/* One batch, in a transaction for each of the two. */
static int read_and_ack(struct oxbow *db, struct oxbow_result *result)
{
    const struct oxbow_group_read_options opt = {.count = BATCH};
    struct oxbow_id ids[BATCH];
    struct oxbow_txn *txn;
    uint64_t acked;

    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_group_read(txn, the_group, (struct oxbow_bytes){"c", 1}, &opt, result));
    for (size_t i = 0; i < result->entry_count; i++) {
        ids[i] = result->entries[i].id;
    }
    TRY(oxbow_txn_commit(txn, NULL));
    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_group_ack(txn, the_group, ids, result->entry_count, &acked));
    TRY(oxbow_txn_commit(txn, NULL));
    return acked > 0 && acked == result->entry_count ? 0 : -1;
}

static int give_group(struct oxbow_txn *txn)
{
    const struct oxbow_group_create_options opt = {.make_stream = true};

    TRY(oxbow_group_create(txn, the_group, &opt));
    return 0;
}

static int give_options(struct oxbow_txn *txn)
{
    const struct oxbow_group_options opt = {
        .visibility_ms = HOUR_MS, .max_deliveries = 5, .dead_letter = {"dead", 4}};

    if (give_group(txn) != 0) {
        return -1;
    }
    TRY(oxbow_group_options_set(txn, the_group, &opt));
    return 0;
}

static int read_with(const struct bench_run *run, give_fn give, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 500000);
    struct oxbow_result result = {0};
    struct bench_store s;
    uint64_t got = 0;

    if (open_with(run, give, &s) != 0 || bench_add(s.db, count, BATCH) != 0) {
        return -1;
    }
    bench_store_start(run, &s);
    while (got < count) {
        if (read_and_ack(s.db, &result) != 0) {
            return -1;
        }
        got += result.entry_count;
    }
    bench_store_stop(&s, count, out);
    oxbow_result_fini(&result);
    return bench_store_close(run, &s, count, out);
}

int bench_group_plain(const struct bench_run *run, struct bench_sample *out)
{
    return read_with(run, give_group, out);
}

int bench_group_options(const struct bench_run *run, struct bench_sample *out)
{
    return read_with(run, give_options, out);
}
