/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver on a loop: asks the session what it wants, and does it. All that happens on the loop
 * ends in uvdriver_turn, which does whatever there is to do now; so nothing here depends on which
 * event came.
 *
 * 1. `pending` counts what libuv holds of the driver: three handles, links, resolves. The driver is
 *    freed when it falls to nothing, which only oxbow_uplink_uv_close brings about.
 * 2. The session's wake function is taken away before the async handle is closed: no other thread
 *    can then touch it (the session calls wake under its lock).
 */
#include "port/uv/uplink.h"

#include "engine/base/buf.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UNSENT_BYTES 16384u
#define TURNS_MAX    8      /* of asking the session; each does something, so few are needed */
#define IDLE_MS      200u   /* without a descriptor to watch, look so often */
#define WAKE_MS_MAX  60000u /* clocks differ; look again */
#define LOG_LINE_MAX 512u

uint64_t uvdriver_now_us(const struct oxbow_uplink_uv *d)
{
    return d->port->clock.mono_us(d->port->clock.ctx);
}

void uvdriver_log(const struct oxbow_uplink_uv *d, enum oxbow_log_level level, const char *format,
                  ...)
{
    char line[LOG_LINE_MAX];
    va_list ap;

    if (d->port->log.line == NULL) {
        return;
    }
    va_start(ap, format);
    if (vsnprintf(line, sizeof line, format, ap) >= 0) {
        d->port->log.line(d->port->log.ctx, level, line);
    }
    va_end(ap);
}

/* ---- certificates and time ---- */

static void reload(struct oxbow_uplink_uv *d, uint64_t generation)
{
    struct oxbow_tls_why why;
    enum oxbow_err err;

    if (d->tls == NULL || d->reload == generation) {
        return;
    }
    d->reload = generation;
    err = d->config.tls->reload(d->tls, &why);
    if (err == OXBOW_OK) {
        uvdriver_log(d, OXBOW_LOG_INFO, "uplink: certificates read again");
    } else {
        uvdriver_log(d, OXBOW_LOG_ERROR, "uplink: certificates stay as they were: %s", why.text);
    }
}

/* The target's own words, never our clock plus a skew: our clock may have been set since, and then
 * the sum is decades ahead and every certificate has expired. */
void uvdriver_learn_time(struct oxbow_uplink_uv *d)
{
    struct oxbow_uplink_status status;

    if (d->tls == NULL) {
        return;
    }
    oxbow_uplink_status(d->session, &status);
    if (status.target_clock_ms > 0) {
        d->config.tls->raise_floor(d->tls, status.target_clock_ms);
    }
}

/* ---- what the link tells ---- */

void uvdriver_opened(struct oxbow_uplink_uv *d, const struct link *l)
{
    char about[96] = "plain, not encrypted";

    if (l->tls != NULL) {
        struct oxbow_tls_info info = d->config.tls->info(l->tls);
        (void)snprintf(about, sizeof about, "%s %s%s", info.version, info.suite,
                       info.resumed ? " resumed" : "");
    }
    d->dial.told = true;
    oxbow_uplink_connected(d->session, about);
}

void uvdriver_data(struct oxbow_uplink_uv *d, const void *data, size_t len)
{
    oxbow_uplink_feed(d->session, data, len);
}

/* ---- the turn ---- */

static void flush(struct oxbow_uplink_uv *d)
{
    struct oxbow_bytes out;
    size_t took;

    while (d->dial.link != NULL && d->dial.link->state == LINK_OPEN) {
        oxbow_uplink_output(d->session, &out);
        if (out.len == 0 || uvlink_write(d->dial.link, out.data, out.len, &took) != OXBOW_OK) {
            return;
        }
        oxbow_uplink_sent(d->session, took);
    }
}

static void finish(struct oxbow_uplink_uv *d)
{
    uvdial_end(d, true);
    if (!d->finished) {
        d->finished = true;
        if (d->config.finished != NULL) {
            d->config.finished(d->config.finished_ctx);
        }
    }
}

/* Does what the session wants; true if it is to be asked again. */
static bool act(struct oxbow_uplink_uv *d, const struct oxbow_uplink_next *n)
{
    switch (n->action) {
    case OXBOW_UPLINK_CONNECT:
        uvdial_end(d, false);
        reload(d, n->reload);
        uvdial_begin(d, n);
        return true;
    case OXBOW_UPLINK_CLOSE:
        flush(d);
        uvdriver_learn_time(d);
        uvdial_end(d, true);
        oxbow_uplink_closed(d->session, OXBOW_ECANCELED, NULL);
        return true;
    case OXBOW_UPLINK_SLEEP:
        uvdial_end(d, true);
        return false;
    case OXBOW_UPLINK_DONE:
        finish(d);
        return false;
    case OXBOW_UPLINK_STAY:
        break;
    }
    flush(d);
    return d->dial.link != NULL && d->dial.link->state == LINK_FAILED;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct oxbow_uplink_uv *d, uint64_t wake_us)
{
    uint64_t now_us = uvdriver_now_us(d);
    uint64_t ms;

    if (d->dial.deadline_us != 0 && d->dial.deadline_us < wake_us) {
        wake_us = d->dial.deadline_us;
    }
    ms = wake_us <= now_us ? 0 : (wake_us - now_us + 999) / 1000;
    if (ms > WAKE_MS_MAX) {
        ms = WAKE_MS_MAX;
    }
    if (!d->polls && !d->config.told && ms > IDLE_MS) {
        ms = IDLE_MS;
    }
    /* It fails only without a callback. */
    (void)uv_timer_start(&d->timer, on_timer, ms, 0);
}

void uvdriver_turn(struct oxbow_uplink_uv *d)
{
    struct oxbow_uplink_next n = {.wake_us = 0};
    int i;

    if (d->closing) {
        return;
    }
    for (i = 0; i < TURNS_MAX; i++) {
        uvdial_check(d);
        oxbow_uplink_next(d->session, &n);
        if (!act(d, &n)) {
            break;
        }
        n.wake_us = 0;
    }
    if (!d->closing) {
        arm(d, n.wake_us);
    }
}

/* ---- events ---- */

static void on_timer(uv_timer_t *timer)
{
    struct oxbow_uplink_uv *d = timer->data;

    oxbow_uplink_tick(d->session);
    uvdriver_turn(d);
}

static void on_async(uv_async_t *async)
{
    struct oxbow_uplink_uv *d = async->data;

    oxbow_uplink_tick(d->session);
    uvdriver_turn(d);
}

static void on_durable(uv_poll_t *poll, int status, int events)
{
    struct oxbow_uplink_uv *d = poll->data;

    (void)events;
    if (status == 0) {
        oxbow_durable_clear(d->config.db);
    }
    oxbow_uplink_tick(d->session);
    uvdriver_turn(d);
}

void oxbow_uplink_uv_durable(struct oxbow_uplink_uv *d)
{
    if (!d->closing) {
        oxbow_uplink_tick(d->session);
        uvdriver_turn(d);
    }
}

static void wake(void *ctx)
{
    struct oxbow_uplink_uv *d = ctx;

    /* Fails only once closed, and then nobody has this function any more. */
    (void)uv_async_send(&d->async);
}

/* ---- open and close ---- */

void uvdriver_release(struct oxbow_uplink_uv *d)
{
    void (*done)(void *ctx) = d->done;
    void *ctx = d->done_ctx;

    if (--d->pending > 0) {
        return;
    }
    if (d->tls != NULL) {
        d->config.tls->close(d->tls);
    }
    mem_free(&d->port->alloc, d, sizeof *d);
    if (done != NULL) {
        done(ctx);
    }
}

static void on_closed(uv_handle_t *handle)
{
    uvdriver_release(handle->data);
}

void oxbow_uplink_uv_close(struct oxbow_uplink_uv *d, void (*done)(void *ctx), void *ctx)
{
    d->closing = true;
    d->done = done;
    d->done_ctx = ctx;
    oxbow_uplink_set_wake(d->session, NULL, NULL);
    uvdial_end(d, true);
    if (d->ending != NULL) {
        uvlink_end(d->ending, false);
    }
    uv_close((uv_handle_t *)&d->timer, on_closed);
    uv_close((uv_handle_t *)&d->async, on_closed);
    if (d->polls) {
        uv_close((uv_handle_t *)&d->poll, on_closed);
    }
}

static enum oxbow_err config_check(const struct oxbow_uplink_uv_config *c)
{
    bool tls = c->tls != NULL && c->tls_config != NULL;

    return c->db == NULL || tls == c->plain || (c->plain && c->tls != NULL) ? OXBOW_EINVAL
                                                                            : OXBOW_OK;
}

static void config_take(struct oxbow_uplink_uv *d, const struct oxbow_uplink_uv_config *c)
{
    d->config = *c;
    d->config.tls_config = NULL;
    d->config.congestion = NULL;
    d->tune.unsent_bytes_max = c->unsent_bytes_max != 0 ? c->unsent_bytes_max : UNSENT_BYTES;
    if (c->congestion != NULL) {
        (void)snprintf(d->congestion, sizeof d->congestion, "%s", c->congestion);
        d->tune.congestion = d->congestion;
    }
}

/* A write to a connection that the peer has reset must be an error, not the end of the process. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    sigset_t blocked;

    if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGPIPE) == 0 &&
        sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &now, NULL);
    }
}

/* Puts the driver on the loop. The first two cannot be undone without the loop's running. */
static enum oxbow_err handles_open(struct oxbow_uplink_uv *d)
{
    int fd = d->config.told ? -1 : oxbow_durable_fd(d->config.db);
    int status = fd >= 0 ? uv_poll_init(d->loop, &d->poll, fd) : 0;

    if (status < 0) {
        return uverror_of(status);
    }
    d->poll.data = d->timer.data = d->async.data = d;
    d->polls = fd >= 0;
    d->pending += d->polls ? 1 : 0;
    uv_timer_init(d->loop, &d->timer);
    d->pending++;
    status = uv_async_init(d->loop, &d->async, on_async);
    if (status < 0) {
        d->closing = true;
        uv_close((uv_handle_t *)&d->timer, on_closed);
        if (d->polls) {
            uv_close((uv_handle_t *)&d->poll, on_closed);
        }
        return uverror_of(status);
    }
    d->pending++;
    return OXBOW_OK;
}

static void begin(struct oxbow_uplink_uv *d)
{
    struct oxbow_uplink_next n;

    if (d->polls) {
        /* Fails only for events that epoll does not know. */
        (void)uv_poll_start(&d->poll, UV_READABLE, on_durable);
    }
    oxbow_uplink_set_wake(d->session, wake, d);
    oxbow_uplink_tick(d->session);
    /* What was to be reloaded before has just been read. */
    oxbow_uplink_next(d->session, &n);
    d->reload = n.reload;
    if (n.action == OXBOW_UPLINK_CONNECT) {
        uvdial_begin(d, &n);
    }
    arm(d, 0);
}

static enum oxbow_err tls_open(struct oxbow_uplink_uv *d,
                               const struct oxbow_uplink_uv_config *config,
                               struct oxbow_tls_why *why)
{
    struct oxbow_tls_config tls;

    if (config->tls == NULL) {
        return OXBOW_OK;
    }
    tls = *config->tls_config;
    tls.port = tls.port != NULL ? tls.port : d->port;
    return config->tls->open(&tls, why, &d->tls);
}

enum oxbow_err uvdriver_open(struct oxbow_uplink *session, uv_loop_t *loop,
                             const struct oxbow_uplink_uv_config *config, struct oxbow_tls_why *why,
                             struct oxbow_uplink_uv **out)
{
    struct oxbow_uplink_uv *d;
    const struct oxbow_port *port;
    enum oxbow_err err = config_check(config);

    if (err != OXBOW_OK) {
        (void)snprintf(why->text, sizeof why->text,
                       "the driver needs a store, and either tls with its "
                       "configuration or plain");
        return err;
    }
    port = oxbow_port_of(config->db);
    d = mem_new(&port->alloc, sizeof *d);
    if (d == NULL) {
        (void)snprintf(why->text, sizeof why->text, "out of memory");
        return OXBOW_ENOMEM;
    }
    d->port = port;
    d->session = session;
    d->loop = loop;
    config_take(d, config);
    err = tls_open(d, config, why);
    if (err == OXBOW_OK) {
        err = handles_open(d);
        if (err != OXBOW_OK) {
            (void)snprintf(why->text, sizeof why->text, "the loop refuses: %s",
                           oxbow_err_text(err));
        }
    }
    if (err != OXBOW_OK) {
        if (d->pending == 0) {
            d->pending = 1;
            uvdriver_release(d);
        }
        return err;
    }
    begin(d);
    *out = d;
    return OXBOW_OK;
}

enum oxbow_err oxbow_uplink_uv_open(struct oxbow_uplink *session, struct uv_loop_s *loop,
                                    const struct oxbow_uplink_uv_config *config,
                                    struct oxbow_tls_why *why, struct oxbow_uplink_uv **out)
{
    struct oxbow_tls_why unread;

    ignore_sigpipe();
    return uvdriver_open(session, loop, config, why != NULL ? why : &unread, out);
}
