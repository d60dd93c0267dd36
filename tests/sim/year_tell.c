/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe between a device and the account. A device that cannot tell must not go on. */
#include "tests/sim/year_tell.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void tell(struct teller *t, struct tell record)
{
    if (t->count == sizeof t->wait / sizeof *t->wait)
        tell_send(t);
    t->wait[t->count++] = record;
}

void tell_send(struct teller *t)
{
    const char *p = (const char *)t->wait;
    size_t left = t->count * sizeof *t->wait;
    while (left > 0) {
        ssize_t n = write(t->fd, p, left);
        if (n <= 0 && errno != EINTR)
            _exit(9);
        p += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    t->count = 0;
}

void tell_drop(struct teller *t, uint32_t count)
{
    t->count -= count < t->count ? count : t->count;
}

/* Waits for the first word; after a long silence says what the speaker is at. */
static void wait_for(struct listener *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    if (l->quiet_ms == 0 || poll(&p, 1, l->quiet_ms) != 0)
        return;
    printf("  nothing was heard of a life for %d ms of real time:\n", l->quiet_ms);
    stuck_print(l->pid);
    l->quiet_ms = 0;
}

bool listen_next(struct listener *l, struct tell *out)
{
    while (l->have - l->at < sizeof *out) {
        memmove(l->bytes, l->bytes + l->at, l->have - l->at);
        l->have -= l->at;
        l->at = 0;
        wait_for(l);
        ssize_t n = read(l->fd, l->bytes + l->have, sizeof l->bytes - l->have);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        l->have += n > 0 ? (size_t)n : 0;
    }
    memcpy(out, l->bytes + l->at, sizeof *out);
    l->at += sizeof *out;
    return true;
}
