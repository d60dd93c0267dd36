/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies what an object has, record by record, and knows nothing of what they mean: the records of lists,
 * strings, hashes and sets name each other by what stands behind the object's id. What is kept of an
 * object elsewhere, and blobs, which have one owner, is not copied; what it wants of idle work is copied
 * by name (catalog_due_copy).
 */
#include "engine/base/buf.h"
#include "engine/store/catalog_record.h"

#include <string.h>

#define PREFIX_BYTES 9u

static struct oxbow_bytes prefix_of(uint8_t out[PREFIX_BYTES], uint64_t id)
{
    out[0] = kv_space_of(KV_SPACE_OBJECT, id);
    put_be64(out + 1, id);
    return (struct oxbow_bytes){out, PREFIX_BYTES};
}

static bool is_of(struct oxbow_bytes key, struct oxbow_bytes prefix)
{
    return key.len > prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0;
}

enum oxbow_err object_bytes(struct oxbow_txn *txn, uint64_t id, uint64_t max, uint64_t *bytes)
{
    uint8_t from[PREFIX_BYTES];
    struct oxbow_bytes prefix = prefix_of(from, id);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    uint64_t n = 0;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, prefix, &key, &value);
    while (err == OXBOW_OK && is_of(key, prefix) && n <= max) {
        if (((const uint8_t *)key.data)[PREFIX_BYTES] == OBJECT_KIND_BLOB) {
            err = OXBOW_ENOTSUP;
            break;
        }
        n += key.len + value.len;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *bytes = n;
        return OXBOW_OK;
    }
    return err;
}

/* The values that a cursor gives are borrowed until a write: they are copied before. */
static enum oxbow_err copy_all(struct oxbow_txn *txn, struct kv_cursor *c, uint64_t from,
                               uint64_t to, struct buf *copy)
{
    uint8_t start[PREFIX_BYTES];
    uint8_t own[KV_KEY_MAX];
    struct oxbow_bytes prefix = prefix_of(start, from);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    enum oxbow_err err = kv_cursor_seek(c, prefix, &key, &value);

    while (err == OXBOW_OK && is_of(key, prefix)) {
        size_t len = key.len;

        memcpy(own, key.data, len);
        own[0] = kv_space_of(KV_SPACE_OBJECT, to);
        put_be64(own + 1, to);
        copy->len = 0;
        err = buf_append(copy, value.data, value.len);
        if (err == OXBOW_OK && own[PREFIX_BYTES] != OBJECT_KIND_DUE) {
            err = kv_put(txn, (struct oxbow_bytes){own, len},
                         (struct oxbow_bytes){copy->data, copy->len});
        }
        if (err == OXBOW_OK) {
            err = kv_cursor_next(c, &key, &value);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err object_copy(struct oxbow_txn *txn, uint64_t from, uint64_t to)
{
    struct kv_cursor c;
    struct buf copy;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(&copy, &txn_port(txn)->alloc, SIZE_MAX);
    err = buf_reserve(&copy, 1);
    if (err == OXBOW_OK) {
        err = copy_all(txn, &c, from, to, &copy);
    }
    buf_fini(&copy);
    kv_cursor_fini(&c);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
