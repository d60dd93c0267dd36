/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a store, made while it works, and a store made of such a copy.
 *
 * A backup is a sequence of bytes (docs/FORMAT.md) that holds all of the store as of one LSN: every
 * commit up to it and none behind it. It is read in pieces, by any one thread, and goes wherever the
 * caller puts it; nothing else waits for that. Checksums go with every value and with the whole.
 *
 * While a backup is open the store keeps what it holds: pages of the data file that it replaces
 * meanwhile are not used again before the backup is closed, so the file grows by what checkpoints
 * write. When there is no room for that any more, the backup is ended rather than the store.
 */
#ifndef OXBOW_BACKUP_H
#define OXBOW_BACKUP_H

#include "oxbow/oxbow.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_BACKUP_ROOM 4096u /* bytes that a read must have room for */

struct oxbow_backup;

struct oxbow_backup_info {
    uint64_t lsn;      /* what it holds: all commits up to this one */
    uint64_t store_id; /* of the store that it was made of */
    uint64_t boot;     /* the opening that it was made in */
    uint64_t wall_ms;  /* when, by the wall clock of there; 0: that was not set */
    uint64_t records;  /* that it has */
    uint64_t done;     /* of them, those that were read so far */
    uint64_t bytes;    /* so far; of a file: of all of it */
    uint32_t level;    /* of the store's format: upgrade.h */
};

/* Makes a checkpoint of all that was committed before the call, and takes hold of it. It waits for the
 * device. One backup at a time; it must be closed before the store.
 * OXBOW_EBUSY     there is another one
 * OXBOW_EVOLATILE the store is in memory, or a stand-in: what it has is on no device
 * OXBOW_EREADONLY it was opened read-only
 * OXBOW_ECLOSED, OXBOW_EFAILED, OXBOW_ECORRUPT, OXBOW_EIO, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_backup_open(struct oxbow *db, struct oxbow_backup **out);
/* The next bytes, at most `room` of them, which is at least OXBOW_BACKUP_ROOM; *len is 0 at the end.
 * Reads the device. After an error the backup is worth nothing, and gives that error again.
 * OXBOW_ECORRUPT  something is damaged; what exactly, oxbow_check tells
 * OXBOW_ENOSPC    ended: the store needed the room for what was written meanwhile
 * OXBOW_EVOLATILE ended: its device failed meanwhile */
OXBOW_MUST_CHECK enum oxbow_err oxbow_backup_read(struct oxbow_backup *b, void *buf, size_t room,
                                                  size_t *len);
/* What it holds, and how much of it was read. */
void oxbow_backup_info(const struct oxbow_backup *b, struct oxbow_backup_info *out);
/* At any time; NULL is fine. */
void oxbow_backup_close(struct oxbow_backup *b);

/* ---- files ---- */

struct oxbow_backup_options {
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    void *ctx;
    /* May be 0. About every thousand records; false ends it with OXBOW_ECANCELED. */
    bool (*progress)(void *ctx, const struct oxbow_backup_info *info);
};

/* Reads the whole file and verifies everything: each value's checksum, order and number of the
 * records, the checksum of the whole. `options` may be NULL.
 * OXBOW_EFORMAT  no backup, or one of a version that this one does not know
 * OXBOW_ECORRUPT damaged, or cut short
 * OXBOW_ENOENT, OXBOW_EIO, OXBOW_ENOMEM, OXBOW_ECANCELED */
OXBOW_MUST_CHECK enum oxbow_err oxbow_backup_check(const char *file,
                                                   const struct oxbow_backup_options *options,
                                                   struct oxbow_backup_info *out);

/* Verifies the file as oxbow_backup_check does and makes a store of it in `dir`, which is made if
 * absent (its parent is not) and in which there must be none. After an error its files are removed
 * again. If the program ends in the middle the directory holds a part of a store that tells nobody so:
 * restore into a new directory and rename that when this has returned OXBOW_OK, as `oxbow restore`
 * does.
 *
 * The store has a new id, so that to the target of an uplink it is another one than that which was
 * copied: nothing is sent until an operator has it take over (OXBOW_UPLINK_ADOPT). And it counts as
 * cut off when the backup was made: the target's positions are then judged by where each forward stood
 * in the backup (docs/UPLINK.md), so that what was sent since is neither sent again nor taken for
 * what is added from now on.
 * As oxbow_backup_check, and:
 * OXBOW_EEXIST    there is a store
 * OXBOW_ENOSPC, OXBOW_EREADONLY, OXBOW_ENOTSUP (a network file system), OXBOW_ELOCKED */
OXBOW_MUST_CHECK enum oxbow_err oxbow_restore(const char *file, const char *dir,
                                              const struct oxbow_backup_options *options,
                                              struct oxbow_backup_info *out);

#ifdef __cplusplus
}
#endif

#endif
