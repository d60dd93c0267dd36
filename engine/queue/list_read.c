/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads: length, range, index, position. An index leads to its chunk by key while the list is
 * dense; in a sparse one chunks are counted off from the nearer end. Nothing here writes, so what
 * is borrowed from the store stays good for a whole walk.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/base/result.h"

#include <string.h>

/* Index of the view's leftmost element, in a dense list. */
static uint64_t view_lo(const struct list *l, const struct list_view *v)
{
    uint64_t hi;

    if (v->kind == CHUNK_LIST_RIGHT) {
        return v->id == l->ends[OXBOW_LEFT].id ? l->lo : v->id;
    }
    hi = v->id == l->ends[OXBOW_RIGHT].id ? l->hi - 1 : v->id;
    return hi + 1 - v->count;
}

/* The id of a chunk that a cursor found; false when it found something else. */
static bool chunk_of_key(const struct list *l, struct oxbow_bytes key, uint64_t *id)
{
    uint8_t want[KV_KEY_MAX];
    size_t len = object_key(want, l->object.id, LIST_KEY_CHUNK, NULL, 0);

    if (key.len != len + 8 || memcmp(key.data, want, len) != 0) {
        return false;
    }
    *id = get_be64((const uint8_t *)key.data + len);
    return true;
}

/* Finds the chunk by its key: the RIGHT one at or below the index, else the LEFT one at or above.
 */
static enum oxbow_err chunk_by_index(const struct list *l, uint64_t idx, struct list_view *v)
{
    uint8_t tail[8];
    uint8_t at[KV_KEY_MAX];
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct oxbow_bytes where;
    struct kv_cursor c;
    uint64_t id;
    enum oxbow_err err = kv_cursor_init(&c, l->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    put_be64(tail, idx);
    where =
        (struct oxbow_bytes){at, object_key(at, l->object.id, LIST_KEY_CHUNK, tail, sizeof(tail))};
    err = kv_cursor_seek_back_in(&c, where, where.len - sizeof tail, &key, &value);
    if (err == OXBOW_OK && chunk_of_key(l, key, &id)) {
        err = list_view_load(l, id, LIST_ENTRIES_MAX, v);
        if (err != OXBOW_OK || v->kind == CHUNK_LIST_RIGHT || v->id == idx) {
            goto out;
        }
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = kv_cursor_seek_in(&c, where, where.len - sizeof tail, &key, &value);
    }
    if (err == OXBOW_OK) {
        err =
            chunk_of_key(l, key, &id) ? list_view_load(l, id, LIST_ENTRIES_MAX, v) : OXBOW_ECORRUPT;
    }
out:
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err iter_by_index(struct list_iter *it, uint64_t pos)
{
    const struct list *l = it->l;
    uint64_t lo;
    enum oxbow_err err = chunk_by_index(l, l->lo + pos, &it->v);

    if (err != OXBOW_OK) {
        return err;
    }
    lo = view_lo(l, &it->v);
    if (l->lo + pos < lo || l->lo + pos - lo >= it->v.count) {
        return OXBOW_ECORRUPT;
    }
    it->i = (size_t)(l->lo + pos - lo);
    return OXBOW_OK;
}

/* Counts chunks off from an end; `n` elements lie between that end and the one wanted. */
static enum oxbow_err iter_by_walk(struct list_iter *it, enum oxbow_end end, uint64_t n)
{
    uint64_t id = it->l->ends[end].id;
    enum oxbow_err err;

    for (;;) {
        err = list_view_load(it->l, id, LIST_ENTRIES_MAX, &it->v);
        if (err != OXBOW_OK) {
            return err;
        }
        if (n < it->v.count) {
            it->i = end == OXBOW_LEFT ? (size_t)n : it->v.count - 1u - (size_t)n;
            return OXBOW_OK;
        }
        n -= it->v.count;
        if (id == it->l->ends[list_other(end)].id) {
            return OXBOW_ECORRUPT;
        }
        id = end == OXBOW_LEFT ? it->v.next : it->v.prev;
    }
}

enum oxbow_err list_iter_init(struct list_iter *it, const struct list *l, uint64_t pos, bool back)
{
    uint64_t right = l->count - 1 - pos;

    it->l = l;
    it->back = back;
    if (pos == 0 || right == 0 || l->sparse) {
        return iter_by_walk(it, pos <= right ? OXBOW_LEFT : OXBOW_RIGHT,
                            pos <= right ? pos : right);
    }
    return iter_by_index(it, pos);
}

enum oxbow_err list_iter_next(struct list_iter *it)
{
    enum oxbow_err err;

    if (it->back ? it->i > 0 : it->i + 1 < it->v.count) {
        it->i = it->back ? it->i - 1 : it->i + 1;
        return OXBOW_OK;
    }
    if (it->v.id == it->l->ends[it->back ? OXBOW_LEFT : OXBOW_RIGHT].id) {
        return OXBOW_ENOENT;
    }
    err = list_view_load(it->l, it->back ? it->v.prev : it->v.next, LIST_ENTRIES_MAX, &it->v);
    if (err == OXBOW_OK) {
        it->i = it->back ? it->v.count - 1u : 0;
    }
    return err;
}

enum oxbow_err list_iter_entry(const struct list_iter *it, struct list_entry *e)
{
    return list_view_entry(&it->v, it->i, e);
}

enum oxbow_err list_collect(const struct list *l, struct list_iter *it, uint64_t n, uint64_t bytes,
                            struct oxbow_result *result)
{
    for (;;) {
        struct list_entry e;
        enum oxbow_err err = list_iter_entry(it, &e);

        if (err == OXBOW_OK) {
            err = list_value_read(l, &e, result);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (--n == 0 || (bytes != 0 && result_bytes(result) >= bytes)) {
            return OXBOW_OK;
        }
        err = list_iter_next(it);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
    }
}

enum oxbow_err oxbow_list_len(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *len)
{
    struct list l;
    enum oxbow_err err;

    if (len == NULL) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *len = l.count;
        return OXBOW_OK;
    }
    return err;
}

/* What range, peek and index have in common: n elements from `pos` on; n 0 gives none. */
static enum oxbow_err read_into(const struct list *l, uint64_t pos, bool back, uint64_t n,
                                uint64_t bytes, struct oxbow_result *result)
{
    struct list_iter it;
    enum oxbow_err err = result_begin(result, &txn_port(l->txn)->alloc, OXBOW_LIST_RESULT_MAX);

    if (err == OXBOW_OK && n > 0) {
        err = list_iter_init(&it, l, pos, back);
        if (err == OXBOW_OK) {
            err = list_collect(l, &it, n, bytes, result);
        }
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_list_range(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t start,
                                int64_t stop, struct oxbow_result *result)
{
    struct list l;
    uint64_t first;
    uint64_t last;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (err == OXBOW_ENOENT || !list_span(l.count, start, stop, &first, &last)) {
        return read_into(&l, 0, false, 0, 0, result);
    }
    return read_into(&l, first, false, last - first + 1, 0, result);
}

enum oxbow_err oxbow_list_peek(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                               uint64_t count, uint64_t bytes, struct oxbow_result *result)
{
    struct list l;
    enum oxbow_err err;

    if (result == NULL || (end != OXBOW_LEFT && end != OXBOW_RIGHT)) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_ENOENT) {
        return read_into(&l, 0, false, 0, 0, result);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    return read_into(&l, end == OXBOW_LEFT ? 0 : l.count - 1, end == OXBOW_RIGHT,
                     count == 0 || count > l.count ? l.count : count, bytes, result);
}

/* The position of an index of either sign; false when the list has none such. */
static bool position_of(uint64_t count, int64_t idx, uint64_t *pos)
{
    if (idx < 0) {
        idx += (int64_t)count;
    }
    if (idx < 0 || (uint64_t)idx >= count) {
        return false;
    }
    *pos = (uint64_t)idx;
    return true;
}

enum oxbow_err oxbow_list_index(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t idx,
                                struct oxbow_result *result)
{
    struct list l;
    uint64_t pos;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err != OXBOW_OK) {
        return err;
    }
    return position_of(l.count, idx, &pos) ? read_into(&l, pos, false, 1, 0, result) : OXBOW_ENOENT;
}

enum oxbow_err oxbow_list_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                               struct oxbow_list_info *info)
{
    struct list l;
    struct list_view v;
    struct chunk_head head;
    enum oxbow_err err;

    if (info == NULL) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_OK) {
        err = list_view_load(&l, l.ends[OXBOW_LEFT].id, 1, &v);
    }
    if (err == OXBOW_OK) {
        err = chunk_head_decode((struct oxbow_bytes){v.data, v.len}, &head);
    }
    if (err == OXBOW_OK) {
        *info = (struct oxbow_list_info){l.count, l.bytes, head.wall_ms};
    }
    return err;
}

/* Walks on from where the iterator stands and notes the matches that `opt` asks for; its rank is
 * positive by now and its limits are set. */
static enum oxbow_err pos_walk(struct list_iter *it, struct oxbow_bytes value,
                               const struct oxbow_list_pos_options *opt, uint64_t *positions,
                               size_t *found)
{
    int64_t skip = opt->rank;
    size_t got = 0;
    uint64_t n;

    for (n = 0; n < opt->maxlen && got < opt->max; n++) {
        struct list_entry e;
        bool equal;
        enum oxbow_err err = n > 0 ? list_iter_next(it) : OXBOW_OK;

        if (err == OXBOW_OK) {
            err = list_iter_entry(it, &e);
        }
        if (err == OXBOW_OK) {
            err = list_value_equal(it->l, &e, value, &equal);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        if (equal && (skip == 1 || --skip == 0)) {
            skip = 1;
            positions[got++] = it->back ? it->l->count - 1 - n : n;
        }
    }
    *found = got;
    return OXBOW_OK;
}

enum oxbow_err oxbow_list_pos(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct oxbow_bytes value, const struct oxbow_list_pos_options *opt,
                              uint64_t *positions, size_t *found)
{
    struct oxbow_list_pos_options o = {0};
    struct list_iter it;
    struct list l;
    bool back;
    enum oxbow_err err;

    if (opt != NULL) {
        o = *opt;
    }
    if (positions == NULL || found == NULL || o.rank == INT64_MIN ||
        (value.data == NULL && value.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_ENOENT) {
        *found = 0;
        return OXBOW_OK;
    }
    back = o.rank < 0;
    if (err == OXBOW_OK) {
        err = list_iter_init(&it, &l, back ? l.count - 1 : 0, back);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    o.rank = o.rank == 0 ? 1 : back ? -o.rank : o.rank;
    o.maxlen = o.maxlen == 0 || o.maxlen > l.count ? l.count : o.maxlen;
    o.max = o.max == 0 ? 1 : o.max;
    return pos_walk(&it, value, &o, positions, found);
}
