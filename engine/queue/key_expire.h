/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that expire: what idle work and strings ask. Promises: oxbow/key.h. */
#ifndef OXBOW_QUEUE_KEY_EXPIRE_H
#define OXBOW_QUEUE_KEY_EXPIRE_H

#include "engine/store/catalog.h"

/* Before a key is given a deadline, CATALOG_DEADLINE_BYTES being reserved: OXBOW_EPROTECTED,
 * OXBOW_ELEVEL. */
OXBOW_MUST_CHECK enum oxbow_err key_expire_check(struct oxbow_txn *txn, struct oxbow_bytes key);
/* How far that time of the wall clock is from now; not above 0: it is over. */
int64_t key_expire_span(struct oxbow_txn *txn, int64_t wall_ms);
/* One bounded step of removing keys that have expired, for idle work. */
OXBOW_MUST_CHECK enum oxbow_err key_expire_step(struct oxbow_txn *txn, bool *more);

#endif
