/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a link: resolves it, tries address by address, each with its time, and once more
 * without the TLS session if that may have been to blame. Tells the session the outcome, once per
 * CONNECT, and later when the connection is lost.
 *
 * 1. `busy` from the session's CONNECT until it was told oxbow_uplink_closed, or let go.
 * 2. At most one of `resolve` and `link` is there.
 * 3. A resolve that nobody waits for any more frees itself when libuv is done with it.
 */
#include "port/uv/uplink.h"

#include "engine/base/buf.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TCP_TIMEOUT_MS 10000u
#define TLS_TIMEOUT_MS 15000u
#define UNIX_PREFIX    "unix:"

struct resolve {
    uv_getaddrinfo_t req;
    struct oxbow_uplink_uv *driver;
};

static const char *unix_path(const struct dial *a)
{
    size_t len = strlen(UNIX_PREFIX);

    return strncmp(a->host, UNIX_PREFIX, len) == 0 ? a->host + len : NULL;
}

static void set_failed(struct dial *a, enum oxbow_err why, const char *text)
{
    a->failed = why;
    /* The reason comes first in importance: it is short, and the host is cut if one must be. */
    if (unix_path(a) != NULL) {
        (void)snprintf(a->text, sizeof a->text, "%.200s: %.170s", a->host, text);
    } else {
        (void)snprintf(a->text, sizeof a->text, "%.200s:%u: %.170s", a->host, (unsigned)a->port,
                       text);
    }
}

static uint64_t timeout_us(uint32_t ms, uint32_t fallback_ms)
{
    return (uint64_t)(ms != 0 ? ms : fallback_ms) * 1000;
}

/* ---- links ---- */

static void open_link(struct oxbow_uplink_uv *d)
{
    struct dial *a = &d->dial;
    const char *path = unix_path(a);
    const struct sockaddr *addr = (const struct sockaddr *)&a->addrs[a->addr_at];
    enum oxbow_err err = uvlink_open(d, addr, path, &a->link);

    if (err != OXBOW_OK) {
        a->link = NULL;
        set_failed(a, err, oxbow_err_text(err));
        return;
    }
    a->stage = LINK_CONNECTING;
    a->deadline_us = uvdriver_now_us(d) + timeout_us(d->config.tcp_timeout_ms, TCP_TIMEOUT_MS);
}

static bool take_address(struct dial *a, const struct sockaddr *addr)
{
    size_t len;

    if (addr->sa_family == AF_INET) {
        len = sizeof(struct sockaddr_in);
    } else if (addr->sa_family == AF_INET6) {
        len = sizeof(struct sockaddr_in6);
    } else {
        return false;
    }
    if (a->addr_count == ADDRS_MAX) {
        return false;
    }
    memcpy(&a->addrs[a->addr_count++], addr, len);
    return true;
}

/* ---- names ---- */

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct resolve *r = req->data;
    struct oxbow_uplink_uv *d = r->driver;
    struct dial *a = &d->dial;
    bool wanted = a->resolve == r;
    const struct addrinfo *at;

    if (wanted) {
        a->resolve = NULL;
        for (at = list; at != NULL; at = at->ai_next) {
            (void)take_address(a, at->ai_addr);
        }
        if (a->addr_count > 0) {
            open_link(d);
        } else {
            set_failed(a, OXBOW_ENOENT, status < 0 ? uv_strerror(status) : "no address");
        }
    }
    uv_freeaddrinfo(list);
    mem_free(&d->port->alloc, r, sizeof *r);
    if (wanted) {
        uvdriver_turn(d);
    }
    uvdriver_release(d);
}

static int start_resolve(struct oxbow_uplink_uv *d, struct resolve *r)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    char service[8];

    (void)snprintf(service, sizeof service, "%u", (unsigned)d->dial.port);
    r->driver = d;
    r->req.data = r;
    return uv_getaddrinfo(d->loop, &r->req, on_resolved, d->dial.host, service, &hints);
}

static void resolve(struct oxbow_uplink_uv *d)
{
    struct dial *a = &d->dial;
    struct resolve *r = mem_new(&d->port->alloc, sizeof *r);
    int status = r != NULL ? start_resolve(d, r) : UV_ENOMEM;

    if (status < 0) {
        mem_free(&d->port->alloc, r, sizeof *r);
        set_failed(a, uverror_of(status), uv_strerror(status));
        return;
    }
    a->resolve = r;
    d->pending++;
}

void uvdial_begin(struct oxbow_uplink_uv *d, const struct oxbow_uplink_next *n)
{
    struct dial *a = &d->dial;
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } numeric;

    memset(a, 0, sizeof *a);
    a->busy = true;
    (void)snprintf(a->host, sizeof a->host, "%s", n->host);
    a->port = n->port;
    d->tune.user_timeout_ms = n->user_timeout_ms;
    d->tune.keepalive_idle_s = n->keepalive_idle_s;
    if (uv_ip4_addr(a->host, a->port, &numeric.v4) == 0 ||
        uv_ip6_addr(a->host, a->port, &numeric.v6) == 0) {
        (void)take_address(a, (const struct sockaddr *)&numeric);
        open_link(d);
    } else if (unix_path(a) != NULL) {
        a->addr_count = 1;
        open_link(d);
    } else {
        resolve(d);
    }
}

/* ---- what became of it ---- */

static void watch_stage(struct oxbow_uplink_uv *d)
{
    struct dial *a = &d->dial;
    struct link *l = a->link;

    if (l->state == LINK_OPEN) {
        a->deadline_us = 0;
    } else if (l->state == LINK_SHAKING && a->stage != LINK_SHAKING) {
        a->stage = LINK_SHAKING;
        a->deadline_us = uvdriver_now_us(d) + timeout_us(d->config.tls_timeout_ms, TLS_TIMEOUT_MS);
    } else if (a->deadline_us != 0 && uvdriver_now_us(d) >= a->deadline_us) {
        uvlink_fail(l, OXBOW_ETIMEDOUT,
                    l->state == LINK_SHAKING
                        ? "it does not answer TLS in time; is this the TLS port?"
                        : "no answer in time");
    }
}

/* Ends the failed link; true if another try was begun in its place. */
static bool try_again(struct oxbow_uplink_uv *d)
{
    struct dial *a = &d->dial;
    struct link *l = a->link;
    bool again = false;

    if (!a->told && l->died_in == LINK_CONNECTING && a->addr_at + 1 < a->addr_count) {
        a->addr_at++;
        again = true;
    } else if (!a->told && !a->retried && l->tls != NULL && l->died_in == LINK_SHAKING &&
               d->config.tls->retry_without_session(l->tls)) {
        uvdriver_log(d, OXBOW_LOG_INFO,
                     "uplink: %s:%u refused to resume the TLS session; without it", a->host,
                     (unsigned)a->port);
        a->retried = true;
        again = true;
    }
    set_failed(a, l->why, l->text);
    a->link = NULL;
    a->deadline_us = 0;
    uvlink_end(l, false);
    if (again) {
        a->failed = OXBOW_OK;
        open_link(d);
    }
    return again;
}

void uvdial_check(struct oxbow_uplink_uv *d)
{
    struct dial *a = &d->dial;
    enum oxbow_err why;

    if (!a->busy) {
        return;
    }
    if (a->link != NULL) {
        watch_stage(d);
        if (a->link->state == LINK_FAILED) {
            (void)try_again(d);
        }
    }
    if (a->link == NULL && a->resolve == NULL) {
        why = a->failed;
        a->busy = false;
        uvdriver_learn_time(d);
        oxbow_uplink_closed(d->session, why, a->text);
    }
}

void uvdial_end(struct oxbow_uplink_uv *d, bool polite)
{
    struct dial *a = &d->dial;

    if (a->resolve != NULL) {
        /* If it has begun it cannot be cancelled; then it ends by itself. */
        (void)uv_cancel((uv_req_t *)&a->resolve->req);
        a->resolve = NULL;
    }
    if (a->link != NULL) {
        uvlink_end(a->link, polite);
        a->link = NULL;
    }
    a->deadline_us = 0;
    a->busy = false;
}
