/* SPDX-License-Identifier: Apache-2.0 */
/* Words in any case, sizes and times with their units. */
#include "engine/base/word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct oxbow_bytes bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static void words_are_known_in_any_case(void **state)
{
    static const char *const words[] = {"refuse", "drop-oldest", NULL};

    (void)state;
    assert_true(word_is(bytes("Refuse"), "refuse"));
    assert_true(word_is(bytes(""), ""));
    assert_false(word_is(bytes("refus"), "refuse"));
    assert_false(word_is(bytes("refuses"), "refuse"));
    assert_false(word_is((struct oxbow_bytes){"a\0", 2}, "a"));
    assert_int_equal(word_place(bytes("DROP-oldest"), words), 1);
    assert_int_equal(word_place(bytes("refuse"), words), 0);
    assert_int_equal(word_place(bytes("drop"), words), -1);
    assert_int_equal(word_place((struct oxbow_bytes){NULL, 0}, words), -1);
}

static void sizes_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {{"0", 0},
                {"7", 7},
                {"7b", 7},
                {"64k", 64000},
                {"64KB", 65536},
                {"10M", 10000000},
                {"2mb", 2097152},
                {"3g", 3000000000},
                {"1gb", 1073741824},
                {"1t", 1000000000000},
                {"1tb", 1099511627776},
                {"18446744073709551615", UINT64_MAX},
                {"16777215tb", 16777215ull << 40}};
    static const char *const bad[] = {"",    "k",    "-1",         "1.5k",
                                      "10q", "1kbb", "1 k",        "0x1",
                                      "+1",  "01",   "16777216tb", "18446744073709551616"};
    uint64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(word_size(bytes(rows[i].text), &n));
        assert_int_equal(n, rows[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(word_size(bytes(bad[i]), &n));
    }
    assert_false(word_size((struct oxbow_bytes){"7\0", 2}, &n));
}

static void times_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"0", 0},        {"250", 250},    {"250ms", 250},   {"90S", 90000},
                {"15m", 900000}, {"2h", 7200000}, {"1d", 86400000}, {"4w", 2419200000}};
    static const char *const bad[] = {
        "", "s", "-1s", "1.5s", "7y", "1 s", "99999999999999999999d", "9999999999999999w"};
    uint64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(word_ms(bytes(rows[i].text), &n));
        assert_int_equal(n, rows[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(word_ms(bytes(bad[i]), &n));
    }
}

static void words_are_taken_one_after_the_other(void **state)
{
    static const char *const rows[] = {"a bc d", "  a  bc   d  ", "a bc d "};
    static const char *const words[] = {"a", "bc", "d"};
    const struct oxbow_bytes none = {NULL, 0};
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        at = 0;
        for (size_t n = 0; n < 3; n++) {
            struct oxbow_bytes word = word_next(bytes(rows[i]), &at);

            assert_int_equal(word.len, strlen(words[n]));
            assert_memory_equal(word.data, words[n], word.len);
        }
        assert_int_equal(word_next(bytes(rows[i]), &at).len, 0);
        assert_int_equal(at, strlen(rows[i]));
    }
    at = 0;
    assert_int_equal(word_next(none, &at).len, 0);
    assert_int_equal(word_next(bytes("   "), &at).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_known_in_any_case),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(words_are_taken_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
