/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of list elements: inside the chunk, under a key of their own, or as a blob, by length.
 * Keeps the list's sums `bytes` and `big` in step with what is stored and dropped.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/base/result.h"

#include <string.h>

#define COMPARE_STEP 1024u /* bytes of a blob looked at in one go */
#define ENTRY_EXTRA  16u   /* what an entry costs beside its value, at most */

static struct oxbow_bytes value_key(uint8_t out[KV_KEY_MAX], const struct list *l, uint64_t serial)
{
    uint8_t tail[8];

    put_be64(tail, serial);
    return (struct oxbow_bytes){out,
                                object_key(out, l->object.id, LIST_KEY_VALUE, tail, sizeof(tail))};
}

enum oxbow_err list_values_check(const struct oxbow_txn *txn, const struct oxbow_bytes *values,
                                 size_t count, uint64_t *bytes)
{
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        if (values[i].data == NULL && values[i].len > 0) {
            return OXBOW_EINVAL;
        }
        if (values[i].len > txn_entry_bytes_max(txn)) {
            return OXBOW_ETOOBIG;
        }
        sum += values[i].len + ENTRY_EXTRA;
    }
    *bytes = sum;
    return OXBOW_OK;
}

enum oxbow_err list_value_store(struct list *l, struct oxbow_bytes value, struct list_entry *e)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = OXBOW_OK;

    *e = (struct list_entry){.len = (uint32_t)value.len, .data = value.data};
    if (value.len <= LIST_INLINE_MAX) {
        e->form = LIST_INLINE;
    } else if (value.len <= LIST_OWN_MAX) {
        e->form = LIST_OWN;
        e->id = l->serial++;
        l->dirty = true;
        err = kv_put(l->txn, value_key(key, l, e->id), value);
    } else {
        e->form = LIST_BLOB;
        l->dirty = true;
        err = object_blob_write(l->txn, l->object.id, value, &e->id);
    }
    if (err == OXBOW_OK) {
        l->bytes += value.len;
        l->big += e->form != LIST_INLINE;
    }
    return err;
}

enum oxbow_err list_value_drop(struct list *l, const struct list_entry *e)
{
    uint8_t key[KV_KEY_MAX];

    if (l->bytes < e->len || (e->form != LIST_INLINE && l->big == 0)) {
        return OXBOW_ECORRUPT;
    }
    l->bytes -= e->len;
    if (e->form == LIST_INLINE) {
        return OXBOW_OK;
    }
    l->big--;
    l->dirty = true;
    return e->form == LIST_OWN ? kv_del(l->txn, value_key(key, l, e->id))
                               : object_blob_delete(l->txn, l->object.id, e->id);
}

/* A value under its own key, which must have the length that the entry says. */
static enum oxbow_err own_get(const struct list *l, const struct list_entry *e,
                              struct oxbow_bytes *value)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_get(l->txn, value_key(key, l, e->id), value);

    if (err == OXBOW_ENOENT || (err == OXBOW_OK && value->len != e->len)) {
        return OXBOW_ECORRUPT;
    }
    return err;
}

static enum oxbow_err blob_read(const struct list *l, const struct list_entry *e, uint64_t pos,
                                void *buf, size_t len)
{
    enum oxbow_err err = kv_blob_read(l->txn, e->id, pos, buf, len);

    return err == OXBOW_ENOENT || err == OXBOW_ERANGE ? OXBOW_ECORRUPT : err;
}

enum oxbow_err list_value_read(const struct list *l, const struct list_entry *e,
                               struct oxbow_result *result)
{
    struct oxbow_bytes value = {e->data, e->len};
    uint8_t *space;
    enum oxbow_err err;

    if (e->form == LIST_BLOB) {
        err = result_item_space(result, e->len, &space);
        return err == OXBOW_OK ? blob_read(l, e, 0, space, e->len) : err;
    }
    if (e->form == LIST_OWN) {
        err = own_get(l, e, &value);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return result_item(result, value);
}

static enum oxbow_err blob_equal(const struct list *l, const struct list_entry *e,
                                 struct oxbow_bytes value, bool *equal)
{
    uint8_t buf[COMPARE_STEP];
    size_t pos;

    *equal = true;
    for (pos = 0; pos < value.len && *equal; pos += sizeof(buf)) {
        size_t n = value.len - pos < sizeof(buf) ? value.len - pos : sizeof(buf);
        enum oxbow_err err = blob_read(l, e, pos, buf, n);

        if (err != OXBOW_OK) {
            return err;
        }
        *equal = memcmp(buf, (const uint8_t *)value.data + pos, n) == 0;
    }
    return OXBOW_OK;
}

enum oxbow_err list_value_equal(const struct list *l, const struct list_entry *e,
                                struct oxbow_bytes value, bool *equal)
{
    struct oxbow_bytes there = {e->data, e->len};
    enum oxbow_err err;

    if (e->len != value.len) {
        *equal = false;
        return OXBOW_OK;
    }
    if (e->form == LIST_BLOB) {
        return blob_equal(l, e, value, equal);
    }
    if (e->form == LIST_OWN) {
        err = own_get(l, e, &there);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    *equal = value.len == 0 || memcmp(there.data, value.data, value.len) == 0;
    return OXBOW_OK;
}
