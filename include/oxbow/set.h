/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets: different members, in no order that means anything, under one key.
 *
 * Each function is one Redis command, named beside it, with the semantics of Redis 7.0 to the edge
 * cases: a set comes with its first member and is gone with its last, and a missing key reads as an
 * empty set. A small set is one record. A member is found in O(log n) whatever n is; members are 0 to
 * oxbow_config.entry_bytes bytes each.
 *
 * Results that are out-parameters are written on success only and may be NULL where that is said.
 * They must not be acted upon before the transaction's commit has returned OXBOW_OK. Members that are
 * read are copied into the caller's `struct oxbow_result` as items, in the order of their hashes, as
 * good as none; a call that would put more than OXBOW_SET_RESULT_MAX bytes into it is OXBOW_ETOOBIG.
 *
 * Every function can give, besides what is named at it:
 * OXBOW_EWRONGTYPE  a key holds something else than a set
 * OXBOW_EINVAL      a NULL where there must be none, a count or a choice that makes no sense
 * OXBOW_ENOMEM, OXBOW_ECORRUPT, OXBOW_EIO
 * and those that write:
 * OXBOW_EREADONLY   a read-only transaction or store
 * OXBOW_ETXNBIG     it changes more than one transaction holds (oxbow_config.txn_bytes: 18,000 members
 *                   in 16 MiB are added at least, 14,000 removed; of up to 300,000 any part): ask for
 *                   less at a time. All members at once are popped at any number
 * and those that add:
 * OXBOW_ETOOBIG     a member over entry_bytes, or a key over OXBOW_KEY_NAME_MAX
 * OXBOW_EQUOTA, OXBOW_ELEVEL (the store is of level 1: upgrade.h), OXBOW_ENOSPC
 * After EINVAL, EWRONGTYPE, ERANGE, EPROTECTED, ETOOBIG, EQUOTA and ELEVEL nothing has changed and the
 * transaction can go on; after any other error of a writing function it can only be aborted.
 */
#ifndef OXBOW_SET_H
#define OXBOW_SET_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_SET_RESULT_MAX ((size_t)512 * 1024 * 1024) /* bytes of one result */
#define OXBOW_SET_SCAN_MAX   10000u                      /* members asked for in one scan */
#define OXBOW_SET_RANDOM_MAX 16777216                    /* members asked for by chance */

/* SADD: count is at least 1. *added (may be NULL): members that were not there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              const struct oxbow_bytes *members, size_t count,
                                              uint64_t *added);
/* SREM. *removed (may be NULL): how many of the members were there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_bytes *members, size_t count,
                                                 uint64_t *removed);
/* SPOP: removes up to `count` members by chance and gives them; a missing key gives none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_pop(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              uint64_t count, struct oxbow_result *result);
/* SMOVE: *moved says whether the member was in `from`. It is in `to` afterwards then. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_move(struct oxbow_txn *txn, struct oxbow_bytes from,
                                               struct oxbow_bytes to, struct oxbow_bytes member,
                                               bool *moved);

/* SMEMBERS. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_all(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              struct oxbow_result *result);
/* SISMEMBER. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_has(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              struct oxbow_bytes member, bool *has);
/* SMISMEMBER: present[i] says whether members[i] is there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_has_many(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   const struct oxbow_bytes *members, size_t count,
                                                   bool *present);
/* SCARD. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_count(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                uint64_t *count);
/* SRANDMEMBER: count 0 or more: that many different members, or all there are; below 0: that many, with
 * repetitions. OXBOW_ERANGE: more than OXBOW_SET_RANDOM_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_random(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t count, struct oxbow_result *result);
/* SSCAN, in the order of hashes: start with *cursor 0; done when it is 0 again. About `count` members a
 * call (0: 10, as Redis' default; at most OXBOW_SET_SCAN_MAX). What is there from the first call to the
 * last is given once; cursors stay good for as long as the key lives, across restarts. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_scan(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               uint64_t *cursor, size_t count,
                                               struct oxbow_result *result);

/* ---- several sets ---- */

enum oxbow_set_op {
    OXBOW_SET_INTER = 0, /* members of all of them */
    OXBOW_SET_UNION = 1, /* of any of them */
    OXBOW_SET_DIFF = 2   /* of the first and of none of the others */
};

/* SINTER, SUNION, SDIFF of 1 or more keys. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_combine(struct oxbow_txn *txn, enum oxbow_set_op op,
                                                  const struct oxbow_bytes *keys, size_t count,
                                                  struct oxbow_result *result);
/* SINTERSTORE, SUNIONSTORE, SDIFFSTORE: the same is what `to` holds afterwards, whatever it held before
 * and be it one of the keys; no members: `to` is gone. *stored (may be NULL) is how many.
 * OXBOW_EPROTECTED: `to` is a queue that a forward has not delivered yet (forward.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_combine_store(struct oxbow_txn *txn,
                                                        struct oxbow_bytes to, enum oxbow_set_op op,
                                                        const struct oxbow_bytes *keys,
                                                        size_t count, uint64_t *stored);
/* SINTERCARD: how many members all of them have, counted no further than to `limit`; 0: all. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_inter_count(struct oxbow_txn *txn,
                                                      const struct oxbow_bytes *keys, size_t count,
                                                      uint64_t limit, uint64_t *found);

#ifdef __cplusplus
}
#endif

#endif
