/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a policy as words: each is read, written, and refused with its reason. */
#include "oxbow/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 64u

/* Words separated by blanks; ~ stands for one without bytes. */
static enum oxbow_err read_words(const char *text, struct oxbow_policy *p,
                                 struct oxbow_policy_why *why)
{
    struct oxbow_bytes words[WORDS_MAX];
    size_t count = 0;

    for (const char *at = text; *at != '\0'; at += strspn(at, " ")) {
        words[count++] =
            *at == '~' ? (struct oxbow_bytes){NULL, 0} : (struct oxbow_bytes){at, strcspn(at, " ")};
        at += strcspn(at, " ");
    }
    return oxbow_policy_words(words, count, p, why);
}

static void every_field_is_read_and_written(void **state)
{
    static const char text[] =
        "max-entries 5 max-bytes 1024 max-age 90000 on-full drop-oldest keep 7 keep-bytes 8 dedupe "
        "9 dedupe-count 10 priorities 3 priority-weights 1,0,255 priority-wait 11 default-ttl 12 "
        "default-delay 13";
    struct oxbow_policy p = {.max_entries = 0};
    struct oxbow_policy_why why;
    char again[512] = "";
    char word[OXBOW_POLICY_WORD_MAX];
    const char *name;
    size_t len = 0;
    size_t word_len;

    (void)state;
    assert_int_equal(read_words(text, &p, &why), OXBOW_OK);
    assert_int_equal(p.max_entries, 5);
    assert_int_equal(p.on_full, OXBOW_POLICY_DROP_OLDEST);
    assert_int_equal(p.priority_weights,
                     OXBOW_PRIORITY_WEIGHT(0, 1) | OXBOW_PRIORITY_WEIGHT(2, 255));
    assert_int_equal(p.default_delay_ms, 13);
    for (size_t i = 0; oxbow_policy_word(&p, i, &name, word, &word_len); i++) {
        len += (size_t)snprintf(again + len, sizeof again - len, "%s%s %.*s", i > 0 ? " " : "",
                                name, (int)word_len, word);
    }
    assert_string_equal(again, text);
}

static void units_and_cases_do_not_matter(void **state)
{
    struct oxbow_policy p = {.max_entries = 7, .keep_ms = 3};
    struct oxbow_policy_why why;

    (void)state;
    assert_int_equal(
        read_words("MAX-AGE 7D Max-Bytes 10mb on-full BLOCK max-entries 64k", &p, &why), OXBOW_OK);
    assert_int_equal(p.max_age_ms, 7 * 86400000ull);
    assert_int_equal(p.max_bytes, 10u << 20);
    assert_int_equal(p.on_full, OXBOW_POLICY_BLOCK);
    assert_int_equal(p.max_entries, 64000);
    assert_int_equal(p.keep_ms, 3); /* what is not named stays */
    assert_int_equal(read_words("", &p, &why), OXBOW_OK);
}

static void what_makes_no_sense_is_told(void **state)
{
    static const char *const rows[][2] = {
        {"size 5", "'size' is none of: max-entries, max-bytes, "},
        {"~ 5", "'' is none of: "},
        {"max-entries", "max-entries has no value: want a number"},
        {"max-age 1h keep", "keep has no value: want a time like"},
        {"on-full", "on-full has no value: want one of refuse drop-oldest block"},
        {"max-entries five", "max-entries 'five': want a number"},
        {"max-entries -1", "max-entries '-1': want a number"},
        {"max-entries ~", "max-entries '': want a number"},
        {"max-entries 16777216tb", "max-entries '16777216tb': want a number"},
        {"max-entries 2000000t", "max-entries '2000000t': too large"},
        {"max-bytes 10q", "max-bytes '10q': want a size"},
        {"max-age 7y", "max-age '7y': want a time like"},
        {"max-age 9999999999w", "max-age '9999999999w': too large"},
        {"on-full drop", "on-full 'drop': want one of refuse drop-oldest block"},
        {"on-full ~", "on-full '': want one of"},
        {"priorities 9", "priorities '9': too large"},
        {"priority-weights 256", "priority-weights '256': want a weight"},
        {"priority-weights 1,", "priority-weights '1,': want a weight"},
        {"priority-weights ,1", "priority-weights ',1': want a weight"},
        {"priority-weights 1,2,3,4,5,6,7,8,9", "want a weight for each priority"},
        {"priority-weights ~", "want a weight for each priority"},
    };
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_policy p = {.max_entries = 0};
        struct oxbow_policy_why why = {""};

        assert_int_equal(read_words(rows[i][0], &p, &why), OXBOW_EINVAL);
        if (strstr(why.text, rows[i][1]) == NULL) {
            fail_msg("%s: '%s' is not in: %s", rows[i][0], rows[i][1], why.text);
        }
    }
    (void)snprintf(name, sizeof name, "%0200d 1", 0);
    {
        struct oxbow_policy p = {.max_entries = 0};
        struct oxbow_policy_why why = {""};

        assert_int_equal(read_words(name, &p, &why), OXBOW_EINVAL); /* cut, not overflown */
        assert_non_null(strstr(why.text, "' is none of: max-entries"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read_and_written),
        cmocka_unit_test(units_and_cases_do_not_matter),
        cmocka_unit_test(what_makes_no_sense_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
