/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog: names to objects, per database.
 *
 * A database number maps to a database id, a name's 64-bit hash within it to the object. DEL,
 * RENAME, FLUSHDB and SWAPDB touch only the catalog; what an object leaves behind is reaped in
 * bounded steps by the store's idle hook.
 */
#ifndef OXBOW_STORE_CATALOG_H
#define OXBOW_STORE_CATALOG_H

#include "engine/store/kv.h"
#include "oxbow/key.h"

struct object {
    uint64_t id; /* never reused; all its keys begin with KV_SPACE_OBJECT, be64 id */
    enum oxbow_type type;
};

/* OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_find(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             struct object *out);
/* Finds an object of that type: OXBOW_ENOENT, or OXBOW_EWRONGTYPE when it is of another. */
OXBOW_MUST_CHECK enum oxbow_err catalog_find_typed(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   enum oxbow_type type, struct object *out);
/* Finds or makes one; *made says which. OXBOW_EWRONGTYPE. */
OXBOW_MUST_CHECK enum oxbow_err catalog_open(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             enum oxbow_type type, struct object *out, bool *made);
/* Removes the name and queues the object's content for reaping. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_remove(struct oxbow_txn *txn, struct oxbow_bytes name);

/* Builds KV_SPACE_OBJECT, be64 id, kind, tail into out; returns the length. */
size_t object_key(uint8_t out[KV_KEY_MAX], uint64_t id, uint8_t kind, const void *tail,
                  size_t tail_len);

#endif
