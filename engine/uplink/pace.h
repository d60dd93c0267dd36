/* SPDX-License-Identifier: Apache-2.0 */
/* A cap in bytes a second: when the next batch may go, so that on average no more is sent. */
#ifndef OXBOW_UPLINK_PACE_H
#define OXBOW_UPLINK_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_CREDIT_US 100000u /* of time not used, at most: timers come late */

/* All zero: nothing was sent yet. */
struct pace {
    uint64_t free_us; /* monotonic: what was sent is paid for then */
};

static inline bool pace_allows(const struct pace *p, uint64_t now_us)
{
    return p->free_us <= now_us;
}

/* So many bytes go now. rate 0: there is no cap. In any time t no more is sent than rate x (t +
 * PACE_CREDIT_US) and one batch. */
void pace_spend(struct pace *p, uint64_t bytes, uint32_t rate, uint64_t now_us);

#endif
