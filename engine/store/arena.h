/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one memtable: everything is given back at once by a reset, and blocks of values that
 * were outgrown or deleted are reused before that. Or, of a table that is never reset, memory that the
 * allocator has back as soon as it is given back. Not thread safe: its table's owner serialises.
 */
#ifndef OXBOW_STORE_ARENA_H
#define OXBOW_STORE_ARENA_H

#include "oxbow/port.h"

#include <stdbool.h>

#define ARENA_CLASSES 17u

struct arena_block;
struct arena_large;

struct arena {
    const struct oxbow_alloc *alloc;
    struct arena_block *first; /* in the order they are used; kept across a reset */
    struct arena_block *current;
    size_t pos; /* within current */
    void *spare[ARENA_CLASSES];
    struct arena_large *large; /* too big for a block: straight from the allocator */
    size_t live;               /* bytes handed out and not given back */
    size_t used;               /* bytes of blocks in use, and of what is too big for one */
    size_t held;               /* bytes taken from the allocator */
    bool loose;                /* each piece is the allocator's own: the owner gives all back */
};

void arena_init(struct arena *a, const struct oxbow_alloc *alloc);
/* One whose pieces go straight to the allocator and back. Only arena_take and arena_give are used. */
void arena_init_loose(struct arena *a, const struct oxbow_alloc *alloc);
void arena_fini(struct arena *a);
/* Gives everything back, keeping at most `keep` bytes of blocks for the next use. */
void arena_reset(struct arena *a, size_t keep);

/* Memory until the reset, aligned to 8; len at most 4096. NULL when memory is out. */
void *arena_bump(struct arena *a, size_t len);
/* What arena_take of a loose arena says that it gave for len bytes. */
static inline uint32_t arena_loose_cap(size_t len)
{
    return (uint32_t)((len + 7) & ~(size_t)7);
}
/* Memory for at least len bytes, aligned to 8; *cap says how many. NULL when memory is out. */
void *arena_take(struct arena *a, size_t len, uint32_t *cap);
/* Gives back what arena_take gave with that cap. NULL is fine. */
void arena_give(struct arena *a, void *p, uint32_t cap);

#endif
