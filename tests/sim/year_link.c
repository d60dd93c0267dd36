/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's link: the real session, a real server, and a connection that is there for a minute
 * and breaks when it likes. While the server owes an answer the clock stands still; when nothing is
 * owed it is turned to the moment at which the session wants to be woken.
 */
#include "tests/sim/year_device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 1  /* real time after which nothing is owed */
#define DROP_IN   60 /* one transfer in so many breaks the connection */

void link_open(struct device *d)
{
    char host[160];
    const struct oxbow_uplink_target target = {host, 0};
    const struct oxbow_uplink_config config = {.targets = &target,
                                               .target_count = 1,
                                               .batch_bytes = 2048,
                                               .first_spread_ms = 1,
                                               .backoff_base_ms = 500,
                                               .backoff_cap_ms = 4000};
    snprintf(host, sizeof host, "unix:%s", d->life->server);
    DEVICE_MUST(d, oxbow_uplink_open(d->db, &config, &d->uplink));
    oxbow_uplink_command(d->uplink, OXBOW_UPLINK_DOWN);
    oxbow_uplink_tick(d->uplink);
}

static void drop(struct device *d, enum oxbow_err why)
{
    if (d->socket >= 0)
        close(d->socket);
    d->socket = -1;
    oxbow_uplink_closed(d->uplink, why, NULL);
}

void link_close(struct device *d)
{
    if (d->socket >= 0)
        drop(d, OXBOW_EPIPE);
    oxbow_uplink_close(d->uplink);
}

static void dial(struct device *d)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%.100s", d->life->server);
    d->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (d->socket < 0 || connect(d->socket, (struct sockaddr *)&to, sizeof to) != 0)
        device_fail(d, OXBOW_ESYS, __LINE__);
    oxbow_uplink_connected(d->uplink, "unix socket");
}

/* Half of what is to be sent may go before the connection breaks. False: it did. */
static bool send_some(struct device *d, bool drops)
{
    struct oxbow_bytes out;
    oxbow_uplink_output(d->uplink, &out);
    if (out.len == 0)
        return true;
    bool broken = drops && year_chance(&d->random, 1, DROP_IN);
    size_t len = broken ? year_below(&d->random, out.len + 1) : out.len;
    ssize_t n = send(d->socket, out.data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0 && !broken)
        oxbow_uplink_sent(d->uplink, (size_t)n);
    if (broken || (n < 0 && errno != EAGAIN)) {
        d->link_drops++;
        drop(d, OXBOW_EPIPE);
        return false;
    }
    return true;
}

/* Some answers are lost with the connection. False: nothing came, and nothing is owed. */
static bool receive_some(struct device *d, bool drops)
{
    char data[16384];
    struct pollfd p = {.fd = d->socket, .events = POLLIN};
    if (poll(&p, 1, ANSWER_MS) <= 0)
        return false;
    ssize_t n = recv(d->socket, data, sizeof data, MSG_DONTWAIT);
    if (n <= 0 || (drops && year_chance(&d->random, 1, DROP_IN))) {
        d->link_drops++;
        drop(d, OXBOW_EPIPE);
        return true;
    }
    oxbow_uplink_feed(d->uplink, data, (size_t)n);
    return true;
}

static bool drained(struct device *d)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_forward_status s;
    uint64_t left = 0;
    DEVICE_MUST(d, oxbow_txn_begin(d->db, &opt, &d->txn));
    for (int q = 0; q < QUEUES; q++)
        if (year_queues[q].forwarded) {
            DEVICE_MUST(d, oxbow_forward_status(d->txn, year_queues[q].key, &s));
            left += s.backlog_entries + s.unsent_entries;
        }
    oxbow_txn_abort(d->txn);
    return left == 0;
}

/* One turn of the driver's loop. False: nothing to do before next->wake_us. */
static bool turn(struct device *d, bool drops, struct oxbow_uplink_next *next)
{
    oxbow_uplink_next(d->uplink, next);
    switch (next->action) {
    case OXBOW_UPLINK_CONNECT:
        dial(d);
        return true;
    case OXBOW_UPLINK_CLOSE:
        drop(d, OXBOW_ECANCELED);
        return true;
    case OXBOW_UPLINK_STAY:
        return d->socket < 0 || !send_some(d, drops) || receive_some(d, drops);
    case OXBOW_UPLINK_SLEEP:
    case OXBOW_UPLINK_DONE:
        break;
    }
    return false;
}

static void tell_link(struct device *d)
{
    struct oxbow_uplink_status s;
    oxbow_uplink_status(d->uplink, &s);
    tell(&d->teller, (struct tell){.kind = TELL_LINK,
                                   .number = s.entries - d->link_told.entries,
                                   .v = {s.connects - d->link_told.connects, d->link_drops,
                                         s.lost_replies - d->link_told.lost_replies, s.trouble}});
    d->link_told = s;
    d->link_drops = 0;
}

bool link_window(struct device *d, uint64_t ms, bool drops)
{
    const struct oxbow_clock *clock = &clock_port()->clock;
    uint64_t now = clock->mono_us(NULL), end = now + ms * 1000;
    struct oxbow_uplink_next next;
    bool done = false;
    oxbow_uplink_command(d->uplink, OXBOW_UPLINK_UP);
    for (; now < end && !done; now = clock->mono_us(NULL)) {
        oxbow_uplink_tick(d->uplink);
        if (turn(d, drops, &next))
            continue;
        struct oxbow_uplink_status s;
        oxbow_uplink_status(d->uplink, &s);
        done = s.state == OXBOW_UPLINK_IS_UP && s.inflight_bytes == 0 && drained(d);
        uint64_t until = next.wake_us < end ? next.wake_us : end;
        if (!done && until > now)
            device_pass(d, (until - now + 999) / 1000);
    }
    if (now < end)
        device_pass(d, (end - now) / 1000);
    oxbow_uplink_tick(d->uplink);
    oxbow_uplink_command(d->uplink, OXBOW_UPLINK_DOWN);
    oxbow_uplink_tick(d->uplink);
    if (d->socket >= 0)
        drop(d, OXBOW_EPIPE);
    tell_link(d);
    return done;
}
