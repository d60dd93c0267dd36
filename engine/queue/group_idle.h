/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters of groups that nobody reads. */
#ifndef OXBOW_QUEUE_GROUP_IDLE_H
#define OXBOW_QUEUE_GROUP_IDLE_H

#include "engine/queue/group.h"

#define IDLE_RECORD 64u /* bytes of a note, names apart */

/* How long an entry that is to go to the dead letters waits for a reader. */
#define IDLE_GRACE_MS 60000u

/* The group writes dead letters, and goes by these names: noted, unless it is already. */
OXBOW_MUST_CHECK enum oxbow_err group_idle_note(struct group *g, const struct oxbow_group *called);
/* It writes none any more. */
OXBOW_MUST_CHECK enum oxbow_err group_idle_forget(struct group *g);

/* One bounded step of the store's idle work. */
OXBOW_MUST_CHECK enum oxbow_err group_idle(struct oxbow_txn *txn, bool *more);

#endif
