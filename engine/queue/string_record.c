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
 * A value that is replaced keeps its object: what refers to the key is not told of a new one. One that is
 * changed in part is patched in place while it is in its record, so that a counter or a growing line costs
 * what was changed; a blob is written anew.
 */
#include "engine/base/codec.h"
#include "engine/queue/string.h"
#include "oxbow/key.h"

#include <string.h>

#define STRING_KIND_VALUE OBJECT_KIND_TYPE /* no tail: the record */
#define STRING_FORMAT     1u
#define STRING_HEAD       8u
#define STRING_INLINE     0u
#define STRING_BLOB       1u
#define SET_OVERHEAD      256u /* name record and the like, generously */
#define SHORT_VALUE       120u /* a record up to here is built on the stack */

static struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], uint64_t object)
{
    return (struct oxbow_bytes){out, object_key(out, object, STRING_KIND_VALUE, NULL, 0)};
}

/* ---- reading ---- */

static enum oxbow_err record_get(struct string *s)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes record;
    const uint8_t *p;
    enum oxbow_err err = kv_get(s->txn, record_key(key, s->object.id), &record);

    s->value = (struct oxbow_bytes){NULL, 0};
    s->blob = 0;
    s->len = 0;
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    p = record.data;
    if (record.len < STRING_HEAD || p[0] != STRING_FORMAT || p[1] > STRING_BLOB ||
        (p[1] == STRING_BLOB && record.len != STRING_HEAD + 16)) {
        return OXBOW_ECORRUPT;
    }
    if (p[1] == STRING_INLINE) {
        s->value = (struct oxbow_bytes){p + STRING_HEAD, record.len - STRING_HEAD};
        s->len = record.len - STRING_HEAD;
        return OXBOW_OK;
    }
    s->blob = get_le64(p + STRING_HEAD);
    s->len = get_le64(p + STRING_HEAD + 8);
    return s->blob == 0 || s->len > SIZE_MAX / 2 ? OXBOW_ECORRUPT : OXBOW_OK;
}

enum oxbow_err string_find(struct oxbow_txn *txn, struct oxbow_bytes key, struct string *out)
{
    enum oxbow_err err;

    if (key.data == NULL && key.len > 0) {
        return OXBOW_EINVAL;
    }
    *out = (struct string){.txn = txn, .key = key};
    err = catalog_find_typed(txn, key, OXBOW_TYPE_STRING, &out->object);
    if (err != OXBOW_OK) {
        out->other = err == OXBOW_EWRONGTYPE;
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return record_get(out);
}

enum oxbow_err string_read(const struct string *s, uint64_t pos, void *buf, size_t len)
{
    uint8_t *p = buf;
    size_t there = pos < s->len ? (size_t)(s->len - pos < len ? s->len - pos : len) : 0;
    enum oxbow_err err = OXBOW_OK;

    if (there > 0 && s->blob == 0) {
        memcpy(p, (const uint8_t *)s->value.data + pos, there);
    } else if (there > 0) {
        err = kv_blob_read(s->txn, s->blob, pos, p, there);
    }
    if (len > there) {
        memset(p + there, 0, len - there);
    }
    return err == OXBOW_ENOENT || err == OXBOW_ERANGE ? OXBOW_ECORRUPT : err;
}

enum oxbow_err string_load(const struct string *s, struct buf *out)
{
    enum oxbow_err err = buf_reserve(out, (size_t)s->len);

    if (err == OXBOW_OK && s->len > 0) {
        err = string_read(s, 0, out->data + out->len, (size_t)s->len);
    }
    if (err == OXBOW_OK) {
        out->len += (size_t)s->len;
    }
    return err;
}

/* ---- writing ---- */

enum oxbow_err string_admit(const struct string *s, uint64_t len)
{
    enum oxbow_err err;

    if (txn_readonly(s->txn)) {
        return OXBOW_EREADONLY;
    }
    if (len > txn_entry_bytes_max(s->txn) || s->key.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = txn_reserve_bytes(s->txn, (size_t)len + s->key.len + SET_OVERHEAD);
    return err == OXBOW_OK ? txn_feature_require(s->txn, STORE_FEATURE_STRING) : err;
}

static enum oxbow_err inline_put(const struct string *s, struct oxbow_bytes value)
{
    const struct oxbow_alloc *alloc = &txn_port(s->txn)->alloc;
    size_t len = STRING_HEAD + value.len;
    uint8_t key[KV_KEY_MAX];
    uint8_t small[STRING_HEAD + SHORT_VALUE] = {STRING_FORMAT, STRING_INLINE};
    uint8_t *record = value.len <= SHORT_VALUE ? small : mem_new(alloc, len);
    enum oxbow_err err;

    if (record == NULL) {
        return OXBOW_ENOMEM;
    }
    record[0] = STRING_FORMAT;
    record[1] = STRING_INLINE;
    if (value.len > 0) {
        memcpy(record + STRING_HEAD, value.data, value.len);
    }
    err = kv_put(s->txn, record_key(key, s->object.id), (struct oxbow_bytes){record, len});
    if (record != small) {
        mem_free(alloc, record, len);
    }
    return err;
}

static enum oxbow_err value_put(const struct string *s, struct oxbow_bytes value)
{
    uint8_t record[STRING_HEAD + 16] = {STRING_FORMAT, STRING_BLOB};
    uint8_t key[KV_KEY_MAX];
    uint64_t blob;
    enum oxbow_err err;

    if (value.len <= STRING_INLINE_MAX) {
        return inline_put(s, value);
    }
    err = object_blob_write(s->txn, s->object.id, value, &blob);
    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(record + STRING_HEAD, blob);
    put_le64(record + STRING_HEAD + 8, value.len);
    return kv_put(s->txn, record_key(key, s->object.id),
                  (struct oxbow_bytes){record, sizeof record});
}

enum oxbow_err string_put(struct string *s, struct oxbow_bytes value)
{
    uint64_t old = s->blob;
    bool made;
    enum oxbow_err err = OXBOW_OK;

    if (s->object.id == 0) {
        err = catalog_open(s->txn, s->key, OXBOW_TYPE_STRING, &s->object, &made);
    }
    if (err == OXBOW_OK) {
        err = value_put(s, value);
    }
    if (err == OXBOW_OK && old != 0) {
        err = object_blob_delete(s->txn, s->object.id, old);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

/* The value as a whole, changed. */
static enum oxbow_err rewrite(struct string *s, uint64_t pos, struct oxbow_bytes bytes)
{
    uint64_t end = pos + bytes.len > s->len ? pos + bytes.len : s->len;
    struct buf whole;
    enum oxbow_err err;

    buf_init(&whole, &txn_port(s->txn)->alloc, (size_t)end);
    err = buf_reserve(&whole, (size_t)end);
    if (err == OXBOW_OK) {
        err = string_read(s, 0, whole.data, (size_t)end);
    }
    if (err == OXBOW_OK) {
        memcpy(whole.data + pos, bytes.data, bytes.len);
        err = string_put(s, (struct oxbow_bytes){whole.data, (size_t)end});
    }
    buf_fini(&whole);
    return err;
}

enum oxbow_err string_patch(struct string *s, uint64_t pos, struct oxbow_bytes bytes)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    if (bytes.len == 0) {
        return OXBOW_OK;
    }
    if (s->object.id == 0 || s->blob != 0 || pos > s->len || pos + bytes.len > STRING_INLINE_MAX) {
        return rewrite(s, pos, bytes);
    }
    err = kv_patch(s->txn, record_key(key, s->object.id), STRING_HEAD + (size_t)pos, bytes);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

/* ---- after a salvage ---- */

enum oxbow_err mend_string(struct mend_object *o)
{
    struct oxbow_loss loss = {.kind = OXBOW_LOSS_KEY, .object = o->object.id, .entries = 1};
    struct string s = {.txn = o->txn, .key = o->name, .object = o->object};
    bool whole = false;
    enum oxbow_err err = record_get(&s);

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
