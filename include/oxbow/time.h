/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time on a board whose clock may be wrong: the store's own clock, and when an entry was truly
 * written. docs/TIME.md says how they are reckoned.
 *
 * Every function here works inside a transaction of oxbow.h and is called by the thread that holds
 * it. Out-parameters are written on success only. All give, besides what they name, OXBOW_EINVAL (a
 * NULL where none is allowed), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT.
 */
#ifndef OXBOW_TIME_H
#define OXBOW_TIME_H

#include "oxbow/error.h"
#include "oxbow/stream.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the clocks show. */
struct oxbow_time {
    uint64_t clock_ms;  /* the store's own clock: it only grows, over all openings and whatever the
                           wall clock does, and is never ahead of the time that has passed. What is
                           due, expires or ages goes by it */
    uint64_t boot;      /* which opening of the store this is */
    uint64_t uptime_ms; /* the port's monotonic clock */
    uint64_t wall_ms;   /* the wall clock, right or wrong */
    bool wall_set;      /* the port says that it was set */
    bool wall_believed; /* and it fits what the store knows */
};

OXBOW_MUST_CHECK enum oxbow_err oxbow_time_now(struct oxbow_txn *txn, struct oxbow_time *now);

/* When something truly happened: not before `from_ms` and not after `to_ms`, milliseconds since
 * 1970-01-01 UTC by a wall clock that was believed. */
struct oxbow_true_time {
    bool known; /* the clock was set at some time in the opening in which it happened, before or
                         after it: from_ms and to_ms are the same, or for an entry whose id is not of
                         the clock's making, as far apart as its chunk is long */
    uint64_t from_ms; /* 0: nothing is known */
    uint64_t to_ms;   /* UINT64_MAX: nothing is known; the clock was not set since */
};

/* Works it out for a stamp (oxbow_stream_stamp): exact for the first entry of the chunk. An opening
 * of which there is no record (those of older versions, and all but the last OXBOW_TIME_BOOTS) is
 * taken at its own word where its clock showed 2024 or later. */
#define OXBOW_TIME_BOOTS 1024u
OXBOW_MUST_CHECK enum oxbow_err oxbow_true_time(struct oxbow_txn *txn,
                                                const struct oxbow_stamp *stamp,
                                                struct oxbow_true_time *out);
/* When an entry of a stream was added. OXBOW_ENOENT: no such stream or entry. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_true_time(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key, struct oxbow_id id,
                                                       struct oxbow_true_time *out);

/* As text with a closing zero: "1767225600000", or "FROM..TO" where it is not one moment, with nothing
 * for what is not known. Returns its length. */
#define OXBOW_TRUE_TIME_TEXT 48u
size_t oxbow_true_time_text(const struct oxbow_true_time *t, char out[OXBOW_TRUE_TIME_TEXT]);
/* Whether an entry's id tells its time: that is known, and the id's ms are within two seconds of it. */
bool oxbow_true_time_is_id(const struct oxbow_true_time *t, struct oxbow_id id);

#ifdef __cplusplus
}
#endif

#endif
