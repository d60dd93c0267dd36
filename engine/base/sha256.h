/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4). Its time depends on the length alone, not on what is summed. */
#ifndef OXBOW_BASE_SHA256_H
#define OXBOW_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32u

/* The digest of `len` bytes; NULL with len 0 is fine. Any thread. */
void sha256(uint8_t out[SHA256_LEN], const void *data, size_t len);

#endif
