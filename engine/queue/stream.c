/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header record of a stream, and the keys of its object.
 *
 *   0      1       4        8             12             16       24              32
 *   +------+-------+--------+-------------+--------------+--------+---------------+--
 *   | form | flags | groups | groups_dead | group_next   | length | entries_added | ...
 *   +------+-------+--------+-------------+--------------+--------+---------------+--
 *   32      40       48         64         80        96            112
 *   +-------+--------+----------+----------+---------+-------------+
 *   | bytes | chunks | last id  | first id | tail id | max deleted |     all little endian
 *   +-------+--------+----------+----------+---------+-------------+
 *
 * flags: one byte, 1 with priorities (priority.h), and two zeros.
 *
 * 1. The record is stored as long as the object exists; its length says nothing of the chunks.
 * 2. tail is the key of the last chunk and only while that may grow; first is the id of the oldest
 *    live entry, 0-0 when there is none.
 */
#include "engine/queue/stream.h"

#include "engine/queue/forward.h"
#include "engine/queue/policy.h"

#include "engine/base/codec.h"

#define HEAD_FORMAT 1u
#define HEAD_LEN    112u

#define FLAG_PRIORITIES 0x100u /* in the first le32 */

static void put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

static struct oxbow_bytes head_key(uint8_t out[KV_KEY_MAX], uint64_t object)
{
    return (struct oxbow_bytes){out, object_key(out, object, STREAM_KIND_HEAD, NULL, 0)};
}

static void head_encode(uint8_t out[HEAD_LEN], const struct stream *s)
{
    put_le32(out, HEAD_FORMAT | (s->priorities ? FLAG_PRIORITIES : 0));
    put_le32(out + 4, s->groups);
    put_le32(out + 8, s->groups_dead);
    put_le32(out + 12, s->group_next);
    put_le64(out + 16, s->length);
    put_le64(out + 24, s->entries_added);
    put_le64(out + 32, s->bytes);
    put_le64(out + 40, s->chunks);
    put_id(out + 48, s->last);
    put_id(out + 64, s->first);
    put_id(out + 80, s->tail);
    put_id(out + 96, s->max_deleted);
}

static enum oxbow_err head_decode(struct oxbow_bytes value, struct stream *s)
{
    const uint8_t *p = value.data;

    if (value.len != HEAD_LEN || (get_le32(p) & ~FLAG_PRIORITIES) != HEAD_FORMAT) {
        return OXBOW_ECORRUPT;
    }
    s->priorities = (get_le32(p) & FLAG_PRIORITIES) != 0;
    s->groups = get_le32(p + 4);
    s->groups_dead = get_le32(p + 8);
    s->group_next = get_le32(p + 12);
    s->length = get_le64(p + 16);
    s->entries_added = get_le64(p + 24);
    s->bytes = get_le64(p + 32);
    s->chunks = get_le64(p + 40);
    s->last = get_id(p + 48);
    s->first = get_id(p + 64);
    s->tail = get_id(p + 80);
    s->max_deleted = get_id(p + 96);
    return OXBOW_OK;
}

enum oxbow_err stream_load(struct oxbow_txn *txn, const struct object *object, struct stream *out)
{
    struct stream s = {.txn = txn, .object = *object};
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, head_key(key, object->id), &value);

    if (err == OXBOW_ENOENT) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = head_decode(value, &s);
    }
    if (err == OXBOW_OK) {
        *out = s;
    }
    return err;
}

enum oxbow_err stream_find(struct oxbow_txn *txn, struct oxbow_bytes key, struct stream *out)
{
    struct object object;
    enum oxbow_err err = catalog_find_typed(txn, key, OXBOW_TYPE_STREAM, &object);

    return err == OXBOW_OK ? stream_load(txn, &object, out) : err;
}

enum oxbow_err stream_open(struct oxbow_txn *txn, struct oxbow_bytes key, struct stream *out)
{
    struct object object;
    bool made;
    enum oxbow_err err = catalog_open(txn, key, OXBOW_TYPE_STREAM, &object, &made);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!made) {
        return stream_load(txn, &object, out);
    }
    *out = (struct stream){.txn = txn, .object = object, .made = true, .group_next = 1};
    return forward_floor(txn, key, &out->last);
}

enum oxbow_err stream_save(struct stream *s)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t head[HEAD_LEN];
    struct oxbow_bytes value = {head, HEAD_LEN};
    enum oxbow_err err;

    head_encode(head, s);
    if (!s->made) {
        err = kv_patch(s->txn, head_key(key, s->object.id), 0, value);
        /* Whether it is full is not told by its length: what is delivered makes room. */
        return err == OXBOW_OK ? policy_left(s->txn, s->object.tag, 0, 0) : err;
    }
    err = kv_put(s->txn, head_key(key, s->object.id), value);
    if (err == OXBOW_OK) {
        s->made = false;
    }
    return err;
}

struct oxbow_bytes stream_id_key(uint8_t out[KV_KEY_MAX], const struct stream *s,
                                 enum stream_kind kind, struct oxbow_id id)
{
    uint8_t tail[ID_KEY_LEN];

    id_to_key(tail, id);
    return (struct oxbow_bytes){out,
                                object_key(out, s->object.id, (uint8_t)kind, tail, sizeof tail)};
}
