/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that go to another database, are copied, or are chosen by chance. A string is copied by its value,
 * a stream by its entries and groups (stream_copy.c), what else can be copied by its records; each in one
 * transaction.
 */
#include "engine/base/buf.h"
#include "engine/base/result.h"
#include "engine/base/scan.h"
#include "engine/queue/boots.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "engine/queue/string.h"
#include "engine/queue/wait.h"
#include "oxbow/key.h"

#include <string.h>

#define RANDOM_STEPS  64u /* hashes that are tried where keys have expired */
#define COPY_OVERHEAD 512u
#define RANDOM_NAMES  ((size_t)1024 * 1024 * 1024)

/* ---- move ---- */

/* In that database: whether a forward carries the name. */
static enum oxbow_err forbid_in(struct oxbow_txn *txn, uint32_t database, struct oxbow_bytes key)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = oxbow_txn_select(txn, database);
    enum oxbow_err back;

    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_forbid_always(txn, key);
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

/* To a cache or from one: its records lie elsewhere then. */
static enum oxbow_err move_by_copy(struct oxbow_txn *txn, struct oxbow_bytes key, uint32_t database,
                                   bool *moved)
{
    enum oxbow_err err = oxbow_key_copy(txn, key, database, key, false, moved);

    if (err == OXBOW_OK && *moved) {
        err = oxbow_key_delete(txn, key, NULL);
    }
    return err;
}

enum oxbow_err oxbow_key_move(struct oxbow_txn *txn, struct oxbow_bytes key, uint32_t database,
                              bool *moved)
{
    struct object object;
    enum oxbow_err err;

    if (moved == NULL || (key.data == NULL && key.len > 0) || database == txn_database(txn)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = forward_forbid_always(txn, key);
    if (err == OXBOW_OK) {
        err = forbid_in(txn, database, key);
    }
    if (err == OXBOW_OK && txn_in_cache(txn) != txn_is_cache(txn, database)) {
        return move_by_copy(txn, key, database, moved);
    }
    if (err == OXBOW_OK) {
        err = catalog_move(txn, key, database, &object);
    }
    if (err == OXBOW_ENOENT || err == OXBOW_EEXIST) {
        *moved = false;
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = wait_touch(txn, &object);
    if (err == OXBOW_OK) {
        err = policy_left_key(txn, key);
    }
    *moved = err == OXBOW_OK;
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* ---- copy ---- */

/* What is copied, and what is known of it before anything is changed. */
struct copy {
    struct oxbow_txn *txn;
    struct oxbow_bytes to;
    struct object from;
    struct buf value;     /* of a string */
    struct stream stream; /* a stream, that is */
    uint64_t bytes;
    uint64_t ttl_ms;
};

static enum oxbow_err copy_look(struct copy *c, struct oxbow_bytes from)
{
    const uint64_t max = txn_bytes_max(c->txn);
    struct string s;
    enum oxbow_err err = catalog_find(c->txn, from, &c->from);

    if (err == OXBOW_OK) {
        err = catalog_ttl(c->txn, from, &c->ttl_ms);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (c->from.type == OXBOW_TYPE_STREAM) {
        err = stream_load(c->txn, &c->from, &c->stream);
        return err == OXBOW_OK ? stream_copy_look(&c->stream, &c->bytes) : err;
    }
    if (c->from.type != OXBOW_TYPE_STRING) {
        err = object_bytes(c->txn, c->from.id, max, &c->bytes);
        return err == OXBOW_OK && c->bytes > max ? OXBOW_ETXNBIG : err;
    }
    err = string_find(c->txn, from, &s);
    if (err == OXBOW_OK) {
        c->bytes = s.len;
        err = string_load(&s, &c->value);
    }
    return err;
}

/* In the database of the copy. */
static enum oxbow_err copy_room(struct copy *c, bool replace)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(c->txn, c->to, &type);

    if (err == OXBOW_OK && type != OXBOW_TYPE_NONE && !replace) {
        return OXBOW_EEXIST;
    }
    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(c->txn, (size_t)c->bytes + c->to.len + COPY_OVERHEAD);
    }
    if (err == OXBOW_OK) {
        err = forward_forbid_always(c->txn, c->to);
    }
    return err == OXBOW_OK && type != OXBOW_TYPE_NONE ? oxbow_key_delete(c->txn, c->to, NULL) : err;
}

static enum oxbow_err copy_stream(struct copy *c, struct object *object)
{
    struct stream to;
    enum oxbow_err err = stream_open(c->txn, c->to, &to);

    if (err == OXBOW_OK) {
        *object = to.object;
        err = stream_copy(&(struct stream_copy){.from = &c->stream, .to = &to, .name = c->to});
    }
    return err;
}

static enum oxbow_err copy_do(struct copy *c)
{
    struct string s = {.txn = c->txn, .key = c->to};
    struct object object;
    bool made;
    enum oxbow_err err;

    if (c->from.type == OXBOW_TYPE_STRING) {
        err = string_put(&s, (struct oxbow_bytes){c->value.data, c->value.len});
        object = s.object;
    } else if (c->from.type == OXBOW_TYPE_STREAM) {
        err = copy_stream(c, &object);
    } else {
        err = catalog_open(c->txn, c->to, c->from.type, &object, &made);
        if (err == OXBOW_OK) {
            err = object_copy(c->txn, c->from.id, object.id);
        }
        if (err == OXBOW_OK && c->from.type == OXBOW_TYPE_HASH) {
            err = catalog_due_copy(c->txn, c->from.id, c->to);
        }
        /* A list's chunks come as they are, of this opening, which may have no record yet. */
        if (err == OXBOW_OK && (c->from.id & KV_CACHE_ID) != 0) {
            err = boots_note(c->txn);
        }
    }
    if (err == OXBOW_OK && c->ttl_ms != UINT64_MAX) {
        err = catalog_expire(c->txn, c->to, c->ttl_ms);
    }
    if (err == OXBOW_OK) {
        err = wait_touch(c->txn, &object);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(c->txn, err);
}

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

enum oxbow_err oxbow_key_copy(struct oxbow_txn *txn, struct oxbow_bytes from, uint32_t database,
                              struct oxbow_bytes to, bool replace, bool *copied)
{
    uint32_t own = txn_database(txn);
    struct copy c = {.txn = txn, .to = to};
    enum oxbow_err err;
    enum oxbow_err back;

    if (copied == NULL || (from.data == NULL && from.len > 0) || (to.data == NULL && to.len > 0) ||
        (database == own && same(from, to))) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    if (to.len > OXBOW_KEY_NAME_MAX || database >= CATALOG_DATABASES) {
        return database >= CATALOG_DATABASES ? OXBOW_ENODB : OXBOW_ETOOBIG;
    }
    buf_init(&c.value, &txn_port(txn)->alloc, SIZE_MAX);
    err = copy_look(&c, from);
    if (err == OXBOW_OK) {
        err = oxbow_txn_select(txn, database);
    }
    if (err == OXBOW_OK) {
        err = copy_room(&c, replace);
    }
    if (err == OXBOW_OK) {
        err = copy_do(&c);
    }
    back = oxbow_txn_select(txn, own);
    buf_fini(&c.value);
    err = err == OXBOW_OK ? back : err;
    if (err == OXBOW_OK || err == OXBOW_ENOENT || err == OXBOW_EEXIST) {
        *copied = err == OXBOW_OK;
        return OXBOW_OK;
    }
    return err;
}

/* ---- by chance ---- */

/* The first alone: more than one have the same hash. */
static enum oxbow_err take_one(void *ctx, struct oxbow_bytes name, const struct object *o)
{
    struct oxbow_result *result = ctx;

    (void)o;
    return result_count(result) > 0 ? OXBOW_OK : result_item(result, name);
}

enum oxbow_err oxbow_key_random(struct oxbow_txn *txn, struct oxbow_result *result)
{
    const struct oxbow_port *port = txn_port(txn);
    uint64_t cursor;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = port->random.fill(port->random.ctx, &cursor, sizeof cursor);
    if (err == OXBOW_OK) {
        err = result_begin(result, &port->alloc, RANDOM_NAMES);
    }
    cursor &= SCAN_CURSOR_MAX;
    /* From there on, and once more from the beginning. */
    for (unsigned i = 0; err == OXBOW_OK && i < RANDOM_STEPS && result_count(result) == 0; i++) {
        err = catalog_scan(txn, &cursor, 1, take_one, result);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (result_count(result) == 0) {
        return OXBOW_ENOENT;
    }
    result_finish(result);
    return OXBOW_OK;
}
