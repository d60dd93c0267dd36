/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one memtable: everything is given back at once by a reset, and blocks of values that
 * were outgrown or deleted are reused before that. Not thread safe: its table's owner serialises.
 */
#ifndef OXBOW_STORE_ARENA_H
#define OXBOW_STORE_ARENA_H

#include "oxbow/port.h"

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
};

void arena_init(struct arena *a, const struct oxbow_alloc *alloc);
void arena_fini(struct arena *a);
/* Gives everything back, keeping at most `keep` bytes of blocks for the next use. */
void arena_reset(struct arena *a, size_t keep);

/* Memory until the reset, aligned to 8; len at most 4096. NULL when memory is out. */
void *arena_bump(struct arena *a, size_t len);
/* Memory for at least len bytes, aligned to 8; *cap says how many. NULL when memory is out. */
void *arena_take(struct arena *a, size_t len, uint32_t *cap);
/* Gives back what arena_take gave with that cap. NULL is fine. */
void arena_give(struct arena *a, void *p, uint32_t cap);

#endif
