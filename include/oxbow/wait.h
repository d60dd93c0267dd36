/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for keys: BLPOP, BRPOP, BLMPOP, BLMOVE, XREAD BLOCK and XREADGROUP BLOCK, and anything of
 * one's own making.
 *
 * Who finds nothing to take gets in line at its keys. A transaction that puts something into one of
 * them gives, when it commits, the turn to the first in that line; that one tries again in a
 * transaction of its own and then lets the next one have its turn. So:
 *
 * - Fair: elements go to waiters in the order in which these got in line, whichever threads, loops
 *   and keys they are from. Who comes while an element is on its way to somebody in line gets
 *   behind them. (A plain oxbow_list_pop does not stand in line: it may take an element between a
 *   push and the waiter's turn. Redis serves waiters before the next command.)
 * - A waiter of several keys tries them in the order given, as BLPOP does.
 * - A waiter that has timed out, was canceled or whose store is closing has taken nothing and takes
 *   nothing: an element is only ever taken by a transaction of the waiter's own that commits.
 * - Nothing is woken by a transaction that aborts.
 * - Readers of streams do not take anything from one another: each gets its turn at every append.
 * - While waiting, a key that holds something of another type is as if it were not there, as in
 *   Redis; only the first look at it gives OXBOW_EWRONGTYPE.
 * - There is no polling anywhere. Who waits for a group with options (group_options.h) also wakes
 *   when something pending is to be delivered again, and who asked for what is idle
 *   (oxbow_group_claim_idle) when something may have become so.
 *
 * Threads call the functions that block. Loops use a wait set, which has a descriptor to watch.
 */
#ifndef OXBOW_WAIT_H
#define OXBOW_WAIT_H

#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_WAIT_FOREVER  ((int64_t)-1)
#define OXBOW_WAIT_KEYS_MAX 1024u

/* What is waited for. */
enum oxbow_wait_kind {
    OXBOW_WAIT_LIST = 0,   /* an element: when one waiter finds none, the others need not look */
    OXBOW_WAIT_STREAM = 1, /* an entry: what one waiter does not want may be another's */
    OXBOW_WAIT_ROOM = 2    /* room in a queue whose policy blocks (policy.h): as with a list */
};

struct oxbow_wait_keys {
    enum oxbow_wait_kind kind;
    const struct oxbow_bytes *keys;
    size_t count; /* 1 to OXBOW_WAIT_KEYS_MAX */
};

/* All zero: default transactions, no waiting, cannot be canceled. */
struct oxbow_wait_options {
    struct oxbow_txn_options txn; /* of the waiter's transactions, its database included. Under
                                     `always` the call returns when what it took is durable */
    int64_t timeout_ms;           /* 0: only try; negative: for ever */
    uint64_t cancel_tag;          /* for oxbow_wait_cancel; 0: none */
};

/* ---- threads ---- */

/* Tries `attempt` in a transaction, now and then whenever one of the keys was touched, until it
 * gives something else than OXBOW_EAGAIN. OXBOW_OK: the transaction is committed; anything else: it
 * is aborted, and that error is the result. `again` is false at the first attempt. The attempt may
 * do whatever a transaction can, so "take from here, add there, or wait" is atomic.
 * OXBOW_ETIMEDOUT, OXBOW_ECANCELED, OXBOW_ECLOSED (the store is closing); OXBOW_EINVAL; errors of
 * oxbow_txn_begin and oxbow_txn_commit; OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_wait_for(struct oxbow *db, const struct oxbow_wait_options *opt,
               const struct oxbow_wait_keys *keys,
               enum oxbow_err (*attempt)(void *ctx, struct oxbow_txn *txn, bool again), void *ctx);

/* BLPOP, BRPOP (count 1), BLMPOP: oxbow_list_pop_first, waiting while no key is there. Errors as
 * there (but OXBOW_ENOENT) and as oxbow_wait_for. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pop_wait(struct oxbow *db,
                                                    const struct oxbow_wait_options *opt,
                                                    const struct oxbow_list_pop_options *pop,
                                                    size_t *which, struct oxbow_result *result);

struct oxbow_list_move_options {
    struct oxbow_bytes from;
    struct oxbow_bytes to;
    enum oxbow_end from_end;
    enum oxbow_end to_end;
};

/* BLMOVE, BRPOPLPUSH: oxbow_list_move, waiting while `from` is not there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_move_wait(struct oxbow *db,
                                                     const struct oxbow_wait_options *opt,
                                                     const struct oxbow_list_move_options *move,
                                                     struct oxbow_result *result);

struct oxbow_stream_wait_options {
    const struct oxbow_bytes *keys;
    const struct oxbow_id *after; /* one per key */
    size_t key_count;
    bool from_end;  /* `$`: only what is added after the call began; `after` is not looked at */
    uint64_t count; /* entries per key at most; 0: no limit */
};

/* XREAD BLOCK: oxbow_stream_read of each key, waiting while none has anything. `results` has one
 * result per key, empty for keys that have nothing. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_read_wait(struct oxbow *db,
                                                       const struct oxbow_wait_options *opt,
                                                       const struct oxbow_stream_wait_options *read,
                                                       struct oxbow_result *results);

struct oxbow_group_wait_options {
    const struct oxbow_group *groups; /* one per stream */
    size_t group_count;
    struct oxbow_bytes consumer;
    struct oxbow_group_read_options read; /* of new entries; with `history` nothing is waited for */
};

/* XREADGROUP BLOCK: oxbow_group_read of each group, waiting while none has anything to give.
 * `results` as above. A group that is destroyed meanwhile: OXBOW_ENOGROUP. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_read_wait(struct oxbow *db,
                                                      const struct oxbow_wait_options *opt,
                                                      const struct oxbow_group_wait_options *read,
                                                      struct oxbow_result *results);

/* Appends that wait for room: as oxbow_stream_add and oxbow_list_push, waiting while the queue's
 * policy has no room and says OXBOW_POLICY_BLOCK, or that of a destination of its bindings. Fair in the order of arrival among themselves: a
 * plain append does not stand in line. OXBOW_EFULL: the policy refuses. OXBOW_ETOOBIG: it would
 * never fit. Otherwise errors as there and as oxbow_wait_for. */
struct oxbow_stream_add_wait_options {
    struct oxbow_bytes key;
    struct oxbow_stream_add_options add;
    const struct oxbow_field *fields;
    uint32_t field_count;
};
OXBOW_MUST_CHECK enum oxbow_err
oxbow_stream_add_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                      const struct oxbow_stream_add_wait_options *entry, struct oxbow_id *id);

struct oxbow_list_push_wait_options {
    struct oxbow_bytes key;
    enum oxbow_end end;
    const struct oxbow_bytes *values;
    size_t count;
};
OXBOW_MUST_CHECK enum oxbow_err
oxbow_list_push_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                     const struct oxbow_list_push_wait_options *push, uint64_t *len);

/* Ends all waits of threads with that cancel_tag (not 0) with OXBOW_ECANCELED, unless they have
 * just got something. *count (may be NULL) is how many there were. Any thread. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait_cancel(struct oxbow *db, uint64_t cancel_tag,
                                                  size_t *count);

/* ---- loops ---- */

/*
 * One thread uses a set and its waiters:
 *
 *   in a transaction: oxbow_wait_ahead says whether others come first; if not, try; when there is
 *   nothing: oxbow_wait_add, then abort (or commit) the transaction
 *   the descriptor is readable, or oxbow_wait_set_timeout is over -> oxbow_wait_next until
 *   OXBOW_EAGAIN; for each waiter that it gives: begin; oxbow_wait_try; try;
 *     something: commit, oxbow_wait_remove
 *     nothing:   commit (a group's read may have written nonetheless) or abort, oxbow_wait_again
 *   timed out or not wanted any more -> oxbow_wait_remove, at any time but inside a transaction
 *
 * A waiter whose turn it is holds up those behind it, so it should be seen to at once.
 */
struct oxbow_wait_set;
struct oxbow_waiter;

/* OXBOW_ENOTSUP: the port has no descriptors. OXBOW_ENOMEM, OXBOW_ESYS, errors of oxbow_txn_begin.
 */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait_set_open(struct oxbow *db, struct oxbow_wait_set **out);
/* Removes what is in it. May be called after oxbow_close of the store as well, never during it. */
void oxbow_wait_set_close(struct oxbow_wait_set *set);
int oxbow_wait_set_fd(const struct oxbow_wait_set *set);
/* In how many ms, at the latest, oxbow_wait_next may have a waiter that no write wakes: what a
 * consumer of a group with options has not acked in time becomes visible by itself. 0: now;
 * OXBOW_WAIT_FOREVER: none. To be asked before every wait for the descriptor. */
int64_t oxbow_wait_set_timeout(const struct oxbow_wait_set *set);

/* Whether something that is there may be on its way to somebody in line at one of the keys. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait_ahead(struct oxbow_txn *txn,
                                                 const struct oxbow_wait_keys *keys, bool *ahead);
/* Gets in line at the keys, which are copied. `tried`: the transaction has looked at all of them
 * and found nothing. OXBOW_EINVAL, OXBOW_ENOMEM, OXBOW_ECLOSED; the transaction can go on. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait_add(struct oxbow_wait_set *set, struct oxbow_txn *txn,
                                               const struct oxbow_wait_keys *keys, bool tried,
                                               void *user, struct oxbow_waiter **out);
/* The next waiter whose turn it is, and the `user` it was added with. OXBOW_EAGAIN: none now, and
 * the descriptor is not readable any more. OXBOW_ECLOSED: the store is closing, none will come. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait_next(struct oxbow_wait_set *set,
                                                struct oxbow_waiter **out, void **user);
/* To be called in the transaction of an attempt, before it looks at the keys. */
void oxbow_wait_try(struct oxbow_waiter *waiter, struct oxbow_txn *txn);
/* The attempt found nothing: back in line, in the old place. */
void oxbow_wait_again(struct oxbow_waiter *waiter);
/* Leaves the line and frees the waiter. */
void oxbow_wait_remove(struct oxbow_waiter *waiter);

#ifdef __cplusplus
}
#endif

#endif
