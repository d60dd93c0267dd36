/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: append-only logs of entries with growing ids, as Redis' XADD family (semantics of
 * Redis 7.0 unless a function says otherwise).
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds
 * it, and its results must not be acted upon before the commit succeeded. A key that is not there
 * reads as an empty stream, unless the function says OXBOW_ENOENT. Out-parameters are written on
 * success only. Keys are named in the transaction's database.
 *
 * Errors that every function can give: OXBOW_EWRONGTYPE (the key holds something else),
 * OXBOW_ECORRUPT (stored data failed its checksum or makes no sense: nothing of it is given),
 * OXBOW_ENOMEM, OXBOW_EIO, OXBOW_EINVAL (a NULL where none is allowed, an option out of range).
 * Functions that write also: OXBOW_EREADONLY, OXBOW_ETXNBIG, and where they add, OXBOW_EQUOTA.
 */
#ifndef OXBOW_STREAM_H
#define OXBOW_STREAM_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- add ---- */

/* Which id an added entry gets.
 * AUTO (`*`)        the wall clock's ms, or the last id's when the clock stands behind it, and the
 *                   next free seq: ids never go back, whatever the clock does
 * PARTIAL (`ms-*`)  id.ms as given, the next free seq
 * EXPLICIT          id as given; it must be greater than the stream's last id */
enum oxbow_id_mode { OXBOW_ID_AUTO = 0, OXBOW_ID_PARTIAL = 1, OXBOW_ID_EXPLICIT = 2 };

enum oxbow_trim_by { OXBOW_TRIM_NONE = 0, OXBOW_TRIM_MAXLEN = 1, OXBOW_TRIM_MINID = 2 };

/* What a deletion does to the pending references that groups hold. Redis 8.2: KEEPREF, DELREF,
 * ACKED. */
enum oxbow_refs {
    OXBOW_REFS_KEEP = 0,
    OXBOW_REFS_DELETE = 1,
    OXBOW_REFS_ACKED = 2 /* delete only what every group has read and acked */
};

/* What to cut off the old end. All zero: nothing. */
struct oxbow_stream_trim {
    enum oxbow_trim_by by;
    uint64_t maxlen;       /* MAXLEN: entries that stay at most */
    struct oxbow_id minid; /* MINID: entries below this id go */
    bool approx;           /* `~`: whole chunks only; leaves up to one chunk more than asked */
    uint64_t limit;        /* LIMIT, with approx alone (else OXBOW_EINVAL): entries removed at most;
                            * 0: 10,000 as Redis without LIMIT; UINT64_MAX: Redis' LIMIT 0, none */
    enum oxbow_refs
        refs; /* of what goes. Other than KEEP: entries are looked at one by one, so that
                            * approx means its limit alone; ACKED passes by what a group still needs */
};

#define OXBOW_STREAM_TTL_NONE UINT64_MAX
struct oxbow_stream_add_options {
    enum oxbow_id_mode id_mode;
    struct oxbow_id id;
    bool no_create; /* NOMKSTREAM: OXBOW_EAGAIN and nothing added if there is no such stream */
    struct oxbow_stream_trim trim; /* done after the entry was added */
    uint64_t ttl_ms; /* how long it is given to readers (expire.h); 0: as the stream's policy says
                      * (policy.h), or as long as it is there; OXBOW_STREAM_TTL_NONE: the latter */
    bool unrouted;   /* it goes to this stream alone, whatever bindings (binding.h) lead from it */
    uint32_t priority; /* below `priorities` of the stream's policy (policy.h), the highest is given
                        * first; 0: the lowest, and all that there is without */
    bool undelayed;    /* it is added now, whatever delay the stream's policy gives entries */
};

/* XADD. Appends one entry of 1 to any number of fields and gives its id. `opt` may be NULL for
 * defaults, `id` may be NULL.
 * OXBOW_EIDORDER  the id is not greater than the last one
 * OXBOW_EIDZERO   0-0 was asked for
 * OXBOW_EIDLAST   no greater id exists any more
 * OXBOW_EAGAIN    no_create and no such stream
 * OXBOW_ETOOBIG   the encoded entry exceeds the store's entry_bytes; nothing is changed
 * OXBOW_EQUOTA, OXBOW_EBUDGET (a forward's byte budget is used up)
 * OXBOW_EFULL     the stream's policy leaves no room (policy.h); nothing is changed but that what is
 *                 delivered may have gone
 * OXBOW_EINVAL    no fields, or an impossible option, such as a priority that the policy does not have
 * A stream whose policy has a default_delay_ms: an entry with an id of the store's making, without a
 * time to live of its own, trim and no_create, becomes a delayed one (delay.h, whose errors these
 * are); *id is 0-0 then, and it gets its id when it is due.
 * Where bindings lead on from the stream (binding.h), also what their destinations answer. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_stream_add_options *opt,
                                                 const struct oxbow_field *fields,
                                                 uint32_t field_count, struct oxbow_id *id);

/* ---- read ---- */

/* XLEN. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *len);

struct oxbow_stream_range {
    struct oxbow_id from; /* inclusive */
    struct oxbow_id to;   /* inclusive; for everything: OXBOW_ID_MIN, OXBOW_ID_MAX */
    uint64_t count;       /* entries at most; 0: no limit */
    uint64_t bytes;       /* stop before names and values exceed this, never before one entry;
                           * 0: no limit */
    bool reverse;         /* newest first; from and to keep their meaning */
    bool expired;         /* entries too that have expired and are not gone yet */
    bool true_time;       /* result->times says when each was truly added, as far as it is known */
};

/* XRANGE, XREVRANGE. Entries into result->entries; from above to gives none. OXBOW_ETOOBIG: one
 * answer of over 1 GiB. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   const struct oxbow_stream_range *range,
                                                   struct oxbow_result *result);

/* XREAD without BLOCK (blocking: wait.h): entries with an id greater than `after`, oldest first;
 * count as in the range. `$` is the last_id of oxbow_stream_info. result->missed says how many a
 * policy has dropped before the first one given. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_read(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_id after, uint64_t count,
                                                  struct oxbow_result *result);

/* ---- remove ---- */

/* XTRIM. *removed may be NULL. OXBOW_EINVAL also for a way of refs that there is not. What a forward protects stays: the trim stops at its edge and says
 * how much it removed, unless OXBOW_TXN_FORCE. A stream that is trimmed to nothing stays. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_trim(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_stream_trim *trim,
                                                  uint64_t *removed);

/* The same in bounded steps, for streams that are longer than one transaction can cut: removes at
 * most about `entries_max` (rounded up to a chunk) and says whether more remains to be done. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_trim_step(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key,
                                                       const struct oxbow_stream_trim *trim,
                                                       uint64_t entries_max, uint64_t *removed,
                                                       bool *more);

/* XDEL. *removed (may be NULL): how many of the ids were there. Groups keep their references to a
 * deleted entry. OXBOW_EPROTECTED: one of them has not been delivered by a forward; none is
 * deleted then. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_id *ids, size_t count,
                                                    uint64_t *removed);

/* One per id, numbers as on Redis' wire. */
enum oxbow_delete_outcome {
    OXBOW_DELETE_NONE = -1, /* no such id */
    OXBOW_DELETE_DONE = 1,
    OXBOW_DELETE_REFERENCED = 2 /* left in the stream: a group still needs it */
};

/* XDELEX of Redis 8.2: outcomes[i] tells what became of ids[i]. With OXBOW_REFS_DELETE also what groups
 * hold of entries that are not there any more goes. Errors as oxbow_stream_delete. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_delete_refs(struct oxbow_txn *txn,
                                                         struct oxbow_bytes key,
                                                         enum oxbow_refs refs,
                                                         const struct oxbow_id *ids, size_t count,
                                                         enum oxbow_delete_outcome *outcomes);

/* ---- priorities ---- */

#define OXBOW_PRIORITIES_MAX 8u

/* What a stream has of each priority. */
struct oxbow_stream_priorities {
    uint32_t count;                         /* that its policy has now; 1: it has none */
    uint64_t entries[OXBOW_PRIORITIES_MAX]; /* by priority; also of such that it has no more */
};
/* OXBOW_ENOENT: no such stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_priorities(struct oxbow_txn *txn,
                                                        struct oxbow_bytes key,
                                                        struct oxbow_stream_priorities *info);

/* ---- ids and information ---- */

struct oxbow_stream_set_id_options {
    struct oxbow_id last_id;
    bool has_entries_added;
    uint64_t entries_added; /* ENTRIESADDED */
    bool has_max_deleted_id;
    struct oxbow_id max_deleted_id; /* MAXDELETEDID; 0-0 changes nothing, as in Redis */
};

/* XSETID.
 * OXBOW_ENOENT        no such stream
 * OXBOW_EIDSMALL      last_id is smaller than the newest entry's
 * OXBOW_EIDDELETED    last_id is smaller than the stream's max_deleted_id
 * OXBOW_EIDGIVEN      last_id is smaller than the given max_deleted_id
 * OXBOW_EADDEDSMALL   entries_added is smaller than the stream's length */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_set_id(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_stream_set_id_options *opt);

struct oxbow_stream_info {
    uint64_t length;
    uint64_t chunks;         /* Redis: radix-tree-keys */
    uint64_t bytes;          /* of entries, as stored, blobs included */
    struct oxbow_id last_id; /* last-generated-id */
    struct oxbow_id max_deleted_id;
    uint64_t entries_added;
    struct oxbow_id recorded_first_id; /* 0-0 when empty */
    uint64_t groups;
};

/* XINFO STREAM (first and last entry: a range of count 1; FULL: oxbow_group_list and what group.h
 * tells of each). OXBOW_ENOENT: no such stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_stream_info *info);

/* When an entry was added, by the clocks of that moment: boards that wake in 1970 learn the true
 * time later, and this is what it can be worked out from. The stamp is that of the entry's chunk;
 * a new chunk is begun at every boot and whenever the wall clock has jumped. */
struct oxbow_stamp {
    uint64_t boot;         /* which opening of the store */
    uint64_t uptime_ms;    /* monotonic */
    uint64_t wall_ms;      /* as the clock stood then, right or wrong */
    struct oxbow_id first; /* the chunk's first id: what the stamp is exact for */
};

/* OXBOW_ENOENT: no such stream or entry. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_stamp(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   struct oxbow_id id, struct oxbow_stamp *stamp);

#ifdef __cplusplus
}
#endif

#endif
