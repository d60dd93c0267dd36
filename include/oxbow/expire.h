/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a stream with a time to live of their own (a queue's is max-age of policy.h).
 *
 * It is given when the entry is added (ttl_ms of struct oxbow_stream_add_options) or here, and counts
 * by the store's own clock (time.h): jumps of the wall clock and reboots neither end nor prolong it,
 * and time without power counts as far as it can be known. An entry that has expired is given by no
 * read any more, by range, by group or by claim, and goes within milliseconds by the store's idle work,
 * in bounded steps; until then XLEN counts it. Groups that have it pending treat it as deleted. It
 * is counted as dropped by age, and makes the gap that oxbow_policy_gaps tells. A forward that has
 * not delivered it does not keep it: the target is told of a gap. (In the moment in which it expires
 * it may still be sent.)
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. Errors are those of oxbow/stream.h.
 */
#ifndef OXBOW_EXPIRE_H
#define OXBOW_EXPIRE_H

#include "oxbow/error.h"
#include "oxbow/stream.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_TTL_MS_MAX   (200u * 366u * 86400000ull)
#define OXBOW_TTL_NAME_MAX 1024u /* bytes of the name of a stream whose entries have one */

/* Gives an entry a time to live from now on, instead of the one that it had; 0: none any more.
 * OXBOW_ENOENT: no such entry. OXBOW_EINVAL: over OXBOW_TTL_MS_MAX. OXBOW_ETOOBIG: the key's name is
 * over OXBOW_TTL_NAME_MAX. OXBOW_EQUOTA. OXBOW_ELEVEL: the store is of level 1 (upgrade.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    struct oxbow_id id, uint64_t ttl_ms);
/* How long an entry still has; UINT64_MAX: for ever. OXBOW_ENOENT: no such entry. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_ttl(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_id id, uint64_t *left_ms);

#ifdef __cplusplus
}
#endif

#endif
