/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/uplink/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000u

/* Sends batches of `bytes` whenever that is allowed, looking every `step` us; how much in `seconds`. */
static uint64_t send_for(struct pace *p, uint64_t bytes, uint32_t rate, uint64_t step,
                         uint64_t seconds)
{
    const uint64_t began = 50 * (uint64_t)SECOND;
    uint64_t sent = 0;

    for (uint64_t now = began; now < began + seconds * SECOND; now += step) {
        if (pace_allows(p, now)) {
            pace_spend(p, bytes, rate, now);
            sent += bytes;
        }
    }
    return sent;
}

static void what_is_sent_is_the_rate_however_large_the_batches(void **state)
{
    static const uint64_t batches[] = {1, 100, 999, 5000, 100000};

    (void)state;
    for (unsigned i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        struct pace p = {0};
        uint64_t sent = send_for(&p, batches[i], 1000, 500, 200);

        assert_in_range(sent, 1000 * 198, 1000 * 200 + 100 + batches[i]);
    }
}

static void looking_late_costs_nothing_up_to_a_tenth_of_a_second(void **state)
{
    struct pace often = {0};
    struct pace seldom = {0};

    (void)state;
    assert_in_range(send_for(&often, 10000, 100000, 99000, 100), 9900000, 10020000);
    assert_in_range(send_for(&seldom, 10000, 100000, 250000, 100), 4000000, 4010000);
}

static void nothing_is_saved_up_in_a_day_without_sending(void **state)
{
    struct pace p = {0};
    uint64_t day = (uint64_t)86400 * SECOND;

    (void)state;
    pace_spend(&p, 1000, 1000, 0);
    assert_false(pace_allows(&p, SECOND - 1));
    assert_true(pace_allows(&p, SECOND));
    pace_spend(&p, 1000, 1000, day);
    assert_false(pace_allows(&p, day + SECOND - PACE_CREDIT_US - 1));
    assert_true(pace_allows(&p, day + SECOND - PACE_CREDIT_US));
}

static void without_a_cap_all_may_go_at_once_and_the_largest_batch_does_not_overflow(void **state)
{
    struct pace p = {0};

    (void)state;
    pace_spend(&p, UINT32_MAX, 0, 5);
    assert_true(pace_allows(&p, 5));
    pace_spend(&p, (uint64_t)288 << 20, 64, 0);
    assert_int_equal(p.free_us, ((uint64_t)288 << 20) * SECOND / 64);
    pace_spend(&p, 1, UINT32_MAX, p.free_us); /* never for nothing */
    assert_false(pace_allows(&p, ((uint64_t)288 << 20) * SECOND / 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_the_rate_however_large_the_batches),
        cmocka_unit_test(looking_late_costs_nothing_up_to_a_tenth_of_a_second),
        cmocka_unit_test(nothing_is_saved_up_in_a_day_without_sending),
        cmocka_unit_test(without_a_cap_all_may_go_at_once_and_the_largest_batch_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
