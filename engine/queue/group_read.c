/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XREADGROUP and XACK. A read first fills the result, which copies, and then writes: what the store
 * lends does not outlive a write.
 *
 * A read that finds nothing new writes nothing: polling must not wear the flash.
 */
#include "engine/queue/group_read.h"

#include "engine/base/result.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/policy.h"
#include "engine/queue/priority.h"
#include "engine/queue/wait.h"

/* Reading makes entries pending, which takes room. A full store must still be read and acked, so
 * only beyond this many pending entries does the quota have a say. */
#define PENDING_FREE 4096u
#define PENDING_COST 36u /* bytes of one pending entry */

enum oxbow_err reader_save(struct reader *r, uint64_t added, bool got)
{
    struct group *g = r->group;
    bool made;
    enum oxbow_err err = consumer_open(g, r->name, &r->consumer, &made);

    if (err != OXBOW_OK) {
        return err;
    }
    r->consumer.pending += added;
    r->consumer.seen_ms = group_now(g);
    if (got) {
        r->consumer.active_ms = r->consumer.seen_ms;
    }
    return consumer_save(g, &r->consumer);
}

/* ---- new entries ---- */

/* How many entries there are until ids go back: with priorities they do. */
static size_t run_length(const struct oxbow_entry *entries, size_t count)
{
    size_t n = 1;

    while (n < count && id_compare(entries[n - 1].id, entries[n].id) < 0) {
        n++;
    }
    return n;
}

static enum oxbow_err pend_new(struct reader *r, const struct oxbow_entry *entries, size_t count,
                               uint64_t *added)
{
    struct group *g = r->group;
    struct pending_table t;
    enum oxbow_err err = OXBOW_OK;

    *added = 0;
    if (g->pending > PENDING_FREE) {
        err = txn_reserve_bytes(g->stream->txn, count * PENDING_COST);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&t, g);
    for (size_t at = 0, n; err == OXBOW_OK && at < count; at += n) {
        struct pending_batch batch = {
            .entries = entries + at, .consumer = r->consumer.number, .age_ms = group_now(g)};
        uint64_t more;

        n = run_length(entries + at, count - at);
        batch.count = n;
        err = pending_add(&t, &batch, &more);
        *added += err == OXBOW_OK ? more : 0;
    }
    if (err == OXBOW_OK) {
        err = pending_flush(&t);
    }
    pending_close(&t);
    return err;
}

enum oxbow_err reader_deliver(struct reader *r, bool noack, const struct oxbow_entry *entries,
                              size_t count)
{
    struct group *g = r->group;
    uint64_t added = 0;
    size_t i;
    enum oxbow_err err = reader_save(r, 0, true);

    if (err == OXBOW_OK && !noack) {
        err = pend_new(r, entries, count, &added);
    }
    if (err == OXBOW_OK && added > 0) {
        err = reader_save(r, added, true);
    }
    if (r->serve != NULL) {
        return err == OXBOW_OK ? serve_settle(r->serve) : err;
    }
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        group_read_advance(g, entries[i].id);
    }
    return err;
}

/* Fills the result by priorities. */
static enum oxbow_err fill_served(struct reader *r, struct serve *v,
                                  const struct oxbow_group_read_options *opt,
                                  struct oxbow_result *result)
{
    enum oxbow_err err =
        result_begin(result, &txn_port(r->group->stream->txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err == OXBOW_OK) {
        err = serve_open(v, r->group, r->called->key);
    }
    if (err == OXBOW_OK) {
        r->serve = v;
        err = serve_fill(v, opt->count, opt->bytes, result);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

static enum oxbow_err read_new(struct reader *r, const struct oxbow_group_read_options *opt,
                               struct oxbow_result *result, bool *wrote)
{
    struct group *g = r->group;
    struct stream *s = g->stream;
    struct oxbow_stream_range range = {
        .from = g->last, .to = OXBOW_ID_MAX, .count = opt->count, .bytes = opt->bytes};
    struct serve serve;
    bool changed;
    enum oxbow_err err;

    if (s->length == 0 || id_compare(s->last, g->last) <= 0 || !id_next(&range.from)) {
        return result_begin(result, &txn_port(s->txn)->alloc, 0);
    }
    err = s->priorities ? fill_served(r, &serve, opt, result) : stream_fill(s, &range, result);
    if (err != OXBOW_OK || result->entry_count == 0) {
        r->serve = NULL;
        return err;
    }
    *wrote = true;
    err = reader_deliver(r, opt->noack, result->entries, result->entry_count);
    r->serve = NULL;
    if (err == OXBOW_OK) {
        group_clock_set(g);
        err = group_save(g);
    }
    if (err == OXBOW_OK) {
        err = group_reap(s, &changed);
    }
    if (err == OXBOW_OK && changed) {
        err = stream_save(s);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

/* ---- history ---- */

static enum oxbow_err history_fill(struct reader *r, const struct oxbow_group_read_options *opt,
                                   struct pending_table *t, struct oxbow_result *result)
{
    struct pending_walk w;
    struct pending p;
    struct oxbow_id from = opt->after;
    uint64_t count = 0;
    enum oxbow_err err;

    if (r->consumer.pending == 0 || !id_next(&from)) {
        return OXBOW_OK;
    }
    pending_walk_init(&w, t, from);
    w.consumer = r->consumer.number;
    while (opt->count == 0 || count < opt->count) {
        if (opt->bytes > 0 && count > 0 && result_bytes(result) >= opt->bytes) {
            return OXBOW_OK;
        }
        err = pending_walk_next(&w, &p);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        err = stream_entry_find(r->group->stream, p.id, result);
        if (err == OXBOW_ENOENT) {
            err = result_entry_deleted(result, p.id);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        count++;
    }
    return OXBOW_OK;
}

/* Counts one delivery more for what was given again. */
static enum oxbow_err history_count(struct reader *r, struct pending_table *t,
                                    const struct oxbow_result *result)
{
    uint64_t now = group_now(r->group);
    size_t i;

    for (i = 0; i < result->entry_count; i++) {
        struct pending p;
        bool added;
        enum oxbow_err err;

        if (result->entries[i].deleted) {
            continue;
        }
        err = pending_find(t, result->entries[i].id, &p);
        if (err == OXBOW_OK && r->group->ruled) {
            err = due_taken(r->group, &p, p.consumer);
        }
        if (err == OXBOW_OK) {
            p.age_ms = now;
            p.deliveries++;
            err = pending_set(t, &p, &added);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err read_history(struct reader *r, const struct oxbow_group_read_options *opt,
                                   struct oxbow_result *result, bool *wrote)
{
    struct group *g = r->group;
    struct oxbow_txn *txn = g->stream->txn;
    struct pending_table t;
    bool made;
    enum oxbow_err err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err == OXBOW_OK) {
        err = consumer_open(g, r->name, &r->consumer, &made);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&t, g);
    err = history_fill(r, opt, &t, result);
    if (err == OXBOW_OK) {
        result_finish(result);
        err = history_count(r, &t, result);
    }
    pending_close(&t);
    if (err == OXBOW_OK && result->entry_count > 0) {
        err = reader_save(r, 0, true);
    }
    if (err == OXBOW_OK && (made || result->entry_count > 0)) {
        *wrote = true;
        group_clock_set(g);
        err = group_save(g);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

static enum oxbow_err read_any(struct reader *r, const struct oxbow_group_read_options *opt,
                               struct oxbow_result *result, bool *wrote)
{
    if (opt->history) {
        return read_history(r, opt, result, wrote);
    }
    return r->group->ruled && !opt->noack ? retry_read(r, opt, result, wrote)
                                          : read_new(r, opt, result, wrote);
}

/* Says how many entries were dropped between what the group had before and what it got new. */
static enum oxbow_err missed(const struct reader *r, struct oxbow_id after,
                             struct oxbow_result *result)
{
    const struct stream *s = r->group->stream;
    const struct oxbow_entry first = {.id = s->first};
    struct oxbow_result fresh = {.entry_count = result->entry_count - r->retried};
    enum oxbow_err err;

    result->missed = 0;
    if (fresh.entry_count == 0 && r->retried > 0) {
        return OXBOW_OK;
    }
    fresh.entries = fresh.entry_count > 0 ? result->entries + r->retried : NULL;
    if (s->priorities) {
        /* What was given is not in order: all that went before the first one there is counts. */
        fresh.entries = &first;
        fresh.entry_count = s->length > 0;
    }
    err = policy_missed(r->group->stream->txn, r->called->key, after, &fresh);
    result->missed = fresh.missed;
    return err;
}

enum oxbow_err group_read(struct oxbow_txn *txn, struct oxbow_group group,
                          struct oxbow_bytes consumer, const struct oxbow_group_read_options *opt,
                          struct oxbow_result *result, bool *wrote)
{
    static const struct oxbow_group_read_options defaults;
    struct stream s;
    struct group g;
    struct reader reader = {.group = &g, .called = &group, .name = consumer};
    struct oxbow_id after;
    enum oxbow_err err;

    *wrote = false;
    if (consumer.len > OXBOW_GROUP_NAME_MAX) {
        return OXBOW_EINVAL;
    }
    opt = opt != NULL ? opt : &defaults;
    err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, &s, &g);
    if (err != OXBOW_OK) {
        return err;
    }
    after = g.last;
    err = read_any(&reader, opt, result, wrote);
    if (err == OXBOW_OK && !opt->history) {
        err = missed(&reader, after, result);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
    if (err != OXBOW_OK) {
        /* What was filled in is not to be seen. */
        *result = (struct oxbow_result){.memory = result->memory};
    }
    return err;
}

enum oxbow_err oxbow_group_read(struct oxbow_txn *txn, struct oxbow_group group,
                                struct oxbow_bytes consumer,
                                const struct oxbow_group_read_options *opt,
                                struct oxbow_result *result)
{
    bool wrote;

    return group_read(txn, group, consumer, opt, result, &wrote);
}

/* ---- ack ---- */

enum oxbow_err group_acked_after(struct group *g)
{
    enum oxbow_err err = group_save(g);

    if (err == OXBOW_OK) {
        err = policy_left(g->stream->txn, g->stream->object.tag, 0, 0);
    }
    if (err == OXBOW_OK && g->ruled) {
        err = rules_heard(g);
    }
    if (err == OXBOW_OK && g->ruled && g->rules.keyed) {
        err = due_alarm(g, 0);
    }
    /* Who had as many pending as he may have can read again. */
    if (err == OXBOW_OK && g->ruled && g->rules.prefetch > 0) {
        err = wait_touch(g->stream->txn, &g->stream->object);
    }
    return err;
}

static enum oxbow_err ack_ids(struct group *g, const struct oxbow_id *ids, size_t count,
                              uint64_t *acked)
{
    struct pending_table t;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    *acked = 0;
    pending_open(&t, g);
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = pending_remove(&t, ids[i]);
        *acked += err == OXBOW_OK;
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        err = pending_flush(&t);
    }
    pending_close(&t);
    return err == OXBOW_OK && *acked > 0 ? group_acked_after(g) : err;
}

enum oxbow_err oxbow_group_ack(struct oxbow_txn *txn, struct oxbow_group group,
                               const struct oxbow_id *ids, size_t count, uint64_t *acked)
{
    struct stream s;
    struct group g;
    uint64_t done = 0;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = ack_ids(&g, ids, count, &done);
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    } else if (err != OXBOW_ENOGROUP) {
        return err;
    }
    if (acked != NULL) {
        *acked = done;
    }
    return OXBOW_OK;
}
