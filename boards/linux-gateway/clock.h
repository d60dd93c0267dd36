/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board without a battery-backed clock wakes up in 1970 and is set right when something tells it
 * the time. This is the system's port with such a clock, to see what a program makes of it.
 */
#ifndef BOARD_CLOCK_H
#define BOARD_CLOCK_H

#include "oxbow/port.h"

struct board_clock {
    struct oxbow_clock real;
    int64_t offset_ms;
    uint64_t set_at_us; /* monotonic; UINT64_MAX: never */
};

/* Makes *port a copy of the program's port whose wall clock is off by `offset_s` until
 * `set_after_s` from now (0: for ever). Both must outlive what is opened with the port. */
void board_clock_init(struct board_clock *clock, struct oxbow_port *port, int64_t offset_s,
                      double set_after_s);

#endif
