/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions can open a store, and going back to an older one.
 *
 * A store has a level. What a version adds that older ones do not know is a feature and belongs to
 * the level that came with it. A newer version opens a store of a lower level and works on it, but
 * uses nothing of a higher level: such a call answers OXBOW_ELEVEL. So the older version can take the
 * store back at any time, until oxbow_upgrade has said that it need not. A new store has the newest
 * level, unless oxbow_config.level says another.
 *
 * On first use a feature is noted in the store. What an older version does with a store that uses
 * one it does not know goes by the feature's kind; the level alone keeps nobody out. Notes of features
 * that this version does not know survive what it writes.
 */
#ifndef OXBOW_UPGRADE_H
#define OXBOW_UPGRADE_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values are stored: never renumbered. */
enum oxbow_feature_kind {
    OXBOW_FEATURE_HAS = 0,    /* who does not know it works on the store all the same */
    OXBOW_FEATURE_WRITES = 1, /* who does not know it may only read: OXBOW_OPEN_READONLY */
    OXBOW_FEATURE_NEEDS = 2   /* who does not know it cannot open the store */
};
#define OXBOW_FEATURE_KINDS 3u

struct oxbow_feature {
    const char *name; /* "policies" */
    const char *help;
    enum oxbow_feature_kind kind;
    uint32_t bit;   /* 0 to 63, of its kind; never reused */
    uint32_t level; /* that allows it */
};

/* All that this version knows, *count of them. Static. Any thread. */
const struct oxbow_feature *oxbow_features(size_t *count);

struct oxbow_format {
    uint32_t level;                     /* the store's */
    uint32_t level_known;               /* OXBOW_FORMAT_LEVEL of the library */
    uint64_t used[OXBOW_FEATURE_KINDS]; /* features that are in use or were, a bit each */
};

/* In a transaction, its own changes included. OXBOW_ECORRUPT, OXBOW_EIO. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_format(struct oxbow_txn *txn, struct oxbow_format *out);

/* Raises the store's level to the newest that this version knows, durably: from now on older
 * versions may find what keeps them out. Nothing is written if it is there already. Takes the store's
 * lock for as long as writing a small file takes; no transaction may be open in this thread.
 * OXBOW_EREADONLY; OXBOW_ENOENT: the store's directory is not there any more, or was given as a
 * relative path and the program is elsewhere by now; OXBOW_ENOSPC; OXBOW_EIO: the store has failed,
 * and either level may be found at the next open. OXBOW_ECLOSED, OXBOW_EFAILED, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_upgrade(struct oxbow *db);

#ifdef __cplusplus
}
#endif

#endif
