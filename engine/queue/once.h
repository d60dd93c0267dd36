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

enum once_kind {
    ONCE_ID = 'i',
    ONCE_PRODUCER = 'p',
    ONCE_BEFORE = 'b' /* in a stand-in: how far the store knew a producer when the merge began */
};

/* OXBOW_ENOENT: nothing is remembered. */
OXBOW_MUST_CHECK enum oxbow_err once_get(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name, struct once_seen *seen);
/* Remembers, over what was remembered of that name. OXBOW_ERANGE: too many names of one hash. */
OXBOW_MUST_CHECK enum oxbow_err once_put(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name, const struct once_seen *seen);
OXBOW_MUST_CHECK enum oxbow_err once_del(const struct once *o, enum once_kind kind,
                                         struct oxbow_bytes name);
/* The queue of a name, and its window. OXBOW_ENOENT: nothing was ever remembered there. */
OXBOW_MUST_CHECK enum oxbow_err once_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                           struct once *o);
/* The same, which is made if need be. */
OXBOW_MUST_CHECK enum oxbow_err once_queue_make(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                struct once *o);
/* One that is remembered, and where it is; all zero is before the first. */
struct once_name {
    enum once_kind kind;
    uint64_t hash;
    unsigned slot;
    struct once_seen seen;
    size_t len;
    uint8_t name[OXBOW_ONCE_NAME_MAX];
};
/* The one after `at`, in an order of no meaning. OXBOW_ENOENT: that was the last. */
OXBOW_MUST_CHECK enum oxbow_err once_next(const struct once *o, struct once_name *at);
/* Gives an id its place in the order, and forgets the oldest ones that the window leaves out. */
OXBOW_MUST_CHECK enum oxbow_err once_order(const struct once *o, struct oxbow_bytes name,
                                           struct once_seen *seen);
/* Whether an id that was remembered then is within the window of time: never out of it too early. */
OXBOW_MUST_CHECK enum oxbow_err once_within(const struct once *o, uint64_t clock_ms, bool *within);
/* A policy is gone: so is what was remembered of its queue, in bounded steps. */
OXBOW_MUST_CHECK enum oxbow_err once_drop_queue(struct oxbow_txn *txn, uint32_t queue);
/* One such step. For idle work. */
OXBOW_MUST_CHECK enum oxbow_err once_reap(struct oxbow_txn *txn, bool *more);

/* ---- in a store, while something is left in a stand-in: what came here all the same ---- */

/* A producer has added that number. Does nothing where nothing is left. */
OXBOW_MUST_CHECK enum oxbow_err once_run_add(const struct once *o, struct oxbow_bytes name,
                                             uint64_t number);
OXBOW_MUST_CHECK enum oxbow_err once_run_has(const struct once *o, struct oxbow_bytes name,
                                             uint64_t number, bool *has);
OXBOW_MUST_CHECK enum oxbow_err once_run_forget(const struct once *o, struct oxbow_bytes name);
/* A step towards nothing noted of the queue. */
OXBOW_MUST_CHECK enum oxbow_err once_run_clear(const struct once *o, bool *more);

/* ---- in a stand-in: which entry came under which name, for the merge ---- */

/* An entry of a queue: of a stream by its id, of a list by its index and zero. */
struct once_place {
    uint64_t object; /* 0: nowhere */
    struct oxbow_id id;
};
OXBOW_MUST_CHECK enum oxbow_err once_place_put(const struct once *o, const struct once_place *place,
                                               enum once_kind kind, struct oxbow_bytes name,
                                               uint64_t number);
/* The name of an entry: kind, number and name alone. OXBOW_ENOENT: it has none, or its list was edited
 * so that indexes say nothing. */
OXBOW_MUST_CHECK enum oxbow_err once_place_get(const struct once *o, const struct once_place *place,
                                               struct once_name *at);
/* Fine if there is none. */
OXBOW_MUST_CHECK enum oxbow_err once_place_del(const struct once *o, struct oxbow_id id);
/* The first one from `from` on, or the last one up to it. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err once_place_find(const struct once *o, struct oxbow_id from,
                                                bool last, struct once_place *place,
                                                struct once_name *at);
/* That list was edited. */
OXBOW_MUST_CHECK enum oxbow_err once_place_blur(const struct once *o, uint64_t object);
/* For lists, of any store: elements without a name came to those indexes / indexes say nothing of what
 * came before. */
OXBOW_MUST_CHECK enum oxbow_err once_list_pushed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t first, uint64_t count);
OXBOW_MUST_CHECK enum oxbow_err once_list_edited(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t object);

#endif
