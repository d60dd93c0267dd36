/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a group as words: each is read, written, and refused with its reason. */
#include "oxbow/group_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 64u

/* Words separated by blanks. */
static enum oxbow_err read_words(const char *text, struct oxbow_group_options *opt,
                                 struct oxbow_group_why *why)
{
    struct oxbow_bytes words[WORDS_MAX];
    size_t count = 0;

    for (const char *at = text; *at != '\0'; at += strspn(at, " ")) {
        words[count++] = (struct oxbow_bytes){at, strcspn(at, " ")};
        at += strcspn(at, " ");
    }
    return oxbow_group_words(words, count, opt, why);
}

static void every_option_is_read_and_written(void **state)
{
    static const char text[] =
        "visibility 30000 max-deliveries 5 dead-letter jobs:dead retry-base 1000 retry-factor 300 "
        "retry-max 60000 retry-jitter 20 prefetch 9 key-field customer exclusive 15000 "
        "dead-letter-remove yes";
    struct oxbow_group_options o = {.prefetch = 0};
    struct oxbow_group_why why;
    struct oxbow_group_word word;
    char again[512] = "";
    size_t len = 0;

    (void)state;
    assert_int_equal(read_words(text, &o, &why), OXBOW_OK);
    assert_int_equal(o.visibility_ms, 30000);
    assert_int_equal(o.max_deliveries, 5);
    assert_int_equal(o.dead_letter.len, 9);
    assert_true(o.dead_remove);
    assert_int_equal(oxbow_group_options_check(&o, &why), OXBOW_OK);
    for (size_t i = 0; oxbow_group_word(&o, i, &word); i++) {
        len += (size_t)snprintf(again + len, sizeof again - len, "%s%s %.*s", i > 0 ? " " : "",
                                word.name, (int)word.text.len, (const char *)word.text.data);
        assert_true(word.kind == OXBOW_GROUP_WORD_NAME || word.value > 0);
    }
    assert_string_equal(again, text);
    assert_int_equal(read_words("VISIBILITY 2h Dead-Letter-Remove NO", &o, &why), OXBOW_OK);
    assert_int_equal(o.visibility_ms, 7200000);
    assert_false(o.dead_remove);
    assert_int_equal(o.prefetch, 9); /* what is not named stays */
}

static void what_makes_no_sense_is_told(void **state)
{
    static const char *const rows[][2] = {
        {"timeout 5", "'timeout' is none of: visibility, max-deliveries, "},
        {"visibility", "visibility has no value: want a time"},
        {"visibility soon", "visibility 'soon': want a time like"},
        {"visibility 100000000000w", "want a time like"},
        {"max-deliveries -1", "max-deliveries '-1': want a number"},
        {"max-deliveries 4294967296", "max-deliveries '4294967296': want a number"},
        {"retry-factor 10001", "want a percentage from 100 to 10000"},
        {"retry-jitter 101", "want a percentage from 0 to 100"},
        {"dead-letter-remove maybe", "dead-letter-remove 'maybe': want yes or no"},
    };
    static const char *const wrong[][2] = {
        {"max-deliveries 3", "max-deliveries needs dead-letter"},
        {"retry-factor 99", "retry-factor is a percentage from 100"},
        {"retry-base 2s retry-max 1s", "retry-max is below retry-base"},
    };
    char longest[300];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_group_options o = {.prefetch = 0};
        struct oxbow_group_why why = {""};

        assert_int_equal(read_words(rows[i][0], &o, &why), OXBOW_EINVAL);
        if (strstr(why.text, rows[i][1]) == NULL) {
            fail_msg("%s: '%s' is not in: %s", rows[i][0], rows[i][1], why.text);
        }
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct oxbow_group_options o = {.prefetch = 0};
        struct oxbow_group_why why = {""};

        assert_int_equal(read_words(wrong[i][0], &o, &why), OXBOW_OK);
        assert_int_equal(oxbow_group_options_check(&o, &why), OXBOW_EINVAL);
        assert_non_null(strstr(why.text, wrong[i][1]));
    }
    for (int len = 255; len <= 256; len++) {
        struct oxbow_group_options o = {.prefetch = 0};
        struct oxbow_group_why why = {""};

        (void)snprintf(longest, sizeof longest, "key-field %0*d", len, 0);
        assert_int_equal(read_words(longest, &o, &why), len == 255 ? OXBOW_OK : OXBOW_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_read_and_written),
        cmocka_unit_test(what_makes_no_sense_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
