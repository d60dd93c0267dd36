/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are kept in memory: what goes from them and who hears of it, what is refused there, and whose
 * replies wait for the device. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* Databases 3 and 4 are kept in memory, and so much of it; clients 0 and 3 are in 3, the others in 0. */
#define LIMIT ((uint64_t)256 << 10)
#define OOM   "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

static atomic_bool held;
static enum oxbow_err (*real_sync)(void *ctx, int fd);

static enum oxbow_err held_sync(void *ctx, int fd)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    while (atomic_load(&held)) {
        (void)nanosleep(&ms, NULL);
    }
    return real_sync(ctx, fd);
}

static void connect_all(struct talk *t)
{
    for (uint32_t n = 0; n < 5; n++) {
        talk_connect(t, n);
    }
    assert_reply(t, 0, "SELECT 3", "+OK\r\n");
    assert_reply(t, 3, "SELECT 3", "+OK\r\n");
}

static int setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->store.cache_databases = 1u << 3 | 1u << 4;
    t->store.cache.bytes = LIMIT;
    talk_open(t);
    connect_all(t);
    atomic_store(&held, false);
    real_sync = t->fault.port.files.sync;
    t->fault.port.files.sync = held_sync;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    atomic_store(&held, false);
    return talk_teardown(state);
}

/* What the client has after a turn in which nothing became durable. */
static const char *at_once(struct talk *t, uint32_t n)
{
    oxbow_resp_turn(t->server);
    return talk_heard(t, n);
}

#define assert_at_once(t, n, want) assert_string_equal(at_once((t), (n)), (want))

static void assert_says(struct talk *t, uint32_t n, const char *words, const char *part)
{
    const char *said = talk(t, n, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

/* A command with a value of so many bytes behind it. */
static const char *talk_long(struct talk *t, uint32_t n, const char *words, int bytes)
{
    char text[4000];

    (void)snprintf(text, sizeof text, "%s %0*d", words, bytes, 7);
    return talk(t, n, text);
}

/* Sets so many keys of a kilobyte. How many were taken. */
static unsigned fill(struct talk *t, uint32_t n, const char *prefix, unsigned count)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < count; i++) {
        char words[64];
        const char *said;

        (void)snprintf(words, sizeof words, "SET %s%u", prefix, i);
        said = talk_long(t, n, words, 1024);
        taken += strcmp(said, "+OK\r\n") == 0;
        if (strcmp(said, "+OK\r\n") != 0) {
            assert_string_equal(said, OOM);
        }
    }
    return taken;
}

static unsigned long long number(struct talk *t, uint32_t n, const char *words, const char *name)
{
    const char *said = talk(t, n, words);
    const char *at = name != NULL ? strstr(said, name) : said;

    assert_non_null(at);
    return strtoull(at + (name != NULL ? strlen(name) : 1), NULL, 10);
}

static void policy(struct talk *t, const char *name)
{
    char words[64];

    (void)snprintf(words, sizeof words, "CONFIG SET maxmemory-policy %s", name);
    assert_reply(t, 1, words, "+OK\r\n");
}

/* ---- room ---- */

static void without_a_policy_what_adds_is_refused_and_the_rest_goes_on(void **state)
{
    struct talk *t = *state;
    unsigned taken = fill(t, 0, "k", 400);

    assert_in_range(taken, 100, 256);
    assert_string_equal(talk_long(t, 0, "SET k0", 1024), OOM);
    assert_reply(t, 0,
                 "APPEND k0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                 OOM);
    assert_int_equal(number(t, 0, "STRLEN k0", NULL), 1024);
    assert_reply(t, 0, "EXPIRE k0 100", ":1\r\n");
    assert_int_equal(fill(t, 1, "durable", 5), 5); /* has another limit */
    assert_reply(t, 0, "DEL k0 k1 k2 k3", ":4\r\n");
    assert_string_equal(talk_long(t, 0, "SET k0", 1024), "+OK\r\n");
    assert_reply(t, 0, "FLUSHDB", "+OK\r\n");
    assert_int_equal(fill(t, 0, "k", 50), 50);
    assert_int_equal(number(t, 0, "INFO stats", "evicted_keys:"), 0);
}

static void what_is_older_goes_for_what_comes_and_queues_stay(void **state)
{
    struct talk *t = *state;
    int stored = 1005;

    policy(t, "allkeys-lru");
    assert_string_equal(talk_long(t, 0, "RPUSH list", 1024), ":1\r\n");
    assert_string_equal(talk_long(t, 0, "ZADD zset 1", 1024), ":1\r\n");
    assert_int_equal(talk_long(t, 0, "XADD stream 1-1 f", 1024)[0], '$');
    assert_string_equal(talk_long(t, 0, "HSET hash f", 1024), ":1\r\n");
    assert_string_equal(talk_long(t, 0, "SADD set", 1024), ":1\r\n");
    assert_int_equal(fill(t, 0, "k", 1000), 1000);
    assert_reply(t, 0, "EXISTS k999", ":1\r\n");
    for (char more[] = "a";
         more[0] < 'k' && strcmp(talk(t, 0, "EXISTS hash set k0 k1 k2 k3"), ":0\r\n") != 0;
         more[0]++) { /* of those that are drawn the oldest goes: a few are drawn late */
        assert_int_equal(fill(t, 0, more, 300), 300);
        stored += 300;
    }
    assert_reply(t, 0, "EXISTS hash set k0 k1 k2 k3", ":0\r\n");
    assert_reply(t, 0, "EXISTS list zset stream", ":3\r\n");
    assert_int_equal(number(t, 0, "DBSIZE", NULL) + number(t, 0, "INFO stats", "evicted_keys:"),
                     stored);
    assert_in_range(number(t, 0, "INFO memory", "used_memory_cache:"), LIMIT / 2, LIMIT + 4096);
    assert_true(number(t, 0, "INFO memory", "used_memory_cache_peak:") >= LIMIT - 4096);
}

static void what_goes_is_told_to_who_has_read_it(void **state)
{
    struct talk *t = *state;
    const char *got = "";

    policy(t, "allkeys-lru");
    (void)talk(t, 2, "HELLO 3");
    (void)talk(t, 2, "CLIENT TRACKING ON");
    (void)talk(t, 2, "SELECT 3");
    assert_string_equal(talk_long(t, 0, "SET first", 1024), "+OK\r\n");
    assert_int_equal(talk(t, 2, "GET first")[0], '$');
    for (unsigned n = 0; got[0] == '\0' && n < 1000;
         n++) { /* of those that are drawn the oldest goes */
        assert_int_equal(fill(t, 0, "k", 300), 300);
        got = talk_heard(t, 2);
    }
    assert_string_equal(got, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nfirst\r\n");
    assert_reply(t, 0, "EXISTS first", ":0\r\n");
}

static void a_value_that_is_larger_than_what_is_left_has_others_go(void **state)
{
    struct talk *t = *state;

    policy(t, "allkeys-random");
    (void)fill(t, 0, "k", 300);
    for (unsigned i = 0; i < 40; i++) { /* less than an eighth of the limit each */
        char words[64];

        (void)snprintf(words, sizeof words, "SETRANGE big%u 25000 x", i);
        assert_reply(t, 0, words, ":25001\r\n");
        assert_int_equal(fill(t, 0, "small", i % 7), i % 7);
    }
    assert_true(number(t, 0, "INFO stats", "evicted_keys:") > 40);
}

static void keys_without_a_deadline_stay_under_volatile_policies(void **state)
{
    static const char *const policies[] = {"volatile-lru", "volatile-lfu", "volatile-random",
                                           "volatile-ttl"};
    struct talk *t = *state;

    for (size_t p = 0; p < sizeof policies / sizeof policies[0]; p++) {
        policy(t, policies[p]);
        assert_reply(t, 0, "FLUSHDB", "+OK\r\n");
        assert_int_equal(fill(t, 0, "lasting", 50), 50);
        for (unsigned i = 0; i < 500; i++) {
            char words[64];

            (void)snprintf(words, sizeof words, "SETEX short%u %u", i, 1000 + i);
            assert_string_equal(talk_long(t, 0, words, 1024), "+OK\r\n");
        }
        for (unsigned i = 0; i < 50; i++) {
            char words[64];

            (void)snprintf(words, sizeof words, "EXISTS lasting%u", i);
            assert_reply(t, 0, words, ":1\r\n");
        }
        assert_in_range(fill(t, 0, "more", 400), 1, 300); /* that had the last of the others go */
        assert_reply(t, 0, "EXISTS short499 short498 short497", ":0\r\n");
    }
}

static void a_lower_limit_is_reached_turn_by_turn(void **state)
{
    struct talk *t = *state;
    unsigned turns = 0;

    policy(t, "allkeys-lru");
    assert_reply(t, 1, "CONFIG SET maxmemory 8mb", "+OK\r\n");
    for (unsigned i = 0; i < 50; i++) {
        char prefix[16];

        (void)snprintf(prefix, sizeof prefix, "k%u-", i);
        assert_int_equal(fill(t, 0, prefix, 100), 100);
    }
    assert_int_equal(number(t, 0, "DBSIZE", NULL), 5000);
    talk_send(t, 1, "CONFIG SET maxmemory 100kb");
    assert_at_once(t, 1, "+OK\r\n");
    while (oxbow_resp_timeout_ms(t->server) == 0) {
        oxbow_resp_turn(t->server);
        turns++;
    }
    assert_true(turns > 3);
    assert_in_range(number(t, 0, "INFO memory", "used_memory_cache:"), 50000, 102400);
    assert_reply(t, 1, "CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$6\r\n102400\r\n");
    assert_says(t, 1, "INFO memory",
                "\r\nmaxmemory:102400\r\nmaxmemory_human:100.00K\r\n"
                "maxmemory_policy:allkeys-lru\r\n");
    assert_reply(t, 1, "CONFIG SET maxmemory 0", "+OK\r\n");
    assert_int_equal(fill(t, 0, "more", 500), 500);
    assert_says(t, 1, "INFO memory", "\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\n");
}

/* ---- MULTI ---- */

static void a_transaction_is_refused_as_a_whole_and_only_if_it_may_add_there(void **state)
{
    struct talk *t = *state;

    (void)fill(t, 0, "k", 400);
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "DEL k0");
    (void)talk(t, 0, "SET new v");
    assert_reply(t, 0, "EXEC",
                 "-EXECABORT Transaction discarded because of: OOM command not allowed when used "
                 "memory > 'maxmemory'.\r\n");
    assert_reply(t, 0, "EXISTS k0", ":1\r\n");
    (void)talk(t, 1, "MULTI"); /* of another database, with a look into this one */
    (void)talk(t, 1, "SET new v");
    (void)talk(t, 1, "SELECT 3");
    (void)talk(t, 1, "GET new");
    assert_reply(t, 1, "EXEC", "*3\r\n+OK\r\n+OK\r\n$-1\r\n");
    (void)talk(t, 2, "MULTI");
    (void)talk(t, 2, "SELECT 3");
    (void)talk(t, 2, "SET new v");
    assert_says(t, 2, "EXEC", "-EXECABORT");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "DEL k0 k1 k2");
    assert_reply(t, 0, "EXEC", "*1\r\n:3\r\n");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SET new v");
    assert_reply(t, 0, "EXEC", "*1\r\n+OK\r\n");
}

static void a_key_that_goes_is_told_and_is_a_change_for_who_watches_it(void **state)
{
    struct talk *t = *state;

    policy(t, "volatile-ttl");
    assert_reply(t, 1, "CONFIG SET notify-keyspace-events Ee", "+OK\r\n");
    assert_reply(t, 1, "CONFIG GET notify-keyspace-events",
                 "*2\r\n$22\r\nnotify-keyspace-events\r\n$2\r\neE\r\n");
    assert_reply(t, 0, "SETEX watched 1000 v", "+OK\r\n");
    assert_reply(t, 3, "SET other v", "+OK\r\n");
    assert_reply(t, 0, "WATCH watched", "+OK\r\n");
    (void)talk(t, 4, "PSUBSCRIBE __key*");
    (void)fill(t, 3, "k", 400);
    assert_string_equal(talk_heard(t, 4), "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n$22\r\n"
                                          "__keyevent@3__:evicted\r\n$7\r\nwatched\r\n");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "PING");
    assert_reply(t, 0, "EXEC", "*-1\r\n");
    assert_reply(t, 1, "CONFIG SET notify-keyspace-events A", "+OK\r\n");
    assert_reply(t, 1, "CONFIG SET notify-keyspace-events tgex$KE", "+OK\r\n");
    assert_reply(t, 1, "CONFIG GET notify-keyspace-events",
                 "*2\r\n$22\r\nnotify-keyspace-events\r\n$7\r\ng$xetKE\r\n");
}

static void what_exec_itself_has_go_is_a_change_too(void **state)
{
    struct talk *t = *state;

    policy(t, "volatile-ttl");
    assert_reply(t, 0, "SETEX watched 1 v", "+OK\r\n");
    assert_reply(t, 0, "PEXPIRE watched 100000", ":1\r\n");
    assert_reply(t, 0, "WATCH watched", "+OK\r\n");
    assert_int_equal(fill(t, 3, "k", 150), 150);
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "SET new v");
    assert_reply(t, 1, "CONFIG SET maxmemory 100kb", "+OK\r\n");
    assert_reply(t, 1, "CONFIG SET maxmemory-policy noeviction", "+OK\r\n");
    assert_says(t, 0, "EXEC", "-EXECABORT");
    assert_reply(t, 0, "EXISTS watched", ":0\r\n"); /* the turn has had it go */
}

/* ---- how they are used ---- */

static void use_is_told_as_the_policy_keeps_it(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_reply(t, 1, "SET k v", "+OK\r\n");
    assert_reply(t, 0, "OBJECT IDLETIME k", ":0\r\n");
    assert_says(t, 0, "OBJECT FREQ k",
                "-ERR An LFU maxmemory policy is not selected, access "
                "frequency not tracked. Please note that when switching "
                "between policies at runtime LRU and LFU data will take "
                "some time to adjust.\r\n");
    policy(t, "volatile-lfu");
    assert_says(t, 0, "OBJECT IDLETIME k",
                "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that "
                "when switching between policies at runtime LRU and LFU data will take some time "
                "to adjust.\r\n");
    assert_in_range(number(t, 0, "OBJECT FREQ k", NULL), 1, 10);
    for (unsigned i = 0; i < 2000; i++) {
        (void)talk(t, 0, "GET k");
    }
    assert_in_range(number(t, 0, "OBJECT FREQ k", NULL), 11, 255);
    assert_reply(t, 0, "OBJECT FREQ none", "$-1\r\n");
    assert_reply(t, 1, "OBJECT IDLETIME k", ":0\r\n");
    assert_reply(t, 1, "OBJECT FREQ k",
                 "-ERR access frequency is tracked in databases that are kept in memory, and this "
                 "is none\r\n");
}

static void memory_is_told_of(void **state)
{
    struct talk *t = *state;

    assert_says(t, 0, "MEMORY DOCTOR", "Nothing to be worried about");
    (void)fill(t, 0, "k", 400);
    assert_says(t, 0, "MEMORY DOCTOR", "Over nine tenths of maxmemory are used");
    assert_in_range(number(t, 0, "MEMORY STATS", "caches\r\n:"), LIMIT / 2, LIMIT + LIMIT / 8);
    assert_says(t, 0, "INFO keyspace", "\r\ndb3:keys=");
    assert_reply(t, 1, "CONFIG SET maxmemory 0", "+OK\r\n");
    assert_says(t, 0, "MEMORY DOCTOR", "may take all of it: set maxmemory");
    assert_says(t, 0, "INFO oxbow", "\r\ndb3_sync:memory\r\ndb4_sync:memory\r\n");
    assert_reply(t, 0, "CONFIG GET db", "*2\r\n$2\r\ndb\r\n$17\r\n3 memory 4 memory\r\n");
}

/* ---- what there is not ---- */

static void what_is_about_the_device_is_refused_with_the_reason(void **state)
{
    static const char *const commands[] = {
        "OXBOW QUEUE SET q max-entries 5",
        "OXBOW GROUP SET s g prefetch 5",
        "OXBOW ADD s DELAY 1000 * f v",
        "OXBOW ADD s TTL 1000 * f v",
        "OXBOW PUSH q LEFT DELAY 1000 v",
        "OXBOW BIND ADD s d",
        "OXBOW SCHEDULE ADD name q @daily PUSH LEFT v",
    };
    struct talk *t = *state;

    assert_reply(t, 0, "XADD s 1-1 f v", "$3\r\n1-1\r\n");
    assert_reply(t, 0, "XGROUP CREATE s g 0", "+OK\r\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *said = talk(t, 0, commands[i]);

        if (strncmp(said, "-ERR database 3 is kept in memory, where there are no ", 54) != 0) {
            fail_msg("%s: %s", commands[i], said);
        }
    }
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    assert_reply(t, 0, "EXISTS q d", ":0\r\n");
    assert_reply(t, 0, "SWAPDB 3 0",
                 "-ERR one of the databases is kept in memory and the other is not\r\n");
    assert_reply(t, 0, "SWAPDB 0 4",
                 "-ERR one of the databases is kept in memory and the other is not\r\n");
    assert_reply(t, 0, "SWAPDB 3 4", "+OK\r\n");
    assert_reply(t, 0, "EXISTS s", ":0\r\n");
}

#define DB_FAILED "-ERR CONFIG SET failed (possibly related to argument 'db') - "

/* A setting whose value has blanks. */
static const char *set_db(struct talk *t, const char *value)
{
    char request[256];
    int len = snprintf(request, sizeof request,
                       "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\ndb\r\n$%zu\r\n%s\r\n",
                       strlen(value), value);

    talk_feed(t, 1, request, (size_t)len);
    talk_turn(t);
    return talk_heard(t, 1);
}

static void which_databases_they_are_does_not_change(void **state)
{
    struct talk *t = *state;

    assert_string_equal(set_db(t, "3 memory"), "+OK\r\n"); /* it is so */
    assert_string_equal(set_db(t, "1 sync no 3 memory 4 memory"), "+OK\r\n");
    assert_string_equal(set_db(t, "5 memory"),
                        DB_FAILED "a database is kept in memory from the start or not at all: say "
                                  "it in the configuration, and start again\r\n");
    assert_string_equal(set_db(t, "3 sync always"),
                        DB_FAILED "a database that is kept in memory has no such policy\r\n");
    assert_reply(t, 0, "CONFIG GET db", "*2\r\n$2\r\ndb\r\n$27\r\n1 sync no 3 memory 4 memory\r\n");
}

static void rules_of_the_configuration_are_not_for_them(void **state)
{
    static const struct oxbow_resp_queue_rule queue = {.pattern = {"*", 1},
                                                       .policy = {.max_entries = 1}};
    static const struct oxbow_resp_group_rule group = {
        .key = {"*", 1}, .group = {"*", 1}, .options = {.max_deliveries = 2}};
    struct talk *t = *state;

    t->config.queue_rules = &queue;
    t->config.group_rules = &group;
    t->config.queue_rule_count = 1;
    t->config.group_rule_count = 1;
    talk_again(t);
    connect_all(t);
    assert_reply(t, 0, "RPUSH q 1 2 3", ":3\r\n");
    assert_reply(t, 0, "XADD s 1-1 f v", "$3\r\n1-1\r\n");
    assert_reply(t, 0, "XADD s 1-2 f v", "$3\r\n1-2\r\n");
    assert_reply(t, 0, "XGROUP CREATE s g 0", "+OK\r\n");
    assert_says(t, 0, "XREADGROUP GROUP g c STREAMS s >", "1-2");
    assert_reply(t, 1, "RPUSH q 1", ":1\r\n");
    assert_says(t, 1, "RPUSH q 2", "-OOM the queue is full");
}

/* ---- the device ---- */

static void replies_of_what_is_in_memory_wait_for_nothing(void **state)
{
    struct talk *t = *state;

    atomic_store(&held, true);
    talk_send(t, 1, "SET k v"); /* the same turn, and the same transaction */
    talk_send(t, 0, "SET k v");
    assert_at_once(t, 0, "+OK\r\n");
    assert_at_once(t, 1, "");
    talk_send(t, 0, "RPUSH q a");
    talk_send(t, 0, "WAITAOF 1 0 0");
    assert_at_once(t, 0, ":1\r\n*2\r\n:1\r\n:0\r\n");
    talk_send(t, 0, "MULTI");
    talk_send(t, 0, "SET k v");
    talk_send(t, 0, "EXEC");
    assert_at_once(t, 0, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    assert_at_once(t, 1, "");
    atomic_store(&held, false);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "+OK\r\n");
}

static void what_was_in_both_waits_as_the_other_does(void **state)
{
    static const char *const commands[] = {"MOVE k 0", "COPY k copy DB 0", "FLUSHALL"};
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_reply(t, 0, "SET k v", "+OK\r\n");
        atomic_store(&held, true);
        talk_send(t, 0, commands[i]);
        assert_at_once(t, 0, "");
        atomic_store(&held, false);
        talk_turn(t);
        assert_string_equal(talk_heard(t, 0), i < 2 ? ":1\r\n" : "+OK\r\n");
    }
    assert_reply(t, 1, "SET k v", "+OK\r\n");
    atomic_store(&held, true);
    talk_send(t, 0, "MULTI");
    talk_send(t, 0, "SET k v");
    talk_send(t, 0, "SELECT 0");
    talk_send(t, 0, "SET k w");
    talk_send(t, 0, "SELECT 3");
    talk_send(t, 0, "EXEC");
    assert_at_once(t, 0, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    atomic_store(&held, false);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), "*4\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
}

/* What a client has shown to the device is not forgotten by what it does in memory after it. */
static void waitaof_knows_what_came_before(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "CONFIG SET appendfsync no", "+OK\r\n");
    atomic_store(&held, true);
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "SELECT 3");
    assert_at_once(t, 1, "+OK\r\n+OK\r\n");
    talk_send(t, 1, "SET k v");
    assert_at_once(t, 1, "+OK\r\n");
    talk_send(t, 1, "WAITAOF 1 0 0");
    assert_at_once(t, 1, "");
    atomic_store(&held, false);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "*2\r\n:1\r\n:0\r\n");
}

static void a_new_start_finds_them_empty_and_the_others_whole(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_reply(t, 0, "RPUSH q a", ":1\r\n");
    assert_reply(t, 0, "COPY k kept DB 0", ":1\r\n");
    assert_reply(t, 1, "SET own v", "+OK\r\n");
    assert_reply(t, 1, "MOVE own 3", ":1\r\n");
    talk_again(t);
    connect_all(t);
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
    assert_reply(t, 1, "KEYS *", "*1\r\n$4\r\nkept\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_policy_what_adds_is_refused_and_the_rest_goes_on),
        TEST(what_is_older_goes_for_what_comes_and_queues_stay),
        TEST(what_goes_is_told_to_who_has_read_it),
        TEST(a_value_that_is_larger_than_what_is_left_has_others_go),
        TEST(keys_without_a_deadline_stay_under_volatile_policies),
        TEST(a_lower_limit_is_reached_turn_by_turn),
        TEST(a_transaction_is_refused_as_a_whole_and_only_if_it_may_add_there),
        TEST(a_key_that_goes_is_told_and_is_a_change_for_who_watches_it),
        TEST(what_exec_itself_has_go_is_a_change_too),
        TEST(use_is_told_as_the_policy_keeps_it),
        TEST(memory_is_told_of),
        TEST(what_is_about_the_device_is_refused_with_the_reason),
        TEST(which_databases_they_are_does_not_change),
        TEST(rules_of_the_configuration_are_not_for_them),
        TEST(replies_of_what_is_in_memory_wait_for_nothing),
        TEST(what_was_in_both_waits_as_the_other_does),
        TEST(waitaof_knows_what_came_before),
        TEST(a_new_start_finds_them_empty_and_the_others_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
