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
    assert_memory_equal(talk(t, 0, "LATENCY HELP"), "*8\r\n+LATENCY", 12);
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

static void a_graph_has_a_column_for_each_sample(void **state)
{
    static const uint64_t ms[] = {100, 200, 300, 400, 1200};
    struct talk *t = *state;
    struct resp_latency_event *e = &t->server->latency.events[0];
    uint64_t now_s;
    const char *got;

    t->server->latency.threshold_ms = 1;
    assert_reply(t, 0, "LATENCY GRAPH command",
                 "-ERR No samples available for event 'command'\r\n");
    assert_reply(t, 0, "LATENCY GRAPH none", "-ERR No samples available for event 'none'\r\n");
    now_s = resp_wall_ms(t->server) / 1000;
    for (uint32_t i = 0; i < 5; i++) {
        ran(t, "lrange", ms[i] * 1000);
        e->samples[i].at_s = now_s - 7200 * (5 - i); /* as if it were hours ago */
    }
    got = talk(t, 0, "LATENCY GRAPH Command");
    assert_non_null(
        strstr(got, "\r\ncommand - high 1200 ms, low 100 ms (all time high 1200 ms)\n-----"));
    assert_non_null(strstr(got, "----\n    #\n    |\n   _|\n_o#||\n\n18642\n0hhhh\nh    \n"));
    (void)talk(t, 0, "HELLO 3");
    assert_memory_equal(talk(t, 0, "LATENCY GRAPH command") + 4, "\r\ntxt:command", 13);
}

static void the_widest_graph_fits(void **state)
{
    struct talk *t = *state;
    struct resp_latency_event *e = &t->server->latency.events[1];
    const char *got;

    t->server->latency.threshold_ms = 1;
    for (uint32_t i = 0; i < RESP_LATENCY_SAMPLES + 5; i++) {
        ran(t, "get", (uint64_t)1 << 62);
        e->samples[(e->next + RESP_LATENCY_SAMPLES - 1) % RESP_LATENCY_SAMPLES].at_s = i;
    }
    got = talk(t, 0, "LATENCY GRAPH fast-command");
    assert_memory_equal(
        strstr(got, "\n\n") - 80, /* all the same: the lowest */
        "________________________________________________________________________________", 80);
    assert_non_null(strstr(got, "dddd\n\r\n")); /* the first second of 1970 is long ago */
}

static void calls_are_counted_by_how_long_they_took(void **state)
{
    static const struct {
        uint64_t us;
        const char *step;
    } cases[] = {{0, "1"},
                 {1, "1"},
                 {2, "2"},
                 {3, "4"},
                 {16, "16"},
                 {17, "33"},
                 {33, "33"},
                 {34, "66"},
                 {1056, "1056"},
                 {1057, "2113"},
                 {541065, "541065"},
                 {541066, "1073741"},
                 {999999, "1073741"},
                 {1000000, "1073741"},
                 {UINT64_MAX, "1073741"}};
    struct talk *t = *state;
    char want[256];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct resp_call call = {
            .server = t->server,
            .row = resp_table_find(&t->server->table, (struct oxbow_bytes){"lrange", 6})};

        assert_reply(t, 0, "CONFIG RESETSTAT", "+OK\r\n");
        resp_histogram_ran(&call, cases[i].us);
        (void)snprintf(want, sizeof want,
                       "*2\r\n$6\r\nlrange\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
                       "*2\r\n:%s\r\n:1\r\n",
                       cases[i].step);
        assert_reply(t, 0, "LATENCY HISTOGRAM lrange", want);
    }
}

/* Each call of what was given: alone, in a transaction, by who has waited. CONFIG RESETSTAT counts itself. */
static void every_command_that_ran_is_counted(void **state)
{
    struct talk *t = *state;
    const char *got;

    talk_connect(t, 1);
    assert_reply(t, 0, "CONFIG RESETSTAT", "+OK\r\n");
    assert_reply(t, 1, "BLPOP q 0", "");
    assert_reply(t, 0, "LATENCY HISTOGRAM blpop", "*0\r\n");
    (void)talk(t, 0, "RPUSH q a");
    (void)talk(t, 0, "GET q");
    (void)talk(t, 0, "GET"); /* did not get so far */
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "GET k");
    (void)talk(t, 0, "EXEC");
    (void)talk(t, 0, "CONFIG GET port");
    (void)talk(t, 0, "HELLO 3");
    got = talk(t, 0, "LATENCY HISTOGRAM get BLPOP config nosuch exec");
    assert_memory_equal(
        got, "%5\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%", 54);
    assert_non_null(strstr(got, "$5\r\nblpop\r\n%2\r\n$5\r\ncalls\r\n:1\r\n"));
    assert_non_null(strstr(got, "$10\r\nconfig|get\r\n%2\r\n$5\r\ncalls\r\n:1\r\n"));
    assert_non_null(strstr(got, "$4\r\nexec\r\n%2\r\n$5\r\ncalls\r\n:1\r\n"));
    assert_memory_equal(talk(t, 0, "LATENCY HISTOGRAM config|get"), "%1\r\n$10\r\nconfig|get\r\n",
                        21);
    assert_non_null(strstr(talk(t, 0, "LATENCY HISTOGRAM"), "$17\r\nlatency|histogram\r\n"));
    assert_reply(t, 0, "CONFIG RESETSTAT", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET latency-tracking no", "+OK\r\n");
    (void)talk(t, 0, "GET k");
    assert_reply(t, 0, "LATENCY HISTOGRAM get", "%0\r\n");
    assert_reply(t, 0, "CONFIG GET latency-tracking",
                 "%1\r\n$16\r\nlatency-tracking\r\n$2\r\nno\r\n");
    assert_reply(t, 0, "CONFIG SET latency-tracking maybe",
                 "-ERR CONFIG SET failed (possibly related to argument 'latency-tracking') - "
                 "argument must be 'yes' or 'no'\r\n");
    assert_reply(t, 0, "LATENCY GRAPH",
                 "-ERR wrong number of arguments for 'latency|graph' command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(samples_are_kept_by_event_and_second),
        TEST(the_newest_samples_stay),
        TEST(the_worst_of_a_second_is_its_sample),
        TEST(a_graph_has_a_column_for_each_sample),
        TEST(the_widest_graph_fits),
        TEST(calls_are_counted_by_how_long_they_took),
        TEST(every_command_that_ran_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
