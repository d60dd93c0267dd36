/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes of keys in caches, straight on their table, with what was there remembered in an undo
 * log of their own. Values are whole: an entry has neither base, front nor patch.
 *
 * How an entry is used is kept in it: when it was used last, in units of 10 ms that wrap after 497 days, and how
 * often, as a count that rises by one with a chance that shrinks as it grows (Morris, "Counting large
 * numbers of events in small registers", 1978) and sinks by one for each minute without use.
 *
 * Invariants: (1) Between transactions every entry is MEM_VALUE. (2) Within one, an entry that was made
 * or deleted is on the list, so that it goes at the end if it then is not MEM_VALUE.
 */
#include "engine/store/cache.h"

#include "engine/base/codec.h"
#include "engine/store/catalog_record.h"
#include "engine/store/store.h"
#include "engine/store/value.h"

#include <string.h>

#define TICK_US      (CACHE_TICK_MS * 1000u)
#define MINUTE_TICKS 6000u
#define OFTEN_FIRST  5u /* a new entry's: it must not go before it was used */
#define OFTEN_FACTOR 10u
#define INPLACE_MAX  512u
#define VALUE_MAX    (1u << 30)
#define BLOB_KEY     9u

enum oxbow_err cache_init(struct cache *c, const struct oxbow_alloc *alloc, uint32_t databases,
                          const struct oxbow_cache_limit *limit)
{
    enum oxbow_err err = memtable_init_loose(&c->table, alloc);

    undo_init(&c->undo, alloc);
    c->databases = databases;
    c->limit = *limit;
    c->next_id = KV_CACHE_ID + 1;
    c->dice = 0x9e3779b97f4a7c15u;
    return err;
}

void cache_fini(struct cache *c)
{
    memtable_fini(&c->table);
    if (c->undo.alloc != NULL) {
        undo_fini(&c->undo);
    }
}

uint64_t cache_id(struct cache *c)
{
    return c->next_id++;
}

uint64_t cache_bytes(const struct cache *c)
{
    return c->databases == 0 ? 0 : c->table.cost + mem_bucket_bytes(&c->table, c->table.bucket_cap);
}

/* ---- use ---- */

static uint32_t tick(struct oxbow *db)
{
    if (!db->cache.told) {
        db->cache.told = true;
        db->cache.tick = (uint32_t)(store_now_us(db) / TICK_US);
    }
    return db->cache.tick;
}

static uint32_t sunk(uint32_t often, uint32_t idle)
{
    uint32_t minutes = idle / MINUTE_TICKS;

    return often > minutes ? often - minutes : 0;
}

uint32_t cache_idle(struct oxbow_txn *txn, const struct mem_entry *e)
{
    return tick(txn->db) - e->used_at;
}

uint32_t cache_often(struct oxbow_txn *txn, const struct mem_entry *e)
{
    return sunk(e->often, cache_idle(txn, e));
}

uint64_t cache_roll(struct cache *c)
{
    c->dice ^= c->dice << 13;
    c->dice ^= c->dice >> 7;
    c->dice ^= c->dice << 17;
    return c->dice;
}

static void use(struct oxbow *db, struct mem_entry *e)
{
    struct cache *c = &db->cache;
    uint32_t now = tick(db);
    uint32_t often = sunk(e->often, now - e->used_at);
    uint32_t above = often > OFTEN_FIRST ? often - OFTEN_FIRST : 0;

    e->used_at = now;
    e->often = (uint8_t)often;
    if (often < UINT8_MAX && cache_roll(c) % (1 + above * OFTEN_FACTOR) == 0) {
        e->often++;
    }
}

/* ---- reading ---- */

bool cache_is_name(struct oxbow_bytes key)
{
    const uint8_t *p = key.data;

    return key.len == CATALOG_NAME_KEY && p[0] == (KV_SPACE_CATALOG | KV_CACHE) &&
           p[1] == CATALOG_NAME;
}

enum oxbow_err cache_get(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes *value)
{
    struct cache *c = &txn->db->cache;
    struct mem_entry *e = c->databases != 0 ? mem_find(&c->table, key, mem_hash(key)) : NULL;

    if (e == NULL || e->state != MEM_VALUE) {
        return OXBOW_ENOENT;
    }
    if (!c->unseen && cache_is_name(key)) {
        use(txn->db, e);
    }
    *value = (struct oxbow_bytes){e->data, e->len};
    return OXBOW_OK;
}

/* ---- writing ---- */

static enum oxbow_err admit(struct oxbow_txn *txn, size_t len)
{
    if (len > VALUE_MAX) {
        return OXBOW_EINVAL;
    }
    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    if (txn->failed != OXBOW_OK) {
        return txn->failed;
    }
    if (txn->db->cache.databases == 0) {
        return txn_fail(txn, OXBOW_ECORRUPT); /* an id that only caches have */
    }
    txn->writes++;
    return OXBOW_OK;
}

static void list(struct cache *c, struct mem_entry *e)
{
    if (!e->on_list) {
        e->on_list = true;
        e->listed = c->listed;
        c->listed = e;
    }
}

/* The key's entry, made where there is none; NULL without memory. */
static struct mem_entry *entry_of(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct cache *c = &txn->db->cache;
    uint32_t hash = mem_hash(key);
    struct mem_entry *e = mem_find(&c->table, key, hash);

    if (e == NULL) {
        e = mem_make(&c->table, key, hash);
        if (e == NULL) {
            return NULL;
        }
        mem_link(&c->table, e);
        list(c, e);
        e->used_at = tick(txn->db);
        e->often = OFTEN_FIRST;
    }
    return e;
}

/* Gives the entry a new block with room for at least `room` bytes and this value; the old one goes to
 * the undo log. */
static enum oxbow_err replace(struct oxbow_txn *txn, struct mem_entry *e, struct oxbow_bytes value,
                              size_t room)
{
    struct cache *c = &txn->db->cache;
    uint8_t *data = NULL;
    uint32_t cap = 0;

    if (room > 0) {
        data = arena_take(&c->table.arena, room, &cap);
        if (data == NULL) {
            return txn_fail(txn, OXBOW_ENOMEM);
        }
        if (value.len > 0) {
            memcpy(data, value.data, value.len);
        }
    }
    if (undo_entry(&c->undo, e) != OXBOW_OK) {
        arena_give(&c->table.arena, data, cap);
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    e->data = data;
    e->cap = cap;
    e->len = (uint32_t)value.len;
    e->state = MEM_VALUE;
    mem_cost(&c->table, e);
    return OXBOW_OK;
}

enum oxbow_err cache_put(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes value)
{
    enum oxbow_err err = admit(txn, value.len);
    struct mem_entry *e;

    if (err != OXBOW_OK) {
        return err;
    }
    e = entry_of(txn, key);
    if (e == NULL) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    /* A block twice too long is not kept. */
    if (e->state != MEM_VALUE || value.len > e->cap || e->len > INPLACE_MAX ||
        value.len < e->cap / 2) {
        return replace(txn, e, value, value.len);
    }
    if (undo_bytes(&txn->db->cache.undo, e, 0, e->len) != OXBOW_OK) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    if (value.len > 0) {
        memmove(e->data, value.data, value.len); /* it may be this value, borrowed */
    }
    e->len = (uint32_t)value.len;
    return OXBOW_OK;
}

enum oxbow_err cache_patch(struct oxbow_txn *txn, struct oxbow_bytes key, size_t pos,
                           struct oxbow_bytes bytes)
{
    struct cache *c = &txn->db->cache;
    enum oxbow_err err = admit(txn, bytes.len);
    size_t end = pos + bytes.len;
    struct mem_entry *e;
    uint32_t overlap;

    if (err != OXBOW_OK) {
        return err;
    }
    e = mem_find(&c->table, key, mem_hash(key));
    if (e == NULL || e->state != MEM_VALUE) {
        return OXBOW_ENOENT;
    }
    if (pos > e->len || end > VALUE_MAX) {
        return OXBOW_EINVAL;
    }
    if (end > e->cap) {
        err = replace(txn, e, (struct oxbow_bytes){e->data, e->len}, value_roomy(end));
        if (err != OXBOW_OK) {
            return err;
        }
    }
    overlap = (uint32_t)(end < e->len ? bytes.len : e->len - pos);
    if (undo_bytes(&c->undo, e, (uint32_t)pos, overlap) != OXBOW_OK) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    if (bytes.len > 0) {
        memmove(e->data + pos, bytes.data, bytes.len);
    }
    e->len = end > e->len ? (uint32_t)end : e->len;
    return OXBOW_OK;
}

enum oxbow_err cache_del(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct cache *c = &txn->db->cache;
    enum oxbow_err err = admit(txn, 0);
    struct mem_entry *e;

    if (err != OXBOW_OK) {
        return err;
    }
    e = mem_find(&c->table, key, mem_hash(key));
    if (e == NULL || e->state != MEM_VALUE) {
        return OXBOW_OK;
    }
    err = replace(txn, e, (struct oxbow_bytes){NULL, 0}, 0);
    if (err == OXBOW_OK) {
        e->state = MEM_TOMB;
        mem_cost(&c->table, e);
        list(c, e);
    }
    return err;
}

/* ---- large values ---- */

static struct oxbow_bytes blob_key(uint8_t out[BLOB_KEY], uint64_t blob)
{
    out[0] = kv_space_of(KV_SPACE_BLOB, blob);
    put_be64(out + 1, blob);
    return (struct oxbow_bytes){out, BLOB_KEY};
}

enum oxbow_err cache_blob_write(struct oxbow_txn *txn, struct oxbow_bytes data, uint64_t *blob)
{
    uint8_t key[BLOB_KEY];
    uint64_t id = cache_id(&txn->db->cache);
    enum oxbow_err err = cache_reserve(txn, data.len);

    if (err == OXBOW_OK) {
        err = cache_put(txn, blob_key(key, id), data);
    }
    if (err == OXBOW_OK) {
        *blob = id;
    }
    return err;
}

enum oxbow_err cache_blob_read(struct oxbow_txn *txn, uint64_t blob, uint64_t pos, void *buf,
                               size_t len)
{
    uint8_t key[BLOB_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = cache_get(txn, blob_key(key, blob), &value);

    if (err != OXBOW_OK || len == 0) {
        return err;
    }
    if (pos > value.len || len > value.len - pos) {
        return OXBOW_ERANGE;
    }
    memcpy(buf, (const uint8_t *)value.data + pos, len);
    return OXBOW_OK;
}

enum oxbow_err cache_blob_delete(struct oxbow_txn *txn, uint64_t blob)
{
    uint8_t key[BLOB_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = cache_get(txn, blob_key(key, blob), &value);

    return err == OXBOW_OK ? cache_del(txn, blob_key(key, blob)) : err;
}

enum oxbow_err cache_reserve(const struct oxbow_txn *txn, size_t bytes)
{
    const struct cache *c = &txn->db->cache;

    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    return c->limit.bytes > 0 && cache_bytes(c) + bytes > c->limit.bytes + c->grace ? OXBOW_EQUOTA
                                                                                    : OXBOW_OK;
}

/* ---- the transaction's end ---- */

void cache_settle(struct oxbow *db, bool commit)
{
    struct cache *c = &db->cache;

    if (c->databases == 0) {
        return;
    }
    c->told = false;
    c->unseen = false;
    c->evicted += commit ? c->evicted_new : 0;
    c->evicted_new = 0;
    c->grace = 0;
    if (commit) {
        undo_commit(&c->undo, &c->table);
    } else {
        undo_abort(&c->undo, &c->table);
    }
    while (c->listed != NULL) {
        struct mem_entry *e = c->listed;

        c->listed = e->listed;
        e->on_list = false;
        if (e->state != MEM_VALUE) {
            mem_drop(&c->table, e);
        }
    }
    if (cache_bytes(c) > c->peak) {
        c->peak = cache_bytes(c);
    }
}
