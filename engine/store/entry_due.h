/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the deadlines of an object's entries are written down, and how they go with what they are of:
 * an entry that is removed early, and an object that is reaped. What a deadline means is said in
 * engine/queue/expire.c.
 */
#ifndef OXBOW_STORE_ENTRY_DUE_H
#define OXBOW_STORE_ENTRY_DUE_H

#include "engine/base/id.h"
#include "engine/store/kv.h"

#define ENTRY_SPOT_KEY 34u

/* The key of an entry's deadline: its value begins with le64 deadline. */
struct oxbow_bytes entry_due_key(uint8_t out[KV_KEY_MAX], uint64_t object, struct oxbow_id id);
/* The key of its place in the order of time. */
struct oxbow_bytes entry_due_spot(uint8_t out[ENTRY_SPOT_KEY], uint64_t deadline, uint64_t object,
                                  struct oxbow_id id);
/* Deletes both of those of the object's entries from..to that have a deadline, and of at most `max`
 * entries; *more: some are left. What cannot be read stays until its time comes, when it means
 * nothing: that is no error. */
OXBOW_MUST_CHECK enum oxbow_err entry_due_forget(struct oxbow_txn *txn, uint64_t object,
                                                 struct oxbow_id from, struct oxbow_id to,
                                                 size_t max, bool *more);

#endif
