/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings: a key with one value, as Redis' SET and GET (semantics of Redis 7.0).
 *
 * What a program keeps beside its queues: how far it has come, a sum, a setting. A value changes in
 * the same transaction as the queues that it tells of, so the two never disagree (docs/CONSUMERS.md,
 * "Exactly once"). DEL, RENAME, TYPE and SCAN are those of every key: key.h.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. Besides the errors named, all give OXBOW_EINVAL (a
 * NULL where none is allowed), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT.
 */
#ifndef OXBOW_STRING_H
#define OXBOW_STRING_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* SET. The key holds the value, which may be empty; what it held before is gone, of whatever type it
 * was. Refused, and nothing is changed:
 * OXBOW_ETOOBIG    a value over the store's entry_bytes, a name over OXBOW_KEY_NAME_MAX
 * OXBOW_EPROTECTED the key is a queue that a forward has not delivered yet (forward.h)
 * OXBOW_EQUOTA, OXBOW_EREADONLY, OXBOW_ELEVEL (the store is of level 1: upgrade.h) */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_bytes value);
/* GET. The value is result->items[0]. OXBOW_ENOENT: no such key; OXBOW_EWRONGTYPE: it holds something
 * else. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_result *result);
/* STRLEN, without reading the value: 0 also when there is no such key. OXBOW_EWRONGTYPE. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *len);

#ifdef __cplusplus
}
#endif

#endif
