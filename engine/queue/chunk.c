/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes the header that all chunks share. What follows the header is the business of
 * the kind (list_chunk.c, stream's own), as is keeping own16 and own32 up to date.
 *
 * Invariant: what chunk_head_encode writes, chunk_head_decode reads back, times above 48 bits
 * clamped.
 */
#include "engine/queue/chunk.h"

#include "engine/base/codec.h"

#define TIME_MAX (((uint64_t)1 << 48) - 1)

static void put_le48(uint8_t *p, uint64_t v)
{
    if (v > TIME_MAX) {
        v = TIME_MAX;
    }
    put_le32(p, (uint32_t)v);
    put_le16(p + 4, (uint16_t)(v >> 32));
}

static uint64_t get_le48(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le16(p + 4) << 32;
}

void chunk_head_init(struct chunk_head *head, struct oxbow_txn *txn, enum chunk_kind kind)
{
    uint64_t boot = txn_boot(txn);

    *head = (struct chunk_head){
        .kind = kind,
        .boot = boot > UINT32_MAX ? UINT32_MAX : (uint32_t)boot,
        .uptime_ms = txn_uptime_ms(txn),
        .wall_ms = txn_wall_ms(txn),
    };
}

void chunk_head_encode(uint8_t out[CHUNK_HEADER], const struct chunk_head *head)
{
    out[0] = CHUNK_FORMAT;
    out[1] = (uint8_t)head->kind;
    put_le16(out + CHUNK_AT_OWN16, head->own16);
    put_le32(out + 4, head->boot);
    put_le48(out + 8, head->uptime_ms);
    put_le48(out + 14, head->wall_ms);
    put_le32(out + CHUNK_AT_OWN32, head->own32);
}

enum oxbow_err chunk_head_decode(struct oxbow_bytes chunk, struct chunk_head *head)
{
    const uint8_t *p = chunk.data;

    if (chunk.len < CHUNK_HEADER || chunk.len > CHUNK_MAX || p[0] != CHUNK_FORMAT ||
        p[1] < CHUNK_LIST_RIGHT || p[1] > CHUNK_STREAM) {
        return OXBOW_ECORRUPT;
    }
    *head = (struct chunk_head){
        .kind = (enum chunk_kind)p[1],
        .own16 = get_le16(p + CHUNK_AT_OWN16),
        .own32 = get_le32(p + CHUNK_AT_OWN32),
        .boot = get_le32(p + 4),
        .uptime_ms = get_le48(p + 8),
        .wall_ms = get_le48(p + 14),
    };
    return OXBOW_OK;
}
