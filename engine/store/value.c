/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts values together from the layers that hold their parts. What is read from below and worth
 * keeping becomes a MEM_CLEAN entry of the active table, which equals what is below it until the
 * table is frozen; nobody but a look-up uses it.
 *
 * Invariants: (1) The frozen table is only read: the checkpoint thread reads it too. (2) While a
 * tail exists, what is below it keeps its first `base` bytes: the layers below change only by
 * taking over what the frozen table says.
 */
#include "engine/store/value.h"

#include <string.h>

#define CLEAN_VALUE_MAX 256u    /* longer ones are not kept for having been read */
#define CLEAN_TABLE_MAX 262144u /* bytes of them in a table */

static struct oxbow_bytes key_of(const struct mem_entry *e)
{
    return (struct oxbow_bytes){mem_key(e), e->key_len};
}

static struct mem_entry *frozen_find(const struct oxbow *db, struct oxbow_bytes key, uint32_t hash)
{
    struct mem_entry *e = db->frozen != NULL ? mem_find(db->frozen, key, hash) : NULL;

    return e != NULL && mem_says(e) ? e : NULL;
}

/* A MEM_CLEAN entry with room for len bytes, in place of none or of one that says nothing. NULL
 * when memory is out. */
static struct mem_entry *clean_make(struct memtable *t, struct oxbow_bytes key, uint32_t hash,
                                    size_t len)
{
    struct mem_entry *e = mem_find(t, key, hash);
    uint8_t *data = NULL;
    uint32_t cap = 0;

    if (e == NULL) {
        e = mem_make(t, key, hash);
    }
    if (e == NULL) {
        return NULL;
    }
    if (len > 0) {
        data = arena_take(&t->arena, len, &cap);
        if (data == NULL) {
            return NULL;
        }
    }
    e->data = data;
    e->front = NULL;
    e->patch = NULL;
    e->cap = cap;
    e->len = (uint32_t)len;
    e->base = 0;
    e->state = MEM_CLEAN;
    t->clean += len + sizeof *e + key.len;
    return e;
}

/* Only a favour: without memory for it nothing is lost. */
static void clean_keep(struct memtable *t, struct oxbow_bytes key, uint32_t hash,
                       struct oxbow_bytes value)
{
    struct mem_entry *e;

    if (value.len > CLEAN_VALUE_MAX || t->clean + value.len + key.len > CLEAN_TABLE_MAX) {
        return;
    }
    e = clean_make(t, key, hash, value.len);
    if (e != NULL && value.len > 0) {
        memcpy(e->data, value.data, value.len);
    }
}

/* The first len bytes of what lies below the active table. */
static enum oxbow_err fill(struct oxbow *db, struct oxbow_bytes key, uint32_t hash, uint8_t *out,
                           size_t len)
{
    const struct mem_entry *e = frozen_find(db, key, hash);
    size_t bottom = e == NULL ? len : mem_bottom(e);
    size_t from_tree = bottom < len ? bottom : len;

    if (from_tree > 0) {
        struct oxbow_bytes value;
        enum oxbow_err err = tree_get(db->tree, key, &value);

        if (err != OXBOW_OK || value.len < from_tree) {
            return err == OXBOW_OK || err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        memcpy(out, value.data, from_tree);
    }
    if (e != NULL) {
        mem_gather(e, out, len);
    }
    return OXBOW_OK;
}

/* A tail of the frozen table, made whole in an entry of the active one. */
static enum oxbow_err whole_from_frozen(struct oxbow *db, const struct mem_entry *tail,
                                        struct oxbow_bytes *value)
{
    struct memtable *t = db->active;
    struct mem_entry *e = clean_make(t, key_of(tail), tail->hash, tail->len);
    enum oxbow_err err;

    if (e == NULL) {
        return OXBOW_ENOMEM;
    }
    err = fill(db, key_of(tail), tail->hash, e->data, tail->len);
    if (err != OXBOW_OK) {
        arena_give(&t->arena, e->data, e->cap);
        e->data = NULL;
        e->cap = 0;
        e->len = 0;
        e->state = MEM_ABSENT;
        return err;
    }
    *value = (struct oxbow_bytes){e->data, e->len};
    return OXBOW_OK;
}

enum oxbow_err value_below(struct oxbow *db, struct oxbow_bytes key, uint32_t hash,
                           struct oxbow_bytes *value)
{
    const struct mem_entry *e = frozen_find(db, key, hash);
    struct oxbow_bytes found;
    enum oxbow_err err;

    if (e != NULL && e->state == MEM_TOMB) {
        return OXBOW_ENOENT;
    }
    if (e != NULL && e->base > 0) {
        return whole_from_frozen(db, e, value);
    }
    if (e != NULL) {
        *value = (struct oxbow_bytes){e->data, e->len};
        return OXBOW_OK;
    }
    err = tree_get(db->tree, key, &found);
    if (err == OXBOW_OK) {
        clean_keep(db->active, key, hash, found);
        *value = found;
    }
    return err;
}

enum oxbow_err value_below_len(struct oxbow *db, struct oxbow_bytes key, uint32_t hash, size_t *len)
{
    const struct mem_entry *e = frozen_find(db, key, hash);
    struct oxbow_bytes value;
    enum oxbow_err err;

    if (e != NULL && e->state == MEM_TOMB) {
        return OXBOW_ENOENT;
    }
    if (e != NULL) {
        *len = e->len;
        return OXBOW_OK;
    }
    err = tree_get(db->tree, key, &value);
    if (err == OXBOW_OK) {
        *len = value.len;
    }
    return err;
}

enum oxbow_err value_whole(struct oxbow *db, struct mem_entry *e)
{
    struct memtable *t = db->active;
    bool noted = (e->front != NULL || e->patch != NULL) && db->txn.undo.last != NULL;
    size_t bottom;
    uint8_t *data;
    uint32_t cap;
    enum oxbow_err err = OXBOW_OK;

    if (e->base == 0) {
        return OXBOW_OK;
    }
    bottom = mem_bottom(e);
    data = arena_take(&t->arena, e->front != NULL ? value_roomy(e->len) : e->len, &cap);
    if (data == NULL) {
        return OXBOW_ENOMEM;
    }
    if (bottom > 0) {
        err = fill(db, key_of(e), e->hash, data, bottom);
    }
    if (err == OXBOW_OK && noted) {
        err = undo_entry(&db->txn.undo, e);
    }
    if (err != OXBOW_OK) {
        arena_give(&t->arena, data, cap);
        return err;
    }
    mem_gather(e, data, e->len);
    if (!noted) {
        mem_give(t, e->front, e->data, e->cap);
        mem_patch_give(t, e->patch);
    }
    e->data = data;
    e->front = NULL;
    e->patch = NULL;
    e->cap = cap;
    e->base = 0;
    return OXBOW_OK;
}

enum oxbow_err value_said(struct oxbow *db, struct mem_entry *e, struct oxbow_bytes *value)
{
    if (e->base > 0) {
        struct mem_entry *above = mem_find(db->active, key_of(e), e->hash);

        if (above == NULL || above->state == MEM_ABSENT) {
            return whole_from_frozen(db, e, value);
        }
        /* It is the active table's own, or a clean copy of the frozen one. */
        e = above;
        if (e->base > 0) {
            enum oxbow_err err = value_whole(db, e);

            if (err != OXBOW_OK) {
                return err;
            }
        }
    }
    *value = (struct oxbow_bytes){e->data, e->len};
    return OXBOW_OK;
}

enum oxbow_err value_copy(struct oxbow *db, const struct mem_entry *e, uint8_t *out)
{
    bool lower = frozen_find(db, key_of(e), e->hash) == e;
    size_t bottom = mem_bottom(e);
    enum oxbow_err err = OXBOW_OK;

    if (lower) {
        return fill(db, key_of(e), e->hash, out, e->len);
    }
    if (bottom > 0) {
        err = fill(db, key_of(e), e->hash, out, bottom);
    }
    if (err == OXBOW_OK) {
        mem_gather(e, out, e->len);
    }
    return err;
}
