/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists: sequences of byte strings, cheap at both ends.
 *
 * Each function is one Redis command, named beside it, with the semantics of Redis 7.0 to the edge
 * cases: indexes count from 0 at the left and from -1 at the right, a list comes with its first
 * element and is gone with its last, and a missing key reads as an empty list. A list holds up to
 * 2^60 elements of 0 to oxbow_config.entry_bytes bytes each. Pushes and pops at either end cost the
 * same however long the list is; an index is found in O(log n), or, once elements were inserted or
 * removed in the middle, in O(n) over packed chunks from the nearer end until the list has shrunk
 * to one chunk again.
 *
 * Results that are out-parameters are written on success only and may be NULL where that is said.
 * They must not be acted upon before the transaction's commit has returned OXBOW_OK. Elements are
 * copied into the caller's `struct oxbow_result`; a call that would put more than
 * OXBOW_LIST_RESULT_MAX bytes into it is OXBOW_ETOOBIG and has changed nothing.
 *
 * Every function can give, besides what is named at it:
 * OXBOW_EWRONGTYPE  the key holds something else than a list
 * OXBOW_EINVAL      a NULL where there must be none, a count or an end that makes no sense
 * OXBOW_ENOMEM, OXBOW_ECORRUPT, OXBOW_EIO
 * and those that write:
 * OXBOW_EREADONLY   a read-only transaction or store
 * OXBOW_EPROTECTED  a forward owns this side of the list (forward.h)
 * and those that add elements:
 * OXBOW_ETOOBIG     an element over entry_bytes, or a key over OXBOW_KEY_NAME_MAX
 * OXBOW_EFULL       the list's policy leaves no room (policy.h)
 * OXBOW_EQUOTA, OXBOW_ENOSPC, OXBOW_ETXNBIG
 * After EFULL, EINVAL, EWRONGTYPE, ENOENT, ERANGE, ETOOBIG, EQUOTA and EPROTECTED nothing has changed and
 * the transaction can go on; after any other error of a writing function it can only be aborted.
 */
#ifndef OXBOW_LIST_H
#define OXBOW_LIST_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_LIST_RESULT_MAX ((size_t)512 * 1024 * 1024) /* bytes of elements in one result */

enum oxbow_end { OXBOW_LEFT = 0, OXBOW_RIGHT = 1 };

/* LPUSH, RPUSH: adds the values one after the other at that end, so that after a push at the left
 * the last one is the first element. count is at least 1. *len (may be NULL) is the length after.
 */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_push(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                enum oxbow_end end,
                                                const struct oxbow_bytes *values, size_t count,
                                                uint64_t *len);

/* LPUSHX, RPUSHX: as oxbow_list_push when the list is there, else nothing and *len 0. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_push_existing(struct oxbow_txn *txn,
                                                         struct oxbow_bytes key, enum oxbow_end end,
                                                         const struct oxbow_bytes *values,
                                                         size_t count, uint64_t *len);

/* LPOP, RPOP with a count: takes up to `count` elements off that end into `result`, in the order in
 * which they came off. count 0 gives an empty result when the list is there. Never needs quota.
 * OXBOW_ENOENT: no such key (Redis: nil). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pop(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               enum oxbow_end end, size_t count,
                                               struct oxbow_result *result);

struct oxbow_list_pop_options {
    const struct oxbow_bytes *keys; /* at least one */
    size_t key_count;
    enum oxbow_end end;
    size_t count; /* elements at most; 0: 1 */
};

/* LMPOP: oxbow_list_pop on the first of the keys that is there; *which (may be NULL) is its index.
 * OXBOW_EWRONGTYPE when a key before it is not a list. OXBOW_ENOENT: none is there (Redis: nil). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pop_first(struct oxbow_txn *txn,
                                                     const struct oxbow_list_pop_options *opt,
                                                     size_t *which, struct oxbow_result *result);

/* LLEN: 0 for a missing key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               uint64_t *len);

/* LRANGE: the elements from index start to index stop, both included. Indexes out of range are
 * moved into it; an empty range and a missing key give an empty result. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t start, int64_t stop,
                                                 struct oxbow_result *result);

/* (No Redis command.) What oxbow_list_pop would give, without taking it: up to `count` elements
 * (0: no limit) and about `bytes` bytes (0: no limit), but one element at least. A missing key
 * gives an empty result. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_peek(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                enum oxbow_end end, uint64_t count, uint64_t bytes,
                                                struct oxbow_result *result);

/* LINDEX: one element into `result`. OXBOW_ENOENT: no such key, or no such index (Redis: nil). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_index(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t idx, struct oxbow_result *result);

/* LSET: replaces the element. OXBOW_ENOENT: no such key. OXBOW_ERANGE: no such index. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               int64_t idx, struct oxbow_bytes value);

/* LINSERT: puts `value` before or after the first element, from the left, that equals `pivot`.
 * *len (may be NULL): the length after, -1 when no element equals it, 0 when there is no such
 * key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_insert(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  bool before, struct oxbow_bytes pivot,
                                                  struct oxbow_bytes value, int64_t *len);

/* LREM: removes the elements that equal `value`: the first `count` from the left, the first -count
 * from the right when it is negative, all when it is 0. *removed (may be NULL) is how many. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  int64_t count, struct oxbow_bytes value,
                                                  uint64_t *removed);

/* LTRIM: keeps the elements from index start to index stop, both included; nothing of an empty
 * range. Fine when there is no such key. Costs by what is removed, one step a chunk; removing
 * everything is O(1). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_trim(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                int64_t start, int64_t stop);

/* LMOVE, RPOPLPUSH: takes an element off one end of `from`, adds it at an end of `to`, and gives it
 * in `result`. The two may be one list. Does not need quota, so that a full store can be drained by
 * consumers that work this way. OXBOW_ENOENT: no such key `from` (Redis: nil). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_move(struct oxbow_txn *txn, struct oxbow_bytes from,
                                                struct oxbow_bytes to, enum oxbow_end from_end,
                                                enum oxbow_end to_end, struct oxbow_result *result);

struct oxbow_list_pos_options {
    int64_t rank;    /* RANK: 0 and 1: from the first match on; 2: skip one; negative: the same from
                        the right. INT64_MIN is OXBOW_EINVAL */
    uint64_t maxlen; /* MAXLEN: elements compared at most; 0: all */
    size_t max;      /* room in `positions`; 0: 1 */
};

/* LPOS: the indexes (never negative) of up to opt->max elements that equal `value`, in the order
 * they were found, into `positions`; *found is how many. LPOS without COUNT is max 1; for COUNT 0
 * (all) call again with a rank beyond those had while *found is max. A missing key finds none.
 * `opt` may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pos(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct oxbow_bytes value,
                                               const struct oxbow_list_pos_options *opt,
                                               uint64_t *positions, size_t *found);

struct oxbow_list_info {
    uint64_t length;
    uint64_t bytes;    /* of elements */
    uint64_t first_ms; /* wall time when the chunk of the leftmost element was begun */
};

/* (No Redis command.) OXBOW_ENOENT: no such key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                struct oxbow_list_info *info);

#ifdef __cplusplus
}
#endif

#endif
