/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests taken apart in place. The buffer holds requests one after the other:
 *
 *     data            head            head+pos              len          cap
 *     | given, dropped | request so far | not looked at yet | room       |
 *
 * Arguments are remembered as spans from `head`, so that the buffer may move while one is still
 * coming; pointers are made when the request is whole. It does no I/O and knows no command.
 *
 * 1. head + pos <= len <= cap <= limits.buffer_max.
 * 2. Bytes move to the front only when room runs out, and a request so at most once: reading is
 *    linear in its length. `scanned` keeps the search for an end of line linear too.
 * 3. The verdict on a line needs the whole line, or inline_max bytes without its end: never how it
 *    was split.
 */
#include "engine/resp/reader.h"

#include "engine/base/buf.h"
#include "engine/base/num.h"
#include "engine/resp/inline.h"

#include <string.h>

#define ARGS_FIRST 16u
#define ARGS_KEEP  256u /* arguments whose memory is kept from request to request */
#define ARG_BYTES  (sizeof(struct resp_span) + sizeof(struct oxbow_bytes))

enum line { LINE_MORE, LINE_WHOLE, LINE_LONG, LINE_MARKER, LINE_NUMBER };

static const char too_long_inline[] = "ERR Protocol error: too big inline request";
static const char too_long_count[] = "ERR Protocol error: too big mbulk count string";
static const char too_long_bulk[] = "ERR Protocol error: too big bulk count string";
static const char bad_count[] = "ERR Protocol error: invalid multibulk length";
static const char bad_bulk[] = "ERR Protocol error: invalid bulk length";
static const char guest_count[] = "ERR Protocol error: unauthenticated multibulk length";
static const char guest_bulk[] = "ERR Protocol error: unauthenticated bulk length";
static const char bad_quotes[] = "ERR Protocol error: unbalanced quotes in request";
static const char bad_marker[] = "ERR Protocol error: expected '$', got ' '";

void resp_reader_init(struct resp_reader *r, const struct oxbow_alloc *alloc,
                      const struct resp_limits *limits)
{
    static const struct resp_limits zero;

    *r = (struct resp_reader){.alloc = alloc};
    resp_reader_limits(r, limits != NULL ? limits : &zero);
}

void resp_reader_limits(struct resp_reader *r, const struct resp_limits *limits)
{
    struct resp_limits l = *limits;

    l.args_max = l.args_max != 0 ? l.args_max : RESP_ARGS_MAX;
    l.inline_max = l.inline_max != 0 ? l.inline_max : RESP_INLINE_MAX;
    l.bulk_max = l.bulk_max != 0 ? l.bulk_max : RESP_BULK_MAX;
    l.buffer_max = l.buffer_max != 0 ? l.buffer_max : RESP_BUFFER_MAX;
    if (l.buffer_max > UINT32_MAX) {
        l.buffer_max = UINT32_MAX;
    }
    r->limits = l;
}

static void args_free(struct resp_reader *r)
{
    mem_free(r->alloc, r->spans, r->spans_cap * sizeof(struct resp_span));
    mem_free(r->alloc, r->args, r->args_cap * sizeof(struct oxbow_bytes));
    r->spans = NULL;
    r->args = NULL;
    r->spans_cap = 0;
    r->args_cap = 0;
}

static void bytes_free(struct resp_reader *r)
{
    mem_free(r->alloc, r->data, r->cap);
    r->data = NULL;
    r->cap = 0;
    r->len = 0;
    r->head = 0;
}

void resp_reader_fini(struct resp_reader *r)
{
    args_free(r);
    bytes_free(r);
}

size_t resp_reader_pending(const struct resp_reader *r)
{
    return r->len - r->head - (r->given ? r->pos : 0);
}

size_t resp_reader_memory(const struct resp_reader *r)
{
    return r->cap + r->spans_cap * sizeof(struct resp_span) +
           r->args_cap * sizeof(struct oxbow_bytes);
}

/* Forgets the request that was handed out, or skipped. */
static void request_drop(struct resp_reader *r)
{
    r->head += r->pos;
    r->pos = 0;
    r->scanned = 0;
    r->count = 0;
    r->count_want = 0;
    r->given = false;
}

size_t resp_reader_mark(const struct resp_reader *r)
{
    return r->head + (r->given ? r->pos : 0);
}

bool resp_reader_was_inline(const struct resp_reader *r)
{
    return r->given && r->count_want == 0;
}

bool resp_reader_begins_inline(const struct resp_reader *r)
{
    size_t at = resp_reader_mark(r);

    return at < r->len && r->data[at] != '*';
}

void resp_reader_rewind(struct resp_reader *r, size_t mark)
{
    r->head = mark;
    r->pos = 0;
    r->scanned = 0;
    r->count = 0;
    r->count_want = 0;
    r->in_bulk = false;
    r->given = false;
    r->broken = NULL;
}

void resp_reader_idle(struct resp_reader *r)
{
    if (r->given) {
        request_drop(r);
    }
    if (r->len == r->head) {
        args_free(r);
        bytes_free(r);
    }
}

/* How long the buffer should be: room for `want`, and towards the end of an argument that is under
 * way, but at most twice what has come. */
static size_t cap_wanted(const struct resp_reader *r, size_t want)
{
    size_t used = r->len;
    uint64_t more = want > 0 ? want : 1;

    if (r->in_bulk) {
        uint64_t end = r->head + r->pos + r->bulk_len + 2;
        uint64_t rest = end > used ? end - used : 0;

        if (rest > used) {
            rest = used;
        }
        more = more > rest ? more : rest;
    } else if (more < used) {
        more = used;
    }
    return used + more > r->limits.buffer_max ? (size_t)r->limits.buffer_max
                                              : (size_t)(used + more);
}

static void bytes_to_front(struct resp_reader *r)
{
    if (r->head > 0) {
        memmove(r->data, r->data + r->head, r->len - r->head);
        r->len -= r->head;
        r->head = 0;
    }
}

/* A quarter of what is wanted will do: else every leftover would make the buffer grow a little. */
static bool room_is_short(const struct resp_reader *r, size_t want)
{
    return r->cap == r->len || r->cap - r->len < want / 4;
}

enum oxbow_err resp_reader_room(struct resp_reader *r, size_t want, uint8_t **buf, size_t *len)
{
    size_t cap;
    void *data;

    if (r->broken != NULL) {
        return OXBOW_EPARSE;
    }
    if (r->given) {
        request_drop(r);
    }
    if (r->head == r->len) {
        r->head = 0;
        r->len = 0;
    }
    if (r->len == 0 && r->cap > RESP_READER_KEEP && r->cap > want) {
        bytes_free(r);
    }
    if (r->count == 0 && r->spans_cap > ARGS_KEEP) {
        args_free(r);
    }
    if (room_is_short(r, want)) {
        bytes_to_front(r);
    }
    cap = cap_wanted(r, want);
    if (cap > r->cap && room_is_short(r, want)) {
        data = r->alloc->resize(r->alloc->ctx, r->data, r->cap, cap);
        if (data == NULL) {
            return OXBOW_ENOMEM;
        }
        r->data = data;
        r->cap = cap;
    }
    if (r->cap == r->len) {
        return OXBOW_ETOOBIG;
    }
    *buf = r->data + r->len;
    *len = r->cap - r->len;
    return OXBOW_OK;
}

void resp_reader_fed(struct resp_reader *r, size_t n)
{
    r->len += n;
}

static enum resp_read read_broken(struct resp_reader *r, const char *error)
{
    r->broken = error;
    return RESP_READ_BROKEN;
}

/* Room for more arguments. What is kept for them is limited as the bytes are. */
static bool spans_grow(struct resp_reader *r)
{
    uint64_t cap = r->spans_cap > 0 ? (uint64_t)r->spans_cap * 2 : ARGS_FIRST;
    uint64_t cap_max = r->limits.buffer_max / ARG_BYTES;
    void *spans;

    cap = cap < cap_max ? cap : cap_max;
    if (cap <= r->spans_cap) {
        return false;
    }
    spans = r->alloc->resize(r->alloc->ctx, r->spans, r->spans_cap * sizeof(struct resp_span),
                             (size_t)cap * sizeof(struct resp_span));
    if (spans == NULL) {
        return false;
    }
    r->spans = spans;
    r->spans_cap = (uint32_t)cap;
    return true;
}

static bool args_reserve(struct resp_reader *r)
{
    void *args;

    if (r->args_cap >= r->count) {
        return true;
    }
    args = r->alloc->resize(r->alloc->ctx, r->args, r->args_cap * sizeof(struct oxbow_bytes),
                            r->spans_cap * sizeof(struct oxbow_bytes));
    if (args == NULL) {
        return false;
    }
    r->args = args;
    r->args_cap = r->spans_cap;
    return true;
}

/* The request that ends at pos is whole. */
static enum resp_read request_give(struct resp_reader *r, struct resp_request *out)
{
    const uint8_t *base = r->data + r->head;
    uint32_t i;

    if (!args_reserve(r)) {
        return read_broken(r, "");
    }
    for (i = 0; i < r->count; i++) {
        r->args[i].data = base + r->spans[i].pos;
        r->args[i].len = r->spans[i].len;
    }
    r->given = true;
    out->args = r->args;
    out->count = r->count;
    out->bytes = r->pos;
    return RESP_READ_REQUEST;
}

/* Finds `end` from pos on. Zero bytes hide what is behind them, as they do from strchr. */
static enum line line_find(struct resp_reader *r, uint8_t end, size_t *line_len)
{
    const uint8_t *line = r->data + r->head + r->pos;
    size_t have = r->len - r->head - r->pos;
    size_t limit = have <= r->limits.inline_max ? have : (size_t)r->limits.inline_max + 1;
    const uint8_t *from = line + r->scanned;
    const uint8_t *at = r->scanned < limit ? memchr(from, end, limit - r->scanned) : NULL;
    size_t clean = (at != NULL ? (size_t)(at - line) : limit);
    const uint8_t *zero = r->scanned < clean ? memchr(from, 0, clean - r->scanned) : NULL;

    if (at != NULL && zero == NULL) {
        *line_len = (size_t)(at - line);
        return LINE_WHOLE;
    }
    if (have > r->limits.inline_max) {
        return LINE_LONG;
    }
    r->scanned = zero != NULL ? (size_t)(zero - line) : limit;
    return LINE_MORE;
}

/* A marker, a number, CR and one byte more; or what is wrong with it. */
static enum line line_number(struct resp_reader *r, uint8_t marker, int64_t *value)
{
    const uint8_t *line = r->data + r->head + r->pos;
    size_t have = r->len - r->head - r->pos;
    size_t len = 0;
    enum line found = line_find(r, '\r', &len);

    if (found != LINE_WHOLE || len + 2 > have) {
        return found == LINE_WHOLE ? LINE_MORE : found;
    }
    if (line[0] != marker) {
        return LINE_MARKER;
    }
    if (num_i64((struct oxbow_bytes){line + 1, len - 1}, value) != OXBOW_OK) {
        return LINE_NUMBER;
    }
    r->pos += len + 2;
    r->scanned = 0;
    return LINE_WHOLE;
}

/* The length of a line with a number of one or two digits that is all there, and the number; 0: it
 * is another kind of line. */
static inline size_t line_short(const uint8_t *line, size_t have, uint8_t marker, uint64_t *value)
{
    uint8_t first, second;

    if (have < 5 || line[0] != marker) {
        return 0;
    }
    first = (uint8_t)(line[1] - '0');
    if (first > 9) {
        return 0;
    }
    if (line[2] == '\r') {
        *value = first;
        return 4;
    }
    second = (uint8_t)(line[2] - '0');
    if (first == 0 || second > 9 || line[3] != '\r') {
        return 0;
    }
    *value = first * 10u + second;
    return 5;
}

/* Reads "*<count>": REQUEST when it is there, be it of nothing. */
static enum resp_read count_read(struct resp_reader *r)
{
    int64_t count = 0;
    uint64_t few = 0;
    size_t line = line_short(r->data + r->head, r->len - r->head, '*', &few);

    if (line > 0 && few <= r->limits.args_max && few <= RESP_GUEST_ARGS) {
        r->pos = line;
        r->scanned = 0;
        r->count_want = (uint32_t)few;
        return RESP_READ_REQUEST;
    }
    switch (line_number(r, '*', &count)) {
    case LINE_MORE:
        return RESP_READ_MORE;
    case LINE_LONG:
        return read_broken(r, too_long_count);
    case LINE_MARKER:
    case LINE_NUMBER:
        return read_broken(r, bad_count);
    case LINE_WHOLE:
        break;
    }
    if (count > r->limits.args_max) {
        return read_broken(r, bad_count);
    }
    if (r->limits.guest && count > RESP_GUEST_ARGS) {
        return read_broken(r, guest_count);
    }
    r->count_want = count > 0 ? (uint32_t)count : 0;
    return RESP_READ_REQUEST;
}

static enum resp_read marker_broken(struct resp_reader *r)
{
    uint8_t got = r->data[r->head + r->pos];

    memcpy(r->text, bad_marker, sizeof bad_marker);
    if (got != '\r' && got != '\n') {
        r->text[sizeof bad_marker - 3] = (char)got;
    }
    return read_broken(r, r->text);
}

/* Reads "$<length>" of one argument. */
static enum resp_read bulk_len_read(struct resp_reader *r)
{
    int64_t len = 0;

    switch (line_number(r, '$', &len)) {
    case LINE_MORE:
        return RESP_READ_MORE;
    case LINE_LONG:
        return read_broken(r, too_long_bulk);
    case LINE_MARKER:
        return marker_broken(r);
    case LINE_NUMBER:
        return read_broken(r, bad_bulk);
    case LINE_WHOLE:
        break;
    }
    if (len < 0 || (uint64_t)len > r->limits.bulk_max) {
        return read_broken(r, bad_bulk);
    }
    if (r->limits.guest && len > RESP_GUEST_BULK) {
        return read_broken(r, guest_bulk);
    }
    r->bulk_len = (uint64_t)len;
    r->in_bulk = true;
    return RESP_READ_REQUEST;
}

/* Takes the arguments that are there as a whole, have short lengths, and a place to be noted in:
 * the common case, which leaves every other one to array_read as it finds it. */
static void array_read_short(struct resp_reader *r)
{
    const uint8_t *base = r->data + r->head;
    struct resp_span *spans = r->spans;
    uint32_t count_max = r->count_want < r->spans_cap ? r->count_want : r->spans_cap;
    uint32_t count = r->count;
    size_t have = r->len - r->head;
    size_t pos = r->pos;
    uint64_t len = 0;

    while (count < count_max) {
        size_t line = line_short(base + pos, have - pos, '$', &len);

        if (line == 0 || have - pos < line + len + 2 || len > r->limits.bulk_max) {
            break;
        }
        spans[count++] = (struct resp_span){(uint32_t)(pos + line), (uint32_t)len};
        pos += line + (size_t)len + 2;
    }
    if (pos > r->pos) {
        r->scanned = 0;
        r->count = count;
        r->pos = pos;
    }
}

static enum resp_read array_read(struct resp_reader *r, struct resp_request *out)
{
    while (r->count < r->count_want) {
        if (r->count == r->spans_cap && !spans_grow(r)) {
            return read_broken(r, "");
        }
        if (!r->in_bulk) {
            enum resp_read read;

            array_read_short(r);
            if (r->count == r->count_want) {
                break;
            }
            if (r->count == r->spans_cap) {
                continue;
            }
            read = bulk_len_read(r);
            if (read != RESP_READ_REQUEST) {
                return read;
            }
        }
        if (r->len - r->head - r->pos < r->bulk_len + 2) {
            return RESP_READ_MORE;
        }
        r->spans[r->count++] = (struct resp_span){(uint32_t)r->pos, (uint32_t)r->bulk_len};
        r->pos += (size_t)r->bulk_len + 2;
        r->in_bulk = false;
    }
    return request_give(r, out);
}

static enum resp_read inline_read(struct resp_reader *r, struct resp_request *out)
{
    uint8_t *line = r->data + r->head;
    size_t len = 0;
    size_t at = 0;
    enum line found = line_find(r, '\n', &len);
    struct resp_span span;

    if (found != LINE_WHOLE) {
        return found == LINE_MORE ? RESP_READ_MORE : read_broken(r, too_long_inline);
    }
    r->pos = len + 1;
    if (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    for (;;) {
        enum inline_arg arg = inline_next(line, len, &at, &span);

        if (arg == INLINE_END) {
            break;
        }
        if (arg == INLINE_UNBALANCED) {
            return read_broken(r, bad_quotes);
        }
        if (r->count == r->spans_cap && !spans_grow(r)) {
            return read_broken(r, "");
        }
        r->spans[r->count++] = span;
    }
    return r->count > 0 ? request_give(r, out) : RESP_READ_REQUEST;
}

enum resp_read resp_reader_next(struct resp_reader *r, struct resp_request *out)
{
    enum resp_read read = RESP_READ_MORE;

    if (r->given) {
        request_drop(r);
    }
    /* Empty requests are skipped: each uses up at least a byte. */
    while (r->broken == NULL && r->head + r->pos < r->len) {
        if (r->count_want > 0) {
            read = array_read(r, out);
        } else if (r->data[r->head] != '*') {
            read = inline_read(r, out);
        } else {
            read = count_read(r);
            if (read == RESP_READ_REQUEST && r->count_want > 0) {
                read = RESP_READ_MORE;
                continue;
            }
        }
        if (read != RESP_READ_REQUEST || r->given) {
            break;
        }
        request_drop(r);
        read = RESP_READ_MORE;
    }
    if (r->broken != NULL) {
        *out = (struct resp_request){.error = r->broken};
        return RESP_READ_BROKEN;
    }
    return read;
}
