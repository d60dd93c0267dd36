/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the index of priorities. No byte outside of a chunk is read, whatever it holds, and a walk
 * ends: every id takes two bytes at least.
 */
#include "engine/queue/priority_walk.h"

#include "engine/base/codec.h"

#include <string.h>

#define TAIL_LEN   (1u + ID_KEY_LEN)
#define PREFIX_LEN 11u /* of a chunk's key: space, object, kind, priority */

/* ---- chunks ---- */

struct oxbow_bytes index_key(uint8_t out[KV_KEY_MAX], const struct stream *s, uint8_t level,
                             struct oxbow_id id)
{
    uint8_t tail[TAIL_LEN] = {level};

    id_to_key(tail + 1, id);
    return (struct oxbow_bytes){
        out, object_key(out, s->object.id, STREAM_KIND_PRIORITY, tail, sizeof tail)};
}

bool index_key_like(struct oxbow_bytes key, const uint8_t *want)
{
    return key.len == PREFIX_LEN + ID_KEY_LEN && memcmp(key.data, want, PREFIX_LEN) == 0;
}

struct oxbow_id index_base(struct oxbow_bytes key)
{
    return id_from_key((const uint8_t *)key.data + key.len - ID_KEY_LEN);
}

enum oxbow_err index_check(struct oxbow_bytes chunk)
{
    return chunk.len < INDEX_HEADER || chunk.len > INDEX_MAX ||
                   *(const uint8_t *)chunk.data != INDEX_FORMAT
               ? OXBOW_ECORRUPT
               : OXBOW_OK;
}

enum oxbow_err index_step(struct oxbow_bytes chunk, size_t *pos, bool any, struct oxbow_id *id,
                          bool *dead)
{
    const uint8_t *data = chunk.data;
    uint64_t head, seq;
    size_t n, m;

    if (*pos >= chunk.len) {
        return OXBOW_ENOENT;
    }
    n = varint_get(data + *pos, chunk.len - *pos, &head);
    m = n == 0 ? 0 : varint_get(data + *pos + n, chunk.len - *pos - n, &seq);
    if (m == 0 || (head >> 1) > UINT64_MAX - id->ms) {
        return OXBOW_ECORRUPT;
    }
    if (head >> 1 == 0 && (seq > UINT64_MAX - id->seq || (any && seq == 0))) {
        return OXBOW_ECORRUPT;
    }
    id->seq = head >> 1 == 0 ? id->seq + seq : seq;
    id->ms += head >> 1;
    *dead = (head & 1) != 0;
    *pos += n + m;
    return OXBOW_OK;
}

/* ---- walking ---- */

enum oxbow_err priority_walk_init(struct priority_walk *w, const struct stream *s, uint8_t level,
                                  struct oxbow_id from)
{
    *w = (struct priority_walk){.stream = s, .level = level, .from = from};
    return kv_cursor_init(&w->cursor, s->txn);
}

void priority_walk_fini(struct priority_walk *w)
{
    kv_cursor_fini(&w->cursor);
}

static enum oxbow_err walk_take(struct priority_walk *w, const uint8_t *want,
                                struct oxbow_bytes key, struct oxbow_bytes value)
{
    if (!index_key_like(key, want)) {
        return OXBOW_ENOENT;
    }
    w->chunk = value;
    w->at = index_base(key);
    w->pos = INDEX_HEADER;
    w->any = false;
    w->placed = true;
    return index_check(value);
}

static enum oxbow_err walk_load(struct priority_walk *w)
{
    uint8_t buf[KV_KEY_MAX];
    struct oxbow_bytes want = index_key(buf, w->stream, w->level, w->from);
    struct oxbow_bytes key, value;
    enum oxbow_err err;

    if (w->placed) {
        err = kv_cursor_next(&w->cursor, &key, &value);
        return err == OXBOW_OK ? walk_take(w, buf, key, value) : err;
    }
    err = kv_cursor_seek_back_in(&w->cursor, want, want.len - ID_KEY_LEN, &key, &value);
    err = err == OXBOW_OK ? walk_take(w, buf, key, value) : err;
    if (err != OXBOW_ENOENT) {
        return err;
    }
    err = kv_cursor_seek_in(&w->cursor, want, want.len - ID_KEY_LEN, &key, &value);
    return err == OXBOW_OK ? walk_take(w, buf, key, value) : err;
}

enum oxbow_err priority_walk_next(struct priority_walk *w, struct oxbow_id *id)
{
    for (;;) {
        bool dead = false;
        enum oxbow_err err =
            w->placed ? index_step(w->chunk, &w->pos, w->any, &w->at, &dead) : OXBOW_ENOENT;

        if (err == OXBOW_ENOENT) {
            err = walk_load(w);
            if (err != OXBOW_OK) {
                return err;
            }
            continue;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        w->any = true;
        if (!dead && id_compare(w->at, w->from) >= 0) {
            *id = w->at;
            return OXBOW_OK;
        }
    }
}
