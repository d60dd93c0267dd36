/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order by key: records of keys and their lines (group_key.h). Who reads, and what is new, is
 * group_retry.c's.
 *
 *   new --owner's, nothing waits--> delivered --ack--> gone
 *    `--else--> held --first of the line, nothing delivered--> due --key_turn--> delivered
 *                ^------------ not its turn -------------------'
 */
#include "engine/queue/group_key.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/queue/group_due.h"

#include <string.h>

#define FORM       1u
#define RECORD_LEN 24u
#define STEP_KEYS  256u

struct key_state {
    uint32_t owner;
    uint64_t delivered;
    uint64_t total;
};

uint64_t key_hash(struct oxbow_bytes field, struct oxbow_bytes value)
{
    uint64_t hash = hash64(value.data, value.len, hash64(field.data, field.len, 0));

    return hash != 0 ? hash : 1;
}

/* ---- keys of keys ---- */

#define TAIL_KEY  12u
#define TAIL_LINE (TAIL_KEY + ID_KEY_LEN)

static struct oxbow_bytes record_at(uint8_t out[KV_KEY_MAX], const struct group *g, uint64_t key)
{
    uint8_t tail[TAIL_KEY];

    put_be32(tail, g->number);
    put_be64(tail + 4, key);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_KEY, tail, sizeof tail)};
}

static struct oxbow_bytes line_at(uint8_t out[KV_KEY_MAX], const struct group *g, uint64_t key,
                                  struct oxbow_id id)
{
    uint8_t tail[TAIL_LINE];

    put_be32(tail, g->number);
    put_be64(tail + 4, key);
    id_to_key(tail + TAIL_KEY, id);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_KEY_LINE, tail, sizeof tail)};
}

/* All zero when there is none. */
static enum oxbow_err state_get(struct group *g, uint64_t key, struct key_state *out)
{
    uint8_t buf[KV_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(g->stream->txn, record_at(buf, g, key), &value);

    *out = (struct key_state){0};
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    p = value.data;
    if (value.len != RECORD_LEN || get_le32(p) != FORM) {
        return OXBOW_ECORRUPT;
    }
    *out = (struct key_state){get_le32(p + 4), get_le64(p + 8), get_le64(p + 16)};
    return OXBOW_OK;
}

static enum oxbow_err state_put(struct group *g, uint64_t key, const struct key_state *s)
{
    uint8_t buf[KV_KEY_MAX];
    uint8_t value[RECORD_LEN];

    if (s->total == 0) {
        return kv_del(g->stream->txn, record_at(buf, g, key));
    }
    put_le32(value, FORM);
    put_le32(value + 4, s->owner);
    put_le64(value + 8, s->delivered);
    put_le64(value + 16, s->total);
    return kv_put(g->stream->txn, record_at(buf, g, key),
                  (struct oxbow_bytes){value, sizeof value});
}

/* The first of the line at or above an id. OXBOW_ENOENT. */
static enum oxbow_err line_next(struct group *g, uint64_t key, struct oxbow_id from,
                                struct oxbow_id *id)
{
    uint8_t buf[KV_KEY_MAX];
    struct oxbow_bytes want = line_at(buf, g, key, from), k, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, g->stream->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, want, want.len - ID_KEY_LEN, &k, &value);
    if (err == OXBOW_OK && (k.len != want.len || memcmp(k.data, buf, want.len - ID_KEY_LEN) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        *id = id_from_key((const uint8_t *)k.data + want.len - ID_KEY_LEN);
    }
    kv_cursor_fini(&c);
    return err;
}

/* ---- held and released ---- */

/* Lets the first of the line be due, if it is held. */
static enum oxbow_err line_release(struct group *g, uint64_t key)
{
    struct pending_table t;
    struct oxbow_id id;
    struct note note;
    enum oxbow_err err = line_next(g, key, OXBOW_ID_MIN, &id);

    if (err == OXBOW_OK) {
        err = note_get(g, id, &note);
    }
    if (err != OXBOW_OK || !note.held) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    note.held = false;
    note.has_due = true;
    note.due_ms = group_now(g);
    err = note_put(g, id, &note);
    if (err == OXBOW_OK) {
        pending_open(&t, g);
        err = due_entry_by(&t, id, note.due_ms);
        pending_close(&t);
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* Takes an entry from whom it is with, and holds it. */
static enum oxbow_err hold(struct pending_table *t, struct pending *p, struct key_state *s)
{
    struct note note;
    bool added;
    enum oxbow_err err = OXBOW_OK;

    if (p->consumer != 0) {
        p->consumer = 0;
        s->delivered -= s->delivered > 0;
        err = pending_set(t, p, &added);
    }
    if (err == OXBOW_OK) {
        err = note_get(t->group, p->id, &note);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    note.held = true;
    note.has_due = false;
    return note_put(t->group, p->id, &note);
}

/* Holds all behind the first of the line that are with a consumer. */
static enum oxbow_err hold_behind(struct pending_table *t, uint64_t key, struct oxbow_id first,
                                  struct key_state *s)
{
    struct oxbow_id id = first;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && id_next(&id)) {
        struct pending p;

        err = line_next(t->group, key, id, &id);
        if (err == OXBOW_OK) {
            err = pending_find(t, id, &p);
            err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        if (err == OXBOW_OK && p.consumer != 0) {
            err = hold(t, &p, s);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- what happens to entries ---- */

enum oxbow_err key_admits(struct group *g, uint64_t key, uint32_t consumer, bool *admits)
{
    struct key_state s;
    enum oxbow_err err = state_get(g, key, &s);

    *admits = s.total == 0 || (s.owner == consumer && s.delivered == s.total);
    return err;
}

enum oxbow_err key_add(struct group *g, uint64_t key, struct oxbow_id id, uint32_t consumer)
{
    uint8_t buf[KV_KEY_MAX];
    struct note note = {.key = key, .held = consumer == 0};
    struct key_state s;
    enum oxbow_err err = state_get(g, key, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    s.total++;
    if (consumer != 0) {
        s.delivered++;
        s.owner = consumer;
    }
    err = state_put(g, key, &s);
    if (err == OXBOW_OK) {
        err = kv_put(g->stream->txn, line_at(buf, g, key, id), (struct oxbow_bytes){"", 0});
    }
    return err == OXBOW_OK ? note_put(g, id, &note) : err;
}

enum oxbow_err key_turn(struct pending_table *t, const struct pending *p, uint64_t key,
                        uint32_t consumer, bool *may)
{
    struct group *g = t->group;
    struct pending mine = *p;
    struct key_state s;
    struct oxbow_id first;
    enum oxbow_err err = state_get(g, key, &s);

    if (err == OXBOW_OK) {
        err = line_next(g, key, OXBOW_ID_MIN, &first);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    *may = id_compare(first, p->id) == 0
               ? s.delivered == 0 || s.owner == consumer || p->consumer != 0
               : p->consumer == consumer && s.owner == consumer && s.delivered == s.total;
    if (*may && (s.delivered == 0 || s.owner == consumer)) {
        return OXBOW_OK;
    }
    if (*may) { /* its time with the owner is over: so is the owner's with the key */
        err = hold_behind(t, key, first, &s);
        return err == OXBOW_OK ? state_put(g, key, &s) : err;
    }
    err = hold(t, &mine, &s);
    if (err == OXBOW_OK) {
        err = state_put(g, key, &s);
    }
    return err == OXBOW_OK && s.delivered == 0 ? line_release(g, key) : err;
}

enum oxbow_err key_passed(struct group *g, uint64_t key, uint32_t old, uint32_t consumer)
{
    struct key_state s;
    enum oxbow_err err = state_get(g, key, &s);

    if (err != OXBOW_OK || s.total == 0) {
        return err;
    }
    s.delivered += old == 0 && consumer != 0;
    s.delivered -= old != 0 && consumer == 0 && s.delivered > 0;
    s.owner = consumer != 0 ? consumer : s.owner;
    err = state_put(g, key, &s);
    return err == OXBOW_OK && s.delivered == 0 ? line_release(g, key) : err;
}

enum oxbow_err key_removed(struct group *g, uint64_t key, struct oxbow_id id, uint32_t old)
{
    uint8_t buf[KV_KEY_MAX];
    struct key_state s;
    enum oxbow_err err = kv_del(g->stream->txn, line_at(buf, g, key, id));

    if (err == OXBOW_OK) {
        err = state_get(g, key, &s);
    }
    if (err != OXBOW_OK || s.total == 0) {
        return err;
    }
    s.total--;
    s.delivered -= old != 0 && s.delivered > 0;
    err = state_put(g, key, &s);
    return err == OXBOW_OK && s.total > 0 && s.delivered == 0 ? line_release(g, key) : err;
}

/* ---- after a salvage ---- */

/* Removes all keys of the group of one kind. */
static enum oxbow_err forget(struct group *g, enum stream_kind kind)
{
    uint8_t from[KV_KEY_MAX], to[KV_KEY_MAX];
    uint8_t tail[4];
    uint64_t object = g->stream->object.id;
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        struct oxbow_bytes low = {from, 0}, high = {to, 0};

        put_be32(tail, g->number);
        low.len = object_key(from, object, (uint8_t)kind, tail, sizeof tail);
        put_be32(tail, g->number + 1);
        high.len = object_key(to, object, (uint8_t)kind, tail, sizeof tail);
        err = kv_del_range(g->stream->txn, low, high, STEP_KEYS, &more);
    }
    return err;
}

enum oxbow_err key_mend(struct group *g)
{
    enum oxbow_err err = forget(g, STREAM_KIND_KEY);

    if (err == OXBOW_OK) {
        err = forget(g, STREAM_KIND_KEY_LINE);
    }
    return err == OXBOW_OK ? note_forget_keys(g) : err;
}
