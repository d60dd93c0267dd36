/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in blocks of memory, each pointing at the one before it. A record is either an entry as
 * it was, or a piece of its bytes. Blocks stay for the next transaction, all but the first few
 * being freed when it ends.
 *
 * A bytes record stays good when the entry's value was made whole since (its base became 0), for
 * its position is one in the whole value.
 *
 * Invariant: taking the records back from the last to the first restores every entry that was made
 * before the first of them; one made later is left behind in state MEM_ABSENT.
 */
#include "engine/store/undo.h"

#include "engine/base/buf.h"

#include <string.h>

#define BLOCK_BYTES 16384u
#define BLOCKS_KEPT 4u

struct undo_block {
    struct undo_block *next;
    size_t cap;
    uint64_t data[];
};

enum undo_kind {
    UNDO_BYTES,   /* were overwritten in place */
    UNDO_REPLACE, /* the value was replaced by another one */
    UNDO_EXTEND,  /* a block was put behind those of the value */
    UNDO_PATCH    /* the patch was replaced */
};

struct undo {
    struct undo *before;
    struct mem_entry *entry;
    uint8_t *data; /* as the entry's, but of a bytes record */
    struct mem_piece *front;
    struct mem_patch *patch;
    uint32_t len;
    uint32_t base;
    uint32_t cap;
    uint32_t pos;    /* of a bytes record, in the whole value */
    uint32_t copied; /* how many bytes follow */
    uint8_t state;
    uint8_t kind; /* enum undo_kind */
    uint8_t copy[];
};

void undo_init(struct undo_log *log, const struct oxbow_alloc *alloc)
{
    memset(log, 0, sizeof *log);
    log->alloc = alloc;
}

static void trim(struct undo_log *log, size_t keep)
{
    struct undo_block **at = &log->first;

    while (*at != NULL && keep > 0 && (*at)->cap == BLOCK_BYTES) {
        keep--;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        struct undo_block *b = *at;

        *at = b->next;
        mem_free(log->alloc, b, sizeof *b + b->cap);
    }
    log->current = NULL;
    log->pos = 0;
    log->last = NULL;
}

void undo_fini(struct undo_log *log)
{
    trim(log, 0);
}

static bool block_next(struct undo_log *log, size_t need)
{
    struct undo_block **at = log->current != NULL ? &log->current->next : &log->first;
    struct undo_block *b = *at;

    if (b == NULL || b->cap < need) {
        size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;

        b = log->alloc->resize(log->alloc->ctx, NULL, 0, sizeof *b + cap);
        if (b == NULL) {
            return false;
        }
        b->cap = cap;
        b->next = *at;
        *at = b;
    }
    log->current = b;
    log->pos = 0;
    return true;
}

static struct undo *record(struct undo_log *log, struct mem_entry *e, size_t copied)
{
    size_t need = (sizeof(struct undo) + copied + 7) & ~(size_t)7;
    struct undo *u;

    if (log->current == NULL || log->pos + need > log->current->cap) {
        if (!block_next(log, need)) {
            return NULL;
        }
    }
    u = (struct undo *)(void *)((uint8_t *)log->current->data + log->pos);
    log->pos += need;
    u->before = log->last;
    u->entry = e;
    u->len = e->len;
    log->last = u;
    return u;
}

static enum oxbow_err whole_record(struct undo_log *log, struct mem_entry *e, enum undo_kind kind)
{
    struct undo *u = record(log, e, 0);

    if (u == NULL) {
        return OXBOW_ENOMEM;
    }
    u->data = e->data;
    u->front = e->front;
    u->patch = e->patch;
    u->base = e->base;
    u->cap = e->cap;
    u->state = e->state;
    u->kind = (uint8_t)kind;
    return OXBOW_OK;
}

enum oxbow_err undo_entry(struct undo_log *log, struct mem_entry *e)
{
    return whole_record(log, e, UNDO_REPLACE);
}

enum oxbow_err undo_extend(struct undo_log *log, struct mem_entry *e)
{
    return whole_record(log, e, UNDO_EXTEND);
}

enum oxbow_err undo_patch(struct undo_log *log, struct mem_entry *e)
{
    return whole_record(log, e, UNDO_PATCH);
}

enum oxbow_err undo_bytes(struct undo_log *log, struct mem_entry *e, uint32_t pos, uint32_t len)
{
    struct undo *u = record(log, e, len);

    if (u == NULL) {
        return OXBOW_ENOMEM;
    }
    u->pos = pos;
    u->copied = len;
    u->kind = UNDO_BYTES;
    if (len > 0) {
        memcpy(u->copy, e->data + (pos - e->base), len);
    }
    return OXBOW_OK;
}

void undo_commit(struct undo_log *log, struct memtable *t)
{
    struct undo *u;

    for (u = log->last; u != NULL; u = u->before) {
        if (u->kind == UNDO_REPLACE) {
            mem_give(t, u->front, u->data, u->cap);
        }
        if (u->kind == UNDO_REPLACE || u->kind == UNDO_PATCH) {
            mem_patch_give(t, u->patch);
        }
    }
    trim(log, BLOCKS_KEPT);
}

/* Puts back what a record of an entry says, giving back what came instead. */
static void take_back(struct memtable *t, struct mem_entry *e, const struct undo *u)
{
    if (u->kind != UNDO_EXTEND) {
        mem_patch_give(t, e->patch);
    }
    if (u->kind == UNDO_EXTEND) {
        e->front->front = NULL; /* what the piece leads to is the value's that comes back */
        e->front->data = NULL;
    }
    if (u->kind != UNDO_PATCH) {
        mem_give(t, e->front, e->data, e->cap);
    }
    e->data = u->data;
    e->front = u->front;
    e->patch = u->patch;
    e->base = u->base;
    e->cap = u->cap;
    e->state = u->state;
}

void undo_abort(struct undo_log *log, struct memtable *t)
{
    struct undo *u;

    for (u = log->last; u != NULL; u = u->before) {
        struct mem_entry *e = u->entry;

        if (u->kind == UNDO_BYTES) {
            if (u->copied > 0) {
                memcpy(e->data + (u->pos - e->base), u->copy, u->copied);
            }
        } else {
            take_back(t, e, u);
        }
        e->len = u->len;
        mem_cost(t, e);
    }
    trim(log, BLOCKS_KEPT);
}
