/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/resp/args.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static struct oxbow_bytes bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static void words_are_known_in_any_case_and_whole(void **state)
{
    (void)state;
    assert_true(resp_arg_is(bytes("CoUnT"), "count"));
    assert_false(resp_arg_is(bytes("coun"), "count"));
    assert_false(resp_arg_is(bytes("counts"), "count"));
    assert_false(resp_arg_is(bytes(""), "count"));
    assert_false(resp_arg_is((struct oxbow_bytes){"count\0", 6}, "count"));
}

static void integers_have_one_form(void **state)
{
    static const char *const bad[] = {"",
                                      "+1",
                                      "01",
                                      "1 ",
                                      " 1",
                                      "1.0",
                                      "-",
                                      "-0",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    int64_t v = 7;

    (void)state;
    assert_true(resp_arg_int(bytes("-9223372036854775808"), &v));
    assert_int_equal(v, INT64_MIN);
    assert_true(resp_arg_int(bytes("9223372036854775807"), &v));
    assert_int_equal(v, INT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(resp_arg_int(bytes(bad[i]), &v));
    }
    assert_int_equal(v, INT64_MAX);
}

static void doubles_are_taken_as_redis_takes_them(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "x", "nan", "1e400", "-1e400", "1,5"};
    double v;

    (void)state;
    assert_true(resp_arg_double(bytes("-1.5e2"), &v) && v == -150);
    assert_true(resp_arg_double(bytes("+inf"), &v) && v > 1e308);
    assert_true(resp_arg_double(bytes("-Infinity"), &v) && v < -1e308);
    assert_true(resp_arg_double(bytes("0x10"), &v) && v == 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(resp_arg_double(bytes(bad[i]), &v));
    }
    assert_false(resp_arg_double((struct oxbow_bytes){"1\0", 2}, &v));
}

static void timeouts_have_fractions_and_zero_is_for_ever(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {{"0", 0},           {"0.0", 0},      {"1", 1000000},   {"0.001", 1000},
                {".5", 500000},     {"1.", 1000000}, {"0.0000001", 1}, {"-0", 0},
                {"2.148", 2148000}, {"+3", 3000000}};
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"", "ERR timeout is not a float or out of range"},
               {"x", "ERR timeout is not a float or out of range"},
               {"1s", "ERR timeout is not a float or out of range"},
               {"1.2.3", "ERR timeout is not a float or out of range"},
               {".", "ERR timeout is not a float or out of range"},
               {"-1", "ERR timeout is negative"},
               {"-0.5", "ERR timeout is negative"},
               {"9223372036854776", "ERR timeout is out of range"}};
    uint64_t us;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(resp_arg_timeout(bytes(good[i].text), &us));
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(resp_arg_timeout(bytes(bad[i].text), &us), bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_known_in_any_case_and_whole),
        cmocka_unit_test(integers_have_one_form),
        cmocka_unit_test(doubles_are_taken_as_redis_takes_them),
        cmocka_unit_test(timeouts_have_fractions_and_zero_is_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
