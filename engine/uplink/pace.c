/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket without a bucket: each batch moves the time at which the next may go by what it
 * costs, from now, or from a little before now if nothing was sent meanwhile. No timer runs: whoever
 * has something to send asks, and waits until then.
 */
#include "engine/uplink/pace.h"

void pace_spend(struct pace *p, uint64_t bytes, uint32_t rate, uint64_t now_us)
{
    uint64_t from = now_us > PACE_CREDIT_US ? now_us - PACE_CREDIT_US : 0;

    if (rate == 0) {
        return;
    }
    if (from < p->free_us) {
        from = p->free_us;
    }
    p->free_us = from + (bytes * 1000000u + rate - 1) / rate;
}
