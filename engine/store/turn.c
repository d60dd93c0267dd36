/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn: who may touch the tables now. It also moves the tables through their round, since that
 * may only happen between two transactions:
 *
 *   active --turn_freeze--> frozen --checkpoint_run writes it--> retire pending --turn_retire-->
 * empty
 *
 * Whoever gives the turn back does what is due, so the checkpoint thread never waits for the turn
 * and a transaction that waits for the checkpoint thread cannot meet it.
 */
#include "engine/store/store.h"

#include <stdio.h>

#define SPINS_MAX 100u /* looks at a turn that is taken before sleeping: most take microseconds */

void store_log(const struct oxbow *db, enum oxbow_log_level level, const char *text)
{
    db->port->log.line(db->port->log.ctx, level, text);
}

/* On a full device a checkpoint must do with what the file has: whether the table is past so many
 * eighths of it. The next checkpoint cannot use the pages that this one replaces, and the estimate
 * is low where names are deleted, which lie anywhere, and where leaves merge. */
static bool device_over(const struct oxbow *db, const struct memtable *t, uint64_t eighths)
{
    return db->device_full && t->dirty && t->cost * 8 >= quota_device_cost(db) * eighths;
}

void turn_room(struct oxbow *db)
{
    db->port->threads.cond_broadcast(db->room);
    if (db->room_asked && db->event != NULL) {
        db->room_asked = false;
        db->port->threads.event_set(db->event);
    }
}

bool table_full(const struct oxbow *db, const struct memtable *t)
{
    if (db->hold.why != OXBOW_OK) {
        return false; /* they hold all there is: hold.c */
    }
    return device_over(db, t, 1) || t->arena.used >= db->config.memtable_bytes ||
           quota_cost(db, t) >= (uint64_t)db->config.dirty_pages * MEM_COST_PAGE;
}

bool table_overfull(const struct oxbow *db, const struct memtable *t)
{
    uint64_t bytes = db->config.memtable_bytes;

    if (db->hold.why != OXBOW_OK) {
        return false;
    }
    return device_over(db, t, 2) || t->arena.used >= bytes + bytes / 4 ||
           quota_cost(db, t) >= quota_pages_most(&db->config) * MEM_COST_PAGE;
}

bool sync_due(const struct oxbow *db, const struct memtable *t)
{
    return !db->journal.on && db->lsn_wanted > db->lsn_durable && t->commits >= db->gather;
}

/* Whether a commit under `interval` is about to miss its promise: nothing new is taken on
 * under `interval` until it is on the device. */
static bool stalled(const struct oxbow *db)
{
    uint64_t late = db->active->interval.late_us;

    if (db->journal.on) {
        late = journal_late_us(db);
    } else if (db->frozen != NULL) {
        late = due_earlier(late, db->frozen->interval.late_us);
    }
    return late != 0 && store_now_us(db) >= late;
}

static bool has_room(struct oxbow *db, bool interval)
{
    bool overfull = table_overfull(db, db->active);

    if (db->hold.why != OXBOW_OK) {
        return true;
    }
    if (db->frozen != NULL && quota_waits(db)) {
        return false; /* what was given up comes free when this checkpoint ends */
    }
    if (overfull || (interval && stalled(db))) {
        db->freeze_wanted = db->freeze_wanted || overfull || !db->journal.on;
        db->port->threads.cond_signal(db->work);
        db->port->threads.cond_signal(db->journal_work);
        return false;
    }
    return true;
}

enum oxbow_err turn_take(struct oxbow *db, bool writer, bool interval)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t spins = 0;

    for (;;) {
        if (db->closing) {
            err = OXBOW_ECLOSED;
            break;
        }
        if (db->failed != OXBOW_OK) {
            err = OXBOW_EFAILED;
            break;
        }
        if (db->busy && spins < SPINS_MAX) {
            spins++;
            db->waiting++;
            store_unlock(db);
            store_lock(db);
            db->waiting--;
        } else if (db->busy) {
            db->waiting++;
            db->port->threads.cond_wait(db->turn_free, db->mutex, UINT64_MAX);
            db->waiting--;
        } else if (writer && journal_full(db)) {
            db->port->threads.cond_signal(db->turn_free); /* a reader needs no room */
            db->waiting++;
            journal_write(db);
            db->waiting--;
        } else if (writer && !has_room(db, interval)) {
            db->port->threads.cond_signal(db->turn_free); /* a reader needs no room */
            db->waiting++;
            db->port->threads.cond_wait(db->room, db->mutex, UINT64_MAX);
            db->waiting--;
        } else {
            db->busy = true;
            db->in_memory = db->hold.why != OXBOW_OK;
            return OXBOW_OK;
        }
    }
    if (!db->busy) {
        db->port->threads.cond_signal(db->turn_free); /* it may have been meant for another */
    }
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    return err;
}

enum oxbow_err oxbow_room(struct oxbow *db)
{
    bool room;

    store_lock(db);
    while (db->busy && !db->closing && db->failed == OXBOW_OK) { /* the tables are its owner's */
        db->waiting++;
        db->port->threads.cond_wait(db->turn_free, db->mutex, UINT64_MAX);
        db->waiting--;
    }
    room = db->closing || db->failed != OXBOW_OK ||
           (!journal_waits(db) && has_room(db, sync_any_interval(db)));
    db->room_asked = !room;
    if (!db->busy) {
        db->port->threads.cond_signal(db->turn_free); /* it may have been meant for another */
    }
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    store_unlock(db);
    return room ? OXBOW_OK : OXBOW_EAGAIN;
}

void turn_freeze(struct oxbow *db)
{
    struct memtable *full = db->active;

    db->active = full == &db->tables[0] ? &db->tables[1] : &db->tables[0];
    db->frozen = full;
    db->clock.frozen = db->clock.noted;
    db->freeze_wanted = false;
    db->journal.since_freeze = 0;
    db->port->threads.cond_signal(db->work);
    turn_room(db);
}

void turn_retire(struct oxbow *db)
{
    enum oxbow_err err = tree_renew(db->tree);

    if (err != OXBOW_OK) {
        store_fail(db, err);
        return;
    }
    memtable_reset(db->frozen, db->config.memtable_bytes + db->config.memtable_bytes / 4);
    db->frozen = NULL;
    db->retire_pending = false;
    tree_usage(db->tree, &db->usage);
    space_publish(db);
    db->keys = tree_header(db->tree)->keys;
    db->port->threads.cond_signal(db->work);
    turn_room(db);
}

bool idle_wanted(const struct oxbow *db)
{
    return (db->reap || db->idle_more != 0) && (db->frozen == NULL || db->hold.why != OXBOW_OK) &&
           (db->config.flags & OXBOW_OPEN_READONLY) == 0 && db->failed == OXBOW_OK && !db->stop &&
           db->idle_failed < STORE_IDLE_COUNT && !journal_full(db);
}

void turn_give(struct oxbow *db)
{
    if (db->retire_pending && db->failed == OXBOW_OK) {
        turn_retire(db);
    }
    if (!db->active->dirty && table_full(db, db->active) &&
        (db->config.flags & OXBOW_OPEN_READONLY) == 0) {
        memtable_reset(db->active, db->config.memtable_bytes); /* what aborts left behind */
    }
    db->freeze_wanted = db->freeze_wanted || db->freeze_soon;
    db->freeze_soon = false;
    if (db->frozen == NULL && db->active->dirty && db->hold.why == OXBOW_OK &&
        (db->freeze_wanted || table_full(db, db->active) || sync_due(db, db->active) ||
         journal_wants_freeze(db))) {
        turn_freeze(db);
    }
    db->used_bytes = quota_used(db);
    db->table_bytes = db->active->arena.used + (db->frozen != NULL ? db->frozen->arena.used : 0);
    db->hold.tidy = db->hold.tidy || (db->hold.tidy_soon && db->hold.why != OXBOW_OK);
    db->hold.tidy_soon = false;
    if (db->hold.waits || db->hold.tidy) {
        db->port->threads.cond_signal(db->work);
    }
    if (db->hold.waits) {
        db->hold.turn = true; /* still taken, as below */
        return;
    }
    if (db->idle_waits && idle_wanted(db) && !table_full(db, db->active)) {
        db->idle_turn = true; /* still taken: callers that never rest would leave it no gap */
        db->port->threads.cond_signal(db->work);
        return;
    }
    db->busy = false;
    db->port->threads.cond_signal(db->turn_free);
}

void store_fail(struct oxbow *db, enum oxbow_err err)
{
    char line[128];

    if (store_halted(db)) {
        return;
    }
    if (hold_takes(db, err)) {
        hold_begin(db, err);
    } else {
        db->failed = err;
        (void)snprintf(line, sizeof line,
                       "store: failed (%s): nothing is acknowledged until it is opened again",
                       oxbow_err_name(err));
        store_log(db, OXBOW_LOG_ERROR, line);
    }
    db->port->threads.cond_signal(db->work);
    db->port->threads.cond_broadcast(db->turn_free);
    turn_room(db);
    db->port->threads.cond_broadcast(db->settled);
    db->port->threads.cond_signal(db->journal_work);
    if (db->event != NULL) {
        db->port->threads.event_set(db->event);
    }
}
