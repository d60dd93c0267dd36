/* SPDX-License-Identifier: Apache-2.0 */
/* Strings inside the engine: a key's value read, replaced and patched. Promises: oxbow/string.h. */
#ifndef OXBOW_QUEUE_STRING_H
#define OXBOW_QUEUE_STRING_H

#include "engine/base/buf.h"
#include "engine/queue/mend.h"
#include "engine/store/catalog.h"
#include "oxbow/string.h"

#define STRING_INLINE_MAX ((size_t)64 * 1024) /* bytes of a value that is in its record */

/* A key and the string that it holds, as of string_find. */
struct string {
    struct oxbow_txn *txn;
    struct oxbow_bytes key;
    struct object object;     /* id 0: there is no such key */
    bool other;               /* it holds something else */
    struct oxbow_bytes value; /* of one that is inline; borrowed until the next write */
    uint64_t blob;            /* 0: it is inline */
    uint64_t len;
};

/* A key that is not there is fine: its object's id is 0, its value empty. OXBOW_EINVAL (a key without
 * bytes), OXBOW_EWRONGTYPE. */
OXBOW_MUST_CHECK enum oxbow_err string_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                                            struct string *out);
/* Reads `len` bytes from `pos`; what lies behind the end is zeros. */
OXBOW_MUST_CHECK enum oxbow_err string_read(const struct string *s, uint64_t pos, void *buf,
                                            size_t len);
/* Appends the whole value to a buffer. */
OXBOW_MUST_CHECK enum oxbow_err string_load(const struct string *s, struct buf *out);
/* Before a value of that length is written: OXBOW_EREADONLY, OXBOW_ETOOBIG, OXBOW_EQUOTA, OXBOW_ELEVEL;
 * the transaction is as it was. */
OXBOW_MUST_CHECK enum oxbow_err string_admit(const struct string *s, uint64_t len);
/* Replaces the value, and makes the key if need be; a time to live stays. */
OXBOW_MUST_CHECK enum oxbow_err string_put(struct string *s, struct oxbow_bytes value);
/* Writes bytes at `pos`; between the end and that come zeros. string_admit was called. A short value is
 * patched in place, a long one written anew. */
OXBOW_MUST_CHECK enum oxbow_err string_patch(struct string *s, uint64_t pos,
                                             struct oxbow_bytes bytes);

/* A span of `len` bytes or bits: negative ends count from behind, what lies outside is
 * cut off. False: nothing is left. */
bool string_span(uint64_t len, int64_t from, int64_t to, uint64_t *first, uint64_t *last);

/* A string after a salvage: one whose value is lost goes, and is on record so. */
OXBOW_MUST_CHECK enum oxbow_err mend_string(struct mend_object *o);

#endif
