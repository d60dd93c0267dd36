/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies inside the engine: the table that finds them, and what lists and streams ask of them.
 *
 * While no name of the store has a policy everything here costs one comparison; otherwise a name
 * without one costs a hash and a probe.
 */
#ifndef OXBOW_QUEUE_POLICY_H
#define OXBOW_QUEUE_POLICY_H

#include "engine/base/buf.h"
#include "engine/store/kv.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"

/* A name that has a policy. */
struct policy_row {
    uint64_t tag; /* catalog.h; of the name, as names are looked for */
    uint32_t id;  /* in the store; never reused */
    uint32_t database;
    size_t name_at; /* in the table's names */
    size_t name_len;
    uint64_t refused; /* appends, since it was read */
    uint64_t due_ms;  /* by the store's clock: nothing is too old before */
    /* Of the replay window: policy_keep.c. */
    struct oxbow_id kept_to; /* up to there `kept_bytes` counts; 0-0: it counts nothing */
    uint64_t kept_bytes;
    uint64_t kept_removed;  /* how many entries had gone from the stream then */
    uint64_t keep_due_ms;   /* when time will tell anew */
    bool keep_more;         /* the last step was too short */
    bool settled;           /* not beyond its limits when it was last looked at */
    uint64_t settle_due_ms; /* it is not worth another look before */
    bool critical;          /* a newer version has set what this one must not pass over */
    struct oxbow_policy policy;
};

/* Hangs on the store; read and written with its lock held. */
struct policy_table {
    struct oxbow *db;
    bool loaded;
    bool changed;    /* since `aborts` was noted: an abort after it may have taken that back */
    uint64_t aborts; /* store_abort_count at the last change */
    uint32_t count;
    uint32_t room;
    struct policy_row *rows;
    uint32_t slot_count; /* a power of two, 0 at first */
    uint32_t *slots;     /* 1 + the row's index, by tag; 0: free */
    uint64_t shapes;     /* of all names, a bit each */
    struct buf names;
    uint32_t sweep; /* the row that is looked at next in this round: policy_sweep.c */
};

/* The policy of a name. *row NULL: it has none; else borrowed until the next oxbow_policy_* that
 * writes, or the transaction's end. */
OXBOW_MUST_CHECK enum oxbow_err policy_row(struct oxbow_txn *txn, struct oxbow_bytes key,
                                           struct policy_row **row);

/* ---- policy_record.c ---- */

#define POLICY_KEY_MAX   8u
#define POLICY_VALUE_MAX 4000u

/* The store's table, loaded if need be. */
OXBOW_MUST_CHECK enum oxbow_err policy_table_get(struct oxbow_txn *txn, struct policy_table **out);
/* After a change of a record: the table is read again at its next use. */
void policy_table_changed(struct policy_table *t);
/* A row by its tag alone: the first of them, should names share it. NULL: none. */
const struct policy_row *policy_row_tagged(const struct policy_table *t, uint64_t tag);
/* When rows may hold what this transaction's abort would take back: they are read again then. */
void policy_table_doubt(struct policy_table *t);
struct oxbow_bytes policy_row_name(const struct policy_table *t, const struct policy_row *row);

/* The kinds of a policy's keys. Values are stored: never renumbered. */
enum policy_key_kind {
    POLICY_KEY_RECORD = 'p', /* be32 id */
    POLICY_KEY_STATE = 's',  /* be32 id: what it has counted */
    POLICY_KEY_NEWEST = 'n', /* the newest id given */
    POLICY_KEY_BOOTS = 'b'   /* the clock in each boot: policy_age.c */
};
struct oxbow_bytes policy_key(uint8_t out[POLICY_KEY_MAX], enum policy_key_kind kind, uint32_t id);

/* Writes the record of a name: the policy's fields, and those that it does not know from the record
 * that is there. OXBOW_ENOENT is fine: a new one. OXBOW_ENOTSUP. */
OXBOW_MUST_CHECK enum oxbow_err policy_record_put(struct oxbow_txn *txn, uint32_t id,
                                                  struct oxbow_bytes name,
                                                  const struct oxbow_policy *policy);

/* ---- policy_drops.c: where the parts of a state are ---- */

#define POLICY_STATE_FORMAT 1u
#define POLICY_AT_CAUSES    8u
#define POLICY_CAUSE_LEN    72u
#define POLICY_AT_AGE       (POLICY_AT_CAUSES + 8u * POLICY_CAUSE_LEN)
#define POLICY_AT_SINCE     POLICY_AT_AGE
#define POLICY_AT_KEEP      (POLICY_AT_AGE + 8u)
#define POLICY_AGE_LEN      192u
#define POLICY_AT_GAPS      (POLICY_AT_AGE + POLICY_AGE_LEN)
#define POLICY_GAP_LEN      104u

/* Borrowed until the next write. OXBOW_ENOENT, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err policy_state_get(struct oxbow_txn *txn, uint32_t id,
                                                 struct oxbow_bytes *value);
/* Makes it if there is none. */
OXBOW_MUST_CHECK enum oxbow_err policy_state_make(struct oxbow_txn *txn, uint32_t id);
OXBOW_MUST_CHECK enum oxbow_err policy_state_patch(struct oxbow_txn *txn, uint32_t id, size_t at,
                                                   struct oxbow_bytes bytes);

struct policy_drop {
    enum oxbow_drop_cause cause;
    struct oxbow_id from; /* of a stream */
    struct oxbow_id to;
    uint64_t entries;
    uint64_t bytes;
    bool list; /* positions are counted here */
};
/* Counts what has just gone from a queue. */
OXBOW_MUST_CHECK enum oxbow_err policy_dropped(struct oxbow_txn *txn, uint32_t id,
                                               const struct policy_drop *drop);
/* The same by name. A name without a policy gets one without limits, so that what was dropped is
 * never untold. */
OXBOW_MUST_CHECK enum oxbow_err policy_dropped_from(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct policy_drop *drop);
/* Sets result->missed: entries dropped after `after` and before the first one in the result. */
OXBOW_MUST_CHECK enum oxbow_err policy_missed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              struct oxbow_id after, struct oxbow_result *result);

/* ---- policy_stream.c ---- */

struct stream;

/* What is to be added. */
struct policy_room {
    uint64_t entries;
    uint64_t bytes;
};
/* Whether the limits allow so much in all. */
bool policy_fits(const struct oxbow_policy *p, uint64_t entries, uint64_t bytes);

/* Before an append to a stream that has a policy: OXBOW_EFULL, OXBOW_ETOOBIG, OXBOW_ENOTSUP. May remove what is
 * delivered to make room; then *s is saved. */
OXBOW_MUST_CHECK enum oxbow_err policy_stream_room(struct stream *s, struct oxbow_bytes key,
                                                   struct policy_row *row,
                                                   const struct policy_room *more);
/* After it, before the stream is saved: drops the oldest over the limits. */
OXBOW_MUST_CHECK enum oxbow_err policy_stream_settle(struct stream *s, struct oxbow_bytes key,
                                                     struct policy_row *row);
/* One bounded step of dropping what is over the limits, without an append; *over: there is more. Saves. */
OXBOW_MUST_CHECK enum oxbow_err policy_stream_shrink(struct stream *s, struct oxbow_bytes key,
                                                     const struct policy_row *row, bool *over);

/* One bounded step of removing what is too old; *due_ms is when to look again. Saves. */
OXBOW_MUST_CHECK enum oxbow_err policy_stream_expire(struct stream *s, struct oxbow_bytes key,
                                                     const struct policy_row *row,
                                                     uint64_t *due_ms);

/* Removes what `cut` wants, short of what forwards protect, and counts it. Does not save. */
struct stream_cut;
OXBOW_MUST_CHECK enum oxbow_err policy_stream_cut(struct stream *s, struct oxbow_bytes key,
                                                  const struct policy_row *row,
                                                  struct stream_cut *cut,
                                                  enum oxbow_drop_cause cause);

/* What a queue holds, whether or not its name has a policy: entries, bytes and age alone; 0, 0 and
 * unknown when there is none. */
OXBOW_MUST_CHECK enum oxbow_err policy_depth(struct oxbow_txn *txn, struct oxbow_bytes key,
                                             struct oxbow_policy_info *info);

/* How far all groups of a stream have acked without a gap, and its forward has delivered. */
struct policy_delivered {
    bool any; /* there is somebody to deliver to */
    struct oxbow_id id;
};
OXBOW_MUST_CHECK enum oxbow_err policy_delivered(struct stream *s, struct oxbow_bytes key,
                                                 struct policy_delivered *out);

/* ---- policy_quota.c ---- */

/* What asks for room in the store. */
struct policy_ask {
    struct oxbow_bytes key; /* the queue's */
    size_t bytes;           /* as txn_reserve_bytes takes them */
    uint64_t largest;       /* value or entry of them */
    enum oxbow_end end;     /* where a list grows */
};
/* txn_reserve_bytes for an append to a queue. One that drops the oldest gives up as much of its own as
 * the append takes when the store is about to be full: *dropped, what was read of the queue is to be
 * read again. Nothing is dropped for what is refused, but for what is delivered. */
OXBOW_MUST_CHECK enum oxbow_err policy_reserve(struct oxbow_txn *txn, const struct policy_ask *ask,
                                               bool *dropped);
/* Whether the store has no room for the queue, which drops the oldest, and it has nothing to give up
 * but what its forward has yet to deliver. */
OXBOW_MUST_CHECK enum oxbow_err policy_quota_held(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct policy_row *row, bool *held);

/* ---- policy_keep.c ---- */

/* One bounded step of removing delivered entries beyond what is kept; *due_ms is when time will
 * tell anew, row->keep_more that there is more to do now. Saves. */
OXBOW_MUST_CHECK enum oxbow_err policy_stream_keep(struct stream *s, struct oxbow_bytes key,
                                                   struct policy_row *row, uint64_t *due_ms);
/* Lowers *floor to what the replay window of `key` lets a forward trim. */
OXBOW_MUST_CHECK enum oxbow_err policy_keep_floor(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_id *floor);

/* ---- wait_add.c ---- */

/* To be called by what removes from a queue, with what is left in it (0 where that is not known, or
 * where it makes removable what is in the way): wakes who waits for room there. Cheap when nobody
 * waits. */
OXBOW_MUST_CHECK enum oxbow_err policy_left(struct oxbow_txn *txn, uint64_t tag, uint64_t entries,
                                            uint64_t bytes);
OXBOW_MUST_CHECK enum oxbow_err policy_left_key(struct oxbow_txn *txn, struct oxbow_bytes key);

/* ---- policy_sweep.c ---- */

/* One bounded step of the store's idle work. */
OXBOW_MUST_CHECK enum oxbow_err policy_sweep(struct oxbow_txn *txn, bool *more);

#endif
