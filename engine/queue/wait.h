/* SPDX-License-Identifier: Apache-2.0 */
/* What the data types tell those who wait (include/oxbow/wait.h). */
#ifndef OXBOW_QUEUE_WAIT_H
#define OXBOW_QUEUE_WAIT_H

#include "engine/store/catalog.h"

/* To be called by every operation that puts something into an object that somebody could be
 * waiting for: a push, an append, a rename onto its name. Cheap when nobody waits. Waiters are
 * woken when the transaction commits, never when it aborts. */
OXBOW_MUST_CHECK enum oxbow_err wait_touch(struct oxbow_txn *txn, const struct object *object);

#endif
