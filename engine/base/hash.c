/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C in portable C, eight bytes at a step, and a 64-bit hash. Both read their input as little
 * endian bytes, so that the values are the same on every machine: they are stored.
 */
#include "engine/base/hash.h"

#include "engine/base/codec.h"
#include "engine/base/crc32c_table.h"

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    while (len >= 8) {
        uint32_t lo = get_le32(p) ^ crc;
        uint32_t hi = get_le32(p + 4);

        crc = crc32c_table[7][lo & 0xff] ^ crc32c_table[6][lo >> 8 & 0xff] ^
              crc32c_table[5][lo >> 16 & 0xff] ^ crc32c_table[4][lo >> 24] ^
              crc32c_table[3][hi & 0xff] ^ crc32c_table[2][hi >> 8 & 0xff] ^
              crc32c_table[1][hi >> 16 & 0xff] ^ crc32c_table[0][hi >> 24];
        p += 8;
        len -= 8;
    }
    while (len-- > 0) {
        crc = crc >> 8 ^ crc32c_table[0][(crc ^ *p++) & 0xff];
    }
    return ~crc;
}

/* Odd constants with about half their bits set: the golden ratio and the square roots of 2 and 3,
 * as 64-bit fractions. */
#define HASH_GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define HASH_ROOT_2 UINT64_C(0x6a09e667f3bcc909)
#define HASH_ROOT_3 UINT64_C(0xbb67ae8584caa73b)

/* A bijection in which each bit of the input reaches about half the bits of the output. */
static uint64_t mix64(uint64_t v)
{
    v ^= v >> 32;
    v *= HASH_GOLDEN;
    v ^= v >> 29;
    v *= HASH_ROOT_2;
    v ^= v >> 32;
    return v;
}

uint64_t hash64(const void *data, size_t len, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = mix64(seed + HASH_ROOT_3) ^ (uint64_t)len * HASH_GOLDEN;
    uint64_t tail = 0;
    size_t i;

    for (; len >= 8; len -= 8, p += 8) {
        h = mix64(h ^ get_le64(p)) + HASH_ROOT_3;
    }
    for (i = 0; i < len; i++) {
        tail |= (uint64_t)p[i] << (8 * i);
    }
    return mix64(mix64(h ^ tail) + HASH_GOLDEN);
}
