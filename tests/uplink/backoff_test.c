/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/uplink/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static enum oxbow_err fill_high(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 0xff, len);
    return OXBOW_OK;
}

static enum oxbow_err fill_not(void *ctx, void *out, size_t len)
{
    (void)ctx;
    (void)out;
    (void)len;
    return OXBOW_EIO;
}

static void waiting_times_stay_below_a_bound_that_doubles_up_to_the_cap(void **state)
{
    const struct oxbow_random random = {NULL, fill_high};
    struct backoff b = {&oxbow_port_default()->random, 0};
    uint64_t bound = 2000000;
    int i;

    (void)state;
    for (i = 0; i < 40; i++) {
        assert_true(backoff_next_us(&b, 2000, 300000) <= bound);
        bound = bound * 2 > 300000000 ? 300000000 : bound * 2;
    }
    b = (struct backoff){&random, 0};
    for (i = 0; i < 100; i++) { /* no overflow at the top */
        assert_true(backoff_next_us(&b, UINT32_MAX, 1000) <= 1000000);
    }
}

static void waiting_times_are_spread_over_the_whole_range(void **state)
{
    uint32_t low = 0, high = 0;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        uint64_t us = backoff_spread_us(&oxbow_port_default()->random, 1000);

        assert_true(us <= 1000000);
        low += us < 250000;
        high += us > 750000;
    }
    assert_true(low > 150 && high > 150);
}

static void without_randomness_half_the_time_is_waited(void **state)
{
    const struct oxbow_random random = {NULL, fill_not};

    (void)state;
    assert_int_equal(backoff_spread_us(&random, 1000), 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_times_stay_below_a_bound_that_doubles_up_to_the_cap),
        cmocka_unit_test(waiting_times_are_spread_over_the_whole_range),
        cmocka_unit_test(without_randomness_half_the_time_is_waited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
