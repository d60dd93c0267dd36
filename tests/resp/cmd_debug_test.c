/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG: only where it is let, and what it does there. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

static void open_with(struct talk *t, enum oxbow_resp_debug debug)
{
    talk_close(t);
    t->config.debug = debug;
    talk_open(t);
    talk_connect(t, 0);
}

static void it_is_refused_unless_the_configuration_lets_it(void **state)
{
    struct talk *t = *state;

    assert_memory_equal(talk(t, 0, "DEBUG SLEEP 0"), "-ERR DEBUG command not allowed.", 31);
    assert_reply(t, 0, "CONFIG GET enable-debug-command",
                 "*2\r\n$20\r\nenable-debug-command\r\n$2\r\nno\r\n");
    assert_memory_equal(talk(t, 0, "CONFIG SET enable-debug-command yes"), "-ERR ", 5);
    open_with(t, OXBOW_RESP_DEBUG_LOCAL);
    assert_memory_equal(talk(t, 0, "DEBUG SLEEP 0"), "-ERR DEBUG command not allowed.", 31);
    t->clients[0]->local = true;
    assert_reply(t, 0, "DEBUG SLEEP 0", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET enable-debug-command",
                 "*2\r\n$20\r\nenable-debug-command\r\n$5\r\nlocal\r\n");
    open_with(t, OXBOW_RESP_DEBUG_YES);
    assert_reply(t, 0, "DEBUG SLEEP 0", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET enable-debug-command",
                 "*2\r\n$20\r\nenable-debug-command\r\n$3\r\nyes\r\n");
}

static void sleep_keeps_the_server_for_as_long(void **state)
{
    struct talk *t = *state;
    const struct oxbow_clock *clock;
    uint64_t began;

    open_with(t, OXBOW_RESP_DEBUG_YES);
    clock = &t->server->port->clock;
    began = clock->mono_us(clock->ctx);
    assert_reply(t, 0, "DEBUG SLEEP 0.05", "+OK\r\n");
    assert_true(clock->mono_us(clock->ctx) - began >= 50000);
    assert_reply(t, 0, "DEBUG SLEEP x", "+OK\r\n");
    assert_reply(t, 0, "DEBUG SLEEP -1", "+OK\r\n");
    assert_reply(t, 0, "DEBUG SLEEP nan", "+OK\r\n");
}

static void a_key_is_told_of_and_the_rest_is_accepted_or_unknown(void **state)
{
    struct talk *t = *state;

    open_with(t, OXBOW_RESP_DEBUG_YES);
    (void)talk(t, 0, "SET k 12");
    assert_memory_equal(talk(t, 0, "DEBUG OBJECT k"),
                        "+Value at:0x0 refcount:1 encoding:int serializedlength:2 lru:0", 62);
    assert_reply(t, 0, "DEBUG OBJECT none", "-ERR no such key\r\n");
    assert_reply(t, 0, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
    assert_reply(t, 0, "DEBUG jmap", "+OK\r\n");
    assert_reply(t, 0, "DEBUG CHANGE-REPL-ID", "+OK\r\n");
    assert_memory_equal(talk(t, 0, "DEBUG HELP"), "*11\r\n+DEBUG", 11);
    assert_reply(t, 0, "DEBUG OBJECT",
                 "-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG "
                 "HELP.\r\n");
    assert_reply(t, 0, "DEBUG foo",
                 "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG "
                 "HELP.\r\n");
    assert_reply(t, 0, "DEBUG", "-ERR wrong number of arguments for 'debug' command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_refused_unless_the_configuration_lets_it),
        TEST(sleep_keeps_the_server_for_as_long),
        TEST(a_key_is_told_of_and_the_rest_is_accepted_or_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
