/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions in the store: what the target's position means for a forward, and writing down how far
 * it is.
 *
 * The target's own position is the truth and is read again after every connect, so `sent` and
 * `confirmed` may be written late (persist_ms) and without waiting for the device: what a crash
 * takes of them comes back with the next resync.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define TRIM_MIN_US 1000000u
#define TRIM_MAX_US 60000000u
#define TRIM_STEPS  16u /* bounded calls in one go */
#define STORE_WAIT  1000u
#define STORE_CAP   60000u

void cursor_failed(struct oxbow_uplink *u, enum oxbow_err err, const char *what)
{
    const struct session_plan plan = {.base_ms = STORE_WAIT, .cap_ms = STORE_CAP};
    char line[160];
    struct text t = text_in(line, sizeof(line));

    if (err == OXBOW_ENOENT) {
        u->flows_loaded = false; /* it was removed meanwhile */
        return;
    }
    text_add(&t, what);
    text_add(&t, ": ");
    text_add(&t, oxbow_err_text(err));
    if (u->state == OXBOW_UPLINK_IS_UP || u->state == OXBOW_UPLINK_IS_GREETING) {
        connection_fail(u, OXBOW_TROUBLE_STORE, line, plan);
    } else {
        session_trouble(u, OXBOW_TROUBLE_STORE, line);
    }
}

void cursor_moved(struct oxbow_uplink *u)
{
    /* What is set already may be far off: the next trim. */
    u->persist_us = min_us(u->persist_us, u->now_us + (uint64_t)u->config.persist_ms * 1000);
}

static enum oxbow_err write_begin(struct oxbow_uplink *u, struct oxbow_txn **txn)
{
    struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_INTERVAL, .flags = OXBOW_TXN_NOWAIT};

    return oxbow_txn_begin(u->db, &opt, txn);
}

/* Own writes change no entry, so nothing needs to wait for them: their run of LSNs is remembered.
 */
static enum oxbow_err write_commit(struct oxbow_uplink *u, struct oxbow_txn *txn)
{
    uint64_t lsn = 0;
    enum oxbow_err err = oxbow_txn_commit(txn, &lsn);

    if (err) {
        return err;
    }
    if (lsn > u->own_last + 1 || u->own_last == 0) {
        u->own_first = lsn;
    }
    u->own_last = lsn > u->own_last ? lsn : u->own_last;
    return OXBOW_OK;
}

/* ---- resync ---- */

static void gap_tell(struct oxbow_uplink *u, struct flow *f, const struct oxbow_gap *gap)
{
    char line[FLOW_TEXT_MAX];
    struct text t = text_in(line, sizeof(line));

    if (id_is_zero(gap->from) && id_is_zero(gap->to)) {
        return;
    }
    u->status.gaps++;
    text_add(&t, f->f.name);
    text_add(&t, ": ");
    text_add(&t, oxbow_gap_cause_name(gap->cause));
    text_add(&t, ": the target lacks ");
    text_id(&t, gap->from);
    text_add(&t, " to ");
    text_id(&t, gap->to);
    text_add(&t, ", which are gone here");
    session_log(u, OXBOW_LOG_ERROR, "gap", line);
}

static void resync_stop(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target,
                        enum oxbow_uplink_trouble trouble)
{
    char line[FLOW_TEXT_MAX];
    struct text t = text_in(line, sizeof(line));

    text_add(&t, trouble == OXBOW_TROUBLE_BEYOND ? "the target is ahead of this store, at "
                                                 : "somebody else writes to the target key, at ");
    text_id(&t, target);
    text_add(&t, "; here it was sent up to ");
    text_id(&t, f->accepted);
    flow_set(u, f, OXBOW_UPLINK_FORWARD_STOPPED, trouble, line);
}

/* The operator said: start from where the target is. */
static void resync_adopt(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target)
{
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = write_begin(u, &txn);

    if (!err) {
        err = oxbow_forward_adopt(txn, f->f.name, target);
        if (err) {
            oxbow_txn_abort(txn);
        } else {
            err = write_commit(u, txn);
        }
    }
    if (!err) { /* what is sent next must not meet a store that has forgotten this */
        err = oxbow_wait(u->db, u->own_last, -1);
        err = err == OXBOW_EVOLATILE ? OXBOW_OK : err; /* in memory, as all that it sends */
    }
    if (err == OXBOW_EIDORDER) {
        flow_set(u, f, OXBOW_UPLINK_FORWARD_STOPPED, OXBOW_TROUBLE_BEYOND,
                 "unsent entries have ids below the target's: they cannot be adopted");
    } else if (err) {
        cursor_failed(u, err, "adopt");
    } else {
        f->state = OXBOW_UPLINK_FORWARD_RESYNC;
    }
}

static void forgotten_tell(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target,
                           const struct oxbow_forward_resync *r)
{
    char line[FLOW_TEXT_MAX];
    struct text t = text_in(line, sizeof(line));

    text_add(&t, f->f.name);
    text_add(&t, ": the target has what was held in memory and is lost here: sent was ");
    text_id(&t, r->before);
    text_add(&t, ", target is at ");
    text_id(&t, target);
    session_log(u, OXBOW_LOG_WARN, "forgotten", line);
    f->confirmed = f->stored_confirmed = OXBOW_ID_MIN;
    f->durable_end = OXBOW_ID_MIN;
    f->seen_lsn = 0;
}

static void resync_apply(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target,
                         const struct oxbow_forward_resync *r)
{
    if (r->outcome == OXBOW_RESYNC_AHEAD && id_compare(target, f->accepted) > 0) {
        u->status.lost_replies++;
    }
    if (r->outcome == OXBOW_RESYNC_REWOUND || r->outcome == OXBOW_RESYNC_GAP ||
        r->outcome == OXBOW_RESYNC_DELETED) {
        char line[FLOW_TEXT_MAX];
        struct text t = text_in(line, sizeof(line));

        u->status.rewinds++;
        text_add(&t, f->f.name);
        text_add(&t, r->outcome == OXBOW_RESYNC_DELETED ? ": the target's key is gone, sent was "
                                                        : ": the target went back, sent was ");
        text_id(&t, r->before);
        text_add(&t, ", target is at ");
        text_id(&t, target);
        session_log(u, OXBOW_LOG_WARN, "rewind", line);
        gap_tell(u, f, &r->gap);
    }
    if (r->outcome == OXBOW_RESYNC_FORGOTTEN) {
        forgotten_tell(u, f, target, r);
    }
    f->prev = r->prev;
    f->next = r->resume;
    f->accepted = r->resume;
    f->stored_sent = r->resume;
    f->idle_lsn = 0;
    f->linger_us = 0;
    f->probe = f->retry.attempt > 0; /* it was refused before: one batch first */
    f->state = OXBOW_UPLINK_FORWARD_READY;
    confirm_by_reply(u, f);
    cursor_moved(u);
}

void cursor_resync(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target)
{
    struct oxbow_forward_resync r = {.outcome = OXBOW_RESYNC_EQUAL};
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = write_begin(u, &txn);

    if (!err) {
        err = oxbow_forward_sent(txn, f->f.name, f->accepted);
        if (!err) {
            err = oxbow_forward_resync(txn, f->f.name, target, &r);
        }
        if (err) {
            oxbow_txn_abort(txn);
        } else {
            err = write_commit(u, txn);
        }
    }
    if (!err && r.lasting) {
        err = oxbow_wait(u->db, u->own_last, -1);
        err =
            err == OXBOW_EVOLATILE && u->stand_in ? OXBOW_OK : err; /* it is as safe as all there */
    }
    if (err) {
        cursor_failed(u, err, "resync");
        return;
    }
    if (r.outcome == OXBOW_RESYNC_BEYOND && u->adopt) {
        resync_adopt(u, f, target);
    } else if (r.outcome == OXBOW_RESYNC_BEYOND) {
        resync_stop(u, f, target, OXBOW_TROUBLE_BEYOND);
    } else if (r.outcome == OXBOW_RESYNC_FOREIGN) {
        resync_stop(u, f, target, OXBOW_TROUBLE_FOREIGN);
    } else {
        resync_apply(u, f, target, &r);
    }
}

/* ---- writing down ---- */

static bool flow_dirty(const struct flow *f)
{
    return !f->gone && (f->stored_more || id_compare(f->accepted, f->stored_sent) != 0 ||
                        id_compare(f->confirmed, f->stored_confirmed) != 0);
}

static enum oxbow_err flow_store(struct oxbow_txn *txn, struct flow *f)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t step;

    if (id_compare(f->accepted, f->stored_sent) != 0) {
        err = oxbow_forward_sent(txn, f->f.name, f->accepted);
    }
    if (err || (!f->stored_more && id_compare(f->confirmed, f->stored_confirmed) == 0)) {
        return err;
    }
    f->stored_more = true;
    for (step = 0; step < TRIM_STEPS && f->stored_more && !err; step++) {
        err = oxbow_forward_confirmed(txn, f->f.name, f->confirmed, &f->stored_more);
    }
    return err;
}

static bool flow_trims(const struct flow *f)
{
    return !f->gone && f->f.options.after == OXBOW_AFTER_TRIM &&
           f->f.options.type == OXBOW_TYPE_STREAM && !id_is_zero(f->confirmed);
}

static uint64_t trim_period_us(const struct flow *f)
{
    uint64_t part = (uint64_t)f->f.options.hold_ms * 1000 / 16;

    return part < TRIM_MIN_US ? TRIM_MIN_US : part > TRIM_MAX_US ? TRIM_MAX_US : part;
}

static enum oxbow_err flow_trim(struct oxbow_uplink *u, struct oxbow_txn *txn, struct flow *f)
{
    uint64_t removed = 0;
    uint32_t step;
    enum oxbow_err err = OXBOW_OK;

    f->trim_more = true;
    for (step = 0; step < TRIM_STEPS && f->trim_more && !err; step++) {
        err = oxbow_forward_trim(txn, f->f.name, &removed, &f->trim_more);
    }
    f->trim_us = u->now_us + (f->trim_more ? 10000 : trim_period_us(f));
    return err;
}

static enum oxbow_err flows_store(struct oxbow_uplink *u, struct oxbow_txn *txn)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < u->flow_count && !err; i++) {
        struct flow *f = &u->flows[i];

        if (flow_dirty(f)) {
            err = flow_store(txn, f);
        }
        if (!err && flow_trims(f) && u->now_us >= f->trim_us) {
            err = flow_trim(u, txn, f);
        }
    }
    return err;
}

static void flows_stored(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        u->flows[i].stored_sent = u->flows[i].accepted;
        u->flows[i].stored_confirmed = u->flows[i].confirmed;
    }
}

/* When something must be written or trimmed next. */
static uint64_t persist_due_us(const struct oxbow_uplink *u)
{
    uint64_t due = NEVER_US;
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        const struct flow *f = &u->flows[i];

        if (flow_dirty(f)) {
            due = min_us(due, u->now_us + (uint64_t)u->config.persist_ms * 1000);
        }
        if (f->stored_more) {
            due = min_us(due, u->now_us + 1000);
        }
        if (flow_trims(f)) {
            due = min_us(due, f->trim_us);
        }
    }
    return due;
}

void cursor_persist(struct oxbow_uplink *u, bool all)
{
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err;

    if (u->check.on || (!all && u->now_us < u->persist_us)) {
        return;
    }
    err = write_begin(u, &txn);
    if (!err) {
        err = flows_store(u, txn);
        if (err) {
            oxbow_txn_abort(txn);
        } else {
            err = write_commit(u, txn);
        }
    }
    if (err) {
        u->persist_us = u->now_us + (uint64_t)STORE_WAIT * 1000;
        if (!all) {
            cursor_failed(u, err, "cursors could not be stored");
        }
        return;
    }
    flows_stored(u);
    u->persist_us = persist_due_us(u);
}
