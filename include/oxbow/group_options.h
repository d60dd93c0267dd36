/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups that survive bad consumers: what was delivered and not acked comes back by itself, a
 * little later each time, and at last goes to a stream of dead letters; from there it can be sent
 * back. See docs/CONSUMERS.md.
 *
 * All of it is a property of the group, stored with it, and off until oxbow_group_options_set turns
 * it on. Times are milliseconds of the group's clock (group.h): no jump of the wall clock makes
 * anything visible early, and none holds it back for ever.
 *
 * Calls, threads, errors of every function: as group.h says.
 */
#ifndef OXBOW_GROUP_OPTIONS_H
#define OXBOW_GROUP_OPTIONS_H

#include "oxbow/group.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_GROUP_MS_MAX            ((uint64_t)3660 * 86400 * 1000) /* ten years */
#define OXBOW_GROUP_RETRY_FACTOR_MAX  10000u
#define OXBOW_GROUP_RETRY_MAX_DEFAULT ((uint64_t)3600 * 1000)
#define OXBOW_GROUP_REASON_MAX        255u /* bytes */

/* All zero: nothing, the group is as Redis'. */
struct oxbow_group_options {
    uint64_t visibility_ms;  /* how long a consumer has for an entry; what it has not acked by then
                                is given to whoever reads next; 0: for ever */
    uint32_t max_deliveries; /* an entry that was delivered so often and failed goes to the dead
                                letters, which must be named; 0: no limit */
    struct oxbow_bytes dead_letter; /* key of the stream of dead letters, in the group's database,
                                       made when needed, not the group's own; empty: none */
    /* A failed entry (not acked in time, or nack) rests before it is delivered again: base, after
     * the second failure base x factor, and so on, up to max. */
    uint64_t retry_base_ms; /* 0: it does not rest */
    uint32_t
        retry_factor_percent; /* 100 (always the same) to OXBOW_GROUP_RETRY_FACTOR_MAX; 0: 200 */
    uint64_t retry_max_ms;    /* 0: an hour, or the base if that is longer */
    uint32_t retry_jitter_percent; /* up to so much of the rest is left out, by chance, so that not
                                      all come at once; 0 to 100 */
    uint32_t prefetch;             /* entries that one consumer may have pending; 0: no limit */
    struct oxbow_bytes key_field;  /* the field whose value is an entry's key: entries of one key go
                                      to one consumer at a time, in order; at most 255 bytes; empty:
                                      no order by key */
    uint64_t
        exclusive_ms; /* one consumer has the group for itself, until it was not heard of for so
                              long; 0: any number of them */
    bool dead_remove; /* what goes to the dead letters is removed from its stream, unless another
                         group has yet to read or ack it, or a forward to deliver it; told as
                         dropped (policy.h) */
};

/* Sets a group's options, all of them. What is pending stays so, and what it was promised (by
 * oxbow_group_extend, by a nack with a delay) holds; the rest goes by the new options at once.
 * OXBOW_EINVAL: out of range; max_deliveries without dead_letter; dead_letter is the group's own
 * stream; a retry_max_ms below the base. OXBOW_ETOOBIG: a name that is too long. OXBOW_EQUOTA.
 * OXBOW_ELEVEL: the store is of level 1 (upgrade.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_options_set(struct oxbow_txn *txn,
                                                        struct oxbow_group group,
                                                        const struct oxbow_group_options *opt);
/* A group's options as they were set; all zero when they never were. Bytes live in `memory`. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_options_get(struct oxbow_txn *txn,
                                                        struct oxbow_group group,
                                                        struct oxbow_result *memory,
                                                        struct oxbow_group_options *opt);

/* ---- options by name, for command lines and files ---- */

#define OXBOW_GROUP_WHY_MAX  512u
#define OXBOW_GROUP_WORD_MAX 24u

enum oxbow_group_word_kind {
    OXBOW_GROUP_WORD_MS = 0,
    OXBOW_GROUP_WORD_COUNT = 1,
    OXBOW_GROUP_WORD_NAME = 2, /* bytes */
    OXBOW_GROUP_WORD_YES = 3   /* yes or no: 1 or 0 */
};

/* An option as it is set. */
struct oxbow_group_word {
    const char *name; /* static */
    enum oxbow_group_word_kind kind;
    uint64_t value;                   /* of all but a name */
    struct oxbow_bytes text;          /* as a word; a name is borrowed from the options */
    char chars[OXBOW_GROUP_WORD_MAX]; /* where the text of others lies */
};

/* What is wrong, for an operator. */
struct oxbow_group_why {
    char text[OXBOW_GROUP_WHY_MAX];
};

/* Options as pairs of a name and a value, names in any case. Those that are not named stay in *opt as
 * they are; texts are borrowed from the words.
 *
 *   visibility TIME          retry-max TIME           exclusive TIME
 *   max-deliveries N         retry-jitter PERCENT     dead-letter-remove yes|no
 *   dead-letter KEY          prefetch N
 *   retry-base TIME          key-field NAME
 *   retry-factor PERCENT
 *
 * TIME is in milliseconds, or has one of ms, s, m, h, d, w. OXBOW_EINVAL: *why says which word, and what
 * it may be; *opt is then not to be used. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_words(const struct oxbow_bytes *words, size_t count,
                                                  struct oxbow_group_options *opt,
                                                  struct oxbow_group_why *why);
/* The idx-th option as such a word, times in milliseconds. False: there are no more. */
bool oxbow_group_word(const struct oxbow_group_options *opt, size_t idx,
                      struct oxbow_group_word *word);
/* OXBOW_EINVAL where options do not go together, whatever the group, and why. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_options_check(const struct oxbow_group_options *opt,
                                                          struct oxbow_group_why *why);

/*
 * Reading a group with options. oxbow_group_read gives, besides new entries, failed ones that have
 * rested: those first, but at most half of the count (rounded up) while there are new ones; with a
 * count of 1 the two take turns. So a failed entry is not passed by for ever, and poison does not
 * keep the new ones away. In both kinds the older come first. An entry on its last delivery before
 * the dead letters is given alone, so that no other entry of a read can take it along. An entry that has used up
 * max_deliveries is moved to the dead letters instead, by the read that finds it. Such a read has
 * written something even when it gives nothing: it wants to be committed like any other.
 *
 * With a key_field, a new entry goes to whoever reads, unless entries of its key are pending: then
 * only to the consumer that has them, and where one of them waits to be delivered again it waits
 * behind it. What waits so is in the pending list, for nobody, with no deliveries. Entries without
 * the field have no order. What was pending when the field was named has no key, and so have dead
 * letters that were sent back.
 *
 * With exclusive_ms, others than the one who has the group read nothing. It is heard of whenever it
 * reads something, and by every ack, nack and extension in the group. When it is not, the next one
 * who reads takes over: what the other had pending is due at once, and comes before all that is new.
 *
 * A consumer that is deleted gives back what it has pending: it is visible at once, not acked.
 * NOACK reads give new entries only.
 */

/* ---- by hand ---- */

struct oxbow_group_extend_options {
    const struct oxbow_id *ids;
    size_t count;
    uint64_t visible_ms; /* at most OXBOW_GROUP_MS_MAX */
    bool has_consumer;
    struct oxbow_bytes consumer; /* only what is pending for this one: who is late does not extend
                                    what was given to another */
};

/* Has deliveries count as failed no sooner than visible_ms from now, whatever visibility_ms says,
 * as a consumer wants that is not through yet; 0: they have failed, and do not rest. *extended may
 * be NULL. OXBOW_EINVAL: the group has no options; visible_ms is too long. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_extend(struct oxbow_txn *txn, struct oxbow_group group,
                                                   const struct oxbow_group_extend_options *opt,
                                                   uint64_t *extended);

enum oxbow_nack {
    OXBOW_NACK_RETRY = 0, /* it failed: it rests as after any failure */
    OXBOW_NACK_DELAY = 1, /* it is not to be delivered before delay_ms have gone by */
    OXBOW_NACK_DEAD = 2   /* straight to the dead letters, which must be named */
};

struct oxbow_group_nack_options {
    const struct oxbow_id *ids;
    size_t count;
    enum oxbow_nack how;
    uint64_t delay_ms;         /* with OXBOW_NACK_DELAY; at most OXBOW_GROUP_MS_MAX */
    struct oxbow_bytes reason; /* with OXBOW_NACK_DEAD; at most OXBOW_GROUP_REASON_MAX bytes; empty:
                                  "rejected" */
};

/* Negative ack: what of the ids is pending is nobody's until it is delivered again. An entry that
 * has used up max_deliveries goes to the dead letters, whichever way (but for OXBOW_NACK_DELAY,
 * then when the delay is over). *nacked (may be NULL): how many were pending.
 * OXBOW_EINVAL: the group has no options, or no dead letters for OXBOW_NACK_DEAD; a delay or reason
 * that is too long. What the dead letters answer when they take no more (OXBOW_EQUOTA,
 * OXBOW_EBUDGET, OXBOW_EWRONGTYPE, ...): the transaction can then only be aborted. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_nack(struct oxbow_txn *txn, struct oxbow_group group,
                                                 const struct oxbow_group_nack_options *opt,
                                                 uint64_t *nacked);

/* ---- how it goes ---- */

struct oxbow_group_status {
    uint64_t redelivered;        /* since the options were first set */
    uint64_t dead_letters;       /* likewise */
    uint64_t dead_refused;       /* times that the dead letters took nothing: the entry stays here,
                                    is not delivered, and is tried again every ten seconds */
    enum oxbow_err dead_problem; /* what they answered last, OXBOW_OK once they take again */
    bool has_due;                /* something pending comes back by itself, */
    uint64_t due_ms;             /* not before so long from now; 0: it may be visible now */
};

/* All zero for a group without options. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_status(struct oxbow_txn *txn, struct oxbow_group group,
                                                   struct oxbow_group_status *status);

/* ---- dead letters ---- */

/*
 * A dead letter is an entry with all fields of the original, and behind them, in this order:
 *
 *   oxbow.key         the stream it comes from
 *   oxbow.group       the group that gave it up
 *   oxbow.id          its id there, MS-SEQ
 *   oxbow.reason      max-deliveries, rejected, or what the nack said
 *   oxbow.deliveries  how often it was delivered
 *   oxbow.first       its first delivery, ms since 1970 by the clock of the moment of the move
 *   oxbow.last        its last delivery, likewise
 *   oxbow.consumer    who had it last; empty: nobody any more
 *   oxbow.payload     empty; or the id of another entry of the dead letters, which has the
 *                     original's fields: all of it in one would have been longer than an entry
 *                     may be
 *
 * It is added, and the original acked in its group, in one transaction. The original stays in its
 * stream, as anything acked does, but with dead_remove.
 */

struct oxbow_redrive_options {
    const struct oxbow_id *ids; /* of dead letters; NULL: all, from `from` on */
    size_t count;               /* with ids: how many; without: at most, 0: 100 */
    struct oxbow_id from;       /* without ids */
};

struct oxbow_redrive {
    uint64_t redriven;
    uint64_t skipped; /* entries that are no dead letters, or not there; they stay */
    bool more;        /* without ids: there are entries after those; go on from `next` */
    struct oxbow_id next;
};

/* Sends dead letters back: each is deleted here, and pending again there, for nobody and as if it
 * was never delivered. An original that its stream has no more is added anew (at the end, for all
 * groups to see), also where its group or stream is gone.
 * OXBOW_EPROTECTED: a forward carries the dead letters and has not delivered one of them. What
 * adding answers (OXBOW_EQUOTA, ...). The transaction can then only be aborted. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_redrive(struct oxbow_txn *txn, struct oxbow_bytes dead,
                                              const struct oxbow_redrive_options *opt,
                                              struct oxbow_redrive *out);

#ifdef __cplusplus
}
#endif

#endif
