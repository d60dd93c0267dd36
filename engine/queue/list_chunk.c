/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list's chunks and the entries in them: bytes alone. What a chunk's place in the list means is
 * known to list_push.c, list_pop.c and list_edit.c.
 *
 *   0              24        32        40
 *   +--------------+---------+---------+-------+-------+--- ... at most CHUNK_MAX in all
 *   | chunk header | prev le | next le | entry | entry |
 *   +--------------+---------+---------+-------+-------+---
 *
 *   entry:  00-bf                     that many bytes follow
 *           c0-df xx                  (low 5 bits, xx) as a big-endian length of bytes that follow
 *           e0 len(le32) serial(le64) a value under LIST_KEY_VALUE, serial
 *           e1 len(le32) blob(le64)   a blob of the object
 *
 * prev and next are chunk ids along the list from left to right, whatever the order in which the
 * chunk stores its entries. In the end chunks the link that leads out of the list says nothing.
 * The shortest form of a length is the only one. A chunk comes from a device: decoding takes
 * nothing for granted.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"

#include <string.h>

#define SHORT_MAX 0xbfu
#define LONG_BASE 0xc0u
#define CODE_OWN  0xe0u
#define CODE_BLOB 0xe1u
#define FAR_SIZE  13u

enum oxbow_err list_entry_decode(const uint8_t *p, size_t len, struct list_entry *e)
{
    if (len < 1) {
        return OXBOW_ECORRUPT;
    }
    if (p[0] <= SHORT_MAX) {
        *e =
            (struct list_entry){.form = LIST_INLINE, .len = p[0], .size = 1u + p[0], .data = p + 1};
    } else if (p[0] < CODE_OWN) {
        uint32_t n;

        if (len < 2) {
            return OXBOW_ECORRUPT;
        }
        n = (uint32_t)(p[0] - LONG_BASE) << 8 | p[1];
        if (n <= SHORT_MAX || n > LIST_INLINE_MAX) {
            return OXBOW_ECORRUPT;
        }
        *e = (struct list_entry){.form = LIST_INLINE, .len = n, .size = n + 2, .data = p + 2};
    } else {
        if (p[0] > CODE_BLOB || len < FAR_SIZE) {
            return OXBOW_ECORRUPT;
        }
        *e = (struct list_entry){.form = p[0] == CODE_OWN ? LIST_OWN : LIST_BLOB,
                                 .len = get_le32(p + 1),
                                 .size = FAR_SIZE,
                                 .id = get_le64(p + 5)};
    }
    return e->size <= len ? OXBOW_OK : OXBOW_ECORRUPT;
}

size_t list_entry_encode(uint8_t out[LIST_ENTRY_MAX], const struct list_entry *e)
{
    size_t n = 1;

    if (e->form != LIST_INLINE) {
        out[0] = e->form == LIST_OWN ? CODE_OWN : CODE_BLOB;
        put_le32(out + 1, e->len);
        put_le64(out + 5, e->id);
        return FAR_SIZE;
    }
    if (e->len <= SHORT_MAX) {
        out[0] = (uint8_t)e->len;
    } else {
        out[0] = (uint8_t)(LONG_BASE + (e->len >> 8));
        out[1] = (uint8_t)e->len;
        n = 2;
    }
    if (e->len > 0) {
        memcpy(out + n, e->data, e->len);
    }
    return n + e->len;
}

static struct oxbow_bytes chunk_key(uint8_t out[KV_KEY_MAX], const struct list *l, uint64_t id)
{
    uint8_t tail[8];

    put_be64(tail, id);
    return (struct oxbow_bytes){out,
                                object_key(out, l->object.id, LIST_KEY_CHUNK, tail, sizeof(tail))};
}

enum oxbow_err list_chunk_len(const struct list *l, uint64_t id, size_t *len)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_len(l->txn, chunk_key(key, l, id), len);

    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* Which bytes are live: the header knows for the end chunks, in others all are. */
static void view_bound(const struct list *l, struct list_view *v)
{
    unsigned i;

    v->from = LIST_BODY;
    v->to = v->len;
    for (i = 0; i < 2; i++) {
        if (l->ends[i].id == v->id) {
            v->from = l->ends[i].from;
            v->to = l->ends[i].to;
        }
    }
}

enum oxbow_err list_view_load(const struct list *l, uint64_t id, size_t max, struct list_view *v)
{
    struct chunk_head head;
    struct oxbow_bytes chunk;
    struct list_entry e;
    uint8_t key[KV_KEY_MAX];
    size_t pos;
    enum oxbow_err err = kv_get(l->txn, chunk_key(key, l, id), &chunk);

    if (err == OXBOW_OK) {
        err = chunk_head_decode(chunk, &head);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    if (chunk.len <= LIST_BODY || head.kind == CHUNK_STREAM) {
        return OXBOW_ECORRUPT;
    }
    v->id = id;
    v->data = chunk.data;
    v->len = (uint16_t)chunk.len;
    v->kind = head.kind;
    v->prev = get_le64(v->data + LIST_AT_PREV);
    v->next = get_le64(v->data + LIST_AT_NEXT);
    view_bound(l, v);
    if (v->to > v->len) {
        return OXBOW_ECORRUPT;
    }
    v->count = 0;
    for (pos = v->from; pos < v->to && v->count < max; pos += e.size) {
        v->at[v->count++] = (uint16_t)pos;
        err = list_entry_decode(v->data + pos, v->to - pos, &e);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    v->at[v->count] = (uint16_t)pos;
    return OXBOW_OK;
}

enum oxbow_err list_view_entry(const struct list_view *v, size_t i, struct list_entry *e)
{
    size_t slot = list_view_slot(v, i);

    return list_entry_decode(v->data + v->at[slot], (size_t)(v->to - v->at[slot]), e);
}

void list_image_init(struct list_image *image, const struct list_view *v)
{
    memcpy(image->bytes, v->data, LIST_BODY);
    image->len = LIST_BODY;
}

enum oxbow_err list_put(struct list *l, uint64_t id, struct oxbow_bytes chunk)
{
    uint8_t key[KV_KEY_MAX];

    l->dirty = true;
    return kv_put(l->txn, chunk_key(key, l, id), chunk);
}

enum oxbow_err list_patch(struct list *l, uint64_t id, size_t pos, struct oxbow_bytes bytes)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    l->dirty = true;
    err = kv_patch(l->txn, chunk_key(key, l, id), pos, bytes);
    return err == OXBOW_ENOENT || err == OXBOW_EINVAL ? OXBOW_ECORRUPT : err;
}

enum oxbow_err list_unput(struct list *l, uint64_t id)
{
    uint8_t key[KV_KEY_MAX];

    l->dirty = true;
    return kv_del(l->txn, chunk_key(key, l, id));
}

enum oxbow_err list_link(struct list *l, uint64_t id, size_t pos, uint64_t to)
{
    uint8_t link[8];

    put_le64(link, to);
    return list_patch(l, id, pos, (struct oxbow_bytes){link, sizeof(link)});
}
