/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a group's pending entries, a chunk at a time. Changes nothing; what it gives may be changed
 * or removed while it goes on.
 */
#include "engine/queue/group_pending.h"

#include <string.h>

void pending_walk_init(struct pending_walk *w, struct pending_table *t, struct oxbow_id from)
{
    w->table = t;
    w->from = from;
    w->consumer = 0;
    w->age_max_ms = UINT64_MAX;
    w->or_nobodys = false;
    w->reverse = false;
    w->loaded = false;
    w->count = 0;
    w->idx = 0;
}

static enum oxbow_err walk_seek(struct pending_walk *w, struct pending_view *v)
{
    struct pending_table *t = w->table;
    struct group *g = t->group;
    struct oxbow_id id = w->base;
    enum oxbow_err err;

    if (id_is_zero(g->pending_tail)) {
        return OXBOW_ENOENT;
    }
    if (w->reverse) {
        if (!w->loaded) {
            id = g->pending_tail;
        } else if (!id_prev(&id)) {
            return OXBOW_ENOENT;
        }
        return pending_chunk_seek(t, id, true, &w->base, v);
    }
    if (w->loaded) {
        return id_next(&id) ? pending_chunk_seek(t, id, false, &w->base, v) : OXBOW_ENOENT;
    }
    if (id_compare(w->from, g->pending_low) <= 0) {
        return pending_chunk_seek(t, g->pending_low, false, &w->base, v);
    }
    err = pending_chunk_seek(t, w->from, true, &w->base, v);
    return err == OXBOW_ENOENT ? pending_chunk_seek(t, w->from, false, &w->base, v) : err;
}

/* Loads the next chunk that may hold something of interest. */
static enum oxbow_err walk_load(struct pending_walk *w)
{
    struct pending_view v;

    for (;;) {
        enum oxbow_err err = walk_seek(w, &v);

        if (err != OXBOW_OK) {
            return err;
        }
        w->loaded = true;
        if ((pending_view_oldest(&v) <= w->age_max_ms ||
             (w->or_nobodys && (pending_view_mask(&v) & 1u) != 0)) &&
            (w->consumer == 0 || (pending_view_mask(&v) >> (w->consumer % 64) & 1u) != 0)) {
            memcpy(w->chunk, v.data, PENDING_HEADER + v.count * PENDING_RECORD);
            w->count = v.count;
            w->idx = 0;
            return OXBOW_OK;
        }
    }
}

enum oxbow_err pending_walk_next(struct pending_walk *w, struct pending *out)
{
    for (;;) {
        struct pending_view v = {w->chunk, w->count};
        size_t idx;

        if (w->idx == w->count) {
            enum oxbow_err err = walk_load(w);

            if (err != OXBOW_OK) {
                return err;
            }
            continue;
        }
        idx = w->reverse ? w->count - 1 - w->idx : w->idx;
        w->idx++;
        if (!pending_view_alive(&v, idx)) {
            continue;
        }
        pending_view_get(&v, idx, out);
        if (id_compare(out->id, w->from) >= 0 &&
            (out->age_ms <= w->age_max_ms || (w->or_nobodys && out->consumer == 0)) &&
            (w->consumer == 0 || out->consumer == w->consumer)) {
            return OXBOW_OK;
        }
    }
}
