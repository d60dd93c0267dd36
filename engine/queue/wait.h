/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of waiters (oxbow/wait.h) from the inside: what data types tell them, and what the two
 * kinds of waiters, threads' and loops', have in common.
 */
#ifndef OXBOW_QUEUE_WAIT_H
#define OXBOW_QUEUE_WAIT_H

#include "engine/store/catalog.h"
#include "oxbow/wait.h"

/* To be called by every operation that puts something into an object that somebody could be
 * waiting for: a push, an append, a rename onto its name. Cheap when nobody waits. Waiters are
 * woken when the transaction commits, never when it aborts. */
OXBOW_MUST_CHECK enum oxbow_err wait_touch(struct oxbow_txn *txn, const struct object *object);

/* The same when something has left an object whose name has that tag: for who waits for room. */
OXBOW_MUST_CHECK enum oxbow_err wait_touch_room(struct oxbow_txn *txn, uint64_t tag);

/* How many wait now, in whatever line. */
size_t wait_count(const struct oxbow_txn *txn);

/* To be called, with the transaction, by an operation that knows that something in the object can
 * be taken from in_ms on, though nobody puts anything there: those who wait for a stream look again
 * then. Whether the transaction commits does not matter. */
void wait_alarm(struct oxbow_txn *txn, const struct object *object, uint64_t in_ms);
/* Whether anybody could want to know. */
bool wait_alarm_wanted(const struct oxbow_txn *txn);

struct wait_table;

enum wait_state {
    WAIT_IN_LINE,
    WAIT_TURN,     /* it may try now, and those behind it wait for what comes of that */
    WAIT_CANCELED, /* not in any line any more */
    WAIT_CLOSED    /* the same, since the store is closing; `table` is then NULL in a loop's */
};

/* A waiter's place in the line of one tag. */
struct wait_link {
    struct oxbow_waiter *waiter;
    struct wait_line *line;
    struct wait_link *prev;
    struct wait_link *next;
    uint64_t seen; /* the line's stamp when the waiter last looked */
};

struct oxbow_waiter {
    struct wait_table *table;
    enum oxbow_wait_kind kind;
    enum wait_state state;
    uint64_t alarm_us; /* monotonic: looks again then, whether touched or not; UINT64_MAX: no */
    uint64_t cancel_tag;
    struct oxbow_cond *cond;     /* of a thread's */
    struct oxbow_wait_set *set;  /* of a loop's, with what follows */
    struct oxbow_waiter *ready;  /* next one of the set whose turn it is */
    struct oxbow_waiter *before; /* in the set */
    struct oxbow_waiter *after;
    void *user;
    size_t count; /* of links */
    struct wait_link links[];
};

/* The store's table, made if there is none. With the transaction. OXBOW_ENOMEM, OXBOW_ESYS. */
OXBOW_MUST_CHECK enum oxbow_err wait_table_get(struct oxbow_txn *txn, struct wait_table **out);
const struct oxbow_port *wait_port(const struct wait_table *table);
void wait_lock(struct wait_table *table);
void wait_unlock(struct wait_table *table);
struct oxbow_mutex *wait_mutex(const struct wait_table *table);

bool wait_keys_are_sane(const struct oxbow_wait_keys *keys);
/* Whether a touch has not been looked into yet by everybody whom it may concern. */
OXBOW_MUST_CHECK enum oxbow_err wait_ahead(struct oxbow_txn *txn,
                                           const struct oxbow_wait_keys *keys, bool *ahead);
/* Makes a waiter that is in no line yet. */
OXBOW_MUST_CHECK enum oxbow_err waiter_open(struct wait_table *table, size_t count,
                                            struct oxbow_waiter **out);
/* Frees a waiter that is in no line. */
void waiter_free(const struct oxbow_port *port, struct oxbow_waiter *w);
/* Gets in line at the keys. With the transaction, without the mutex. OXBOW_ENOMEM, OXBOW_ECLOSED:
 * then it is in no line. */
OXBOW_MUST_CHECK enum oxbow_err waiter_join(struct oxbow_waiter *w, struct oxbow_txn *txn,
                                            const struct oxbow_wait_keys *keys, bool tried);
/* Notes what the attempt that begins now will have seen. With its transaction. */
void waiter_look(struct oxbow_waiter *w);
/* Forgets alarms of a first attempt that has no waiter yet: waiter_join takes those that come. With
 * its transaction. */
void wait_first_look(struct wait_table *table);
/* The attempt found nothing: back in line, and the turn goes on. */
void waiter_stay(struct oxbow_waiter *w);
/* Leaves all lines, and the turn goes on. Fine when it is in none. With the mutex. */
void waiter_leave(struct oxbow_waiter *w);
/* waiter_leave, and frees a thread's waiter and its condition. Without the mutex. */
void waiter_close(struct oxbow_waiter *w);
/* Tells the waiter's set that its state has changed. With the mutex. In wait_set.c. */
void wait_set_notify(struct oxbow_waiter *w);
/* The sets of a table. With the mutex. */
struct oxbow_wait_set **wait_sets(struct wait_table *table);
/* Cuts sets off from a table that is going, and wakes their threads. In wait_set.c. */
void wait_sets_orphan(struct oxbow_wait_set *first);

#endif
