/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many bytes may be unanswered: twice what the path holds, measured. More only fills queues
 * on the way, so that urgent entries wait behind old ones.
 */
#ifndef OXBOW_UPLINK_WINDOW_H
#define OXBOW_UPLINK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MIN     (32u * 1024)
#define WINDOW_RATE_US 10000000u  /* the best rate is that of this time, or of the one before */
#define WINDOW_RTT_US  600000000u /* after so long the least round trip may be a quarter longer */

struct window {
    uint64_t bytes; /* the window */
    uint64_t bytes_min;
    uint64_t bytes_max;
    uint64_t inflight;
    uint64_t delivered;    /* answered, since reset */
    uint64_t delivered_us; /* when last */
    uint64_t rate;         /* best, bytes per second */
    uint64_t rates[2];     /* of this time and of the one before */
    uint64_t rate_us;      /* when this time began */
    uint64_t rtt_us;       /* the same for the round trip */
    uint32_t srtt_us;      /* smoothed; 0: unknown */
    uint32_t rtt_min_us;   /* least; 0: unknown */
};

/* What is remembered of a batch when it is sent. */
struct window_mark {
    uint64_t sent_us;
    uint64_t delivered;
    uint64_t delivered_us;
    uint32_t bytes;
};

/* A new connection: starts with `batch` bytes (one batch) and learns afresh; later it is never less
 * than two of them, with what frames them. */
void window_reset(struct window *w, uint64_t batch, uint64_t bytes_max, uint64_t now_us);
bool window_allows(const struct window *w, uint64_t bytes);
struct window_mark window_sent(struct window *w, uint32_t bytes, uint64_t now_us);
void window_answered(struct window *w, const struct window_mark *mark, uint64_t now_us);
/* How long the oldest answer may take: at least floor_us, more on a slow path. */
uint64_t window_timeout_us(const struct window *w, uint64_t floor_us);

#endif
