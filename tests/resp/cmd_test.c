/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, reply by reply. */
#include "tests/resp/talk.h"

#include <unistd.h>

static void a_connection_greets_and_says_who_it_is(void **state)
{
    struct talk *t = *state;

    assert_memory_equal(talk(t, 0, "HELLO"), "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n", 26);
    assert_memory_equal(talk(t, 0, "HELLO 3"), "%7\r\n$6\r\nserver\r\n", 16);
    assert_non_null(strstr(t->text, "$5\r\nproto\r\n:3\r\n"));
    assert_reply(t, 0, "GET x", "_\r\n");
    assert_memory_equal(talk(t, 0, "HELLO 2 SETNAME me"), "*14\r\n", 5);
    assert_reply(t, 0, "CLIENT GETNAME", "$2\r\nme\r\n");
    assert_reply(t, 0, "HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    assert_reply(t, 0, "HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    assert_reply(t, 0, "HELLO 3 NONSENSE", "-ERR Syntax error in HELLO option 'NONSENSE'\r\n");
    assert_memory_equal(talk(t, 0, "AUTH x"), "-ERR AUTH <password> called without any", 39);
    assert_memory_equal(talk(t, 0, "HELLO 2 AUTH default x"), "*14\r\n", 5);
    assert_memory_equal(talk(t, 0, "CLIENT LIST"), "$", 1);
    assert_non_null(strstr(t->text, " name=me "));
    assert_reply(t, 0, "CLIENT NONSENSE",
                 "-ERR unknown subcommand 'NONSENSE'. Try CLIENT HELP.\r\n");
}

static void without_the_password_nothing_can_be_done(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->config.password = "secret";
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "GET x", "-NOAUTH Authentication required.\r\n");
    assert_reply(t, 0, "PING", "-NOAUTH Authentication required.\r\n");
    assert_memory_equal(talk(t, 0, "HELLO 3"), "-NOAUTH HELLO must be called", 28);
    assert_reply(t, 0, "AUTH wrong",
                 "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_reply(t, 0, "AUTH secre",
                 "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_reply(t, 0, "AUTH else secret",
                 "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_reply(t, 0, "GET x", "-NOAUTH Authentication required.\r\n");
    assert_reply(t, 0, "AUTH default secret", "+OK\r\n");
    assert_reply(t, 0, "GET x", "$-1\r\n");
    assert_reply(t, 0, "RESET", "+RESET\r\n");
    assert_reply(t, 0, "GET x", "-NOAUTH Authentication required.\r\n");
    talk_connect(t, 1);
    talk_feed(t, 1, "*11\r\n", 5);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1),
                        "-ERR Protocol error: unauthenticated multibulk length\r\n");
}

static void databases_are_apart(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET k zero");
    assert_reply(t, 0, "SELECT 15", "+OK\r\n");
    assert_reply(t, 0, "GET k", "$-1\r\n");
    (void)talk(t, 0, "SET k fifteen");
    assert_reply(t, 0, "SELECT 16", "-ERR DB index is out of range\r\n");
    assert_reply(t, 0, "SELECT x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "SWAPDB 0 15", "+OK\r\n");
    assert_reply(t, 0, "GET k", "$4\r\nzero\r\n");
    assert_reply(t, 0, "FLUSHDB", "+OK\r\n");
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
    (void)talk(t, 0, "SELECT 0");
    assert_reply(t, 0, "GET k", "$7\r\nfifteen\r\n");
    assert_reply(t, 0, "FLUSHALL ASYNC", "+OK\r\n");
    assert_reply(t, 0, "FLUSHALL SOON", "-ERR syntax error\r\n");
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
}

static void a_list_can_be_worked_on_in_every_way(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "LPUSHX q a", ":0\r\n");
    assert_reply(t, 0, "RPUSH q a b c d", ":4\r\n");
    assert_reply(t, 0, "LPUSH q z y", ":6\r\n");
    assert_reply(t, 0, "LPOP q", "$1\r\ny\r\n");
    assert_reply(t, 0, "RPOP q 2", "*2\r\n$1\r\nd\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "LPOP q 0", "*0\r\n");
    assert_reply(t, 0, "LPOP q -1", "-ERR value is out of range, must be positive\r\n");
    assert_reply(t, 0, "LPOP none", "$-1\r\n");
    assert_reply(t, 0, "LPOP none 3", "*-1\r\n");
    assert_reply(t, 0, "LRANGE q 0 -1", "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "LRANGE q x 1", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "LINDEX q -1", "$1\r\nb\r\n");
    assert_reply(t, 0, "LINDEX q 9", "$-1\r\n");
    assert_reply(t, 0, "LSET q 1 A", "+OK\r\n");
    assert_reply(t, 0, "LSET q 9 A", "-ERR index out of range\r\n");
    assert_reply(t, 0, "LSET none 0 A", "-ERR no such key\r\n");
    assert_reply(t, 0, "LINSERT q BEFORE b x", ":4\r\n");
    assert_reply(t, 0, "LINSERT q after none x", ":-1\r\n");
    assert_reply(t, 0, "LINSERT q near b x", "-ERR syntax error\r\n");
    assert_reply(t, 0, "RPUSH q x x", ":6\r\n");
    assert_reply(t, 0, "LPOS q x", ":2\r\n");
    assert_reply(t, 0, "LPOS q x COUNT 0", "*3\r\n:2\r\n:4\r\n:5\r\n");
    assert_reply(t, 0, "LPOS q x RANK -1 COUNT 2", "*2\r\n:5\r\n:4\r\n");
    assert_reply(t, 0, "LPOS q x MAXLEN 2", "$-1\r\n");
    assert_memory_equal(talk(t, 0, "LPOS q x RANK 0"), "-ERR RANK can't be zero", 23);
    assert_reply(t, 0, "LREM q -2 x", ":2\r\n");
    assert_reply(t, 0, "LTRIM q 1 2", "+OK\r\n");
    assert_reply(t, 0, "LRANGE q 0 -1", "*2\r\n$1\r\nA\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "LMOVE q r RIGHT LEFT", "$1\r\nx\r\n");
    assert_reply(t, 0, "RPOPLPUSH q r", "$1\r\nA\r\n");
    assert_reply(t, 0, "LMPOP 2 q r LEFT COUNT 5", "*2\r\n$1\r\nr\r\n*2\r\n$1\r\nA\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "LMPOP 2 q r LEFT", "*-1\r\n");
    assert_reply(t, 0, "LMPOP 0 q LEFT", "-ERR numkeys should be greater than 0\r\n");
    assert_reply(t, 0, "EXISTS q r", ":0\r\n");
}

static void keys_can_be_found_renamed_and_deleted(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "MSET a 1 b 2 c 3", "+OK\r\n");
    assert_reply(t, 0, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    assert_reply(t, 0, "MGET a none c", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n");
    assert_reply(t, 0, "EXISTS a b a none", ":3\r\n");
    assert_reply(t, 0, "TYPE a", "+string\r\n");
    assert_reply(t, 0, "TYPE none", "+none\r\n");
    assert_reply(t, 0, "KEYS [b]", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "SCAN 0 MATCH c COUNT 100 TYPE string",
                 "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "SCAN x", "-ERR invalid cursor\r\n");
    assert_reply(t, 0, "SCAN -", "-ERR invalid cursor\r\n");
    assert_reply(t, 0, "SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
    assert_reply(t, 0, "SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(t, 0, "SSCAN nothing -1 COUNT x", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(t, 0, "SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    assert_reply(t, 0, "RENAME a d", "+OK\r\n");
    assert_reply(t, 0, "RENAME none d", "-ERR no such key\r\n");
    assert_reply(t, 0, "RENAMENX d b", ":0\r\n");
    assert_reply(t, 0, "RENAMENX d e", ":1\r\n");
    assert_reply(t, 0, "DEL e b none", ":2\r\n");
    assert_reply(t, 0, "UNLINK c", ":1\r\n");
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
    assert_memory_equal(talk(t, 0, "LPUSH"), "-ERR wrong number of arguments for 'lpush'", 42);
}

static void a_string_can_be_worked_on_in_every_way(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "SET k v PX 100000 NX", "+OK\r\n");
    assert_reply(t, 0, "SET k w NX", "$-1\r\n");
    assert_reply(t, 0, "SET k w XX GET KEEPTTL", "$1\r\nv\r\n");
    assert_reply(t, 0, "TTL k", ":100\r\n");
    assert_reply(t, 0, "SET k w GET", "$1\r\nw\r\n");
    assert_reply(t, 0, "TTL k", ":-1\r\n");
    assert_reply(t, 0, "SET k v NX XX", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SET k v EX", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SET k v EX 1 PX 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SET k v EX x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n");
    assert_reply(t, 0, "SET k v PX 9223372036854775807",
                 "-ERR invalid expire time in 'set' command\r\n");
    assert_reply(t, 0, "SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n");
    assert_reply(t, 0, "SETEX k 50 v", "+OK\r\n");
    assert_reply(t, 0, "GETEX k PERSIST", "$1\r\nv\r\n");
    assert_reply(t, 0, "PTTL k", ":-1\r\n");
    assert_reply(t, 0, "GETEX k EX 70", "$1\r\nv\r\n");
    assert_reply(t, 0, "TTL k", ":70\r\n");
    assert_reply(t, 0, "GETSET k 10", "$1\r\nv\r\n");
    assert_reply(t, 0, "INCR k", ":11\r\n");
    assert_reply(t, 0, "DECRBY k 5", ":6\r\n");
    assert_reply(t, 0, "INCRBY k 9223372036854775807",
                 "-ERR increment or decrement would overflow\r\n");
    assert_reply(t, 0, "DECRBY k -9223372036854775808", "-ERR decrement would overflow\r\n");
    assert_reply(t, 0, "INCRBYFLOAT k 0.5", "$3\r\n6.5\r\n");
    assert_reply(t, 0, "INCR k", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "APPEND k 00", ":5\r\n");
    assert_reply(t, 0, "GETRANGE k -3 -1", "$3\r\n500\r\n");
    assert_reply(t, 0, "SETRANGE k 6 x", ":7\r\n");
    assert_reply(t, 0, "SETRANGE k -1 x", "-ERR offset is out of range\r\n");
    assert_memory_equal(talk(t, 0, "SETRANGE k 536870912 x"), "-ERR string exceeds maximum", 27);
    assert_reply(t, 0, "STRLEN k", ":7\r\n");
    assert_reply(t, 0, "MSETNX a 1 k 2", ":0\r\n");
    assert_reply(t, 0, "MSETNX a 1 b 2", ":1\r\n");
    assert_reply(t, 0, "GETDEL a", "$1\r\n1\r\n");
    assert_reply(t, 0, "GETDEL a", "$-1\r\n");
    (void)talk(t, 0, "RPUSH l x");
    assert_memory_equal(talk(t, 0, "INCR l"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "SET l v GET"), "-WRONGTYPE ", 11);
    assert_reply(t, 0, "SET l v", "+OK\r\n");
}

static void keys_end_when_their_time_is_over(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events Ex", "+OK\r\n");
    (void)talk(t, 1, "SUBSCRIBE __keyevent@0__:expired");
    assert_reply(t, 0, "EXPIRE none 10", ":0\r\n");
    (void)talk(t, 0, "RPUSH q a");
    assert_reply(t, 0, "TTL q", ":-1\r\n");
    assert_reply(t, 0, "TTL none", ":-2\r\n");
    assert_reply(t, 0, "EXPIRE q 100 XX", ":0\r\n");
    assert_reply(t, 0, "EXPIRE q 100 NX", ":1\r\n");
    assert_reply(t, 0, "EXPIRE q 50 GT", ":0\r\n");
    assert_reply(t, 0, "EXPIRE q 50 LT", ":1\r\n");
    assert_reply(t, 0, "EXPIRE q 50 NX XX",
                 "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    assert_reply(t, 0, "EXPIRE q 50 GT LT",
                 "-ERR GT and LT options at the same time are not compatible\r\n");
    assert_reply(t, 0, "EXPIRE q 50 NO", "-ERR Unsupported option NO\r\n");
    assert_reply(t, 0, "EXPIRE q x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "EXPIRE q 9223372036854775807",
                 "-ERR invalid expire time in 'expire' command\r\n");
    assert_reply(t, 0, "PERSIST q", ":1\r\n");
    assert_reply(t, 0, "PERSIST q", ":0\r\n");
    assert_reply(t, 0, "PEXPIREAT q 1", ":1\r\n");
    assert_reply(t, 0, "EXISTS q", ":0\r\n");
    assert_reply(t, 0, "SET k v PX 20", "+OK\r\n");
    for (int i = 0; i < 12000 && talk_heard(t, 1)[0] == '\0'; i++) {
        assert_int_equal(usleep(5000), 0);
        talk_turn(t);
    }
    assert_string_equal(t->text,
                        "*3\r\n$7\r\nmessage\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\nk\r\n");
    assert_reply(t, 0, "GET k", "$-1\r\n");
}

static void the_server_tells_of_itself(void **state)
{
    static const char *const lines[] = {
        "redis_version:7.0.15\r\n",        "loading:0\r\n", "role:master\r\n",
        "maxmemory_policy:noeviction\r\n", "db0:keys=1,",   "store_sync:always\r\n"};
    struct talk *t = *state;

    (void)talk(t, 0, "SET k v");
    (void)talk(t, 0, "INFO");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_non_null(strstr(t->text, lines[i]));
    }
    (void)talk(t, 0, "INFO Server");
    assert_non_null(strstr(t->text, "run_id:"));
    assert_null(strstr(t->text, "role:master"));
    assert_reply(t, 0, "INFO nonsense", "$0\r\n\r\n");
    assert_memory_equal(talk(t, 0, "COMMAND INFO lpop nonsense"),
                        "*2\r\n*10\r\n$4\r\nlpop\r\n:-2\r\n", 24);
    assert_reply(t, 0, "COMMAND INFO nonsense", "*1\r\n$-1\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS EVAL x 1.5 k", "*1\r\n$1\r\nk\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS EVAL x 1x k", "*1\r\n$1\r\nk\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS EVAL x x k", "*0\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS EVAL x 0 k", "*0\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS ZUNION 0 k",
                 "-ERR Invalid arguments specified for command\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS ECHO x", "-ERR The command has no key arguments\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "CONFIG SET appendfsync everysec", "+OK\r\n");
    assert_reply(
        t, 0, "CONFIG GET append*",
        "*4\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    assert_memory_equal(talk(t, 0, "CONFIG SET nonsense 1"), "-ERR Unknown option", 19);
    assert_reply(t, 0, "SHUTDOWN nonsense", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SHUTDOWN ABORT NOW", "-ERR syntax error\r\n");
    assert_reply(t, 0, "SHUTDOWN abort", "-ERR No shutdown in progress.\r\n");
    assert_false(t->shutdown);
    assert_reply(t, 0, "SHUTDOWN NOSAVE now FORCE", "");
    assert_true(t->shutdown);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

/* Cases from a redis-server 7.0. */
static void of_several_faults_the_one_that_redis_tells_is_told(void **state)
{
    static const char *const rows[][2] = {
        {"BLMPOP -1 0 k LEFT", "-ERR numkeys should be greater than 0\r\n"},
        {"BLMPOP x 1 k LEFT COUNT 0", "-ERR count should be greater than 0\r\n"},
        {"BLMPOP -1 1 k up", "-ERR syntax error\r\n"},
        {"BLMPOP -1 1 k LEFT", "-ERR timeout is negative\r\n"},
        {"BZMPOP x 1 k no", "-ERR syntax error\r\n"},
        {"BZMPOP x 1 k MIN", "-ERR timeout is not a float or out of range\r\n"},
        {"SRANDMEMBER k -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807\r\n"},
        {"SRANDMEMBER k 9223372036854775807", "*0\r\n"},
        {"HRANDFIELD k -9223372036854775808 no",
         "-ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807\r\n"},
        {"HRANDFIELD k 9223372036854775807", "*0\r\n"},
        {"HRANDFIELD k 9223372036854775807 WITHVALUES", "-ERR value is out of range\r\n"},
        {"HSCAN text 0 COUNT 0",
         "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"SSCAN set 0 COUNT 0", "-ERR syntax error\r\n"},
        {"SSCAN set 0 MATCH *", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nm\r\n"},
        {"CONFIG SET slowlog-max-len 1 acllog-max-len", "-ERR syntax error\r\n"},
        {"CONFIG SET slowlog-max-len 1 slowlog-max-len 2",
         "-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - duplicate "
         "parameter\r\n"},
        {"CONFIG GET slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$3\r\n128\r\n"},
        {"CLIENT KILL TYPE no", "-ERR Unknown client type 'no'\r\n"},
        {"CLIENT UNBLOCK 7 no x",
         "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT "
         "HELP.\r\n"},
        {"CLIENT NO-EVICT x", "-ERR syntax error\r\n"},
    };
    struct talk *t = *state;

    (void)talk(t, 0, "SADD set m");
    (void)talk(t, 0, "SET text x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(talk(t, 0, rows[i][0]), rows[i][1]) != 0) {
            fail_msg("%s: %s", rows[i][0], t->text);
        }
    }
    assert_reply(t, 0, "CLIENT NO-EVICT on", "+OK\r\n");
    assert_non_null(strstr(talk(t, 0, "CLIENT INFO"), " flags=e "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_greets_and_says_who_it_is),
        TEST(without_the_password_nothing_can_be_done),
        TEST(databases_are_apart),
        TEST(a_list_can_be_worked_on_in_every_way),
        TEST(keys_can_be_found_renamed_and_deleted),
        TEST(a_string_can_be_worked_on_in_every_way),
        TEST(keys_end_when_their_time_is_over),
        TEST(the_server_tells_of_itself),
        TEST(of_several_faults_the_one_that_redis_tells_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
