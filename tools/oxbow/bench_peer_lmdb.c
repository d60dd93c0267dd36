/* SPDX-License-Identifier: Apache-2.0 */
/* Plain LMDB with default durability: one key a message, 64-bit sequence as key. */
#include "tools/oxbow/bench.h"

#include <lmdb.h>
#include <stdlib.h>

struct peer {
    MDB_env *env;
    MDB_dbi dbi;
};

static int peer_open(const struct bench_run *run, struct peer *p)
{
    MDB_txn *txn;

    if (mdb_env_create(&p->env) != 0 || mdb_env_set_mapsize(p->env, (size_t)4 << 30) != 0 ||
        mdb_env_open(p->env, run->dir, 0, 0600) != 0 || mdb_txn_begin(p->env, NULL, 0, &txn) != 0 ||
        mdb_dbi_open(txn, NULL, 0, &p->dbi) != 0) {
        return -1;
    }
    return mdb_txn_commit(txn);
}

/* Big end first, so that keys sort by number. */
static void put_sequence(uint8_t out[8], uint64_t i)
{
    for (int b = 0; b < 8; b++) {
        out[b] = (uint8_t)(i >> (56 - 8 * b));
    }
}

static int put(struct peer *p, MDB_txn *txn, uint64_t i)
{
    uint8_t payload[BENCH_PAYLOAD];
    uint8_t name[8];
    MDB_val key = {sizeof name, name};
    MDB_val value = {sizeof payload, payload};

    put_sequence(name, i);
    bench_payload(payload, i);
    return mdb_put(txn, p->dbi, &key, &value, MDB_APPEND);
}

/* us, unless NULL: how long each transaction took. */
static int fill(struct peer *p, uint64_t count, uint64_t batch, float *us)
{
    for (uint64_t done = 0; done < count;) {
        double start = us != NULL ? bench_now() : 0;
        MDB_txn *txn;

        if (mdb_txn_begin(p->env, NULL, 0, &txn) != 0) {
            return -1;
        }
        for (uint64_t i = 0; i < batch && done < count; i++, done++) {
            if (put(p, txn, done) != 0) {
                return -1;
            }
        }
        if (mdb_txn_commit(txn) != 0) {
            return -1;
        }
        if (us != NULL) {
            *us++ = (float)((bench_now() - start) * 1e6);
        }
    }
    return 0;
}

static int timed_fill(const struct bench_run *run, uint64_t count, uint64_t batch,
                      struct bench_sample *out)
{
    uint64_t commits = (count + batch - 1) / batch;
    float *us = calloc((size_t)commits, sizeof *us);
    uint64_t written;
    struct peer p;
    double start;
    int rc;

    if (us == NULL || peer_open(run, &p) != 0) {
        free(us);
        return -1;
    }
    written = bench_disk_bytes(run);
    start = bench_now();
    rc = fill(&p, count, batch, us);
    out->rate = (double)count / (bench_now() - start);
    bench_latency(us, commits, out);
    out->messages_per_sync = (double)batch / 2; /* pages, then the meta page */
    out->disk_bytes = (double)(bench_disk_bytes(run) - written) / (double)count;
    free(us);
    mdb_env_close(p.env);
    return rc;
}

int bench_lmdb_durable(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 3000), 1, out);
}

int bench_lmdb_durable_256(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 1000) * 256, 256, out);
}

int bench_lmdb_batch(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 3000) * 64, 64, out);
}

int bench_lmdb_read(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    MDB_txn *txn;
    struct peer p;
    uint64_t got = 0;
    double start;

    if (peer_open(run, &p) != 0 || fill(&p, count, 10000, NULL) != 0) {
        return -1;
    }
    start = bench_now();
    if (mdb_txn_begin(p.env, NULL, MDB_RDONLY, &txn) != 0 ||
        mdb_cursor_open(txn, p.dbi, &cursor) != 0) {
        return -1;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        got += value.mv_size == BENCH_PAYLOAD;
    }
    out->rate = (double)count / (bench_now() - start);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(p.env);
    return got == count ? 0 : -1;
}
