/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes stream entries (drawn in stream_entry.h). It knows nothing of the store: what
 * is kept outside of a chunk is fetched by stream_walk.c.
 *
 * 1. No byte outside of the given buffers is ever read, whatever they hold.
 * 2. A walk ends: every entry is at least STREAM_ENTRY_MIN bytes, every field at least one.
 */
#include "engine/queue/stream_entry.h"

#include "engine/base/codec.h"

#include <string.h>

enum oxbow_err chunk_walk_init(struct chunk_walk *w, struct oxbow_bytes chunk, struct oxbow_id base)
{
    struct chunk_head head;
    enum oxbow_err err = chunk_head_decode(chunk, &head);

    if (err != OXBOW_OK) {
        return err;
    }
    if (head.kind != CHUNK_STREAM) {
        return OXBOW_ECORRUPT;
    }
    *w = (struct chunk_walk){.bytes = chunk, .base = base, .pos = CHUNK_HEADER};
    return OXBOW_OK;
}

/* Reads a varint at *pos, which moves on; false when it is cut short. */
static bool number_get(const uint8_t *data, size_t len, size_t *pos, uint64_t *v)
{
    size_t n = varint_get(data + *pos, len - *pos, v);

    *pos += n;
    return n > 0;
}

static bool id_get(struct oxbow_id base, uint64_t ms_delta, uint64_t seq, struct oxbow_id *id)
{
    if (ms_delta > UINT64_MAX - base.ms) {
        return false;
    }
    id->ms = base.ms + ms_delta;
    id->seq = seq;
    if (ms_delta == 0) {
        if (seq > UINT64_MAX - base.seq) {
            return false;
        }
        id->seq += base.seq;
    }
    return true;
}

static enum oxbow_err outside_get(struct stream_entry *entry)
{
    size_t pos = 0;

    if (!number_get(entry->body, entry->body_len, &pos, &entry->blob) ||
        !number_get(entry->body, entry->body_len, &pos, &entry->outside_len) ||
        pos != entry->body_len) {
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

enum oxbow_err chunk_entry_at(const struct chunk_walk *w, size_t pos, struct stream_entry *entry)
{
    const uint8_t *data = w->bytes.data;
    size_t len = w->bytes.len;
    uint64_t ms_delta, seq, body_len;
    struct stream_entry e = {.pos = pos};

    if (pos >= len) {
        return pos == len ? OXBOW_ENOENT : OXBOW_ECORRUPT;
    }
    e.flags = data[pos++];
    if ((e.flags & ~STREAM_ENTRY_FLAGS) != 0 || !number_get(data, len, &pos, &ms_delta) ||
        !number_get(data, len, &pos, &seq) || !number_get(data, len, &pos, &body_len) ||
        body_len > len - pos || !id_get(w->base, ms_delta, seq, &e.id)) {
        return OXBOW_ECORRUPT;
    }
    e.body = data + pos;
    e.body_len = (size_t)body_len;
    e.next = pos + e.body_len;
    if ((e.flags & STREAM_ENTRY_OUTSIDE) != 0) {
        enum oxbow_err err = outside_get(&e);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    *entry = e;
    return OXBOW_OK;
}

enum oxbow_err chunk_walk_next(struct chunk_walk *w, struct stream_entry *entry)
{
    struct stream_entry e;
    enum oxbow_err err = chunk_entry_at(w, w->pos, &e);

    if (err != OXBOW_OK) {
        return err;
    }
    if (w->any ? id_compare(e.id, w->last) <= 0 : id_compare(e.id, w->base) != 0) {
        return OXBOW_ECORRUPT;
    }
    w->any = true;
    w->last = e.id;
    w->pos = e.next;
    *entry = e;
    return OXBOW_OK;
}

/* ---- fields ---- */

/* Reads (len, bytes) at *pos, which moves on; false when it is cut short. */
static bool piece_get(const uint8_t **pos, const uint8_t *end, struct oxbow_bytes *piece)
{
    size_t left = (size_t)(end - *pos);
    uint64_t len;
    size_t n = varint_get(*pos, left, &len);

    if (n == 0 || len > left - n) {
        return false;
    }
    *piece = (struct oxbow_bytes){*pos + n, (size_t)len};
    *pos += n + (size_t)len;
    return true;
}

enum oxbow_err field_walk_plain(struct field_walk *f, struct oxbow_bytes body)
{
    const uint8_t *data = body.data;
    uint64_t count;
    size_t n = varint_get(data, body.len, &count);

    if (n == 0 || count == 0 || count > UINT32_MAX) {
        return OXBOW_ECORRUPT;
    }
    *f = (struct field_walk){.left = count, .pos = data + n, .end = data + body.len};
    return OXBOW_OK;
}

/* The fields of the chunk's first entry, when others can share their names. */
static enum oxbow_err master_get(const struct chunk_walk *w, struct field_walk *f)
{
    struct stream_entry first;
    enum oxbow_err err = chunk_entry_at(w, CHUNK_HEADER, &first);

    if (err != OXBOW_OK) {
        return OXBOW_ECORRUPT;
    }
    if ((first.flags & (STREAM_ENTRY_SAME | STREAM_ENTRY_OUTSIDE)) != 0) {
        return OXBOW_ENOENT;
    }
    return field_walk_plain(f, (struct oxbow_bytes){first.body, first.body_len});
}

enum oxbow_err field_walk_init(struct field_walk *f, const struct chunk_walk *w,
                               const struct stream_entry *entry)
{
    struct field_walk master;
    enum oxbow_err err;

    if ((entry->flags & STREAM_ENTRY_SAME) == 0) {
        return field_walk_plain(f, (struct oxbow_bytes){entry->body, entry->body_len});
    }
    err = master_get(w, &master);
    if (err != OXBOW_OK) {
        return OXBOW_ECORRUPT;
    }
    *f = (struct field_walk){.left = master.left,
                             .pos = entry->body,
                             .end = entry->body + entry->body_len,
                             .names = master.pos,
                             .names_end = master.end};
    return OXBOW_OK;
}

enum oxbow_err field_walk_next(struct field_walk *f, struct oxbow_field *field)
{
    struct oxbow_field out;
    struct oxbow_bytes skipped;

    if (f->left == 0) {
        return f->pos == f->end ? OXBOW_ENOENT : OXBOW_ECORRUPT;
    }
    if (f->names != NULL) {
        if (!piece_get(&f->names, f->names_end, &out.name) ||
            !piece_get(&f->names, f->names_end, &skipped)) {
            return OXBOW_ECORRUPT;
        }
    } else if (!piece_get(&f->pos, f->end, &out.name)) {
        return OXBOW_ECORRUPT;
    }
    if (!piece_get(&f->pos, f->end, &out.value)) {
        return OXBOW_ECORRUPT;
    }
    f->left--;
    *field = out;
    return OXBOW_OK;
}

/* ---- encoding ---- */

uint64_t fields_plain_len(const struct oxbow_field *fields, uint32_t count)
{
    uint64_t len = varint_len(count);
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint64_t name = fields[i].name.len;
        uint64_t value = fields[i].value.len;

        if (name > UINT32_MAX || value > UINT32_MAX) {
            return UINT64_MAX;
        }
        len += varint_len(name) + name + varint_len(value) + value;
    }
    return len;
}

static size_t piece_put(uint8_t *out, struct oxbow_bytes piece)
{
    size_t n = varint_put(out, piece.len);

    if (piece.len > 0) {
        memcpy(out + n, piece.data, piece.len);
    }
    return n + piece.len;
}

size_t fields_plain_put(uint8_t *out, const struct oxbow_field *fields, uint32_t count)
{
    size_t n = varint_put(out, count);
    uint32_t i;

    for (i = 0; i < count; i++) {
        n += piece_put(out + n, fields[i].name);
        n += piece_put(out + n, fields[i].value);
    }
    return n;
}

bool fields_same(struct oxbow_bytes chunk, const struct oxbow_field *fields, uint32_t count,
                 uint64_t *len)
{
    struct chunk_walk w = {.bytes = chunk};
    struct field_walk master;
    uint64_t total = 0;
    uint32_t i;

    if (master_get(&w, &master) != OXBOW_OK || master.left != count) {
        return false;
    }
    for (i = 0; i < count; i++) {
        struct oxbow_field field;

        if (field_walk_next(&master, &field) != OXBOW_OK || field.name.len != fields[i].name.len ||
            (field.name.len > 0 &&
             memcmp(field.name.data, fields[i].name.data, field.name.len) != 0)) {
            return false;
        }
        total += varint_len(fields[i].value.len) + fields[i].value.len;
    }
    *len = total;
    return true;
}

size_t fields_same_put(uint8_t *out, const struct oxbow_field *fields, uint32_t count)
{
    size_t n = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        n += piece_put(out + n, fields[i].value);
    }
    return n;
}

size_t entry_head_put(uint8_t out[STREAM_ENTRY_HEAD_MAX], uint8_t flags, struct oxbow_id base,
                      struct oxbow_id id, size_t body_len)
{
    uint64_t ms_delta = id.ms - base.ms;
    size_t n = 0;

    out[n++] = flags;
    n += varint_put(out + n, ms_delta);
    n += varint_put(out + n, ms_delta == 0 ? id.seq - base.seq : id.seq);
    n += varint_put(out + n, body_len);
    return n;
}
