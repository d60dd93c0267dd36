/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds which bindings take an entry's field, without looking at the others: a table of values, and a
 * trie of words for topics. Memory alone: no store, no transaction. A binding is a number here, and
 * its source another one, the owner.
 */
#ifndef OXBOW_QUEUE_BINDING_INDEX_H
#define OXBOW_QUEUE_BINDING_INDEX_H

#include "engine/base/buf.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define BINDING_VALUE_MAX 1024u /* longer values of fields fit nothing */

struct binding_index {
    const struct oxbow_alloc *alloc;
    struct buf texts;              /* of entries */
    struct binding_entry *entries; /* [0] is nobody */
    uint32_t entry_count, entry_room;
    uint32_t *slots; /* a power of two, 0 at first; 0: free */
    uint32_t slot_count;
    struct binding_link *links; /* [0] is the end of every chain */
    uint32_t link_count, link_room;
    struct binding_word *words; /* nodes of all tries; [0] is nobody */
    uint32_t word_count, word_room;
    uint32_t *now, *next; /* words where a match stands; word_room of each */
    uint64_t stamp;
};

void binding_index_init(struct binding_index *ix, const struct oxbow_alloc *alloc);
void binding_index_fini(struct binding_index *ix);

/* The binding takes entries with this field and value / whose field fits the pattern. An error
 * leaves an index that is only fit to be given back. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err binding_index_value(struct binding_index *ix, uint32_t owner,
                                                    const struct oxbow_field *field, uint32_t row);
OXBOW_MUST_CHECK enum oxbow_err binding_index_topic(struct binding_index *ix, uint32_t owner,
                                                    const struct oxbow_field *field, uint32_t row);

/* Calls `each` for the bindings of an owner that take this field: of values, of topics. Some may be
 * given twice. */
struct binding_hit {
    void (*each)(void *ctx, uint32_t row);
    void *ctx;
};
void binding_index_find(const struct binding_index *ix, uint32_t owner,
                        const struct oxbow_field *field, const struct binding_hit *hit);
void binding_index_match(struct binding_index *ix, uint32_t owner, const struct oxbow_field *field,
                         const struct binding_hit *hit);

#endif
