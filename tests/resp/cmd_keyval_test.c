/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, sets and sorted sets, reply by reply. */
#include "tests/resp/talk.h"

static void a_hash_can_be_worked_on_in_every_way(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "HSET h a 1 b 2", ":2\r\n");
    assert_reply(t, 0, "HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command\r\n");
    assert_reply(t, 0, "HMSET h c 3", "+OK\r\n");
    assert_reply(t, 0, "HSETNX h c 4", ":0\r\n");
    assert_reply(t, 0, "HSETNX h d x", ":1\r\n");
    assert_reply(t, 0, "HGET h c", "$1\r\n3\r\n");
    assert_reply(t, 0, "HGET h none", "$-1\r\n");
    assert_reply(t, 0, "HMGET h a none d", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HEXISTS h a", ":1\r\n");
    assert_reply(t, 0, "HLEN h", ":4\r\n");
    assert_reply(t, 0, "HSTRLEN h d", ":1\r\n");
    assert_reply(t, 0, "HINCRBY h a 41", ":42\r\n");
    assert_reply(t, 0, "HINCRBY h d 1", "-ERR hash value is not an integer\r\n");
    assert_reply(t, 0, "HINCRBY h a x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "HINCRBY h a 9223372036854775807",
                 "-ERR increment or decrement would overflow\r\n");
    assert_reply(t, 0, "HSCAN h 0 MATCH d", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nd\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HDEL h a b c none", ":3\r\n");
    assert_reply(t, 0, "HGETALL h", "*2\r\n$1\r\nd\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HRANDFIELD h 1 WITHVALUES", "*2\r\n$1\r\nd\r\n$1\r\nx\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "HGETALL h", "%1\r\n$1\r\nd\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HRANDFIELD h 1 WITHVALUES", "*1\r\n*2\r\n$1\r\nd\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HKEYS h", "*1\r\n$1\r\nd\r\n");
    assert_reply(t, 0, "HVALS h", "*1\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "HDEL h d", ":1\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
    (void)talk(t, 0, "SET s v");
    assert_memory_equal(talk(t, 0, "HGET s a"), "-WRONGTYPE ", 11);
}

static void a_set_can_be_worked_on_in_every_way(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "SADD s a b a", ":2\r\n");
    assert_reply(t, 0, "SADD r b c", ":2\r\n");
    assert_reply(t, 0, "SCARD s", ":2\r\n");
    assert_reply(t, 0, "SISMEMBER s a", ":1\r\n");
    assert_reply(t, 0, "SMISMEMBER s a x b", "*3\r\n:1\r\n:0\r\n:1\r\n");
    assert_reply(t, 0, "SINTER s r", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "SDIFF s r", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "SUNIONSTORE u s r", ":3\r\n");
    assert_reply(t, 0, "SINTERCARD 2 s u LIMIT 1", ":1\r\n");
    assert_reply(t, 0, "SINTERCARD 0 s", "-ERR numkeys should be greater than 0\r\n");
    assert_reply(t, 0, "SINTERCARD 3 s u",
                 "-ERR Number of keys can't be greater than number of args\r\n");
    assert_reply(t, 0, "SINTERSTORE u s none", ":0\r\n");
    assert_reply(t, 0, "EXISTS u", ":0\r\n");
    assert_reply(t, 0, "SMOVE s r a", ":1\r\n");
    assert_reply(t, 0, "SMOVE s r a", ":0\r\n");
    assert_reply(t, 0, "SREM s b none", ":1\r\n");
    assert_reply(t, 0, "EXISTS s", ":0\r\n");
    assert_reply(t, 0, "SREM r a c", ":2\r\n");
    assert_reply(t, 0, "SSCAN r 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "SRANDMEMBER r -2", "*2\r\n$1\r\nb\r\n$1\r\nb\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "SMEMBERS r", "~1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "SPOP r", "$1\r\nb\r\n");
    assert_reply(t, 0, "SPOP r", "_\r\n");
    assert_reply(t, 0, "SPOP r -1", "-ERR value is out of range, must be positive\r\n");
}

static void a_sorted_set_can_be_worked_on_in_every_way(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ZADD z 1 a 2.5 b inf c", ":3\r\n");
    assert_reply(t, 0, "ZADD z XX CH 3 a 2.5 b", ":1\r\n");
    assert_reply(t, 0, "ZADD z NX 9 a", ":0\r\n");
    assert_reply(t, 0, "ZADD z INCR -1 a", "$1\r\n2\r\n");
    assert_reply(t, 0, "ZADD z GT INCR -1 a", "$-1\r\n");
    assert_reply(t, 0, "ZADD z NX XX 1 a",
                 "-ERR XX and NX options at the same time are not compatible\r\n");
    assert_reply(t, 0, "ZADD z GT LT 1 a",
                 "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n");
    assert_reply(t, 0, "ZADD z INCR 1 a 2 b",
                 "-ERR INCR option supports a single increment-element pair\r\n");
    assert_reply(t, 0, "ZADD z x a", "-ERR value is not a valid float\r\n");
    assert_reply(t, 0, "ZADD z 1 a 2", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZINCRBY z -inf c", "-ERR resulting score is not a number (NaN)\r\n");
    assert_reply(t, 0, "ZSCORE z b", "$3\r\n2.5\r\n");
    assert_reply(t, 0, "ZMSCORE z c none", "*2\r\n$3\r\ninf\r\n$-1\r\n");
    assert_reply(t, 0, "ZRANK z c", ":2\r\n");
    assert_reply(t, 0, "ZREVRANK z c", ":0\r\n");
    assert_reply(t, 0, "ZRANK z none", "$-1\r\n");
    assert_reply(t, 0, "ZCOUNT z (2 +inf", ":2\r\n");
    assert_reply(t, 0, "ZCOUNT z x 1", "-ERR min or max is not a float\r\n");
    assert_reply(t, 0, "ZRANGE z 0 -1 WITHSCORES",
                 "*6\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n$3\r\n2.5\r\n$1\r\nc\r\n$3\r\ninf\r\n");
    assert_reply(t, 0, "ZRANGE z +inf (2 BYSCORE REV LIMIT 1 1", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "ZREVRANGEBYSCORE z 5 0 LIMIT 0 10", "*2\r\n$1\r\nb\r\n$1\r\na\r\n");
    assert_reply(t, 0, "ZRANGE z 0 1 LIMIT 0 1",
                 "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                 "BYLEX\r\n");
    assert_reply(t, 0, "ZREVRANGE z 0 0", "*1\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "ZREMRANGEBYSCORE z 2 2", ":1\r\n");
    assert_reply(t, 0, "ZREMRANGEBYRANK z 0 0", ":1\r\n");
    assert_reply(t, 0, "ZREM z c none", ":1\r\n");
    assert_reply(t, 0, "EXISTS z", ":0\r\n");
    (void)talk(t, 0, "ZADD z 0 a 0 b 0 c");
    assert_reply(t, 0, "ZRANGEBYLEX z [b +", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "ZLEXCOUNT z - (b", ":1\r\n");
    assert_reply(t, 0, "ZLEXCOUNT z b c", "-ERR min or max not valid string range item\r\n");
    assert_reply(t, 0, "ZPOPMIN z", "*2\r\n$1\r\na\r\n$1\r\n0\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "ZPOPMAX z 1", "*1\r\n*2\r\n$1\r\nc\r\n,0\r\n");
    assert_reply(t, 0, "ZSCORE z b", ",0\r\n");
}

static void who_waits_for_a_sorted_set_is_given_its_lowest(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "BZPOPMIN z 0", "");
    assert_reply(t, 2, "BZPOPMAX other z 0.5", "");
    assert_reply(t, 0, "ZADD z 5 a 1 b 7 c", ":3\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$1\r\nz\r\n$1\r\nb\r\n$1\r\n1\r\n");
    assert_string_equal(talk_heard(t, 2), "*3\r\n$1\r\nz\r\n$1\r\nc\r\n$1\r\n7\r\n");
    assert_reply(t, 0, "ZCARD z", ":1\r\n");
}

static void members_of_a_sorted_set_are_drawn_by_chance(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "ZADD z 1.5 a");
    assert_reply(t, 0, "ZRANDMEMBER z", "$1\r\na\r\n");
    assert_reply(t, 0, "ZRANDMEMBER none", "$-1\r\n");
    assert_reply(t, 0, "ZRANDMEMBER none 2", "*0\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z 5", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z -2 WITHSCORES",
                 "*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\na\r\n$3\r\n1.5\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z 9223372036854775807", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z -9223372036854775808",
                 "-ERR value is out of range, value must between -9223372036854775807 and "
                 "9223372036854775807\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z -4611686018427387905 WITHSCORES",
                 "-ERR value is out of range\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z 9223372036854775807 WITHSCORES",
                 "-ERR value is out of range\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z -16777217", "-ERR value is out of range\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z 1 no", "-ERR syntax error\r\n");
    assert_reply(t, 0, "ZRANDMEMBER z 1 WITHSCORES x", "-ERR syntax error\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "ZRANDMEMBER z 1 WITHSCORES", "*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n");
    (void)talk(t, 0, "SET s v");
    assert_memory_equal(talk(t, 0, "ZRANDMEMBER s"), "-WRONGTYPE ", 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hash_can_be_worked_on_in_every_way),
        TEST(a_set_can_be_worked_on_in_every_way),
        TEST(a_sorted_set_can_be_worked_on_in_every_way),
        TEST(members_of_a_sorted_set_are_drawn_by_chance),
        TEST(who_waits_for_a_sorted_set_is_given_its_lowest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
