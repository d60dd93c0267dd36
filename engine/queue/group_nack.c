/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What consumers say of entries they are not through with: negative acks, and more time. And how a
 * group with rules is getting on.
 */
#include "engine/queue/group_dead.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_key.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/wait.h"

/* A group with rules, to be written to. OXBOW_EINVAL: it has none. */
static enum oxbow_err ruled_find(struct oxbow_txn *txn, struct oxbow_group group, struct stream *s,
                                 struct group *g)
{
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, s, g);

    return err == OXBOW_OK && !g->ruled ? OXBOW_EINVAL : err;
}

/* Says when an entry is due, whatever its delivery says. `from`: the consumer that it was taken from
 * for that; 0: none. */
static enum oxbow_err due_note(struct pending_table *t, struct oxbow_id id, uint64_t due_ms,
                               uint32_t from)
{
    struct note note;
    enum oxbow_err err = note_get(t->group, id, &note);

    if (err != OXBOW_OK) {
        return err;
    }
    note.has_due = true;
    note.due_ms = due_ms;
    err = note_put(t->group, id, &note);
    if (err == OXBOW_OK) {
        err = due_entry_by(t, id, due_ms);
    }
    return err == OXBOW_OK && from != 0 && note.key != 0 ? key_passed(t->group, note.key, from, 0)
                                                         : err;
}

/* Brings all records up to date after a change. */
static enum oxbow_err finish(struct pending_table *t, enum oxbow_err err, uint64_t changed)
{
    struct group *g = t->group;

    if (err == OXBOW_OK) {
        err = pending_flush(t);
    }
    pending_close(t);
    if (err == OXBOW_OK && changed > 0) {
        group_clock_set(g);
        if (g->rules.exclusive_ms > 0 && g->rules.holder != 0) {
            g->rules.holder_ms = group_now(g);
        }
        err = rules_save(g);
        if (err == OXBOW_OK) {
            err = group_save(g);
        }
        if (err == OXBOW_OK) {
            err = due_alarm(g, 0);
        }
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(g->stream->txn, err);
}

/* ---- more time ---- */

static enum oxbow_err extend_all(struct pending_table *t,
                                 const struct oxbow_group_extend_options *opt, uint32_t consumer,
                                 uint64_t *done)
{
    uint64_t due = group_now(t->group) + opt->visible_ms;
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < opt->count && err == OXBOW_OK; i++) {
        struct pending p;

        err = pending_find(t, opt->ids[i], &p);
        if (err == OXBOW_OK && p.consumer != 0 && (consumer == 0 || p.consumer == consumer)) {
            err = due_note(t, p.id, due, 0);
            ++*done;
        } else if (err == OXBOW_ENOENT) {
            err = OXBOW_OK;
        }
    }
    return err;
}

enum oxbow_err oxbow_group_extend(struct oxbow_txn *txn, struct oxbow_group group,
                                  const struct oxbow_group_extend_options *opt, uint64_t *extended)
{
    struct stream s;
    struct group g;
    struct consumer c = {0};
    struct pending_table t;
    uint64_t done = 0;
    bool known = true;
    enum oxbow_err err = OXBOW_EINVAL;

    if (opt != NULL && (opt->ids != NULL || opt->count == 0) &&
        opt->visible_ms <= OXBOW_GROUP_MS_MAX) {
        err = ruled_find(txn, group, &s, &g);
    }
    if (err == OXBOW_OK && opt->has_consumer) {
        err = consumer_find(&g, opt->consumer, &c);
        known = err != OXBOW_ENOENT;
        err = known ? err : OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (known) {
        pending_open(&t, &g);
        err = extend_all(&t, opt, c.number, &done);
        err = finish(&t, err, done);
    }
    if (err == OXBOW_OK && extended != NULL) {
        *extended = done;
    }
    return err;
}

/* ---- negative acks ---- */

struct nack {
    const struct oxbow_group *called;
    const struct oxbow_group_nack_options *opt;
    struct pending_table table;
};

static struct oxbow_bytes reason_of(const struct nack *n, bool rejected)
{
    if (!rejected) {
        return (struct oxbow_bytes){"max-deliveries", 14};
    }
    return n->opt->reason.len > 0 ? n->opt->reason : (struct oxbow_bytes){"rejected", 8};
}

static enum oxbow_err nack_one(struct nack *n, struct pending *p)
{
    struct group *g = n->table.group;
    bool dead = n->opt->how == OXBOW_NACK_DEAD;
    uint64_t wait = n->opt->delay_ms;
    uint32_t from = p->consumer;
    bool added;
    enum oxbow_err err;

    if (dead || (n->opt->how == OXBOW_NACK_RETRY && g->rules.max_deliveries > 0 &&
                 p->deliveries >= g->rules.max_deliveries)) {
        return dead_move(&n->table, n->called, p, reason_of(n, dead));
    }
    if (n->opt->how == OXBOW_NACK_RETRY) {
        wait = rules_rest_ms(g, p->id, p->deliveries);
    }
    if (p->consumer != 0) {
        p->consumer = 0;
        err = pending_set(&n->table, p, &added);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return due_note(&n->table, p->id, group_now(g) + wait, from);
}

static enum oxbow_err nack_check(const struct oxbow_group_nack_options *opt)
{
    if (opt == NULL || (opt->ids == NULL && opt->count > 0) ||
        (opt->how != OXBOW_NACK_RETRY && opt->how != OXBOW_NACK_DELAY &&
         opt->how != OXBOW_NACK_DEAD) ||
        opt->delay_ms > OXBOW_GROUP_MS_MAX || opt->reason.len > OXBOW_GROUP_REASON_MAX) {
        return OXBOW_EINVAL;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_nack(struct oxbow_txn *txn, struct oxbow_group group,
                                const struct oxbow_group_nack_options *opt, uint64_t *nacked)
{
    struct stream s;
    struct group g;
    struct nack n = {.called = &group, .opt = opt};
    uint64_t done = 0;
    size_t i;
    enum oxbow_err err = nack_check(opt);

    if (err == OXBOW_OK) {
        err = ruled_find(txn, group, &s, &g);
    }
    if (err == OXBOW_OK && opt->how == OXBOW_NACK_DEAD && g.rules.dead_len == 0) {
        err = OXBOW_EINVAL;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&n.table, &g);
    for (i = 0; i < opt->count && err == OXBOW_OK; i++) {
        struct pending p;

        err = pending_find(&n.table, opt->ids[i], &p);
        if (err == OXBOW_OK) {
            err = nack_one(&n, &p);
            done++;
        } else if (err == OXBOW_ENOENT) {
            err = OXBOW_OK;
        }
    }
    err = finish(&n.table, err, done);
    if (err == OXBOW_OK && nacked != NULL) {
        *nacked = done;
    }
    return err;
}

/* ---- given back ---- */

static uint64_t release_count(const struct oxbow_group_release_options *opt, uint64_t deliveries)
{
    if (opt->has_deliveries) {
        return opt->deliveries;
    }
    if (opt->how == OXBOW_RELEASE_SILENT) {
        return deliveries > 0 ? deliveries - 1 : 0;
    }
    return opt->how == OXBOW_RELEASE_FATAL ? PENDING_DELIVERIES_MAX : deliveries;
}

/* In a group with rules: what kind of negative ack it is. */
static enum oxbow_nack release_how(const struct group *g,
                                   const struct oxbow_group_release_options *opt, bool fresh)
{
    if (opt->how == OXBOW_RELEASE_FATAL && g->rules.dead_len > 0) {
        return OXBOW_NACK_DEAD;
    }
    return fresh || opt->how == OXBOW_RELEASE_SILENT ? OXBOW_NACK_DELAY : OXBOW_NACK_RETRY;
}

/* `fresh`: it was not pending before. */
static enum oxbow_err release_entry(struct nack *n, const struct oxbow_group_release_options *opt,
                                    struct pending *p, bool fresh)
{
    struct group *g = n->table.group;
    struct oxbow_group_nack_options how = {.how = release_how(g, opt, fresh)};
    bool dead = g->ruled && how.how == OXBOW_NACK_DEAD;
    bool added;
    enum oxbow_err err;

    if (!dead || opt->has_deliveries) { /* a dead letter says how often it was delivered */
        p->deliveries = release_count(opt, p->deliveries);
    }
    if (!g->ruled) {
        p->consumer = 0;
        p->age_ms = group_now(g); /* the order in which they are claimed */
    }
    err = pending_set(&n->table, p, &added);
    if (err != OXBOW_OK || !g->ruled) {
        return err;
    }
    n->opt = &how;
    err = nack_one(n, p);
    n->opt = NULL;
    return err;
}

/* *done: it was given back. */
static enum oxbow_err release_one(struct nack *n, const struct oxbow_group_release_options *opt,
                                  struct oxbow_id id, bool *done)
{
    struct group *g = n->table.group;
    struct pending p;
    bool fresh = false;
    enum oxbow_err err = pending_find(&n->table, id, &p);

    if (err == OXBOW_ENOENT && opt->force) {
        p = (struct pending){.id = id, .age_ms = group_now(g)};
        fresh = true;
        err = stream_entry_find(g->stream, id, NULL);
    }
    *done = err == OXBOW_OK;
    if (err == OXBOW_ENOENT) {
        return OXBOW_OK;
    }
    return err == OXBOW_OK ? release_entry(n, opt, &p, fresh) : err;
}

static enum oxbow_err release_end(struct pending_table *t, enum oxbow_err err, uint64_t changed)
{
    struct group *g = t->group;

    if (g->ruled) {
        return finish(t, err, changed);
    }
    if (err == OXBOW_OK) {
        err = pending_flush(t);
    }
    pending_close(t);
    if (err == OXBOW_OK && changed > 0) {
        group_clock_set(g);
        err = group_save(g);
    }
    if (err == OXBOW_OK && changed > 0) {
        err = wait_touch(g->stream->txn, &g->stream->object); /* who claims may have it now */
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(g->stream->txn, err);
}

static enum oxbow_err release_check(const struct oxbow_group_release_options *opt)
{
    if (opt == NULL || (opt->ids == NULL && opt->count > 0) ||
        (opt->how != OXBOW_RELEASE_SILENT && opt->how != OXBOW_RELEASE_FAIL &&
         opt->how != OXBOW_RELEASE_FATAL) ||
        (opt->has_deliveries && opt->deliveries > PENDING_DELIVERIES_MAX)) {
        return OXBOW_EINVAL;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_release(struct oxbow_txn *txn, struct oxbow_group group,
                                   const struct oxbow_group_release_options *opt,
                                   uint64_t *released)
{
    struct stream s;
    struct group g;
    struct nack n = {.called = &group};
    uint64_t count = 0;
    enum oxbow_err err = release_check(opt);

    if (err == OXBOW_OK) {
        err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, &s, &g);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&n.table, &g);
    for (size_t i = 0; i < opt->count && err == OXBOW_OK; i++) {
        bool done;

        err = release_one(&n, opt, opt->ids[i], &done);
        count += done;
    }
    err = release_end(&n.table, err, count);
    if (err == OXBOW_OK && released != NULL) {
        *released = count;
    }
    return err;
}

/* ---- how it goes ---- */

enum oxbow_err oxbow_group_status(struct oxbow_txn *txn, struct oxbow_group group,
                                  struct oxbow_group_status *status)
{
    struct stream s;
    struct group g;
    uint64_t due = DUE_NEVER, now;
    enum oxbow_err err = group_find_any(txn, group, &s, &g);

    if (err == OXBOW_OK && g.ruled) {
        err = due_next(&g, &due);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *status = (struct oxbow_group_status){0};
    if (g.ruled) {
        now = group_now(&g);
        *status = (struct oxbow_group_status){.redelivered = g.rules.redelivered,
                                              .dead_letters = g.rules.dead,
                                              .dead_refused = g.rules.refused,
                                              .dead_problem = (enum oxbow_err)g.rules.problem,
                                              .has_due = due != DUE_NEVER};
        status->due_ms = status->has_due && due > now ? due - now : 0;
    }
    return OXBOW_OK;
}
