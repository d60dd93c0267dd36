/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal at work: commits go into a frame that is being filled, frames go to the ring, and a
 * sync makes all that was written durable. For engine/store alone.
 *
 * Whoever waits for the device leads: it writes and syncs for all who came until then. The journal
 * thread does it for those who do not wait, and for `interval`. Two things go on side by side and
 * each alone: writing (moments) and syncing.
 *
 * A transaction too long for a frame is not in the journal: its checkpoint is started at once, and
 * what was committed after it counts as durable, or written, only when that checkpoint is done.
 *
 * T, M as in store.h; W belongs to who writes.
 */
#ifndef OXBOW_STORE_JOURNAL_H
#define OXBOW_STORE_JOURNAL_H

#include "engine/store/frame.h"
#include "engine/store/memtable.h"
#include "engine/store/ring.h"
#include "oxbow/oxbow.h"

/* When a commit that is not durable came. 0: none. */
struct journal_age {
    uint64_t any_us;
    struct due interval; /* of those under `interval` */
};

struct journal {
    bool on;
    struct ring ring;
    uint32_t txn_bytes;  /* longer transactions do not go into a frame */
    uint32_t fill_bytes; /* a frame this long is written before another is begun */
    uint64_t incarnation;
    struct buf stage;        /* T: effects of the transaction that is open */
    bool long_txn;           /* T: it is too long */
    uint32_t stage_txn;      /* T: counts transactions that were staged */
    struct buf fill;         /* M: head and transactions, to be written */
    struct buf out;          /* W: being written */
    uint64_t fill_first;     /* M: LSN of the first in `fill` */
    uint32_t fill_count;     /* M */
    struct journal_age wait; /* M: of those that no sync is under way for */
    struct journal_age sync; /* M: of those that one is */
    bool writing;            /* M */
    bool segment_waits;    /* M: who writes waits until the tree has what the next segment holds */
    bool syncing;          /* M */
    bool gathering;        /* M: a sync waits for others who want it */
    uint64_t lsn_gather;   /* M: newest that is wanted by such as let it wait */
    uint32_t came;         /* M: who wait for a sync, and came since the last one was taken */
    uint32_t expected;     /* M: so many came for that one, or while it was under way */
    uint64_t gather_us;    /* M: the next one waits so long for as many, at most */
    bool sync_next;        /* M: a sync waits until nobody writes: nobody begins to */
    uint32_t writers;      /* M: that wait for their turn to write, or for having been written */
    uint64_t lsn_written;  /* M: newest in the ring, by what was written to it */
    uint64_t lsn_synced;   /* M: likewise on the device */
    uint64_t gap_first;    /* M: oldest and newest LSN that is not in the journal and not yet in */
    uint64_t gap_last;     /* M: the tree; 0: none */
    uint64_t since_freeze; /* M: bytes written since a table was frozen */
    uint64_t last[RING_SEGMENTS]; /* M: newest LSN in each segment */
    uint32_t segment;             /* W */
    uint64_t generation;          /* W: of the segment that is written to, from 1 on */
    uint64_t unsynced;            /* M: the oldest one with writes that no sync may cover */
    uint64_t pos;                 /* W: where the next frame goes */
    uint32_t before;              /* W */
    uint64_t frames;              /* M: written since open */
    uint64_t bytes;               /* M: likewise, padding counted */
    uint64_t syncs;               /* M */
    uint64_t sync_us;             /* M: what they took together */
};

/* ---- journal.c ---- */

/* Opens the ring of a store and, when there is none or one of another shape, makes it; everything
 * is in the tree. With `on` false a ring that is there is removed. OXBOW_ENOSPC, OXBOW_EIO and such:
 * the store can go on without. */
OXBOW_MUST_CHECK enum oxbow_err journal_open(struct oxbow *db);
void journal_close(struct oxbow *db);

/* With the turn: notes what the transaction did to `entry`. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err journal_note(struct oxbow *db, struct mem_entry *entry,
                                             const struct effect *e);
/* With the turn: forgets what the transaction did. */
void journal_drop(struct oxbow *db);
/* With the turn: what oxbow_txn_filled tells. */
bool journal_half_full(const struct oxbow *db);
/* With turn and mutex: makes sure that journal_commit has room. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err journal_room(struct oxbow *db);
/* With turn and mutex, after journal_room: the transaction has become `lsn`. interval_ms: of `interval`. */
void journal_commit(struct oxbow *db, uint64_t lsn, enum oxbow_sync sync, uint32_t interval_ms);

/* ---- journal_io.c, all with the mutex, which they may let go meanwhile ---- */

/* Whether enough waits to be written that no more should be begun. */
bool journal_full(const struct oxbow *db);
/* Whether a commit, or who begins a transaction, may have to wait until the tree has what the ring's next
 * segment holds: which is asked for. */
bool journal_waits(struct oxbow *db);
/* Whether so much was written since a table was frozen that another should be. */
bool journal_wants_freeze(const struct oxbow *db);
/* Writes what is filled, or waits a while for who does. A failure fails the store. */
void journal_write(struct oxbow *db);
/* Waits until `lsn` is in the hands of the system: what `interval` and `none` promise.
 * OXBOW_EINDOUBT, OXBOW_EVOLATILE. */
OXBOW_MUST_CHECK enum oxbow_err journal_written(struct oxbow *db, uint64_t lsn);
/* Asks for a checkpoint that holds `lsn`, unless the one under way does. */
void journal_ask_tree(struct oxbow *db, uint64_t lsn);
/* Whether a sync can be begun that makes all that is committed durable. */
bool journal_can_sync(const struct oxbow *db);
/* One sync, nobody else being at it: all that is committed now. With `gathers` those who wait for it
 * give others who will a moment to come. A failure fails the store. */
void journal_sync(struct oxbow *db, bool gathers);
/* So many more have come who wait for a sync. */
void journal_came(struct oxbow *db, uint32_t count);
/* Moves lsn_durable to what journal and tree hold together, and tells who waits. */
void journal_publish(struct oxbow *db);
/* Newest LSN of which a crash of the process alone takes nothing. */
uint64_t journal_written_upto(const struct oxbow *db);
/* When the first commit under `interval` that is not durable misses its promise. 0: there is none. */
uint64_t journal_late_us(const struct oxbow *db);

/* The journal thread. */
void journal_run(void *arg); /* the store */

#endif
