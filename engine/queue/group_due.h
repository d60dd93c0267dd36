/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what is pending in a group with rules is to be delivered again, and finding what is.
 *
 * Most entries are due when their last delivery is long enough ago. What differs is said in a note
 * of its own:
 *
 *   note     0      1       2      8        16         24         32
 *            +------+-------+------+--------+----------+----------+
 *            | form | flags | zero | due ms | first ms | key hash |    little endian
 *            +------+-------+------+--------+----------+----------+
 *
 * flags: 1 it is due at `due`, 2 it was delivered first at `first`, 4 it is held (group_key.h);
 * times: the group's clock; key hash 0: it has no key.
 *
 * Each chunk of pending entries has a time at which it wants to be looked at: one key leads from
 * the chunk to the time (LOOK), one from the time to the chunk (LOOK_AT). So looking for what is
 * due costs one step down the tree, and one chunk for every time one is reached; what is delivered
 * and acked in time costs two keys for each chunk and not for each entry.
 *
 * 1. A chunk's look is at or before the time at which anything in it is due, unless the sweep has
 *    yet to come to it (group_rules.h). A chunk without a look has nothing that will be due.
 * 2. Both keys of a chunk are there or neither.
 */
#ifndef OXBOW_QUEUE_GROUP_DUE_H
#define OXBOW_QUEUE_GROUP_DUE_H

#include "engine/queue/group.h"

#define DUE_NEVER UINT64_MAX

struct note {
    bool has_due;
    bool has_first;
    bool held;
    uint64_t due_ms;
    uint64_t first_ms;
    uint64_t key;
};

/* All zero when there is none. */
OXBOW_MUST_CHECK enum oxbow_err note_get(struct group *g, struct oxbow_id id, struct note *out);
/* Writes it, or removes it when it says nothing. */
OXBOW_MUST_CHECK enum oxbow_err note_put(struct group *g, struct oxbow_id id,
                                         const struct note *note);

/* When a pending entry is due. `note` may be NULL: as if it had none. */
uint64_t due_of(const struct group *g, const struct pending *p, const struct note *note);

/* The entry of which `old` was the state is delivered to a consumer, claimed by it or (0) given
 * back: what was said of when it is due holds no more, and when it was delivered first is written
 * down. */
OXBOW_MUST_CHECK enum oxbow_err due_taken(struct group *g, const struct pending *old,
                                          uint32_t consumer);
/* The entry is pending no more. */
OXBOW_MUST_CHECK enum oxbow_err due_removed(struct group *g, const struct pending *old);
/* After a salvage: no entry has a key, what was held is due. */
OXBOW_MUST_CHECK enum oxbow_err note_forget_keys(struct group *g);

/* Something in the chunk is due at that time: its look is not later from now on. */
OXBOW_MUST_CHECK enum oxbow_err due_by(struct group *g, struct oxbow_id base, uint64_t due_ms);
/* The same for the chunk that a pending entry is in. OXBOW_ENOENT: it is not pending. */
OXBOW_MUST_CHECK enum oxbow_err due_entry_by(struct pending_table *t, struct oxbow_id id,
                                             uint64_t due_ms);
/* The chunk is gone: it is looked at no more. */
OXBOW_MUST_CHECK enum oxbow_err due_forget(struct group *g, struct oxbow_id base);
/* The chunk that due_first gave, and when, is looked at next at another time; DUE_NEVER: not at
 * all. Heals what a salvage has left of its two keys. */
OXBOW_MUST_CHECK enum oxbow_err due_move(struct group *g, struct oxbow_id base, uint64_t from_ms,
                                         uint64_t to_ms);
/* The chunk to be looked at first, and when. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err due_first(struct group *g, uint64_t *due_ms, struct oxbow_id *base);
/* The same from that time and chunk on. */
OXBOW_MUST_CHECK enum oxbow_err due_from(struct group *g, uint64_t *due_ms, struct oxbow_id *base);
/* When something may be due; DUE_NEVER: never. */
OXBOW_MUST_CHECK enum oxbow_err due_next(struct group *g, uint64_t *due_ms);

/* Entries of one chunk that are due. */
#define DUE_BATCH_MAX 126u
struct due_batch {
    struct pending items[DUE_BATCH_MAX];
    size_t count;
    uint64_t rest_ms; /* when the others of the chunk are due */
};
/* Those of a chunk that are due now. OXBOW_ENOENT: there is no such chunk. */
OXBOW_MUST_CHECK enum oxbow_err due_collect(struct group *g, struct oxbow_id base, uint64_t now,
                                            struct due_batch *out);

/* One bounded step of the sweep; *changed when g->rules are to be saved. */
OXBOW_MUST_CHECK enum oxbow_err due_sweep(struct group *g, bool *changed);

/* Tells those who wait for the stream when they have to look again, but not within min_ms. */
OXBOW_MUST_CHECK enum oxbow_err due_alarm(struct group *g, uint64_t min_ms);

#endif
