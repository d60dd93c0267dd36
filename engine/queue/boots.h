/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of openings: what is known of the time in each, so that what was written before the
 * clock was set can be dated later.
 */
#ifndef OXBOW_QUEUE_BOOTS_H
#define OXBOW_QUEUE_BOOTS_H

#include "engine/store/kv.h"
#include "oxbow/time.h"

/* Whoever stamps something with this opening's number and uptime calls this in the same transaction:
 * the opening gets its record, and the time once it is known. One or two look-ups; a write once or
 * twice per opening, and when the wall clock is put right. */
OXBOW_MUST_CHECK enum oxbow_err boots_note(struct oxbow_txn *txn);
/* Gives an opening that was stamped without knowing the time its time, if it is known by now;
 * *waiting: it is not. For idle work. */
OXBOW_MUST_CHECK enum oxbow_err boots_settle(struct oxbow_txn *txn, bool *waiting);

/* How long ago that uptime of that opening was, by the store's clock without what wall clocks have
 * added to it: at least so long. UINT64_MAX: not known. */
OXBOW_MUST_CHECK enum oxbow_err boots_age(struct oxbow_txn *txn, uint64_t boot, uint64_t uptime_ms,
                                          uint64_t *ms);

#endif
