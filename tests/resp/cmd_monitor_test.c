/* SPDX-License-Identifier: Apache-2.0 */
/* MONITOR: what is shown of others' commands, and what is not. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

/* Whether the next line, after its time, is `want`; then goes behind it. */
static void expect_line(const char **got, const char *want)
{
    const char *bracket = strchr(*got, '[');

    assert_int_equal((*got)[0], '+');
    assert_non_null(bracket);
    assert_int_equal(strspn(*got + 1, "0123456789."), (size_t)(bracket - *got) - 2);
    assert_memory_equal(bracket, want, strlen(want));
    assert_memory_equal(bracket + strlen(want), "\r\n", 2);
    *got = bracket + strlen(want) + 2;
}

static void commands_of_all_are_shown(void **state)
{
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    assert_reply(t, 1, "MONITOR", "+OK\r\n");
    assert_reply(t, 1, "MONITOR", "");
    (void)talk(t, 0, "set k v");
    (void)talk(t, 0, "SELECT 3");
    (void)talk(t, 0, "GET none");
    (void)talk(t, 0, "HSET k");       /* is refused as such: not shown */
    (void)talk(t, 0, "NOSUCH");       /* likewise */
    (void)talk(t, 0, "CONFIG GET *"); /* administrators' */
    (void)talk(t, 0, "INCRBY none x");
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"set\" \"k\" \"v\"");
    expect_line(&got, "[3 test:1] \"SELECT\" \"3\"");
    expect_line(&got, "[3 test:1] \"GET\" \"none\"");
    expect_line(&got, "[3 test:1] \"INCRBY\" \"none\" \"x\"");
    assert_string_equal(got, "");
    assert_reply(t, 1, "RESET", "+RESET\r\n");
    (void)talk(t, 0, "PING");
    assert_string_equal(talk_heard(t, 1), "");
}

static void a_transaction_is_shown_when_it_is_carried_out(void **state)
{
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    (void)talk(t, 1, "MONITOR");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SET a 1");
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"MULTI\"");
    assert_string_equal(got, "");
    (void)talk(t, 0, "EXEC");
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"SET\" \"a\" \"1\"");
    expect_line(&got, "[0 test:1] \"EXEC\"");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "MONITOR");
    assert_reply(t, 0, "EXEC", "*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
}

static void an_end_is_not_shown(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 1, "MONITOR", "+OK\r\n");
    assert_reply(t, 0, "QUIT", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
}

static void who_waits_is_shown_once(void **state)
{
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    talk_connect(t, 2);
    (void)talk(t, 1, "MONITOR");
    (void)talk(t, 2, "BLPOP l 0");
    (void)talk(t, 0, "RPUSH l a");
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"BLPOP\" \"l\" \"0\"");
    expect_line(&got, "[0 test:1] \"RPUSH\" \"l\" \"a\"");
    assert_string_equal(got, "");
}

static void passwords_are_hidden_and_bytes_are_spelled(void **state)
{
    static const char odd[] = "*2\r\n$4\r\nECHO\r\n$11\r\n\0\x01\xff\n\r\t\a\b\\\"x\r\n";
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    (void)talk(t, 1, "HELLO 3");
    assert_reply(t, 1, "MONITOR", "+OK\r\n");
    (void)talk(t, 0, "AUTH user secret");
    (void)talk(t, 0, "HELLO 2 AUTH default secret");
    talk_feed(t, 0, odd, sizeof odd - 1);
    talk_turn(t);
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"AUTH\" \"(redacted)\" \"(redacted)\"");
    expect_line(&got, "[0 test:1] \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\"");
    expect_line(&got, "[0 test:1] \"ECHO\" \"\\x00\\x01\\xff\\n\\r\\t\\a\\b\\\\\\\"x\"");
}

static void who_monitors_does_nothing_else_with_keys(void **state)
{
    struct talk *t = *state;
    const char *got;

    (void)talk(t, 0, "MONITOR");
    assert_reply(t, 0, "GET k", "-ERR Replica can't interact with the keyspace\r\n");
    assert_reply(t, 0, "SET k v", "-ERR Replica can't interact with the keyspace\r\n");
    assert_non_null(strstr(talk(t, 0, "CLIENT LIST"), "flags=O "));
    got = talk(t, 0, "PING");
    assert_memory_equal(got, "+PONG\r\n", 7);
    got += 7;
    expect_line(&got, "[0 test:1] \"PING\"");
    talk_hang_up(t, 0);
    talk_connect(t, 1);
    assert_reply(t, 1, "SET k v", "+OK\r\n");
}

/* What is shown of a command is as safe as its reply. */
static void a_line_leaves_when_the_reply_does(void **state)
{
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    (void)talk(t, 1, "MONITOR");
    talk_send(t, 0, "SET k v");
    oxbow_resp_turn(t->server);
    if (t->clients[0]->gate_count > 0) { /* unless the device was quicker */
        assert_int_equal(t->clients[1]->gate_count, 1);
        assert_int_equal(t->clients[1]->gates[0].lsn, t->clients[0]->gates[0].lsn);
    }
    talk_turn(t);
    got = talk_heard(t, 1);
    expect_line(&got, "[0 test:1] \"SET\" \"k\" \"v\"");
}

static void a_very_long_line_is_cut(void **state)
{
    const size_t len = 2u << 20;
    struct talk *t = *state;
    char *big = test_calloc(1, len);
    char head[64];
    size_t heard = 0;
    struct oxbow_bytes part;
    char last[6] = "";

    talk_connect(t, 1);
    (void)talk(t, 1, "MONITOR");
    memset(big, 'x', len);
    (void)snprintf(head, sizeof head, "*2\r\n$6\r\nSTRLEN\r\n$%zu\r\n", len);
    talk_feed(t, 0, head, strlen(head));
    talk_feed(t, 0, big, len);
    talk_feed(t, 0, "\r\n", 2);
    talk_turn(t);
    while ((part = oxbow_resp_client_peek(t->clients[1])).len > 0) {
        heard += part.len;
        if (part.len >= 6) {
            memcpy(last, (const char *)part.data + part.len - 6, 6);
        }
        oxbow_resp_client_sent(t->clients[1], part.len);
    }
    assert_in_range(heard, (1u << 20) - 64, (1u << 20) + 64);
    assert_memory_equal(last, " ...\r\n", 6);
    test_free(big);
    (void)talk_heard(t, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_of_all_are_shown),
        TEST(a_transaction_is_shown_when_it_is_carried_out),
        TEST(an_end_is_not_shown),
        TEST(who_waits_is_shown_once),
        TEST(passwords_are_hidden_and_bytes_are_spelled),
        TEST(who_monitors_does_nothing_else_with_keys),
        TEST(a_line_leaves_when_the_reply_does),
        TEST(a_very_long_line_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
