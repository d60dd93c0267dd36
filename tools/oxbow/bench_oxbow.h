/* SPDX-License-Identifier: Apache-2.0 */
/* What oxbow's cases share: a store whose syncs are counted, pushing, and the end of a measurement. */
#ifndef OXBOW_TOOLS_BENCH_OXBOW_H
#define OXBOW_TOOLS_BENCH_OXBOW_H

#include "oxbow/oxbow.h"
#include "tools/oxbow/bench.h"

#define BENCH_QUEUES     1000u
#define BENCH_READ_BATCH 1000u

bool bench_failed(enum oxbow_err err, const char *what);

/* A step gives up its case on the first error. */
#define TRY(call)                                                                                  \
    if (bench_failed((call), #call)) {                                                             \
        return -1;                                                                                 \
    }

struct bench_store {
    struct oxbow *db;
    double start;     /* of what is measured: see bench_store_start */
    uint64_t written; /* to the device until then, by its own count */
    uint64_t device;  /* by journal and checkpoints until then */
    uint64_t syncs;   /* of the port's files until then */
};

/* What is opened from now on in this process goes on in memory if its device fails. */
void bench_store_holds(void);
int bench_store_open(const struct bench_run *run, enum oxbow_sync sync, struct bench_store *s);
/* What is measured begins now. */
void bench_store_start(const struct bench_run *run, struct bench_store *s);
/* It ends now: `count` messages were worked on. */
void bench_store_stop(struct bench_store *s, uint64_t count, struct bench_sample *out);
/* Closes the store; what it wrote since the start, closing included, counts for `count` messages. */
int bench_store_close(const struct bench_run *run, struct bench_store *s, uint64_t count,
                      struct bench_sample *out);

/* Pushes `count` messages, `batch` to a transaction, over `queues` lists by turns. us, unless NULL:
 * how long each transaction took. */
int bench_push(struct oxbow *db, uint64_t count, uint32_t batch, uint32_t queues, float *us);
/* Adds `count` entries of one field to the stream "s". */
int bench_add(struct oxbow *db, uint64_t count, uint32_t batch);
/* Reads them all, in order. */
int bench_read(struct oxbow *db, uint64_t count);

#endif
