/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory: its device has failed, and by its policy (oxbow_config.on_failure) it goes on with
 * its tables alone until the device can be written again. For engine/store alone.
 *
 * T, M, C as in store.h.
 */
#ifndef OXBOW_STORE_HOLD_H
#define OXBOW_STORE_HOLD_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

#define HOLD_TRY_US 1000000u /* until the first try; then longer and longer */

struct hold {
    enum oxbow_err why;  /* M: what failed; OXBOW_OK: the store is on its device */
    enum oxbow_err last; /* M: why the newest try to go back failed */
    uint64_t since_us;   /* M */
    uint64_t try_us;     /* M: when the next try is due */
    uint32_t tries;      /* M: that failed in a row */
    uint64_t begun;      /* M: tries, since open */
    uint64_t ended;      /* M: of them, those that are over */
    uint64_t times;      /* M: since open */
    bool asked;          /* M: somebody wants a try now */
    bool over;           /* M: the last try of a store that is to close has failed */
    bool waits;          /* M: the checkpoint thread wants the turn */
    bool turn;           /* M: and was given it */
    bool tidy;           /* M: the active table is to be tidied up */
    bool tidy_soon;      /* T: as tidy, noted by who has the turn */
    uint64_t base;       /* M: bytes of the tables, after the last transaction before it */
    uint64_t tidied;     /* T: bytes of the active table after it was tidied up last */
    struct oxbow *side;  /* C: the device's side, opened anew; NULL: none */
};

/* ---- with the mutex ---- */

/* Whether this store goes on in memory after such a failure. */
bool hold_takes(const struct oxbow *db, enum oxbow_err err);
void hold_begin(struct oxbow *db, enum oxbow_err err);
/* The checkpoint thread's: one thing that is due, if it can be done now. The mutex is let go
 * meanwhile. */
bool hold_act(struct oxbow *db, uint64_t now);
/* For hold_act alone: opens the device's side. / Goes back to it; with the turn. */
void hold_try(struct oxbow *db);
void hold_finish(struct oxbow *db);
/* In how many microseconds something is due. */
uint64_t hold_until(const struct oxbow *db, uint64_t now);

/* ---- with the turn, of a store in memory ---- */

/* Whether there is room for `bytes` more of what adds. OXBOW_EQUOTA. */
OXBOW_MUST_CHECK enum oxbow_err hold_reserve(struct oxbow *db, size_t bytes);
/* Whether there is room for a write of any kind. OXBOW_EQUOTA. */
OXBOW_MUST_CHECK enum oxbow_err hold_admit(struct oxbow *db, size_t bytes);

#endif
