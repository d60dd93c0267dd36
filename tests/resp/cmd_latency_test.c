/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of commands that kept others waiting. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

/* A command that is said to have taken so long. */
static void ran(struct talk *t, const char *name, uint64_t us)
{
    const struct resp_call call = {
        .server = t->server,
        .row = resp_table_find(&t->server->table, (struct oxbow_bytes){name, strlen(name)})};

    resp_latency_ran(&call, us);
}

static void samples_are_kept_by_event_and_second(void **state)
{
    struct talk *t = *state;
    const char *got;

    assert_reply(t, 0, "CONFIG GET latency-monitor-threshold",
                 "*2\r\n$25\r\nlatency-monitor-threshold\r\n$1\r\n0\r\n");
    ran(t, "lrange", 5000000);
    assert_reply(t, 0, "LATENCY LATEST", "*0\r\n"); /* nothing is watched */
    assert_non_null(strstr(talk(t, 0, "LATENCY DOCTOR"), "Nothing is watched"));
    assert_reply(t, 0, "CONFIG SET latency-monitor-threshold 3600000", "+OK\r\n");
    assert_non_null(strstr(talk(t, 0, "LATENCY DOCTOR"), "No command has taken"));
    ran(t, "lrange", 3599999999);
    assert_reply(t, 0, "LATENCY LATEST", "*0\r\n");
    ran(t, "lrange", 3600000000);
    ran(t, "get", 3700000000);
    got = talk(t, 0, "LATENCY LATEST");
    assert_memory_equal(got, "*2\r\n*4\r\n$7\r\ncommand\r\n:", 22);
    assert_non_null(strstr(got, ":3600000\r\n:3600000\r\n*4\r\n$12\r\nfast-command\r\n:"));
    assert_non_null(strstr(got, ":3700000\r\n:3700000\r\n"));
    assert_memory_equal(talk(t, 0, "LATENCY HISTORY command"), "*1\r\n*2\r\n:", 9);
    assert_reply(t, 0, "LATENCY HISTORY none", "*0\r\n");
    assert_non_null(strstr(talk(t, 0, "LATENCY DOCTOR"), "fast-command: 1 seconds"));
    assert_reply(t, 0, "LATENCY RESET none", ":0\r\n");
    assert_reply(t, 0, "LATENCY RESET command", ":1\r\n");
    assert_reply(t, 0, "LATENCY RESET", ":1\r\n");
    assert_reply(t, 0, "LATENCY LATEST", "*0\r\n");
    assert_memory_equal(talk(t, 0, "LATENCY HELP"), "*6\r\n+LATENCY", 12);
    assert_memory_equal(talk(t, 0, "CONFIG SET latency-monitor-threshold -1"), "-ERR ", 5);
}

static void the_newest_samples_stay(void **state)
{
    struct talk *t = *state;
    struct resp_latency_event *e = &t->server->latency.events[0];

    t->server->latency.threshold_ms = 1;
    for (uint32_t i = 0; i < RESP_LATENCY_SAMPLES + 5; i++) {
        ran(t, "lrange", 1000 * (uint64_t)(i + 1));
        /* as if it were another second */
        e->samples[(e->next + RESP_LATENCY_SAMPLES - 1) % RESP_LATENCY_SAMPLES].at_s = i;
    }
    assert_memory_equal(talk(t, 0, "LATENCY HISTORY command"), "*160\r\n*2\r\n:5\r\n:6\r\n", 18);
    assert_int_equal(e->worst_ms, RESP_LATENCY_SAMPLES + 5);
    assert_int_equal(e->count, RESP_LATENCY_SAMPLES);
}

static void the_worst_of_a_second_is_its_sample(void **state)
{
    struct talk *t = *state;
    struct resp_latency_event *e = &t->server->latency.events[0];
    uint32_t before;

    t->server->latency.threshold_ms = 1;
    ran(t, "lrange", 7000);
    do { /* until two are in one second */
        before = e->count;
        ran(t, "lrange", 9000);
        ran(t, "lrange", 8000);
    } while (e->count > before && before < RESP_LATENCY_SAMPLES / 2);
    assert_int_equal(e->samples[e->next - 1].ms, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(samples_are_kept_by_event_and_second),
        TEST(the_newest_samples_stay),
        TEST(the_worst_of_a_second_is_its_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
