/* SPDX-License-Identifier: Apache-2.0 */
/* Channels, patterns, keyspace notifications. */
#include "tests/resp/talk.h"

static void a_message_goes_to_all_who_are_subscribed(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "SUBSCRIBE news more",
                 "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
                 "*3\r\n$9\r\nsubscribe\r\n$4\r\nmore\r\n:2\r\n");
    assert_reply(t, 2, "PSUBSCRIBE n*", "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n");
    assert_reply(t, 0, "PUBLISH news hello", ":2\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    assert_string_equal(talk_heard(t, 2),
                        "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    assert_reply(t, 0, "PUBLISH nobody x", ":1\r\n");
    assert_reply(t, 0, "PUBSUB NUMSUB news nobody",
                 "*4\r\n$4\r\nnews\r\n:1\r\n$6\r\nnobody\r\n:0\r\n");
    assert_reply(t, 0, "PUBSUB NUMPAT", ":1\r\n");
    talk_hang_up(t, 2);
    assert_reply(t, 0, "PUBLISH nobody x", ":0\r\n");
    assert_reply(t, 0, "PUBSUB NUMPAT", ":0\r\n");
}

static void who_leaves_is_told_how_many_are_left(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    (void)talk(t, 0, "SUBSCRIBE a");
    assert_reply(t, 0, "SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    (void)talk(t, 0, "PSUBSCRIBE p");
    assert_reply(t, 0, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_reply(t, 0, "PUNSUBSCRIBE p q",
                 "*3\r\n$12\r\npunsubscribe\r\n$1\r\np\r\n:0\r\n"
                 "*3\r\n$12\r\npunsubscribe\r\n$1\r\nq\r\n:0\r\n");
}

static void a_subscriber_may_do_little_else_in_resp2_and_anything_in_resp3(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SUBSCRIBE a");
    assert_reply(t, 0, "GET x",
                 "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                 "RESET are allowed in this context\r\n");
    assert_reply(t, 0, "PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_reply(t, 0, "RESET", "+RESET\r\n");
    assert_reply(t, 0, "GET x", "$-1\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "SUBSCRIBE a", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_reply(t, 0, "GET x", "_\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n");
}

/* Channels of the same name are two, and no pattern hears what is published to a sharded one. */
static void sharded_channels_are_a_space_of_their_own(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_reply(t, 1, "SSUBSCRIBE a b",
                 "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"
                 "*3\r\n$10\r\nssubscribe\r\n$1\r\nb\r\n:2\r\n");
    (void)talk(t, 2, "PSUBSCRIBE *");
    assert_reply(t, 0, "SPUBLISH a hello", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$5\r\nhello\r\n");
    assert_string_equal(talk_heard(t, 2), "");
    assert_reply(t, 0, "PUBLISH a hello", ":2\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n");
    assert_reply(t, 0, "SPUBLISH c x", ":0\r\n");
    assert_reply(t, 0, "PUBSUB CHANNELS", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "PUBSUB SHARDCHANNELS b*", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "PUBSUB SHARDNUMSUB a c", "*4\r\n$1\r\na\r\n:1\r\n$1\r\nc\r\n:0\r\n");
    assert_reply(t, 0, "PUBSUB SHARDCHANNELS a b",
                 "-ERR unknown subcommand or wrong number of arguments for 'SHARDCHANNELS'. Try "
                 "PUBSUB HELP.\r\n");
    assert_non_null(strstr(talk(t, 0, "INFO stats"), "pubsubshard_channels:2\r\n"));
    assert_reply(t, 1, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
    assert_memory_equal(talk(t, 1, "GET x"), "-ERR Can't execute 'get'", 24);
    assert_reply(t, 1, "SUNSUBSCRIBE b none",
                 "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nb\r\n:1\r\n"
                 "*3\r\n$12\r\nsunsubscribe\r\n$4\r\nnone\r\n:1\r\n");
    assert_reply(t, 1, "SUNSUBSCRIBE", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    assert_reply(t, 1, "SUNSUBSCRIBE", "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
    assert_reply(t, 1, "GET x", "$-1\r\n");
    (void)talk(t, 1, "SSUBSCRIBE a");
    talk_hang_up(t, 1);
    assert_reply(t, 0, "PUBSUB SHARDCHANNELS", "*0\r\n");
    assert_memory_equal(talk(t, 0, "PUBSUB HELP"), "*7\r\n+PUBSUB", 11);
}

static void within_a_transaction_nobody_subscribes_to_a_sharded_channel(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SSUBSCRIBE a");
    (void)talk(t, 0, "SPUBLISH a x");
    assert_reply(t, 0, "EXEC",
                 "*2\r\n-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n:0\r\n");
    assert_reply(t, 0, "ACL SETUSER u on nopass +@all resetchannels &c", "+OK\r\n");
    assert_reply(t, 0, "AUTH u x", "+OK\r\n");
    assert_reply(t, 0, "SSUBSCRIBE a",
                 "-NOPERM this user has no permissions to access one of the channels used as "
                 "arguments\r\n");
    assert_reply(t, 0, "SPUBLISH c x", ":0\r\n");
}

static void a_message_from_a_transaction_that_is_lost_is_not_heard(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "SUBSCRIBE a");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH q x");
    (void)talk(t, 0, "PUBLISH a told");
    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    (void)talk(t, 0, "EXEC");
    assert_string_equal(talk_heard(t, 1), "");
    fault_disarm(&t->fault);
}

static void changes_of_keys_are_told_to_those_who_asked(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG GET notify-keyspace-events",
                 "*2\r\n$22\r\nnotify-keyspace-events\r\n$0\r\n\r\n");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events Q",
                 "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
                 "argument couldn't be parsed\r\n");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events KElg", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET notify-keyspace-events",
                 "*2\r\n$22\r\nnotify-keyspace-events\r\n$4\r\nglKE\r\n");
    (void)talk(t, 1, "PSUBSCRIBE __key*");
    (void)talk(t, 0, "RPUSH q a");
    assert_string_equal(
        talk_heard(t, 1),
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$16\r\n__keyspace@0__:q\r\n$5\r\nrpush\r\n"
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$20\r\n__keyevent@0__:rpush\r\n$1\r\nq\r\n");
    (void)talk(t, 0, "SET s v"); /* not of a class that is wanted */
    assert_string_equal(talk_heard(t, 1), "");
    (void)talk(t, 0, "LPOP q");
    assert_non_null(strstr(talk_heard(t, 1), "__keyevent@0__:lpop"));
    assert_non_null(strstr(t->text, "__keyevent@0__:del"));
}

static void a_member_that_is_there_already_does_not_change_where_it_is_moved_to(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events Esg", "+OK\r\n");
    (void)talk(t, 0, "SADD from a b");
    (void)talk(t, 0, "SADD to a");
    (void)talk(t, 1, "PSUBSCRIBE __key*");
    assert_reply(t, 0, "WATCH to", "+OK\r\n");
    assert_reply(t, 0, "SMOVE from to a", ":1\r\n");
    assert_string_equal(
        talk_heard(t, 1),
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$19\r\n__keyevent@0__:srem\r\n$4\r\nfrom\r\n");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SMOVE from to b");
    assert_reply(t, 0, "EXEC", "*1\r\n:1\r\n");
    assert_string_equal(
        talk_heard(t, 1),
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$19\r\n__keyevent@0__:srem\r\n$4\r\nfrom\r\n"
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$18\r\n__keyevent@0__:del\r\n$4\r\nfrom\r\n"
        "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$19\r\n__keyevent@0__:sadd\r\n$2\r\nto\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_goes_to_all_who_are_subscribed),
        TEST(who_leaves_is_told_how_many_are_left),
        TEST(a_subscriber_may_do_little_else_in_resp2_and_anything_in_resp3),
        TEST(sharded_channels_are_a_space_of_their_own),
        TEST(within_a_transaction_nobody_subscribes_to_a_sharded_channel),
        TEST(a_message_from_a_transaction_that_is_lost_is_not_heard),
        TEST(changes_of_keys_are_told_to_those_who_asked),
        TEST(a_member_that_is_there_already_does_not_change_where_it_is_moved_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
