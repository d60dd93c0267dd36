/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking commands: who is served, in what order, and when a wait ends. */
#include "tests/resp/talk.h"

#include "oxbow/list.h"

#include <unistd.h>

static void connect_all(struct talk *t)
{
    for (uint32_t n = 1; n < TALK_CLIENTS; n++) {
        talk_connect(t, n);
    }
}

static void who_came_first_is_served_first(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BLPOP q 0", "");
    assert_reply(t, 2, "BLPOP other q 0", "");
    assert_reply(t, 3, "BLPOP q 0", "");
    assert_reply(t, 0, "RPUSH q a b", ":2\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nq\r\n$1\r\nb\r\n");
    assert_string_equal(talk_heard(t, 3), "");
    assert_reply(t, 0, "LPUSH q c", ":1\r\n");
    assert_string_equal(talk_heard(t, 3), "*2\r\n$1\r\nq\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "EXISTS q", ":0\r\n");
}

static void it_is_served_before_the_next_command(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BLPOP q 0", "");
    talk_send(t, 0, "RPUSH q a");
    talk_send(t, 0, "LLEN q");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), ":1\r\n:0\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
}

static void a_transaction_is_seen_as_a_whole(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BLPOP q 0", "");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH q a");
    (void)talk(t, 0, "LPUSH q b");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 0, "EXEC", "*2\r\n:1\r\n:2\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "LRANGE q 0 -1", "*1\r\n$1\r\na\r\n");
}

static void who_has_gone_is_given_nothing(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BRPOP q 0", "");
    assert_reply(t, 2, "BRPOP q 0", "");
    talk_send(t, 0, "RPUSH q a");
    talk_hang_up(t, 1);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
}

static void a_move_wakes_who_waits_for_its_target(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BLMOVE a b LEFT RIGHT 0", "");
    assert_reply(t, 2, "BRPOPLPUSH b c 0", "");
    assert_reply(t, 3, "BLPOP c 0", "");
    assert_reply(t, 0, "RPUSH a x", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "$1\r\nx\r\n");
    assert_string_equal(talk_heard(t, 2), "$1\r\nx\r\n");
    assert_string_equal(talk_heard(t, 3), "*2\r\n$1\r\nc\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
}

static void a_wait_ends_when_its_time_is_over(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    assert_reply(t, 1, "BLPOP q 0.05", "");
    assert_reply(t, 2, "BLPOP q 30", "");
    assert_in_range(oxbow_resp_timeout_ms(t->server), 0, 50);
    for (int i = 0; i < 12000 && talk_heard(t, 1)[0] == '\0'; i++) {
        assert_int_equal(usleep(5000), 0);
        oxbow_resp_turn(t->server);
    }
    assert_string_equal(t->text, "*-1\r\n");
    assert_string_equal(talk_heard(t, 2), "");
    assert_reply(t, 0, "RPUSH q a", ":1\r\n");
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
}

static void what_comes_after_a_blocking_command_waits_for_it(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    talk_send(t, 1, "BLPOP q 0");
    talk_send(t, 1, "PING");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "");
    (void)talk(t, 0, "RPUSH q a");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\na\r\n+PONG\r\n");
}

static void another_thread_of_the_store_wakes_it_too(void **state)
{
    const struct oxbow_bytes key = {"q", 1};
    const struct oxbow_bytes value = {"x", 1};
    struct talk *t = *state;
    struct oxbow_txn *txn;

    connect_all(t);
    assert_reply(t, 1, "BLPOP q 0", "");
    assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, key, OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
}

static void a_key_of_another_type_is_an_error_at_once_and_nothing_later(void **state)
{
    struct talk *t = *state;

    connect_all(t);
    (void)talk(t, 0, "SET s v");
    assert_memory_equal(talk(t, 1, "BLPOP s 0"), "-WRONGTYPE ", 11);
    assert_reply(t, 1, "BLPOP later 0", "");
    (void)talk(t, 0, "SET later v");
    (void)talk(t, 0, "DEL later");
    assert_string_equal(talk_heard(t, 1), "");
    (void)talk(t, 0, "RPUSH later x");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$5\r\nlater\r\n$1\r\nx\r\n");
}

static void bad_timeouts_are_refused(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "BLPOP q x", "-ERR timeout is not a float or out of range\r\n");
    assert_reply(t, 0, "BLPOP q -1", "-ERR timeout is negative\r\n");
    assert_reply(t, 0, "BLMOVE a b LEFT UP 0", "-ERR syntax error\r\n");
    assert_reply(t, 0, "BLPOP q", "-ERR wrong number of arguments for 'blpop' command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_came_first_is_served_first),
        TEST(it_is_served_before_the_next_command),
        TEST(a_transaction_is_seen_as_a_whole),
        TEST(who_has_gone_is_given_nothing),
        TEST(a_move_wakes_who_waits_for_its_target),
        TEST(a_wait_ends_when_its_time_is_over),
        TEST(what_comes_after_a_blocking_command_waits_for_it),
        TEST(another_thread_of_the_store_wakes_it_too),
        TEST(a_key_of_another_type_is_an_error_at_once_and_nothing_later),
        TEST(bad_timeouts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
