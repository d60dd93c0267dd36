/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the target: a TCP or unix socket, and TLS on it if the driver has it.
 *
 *   CONNECTING --on_connect--> SHAKING --tls_drain--> OPEN --uvlink_end--> ENDING
 *        |  \______plain___________|__________________/ |                  | on_goodbye, on_end
 *        |                         |                    |                  v
 *        +------------uvlink_fail----+--------------------+--> FAILED --> CLOSING --on_closed-->
 * freed
 *
 * 1. At most one uv_write is in flight, and nothing is encrypted meanwhile: what is not in the
 *    socket stays in the session, where it can still be overtaken by what is urgent.
 * 2. A link calls the driver from libuv's callbacks only, never from uvlink_open, _write or _end.
 * 3. A peer that refuses us says why and closes; our next bytes are then answered by a reset. So a
 *    failed send is not the end yet: what it said is read first, and reading ends it.
 * 4. It frees itself when libuv has let go of both of its handles; the driver outlives that.
 */
#include "port/uv/uplink.h"

#include "engine/base/buf.h"

#include <stdio.h>
#include <string.h>

#define PLAIN_PIECE 16384u
#define GOODBYE_MS  2000u

static struct link *link_of(uv_handle_t *handle)
{
    return handle->data;
}

static bool alive(const struct link *l)
{
    return l->state == LINK_CONNECTING || l->state == LINK_SHAKING || l->state == LINK_OPEN;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct link *l = link_of(handle);
    struct oxbow_uplink_uv *d = l->driver;

    if (--l->handles > 0) {
        return;
    }
    if (l->tls != NULL) {
        d->config.tls->conn_close(l->tls);
    }
    mem_free(&d->port->alloc, l, sizeof *l);
    uvdriver_release(d);
}

static void shut(struct link *l)
{
    if (l->state == LINK_CLOSING) {
        return;
    }
    if (l->driver->ending == l) {
        l->driver->ending = NULL;
    }
    l->state = LINK_CLOSING;
    uv_close((uv_handle_t *)&l->goodbye, on_closed);
    uv_close(&l->sock.handle, on_closed);
}

void uvlink_fail(struct link *l, enum oxbow_err why, const char *text)
{
    if (l->state == LINK_ENDING) {
        shut(l);
    }
    if (alive(l)) {
        l->died_in = l->state;
        l->state = LINK_FAILED;
        l->why = why;
        (void)snprintf(l->text, sizeof l->text, "%s", text);
    }
}

static void fail_uv(struct link *l, const char *what, int status)
{
    char text[TEXT_MAX];

    (void)snprintf(text, sizeof text, "%s: %s", what,
                   status == UV_EOF ? "the target closed the connection" : uv_strerror(status));
    uvlink_fail(l, uverror_of(status), text);
}

/* ---- writing ---- */

/* A send failed: reading goes on, and tells more, if the peer has ended the connection. */
static void send_failed(struct link *l, int status)
{
    if ((status == UV_EPIPE || status == UV_ECONNRESET) && l->state != LINK_ENDING) {
        l->deaf = true;
    } else {
        fail_uv(l, "sending", status);
    }
}

static void on_written(uv_write_t *req, int status)
{
    struct link *l = req->data;

    mem_free(&l->driver->port->alloc, l->write_data, l->write_len);
    l->write_data = NULL;
    if (status == UV_ECANCELED || l->state == LINK_CLOSING) {
        return;
    }
    if (status < 0) {
        send_failed(l, status);
    }
    uvdriver_turn(l->driver);
}

/* libuv does not write to what it sends, but its type does not say so. */
static uv_buf_t borrowed(const void *data, size_t len)
{
    union {
        const void *ours;
        char *theirs;
    } u = {.ours = data};

    return uv_buf_init(u.theirs, (unsigned)len);
}

/* Gives the socket what it takes at once, and a copy of the rest to libuv, at most `rest_max` bytes
 * of it. *took counts both. */
static enum oxbow_err send_some(struct link *l, const uint8_t *data, size_t len, size_t rest_max,
                                size_t *took)
{
    uv_buf_t buf = borrowed(data, len);
    int n = uv_try_write(&l->sock.stream, &buf, 1);
    size_t rest;

    if (n < 0 && n != UV_EAGAIN) {
        send_failed(l, n);
        return l->deaf ? OXBOW_EAGAIN : l->why;
    }
    *took = n > 0 ? (size_t)n : 0;
    rest = len - *took < rest_max ? len - *took : rest_max;
    oxbow_uplink_count_wire(l->driver->session, *took + rest, 0);
    if (rest == 0) {
        return OXBOW_OK;
    }
    l->write_data = mem_new(&l->driver->port->alloc, rest);
    if (l->write_data == NULL) {
        uvlink_fail(l, OXBOW_ENOMEM, "out of memory");
        return OXBOW_ENOMEM;
    }
    l->write_len = rest;
    memcpy(l->write_data, data + *took, rest);
    l->write.data = l;
    buf = uv_buf_init((char *)l->write_data, (unsigned)rest);
    n = uv_write(&l->write, &l->sock.stream, &buf, 1, on_written);
    if (n < 0) {
        mem_free(&l->driver->port->alloc, l->write_data, rest);
        l->write_data = NULL;
        send_failed(l, n);
        return l->deaf ? OXBOW_EAGAIN : l->why;
    }
    *took += rest;
    return OXBOW_OK;
}

/* Sends the ciphertext that TLS has ready, unless some is in flight. */
static void push(struct link *l)
{
    const struct oxbow_tls_ops *tls = l->driver->config.tls;
    struct oxbow_bytes out = tls->peek(l->tls);
    size_t took = 0;

    if (out.len > 0 && l->write_data == NULL && !l->deaf &&
        send_some(l, out.data, out.len, out.len, &took) == OXBOW_OK) {
        tls->sent(l->tls, took);
    }
}

enum oxbow_err uvlink_write(struct link *l, const void *data, size_t len, size_t *took)
{
    enum oxbow_err err;

    if (l->state != LINK_OPEN || l->write_data != NULL || l->deaf) {
        return OXBOW_EAGAIN;
    }
    if (l->tls == NULL) {
        size_t piece = len < PLAIN_PIECE ? len : PLAIN_PIECE;
        return send_some(l, data, piece, piece, took);
    }
    err = l->driver->config.tls->write(l->tls, data, len, took);
    push(l);
    if (err != OXBOW_OK && err != OXBOW_EAGAIN) {
        uvlink_fail(l, err, l->driver->config.tls->error(l->tls));
    }
    return l->state == LINK_OPEN ? err : l->why;
}

/* ---- reading ---- */

static void become_open(struct link *l)
{
    l->state = LINK_OPEN;
    uvdriver_opened(l->driver, l);
}

/* Takes what TLS has understood so far. */
static enum oxbow_err tls_drain(struct link *l)
{
    const struct oxbow_tls_ops *tls = l->driver->config.tls;
    uint8_t data[4096];
    size_t got;
    enum oxbow_err err = tls->handshake(l->tls);

    if (err == OXBOW_OK && l->state == LINK_SHAKING) {
        become_open(l);
    }
    while (err == OXBOW_OK) {
        err = tls->read(l->tls, data, sizeof data, &got);
        if (err == OXBOW_OK && l->state == LINK_OPEN) {
            uvdriver_data(l->driver, data, got);
        }
    }
    return err;
}

static void tls_receive(struct link *l, const uint8_t *data, size_t len)
{
    const struct oxbow_tls_ops *tls = l->driver->config.tls;
    enum oxbow_err err = OXBOW_EAGAIN;
    size_t at = 0;

    while (at < len && err == OXBOW_EAGAIN) {
        size_t used = 0;

        err = tls->feed(l->tls, data + at, len - at, &used);
        if (err == OXBOW_OK) {
            err = used > 0 ? tls_drain(l) : OXBOW_EPARSE;
            at += used;
        }
    }
    /* On failure too: the alert tells the peer why. */
    push(l);
    if (err != OXBOW_EAGAIN) {
        uvlink_fail(l, err, tls->error(l->tls)[0] != '\0' ? tls->error(l->tls) : "TLS has stalled");
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct oxbow_uplink_uv *d = link_of(handle)->driver;

    (void)suggested;
    *buf = uv_buf_init((char *)d->scratch, sizeof d->scratch);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link *l = link_of((uv_handle_t *)stream);

    if (n == 0) {
        return;
    }
    if (l->state == LINK_ENDING) {
        if (n < 0) {
            shut(l);
        }
        return;
    }
    if (n < 0) {
        fail_uv(l, l->state == LINK_SHAKING ? "in the TLS handshake" : "connection", (int)n);
    } else if (alive(l)) {
        oxbow_uplink_count_wire(l->driver->session, 0, (uint64_t)n);
        if (l->tls != NULL) {
            tls_receive(l, (const uint8_t *)buf->base, (size_t)n);
        } else {
            uvdriver_data(l->driver, buf->base, (size_t)n);
        }
    }
    uvdriver_turn(l->driver);
}

/* ---- the beginning ---- */

static void connected(struct link *l)
{
    int status = uv_read_start(&l->sock.stream, on_room, on_read);
    enum oxbow_err err;

    if (status < 0) {
        fail_uv(l, "reading", status);
        return;
    }
    if (l->tls == NULL) {
        become_open(l);
        return;
    }
    l->state = LINK_SHAKING;
    err = tls_drain(l);
    push(l);
    if (err != OXBOW_EAGAIN) {
        uvlink_fail(l, err, l->driver->config.tls->error(l->tls));
    }
}

static void on_connect(uv_connect_t *req, int status)
{
    struct link *l = req->data;

    if (l->state != LINK_CONNECTING) {
        return;
    }
    if (status < 0) {
        fail_uv(l, "connecting", status);
    } else {
        connected(l);
    }
    uvdriver_turn(l->driver);
}

static int start_tcp(struct link *l, const struct sockaddr *addr)
{
    uv_os_fd_t fd;
    int status = uv_fileno(&l->sock.handle, &fd);

    if (status == 0 && uvtune_socket(fd, &l->driver->tune) != OXBOW_OK) {
        uvdriver_log(l->driver, OXBOW_LOG_WARN, "uplink: congestion control %s is not available",
                     l->driver->tune.congestion);
    }
    l->connect.data = l;
    return status == 0 ? uv_tcp_connect(&l->connect, &l->sock.tcp, addr, on_connect) : status;
}

enum oxbow_err uvlink_open(struct oxbow_uplink_uv *driver, const struct sockaddr *addr,
                           const char *path, struct link **out)
{
    struct link *l = mem_new(&driver->port->alloc, sizeof *l);
    enum oxbow_err err;
    int status;

    if (l == NULL) {
        return OXBOW_ENOMEM;
    }
    l->driver = driver;
    err = driver->tls != NULL ? driver->config.tls->conn_open(driver->tls, &l->tls) : OXBOW_OK;
    if (err == OXBOW_OK) {
        status = path != NULL ? uv_pipe_init(driver->loop, &l->sock.pipe, 0)
                              : uv_tcp_init_ex(driver->loop, &l->sock.tcp, addr->sa_family);
        err = uverror_of(status);
    }
    if (err != OXBOW_OK) {
        if (l->tls != NULL) {
            driver->config.tls->conn_close(l->tls);
        }
        mem_free(&driver->port->alloc, l, sizeof *l);
        return err;
    }
    uv_timer_init(driver->loop, &l->goodbye);
    l->sock.handle.data = l;
    l->goodbye.data = l;
    l->handles = 2;
    driver->pending++;
    if (path != NULL) {
        l->connect.data = l;
        uv_pipe_connect(&l->connect, &l->sock.pipe, path, on_connect);
    } else {
        status = start_tcp(l, addr);
        if (status < 0) {
            fail_uv(l, "connecting", status);
        }
    }
    *out = l;
    return OXBOW_OK;
}

/* ---- goodbye ---- */

static void on_goodbye_over(uv_timer_t *timer)
{
    shut(link_of((uv_handle_t *)timer));
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct link *l = req->data;

    /* Done: the peer's end of stream, or the timer, closes. */
    if (status < 0 && status != UV_ECANCELED && l->state == LINK_ENDING) {
        shut(l);
    }
}

void uvlink_end(struct link *l, bool polite)
{
    struct oxbow_uplink_uv *d = l->driver;
    uint32_t ms = d->config.goodbye_ms != 0 ? d->config.goodbye_ms : GOODBYE_MS;

    if (l->state != LINK_OPEN || !polite) {
        shut(l);
        return;
    }
    if (d->ending != NULL) {
        shut(d->ending);
    }
    if (l->tls != NULL) {
        d->config.tls->end(l->tls);
        push(l);
    }
    if (l->state != LINK_OPEN) {
        shut(l);
        return;
    }
    l->state = LINK_ENDING;
    d->ending = l;
    l->shutdown.data = l;
    if (uv_shutdown(&l->shutdown, &l->sock.stream, on_shutdown) < 0 ||
        uv_timer_start(&l->goodbye, on_goodbye_over, ms, 0) < 0) {
        shut(l);
    }
}
