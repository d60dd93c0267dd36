/* SPDX-License-Identifier: Apache-2.0 */
/* oxbow under measurement: its port's syncs are counted, and what it wrote is asked of the store
 * after it was closed, so that the last checkpoint counts as well. */
#include "tools/oxbow/bench_oxbow.h"

#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LMDB_SYNCS 2u /* of one checkpoint */

static atomic_uint_least64_t syncs;

static enum oxbow_err counted_sync(void *ctx, int fd)
{
    syncs++;
    return oxbow_port_default()->files.sync(ctx, fd);
}

/* The lists' names, made ahead: making them is no part of a push. */
static char names[BENCH_QUEUES][8];

static void names_make(void)
{
    for (unsigned i = 0; i < BENCH_QUEUES; i++) {
        (void)snprintf(names[i], sizeof names[i], "q:%u", i % 10000);
    }
}

bool bench_failed(enum oxbow_err err, const char *what)
{
    if (err != OXBOW_OK) {
        fprintf(stderr, "oxbow: bench: %s: %s\n", what, oxbow_err_text(err));
    }
    return err != OXBOW_OK;
}

static enum oxbow_on_failure on_failure;

void bench_store_holds(void)
{
    on_failure = OXBOW_FAILURE_MEMORY;
}

static int open_dir(const struct bench_run *run, enum oxbow_sync sync, uint32_t flags,
                    struct oxbow **db)
{
    static struct oxbow_port port; /* lives longer than the store */
    char dir[4096];
    const struct oxbow_config config = {.dir = dir,
                                        .port = &port,
                                        .flags = flags,
                                        .sync = sync,
                                        .quota_bytes = (uint64_t)8 << 30,
                                        .on_failure = flags == 0 ? on_failure : OXBOW_FAILURE_STOP};

    port = *oxbow_port_default();
    port.files.sync = counted_sync;
    (void)snprintf(dir, sizeof dir, "%s/store", run->dir);
    TRY(oxbow_open(&config, db));
    return 0;
}

static uint64_t device_bytes(struct oxbow *db)
{
    struct oxbow_wear wear;

    oxbow_wear(db, &wear);
    return wear.life.journal_bytes + wear.life.checkpoint_bytes;
}

int bench_store_open(const struct bench_run *run, enum oxbow_sync sync, struct bench_store *s)
{
    names_make();
    if (open_dir(run, sync, 0, &s->db) != 0) {
        return -1;
    }
    bench_store_start(run, s);
    return 0;
}

void bench_store_start(const struct bench_run *run, struct bench_store *s)
{
    s->device = device_bytes(s->db);
    s->written = bench_disk_bytes(run);
    s->syncs = syncs;
    s->start = bench_now();
}

void bench_store_stop(struct bench_store *s, uint64_t count, struct bench_sample *out)
{
    struct oxbow_stat stat;
    uint64_t n = syncs - s->syncs;

    out->rate = (double)count / (bench_now() - s->start);
    oxbow_stat(s->db, &stat);
    out->checkpoints = stat.checkpoints;
    if (n == 0) {
        n = stat.checkpoints * LMDB_SYNCS; /* without a journal all syncs are LMDB's own */
    }
    out->messages_per_sync = n > 0 ? (double)count / (double)n : 0;
}

int bench_store_close(const struct bench_run *run, struct bench_store *s, uint64_t count,
                      struct bench_sample *out)
{
    struct oxbow *db;

    TRY(oxbow_flush(s->db));
    TRY(oxbow_close(s->db));
    out->disk_bytes = (double)(bench_disk_bytes(run) - s->written) / (double)count;
    if (open_dir(run, OXBOW_SYNC_ALWAYS, OXBOW_OPEN_READONLY, &db) != 0) {
        return -1;
    }
    out->device_bytes = (double)(device_bytes(db) - s->device) / (double)count;
    TRY(oxbow_close(db));
    return 0;
}

int bench_push(struct oxbow *db, uint64_t count, uint32_t batch, uint32_t queues, float *us)
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

int bench_add(struct oxbow *db, uint64_t count, uint32_t batch)
{
    uint8_t payload[BENCH_PAYLOAD];
    const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};
    uint64_t done = 0;

    while (done < count) {
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, NULL, &txn));
        for (uint32_t i = 0; i < batch && done < count; i++, done++) {
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

int bench_read(struct oxbow *db, uint64_t count)
{
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ};
    struct oxbow_result result = {0};
    struct oxbow_id after = OXBOW_ID_MIN;
    uint64_t got = 0;

    while (got < count) {
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, &reading, &txn));
        TRY(oxbow_stream_read(txn, (struct oxbow_bytes){"s", 1}, after, BENCH_READ_BATCH, &result));
        TRY(oxbow_txn_commit(txn, NULL));
        if (result.entry_count == 0) {
            return -1;
        }
        got += result.entry_count;
        after = result.entries[result.entry_count - 1].id;
    }
    oxbow_result_fini(&result);
    return 0;
}
