/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a stream's live entries over its chunks, in both directions, and fills results. Chunks are
 * borrowed from the store's cursor: nothing is copied but what a result keeps, and blobs.
 *
 * 1. All ids of a chunk are at or above its key's id and below the next chunk's.
 * 2. `placed` means that w->chunk borrows what the cursor gave last; no cursor call and no write
 *    may come between that and the last use.
 */
#include "engine/queue/stream.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/queue/expire.h"

#include <string.h>

enum oxbow_err stream_walk_init(struct stream_walk *w, struct stream *s, struct oxbow_id from,
                                struct oxbow_id to, bool reverse)
{
    w->stream = s;
    /* Nothing lives below `first`, and chunks removed there may still be in the way. */
    w->from = id_compare(from, s->first) < 0 ? s->first : from;
    w->to = to;
    w->reverse = reverse;
    w->ended = s->length == 0 || id_compare(w->from, to) > 0;
    w->placed = false;
    w->hide = false;
    w->back_count = 0;
    w->body = NULL;
    w->body_len = 0;
    return kv_cursor_init(&w->cursor, s->txn);
}

static void body_drop(struct stream_walk *w)
{
    if (w->body != NULL) {
        mem_free(&txn_port(w->stream->txn)->alloc, w->body, w->body_len);
        w->body = NULL;
    }
}

void stream_walk_fini(struct stream_walk *w)
{
    body_drop(w);
    kv_cursor_fini(&w->cursor);
}

/* Takes what the cursor found, if it is a chunk of this stream: OXBOW_ENOENT otherwise. */
static enum oxbow_err chunk_take(struct stream_walk *w, struct oxbow_bytes key,
                                 struct oxbow_bytes value)
{
    uint8_t low[KV_KEY_MAX];
    size_t prefix = stream_id_key(low, w->stream, STREAM_KIND_CHUNK, OXBOW_ID_MIN).len - ID_KEY_LEN;

    if (key.len != prefix + ID_KEY_LEN || memcmp(key.data, low, prefix) != 0) {
        return OXBOW_ENOENT;
    }
    return chunk_walk_init(&w->chunk, value, id_from_key((const uint8_t *)key.data + prefix));
}

/* Goes to the chunk that holds `id` or, when none does, to its neighbour in the walk's direction.
 */
static enum oxbow_err chunk_seek(struct stream_walk *w, struct oxbow_id id)
{
    uint8_t buf[KV_KEY_MAX];
    struct oxbow_bytes want = stream_id_key(buf, w->stream, STREAM_KIND_CHUNK, id);
    struct oxbow_bytes key, value;
    enum oxbow_err err =
        kv_cursor_seek_back_in(&w->cursor, want, want.len - ID_KEY_LEN, &key, &value);

    if (err == OXBOW_OK) {
        err = chunk_take(w, key, value);
    }
    if (err != OXBOW_ENOENT || w->reverse) {
        return err;
    }
    err = kv_cursor_seek_in(&w->cursor, want, want.len - ID_KEY_LEN, &key, &value);
    return err == OXBOW_OK ? chunk_take(w, key, value) : err;
}

static enum oxbow_err chunk_step(struct stream_walk *w)
{
    struct oxbow_bytes key, value;
    enum oxbow_err err;

    if (w->reverse) {
        err = kv_cursor_prev(&w->cursor, &key, &value);
    } else {
        err = kv_cursor_next(&w->cursor, &key, &value);
    }
    return err == OXBOW_OK ? chunk_take(w, key, value) : err;
}

/* Notes where the chunk's live entries within the range are, to give them newest first. */
static enum oxbow_err back_fill(struct stream_walk *w)
{
    struct stream_entry entry;
    enum oxbow_err err;

    w->back_count = 0;
    while ((err = chunk_walk_next(&w->chunk, &entry)) == OXBOW_OK) {
        if ((entry.flags & STREAM_ENTRY_DELETED) == 0 && id_compare(entry.id, w->from) >= 0 &&
            id_compare(entry.id, w->to) <= 0) {
            w->back[w->back_count++] = (uint16_t)entry.pos;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Loads the next chunk of the walk. OXBOW_ENOENT after the last one. */
static enum oxbow_err chunk_load(struct stream_walk *w)
{
    enum oxbow_err err;

    if (!w->placed) {
        err = chunk_seek(w, w->reverse ? w->to : w->from);
    } else if (w->reverse && id_compare(w->chunk.base, w->from) <= 0) {
        err = OXBOW_ENOENT;
    } else {
        err = chunk_step(w);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    w->placed = true;
    return w->reverse ? back_fill(w) : OXBOW_OK;
}

static enum oxbow_err next_backward(struct stream_walk *w, struct stream_entry *entry)
{
    while (!w->placed || w->back_count == 0) {
        enum oxbow_err err = chunk_load(w);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    return chunk_entry_at(&w->chunk, w->back[--w->back_count], entry);
}

static enum oxbow_err next_forward(struct stream_walk *w, struct stream_entry *entry)
{
    enum oxbow_err err;

    for (;;) {
        err = w->placed ? chunk_walk_next(&w->chunk, entry) : OXBOW_ENOENT;
        if (err == OXBOW_ENOENT) {
            err = chunk_load(w);
            if (err != OXBOW_OK) {
                return err;
            }
            continue;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (id_compare(entry->id, w->to) > 0) {
            return OXBOW_ENOENT;
        }
        if ((entry->flags & STREAM_ENTRY_DELETED) == 0 && id_compare(entry->id, w->from) >= 0) {
            return OXBOW_OK;
        }
    }
}

enum oxbow_err stream_walk_next(struct stream_walk *w, struct stream_entry *entry)
{
    enum oxbow_err err;

    if (w->ended) {
        return OXBOW_ENOENT;
    }
    err = w->reverse ? next_backward(w, entry) : next_forward(w, entry);
    w->ended = err != OXBOW_OK;
    return err;
}

/* ---- fields ---- */

static enum oxbow_err blob_fetch(struct stream_walk *w, const struct stream_entry *entry,
                                 struct oxbow_bytes *body)
{
    const struct oxbow_alloc *alloc = &txn_port(w->stream->txn)->alloc;
    enum oxbow_err err;

    body_drop(w);
    if (entry->outside_len > SIZE_MAX || entry->outside_len > STREAM_RESULT_BYTES_MAX) {
        return OXBOW_ECORRUPT;
    }
    w->body_len = (size_t)entry->outside_len;
    w->body = mem_new(alloc, w->body_len);
    if (w->body == NULL) {
        return OXBOW_ENOMEM;
    }
    err = kv_blob_read(w->stream->txn, entry->blob, 0, w->body, w->body_len);
    *body = (struct oxbow_bytes){w->body, w->body_len};
    return err;
}

static enum oxbow_err outside_fetch(struct stream_walk *w, const struct stream_entry *entry,
                                    struct oxbow_bytes *body)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    if (entry->blob != 0) {
        err = blob_fetch(w, entry, body);
    } else {
        err = kv_get(w->stream->txn, stream_id_key(key, w->stream, STREAM_KIND_BODY, entry->id),
                     body);
    }
    if (err == OXBOW_ENOENT || err == OXBOW_ERANGE ||
        (err == OXBOW_OK && body->len != entry->outside_len)) {
        return OXBOW_ECORRUPT;
    }
    return err;
}

enum oxbow_err stream_walk_fields(struct stream_walk *w, const struct stream_entry *entry,
                                  struct field_walk *fields)
{
    struct oxbow_bytes body;
    enum oxbow_err err;

    if ((entry->flags & STREAM_ENTRY_OUTSIDE) == 0) {
        return field_walk_init(fields, &w->chunk, entry);
    }
    err = outside_fetch(w, entry, &body);
    return err == OXBOW_OK ? field_walk_plain(fields, body) : err;
}

uint64_t stream_entry_bytes(const struct stream_walk *w, const struct stream_entry *entry)
{
    struct field_walk fields;
    struct oxbow_field field;
    uint64_t bytes = 0;

    if ((entry->flags & STREAM_ENTRY_OUTSIDE) != 0) {
        return entry->outside_len;
    }
    if (field_walk_init(&fields, &w->chunk, entry) != OXBOW_OK) {
        return entry->body_len;
    }
    while (field_walk_next(&fields, &field) == OXBOW_OK) {
        bytes += field.name.len + field.value.len;
    }
    return bytes;
}

enum oxbow_err stream_payload(struct stream *s, struct oxbow_id from, struct oxbow_id to,
                              uint64_t *bytes)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, from, to, false);

    if (err != OXBOW_OK) {
        return err;
    }
    *bytes = 0;
    while (err == OXBOW_OK) {
        struct field_walk fields;
        struct oxbow_field field;

        err = stream_walk_next(&w, &entry);
        if (err != OXBOW_OK) {
            break;
        }
        err = stream_walk_fields(&w, &entry, &fields);
        while (err == OXBOW_OK && (err = field_walk_next(&fields, &field)) == OXBOW_OK) {
            *bytes += field.name.len + field.value.len;
        }
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- results ---- */

enum oxbow_err stream_walk_fill(struct stream_walk *w, const struct stream_entry *entry,
                                struct oxbow_result *result)
{
    struct field_walk fields;
    struct oxbow_field field;
    enum oxbow_err err = stream_walk_fields(w, entry, &fields);

    if (err == OXBOW_OK) {
        err = result_entry(result, entry->id, STREAM_ENTRY_PRIORITY(entry->flags));
    }
    while (err == OXBOW_OK) {
        err = field_walk_next(&fields, &field);
        if (err == OXBOW_OK) {
            err = result_field(result, field.name, field.value);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The next entry that has not expired. */
static enum oxbow_err next_shown(struct stream_walk *w, struct stream_entry *entry)
{
    bool hidden = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && hidden) {
        err = stream_walk_next(w, entry);
        hidden = false;
        if (err == OXBOW_OK && w->hide) {
            err = expire_hides(w->stream->txn, w->stream->object.id, entry->id, &hidden);
        }
    }
    return err;
}

static enum oxbow_err walk_fill(struct stream_walk *w, const struct oxbow_stream_range *range,
                                struct oxbow_result *result)
{
    struct stream_entry entry;
    uint64_t count = 0;

    while (range->count == 0 || count < range->count) {
        enum oxbow_err err = next_shown(w, &entry);

        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        if (range->bytes > 0 && result_count(result) > 0 &&
            result_bytes(result) + stream_entry_bytes(w, &entry) > range->bytes) {
            return OXBOW_OK;
        }
        err = stream_walk_fill(w, &entry, result);
        if (err != OXBOW_OK) {
            return err;
        }
        count++;
    }
    return OXBOW_OK;
}

enum oxbow_err stream_fill_more(struct stream *s, const struct oxbow_stream_range *range,
                                struct oxbow_result *result)
{
    struct stream_walk w;
    enum oxbow_err err = stream_walk_init(&w, s, range->from, range->to, range->reverse);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!range->expired) {
        err = expire_late(s->txn, &w.hide);
    }
    if (err == OXBOW_OK) {
        err = walk_fill(&w, range, result);
    }
    stream_walk_fini(&w);
    return err;
}

enum oxbow_err stream_fill(struct stream *s, const struct oxbow_stream_range *range,
                           struct oxbow_result *result)
{
    const struct oxbow_alloc *alloc = &txn_port(s->txn)->alloc;
    enum oxbow_err err = result_begin(result, alloc, STREAM_RESULT_BYTES_MAX);

    if (err == OXBOW_OK) {
        err = stream_fill_more(s, range, result);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err stream_entry_find(struct stream *s, struct oxbow_id id, struct oxbow_result *fill)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, id, id, false);

    if (err != OXBOW_OK) {
        return err;
    }
    err = expire_late(s->txn, &w.hide);
    if (err == OXBOW_OK) {
        err = next_shown(&w, &entry);
    }
    if (err == OXBOW_OK && fill != NULL) {
        err = stream_walk_fill(&w, &entry, fill);
    }
    stream_walk_fini(&w);
    return err;
}
