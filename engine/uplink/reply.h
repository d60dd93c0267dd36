/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of a Redis server, RESP2 and RESP3, parsed as they arrive.
 *
 * The parser holds no reply: it keeps the first REPLY_NODES_MAX values of one, each text cut at
 * REPLY_TEXT_MAX bytes, counts the rest and skips it. So its memory is fixed whatever is sent to
 * it, and a reply may be split at any byte.
 */
#ifndef OXBOW_UPLINK_REPLY_H
#define OXBOW_UPLINK_REPLY_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define REPLY_NODES_MAX 64u
#define REPLY_TEXT_MAX  255u       /* bytes kept of one text */
#define REPLY_DEPTH_MAX 8u         /* nested arrays */
#define REPLY_COUNT_MAX 0x100000u  /* elements in one array */
#define REPLY_BULK_MAX  0x20000000 /* bytes in one bulk string, as Redis itself limits it */
#define REPLY_LINE_MAX  0x10000u   /* bytes in one line */

enum reply_type { REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_BULK, REPLY_NIL, REPLY_ARRAY };

struct reply_node {
    enum reply_type type;
    uint32_t depth;  /* 0: the reply itself */
    int64_t integer; /* INTEGER; ARRAY: elements */
    uint32_t len;    /* of text */
    bool cut;        /* the text was longer */
    char text[REPLY_TEXT_MAX + 1];
};

/* Maps count as arrays of twice as many, sets and pushes as arrays, booleans as integers, doubles
 * and big numbers as statuses, verbatim strings as bulks. Attributes are skipped. */
struct reply {
    struct reply_node nodes[REPLY_NODES_MAX];
    uint32_t node_count;     /* kept */
    uint64_t seen;           /* nodes in all */
    bool push;               /* RESP3: out of band */
    struct reply_node error; /* the first error inside an array; len 0: none */
};

struct reply_frame {
    uint64_t left; /* values still to come */
    bool hidden;   /* an attribute, or inside one */
    bool attribute;
};

struct reply_parser {
    struct reply reply;
    struct reply_node now;     /* being read */
    int state;                 /* enum reply_state, in reply.c */
    char kind;                 /* first byte of the line */
    uint32_t line_len;         /* bytes of the line so far, also those not kept */
    char line[REPLY_TEXT_MAX]; /* kept ones */
    uint64_t body_left;        /* of a bulk */
    uint32_t depth;
    struct reply_frame frames[REPLY_DEPTH_MAX];
};

void reply_parser_init(struct reply_parser *p);
/* Takes bytes up to the end of one reply at most. *used says how many, *done whether p->reply is
 * complete; it lives until the next call. OXBOW_EPARSE: not RESP, or beyond a limit above; then
 * the parser must not be fed any more. */
OXBOW_MUST_CHECK enum oxbow_err reply_feed(struct reply_parser *p, const void *data, size_t len,
                                           size_t *used, bool *done);

/* The node that follows the name `key` in a flat array of pairs at depth 1; NULL: none kept. */
const struct reply_node *reply_find(const struct reply *r, const char *key);
/* The reply's i-th element at depth 1, counted from 0; NULL: none kept. */
const struct reply_node *reply_at(const struct reply *r, uint32_t i);

#endif
