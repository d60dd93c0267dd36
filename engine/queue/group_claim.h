/* SPDX-License-Identifier: Apache-2.0 */
/* Claiming, from the inside: what claims by id, by range and by age have in common. */
#ifndef OXBOW_QUEUE_GROUP_CLAIM_H
#define OXBOW_QUEUE_GROUP_CLAIM_H

#include "engine/queue/group.h"

struct claim {
    struct group *group;
    struct pending_table table;
    struct oxbow_bytes name;
    struct oxbow_result *result;
    uint64_t now;
    uint64_t age_ms; /* the new delivery time */
    uint64_t min_idle_ms;
    bool just_id;
    bool force;
    bool has_deliveries;
    uint64_t deliveries;
    uint32_t consumer; /* 0: not looked up yet */
    uint64_t added;
    uint64_t got;
    bool fresh;   /* the entry in hand was not pending before */
    bool dropped; /* something was taken from the pending list */
};

/* OXBOW_EINVAL, OXBOW_EREADONLY. */
OXBOW_MUST_CHECK enum oxbow_err claim_check(struct oxbow_txn *txn, struct oxbow_bytes consumer);
/* Begins a fill of the result, and the work on the pending list. */
OXBOW_MUST_CHECK enum oxbow_err claim_begin(struct claim *c);
/* Whether the entry was given back, and may be had by anybody at once. */
bool claim_returned(const struct claim *c, const struct pending *p);
bool claim_idle_enough(const struct claim *c, const struct pending *p);
/* Hands over one entry: adds it to the result and writes its new state. */
OXBOW_MUST_CHECK enum oxbow_err claim_take(struct claim *c, struct pending *p);
/* Everything after the options were understood and, unless `err`, carried out. `moved`: the group is to
 * be saved in any case. */
OXBOW_MUST_CHECK enum oxbow_err claim_finish(struct claim *c, enum oxbow_err err, bool moved);

#endif
