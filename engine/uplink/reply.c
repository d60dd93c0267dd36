/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An incremental parser of RESP. It turns bytes into at most REPLY_NODES_MAX nodes and forgets the
 * rest; it allocates nothing and never looks back.
 *
 *   KIND -> LINE -> LINE_END -> (a value is complete)
 *                     '- $ = ! with a length -> BODY -> BODY_CR -> BODY_LF -> (complete)
 *
 * Invariants:
 * 1. Each input byte is looked at once; bodies are skipped in bulk.
 * 2. frames[0..depth) are the arrays that are open, outermost first; each has left > 0 while a
 *    value is being read.
 * 3. A reply is done exactly when a value is complete and no frame is open.
 */
#include "engine/uplink/reply.h"

#include "engine/base/num.h"

#include <string.h>

enum reply_state { AT_KIND, AT_LINE, AT_LINE_END, AT_BODY, AT_BODY_CR, AT_BODY_LF };

void reply_parser_init(struct reply_parser *p)
{
    memset(p, 0, sizeof(*p));
}

static void reply_reset(struct reply *r)
{
    r->node_count = 0;
    r->seen = 0;
    r->push = false;
    r->error.len = 0;
    r->error.text[0] = 0;
}

static bool parser_hidden(const struct reply_parser *p)
{
    return p->depth > 0 && p->frames[p->depth - 1].hidden;
}

/* Keeps p->now in the reply. */
static void node_keep(struct reply_parser *p)
{
    struct reply *r = &p->reply;

    if (parser_hidden(p)) {
        return;
    }
    p->now.depth = p->depth;
    p->now.text[p->now.len] = 0;
    r->seen++;
    if (r->node_count < REPLY_NODES_MAX) {
        r->nodes[r->node_count++] = p->now;
    }
    if (p->now.type == REPLY_ERROR && p->depth > 0 && r->error.len == 0) {
        r->error = p->now;
    }
}

/* A value is complete: closes the frames that it fills. */
static void value_end(struct reply_parser *p, bool *done)
{
    while (p->depth > 0) {
        struct reply_frame *f = &p->frames[p->depth - 1];

        f->left--;
        if (f->left > 0) {
            break;
        }
        p->depth--;
        if (f->attribute) {
            /* What it describes is still to come, and is the value that the frame outside counts */
            p->state = AT_KIND;
            return;
        }
    }
    p->state = AT_KIND;
    *done = p->depth == 0;
}

static enum oxbow_err array_begin(struct reply_parser *p, int64_t count, uint64_t each, bool *done)
{
    bool attribute = p->kind == '|';
    bool hidden = attribute || parser_hidden(p);

    if (count > (int64_t)REPLY_COUNT_MAX || p->depth == REPLY_DEPTH_MAX) {
        return OXBOW_EPARSE;
    }
    if (!attribute) {
        p->now.type = REPLY_ARRAY;
        p->now.integer = count * (int64_t)each;
        node_keep(p);
        if (p->depth == 0 && p->kind == '>') {
            p->reply.push = true;
        }
    }
    if (count == 0) {
        if (attribute) {
            p->state = AT_KIND;
        } else {
            value_end(p, done);
        }
        return OXBOW_OK;
    }
    p->frames[p->depth++] = (struct reply_frame){
        .left = (uint64_t)count * each, .hidden = hidden, .attribute = attribute};
    p->state = AT_KIND;
    return OXBOW_OK;
}

static enum oxbow_err value_simple(struct reply_parser *p, enum reply_type type, bool *done)
{
    p->now.type = type;
    node_keep(p);
    value_end(p, done);
    return OXBOW_OK;
}

static enum oxbow_err value_sized(struct reply_parser *p, int64_t n, bool *done)
{
    switch (p->kind) {
    case '*':
    case '~':
    case '>':
        return n < 0 ? value_simple(p, REPLY_NIL, done) : array_begin(p, n, 1, done);
    case '%':
    case '|':
        return n < 0 ? OXBOW_EPARSE : array_begin(p, n, 2, done);
    default:
        if (n < 0) {
            return value_simple(p, REPLY_NIL, done);
        }
        if (n > REPLY_BULK_MAX) {
            return OXBOW_EPARSE;
        }
        p->now.type = p->kind == '!' ? REPLY_ERROR : REPLY_BULK;
        p->now.len = 0;
        p->now.cut = n > (int64_t)REPLY_TEXT_MAX;
        p->body_left = (uint64_t)n;
        p->state = n > 0 ? AT_BODY : AT_BODY_CR;
        return OXBOW_OK;
    }
}

/* A whole line has been read: `kind` and its text. */
static enum oxbow_err line_end(struct reply_parser *p, bool *done)
{
    uint32_t len = p->line_len < REPLY_TEXT_MAX ? p->line_len : REPLY_TEXT_MAX;
    struct oxbow_bytes text = {p->line, len};
    int64_t n = 0;

    memcpy(p->now.text, p->line, len);
    p->now.len = len;
    p->now.cut = p->line_len > len;
    p->now.integer = 0;
    switch (p->kind) {
    case '+':
    case ',':
    case '(':
        return value_simple(p, REPLY_STATUS, done);
    case '-':
        return value_simple(p, REPLY_ERROR, done);
    case '_':
        return len == 0 ? value_simple(p, REPLY_NIL, done) : OXBOW_EPARSE;
    case '#':
        if (len != 1 || (p->line[0] != 't' && p->line[0] != 'f')) {
            return OXBOW_EPARSE;
        }
        p->now.integer = p->line[0] == 't';
        return value_simple(p, REPLY_INTEGER, done);
    default:
        if (p->now.cut || num_i64(text, &n) || (p->kind != ':' && n < -1)) {
            return OXBOW_EPARSE;
        }
        p->now.len = 0;
        if (p->kind == ':') {
            p->now.integer = n;
            return value_simple(p, REPLY_INTEGER, done);
        }
        return value_sized(p, n, done);
    }
}

static enum oxbow_err kind_begin(struct reply_parser *p, char c)
{
    if (c == 0 || strchr("+-:$*_#,(=!%~>|", c) == NULL) {
        return OXBOW_EPARSE;
    }
    if (p->depth == 0) {
        reply_reset(&p->reply);
    }
    p->kind = c;
    p->line_len = 0;
    p->state = AT_LINE;
    return OXBOW_OK;
}

static enum oxbow_err line_byte(struct reply_parser *p, char c)
{
    if (c == '\r') {
        p->state = AT_LINE_END;
        return OXBOW_OK;
    }
    if (c == '\n' || p->line_len == REPLY_LINE_MAX) {
        return OXBOW_EPARSE;
    }
    if (p->line_len < REPLY_TEXT_MAX) {
        p->line[p->line_len] = c;
    }
    p->line_len++;
    return OXBOW_OK;
}

static size_t body_bytes(struct reply_parser *p, const char *data, size_t len)
{
    size_t n = len < p->body_left ? len : (size_t)p->body_left;
    size_t keep = REPLY_TEXT_MAX - p->now.len;

    keep = keep < n ? keep : n;
    memcpy(p->now.text + p->now.len, data, keep);
    p->now.len += (uint32_t)keep;
    p->body_left -= n;
    if (p->body_left == 0) {
        p->state = AT_BODY_CR;
    }
    return n;
}

static enum oxbow_err parser_byte(struct reply_parser *p, char c, bool *done)
{
    switch ((enum reply_state)p->state) {
    case AT_KIND:
        return kind_begin(p, c);
    case AT_LINE:
        return line_byte(p, c);
    case AT_LINE_END:
        return c == '\n' ? line_end(p, done) : OXBOW_EPARSE;
    case AT_BODY_CR:
        p->state = AT_BODY_LF;
        return c == '\r' ? OXBOW_OK : OXBOW_EPARSE;
    case AT_BODY_LF:
        if (c != '\n') {
            return OXBOW_EPARSE;
        }
        node_keep(p);
        value_end(p, done);
        return OXBOW_OK;
    case AT_BODY:
        break;
    }
    return OXBOW_EPARSE;
}

enum oxbow_err reply_feed(struct reply_parser *p, const void *data, size_t len, size_t *used,
                          bool *done)
{
    const char *bytes = data;
    size_t pos = 0;
    bool whole = false;

    while (pos < len && !whole) {
        enum oxbow_err err;

        if (p->state == AT_BODY) {
            pos += body_bytes(p, bytes + pos, len - pos);
            continue;
        }
        err = parser_byte(p, bytes[pos], &whole);
        if (err) {
            return err;
        }
        pos++;
    }
    *used = pos;
    *done = whole;
    return OXBOW_OK;
}

const struct reply_node *reply_at(const struct reply *r, uint32_t i)
{
    uint32_t n, at = 0;

    for (n = 0; n < r->node_count; n++) {
        if (r->nodes[n].depth != 1) {
            continue;
        }
        if (at == i) {
            return &r->nodes[n];
        }
        at++;
    }
    return NULL;
}

const struct reply_node *reply_find(const struct reply *r, const char *key)
{
    uint32_t i;

    for (i = 0; i < REPLY_NODES_MAX; i += 2) {
        const struct reply_node *name = reply_at(r, i);

        if (name == NULL) {
            return NULL;
        }
        if (strcmp(name->text, key) == 0) {
            return reply_at(r, i + 1);
        }
    }
    return NULL;
}
