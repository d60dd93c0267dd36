/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header that every chunk begins with, whatever it holds.
 *
 * A chunk is one value of at most CHUNK_MAX bytes that packs many entries of one list or stream.
 * CHUNK_MAX is what fills one 4096-byte overflow page of the data file (16 bytes of page header) to
 * the last byte, with the store's envelope of 5 bytes around it.
 *
 *   0      1      2          4            8               14              20           24
 *   +------+------+----------+------------+---------------+---------------+------------+----
 *   | form | kind | own16 le | boot le32  | uptime_ms le48| wall_ms le48  | own32 le   | body
 *   +------+------+----------+------------+---------------+---------------+------------+----
 *
 * boot, uptime_ms and wall_ms are those of the chunk's first entry: with them the true time of
 * entries that were written before the clock was set can be worked out later. own16 and own32 are
 * the kind's (an entry count, flags); they are zero where a kind says nothing of them.
 */
#ifndef OXBOW_QUEUE_CHUNK_H
#define OXBOW_QUEUE_CHUNK_H

#include "engine/store/kv.h"

#define CHUNK_MAX    4075u
#define CHUNK_HEADER 24u
#define CHUNK_FORMAT 1u

/* Where the kind's own fields are, for kv_patch. */
#define CHUNK_AT_OWN16 2u
#define CHUNK_AT_OWN32 20u

/* Values are stored: never renumbered. */
enum chunk_kind {
    CHUNK_LIST_RIGHT = 1, /* a list's, growing at its right end: entries in list order */
    CHUNK_LIST_LEFT = 2,  /* a list's, growing at its left end: entries in reverse order */
    CHUNK_STREAM = 3
};

struct chunk_head {
    enum chunk_kind kind;
    uint16_t own16;
    uint32_t own32;
    uint32_t boot;      /* the store's open counter; UINT32_MAX stands for all above */
    uint64_t uptime_ms; /* 48 bits are kept; all ones stand for all above */
    uint64_t wall_ms;   /* likewise */
};

/* Fills boot, uptime and wall from the transaction, the rest with zero. */
void chunk_head_init(struct chunk_head *head, struct oxbow_txn *txn, enum chunk_kind kind);
void chunk_head_encode(uint8_t out[CHUNK_HEADER], const struct chunk_head *head);
/* OXBOW_ECORRUPT: shorter than a header, longer than CHUNK_MAX, of another format or kind. */
OXBOW_MUST_CHECK enum oxbow_err chunk_head_decode(struct oxbow_bytes chunk,
                                                  struct chunk_head *head);

#endif
