/* SPDX-License-Identifier: Apache-2.0 */
/* The table struct, against what a real server answered. */
#include "tests/lua/ask.h"

static const struct ask_case cases[] = {
    CASE("return struct.pack(\"HHb\",1,2,3)", "0", "$5\r\n\001\000\002\000\003\r\n"),
    CASE("return struct.unpack(\"i\",\"a\")", "0",
         "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short) script: "
         "d838136fe7c843a1f1f2c528f5c916127cf222c6, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"<i4>i4!4bihlfdsc5\",1,2,3,4,5,6,7,8,\"abc\",\"hello\")", "0",
         "$49\r\n\001\000\000\000\000\000\000\002\003\000\000\000\000\000\000\004\000\005\000\000"
         "\000\000\000\000\000\000\000\006@\340\000\000@ \000\000\000\000\000\000abc\000hello\r\n"),
    CASE("return {struct.unpack(\"<I2>I2c2s\",\"\\1\\2\\3\\4ababc\\0\")}", "0",
         "*5\r\n:513\r\n:772\r\n$2\r\nab\r\n$3\r\nabc\r\n:11\r\n"),
    CASE("return struct.size(\"<i4>i4!4bihlfd\")", "0", ":40\r\n"),
    CASE("return struct.size(\"s\")", "0",
         "-ERR user_script:1: bad argument #1 to 'size' (option 's' has no fixed size) script: "
         "0bd68a9d1207d846fb74767b7aeafd360dbf42ba, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"i17\",1)", "0",
         "$17\r\n\001\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\r\n"),
    CASE("return struct.pack(\"i8\",-1)", "0", "$8\r\n\377\377\377\377\377\377\377\377\r\n"),
    CASE("return struct.pack(\"q\",1)", "0",
         "-ERR user_script:1: bad argument #1 to 'pack' (invalid format option 'q') script: "
         "38724bee682af03ba81588edff38795e5f1ac6e5, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"x b\",1)", "0", "$2\r\n\000\001\r\n"),
    CASE("return struct.pack(\"c0\",\"abc\")", "0", "$3\r\nabc\r\n"),
    CASE("return {struct.unpack(\"bc0\",\"\\3abc\")}", "0", "*2\r\n$3\r\nabc\r\n:5\r\n"),
    CASE("return struct.pack(\"s\",\"a\")", "0", "$2\r\na\000\r\n"),
    CASE("return struct.unpack(\"b\",\"\",1)", "0",
         "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short) script: "
         "a255731143944e8a6cd663870818880749262c9c, on @user_script:1.\r\n"),
    CASE("return struct.unpack(\"b\",\"a\",0)", "0",
         "-ERR user_script:1: bad argument #3 to 'unpack' (offset must be 1 or greater) script: "
         "c9feb4ae7a73d33cff9491f20b0d8d1560abb8c6, on @user_script:1.\r\n"),
    CASE("return struct.unpack(\"b\",\"a\",5)", "0",
         "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short) script: "
         "195aa54ba19f42e54ea98c4b2e9154295b30dfc3, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"!17b\",1)", "0",
         "-ERR user_script:1: alignment 17 is not a power of 2 script: "
         "576969844ab686bd1bcc2a5e20fd3a8653402f75, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"!3b\",1)", "0",
         "-ERR user_script:1: alignment 3 is not a power of 2 script: "
         "089f753993c390435f34d2d558533ec1b9820a6a, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"c10\",\"abc\")", "0",
         "-ERR user_script:1: bad argument #3 to 'pack' (string too short) script: "
         "f82a6248803ac84765dd4bdd4e4423d9b4360ff5, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"B\",300)", "0", "$1\r\n,\r\n"),
    CASE("return struct.pack(\"d\",1.5)", "0", "$8\r\n\000\000\000\000\000\000\370\077\r\n"),
    CASE("return struct.pack(\"T\",5)", "0", "$8\r\n\005\000\000\000\000\000\000\000\r\n"),
    CASE("return struct.pack(\"!8 b d\",1,2)", "0",
         "$16\r\n\001\000\000\000\000\000\000\000\000\000\000\000\000\000\000@\r\n"),
    CASE("return struct.pack(\"!b i\",1,2)", "0", "$8\r\n\001\000\000\000\002\000\000\000\r\n"),
    CASE("return struct.unpack(\"c0\",\"abc\")", "0",
         "-ERR user_script:1: format 'c0' needs a previous size script: "
         "8e75e170c0083b319f46019b96a7d8b186de2144, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"i4\")", "0",
         "-ERR user_script:1: bad argument #2 to 'pack' (number expected, got nil) script: "
         "da55dbaa38698dc27ae085774a6f4986c827aaba, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"i4\",\"x\")", "0",
         "-ERR user_script:1: bad argument #2 to 'pack' (number expected, got string) script: "
         "0f65047056cb3661e505d5e68d5d557c9e5cb0b6, on @user_script:1.\r\n"),
    CASE("return struct.size()", "0",
         "-ERR user_script:1: bad argument #1 to 'size' (string expected, got no value) script: "
         "4c30ee4bce24a141420f334922489017312786e7, on @user_script:1.\r\n"),
    CASE("return struct.pack(\"l2147483648\",1)", "0",
         "-ERR user_script:1: bad argument #1 to 'pack' (invalid format option '2') script: "
         "86ed2d10306274b22c58cabe1b9dda24b87e93bc, on @user_script:1.\r\n"),
    CASE("return struct.size(\"c2147483640c2147483640\")", "0", ":4294967280\r\n"),
    CASE("return {struct.unpack(\"<i3\",\"\\255\\255\\255\")}", "0", "*2\r\n:-1\r\n:4\r\n"),
    CASE("return struct.pack(\">i3\",-2)", "0", "$3\r\n\377\377\376\r\n"),
    CASE("return struct.unpack(\">I8\",\"\\255\\255\\255\\255\\255\\255\\255\\255\")", "0",
         ":-9223372036854775808\r\n"),
    CASE("return {struct.unpack(\"s\",\"abc\")}", "0",
         "-ERR user_script:1: unfinished string in data script: "
         "db8ae97bc46585591475abbbea3f02fa1aa7192c, on @user_script:1.\r\n"),
};

static void bytes_by_format_are_those_of_redis(void **state)
{
    ask_cases(*state, cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_by_format_are_those_of_redis, ask_setup,
                                        talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
