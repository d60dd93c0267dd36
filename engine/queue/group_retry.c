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
#include "engine/queue/group_idle.h"
#include "engine/queue/group_key.h"
#include "engine/queue/group_read.h"
#include "engine/queue/group_rules.h"
#include "engine/queue/priority.h"
#include "engine/queue/wait.h"

#include <string.h>

#define LOOKS_MAX      16u   /* chunks that one read looks at */
#define RETRIES_MAX    1024u /* entries that one read without a count delivers again */
#define DEAD_MAX       16u   /* letters that one read writes: a transaction has a limit */
#define HOLD_MAX       256u  /* new entries that wait for others of their key, passed in one read */
#define PENDING_FREE   4096u /* the quota has no say in fewer pending entries, as in group_read.c */
#define KEYED_COST     160u  /* bytes of one with a key */
#define ALARM_EMPTY_MS 50u   /* who found nothing does not look again sooner */

struct retry {
    struct reader *reader;
    const struct oxbow_group_read_options *opt;
    struct oxbow_result *result;
    struct pending_table table;
    uint64_t now;
    uint64_t given;
    uint64_t added;
    uint64_t fresh;     /* of those given, new ones that are pending already */
    uint64_t dead;      /* letters written */
    bool alone;         /* what was given is to be given alone */
    bool changed;       /* something was written */
    struct serve serve; /* of a stream with priorities, when new ones are given */
};

/* Nothing more is given in this read. */
static bool full(const struct retry *x)
{
    if (x->alone) {
        return true;
    }
    return x->opt->bytes > 0 && x->given > 0 && result_bytes(x->result) >= x->opt->bytes;
}

/* Whether the entry goes to the dead letters if it fails once more. Then it is given alone: a consumer
 * that dies of another entry must not take it along. */
static bool last_chance(const struct group *g, const struct pending *p)
{
    return p->deliveries > 0 && p->deliveries < UINT32_MAX &&
           p->deliveries + 1 == g->rules.max_deliveries;
}

static enum oxbow_err retry_dead(struct retry *x, const struct pending *p)
{
    bool moved;
    enum oxbow_err err = dead_give_up(&x->table, x->reader->called, p, x->now, &moved);

    x->dead += err == OXBOW_OK && moved;
    return err;
}

/* The reader's number; he is made when he gets his first. */
static enum oxbow_err reader_need(struct retry *x)
{
    struct reader *r = x->reader;
    bool made;

    if (r->consumer.number != 0) {
        return OXBOW_OK;
    }
    x->changed = true;
    return consumer_open(r->group, r->name, &r->consumer, &made);
}

/* In a group with keys: whether the entry, as it stands by now, is due and it is its turn. */
static enum oxbow_err retry_turn(struct retry *x, struct pending *p, bool *may)
{
    struct group *g = x->reader->group;
    struct note note;
    enum oxbow_err err = pending_find(&x->table, p->id, p);

    if (err == OXBOW_OK) {
        err = note_get(g, p->id, &note);
    }
    if (err == OXBOW_OK) {
        err = reader_need(x);
    }
    *may = err == OXBOW_OK && due_of(g, p, &note) <= x->now;
    return *may && note.key != 0 ? key_turn(&x->table, p, note.key, x->reader->consumer.number, may)
                                 : err;
}

static enum oxbow_err retry_one(struct retry *x, struct pending *old)
{
    struct group *g = x->reader->group;
    struct pending p;
    bool added, may = true;
    enum oxbow_err err = OXBOW_OK;

    x->changed = true;
    if (g->rules.keyed) {
        err = retry_turn(x, old, &may);
    }
    if (err != OXBOW_OK || !may) {
        return err;
    }
    p = *old;
    if (g->rules.max_deliveries > 0 && old->deliveries >= g->rules.max_deliveries) {
        return retry_dead(x, old);
    }
    err = stream_entry_find(g->stream, p.id, x->result);
    if (err == OXBOW_ENOENT) {
        return pending_remove(&x->table, p.id); /* as a claim does */
    }
    if (err == OXBOW_OK) {
        result_entry_was(x->result, x->now > p.age_ms ? x->now - p.age_ms : 0, p.deliveries);
        err = reader_need(x);
    }
    if (err == OXBOW_OK) {
        err = due_taken(g, old, x->reader->consumer.number);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    x->alone = last_chance(g, old);
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
static enum oxbow_err retry_chunk(struct retry *x, struct due_batch *batch, uint64_t limit,
                                  bool *more)
{
    size_t i;

    *more = false;
    for (i = 0; i < batch->count; i++) {
        enum oxbow_err err;

        if (x->given == limit || x->dead == DEAD_MAX || full(x) ||
            (x->given > 0 && last_chance(x->reader->group, &batch->items[i]))) {
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
        if (err == OXBOW_OK && due_of(g, &p, &note) <= x->now &&
            (x->given == 0 || !last_chance(g, &p))) {
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
    if (!new_there(g) || g->rules.exclusive_ms > 0) {
        return count;
    }
    if (count == 1) {
        return g->rules.turn_new ? 0 : 1;
    }
    return count - count / 2;
}

/* The entry's key; 0: it has none. */
static enum oxbow_err entry_key(struct stream_walk *w, const struct stream_entry *entry,
                                struct oxbow_bytes name, uint64_t *key)
{
    struct field_walk fields;
    struct oxbow_field field;
    enum oxbow_err err = stream_walk_fields(w, entry, &fields);

    *key = 0;
    while (err == OXBOW_OK && *key == 0) {
        err = field_walk_next(&fields, &field);
        if (err == OXBOW_OK && field.name.len == name.len &&
            memcmp(field.name.data, name.data, name.len) == 0) {
            *key = key_hash(name, field.value);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* One new entry: to the reader, or held for others of its key. */
static enum oxbow_err keyed_one(struct retry *x, struct stream_walk *w,
                                const struct stream_entry *entry, struct oxbow_bytes name)
{
    struct group *g = x->reader->group;
    struct pending p = {.id = entry->id, .age_ms = x->now};
    struct pending old;
    bool mine = true, added;
    uint64_t key;
    enum oxbow_err err;

    if (g->stream->priorities && serve_has_given(&x->serve, entry)) {
        g->last = p.id; /* by its priority, before the group had keys */
        return OXBOW_OK;
    }
    err = pending_find(&x->table, p.id, &old);
    if (err != OXBOW_ENOENT) { /* the group was set back: it is somebody's already */
        group_read_advance(g, p.id);
        return err;
    }
    err = entry_key(w, entry, name, &key);
    if (err == OXBOW_OK && key != 0) {
        err = key_admits(g, key, x->reader->consumer.number, &mine);
    }
    if (err == OXBOW_OK && mine) {
        p.consumer = x->reader->consumer.number;
        p.deliveries = 1;
        err = stream_walk_fill(w, entry, x->result);
    }
    if (err == OXBOW_OK) {
        err = pending_set(&x->table, &p, &added);
    }
    if (err == OXBOW_OK && key != 0) {
        err = key_add(g, key, p.id, p.consumer);
    }
    group_read_advance(g, p.id);
    x->added += mine;
    x->given += mine;
    x->fresh += mine;
    return err;
}

/* Adds new ones to the result where entries have keys, and makes them pending. */
static enum oxbow_err fill_keyed(struct retry *x, struct oxbow_id from, uint64_t limit)
{
    struct group *g = x->reader->group;
    uint8_t copy[KEY_FIELD_MAX];
    struct oxbow_bytes name;
    struct stream_walk w;
    struct stream_entry entry;
    size_t steps;
    enum oxbow_err err = rules_key_field(g, &name);

    if (err == OXBOW_OK) {
        memcpy(copy, name.data, name.len);
        name.data = copy;
        err = reader_need(x);
    }
    if (err == OXBOW_OK && g->pending > PENDING_FREE) {
        err = txn_reserve_bytes(g->stream->txn, HOLD_MAX * KEYED_COST);
    }
    if (err == OXBOW_OK) {
        err = stream_walk_init(&w, g->stream, from, OXBOW_ID_MAX, false);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    x->changed = true;
    for (steps = 0; steps < x->given + HOLD_MAX && x->given < limit && !full(x); steps++) {
        err = stream_walk_next(&w, &entry);
        if (err == OXBOW_OK) {
            err = keyed_one(x, &w, &entry, name);
        }
        if (err != OXBOW_OK) {
            break;
        }
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Adds new ones to the result, up to `count` in all (0: no limit). */
static enum oxbow_err fill_new(struct retry *x, uint64_t count)
{
    struct group *g = x->reader->group;
    struct oxbow_stream_range range = {.from = g->last, .to = OXBOW_ID_MAX, .bytes = x->opt->bytes};
    uint64_t due = DUE_NEVER;
    enum oxbow_err err = OXBOW_OK;

    if (!new_there(g) || (count > 0 && x->given >= count) || full(x) || !id_next(&range.from)) {
        return OXBOW_OK;
    }
    if (g->rules.exclusive_ms > 0) {
        err = due_next(g, &due); /* all that failed comes before */
    }
    if (err != OXBOW_OK || due <= x->now) {
        return err;
    }
    if (g->stream->priorities) {
        err = serve_open(&x->serve, g, x->reader->called->key);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (g->rules.field_len == 0 && g->stream->priorities) {
        x->reader->serve = &x->serve;
        return serve_fill(&x->serve, count > 0 ? count - x->given : 0, range.bytes, x->result);
    }
    if (g->rules.field_len > 0) {
        return fill_keyed(x, range.from, count > 0 ? count : UINT64_MAX);
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
    if (err == OXBOW_OK && x->given > 0) {
        err = reader_save(r, x->added, true);
    }
    if (g->rules.holder != 0 && g->rules.holder == r->consumer.number) {
        g->rules.holder_ms = x->now;
    }
    if (err == OXBOW_OK && fresh > 0 && x->fresh == 0) {
        err = reader_deliver(r, false, x->result->entries + retried, fresh);
    }
    x->changed = x->changed || fresh > 0;
    r->retried = retried;
    g->rules.turn_new = retried > 0 && fresh == 0;
    if (err == OXBOW_OK && x->changed) {
        group_clock_set(g);
        err = rules_save(g);
    }
    if (err == OXBOW_OK && x->changed && g->rules.max_deliveries > 0) {
        err = group_idle_note(g, r->called);
    }
    return err == OXBOW_OK && x->changed ? group_save(g) : err;
}

/* How long the group is another's; 0: the reader has it, or takes it over now. */
static enum oxbow_err exclusive_take(struct retry *x, uint64_t *wait_ms)
{
    struct group *g = x->reader->group;
    struct group_rules *r = &g->rules;
    uint64_t silent = x->now > r->holder_ms ? x->now - r->holder_ms : 0;
    bool his = r->holder != 0 && r->holder == x->reader->consumer.number;
    enum oxbow_err err;

    *wait_ms = 0;
    if (r->exclusive_ms == 0 || his) {
        return OXBOW_OK;
    }
    if (r->holder != 0 && silent < r->exclusive_ms) {
        *wait_ms = r->exclusive_ms - silent;
        return OXBOW_OK;
    }
    if (g->pending == 0 && !new_there(g)) {
        return OXBOW_OK; /* nothing to have it for */
    }
    err = reader_need(x);
    r->holder = x->reader->consumer.number;
    r->holder_ms = x->now;
    rules_sweep(g);
    x->changed = true;
    return err;
}

static enum oxbow_err read_due(struct retry *x, uint64_t *wait_ms)
{
    struct reader *r = x->reader;
    size_t retried = 0;
    uint64_t count = 0;
    bool swept = false;
    enum oxbow_err err = consumer_find(r->group, r->name, &r->consumer);

    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    if (err == OXBOW_OK) {
        err = exclusive_take(x, wait_ms);
    }
    if (err != OXBOW_OK || *wait_ms > 0) {
        return err;
    }
    err = due_sweep(r->group, &swept);
    x->changed = x->changed || swept;
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
    uint64_t wait_ms = 0;
    bool reaped = false;
    enum oxbow_err err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err != OXBOW_OK) {
        return err;
    }
    pending_open(&x.table, g);
    err = read_due(&x, &wait_ms);
    pending_close(&x.table);
    r->serve = NULL;
    *wrote = x.changed;
    if (err == OXBOW_OK && x.changed) {
        err = group_reap(g->stream, &reaped);
    }
    if (err == OXBOW_OK && reaped) {
        err = stream_save(g->stream);
    }
    if (err == OXBOW_OK && wait_ms > 0) {
        wait_alarm(txn, &g->stream->object, wait_ms);
    } else if (err == OXBOW_OK) {
        err = due_alarm(g, result->entry_count == 0 ? ALARM_EMPTY_MS : 0);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
