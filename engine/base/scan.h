/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors of SCAN and its kin: where in the order of hashes to go on.
 *
 * A cursor is the upper 53 bits of a hash, since clients in JavaScript keep cursors in doubles, which
 * hold no more. So all that share these bits are given together.
 */
#ifndef OXBOW_BASE_SCAN_H
#define OXBOW_BASE_SCAN_H

#include <stdint.h>

#define SCAN_CURSOR_MAX ((UINT64_C(1) << 53) - 1)

static inline uint64_t scan_cursor_at(uint64_t hash)
{
    return hash >> 11;
}

/* The lowest hash at the cursor, which is at most SCAN_CURSOR_MAX. */
static inline uint64_t scan_cursor_order(uint64_t cursor)
{
    return cursor << 11;
}

#endif
