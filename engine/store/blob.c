/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large values, in pieces of one page each:
 *
 *   KV_SPACE_BLOB, be64 blob, be32 piece  ->  at most KV_PAGE_MAX bytes
 *
 * All pieces but the last are full, so a position says which piece it is in.
 */
#include "engine/base/codec.h"
#include "engine/store/store.h"

#include <string.h>

#define PIECE_KEY_BYTES 13u

static struct oxbow_bytes piece_key(uint8_t out[PIECE_KEY_BYTES], uint64_t blob, uint32_t piece)
{
    out[0] = KV_SPACE_BLOB;
    put_be64(out + 1, blob);
    put_be32(out + 9, piece);
    return (struct oxbow_bytes){out, PIECE_KEY_BYTES};
}

enum oxbow_err kv_blob_write(struct oxbow_txn *txn, struct oxbow_bytes data, uint64_t *blob)
{
    struct oxbow *db = txn->db;
    uint64_t id = db->next_blob + 1;
    const uint8_t *p = data.data;
    uint8_t key[PIECE_KEY_BYTES];
    uint32_t piece = 0;
    size_t pos = 0;

    if (data.len == 0 || data.len > db->config.entry_bytes) {
        return OXBOW_EINVAL;
    }
    db->next_blob = id;
    while (pos < data.len) {
        size_t len = data.len - pos < KV_PAGE_MAX ? data.len - pos : KV_PAGE_MAX;
        enum oxbow_err err =
            kv_put(txn, piece_key(key, id, piece), (struct oxbow_bytes){p + pos, len});

        if (err != OXBOW_OK) {
            return err;
        }
        piece++;
        pos += len;
    }
    *blob = id;
    return OXBOW_OK;
}

enum oxbow_err kv_blob_read(struct oxbow_txn *txn, uint64_t blob, uint64_t pos, void *buf,
                            size_t len)
{
    uint8_t *out = buf;
    uint8_t key[PIECE_KEY_BYTES];

    while (len > 0) {
        struct oxbow_bytes value;
        size_t at = (size_t)(pos % KV_PAGE_MAX);
        size_t n;
        enum oxbow_err err =
            kv_get(txn, piece_key(key, blob, (uint32_t)(pos / KV_PAGE_MAX)), &value);

        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT && pos > 0 ? OXBOW_ERANGE : err;
        }
        if (at >= value.len) {
            return OXBOW_ERANGE;
        }
        n = value.len - at < len ? value.len - at : len;
        memcpy(out, (const uint8_t *)value.data + at, n);
        out += n;
        pos += n;
        len -= n;
    }
    return OXBOW_OK;
}

enum oxbow_err kv_blob_delete(struct oxbow_txn *txn, uint64_t blob)
{
    uint8_t from[PIECE_KEY_BYTES];
    uint8_t to[PIECE_KEY_BYTES];
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        err = kv_del_range(txn, piece_key(from, blob, 0), piece_key(to, blob, UINT32_MAX), 1024,
                           &more);
    }
    return err;
}
