/* SPDX-License-Identifier: Apache-2.0 */
/* client-output-buffer-limit: who leaves too much unread, and that nobody else notices. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <time.h>

#define DEFAULTS "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"

/* The value is one word, whatever is in it. */
static const char *set(struct talk *t, const char *value)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$26\r\nclient-output-buffer-limit\r\n"
                       "$%zu\r\n%s\r\n",
                       strlen(value), value);

    talk_feed(t, 0, request, (size_t)len);
    talk_turn(t);
    return talk_heard(t, 0);
}

static void assert_limits(struct talk *t, const char *want)
{
    char reply[512];

    (void)snprintf(reply, sizeof reply, "*2\r\n$26\r\nclient-output-buffer-limit\r\n$%zu\r\n%s\r\n",
                   strlen(want), want);
    assert_reply(t, 0, "CONFIG GET client-output-buffer-limit", reply);
}

static bool is_closed(const struct talk *t, uint32_t n)
{
    return oxbow_resp_client_done(t->clients[n]);
}

static void assert_closed_ever(struct talk *t, unsigned count)
{
    char line[96];

    (void)snprintf(line, sizeof line, "\nclient_output_buffer_limit_disconnections:%u\r\n", count);
    assert_non_null(strstr(talk(t, 0, "INFO stats"), line));
}

static void the_setting_is_told_and_taken_as_redis_does(void **state)
{
    struct talk *t = *state;

    assert_limits(t, DEFAULTS);
    assert_string_equal(set(t, "normal 1mb 512kb 10"), "+OK\r\n");
    assert_limits(
        t, "normal 1048576 524288 10 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_string_equal(set(t, "NORMAL 0 0 0  slave 5 6 7"), "+OK\r\n");
    assert_string_equal(set(t, "replica 1gb 0 0 pubsub 1k 0 0 pubsub 2k 1k 4294967295"), "+OK\r\n");
    assert_limits(t, "normal 0 0 0 slave 1073741824 0 0 pubsub 2000 1000 4294967295");
    assert_string_equal(set(t, ""), "+OK\r\n"); /* as there, it changes nothing */
    assert_limits(t, "normal 0 0 0 slave 1073741824 0 0 pubsub 2000 1000 4294967295");
}

static void what_is_wrong_with_it_is_told_and_nothing_changes(void **state)
{
#define FAILED                                                                                     \
    "-ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - "
#define COUNT FAILED "Wrong number of arguments in buffer limit configuration.\r\n"
#define CLASS FAILED "Invalid client class specified in buffer limit configuration.\r\n"
#define NUMBER                                                                                     \
    FAILED "Error in hard, soft or soft_seconds setting in buffer limit configuration.\r\n"
    static const struct {
        const char *value;
        const char *reply;
    } cases[] = {
        {"normal 1 2", COUNT},
        {"  ", COUNT},
        {"normal 1 2 3 pubsub", COUNT},
        {"foo 1 2 3", CLASS},
        {"master 1 2 3", CLASS},
        {"normal 1 2 3 foo 1 2 3", CLASS},
        {"normal a 0 0", NUMBER},
        {"normal -1 0 0", NUMBER},
        {"normal 0 1.5mb 0", NUMBER},
        {"normal 0 0 -5", NUMBER},
        {"normal 0 0 3x", NUMBER},
        {"normal 0 0 1k", NUMBER},
        {"normal 0 0 4294967296", NUMBER},
        {"normal 99999999999999999999 0 0", NUMBER},
    };
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(set(t, cases[i].value), cases[i].reply);
        assert_limits(t, DEFAULTS);
    }
}

/* A reply of 103 bytes with its length and CR LF. */
#define WORD                                                                                       \
    "01234567890123456789012345678901234567890123456789"                                           \
    "0123456789012345678901234567890123456789012345"
#define REPLY "$96\r\n" WORD "\r\n"

static void at_the_hard_limit_it_is_closed_and_one_byte_below_not(void **state)
{
    struct talk *t = *state;
    char value[64];

    assert_int_equal(strlen(REPLY), 103);
    for (int over = -1; over <= 1; over++) {
        (void)snprintf(value, sizeof value, "normal %d 0 0", (int)strlen(REPLY) - over);
        assert_string_equal(set(t, value), "+OK\r\n");
        talk_connect(t, 1);
        talk_send(t, 1, "ECHO " WORD);
        talk_turn(t);
        assert_int_equal(is_closed(t, 1), over >= 0);
        assert_string_equal(talk_heard(t, 1), over >= 0 ? "" : REPLY);
        talk_hang_up(t, 1);
    }
    assert_string_equal(set(t, "normal 0 0 0"), "+OK\r\n");
    assert_closed_ever(t, 2);
    assert_reply(t, 0, "CONFIG RESETSTAT", "+OK\r\n");
    assert_closed_ever(t, 0);
}

static void what_was_read_does_not_count(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set(t, "normal 206 0 0"), "+OK\r\n");
    talk_connect(t, 1);
    for (int i = 0; i < 10; i++) {
        assert_reply(t, 1, "ECHO " WORD, REPLY);
    }
    talk_send(t, 1, "ECHO " WORD);
    talk_turn(t);
    assert_false(is_closed(t, 1));
    talk_send(t, 1, "ECHO " WORD);
    talk_turn(t);
    assert_true(is_closed(t, 1));
}

static void a_subscriber_that_does_not_read_is_closed_and_others_are_served(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set(t, "pubsub 1kb 0 0"), "+OK\r\n");
    talk_connect(t, 1);
    talk_connect(t, 2);
    talk_send(t, 1, "SUBSCRIBE news");
    talk_send(t, 2, "SUBSCRIBE news");
    talk_turn(t);
    (void)talk_heard(t, 2);
    for (int i = 0; i < 30; i++) {
        const char *want = is_closed(t, 1) ? ":1\r\n" : ":2\r\n"; /* as it is before */

        assert_reply(t, 0, "PUBLISH news " WORD, want);
        assert_non_null(strstr(talk_heard(t, 2), WORD));
        assert_true(is_closed(t, 1) || resp_reply_pending(&t->clients[1]->out) < 1024);
    }
    assert_true(is_closed(t, 1));
    assert_false(is_closed(t, 2));
    assert_closed_ever(t, 1);
}

static void a_message_longer_than_the_limit_takes_no_memory(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set(t, "pubsub 103 0 0"), "+OK\r\n");
    talk_connect(t, 1);
    assert_reply(t, 1, "SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    assert_reply(t, 0, "PUBLISH news " WORD, ":1\r\n");
    assert_true(is_closed(t, 1));
    assert_true(resp_reply_pending(&t->clients[1]->out) < 103);
    assert_closed_ever(t, 1);
}

static void who_monitors_is_normal_and_who_is_no_longer_subscribed_too(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set(t, "pubsub 1kb 0 0"), "+OK\r\n");
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "MONITOR", "+OK\r\n");
    talk_send(t, 2, "SUBSCRIBE news");
    talk_send(t, 2, "UNSUBSCRIBE");
    talk_turn(t);
    (void)talk_heard(t, 2);
    for (int i = 0; i < 20; i++) {
        talk_send(t, 2, "ECHO " WORD);
        talk_turn(t);
    }
    assert_false(is_closed(t, 1));
    assert_false(is_closed(t, 2));
    assert_true(resp_reply_pending(&t->clients[1]->out) > 1024);
    assert_string_equal(set(t, "normal 2kb 0 0"), "+OK\r\n"); /* counts at once, also for them */
    assert_true(is_closed(t, 1));
    assert_true(is_closed(t, 2));
    assert_closed_ever(t, 2);
}

static void above_the_soft_limit_it_is_closed_in_time_unless_it_has_read(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set(t, "normal 0 103 3600"), "+OK\r\n");
    for (uint32_t n = 1; n <= 3; n++) {
        talk_connect(t, n);
    }
    talk_send(t, 1, "ECHO " WORD);
    talk_send(t, 2, "ECHO " WORD);
    talk_send(t, 3, "PING");
    talk_turn(t);
    assert_false(is_closed(t, 1));
    assert_false(link_alone(&t->clients[1]->over));
    assert_false(link_alone(&t->clients[2]->over));
    assert_true(link_alone(&t->clients[3]->over));
    assert_in_range(oxbow_resp_timeout_ms(t->server), 0, 3600000);
    (void)talk_heard(t, 2);
    assert_true(link_alone(&t->clients[2]->over));
    talk_send(t, 2, "ECHO " WORD); /* from now on again */
    talk_turn(t);
    assert_true(t->clients[2]->over_us >= t->clients[1]->over_us);
    (void)talk_heard(t, 2);
    assert_string_equal(set(t, "normal 0 103 0"), "+OK\r\n");
    assert_true(is_closed(t, 1));
    assert_false(is_closed(t, 2));
    assert_false(is_closed(t, 3));
    assert_int_equal(t->server->stats.overcome, 1);
}

static void the_loop_is_told_when_the_time_is_over(void **state)
{
    struct talk *t = *state;
    time_t end = time(NULL) + 60;

    assert_string_equal(set(t, "normal 0 103 1"), "+OK\r\n");
    talk_connect(t, 1);
    talk_send(t, 1, "ECHO " WORD);
    oxbow_resp_turn(t->server);
    while (!is_closed(t, 1)) {
        int64_t ms = oxbow_resp_timeout_ms(t->server);
        struct timespec pause;

        assert_in_range(ms, 0, 1000);
        assert_true(time(NULL) < end);
        pause = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        (void)nanosleep(&pause, NULL); /* a shorter one does no harm */
        oxbow_resp_turn(t->server);
    }
}

static void the_cap_of_all_replies_stands_beside_the_limits(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->config.reply_bytes_max = 1024;
    talk_open(t);
    talk_connect(t, 0);
    talk_connect(t, 1);
    talk_send(t, 1, "SUBSCRIBE news");
    talk_turn(t);
    for (int i = 0; i < 12; i++) {
        (void)talk(t, 0, "PUBLISH news " WORD);
    }
    assert_true(is_closed(t, 1));
    assert_false(is_closed(t, 0));
    assert_int_equal(t->server->stats.overcome, 1);
}

static void memory_that_is_out_is_no_limit(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 1, "PING", "+PONG\r\n");
    t->clients[1]->out.failed = true; /* as when there is none for a reply */
    talk_send(t, 1, "PING");
    talk_turn(t);
    assert_true(is_closed(t, 1));
    assert_closed_ever(t, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_setting_is_told_and_taken_as_redis_does),
        TEST(what_is_wrong_with_it_is_told_and_nothing_changes),
        TEST(at_the_hard_limit_it_is_closed_and_one_byte_below_not),
        TEST(what_was_read_does_not_count),
        TEST(a_subscriber_that_does_not_read_is_closed_and_others_are_served),
        TEST(a_message_longer_than_the_limit_takes_no_memory),
        TEST(who_monitors_is_normal_and_who_is_no_longer_subscribed_too),
        TEST(above_the_soft_limit_it_is_closed_in_time_unless_it_has_read),
        TEST(the_loop_is_told_when_the_time_is_over),
        TEST(the_cap_of_all_replies_stands_beside_the_limits),
        TEST(memory_that_is_out_is_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
