/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers: one text for each, and nothing else is taken. */
#include "engine/base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static void unsigned_numbers_come_back_from_their_text(void **state)
{
    static const struct {
        uint64_t v;
        const char *text;
    } each[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {UINT32_MAX, "4294967295"},
        {UINT64_MAX - 1, "18446744073709551614"},
        {UINT64_MAX, "18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        char text[NUM_TEXT_MAX];
        uint64_t v = ~each[i].v;

        assert_int_equal(num_u64_text(text, each[i].v), strlen(each[i].text));
        assert_string_equal(text, each[i].text);
        assert_int_equal(num_u64(bytes_of(each[i].text), &v), OXBOW_OK);
        assert_true(v == each[i].v);
    }
}

static void signed_numbers_come_back_from_their_text(void **state)
{
    static const struct {
        int64_t v;
        const char *text;
    } each[] = {
        {0, "0"},
        {-1, "-1"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
        {INT64_MIN + 1, "-9223372036854775807"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        char text[NUM_TEXT_MAX];
        int64_t v = ~each[i].v;

        assert_int_equal(num_i64_text(text, each[i].v), strlen(each[i].text));
        assert_string_equal(text, each[i].text);
        assert_int_equal(num_i64(bytes_of(each[i].text), &v), OXBOW_OK);
        assert_true(v == each[i].v);
    }
}

static void anything_but_the_one_form_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "01",
                                      "00",
                                      "-0",
                                      "-01",
                                      "--1",
                                      "1-",
                                      "0x1",
                                      "1.0",
                                      "1e3",
                                      "a",
                                      "12a4",
                                      "/",
                                      ":",
                                      "\n",
                                      "1\n",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "100000000000000000000",
                                      "18446744073709551615000"};
    uint64_t u = 77;
    int64_t s = 77;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(num_u64(bytes_of(bad[i]), &u), OXBOW_EPARSE);
        assert_int_equal(num_i64(bytes_of(bad[i]), &s), OXBOW_EPARSE);
    }
    assert_int_equal(num_u64(bytes_of("-1"), &u), OXBOW_EPARSE);
    assert_int_equal(num_i64(bytes_of("9223372036854775808"), &s), OXBOW_EPARSE);
    assert_int_equal(num_i64(bytes_of("-9223372036854775809"), &s), OXBOW_EPARSE);
    assert_int_equal(num_u64((struct oxbow_bytes){NULL, 0}, &u), OXBOW_EPARSE);
    assert_int_equal(num_i64((struct oxbow_bytes){NULL, 0}, &s), OXBOW_EPARSE);
    assert_int_equal(num_u64((struct oxbow_bytes){"1\0", 2}, &u), OXBOW_EPARSE);
    assert_int_equal(u, 77);
    assert_int_equal(s, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_numbers_come_back_from_their_text),
        cmocka_unit_test(signed_numbers_come_back_from_their_text),
        cmocka_unit_test(anything_but_the_one_form_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
