/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletes what objects and databases left behind, a bounded step at a time, and the keys that every
 * object has. It knows little of lists or streams: an object's keys share a prefix, its blobs are
 * written down under OBJECT_KIND_BLOB, its place in the order of time under OBJECT_KIND_DUE, and those
 * of a stream's entries as entry_due.h says.
 *
 * Invariants:
 *  1. A reap record goes in the transaction that finds nothing left of what it names, never before:
 *     a crash between two steps costs nothing but going on.
 *  2. A step takes up at most STEP_RECORDS records, of which the last alone may cost more than
 *     SMALL_KEYS keys: STEP_KEYS keys, STEP_BLOBS blobs or STEP_NAMES names.
 */
#include "engine/store/catalog_record.h"
#include "engine/store/entry_due.h"

#include <string.h>

#define STEP_RECORDS 64u
#define SMALL_KEYS   16u
#define STEP_KEYS    512u
#define STEP_BLOBS   8u
#define STEP_NAMES   64u
#define REAP_KEY     10u

size_t object_key(uint8_t out[KV_KEY_MAX], uint64_t id, uint8_t kind, const void *tail,
                  size_t tail_len)
{
    out[0] = kv_space_of(KV_SPACE_OBJECT, id);
    put_be64(out + 1, id);
    out[9] = kind;
    if (tail_len > 0) {
        memcpy(out + 10, tail, tail_len);
    }
    return 10 + tail_len;
}

static struct oxbow_bytes blob_key(uint8_t out[KV_KEY_MAX], uint64_t id, uint64_t blob)
{
    uint8_t tail[8];

    put_be64(tail, blob);
    return (struct oxbow_bytes){out, object_key(out, id, OBJECT_KIND_BLOB, tail, sizeof(tail))};
}

enum oxbow_err object_blob_write(struct oxbow_txn *txn, uint64_t id, struct oxbow_bytes data,
                                 uint64_t *blob)
{
    uint8_t key[KV_KEY_MAX];
    uint64_t made;
    enum oxbow_err err = kv_blob_write(txn, data, &made);

    if (err == OXBOW_OK) {
        err = kv_put(txn, blob_key(key, id, made), (struct oxbow_bytes){"", 0});
    }
    if (err == OXBOW_OK) {
        *blob = made;
    }
    return err;
}

enum oxbow_err object_blob_delete(struct oxbow_txn *txn, uint64_t id, uint64_t blob)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = kv_blob_delete(txn, blob);

    return err == OXBOW_OK ? kv_del(txn, blob_key(key, id, blob)) : err;
}

static struct oxbow_bytes reap_key(uint8_t out[REAP_KEY], enum reap_kind kind, uint64_t id)
{
    out[0] = kv_space_of(KV_SPACE_REAP, id);
    out[1] = (uint8_t)kind;
    put_be64(out + 2, id);
    return (struct oxbow_bytes){out, REAP_KEY};
}

enum oxbow_err catalog_reap_add(struct oxbow_txn *txn, enum reap_kind kind, uint64_t id,
                                uint8_t note)
{
    uint8_t key[REAP_KEY];

    return kv_put(txn, reap_key(key, kind, id), (struct oxbow_bytes){&note, 1});
}

enum oxbow_err catalog_reap_has(struct oxbow_txn *txn, enum reap_kind kind, uint64_t id, bool *has)
{
    uint8_t key[REAP_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, reap_key(key, kind, id), &value);

    *has = err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Deletes some of the object's blobs; *more says whether any is left. */
static enum oxbow_err reap_blobs(struct oxbow_txn *txn, struct kv_cursor *c, uint64_t id,
                                 bool *more)
{
    uint8_t from[KV_KEY_MAX];
    struct oxbow_bytes start = blob_key(from, id, 0);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    unsigned i;

    for (i = 0; i < STEP_BLOBS; i++) {
        enum oxbow_err err = kv_cursor_seek_in(c, start, 10, &key, &value);

        if (err == OXBOW_ENOENT ||
            (err == OXBOW_OK && (key.len != start.len || memcmp(key.data, from, 10) != 0))) {
            *more = false;
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = object_blob_delete(txn, id, get_be64((const uint8_t *)key.data + 10));
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    *more = true;
    return OXBOW_OK;
}

/* Deletes what leads to the object from elsewhere, some at a time; *more says whether any is left. */
static enum oxbow_err reap_outside(struct oxbow_txn *txn, struct kv_cursor *c, uint64_t id,
                                   uint8_t type, bool *more)
{
    enum oxbow_err err = reap_blobs(txn, c, id, more);

    if (err == OXBOW_OK && !*more) {
        err = catalog_due_reaped(txn, id);
    }
    if (err == OXBOW_OK && !*more && type == OXBOW_TYPE_STREAM) {
        err = entry_due_forget(txn, id, OXBOW_ID_MIN, OXBOW_ID_MAX, STEP_KEYS, more);
    }
    return err;
}

/* Deletes at most `max` of the object's keys; *more says whether any is left. */
static enum oxbow_err keys_some(struct oxbow_txn *txn, uint64_t id, size_t max, bool *more)
{
    const uint8_t space = kv_space_of(KV_SPACE_OBJECT, id);
    uint8_t from[9] = {space};
    uint8_t to[9] = {space};

    put_be64(from + 1, id);
    put_be64(to + 1, id + 1);
    return kv_del_range(txn, (struct oxbow_bytes){from, sizeof from},
                        (struct oxbow_bytes){to, sizeof to}, max, more);
}

/* Deletes some of the object's keys; *whole says whether the object is gone. */
static enum oxbow_err reap_object(struct oxbow_txn *txn, struct kv_cursor *c, uint64_t id,
                                  uint8_t type, bool *whole)
{
    uint8_t key[REAP_KEY];
    bool big = false;
    bool more;
    enum oxbow_err err = reap_outside(txn, c, id, type, &more);

    *whole = false;
    if (err != OXBOW_OK || more) {
        return err;
    }
    err = keys_some(txn, id, SMALL_KEYS, &big);
    if (err == OXBOW_OK && big) {
        err = keys_some(txn, id, STEP_KEYS - SMALL_KEYS, &more);
    }
    if (err != OXBOW_OK || more) {
        return err;
    }
    *whole = !big;
    return kv_del(txn, reap_key(key, REAP_OBJECT, id));
}

/* ---- of caches: memory is wanted back now ---- */

/* Deletes what the object has, at most so many blobs and keys as a step may. */
static enum oxbow_err content_some(struct oxbow_txn *txn, uint64_t id, uint8_t type, bool *more)
{
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = reap_outside(txn, &c, id, type, more);
    kv_cursor_fini(&c);
    return err == OXBOW_OK && !*more ? keys_some(txn, id, STEP_KEYS, more) : err;
}

enum oxbow_err catalog_object_end(struct oxbow_txn *txn, uint64_t id, uint8_t type)
{
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    if ((id & KV_CACHE_ID) != 0) {
        err = content_some(txn, id, type, &more);
    }
    return err == OXBOW_OK && more ? catalog_reap_add(txn, REAP_OBJECT, id, type) : err;
}

enum oxbow_err catalog_drop_whole(struct oxbow_txn *txn, const struct catalog_at *at,
                                  struct oxbow_bytes name)
{
    uint8_t key[REAP_KEY];
    bool more = true;
    enum oxbow_err err = catalog_drop(txn, at, name);

    while (err == OXBOW_OK && more) {
        err = content_some(txn, at->object.id, (uint8_t)at->object.type, &more);
    }
    if (err == OXBOW_OK) {
        err = kv_del(txn, reap_key(key, REAP_OBJECT, at->object.id));
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* Turns some of a flushed database's names into objects to reap. */
static enum oxbow_err reap_database(struct oxbow_txn *txn, struct kv_cursor *c, uint64_t id)
{
    uint8_t from[CATALOG_NAME_KEY];
    uint8_t copy[CATALOG_NAME_KEY];
    struct oxbow_bytes start = catalog_name_key(from, id, 0, 0);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct catalog_name record;
    unsigned i;

    for (i = 0; i < STEP_NAMES; i++) {
        enum oxbow_err err = kv_cursor_seek_in(c, start, 10, &key, &value);

        if (err == OXBOW_ENOENT ||
            (err == OXBOW_OK && (key.len != start.len || memcmp(key.data, from, 10) != 0))) {
            return kv_del(txn, reap_key(copy, REAP_DATABASE, id));
        }
        if (err == OXBOW_OK) {
            err = catalog_name_decode(value, &record);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        memcpy(copy, key.data, key.len);
        if (record.deadline != 0) {
            const struct catalog_at at = {.database = id,
                                          .hash = get_be64(copy + 10),
                                          .object = {.id = record.id, .deadline = record.deadline}};

            err = catalog_deadline_del(txn, &at);
        }
        if (err == OXBOW_OK) {
            err = catalog_reap_add(txn, REAP_OBJECT, record.id, (uint8_t)record.type);
        }
        if (err == OXBOW_OK) {
            err = kv_del(txn, (struct oxbow_bytes){copy, sizeof(copy)});
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* Takes up the first record. *whole: it was small, and there may be time for another. */
static enum oxbow_err reap_one(struct oxbow_txn *txn, struct kv_cursor *c, uint8_t space,
                               bool *more, bool *whole)
{
    uint8_t from[1] = {space};
    struct oxbow_bytes key = {NULL, 0};
    struct oxbow_bytes value;
    const uint8_t *p;
    uint64_t id;
    enum oxbow_err err = kv_cursor_seek_in(c, (struct oxbow_bytes){from, 1}, 1, &key, &value);

    *whole = false;
    p = key.data;
    if (err == OXBOW_ENOENT || (err == OXBOW_OK && (key.len != REAP_KEY || p[0] != from[0]))) {
        *more = false;
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *more = true;
    id = get_be64(p + 2);
    if (p[1] == REAP_OBJECT) {
        const uint8_t type = value.len > 0 ? *(const uint8_t *)value.data : 0;

        return reap_object(txn, c, id, type, whole);
    }
    return p[1] == REAP_DATABASE ? reap_database(txn, c, id) : OXBOW_ECORRUPT;
}

/* *more stays when there was nothing. */
static enum oxbow_err reap_in(struct oxbow_txn *txn, uint8_t space, bool *more)
{
    bool whole = true;
    bool some = true;
    struct kv_cursor c;
    unsigned i;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    for (i = 0; i < STEP_RECORDS && whole && some && err == OXBOW_OK; i++) {
        err = reap_one(txn, &c, space, &some, &whole);
    }
    kv_cursor_fini(&c);
    *more = *more || some;
    return err;
}

enum oxbow_err catalog_reap(struct oxbow_txn *txn, bool *more)
{
    enum oxbow_err err;

    *more = false;
    err = catalog_reap_cache(txn, more);
    return err == OXBOW_OK ? reap_in(txn, KV_SPACE_REAP, more) : err;
}

enum oxbow_err catalog_reap_cache(struct oxbow_txn *txn, bool *more)
{
    return reap_in(txn, KV_SPACE_REAP | KV_CACHE, more);
}
