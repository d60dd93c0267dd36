/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket options for long and poor links: no delay (batches are made above), an end to waiting for
 * a dead peer, and little unsent data in the kernel, so that what is urgent later can still go
 * first. Where a system lacks an option it does without.
 */
#include "port/uv/uplink.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define PROBE_EVERY_S 15
#define PROBES        4

static void set_int(int fd, int level, int option, int value)
{
    /* A system or kind of socket without it works all the same. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

enum oxbow_err uvtune_socket(int fd, const struct tune *t)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (t->keepalive_idle_s > 0) {
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)t->keepalive_idle_s);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S);
        set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
#endif
    }
#ifdef TCP_USER_TIMEOUT
    if (t->user_timeout_ms > 0) {
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)t->user_timeout_ms);
    }
#endif
#ifdef TCP_NOTSENT_LOWAT
    set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)t->unsent_bytes_max);
#endif
    if (t->congestion != NULL) {
#ifdef TCP_CONGESTION
        if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, t->congestion,
                       (socklen_t)strlen(t->congestion)) == 0) {
            return OXBOW_OK;
        }
#endif
        return OXBOW_ENOTSUP;
    }
    return OXBOW_OK;
}
