/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XCLAIM and XAUTOCLAIM: pending entries change hands, one after the other: its entry is looked up
 * and copied into the result before anything is written. group_claim_idle.c claims by age.
 */
#include "engine/queue/group_claim.h"
#include "engine/base/result.h"
#include "engine/queue/group_due.h"

#define AUTOCLAIM_COUNT   100u /* Redis' default */
#define AUTOCLAIM_LOOK_AT 10u  /* times as many pending entries are looked at */

/* The consumer's number; he is made when he gets his first. */
static enum oxbow_err claimer_need(struct claim *c)
{
    struct consumer consumer;
    bool made;
    enum oxbow_err err;

    if (c->consumer != 0) {
        return OXBOW_OK;
    }
    err = consumer_open(c->group, c->name, &consumer, &made);
    if (err == OXBOW_OK) {
        c->consumer = consumer.number;
    }
    return err;
}

enum oxbow_err claim_begin(struct claim *c)
{
    struct oxbow_txn *txn = c->group->stream->txn;

    c->now = group_now(c->group);
    c->age_ms = c->now;
    pending_open(&c->table, c->group);
    return result_begin(c->result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);
}

/* Brings all records up to date. */
static enum oxbow_err claim_end(struct claim *c)
{
    struct consumer consumer;
    enum oxbow_err err = pending_flush(&c->table);

    if (err == OXBOW_OK && c->got > 0) {
        err = consumer_load(c->group, c->consumer, &consumer, NULL);
        if (err == OXBOW_OK) {
            consumer.pending += c->added;
            consumer.seen_ms = c->now;
            consumer.active_ms = c->now;
            err = consumer_save(c->group, &consumer);
        }
    }
    return err;
}

bool claim_returned(const struct claim *c, const struct pending *p)
{
    return p->consumer == 0 && !c->group->ruled;
}

static uint64_t claim_idle_ms(const struct claim *c, const struct pending *p)
{
    if (claim_returned(c, p)) {
        return OXBOW_IDLE_RETURNED;
    }
    return c->now > p->age_ms ? c->now - p->age_ms : 0;
}

enum oxbow_err claim_take(struct claim *c, struct pending *p)
{
    bool added;
    enum oxbow_err err;

    if (c->just_id) {
        err = result_entry(c->result, p->id, 0);
    } else {
        err = stream_entry_find(c->group->stream, p->id, c->result);
    }
    if (err == OXBOW_OK) {
        if (!c->fresh) {
            result_entry_was(c->result, claim_idle_ms(c, p), p->deliveries);
        }
        err = claimer_need(c);
    }
    if (err == OXBOW_OK && c->group->ruled) {
        err = due_taken(c->group, p, c->consumer);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p->consumer = c->consumer;
    p->age_ms = c->age_ms;
    if (c->has_deliveries) {
        p->deliveries = c->deliveries;
    } else if (!c->just_id) {
        p->deliveries++;
    }
    err = pending_set(&c->table, p, &added);
    c->added += added;
    c->got++;
    return err;
}

bool claim_idle_enough(const struct claim *c, const struct pending *p)
{
    return c->min_idle_ms == 0 || claim_returned(c, p) ||
           (c->now >= p->age_ms && c->now - p->age_ms >= c->min_idle_ms);
}

/* Takes a pending entry whose stream entry is gone off the list. */
static enum oxbow_err claim_drop(struct claim *c, struct oxbow_id id)
{
    enum oxbow_err err = pending_remove(&c->table, id);

    c->dropped = c->dropped || err == OXBOW_OK;
    return err;
}

static enum oxbow_err claim_one(struct claim *c, struct oxbow_id id)
{
    struct pending p;
    enum oxbow_err err = stream_entry_find(c->group->stream, id, NULL);

    if (err == OXBOW_ENOENT) {
        err = claim_drop(c, id);
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        err = pending_find(&c->table, id, &p);
        c->fresh = err == OXBOW_ENOENT;
        if (err == OXBOW_OK && !claim_idle_enough(c, &p)) {
            return OXBOW_OK;
        }
        if (err == OXBOW_ENOENT) {
            if (!c->force) {
                return OXBOW_OK;
            }
            p = (struct pending){.id = id, .deliveries = 1};
            err = OXBOW_OK;
        }
    }
    return err == OXBOW_OK ? claim_take(c, &p) : err;
}

/* The delivery time that IDLE or TIME ask for; what makes no sense is now, as in Redis. */
static uint64_t claim_age(const struct claim *c, const struct oxbow_claim_options *opt)
{
    uint64_t wall = txn_wall_ms(c->group->stream->txn);
    uint64_t idle = opt->has_idle ? opt->idle_ms : 0;

    if (opt->has_time) {
        idle = opt->time_ms <= wall ? wall - opt->time_ms : 0;
    }
    return idle < c->now ? c->now - idle : c->now;
}

enum oxbow_err claim_check(struct oxbow_txn *txn, struct oxbow_bytes consumer)
{
    if (consumer.len > OXBOW_GROUP_NAME_MAX) {
        return OXBOW_EINVAL;
    }
    return txn_readonly(txn) ? OXBOW_EREADONLY : OXBOW_OK;
}

enum oxbow_err claim_finish(struct claim *c, enum oxbow_err err, bool moved)
{
    struct group *g = c->group;

    if (err == OXBOW_OK) {
        err = claim_end(c);
    }
    pending_close(&c->table);
    if (err == OXBOW_OK && g->ruled && c->got > 0) {
        err = due_alarm(g, 0);
    }
    if (err == OXBOW_OK && (c->got > 0 || c->dropped || moved || group_clock_old(g))) {
        group_clock_set(g);
        err = group_save(g);
    }
    if (err != OXBOW_OK) {
        return txn_fail(g->stream->txn, err);
    }
    result_finish(c->result);
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_claim(struct oxbow_txn *txn, struct oxbow_group group,
                                 struct oxbow_bytes consumer, const struct oxbow_claim_options *opt,
                                 struct oxbow_result *result)
{
    struct stream s;
    struct group g;
    struct claim c = {.group = &g,
                      .name = consumer,
                      .result = result,
                      .min_idle_ms = opt->min_idle_ms,
                      .just_id = opt->just_id,
                      .force = opt->force,
                      .has_deliveries = opt->has_deliveries,
                      .deliveries = opt->deliveries};
    bool moved;
    size_t i;
    enum oxbow_err err = claim_check(txn, consumer);

    if ((opt->has_idle && opt->has_time) ||
        (opt->has_deliveries && opt->deliveries > PENDING_DELIVERIES_MAX)) {
        return OXBOW_EINVAL;
    }
    if (err == OXBOW_OK) {
        err = group_find_any(txn, group, &s, &g);
    }
    if (err == OXBOW_OK) {
        err = claim_begin(&c);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    c.age_ms = claim_age(&c, opt);
    moved = opt->has_last_id && id_compare(opt->last_id, g.last) > 0;
    if (moved) {
        g.last = opt->last_id;
    }
    for (i = 0; i < opt->count && err == OXBOW_OK; i++) {
        err = claim_one(&c, opt->ids[i]);
    }
    return claim_finish(&c, err, moved);
}

/* Looks at one pending entry of an autoclaim; *counted: it is part of the answer. */
static enum oxbow_err autoclaim_one(struct claim *c, struct pending *p, bool *counted)
{
    enum oxbow_err err = stream_entry_find(c->group->stream, p->id, NULL);

    *counted = false;
    if (err == OXBOW_ENOENT) {
        *counted = true;
        err = claim_drop(c, p->id);
        return err == OXBOW_OK ? result_entry_deleted(c->result, p->id) : err;
    }
    if (err != OXBOW_OK || !claim_idle_enough(c, p)) {
        return err;
    }
    *counted = true;
    return claim_take(c, p);
}

static enum oxbow_err autoclaim_walk(struct claim *c, const struct oxbow_autoclaim_options *opt,
                                     struct oxbow_id *next)
{
    uint64_t count = opt->count > 0 ? opt->count : AUTOCLAIM_COUNT;
    uint64_t looks =
        count > UINT64_MAX / AUTOCLAIM_LOOK_AT ? UINT64_MAX : count * AUTOCLAIM_LOOK_AT;
    struct pending_walk w;
    struct pending p;
    enum oxbow_err err;

    pending_walk_init(&w, &c->table, opt->start);
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        bool counted;

        if (looks == 0 || count == 0) {
            *next = p.id;
            return OXBOW_OK;
        }
        looks--;
        err = autoclaim_one(c, &p, &counted);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        count -= counted;
    }
    *next = OXBOW_ID_MIN;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_group_autoclaim(struct oxbow_txn *txn, struct oxbow_group group,
                                     struct oxbow_bytes consumer,
                                     const struct oxbow_autoclaim_options *opt,
                                     struct oxbow_result *result, struct oxbow_id *next)
{
    struct stream s;
    struct group g;
    struct claim c = {.group = &g,
                      .name = consumer,
                      .result = result,
                      .min_idle_ms = opt->min_idle_ms,
                      .just_id = opt->just_id};
    struct oxbow_id after = OXBOW_ID_MIN;
    enum oxbow_err err = claim_check(txn, consumer);

    if (err == OXBOW_OK) {
        err = group_find_any(txn, group, &s, &g);
    }
    if (err == OXBOW_OK) {
        err = claim_begin(&c);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = autoclaim_walk(&c, opt, &after);
    err = claim_finish(&c, err, false);
    if (err == OXBOW_OK) {
        *next = after;
    }
    return err;
}
