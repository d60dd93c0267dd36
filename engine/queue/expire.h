/* SPDX-License-Identifier: Apache-2.0 */
/* Times to live of single entries: what streams ask of them. Promises: oxbow/expire.h. */
#ifndef OXBOW_QUEUE_EXPIRE_H
#define OXBOW_QUEUE_EXPIRE_H

#include "engine/store/kv.h"
#include "oxbow/expire.h"

/* An entry of a stream's object, and the name that it goes by. */
struct expire_entry {
    uint64_t object;
    struct oxbow_id id;
    struct oxbow_bytes name;
};

#define EXPIRE_RECORDS 160u /* bytes of the two records of an entry, its name apart */
/* Before an entry is given one, EXPIRE_RECORDS and the name being reserved: OXBOW_EINVAL,
 * OXBOW_ETOOBIG. Fine for ttl_ms 0. */
OXBOW_MUST_CHECK enum oxbow_err expire_check(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             uint64_t ttl_ms);
/* Gives it a time to live; 0 takes it away. */
OXBOW_MUST_CHECK enum oxbow_err expire_set(struct oxbow_txn *txn, const struct expire_entry *e,
                                           uint64_t ttl_ms);
/* Gives a copy of another object's entry, of the same id, what that has left, and does nothing where it
 * has no time to live. OXBOW_ETOOBIG, OXBOW_EQUOTA. */
OXBOW_MUST_CHECK enum oxbow_err expire_inherit(struct oxbow_txn *txn, uint64_t from,
                                               const struct expire_entry *to);
/* Takes them away from the object's entries from..to, which are gone. One comparison while nothing has a
 * time to live. */
OXBOW_MUST_CHECK enum oxbow_err expire_forget(struct oxbow_txn *txn, uint64_t object,
                                              struct oxbow_id from, struct oxbow_id to);
/* Whether some entry of the store has expired and is not gone yet: only then reads ask
 * expire_hides. One comparison while nothing has a time to live. */
OXBOW_MUST_CHECK enum oxbow_err expire_late(struct oxbow_txn *txn, bool *late);
/* Whether that entry is one. */
OXBOW_MUST_CHECK enum oxbow_err expire_hides(struct oxbow_txn *txn, uint64_t object,
                                             struct oxbow_id id, bool *hidden);
/* One bounded step of removing what has expired, for idle work. */
OXBOW_MUST_CHECK enum oxbow_err expire_step(struct oxbow_txn *txn, bool *more);

#endif
