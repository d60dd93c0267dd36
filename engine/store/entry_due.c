/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   KV_SPACE_OBJECT be64 object 0x30 id               -> le64 deadline, and what expire.c adds
 *   KV_SPACE_EXPIRE 'e' be64 deadline be64 object id  -> what expire.c needs then
 *
 * The first is found by the entry, the second by time. A stream that drops its oldest entries long
 * before their deadlines, or is deleted, would fill the store with them if they stayed.
 */
#include "engine/store/entry_due.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

#include <string.h>

#define KIND_DEADLINE 0x30u
#define KEY_HEAD      10u /* space, object, kind */

struct oxbow_bytes entry_due_key(uint8_t out[KV_KEY_MAX], uint64_t object, struct oxbow_id id)
{
    uint8_t tail[ID_KEY_LEN];

    id_to_key(tail, id);
    return (struct oxbow_bytes){out, object_key(out, object, KIND_DEADLINE, tail, sizeof tail)};
}

struct oxbow_bytes entry_due_spot(uint8_t out[ENTRY_SPOT_KEY], uint64_t deadline, uint64_t object,
                                  struct oxbow_id id)
{
    out[0] = KV_SPACE_EXPIRE;
    out[1] = 'e';
    put_be64(out + 2, deadline);
    put_be64(out + 10, object);
    id_to_key(out + 18, id);
    return (struct oxbow_bytes){out, ENTRY_SPOT_KEY};
}

/* `value`: of the first key, empty if it cannot be read. */
static enum oxbow_err forget(struct oxbow_txn *txn, uint64_t object, struct oxbow_id id,
                             struct oxbow_bytes value)
{
    uint8_t spot[ENTRY_SPOT_KEY];
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = OXBOW_OK;

    if (value.len >= 8) {
        err = kv_del(txn, entry_due_spot(spot, get_le64(value.data), object, id));
    }
    return err == OXBOW_OK ? kv_del(txn, entry_due_key(key, object, id)) : err;
}

/* Most entries go alone. */
static enum oxbow_err forget_one(struct oxbow_txn *txn, uint64_t object, struct oxbow_id id)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, entry_due_key(key, object, id), &value);

    if (err == OXBOW_ECORRUPT) {
        value = (struct oxbow_bytes){NULL, 0};
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        return forget(txn, object, id, value);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err entry_due_forget(struct oxbow_txn *txn, uint64_t object, struct oxbow_id from,
                                struct oxbow_id to, size_t max, bool *more)
{
    uint8_t start[KV_KEY_MAX];
    struct oxbow_bytes first = entry_due_key(start, object, from);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err;

    *more = false;
    if (id_compare(from, to) == 0 && max > 0) {
        return forget_one(txn, object, from);
    }
    err = kv_cursor_init(&c, txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, first, KEY_HEAD, &key, &value);
    for (size_t done = 0; (err == OXBOW_OK || err == OXBOW_ECORRUPT) && c.key_len == first.len;
         done++) {
        struct oxbow_id id = id_from_key(c.key + KEY_HEAD);

        *more = id_compare(id, to) <= 0 && done == max;
        if (id_compare(id, to) > 0 || *more) {
            break;
        }
        err = forget(txn, object, id, err == OXBOW_OK ? value : (struct oxbow_bytes){NULL, 0});
        if (err == OXBOW_OK) {
            err = kv_cursor_next(&c, &key, &value);
        }
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}
