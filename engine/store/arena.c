/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of 64 KiB are filled front to back. Sizes up to 4096 are rounded up to a class, so that
 * what is given back can be handed out again at once; each class keeps a list threaded through the
 * spare memory itself. Longer ones go straight to the allocator. A loose arena has none of this: it
 * counts.
 *
 * Invariants: (1) `live` is the sum of the caps handed out and not given back, plus what was
 * bumped. (2) Everything after `current` in the block list is unused.
 */
#include "engine/store/arena.h"

#include "engine/base/buf.h"

#include <string.h>

#define BLOCK_BYTES 65536u
#define CLASS_MAX   4096u

struct arena_block {
    struct arena_block *next;
    uint64_t data[];
};

struct arena_large {
    struct arena_large *next;
    struct arena_large *prev;
    size_t len; /* with this head */
    uint64_t data[];
};

static const uint16_t class_bytes[ARENA_CLASSES] = {16,  24,  32,  48,   64,   96,   128,  192, 256,
                                                    384, 512, 768, 1024, 1536, 2048, 3072, 4096};

static size_t class_of(size_t len)
{
    size_t lo = 0;

    while (class_bytes[lo] < len) {
        lo++;
    }
    return lo;
}

void arena_init(struct arena *a, const struct oxbow_alloc *alloc)
{
    memset(a, 0, sizeof *a);
    a->alloc = alloc;
}

void arena_init_loose(struct arena *a, const struct oxbow_alloc *alloc)
{
    arena_init(a, alloc);
    a->loose = true;
}

static void large_free(struct arena *a, struct arena_large *l)
{
    a->held -= l->len;
    mem_free(a->alloc, l, l->len);
}

void arena_reset(struct arena *a, size_t keep)
{
    struct arena_block **at = &a->first;
    size_t kept = 0;

    while (a->large != NULL) {
        struct arena_large *l = a->large;

        a->large = l->next;
        large_free(a, l);
    }
    while (*at != NULL && kept + BLOCK_BYTES <= keep) {
        kept += BLOCK_BYTES;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        struct arena_block *b = *at;

        *at = b->next;
        a->held -= BLOCK_BYTES;
        mem_free(a->alloc, b, BLOCK_BYTES);
    }
    memset(a->spare, 0, sizeof a->spare);
    a->current = a->first;
    a->pos = 0;
    a->live = 0;
    a->used = 0;
}

void arena_fini(struct arena *a)
{
    arena_reset(a, 0);
}

static bool block_next(struct arena *a)
{
    struct arena_block *next = a->current != NULL ? a->current->next : a->first;

    if (next == NULL) {
        next = a->alloc->resize(a->alloc->ctx, NULL, 0, BLOCK_BYTES);
        if (next == NULL) {
            return false;
        }
        next->next = NULL;
        a->held += BLOCK_BYTES;
        if (a->current != NULL) {
            a->current->next = next;
        } else {
            a->first = next;
        }
    }
    a->current = next;
    a->pos = 0;
    return true;
}

static void *carve(struct arena *a, size_t len)
{
    void *p;

    if (a->current == NULL || a->pos + len > BLOCK_BYTES - sizeof(struct arena_block)) {
        if (!block_next(a)) {
            return NULL;
        }
    }
    p = (uint8_t *)a->current->data + a->pos;
    a->pos += len;
    a->used += len;
    a->live += len;
    return p;
}

void *arena_bump(struct arena *a, size_t len)
{
    return carve(a, (len + 7) & ~(size_t)7);
}

static void *large_take(struct arena *a, size_t len, uint32_t *cap)
{
    size_t room = (len + 4095) & ~(size_t)4095;
    struct arena_large *l =
        a->alloc->resize(a->alloc->ctx, NULL, 0, sizeof(struct arena_large) + room);

    if (l == NULL) {
        return NULL;
    }
    l->len = sizeof(struct arena_large) + room;
    l->prev = NULL;
    l->next = a->large;
    if (a->large != NULL) {
        a->large->prev = l;
    }
    a->large = l;
    a->held += l->len;
    a->used += room;
    a->live += room;
    *cap = (uint32_t)room;
    return l->data;
}

static void *loose_take(struct arena *a, size_t len, uint32_t *cap)
{
    uint32_t room = arena_loose_cap(len);
    void *p = a->alloc->resize(a->alloc->ctx, NULL, 0, room);

    if (p != NULL) {
        a->held += room;
        a->used += room;
        a->live += room;
        *cap = room;
    }
    return p;
}

static void loose_give(struct arena *a, void *p, uint32_t cap)
{
    a->held -= cap;
    a->used -= cap;
    a->live -= cap;
    mem_free(a->alloc, p, cap);
}

void *arena_take(struct arena *a, size_t len, uint32_t *cap)
{
    size_t c;
    void *p;

    if (a->loose) {
        return loose_take(a, len, cap);
    }
    if (len > CLASS_MAX) {
        return large_take(a, len, cap);
    }
    c = class_of(len);
    p = a->spare[c];
    if (p != NULL) {
        memcpy(&a->spare[c], p, sizeof(void *));
        a->live += class_bytes[c];
    } else {
        p = carve(a, class_bytes[c]);
        if (p == NULL) {
            return NULL;
        }
    }
    *cap = class_bytes[c];
    return p;
}

void arena_give(struct arena *a, void *p, uint32_t cap)
{
    size_t c;

    if (p == NULL) {
        return;
    }
    if (a->loose) {
        loose_give(a, p, cap);
        return;
    }
    a->live -= cap;
    if (cap > CLASS_MAX) {
        struct arena_large *l =
            (struct arena_large *)(void *)((uint8_t *)p - offsetof(struct arena_large, data));

        if (l->prev != NULL) {
            l->prev->next = l->next;
        } else {
            a->large = l->next;
        }
        if (l->next != NULL) {
            l->next->prev = l->prev;
        }
        a->used -= cap;
        large_free(a, l);
        return;
    }
    c = class_of(cap);
    memcpy(p, &a->spare[c], sizeof(void *));
    a->spare[c] = p;
}
