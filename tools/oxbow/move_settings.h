/* SPDX-License-Identifier: Apache-2.0 */
/* What of a store Redis has no commands for, in the files of export and import. */
#ifndef OXBOW_TOOLS_MOVE_SETTINGS_H
#define OXBOW_TOOLS_MOVE_SETTINGS_H

#include "oxbow/group.h"
#include "oxbow/oxbow.h"
#include "tools/oxbow/resp_file.h"

/* Before a stream's entries: what an import needs for their priorities, when they may have some. */
OXBOW_MUST_CHECK enum oxbow_err settings_priorities(struct oxbow_txn *txn, struct resp_file *f,
                                                    struct oxbow_bytes key);
/* Behind a group: its options, when it has some. */
OXBOW_MUST_CHECK enum oxbow_err settings_group(struct oxbow_txn *txn, struct resp_file *f,
                                               struct oxbow_group group);
/* Whether the store has any of what follows. */
OXBOW_MUST_CHECK enum oxbow_err settings_any(struct oxbow_txn *txn, bool *any);
/* Behind all that the transaction's database holds: policies, bindings and sources, schedules. */
OXBOW_MUST_CHECK enum oxbow_err settings_database(struct oxbow_txn *txn, struct resp_file *f,
                                                  uint32_t database);

/* Carries out such a command. OXBOW_EPARSE: it is none, or not in a form that is known. */
OXBOW_MUST_CHECK enum oxbow_err settings_run(struct oxbow_txn *txn, const struct oxbow_bytes *args,
                                             size_t count);

#endif
