/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inline commands: what a person types at a bare connection. Words are unquoted where they stand,
 * the writing position never ahead of the reading one.
 */
#include "engine/resp/inline.h"

struct words {
    uint8_t *line;
    size_t len;
    size_t in;  /* next byte to read */
    size_t out; /* next byte to write */
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* A backslash stands at `in`, with at least one byte behind it. */
static void take_escape(struct words *w)
{
    const uint8_t *p = w->line + w->in;

    if (p[1] == 'x' && w->len - w->in >= 4 && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
        w->line[w->out++] = (uint8_t)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
        w->in += 4;
        return;
    }
    w->line[w->out++] = escaped(p[1]);
    w->in += 2;
}

/* Up to the closing quote and past it; a word ends there. False: it is missing, or not at a word's
 * end. */
static bool take_quoted(struct words *w, uint8_t quote)
{
    while (w->in < w->len) {
        uint8_t c = w->line[w->in];
        bool more = w->len - w->in > 1;

        if (c == quote) {
            w->in++;
            return w->in == w->len || is_space(w->line[w->in]);
        }
        if (quote == '"' && c == '\\' && more) {
            take_escape(w);
        } else if (quote == '\'' && c == '\\' && more && w->line[w->in + 1] == '\'') {
            w->line[w->out++] = '\'';
            w->in += 2;
        } else {
            w->line[w->out++] = c;
            w->in++;
        }
    }
    return false;
}

enum inline_arg inline_next(uint8_t *line, size_t len, size_t *at, struct resp_span *out)
{
    struct words w = {line, len, *at, 0};
    size_t start;
    bool balanced = true;

    while (w.in < len && is_space(line[w.in])) {
        w.in++;
    }
    if (w.in == len) {
        return INLINE_END;
    }
    start = w.in;
    w.out = start;
    while (w.in < len) {
        uint8_t c = line[w.in];

        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            break;
        }
        w.in++;
        if (c == '"' || c == '\'') {
            balanced = take_quoted(&w, c);
            break;
        }
        line[w.out++] = c;
    }
    *at = w.in;
    *out = (struct resp_span){(uint32_t)start, (uint32_t)(w.out - start)};
    return balanced ? INLINE_ARG : INLINE_UNBALANCED;
}
