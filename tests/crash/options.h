/* SPDX-License-Identifier: Apache-2.0 */
/* What the crash lab is told on its command line. */
#ifndef OXBOW_TESTS_CRASH_OPTIONS_H
#define OXBOW_TESTS_CRASH_OPTIONS_H

#include "tests/crash/judge.h"
#include "tests/crash/mutant.h"

/* Zero or NULL where the usage names no default. */
struct options {
    const char *subject;
    uint64_t seed;
    unsigned steps;
    unsigned lives;         /* power cuts that the store itself goes on from, and one */
    enum oxbow_sync policy; /* OXBOW_SYNC_DEFAULT: each transaction draws its own */
    const struct mutant *mutant;
    struct judge_shape shape;
    bool expect_caught;
    bool drawn;           /* the workload was drawn from the seed */
    bool hold;            /* when one fails the store goes on in memory */
    unsigned fail_one_in; /* of the syncs; 0: none */
    unsigned reopens;     /* a life closes the store and opens it again so many times */
    unsigned waits;       /* of eight commits, so many wait for what their policy promises */
    unsigned sync_us;     /* what a sync takes at least */
    unsigned jobs;
    unsigned deeper_max;    /* ways in which a recovery is cut; 0: none is */
    unsigned go_on_one_in;  /* of the images is written to, and opened once more */
    unsigned deeper_one_in; /* of the images has its recovery cut */
    size_t images_max;
    unsigned seconds; /* stop generating then; 0: no limit */
    const char *save; /* where failing states go */
    bool verbose;
    struct enumerate_config enumerate;
};

/* False: the program is to end with *status. */
bool options_read(struct options *o, int argc, char **argv, int *status);

const char *options_policy(const struct options *o);

#endif
