/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for durability, asking for it, and being told. What makes things durable are the journal's
 * syncs (journal_io.c) and, without one or past it, checkpoints (checkpoint.c). And the policies, of the
 * store and of its databases, that say who waits.
 */
#include "engine/store/store.h"

#define MS_MAX (INT64_MAX / 1000)

/* Lets the threads know that somebody wants everything up to lsn on the device. */
static void want(struct oxbow *db, uint64_t lsn)
{
    if (lsn > db->lsn_wanted) {
        db->lsn_wanted = lsn;
    }
    if (!db->journal.on) {
        db->port->threads.cond_signal(db->work);
    } else if (journal_can_sync(db)) {
        db->port->threads.cond_signal(db->journal_work);
    } else {
        journal_ask_tree(db, db->journal.gap_last); /* and then a sync, for what came after it */
    }
}

/* A wait for what was never committed is over: it must not hasten the syncs of all that follows. Who
 * else waits asks again. */
static void want_no_more(struct oxbow *db, uint64_t lsn)
{
    if (lsn == db->lsn_wanted && lsn > db->lsn_applied) {
        db->lsn_wanted = db->lsn_applied;
        db->port->threads.cond_broadcast(db->settled);
    }
}

/* Whether it is for the threads to make lsn durable. */
static bool left_to_threads(const struct oxbow *db, uint64_t lsn, int64_t timeout_ms)
{
    return timeout_ms >= 0 || !db->journal.on || !journal_can_sync(db) || lsn > db->lsn_applied;
}

/* Who has to wait anyway makes the sync, unless one is under way or it is up to a checkpoint. */
static bool lead(struct oxbow *db, uint64_t lsn)
{
    if (!db->journal.on || !journal_can_sync(db) || db->journal.syncing || lsn > db->lsn_applied) {
        return false;
    }
    journal_sync(db, true);
    return true;
}

/* Why there is nothing left to wait for. */
static enum oxbow_err no_use_waiting(const struct oxbow *db, uint64_t now, uint64_t end)
{
    if (db->failed != OXBOW_OK) {
        return OXBOW_EINDOUBT;
    }
    if (db->hold.why != OXBOW_OK) {
        return OXBOW_EVOLATILE;
    }
    if (db->closing && db->thread == NULL) {
        return OXBOW_ECLOSED;
    }
    return end != UINT64_MAX && now >= end ? OXBOW_ETIMEDOUT : OXBOW_OK;
}

enum oxbow_err sync_wait(struct oxbow *db, uint64_t lsn, int64_t timeout_ms)
{
    uint64_t now = timeout_ms < 0 ? 0 : store_now_us(db);
    uint64_t end =
        timeout_ms < 0 || timeout_ms > MS_MAX ? UINT64_MAX : now + (uint64_t)timeout_ms * 1000;
    enum oxbow_err err = OXBOW_OK;

    if (lsn > db->lsn_durable && left_to_threads(db, lsn, timeout_ms)) {
        want(db, lsn);
    } else if (lsn > db->lsn_durable) {
        journal_came(db, 1);
    }
    db->waiting++;
    while (err == OXBOW_OK && lsn > db->lsn_durable) {
        now = end != UINT64_MAX ? store_now_us(db) : 0;
        err = no_use_waiting(db, now, end);
        if (err != OXBOW_OK) {
            continue;
        }
        if (timeout_ms < 0 && lead(db, lsn)) {
            continue;
        }
        if (lsn > db->lsn_wanted && left_to_threads(db, lsn, timeout_ms)) {
            want(db, lsn);
        }
        db->port->threads.cond_wait(db->settled, db->mutex,
                                    end == UINT64_MAX ? UINT64_MAX : end - now);
    }
    db->waiting--;
    want_no_more(db, lsn);
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    return err;
}

enum oxbow_err oxbow_wait(struct oxbow *db, uint64_t lsn, int64_t timeout_ms)
{
    enum oxbow_err err;

    store_lock(db);
    err = sync_wait(db, lsn, timeout_ms);
    err = err == OXBOW_OK && store_stands_in(db) ? OXBOW_EVOLATILE : err;
    store_unlock(db);
    return err;
}

enum oxbow_err oxbow_flush(struct oxbow *db)
{
    enum oxbow_err err;

    store_lock(db);
    err = sync_wait(db, db->lsn_applied, -1);
    err = err == OXBOW_OK && store_stands_in(db) ? OXBOW_EVOLATILE : err;
    store_unlock(db);
    return err;
}

uint64_t oxbow_durable_lsn(struct oxbow *db)
{
    uint64_t lsn;

    store_lock(db);
    lsn = db->lsn_durable;
    store_unlock(db);
    return lsn;
}

void oxbow_sync_start(struct oxbow *db, uint64_t lsn)
{
    store_lock(db);
    if (lsn > db->lsn_durable) {
        want(db, lsn < db->lsn_applied ? lsn : db->lsn_applied);
    }
    store_unlock(db);
}

enum oxbow_err oxbow_sync_gather(struct oxbow *db, uint64_t lsn, uint32_t waiters)
{
    struct journal *j = &db->journal;
    enum oxbow_err err = OXBOW_OK;

    store_lock(db);
    lsn = lsn < db->lsn_applied ? lsn : db->lsn_applied;
    if (lsn > db->lsn_durable) {
        err = no_use_waiting(db, 0, UINT64_MAX);
    }
    if (err != OXBOW_OK || lsn <= db->lsn_durable) {
        store_unlock(db);
        return err;
    }
    if (!j->on || !journal_can_sync(db)) {
        want(db, lsn);
    } else if (waiters > 0 || lsn > j->lsn_gather) {
        j->lsn_gather = lsn > j->lsn_gather ? lsn : j->lsn_gather;
        journal_came(db, waiters);
        if (!j->syncing) {
            db->port->threads.cond_signal(db->journal_work); /* else its end does */
        }
    }
    store_unlock(db);
    return OXBOW_OK;
}

int oxbow_durable_fd(struct oxbow *db)
{
    return db->event != NULL ? db->port->threads.event_fd(db->event) : -1;
}

void oxbow_durable_clear(struct oxbow *db)
{
    if (db->event != NULL) {
        db->port->threads.event_clear(db->event);
    }
}

/* ---- policies ---- */

/* What was committed so far goes to the device at once. */
static void settle_old(struct oxbow *db)
{
    if (db->lsn_applied > db->lsn_durable) {
        want(db, db->lsn_applied);
    }
}

static void policies_changed(struct oxbow *db)
{
    db->port->threads.cond_signal(db->work);
    db->port->threads.cond_signal(db->journal_work);
    turn_room(db); /* it may be late no more */
}

enum oxbow_err oxbow_set_sync(struct oxbow *db, enum oxbow_sync sync, uint32_t interval_ms)
{
    if (sync < OXBOW_SYNC_ALWAYS || sync > OXBOW_SYNC_NONE || interval_ms > STORE_INTERVAL_MAX) {
        return OXBOW_EINVAL;
    }
    store_lock(db);
    if (sync == OXBOW_SYNC_NONE && !db->journal.on) {
        store_unlock(db);
        return OXBOW_ENOTSUP;
    }
    db->sync = sync;
    if (interval_ms > 0 && interval_ms != db->interval_ms) {
        db->interval_ms = interval_ms;
        settle_old(db); /* it was promised another time */
    }
    policies_changed(db);
    store_unlock(db);
    return OXBOW_OK;
}

/* ---- databases ---- */

static struct database_sync policy_of(const struct oxbow *db, uint32_t database)
{
    struct database_sync p = db->own[database];

    p.sync = p.sync != OXBOW_SYNC_DEFAULT ? p.sync : db->sync;
    p.interval_ms = p.interval_ms != 0 ? p.interval_ms : db->interval_ms;
    return p;
}

bool sync_any_interval(const struct oxbow *db)
{
    bool any = db->sync == OXBOW_SYNC_INTERVAL;

    for (uint32_t i = 0; db->own_policies && !any && i < STORE_DATABASES; i++) {
        any = db->own[i].sync == OXBOW_SYNC_INTERVAL;
    }
    return any;
}

void sync_decide(struct oxbow_txn *txn)
{
    const struct oxbow *db = txn->db;
    enum oxbow_sync strictest = OXBOW_SYNC_NONE;

    uint32_t databases = txn->databases & ~db->cache.databases; /* those wait for nothing */

    txn->interval_ms = db->interval_ms;
    if (!txn->by_database || (!db->own_policies && db->cache.databases == 0)) {
        return;
    }
    txn->interval_ms = STORE_INTERVAL_MAX;
    for (uint32_t i = 0; i < STORE_DATABASES; i++) {
        struct database_sync p = policy_of(db, i);

        if ((databases & (1u << i)) == 0) {
            continue;
        }
        strictest = p.sync < strictest ? p.sync : strictest; /* their numbers go by that */
        txn->to_system = txn->to_system || p.sync != OXBOW_SYNC_ALWAYS;
        if (p.sync == OXBOW_SYNC_INTERVAL && p.interval_ms < txn->interval_ms) {
            txn->interval_ms = p.interval_ms;
        }
    }
    txn->sync = strictest;
}

bool txn_waits(struct oxbow_txn *txn)
{
    store_lock(txn->db);
    sync_decide(txn);
    store_unlock(txn->db);
    return txn->sync == OXBOW_SYNC_ALWAYS;
}

enum oxbow_err oxbow_set_database_sync(struct oxbow *db, uint32_t database, enum oxbow_sync sync,
                                       uint32_t interval_ms)
{
    if (database >= STORE_DATABASES) {
        return OXBOW_ENODB;
    }
    if (sync > OXBOW_SYNC_NONE || interval_ms > STORE_INTERVAL_MAX) {
        return OXBOW_EINVAL;
    }
    if ((db->cache.databases & (1u << database)) != 0) {
        return OXBOW_ENOTSUP;
    }
    store_lock(db);
    if (sync == OXBOW_SYNC_NONE && !db->journal.on) {
        store_unlock(db);
        return OXBOW_ENOTSUP;
    }
    db->own[database] = (struct database_sync){
        sync, sync == OXBOW_SYNC_INTERVAL ? interval_ms : 0 /* the others have none */};
    db->own_policies = false;
    for (uint32_t i = 0; i < STORE_DATABASES; i++) {
        db->own_policies = db->own_policies || db->own[i].sync != OXBOW_SYNC_DEFAULT;
    }
    settle_old(db); /* what is in the database may be less safe than it is said to be now */
    policies_changed(db);
    store_unlock(db);
    return OXBOW_OK;
}

enum oxbow_err oxbow_database_sync(struct oxbow *db, uint32_t database, enum oxbow_sync *sync,
                                   uint32_t *interval_ms)
{
    struct database_sync p;

    if (database >= STORE_DATABASES) {
        return OXBOW_ENODB;
    }
    store_lock(db);
    p = policy_of(db, database);
    store_unlock(db);
    if ((db->cache.databases & (1u << database)) != 0) {
        p = (struct database_sync){OXBOW_SYNC_NONE, 0};
    }
    *sync = p.sync;
    *interval_ms = p.interval_ms;
    return OXBOW_OK;
}
