/* SPDX-License-Identifier: Apache-2.0 */
/* The header record: which state of the store the tree holds. Its key is KV_SPACE_STORE, 'h'. */
#ifndef OXBOW_STORE_HEADER_H
#define OXBOW_STORE_HEADER_H

#include "engine/store/clock.h"
#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define HEADER_BYTES     160u
#define HEADER_KEY_BYTES 2u

/* What the device has taken over the store's life, as known when the header was written: all but the
 * pages of that very transaction, which follow from what its file held before. */
struct header_wear {
    uint64_t journal;      /* bytes */
    uint64_t other;        /* bytes */
    uint64_t payload;      /* bytes that callers put in */
    uint64_t open_ms;      /* how long the store was open to be written */
    uint64_t pages;        /* by the tree's transactions before this one */
    uint64_t pages_before; /* the file's, before this transaction; 0: not known */
    uint64_t free_before;  /* of them on the free list */
};

/* Written inside each write transaction of the tree. */
struct tree_header {
    uint64_t lsn;
    uint64_t boot;
    uint64_t store_id;
    uint64_t next_blob;
    uint64_t largest_txn; /* bytes: what the reserve is sized by */
    uint64_t digest;      /* sum of the hashes of all keys but the header's */
    uint64_t keys;        /* how many those are */
    struct header_wear wear;
    struct clock_mark clock;
    bool closed;  /* the store was closed with this: nothing comes after it */
    bool journal; /* what comes after it may be in a journal that was whole */
};

struct oxbow_bytes header_key(void);
void header_encode(uint8_t out[HEADER_BYTES], const struct tree_header *h);
/* From the enveloped value. OXBOW_ECORRUPT, OXBOW_EFORMAT. */
OXBOW_MUST_CHECK enum oxbow_err header_decode(struct oxbow_bytes raw, struct tree_header *h);

#endif
