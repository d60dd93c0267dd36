/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values through the layers. A value in a table may be a part: its bytes from some position on, in
 * one block or several, and a patch, all else being as in the layers below. An append to a long
 * value costs its own bytes so, and so does a small change.
 */
#ifndef OXBOW_STORE_VALUE_H
#define OXBOW_STORE_VALUE_H

#include "engine/store/envelope.h"
#include "engine/store/store.h"

#define TAIL_BASE_MIN 256u  /* shorter values are copied whole */
#define TAIL_BASE_MAX 8192u /* and so are longer ones */
#define FRONT_BYTES   (TAIL_BASE_MAX + ENVELOPE_BYTES)
#define PIECES_MAX    TAIL_BASE_MAX /* bytes of a value in pieces */

/* Half as much again: a value that grows by appends is copied few times. One that a page holds gets
 * no more than that. */
static inline size_t value_roomy(size_t need)
{
    size_t more = need + need / 2;

    return need <= TREE_PAGE_BYTES && more > TREE_PAGE_BYTES ? TREE_PAGE_BYTES : more;
}

/* With the turn. All keys are of a length that fits; `hash` is mem_hash(key). */

/* What lies below the active table; borrowed until the next write. OXBOW_ENOENT, OXBOW_ECORRUPT,
 * OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err value_below(struct oxbow *db, struct oxbow_bytes key, uint32_t hash,
                                            struct oxbow_bytes *value);
/* Only its length. Errors likewise. */
OXBOW_MUST_CHECK enum oxbow_err value_below_len(struct oxbow *db, struct oxbow_bytes key,
                                                uint32_t hash, size_t *len);
/* Makes an entry's value whole; the entry is the active table's. */
OXBOW_MUST_CHECK enum oxbow_err value_whole(struct oxbow *db, struct mem_entry *e);
/* Copies the whole value of an entry of either table, which says what it is, to out[0, e->len). */
OXBOW_MUST_CHECK enum oxbow_err value_copy(struct oxbow *db, const struct mem_entry *e,
                                           uint8_t *out);
/* The value of an entry of either table. */
OXBOW_MUST_CHECK enum oxbow_err value_said(struct oxbow *db, struct mem_entry *e,
                                           struct oxbow_bytes *value);

#endif
