/* SPDX-License-Identifier: Apache-2.0 */
/* What lists ask of policies. All of it is cheap for a name that has none. */
#ifndef OXBOW_QUEUE_POLICY_LIST_H
#define OXBOW_QUEUE_POLICY_LIST_H

#include "engine/queue/list.h"
#include "engine/queue/policy_age.h"

/* Before values are added: OXBOW_EFULL, OXBOW_ETOOBIG, OXBOW_ENOTSUP. In a full list what is too
 * old goes first: *expired. NULL: nothing is to be changed. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_room(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_bytes *values, size_t count,
                                                 bool *expired);
/* Drops at least so many bytes at that end, for want of quota. Nothing when the list has fewer, or a
 * forward carries it. Closes the list. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_give_up(struct list *l, const struct policy_row *row,
                                                    enum oxbow_end end, uint64_t bytes,
                                                    bool *dropped);
/* After `added` values were, at that end, before list_close, to a list that was attached: drops the
 * oldest over the limits. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_settle(struct list *l, enum oxbow_end end,
                                                   uint64_t added);
/* One bounded step of dropping what is over the limits, without a push, at the end that is older;
 * *over: there is more. Closes the list. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_shrink(struct list *l, struct policy_row *row,
                                                   bool *over);

/* Before list_append: sets l->policy. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_attach(struct list *l);
/* Whether the chunk at that end has grown for long enough under the list's policy. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_stale(const struct list *l, enum oxbow_end end,
                                                  bool *stale);
/* One bounded step of removing what is too old; *due_ms is when to look again. Closes the list. */
OXBOW_MUST_CHECK enum oxbow_err policy_list_expire(struct list *l, const struct policy_row *row,
                                                   uint64_t *due_ms);

#endif
