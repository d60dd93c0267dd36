/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that an entry of a counted tree has, be they in the entry itself or, when they are long,
 * outside of it: a record of the object's own up to OUTSIDE_OWN_MAX, a blob beyond that.
 */
#ifndef OXBOW_KEYVAL_OUTSIDE_H
#define OXBOW_KEYVAL_OUTSIDE_H

#include "engine/base/buf.h"
#include "engine/base/result.h"
#include "engine/store/catalog.h"

#define OUTSIDE_OWN_MAX ((uint64_t)64 * 1024)
#define OUTSIDE_KIND    (OBJECT_KIND_TYPE + 2) /* be64 number: the bytes */

struct btree_ref {
    const void *data; /* inline; borrowed. Meaningless when id is not 0 */
    uint64_t len;
    uint64_t id; /* 0: inline. Else its record's number, or its blob */
};

/* Writes long bytes outside. `number` is one that the object has never used. */
OXBOW_MUST_CHECK enum oxbow_err outside_write(struct oxbow_txn *txn, uint64_t object,
                                              struct oxbow_bytes bytes, uint64_t number,
                                              struct btree_ref *out);
/* Deletes what lies outside; nothing of what is inline. */
OXBOW_MUST_CHECK enum oxbow_err outside_delete(struct oxbow_txn *txn, uint64_t object,
                                               const struct btree_ref *ref);
/* Adds the bytes to a result as an item. OXBOW_ETOOBIG, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err outside_item(struct oxbow_txn *txn, uint64_t object,
                                             const struct btree_ref *ref, struct oxbow_result *r);
/* Copies the first `len` bytes (at most ref->len) to buf. */
OXBOW_MUST_CHECK enum oxbow_err outside_copy(struct oxbow_txn *txn, uint64_t object,
                                             const struct btree_ref *ref, void *buf, size_t len);
/* The bytes as they are; borrowed until the next write, or until scratch is used again: a blob is read
 * into that. */
OXBOW_MUST_CHECK enum oxbow_err outside_peek(struct oxbow_txn *txn, uint64_t object,
                                             const struct btree_ref *ref, struct buf *scratch,
                                             struct oxbow_bytes *out);
/* *order is below, at or above 0 as the bytes are before, equal to or after the ref's. */
OXBOW_MUST_CHECK enum oxbow_err outside_compare(struct oxbow_txn *txn, uint64_t object,
                                                struct oxbow_bytes bytes,
                                                const struct btree_ref *ref, int *order);
/* The same of a ref that is inline. */
int inline_compare(struct oxbow_bytes bytes, const struct btree_ref *ref);

#endif
