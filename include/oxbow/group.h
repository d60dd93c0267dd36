/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consumer groups of streams, as Redis' XGROUP/XREADGROUP family (semantics of Redis 7.0 unless a
 * function says otherwise).
 *
 * A group hands each entry to one of its consumers and keeps it pending until that is acked. The
 * group's clock measures how long: it runs on the monotonic clock while the store is open, takes
 * the wall clock's difference over the time the store was closed when both readings are believable
 * (after 2024 and not going back), and stands still otherwise. So a jump of the wall clock makes
 * nothing idle that is not, and nothing stays young for ever.
 *
 * Calls, threads, errors of every function: as stream.h says. In addition, unless stated otherwise:
 * OXBOW_ENOGROUP when there is no such stream or no such group. Names are 0 to 65,535 bytes: what
 * would make or serve a longer one answers OXBOW_EINVAL, and nothing is found under it.
 */
#ifndef OXBOW_GROUP_H
#define OXBOW_GROUP_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/stream.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_GROUP_NAME_MAX 65535u /* bytes of a group's or consumer's name */

/* A stream's group: both names together, as every function here wants them. */
struct oxbow_group {
    struct oxbow_bytes key;
    struct oxbow_bytes name;
};

/* ---- groups and consumers ---- */

struct oxbow_group_create_options {
    struct oxbow_id id;
    bool at_end;      /* `$`: the stream's last id instead of `id` */
    bool make_stream; /* MKSTREAM; ignored by set_id */
    bool has_entries_read;
    uint64_t entries_read; /* ENTRIESREAD; at most INT64_MAX */
};

/* XGROUP CREATE. OXBOW_ENOENT: no such stream (and not make_stream). OXBOW_EBUSYGROUP: there is
 * such a group. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_create(struct oxbow_txn *txn, struct oxbow_group group,
                                                   const struct oxbow_group_create_options *opt);
/* XGROUP SETID. OXBOW_ENOENT: no such stream. What is pending stays so. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_set_id(struct oxbow_txn *txn, struct oxbow_group group,
                                                   const struct oxbow_group_create_options *opt);
/* XGROUP DESTROY. No such group: *existed (may be NULL) is false. OXBOW_ENOENT: no such stream. A
 * large pending list is removed in the background. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_destroy(struct oxbow_txn *txn, struct oxbow_group group,
                                                    bool *existed);
/* XGROUP CREATECONSUMER. *created (may be NULL): false when it was there. OXBOW_ENOENT: no such
 * stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_consumer_create(struct oxbow_txn *txn,
                                                            struct oxbow_group group,
                                                            struct oxbow_bytes consumer,
                                                            bool *created);
/* XGROUP DELCONSUMER. *pending (may be NULL): how many pending entries it had; they are gone from
 * the pending list, as if acked. OXBOW_ENOENT: no such stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_consumer_delete(struct oxbow_txn *txn,
                                                            struct oxbow_group group,
                                                            struct oxbow_bytes consumer,
                                                            uint64_t *pending);

/* ---- read and ack ---- */

struct oxbow_group_read_options {
    bool history;          /* pending entries of this consumer after `after`, instead of new ones */
    struct oxbow_id after; /* with history */
    uint64_t count;        /* 0: no limit */
    uint64_t bytes;        /* of names and values, never before one entry; 0: no limit */
    bool noack;            /* NOACK: what is read new does not become pending */
};

/* XREADGROUP without BLOCK (blocking: wait.h). `opt` may be NULL: all that is new.
 * New entries become pending with one delivery; one that was pending already (after set_id) changes
 * hands. History counts a delivery more for each; a pending entry that was deleted from the stream
 * comes with `deleted` and counts none. A consumer is made when it gets something, or asks for
 * history. Nothing new: OXBOW_OK, an empty result, and nothing is written. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_read(struct oxbow_txn *txn, struct oxbow_group group,
                                                 struct oxbow_bytes consumer,
                                                 const struct oxbow_group_read_options *opt,
                                                 struct oxbow_result *result);

/* XACK. No such stream or group: *acked is 0. *acked may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_ack(struct oxbow_txn *txn, struct oxbow_group group,
                                                const struct oxbow_id *ids, size_t count,
                                                uint64_t *acked);

struct oxbow_group_ack_delete_options {
    enum oxbow_refs refs;
    const struct oxbow_id *ids;
    size_t count;
};

/* XACKDEL of Redis 8.2. outcomes[i] for ids[i]: NONE it was not pending here (or no such stream or
 * group), DONE acked and deleted, REFERENCED acked and left (with OXBOW_REFS_ACKED). A protected
 * entry (forward.h) answers OXBOW_EPROTECTED and nothing is done. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_group_ack_delete(struct oxbow_txn *txn, struct oxbow_group group,
                       const struct oxbow_group_ack_delete_options *opt,
                       enum oxbow_delete_outcome *outcomes);

/* ---- pending ---- */

struct oxbow_pending_summary {
    uint64_t count;
    struct oxbow_id first; /* 0-0 when count is 0 */
    struct oxbow_id last;
};

/* XPENDING key group. The consumers with something pending: oxbow_group_consumers. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_pending_summary(struct oxbow_txn *txn,
                                                            struct oxbow_group group,
                                                            struct oxbow_pending_summary *summary);

/* One pending entry. */
struct oxbow_pending {
    struct oxbow_id id;
    struct oxbow_bytes consumer; /* in the result's memory */
    uint64_t idle_ms;            /* since its last delivery */
    uint64_t deliveries;
    bool nobody; /* it waits to be delivered again; `consumer` is empty */
};

struct oxbow_pending_filter {
    struct oxbow_id from; /* inclusive */
    struct oxbow_id to;   /* inclusive */
    uint64_t count;       /* room in `out`, at least 1 */
    uint64_t min_idle_ms; /* IDLE; 0: any. What was given back is idle enough */
    bool has_consumer;
    struct oxbow_bytes consumer; /* of this one alone; an unknown one has none */
};

/* XPENDING key group IDLE … start end count consumer: in the order of ids, at most filter->count
 * into `out`, how many into *count. `names` holds the memory of out[].consumer. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_pending(struct oxbow_txn *txn, struct oxbow_group group,
                                                    const struct oxbow_pending_filter *filter,
                                                    struct oxbow_result *names,
                                                    struct oxbow_pending *out, size_t *count);

/* ---- claim ---- */

struct oxbow_claim_options {
    uint64_t min_idle_ms; /* only what has been idle for so long; 0: any */
    const struct oxbow_id *ids;
    size_t count;
    bool has_idle;
    uint64_t idle_ms; /* IDLE: how long it is said to have been idle from now on */
    bool has_time;
    uint64_t time_ms; /* TIME: the same as a wall time; in the future: now. Not with has_idle */
    bool has_deliveries;
    uint64_t deliveries; /* RETRYCOUNT; at most 2^48 - 1. Otherwise one more, unless just_id */
    bool force;          /* FORCE: also entries of the stream that are pending for nobody */
    bool just_id;        /* JUSTID: ids alone, no delivery counted */
    bool has_last_id;
    struct oxbow_id last_id; /* LASTID: the group's last id becomes at least this */
};

/* XCLAIM. What was claimed into result->entries, in the order of the ids given. A pending entry
 * that was deleted from the stream is dropped from the pending list (Redis 7.0). The consumer is
 * made when it gets something. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_claim(struct oxbow_txn *txn, struct oxbow_group group,
                                                  struct oxbow_bytes consumer,
                                                  const struct oxbow_claim_options *opt,
                                                  struct oxbow_result *result);

struct oxbow_autoclaim_options {
    uint64_t min_idle_ms;
    struct oxbow_id start; /* first id looked at */
    uint64_t count;        /* 0: 100, as Redis' default; 10 times as many are looked at, at most */
    bool just_id;
};

/* XAUTOCLAIM. result->entries in the order of ids: what was claimed, and with `deleted` set what
 * was dropped because the stream has it no more. *next: where to go on; 0-0: that was all. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_group_autoclaim(struct oxbow_txn *txn, struct oxbow_group group, struct oxbow_bytes consumer,
                      const struct oxbow_autoclaim_options *opt, struct oxbow_result *result,
                      struct oxbow_id *next);

#define OXBOW_CLAIM_IDLE_MAX 4096u

struct oxbow_claim_idle_options {
    uint64_t min_idle_ms;
    uint64_t count; /* 0: OXBOW_CLAIM_IDLE_MAX, which is the most */
};

/* What XREADGROUP ... CLAIM of Redis 8.4 takes over before it reads: pending entries that have been
 * idle for so long, whosever they are, the longest idle first, into result->entries, each with its
 * idle_ms and deliveries as they were. What was given back (oxbow_group_release) is idle enough and
 * comes before all others. What is pending and not in the stream any more is passed by and stays
 * pending. The consumer is made when it gets something; nothing: OXBOW_OK, an empty result, and
 * nothing is written. Who then waits for the stream (wait.h) looks again when something may have
 * become idle enough.
 * In a group with options (group_options.h) it takes nothing while another has the group for itself,
 * and no more than `prefetch` leaves room for; what is nobody's there comes back by itself. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_group_claim_idle(struct oxbow_txn *txn, struct oxbow_group group, struct oxbow_bytes consumer,
                       const struct oxbow_claim_idle_options *opt, struct oxbow_result *result);

/* ---- give back ---- */

#define OXBOW_DELIVERIES_MAX (((uint64_t)1 << 48) - 1) /* that are counted */

/* How many deliveries an entry counts that is given back. */
enum oxbow_release {
    OXBOW_RELEASE_SILENT = 0, /* one less: the last one shall not count */
    OXBOW_RELEASE_FAIL = 1,   /* as many as it has: it failed */
    OXBOW_RELEASE_FATAL = 2   /* OXBOW_DELIVERIES_MAX: it fails with everybody */
};

struct oxbow_group_release_options {
    const struct oxbow_id *ids;
    size_t count;
    enum oxbow_release how;
    bool has_deliveries;
    uint64_t deliveries; /* so many instead; at most OXBOW_DELIVERIES_MAX */
    bool force; /* also entries of the stream that are pending for nobody; they count from 0 */
};

/* XNACK of Redis 8.8: what is pending of the ids is nobody's from then on, idle enough for whoever
 * claims, and claimed by age (oxbow_group_claim_idle) before all others, what was given back first at
 * first. *released (may be NULL): how many; an id that is named twice counts twice.
 * In a group with options (group_options.h) it is a negative ack: FAIL is a failure, and rests; SILENT
 * and what force adds is due at once; FATAL goes to the dead letters where the group has any, and is a
 * failure where not. OXBOW_EINVAL also for more than OXBOW_DELIVERIES_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_release(struct oxbow_txn *txn, struct oxbow_group group,
                                                    const struct oxbow_group_release_options *opt,
                                                    uint64_t *released);

/* ---- information ---- */

/* Names of a stream's groups into result->items, sorted bytewise (XINFO GROUPS). OXBOW_ENOENT: no
 * such stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_list(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_result *result);

struct oxbow_group_info {
    uint64_t consumers;
    uint64_t pending;
    struct oxbow_id last_id; /* last-delivered-id */
    bool has_entries_read;   /* false: Redis answers nil */
    uint64_t entries_read;
    bool has_lag; /* false: it cannot be known without counting (nil) */
    int64_t lag;  /* entries still to be delivered */
};

/* XINFO GROUPS, one row. OXBOW_ENOENT: no such stream. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_info(struct oxbow_txn *txn, struct oxbow_group group,
                                                 struct oxbow_group_info *info);

/* Names of a group's consumers into result->items, sorted bytewise (XINFO CONSUMERS). OXBOW_ENOENT:
 * no such stream. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_group_consumers(struct oxbow_txn *txn, struct oxbow_group group, struct oxbow_result *result);

struct oxbow_consumer_info {
    uint64_t pending;
    uint64_t idle_ms;     /* since it last asked and got, or was made; a poll that found nothing is
                           * never written down (it would wear the flash) and does not count */
    bool has_active;      /* false: it never got anything */
    uint64_t inactive_ms; /* since it last got an entry (`inactive` of Redis 7.2) */
};

/* XINFO CONSUMERS, one row. OXBOW_ENOENT: no such stream, or no such consumer. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_consumer_info(struct oxbow_txn *txn,
                                                          struct oxbow_group group,
                                                          struct oxbow_bytes consumer,
                                                          struct oxbow_consumer_info *info);

/* How far the group is done without a gap: the greatest id such that everything at or below it
 * that was delivered is acked. It is the id before the first pending one, but never above the last
 * delivered. XGROUP SETID backwards and XCLAIM FORCE can move it back. */
struct oxbow_acked_prefix {
    struct oxbow_id id;
    bool blocked; /* something is pending */
    struct oxbow_id blocked_by;
    uint64_t blocked_ms;         /* how long since that one's last delivery */
    uint64_t blocked_deliveries; /* how often it was delivered */
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_acked_prefix(struct oxbow_txn *txn,
                                                         struct oxbow_group group,
                                                         struct oxbow_acked_prefix *prefix);

#ifdef __cplusplus
}
#endif

#endif
