/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction did to the active table, so that it can be taken back. */
#ifndef OXBOW_STORE_UNDO_H
#define OXBOW_STORE_UNDO_H

#include "engine/store/memtable.h"

struct undo;
struct undo_block;

struct undo_log {
    const struct oxbow_alloc *alloc;
    struct undo_block *first; /* kept between transactions */
    struct undo_block *current;
    size_t pos;
    struct undo *last;
};

void undo_init(struct undo_log *log, const struct oxbow_alloc *alloc);
void undo_fini(struct undo_log *log);
/* Remembers an entry's state and value as they are. What the caller then replaces (data, front, patch) is
 * not to be given back: the log does that at commit. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err undo_entry(struct undo_log *log, struct mem_entry *e);
/* The same where the value that is there stays, as a piece of the one that grows from it. */
OXBOW_MUST_CHECK enum oxbow_err undo_extend(struct undo_log *log, struct mem_entry *e);
/* The same where only the patch is going to be replaced. */
OXBOW_MUST_CHECK enum oxbow_err undo_patch(struct undo_log *log, struct mem_entry *e);
/* Remembers an entry's length and the bytes value[pos, pos+len) before they are overwritten in
 * place. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err undo_bytes(struct undo_log *log, struct mem_entry *e, uint32_t pos,
                                           uint32_t len);
/* Forgets all, giving back the values that were replaced / takes all back. */
void undo_commit(struct undo_log *log, struct memtable *t);
void undo_abort(struct undo_log *log, struct memtable *t);

#endif
