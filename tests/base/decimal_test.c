/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with a fraction: what is one, and how it is shown. */
#include "engine/base/decimal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void a_number_is_the_whole_text_or_none(void **state)
{
    static const char *const good[] = {"0", "-1", "1.5", "1e3", "-0.25", ".5", "+2", "0x10", "inf"};
    static const char *const bad[] = {"",    " 1",  "1 ",  "1.5x",    "x",
                                      "nan", "\t1", "--1", "1e99999", "1e-99999"};
    long double v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(decimal_of((struct oxbow_bytes){good[i], strlen(good[i])}, &v));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(decimal_of((struct oxbow_bytes){bad[i], strlen(bad[i])}, &v));
    }
    assert_true(decimal_of((struct oxbow_bytes){"-inf", 4}, &v));
    assert_false(decimal_is_finite(v));
    assert_false(decimal_of((struct oxbow_bytes){"1\0", 2}, &v));
}

static void it_is_shown_without_zeros_at_the_end(void **state)
{
    static const struct {
        long double v;
        const char *text;
    } each[] = {{0, "0"},
                {-0.0L, "0"},
                {1.5L, "1.5"},
                {-100, "-100"},
                {1e20L, "100000000000000000000"},
                {0.0001L, "0.0001"}};
    char text[DECIMAL_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        size_t len = decimal_text(text, each[i].v);

        assert_int_equal(len, strlen(each[i].text));
        assert_memory_equal(text, each[i].text, len);
    }
}

static void a_text_that_is_too_long_is_no_number(void **state)
{
    static char text[DECIMAL_TEXT_MAX + 1];
    long double v;

    (void)state;
    memset(text, '0', sizeof text);
    assert_true(decimal_of((struct oxbow_bytes){text, DECIMAL_TEXT_MAX - 1}, &v));
    assert_false(decimal_of((struct oxbow_bytes){text, DECIMAL_TEXT_MAX}, &v));
    assert_false(decimal_of((struct oxbow_bytes){text, DECIMAL_TEXT_MAX + 1}, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_the_whole_text_or_none),
        cmocka_unit_test(it_is_shown_without_zeros_at_the_end),
        cmocka_unit_test(a_text_that_is_too_long_is_no_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
