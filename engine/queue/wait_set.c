/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that wait: a set has one descriptor and a queue of its waiters whose turn it is.
 *
 * A set and its waiters are one thread's; the table's mutex guards what commits of other threads
 * change, the queue of the ready. Once the store has closed, a set has no table: then nothing but
 * its own thread knows it.
 */
#include "engine/queue/wait.h"

#include "engine/base/buf.h"

struct oxbow_wait_set {
    const struct oxbow_port *port;
    struct wait_table *table; /* NULL: the store has closed */
    struct oxbow_event *event;
    struct oxbow_waiter *first; /* all of them */
    struct oxbow_waiter *ready; /* whose turn it is, in the order in which it came */
    struct oxbow_waiter *ready_last;
    struct oxbow_wait_set *before; /* in the table */
    struct oxbow_wait_set *after;
};

void wait_set_notify(struct oxbow_waiter *w)
{
    struct oxbow_wait_set *set = w->set;

    if (w->state == WAIT_TURN) {
        w->ready = NULL;
        if (set->ready_last != NULL) {
            set->ready_last->ready = w;
        } else {
            set->ready = w;
        }
        set->ready_last = w;
    }
    set->port->threads.event_set(set->event);
}

void wait_sets_orphan(struct oxbow_wait_set *first)
{
    struct oxbow_wait_set *set;

    for (set = first; set != NULL; set = set->after) {
        struct oxbow_waiter *w;

        for (w = set->first; w != NULL; w = w->after) {
            w->table = NULL;
        }
        set->table = NULL;
        set->ready = NULL;
        set->ready_last = NULL;
        set->port->threads.event_set(set->event);
    }
}

/* Makes the set known to the table. */
static void enlist(struct oxbow_wait_set *set)
{
    struct oxbow_wait_set **head = wait_sets(set->table);

    wait_lock(set->table);
    set->after = *head;
    if (*head != NULL) {
        (*head)->before = set;
    }
    *head = set;
    wait_unlock(set->table);
}

static void delist(struct oxbow_wait_set *set)
{
    struct wait_table *table = set->table;

    if (table == NULL) {
        return;
    }
    wait_lock(table);
    if (set->before != NULL) {
        set->before->after = set->after;
    } else {
        *wait_sets(table) = set->after;
    }
    if (set->after != NULL) {
        set->after->before = set->before;
    }
    wait_unlock(table);
}

enum oxbow_err oxbow_wait_set_open(struct oxbow *db, struct oxbow_wait_set **out)
{
    const struct oxbow_port *port = oxbow_port_of(db);
    struct oxbow_wait_set *set;
    struct oxbow_txn *txn;
    enum oxbow_err err =
        oxbow_txn_begin(db, &(struct oxbow_txn_options){.flags = OXBOW_TXN_READ}, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    set = mem_new(&port->alloc, sizeof(*set));
    if (set == NULL) {
        oxbow_txn_abort(txn);
        return OXBOW_ENOMEM;
    }
    set->port = port;
    err = wait_table_get(txn, &set->table);
    oxbow_txn_abort(txn);
    if (err == OXBOW_OK) {
        err = port->threads.event_open(port->threads.ctx, &set->event);
    }
    if (err == OXBOW_OK && port->threads.event_fd(set->event) < 0) {
        port->threads.event_close(set->event);
        err = OXBOW_ENOTSUP;
    }
    if (err != OXBOW_OK) {
        mem_free(&port->alloc, set, sizeof(*set));
        return err;
    }
    enlist(set);
    *out = set;
    return OXBOW_OK;
}

void oxbow_wait_set_close(struct oxbow_wait_set *set)
{
    if (set == NULL) {
        return;
    }
    while (set->first != NULL) {
        oxbow_wait_remove(set->first);
    }
    delist(set);
    set->port->threads.event_close(set->event);
    mem_free(&set->port->alloc, set, sizeof(*set));
}

int oxbow_wait_set_fd(const struct oxbow_wait_set *set)
{
    return set->port->threads.event_fd(set->event);
}

enum oxbow_err oxbow_wait_ahead(struct oxbow_txn *txn, const struct oxbow_wait_keys *keys,
                                bool *ahead)
{
    if (!wait_keys_are_sane(keys) || ahead == NULL) {
        return OXBOW_EINVAL;
    }
    return wait_ahead(txn, keys, ahead);
}

enum oxbow_err oxbow_wait_add(struct oxbow_wait_set *set, struct oxbow_txn *txn,
                              const struct oxbow_wait_keys *keys, bool tried, void *user,
                              struct oxbow_waiter **out)
{
    struct oxbow_waiter *w;
    enum oxbow_err err;

    if (!wait_keys_are_sane(keys) || out == NULL) {
        return OXBOW_EINVAL;
    }
    if (set->table == NULL) {
        return OXBOW_ECLOSED;
    }
    err = waiter_open(set->table, keys->count, &w);
    if (err != OXBOW_OK) {
        return err;
    }
    w->set = set;
    w->user = user;
    err = waiter_join(w, txn, keys, tried);
    if (err != OXBOW_OK) {
        waiter_free(set->port, w);
        return err;
    }
    w->after = set->first;
    if (set->first != NULL) {
        set->first->before = w;
    }
    set->first = w;
    *out = w;
    return OXBOW_OK;
}

static uint64_t now_us(const struct oxbow_wait_set *set)
{
    return set->port->clock.mono_us(set->port->clock.ctx);
}

/* One whose alarm has gone off gets the turn. With the mutex. */
static struct oxbow_waiter *alarmed(struct oxbow_wait_set *set)
{
    uint64_t now = now_us(set);
    struct oxbow_waiter *w = set->first;

    while (w != NULL && (w->state != WAIT_IN_LINE || w->alarm_us > now)) {
        w = w->after;
    }
    if (w != NULL) {
        w->state = WAIT_TURN;
        w->alarm_us = UINT64_MAX;
    }
    return w;
}

int64_t oxbow_wait_set_timeout(const struct oxbow_wait_set *set)
{
    uint64_t now = now_us(set);
    uint64_t at = UINT64_MAX;
    const struct oxbow_waiter *w;

    if (set->table == NULL) {
        return 0;
    }
    wait_lock(set->table);
    for (w = set->first; w != NULL; w = w->after) {
        if (w->state == WAIT_IN_LINE && w->alarm_us < at) {
            at = w->alarm_us;
        }
    }
    wait_unlock(set->table);
    if (at == UINT64_MAX) {
        return OXBOW_WAIT_FOREVER;
    }
    return at > now ? (int64_t)((at - now + 999) / 1000) : 0;
}

enum oxbow_err oxbow_wait_next(struct oxbow_wait_set *set, struct oxbow_waiter **out, void **user)
{
    struct oxbow_waiter *w;

    if (set->table == NULL) {
        return OXBOW_ECLOSED;
    }
    wait_lock(set->table);
    w = set->ready;
    if (w == NULL) {
        w = alarmed(set);
    } else {
        set->ready = w->ready;
        if (set->ready == NULL) {
            set->ready_last = NULL;
        }
        w->ready = NULL;
    }
    if (w == NULL) {
        set->port->threads.event_clear(set->event);
    }
    wait_unlock(set->table);
    if (w == NULL) {
        return OXBOW_EAGAIN;
    }
    *out = w;
    if (user != NULL) {
        *user = w->user;
    }
    return OXBOW_OK;
}

void oxbow_wait_try(struct oxbow_waiter *waiter, struct oxbow_txn *txn)
{
    (void)txn;
    if (waiter->table != NULL) {
        waiter_look(waiter);
    }
}

void oxbow_wait_again(struct oxbow_waiter *waiter)
{
    if (waiter->table != NULL) {
        waiter_stay(waiter);
    }
}

/* Takes a waiter that leaves out of the queue of the ready. With the mutex. */
static void unready(struct oxbow_wait_set *set, const struct oxbow_waiter *w)
{
    struct oxbow_waiter *last = NULL;
    struct oxbow_waiter *at = set->ready;

    while (at != NULL && at != w) {
        last = at;
        at = at->ready;
    }
    if (at == NULL) {
        return;
    }
    if (last != NULL) {
        last->ready = at->ready;
    } else {
        set->ready = at->ready;
    }
    if (set->ready_last == at) {
        set->ready_last = last;
    }
}

void oxbow_wait_remove(struct oxbow_waiter *waiter)
{
    struct oxbow_wait_set *set = waiter->set;
    struct wait_table *table = waiter->table;

    if (table != NULL) {
        wait_lock(table);
        unready(set, waiter);
        waiter_leave(waiter);
        wait_unlock(table);
    }
    if (waiter->before != NULL) {
        waiter->before->after = waiter->after;
    } else {
        set->first = waiter->after;
    }
    if (waiter->after != NULL) {
        waiter->after->before = waiter->before;
    }
    waiter_free(set->port, waiter);
}
