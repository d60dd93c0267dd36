/* SPDX-License-Identifier: Apache-2.0 */
/* The window on a simulated path: a rate and a round trip, batches back to back. */
#include "engine/uplink/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BATCH   32768u
#define PENDING 512u

struct path {
    uint64_t rate;   /* bytes per second */
    uint64_t rtt_us; /* without queueing */
    uint64_t now_us;
    uint64_t free_us; /* when the path has sent what it got */
    struct window_mark marks[PENDING];
    uint64_t answers_us[PENDING];
    unsigned head, count;
    uint32_t batch; /* 0: BATCH */
};

static uint32_t path_batch(const struct path *p)
{
    return p->batch > 0 ? p->batch : BATCH;
}

static void path_send(struct path *p, struct window *w)
{
    unsigned i = (p->head + p->count) % PENDING;

    assert_true(p->count < PENDING);
    p->free_us =
        (p->free_us > p->now_us ? p->free_us : p->now_us) + path_batch(p) * 1000000ull / p->rate;
    p->marks[i] = window_sent(w, path_batch(p), p->now_us);
    p->answers_us[i] = p->free_us + p->rtt_us;
    p->count++;
}

/* Sends for `seconds`; gives bytes answered. */
static uint64_t path_run(struct path *p, struct window *w, unsigned seconds)
{
    uint64_t end_us = p->now_us + seconds * 1000000ull, before = w->delivered;

    while (p->now_us < end_us) {
        while (window_allows(w, path_batch(p))) {
            path_send(p, w);
        }
        p->now_us = p->answers_us[p->head];
        window_answered(w, &p->marks[p->head], p->now_us);
        p->head = (p->head + 1) % PENDING;
        p->count--;
    }
    return w->delivered - before;
}

static void the_window_grows_to_fill_a_long_fast_path(void **state)
{
    struct path p = {.rate = 1000000, .rtt_us = 200000, .now_us = 1000};
    struct window w;
    uint64_t bytes;

    (void)state;
    window_reset(&w, BATCH, 1048576, p.now_us);
    assert_int_equal(w.bytes, BATCH);
    (void)path_run(&p, &w, 10);
    bytes = path_run(&p, &w, 10);
    printf("1 MB/s, 200 ms: window %llu, %llu bytes/s\n", (unsigned long long)w.bytes,
           (unsigned long long)bytes / 10);
    assert_true(bytes / 10 > 900000);
    assert_true(w.bytes <= 3 * 232768); /* not far beyond twice what the path holds */
}

/* Small entries: what frames them makes a batch half as long again. */
static void the_window_grows_although_batches_are_longer_than_they_were_to_be(void **state)
{
    struct path p = {.rate = 1000000, .rtt_us = 600000, .now_us = 1000, .batch = BATCH * 3 / 2};
    struct window w;
    uint64_t bytes;

    (void)state;
    window_reset(&w, BATCH, 1048576, p.now_us);
    (void)path_run(&p, &w, 20);
    bytes = path_run(&p, &w, 20);
    printf("1 MB/s, 600 ms, long batches: window %llu, %llu bytes/s\n", (unsigned long long)w.bytes,
           (unsigned long long)bytes / 20);
    assert_true(bytes / 20 > 900000);
}

static void the_window_stays_small_on_a_slow_path(void **state)
{
    struct path p = {.rate = 10000, .rtt_us = 600000, .now_us = 1000};
    struct window w;

    (void)state;
    window_reset(&w, BATCH, 1048576, p.now_us);
    (void)path_run(&p, &w, 200);
    printf("10 kB/s, 600 ms: window %llu\n", (unsigned long long)w.bytes);
    assert_true(w.bytes <= 3 * BATCH);
}

static void the_window_never_passes_its_limit_and_always_lets_one_batch_go(void **state)
{
    struct path p = {.rate = 100000000, .rtt_us = 300000, .now_us = 1000};
    struct window w;

    (void)state;
    window_reset(&w, BATCH, 262144, p.now_us);
    (void)path_run(&p, &w, 20);
    assert_true(w.bytes <= 262144);
    window_reset(&w, 1024, 262144, p.now_us);
    assert_true(window_allows(&w, 100000000));
    (void)window_sent(&w, 1024, p.now_us);
    assert_false(window_allows(&w, 1));
}

static void patience_grows_with_the_path(void **state)
{
    struct path p = {.rate = 2000, .rtt_us = 600000, .now_us = 1000};
    struct window w;

    (void)state;
    window_reset(&w, BATCH, 1048576, p.now_us);
    assert_int_equal(window_timeout_us(&w, 30000000), 30000000);
    (void)path_run(&p, &w, 100);
    (void)window_sent(&w, BATCH, p.now_us);
    assert_true(window_timeout_us(&w, 30000000) > 60000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_grows_to_fill_a_long_fast_path),
        cmocka_unit_test(the_window_grows_although_batches_are_longer_than_they_were_to_be),
        cmocka_unit_test(the_window_stays_small_on_a_slow_path),
        cmocka_unit_test(the_window_never_passes_its_limit_and_always_lets_one_batch_go),
        cmocka_unit_test(patience_grows_with_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
