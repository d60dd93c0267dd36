/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's rules: its options as stored, and the state that goes with them. What the options
 * promise stands in oxbow/group_options.h. A group without rules has no record of them.
 */
#ifndef OXBOW_QUEUE_GROUP_RULES_H
#define OXBOW_QUEUE_GROUP_RULES_H

#include "engine/queue/group.h"

/* Reads g->rules, when g->ruled. A record that is lost reads as rules that ask for nothing. */
OXBOW_MUST_CHECK enum oxbow_err rules_load(struct group *g);
/* Whoever has an exclusive group was heard of: written down. */
OXBOW_MUST_CHECK enum oxbow_err rules_heard(struct group *g);
/* Writes the state part back. */
OXBOW_MUST_CHECK enum oxbow_err rules_save(struct group *g);
/* The key of the dead letters; borrowed until the next write. Empty: none. */
OXBOW_MUST_CHECK enum oxbow_err rules_dead_letter(struct group *g, struct oxbow_bytes *key);
/* The field that holds an entry's key, likewise. */
OXBOW_MUST_CHECK enum oxbow_err rules_key_field(struct group *g, struct oxbow_bytes *name);
/* Has all chunks of pending entries looked at again. The caller saves. */
void rules_sweep(struct group *g);
/* The same for a group that was salvaged; makes its record of rules anew if that is lost, and says
 * so in *lost. */
OXBOW_MUST_CHECK enum oxbow_err rules_mend(struct group *g, bool *lost);

/* How long an entry rests after its n-th delivery has failed (n from 1). */
uint64_t rules_rest_ms(const struct group *g, struct oxbow_id id, uint64_t deliveries);

#endif
