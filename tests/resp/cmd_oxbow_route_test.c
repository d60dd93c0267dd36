/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW BIND and OXBOW SCHEDULE: what each does, and how each refuses what makes no sense. */
#include "oxbow/binding.h"
#include "oxbow/schedule.h"
#include "tests/resp/talk.h"

#include <time.h>

#define PATIENCE 3000 /* rounds of 10 ms */

static void assert_says(struct talk *t, const char *words, const char *part)
{
    const char *said = talk(t, 0, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

/* Asks until the answer has the part: what the store does by itself takes its time. */
static void until_says(struct talk *t, const char *words, const char *part)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < PATIENCE; i++) {
        if (strstr(talk(t, 0, words), part) != NULL) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%s: '%s' never came: %s", words, part, t->text);
}

/* Words that may have blanks: separated by bars. */
static const char *tell(struct talk *t, const char *words)
{
    char request[4096];
    size_t len = 0;
    int count = 1;

    for (const char *p = words; *p != '\0'; p++) {
        count += *p == '|';
    }
    len += (size_t)snprintf(request, sizeof request, "*%d\r\n", count);
    for (const char *p = words; count > 0; count--) {
        int part = (int)strcspn(p, "|");

        len +=
            (size_t)snprintf(request + len, sizeof request - len, "$%d\r\n%.*s\r\n", part, part, p);
        p += part + 1;
    }
    talk_feed(t, 0, request, len);
    talk_turn(t);
    return talk_heard(t, 0);
}

static void what_is_added_to_a_source_goes_on(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 0, "OXBOW BIND ADD s all", ":2\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s hot ON-FULL skip Topic kind sensor.*.hot", ":3\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s l LIST n DIRECT to list", ":4\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s both HEADERS a 1 b 2", ":5\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s any ANY-HEADER a 1 b 2", ":6\r\n");
    assert_reply(t, 1, "XREAD BLOCK 0 STREAMS hot $", "");
    assert_reply(t, 2, "BLPOP l 0", "");
    (void)talk(t, 0, "XADD s * kind sensor.7.hot n 1 to list a 1");
    assert_non_null(strstr(talk_heard(t, 1), "sensor.7.hot")); /* who waits there is served */
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nl\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "XLEN all", ":1\r\n");
    assert_reply(t, 0, "XLEN any", ":1\r\n");
    assert_reply(t, 0, "EXISTS both", ":0\r\n");
    assert_says(t, "OXBOW BIND LIST", "*5\r\n*20\r\n$2\r\nid\r\n:2\r\n");
    assert_says(
        t, "OXBOW BIND LIST s",
        "$2\r\nid\r\n:3\r\n$6\r\nsource\r\n$1\r\ns\r\n$11\r\ndestination\r\n$3\r\nhot\r\n$4\r\n"
        "kind\r\n$5\r\ntopic\r\n$5\r\ntakes\r\n*2\r\n$4\r\nkind\r\n$12\r\nsensor.*.hot\r\n"
        "$4\r\nlist\r\n$0\r\n\r\n$7\r\non-full\r\n$4\r\nskip\r\n");
    assert_says(t, "OXBOW BIND LIST s",
                "any-header\r\n$5\r\ntakes\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "OXBOW BIND LIST all", "*0\r\n");
    (void)talk(t, 0, "SELECT 1");
    assert_reply(t, 0, "OXBOW BIND LIST", "*0\r\n");
    assert_reply(t, 0, "OXBOW BIND DEL s 2", ":0\r\n"); /* another database's */
    (void)talk(t, 0, "SELECT 0");
    assert_reply(t, 0, "OXBOW BIND DEL other 2", ":0\r\n");
    assert_reply(t, 0, "OXBOW BIND DEL s 2", ":1\r\n");
    assert_reply(t, 0, "OXBOW BIND DEL s 2", ":0\r\n");
    talk_again(t);
    talk_connect(t, 0);
    (void)talk(t, 0, "XADD s * a 1 b 2");
    assert_reply(t, 0, "XLEN all", ":1\r\n");
    assert_reply(t, 0, "XLEN both", ":1\r\n");
}

static void a_source_may_keep_nothing_and_have_an_alternate(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "OXBOW BIND GET s", "*-1\r\n");
    assert_reply(t, 0, "OXBOW BIND SET s KEEP no", "+OK\r\n");
    assert_reply(t, 0, "OXBOW BIND SET s alternate rest", "+OK\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s d DIRECT a 1", ":2\r\n");
    assert_reply(t, 0, "OXBOW ADD s * a 1", "$-1\r\n"); /* no id: it only goes through */
    (void)talk(t, 0, "XADD s * a 2");
    assert_reply(t, 0, "EXISTS s", ":0\r\n");
    assert_reply(t, 0, "XLEN d", ":1\r\n");
    assert_reply(t, 0, "XLEN rest", ":1\r\n");
    assert_reply(
        t, 0, "OXBOW BIND GET s",
        "*16\r\n$4\r\nkeep\r\n$2\r\nno\r\n$9\r\nalternate\r\n$4\r\nrest\r\n$8\r\nbindings\r\n"
        ":1\r\n$7\r\nentries\r\n:2\r\n$6\r\nrouted\r\n:1\r\n$10\r\nunroutable\r\n:1\r\n$10\r\n"
        "alternated\r\n:1\r\n$7\r\ndropped\r\n:0\r\n");
}

static void a_full_destination_refuses_for_the_source(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "OXBOW QUEUE SET d max-entries 1");
    (void)talk(t, 0, "OXBOW BIND ADD s d");
    (void)talk(t, 0, "XADD s 1-0 a b");
    assert_reply(t, 0, "XADD s 2-0 a b",
                 "-OOM the queue is full: its policy's limit is reached\r\n");
    assert_reply(t, 0, "OXBOW ADD s 2-0 a b",
                 "-OOM the queue is full: its policy's limit is reached\r\n");
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    assert_reply(t, 0, "OXBOW BIND ADD s d ON-FULL skip", ":2\r\n"); /* the same one */
    assert_reply(t, 0, "XADD s 2-0 a b", "$3\r\n2-0\r\n");
    assert_says(t, "OXBOW BIND LIST s", "$7\r\ndropped\r\n:1\r\n$3\r\nwhy\r\n$48\r\n");
}

static void schedules_add_again_and_again(void **state)
{
    struct talk *t = *state;

    assert_string_equal(tell(t, "OXBOW|SCHEDULE|ADD|tick|s|every 100 ms|ENTRY|n|1"), "+OK\r\n");
    assert_string_equal(tell(t, "OXBOW|SCHEDULE|ADD|tock|l|every 100 ms|MISSED|once|LATE|50|PUSH|"
                                "RIGHT|x"),
                        "+OK\r\n");
    assert_string_equal(tell(t, "OXBOW|SCHEDULE|ADD|noon|s|0 12 * * *|offset|-90|missed|ALL|"
                                "missed-max|7|ENTRY|n|2"),
                        "+OK\r\n");
    until_says(t, "XLEN s", ":2\r\n");
    until_says(t, "LLEN l", ":2\r\n");
    assert_says(t, "OXBOW SCHEDULE LIST", "*3\r\n*34\r\n$4\r\nname\r\n$4\r\nnoon\r\n");
    assert_says(
        t, "OXBOW SCHEDULE LIST noon",
        "*1\r\n*34\r\n$4\r\nname\r\n$4\r\nnoon\r\n$8\r\ndatabase\r\n:0\r\n$3\r\nkey\r\n$1\r\ns"
        "\r\n$4\r\ntype\r\n$6\r\nstream\r\n$4\r\nwhen\r\n$10\r\n0 12 * * *\r\n$5\r\nclock\r\n$4"
        "\r\nwall\r\n$6\r\noffset\r\n:-90\r\n$9\r\nmissed-do\r\n$3\r\nall\r\n$10\r\n"
        "missed-max\r\n:7\r\n");
    assert_reply(t, 0, "OXBOW SCHEDULE PAUSE tick", "+OK\r\n");
    assert_says(t, "OXBOW SCHEDULE LIST tick",
                "$6\r\npaused\r\n$3\r\nyes\r\n$7\r\nnext-ms\r\n$-1\r\n");
    (void)talk(t, 0, "DEL s");
    assert_reply(t, 0, "OXBOW SCHEDULE RESUME tick", "+OK\r\n");
    until_says(t, "XLEN s", ":1\r\n");
    assert_reply(t, 0, "OXBOW SCHEDULE DEL tick", ":1\r\n");
    assert_reply(t, 0, "OXBOW SCHEDULE DEL tick", ":0\r\n");
    assert_reply(t, 0, "OXBOW SCHEDULE LIST tick", "-ERR there is no schedule 'tick'\r\n");
    (void)talk(t, 0, "OXBOW QUEUE SET l max-entries 1");
    until_says(t, "OXBOW SCHEDULE LIST tock", "the queue is full");
    talk_again(t);
    talk_connect(t, 0);
    assert_says(t, "OXBOW SCHEDULE LIST", "*2\r\n");
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"OXBOW|BIND", "-ERR wrong number of arguments for 'oxbow|bind' command"},
        {"OXBOW|BIND|x", "-ERR unknown subcommand or wrong number of arguments for 'BIND x'. Try"},
        {"OXBOW|BIND|ADD|s", "arguments for 'BIND ADD'"},
        {"OXBOW|BIND|ADD|s|d|x", "-ERR syntax error"},
        {"OXBOW|BIND|ADD|s|d|ON-FULL", "-ERR syntax error"},
        {"OXBOW|BIND|ADD|s|d|ON-FULL|wait", "-ERR ON-FULL is refuse or skip"},
        {"OXBOW|BIND|ADD|s|d|LIST|", "-ERR LIST names the field"},
        {"OXBOW|BIND|ADD|s|d|ALL|x", "-ERR ALL has no arguments"},
        {"OXBOW|BIND|ADD|s|d|DIRECT|x", "-ERR want DIRECT field value"},
        {"OXBOW|BIND|ADD|s|d|TOPIC|a|b|c", "-ERR want TOPIC field pattern"},
        {"OXBOW|BIND|ADD|s|d|HEADERS", "-ERR want HEADERS field value"},
        {"OXBOW|BIND|ADD|s|d|HEADERS|a", "-ERR want HEADERS field value"},
        {"OXBOW|BIND|ADD|s|d|ANY-HEADER|1|1|2|2|3|3|4|4|5|5|6|6|7|7|8|8|9|9",
         "-ERR want ANY-HEADER field value"},
        {"OXBOW|BIND|ADD|s|s", "-ERR bindings would lead entries back"},
        {"OXBOW|BIND|ADD||d", "-ERR names of queues, fields and patterns have at least one byte"},
        {"OXBOW|BIND|DEL|s|x", "-ERR the id of a binding is a number"},
        {"OXBOW|BIND|DEL|s|0", "-ERR the id of a binding is a number"},
        {"OXBOW|BIND|DEL|s|4294967296", "-ERR the id of a binding is a number"},
        {"OXBOW|BIND|DEL|s", "arguments for 'BIND DEL'"},
        {"OXBOW|BIND|LIST|s|x", "arguments for 'BIND LIST'"},
        {"OXBOW|BIND|SET|s|KEEP", "arguments for 'BIND SET'"},
        {"OXBOW|BIND|SET|s|KEEP|maybe", "-ERR syntax error"},
        {"OXBOW|BIND|SET|s|KEEP|no|ALTERNATE", "-ERR syntax error"},
        {"OXBOW|SCHEDULE|x", "arguments for 'SCHEDULE x'"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|ENTRY", "arguments for 'SCHEDULE ADD'"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|ENTRY|a", "-ERR want ENTRY field value"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|PUSH|UP|a", "-ERR want PUSH LEFT|RIGHT value"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|PUSH|LEFT|a|b", "-ERR want PUSH LEFT|RIGHT value"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|LATE|1", "-ERR a schedule adds ENTRY field value"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|COLOUR|1|ENTRY|a|b", "-ERR syntax error"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 y|ENTRY|a|b", "-ERR 'every 1 y': at character 9: "},
        {"OXBOW|SCHEDULE|ADD|n|s|0 12 30 2 *|ENTRY|a|b", "-ERR '0 12 30 2 *': at character "},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|OFFSET|1441|ENTRY|a|b", "-ERR OFFSET is a number"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|OFFSET|x|ENTRY|a|b", "-ERR OFFSET is a number"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|MISSED|x|ENTRY|a|b", "-ERR MISSED is skip, once or all"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|MISSED-MAX|10001|ENTRY|a|b", "-ERR MISSED-MAX is a"},
        {"OXBOW|SCHEDULE|ADD|n|s|every 1 s|LATE|99999999999|ENTRY|a|b", "-ERR LATE is a number"},
        {"OXBOW|SCHEDULE|ADD|a b|s|every 1 s|ENTRY|a|b", "-ERR a schedule's name has 1 to 48"},
        {"OXBOW|SCHEDULE|ADD||s|every 1 s|ENTRY|a|b", "-ERR a schedule's name has 1 to 48"},
        {"OXBOW|SCHEDULE|DEL|", "-ERR a schedule's name has 1 to 48"},
        {"OXBOW|SCHEDULE|PAUSE|none", "-ERR there is no schedule 'none'"},
        {"OXBOW|SCHEDULE|RESUME|none", "-ERR there is no schedule 'none'"},
        {"OXBOW|SCHEDULE|LIST|none", "-ERR there is no schedule 'none'"},
    };
    char words[2048];
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *said = tell(t, rows[i][0]);

        if (strstr(said, rows[i][1]) == NULL) {
            fail_msg("%s: '%s' is not in: %s", rows[i][0], rows[i][1], said);
        }
    }
    (void)snprintf(words, sizeof words, "OXBOW BIND ADD %01025d d", 0);
    assert_says(t, words, "-ERR a queue's name has at most 1024 bytes here");
    (void)snprintf(words, sizeof words, "OXBOW BIND ADD s d DIRECT f %0256d", 0);
    assert_says(t, words, "-ERR a queue's name has at most 1024 bytes here");
    (void)snprintf(words, sizeof words, "OXBOW SCHEDULE DEL %049d", 0);
    assert_says(t, words, "-ERR a schedule's name has 1 to 48");
    (void)talk(t, 0, "OXBOW BIND ADD a l LIST n");
    assert_says(t, "OXBOW BIND ADD b l", "-WRONGTYPE ");
    (void)talk(t, 0, "OXBOW BIND ADD x y");
    assert_says(t, "OXBOW BIND ADD y x", "-ERR bindings would lead entries back");
    assert_says(t, "OXBOW BIND LIST", "*2\r\n"); /* nothing of all that was done */
    assert_reply(t, 0, "OXBOW SCHEDULE LIST", "*0\r\n");
    assert_reply(t, 0, "DBSIZE", ":0\r\n");
}

static void rights_are_those_to_both_keys(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "ACL SETUSER o on >o ~mine* +@all");
    (void)talk(t, 1, "AUTH o o");
    assert_reply(t, 1, "OXBOW BIND ADD mine mine2", ":2\r\n");
    assert_memory_equal(talk(t, 1, "OXBOW BIND ADD mine other"), "-NOPERM ", 8);
    assert_memory_equal(talk(t, 1, "OXBOW BIND ADD other mine"), "-NOPERM ", 8);
    assert_memory_equal(talk(t, 1, "OXBOW BIND DEL other 2"), "-NOPERM ", 8);
    assert_memory_equal(talk(t, 1, "OXBOW BIND SET mine ALTERNATE other"), "-NOPERM ", 8);
    assert_memory_equal(talk(t, 1, "OXBOW SCHEDULE ADD n other every LATE 1 PUSH LEFT x"),
                        "-NOPERM ", 8);
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW BIND ADD a b ALL", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW BIND SET a KEEP no ALTERNATE c",
                 "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW SCHEDULE ADD n a w PUSH LEFT x", "*1\r\n$1\r\na\r\n");
    (void)talk(t, 0, "ACL SETUSER o -@dangerous");
    assert_memory_equal(talk(t, 1, "OXBOW BIND ADD mine mine3"), "-NOPERM ", 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_added_to_a_source_goes_on),
        TEST(a_source_may_keep_nothing_and_have_an_alternate),
        TEST(a_full_destination_refuses_for_the_source),
        TEST(schedules_add_again_and_again),
        TEST(what_makes_no_sense_is_refused),
        TEST(rights_are_those_to_both_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
