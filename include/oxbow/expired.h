/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keys have expired (oxbow_key_expire of key.h), and of which hashes fields have (hash_expire.h),
 * for who tells others of it.
 *
 * A key that has expired is gone for everybody at once; it is removed, and told here, with the first
 * write to its name or by the store's idle work, within milliseconds. The names are kept in memory from
 * the call of oxbow_expired_watch on, at most as many bytes of them as were asked for: what comes when
 * that is full is counted and lost. There is one such memory to a store, for one who takes from it.
 * Nothing of it survives the store's closing.
 *
 * Every function here works inside a transaction of oxbow.h, also one that only reads, and is called by
 * the thread that holds it. What was taken stays taken if the transaction is aborted.
 */
#ifndef OXBOW_EXPIRED_H
#define OXBOW_EXPIRED_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_EXPIRED_BYTES_MIN 256u
#define OXBOW_EXPIRED_BYTES_MAX (64u * 1024u * 1024u)

enum oxbow_expired_what {
    OXBOW_EXPIRED_KEY = 0, /* the key */
    OXBOW_EXPIRED_FIELDS =
        1, /* fields of the hash of that name, told once for those that went together */
    OXBOW_EXPIRED_HASH = 2 /* the last ones that it had, and so it went with them */
};

struct oxbow_expired {
    uint32_t database;
    enum oxbow_expired_what what;
    uint64_t lost; /* how many more have expired and were not kept, since that was told last */
};

/* Keeps the names of keys that expire from now on, in at most `bytes` of memory (5 more than its length
 * for a name); what is kept already is forgotten. 0: keeps none any more. The port's event (oxbow.h)
 * is set when there is something new. OXBOW_EINVAL: out of the bounds above; OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_expired_watch(struct oxbow_txn *txn, size_t bytes);
/* Takes the oldest that is kept: name->items[0] is the key. OXBOW_ENOENT: there is none; out->lost is
 * set all the same. OXBOW_ENOMEM: it was not taken. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_expired_next(struct oxbow_txn *txn, struct oxbow_expired *out,
                                                   struct oxbow_result *name);
/* How many keys have expired and were removed since the store was opened, watched or not. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_expired_count(struct oxbow_txn *txn, uint64_t *count);
/* Likewise fields of hashes. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_expired_fields(struct oxbow_txn *txn, uint64_t *count);
/* How many keys of the transaction's database have expired and were not removed yet: what DBSIZE counts
 * and SCAN does not give. It looks at each. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_expired_waiting(struct oxbow_txn *txn, uint64_t *count);

#ifdef __cplusplus
}
#endif

#endif
