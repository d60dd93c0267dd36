/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotent producers: what is added twice under one name is there once.
 *
 * A producer that does not know whether its last entry was taken (a lost reply, a restart) adds it
 * again and is told that it was there already. It names entries in one of two ways:
 *
 *   an id        any bytes that it will use again for the same entry. Ids are remembered in a window
 *                of time and count, which are properties of the queue: dedupe-ms and dedupe-count of
 *                policy.h; where both are 0, OXBOW_ONCE_MS_DEFAULT and OXBOW_ONCE_COUNT_DEFAULT
 *   a sequence   the producer's name and a number that it makes grow with each entry, gaps allowed.
 *                Only the last one is remembered, for ever: no window
 *
 * What is remembered belongs to the queue's name, as its policy does (a name without one gets one
 * without limits), and is written in the transaction that adds the entry: an abort takes back
 * both, a power cut neither or both. Time is the store's own clock.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. Out-parameters are written on success only. All
 * give, besides what they name, what oxbow_stream_add, oxbow_list_push and oxbow_policy_set give.
 */
#ifndef OXBOW_ONCE_H
#define OXBOW_ONCE_H

#include "oxbow/error.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_ONCE_NAME_MAX      512u     /* bytes of an id, of a producer's name */
#define OXBOW_ONCE_MS_DEFAULT    3600000u /* an hour */
#define OXBOW_ONCE_COUNT_DEFAULT 100000u
#define OXBOW_ONCE_COUNT_MAX     10000000u /* of dedupe-count */

/* What the entry is called: either `id`, or `producer` and `sequence`. */
struct oxbow_once {
    struct oxbow_bytes id;
    struct oxbow_bytes producer;
    uint64_t sequence; /* from 1 on */
    uint32_t
        priority; /* of a stream's entry, as in struct oxbow_stream_add_options; a list's has 0 */
};

struct oxbow_once_outcome {
    bool duplicate;     /* it was there already: nothing was added */
    struct oxbow_id id; /* of the entry, or of the first one; 0-0 in a list, for a sequence that is
                           below the producer's last one, and where the queue puts entries off */
};

/* oxbow_stream_add, once. OXBOW_EINVAL: neither or both of id and producer, one over
 * OXBOW_ONCE_NAME_MAX, sequence 0, a priority that the queue does not have. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_once_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               const struct oxbow_once *once,
                                               const struct oxbow_field *fields,
                                               uint32_t field_count,
                                               struct oxbow_once_outcome *outcome);
/* oxbow_list_push of one value, once. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_once_push(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                enum oxbow_end end, const struct oxbow_once *once,
                                                struct oxbow_bytes value,
                                                struct oxbow_once_outcome *outcome);
/* The last sequence of a producer at this queue: where one that has forgotten goes on. OXBOW_ENOENT:
 * it has added nothing. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_once_sequence(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    struct oxbow_bytes producer,
                                                    uint64_t *sequence);
/* Forgets a producer that will not come again. OXBOW_ENOENT. In a stand-in it goes through what is noted
 * of entries there: OXBOW_ETXNBIG where these are more than a transaction holds. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_once_forget(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_bytes producer);

#ifdef __cplusplus
}
#endif

#endif
