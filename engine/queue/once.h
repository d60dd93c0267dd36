/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of entries that were added once: records and the window. */
#ifndef OXBOW_QUEUE_ONCE_H
#define OXBOW_QUEUE_ONCE_H

#include "engine/store/kv.h"
#include "oxbow/once.h"

/* A queue, by its policy's id, and its window. */
struct once {
    struct oxbow_txn *txn;
    uint32_t queue;
    uint64_t window_ms;
    uint64_t window_count;
};

/* What is remembered of a name. */
struct once_seen {
    uint64_t number; /* an id: its place in the order of ids; a producer: its last sequence */
    uint64_t clock_ms;
    struct oxbow_id id; /* of the entry */
};

enum once_kind { ONCE_ID = 'i', ONCE_PRODUCER = 'p' };

/* OXBOW_ENOENT: nothing is remembered. */
OXBOW_MUST_CHECK enum oxbow_err once_get(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name, struct once_seen *seen);
/* Remembers, over what was remembered of that name. OXBOW_ERANGE: too many names of one hash. */
OXBOW_MUST_CHECK enum oxbow_err once_put(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name, const struct once_seen *seen);
OXBOW_MUST_CHECK enum oxbow_err once_del(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name);
/* Gives an id its place in the order, and forgets the oldest ones that the window leaves out. */
OXBOW_MUST_CHECK enum oxbow_err once_order(const struct once *o, struct oxbow_bytes name,
                                           struct once_seen *seen);
/* Whether an id that was remembered then is within the window of time: never out of it too early. */
OXBOW_MUST_CHECK enum oxbow_err once_within(const struct once *o, uint64_t clock_ms, bool *within);
/* A policy is gone: so is what was remembered of its queue, in bounded steps. */
OXBOW_MUST_CHECK enum oxbow_err once_drop_queue(struct oxbow_txn *txn, uint32_t queue);
/* One such step. For idle work. */
OXBOW_MUST_CHECK enum oxbow_err once_reap(struct oxbow_txn *txn, bool *more);

#endif
