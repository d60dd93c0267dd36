/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order by key inside a group (group_options.h, key_field): which consumer the entries of a key are
 * with, and which of them wait.
 *
 * Every pending entry that has a key says so in its note (group_due.h) and stands in the key's line
 * (KEY_LINE), which is in the order of ids. The key's record (KEY) counts them:
 *
 *   0      4       8           16
 *   +------+-------+-----------+-------+
 *   | form | owner | delivered | total |    little endian; delivered: le64, total: le64
 *   +------+-------+-----------+-------+
 *
 * 1. All entries of a key that are with a consumer are with `owner`, but for what was claimed.
 * 2. What is neither with a consumer nor resting is held: it is not due, until all that was
 *    delivered of the key has come back and it is the first of the line.
 */
#ifndef OXBOW_QUEUE_GROUP_KEY_H
#define OXBOW_QUEUE_GROUP_KEY_H

#include "engine/queue/group.h"

#define KEY_FIELD_MAX 255u

/* The key's hash, never 0. */
uint64_t key_hash(struct oxbow_bytes field, struct oxbow_bytes value);

/* Whether a new entry of the key can go to the consumer at once. */
OXBOW_MUST_CHECK enum oxbow_err key_admits(struct group *g, uint64_t key, uint32_t consumer,
                                           bool *admits);
/* A new entry is pending, with a consumer or (0) held. */
OXBOW_MUST_CHECK enum oxbow_err key_add(struct group *g, uint64_t key, struct oxbow_id id,
                                        uint32_t consumer);
/* An entry that is due wants to go to the consumer: *may say whether it is its turn. If not it is
 * held, or was made so. */
OXBOW_MUST_CHECK enum oxbow_err key_turn(struct pending_table *t, const struct pending *p,
                                         uint64_t key, uint32_t consumer, bool *may);
/* An entry that was with `old` (0: nobody) is with the consumer (0: nobody). */
OXBOW_MUST_CHECK enum oxbow_err key_passed(struct group *g, uint64_t key, uint32_t old,
                                           uint32_t consumer);
/* An entry that was with `old` (0: nobody) is pending no more. */
OXBOW_MUST_CHECK enum oxbow_err key_removed(struct group *g, uint64_t key, struct oxbow_id id,
                                            uint32_t old);
/* After a salvage: forgets all keys; what was held is due. */
OXBOW_MUST_CHECK enum oxbow_err key_mend(struct group *g);

#endif
