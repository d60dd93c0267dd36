/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of one RESP connection, taken apart as their bytes arrive.
 *
 * The caller reads from its socket straight into the reader's buffer (resp_reader_room, then
 * resp_reader_fed) and takes requests out until there are no more:
 *
 *     resp_reader_room(r, want, &buf, &len)  ->  read()  ->  resp_reader_fed(r, n)
 *     while (resp_reader_next(r, &request) == RESP_READ_REQUEST) ...
 *
 * Requests may be split at any byte and come many at once. What is accepted, what is skipped (empty
 * requests) and what is said of malformed ones follow Redis 7.0 to the letter: arrays of bulk
 * strings, and inline commands with its quoting. As with Redis, the two bytes after a bulk string
 * and the one after a length's CR are skipped whatever they are, and a zero byte within a line
 * means that the line has no end.
 *
 * Memory grows with what has come, never with what was announced alone. A reader is one thread's.
 */
#ifndef OXBOW_RESP_READER_H
#define OXBOW_RESP_READER_H

#include "oxbow/port.h"

#define RESP_ARGS_MAX    2147483647u /* arguments in a request */
#define RESP_BULK_MAX    0x20000000u /* bytes in one argument: 512 MiB */
#define RESP_INLINE_MAX  0x10000u    /* bytes before the end of an inline command or a length */
#define RESP_BUFFER_MAX  0x40000000u /* bytes of requests not taken yet: 1 GiB */
#define RESP_GUEST_ARGS  10u         /* before authentication */
#define RESP_GUEST_BULK  16384u      /* before authentication */
#define RESP_READER_KEEP 0x10000u    /* bytes that a reader keeps for the next request */

/* All zero: the limits above, for a connection that need not authenticate. */
struct resp_limits {
    uint32_t args_max;   /* 0: RESP_ARGS_MAX */
    uint32_t inline_max; /* bytes; 0: RESP_INLINE_MAX */
    uint64_t bulk_max;   /* bytes; 0: RESP_BULK_MAX. Redis: proto-max-bulk-len */
    uint64_t buffer_max; /* bytes of one request and what was read with it; and, again, of what
                            remembers its arguments (24 each). 0: RESP_BUFFER_MAX; at most 4 GiB - 1.
                            Redis: client-query-buffer-limit */
    bool guest;          /* not authenticated yet: RESP_GUEST_ARGS and RESP_GUEST_BULK as well */
};

struct resp_span {
    uint32_t pos; /* from the request's first byte */
    uint32_t len;
};

/* The fields are the reader's own. */
struct resp_reader {
    const struct oxbow_alloc *alloc;
    struct resp_limits limits; /* with the defaults filled in */
    uint8_t *data;
    size_t cap, len;         /* allocated; filled */
    size_t head;             /* where the request being read begins */
    size_t pos;              /* parsed bytes of it, from head */
    size_t scanned;          /* from pos: no end of line in there */
    struct resp_span *spans; /* its arguments so far */
    struct oxbow_bytes *args;
    uint32_t spans_cap, args_cap;
    uint32_t count, count_want; /* arguments; announced ones, 0: no array has begun */
    uint64_t bulk_len;          /* of the argument being read */
    bool in_bulk;               /* bulk_len is known */
    bool given;                 /* the request before pos was handed out: to be dropped */
    const char *broken;         /* why nothing more is read; NULL: it is */
    char text[48];
};

struct resp_request {
    const struct oxbow_bytes *args; /* at least one; borrowed until the next call of
                                       resp_reader_next, _room, _idle or _fini */
    size_t count;
    size_t bytes;      /* that it took on the wire */
    const char *error; /* RESP_READ_BROKEN alone: what to reply before closing, "ERR Protocol
                          error: ..."; "" to close without a word. Lives as long as the reader */
};

enum resp_read {
    RESP_READ_MORE,    /* no whole request yet */
    RESP_READ_REQUEST, /* out->args */
    RESP_READ_BROKEN,  /* malformed, beyond a limit or out of memory: now and for ever */
};

/* `alloc` is borrowed for the reader's life. Allocates nothing. NULL limits: all zero. */
void resp_reader_init(struct resp_reader *r, const struct oxbow_alloc *alloc,
                      const struct resp_limits *limits);
void resp_reader_fini(struct resp_reader *r);
/* Other limits from the next length or line on: after AUTH, RESET or CONFIG SET. */
void resp_reader_limits(struct resp_reader *r, const struct resp_limits *limits);

/* Where to read to: at least one byte, and about `want` (a quarter or more, if the limits allow it).
 * *buf is borrowed until the next call on the reader but for resp_reader_fed. OXBOW_ENOMEM; OXBOW_ETOOBIG when buffer_max
 * bytes are there and not taken; OXBOW_EPARSE once broken. */
OXBOW_MUST_CHECK enum oxbow_err resp_reader_room(struct resp_reader *r, size_t want, uint8_t **buf,
                                                 size_t *len);
/* The first n bytes of the room have been filled. */
void resp_reader_fed(struct resp_reader *r, size_t n);

/* The next request, if it is there as a whole. */
enum resp_read resp_reader_next(struct resp_reader *r, struct resp_request *out);

/* Where the next request begins, and back to there: requests that were taken since come again. Good
 * until the next call of resp_reader_room or _idle. An inline request does not come again as it
 * was: it is taken apart where it lies. */
size_t resp_reader_mark(const struct resp_reader *r);
void resp_reader_rewind(struct resp_reader *r, size_t mark);
/* Whether the request that was just given came as a line. */
bool resp_reader_was_inline(const struct resp_reader *r);

/* Whether what comes next is, or begins as, a line. False also when nothing has come. */
bool resp_reader_begins_inline(const struct resp_reader *r);

/* Bytes fed that no request given so far has used up. */
size_t resp_reader_pending(const struct resp_reader *r);
/* Bytes allocated. */
size_t resp_reader_memory(const struct resp_reader *r);
/* For a connection that has been quiet: gives all memory back unless part of a request is held. */
void resp_reader_idle(struct resp_reader *r);

#endif
