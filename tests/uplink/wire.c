/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See wire.h. The one thing to know: it never hides a fault from the session. A robbed reply is one
 * that the server has sent, so what it answers has happened.
 */
#include "tests/uplink/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 3
#define STEP_US 50000u

static atomic_uint_least64_t clock_offset_us;
static struct oxbow_port port_here;
static pthread_once_t port_once = PTHREAD_ONCE_INIT;

static uint64_t mono_us(void *ctx)
{
    const struct oxbow_clock *base = &oxbow_port_default()->clock;

    (void)ctx;
    return base->mono_us(base->ctx) + atomic_load(&clock_offset_us);
}

static void log_nothing(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

static void port_make(void)
{
    port_here = *oxbow_port_default();
    port_here.clock.mono_us = mono_us;
    if (getenv("OXBOW_WIRE_LOG") == NULL) {
        port_here.log.line = log_nothing;
    }
}

const struct oxbow_port *wire_port(void)
{
    pthread_once(&port_once, port_make);
    return &port_here;
}

void wire_clock_jump(uint64_t us)
{
    atomic_fetch_add(&clock_offset_us, us);
}

uint64_t wire_seed(const char *test)
{
    const char *given = getenv("OXBOW_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

    printf("%s: OXBOW_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

uint64_t wire_random(struct wire *w, uint64_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return below == 0 ? 0 : (w->seed >> 11) % below;
}

static bool chance(struct wire *w, uint32_t per_mille)
{
    return per_mille > 0 && wire_random(w, 1000) < per_mille;
}

void wire_init(struct wire *w, struct oxbow_uplink *u, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->u = u;
    w->fd = -1;
    w->seed = seed * 2654435761u + 88172645463325252ull;
}

static void wire_drop(struct wire *w, enum oxbow_err why, const char *text)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
    oxbow_uplink_closed(w->u, why, text);
}

void wire_fini(struct wire *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
}

static void wire_connect(struct wire *w, const char *host)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    w->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", host + strlen("unix:"));
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        wire_drop(w, OXBOW_EPIPE, strerror(errno));
        return;
    }
    oxbow_uplink_connected(w->u, "unix socket");
}

/* True: the connection is gone. */
static bool wire_send(struct wire *w)
{
    struct oxbow_bytes out;
    ssize_t n;

    oxbow_uplink_output(w->u, &out);
    if (out.len == 0) {
        return false;
    }
    if (chance(w, w->faults.reset)) {
        w->resets++;
        wire_drop(w, OXBOW_EPIPE, "reset by the test");
        return true;
    }
    if (chance(w, w->faults.cut_send)) {
        n = send(w->fd, out.data, wire_random(w, out.len), MSG_NOSIGNAL);
        w->cut_sends++;
        wire_drop(w, OXBOW_EPIPE, "cut while sending by the test");
        return true;
    }
    n = send(w->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        oxbow_uplink_sent(w->u, (size_t)n);
    } else if (n < 0 && errno != EAGAIN) {
        wire_drop(w, OXBOW_EPIPE, strerror(errno));
        return true;
    }
    return false;
}

static void wire_give(struct wire *w, const char *data, size_t len)
{
    size_t i;

    if (!chance(w, w->faults.bytewise)) {
        oxbow_uplink_feed(w->u, data, len);
        return;
    }
    for (i = 0; i < len; i++) {
        oxbow_uplink_feed(w->u, data + i, 1);
    }
}

static void wire_receive(struct wire *w)
{
    char data[16384];
    ssize_t n = recv(w->fd, data, sizeof(data), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        wire_drop(w, OXBOW_EPIPE, n == 0 ? "closed by the server" : strerror(errno));
        return;
    }
    if (chance(w, w->faults.robbed)) {
        w->robbed++;
        wire_give(w, data, wire_random(w, (uint64_t)n));
        if (w->fd >= 0) {
            wire_drop(w, OXBOW_EPIPE, "robbed of a reply by the test");
        }
        return;
    }
    wire_give(w, data, (size_t)n);
}

/* Waits for bytes a little; then lets the session's time come. */
static void wire_wait(struct wire *w, uint64_t wake_us)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    uint64_t now = mono_us(NULL), jump;

    if (poll(&p, 1, wake_us <= now ? 0 : POLL_MS) > 0) {
        return;
    }
    now = mono_us(NULL);
    if (wake_us == UINT64_MAX || wake_us <= now) {
        return;
    }
    /* On a connection an answer may be late in real time: small steps. */
    jump = wake_us - now;
    jump = w->fd >= 0 && jump > STEP_US ? STEP_US : jump;
    w->jumped_us += jump;
    wire_clock_jump(jump);
}

bool wire_turn(struct wire *w)
{
    struct oxbow_uplink_next next;

    oxbow_uplink_next(w->u, &next);
    switch (next.action) {
    case OXBOW_UPLINK_DONE:
        wire_fini(w);
        return false;
    case OXBOW_UPLINK_CLOSE:
        wire_drop(w, OXBOW_ECANCELED, NULL);
        return true;
    case OXBOW_UPLINK_CONNECT:
        wire_connect(w, next.host);
        return true;
    case OXBOW_UPLINK_SLEEP:
        wire_fini(w);
        wire_wait(w, next.wake_us);
        break;
    case OXBOW_UPLINK_STAY:
        if (w->fd < 0 || wire_send(w)) {
            return true;
        }
        wire_wait(w, next.wake_us);
        wire_receive(w);
        break;
    }
    oxbow_uplink_tick(w->u);
    return true;
}
