/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the target's own position means here. One table of cases, judged in this order:
 *
 *   a store that was cut off, and target > its end then: forward_doubt.h
 *                                  FORGOTTEN if that can be settled, else BEYOND
 *   target == sent                 EQUAL
 *   target == 0-0                  DELETED   the key is gone
 *   target  > local end            BEYOND    nothing is changed
 *   target  > sent                 AHEAD     if an entry or a gap is there, else FOREIGN
 *   target >= trimmed              REWOUND   it is still all here
 *   else                           GAP       (target, trimmed] is gone on both sides
 *
 * A list keeps nothing of what was confirmed, so for it `trimmed` is its head.
 */
#include "engine/base/id.h"
#include "engine/queue/forward.h"
#include "engine/queue/forward_doubt.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_home.h"
#include "engine/queue/forward_walk.h"
#include "oxbow/stream.h"

/* The first position there can be. */
static struct oxbow_id first_position(const struct forward_record *r)
{
    return r->config.options.type == OXBOW_TYPE_LIST ? (struct oxbow_id){r->config.epoch, 1}
                                                     : (struct oxbow_id){0, 1};
}

static bool is_start(const struct forward_record *r, struct oxbow_id position)
{
    return id_is_zero(position) || (r->config.options.type == OXBOW_TYPE_LIST && position.seq == 0);
}

/* Everything up to here is gone from the local key. */
static struct oxbow_id gone_up_to(const struct forward_record *r)
{
    return r->config.options.type == OXBOW_TYPE_LIST ? (struct oxbow_id){r->config.epoch, r->head}
                                                     : r->trimmed;
}

/* Whether a stream's position is one that was ours: an entry's, or one within a gap. */
static enum oxbow_err was_here(struct oxbow_txn *txn, struct forward_table *t,
                               const struct forward_record *r, struct oxbow_id position, bool *ours)
{
    const struct oxbow_stream_range range = {
        .expired = true, .from = position, .to = position, .count = 1};
    enum oxbow_err err;

    if (r->config.options.type == OXBOW_TYPE_LIST) {
        *ours = true;
        return OXBOW_OK;
    }
    err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);
    if (err != OXBOW_OK) {
        return err;
    }
    if (t->scratch.entry_count > 0) {
        *ours = true;
        return OXBOW_OK;
    }
    /* What was sent may have been dropped since, before its reply came or was lost. */
    return forward_gap_covers(txn, r->config.id, position, ours);
}

static enum oxbow_err judge(struct oxbow_txn *txn, struct forward_table *t,
                            const struct forward_record *r, struct oxbow_id target,
                            enum oxbow_resync *outcome)
{
    struct oxbow_id end;
    bool ours = false;
    enum oxbow_err err;

    if (id_compare(target, r->sent) == 0 || (is_start(r, target) && is_start(r, r->sent))) {
        *outcome = OXBOW_RESYNC_EQUAL;
        return OXBOW_OK;
    }
    if (is_start(r, target)) {
        *outcome = OXBOW_RESYNC_DELETED;
        return OXBOW_OK;
    }
    if (r->config.options.type == OXBOW_TYPE_LIST && target.ms != r->config.epoch) {
        *outcome = OXBOW_RESYNC_FOREIGN;
        return OXBOW_OK;
    }
    err = forward_walk_end(txn, r, &end);
    if (err != OXBOW_OK) {
        return err;
    }
    if (id_compare(target, end) > 0) {
        *outcome = OXBOW_RESYNC_BEYOND;
    } else if (id_compare(target, r->sent) > 0) {
        err = was_here(txn, t, r, target, &ours);
        *outcome = ours ? OXBOW_RESYNC_AHEAD : OXBOW_RESYNC_FOREIGN;
    } else {
        *outcome = id_compare(target, gone_up_to(r)) >= 0 ? OXBOW_RESYNC_REWOUND : OXBOW_RESYNC_GAP;
    }
    return err;
}

/* A gap from right after `after` to `to`, unless there is nothing between them. What earlier gaps
 * said of a part of it is swallowed. */
static enum oxbow_err leave_gap(struct oxbow_txn *txn, struct forward_record *r,
                                struct oxbow_id after, struct oxbow_id to,
                                struct oxbow_forward_resync *out)
{
    struct oxbow_gap gap = {.to = to,
                            .entries = UINT64_MAX,
                            .bytes = UINT64_MAX,
                            .cause = out->outcome == OXBOW_RESYNC_GAP ? OXBOW_GAP_TARGET_LOST
                                                                      : OXBOW_GAP_DELETED};
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    gap.from = after;
    if (is_start(r, after)) {
        gap.from = first_position(r);
    } else if (!id_next(&gap.from)) {
        return OXBOW_OK;
    }
    if (id_compare(gap.from, to) > 0) {
        return OXBOW_OK;
    }
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        gap.entries = to.seq - gap.from.seq + 1;
    }
    err = forward_gap_cut(txn, r, to);
    while (err == OXBOW_OK && more) {
        err = forward_gap_drop(txn, r->config.id, to, &more);
    }
    if (err == OXBOW_OK) {
        err = forward_gap_add(txn, r, &gap, false);
    }
    out->gap = gap;
    return err;
}

static enum oxbow_err apply(struct oxbow_txn *txn, struct forward_record *r, struct oxbow_id target,
                            struct oxbow_forward_resync *out)
{
    struct oxbow_id lost = gone_up_to(r);
    enum oxbow_err err = OXBOW_OK;

    switch (out->outcome) {
    case OXBOW_RESYNC_AHEAD:
        err = forward_gap_cut(txn, r, target);
        break;
    case OXBOW_RESYNC_REWOUND:
        r->rewinds++;
        err = forward_gap_cut(txn, r, target);
        break;
    case OXBOW_RESYNC_GAP:
        r->rewinds++;
        err = forward_gap_cut(txn, r, target);
        if (err == OXBOW_OK) {
            err = leave_gap(txn, r, target, lost, out);
        }
        break;
    case OXBOW_RESYNC_DELETED:
        r->rewinds++;
        if (r->config.options.on_deleted == OXBOW_DELETED_CONTINUE) {
            lost = r->sent;
        }
        err = leave_gap(txn, r, OXBOW_ID_MIN, lost, out);
        break;
    case OXBOW_RESYNC_EQUAL:
    case OXBOW_RESYNC_BEYOND:
    case OXBOW_RESYNC_FOREIGN:
    case OXBOW_RESYNC_FORGOTTEN: /* done already */
        return OXBOW_OK;
    }
    r->sent = target;
    return err == OXBOW_OK ? forward_record_put(txn, r) : err;
}

/* As judge, where the store was cut off and has not seen this target since. */
static enum oxbow_err judge_doubt(struct oxbow_txn *txn, struct forward_table *t,
                                  struct forward_record *r, struct oxbow_id end,
                                  struct oxbow_forward_resync *o)
{
    bool foreign = r->config.options.type == OXBOW_TYPE_LIST && o->prev.ms != r->config.epoch;
    bool able = store_may_hold(txn_store(txn));
    enum oxbow_err err = OXBOW_OK;

    if (foreign || is_start(r, o->prev) || id_compare(o->prev, end) <= 0) {
        err = judge(txn, t, r, o->prev, &o->outcome);
    } else {
        if (able) {
            err = forward_doubt_settle(txn, r, end, o->prev, &able);
        }
        o->outcome = able ? OXBOW_RESYNC_FORGOTTEN : OXBOW_RESYNC_BEYOND;
    }
    if (err != OXBOW_OK || o->outcome == OXBOW_RESYNC_BEYOND ||
        o->outcome == OXBOW_RESYNC_FOREIGN) {
        return err;
    }
    o->lasting = true;
    if (o->outcome == OXBOW_RESYNC_FORGOTTEN) {
        err = forward_record_put(txn, r);
    }
    return err == OXBOW_OK ? forward_doubt_del(txn, r->config.id) : err;
}

enum oxbow_err forward_home_resync(struct oxbow_txn *txn, const char *name, struct oxbow_id target,
                                   struct oxbow_forward_resync *out)
{
    struct oxbow_forward_resync o = {.prev = target};
    struct forward_table *t;
    struct forward_record *r;
    struct oxbow_id end;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err != OXBOW_OK) {
        return err;
    }
    o.before = r->sent;
    err = forward_doubt_get(txn, r, &end);
    if (err == OXBOW_OK) {
        err = judge_doubt(txn, t, r, end, &o);
    } else if (err == OXBOW_ENOENT) {
        err = judge(txn, t, r, target, &o.outcome);
    }
    if (err == OXBOW_OK) {
        err = apply(txn, r, target, &o);
    }
    o.resume = r->sent;
    if (err == OXBOW_OK) {
        *out = o;
    }
    return err;
}

/* Of a store that was cut off, or made of a backup: the target has all that was here then. *done: so it
 * is settled, and what was added since follows. */
static enum oxbow_err adopt_doubt(struct oxbow_txn *txn, struct forward_record *r,
                                  struct oxbow_id target, bool *done)
{
    bool foreign = r->config.options.type == OXBOW_TYPE_LIST && target.ms != r->config.epoch;
    struct oxbow_id end;
    enum oxbow_err err = forward_doubt_get(txn, r, &end);

    *done = err == OXBOW_OK && !foreign && id_compare(target, end) > 0;
    if (!*done) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = forward_doubt_settle(txn, r, end, target, done);
    if (err != OXBOW_OK || !*done) {
        return err;
    }
    err = forward_record_put(txn, r);
    return err == OXBOW_OK ? forward_doubt_del(txn, r->config.id) : err;
}

enum oxbow_err forward_home_adopt(struct oxbow_txn *txn, const char *name, struct oxbow_id target)
{
    struct forward_table *t;
    struct forward_record *r;
    struct oxbow_id end;
    bool settled = false;
    bool more = true;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err == OXBOW_OK) {
        err = adopt_doubt(txn, r, target, &settled);
    }
    if (err == OXBOW_OK && !settled) {
        err = forward_walk_end(txn, r, &end);
    }
    if (err != OXBOW_OK || settled) {
        return err;
    }
    if (r->backlog_entries > 0) {
        return OXBOW_EIDORDER;
    }
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        /* The positions of a list are this store's own: it takes up the target's counting. */
        r->config.epoch = target.ms;
        r->head = target.seq;
    } else if (id_compare(end, target) < 0) {
        err = forward_raise(txn, t, r->config.options.key, target);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    while (err == OXBOW_OK && more) { /* gaps of the counting that ends */
        err = forward_gap_drop(txn, r->config.id, OXBOW_ID_MAX, &more);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    r->sent = target;
    r->confirmed = target;
    r->trimmed = target;
    r->mark_count = 0;
    err = forward_doubt_del(txn, r->config.id);
    return err == OXBOW_OK ? forward_record_put(txn, r) : err;
}
