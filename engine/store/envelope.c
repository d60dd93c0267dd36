/* SPDX-License-Identifier: Apache-2.0 */
/* Wraps and unwraps stored values. The checksum binds the key, so that a value that turns up under
 * another key is found out too. */
#include "engine/store/envelope.h"

#include "engine/base/codec.h"

#include <string.h>

static uint32_t sum(crc32c_fn *crc, struct oxbow_bytes key, const uint8_t *body, size_t len)
{
    return crc(crc(0, key.data, key.len), body, len);
}

void envelope_put(crc32c_fn *crc, uint8_t *out, struct oxbow_bytes key, struct oxbow_bytes value)
{
    out[4] = ENVELOPE_PLAIN;
    if (value.len > 0) {
        memcpy(out + ENVELOPE_BYTES, value.data, value.len);
    }
    put_le32(out, sum(crc, key, out + 4, 1 + value.len));
}

/* What a change of p[0, len) to `now` does to the checksum of a value that has `behind` more bytes:
 * a CRC is linear, so it is that of the difference, zeros behind it, from nothing. */
static uint32_t sum_change(crc32c_fn *f, const uint8_t *p, struct oxbow_bytes now, size_t behind)
{
    static const uint8_t zeros[256] = {0};
    const uint8_t *to = now.data;
    uint32_t crc = UINT32_MAX; /* which crc32c takes for nothing */
    size_t i;

    for (i = 0; i < now.len; i++) {
        uint8_t differs = p[i] ^ to[i];

        crc = f(crc, &differs, 1);
    }
    for (; behind > sizeof zeros; behind -= sizeof zeros) {
        crc = f(crc, zeros, sizeof zeros);
    }
    return ~f(crc, zeros, behind);
}

void envelope_extend(crc32c_fn *crc, uint8_t *out, struct oxbow_bytes old,
                     const struct envelope_change *change)
{
    uint8_t *at = out + ENVELOPE_BYTES + change->at;
    struct oxbow_bytes back = change->back;

    memcpy(out, old.data, old.len);
    if (change->patch.len > 0) {
        size_t behind = old.len - ENVELOPE_BYTES - change->at - change->patch.len;

        put_le32(out, get_le32(out) ^ sum_change(crc, at, change->patch, behind));
        memcpy(at, change->patch.data, change->patch.len);
    }
    if (back.len > 0) {
        memcpy(out + old.len, back.data, back.len);
        put_le32(out, crc(get_le32(out), back.data, back.len));
    }
}

enum oxbow_err envelope_get(crc32c_fn *crc, struct oxbow_bytes key, struct oxbow_bytes raw,
                            struct oxbow_bytes *value)
{
    const uint8_t *p = raw.data;

    if (raw.len < ENVELOPE_BYTES || get_le32(p) != sum(crc, key, p + 4, raw.len - 4) ||
        p[4] != ENVELOPE_PLAIN) {
        return OXBOW_ECORRUPT;
    }
    *value = (struct oxbow_bytes){p + ENVELOPE_BYTES, raw.len - ENVELOPE_BYTES};
    return OXBOW_OK;
}
