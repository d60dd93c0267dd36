/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data file that may be damaged. For store.c and directory.c. */
#ifndef OXBOW_STORE_SALVAGE_H
#define OXBOW_STORE_SALVAGE_H

#include "engine/store/store.h"

#define SALVAGE_DIR      "quarantine"
#define SALVAGE_NEW      SALVAGE_DIR "/data.mdb" /* being made */
#define SALVAGE_LOCK     SALVAGE_DIR "/lock.mdb" /* LMDB's, meanwhile */
#define SALVAGE_MENDED   "data.mended"           /* whole, to become the data file */
#define SALVAGE_DAMAGED  SALVAGE_DIR "/damaged.mdb"
#define SALVAGE_DAMAGED2 SALVAGE_DIR "/damaged.old.mdb" /* the one before; older ones are deleted */

/* Finishes what a crash interrupted: a mended file takes the data file's place. Before the data
 * file is looked for. OXBOW_ECORRUPT: there is such a file, but the store is only to be read. */
OXBOW_MUST_CHECK enum oxbow_err salvage_resume(struct oxbow *db);

/* Walks the data file, db->data_fd. If it is sound, that is all. If not, it is mended: a destroyed
 * meta page is written again, anything else makes a new file with all that is intact, and the old
 * one is kept in quarantine; db->data_fd is then the new one's. Afterwards the file is sound.
 * OXBOW_ECORRUPT  it is only to be read or OXBOW_OPEN_STRICT; both meta pages are destroyed; it is
 *                 another store's
 * OXBOW_ENOSPC    no room for what is intact; nothing was changed
 * OXBOW_EIO, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err salvage_open(struct oxbow *db);

/* ---- salvage_meta.c: for salvage_open ---- */

/* Looks for a meta page that says that it is newer than its trees: a flipped bit there would bring
 * back an older state. When all that the walk found was that, it gets the number of the commit that
 * made them (*restated: to be walked anew); else the last commit is in doubt. OXBOW_EIO, OXBOW_ENOMEM,
 * OXBOW_ENOSPC. */
OXBOW_MUST_CHECK enum oxbow_err salvage_meta_restate(struct oxbow *db, bool sound, bool *restated);
/* Writes the sound meta page over the destroyed one, as one commit older: LMDB wants both. That nobody
 * knows which of them was the newer one is to be told, also by an open after one that fails now.
 * OXBOW_ECORRUPT: they are not one and one. */
OXBOW_MUST_CHECK enum oxbow_err salvage_meta_mend(struct oxbow *db);

#endif
