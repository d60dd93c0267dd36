/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wear meter: how many bytes the store handed to the device, and why. What transactions of the
 * tree write is counted by the tree; everything else is noted here by whoever wrote it. The totals
 * are kept in the header record and so cost no write of their own.
 */
#ifndef OXBOW_STORE_WEAR_H
#define OXBOW_STORE_WEAR_H

#include "engine/store/header.h"
#include "oxbow/oxbow.h"

#include <stdbool.h>

enum wear_cause {
    WEAR_JOURNAL, /* frames and their padding: see wear_ring */
    WEAR_OTHER,   /* making files, filling them with zeros, opening, repairing */
    WEAR_CAUSES
};

struct wear {
    struct header_wear before; /* as of open */
    uint64_t bytes[WEAR_CAUSES];
    uint64_t ring;    /* bytes written to the journal's ring since it was counted */
    uint64_t ring_us; /* when that was */
    uint64_t opened_us;
    bool running; /* open to be written, since opened_us */
};

/* `bytes` went to the device, or into the page cache on their way there: each write counts, also one
 * over bytes that were not synced yet. With the mutex held, or before the store has threads. */
void wear_note(struct oxbow *db, enum wear_cause cause, uint64_t bytes);

/* `bytes` were written to the journal's ring. Between two syncs a fast writer may go round the ring
 * many times, and what it writes over was never on the device: no more than the ring is counted for
 * a sync; nor, without syncs, for as long as a system leaves data in its memory. With the mutex. */
void wear_ring(struct oxbow *db, uint64_t bytes);
void wear_ring_synced(struct oxbow *db);

/* Takes over what the header of the tree just opened knows. At open, once; notes of before stay. */
void wear_start(struct oxbow *db);
/* Fills the account of a header that is to be written, but for what the tree fills in. With the
 * mutex held. */
void wear_save(const struct oxbow *db, struct tree_header *header);
/* Bytes of all causes since open. With the mutex held. */
uint64_t wear_since_open(const struct oxbow *db);

#endif
