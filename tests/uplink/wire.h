/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: carries one session over a unix socket to a real server, in the test's own
 * thread, and does to the connection what real ones suffer.
 *
 * Its port's clock is the real one plus an offset, so that waiting costs no time: when nothing
 * happens, the offset jumps to the time at which the session wants to be woken.
 */
#ifndef OXBOW_TESTS_UPLINK_WIRE_H
#define OXBOW_TESTS_UPLINK_WIRE_H

#include "oxbow/oxbow.h"
#include "oxbow/uplink.h"

struct wire_faults {
    uint32_t reset;    /* per mille of transfers: the connection is cut */
    uint32_t robbed;   /* replies are read and thrown away, then it is cut */
    uint32_t cut_send; /* half of what is to be sent goes out, then it is cut */
    uint32_t bytewise; /* replies are fed byte by byte */
};

struct wire {
    struct oxbow_uplink *u;
    struct wire_faults faults;
    uint64_t seed; /* state of the random numbers */
    int fd;
    uint64_t resets, robbed, cut_sends; /* counted */
    uint64_t jumped_us;                 /* time that did not have to pass */
};

/* The port of such a store: posix with the clock above. */
const struct oxbow_port *wire_port(void);
void wire_clock_jump(uint64_t us);
void wire_init(struct wire *w, struct oxbow_uplink *u, uint64_t seed);
/* One turn: connect, send, receive, tick; waits a few milliseconds at most. False: DONE. */
bool wire_turn(struct wire *w);
void wire_fini(struct wire *w);
uint64_t wire_random(struct wire *w, uint64_t below);
/* OXBOW_SEED of the environment or the time; printed. */
uint64_t wire_seed(const char *test);

#endif
