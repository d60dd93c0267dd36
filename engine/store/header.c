/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the header record, all little-endian:
 *
 *   0         4        8     16     24         32          40           48       56
 *   | version | flags  | lsn | boot | store id | next blob | largest txn | digest | keys |
 *
 *   64        72      80        88        96      104            112
 *   | journal | other | payload | open ms | pages | pages before | free before |
 *
 *   120        128       136       144       152
 *   | clock ms | mono ms | wall ms | wall at | added ms |
 *
 * A record of 64 bytes, as of stores that kept no account of wear, has zeros for the second line,
 * one of up to 159, as of stores that had no clock, for the third. What follows is ignored.
 *
 * Flags: 1, the store was closed with this record, and nothing was committed after it; 2, what was
 * committed after it may be in the journal, whose files were all there.
 */
#include "engine/store/header.h"

#include "engine/base/codec.h"
#include "engine/store/envelope.h"
#include "engine/store/kv.h"

#define HEADER_VERSION 1u
#define WEAR_AT        64u
#define CLOCK_AT       120u
#define ADDED_AT       152u
#define FLAG_CLOSED    1u
#define FLAG_JOURNAL   2u

static const uint8_t key[HEADER_KEY_BYTES] = {KV_SPACE_STORE, 'h'};

struct oxbow_bytes header_key(void)
{
    return (struct oxbow_bytes){key, sizeof key};
}

void header_encode(uint8_t out[HEADER_BYTES], const struct tree_header *h)
{
    put_le32(out, HEADER_VERSION);
    put_le32(out + 4, (h->closed ? FLAG_CLOSED : 0) | (h->journal ? FLAG_JOURNAL : 0));
    put_le64(out + 8, h->lsn);
    put_le64(out + 16, h->boot);
    put_le64(out + 24, h->store_id);
    put_le64(out + 32, h->next_blob);
    put_le64(out + 40, h->largest_txn);
    put_le64(out + 48, h->digest);
    put_le64(out + 56, h->keys);
    put_le64(out + WEAR_AT, h->wear.journal);
    put_le64(out + WEAR_AT + 8, h->wear.other);
    put_le64(out + WEAR_AT + 16, h->wear.payload);
    put_le64(out + WEAR_AT + 24, h->wear.open_ms);
    put_le64(out + WEAR_AT + 32, h->wear.pages);
    put_le64(out + WEAR_AT + 40, h->wear.pages_before);
    put_le64(out + WEAR_AT + 48, h->wear.free_before);
    put_le64(out + CLOCK_AT, h->clock.clock_ms);
    put_le64(out + CLOCK_AT + 8, h->clock.mono_ms);
    put_le64(out + CLOCK_AT + 16, h->clock.wall_ms);
    put_le64(out + CLOCK_AT + 24, h->clock.wall_at);
    put_le64(out + CLOCK_AT + 32, h->clock.added_ms);
}

static void decode_wear(const uint8_t *p, struct header_wear *w)
{
    w->journal = get_le64(p);
    w->other = get_le64(p + 8);
    w->payload = get_le64(p + 16);
    w->open_ms = get_le64(p + 24);
    w->pages = get_le64(p + 32);
    w->pages_before = get_le64(p + 40);
    w->free_before = get_le64(p + 48);
}

enum oxbow_err header_decode(struct oxbow_bytes raw, struct tree_header *h)
{
    struct oxbow_bytes value;
    const uint8_t *p;

    if (envelope_get(crc32c, header_key(), raw, &value) != OXBOW_OK ||
        (value.len < CLOCK_AT && value.len != WEAR_AT)) {
        return OXBOW_ECORRUPT;
    }
    p = value.data;
    if (get_le32(p) != HEADER_VERSION) {
        return OXBOW_EFORMAT;
    }
    h->closed = (get_le32(p + 4) & FLAG_CLOSED) != 0;
    h->journal = (get_le32(p + 4) & FLAG_JOURNAL) != 0;
    h->lsn = get_le64(p + 8);
    h->boot = get_le64(p + 16);
    h->store_id = get_le64(p + 24);
    h->next_blob = get_le64(p + 32);
    h->largest_txn = get_le64(p + 40);
    h->digest = get_le64(p + 48);
    h->keys = get_le64(p + 56);
    h->wear = (struct header_wear){0};
    if (value.len > WEAR_AT) {
        decode_wear(p + WEAR_AT, &h->wear);
    }
    h->clock = (struct clock_mark){0};
    if (value.len >= ADDED_AT) {
        h->clock = (struct clock_mark){get_le64(p + CLOCK_AT), get_le64(p + CLOCK_AT + 8),
                                       get_le64(p + CLOCK_AT + 16), get_le64(p + CLOCK_AT + 24),
                                       value.len >= HEADER_BYTES ? get_le64(p + ADDED_AT) : 0};
    }
    return OXBOW_OK;
}
