/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before trying again: full jitter, so that a fleet spreads by itself. */
#ifndef OXBOW_UPLINK_BACKOFF_H
#define OXBOW_UPLINK_BACKOFF_H

#include "oxbow/port.h"

struct backoff {
    const struct oxbow_random *random;
    uint32_t attempt; /* failures in a row */
};

/* Evenly from 0 to `max_ms`, in microseconds. Without randomness: half of it. */
uint64_t backoff_spread_us(const struct oxbow_random *random, uint32_t max_ms);
/* The next waiting time: evenly from 0 to min(cap, base x 2^attempt), in microseconds. */
uint64_t backoff_next_us(struct backoff *b, uint32_t base_ms, uint32_t cap_ms);

#endif
