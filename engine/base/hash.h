/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and hashes whose values are stored: they never change. */
#ifndef OXBOW_BASE_HASH_H
#define OXBOW_BASE_HASH_H

#include "oxbow/port.h"

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, reflected, as in RFC 3720) of `len` bytes, continuing from `crc`: start with
 * 0; crc32c(crc32c(0, a), b) is the CRC of a followed by b. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

typedef uint32_t crc32c_fn(uint32_t crc, const void *data, size_t len);
/* The port's, or crc32c when it has none: for what is summed often. */
static inline crc32c_fn *crc32c_of(const struct oxbow_port *port)
{
    return port->crc32c != NULL ? port->crc32c : crc32c;
}

/* A 64-bit hash with good spread over all bits (not keyed, not cryptographic). */
uint64_t hash64(const void *data, size_t len, uint64_t seed);

#endif
