/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND LIST and its filters, as redis-server 7.0 answers. */
#include "tests/resp/talk.h"

static void all_names_come_with_those_of_subcommands(void **state)
{
    struct talk *t = *state;
    const char *all = talk(t, 0, "COMMAND LIST");

    assert_non_null(strstr(all, "$3\r\nget\r\n"));
    assert_non_null(strstr(all, "$6\r\nconfig\r\n"));
    assert_non_null(strstr(all, "$10\r\nconfig|get\r\n"));
}

static void a_pattern_picks_names_in_any_case(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "COMMAND LIST FILTERBY PATTERN XAUTO*", "*1\r\n$10\r\nxautoclaim\r\n");
    assert_reply(t, 0, "command list filterby pattern config|ge?", "*1\r\n$10\r\nconfig|get\r\n");
    assert_reply(t, 0, "COMMAND LIST FILTERBY PATTERN nothing*", "*0\r\n");
}

static void a_category_picks_what_is_in_it(void **state)
{
    struct talk *t = *state;
    const char *hashes = talk(t, 0, "COMMAND LIST FILTERBY ACLCAT hash");

    assert_non_null(strstr(hashes, "$4\r\nhset\r\n"));
    assert_null(strstr(hashes, "$3\r\nget\r\n"));
    assert_reply(t, 0, "COMMAND LIST FILTERBY ACLCAT nothing", "*0\r\n");
    assert_reply(t, 0, "COMMAND LIST FILTERBY ACLCAT @hash", "*0\r\n");
    assert_non_null(strstr(talk(t, 0, "COMMAND LIST FILTERBY aclcat ADMIN"), "config|set\r\n"));
}

static void a_subcommand_is_known_by_its_full_name(void **state)
{
    struct talk *t = *state;

    assert_memory_equal(talk(t, 0, "COMMAND INFO XGROUP|create"),
                        "*1\r\n*10\r\n$13\r\nxgroup|create\r\n:-5\r\n", 34);
    assert_memory_equal(talk(t, 0, "COMMAND DOCS config|get"), "*2\r\n$10\r\nconfig|get\r\n", 21);
    assert_reply(t, 0, "COMMAND INFO config|nothing get|x config| |",
                 "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
    assert_memory_equal(talk(t, 0, "COMMAND INFO spublish"),
                        "*1\r\n*10\r\n$8\r\nspublish\r\n:3\r\n", 27);
    assert_non_null(strstr(t->text, "+fast\r\n:1\r\n:1\r\n:1\r\n"));
}

static void there_are_no_modules(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "COMMAND LIST FILTERBY MODULE x", "*0\r\n");
}

static void what_is_no_filter_is_refused(void **state)
{
    static const char *const wrong[] = {"x",
                                        "FILTERBY",
                                        "FILTERBY PATTERN",
                                        "FILTERBY x y",
                                        "FILTERBY PATTERN x y",
                                        "x PATTERN get"};
    struct talk *t = *state;
    char line[64];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(line, sizeof line, "COMMAND LIST %s", wrong[i]);
        assert_reply(t, 0, line, "-ERR syntax error\r\n");
    }
}

static void keys_come_with_what_is_done_with_them(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS SET a b",
                 "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS SET a b GET",
                 "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS PING",
                 "-ERR wrong number of arguments for 'command|getkeysandflags' command\r\n");
    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS PING x",
                 "-ERR The command has no key arguments\r\n");
    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS GET a b",
                 "-ERR Invalid number of arguments specified for command\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS RENAME a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XREAD STREAMS a b 1", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XREAD COUNT 1 STREAMS a",
                 "-ERR Invalid arguments specified for command\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XREADGROUP GROUP streams c STREAMS a b 1",
                 "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS SPUBLISH c m", "-ERR The command has no key arguments\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "COMMAND GETKEYSANDFLAGS RENAME a b",
                 "*2\r\n*2\r\n$1\r\na\r\n~3\r\n+RW\r\n+access\r\n+delete\r\n"
                 "*2\r\n$1\r\nb\r\n~2\r\n+OW\r\n+update\r\n");
    assert_memory_equal(talk(t, 0, "COMMAND HELP"), "*9\r\n+COMMAND", 12);
    assert_memory_equal(talk(t, 0, "CONFIG HELP"), "*6\r\n+CONFIG", 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_names_come_with_those_of_subcommands, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(a_pattern_picks_names_in_any_case, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(a_category_picks_what_is_in_it, talk_setup, talk_teardown),
        cmocka_unit_test_setup_teardown(keys_come_with_what_is_done_with_them, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(a_subcommand_is_known_by_its_full_name, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(there_are_no_modules, talk_setup, talk_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_filter_is_refused, talk_setup, talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
