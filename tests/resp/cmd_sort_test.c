/* SPDX-License-Identifier: Apache-2.0 */
/* SORT and SORT_RO, reply by reply. */
#include "tests/resp/talk.h"

static void elements_are_sorted_by_number_or_as_text(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH l 3 1 2.5 10 -inf");
    assert_reply(t, 0, "SORT l",
                 "*5\r\n$4\r\n-inf\r\n$1\r\n1\r\n$3\r\n2.5\r\n$1\r\n3\r\n$2\r\n10\r\n");
    assert_reply(t, 0, "SORT l DESC LIMIT 0 2", "*2\r\n$2\r\n10\r\n$1\r\n3\r\n");
    assert_reply(t, 0, "SORT l ALPHA LIMIT 1 2", "*2\r\n$1\r\n1\r\n$2\r\n10\r\n");
    assert_reply(t, 0, "SORT_RO l asc limit -3 1", "*1\r\n$4\r\n-inf\r\n");
    assert_reply(t, 0, "SORT l LIMIT 4 -1", "*1\r\n$2\r\n10\r\n");
    assert_reply(t, 0, "SORT l LIMIT 9 5", "*0\r\n");
    assert_reply(t, 0, "SORT l LIMIT 1 0", "*0\r\n");
    assert_reply(t, 0, "SORT none", "*0\r\n");
    (void)talk(t, 0, "ZADD z 1 b 2 a 3 c");
    assert_reply(t, 0, "SORT z", "-ERR One or more scores can't be converted into double\r\n");
    assert_reply(t, 0, "SORT z ALPHA DESC", "*3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n");
    assert_reply(t, 0, "SORT z BY nosort", "*3\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "SORT z BY nosort DESC LIMIT 0 1", "*1\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "SORT l BY nosort DESC LIMIT 0 1", "*1\r\n$4\r\n-inf\r\n");
    (void)talk(t, 0, "SADD s 1e999");
    assert_reply(t, 0, "SORT s", "-ERR One or more scores can't be converted into double\r\n");
    (void)talk(t, 0, "DEL s");
    (void)talk(t, 0, "SADD s nan");
    assert_reply(t, 0, "SORT s", "-ERR One or more scores can't be converted into double\r\n");
    (void)talk(t, 0, "SET str v");
    assert_memory_equal(talk(t, 0, "SORT str"), "-WRONGTYPE ", 11);
}

static void patterns_name_weights_and_what_is_given(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH l 1 2 3");
    (void)talk(t, 0, "MSET w1 30 w2 20 w3 10 t1 b t3 a");
    (void)talk(t, 0, "HSET h2 f x");
    assert_reply(t, 0, "SORT l BY w*", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "SORT l BY t* ALPHA", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "SORT l GET # GET w* LIMIT 0 2",
                 "*4\r\n$1\r\n1\r\n$2\r\n30\r\n$1\r\n2\r\n$2\r\n20\r\n");
    assert_reply(t, 0, "SORT l GET h*->f", "*3\r\n$-1\r\n$1\r\nx\r\n$-1\r\n");
    assert_reply(t, 0, "SORT l GET h*->", "*3\r\n$-1\r\n$-1\r\n$-1\r\n"); /* the key "h1->" */
    assert_reply(t, 0, "SORT l GET h* LIMIT 1 1", "*1\r\n$-1\r\n");       /* a hash is no value */
    assert_reply(t, 0, "SORT l GET w1 LIMIT 0 1", "*1\r\n$-1\r\n");       /* no * */
    assert_reply(t, 0, "SORT l BY t*",
                 "-ERR One or more scores can't be converted into double\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "SORT l GET h*->f", "*3\r\n_\r\n$1\r\nx\r\n_\r\n");
}

static void what_is_sorted_can_be_kept(void **state)
{
    struct talk *t = *state;
    char words[64];

    (void)talk(t, 0, "RPUSH l 2 1");
    (void)talk(t, 0, "SET d old");
    (void)talk(t, 0, "EXPIRE d 100");
    assert_reply(t, 0, "SORT l STORE d", ":2\r\n");
    assert_reply(t, 0, "LRANGE d 0 -1", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "TTL d", ":-1\r\n");
    assert_reply(t, 0, "SORT l GET # GET none* STORE l", ":4\r\n");
    assert_reply(t, 0, "LRANGE l 0 -1", "*4\r\n$1\r\n1\r\n$0\r\n\r\n$1\r\n2\r\n$0\r\n\r\n");
    (void)talk(t, 0, "DEL l");
    (void)talk(t, 0, "RPUSH l 1");
    (void)talk(t, 0, "SET k1 v");
    assert_reply(t, 0, "SORT l GET k* GET k* STORE k1", ":2\r\n"); /* both are what it was */
    assert_reply(t, 0, "LRANGE k1 0 -1", "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_reply(t, 0, "SORT none STORE k1", ":0\r\n");
    assert_reply(t, 0, "EXISTS k1", ":0\r\n");
    (void)talk(t, 0, "DEL l");
    for (int i = 200; i > 0; i--) {
        (void)snprintf(words, sizeof words, "RPUSH l %d", i);
        talk_send(t, 0, words);
    }
    talk_turn(t);
    (void)talk_heard(t, 0);
    assert_reply(t, 0, "SORT l GET # STORE d", ":200\r\n");
    assert_reply(t, 0, "LINDEX d 199", "$3\r\n200\r\n");
    assert_reply(t, 0, "LINDEX d 64", "$2\r\n65\r\n");
    assert_reply(t, 0, "SADD s b a c", ":3\r\n");
    assert_reply(t, 0, "SORT s BY nosort STORE d", ":3\r\n");
    assert_reply(t, 0, "LRANGE d 0 -1", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
}

static void who_waits_for_the_list_that_is_kept_is_served(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "RPUSH l 2 1");
    assert_reply(t, 1, "BLPOP d 0", "");
    assert_reply(t, 0, "SORT l STORE d", ":2\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nd\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "LRANGE d 0 -1", "*1\r\n$1\r\n2\r\n");
}

static void words_that_make_no_sense_are_refused(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH l 2 1");
    assert_reply(t, 0, "SORT l BY", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT l GET", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT l STORE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT l LIMIT 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT l LIMIT 1 x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "SORT l no", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT_RO l STORE d", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SORT", "-ERR wrong number of arguments for 'sort' command\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS SORT l BY w* STORE a STORE b",
                 "*2\r\n$1\r\nl\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS SORT l LIMIT 0 STORE b", "*1\r\n$1\r\nl\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS SORT_RO l STORE b", "*1\r\n$1\r\nl\r\n");
}

static void patterns_are_for_who_may_read_all_keys(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH l 2 1");
    (void)talk(t, 0, "ACL SETUSER u on nopass +@all ~l ~d");
    (void)talk(t, 0, "ACL SETUSER r on nopass +@all %R~* ~d");
    (void)talk(t, 0, "AUTH u x");
    assert_reply(t, 0, "SORT l STORE d", ":2\r\n");
    assert_memory_equal(talk(t, 0, "SORT l STORE other"), "-NOPERM ", 8);
    assert_reply(t, 0, "SORT l BY nosort", "*2\r\n$1\r\n2\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "SORT l BY w*",
                 "-ERR BY option of SORT denied due to insufficient ACL permissions\r\n");
    assert_reply(t, 0, "SORT_RO l GET #",
                 "-ERR GET option of SORT denied due to insufficient ACL permissions\r\n");
    (void)talk(t, 0, "AUTH r x");
    assert_reply(t, 0, "SORT l GET # STORE d", ":2\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(elements_are_sorted_by_number_or_as_text),
        TEST(patterns_name_weights_and_what_is_given),
        TEST(what_is_sorted_can_be_kept),
        TEST(who_waits_for_the_list_that_is_kept_is_served),
        TEST(words_that_make_no_sense_are_refused),
        TEST(patterns_are_for_who_may_read_all_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
