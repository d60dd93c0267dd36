/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of bindings and of sources, and what they have counted. All numbers are little-endian, but
 * for ids in keys.
 *
 *   KV_SPACE_BINDING 'b' be32 id -> a binding
 *   0      1      2      3         4     5          6         8          10            12
 *   +------+------+------+---------+-----+----------+---------+----------+-------------+---------
 *   | form | kind | type | on full | any | database | headers | len of   | len of      | len of
 *   |      |      |      |         |     |          |         | source   | destination | field
 *   +------+------+------+---------+-----+----------+---------+----------+-------------+---------
 *   14        16            18      20
 *   +---------+-------------+-------+-----------------------------------------------------------
 *   | len of  | len of      | zeros | source, destination, field, pattern, value field, then
 *   | pattern | value field |       | headers: len, len, name, value
 *   +---------+-------------+-------+-----------------------------------------------------------
 *
 *   KV_SPACE_BINDING 's' be32 id -> a source
 *   0      1               2          4              6                  8
 *   +------+---------------+----------+--------------+------------------+-----------------
 *   | form | keeps nothing | database | len of name  | len of alternate | name, alternate
 *   +------+---------------+----------+--------------+------------------+-----------------
 *
 * What a record of this format cannot mean is OXBOW_ECORRUPT: none of it comes from a caller.
 */
#include "engine/queue/binding.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

#include <string.h>

#define RECORD_FORMAT 1u
#define RECORD_FIXED  20u
#define AT_ON_FULL    3u
#define SOURCE_FIXED  8u
#define TEXTS         5u

struct oxbow_bytes binding_key(uint8_t out[BINDING_KEY_MAX], enum binding_key_kind kind,
                               uint32_t id)
{
    out[0] = KV_SPACE_BINDING;
    out[1] = (uint8_t)kind;
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, kind == BINDING_KEY_NEWEST ? 2 : 6};
}

/* ---- checks ---- */

/* A text that must be there, or must not. */
static enum oxbow_err text_check(struct oxbow_bytes text, bool wanted, size_t len_max)
{
    if ((text.data == NULL && text.len > 0) || (!wanted && text.len > 0)) {
        return OXBOW_EINVAL;
    }
    return text.len <= len_max ? OXBOW_OK : OXBOW_ETOOBIG;
}

static enum oxbow_err name_check(struct oxbow_bytes name)
{
    return name.len == 0 ? OXBOW_EINVAL : text_check(name, true, OXBOW_BINDING_NAME_MAX);
}

static enum oxbow_err headers_check(const struct oxbow_binding *b)
{
    bool wanted = b->kind == OXBOW_BIND_HEADERS;
    enum oxbow_err err = OXBOW_OK;

    if (wanted != (b->header_count > 0) || (wanted && b->headers == NULL) || (!wanted && b->any)) {
        return OXBOW_EINVAL;
    }
    if (b->header_count > OXBOW_BINDING_HEADERS_MAX) {
        return OXBOW_ERANGE;
    }
    for (uint32_t i = 0; i < b->header_count && err == OXBOW_OK; i++) {
        err = text_check(b->headers[i].name, true, OXBOW_BINDING_TEXT_MAX);
        if (err == OXBOW_OK) {
            err = text_check(b->headers[i].value, true, OXBOW_BINDING_TEXT_MAX);
        }
    }
    return err;
}

enum oxbow_err binding_check(const struct oxbow_binding *b)
{
    bool looks = b->kind == OXBOW_BIND_DIRECT || b->kind == OXBOW_BIND_TOPIC;
    bool list = b->type == OXBOW_TYPE_LIST;
    enum oxbow_err err;

    if (b->kind > OXBOW_BIND_HEADERS || b->on_full > OXBOW_BINDING_SKIP ||
        (!list && b->type != OXBOW_TYPE_NONE && b->type != OXBOW_TYPE_STREAM) ||
        looks != (b->field.len > 0) || list != (b->value_field.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = name_check(b->source);
    if (err == OXBOW_OK) {
        err = name_check(b->destination);
    }
    if (err == OXBOW_OK) {
        err = text_check(b->field, looks, OXBOW_BINDING_TEXT_MAX);
    }
    if (err == OXBOW_OK) {
        err = text_check(b->pattern, looks, OXBOW_BINDING_TEXT_MAX);
    }
    if (err == OXBOW_OK) {
        err = text_check(b->value_field, list, OXBOW_BINDING_TEXT_MAX);
    }
    return err == OXBOW_OK ? headers_check(b) : err;
}

/* ---- a binding ---- */

static enum oxbow_err text_put(struct buf *out, struct oxbow_bytes text)
{
    return text.len > 0 ? buf_append(out, text.data, text.len) : OXBOW_OK;
}

enum oxbow_err binding_encode(struct buf *out, const struct oxbow_binding *b, uint32_t database)
{
    const struct oxbow_bytes texts[TEXTS] = {b->source, b->destination, b->field, b->pattern,
                                             b->value_field};
    uint8_t fixed[RECORD_FIXED] = {RECORD_FORMAT,
                                   (uint8_t)b->kind,
                                   b->type == OXBOW_TYPE_LIST ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM,
                                   (uint8_t)b->on_full,
                                   b->any,
                                   (uint8_t)database};
    enum oxbow_err err;

    put_le16(fixed + 6, (uint16_t)b->header_count);
    for (size_t i = 0; i < TEXTS; i++) {
        put_le16(fixed + 8 + 2 * i, (uint16_t)texts[i].len);
    }
    err = buf_append(out, fixed, sizeof fixed);
    for (size_t i = 0; i < TEXTS && err == OXBOW_OK; i++) {
        err = text_put(out, texts[i]);
    }
    for (uint32_t i = 0; i < b->header_count && err == OXBOW_OK; i++) {
        uint8_t lens[4];

        put_le16(lens, (uint16_t)b->headers[i].name.len);
        put_le16(lens + 2, (uint16_t)b->headers[i].value.len);
        err = buf_append(out, lens, sizeof lens);
        if (err == OXBOW_OK) {
            err = text_put(out, b->headers[i].name);
        }
        if (err == OXBOW_OK) {
            err = text_put(out, b->headers[i].value);
        }
    }
    return err;
}

/* Takes `len` bytes off *rest. */
static bool take(struct oxbow_bytes *rest, size_t len, struct oxbow_bytes *out)
{
    const uint8_t *p = rest->data;

    if (len > rest->len) {
        return false;
    }
    *out = (struct oxbow_bytes){p, len};
    *rest = (struct oxbow_bytes){p + len, rest->len - len};
    return true;
}

static bool headers_take(struct oxbow_bytes *rest, struct binding_record *out)
{
    for (uint32_t i = 0; i < out->binding.header_count; i++) {
        struct oxbow_bytes lens;

        if (!take(rest, 4, &lens) || !take(rest, get_le16(lens.data), &out->headers[i].name) ||
            !take(rest, get_le16((const uint8_t *)lens.data + 2), &out->headers[i].value)) {
            return false;
        }
    }
    return true;
}

enum oxbow_err binding_decode(struct oxbow_bytes record, struct binding_record *out)
{
    const uint8_t *p = record.data;
    struct oxbow_binding *b = &out->binding;
    struct oxbow_bytes *const texts[TEXTS] = {&b->source, &b->destination, &b->field, &b->pattern,
                                              &b->value_field};
    struct oxbow_bytes rest;

    if (record.len < RECORD_FIXED || p[0] != RECORD_FORMAT || p[4] > 1 ||
        (p[2] != OXBOW_TYPE_LIST && p[2] != OXBOW_TYPE_STREAM) || p[5] >= CATALOG_DATABASES ||
        get_le16(p + 6) > OXBOW_BINDING_HEADERS_MAX) {
        return OXBOW_ECORRUPT;
    }
    *b = (struct oxbow_binding){.kind = (enum oxbow_binding_kind)p[1],
                                .type = (enum oxbow_type)p[2],
                                .on_full = (enum oxbow_binding_full)p[AT_ON_FULL],
                                .any = p[4] != 0,
                                .headers = out->headers,
                                .header_count = get_le16(p + 6)};
    out->database = p[5];
    rest = (struct oxbow_bytes){p + RECORD_FIXED, record.len - RECORD_FIXED};
    for (size_t i = 0; i < TEXTS; i++) {
        if (!take(&rest, get_le16(p + 8 + 2 * i), texts[i])) {
            return OXBOW_ECORRUPT;
        }
    }
    if (!headers_take(&rest, out) || rest.len > 0) {
        return OXBOW_ECORRUPT;
    }
    return binding_check(b) == OXBOW_OK ? OXBOW_OK : OXBOW_ECORRUPT;
}

void binding_encode_on_full(uint8_t *record, enum oxbow_binding_full on_full)
{
    record[AT_ON_FULL] = (uint8_t)on_full;
}

bool binding_same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    const uint8_t *p = a.data;
    const uint8_t *q = b.data;

    return a.len == b.len && memcmp(p, q, AT_ON_FULL) == 0 &&
           memcmp(p + AT_ON_FULL + 1, q + AT_ON_FULL + 1, a.len - AT_ON_FULL - 1) == 0;
}

/* ---- a source ---- */

enum oxbow_err source_encode(struct buf *out, const struct source_record *s)
{
    uint8_t fixed[SOURCE_FIXED] = {RECORD_FORMAT, s->source.keeps_nothing, (uint8_t)s->database};
    enum oxbow_err err;

    put_le16(fixed + 4, (uint16_t)s->key.len);
    put_le16(fixed + 6, (uint16_t)s->source.alternate.len);
    err = buf_append(out, fixed, sizeof fixed);
    if (err == OXBOW_OK) {
        err = text_put(out, s->key);
    }
    return err == OXBOW_OK ? text_put(out, s->source.alternate) : err;
}

enum oxbow_err source_decode(struct oxbow_bytes record, struct source_record *out)
{
    const uint8_t *p = record.data;
    struct oxbow_bytes rest;

    if (record.len < SOURCE_FIXED || p[0] != RECORD_FORMAT || p[1] > 1 ||
        p[2] >= CATALOG_DATABASES || p[3] != 0) {
        return OXBOW_ECORRUPT;
    }
    *out = (struct source_record){.source.keeps_nothing = p[1] != 0, .database = p[2]};
    rest = (struct oxbow_bytes){p + SOURCE_FIXED, record.len - SOURCE_FIXED};
    if (!take(&rest, get_le16(p + 4), &out->key) ||
        !take(&rest, get_le16(p + 6), &out->source.alternate) || rest.len > 0) {
        return OXBOW_ECORRUPT;
    }
    return out->key.len > 0 && out->key.len <= OXBOW_BINDING_NAME_MAX &&
                   out->source.alternate.len <= OXBOW_BINDING_NAME_MAX
               ? OXBOW_OK
               : OXBOW_ECORRUPT;
}

/* ---- counters ---- */

/* Counters that are not there, or damaged, begin anew. */
static enum oxbow_err none_yet(enum oxbow_err err)
{
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

enum oxbow_err source_count_get(struct oxbow_txn *txn, uint32_t id, struct source_count *out)
{
    uint8_t key[BINDING_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, binding_key(key, BINDING_KEY_COUNT, id), &value);

    *out = (struct source_count){0};
    if (err != OXBOW_OK || value.len != BINDING_COUNT_LEN) {
        return none_yet(err);
    }
    p = value.data;
    *out = (struct source_count){get_le64(p), get_le64(p + 8), get_le64(p + 16), get_le64(p + 24),
                                 get_le64(p + 32)};
    return OXBOW_OK;
}

enum oxbow_err source_count_put(struct oxbow_txn *txn, uint32_t id,
                                const struct source_count *count)
{
    uint8_t key[BINDING_KEY_MAX];
    uint8_t value[BINDING_COUNT_LEN];

    put_le64(value, count->entries);
    put_le64(value + 8, count->routed);
    put_le64(value + 16, count->unroutable);
    put_le64(value + 24, count->alternated);
    put_le64(value + 32, count->dropped);
    return kv_put(txn, binding_key(key, BINDING_KEY_COUNT, id),
                  (struct oxbow_bytes){value, sizeof value});
}

enum oxbow_err binding_drops_get(struct oxbow_txn *txn, uint32_t id, struct binding_drops *out)
{
    uint8_t key[BINDING_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, binding_key(key, BINDING_KEY_DROPS, id), &value);

    *out = (struct binding_drops){0};
    if (err != OXBOW_OK || value.len != BINDING_DROPS_LEN) {
        return none_yet(err);
    }
    p = value.data;
    *out = (struct binding_drops){get_le64(p), get_le64(p + 8), (enum oxbow_err)get_le32(p + 16)};
    return OXBOW_OK;
}

enum oxbow_err binding_drops_put(struct oxbow_txn *txn, uint32_t id,
                                 const struct binding_drops *drops)
{
    uint8_t key[BINDING_KEY_MAX];
    uint8_t value[BINDING_DROPS_LEN] = {0};

    put_le64(value, drops->dropped);
    put_le64(value + 8, drops->wall_ms);
    put_le32(value + 16, (uint32_t)drops->why);
    return kv_put(txn, binding_key(key, BINDING_KEY_DROPS, id),
                  (struct oxbow_bytes){value, sizeof value});
}
