/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a stream's entries by priority: for each priority chunks of ids, oldest first.
 *
 *   0      1      8           24
 *   +------+------+-----------+-------+-------+----   record, one row per priority:
 *   | form | zero | from (id) | row 0 | row 1 | ...   newest (id) | tail (id) | le64 entries
 *   +------+------+-----------+-------+-------+----
 *
 * Chunks are drawn in priority_walk.h.
 *
 * 1. Adding costs a look-up of the record and of the chunk that grows, and a patch of each.
 * 2. An id that is removed is marked; a chunk without others is deleted, but the one that grows.
 *    What a trim takes is not marked, since readers begin at the stream's first entry: its chunks go
 *    with those of the stream, two for one.
 */
#include "engine/queue/priority_walk.h"

#include "engine/base/codec.h"
#include "engine/queue/policy.h"

#include <string.h>

#define RECORD_FORMAT 1u
#define RECORD_FROM   8u
#define RECORD_ROWS   24u
#define ROW_LEN       40u
#define RECORD_LEN    (RECORD_ROWS + PRIORITIES * ROW_LEN)

#define ID_BYTES_MAX (2u * VARINT_MAX)
#define DELTA_MAX    ((uint64_t)1 << 62)
#define CLEAN_STEPS  2u
#define VOID_KEYS    4096u /* of an index that is void, removed at once */

/* ---- keys and records ---- */

static struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], const struct stream *s)
{
    return (struct oxbow_bytes){out,
                                object_key(out, s->object.id, STREAM_KIND_PRIORITIES, NULL, 0)};
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

static void row_encode(uint8_t out[ROW_LEN], const struct priority_row *row)
{
    put_id(out, row->newest);
    put_id(out + 16, row->tail);
    put_le64(out + 32, row->entries);
}

enum oxbow_err priority_save(struct stream *s, const struct priorities *p)
{
    uint8_t record[RECORD_LEN] = {RECORD_FORMAT};
    uint8_t key[KV_KEY_MAX];

    put_id(record + RECORD_FROM, p->from);
    for (size_t i = 0; i < PRIORITIES; i++) {
        row_encode(record + RECORD_ROWS + i * ROW_LEN, &p->rows[i]);
    }
    return kv_put(s->txn, record_key(key, s), (struct oxbow_bytes){record, sizeof record});
}

static enum oxbow_err row_save(struct stream *s, const struct priorities *p, uint8_t level)
{
    uint8_t row[ROW_LEN];
    uint8_t key[KV_KEY_MAX];

    row_encode(row, &p->rows[level]);
    return kv_patch(s->txn, record_key(key, s), RECORD_ROWS + (size_t)level * ROW_LEN,
                    (struct oxbow_bytes){row, sizeof row});
}

enum oxbow_err priority_load(const struct stream *s, struct priorities *out)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *at;
    enum oxbow_err err = kv_get(s->txn, record_key(key, s), &value);

    if (err == OXBOW_ENOENT ||
        (err == OXBOW_OK &&
         (value.len != RECORD_LEN || *(const uint8_t *)value.data != RECORD_FORMAT))) {
        return OXBOW_ECORRUPT;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    at = value.data;
    out->from = get_id(at + RECORD_FROM);
    for (size_t i = 0; i < PRIORITIES; i++) {
        const uint8_t *row = at + RECORD_ROWS + i * ROW_LEN;

        out->rows[i] = (struct priority_row){get_id(row), get_id(row + 16), get_le64(row + 32)};
    }
    return OXBOW_OK;
}

/* ---- one chunk ---- */

static size_t id_encode(uint8_t out[ID_BYTES_MAX], struct oxbow_id before, struct oxbow_id id)
{
    uint64_t delta = id.ms - before.ms;
    size_t n = varint_put(out, delta << 1);

    return n + varint_put(out + n, delta == 0 ? id.seq - before.seq : id.seq);
}

/* How many ids a chunk has, dead ones included. */
static enum oxbow_err chunk_count(struct oxbow_bytes chunk, struct oxbow_id base, size_t *count)
{
    size_t pos = INDEX_HEADER;
    bool dead;
    enum oxbow_err err = index_check(chunk);

    for (*count = 0; err == OXBOW_OK; *count += err == OXBOW_OK) {
        err = index_step(chunk, &pos, *count > 0, &base, &dead);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static size_t chunk_dead(struct oxbow_bytes chunk)
{
    return get_le16((const uint8_t *)chunk.data + 2);
}

/* ---- on and off ---- */

enum oxbow_err priority_begin(struct stream *s)
{
    struct priorities p = {.from = s->last};
    enum oxbow_err err = txn_feature_require(s->txn, STORE_FEATURE_PRIORITIES);

    if (err == OXBOW_OK) {
        p.rows[0].entries = s->length;
        s->priorities = true;
        err = priority_save(s, &p);
    }
    return err;
}

enum oxbow_err priority_end(struct stream *s)
{
    uint8_t key[KV_KEY_MAX];

    /* What the index and the groups' places still have lies below all that will come. */
    s->priorities = false;
    return kv_del(s->txn, record_key(key, s));
}

enum oxbow_err priority_prepare(struct stream *s, uint64_t count)
{
    if (count > 1 && !s->priorities) {
        return priority_begin(s);
    }
    return count <= 1 && s->priorities && s->length == 0 ? priority_end(s) : OXBOW_OK;
}

enum oxbow_err priority_within(struct oxbow_txn *txn, struct oxbow_bytes key, uint8_t wanted,
                               uint8_t *level)
{
    struct policy_row *row;
    enum oxbow_err err = wanted > 0 ? policy_row(txn, key, &row) : OXBOW_OK;

    *level = wanted;
    if (wanted > 0 && err == OXBOW_OK) {
        uint64_t count = row != NULL ? row->policy.priorities : 0;

        *level = count <= 1 ? 0 : wanted < count ? wanted : (uint8_t)(count - 1);
    }
    return err;
}

/* ---- adding ---- */

/* Begins a chunk; the one before it goes if all in it is dead. */
static enum oxbow_err chunk_begin(struct stream *s, uint8_t level, const struct priority_row *row,
                                  struct oxbow_id id)
{
    uint8_t chunk[INDEX_HEADER + ID_BYTES_MAX] = {INDEX_FORMAT};
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes old;
    size_t count;
    enum oxbow_err err = OXBOW_OK;

    if (!id_is_zero(row->tail)) {
        err = kv_get(s->txn, index_key(key, s, level, row->tail), &old);
        if (err == OXBOW_OK) {
            err = chunk_count(old, row->tail, &count);
        }
        if (err == OXBOW_OK && chunk_dead(old) == count) {
            err = kv_del(s->txn, index_key(key, s, level, row->tail));
        }
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    return kv_put(
        s->txn, index_key(key, s, level, id),
        (struct oxbow_bytes){chunk, INDEX_HEADER + id_encode(chunk + INDEX_HEADER, id, id)});
}

/* OXBOW_EAGAIN: no chunk that it fits. */
static enum oxbow_err chunk_append(struct stream *s, uint8_t level, const struct priority_row *row,
                                   struct oxbow_id id)
{
    uint8_t bytes[ID_BYTES_MAX];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes chunk;
    enum oxbow_err err;

    if (id_is_zero(row->tail) || id.ms - row->newest.ms >= DELTA_MAX) {
        return OXBOW_EAGAIN;
    }
    err = kv_get(s->txn, index_key(key, s, level, row->tail), &chunk);
    if (err == OXBOW_OK) {
        err = index_check(chunk);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    if (chunk.len + ID_BYTES_MAX > INDEX_MAX) {
        return OXBOW_EAGAIN;
    }
    return kv_patch(s->txn, index_key(key, s, level, row->tail), chunk.len,
                    (struct oxbow_bytes){bytes, id_encode(bytes, row->newest, id)});
}

enum oxbow_err priority_add(struct stream *s, struct oxbow_id id, uint8_t level)
{
    struct priorities p;
    struct priority_row *row = &p.rows[level];
    enum oxbow_err err = priority_load(s, &p);

    if (err == OXBOW_OK) {
        err = chunk_append(s, level, row, id);
    }
    if (err == OXBOW_EAGAIN) {
        err = chunk_begin(s, level, row, id);
        row->tail = id;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    row->newest = id;
    row->entries++;
    return row_save(s, &p, level);
}

/* ---- removing ---- */

/* Finds the first chunk of a priority that nothing of can be wanted any more. OXBOW_ENOENT. */
static enum oxbow_err clean_find(const struct stream *s, uint8_t level,
                                 const struct priority_row *row, struct oxbow_id *base)
{
    uint8_t want[KV_KEY_MAX];
    struct oxbow_bytes first = index_key(want, s, level, OXBOW_ID_MIN), key, value;
    struct kv_cursor c;
    bool below = id_compare(row->newest, s->first) < 0;
    enum oxbow_err err = kv_cursor_init(&c, s->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, first, first.len - ID_KEY_LEN, &key, &value);
    err = err == OXBOW_OK && !index_key_like(key, want) ? OXBOW_ENOENT : err;
    if (err == OXBOW_OK) {
        *base = index_base(key);
        err = kv_cursor_next(&c, &key, &value);
        if (err == OXBOW_OK && index_key_like(key, want)) {
            struct oxbow_id next = index_base(key);

            below = id_compare(next, s->first) <= 0;
        }
        err = err == OXBOW_OK || err == OXBOW_ENOENT ? below ? OXBOW_OK : OXBOW_ENOENT : err;
    }
    kv_cursor_fini(&c);
    return err;
}

static enum oxbow_err clean(struct stream *s, uint8_t level, struct priority_row *row)
{
    for (size_t i = 0; i < CLEAN_STEPS; i++) {
        uint8_t key[KV_KEY_MAX];
        struct oxbow_id base;
        enum oxbow_err err = clean_find(s, level, row, &base);

        if (err == OXBOW_OK) {
            err = kv_del(s->txn, index_key(key, s, level, base));
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        if (id_compare(base, row->tail) == 0) {
            row->tail = OXBOW_ID_MIN;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err priority_removed(struct stream *s, const uint64_t counts[PRIORITIES], bool chunk)
{
    struct priorities p;
    enum oxbow_err err = priority_load(s, &p);

    for (uint8_t i = 0; err == OXBOW_OK && i < PRIORITIES; i++) {
        struct priority_row *row = &p.rows[i];
        bool look = chunk && !id_is_zero(row->newest);

        if (counts[i] == 0 && !look) {
            continue;
        }
        row->entries -= counts[i] < row->entries ? counts[i] : row->entries;
        if (look) {
            err = clean(s, i, row);
        }
        if (err == OXBOW_OK) {
            err = row_save(s, &p, i);
        }
    }
    return err;
}

/* The chunk that an id would be in, copied; *len is its length. OXBOW_ENOENT. */
static enum oxbow_err chunk_of(const struct stream *s, uint8_t level, struct oxbow_id id,
                               uint8_t copy[INDEX_MAX], size_t *len, struct oxbow_id *base)
{
    uint8_t want[KV_KEY_MAX];
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, s->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    key = index_key(want, s, level, id);
    err = kv_cursor_seek_back_in(&c, key, key.len - ID_KEY_LEN, &key, &value);
    if (err == OXBOW_OK && !index_key_like(key, want)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = index_check(value);
    }
    if (err == OXBOW_OK) {
        memcpy(copy, value.data, value.len);
        *len = value.len;
        *base = index_base(key);
    }
    kv_cursor_fini(&c);
    return err;
}

/* Marks the id that stands at a place in a chunk. */
static enum oxbow_err mark(struct stream *s, uint8_t level, struct oxbow_id base,
                           const uint8_t *chunk, size_t at)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t head = chunk[at] | 1u;
    uint8_t dead[2];
    enum oxbow_err err =
        kv_patch(s->txn, index_key(key, s, level, base), at, (struct oxbow_bytes){&head, 1});

    put_le16(dead, (uint16_t)(get_le16(chunk + 2) + 1));
    return err == OXBOW_OK ? kv_patch(s->txn, index_key(key, s, level, base), 2,
                                      (struct oxbow_bytes){dead, sizeof dead})
                           : err;
}

enum oxbow_err priority_forget(struct stream *s, struct oxbow_id id, uint8_t level)
{
    uint8_t copy[INDEX_MAX], key[KV_KEY_MAX];
    struct oxbow_bytes chunk = {copy, 0};
    struct priorities p;
    struct oxbow_id base, at;
    size_t pos = INDEX_HEADER, before = 0, count = 0, found = 0;
    bool dead = false;
    enum oxbow_err err = priority_load(s, &p);

    if (err != OXBOW_OK || id_compare(id, p.from) <= 0) {
        return err;
    }
    err = chunk_of(s, level, id, copy, &chunk.len, &base);
    err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    for (at = base; err == OXBOW_OK; count += err == OXBOW_OK) {
        before = pos;
        err = index_step(chunk, &pos, count > 0, &at, &dead);
        if (err == OXBOW_OK && id_compare(at, id) == 0 && !dead) {
            found = before;
        }
    }
    if (err != OXBOW_ENOENT || found == 0) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    if (chunk_dead(chunk) + 1 == count && id_compare(base, p.rows[level].tail) != 0) {
        return kv_del(s->txn, index_key(key, s, level, base));
    }
    return mark(s, level, base, copy, found);
}

/* Takes the ids above one from the chunk that it would be in. */
static enum oxbow_err cut_after(struct stream *s, uint8_t level, struct oxbow_id last)
{
    uint8_t copy[INDEX_MAX], key[KV_KEY_MAX];
    struct oxbow_bytes chunk = {copy, 0};
    struct oxbow_id base, at;
    size_t pos = INDEX_HEADER, end = INDEX_HEADER;
    uint16_t gone = 0;
    bool dead, any = false;
    enum oxbow_err err = chunk_of(s, level, last, copy, &chunk.len, &base);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    for (at = base; err == OXBOW_OK; any = true) {
        end = pos;
        err = index_step(chunk, &pos, any, &at, &dead);
        if (err == OXBOW_OK && id_compare(at, last) > 0) {
            break;
        }
        gone = (uint16_t)(gone + (err == OXBOW_OK && dead));
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    put_le16(copy + 2, gone);
    return kv_put(s->txn, index_key(key, s, level, base), (struct oxbow_bytes){copy, end});
}

enum oxbow_err priority_set_back(struct stream *s, struct oxbow_id last)
{
    struct priorities p;
    enum oxbow_err err = priority_load(s, &p);

    if (err == OXBOW_OK && id_compare(p.from, last) > 0) {
        p.from = last;
    }
    for (uint8_t i = 0; err == OXBOW_OK && i < PRIORITIES; i++) {
        struct priority_row *row = &p.rows[i];
        uint8_t low[KV_KEY_MAX], high[KV_KEY_MAX];
        struct oxbow_bytes from, to;
        struct oxbow_id above = last;
        bool more = id_next(&above);

        if (id_compare(row->newest, last) > 0) {
            row->newest = last;
            row->tail = OXBOW_ID_MIN;
        }
        err = cut_after(s, i, last);
        from = index_key(low, s, i, above);
        to = index_key(high, s, (uint8_t)(i + 1), OXBOW_ID_MIN);
        while (err == OXBOW_OK && more) {
            err = kv_del_range(s->txn, from, to, VOID_KEYS, &more);
        }
    }
    return err == OXBOW_OK ? priority_save(s, &p) : err;
}

/* ---- information ---- */

enum oxbow_err oxbow_stream_priorities(struct oxbow_txn *txn, struct oxbow_bytes key,
                                       struct oxbow_stream_priorities *info)
{
    struct priorities p = {.from = OXBOW_ID_MIN};
    struct policy_row *row;
    struct stream s;
    enum oxbow_err err = info == NULL ? OXBOW_EINVAL : stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = policy_row(txn, key, &row);
    }
    if (err == OXBOW_OK && s.priorities) {
        err = priority_load(&s, &p);
    } else {
        p.rows[0].entries = err == OXBOW_OK ? s.length : 0;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *info = (struct oxbow_stream_priorities){
        .count = row != NULL && row->policy.priorities > 1 ? (uint32_t)row->policy.priorities : 1};
    for (size_t i = 0; i < PRIORITIES; i++) {
        info->entries[i] = p.rows[i].entries;
    }
    return OXBOW_OK;
}
