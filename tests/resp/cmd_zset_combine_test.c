/* SPDX-License-Identifier: Apache-2.0 */
/* Several sorted sets as one, reply by reply. */
#include "tests/resp/talk.h"

static void sorted_sets_are_combined(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "ZADD a 1 x 2 y");
    (void)talk(t, 0, "ZADD b 10 y 20 z");
    (void)talk(t, 0, "SADD s x");
    assert_reply(t, 0, "ZUNION 2 a b", "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
    assert_reply(t, 0, "ZINTER 2 a b WITHSCORES", "*2\r\n$1\r\ny\r\n$2\r\n12\r\n");
    assert_reply(t, 0, "ZINTER 2 a b WEIGHTS 3 1 AGGREGATE MIN WITHSCORES",
                 "*2\r\n$1\r\ny\r\n$1\r\n6\r\n");
    assert_reply(t, 0, "ZDIFF 2 a s", "*1\r\n$1\r\ny\r\n");
    assert_reply(t, 0, "ZUNIONSTORE u 2 a b AGGREGATE MAX", ":3\r\n");
    assert_reply(t, 0, "ZSCORE u y", "$2\r\n10\r\n");
    assert_reply(t, 0, "ZINTERSTORE u 2 a none", ":0\r\n");
    assert_reply(t, 0, "EXISTS u", ":0\r\n");
    assert_reply(t, 0, "ZDIFFSTORE u 2 a b", ":1\r\n");
    assert_reply(t, 0, "ZINTERCARD 2 a b LIMIT 5", ":1\r\n");
    assert_reply(t, 0, "ZRANGESTORE u a 0 0", ":1\r\n");
    assert_reply(t, 0, "ZRANGESTORE u a 9 9 BYSCORE", ":0\r\n");
    assert_reply(t, 0, "ZRANGESTORE u a 0 0 WITHSCORES", "-ERR syntax error\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "ZUNION 1 a WITHSCORES",
                 "*2\r\n*2\r\n$1\r\nx\r\n,1\r\n*2\r\n$1\r\ny\r\n,2\r\n");
}

static void what_is_too_much_for_a_transaction_has_not_happened(void **state)
{
    static const char *const all[] = {"SUNIONSTORE d s", "SDIFFSTORE d s", "ZUNIONSTORE d 1 z",
                                      "ZRANGESTORE d z 0 -1", "SORT l ALPHA STORE d"};
    static const char big[] =
        "-ERR this changes more than one transaction may hold, and nothing was "
        "done: ask for less at a time\r\n";
    struct talk *t = *state;
    char words[200];

    for (int i = 0; i < 3000; i++) {
        (void)snprintf(words, sizeof words, "SADD s member:%04d", i);
        (void)talk(t, 0, words);
        (void)snprintf(words, sizeof words, "ZADD z %d member:%04d", i, i);
        (void)talk(t, 0, words);
        (void)snprintf(words, sizeof words, "RPUSH l %0150d", i);
        (void)talk(t, 0, words);
    }
    assert_reply(t, 0, "SADD d what was there", ":3\r\n");
    t->store.txn_bytes = 256 << 10;
    talk_again(t);
    talk_connect(t, 0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_reply(t, 0, all[i], big);
        assert_reply(t, 0, "SCARD d", ":3\r\n");
    }
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "DEL d");
    (void)talk(t, 0, "SUNIONSTORE d s");
    assert_reply(t, 0, "EXEC", big);
    assert_reply(t, 0, "SMISMEMBER d what was there", "*3\r\n:1\r\n:1\r\n:1\r\n");
    assert_reply(t, 0, "ZREMRANGEBYRANK z 1 -2", ":2998\r\n");
    assert_reply(t, 0, "ZRANGE z 0 -1", "*2\r\n$11\r\nmember:0000\r\n$11\r\nmember:2999\r\n");
}

/* As redis-server 7.0.15 answers. */
static void what_is_no_number_counts_as_0_where_redis_has_it_so(void **state)
{
    static const char nothing[] = "*2\r\n$1\r\nm\r\n$1\r\n0\r\n";
    static const char below_all[] = "*2\r\n$1\r\nm\r\n$4\r\n-inf\r\n";
    struct talk *t = *state;

    (void)talk(t, 0, "ZADD a 0 m");
    (void)talk(t, 0, "ZADD b -inf m");
    assert_reply(t, 0, "ZINTER 2 b a WEIGHTS 2 inf WITHSCORES", nothing);
    assert_reply(t, 0, "ZINTER 2 a b WEIGHTS inf 2 WITHSCORES", below_all);
    assert_reply(t, 0, "ZINTER 2 b a WEIGHTS 2 inf AGGREGATE MAX WITHSCORES", below_all);
    assert_reply(t, 0, "ZUNION 2 b a WEIGHTS 2 inf WITHSCORES", below_all);
}

static void what_is_wrong_is_told_in_redis_words(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "ZADD a 1 x");
    (void)talk(t, 0, "SET str v");
    assert_reply(t, 0, "ZUNION 0 a",
                 "-ERR at least 1 input key is needed for 'zunion' command\r\n");
    assert_reply(t, 0, "ZUNION x a", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "ZUNION 2 a", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float\r\n");
    assert_reply(t, 0, "ZUNION 1 a AGGREGATE avg", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZDIFF 1 a WEIGHTS 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZUNIONSTORE u 1 a WITHSCORES", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative\r\n");
    assert_memory_equal(talk(t, 0, "ZUNION 2 a str nonsense"), "-WRONGTYPE ", 11);
}

static void members_are_taken_off_the_first_that_has_any(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "ZADD z 1 a 2 b 3 c");
    assert_reply(t, 0, "ZMPOP 2 none z MIN COUNT 2",
                 "*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "ZMPOP 1 z MAX", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    assert_reply(t, 0, "ZMPOP 1 z MAX", "*-1\r\n");
    assert_reply(t, 0, "ZMPOP 0 z MAX", "-ERR numkeys should be greater than 0\r\n");
    assert_reply(t, 0, "ZMPOP 1 z SOME", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZMPOP 1 z MIN COUNT 0", "-ERR count should be greater than 0\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "BZMPOP 0 2 other z MAX COUNT 5", "");
    assert_reply(t, 0, "ZADD z 1 a", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sorted_sets_are_combined),
        TEST(what_is_too_much_for_a_transaction_has_not_happened),
        TEST(what_is_no_number_counts_as_0_where_redis_has_it_so),
        TEST(what_is_wrong_is_told_in_redis_words),
        TEST(members_are_taken_off_the_first_that_has_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
