/* SPDX-License-Identifier: Apache-2.0 */
/* The header record: which state of the store the tree holds. Its key is KV_SPACE_STORE, 'h'. */
#ifndef OXBOW_STORE_HEADER_H
#define OXBOW_STORE_HEADER_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#define HEADER_BYTES     64u
#define HEADER_KEY_BYTES 2u

/* Written inside each write transaction of the tree. */
struct tree_header {
    uint64_t lsn;
    uint64_t boot;
    uint64_t store_id;
    uint64_t next_blob;
    uint64_t largest_txn; /* bytes: what the reserve is sized by */
    uint64_t digest;      /* sum of the hashes of all keys but the header's */
    uint64_t keys;        /* how many those are */
};

struct oxbow_bytes header_key(void);
void header_encode(uint8_t out[HEADER_BYTES], const struct tree_header *h);
/* From the enveloped value. OXBOW_ECORRUPT, OXBOW_EFORMAT. */
OXBOW_MUST_CHECK enum oxbow_err header_decode(struct oxbow_bytes raw, struct tree_header *h);

#endif
