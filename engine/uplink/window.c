/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Window control by delivery rate. Each answered batch is a sample: the bytes answered between its
 * sending and its answer, over that time. Best rate x least round trip is what the path holds.
 * While the window is the limit, the sample is window / round trip, so that twice it doubles the
 * window each round; once the path is the limit, the sample stops growing.
 *
 * The least round trip must be that of an empty path. Under a steady backlog every sample has
 * waited in a queue, so it may rise only slowly: else the window would feed on the queue that it
 * makes.
 */
#include "engine/uplink/window.h"

#define RTT_SHARE 8u /* srtt moves by 1/8 of each sample's difference */

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void window_reset(struct window *w, uint64_t batch, uint64_t bytes_max, uint64_t now_us)
{
    *w = (struct window){
        .bytes = batch, .bytes_max = bytes_max, .rate_us = now_us, .rtt_us = now_us};
    w->bytes_min = max_of(WINDOW_MIN, batch * 5 / 2); /* two, with what frames them */
    w->delivered_us = now_us;
}

bool window_allows(const struct window *w, uint64_t bytes)
{
    return w->inflight == 0 || w->inflight + bytes <= w->bytes;
}

struct window_mark window_sent(struct window *w, uint32_t bytes, uint64_t now_us)
{
    if (w->inflight == 0) {
        w->delivered_us = now_us; /* an idle time is no slow path */
    }
    w->inflight += bytes;
    return (struct window_mark){now_us, w->delivered, w->delivered_us, bytes};
}

static void window_age(struct window *w, uint64_t now_us)
{
    if (now_us - w->rate_us >= WINDOW_RATE_US) {
        w->rate_us = now_us;
        w->rates[1] = w->rates[0];
        w->rates[0] = 0;
    }
    if (now_us - w->rtt_us >= WINDOW_RTT_US) {
        w->rtt_us = now_us;
        w->rtt_min_us += w->rtt_min_us / 4;
    }
}

static void window_rtt(struct window *w, uint64_t rtt_us)
{
    uint32_t rtt = rtt_us > UINT32_MAX / 2 ? UINT32_MAX / 2 : rtt_us == 0 ? 1 : (uint32_t)rtt_us;

    if (w->srtt_us == 0) {
        w->srtt_us = rtt;
    } else {
        w->srtt_us = (uint32_t)(((uint64_t)w->srtt_us * (RTT_SHARE - 1) + rtt) / RTT_SHARE);
    }
    if (w->rtt_min_us == 0 || rtt < w->rtt_min_us) {
        w->rtt_min_us = rtt;
    }
}

void window_answered(struct window *w, const struct window_mark *mark, uint64_t now_us)
{
    uint64_t span_us, path;

    w->inflight -= mark->bytes;
    w->delivered += mark->bytes;
    w->delivered_us = now_us;
    window_age(w, now_us);
    window_rtt(w, now_us - mark->sent_us);
    span_us = max_of(now_us - mark->delivered_us, 1);
    w->rates[0] = max_of(w->rates[0], (w->delivered - mark->delivered) * 1000000u / span_us);
    w->rate = max_of(w->rates[0], w->rates[1]);
    path = w->rate * w->rtt_min_us / 1000000u * 2;
    path = max_of(path, w->bytes_min);
    path = max_of(path, (uint64_t)mark->bytes * 5 / 2); /* as long as small entries make them */
    /* One doubling a round at most, and no collapse by one lucky round trip. */
    path = path > w->bytes + mark->bytes ? w->bytes + mark->bytes : path;
    path = max_of(path, w->bytes - w->bytes / 16);
    w->bytes = path > w->bytes_max ? w->bytes_max : path;
}

uint64_t window_timeout_us(const struct window *w, uint64_t floor_us)
{
    uint64_t slow = (uint64_t)w->srtt_us * 8;

    if (w->rate > 0) {
        slow += w->inflight * 1000000u / w->rate;
    }
    return max_of(floor_us, slow);
}
