/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What groups tell of themselves: XPENDING, XINFO GROUPS, XINFO CONSUMERS, and the acked prefix
 * that forwards select by. Nothing here writes.
 */
#include "engine/base/result.h"
#include "engine/queue/group.h"

static uint64_t age_of(const struct group *g, uint64_t then)
{
    uint64_t now = group_now(g);

    return now > then ? now - then : 0;
}

/* The first or the last pending entry. OXBOW_ENOENT. */
static enum oxbow_err edge_find(struct group *g, bool last, struct pending *out)
{
    struct pending_table t;
    struct pending_walk w;
    enum oxbow_err err;

    if (g->pending == 0) {
        return OXBOW_ENOENT;
    }
    pending_open(&t, g);
    pending_walk_init(&w, &t, OXBOW_ID_MIN);
    w.reverse = last;
    err = pending_walk_next(&w, out);
    pending_close(&t);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err oxbow_group_pending_summary(struct oxbow_txn *txn, struct oxbow_group group,
                                           struct oxbow_pending_summary *summary)
{
    struct stream s;
    struct group g;
    struct pending first = {0}, last = {0};
    enum oxbow_err err = group_find_any(txn, group, &s, &g);

    if (err == OXBOW_OK && g.pending > 0) {
        err = edge_find(&g, false, &first);
        if (err == OXBOW_OK) {
            err = edge_find(&g, true, &last);
        }
    }
    if (err == OXBOW_OK) {
        *summary = (struct oxbow_pending_summary){g.pending, first.id, last.id};
    }
    return err;
}

/* ---- details ---- */

/* Collects rows; the numbers of consumers become names. */
static enum oxbow_err pending_collect(struct pending_walk *w,
                                      const struct oxbow_pending_filter *filter,
                                      struct oxbow_result *names, struct oxbow_pending *out,
                                      size_t *count)
{
    struct group *g = w->table->group;
    struct pending p;

    *count = 0;
    while (*count < filter->count) {
        struct consumer c;
        struct oxbow_bytes name = {NULL, 0};
        enum oxbow_err err = pending_walk_next(w, &p);

        if (err != OXBOW_OK || id_compare(p.id, filter->to) > 0) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        if (age_of(g, p.age_ms) < filter->min_idle_ms && !(w->or_nobodys && p.consumer == 0)) {
            continue;
        }
        err = p.consumer != 0 ? consumer_load(g, p.consumer, &c, &name) : OXBOW_OK;
        if (err == OXBOW_OK) {
            err = result_item(names, name);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        out[(*count)++] = (struct oxbow_pending){.id = p.id,
                                                 .idle_ms = age_of(g, p.age_ms),
                                                 .deliveries = p.deliveries,
                                                 .nobody = p.consumer == 0};
    }
    return OXBOW_OK;
}

static enum oxbow_err pending_list(struct group *g, const struct oxbow_pending_filter *filter,
                                   struct oxbow_result *names, struct oxbow_pending *out,
                                   size_t *count)
{
    struct pending_table t;
    struct pending_walk w;
    struct consumer c = {0};
    uint64_t now = group_now(g);
    bool nobodys = !g->ruled && !filter->has_consumer; /* idle enough, however long */
    enum oxbow_err err = OXBOW_OK;

    if (filter->has_consumer) {
        err = consumer_find(g, filter->consumer, &c);
    }
    *count = 0;
    if (err != OXBOW_OK || (filter->has_consumer && c.pending == 0)) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (filter->min_idle_ms > now && !nobodys) {
        return OXBOW_OK;
    }
    pending_open(&t, g);
    pending_walk_init(&w, &t, filter->from);
    w.consumer = c.number;
    w.or_nobodys = nobodys;
    if (filter->min_idle_ms > 0) {
        w.age_max_ms = now > filter->min_idle_ms ? now - filter->min_idle_ms : 0;
    }
    err = pending_collect(&w, filter, names, out, count);
    pending_close(&t);
    return err;
}

enum oxbow_err oxbow_group_pending(struct oxbow_txn *txn, struct oxbow_group group,
                                   const struct oxbow_pending_filter *filter,
                                   struct oxbow_result *names, struct oxbow_pending *out,
                                   size_t *count)
{
    struct stream s;
    struct group g;
    size_t found = 0, i;
    enum oxbow_err err = filter->count > 0 ? group_find_any(txn, group, &s, &g) : OXBOW_EINVAL;

    if (err == OXBOW_OK) {
        err = result_begin(names, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);
    }
    if (err == OXBOW_OK) {
        err = pending_list(&g, filter, names, out, &found);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    result_finish(names);
    for (i = 0; i < found; i++) {
        out[i].consumer = names->items[i];
    }
    *count = found;
    return OXBOW_OK;
}

/* ---- groups and consumers ---- */

static enum oxbow_err group_name_add(void *ctx, struct group *g, struct oxbow_bytes name)
{
    (void)g;
    return result_item(ctx, name);
}

enum oxbow_err oxbow_group_list(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_result *result)
{
    struct stream s;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);
    }
    if (err == OXBOW_OK) {
        err = group_each(&s, group_name_add, result);
    }
    if (err == OXBOW_OK) {
        result_finish_sorted(result);
    }
    return err;
}

enum oxbow_err oxbow_group_info(struct oxbow_txn *txn, struct oxbow_group group,
                                struct oxbow_group_info *info)
{
    struct stream s;
    struct group g;
    enum oxbow_err err = group_find(txn, group, &s, &g);

    if (err != OXBOW_OK) {
        return err;
    }
    *info = (struct oxbow_group_info){.consumers = g.consumers,
                                      .pending = g.pending,
                                      .last_id = g.last,
                                      .has_entries_read = g.entries_read != GROUP_READ_UNKNOWN,
                                      .entries_read = g.entries_read};
    if (!info->has_entries_read) {
        info->entries_read = 0;
    }
    info->has_lag = group_lag(&g, &info->lag);
    return OXBOW_OK;
}

static enum oxbow_err consumer_name_add(void *ctx, const struct consumer *c,
                                        struct oxbow_bytes name)
{
    (void)c;
    return result_item(ctx, name);
}

enum oxbow_err oxbow_group_consumers(struct oxbow_txn *txn, struct oxbow_group group,
                                     struct oxbow_result *result)
{
    struct stream s;
    struct group g;
    enum oxbow_err err = group_find(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);
    }
    if (err == OXBOW_OK) {
        err = consumer_each(&g, consumer_name_add, result);
    }
    if (err == OXBOW_OK) {
        result_finish_sorted(result);
    }
    return err;
}

enum oxbow_err oxbow_group_consumer_info(struct oxbow_txn *txn, struct oxbow_group group,
                                         struct oxbow_bytes consumer,
                                         struct oxbow_consumer_info *info)
{
    struct stream s;
    struct group g;
    struct consumer c;
    enum oxbow_err err = group_find(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = consumer_find(&g, consumer, &c);
    }
    if (err == OXBOW_OK) {
        *info = (struct oxbow_consumer_info){
            .pending = c.pending, .idle_ms = age_of(&g, c.seen_ms), .has_active = c.active_ms != 0};
        info->inactive_ms = info->has_active ? age_of(&g, c.active_ms) : 0;
    }
    return err;
}

/* How far a group is done; *first is what blocks it, with OXBOW_OK. OXBOW_ENOENT: nothing is
 * pending. */
static enum oxbow_err acked_to(struct group *g, struct pending *first, struct oxbow_id *to)
{
    struct oxbow_id below;
    enum oxbow_err err = edge_find(g, false, first);

    if (err == OXBOW_ENOENT) {
        *to = g->last;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    below = first->id;
    if (!id_prev(&below)) {
        below = OXBOW_ID_MIN;
    }
    *to = id_compare(below, g->last) < 0 ? below : g->last;
    return OXBOW_OK;
}

enum oxbow_err group_acked(struct group *g, struct oxbow_id *to)
{
    struct pending first;
    enum oxbow_err err = acked_to(g, &first, to);

    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_group_acked_prefix(struct oxbow_txn *txn, struct oxbow_group group,
                                        struct oxbow_acked_prefix *prefix)
{
    struct stream s;
    struct group g;
    struct pending first;
    struct oxbow_id to;
    enum oxbow_err err = group_find_any(txn, group, &s, &g);

    if (err != OXBOW_OK) {
        return err;
    }
    err = acked_to(&g, &first, &to);
    if (err == OXBOW_ENOENT) {
        *prefix = (struct oxbow_acked_prefix){.id = to};
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *prefix = (struct oxbow_acked_prefix){.id = to,
                                          .blocked = true,
                                          .blocked_by = first.id,
                                          .blocked_ms = age_of(&g, first.age_ms),
                                          .blocked_deliveries = first.deliveries};
    return OXBOW_OK;
}
