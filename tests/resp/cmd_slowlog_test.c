/* SPDX-License-Identifier: Apache-2.0 */
/* What is noted of commands that took long. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <stdlib.h>

/* Whether the next command is noted does not depend on how quick this machine is: all are. */
static void note_all(struct talk *t)
{
    assert_reply(t, 0, "CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    assert_reply(t, 0, "SLOWLOG RESET", "+OK\r\n");
}

static void commands_are_noted_newest_first(void **state)
{
    struct talk *t = *state;
    const char *got;

    (void)talk(t, 0, "CLIENT SETNAME me");
    note_all(t);
    assert_reply(t, 0, "SLOWLOG LEN", ":1\r\n"); /* RESET itself came after */
    (void)talk(t, 0, "SET k v");
    got = talk(t, 0, "SLOWLOG GET 1");
    assert_memory_equal(got, "*1\r\n*6\r\n:", 9);
    assert_non_null(
        strstr(got, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$6\r\ntest:1\r\n$2\r\nme\r\n"));
    assert_memory_equal(talk(t, 0, "SLOWLOG GET 0"), "*0\r\n", 4);
    assert_memory_equal(talk(t, 0, "SLOWLOG GET -1"), "*5\r\n", 4);
    assert_reply(t, 0, "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n");
    assert_reply(t, 0, "SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n");
    assert_reply(
        t, 0, "SLOWLOG GET 1 2",
        "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n");
    assert_memory_equal(talk(t, 0, "SLOWLOG HELP"), "*5\r\n+SLOWLOG", 12);
}

static void the_log_has_an_end_and_can_be_off(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG GET slowlog-*",
                 "*4\r\n$23\r\nslowlog-log-slower-than\r\n$5\r\n10000\r\n$15\r\nslowlog-max-len\r\n"
                 "$3\r\n128\r\n");
    note_all(t);
    assert_reply(t, 0, "CONFIG SET slowlog-max-len 2", "+OK\r\n");
    for (int i = 0; i < 5; i++) {
        (void)talk(t, 0, "PING");
    }
    assert_reply(t, 0, "SLOWLOG LEN", ":2\r\n");
    assert_reply(t, 0, "CONFIG SET slowlog-max-len 0", "+OK\r\n");
    assert_reply(t, 0, "SLOWLOG LEN", ":0\r\n");
    assert_reply(t, 0, "CONFIG SET slowlog-max-len 10", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET slowlog-log-slower-than -1", "+OK\r\n");
    assert_reply(t, 0, "SLOWLOG RESET", "+OK\r\n");
    (void)talk(t, 0, "PING");
    assert_reply(t, 0, "SLOWLOG LEN", ":0\r\n");
    assert_reply(t, 0, "CONFIG SET slowlog-log-slower-than 3600000000", "+OK\r\n");
    (void)talk(t, 0, "PING");
    assert_reply(t, 0, "SLOWLOG LEN", ":0\r\n");
    assert_memory_equal(talk(t, 0, "CONFIG SET slowlog-log-slower-than -2"), "-ERR ", 5);
    assert_memory_equal(talk(t, 0, "CONFIG SET slowlog-max-len -1"), "-ERR ", 5);
    assert_memory_equal(talk(t, 0, "CONFIG SET slowlog-max-len x"), "-ERR ", 5);
}

static void passwords_are_hidden_and_what_is_long_is_cut(void **state)
{
    static const struct {
        const char *said;
        const char *noted;
    } cases[] = {
        {"AUTH secret", "*2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n"},
        {"HELLO 2 AUTH default secret", "*5\r\n$5\r\nHELLO\r\n$1\r\n2\r\n$4\r\nAUTH\r\n$10\r\n("
                                        "redacted)\r\n$10\r\n(redacted)\r\n"},
        {"ACL SETUSER someone >secret",
         "*4\r\n$3\r\nACL\r\n$7\r\nSETUSER\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)\r\n"},
        {"CONFIG SET maxclients 50 requirepass secret",
         "$10\r\nmaxclients\r\n$2\r\n50\r\n$11\r\nrequirepass\r\n$10\r\n(redacted)\r\n"},
    };
    struct talk *t = *state;
    char words[1024];
    size_t len;

    note_all(t);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got;

        (void)talk(t, 0, cases[i].said);
        got = talk(t, 0, "SLOWLOG GET 1");
        assert_non_null(strstr(got, cases[i].noted));
        assert_null(strstr(talk(t, 0, "SLOWLOG GET -1"), "secret"));
    }
    (void)snprintf(words, sizeof words, "ECHO %0*d", 200, 0);
    (void)talk(t, 0, words);
    assert_non_null(strstr(talk(t, 0, "SLOWLOG GET 1"), "... (72 more bytes)"));
    (void)snprintf(words, sizeof words, "ECHO %0*d", 128, 0);
    (void)talk(t, 0, words);
    assert_null(strstr(talk(t, 0, "SLOWLOG GET 1"), "more bytes"));
    len = (size_t)snprintf(words, sizeof words, "DEL");
    for (int i = 0; i < 31; i++) {
        len += (size_t)snprintf(words + len, sizeof words - len, " k%d", i);
    }
    (void)talk(t, 0, words);
    assert_non_null(strstr(talk(t, 0, "SLOWLOG GET 1"), "*32\r\n$3\r\nDEL"));
    assert_null(strstr(talk(t, 0, "SLOWLOG GET 2"), "more arguments"));
    (void)snprintf(words + len, sizeof words - len, " more");
    (void)talk(t, 0, words);
    assert_non_null(strstr(talk(t, 0, "SLOWLOG GET 1"), "... (2 more arguments)"));
}

static void commands_of_a_transaction_are_noted_one_by_one(void **state)
{
    struct talk *t = *state;

    note_all(t);
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SET a 1");
    (void)talk(t, 0, "EXEC");
    assert_non_null(strstr(talk(t, 0, "SLOWLOG GET 1"), "$3\r\nSET\r\n"));
    assert_null(strstr(talk(t, 0, "SLOWLOG GET -1"), "EXEC"));
}

static void who_waits_is_no_slow_command(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    note_all(t);
    assert_reply(t, 1, "BLPOP l 0", "");
    (void)talk(t, 0, "RPUSH l a");
    assert_null(strstr(talk(t, 0, "SLOWLOG GET -1"), "BLPOP"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_noted_newest_first),
        TEST(the_log_has_an_end_and_can_be_off),
        TEST(passwords_are_hidden_and_what_is_long_is_cut),
        TEST(commands_of_a_transaction_are_noted_one_by_one),
        TEST(who_waits_is_no_slow_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
