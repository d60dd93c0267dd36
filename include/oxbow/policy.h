/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of queues: limits, what happens at them, and what is kept after delivery.
 *
 * A policy belongs to a name in a database, not to what the name holds: a list is gone with its
 * last element and its policy is not, and it may be set before there is a queue. It is kept in the
 * store. What happens to the name's content leaves it alone: DEL, FLUSHDB, RENAME away and SWAPDB do
 * not move or remove it, and what is renamed to the name comes under it with its next change. Only
 * the functions here change a policy, without touching the queue's entries: a smaller limit holds
 * from the next append on, or when the store has time.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. An aborted transaction leaves no trace.
 * Out-parameters are written on success only. All give, besides what they name, OXBOW_EINVAL (a NULL
 * where none is allowed), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT; those that write OXBOW_EREADONLY.
 */
#ifndef OXBOW_POLICY_H
#define OXBOW_POLICY_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_POLICY_COUNT_MAX 4096u /* names with a policy in one store */
#define OXBOW_POLICY_NAME_MAX  1024u /* bytes of such a name */

/* What an append does that a limit leaves no room for. One that would not even fit an empty queue
 * answers OXBOW_ETOOBIG, and nothing is dropped for it. Values are stored: never renumbered. */
enum oxbow_policy_full {
    OXBOW_POLICY_REFUSE = 0,      /* it answers OXBOW_EFULL and nothing has changed */
    OXBOW_POLICY_DROP_OLDEST = 1, /* the oldest entries make room, counted and never silently */
    OXBOW_POLICY_BLOCK = 2        /* OXBOW_EFULL inside a transaction; the functions of wait.h that
                                     append wait for room, in the order of arrival */
};

/* All zero: no limits. */
struct oxbow_policy {
    uint64_t max_entries; /* that the queue holds at most; 0: no limit */
    uint64_t max_bytes;  /* of them: `bytes` of oxbow_stream_info or oxbow_list_info; 0: no limit */
    uint64_t max_age_ms; /* older entries go, whatever on_full says; 0: no limit */
    uint64_t
        keep_ms; /* how long after it was delivered an entry of a stream stays; 0: as long as the
                             limits allow */
    uint64_t
        keep_bytes; /* how many bytes of delivered entries stay; 0: as many as the limits allow */
    enum oxbow_policy_full on_full;
    uint64_t dedupe_ms; /* how long ids are remembered (once.h); 0: as long as the count allows */
    uint64_t dedupe_count; /* how many; 0: as many as the time allows. Both 0: once.h's defaults */
    /* Priorities of a stream's entries. Groups are given higher ones first; within one, and wherever
     * else a stream is read, the order is that of ids. Changed at any time: what is there keeps its
     * priority, also one that there is no more, and what was there before has the lowest. */
    uint64_t priorities;       /* how many, at most OXBOW_PRIORITIES_MAX; 0, 1: none */
    uint64_t priority_weights; /* OXBOW_PRIORITY_WEIGHT of each, added up: entries that each gives
                                  while all have some. 0: strict, a higher one always goes first */
    uint64_t priority_wait_ms; /* a priority that got nothing for so long gives one entry first; 0:
                                  strictly never */
    /* What entries get that are added to a stream by name and say nothing of it themselves; 0: none.
     * Changed for what is added from then on. */
    uint64_t default_ttl_ms;   /* a time to live (expire.h), at most OXBOW_TTL_MS_MAX */
    uint64_t default_delay_ms; /* they are added so much later (delay.h; oxbow_stream_add) */
};
/* The weight of a priority, 1 to 255; one that is left out weighs 1. */
#define OXBOW_PRIORITY_WEIGHT(priority, weight) ((uint64_t)(uint8_t)(weight) << (8u * (priority)))

/* Sets the policy of a name, replacing the one it had but for what a newer version may have set
 * beside these fields.
 * OXBOW_EINVAL  a field out of its range (oxbow_policy_fields), a name without bytes
 * OXBOW_ETOOBIG a name over OXBOW_POLICY_NAME_MAX
 * OXBOW_ERANGE  OXBOW_POLICY_COUNT_MAX names have one
 * OXBOW_ENOTSUP a newer version has set what this one must not touch
 * OXBOW_ELEVEL  the store is of level 1: upgrade.h
 * OXBOW_EQUOTA */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_policy *policy);
/* OXBOW_ENOENT: the name has none. OXBOW_ENOTSUP as above. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_policy *policy);
/* Removes the policy, and what it has counted. *existed may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_clear(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   bool *existed);
/* The names that have a policy, sorted, as result->items. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_list(struct oxbow_txn *txn,
                                                  struct oxbow_result *result);

/* ---- status ---- */

#define OXBOW_POLICY_HELD_MAX 63u

struct oxbow_policy_info {
    uint64_t entries; /* that the queue holds; 0 also when there is none */
    uint64_t bytes;
    uint64_t
        over_entries; /* above max_entries, and so on: since a forward's protection won, or the */
    uint64_t over_bytes;                     /* limit was lowered and the store had no time since */
    char held_by[OXBOW_POLICY_HELD_MAX + 1]; /* the forward that has yet to deliver what is over a
                                                limit or too old; "": none */
    bool full;              /* a limit is reached: the next append drops, is refused, or waits */
    uint64_t refused;       /* appends, since the policy was last set or the store opened */
    uint64_t oldest_age_ms; /* of the oldest entry; UINT64_MAX: none, or not known */
};

/* How a queue stands to its policy. OXBOW_ENOENT: the name has none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_policy_info *info);

/* ---- what was dropped ---- */

/* Why entries went that nobody had deleted. Values are stored: never renumbered. */
enum oxbow_drop_cause {
    OXBOW_DROP_AGE = 1,         /* "age": older than max_age_ms, or than their own time to live */
    OXBOW_DROP_LENGTH = 2,      /* "length": over max_entries */
    OXBOW_DROP_BYTES = 3,       /* "bytes": over max_bytes */
    OXBOW_DROP_QUOTA = 4,       /* "quota": for want of room in the store, with drop-oldest */
    OXBOW_DROP_DEAD_LETTER = 5, /* "dead-letter": moved to a group's dead letters (dead_remove of
                                   group_options.h) */
    OXBOW_DROP_DELIVERED = 6,   /* "delivered": every group had acked it and every forward delivered
                                   it: beyond what is kept, or in the way at a limit */
    OXBOW_DROP_FORWARD = 7      /* "forward": dropped by a forward's budget */
};
#define OXBOW_DROP_CAUSES 7u

/* What one cause has taken from a queue since its policy was set. Positions are a stream's ids; in
 * a list they are {0, n}: the n-th element that was dropped from it, from 1. A run is what went
 * without anything going for another cause between. */
struct oxbow_drops {
    uint64_t entries;
    uint64_t bytes;        /* as max_bytes counts them */
    struct oxbow_id first; /* the first ever; 0-0: none yet */
    struct oxbow_id from;  /* the last run */
    struct oxbow_id to;
    uint64_t wall_ms; /* when it grew last, as the wall clock stood then */
};

/* OXBOW_ENOENT: the name has no policy. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_drops(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   enum oxbow_drop_cause cause,
                                                   struct oxbow_drops *drops);
/* "age", "length", ...; "?" outside the enum. Static. Any thread. */
const char *oxbow_drop_cause_name(enum oxbow_drop_cause cause);

#define OXBOW_DROP_GAPS_MAX 30u /* that are kept for a queue */

/* A stretch of positions from which entries were dropped: neighbouring drops are told together, and
 * once there are OXBOW_DROP_GAPS_MAX stretches the smallest neighbours become one. */
struct oxbow_drop_gap {
    struct oxbow_id from; /* the first that went */
    struct oxbow_id to;   /* the last one */
    uint64_t entries;
    uint64_t bytes;
    uint64_t by_cause[OXBOW_DROP_CAUSES]; /* entries, by cause - 1 */
};

/* What a reader who has had everything up to `after` has missed or will miss: gaps that reach
 * beyond it, the oldest first, at most `max` (OXBOW_DROP_GAPS_MAX: all) into `gaps`, *count of them.
 * One that begins at or below `after` was missed in part: its numbers are at most. No policy: none.
 * The `missed` of a result (result.h) is the sum of those below the first entry given. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_gaps(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_id after,
                                                  struct oxbow_drop_gap *gaps, size_t max,
                                                  size_t *count);

/* ---- fields by name, for command lines and files ---- */

enum oxbow_policy_kind {
    OXBOW_POLICY_COUNT = 0,
    OXBOW_POLICY_BYTES = 1,
    OXBOW_POLICY_MS = 2,
    OXBOW_POLICY_WORD = 3,   /* one of `words`, whose index is the value */
    OXBOW_POLICY_WEIGHTS = 4 /* a byte for each priority, that of the lowest first */
};

struct oxbow_policy_field {
    const char *name; /* "max-entries" */
    const char *help;
    const char *const *words; /* closed by NULL; of OXBOW_POLICY_WORD alone */
    uint64_t max;             /* greatest value */
    size_t offset;            /* in struct oxbow_policy */
    uint16_t number;          /* in the store; never reused */
    enum oxbow_policy_kind kind;
};

/* All fields, *count of them. Static. Any thread. */
const struct oxbow_policy_field *oxbow_policy_fields(size_t *count);
uint64_t oxbow_policy_value(const struct oxbow_policy *policy,
                            const struct oxbow_policy_field *field);
/* OXBOW_ERANGE: above the field's greatest value. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_value_set(struct oxbow_policy *policy,
                                                       const struct oxbow_policy_field *field,
                                                       uint64_t value);

#define OXBOW_POLICY_WHY_MAX  512u
#define OXBOW_POLICY_WORD_MAX 48u

/* What is wrong, for an operator. */
struct oxbow_policy_why {
    char text[OXBOW_POLICY_WHY_MAX];
};

/* Fields as pairs of a name and a value, in any case: "max-age" "7d", "on-full" "refuse". Fields that are
 * not named stay in *policy as they are. Times are milliseconds, or have one of ms, s, m, h, d, w; sizes
 * and counts are numbers, or have k (1000), kb (1024), m, mb, g, gb, t, tb. OXBOW_EINVAL: *why says which
 * word, and what it may be; *policy is then not to be used. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_words(const struct oxbow_bytes *words, size_t count,
                                                   struct oxbow_policy *policy,
                                                   struct oxbow_policy_why *why);
/* The idx-th field as such words, numbers in milliseconds and bytes: *name is static, the value is
 * text[0, *len). False: there are no more. */
bool oxbow_policy_word(const struct oxbow_policy *policy, size_t idx, const char **name,
                       char text[OXBOW_POLICY_WORD_MAX], size_t *len);

#ifdef __cplusplus
}
#endif

#endif
