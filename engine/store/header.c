/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the header record, all little-endian:
 *
 *   0         4        8     16     24         32          40           48       56
 *   | version | unused | lsn | boot | store id | next blob | largest txn | digest | keys |
 */
#include "engine/store/header.h"

#include "engine/base/codec.h"
#include "engine/store/envelope.h"
#include "engine/store/kv.h"

#define HEADER_VERSION 1u

static const uint8_t key[HEADER_KEY_BYTES] = {KV_SPACE_STORE, 'h'};

struct oxbow_bytes header_key(void)
{
    return (struct oxbow_bytes){key, sizeof key};
}

void header_encode(uint8_t out[HEADER_BYTES], const struct tree_header *h)
{
    put_le32(out, HEADER_VERSION);
    put_le32(out + 4, 0);
    put_le64(out + 8, h->lsn);
    put_le64(out + 16, h->boot);
    put_le64(out + 24, h->store_id);
    put_le64(out + 32, h->next_blob);
    put_le64(out + 40, h->largest_txn);
    put_le64(out + 48, h->digest);
    put_le64(out + 56, h->keys);
}

enum oxbow_err header_decode(struct oxbow_bytes raw, struct tree_header *h)
{
    struct oxbow_bytes value;
    const uint8_t *p;

    if (envelope_get(header_key(), raw, &value) != OXBOW_OK || value.len < HEADER_BYTES) {
        return OXBOW_ECORRUPT;
    }
    p = value.data;
    if (get_le32(p) != HEADER_VERSION) {
        return OXBOW_EFORMAT;
    }
    h->lsn = get_le64(p + 8);
    h->boot = get_le64(p + 16);
    h->store_id = get_le64(p + 24);
    h->next_blob = get_le64(p + 32);
    h->largest_txn = get_le64(p + 40);
    h->digest = get_le64(p + 48);
    h->keys = get_le64(p + 56);
    return OXBOW_OK;
}
