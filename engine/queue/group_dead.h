/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters from the inside: writing one, and reading back where it comes from. */
#ifndef OXBOW_QUEUE_GROUP_DEAD_H
#define OXBOW_QUEUE_GROUP_DEAD_H

#include "engine/queue/group.h"

/* The fields of a letter, in their order behind the original's. */
enum dead_field {
    DEAD_KEY,
    DEAD_GROUP,
    DEAD_ID,
    DEAD_REASON,
    DEAD_DELIVERIES,
    DEAD_FIRST,
    DEAD_LAST,
    DEAD_CONSUMER,
    DEAD_PAYLOAD,
    DEAD_FIELDS
};

/* Adds the entry to the group's dead letters and takes it off the pending list. An entry that its
 * stream has no more is only taken off. The caller saves group and rules. What dead_is_refusal
 * knows has changed nothing; other errors leave the transaction fit only for abort. */
OXBOW_MUST_CHECK enum oxbow_err dead_move(struct pending_table *t, const struct oxbow_group *called,
                                          const struct pending *p, struct oxbow_bytes reason);
/* The same for one that has used up its deliveries. *moved false: the dead letters do not take it; it
 * stays, is not in the way of others, and is due again later. */
OXBOW_MUST_CHECK enum oxbow_err dead_give_up(struct pending_table *t,
                                             const struct oxbow_group *called,
                                             const struct pending *p, uint64_t now, bool *moved);
/* Whether the error says that the dead letters cannot take it now. */
bool dead_is_refusal(enum oxbow_err err);

/* The fields of a letter that say where it comes from (`DEAD_FIELDS` of them); NULL: it is none. */
const struct oxbow_field *dead_origin(const struct oxbow_entry *entry);

#endif
