/* SPDX-License-Identifier: Apache-2.0 */
/* How forwards read and change the keys they carry: through the public functions, guards lifted. */
#ifndef OXBOW_QUEUE_FORWARD_WALK_H
#define OXBOW_QUEUE_FORWARD_WALK_H

#include "engine/queue/forward_record.h"

/* Where sums go. */
struct forward_span {
    uint64_t *entries;
    uint64_t *bytes; /* of names and values, or elements */
};

/* The newest position of the local key, 0-0 when there is none yet. */
OXBOW_MUST_CHECK enum oxbow_err
forward_walk_end(struct oxbow_txn *txn, const struct forward_record *r, struct oxbow_id *end);
/* Up to where `select` allows to send, at most `end`. `blocked` may be NULL. */
struct oxbow_acked_prefix;
OXBOW_MUST_CHECK enum oxbow_err
forward_walk_selectable(struct oxbow_txn *txn, const struct forward_record *r, struct oxbow_id end,
                        struct oxbow_acked_prefix *blocked, struct oxbow_id *out);
/* Adds up what lies in (after, to]. */
OXBOW_MUST_CHECK enum oxbow_err forward_walk_span(struct oxbow_txn *txn, struct forward_table *t,
                                                  const struct forward_record *r,
                                                  struct oxbow_id after, struct oxbow_id to,
                                                  const struct forward_span *sum);
/* A list's elements after a position, up to so many and about so many bytes, into `result`. */
OXBOW_MUST_CHECK enum oxbow_err forward_walk_items(struct oxbow_txn *txn,
                                                   const struct forward_record *r,
                                                   const struct oxbow_forward_fetch *want,
                                                   struct oxbow_result *result);
/* Raises a stream's last id, making the stream if nothing was added yet. */
OXBOW_MUST_CHECK enum oxbow_err forward_raise(struct oxbow_txn *txn, struct forward_table *t,
                                              struct oxbow_bytes key, struct oxbow_id last);
uint64_t forward_entry_bytes(const struct oxbow_entry *e);

#endif
