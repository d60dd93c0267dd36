/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting times. They know nothing of why somebody waits; the caller sets `attempt` to 0 when
 * something worked for long enough.
 */
#include "engine/uplink/backoff.h"

#include "engine/base/codec.h"

#define ATTEMPT_MAX 20u /* beyond it 2^attempt no longer matters */

uint64_t backoff_spread_us(const struct oxbow_random *random, uint32_t max_ms)
{
    uint8_t bytes[8];
    uint64_t max_us = (uint64_t)max_ms * 1000;

    if (random->fill(random->ctx, bytes, sizeof(bytes))) {
        return max_us / 2;
    }
    return get_le64(bytes) % (max_us + 1);
}

uint64_t backoff_next_us(struct backoff *b, uint32_t base_ms, uint32_t cap_ms)
{
    uint64_t max_ms = (uint64_t)base_ms << (b->attempt < ATTEMPT_MAX ? b->attempt : ATTEMPT_MAX);

    b->attempt += b->attempt < ATTEMPT_MAX;
    return backoff_spread_us(b->random, max_ms > cap_ms ? cap_ms : (uint32_t)max_ms);
}
