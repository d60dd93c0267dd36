/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids: order, neighbours, text. */
#ifndef OXBOW_BASE_ID_H
#define OXBOW_BASE_ID_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define ID_TEXT_MAX 42u /* two 20-digit numbers, '-', and the closing zero */
#define ID_KEY_LEN  16u /* be64 ms, be64 seq */

static inline int id_compare(struct oxbow_id a, struct oxbow_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

static inline bool id_is_zero(struct oxbow_id id)
{
    return id.ms == 0 && id.seq == 0;
}

/* The next and the previous id; false at the end of the line (then *id is untouched). */
bool id_next(struct oxbow_id *id);
bool id_prev(struct oxbow_id *id);

void id_to_key(uint8_t out[ID_KEY_LEN], struct oxbow_id id);
struct oxbow_id id_from_key(const uint8_t *key);

/* "ms-seq" with a closing zero; returns the length without it. */
size_t id_to_text(char out[ID_TEXT_MAX], struct oxbow_id id);
/* "ms" (then seq is `seq_default`) or "ms-seq", decimal digits alone; leading zeros are
 * fine, as for Redis. OXBOW_EPARSE. */
OXBOW_MUST_CHECK enum oxbow_err id_from_text(struct oxbow_bytes text, uint64_t seq_default,
                                             struct oxbow_id *out);

#endif
