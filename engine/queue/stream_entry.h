/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream entries as bytes in a chunk. No store, no transaction: bytes in, bytes out. What comes
 * from a disk is checked at every step and answers OXBOW_ECORRUPT.
 *
 * A chunk is the header of chunk.h and entries, oldest first, up to the value's end:
 *
 *   +-------+----------+-----+----------+------+
 *   | flags | ms delta | seq | body len | body |      flags: one byte; the others: varints
 *   +-------+----------+-----+----------+------+
 *
 * The chunk's key holds the id that the chunk was begun with, the base. ms delta counts from the
 * base's ms; seq counts from the base's seq when ms delta is 0 and is the seq itself otherwise. The
 * body is, by flags:
 *
 *   plain    count, then count x (name len, name, value len, value)
 *   SAME     as many (value len, value) as the chunk's first entry has fields; its names are theirs
 *   OUTSIDE  blob number (0: the value under the entry's own key), fields len: the fields, coded
 *            as plain, are kept there
 *
 * The bits above those of the flags are the entry's priority, 0 to 7.
 *
 * DELETED marks an entry that is gone. The first entry is never SAME, and only follows a first
 * entry that is plain.
 */
#ifndef OXBOW_QUEUE_STREAM_ENTRY_H
#define OXBOW_QUEUE_STREAM_ENTRY_H

#include "engine/base/id.h"
#include "engine/queue/chunk.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define STREAM_ENTRY_DELETED 0x01u
#define STREAM_ENTRY_SAME    0x02u
#define STREAM_ENTRY_OUTSIDE 0x04u
#define STREAM_ENTRY_FLAGS   0x3fu /* with the priority's */

/* An entry's priority, from its flags, and there. */
#define STREAM_ENTRY_PRIORITY(flags)    ((uint8_t)((flags) >> 3 & 7u))
#define STREAM_ENTRY_PRIORITY_IN(level) ((uint8_t)((level) << 3))

#define STREAM_ENTRY_MIN      4u /* bytes of the smallest entry */
#define STREAM_ENTRY_HEAD_MAX (1u + 3u * 10u)
#define STREAM_OUTSIDE_MAX    20u /* bytes of an OUTSIDE body */

/* One entry, borrowed from its chunk. */
struct stream_entry {
    struct oxbow_id id;
    uint8_t flags;
    size_t pos;  /* of its flags byte in the chunk */
    size_t next; /* where the entry after it begins */
    const uint8_t *body;
    size_t body_len;
    uint64_t blob;        /* with OUTSIDE */
    uint64_t outside_len; /* with OUTSIDE */
};

/* A chunk being walked from its first entry on. */
struct chunk_walk {
    struct oxbow_bytes bytes;
    struct oxbow_id base;
    size_t pos; /* of the next entry */
    bool any;   /* `last` is set */
    struct oxbow_id last;
};

/* OXBOW_ECORRUPT when the header is none of a stream's chunk. */
OXBOW_MUST_CHECK enum oxbow_err chunk_walk_init(struct chunk_walk *w, struct oxbow_bytes chunk,
                                                struct oxbow_id base);
/* The next entry, deleted ones included. OXBOW_ENOENT at the end; ids grow, or OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err chunk_walk_next(struct chunk_walk *w, struct stream_entry *entry);
/* The entry at a position that chunk_walk_next gave before. */
OXBOW_MUST_CHECK enum oxbow_err chunk_entry_at(const struct chunk_walk *w, size_t pos,
                                               struct stream_entry *entry);

/* Fields of an entry, one at a time. */
struct field_walk {
    uint64_t left;
    const uint8_t *pos;
    const uint8_t *end;
    const uint8_t *names; /* with SAME: the first entry's fields; else NULL */
    const uint8_t *names_end;
};

/* For plain and SAME bodies of this chunk. */
OXBOW_MUST_CHECK enum oxbow_err field_walk_init(struct field_walk *f, const struct chunk_walk *w,
                                                const struct stream_entry *entry);
/* For a plain body kept elsewhere. */
OXBOW_MUST_CHECK enum oxbow_err field_walk_plain(struct field_walk *f, struct oxbow_bytes body);
/* OXBOW_ENOENT after the last one. */
OXBOW_MUST_CHECK enum oxbow_err field_walk_next(struct field_walk *f, struct oxbow_field *field);

/* ---- encoding ---- */

/* Bytes of the fields as a plain body; UINT64_MAX when that is beyond all limits. */
uint64_t fields_plain_len(const struct oxbow_field *fields, uint32_t count);
/* Writes them; returns the length. */
size_t fields_plain_put(uint8_t *out, const struct oxbow_field *fields, uint32_t count);
/* Whether the names are those of the chunk's first entry, in their order; then *len is the length
 * of a SAME body. */
bool fields_same(struct oxbow_bytes chunk, const struct oxbow_field *fields, uint32_t count,
                 uint64_t *len);
size_t fields_same_put(uint8_t *out, const struct oxbow_field *fields, uint32_t count);
/* Writes an entry up to its body; returns the length. id is not below base. */
size_t entry_head_put(uint8_t out[STREAM_ENTRY_HEAD_MAX], uint8_t flags, struct oxbow_id base,
                      struct oxbow_id id, size_t body_len);

#endif
