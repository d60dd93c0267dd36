/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses which of the units in flight reached the device: the strategies of the lab. */
#ifndef OXBOW_TESTS_CRASH_ENUMERATE_H
#define OXBOW_TESTS_CRASH_ENUMERATE_H

#include "tests/crash/disk.h"

enum strategy {
    STRATEGY_NONE,       /* nothing in flight arrived */
    STRATEGY_ALL,        /* everything did: also what the end of the process alone leaves */
    STRATEGY_PREFIX,     /* the first so many units */
    STRATEGY_DROPPED,    /* all but one */
    STRATEGY_ALONE,      /* one only */
    STRATEGY_TORN,       /* the newest page of a file stopped between two sectors, or began late */
    STRATEGY_FILE,       /* all of one file, nothing of the others */
    STRATEGY_PAIRS,      /* a prefix of one file's units with a prefix of another's */
    STRATEGY_EXHAUSTIVE, /* every subset */
    STRATEGY_RANDOM,     /* subsets by chance */
    STRATEGY_SECTORS,    /* subsets by chance, pages in sectors by chance */
    STRATEGY_GARBAGE,    /* subsets by chance; where a file grew, old blocks instead of zeros */
    STRATEGIES
};

struct enumerate_config {
    uint64_t seed;
    unsigned exhaustive_max; /* units up to which every subset is taken; at most 16 */
    unsigned random_subsets; /* per event, and per strategy that draws */
    unsigned singles_max;    /* most units dropped or kept alone per event: the newest */
    size_t fresh_events;     /* a unit older than this is kept or lost by chance alone */
    uint32_t part;           /* how many of 65536 states are taken, by chance; 0: all */
};

struct state {
    size_t event; /* the power fails after this many events */
    enum strategy strategy;
    uint64_t ordinal; /* within the event: names the state, together with the seed */
    bool process;     /* what was written is there: the end of the process leaves just this */
};

typedef void (*enumerate_take)(void *ctx, const struct state *s, struct image *image);

/* Calls `take` with each state that is possible now. The image is the taker's to free. The states
 * that `part` leaves out count in their ordinals. */
void enumerate_states(struct disk *d, const struct enumerate_config *config, enumerate_take take,
                      void *ctx);

const char *strategy_name(enum strategy s);

#endif
