/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of a stored value:
 *
 *   0        4      5
 *   | crc le | type | value ...
 *
 * crc: CRC-32C over key, type and value. type: 1, a plain value; all else is of the future.
 */
#ifndef OXBOW_STORE_ENVELOPE_H
#define OXBOW_STORE_ENVELOPE_H

#include "engine/base/hash.h"
#include "oxbow/error.h"
#include "oxbow/types.h"

#define ENVELOPE_BYTES 5u
#define ENVELOPE_PLAIN 1u

/* `crc` sums: crc32c, or what does the same faster. */

/* Writes ENVELOPE_BYTES, then the value, to out. */
void envelope_put(crc32c_fn *crc, uint8_t *out, struct oxbow_bytes key, struct oxbow_bytes value);
/* What becomes of a stored value: some of its bytes change, and some follow behind. */
struct envelope_change {
    size_t at;
    struct oxbow_bytes patch; /* stands at `at` in the value, within what is stored */
    struct oxbow_bytes back;
};
/* The same for a value of which `old`, with its envelope, is stored. The checksum is continued and
 * not made anew, so that damage to what is stored, before now or until then, is found out as ever. */
void envelope_extend(crc32c_fn *crc, uint8_t *out, struct oxbow_bytes old,
                     const struct envelope_change *change);
/* *value is borrowed from raw. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err envelope_get(crc32c_fn *crc, struct oxbow_bytes key,
                                             struct oxbow_bytes raw, struct oxbow_bytes *value);

#endif
