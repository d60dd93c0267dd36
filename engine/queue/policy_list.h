/* SPDX-License-Identifier: Apache-2.0 */
/* What lists ask of policies. All of it is cheap for a name that has none. */
#ifndef OXBOW_QUEUE_POLICY_LIST_H
#define OXBOW_QUEUE_POLICY_LIST_H

#include "engine/queue/list.h"
#include "engine/queue/policy.h"

/* Before values are added: OXBOW_EFULL, OXBOW_ETOOBIG, OXBOW_ENOTSUP. Changes nothing. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_room(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_bytes *values, size_t count);
/* After `added` values were, at that end, before list_close: drops the oldest over the limits. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_settle(struct list *l, enum oxbow_end end,
                                                   uint64_t added);

#endif
