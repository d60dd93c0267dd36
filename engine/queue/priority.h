/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priorities of a stream inside the engine: which entries there are of each priority, and which of
 * them a group is given next. What is promised stands in oxbow/stream.h and oxbow/policy.h.
 *
 * Entries lie in the stream in the order of their ids, whatever their priority; beside it each
 * priority has an index of ids. A stream gets all this with the first entry that is added while its
 * policy has priorities, and loses it with the first one added to it empty when it has none; until
 * then, and without, nothing of this file is called but for a test of one flag.
 *
 * 1. What was in the stream before, up to `from`, is not in the index: it counts as the lowest
 *    priority.
 * 2. Every live entry above `from` is in the index of its priority. An id in an index that has no
 *    live entry is below the stream's first one, or was lost to damage.
 * 3. Up to group.last a group has been given everything; beyond it, every entry of a priority up
 *    to the group's place in that.
 */
#ifndef OXBOW_QUEUE_PRIORITY_H
#define OXBOW_QUEUE_PRIORITY_H

#include "engine/queue/group.h"
#include "engine/queue/stream.h"

#define PRIORITIES OXBOW_PRIORITIES_MAX

/* ---- the index (priority.c) ---- */

struct priority_row {
    struct oxbow_id newest; /* the last id that was put into the index; 0-0: none */
    struct oxbow_id tail;   /* base of the chunk of the index that grows; 0-0: none */
    uint64_t entries;       /* live ones in the stream */
};

/* A stream's record of priorities, decoded. */
struct priorities {
    struct oxbow_id from;
    struct priority_row rows[PRIORITIES];
};

/* OXBOW_ECORRUPT also when there is none. */
OXBOW_MUST_CHECK enum oxbow_err priority_load(const struct stream *s, struct priorities *out);
OXBOW_MUST_CHECK enum oxbow_err priority_save(struct stream *s, const struct priorities *p);
/* The stream has priorities from its next entry on; the caller saves it. */
OXBOW_MUST_CHECK enum oxbow_err priority_begin(struct stream *s);
/* And has them no more; it is empty. The caller saves it. */
OXBOW_MUST_CHECK enum oxbow_err priority_end(struct stream *s);
/* Makes the stream as a policy with so many priorities wants it, before something is added. */
OXBOW_MUST_CHECK enum oxbow_err priority_prepare(struct stream *s, uint64_t count);
/* An entry was appended. */
OXBOW_MUST_CHECK enum oxbow_err priority_add(struct stream *s, struct oxbow_id id, uint8_t level);
/* So many live entries of each priority were removed. With `chunk`, a chunk of the stream went: what
 * the index has below s->first is removed in steps. */
OXBOW_MUST_CHECK enum oxbow_err priority_removed(struct stream *s,
                                                 const uint64_t counts[PRIORITIES], bool chunk);
/* That one was removed by its id. */
OXBOW_MUST_CHECK enum oxbow_err priority_forget(struct stream *s, struct oxbow_id id,
                                                uint8_t level);
/* Ids above `last`, which is at or above all live ones, may come again. */
OXBOW_MUST_CHECK enum oxbow_err priority_set_back(struct stream *s, struct oxbow_id last);
/* The highest priority that the queue's policy has now, `wanted` at most. */
OXBOW_MUST_CHECK enum oxbow_err priority_within(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                uint8_t wanted, uint8_t *level);
/* After a salvage, with everything else of the stream's header right. What the index lacks makes all
 * of it void: then entries are given in the order of their ids, and only new ones by priority. */
OXBOW_MUST_CHECK enum oxbow_err priority_mend(struct stream *s);

/* Walks the ids of one priority in the index, from an id on. */
struct priority_walk {
    const struct stream *stream;
    struct kv_cursor cursor;
    struct oxbow_id from;
    struct oxbow_id at; /* the id before the next one in the chunk */
    struct oxbow_bytes chunk;
    size_t pos;
    uint8_t level;
    bool placed;
    bool any; /* `at` is one of the chunk, not its base */
};
OXBOW_MUST_CHECK enum oxbow_err priority_walk_init(struct priority_walk *w, const struct stream *s,
                                                   uint8_t level, struct oxbow_id from);
void priority_walk_fini(struct priority_walk *w);
/* OXBOW_ENOENT at the end. Borrows: to be gone on with only until the next write. */
OXBOW_MUST_CHECK enum oxbow_err priority_walk_next(struct priority_walk *w, struct oxbow_id *id);

/* ---- what a group is given (priority_serve.c) ---- */

struct serve_row {
    struct oxbow_id at;  /* the group's place: all of this priority up to it has been given */
    struct oxbow_id old; /* the same among what lies below `from`, and has a priority after a
                          * salvage alone */
    uint64_t since_ms; /* the group's clock when this priority was first passed by; 0: it was not */
    uint32_t credit;   /* entries that it may still give in this round, by its weight */
};

/* A group that is being served by priorities. */
struct serve {
    struct group *group;
    struct priorities p;
    struct serve_row rows[PRIORITIES];
    struct serve_row was[PRIORITIES]; /* as stored */
    bool stored;                      /* there is a record, for the same `from` */
    uint8_t weights[PRIORITIES];      /* all 0: strict */
    uint64_t wait_ms;
    uint64_t taken[PRIORITIES]; /* given in this read */
};

/* `key` names the stream, and with it the policy. */
OXBOW_MUST_CHECK enum oxbow_err serve_open(struct serve *v, struct group *g,
                                           struct oxbow_bytes key);
/* Adds what comes next to a result that is being filled: `count` entries at most (0: no limit), and
 * as long as it holds no more than so many bytes (0: no limit). */
OXBOW_MUST_CHECK enum oxbow_err serve_fill(struct serve *v, uint64_t count, uint64_t bytes,
                                           struct oxbow_result *result);
/* Writes down what was given, moves g->last, and counts; the caller saves the group. */
OXBOW_MUST_CHECK enum oxbow_err serve_settle(struct serve *v);
/* Whether the group was given an entry that may lie beyond g->last. Of what the stream does not have
 * any more: yes. */
OXBOW_MUST_CHECK enum oxbow_err serve_passed(struct group *g, struct oxbow_id id, bool *passed);
/* The same of an entry that one has, with a serve open. */
bool serve_has_given(const struct serve *v, const struct stream_entry *entry);
/* The group's place was set by hand: what it had been given is forgotten. */
OXBOW_MUST_CHECK enum oxbow_err serve_reset(struct group *g);

#endif
