/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that do nothing, and those whose peer has ended. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <time.h>

static void pass_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    assert_int_equal(nanosleep(&t, NULL), 0);
}

static size_t memory(const struct talk *t, uint32_t n)
{
    return resp_reader_memory(&t->clients[n]->in) + resp_reply_memory(&t->clients[n]->out);
}

static void memory_of_the_quiet_is_given_back_and_nobody_is_woken_for_it_again(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "PING", "+PONG\r\n");
    assert_reply(t, 1, "PING", "+PONG\r\n");
    talk_feed(t, 1, "*1\r\n$4\r\nPI", 10);
    assert_true(memory(t, 0) > 0);
    assert_in_range(oxbow_resp_timeout_ms(t->server), 0, 1000);
    pass_ms(1050);
    oxbow_resp_turn(t->server);
    assert_int_equal(memory(t, 0), 0);
    assert_true(memory(t, 1) > 0); /* half a request is kept */
    assert_true(oxbow_resp_timeout_ms(t->server) < 0);
    talk_feed(t, 1, "NG\r\n", 4);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "+PONG\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n");
    assert_true(memory(t, 0) > 0);
}

static void the_idle_are_closed_but_for_those_who_wait(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->config.timeout_s = 4;
    talk_open(t);
    for (uint32_t n = 0; n < 4; n++) {
        talk_connect(t, n);
    }
    assert_reply(t, 0, "PING", "+PONG\r\n");
    talk_send(t, 1, "BLPOP q 0");
    talk_send(t, 2, "SUBSCRIBE news");
    talk_turn(t);
    (void)talk_heard(t, 2);
    pass_ms(2500);
    talk_feed(t, 3, "PI", 2); /* slow, not idle */
    talk_turn(t);
    pass_ms(2000);
    oxbow_resp_turn(t->server);
    assert_true(oxbow_resp_client_done(t->clients[0]));
    assert_false(oxbow_resp_client_done(t->clients[1]));
    assert_false(oxbow_resp_client_done(t->clients[2]));
    assert_false(oxbow_resp_client_done(t->clients[3]));
    pass_ms(4100);
    oxbow_resp_turn(t->server);
    assert_true(oxbow_resp_client_done(t->clients[3]));
}

/* ---- whose peer has ended ---- */

static void the_time_can_be_changed_while_they_are_idle(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 1, "PING", "+PONG\r\n");
    pass_ms(5000);
    oxbow_resp_turn(t->server);
    assert_true(oxbow_resp_timeout_ms(t->server) < 0); /* nobody would be looked at again */
    assert_reply(t, 0, "CONFIG SET timeout 6", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n6\r\n");
    pass_ms(1500);
    assert_reply(t, 0, "PING", "+PONG\r\n");
    assert_true(oxbow_resp_client_done(t->clients[1]));
    assert_false(oxbow_resp_client_done(t->clients[0]));
    assert_reply(t, 0, "CONFIG SET timeout 0", "+OK\r\n");
    pass_ms(60000);
    oxbow_resp_turn(t->server);
    assert_false(oxbow_resp_client_done(t->clients[0]));
    for (unsigned i = 0; i < 3; i++) {
        static const char *const bad[] = {"-1", "2147483648", "soon"};
        char words[64];

        (void)snprintf(words, sizeof words, "CONFIG SET timeout %s", bad[i]);
        assert_reply(t, 0, words,
                     "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument "
                     "couldn't be parsed\r\n");
    }
}

static void who_has_ended_gets_what_is_owed_and_is_done(void **state)
{
    struct talk *t = *state;

    talk_send(t, 0, "RPUSH q a");
    talk_send(t, 0, "LLEN q");
    talk_feed(t, 0, "*1\r\n$4\r\nPI", 10);
    oxbow_resp_client_ended(t->clients[0]);
    assert_false(oxbow_resp_client_done(t->clients[0]));
    talk_turn(t);
    assert_false(oxbow_resp_client_done(t->clients[0]));
    assert_string_equal(talk_heard(t, 0), ":1\r\n:1\r\n");
    assert_true(oxbow_resp_client_done(t->clients[0]));
    talk_connect(t, 1);
    oxbow_resp_client_ended(t->clients[1]);
    assert_true(oxbow_resp_client_done(t->clients[1]));
}

static void who_waits_and_has_ended_is_done_and_takes_nothing(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    talk_send(t, 0, "BLPOP q 0");
    talk_turn(t);
    oxbow_resp_client_ended(t->clients[0]);
    assert_true(oxbow_resp_client_done(t->clients[0]));
    talk_send(t, 2, "PING");
    talk_send(t, 2, "BLPOP q 0");
    talk_send(t, 2, "PING");
    oxbow_resp_client_ended(t->clients[2]); /* before it waits */
    talk_send(t, 1, "RPUSH other x");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 2), "+PONG\r\n");
    assert_true(oxbow_resp_client_done(t->clients[2]));
    (void)talk_heard(t, 1);
    assert_reply(t, 1, "RPUSH q a", ":1\r\n");
    assert_reply(t, 1, "LLEN q", ":1\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_of_the_quiet_is_given_back_and_nobody_is_woken_for_it_again),
        TEST(the_idle_are_closed_but_for_those_who_wait),
        TEST(the_time_can_be_changed_while_they_are_idle),
        TEST(who_has_ended_gets_what_is_owed_and_is_done),
        TEST(who_waits_and_has_ended_is_done_and_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
