/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds delayed entries when they are due, in bounded steps: by the store's idle work, or when asked.
 * The entry's record goes in the transaction that adds it, so it is added exactly once.
 *
 * Invariants: (1) What is refused waits on: no entry is given up. (2) An entry whose addition makes a
 * transaction fail is postponed by the next one without another try, so that it blocks nobody. (3)
 * What was given when the store's clock showed more than it does raises it: the clock was lost. (4) What
 * is due after a span is put off by what the clock was credited with for the time before it was given.
 */
#include "engine/queue/delay.h"

#include "engine/base/codec.h"
#include "engine/queue/boots.h"
#include "engine/queue/expire.h"
#include "engine/queue/key_expire.h"
#include "engine/queue/once.h"
#include "engine/queue/priority.h"
#include "engine/queue/schedule.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"

#define STEP_ENTRIES    64u /* of idle work */
#define RUN_ENTRIES     1000u
#define RETRY_FIRST_MS  1000u
#define RETRY_MAX_MS    60000u
#define RETRY_DOUBLINGS 6u
#define FIELDS_STACK    16u

/* Hangs on the store. */
struct delay_state {
    uint64_t failed; /* number of the entry that made a transaction fail; 0: none */
    enum oxbow_err why;
    /* Nothing waits up to there, by the store's clock and by the wall clock: looks begin behind what
     * was deleted lately, however much that is. */
    struct oxbow_delay_id low[2];
    uint64_t aborts; /* store_abort_count as of then: an abort may have brought something back */
};

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct delay_state));
}

static struct delay_state *state_get(struct oxbow_txn *txn)
{
    struct delay_state *s = store_slot_get(txn_store(txn), STORE_SLOT_DELAY);

    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s != NULL) {
            store_slot_set(txn_store(txn), STORE_SLOT_DELAY, s, state_close);
        }
    }
    return s;
}

void delay_wrote(struct oxbow_txn *txn, bool wall, struct oxbow_delay_id id)
{
    struct delay_state *s = store_slot_get(txn_store(txn), STORE_SLOT_DELAY);

    if (s != NULL && (id.due_ms < s->low[wall].due_ms ||
                      (id.due_ms == s->low[wall].due_ms && id.number <= s->low[wall].number))) {
        s->low[wall] = (struct oxbow_delay_id){0, 0};
    }
}

/* The first one by that clock. */
static enum oxbow_err first(struct oxbow_txn *txn, bool wall, struct delay *d)
{
    struct delay_state *s = state_get(txn);

    if (s == NULL) {
        return OXBOW_ENOMEM;
    }
    if (s->aborts != store_abort_count(txn_store(txn))) {
        s->aborts = store_abort_count(txn_store(txn));
        s->low[false] = s->low[true] = (struct oxbow_delay_id){0, 0};
    }
    return delay_first(txn, wall, s->low[wall], d);
}

/* The first one was deleted. */
static void first_went(struct oxbow_txn *txn, bool wall, struct oxbow_delay_id id)
{
    struct delay_state *s = state_get(txn);

    if (s != NULL) {
        s->low[wall] = id;
    }
}

/* ---- adding one ---- */

static enum oxbow_err add_fields(struct oxbow_txn *txn, const struct delay *d)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct oxbow_stream_add_options opt = {.undelayed = true};
    uint8_t priority = 0;
    struct oxbow_field few[FIELDS_STACK];
    struct oxbow_field *fields = few;
    struct field_walk w;
    size_t room = 0;
    uint32_t count = 0;
    enum oxbow_err err = field_walk_plain(&w, d->payload);

    if (err != OXBOW_OK || w.left == 0 || w.left > d->payload.len) {
        return OXBOW_ECORRUPT;
    }
    if (w.left > FIELDS_STACK) {
        room = (size_t)w.left * sizeof *fields;
        fields = mem_new(alloc, room);
        if (fields == NULL) {
            return OXBOW_ENOMEM;
        }
    }
    while (err == OXBOW_OK) {
        err = field_walk_next(&w, &fields[count]);
        count += err == OXBOW_OK;
    }
    if (err == OXBOW_ENOENT) {
        err = priority_within(txn, d->name, d->priority, &priority);
        opt.priority = priority;
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_add(txn, d->name, &opt, fields, count, NULL);
    }
    mem_free(alloc, room > 0 ? fields : NULL, room);
    return err;
}

enum oxbow_err delay_add_now(struct oxbow_txn *txn, const struct delay *d)
{
    uint32_t database = txn_database(txn);
    enum oxbow_err err = oxbow_txn_select(txn, d->database);
    enum oxbow_err back;

    if (err == OXBOW_OK && d->type == OXBOW_TYPE_STREAM) {
        err = add_fields(txn, d);
    } else if (err == OXBOW_OK) {
        err = oxbow_list_push(txn, d->name, d->end, &d->payload, 1, NULL);
    }
    back = oxbow_txn_select(txn, database);
    return err == OXBOW_OK ? back : err;
}

/* Lets it wait on, for longer each time. */
static enum oxbow_err postpone(struct oxbow_txn *txn, struct delay *d, enum oxbow_err why)
{
    uint64_t wait = (uint64_t)RETRY_FIRST_MS
                    << (d->tries < RETRY_DOUBLINGS ? d->tries : RETRY_DOUBLINGS);

    d->tries = (uint8_t)(d->tries + (d->tries < UINT8_MAX));
    d->refused = (uint16_t)why;
    /* By the wall clock it is late already. */
    return delay_put_off(txn, d, txn_clock_ms(txn) + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS));
}

/* The entry, whose record was copied, is added or postponed. */
static enum oxbow_err settle(struct oxbow_txn *txn, struct delay *d, size_t len,
                             struct delay_count *count)
{
    struct delay_state *state = state_get(txn);
    bool failed;
    enum oxbow_err err;

    if (state == NULL) {
        return OXBOW_ENOMEM;
    }
    if ((d->flags & DELAY_EXACT) == 0) {
        uint64_t early = 0;

        err = credit_since(txn, d->made_ms, &early);
        if (err != OXBOW_OK || early > 0) {
            return err == OXBOW_OK ? delay_put_off(txn, d, d->id.due_ms + early) : err;
        }
    }
    failed = state->failed == d->id.number;
    err = failed ? state->why : delay_add_now(txn, d);
    if (txn_failed(txn) != OXBOW_OK) {
        state->failed = d->id.number;
        state->why = err;
        return err;
    }
    if (err != OXBOW_OK) {
        state->failed = failed ? 0 : state->failed;
        return postpone(txn, d, err);
    }
    count->waiting -= count->waiting > 0;
    count->bytes -= len < count->bytes ? len : count->bytes;
    count->added++;
    return delay_del(txn, d);
}

/* ---- steps ---- */

/* What is damaged cannot be added: it is counted, told and goes. */
static enum oxbow_err drop_damaged(struct oxbow_txn *txn, const struct delay *d,
                                   struct delay_count *count)
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint8_t key[DELAY_KEY_BYTES];

    log->line(log->ctx, OXBOW_LOG_ERROR, "queue: a delayed entry is damaged and lost");
    count->waiting -= count->waiting > 0;
    count->damaged++;
    return kv_del(txn, delay_key(key, d->wall, d->id));
}

/* Whether the first one by that clock is due; if so it is settled. *next_ms: when it is. */
static enum oxbow_err step(struct oxbow_txn *txn, bool wall, struct delay_count *count, bool *did)
{
    struct delay d = {.type = OXBOW_TYPE_NONE};
    struct buf copy;
    uint64_t now = 0;
    struct oxbow_delay_id id;
    enum oxbow_err err = first(txn, wall, &d);

    *did = false;
    if (err == OXBOW_ENOENT || (wall && !txn_wall_believed(txn, &now))) {
        if (err != OXBOW_ENOENT) {
            delay_arm(txn, true, UINT64_MAX);
        }
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && d.made_ms > txn_clock_ms(txn)) {
        err = credit_raise(txn, d.made_ms);
    }
    now = wall ? now : txn_clock_ms(txn);
    if ((err == OXBOW_OK || err == OXBOW_ECORRUPT) && d.id.due_ms > now) {
        delay_arm(txn, wall, d.id.due_ms);
        return OXBOW_OK;
    }
    id = d.id;
    if (err == OXBOW_ECORRUPT) {
        *did = true;
        err = drop_damaged(txn, &d, count);
        first_went(txn, wall, id);
        return err;
    }
    if (err == OXBOW_OK) {
        err = delay_find(txn, d.id, &d, &copy);
    }
    if (err == OXBOW_OK) {
        *did = true;
        err = settle(txn, &d, copy.len, count);
        buf_fini(&copy);
        first_went(txn, wall, id);
    }
    return err;
}

enum oxbow_err oxbow_delay_run(struct oxbow_txn *txn, uint64_t max, uint64_t *moved, bool *more)
{
    struct delay_count count;
    uint64_t done = 0;
    bool did = true;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : delay_count_get(txn, &count);

    max = max > 0 ? max : RUN_ENTRIES;
    while (err == OXBOW_OK && did && done < max) {
        err = step(txn, false, &count, &did);
        if (err == OXBOW_OK && !did) {
            err = step(txn, true, &count, &did);
        }
        done += did;
    }
    if (err == OXBOW_OK && done > 0) {
        err = delay_count_put(txn, &count);
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_EREADONLY ? err : txn_fail(txn, err);
    }
    if (moved != NULL) {
        *moved = done;
    }
    if (more != NULL) {
        *more = did;
    }
    return OXBOW_OK;
}

enum oxbow_err delay_idle(struct oxbow_txn *txn, bool *more)
{
    bool waiting;
    enum oxbow_err err = boots_settle(txn, &waiting);
    bool reaping = false;

    if (err == OXBOW_OK && waiting) {
        delay_arm(txn, true, UINT64_MAX); /* the clock may be set any time */
    }
    if (err == OXBOW_OK) {
        err = once_reap(txn, &reaping);
    }
    if (err == OXBOW_OK) {
        err = expire_step(txn, &reaping);
    }
    if (err == OXBOW_OK) {
        err = key_expire_step(txn, &reaping);
    }
    if (err == OXBOW_OK) {
        err = schedule_idle(txn, &reaping);
    }
    if (err == OXBOW_OK) {
        err = oxbow_delay_run(txn, STEP_ENTRIES, NULL, more);
    }
    *more = *more || reaping;
    return err;
}
