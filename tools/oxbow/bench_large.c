/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow with a backlog of 10,000,000 messages. A process of its own fills the store, so that the
 * memory seen is that of the open store; for a crash it kills itself while it writes.
 */
#include "tools/oxbow/bench_oxbow.h"

#include "oxbow/stream.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE_COUNT 10000000u
#define CRASH_COUNT 150000u /* more, under way when it is killed */
#define FILL_BATCH  1000u

static int fill(const struct bench_run *run, uint64_t count, bool crash)
{
    struct bench_sample ignored;
    struct bench_store s;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0 ||
        bench_add(s.db, count, FILL_BATCH) != 0 ||
        bench_store_close(run, &s, count, &ignored) != 0) {
        return -1;
    }
    if (crash) {
        if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0 ||
            bench_add(s.db, bench_scaled(run, CRASH_COUNT), 1) != 0) {
            return -1;
        }
        (void)kill(getpid(), SIGKILL);
    }
    return 0;
}

static int fill_apart(const struct bench_run *run, uint64_t count, bool crash)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(fill(run, count, crash) == 0 ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    if (crash) {
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The backlog must be there: an open that is fast because it lost it is none. */
static int count_backlog(struct oxbow *db, uint64_t *length)
{
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ};
    struct oxbow_stream_info info;
    struct oxbow_txn *txn;

    TRY(oxbow_txn_begin(db, &reading, &txn));
    TRY(oxbow_stream_info(txn, (struct oxbow_bytes){"s", 1}, &info));
    oxbow_txn_abort(txn);
    *length = info.length;
    return 0;
}

static int open_case(const struct bench_run *run, bool crash, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, LARGE_COUNT);
    struct bench_store s;
    uint64_t length;
    double start;
    double took;

    if (fill_apart(run, count, crash) != 0) {
        return -1;
    }
    start = bench_now();
    if (bench_store_open(run, OXBOW_SYNC_ALWAYS, &s) != 0) {
        return -1;
    }
    took = bench_now() - start;
    out->rate = 1 / took;
    out->half_us = took * 1e6;
    if (count_backlog(s.db, &length) != 0 || length < count || bench_read(s.db, 1) != 0) {
        return -1;
    }
    out->anon_bytes = bench_anon_bytes(0);
    TRY(oxbow_close(s.db));
    return 0;
}

int bench_large_open(const struct bench_run *run, struct bench_sample *out)
{
    return open_case(run, false, out);
}

int bench_large_crash(const struct bench_run *run, struct bench_sample *out)
{
    return open_case(run, true, out);
}

/* Its memory is looked at while it reads. */
int bench_large_read(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, LARGE_COUNT);
    struct bench_store s;

    if (fill_apart(run, count, false) != 0 || bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0) {
        return -1;
    }
    bench_store_start(run, &s);
    if (bench_read(s.db, count) != 0) {
        return -1;
    }
    bench_store_stop(&s, count, out);
    TRY(oxbow_close(s.db));
    return 0;
}
