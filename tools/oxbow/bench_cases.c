/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow's side of each case, through the public API alone, and the table of cases. */
#include "tools/oxbow/bench.h"

#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCERS  16u
#define BATCH      64u
#define QUEUES     1000u
#define READ_BATCH 1000u

static bool failed(enum oxbow_err err, const char *what)
{
    if (err != OXBOW_OK) {
        fprintf(stderr, "oxbow: bench: %s: %s\n", what, oxbow_err_text(err));
    }
    return err != OXBOW_OK;
}

/* A step gives up its case on the first error. */
#define TRY(call)                                                                                  \
    if (failed((call), #call)) {                                                                   \
        return -1;                                                                                 \
    }

/* The lists' names, made ahead: making them is no part of a push. */
static char names[QUEUES][8];

static void names_make(void)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        (void)snprintf(names[i], sizeof names[i], "q:%u", i % 10000);
    }
}

static int open_store(const struct bench_run *run, enum oxbow_sync sync, struct oxbow **db)
{
    char dir[4096];
    const struct oxbow_config config = {.dir = dir, .sync = sync, .quota_bytes = (uint64_t)8 << 30};

    names_make();
    (void)snprintf(dir, sizeof dir, "%s/store", run->dir);
    TRY(oxbow_open(&config, db));
    return 0;
}

static int close_store(struct oxbow *db, uint64_t payload, struct bench_sample *out)
{
    struct oxbow_stat stat;

    TRY(oxbow_flush(db));
    oxbow_stat(db, &stat);
    out->checkpoints = stat.checkpoints;
    out->bytes_per_byte = payload > 0 ? (double)stat.device_bytes / (double)payload : 0;
    TRY(oxbow_close(db));
    return 0;
}

/* Pushes `count` messages, `batch` to a transaction, over `queues` lists by turns. us, unless NULL:
 * how long each transaction took. */
static int push(struct oxbow *db, uint64_t count, uint32_t batch, uint32_t queues, float *us)
{
    uint8_t payload[BENCH_PAYLOAD];
    struct oxbow_bytes value = {payload, sizeof payload};
    uint64_t done = 0;

    while (done < count) {
        double start = us != NULL ? bench_now() : 0;
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, NULL, &txn));
        for (uint32_t i = 0; i < batch && done < count; i++, done++) {
            const char *name = names[done % queues];
            enum oxbow_err err;

            bench_payload(payload, done);
            err = oxbow_list_push(txn, (struct oxbow_bytes){name, strlen(name)}, OXBOW_RIGHT,
                                  &value, 1, NULL);
            if (err != OXBOW_OK) {
                oxbow_txn_abort(txn);
                TRY(err);
            }
        }
        TRY(oxbow_txn_commit(txn, NULL));
        if (us != NULL) {
            *us++ = (float)((bench_now() - start) * 1e6);
        }
    }
    return 0;
}

/* The last checkpoint is within the measured time. */
static int push_case(const struct bench_run *run, uint64_t count, uint32_t batch, uint32_t queues,
                     struct bench_sample *out)
{
    struct oxbow *db;
    double start;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0) {
        return -1;
    }
    count = bench_scaled(run, count);
    start = bench_now();
    if (push(db, count, batch, queues, NULL) != 0) {
        return -1;
    }
    TRY(oxbow_flush(db));
    out->rate = (double)count / (bench_now() - start);
    return close_store(db, count * BENCH_PAYLOAD, out);
}

static int interval_single(const struct bench_run *run, struct bench_sample *out)
{
    return push_case(run, 1000000, 1, 1, out);
}

static int interval_64(const struct bench_run *run, struct bench_sample *out)
{
    return push_case(run, 3000000, BATCH, 1, out);
}

static int interval_64_queues(const struct bench_run *run, struct bench_sample *out)
{
    return push_case(run, 3000000, BATCH, QUEUES, out);
}

struct producer {
    struct oxbow *db;
    uint64_t count;
    float *us; /* `count` of them */
    int rc;
};

static void *produce(void *arg)
{
    struct producer *p = arg;

    p->rc = push(p->db, p->count, 1, 1, p->us);
    return NULL;
}

static int produce_all(struct oxbow *db, uint32_t producers, uint64_t each, float *us)
{
    struct producer all[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int rc = 0;

    for (uint32_t i = 0; i < producers; i++) {
        all[i] = (struct producer){.db = db, .count = each, .rc = -1};
        all[i].us = us + i * each;
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

static int durable(const struct bench_run *run, uint32_t producers, uint64_t each,
                   struct bench_sample *out)
{
    uint64_t count = each * producers;
    float *us = calloc((size_t)count, sizeof *us);
    struct oxbow *db;
    double start;
    int rc = -1;

    if (us != NULL && open_store(run, OXBOW_SYNC_ALWAYS, &db) == 0) {
        start = bench_now();
        rc = produce_all(db, producers, each, us);
        out->rate = (double)count / (bench_now() - start);
        bench_latency(us, count, out);
        rc = rc != 0 ? rc : close_store(db, count * BENCH_PAYLOAD, out);
    }
    free(us);
    return rc;
}

static int durable_1(const struct bench_run *run, struct bench_sample *out)
{
    return durable(run, 1, bench_scaled(run, 3000), out);
}

static int durable_16(const struct bench_run *run, struct bench_sample *out)
{
    return durable(run, PRODUCERS, bench_scaled(run, 1500), out);
}

static int pop_64(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    struct oxbow_result result = {0};
    struct oxbow *db;
    uint64_t got = 0;
    double start;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0 || push(db, count, 1000, 1, NULL) != 0) {
        return -1;
    }
    TRY(oxbow_flush(db));
    start = bench_now();
    while (got < count) {
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, NULL, &txn));
        TRY(oxbow_list_pop(txn, (struct oxbow_bytes){"q:0", 3}, OXBOW_LEFT, BATCH, &result));
        got += result.item_count;
        TRY(oxbow_txn_commit(txn, NULL));
    }
    out->rate = (double)count / (bench_now() - start);
    oxbow_result_fini(&result);
    return close_store(db, count * BENCH_PAYLOAD, out);
}

/* Adds `count` entries of one field to the stream "s". */
static int add(struct oxbow *db, uint64_t count)
{
    uint8_t payload[BENCH_PAYLOAD];
    const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};
    uint64_t done = 0;

    while (done < count) {
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, NULL, &txn));
        for (uint32_t i = 0; i < BATCH && done < count; i++, done++) {
            struct oxbow_id id;
            enum oxbow_err err;

            bench_payload(payload, done);
            err = oxbow_stream_add(txn, (struct oxbow_bytes){"s", 1}, NULL, &field, 1, &id);
            if (err != OXBOW_OK) {
                oxbow_txn_abort(txn);
                TRY(err);
            }
        }
        TRY(oxbow_txn_commit(txn, NULL));
    }
    return 0;
}

static int stream_add(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 2000000);
    struct oxbow *db;
    double start;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0) {
        return -1;
    }
    start = bench_now();
    if (add(db, count) != 0) {
        return -1;
    }
    out->rate = (double)count / (bench_now() - start);
    return close_store(db, count * BENCH_PAYLOAD, out);
}

/* One batch, in a transaction for each of the two. */
static int read_and_ack(struct oxbow *db, struct oxbow_group group, struct oxbow_result *result)
{
    const struct oxbow_group_read_options opt = {.count = BATCH};
    struct oxbow_id ids[BATCH];
    struct oxbow_txn *txn;
    uint64_t acked;

    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_group_read(txn, group, (struct oxbow_bytes){"c", 1}, &opt, result));
    for (size_t i = 0; i < result->entry_count; i++) {
        ids[i] = result->entries[i].id;
    }
    TRY(oxbow_txn_commit(txn, NULL));
    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_group_ack(txn, group, ids, result->entry_count, &acked));
    TRY(oxbow_txn_commit(txn, NULL));
    return acked > 0 && acked == result->entry_count ? 0 : -1;
}

static int group_read_ack(const struct bench_run *run, struct bench_sample *out)
{
    const struct oxbow_group group = {{"s", 1}, {"g", 1}};
    const struct oxbow_group_create_options from_start = {0};
    uint64_t count = bench_scaled(run, 500000);
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint64_t got = 0;
    double start;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0 || add(db, count) != 0) {
        return -1;
    }
    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_group_create(txn, group, &from_start));
    TRY(oxbow_txn_commit(txn, NULL));
    start = bench_now();
    while (got < count) {
        if (read_and_ack(db, group, &result) != 0) {
            return -1;
        }
        got += result.entry_count;
    }
    out->rate = (double)count / (bench_now() - start);
    oxbow_result_fini(&result);
    return close_store(db, count * BENCH_PAYLOAD, out);
}

static int catch_up(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    struct oxbow_result result = {0};
    struct oxbow_id after = OXBOW_ID_MIN;
    struct oxbow *db;
    uint64_t got = 0;
    double start;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0 || add(db, count) != 0) {
        return -1;
    }
    TRY(oxbow_flush(db));
    start = bench_now();
    while (got < count) {
        const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ};
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, &reading, &txn));
        TRY(oxbow_stream_read(txn, (struct oxbow_bytes){"s", 1}, after, READ_BATCH, &result));
        TRY(oxbow_txn_commit(txn, NULL));
        if (result.entry_count == 0) {
            return -1;
        }
        got += result.entry_count;
        after = result.entries[result.entry_count - 1].id;
    }
    out->rate = (double)count / (bench_now() - start);
    oxbow_result_fini(&result);
    return close_store(db, count * BENCH_PAYLOAD, out);
}

static int fill_store(const struct bench_run *run, uint64_t count)
{
    struct bench_sample ignored;
    struct oxbow *db;

    if (open_store(run, OXBOW_SYNC_INTERVAL, &db) != 0 || push(db, count, 1000, 1, NULL) != 0) {
        return -1;
    }
    return close_store(db, count * BENCH_PAYLOAD, &ignored);
}

/* Opens a store with a backlog and reads from it. A process of its own has filled it, so that the
 * memory seen is that of the open store. */
static int open_million(const struct bench_run *run, struct bench_sample *out)
{
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    struct oxbow *db;
    double start;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(fill_store(run, bench_scaled(run, 1000000)) == 0 ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return -1;
    }
    start = bench_now();
    if (open_store(run, OXBOW_SYNC_ALWAYS, &db) != 0) {
        return -1;
    }
    out->rate = 1 / (bench_now() - start);
    TRY(oxbow_txn_begin(db, NULL, &txn));
    TRY(oxbow_list_range(txn, (struct oxbow_bytes){"q:0", 3}, 0, READ_BATCH - 1, &result));
    out->anon_bytes = bench_anon_bytes();
    TRY(oxbow_txn_commit(txn, NULL));
    oxbow_result_fini(&result);
    TRY(oxbow_close(db));
    return 0;
}

const struct bench_case bench_cases[] = {
    {"durable push, 1 producer",
     {{"oxbow", durable_1},
      {"write+fdatasync", bench_raw_durable},
      {"LMDB", bench_lmdb_durable},
      {"SQLite WAL FULL", bench_sqlite_durable}}},
    {"durable push, 16 producers",
     {{"oxbow", durable_16},
      {"LMDB, 1 prod.", bench_lmdb_durable},
      {"SQLite, 1 prod.", bench_sqlite_durable}}},
    {"interval push, singly", {{"oxbow", interval_single}, {"write, unsynced", bench_raw_plain}}},
    {"interval push, 64/txn, 1 queue",
     {{"oxbow", interval_64}, {"LMDB", bench_lmdb_batch}, {"SQLite WAL FULL", bench_sqlite_batch}}},
    {"interval push, 64/txn, 1000 queues", {{"oxbow", interval_64_queues}}},
    {"pop, 64/txn", {{"oxbow", pop_64}}},
    {"stream add, 64/txn", {{"oxbow", stream_add}}},
    {"group read + ack, 64/txn", {{"oxbow", group_read_ack}}},
    {"catch-up read, 1000/call", {{"oxbow", catch_up}, {"LMDB cursor", bench_lmdb_read}}},
    {"open + first read, backlog 1,000,000", {{"oxbow", open_million}}},
    {0},
};
