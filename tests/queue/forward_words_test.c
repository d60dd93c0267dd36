/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a forward as words: each is read, written, and refused with its reason. */
#include "oxbow/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 64u

/* Words separated by blanks. */
static enum oxbow_err read_words(const char *text, struct oxbow_forward_options *opt,
                                 struct oxbow_forward_why *why)
{
    struct oxbow_bytes words[WORDS_MAX];
    size_t count = 0;

    for (const char *p = text; *p != '\0'; p += strspn(p, " ")) {
        words[count++] = (struct oxbow_bytes){p, strcspn(p, " ")};
        p += strcspn(p, " ");
    }
    return oxbow_forward_words(words, count, opt, why);
}

static void every_option_is_read(void **state)
{
    struct oxbow_forward_options o = {.weight = 7};
    struct oxbow_forward_why why;

    (void)state;
    assert_int_equal(
        read_words(
            "TARGET T:1 Select Acked:Workers confirm AOF:2 after KEEP hold-ms 5 hold-bytes "
            "3kb max-bytes 64mb on-full Drop_Oldest on-deleted continue urgent YES true-time "
            "yes batch-bytes 1024 batch-count 1000 linger-ms -1",
            &o, &why),
        OXBOW_OK);
    assert_int_equal(o.target.len, 3);
    assert_memory_equal(o.target.data, "T:1", 3);
    assert_int_equal(o.select, OXBOW_SELECT_ACKED);
    assert_int_equal(o.group.len, 7);
    assert_memory_equal(o.group.data, "Workers", 7);
    assert_int_equal(o.confirm, OXBOW_CONFIRM_AOF);
    assert_int_equal(o.replicas, 2);
    assert_int_equal(o.after, OXBOW_AFTER_KEEP);
    assert_int_equal(o.hold_ms, 5);
    assert_int_equal(o.hold_bytes, 3072);
    assert_int_equal(o.max_bytes, 64 << 20);
    assert_int_equal(o.on_full, OXBOW_FULL_DROP_OLDEST);
    assert_int_equal(o.on_deleted, OXBOW_DELETED_CONTINUE);
    assert_true(o.urgent);
    assert_true(o.true_time);
    assert_int_equal(o.weight, 7); /* what is not named stays */
    assert_int_equal(o.batch_bytes, 1024);
    assert_int_equal(o.batch_count, 1000);
    assert_int_equal(o.linger_ms, -1);
    assert_int_equal(
        read_words("select durable confirm replicas:255 urgent no linger-ms 0 weight "
                   "100 hold-ms 4294967295 batch-bytes 0 max-bytes 9223372036854775807",
                   &o, &why),
        OXBOW_OK);
    assert_int_equal(o.select, OXBOW_SELECT_DURABLE);
    assert_int_equal(o.group.len, 0);
    assert_int_equal(o.confirm, OXBOW_CONFIRM_REPLICAS);
    assert_int_equal(o.replicas, 255);
    assert_false(o.urgent);
    assert_int_equal(o.weight, 100);
    assert_int_equal(o.hold_ms, UINT32_MAX);
    assert_int_equal(o.max_bytes, INT64_MAX);
    assert_int_equal(read_words("confirm replicas", &o, &why), OXBOW_OK);
    assert_int_equal(o.replicas, 0); /* as many as it takes */
    assert_int_equal(read_words("", &o, &why), OXBOW_OK);
}

static void what_is_wrong_is_told(void **state)
{
    static const char *const rows[][2] = {
        {"colour red", "'colour' is none of: target select confirm after"},
        {"weight", "weight has no value: want a number from 0 to 100"},
        {"urgent yes weight", "weight has no value"},
        {"weight 101", "weight '101': want"},
        {"weight -1", "weight '-1': want"},
        {"weight 07", "weight '07': want"},
        {"weight 7x", "weight '7x': want"},
        {"hold-ms 4294967296", "hold-ms '4294967296': want"},
        {"hold-bytes kb", "hold-bytes 'kb': want a size"},
        {"max-bytes -1", "max-bytes '-1': want a size"},
        {"max-bytes 1kbb", "want a size"},
        {"max-bytes 9223372036854775808", "want a size"},
        {"max-bytes 8589934592gb", "want a size"},
        {"batch-bytes 1023", "want 0, or a size from 1kb to 256kb"},
        {"batch-bytes 262145", "want 0, or a size from 1kb to 256kb"},
        {"batch-count 1001", "want a number from 0 to 1000"},
        {"linger-ms -2", "want ms from -1"},
        {"linger-ms 2147483648", "want ms from -1"},
        {"select acked", "want durable or acked:GROUP"},
        {"select acked:", "want durable or acked:GROUP"},
        {"select all", "want durable or acked:GROUP"},
        {"confirm master:1", "want master, replicas:N"},
        {"confirm replicas:", "want master, replicas:N"},
        {"confirm replicas:0", "want master, replicas:N"},
        {"confirm aof:256", "want master, replicas:N"},
        {"confirm slaves", "want master, replicas:N"},
        {"after death", "want trim or keep"},
        {"on-full explode", "want refuse or drop_oldest"},
        {"on-deleted weep", "want resend or continue"},
        {"urgent maybe", "want yes or no"},
        {"true-time 1", "want yes or no"},
    };
    char long_text[OXBOW_FORWARD_KEY_MAX + 32];
    struct oxbow_forward_options o;
    struct oxbow_forward_why why;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        o = (struct oxbow_forward_options){.weight = 1};
        assert_int_equal(read_words(rows[i][0], &o, &why), OXBOW_EINVAL);
        if (strstr(why.text, rows[i][1]) == NULL) {
            fail_msg("%s: %s", rows[i][0], why.text);
        }
    }
    /* A word that is too long is cut in the complaint, and is none of the options. */
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(read_words(long_text, &o, &why), OXBOW_EINVAL);
    assert_true(strlen(why.text) < sizeof why.text);
    memcpy(long_text, "target ", 7);
    long_text[7 + OXBOW_FORWARD_KEY_MAX] = '\0';
    assert_int_equal(read_words(long_text, &o, &why), OXBOW_OK);
    long_text[7 + OXBOW_FORWARD_KEY_MAX] = 'x';
    long_text[8 + OXBOW_FORWARD_KEY_MAX] = '\0';
    assert_int_equal(read_words(long_text, &o, &why), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "want a key of 1 to 1024 bytes"));
}

/* Everything that is written is read as what it was. */
static void words_go_there_and_back(void **state)
{
    static const char *const rows[] = {
        "",
        "select acked:G confirm aof after keep urgent yes",
        "confirm replicas:3 hold-ms 17 hold-bytes 18 max-bytes 19 on-full drop_oldest",
        "confirm aof:1 on-deleted continue true-time yes weight 5",
        "batch-bytes 2000 batch-count 6 linger-ms -1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_forward_options a = {.weight = 1};
        struct oxbow_forward_options b = {.weight = 99, .urgent = true, .hold_ms = 77};
        struct oxbow_forward_why why;
        char text[OXBOW_FORWARD_WORD_MAX];
        const char *name;
        size_t len;
        size_t n;

        assert_int_equal(read_words(rows[i], &a, &why), OXBOW_OK);
        for (n = 0; oxbow_forward_word(&a, n, &name, text, &len); n++) {
            const struct oxbow_bytes words[] = {{name, strlen(name)}, {text, len}};

            assert_int_equal(oxbow_forward_words(words, 2, &b, &why), OXBOW_OK);
            if (strcmp(name, "select") == 0 && b.group.len > 0) {
                b.group = a.group; /* the text's place is used again */
            }
        }
        assert_int_equal(n, 14);
        assert_int_equal(memcmp(&a.select, &b.select, sizeof a.select), 0);
        assert_int_equal(a.group.len, b.group.len);
        assert_int_equal(a.confirm, b.confirm);
        assert_int_equal(a.replicas, b.replicas);
        assert_int_equal(a.after, b.after);
        assert_int_equal(a.hold_ms, b.hold_ms);
        assert_int_equal(a.hold_bytes, b.hold_bytes);
        assert_int_equal(a.max_bytes, b.max_bytes);
        assert_int_equal(a.on_full, b.on_full);
        assert_int_equal(a.on_deleted, b.on_deleted);
        assert_int_equal(a.urgent, b.urgent);
        assert_int_equal(a.true_time, b.true_time);
        assert_int_equal(a.weight, b.weight);
        assert_int_equal(a.batch_bytes, b.batch_bytes);
        assert_int_equal(a.batch_count, b.batch_count);
        assert_int_equal(a.linger_ms, b.linger_ms);
    }
}

static void what_does_not_go_together_is_told(void **state)
{
    const struct oxbow_forward_options fine = {.key = {"k", 1}, .type = OXBOW_TYPE_LIST};
    char long_name[OXBOW_FORWARD_NAME_MAX + 2];
    struct oxbow_forward_options o = fine;
    struct oxbow_forward_why why;

    (void)state;
    assert_int_equal(oxbow_forward_check("a.B-9_", &o, &why), OXBOW_OK);
    assert_int_equal(oxbow_forward_check("", &o, &why), OXBOW_EINVAL);
    assert_int_equal(oxbow_forward_check("a b", &o, &why), OXBOW_EINVAL);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(oxbow_forward_check(long_name, &o, &why), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "the name has"));
    assert_int_equal(oxbow_forward_check(long_name + 1, &o, &why), OXBOW_OK);
    o.key.len = 0;
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "the key has"));
    o = fine;
    o.type = OXBOW_TYPE_STRING;
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
    o = fine;
    o.target = (struct oxbow_bytes){"x}{y}", 5};
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "hash tag"));
    o.target = (struct oxbow_bytes){"{x}y", 4};
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_OK);
    o = fine;
    o.after = OXBOW_AFTER_KEEP;
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
    o.type = OXBOW_TYPE_STREAM;
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_OK);
    o = fine;
    o.true_time = true;
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
    o = fine;
    o.select = OXBOW_SELECT_ACKED;
    o.group = (struct oxbow_bytes){"g", 1};
    assert_int_equal(oxbow_forward_check("a", &o, &why), OXBOW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(words_go_there_and_back),
        cmocka_unit_test(what_does_not_go_together_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
