/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink session, without sockets: it carries what forwards (forward.h) select to the target,
 * a central Redis. Bytes in, bytes out, a time to wake at. A driver owns the connection and the
 * TLS: uplink_uv.h has one for libuv and one in a thread of its own.
 *
 * The driver's loop:
 *   a = oxbow_uplink_next(session)       what the session wants now: connect, stay, close, sleep
 *   connect a.host:a.port with TLS; then oxbow_uplink_connected
 *   bytes from the peer  -> oxbow_uplink_feed
 *   oxbow_uplink_output  -> bytes to the peer; what was taken -> oxbow_uplink_sent
 *   at a.wake_us (monotonic) or when the store's durable descriptor or the session's wake hook
 *   says so             -> oxbow_uplink_tick, then next again
 *   the connection ended -> oxbow_uplink_closed, with why
 * One thread drives one session. Only oxbow_uplink_command and oxbow_uplink_status may be called
 * from others.
 */
#ifndef OXBOW_UPLINK_H
#define OXBOW_UPLINK_H

#include "oxbow/error.h"
#include "oxbow/port.h"
#include "oxbow/types.h"

struct oxbow_uplink; /* a session */

enum oxbow_uplink_action {
    OXBOW_UPLINK_SLEEP,
    OXBOW_UPLINK_CONNECT,
    OXBOW_UPLINK_STAY,
    OXBOW_UPLINK_CLOSE
};

struct oxbow_uplink_next {
    enum oxbow_uplink_action action;
    const char *host; /* with CONNECT; borrowed until the next call on the session */
    uint16_t port;
    uint64_t wake_us; /* monotonic; UINT64_MAX: only when something happens */
};

#endif
