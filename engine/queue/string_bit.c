/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as rows of bits, the highest bit of each byte first, with zeros behind the end without end. Bits
 * are set one by one in place; counts and searches go through a value in pieces; BITFIELD takes the whole
 * value into memory once, however many operations there are.
 */
#include "engine/base/codec.h"
#include "engine/queue/string.h"
#include "oxbow/key.h"

#include <string.h>

#define PIECE    4096u
#define BITS_MAX ((uint64_t)UINT32_MAX * 8)

/* ---- one bit ---- */

enum oxbow_err oxbow_string_bit_set(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t bit,
                                    bool on, bool *old)
{
    uint8_t mask = (uint8_t)(0x80u >> (bit & 7));
    struct string s;
    uint8_t byte;
    bool was = false;
    uint64_t end;
    enum oxbow_err err = bit >= BITS_MAX     ? OXBOW_ETOOBIG
                         : txn_readonly(txn) ? OXBOW_EREADONLY
                                             : string_find(txn, key, &s);

    if (err == OXBOW_OK) {
        end = bit / 8 + 1 > s.len ? bit / 8 + 1 : s.len;
        err = string_admit(&s, end);
    }
    if (err == OXBOW_OK) {
        err = string_read(&s, bit / 8, &byte, 1);
    }
    if (err == OXBOW_OK) {
        was = (byte & mask) != 0;
        byte = (uint8_t)(on ? byte | mask : byte & ~mask);
        if (was != on || bit / 8 >= s.len) {
            err = string_patch(&s, bit / 8, (struct oxbow_bytes){&byte, 1});
        }
    }
    if (err == OXBOW_OK && old != NULL) {
        *old = was;
    }
    return err;
}

enum oxbow_err oxbow_string_bit_get(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t bit,
                                    bool *on)
{
    struct string s;
    uint8_t byte;
    enum oxbow_err err = on == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = string_read(&s, bit / 8, &byte, 1);
    }
    if (err == OXBOW_OK) {
        *on = (byte & 0x80u >> (bit & 7)) != 0;
    }
    return err;
}

/* ---- spans of them ---- */

static unsigned ones(uint8_t byte)
{
    unsigned n = byte - ((byte >> 1) & 0x55u);

    n = (n & 0x33u) + ((n >> 2) & 0x33u);
    return (n + (n >> 4)) & 0x0fu;
}

/* The first and the last bit that are meant. False: none. */
static bool bits_of(const struct string *s, const struct oxbow_bit_span *span, uint64_t *first,
                    uint64_t *last)
{
    bool bits = span != NULL && span->bits;
    int64_t to = span == NULL || span->open ? -1 : span->to;

    if (!string_span(bits ? s->len * 8 : s->len, span == NULL ? 0 : span->from, to, first, last)) {
        return false;
    }
    *first = bits ? *first : *first * 8;
    *last = bits ? *last : *last * 8 + 7;
    return true;
}

/* Such a span is empty, where it is counted. A search has it at the first byte, as Redis. */
static bool backwards(const struct oxbow_bit_span *span)
{
    return span != NULL && !span->open && span->from < 0 && span->to < span->from;
}

/* A value is looked at in pieces: bytes from `pos` on, less the bits of the first and last byte that do not
 * count, which are made `fill`. */
struct walk {
    const struct string *s;
    uint64_t first;
    uint64_t last;
    uint64_t pos; /* of the piece, in bytes */
    size_t len;
    uint8_t fill;
    uint8_t piece[PIECE];
};

static enum oxbow_err walk_read(struct walk *w)
{
    uint64_t end = w->last / 8 + 1;
    uint8_t head = (uint8_t)(0xffu >> (w->first & 7));
    uint8_t tail = (uint8_t)(0xff00u >> ((w->last & 7) + 1));
    enum oxbow_err err;

    w->len = end - w->pos < PIECE ? (size_t)(end - w->pos) : PIECE;
    err = string_read(w->s, w->pos, w->piece, w->len);
    if (w->pos == w->first / 8) {
        w->piece[0] = (uint8_t)((w->piece[0] & head) | (w->fill & ~head));
    }
    if (w->pos + w->len == end) {
        uint8_t *p = &w->piece[w->len - 1];

        *p = (uint8_t)((*p & tail) | (w->fill & ~tail));
    }
    return err;
}

enum oxbow_err oxbow_string_bit_count(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      const struct oxbow_bit_span *span, uint64_t *count)
{
    struct string s;
    struct walk w = {.s = &s, .fill = 0};
    uint64_t n = 0;
    enum oxbow_err err = count == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err == OXBOW_OK && !backwards(span) && bits_of(&s, span, &w.first, &w.last)) {
        for (w.pos = w.first / 8; err == OXBOW_OK && w.pos <= w.last / 8; w.pos += w.len) {
            err = walk_read(&w);
            for (size_t i = 0; err == OXBOW_OK && i < w.len; i++) {
                n += ones(w.piece[i]);
            }
        }
    }
    if (err == OXBOW_OK) {
        *count = n;
    }
    return err;
}

/* Where the first byte that is not `none` has its first other bit; -1: there is no such byte. */
static int64_t first_other(const struct walk *w, uint8_t none)
{
    for (size_t i = 0; i < w->len; i++) {
        uint8_t others = (uint8_t)(w->piece[i] ^ none);
        unsigned at = 0;

        while (others != 0 && (others & 0x80u >> at) == 0) {
            at++;
        }
        if (others != 0) {
            return (int64_t)((w->pos + i) * 8 + at);
        }
    }
    return -1;
}

enum oxbow_err oxbow_string_bit_find(struct oxbow_txn *txn, struct oxbow_bytes key, bool on,
                                     const struct oxbow_bit_span *span, int64_t *bit)
{
    struct string s;
    struct walk w = {.s = &s, .fill = on ? 0 : 0xff};
    bool closed = span != NULL && !span->open;
    int64_t found = -1;
    enum oxbow_err err = bit == NULL ? OXBOW_EINVAL : string_find(txn, key, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    if (s.object.id == 0) {
        *bit = on ? -1 : 0;
        return OXBOW_OK;
    }
    if (!bits_of(&s, span, &w.first, &w.last)) {
        *bit = -1;
        return OXBOW_OK;
    }
    for (w.pos = w.first / 8; err == OXBOW_OK && found < 0 && w.pos <= w.last / 8; w.pos += w.len) {
        err = walk_read(&w);
        found = err == OXBOW_OK ? first_other(&w, w.fill) : -1;
    }
    if (err == OXBOW_OK) {
        *bit = found >= 0 || on || closed ? found : (int64_t)(s.len * 8); /* zeros follow */
    }
    return err;
}

/* ---- several values ---- */

static void combine(enum oxbow_bit_op op, uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t v = to[i];

        to[i] = (uint8_t)(op == OXBOW_BIT_AND  ? v & from[i]
                          : op == OXBOW_BIT_OR ? v | from[i]
                                               : v ^ from[i]);
    }
}

/* Takes one value into the outcome, which is `len` long. */
static enum oxbow_err op_one(enum oxbow_bit_op op, const struct string *s, bool first,
                             struct oxbow_bytes out)
{
    union {
        const void *in;
        uint8_t *out;
    } to = {out.data};
    uint8_t piece[PIECE];
    enum oxbow_err err = OXBOW_OK;

    if (first) {
        return string_read(s, 0, to.out, out.len);
    }
    for (size_t at = 0; err == OXBOW_OK && at < out.len; at += PIECE) {
        size_t n = out.len - at < PIECE ? out.len - at : PIECE;

        err = string_read(s, at, piece, n);
        combine(op, to.out + at, piece, n);
    }
    return err;
}

static enum oxbow_err op_all(struct oxbow_txn *txn, enum oxbow_bit_op op,
                             const struct oxbow_bytes *keys, size_t count, struct oxbow_bytes out)
{
    union {
        const void *in;
        uint8_t *out;
    } to = {out.data};
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        struct string s;

        err = string_find(txn, keys[i], &s);
        if (err == OXBOW_OK) {
            err = op_one(op, &s, i == 0, out);
        }
    }
    for (size_t i = 0; op == OXBOW_BIT_NOT && i < out.len; i++) {
        to.out[i] = (uint8_t)~to.out[i];
    }
    return err;
}

static enum oxbow_err longest(struct oxbow_txn *txn, const struct oxbow_bytes *keys, size_t count,
                              uint64_t *len)
{
    enum oxbow_err err = OXBOW_OK;

    *len = 0;
    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        struct string s = {.len = 0};

        err = string_find(txn, keys[i], &s);
        *len = s.len > *len ? s.len : *len;
    }
    return err;
}

enum oxbow_err oxbow_string_bit_op(struct oxbow_txn *txn, enum oxbow_bit_op op,
                                   struct oxbow_bytes to, const struct oxbow_bytes *keys,
                                   size_t count, uint64_t *len)
{
    struct buf whole;
    uint64_t n;
    enum oxbow_err err;

    if ((unsigned)op > OXBOW_BIT_NOT || keys == NULL || count == 0 ||
        (op == OXBOW_BIT_NOT && count != 1)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : longest(txn, keys, count, &n);
    if (err != OXBOW_OK) {
        return err;
    }
    if (n == 0) {
        err = oxbow_key_delete(txn, to, NULL);
    } else {
        buf_init(&whole, &txn_port(txn)->alloc, (size_t)n);
        err = buf_reserve(&whole, (size_t)n);
        whole.len = err == OXBOW_OK ? (size_t)n : 0;
        if (err == OXBOW_OK) {
            err = op_all(txn, op, keys, count, (struct oxbow_bytes){whole.data, whole.len});
        }
        if (err == OXBOW_OK) {
            err = oxbow_string_set(txn, to, (struct oxbow_bytes){whole.data, whole.len});
        }
        buf_fini(&whole);
    }
    if (err == OXBOW_OK && len != NULL) {
        *len = n;
    }
    return err;
}

/* ---- fields ---- */

static uint64_t field_get(const struct buf *b, const struct oxbow_bit_field *f)
{
    uint64_t v = 0;

    for (uint64_t i = f->bit; i < f->bit + f->bits; i++) {
        bool on = i / 8 < b->len && (b->data[i / 8] & 0x80u >> (i & 7)) != 0;

        v = v << 1 | on;
    }
    return v;
}

static void field_put(struct buf *b, const struct oxbow_bit_field *f, uint64_t v)
{
    for (uint64_t i = f->bit + f->bits; i-- > f->bit; v >>= 1) {
        uint8_t mask = (uint8_t)(0x80u >> (i & 7));

        b->data[i / 8] = (uint8_t)((v & 1) != 0 ? b->data[i / 8] | mask : b->data[i / 8] & ~mask);
    }
}

static int64_t as_signed(uint64_t v, unsigned bits)
{
    uint64_t top = (uint64_t)1 << (bits - 1);

    v = bits == 64 ? v : v & (((uint64_t)1 << bits) - 1);
    if ((v & top) == 0) {
        return (int64_t)v;
    }
    return -(int64_t)(top - (v & (top - 1)) - 1) - 1;
}

/* How far a field goes. */
struct limits {
    int64_t min;
    int64_t max;
};

static struct limits limits_of(const struct oxbow_bit_field *f)
{
    unsigned bits = f->is_signed ? f->bits - 1u : f->bits; /* of what is not the sign, at most 63 */
    int64_t max = (int64_t)(((uint64_t)1 << bits) - 1);

    return (struct limits){f->is_signed ? -max - 1 : 0, max};
}

/* What old + by becomes. False: it does not fit, and that fails. */
static bool field_sum(const struct oxbow_bit_field *f, int64_t old, int64_t by, uint64_t *out)
{
    struct limits l = limits_of(f);
    bool over = by > 0 && old > l.max - by;
    /* Without a sign no field reaches as far as the lowest number goes below 0. */
    bool under = by < 0 && (f->is_signed ? old < l.min - by : by == INT64_MIN || old < -by);

    *out = (uint64_t)old + (uint64_t)by;
    if (!over && !under) {
        return true;
    }
    if (f->overflow == OXBOW_BIT_SAT) {
        *out = (uint64_t)(over ? l.max : l.min);
    }
    return f->overflow != OXBOW_BIT_FAIL;
}

static bool field_set(const struct oxbow_bit_field *f, uint64_t *out)
{
    struct limits l = limits_of(f);
    /* As Redis 7.0 has it: what is further below the highest than a number with a sign can say counts as
     * above it, and without a sign what is below 0 does. */
    bool far = f->bits < 64 && (uint64_t)l.max - (uint64_t)f->value > INT64_MAX;
    bool over = f->is_signed ? f->value > l.max || far : (uint64_t)f->value > (uint64_t)l.max;
    bool under = f->is_signed && !over && f->value < l.min;

    *out = (uint64_t)f->value;
    if (!over && !under) {
        return true;
    }
    if (f->overflow == OXBOW_BIT_SAT) {
        *out = (uint64_t)(over ? l.max : l.min);
    }
    return f->overflow != OXBOW_BIT_FAIL;
}

static void field_run(struct buf *b, struct oxbow_bit_field *f)
{
    uint64_t raw = field_get(b, f);
    int64_t old = f->is_signed ? as_signed(raw, f->bits) : (int64_t)raw;
    uint64_t now = 0;

    f->failed = false;
    f->changed = false;
    f->result = old;
    if (f->kind == OXBOW_BIT_GET) {
        return;
    }
    f->failed = f->kind == OXBOW_BIT_SET ? !field_set(f, &now) : !field_sum(f, old, f->value, &now);
    if (f->failed) {
        return;
    }
    field_put(b, f, now);
    now = field_get(b, f);
    f->changed = now != raw;
    if (f->kind == OXBOW_BIT_ADD) {
        f->result = f->is_signed ? as_signed(now, f->bits) : (int64_t)now;
    }
}

static bool fields_ok(const struct oxbow_bit_field *fields, size_t count, uint64_t *end)
{
    *end = 0;
    for (size_t i = 0; i < count; i++) {
        const struct oxbow_bit_field *f = &fields[i];

        if (f->bits == 0 || f->bits > (f->is_signed ? 64u : 63u) || f->bit >= BITS_MAX ||
            (unsigned)f->kind > OXBOW_BIT_ADD || (unsigned)f->overflow > OXBOW_BIT_FAIL) {
            return false;
        }
        if (f->kind != OXBOW_BIT_GET && (f->bit + f->bits + 7) / 8 > *end) {
            *end = (f->bit + f->bits + 7) / 8;
        }
    }
    return fields != NULL || count == 0;
}

/* The first byte that a writing field may change. */
static uint64_t lowest(const struct oxbow_bit_field *fields, size_t count, uint64_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind != OXBOW_BIT_GET && fields[i].bit / 8 < len) {
            len = fields[i].bit / 8;
        }
    }
    return len;
}

enum oxbow_err oxbow_string_bit_fields(struct oxbow_txn *txn, struct oxbow_bytes key,
                                       struct oxbow_bit_field *fields, size_t count)
{
    struct string s;
    struct buf b;
    uint64_t end; /* of what is written, in bytes; 0: nothing is */
    uint64_t low;
    enum oxbow_err err;

    if (!fields_ok(fields, count, &end)) {
        return OXBOW_EINVAL;
    }
    err = end > 0 && txn_readonly(txn) ? OXBOW_EREADONLY : string_find(txn, key, &s);
    if (err == OXBOW_OK && end > 0) {
        err = string_admit(&s, end > s.len ? end : s.len);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(&b, &txn_port(txn)->alloc, (size_t)(end > s.len ? end : s.len));
    err = string_load(&s, &b);
    if (err == OXBOW_OK && end > b.len) {
        err = buf_reserve(&b, (size_t)end - b.len);
        if (err == OXBOW_OK) {
            memset(b.data + b.len, 0, (size_t)end - b.len);
            b.len = (size_t)end;
        }
    }
    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        field_run(&b, &fields[i]);
    }
    if (err == OXBOW_OK && end > 0) {
        low = lowest(fields, count, s.len);
        err = string_patch(&s, low, (struct oxbow_bytes){b.data + low, (size_t)(end - low)});
    }
    buf_fini(&b);
    return err;
}
