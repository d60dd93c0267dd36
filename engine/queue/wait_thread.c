/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that wait: try, get in line, sleep until it is one's turn, try again. The attempt is the
 * caller's; what is atomic is the transaction around it.
 */
#include "engine/queue/wait.h"

/* One thread's call of oxbow_wait_for. */
struct call {
    struct oxbow *db;
    struct oxbow_wait_options opt;
    const struct oxbow_wait_keys *keys;
    enum oxbow_err (*attempt)(void *ctx, struct oxbow_txn *txn, bool again);
    void *ctx;
    uint64_t deadline_us; /* monotonic; UINT64_MAX: never */
    struct oxbow_waiter *waiter;
    uint64_t lsn; /* of the commit that ended it */
    bool durable; /* it is to be durable when the call returns */
    bool told;    /* the caller is to be told if it is held in memory only */
};

static uint64_t now_us(const struct call *c)
{
    const struct oxbow_clock *clock = &oxbow_port_of(c->db)->clock;

    return clock->mono_us(clock->ctx);
}

/* Commits without waiting for the device: those behind in line must not wait for it too. */
static enum oxbow_err commit(struct call *c, struct oxbow_txn *txn)
{
    c->durable = c->told && txn_waits(txn);
    return oxbow_txn_commit(txn, &c->lsn);
}

/* Gets in line, inside the transaction that has found nothing. */
static enum oxbow_err get_in_line(struct call *c, struct oxbow_txn *txn, bool tried)
{
    const struct oxbow_port *port = txn_port(txn);
    struct wait_table *table;
    struct oxbow_waiter *w;
    enum oxbow_err err = wait_table_get(txn, &table);

    if (err == OXBOW_OK) {
        err = waiter_open(table, c->keys->count, &w);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    w->cancel_tag = c->opt.cancel_tag;
    err = port->threads.cond_open(port->threads.ctx, &w->cond);
    if (err == OXBOW_OK) {
        err = waiter_join(w, txn, c->keys, tried);
        if (err != OXBOW_OK) {
            port->threads.cond_close(w->cond);
        }
    }
    if (err != OXBOW_OK) {
        waiter_free(port, w);
        return err;
    }
    c->waiter = w;
    return OXBOW_OK;
}

/* The first attempt; OXBOW_EAGAIN: now in line. */
static enum oxbow_err try_first(struct call *c)
{
    struct oxbow_txn *txn;
    struct wait_table *table;
    bool ahead;
    enum oxbow_err line;
    enum oxbow_err err = oxbow_txn_begin(c->db, &c->opt.txn, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = wait_ahead(txn, c->keys, &ahead);
    if (err == OXBOW_OK && c->opt.timeout_ms != 0) {
        err = wait_table_get(txn, &table);
        if (err == OXBOW_OK) {
            wait_first_look(table);
        }
    }
    if (err == OXBOW_OK) {
        err = ahead ? OXBOW_EAGAIN : c->attempt(c->ctx, txn, false);
        if (err == OXBOW_OK) {
            return commit(c, txn);
        }
    }
    if (err == OXBOW_EAGAIN && c->opt.timeout_ms == 0) {
        err = OXBOW_ETIMEDOUT;
    } else if (err == OXBOW_EAGAIN) {
        line = get_in_line(c, txn, !ahead);
        err = line == OXBOW_OK ? OXBOW_EAGAIN : line;
    }
    oxbow_txn_abort(txn);
    return err;
}

/* Sleeps until it is this thread's turn or time to look (OXBOW_OK), or there will be none. */
static enum oxbow_err sleep_for_turn(const struct call *c)
{
    struct oxbow_waiter *w = c->waiter;
    const struct oxbow_threads *threads = &oxbow_port_of(c->db)->threads;
    enum oxbow_err err = OXBOW_OK;

    wait_lock(w->table);
    while (w->state == WAIT_IN_LINE && err == OXBOW_OK) {
        uint64_t until = c->deadline_us < w->alarm_us ? c->deadline_us : w->alarm_us;
        uint64_t now = until != UINT64_MAX ? now_us(c) : 0;

        if (now < until) {
            threads->cond_wait(w->cond, wait_mutex(w->table),
                               until == UINT64_MAX ? UINT64_MAX : until - now);
        } else if (c->deadline_us <= now) {
            err = OXBOW_ETIMEDOUT;
        } else {
            break;
        }
    }
    if (w->state == WAIT_CLOSED) {
        err = OXBOW_ECLOSED;
    } else if (w->state == WAIT_CANCELED) {
        err = OXBOW_ECANCELED;
    }
    wait_unlock(w->table);
    return err;
}

/* An attempt in this thread's turn. OXBOW_EAGAIN: back in line. */
static enum oxbow_err try_again(struct call *c)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(c->db, &c->opt.txn, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    waiter_look(c->waiter);
    err = c->attempt(c->ctx, txn, true);
    if (err == OXBOW_OK) {
        return commit(c, txn);
    }
    oxbow_txn_abort(txn);
    if (err == OXBOW_EAGAIN) {
        waiter_stay(c->waiter);
    }
    return err;
}

static bool in_memory(struct oxbow *db)
{
    struct oxbow_stat stat;

    oxbow_stat(db, &stat);
    return stat.in_memory;
}

enum oxbow_err
oxbow_wait_for(struct oxbow *db, const struct oxbow_wait_options *opt,
               const struct oxbow_wait_keys *keys,
               enum oxbow_err (*attempt)(void *ctx, struct oxbow_txn *txn, bool again), void *ctx)
{
    struct call c = {
        .db = db, .keys = keys, .attempt = attempt, .ctx = ctx, .deadline_us = UINT64_MAX};
    enum oxbow_err err;

    if (!wait_keys_are_sane(keys) || attempt == NULL) {
        return OXBOW_EINVAL;
    }
    if (opt != NULL) {
        c.opt = *opt;
    }
    c.told = (c.opt.txn.flags & OXBOW_TXN_NOWAIT) == 0;
    c.opt.txn.flags |= OXBOW_TXN_NOWAIT;
    if (c.opt.timeout_ms >= 0 && c.opt.timeout_ms < INT64_MAX / 2000) {
        c.deadline_us = now_us(&c) + (uint64_t)c.opt.timeout_ms * 1000;
    }
    err = try_first(&c);
    while (err == OXBOW_EAGAIN && c.waiter != NULL) {
        err = sleep_for_turn(&c);
        if (err == OXBOW_OK) {
            err = try_again(&c);
        }
    }
    if (c.waiter != NULL) {
        waiter_close(c.waiter);
    }
    return err == OXBOW_OK && (c.durable || (c.told && in_memory(db))) ? oxbow_wait(db, c.lsn, -1)
                                                                       : err;
}
