/* SPDX-License-Identifier: Apache-2.0 */
/* The guard at a real server. */
#include "engine/uplink/guard.h"

#include "oxbow/uplink.h"
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct redis *server;

#define GUARD(...) redis_command(server, "EVAL", guard_script, __VA_ARGS__, NULL)

static int start(void **state)
{
    const struct redis_config config = {.aof = false};

    (void)state;
    server = redis_open(&config);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_close(server);
    return 0;
}

static void its_name_is_its_sha1(void **state)
{
    (void)state;
    assert_string_equal(redis_command(server, "SCRIPT", "LOAD", guard_script, NULL), guard_sha1);
    assert_string_equal(oxbow_uplink_guard_script(), guard_script);
}

static void a_stream_grows_only_from_where_it_is(void **state)
{
    (void)state;
    assert_string_equal(GUARD("1", "s", "?", "read"), "0\n0-0");
    assert_string_equal(
        GUARD("1", "s", "0-0", "2", "5-1", "2", "a", "b", "5-2", "4", "a", "b", "c", "d"),
        "1\n5-2");
    assert_string_equal(GUARD("1", "s", "0-0", "1", "6-0", "2", "a", "b"), "0\n5-2");
    assert_string_equal(GUARD("1", "s", "5-1", "1", "6-0", "2", "a", "b"), "0\n5-2");
    assert_int_equal(redis_integer(server, "XLEN", "s", NULL), 2);
    redis_command(server, "XTRIM", "s", "MAXLEN", "0", NULL);
    assert_string_equal(GUARD("1", "s", "?", "read"), "0\n5-2");
}

static void ids_are_compared_to_the_last_digit(void **state)
{
    (void)state;
    assert_string_equal(GUARD("1", "big", "0-0", "2", "9007199254740993-9007199254740993", "2", "a",
                              "b", "18446744073709551615-18446744073709551615", "2", "a", "b"),
                        "1\n18446744073709551615-18446744073709551615");
    assert_string_equal(GUARD("1", "b2", "0-0", "2", "9007199254740993-0", "2", "a", "b",
                              "9007199254740992-0", "2", "a", "b"),
                        "-OXBOWBAD order");
}

static void a_malformed_batch_writes_nothing(void **state)
{
    (void)state;
    assert_string_equal(GUARD("1", "m", "0-0", "2", "1-1", "2", "a", "b"), "-OXBOWBAD entry");
    assert_string_equal(GUARD("1", "m", "0-0", "1", "1-1", "2", "a", "b", "c"), "-OXBOWBAD length");
    assert_string_equal(GUARD("1", "m", "0-0", "1", "1-1", "4", "a", "b"), "-OXBOWBAD length");
    assert_string_equal(GUARD("1", "m", "0-0", "1", "1-1", "3", "a", "b", "c"), "-OXBOWBAD entry");
    assert_string_equal(GUARD("1", "m", "0-0", "2", "1-1", "2", "a", "b", "1-1", "2", "a", "b"),
                        "-OXBOWBAD order");
    assert_string_equal(GUARD("1", "m", "0-0", "x", "1-1", "2", "a", "b"), "-OXBOWBAD length");
    assert_string_equal(GUARD("2", "ml", "mc", "0-0", "2", "7-2", "", "only one"),
                        "-OXBOWBAD length");
    assert_int_equal(redis_integer(server, "EXISTS", "m", "ml", "mc", NULL), 0);
}

static void a_list_moves_with_its_cursor(void **state)
{
    (void)state;
    assert_string_equal(GUARD("2", "l", "c", "0-0", "3", "7-3", "", "x", "y", "z"), "1\n7-3");
    assert_string_equal(GUARD("2", "l", "c", "0-0", "1", "7-4", "", "w"), "0\n7-3");
    assert_string_equal(GUARD("2", "l", "c", "7-3", "0", "7-9", "budget 7-4 7-9 6 60"), "1\n7-9");
    assert_string_equal(redis_command(server, "HGET", "c", "gap", NULL), "budget 7-4 7-9 6 60");
    assert_string_equal(redis_command(server, "LRANGE", "l", "0", "-1", NULL), "x\ny\nz");
    redis_command(server, "DEL", "l", NULL); /* its readers have taken all */
    assert_string_equal(GUARD("2", "l", "c", "7-9", "1", "7-10", "", "w"), "1\n7-10");
}

static void a_wrong_type_or_no_memory_changes_nothing(void **state)
{
    (void)state;
    redis_command(server, "SET", "string", "x", NULL);
    assert_non_null(strstr(GUARD("1", "string", "?", "read"), "-WRONGTYPE"));
    assert_non_null(strstr(GUARD("2", "string", "c2", "0-0", "1", "7-1", "", "x"), "-WRONGTYPE"));
    assert_string_equal(GUARD("2", "free", "c2", "?", "read"), "0\n0-0");
    redis_command(server, "CONFIG", "SET", "maxmemory", "1", NULL);
    assert_non_null(strstr(GUARD("1", "oom", "0-0", "1", "1-1", "2", "a", "b"), "-OOM"));
    assert_non_null(strstr(GUARD("2", "oom", "oomc", "0-0", "1", "7-1", "", "x"), "-OOM"));
    redis_command(server, "CONFIG", "SET", "maxmemory", "0", NULL);
    assert_int_equal(redis_integer(server, "EXISTS", "oom", "oomc", NULL), 0);
}

static void a_cursor_that_may_not_be_written_keeps_the_list_unchanged(void **state)
{
    const char *said;

    (void)state;
    redis_command(server, "ACL", "SETUSER", "default", "-hset", NULL);
    said = GUARD("2", "al", "ac", "0-0", "1", "7-1", "", "x");
    assert_int_equal(said[0], '-');
    redis_command(server, "ACL", "SETUSER", "default", "+hset", NULL);
    assert_int_equal(redis_integer(server, "EXISTS", "al", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_name_is_its_sha1),
        cmocka_unit_test(a_stream_grows_only_from_where_it_is),
        cmocka_unit_test(ids_are_compared_to_the_last_digit),
        cmocka_unit_test(a_malformed_batch_writes_nothing),
        cmocka_unit_test(a_list_moves_with_its_cursor),
        cmocka_unit_test(a_wrong_type_or_no_memory_changes_nothing),
        cmocka_unit_test(a_cursor_that_may_not_be_written_keeps_the_list_unchanged),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
