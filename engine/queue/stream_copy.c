/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies a stream: its entries under their ids, its counters, its groups with their consumers and what
 * these have pending. Entries are read and appended like any others, so that what lies outside of chunks
 * gets an owner of its own; a time to live goes with its entry.
 *
 * What the engine alone knows is not copied, and such a stream is refused: priorities, and groups that
 * have rules.
 */
#include "engine/base/buf.h"
#include "engine/base/result.h"
#include "engine/queue/expire.h"
#include "engine/queue/group.h"

#define STEP_ENTRIES 256u
#define STEP_BYTES   ((uint64_t)256 * 1024)

#define PENDING_BYTES 40u /* a pending entry's record, and a little */

/* ---- entries ---- */

static enum oxbow_err entry_copy(const struct stream_copy *c, const struct oxbow_entry *e)
{
    const struct expire_entry to = {c->to->object.id, e->id, c->name};
    enum oxbow_err err = stream_append(c->to, e->id, e->fields, (uint32_t)e->field_count, 0);

    return err == OXBOW_OK ? expire_inherit(c->to->txn, c->from->object.id, &to) : err;
}

/* In steps, each of which is in memory before anything is written. */
static enum oxbow_err entries_copy(const struct stream_copy *c, struct oxbow_result *r)
{
    struct oxbow_stream_range range = {
        .to = OXBOW_ID_MAX, .count = STEP_ENTRIES, .bytes = STEP_BYTES};
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        err = stream_fill(c->from, &range, r);
        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; err == OXBOW_OK && i < r->entry_count; i++) {
            err = entry_copy(c, &r->entries[i]);
        }
        more = r->entry_count > 0;
        if (more) {
            range.from = r->entries[r->entry_count - 1].id;
            more = id_next(&range.from);
        }
    }
    return err;
}

/* ---- groups ---- */

/* One group on its way. */
struct group_copy {
    const struct stream_copy *c;
    struct group to;
    struct oxbow_result *names; /* the group's, then its consumers' */
    struct buf consumers;       /* struct consumer */
};

static enum oxbow_err consumer_note(void *ctx, const struct consumer *consumer,
                                    struct oxbow_bytes name)
{
    struct group_copy *gc = ctx;
    enum oxbow_err err = result_item(gc->names, name);

    return err == OXBOW_OK ? buf_append(&gc->consumers, consumer, sizeof *consumer) : err;
}

static enum oxbow_err consumers_copy(struct group_copy *gc)
{
    const struct consumer *consumers = (void *)gc->consumers.data;
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 1; err == OXBOW_OK && i < gc->names->item_count; i++) {
        err = consumer_make(&gc->to, gc->names->items[i], &consumers[i - 1]);
        err = err == OXBOW_EEXIST ? OXBOW_ECORRUPT : err;
    }
    return err;
}

/* The consumers' counts came with their records. */
static enum oxbow_err pending_copy(struct group *from, struct group *to)
{
    struct pending_table source;
    struct pending_table target;
    struct pending_walk w;
    struct pending p;
    bool added;
    enum oxbow_err err;

    pending_open(&source, from);
    pending_open(&target, to);
    pending_walk_init(&w, &source, OXBOW_ID_MIN);
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        err = pending_set(&target, &p, &added);
        if (err != OXBOW_OK) {
            break;
        }
    }
    if (err == OXBOW_ENOENT) {
        err = pending_flush(&target);
    }
    pending_close(&target);
    pending_close(&source);
    return err;
}

static enum oxbow_err group_fill(struct group_copy *gc, struct group *from)
{
    enum oxbow_err err = group_make(gc->c->to, gc->names->items[0], &gc->to);

    if (err != OXBOW_OK) {
        return err == OXBOW_EBUSYGROUP ? OXBOW_ECORRUPT : err;
    }
    gc->to.consumers = from->consumers;
    gc->to.consumer_next = from->consumer_next;
    gc->to.last = from->last;
    gc->to.entries_read = from->entries_read;
    gc->to.clock_boot = from->clock_boot;
    gc->to.clock_uptime_ms = from->clock_uptime_ms;
    gc->to.clock_at = from->clock_at;
    gc->to.clock_age_ms = from->clock_age_ms;
    err = consumers_copy(gc);
    if (err == OXBOW_OK) {
        err = pending_copy(from, &gc->to);
    }
    return err == OXBOW_OK ? group_save(&gc->to) : err;
}

static enum oxbow_err group_copy(void *ctx, struct group *g, struct oxbow_bytes name)
{
    const struct stream_copy *c = ctx;
    const struct oxbow_alloc *alloc = &txn_port(g->stream->txn)->alloc;
    struct oxbow_result names = {0};
    struct group_copy gc = {.c = c, .names = &names};
    enum oxbow_err err = result_begin(&names, alloc, STREAM_RESULT_BYTES_MAX);

    buf_init(&gc.consumers, alloc, SIZE_MAX);
    if (err == OXBOW_OK) {
        err = result_item(&names, name);
    }
    if (err == OXBOW_OK) {
        err = consumer_each(g, consumer_note, &gc);
    }
    if (err == OXBOW_OK) {
        result_finish(&names);
        err = group_fill(&gc, g);
    }
    buf_fini(&gc.consumers);
    oxbow_result_fini(&names);
    return err;
}

/* ---- all of it ---- */

static enum oxbow_err group_look(void *ctx, struct group *g, struct oxbow_bytes name)
{
    uint64_t *bytes = ctx;

    *bytes += name.len + g->pending * PENDING_BYTES;
    return g->ruled ? OXBOW_ENOTSUP : OXBOW_OK;
}

enum oxbow_err stream_copy_look(struct stream *from, uint64_t *bytes)
{
    *bytes = from->bytes;
    return from->priorities ? OXBOW_ENOTSUP : group_each(from, group_look, bytes);
}

enum oxbow_err stream_copy(const struct stream_copy *c)
{
    struct oxbow_result entries = {0};
    struct stream_copy each = *c;
    enum oxbow_err err = entries_copy(c, &entries);

    oxbow_result_fini(&entries);
    if (err == OXBOW_OK) {
        err = group_each(c->from, group_copy, &each);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    c->to->entries_added = c->from->entries_added;
    c->to->max_deleted = c->from->max_deleted;
    if (id_compare(c->from->last, c->to->last) > 0) {
        c->to->last = c->from->last;
    }
    return stream_save(c->to);
}
