/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts find and cannot change, and texts of errors, against what a real server answered. */
#include "tests/lua/ask.h"

static const struct ask_case cases[] = {
    CASE("error()", "0",
         "-ERR nil script: aca90d914519fdb9825352bdc0befb59f7c8510f, on @user_script:1.\r\n"),
    CASE("x = = 1", "0",
         "-ERR Error compiling script (new function): user_script:1: unexpected symbol near "
         "'='\r\n"),
    CASE("return getmetatable(\"\").x", "0", "$-1\r\n"),
    CASE("local m=getmetatable(\"\") m.y=1 return 3", "0",
         "-ERR user_script:1: Attempt to modify a readonly table script: "
         "34ac75a444c92826959b368e326da327e294be51, on @user_script:1.\r\n"),
    CASE("return tostring(getmetatable(_G)):sub(1,5)", "0", "$5\r\ntable\r\n"),
    CASE("return cjson.encode({1,2,{a=1.5}})", "0", "$15\r\n[1,2,{\"a\":1.5}]\r\n"),
    CASE("return bit.tohex(255)", "0", "$8\r\n000000ff\r\n"),
    CASE("return loadstring(\"x=1\")()", "0",
         "-ERR [string \"x=1\"]:1: Attempt to modify a readonly table script: "
         "5249378bd70e46e8a86a79f36149f4f0a5eff072, on x=1:1.\r\n"),
    CASE("return _VERSION", "0", "$7\r\nLua 5.1\r\n"),
    CASE("return pcall(error,\"x\")", "0", "$-1\r\n"),
    CASE("return pcall(redis.call,\"nosuch\")", "0", "$-1\r\n"),
    CASE("local a,b=pcall(redis.call,\"nosuch\") return b", "0",
         "$44\r\nERR Unknown Redis command called from script\r\n"),
    CASE("local a,b=pcall(redis.call,\"nosuch\") return {type(b), b.err, b.source or \"-\", b.line "
         "or \"-\", tostring(b.ignore_error_stats_update)}",
         "0", "*1\r\n$6\r\nstring\r\n"),
    CASE("", "0", "$-1\r\n"),
    CASE("return unpack({1,2,3})", "0", ":1\r\n"),
    CASE("local t={} for i=1,7000 do t[i]=i end return #{unpack(t)}", "0", ":7000\r\n"),
    CASE("local t={} for i=1,9000 do t[i]=i end return #{unpack(t)}", "0",
         "-ERR user_script:1: too many results to unpack script: "
         "df13626664107833c6c59977e24a5d7dbff177c4, on @user_script:1.\r\n"),
    CASE("local function f() error(\"deep\") end f()", "0",
         "-ERR user_script:1: deep script: 0f009506d9ee0c29521e0472090beb8675e5d3c5, on "
         "@user_script:1.\r\n"),
    CASE("return string.rep(\"x\",3)", "0", "$3\r\nxxx\r\n"),
    CASE("local x <const> = 1", "0",
         "-ERR Error compiling script (new function): user_script:1: unexpected symbol near "
         "'<'\r\n"),
    CASE("return cjson.decode(\"{\")", "0",
         "-ERR user_script:1: Expected object key string but found T_END at character 2 script: "
         "11c9a27f0575c57ad53dea0235e50ac048d289a5, on @user_script:1.\r\n"),
    CASE("return bit.band(1.5,\"x\")", "0",
         "-ERR user_script:1: bad argument #2 to 'band' (number expected, got string) script: "
         "f698d362817f4a92ea15998e010f9cff68dc3f3b, on @user_script:1.\r\n"),
    CASE("return cjson.encode({})", "0", "$2\r\n{}\r\n"),
    CASE("return cjson.encode(cjson.decode(\"[1,2.5,null,\\\"x\\\",{\\\"a\\\":[]}]\"))", "0",
         "$25\r\n[1,2.5,null,\"x\",{\"a\":{}}]\r\n"),
    CASE("return cjson.encode({[1]=1,[100]=2})", "0",
         "-ERR user_script:1: Cannot serialise table: excessively sparse array script: "
         "10e3fc1ba99d624fff4384f90d3b886b1456f226, on @user_script:1.\r\n"),
    CASE("return cjson.encode(0/0)", "0",
         "-ERR user_script:1: Cannot serialise number: must not be NaN or Inf script: "
         "d3f8d4e745d6587b04e9dd216e0d4631f0a306d9, on @user_script:1.\r\n"),
    CASE("return cjson.encode(1e20)..cjson.encode(0.1)..cjson.encode(123456789012345678)", "0",
         "$27\r\n1e+200.11.2345678901235e+17\r\n"),
    CASE("return cjson._VERSION..cjson._NAME", "0", "$10\r\n2.1.0cjson\r\n"),
    CASE("return cjson.decode(\"0x10\")", "0", ":16\r\n"),
    CASE("return tostring(cjson.decode(\"nan\"))", "0", "$3\r\nnan\r\n"),
    CASE("return cjson.encode(\"a/b\\n\\127\\200\")", "0", "$15\r\n\"a\\/b\\n\\u007f\310\"\r\n"),
    CASE("return getmetatable(_G) == getmetatable(redis)", "0", "$-1\r\n"),
    CASE("return tostring(getmetatable(redis))", "0", "$3\r\nnil\r\n"),
    CASE("return type(coroutine.create(function() end))", "0", "$6\r\nthread\r\n"),
    CASE("return loadstring(\"\\27Lua\")", "0", "$-1\r\n"),
    CASE("return load(function() return nil end)", "0", "$-1\r\n"),
    CASE("return pcall(load(\"return x\"))", "0",
         "-ERR user_script:1: bad argument #1 to 'load' (function expected, got string) script: "
         "ad44f890c9a94172bb929e79e842c55c841420ed, on @user_script:1.\r\n"),
    CASE("return tostring(1e15)..tostring(2^53)..tostring(0.1)", "0",
         "$26\r\n1e+159.007199254741e+150.1\r\n"),
    CASE("return string.format(\"%.17g\",0.1)", "0", "$19\r\n0.10000000000000001\r\n"),
    CASE("return next({},1)", "0",
         "-ERR invalid key to 'next' script: 910aae74b78c8edc1de5b28bfe074c267445840f, on "
         "@user_script:1.\r\n"),
    CASE("local t=setmetatable({},{__index=function() error(\"idx\") end}) return t[1]", "0",
         "-ERR user_script:1: idx script: 47b056a39df9d3ac92bdd4301c3e4c230d99fd05, on "
         "@user_script:1.\r\n"),
    CASE("return setmetatable({},{__index=function(t,k) return 5 end})", "0", "*0\r\n"),
    CASE("return coroutine.create(function() end)", "0", "$-1\r\n"),
    CASE("error(\"x\",0)", "0",
         "-ERR x script: 30c50906f9c7735a6ac0d4f8b24229c1436672e7, on @user_script:1.\r\n"),
    CASE("error(\"x\",2)", "0",
         "-ERR x script: 5e058260241df3d25878a356e9eb47a42b519755, on @user_script:1.\r\n"),
    CASE("error(nil)", "0",
         "-ERR nil script: c402aa49952c86c38f35fb311d54977d08f3bf01, on @user_script:1.\r\n"),
    CASE("error(5)", "0",
         "-ERR user_script:1: 5 script: 007feaf5de074afe3398416376e34525ad911752, on "
         "@user_script:1.\r\n"),
    CASE("return assert(false,\"msg\")", "0",
         "-ERR user_script:1: msg script: d0a08cfefc9b3a0bee4635576e7a9e4a84579854, on "
         "@user_script:1.\r\n"),
    CASE("return assert(nil)", "0",
         "-ERR user_script:1: assertion failed! script: 24a439fc21966a7befbbc15499b0f7f3f5d9d35a, "
         "on @user_script:1.\r\n"),
    CASE("assert(false,{err=\"E x\"})", "0",
         "-ERR user_script:1: bad argument #2 to 'assert' (string expected, got table) script: "
         "c0b7a9bef336e33daaf595a260e3f8b06f645410, on @user_script:1.\r\n"),
    CASE("local s=\"x\"\nlocal y=s..nil", "0",
         "-ERR user_script:2: attempt to concatenate a nil value script: "
         "f3561eb4761087a4c547f9f29b02ad15bbf00cb5, on @user_script:2.\r\n"),
    CASE("return #nil", "0",
         "-ERR user_script:1: attempt to get length of a nil value script: "
         "6d6abd31d8721234b1ee1a830316ae36ef2693e2, on @user_script:1.\r\n"),
    CASE("return redis.foo", "0", "$-1\r\n"),
    CASE("local ok,e=pcall(function() x=1 end) return e", "0",
         "$49\r\nuser_script:1: Attempt to modify a readonly table\r\n"),
    CASE("local ok,e=pcall(function() return y end) return e", "0",
         "$73\r\nuser_script:1: Script attempted to access nonexistent global variable 'y'\r\n"),
    CASE("return KEYS", "0", "*0\r\n"),
    CASE("KEYS[1]=\"x\" return KEYS", "0", "*1\r\n$1\r\nx\r\n"),
    CASE("redis=nil", "0",
         "-ERR user_script:1: Attempt to modify a readonly table script: "
         "798fb82ecc67b35e8683852584ae0e9b80c7e89f, on @user_script:1.\r\n"),
    CASE("_G=1", "0",
         "-ERR user_script:1: Attempt to modify a readonly table script: "
         "d3bdca983d2510029c54509dd0c54219a5e3ff80, on @user_script:1.\r\n"),
    CASE("_G.x=1", "0",
         "-ERR user_script:1: Attempt to modify a readonly table script: "
         "9f1cf4e38bfbdecb441f9ea07fb01f5b69497362, on @user_script:1.\r\n"),
    CASE("return _G.x", "0",
         "-ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: "
         "a77ae67de163f975b1ed8463acc72469cf24a035, on @user_script:1.\r\n"),
    CASE("return rawget(_G,\"x\")", "0", "$-1\r\n"),
    CASE("return rawequal(_G,_G)", "0", ":1\r\n"),
    CASE("setmetatable(\"\",{})", "0",
         "-ERR user_script:1: bad argument #1 to 'setmetatable' (table expected, got string) "
         "script: b0d456c242145b97be84fe1bb43afab7dca68baf, on @user_script:1.\r\n"),
    CASE("return tostring(nil)..tostring(true)", "0", "$7\r\nniltrue\r\n"),
    CASE("return gcinfo()>0", "0", ":1\r\n"),
    CASE("local a,b = loadstring(\"\\27Lua\") return b", "0",
         "$52\r\n[string \"\033Lua\"]:1: unexpected symbol near 'char(27)'\r\n"),
    CASE("local a,b = loadstring(\"x x\") return b", "0",
         "$39\r\n[string \"x x\"]:1: '=' expected near 'x'\r\n"),
    CASE("return getmetatable(\"\").__index==string", "0", ":1\r\n"),
    CASE("return getmetatable(\"\").__index.x", "0", "$-1\r\n"),
    CASE("local ok,e=pcall(error,{err=\"x\"}) return {type(e),e}", "0",
         "*2\r\n$6\r\nstring\r\n$1\r\nx\r\n"),
    CASE("local ok,e=pcall(error,{1}) return {type(e),#e}", "0", "*2\r\n$5\r\ntable\r\n:1\r\n"),
    CASE("local t={} t.x=redis t.x.y=1", "0",
         "-ERR user_script:1: Attempt to modify a readonly table script: "
         "3344447053e8ff365ccc48d266f3c8fc5288b8ba, on @user_script:1.\r\n"),
    CASE("return", "0", "$-1\r\n"),
    CASE("error(\"a\\nb\")", "0",
         "-ERR user_script:1: a b script: c25efb1b406ca92aafb584691c5e64cb33f0c894, on "
         "@user_script:1.\r\n"),
    CASE("error(\"a\\0b\")", "0",
         "-ERR user_script:1: a script: 4bbf0ec4b16b123d8facc8a85ae7dfa66bb17655, on "
         "@user_script:1.\r\n"),
    CASE("return math.mod(7,4)", "0", ":3\r\n"),
    CASE("return string.gfind and 1", "0", ":1\r\n"),
    CASE("local t={5,6} table.foreach(t,function(k,v) t[k]=v+1 end) return t", "0",
         "*2\r\n:6\r\n:7\r\n"),
    CASE("return table.getn({1,2})", "0", ":2\r\n"),
    CASE("return table.setn and 1", "0", ":1\r\n"),
    CASE("return newproxy", "0",
         "-ERR user_script:1: Script attempted to access nonexistent global variable 'newproxy' "
         "script: f77b925834a6a5cd4c3f954d604c77e44181c40f, on @user_script:1.\r\n"),
    CASE("return type(getfenv)", "0",
         "-ERR user_script:1: Script attempted to access nonexistent global variable 'getfenv' "
         "script: d2c7282719af3bf866eec648f4592730ecb3a75f, on @user_script:1.\r\n"),
    CASE("return print", "0",
         "-ERR user_script:1: Script attempted to access nonexistent global variable 'print' "
         "script: df4c752a7558004676bbee87e38b92e0b9056d68, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\",source=\"src\"})", "0",
         "-A b script: cedd447c430abdaf32c268767e9312572e8e3daf, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\",line=3})", "0",
         "-A b script: 6574cde6f37ef3b262d991c04f6b4f2f38735e39, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\",foo=1})", "0",
         "-A b script: e78834a22a683e68c8b86560e7ff2bd88b1efeef, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\"})", "0",
         "-A b script: df6ea7b243bd4694220b86f5bcc978f66c2b680d, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\",ignore_error_stats_update=true})", "0",
         "-A b script: 07792119711969c615edd9b12a2e2b19bb48c408, on @user_script:1.\r\n"),
    CASE("error({err=\"A b\",source=\"src\",line=\"3\"})", "0",
         "-A b script: fbe4e856e8a50e5f1bd4213957ef8c6f093c7ff4, on @user_script:1.\r\n"),
    CASE("local function f() error({err=\"A b\"}) end f()", "0",
         "-A b script: 9b9005e862ce1a076caca54754c2f5f87aec9f52, on @user_script:1.\r\n"),
    CASE("local t={err=\"A b\",foo=1} t.foo=nil error(t)", "0",
         "-A b script: f42f178ac144f1774dffd088cf4707507b1e15e1, on @user_script:1.\r\n"),
};

static void what_scripts_find_is_what_redis_has(void **state)
{
    ask_cases(*state, cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_scripts_find_is_what_redis_has, ask_setup,
                                        talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
