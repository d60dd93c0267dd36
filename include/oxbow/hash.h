/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes: fields with values, under one key.
 *
 * Each function is one Redis command, named beside it, with the semantics of Redis 7.0 to the edge
 * cases: a hash comes with its first field and is gone with its last, and a missing key reads as an
 * empty hash. A small hash is one record. A field is found in O(log n) whatever n is; fields and
 * values are 0 to oxbow_config.entry_bytes bytes each.
 *
 * A field may have a time to live (hash_expire.h): when that is over it is there for nobody, but that
 * oxbow_hash_count and oxbow_hash_delete count it until it was removed.
 *
 * Results that are out-parameters are written on success only and may be NULL where that is said.
 * They must not be acted upon before the transaction's commit has returned OXBOW_OK. What is read is
 * copied into the caller's `struct oxbow_result`, as items; a call that would put more than
 * OXBOW_HASH_RESULT_MAX bytes into it is OXBOW_ETOOBIG. Fields come in the order of their hashes, as
 * good as none.
 *
 * Every function can give, besides what is named at it:
 * OXBOW_EWRONGTYPE  the key holds something else than a hash
 * OXBOW_EINVAL      a NULL where there must be none, a count that makes no sense
 * OXBOW_ENOMEM, OXBOW_ECORRUPT, OXBOW_EIO
 * and those that write:
 * OXBOW_EREADONLY   a read-only transaction or store
 * OXBOW_ETOOBIG     a field or value over entry_bytes, or a key over OXBOW_KEY_NAME_MAX
 * OXBOW_EQUOTA, OXBOW_ELEVEL (the store is of level 1: upgrade.h), OXBOW_ENOSPC, OXBOW_ETXNBIG
 * After EINVAL, EWRONGTYPE, ENOENT, ERANGE, EPARSE, ETOOBIG, EQUOTA and ELEVEL nothing has changed and
 * the transaction can go on; after any other error of a writing function it can only be aborted.
 */
#ifndef OXBOW_HASH_H
#define OXBOW_HASH_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_HASH_RESULT_MAX ((size_t)512 * 1024 * 1024) /* bytes of one result */
#define OXBOW_HASH_SCAN_MAX   10000u                      /* fields asked for in one scan */
#define OXBOW_HASH_RANDOM_MAX 16777216                    /* fields asked for by chance */

/* HSET, HMSET: sets each field to its value, in the order given; count is at least 1. *added (may be
 * NULL): fields that were not there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               const struct oxbow_field *fields, size_t count,
                                               uint64_t *added);
/* HSETNX: sets a field that is not there; *set says whether it did. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_set_new(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   struct oxbow_bytes field,
                                                   struct oxbow_bytes value, bool *set);
/* HDEL. *deleted (may be NULL): how many of the fields were there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_bytes *fields, size_t count,
                                                  uint64_t *deleted);
/* HINCRBY: adds to the whole number that the field holds, 0 if it is not there; *value (may be NULL)
 * is the sum. OXBOW_EPARSE: it holds no 64-bit whole number. OXBOW_ERANGE: the sum is none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct oxbow_bytes field, int64_t by,
                                               int64_t *value);
/* HINCRBYFLOAT: as oxbow_string_add_float; result->items[0] is the sum. OXBOW_EPARSE: the field or the
 * increment is not a number. OXBOW_ERANGE: the sum is not finite. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_add_float(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     struct oxbow_bytes field,
                                                     struct oxbow_bytes by,
                                                     struct oxbow_result *result);

/* HGET: the value is result->items[0]. OXBOW_ENOENT: no such field, or no such key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct oxbow_bytes field,
                                               struct oxbow_result *result);
/* HMGET: an item for each field, in the order asked for; present[i] says whether it is there, if not
 * its item is empty. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_get_many(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_bytes *fields, size_t count,
                                                    bool *present, struct oxbow_result *result);

enum oxbow_hash_what {
    OXBOW_HASH_FIELDS = 1, /* each field is an item */
    OXBOW_HASH_VALUES = 2, /* each value is one */
    OXBOW_HASH_BOTH = 3    /* a field, its value, the next field, ... */
};

/* HGETALL, HKEYS, HVALS. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_get_all(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   enum oxbow_hash_what what,
                                                   struct oxbow_result *result);
/* HEXISTS. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_has(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct oxbow_bytes field, bool *has);
/* HLEN. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_count(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *count);
/* HSTRLEN, without reading the value: 0 also when there is no such field. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_value_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     struct oxbow_bytes field, uint64_t *len);
/* HSCAN, in the order of hashes: start with *cursor 0; done when it is 0 again. About `count` fields a
 * call (0: 10, as Redis' default; at most OXBOW_HASH_SCAN_MAX). As Redis promises: what is there from
 * the first call to the last is given, here exactly once, whatever comes or goes meanwhile. Cursors
 * stay good for as long as the key lives, across restarts. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_scan(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                uint64_t *cursor, size_t count,
                                                struct oxbow_result *result);
/* HRANDFIELD: count 0 or more: that many different fields, or all there are, in no order that means
 * anything; below 0: that many, with repetitions. OXBOW_ERANGE: more than OXBOW_HASH_RANDOM_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_random(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  int64_t count, enum oxbow_hash_what what,
                                                  struct oxbow_result *result);

#ifdef __cplusplus
}
#endif

#endif
