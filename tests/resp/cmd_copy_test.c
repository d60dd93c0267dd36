/* SPDX-License-Identifier: Apache-2.0 */
/* COPY of what holds values that are too long for records, and of what cannot be copied at all. */
#include "tests/resp/talk.h"

#include <stdlib.h>

#define BIG 100000u

/* Sends words, of which each '@' is a text of BIG bytes that ends in that letter; what is said to it. */
static const char *say(struct talk *t, const char *words, char letter)
{
    char *big = test_calloc(1, BIG);
    char head[64];
    char copy[256];
    size_t count = 1;

    memset(big, '-', BIG);
    big[BIG - 1] = letter;
    (void)snprintf(copy, sizeof copy, "%s", words);
    for (const char *p = words; *p != '\0'; p++) {
        count += *p == ' ';
    }
    (void)snprintf(head, sizeof head, "*%zu\r\n", count);
    talk_feed(t, 0, head, strlen(head));
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        bool is_big = strcmp(word, "@") == 0;
        size_t len = is_big ? BIG : strlen(word);

        (void)snprintf(head, sizeof head, "$%zu\r\n", len);
        talk_feed(t, 0, head, strlen(head));
        talk_feed(t, 0, is_big ? big : word, len);
        talk_feed(t, 0, "\r\n", 2);
    }
    test_free(big);
    talk_turn(t);
    return talk_heard(t, 0);
}

static void long_values_are_copied_with_the_rest(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i < 50; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "RPUSH l %d", i);
        (void)talk(t, 0, words);
        (void)snprintf(words, sizeof words, "HSET h f%d %d", i, i);
        (void)talk(t, 0, words);
        (void)snprintf(words, sizeof words, "SADD s m%d", i);
        (void)talk(t, 0, words);
        (void)snprintf(words, sizeof words, "ZADD z %d m%d", i, i);
        (void)talk(t, 0, words);
    }
    assert_string_equal(say(t, "LINSERT l BEFORE 20 @", 'a'), ":51\r\n");
    assert_string_equal(say(t, "HSET h long @", 'b'), ":1\r\n");
    assert_string_equal(say(t, "SADD s @", 'c'), ":1\r\n");
    assert_string_equal(say(t, "ZADD z 20.5 @", 'd'), ":1\r\n");
    assert_reply(t, 0, "PEXPIRE h 100000", ":1\r\n");
    assert_reply(t, 0, "HEXPIREAT h 2524600800 FIELDS 3 f7 f49 long", "*3\r\n:1\r\n:1\r\n:1\r\n");
    assert_reply(t, 0, "COPY l l2", ":1\r\n");
    assert_reply(t, 0, "COPY h h2 DB 3", ":1\r\n");
    assert_reply(t, 0, "COPY s s2", ":1\r\n");
    assert_reply(t, 0, "COPY z z2", ":1\r\n");
    assert_reply(t, 0, "COPY z s2", ":0\r\n");
    assert_reply(t, 0, "SET str old", "+OK\r\n");
    assert_reply(t, 0, "COPY s str REPLACE", ":1\r\n");
    assert_reply(t, 0, "SCARD str", ":51\r\n");
    /* Each is a key of its own. */
    assert_reply(t, 0, "DEL l h s z str", ":5\r\n");
    assert_reply(t, 0, "LLEN l2", ":51\r\n");
    assert_reply(t, 0, "LRANGE l2 19 19", "*1\r\n$2\r\n19\r\n");
    assert_reply(t, 0, "LRANGE l2 21 22", "*2\r\n$2\r\n20\r\n$2\r\n21\r\n");
    assert_string_equal(say(t, "LPOS l2 @", 'x'), "$-1\r\n");
    assert_string_equal(say(t, "LPOS l2 @", 'a'), ":20\r\n");
    assert_reply(t, 0, "SCARD s2", ":51\r\n");
    assert_string_equal(say(t, "SMISMEMBER s2 @ m0 m49 m50", 'c'),
                        "*4\r\n:1\r\n:1\r\n:1\r\n:0\r\n");
    assert_reply(t, 0, "ZCARD z2", ":51\r\n");
    assert_string_equal(say(t, "ZRANK z2 @", 'd'), ":21\r\n");
    assert_string_equal(say(t, "ZSCORE z2 @", 'd'), "$4\r\n20.5\r\n");
    assert_reply(t, 0, "EXISTS h2", ":0\r\n");
    assert_reply(t, 0, "SELECT 3", "+OK\r\n");
    assert_reply(t, 0, "HLEN h2", ":51\r\n");
    assert_reply(t, 0, "HSTRLEN h2 long", ":100000\r\n");
    assert_reply(t, 0, "HGET h2 f49", "$2\r\n49\r\n");
    assert_true(strtol(talk(t, 0, "PTTL h2") + 1, NULL, 10) > 0);
    assert_reply(t, 0, "HEXPIRETIME h2 FIELDS 4 f7 f8 f49 long",
                 "*4\r\n:2524600800\r\n:-1\r\n:2524600800\r\n:2524600800\r\n");
}

static void what_cannot_be_copied_says_why_and_stays(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XADD x 1-1 f v");
    (void)talk(t, 0, "XGROUP CREATE x g 0");
    assert_reply(t, 0, "COPY x y", ":1\r\n");
    assert_reply(t, 0, "OXBOW GROUP SET x g VISIBILITY 1000", "+OK\r\n");
    assert_reply(t, 0, "COPY x y REPLACE",
                 "-ERR a stream with priorities, or with a group that has options, cannot be "
                 "copied\r\n");
    assert_reply(t, 0, "XLEN y", ":1\r\n");
    assert_reply(t, 0, "COPY none y REPLACE", ":0\r\n");
    assert_reply(t, 0, "XLEN y", ":1\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(long_values_are_copied_with_the_rest),
        TEST(what_cannot_be_copied_says_why_and_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
