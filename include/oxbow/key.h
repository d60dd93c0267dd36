/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a key whatever its type. */
#ifndef OXBOW_KEY_H
#define OXBOW_KEY_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

/* Values are stored: never renumbered. */
enum oxbow_type {
    OXBOW_TYPE_NONE = 0,
    OXBOW_TYPE_LIST = 1,
    OXBOW_TYPE_STREAM = 2,
    OXBOW_TYPE_STRING = 3,
    OXBOW_TYPE_HASH = 4,
    OXBOW_TYPE_SET = 5,
    OXBOW_TYPE_ZSET = 6
};

OXBOW_MUST_CHECK enum oxbow_err oxbow_key_type(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               enum oxbow_type *type);
/* DEL of one key: O(1), its content is reaped in the background. *existed may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 bool *existed);
/* RENAME, or RENAMENX with `only_new` (then OXBOW_EEXIST if `to` is there). OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_rename(struct oxbow_txn *txn, struct oxbow_bytes from,
                                                 struct oxbow_bytes to, bool only_new);
/* SCAN: names into result->items, in the order of their hashes. Start with *cursor 0; done when it
 * is 0 again. About `count` names a call, never an unbounded number. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_scan(struct oxbow_txn *txn, uint64_t *cursor,
                                               size_t count, struct oxbow_result *result);
/* Number of keys in the transaction's database (DBSIZE). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_count(struct oxbow_txn *txn, uint64_t *count);
/* FLUSHDB: O(1). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_flush(struct oxbow_txn *txn);
/* SWAPDB: O(1). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b);

#endif
