/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XGROUP: making, moving and destroying groups, making and deleting consumers.
 */
#include "engine/queue/forward.h"
#include "engine/queue/group.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/priority.h"
#include "engine/queue/wait.h"

static void position_set(struct group *g, const struct oxbow_group_create_options *opt)
{
    g->last = opt->at_end ? g->stream->last : opt->id;
    g->entries_read = opt->has_entries_read ? opt->entries_read : GROUP_READ_UNKNOWN;
    if (!opt->has_entries_read && g->stream->priorities) {
        g->entries_read = group_read_from(g->stream, g->last);
    }
}

/* The stream of a group that is to be made. */
static enum oxbow_err create_stream(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    const struct oxbow_group_create_options *opt, struct stream *s)
{
    enum oxbow_err err = stream_find(txn, key, s);

    if (err != OXBOW_ENOENT || !opt->make_stream) {
        return err;
    }
    err = txn_reserve_bytes(txn, key.len);
    return err == OXBOW_OK ? stream_open(txn, key, s) : err;
}

enum oxbow_err oxbow_group_create(struct oxbow_txn *txn, struct oxbow_group group,
                                  const struct oxbow_group_create_options *opt)
{
    struct stream s;
    struct group g;
    bool changed;
    enum oxbow_err err;

    if (group.name.len > OXBOW_GROUP_NAME_MAX ||
        (opt->has_entries_read && opt->entries_read > INT64_MAX)) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : create_stream(txn, group.key, opt, &s);
    if (err == OXBOW_OK) {
        err = group_make(&s, group.name, &g);
        if (err != OXBOW_OK && s.made) {
            return txn_fail(txn, err);
        }
    }
    if (err != OXBOW_OK) {
        return err;
    }
    position_set(&g, opt);
    err = group_save(&g);
    if (err == OXBOW_OK) {
        err = group_reap(&s, &changed);
    }
    if (err == OXBOW_OK) {
        err = stream_save(&s);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_group_set_id(struct oxbow_txn *txn, struct oxbow_group group,
                                  const struct oxbow_group_create_options *opt)
{
    struct stream s;
    struct group g;
    enum oxbow_err err;

    if (opt->has_entries_read && opt->entries_read > INT64_MAX) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find(txn, group, &s, &g);
    if (err != OXBOW_OK) {
        return err;
    }
    position_set(&g, opt);
    err = serve_reset(&g);
    if (err == OXBOW_OK) {
        err = group_save(&g);
    }
    /* Those who wait for new entries may find some now. */
    return err == OXBOW_OK ? wait_touch(txn, &s.object) : err;
}

enum oxbow_err oxbow_group_destroy(struct oxbow_txn *txn, struct oxbow_group group, bool *existed)
{
    struct stream s;
    struct group g;
    bool changed;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find(txn, group, &s, &g);
    bool found = err == OXBOW_OK;

    if (found) {
        err = forward_forbid_group(txn, group.key, group.name);
        if (err != OXBOW_OK) {
            return err;
        }
        err = group_drop(&g, group.name);
        if (err == OXBOW_OK) {
            err = group_reap(&s, &changed);
        }
        if (err == OXBOW_OK) {
            err = stream_save(&s);
        }
        if (err == OXBOW_OK) {
            err = wait_touch(txn, &s.object);
        }
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    } else if (err != OXBOW_ENOGROUP) {
        return err;
    }
    if (existed != NULL) {
        *existed = found;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_consumer_create(struct oxbow_txn *txn, struct oxbow_group group,
                                           struct oxbow_bytes consumer, bool *created)
{
    struct stream s;
    struct group g;
    struct consumer c;
    bool made;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = consumer_open(&g, consumer, &c, &made);
    }
    if (err == OXBOW_OK && made) {
        err = group_save(&g);
    }
    if (err == OXBOW_OK && created != NULL) {
        *created = made;
    }
    return err;
}

/* Makes what a consumer had nobody's, and visible at once. */
static enum oxbow_err pending_release(struct pending_table *t, struct pending *p)
{
    bool added;
    enum oxbow_err err = due_taken(t->group, p, 0);

    p->consumer = 0;
    if (err == OXBOW_OK) {
        err = pending_set(t, p, &added);
    }
    return err == OXBOW_OK ? due_entry_by(t, p->id, p->age_ms) : err;
}

/* Takes everything from the pending list that is a consumer's; in a group with rules, gives it
 * back. */
static enum oxbow_err consumer_clear(struct group *g, uint32_t consumer)
{
    struct pending_table t;
    struct pending_walk w;
    struct pending p;
    enum oxbow_err err;

    pending_open(&t, g);
    pending_walk_init(&w, &t, OXBOW_ID_MIN);
    w.consumer = consumer;
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        err = g->ruled ? pending_release(&t, &p) : pending_remove(&t, p.id);
        if (err != OXBOW_OK) {
            err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
            break;
        }
    }
    if (err == OXBOW_ENOENT) {
        err = pending_flush(&t);
    }
    pending_close(&t);
    return err == OXBOW_OK && g->ruled ? due_alarm(g, 0) : err;
}

enum oxbow_err oxbow_group_consumer_delete(struct oxbow_txn *txn, struct oxbow_group group,
                                           struct oxbow_bytes consumer, uint64_t *pending)
{
    struct stream s;
    struct group g;
    struct consumer c = {0};
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = consumer_find(&g, consumer, &c);
    } else {
        return err;
    }
    if (err == OXBOW_OK) {
        if (c.pending > 0) {
            err = consumer_clear(&g, c.number);
        }
        if (err == OXBOW_OK) {
            err = consumer_drop(&g, consumer, &c);
        }
        if (err == OXBOW_OK && g.ruled && g.rules.holder == c.number) {
            g.rules.holder = 0;
            err = rules_save(&g);
        }
        if (err == OXBOW_OK) {
            err = group_save(&g);
        }
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    } else if (err != OXBOW_ENOENT) {
        return err;
    }
    if (pending != NULL) {
        *pending = c.pending;
    }
    return OXBOW_OK;
}
