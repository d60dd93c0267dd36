/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a damaged data file, for the files salvage_*.c that read them. */
#ifndef OXBOW_STORE_SALVAGE_PAGE_H
#define OXBOW_STORE_SALVAGE_PAGE_H

#include "engine/store/salvage_read.h"

#define SALVAGE_LEVELS    16u
#define SALVAGE_VALUE_MAX (1u << 30)

struct key_bound {
    uint8_t key[KV_KEY_MAX];
    uint8_t len; /* 0: none */
};

struct salvage_level {
    uint8_t page[PAGE_BYTES];
    uint64_t number;
    size_t count;
    size_t next;
    struct key_bound low;
    struct key_bound high;
};

static inline bool salvage_bit(const uint8_t *map, uint64_t number)
{
    return (map[number >> 3] & 1u << (number & 7)) != 0;
}

static inline void salvage_mark(uint8_t *map, uint64_t number)
{
    map[number >> 3] |= (uint8_t)(1u << (number & 7));
}

/* *ok is false for a page that is outside the file or, if that counts as damage, unreadable. */
OXBOW_MUST_CHECK enum oxbow_err salvage_page(const struct salvage_reader *s, uint64_t number,
                                             uint8_t *out, bool *ok);
/* Whether the pages may belong to the tree; then they are taken. */
bool salvage_take(struct salvage_reader *s, uint64_t number, uint64_t run);
/* Takes a page and reads it into the level, whose bounds are set; *ok is false when it is damaged. */
OXBOW_MUST_CHECK enum oxbow_err salvage_enter(struct salvage_reader *s, uint64_t number,
                                              struct salvage_level *l, bool *ok);
/* Chooses one of the two trees. OXBOW_ECORRUPT: neither meta page is one. */
OXBOW_MUST_CHECK enum oxbow_err salvage_choose(struct salvage_reader *s);
/* Reads the list of free pages into s->free, and whether it can be believed into s->free_known.
 * The pages of the list itself count as free: they are not the tree's. */
OXBOW_MUST_CHECK enum oxbow_err salvage_free(struct salvage_reader *s);

#endif
