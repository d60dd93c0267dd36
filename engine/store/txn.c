/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions: begin, commit, abort, and what they know of their surroundings. There is one
 * `struct oxbow_txn` per store, since one transaction at a time has the turn: nothing is allocated
 * for one.
 *
 * Invariants: (1) A commit that wrote, to other databases than caches, takes the next LSN, and the active
 * table's lsn is the newest committed to it. (2) What an aborted transaction did is taken back before the turn is given on.
 */
#include "engine/base/buf.h"
#include "engine/base/check.h"
#include "engine/base/codec.h"
#include "engine/store/store.h"

#include <string.h>

#define TOUCHED_FIRST 16u

static enum oxbow_sync sync_of(const struct oxbow *db, const struct oxbow_txn_options *opt)
{
    return opt != NULL && opt->sync != OXBOW_SYNC_DEFAULT ? opt->sync : db->sync;
}

struct oxbow_txn *txn_start(struct oxbow *db, const struct oxbow_txn_options *opt,
                            enum oxbow_sync sync)
{
    struct oxbow_txn *txn = &db->txn;

    txn->db = db;
    txn->writes = 0;
    txn->stored = 0;
    txn->bytes = 0;
    txn->failed = OXBOW_OK;
    txn->sync = sync;
    txn->by_database = false;
    txn->to_system = false;
    txn->interval_ms = 0;
    txn->flags = opt != NULL ? opt->flags : 0;
    txn->database = opt != NULL ? opt->database : 0;
    txn->databases = txn->databases_new = 1u << txn->database;
    txn->internal = false;
    txn->replayed = false;
    txn->wall_read = false;
    db->clock.read = false;
    txn->touched_count = 0;
    txn->cursors = 0;
    txn->blobs = false;
    txn->ahead = 0;
    return txn;
}

enum oxbow_err oxbow_txn_begin(struct oxbow *db, const struct oxbow_txn_options *opt,
                               struct oxbow_txn **out)
{
    bool writer = opt == NULL || (opt->flags & OXBOW_TXN_READ) == 0;
    bool by_database = opt == NULL || opt->sync == OXBOW_SYNC_DEFAULT;
    enum oxbow_sync sync;
    enum oxbow_err err;

    if (opt != NULL && opt->database >= STORE_DATABASES) {
        return OXBOW_ENODB;
    }
    if (opt != NULL &&
        (opt->sync > OXBOW_SYNC_NONE || (opt->flags & ~(OXBOW_TXN_READ | OXBOW_TXN_NOWAIT |
                                                        OXBOW_TXN_FORCE | OXBOW_TXN_LAZY)) != 0)) {
        return OXBOW_EINVAL;
    }
    if (writer && (db->config.flags & OXBOW_OPEN_READONLY) != 0) {
        return OXBOW_EREADONLY;
    }
    store_lock(db);
    if (opt != NULL && opt->sync == OXBOW_SYNC_NONE && !db->journal.on) {
        store_unlock(db);
        return OXBOW_ENOTSUP;
    }
    sync = sync_of(db, opt);
    err = turn_take(db, writer,
                    sync == OXBOW_SYNC_INTERVAL || (by_database && sync_any_interval(db)));
    store_unlock(db);
    if (err == OXBOW_OK) {
        *out = txn_start(db, opt, sync);
        (*out)->by_database = by_database;
    }
    return err;
}

/* The active table has one commit more. With the mutex held. */
static void note_commit(struct oxbow *db, const struct oxbow_txn *txn)
{
    struct memtable *t = db->active;

    db->lsn_applied++;
    db->payload_bytes += txn->bytes + txn->ahead;
    if (txn->bytes > db->largest_txn) {
        db->largest_txn = txn->bytes;
    }
    t->lsn = db->lsn_applied;
    t->next_blob = db->next_blob;
    t->dirty = true;
    t->commits += txn->sync == OXBOW_SYNC_ALWAYS;
    if (db->journal.on) {
        journal_commit(db, t->lsn, txn->sync, txn->interval_ms);
    }
    if (t->oldest_us == 0 ||
        (txn->sync == OXBOW_SYNC_INTERVAL && due_may_move(&t->interval, db->own_policies))) {
        uint64_t now = store_now_us(db);
        bool starts = t->oldest_us == 0;

        t->oldest_us = starts ? now : t->oldest_us;
        if (txn->sync == OXBOW_SYNC_INTERVAL) {
            starts = due_add(&t->interval, now, txn->interval_ms) || starts;
        }
        if (starts) {
            db->port->threads.cond_signal(db->work); /* its clock starts, or goes faster */
        }
    }
}

/* Under `always` the device is asked at once; who waits for it does it alone if there is a journal.
 * Others may have waited for this LSN before it was committed. */
static void ask_for_sync(struct oxbow *db, const struct oxbow_txn *txn, bool waits)
{
    bool asks = (txn->flags & OXBOW_TXN_LAZY) == 0 && !(db->journal.on && waits);

    if (txn->sync == OXBOW_SYNC_ALWAYS && asks && db->lsn_wanted < db->lsn_applied) {
        db->lsn_wanted = db->lsn_applied;
    }
    if (db->journal.on && db->lsn_wanted >= db->lsn_applied) {
        db->port->threads.cond_signal(db->journal_work);
    }
}

/* What was deleted is reaped soon, large values at once. */
static void ask_for_idle_work(struct oxbow *db, const struct oxbow_txn *txn)
{
    if (txn->blobs && !db->reap) {
        db->reap = true;
        db->idle_at_us = 0;
        db->port->threads.cond_signal(db->work);
    }
    if (txn->writes > 0 && db->idle_more != STORE_IDLE_ALL && !txn->internal) {
        bool none = db->idle_more == 0;

        db->idle_more = STORE_IDLE_ALL;
        db->idle_at_us = none ? store_now_us(db) + STORE_IDLE_US : db->idle_at_us;
        db->port->threads.cond_signal(db->work);
    }
}

static void call_hooks(struct oxbow *db, const struct oxbow_txn *txn, uint64_t lsn)
{
    size_t i;

    if (db->touch_hook == NULL) {
        return;
    }
    for (i = 0; i < txn->touched_count; i++) {
        db->touch_hook(db->touch_ctx, txn->touched[i], lsn);
    }
}

/* Takes the lock, whatever it returns: what stands against the commit. */
static enum oxbow_err commit_begin(struct oxbow_txn *txn)
{
    struct oxbow *db = txn->db;
    bool writes = txn->failed == OXBOW_OK && txn->stored > 0;

    if (writes && !db->in_memory) {
        quota_look_ahead(db);
    }
    if (writes) {
        clock_note(db);
    }
    store_lock(db);
    sync_decide(txn);
    if (!writes) {
        return txn->failed;
    }
    return db->failed != OXBOW_OK ? OXBOW_EFAILED : journal_room(db);
}

static void commit_writes(struct oxbow_txn *txn, bool wait)
{
    struct oxbow *db = txn->db;

    undo_commit(&txn->undo, db->active);
    if (txn->stored > 0) {
        note_commit(db, txn);
    }
    if (db->commit_hook != NULL) {
        db->commit_hook(db->commit_ctx);
    }
    if (txn->stored > 0) {
        ask_for_sync(db, txn, wait);
    }
    if (db->hold.why != OXBOW_OK && db->event != NULL) {
        db->port->threads.event_set(db->event); /* it is as settled as it will be */
    }
}

enum oxbow_err oxbow_txn_commit(struct oxbow_txn *txn, uint64_t *lsn)
{
    struct oxbow *db = txn->db;
    enum oxbow_err err;
    bool wait;
    bool to_system; /* the turn given back, the transaction may be another's */
    bool internal = txn->internal;
    bool told = !internal && (txn->flags & OXBOW_TXN_NOWAIT) == 0;
    uint64_t at;

    CHECK(db->port, txn->cursors == 0);
    err = commit_begin(txn);
    if (err != OXBOW_OK) {
        store_unlock(db);
        oxbow_txn_abort(txn);
        return err;
    }
    wait = txn->sync == OXBOW_SYNC_ALWAYS && (txn->flags & OXBOW_TXN_NOWAIT) == 0;
    to_system = txn->sync != OXBOW_SYNC_ALWAYS || txn->to_system;
    if (txn->writes > 0) {
        commit_writes(txn, wait);
    }
    cache_settle(db, true);
    expired_settle(db, true);
    at = db->lsn_applied;
    ask_for_idle_work(db, txn);
    if (txn->touched_count > 0) {
        store_unlock(db);
        call_hooks(db, txn, at);
        store_lock(db);
    }
    turn_give(db);
    if (wait) {
        err = sync_wait(db, at, -1);
    } else if (db->journal.on && to_system && !internal) {
        err = journal_written(db, at);
    }
    if (err == OXBOW_OK || err == OXBOW_EVOLATILE) {
        bool held = (db->hold.why != OXBOW_OK && at > db->lsn_durable) || store_stands_in(db);

        err = told && held ? OXBOW_EVOLATILE : OXBOW_OK;
    }
    store_unlock(db);
    if ((err == OXBOW_OK || err == OXBOW_EVOLATILE) && lsn != NULL) {
        *lsn = at;
    }
    return err;
}

void oxbow_txn_abort(struct oxbow_txn *txn)
{
    struct oxbow *db = txn->db;

    CHECK(db->port, txn->cursors == 0);
    undo_abort(&txn->undo, db->active);
    cache_settle(db, false);
    expired_settle(db, false);
    journal_drop(db);
    if (!txn_readonly(txn)) {
        db->aborts++;
    }
    store_lock(db);
    ask_for_idle_work(db, txn);
    turn_give(db);
    store_unlock(db);
}

enum oxbow_err oxbow_txn_select(struct oxbow_txn *txn, uint32_t database)
{
    if (database >= STORE_DATABASES) {
        return OXBOW_ENODB;
    }
    txn->database = database;
    txn_enter(txn, database);
    return OXBOW_OK;
}

void txn_enter(struct oxbow_txn *txn, uint32_t database)
{
    txn->databases |= 1u << database;
    txn->databases_new |= 1u << database;
}

uint32_t oxbow_txn_databases(struct oxbow_txn *txn)
{
    uint32_t databases = txn->databases_new;

    txn->databases_new = 0;
    return databases;
}

/* ---- surroundings ---- */

void store_set_commit_hook(struct oxbow *db, void (*hook)(void *ctx), void *ctx)
{
    store_lock(db);
    db->commit_hook = hook;
    db->commit_ctx = ctx;
    store_unlock(db);
}

uint64_t store_abort_count(const struct oxbow *db)
{
    return db->aborts;
}

struct oxbow *txn_store(const struct oxbow_txn *txn)
{
    return txn->db;
}

void *txn_slot_get(const struct oxbow_txn *txn, enum store_slot slot)
{
    return txn->db->slots[slot].p;
}

const struct oxbow_port *txn_port(const struct oxbow_txn *txn)
{
    return txn->db->port;
}

uint32_t txn_database(const struct oxbow_txn *txn)
{
    return txn->database;
}

bool txn_is_cache(const struct oxbow_txn *txn, uint32_t database)
{
    return (txn->db->cache.databases & (1u << database)) != 0;
}

bool txn_in_cache(const struct oxbow_txn *txn)
{
    return txn_is_cache(txn, txn->database);
}

uint64_t txn_cache_id(struct oxbow_txn *txn)
{
    return cache_id(&txn->db->cache);
}

bool txn_forced(const struct oxbow_txn *txn)
{
    return (txn->flags & OXBOW_TXN_FORCE) != 0;
}

bool txn_readonly(const struct oxbow_txn *txn)
{
    return (txn->flags & OXBOW_TXN_READ) != 0;
}

uint32_t txn_entry_bytes_max(const struct oxbow_txn *txn)
{
    return txn->db->config.entry_bytes;
}

uint32_t txn_names_max(const struct oxbow_txn *txn)
{
    return txn->db->config.names_max;
}

uint32_t txn_bytes_max(const struct oxbow_txn *txn)
{
    return txn->db->config.txn_bytes;
}

uint64_t txn_wall_ms(struct oxbow_txn *txn)
{
    const struct oxbow_clock *clock = &txn->db->port->clock;

    if (!txn->wall_read) {
        txn->wall_ms = clock->wall_ms(clock->ctx);
        txn->wall_read = true;
    }
    return txn->wall_ms;
}

uint64_t txn_uptime_ms(struct oxbow_txn *txn)
{
    return clock_mono_ms(txn->db);
}

uint64_t txn_clock_ms(const struct oxbow_txn *txn)
{
    return clock_now(txn->db);
}

uint64_t oxbow_txn_changes(const struct oxbow_txn *txn)
{
    return txn->writes;
}

bool oxbow_txn_filled(const struct oxbow_txn *txn)
{
    return journal_half_full(txn->db);
}

void oxbow_txn_refuse(struct oxbow_txn *txn, enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)txn_fail(txn, err);
    }
}

enum oxbow_err txn_failed(const struct oxbow_txn *txn)
{
    return txn->failed;
}

void txn_clock_start(const struct oxbow_txn *txn, struct txn_clock_start *out)
{
    *out = txn->db->clock.start;
}

uint64_t txn_clock_added_ms(const struct oxbow_txn *txn)
{
    (void)clock_now(txn->db);
    return txn->db->clock.live.added_ms;
}

bool txn_clock_unsure(const struct oxbow_txn *txn)
{
    (void)clock_now(txn->db);
    return !txn->db->clock.believed && txn->db->clock.live.wall_ms != 0;
}

bool txn_wall_believed(const struct oxbow_txn *txn, uint64_t *wall_ms)
{
    return clock_wall(txn->db, wall_ms);
}

void txn_clock_raise(struct oxbow_txn *txn, uint64_t ms)
{
    clock_raise(txn->db, ms);
}

void txn_idle_at(struct oxbow_txn *txn, uint64_t clock_ms)
{
    struct oxbow *db = txn->db;
    uint64_t at = clock_at_us(db, clock_ms);

    store_lock(db);
    if (at < db->timer_us) {
        db->timer_us = at;
        db->port->threads.cond_signal(db->work);
    }
    store_unlock(db);
}

uint64_t txn_store_id(const struct oxbow_txn *txn)
{
    return txn->db->store_id;
}

uint64_t txn_boot(const struct oxbow_txn *txn)
{
    return txn->db->boot;
}

enum oxbow_err txn_touch(struct oxbow_txn *txn, uint64_t object)
{
    const struct oxbow_alloc *alloc = &txn->db->port->alloc;
    size_t i;

    for (i = txn->touched_count; i > 0; i--) {
        if (txn->touched[i - 1] == object) {
            return OXBOW_OK;
        }
    }
    if (txn->touched_count == txn->touched_cap) {
        size_t cap = txn->touched_cap == 0 ? TOUCHED_FIRST : txn->touched_cap * 2;
        uint64_t *more = alloc->resize(alloc->ctx, txn->touched, txn->touched_cap * sizeof *more,
                                       cap * sizeof *more);

        if (more == NULL) {
            return txn_fail(txn, OXBOW_ENOMEM);
        }
        txn->touched = more;
        txn->touched_cap = cap;
    }
    txn->touched[txn->touched_count++] = object;
    return OXBOW_OK;
}
