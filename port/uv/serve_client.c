/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the server: reads into the client's own memory, writes from it.
 *
 * 1. The socket is polled, not wrapped in a stream of libuv: nothing is copied, nothing waits in
 *    memory of its own, and an idle connection costs this structure and a descriptor.
 * 2. What has come is fed before an end is looked at, and an end counts only when nothing came before
 *    it in the same turn of the loop: so whoever sends and goes is served, and whoever waits and goes
 *    is closed before the turn.
 * 3. All bytes go through uvserve_wire_read and uvserve_wire_write: TLS has its place there.
 */
#include "port/uv/serve.h"

#include "engine/base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES  16384u
#define READS_MAX   4 /* of one connection before others have their turn */
#define WRITE_MAX   ((size_t)1 << 20)
#define DRAIN_BYTES 4096u
#define DRAINS_MAX  16
#define PROBES      3

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/* ---- the end ---- */

/* A socket that is closed with bytes unread resets the connection, and the reset may overtake what
 * was sent last: so that is let go first and what came is read. */
static void goodbye(int fd)
{
    uint8_t unread[DRAIN_BYTES];
    int i;

    if (shutdown(fd, SHUT_WR) == 0) {
        for (i = 0; i < DRAINS_MAX; i++) {
            if (recv(fd, unread, sizeof unread, MSG_DONTWAIT) <= 0) {
                break;
            }
        }
    }
    /* An error tells nothing any more: the descriptor is gone in any case. */
    (void)close(fd);
}

static void on_closed(uv_handle_t *handle)
{
    struct serve_conn *c = handle->data;
    struct oxbow_resp_uv *s = c->server;

    mem_free(&s->port->alloc, c, sizeof *c);
    uvserve_released(s);
}

static void forget_ready(struct serve_conn *c)
{
    struct oxbow_resp_uv *s = c->server;
    struct serve_conn *before = NULL;
    struct serve_conn *at = s->ready_first;

    if (!c->ready) {
        return;
    }
    while (at != c) {
        before = at;
        at = at->next_ready;
    }
    if (before == NULL) {
        s->ready_first = c->next_ready;
    } else {
        before->next_ready = c->next_ready;
    }
    if (s->ready_last == c) {
        s->ready_last = before;
    }
    c->ready = false;
}

void uvserve_conn_close(struct serve_conn *c)
{
    struct oxbow_resp_uv *s = c->server;

    forget_ready(c);
    c->closed = true;
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->conns = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    s->conn_count--;
    oxbow_resp_client_close(c->client);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    uvserve_tls_end(c);
    goodbye(c->fd);
    /* Others may have waited for what it held: their turn. */
    uvserve_wake(s);
}

/* ---- reading ---- */

/* Nothing more comes: what came is still carried out and answered, unless it waits. */
static void end(struct serve_conn *c)
{
    c->ended = true;
    oxbow_resp_client_ended(c->client);
    if (oxbow_resp_client_done(c->client)) {
        uvserve_conn_close(c);
        return;
    }
    c->server->due = true;
    uvserve_conn_watch(c);
}

enum fed {
    FED_ALL,  /* what had come */
    FED_MORE, /* a piece; there may be more */
    FED_NONE, /* nothing has come, or nothing is wanted */
    FED_END   /* and nothing will; or the connection was closed here */
};

static enum fed feed(struct serve_conn *c)
{
    uint8_t *buf;
    size_t len;
    ssize_t n;

    if (!oxbow_resp_client_wants(c->client)) {
        c->held = true;
        return FED_NONE;
    }
    if (oxbow_resp_client_room(c->client, READ_BYTES, &buf, &len) != OXBOW_OK) {
        uvserve_conn_close(c);
        return FED_END;
    }
    n = uvserve_wire_read(c, buf, len);
    if (n <= 0) {
        return n < 0 && would_block(errno) ? FED_NONE : FED_END;
    }
    oxbow_resp_client_fed(c->client, (size_t)n);
    c->server->due = true;
    /* TLS gives a record at a time. */
    return (size_t)n == len || c->tls != NULL ? FED_MORE : FED_ALL;
}

static void receive(struct serve_conn *c)
{
    enum fed fed = feed(c);
    int i;

    if (fed == FED_END) {
        if (!c->closed) {
            end(c);
        }
        return;
    }
    for (i = 1; i < READS_MAX && fed == FED_MORE; i++) {
        fed = feed(c); /* its end is seen again in the loop's next turn */
    }
    c->inside = c->tls != NULL;
    while (fed == FED_MORE && c->inside && !c->closed) {
        fed = feed(c); /* what the loop does not see any more */
    }
    c->inside = false;
    if (fed == FED_END && c->tls != NULL && !c->closed) {
        end(c); /* TLS said so: the socket may have no more to say */
        return;
    }
    if (!c->closed) {
        uvserve_conn_watch(c);
    }
}

/* The connection is broken: what had come before is carried out, nothing can be answered. */
static void broken(struct serve_conn *c)
{
    bool any = false;
    enum fed fed;

    c->events = 0; /* libuv has stopped the handle */
    do {
        fed = feed(c);
        any = any || fed <= FED_MORE;
    } while (fed == FED_MORE);
    if (c->closed) {
        return;
    }
    if (any) {
        end(c);
    } else {
        uvserve_conn_close(c);
    }
}

/* ---- writing ---- */

void uvserve_conn_flush(struct serve_conn *c)
{
    bool wanted = !c->held && oxbow_resp_client_wants(c->client);
    size_t total = 0;

    c->stuffed = !uvserve_wire_push(c);
    while (!c->stuffed) {
        struct oxbow_bytes out = oxbow_resp_client_peek(c->client);
        ssize_t n;

        if (out.len == 0) {
            break;
        }
        n = uvserve_wire_write(c, out.data, out.len);
        if (n < 0 && !would_block(errno)) {
            uvserve_conn_close(c);
            return;
        }
        if (n > 0) {
            oxbow_resp_client_sent(c->client, (size_t)n);
            total += (size_t)n;
        }
        c->stuffed = n < (ssize_t)out.len || total >= WRITE_MAX;
    }
    if (!c->stuffed) {
        c->stuffed = !uvserve_wire_push(c);
    }
    if (!c->stuffed && oxbow_resp_client_done(c->client)) {
        uvserve_conn_close(c);
        return;
    }
    if (!wanted && oxbow_resp_client_wants(c->client)) {
        c->held = false;
        uvserve_wake(c->server); /* there may be requests that waited for room */
        if (c->tls != NULL && !c->ended) {
            receive(c); /* and some that TLS has already */
            return;
        }
    }
    uvserve_conn_watch(c);
}

void uvserve_conn_ready(struct serve_conn *c)
{
    struct oxbow_resp_uv *s = c->server;

    if (c->ready || c->closed) {
        return;
    }
    c->ready = true;
    c->next_ready = NULL;
    if (s->ready_last != NULL) {
        s->ready_last->next_ready = c;
    } else {
        s->ready_first = c;
    }
    s->ready_last = c;
}

/* ---- events ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct serve_conn *c = poll->data;

    if (status < 0) {
        broken(c);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        receive(c);
    }
    if ((events & UV_WRITABLE) != 0 && !c->closed) {
        uvserve_conn_flush(c);
    }
}

void uvserve_conn_watch(struct serve_conn *c)
{
    int events = c->stuffed ? UV_WRITABLE : 0;

    if (!c->ended && !c->server->closing && oxbow_resp_client_wants(c->client)) {
        events |= UV_READABLE;
    }
    if (events == c->events) {
        return;
    }
    c->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&c->poll); /* never fails */
    } else {
        (void)uv_poll_start(&c->poll, events, on_poll); /* for events that it knows, likewise */
    }
}

/* ---- the beginning ---- */

static bool is_local(const union serve_addr *addr)
{
    static const uint8_t mapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};

    switch (addr->any.sa_family) {
    case AF_INET:
        return ntohl(addr->in.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr) ||
               memcmp(&addr->in6.sin6_addr, mapped, sizeof mapped) == 0;
    default:
        return addr->any.sa_family == AF_UNIX;
    }
}

static void addr_text(const union serve_addr *addr, char out[SERVE_ADDR_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (addr->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof host);
        (void)snprintf(out, SERVE_ADDR_MAX, "[%s]:%u", host, (unsigned)ntohs(addr->in6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof host);
        (void)snprintf(out, SERVE_ADDR_MAX, "%s:%u", host, (unsigned)ntohs(addr->in.sin_port));
    }
}

static void set_int(int fd, int level, int option, int value)
{
    /* A connection without it works all the same. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static void tune(int fd, uint32_t keepalive_s)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (keepalive_s == 0) {
        return;
    }
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)keepalive_s);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(keepalive_s < 3 ? 1 : keepalive_s / 3));
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
#endif
}

/* Fills in both ends. The peer may have gone already: its address came with the connection. */
static void who_is(struct oxbow_resp_uv *s, int fd, const union serve_addr *from,
                   char addr[SERVE_ADDR_MAX], char laddr[SERVE_ADDR_MAX])
{
    union serve_addr own = {.room = {0}};
    socklen_t len = sizeof own;

    if (from->any.sa_family == AF_UNIX) {
        (void)snprintf(addr, SERVE_ADDR_MAX, "%.*s:0", (int)SERVE_ADDR_MAX - 3, s->unix_path);
        memcpy(laddr, addr, SERVE_ADDR_MAX);
        return;
    }
    addr_text(from, addr);
    laddr[0] = '\0';
    if (getsockname(fd, &own.any, &len) == 0) {
        addr_text(&own, laddr);
    }
}

static void refuse(struct oxbow_resp_uv *s, int fd, enum oxbow_err why, bool tls)
{
    /* Who expects TLS could not read it. */
    struct oxbow_bytes text = tls ? (struct oxbow_bytes){"", 0} : oxbow_resp_refusal(why);

    if (text.len > 0 && send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        uvserve_log(s, OXBOW_LOG_DEBUG, "serve: a refused connection had gone");
    }
    goodbye(fd);
}

static void add(struct oxbow_resp_uv *s, struct serve_conn *c)
{
    c->poll.data = c;
    c->next = s->conns;
    if (s->conns != NULL) {
        s->conns->prev = c;
    }
    s->conns = c;
    s->conn_count++;
    s->handles++;
    uvserve_conn_watch(c);
}

void uvserve_conn_open(const struct serve_listener *l, int fd, const union serve_addr *from)
{
    struct oxbow_resp_uv *s = l->server;
    char addr[SERVE_ADDR_MAX];
    char laddr[SERVE_ADDR_MAX];
    const struct oxbow_resp_peer peer = {
        .addr = addr, .laddr = laddr, .fd = fd, .local = is_local(from), .sentinel = l->sentinel};
    struct serve_conn *c;
    enum oxbow_err err;

    who_is(s, fd, from, addr, laddr);
    if (from->any.sa_family != AF_UNIX) {
        tune(fd, s->keepalive_s);
    }
    c = mem_new(&s->port->alloc, sizeof *c);
    if (c == NULL) {
        refuse(s, fd, OXBOW_ENOMEM, l->tls);
        return;
    }
    c->server = s;
    c->fd = fd;
    err = oxbow_resp_client_open(s->resp, &peer, c, &c->client);
    if (err == OXBOW_OK) {
        err = l->tls ? uvserve_tls_begin(c) : OXBOW_OK;
        if (err == OXBOW_OK && uv_poll_init(s->loop, &c->poll, fd) < 0) {
            err = OXBOW_ENOMEM;
            uvserve_tls_end(c);
        }
        if (err != OXBOW_OK) {
            oxbow_resp_client_close(c->client);
        }
    }
    if (err != OXBOW_OK) {
        mem_free(&s->port->alloc, c, sizeof *c);
        refuse(s, fd, err, l->tls);
        return;
    }
    add(s, c);
}
