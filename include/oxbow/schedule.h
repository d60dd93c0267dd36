/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules: entries that the store adds to a stream or a list again and again.
 *
 * A schedule has a name, says when (below), what is added, and to which key; it is kept in the store and
 * needs no process but the one that has the store open. What it adds at one of its times is an
 * *occurrence*. An occurrence is added exactly once, whatever is cut off when: the entry and the step
 * to the next time are one transaction. It is added as any other entry at that moment: a stream gives
 * it an id, limits and forwards are asked. What refuses it (a full queue, a key of another type) makes
 * it a refused one: it is counted, not tried again, and holds up nothing.
 *
 * When:
 *
 *     MINUTE HOUR DAY MONTH WEEKDAY      five fields as in cron's tables, by the wall clock
 *     @hourly @daily @midnight @weekly @monthly @yearly @annually
 *     every N ms|s|m|h|d|w               by the store's own clock (time.h); 100 ms to 10 years
 *
 * A field is `*`, a number, a range `a-b`, either of `*` and a range with a step `/n`, or several of
 * these with commas. Months and weekdays may be given by the first three letters of their English
 * names; Sunday is 0 and 7. Where neither the day nor the weekday begins with `*`, either suffices;
 * else both must hold. The fields are in UTC plus the schedule's own fixed offset: there are no time
 * zones with summer time here, since a firmware has no data base of them.
 *
 * Times that pass while nobody can add (the store is closed, the board is off, the wall clock is not
 * set or not believed) are missed; so are those that a wall clock jumps over. An occurrence counts as
 * missed when it is later than `late_ms`, and `missed` says what is done then. A wall clock that is
 * set back repeats nothing: the schedule waits until it shows the next time; but if it goes back by
 * more than a day, it was wrong before, and schedules go on from what it shows now. One that is not
 * set or not believed lets schedules by the wall clock wait, those by the store's clock go on.
 *
 * A schedule belongs to the store; its key is a name in a database, and what happens to that (DEL,
 * RENAME, FLUSHDB, SWAPDB) leaves the schedule as it is.
 *
 * Every function here but oxbow_schedule_check and oxbow_schedule_after works inside a transaction of
 * oxbow.h and is called by the thread that holds it. An aborted transaction leaves no trace.
 * Out-parameters are written on success only. All give, besides what they name, OXBOW_EINVAL (a NULL
 * where none is allowed, a value out of its range), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT; those that
 * write OXBOW_EREADONLY, and oxbow_schedule_set OXBOW_EQUOTA and, in a store of level 1,
 * OXBOW_ELEVEL (upgrade.h).
 */
#ifndef OXBOW_SCHEDULE_H
#define OXBOW_SCHEDULE_H

#include "oxbow/error.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_SCHEDULE_NAME_MAX   48u /* bytes: letters, digits, '_', '.', '-' */
#define OXBOW_SCHEDULE_WHEN_MAX   255u
#define OXBOW_SCHEDULE_KEY_MAX    4096u
#define OXBOW_SCHEDULE_BYTES_MAX  262144u /* of the entry */
#define OXBOW_SCHEDULE_COUNT_MAX  1024u   /* schedules in a store */
#define OXBOW_SCHEDULE_OFFSET_MAX 1440    /* minutes */
#define OXBOW_SCHEDULE_LATE_MAX   (366u * 86400000ull)
#define OXBOW_SCHEDULE_MADE_UP    10000u /* of missed occurrences, at most */

/* What is wrong in a text that should say when. */
struct oxbow_schedule_fault {
    size_t position;  /* of the first byte that does not fit, from 0; the text's length: its end */
    const char *what; /* in English; never freed */
};

/* Whether a text says when: OXBOW_OK, or OXBOW_EPARSE and *fault, which may be NULL. What can never come
 * (the 30th of February) is a fault. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_check(struct oxbow_bytes when,
                                                     struct oxbow_schedule_fault *fault);
/* The first occurrence after `after_ms`, both in ms since 1970-01-01 UTC; of `every`: one period
 * later. OXBOW_EPARSE. OXBOW_ENOENT: not within 200 years. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_after(struct oxbow_bytes when, int32_t offset_min,
                                                     uint64_t after_ms, uint64_t *next_ms);

enum oxbow_schedule_missed {
    OXBOW_MISSED_SKIP = 0, /* they are counted */
    OXBOW_MISSED_ONCE = 1, /* all that are due are made up for by one entry */
    OXBOW_MISSED_ALL = 2 /* the newest `missed_max` are added, one by one; the others are counted */
};

/* Zero means default, but for `when`, `key` and the entry. Borrowed during the call. */
struct oxbow_schedule_options {
    struct oxbow_bytes when;
    int32_t offset_min; /* minutes east of UTC, -1440 to 1440; of no use to `every` */
    enum oxbow_schedule_missed missed;
    uint32_t missed_max; /* 0: 100; at most OXBOW_SCHEDULE_MADE_UP */
    uint64_t late_ms;    /* later than that is missed; 0: a minute, or the period of `every` if that
                               is shorter */
    struct oxbow_bytes key; /* in the transaction's database; need not exist */
    /* Either the fields of a stream's entry, or with field_count 0 a list's element. */
    const struct oxbow_field *fields;
    uint32_t field_count;
    enum oxbow_end end;
    struct oxbow_bytes value;
};

/* Makes a schedule, or changes it: one that is there already with the same options stays as it is, so a
 * firmware may call this at each start. A change of `when` or `offset_min` plans anew from now on;
 * counters stay, and so does a pause.
 * OXBOW_EPARSE: `when` (oxbow_schedule_check says where). OXBOW_ETOOBIG: the key or the entry.
 * OXBOW_EINVAL: a name with other characters. OXBOW_ERANGE: OXBOW_SCHEDULE_COUNT_MAX are there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_set(struct oxbow_txn *txn, const char *name,
                                                   const struct oxbow_schedule_options *opt);
/* OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_remove(struct oxbow_txn *txn, const char *name);
/* A paused one adds nothing; what passes meanwhile is not missed. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_pause(struct oxbow_txn *txn, const char *name,
                                                     bool paused);

struct oxbow_schedule_info {
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    bool wall; /* by the wall clock; else by the store's */
    bool paused;
    bool planned; /* next_ms is known: it is not while paused, nor before the wall clock is set */
    uint64_t next_ms;   /* by its clock */
    uint64_t last_ms;   /* the last time that was dealt with, by its clock; 0: none yet */
    uint64_t added;     /* occurrences */
    uint64_t missed;    /* and not made up for by an entry of their own */
    uint64_t refused;   /* by the queue */
    enum oxbow_err why; /* the last one of them; OXBOW_OK: none */
    int32_t offset_min;
    enum oxbow_schedule_missed missed_do;
    uint32_t missed_max;
    uint64_t late_ms;
    uint32_t database;
    enum oxbow_type type;
    enum oxbow_end end;
    uint64_t bytes;          /* of the entry */
    struct oxbow_bytes when; /* these two are borrowed until the next call or write */
    struct oxbow_bytes key;
};
/* OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_get(struct oxbow_txn *txn, const char *name,
                                                   struct oxbow_schedule_info *info);
/* The entry: result->items has a list's element, result->entries a stream's fields. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_entry(struct oxbow_txn *txn, const char *name,
                                                     struct oxbow_result *result);
/* The names of all schedules, sorted, as result->items. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_list(struct oxbow_txn *txn,
                                                    struct oxbow_result *result);

/* Adds what is due now, at most `max` occurrences (0: 1,000); says how many were added or refused,
 * and whether there is more. Both may be NULL. The store does this by itself, within milliseconds. An
 * error leaves the transaction fit only for abort; the next call counts as refused what caused it. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_schedule_run(struct oxbow_txn *txn, uint64_t max,
                                                   uint64_t *done, bool *more);

#ifdef __cplusplus
}
#endif

#endif
