/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group of a stream with priorities is given next, and how far it is in each of them.
 *
 *   0      1      8           24
 *   +------+------+-----------+-------+-------+----   one row per priority: at (id) | old (id) |
 *   | form | zero | from (id) | row 0 | row 1 | ...   le64 since | le32 credit | le32 zero
 *   +------+------+-----------+-------+-------+----
 *
 * from is the stream's, as it was when the record was written.
 *
 * A priority below the highest one that has waited for as long as the policy allows gives one entry
 * first. Then, strict, each priority gives all it has before the next lower one; by weights, rounds
 * go down from the highest, and each gives as many as its weight says; a round that a read breaks off
 * goes on with the next.
 *
 * 1. A group that has no record, and any row that lies behind group.last, stands at group.last.
 * 2. Reading costs a look-up in the index of each priority that has something, and one for each
 *    entry given; not one entry of another priority is looked at.
 */
#include "engine/queue/priority.h"

#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/queue/expire.h"
#include "engine/queue/policy.h"

#include <string.h>

#define RECORD_FORMAT 1u
#define RECORD_FROM   8u
#define RECORD_ROWS   24u
#define ROW_LEN       48u
#define RECORD_LEN    (RECORD_ROWS + PRIORITIES * ROW_LEN)
#define NEAR_STEPS    16u /* entries passed before the next one wanted is looked up anew */

/* ---- the record ---- */

static struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], const struct group *g)
{
    uint8_t tail[4];

    put_be32(tail, g->number);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_SERVED, tail, sizeof tail)};
}

static void put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

static void row_encode(uint8_t out[ROW_LEN], const struct serve_row *row)
{
    memset(out, 0, ROW_LEN);
    put_id(out, row->at);
    put_id(out + 16, row->old);
    put_le64(out + 32, row->since_ms);
    put_le32(out + 40, row->credit);
}

static void row_decode(const uint8_t *p, struct serve_row *row)
{
    *row = (struct serve_row){get_id(p), get_id(p + 16), get_le64(p + 32), get_le32(p + 40)};
}

/* The record is of another `from`: a salvage has made the index void. What is not given is now to be
 * found from group.last on, and the places say what is. While something below the old `from` was not
 * given they do not say it of that, and it goes on from there: something may be given again. */
static void from_moved(struct serve *v, struct oxbow_id from)
{
    if (id_compare(v->rows[0].at, from) < 0) {
        return;
    }
    for (size_t i = 0; i < PRIORITIES; i++) {
        v->rows[i].old = v->rows[i].at;
    }
    v->rows[0].at = v->group->last;
}

static struct oxbow_id id_max(struct oxbow_id a, struct oxbow_id b)
{
    return id_compare(a, b) < 0 ? b : a;
}

static enum oxbow_err record_load(struct serve *v)
{
    struct group *g = v->group;
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(g->stream->txn, record_key(key, g), &value);

    if (err == OXBOW_OK &&
        (value.len != RECORD_LEN || *(const uint8_t *)value.data != RECORD_FORMAT)) {
        return OXBOW_ECORRUPT;
    }
    for (size_t i = 0; err == OXBOW_OK && i < PRIORITIES; i++) {
        row_decode((const uint8_t *)value.data + RECORD_ROWS + i * ROW_LEN, &v->rows[i]);
        v->was[i] = v->rows[i];
    }
    if (err == OXBOW_OK) {
        struct oxbow_id from = get_id((const uint8_t *)value.data + RECORD_FROM);

        v->stored = id_compare(from, v->p.from) == 0;
        if (!v->stored) {
            from_moved(v, from);
        }
    }
    for (size_t i = 0; i < PRIORITIES; i++) {
        v->rows[i].at = id_max(v->rows[i].at, g->last);
        v->rows[i].old = id_max(v->rows[i].old, g->last);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static bool row_same(const struct serve_row *a, const struct serve_row *b)
{
    return id_compare(a->at, b->at) == 0 && id_compare(a->old, b->old) == 0 &&
           a->since_ms == b->since_ms && a->credit == b->credit;
}

static enum oxbow_err record_save(struct serve *v)
{
    struct group *g = v->group;
    uint8_t record[RECORD_LEN] = {RECORD_FORMAT};
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = OXBOW_OK;

    put_id(record + RECORD_FROM, v->p.from);
    for (size_t i = 0; i < PRIORITIES; i++) {
        row_encode(record + RECORD_ROWS + i * ROW_LEN, &v->rows[i]);
    }
    if (!v->stored) {
        return kv_put(g->stream->txn, record_key(key, g),
                      (struct oxbow_bytes){record, sizeof record});
    }
    for (size_t i = 0; i < PRIORITIES && err == OXBOW_OK; i++) {
        size_t at = RECORD_ROWS + i * ROW_LEN;

        if (!row_same(&v->rows[i], &v->was[i])) {
            err = kv_patch(g->stream->txn, record_key(key, g), at,
                           (struct oxbow_bytes){record + at, ROW_LEN});
        }
    }
    return err;
}

enum oxbow_err serve_reset(struct group *g)
{
    uint8_t key[KV_KEY_MAX];

    return g->stream->priorities ? kv_del(g->stream->txn, record_key(key, g)) : OXBOW_OK;
}

/* ---- what there is ---- */

/* Whether entries from before there were priorities are still to be given. */
static bool old_waiting(const struct serve *v)
{
    const struct stream *s = v->group->stream;

    return s->length > 0 && id_compare(v->rows[0].at, v->p.from) < 0 &&
           id_compare(s->first, v->p.from) <= 0;
}

static bool waiting(const struct serve *v, size_t level)
{
    const struct stream *s = v->group->stream;
    struct oxbow_id newest = v->p.rows[level].newest;

    if (level == 0 && old_waiting(v)) {
        return true;
    }
    return s->length > 0 && id_compare(newest, v->rows[level].at) > 0 &&
           id_compare(newest, s->first) >= 0;
}

/* The least id in the index that may be the next one of a priority. */
static bool index_from(const struct serve *v, size_t level, struct oxbow_id *from)
{
    *from = v->rows[level].at;
    if (id_compare(*from, v->p.from) < 0) {
        *from = v->p.from;
    }
    if (!id_next(from)) {
        return false;
    }
    if (id_compare(*from, v->group->stream->first) < 0) {
        *from = v->group->stream->first;
    }
    return true;
}

bool serve_has_given(const struct serve *v, const struct stream_entry *entry)
{
    uint8_t level = STREAM_ENTRY_PRIORITY(entry->flags);

    if (id_compare(entry->id, v->p.from) > 0) {
        return id_compare(entry->id, v->rows[level].at) <= 0;
    }
    return id_compare(entry->id, v->rows[0].at) <= 0 ||
           id_compare(entry->id, v->rows[level].old) <= 0;
}

static enum oxbow_err load(struct serve *v, struct group *g)
{
    *v = (struct serve){.group = g};
    enum oxbow_err err = priority_load(g->stream, &v->p);

    return err == OXBOW_OK ? record_load(v) : err;
}

enum oxbow_err serve_open(struct serve *v, struct group *g, struct oxbow_bytes key)
{
    struct policy_row *row;
    enum oxbow_err err = load(v, g);

    if (err == OXBOW_OK) {
        err = policy_row(g->stream->txn, key, &row);
    }
    if (err == OXBOW_OK && row != NULL) {
        for (size_t i = 0; i < PRIORITIES; i++) {
            v->weights[i] = (uint8_t)(row->policy.priority_weights >> (8 * i));
        }
        v->wait_ms = row->policy.priority_wait_ms;
    }
    return err;
}

/* ---- taking ---- */

struct take {
    struct serve *v;
    struct oxbow_result *result;
    uint64_t left;
    uint64_t bytes;
    bool full; /* the next entry would be too long */
    bool hide; /* what has expired is passed over */
    struct stream_walk walk;
    bool open;
    bool has; /* `entry` is what the walk gave last */
    struct stream_entry entry;
};

static void take_close(struct take *t)
{
    if (t->open) {
        stream_walk_fini(&t->walk);
    }
    t->open = false;
    t->has = false;
}

static enum oxbow_err take_step(struct take *t)
{
    enum oxbow_err err = stream_walk_next(&t->walk, &t->entry);

    t->has = err == OXBOW_OK;
    return err;
}

/* The stream's entry of an id that is greater than those before. OXBOW_ENOENT. */
static enum oxbow_err take_seek(struct take *t, struct oxbow_id id)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; t->has && i < NEAR_STEPS && id_compare(t->entry.id, id) < 0; i++) {
        err = take_step(t);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    if (!t->has || id_compare(t->entry.id, id) < 0) {
        take_close(t);
        err = stream_walk_init(&t->walk, t->v->group->stream, id, OXBOW_ID_MAX, false);
        t->open = err == OXBOW_OK;
        err = err == OXBOW_OK ? take_step(t) : err;
    }
    return err == OXBOW_OK && id_compare(t->entry.id, id) != 0 ? OXBOW_ENOENT : err;
}

/* Adds the walk's entry to the result, unless it has expired. */
static enum oxbow_err take_entry(struct take *t, size_t level, uint64_t *given)
{
    struct stream *s = t->v->group->stream;
    bool hidden = false;
    enum oxbow_err err = OXBOW_OK;

    if (t->hide) {
        err = expire_hides(s->txn, s->object.id, t->entry.id, &hidden);
    }
    if (err == OXBOW_OK && !hidden && t->bytes > 0 && result_count(t->result) > 0 &&
        result_bytes(t->result) + stream_entry_bytes(&t->walk, &t->entry) > t->bytes) {
        t->full = true;
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && !hidden) {
        err = stream_walk_fill(&t->walk, &t->entry, t->result);
        *given += err == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        t->v->rows[level].at = t->entry.id;
    }
    return err;
}

/* Entries from before there were priorities, in the order of their ids. */
static enum oxbow_err take_old(struct take *t, uint64_t count, uint64_t *given)
{
    struct serve *v = t->v;
    struct oxbow_id from = v->rows[0].at;
    enum oxbow_err err = OXBOW_OK;

    if (!old_waiting(v) || !id_next(&from)) {
        return OXBOW_OK;
    }
    take_close(t);
    err = stream_walk_init(&t->walk, v->group->stream, from, v->p.from, false);
    t->open = err == OXBOW_OK;
    while (err == OXBOW_OK && *given < count && !t->full) {
        err = take_step(t);
        if (err == OXBOW_OK && !serve_has_given(v, &t->entry)) {
            err = take_entry(t, 0, given);
        }
    }
    take_close(t);
    if (err == OXBOW_ENOENT) {
        v->rows[0].at = v->p.from;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err take_index(struct take *t, size_t level, uint64_t count, uint64_t *given)
{
    struct serve *v = t->v;
    struct priority_walk w;
    struct oxbow_id id;
    enum oxbow_err err;

    if (*given >= count || t->full || !waiting(v, level) || !index_from(v, level, &id)) {
        return OXBOW_OK;
    }
    take_close(t);
    err = priority_walk_init(&w, v->group->stream, (uint8_t)level, id);
    if (err != OXBOW_OK) {
        return err;
    }
    while (err == OXBOW_OK && *given < count && !t->full) {
        err = priority_walk_next(&w, &id);
        if (err != OXBOW_OK) {
            break;
        }
        err = take_seek(t, id);
        if (err == OXBOW_OK) {
            err = take_entry(t, level, given);
        } else if (err == OXBOW_ENOENT) {
            v->rows[level].at = id; /* lost to damage */
            err = OXBOW_OK;
        }
    }
    priority_walk_fini(&w);
    if (err == OXBOW_ENOENT) {
        v->rows[level].at = v->p.rows[level].newest;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Gives up to `count` entries of a priority. */
static enum oxbow_err take_some(struct take *t, size_t level, uint64_t count, uint64_t *given)
{
    enum oxbow_err err = OXBOW_OK;

    *given = 0;
    count = count < t->left ? count : t->left;
    if (level == 0) {
        err = take_old(t, count, given);
    }
    if (err == OXBOW_OK) {
        err = take_index(t, level, count, given);
    }
    t->left -= *given;
    t->v->taken[level] += *given;
    return err;
}

/* One entry of each priority that has waited too long, the lowest first. */
static enum oxbow_err take_late(struct take *t)
{
    struct serve *v = t->v;
    uint64_t now = group_now(v->group), given;
    size_t top = PRIORITIES;
    enum oxbow_err err = OXBOW_OK;

    while (top > 0 && !waiting(v, top - 1)) {
        top--;
    }
    for (size_t i = 0; err == OXBOW_OK && i + 1 < top; i++) {
        uint64_t since = v->rows[i].since_ms;

        if (since != 0 && now >= since && now - since >= v->wait_ms && waiting(v, i)) {
            err = take_some(t, i, 1, &given);
        }
    }
    return err;
}

static enum oxbow_err take_strict(struct take *t)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = PRIORITIES; err == OXBOW_OK && i > 0 && t->left > 0 && !t->full; i--) {
        uint64_t given;

        err = take_some(t, i - 1, UINT64_MAX, &given);
    }
    return err;
}

/* What is left of a round, from the highest priority down; *any: something was given. */
static enum oxbow_err take_round(struct take *t, bool *any)
{
    struct serve *v = t->v;
    enum oxbow_err err = OXBOW_OK;

    *any = false;
    for (size_t i = PRIORITIES; err == OXBOW_OK && i > 0 && t->left > 0 && !t->full; i--) {
        struct serve_row *row = &v->rows[i - 1];
        uint64_t given = 0;

        if (row->credit > 0 && waiting(v, i - 1)) {
            err = take_some(t, i - 1, row->credit, &given);
            row->credit -= (uint32_t)given;
            *any = *any || given > 0;
        }
    }
    return err;
}

static void round_begin(struct serve *v, bool *any)
{
    *any = false;
    for (size_t i = 0; i < PRIORITIES; i++) {
        v->rows[i].credit = v->weights[i] > 0 ? v->weights[i] : 1;
        *any = *any || waiting(v, i);
    }
}

static enum oxbow_err take_weighted(struct take *t)
{
    bool any = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && any && t->left > 0 && !t->full) {
        err = take_round(t, &any);
        if (err == OXBOW_OK && !any && !t->full) {
            round_begin(t->v, &any);
        }
    }
    return err;
}

static bool strict(const struct serve *v)
{
    static const uint8_t none[PRIORITIES];

    return memcmp(v->weights, none, sizeof none) == 0;
}

enum oxbow_err serve_fill(struct serve *v, uint64_t count, uint64_t bytes,
                          struct oxbow_result *result)
{
    struct take t = {
        .v = v, .result = result, .left = count > 0 ? count : UINT64_MAX, .bytes = bytes};
    enum oxbow_err err = expire_late(v->group->stream->txn, &t.hide);

    if (err == OXBOW_OK && v->wait_ms > 0) {
        err = take_late(&t);
    }
    if (err == OXBOW_OK) {
        err = strict(v) ? take_strict(&t) : take_weighted(&t);
    }
    take_close(&t);
    return err;
}

/* ---- afterwards ---- */

/* The next entry of a priority that has some, whatever it is worth. OXBOW_ENOENT: none after all. */
static enum oxbow_err next_of(const struct serve *v, size_t level, struct oxbow_id *id)
{
    struct priority_walk w;
    enum oxbow_err err;

    if (level == 0 && old_waiting(v)) {
        *id = v->rows[0].at;
        if (!id_next(id)) {
            return OXBOW_ENOENT;
        }
        if (id_compare(*id, v->group->stream->first) < 0) {
            *id = v->group->stream->first;
        }
        return OXBOW_OK;
    }
    if (!index_from(v, level, id)) {
        return OXBOW_ENOENT;
    }
    err = priority_walk_init(&w, v->group->stream, (uint8_t)level, *id);
    if (err == OXBOW_OK) {
        err = priority_walk_next(&w, id);
        priority_walk_fini(&w);
    }
    return err;
}

/* Everything up to there has been given. */
static enum oxbow_err prefix_of(const struct serve *v, struct oxbow_id *to)
{
    *to = v->group->stream->last;
    for (size_t i = 0; i < PRIORITIES; i++) {
        struct oxbow_id next;
        enum oxbow_err err = waiting(v, i) ? next_of(v, i, &next) : OXBOW_ENOENT;

        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
        if (err == OXBOW_OK && id_prev(&next) && id_compare(next, *to) < 0) {
            *to = next;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err serve_settle(struct serve *v)
{
    struct group *g = v->group;
    uint64_t now = group_now(g), given = 0;
    struct oxbow_id to;
    enum oxbow_err err = prefix_of(v, &to);

    for (size_t i = 0; i < PRIORITIES; i++) {
        struct serve_row *row = &v->rows[i];

        given += v->taken[i];
        if (v->wait_ms == 0 || !waiting(v, i)) {
            row->since_ms = 0;
        } else if (v->taken[i] > 0 || row->since_ms == 0) {
            row->since_ms = now;
        }
        v->taken[i] = 0;
    }
    if (err == OXBOW_OK) {
        group_read_many(g, given, id_compare(to, g->last) > 0 ? to : g->last);
        err = record_save(v);
    }
    return err;
}

enum oxbow_err serve_passed(struct group *g, struct oxbow_id id, bool *passed)
{
    struct serve v;
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err;

    *passed = id_compare(id, g->last) <= 0;
    if (*passed || !g->stream->priorities) {
        return OXBOW_OK;
    }
    err = load(&v, g);
    if (err == OXBOW_OK) {
        err = stream_walk_init(&w, g->stream, id, id, false);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    *passed = err == OXBOW_ENOENT || (err == OXBOW_OK && serve_has_given(&v, &entry));
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}
