/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmark: cases, each measured for oxbow and for peers in the same run.
 *
 * A contender measures one case once, in a process and a directory of its own, so that memory and
 * files of one never help or hurt another. Contenders of a case take turns (A B .. B A ..), and the
 * median of the rounds counts.
 */
#ifndef OXBOW_TOOLS_BENCH_H
#define OXBOW_TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PAYLOAD    100u /* bytes of a message */
#define BENCH_ROUNDS_MAX 9u

/* What one measurement gives. 0 means not measured, but for `rate`. */
struct bench_sample {
    double rate;         /* messages, or whatever the case counts, a second */
    uint64_t anon_bytes; /* anonymous memory at its highest, looked at every 20 ms; see
                              * bench_anon_bytes */
    double device_bytes; /* per message: oxbow's wear meter, journal and checkpoints */
    double disk_bytes;   /* per message: what the device counted meanwhile */
    double messages_per_sync;
    uint64_t checkpoints;
    double half_us;  /* within that time half of the operations were done */
    double p999_us;  /* within that time all but one of 1,000 */
    double worst_us; /* the longest */
    bool failed;
    bool absent; /* the contender is not installed here */
};

struct bench_run {
    const char *dir; /* empty, the contender's own */
    double scale;    /* 1: full size */
    double sync_ms;  /* what a sync takes at least; 0: as it is */
};

struct bench_contender {
    const char *name; /* "oxbow", "raw", "lmdb", "sqlite" */
    int (*measure)(const struct bench_run *run, struct bench_sample *out);
};

#define BENCH_CONTENDERS_MAX 6

struct bench_case {
    const char *name;
    struct bench_contender contenders[BENCH_CONTENDERS_MAX]; /* oxbow first; closed by NULL */
    bool large;                                              /* with --large alone */
};

extern const struct bench_case bench_cases[]; /* closed by an all-zero row */

/* Seconds on the monotonic clock. */
double bench_now(void);
uint64_t bench_scaled(const struct bench_run *run, uint64_t count);
/* The same of operations that wait for a sync each: fewer when syncs are slow. */
uint64_t bench_syncs(const struct bench_run *run, uint64_t count);
/* A message of BENCH_PAYLOAD bytes that differs with `i`. Cheap: making it is within the measured
 * time of everybody. */
void bench_payload(uint8_t out[BENCH_PAYLOAD], uint64_t i);
/* Anonymous memory of a process now (0: this one): for a case that shows the memory of a moment. */
uint64_t bench_anon_bytes(pid_t pid);
/* Bytes that the device under the run's directory was written so far, by its own count: whatever
 * else writes there counts as well. 0: it has no count. */
uint64_t bench_disk_bytes(const struct bench_run *run);

/* The times that `count` operations took, in microseconds; sorts them. */
void bench_latency(float *us, uint64_t count, struct bench_sample *out);

/* bench_report.c: what the rounds of one contender gave, for people or as JSON. */
struct bench_report;
struct bench_report *bench_report_open(bool json, const struct bench_run *run, unsigned rounds);
/* `samples` are sorted by rate; `own` is the rate of oxbow. */
void bench_report_row(struct bench_report *report, const struct bench_case *c, size_t who,
                      const struct bench_sample *samples, double own);
/* Prints what is left to print, unless `drop`. False when writing failed. */
bool bench_report_close(struct bench_report *report, bool drop);

/* bench_large.c: oxbow with 10,000,000 messages. */
int bench_large_open(const struct bench_run *run, struct bench_sample *out);
int bench_large_crash(const struct bench_run *run, struct bench_sample *out);
int bench_large_read(const struct bench_run *run, struct bench_sample *out);

/* bench_waiting.c: oxbow while so many wait; the last ones with 10,000,000. */
int bench_delay_few(const struct bench_run *run, struct bench_sample *out);
int bench_delay_many(const struct bench_run *run, struct bench_sample *out);
int bench_delay_most(const struct bench_run *run, struct bench_sample *out);
int bench_due_few(const struct bench_run *run, struct bench_sample *out);
int bench_due_many(const struct bench_run *run, struct bench_sample *out);
int bench_due_most(const struct bench_run *run, struct bench_sample *out);
int bench_take_plain(const struct bench_run *run, struct bench_sample *out);
int bench_take_off(const struct bench_run *run, struct bench_sample *out);
int bench_take_none(const struct bench_run *run, struct bench_sample *out);
int bench_take_few(const struct bench_run *run, struct bench_sample *out);
int bench_take_many(const struct bench_run *run, struct bench_sample *out);
int bench_take_most(const struct bench_run *run, struct bench_sample *out);
int bench_once_few(const struct bench_run *run, struct bench_sample *out);
int bench_once_many(const struct bench_run *run, struct bench_sample *out);
int bench_once_most(const struct bench_run *run, struct bench_sample *out);
int bench_sequence_few(const struct bench_run *run, struct bench_sample *out);
int bench_sequence_many(const struct bench_run *run, struct bench_sample *out);
int bench_sequence_most(const struct bench_run *run, struct bench_sample *out);

/* bench_features.c: the same work with and without what a queue can be given. */
int bench_stream_plain(const struct bench_run *run, struct bench_sample *out);
int bench_stream_memory(const struct bench_run *run, struct bench_sample *out);
int bench_stream_others(const struct bench_run *run, struct bench_sample *out);
int bench_stream_policy(const struct bench_run *run, struct bench_sample *out);
int bench_stream_forward(const struct bench_run *run, struct bench_sample *out);
int bench_stream_bound(const struct bench_run *run, struct bench_sample *out);
int bench_group_plain(const struct bench_run *run, struct bench_sample *out);
int bench_group_options(const struct bench_run *run, struct bench_sample *out);

/* The peers (bench_peer_*.c). */
int bench_raw_durable(const struct bench_run *run, struct bench_sample *out);
int bench_raw_plain(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_durable(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_durable_256(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_batch(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_read(const struct bench_run *run, struct bench_sample *out);
int bench_sqlite_durable(const struct bench_run *run, struct bench_sample *out);
int bench_sqlite_durable_256(const struct bench_run *run, struct bench_sample *out);
int bench_sqlite_batch(const struct bench_run *run, struct bench_sample *out);
/* Over a Unix socket, with 1 or 16 connections, or 64 commands to a write. */
int bench_redis_always_1(const struct bench_run *run, struct bench_sample *out);
int bench_redis_always_16(const struct bench_run *run, struct bench_sample *out);
int bench_redis_everysec_1(const struct bench_run *run, struct bench_sample *out);
int bench_redis_everysec_64(const struct bench_run *run, struct bench_sample *out);

#endif
