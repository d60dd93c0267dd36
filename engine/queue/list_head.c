/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list's header record: reading, writing, and what comes and goes with the list itself. It holds
 * all that a push or a pop must know, so that neither reads a chunk it does not change.
 *
 *   0     1      2  3      4     6      8       16      24   32   40       48    56        80
 *   +-----+------+---------+------------+-------+-------+----+----+--------+-----+---------+
 *   | 01  |flags |kl  kr   | 0          | count | bytes | lo | hi | serial | big | L:id    |
 *   +-----+------+---------+------------+-------+-------+----+----+--------+-----+---------+
 *   56 left id, 64 right id, 72 left from, 74 left to, 76 right from, 78 right to
 *   (little-endian; kl, kr: enum chunk_kind of the end chunks; flags: bit 0 sparse)
 *
 * Invariants:
 *  1. A list that exists has at least one element; the name goes with the last.
 *  2. From left to right the chain is first chunks of kind LEFT, then chunks of kind RIGHT.
 *  3. Only an end chunk has bytes that are not live: before `from`, or from `to` on, and in a chain
 *     of several chunks only on the side of its end.
 *  4. While not sparse: hi - lo is count; a RIGHT chunk's id is the index of its leftmost element
 *     (at the left end: at most lo), a LEFT chunk's that of its rightmost (at the right end: at
 *     least hi - 1). So ids ascend along the chain, and an index finds its chunk by key.
 *  5. While sparse, new chunks get serials as ids, which no index can be.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/queue/once.h"
#include "engine/queue/policy.h"
#include "engine/queue/wait.h"

#define HEAD_LEN    80u
#define HEAD_FORMAT 1u
#define FLAG_SPARSE 0x01u

static struct oxbow_bytes head_key(uint8_t out[KV_KEY_MAX], const struct list *l)
{
    return (struct oxbow_bytes){out, object_key(out, l->object.id, LIST_KEY_HEAD, NULL, 0)};
}

static void head_encode(uint8_t p[HEAD_LEN], const struct list *l)
{
    const struct list_end *left = &l->ends[OXBOW_LEFT];
    const struct list_end *right = &l->ends[OXBOW_RIGHT];

    p[0] = HEAD_FORMAT;
    p[1] = l->sparse ? FLAG_SPARSE : 0;
    p[2] = (uint8_t)left->kind;
    p[3] = (uint8_t)right->kind;
    put_le32(p + 4, 0);
    put_le64(p + 8, l->count);
    put_le64(p + 16, l->bytes);
    put_le64(p + 24, l->lo);
    put_le64(p + 32, l->hi);
    put_le64(p + 40, l->serial);
    put_le64(p + 48, l->big);
    put_le64(p + 56, left->id);
    put_le64(p + 64, right->id);
    put_le16(p + 72, left->from);
    put_le16(p + 74, left->to);
    put_le16(p + 76, right->from);
    put_le16(p + 78, right->to);
}

static bool end_is_sane(const struct list_end *end)
{
    return (end->kind == CHUNK_LIST_LEFT || end->kind == CHUNK_LIST_RIGHT) &&
           end->from >= LIST_BODY && end->from < end->to && end->to <= CHUNK_MAX;
}

static enum oxbow_err head_decode(struct oxbow_bytes value, struct list *l)
{
    const uint8_t *p = value.data;

    if (value.len != HEAD_LEN || p[0] != HEAD_FORMAT || (p[1] & ~FLAG_SPARSE) != 0) {
        return OXBOW_ECORRUPT;
    }
    l->sparse = (p[1] & FLAG_SPARSE) != 0;
    l->count = get_le64(p + 8);
    l->bytes = get_le64(p + 16);
    l->lo = get_le64(p + 24);
    l->hi = get_le64(p + 32);
    l->serial = get_le64(p + 40);
    l->big = get_le64(p + 48);
    l->ends[OXBOW_LEFT] = (struct list_end){
        .id = get_le64(p + 56),
        .from = get_le16(p + 72),
        .to = get_le16(p + 74),
        .kind = (enum chunk_kind)p[2],
    };
    l->ends[OXBOW_RIGHT] = (struct list_end){
        .id = get_le64(p + 64),
        .from = get_le16(p + 76),
        .to = get_le16(p + 78),
        .kind = (enum chunk_kind)p[3],
    };
    if (l->count == 0 || l->count > LIST_COUNT_MAX || (!l->sparse && l->hi - l->lo != l->count) ||
        !end_is_sane(&l->ends[OXBOW_LEFT]) || !end_is_sane(&l->ends[OXBOW_RIGHT])) {
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

enum oxbow_err list_load(struct list *l)
{
    struct oxbow_bytes value;
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_get(l->txn, head_key(key, l), &value);

    if (err == OXBOW_OK) {
        err = head_decode(value, l);
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err list_find(struct oxbow_txn *txn, struct oxbow_bytes name, struct list *l)
{
    enum oxbow_err err;

    *l = (struct list){.txn = txn, .name = name};
    err = catalog_find_typed(txn, name, OXBOW_TYPE_LIST, &l->object);
    return err == OXBOW_OK ? list_load(l) : err;
}

enum oxbow_err list_make(struct oxbow_txn *txn, struct oxbow_bytes name, struct list *l)
{
    bool made;
    enum oxbow_err err;

    *l = (struct list){.txn = txn, .name = name, .serial = 1, .fresh = true, .dirty = true};
    l->lo = LIST_INDEX_START;
    l->hi = LIST_INDEX_START;
    err = catalog_open(txn, name, OXBOW_TYPE_LIST, &l->object, &made);
    return err == OXBOW_OK && !made ? OXBOW_ECORRUPT : err;
}

/* Removes a list that has no elements and no chunks. */
static enum oxbow_err list_vanish(struct list *l)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = OXBOW_OK;

    if (!l->fresh) {
        err = kv_del(l->txn, head_key(key, l));
    }
    return err == OXBOW_OK ? catalog_remove_empty(l->txn, l->name) : err;
}

enum oxbow_err list_close(struct list *l, enum oxbow_err err)
{
    uint8_t head[HEAD_LEN];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value = {head, sizeof(head)};

    if (!l->dirty) {
        return err;
    }
    if (err == OXBOW_OK && l->count == 0) {
        err = list_vanish(l);
    } else if (err == OXBOW_OK) {
        head_encode(head, l);
        err = l->fresh ? kv_put(l->txn, head_key(key, l), value)
                       : kv_patch(l->txn, head_key(key, l), 0, value);
    }
    if (err == OXBOW_OK && l->sparse) {
        err = once_list_edited(l->txn, l->name, l->object.id);
    }
    if (err == OXBOW_OK) {
        err = policy_left(l->txn, l->object.tag, l->count, l->bytes);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(l->txn, err);
}

bool list_span(uint64_t count, int64_t start, int64_t stop, uint64_t *first, uint64_t *last)
{
    int64_t n = (int64_t)count;

    if (start < 0) {
        start = start < -n ? 0 : start + n;
    }
    if (stop < 0) {
        stop += n;
    }
    if (stop >= n) {
        stop = n - 1;
    }
    if (start > stop || start >= n) {
        return false;
    }
    *first = (uint64_t)start;
    *last = (uint64_t)stop;
    return true;
}
