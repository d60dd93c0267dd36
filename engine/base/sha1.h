/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (FIPS 180-4), as names of scripts: not to be relied on against somebody who wants two texts
 * to have one name. */
#ifndef OXBOW_BASE_SHA1_H
#define OXBOW_BASE_SHA1_H

#include <stddef.h>

#define SHA1_HEX_LEN 40u

/* The digest of the bytes in lower-case hexadecimal digits, with a zero at the end. */
void sha1_hex(const void *data, size_t len, char out[SHA1_HEX_LEN + 1]);

#endif
