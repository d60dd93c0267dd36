/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 of bytes that are all there, after FIPS 180-4: block by block, the last one or two of them
 * padded in a copy. */
#include "engine/base/sha1.h"

#include <stdint.h>
#include <string.h>

#define BLOCK 64u

static uint32_t rotate(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20) {
        return ((b & c) | (~b & d)) + 0x5a827999u;
    }
    if (t < 40) {
        return (b ^ c ^ d) + 0x6ed9eba1u;
    }
    if (t < 60) {
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
    }
    return (b ^ c ^ d) + 0xca62c1d6u;
}

static void add_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80];
    uint32_t a = h[0];
    uint32_t b = h[1];
    uint32_t c = h[2];
    uint32_t d = h[3];
    uint32_t e = h[4];

    for (unsigned t = 0; t < 16; t++) {
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
               (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
    }
    for (unsigned t = 16; t < 80; t++) {
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    for (unsigned t = 0; t < 80; t++) {
        uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + w[t];

        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void sha1_hex(const void *data, size_t len, char out[SHA1_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t h[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    uint8_t last[2 * BLOCK] = {0};
    const uint8_t *p = data;
    size_t rest = len % BLOCK;
    size_t blocks = rest < BLOCK - 8 ? 1 : 2;
    uint64_t bits = (uint64_t)len * 8;

    for (size_t i = 0; i + BLOCK <= len; i += BLOCK) {
        add_block(h, p + i);
    }
    if (rest > 0) {
        memcpy(last, p + (len - rest), rest);
    }
    last[rest] = 0x80;
    for (unsigned i = 0; i < 8; i++) {
        last[blocks * BLOCK - 1 - i] = (uint8_t)(bits >> (8 * i));
    }
    for (size_t i = 0; i < blocks; i++) {
        add_block(h, last + i * BLOCK);
    }
    for (unsigned i = 0; i < SHA1_HEX_LEN; i++) {
        out[i] = digits[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
    }
    out[SHA1_HEX_LEN] = '\0';
}
