/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OXBOW_TESTS_RIGS_OPTIONS_H
#define OXBOW_TESTS_RIGS_OPTIONS_H

#include "oxbow/oxbow.h"
#include "tests/rigs/load.h"

enum run { RUN_KILL, RUN_SHUTDOWN, RUN_VERIFY, RUN_LOAD };

#define POLICY_MIX  100 /* beside the values of enum oxbow_sync: drawn for each life */
#define JOURNAL_MIX 100

enum control {
    CONTROL_NONE,
    CONTROL_NOSYNC,   /* syncs do nothing */
    CONTROL_FORGED,   /* the witness is told of an operation that never was */
    CONTROL_ROLLBACK, /* the store of before the life takes its place */
    CONTROL_SKIP      /* the load leaves one operation out, and tells of it */
};

struct options {
    enum run what;
    uint64_t count, seed, shape;
    uint64_t entropy; /* for the kernel's generator: a machine that was stopped has none; 0: no */
    const char *dir, *fs, *save, *witness, *image;
    int policy;
    int journal; /* OXBOW_JOURNAL_*; JOURNAL_MIX: drawn for each life */
    enum control control;
    uint32_t threads, interval_ms;
    bool verbose;
};

/* 0, or the exit status. The seed is --seed, $OXBOW_SEED, or from the clock. */
int options_read(struct options *o, int argc, char **argv);
int options_usage(const char *what);

#endif
