/* SPDX-License-Identifier: Apache-2.0 */
/* What OBJECT and MEMORY tell of keys; WAIT and WAITAOF. */
#include "tests/resp/talk.h"

#include <stdlib.h>

static void fill(struct talk *t, const char *command, unsigned from, unsigned to)
{
    char words[96];

    for (unsigned i = from; i < to; i++) {
        (void)snprintf(words, sizeof words, command, i, i);
        talk_send(t, 0, words);
    }
    talk_turn(t);
    assert_true(strchr(talk_heard(t, 0), '-') == NULL);
}

static void an_encoding_is_what_redis_would_choose_for_the_content(void **state)
{
    struct talk *t = *state;
    char words[256];

    (void)talk(t, 0, "MSET i 12 j 01 k -9223372036854775808 l 9223372036854775808");
    assert_reply(t, 0, "OBJECT ENCODING i", "$3\r\nint\r\n");
    assert_reply(t, 0, "OBJECT ENCODING j", "$6\r\nembstr\r\n");
    assert_reply(t, 0, "OBJECT ENCODING k", "$3\r\nint\r\n");
    assert_reply(t, 0, "OBJECT ENCODING l", "$6\r\nembstr\r\n");
    (void)snprintf(words, sizeof words, "SET s %0*d", 44, 0);
    (void)talk(t, 0, words);
    assert_reply(t, 0, "OBJECT ENCODING s", "$6\r\nembstr\r\n");
    (void)talk(t, 0, "APPEND s x");
    assert_reply(t, 0, "OBJECT ENCODING s", "$3\r\nraw\r\n");
    (void)talk(t, 0, "RPUSH list a");
    assert_reply(t, 0, "OBJECT ENCODING list", "$9\r\nquicklist\r\n");
    (void)talk(t, 0, "XADD stream 1-1 f v");
    assert_reply(t, 0, "object encoding stream", "$6\r\nstream\r\n");
    fill(t, "SADD set %u", 0, 512);
    assert_reply(t, 0, "OBJECT ENCODING set", "$6\r\nintset\r\n");
    (void)talk(t, 0, "SADD set 512");
    assert_reply(t, 0, "OBJECT ENCODING set", "$9\r\nhashtable\r\n");
    (void)talk(t, 0, "SADD other 1 x");
    assert_reply(t, 0, "OBJECT ENCODING other", "$9\r\nhashtable\r\n");
    fill(t, "HSET h %u v", 0, 512);
    assert_reply(t, 0, "OBJECT ENCODING h", "$8\r\nlistpack\r\n");
    (void)talk(t, 0, "HSET h x v");
    assert_reply(t, 0, "OBJECT ENCODING h", "$9\r\nhashtable\r\n");
    (void)snprintf(words, sizeof words, "HSET long f %0*d", 64, 0);
    (void)talk(t, 0, words);
    assert_reply(t, 0, "OBJECT ENCODING long", "$8\r\nlistpack\r\n");
    (void)snprintf(words, sizeof words, "HSET long f %0*d", 65, 0);
    (void)talk(t, 0, words);
    assert_reply(t, 0, "OBJECT ENCODING long", "$9\r\nhashtable\r\n");
    fill(t, "ZADD z %u %u", 0, 128);
    assert_reply(t, 0, "OBJECT ENCODING z", "$8\r\nlistpack\r\n");
    (void)talk(t, 0, "ZADD z 1 x");
    assert_reply(t, 0, "OBJECT ENCODING z", "$8\r\nskiplist\r\n");
    assert_reply(t, 0, "OBJECT ENCODING none", "$-1\r\n");
}

static void what_is_not_kept_of_a_key_is_said_plainly(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET k v");
    assert_reply(t, 0, "OBJECT REFCOUNT k", ":1\r\n");
    assert_reply(t, 0, "OBJECT REFCOUNT none", "$-1\r\n");
    assert_reply(t, 0, "OBJECT IDLETIME k", ":0\r\n");
    assert_reply(t, 0, "OBJECT IDLETIME none", "$-1\r\n");
    assert_memory_equal(talk(t, 0, "OBJECT FREQ k"), "-ERR An LFU maxmemory policy is not selected",
                        44);
    assert_reply(t, 0, "OBJECT FREQ none", "$-1\r\n");
    assert_memory_equal(talk(t, 0, "OBJECT HELP"), "*6\r\n+OBJECT <subcommand>", 22);
    assert_reply(t, 0, "OBJECT NO k", "-ERR unknown subcommand 'NO'. Try OBJECT HELP.\r\n");
    assert_reply(t, 0, "OBJECT ENCODING",
                 "-ERR wrong number of arguments for 'object|encoding' command\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "OBJECT REFCOUNT none", "_\r\n");
}

static long usage(struct talk *t, const char *words)
{
    const char *reply = talk(t, 0, words);

    assert_int_equal(reply[0], ':');
    return strtol(reply + 1, NULL, 10);
}

static void the_memory_of_a_key_grows_with_what_it_holds(void **state)
{
    static const struct {
        const char *small;
        const char *large;
        const char *key;
    } kinds[] = {
        {"SET s a", "SETRANGE s 1000 x", "s"},
        {"RPUSH l a", "LPUSH l 0123456789012345678901234567890123456789", "l"},
        {"XADD x * f v", "XADD x * f 0123456789012345678901234567890123456789", "x"},
        {"HSET h f v", "HSET h g 0123456789012345678901234567890123456789", "h"},
        {"SADD e a", "SADD e 0123456789012345678901234567890123456789", "e"},
        {"ZADD z 1 a", "ZADD z 2 0123456789012345678901234567890123456789", "z"},
    };
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char words[64];
        long before;

        (void)snprintf(words, sizeof words, "MEMORY USAGE %s SAMPLES 0", kinds[i].key);
        assert_reply(t, 0, words, "$-1\r\n");
        (void)talk(t, 0, kinds[i].small);
        before = usage(t, words);
        assert_true(before > 64);
        (void)talk(t, 0, kinds[i].large);
        assert_true(usage(t, words) >= before + 40);
    }
    fill(t, "HSET many %u 0123456789-%u", 0, 300);
    assert_in_range(usage(t, "MEMORY USAGE many"), 300 * 28, 300 * 36);
    assert_in_range(usage(t, "MEMORY USAGE many SAMPLES 0"), 300 * 30, 300 * 34);
    assert_reply(t, 0, "MEMORY USAGE s SAMPLES", "-ERR syntax error\r\n");
    assert_reply(t, 0, "MEMORY USAGE s SAMPLES -1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "MEMORY USAGE s SAMPLES x",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "MEMORY USAGE none NO 1", "-ERR syntax error\r\n");
}

static void memory_is_told_in_numbers_and_words(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MSET a 1 b 2");
    assert_memory_equal(talk(t, 0, "MEMORY STATS"), "*12\r\n$15\r\ntotal.allocated\r\n:", 28);
    assert_non_null(strstr(talk(t, 0, "MEMORY STATS"), "keys.count\r\n:2\r\n"));
    assert_reply(t, 0, "MEMORY PURGE", "+OK\r\n");
    assert_memory_equal(talk(t, 0, "MEMORY HELP"), "*7\r\n+MEMORY", 11);
    (void)talk(t, 0, "HELLO 3");
    assert_memory_equal(talk(t, 0, "MEMORY STATS"), "%6\r\n", 4);
    assert_memory_equal(talk(t, 0, "MEMORY DOCTOR"), "=", 1);
    assert_non_null(strstr(talk(t, 0, "MEMORY DOCTOR"), "txt:Nothing to be worried about"));
    assert_reply(t, 0, "MEMORY MALLOC-STATS",
                 "=49\r\ntxt:Stats not supported for the current allocator\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_encoding_is_what_redis_would_choose_for_the_content),
        TEST(what_is_not_kept_of_a_key_is_said_plainly),
        TEST(the_memory_of_a_key_grows_with_what_it_holds),
        TEST(memory_is_told_in_numbers_and_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
