/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SET and GET with all that goes with them, APPEND and ranges: what concerns a value as bytes. Numbers are
 * in string_number.c, bits in string_bit.c, the records in string_record.c.
 *
 * What a key of another type held is deleted by oxbow_key_delete, which asks the forwards: that is why
 * strings live beside the queues.
 */
#include "engine/queue/string.h"

#include "engine/base/result.h"
#include "engine/queue/key_expire.h"
#include "oxbow/key.h"

#include <string.h>

#define SET_FLAGS (OXBOW_SET_NX | OXBOW_SET_XX | OXBOW_SET_KEEPTTL | OXBOW_SET_GET)

/* ---- reading ---- */

/* The value's bytes [pos, pos + len) as the result's item. */
static enum oxbow_err give(const struct string *s, uint64_t pos, size_t len,
                           struct oxbow_result *result)
{
    uint8_t *space = NULL;
    enum oxbow_err err = result_begin(result, &txn_port(s->txn)->alloc, len);

    if (err == OXBOW_OK) {
        err = result_item_space(result, len, &space);
    }
    if (err == OXBOW_OK && len > 0) {
        err = string_read(s, pos, space, len);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_string_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_result *result)
{
    struct string s;
    enum oxbow_err err = result == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err == OXBOW_OK && s.object.id == 0) {
        err = OXBOW_ENOENT;
    }
    return err == OXBOW_OK ? give(&s, 0, (size_t)s.len, result) : err;
}

enum oxbow_err oxbow_string_len(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *len)
{
    struct string s;
    enum oxbow_err err = len == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err == OXBOW_OK) {
        *len = s.len;
    }
    return err;
}

enum oxbow_err oxbow_string_range(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t from,
                                  int64_t to, struct oxbow_result *result)
{
    struct string s;
    uint64_t first;
    uint64_t last;
    enum oxbow_err err = result == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    if ((from < 0 && to < from) || !string_span(s.len, from, to, &first, &last)) {
        return give(&s, 0, 0, result);
    }
    return give(&s, first, (size_t)(last - first + 1), result);
}

bool string_span(uint64_t len, int64_t from, int64_t to, uint64_t *first, uint64_t *last)
{
    int64_t n = (int64_t)len; /* at most SIZE_MAX / 2, or eight times what one entry may have */

    if (len == 0) {
        return false;
    }
    from = from < 0 ? (from < -n ? 0 : n + from) : from;
    to = to < 0 ? (to < -n ? 0 : n + to) : to;
    to = to >= n ? n - 1 : to;
    *first = (uint64_t)from;
    *last = (uint64_t)to;
    return from <= to;
}

/* ---- setting ---- */

/* What stands against it, and whether it is to be done: the conditions, and what is given of before. */
static enum oxbow_err set_look(struct string *s, const struct oxbow_string_set_options *opt,
                               struct oxbow_result *old, bool *go)
{
    const struct oxbow_alloc *alloc = &txn_port(s->txn)->alloc;
    bool there;
    enum oxbow_err err = string_find(s->txn, s->key, s);

    if (err == OXBOW_ECORRUPT && (opt->flags & OXBOW_SET_GET) == 0 && s->object.id != 0) {
        err = OXBOW_OK; /* what it held is replaced in any case */
    }
    there = s->other || s->object.id != 0;
    if (err == OXBOW_EWRONGTYPE && (opt->flags & OXBOW_SET_GET) == 0) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && (opt->flags & OXBOW_SET_GET) != 0) {
        err = there ? give(s, 0, (size_t)s->len, old) : result_begin(old, alloc, 0);
        if (err == OXBOW_OK && !there) {
            result_finish(old);
        }
    }
    *go = !((opt->flags & OXBOW_SET_NX) != 0 && there) &&
          !((opt->flags & OXBOW_SET_XX) != 0 && !there);
    return err;
}

/* Removes what is in the way. */
static enum oxbow_err make_room(struct string *s)
{
    enum oxbow_err err;

    if (!s->other) {
        return OXBOW_OK;
    }
    err = oxbow_key_delete(s->txn, s->key, NULL);
    return err == OXBOW_OK || err == OXBOW_EPROTECTED ? err : txn_fail(s->txn, err);
}

static enum oxbow_err set(struct string *s, struct oxbow_bytes value,
                          const struct oxbow_string_set_options *opt, int64_t ttl_ms)
{
    bool timed = opt->ttl_ms > 0 || opt->expire_wall_ms > 0;
    bool over = timed && ttl_ms <= 0;
    uint64_t left_ms = UINT64_MAX; /* of what is in the way, and is to stay */
    enum oxbow_err err = string_admit(s, value.len + (timed ? CATALOG_DEADLINE_BYTES : 0));

    if (err == OXBOW_OK && timed) {
        err = key_expire_check(s->txn, s->key);
    }
    if (err == OXBOW_OK && s->other && (opt->flags & OXBOW_SET_KEEPTTL) != 0) {
        err = catalog_ttl(s->txn, s->key, &left_ms);
    }
    if (err == OXBOW_OK) {
        err = over ? oxbow_key_delete(s->txn, s->key, NULL) : make_room(s);
    }
    if (err != OXBOW_OK || over) {
        return err;
    }
    if (s->object.deadline != 0 && !timed && (opt->flags & OXBOW_SET_KEEPTTL) == 0) {
        err = catalog_persist(s->txn, s->key, NULL);
    }
    if (err == OXBOW_OK) {
        err = string_put(s, value);
    }
    left_ms = timed ? (uint64_t)ttl_ms : left_ms;
    if (err == OXBOW_OK && left_ms != UINT64_MAX) {
        err = catalog_expire(s->txn, s->key, left_ms);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

static bool options_ok(const struct oxbow_string_set_options *opt, const struct oxbow_result *old)
{
    uint32_t both = OXBOW_SET_NX | OXBOW_SET_XX;
    int times =
        (opt->ttl_ms != 0) + (opt->expire_wall_ms != 0) + ((opt->flags & OXBOW_SET_KEEPTTL) != 0);

    return (opt->flags & ~SET_FLAGS) == 0 && (opt->flags & both) != both && times <= 1 &&
           opt->ttl_ms >= 0 && opt->expire_wall_ms >= 0 &&
           ((opt->flags & OXBOW_SET_GET) == 0 || old != NULL);
}

enum oxbow_err oxbow_string_set_with(struct oxbow_txn *txn, struct oxbow_bytes key,
                                     struct oxbow_bytes value,
                                     const struct oxbow_string_set_options *opt, bool *done,
                                     struct oxbow_result *old)
{
    struct string s = {.txn = txn, .key = key};
    int64_t ttl_ms;
    bool go;
    enum oxbow_err err;

    if ((value.data == NULL && value.len > 0) || opt == NULL || !options_ok(opt, old)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = set_look(&s, opt, old, &go);
    ttl_ms = opt->expire_wall_ms != 0 ? key_expire_span(txn, opt->expire_wall_ms) : opt->ttl_ms;
    if (err == OXBOW_OK && go) {
        err = set(&s, value, opt, ttl_ms);
    }
    if (err == OXBOW_OK && done != NULL) {
        *done = go;
    }
    return err;
}

enum oxbow_err oxbow_string_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_bytes value)
{
    const struct oxbow_string_set_options plain = {.flags = 0};

    return oxbow_string_set_with(txn, key, value, &plain, NULL, NULL);
}

enum oxbow_err oxbow_string_take(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_result *result)
{
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : oxbow_string_get(txn, key, result);

    return err == OXBOW_OK ? oxbow_key_delete(txn, key, NULL) : err;
}

/* ---- changing ---- */

enum oxbow_err oxbow_string_write(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t pos,
                                  struct oxbow_bytes bytes, uint64_t *len)
{
    struct string s;
    uint64_t end = 0;
    enum oxbow_err err = bytes.data == NULL && bytes.len > 0 ? OXBOW_EINVAL
                         : txn_readonly(txn)                 ? OXBOW_EREADONLY
                                                             : string_find(txn, key, &s);

    if (err == OXBOW_OK && bytes.len > 0) {
        end = pos > UINT32_MAX ? UINT64_MAX : pos + bytes.len;
        end = end > s.len ? end : s.len;
        err = string_admit(&s, end);
        if (err == OXBOW_OK) {
            err = string_patch(&s, pos, bytes);
        }
    } else if (err == OXBOW_OK) {
        end = s.len;
    }
    if (err == OXBOW_OK && len != NULL) {
        *len = end;
    }
    return err;
}

enum oxbow_err oxbow_string_append(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   struct oxbow_bytes bytes, uint64_t *len)
{
    struct string s;
    uint64_t end;
    enum oxbow_err err = bytes.data == NULL && bytes.len > 0 ? OXBOW_EINVAL
                         : txn_readonly(txn)                 ? OXBOW_EREADONLY
                                                             : string_find(txn, key, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    end = s.len + bytes.len;
    err = string_admit(&s, end);
    if (err == OXBOW_OK) {
        err = s.object.id == 0 ? string_put(&s, bytes) : string_patch(&s, s.len, bytes);
    }
    if (err == OXBOW_OK && len != NULL) {
        *len = end;
    }
    return err;
}
