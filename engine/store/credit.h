/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of the store's clock that may be longer than the time that passed in them.
 *
 * When a board was off and its wall clock is set later, the store's clock is credited with the time
 * without power then. What was put meanwhile, to come or to go after a span of time, came after that,
 * or after a part of it that nobody knows: for it the credit does not count.
 */
#ifndef OXBOW_STORE_CREDIT_H
#define OXBOW_STORE_CREDIT_H

#include "engine/store/kv.h"

/* To be called by whoever stores a reading of the store's clock from which a span counts, in the same
 * transaction. Nothing but two comparisons while the wall clock is believed, or never was. */
OXBOW_MUST_CHECK enum oxbow_err credit_note(struct oxbow_txn *txn);
/* By how much the clock has gone ahead since it showed `from_ms` without that time having passed
 * since, at most: a span from there is over so much later. 0 nearly always, and at little cost. */
OXBOW_MUST_CHECK enum oxbow_err credit_since(struct oxbow_txn *txn, uint64_t from_ms, uint64_t *ms);
/* The clock was lost and shows at least that much from now on (txn_clock_raise): no credit. */
OXBOW_MUST_CHECK enum oxbow_err credit_raise(struct oxbow_txn *txn, uint64_t ms);

#endif
