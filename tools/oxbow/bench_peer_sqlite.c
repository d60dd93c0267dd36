/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite as a queue: a table in WAL mode with synchronous=FULL. */
#include "tools/oxbow/bench.h"

#include <sqlite3.h>
#include <stdio.h>

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

static int timed_fill(const struct bench_run *run, uint64_t count, uint64_t batch,
                      struct bench_sample *out)
{
    char path[4096];
    sqlite3_stmt *stmt;
    sqlite3 *db;
    double start;

    (void)snprintf(path, sizeof path, "%s/queue.db", run->dir);
    if (sqlite3_open(path, &db) != SQLITE_OK || exec(db, "pragma journal_mode=wal") != 0 ||
        exec(db, "pragma synchronous=full") != 0 ||
        exec(db, "create table q (id integer primary key, v blob)") != 0 ||
        sqlite3_prepare_v2(db, "insert into q (v) values (?)", -1, &stmt, NULL) != SQLITE_OK) {
        return -1;
    }
    start = bench_now();
    for (uint64_t done = 0; done < count;) {
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
    }
    out->rate = (double)count / (bench_now() - start);
    sqlite3_finalize(stmt);
    return sqlite3_close(db);
}

int bench_sqlite_durable(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_scaled(run, 3000), 1, out);
}

int bench_sqlite_batch(const struct bench_run *run, struct bench_sample *out)
{
    return timed_fill(run, bench_scaled(run, 200000), 64, out);
}
