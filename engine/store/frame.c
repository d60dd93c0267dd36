/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a frame, all numbers little-endian:
 *
 *   0       4     8        12      16           24            32      40             48       52
 *   | magic | crc | length | count | generation | incarnation | first | durable upto | before | 0 |
 *   56
 *   | length n | n bytes of effects | ... `count` times
 *
 * and of an effect:
 *
 *   | kind u8 | key length u8 | key | pos (a patch only) | length | bytes (none for a deletion) |
 *
 * where lengths and pos are varints. It does no I/O.
 */
#include "engine/store/frame.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/kv.h"

#include <string.h>

#define FRAME_MAGIC   0x4c4e4a4fu /* "OJNL" */
#define CHECKED_FROM  8u          /* the checksum covers what follows itself */
#define TRACES_MIN    3u          /* of five */
#define EFFECT_FIXED  (2u + 2u * VARINT_MAX)
#define EFFECT_LENGTH UINT32_MAX

static uint32_t sum(crc32c_fn *crc, const uint8_t *raw, size_t len, uint64_t store_id)
{
    uint8_t seed[8];

    put_le64(seed, store_id);
    return crc(crc(0, seed, sizeof seed), raw + CHECKED_FROM, len - CHECKED_FROM);
}

void frame_seal(crc32c_fn *crc, uint8_t *head, struct frame *f, uint64_t store_id)
{
    put_le32(head, FRAME_MAGIC);
    put_le32(head + 8, f->length);
    put_le32(head + 12, f->count);
    put_le64(head + 16, f->generation);
    put_le64(head + 24, f->incarnation);
    put_le64(head + 32, f->first);
    put_le64(head + 40, f->durable_upto);
    put_le32(head + 48, f->before);
    put_le32(head + 52, 0);
    f->crc = sum(crc, head, FRAME_HEAD_BYTES + (size_t)f->length, store_id);
    put_le32(head + 4, f->crc);
}

bool frame_head(const uint8_t raw[FRAME_HEAD_BYTES], struct frame *f)
{
    if (get_le32(raw) != FRAME_MAGIC || get_le32(raw + 52) != 0) {
        return false;
    }
    f->crc = get_le32(raw + 4);
    f->length = get_le32(raw + 8);
    f->count = get_le32(raw + 12);
    f->generation = get_le64(raw + 16);
    f->incarnation = get_le64(raw + 24);
    f->first = get_le64(raw + 32);
    f->durable_upto = get_le64(raw + 40);
    f->before = get_le32(raw + 48);
    return f->count > 0 && f->length >= f->count && f->first > 0 &&
           f->first + f->count > f->first && f->durable_upto < f->first;
}

bool frame_traces(const uint8_t raw[FRAME_HEAD_BYTES], const struct frame *like)
{
    unsigned own = 0; /* what the first frame of another incarnation cannot say as well */
    unsigned same = 0;

    own += get_le64(raw + 24) == like->incarnation;
    own += get_le64(raw + 32) == like->first;
    same += get_le32(raw) == FRAME_MAGIC;
    same += get_le64(raw + 16) == like->generation;
    same += get_le32(raw + 48) == like->before;
    return own > 0 && own + same >= TRACES_MIN;
}

bool frame_whole(crc32c_fn *crc, const uint8_t *raw, const struct frame *f, uint64_t store_id)
{
    return sum(crc, raw, FRAME_HEAD_BYTES + (size_t)f->length, store_id) == f->crc;
}

/* ---- effects ---- */

enum oxbow_err effect_put(struct buf *b, const struct effect *e)
{
    enum oxbow_err err = buf_reserve(b, EFFECT_FIXED + e->key.len + e->bytes.len);
    uint8_t *p;

    if (err != OXBOW_OK) {
        return err;
    }
    p = b->data + b->len;
    *p++ = (uint8_t)e->kind;
    *p++ = (uint8_t)e->key.len;
    memcpy(p, e->key.data, e->key.len);
    p += e->key.len;
    if (e->kind == EFFECT_PATCH) {
        p += varint_put(p, e->pos);
    }
    if (e->kind != EFFECT_DEL) {
        p += varint_put(p, e->bytes.len);
        if (e->bytes.len > 0) {
            memcpy(p, e->bytes.data, e->bytes.len);
        }
        p += e->bytes.len;
    }
    b->len = (size_t)(p - b->data);
    return OXBOW_OK;
}

/* The first n bytes of *rest. */
static bool cut(struct oxbow_bytes *rest, uint64_t n, struct oxbow_bytes *out)
{
    if (n > rest->len) {
        return false;
    }
    *out = (struct oxbow_bytes){rest->data, (size_t)n};
    *rest = (struct oxbow_bytes){(const uint8_t *)rest->data + n, rest->len - (size_t)n};
    return true;
}

static bool take_number(struct oxbow_bytes *rest, uint64_t *v)
{
    struct oxbow_bytes raw;
    size_t n = varint_get(rest->data, rest->len, v);

    return n > 0 && *v <= EFFECT_LENGTH && cut(rest, n, &raw);
}

enum oxbow_err effect_take(struct oxbow_bytes *rest, struct effect *e)
{
    struct oxbow_bytes raw;
    uint64_t n = 0;

    if (!cut(rest, 2, &raw)) {
        return OXBOW_EFORMAT;
    }
    memset(e, 0, sizeof *e);
    switch (((const uint8_t *)raw.data)[0]) {
    case EFFECT_PUT:
        e->kind = EFFECT_PUT;
        break;
    case EFFECT_PATCH:
        e->kind = EFFECT_PATCH;
        break;
    case EFFECT_DEL:
        e->kind = EFFECT_DEL;
        break;
    default:
        return OXBOW_EFORMAT;
    }
    n = ((const uint8_t *)raw.data)[1];
    if (n < 1 || n > KV_KEY_MAX || !cut(rest, n, &e->key)) {
        return OXBOW_EFORMAT;
    }
    if (e->kind == EFFECT_PATCH) {
        if (!take_number(rest, &n)) {
            return OXBOW_EFORMAT;
        }
        e->pos = (size_t)n;
    }
    if (e->kind != EFFECT_DEL && (!take_number(rest, &n) || !cut(rest, n, &e->bytes))) {
        return OXBOW_EFORMAT;
    }
    return OXBOW_OK;
}

/* The effect at `at`, and where its bytes begin. */
static bool effect_at(const struct buf *b, size_t at, struct effect *e, size_t *bytes_at,
                      size_t *end)
{
    struct oxbow_bytes rest = {b->data + at, b->len - at};

    if (effect_take(&rest, e) != OXBOW_OK) {
        return false;
    }
    *end = b->len - rest.len;
    *bytes_at = *end - e->bytes.len;
    return true;
}

bool effect_extend(struct buf *b, size_t at, const struct effect *e)
{
    struct effect old;
    size_t bytes_at;
    size_t end;
    size_t was;
    size_t is;

    if (e->kind != EFFECT_PATCH || !effect_at(b, at, &old, &bytes_at, &end) || end != b->len ||
        old.kind != EFFECT_PATCH || old.pos + old.bytes.len != e->pos ||
        buf_reserve(b, e->bytes.len + VARINT_MAX) != OXBOW_OK) {
        return false;
    }
    was = varint_len(old.bytes.len);
    is = varint_len(old.bytes.len + e->bytes.len);
    if (is != was) {
        memmove(b->data + bytes_at + (is - was), b->data + bytes_at, old.bytes.len);
    }
    (void)varint_put(b->data + bytes_at - was, old.bytes.len + e->bytes.len);
    if (e->bytes.len > 0) {
        memcpy(b->data + end + (is - was), e->bytes.data, e->bytes.len);
    }
    b->len = end + (is - was) + e->bytes.len;
    return true;
}

bool effect_replace(struct buf *b, size_t at, const struct effect *e)
{
    struct effect old;
    size_t bytes_at;
    size_t end;

    if (!effect_at(b, at, &old, &bytes_at, &end) || old.kind != e->kind || old.pos != e->pos ||
        old.bytes.len != e->bytes.len) {
        return false;
    }
    if (e->bytes.len > 0) {
        memcpy(b->data + bytes_at, e->bytes.data, e->bytes.len);
    }
    return true;
}

bool effect_apart(const struct buf *b, size_t at, const struct effect *e)
{
    struct effect old;
    size_t bytes_at;
    size_t end;

    return e->kind == EFFECT_PATCH && effect_at(b, at, &old, &bytes_at, &end) &&
           old.kind == EFFECT_PATCH &&
           (old.pos + old.bytes.len <= e->pos || e->pos + e->bytes.len <= old.pos);
}

enum oxbow_err frame_add(struct buf *b, struct oxbow_bytes effects)
{
    enum oxbow_err err = buf_reserve(b, VARINT_MAX + effects.len);

    if (err != OXBOW_OK) {
        return err;
    }
    b->len += varint_put(b->data + b->len, effects.len);
    if (effects.len > 0) {
        memcpy(b->data + b->len, effects.data, effects.len);
    }
    b->len += effects.len;
    return OXBOW_OK;
}

enum oxbow_err frame_take(struct oxbow_bytes *rest, struct oxbow_bytes *effects)
{
    uint64_t n;

    return take_number(rest, &n) && cut(rest, n, effects) ? OXBOW_OK : OXBOW_EFORMAT;
}
