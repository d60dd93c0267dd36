/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT PAUSE and UNPAUSE: what waits, in which order it goes on, and when. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <time.h>

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

static void writes_wait_and_reads_do_not(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "SET k v");
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    assert_reply(t, 1, "GET k", "$1\r\nv\r\n");
    assert_reply(t, 1, "PING", "+PONG\r\n");
    assert_reply(t, 1, "SET k", "-ERR wrong number of arguments for 'set' command\r\n");
    assert_reply(t, 1, "SET k w", "");
    assert_reply(t, 1, "PING", "");
    assert_non_null(strstr(talk(t, 0, "CLIENT LIST"), " flags=b "));
    assert_non_null(strstr(talk(t, 0, "INFO clients"), "blocked_clients:1\r\n"));
    assert_reply(t, 0, "GET k", "$1\r\nv\r\n");
    assert_reply(t, 0, "CLIENT UNBLOCK 2", ":0\r\n");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "+OK\r\n+PONG\r\n");
    assert_reply(t, 0, "GET k", "$1\r\nw\r\n");
}

static void messages_and_transactions_that_write_wait(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    talk_connect(t, 3);
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "SET k v");
    (void)talk(t, 2, "MULTI");
    (void)talk(t, 2, "GET k");
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    assert_reply(t, 1, "EXEC", "");
    assert_reply(t, 2, "EXEC", "*1\r\n$-1\r\n");
    assert_reply(t, 2, "MULTI", "+OK\r\n");
    assert_reply(t, 2, "SET k v", ""); /* as in Redis it waits before it is queued */
    assert_reply(t, 3, "PUBLISH c x", "");
    talk_connect(t, 4);
    assert_reply(t, 4, "SPUBLISH c x", "");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "*1\r\n+OK\r\n");
    assert_string_equal(talk_heard(t, 2), "+QUEUED\r\n");
    assert_string_equal(talk_heard(t, 3), ":0\r\n");
    assert_string_equal(talk_heard(t, 4), ":0\r\n");
    assert_reply(t, 2, "DISCARD", "+OK\r\n");
}

static void who_waits_goes_on_in_order(void **state)
{
    struct talk *t = *state;

    for (uint32_t n = 1; n < 6; n++) {
        talk_connect(t, n);
    }
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    for (uint32_t n = 5; n > 0; n--) {
        char words[32];

        (void)snprintf(words, sizeof words, "RPUSH l %u", n);
        assert_reply(t, n, words, "");
    }
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_reply(t, 0, "LRANGE l 0 -1",
                 "*5\r\n$1\r\n5\r\n$1\r\n4\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n");
}

/* As in Redis also who began it waits then, and nothing but time ends it. */
static void all_is_all_until_its_time_is_over(void **state)
{
    struct talk *t = *state;
    int waits = 0;

    assert_reply(t, 0, "CLIENT PAUSE 200", "+OK\r\n");
    assert_reply(t, 0, "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    assert_reply(t, 0, "CLIENT UNPAUSE", "");
    assert_in_range(oxbow_resp_timeout_ms(t->server), 0, 200);
    for (;;) {
        const char *got;

        talk_turn(t);
        got = talk_heard(t, 0);
        if (got[0] != '\0') {
            assert_string_equal(got, "+OK\r\n");
            break;
        }
        assert_true(++waits < 30000);
        sleep_ms(1);
    }
    assert_reply(t, 0, "PING", "+PONG\r\n");
}

static void the_stricter_and_the_longer_of_two_holds(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 1 WRITE", "+OK\r\n");
    sleep_ms(5);
    talk_turn(t);
    assert_int_equal(t->server->pause.mode, RESP_PAUSE_WRITE);
    assert_reply(t, 0, "CLIENT PAUSE 1 ALL", "+OK\r\n");
    assert_reply(t, 0, "PING", "");
    assert_int_equal(t->server->pause.mode, RESP_PAUSE_ALL);
    assert_true(resp_pause_due_us(t->server) > t->server->now_us + 500000000u);
}

/* What came as a line waits as a line: its quotes are still there. */
static void lines_wait_as_they_are(void **state)
{
    static const char line[] = "SET k \"a \\x41 b\"\r\nGET k\r\n";
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    talk_feed(t, 1, line, sizeof line - 1);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "+OK\r\n$5\r\na A b\r\n");
}

static void who_goes_while_it_waits_leaves_nothing(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    assert_reply(t, 1, "SET k v", "");
    assert_reply(t, 2, "RPUSH l a", "");
    talk_hang_up(t, 1);
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_string_equal(talk_heard(t, 2), ":1\r\n");
    assert_reply(t, 0, "EXISTS k", ":0\r\n");
}

/* As with a wait for a key: nobody hears the reply, and who has asked may ask again elsewhere. */
static void who_has_ended_is_done_and_changes_nothing(void **state)
{
    static const char line[] = "SET k v\r\n";
    struct talk *t = *state;

    for (uint32_t n = 1; n < 4; n++) {
        talk_connect(t, n);
    }
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    assert_reply(t, 1, "SET k v", "");
    oxbow_resp_client_ended(t->clients[1]);
    talk_send(t, 2, "PING");
    talk_send(t, 2, "SET k v");
    talk_send(t, 2, "PING");
    oxbow_resp_client_ended(t->clients[2]); /* before it waits */
    talk_feed(t, 3, line, sizeof line - 1);
    oxbow_resp_client_ended(t->clients[3]);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 2), "+PONG\r\n");
    for (uint32_t n = 1; n < 4; n++) {
        assert_true(oxbow_resp_client_done(t->clients[n]));
    }
    assert_non_null(strstr(talk(t, 0, "INFO clients"), "blocked_clients:0\r\n"));
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_reply(t, 0, "EXISTS k", ":0\r\n");
}

static void what_is_wrong_is_said(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT PAUSE",
                 "-ERR wrong number of arguments for 'client|pause' command\r\n");
    assert_reply(t, 0, "CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\r\n");
    assert_reply(t, 0, "CLIENT PAUSE -1", "-ERR timeout is negative\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 1 SOME", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 0", "+OK\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 2305843009213693 WRITE", "+OK\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 2305843009213694 WRITE", "-ERR timeout is out of range\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 9223372036854775808",
                 "-ERR timeout is not an integer or out of range\r\n");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_wait_and_reads_do_not),
        TEST(messages_and_transactions_that_write_wait),
        TEST(who_waits_goes_on_in_order),
        TEST(all_is_all_until_its_time_is_over),
        TEST(the_stricter_and_the_longer_of_two_holds),
        TEST(lines_wait_as_they_are),
        TEST(who_goes_while_it_waits_leaves_nothing),
        TEST(who_has_ended_is_done_and_changes_nothing),
        TEST(what_is_wrong_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
