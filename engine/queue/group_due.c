/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes on pending entries, and when chunks of them want to be looked at (group_due.h draws both).
 * What is done with what is due is group_retry.c's.
 */
#include "engine/queue/group_due.h"

#include "engine/base/codec.h"
#include "engine/queue/group_key.h"
#include "engine/queue/group_pending.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/wait.h"

#include <string.h>

#define NOTE_FORM  1u
#define NOTE_LEN   32u
#define NOTE_DUE   0x01u
#define NOTE_FIRST 0x02u
#define NOTE_HELD  0x04u

_Static_assert(DUE_BATCH_MAX >= PENDING_RECORDS, "a batch holds what a chunk has");

#define SWEEP_CHUNKS 32u /* looked at by one step */

/* ---- keys ---- */

#define TAIL_ID (4u + ID_KEY_LEN)

static struct oxbow_bytes id_key(uint8_t out[KV_KEY_MAX], const struct group *g,
                                 enum stream_kind kind, struct oxbow_id id)
{
    uint8_t tail[TAIL_ID];

    put_be32(tail, g->number);
    id_to_key(tail + 4, id);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, (uint8_t)kind, tail, sizeof tail)};
}

static struct oxbow_bytes at_key(uint8_t out[KV_KEY_MAX], const struct group *g, uint64_t due_ms,
                                 struct oxbow_id base)
{
    uint8_t tail[8 + TAIL_ID];

    put_be32(tail, g->number);
    put_be64(tail + 4, due_ms);
    id_to_key(tail + 12, base);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_LOOK_AT, tail, sizeof tail)};
}

/* ---- notes ---- */

static enum oxbow_err note_decode(struct oxbow_bytes value, struct note *out)
{
    const uint8_t *p = value.data;

    if (value.len != NOTE_LEN || p[0] != NOTE_FORM) {
        return OXBOW_ECORRUPT;
    }
    *out = (struct note){.has_due = (p[1] & NOTE_DUE) != 0,
                         .has_first = (p[1] & NOTE_FIRST) != 0,
                         .held = (p[1] & NOTE_HELD) != 0,
                         .due_ms = get_le64(p + 8),
                         .first_ms = get_le64(p + 16),
                         .key = get_le64(p + 24)};
    return OXBOW_OK;
}

enum oxbow_err note_get(struct group *g, struct oxbow_id id, struct note *out)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(g->stream->txn, id_key(key, g, STREAM_KIND_NOTE, id), &value);

    if (err == OXBOW_ENOENT) {
        *out = (struct note){0};
        return OXBOW_OK;
    }
    return err == OXBOW_OK ? note_decode(value, out) : err;
}

static enum oxbow_err note_drop(struct group *g, struct oxbow_id id)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    struct oxbow_bytes k = id_key(key, g, STREAM_KIND_NOTE, id);
    enum oxbow_err err = kv_get(g->stream->txn, k, &value);

    /* Deleting what is not there would leave a mark in the table. */
    if (err == OXBOW_OK) {
        return kv_del(g->stream->txn, k);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err note_put(struct group *g, struct oxbow_id id, const struct note *note)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t value[NOTE_LEN] = {NOTE_FORM};

    if (!note->has_due && !note->has_first && note->key == 0) {
        return note_drop(g, id);
    }
    value[1] = (uint8_t)((note->has_due ? NOTE_DUE : 0) | (note->has_first ? NOTE_FIRST : 0) |
                         (note->held ? NOTE_HELD : 0));
    put_le64(value + 8, note->has_due ? note->due_ms : 0);
    put_le64(value + 16, note->has_first ? note->first_ms : 0);
    put_le64(value + 24, note->key);
    return kv_put(g->stream->txn, id_key(key, g, STREAM_KIND_NOTE, id),
                  (struct oxbow_bytes){value, sizeof value});
}

enum oxbow_err due_taken(struct group *g, const struct pending *old, uint32_t consumer)
{
    struct note was, is;
    enum oxbow_err err = note_get(g, old->id, &was);

    if (err != OXBOW_OK) {
        return err;
    }
    is = was;
    is.has_due = false;
    is.held = false;
    if (!is.has_first && old->deliveries > 0) {
        is.has_first = true;
        is.first_ms = old->age_ms;
    }
    if (is.has_due != was.has_due || is.has_first != was.has_first || is.held != was.held) {
        err = note_put(g, old->id, &is);
    }
    return err == OXBOW_OK && is.key != 0 ? key_passed(g, is.key, old->consumer, consumer) : err;
}

enum oxbow_err due_removed(struct group *g, const struct pending *old)
{
    struct note note = {0};
    enum oxbow_err err = g->rules.keyed ? note_get(g, old->id, &note) : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = note_drop(g, old->id);
    }
    return err == OXBOW_OK && note.key != 0 ? key_removed(g, note.key, old->id, old->consumer)
                                            : err;
}

/* ---- when ---- */

uint64_t due_of(const struct group *g, const struct pending *p, const struct note *note)
{
    const struct group_rules *r = &g->rules;

    if (note != NULL && note->held) {
        return DUE_NEVER;
    }
    if (r->exclusive_ms > 0 && r->holder != 0 && p->consumer != 0 && p->consumer != r->holder) {
        return p->age_ms; /* of one who had the group before */
    }
    if (note != NULL && note->has_due) {
        return note->due_ms;
    }
    if (p->consumer == 0) {
        return p->age_ms;
    }
    if (g->rules.visibility_ms == 0) {
        return DUE_NEVER;
    }
    return p->age_ms + g->rules.visibility_ms + rules_rest_ms(g, p->id, p->deliveries);
}

/* ---- looks ---- */

/* DUE_NEVER: the chunk has none. */
static enum oxbow_err look_get(struct group *g, struct oxbow_id base, uint64_t *due_ms)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(g->stream->txn, id_key(key, g, STREAM_KIND_LOOK, base), &value);

    if (err == OXBOW_ENOENT) {
        *due_ms = DUE_NEVER;
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && value.len != 8) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        *due_ms = get_le64(value.data);
    }
    return err;
}

enum oxbow_err due_move(struct group *g, struct oxbow_id base, uint64_t from_ms, uint64_t to_ms)
{
    struct oxbow_txn *txn = g->stream->txn;
    uint8_t key[KV_KEY_MAX];
    uint8_t value[8];
    enum oxbow_err err = OXBOW_OK;

    if (from_ms != DUE_NEVER) {
        err = kv_del(txn, at_key(key, g, from_ms, base));
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (to_ms == DUE_NEVER) {
        return kv_del(txn, id_key(key, g, STREAM_KIND_LOOK, base));
    }
    put_le64(value, to_ms);
    err = kv_put(txn, id_key(key, g, STREAM_KIND_LOOK, base),
                 (struct oxbow_bytes){value, sizeof value});
    return err == OXBOW_OK ? kv_put(txn, at_key(key, g, to_ms, base), (struct oxbow_bytes){"", 0})
                           : err;
}

enum oxbow_err due_forget(struct group *g, struct oxbow_id base)
{
    uint64_t was;
    enum oxbow_err err = look_get(g, base, &was);

    return err == OXBOW_OK && was != DUE_NEVER ? due_move(g, base, was, DUE_NEVER) : err;
}

enum oxbow_err due_by(struct group *g, struct oxbow_id base, uint64_t due_ms)
{
    uint64_t was;
    enum oxbow_err err = due_ms == DUE_NEVER ? OXBOW_OK : look_get(g, base, &was);

    return err == OXBOW_OK && due_ms != DUE_NEVER && due_ms < was ? due_move(g, base, was, due_ms)
                                                                  : err;
}

enum oxbow_err due_entry_by(struct pending_table *t, struct oxbow_id id, uint64_t due_ms)
{
    struct pending p;
    enum oxbow_err err = pending_find(t, id, &p);

    return err == OXBOW_OK ? due_by(t->group, t->base, due_ms) : err;
}

enum oxbow_err due_first(struct group *g, uint64_t *due_ms, struct oxbow_id *base)
{
    uint64_t at = 0;
    struct oxbow_id chunk = OXBOW_ID_MIN;
    enum oxbow_err err = due_from(g, &at, &chunk);

    if (err == OXBOW_OK) {
        *due_ms = at;
        *base = chunk;
    }
    return err;
}

enum oxbow_err due_from(struct group *g, uint64_t *due_ms, struct oxbow_id *base)
{
    uint8_t low[KV_KEY_MAX];
    struct oxbow_bytes want = at_key(low, g, *due_ms, *base), key, value;
    size_t prefix = want.len - 8 - ID_KEY_LEN;
    struct kv_cursor cursor;
    enum oxbow_err err = kv_cursor_init(&cursor, g->stream->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&cursor, want, prefix, &key, &value);
    if (err == OXBOW_OK && (key.len != want.len || memcmp(key.data, low, prefix) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        *due_ms = get_be64((const uint8_t *)key.data + prefix);
        *base = id_from_key((const uint8_t *)key.data + prefix + 8);
    }
    kv_cursor_fini(&cursor);
    return err;
}

enum oxbow_err due_next(struct group *g, uint64_t *due_ms)
{
    struct oxbow_id base;
    enum oxbow_err err = OXBOW_OK;

    if (id_compare(g->rules.sweep, OXBOW_ID_MAX) != 0) {
        *due_ms = 0;
        return OXBOW_OK;
    }
    err = due_first(g, due_ms, &base);
    if (err == OXBOW_ENOENT) {
        *due_ms = DUE_NEVER;
        err = OXBOW_OK;
    }
    return err;
}

/* ---- what is due ---- */

/* Notes of a chunk, walked beside its records. */
struct note_walk {
    struct kv_cursor cursor;
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    uint8_t prefix[KV_KEY_MAX];
    size_t len;
    enum oxbow_err err; /* of the last step; OXBOW_ENOENT at the end */
};

static void note_walk_check(struct note_walk *w)
{
    if (w->err == OXBOW_OK &&
        (w->key.len != w->len || memcmp(w->key.data, w->prefix, w->len - ID_KEY_LEN) != 0)) {
        w->err = OXBOW_ENOENT;
    }
}

static enum oxbow_err note_walk_init(struct note_walk *w, struct group *g, struct oxbow_id from)
{
    struct oxbow_bytes want = id_key(w->prefix, g, STREAM_KIND_NOTE, from);
    enum oxbow_err err = kv_cursor_init(&w->cursor, g->stream->txn);

    if (err == OXBOW_OK) {
        w->len = want.len;
        w->err = kv_cursor_seek_in(&w->cursor, want, want.len - ID_KEY_LEN, &w->key, &w->value);
        note_walk_check(w);
    }
    return err;
}

/* The note of an id, which is above those asked for before. */
static enum oxbow_err note_walk_get(struct note_walk *w, struct oxbow_id id, struct note *out)
{
    *out = (struct note){0};
    while (w->err == OXBOW_OK) {
        struct oxbow_id at = id_from_key((const uint8_t *)w->key.data + w->len - ID_KEY_LEN);
        int order = id_compare(at, id);

        if (order == 0) {
            return note_decode(w->value, out);
        }
        if (order > 0) {
            return OXBOW_OK;
        }
        w->err = kv_cursor_next(&w->cursor, &w->key, &w->value);
        note_walk_check(w);
    }
    return w->err == OXBOW_ENOENT ? OXBOW_OK : w->err;
}

enum oxbow_err note_forget_keys(struct group *g)
{
    struct note_walk w;
    enum oxbow_err err = note_walk_init(&w, g, OXBOW_ID_MIN);

    if (err != OXBOW_OK) {
        return err;
    }
    while (w.err == OXBOW_OK && err == OXBOW_OK) {
        struct oxbow_id id = id_from_key((const uint8_t *)w.key.data + w.len - ID_KEY_LEN);
        struct note note;

        err = note_decode(w.value, &note);
        if (err == OXBOW_OK && note.key != 0) {
            note.key = 0;
            note.has_due = note.has_due || note.held;
            note.held = false;
            err = note_put(g, id, &note);
        }
        w.err = kv_cursor_next(&w.cursor, &w.key, &w.value);
        note_walk_check(&w);
    }
    kv_cursor_fini(&w.cursor);
    return err != OXBOW_OK || w.err == OXBOW_ENOENT ? err : w.err;
}

/* Goes through a chunk that nothing writes to meanwhile. */
static enum oxbow_err collect(struct group *g, const struct pending_view *v, uint64_t now,
                              struct due_batch *out)
{
    struct note_walk notes;
    enum oxbow_err err = note_walk_init(&notes, g, pending_view_id(v, 0));
    size_t i;

    if (err != OXBOW_OK) {
        return err;
    }
    for (i = 0; i < v->count && err == OXBOW_OK; i++) {
        struct pending p;
        struct note note;
        uint64_t due;

        if (!pending_view_alive(v, i)) {
            continue;
        }
        pending_view_get(v, i, &p);
        err = note_walk_get(&notes, p.id, &note);
        due = due_of(g, &p, &note);
        if (err == OXBOW_OK && due <= now) {
            out->items[out->count++] = p;
        } else if (due < out->rest_ms) {
            out->rest_ms = due;
        }
    }
    kv_cursor_fini(&notes.cursor);
    return err;
}

enum oxbow_err due_collect(struct group *g, struct oxbow_id base, uint64_t now,
                           struct due_batch *out)
{
    struct pending_view v;
    uint8_t copy[PENDING_CHUNK_BYTES];
    enum oxbow_err err = pending_chunk(g, base, &v);

    out->count = 0;
    out->rest_ms = DUE_NEVER;
    if (err != OXBOW_OK || v.count == 0) {
        return err;
    }
    memcpy(copy, v.data, PENDING_HEADER + v.count * PENDING_RECORD);
    v.data = copy;
    return collect(g, &v, now, out);
}

/* ---- the sweep ---- */

enum oxbow_err due_sweep(struct group *g, bool *changed)
{
    struct pending_table t;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    *changed = false;
    if (id_compare(g->rules.sweep, OXBOW_ID_MAX) == 0) {
        return OXBOW_OK;
    }
    *changed = true;
    pending_open(&t, g);
    for (i = 0; i < SWEEP_CHUNKS && err == OXBOW_OK; i++) {
        struct due_batch batch;
        struct pending_view v;
        struct oxbow_id base;
        uint64_t was;

        err = pending_chunk_seek(&t, g->rules.sweep, false, &base, &v);
        if (err == OXBOW_OK) {
            err = due_collect(g, base, 0, &batch);
        }
        if (err == OXBOW_OK) {
            err = look_get(g, base, &was);
        }
        if (err == OXBOW_OK) {
            err = due_move(g, base, was, batch.count > 0 ? 0 : batch.rest_ms);
            g->rules.sweep = base;
            if (!id_next(&g->rules.sweep)) {
                g->rules.sweep = OXBOW_ID_MAX;
            }
        }
    }
    pending_close(&t);
    if (err == OXBOW_ENOENT) {
        g->rules.sweep = OXBOW_ID_MAX;
        err = OXBOW_OK;
    }
    return err;
}

/* ---- those who wait ---- */

enum oxbow_err due_alarm(struct group *g, uint64_t min_ms)
{
    struct oxbow_txn *txn = g->stream->txn;
    uint64_t due, now, in;
    enum oxbow_err err;

    if (!wait_alarm_wanted(txn)) {
        return OXBOW_OK;
    }
    err = due_next(g, &due);
    if (err == OXBOW_OK && due != DUE_NEVER) {
        now = group_now(g);
        in = due > now ? due - now : 0;
        wait_alarm(txn, &g->stream->object, in > min_ms ? in : min_ms);
    }
    return err;
}
