/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lists, streams and keys ask of forwards before they change something.
 *
 * The data types call these guards; they cost one comparison while the store has no forward. A
 * guard that answers anything but OXBOW_OK has changed nothing, and neither may its caller.
 * Forwards' own code changes keys through the types' unguarded functions.
 */
#ifndef OXBOW_QUEUE_FORWARD_H
#define OXBOW_QUEUE_FORWARD_H

#include "engine/store/kv.h"
#include "oxbow/forward.h"

/* Where a key's protection begins. */
struct forward_edge {
    bool on;                   /* a forward carries this key, and the transaction is not forced */
    bool forced;               /* it carries it, but the transaction is forced */
    bool trims;                /* it carries it and removes what is confirmed */
    struct oxbow_id safe;      /* entries above it may not be removed: the lower one of `confirmed`
                                  and `sent`, which a rewound target sets back */
    struct oxbow_id confirmed; /* entries above it are backlog */
};

OXBOW_MUST_CHECK enum oxbow_err forward_edge(struct oxbow_txn *txn, struct oxbow_bytes key,
                                             struct forward_edge *edge);

/* The name of the forward that carries `key`; "": none does. */
OXBOW_MUST_CHECK enum oxbow_err forward_of(struct oxbow_txn *txn, struct oxbow_bytes key,
                                           char name[OXBOW_FORWARD_NAME_MAX + 1]);

/* Before a key is deleted, overwritten or changed elsewhere than at its tail:
 * OXBOW_EPROTECTED when a forward carries it, unless the transaction is forced. */
OXBOW_MUST_CHECK enum oxbow_err forward_forbid(struct oxbow_txn *txn, struct oxbow_bytes key);
/* The same, whether forced or not: before what no gap could tell of, since it would move the
 * positions of a list's elements, or take the key from under its forward. */
OXBOW_MUST_CHECK enum oxbow_err forward_forbid_always(struct oxbow_txn *txn,
                                                      struct oxbow_bytes key);
/* Likewise for whatever the database holds: FLUSHDB, SWAPDB. */
OXBOW_MUST_CHECK enum oxbow_err forward_forbid_all(struct oxbow_txn *txn);
/* Before a group of `key` is destroyed. */
OXBOW_MUST_CHECK enum oxbow_err forward_forbid_group(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     struct oxbow_bytes group);

/* Before an append at the tail: `bytes` are names and values, `entries` how many. Counts them
 * towards the backlog. OXBOW_EBUDGET when they do not fit and the forward refuses; otherwise the
 * oldest unsent ones make room. */
OXBOW_MUST_CHECK enum oxbow_err forward_admit(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              uint64_t bytes, uint64_t entries);

/* Whether forward_admit would find room, which is made if need be; nothing is counted. */
OXBOW_MUST_CHECK enum oxbow_err forward_room(struct oxbow_txn *txn, struct oxbow_bytes key,
                                             uint64_t bytes);

/* After a stream was trimmed up to `to` (at most up to the edge's `safe`): a rewound target is told
 * of a gap there. */
OXBOW_MUST_CHECK enum oxbow_err forward_trimmed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                struct oxbow_id to);
/* What the ids of a stream must stay above that is made under this name: what its forward has sent
 * or told of, were the stream removed by force. 0-0 without a forward. */
OXBOW_MUST_CHECK enum oxbow_err forward_floor(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              struct oxbow_id *floor);

/* After a forced removal of entries [from, to] from a stream, or of the `entries` at a list's head
 * (from and to are ignored), or before the forced removal of a whole stream (entries UINT64_MAX, to
 * its last id): leaves a gap for what was not confirmed yet, or is to be sent again. A
 * stream's range lies on one side of `confirmed`. */
OXBOW_MUST_CHECK enum oxbow_err forward_lost(struct oxbow_txn *txn, struct oxbow_bytes key,
                                             struct oxbow_id from, struct oxbow_id to,
                                             uint64_t entries, uint64_t bytes);

#endif
