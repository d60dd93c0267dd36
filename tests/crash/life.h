/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One life of a store under the recorder: from an opening to a close, or to wherever the record
 * ends. The first begins with nothing, each other one with what a power cut left of the one before.
 */
#ifndef OXBOW_TESTS_CRASH_LIFE_H
#define OXBOW_TESTS_CRASH_LIFE_H

#include "tests/crash/judge.h"
#include "tests/crash/options.h"

struct life {
    const struct options *opt;
    const char *base; /* <base>/live/store is the store */
    struct model_path *path;
    unsigned number;     /* 0 is the first */
    uint64_t start, end; /* it stands there when it begins; the steps to come to */
    bool last;           /* it closes the store at its end */
    uint64_t acked;      /* found durable so far */
    uint64_t store_id;   /* 0 until the first was opened */
    struct disk *again;  /* the same, when failures are to be kept; NULL: they are not */
    struct disk *disk;   /* the device at its beginning; the caller's to close */
    uint64_t random;
    unsigned held, returned; /* steps taken in memory; ways back from there */
    uint64_t *lsns_now;      /* when a step was last taken */
};

/* Lives it, and leaves it in the record. */
void life_run(struct life *l);

/* A hook that misses LMDB's or the port's calls must not pass green: ends the program. */
void life_check_record(const struct life *l);

#endif
