/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing counted trees: inserting with splits, removing with merges, both upwards from a leaf along
 * the path that a place remembers. What must hold before and after is said in btree.c.
 *
 *   insert, replace: leaf -- too long --> split -- parent too long --> split ... root: one level more
 *   remove: leaf -- empty --> taken from its parent ... -- short --> merged with a neighbour ...
 *           root of one child: one level less
 */
#include "engine/base/codec.h"
#include "engine/keyval/btree_node.h"

#include <string.h>

static size_t node_max(const struct node *node)
{
    return node->level == 0 ? BTREE_LEAF_MAX : INNER_MAX;
}

/* The counts above path[level], which stand for all that is below. */
static enum oxbow_err counts_add(struct btree_place *p, unsigned level, int delta)
{
    unsigned i;

    for (i = 0; i < level && delta != 0; i++) {
        const struct btree_step *s = &p->path[i];
        enum oxbow_err err =
            node_patch_count(p->tree, s->id, s->idx, s->count + (uint64_t)(int64_t)delta);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* The leaf as it is now: what the place has borrowed may be gone. */
static enum oxbow_err leaf_load(const struct btree_place *p, struct node *node)
{
    const struct btree_step *s = &p->path[p->leaf];
    enum oxbow_err err = node_load(p->tree, s->id, node);

    if (err == OXBOW_OK && (node->level != 0 || node->n != s->n || node->used != p->used)) {
        err = OXBOW_ECORRUPT;
    }
    return err;
}

/* Makes room for `len` bytes where there are `old` bytes. */
static void node_splice(struct node *node, size_t pos, size_t old, size_t len)
{
    memmove(node->e + pos + len, node->e + pos + old, node->used - pos - old);
    node->used = (uint16_t)(node->used - old + len);
}

/* ---- splitting ---- */

static void cut_find(const struct node *node, bool at_end, size_t *pos, uint16_t *n)
{
    struct btree_entry e = {.size = INNER_ENTRY};
    size_t at = 0;
    uint16_t i;

    *pos = 0;
    *n = 0;
    for (i = 0; i + 1u < node->n; i++) {
        if (node->level == 0 && entry_decode(node->e, node->used, at, &e) != OXBOW_OK) {
            return; /* cannot be: it was decoded before it was copied */
        }
        at += e.size;
        if (i > 0 && !at_end && at > node->used / 2u) {
            return;
        }
        *pos = at;
        *n = (uint16_t)(i + 1);
    }
}

/* Moves what is behind the cut to another node. */
static void node_cut(struct node *node, size_t pos, uint16_t n, struct node *right)
{
    right->level = node->level;
    right->n = (uint16_t)(node->n - n);
    right->used = (uint16_t)(node->used - pos);
    right->stored = 0;
    memcpy(right->e, node->e + pos, right->used);
    node->n = n;
    node->used = (uint16_t)pos;
}

/* What the parent is to know of a node that was split off. */
static enum oxbow_err bound_of(struct btree *t, const struct node *node, struct inner_entry *bound)
{
    struct btree_entry e;
    enum oxbow_err err = OXBOW_OK;

    memset(bound, 0, sizeof *bound);
    if (node->level > 0) {
        inner_decode(node->e, 0, bound);
    } else {
        err = entry_decode(node->e, node->used, 0, &e);
        if (err == OXBOW_OK) {
            bound->order = e.order;
            bound->cut = e.member.len > INNER_PREFIX;
            bound->prefix_len = (uint8_t)(bound->cut ? INNER_PREFIX : e.member.len);
            err = outside_copy(t->txn, t->object, &e.member, bound->prefix, bound->prefix_len);
        }
    }
    bound->child = node->id;
    bound->count = node_count(node);
    return err;
}

/* The root has become too long: it is given a level more. */
static enum oxbow_err root_split(struct btree *t, struct node *left, struct node *right)
{
    struct inner_entry bound;
    struct node root = {.level = (uint8_t)(left->level + 1), .n = 2, .used = 2 * INNER_ENTRY};
    enum oxbow_err err;

    if (root.level >= BTREE_DEPTH_MAX) {
        return OXBOW_ETXNBIG;
    }
    left->id = t->next++;
    right->id = t->next++;
    err = bound_of(t, left, &bound);
    if (err == OXBOW_OK) {
        inner_encode(root.e, 0, &bound);
        err = bound_of(t, right, &bound);
    }
    if (err == OXBOW_OK) {
        inner_encode(root.e, 1, &bound);
        err = node_put(t, left);
    }
    if (err == OXBOW_OK) {
        err = node_put(t, right);
    }
    return err == OXBOW_OK ? node_put(t, &root) : err;
}

/* Writes path[level], which `node` is a copy of, and splits it and what is above as need be. `delta`
 * entries have come. */
static enum oxbow_err node_settle(struct btree_place *p, unsigned level, struct node *node,
                                  int delta)
{
    struct btree *t = p->tree;
    struct inner_entry bound;
    struct node right;
    enum oxbow_err err = OXBOW_OK;

    while (node->used > node_max(node)) {
        const struct btree_step *up = &p->path[level > 0 ? level - 1 : 0];
        bool at_end = p->path[level].idx + 1u >= node->n;
        size_t pos;
        uint16_t n;

        cut_find(node, at_end, &pos, &n);
        node_cut(node, pos, n, &right);
        if (level == 0) {
            return root_split(t, node, &right);
        }
        right.id = t->next++;
        t->head_dirty = true;
        err = bound_of(t, &right, &bound);
        if (err == OXBOW_OK) {
            err = node_put(t, node);
        }
        if (err == OXBOW_OK) {
            err = node_put(t, &right);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        pos = node_count(node); /* stays with the left one */
        err = node_load(t, up->id, node);
        if (err != OXBOW_OK) {
            return err;
        }
        put_le64(node->e + up->idx * INNER_ENTRY + INNER_AT_COUNT, pos);
        node_splice(node, (up->idx + 1u) * INNER_ENTRY, 0, INNER_ENTRY);
        inner_encode(node->e, up->idx + 1u, &bound);
        node->n++;
        level--;
        p->path[level].idx++; /* where something was added last: see at_end */
    }
    err = level == p->leaf
              ? OXBOW_OK
              : node_patch(t, node, (p->path[level].idx - 1u) * INNER_ENTRY, node->used);
    return err == OXBOW_OK ? counts_add(p, level, delta) : err;
}

enum oxbow_err btree_insert(struct btree_place *p, const struct btree_entry *e)
{
    struct btree *t = p->tree;
    uint8_t bytes[ENTRY_MAX + 16];
    size_t size = entry_encode(bytes, e);
    struct node node;
    enum oxbow_err err = leaf_load(p, &node);

    if (err != OXBOW_OK) {
        return err;
    }
    node_splice(&node, p->pos, 0, size);
    memcpy(node.e + p->pos, bytes, size);
    node.n++;
    t->count++;
    t->head_dirty = true;
    if (node.used <= BTREE_LEAF_MAX) {
        err = node_patch(t, &node, p->pos, node.used);
    }
    if (err == OXBOW_OK) {
        err = node_settle(p, p->leaf, &node, 1);
    }
    return err == OXBOW_OK ? btree_head_put(t) : err;
}

enum oxbow_err btree_replace(struct btree_place *p, const struct btree_entry *old,
                             const struct btree_ref *value)
{
    struct btree *t = p->tree;
    uint8_t bytes[ENTRY_MAX + 16];
    struct btree_entry e;
    struct node node;
    size_t size;
    enum oxbow_err err = leaf_load(p, &node);

    if (err == OXBOW_OK) {
        err = entry_decode(node.e, node.used, p->pos, &e);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    e.value = *value;
    size = entry_encode(bytes, &e);
    node_splice(&node, p->pos, old->size, size);
    memcpy(node.e + p->pos, bytes, size);
    if (node.used <= BTREE_LEAF_MAX) {
        err = node_patch(t, &node, p->pos, size == old->size ? p->pos + size : node.used);
    }
    if (err == OXBOW_OK) {
        err = node_settle(p, p->leaf, &node, 0);
    }
    return err == OXBOW_OK ? btree_head_put(t) : err;
}

/* ---- removing ---- */

/* Merges path[level] with a neighbour if both take no more than three quarters of a node; *merged says
 * whether. */
static enum oxbow_err merge(struct btree_place *p, unsigned level, bool *merged)
{
    struct btree *t = p->tree;
    const struct btree_step *up = &p->path[level - 1];
    struct inner_entry bound;
    struct node node;
    struct node_view right;
    struct node parent;
    size_t left_idx;
    enum oxbow_err err = node_load(t, up->id, &parent);

    *merged = false;
    if (err != OXBOW_OK || parent.n < 2) {
        return err;
    }
    left_idx = up->idx + 1u < parent.n ? up->idx : up->idx - 1u;
    err = node_load(t, inner_child(parent.e, left_idx), &node);
    if (err == OXBOW_OK) {
        err = node_get(t, inner_child(parent.e, left_idx + 1), &right);
    }
    if (err != OXBOW_OK || (size_t)node.used + right.used > node_max(&node) / 4 * 3) {
        return err;
    }
    if (node.level != right.level || node.n + right.n > (int)BTREE_ENTRIES_MAX) {
        return node.level != right.level ? OXBOW_ECORRUPT : OXBOW_OK;
    }
    memcpy(node.e + node.used, right.entries, right.used);
    inner_decode(parent.e, left_idx + 1, &bound);
    if (node.level > 0) { /* its first bound was none; now it is one */
        bound.child = inner_child(right.entries, 0);
        bound.count = inner_count(right.entries, 0);
        inner_encode(node.e, node.n, &bound);
    }
    node.n = (uint16_t)(node.n + right.n);
    node.used = (uint16_t)(node.used + right.used);
    err = node_put(t, &node);
    if (err == OXBOW_OK) {
        err = node_delete(t, inner_child(parent.e, left_idx + 1));
    }
    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(parent.e + left_idx * INNER_ENTRY + INNER_AT_COUNT, node_count(&node));
    node_splice(&parent, (left_idx + 1) * INNER_ENTRY, INNER_ENTRY, 0);
    parent.n--;
    *merged = true;
    return node_patch(t, &parent, left_idx * INNER_ENTRY, parent.used);
}

/* Merges upwards from path[level], whose node has changed. */
static enum oxbow_err merge_up(struct btree_place *p, unsigned level)
{
    struct node_view v;
    bool merged = true;

    for (; merged && level > 0; level--) {
        enum oxbow_err err = node_get(p->tree, p->path[level].id, &v);

        if (err != OXBOW_OK) {
            return err;
        }
        if (v.used >= (v.level == 0 ? BTREE_LEAF_MAX : INNER_MAX) / 4) {
            return OXBOW_OK;
        }
        err = merge(p, level, &merged);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* A root of one child becomes that child. */
static enum oxbow_err root_sink(struct btree *t)
{
    struct node node;

    while (t->level > 0 && t->n == 1) {
        uint64_t child;
        enum oxbow_err err = node_load(t, 0, &node);

        if (err != OXBOW_OK) {
            return err;
        }
        child = inner_child(node.e, 0);
        err = node_load(t, child, &node);
        if (err == OXBOW_OK && (node.level + 1 != t->level || node.n == 0)) {
            err = OXBOW_ECORRUPT;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        node.id = 0;
        err = node_put(t, &node);
        if (err == OXBOW_OK) {
            err = node_delete(t, child);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* Takes an empty leaf away, and all above it that is empty then. *level: where that ended. */
static enum oxbow_err empty_out(struct btree_place *p, struct node *node, unsigned *level)
{
    struct btree *t = p->tree;
    unsigned i = p->leaf;

    while (i > 0 && node->n == 0) {
        const struct btree_step *up = &p->path[i - 1];
        enum oxbow_err err = node_delete(t, p->path[i].id);

        if (err == OXBOW_OK) {
            err = node_load(t, up->id, node);
        }
        if (err == OXBOW_OK && (node->level == 0 || up->idx >= node->n)) {
            err = OXBOW_ECORRUPT;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        node_splice(node, up->idx * INNER_ENTRY, INNER_ENTRY, 0);
        node->n--;
        i--;
    }
    *level = i;
    if (node->n == 0) {
        node->level = 0; /* the root, and the tree is empty */
    }
    return node_patch(t, node, i == p->leaf ? p->pos : p->path[i].idx * INNER_ENTRY, node->used);
}

enum oxbow_err btree_remove(struct btree_place *p, const struct btree_entry *e)
{
    struct btree *t = p->tree;
    unsigned level = 0;
    struct node node;
    enum oxbow_err err = leaf_load(p, &node);

    if (err != OXBOW_OK) {
        return err;
    }
    t->count--;
    t->head_dirty = true;
    if (p->pos == 0 && node.n > 1) {
        level = p->leaf;
        err = node_take_first(t, &node, e->size);
    } else {
        node_splice(&node, p->pos, e->size, 0);
        node.n--;
        err = empty_out(p, &node, &level);
    }
    if (err == OXBOW_OK) {
        err = counts_add(p, level, -1);
    }
    if (err == OXBOW_OK) {
        err = merge_up(p, level);
    }
    if (err == OXBOW_OK) {
        err = root_sink(t);
    }
    return err == OXBOW_OK ? btree_head_put(t) : err;
}
