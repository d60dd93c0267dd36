/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-width integers to and from bytes: be for keys (they sort), le for values. */
#ifndef OXBOW_BASE_CODEC_H
#define OXBOW_BASE_CODEC_H

#include <stddef.h>
#include <stdint.h>

static inline void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}

static inline uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t get_be64(const uint8_t *p)
{
    return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
    put_le16(p, (uint16_t)v);
    put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
    put_le32(p, (uint32_t)v);
    put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_le32(const uint8_t *p)
{
    return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static inline uint64_t get_le64(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

/* Unsigned LEB128: 7 bits a byte, lowest first, at most 10 bytes. */
#define VARINT_MAX 10u

static inline size_t varint_len(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

/* Writes v and returns its length. */
static inline size_t varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Reads one from at most len bytes; returns its length, or 0 when it is cut short, over 64 bits, or
 * longer than it need be. */
static inline size_t varint_get(const uint8_t *p, size_t len, uint64_t *v)
{
    uint64_t out = 0;
    size_t n;

    for (n = 0; n < len && n < VARINT_MAX; n++) {
        uint64_t part = p[n] & 0x7fu;

        if ((n == VARINT_MAX - 1 && part > 1) || (n > 0 && p[n] == 0)) {
            return 0;
        }
        out |= part << (7 * n);
        if ((p[n] & 0x80) == 0) {
            *v = out;
            return n + 1;
        }
    }
    return 0;
}

#endif
