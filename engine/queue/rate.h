/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast entries come and go, for the files metric*.c; and what queues and forwards tell of what
 * passes through them.
 *
 * Nothing is counted before somebody asks: a queue's first reading has no rate, and begins its count.
 * Everything is called with the turn.
 */
#ifndef OXBOW_QUEUE_RATE_H
#define OXBOW_QUEUE_RATE_H

#include "engine/store/catalog.h"

/* Per second, in thousandths; all METRIC_UNKNOWN while it is not known. */
struct rate {
    uint64_t in;
    uint64_t out;
    uint64_t in_bytes;
    uint64_t out_bytes;
};

/* The rates of a queue by its name's tag, or of a forward by its name; of a forward nothing comes
 * in. Begins to count if nobody has asked before, unless OXBOW_RATE_QUEUES are counted. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err rate_of_queue(struct oxbow_txn *txn, uint64_t tag,
                                              struct rate *out);
OXBOW_MUST_CHECK enum oxbow_err rate_of_forward(struct oxbow_txn *txn, const char *name,
                                                struct rate *out);

/* Whether anybody has asked for any rate of this store: nothing need be told otherwise. */
static inline bool rate_asked(const struct oxbow_txn *txn)
{
    return txn_slot_get(txn, STORE_SLOT_RATE) != NULL;
}

/* So much was added to a queue, removed from it, or sent by a forward, in this transaction: it
 * counts when that commits. Only while rate_asked. */
void rate_came(struct oxbow_txn *txn, const struct object *object, uint64_t entries,
               uint64_t bytes);
void rate_left(struct oxbow_txn *txn, const struct object *object, uint64_t entries,
               uint64_t bytes);
void rate_sent(struct oxbow_txn *txn, const char *forward, uint64_t entries, uint64_t bytes);

#endif
