/* SPDX-License-Identifier: Apache-2.0 */
/* What the store knows of a backup that is being made, and the bytes of one. */
#ifndef OXBOW_STORE_BACKUP_H
#define OXBOW_STORE_BACKUP_H

#include "engine/store/header.h"
#include "engine/store/tree.h"
#include "oxbow/backup.h"

#include <stdatomic.h>
#include <stdbool.h>

#define BACKUP_MAGIC        "oxbackup"
#define BACKUP_VERSION      1u
#define BACKUP_HEAD_BYTES   64u
#define BACKUP_RECORD_BYTES 8u /* before key and value */
#define BACKUP_TAIL_BYTES   24u

/* The store's side. Its mutex is taken over single reads of the device; whoever has it takes no other
 * lock. */
struct backup_slot {
    struct oxbow_mutex *mutex;
    struct tree_view *view; /* by its mutex; NULL: none, or it was cut */
    enum oxbow_err cut;     /* by its mutex: why */
    bool taken;             /* M: there is a backup */
    atomic_bool on;         /* it has a view */
    atomic_bool pressed;    /* the store was refused room since */
};

/* Ends the backup that is under way, if there is one: its reader gets `why`. Without the store's
 * mutex; waits for a read that is under way. */
void backup_cut(struct oxbow *db, enum oxbow_err why);
/* After a commit of the tree: ends the backup if the file has no room for what is kept for it. The
 * checkpoint thread's, without the mutex. */
void backup_watch(struct oxbow *db);

/* ---- the bytes ---- */

void backup_head_encode(uint8_t out[BACKUP_HEAD_BYTES], const struct oxbow_backup_info *info);
/* OXBOW_EFORMAT, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err backup_head_decode(const uint8_t in[BACKUP_HEAD_BYTES],
                                                   struct oxbow_backup_info *info);

#endif
