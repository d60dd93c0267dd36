/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks of ids that the index of priorities is made of, for those who read and write it.
 *
 *   0      1      2      4
 *   +------+------+------+----------------------------------------------------
 *   | form | zero | dead | varint 2 x ms delta + dead, varint seq (delta) ...     little endian
 *   +------+------+------+----------------------------------------------------
 *
 * The key has the priority and the first id. Deltas count from the id before, the first from the
 * key's; seq is a delta when that of ms is 0, and the seq itself otherwise. `dead` counts the ids that
 * are marked so.
 */
#ifndef OXBOW_QUEUE_PRIORITY_WALK_H
#define OXBOW_QUEUE_PRIORITY_WALK_H

#include "engine/queue/priority.h"

#define INDEX_FORMAT 1u
#define INDEX_HEADER 4u
#define INDEX_MAX    1000u /* bytes of a chunk: what a look-up may have to read */

/* The key of the chunk that begins with an id. */
struct oxbow_bytes index_key(uint8_t out[KV_KEY_MAX], const struct stream *s, uint8_t level,
                             struct oxbow_id id);
/* Whether it is a key of the stream and priority of another one. */
bool index_key_like(struct oxbow_bytes key, const uint8_t *want);
/* The id in such a key. */
struct oxbow_id index_base(struct oxbow_bytes key);

/* OXBOW_ECORRUPT: that is no chunk. */
OXBOW_MUST_CHECK enum oxbow_err index_check(struct oxbow_bytes chunk);
/* Steps to the next id of a chunk: *id is the one before it, or the base while there is not `any`, and
 * *pos where it stands, INDEX_HEADER at first. OXBOW_ENOENT at the end, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err index_step(struct oxbow_bytes chunk, size_t *pos, bool any,
                                           struct oxbow_id *id, bool *dead);

#endif
