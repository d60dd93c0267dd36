/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions that heed groups: XDELEX, XACKDEL, and trims. What all groups hold of an entry is looked up in
 * each group's own pending list; a stream has few groups.
 */
#include "engine/queue/priority.h"

struct reference {
    struct oxbow_id id;
    bool found;
};

static enum oxbow_err refers_one(void *ctx, struct group *g, struct oxbow_bytes name)
{
    struct reference *r = ctx;
    struct pending_table t;
    struct pending p;
    bool passed;
    enum oxbow_err err = serve_passed(g, r->id, &passed);

    (void)name;
    if (err != OXBOW_OK) {
        return err;
    }
    r->found = r->found || !passed;
    if (r->found || g->pending == 0) {
        return OXBOW_OK;
    }
    pending_open(&t, g);
    err = pending_find(&t, r->id, &p);
    pending_close(&t);
    r->found = err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err group_refers(struct stream *s, struct oxbow_id id, bool *refers)
{
    struct reference r = {.id = id};
    enum oxbow_err err = group_each(s, refers_one, &r);

    if (err == OXBOW_OK) {
        *refers = r.found;
    }
    return err;
}

static enum oxbow_err forget_one(void *ctx, struct group *g, struct oxbow_bytes name)
{
    const struct oxbow_id *id = ctx;
    struct pending_table t;
    enum oxbow_err err;

    (void)name;
    if (g->pending == 0) {
        return OXBOW_OK;
    }
    pending_open(&t, g);
    err = pending_remove(&t, *id);
    if (err == OXBOW_OK) {
        err = pending_flush(&t);
        if (err == OXBOW_OK) {
            err = group_save(g);
        }
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    pending_close(&t);
    return err;
}

enum oxbow_err group_forget(struct stream *s, struct oxbow_id id)
{
    return group_each(s, forget_one, &id);
}

/* Asked by stream_remove_all about each entry. */
static enum oxbow_err refs_may(struct stream *s, struct oxbow_id id, void *ctx)
{
    const enum oxbow_refs *refs = ctx;
    bool refers = false;
    enum oxbow_err err = OXBOW_OK;

    if (*refs == OXBOW_REFS_ACKED) {
        err = group_refers(s, id, &refers);
    } else if (*refs == OXBOW_REFS_DELETE) {
        err = group_forget(s, id);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    return refers ? OXBOW_EBUSY : OXBOW_OK;
}

/* The entry is gone, what groups hold of it may not be. */
static enum oxbow_err forget_dangling(struct stream *s, struct oxbow_id id)
{
    enum oxbow_err err = group_forget(s, id);

    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

bool refs_valid(enum oxbow_refs refs)
{
    return refs == OXBOW_REFS_KEEP || refs == OXBOW_REFS_DELETE || refs == OXBOW_REFS_ACKED;
}

enum oxbow_err oxbow_stream_delete_refs(struct oxbow_txn *txn, struct oxbow_bytes key,
                                        enum oxbow_refs refs, const struct oxbow_id *ids,
                                        size_t count, enum oxbow_delete_outcome *outcomes)
{
    struct stream_removal removal = {
        .ids = ids, .count = count, .outcomes = outcomes, .may = refs_may, .ctx = &refs};
    struct stream s;
    uint64_t removed;
    size_t i;
    enum oxbow_err err;

    if (!refs_valid(refs)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : stream_find(txn, key, &s);
    if (err == OXBOW_ENOENT) {
        for (i = 0; i < count; i++) {
            outcomes[i] = OXBOW_DELETE_NONE;
        }
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = stream_remove_all(&s, key, &removal, &removed);
    }
    for (i = 0; err == OXBOW_OK && refs == OXBOW_REFS_DELETE && i < count; i++) {
        if (outcomes[i] == OXBOW_DELETE_NONE) {
            err = forget_dangling(&s, ids[i]);
        }
    }
    return err;
}

/* ---- trims ---- */

#define TRIM_BATCH 256u /* entries whose ids are gathered before any of them goes */

/* The ids of entries from `from` up to the edge, oldest first. */
static enum oxbow_err batch_fill(struct stream *s, struct oxbow_id from, struct oxbow_id edge,
                                 struct oxbow_id ids[TRIM_BATCH], size_t *count)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, from, edge, false);

    *count = 0;
    if (err != OXBOW_OK) {
        return err;
    }
    while (*count < TRIM_BATCH && (err = stream_walk_next(&w, &entry)) == OXBOW_OK) {
        ids[(*count)++] = entry.id;
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Whether the entry, which is the oldest that was not looked at, is to go if nothing needs it. */
static bool trim_wants(const struct stream *s, const struct oxbow_stream_trim *trim,
                       struct oxbow_id id)
{
    if (trim->by == OXBOW_TRIM_MAXLEN) {
        return s->length > trim->maxlen;
    }
    return trim->by == OXBOW_TRIM_MINID && id_compare(id, trim->minid) < 0;
}

/* A trim under way. */
struct trim_run {
    struct stream *s;
    struct oxbow_bytes key;
    const struct refs_trim *t;
    uint64_t most;
    uint64_t removed;
    bool done; /* nothing more is to go */
};

static enum oxbow_err trim_batch(struct trim_run *r, const struct oxbow_id *ids, size_t count)
{
    enum oxbow_refs refs = r->t->trim->refs;
    const struct stream_removal removal = {.may = refs_may, .ctx = &refs};

    for (size_t i = 0; i < count; i++) {
        enum oxbow_err err;

        r->done = !trim_wants(r->s, r->t->trim, ids[i]);
        if (r->done || r->removed == r->most) {
            return OXBOW_OK;
        }
        err = stream_remove_one(r->s, r->key, &removal, ids[i]);
        if (err != OXBOW_OK && err != OXBOW_EBUSY) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        r->removed += err == OXBOW_OK;
    }
    return OXBOW_OK;
}

enum oxbow_err group_trim(struct stream *s, struct oxbow_bytes key, const struct refs_trim *trim,
                          uint64_t *removed, bool *more)
{
    const struct oxbow_id max_deleted = s->max_deleted; /* a trim leaves no mark, as in Redis */
    uint64_t limit = trim->trim->limit == 0 ? STREAM_LIMIT_DEFAULT : trim->trim->limit;
    struct oxbow_id from = s->first;
    struct trim_run r = {
        .s = s,
        .key = key,
        .t = trim,
        .most = trim->trim->approx && limit < trim->entries_max ? limit : trim->entries_max,
        .done = s->length == 0};
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && !r.done && r.removed < r.most) {
        struct oxbow_id ids[TRIM_BATCH];
        size_t count;

        err = batch_fill(s, from, trim->edge, ids, &count);
        if (err == OXBOW_OK) {
            err = trim_batch(&r, ids, count);
        }
        if (err == OXBOW_OK && !r.done && r.removed < r.most) {
            r.done = count < TRIM_BATCH;
            from = count > 0 ? ids[count - 1] : from;
            r.done = r.done || !id_next(&from);
        }
    }
    s->max_deleted = max_deleted;
    *removed = r.removed;
    *more = !r.done;
    return err;
}

/* ---- ack and delete ---- */

/* Acks each id in the group: DONE where it was pending, NONE where it was not. */
static enum oxbow_err ack_each(struct group *g, const struct oxbow_group_ack_delete_options *opt,
                               enum oxbow_delete_outcome *outcomes)
{
    struct pending_table t;
    enum oxbow_err err = OXBOW_OK;
    uint64_t acked = 0;
    size_t i;

    pending_open(&t, g);
    for (i = 0; i < opt->count && err == OXBOW_OK; i++) {
        err = pending_remove(&t, opt->ids[i]);
        acked += err == OXBOW_OK;
        outcomes[i] = err == OXBOW_OK ? OXBOW_DELETE_DONE : OXBOW_DELETE_NONE;
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        err = pending_flush(&t);
    }
    pending_close(&t);
    return err == OXBOW_OK && acked > 0 ? group_acked_after(g) : err;
}

/* Deletes from the stream what was acked. */
static enum oxbow_err delete_acked(struct stream *s, struct oxbow_bytes key,
                                   const struct oxbow_group_ack_delete_options *opt,
                                   enum oxbow_delete_outcome *outcomes)
{
    enum oxbow_refs refs = opt->refs;
    size_t i;

    for (i = 0; i < opt->count; i++) {
        enum oxbow_delete_outcome outcome;
        struct stream_removal removal = {
            .ids = &opt->ids[i], .count = 1, .outcomes = &outcome, .may = refs_may, .ctx = &refs};
        uint64_t removed;
        enum oxbow_err err;

        if (outcomes[i] != OXBOW_DELETE_DONE) {
            continue;
        }
        err = stream_remove_all(s, key, &removal, &removed);
        if (err == OXBOW_OK && outcome == OXBOW_DELETE_NONE && refs == OXBOW_REFS_DELETE) {
            err = forget_dangling(s, opt->ids[i]);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (outcome == OXBOW_DELETE_REFERENCED) {
            outcomes[i] = OXBOW_DELETE_REFERENCED;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_ack_delete(struct oxbow_txn *txn, struct oxbow_group group,
                                      const struct oxbow_group_ack_delete_options *opt,
                                      enum oxbow_delete_outcome *outcomes)
{
    struct stream_removal all = {.ids = opt->ids, .count = opt->count};
    struct stream s;
    struct group g;
    size_t i;
    enum oxbow_err err;

    if (!refs_valid(opt->refs)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, &s, &g);
    if (err == OXBOW_ENOGROUP) {
        for (i = 0; i < opt->count; i++) {
            outcomes[i] = OXBOW_DELETE_NONE;
        }
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = stream_removal_check(&s, group.key, &all);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = ack_each(&g, opt, outcomes);
    if (err == OXBOW_OK) {
        err = delete_acked(&s, group.key, opt, outcomes);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
