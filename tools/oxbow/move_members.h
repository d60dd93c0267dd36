/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, sets and sorted sets in the files of export and import. */
#ifndef OXBOW_TOOLS_MOVE_MEMBERS_H
#define OXBOW_TOOLS_MOVE_MEMBERS_H

#include "oxbow/key.h"
#include "oxbow/oxbow.h"
#include "tools/oxbow/resp_file.h"

struct members_source {
    struct oxbow *db;
    uint32_t database;
    struct oxbow_bytes key;
    enum oxbow_type type; /* OXBOW_TYPE_HASH, OXBOW_TYPE_SET or OXBOW_TYPE_ZSET */
};

/* Writes all members, in slices of a transaction each. `slice` is memory for them. */
OXBOW_MUST_CHECK enum oxbow_err members_export(const struct members_source *s, struct resp_file *f,
                                               struct oxbow_result *slice);

/* Carries out such a command; *why is set where the error's own text would not do. OXBOW_EPARSE: it is
 * none, or not in a form that is known. OXBOW_EEXIST: a member that was there already. OXBOW_ENOENT: a
 * deadline of a field that was not. */
OXBOW_MUST_CHECK enum oxbow_err members_import(struct oxbow_txn *txn,
                                               const struct oxbow_bytes *args, size_t count,
                                               const char **why);

#endif
