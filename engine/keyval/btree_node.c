/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of counted trees as bytes. What a tree must look like as a whole is btree.c's business.
 *
 *   root, under its kind:
 *   0        1       8       16     24     32
 *   +--------+-------+-------+------+------+------
 *   | format | zeros | count | next | seed | node          le64 each
 *   +--------+-------+-------+------+------+------
 *   node, the others under kind + 1, be64 number:
 *   0        1       2     4      6      8      8 + skip  8 + skip + used
 *   +--------+-------+-----+------+------+------+---------+------- - - -
 *   | format | level | n   | used | skip | gone | entries | what it had and has no more
 *   +--------+-------+-----+------+------+------+---------+------- - - -
 *   a leaf's entry:
 *   | order be64 | member: len * 2 + outside, varint | value: likewise | member | value |
 *     where `outside` is 1, le64 number or blob instead of the bytes
 *   one that has a deadline, before the lengths: 1, le48 deadline; or 3, le48 deadline, le48 made
 *     (a member that lies outside is never of length 0 or 1)
 *   an inner node's:
 *   | order be64 | prefix len + 32 if cut (1) | prefix (23) | child le64 | count le64 |
 */
#include "engine/keyval/btree_node.h"

#include "engine/base/codec.h"

#include <string.h>

#define FORMAT     1u
#define PREFIX_CUT 0x20u

/* Where a member's length would be. */
#define TIMED      1u
#define TIMED_MADE 3u

static struct oxbow_bytes node_key(uint8_t out[KV_KEY_MAX], const struct btree *t, uint64_t id)
{
    uint8_t tail[8];

    put_be64(tail, id);
    return (struct oxbow_bytes){out, object_key(out, t->object, (uint8_t)(t->kind + (id != 0)),
                                                tail, id != 0 ? sizeof tail : 0)};
}

static size_t base_of(uint64_t id)
{
    return id == 0 ? ROOT_HEAD + NODE_HEAD : NODE_HEAD;
}

/* ---- reading ---- */

static enum oxbow_err node_decode(struct oxbow_bytes record, size_t base, struct node_view *v)
{
    const uint8_t *p = record.data;

    if (record.len < base || p[base - NODE_HEAD] != FORMAT) {
        return OXBOW_ECORRUPT;
    }
    p += base - NODE_HEAD;
    *v = (struct node_view){
        .n = get_le16(p + 2), .used = get_le16(p + 4), .skip = get_le16(p + 6), .level = p[1]};
    if (v->skip > record.len - base) {
        return OXBOW_ECORRUPT;
    }
    v->entries = p + NODE_HEAD + v->skip;
    v->stored = record.len - base - v->skip;
    if (v->used > v->stored || v->level >= BTREE_DEPTH_MAX) {
        return OXBOW_ECORRUPT;
    }
    if (v->level > 0) {
        return v->n == 0 || v->skip > 0 || v->n * INNER_ENTRY != v->used || v->used > INNER_MAX
                   ? OXBOW_ECORRUPT
                   : OXBOW_OK;
    }
    return v->n > BTREE_ENTRIES_MAX || v->used > BTREE_LEAF_MAX ||
                   v->n * BTREE_ENTRY_MIN > v->used || (v->n == 0 && v->used > 0)
               ? OXBOW_ECORRUPT
               : OXBOW_OK;
}

enum oxbow_err node_get(struct btree *t, uint64_t id, struct node_view *v)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes record;
    enum oxbow_err err;

    if (id == 0 && t->fresh) {
        *v = (struct node_view){.entries = (const uint8_t *)""};
        return OXBOW_OK;
    }
    err = kv_get(t->txn, node_key(key, t, id), &record);
    if (err == OXBOW_OK) {
        err = node_decode(record, base_of(id), v);
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err node_load(struct btree *t, uint64_t id, struct node *node)
{
    struct node_view v;
    enum oxbow_err err = node_get(t, id, &v);

    if (err == OXBOW_OK) {
        node->id = id;
        node->n = v.n;
        node->used = v.used;
        node->skip = v.skip;
        node->level = v.level;
        node->stored = v.stored;
        if (v.used > 0) {
            memcpy(node->e, v.entries, v.used);
        }
    }
    return err;
}

enum oxbow_err btree_open(struct btree *t, struct oxbow_txn *txn, uint64_t object,
                          enum btree_kind kind)
{
    struct node_view v;
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes record;
    const uint8_t *p;
    enum oxbow_err err;

    *t = (struct btree){.txn = txn, .object = object, .kind = kind};
    err = kv_get(txn, node_key(key, t, 0), &record);
    if (err == OXBOW_OK) {
        err = node_decode(record, ROOT_HEAD + NODE_HEAD, &v);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p = record.data;
    if (p[0] != FORMAT) {
        return OXBOW_ECORRUPT;
    }
    t->count = get_le64(p + 8);
    t->next = get_le64(p + 16);
    t->seed = get_le64(p + 24);
    t->level = v.level;
    t->n = v.n;
    t->used = v.used;
    t->skip = v.skip;
    return t->next == 0 || (v.level == 0 && v.n != t->count) ? OXBOW_ECORRUPT : OXBOW_OK;
}

enum oxbow_err btree_make(struct btree *t, struct oxbow_txn *txn, uint64_t object,
                          enum btree_kind kind, uint64_t seed)
{
    *t = (struct btree){
        .txn = txn, .object = object, .kind = kind, .next = 1, .seed = seed, .fresh = true};
    return OXBOW_OK;
}

/* ---- writing ---- */

static void head_encode(uint8_t p[ROOT_HEAD], const struct btree *t)
{
    memset(p, 0, ROOT_HEAD);
    p[0] = FORMAT;
    put_le64(p + 8, t->count);
    put_le64(p + 16, t->next);
    put_le64(p + 24, t->seed);
}

static void node_head_encode(uint8_t p[NODE_HEAD], const struct node *node)
{
    p[0] = FORMAT;
    p[1] = node->level;
    put_le16(p + 2, node->n);
    put_le16(p + 4, node->used);
    put_le16(p + 6, node->skip);
}

enum oxbow_err btree_head_put(struct btree *t)
{
    uint8_t head[ROOT_HEAD + NODE_HEAD] = {0};
    uint8_t key[KV_KEY_MAX];

    if (!t->head_dirty) {
        return OXBOW_OK;
    }
    t->head_dirty = false;
    head_encode(head, t);
    head[ROOT_HEAD] = FORMAT;
    head[ROOT_HEAD + 1] = t->level;
    put_le16(head + ROOT_HEAD + 2, t->n);
    put_le16(head + ROOT_HEAD + 4, t->used);
    put_le16(head + ROOT_HEAD + 6, t->skip);
    return kv_patch(t->txn, node_key(key, t, 0), 0, (struct oxbow_bytes){head, sizeof head});
}

static void root_note(struct btree *t, const struct node *node)
{
    t->level = node->level;
    t->n = node->n;
    t->used = node->used;
    t->skip = node->skip;
    t->head_dirty = true;
}

enum oxbow_err node_put(struct btree *t, struct node *node)
{
    uint8_t record[ROOT_HEAD + NODE_HEAD + NODE_BYTES];
    uint8_t key[KV_KEY_MAX];
    size_t base = base_of(node->id);

    node->skip = 0;
    node_head_encode(record + base - NODE_HEAD, node);
    memcpy(record + base, node->e, node->used);
    if (node->id == 0) {
        root_note(t, node);
        head_encode(record, t);
        t->head_dirty = false;
        t->fresh = false;
    }
    node->stored = node->used;
    return kv_put(t->txn, node_key(key, t, node->id),
                  (struct oxbow_bytes){record, base + node->used});
}

enum oxbow_err node_patch(struct btree *t, struct node *node, size_t from, size_t to)
{
    uint8_t head[NODE_HEAD];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes k = node_key(key, t, node->id);
    enum oxbow_err err = OXBOW_OK;

    if ((node->id == 0 && t->fresh) || from > node->stored ||
        node->stored + node->skip > 2u * node->used + 512u ||
        (node->skip > 0 && node->skip + node->used > (int)BTREE_LEAF_MAX) ||
        (from == 0 && to == node->used)) {
        return node_put(t, node);
    }
    if (node->id == 0) {
        root_note(t, node);
    } else {
        node_head_encode(head, node);
        err = kv_patch(t->txn, k, 0, (struct oxbow_bytes){head, sizeof head});
    }
    if (err == OXBOW_OK && to > from) {
        err = kv_patch(t->txn, k, base_of(node->id) + node->skip + from,
                       (struct oxbow_bytes){node->e + from, to - from});
    }
    return err;
}

enum oxbow_err node_take_front(struct btree *t, struct node *node, uint16_t n, size_t size)
{
    node->n = (uint16_t)(node->n - n);
    node->used = (uint16_t)(node->used - size);
    node->skip = (uint16_t)(node->skip + size);
    node->stored -= size;
    memmove(node->e, node->e + size, node->used);
    return node_patch(t, node, node->used, node->used);
}

enum oxbow_err node_patch_count(struct btree *t, uint64_t id, size_t idx, uint64_t count)
{
    uint8_t bytes[8];
    uint8_t key[KV_KEY_MAX];

    put_le64(bytes, count);
    return kv_patch(t->txn, node_key(key, t, id), base_of(id) + idx * INNER_ENTRY + INNER_AT_COUNT,
                    (struct oxbow_bytes){bytes, sizeof bytes});
}

enum oxbow_err node_delete(struct btree *t, uint64_t id)
{
    uint8_t key[KV_KEY_MAX];

    return kv_del(t->txn, node_key(key, t, id));
}

enum oxbow_err btree_drop(struct btree *t)
{
    return t->fresh ? OXBOW_OK : node_delete(t, 0);
}

/* ---- a leaf's entries ---- */

/* Reads a length; gives its size, or 0. */
static size_t len_get(const uint8_t *p, size_t len, struct btree_ref *ref)
{
    uint64_t v = 0;
    size_t n = varint_get(p, len, &v);

    *ref = (struct btree_ref){.len = v >> 1, .id = v & 1};
    return n;
}

/* Reads the bytes, or what stands for them; gives their size, or 0 where `ok` turns false. */
static size_t body_get(const uint8_t *p, size_t len, struct btree_ref *ref, bool *ok)
{
    if (ref->id != 0) {
        *ok = *ok && len >= 8;
        ref->id = *ok ? get_le64(p) : 0;
        *ok = *ok && ref->id != 0;
        return 8;
    }
    *ok = *ok && ref->len <= len;
    ref->data = p;
    return *ok ? (size_t)ref->len : 0;
}

static uint64_t time_get(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le16(p + 4) << 32;
}

static void time_put(uint8_t *p, uint64_t ms)
{
    put_le32(p, (uint32_t)ms);
    put_le16(p + 4, (uint16_t)(ms >> 32));
}

/* Reads the deadline, if there is one; gives the size of that. SIZE_MAX: it is cut short, or 0. */
static size_t times_get(const uint8_t *p, size_t len, struct btree_entry *e)
{
    size_t size = p[0] == TIMED ? 1 + TIME_BYTES : p[0] == TIMED_MADE ? 1 + 2 * TIME_BYTES : 0;

    e->deadline = 0;
    e->made_ms = 0;
    if (size == 0) {
        return 0;
    }
    if (size >= len) {
        return SIZE_MAX;
    }
    e->deadline = time_get(p + 1);
    if (p[0] == TIMED_MADE) {
        e->made_ms = time_get(p + 1 + TIME_BYTES);
    }
    return e->deadline == 0 ? SIZE_MAX : size;
}

enum oxbow_err entry_decode(const uint8_t *entries, size_t used, size_t pos, struct btree_entry *e)
{
    const uint8_t *p = entries + pos;
    size_t len = used - pos;
    size_t at = 8;
    size_t n;
    bool ok = true;

    if (pos >= used || len < BTREE_ENTRY_MIN) {
        return OXBOW_ECORRUPT;
    }
    e->order = get_be64(p);
    n = times_get(p + at, len - at, e);
    if (n == SIZE_MAX) {
        return OXBOW_ECORRUPT;
    }
    at += n;
    n = len_get(p + at, len - at, &e->member);
    at += n;
    if (n == 0) {
        return OXBOW_ECORRUPT;
    }
    n = len_get(p + at, len - at, &e->value);
    at += n;
    if (n == 0) {
        return OXBOW_ECORRUPT;
    }
    at += body_get(p + at, len - at, &e->member, &ok);
    if (ok) {
        at += body_get(p + at, len - at, &e->value, &ok);
    }
    e->size = at;
    return ok ? OXBOW_OK : OXBOW_ECORRUPT;
}

static size_t times_put(uint8_t *p, const struct btree_entry *e)
{
    if (e->deadline == 0) {
        return 0;
    }
    p[0] = e->made_ms != 0 ? TIMED_MADE : TIMED;
    time_put(p + 1, e->deadline);
    if (e->made_ms == 0) {
        return 1 + TIME_BYTES;
    }
    time_put(p + 1 + TIME_BYTES, e->made_ms);
    return 1 + 2 * TIME_BYTES;
}

static size_t body_put(uint8_t *p, const struct btree_ref *ref)
{
    if (ref->id != 0) {
        put_le64(p, ref->id);
        return 8;
    }
    if (ref->len > 0) {
        memcpy(p, ref->data, (size_t)ref->len);
    }
    return (size_t)ref->len;
}

size_t entry_encode(uint8_t *p, const struct btree_entry *e)
{
    size_t at = 8;

    put_be64(p, e->order);
    at += times_put(p + at, e);
    at += varint_put(p + at, e->member.len << 1 | (e->member.id != 0));
    at += varint_put(p + at, e->value.len << 1 | (e->value.id != 0));
    at += body_put(p + at, &e->member);
    at += body_put(p + at, &e->value);
    return at;
}

/* ---- an inner node's entries ---- */

void inner_decode(const uint8_t *entries, size_t idx, struct inner_entry *e)
{
    const uint8_t *p = entries + idx * INNER_ENTRY;

    e->order = get_be64(p);
    e->prefix_len = (uint8_t)(p[8] & ~PREFIX_CUT);
    if (e->prefix_len > INNER_PREFIX) {
        e->prefix_len = INNER_PREFIX;
    }
    e->cut = (p[8] & PREFIX_CUT) != 0;
    memcpy(e->prefix, p + 9, INNER_PREFIX);
    e->child = get_le64(p + 32);
    e->count = get_le64(p + INNER_AT_COUNT);
}

void inner_encode(uint8_t *entries, size_t idx, const struct inner_entry *e)
{
    uint8_t *p = entries + idx * INNER_ENTRY;

    put_be64(p, e->order);
    p[8] = (uint8_t)(e->prefix_len | (e->cut ? PREFIX_CUT : 0));
    memcpy(p + 9, e->prefix, INNER_PREFIX);
    put_le64(p + 32, e->child);
    put_le64(p + INNER_AT_COUNT, e->count);
}

uint64_t inner_count(const uint8_t *entries, size_t idx)
{
    return get_le64(entries + idx * INNER_ENTRY + INNER_AT_COUNT);
}

uint64_t inner_child(const uint8_t *entries, size_t idx)
{
    return get_le64(entries + idx * INNER_ENTRY + 32);
}

uint64_t node_count(const struct node *node)
{
    uint64_t count = 0;
    size_t i;

    if (node->level == 0) {
        return node->n;
    }
    for (i = 0; i < node->n; i++) {
        count += inner_count(node->e, i);
    }
    return count;
}
