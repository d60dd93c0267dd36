/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop that oxbow/tls.h asks of a driver, for one who has nothing else to do: what TLS wants to say is
 * sent at once, what it wants to hear is waited for.
 */
#include "tools/oxbow/daemon_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define IN_BYTES 4096u

struct daemon_tls {
    const struct oxbow_tls_ops *ops;
    struct oxbow_tls *context;
    struct oxbow_tls_conn *conn;
    int fd;
    bool heard; /* anything at all */
    struct oxbow_tls_why why;
    size_t in_pos;
    size_t in_len;
    uint8_t in[IN_BYTES]; /* from the socket, and not taken yet */
};

const char *daemon_tls_error(const struct daemon_tls *t)
{
    return t->why.text;
}

static enum oxbow_err fail(struct daemon_tls *t, enum oxbow_err err, const char *why)
{
    (void)snprintf(t->why.text, sizeof t->why.text, "%s", why);
    return err;
}

/* What TLS itself says, and where it says nothing, what the error is. */
static enum oxbow_err fail_tls(struct daemon_tls *t, enum oxbow_err err)
{
    const char *why = t->ops->error(t->conn);

    return fail(t, err, why[0] != '\0' ? why : oxbow_err_text(err));
}

/* ---- the socket ---- */

static enum oxbow_err fail_socket(struct daemon_tls *t)
{
    bool late = errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT;

    return late ? fail(t, OXBOW_ETIMEDOUT, "no answer in time (--timeout)")
                : fail(t, errno == ECONNRESET || errno == EPIPE ? OXBOW_EPIPE : OXBOW_EIO,
                       strerror(errno));
}

/* Sends all that is there to be sent. */
static enum oxbow_err flush(struct daemon_tls *t)
{
    for (;;) {
        struct oxbow_bytes out = t->ops->peek(t->conn);
        ssize_t n;

        if (out.len == 0) {
            return OXBOW_OK;
        }
        n = send(t->fd, out.data, out.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return fail_socket(t);
        }
        t->ops->sent(t->conn, n > 0 ? (size_t)n : 0);
    }
}

/* Waits for bytes unless some are left, and hands over what is taken of them. */
static enum oxbow_err fill(struct daemon_tls *t)
{
    size_t used = 0;
    enum oxbow_err err;

    while (t->in_pos == t->in_len) {
        ssize_t n = recv(t->fd, t->in, sizeof t->in, 0);

        if (n == 0) {
            return fail(t, OXBOW_EPIPE, "it closed the connection (is that its port for TLS?)");
        }
        if (n < 0 && errno != EINTR) {
            return fail_socket(t);
        }
        t->in_pos = 0;
        t->in_len = n > 0 ? (size_t)n : 0;
        t->heard = t->heard || n > 0;
    }
    err = t->ops->feed(t->conn, t->in + t->in_pos, t->in_len - t->in_pos, &used);
    t->in_pos += used;
    return err == OXBOW_OK ? OXBOW_OK : fail_tls(t, err);
}

/* After a call that gave `err`: what it wants to say is said, also if it failed. OXBOW_EAGAIN: call it
 * again. */
static enum oxbow_err moved(struct daemon_tls *t, enum oxbow_err err, bool wants_more)
{
    enum oxbow_err sent;

    if (err != OXBOW_OK && err != OXBOW_EAGAIN) {
        err = fail_tls(t, err);
        sent = flush(t);
        (void)sent; /* an alert is a courtesy */
        return err;
    }
    sent = flush(t);
    if (sent == OXBOW_OK && err == OXBOW_EAGAIN && wants_more) {
        sent = fill(t);
    }
    return sent == OXBOW_OK ? err : sent;
}

/* ---- the connection ---- */

static enum oxbow_err shake(struct daemon_tls *t)
{
    enum oxbow_err err;

    do {
        err = moved(t, t->ops->handshake(t->conn), true);
    } while (err == OXBOW_EAGAIN);
    return err;
}

enum oxbow_err daemon_tls_open(const struct oxbow_tls_config *config, int fd,
                               struct oxbow_tls_why *why, struct daemon_tls **out)
{
    struct daemon_tls *t = calloc(1, sizeof *t);
    enum oxbow_err err;

    if (t == NULL) {
        (void)snprintf(why->text, sizeof why->text, "%s", oxbow_err_text(OXBOW_ENOMEM));
        return OXBOW_ENOMEM;
    }
    t->ops = oxbow_tls_mbedtls();
    t->fd = fd;
    err = t->ops->open(config, &t->why, &t->context);
    if (err == OXBOW_OK) {
        err = t->ops->conn_open(t->context, &t->conn);
        err = err == OXBOW_OK ? shake(t) : fail(t, err, oxbow_err_text(err));
    }
    if (err == OXBOW_EPIPE && t->heard && config->cert.path == NULL) { /* mbedTLS does not say so */
        err = fail(t, err, "it ended the handshake: it may want a certificate (--cert, --key)");
    }
    if (err == OXBOW_ETIMEDOUT) { /* who speaks in clear waits for the end of a line */
        err = fail(t, err, "no answer in time (--timeout; is that its port for TLS?)");
    }
    if (err != OXBOW_OK) {
        *why = t->why;
        daemon_tls_close(t);
        return err;
    }
    *out = t;
    return OXBOW_OK;
}

enum oxbow_err daemon_tls_send(struct daemon_tls *t, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        size_t took = 0;
        enum oxbow_err err = moved(t, t->ops->write(t->conn, p, len, &took), false);

        if (err != OXBOW_OK && err != OXBOW_EAGAIN) {
            return err;
        }
        p += took;
        len -= took;
    }
    return OXBOW_OK;
}

enum oxbow_err daemon_tls_read(struct daemon_tls *t, void *out, size_t len, size_t *got)
{
    enum oxbow_err err;

    do {
        err = moved(t, t->ops->read(t->conn, out, len, got), true);
    } while (err == OXBOW_EAGAIN);
    return err;
}

void daemon_tls_close(struct daemon_tls *t)
{
    enum oxbow_err err;

    if (t == NULL) {
        return;
    }
    if (t->conn != NULL) {
        t->ops->end(t->conn);
        err = flush(t);
        (void)err; /* who has gone needs no goodbye */
    }
    t->ops->conn_close(t->conn);
    t->ops->close(t->context);
    free(t);
}
