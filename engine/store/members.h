/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the merge of stand-ins (engine/queue/merge.h) asks of hashes, sets and sorted sets, which are
 * engine/keyval's: engine/queue does not link that, so it comes with the configuration.
 *
 * A batch is the members of a key from the first to one of a certain order, by their hashes in the
 * stand-in. What expires there meanwhile is not there any more and changes nothing else of it.
 */
#ifndef OXBOW_STORE_MEMBERS_H
#define OXBOW_STORE_MEMBERS_H

#include "engine/store/store.h"
#include "oxbow/key.h"
#include "oxbow/members.h"

struct members_batch {
    enum oxbow_type type;
    struct oxbow_bytes key; /* in the stand-in */
    struct oxbow_bytes to;  /* in the store */
    uint64_t upto;          /* the order of the last one */
};

struct oxbow_members {
    /* Where the next batch ends: after `most` members (1 or more) or about so many bytes; those that
     * share an order come together. *count 0: there is none, or no such key. */
    enum oxbow_err (*look)(struct oxbow_txn *from, struct members_batch *b, size_t most,
                           uint64_t bytes, size_t *count);
    /* Adds it to the store; *gone: members of it that have expired and were not added. Errors are those
     * of oxbow_hash_set, oxbow_set_add, oxbow_zset_add: OXBOW_EWRONGTYPE where `to` is another type. */
    enum oxbow_err (*put)(struct oxbow_txn *from, const struct members_batch *b,
                          struct oxbow_txn *to, size_t *gone);
    /* Removes it from the stand-in. */
    enum oxbow_err (*take)(struct oxbow_txn *from, const struct members_batch *b);
};

#endif
