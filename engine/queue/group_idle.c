/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle work for groups: what has used up its deliveries goes to the dead letters although nobody
 * reads the group any more. It does not deliver, so it leaves alone what is only to be given again.
 *
 *   KV_SPACE_GROUP, be64 object, be32 group number -> the names that the group goes by:
 *
 *   0      1          2      4            8     8 + n
 *   | form | database | zero | key len n  | key | group |     little-endian
 *
 * All notes are gone round in turn, at most one group's bounded work in each step; after a round the
 * next one begins when something may have to be done: at the earliest time that a chunk of pending
 * entries wants to be looked at, and at the latest when the visibility timeout has passed once.
 *
 * 1. A note that leads to another group than its own, or to one that writes no dead letters, goes; the
 *    next read of the group writes it anew. So renaming a stream needs no care.
 * 2. A store without notes costs one comparison.
 */
#include "engine/queue/group_idle.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/queue/group_dead.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_key.h"
#include "engine/queue/group_rules.h"

#include <string.h>

#define FORM         1u
#define FIXED        8u
#define KEY_LEN      13u
#define LOOKS_STEP   16u    /* chunks that one step looks at */
#define LETTERS_STEP 16u    /* letters that it writes */
#define ROUND_LEAST  1000u  /* between two rounds */
#define ROUND_MOST   60000u /* for a group that has no visibility timeout, or a longer one */

/* Hangs on the store. */
struct idle_state {
    uint64_t round_ms;     /* by the store's clock, when the next round begins; UINT64_MAX: never */
    bool under_way;        /* one is */
    uint8_t note[KEY_LEN]; /* the note that is looked at next */
    uint64_t at_ms;        /* in its group: the chunk that is looked at next */
    struct oxbow_id base;
    uint64_t next_ms;  /* of this round so far: when the next begins, */
    uint64_t alarm_ms; /* and when it has to, though nothing should happen before */
    uint64_t aborts;
};

/* ---- notes ---- */

static struct oxbow_bytes note_key(uint8_t out[KEY_LEN], uint64_t object, uint32_t number)
{
    out[0] = KV_SPACE_GROUP;
    put_be64(out + 1, object);
    put_be32(out + 9, number);
    return (struct oxbow_bytes){out, KEY_LEN};
}

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct idle_state));
}

static enum oxbow_err state_of(struct oxbow_txn *txn, struct idle_state **out)
{
    struct oxbow *db = txn_store(txn);
    struct idle_state *s = store_slot_get(db, STORE_SLOT_GROUP);

    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        *s = (struct idle_state){.round_ms = 0};
        store_slot_set(db, STORE_SLOT_GROUP, s, state_close);
    }
    *out = s;
    return OXBOW_OK;
}

static bool says(struct oxbow_bytes value, uint32_t database, const struct oxbow_group *called)
{
    const uint8_t *p = value.data;
    size_t len = FIXED + called->key.len + called->name.len;

    return value.len == len && p[0] == FORM && p[1] == database &&
           get_le32(p + 4) == called->key.len &&
           (called->key.len == 0 || memcmp(p + FIXED, called->key.data, called->key.len) == 0) &&
           (called->name.len == 0 ||
            memcmp(p + FIXED + called->key.len, called->name.data, called->name.len) == 0);
}

enum oxbow_err group_idle_note(struct group *g, const struct oxbow_group *called)
{
    struct oxbow_txn *txn = g->stream->txn;
    uint8_t fixed[FIXED] = {FORM, (uint8_t)txn_database(txn)};
    uint8_t keybuf[KEY_LEN];
    struct oxbow_bytes key = note_key(keybuf, g->stream->object.id, g->number);
    struct oxbow_bytes value;
    struct idle_state *s;
    enum oxbow_err err = kv_get(txn, key, &value);

    if (err == OXBOW_OK && says(value, txn_database(txn), called)) {
        return OXBOW_OK;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT && err != OXBOW_ECORRUPT) {
        return err;
    }
    put_le32(fixed + 4, (uint32_t)called->key.len);
    err = kv_put(txn, key, (struct oxbow_bytes){fixed, FIXED});
    if (err == OXBOW_OK && called->key.len > 0) {
        err = kv_patch(txn, key, FIXED, called->key);
    }
    if (err == OXBOW_OK && called->name.len > 0) {
        err = kv_patch(txn, key, FIXED + called->key.len, called->name);
    }
    if (err == OXBOW_OK) {
        err = state_of(txn, &s);
    }
    if (err == OXBOW_OK) {
        s->round_ms = 0;
    }
    return err;
}

enum oxbow_err group_idle_forget(struct group *g)
{
    uint8_t key[KEY_LEN];

    return kv_del(g->stream->txn, note_key(key, g->stream->object.id, g->number));
}

/* ---- one group ---- */

/* A group under work. */
struct visit {
    struct oxbow_group called;
    struct stream stream;
    struct group group;
    struct pending_table table;
    uint64_t now;     /* its clock */
    uint64_t next_ms; /* by that: when something else of it may have to go */
    uint64_t letters;
    bool changed;
};

/* Whether the entry, as it stands by now, is to go. */
static enum oxbow_err may_go(struct visit *v, struct pending *p, bool *may)
{
    struct group *g = &v->group;
    struct note note;
    uint64_t due;
    enum oxbow_err err = pending_find(&v->table, p->id, p);

    *may = false;
    if (err == OXBOW_OK) {
        err = note_get(g, p->id, &note);
    }
    if (err != OXBOW_OK || p->deliveries < g->rules.max_deliveries) {
        return err;
    }
    due = due_of(g, p, &note);
    *may = due <= v->now - IDLE_GRACE_MS;
    if (!*may && due < v->next_ms) {
        v->next_ms = due;
    }
    if (*may && note.key != 0) {
        v->changed = true;
        err = key_turn(&v->table, p, note.key, 0, may);
    }
    return err;
}

/* Gives up what is to go of one chunk. *more: some of it is left. */
static enum oxbow_err visit_chunk(struct visit *v, struct oxbow_id base, bool *more)
{
    struct group *g = &v->group;
    struct due_batch batch;
    enum oxbow_err err = due_collect(g, base, v->now, &batch);

    *more = false;
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    v->next_ms = batch.rest_ms < v->next_ms ? batch.rest_ms : v->next_ms;
    for (size_t i = 0; i < batch.count && err == OXBOW_OK; i++) {
        struct pending *p = &batch.items[i];
        bool may = p->deliveries >= g->rules.max_deliveries;

        if (may) {
            err = may_go(v, p, &may);
        }
        if (err == OXBOW_OK && may && v->letters == LETTERS_STEP) {
            *more = true;
            return OXBOW_OK;
        }
        if (err == OXBOW_OK && may) {
            v->changed = true;
            v->letters++;
            err = dead_give_up(&v->table, &v->called, p, v->now, &may);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* The chunks whose time has come, from the place on. */
static enum oxbow_err visit_chunks(struct visit *v, struct idle_state *s, bool *more)
{
    enum oxbow_err err = OXBOW_OK;

    *more = false;
    for (unsigned i = 0; i < LOOKS_STEP && err == OXBOW_OK && !*more; i++) {
        err = due_from(&v->group, &s->at_ms, &s->base);
        if (err == OXBOW_OK && s->at_ms > v->now) {
            v->next_ms = s->at_ms < v->next_ms ? s->at_ms : v->next_ms;
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = visit_chunk(v, s->base, more);
        }
        if (err == OXBOW_OK && !*more && !id_next(&s->base)) {
            s->at_ms++;
            s->base = OXBOW_ID_MIN;
        }
    }
    *more = *more || err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err visit_end(struct visit *v, enum oxbow_err err)
{
    if (err == OXBOW_OK) {
        err = pending_flush(&v->table);
    }
    pending_close(&v->table);
    if (err == OXBOW_OK && v->changed) {
        group_clock_set(&v->group);
        err = rules_save(&v->group);
        err = err == OXBOW_OK ? group_save(&v->group) : err;
        err = err == OXBOW_OK ? due_alarm(&v->group, 0) : err;
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(v->stream.txn, err);
}

/* When the group wants the next round, by the store's clock. */
static void note_next(const struct visit *v, struct idle_state *s)
{
    uint64_t clock = txn_clock_ms(v->stream.txn);
    uint64_t period = v->group.rules.visibility_ms;
    uint64_t in = UINT64_MAX;

    period = period == 0 || period > ROUND_MOST ? ROUND_MOST : period;
    if (v->next_ms != DUE_NEVER) {
        in = v->next_ms + IDLE_GRACE_MS > v->now ? v->next_ms + IDLE_GRACE_MS - v->now : 0;
    }
    if (v->group.pending > 0 && in != UINT64_MAX) {
        s->alarm_ms = clock + in < s->alarm_ms ? clock + in : s->alarm_ms;
    }
    in = in < period ? in : period;
    in = in > ROUND_LEAST ? in : ROUND_LEAST;
    s->next_ms = clock + in < s->next_ms ? clock + in : s->next_ms;
}

/* One step with the group. *more: it wants another one; else the note may be stale: *stale. */
static enum oxbow_err visit_group(struct oxbow_txn *txn, struct idle_state *s, struct visit *v,
                                  bool *more, bool *stale)
{
    struct group *g = &v->group;
    uint8_t key[KEY_LEN];
    enum oxbow_err err = group_find_any(txn, v->called, &v->stream, g);

    *more = false;
    *stale = err == OXBOW_ENOGROUP || err == OXBOW_EWRONGTYPE;
    if (err != OXBOW_OK) {
        return *stale ? OXBOW_OK : err;
    }
    (void)note_key(key, v->stream.object.id, g->number);
    *stale = memcmp(key, s->note, KEY_LEN) != 0 || !g->ruled || g->rules.max_deliveries == 0 ||
             g->rules.dead_len == 0;
    if (*stale) {
        return OXBOW_OK;
    }
    v->now = group_now(g);
    v->next_ms = DUE_NEVER;
    pending_open(&v->table, g);
    err = due_sweep(g, &v->changed);
    *more = v->changed;
    if (err == OXBOW_OK && !*more && v->now > IDLE_GRACE_MS) {
        err = visit_chunks(v, s, more);
    }
    if (err == OXBOW_OK) {
        note_next(v, s);
    }
    return visit_end(v, err);
}

/* ---- rounds ---- */

/* Copies the names out of a note. */
static enum oxbow_err names_copy(struct oxbow_txn *txn, struct oxbow_bytes value, uint8_t **copy,
                                 struct oxbow_group *called)
{
    const uint8_t *p = value.data;

    if (value.len < FIXED || p[0] != FORM || p[1] >= CATALOG_DATABASES ||
        get_le32(p + 4) > value.len - FIXED) {
        return OXBOW_ECORRUPT;
    }
    *copy = mem_new(&txn_port(txn)->alloc, value.len);
    if (*copy == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(*copy, p, value.len);
    called->key = (struct oxbow_bytes){*copy + FIXED, get_le32(p + 4)};
    called->name =
        (struct oxbow_bytes){*copy + FIXED + called->key.len, value.len - FIXED - called->key.len};
    return OXBOW_OK;
}

/* The next note from the place on. OXBOW_ENOENT: that was the last; OXBOW_ECORRUPT: it is one that
 * cannot be read. */
static enum oxbow_err note_next_of(struct oxbow_txn *txn, struct idle_state *s, uint8_t **copy,
                                   size_t *len, struct oxbow_group *called)
{
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, (struct oxbow_bytes){s->note, KEY_LEN}, &key, &value);
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        if (c.key_len != KEY_LEN || c.key[0] != KV_SPACE_GROUP) {
            err = OXBOW_ENOENT;
        } else if (memcmp(s->note, c.key, KEY_LEN) != 0) {
            memcpy(s->note, c.key, KEY_LEN);
            s->at_ms = 0;
            s->base = OXBOW_ID_MIN;
        }
    }
    if (err == OXBOW_OK) {
        *len = value.len;
        err = names_copy(txn, value, copy, called);
    }
    kv_cursor_fini(&c);
    return err;
}

/* The place behind the note that was looked at. */
static void note_pass(struct idle_state *s)
{
    size_t i = KEY_LEN;

    while (i > 1 && ++s->note[i - 1] == 0) {
        i--;
    }
    s->at_ms = 0;
    s->base = OXBOW_ID_MIN;
}

static void round_begin(struct idle_state *s)
{
    s->under_way = true;
    s->next_ms = UINT64_MAX;
    s->alarm_ms = UINT64_MAX;
    memset(s->note, 0, KEY_LEN);
    s->note[0] = KV_SPACE_GROUP;
    s->at_ms = 0;
    s->base = OXBOW_ID_MIN;
}

/* *more: it took so long that the next one begins at once. */
static void round_end(struct oxbow_txn *txn, struct idle_state *s, bool *more)
{
    s->under_way = false;
    s->round_ms = s->next_ms;
    *more = s->round_ms <= txn_clock_ms(txn);
    if (!*more && s->alarm_ms != UINT64_MAX) {
        txn_idle_at(txn, s->alarm_ms > s->round_ms ? s->alarm_ms : s->round_ms);
    }
}

/* One note, in its database. */
static enum oxbow_err visit_note(struct oxbow_txn *txn, struct idle_state *s, uint8_t *copy,
                                 const struct oxbow_group *called)
{
    uint32_t own = txn_database(txn);
    uint8_t key[KEY_LEN];
    struct visit v = {.called = *called};
    bool more = false, stale = false;
    enum oxbow_err back;
    enum oxbow_err err = oxbow_txn_select(txn, copy[1]);

    if (err == OXBOW_OK) {
        err = visit_group(txn, s, &v, &more, &stale);
    }
    back = oxbow_txn_select(txn, own);
    err = err == OXBOW_OK ? back : err;
    if (err == OXBOW_ECORRUPT && txn_failed(txn) == OXBOW_OK) {
        err = OXBOW_OK; /* a damaged queue is left to those who use it */
    }
    if (err == OXBOW_OK && stale) {
        memcpy(key, s->note, KEY_LEN);
        err = kv_del(txn, (struct oxbow_bytes){key, KEY_LEN});
    }
    if (!more || err != OXBOW_OK) {
        note_pass(s);
    }
    return err;
}

enum oxbow_err group_idle(struct oxbow_txn *txn, bool *more)
{
    struct idle_state *s;
    struct oxbow_group called;
    uint8_t *copy = NULL;
    size_t len = 0;
    enum oxbow_err err = state_of(txn, &s);

    *more = false;
    if (err != OXBOW_OK) {
        return err;
    }
    if (s->aborts != store_abort_count(txn_store(txn))) {
        s->aborts = store_abort_count(txn_store(txn));
        s->round_ms = s->round_ms == UINT64_MAX ? 0 : s->round_ms;
    }
    if (!s->under_way && s->round_ms > txn_clock_ms(txn)) {
        if (s->round_ms != UINT64_MAX) {
            txn_idle_at(txn, s->round_ms);
        }
        return OXBOW_OK;
    }
    if (!s->under_way) {
        round_begin(s);
    }
    err = note_next_of(txn, s, &copy, &len, &called);
    if (err == OXBOW_ENOENT) {
        round_end(txn, s, more);
        return OXBOW_OK;
    }
    if (err == OXBOW_ECORRUPT) {
        note_pass(s);
    } else if (err == OXBOW_OK) {
        err = visit_note(txn, s, copy, &called);
        mem_free(&txn_port(txn)->alloc, copy, len);
    }
    *more = true;
    return err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}
