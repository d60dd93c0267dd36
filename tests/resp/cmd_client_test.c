/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT REPLY: what is not answered, and what is said all the same. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

static void off_silences_all_until_on(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT REPLY OFF", "");
    assert_reply(t, 0, "SET k v", "");
    assert_reply(t, 0, "GET k", "");
    assert_reply(t, 0, "NOSUCH", "");
    assert_reply(t, 0, "GET", "");
    assert_reply(t, 0, "CLIENT ID", "");
    assert_reply(t, 0, "CLIENT REPLY", "");
    assert_reply(t, 0, "CLIENT REPLY SKIP", "");
    assert_reply(t, 0, "CLIENT REPLY ON", "+OK\r\n");
    assert_reply(t, 0, "GET k", "$1\r\nv\r\n");
    assert_reply(t, 0, "CLIENT REPLY MAYBE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT REPLY",
                 "-ERR wrong number of arguments for 'client|reply' command\r\n");
}

static void skip_is_for_one_command(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT REPLY SKIP", "");
    assert_reply(t, 0, "SET k v", "");
    assert_reply(t, 0, "GET k", "$1\r\nv\r\n");
    assert_reply(t, 0, "CLIENT REPLY SKIP", "");
    assert_reply(t, 0, "NOSUCH", "");
    assert_reply(t, 0, "PING", "+PONG\r\n");
    talk_send(t, 0, "CLIENT REPLY SKIP");
    talk_send(t, 0, "INCR n");
    talk_send(t, 0, "INCR n");
    talk_send(t, 0, "CLIENT REPLY SKIP");
    talk_send(t, 0, "CLIENT REPLY ON");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), ":2\r\n+OK\r\n");
}

/* What shares a batch that fails comes again: the same of it is not answered. */
static void what_comes_again_is_as_silent(void **state)
{
    struct talk *t = *state;
    uint64_t points = 0;

    for (uint64_t n = 1;; n++) {
        const char *got;
        bool met;

        talk_send(t, 0, "CLIENT REPLY SKIP");
        talk_send(t, 0, "RPUSH q a");
        talk_send(t, 0, "RPUSH q b");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        met = t->fault.alloc_failed > 0;
        fault_disarm(&t->fault);
        got = talk_heard(t, 0);
        if (oxbow_resp_client_done(t->clients[0])) { /* its own memory: then it is closed */
            talk_hang_up(t, 0);
            talk_connect(t, 0);
            continue;
        }
        assert_ptr_equal(strchr(got, '\n'),
                         got + strlen(got) - 1); /* of the second, and no other */
        if (!met) {
            break;
        }
        points++;
    }
    print_message("%llu allocations\n", (unsigned long long)points);
    assert_true(points >= 1);
}

static void transactions_and_waits_are_silent_as_a_whole(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CLIENT REPLY OFF", "");
    assert_reply(t, 0, "MULTI", "");
    assert_reply(t, 0, "SET k v", "");
    assert_reply(t, 0, "GET k", "");
    assert_reply(t, 0, "EXEC", "");
    assert_reply(t, 0, "BLPOP l 0", "");
    assert_reply(t, 1, "RPUSH l a b", ":2\r\n");
    assert_string_equal(talk_heard(t, 0), "");
    assert_reply(t, 1, "LRANGE l 0 -1", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "BLPOP none 0", "");
    assert_reply(t, 1, "CLIENT UNBLOCK 1 ERROR", ":1\r\n");
    assert_string_equal(talk_heard(t, 0), "");
    assert_reply(t, 0, "RESET", "+RESET\r\n");
    assert_reply(t, 0, "GET k", "$1\r\nv\r\n");
}

static void messages_are_no_answers(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "CLIENT REPLY OFF", "");
    assert_reply(t, 0, "SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    assert_reply(t, 1, "PUBLISH c x", ":1\r\n");
    assert_string_equal(talk_heard(t, 0), ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "PUBLISH c y", ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\ny\r\n");
    assert_reply(t, 0, "HELLO 2", "");
    assert_reply(t, 0, "UNSUBSCRIBE c", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
}

static void a_long_answer_that_nobody_hears_is_not_kept(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i < 100; i++) {
        (void)talk(t, 0, "RPUSH l 0123456789 0123456789 0123456789 0123456789");
    }
    assert_reply(t, 0, "CLIENT REPLY OFF", "");
    assert_reply(t, 0, "LRANGE l 0 -1", "");
    assert_true(resp_reply_pending(&t->server->unsaid) > 4000);
    assert_reply(t, 0, "CLIENT REPLY ON", "+OK\r\n");
    assert_int_equal(resp_reply_pending(&t->server->unsaid), 0);
}

static void help_is_lines(void **state)
{
    struct talk *t = *state;
    const char *got = talk(t, 0, "CLIENT HELP");

    assert_int_equal(got[0], '*');
    assert_non_null(strstr(got, "+PAUSE <milliseconds>"));
    assert_non_null(strstr(got, "+TRACKING (ON|OFF)"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(off_silences_all_until_on),
        TEST(skip_is_for_one_command),
        TEST(what_comes_again_is_as_silent),
        TEST(transactions_and_waits_are_silent_as_a_whole),
        TEST(messages_are_no_answers),
        TEST(a_long_answer_that_nobody_hears_is_not_kept),
        TEST(help_is_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
