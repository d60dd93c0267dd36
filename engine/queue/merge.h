/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings what stand-ins hold (store/stand_in.h) into the store that they stood in for.
 *
 * Batch by batch: each is appended to the store in one transaction under `always`, which also writes
 * which batch it was; then it is taken out of the stand-in, which counts it. Whatever ends between the
 * two, the next opening sees that the store has a batch more than the stand-in has given, and takes that
 * one out without appending it again.
 */
#ifndef OXBOW_QUEUE_MERGE_H
#define OXBOW_QUEUE_MERGE_H

#include "engine/base/buf.h"
#include "engine/queue/forward_record.h"
#include "engine/queue/once.h"
#include "engine/store/members.h"
#include "engine/store/stand_in.h"

#define MERGE_BATCH       256u /* entries at most */
#define MERGE_BATCH_BYTES (256u << 10)

/* Values are stored: never renumbered. */
enum merge_kind {
    MERGE_STREAM = 1,
    MERGE_LIST = 2,
    MERGE_STRING = 3,
    MERGE_DELAY = 4,
    MERGE_ONCE = 5,
    MERGE_HASH = 6,
    MERGE_SET = 7,
    MERGE_ZSET = 8
};

/* What was taken last, as the store has it: merge_batch.c. */
struct merge_mark {
    uint64_t stand_in; /* its store id; 0: nothing was ever taken */
    uint64_t batch;    /* counted from 1 in each stand-in */
    enum merge_kind kind;
    uint32_t database;
    uint32_t count;       /* entries, from the head of what the stand-in had */
    struct oxbow_id last; /* of a stream: the last of them. Of members: ms is members_batch.upto */
    struct buf key;
};

/* Who has named a batch's entries: both sides, while it is added. */
struct merge_names {
    struct oxbow_txn *from; /* NULL: nobody has */
    struct once mine;       /* what the stand-in remembers */
    uint64_t object;        /* of its queue */
    uint64_t first;         /* of a list: the first element's index */
    bool put;               /* the name goes with the entry */
    size_t known;           /* entries that were there already, or have expired */
};

/* One merge. */
struct merge {
    struct oxbow *to;
    struct oxbow *from;
    const struct oxbow_alloc *alloc;
    const struct oxbow_members *members; /* NULL: members stay where they are */
    uint64_t stand_in;                   /* the store id of `from` */
    uint64_t batches;                    /* that were taken out of `from` */
    struct merge_mark mark;
    uint64_t merged;     /* entries, since this opening */
    enum oxbow_err left; /* why something stays in a stand-in */
    struct oxbow_result batch;
    struct oxbow_result names;
    struct oxbow_result groups;
    bool checked;                 /* STAND_IN_CHECKED */
    struct buf name;              /* of a queue with producers */
    struct once_name at;          /* work: merge_once.c */
    struct merge_names entries;   /* work: of a batch */
    uint64_t ttl_ms[MERGE_BATCH]; /* of the batch's entries; 0: they have none. MERGE_GONE */
    struct forward_record forward;
};
#define MERGE_GONE UINT64_MAX /* has expired */

/* What is taken out of one key, or of all delays. */
struct merge_unit {
    enum merge_kind kind;
    uint32_t database;
    struct oxbow_bytes key;
    struct oxbow_bytes to; /* the key that it goes to */
    struct oxbow_id upto;  /* of a stream: the last entry to take. Of names: those of entries up to
                              that alone; OXBOW_ID_MAX: all. Of members: the batch's, as in the mark */
    bool parked;           /* of a stream: entries keep their ids, whatever comes */
    bool grouped;          /* of a stream: what all groups have acked stays behind */
    bool unrouted;         /* of a stream: its bindings have served it already */
    bool timed;            /* of a stream: each gets the field OXBOW_FORWARD_TIME */
    size_t most;           /* entries of a batch, for now */
    uint64_t ttl_ms;       /* what is left of the key's time to live; 0: it has none */
};

/* Merges all stand-ins of the configuration into `to`, which says afterwards what came of it:
 * oxbow_recovery. No error of it keeps a store from being opened. */
void merge_stand_ins(struct oxbow *to, const struct oxbow_config *config);

/* Whether nothing was ever put into the transaction's store. Leaves it in some database. */
OXBOW_MUST_CHECK enum oxbow_err merge_is_empty(struct oxbow_txn *txn, bool *empty);

/* ---- merge_batch.c ---- */

OXBOW_MUST_CHECK enum oxbow_err merge_mark_get(struct merge *m);
OXBOW_MUST_CHECK enum oxbow_err merge_mark_put(struct oxbow_txn *txn,
                                               const struct merge_mark *mark);
/* Batch after batch of a unit, until it is empty. What the store refuses stays, and is noted. */
OXBOW_MUST_CHECK enum oxbow_err merge_unit_run(struct merge *m, struct merge_unit *u);
/* Takes out of the stand-in what the store has already. */
OXBOW_MUST_CHECK enum oxbow_err merge_resume(struct merge *m);
/* Nothing is left of the stand-in: the last mark, if it is of a kind that versions before do not know,
 * becomes one that they do. */
OXBOW_MUST_CHECK enum oxbow_err merge_mark_settle(struct merge *m);
/* A transaction on either side, in a database. */
OXBOW_MUST_CHECK enum oxbow_err merge_begin(struct oxbow *db, uint32_t database, uint32_t flags,
                                            struct oxbow_txn **out);
/* Commits, or aborts after an error, which it gives. */
OXBOW_MUST_CHECK enum oxbow_err merge_finish(struct oxbow_txn *txn, enum oxbow_err err);
/* Whether it is the store's limits that refuse, and others may have room. */
bool merge_refused(enum oxbow_err err);

/* ---- merge_put.c ---- */

/* Reads the next batch of a unit; *count 0: there is none. */
OXBOW_MUST_CHECK enum oxbow_err merge_read(struct merge *m, struct merge_unit *u, size_t *count);
/* Adds the first `count` of what was read, in the store's transaction. */
OXBOW_MUST_CHECK enum oxbow_err merge_put(struct merge *m, const struct merge_unit *u, size_t count,
                                          struct oxbow_txn *to);
/* Removes what a mark names, in the stand-in's transaction. */
OXBOW_MUST_CHECK enum oxbow_err merge_take(struct merge *m, const struct merge_mark *mark,
                                           struct oxbow_txn *from);

/* ---- merge_members.c ---- */

/* What a key of that type makes; false: no members. */
bool merge_members_kind(enum oxbow_type type, enum merge_kind *kind);
bool merge_members_are(enum merge_kind kind);
/* merge_read, merge_put and merge_take of members. OXBOW_ENOTSUP: the configuration does not name them. */
OXBOW_MUST_CHECK enum oxbow_err merge_members_read(struct merge *m, struct merge_unit *u,
                                                   struct oxbow_txn *from, size_t *count);
OXBOW_MUST_CHECK enum oxbow_err merge_members_put(struct merge *m, const struct merge_unit *u,
                                                  struct oxbow_txn *to);
OXBOW_MUST_CHECK enum oxbow_err merge_members_take(struct merge *m, const struct merge_mark *mark,
                                                   struct oxbow_txn *from);

/* ---- merge_once.c ---- */

/* Notes, once, how far the store knew the producers that count, before anything is merged. */
OXBOW_MUST_CHECK enum oxbow_err merge_check(struct merge *m);
/* The names whose entries did not come with a batch, when all else has come; if something is left, those
 * alone whose entries the target has confirmed. */
OXBOW_MUST_CHECK enum oxbow_err merge_once(struct merge *m);
/* Nothing is left: what was noted of producers that came meanwhile goes from the store. */
OXBOW_MUST_CHECK enum oxbow_err merge_once_tidy(struct merge *m);
/* Of a batch of entries, from begin to end: looks for the name of the i-th. *known: the store has it
 * from elsewhere, so the entry is there already. put: remembers the name, if it has one that is to
 * come with it, of an entry that is `id` now. */
OXBOW_MUST_CHECK enum oxbow_err merge_names_begin(struct merge *m, const struct merge_unit *u);
OXBOW_MUST_CHECK enum oxbow_err merge_names_look(struct merge *m, const struct merge_unit *u,
                                                 size_t i, struct oxbow_txn *to, bool *known);
OXBOW_MUST_CHECK enum oxbow_err merge_names_put(struct merge *m, const struct merge_unit *u,
                                                struct oxbow_id id, struct oxbow_txn *to);
void merge_names_end(struct merge *m);
/* The batch's names go from the stand-in, before its entries. */
OXBOW_MUST_CHECK enum oxbow_err merge_names_take(struct merge *m, const struct merge_mark *mark,
                                                 struct oxbow_txn *from);
/* merge_read, merge_put and merge_take of names. */
OXBOW_MUST_CHECK enum oxbow_err merge_once_read(struct merge *m, const struct merge_unit *u,
                                                struct oxbow_txn *from, size_t *count);
OXBOW_MUST_CHECK enum oxbow_err merge_once_put(struct merge *m, const struct merge_unit *u,
                                               size_t count, struct oxbow_txn *to);
OXBOW_MUST_CHECK enum oxbow_err merge_once_take(struct merge *m, const struct merge_mark *mark,
                                                struct oxbow_txn *from);
/* In merge_parked.c: up to that the target has confirmed the stream; 0-0: nothing. */
OXBOW_MUST_CHECK enum oxbow_err merge_confirmed(struct merge *m, const struct merge_unit *u,
                                                struct oxbow_id *confirmed);

/* ---- merge_key.c ---- */

/* All of one key of the stand-in. */
OXBOW_MUST_CHECK enum oxbow_err merge_key(struct merge *m, uint32_t database,
                                          struct oxbow_bytes key);

/* Sets `unrouted`: whether bindings of the stand-in led on from the stream: then its entries are in
 * their destinations, which are merged as well. */
OXBOW_MUST_CHECK enum oxbow_err merge_bindings(struct merge *m, struct merge_unit *u);

/* ---- merge_parked.c ---- */

/* What a forward of the stand-in may have sent, and what it has not been told of: of the stream that
 * the unit names. *upto: the last entry of it; 0-0: none. What was confirmed is removed. `key`: room
 * for the name of the key to which it goes, with a forward that carries it to where the stand-in has. */
OXBOW_MUST_CHECK enum oxbow_err merge_parked(struct merge *m, struct merge_unit *u, struct buf *key,
                                             struct oxbow_id *upto);
/* Removes what was parked by earlier merges and has come to the target. */
OXBOW_MUST_CHECK enum oxbow_err merge_parked_tidy(struct oxbow *db);

/* Whether a store could be opened with these databases as caches (oxbow/cache.h), which it has in its
 * configuration. OXBOW_EEXIST: one of them has something on the device. In open.c. */
OXBOW_MUST_CHECK enum oxbow_err caches_open(struct oxbow *db, uint32_t databases);

#endif
