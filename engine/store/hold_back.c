/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back to the device of a store in memory. The directory is opened a second time beside the
 * store, and all that the tables hold is put into that in one commit; then the store takes over what was
 * opened.
 *
 *   on its device --hold_begin--> in memory --side_open--> beside it --hold_finish--> on its device
 *                                     ^                                    |
 *                                     +------- try_failed: later ----------+
 *
 * Invariants: (1) What the device has is a state of this same opening (its number says so, since each
 * opening writes its own before anything else), and every key that was changed since any such state is
 * in the tables. So putting the tables' values there, whole, gives the store's own state whatever of it
 * had reached the device, and may be done any number of times. (2) It is one commit: a power cut leaves
 * all of it or nothing. (3) The journal is made anew after that commit and before anything is
 * acknowledged: no frame of before it can follow one of after it. (4) The device is read through the
 * tree that was open, or through a view that does not write, until the new one has taken its place.
 */
#include "engine/store/hold.h"

#include "engine/base/buf.h"
#include "engine/store/salvage.h"
#include "engine/store/value.h"

#include <stdio.h>

#define TRY_MAX_US 60000000u
#define BUSY_US    10000u /* until who was in a call to the device has come out */

/* ---- the device's side, beside the store ---- */

/* Opens directory and files again and looks at them as every open does, but mends nothing and makes no
 * store. Without turn and mutex: the store works on. */
static enum oxbow_err side_open(struct oxbow *db, struct oxbow **out)
{
    struct oxbow_config config = db->config;
    struct oxbow *side;
    enum oxbow_err err;

    config.flags = OXBOW_OPEN_EXISTING | OXBOW_OPEN_STRICT;
    config.on_foreign = OXBOW_FOREIGN_REFUSE;
    side = store_new(&config);
    if (side == NULL) {
        return OXBOW_ENOMEM;
    }
    err = store_memory(side);
    if (err == OXBOW_OK) {
        directory_lend_lock(db, side);
        err = directory_open(side);
    }
    if (err == OXBOW_OK) {
        err = salvage_open(side);
    }
    if (err == OXBOW_OK && (side->store_id != db->store_id || side->commit_doubt)) {
        store_log(db, OXBOW_LOG_ERROR, "store: what is in its directory now is not what it was");
        err = OXBOW_ECORRUPT;
    }
    if (err != OXBOW_OK) {
        directory_lend_lock(side, db);
        store_release(side);
        return err;
    }
    *out = side;
    return OXBOW_OK;
}

/* Reads the directory's data file from now on, without writing, and lets go of the one that was
 * open. With the turn. */
static enum oxbow_err view_take(struct oxbow *db)
{
    struct tree_config config = {.port = db->port,
                                 .dir = db->config.dir,
                                 .map_bytes = db->config.map_bytes,
                                 .readonly = true};
    struct tree *view;
    struct tree *old = db->tree;
    enum oxbow_err err = tree_open(&config, &view);

    if (err != OXBOW_OK) {
        return err;
    }
    if (tree_header(view)->boot != db->boot || tree_header(view)->store_id != db->store_id) {
        tree_close(view);
        store_log(
            db, OXBOW_LOG_ERROR,
            "store: it was opened by another while it was held in memory: what is held cannot go "
            "back there");
        return OXBOW_ECORRUPT;
    }
    while (db->cursors_kept > 0) {
        tree_cursor_close(db->cursors[--db->cursors_kept]);
    }
    store_lock(db);
    db->tree = view;
    store_unlock(db);
    backup_cut(db, OXBOW_EVOLATILE); /* it reads the old one */
    tree_close(old);
    return OXBOW_OK;
}

/* ---- the commit ---- */

struct scratch {
    const struct oxbow_alloc *alloc;
    uint8_t *data;
    size_t cap;
};

static enum oxbow_err scratch_room(struct scratch *s, size_t len)
{
    uint8_t *more;

    if (len <= s->cap) {
        return OXBOW_OK;
    }
    more = s->alloc->resize(s->alloc->ctx, s->data, s->cap, value_roomy(len));
    if (more == NULL) {
        return OXBOW_ENOMEM;
    }
    s->data = more;
    s->cap = value_roomy(len);
    return OXBOW_OK;
}

static enum oxbow_err put_entry(struct oxbow *db, struct tree *to, const struct mem_entry *e,
                                struct scratch *s)
{
    struct oxbow_bytes key = {mem_key(e), e->key_len};
    enum oxbow_err err;

    if (e->state == MEM_TOMB) {
        return tree_write_del(to, key);
    }
    if (e->base == 0) {
        return tree_write_put(to, key, (struct oxbow_bytes){e->data, e->len});
    }
    err = scratch_room(s, e->len);
    if (err == OXBOW_OK) {
        err = value_copy(db, e, s->data);
    }
    return err == OXBOW_OK ? tree_write_put(to, key, (struct oxbow_bytes){s->data, e->len}) : err;
}

/* What the active table says of the key as well is left to it: no key is put twice. */
static bool is_hidden(const struct oxbow *db, const struct memtable *t, const struct mem_entry *e)
{
    const struct mem_entry *above =
        t == db->active
            ? NULL
            : mem_find(db->active, (struct oxbow_bytes){mem_key(e), e->key_len}, e->hash);

    return above != NULL && mem_says(above);
}

static enum oxbow_err put_table(struct oxbow *db, struct tree *to, const struct memtable *t,
                                struct scratch *s)
{
    const struct mem_entry *e;
    enum oxbow_err err = OXBOW_OK;

    for (e = mem_first(t); e != NULL && err == OXBOW_OK; e = e->next[0]) {
        if (mem_says(e) && !is_hidden(db, t, e)) {
            err = put_entry(db, to, e, s);
        }
    }
    return err;
}

/* All that the tables hold, the older one first, in one commit. */
static enum oxbow_err put_all(struct oxbow *db, struct oxbow *side)
{
    struct tree_header header = *tree_header(side->tree);
    struct scratch s = {.alloc = &db->port->alloc};
    enum oxbow_err err = tree_write_begin(side->tree);

    if (err != OXBOW_OK) {
        return err;
    }
    if (db->frozen != NULL) {
        err = put_table(db, side->tree, db->frozen, &s);
    }
    if (err == OXBOW_OK) {
        err = put_table(db, side->tree, db->active, &s);
    }
    mem_free(s.alloc, s.data, s.cap);
    if (err != OXBOW_OK) {
        tree_write_abort(side->tree);
        return err;
    }
    header.lsn = db->lsn_applied;
    header.closed = false;
    header.journal = false; /* there is one again when it is made */
    header.clock = db->clock.noted;
    header.largest_txn = db->largest_txn;
    header.next_blob = header.next_blob > db->next_blob ? header.next_blob : db->next_blob;
    store_lock(db);
    wear_save(db, &header);
    store_unlock(db);
    return tree_write_commit(side->tree, &header);
}

/* ---- going back ---- */

/* What the side has to know of the store before it can write. */
static void side_inform(const struct oxbow *db, struct oxbow *side)
{
    uint64_t other = side->wear.bytes[WEAR_OTHER];

    side->wear = db->wear;
    wear_note(side, WEAR_OTHER, other);
    side->payload_bytes = db->payload_bytes;
    side->boot = db->boot;
    side->largest_txn = db->largest_txn;
    side->clock = db->clock;
    side->lsn_applied = side->lsn_durable = side->lsn_tree = db->lsn_applied;
}

/* Whether the device has room for it. */
static enum oxbow_err side_reserve(struct oxbow *db, struct oxbow *side)
{
    struct memtable *own = side->active;
    enum oxbow_err err;

    tree_usage(side->tree, &side->usage);
    space_settle(side);
    space_publish(side);
    side->active = db->active;
    side->frozen = db->frozen;
    err = quota_reserve_file(side);
    side->active = own;
    side->frozen = NULL;
    return err;
}

/* Writes what is held, and makes the journal anew. With the turn, without the mutex. */
static enum oxbow_err side_write(struct oxbow *db, struct oxbow *side)
{
    struct tree_config config = {
        .port = db->port, .dir = db->config.dir, .map_bytes = db->config.map_bytes};
    enum oxbow_err err = tree_open(&config, &side->tree);

    if (err == OXBOW_OK) {
        err = space_open(side);
    }
    if (err == OXBOW_OK) {
        side_inform(db, side);
        err = side_reserve(db, side);
    }
    if (err == OXBOW_OK) {
        err = put_all(db, side);
    }
    if (err == OXBOW_OK) {
        err = directory_check(side);
    }
    if (err == OXBOW_OK) {
        err = tree_renew(side->tree);
    }
    if (err == OXBOW_OK && db->journal_thread != NULL) {
        err = recover_journal(side);
    }
    if (err == OXBOW_OK) {
        space_settle(side);
        tree_continue(side->tree, &db->usage);
        tree_usage(side->tree, &side->usage);
        space_publish(side);
        side->keys = tree_header(side->tree)->keys;
    }
    return err;
}

static void swap_fds(int *a, int *b)
{
    int was = *a;

    *a = *b;
    *b = was;
}

/* The store takes over what was opened beside it; the side is left with what it had. With turn and
 * mutex. */
static void side_adopt(struct oxbow *db, struct oxbow *side)
{
    struct journal journal = db->journal;
    struct space space = db->space;
    struct tree *tree = db->tree;
    char *path = db->data_path;

    swap_fds(&db->lock_fd, &side->lock_fd);
    swap_fds(&db->data_fd, &side->data_fd);
    db->data_path = side->data_path;
    side->data_path = path;
    db->tree = side->tree;
    side->tree = tree;
    db->space = side->space;
    side->space = space;
    if (db->journal_thread != NULL) {
        db->journal = side->journal;
        side->journal = journal;
    }
    db->wear = side->wear;
    db->usage = side->usage;
    db->keys = side->keys;
    db->hole_pages = side->hole_pages;
    db->reserved_bytes = side->reserved_bytes;
}

/* It is on its device again. With turn and mutex. */
static void settle(struct oxbow *db)
{
    const struct oxbow_threads *threads = &db->port->threads;
    char line[128];

    memtable_reset(&db->tables[0], db->config.memtable_bytes);
    memtable_reset(&db->tables[1], db->config.memtable_bytes);
    db->frozen = NULL;
    db->retire_pending = false;
    db->freeze_wanted = db->quota_tight = db->device_full = db->in_memory = false;
    db->gather = 0;
    (void)snprintf(line, sizeof line,
                   "store: back on its device: transactions %llu to %llu are durable now",
                   (unsigned long long)db->lsn_durable + 1, (unsigned long long)db->lsn_applied);
    store_log(db, OXBOW_LOG_WARN, line);
    db->lsn_tree = db->lsn_durable = db->lsn_applied;
    db->hold.why = db->hold.last = OXBOW_OK;
    db->hold.tidy = db->hold.asked = false;
    db->hold.tidied = 0;
    db->idle_more = STORE_IDLE_ALL;
    if (db->event != NULL) {
        threads->event_set(db->event);
    }
    threads->cond_broadcast(db->settled);
    turn_room(db);
    threads->cond_signal(db->journal_work);
}

static void try_failed(struct oxbow *db, enum oxbow_err err)
{
    struct hold *h = &db->hold;
    uint64_t delay = HOLD_TRY_US;
    uint32_t i;

    for (i = 0; i < h->tries && delay < TRY_MAX_US; i++) {
        delay *= 2;
    }
    h->tries++;
    h->last = err;
    h->try_us = store_now_us(db) + (delay < TRY_MAX_US ? delay : TRY_MAX_US);
    h->over = db->stop;
}

static void try_ended(struct oxbow *db)
{
    db->hold.asked = false;
    db->hold.ended++;
    db->port->threads.cond_broadcast(db->settled);
}

/* Nobody is in the journal, and nobody comes: it is not used while the store is in memory. */
static bool journal_at_rest(const struct journal *j)
{
    return !j->writing && !j->syncing && !j->gathering && j->writers == 0;
}

/* With turn and mutex; the mutex is let go meanwhile. */
void hold_finish(struct oxbow *db)
{
    struct oxbow *side = db->hold.side;
    enum oxbow_err err;

    if (!journal_at_rest(&db->journal)) {
        db->port->threads.cond_wait(db->settled, db->mutex, BUSY_US);
        return;
    }
    db->hold.side = NULL;
    store_unlock(db);
    err = view_take(db);
    if (err == OXBOW_OK) {
        err = side_write(db, side);
        if (err != OXBOW_OK && tree_renew(db->tree) != OXBOW_OK) {
            store_log(db, OXBOW_LOG_ERROR, "store: what is on the device cannot be read any more");
        }
    }
    if (err != OXBOW_OK) {
        directory_lend_lock(side, db);
    }
    store_lock(db);
    if (err == OXBOW_OK) {
        side_adopt(db, side);
        settle(db);
    } else {
        try_failed(db, err);
    }
    try_ended(db);
    store_unlock(db);
    store_release(side);
    store_lock(db);
}

void hold_try(struct oxbow *db)
{
    struct oxbow *side = NULL;
    enum oxbow_err err;

    db->hold.begun++;
    store_unlock(db);
    err = side_open(db, &side);
    store_lock(db);
    db->hold.side = side;
    if (err != OXBOW_OK) {
        try_failed(db, err);
        try_ended(db);
    }
}
