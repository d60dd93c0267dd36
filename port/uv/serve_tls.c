/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one connection, as they are or in TLS.
 *
 * 1. What TLS has taken from the socket the loop does not see any more: so who reads goes on until
 *    there is nothing left inside (`inside`), whatever else waits.
 * 2. What TLS has for the peer leaves after every call into it; what the socket does not take then leaves
 *    when it is writable.
 * 3. A handshake has its time, and only so many are on their way at once: the oldest one gives way. A
 *    peer that stalls costs no more than that.
 */
#include "port/uv/serve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define CIPHER_BYTES 4096u
#define SHAKE_US     10000000u
#define SHAKE_LOOK   500u /* ms between looks at handshakes */
#define TELL_US      1000000u

/* ---- the socket ---- */

static ssize_t sock_read(const struct serve_conn *c, void *buf, size_t len, int flags)
{
    ssize_t n;

    do {
        n = recv(c->fd, buf, len, MSG_DONTWAIT | flags);
    } while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t sock_write(const struct serve_conn *c, const void *data, size_t len)
{
    ssize_t n;

    do {
        n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* ---- handshakes ---- */

static void shake_over(struct serve_conn *c)
{
    if (c->shaking) {
        c->shaking = false;
        c->server->shaking--;
    }
}

static void on_shake(uv_timer_t *timer)
{
    struct oxbow_resp_uv *s = timer->data;
    uint64_t now_us = s->port->clock.mono_us(s->port->clock.ctx);
    struct serve_conn *c = s->conns;

    while (c != NULL) {
        struct serve_conn *next = c->next;

        if (c->shaking && now_us >= c->shake_until_us) {
            uvserve_conn_close(c);
        }
        c = next;
    }
    if (s->shaking == 0) {
        (void)uv_timer_stop(timer); /* never fails */
    }
}

static void close_oldest(struct oxbow_resp_uv *s)
{
    struct serve_conn *oldest = NULL;

    for (struct serve_conn *c = s->conns; c != NULL; c = c->next) {
        oldest = c->shaking ? c : oldest; /* the last is the oldest */
    }
    if (oldest != NULL) {
        uvserve_conn_close(oldest);
    }
}

enum oxbow_err uvserve_tls_begin(struct serve_conn *c)
{
    struct oxbow_resp_uv *s = c->server;
    enum oxbow_err err;

    if (s->shaking >= SERVE_SHAKING_MAX) {
        close_oldest(s);
    }
    err = s->tls_ops->conn_open(s->tls, &c->tls);
    if (err != OXBOW_OK) {
        c->tls = NULL;
        return err;
    }
    c->shaking = true;
    c->shake_until_us = s->port->clock.mono_us(s->port->clock.ctx) + SHAKE_US;
    s->shaking++;
    if (!uv_is_active((uv_handle_t *)&s->shake)) {
        (void)uv_timer_start(&s->shake, on_shake, SHAKE_LOOK, SHAKE_LOOK); /* it has a callback */
    }
    return OXBOW_OK;
}

void uvserve_tls_end(struct serve_conn *c)
{
    if (c->tls == NULL) {
        return;
    }
    shake_over(c);
    c->server->tls_ops->end(c->tls);
    (void)uvserve_wire_push(c); /* a courtesy: one try */
    c->server->tls_ops->conn_close(c->tls);
    c->tls = NULL;
}

/* ---- bytes ---- */

bool uvserve_wire_push(struct serve_conn *c)
{
    const struct oxbow_tls_ops *ops = c->server->tls_ops;

    for (;;) {
        struct oxbow_bytes out = c->tls != NULL ? ops->peek(c->tls) : (struct oxbow_bytes){"", 0};
        ssize_t n = out.len > 0 ? sock_write(c, out.data, out.len) : 0;

        if (out.len == 0) {
            return true;
        }
        if (n <= 0) {
            return false;
        }
        ops->sent(c->tls, (size_t)n);
    }
}

/* TLS has failed: the peer hears why, if it listens; the log too, not too often. */
static ssize_t failed(struct serve_conn *c)
{
    struct oxbow_resp_uv *s = c->server;
    uint64_t now_us = s->port->clock.mono_us(s->port->clock.ctx);

    (void)uvserve_wire_push(c);
    if (s->tls_told_us == 0 || now_us - s->tls_told_us >= TELL_US) {
        s->tls_told_us = now_us;
        uvserve_log(s, OXBOW_LOG_INFO, "serve: TLS: %s", s->tls_ops->error(c->tls));
    }
    errno = ECONNRESET;
    return -1;
}

/* Takes ciphertext from the socket. 1: some; as recv otherwise. */
static ssize_t refill(struct serve_conn *c)
{
    const struct oxbow_tls_ops *ops = c->server->tls_ops;
    uint8_t cipher[CIPHER_BYTES];
    ssize_t n;
    size_t used = 0;

    if (c->inside) {
        errno = EAGAIN;
        return -1;
    }
    n = sock_read(c, cipher, sizeof cipher, MSG_PEEK);
    if (n <= 0) {
        return n;
    }
    if (ops->feed(c->tls, cipher, (size_t)n, &used) != OXBOW_OK) {
        return failed(c);
    }
    if (used == 0) {
        errno = EAGAIN;
        return -1;
    }
    return sock_read(c, cipher, used, 0) < 0 ? -1 : 1;
}

ssize_t uvserve_wire_read(struct serve_conn *c, void *buf, size_t len)
{
    const struct oxbow_tls_ops *ops = c->server->tls_ops;

    if (c->tls == NULL) {
        return sock_read(c, buf, len, 0);
    }
    for (;;) {
        size_t got = 0;
        enum oxbow_err err = ops->read(c->tls, buf, len, &got);
        ssize_t n;

        (void)uvserve_wire_push(c); /* the rest when the socket is writable */
        if (c->shaking && ops->handshake(c->tls) == OXBOW_OK) {
            shake_over(c);
        }
        if (err == OXBOW_OK) {
            return (ssize_t)got;
        }
        if (err == OXBOW_EPIPE) {
            return 0;
        }
        if (err != OXBOW_EAGAIN) {
            return failed(c);
        }
        n = refill(c);
        if (n <= 0) {
            return n;
        }
    }
}

ssize_t uvserve_wire_write(struct serve_conn *c, const void *data, size_t len)
{
    const struct oxbow_tls_ops *ops = c->server->tls_ops;
    const uint8_t *p = data;
    size_t total = 0;

    if (c->tls == NULL) {
        return sock_write(c, data, len);
    }
    while (total < len && uvserve_wire_push(c)) {
        size_t took = 0;
        enum oxbow_err err = ops->write(c->tls, p + total, len - total, &took);

        if (err != OXBOW_OK && err != OXBOW_EAGAIN) {
            return failed(c);
        }
        total += took;
    }
    if (total == 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)total;
}

/* ---- the context ---- */

enum oxbow_err uvserve_tls_open(struct oxbow_resp_uv *s, const struct oxbow_resp_uv_config *config,
                                struct oxbow_resp_uv_why *why)
{
    struct oxbow_tls_config own;
    struct oxbow_tls_why said;
    enum oxbow_err err;

    if (config->tls_port == 0 && !config->tls_port_any) {
        return OXBOW_OK;
    }
    own = *config->tls_config;
    own.port = own.port != NULL ? own.port : s->port;
    err = config->tls->open(&own, &said, &s->tls);
    if (err != OXBOW_OK) {
        (void)snprintf(why->text, sizeof why->text, "TLS: %.300s", said.text);
        s->tls = NULL;
        return err;
    }
    s->tls_ops = config->tls;
    return OXBOW_OK;
}

uint16_t oxbow_resp_uv_tls_port(const struct oxbow_resp_uv *s)
{
    return s->tls_port;
}

enum oxbow_err oxbow_resp_uv_tls_reload(struct oxbow_resp_uv *s, struct oxbow_tls_why *why)
{
    if (s->tls == NULL) {
        (void)snprintf(why->text, sizeof why->text, "there is no TLS");
        return OXBOW_ENOTSUP;
    }
    return s->tls_ops->reload(s->tls, why);
}
