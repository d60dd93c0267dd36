/* SPDX-License-Identifier: Apache-2.0 */
/* The table cmsgpack, against what a real server answered. */
#include "tests/lua/ask.h"

static const struct ask_case cases[] = {
    CASE("return {cmsgpack.unpack(cmsgpack.pack(1,\"x\",{1,2},{a=3}))}", "0",
         "*4\r\n:1\r\n$1\r\nx\r\n*2\r\n:1\r\n:2\r\n*0\r\n"),
    CASE("return cmsgpack.unpack(\"\\193\")", "0",
         "-ERR user_script:1: Bad data format in input. script: "
         "a99d585a2d17143fda650a31dda2654607544580, on @user_script:1.\r\n"),
    CASE("return {cmsgpack.unpack_one(\"\\1\\2\\3\")}", "0", "*2\r\n:1\r\n:1\r\n"),
    CASE("return {cmsgpack.unpack_limit(\"\\1\\2\\3\",2)}", "0", "*3\r\n:2\r\n:1\r\n:2\r\n"),
    CASE("return {cmsgpack.unpack_limit(\"\\1\\2\\3\",2,1)}", "0", "*3\r\n:-1\r\n:2\r\n:3\r\n"),
    CASE("return {cmsgpack.unpack_one(\"\\1\\2\\3\",2)}", "0", "*2\r\n:-1\r\n:3\r\n"),
    CASE("return cmsgpack.pack()", "0",
         "-ERR user_script:1: bad argument #0 to 'pack' (MessagePack pack needs input.) script: "
         "6bc235afa55de88253e203cc5fe5844792e25209, on @user_script:1.\r\n"),
    CASE("return cmsgpack.unpack(\"\")", "0", "$-1\r\n"),
    CASE("return cmsgpack.unpack(\"\\207\\255\\255\\255\\255\\255\\255\\255\\255\")", "0",
         ":-1\r\n"),
    CASE("return cmsgpack.unpack(\"\\206\\255\\255\\255\\255\")", "0", ":4294967295\r\n"),
    CASE("return cmsgpack.unpack()", "0",
         "-ERR user_script:1: bad argument #1 to 'unpack' (string expected, got no value) script: "
         "78103c0f3f46e5897cb5d2fad8dfb28bd38e0eeb, on @user_script:1.\r\n"),
    CASE("return {cmsgpack.unpack(\"\\1\\165ab\")}", "0",
         "-ERR user_script:1: Missing bytes in input. script: "
         "8f6c8b9c85ab3de69b77585b818754ac8b5a4035, on @user_script:1.\r\n"),
    CASE("return "
         "cmsgpack.pack(1,-1,127,128,255,256,65535,65536,4294967295,4294967296,-32,-33,-128,-129,-"
         "32768,-32769,-2147483648,-2147483649,1.5,1e300,true,false,nil,\"x\")",
         "0",
         "$81\r\n\001\377\177\314\200\314\377\315\001\000\315\377\377\316\000\001\000\000\316\377"
         "\377\377\377\317\000\000\000\001\000\000\000\000\340\320\337\320\200\321\377\177\321\200"
         "\000\322\377\377\177\377\322\200\000\000\000\323\377\377\377\377\177\377\377\377\312\077"
         "\300\000\000\313~7\344<\210\000u\234\303\302\300\241x\r\n"),
    CASE("return cmsgpack.pack({1,2,nil,4})", "0", "$7\r\n\203\001\001\002\002\004\004\r\n"),
    CASE("return cmsgpack.pack({[1]=1,[3]=3})", "0", "$5\r\n\202\001\001\003\003\r\n"),
    CASE("return cmsgpack.pack(string.rep(\"x\",31),string.rep(\"x\",32))", "0",
         "$66\r\n\277xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\331 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
    CASE("return #cmsgpack.pack(string.rep(\"x\",70000))", "0", ":70005\r\n"),
    CASE("return cmsgpack.pack(2^53, 2^63, 2^64, -2^63, 0.1, 1/0, 16777217.5)", "0",
         "$51\r\n\317\000 "
         "\000\000\000\000\000\000\312_\000\000\000\312_"
         "\200\000\000\323\200\000\000\000\000\000\000\000\313\077\271\231\231\231\231\231\232\312"
         "\177\200\000\000\313Ap\000\000\030\000\000\000\r\n"),
    CASE("return cmsgpack.pack(function() end)", "0", "$1\r\n\300\r\n"),
    CASE("return cmsgpack.pack({})", "0", "$1\r\n\220\r\n"),
    CASE("local a={} a[1]=a return cmsgpack.pack(a)", "0",
         "$17\r\n\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\300\r\n"),
    CASE("local a={} a.x=a return #cmsgpack.pack(a)", "0", ":49\r\n"),
};

static void messagepack_is_that_of_redis(void **state)
{
    ask_cases(*state, cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messagepack_is_that_of_redis, ask_setup, talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
