/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delayed entries: added to a stream or a list when they are due.
 *
 * A delayed entry waits in the store, in the order in which entries become due, and belongs to a name
 * in a database: what happens to that name meanwhile (DEL, RENAME, FLUSHDB, SWAPDB) leaves it waiting,
 * and when it is due it is added to what then has the name. It is added exactly once, whatever is
 * cut off when, like any other entry at that moment: a stream gives it an id then, limits and forwards
 * are asked then. What refuses it (a full queue, a key of another type) delays it further: it is
 * tried again after a second, then ever later, up to once a minute, and never given up. Entries due at
 * the same millisecond are added in the order in which they were given.
 *
 * "Due" goes by the store's own clock (time.h): never before the span has passed, also where that
 * clock is told only later of time without power before the entry was given. Or it goes by the wall
 * clock: then it waits while that is not set or not believed, and is added when the wall clock, as it
 * stands then, shows the time or a later one. The store adds what is due by itself, as idle work, within milliseconds while it is
 * open; what became due while it was closed comes when it is opened. oxbow_delay_run does it at once.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. An aborted transaction leaves no trace.
 * Out-parameters are written on success only. All give, besides what they name, OXBOW_EINVAL (a NULL
 * where none is allowed, a value out of its range), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT; those
 * that write OXBOW_EREADONLY, and where they add OXBOW_EQUOTA and, in a store of level 1,
 * OXBOW_ELEVEL (upgrade.h).
 */
#ifndef OXBOW_DELAY_H
#define OXBOW_DELAY_H

#include "oxbow/error.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_DELAY_BYTES_MAX 1048576u /* of one delayed entry, its key's name included */
#define OXBOW_DELAY_NAME_MAX  4096u    /* bytes of that name */
#define OXBOW_DELAY_MS_MAX    (200u * 366u * 86400000ull)

/* When. */
enum oxbow_delay_by {
    OXBOW_DELAY_FOR = 0, /* so many ms from now, by the store's clock; at most OXBOW_DELAY_MS_MAX */
    OXBOW_DELAY_CLOCK = 1, /* when the store's clock shows that many ms (oxbow_time_now) */
    OXBOW_DELAY_WALL = 2   /* when the wall clock shows that many ms since 1970-01-01 UTC */
};
struct oxbow_delay_when {
    enum oxbow_delay_by by;
    uint64_t ms;
};

/* What names a delayed entry: when it is due (by its clock), and a number that no other has. One that
 * was refused is told with the time of its next try; the id that it had still names it. */
struct oxbow_delay_id {
    uint64_t due_ms;
    uint64_t number; /* never 0 */
};

/* Appends to a stream, like oxbow_stream_add with an id of the store's making, when it is due.
 * `id` may be NULL. OXBOW_ETOOBIG: over OXBOW_DELAY_BYTES_MAX or OXBOW_DELAY_NAME_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                const struct oxbow_delay_when *when,
                                                const struct oxbow_field *fields,
                                                uint32_t field_count, struct oxbow_delay_id *id);
/* Pushes a value onto a list when it is due. Errors as above. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_push(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 enum oxbow_end end,
                                                 const struct oxbow_delay_when *when,
                                                 struct oxbow_bytes value,
                                                 struct oxbow_delay_id *id);
/* Takes one back. OXBOW_ENOENT: no such one waits; it may have been added already. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_cancel(struct oxbow_txn *txn, struct oxbow_delay_id id);
/* Gives it another time, and with it another id (`now` may be NULL). OXBOW_ENOENT as above. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_move(struct oxbow_txn *txn, struct oxbow_delay_id id,
                                                 const struct oxbow_delay_when *when,
                                                 struct oxbow_delay_id *now);

/* The priority that an entry of a stream is added with (stream.h); it had the lowest. When it is due
 * and its queue has not so many priorities, it gets the highest that there is. OXBOW_ENOENT as above;
 * OXBOW_EINVAL: it is a list's, or the priority is not below OXBOW_PRIORITIES_MAX. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_delay_set_priority(struct oxbow_txn *txn, struct oxbow_delay_id id, uint32_t priority);

/* One that waits. */
struct oxbow_delay_info {
    struct oxbow_delay_id id;
    bool wall;              /* due by the wall clock */
    uint64_t made_ms;       /* given, or moved, when the store's clock showed this */
    uint32_t database;      /* of its key */
    enum oxbow_type type;   /* what it is to be added to: a list or a stream */
    enum oxbow_end end;     /* of a list */
    uint32_t priority;      /* of a stream's entry */
    uint32_t tries;         /* that were refused, 255 at most */
    enum oxbow_err refused; /* why the last one was; OXBOW_OK: none */
    struct oxbow_bytes key; /* these two are borrowed until the next call or write */
    uint64_t bytes;         /* of the entry */
};
/* A place among those that wait; all zero is before the first. */
struct oxbow_delay_place {
    bool wall;
    struct oxbow_delay_id after;
};
/* The next one: those due by the store's clock first, the next due first. All databases. A walk
 * may go over many transactions. OXBOW_ENOENT: that was the last one. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_next(struct oxbow_txn *txn,
                                                 struct oxbow_delay_place *place,
                                                 struct oxbow_delay_info *info);
/* The entry itself: result->items has a list's value, result->entries a stream's fields, with the
 * delay's number for an id. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_get(struct oxbow_txn *txn, struct oxbow_delay_id id,
                                                struct oxbow_result *result);

/* Adds what is due now, at most `max` entries (0: 1,000), and says how many it was and whether there
 * is more. `moved`, `more` may be NULL. What is refused or put off counts, and is not met again by
 * the next call. An error leaves the transaction fit only for abort; the next call passes over what caused
 * it, as refused. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_run(struct oxbow_txn *txn, uint64_t max,
                                                uint64_t *moved, bool *more);

struct oxbow_delay_stat {
    uint64_t waiting; /* entries, late ones included */
    uint64_t bytes;   /* of them, as stored */
    uint64_t added;   /* when they were due, since the store was made */
    uint64_t damaged; /* lost to damage, likewise */
    bool next;        /* whether one waits that is due by the store's clock; then when: */
    uint64_t next_ms;
    bool wall_next; /* likewise by the wall clock */
    uint64_t wall_next_ms;
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_delay_stat(struct oxbow_txn *txn,
                                                 struct oxbow_delay_stat *stat);

#ifdef __cplusplus
}
#endif

#endif
