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

#define BENCH_PAYLOAD 100u /* bytes of a message */

/* What one measurement gives. */
struct bench_sample {
    double rate;           /* operations a second */
    uint64_t anon_bytes;   /* anonymous memory at its highest, looked at every 20 ms; see
                            * bench_anon_bytes */
    double bytes_per_byte; /* bytes that the process wrote, per payload byte; 0: not measured */
    uint64_t checkpoints;
    double half_us;  /* within that time half of the operations were done; 0: not measured */
    double worst_us; /* within that time all but one of 1,000 */
    bool failed;
};

struct bench_run {
    const char *dir; /* empty, the contender's own */
    double scale;    /* 1: full size */
    double sync_ms;  /* what the device's sync is slowed by; 0: as it is */
};

struct bench_contender {
    const char *name; /* "oxbow", "raw", "lmdb", "sqlite" */
    int (*measure)(const struct bench_run *run, struct bench_sample *out);
};

#define BENCH_CONTENDERS_MAX 4

struct bench_case {
    const char *name;
    struct bench_contender contenders[BENCH_CONTENDERS_MAX]; /* oxbow first; closed by NULL */
};

extern const struct bench_case bench_cases[]; /* closed by an all-zero row */

/* Seconds on the monotonic clock. */
double bench_now(void);
uint64_t bench_scaled(const struct bench_run *run, uint64_t count);
/* A message of BENCH_PAYLOAD bytes that differs with `i`. Cheap: making it is within the measured
 * time of everybody. */
void bench_payload(uint8_t out[BENCH_PAYLOAD], uint64_t i);
/* Anonymous memory of this process now: for a case that shows the memory of a moment. */
uint64_t bench_anon_bytes(void);

/* The times that `count` operations took, in microseconds; sorts them. */
void bench_latency(float *us, uint64_t count, struct bench_sample *out);

/* The peers (bench_peer_*.c). */
int bench_raw_durable(const struct bench_run *run, struct bench_sample *out);
int bench_raw_plain(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_durable(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_batch(const struct bench_run *run, struct bench_sample *out);
int bench_lmdb_read(const struct bench_run *run, struct bench_sample *out);
int bench_sqlite_durable(const struct bench_run *run, struct bench_sample *out);
int bench_sqlite_batch(const struct bench_run *run, struct bench_sample *out);

#endif
