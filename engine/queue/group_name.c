/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds, adds and removes names of groups and consumers.
 *
 * 1. Slots of one hash are dense from 0: a removed one is filled with the last.
 * 2. A name's record exists as long as its slot.
 */
#include "engine/queue/group_name.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <string.h>

#define SLOT_MAX 65535u

static struct oxbow_bytes name_key(uint8_t out[KV_KEY_MAX], const struct names *n, uint64_t hash,
                                   uint32_t slot)
{
    uint8_t tail[14];

    put_be32(tail, n->scope);
    put_be64(tail + 4, hash);
    tail[12] = (uint8_t)(slot >> 8);
    tail[13] = (uint8_t)slot;
    return (struct oxbow_bytes){
        out, object_key(out, n->stream->object.id, (uint8_t)n->name_kind, tail, sizeof tail)};
}

struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], const struct names *n, uint32_t number)
{
    uint8_t tail[8];

    put_be32(tail, n->scope);
    put_be32(tail + 4, number);
    return (struct oxbow_bytes){
        out, object_key(out, n->stream->object.id, (uint8_t)n->record_kind, tail, sizeof tail)};
}

enum oxbow_err record_check(const struct names *n, struct oxbow_bytes record)
{
    return record.len < n->fixed || get_le32(record.data) != RECORD_FORMAT ? OXBOW_ECORRUPT
                                                                           : OXBOW_OK;
}

enum oxbow_err record_get(const struct names *n, uint32_t number, struct oxbow_bytes *record)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_get(n->stream->txn, record_key(key, n, number), record);

    if (err == OXBOW_ENOENT) {
        return OXBOW_ECORRUPT;
    }
    return err == OXBOW_OK ? record_check(n, *record) : err;
}

struct oxbow_bytes record_name(const struct names *n, struct oxbow_bytes record)
{
    return (struct oxbow_bytes){(const uint8_t *)record.data + n->fixed, record.len - n->fixed};
}

static bool bytes_equal(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static enum oxbow_err slot_get(const struct names *n, uint64_t hash, uint32_t slot,
                               uint32_t *number)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(n->stream->txn, name_key(key, n, hash, slot), &value);

    if (err == OXBOW_OK && value.len != 4) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        *number = get_le32(value.data);
    }
    return err;
}

enum oxbow_err name_find(const struct names *n, struct oxbow_bytes name, uint32_t *slot,
                         uint32_t *number, struct oxbow_bytes *record)
{
    uint64_t hash = hash64(name.data, name.len, 0);

    for (*slot = 0; *slot <= SLOT_MAX; (*slot)++) {
        enum oxbow_err err = slot_get(n, hash, *slot, number);

        if (err == OXBOW_OK) {
            err = record_get(n, *number, record);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (bytes_equal(record_name(n, *record), name)) {
            return OXBOW_OK;
        }
    }
    return OXBOW_ERANGE;
}

static enum oxbow_err slot_put(const struct names *n, uint64_t hash, uint32_t slot, uint32_t number)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t value[4];

    put_le32(value, number);
    return kv_put(n->stream->txn, name_key(key, n, hash, slot),
                  (struct oxbow_bytes){value, sizeof value});
}

enum oxbow_err record_put(const struct names *n, struct oxbow_bytes name,
                          const struct name_record *r)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_txn *txn = n->stream->txn;
    enum oxbow_err err =
        kv_put(txn, record_key(key, n, r->number), (struct oxbow_bytes){r->fixed, n->fixed});

    return err == OXBOW_OK && name.len > 0
               ? kv_patch(txn, record_key(key, n, r->number), n->fixed, name)
               : err;
}

enum oxbow_err name_add(const struct names *n, struct oxbow_bytes name, const struct name_record *r)
{
    enum oxbow_err err = txn_reserve_bytes(n->stream->txn, n->fixed + name.len + 64);

    if (err == OXBOW_OK) {
        err = record_put(n, name, r);
    }
    return err == OXBOW_OK ? slot_put(n, hash64(name.data, name.len, 0), r->slot, r->number) : err;
}

enum oxbow_err name_remove(const struct names *n, struct oxbow_bytes name, uint32_t number)
{
    uint64_t hash = hash64(name.data, name.len, 0);
    uint32_t slot, last, found, other = number;
    struct oxbow_bytes record;
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = name_find(n, name, &slot, &found, &record);

    if (err != OXBOW_OK || found != number) {
        return err == OXBOW_OK || err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    for (last = slot; err == OXBOW_OK && last < SLOT_MAX; last++) {
        err = slot_get(n, hash, last + 1, &other);
        if (err != OXBOW_OK) {
            break;
        }
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    err = last > slot ? slot_put(n, hash, slot, other) : OXBOW_OK;
    if (err == OXBOW_OK) {
        err = kv_del(n->stream->txn, name_key(key, n, hash, last));
    }
    return err == OXBOW_OK ? kv_del(n->stream->txn, record_key(key, n, number)) : err;
}

/* ---- after a salvage ---- */

enum oxbow_err name_restore(const struct names *n, struct oxbow_bytes name, uint32_t number)
{
    uint64_t hash = hash64(name.data, name.len, 0);
    uint32_t slot;
    uint32_t there = 0;

    for (slot = 0; slot <= SLOT_MAX; slot++) {
        enum oxbow_err err = slot_get(n, hash, slot, &there);

        if (err == OXBOW_OK && there == number) {
            return OXBOW_OK;
        }
        if (err == OXBOW_ENOENT) {
            return slot_put(n, hash, slot, number);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_ERANGE;
}

/* Removes a slot and closes the gap that it leaves (1.). */
static enum oxbow_err slot_remove(const struct names *n, uint64_t hash, uint32_t slot)
{
    uint8_t key[KV_KEY_MAX];
    uint32_t other = 0;
    uint32_t last = slot;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && last < SLOT_MAX) {
        err = slot_get(n, hash, last + 1, &other);
        last += err == OXBOW_OK;
    }
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && last > slot) {
        err = slot_get(n, hash, last, &other);
        if (err == OXBOW_OK) {
            err = slot_put(n, hash, slot, other);
        }
    }
    return err == OXBOW_OK ? kv_del(n->stream->txn, name_key(key, n, hash, last)) : err;
}

enum oxbow_err name_prune(const struct names *n, uint32_t *number)
{
    uint8_t low[KV_KEY_MAX];
    struct oxbow_bytes want = name_key(low, n, 0, 0), key, value;
    size_t prefix = want.len - 10;
    struct kv_cursor c;
    bool found = false;
    uint64_t hash = 0;
    uint32_t slot = 0;
    enum oxbow_err err = kv_cursor_init(&c, n->stream->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, want, prefix, &key, &value);
    while (err == OXBOW_OK && !found && key.len == want.len && memcmp(c.key, low, prefix) == 0) {
        struct oxbow_bytes record;

        hash = get_be64(c.key + prefix);
        slot = (uint32_t)c.key[prefix + 8] << 8 | c.key[prefix + 9];
        *number = value.len == 4 ? get_le32(value.data) : 0;
        err = record_get(n, *number, &record);
        found = err == OXBOW_ECORRUPT;
        if (err == OXBOW_OK) {
            err = kv_cursor_next(&c, &key, &value);
        }
    }
    kv_cursor_fini(&c);
    if (!found) {
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    return slot_remove(n, hash, slot);
}
