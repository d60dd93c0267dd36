/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server on its loop: when a turn is due, and the end.
 *
 *   loop's turn:  timers -> (poll: reads, ends, durable, woken) -> check: oxbow_resp_turn, writes
 *
 * 1. Commands are carried out in the check phase alone, after all reads of the loop's turn: those of
 *    many clients share a transaction, and who has gone is closed before.
 * 2. What makes a turn due outside of the poll phase starts `idle` too: the loop then polls without
 *    waiting, and the check follows.
 * 3. `handles` counts what libuv holds of the server and its connections; the server is freed when
 *    it falls to nothing, which oxbow_resp_uv_close or a failed open brings about.
 *
 * The end: no more accepting and reading; a turn for what was read; when everything committed until
 * then is durable, and each connection has what it is owed, or time is over: connections, handles.
 */
#include "port/uv/serve.h"

#include "engine/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_MAX 512u
#define KEEPALIVE_S  300u
#define GOODBYE_MS   2000u
#define TIMER_MS_MAX 60000 /* clocks differ; look again */

void uvserve_log(const struct oxbow_resp_uv *s, enum oxbow_log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list ap;

    if (s->port->log.line == NULL) {
        return;
    }
    va_start(ap, format);
    if (vsnprintf(line, sizeof line, format, ap) >= 0) {
        s->port->log.line(s->port->log.ctx, level, line);
    }
    va_end(ap);
}

/* ---- the end ---- */

void uvserve_released(struct oxbow_resp_uv *s)
{
    void (*done)(void *ctx) = s->done;
    void *ctx = s->done_ctx;

    if (--s->handles > 0) {
        return;
    }
    if (s->resp != NULL) {
        oxbow_resp_close(s->resp);
    }
    if (s->tls != NULL) {
        s->tls_ops->close(s->tls);
    }
    mem_free(&s->port->alloc, s, sizeof *s);
    if (done != NULL) {
        done(ctx);
    }
}

static void on_closed(uv_handle_t *handle)
{
    uvserve_released(handle->data);
}

void uvserve_listener_closed(uv_handle_t *handle)
{
    struct serve_listener *l = handle->data;

    uvserve_released(l->server);
}

static void shut(uv_handle_t *handle)
{
    /* One that was never put on the loop has no type. */
    if (handle->type != UV_UNKNOWN_HANDLE) {
        uv_close(handle, on_closed);
    }
}

/* ---- the descriptors of store and server ---- */

static void on_watch_closed(uv_handle_t *handle)
{
    struct serve_watch *w = handle->data;
    struct oxbow_resp_uv *s = w->server;

    if (--w->handles == 0) {
        mem_free(&s->port->alloc, w, sizeof *w);
    }
    uvserve_released(s);
}

/* From here on the loop does not look at them: they may be closed at once. */
static void watch_end(struct oxbow_resp_uv *s)
{
    struct serve_watch *w = s->watch;
    bool both = w != NULL && w->handles == 2;

    s->watch = NULL;
    if (w != NULL) {
        uv_close((uv_handle_t *)&w->durable, on_watch_closed);
    }
    if (both) {
        uv_close((uv_handle_t *)&w->woken, on_watch_closed);
    }
}

/* Lets go of everything. */
static void end(struct oxbow_resp_uv *s)
{
    s->ending = true;
    s->closing = true;
    while (s->conns != NULL) {
        uvserve_conn_close(s->conns);
    }
    s->handles++; /* so that it is not freed below */
    uvserve_deafen(s);
    shut((uv_handle_t *)&s->pause);
    shut((uv_handle_t *)&s->check);
    shut((uv_handle_t *)&s->idle);
    shut((uv_handle_t *)&s->timer);
    shut((uv_handle_t *)&s->goodbye);
    shut((uv_handle_t *)&s->shake);
    watch_end(s);
    uvserve_released(s);
}

/* Closes connections that have all that they are owed; ends when there is none left. */
static void end_step(struct oxbow_resp_uv *s)
{
    struct serve_conn *c = s->conns;
    struct oxbow_stat stat;

    if (s->due && !s->goodbye_over) {
        return; /* not all that was read is carried out */
    }
    if (!s->lsn_known && s->db != NULL) {
        oxbow_stat(s->db, &stat);
        s->lsn = stat.lsn_applied;
        s->lsn_known = true;
        oxbow_sync_start(s->db, s->lsn);
    }
    if (!s->goodbye_over && s->db != NULL && oxbow_settled_lsn(s->db) < s->lsn) {
        return;
    }
    while (c != NULL) {
        struct serve_conn *next = c->next;

        if (s->goodbye_over || (!c->stuffed && oxbow_resp_client_peek(c->client).len == 0)) {
            uvserve_conn_close(c);
        }
        c = next;
    }
    if (s->conns == NULL) {
        end(s);
    }
}

static void on_goodbye_over(uv_timer_t *timer)
{
    struct oxbow_resp_uv *s = timer->data;

    uvserve_log(s, OXBOW_LOG_WARN, "serve: closing %u connections that did not take their replies",
                (unsigned)s->conn_count);
    s->goodbye_over = true;
    uvserve_wake(s);
}

void oxbow_resp_uv_close(struct oxbow_resp_uv *s, void (*done)(void *ctx), void *ctx)
{
    struct serve_conn *c;

    s->done = done;
    s->done_ctx = ctx;
    s->closing = true;
    uvserve_deafen(s);
    for (c = s->conns; c != NULL; c = c->next) {
        uvserve_conn_watch(c);
    }
    (void)uv_timer_start(&s->goodbye, on_goodbye_over, s->goodbye_ms, 0); /* it has a callback */
    uvserve_wake(s);
}

/* ---- the turn ---- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being there keeps the loop from sleeping */
}

void uvserve_wake(struct oxbow_resp_uv *s)
{
    if (!s->ending) {
        s->due = true;
        (void)uv_idle_start(&s->idle, on_idle); /* it has a callback */
    }
}

static void on_timer(uv_timer_t *timer)
{
    uvserve_wake(timer->data);
}

static void arm(struct oxbow_resp_uv *s)
{
    int64_t ms = oxbow_resp_timeout_ms(s->resp);

    if (ms == 0) {
        uvserve_wake(s);
    } else if (ms > 0) {
        ms = ms < TIMER_MS_MAX ? ms : TIMER_MS_MAX;
        (void)uv_timer_start(&s->timer, on_timer, (uint64_t)ms, 0); /* likewise */
    } else {
        (void)uv_timer_stop(&s->timer);
    }
}

static void on_durable(uv_poll_t *poll, int status, int events)
{
    const struct serve_watch *w = poll->data;
    struct oxbow_resp_uv *s = w->server;

    (void)events;
    if (status == 0) {
        oxbow_durable_clear(s->db);
    }
    uvserve_wake(s);
    if (s->durable_told != NULL) {
        s->durable_told(s->durable_ctx);
    }
}

static void on_woken(uv_poll_t *poll, int status, int events)
{
    const struct serve_watch *w = poll->data;

    (void)status;
    (void)events;
    uvserve_wake(w->server);
}

static enum oxbow_err watch_begin(struct oxbow_resp_uv *s)
{
    int durable = oxbow_durable_fd(s->db);
    int woken = oxbow_resp_fd(s->resp);
    struct serve_watch *w;

    if (durable < 0 || woken < 0) {
        return OXBOW_ENOTSUP;
    }
    w = mem_new(&s->port->alloc, sizeof *w);
    if (w == NULL) {
        return OXBOW_ENOMEM;
    }
    w->server = s;
    w->durable.data = w->woken.data = w;
    if (uv_poll_init(s->loop, &w->durable, durable) < 0) {
        mem_free(&s->port->alloc, w, sizeof *w);
        return OXBOW_ESYS;
    }
    s->watch = w;
    w->handles = 1;
    s->handles++;
    if (uv_poll_init(s->loop, &w->woken, woken) < 0) {
        return OXBOW_ESYS; /* what there is goes with the server */
    }
    w->handles = 2;
    s->handles++;
    (void)uv_poll_start(&w->durable, UV_READABLE, on_durable); /* fails for unknown events only */
    (void)uv_poll_start(&w->woken, UV_READABLE, on_woken);
    return OXBOW_OK;
}

/* After a turn in which the store was closed. */
static void watch_again(struct oxbow_resp_uv *s)
{
    enum oxbow_err err = s->reopened && s->db != NULL ? watch_begin(s) : OXBOW_OK;

    s->reopened = false;
    if (err != OXBOW_OK) {
        uvserve_log(s, OXBOW_LOG_ERROR,
                    "serve: the store that was opened again cannot be served: %s",
                    oxbow_err_text(err));
        s->shutdown_due = true;
    }
}

static void turn(struct oxbow_resp_uv *s)
{
    s->due = false;
    (void)uv_idle_stop(&s->idle);
    oxbow_resp_turn(s->resp);
    watch_again(s);
    while (s->ready_first != NULL) {
        struct serve_conn *c = s->ready_first;

        s->ready_first = c->next_ready;
        if (s->ready_first == NULL) {
            s->ready_last = NULL;
        }
        c->ready = false;
        uvserve_conn_flush(c);
    }
    arm(s);
    if (s->shutdown_due) {
        s->shutdown_due = false;
        if (s->shutdown != NULL && !s->closing) {
            s->shutdown(s->shutdown_ctx);
        }
    }
}

static void on_check(uv_check_t *check)
{
    struct oxbow_resp_uv *s = check->data;

    if (s->due) {
        turn(s);
    }
    if (s->closing) {
        end_step(s);
    }
}

/* ---- what the server tells ---- */

static void on_ready(void *ctx, void *user)
{
    (void)ctx;
    uvserve_conn_ready(user);
}

/* The loop lets go of the descriptors before the store closes them. */
static enum oxbow_err on_reopen(void *ctx, struct oxbow **db)
{
    struct oxbow_resp_uv *s = ctx;
    enum oxbow_err err;

    watch_end(s);
    s->reopened = true;
    s->lsn_known = false;
    err = s->reopen(s->shutdown_ctx, db);
    s->db = err == OXBOW_OK ? *db : NULL;
    return err;
}

static void on_shutdown(void *ctx)
{
    struct oxbow_resp_uv *s = ctx;

    s->shutdown_due = true;
}

/* ---- the beginning ---- */

static enum oxbow_err config_check(const struct oxbow_resp_uv_config *c,
                                   struct oxbow_resp_uv_why *why)
{
    const char *text = NULL;

    if (c->resp.db == NULL || c->resp.ready != NULL) {
        text = "the server needs a store, and `ready` is not the program's to set";
    } else if ((c->tls_port != 0 || c->tls_port_any) && (c->tls == NULL || c->tls_config == NULL)) {
        text = "there is a port for TLS, and nothing that speaks it";
    } else if (c->port == 0 && !c->port_any && c->tls_port == 0 && !c->tls_port_any &&
               c->unix_path == NULL) {
        text = "there is nothing to listen at: no port and no Unix socket";
    } else if ((c->sentinel_port != 0 || c->sentinel_port_any) && c->port == 0 && !c->port_any &&
               c->tls_port == 0 && !c->tls_port_any) {
        text = "there is a port for the sentinel, and none that it could tell of";
    } else if (c->bind_count > OXBOW_RESP_UV_BINDS_MAX ||
               ((c->port_any || c->tls_port_any || c->sentinel_port_any) && c->bind_count > 1)) {
        text = "these are too many addresses to listen at";
    }
    if (text == NULL) {
        return OXBOW_OK;
    }
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return OXBOW_EINVAL;
}

static enum oxbow_err handles_open(struct oxbow_resp_uv *s)
{
    enum oxbow_err err;

    s->pause.data = s->check.data = s->idle.data = s->timer.data = s->goodbye.data = s;
    s->shake.data = s;
    /* These six never fail. */
    (void)uv_timer_init(s->loop, &s->pause);
    (void)uv_timer_init(s->loop, &s->timer);
    (void)uv_timer_init(s->loop, &s->goodbye);
    (void)uv_timer_init(s->loop, &s->shake);
    (void)uv_check_init(s->loop, &s->check);
    (void)uv_idle_init(s->loop, &s->idle);
    s->handles += 6;
    err = watch_begin(s);
    if (err == OXBOW_OK) {
        (void)uv_check_start(&s->check, on_check); /* fails without a callback only */
    }
    return err;
}

static enum oxbow_err resp_open(struct oxbow_resp_uv *s, const struct oxbow_resp_config *config,
                                struct oxbow_resp_uv_why *why)
{
    struct oxbow_resp_config own = *config;
    struct oxbow_resp_why users = {.text = ""};
    enum oxbow_err err;

    s->shutdown = config->shutdown;
    s->shutdown_ctx = config->ctx;
    s->reopen = config->reopen;
    own.ready = on_ready;
    own.shutdown = on_shutdown;
    own.reopen = config->reopen != NULL ? on_reopen : NULL;
    own.ctx = s;
    own.port = s->tcp_port;
    own.tls_port = s->tls_port;
    own.sentinel_port = s->sentinel_port;
    own.why = &users;
    err = oxbow_resp_open(&own, &s->resp);
    if (err != OXBOW_OK) {
        (void)snprintf(why->text, sizeof why->text, "the server cannot begin: %.280s",
                       users.text[0] != '\0' ? users.text : oxbow_err_text(err));
    }
    return err;
}

enum oxbow_err oxbow_resp_uv_open(struct uv_loop_s *loop, const struct oxbow_resp_uv_config *config,
                                  struct oxbow_resp_uv_why *why, struct oxbow_resp_uv **out)
{
    struct oxbow_resp_uv_why unread;
    struct oxbow_resp_uv *s;
    enum oxbow_err err;

    why = why != NULL ? why : &unread;
    err = config_check(config, why);
    if (err != OXBOW_OK) {
        return err;
    }
    s = mem_new(&oxbow_port_of(config->resp.db)->alloc, sizeof *s);
    if (s == NULL) {
        (void)snprintf(why->text, sizeof why->text, "out of memory");
        return OXBOW_ENOMEM;
    }
    s->port = oxbow_port_of(config->resp.db);
    s->loop = loop;
    s->db = config->resp.db;
    s->durable_told = config->durable;
    s->durable_ctx = config->durable_ctx;
    s->goodbye_ms = config->goodbye_ms != 0 ? config->goodbye_ms : GOODBYE_MS;
    s->keepalive_s = config->keepalive_s != 0 ? config->keepalive_s : KEEPALIVE_S;
    s->keepalive_s = s->keepalive_s == UINT32_MAX ? 0 : s->keepalive_s;
    err = uvserve_tls_open(s, config, why);
    if (err == OXBOW_OK) {
        err = uvserve_listen(s, config, why);
    }
    if (err == OXBOW_OK) {
        err = resp_open(s, &config->resp, why);
    }
    if (err == OXBOW_OK) {
        err = handles_open(s);
        if (err != OXBOW_OK) {
            (void)snprintf(why->text, sizeof why->text, "the server cannot begin: %s",
                           oxbow_err_text(err));
        }
    }
    if (err != OXBOW_OK) {
        end(s);
        return err;
    }
    uvserve_accept(s);
    uvserve_wake(s);
    *out = s;
    return OXBOW_OK;
}

uint16_t oxbow_resp_uv_port(const struct oxbow_resp_uv *s)
{
    return s->tcp_port;
}

uint16_t oxbow_resp_uv_sentinel_port(const struct oxbow_resp_uv *s)
{
    return s->sentinel_port;
}

uint32_t oxbow_resp_uv_clients(const struct oxbow_resp_uv *s)
{
    return s->conn_count;
}
