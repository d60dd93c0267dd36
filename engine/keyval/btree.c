/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding one's way in counted trees (btree.h). Changing them: btree_edit.c; the bytes: btree_node.c.
 *
 * Invariants:
 *  1. All leaves are on level 0, a child is one level below its node. No node but the root is empty.
 *  2. An inner node's entry counts all entries of leaves below its child.
 *  3. With the first entry of an inner node left aside, which bounds nothing: all that is below an
 *     entry's child is at or after the entry's bound, and all that is before it is not after. Where
 *     the bound is a member cut short, what begins as it does may be on either side: the first entry
 *     below the child decides.
 */
#include "engine/keyval/btree.h"

#include "engine/keyval/btree_node.h"

#include <string.h>

/* The leftmost entry below a node. */
static enum oxbow_err first_below(struct btree *t, uint64_t id, struct btree_entry *e)
{
    struct node_view v;
    unsigned depth;

    for (depth = 0; depth < BTREE_DEPTH_MAX; depth++) {
        enum oxbow_err err = node_get(t, id, &v);

        if (err != OXBOW_OK) {
            return err;
        }
        if (v.level == 0) {
            return entry_decode(v.entries, v.used, 0, e);
        }
        id = inner_child(v.entries, 0);
    }
    return OXBOW_ECORRUPT;
}

enum oxbow_err key_compare_entry(struct btree *t, const struct btree_key *key,
                                 const struct btree_entry *e, int *order)
{
    if (key->order != e->order) {
        *order = key->order < e->order ? -1 : 1;
        return OXBOW_OK;
    }
    return outside_compare(t->txn, t->object, key->member, &e->member, order);
}

/* Whether the key belongs below that child or one after it. */
static enum oxbow_err key_reaches(struct btree *t, const struct btree_key *key,
                                  const uint8_t *entries, size_t idx, bool *reaches)
{
    size_t len = key->member.len;
    struct inner_entry bound;
    struct btree_entry first;
    int order = 0;
    enum oxbow_err err;

    inner_decode(entries, idx, &bound);
    if (key->order != bound.order) {
        *reaches = key->order > bound.order;
        return OXBOW_OK;
    }
    if (len > bound.prefix_len) {
        len = bound.prefix_len;
    }
    if (len > 0) {
        order = memcmp(key->member.data, bound.prefix, len);
    }
    if (order != 0) {
        *reaches = order > 0;
        return OXBOW_OK;
    }
    if (key->member.len < bound.prefix_len || !bound.cut || key->member.len == bound.prefix_len) {
        *reaches = key->member.len >= bound.prefix_len && !bound.cut;
        return OXBOW_OK;
    }
    err = first_below(t, bound.child, &first);
    if (err == OXBOW_OK) {
        err = key_compare_entry(t, key, &first, &order);
        *reaches = order >= 0;
    }
    return err;
}

/* The child below which a key belongs. */
static enum oxbow_err child_of_key(struct btree *t, const struct node_view *v,
                                   const struct btree_key *key, size_t *idx)
{
    size_t low = 0; /* reached */
    size_t high = v->n;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        bool reaches = false;
        enum oxbow_err err = key_reaches(t, key, v->entries, mid, &reaches);

        if (err != OXBOW_OK) {
            return err;
        }
        if (reaches) {
            low = mid;
        } else {
            high = mid;
        }
    }
    *idx = low;
    return OXBOW_OK;
}

/* The child that has `rank` entries before, and how many are before that child. */
static size_t child_of_rank(const struct node_view *v, uint64_t rank, uint64_t *before)
{
    size_t idx;

    *before = 0;
    for (idx = 0; idx + 1u < v->n; idx++) {
        uint64_t count = inner_count(v->entries, idx);

        if (rank - *before < count) {
            break;
        }
        *before += count;
    }
    return idx;
}

static void step_down(struct btree_place *p, const struct node_view *v, uint64_t id, size_t idx)
{
    p->path[p->leaf++] = (struct btree_step){
        .id = id, .count = inner_count(v->entries, idx), .idx = (uint16_t)idx, .n = v->n};
}

static void at_leaf(struct btree_place *p, const struct node_view *v, uint64_t id)
{
    p->path[p->leaf] = (struct btree_step){.id = id, .n = v->n};
    p->entries = v->entries;
    p->used = v->used;
    p->pos = 0;
    p->at_known = false;
}

/* The next node on the way down, which must be of the level that its parent says. */
static enum oxbow_err node_below(struct btree *t, uint64_t id, unsigned level, struct node_view *v)
{
    enum oxbow_err err = node_get(t, id, v);

    return err == OXBOW_OK && (v->level != level || v->n == 0) ? OXBOW_ECORRUPT : err;
}

static void place_init(struct btree_place *p, struct btree *t)
{
    p->tree = t;
    p->leaf = 0;
    p->rank = 0;
}

/* ---- finding ---- */

static enum oxbow_err find_in_leaf(struct btree_place *p, const struct btree_key *key, bool *equal)
{
    struct btree_step *leaf = &p->path[p->leaf];
    struct btree_entry e;
    int order;

    *equal = false;
    while (p->pos < p->used) {
        enum oxbow_err err = entry_decode(p->entries, p->used, p->pos, &e);

        if (err == OXBOW_OK) {
            err = key_compare_entry(p->tree, key, &e, &order);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (order <= 0) {
            *equal = order == 0;
            return OXBOW_OK;
        }
        p->pos = (uint16_t)(p->pos + e.size);
        leaf->idx++;
        p->rank++;
    }
    return leaf->idx == leaf->n ? OXBOW_OK : OXBOW_ECORRUPT;
}

enum oxbow_err btree_find(struct btree *t, const struct btree_key *key, struct btree_place *p,
                          bool *equal)
{
    struct node_view v;
    uint64_t id = 0;
    enum oxbow_err err = node_get(t, id, &v);

    place_init(p, t);
    while (err == OXBOW_OK && v.level > 0) {
        unsigned level = v.level;
        size_t idx = 0;
        size_t i;

        err = child_of_key(t, &v, key, &idx);
        if (err != OXBOW_OK) {
            return err;
        }
        for (i = 0; i < idx; i++) {
            p->rank += inner_count(v.entries, i);
        }
        step_down(p, &v, id, idx);
        id = inner_child(v.entries, idx);
        err = node_below(t, id, level - 1, &v);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    at_leaf(p, &v, id);
    return find_in_leaf(p, key, equal);
}

enum oxbow_err btree_find_rank(struct btree *t, uint64_t rank, struct btree_place *p)
{
    struct node_view v;
    struct btree_entry e;
    uint64_t id = 0;
    enum oxbow_err err = node_get(t, id, &v);

    place_init(p, t);
    while (err == OXBOW_OK && v.level > 0) {
        unsigned level = v.level;
        uint64_t before;
        size_t idx = child_of_rank(&v, rank - p->rank, &before);

        p->rank += before;
        step_down(p, &v, id, idx);
        id = inner_child(v.entries, idx);
        err = node_below(t, id, level - 1, &v);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    at_leaf(p, &v, id);
    while (p->rank < rank) {
        err = entry_decode(p->entries, p->used, p->pos, &e);
        if (err != OXBOW_OK) {
            return err;
        }
        p->pos = (uint16_t)(p->pos + e.size);
        p->path[p->leaf].idx++;
        p->rank++;
    }
    return OXBOW_OK;
}

/* ---- going on ---- */

/* To the leaf after this one, or the one before. OXBOW_ENOENT: there is none, and the place is as it
 * was. */
static enum oxbow_err leaf_step(struct btree_place *p, bool back)
{
    struct btree *t = p->tree;
    struct node_view v;
    unsigned leaf = p->leaf;
    unsigned i = leaf;
    uint64_t id;
    enum oxbow_err err;

    while (i > 0 &&
           (back ? p->path[i - 1].idx == 0 : p->path[i - 1].idx + 1u >= p->path[i - 1].n)) {
        i--;
    }
    if (i == 0) {
        return OXBOW_ENOENT;
    }
    i--;
    id = p->path[i].id;
    err = node_get(t, id, &v);
    if (err == OXBOW_OK && (v.n != p->path[i].n || v.level != leaf - i)) {
        err = OXBOW_ECORRUPT;
    }
    p->path[i].idx = (uint16_t)(back ? p->path[i].idx - 1 : p->path[i].idx + 1);
    p->leaf = i;
    while (err == OXBOW_OK && v.level > 0) {
        size_t idx = p->leaf == i ? p->path[i].idx : back ? v.n - 1u : 0;
        unsigned level = v.level;

        step_down(p, &v, id, idx);
        id = inner_child(v.entries, idx);
        err = node_below(t, id, level - 1, &v);
    }
    if (err == OXBOW_OK) {
        at_leaf(p, &v, id);
    }
    return err;
}

enum oxbow_err btree_get(struct btree_place *p, struct btree_entry *e)
{
    if (p->pos >= p->used) {
        enum oxbow_err err = leaf_step(p, false);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    return entry_decode(p->entries, p->used, p->pos, e);
}

enum oxbow_err btree_next(struct btree_place *p, struct btree_entry *e)
{
    p->pos = (uint16_t)(p->pos + e->size);
    p->path[p->leaf].idx++;
    p->rank++;
    return btree_get(p, e);
}

/* Where each entry of the leaf begins. */
static enum oxbow_err starts_learn(struct btree_place *p)
{
    struct btree_entry e;
    size_t pos = 0;
    size_t i;

    for (i = 0; i < p->path[p->leaf].n; i++) {
        enum oxbow_err err = entry_decode(p->entries, p->used, pos, &e);

        if (err != OXBOW_OK) {
            return err;
        }
        p->at[i] = (uint16_t)pos;
        pos += e.size;
    }
    p->at_known = true;
    return pos == p->used ? OXBOW_OK : OXBOW_ECORRUPT;
}

enum oxbow_err btree_prev(struct btree_place *p, struct btree_entry *e)
{
    enum oxbow_err err = OXBOW_OK;

    if (p->path[p->leaf].idx == 0) {
        err = leaf_step(p, true);
        if (err != OXBOW_OK) {
            return err;
        }
        p->path[p->leaf].idx = p->path[p->leaf].n;
    }
    if (!p->at_known) {
        err = starts_learn(p);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p->rank--;
    p->pos = p->at[--p->path[p->leaf].idx];
    return entry_decode(p->entries, p->used, p->pos, e);
}

enum oxbow_err btree_ref_make(struct btree *t, struct oxbow_bytes bytes, size_t max,
                              struct btree_ref *out)
{
    if (bytes.len <= max) {
        *out = (struct btree_ref){.data = bytes.data, .len = bytes.len};
        return OXBOW_OK;
    }
    t->head_dirty = true;
    return outside_write(t->txn, t->object, bytes, t->next++, out);
}
