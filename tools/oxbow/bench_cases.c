/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow's side of each case, through the public API alone, and the table of cases. */
#include "tools/oxbow/bench_oxbow.h"

#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCERS 16u
#define BATCH     64u

/* ---- durable ---- */

struct producer {
    struct oxbow *db;
    uint64_t count;
    float *us; /* one for each transaction */
    uint32_t batch;
    int rc;
};

static void *produce(void *arg)
{
    struct producer *p = arg;

    p->rc = bench_push(p->db, p->count, p->batch, 1, p->us);
    return NULL;
}

/* `like` says how much each of them does. */
static int produce_all(const struct producer *like, uint32_t producers)
{
    struct producer all[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int rc = 0;

    for (uint32_t i = 0; i < producers; i++) {
        all[i] = *like;
        all[i].rc = -1;
        all[i].us = like->us + i * (like->count / like->batch);
        if (pthread_create(&threads[i], NULL, produce, &all[i]) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < producers; i++) {
        pthread_join(threads[i], NULL);
        rc |= all[i].rc;
    }
    return rc;
}

/* `commits` of `batch` messages by each of the producers. */
static int durable(const struct bench_run *run, uint32_t producers, uint64_t commits,
                   uint32_t batch, struct bench_sample *out)
{
    uint64_t count = commits * batch * producers;
    float *us = calloc((size_t)(commits * producers), sizeof *us);
    struct bench_store s;
    int rc = -1;

    if (us != NULL && bench_store_open(run, OXBOW_SYNC_ALWAYS, &s) == 0) {
        const struct producer like = {s.db, commits * batch, us, batch, -1};

        rc = produce_all(&like, producers);
        bench_store_stop(&s, count, out);
        bench_latency(us, commits * producers, out);
        rc = rc != 0 ? rc : bench_store_close(run, &s, count, out);
    }
    free(us);
    return rc;
}

static int durable_1(const struct bench_run *run, struct bench_sample *out)
{
    return durable(run, 1, bench_syncs(run, 3000), 1, out);
}

static int durable_16(const struct bench_run *run, struct bench_sample *out)
{
    return durable(run, PRODUCERS, bench_syncs(run, 1500), 1, out);
}

static int durable_256(const struct bench_run *run, struct bench_sample *out)
{
    return durable(run, 1, bench_syncs(run, 1000), 256, out);
}

/* ---- policies ---- */

/* Pushes to one list, 64 to a transaction, when the list named so has that policy. */
static int policy_push(const struct bench_run *run, const char *key,
                       const struct oxbow_policy *policy, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    struct bench_store s;
    struct oxbow_txn *txn;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0) {
        return -1;
    }
    TRY(oxbow_txn_begin(s.db, NULL, &txn));
    TRY(oxbow_policy_set(txn, (struct oxbow_bytes){key, strlen(key)}, policy));
    TRY(oxbow_txn_commit(txn, NULL));
    bench_store_start(run, &s);
    if (bench_push(s.db, count, BATCH, 1, NULL) != 0) {
        return -1;
    }
    TRY(oxbow_flush(s.db));
    bench_store_stop(&s, count, out);
    return bench_store_close(run, &s, count, out);
}

static const struct oxbow_policy roomy = {.max_entries = 1000000000, .max_bytes = 1000000000000};

static int policy_elsewhere(const struct bench_run *run, struct bench_sample *out)
{
    return policy_push(run, "another", &roomy, out);
}

static int policy_roomy(const struct bench_run *run, struct bench_sample *out)
{
    return policy_push(run, "q:0", &roomy, out);
}

static int policy_drops(const struct bench_run *run, struct bench_sample *out)
{
    static const struct oxbow_policy tight = {.max_entries = 10000,
                                              .on_full = OXBOW_POLICY_DROP_OLDEST};

    return policy_push(run, "q:0", &tight, out);
}

static int policy_age(const struct bench_run *run, struct bench_sample *out)
{
    static const struct oxbow_policy week = {.max_age_ms = 7u * 86400000u};

    return policy_push(run, "q:0", &week, out);
}

/* ---- interval ---- */

/* The last sync is within the measured time. */
static int interval(const struct bench_run *run, uint64_t count, uint32_t batch, uint32_t queues,
                    struct bench_sample *out)
{
    struct bench_store s;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0) {
        return -1;
    }
    count = bench_scaled(run, count);
    if (bench_push(s.db, count, batch, queues, NULL) != 0) {
        return -1;
    }
    TRY(oxbow_flush(s.db));
    bench_store_stop(&s, count, out);
    return bench_store_close(run, &s, count, out);
}

static int interval_single(const struct bench_run *run, struct bench_sample *out)
{
    return interval(run, 1000000, 1, 1, out);
}

static int interval_single_queues(const struct bench_run *run, struct bench_sample *out)
{
    return interval(run, 1000000, 1, BENCH_QUEUES, out);
}

static int interval_64(const struct bench_run *run, struct bench_sample *out)
{
    return interval(run, 3000000, BATCH, 1, out);
}

static int interval_64_queues(const struct bench_run *run, struct bench_sample *out)
{
    return interval(run, 3000000, BATCH, BENCH_QUEUES, out);
}

/* Each push timed: how long one waits at worst while checkpoints go on. The times take memory. */
static int interval_stalls(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    float *us = calloc((size_t)count, sizeof *us);
    struct bench_store s;
    int rc = -1;

    if (us != NULL && bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) == 0) {
        rc = bench_push(s.db, count, 1, 1, us);
        bench_store_stop(&s, count, out);
        bench_latency(us, count, out);
        rc = rc != 0 ? rc : bench_store_close(run, &s, count, out);
    }
    free(us);
    return rc;
}

/* ---- queues at work ---- */

static int pop_64(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    struct oxbow_result result = {0};
    struct bench_store s;
    uint64_t got = 0;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0 ||
        bench_push(s.db, count, 1000, 1, NULL) != 0) {
        return -1;
    }
    TRY(oxbow_flush(s.db));
    bench_store_start(run, &s);
    while (got < count) {
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(s.db, NULL, &txn));
        TRY(oxbow_list_pop(txn, (struct oxbow_bytes){"q:0", 3}, OXBOW_LEFT, BATCH, &result));
        got += result.item_count;
        TRY(oxbow_txn_commit(txn, NULL));
    }
    bench_store_stop(&s, count, out);
    oxbow_result_fini(&result);
    return bench_store_close(run, &s, count, out);
}

static int catch_up(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    struct bench_store s;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0 || bench_add(s.db, count, BATCH) != 0) {
        return -1;
    }
    TRY(oxbow_flush(s.db));
    bench_store_start(run, &s);
    if (bench_read(s.db, count) != 0) {
        return -1;
    }
    bench_store_stop(&s, count, out);
    TRY(oxbow_close(s.db));
    return 0;
}

const struct bench_case bench_cases[] = {
    {.name = "durable push, 1 producer",
     .contenders = {{"oxbow", durable_1},
                    {"write+fdatasync", bench_raw_durable},
                    {"LMDB", bench_lmdb_durable},
                    {"SQLite WAL FULL", bench_sqlite_durable},
                    {"Redis AOF always", bench_redis_always_1}}},
    {.name = "durable push, 16 at once",
     .contenders = {{"oxbow", durable_16},
                    {"LMDB, 1 producer", bench_lmdb_durable},
                    {"SQLite, 1 producer", bench_sqlite_durable},
                    {"Redis AOF always", bench_redis_always_16}}},
    {.name = "durable, 256 to a txn",
     .contenders = {{"oxbow", durable_256},
                    {"LMDB", bench_lmdb_durable_256},
                    {"SQLite WAL FULL", bench_sqlite_durable_256}}},
    {.name = "interval push, singly",
     .contenders = {{"oxbow", interval_single},
                    {"oxbow, 1000 queues", interval_single_queues},
                    {"oxbow, each timed", interval_stalls},
                    {"write, unsynced", bench_raw_plain},
                    {"Redis AOF everysec", bench_redis_everysec_1}}},
    {.name = "interval, 64 to a txn",
     .contenders = {{"oxbow", interval_64},
                    {"oxbow, 1000 queues", interval_64_queues},
                    {"LMDB, durable", bench_lmdb_batch},
                    {"SQLite, durable", bench_sqlite_batch},
                    {"Redis everysec, x64", bench_redis_everysec_64}}},
    {.name = "policies, 64 to a txn",
     .contenders = {{"oxbow", interval_64},
                    {"another queue's", policy_elsewhere},
                    {"far from its limits", policy_roomy},
                    {"drops the oldest", policy_drops},
                    {"a limit of age", policy_age}}},
    {.name = "pop, 64 to a txn", .contenders = {{"oxbow", pop_64}}},
    {.name = "stream add, 64 to a txn",
     .contenders = {{"oxbow", bench_stream_plain},
                    {"on_failure = memory", bench_stream_memory},
                    {"all has another queue", bench_stream_others},
                    {"has a policy", bench_stream_policy},
                    {"is forwarded", bench_stream_forward},
                    {"is bound to another", bench_stream_bound}}},
    {.name = "group read and ack, 64",
     .contenders = {{"oxbow", bench_group_plain}, {"group has options", bench_group_options}}},
    {.name = "catch-up read, 1000",
     .contenders = {{"oxbow", catch_up}, {"LMDB cursor", bench_lmdb_read}}},
    {.name = "waiting: put off",
     .contenders = {{"1,000 wait", bench_delay_few}, {"100,000", bench_delay_many}}},
    {.name = "waiting: put off, due at once",
     .contenders = {{"1,000 wait", bench_due_few}, {"100,000", bench_due_many}}},
    {.name = "waiting: add, take, ack",
     .contenders = {{"never had priorities", bench_take_plain},
                    {"has them no more", bench_take_off},
                    {"has some, none wait", bench_take_none},
                    {"1,000 lower ones wait", bench_take_few},
                    {"100,000", bench_take_many}}},
    {.name = "waiting: add once",
     .contenders = {{"1,000 remembered", bench_once_few}, {"100,000", bench_once_many}}},
    {.name = "waiting: a sequence",
     .contenders = {{"1,000 producers", bench_sequence_few}, {"100,000", bench_sequence_many}}},
    {.name = "10M waiting: put off",
     .contenders = {{"10,000,000 wait", bench_delay_most}},
     .large = true},
    {.name = "10M waiting: due at once",
     .contenders = {{"10,000,000 wait", bench_due_most}},
     .large = true},
    {.name = "10M waiting: take",
     .contenders = {{"10,000,000 wait", bench_take_most}},
     .large = true},
    {.name = "10M waiting: add once",
     .contenders = {{"10,000,000", bench_once_most}},
     .large = true},
    {.name = "10M waiting: a sequence",
     .contenders = {{"10,000,000 producers", bench_sequence_most}},
     .large = true},
    {.name = "10M: clean open", .contenders = {{"oxbow", bench_large_open}}, .large = true},
    {.name = "10M: open after kill -9",
     .contenders = {{"oxbow", bench_large_crash}},
     .large = true},
    {.name = "10M: catch-up read", .contenders = {{"oxbow", bench_large_read}}, .large = true},
    {.name = NULL},
};
