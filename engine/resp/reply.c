/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies are written into `in`. When somebody asks for bytes to send and `out` is used up, the two
 * change places: so what is being sent never moves, and what is being written stays in one piece,
 * which is what marks and late headers need.
 *
 *     before - |out| .. before: out, of which `sent` bytes are gone     before .. mark: in
 *
 * 1. |out| - sent + |in| <= len_max.
 * 2. Once failed nothing is written any more.
 */
#include "engine/resp/reply.h"

#include "engine/base/id.h"
#include "engine/base/num.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER_MAX    (NUM_TEXT_MAX + 3u) /* a type, a number, CR LF */
#define LATER_LEN     4u                  /* a type, one digit, CR LF */
#define ERROR_MAX     1024u
#define DOUBLE_MAX    32u /* "-1.2345678901234567e-308", with room */
#define VERBATIM_TEXT "txt:"

void resp_reply_init(struct resp_reply *r, const struct oxbow_alloc *alloc, size_t len_max)
{
    *r = (struct resp_reply){.version = 2};
    buf_init(&r->in, alloc, SIZE_MAX);
    buf_init(&r->out, alloc, SIZE_MAX);
    resp_reply_limit(r, len_max);
}

void resp_reply_fini(struct resp_reply *r)
{
    buf_fini(&r->in);
    buf_fini(&r->out);
}

void resp_reply_limit(struct resp_reply *r, size_t len_max)
{
    r->len_max = len_max != 0 ? len_max : RESP_REPLY_MAX;
}

bool resp_reply_failed(const struct resp_reply *r)
{
    return r->failed;
}

bool resp_reply_full(const struct resp_reply *r)
{
    return r->full;
}

size_t resp_reply_pending(const struct resp_reply *r)
{
    return r->out.len - r->sent + r->in.len;
}

size_t resp_reply_memory(const struct resp_reply *r)
{
    return r->in.cap + r->out.cap;
}

/* Where `len` more bytes go, which then count as written; NULL once failed. */
static uint8_t *space(struct resp_reply *r, size_t len)
{
    size_t pending = resp_reply_pending(r);
    uint8_t *at;

    if (r->failed) {
        return NULL;
    }
    r->full = pending > r->len_max || len > r->len_max - pending;
    if (r->full || buf_reserve(&r->in, len) != OXBOW_OK) {
        r->failed = true;
        return NULL;
    }
    at = r->in.data + r->in.len;
    r->in.len += len;
    return at;
}

void resp_raw(struct resp_reply *r, struct oxbow_bytes bytes)
{
    uint8_t *at;

    if (bytes.len > 0 && (at = space(r, bytes.len)) != NULL) {
        memcpy(at, bytes.data, bytes.len);
    }
}

static void raw_text(struct resp_reply *r, const char *text)
{
    resp_raw(r, (struct oxbow_bytes){text, strlen(text)});
}

/* Type, number, CR LF at `at`; returns how many bytes that took. */
static size_t number_put(uint8_t *at, char type, int64_t v)
{
    char digits[NUM_TEXT_MAX];
    size_t len;

    at[0] = (uint8_t)type;
    if (v >= 0 && v <= 9) {
        at[1] = (uint8_t)('0' + v);
        len = 1;
    } else {
        len = num_i64_text(digits, v);
        memcpy(at + 1, digits, len);
    }
    at[1 + len] = '\r';
    at[2 + len] = '\n';
    return len + 3;
}

static void number(struct resp_reply *r, char type, int64_t v)
{
    uint8_t header[HEADER_MAX];

    resp_raw(r, (struct oxbow_bytes){header, number_put(header, type, v)});
}

void resp_ok(struct resp_reply *r)
{
    raw_text(r, "+OK\r\n");
}

/* A line of a type; CR and LF within it would end it early, and become blanks. */
static void line(struct resp_reply *r, char type, const char *text, size_t len)
{
    uint8_t *at = space(r, len + 3);
    size_t i;

    if (at == NULL) {
        return;
    }
    at[0] = (uint8_t)type;
    for (i = 0; i < len; i++) {
        at[1 + i] = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
    }
    at[1 + len] = '\r';
    at[2 + len] = '\n';
}

void resp_simple(struct resp_reply *r, const char *text)
{
    line(r, '+', text, strlen(text));
}

void resp_error(struct resp_reply *r, const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) {
        len--;
    }
    line(r, '-', text, len);
}

void resp_error_format(struct resp_reply *r, const char *format, ...)
{
    char text[ERROR_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    resp_error(r, text);
}

void resp_error_of(struct resp_reply *r, enum oxbow_err err)
{
    resp_error(r, resp_error_text(err));
}

void resp_int(struct resp_reply *r, int64_t v)
{
    number(r, ':', v);
}

uint8_t *resp_bulk_space(struct resp_reply *r, size_t len)
{
    uint8_t header[HEADER_MAX];
    size_t header_len = number_put(header, '$', (int64_t)len);
    uint8_t *at = len < SIZE_MAX / 2 ? space(r, header_len + len + 2) : NULL;

    if (at == NULL) {
        r->failed = true;
        return NULL;
    }
    memcpy(at, header, header_len);
    at[header_len + len] = '\r';
    at[header_len + len + 1] = '\n';
    return at + header_len;
}

void resp_bulk(struct resp_reply *r, struct oxbow_bytes bytes)
{
    uint8_t *at = resp_bulk_space(r, bytes.len);

    if (at != NULL && bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
}

void resp_bulk_text(struct resp_reply *r, const char *text)
{
    resp_bulk(r, (struct oxbow_bytes){text, strlen(text)});
}

void resp_bulk_int(struct resp_reply *r, int64_t v)
{
    char text[NUM_TEXT_MAX];

    resp_bulk(r, (struct oxbow_bytes){text, num_i64_text(text, v)});
}

void resp_bulk_id(struct resp_reply *r, struct oxbow_id id)
{
    char text[ID_TEXT_MAX];

    resp_bulk(r, (struct oxbow_bytes){text, id_to_text(text, id)});
}

void resp_null(struct resp_reply *r)
{
    raw_text(r, r->version >= 3 ? "_\r\n" : "$-1\r\n");
}

void resp_null_array(struct resp_reply *r)
{
    raw_text(r, r->version >= 3 ? "_\r\n" : "*-1\r\n");
}

void resp_double(struct resp_reply *r, double v)
{
    char text[DOUBLE_MAX];
    int len = snprintf(text, sizeof text, "%.17g", v);

    if (r->version >= 3) {
        line(r, ',', text, (size_t)len);
    } else {
        resp_bulk(r, (struct oxbow_bytes){text, (size_t)len});
    }
}

void resp_bool(struct resp_reply *r, bool v)
{
    if (r->version >= 3) {
        raw_text(r, v ? "#t\r\n" : "#f\r\n");
    } else {
        resp_int(r, v);
    }
}

void resp_verbatim(struct resp_reply *r, struct oxbow_bytes text)
{
    if (r->version < 3) {
        resp_bulk(r, text);
        return;
    }
    number(r, '=', (int64_t)(text.len + strlen(VERBATIM_TEXT)));
    raw_text(r, VERBATIM_TEXT);
    resp_raw(r, text);
    raw_text(r, "\r\n");
}

void resp_bignum(struct resp_reply *r, struct oxbow_bytes digits)
{
    if (r->version >= 3) {
        line(r, '(', digits.data, digits.len);
    } else {
        resp_bulk(r, digits);
    }
}

void resp_array(struct resp_reply *r, size_t count)
{
    number(r, '*', (int64_t)count);
}

void resp_map(struct resp_reply *r, size_t pairs)
{
    if (r->version >= 3) {
        number(r, '%', (int64_t)pairs);
    } else {
        number(r, '*', (int64_t)pairs * 2);
    }
}

void resp_set(struct resp_reply *r, size_t count)
{
    number(r, r->version >= 3 ? '~' : '*', (int64_t)count);
}

void resp_push(struct resp_reply *r, size_t count)
{
    number(r, r->version >= 3 ? '>' : '*', (int64_t)count);
}

static struct resp_later later(struct resp_reply *r, char type, uint8_t factor)
{
    struct resp_later l = {resp_reply_mark(r), factor};

    number(r, type, 0);
    return l;
}

struct resp_later resp_array_later(struct resp_reply *r)
{
    return later(r, '*', 1);
}

struct resp_later resp_map_later(struct resp_reply *r)
{
    return r->version >= 3 ? later(r, '%', 1) : later(r, '*', 2);
}

struct resp_later resp_set_later(struct resp_reply *r)
{
    return later(r, r->version >= 3 ? '~' : '*', 1);
}

void resp_later_set(struct resp_reply *r, struct resp_later later, size_t count)
{
    uint8_t header[HEADER_MAX];
    size_t at = (size_t)(later.at - r->before);
    size_t rest, len;
    uint8_t *end;

    if (r->failed) {
        return;
    }
    rest = r->in.len - at - LATER_LEN;
    len = number_put(header, (char)r->in.data[at], (int64_t)count * later.factor);
    end = space(r, len - LATER_LEN);
    if (end == NULL) {
        return;
    }
    if (len > LATER_LEN) {
        memmove(r->in.data + at + len, r->in.data + at + LATER_LEN, rest);
    }
    memcpy(r->in.data + at, header, len);
}

uint64_t resp_reply_mark(const struct resp_reply *r)
{
    return r->before + r->in.len;
}

void resp_reply_rewind(struct resp_reply *r, uint64_t mark)
{
    if (mark - r->before < r->in.len) {
        r->in.len = (size_t)(mark - r->before);
    }
}

static void trim(struct buf *b)
{
    if (b->len == 0 && b->cap > RESP_REPLY_KEEP) {
        buf_fini(b);
    }
}

struct oxbow_bytes resp_reply_peek(struct resp_reply *r, uint64_t upto)
{
    uint64_t from;
    size_t len;

    if (r->out.len == 0 && r->in.len > 0) {
        struct buf full = r->in;

        r->in = r->out;
        r->out = full;
        r->before += full.len;
    }
    from = r->before - r->out.len + r->sent;
    len = r->out.len - r->sent;
    if (upto <= from || len == 0) {
        return (struct oxbow_bytes){NULL, 0};
    }
    if (upto - from < len) {
        len = (size_t)(upto - from);
    }
    return (struct oxbow_bytes){r->out.data + r->sent, len};
}

void resp_reply_taken(struct resp_reply *r, size_t n)
{
    r->sent += n;
    if (r->sent == r->out.len) {
        r->sent = 0;
        r->out.len = 0;
        trim(&r->out);
    }
}

void resp_reply_idle(struct resp_reply *r)
{
    if (r->in.len == 0) {
        buf_fini(&r->in);
    }
    if (r->out.len == 0) {
        buf_fini(&r->out);
    }
}
