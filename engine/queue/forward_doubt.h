/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store may have forgotten that its target knows. A store in memory (oxbow_config.on_failure)
 * forwards what is held in memory only; when it ends before it is back on its device, the target
 * stands beyond the store's end. What is added then must not be taken for what the target has.
 *
 *   KV_SPACE_FORWARD 'd' be32 id -> position 16 (ms, seq, little end): the local end at the opening
 *                                   that followed an end without oxbow_close
 *
 * It stays until the target's position has been read once.
 */
#ifndef OXBOW_QUEUE_FORWARD_DOUBT_H
#define OXBOW_QUEUE_FORWARD_DOUBT_H

#include "engine/queue/forward_record.h"

/* Once an opening, before anybody adds anything: notes the ends of all forwards, where none is noted
 * yet, if the last opening was not closed. */
OXBOW_MUST_CHECK enum oxbow_err forward_doubt_open(struct oxbow *db);
/* The end that is noted, unless this forward has sent more since. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err
forward_doubt_get(struct oxbow_txn *txn, const struct forward_record *r, struct oxbow_id *end);
OXBOW_MUST_CHECK enum oxbow_err forward_doubt_del(struct oxbow_txn *txn, uint32_t id);
/* The target is at `target`, beyond `end`: everything up to `end` is there, since it was sent in order,
 * and so is what was forgotten. What was added after `end` goes on after `target`: a list's counting
 * is moved, a stream's last id raised. Changes the record, which the caller puts. *able: false, and
 * nothing has changed, when entries of a stream have ids that the target is beyond, or a list has
 * gaps there. */
OXBOW_MUST_CHECK enum oxbow_err forward_doubt_settle(struct oxbow_txn *txn,
                                                     struct forward_record *r, struct oxbow_id end,
                                                     struct oxbow_id target, bool *able);

#endif
