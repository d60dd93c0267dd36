/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups inside the engine: their records, names, clock and pending entries. What the functions of
 * the same meaning promise stands in oxbow/group.h.
 */
#ifndef OXBOW_QUEUE_GROUP_H
#define OXBOW_QUEUE_GROUP_H

#include "engine/queue/stream.h"
#include "oxbow/group.h"
#include "oxbow/group_options.h"

/* entries_read when nobody knows it. */
#define GROUP_READ_UNKNOWN UINT64_MAX

/* A group's options and what goes with them, decoded (group_rules.h). Names are left out. */
struct group_rules {
    uint64_t visibility_ms;
    uint64_t retry_base_ms;
    uint64_t retry_max_ms;
    uint32_t max_deliveries;
    uint32_t retry_factor_percent;
    uint32_t retry_jitter_percent;
    uint32_t prefetch;
    uint64_t exclusive_ms;
    uint32_t dead_len;  /* bytes of the names behind the record */
    uint32_t field_len; /* likewise, behind that */
    bool dead_remove;
    uint64_t seed; /* of the jitter */
    /* From here on: state, which changes with every delivery. */
    struct oxbow_id sweep; /* chunks from this id on have not been looked at by these rules */
    bool turn_new;         /* the next read of one entry tries new ones first */
    bool keyed;            /* there may be keys (group_key.h) */
    uint32_t holder;       /* consumer that has the group for itself; 0: nobody */
    uint64_t holder_ms;    /* when it was last heard of */
    uint64_t redelivered;
    uint64_t dead;
    uint64_t refused;
    uint32_t problem; /* enum oxbow_err */
};

/* A group's record, decoded. Written back by group_save. */
struct group {
    struct stream *stream;
    uint32_t number; /* never reused within its stream */
    uint32_t consumers;
    uint32_t consumer_next;
    struct oxbow_id last; /* last-delivered-id */
    uint64_t entries_read;
    uint64_t pending;
    struct oxbow_id pending_low;  /* base of the first chunk of pending entries; none: ID_MAX */
    struct oxbow_id pending_tail; /* base of the last one, which may be empty; none: 0-0 */
    /* The group's clock stood at clock_age when the store's clocks stood at the other three. */
    uint64_t clock_boot;
    uint64_t clock_uptime_ms;
    uint64_t clock_at; /* group_record.c */
    uint64_t clock_age_ms;
    bool ruled;               /* it has options, or had some: */
    struct group_rules rules; /* then these are valid */
};

/* A consumer's record, decoded. Times are the group's clock. */
struct consumer {
    uint32_t number; /* never 0, never reused within its group */
    uint64_t pending;
    uint64_t seen_ms;
    uint64_t active_ms; /* 0: never */
};

/* ---- records (group_record.c) ---- */

/* The stream and its group. OXBOW_ENOENT: no such stream; OXBOW_ENOGROUP: no such group. */
OXBOW_MUST_CHECK enum oxbow_err group_find(struct oxbow_txn *txn, struct oxbow_group group,
                                           struct stream *s, struct group *g);
/* The same, with OXBOW_ENOGROUP for both. */
OXBOW_MUST_CHECK enum oxbow_err group_find_any(struct oxbow_txn *txn, struct oxbow_group group,
                                               struct stream *s, struct group *g);
OXBOW_MUST_CHECK enum oxbow_err group_find_in(struct stream *s, struct oxbow_bytes name,
                                              struct group *g);
/* Makes a group's record and name; counts it in the stream, which the caller saves. */
OXBOW_MUST_CHECK enum oxbow_err group_make(struct stream *s, struct oxbow_bytes name,
                                           struct group *g);
OXBOW_MUST_CHECK enum oxbow_err group_save(struct group *g);
/* Removes the record and the name, and most of what belongs to it; the rest is left to group_reap.
 * The caller saves the stream. */
OXBOW_MUST_CHECK enum oxbow_err group_drop(struct group *g, struct oxbow_bytes name);
/* One bounded step of removing what dropped groups left; saves nothing, sets *changed. */
OXBOW_MUST_CHECK enum oxbow_err group_reap(struct stream *s, bool *changed);

/* Calls `each` for every group of the stream, in the order of their numbers. `each` may write. */
OXBOW_MUST_CHECK enum oxbow_err
group_each(struct stream *s,
           enum oxbow_err (*each)(void *ctx, struct group *g, struct oxbow_bytes name), void *ctx);

/* The greatest id such that everything at or below it that was delivered is acked. */
OXBOW_MUST_CHECK enum oxbow_err group_acked(struct group *g, struct oxbow_id *to);

/* What the group's clock says now, and setting it so. */
uint64_t group_now(const struct group *g);
void group_clock_set(struct group *g);
/* Whether the clock was last set in an earlier opening of the store. */
bool group_clock_old(const struct group *g);

OXBOW_MUST_CHECK enum oxbow_err consumer_find(struct group *g, struct oxbow_bytes name,
                                              struct consumer *c); /* OXBOW_ENOENT */
/* Finds or makes one. The caller saves the group. */
OXBOW_MUST_CHECK enum oxbow_err consumer_open(struct group *g, struct oxbow_bytes name,
                                              struct consumer *c, bool *made);
/* Makes one of a number that is free, after a salvage. OXBOW_EEXIST: the name is taken. */
OXBOW_MUST_CHECK enum oxbow_err consumer_make(struct group *g, struct oxbow_bytes name,
                                              const struct consumer *c);
/* By number, with its name if `name` is not NULL (borrowed until the next write). */
OXBOW_MUST_CHECK enum oxbow_err consumer_load(struct group *g, uint32_t number, struct consumer *c,
                                              struct oxbow_bytes *name);
OXBOW_MUST_CHECK enum oxbow_err consumer_save(struct group *g, const struct consumer *c);
OXBOW_MUST_CHECK enum oxbow_err consumer_drop(struct group *g, struct oxbow_bytes name,
                                              const struct consumer *c);
/* Calls `each` for every consumer. `each` must not write. */
OXBOW_MUST_CHECK enum oxbow_err
consumer_each(struct group *g,
              enum oxbow_err (*each)(void *ctx, const struct consumer *c, struct oxbow_bytes name),
              void *ctx);

/* ---- pending entries (group_pending.c) ---- */

#define PENDING_DELIVERIES_MAX OXBOW_DELIVERIES_MAX

struct pending {
    struct oxbow_id id;
    uint32_t consumer; /* 0: nobody, until it is delivered again (group_options.h) */
    uint64_t age_ms;   /* the group's clock at its last delivery; 48 bits */
    uint64_t deliveries;
};

/* Works on the pending entries of one group, remembering where it was last. */
struct pending_table {
    struct group *group;
    struct kv_cursor cursor;
    bool cursor_open;
    bool has_base;
    struct oxbow_id base;    /* of the chunk that was used last */
    uint32_t tally_consumer; /* whose count of pending entries is behind, */
    uint64_t tally_removed;  /* by so many */
};

void pending_open(struct pending_table *t, struct group *g);
void pending_close(struct pending_table *t);
/* Brings the consumers' counts up to date; to be called after the last change. The group itself is
 * saved by the caller. */
OXBOW_MUST_CHECK enum oxbow_err pending_flush(struct pending_table *t);

/* OXBOW_ENOENT: not pending. */
OXBOW_MUST_CHECK enum oxbow_err pending_find(struct pending_table *t, struct oxbow_id id,
                                             struct pending *out);
/* Adds or replaces, counting for the group and, for whom it is taken from, in the tally; the one
 * who gets it counts himself: *added says that he has one more. */
OXBOW_MUST_CHECK enum oxbow_err pending_set(struct pending_table *t, const struct pending *p,
                                            bool *added);
/* Adds entries that were just delivered, ids growing, all with the same consumer and age and one
 * delivery. *added: how many the consumer did not have pending before. */
struct pending_batch {
    const struct oxbow_entry *entries;
    size_t count;
    uint32_t consumer;
    uint64_t age_ms;
};
OXBOW_MUST_CHECK enum oxbow_err pending_add(struct pending_table *t, const struct pending_batch *b,
                                            uint64_t *added);
/* OXBOW_ENOENT: not pending. */
OXBOW_MUST_CHECK enum oxbow_err pending_remove(struct pending_table *t, struct oxbow_id id);

/* Walks pending entries from an id on. Reads a chunk at a time into its own memory, so that what
 * was given may be changed or removed meanwhile. */
#define PENDING_CHUNK_BYTES 4064u
struct pending_walk {
    struct pending_table *table;
    struct oxbow_id from;
    uint32_t consumer;   /* 0: all */
    uint64_t age_max_ms; /* only what was delivered at or before it, */
    bool or_nobodys;     /* or is nobody's, whenever that was */
    bool reverse;        /* from the last one downwards; `from` must be 0-0 */
    bool loaded;
    struct oxbow_id base;
    size_t count;
    size_t idx;
    uint8_t chunk[PENDING_CHUNK_BYTES];
};
void pending_walk_init(struct pending_walk *w, struct pending_table *t, struct oxbow_id from);
/* OXBOW_ENOENT at the end. */
OXBOW_MUST_CHECK enum oxbow_err pending_walk_next(struct pending_walk *w, struct pending *out);

/* After something was taken off the pending list because it is dealt with: saves the group, and tells
 * those who could not go on because of it. */
OXBOW_MUST_CHECK enum oxbow_err group_acked_after(struct group *g);

/* ---- what deletions ask of groups (group_refs.c) ---- */

/* Whether some group has not read the entry yet, or has it pending. */
OXBOW_MUST_CHECK enum oxbow_err group_refers(struct stream *s, struct oxbow_id id, bool *refers);
bool refs_valid(enum oxbow_refs refs);
/* A trim with other refs than KEEP, up to and with `edge`. Saves nothing. */
struct refs_trim {
    const struct oxbow_stream_trim *trim;
    struct oxbow_id edge;
    uint64_t entries_max;
};
OXBOW_MUST_CHECK enum oxbow_err group_trim(struct stream *s, struct oxbow_bytes key,
                                           const struct refs_trim *trim, uint64_t *removed,
                                           bool *more);
/* Takes the entry from all groups' pending lists. */
OXBOW_MUST_CHECK enum oxbow_err group_forget(struct stream *s, struct oxbow_id id);

/* The lag and read counter of a group as Redis 7.0 computes them (group_lag.c). */
void group_read_advance(struct group *g, struct oxbow_id id);
/* The same in a stream with priorities: so many entries were given, and all up to `to` are. */
void group_read_many(struct group *g, uint64_t count, struct oxbow_id to);
/* The read counter of a group that is made at that id, in a stream with priorities. */
uint64_t group_read_from(const struct stream *s, struct oxbow_id id);
bool group_lag(const struct group *g, int64_t *lag);

#endif
