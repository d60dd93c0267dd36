/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards: which local streams and lists go to which keys of the target, and how far they are.
 *
 * A forward is a record in the store: what is carried, in which order, when it counts as delivered
 * and what happens here then. It moves no byte itself: the uplink session (uplink.h) asks it what
 * comes next, and tells it what the target has. All functions work within a transaction, so that
 * a cursor moves together with whatever else the transaction does; nothing here may be acted upon
 * before the commit has succeeded.
 * A name means the same forward in every database; where its key is says the one in which it was made.
 *
 * Positions. How far a forward is, is an `oxbow_id`. For a stream it is the id of an entry, which
 * is also its id at the target. For a list it is {epoch, n}: the n-th element that this forward
 * carries, counted from 1 in the order of the list from its head; {epoch, 0} is before the first.
 * Position 0-0 means "nothing yet" for both. Five positions of one forward never cross:
 *
 *     trimmed <= confirmed <= sent <= selectable end <= local end
 *
 *   trimmed     everything up to here is gone from the local key
 *   confirmed   everything up to here is at the target, as safely as `confirm` asks
 *   sent        everything up to here was accepted by the target
 *   selectable  everything up to here may be sent: `select`
 *   local end   the newest entry
 *
 * `confirmed` and `trimmed` never go back; `sent` only by oxbow_forward_resync.
 *
 * Protection. What lies above `confirmed` is protected: an operation that would remove or change
 * it answers OXBOW_EPROTECTED and changes nothing, unless its transaction has OXBOW_TXN_FORCE:
 *
 *   stream  delete (XDEL) of a protected entry: refused. Trim (XTRIM, MAXLEN and MINID of XADD) and
 *           retention: stop at the edge, no error. Set id (XSETID) below the local end: refused.
 *           Append (XADD): as without a forward.
 *           After a rewind the edge is `sent` until all was sent again. What the application itself
 *           deletes (XDEL) below the edge is its own affair: no gap tells a rewound target of it.
 *   list    pop, move, trim and remove at or beyond the head (LPOP, LMOVE LEFT, LTRIM, LREM), push
 *           at the head (LPUSH, LINSERT, RPOPLPUSH to its head), set of an element (LSET), pop at
 *           the tail (RPOP): refused. Push at the tail (RPUSH), every read: as without a forward.
 *   both    delete, rename either way, flush, swap of databases, expiry, overwriting by another
 *           type: refused.
 *   groups  of a forwarded stream: everything is allowed, but destroying the one that `select`
 *           names.
 *
 * With FORCE these are done all the same, and what was lost becomes a gap with OXBOW_GAP_FORCED:
 * XDEL, XTRIM, DEL, and removals at a list's head. LSET is done, too. The others stay refused, since
 * they would move the positions of elements that may be on their way: first remove the forward.
 *
 * Gaps. Entries that will never reach the target, because the budget dropped them or because the
 * target lost them after they were trimmed here, leave a gap record: their range, number, bytes
 * and cause. It is delivered in their place and in order: in a stream as one entry whose id is the
 * last one of the range, with the fields
 *     oxbow:gap <cause>  from <id>  to <id>  entries <n>  bytes <n>
 * (`from` and `to` inclusive; `entries` and `bytes` are `?` when nobody knows); in a list as a
 * field `gap` of the forward's cursor key at the target ("cause from to entries bytes"). So the
 * target's readers see that something is missing, exactly where. Adjacent gaps of one cause that
 * were not sent yet are merged into one.
 */
#ifndef OXBOW_FORWARD_H
#define OXBOW_FORWARD_H

#include "oxbow/error.h"
#include "oxbow/key.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_FORWARD_NAME_MAX  63u   /* bytes: letters, digits, '_', '.', '-' */
#define OXBOW_FORWARD_KEY_MAX   1024u /* bytes of a local key that can be forwarded */
#define OXBOW_FORWARD_COUNT_MAX 256u  /* forwards in one store */
#define OXBOW_FORWARD_TIME      "oxbow:time"
#define OXBOW_DEVICE_MAX        63u /* bytes: letters, digits, '_', '.', '-', ':' */
#define OXBOW_MACHINE_MAX       63u /* bytes, the same */

/* Values are stored: never renumbered. */
enum oxbow_forward_select {
    OXBOW_SELECT_DURABLE = 0, /* every entry that is durable */
    OXBOW_SELECT_ACKED = 1    /* streams: up to the acked prefix of `group`: below its first pending
                                 entry, at most the last delivered one */
};
enum oxbow_forward_confirm {
    OXBOW_CONFIRM_MASTER = 0,   /* the target's reply suffices */
    OXBOW_CONFIRM_REPLICAS = 1, /* and `replicas` replicas have it (WAIT) */
    OXBOW_CONFIRM_AOF = 2       /* and it is synced to the master's append-only file, and to that of
                                   `replicas` replicas (WAITAOF; Redis 7.2) */
};
enum oxbow_forward_after {
    OXBOW_AFTER_TRIM = 0, /* confirmed entries are removed here, after the hold */
    OXBOW_AFTER_KEEP = 1  /* they stay; the application trims. Not for lists */
};
enum oxbow_forward_full {
    OXBOW_FULL_REFUSE = 0,     /* pushes answer OXBOW_EBUDGET until there is room */
    OXBOW_FULL_DROP_OLDEST = 1 /* the oldest entries that were not sent make room, with a gap; at
                                  most 4096 by one append, which is then accepted all the same */
};
enum oxbow_forward_deleted {
    OXBOW_DELETED_RESEND = 0,  /* the target's key is gone: send again all that is still here */
    OXBOW_DELETED_CONTINUE = 1 /* go on after `sent`; what the target had becomes a gap */
};

/* All zero means default, but for `key` and `type`. Borrowed during the call. */
struct oxbow_forward_options {
    struct oxbow_bytes key;    /* the local key, in the transaction's database; may not exist yet */
    enum oxbow_type type;      /* OXBOW_TYPE_STREAM or OXBOW_TYPE_LIST */
    struct oxbow_bytes target; /* the target's key; empty: oxbow:{<device>}:<key>. A stand-in
                                  (oxbow_config.stand_in) adds ":meanwhile:<its store id in hex>" */
    enum oxbow_forward_select select;
    struct oxbow_bytes group; /* for OXBOW_SELECT_ACKED; need not exist yet: nothing is sent then */
    enum oxbow_forward_confirm confirm;
    uint32_t replicas; /* for REPLICAS (0: 1) and AOF (0: none) */
    enum oxbow_forward_after after;
    uint32_t hold_ms;    /* TRIM: keep confirmed entries so long, for the case that the target is
                            rewound by a failover; 0: 900,000 for a stream. A list has no hold: an
                            element is popped when it is confirmed */
    uint64_t hold_bytes; /* and at most so many bytes of them; 0: no limit but the quota's */
    uint64_t max_bytes;  /* budget for what is not confirmed yet; 0: no limit but the quota's */
    enum oxbow_forward_full on_full;
    enum oxbow_forward_deleted on_deleted;
    bool urgent;     /* goes before all forwards that are not */
    bool true_time;  /* of a stream: an entry whose id does not tell when it was written gets the
                             field OXBOW_FORWARD_TIME at the target, with what is known of that when
                             it is sent (oxbow_true_time_text); none if it has 3,500 fields */
    uint32_t weight; /* share of the link among forwards of the same urgency; 0: 1; max 100 */
    uint32_t batch_bytes; /* of entries in one batch; 0: the link preset's; 1 KiB to 256 KiB */
    uint32_t batch_count; /* 0: 1000; at most 1000 */
    int32_t linger_ms;    /* how long a batch waits to be filled; 0: the preset's; -1: never */
};

/* Makes a forward of an existing or future key. Everything that is in the key already will be
 * sent. A key has at most one forward, a target key at most one forward of this store.
 * OXBOW_EINVAL     a field out of range; a target too long, a stand-in's addition included; a name
 *                  with other characters; a list with KEEP or ACKED; a
 *                  target key with '}' but without a hash tag
 * OXBOW_EEXIST     the name, the key or the target is taken
 * OXBOW_EWRONGTYPE the key holds another type
 * OXBOW_ERANGE     OXBOW_FORWARD_COUNT_MAX forwards already
 * OXBOW_ENOENT     `target` is empty and the store has no identity yet: oxbow_identity_set first */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_create(struct oxbow_txn *txn, const char *name,
                                                     const struct oxbow_forward_options *opt);
/* Replaces the options, all but `key`, `type` and `target`, which must be empty or the same
 * (OXBOW_EINVAL). Positions stay. OXBOW_ENOENT. A smaller budget drops nothing by itself. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_change(struct oxbow_txn *txn, const char *name,
                                                     const struct oxbow_forward_options *opt);
/* Removes the forward; the key and its entries stay and are free. OXBOW_ENOENT;
 * OXBOW_EPROTECTED while entries above `confirmed` exist, unless forced. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_remove(struct oxbow_txn *txn, const char *name);

/* ---- options as words ---- */

#define OXBOW_FORWARD_WHY_MAX  256u
#define OXBOW_FORWARD_WORD_MAX (OXBOW_FORWARD_KEY_MAX + 16u)

/* What is wrong, for an operator. */
struct oxbow_forward_why {
    char text[OXBOW_FORWARD_WHY_MAX];
};

/* Options as pairs of a name and a value, as oxbowd's configuration and OXBOW FORWARD have them. Names
 * and values in any case, but for texts. Those that are not named stay in *opt as they are; texts are borrowed
 * from the words.
 *
 *   target KEY                         on-deleted resend|continue
 *   select durable|acked:GROUP         urgent yes|no
 *   confirm master|replicas:N|aof[:N]  true-time yes|no
 *   after trim|keep                    weight N
 *   hold-ms MS                         batch-bytes SIZE
 *   hold-bytes SIZE                    batch-count N
 *   max-bytes SIZE                     linger-ms MS
 *   on-full refuse|drop_oldest
 *
 * SIZE is a number of bytes, or one with k (1000), kb (1024), m, mb, g or gb. OXBOW_EINVAL: *why says
 * which word, and what it may be; *opt is then not to be used. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_words(const struct oxbow_bytes *words, size_t count,
                                                    struct oxbow_forward_options *opt,
                                                    struct oxbow_forward_why *why);
/* The idx-th option as such words, all but the target: *name is static, the value is text[0, *len).
 * False: there are no more. */
bool oxbow_forward_word(const struct oxbow_forward_options *opt, size_t idx, const char **name,
                        char text[OXBOW_FORWARD_WORD_MAX], size_t *len);
/* OXBOW_EINVAL where oxbow_forward_create would say so, and why. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_check(const char *name,
                                                    const struct oxbow_forward_options *opt,
                                                    struct oxbow_forward_why *why);

/* A forward as it is stored, defaults filled in. Owns its texts. */
struct oxbow_forward {
    uint32_t id; /* small number, never reused in this store */
    uint32_t database;
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_forward_options options; /* key, target and group point into the texts below */
    uint8_t key_text[OXBOW_FORWARD_KEY_MAX];
    uint8_t target_text[OXBOW_FORWARD_KEY_MAX + OXBOW_DEVICE_MAX + 16];
    uint8_t group_text[OXBOW_FORWARD_KEY_MAX];
    uint64_t epoch; /* of the store when it was made: the first half of a list's positions */
};

/* Fills *out. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_get(struct oxbow_txn *txn, const char *name,
                                                  struct oxbow_forward *out);
/* The names of all forwards of the store, sorted, as result->items. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_list(struct oxbow_txn *txn,
                                                   struct oxbow_result *result);
/* A number that every committed create, change and remove makes larger: tells a session cheaply
 * whether to look again. 0 before the first one since the store was opened. Takes the store's lock
 * for a moment: not to be called within a transaction. Any thread. */
uint64_t oxbow_forward_revision(struct oxbow *db);

/* ---- what the session does ---- */

struct oxbow_forward_fetch {
    struct oxbow_id after; /* give what comes after this position (normally >= sent) */
    uint64_t bytes;        /* stop after about so many bytes, never before one entry; 0: 32 KiB */
    uint64_t count;        /* 0: 1000; at most 1000 */
};

struct oxbow_forward_batch {
    struct oxbow_id last; /* position of the last thing given; `after` when nothing was */
    struct oxbow_id end;  /* the selectable end as this transaction sees it */
    uint64_t bytes;       /* of entries given: field names and values, or elements */
    uint32_t count;       /* entries or elements given, gaps included */
    uint32_t gaps;        /* gap records among them. In a list a gap ends the batch before it, or
                             comes alone and first: then count is 1 and there are no items */
    char list_gap[192];   /* that gap, as the text for the cursor key; "" otherwise */
    uint64_t oldest_ms;   /* age of the oldest entry given, as far as it is known */
};

/* What may be sent next, in order. A stream's go to result->entries, gaps among them as entries; a
 * list's to result->items. Nothing to send: OXBOW_OK and count 0. Damaged entries are not
 * passed over silently: OXBOW_ECORRUPT.
 * It gives what the transaction sees: the caller may send it only once oxbow_durable_lsn has
 * reached the LSN that the commit of this transaction gave. OXBOW_ENOENT: no such forward. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_fetch(struct oxbow_txn *txn, const char *name,
                                                    const struct oxbow_forward_fetch *want,
                                                    struct oxbow_result *result,
                                                    struct oxbow_forward_batch *batch);

/* The target accepted everything up to `position`. Below the present one: does nothing, OXBOW_OK.
 * OXBOW_ERANGE: above the local end. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_sent(struct oxbow_txn *txn, const char *name,
                                                   struct oxbow_id position);
/* Everything up to `position` is as safe at the target as `confirm` asks (moves `sent` along if it
 * is behind). Ends its protection; a list's elements are popped, in bounded steps: *more says that
 * the call must be repeated. Otherwise as oxbow_forward_sent. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_confirmed(struct oxbow_txn *txn, const char *name,
                                                        struct oxbow_id position, bool *more);
/* Removes confirmed entries whose hold is over, a bounded number; *more: call again soon. Does
 * nothing with KEEP. The session calls it every second or so; so may an application that runs
 * without a link. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_trim(struct oxbow_txn *txn, const char *name,
                                                   uint64_t *removed, bool *more);

enum oxbow_gap_cause {
    OXBOW_GAP_BUDGET = 1,      /* "budget": dropped for want of room */
    OXBOW_GAP_FORCED = 2,      /* "forced": removed by a forced operation */
    OXBOW_GAP_TARGET_LOST = 3, /* "target-lost": the target lost it after it was trimmed here */
    OXBOW_GAP_DELETED = 4,     /* "target-deleted": the target's key was deleted or evicted */
    OXBOW_GAP_DAMAGED = 5      /* "damaged": failed its checksum here */
};

struct oxbow_gap {
    struct oxbow_id from; /* first position that is missing, or the first that may be */
    struct oxbow_id to;   /* last one */
    uint64_t entries;     /* UINT64_MAX: unknown */
    uint64_t bytes;       /* UINT64_MAX: unknown */
    enum oxbow_gap_cause cause;
};

/* What the target's position means, from the one place that knows both sides. */
enum oxbow_resync {
    OXBOW_RESYNC_EQUAL = 0,   /* the target is where `sent` is */
    OXBOW_RESYNC_AHEAD = 1,   /* it has entries whose reply was lost: `sent` moved up to it */
    OXBOW_RESYNC_REWOUND = 2, /* it lost entries which are still here: `sent` moved back to it */
    OXBOW_RESYNC_GAP = 3,     /* it lost entries which are gone here: `sent` moved back to it, and a
                                 gap covers what is missing */
    OXBOW_RESYNC_DELETED = 4, /* its key is gone (position 0-0, while `sent` is not): `on_deleted`
                                 was applied, and a gap covers what is not sent again */
    OXBOW_RESYNC_BEYOND = 5,  /* it is beyond the local end: this store was rolled back, is a clone,
                                 or is new. Nothing was changed: the session must stop and tell */
    OXBOW_RESYNC_FOREIGN = 6, /* it stands on an id that was never here: somebody else writes there.
                                 Nothing was changed: the session must stop and tell */
    OXBOW_RESYNC_FORGOTTEN =
        7 /* it is beyond where this store stood at the opening after one that was
                                 not closed: it has entries that were sent from memory
                                 (OXBOW_FAILURE_MEMORY) and are lost here. All that was here then
                                 counts as sent, and what was added since goes on after `target` */
};

struct oxbow_forward_resync {
    enum oxbow_resync outcome;
    struct oxbow_id before; /* `sent` before the call */
    struct oxbow_id resume; /* `sent` after it: fetch goes on after this */
    struct oxbow_id prev;   /* the target's position: the next batch's precondition */
    struct oxbow_gap gap;   /* with GAP and DELETED; from is 0-0 when nothing is missing */
    bool lasting; /* nothing may be sent before this transaction is durable: it is the first
                               word of the target after a store was cut off */
};

/* Takes the target's own position, read after every connect and whenever a batch was not applied,
 * with no batch in flight. A stream's position is its last-generated-id, a list's the value of its
 * cursor key; 0-0 when there is none. How an id between `sent` and the local end is judged: it is
 * AHEAD if an entry with that id is here or a gap covers it, else FOREIGN. An id at or below `sent` is taken
 * for one of ours. A list's position of another epoch is FOREIGN.
 * After an opening that was not closed, a target beyond the end at the next one is BEYOND, whatever was
 * added since; with the policy OXBOW_FAILURE_MEMORY it is FORGOTTEN, unless entries were added to a
 * stream whose ids are not above the target's, or a budget left gaps in a list since. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_resync(struct oxbow_txn *txn, const char *name,
                                                     struct oxbow_id target,
                                                     struct oxbow_forward_resync *out);

/* By an operator's order after BEYOND: makes `target` this forward's starting point. For a store
 * that was replaced. A stream's last id is raised to at least `target`, so that what is added from
 * now on comes after it; `sent` becomes `target`. A store that was cut off, or made of a backup
 * (backup.h), and has not seen the target since: as FORGOTTEN. Otherwise refused with OXBOW_EIDORDER
 * while unsent entries are here: with ids at or below `target` they could never be sent under
 * their ids. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_adopt(struct oxbow_txn *txn, const char *name,
                                                    struct oxbow_id target);

/* ---- status ---- */

struct oxbow_forward_status {
    struct oxbow_id trimmed;
    struct oxbow_id confirmed;
    struct oxbow_id sent;
    struct oxbow_id selectable;
    struct oxbow_id end;
    uint64_t backlog_entries;   /* above `confirmed` */
    uint64_t backlog_bytes;     /* of them: what max_bytes counts */
    uint64_t unsent_entries;    /* above `sent` */
    uint64_t oldest_age_ms;     /* of the oldest entry above `confirmed`; UINT64_MAX: unknown */
    struct oxbow_id blocked_by; /* ACKED: the pending entry that holds up the prefix; 0-0: none */
    uint64_t blocked_age_ms;    /* since its first delivery */
    uint64_t sent_entries;      /* over the forward's life, resent ones counted again */
    uint64_t dropped_entries;   /* by the budget */
    uint64_t dropped_bytes;
    uint64_t gaps; /* gap records made */
    uint64_t rewinds;
    uint64_t refused;      /* pushes refused with OXBOW_EBUDGET since open */
    struct oxbow_gap last; /* the newest gap; cause 0: none yet */
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_forward_status(struct oxbow_txn *txn, const char *name,
                                                     struct oxbow_forward_status *out);

/* ---- identity ---- */

/* Who this store is at the target. Made on first boot by oxbow_identity_set, never by oxbow_open,
 * so that an image written to many devices holds none. */
struct oxbow_identity {
    char device[OXBOW_DEVICE_MAX + 1];   /* names the device in target keys; e.g. the CN of its
                                            certificate */
    char machine[OXBOW_MACHINE_MAX + 1]; /* names the hardware by something that a copied disk does
                                            not carry, e.g. the CPU's serial; may be empty */
    uint64_t store_id;                   /* as in struct oxbow_stat */
    uint64_t epoch;                      /* random and positive, below 2^53; new with each store */
    char owner[2 * OXBOW_MACHINE_MAX];   /* "<store id in hex>:<epoch in hex>:<machine>": the value
                                            of the key oxbow:{<device>}:owner at the target */
};

/* OXBOW_ENOENT: never set. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_identity_get(struct oxbow_txn *txn,
                                                   struct oxbow_identity *out);
/* Sets it on the first call; later calls with the same names do nothing, so firmware calls it at
 * each start. `machine` may be NULL. OXBOW_EEXIST: another device name or machine is set (a moved
 * or copied disk), unless forced, which then makes a new epoch. OXBOW_EINVAL: other characters. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_identity_set(struct oxbow_txn *txn, const char *device,
                                                   const char *machine);

/* The name of a cause as it is written into gap records; "?" outside the enum. */
const char *oxbow_gap_cause_name(enum oxbow_gap_cause cause);

#ifdef __cplusplus
}
#endif

#endif
