/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG REWRITE as the server sees it: what it hands to the program, and when. And settings at first. */
#include "tests/resp/talk.h"

struct kept {
    char settings[8192]; /* "NAME=VALUE;" of each */
    char users[8192];
    uint32_t calls;
    bool fails;
};

static struct kept kept;

static bool keep(void *ctx, const struct oxbow_resp_setting *settings, uint32_t count,
                 const char *users, struct oxbow_resp_why *why)
{
    struct kept *k = ctx;
    size_t len = 0;

    k->calls++;
    k->settings[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        len += (size_t)snprintf(k->settings + len, sizeof k->settings - len, "%s=%s;",
                                settings[i].name, settings[i].value);
    }
    (void)snprintf(k->users, sizeof k->users, "%s", users);
    if (k->fails) {
        (void)snprintf(why->text, sizeof why->text, "there is no paper");
    }
    return !k->fails;
}

static int setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    kept = (struct kept){.calls = 0};
    t->config.rewrite = (struct oxbow_resp_rewrite){.ctx = &kept, .write = keep};
    talk_open(t);
    talk_connect(t, 0);
    *state = t;
    return 0;
}

static void everything_that_can_be_changed_is_handed_over_as_it_is(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_int_equal(kept.calls, 1);
    assert_string_equal(kept.users, "");
    assert_non_null(strstr(kept.settings, "appendfsync=always;"));
    assert_non_null(strstr(kept.settings, "maxclients=10000;"));
    assert_non_null(strstr(kept.settings, "requirepass=;"));
    assert_null(strstr(kept.settings, "busy-reply-threshold")); /* lua-time-limit is the same */
    assert_null(strstr(kept.settings, "databases"));
    assert_reply(t, 0, "CONFIG SET maxclients 77 slowlog-max-len 5 notify-keyspace-events KEA",
                 "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET busy-reply-threshold 99", "+OK\r\n");
    assert_reply(t, 0, "config rewrite", "+OK\r\n");
    assert_non_null(strstr(kept.settings, "maxclients=77;"));
    assert_non_null(strstr(kept.settings, "slowlog-max-len=5;"));
    assert_non_null(strstr(kept.settings, "notify-keyspace-events=AKE;"));
    assert_non_null(strstr(kept.settings, "lua-time-limit=99;"));
}

static void users_are_handed_over_and_the_default_one_if_it_says_more_than_requirepass(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER a on nopass ~k +get", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET requirepass secret", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_string_equal(kept.users, "user a on nopass ~k resetchannels -@all +get\n");
    assert_non_null(strstr(kept.settings, "requirepass=secret;"));
    assert_reply(t, 0, "ACL SETUSER default >another", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_non_null(strstr(kept.users, "user default on #"));
    assert_reply(t, 0, "ACL SETUSER default resetpass >another", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_non_null(strstr(kept.users, "user default on #")); /* with another than requirepass' */
    assert_reply(t, 0, "CONFIG SET requirepass secret", "+OK\r\n");
    assert_reply(t, 0, "ACL SETUSER default -debug", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_non_null(strstr(kept.users, "user default on #"));
    assert_non_null(strstr(kept.users, "-debug\n"));
    assert_reply(t, 0, "ACL SETUSER default +@all", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET requirepass third", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_null(strstr(kept.users, "user default"));
}

static void a_failure_is_told_and_repeated_attempts_are_made(void **state)
{
    struct talk *t = *state;

    kept.fails = true;
    assert_reply(t, 0, "CONFIG REWRITE", "-ERR Rewriting config file: there is no paper\r\n");
    kept.fails = false;
    assert_reply(t, 0, "CONFIG REWRITE", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE x",
                 "-ERR wrong number of arguments for 'config|rewrite' command\r\n");
    assert_int_equal(kept.calls, 2);
    assert_reply(t, 0, "ACL SETUSER a on nopass +@all -config|rewrite", "+OK\r\n");
    assert_reply(t, 0, "AUTH a x", "+OK\r\n");
    assert_reply(t, 0, "CONFIG REWRITE",
                 "-NOPERM this user has no permissions to run the 'config|rewrite' command\r\n");
    assert_int_equal(kept.calls, 2);
}

static void within_a_transaction_it_is_done_by_exec(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "SET a 1", "+QUEUED\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+QUEUED\r\n");
    assert_int_equal(kept.calls, 0);
    assert_reply(t, 0, "EXEC", "*2\r\n+OK\r\n+OK\r\n");
    assert_int_equal(kept.calls, 1);
}

static void without_a_file_it_is_refused(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
}

static void memory_that_is_out_is_told_or_ends_the_connection(void **state)
{
    struct talk *t = *state;
    uint64_t points = 0;
    uint32_t others = 0;

    assert_reply(t, 0, "ACL SETUSER a on nopass ~k +get", "+OK\r\n");
    for (uint64_t n = 1;; n++) {
        const char *heard;

        kept.calls = 0;
        talk_connect(t, 1);
        talk_send(t, 1, "CONFIG REWRITE");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        fault_disarm(&t->fault);
        heard = talk_heard(t, 1);
        if (t->fault.alloc_failed == 0) {
            assert_string_equal(heard, "+OK\r\n");
            assert_int_equal(kept.calls, 1);
            break;
        }
        if (strcmp(heard, "+OK\r\n") == 0) { /* one of the store's threads had none: again */
            assert_true(++others < 100);
            n--;
        } else {
            points++;
            assert_true(heard[0] == '-' || oxbow_resp_client_done(t->clients[1]));
        }
        talk_hang_up(t, 1);
    }
    assert_true(points > 2);
}

static void settings_are_there_from_the_start(void **state)
{
    static const struct oxbow_resp_setting fine[] = {{"slowlog-max-len", "7"},
                                                     {"notify-keyspace-events", "Kx"}};
    static const struct oxbow_resp_setting wrong[][1] = {
        {{"slowlog-max-len", "x"}}, {{"port", "1"}}, {{"nonsense", "1"}}};
    struct oxbow_resp_why why = {.text = ""};
    struct talk *t = *state;
    struct oxbow_resp_config config = {.db = t->db, .why = &why, .setting_count = 1};
    struct oxbow_resp *server;

    for (size_t i = 0; i < 3; i++) {
        config.settings = wrong[i];
        why.text[0] = '\0';
        assert_int_equal(oxbow_resp_open(&config, &server), OXBOW_EINVAL);
        assert_memory_equal(why.text, wrong[i][0].name, strlen(wrong[i][0].name));
    }
    t->config.settings = fine;
    t->config.setting_count = 2;
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "CONFIG GET slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n7\r\n");
    assert_reply(t, 0, "CONFIG GET notify-keyspace-events",
                 "*2\r\n$22\r\nnotify-keyspace-events\r\n$2\r\nxK\r\n");
}

static void what_the_program_tells_of_itself_is_shown_and_cannot_be_set(void **state)
{
    static const struct oxbow_resp_setting told[] = {
        {"dir", "/data/queue"}, {"slowlog-max-len", "999999"}, {"tls-port", "0"}};
    struct talk *t = *state;
    struct oxbow_resp_config config = {.db = t->db, .told_count = 1};
    struct oxbow_resp *server;

    assert_int_equal(oxbow_resp_open(&config, &server), OXBOW_EINVAL);
    assert_reply(t, 0, "CONFIG GET dir", "*0\r\n");
    t->config.told = told;
    t->config.told_count = 3;
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "CONFIG GET D?R", "*2\r\n$3\r\ndir\r\n$11\r\n/data/queue\r\n");
    assert_reply(t, 0, "CONFIG GET dir dir tls-port",
                 "*4\r\n$3\r\ndir\r\n$11\r\n/data/queue\r\n$8\r\ntls-port\r\n$1\r\n0\r\n");
    /* What the server knows itself it tells itself. */
    assert_reply(t, 0, "CONFIG GET slowlog-max-len",
                 "*2\r\n$15\r\nslowlog-max-len\r\n$3\r\n128\r\n");
    assert_reply(
        t, 0, "CONFIG SET Dir /tmp",
        "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set immutable "
        "config\r\n");
    assert_reply(t, 0, "CONFIG SET dirs /tmp",
                 "-ERR Unknown option or number of arguments for CONFIG SET - 'dirs'\r\n");
}

static void what_means_nothing_here_may_be_set(void **state)
{
    static const char *const names[] = {"hz", "save", NULL};
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET hz 100",
                 "-ERR Unknown option or number of arguments for CONFIG SET - 'hz'\r\n");
    t->config.without_meaning = names;
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "CONFIG SET hz 100", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET Save x slowlog-max-len 7 HZ 10", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n7\r\n");
    assert_reply(t, 0, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    assert_reply(t, 0, "CONFIG GET hz", "*0\r\n");
    assert_reply(t, 0, "CONFIG SET hz 10 dirs x",
                 "-ERR Unknown option or number of arguments for CONFIG SET - 'dirs'\r\n");
}

static void the_length_of_arguments_can_be_changed(void **state)
{
    static const char longer[] = "*2\r\n$4\r\nECHO\r\n$2097153\r\n";
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG GET proto-max-bulk-len",
                 "*2\r\n$18\r\nproto-max-bulk-len\r\n$9\r\n536870912\r\n");
    assert_reply(t, 0, "CONFIG SET proto-max-bulk-len 2mb", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET proto-max-bulk-len",
                 "*2\r\n$18\r\nproto-max-bulk-len\r\n$7\r\n2097152\r\n");
    talk_feed(t, 1, longer, strlen(longer)); /* who was there before */
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "-ERR Protocol error: invalid bulk length\r\n");
    assert_reply(t, 0, "CONFIG SET proto-max-bulk-len 1000",
                 "-ERR CONFIG SET failed (possibly related to argument 'proto-max-bulk-len') - "
                 "argument couldn't be parsed\r\n");
}

/* Each setting with a value that is not the one it has. */
static const char *const others[] = {
    "acl-pubsub-default allchannels",
    "acllog-max-len 3",
    "appendfsync no",
    "busy-reply-threshold 7",
    "client-output-buffer-limit \"normal 9999999 8888888 7\"",
    "db \"3 sync no 5 sync everysec\"",
    "latency-monitor-threshold 77",
    "latency-tracking no",
    "lua-time-limit 8",
    "maxclients 77",
    "maxmemory-samples 7",
    "notify-keyspace-events KEA",
    "proto-max-bulk-len 2mb",
    "protected-mode yes",
    "replica-announce-ip 10.1.2.3",
    "replica-announce-port 777",
    "slowlog-log-slower-than 7",
    "slowlog-max-len 7",
    "timeout 7",
    "tracking-table-max-keys 7",
};

/* The line as it is typed: with quotes. */
static const char *typed(struct talk *t, const char *line)
{
    talk_feed(t, 0, line, strlen(line));
    talk_feed(t, 0, "\r\n", 2);
    talk_turn(t);
    return talk_heard(t, 0);
}

static void ask(struct talk *t, const char *line, char *out, size_t cap)
{
    assert_true(snprintf(out, cap, "%s", typed(t, line)) < (int)cap);
}

static void of_several_settings_all_are_set_or_none(void **state)
{
    struct talk *t = *state;
    static char before[16384];
    static char now[16384];
    char line[256];

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ask(t, "CONFIG GET *", before, sizeof before);
        (void)snprintf(line, sizeof line, "CONFIG SET %s hash 1", others[i]);
        assert_string_equal(
            typed(t, line),
            "-ERR Unknown option or number of arguments for CONFIG SET - 'hash'\r\n");
        (void)snprintf(line, sizeof line, "CONFIG SET %s requirepass \"a\\x00b\"", others[i]);
        assert_non_null(strstr(typed(t, line), "argument 'requirepass'"));
        ask(t, "CONFIG GET *", now, sizeof now);
        assert_string_equal(now, before);
        (void)snprintf(line, sizeof line, "CONFIG SET %s",
                       others[i]); /* it would have changed something */
        assert_string_equal(typed(t, line), "+OK\r\n");
        ask(t, "CONFIG GET *", now, sizeof now);
        assert_string_not_equal(now, before);
    }
    ask(t, "CONFIG GET *", before, sizeof before);
    assert_non_null(strstr(
        talk(t, 0, "CONFIG SET requirepass secret appendfsync always timeout -1 slowlog-max-len 9"),
        "argument 'timeout'"));
    ask(t, "CONFIG GET *", now, sizeof now);
    assert_string_equal(now, before);
    assert_reply(t, 0, "CONFIG SET requirepass secret appendfsync everysec", "+OK\r\n");
    ask(t, "CONFIG GET requirepass", now, sizeof now);
    assert_non_null(strstr(now, "secret"));
}

static void without_a_database_in_memory_nothing_is_evicted_and_no_more_can_be_set(void **state)
{
#define FAILED(name) "-ERR CONFIG SET failed (possibly related to argument '" name "') - "
#define LIMIT                                                                                      \
    FAILED("maxmemory")                                                                            \
    "it is the limit of databases that are kept in memory, and there is none: say `db N memory` "  \
    "at the start; what is on the device has the quota\r\n"
#define POLICY                                                                                     \
    FAILED("maxmemory-policy")                                                                     \
    "nothing goes from databases on the device: say `db N memory` at the start for one that is "   \
    "kept in memory\r\n"
#define SAMPLES FAILED("maxmemory-samples") "argument must be between 1 and 64 inclusive\r\n"
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET maxmemory 0 maxmemory-policy NoEviction", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory 0mb", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory 1", LIMIT);
    assert_reply(t, 0, "CONFIG SET maxmemory 100mb", LIMIT);
    assert_reply(t, 0, "CONFIG SET maxmemory -1",
                 FAILED("maxmemory") "argument must be a memory value\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory-policy allkeys-lru", POLICY);
    assert_reply(t, 0, "CONFIG SET maxmemory-policy x",
                 FAILED("maxmemory-policy") "argument(s) must be one of the following: "
                                            "volatile-lru, volatile-lfu, "
                                            "volatile-random, volatile-ttl, allkeys-lru, "
                                            "allkeys-lfu, allkeys-random, "
                                            "noeviction\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory-samples 0", SAMPLES);
    assert_reply(t, 0, "CONFIG SET maxmemory-samples 65", SAMPLES);
    assert_reply(t, 0, "CONFIG SET maxmemory-samples x", SAMPLES);
    assert_reply(t, 0, "CONFIG SET maxmemory-samples 64", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory-samples 1", "+OK\r\n");
    assert_reply(t, 0, "CONFIG GET maxmemory*",
                 "*6\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n"
                 "$10\r\nnoeviction\r\n$17\r\nmaxmemory-samples\r\n$1\r\n1\r\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(everything_that_can_be_changed_is_handed_over_as_it_is),
        T(what_the_program_tells_of_itself_is_shown_and_cannot_be_set),
        T(users_are_handed_over_and_the_default_one_if_it_says_more_than_requirepass),
        T(a_failure_is_told_and_repeated_attempts_are_made),
        T(within_a_transaction_it_is_done_by_exec),
        cmocka_unit_test_setup_teardown(without_a_file_it_is_refused, talk_setup, talk_teardown),
        T(memory_that_is_out_is_told_or_ends_the_connection),
        T(settings_are_there_from_the_start),
        T(what_means_nothing_here_may_be_set),
        T(the_length_of_arguments_can_be_changed),
        T(of_several_settings_all_are_set_or_none),
        T(without_a_database_in_memory_nothing_is_evicted_and_no_more_can_be_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
