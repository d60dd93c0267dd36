/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, writing and comparing bytes that may lie outside of a tree's entry. It does not know what
 * they are for, nor who else refers to them.
 */
#include "engine/keyval/outside.h"

#include "engine/base/codec.h"

#include <string.h>

#define COMPARE_STEP 1024u

static struct oxbow_bytes own_key(uint8_t out[KV_KEY_MAX], uint64_t object, uint64_t number)
{
    uint8_t tail[8];

    put_be64(tail, number);
    return (struct oxbow_bytes){out, object_key(out, object, OUTSIDE_KIND, tail, sizeof tail)};
}

enum oxbow_err outside_write(struct oxbow_txn *txn, uint64_t object, struct oxbow_bytes bytes,
                             uint64_t number, struct btree_ref *out)
{
    struct btree_ref ref = {.len = bytes.len, .id = number};
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    if (bytes.len <= OUTSIDE_OWN_MAX) {
        err = kv_put(txn, own_key(key, object, number), bytes);
    } else {
        err = object_blob_write(txn, object, bytes, &ref.id);
    }
    if (err == OXBOW_OK) {
        *out = ref;
    }
    return err;
}

enum oxbow_err outside_delete(struct oxbow_txn *txn, uint64_t object, const struct btree_ref *ref)
{
    uint8_t key[KV_KEY_MAX];

    if (ref->id == 0) {
        return OXBOW_OK;
    }
    if (ref->len <= OUTSIDE_OWN_MAX) {
        return kv_del(txn, own_key(key, object, ref->id));
    }
    return object_blob_delete(txn, object, ref->id);
}

/* The bytes when they are in one piece; borrowed. */
static enum oxbow_err whole_get(struct oxbow_txn *txn, uint64_t object, const struct btree_ref *ref,
                                struct oxbow_bytes *out)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    if (ref->id == 0) {
        *out = (struct oxbow_bytes){ref->data, (size_t)ref->len};
        return OXBOW_OK;
    }
    err = kv_get(txn, own_key(key, object, ref->id), out);
    return err == OXBOW_ENOENT || (err == OXBOW_OK && out->len != ref->len) ? OXBOW_ECORRUPT : err;
}

static bool is_blob(const struct btree_ref *ref)
{
    return ref->id != 0 && ref->len > OUTSIDE_OWN_MAX;
}

static enum oxbow_err blob_read(struct oxbow_txn *txn, const struct btree_ref *ref, uint64_t pos,
                                void *buf, size_t len)
{
    enum oxbow_err err = len == 0 ? OXBOW_OK : kv_blob_read(txn, ref->id, pos, buf, len);

    return err == OXBOW_ENOENT || err == OXBOW_ERANGE ? OXBOW_ECORRUPT : err;
}

enum oxbow_err outside_item(struct oxbow_txn *txn, uint64_t object, const struct btree_ref *ref,
                            struct oxbow_result *r)
{
    struct oxbow_bytes whole;
    uint8_t *space;
    enum oxbow_err err;

    if (!is_blob(ref)) {
        err = whole_get(txn, object, ref, &whole);
        return err == OXBOW_OK ? result_item(r, whole) : err;
    }
    if (ref->len > SIZE_MAX / 2) {
        return OXBOW_ECORRUPT;
    }
    err = result_item_space(r, (size_t)ref->len, &space);
    return err == OXBOW_OK ? blob_read(txn, ref, 0, space, (size_t)ref->len) : err;
}

enum oxbow_err outside_peek(struct oxbow_txn *txn, uint64_t object, const struct btree_ref *ref,
                            struct buf *scratch, struct oxbow_bytes *out)
{
    enum oxbow_err err;

    if (!is_blob(ref)) {
        return whole_get(txn, object, ref, out);
    }
    scratch->len = 0;
    err = ref->len > scratch->len_max ? OXBOW_ECORRUPT : buf_reserve(scratch, (size_t)ref->len);
    if (err == OXBOW_OK) {
        err = blob_read(txn, ref, 0, scratch->data, (size_t)ref->len);
    }
    if (err == OXBOW_OK) {
        *out = (struct oxbow_bytes){scratch->data, (size_t)ref->len};
    }
    return err;
}

enum oxbow_err outside_copy(struct oxbow_txn *txn, uint64_t object, const struct btree_ref *ref,
                            void *buf, size_t len)
{
    struct oxbow_bytes whole;
    enum oxbow_err err;

    if (is_blob(ref)) {
        return blob_read(txn, ref, 0, buf, len);
    }
    err = whole_get(txn, object, ref, &whole);
    if (err == OXBOW_OK && len > 0) {
        memcpy(buf, whole.data, len);
    }
    return err;
}

static int lens_order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static enum oxbow_err blob_compare(struct oxbow_txn *txn, struct oxbow_bytes bytes,
                                   const struct btree_ref *ref, int *order)
{
    uint64_t len = bytes.len < ref->len ? bytes.len : ref->len;
    uint8_t buf[COMPARE_STEP];
    uint64_t pos;

    for (pos = 0; pos < len; pos += sizeof buf) {
        size_t n = len - pos < sizeof buf ? (size_t)(len - pos) : sizeof buf;
        enum oxbow_err err = blob_read(txn, ref, pos, buf, n);

        if (err != OXBOW_OK) {
            return err;
        }
        *order = memcmp((const uint8_t *)bytes.data + pos, buf, n);
        if (*order != 0) {
            return OXBOW_OK;
        }
    }
    *order = lens_order(bytes.len, ref->len);
    return OXBOW_OK;
}

int inline_compare(struct oxbow_bytes bytes, const struct btree_ref *ref)
{
    size_t len = bytes.len < ref->len ? bytes.len : (size_t)ref->len;
    int order = len > 0 ? memcmp(bytes.data, ref->data, len) : 0;

    return order != 0 ? order : lens_order(bytes.len, ref->len);
}

enum oxbow_err outside_compare(struct oxbow_txn *txn, uint64_t object, struct oxbow_bytes bytes,
                               const struct btree_ref *ref, int *order)
{
    struct btree_ref whole = {.id = 0};
    struct oxbow_bytes got;
    enum oxbow_err err;

    if (is_blob(ref)) {
        return blob_compare(txn, bytes, ref, order);
    }
    err = whole_get(txn, object, ref, &got);
    if (err == OXBOW_OK) {
        whole.data = got.data;
        whole.len = got.len;
        *order = inline_compare(bytes, &whole);
    }
    return err;
}
