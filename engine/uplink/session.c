/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's life and the driver's calls. Every public call takes the one mutex, so that status
 * and commands may come from anywhere; the store is entered only by the driver's thread.
 *
 * 1. Lock order: the session's mutex, then the store's. Nobody takes them the other way round.
 * 2. requests[] holds, in the order of sending, what the target still has to answer.
 * 3. out.data[out_pos, out.len) is what the driver has not taken yet.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

static uint64_t clock_us(const struct oxbow_uplink *u)
{
    return u->port->clock.mono_us(u->port->clock.ctx);
}

static void session_lock(struct oxbow_uplink *u)
{
    u->port->threads.mutex_lock(u->mutex);
    u->now_us = clock_us(u);
}

static void session_unlock(struct oxbow_uplink *u)
{
    u->port->threads.mutex_unlock(u->mutex);
}

void session_log(struct oxbow_uplink *u, enum oxbow_log_level level, const char *what,
                 const char *text)
{
    char line[384];
    struct text t = text_in(line, sizeof(line));

    text_add(&t, "uplink: ");
    text_add(&t, what);
    if (text != NULL && text[0] != 0) {
        text_add(&t, ": ");
        text_add(&t, text);
    }
    u->port->log.line(u->port->log.ctx, level, line);
}

void session_trouble(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text)
{
    bool same = u->status.trouble == trouble && strcmp(u->status.trouble_text, text) == 0;

    u->status.trouble = trouble;
    u->trouble_us = u->now_us;
    text_copy(u->status.trouble_text, sizeof(u->status.trouble_text), text);
    /* A fault that lasts is said once, not at every attempt. */
    session_log(u, same ? OXBOW_LOG_DEBUG : OXBOW_LOG_WARN, oxbow_uplink_trouble_name(trouble),
                text);
}

struct request *session_expect(struct oxbow_uplink *u, enum request_kind kind, uint32_t replies)
{
    struct request *q;

    if (u->request_count == SESSION_REQUESTS_MAX) {
        return NULL;
    }
    q = &u->requests[(u->request_head + u->request_count) % SESSION_REQUESTS_MAX];
    *q = (struct request){.out_end = u->status.bytes_out + u->out.len - u->out_pos,
                          .kind = kind,
                          .replies = replies,
                          .sent_us = u->now_us,
                          .mode = u->mode};
    u->request_count++;
    return q;
}

static enum oxbow_err identity_read(struct oxbow_uplink *u)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn = NULL;
    struct text key = text_in(u->owner_key, sizeof(u->owner_key));
    enum oxbow_err err = oxbow_txn_begin(u->db, &opt, &txn);

    if (err) {
        return err;
    }
    err = oxbow_identity_get(txn, &u->identity);
    oxbow_txn_abort(txn);
    text_add(&key, "oxbow:{");
    text_add(&key, u->identity.device);
    text_add(&key, u->stand_in ? "}:owner:meanwhile" : "}:owner");
    return err;
}

static enum oxbow_err session_init(struct oxbow_uplink *u, const struct oxbow_uplink_config *config)
{
    const struct oxbow_threads *threads = &u->port->threads;
    struct oxbow_stat stat;
    enum oxbow_err err = settings_init(u, config);

    oxbow_stat(u->db, &stat);
    u->stand_in = stat.stand_in;
    if (!err) {
        err = identity_read(u);
    }
    if (!err) {
        err = threads->mutex_open(threads->ctx, &u->mutex);
    }
    if (!err) {
        err = threads->cond_open(threads->ctx, &u->changed);
    }
    if (err) {
        return err;
    }
    buf_init(&u->out, &u->port->alloc, SESSION_OUT_MAX);
    reply_parser_init(&u->parser);
    u->backoff.random = &u->port->random;
    u->paused = config->start_paused;
    u->check.on = config->check;
    u->now_us = clock_us(u);
    u->persist_us = NEVER_US;
    u->batch_limit = UINT32_MAX;
    u->status.skew_ms = INT64_MIN;
    u->state = OXBOW_UPLINK_IS_WAITING;
    u->state_us = u->now_us;
    u->target = (size_t)backoff_spread_us(u->backoff.random, 1000) % u->config.target_count;
    u->try_us = u->now_us;
    if (!u->check.on && u->config.first_spread_ms > 1) {
        u->try_us += backoff_spread_us(u->backoff.random, u->config.first_spread_ms);
    }
    return OXBOW_OK;
}

static void session_free(struct oxbow_uplink *u)
{
    const struct oxbow_alloc *alloc = &u->port->alloc;

    flows_fini(u);
    if (u->out.alloc != NULL) {
        if (u->out.data != NULL) {
            memset(u->out.data, 0, u->out.cap); /* passwords went through it */
        }
        buf_fini(&u->out);
    }
    oxbow_result_fini(&u->result);
    if (u->changed != NULL) {
        u->port->threads.cond_close(u->changed);
    }
    if (u->mutex != NULL) {
        u->port->threads.mutex_close(u->mutex);
    }
    memset(&u->secret, 0, sizeof(u->secret));
    mem_free(alloc, u, sizeof(*u));
}

enum oxbow_err oxbow_uplink_open(struct oxbow *db, const struct oxbow_uplink_config *config,
                                 struct oxbow_uplink **out)
{
    const struct oxbow_port *port = oxbow_port_of(db);
    struct oxbow_uplink *u = mem_new(&port->alloc, sizeof(*u));
    enum oxbow_err err;

    if (u == NULL) {
        return OXBOW_ENOMEM;
    }
    u->db = db;
    u->port = port;
    err = session_init(u, config);
    if (err) {
        session_free(u);
        return err;
    }
    *out = u;
    return OXBOW_OK;
}

void oxbow_uplink_close(struct oxbow_uplink *u)
{
    if (u == NULL) {
        return;
    }
    session_lock(u);
    u->closing = true;
    cursor_persist(u, true);
    u->port->threads.cond_broadcast(u->changed);
    while (u->drains > 0) {
        u->port->threads.cond_wait(u->changed, u->mutex, 100000);
    }
    session_unlock(u);
    session_free(u);
}

void session_run(struct oxbow_uplink *u)
{
    u->run_us = u->now_us;
    control_commands(u);
    connection_timers(u);
    if (!u->check.on) {
        flows_refresh(u);
    }
    if (u->state == OXBOW_UPLINK_IS_GREETING) {
        greeting_run(u);
    }
    if (u->state == OXBOW_UPLINK_IS_UP && !u->check.on) {
        flows_run(u);
        confirm_run(u);
    }
    cursor_persist(u, false);
    control_changed(u);
}

/* ---- the driver's calls ---- */

void oxbow_uplink_next(struct oxbow_uplink *u, struct oxbow_uplink_next *out)
{
    session_lock(u);
    connection_next(u, out);
    session_unlock(u);
}

void oxbow_uplink_connected(struct oxbow_uplink *u, const char *about)
{
    session_lock(u);
    if (u->state == OXBOW_UPLINK_IS_CONNECTING) {
        text_copy(u->status.about, sizeof(u->status.about), about == NULL ? "" : about);
        greeting_begin(u);
        session_run(u);
    }
    session_unlock(u);
}

void oxbow_uplink_feed(struct oxbow_uplink *u, const void *data, size_t len)
{
    session_lock(u);
    u->status.bytes_in += len;
    u->last_in_us = u->now_us;
    if (u->state == OXBOW_UPLINK_IS_GREETING || u->state == OXBOW_UPLINK_IS_UP) {
        answer_feed(u, data, len);
        session_run(u);
    }
    session_unlock(u);
}

void oxbow_uplink_output(struct oxbow_uplink *u, struct oxbow_bytes *out)
{
    session_lock(u);
    *out = (struct oxbow_bytes){NULL, 0};
    if (u->out.len > u->out_pos) {
        *out = (struct oxbow_bytes){u->out.data + u->out_pos, u->out.len - u->out_pos};
    }
    session_unlock(u);
}

void oxbow_uplink_sent(struct oxbow_uplink *u, size_t len)
{
    struct request *q;

    session_lock(u);
    q = session_front(u);
    if (len > u->out.len - u->out_pos) {
        len = u->out.len - u->out_pos;
    }
    /* A large entry on a slow path takes its time: as long as it moves, patience begins anew. */
    if (q != NULL && q->out_end > u->status.bytes_out) {
        q->sent_us = u->now_us;
    }
    u->out_pos += len;
    u->status.bytes_out += len;
    if (u->out_pos == u->out.len) {
        u->out.len = 0;
        u->out_pos = 0;
        if (u->out.cap > SESSION_OUT_KEEP) {
            buf_fini(&u->out);
        }
        session_run(u);
    }
    session_unlock(u);
}

void oxbow_uplink_tick(struct oxbow_uplink *u)
{
    session_lock(u);
    session_run(u);
    session_unlock(u);
}

void oxbow_uplink_closed(struct oxbow_uplink *u, enum oxbow_err why, const char *text)
{
    session_lock(u);
    connection_lost(u, why, text);
    session_run(u);
    session_unlock(u);
}

void oxbow_uplink_set_wake(struct oxbow_uplink *u, void (*wake)(void *ctx), void *ctx)
{
    session_lock(u);
    u->wake = wake;
    u->wake_ctx = ctx;
    session_unlock(u);
}

void oxbow_uplink_count_wire(struct oxbow_uplink *u, uint64_t out, uint64_t in)
{
    session_lock(u);
    u->status.wire_out += out;
    u->status.wire_in += in;
    session_unlock(u);
}

void oxbow_uplink_findings(struct oxbow_uplink *u, const struct oxbow_uplink_finding **findings,
                           size_t *count)
{
    *findings = u->check.findings;
    *count = u->check.count;
}
