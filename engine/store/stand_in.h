/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins: ordinary stores in oxbow_config.stand_in that are used while the store itself cannot be
 * opened, and are merged into it later (engine/queue/merge.h).
 *
 *   STAND_IN/1, STAND_IN/2 ...   one store each. One of which the merge has begun is never used again:
 *                                the one behind it is, until it is empty
 *
 *   KV_SPACE_STORE 'S', of a stand-in:  u8 version | u8 state | 6 zeros | le64 batches | the directory
 *                                       that it stands in for
 *   KV_SPACE_STORE 'M', of a store:     what was taken last: engine/queue/merge.c
 */
#ifndef OXBOW_STORE_STAND_IN_H
#define OXBOW_STORE_STAND_IN_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

#define STAND_IN_MAX     4u    /* stores in one directory */
#define STAND_IN_DIR_MAX 1040u /* bytes of the path of one, with its closing zero */
#define STAND_IN_LOOK_US 1000000u
#define STORE_KEY_STAND  'S'
#define STORE_KEY_MERGED 'M'

/* What a store knows of being one. All M of store.h. */
struct stand_in {
    enum oxbow_err why;  /* what kept the store from being opened; OXBOW_OK: this is no stand-in */
    enum oxbow_err last; /* why the newest look found no device; OXBOW_OK: there was none */
    uint64_t since_us;
    uint64_t look_us; /* when the next look is due */
    uint32_t looks;   /* that were in vain, in a row */
    uint64_t begun;   /* looks */
    uint64_t ended;   /* of them, those that are over */
    uint64_t lsn;     /* applied when this opening began */
    bool asked;       /* somebody wants a look now */
    bool back;        /* the newest look found the device */
    bool given;       /* of any store: oxbow_config.stand_in was given */
    bool existing;    /* the store's own opening does not make one */
    char *dir;        /* of the store that it stands in for */
};

/* ---- for oxbow_open ---- */

/* OXBOW_EINVAL: `stand_in` without the policy, or not a directory apart from `dir`. By text. */
OXBOW_MUST_CHECK enum oxbow_err stand_in_check(const struct oxbow_config *config);
/* Whether what an open gave lets a stand-in be used. */
bool stand_in_takes(const struct oxbow_config *config, enum oxbow_err err);
/* How the n-th one (1 to STAND_IN_MAX) is opened; `dir` holds its path. */
void stand_in_config(const struct oxbow_config *config, uint32_t n, char dir[STAND_IN_DIR_MAX],
                     struct oxbow_config *out);
/* Whether there is a store there. Goes on with what stand_in_sweep had begun. OXBOW_EIO, ... */
OXBOW_MUST_CHECK enum oxbow_err stand_in_look(const struct oxbow_config *one, bool *there);
/* Removes the files of one that is closed and whose content is elsewhere, in an order that an end in
 * the middle does not confuse. */
OXBOW_MUST_CHECK enum oxbow_err stand_in_sweep(const struct oxbow_config *one);

/* ---- a store that is one ---- */

enum stand_in_state {
    STAND_IN_NONE = 0,    /* it has no record */
    STAND_IN_USED = 1,    /* a program works or has worked with it */
    STAND_IN_MERGING = 2, /* it is being merged: nothing may be added any more */
    STAND_IN_CHECKED = 3  /* and what the store had from its producers already is gone from it */
};

struct stand_in_record {
    enum stand_in_state state;
    uint64_t batches;       /* that were taken out of it */
    struct oxbow_bytes dir; /* borrowed until the next write */
};

/* Fine without one: STAND_IN_NONE. OXBOW_ECORRUPT; OXBOW_EFORMAT: of a newer version. */
OXBOW_MUST_CHECK enum oxbow_err stand_in_get(struct oxbow_txn *txn, struct stand_in_record *out);
OXBOW_MUST_CHECK enum oxbow_err stand_in_put(struct oxbow_txn *txn,
                                             const struct stand_in_record *record);
/* From now on `db` says that it stands in for the store of `config`, which could not be opened, and
 * looks for its device. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err stand_in_begin(struct oxbow *db, const struct oxbow_config *config,
                                               enum oxbow_err why);
/* Whether `db` is one / whether its configuration names a place for one. */
bool store_stands_in(const struct oxbow *db);
bool store_has_stand_in(const struct oxbow *db);
/* Whether something is left in one that is to be merged into `db`: oxbow_recovery.merge_left. */
bool store_merge_left(const struct oxbow *db);
/* For oxbow_recovery. */
void stand_in_told(struct oxbow *db, uint64_t merged, enum oxbow_err left);

/* ---- for engine/store alone ---- */

/* The checkpoint thread's: one look, if it is due. With the mutex, which is let go meanwhile. */
bool stand_in_act(struct oxbow *db, uint64_t now);
/* In how many microseconds one is due. */
uint64_t stand_in_until(const struct oxbow *db, uint64_t now);
/* oxbow_return of a stand-in: OXBOW_EAGAIN, the device is back; else what the look gave. With the
 * mutex. */
OXBOW_MUST_CHECK enum oxbow_err stand_in_return(struct oxbow *db);
void stand_in_stat(const struct oxbow *db, struct oxbow_stat *out);
void stand_in_free(struct oxbow *db);

#endif
