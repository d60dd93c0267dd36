/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams inside the engine: the header record, adding, and walking entries without a copy. What
 * the functions of the same meaning promise stands in oxbow/stream.h.
 */
#ifndef OXBOW_QUEUE_STREAM_H
#define OXBOW_QUEUE_STREAM_H

#include "engine/queue/stream_entry.h"
#include "engine/store/catalog.h"
#include "oxbow/stream.h"

/* The kinds of a stream object's keys. Values are stored: never renumbered. */
enum stream_kind {
    STREAM_KIND_HEAD = OBJECT_KIND_TYPE,              /* no tail: struct stream */
    STREAM_KIND_CHUNK = OBJECT_KIND_TYPE + 1,         /* first id */
    STREAM_KIND_BODY = OBJECT_KIND_TYPE + 2,          /* id: fields of an entry of 4 to 64 KiB */
    STREAM_KIND_GROUP_NAME = OBJECT_KIND_TYPE + 3,    /* hash, slot: group number */
    STREAM_KIND_GROUP = OBJECT_KIND_TYPE + 4,         /* group number: group.h */
    STREAM_KIND_CONSUMER_NAME = OBJECT_KIND_TYPE + 5, /* group number, hash, slot */
    STREAM_KIND_CONSUMER = OBJECT_KIND_TYPE + 6,      /* group number, consumer number */
    STREAM_KIND_PENDING = OBJECT_KIND_TYPE + 7,       /* group number, first id */
    STREAM_KIND_DEAD_GROUP = OBJECT_KIND_TYPE + 8,    /* group number: what is left of it goes */
    STREAM_KIND_RULES = OBJECT_KIND_TYPE + 9,         /* group number: group_rules.h */
    STREAM_KIND_NOTE = OBJECT_KIND_TYPE + 10,         /* group number, id: group_due.h */
    STREAM_KIND_LOOK = OBJECT_KIND_TYPE + 11,         /* group number, chunk of pending entries */
    STREAM_KIND_LOOK_AT = OBJECT_KIND_TYPE + 12,      /* group number, time, chunk: no value */
    STREAM_KIND_KEY = OBJECT_KIND_TYPE + 13,          /* group number, hash: group_key.h */
    STREAM_KIND_KEY_LINE = OBJECT_KIND_TYPE + 14,     /* group number, hash, id: no value */
    STREAM_KIND_PRIORITIES = OBJECT_KIND_TYPE + 15,   /* no tail: priority.h */
    STREAM_KIND_PRIORITY = OBJECT_KIND_TYPE + 16,     /* priority, first id: ids of entries */
    STREAM_KIND_SERVED = OBJECT_KIND_TYPE + 17        /* group number: its places by priority */
};

/* A result holds at most this many payload bytes. */
#define STREAM_RESULT_BYTES_MAX ((size_t)1 << 30)

/* The header record, decoded. Written back by stream_save. */
struct stream {
    struct oxbow_txn *txn;
    struct object object;
    bool made;              /* not stored yet */
    bool priorities;        /* entries are indexed by priority: priority.h */
    uint32_t groups;        /* that exist */
    uint32_t groups_dead;   /* destroyed, with keys left */
    uint32_t group_next;    /* number of the next one */
    uint64_t length;        /* live entries */
    uint64_t entries_added; /* Redis: entries-added */
    uint64_t bytes;         /* of live entries as stored */
    uint64_t chunks;
    struct oxbow_id last;  /* last-generated-id */
    struct oxbow_id first; /* recorded-first-entry-id; 0-0 when empty */
    struct oxbow_id tail;  /* first id of the chunk that grows; 0-0: none */
    struct oxbow_id max_deleted;
    uint64_t rotate_ms; /* the chunk that grows is begun anew after that; 0: not for its age. Not
                           stored either */
    struct oxbow_id cut_last; /* the newest entry that stream_cut has removed; not stored */
};

/* Finds a stream. OXBOW_ENOENT, OXBOW_EWRONGTYPE, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err stream_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                                            struct stream *out);
/* Finds or makes one (not stored before stream_save). OXBOW_EWRONGTYPE, OXBOW_EQUOTA. */
OXBOW_MUST_CHECK enum oxbow_err stream_open(struct oxbow_txn *txn, struct oxbow_bytes key,
                                            struct stream *out);
/* The same by the object's number, for those who keep it. */
OXBOW_MUST_CHECK enum oxbow_err stream_load(struct oxbow_txn *txn, const struct object *object,
                                            struct stream *out);
OXBOW_MUST_CHECK enum oxbow_err stream_save(struct stream *s);

/* Builds a key of the stream's object whose tail is an id. */
struct oxbow_bytes stream_id_key(uint8_t out[KV_KEY_MAX], const struct stream *s,
                                 enum stream_kind kind, struct oxbow_id id);

/* ---- walking ---- */

/* Walks live entries in either direction between two ids (inclusive). What it gives is borrowed
 * until the next step or the next write of the transaction; a walk goes on after writes that do
 * not touch chunks. Begin with stream_walk_init, end with stream_walk_fini. */
struct stream_walk {
    struct stream *stream;
    struct kv_cursor cursor;
    struct oxbow_id from;
    struct oxbow_id to;
    bool reverse;
    bool ended;
    bool placed;                                 /* a chunk is loaded */
    bool hide;                                   /* what has expired is passed over by who asks */
    struct chunk_walk chunk;                     /* forwards: where the next entry is */
    uint16_t back[CHUNK_MAX / STREAM_ENTRY_MIN]; /* backwards: positions of the entries... */
    size_t back_count;                           /* ...that are still to come */
    uint8_t *body;                               /* a blob's bytes, when one had to be fetched */
    size_t body_len;
};

OXBOW_MUST_CHECK enum oxbow_err stream_walk_init(struct stream_walk *w, struct stream *s,
                                                 struct oxbow_id from, struct oxbow_id to,
                                                 bool reverse);
void stream_walk_fini(struct stream_walk *w);
/* The next live entry. OXBOW_ENOENT at the end, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err stream_walk_next(struct stream_walk *w, struct stream_entry *entry);
/* The fields of the entry that was given last, wherever they are kept. */
OXBOW_MUST_CHECK enum oxbow_err stream_walk_fields(struct stream_walk *w,
                                                   const struct stream_entry *entry,
                                                   struct field_walk *fields);
/* Names and values of the entry that was given last, in bytes, without fetching what is outside
 * (then a little more than they are). */
uint64_t stream_entry_bytes(const struct stream_walk *w, const struct stream_entry *entry);

/* Names and values of the live entries in [from, to], in bytes, to the byte. */
OXBOW_MUST_CHECK enum oxbow_err stream_payload(struct stream *s, struct oxbow_id from,
                                               struct oxbow_id to, uint64_t *bytes);

/* Whether there is a live entry of that id. With `fill`, adds it to the result. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err stream_entry_find(struct stream *s, struct oxbow_id id,
                                                  struct oxbow_result *fill);
/* Adds the entry that the walk gave last to a result being filled. */
OXBOW_MUST_CHECK enum oxbow_err stream_walk_fill(struct stream_walk *w,
                                                 const struct stream_entry *entry,
                                                 struct oxbow_result *result);
/* Fills the result with the range, from begin to finish. */
OXBOW_MUST_CHECK enum oxbow_err
stream_fill(struct stream *s, const struct oxbow_stream_range *range, struct oxbow_result *result);
/* Adds the range to a result that is being filled; its `bytes` count what is in there already. */
OXBOW_MUST_CHECK enum oxbow_err stream_fill_more(struct stream *s,
                                                 const struct oxbow_stream_range *range,
                                                 struct oxbow_result *result);

/* ---- changing ---- */

/* Adds to an open stream and to its counters; the caller saves it and touches the object. */
OXBOW_MUST_CHECK enum oxbow_err stream_append(struct stream *s, struct oxbow_id id,
                                              const struct oxbow_field *fields,
                                              uint32_t field_count, uint8_t priority);

/* oxbow_stream_add, to this stream alone. */
OXBOW_MUST_CHECK enum oxbow_err stream_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                           const struct oxbow_stream_add_options *opt,
                                           const struct oxbow_field *fields, uint32_t field_count,
                                           struct oxbow_id *id);
/* What of the fields an append refuses whatever the stream: OXBOW_EINVAL, OXBOW_ETOOBIG. *len is that
 * of a plain body. */
OXBOW_MUST_CHECK enum oxbow_err stream_fields_check(struct oxbow_txn *txn,
                                                    const struct oxbow_field *fields,
                                                    uint32_t count, size_t *len);
/* Whether an append of checked fields would find room in this stream, the quota apart: what it would
 * be refused for otherwise. Nothing is added; what is delivered or may be dropped may have gone to
 * make the room. */
OXBOW_MUST_CHECK enum oxbow_err stream_admits(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              const struct oxbow_field *fields,
                                              uint32_t field_count);

/* OXBOW_EINVAL: options that contradict each other. */
OXBOW_MUST_CHECK enum oxbow_err stream_trim_check(const struct oxbow_stream_trim *trim);

/* What an entry with these fields, appended now under that id, would add to `bytes`; a little more
 * when it is kept outside of chunks. */
OXBOW_MUST_CHECK enum oxbow_err stream_measure(struct stream *s, struct oxbow_id id,
                                               const struct oxbow_field *fields,
                                               uint32_t field_count, uint64_t *bytes);

/* One step of a trim. */
struct stream_cut {
    struct oxbow_stream_trim trim;
    bool by_bytes; /* with OXBOW_TRIM_NONE: until at most bytes_max are left */
    uint64_t bytes_max;
    bool has_edge;
    struct oxbow_id edge; /* nothing above it is removed */
    uint64_t entries_max; /* stop after about so many */
};
/* Removes from the old end and keeps all counters right, but does not save. *more: stopped by
 * entries_max or the trim's limit alone. */
OXBOW_MUST_CHECK enum oxbow_err stream_cut(struct stream *s, const struct stream_cut *cut,
                                           uint64_t *removed, bool *more);
/* The same, with what forwards protect as its edge, and telling them of what a forced one took. */
OXBOW_MUST_CHECK enum oxbow_err stream_trim_guarded(struct stream *s, struct oxbow_bytes key,
                                                    const struct oxbow_stream_trim *trim,
                                                    uint64_t entries_max, uint64_t *removed,
                                                    bool *more);

/* Removes one entry and keeps all counters right, but does not save. OXBOW_ENOENT: no such one. */
OXBOW_MUST_CHECK enum oxbow_err stream_remove(struct stream *s, struct oxbow_id id);
/* Entries that an approximate trim without a limit removes at most. */
#define STREAM_LIMIT_DEFAULT 10000u

/* Removes several, with what forwards protect in mind; asks `may` about each, which may be NULL.
 * outcomes may be NULL. Saves. */
struct stream_removal {
    const struct oxbow_id *ids;
    size_t count;
    enum oxbow_delete_outcome *outcomes;
    /* OXBOW_OK: go on. OXBOW_EBUSY: leave it, something refers to it. Other errors end it all. */
    enum oxbow_err (*may)(struct stream *s, struct oxbow_id id, void *ctx);
    void *ctx;
};
/* OXBOW_EPROTECTED when one of the ids is an entry that a forward has not delivered. */
OXBOW_MUST_CHECK enum oxbow_err stream_removal_check(struct stream *s, struct oxbow_bytes key,
                                                     const struct stream_removal *removal);
/* One of them, without that check, and without a save. OXBOW_ENOENT: it is not there; OXBOW_EBUSY. */
OXBOW_MUST_CHECK enum oxbow_err stream_remove_one(struct stream *s, struct oxbow_bytes key,
                                                  const struct stream_removal *removal,
                                                  struct oxbow_id id);
OXBOW_MUST_CHECK enum oxbow_err stream_remove_all(struct stream *s, struct oxbow_bytes key,
                                                  const struct stream_removal *removal,
                                                  uint64_t *removed);

/* ---- copying (stream_copy.c) ---- */

struct stream_copy {
    struct stream *from;
    struct stream *to;       /* open, and nothing in it */
    struct oxbow_bytes name; /* of `to`, in the transaction's database */
};

/* Asked before anything is changed. OXBOW_ENOTSUP: it has priorities, or a group that has rules. *bytes:
 * about what a copy takes. */
OXBOW_MUST_CHECK enum oxbow_err stream_copy_look(struct stream *from, uint64_t *bytes);
/* Copies all of it, and saves `to`. OXBOW_ETOOBIG: entries have a time to live, and the name is over
 * OXBOW_TTL_NAME_MAX. After an error the transaction is only to be aborted. */
OXBOW_MUST_CHECK enum oxbow_err stream_copy(const struct stream_copy *c);

#endif
