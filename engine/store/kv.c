/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes of a transaction: straight on the active table, with what was there remembered
 * in the undo log. Below the active table lie the frozen one, which nobody changes, and the
 * snapshot of the tree. Keys in caches are cache.c's.
 *
 * Invariants: (1) A value in the active table hides those below, and MEM_ABSENT hides nothing.
 * (2) Each entry record in the undo log owns the value
 * that it replaced: no value is in two places.
 */
#include "engine/store/kv.h"

#include "engine/store/value.h"

#include <string.h>

#define INPLACE_MAX 512u /* a put overwrites a value of at most that in place */
#define VALUE_MAX   (1u << 30)
#define TAIL_FIRST  512u /* bytes of a tail's first block */
#define PIECE_MIN   128u /* a shorter block is outgrown by copying it */
#define PIECE_BYTES 512u /* of the block that a longer one is continued in */

enum oxbow_err txn_fail(struct oxbow_txn *txn, enum oxbow_err err)
{
    if (txn->failed == OXBOW_OK) {
        txn->failed = err;
    }
    return err;
}

static bool key_fits(struct oxbow_bytes key)
{
    return key.len >= 1 && key.len <= KV_KEY_MAX;
}

/* ---- reading ---- */

enum oxbow_err kv_get(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes *value)
{
    struct oxbow *db = txn->db;
    struct mem_entry *e;
    uint32_t hash;

    if (!key_fits(key)) {
        return OXBOW_EINVAL;
    }
    if (cache_has(key)) {
        return cache_get(txn, key, value);
    }
    hash = mem_hash(key);
    e = mem_find(db->active, key, hash);
    if (e == NULL || e->state == MEM_ABSENT) {
        return value_below(db, key, hash, value);
    }
    return e->state == MEM_TOMB ? OXBOW_ENOENT : value_said(db, e, value);
}

enum oxbow_err kv_len(struct oxbow_txn *txn, struct oxbow_bytes key, size_t *len)
{
    const struct mem_entry *e;
    uint32_t hash;

    if (!key_fits(key)) {
        return OXBOW_EINVAL;
    }
    if (cache_has(key)) {
        struct oxbow_bytes value = {NULL, 0};
        enum oxbow_err err = cache_get(txn, key, &value);

        *len = value.len;
        return err;
    }
    hash = mem_hash(key);
    e = mem_find(txn->db->active, key, hash);
    if (e == NULL || e->state == MEM_ABSENT) {
        return value_below_len(txn->db, key, hash, len);
    }
    if (e->state == MEM_TOMB) {
        return OXBOW_ENOENT;
    }
    *len = e->len;
    return OXBOW_OK;
}

/* ---- writing ---- */

/* What every write passes first: counts it, and refuses what is too much. */
static enum oxbow_err admit(struct oxbow_txn *txn, struct oxbow_bytes key, size_t len)
{
    if (!key_fits(key) || len > VALUE_MAX) {
        return OXBOW_EINVAL;
    }
    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    if (txn->failed != OXBOW_OK) {
        return txn->failed;
    }
    if (txn->db->in_memory ? hold_admit(txn->db, key.len + len) != OXBOW_OK
                           : len > 0 && !txn->replayed && quota_overrun(txn->db)) {
        return txn_fail(txn, OXBOW_EQUOTA);
    }
    if (len > KV_PAGE_MAX && !txn->replayed && !txn->db->in_memory) {
        enum oxbow_err err = quota_admit_run(txn->db, len);

        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    if (!txn->replayed && txn->bytes + key.len + len > txn->db->config.txn_bytes) {
        return txn_fail(txn, OXBOW_ETXNBIG);
    }
    txn->bytes += key.len + len;
    txn->writes++;
    txn->stored++;
    return OXBOW_OK;
}

/* The key's entry in the active table, made if there is none, and in the ordered index. */
static enum oxbow_err entry_of(struct oxbow_txn *txn, struct oxbow_bytes key, uint32_t hash,
                               struct mem_entry **out)
{
    struct memtable *t = txn->db->active;
    struct mem_entry *e = mem_find(t, key, hash);

    if (e == NULL) {
        e = mem_make(t, key, hash);
    }
    if (e == NULL) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    mem_link(t, e);
    *out = e;
    return OXBOW_OK;
}

/* Gives the entry a new block for at least `room` bytes holding `value`, which is all of it but for
 * `base` bytes in front; the old block goes to the undo log. */
static enum oxbow_err replace(struct oxbow_txn *txn, struct mem_entry *e, struct oxbow_bytes value,
                              size_t room, size_t base)
{
    struct memtable *t = txn->db->active;
    uint8_t *data = NULL;
    uint32_t cap = 0;

    if (room > 0) {
        data = arena_take(&t->arena, room, &cap);
        if (data == NULL) {
            return txn_fail(txn, OXBOW_ENOMEM);
        }
        if (value.data != NULL) {
            memcpy(data, value.data, value.len);
        }
    }
    if (undo_entry(&txn->undo, e) != OXBOW_OK) {
        arena_give(&t->arena, data, cap);
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    e->data = data;
    e->front = NULL;
    e->patch = NULL;
    e->cap = cap;
    e->base = (uint32_t)base;
    e->len = (uint32_t)(base + value.len);
    e->state = MEM_VALUE;
    mem_cost(t, e);
    return OXBOW_OK;
}

static struct oxbow_bytes value_of(const struct mem_entry *e)
{
    return (struct oxbow_bytes){e->data, e->len - e->base};
}

/* Tells the journal what was just done. */
static enum oxbow_err journal_tell(struct oxbow_txn *txn, struct mem_entry *e,
                                   enum effect_kind kind, size_t pos, struct oxbow_bytes bytes)
{
    const struct effect effect = {kind, {mem_key(e), e->key_len}, pos, bytes};
    enum oxbow_err err = journal_note(txn->db, e, &effect);

    return err == OXBOW_OK ? err : txn_fail(txn, err);
}

enum oxbow_err kv_put(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes value)
{
    struct mem_entry *e = NULL;
    enum oxbow_err err;

    if (key_fits(key) && cache_has(key)) {
        return cache_put(txn, key, value);
    }
    err = admit(txn, key, value.len);
    if (err == OXBOW_OK) {
        err = entry_of(txn, key, mem_hash(key), &e);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (e->state != MEM_VALUE || e->base > 0 || value.len > e->cap || e->len > INPLACE_MAX) {
        err = replace(txn, e, value, value.len, 0);
        return err == OXBOW_OK ? journal_tell(txn, e, EFFECT_PUT, 0, value_of(e)) : err;
    }
    if (undo_bytes(&txn->undo, e, 0, e->len) != OXBOW_OK) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    if (value.len > 0) {
        memmove(e->data, value.data, value.len); /* it may be this value, borrowed */
    }
    e->len = (uint32_t)value.len;
    mem_cost(txn->db->active, e);
    return journal_tell(txn, e, EFFECT_PUT, 0, value_of(e));
}

/* A tail gets more appends: many queues in step would each leave a row of outgrown blocks behind. */
static size_t tail_room(size_t base, size_t end)
{
    size_t want = base < TREE_PAGE_BYTES ? TREE_PAGE_BYTES - base : 0;

    if (end <= base) {
        return 0; /* a change in front */
    }
    want = want < TAIL_FIRST ? want : TAIL_FIRST;
    return want > end - base ? want : end - base;
}

static bool is_small(size_t pos, size_t end)
{
    return end > pos && end - pos <= MEM_PATCH_MAX;
}

/* Brings the value up into the active table for a change of [pos, end): all of it, or of a long one
 * nothing, when the change is an append or small. */
static enum oxbow_err raise(struct oxbow_txn *txn, struct oxbow_bytes key, size_t pos, size_t end,
                            struct mem_entry **out)
{
    struct oxbow *db = txn->db;
    uint32_t hash = mem_hash(key);
    struct mem_entry *e = mem_find(db->active, key, hash);
    struct oxbow_bytes below = {NULL, 0};
    size_t base = 0;
    size_t len;
    enum oxbow_err err;

    if (e != NULL && e->state == MEM_VALUE) {
        *out = e;
        return OXBOW_OK;
    }
    if (e != NULL && e->state == MEM_TOMB) {
        return OXBOW_ENOENT;
    }
    err = value_below_len(db, key, hash, &len);
    if (err == OXBOW_OK && pos > len) {
        return OXBOW_EINVAL;
    }
    if (err == OXBOW_OK && len >= TAIL_BASE_MIN && len <= TAIL_BASE_MAX &&
        (pos == len || (end <= len && is_small(pos, end)))) {
        base = len;
    } else if (err == OXBOW_OK) {
        err = value_below(db, key, hash, &below);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? err : txn_fail(txn, err);
    }
    err = entry_of(txn, key, hash, &e);
    if (err == OXBOW_OK) {
        *out = e;
        if (e->cost == 0) {
            e->known = true;
        }
        err = replace(txn, e, below, base > 0 ? tail_room(base, end) : end > len ? end : len, base);
    }
    return err;
}

/* Whether a change of [pos, end) can be told beside the value below. */
static bool can_patch(const struct mem_entry *e, size_t pos, size_t end)
{
    return e->base > 0 && is_small(pos, end) && end <= mem_bottom(e) &&
           (e->patch == NULL || (e->patch->at == pos && e->patch->len == end - pos));
}

static enum oxbow_err patch_below(struct oxbow_txn *txn, struct mem_entry *e, size_t pos,
                                  struct oxbow_bytes bytes)
{
    struct mem_patch *patch = mem_patch_new(txn->db->active);

    if (patch == NULL || undo_patch(&txn->undo, e) != OXBOW_OK) {
        mem_patch_give(txn->db->active, patch);
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    patch->at = (uint32_t)pos;
    patch->len = (uint32_t)bytes.len;
    memcpy(patch->bytes, bytes.data, bytes.len);
    e->patch = patch;
    return journal_tell(txn, e, EFFECT_PATCH, pos, (struct oxbow_bytes){patch->bytes, bytes.len});
}

/* Makes room for more at the value's end, in a block of its own: many queues in step would each
 * leave a row of outgrown blocks behind, and fill the table with them. */
static enum oxbow_err extend(struct oxbow_txn *txn, struct mem_entry *e, size_t more)
{
    struct arena *arena = &txn->db->active->arena;
    uint32_t node_cap = 0;
    uint32_t cap = 0;
    struct mem_piece *node = arena_take(arena, sizeof *node, &node_cap);
    uint8_t *data = arena_take(arena, more > PIECE_BYTES ? more : PIECE_BYTES, &cap);

    if (node == NULL || data == NULL || undo_extend(&txn->undo, e) != OXBOW_OK) {
        arena_give(arena, node, node_cap);
        arena_give(arena, data, cap);
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    mem_extend(e, node, data, cap);
    return OXBOW_OK;
}

/* Makes room for value[pos, end), pos being not in front of the entry's last block. */
static enum oxbow_err make_room(struct oxbow_txn *txn, struct mem_entry *e, size_t pos, size_t end)
{
    enum oxbow_err err = OXBOW_OK;

    if (end - e->base <= e->cap && (e->front == NULL || end <= PIECES_MAX)) {
        return OXBOW_OK;
    }
    if (pos == e->len && (e->cap >= PIECE_MIN || (e->data == NULL && e->base > 0)) &&
        end <= PIECES_MAX) {
        return extend(txn, e, end - pos);
    }
    if (e->front != NULL || e->patch != NULL) {
        err = value_whole(txn->db, e);
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    return replace(txn, e, value_of(e), value_roomy(end - e->base), e->base);
}

enum oxbow_err kv_patch(struct oxbow_txn *txn, struct oxbow_bytes key, size_t pos,
                        struct oxbow_bytes bytes)
{
    size_t end = pos + bytes.len;
    struct mem_entry *e = NULL;
    enum oxbow_err err;
    uint32_t overlap;

    if (key_fits(key) && cache_has(key)) {
        return cache_patch(txn, key, pos, bytes);
    }
    err = admit(txn, key, bytes.len);
    if (err == OXBOW_OK) {
        err = pos > VALUE_MAX ? OXBOW_EINVAL : raise(txn, key, pos, end, &e);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (pos > e->len) {
        return OXBOW_EINVAL;
    }
    if (can_patch(e, pos, end)) {
        return patch_below(txn, e, pos, bytes);
    }
    if (pos < e->base) {
        err = value_whole(txn->db, e);
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    err = make_room(txn, e, pos, end);
    if (err != OXBOW_OK) {
        return err;
    }
    overlap = (uint32_t)(end < e->len ? bytes.len : e->len - pos);
    if (undo_bytes(&txn->undo, e, (uint32_t)pos, overlap) != OXBOW_OK) {
        return txn_fail(txn, OXBOW_ENOMEM);
    }
    if (bytes.len > 0) {
        memmove(e->data + (pos - e->base), bytes.data, bytes.len);
    }
    if (end > e->len) {
        e->len = (uint32_t)end;
        mem_cost(txn->db->active, e);
    }
    return journal_tell(txn, e, EFFECT_PATCH, pos,
                        (struct oxbow_bytes){e->data + (pos - e->base), bytes.len});
}

enum oxbow_err kv_del(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct mem_entry *e = NULL;
    enum oxbow_err err;

    if (key_fits(key) && cache_has(key)) {
        return cache_del(txn, key);
    }
    err = admit(txn, key, 0);
    if (err == OXBOW_OK) {
        err = entry_of(txn, key, mem_hash(key), &e);
    }
    if (err != OXBOW_OK || e->state == MEM_TOMB) {
        return err;
    }
    err = replace(txn, e, (struct oxbow_bytes){NULL, 0}, 0, 0);
    if (err == OXBOW_OK) {
        e->state = MEM_TOMB;
        mem_cost(txn->db->active, e);
        err = journal_tell(txn, e, EFFECT_DEL, 0, (struct oxbow_bytes){NULL, 0});
    }
    return err;
}

enum oxbow_err kv_del_range(struct oxbow_txn *txn, struct oxbow_bytes from, struct oxbow_bytes to,
                            size_t max, bool *more)
{
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    size_t done = 0;
    bool left = false;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, from, &key, &value);
    /* A damaged value is deleted like any other: its key is known. */
    while (err == OXBOW_OK || (err == OXBOW_ECORRUPT && c.key_len > 0)) {
        key = (struct oxbow_bytes){c.key, c.key_len};
        if (key_compare(key, to) >= 0) {
            break;
        }
        if (done == max) {
            left = true;
            break;
        }
        err = kv_del(txn, key);
        if (err != OXBOW_OK) {
            break;
        }
        done++;
        err = kv_cursor_next(&c, &key, &value);
    }
    if (err == OXBOW_ENOENT || (err == OXBOW_ECORRUPT && c.key_len > 0)) {
        err = OXBOW_OK;
    }
    kv_cursor_fini(&c);
    if (err == OXBOW_OK) {
        *more = left;
    }
    return err;
}
