/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite as a queue: a table in WAL mode with synchronous=FULL. */
#include "tools/oxbow/bench.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int insert(sqlite3_stmt *stmt, uint64_t i)
{
    uint8_t payload[BENCH_PAYLOAD];

    bench_payload(payload, i);
    if (sqlite3_bind_blob(stmt, 1, payload, sizeof payload, SQLITE_TRANSIENT) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_DONE) {
        return -1;
    }
    return sqlite3_reset(stmt);
}

static int fill(sqlite3 *db, sqlite3_stmt *stmt, uint64_t count, uint64_t batch, float *us)
{
    for (uint64_t done = 0; done < count;) {
        double start = us != NULL ? bench_now() : 0;

        if (batch > 1 && exec(db, "begin") != 0) {
            return -1;
        }
        for (uint64_t i = 0; i < batch && done < count; i++, done++) {
            if (insert(stmt, done) != 0) {
                return -1;
            }
        }
        if (batch > 1 && exec(db, "commit") != 0) {
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
    char path[4096];
    sqlite3_stmt *stmt;
    sqlite3 *db;
    uint64_t commits = (count + batch - 1) / batch;
    uint64_t written;
    double start;
    float *us;
    int rc;

    (void)snprintf(path, sizeof path, "%s/queue.db", run->dir);
    if (sqlite3_open(path, &db) != SQLITE_OK || exec(db, "pragma journal_mode=wal") != 0 ||
        exec(db, "pragma synchronous=full") != 0 ||
        exec(db, "create table q (id integer primary key, v blob)") != 0 ||
        sqlite3_prepare_v2(db, "insert into q (v) values (?)", -1, &stmt, NULL) != SQLITE_OK) {
        return -1;
    }
    us = calloc((size_t)commits, sizeof *us);
    if (us == NULL) {
        return -1;
    }
    written = bench_disk_bytes(run);
    start = bench_now();
    rc = fill(db, stmt, count, batch, us);
    out->rate = (double)count / (bench_now() - start);
    bench_latency(us, commits, out);
    out->disk_bytes = (double)(bench_disk_bytes(run) - written) / (double)count;
    free(us);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return rc;
}

int bench_sqlite_durable(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 3000), 1, out);
}

int bench_sqlite_durable_256(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 1000) * 256, 256, out);
}

int bench_sqlite_batch(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_syncs(run, 3000) * 64, 64, out);
}
