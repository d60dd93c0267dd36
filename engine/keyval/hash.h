/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes from the inside: a table whose members are fields, of which some may have expired. */
#ifndef OXBOW_KEYVAL_HASH_H
#define OXBOW_KEYVAL_HASH_H

#include "engine/keyval/table.h"
#include "oxbow/hash.h"

/* As table_member_find; a field that has expired is not *found, but `e` is it, and the place is its.
 * e->size is 0 when there is none. */
OXBOW_MUST_CHECK enum oxbow_err hash_field_find(struct table *t, struct oxbow_bytes field,
                                                struct btree_place *p, struct btree_entry *e,
                                                bool *found);
/* How long a field that is there still has. */
#define HASH_FOR_EVER UINT64_MAX
OXBOW_MUST_CHECK enum oxbow_err hash_left(struct table *t, const struct btree_entry *e,
                                          uint64_t *left_ms);
/* oxbow_hash_set; with `keep` fields that are there keep their deadlines. */
OXBOW_MUST_CHECK enum oxbow_err hash_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                                         const struct oxbow_field *fields, size_t count, bool keep,
                                         uint64_t *added);

#endif
