/* SPDX-License-Identifier: Apache-2.0 */
/* EVAL and its like, SCRIPT, and what scripts are to the rest of the server: transactions, who waits,
 * who watches, batches that fail. Replies are those of a real server. */
#include "tests/lua/ask.h"

static const struct ask_case cases[] = {
    CASE("return {KEYS[1],ARGV[1],ARGV[2],#KEYS,#ARGV}", "1 a b c",
         "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n:1\r\n:2\r\n"),
    CASE("return 1", "a", "-ERR value is not an integer or out of range\r\n"),
    CASE("return 1", "-1", "-ERR Number of keys can't be negative\r\n"),
    CASE("return 1", "2 a", "-ERR Number of keys can't be greater than number of args\r\n"),
    CASE("#!lua flags=no-writes\nreturn redis.call(\"set\",\"x\",\"y\")", "0",
         "-ERR Write commands are not allowed from read-only scripts. script: "
         "a24c0757acf03ad8babee094911b30a648e8ce22, on @user_script:2.\r\n"),
    CASE("#!lua\nreturn 1", "0", ":1\r\n"),
    CASE("#!lua flags=bogus\nreturn 1", "0", "-ERR Unexpected flag in script shebang: bogus\r\n"),
    CASE("#!python\nreturn 1", "0", "-ERR Unexpected engine in script shebang: #!python\r\n"),
    CASE("#!lua foo=bar\nreturn 1", "0", "-ERR Unknown lua shebang option: foo=bar\r\n"),
    CASE("#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1",
         "0", ":1\r\n"),
    CASE("#!lua flags=\nreturn 1", "0", ":1\r\n"),
    CASE("#!lua flags=no-writes", "0", "-ERR Invalid script shebang\r\n"),
    CASE("#!lua  flags=no-writes \nreturn 1", "0", ":1\r\n"),
    CASE("#!", "0", "-ERR Invalid script shebang\r\n"),
    CASE("#!\n", "0", "-ERR Unexpected engine in script shebang: #!\r\n"),
    CASE("#!lua flags\nreturn 1", "0", "-ERR Unknown lua shebang option: flags\r\n"),
    CASE("#!lua name=x\nreturn 1", "0", "-ERR Unknown lua shebang option: name=x\r\n"),
};

static void arguments_and_first_lines_are_read_as_in_redis(void **state)
{
    ask_cases(*state, cases, sizeof cases / sizeof cases[0]);
}

static void a_script_is_known_by_its_digest(void **state)
{
    struct talk *t = *state;
    const char *unknown = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

    assert_reply(t, 0, "EVALSHA x 0", unknown);
    assert_reply(t, 0, "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", unknown);
    assert_string_equal(ask(t, 0, "return 1", "0"), ":1\r\n");
    assert_reply(t, 0, "EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0", ":1\r\n");
    assert_reply(t, 0, "EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", ":1\r\n");
    assert_reply(t, 0, "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db x",
                 "*2\r\n:1\r\n:0\r\n");
    assert_reply(t, 0, "SCRIPT FLUSH x", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n");
    assert_reply(t, 0, "SCRIPT FLUSH ASYNC", "+OK\r\n");
    assert_reply(t, 0, "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", unknown);
    assert_reply(t, 0, "SCRIPT KILL", "-NOTBUSY No scripts in execution right now.\r\n");
    assert_reply(t, 0, "SCRIPT LOAD return", "$40\r\n63143b6f8007b98c53ca2149822777b3566f9241\r\n");
    assert_reply(t, 0, "SCRIPT LOAD x=",
                 "-ERR Error compiling script (new function): user_script:1: unexpected symbol "
                 "near '<eof>'\r\n");
    talk_feed(t, 0, "EVAL_RO \"#!lua\\nreturn 1\" 0\r\n", 29);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0),
                        "-ERR Can not execute a script with write flag using *_ro command.\r\n");
    assert_reply(t, 0, "EVAL_RO x=1 a", "-ERR value is not an integer or out of range\r\n");
}

static void without_an_interpreter_scripts_are_refused(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "EVAL x 0", "-ERR This server was built without scripts\r\n");
    assert_reply(t, 0, "SCRIPT LOAD x", "-ERR This server was built without scripts\r\n");
}

static void what_was_written_before_an_error_stays(void **state)
{
    struct talk *t = *state;

    assert_int_equal(ask(t, 0, "redis.call('set', 'a', '1') error('no')", "0")[0], '-');
    assert_reply(t, 0, "GET a", "$1\r\n1\r\n");
    assert_int_equal(
        ask(t, 0, "redis.call('set', 'a', '2') redis.call('incr', 's') redis.call('del', 'a')",
            "0")[0],
        '-');
    assert_reply(t, 0, "GET a", "$1\r\n2\r\n");
}

static void a_scripts_writes_survive_a_restart(void **state)
{
    struct talk *t = *state;

    assert_string_equal(ask(t, 0, "return redis.call('rpush', KEYS[1], unpack(ARGV))", "1 q a b"),
                        ":2\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "LRANGE q 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 0",
                 "-NOSCRIPT No matching script. Please use EVAL.\r\n");
}

static void scripts_are_queued_by_multi(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MULTI");
    assert_string_equal(ask(t, 0, "return redis.call('incr', 'n')", "0"), "+QUEUED\r\n");
    (void)talk(t, 0, "INCR n");
    assert_string_equal(ask(t, 0, "error('no')", "0"), "+QUEUED\r\n");
    (void)talk(t, 0, "GET n");
    assert_reply(t, 0, "EXEC",
                 "*4\r\n:1\r\n:2\r\n-ERR user_script:1: no script: "
                 "eca06311a091a5f01b538c5e061dc50ec8826663, on @user_script:1.\r\n$1\r\n2\r\n");
}

static void who_waits_is_served_after_the_whole_script(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    talk_send(t, 1, "BLPOP q 0");
    talk_send(t, 2, "BLPOP q 0");
    talk_turn(t);
    assert_string_equal(
        ask(t, 0, "redis.call('rpush', 'q', 'a', 'b') return redis.call('llen', 'q')", "0"),
        ":2\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nq\r\n$1\r\nb\r\n");
    talk_send(t, 1, "BLPOP q 0");
    talk_turn(t);
    (void)ask(t, 0, "redis.call('rpush', 'q', 'c') redis.call('del', 'q')", "0");
    assert_string_equal(talk_heard(t, 1), "");
}

static void who_watches_sees_what_a_script_writes(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "WATCH s");
    (void)ask(t, 0, "redis.call('set', 's', 'y')", "0");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "GET s");
    assert_reply(t, 1, "EXEC", "*-1\r\n");
}

static void a_script_may_go_to_another_database_and_the_client_stays(void **state)
{
    struct talk *t = *state;

    (void)ask(t, 0, "redis.call('select', 3) redis.call('set', 'in3', '1')", "0");
    assert_reply(t, 0, "GET in3", "$-1\r\n");
    assert_reply(t, 0, "SELECT 3", "+OK\r\n");
    assert_reply(t, 0, "GET in3", "$1\r\n1\r\n");
}

static void messages_of_a_script_reach_those_who_are_subscribed(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "SUBSCRIBE c");
    assert_string_equal(ask(t, 0, "return redis.call('publish', 'c', 'm')", "0"), ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
}

static void scripts_share_a_batch_and_come_again_when_it_is_too_big(void **state)
{
    static const char push[] = "return redis.call('rpush', 'q', string.rep('x', 3000))";
    struct talk *t = *state;
    const char *heard;

    talk_close(t);
    t->store.txn_bytes = 128 << 10;
    t->store.journal = OXBOW_JOURNAL_OFF; /* else batches end long before */
    talk_open(t);
    talk_connect(t, 0);
    for (int i = 0; i < 100; i++) {
        ask_send(t, 0, push, "0");
    }
    talk_turn(t);
    heard = talk_heard(t, 0);
    for (int i = 1; i <= 100; i++) {
        char want[16];

        (void)snprintf(want, sizeof want, ":%d\r\n", i);
        assert_memory_equal(heard, want, strlen(want));
        heard += strlen(want);
    }
    assert_string_equal(heard, "");
}

/* Some of the batches fail, and what was in them comes again: the one that is not answered stays that, and who has
 * read the key is told at least once, with nothing before it. */
static void what_comes_again_is_as_silent_and_is_told_all_the_same(void **state)
{
    static const char push[] = "return redis.call('rpush', 'q', string.rep('x', 3000))";
    static const char told[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n";
    struct talk *t = *state;
    const char *heard;
    int count = 0;

    talk_close(t);
    t->store.txn_bytes = 128 << 10;
    t->store.journal = OXBOW_JOURNAL_OFF;
    talk_open(t);
    talk_connect(t, 0);
    talk_connect(t, 1);
    talk_connect(t, 2);
    (void)talk(t, 1, "HELLO 3");
    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 2, "HELLO 3");
    (void)talk(t, 2, "CLIENT TRACKING ON BCAST");
    assert_reply(t, 1, "LLEN q", ":0\r\n");
    talk_send(t, 0, "CLIENT REPLY SKIP");
    for (int i = 0; i < 100; i++) {
        ask_send(t, 0, push, "0");
    }
    talk_turn(t);
    heard = talk_heard(t, 0);
    for (int i = 2; i <= 100; i++) {
        char want[16];

        (void)snprintf(want, sizeof want, ":%d\r\n", i);
        assert_memory_equal(heard, want, strlen(want));
        heard += strlen(want);
    }
    assert_string_equal(heard, "");
    for (heard = talk_heard(t, 1); *heard != '\0'; heard += strlen(told)) {
        assert_memory_equal(heard, told, strlen(told));
        count++;
    }
    assert_in_range(count, 1, 100);
    count = 0;
    for (heard = talk_heard(t, 2); (heard = strstr(heard, "$1\r\nq\r\n")) != NULL; heard++) {
        count++;
    }
    assert_in_range(count, 100, 300);
    assert_reply(t, 1, "LLEN q", ":100\r\n");
}

/* Of a script all keys count that it was given, when it reads any: as in Redis 7.0. */
static void what_a_script_reads_and_changes_is_told(void **state)
{
    static const char told[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "HELLO 3");
    (void)talk(t, 1, "CLIENT TRACKING ON");
    assert_string_equal(ask(t, 1, "return redis.call('get', KEYS[1])", "2 b a"), "_\r\n");
    (void)ask(t, 0, "redis.call('set', 'a', '1') redis.call('set', 'a', '2')", "0");
    assert_string_equal(talk_heard(t, 1), told);
    assert_string_equal(ask(t, 1, "return redis.call('ping')", "1 a"), "+PONG\r\n");
    (void)talk(t, 0, "SET a 3");
    assert_string_equal(talk_heard(t, 1), "");
}

/* What shares a batch with it comes again, also where a command behind it waits while writes do. */
static void what_was_read_before_a_script_was_ended_does_not_wait_with_writes(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 0, "CONFIG SET lua-time-limit 20", "+OK\r\n");
    assert_reply(t, 0, "CLIENT PAUSE 600000 WRITE", "+OK\r\n");
    talk_send(t, 1, "GET k");
    talk_send(t, 1, "INCR n");
    talk_send(t, 2, "EVAL_RO while(1)do(tonumber)(1)end 0");
    talk_turn(t);
    assert_memory_equal(talk_heard(t, 2), "-ERR Script ended", 17);
    assert_string_equal(talk_heard(t, 1), "$-1\r\n");
    assert_reply(t, 0, "CLIENT UNPAUSE", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), ":1\r\n");
}

static void a_script_that_is_too_big_for_a_transaction_has_not_happened(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->store.txn_bytes = 128 << 10;
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "SET n 1", "+OK\r\n");
    assert_int_equal(ask(t, 0,
                         "redis.call('incr', 'n') for i = 1, 100 do "
                         "redis.pcall('rpush', 'q', string.rep('x', 3000)) end return 1",
                         "0")[0],
                     '-');
    assert_reply(t, 0, "MGET n q", "*2\r\n$1\r\n1\r\n$-1\r\n");
}

static void what_a_script_did_is_told_when_it_is_durable(void **state)
{
    struct talk *t = *state;

    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    assert_string_equal(ask(t, 0, "return redis.call('rpush', 'q', 'a')", "0"), "");
    assert_true(oxbow_resp_client_done(t->clients[0]));
    fault_disarm(&t->fault);
}

static void memory_that_runs_out_gives_one_error_and_the_next_script_runs(void **state)
{
    static const char script[] =
        "local t = {} for i = 1, 50 do t[i] = cjson.encode({n = i, text = 'x' .. i}) end "
        "redis.call('rpush', 'q', unpack(t)) "
        "local a = cmsgpack.unpack(cmsgpack.pack(redis.call('lrange', 'q', 0, -1))) "
        "redis.call('rpush', 'done', #a) return a";
    struct talk *t = *state;
    uint64_t points = 0;

    for (uint64_t n = 1;; n++) {
        const char *heard;
        bool met;
        bool whole;

        (void)talk(t, 0, "DEL q done");
        (void)talk(t, 0, "SCRIPT FLUSH");
        ask_send(t, 0, script, "0");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        met = t->fault.alloc_failed > 0;
        fault_disarm(&t->fault);
        heard = talk_heard(t, 0);
        if (oxbow_resp_client_done(t->clients[0])) { /* its own memory: then it is closed */
            talk_hang_up(t, 0);
            talk_connect(t, 0);
            continue;
        }
        whole = heard[0] == '*';
        assert_true(whole || heard[0] == '-');
        if (whole) {
            assert_reply(t, 0, "LLEN q", ":50\r\n");
            assert_reply(t, 0, "LLEN done", ":1\r\n");
        }
        if (!met) {
            assert_true(whole);
            break;
        }
        points++;
    }
    print_message("%llu allocations\n", (unsigned long long)points);
    assert_true(points >= 200);
}

static void a_script_may_do_what_its_user_may(void **state)
{
    static const struct ask_case denied[] = {
        CASE("return redis.call('get','kx')", "0",
             "-ERR The user executing the script can't run this command or subcommand script: "
             "fc774e3a834ac0222930a5306bfc93ebbb7a9d87, on @user_script:1.\r\n"),
        CASE("return redis.pcall('set','zz','1')", "0",
             "-ERR The user executing the script can't access at least one of the keys mentioned "
             "in the command arguments\r\n"),
        CASE("return redis.pcall('publish','zz','1')", "0",
             "-ERR The user executing the script can't publish to the channel mentioned in the "
             "command\r\n"),
        CASE("return redis.call('set','kz','1')", "0", "+OK\r\n"),
        CASE("return {redis.acl_check_cmd('get','kx'), redis.acl_check_cmd('set','kx','1'), "
             "redis.acl_check_cmd('set','zx','1')}",
             "0", "*3\r\n$-1\r\n:1\r\n$-1\r\n"),
        CASE(
            "return 1", "1 zz",
            "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"),
    };
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER u on nopass +@all -get ~k* &c*", "+OK\r\n");
    assert_reply(t, 0, "AUTH u x", "+OK\r\n");
    ask_cases(t, denied, sizeof denied / sizeof denied[0]);
    /* Asked before whether the script may write at all; too few arguments name no keys. */
    assert_reply(
        t, 0, "EVAL_RO return(redis.pcall('set','zz','1')) 0",
        "-ERR The user executing the script can't access at least one of the keys mentioned "
        "in the command arguments\r\n");
    assert_reply(t, 0, "EVAL_RO return(redis.pcall('set','kz','1')) 0",
                 "-ERR Write commands are not allowed from read-only scripts.\r\n");
    assert_reply(t, 0, "EVAL_RO return(redis.pcall('spublish','c','m')) 0",
                 "-ERR Write commands are not allowed from read-only scripts.\r\n");
    assert_reply(t, 0, "EVAL return(redis.acl_check_cmd('set')) 0", ":1\r\n");
    assert_reply(t, 0, "EVAL return(redis.acl_check_cmd('set','zx')) 0", "$-1\r\n");
    assert_reply(t, 0, "AUTH default x", "+OK\r\n");
    assert_non_null(strstr(talk(t, 0, "ACL LOG 1"), "$5\r\ncount\r\n:2\r\n"));
}

static void a_lock_is_taken_extended_and_given_back(void **state)
{
    /* What clients send for it: only the holder of the token may. */
    static const char *const release = "local token = redis.call('get', KEYS[1])\n"
                                       "if not token or token ~= ARGV[1] then return 0 end\n"
                                       "redis.call('del', KEYS[1]) return 1";
    static const char *const extend =
        "local token = redis.call('get', KEYS[1])\n"
        "if not token or token ~= ARGV[1] then return 0 end\n"
        "local left = redis.call('pttl', KEYS[1])\n"
        "if not left then left = 0 end\n"
        "if left < 0 then return 0 end\n"
        "local time = ARGV[2] if ARGV[3] == '0' then time = ARGV[2] + left end\n"
        "redis.call('pexpire', KEYS[1], time) return 1";
    struct talk *t = *state;

    assert_reply(t, 0, "SET lock mine NX PX 10000", "+OK\r\n");
    assert_string_equal(ask(t, 0, release, "1 lock other"), ":0\r\n");
    assert_string_equal(ask(t, 0, extend, "1 lock mine 5000 0"), ":1\r\n");
    assert_string_equal(ask(t, 0, "return redis.call('pttl', KEYS[1]) > 14000", "1 lock"),
                        ":1\r\n");
    assert_string_equal(ask(t, 0, release, "1 lock mine"), ":1\r\n");
    assert_string_equal(ask(t, 0, release, "1 lock mine"), ":0\r\n");
}

/* As task queues do it: one script takes a job from a list, with what is stored of it. */
static void a_job_moves_between_keys_in_one_script(void **state)
{
    static const char *const add =
        "local id = redis.call('INCR', KEYS[1] .. ':id')\n"
        "local job = KEYS[1] .. ':' .. id\n"
        "local opts = cmsgpack.unpack(cmsgpack.pack({delay = 0, tries = 3}))\n"
        "redis.call('HMSET', job, 'data', cjson.encode({n = id}), 'tries', opts.tries)\n"
        "redis.call('LPUSH', KEYS[1] .. ':wait', id)\n"
        "redis.call('XADD', KEYS[1] .. ':events', '*', 'event', 'added', 'id', id)\n"
        "return id .. ''";
    static const char *const take =
        "local id = redis.call('RPOPLPUSH', KEYS[1] .. ':wait', KEYS[1] .. ':active')\n"
        "if not id then return false end\n"
        "redis.call('ZADD', KEYS[1] .. ':stalled', 1700000000123, id)\n"
        "return {id, redis.call('HMGET', KEYS[1] .. ':' .. id, 'tries', 'data')}";
    struct talk *t = *state;

    assert_string_equal(ask(t, 0, add, "1 q"), "$1\r\n1\r\n");
    assert_string_equal(ask(t, 0, add, "1 q"), "$1\r\n2\r\n");
    assert_string_equal(ask(t, 0, take, "1 q"),
                        "*2\r\n$1\r\n1\r\n*2\r\n$1\r\n3\r\n$7\r\n{\"n\":1}\r\n");
    assert_reply(t, 0, "ZSCORE q:stalled 1", "$13\r\n1700000000123\r\n");
    assert_reply(t, 0, "LRANGE q:active 0 -1", "*1\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "XLEN q:events", ":2\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ask_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arguments_and_first_lines_are_read_as_in_redis),
        TEST(a_script_is_known_by_its_digest),
        cmocka_unit_test_setup_teardown(without_an_interpreter_scripts_are_refused, talk_setup,
                                        talk_teardown),
        TEST(what_was_written_before_an_error_stays),
        TEST(a_scripts_writes_survive_a_restart),
        TEST(scripts_are_queued_by_multi),
        TEST(who_waits_is_served_after_the_whole_script),
        TEST(who_watches_sees_what_a_script_writes),
        TEST(a_script_may_go_to_another_database_and_the_client_stays),
        TEST(messages_of_a_script_reach_those_who_are_subscribed),
        TEST(scripts_share_a_batch_and_come_again_when_it_is_too_big),
        TEST(what_comes_again_is_as_silent_and_is_told_all_the_same),
        TEST(what_a_script_reads_and_changes_is_told),
        TEST(what_was_read_before_a_script_was_ended_does_not_wait_with_writes),
        TEST(a_script_that_is_too_big_for_a_transaction_has_not_happened),
        TEST(what_a_script_did_is_told_when_it_is_durable),
        TEST(memory_that_runs_out_gives_one_error_and_the_next_script_runs),
        TEST(a_script_may_do_what_its_user_may),
        TEST(a_lock_is_taken_extended_and_given_back),
        TEST(a_job_moves_between_keys_in_one_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
