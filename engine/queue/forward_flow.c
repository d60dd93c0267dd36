/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an entry through a forward: fetched, sent, confirmed, trimmed.
 *
 * 1. trimmed, confirmed, sent only rise here; resync alone lowers `sent`.
 * 2. What is trimmed was confirmed, lies at or below `sent`, and its hold is over, unless the store
 *    is so full that the hold must give way.
 * 3. The backlog counts what lies above `confirmed`.
 *
 * Holds are measured in the uptime of one boot: after a reboot they start again, whatever the wall
 * clock says.
 */
#include "engine/base/id.h"
#include "engine/base/result.h"
#include "engine/queue/forward.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_home.h"
#include "engine/queue/forward_meanwhile.h"
#include "engine/queue/forward_walk.h"
#include "engine/queue/policy.h"
#include "engine/queue/rate.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <string.h>

#define FETCH_BYTES  (32u * 1024u)
#define FETCH_COUNT  1000u
#define TRIM_STEP    512u
#define POP_STEP     1024u
#define PRESSURE_LEN (256u * 1024u) /* less room than this ends all holds */
#define AGE_UNKNOWN  UINT64_MAX

/* ---- fetch ---- */

static void remember(struct forward_table *t, const struct forward_memo *memo)
{
    t->memos[t->memo_next] = *memo;
    t->memo_next = (t->memo_next + 1) % FORWARD_MEMOS;
}

static uint64_t age_of(struct oxbow_txn *txn, const struct forward_record *r, struct oxbow_id id)
{
    struct oxbow_stamp stamp;
    uint64_t wall = txn_wall_ms(txn);

    if (r->config.options.type == OXBOW_TYPE_LIST ||
        oxbow_stream_stamp(txn, r->config.options.key, id, &stamp) != OXBOW_OK) {
        return AGE_UNKNOWN;
    }
    if (stamp.boot == txn_boot(txn)) {
        uint64_t now = txn_uptime_ms(txn);

        return now > stamp.uptime_ms ? now - stamp.uptime_ms : 0;
    }
    return wall >= stamp.wall_ms ? wall - stamp.wall_ms : AGE_UNKNOWN;
}

/* What of it lies before batch->last is on its way as what it was before it was dropped. */
static enum oxbow_err fetch_gap(struct oxbow_txn *txn, const struct forward_record *r,
                                struct oxbow_gap *gap, struct oxbow_result *result,
                                struct oxbow_forward_batch *batch)
{
    enum oxbow_err err;

    forward_gap_after(r, gap, batch->last);
    batch->last = gap->to;
    batch->count = 1;
    batch->gaps = 1;
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        forward_gap_text(gap, batch->list_gap, sizeof batch->list_gap);
        err = result_begin(result, &txn_port(txn)->alloc, 0);
        if (err == OXBOW_OK) {
            result_finish(result);
        }
        return err;
    }
    return forward_gap_entry(txn, gap, result);
}

static enum oxbow_err fetch_list(struct oxbow_txn *txn, const struct forward_record *r,
                                 const struct oxbow_forward_fetch *want,
                                 struct oxbow_result *result, struct oxbow_forward_batch *batch)
{
    enum oxbow_err err = forward_walk_items(txn, r, want, result);
    uint64_t from = want->after.seq > r->head ? want->after.seq : r->head;

    if (err != OXBOW_OK) {
        return err;
    }
    batch->count = (uint32_t)result->item_count;
    for (size_t i = 0; i < result->item_count; i++) {
        batch->bytes += result->items[i].len;
    }
    if (batch->count > 0) {
        batch->last = (struct oxbow_id){r->config.epoch, from + batch->count};
    }
    batch->oldest_ms = AGE_UNKNOWN;
    return OXBOW_OK;
}

static enum oxbow_err fetch_stream(struct oxbow_txn *txn, const struct forward_record *r,
                                   struct oxbow_stream_range *range, struct oxbow_result *result,
                                   struct oxbow_forward_batch *batch)
{
    enum oxbow_err err = oxbow_stream_range(txn, r->config.options.key, range, result);

    if (err != OXBOW_OK) {
        return err;
    }
    batch->count = (uint32_t)result->entry_count;
    for (size_t i = 0; i < result->entry_count; i++) {
        batch->bytes += forward_entry_bytes(&result->entries[i]);
    }
    if (batch->count > 0) {
        batch->last = result->entries[batch->count - 1].id;
        batch->oldest_ms = age_of(txn, r, result->entries[0].id);
    }
    return OXBOW_OK;
}

/* Entries up to the next gap, or that gap when nothing lies before it. */
static enum oxbow_err fetch_next(struct oxbow_txn *txn, const struct forward_record *r,
                                 const struct oxbow_forward_fetch *want,
                                 struct oxbow_result *result, struct oxbow_forward_batch *batch)
{
    struct oxbow_stream_range range = {.expired = true,
                                       .true_time = r->config.options.true_time,
                                       .from = want->after,
                                       .to = batch->end,
                                       .count = want->count,
                                       .bytes = want->bytes};
    struct oxbow_gap gap;
    enum oxbow_err err = forward_gap_next(txn, r->config.id, want->after, &gap);
    bool has_gap = err == OXBOW_OK;

    if (!has_gap && err != OXBOW_ENOENT) {
        return err;
    }
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        return has_gap ? fetch_gap(txn, r, &gap, result, batch)
                       : fetch_list(txn, r, want, result, batch);
    }
    if (has_gap && id_compare(gap.from, range.to) <= 0) {
        range.to = gap.from;
        if (!id_prev(&range.to)) {
            range.to = OXBOW_ID_MIN;
        }
    }
    if (!id_next(&range.from)) {
        return OXBOW_OK;
    }
    if (id_compare(range.from, range.to) <= 0) {
        err = fetch_stream(txn, r, &range, result, batch);
        if (err != OXBOW_OK || batch->count > 0) {
            return err;
        }
    }
    return has_gap && id_compare(gap.from, batch->end) <= 0 ? fetch_gap(txn, r, &gap, result, batch)
                                                            : OXBOW_OK;
}

enum oxbow_err forward_home_fetch(struct oxbow_txn *txn, const char *name,
                                  const struct oxbow_forward_fetch *want,
                                  struct oxbow_result *result, struct oxbow_forward_batch *batch)
{
    struct oxbow_forward_fetch w = *want;
    struct oxbow_forward_batch b;
    struct forward_table *t;
    struct forward_record *r;
    struct oxbow_id end;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err != OXBOW_OK) {
        return err;
    }
    w.bytes = w.bytes == 0 ? FETCH_BYTES : w.bytes;
    w.count = w.count == 0 || w.count > FETCH_COUNT ? FETCH_COUNT : w.count;
    memset(&b, 0, sizeof b);
    b.last = w.after;
    err = forward_walk_end(txn, r, &end);
    if (err == OXBOW_OK) {
        err = forward_walk_selectable(txn, r, end, NULL, &b.end);
    }
    if (err == OXBOW_OK) {
        err = result_begin(result, &txn_port(txn)->alloc, 0);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    result_finish(result);
    err = fetch_next(txn, r, &w, result, &b);
    if (err != OXBOW_OK) {
        return err;
    }
    if (b.count > 0) {
        err = forward_meanwhile_note(txn, r, b.last);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (b.gaps == 0) { /* entries that are here may lie in a gap: the target's key was deleted */
        remember(t, &(struct forward_memo){r->config.id, w.after, b.last, b.count, b.bytes});
    }
    *batch = b;
    return OXBOW_OK;
}

/* ---- sent, confirmed ---- */

static enum oxbow_err check_position(struct oxbow_txn *txn, const struct forward_record *r,
                                     struct oxbow_id position)
{
    struct oxbow_id end;
    enum oxbow_err err = forward_walk_end(txn, r, &end);

    if (err != OXBOW_OK) {
        return err;
    }
    return id_compare(position, end) > 0 ? OXBOW_ERANGE : OXBOW_OK;
}

/* Raises `sent`. The record is not put yet. */
static enum oxbow_err raise_sent(struct oxbow_txn *txn, struct forward_table *t,
                                 struct forward_record *r, struct oxbow_id position)
{
    uint64_t entries = r->sent_entries;
    uint64_t bytes = 0;
    enum oxbow_err err;

    if (id_compare(position, r->sent) <= 0) {
        return OXBOW_OK;
    }
    err = forward_walk_span(txn, t, r, r->sent, position,
                            &(struct forward_span){&r->sent_entries, &bytes});
    if (err == OXBOW_OK) {
        if (rate_asked(txn)) {
            rate_sent(txn, r->config.name, r->sent_entries - entries, bytes);
        }
        err = forward_gap_cut(txn, r, position);
    }
    r->sent = position;
    return err;
}

enum oxbow_err forward_home_sent(struct oxbow_txn *txn, const char *name, struct oxbow_id position)
{
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err == OXBOW_OK) {
        err = check_position(txn, r, position);
    }
    if (err != OXBOW_OK || id_compare(position, r->sent) <= 0) {
        return err;
    }
    err = raise_sent(txn, t, r, position);
    return err == OXBOW_OK ? forward_record_put(txn, r) : err;
}

/* Notes when `position` was confirmed. Marks closer than an eighth of the hold share one; the two
 * oldest merge when there is no room: a mark never ends a hold too early. */
static void add_mark(struct oxbow_txn *txn, struct forward_record *r, struct oxbow_id position)
{
    const struct forward_mark mark = {position, txn_boot(txn), txn_uptime_ms(txn)};
    struct forward_mark *last = r->mark_count > 0 ? &r->marks[r->mark_count - 1] : NULL;
    uint64_t apart = r->config.options.hold_ms / RECORD_MARKS;

    /* The mark before the last one bounds how early the last one began. */
    if (last != NULL && r->mark_count > 1 && last->boot == mark.boot &&
        last->uptime_ms - r->marks[r->mark_count - 2].uptime_ms < apart) {
        *last = mark;
        return;
    }
    if (r->mark_count == RECORD_MARKS) {
        memmove(&r->marks[0], &r->marks[1], sizeof r->marks[0] * (RECORD_MARKS - 1));
        r->mark_count--;
    }
    r->marks[r->mark_count++] = mark;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* A list's confirmed elements leave at once, so many to a call. */
static enum oxbow_err pop_confirmed(struct oxbow_txn *txn, struct forward_table *t,
                                    struct forward_record *r, struct oxbow_id *position, bool *more)
{
    uint64_t count = less(position->seq, r->head);
    enum oxbow_err err;

    *more = count > POP_STEP;
    count = *more ? POP_STEP : count;
    if (count == 0) {
        return OXBOW_OK;
    }
    t->lifted = true;
    err = oxbow_list_trim(txn, r->config.options.key, (int64_t)count, -1);
    t->lifted = false;
    r->head += count;
    position->seq = r->head;
    r->trimmed = *position;
    return err;
}

enum oxbow_err forward_home_confirmed(struct oxbow_txn *txn, const char *name,
                                      struct oxbow_id position, bool *more)
{
    struct forward_table *t;
    struct forward_record *r;
    uint64_t entries = 0;
    uint64_t bytes = 0;
    bool list;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err == OXBOW_OK) {
        err = check_position(txn, r, position);
    }
    if (err == OXBOW_OK) {
        err = raise_sent(txn, t, r, position);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *more = false;
    if (id_compare(position, r->confirmed) <= 0) {
        return forward_record_put(txn, r); /* `sent` may have been behind */
    }
    list = r->config.options.type == OXBOW_TYPE_LIST;
    if (list && position.seq > r->head + POP_STEP) {
        position.seq = r->head + POP_STEP;
        *more = true;
    }
    err = forward_walk_span(txn, t, r, r->confirmed, position,
                            &(struct forward_span){&entries, &bytes});
    if (err == OXBOW_OK && list) {
        bool again = false;

        err = pop_confirmed(txn, t, r, &position, &again);
        if (err == OXBOW_OK && id_compare(position, r->sent) <= 0) {
            /* A target that goes back behind what is gone is told of one gap for all of it. */
            err = forward_gap_drop(txn, r->config.id, position, &again);
        }
    }
    if (err != OXBOW_OK) {
        return err;
    }
    r->backlog_entries = less(r->backlog_entries, entries);
    r->backlog_bytes = less(r->backlog_bytes, bytes);
    r->confirmed = position;
    if (!list && r->config.options.after == OXBOW_AFTER_TRIM) {
        r->held_bytes += bytes;
        add_mark(txn, r, position);
    }
    err = forward_record_put(txn, r);
    return err == OXBOW_OK ? policy_left_key(txn, r->config.options.key) : err;
}

/* ---- trim ---- */

/* Marks of an earlier boot begin to count now. Says up to where the hold is over. */
static struct oxbow_id hold_over(struct oxbow_txn *txn, struct forward_record *r, bool *changed)
{
    uint64_t now = txn_uptime_ms(txn);
    uint64_t boot = txn_boot(txn);
    struct oxbow_id over = r->trimmed;

    for (uint32_t i = 0; i < r->mark_count; i++) {
        if (r->marks[i].boot != boot) {
            r->marks[i].boot = boot;
            r->marks[i].uptime_ms = now;
            *changed = true;
        }
        if (less(now, r->marks[i].uptime_ms) >= r->config.options.hold_ms) {
            over = r->marks[i].position;
        }
    }
    return over;
}

static void drop_marks(struct forward_record *r)
{
    uint32_t gone = 0;

    while (gone < r->mark_count && id_compare(r->marks[gone].position, r->trimmed) <= 0) {
        gone++;
    }
    memmove(&r->marks[0], &r->marks[gone], sizeof r->marks[0] * (r->mark_count - gone));
    r->mark_count -= gone;
}

struct trim_plan {
    struct oxbow_id over;  /* up to here by time */
    struct oxbow_id limit; /* never beyond */
    uint64_t bytes;        /* beyond `over`, so many bytes must go */
};

/* Removes what the plan says, one step. */
static enum oxbow_err trim_step(struct oxbow_txn *txn, struct forward_table *t,
                                struct forward_record *r, const struct trim_plan *plan,
                                uint64_t *removed)
{
    const struct oxbow_stream_range range = {
        .expired = true, .to = plan->limit, .count = TRIM_STEP};
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MINID};
    uint64_t bytes = 0;
    size_t n = 0;
    enum oxbow_err err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);

    while (err == OXBOW_OK && n < t->scratch.entry_count &&
           (bytes < plan->bytes || id_compare(t->scratch.entries[n].id, plan->over) <= 0)) {
        bytes += forward_entry_bytes(&t->scratch.entries[n++]);
    }
    *removed = 0;
    if (err == OXBOW_OK && t->scratch.entry_count == 0) {
        r->held_bytes = 0; /* the application may have removed some */
    }
    if (err != OXBOW_OK || n == 0) {
        return err;
    }
    r->trimmed = t->scratch.entries[n - 1].id;
    trim.minid = r->trimmed;
    if (!id_next(&trim.minid)) {
        return OXBOW_OK;
    }
    t->lifted = true;
    err = oxbow_stream_trim(txn, r->config.options.key, &trim, removed);
    t->lifted = false;
    r->held_bytes = less(r->held_bytes, bytes);
    return err;
}

enum oxbow_err forward_home_trim(struct oxbow_txn *txn, const char *name, uint64_t *removed,
                                 bool *more)
{
    struct trim_plan plan = {.bytes = 0};
    struct forward_table *t;
    struct forward_record *r;
    bool changed = false;
    bool gaps_left = false;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err != OXBOW_OK) {
        return err;
    }
    *removed = 0;
    *more = false;
    if (r->config.options.type == OXBOW_TYPE_LIST || r->config.options.after == OXBOW_AFTER_KEEP) {
        return OXBOW_OK;
    }
    plan.limit = id_compare(r->confirmed, r->sent) < 0 ? r->confirmed : r->sent;
    plan.over = hold_over(txn, r, &changed);
    plan.over = id_compare(plan.over, plan.limit) > 0 ? plan.limit : plan.over;
    if (r->config.options.hold_bytes > 0) {
        plan.bytes = less(r->held_bytes, r->config.options.hold_bytes);
    }
    if (txn_reserve_bytes(txn, PRESSURE_LEN) == OXBOW_EQUOTA) {
        plan.over = plan.limit;
    } else {
        /* The queue's replay window may want more kept than the hold. */
        err = policy_keep_floor(txn, r->config.options.key, &plan.limit);
        plan.over = id_compare(plan.over, plan.limit) > 0 ? plan.limit : plan.over;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (plan.bytes > 0 || id_compare(plan.over, r->trimmed) > 0) {
        err = trim_step(txn, t, r, &plan, removed);
        if (*removed < TRIM_STEP && id_compare(plan.over, r->trimmed) > 0) {
            r->trimmed = plan.over; /* nothing is left up to there */
        }
        drop_marks(r);
        changed = true;
    }
    if (err == OXBOW_OK && changed) {
        /* A rewound target has yet to be told of gaps above `sent`. */
        struct oxbow_id told = id_compare(r->trimmed, r->sent) < 0 ? r->trimmed : r->sent;

        err = forward_gap_drop(txn, r->config.id, told, &gaps_left);
    }
    *more = *removed == TRIM_STEP || gaps_left;
    return err == OXBOW_OK && changed ? forward_record_put(txn, r) : err;
}

/* ---- status ---- */

enum oxbow_err forward_home_status(struct oxbow_txn *txn, const char *name,
                                   struct oxbow_forward_status *out)
{
    struct oxbow_acked_prefix blocked = {.blocked = false};
    struct oxbow_forward_status s = {.oldest_age_ms = AGE_UNKNOWN};
    struct oxbow_stream_range range = {.expired = true, .to = OXBOW_ID_MAX, .count = 1};
    uint64_t bytes = 0;
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err == OXBOW_OK) {
        err = forward_walk_end(txn, r, &s.end);
    }
    if (err == OXBOW_OK) {
        err = forward_walk_selectable(txn, r, s.end, &blocked, &s.selectable);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    s.trimmed = r->trimmed;
    s.confirmed = r->confirmed;
    s.sent = r->sent;
    s.backlog_entries = r->backlog_entries;
    s.backlog_bytes = r->backlog_bytes;
    s.blocked_by = blocked.blocked ? blocked.blocked_by : OXBOW_ID_MIN;
    s.blocked_age_ms = blocked.blocked ? blocked.blocked_ms : 0;
    s.sent_entries = r->sent_entries;
    s.dropped_entries = r->dropped_entries;
    s.dropped_bytes = r->dropped_bytes;
    s.gaps = r->gaps;
    s.rewinds = r->rewinds;
    s.refused = forward_row_named(t, name)->refused;
    s.last = r->last;
    if (id_compare(r->sent, r->confirmed) > 0) {
        /* What is on its way is little: it is counted, the rest follows from the backlog. */
        uint64_t on_its_way = 0;

        err = forward_walk_span(txn, t, r, r->confirmed, r->sent,
                                &(struct forward_span){&on_its_way, &bytes});
        s.unsent_entries = less(r->backlog_entries, on_its_way);
    } else {
        s.unsent_entries = r->backlog_entries;
    }
    range.from = r->confirmed;
    if (err == OXBOW_OK && r->config.options.type == OXBOW_TYPE_STREAM && id_next(&range.from)) {
        err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);
        if (err == OXBOW_OK && t->scratch.entry_count > 0) {
            s.oldest_age_ms = age_of(txn, r, t->scratch.entries[0].id);
        }
    }
    if (err == OXBOW_OK) {
        *out = s;
    }
    return err;
}
