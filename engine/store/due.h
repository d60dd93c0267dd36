/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By when commits under `interval` are to be on the device. Each has its own interval, so the earliest
 * counts, whichever came first. For engine/store alone.
 */
#ifndef OXBOW_STORE_DUE_H
#define OXBOW_STORE_DUE_H

#include <stdbool.h>
#include <stdint.h>

/* Monotonic clock; 0: there is no such commit. */
struct due {
    uint64_t start_us; /* a sync is to begin: a quarter of the time is left to the device */
    uint64_t late_us;  /* it is to be over */
};

static inline uint64_t due_earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static inline void due_merge(struct due *d, const struct due *other)
{
    d->start_us = due_earlier(d->start_us, other->start_us);
    d->late_us = due_earlier(d->late_us, other->late_us);
}

/* Whether another commit can be due earlier: where all have one interval the first one is. */
static inline bool due_may_move(const struct due *d, bool intervals_differ)
{
    return d->late_us == 0 || intervals_differ;
}

/* A commit came now. Whether a sync is to begin earlier than it was. */
static inline bool due_add(struct due *d, uint64_t now_us, uint32_t interval_ms)
{
    const struct due fresh = {now_us + (uint64_t)interval_ms * 750,
                              now_us + (uint64_t)interval_ms * 1000};
    bool earlier = d->start_us == 0 || fresh.start_us < d->start_us;

    due_merge(d, &fresh);
    return earlier;
}

#endif
