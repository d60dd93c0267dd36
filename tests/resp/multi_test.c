/* SPDX-License-Identifier: Apache-2.0 */
/* MULTI, EXEC, WATCH. */
#include "tests/resp/talk.h"

static void what_is_queued_happens_at_exec_and_not_before(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "RPUSH q a", "+QUEUED\r\n");
    assert_reply(t, 0, "LLEN q", "+QUEUED\r\n");
    assert_reply(t, 1, "LLEN q", ":0\r\n");
    assert_reply(t, 0, "EXEC", "*2\r\n:1\r\n:1\r\n");
    assert_reply(t, 1, "LLEN q", ":1\r\n");
    assert_reply(t, 0, "EXEC", "-ERR EXEC without MULTI\r\n");
    assert_reply(t, 0, "DISCARD", "-ERR DISCARD without MULTI\r\n");
}

static void a_command_that_fails_does_not_take_the_others_back(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET s v");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH q a");
    (void)talk(t, 0, "RPUSH s a");
    (void)talk(t, 0, "RPUSH q b");
    assert_reply(
        t, 0, "EXEC",
        "*3\r\n:1\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
        ":2\r\n");
}

static void what_cannot_be_queued_spoils_the_transaction(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH q a");
    assert_memory_equal(talk(t, 0, "NONSENSE x"), "-ERR unknown command 'NONSENSE'", 30);
    assert_reply(t, 0, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_reply(t, 0, "LLEN q", ":0\r\n");
    (void)talk(t, 0, "MULTI");
    assert_reply(t, 0, "MULTI", "-ERR MULTI calls can not be nested\r\n");
    assert_reply(t, 0, "WATCH q", "-ERR WATCH inside MULTI is not allowed\r\n");
    assert_reply(t, 0, "DISCARD", "+OK\r\n");
}

static void a_watched_key_that_changed_undoes_it(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "WATCH q other", "+OK\r\n");
    (void)talk(t, 1, "RPUSH q x");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH r a");
    assert_reply(t, 0, "EXEC", "*-1\r\n");
    assert_reply(t, 0, "EXISTS r", ":0\r\n");

    assert_reply(t, 0, "WATCH q", "+OK\r\n"); /* nobody changes it */
    (void)talk(t, 1, "LRANGE q 0 -1");
    (void)talk(t, 1, "DEL nothing");
    (void)talk(t, 1, "SWAPDB 0 0");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH r a");
    assert_reply(t, 0, "EXEC", "*1\r\n:1\r\n");

    assert_reply(t, 0, "WATCH q", "+OK\r\n");
    (void)talk(t, 1, "FLUSHALL");
    assert_reply(t, 0, "UNWATCH", "+OK\r\n");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "RPUSH r a");
    assert_reply(t, 0, "EXEC", "*1\r\n:1\r\n");

    assert_reply(t, 0, "WATCH r", "+OK\r\n");
    (void)talk(t, 1, "FLUSHALL");
    (void)talk(t, 0, "MULTI");
    assert_reply(t, 0, "EXEC", "*-1\r\n");
}

/* Cases from a redis-server 7.0. */
static void what_leaves_a_watched_key_as_it_is_does_not(void **state)
{
    static const struct {
        const char *command;
        bool undoes;
    } rows[] = {
        {"XGROUP CREATE x g 0", false},
        {"XGROUP SETID x g 0", false},
        {"XGROUP CREATECONSUMER x g c", false},
        {"XGROUP DELCONSUMER x g c", false},
        {"XGROUP DESTROY x g", false},
        {"XSETID x 9-0", false},
        {"DEL x", true},
        {"XGROUP CREATE x g 0 MKSTREAM", true},
        {"SETBIT s 1 1", false},
        {"SETBIT s 1 0", true},
        {"SETBIT s 30 0", true},
        {"SETBIT s 30 0", false},
        {"BITFIELD s SET u8 0 7", true},
        {"BITFIELD s SET u8 0 7 INCRBY u8 0 0", false},
        {"BITFIELD s INCRBY u8 0 256", false},
        {"BITFIELD s OVERFLOW FAIL INCRBY u8 0 300", false},
        {"BITFIELD s SET u8 #9 0", true},
        {"BITFIELD s GET u8 #99", false},
    };
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "XADD x 1-1 f v");
    (void)talk(t, 0, "SET s a");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_reply(t, 0, "WATCH x s", "+OK\r\n");
        assert_int_not_equal(talk(t, 1, rows[i].command)[0], '-');
        assert_reply(t, 0, "MULTI", "+OK\r\n");
        if (strcmp(talk(t, 0, "EXEC"), rows[i].undoes ? "*-1\r\n" : "*0\r\n") != 0) {
            fail_msg("%s: %s", rows[i].command, t->text);
        }
    }
}

static void who_reads_several_streams_is_given_the_one_that_came_first(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "XREAD BLOCK 0 STREAMS b a $ $");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "XADD a 1-1 f v");
    (void)talk(t, 0, "XADD b 2-1 f v");
    (void)talk(t, 0, "EXEC");
    assert_string_equal(talk_heard(t, 1), "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-1\r\n"
                                          "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}

static void a_blocking_command_within_does_not_wait(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "BLPOP q 0");
    (void)talk(t, 0, "RPUSH q a");
    (void)talk(t, 0, "BLPOP q 0");
    (void)talk(t, 0, "BLMOVE q r LEFT LEFT 0");
    assert_reply(t, 0, "EXEC", "*4\r\n*-1\r\n:1\r\n*2\r\n$1\r\nq\r\n$1\r\na\r\n$-1\r\n");
}

static void a_transaction_that_is_too_large_does_not_happen_at_all(void **state)
{
    static char big[3000];
    struct talk *t = *state;

    talk_close(t);
    t->store.txn_bytes = 128 << 10;
    talk_open(t);
    talk_connect(t, 0);
    memset(big, 'x', sizeof big - 1);
    memcpy(big, "RPUSH q ", 8);
    (void)talk(t, 0, "MULTI");
    for (int i = 0; i < 100; i++) {
        assert_reply(t, 0, big, "+QUEUED\r\n");
    }
    assert_memory_equal(talk(t, 0, "EXEC"), "-ERR ", 5);
    assert_reply(t, 0, "LLEN q", ":0\r\n");
    assert_reply(t, 0, "PING", "+PONG\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_queued_happens_at_exec_and_not_before),
        TEST(a_command_that_fails_does_not_take_the_others_back),
        TEST(what_cannot_be_queued_spoils_the_transaction),
        TEST(a_watched_key_that_changed_undoes_it),
        TEST(what_leaves_a_watched_key_as_it_is_does_not),
        TEST(who_reads_several_streams_is_given_the_one_that_came_first),
        TEST(a_blocking_command_within_does_not_wait),
        TEST(a_transaction_that_is_too_large_does_not_happen_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
