/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replies to one RESP connection, in the protocol version that it speaks.
 *
 * Writing returns nothing: when memory is out, or a reply would go beyond the cap, the struct fails,
 * takes no more, and resp_reply_failed says so; the connection must then be closed, since what it
 * holds ends in the middle of a reply.
 *
 * What was written is taken from the front in steps (resp_reply_peek, resp_reply_taken). Positions
 * (resp_reply_mark) count all bytes ever written, so that a caller may note "what ends here may
 * leave when this is durable". Between a mark and its rewind, and between a header whose length
 * comes later and that length, nothing may be taken.
 *
 * Types follow Redis 7.0: what RESP2 has no type for is said as Redis says it there. Not for two
 * threads at once.
 */
#ifndef OXBOW_RESP_REPLY_H
#define OXBOW_RESP_REPLY_H

#include "engine/base/buf.h"

#define RESP_REPLY_MAX  0x40000000u /* bytes, when 0 is given: 1 GiB */
#define RESP_REPLY_KEEP 0x4000u     /* bytes kept for the next reply */

/* The fields are the reply's own but for `version`. */
struct resp_reply {
    struct buf in;   /* being written */
    struct buf out;  /* being taken: stays where it is until it is used up */
    size_t sent;     /* bytes of out that were taken */
    uint64_t before; /* bytes ever written before in's first */
    size_t len_max;  /* of both together */
    uint8_t version; /* 2 or 3: set by HELLO and RESET */
    bool failed;
    bool full; /* and it was for the cap */
};

/* A header whose length is not known yet. */
struct resp_later {
    uint64_t at;
    uint8_t factor; /* elements for each one counted */
};

/* `alloc` is borrowed for the reply's life; len_max 0: RESP_REPLY_MAX. Version 2. Allocates
 * nothing. */
void resp_reply_init(struct resp_reply *r, const struct oxbow_alloc *alloc, size_t len_max);
void resp_reply_fini(struct resp_reply *r);
/* Another cap, from the next write on. 0: RESP_REPLY_MAX. */
void resp_reply_limit(struct resp_reply *r, size_t len_max);
bool resp_reply_failed(const struct resp_reply *r);
/* Whether it failed since a reply would have gone beyond the cap. */
bool resp_reply_full(const struct resp_reply *r);

/* One reply, or one element of an array that has been announced. */
void resp_ok(struct resp_reply *r);
/* `text`: no CR or LF in it. */
void resp_simple(struct resp_reply *r, const char *text);
/* `text` starts with its code ("ERR syntax error"). CR and LF become blanks. */
void resp_error(struct resp_reply *r, const char *text);
/* The same from a format; cut at 1023 bytes. */
void resp_error_format(struct resp_reply *r, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
/* What Redis would say of it; otherwise the row's prefix and text. Not for OXBOW_OK. */
void resp_error_of(struct resp_reply *r, enum oxbow_err err);
/* The text of the above, without the '-': a static string. */
const char *resp_error_text(enum oxbow_err err);
void resp_int(struct resp_reply *r, int64_t v);
void resp_bulk(struct resp_reply *r, struct oxbow_bytes bytes);
void resp_bulk_text(struct resp_reply *r, const char *text);
/* An integer as a bulk string. */
void resp_bulk_int(struct resp_reply *r, int64_t v);
/* "ms-seq" as a bulk string. */
void resp_bulk_id(struct resp_reply *r, struct oxbow_id id);
/* A bulk string of `len` bytes for the caller to fill, at once; NULL once failed. */
uint8_t *resp_bulk_space(struct resp_reply *r, size_t len);
void resp_null(struct resp_reply *r);             /* RESP2 `$-1` */
void resp_null_array(struct resp_reply *r);       /* RESP2 `*-1` */
void resp_double(struct resp_reply *r, double v); /* %.17g; RESP2: a bulk string */
void resp_bool(struct resp_reply *r, bool v);     /* RESP2: an integer */
/* Text for people: `=txt:`; RESP2: a bulk string. */
void resp_verbatim(struct resp_reply *r, struct oxbow_bytes text);
/* A number of any size in decimal digits; RESP2: a bulk string. */
void resp_bignum(struct resp_reply *r, struct oxbow_bytes digits);
/* Replies that are made already, as they are. */
void resp_raw(struct resp_reply *r, struct oxbow_bytes bytes);

/* Headers. What they announce must follow. */
void resp_array(struct resp_reply *r, size_t count);
void resp_map(struct resp_reply *r, size_t pairs);  /* RESP2: an array of twice as many */
void resp_set(struct resp_reply *r, size_t count);  /* RESP2: an array */
void resp_push(struct resp_reply *r, size_t count); /* RESP2: an array */

/* The same when the count comes to light by writing what is counted; resp_later_set then says it.
 * Those that began last are set first. */
struct resp_later resp_array_later(struct resp_reply *r);
struct resp_later resp_map_later(struct resp_reply *r);
struct resp_later resp_set_later(struct resp_reply *r);
void resp_later_set(struct resp_reply *r, struct resp_later later, size_t count);

/* How many bytes were ever written. */
uint64_t resp_reply_mark(const struct resp_reply *r);
/* Takes back what was written after the mark; a failure stays. */
void resp_reply_rewind(struct resp_reply *r, uint64_t mark);

/* The bytes that were written and not taken, up to the position `upto` (UINT64_MAX: all), or the
 * first part of them. They stay valid and where they are, whatever is written meanwhile, until
 * they have been taken. */
struct oxbow_bytes resp_reply_peek(struct resp_reply *r, uint64_t upto);
/* The first n bytes of what was peeked are gone. */
void resp_reply_taken(struct resp_reply *r, size_t n);
/* Bytes written and not taken, and bytes allocated. */
size_t resp_reply_pending(const struct resp_reply *r);
size_t resp_reply_memory(const struct resp_reply *r);
/* For a connection that has been quiet: gives back the memory that holds nothing. */
void resp_reply_idle(struct resp_reply *r);

#endif
