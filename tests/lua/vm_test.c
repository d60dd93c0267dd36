/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter's life: its memory has an end, scripts are forgotten and kept, nothing of a script is
 * left for the next. */
#include "engine/lua/vm.h"

#include "tests/lua/ask.h"

#include "oxbow/lua.h"

static int setup_small(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->config.scripting = oxbow_lua();
    t->config.script_bytes_max = 1u << 20;
    talk_open(t);
    talk_connect(t, 0);
    *state = t;
    return 0;
}

static void a_script_that_wants_too_much_memory_fails_and_the_next_one_runs(void **state)
{
    static const char *const greedy[] = {
        "return string.rep('x', 1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 1e9 do t[i] = 'text' .. i end",
        "local s = 'x' while true do s = s .. s end",
        "local function f() return f() .. 'x' end return f()",
        "return pcall(string.rep, 'x', 1e9)",
    };
    struct talk *t = *state;

    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i + 1 < sizeof greedy / sizeof greedy[0]; i++) {
            assert_int_equal(ask(t, 0, greedy[i], "0")[0], '-');
            assert_string_equal(ask(t, 0, "return 1", "0"), ":1\r\n");
        }
        assert_string_equal(ask(t, 0, greedy[5], "0"), "$-1\r\n");
    }
}

static void a_recursion_without_end_is_an_error(void **state)
{
    struct talk *t = *state;
    const char *heard = ask(t, 0, "local function f() return 1 + f() end return f()", "0");

    assert_int_equal(heard[0], '-');
    assert_string_equal(ask(t, 0, "return 1", "0"), ":1\r\n");
}

static void evaled_scripts_are_forgotten_when_many_others_came_and_loaded_ones_are_not(void **state)
{
    struct talk *t = *state;
    char script[32];

    assert_string_equal(ask(t, 0, "return 'a'", "0"), "$1\r\na\r\n");
    (void)talk(t, 0, "SCRIPT LOAD return"); /* 63143b6f8007b98c53ca2149822777b3566f9241 */
    assert_reply(t, 0, "EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 0", "$-1\r\n");
    assert_reply(t, 0, "EVALSHA 8d4efb0d9a1d0a4c13ec5fbd0d8c4d1a3d9e2f77 0",
                 "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    for (int i = 0; i < (int)VM_EVALED_MAX; i++) {
        (void)snprintf(script, sizeof script, "return %d", i);
        assert_int_equal(ask(t, 0, script, "0")[0], ':');
    }
    assert_reply(t, 0, "EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 0", "$-1\r\n");
    assert_reply(t, 0, "SCRIPT EXISTS 63143b6f8007b98c53ca2149822777b3566f9241", "*1\r\n:1\r\n");
    assert_reply(t, 0, "SCRIPT FLUSH", "+OK\r\n");
    assert_reply(t, 0, "SCRIPT EXISTS 63143b6f8007b98c53ca2149822777b3566f9241", "*1\r\n:0\r\n");
}

static void what_a_script_leaves_in_tables_of_the_server_is_not_there_for_the_next(void **state)
{
    struct talk *t = *state;

    (void)ask(t, 0, "table.insert(string, 'left') table.insert(_G, 'left') return 1", "0");
    assert_string_equal(ask(t, 0, "return {#string, #_G, rawget(_G, 1) == nil}", "0"),
                        "*3\r\n:0\r\n:0\r\n:1\r\n");
}

static void compiled_chunks_are_not_run(void **state)
{
    struct talk *t = *state;

    assert_string_equal(
        ask(t, 0, "return {loadstring(string.dump(function() return 1 end)) == nil}", "0"),
        "*1\r\n:1\r\n");
    assert_string_equal(ask(t, 0,
                            "local d = string.dump(function() return 1 end) local n = 0 "
                            "return {load(function() n = n + 1 return n == 1 and '' or n == 2 and "
                            "d or nil end) == nil}",
                            "0"),
                        "*1\r\n:1\r\n");
    assert_int_equal(ask(t, 0, "\033Lua", "0")[0], '-');
}

static int setup_short(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->config.scripting = oxbow_lua();
    t->config.script_ms_max = 400;
    talk_open(t);
    talk_connect(t, 0);
    *state = t;
    return 0;
}

#define OVER                                                                                       \
    "-ERR Script ended: it ran for longer than lua-time-limit allows. Nothing of it has "          \
    "happened, "                                                                                   \
    "nor of the transaction that it was in\r\n"

static void a_script_without_end_is_ended_and_nothing_of_it_is_left(void **state)
{
    static const char *const endless[] = {
        "redis.call('incr', 'n') while true do end",
        "redis.call('incr', 'n') while true do pcall(function() while true do end end) end",
        "redis.call('incr', 'n') local f = coroutine.wrap(function() while true do end end) f()",
        "redis.call('incr', 'n') while true do "
        "coroutine.resume(coroutine.create(function() while true do end end)) end",
        "redis.call('incr', 'n') while true do redis.call('ping') end",
        "redis.call('incr', 'n') local function f() return f() end f()",
        "redis.call('incr', 'n') "
        "while true do xpcall(function() error() end, function() while true do end end) end",
    };
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        assert_string_equal(ask(t, 0, endless[i], "0"), OVER);
        assert_string_equal(ask(t, 0, "return redis.call('get', 'n')", "0"), "$-1\r\n");
    }
    assert_reply(t, 0, "INCR n", ":1\r\n");
}

static void note_ended(void *ctx, enum oxbow_log_level level, const char *text)
{
    *(unsigned *)ctx += level == OXBOW_LOG_WARN && strstr(text, "lua-time-limit") != NULL;
}

/* Others' commands of the same batch happen, and so do those that the client sent before and after; the
 * script comes again with them, and is not run once more. */
static void a_script_that_is_ended_takes_nothing_else_with_it(void **state)
{
    struct talk *t = *state;
    unsigned ended = 0;

    t->fault.port.log.ctx = &ended;
    t->fault.port.log.line = note_ended;
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 2, "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    talk_send(t, 1, "INCR other");
    talk_send(t, 0, "INCR n");
    ask_send(t, 0, "return redis.call('incr', 'n')", "0");
    ask_send(t, 0, "redis.call('publish', 'c', 'm') redis.call('incr', 'n') while true do end",
             "0");
    ask_send(t, 0, "return redis.call('incr', 'n')", "0");
    talk_send(t, 1, "INCR other");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), ":1\r\n:2\r\n" OVER ":3\r\n");
    assert_string_equal(talk_heard(t, 1), ":1\r\n:2\r\n");
    assert_string_equal(talk_heard(t, 2), "");
    assert_int_equal(ended, 1);
    /* The same script, sent anew, is run anew. */
    assert_string_equal(ask(t, 0, "while true do end", "0"), OVER);
    assert_string_equal(ask(t, 0, "while true do end", "0"), OVER);
    assert_int_equal(ended, 3);
}

static void a_transaction_with_a_script_that_is_ended_has_not_happened(void **state)
{
    struct talk *t = *state;
    unsigned ended = 0;

    t->fault.port.log.ctx = &ended;
    t->fault.port.log.line = note_ended;
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "INCR n", "+QUEUED\r\n");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ask(t, 0, "while true do end", "0"), "+QUEUED\r\n");
    }
    assert_reply(t, 0, "EXEC", OVER);
    assert_int_equal(ended, 1);
    assert_reply(t, 0, "GET n", "$-1\r\n");
    assert_string_equal(ask(t, 0, "return redis.call('incr', 'n')", "0"), ":1\r\n");
}

static void the_time_of_a_script_is_a_setting(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG GET lua-time-limit", "*2\r\n$14\r\nlua-time-limit\r\n$3\r\n400\r\n");
    assert_reply(t, 0, "CONFIG SET busy-reply-threshold 20", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET lua-time-limit", "*2\r\n$14\r\nlua-time-limit\r\n$2\r\n20\r\n");
    assert_int_equal(ask(t, 0, "while true do end", "0")[0], '-');
    assert_int_equal(talk(t, 0, "CONFIG SET lua-time-limit x")[0], '-');
    assert_int_equal(talk(t, 0, "CONFIG SET lua-time-limit -1")[0], '-');
    assert_reply(t, 0, "CONFIG SET lua-time-limit 0", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET lua-time-limit", "*2\r\n$14\r\nlua-time-limit\r\n$1\r\n0\r\n");
    assert_string_equal(ask(t, 0, "return 1", "0"), ":1\r\n");
}

static void seven_thousand_arguments_are_passed_and_taken(void **state)
{
    struct talk *t = *state;

    assert_string_equal(ask(t, 0,
                            "local a = {} for i = 1, 7000 do a[i] = i end "
                            "redis.call('rpush', 'q', unpack(a)) "
                            "return {redis.call('llen', 'q'), #redis.call('lrange', 'q', 0, -1)}",
                            "0"),
                        "*2\r\n:7000\r\n:7000\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_script_that_wants_too_much_memory_fails_and_the_next_one_runs, setup_small,
            talk_teardown),
        cmocka_unit_test_setup_teardown(a_recursion_without_end_is_an_error, setup_small,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(
            evaled_scripts_are_forgotten_when_many_others_came_and_loaded_ones_are_not, ask_setup,
            talk_teardown),
        cmocka_unit_test_setup_teardown(
            what_a_script_leaves_in_tables_of_the_server_is_not_there_for_the_next, ask_setup,
            talk_teardown),
        cmocka_unit_test_setup_teardown(a_script_without_end_is_ended_and_nothing_of_it_is_left,
                                        setup_short, talk_teardown),
        cmocka_unit_test_setup_teardown(a_script_that_is_ended_takes_nothing_else_with_it,
                                        setup_short, talk_teardown),
        cmocka_unit_test_setup_teardown(a_transaction_with_a_script_that_is_ended_has_not_happened,
                                        setup_short, talk_teardown),
        cmocka_unit_test_setup_teardown(the_time_of_a_script_is_a_setting, setup_short,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(compiled_chunks_are_not_run, ask_setup, talk_teardown),
        cmocka_unit_test_setup_teardown(seven_thousand_arguments_are_passed_and_taken, ask_setup,
                                        talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
