/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which order many members are added: by their hashes. A table that is new then grows at its end alone,
 * where nothing has to move and leaves are filled; else each moves half a leaf. Members of one hash stay in
 * the order in which they were given: the same one again comes after.
 */
#include "engine/keyval/table.h"

#define ORDER_MIN 32u /* fewer are added as they come */

struct member_turn {
    uint64_t hash;
    size_t idx;
};

static bool before(const struct member_turn *a, const struct member_turn *b)
{
    return a->hash != b->hash ? a->hash < b->hash : a->idx < b->idx;
}

/* Shell's sort. */
static void turns_sort(struct member_turn *turns, size_t count)
{
    size_t gap;
    size_t i;

    for (gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (i = gap; i < count; i++) {
            struct member_turn moved = turns[i];
            size_t at = i;

            for (; at >= gap && before(&moved, &turns[at - gap]); at -= gap) {
                turns[at] = turns[at - gap];
            }
            turns[at] = moved;
        }
    }
}

enum oxbow_err table_order_open(const struct table *t, const void *members, size_t stride,
                                size_t count, struct table_order *o)
{
    const char *at = members;
    size_t i;

    *o = (struct table_order){.count = count};
    if (count < ORDER_MIN) {
        return OXBOW_OK;
    }
    if (count > SIZE_MAX / sizeof *o->turns) {
        return OXBOW_ENOMEM;
    }
    o->turns = mem_new(&txn_port(t->txn)->alloc, count * sizeof *o->turns);
    if (o->turns == NULL) {
        return OXBOW_ENOMEM;
    }
    for (i = 0; i < count; i++, at += stride) {
        const struct oxbow_bytes *member = (const void *)at;

        o->turns[i] = (struct member_turn){member_key(t, *member).order, i};
    }
    turns_sort(o->turns, count);
    return OXBOW_OK;
}

size_t table_order_at(const struct table_order *o, size_t i)
{
    return o->turns != NULL ? o->turns[i].idx : i;
}

void table_order_close(const struct table *t, struct table_order *o)
{
    mem_free(&txn_port(t->txn)->alloc, o->turns, o->count * sizeof *o->turns);
    o->turns = NULL;
}
