/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings: one record to a key. A long value is a blob of the object's, and the record says which.
 *
 *   0        1      2       8
 *   +--------+------+-------+------------------------------------------
 *   | format | kind | zeros | kind 0: the value
 *   |   1    |      |       | kind 1: le64 blob, le64 length of the value
 *   +--------+------+-------+------------------------------------------
 *
 * A value that is replaced keeps its object: what refers to the key is not told of a new one.
 */
#include "engine/queue/string.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/store/catalog.h"
#include "oxbow/key.h"

#include <string.h>

#define STRING_KIND_VALUE OBJECT_KIND_TYPE /* no tail: the record */
#define STRING_FORMAT     1u
#define STRING_HEAD       8u
#define STRING_INLINE     0u
#define STRING_BLOB       1u
#define INLINE_MAX        ((size_t)64 * 1024)
#define SET_OVERHEAD      256u /* name record and the like, generously */

/* A record, decoded. */
struct string {
    struct oxbow_bytes value; /* of an inline one; borrowed */
    uint64_t blob;            /* 0: it is inline */
    uint64_t len;
};

static struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], uint64_t object)
{
    return (struct oxbow_bytes){out, object_key(out, object, STRING_KIND_VALUE, NULL, 0)};
}

static enum oxbow_err record_get(struct oxbow_txn *txn, uint64_t object, struct string *out)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes record;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, record_key(key, object), &record);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    p = record.data;
    if (record.len < STRING_HEAD || p[0] != STRING_FORMAT || p[1] > STRING_BLOB ||
        (p[1] == STRING_BLOB && record.len != STRING_HEAD + 16)) {
        return OXBOW_ECORRUPT;
    }
    *out = (struct string){.value = {p + STRING_HEAD, record.len - STRING_HEAD},
                           .len = record.len - STRING_HEAD};
    if (p[1] == STRING_BLOB) {
        out->blob = get_le64(p + STRING_HEAD);
        out->len = get_le64(p + STRING_HEAD + 8);
    }
    return p[1] == STRING_BLOB && out->blob == 0 ? OXBOW_ECORRUPT : OXBOW_OK;
}

/* ---- set ---- */

static enum oxbow_err inline_put(struct oxbow_txn *txn, uint64_t object, struct oxbow_bytes value)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    size_t len = STRING_HEAD + value.len;
    uint8_t key[KV_KEY_MAX];
    uint8_t *record = mem_new(alloc, len);
    enum oxbow_err err;

    if (record == NULL) {
        return OXBOW_ENOMEM;
    }
    record[0] = STRING_FORMAT;
    record[1] = STRING_INLINE;
    if (value.len > 0) {
        memcpy(record + STRING_HEAD, value.data, value.len);
    }
    err = kv_put(txn, record_key(key, object), (struct oxbow_bytes){record, len});
    mem_free(alloc, record, len);
    return err;
}

static enum oxbow_err value_put(struct oxbow_txn *txn, uint64_t object, struct oxbow_bytes value)
{
    uint8_t record[STRING_HEAD + 16] = {STRING_FORMAT, STRING_BLOB};
    uint8_t key[KV_KEY_MAX];
    uint64_t blob;
    enum oxbow_err err;

    if (value.len <= INLINE_MAX) {
        return inline_put(txn, object, value);
    }
    err = object_blob_write(txn, object, value, &blob);
    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(record + STRING_HEAD, blob);
    put_le64(record + STRING_HEAD + 8, value.len);
    return kv_put(txn, record_key(key, object), (struct oxbow_bytes){record, sizeof record});
}

/* Finds or makes the object; *old is what it held. A key of another type is overwritten. */
static enum oxbow_err object_take(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct object *object, struct string *old)
{
    bool made;
    enum oxbow_err err = catalog_find(txn, key, object);

    *old = (struct string){.blob = 0};
    if (err == OXBOW_OK && object->type == OXBOW_TYPE_STRING) {
        err = record_get(txn, object->id, old);
        return err == OXBOW_ECORRUPT ? OXBOW_OK : err; /* what it held is replaced in any case */
    }
    if (err == OXBOW_OK) {
        err = oxbow_key_delete(txn, key, NULL);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = catalog_open(txn, key, OXBOW_TYPE_STRING, object, &made);
    }
    return err;
}

enum oxbow_err oxbow_string_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_bytes value)
{
    struct object object;
    struct string old;
    enum oxbow_err err;

    if ((value.data == NULL && value.len > 0) || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    if (value.len > txn_entry_bytes_max(txn) || key.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = txn_reserve_bytes(txn, value.len + key.len + SET_OVERHEAD);
    if (err == OXBOW_OK) {
        err = txn_feature_require(txn, STORE_FEATURE_STRING);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = object_take(txn, key, &object, &old);
    if (err == OXBOW_EPROTECTED) {
        return err; /* asked before anything was changed */
    }
    if (err == OXBOW_OK && object.deadline != 0) {
        err = catalog_persist(txn, key, NULL);
    }
    if (err == OXBOW_OK) {
        err = value_put(txn, object.id, value);
    }
    if (err == OXBOW_OK && old.blob != 0) {
        err = object_blob_delete(txn, object.id, old.blob);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* ---- get ---- */

static enum oxbow_err string_find(struct oxbow_txn *txn, struct oxbow_bytes key, struct string *out)
{
    struct object object;
    enum oxbow_err err = catalog_find_typed(txn, key, OXBOW_TYPE_STRING, &object);

    return err == OXBOW_OK ? record_get(txn, object.id, out) : err;
}

enum oxbow_err oxbow_string_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_result *result)
{
    struct string s = {.blob = 0};
    uint8_t *space;
    enum oxbow_err err;

    if (result == NULL || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = string_find(txn, key, &s);
    if (err == OXBOW_OK && s.len > SIZE_MAX / 2) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = result_begin(result, &txn_port(txn)->alloc, (size_t)s.len);
    }
    if (err == OXBOW_OK && s.blob == 0) {
        err = result_item(result, s.value);
    } else if (err == OXBOW_OK) {
        err = result_item_space(result, (size_t)s.len, &space);
        if (err == OXBOW_OK) {
            err = kv_blob_read(txn, s.blob, 0, space, (size_t)s.len);
            err = err == OXBOW_ENOENT || err == OXBOW_ERANGE ? OXBOW_ECORRUPT : err;
        }
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_string_len(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *len)
{
    struct string s = {.blob = 0};
    enum oxbow_err err;

    if (len == NULL || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = string_find(txn, key, &s);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *len = err == OXBOW_OK ? s.len : 0;
        return OXBOW_OK;
    }
    return err;
}

/* ---- after a salvage ---- */

enum oxbow_err mend_string(struct mend_object *o)
{
    struct oxbow_loss loss = {.kind = OXBOW_LOSS_KEY, .object = o->object.id, .entries = 1};
    struct string s = {.blob = 0};
    bool whole = false;
    enum oxbow_err err = record_get(o->txn, o->object.id, &s);

    if (err == OXBOW_OK && s.blob != 0) {
        err = mend_blob_there(o->txn, s.blob, s.len, &whole);
        err = err == OXBOW_OK && !whole ? OXBOW_ECORRUPT : err;
    }
    if (err != OXBOW_ECORRUPT) {
        return err;
    }
    err = mend_tell(o, loss);
    return err == OXBOW_OK ? catalog_remove(o->txn, o->name) : err;
}
