/* SPDX-License-Identifier: Apache-2.0 */
/* The table redis, against what a real server answered. */
#include "tests/lua/ask.h"

static const struct ask_case cases[] = {
    CASE("return redis.sha1hex(\"\")", "0", "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n"),
    CASE("return redis.sha1hex()", "0",
         "-ERR wrong number of arguments script: 3c7ce947ae74a835cc575b6ee87fb27503cb7ba4, on "
         "@user_script:1.\r\n"),
    CASE("redis.setresp(4)", "0",
         "-ERR RESP version must be 2 or 3. script: 68e72e4d8a428b9f599dce492315f2455a425a82, on "
         "@user_script:1.\r\n"),
    CASE("return tostring(redis.REDIS_VERSION)..redis.REDIS_VERSION_NUM", "0",
         "$12\r\n7.0.15458767\r\n"),
    CASE("return redis.replicate_commands()", "0", ":1\r\n"),
    CASE("return redis.set_repl(redis.REPL_ALL)", "0", "$-1\r\n"),
    CASE("return redis.call(\"set\",\"a\",\"b\",\"c\")", "0",
         "-ERR syntax error script: 4e81ac11e3c07963edb43c64a99411b6c9c1a496, on "
         "@user_script:1.\r\n"),
    CASE("return redis.call(\"incr\",\"xx\",1)", "0",
         "-ERR Wrong number of args calling Redis command from script script: "
         "cd4e151838cd7a3e0531b545a7cad269c30d109a, on @user_script:1.\r\n"),
    CASE("return redis.log(1)", "0",
         "-ERR redis.log() requires two arguments or more. script: "
         "f5438245431406aa19fc387d93c6d03a0d5bcb0f, on @user_script:1.\r\n"),
    CASE("return redis.log(1,\"x\")", "0", "$-1\r\n"),
    CASE("return redis.log(9,\"x\")", "0",
         "-ERR Invalid debug level. script: 6d7e9cb8b3e5c2506d1c5376bab8c4c1ad6ce38a, on "
         "@user_script:1.\r\n"),
    CASE("return redis.call(\"set\",\"s\",\"x\")", "0", "+OK\r\n"),
    CASE("return redis.call(\"incr\",\"s\")", "0",
         "-ERR value is not an integer or out of range script: "
         "05a024512c22e9b7468dd3041a9a5108eb66b85c, on @user_script:1.\r\n"),
    CASE("return redis.pcall(\"incr\",\"s\")", "0",
         "-ERR value is not an integer or out of range\r\n"),
    CASE("local r=redis.pcall(\"incr\",\"s\") local o={} for k,v in pairs(r) do "
         "o[#o+1]=k..\"=\"..tostring(v) end return o",
         "0",
         "*2\r\n$30\r\nignore_error_stats_update=true\r\n$47\r\nerr=ERR value is not an integer or "
         "out of range\r\n"),
    CASE("return redis.call(\"lpush\",\"s\",\"x\")", "0",
         "-WRONGTYPE Operation against a key holding the wrong kind of value script: "
         "022944f38065e1ea982641529913a1ab6af1c048, on @user_script:1.\r\n"),
    CASE("return redis.call(\"lrange\",\"nol\",0,-1)", "0", "*0\r\n"),
    CASE("return redis.call(\"get\",\"nokey\")", "0", "$-1\r\n"),
    CASE("return type(redis.call(\"get\",\"nokey\"))", "0", "$7\r\nboolean\r\n"),
    CASE("return redis.call(\"ping\")", "0", "+PONG\r\n"),
    CASE("return redis.call(\"set\",\"s\",\"x\").ok", "0", "$2\r\nOK\r\n"),
    CASE("return redis.call(\"hgetall\",\"h\")", "0", "*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
    CASE("return redis.call(\"zscore\",\"z\",\"m\")", "0", "$3\r\n1.5\r\n"),
    CASE("return redis.error_reply()", "0", "-ERR wrong number or type of arguments\r\n"),
    CASE("return redis.error_reply(1)", "0", "-ERR wrong number or type of arguments\r\n"),
    CASE("return redis.error_reply(\"\")", "0", "-ERR \r\n"),
    CASE("return redis.status_reply(1)", "0", "-ERR wrong number or type of arguments\r\n"),
    CASE("return redis.error_reply(\"-\")", "0", "-ERR \r\n"),
    CASE("return redis.error_reply(\" a\")", "0", "- a\r\n"),
    CASE("return redis.call(\"select\",1)", "0", "+OK\r\n"),
    CASE("return redis.call(\"set\",\"a\",1.5)", "0", "+OK\r\n"),
    CASE("return redis.call(\"get\",\"a\")", "0", "$3\r\n1.5\r\n"),
    CASE("redis.call(\"set\",\"a\",1700000000123) return redis.call(\"get\",\"a\")", "0",
         "$13\r\n1700000000123\r\n"),
    CASE("return redis.call(\"set\",\"a\",1e300) , redis.call(\"get\",\"a\")", "0", "+OK\r\n"),
    CASE("return redis.call(\"echo\",0.1)", "0", "$19\r\n0.10000000000000001\r\n"),
    CASE("return redis.call(\"echo\",-0)", "0", "$2\r\n-0\r\n"),
    CASE("return redis.call(\"echo\",1/0)", "0", "$3\r\ninf\r\n"),
    CASE("return redis.call(\"echo\",3)", "0", "$1\r\n3\r\n"),
    CASE("return redis.call(\"echo\",true)", "0",
         "-ERR Lua redis lib command arguments must be strings or integers script: "
         "c59e4da2779daa17a7f7bf4188e7497a8997dda8, on @user_script:1.\r\n"),
    CASE("return redis.call(\"echo\",nil)", "0",
         "-ERR Lua redis lib command arguments must be strings or integers script: "
         "18b5af9be7b3a3c7fc8724558c09440e517c6969, on @user_script:1.\r\n"),
    CASE("return redis.call(\"SELECT\",\"99\")", "0",
         "-ERR DB index is out of range script: 091e19ede6ad74e84aa35012c652707113b92641, on "
         "@user_script:1.\r\n"),
    CASE("return redis.call(\"subscribe\",\"x\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "e7d45421cfe07574789e1c13ccf1015b1d648fe6, on @user_script:1.\r\n"),
    CASE("return redis.call(\"multi\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "211a39902cf76b98677003ff6f4c16cf0d1d5d6b, on @user_script:1.\r\n"),
    CASE("return redis.call(\"eval\",\"return 1\",0)", "0",
         "-ERR This Redis command is not allowed from script script: "
         "e5084e7bcd2fb5da5f7764a118cb0e1f801776b7, on @user_script:1.\r\n"),
    CASE("return redis.call(\"script\",\"load\",\"return 1\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "86cda453b364e2c5757e2986923e71508be40cc9, on @user_script:1.\r\n"),
    CASE("return redis.call(\"config\",\"get\",\"save\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "e7f671e9f3a48f6988b92875d2785aeb2f76b41d, on @user_script:1.\r\n"),
    CASE("return redis.call(\"client\",\"id\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "36565524857a3003db7ec0e662b31d9857241777, on @user_script:1.\r\n"),
    CASE("return redis.call(\"publish\",\"a\",\"b\")", "0", ":0\r\n"),
    CASE("return redis.call(\"watch\",\"a\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "c59d60c7bae2be40c90d35498b5751a274f45da6, on @user_script:1.\r\n"),
    CASE("return redis.call(\"auth\",\"a\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "bcd2e56172f6f15dd85c9872ce0b5630ea66b984, on @user_script:1.\r\n"),
    CASE("return redis.call(\"client\")", "0",
         "-ERR Wrong number of args calling Redis command from script script: "
         "ea9532bee86d9d95277a5879e8df3d3551b5d5ad, on @user_script:1.\r\n"),
    CASE("return redis.call(\"client\",\"foo\")", "0",
         "-ERR Unknown Redis command called from script script: "
         "b9df34cb353b96f4571566d84867345a9c2b99e5, on @user_script:1.\r\n"),
    CASE("return redis.call(\"xread\",\"block\",\"0\",\"streams\",\"s1\",\"$\")", "0",
         "-ERR xread command is not allowed with BLOCK option from scripts script: "
         "2df01712b9b3e77c567cffb307c8f941680291d6, on @user_script:1.\r\n"),
    CASE("return redis.call(\"xread\",\"streams\",\"a\")", "0",
         "-ERR Wrong number of args calling Redis command from script script: "
         "5e9bf0bddb64619b0cc248263a7d27682ba3204e, on @user_script:1.\r\n"),
    CASE("return redis.call(\"lpop\",\"nol\",3)", "0", "$-1\r\n"),
    CASE("return redis.call(\"brpoplpush\",\"a\",\"b\",0)", "0",
         "-ERR This Redis command is not allowed from script script: "
         "9885f643f8e9af94ecc2112240f72d1f57390e13, on @user_script:1.\r\n"),
    CASE("return redis.call(\"bzpopmin\",\"a\",0)", "0",
         "-ERR This Redis command is not allowed from script script: "
         "13b190925698debf6664617dc8f39a54318b8afa, on @user_script:1.\r\n"),
    CASE("return redis.acl_check_cmd(\"set\",\"x\",\"y\")", "0", ":1\r\n"),
    CASE("return redis.acl_check_cmd(\"nosuch\")", "0",
         "-ERR Invalid command passed to redis.acl_check_cmd() script: "
         "845c47ef9792d96c18d3ab32fa5bcfca46201d7a, on @user_script:1.\r\n"),
    CASE("return redis.acl_check_cmd()", "0",
         "-ERR Please specify at least one argument for this redis lib call script: "
         "1124f33ad66e7866b4e0c1499a4c20fb5eb9c180, on @user_script:1.\r\n"),
    CASE("return redis.breakpoint()", "0", "$-1\r\n"),
    CASE("return redis.debug(\"x\")", "0", "$-1\r\n"),
    CASE("return redis.set_repl(99)", "0",
         "-ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE. "
         "script: fae934173b6296d6836d5d5f52e192640f8897d9, on @user_script:1.\r\n"),
    CASE("return redis.set_repl()", "0",
         "-ERR redis.set_repl() requires two arguments. script: "
         "9504533b41060c143a92eb2f8878e77d33b6dc33, on @user_script:1.\r\n"),
    CASE("return redis.setresp()", "0",
         "-ERR redis.setresp() requires one argument. script: "
         "76da64e28014e7c9ad76db33c3918c53d81a3d7e, on @user_script:1.\r\n"),
    CASE("return redis.setresp(\"x\")", "0",
         "-ERR RESP version must be 2 or 3. script: a4555b09b271c1930dd362411ccc5f6d713029fb, on "
         "@user_script:1.\r\n"),
    CASE("return redis.sha1hex(\"a\",\"b\")", "0",
         "-ERR wrong number of arguments script: ef32ed1c5241b431ae6dfb205cb038594e4938a7, on "
         "@user_script:1.\r\n"),
    CASE("return redis.sha1hex({})", "0", "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n"),
    CASE("return redis.log(\"x\",\"y\")", "0",
         "-ERR First argument must be a number (log level). script: "
         "a642a1ea01b696b4b74651935b72c3a016af31a0, on @user_script:1.\r\n"),
    CASE("return redis.log(1,{})", "0", "$-1\r\n"),
    CASE("redis.call(\"set\",\"a\",\"b\") error(\"x\")", "0",
         "-ERR user_script:1: x script: 9916b3d226f813b2516a35872ba9c64c5741e149, on "
         "@user_script:1.\r\n"),
    CASE("return redis.call(\"exec\")", "0",
         "-ERR This Redis command is not allowed from script script: "
         "e51657d1c3e08cf3c9c0bc232d01f6f3e3682ab4, on @user_script:1.\r\n"),
    CASE("return coroutine.wrap(function() return redis.call(\"ping\") end)()", "0", "+PONG\r\n"),
    CASE("return coroutine.wrap(function() return redis.call(\"nosuch\") end)()", "0",
         "-ERR Unknown Redis command called from script script: "
         "be17d463baf2dd79f7e9877fb36235011f7cff26, on @user_script:1.\r\n"),
    CASE("return redis.pcall(\"nosuch\",\"a\")[\"err\"]", "0",
         "$44\r\nERR Unknown Redis command called from script\r\n"),
    CASE("for i=1,3 do redis.call(\"nosuch\") end", "0",
         "-ERR Unknown Redis command called from script script: "
         "dd8da500c6122cc0af00ce3e8e353112a1732647, on @user_script:1.\r\n"),
    CASE("\n\nredis.call(\"nosuch\")", "0",
         "-ERR Unknown Redis command called from script script: "
         "18ccb40004097d96efa42c23040a329288361c8f, on @user_script:3.\r\n"),
    CASE("return redis.call(\"get\",string.rep(\"a\",3),string.rep(\"b\",400))", "0",
         "-ERR Wrong number of args calling Redis command from script script: "
         "626b782af0775e7e22dd8102cd25308730d4438a, on @user_script:1.\r\n"),
    CASE("return redis.call(\"zadd\",\"z\",\"x\",\"y\")", "0",
         "-ERR value is not a valid float script: b41bffe7234a77b83a18a2e0034e2c390068e0ae, on "
         "@user_script:1.\r\n"),
    CASE("redis.log(redis.LOG_NOTICE,'a',1,nil)", "0", "$-1\r\n"),
    CASE("return "
         "redis.LOG_DEBUG..redis.LOG_VERBOSE..redis.LOG_NOTICE..redis.LOG_WARNING..redis.REPL_ALL.."
         "redis.REPL_AOF..redis.REPL_NONE..redis.REPL_REPLICA..redis.REPL_SLAVE",
         "0", "$9\r\n012331022\r\n"),
    CASE("local r=redis.pcall(\"get\") local o={} for k,v in pairs(r) do "
         "o[#o+1]=k..\"=\"..tostring(v) end table.sort(o) return o",
         "0",
         "*2\r\n$62\r\nerr=ERR Wrong number of args calling Redis command from "
         "script\r\n$30\r\nignore_error_stats_update=true\r\n"),
    CASE("error(redis.pcall(\"incr\",\"s\"))", "0",
         "-ERR value is not an integer or out of range script: "
         "ad6b591e773f3bab700020f62b444fbd17ad12b6, on @user_script:1.\r\n"),
    CASE("error(redis.error_reply(\"X y\"))", "0",
         "-X y script: 754fc4206f1c06a6dee80c23eb1412979c05e042, on @user_script:1.\r\n"),
    CASE("local ok,e=xpcall(function() redis.call(\"nosuch\") end, function(e) local o={} for k,v "
         "in pairs(e) do o[#o+1]=k..\"=\"..tostring(v) end table.sort(o) return "
         "table.concat(o,\",\") end) return e",
         "0",
         "$79\r\nerr=ERR Unknown Redis command called from "
         "script,ignore_error_stats_update=true\r\n"),
    CASE("local ok,e=xpcall(function() redis.call(\"lpush\",\"s\") end, function(e) local o={} for "
         "k,v in pairs(e) do o[#o+1]=k..\"=\"..tostring(v) end table.sort(o) return "
         "table.concat(o,\",\") end) return e",
         "0",
         "$93\r\nerr=ERR Wrong number of args calling Redis command from "
         "script,ignore_error_stats_update=true\r\n"),
    CASE("redis.call(\"set\",\"s\",\"x\") local ok,e=xpcall(function() redis.call(\"incr\",\"s\") "
         "end, function(e) local o={} for k,v in pairs(e) do o[#o+1]=k..\"=\"..tostring(v) end "
         "table.sort(o) return table.concat(o,\",\") end) return e",
         "0",
         "$78\r\nerr=ERR value is not an integer or out of "
         "range,ignore_error_stats_update=true\r\n"),
    CASE("return redis.pcall()", "0",
         "-ERR Please specify at least one argument for this redis lib call\r\n"),
    CASE("return redis.pcall({})", "0",
         "-ERR Lua redis lib command arguments must be strings or integers\r\n"),
    CASE("return {redis.pcall({})[\"err\"]}", "0",
         "*1\r\n$63\r\nERR Lua redis lib command arguments must be strings or integers\r\n"),
    CASE("return select(\"#\",redis.log(1,\"x\"))", "0", ":0\r\n"),
    CASE("return select(\"#\",redis.breakpoint())", "0", ":1\r\n"),
    CASE("return select(\"#\",redis.set_repl(0))", "0", ":0\r\n"),
    CASE("return select(\"#\",redis.replicate_commands())", "0", ":1\r\n"),
    CASE("return type(redis.breakpoint())", "0", "$7\r\nboolean\r\n"),
    CASE("return {redis.call(\"ping\"),redis.call(\"ping\")}", "0", "*2\r\n+PONG\r\n+PONG\r\n"),
    CASE("return redis.status_reply(\"a\\r\\nb\")", "0", "+a  b\r\n"),
    CASE("return redis.status_reply(\"\")", "0", "+\r\n"),
    CASE("return #redis.status_reply(\"a\\0b\").ok", "0", ":3\r\n"),
    CASE("return #redis.error_reply(\"a\\0b\").err", "0", ":5\r\n"),
    CASE("return redis.status_reply(\"a\\0b\")", "0", "+a\r\n"),
    CASE("return redis.error_reply(\"a\\r\\nb\")", "0", "-ERR a  b\r\n"),
    CASE("return redis.error_reply(\"a b\\0c\")", "0", "-a b\r\n"),
    CASE("redis.call(\"select\",3) return redis.call(\"set\",\"in3\",\"1\")", "0", "+OK\r\n"),
    CASE("redis.call(\"select\",0) return 1", "0", ":1\r\n"),
    CASE("redis.call(\"lpush\",\"s\",\"x\")", "0",
         "-WRONGTYPE Operation against a key holding the wrong kind of value script: "
         "bbbc9164c3462f6a444069e9a1f62467983d7b1a, on @user_script:1.\r\n"),
};

static void the_table_redis_is_that_of_redis(void **state)
{
    ask_cases(*state, cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_table_redis_is_that_of_redis, ask_setup, talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
