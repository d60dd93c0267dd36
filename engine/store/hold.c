/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory. The tables hold all that was changed since the newest checkpoint; once the device
 * has failed they are neither frozen nor written, and nothing goes to the journal. Here is what bounds
 * and tidies them, and when the device is tried again; the way back is hold_back.c.
 *
 * Invariants: (1) The frozen table stays as it was when the device failed. (2) A table that is tidied up
 * says the same as before: what is left out said nothing, or deleted what nobody has below.
 */
#include "engine/store/hold.h"

#include "engine/store/value.h"

#include <stdio.h>
#include <string.h>

#define OVER_PART     4u /* of memory_max, for what only deletes */
#define TIDY_PART     8u /* of memory_max: so much must have come since the last time */
#define COST_MAX      ((uint64_t)65536 * MEM_COST_PAGE) /* of one commit: far from what LMDB spills */
#define RETURN_TRY_US 10000u

/* ---- what there is room for ---- */

static uint64_t held_bytes(const struct oxbow *db)
{
    return db->active->arena.used + (db->frozen != NULL ? db->frozen->arena.used : 0);
}

static uint64_t held_cost(const struct oxbow *db)
{
    return db->active->cost + (db->frozen != NULL ? db->frozen->cost : 0);
}

/* Keys that came and went leave a trace in a table, and what they had is not given back: it may be
 * worth while to make it anew. */
static void ask_to_tidy(struct oxbow *db)
{
    const struct arena *a = &db->active->arena;
    uint64_t part = db->config.memory_max / TIDY_PART;

    if (a->used >= db->hold.tidied + part || a->used >= a->live + part) {
        db->hold.tidy_soon = true;
    }
}

enum oxbow_err hold_reserve(struct oxbow *db, size_t bytes)
{
    uint64_t max = db->hold.base + db->config.memory_max;

    if (held_bytes(db) + bytes > max || held_cost(db) > COST_MAX / 2) {
        ask_to_tidy(db);
        return OXBOW_EQUOTA;
    }
    if (held_bytes(db) + bytes > max - max / OVER_PART) {
        ask_to_tidy(db);
    }
    return OXBOW_OK;
}

enum oxbow_err hold_admit(struct oxbow *db, size_t bytes)
{
    uint64_t max = db->hold.base + db->config.memory_max + db->config.memory_max / OVER_PART;

    if (held_bytes(db) + bytes > max || held_cost(db) > COST_MAX) {
        ask_to_tidy(db);
        return OXBOW_EQUOTA;
    }
    return OXBOW_OK;
}

/* ---- beginning ---- */

bool hold_takes(const struct oxbow *db, enum oxbow_err err)
{
    return db->config.on_failure == OXBOW_FAILURE_MEMORY &&
           (err == OXBOW_EIO || err == OXBOW_ENOSPC || err == OXBOW_EREADONLY ||
            err == OXBOW_ENOENT || err == OXBOW_ESYS || err == OXBOW_EFAILED);
}

void hold_begin(struct oxbow *db, enum oxbow_err err)
{
    struct journal *j = &db->journal;
    struct hold *h = &db->hold;
    char line[160];

    h->why = err;
    h->last = OXBOW_OK;
    h->since_us = store_now_us(db);
    h->try_us = h->since_us + HOLD_TRY_US;
    h->tries = 0;
    h->times++;
    h->over = false;
    h->base = db->table_bytes;
    if (j->on) { /* what waits to be written is in the tables */
        j->fill.len = FRAME_HEAD_BYTES;
        j->fill_count = 0;
    }
    (void)snprintf(
        line, sizeof line,
        "store: THE DEVICE HAS FAILED (%s): held in memory only, nothing is durable above "
        "transaction %llu",
        oxbow_err_name(err), (unsigned long long)db->lsn_durable);
    store_log(db, OXBOW_LOG_ERROR, line);
}

/* ---- tidying up ---- */

/* Whether a deletion must be kept: something lies below it. What cannot be told is kept. */
static bool lies_below(struct oxbow *db, struct oxbow_bytes key, uint32_t hash)
{
    const struct mem_entry *e = db->frozen != NULL ? mem_find(db->frozen, key, hash) : NULL;
    struct oxbow_bytes value;

    if (e != NULL && mem_says(e)) {
        return e->state == MEM_VALUE;
    }
    return tree_get(db->tree, key, &value) != OXBOW_ENOENT;
}

/* A value as it is, its pieces in one block. */
static enum oxbow_err keep_value(struct oxbow *db, struct memtable *to, struct mem_entry *e,
                                 const struct mem_entry *from)
{
    uint32_t bottom = mem_bottom(from);
    const uint8_t *data = from->data;
    size_t len = from->len - bottom;

    if (from->front != NULL) {
        uint8_t *pieces = db->front + FRONT_BYTES;

        mem_gather(from, pieces, from->len);
        data = pieces + bottom;
    }
    if (len > 0) {
        e->data = arena_take(&to->arena, len, &e->cap);
        if (e->data == NULL) {
            return OXBOW_ENOMEM;
        }
        memcpy(e->data, data, len);
    }
    if (from->patch != NULL) {
        e->patch = mem_patch_new(to);
        if (e->patch == NULL) {
            return OXBOW_ENOMEM;
        }
        *e->patch = *from->patch;
    }
    e->base = bottom;
    e->len = from->len;
    return OXBOW_OK;
}

static enum oxbow_err keep(struct oxbow *db, struct memtable *to, const struct mem_entry *from)
{
    struct oxbow_bytes key = {mem_key(from), from->key_len};
    struct mem_entry *e;
    enum oxbow_err err = OXBOW_OK;

    if (!mem_says(from) || (from->state == MEM_TOMB && !lies_below(db, key, from->hash))) {
        return OXBOW_OK;
    }
    e = mem_make(to, key, from->hash);
    if (e == NULL) {
        return OXBOW_ENOMEM;
    }
    mem_link(to, e);
    if (from->state == MEM_VALUE) {
        err = keep_value(db, to, e, from);
    }
    e->known = from->known;
    e->state = from->state;
    mem_cost(to, e);
    return err;
}

/* Makes the active table anew without what says nothing. With the turn, without the mutex. Without
 * memory for it nothing has changed. */
static void tidy(struct oxbow *db)
{
    struct memtable *t = db->active;
    const struct mem_entry *e;
    struct memtable fresh;
    enum oxbow_err err = memtable_init(&fresh, &db->port->alloc);

    for (e = mem_first(t); e != NULL && err == OXBOW_OK; e = e->next[0]) {
        err = keep(db, &fresh, e);
    }
    if (err != OXBOW_OK) {
        memtable_fini(&fresh);
        db->hold.tidied = t->arena.used; /* not at once again */
        return;
    }
    fresh.dirty = t->dirty;
    fresh.lsn = t->lsn;
    fresh.next_blob = t->next_blob;
    fresh.commits = t->commits;
    fresh.oldest_us = t->oldest_us;
    fresh.interval = t->interval;
    store_lock(db);
    memtable_fini(t);
    *t = fresh;
    store_unlock(db);
    db->hold.tidied = t->arena.used;
}

/* ---- the checkpoint thread's part ---- */

bool hold_act(struct oxbow *db, uint64_t now)
{
    struct hold *h = &db->hold;
    bool due = h->asked || now >= h->try_us;

    if (h->over) {
        return false;
    }
    if (h->side == NULL && (due || db->stop)) {
        hold_try(db);
        return true;
    }
    if (!h->tidy && (h->side == NULL || !(due || db->stop))) {
        return false;
    }
    if (db->busy && !h->turn) {
        h->waits = true;
        return false;
    }
    db->busy = true;
    h->waits = h->turn = false;
    if (h->side != NULL) {
        hold_finish(db);
    } else {
        h->tidy = false;
        store_unlock(db);
        tidy(db);
        store_lock(db);
    }
    turn_give(db);
    return true;
}

uint64_t hold_until(const struct oxbow *db, uint64_t now)
{
    const struct hold *h = &db->hold;

    if (h->waits || h->over) {
        return UINT64_MAX; /* who gives the turn back wakes us */
    }
    return h->try_us > now ? h->try_us - now : 1;
}

/* ---- what callers ask ---- */

enum oxbow_err oxbow_return(struct oxbow *db)
{
    enum oxbow_err err = OXBOW_OK;
    uint64_t begun;

    store_lock(db);
    if (store_stands_in(db)) {
        err = stand_in_return(db);
        store_unlock(db);
        return err;
    }
    begun = db->hold.begun; /* what these found may be over */
    db->waiting++;
    while (db->hold.why != OXBOW_OK && db->hold.ended <= begun && err == OXBOW_OK) {
        err = db->closing ? OXBOW_ECLOSED : OXBOW_OK;
        db->hold.asked = true;
        db->port->threads.cond_signal(db->work);
        if (err == OXBOW_OK) {
            db->port->threads.cond_wait(db->settled, db->mutex, RETURN_TRY_US);
        }
    }
    db->waiting--;
    if (err == OXBOW_OK && db->failed != OXBOW_OK) {
        err = OXBOW_EFAILED;
    } else if (err == OXBOW_OK && db->hold.why != OXBOW_OK) {
        err = db->hold.last;
    }
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    store_unlock(db);
    return err;
}

uint64_t oxbow_settled_lsn(struct oxbow *db)
{
    uint64_t lsn;

    store_lock(db);
    lsn = db->hold.why != OXBOW_OK ? db->lsn_applied : db->lsn_durable;
    store_unlock(db);
    return lsn;
}
