/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock of a board without a battery: see clock.h. The monotonic clock is the real one. */
#include "clock.h"

static bool clock_is_off(const struct board_clock *clock)
{
    return clock->offset_ms != 0 && clock->real.mono_us(clock->real.ctx) < clock->set_at_us;
}

static uint64_t clock_wall_ms(void *ctx)
{
    const struct board_clock *clock = ctx;
    uint64_t now = clock->real.wall_ms(clock->real.ctx);
    uint64_t off = (uint64_t)(clock->offset_ms < 0 ? -clock->offset_ms : clock->offset_ms);

    if (!clock_is_off(clock)) {
        return now;
    }
    if (clock->offset_ms > 0) {
        return now + off;
    }
    return now > off ? now - off : 0;
}

static uint64_t clock_mono_us(void *ctx)
{
    const struct board_clock *clock = ctx;

    return clock->real.mono_us(clock->real.ctx);
}

static bool clock_wall_is_set(void *ctx)
{
    const struct board_clock *clock = ctx;

    return !clock_is_off(clock) && clock->real.wall_is_set(clock->real.ctx);
}

void board_clock_init(struct board_clock *clock, struct oxbow_port *port, int64_t offset_s,
                      double set_after_s)
{
    *port = *oxbow_port_default();
    clock->real = port->clock;
    clock->offset_ms = offset_s * 1000;
    clock->set_at_us = UINT64_MAX;
    if (set_after_s > 0) {
        clock->set_at_us = clock->real.mono_us(clock->real.ctx) + (uint64_t)(set_after_s * 1e6);
    }
    port->clock = (struct oxbow_clock){.ctx = clock,
                                       .wall_ms = clock_wall_ms,
                                       .mono_us = clock_mono_us,
                                       .wall_is_set = clock_wall_is_set};
}
