/* SPDX-License-Identifier: Apache-2.0 */
/* FUNCTION: there are none, and who asks is told so. */
#include "tests/resp/talk.h"

static void there_are_no_libraries(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "FUNCTION LIST", "*0\r\n");
    assert_reply(t, 0, "FUNCTION LIST LIBRARYNAME * WITHCODE", "*0\r\n");
    assert_reply(t, 0, "FUNCTION LIST LIBRARYNAME", "-ERR library name argument was not given\r\n");
    assert_reply(t, 0, "FUNCTION LIST WITHCODE WITHCODE", "-ERR Unknown argument WITHCODE\r\n");
    assert_reply(t, 0, "FUNCTION LIST x", "-ERR Unknown argument x\r\n");
    assert_reply(t, 0, "FUNCTION FLUSH", "+OK\r\n");
    assert_reply(t, 0, "FUNCTION FLUSH async", "+OK\r\n");
    assert_reply(t, 0, "FUNCTION FLUSH SYNC", "+OK\r\n");
    assert_reply(t, 0, "FUNCTION FLUSH x",
                 "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n");
    assert_reply(t, 0, "FUNCTION flush async sync",
                 "-ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION "
                 "HELP.\r\n");
    assert_memory_equal(talk(t, 0, "FUNCTION HELP"), "*5\r\n+FUNCTION", 13);
    assert_reply(t, 0, "FUNCTION LOAD x", "-ERR unknown subcommand 'LOAD'. Try FUNCTION HELP.\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "FUNCTION STATS",
                 "%2\r\n$14\r\nrunning_script\r\n_\r\n$7\r\nengines\r\n%1\r\n$3\r\nLUA\r\n%2\r\n"
                 "$15\r\nlibraries_count\r\n:0\r\n$15\r\nfunctions_count\r\n:0\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_are_no_libraries, talk_setup, talk_teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
