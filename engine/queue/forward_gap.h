/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gaps of a forward: what will never reach the target, in the order of positions.
 *
 *   KV_SPACE_FORWARD 'g' be32 id, id_key(to) -> from 16, entries 8, bytes 8, cause 4 (little end)
 *
 * Ranges of one forward do not overlap. A gap stays until the positions before it are trimmed, so
 * that a rewound target is told of it again.
 */
#ifndef OXBOW_QUEUE_FORWARD_GAP_H
#define OXBOW_QUEUE_FORWARD_GAP_H

#include "engine/queue/forward_record.h"

/* Adds a gap and counts it in the record (which the caller puts). Those
 * that overlap it are united with it. One of the same cause that ends right before it and was not
 * sent yet grows instead. `adjacent` says that nothing lies between. */
OXBOW_MUST_CHECK enum oxbow_err forward_gap_add(struct oxbow_txn *txn, struct forward_record *r,
                                                const struct oxbow_gap *gap, bool adjacent);
/* The first gap that ends after `after`. OXBOW_ENOENT: none. */
OXBOW_MUST_CHECK enum oxbow_err forward_gap_next(struct oxbow_txn *txn, uint32_t id,
                                                 struct oxbow_id after, struct oxbow_gap *gap);
/* Whether `position` lies within a gap. */
OXBOW_MUST_CHECK enum oxbow_err forward_gap_covers(struct oxbow_txn *txn, uint32_t id,
                                                   struct oxbow_id position, bool *covers);
/* What is left of a gap for one who has everything up to `position`; nobody knows its size. */
void forward_gap_after(const struct forward_record *r, struct oxbow_gap *gap,
                       struct oxbow_id position);
/* The target has everything up to `position`: a gap that reaches beyond it becomes two, the first
 * of which only a rewound target is told. */
OXBOW_MUST_CHECK enum oxbow_err forward_gap_cut(struct oxbow_txn *txn, struct forward_record *r,
                                                struct oxbow_id position);
/* Forgets gaps that end at or before `position`, a bounded number. */
OXBOW_MUST_CHECK enum oxbow_err forward_gap_drop(struct oxbow_txn *txn, uint32_t id,
                                                 struct oxbow_id position, bool *more);

/* The gap as an entry of a stream, the only one in `result`. */
OXBOW_MUST_CHECK enum oxbow_err
forward_gap_entry(struct oxbow_txn *txn, const struct oxbow_gap *gap, struct oxbow_result *result);
/* The gap as one line of text: "cause from to entries bytes", zero-closed. */
void forward_gap_text(const struct oxbow_gap *gap, char *out, size_t cap);

#endif
