/* SPDX-License-Identifier: Apache-2.0 */
/* Which ways a recovery went, seen from outside: a campaign that misses one has proved less. */
#ifndef OXBOW_TESTS_CRASH_BRANCH_H
#define OXBOW_TESTS_CRASH_BRANCH_H

#include <stdint.h>

enum branch {
    BRANCH_NO_REPLAY,  /* the store was new, or closed in order */
    BRANCH_NO_RING,    /* there is no segment at all */
    BRANCH_INCOMPLETE, /* some segments are missing, or the wrong ones */
    BRANCH_NOTHING,    /* nothing stands above the checkpoint */
    BRANCH_REPLAYED,   /* transactions were given back */
    BRANCH_PART,       /* of a frame, the checkpoint having the rest */
    BRANCH_SEGMENTS,   /* from more than one segment */
    BRANCH_GAP,        /* a transaction went to the tree and not through the journal */
    BRANCH_TORN,       /* the last frame is not whole */
    BRANCH_STALE,      /* frames of an earlier life stand in the ring, and were not taken */
    BRANCH_CHECKPOINT, /* a checkpoint in mid-replay */
    BRANCH_DAMAGE,     /* acknowledged transactions are missing: never by a power cut */
    BRANCHES
};

/* From now on the bits of those that are taken are set in *bits; NULL: nowhere. */
void branch_collect(uint32_t *bits);
const char *branch_name(enum branch b);

#endif
