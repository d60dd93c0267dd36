/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the databases that are caches (include/oxbow/cache.h): what kv.h does with keys that have
 * KV_CACHE in their first byte, and who of them goes when there are too many. Beside a table of changes
 * (memtable.h) it differs in that nothing lies below it and nothing is written from it: an entry that is
 * deleted goes with its memory when the transaction ends. For engine/store alone; all with the turn.
 */
#ifndef OXBOW_STORE_CACHE_H
#define OXBOW_STORE_CACHE_H

#include "engine/store/kv.h"
#include "engine/store/memtable.h"
#include "engine/store/undo.h"
#include "oxbow/cache.h"

#define CACHE_POOL    16u
#define CACHE_KEY_MAX 20u /* of a name's record */
#define CACHE_TICK_MS 10u

/* A candidate: the key of a name's record. */
struct cache_pick {
    uint8_t key[CACHE_KEY_MAX];
    uint64_t score; /* the higher, the sooner it goes */
};

struct cache {
    uint32_t databases; /* a bit each; constant. None of what follows is used without one */
    struct memtable table;
    struct undo_log undo;
    struct mem_entry *listed; /* made or deleted in this transaction: they may have to go */
    uint64_t next_id;
    struct oxbow_cache_limit limit;
    uint64_t peak;
    uint64_t evicted;
    uint64_t evicted_new; /* in this transaction */
    uint64_t grace;       /* by which this transaction may pass the limit */
    uint64_t dice;
    struct cache_pick pool[CACHE_POOL]; /* the best that were met and have not gone */
    size_t pooled;
    uint8_t
        sweep[CACHE_KEY_MAX]; /* where a walk over all names goes on that finds what dice do not */
    uint32_t tick;            /* now; good while `told` */
    bool told;
    bool unseen; /* look-ups are no use of what they find */
};

OXBOW_MUST_CHECK enum oxbow_err cache_init(struct cache *c, const struct oxbow_alloc *alloc,
                                           uint32_t databases,
                                           const struct oxbow_cache_limit *limit);
void cache_fini(struct cache *c);
/* An id for an object, a database or a blob; it need not be given back. */
uint64_t cache_id(struct cache *c);

static inline bool cache_has(struct oxbow_bytes key)
{
    return (((const uint8_t *)key.data)[0] & KV_CACHE) != 0;
}

/* As kv.h says for each; the keys are such that cache_has. */
OXBOW_MUST_CHECK enum oxbow_err cache_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                          struct oxbow_bytes *value);
OXBOW_MUST_CHECK enum oxbow_err cache_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                                          struct oxbow_bytes value);
OXBOW_MUST_CHECK enum oxbow_err cache_patch(struct oxbow_txn *txn, struct oxbow_bytes key,
                                            size_t pos, struct oxbow_bytes bytes);
OXBOW_MUST_CHECK enum oxbow_err cache_del(struct oxbow_txn *txn, struct oxbow_bytes key);
/* Large values are values like others, under an id of their own. */
OXBOW_MUST_CHECK enum oxbow_err cache_blob_write(struct oxbow_txn *txn, struct oxbow_bytes data,
                                                 uint64_t *blob);
OXBOW_MUST_CHECK enum oxbow_err cache_blob_read(struct oxbow_txn *txn, uint64_t blob, uint64_t pos,
                                                void *buf, size_t len);
OXBOW_MUST_CHECK enum oxbow_err cache_blob_delete(struct oxbow_txn *txn, uint64_t blob);
/* OXBOW_EQUOTA: `bytes` more would pass the limit, or in a transaction that has evicted what it could, by
 * more than its grace. */
OXBOW_MUST_CHECK enum oxbow_err cache_reserve(const struct oxbow_txn *txn, size_t bytes);

/* The transaction is over: what it did stays, or is taken back. */
void cache_settle(struct oxbow *db, bool commit);

/* OXBOW_EINVAL: no store can be opened so. */
OXBOW_MUST_CHECK enum oxbow_err cache_check(const struct oxbow_config *config);
/* Bytes that the caches take. */
uint64_t cache_bytes(const struct cache *c);
/* How long an entry was not used, in units of 10 ms, and how often it is. */
uint32_t cache_idle(struct oxbow_txn *txn, const struct mem_entry *e);
uint32_t cache_often(struct oxbow_txn *txn, const struct mem_entry *e);
/* Whether it is the key of a name in a cache's catalog. */
bool cache_is_name(struct oxbow_bytes key);
/* xorshift64: who goes is not worth more. */
uint64_t cache_roll(struct cache *c);

#endif
