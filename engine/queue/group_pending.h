/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending entries as bytes. No store, no transaction. What comes from a disk is checked.
 *
 * A chunk holds up to PENDING_RECORDS records of one group, ids growing:
 *
 *   0      1      2           8               16        32         64
 *   +------+------+-----------+---------------+---------+----------+----------+----
 *   | form | zero | oldest 48 | consumer mask | alive   | record 0 | record 1 | ...
 *   +------+------+-----------+---------------+---------+----------+----------+----
 *
 *   record   0       8        16         20       26            32
 *            +-------+--------+----------+--------+-------------+
 *            | id ms | id seq | consumer | age 48 | deliveries 48         all little endian
 *            +-------+--------+----------+--------+-------------+
 *
 * alive has a bit per record, lowest first: an ack clears it. oldest is at or below every record's
 * age, the mask has the bit (number modulo 64) of every consumer that has one: both only say where
 * there is nothing to be found.
 */
#ifndef OXBOW_QUEUE_GROUP_PENDING_H
#define OXBOW_QUEUE_GROUP_PENDING_H

#include "engine/queue/group.h"

#define PENDING_HEADER  32u
#define PENDING_RECORD  32u
#define PENDING_RECORDS ((PENDING_CHUNK_BYTES - PENDING_HEADER) / PENDING_RECORD)

#define PENDING_AT_ALIVE 16u

/* A chunk's bytes, checked. */
struct pending_view {
    const uint8_t *data;
    size_t count; /* records, dead ones included */
};

/* OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err pending_view_init(struct pending_view *v, struct oxbow_bytes chunk);
bool pending_view_alive(const struct pending_view *v, size_t idx);
/* Whether no record but `idx` is alive (SIZE_MAX: none at all). */
bool pending_view_only(const struct pending_view *v, size_t idx);
struct oxbow_id pending_view_id(const struct pending_view *v, size_t idx);
void pending_view_get(const struct pending_view *v, size_t idx, struct pending *out);
/* The first record at or above the id; count when there is none. */
size_t pending_view_search(const struct pending_view *v, struct oxbow_id id);
uint64_t pending_view_oldest(const struct pending_view *v);
uint64_t pending_view_mask(const struct pending_view *v);

/* Headers and records, written. */
void pending_header_put(uint8_t out[PENDING_HEADER], const struct pending_view *old);
/* Notes a record at idx in a header. */
void pending_header_add(uint8_t header[PENDING_HEADER], size_t idx, const struct pending *p);
void pending_record_put(uint8_t out[PENDING_RECORD], const struct pending *p);

/* ---- chunks in the store (group_table.c) ---- */

/* The chunk of that base, borrowed until the next write. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err pending_chunk(const struct group *g, struct oxbow_id base,
                                              struct pending_view *v);
/* The chunk at or below (back) or at or above an id. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err pending_chunk_seek(struct pending_table *t, struct oxbow_id id,
                                                   bool back, struct oxbow_id *base,
                                                   struct pending_view *v);

#endif
