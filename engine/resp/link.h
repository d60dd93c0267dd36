/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of things that are in several of them at once. A link that is in no ring points to itself. */
#ifndef OXBOW_RESP_LINK_H
#define OXBOW_RESP_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev;
    struct link *next;
};

#define LINK_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void link_init(struct link *l)
{
    l->prev = l;
    l->next = l;
}

/* Whether the ring is empty, or the link is in none. */
static inline bool link_alone(const struct link *l)
{
    return l->next == l;
}

/* Adds at the end of the ring; nothing if the link is in one already. */
static inline void link_add(struct link *ring, struct link *l)
{
    if (!link_alone(l)) {
        return;
    }
    l->prev = ring->prev;
    l->next = ring;
    ring->prev->next = l;
    ring->prev = l;
}

static inline void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

#endif
