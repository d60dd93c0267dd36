/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store, and what it says of itself. Open is the one path of recovery: a
 * store that failed, crashed or was closed is opened the same way.
 */
#include "engine/base/buf.h"
#include "engine/base/check.h"
#include "engine/store/catalog.h"
#include "engine/store/salvage.h"
#include "engine/store/value.h"

#include <stdio.h>
#include <string.h>

#define INTERVAL_DEFAULT 1000u
#define OPEN_FLAGS                                                                                 \
    (OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY | OXBOW_OPEN_STRICT | OXBOW_OPEN_REPAIR)
#define MAP_MIN_64         (1ull << 30)
#define MAP_32             (512ull << 20)
#define DIRTY_DEFAULT      3072u
#define DIRTY_MIN          16u
#define DIRTY_MAX          16384u
#define MEMTABLE_DEFAULT   (4u << 20)
#define MEMTABLE_MIN       (64u << 10)
#define MEMTABLE_MAX       (256u << 20)
#define NAMES_DEFAULT      2048u
#define NAMES_MIN          32u
#define NAMES_MAX          (1u << 20)
#define CHECKPOINT_DEFAULT 60000u
#define TXN_DEFAULT        (16u << 20)
#define TXN_MIN            (64u << 10)
#define TXN_MAX            (256u << 20)
#define ENTRY_DEFAULT      (64u << 20)
#define ENTRY_MAX          (256u << 20)
#define MEMORY_DEFAULT     (16u << 20)
#define MEMORY_MIN         (1u << 20)
#define MEMORY_MAX         (128u << 20) /* what it makes of it is one commit: hold.c */
#define CLOSE_TRIES        10000u /* looks at a turn that is taken when the store is to close */
#define CLOSE_TRY_US       1000u
/* Looks at idle work that waits to be done: programs that open, do one thing and close again would
 * never give back the space of what they deleted. */
#define CLOSE_IDLE_TRIES 100u

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
    return v != 0 ? v : dflt;
}

static bool outside(uint64_t v, uint64_t low, uint64_t high)
{
    return v < low || v > high;
}

static enum oxbow_err fill_config(struct oxbow_config *c)
{
    uint64_t map_max = sizeof(size_t) > 4 ? 1ull << 46 : 3ull << 30;

    c->sync = c->sync != OXBOW_SYNC_DEFAULT ? c->sync : OXBOW_SYNC_ALWAYS;
    c->interval_ms = or_default(c->interval_ms, INTERVAL_DEFAULT);
    c->dirty_pages = or_default(c->dirty_pages, DIRTY_DEFAULT);
    c->memtable_bytes = or_default(c->memtable_bytes, MEMTABLE_DEFAULT);
    c->names_max = or_default(c->names_max, NAMES_DEFAULT);
    c->checkpoint_ms = or_default(c->checkpoint_ms, CHECKPOINT_DEFAULT);
    c->txn_bytes = or_default(c->txn_bytes, TXN_DEFAULT);
    c->entry_bytes = or_default(c->entry_bytes, ENTRY_DEFAULT);
    c->journal = c->journal != OXBOW_JOURNAL_DEFAULT ? c->journal : OXBOW_JOURNAL_ON;
    c->journal_bytes = (c->journal_bytes + RING_BLOCK - 1) & ~(RING_BLOCK - 1);
    c->level = or_default(c->level, OXBOW_FORMAT_LEVEL);
    c->memory_max = c->memory_max != 0 ? c->memory_max : MEMORY_DEFAULT;
    quota_limits(c);
    if (c->map_bytes == 0 && sizeof(size_t) > 4) {
        c->map_bytes = 4 * c->quota_bytes > MAP_MIN_64 ? 4 * c->quota_bytes : MAP_MIN_64;
    } else if (c->map_bytes == 0) {
        c->map_bytes = MAP_32;
    }
    c->map_bytes &= ~(uint64_t)0xffff;
    if (c->sync == OXBOW_SYNC_NONE && c->journal == OXBOW_JOURNAL_OFF) {
        return OXBOW_ENOTSUP;
    }
    if (c->sync > OXBOW_SYNC_NONE || (c->flags & ~OPEN_FLAGS) != 0 ||
        ((c->flags & OXBOW_OPEN_REPAIR) != 0 &&
         (c->flags & (OXBOW_OPEN_READONLY | OXBOW_OPEN_STRICT)) != 0) ||
        outside(c->interval_ms, 1, STORE_INTERVAL_MAX) ||
        outside(c->quota_bytes, QUOTA_MIN, map_max / 4) || c->map_bytes > map_max ||
        !quota_fits(c) || outside(c->dirty_pages, DIRTY_MIN, DIRTY_MAX) ||
        outside(c->memtable_bytes, MEMTABLE_MIN, MEMTABLE_MAX) ||
        outside(c->names_max, NAMES_MIN, NAMES_MAX) || c->journal > OXBOW_JOURNAL_OFF ||
        (c->journal_segments != 0 && outside(c->journal_segments, 2, RING_SEGMENTS)) ||
        (c->journal_bytes != 0 && outside(c->journal_bytes, RING_BYTES_MIN, RING_BYTES_MAX)) ||
        outside(c->txn_bytes, TXN_MIN, TXN_MAX) || outside(c->entry_bytes, 1, ENTRY_MAX) ||
        c->on_foreign > OXBOW_FOREIGN_SET_ASIDE || outside(c->level, 1, OXBOW_FORMAT_LEVEL) ||
        c->on_failure > OXBOW_FAILURE_MEMORY || outside(c->memory_max, MEMORY_MIN, MEMORY_MAX) ||
        (c->on_failure == OXBOW_FAILURE_MEMORY && (c->flags & OXBOW_OPEN_READONLY) != 0)) {
        return OXBOW_EINVAL;
    }
    return OXBOW_OK;
}

static enum oxbow_err open_threads(struct oxbow *db)
{
    const struct oxbow_threads *threads = &db->port->threads;
    enum oxbow_err err = threads->mutex_open(threads->ctx, &db->mutex);

    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->turn_free);
    }
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->room);
    }
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->settled);
    }
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->work);
    }
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->journal_work);
    }
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &db->gathered);
    }
    if (err == OXBOW_OK) {
        err = threads->mutex_open(threads->ctx, &db->backup.mutex);
    }
    if (err == OXBOW_OK) {
        err = threads->event_open(threads->ctx, &db->event);
        if (err == OXBOW_ENOTSUP) {
            db->event = NULL;
            err = OXBOW_OK;
        }
    }
    return err;
}

enum oxbow_err store_memory(struct oxbow *db)
{
    const struct oxbow_alloc *alloc = &db->port->alloc;
    size_t len = strlen(db->config.dir);
    char *dir = alloc->resize(alloc->ctx, NULL, 0, len + 1);
    enum oxbow_err err;

    if (dir != NULL) {
        memcpy(dir, db->config.dir, len + 1);
    }
    db->config.dir = dir;
    db->path_bytes = len + STORE_PATH_ROOM;
    db->path = mem_new(alloc, db->path_bytes);
    db->front = mem_new(alloc, FRONT_BYTES + PIECES_MAX);
    if (dir == NULL || db->path == NULL || db->front == NULL) {
        return OXBOW_ENOMEM;
    }
    undo_init(&db->txn.undo, alloc);
    err = memtable_init(&db->tables[0], alloc);
    if (err == OXBOW_OK) {
        err = memtable_init(&db->tables[1], alloc);
    }
    if (err == OXBOW_OK && db->config.cache_databases != 0) {
        err = cache_init(&db->cache, alloc, db->config.cache_databases, &db->config.cache);
    }
    db->active = &db->tables[0];
    return err;
}

static void close_slot(struct oxbow *db, enum store_slot slot)
{
    struct slot s = db->slots[slot];

    db->slots[slot] = (struct slot){NULL, NULL};
    if (s.p != NULL && s.close != NULL) {
        s.close(db, s.p);
    }
}

static void close_slots(struct oxbow *db)
{
    unsigned i;

    for (i = 0; i < STORE_SLOT_COUNT; i++) {
        close_slot(db, (enum store_slot)i);
    }
}

static void free_threads(struct oxbow *db)
{
    const struct oxbow_threads *threads = &db->port->threads;
    struct oxbow_cond *conds[] = {db->turn_free, db->room,         db->settled,
                                  db->work,      db->journal_work, db->gathered};
    size_t i;

    if (db->event != NULL) {
        threads->event_close(db->event);
    }
    for (i = 0; i < sizeof conds / sizeof conds[0]; i++) {
        if (conds[i] != NULL) {
            threads->cond_close(conds[i]);
        }
    }
    if (db->backup.mutex != NULL) {
        threads->mutex_close(db->backup.mutex);
    }
    if (db->mutex != NULL) {
        threads->mutex_close(db->mutex);
    }
}

void store_release(struct oxbow *db)
{
    const struct oxbow_alloc *alloc = &db->port->alloc;

    close_slots(db);
    while (db->cursors_kept > 0) {
        tree_cursor_close(db->cursors[--db->cursors_kept]);
    }
    if (db->tree != NULL) {
        tree_close(db->tree);
    }
    space_close(db);
    memtable_fini(&db->tables[0]);
    memtable_fini(&db->tables[1]);
    cache_fini(&db->cache);
    if (db->txn.undo.alloc != NULL) {
        undo_fini(&db->txn.undo);
    }
    mem_free(alloc, db->txn.touched, db->txn.touched_cap * sizeof *db->txn.touched);
    free_threads(db);
    expired_fini(db);
    journal_close(db);
    directory_close(db);
    stand_in_free(db);
    if (db->config.dir != NULL) {
        union {
            const char *in;
            char *out;
        } drop = {db->config.dir}; /* our own copy */

        mem_free(alloc, drop.out, strlen(drop.out) + 1);
    }
    mem_free(alloc, db->path, db->path_bytes);
    mem_free(alloc, db->front, FRONT_BYTES + PIECES_MAX);
    mem_free(alloc, db, sizeof *db);
}

static void end_journal_thread(struct oxbow *db)
{
    store_lock(db);
    db->journal_stop = true;
    db->port->threads.cond_signal(db->journal_work);
    store_unlock(db);
    if (db->journal_thread != NULL) {
        db->port->threads.thread_join(db->journal_thread);
        db->journal_thread = NULL;
    }
}

static enum oxbow_err start_threads(struct oxbow *db)
{
    const struct oxbow_threads *threads = &db->port->threads;
    enum oxbow_err err = OXBOW_OK;

    if (db->journal.on) {
        err = threads->thread_open(threads->ctx, "oxbow-journal", journal_run, db,
                                   &db->journal_thread);
    }
    if (err == OXBOW_OK) {
        err = threads->thread_open(threads->ctx, "oxbow-ckpt", checkpoint_run, db, &db->thread);
    }
    if (err != OXBOW_OK) {
        end_journal_thread(db);
    }
    return err;
}

static enum oxbow_err start(struct oxbow *db)
{
    struct tree_config tree = {.port = db->port,
                               .dir = db->config.dir,
                               .map_bytes = db->config.map_bytes,
                               .readonly = (db->config.flags & OXBOW_OPEN_READONLY) != 0};
    enum oxbow_err err = store_memory(db);

    if (err == OXBOW_OK) {
        err = open_threads(db);
    }
    if (err == OXBOW_OK) {
        err = directory_open(db);
    }
    if (err == OXBOW_OK) {
        err = salvage_open(db);
    }
    if (err == OXBOW_OK) {
        err = tree_open(&tree, &db->tree);
    }
    if (err == OXBOW_OK && !tree.readonly) {
        err = space_open(db);
    }
    if (err == OXBOW_OK) {
        err = recover(db);
    }
    if (err == OXBOW_OK && !tree.readonly) {
        space_settle(db);
        space_publish(db);
    }
    if (err == OXBOW_OK && !tree.readonly && quota_reserve_file(db) != OXBOW_OK) {
        store_log(db, OXBOW_LOG_WARN, "store: no space can be reserved: nothing can be added");
    }
    if (err == OXBOW_OK) {
        err = start_threads(db);
    }
    return err;
}

/* What the store itself hangs on its hooks: the catalog, so that reaping goes on by itself. */
static enum oxbow_err attach(struct oxbow *db)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err == OXBOW_OK) {
        err = catalog_attach(txn);
        oxbow_txn_abort(txn);
    }
    return err;
}

/* Damage that was met in use is not seen by the walk at open, unless that looks at everything. Gives
 * whether the next one does. */
static bool note_doubt(struct oxbow *db, enum oxbow_err err)
{
    bool met = (db->config.flags & OXBOW_OPEN_READONLY) == 0 && db->tree != NULL &&
               (err == OXBOW_ECORRUPT || tree_values_bad(db->tree) > 0);

    if (met) {
        directory_doubt(db, true);
    }
    return met;
}

/* The layers above mend, and settle what a mended meta page put in doubt. */
static enum oxbow_err mend_with(struct oxbow *db, enum oxbow_err (*mend)(struct oxbow *db))
{
    bool doubt = db->commit_doubt;
    enum oxbow_err err = mend(db);

    if (err == OXBOW_OK && doubt && !db->commit_doubt &&
        directory_meta_write(db, false) != OXBOW_OK) {
        store_log(db, OXBOW_LOG_WARN, "store: the mark of a mended meta page cannot be removed");
    }
    return err;
}

struct oxbow *store_new(const struct oxbow_config *filled)
{
    struct oxbow *db = mem_new(&filled->port->alloc, sizeof *db);

    if (db != NULL) {
        db->port = filled->port;
        db->config = *filled;
        db->config.stand_in = NULL; /* borrowed, and for oxbow_open alone */
        db->stand.given = filled->stand_in != NULL;
        db->lock_fd = -1;
        db->data_fd = -1;
        db->sync = filled->sync;
        db->interval_ms = filled->interval_ms;
        db->timer_us = UINT64_MAX;
        db->reap = true;
    }
    return db;
}

/* A store that shows only when it is open that it is a newer version's is closed again, and set
 * aside at a second attempt if that was asked for. */
static enum oxbow_err open_or_set_aside(const struct oxbow_config *filled, struct oxbow **out,
                                        bool *doubt)
{
    bool aside = false;
    enum oxbow_err err;

    do {
        struct oxbow *db = store_new(filled);

        if (db == NULL) {
            return OXBOW_ENOMEM;
        }
        db->aside = aside;
        err = start(db);
        if (err == OXBOW_OK) {
            *out = db;
            return OXBOW_OK;
        }
        aside = false;
        if (err == OXBOW_EFORMAT && db->newer && !db->aside) {
            enum oxbow_err judged = foreign_judge(db, true, &aside);

            err = judged == OXBOW_OK ? err : judged;
        }
        *doubt = note_doubt(db, err);
        store_release(db);
    } while (aside);
    return err;
}

/* What an attempt to open came to. */
struct attempt {
    bool opened; /* it was open for a while */
    bool doubt;  /* it met damage that the next one will look for, and mend */
    struct oxbow_recovery recovery;
};

static enum oxbow_err open_mended(const struct oxbow_config *filled,
                                  enum oxbow_err (*mend)(struct oxbow *db), struct oxbow **out,
                                  struct attempt *a)
{
    struct oxbow *db;
    enum oxbow_err lost;
    enum oxbow_err err = open_or_set_aside(filled, &db, &a->doubt);

    if (err != OXBOW_OK) {
        return err;
    }
    err = attach(db);
    if (err == OXBOW_OK) {
        err = mend_with(db, mend);
    }
    if (err == OXBOW_OK) {
        *out = db;
        return OXBOW_OK;
    }
    a->opened = true;
    a->recovery = db->recovery;
    a->doubt = note_doubt(db, err);
    lost = oxbow_close(db);
    return lost == OXBOW_OK ? err : lost;
}

enum oxbow_err store_open(const struct oxbow_config *config,
                          enum oxbow_err (*mend)(struct oxbow *db), struct oxbow **out)
{
    struct oxbow_config filled;
    struct attempt attempt = {.doubt = false};
    struct oxbow *db = NULL;
    enum oxbow_err err;

    if (config == NULL || config->dir == NULL || config->dir[0] == '\0' ||
        strlen(config->dir) > STORE_DIR_MAX) {
        return OXBOW_EINVAL;
    }
    filled = *config;
    filled.port = config->port != NULL ? config->port : oxbow_port_default();
    err = stand_in_check(config);
    err = err == OXBOW_OK ? cache_check(config) : err;
    err = err == OXBOW_OK ? fill_config(&filled) : err;
    if (err == OXBOW_OK) {
        err = open_mended(&filled, mend, &db, &attempt);
    }
    if (err == OXBOW_ECORRUPT && attempt.doubt) {
        struct attempt second = {.doubt = false};

        filled.port->log.line(filled.port->log.ctx, OXBOW_LOG_WARN,
                              "store: damaged where opening reads: all of it is looked at");
        err = open_mended(&filled, mend, &db, &second);
        if (err == OXBOW_OK && attempt.opened) {
            db->recovery = attempt.recovery; /* the second found what the first had closed */
        }
    }
    if (err == OXBOW_OK) {
        *out = db;
    }
    return err;
}

enum oxbow_err oxbow_close(struct oxbow *db)
{
    const struct oxbow_threads *threads = &db->port->threads;
    struct oxbow_thread *thread;
    unsigned tries;
    enum oxbow_err err;

    store_lock(db);
    db->closing = true;
    threads->cond_broadcast(db->turn_free);
    turn_room(db);
    for (tries = 0; db->busy && tries < CLOSE_TRIES; tries++) {
        threads->cond_wait(db->turn_free, db->mutex, CLOSE_TRY_US); /* a blocked reader's attempt */
    }
    store_unlock(db);
    close_slot(db, STORE_SLOT_WAIT);
    store_lock(db);
    for (tries = 0; idle_wanted(db) && tries < CLOSE_IDLE_TRIES; tries++) {
        threads->cond_signal(db->work);
        threads->cond_wait(db->turn_free, db->mutex, CLOSE_TRY_US);
    }
    db->stop = true;
    threads->cond_signal(db->work);
    thread = db->thread;
    store_unlock(db);
    threads->thread_join(thread);
    end_journal_thread(db);
    store_lock(db);
    CHECK(db->port, !db->busy && !db->backup.taken);
    db->thread = NULL;
    threads->cond_broadcast(db->settled);
    while (db->waiting > 0) {
        threads->cond_wait(db->work, db->mutex, UINT64_MAX);
    }
    err = db->failed;
    if (err == OXBOW_OK && db->lsn_applied > db->lsn_durable) {
        err = db->hold.why;
    }
    store_unlock(db);
    if (err != OXBOW_OK && db->hold.why != OXBOW_OK) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: closed while in memory: what was held there is lost");
    }
    (void)note_doubt(db, err);
    store_release(db);
    return err;
}

void oxbow_stat(struct oxbow *db, struct oxbow_stat *out)
{
    uint64_t oldest;

    memset(out, 0, sizeof *out);
    store_lock(db);
    oldest = db->frozen != NULL && !db->retire_pending ? db->frozen->oldest_us : 0;
    if (oldest == 0) {
        oldest = db->active->oldest_us;
    }
    if (db->journal.on) {
        oldest = db->journal.sync.any_us != 0 ? db->journal.sync.any_us : db->journal.wait.any_us;
    }
    out->lsn_applied = db->lsn_applied;
    out->lsn_written = journal_written_upto(db);
    out->lsn_durable = db->lsn_durable;
    if (oldest != 0) {
        uint64_t age = store_now_us(db) - oldest;

        out->oldest_unsynced_us = age > 0 ? age : 1; /* 0 says that there is none */
    }
    out->quota_bytes = db->config.quota_bytes;
    out->used_bytes = db->used_bytes;
    out->reserve_bytes = quota_reserve(db);
    out->file_bytes = db->usage.pages * TREE_PAGE_BYTES;
    out->free_bytes = db->usage.free_pages * TREE_PAGE_BYTES;
    out->hole_bytes = db->hole_pages * TREE_PAGE_BYTES;
    out->disk_bytes_max = db->config.disk_bytes;
    out->memtable_bytes = db->table_bytes;
    out->checkpoints = db->usage.commits;
    out->device_bytes = wear_since_open(db);
    out->payload_bytes = db->payload_bytes;
    out->keys = db->keys;
    out->values_bad = tree_values_bad(db->tree);
    out->journal = db->journal.ring.count > 0; /* read-only it is there, and not written to */
    out->journal_frames = db->journal.frames;
    out->journal_written = db->journal.bytes;
    out->journal_syncs = db->journal.syncs;
    out->journal_sync_us = db->journal.sync_us;
    out->sync = db->sync;
    out->interval_ms = db->interval_ms;
    out->store_id = db->store_id;
    out->boot = db->boot;
    out->in_memory = db->hold.why != OXBOW_OK;
    out->memory_why = db->hold.why;
    out->memory_last = db->hold.last;
    out->memory_us = out->in_memory ? store_now_us(db) - db->hold.since_us : 0;
    out->memory_max = db->config.on_failure == OXBOW_FAILURE_MEMORY ? db->config.memory_max : 0;
    out->memory_held = out->in_memory ? db->lsn_applied - db->lsn_durable : 0;
    out->memory_times = db->hold.times;
    stand_in_stat(db, out);
    store_unlock(db);
}

void oxbow_recovery(struct oxbow *db, struct oxbow_recovery *out)
{
    *out = db->recovery; /* constant since open */
}

const struct oxbow_port *oxbow_port_of(const struct oxbow *db)
{
    return db->port;
}

bool store_cut_off(const struct oxbow *db)
{
    return db->cut_off;
}

bool store_may_hold(const struct oxbow *db)
{
    return db->config.on_failure == OXBOW_FAILURE_MEMORY;
}

/* ---- what layers above hang on the store ---- */

void store_set_touch_hook(struct oxbow *db, void (*hook)(void *ctx, uint64_t object, uint64_t lsn),
                          void *ctx)
{
    store_lock(db);
    db->touch_hook = hook;
    db->touch_ctx = ctx;
    store_unlock(db);
}

void *store_slot_get(struct oxbow *db, enum store_slot slot)
{
    return db->slots[slot].p;
}

void store_slot_set(struct oxbow *db, enum store_slot slot, void *p,
                    void (*close)(struct oxbow *db, void *p))
{
    db->slots[slot] = (struct slot){p, close};
}

void store_set_idle_hook(struct oxbow *db, enum store_idle which,
                         enum oxbow_err (*hook)(struct oxbow_txn *txn, bool *more))
{
    store_lock(db);
    db->idle_hooks[which] = hook;
    db->idle_more = STORE_IDLE_ALL;
    db->idle_waits = true; /* a step at least for those who open a store for a moment only */
    db->port->threads.cond_signal(db->work);
    store_unlock(db);
}
