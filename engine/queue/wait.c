/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of waiters: one per tag (catalog.h) that somebody waits for, in the order of arrival. It
 * decides whose turn it is; trying is the business of wait_thread.c and wait_set.c.
 *
 *   touch: stamp + 1 --> the first in line that has not seen the stamp: WAIT_TURN
 *     it looks (waiter_look) --found--> leaves --+
 *                            --nothing--> stays -+--> the next one that has not seen the stamp
 *
 * Invariants:
 *  1. A line's stamp changes only while somebody holds the store's turn, and so does `seen`: what a
 *     transaction finds is the state that the stamp stands for. So no wake-up is lost.
 *  2. In each line at most one waiter at a time has the turn on its account, and nobody behind a
 *     waiter that has the turn is given it: elements go out in the order of arrival.
 *  3. `scan` is the first that could still be given the turn at this stamp: those before it have
 *     looked, or need not.
 *  4. A waiter for an element or for room that found nothing has found it for all of its kind in its lines: `empty` is
 *     the stamp at which that was so.
 *  5. A stream's waiter with an alarm tries at that time without having the turn, which is no harm:
 *     among those there is no order to keep. A set's waiter is given the turn.
 *
 * Locks: the store's turn first, then the table's mutex.
 */
#include "engine/queue/wait.h"

#include "engine/base/buf.h"

#include <stdatomic.h>

#define BUCKETS  256u
#define TAG_ROOM 0x9d39247e33776d41u /* the line of those who wait for room, seen from the name's */

struct wait_line {
    uint64_t tag;
    struct wait_line *next; /* in the bucket */
    struct wait_link *first;
    struct wait_link *last;
    struct wait_link *scan;
    uint64_t stamp; /* counts touches */
    uint64_t empty;
};

struct wait_table {
    const struct oxbow_port *port;
    struct oxbow_mutex *mutex;
    struct oxbow_cond *gone; /* the last thread's waiter has left */
    atomic_size_t waiters;   /* in line; grows only with the store's turn held */
    size_t threads;          /* waiters of threads that are not freed yet */
    bool closed;
    uint64_t alarm_us; /* of the attempt that has the store's turn and no waiter yet */
    struct oxbow_wait_set *sets;
    struct wait_line *buckets[BUCKETS];
};

const struct oxbow_port *wait_port(const struct wait_table *table)
{
    return table->port;
}

void wait_lock(struct wait_table *table)
{
    table->port->threads.mutex_lock(table->mutex);
}

void wait_unlock(struct wait_table *table)
{
    table->port->threads.mutex_unlock(table->mutex);
}

struct oxbow_mutex *wait_mutex(const struct wait_table *table)
{
    return table->mutex;
}

/* ---- lines ---- */

static struct wait_line **line_slot(struct wait_table *t, uint64_t tag)
{
    struct wait_line **slot = &t->buckets[tag % BUCKETS];

    while (*slot != NULL && (*slot)->tag != tag) {
        slot = &(*slot)->next;
    }
    return slot;
}

static bool may_try(const struct wait_link *link)
{
    const struct wait_line *line = link->line;

    return link->waiter->state == WAIT_IN_LINE && link->seen < line->stamp &&
           !(link->waiter->kind != OXBOW_WAIT_STREAM && line->empty == line->stamp);
}

struct oxbow_wait_set **wait_sets(struct wait_table *table)
{
    return &table->sets;
}

static void notify(struct oxbow_waiter *w)
{
    if (w->cond != NULL) {
        w->table->port->threads.cond_signal(w->cond);
    } else {
        wait_set_notify(w);
    }
}

/* Gives the turn to the next one in line, if there is one and nobody has it. */
static void line_advance(struct wait_line *line)
{
    for (; line->scan != NULL; line->scan = line->scan->next) {
        struct oxbow_waiter *w = line->scan->waiter;

        if (w->state == WAIT_TURN) {
            return;
        }
        if (may_try(line->scan)) {
            w->state = WAIT_TURN;
            notify(w);
            return;
        }
    }
}

static void line_touch(struct wait_line *line)
{
    line->stamp++;
    line->scan = line->first;
    line_advance(line);
}

static void touched(void *ctx, uint64_t tag, uint64_t lsn)
{
    struct wait_table *t = ctx;
    struct wait_line *line;
    size_t i;

    (void)lsn;
    wait_lock(t);
    if (tag != CATALOG_TAG_ALL) {
        line = *line_slot(t, tag);
        if (line != NULL) {
            line_touch(line);
        }
    }
    for (i = 0; i < BUCKETS && tag == CATALOG_TAG_ALL; i++) {
        for (line = t->buckets[i]; line != NULL; line = line->next) {
            line_touch(line);
        }
    }
    wait_unlock(t);
}

enum oxbow_err wait_touch(struct oxbow_txn *txn, const struct object *object)
{
    struct wait_table *t = store_slot_get(txn_store(txn), STORE_SLOT_WAIT);

    if (t == NULL || atomic_load_explicit(&t->waiters, memory_order_relaxed) == 0) {
        return OXBOW_OK;
    }
    return txn_touch(txn, object->tag);
}

/* Never CATALOG_TAG_ALL: one line is then shared with others, who look in vain. */
static uint64_t room_tag(uint64_t tag)
{
    return (tag ^ TAG_ROOM) != CATALOG_TAG_ALL ? tag ^ TAG_ROOM : tag;
}

enum oxbow_err wait_touch_room(struct oxbow_txn *txn, uint64_t tag)
{
    struct wait_table *t = store_slot_get(txn_store(txn), STORE_SLOT_WAIT);

    if (t == NULL || atomic_load_explicit(&t->waiters, memory_order_relaxed) == 0) {
        return OXBOW_OK;
    }
    return txn_touch(txn, room_tag(tag));
}

/* The tag of the line for a key. */
static enum oxbow_err line_tag(struct oxbow_txn *txn, enum oxbow_wait_kind kind,
                               struct oxbow_bytes key, uint64_t *tag)
{
    enum oxbow_err err = catalog_tag(txn, key, tag);

    if (err == OXBOW_OK && kind == OXBOW_WAIT_ROOM) {
        *tag = room_tag(*tag);
    }
    return err;
}

/* ---- alarms ---- */

bool wait_alarm_wanted(const struct oxbow_txn *txn)
{
    return store_slot_get(txn_store(txn), STORE_SLOT_WAIT) != NULL;
}

void wait_alarm(struct oxbow_txn *txn, const struct object *object, uint64_t in_ms)
{
    struct wait_table *t = store_slot_get(txn_store(txn), STORE_SLOT_WAIT);
    const struct wait_line *line;
    struct wait_link *link;
    uint64_t at;

    if (t == NULL || in_ms > UINT64_MAX / 2000) {
        return;
    }
    at = t->port->clock.mono_us(t->port->clock.ctx) + in_ms * 1000;
    wait_lock(t);
    t->alarm_us = at < t->alarm_us ? at : t->alarm_us;
    line = *line_slot(t, object->tag);
    for (link = line != NULL ? line->first : NULL; link != NULL; link = link->next) {
        struct oxbow_waiter *w = link->waiter;

        if (w->kind == OXBOW_WAIT_STREAM && at < w->alarm_us) {
            w->alarm_us = at;
            if (w->state == WAIT_IN_LINE) { /* whose turn it is looks at the alarm after it */
                notify(w);
            }
        }
    }
    wait_unlock(t);
}

void wait_first_look(struct wait_table *table)
{
    wait_lock(table);
    table->alarm_us = UINT64_MAX;
    wait_unlock(table);
}

/* ---- the table ---- */

static void table_free(struct wait_table *t)
{
    if (t->gone != NULL) {
        t->port->threads.cond_close(t->gone);
    }
    if (t->mutex != NULL) {
        t->port->threads.mutex_close(t->mutex);
    }
    mem_free(&t->port->alloc, t, sizeof(*t));
}

/* The store is closing: everybody leaves, and threads are waited for. */
static void table_close(struct oxbow *db, void *p)
{
    struct wait_table *t = p;
    size_t i;

    store_set_touch_hook(db, NULL, NULL);
    wait_lock(t);
    t->closed = true;
    for (i = 0; i < BUCKETS; i++) {
        while (t->buckets[i] != NULL) {
            struct oxbow_waiter *w = t->buckets[i]->first->waiter;

            waiter_leave(w);
            w->state = WAIT_CLOSED;
            notify(w);
        }
    }
    wait_sets_orphan(t->sets);
    while (t->threads > 0) {
        t->port->threads.cond_wait(t->gone, t->mutex, UINT64_MAX);
    }
    wait_unlock(t);
    table_free(t);
}

enum oxbow_err wait_table_get(struct oxbow_txn *txn, struct wait_table **out)
{
    struct oxbow *db = txn_store(txn);
    const struct oxbow_port *port = txn_port(txn);
    struct wait_table *t = store_slot_get(db, STORE_SLOT_WAIT);
    enum oxbow_err err;

    if (t != NULL) {
        *out = t;
        return OXBOW_OK;
    }
    t = mem_new(&port->alloc, sizeof(*t));
    if (t == NULL) {
        return OXBOW_ENOMEM;
    }
    t->port = port;
    t->alarm_us = UINT64_MAX;
    err = port->threads.mutex_open(port->threads.ctx, &t->mutex);
    if (err == OXBOW_OK) {
        err = port->threads.cond_open(port->threads.ctx, &t->gone);
    }
    if (err != OXBOW_OK) {
        table_free(t);
        return err;
    }
    store_slot_set(db, STORE_SLOT_WAIT, t, table_close);
    store_set_touch_hook(db, touched, t);
    *out = t;
    return OXBOW_OK;
}

size_t wait_count(const struct oxbow_txn *txn)
{
    const struct wait_table *t = store_slot_get(txn_store(txn), STORE_SLOT_WAIT);

    return t == NULL ? 0 : atomic_load_explicit(&t->waiters, memory_order_relaxed);
}

/* ---- waiters ---- */

bool wait_keys_are_sane(const struct oxbow_wait_keys *keys)
{
    return keys != NULL && keys->keys != NULL && keys->count > 0 &&
           keys->count <= OXBOW_WAIT_KEYS_MAX &&
           (keys->kind == OXBOW_WAIT_LIST || keys->kind == OXBOW_WAIT_STREAM ||
            keys->kind == OXBOW_WAIT_ROOM);
}

enum oxbow_err wait_ahead(struct oxbow_txn *txn, const struct oxbow_wait_keys *keys, bool *ahead)
{
    struct wait_table *t = store_slot_get(txn_store(txn), STORE_SLOT_WAIT);
    size_t i;

    *ahead = false;
    if (t == NULL || keys->kind == OXBOW_WAIT_STREAM) {
        return OXBOW_OK;
    }
    for (i = 0; i < keys->count && !*ahead; i++) {
        const struct wait_line *line;
        uint64_t tag;
        enum oxbow_err err = line_tag(txn, keys->kind, keys->keys[i], &tag);

        if (err != OXBOW_OK) {
            return err;
        }
        wait_lock(t);
        line = *line_slot(t, tag);
        *ahead = line != NULL && line->scan != NULL;
        wait_unlock(t);
    }
    return OXBOW_OK;
}

enum oxbow_err waiter_open(struct wait_table *table, size_t count, struct oxbow_waiter **out)
{
    struct oxbow_waiter *w =
        mem_new(&table->port->alloc, sizeof(*w) + count * sizeof(struct wait_link));

    if (w == NULL) {
        return OXBOW_ENOMEM;
    }
    w->table = table;
    w->alarm_us = UINT64_MAX;
    w->count = count;
    *out = w;
    return OXBOW_OK;
}

void waiter_free(const struct oxbow_port *port, struct oxbow_waiter *w)
{
    mem_free(&port->alloc, w, sizeof(*w) + w->count * sizeof(struct wait_link));
}

/* Gets in line at one tag. The stamp of a new line is above what anybody has seen. */
static enum oxbow_err link_join(struct oxbow_waiter *w, size_t i, uint64_t tag, bool tried)
{
    struct wait_table *t = w->table;
    struct wait_line **slot = line_slot(t, tag);
    struct wait_line *line = *slot;
    struct wait_link *link = &w->links[i];

    if (line == NULL) {
        line = mem_new(&t->port->alloc, sizeof(*line));
        if (line == NULL) {
            return OXBOW_ENOMEM;
        }
        line->tag = tag;
        line->stamp = 1;
        *slot = line;
    }
    *link = (struct wait_link){.waiter = w, .line = line, .prev = line->last};
    link->seen = tried ? line->stamp : 0;
    if (line->last != NULL) {
        line->last->next = link;
    } else {
        line->first = link;
    }
    line->last = link;
    if (line->scan == NULL && may_try(link)) {
        line->scan = link;
    }
    return OXBOW_OK;
}

static void link_leave(struct wait_table *t, struct wait_link *link)
{
    struct wait_line *line = link->line;

    if (line == NULL) {
        return;
    }
    if (line->scan == link) {
        line->scan = link->next;
    }
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        line->first = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    } else {
        line->last = link->prev;
    }
    link->line = NULL;
    if (line->first == NULL) {
        *line_slot(t, line->tag) = line->next;
        mem_free(&t->port->alloc, line, sizeof(*line));
    } else {
        line_advance(line);
    }
}

enum oxbow_err waiter_join(struct oxbow_waiter *w, struct oxbow_txn *txn,
                           const struct oxbow_wait_keys *keys, bool tried)
{
    struct wait_table *t = w->table;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    wait_lock(t);
    if (t->closed) {
        wait_unlock(t);
        return OXBOW_ECLOSED;
    }
    w->kind = keys->kind;
    w->state = WAIT_IN_LINE;
    w->alarm_us = w->kind == OXBOW_WAIT_STREAM ? t->alarm_us : UINT64_MAX;
    t->alarm_us = UINT64_MAX;
    atomic_fetch_add_explicit(&t->waiters, 1, memory_order_relaxed);
    t->threads += w->cond != NULL;
    for (i = 0; i < keys->count && err == OXBOW_OK; i++) {
        uint64_t tag;

        err = line_tag(txn, keys->kind, keys->keys[i], &tag);
        if (err == OXBOW_OK) {
            err = link_join(w, i, tag, tried);
        }
    }
    if (err != OXBOW_OK) {
        waiter_leave(w);
        t->threads -= w->cond != NULL;
    }
    for (i = 0; i < keys->count && err == OXBOW_OK; i++) {
        line_advance(w->links[i].line);
    }
    wait_unlock(t);
    return err;
}

void waiter_look(struct oxbow_waiter *w)
{
    size_t i;

    wait_lock(w->table);
    w->alarm_us = UINT64_MAX;
    for (i = 0; i < w->count; i++) {
        if (w->links[i].line != NULL) {
            w->links[i].seen = w->links[i].line->stamp;
        }
    }
    wait_unlock(w->table);
}

void waiter_stay(struct oxbow_waiter *w)
{
    size_t i;

    wait_lock(w->table);
    if (w->state == WAIT_TURN) {
        w->state = WAIT_IN_LINE;
        for (i = 0; i < w->count; i++) {
            if (w->kind != OXBOW_WAIT_STREAM) {
                w->links[i].line->empty = w->links[i].seen;
            }
        }
        for (i = 0; i < w->count; i++) {
            line_advance(w->links[i].line);
        }
    }
    wait_unlock(w->table);
}

void waiter_leave(struct oxbow_waiter *w)
{
    struct wait_table *t = w->table;
    size_t i;

    if (w->state != WAIT_IN_LINE && w->state != WAIT_TURN) {
        return;
    }
    w->state = WAIT_CANCELED;
    for (i = 0; i < w->count; i++) {
        link_leave(t, &w->links[i]);
    }
    atomic_fetch_sub_explicit(&t->waiters, 1, memory_order_relaxed);
}

void waiter_close(struct oxbow_waiter *w)
{
    struct wait_table *t = w->table;
    const struct oxbow_port *port = t->port;

    wait_lock(t);
    waiter_leave(w);
    port->threads.cond_close(w->cond);
    waiter_free(port, w);
    t->threads--;
    if (t->threads == 0 && t->closed) {
        port->threads.cond_signal(t->gone);
    }
    wait_unlock(t);
}

/* Cancels the waiters with that tag in one bucket's lines. Who leaves may take lines with it, so it
 * begins again after each. */
static size_t bucket_cancel(struct wait_table *t, size_t bucket, uint64_t cancel_tag)
{
    struct wait_line *line = t->buckets[bucket];
    size_t found = 0;

    while (line != NULL) {
        struct wait_link *link = line->first;
        struct oxbow_waiter *w;

        while (link != NULL && link->waiter->cancel_tag != cancel_tag) {
            link = link->next;
        }
        if (link == NULL) {
            line = line->next;
            continue;
        }
        w = link->waiter;
        waiter_leave(w);
        notify(w);
        found++;
        line = t->buckets[bucket];
    }
    return found;
}

enum oxbow_err oxbow_wait_cancel(struct oxbow *db, uint64_t cancel_tag, size_t *count)
{
    struct oxbow_txn *txn;
    struct wait_table *t;
    size_t found = 0;
    size_t i;
    enum oxbow_err err;

    if (cancel_tag == 0) {
        return OXBOW_EINVAL;
    }
    err = oxbow_txn_begin(db, &(struct oxbow_txn_options){.flags = OXBOW_TXN_READ}, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    t = store_slot_get(db, STORE_SLOT_WAIT);
    if (t != NULL) {
        wait_lock(t);
        for (i = 0; i < BUCKETS; i++) {
            found += bucket_cancel(t, i, cancel_tag);
        }
        wait_unlock(t);
    }
    oxbow_txn_abort(txn);
    if (count != NULL) {
        *count = found;
    }
    return OXBOW_OK;
}
