/* SPDX-License-Identifier: Apache-2.0 */
/* Queues and groups of programs that know nothing of policies, by rules of the configuration. */
#include "tests/resp/talk.h"

#include <time.h>

#define PATIENCE 3000 /* rounds of 10 ms */

#define BYTES(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct oxbow_resp_queue_rule queues[] = {
    {BYTES("jobs:free"), {.max_entries = 0}}, /* an exception */
    {BYTES("jobs:*"), {.max_entries = 2}},
    {BYTES("*log"), {.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST}},
    {BYTES("\"\\\n\xff"), {.priorities = 2, .priority_weights = 0x0301, .max_age_ms = 5000}},
};

static const struct oxbow_resp_group_rule groups[] = {
    {BYTES("jobs:*"), BYTES("audit"), {.prefetch = 0}},
    {BYTES("jobs:*"),
     BYTES("*"),
     {.visibility_ms = 3600000, .max_deliveries = 2, .dead_letter = BYTES("jobs:dead")}},
};

static void begin(struct talk *t)
{
    oxbow_resp_close(t->server);
    memset(t->clients, 0, sizeof t->clients);
    t->config.queue_rules = queues;
    t->config.queue_rule_count = sizeof queues / sizeof queues[0];
    t->config.group_rules = groups;
    t->config.group_rule_count = sizeof groups / sizeof groups[0];
    assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
    talk_connect(t, 0);
}

static void assert_says(struct talk *t, const char *words, const char *part)
{
    const char *said = talk(t, 0, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

/* Tries `words` until `shown` gives an answer with the part. They may be the same: then it is its own. */
static void until_says(struct talk *t, const char *words, const char *shown, const char *part)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < PATIENCE; i++) {
        const char *said = talk(t, 0, words);

        if (strcmp(shown, words) != 0) {
            said = talk(t, 0, shown);
        }
        if (strstr(said, part) != NULL) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%s: '%s' never came: %s", shown, part, t->text);
}

#define FULL "-OOM the queue is full: its policy's limit is reached\r\n"

static void a_queue_has_its_policy_before_its_first_entry(void **state)
{
    struct talk *t = *state;

    begin(t);
    assert_says(t, "LPUSH jobs:a 1 2 3", "-ERR entry larger"); /* it never fits */
    assert_reply(t, 0, "EXISTS jobs:a", ":0\r\n");
    assert_reply(t, 0, "LPUSH jobs:a 1 2", ":2\r\n");
    assert_reply(t, 0, "RPUSH jobs:a 3", FULL);
    assert_reply(t, 0, "RPUSH other 1 2 3", ":3\r\n");
    assert_reply(t, 0, "RPUSH jobs:free 1 2 3", ":3\r\n"); /* the first that matches counts */
    (void)talk(t, 0, "SELECT 3");
    (void)talk(t, 0, "XADD jobs:log 1-0 a b");
    (void)talk(t, 0, "XADD jobs:log 2-0 a b");
    assert_reply(t, 0, "XADD jobs:log 3-0 a b", FULL);
    (void)talk(t, 0, "XADD log 1-0 a b");
    (void)talk(t, 0, "XADD log 2-0 a b");
    assert_reply(t, 0, "XLEN log", ":1\r\n");
    assert_says(t, "OXBOW GAPS log", "*1\r\n");
    assert_reply(t, 0, "OXBOW ADD jobs:b 1-0 a b", "$3\r\n1-0\r\n");
    assert_reply(t, 0, "OXBOW QUEUE LIST", "*3\r\n$6\r\njobs:b\r\n$8\r\njobs:log\r\n$3\r\nlog\r\n");
}

static void transactions_have_it_too(void **state)
{
    struct talk *t = *state;

    begin(t);
    (void)talk(t, 0, "RPUSH other 1 2 3");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "LMOVE other jobs:a LEFT RIGHT");
    (void)talk(t, 0, "LMOVE other jobs:a LEFT RIGHT");
    (void)talk(t, 0, "LMOVE other jobs:a LEFT RIGHT");
    assert_reply(t, 0, "EXEC", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n" FULL);
    assert_reply(t, 0, "LLEN other", ":1\r\n");
}

static void a_policy_of_its_own_stays(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH jobs:old 1 2 3");
    (void)talk(t, 0, "OXBOW QUEUE SET jobs:own max-entries 5");
    (void)talk(t, 0, "OXBOW QUEUE SET jobs:none max-entries 0");
    begin(t);
    for (int i = 0; i < 5; i++) {
        (void)talk(t, 0, "RPUSH jobs:own x");
        (void)talk(t, 0, "RPUSH jobs:none x");
    }
    assert_reply(t, 0, "RPUSH jobs:own x", FULL);
    assert_reply(t, 0, "RPUSH jobs:none x", ":6\r\n"); /* one without limits is one */
    assert_reply(t, 0, "LRANGE jobs:old 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    assert_reply(t, 0, "RPUSH jobs:old 4", FULL); /* what was there before has it from now on */
    assert_reply(t, 0, "OXBOW QUEUE DEL jobs:own", ":1\r\n");
    assert_reply(t, 0, "LPOP jobs:own 4", "*4\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
    assert_reply(t, 0, "RPUSH jobs:own x", ":2\r\n");
    assert_reply(t, 0, "RPUSH jobs:own x", FULL); /* the rule's again */
}

static void what_is_no_queue_and_what_only_reads_is_left_alone(void **state)
{
    struct talk *t = *state;

    begin(t);
    (void)talk(t, 0, "SET jobs:string x");
    (void)talk(t, 0, "HSET jobs:hash a b");
    assert_says(t, "RPUSH jobs:string x", "-WRONGTYPE ");
    assert_reply(t, 0, "RPOP jobs:empty", "$-1\r\n");
    assert_reply(t, 0, "LLEN jobs:empty", ":0\r\n");
    assert_reply(t, 0, "OXBOW QUEUE LIST", "*0\r\n");
}

static void a_group_has_its_options_when_it_is_made(void **state)
{
    struct talk *t = *state;

    begin(t);
    (void)talk(t, 0, "XGROUP CREATE jobs:s g 0 MKSTREAM");
    assert_says(t, "OXBOW GROUP GET jobs:s g", "visibility\r\n:3600000\r\n");
    assert_says(t, "OXBOW GROUP GET jobs:s g", "dead-letter\r\n$9\r\njobs:dead\r\n");
    assert_says(t, "OXBOW QUEUE LIST", "jobs:dead"); /* it has its rule, too */
    (void)talk(t, 0, "XGROUP CREATE jobs:s audit 0");
    assert_says(t, "OXBOW GROUP GET jobs:s audit", "visibility\r\n:0\r\n");
    assert_says(t, "XGROUP CREATE jobs:s g 0", "-BUSYGROUP ");
    (void)talk(t, 0, "XADD jobs:s 1-0 a b");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:s >", "1-0");
    assert_reply(t, 0, "OXBOW NACK jobs:s g 1-0 DELAY 0", ":1\r\n");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:s >", "1-0");
    assert_reply(t, 0, "OXBOW NACK jobs:s g 1-0", ":1\r\n"); /* the second time: to the dead */
    assert_reply(t, 0, "XLEN jobs:dead", ":1\r\n");
    (void)talk(t, 0, "XGROUP CREATE jobs:dead g 0"); /* not its own dead letters */
    assert_says(t, "OXBOW GROUP GET jobs:dead g", "visibility\r\n:0\r\n");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:dead >", "oxbow.reason");
}

static void a_group_that_was_there_has_them_when_it_is_read(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XADD jobs:s 1-0 a b");
    (void)talk(t, 0, "XGROUP CREATE jobs:s g 0");
    (void)talk(t, 0, "XGROUP CREATE jobs:s own 0");
    (void)talk(t, 0, "OXBOW GROUP SET jobs:s own prefetch 7");
    (void)talk(t, 0, "XADD other 1-0 a b");
    (void)talk(t, 0, "XGROUP CREATE other g 0");
    begin(t);
    assert_says(t, "OXBOW GROUP GET jobs:s g", "visibility\r\n:0\r\n");
    assert_says(t, "XREADGROUP GROUP g a COUNT 1 STREAMS other jobs:s > >", "jobs:s");
    assert_says(t, "OXBOW GROUP GET jobs:s g", "visibility\r\n:3600000\r\n");
    assert_says(t, "OXBOW GROUP GET other g", "visibility\r\n:0\r\n");
    assert_says(t, "XREADGROUP GROUP own a COUNT 1 STREAMS jobs:s >", "1-0");
    assert_says(t, "OXBOW GROUP GET jobs:s own", "visibility\r\n:0\r\n");
    assert_says(t, "XREADGROUP GROUP none a STREAMS jobs:s >", "-NOGROUP ");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:none >", "-NOGROUP ");
    (void)talk(t, 0, "SET jobs:string x");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:string >", "-WRONGTYPE ");
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:s jobs:t >", "-ERR Unbalanced XREAD list");
}

static void rules_are_told_and_not_set(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG GET queue", "*2\r\n$5\r\nqueue\r\n$0\r\n\r\n");
    begin(t);
    assert_reply(t, 0, "CONFIG GET queue",
                 "*2\r\n$5\r\nqueue\r\n$137\r\n\"jobs:free\"\n\"jobs:*\" max-entries 2\n"
                 "\"*log\" max-entries 1 on-full drop-oldest\n"
                 "\"\\\"\\\\\\x0a\\xff\" max-age 5000 priorities 2 priority-weights 1,3\r\n");
    assert_reply(
        t, 0, "CONFIG GET group",
        "*2\r\n$5\r\ngroup\r\n$89\r\n\"jobs:*\" \"audit\"\n"
        "\"jobs:*\" \"*\" visibility 3600000 max-deliveries 2 dead-letter \"jobs:dead\"\r\n");
    assert_says(t, "CONFIG SET queue x", "can't set immutable config");
    assert_says(t, "CONFIG SET group x", "can't set immutable config");
}

static void more_queues_than_may_have_a_policy_go_without(void **state)
{
    struct talk *t = *state;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
    for (unsigned i = 0; i < OXBOW_POLICY_COUNT_MAX; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "n%u", i);

        assert_int_equal(oxbow_policy_set(txn, (struct oxbow_bytes){name, (size_t)len},
                                          &(struct oxbow_policy){.max_entries = 1}),
                         OXBOW_OK);
        if (i % 256 == 255) {
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
            assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
        }
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    begin(t);
    assert_reply(t, 0, "RPUSH jobs:a 1 2 3", ":3\r\n");
    assert_reply(t, 0, "OXBOW QUEUE SET jobs:a max-entries 1",
                 "-ERR 4096 queues have a policy already\r\n");
}

static void a_full_store_is_read_without(void **state)
{
    struct talk *t = *state;
    char words[2048];

    talk_close(t);
    t->store.quota_bytes = 1 << 20;
    talk_open(t);
    talk_connect(t, 0);
    (void)talk(t, 0, "XADD jobs:s 1-0 a b");
    (void)talk(t, 0, "XADD jobs:s 2-0 a b");
    (void)talk(t, 0, "XGROUP CREATE jobs:s g 0");
    assert_says(t, "XREADGROUP GROUP g a COUNT 1 STREAMS jobs:s >", "1-0");
    begin(t);
    for (int i = 0; i < 100000 && strncmp(t->text, "-OOM", 4) != 0; i++) {
        (void)snprintf(words, sizeof words, "SET filler%d %0*d", i, i < 900 ? 1000 : 1, 0);
        (void)talk(t, 0, words);
    }
    assert_memory_equal(t->text, "-OOM", 4);
    assert_says(t, "XREADGROUP GROUP g a STREAMS jobs:s 0", "1-0");
    (void)talk(t, 0, "FLUSHDB"); /* what is gone is given back little by little */
    until_says(t, "XADD jobs:s 3-0 a b", "XADD jobs:s 3-0 a b", "$3\r\n3-0\r\n");
    until_says(t, "XGROUP CREATE jobs:s g 0", "XGROUP CREATE jobs:s g 0", "+OK\r\n");
    until_says(t, "XREADGROUP GROUP g a STREAMS jobs:s >", "OXBOW GROUP GET jobs:s g",
               "visibility\r\n:3600000\r\n");
}

static void rules_that_are_not_there_are_refused(void **state)
{
    struct talk *t = *state;
    struct oxbow_resp_config config = t->config;
    struct oxbow_resp *s;

    config.queue_rule_count = 1;
    assert_int_equal(oxbow_resp_open(&config, &s), OXBOW_EINVAL);
    config.queue_rule_count = 0;
    config.group_rule_count = 1;
    assert_int_equal(oxbow_resp_open(&config, &s), OXBOW_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_queue_has_its_policy_before_its_first_entry),
        TEST(transactions_have_it_too),
        TEST(a_policy_of_its_own_stays),
        TEST(what_is_no_queue_and_what_only_reads_is_left_alone),
        TEST(a_group_has_its_options_when_it_is_made),
        TEST(a_group_that_was_there_has_them_when_it_is_read),
        TEST(rules_are_told_and_not_set),
        TEST(more_queues_than_may_have_a_policy_go_without),
        TEST(a_full_store_is_read_without),
        TEST(rules_that_are_not_there_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
