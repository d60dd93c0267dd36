/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the journal, as bytes. A frame is a head and then transactions, each of them its length
 * and its effects. It is the atomic unit of replay: a frame counts whole or not at all.
 *
 * Its checksum is seeded with the store's id, and the head carries the checksum of the frame before:
 * what another store or an earlier life of this one left in the file never fits.
 */
#ifndef OXBOW_STORE_FRAME_H
#define OXBOW_STORE_FRAME_H

#include "engine/base/buf.h"
#include "engine/base/hash.h"

#include <stdbool.h>

#define FRAME_HEAD_BYTES 56u
#define FRAME_ALIGN      8u           /* a frame begins at a multiple of this */
#define FRAME_BYTES_MAX  (256u << 10) /* of a whole frame */

struct frame {
    uint64_t generation;   /* of the segment: how many were begun in this incarnation */
    uint64_t incarnation;  /* the boot that wrote it */
    uint64_t first;        /* LSN of its first transaction */
    uint64_t durable_upto; /* the LSN known to be on the device when it was made */
    uint32_t count;        /* of transactions, at least 1 */
    uint32_t length;       /* of what follows the head */
    uint32_t before;       /* checksum of the frame before, 0 in front of an incarnation's first */
    uint32_t crc;          /* over all but magic and itself */
};

/* Where one frame ends and the next may begin. */
static inline uint64_t frame_end(uint64_t pos, uint32_t length)
{
    return (pos + FRAME_HEAD_BYTES + length + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* Writes the head in front of its `length` bytes, which stand at head + FRAME_HEAD_BYTES, and sets
 * f->crc. */
void frame_seal(crc32c_fn *crc, uint8_t *head, struct frame *f, uint64_t store_id);
/* What the head says, without any checksum. False when it is not one. */
bool frame_head(const uint8_t raw[FRAME_HEAD_BYTES], struct frame *f);
/* Whether most of a head says what that of `like` would: magic, generation, incarnation, first and
 * before; incarnation or first among it. One that was damaged or not written to its end does; stale
 * ones and other bytes do not. */
bool frame_traces(const uint8_t raw[FRAME_HEAD_BYTES], const struct frame *like);
/* Whether the checksum of head and content is right. `raw` has FRAME_HEAD_BYTES + f->length. */
bool frame_whole(crc32c_fn *crc, const uint8_t *raw, const struct frame *f, uint64_t store_id);

/* ---- what is in a transaction ---- */

enum effect_kind {
    EFFECT_PUT = 1,   /* key := bytes */
    EFFECT_PATCH = 2, /* key[pos, pos+len) := bytes */
    EFFECT_DEL = 3    /* also each key of a deleted range, and of a blob's mark */
};

/* What an operation came to, resolved: it can be done again without a clock, a configuration or the
 * semantics of queues. */
struct effect {
    enum effect_kind kind;
    struct oxbow_bytes key;
    size_t pos;
    struct oxbow_bytes bytes;
};

/* OXBOW_ENOMEM, OXBOW_ETOOBIG (the buffer's limit); then the buffer is as before. */
OXBOW_MUST_CHECK enum oxbow_err effect_put(struct buf *b, const struct effect *e);
/* Makes the effect that begins at `at` and ends the buffer say `e` as well: a patch that goes on where
 * it ends. False: it is no such effect, or there is no room. */
bool effect_extend(struct buf *b, size_t at, const struct effect *e);
/* Overwrites the bytes of the effect that begins at `at`, of the same key, if it is of the same kind,
 * position and length. False: it is not. */
bool effect_replace(struct buf *b, size_t at, const struct effect *e);
/* Whether the patch that begins at `at` and the patch `e` touch different bytes. */
bool effect_apart(const struct buf *b, size_t at, const struct effect *e);
/* Takes the next one off *rest; borrowed from it. OXBOW_EFORMAT. */
OXBOW_MUST_CHECK enum oxbow_err effect_take(struct oxbow_bytes *rest, struct effect *e);

/* A transaction in a frame: its length, then its effects. Errors as above. */
OXBOW_MUST_CHECK enum oxbow_err frame_add(struct buf *b, struct oxbow_bytes effects);
OXBOW_MUST_CHECK enum oxbow_err frame_take(struct oxbow_bytes *rest, struct oxbow_bytes *effects);

#endif
