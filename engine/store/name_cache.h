/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object a name stands for, remembered in memory: a look-up in the catalog costs two reads of the
 * tables, and after each checkpoint one of the tree. For the catalog alone, with the turn.
 *
 * It holds what was found last; what is not in it has to be looked for. Who changes what a name stands
 * for drops the name, or clears all, in the same transaction.
 */
#ifndef OXBOW_STORE_NAME_CACHE_H
#define OXBOW_STORE_NAME_CACHE_H

#include "engine/store/catalog.h"

#define NAME_CACHE_MIN   32u /* names, of 64 bytes each */
#define NAME_CACHE_NAME  45u /* longer names are not remembered */
#define NAME_CACHE_TIMED 37u /* nor longer ones of keys that expire */

struct name_slot;

struct name_cache {
    const struct oxbow_alloc *alloc;
    struct name_slot *slots; /* NULL: nothing was put in yet */
    size_t count;            /* of slots, a power of two */
    size_t max;
    uint64_t salt; /* what is of another one is forgotten */
};

/* At most `max` names, from NAME_CACHE_MIN on. */
void name_cache_init(struct name_cache *c, const struct oxbow_alloc *alloc, size_t max);
void name_cache_fini(struct name_cache *c);
/* Sets id, type and deadline. `hash` is the name's in the catalog. False: not in it. */
bool name_cache_get(const struct name_cache *c, uint32_t database, uint64_t hash,
                    struct oxbow_bytes name, struct object *out);
/* Remembers it if there is memory for that. */
void name_cache_put(struct name_cache *c, uint32_t database, uint64_t hash, struct oxbow_bytes name,
                    const struct object *object);
void name_cache_drop(struct name_cache *c, uint32_t database, uint64_t hash,
                     struct oxbow_bytes name);
void name_cache_clear(struct name_cache *c);

#endif
