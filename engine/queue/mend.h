/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making sense of a store from which keys are missing: after a salvage, before anybody sees it.
 *
 * Every list, stream and group is compared with what is left of it. Counters and links are made to
 * fit, what lies behind a hole is kept, and what is gone is put on record (oxbow/loss.h).
 * What cannot be known is not guessed: the damaged file is in quarantine.
 */
#ifndef OXBOW_QUEUE_MEND_H
#define OXBOW_QUEUE_MEND_H

#include "engine/store/catalog.h"
#include "engine/store/loss.h"

struct mend {
    struct oxbow *db;
    struct loss_state state;
    struct salvage_range *ranges; /* state.ranges of them */
};

/* One object and what it is called, in a transaction of its own. */
struct mend_object {
    const struct mend *mend;
    struct oxbow_txn *txn;
    uint32_t database;
    struct oxbow_bytes name;
    struct object object;
};

/* How each step of mending begins, and ends: committed, or aborted after an error, which it gives. */
extern const struct oxbow_txn_options mend_step;
OXBOW_MUST_CHECK enum oxbow_err mend_finish(struct oxbow_txn *txn, enum oxbow_err err);

/* Mends whatever a salvage has left to be mended; nothing if there was none. For store_open.
 * OXBOW_ECORRUPT when there is something, but the store is only to be read; what transactions
 * give. */
OXBOW_MUST_CHECK enum oxbow_err mend_store(struct oxbow *db);

OXBOW_MUST_CHECK enum oxbow_err mend_list(struct mend_object *o);
OXBOW_MUST_CHECK enum oxbow_err mend_stream(struct mend_object *o);
/* A hash, a set or a sorted set: what is lost is told, and what has no root is gone. */
OXBOW_MUST_CHECK enum oxbow_err mend_members(struct mend_object *o);

/* After a stream is mended that lacks what `loss` says, and is on record so: its forward, if there is
 * one, is to tell the target in the entries' place. */
OXBOW_MUST_CHECK enum oxbow_err mend_forward_stream(struct mend_object *o,
                                                    const struct oxbow_loss *loss);
/* After elements of a list are lost: its forward cannot tell any more which element is which. */
OXBOW_MUST_CHECK enum oxbow_err mend_forward_list(struct mend_object *o);
/* Forwards and the identity, after all objects: what is lost of them is made anew from the copies or
 * told, and what is left agrees with the queues. */
OXBOW_MUST_CHECK enum oxbow_err mend_forwards(struct mend *m);

/* Whether keys from `low` on, below `high`, may be among those that are lost. */
bool mend_may_be_lost(const struct mend *m, struct oxbow_bytes low, struct oxbow_bytes high);
/* Whether all pieces of a blob of that length are there. */
OXBOW_MUST_CHECK enum oxbow_err mend_blob_there(struct oxbow_txn *txn, uint64_t blob, uint64_t len,
                                                bool *there);
/* Puts a loss of this object on record; database, type and name are filled in here. */
OXBOW_MUST_CHECK enum oxbow_err mend_tell(struct mend_object *o, struct oxbow_loss loss);

#endif
