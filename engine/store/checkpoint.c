/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint thread: the only one that begins or commits a write transaction of the tree. It
 * writes the frozen table, publishes the durable LSN, and between checkpoints lets the layers above
 * do their idle work.
 *
 * Invariants: (1) lsn_durable advances only after the tree's commit has returned success. (2) After
 * a commit that failed nothing is written any more: the store has failed. (3) The frozen table is
 * on the device before it is retired.
 */
#include "engine/store/value.h"

#define IDLE_STEP_US  20000u   /* between two steps of idle work */
#define IDLE_RETRY_US 1000000u /* after one that failed */
#define TIGHT_US      100000u  /* from a commit to its checkpoint while there is no room */
#define GATHER_PART   2u
#define GATHER_MAX_US 2000u

/* In how many microseconds the active table is due; 0: now. */
static uint64_t due_in(const struct oxbow *db, uint64_t now)
{
    const struct memtable *t = db->active;
    uint64_t due;

    if (!t->dirty) {
        return UINT64_MAX;
    }
    if (db->freeze_wanted || db->stop || sync_due(db, t) || journal_wants_freeze(db) ||
        (!db->busy && table_full(db, t))) {
        return 0;
    }
    due = t->oldest_us + (uint64_t)db->config.checkpoint_ms * 1000;
    if (db->quota_tight && t->oldest_us + TIGHT_US < due) {
        due = t->oldest_us + TIGHT_US;
    }
    if (db->journal.on) {
        return due > now ? due - now : 0;
    }
    due = due_earlier(due, t->interval.start_us);
    if (db->lsn_wanted > db->lsn_durable && db->gather_until_us < due) {
        due = db->gather_until_us;
    }
    return due > now ? due - now : 0;
}

/* ---- writing the frozen table ---- */

/* A value of which the table has only a part, or has it in pieces. */
static enum oxbow_err write_part(struct oxbow *db, struct oxbow_bytes key,
                                 const struct mem_entry *e)
{
    struct envelope_change change = {.back = {e->data, e->len - e->base}};
    size_t bottom = mem_bottom(e);

    if (e->front != NULL) {
        uint8_t *pieces = db->front + FRONT_BYTES;

        mem_gather(e, pieces, e->len);
        change.back = (struct oxbow_bytes){pieces + bottom, e->len - bottom};
    }
    if (bottom == 0) {
        return tree_write_put(db->tree, key, change.back);
    }
    if (e->patch != NULL) {
        change.at = e->patch->at;
        change.patch = (struct oxbow_bytes){e->patch->bytes, e->patch->len};
    }
    return tree_write_extend(db->tree, key, bottom, &change, db->front);
}

static enum oxbow_err write_entries(struct oxbow *db, const struct memtable *t)
{
    const struct mem_entry *e;
    enum oxbow_err err = OXBOW_OK;

    for (e = mem_first(t); e != NULL && err == OXBOW_OK; e = e->next[0]) {
        struct oxbow_bytes key = {mem_key(e), e->key_len};

        if (e->state == MEM_VALUE && e->base > 0) {
            err = write_part(db, key, e);
        } else if (e->state == MEM_VALUE) {
            err = tree_write_put(db->tree, key, (struct oxbow_bytes){e->data, e->len});
        } else if (e->state == MEM_TOMB) {
            err = tree_write_del(db->tree, key);
        }
    }
    return err;
}

/* Without the mutex: the frozen table is constant. */
static enum oxbow_err write_frozen(struct oxbow *db, const struct memtable *t,
                                   const struct tree_header *header)
{
    enum oxbow_err err = tree_write_begin(db->tree);

    if (err != OXBOW_OK) {
        return err;
    }
    err = write_entries(db, t);
    if (err != OXBOW_OK) {
        tree_write_abort(db->tree);
        return err;
    }
    return tree_write_commit(db->tree, header);
}

/* As many as this checkpoint has released will soon want the next: it waits for them, a small part
 * of what a checkpoint takes, rather than carry one of them and make the others wait for another.
 */
static void gather_next(struct oxbow *db, uint64_t commits, uint64_t began)
{
    uint64_t now = store_now_us(db);
    uint64_t wait = (now - began) / GATHER_PART;

    db->gather = commits + db->active->commits;
    db->gather_until_us = now + (wait < GATHER_MAX_US ? wait : GATHER_MAX_US);
}

static void checkpoint(struct oxbow *db)
{
    struct memtable *t = db->frozen;
    struct tree_header header = *tree_header(db->tree);
    uint64_t began;
    enum oxbow_err err;

    header.lsn = t->lsn;
    header.closed = db->stop && !db->busy && !db->active->dirty; /* the last of all */
    header.journal = db->journal.on;
    header.boot = db->boot;
    header.store_id = db->store_id;
    header.largest_txn = db->largest_txn;
    header.clock = db->clock.frozen;
    wear_save(db, &header);
    if (header.next_blob < t->next_blob) { /* blobs of aborted transactions used up ids as well */
        header.next_blob = t->next_blob;
    }
    began = store_now_us(db);
    store_unlock(db);
    err = write_frozen(db, t, &header);
    if (err == OXBOW_OK) {
        err = directory_check(db);
    }
    if (err == OXBOW_OK) {
        space_settle(db);
        backup_watch(db);
    }
    store_lock(db);
    if (err != OXBOW_OK) {
        store_fail(db, err);
        return;
    }
    db->lsn_tree = header.lsn;
    gather_next(db, t->commits, began);
    db->retire_pending = true;
    db->quota_tight = false;
    journal_publish(db);
}

enum oxbow_err checkpoint_now(struct oxbow *db, const struct tree_header *header)
{
    struct memtable *t = db->active;
    struct tree_header last = *header;
    enum oxbow_err err;

    last.largest_txn = db->largest_txn;
    last.clock = db->clock.noted;
    wear_save(db, &last);
    err = write_frozen(db, t, &last);
    if (err == OXBOW_OK) {
        space_settle(db);
        err = tree_renew(db->tree);
    }
    if (err == OXBOW_OK) {
        memtable_reset(t, db->config.memtable_bytes);
        db->lsn_tree = header->lsn;
        tree_usage(db->tree, &db->usage);
        space_publish(db);
        db->keys = tree_header(db->tree)->keys;
    }
    return err;
}

/* ---- idle work ---- */

/* Calls the hooks whose bits are set, in turn, until one has written or failed; clears their bits in
 * *due, and sets those of whoever wants another step. */
static enum oxbow_err call_hooks(struct oxbow_txn *txn, uint32_t *due)
{
    struct oxbow *db = txn->db;
    uint32_t again = 0;
    enum oxbow_err err = OXBOW_OK;
    unsigned n;

    for (n = 0; n < STORE_IDLE_COUNT && err == OXBOW_OK && txn->writes == 0; n++) {
        unsigned i = db->idle_next;
        enum oxbow_err (*hook)(struct oxbow_txn * txn, bool *more) = db->idle_hooks[i];
        uint32_t bit = (uint32_t)1 << i;
        bool more = false;

        db->idle_next = (i + 1) % STORE_IDLE_COUNT;
        if ((*due & bit) == 0) {
            continue;
        }
        *due &= ~bit;
        err = hook != NULL ? hook(txn, &more) : OXBOW_OK;
        again |= more || err != OXBOW_OK ? bit : 0;
    }
    *due |= again;
    return err;
}

/* One step of idle work, in a transaction of its own: our own reaping, else what the layers want.
 * With the mutex held, and the turn free or handed to us. */
static void idle_step(struct oxbow *db)
{
    enum oxbow_sync sync = db->journal.on ? OXBOW_SYNC_NONE : OXBOW_SYNC_INTERVAL;
    struct oxbow_txn_options opt = {.sync = sync, .flags = OXBOW_TXN_NOWAIT};
    bool reap = db->reap;
    uint32_t due = db->idle_more;
    struct oxbow_txn *txn;
    bool more = false;
    enum oxbow_err err;

    db->busy = true;
    db->in_memory = db->hold.why != OXBOW_OK;
    db->idle_turn = false;
    db->idle_waits = false;
    db->reap = false;
    db->idle_more = reap ? due : 0; /* who commits meanwhile may want another */
    store_unlock(db);
    txn = txn_start(db, &opt, sync);
    txn->internal = true;
    err = reap ? blob_reap(txn, &more) : call_hooks(txn, &due);
    if (err == OXBOW_OK) {
        err = oxbow_txn_commit(txn, NULL);
    } else {
        oxbow_txn_abort(txn);
    }
    if (err != OXBOW_OK) {
        store_log(db, OXBOW_LOG_WARN, "store: a step of idle work failed and will be tried again");
    }
    store_lock(db);
    db->idle_failed += db->closing && err != OXBOW_OK; /* there is no time to try again then */
    if (reap) {
        db->reap = db->reap || more || err != OXBOW_OK;
    } else {
        db->idle_more |= err == OXBOW_OK ? due : STORE_IDLE_ALL;
    }
    db->idle_at_us = store_now_us(db) + (err == OXBOW_OK ? IDLE_STEP_US : IDLE_RETRY_US);
    if (journal_full(db)) {
        db->port->threads.cond_signal(db->journal_work); /* we must not wait for room there */
    }
}

/* What was asked for is due: then a step is wanted at once. */
static void look_at_timer(struct oxbow *db, uint64_t now)
{
    if (now >= db->timer_us) {
        db->timer_us = UINT64_MAX;
        db->idle_more = STORE_IDLE_ALL;
        db->idle_at_us = now < db->idle_at_us ? now : db->idle_at_us;
    }
}

/* ---- the loop ---- */

/* One thing that is due, with the mutex held; false when there was none. */
static bool act(struct oxbow *db, uint64_t now)
{
    bool held = db->hold.why != OXBOW_OK;

    if (db->idle_turn) {
        idle_step(db);
        return true;
    }
    if (db->failed != OXBOW_OK) {
        return false;
    }
    if (db->blob_job != NULL && !held) {
        blob_serve(db);
        return true;
    }
    if (db->retire_pending) {
        if (db->busy) {
            return false; /* who has the turn does it */
        }
        turn_retire(db);
        db->idle_more = STORE_IDLE_ALL;
        return true;
    }
    if ((held && hold_act(db, now)) || stand_in_act(db, now)) {
        return true;
    }
    if (!held && db->frozen != NULL) {
        checkpoint(db);
        return true;
    }
    if (!held && due_in(db, now) == 0) {
        if (db->busy) {
            db->freeze_wanted = true;
            return false;
        }
        turn_freeze(db);
        return true;
    }
    if (idle_wanted(db) && (now >= db->idle_at_us || db->closing)) {
        if (!db->busy && !table_full(db, db->active)) {
            idle_step(db);
            return true;
        }
        db->idle_waits = true; /* whoever has the turn hands it over */
    }
    if (space_due(db, now) == 0) {
        space_step(db);
        return true;
    }
    return false;
}

/* In how many microseconds there is something to do, when nobody wakes us before. */
static uint64_t nothing_until(const struct oxbow *db, uint64_t now)
{
    uint64_t delay = db->failed != OXBOW_OK || db->frozen != NULL ? 0 : due_in(db, now);

    if (delay == 0) {
        delay = UINT64_MAX; /* who gives the turn back wakes us */
    }
    if (db->hold.why != OXBOW_OK) {
        delay = hold_until(db, now);
    }
    if (stand_in_until(db, now) < delay) {
        delay = stand_in_until(db, now);
    }
    if (idle_wanted(db) && !(db->idle_waits && (db->busy || table_full(db, db->active))) &&
        (delay == UINT64_MAX || db->idle_at_us < now + delay)) {
        delay = db->idle_at_us > now ? db->idle_at_us - now : 1;
    }
    if (db->timer_us != UINT64_MAX && db->timer_us - now < delay) {
        delay = db->timer_us - now;
    }
    return space_due(db, now) < delay ? space_due(db, now) : delay;
}

void checkpoint_run(void *arg)
{
    struct oxbow *db = arg;

    store_lock(db);
    for (;;) {
        uint64_t now = store_now_us(db);

        look_at_timer(db, now);
        if (act(db, now)) {
            continue;
        }
        if (db->stop && (db->failed != OXBOW_OK || db->hold.over ||
                         (!db->active->dirty && db->frozen == NULL))) {
            break;
        }
        db->port->threads.cond_wait(db->work, db->mutex, nothing_until(db, now));
    }
    store_unlock(db);
}

bool store_has_idle_hook(const struct oxbow *db, enum store_idle which)
{
    return db->idle_hooks[which] != NULL;
}
