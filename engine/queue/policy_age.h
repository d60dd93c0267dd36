/* SPDX-License-Identifier: Apache-2.0 */
/* When entries were added, by the store's clock (txn_clock_ms). */
#ifndef OXBOW_QUEUE_POLICY_AGE_H
#define OXBOW_QUEUE_POLICY_AGE_H

#include "engine/queue/chunk.h"
#include "engine/queue/policy.h"

/* How long the chunk that grows may do so under this policy; 0: for ever. */
uint64_t policy_rotate_ms(const struct oxbow_policy *p);
/* Notes what the clock shows in this boot, when that is not known yet. To be called before chunks of
 * this boot are asked about. */
OXBOW_MUST_CHECK enum oxbow_err policy_boot_note(struct oxbow_txn *txn);
/* What the clock showed at the latest when the chunk was begun. */
OXBOW_MUST_CHECK enum oxbow_err policy_chunk_ms(struct oxbow_txn *txn,
                                                const struct chunk_head *head, uint64_t *ms);
/* How long ago that was, at least. UINT64_MAX: nothing is known of its boot. */
OXBOW_MUST_CHECK enum oxbow_err policy_chunk_age(struct oxbow_txn *txn,
                                                 const struct chunk_head *head, uint64_t *ms);

/* Since when the chunk that grows is begun anew in time. */
OXBOW_MUST_CHECK enum oxbow_err policy_since(struct oxbow_txn *txn, uint32_t id, uint64_t *ms);
OXBOW_MUST_CHECK enum oxbow_err policy_since_set(struct oxbow_txn *txn, uint32_t id);

/* A chunk of a queue, and what came after it. */
struct policy_span {
    struct chunk_head head;
    bool has_next;
    struct chunk_head next; /* of the one that was begun after it */
};
/* When the last entry of the chunk can have been added at the latest, and is therefore too old. */
OXBOW_MUST_CHECK enum oxbow_err policy_span_due(struct oxbow_txn *txn, const struct policy_row *row,
                                                const struct policy_span *span, uint64_t *due_ms);
/* Whether the chunk that grows has done so for long enough. */
bool policy_stale(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t rotate_ms);

#endif
