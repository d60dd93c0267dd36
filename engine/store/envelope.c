/* SPDX-License-Identifier: Apache-2.0 */
/* Wraps and unwraps stored values. The checksum binds the key, so that a value that turns up under
 * another key is found out too. */
#include "engine/store/envelope.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <string.h>

static uint32_t sum(struct oxbow_bytes key, const uint8_t *body, size_t len)
{
    return crc32c(crc32c(0, key.data, key.len), body, len);
}

void envelope_put(uint8_t *out, struct oxbow_bytes key, struct oxbow_bytes value)
{
    out[4] = ENVELOPE_PLAIN;
    if (value.len > 0) {
        memcpy(out + ENVELOPE_BYTES, value.data, value.len);
    }
    put_le32(out, sum(key, out + 4, 1 + value.len));
}

void envelope_extend(uint8_t *out, struct oxbow_bytes old, struct oxbow_bytes back)
{
    memcpy(out, old.data, old.len);
    if (back.len > 0) {
        memcpy(out + old.len, back.data, back.len);
        put_le32(out, crc32c(get_le32(out), back.data, back.len));
    }
}

enum oxbow_err envelope_get(struct oxbow_bytes key, struct oxbow_bytes raw,
                            struct oxbow_bytes *value)
{
    const uint8_t *p = raw.data;

    if (raw.len < ENVELOPE_BYTES || get_le32(p) != sum(key, p + 4, raw.len - 4) ||
        p[4] != ENVELOPE_PLAIN) {
        return OXBOW_ECORRUPT;
    }
    *value = (struct oxbow_bytes){p + ENVELOPE_BYTES, raw.len - ENVELOPE_BYTES};
    return OXBOW_OK;
}
