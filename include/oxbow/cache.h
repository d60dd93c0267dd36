/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases that are caches: they are kept in memory alone, never touch the device, and are empty when
 * the store is opened. What is in them costs no flash and nothing of the store's quota; a limit of its
 * own says how much memory they may take together, and a policy what goes when it is reached.
 *
 * Which databases are caches is said at open (oxbow_config.cache_databases) and holds until the store is
 * closed. A database that has keys on the device cannot become one, nor one that forwards, policies,
 * bindings, schedules or delayed entries speak of: oxbow_open refuses (OXBOW_EEXIST) and says which. Everything that a transaction does in a cache it does as elsewhere, and
 * with what it does in other databases: all of it or nothing; but a commit that changed caches alone has
 * no LSN of its own and waits for nothing (while the wall clock is not believed, the first deadline that
 * is given in an opening, in a cache as elsewhere, has one record written). What is about a queue's survival has no meaning there and is
 * OXBOW_ENOTSUP: policies, groups with options, delayed and scheduled entries, entries with a time to
 * live or a priority, bindings, forwards, patrols, stand-ins. SWAPDB (oxbow_key_swap) of a cache with a
 * database that is none is OXBOW_ENOTSUP too; oxbow_key_move and oxbow_key_copy go between them.
 *
 * Eviction: values of caches go, by the policy, when they take more than the limit: strings, hashes and
 * sets, never lists, streams and sorted sets, which are queues to those who use them. Whoever adds to a
 * cache calls oxbow_cache_evict before; a transaction that did may then pass the limit by an eighth, so
 * that what it has begun is not cut in the middle. Who refuses what adds as soon as the limit is passed, as
 * Redis does, asks oxbow_cache_stat. What does not fit is OXBOW_EQUOTA, and deleting
 * works. The policies are those of Redis' maxmemory-policy.
 */
#ifndef OXBOW_CACHE_H
#define OXBOW_CACHE_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of which keys the next to go is chosen, and how. "Least recently" and "least often used" are
 * estimates: the best of a few keys chosen by chance. */
enum oxbow_evict {
    OXBOW_EVICT_NONE,           /* noeviction: nothing goes, what does not fit is refused */
    OXBOW_EVICT_ALLKEYS_LRU,    /* the least recently used */
    OXBOW_EVICT_ALLKEYS_LFU,    /* the least often used */
    OXBOW_EVICT_ALLKEYS_RANDOM, /* any */
    OXBOW_EVICT_VOLATILE_LRU,   /* the same, among keys with a deadline alone */
    OXBOW_EVICT_VOLATILE_LFU,
    OXBOW_EVICT_VOLATILE_RANDOM,
    OXBOW_EVICT_VOLATILE_TTL /* the one that expires first */
};

#define OXBOW_EVICT_SAMPLES_MAX 64u

struct oxbow_cache_limit {
    uint64_t bytes; /* that all caches may take together; 0: no limit */
    enum oxbow_evict evict;
    uint32_t samples; /* keys that are compared to find the next to go; 0: 5; at most
                              OXBOW_EVICT_SAMPLES_MAX */
};

struct oxbow_cache_stat {
    uint32_t databases; /* that are caches, a bit each */
    struct oxbow_cache_limit limit;
    uint64_t bytes;      /* that they take, with what it costs to find their keys */
    uint64_t bytes_peak; /* the most since the store was opened */
    uint64_t evicted;    /* keys, since then */
};

/* From any thread, while no transaction of the calling thread is open. OXBOW_EINVAL: an unknown policy,
 * too many samples. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_cache_limit_set(struct oxbow *db,
                                                      const struct oxbow_cache_limit *limit);
/* By the thread that holds a transaction of the store. */
void oxbow_cache_stat(const struct oxbow_txn *txn, struct oxbow_cache_stat *out);
/* Removes keys of caches, as the policy says, until they take less than the limit, at most `max` keys;
 * *more: the limit is still passed, and there may be more to remove. `gone` (may be NULL) is called after
 * each key, in whose database the transaction then is; its error ends it. Afterwards the transaction is
 * in its own database. With no limit, or below it, it does nothing. A change to several keys, one of
 * which might go, is begun after it: it evicts what it likes. OXBOW_EREADONLY. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_cache_evict(struct oxbow_txn *txn, size_t max,
                  enum oxbow_err (*gone)(void *ctx, uint32_t database, struct oxbow_bytes key),
                  void *ctx, bool *more);
/* How long the key was not used, in ms, and how often it is, from 0 to 255 on a logarithmic scale that
 * sinks by one with each minute without use: of a key in a cache. Asking is no use. OXBOW_ENOENT;
 * OXBOW_ENOTSUP: the database is no cache. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_cache_use(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                uint64_t *idle_ms, uint32_t *frequency);

#ifdef __cplusplus
}
#endif

#endif
