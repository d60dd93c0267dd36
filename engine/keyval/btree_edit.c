/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing counted trees: inserting with splits, removing with merges, both upwards from a leaf along
 * the path that a place remembers. What must hold before and after is said in btree.c.
 *
 *   insert, replace, retime: leaf -- too long --> split -- parent too long --> split ... root: one level more
 *   remove: leaf -- empty --> taken from its parent ... -- short --> merged with a neighbour ...
 *           root of one child: one level less
 *   many at once: the same, each leaf once
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

/* `value` NULL: it stays. */
static enum oxbow_err change(struct btree_place *p, const struct btree_entry *old,
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
    e.value = value != NULL ? *value : e.value;
    e.deadline = old->deadline;
    e.made_ms = old->made_ms;
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

enum oxbow_err btree_replace(struct btree_place *p, const struct btree_entry *old,
                             const struct btree_ref *value)
{
    return change(p, old, value);
}

enum oxbow_err btree_retime(struct btree_place *p, const struct btree_entry *old)
{
    return change(p, old, NULL);
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

/* Puts right what is above a leaf that `gone` entries were taken from; path[level] is the lowest node
 * that is still there. */
static enum oxbow_err removed(struct btree_place *p, unsigned level, unsigned gone)
{
    struct btree *t = p->tree;
    enum oxbow_err err;

    t->count -= gone;
    t->head_dirty = true;
    err = counts_add(p, level, -(int)gone);
    if (err == OXBOW_OK) {
        err = merge_up(p, level);
    }
    if (err == OXBOW_OK) {
        err = root_sink(t);
    }
    return err == OXBOW_OK ? btree_head_put(t) : err;
}

enum oxbow_err btree_remove(struct btree_place *p, const struct btree_entry *e)
{
    struct btree *t = p->tree;
    unsigned level = p->leaf;
    struct node node;
    enum oxbow_err err = leaf_load(p, &node);

    if (err != OXBOW_OK) {
        return err;
    }
    if (p->pos == 0 && node.n > 1) {
        err = node_take_front(t, &node, 1, e->size);
    } else {
        node_splice(&node, p->pos, e->size, 0);
        node.n--;
        err = empty_out(p, &node, &level);
    }
    return err == OXBOW_OK ? removed(p, level, 1) : err;
}

/* ---- removing many ---- */

/* The entries of a leaf, and which of them are to go. */
struct sweep {
    struct node node; /* the leaf's copy */
    uint16_t at[BTREE_ENTRIES_MAX];
    bool gone[BTREE_ENTRIES_MAX];
    unsigned count; /* that are to go */
};

static enum oxbow_err sweep_load(const struct btree_place *p, struct sweep *s)
{
    struct btree_entry e;
    size_t pos = 0;
    uint16_t i;
    enum oxbow_err err = leaf_load(p, &s->node);

    if (err == OXBOW_OK && s->node.n > BTREE_ENTRIES_MAX) {
        err = OXBOW_ECORRUPT;
    }
    for (i = 0; err == OXBOW_OK && i < s->node.n; i++) {
        s->at[i] = (uint16_t)pos;
        s->gone[i] = false;
        err = entry_decode(s->node.e, s->node.used, pos, &e);
        pos += err == OXBOW_OK ? e.size : 0;
    }
    s->count = 0;
    return err;
}

/* Marks the entries before `end` that the last ones of the keys are, and takes these keys off; all keys
 * that belong to the leaf, but for those before its first entry. */
static enum oxbow_err sweep_mark(struct btree *t, struct sweep *s, unsigned end,
                                 const struct btree_keys *keys, size_t *left)
{
    struct btree_entry e;
    int order = 0;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && end > 0 && *left > 0) {
        const struct btree_key *key = &keys->at[*left - 1];

        err = entry_decode(s->node.e, s->node.used, s->at[end - 1], &e);
        if (err == OXBOW_OK) {
            err = key_compare_entry(t, key, &e, &order);
        }
        if (err == OXBOW_OK && order == 0) {
            s->gone[end - 1] = true;
            s->count++;
            err = keys->take == NULL ? OXBOW_OK : keys->take(keys->ctx, &e);
        }
        *left -= order >= 0;
        end -= order <= 0;
    }
    return err;
}

/* Closes the gaps in the copy; gives where the first one was. */
static size_t sweep_close(struct sweep *s)
{
    size_t first = s->node.used;
    size_t to = 0;
    uint16_t n = 0;
    uint16_t i;

    for (i = 0; i < s->node.n; i++) {
        size_t next = i + 1u < s->node.n ? s->at[i + 1] : s->node.used;

        if (s->gone[i]) {
            first = first < to ? first : to;
            continue;
        }
        memmove(s->node.e + to, s->node.e + s->at[i], next - s->at[i]);
        to += next - s->at[i];
        n++;
    }
    s->node.n = n;
    s->node.used = (uint16_t)to;
    return first;
}

/* From the last key on, as far as they belong to one leaf: *left of the keys are left then. */
static enum oxbow_err leaf_sweep(struct btree *t, const struct btree_keys *keys, size_t *left)
{
    struct btree_place p;
    struct sweep s;
    unsigned level;
    unsigned i;
    bool equal;
    enum oxbow_err err = btree_find(t, &keys->at[*left - 1], &p, &equal);

    if (err == OXBOW_OK) {
        err = sweep_load(&p, &s);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    i = p.path[p.leaf].idx + (unsigned)equal;
    *left -= i == 0; /* before all that the leaf has */
    err = sweep_mark(t, &s, i, keys, left);
    if (err != OXBOW_OK || s.count == 0) {
        return err;
    }
    level = p.leaf;
    for (i = 0; i < s.node.n && s.gone[i]; i++) {
    }
    if (i == s.count && i < s.node.n) { /* from the front alone */
        err = node_take_front(t, &s.node, (uint16_t)i, s.at[i]);
        return err == OXBOW_OK ? removed(&p, level, s.count) : err;
    }
    p.pos = (uint16_t)sweep_close(&s);
    err = empty_out(&p, &s.node, &level);
    return err == OXBOW_OK ? removed(&p, level, s.count) : err;
}

/* From behind: what is emptied then is the last in its parent, and nothing there has to move. */
enum oxbow_err btree_remove_keys(struct btree *t, const struct btree_keys *keys)
{
    size_t left = keys->count;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && left > 0 && t->count > 0) {
        err = leaf_sweep(t, keys, &left);
    }
    return err;
}

static bool key_before(const struct btree_key *a, const struct btree_key *b)
{
    const struct btree_ref other = {b->member.data, b->member.len, 0};

    return a->order != b->order ? a->order < b->order : inline_compare(a->member, &other) < 0;
}

/* Shell's sort. */
void btree_keys_sort(struct btree_key *keys, size_t count)
{
    size_t gap;
    size_t i;

    for (gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (i = gap; i < count; i++) {
            struct btree_key moved = keys[i];
            size_t at = i;

            for (; at >= gap && key_before(&moved, &keys[at - gap]); at -= gap) {
                keys[at] = keys[at - gap];
            }
            keys[at] = moved;
        }
    }
}
