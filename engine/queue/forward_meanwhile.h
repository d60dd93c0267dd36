/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards of a stand-in (store/stand_in.h). What the store itself has sent, and under which ids, is not
 * known there; so what is sent meanwhile goes to a key of its own, and how far it may have come is on
 * record before it is sent.
 *
 *   KV_SPACE_FORWARD 'w' be32 id -> position 16 (ms, seq, little end): nothing beyond it was ever sent
 */
#ifndef OXBOW_QUEUE_FORWARD_MEANWHILE_H
#define OXBOW_QUEUE_FORWARD_MEANWHILE_H

#include "engine/queue/forward_record.h"

#define MEANWHILE_MAX 28u /* ":meanwhile:", 16 digits, and a closing zero */

/* ":meanwhile:" and the number of the stand-in. */
size_t meanwhile_suffix(char out[MEANWHILE_MAX], uint64_t store_id);
/* In a stand-in, gives the target of a forward that is made its suffix. OXBOW_EINVAL: too long. */
OXBOW_MUST_CHECK enum oxbow_err forward_meanwhile_target(struct oxbow_txn *txn,
                                                         struct forward_record *r);
/* Whether `target` is what the record's was before it had its suffix. */
bool forward_meanwhile_same(struct oxbow_txn *txn, const struct forward_record *r,
                            struct oxbow_bytes target);
/* In a stand-in, before a batch up to `last` is given to be sent; the transaction's commit must be
 * durable before it is. Nothing in a reading transaction, and elsewhere. */
OXBOW_MUST_CHECK enum oxbow_err
forward_meanwhile_note(struct oxbow_txn *txn, const struct forward_record *r, struct oxbow_id last);
/* Beyond that nothing was sent; 0-0: nothing at all. */
OXBOW_MUST_CHECK enum oxbow_err forward_meanwhile_reach(struct oxbow_txn *txn,
                                                        const struct forward_record *r,
                                                        struct oxbow_id *reach);
OXBOW_MUST_CHECK enum oxbow_err forward_meanwhile_del(struct oxbow_txn *txn, uint32_t id);

#endif
