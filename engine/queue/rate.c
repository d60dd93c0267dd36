/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what passes through queues and forwards for which somebody has asked, in memory alone, and
 * reckons rates from readings of the counts.
 *
 * A rate is taken between now and the older of two kept readings; once the newer one is a window old
 * it becomes the older. Queues are known by their names' tags, so that one that is emptied and comes
 * again, as a list does, is still the same.
 *
 * 1. `total` counts committed transactions only. What the open one did is in `pending`, in a chain
 *    of the rows that have any, and goes to `total` when it commits.
 * 2. What is pending from a transaction that was aborted is seen by the store's count of aborts, and
 *    dropped before anything else becomes pending.
 */
#include "engine/queue/rate.h"

#include "engine/base/buf.h"
#include "engine/base/hash.h"
#include "engine/queue/metric.h"

#include <string.h>

#define LEAST_MS    1000u
#define ROWS_FIRST  16u
#define FORWARD_BIT ((uint64_t)1 << 63) /* of a row's key: it is a forward's */
#define CHAIN_END   UINT32_MAX

struct flow {
    uint64_t in;
    uint64_t out;
    uint64_t in_bytes;
    uint64_t out_bytes;
};

struct reading {
    uint64_t ms;
    struct flow flow;
};

struct rate_row {
    uint64_t key;
    uint32_t next; /* 1 + the next row that has something pending, CHAIN_END; 0: it has nothing */
    struct flow pending;
    struct flow total;
    struct reading old;
    struct reading newer;
};

struct rate_table {
    struct oxbow *db;
    uint32_t count;
    uint32_t room; /* a power of two */
    struct rate_row *rows;
    uint32_t *slots; /* twice the room; 1 + a row's index, by key. 0: free */
    uint32_t chain;  /* as in a row; 0: nothing is pending */
    uint64_t aborts; /* store_abort_count when the chain was begun */
};

static void rows_free(const struct oxbow_alloc *alloc, struct rate_table *t)
{
    if (t->room > 0) {
        mem_free(alloc, t->rows, t->room * sizeof *t->rows);
        mem_free(alloc, t->slots, 2 * (size_t)t->room * sizeof *t->slots);
    }
}

static void table_close(struct oxbow *db, void *p)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;

    store_set_commit_hook(db, NULL, NULL);
    rows_free(alloc, p);
    mem_free(alloc, p, sizeof(struct rate_table));
}

/* ---- what is pending ---- */

static void flow_add(struct flow *to, const struct flow *more)
{
    to->in += more->in;
    to->out += more->out;
    to->in_bytes += more->in_bytes;
    to->out_bytes += more->out_bytes;
}

/* Ends the chain: what was pending counts, or never happened. */
static void settle(struct rate_table *t)
{
    bool counts = t->aborts == store_abort_count(t->db);

    while (t->chain != 0 && t->chain != CHAIN_END) {
        struct rate_row *row = &t->rows[t->chain - 1];

        if (counts) {
            flow_add(&row->total, &row->pending);
        }
        row->pending = (struct flow){0};
        t->chain = row->next;
        row->next = 0;
    }
    t->chain = 0;
}

static void committed(void *ctx)
{
    settle(ctx);
}

static struct rate_row *row_find(const struct rate_table *t, uint64_t key)
{
    uint32_t mask = 2 * t->room - 1;

    if (t->room == 0) {
        return NULL;
    }
    for (uint32_t at = (uint32_t)key & mask; t->slots[at] != 0; at = (at + 1) & mask) {
        struct rate_row *row = &t->rows[t->slots[at] - 1];

        if (row->key == key) {
            return row;
        }
    }
    return NULL;
}

static void note(struct rate_table *t, uint64_t key, const struct flow *flow)
{
    struct rate_row *row = row_find(t, key);

    if (row == NULL) {
        return;
    }
    if (t->chain != 0 && t->aborts != store_abort_count(t->db)) {
        settle(t);
    }
    if (t->chain == 0) {
        t->chain = CHAIN_END;
        t->aborts = store_abort_count(t->db);
    }
    if (row->next == 0) {
        row->next = t->chain;
        t->chain = (uint32_t)(row - t->rows) + 1;
    }
    flow_add(&row->pending, flow);
}

static uint64_t queue_key(uint64_t tag)
{
    return tag & ~FORWARD_BIT;
}

static uint64_t forward_key(const char *name)
{
    return hash64(name, strlen(name), 0) | FORWARD_BIT;
}

void rate_came(struct oxbow_txn *txn, const struct object *object, uint64_t entries, uint64_t bytes)
{
    note(txn_slot_get(txn, STORE_SLOT_RATE), queue_key(object->tag),
         &(struct flow){.in = entries, .in_bytes = bytes});
}

void rate_left(struct oxbow_txn *txn, const struct object *object, uint64_t entries, uint64_t bytes)
{
    note(txn_slot_get(txn, STORE_SLOT_RATE), queue_key(object->tag),
         &(struct flow){.out = entries, .out_bytes = bytes});
}

void rate_sent(struct oxbow_txn *txn, const char *forward, uint64_t entries, uint64_t bytes)
{
    note(txn_slot_get(txn, STORE_SLOT_RATE), forward_key(forward),
         &(struct flow){.out = entries, .out_bytes = bytes});
}

/* ---- rows ---- */

static enum oxbow_err table_get(struct oxbow_txn *txn, struct rate_table **out)
{
    struct oxbow *db = txn_store(txn);
    struct rate_table *t = store_slot_get(db, STORE_SLOT_RATE);

    if (t == NULL) {
        t = mem_new(&txn_port(txn)->alloc, sizeof *t);
        if (t == NULL) {
            return OXBOW_ENOMEM;
        }
        t->db = db;
        store_slot_set(db, STORE_SLOT_RATE, t, table_close);
        store_set_commit_hook(db, committed, t);
    }
    *out = t;
    return OXBOW_OK;
}

static void slot_set(struct rate_table *t, uint32_t row)
{
    uint32_t mask = 2 * t->room - 1;
    uint32_t at = (uint32_t)t->rows[row].key & mask;

    while (t->slots[at] != 0) {
        at = (at + 1) & mask;
    }
    t->slots[at] = row + 1;
}

static enum oxbow_err table_grow(const struct oxbow_alloc *alloc, struct rate_table *t)
{
    struct rate_table more = *t;

    more.room = t->room == 0 ? ROWS_FIRST : 2 * t->room;
    more.rows = mem_new(alloc, more.room * sizeof *more.rows);
    more.slots = mem_new(alloc, 2 * (size_t)more.room * sizeof *more.slots);
    if (more.rows == NULL || more.slots == NULL) {
        mem_free(alloc, more.rows, more.room * sizeof *more.rows);
        mem_free(alloc, more.slots, 2 * (size_t)more.room * sizeof *more.slots);
        return OXBOW_ENOMEM;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        more.rows[i] = t->rows[i];
        slot_set(&more, i);
    }
    rows_free(alloc, t);
    *t = more;
    return OXBOW_OK;
}

/* *out NULL: there are too many. */
static enum oxbow_err row_get(struct oxbow_txn *txn, uint64_t key, struct rate_row **out)
{
    struct rate_table *t;
    enum oxbow_err err = table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    *out = row_find(t, key);
    if (*out != NULL || t->count == OXBOW_RATE_QUEUES) {
        return OXBOW_OK;
    }
    if (t->count == t->room) {
        err = table_grow(&txn_port(txn)->alloc, t);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    *out = &t->rows[t->count];
    **out = (struct rate_row){.key = key};
    slot_set(t, t->count++);
    return OXBOW_OK;
}

/* ---- readings ---- */

static uint64_t per_second(uint64_t from, uint64_t to, uint64_t ms)
{
    return (uint64_t)((double)(to - from) * 1e6 / (double)ms + 0.5);
}

static enum oxbow_err rate_get(struct oxbow_txn *txn, uint64_t key, struct rate *out)
{
    struct rate_row *row;
    struct reading now = {.ms = txn_uptime_ms(txn)};
    const struct flow *was;
    uint64_t ms;
    enum oxbow_err err = row_get(txn, key, &row);

    *out = (struct rate){METRIC_UNKNOWN, METRIC_UNKNOWN, METRIC_UNKNOWN, METRIC_UNKNOWN};
    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    now.flow = row->total;
    if (row->newer.ms == 0 || now.ms < row->newer.ms) {
        row->old = row->newer = now;
    } else if (now.ms - row->newer.ms >= OXBOW_RATE_WINDOW_MS) {
        row->old = row->newer;
        row->newer = now;
    }
    was = &row->old.flow;
    ms = now.ms - row->old.ms;
    if (ms >= LEAST_MS) {
        *out = (struct rate){
            .in = per_second(was->in, now.flow.in, ms),
            .out = per_second(was->out, now.flow.out, ms),
            .in_bytes = per_second(was->in_bytes, now.flow.in_bytes, ms),
            .out_bytes = per_second(was->out_bytes, now.flow.out_bytes, ms),
        };
    }
    return OXBOW_OK;
}

enum oxbow_err rate_of_queue(struct oxbow_txn *txn, uint64_t tag, struct rate *out)
{
    return rate_get(txn, queue_key(tag), out);
}

enum oxbow_err rate_of_forward(struct oxbow_txn *txn, const char *name, struct rate *out)
{
    return rate_get(txn, forward_key(name), out);
}
