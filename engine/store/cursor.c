/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merged cursors: the active table over the frozen one over the tree's snapshot. In each layer the
 * cursor keeps a candidate, the nearest key in its direction; a step takes the nearest of the three
 * and moves those that stood on it. In a cache there is one layer, its table, in the active one's place.
 *
 * Invariants: (1) Candidates lie strictly beyond c->key, unless a seek is under way. (2) The frozen
 * table does not change while a transaction has the turn, nor does the snapshot but by a renewal
 * that its count shows; the active table does, so its candidate is looked up again after a write.
 */
#include "engine/store/value.h"

#include <string.h>

enum oxbow_err kv_cursor_init(struct kv_cursor *c, struct oxbow_txn *txn)
{
    struct oxbow *db = txn->db;
    struct tree_cursor *tc;

    if (db->cursors_kept > 0) {
        tc = db->cursors[--db->cursors_kept];
    } else {
        enum oxbow_err err = tree_cursor_open(db->tree, &tc);

        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    memset(c, 0, sizeof *c);
    c->txn = txn;
    c->tree = tc;
    txn->cursors++;
    return OXBOW_OK;
}

void kv_cursor_fini(struct kv_cursor *c)
{
    struct oxbow *db;

    if (c->tree == NULL) {
        return;
    }
    db = c->txn->db;
    c->txn->cursors--;
    if (db->cursors_kept < STORE_CURSORS_KEPT) {
        db->cursors[db->cursors_kept++] = c->tree;
    } else {
        tree_cursor_close(c->tree);
    }
    c->tree = NULL;
}

static struct oxbow_bytes key_of(const struct mem_entry *e)
{
    return (struct oxbow_bytes){mem_key(e), e->key_len};
}

/* The nearest entry from e on, e included, that says something. */
static struct mem_entry *saying(const struct memtable *t, struct mem_entry *e, bool back)
{
    while (e != NULL && !mem_says(e)) {
        e = back ? mem_seek(t, key_of(e), MEM_LT) : e->next[0];
    }
    return e;
}

static struct mem_entry *place_table(const struct memtable *t, struct oxbow_bytes key, bool at_too,
                                     bool back)
{
    enum mem_seek how = back ? (at_too ? MEM_LE : MEM_LT) : (at_too ? MEM_GE : MEM_GT);

    return t == NULL ? NULL : saying(t, mem_seek(t, key, how), back);
}

static enum oxbow_err tree_result(struct kv_cursor *c, enum oxbow_err err, struct tree_item item)
{
    c->tree_has = err == OXBOW_OK;
    if (err == OXBOW_OK) {
        c->tree_key = item.key;
        c->tree_raw = item.raw;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err place_tree(struct kv_cursor *c, struct oxbow_bytes key, bool at_too)
{
    enum tree_seek how = c->back ? (at_too ? TREE_LE : TREE_LT) : (at_too ? TREE_GE : TREE_GT);
    struct tree_item item = {{NULL, 0}, {NULL, 0}};

    c->snapshot = tree_snapshot(c->txn->db->tree);
    return tree_result(c, tree_cursor_seek(c->tree, key, how, &item), item);
}

static enum oxbow_err step_tree(struct kv_cursor *c)
{
    struct tree_item item = {{NULL, 0}, {NULL, 0}};

    return tree_result(c, tree_cursor_step(c->tree, c->back, &item), item);
}

/* NULL: there is no cache. */
static const struct memtable *upper(const struct kv_cursor *c)
{
    struct oxbow *db = c->txn->db;

    if (!c->cached) {
        return db->active;
    }
    return db->cache.databases != 0 ? &db->cache.table : NULL;
}

static enum oxbow_err place(struct kv_cursor *c, struct oxbow_bytes key, bool at_too, bool back)
{
    struct oxbow *db = c->txn->db;

    c->back = back;
    c->cached = cache_has(key);
    c->active = place_table(upper(c), key, at_too, back);
    c->seen = c->txn->writes;
    c->placed = true;
    if (c->cached) {
        c->frozen = NULL;
        c->tree_has = false;
        c->snapshot = tree_snapshot(db->tree);
        return OXBOW_OK;
    }
    c->frozen = place_table(db->frozen, key, at_too, back);
    return place_tree(c, key, at_too);
}

/* Brings the candidates up to date for a step from c->key. */
static enum oxbow_err refresh(struct kv_cursor *c, bool back)
{
    struct oxbow_bytes key = {c->key, c->key_len};

    if (!c->placed || c->back != back || c->snapshot != tree_snapshot(c->txn->db->tree)) {
        return place(c, key, false, back);
    }
    if (c->seen != c->txn->writes) {
        c->active = place_table(upper(c), key, false, back);
        c->seen = c->txn->writes;
    }
    return OXBOW_OK;
}

/* Whether a is nearer than what is the nearest so far. */
static bool nearer(const struct kv_cursor *c, struct oxbow_bytes a, bool any, struct oxbow_bytes b)
{
    int order;

    if (!any) {
        return true;
    }
    order = key_compare(a, b);
    return c->back ? order > 0 : order < 0;
}

static struct mem_entry *step_table(const struct kv_cursor *c, const struct memtable *t,
                                    struct mem_entry *e)
{
    return saying(t, c->back ? mem_seek(t, key_of(e), MEM_LT) : e->next[0], c->back);
}

static bool at(struct oxbow_bytes a, const struct kv_cursor *c)
{
    return a.len == c->key_len && memcmp(a.data, c->key, a.len) == 0;
}

/* Takes the nearest candidate: puts its key into c->key, says which layer speaks for it (the upper
 * one), and moves all candidates off it. `raw` is the tree's. */
static enum oxbow_err take(struct kv_cursor *c, struct mem_entry **said, struct oxbow_bytes *raw)
{
    struct oxbow *db = c->txn->db;
    struct oxbow_bytes best = {NULL, 0};
    bool any = false;

    *said = NULL;
    if (c->active != NULL) {
        best = key_of(c->active);
        *said = c->active;
        any = true;
    }
    if (c->frozen != NULL && nearer(c, key_of(c->frozen), any, best)) {
        best = key_of(c->frozen);
        *said = c->frozen;
        any = true;
    }
    if (c->tree_has && nearer(c, c->tree_key, any, best)) {
        best = c->tree_key;
        *said = NULL;
        any = true;
    }
    if (!any) {
        return OXBOW_ENOENT;
    }
    if (best.len > KV_KEY_MAX) {
        return OXBOW_ECORRUPT;
    }
    memcpy(c->key, best.data, best.len);
    c->key_len = (uint8_t)best.len;
    if (c->active != NULL && at(key_of(c->active), c)) {
        c->active = step_table(c, upper(c), c->active);
    }
    if (c->frozen != NULL && at(key_of(c->frozen), c)) {
        c->frozen = step_table(c, db->frozen, c->frozen);
    }
    if (c->tree_has && at(c->tree_key, c)) {
        *raw = c->tree_raw;
        return step_tree(c);
    }
    return OXBOW_OK;
}

/* Whether it has left the keys that it was to stay among. */
static bool outside(const struct kv_cursor *c)
{
    return c->within_len > 0 &&
           (c->key_len < c->within_len || memcmp(c->key, c->within, c->within_len) != 0);
}

/* Goes on to the next key that is not deleted. When there is none the cursor stays. */
static enum oxbow_err advance(struct kv_cursor *c, struct oxbow_bytes *out_key,
                              struct oxbow_bytes *out_value)
{
    struct mem_entry *said;
    struct oxbow_bytes raw;
    uint8_t from[KV_KEY_MAX];
    uint8_t from_len = c->key_len;
    enum oxbow_err err;

    memcpy(from, c->key, from_len);
    do {
        err = take(c, &said, &raw);
        if (err == OXBOW_OK && outside(c)) {
            err = OXBOW_ENOENT;
        }
    } while (err == OXBOW_OK && said != NULL && said->state == MEM_TOMB);
    if (err == OXBOW_ENOENT) {
        memcpy(c->key, from, from_len);
        c->key_len = from_len;
        c->placed = false;
        return err;
    }
    if (err != OXBOW_OK) {
        c->key_len = 0;
        c->placed = false;
        return err;
    }
    *out_key = (struct oxbow_bytes){c->key, c->key_len};
    if (said != NULL) {
        return value_said(c->txn->db, said, out_value);
    }
    return tree_unwrap(c->txn->db->tree, &(struct tree_item){*out_key, raw}, out_value);
}

static enum oxbow_err seek(struct kv_cursor *c, struct oxbow_bytes key, bool back,
                           struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    enum oxbow_err err;

    if (key.len > KV_KEY_MAX) {
        return OXBOW_EINVAL;
    }
    if (key.len == 0) {
        /* LMDB has no empty key: the least of all is one zero byte. */
        static const uint8_t least[1] = {0};

        if (back) {
            return OXBOW_ENOENT;
        }
        key = (struct oxbow_bytes){least, sizeof least};
    }
    err = place(c, key, true, back);
    if (err != OXBOW_OK) {
        c->key_len = 0;
        c->placed = false;
        return err;
    }
    return advance(c, out_key, out_value);
}

enum oxbow_err kv_cursor_seek(struct kv_cursor *c, struct oxbow_bytes key,
                              struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    c->within_len = 0;
    return seek(c, key, false, out_key, out_value);
}

enum oxbow_err kv_cursor_seek_back(struct kv_cursor *c, struct oxbow_bytes key,
                                   struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    c->within_len = 0;
    return seek(c, key, true, out_key, out_value);
}

static enum oxbow_err seek_in(struct kv_cursor *c, struct oxbow_bytes key, size_t same, bool back,
                              struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    if (same == 0 || same > key.len || key.len > KV_KEY_MAX) {
        return OXBOW_EINVAL;
    }
    memcpy(c->within, key.data, same);
    c->within_len = (uint8_t)same;
    return seek(c, key, back, out_key, out_value);
}

enum oxbow_err kv_cursor_seek_in(struct kv_cursor *c, struct oxbow_bytes key, size_t same,
                                 struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    return seek_in(c, key, same, false, out_key, out_value);
}

enum oxbow_err kv_cursor_seek_back_in(struct kv_cursor *c, struct oxbow_bytes key, size_t same,
                                      struct oxbow_bytes *out_key, struct oxbow_bytes *out_value)
{
    return seek_in(c, key, same, true, out_key, out_value);
}

static enum oxbow_err step(struct kv_cursor *c, bool back, struct oxbow_bytes *out_key,
                           struct oxbow_bytes *out_value)
{
    enum oxbow_err err;

    if (c->key_len == 0) {
        return OXBOW_EINVAL;
    }
    err = refresh(c, back);
    if (err != OXBOW_OK) {
        c->key_len = 0;
        c->placed = false;
        return err;
    }
    return advance(c, out_key, out_value);
}

enum oxbow_err kv_cursor_next(struct kv_cursor *c, struct oxbow_bytes *out_key,
                              struct oxbow_bytes *out_value)
{
    return step(c, false, out_key, out_value);
}

enum oxbow_err kv_cursor_prev(struct kv_cursor *c, struct oxbow_bytes *out_key,
                              struct oxbow_bytes *out_value)
{
    return step(c, true, out_key, out_value);
}
