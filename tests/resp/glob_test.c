/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: a table of cases, and the work of the worst ones. tests/resp/redis_test.c compares with
 * a real server. */
#include "engine/resp/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool glob(const char *pattern, const char *text, bool any_case)
{
    return resp_glob((struct oxbow_bytes){pattern, strlen(pattern)},
                     (struct oxbow_bytes){text, strlen(text)}, any_case);
}

static void patterns_match_as_redis_matches_them(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool expect;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", false}, /* Redis tries no pattern on an empty text */
        {"*", "a", true},
        {"**", "abc", true},
        {"a", "a", true},
        {"a", "b", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"?", "a", true},
        {"?", "", false},
        {"??", "a", false},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*c", "abcd", false},
        {"a*c", "abbc", true},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "aXcYb", false},
        {"*ab*ab", "abab", true},
        {"*ab*ab", "aab", false},
        {"*a?c*", "xxabcxx", true},
        {"a**?", "ab", true},
        {"a*?", "a", false},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[^abc]", "d", true},
        {"[^abc]", "b", false},
        {"[a-c]x", "bx", true},
        {"[c-a]", "b", true},
        {"[a-c]", "B", false},
        {"[a", "a", true},
        {"[", "a", false},
        {"[^", "a", true},
        {"[]", "a", false},
        {"[^]", "a", true},
        {"[]a]", "a", false},
        {"[a-]", "a", true},
        {"[a-]", "-", false},
        {"[a-]", "`", true},
        {"[\\]]", "]", true},
        {"[\\a]", "a", true},
        {"[\\", "\\", true},
        {"[a\\-z]", "-", true},
        {"[a\\-z]", "m", false},
        {"[\x80-\xff]", "\xf0", true},
        {"[\xf0-z]", "a", true}, /* signed: \xf0 is below zero */
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\", "\\", true},
        {"a\\", "a\\", true},
        {"\\\\", "\\", true},
        {"h[^e]llo", "hello", false},
        {"h[^e]llo", "hallo", true},
        {"celery-task-meta-*", "celery-task-meta-1234", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (glob(rows[i].pattern, rows[i].text, false) != rows[i].expect) {
            fail_msg("pattern %s, text %s", rows[i].pattern, rows[i].text);
        }
    }
}

static void letters_match_in_any_case_when_asked(void **state)
{
    (void)state;
    assert_true(glob("MaxMemory*", "maxmemory-policy", true));
    assert_false(glob("MaxMemory*", "maxmemory-policy", false));
    assert_true(glob("[A-C]?", "bZ", true));
    assert_true(glob("[XY]", "x", true));
    assert_false(glob("[\\X]", "x", true)); /* as Redis: an escaped one is itself */
    assert_true(glob("\\X", "x", true));
    assert_false(glob("\xc4", "\xe4", true));
}

static void zero_bytes_are_bytes_like_any_other(void **state)
{
    (void)state;
    assert_true(
        resp_glob((struct oxbow_bytes){"a\0*", 3}, (struct oxbow_bytes){"a\0bc", 4}, false));
    assert_false(
        resp_glob((struct oxbow_bytes){"a\0c", 3}, (struct oxbow_bytes){"a\0b", 3}, false));
}

static void many_stars_take_no_more_than_the_product_of_lengths(void **state)
{
    static char pattern[10001], text[10001];

    (void)state;
    for (size_t i = 0; i < 10000; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[9999] = 'b';
    memset(text, 'a', 10000);
    assert_false(glob(pattern, text, false));
    text[9999] = 'b';
    assert_true(glob(pattern, text, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_redis_matches_them),
        cmocka_unit_test(letters_match_in_any_case_when_asked),
        cmocka_unit_test(zero_bytes_are_bytes_like_any_other),
        cmocka_unit_test(many_stars_take_no_more_than_the_product_of_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
