/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a group with rules: what failed and has rested is delivered again beside what is new, and
 * what failed for good goes to the dead letters.
 *
 *   pending --due--> delivered again (retry_one) --> pending, one delivery more
 *                `-> dead letters (retry_dead)   --> acked here
 *                                          `refused-> pending, tried again later
 *
 * Each read does bounded work: so many chunks are looked at, and what is left stays due.
 */
#include "engine/base/result.h"
#include "engine/queue/group_dead.h"
#include "engine/queue/group_due.h"
#include "engine/queue/group_read.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/wait.h"

#define LOOKS_MAX      16u   /* chunks that one read looks at */
#define RETRIES_MAX    1024u /* entries that one read without a count delivers again */
#define DEAD_MAX       16u   /* letters that one read writes: a transaction has a limit */
#define DEAD_AGAIN_MS  10000u
#define ALARM_EMPTY_MS 50u /* who found nothing does not look again sooner */

struct retry {
    struct reader *reader;
    const struct oxbow_group_read_options *opt;
    struct oxbow_result *result;
    struct pending_table table;
    uint64_t now;
    uint64_t given;
    uint64_t added;
    uint64_t dead; /* letters written */
    bool changed;  /* something was written */
};

static bool full(const struct retry *x)
{
    return x->opt->bytes > 0 && x->given > 0 && result_bytes(x->result) >= x->opt->bytes;
}

/* The dead letters do not take it: it stays, and is not in the way of others. */
static enum oxbow_err retry_postpone(struct retry *x, const struct pending *p, enum oxbow_err why)
{
    struct group *g = x->reader->group;
    struct note note;
    enum oxbow_err err = note_get(g, p->id, &note);

    if (err != OXBOW_OK) {
        return err;
    }
    note.has_due = true;
    note.due_ms = x->now + DEAD_AGAIN_MS;
    g->rules.refused++;
    g->rules.problem = (uint32_t)why;
    err = note_put(g, p->id, &note);
    return err == OXBOW_OK ? due_entry_by(&x->table, p->id, note.due_ms) : err;
}

static enum oxbow_err retry_dead(struct retry *x, const struct pending *p)
{
    static const struct oxbow_bytes reason = {"max-deliveries", 14};
    struct group *g = x->reader->group;
    enum oxbow_err err = dead_move(&x->table, x->reader->called, p, reason);

    if (dead_is_refusal(err)) {
        return retry_postpone(x, p, err);
    }
    if (err == OXBOW_OK) {
        g->rules.problem = OXBOW_OK;
        x->dead++;
    }
    return err;
}

static enum oxbow_err retry_one(struct retry *x, const struct pending *old)
{
    struct group *g = x->reader->group;
    struct pending p = *old;
    bool added;
    enum oxbow_err err;

    x->changed = true;
    if (g->rules.max_deliveries > 0 && old->deliveries >= g->rules.max_deliveries) {
        return retry_dead(x, old);
    }
    err = stream_entry_find(g->stream, p.id, x->result);
    if (err == OXBOW_ENOENT) {
        return pending_remove(&x->table, p.id); /* as a claim does */
    }
    if (err == OXBOW_OK && x->reader->consumer.number == 0) {
        err = consumer_open(g, x->reader->name, &x->reader->consumer, &added);
    }
    if (err == OXBOW_OK) {
        err = due_taken(g, old);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p.consumer = x->reader->consumer.number;
    p.age_ms = x->now;
    p.deliveries++;
    err = pending_set(&x->table, &p, &added);
    x->given++;
    x->added += added;
    g->rules.redelivered += old->deliveries > 0;
    return err;
}

/* Delivers what is due in one chunk. *more: up to the limit, and something is left there. */
static enum oxbow_err retry_chunk(struct retry *x, const struct due_batch *batch, uint64_t limit,
                                  bool *more)
{
    size_t i;

    *more = false;
    for (i = 0; i < batch->count; i++) {
        enum oxbow_err err;

        if (x->given == limit || x->dead == DEAD_MAX || full(x)) {
            *more = true;
            return OXBOW_OK;
        }
        err = retry_one(x, &batch->items[i]);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
    }
    return OXBOW_OK;
}

/* Delivers what is due until so many are given. */
static enum oxbow_err retry_some(struct retry *x, uint64_t limit)
{
    struct group *g = x->reader->group;
    bool more = false;
    size_t looks;

    for (looks = 0; looks < LOOKS_MAX && x->given < limit && !more; looks++) {
        struct due_batch batch;
        struct oxbow_id base;
        uint64_t at;
        enum oxbow_err err = due_first(g, &at, &base);

        if (err == OXBOW_ENOENT || (err == OXBOW_OK && at > x->now)) {
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = due_collect(g, base, x->now, &batch);
        }
        if (err == OXBOW_OK || err == OXBOW_ENOENT) {
            err = due_move(g, base, at, err == OXBOW_OK ? batch.rest_ms : DUE_NEVER);
        }
        if (err == OXBOW_OK) {
            x->changed = true;
            err = retry_chunk(x, &batch, limit, &more);
        }
        if (err == OXBOW_OK && more) {
            err = due_by(g, base, at);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* What is due of the reader's own: all that one gets who has as many pending as he may have. */
static enum oxbow_err retry_own(struct retry *x, uint64_t limit)
{
    struct group *g = x->reader->group;
    struct pending_walk w;
    struct pending p;
    enum oxbow_err err = OXBOW_OK;

    pending_walk_init(&w, &x->table, OXBOW_ID_MIN);
    w.consumer = x->reader->consumer.number;
    while (x->given < limit && x->dead < DEAD_MAX && !full(x)) {
        struct note note;

        err = pending_walk_next(&w, &p);
        if (err == OXBOW_OK) {
            err = note_get(g, p.id, &note);
        }
        if (err == OXBOW_OK && due_of(g, &p, &note) <= x->now) {
            err = retry_one(x, &p);
            err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        if (err != OXBOW_OK) {
            break;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- beside what is new ---- */

static bool new_there(const struct group *g)
{
    return g->stream->length > 0 && id_compare(g->stream->last, g->last) > 0;
}

/* How many failed ones come before the new ones. */
static uint64_t retries_first(const struct group *g, uint64_t count)
{
    if (!new_there(g)) {
        return count;
    }
    if (count == 1) {
        return g->rules.turn_new ? 0 : 1;
    }
    return count - count / 2;
}

/* Adds new ones to the result, up to `count` in all (0: no limit). */
static enum oxbow_err fill_new(struct retry *x, uint64_t count)
{
    struct group *g = x->reader->group;
    struct oxbow_stream_range range = {.from = g->last, .to = OXBOW_ID_MAX, .bytes = x->opt->bytes};

    if (!new_there(g) || (count > 0 && x->given >= count) || full(x) || !id_next(&range.from)) {
        return OXBOW_OK;
    }
    range.count = count > 0 ? count - x->given : 0;
    return stream_fill_more(g->stream, &range, x->result);
}

/* Fills the result; *retried: so many of it, the first, are no new ones. */
static enum oxbow_err fill(struct retry *x, uint64_t count, size_t *retried)
{
    uint64_t limit = count > 0 ? count : RETRIES_MAX;
    enum oxbow_err err = retry_some(x, retries_first(x->reader->group, limit));

    *retried = (size_t)x->given;
    if (err == OXBOW_OK) {
        err = fill_new(x, count);
    }
    if (err == OXBOW_OK && result_count(x->result) == *retried) {
        err = retry_some(x, limit); /* the new ones were all deleted */
        *retried = (size_t)x->given;
    }
    return err;
}

/* How many entries the reader may get. false: none but his own. */
static bool room_of(const struct reader *r, uint64_t wanted, uint64_t *count)
{
    uint64_t max = r->group->rules.prefetch;

    *count = wanted;
    if (max == 0) {
        return true;
    }
    if (r->consumer.pending >= max) {
        return false;
    }
    max -= r->consumer.pending;
    *count = wanted == 0 || wanted > max ? max : wanted;
    return true;
}

/* Writes down what was given. */
static enum oxbow_err settle(struct retry *x, size_t retried)
{
    struct reader *r = x->reader;
    struct group *g = r->group;
    size_t fresh;
    enum oxbow_err err = pending_flush(&x->table);

    result_finish(x->result);
    fresh = x->result->entry_count - retried;
    if (err == OXBOW_OK && retried > 0) {
        err = reader_save(r, x->added, true);
    }
    if (err == OXBOW_OK && fresh > 0) {
        err = reader_deliver(r, false, x->result->entries + retried, fresh);
    }
    x->changed = x->changed || fresh > 0;
    r->retried = retried;
    g->rules.turn_new = retried > 0 && fresh == 0;
    if (err == OXBOW_OK && x->changed) {
        group_clock_set(g);
        err = rules_save(g);
    }
    return err == OXBOW_OK && x->changed ? group_save(g) : err;
}

static enum oxbow_err read_due(struct retry *x)
{
    struct reader *r = x->reader;
    size_t retried = 0;
    uint64_t count = 0;
    enum oxbow_err err = due_sweep(r->group, &x->changed);

    if (err == OXBOW_OK) {
        err = consumer_find(r->group, r->name, &r->consumer);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (room_of(r, x->opt->count, &count)) {
        err = fill(x, count, &retried);
    } else {
        err = retry_own(x, count > 0 ? count : RETRIES_MAX);
        retried = (size_t)x->given;
    }
    return err == OXBOW_OK ? settle(x, retried) : err;
}

enum oxbow_err retry_read(struct reader *r, const struct oxbow_group_read_options *opt,
                          struct oxbow_result *result, bool *wrote)
{
    struct group *g = r->group;
    struct oxbow_txn *txn = g->stream->txn;
    struct retry x = {.reader = r, .opt = opt, .result = result, .now = group_now(g)};
    bool reaped = false;
    enum oxbow_err err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&x.table, g);
    err = read_due(&x);
    pending_close(&x.table);
    *wrote = x.changed;
    if (err == OXBOW_OK && x.changed) {
        err = group_reap(g->stream, &reaped);
    }
    if (err == OXBOW_OK && reaped) {
        err = stream_save(g->stream);
    }
    if (err == OXBOW_OK) {
        err = due_alarm(g, result->entry_count == 0 ? ALARM_EMPTY_MS : 0);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
