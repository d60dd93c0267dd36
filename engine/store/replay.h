/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a journal holds above a checkpoint, given back in the order of commits.
 *
 * Only frames of the incarnation that made the checkpoint count, each following the one before by
 * LSN and checksum. What comes after the first that does not fit is not replayed: what is found is a
 * prefix, never a hole. Whether acknowledged data lay behind is found out and told.
 */
#ifndef OXBOW_STORE_REPLAY_H
#define OXBOW_STORE_REPLAY_H

#include "engine/store/frame.h"
#include "engine/store/ring.h"

struct replay_from {
    uint64_t lsn;         /* of the checkpoint */
    uint64_t incarnation; /* the boot that made it */
    bool closed;          /* it was the last thing that boot wrote: nothing is replayed */
};

/* Takes one transaction; an error ends the replay with it. */
struct replay_sink {
    void *ctx;
    enum oxbow_err (*txn)(void *ctx, uint64_t lsn, struct oxbow_bytes effects);
};

struct replay_report {
    uint64_t txns;       /* given to the sink */
    uint64_t frames;     /* that held them */
    uint64_t last;       /* LSN of the last of them; the checkpoint's when there was none */
    uint64_t lost_from;  /* acknowledged transactions that cannot be read: the first, 0: none */
    uint64_t lost_upto;  /* and the last */
    uint64_t doubt_from; /* transactions, perhaps acknowledged, of which only traces are there */
    uint64_t doubt_upto;
};

/* Errors: the sink's; OXBOW_ENOMEM; OXBOW_EFORMAT: a frame with the right checksum that cannot be
 * understood, which a later version may have written; OXBOW_EIO: the device cannot read the ring,
 * and does not give it another time. With the ring's `unreadable_is_lost` that counts as damaged. */
OXBOW_MUST_CHECK enum oxbow_err replay_run(const struct ring *ring, const struct replay_from *from,
                                           const struct replay_sink *sink,
                                           struct replay_report *report);

/* The segment where an incarnation begins: each begins at another, so that they wear alike. */
static inline uint32_t replay_first_segment(const struct ring *ring, uint64_t incarnation)
{
    return (uint32_t)(incarnation % ring->count);
}

#endif
