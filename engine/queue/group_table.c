/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's pending entries in the store: finding, adding, removing. Chunks are keyed by a base id;
 * what they hold is group_pending.c's. In a group with rules, whatever is written here also sees to
 * it that the chunk is looked at in time (group_due.h).
 *
 * 1. A chunk's ids are at or above its base and below the next chunk's base.
 * 2. pending_low is the first chunk's base, pending_tail the last one's. A chunk without live
 *    records is deleted, unless it is the tail: that goes on being filled.
 * 3. The group's count is kept at once, those of consumers by the tally: pending_flush.
 */
#include "engine/queue/group_pending.h"

#include "engine/base/codec.h"
#include "engine/queue/group_due.h"

#include <string.h>

void pending_open(struct pending_table *t, struct group *g)
{
    t->group = g;
    t->cursor_open = false;
    t->has_base = !id_is_zero(g->pending_tail);
    t->base = g->pending_tail;
    t->tally_consumer = 0;
    t->tally_removed = 0;
}

void pending_close(struct pending_table *t)
{
    if (t->cursor_open) {
        kv_cursor_fini(&t->cursor);
        t->cursor_open = false;
    }
}

static enum oxbow_err cursor_need(struct pending_table *t)
{
    enum oxbow_err err;

    if (t->cursor_open) {
        return OXBOW_OK;
    }
    err = kv_cursor_init(&t->cursor, t->group->stream->txn);
    t->cursor_open = err == OXBOW_OK;
    return err;
}

/* ---- counts of consumers ---- */

enum oxbow_err pending_flush(struct pending_table *t)
{
    struct consumer c;
    enum oxbow_err err;

    if (t->tally_removed == 0) {
        return OXBOW_OK;
    }
    err = consumer_load(t->group, t->tally_consumer, &c, NULL);
    if (err != OXBOW_OK) {
        return err;
    }
    if (c.pending < t->tally_removed) {
        return OXBOW_ECORRUPT;
    }
    c.pending -= t->tally_removed;
    t->tally_removed = 0;
    return consumer_save(t->group, &c);
}

static enum oxbow_err tally(struct pending_table *t, uint32_t consumer)
{
    if (consumer == 0) {
        return OXBOW_OK; /* nobody counts */
    }
    if (t->tally_consumer != consumer) {
        enum oxbow_err err = pending_flush(t);

        if (err != OXBOW_OK) {
            return err;
        }
        t->tally_consumer = consumer;
    }
    t->tally_removed++;
    return OXBOW_OK;
}

/* ---- chunks ---- */

#define TAIL_LEN (4u + ID_KEY_LEN)

static struct oxbow_bytes chunk_key(uint8_t out[KV_KEY_MAX], const struct group *g,
                                    struct oxbow_id base)
{
    uint8_t tail[TAIL_LEN];

    put_be32(tail, g->number);
    id_to_key(tail + 4, base);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_PENDING, tail, sizeof tail)};
}

enum oxbow_err pending_chunk(const struct group *g, struct oxbow_id base, struct pending_view *v)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(g->stream->txn, chunk_key(key, g, base), &value);

    return err == OXBOW_OK ? pending_view_init(v, value) : err;
}

enum oxbow_err pending_chunk_seek(struct pending_table *t, struct oxbow_id id, bool back,
                                  struct oxbow_id *base, struct pending_view *v)
{
    uint8_t want_buf[KV_KEY_MAX];
    struct oxbow_bytes want = chunk_key(want_buf, t->group, id), key, value;
    enum oxbow_err err = cursor_need(t);

    if (err != OXBOW_OK) {
        return err;
    }
    err = back ? kv_cursor_seek_back_in(&t->cursor, want, want.len - ID_KEY_LEN, &key, &value)
               : kv_cursor_seek_in(&t->cursor, want, want.len - ID_KEY_LEN, &key, &value);
    if (err != OXBOW_OK) {
        return err;
    }
    if (key.len != want.len || memcmp(key.data, want_buf, want.len - ID_KEY_LEN) != 0) {
        return OXBOW_ENOENT;
    }
    *base = id_from_key((const uint8_t *)key.data + want.len - ID_KEY_LEN);
    return pending_view_init(v, value);
}

/* The chunk that holds the id, or would if it is pending. OXBOW_ENOENT: all begin above it. */
static enum oxbow_err locate(struct pending_table *t, struct oxbow_id id, struct pending_view *v)
{
    enum oxbow_err err;

    if (id_compare(id, t->group->pending_low) < 0) {
        return OXBOW_ENOENT;
    }
    if (t->has_base && id_compare(t->base, id) <= 0) {
        err = pending_chunk(t->group, t->base, v);
        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
        if (err == OXBOW_OK && (id_compare(t->base, t->group->pending_tail) == 0 ||
                                pending_view_search(v, id) < v->count)) {
            return OXBOW_OK;
        }
    }
    t->has_base = false;
    err = pending_chunk_seek(t, id, true, &t->base, v);
    t->has_base = err == OXBOW_OK;
    return err;
}

/* The live record of the id. OXBOW_ENOENT. */
static enum oxbow_err locate_record(struct pending_table *t, struct oxbow_id id,
                                    struct pending_view *v, size_t *idx)
{
    enum oxbow_err err = locate(t, id, v);

    if (err != OXBOW_OK) {
        return err;
    }
    *idx = pending_view_search(v, id);
    if (*idx == v->count || id_compare(pending_view_id(v, *idx), id) != 0 ||
        !pending_view_alive(v, *idx)) {
        return OXBOW_ENOENT;
    }
    return OXBOW_OK;
}

enum oxbow_err pending_find(struct pending_table *t, struct oxbow_id id, struct pending *out)
{
    struct pending_view v;
    size_t idx;
    enum oxbow_err err = locate_record(t, id, &v, &idx);

    if (err == OXBOW_OK) {
        pending_view_get(&v, idx, out);
    }
    return err;
}

/* Deletes a chunk that is not the tail, and finds the new first one if it was that. */
static enum oxbow_err chunk_delete(struct pending_table *t, struct oxbow_id base)
{
    struct group *g = t->group;
    struct pending_view v;
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_del(g->stream->txn, chunk_key(key, g, base));

    t->has_base = false;
    if (err == OXBOW_OK && g->ruled) {
        err = due_forget(g, base);
    }
    if (err != OXBOW_OK || id_compare(base, g->pending_low) != 0) {
        return err;
    }
    err = pending_chunk_seek(t, base, false, &g->pending_low, &v);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err pending_remove(struct pending_table *t, struct oxbow_id id)
{
    struct group *g = t->group;
    struct pending_view v;
    struct pending old;
    uint8_t key[KV_KEY_MAX];
    uint8_t alive;
    size_t idx;
    bool last;
    enum oxbow_err err = locate_record(t, id, &v, &idx);

    if (err != OXBOW_OK) {
        return err;
    }
    pending_view_get(&v, idx, &old);
    last = pending_view_only(&v, idx) && id_compare(t->base, g->pending_tail) != 0;
    alive = v.data[PENDING_AT_ALIVE + idx / 8] & (uint8_t) ~(1u << (idx % 8));
    if (last) {
        err = chunk_delete(t, t->base);
    } else {
        err = kv_patch(g->stream->txn, chunk_key(key, g, t->base), PENDING_AT_ALIVE + idx / 8,
                       (struct oxbow_bytes){&alive, 1});
    }
    if (err == OXBOW_OK && g->ruled) {
        err = due_removed(g, &old);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (g->pending == 0) {
        return OXBOW_ECORRUPT;
    }
    g->pending--;
    return tally(t, old.consumer);
}

/* ---- adding ---- */

/* The chunk is looked at when the first of those records is due. Of what is nobody's, notes say when
 * that is, and who writes them sees to it. */
static enum oxbow_err look_by(const struct pending_table *t, struct oxbow_id base,
                              const struct pending *records, size_t count)
{
    struct group *g = t->group;
    uint64_t due = DUE_NEVER;
    size_t i;

    if (!g->ruled) {
        return OXBOW_OK;
    }
    for (i = 0; i < count; i++) {
        uint64_t one = records[i].consumer != 0 ? due_of(g, &records[i], NULL) : DUE_NEVER;

        due = one < due ? one : due;
    }
    return due_by(g, base, due);
}

/* Writes a new chunk of `count` records. */
static enum oxbow_err chunk_make(struct pending_table *t, struct oxbow_id base,
                                 const struct pending *records, size_t count)
{
    struct group *g = t->group;
    uint8_t chunk[PENDING_CHUNK_BYTES];
    uint8_t key[KV_KEY_MAX];
    size_t i;
    enum oxbow_err err;

    pending_header_put(chunk, NULL);
    for (i = 0; i < count; i++) {
        pending_header_add(chunk, i, &records[i]);
        pending_record_put(chunk + PENDING_HEADER + i * PENDING_RECORD, &records[i]);
    }
    err = kv_put(g->stream->txn, chunk_key(key, g, base),
                 (struct oxbow_bytes){chunk, PENDING_HEADER + count * PENDING_RECORD});
    if (err != OXBOW_OK) {
        return err;
    }
    t->base = base;
    t->has_base = true;
    if (id_compare(base, g->pending_low) < 0) {
        g->pending_low = base;
    }
    if (id_compare(base, g->pending_tail) > 0) {
        g->pending_tail = base;
    }
    return look_by(t, base, records, count);
}

/* Writes a record into its place in the chunk t->base, or behind its last. */
static enum oxbow_err record_write(struct pending_table *t, const struct pending_view *v,
                                   size_t idx, const struct pending *p)
{
    struct group *g = t->group;
    uint8_t key[KV_KEY_MAX];
    uint8_t header[PENDING_HEADER];
    uint8_t record[PENDING_RECORD];
    enum oxbow_err err;

    pending_header_put(header, v);
    pending_header_add(header, idx, p);
    pending_record_put(record, p);
    err = kv_patch(g->stream->txn, chunk_key(key, g, t->base), 0,
                   (struct oxbow_bytes){header, sizeof header});
    if (err != OXBOW_OK) {
        return err;
    }
    err =
        kv_patch(g->stream->txn, chunk_key(key, g, t->base), PENDING_HEADER + idx * PENDING_RECORD,
                 (struct oxbow_bytes){record, sizeof record});
    return err == OXBOW_OK ? look_by(t, t->base, p, 1) : err;
}

/* Puts a record between others: dead ones make room, or the chunk is split in halves. */
static enum oxbow_err record_squeeze(struct pending_table *t, const struct pending_view *v,
                                     const struct pending *p)
{
    struct pending records[PENDING_RECORDS + 1];
    struct oxbow_id base = t->base;
    size_t count = 0, half, i;
    bool put = false;
    enum oxbow_err err;

    for (i = 0; i < v->count; i++) {
        if (!put && id_compare(pending_view_id(v, i), p->id) > 0) {
            records[count++] = *p;
            put = true;
        }
        if (pending_view_alive(v, i)) {
            pending_view_get(v, i, &records[count++]);
        }
    }
    if (!put) {
        records[count++] = *p;
    }
    half = count <= PENDING_RECORDS ? count : count / 2;
    err = chunk_make(t, base, records, half);
    if (err == OXBOW_OK && half < count) {
        err = chunk_make(t, records[half].id, records + half, count - half);
        /* Notes may say that some of these are due sooner than they seem. */
        if (err == OXBOW_OK && t->group->ruled) {
            err = due_by(t->group, t->base, 0);
        }
    }
    return err;
}

/* Begins a chunk behind all others; an old tail that holds nothing any more goes. */
static enum oxbow_err tail_begin(struct pending_table *t, const struct pending_view *old,
                                 const struct pending *records, size_t count)
{
    struct oxbow_id old_tail = t->group->pending_tail;
    bool drop = old != NULL && pending_view_only(old, SIZE_MAX);
    enum oxbow_err err = chunk_make(t, records[0].id, records, count);

    if (err == OXBOW_OK && drop) {
        err = chunk_delete(t, old_tail);
    }
    return err;
}

static enum oxbow_err record_add(struct pending_table *t, const struct pending *p)
{
    struct pending_view v;
    size_t idx;
    enum oxbow_err err = locate(t, p->id, &v);

    if (err == OXBOW_ENOENT) {
        return chunk_make(t, p->id, p, 1);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    idx = pending_view_search(&v, p->id);
    if (idx < v.count ? id_compare(pending_view_id(&v, idx), p->id) == 0
                      : v.count < PENDING_RECORDS) {
        return record_write(t, &v, idx, p);
    }
    if (idx < v.count) {
        return record_squeeze(t, &v, p);
    }
    if (id_compare(t->base, t->group->pending_tail) == 0) {
        return tail_begin(t, &v, p, 1);
    }
    return chunk_make(t, p->id, p, 1);
}

enum oxbow_err pending_set(struct pending_table *t, const struct pending *p, bool *added)
{
    struct pending_view v;
    struct pending old;
    size_t idx;
    enum oxbow_err err = locate_record(t, p->id, &v, &idx);

    if (err == OXBOW_OK) {
        pending_view_get(&v, idx, &old);
        *added = old.consumer != p->consumer;
        err = record_write(t, &v, idx, p);
        if (err == OXBOW_OK && *added) {
            err = tally(t, old.consumer);
        }
        return err;
    }
    if (err != OXBOW_ENOENT) {
        return err;
    }
    err = record_add(t, p);
    if (err == OXBOW_OK) {
        t->group->pending++;
        *added = true;
    }
    return err;
}

static struct pending batch_record(const struct pending_batch *b, size_t idx)
{
    return (struct pending){
        .id = b->entries[idx].id, .consumer = b->consumer, .age_ms = b->age_ms, .deliveries = 1};
}

/* Appends as many records as the tail has room for, with one patch of records and one of header. */
static enum oxbow_err tail_fill(struct pending_table *t, const struct pending_view *v,
                                const struct pending_batch *b, size_t *done)
{
    struct group *g = t->group;
    uint8_t header[PENDING_HEADER];
    uint8_t records[PENDING_CHUNK_BYTES];
    uint8_t key[KV_KEY_MAX];
    size_t room = PENDING_RECORDS - v->count;
    size_t count = b->count < room ? b->count : room;
    struct pending p[PENDING_RECORDS];
    size_t i;
    enum oxbow_err err;

    *done = count;
    if (count == 0) {
        return OXBOW_OK;
    }
    pending_header_put(header, v);
    for (i = 0; i < count; i++) {
        p[i] = batch_record(b, i);
        pending_header_add(header, v->count + i, &p[i]);
        pending_record_put(records + i * PENDING_RECORD, &p[i]);
    }
    err = kv_patch(g->stream->txn, chunk_key(key, g, g->pending_tail),
                   PENDING_HEADER + v->count * PENDING_RECORD,
                   (struct oxbow_bytes){records, count * PENDING_RECORD});
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_patch(g->stream->txn, chunk_key(key, g, g->pending_tail), 0,
                   (struct oxbow_bytes){header, sizeof header});
    return err == OXBOW_OK ? look_by(t, g->pending_tail, p, count) : err;
}

/* The tail, when all of the batch comes after it. OXBOW_EAGAIN: it does not. */
static enum oxbow_err tail_get(struct pending_table *t, const struct pending_batch *b,
                               struct pending_view *v)
{
    struct group *g = t->group;
    enum oxbow_err err;

    if (id_compare(b->entries[0].id, g->pending_tail) <= 0) {
        return OXBOW_EAGAIN;
    }
    err = pending_chunk(g, g->pending_tail, v);
    if (err == OXBOW_ENOENT) {
        return OXBOW_ECORRUPT;
    }
    return err == OXBOW_OK && pending_view_search(v, b->entries[0].id) < v->count ? OXBOW_EAGAIN
                                                                                  : err;
}

static enum oxbow_err add_each(struct pending_table *t, const struct pending_batch *b,
                               uint64_t *added)
{
    size_t i;

    for (i = 0; i < b->count; i++) {
        struct pending p = batch_record(b, i);
        bool one;
        enum oxbow_err err = pending_set(t, &p, &one);

        if (err != OXBOW_OK) {
            return err;
        }
        *added += one;
    }
    return OXBOW_OK;
}

enum oxbow_err pending_add(struct pending_table *t, const struct pending_batch *b, uint64_t *added)
{
    struct group *g = t->group;
    struct pending_view v;
    size_t done = 0;
    enum oxbow_err err = OXBOW_OK;

    *added = 0;
    if (!id_is_zero(g->pending_tail)) {
        err = tail_get(t, b, &v);
        if (err == OXBOW_EAGAIN) {
            return add_each(t, b, added);
        }
        if (err == OXBOW_OK) {
            err = tail_fill(t, &v, b, &done);
        }
    }
    while (err == OXBOW_OK && done < b->count) {
        struct pending records[PENDING_RECORDS];
        bool old = !id_is_zero(g->pending_tail);
        size_t n;

        for (n = 0; n < PENDING_RECORDS && done < b->count; n++) {
            records[n] = batch_record(b, done++);
        }
        err = old ? pending_chunk(g, g->pending_tail, &v) : OXBOW_OK;
        if (err == OXBOW_OK) {
            err = tail_begin(t, old ? &v : NULL, records, n);
        }
    }
    if (err == OXBOW_OK) {
        g->pending += b->count;
        *added = b->count;
    }
    return err;
}
