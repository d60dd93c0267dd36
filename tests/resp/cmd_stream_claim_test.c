/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XREADGROUP ... CLAIM: what Redis 8.4 does, which is not here to be asked. Each case says
 * where the behaviour is written down: T is redis/redis, tests/unit/type/stream-cgroups.tcl, S its
 * src/t_stream.c, D is redis/docs, content/commands/xreadgroup.md.
 *
 * XCLAIM ... IDLE says how long an entry has been idle: no test waits for that to be so.
 */
#include "tests/resp/talk.h"

#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 60000 /* what is waited for comes long before */

/* Entries 1 to n, all of which bob has. */
static void fill(struct talk *t, int n)
{
    (void)talk(t, 0, "DEL s");
    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    for (int i = 1; i <= n; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 f v%d", i, i);
        (void)talk(t, 0, words);
    }
    if (n > 0) {
        (void)talk(t, 0, "XREADGROUP GROUP g bob STREAMS s >");
    }
}

static void idle(struct talk *t, int id, int ms)
{
    char words[96];

    (void)snprintf(words, sizeof words, "XCLAIM s g bob 0 %d-0 IDLE %d JUSTID", id, ms);
    assert_memory_equal(talk(t, 0, words), "*1\r\n", 4);
}

/* "1-0:idle:1 2-0::0": ids, how long they were idle in tens of seconds, and deliveries, of a reply in
 * RESP2. "" stands for nil. */
static const char *told(const char *reply)
{
    static char out[4096];
    size_t len = 0;

    out[0] = '\0';
    if (strcmp(reply, "*-1\r\n") == 0) {
        return out;
    }
    assert_memory_equal(reply, "*1\r\n*2\r\n$1\r\ns\r\n*", 16);
    for (const char *p = reply + 15; (p = strstr(p, "*4\r\n$")) != NULL; p++) {
        const char *id = strstr(p, "\r\n") + 2;
        const char *ints;
        char *end;
        unsigned long long ms;

        id = strstr(id, "\r\n") + 2;
        ints = strstr(id, "\r\n:");
        assert_non_null(ints);
        ms = strtoull(ints + 3, &end, 10);
        assert_memory_equal(end, "\r\n:", 3);
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%.*s:%llu:%lld", len > 0 ? " " : "",
                                (int)strcspn(id, "\r"), id, ms / 10000, strtoll(end + 3, NULL, 10));
    }
    return out;
}

#define assert_told(t, words, want) assert_string_equal(told(talk((t), 0, (words))), (want))

static void assert_begins(const char *reply, const char *want)
{
    if (strncmp(reply, want, strlen(want)) != 0) {
        fail_msg("%s\ndoes not begin with\n%s", reply, want);
    }
}

/* ---- what is given ---- */

/* T: CLAIM field types are correct; D: the entry's id, fields, idle time, deliveries */
static void replies_have_two_integers_more(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    idle(t, 1, 70000);
    assert_begins(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >"),
                  "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv1"
                  "\r\n:7");
    assert_string_equal(strrchr(t->text, ':'), ":1\r\n");
    (void)talk(t, 0, "XADD s 2-0 f v2");
    assert_reply(t, 0, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >",
                 "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv2\r\n:"
                 "0\r\n:0\r\n");
    assert_memory_equal(talk(t, 0, "HELLO 3"), "%7", 2);
    (void)talk(t, 0, "XADD s 3-0 f v3");
    assert_reply(
        t, 0, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >",
        "%1\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv3\r\n:0\r\n:0\r\n");
    assert_reply(t, 0, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >", "_\r\n");
}

/* T: CLAIM verify claiming order, returns unacknowledged messages, verify ownership transfer and delivery
 * count updates; D: idle ones first, the longest idle first, then new ones */
static void the_longest_idle_come_first_then_what_is_new(void **state)
{
    struct talk *t = *state;

    fill(t, 4);
    idle(t, 1, 30000);
    idle(t, 2, 50000);
    idle(t, 3, 20000);
    idle(t, 4, 40000);
    (void)talk(t, 0, "XADD s 5-0 f v5");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 30000 STREAMS s >",
                "2-0:5:1 4-0:4:1 1-0:3:1 5-0:0:0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 15000 STREAMS s >", "3-0:2:1");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 15000 STREAMS s >", "");
    assert_reply(t, 0, "XPENDING s g",
                 "*4\r\n:5\r\n$3\r\n1-0\r\n$3\r\n5-0\r\n*1\r\n*2\r\n$3\r\neve\r\n$1\r\n5\r\n");
    /* T: CLAIM with different position: each claim counts a delivery. Of oxbow: what was delivered within
     * one millisecond comes by its ids. */
    for (int i = 1; i <= 5; i++) {
        idle(t, i, 10000 * (7 - i));
    }
    assert_told(t, "XREADGROUP CLAIM 5000000 GROUP g bob COUNT 1 CLAIM 0 STREAMS s >", "1-0:6:2");
}

/* T: CLAIM with COUNT limit; D: 20 idle and 200 new, COUNT 100 */
static void the_count_is_of_both_together(void **state)
{
    struct talk *t = *state;

    fill(t, 3);
    idle(t, 1, 30000);
    idle(t, 2, 20000);
    (void)talk(t, 0, "XADD s 4-0 f v");
    (void)talk(t, 0, "XADD s 5-0 f v");
    assert_told(t, "XREADGROUP GROUP g eve COUNT 1 CLAIM 10000 STREAMS s >", "1-0:3:1");
    idle(t, 1, 30000);
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 10000 COUNT 3 STREAMS s >",
                "1-0:3:2 2-0:2:1 4-0:0:0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 10000 COUNT 3 STREAMS s >", "5-0:0:0");
}

/* T: CLAIM respects min-idle-time threshold, without messages, after consumer deleted ..., verify XACK
 * removes messages ... */
static void what_is_not_idle_enough_is_not_claimed(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >", "");
    idle(t, 1, 90000);
    idle(t, 2, 90000);
    assert_reply(t, 0, "XACK s g 1-0", ":1\r\n");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 60000 STREAMS s >", "2-0:9:1");
    idle(t, 2, 90000);
    assert_reply(t, 0, "XGROUP DELCONSUMER s g bob", ":1\r\n");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >", "");
    fill(t, 0);
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >", "");
}

/* T: CLAIM after XGROUP SETID moves before pending messages: they come twice, as idle and as new */
static void a_group_that_was_set_back_gives_what_is_pending_twice(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    idle(t, 1, 20000);
    idle(t, 2, 10000);
    (void)talk(t, 0, "XGROUP SETID s g 0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 5000 STREAMS s >",
                "1-0:2:1 2-0:1:1 1-0:0:0 2-0:0:0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >", "1-0:0:1 2-0:0:1");
}

/* T: CLAIM when pending messages get trimmed; S: they stay pending */
static void what_was_deleted_is_not_given_and_stays_pending(void **state)
{
    struct talk *t = *state;

    fill(t, 3);
    (void)talk(t, 0, "XDEL s 1-0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >", "2-0:0:1 3-0:0:1");
    (void)talk(t, 0, "XTRIM s MAXLEN 0");
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >", "");
    assert_memory_equal(talk(t, 0, "XPENDING s g"), "*4\r\n:3\r\n", 8);
}

/* T: CLAIM with BLOCK and NOACK; D: NOACK is not for claimed ones */
static void noack_is_of_new_ones_alone(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    idle(t, 1, 20000);
    (void)talk(t, 0, "XADD s 2-0 f v");
    assert_told(t, "XREADGROUP GROUP g eve NOACK CLAIM 10000 STREAMS s >", "1-0:2:1 2-0:0:0");
    assert_reply(t, 0, "XPENDING s g",
                 "*4\r\n:1\r\n$3\r\n1-0\r\n$3\r\n1-0\r\n*1\r\n*2\r\n$3\r\neve\r\n$1\r\n1\r\n");
}

/* T: CLAIM with specific ID: there it is not heeded; S: of several streams each has its id */
static void history_is_as_without(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    idle(t, 1, 20000);
    assert_reply(t, 0, "XREADGROUP GROUP g bob CLAIM 10000 STREAMS s 0",
                 "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv1\r\n");
    assert_reply(t, 0, "XREADGROUP GROUP g eve CLAIM 10000 STREAMS s 0",
                 "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n");
    idle(t, 1, 20000);
    (void)talk(t, 0, "XGROUP CREATE t g 0 MKSTREAM");
    (void)talk(t, 0, "XADD t 7-0 f v");
    assert_reply(t, 0, "XREADGROUP GROUP g bob CLAIM 60000 STREAMS s t s > > 5",
                 "*2\r\n*2\r\n$1\r\nt\r\n*1\r\n*4\r\n$3\r\n7-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
                 ":0\r\n:0\r\n*2\r\n$1\r\ns\r\n*0\r\n");
}

/* T: CLAIM with large number of PEL messages. Of oxbow: without a count, 4,096 are claimed at most, and
 * what is new waits for the next read. */
static void long_pending_lists_are_claimed_in_parts(void **state)
{
    struct talk *t = *state;

    fill(t, 0);
    for (int i = 1; i <= 5000; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 f v", i);
        talk_send(t, 0, words);
        if (i % 500 == 0) {
            talk_turn(t);
            (void)talk_heard(t, 0);
        }
    }
    (void)talk(t, 0, "XREADGROUP GROUP g bob COUNT 800 NOACK STREAMS s >");
    for (int i = 0; i < 10; i++) {
        (void)talk(t, 0, "XREADGROUP GROUP g bob COUNT 420 STREAMS s >");
    }
    assert_memory_equal(talk(t, 0, "XPENDING s g"), "*4\r\n:4200\r\n", 11);
    (void)talk(t, 0, "XADD s 5001-0 f v");
    assert_begins(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 0 COUNT 1000 STREAMS s >"),
                  "*1\r\n*2\r\n$1\r\ns\r\n*1000\r\n");
    talk_connect(t, 1);
    talk_send(t, 1, "XREADGROUP GROUP g dan CLAIM 0 STREAMS s >");
    talk_turn(t);
    talk_hang_up(t, 1); /* the reply is longer than a test's text */
    assert_non_null(strstr(talk(t, 0, "XPENDING s g"), "*2\r\n$3\r\ndan\r\n$4\r\n4096\r\n"));
    assert_begins(t->text, "*4\r\n:4200\r\n$5\r\n801-0\r\n$6\r\n5000-0\r\n");
    assert_begins(talk(t, 0, "XREADGROUP GROUP g dan COUNT 200 CLAIM 0 STREAMS s >"),
                  "*1\r\n*2\r\n$1\r\ns\r\n*200\r\n");
}

/* ---- arguments ---- */

/* T: CLAIM with negative integer ..., with different position, on non-existing consumer group, XREAD with
 * CLAIM option */
static void wrong_arguments_are_refused(void **state)
{
    static const char integer[] = "-ERR min-idle-time is not an integer or out of range\r\n";
    static const char positive[] = "-ERR min-idle-time must be a positive integer\r\n";
    static const char unbalanced[] = "-ERR Unbalanced XREAD list of streams: for each stream key "
                                     "an ID or '$' must be specified.\r\n";
    static const struct {
        const char *words;
        const char *want;
    } cases[] = {
        {"GROUP g c CLAIM -10 STREAMS s >", positive},
        {"GROUP g c CLAIM -0 STREAMS s >", integer},
        {"GROUP g c CLAIM -5.5 STREAMS s >", integer},
        {"GROUP g c CLAIM 1e3 STREAMS s >", integer},
        {"GROUP g c CLAIM 9223372036854775808 STREAMS s >", integer},
        {"GROUP g c CLAIM STREAMS s >", integer},
        {"GROUP g c CLAIM 10 CLAIM COUNT 1 STREAMS s >", integer},
        {"CLAIM GROUP g c COUNT 1 STREAMS s >", integer},
        {"GROUP g c CLAIM 5 CLAIM -1 STREAMS s >", positive},
        {"GROUP g c STREAMS s CLAIM >", unbalanced},
        {"GROUP g c STREAMS s > CLAIM", unbalanced},
        {"GROUP g c STREAMS s > CLAIM 50",
         "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"GROUP g c STREAMS s CLAIM > 50",
         "-NOGROUP No such key 'CLAIM' or consumer group 'g' in XREADGROUP with GROUP option\r\n"},
        {"GROUP g CLAIM 50 c STREAMS s >", "-ERR syntax error\r\n"},
        {"GROUP g c STREAMS s > CLAIM 5 6", unbalanced},
        {"GROUP nobody c CLAIM 5 STREAMS s >",
         "-NOGROUP No such key 's' or consumer group 'nobody' in XREADGROUP with GROUP option\r\n"},
        {"GROUP g c CLAIM 5 STREAMS s x",
         "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"GROUP g c CLAIM", "-ERR wrong number of arguments for 'xreadgroup' command\r\n"},
        {"GROUP g c COUNT 1 CLAIM", "-ERR syntax error\r\n"},
    };
    struct talk *t = *state;
    char words[128];

    fill(t, 1);
    for (int version = 2; version <= 3; version++) {
        (void)snprintf(words, sizeof words, "HELLO %d", version);
        (void)talk(t, 0, words);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            (void)snprintf(words, sizeof words, "XREADGROUP %s", cases[i].words);
            assert_reply(t, 0, words, cases[i].want);
        }
        assert_reply(t, 0, "XREAD COUNT 2 CLAIM 10 STREAMS s 0",
                     "-ERR The CLAIM option is only supported by XREADGROUP. You called XREAD "
                     "instead.\r\n");
        assert_reply(t, 0, "XREAD CLAIM x STREAMS s 0",
                     "-ERR The CLAIM option is only supported by XREADGROUP. You called XREAD "
                     "instead.\r\n");
    }
}

/* ---- waiting ---- */

/* Until client n has heard something, which is then in t->text. */
static void until_heard(struct talk *t, uint32_t n)
{
    for (int i = 0; i < WAIT_MS; i++) {
        talk_turn(t);
        if (talk_heard(t, n)[0] != '\0') {
            return;
        }
        (void)usleep(1000);
    }
    fail_msg("nothing came");
}

/* T: CLAIM claims all pending immediately, with BLOCK zero: what is idle enough keeps nobody waiting */
static void who_finds_something_idle_does_not_wait(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    assert_told(t, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 0 STREAMS s >", "1-0:0:1");
    idle(t, 1, 60000);
    assert_told(t, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 50000 STREAMS s >", "1-0:6:2");
}

/* T: CLAIM messages become claimable during block; D: the condition may become true meanwhile */
static void who_waits_is_given_what_has_become_idle_enough(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    idle(t, 1, 40000);
    idle(t, 2, 59700);
    talk_connect(t, 1);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 60000 STREAMS s >", "");
    until_heard(t, 1);
    assert_string_equal(told(t->text), "2-0:6:1");
    assert_memory_equal(talk(t, 0, "XPENDING s g - + 10 eve"), "*1\r\n*4\r\n$3\r\n2-0\r\n", 16);
}

/* The same through a chain: what one who waited was given becomes idle for another, who waited too. */
static void what_one_was_given_becomes_idle_for_the_next(void **state)
{
    struct talk *t = *state;

    fill(t, 0);
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 200 STREAMS s >", "");
    assert_reply(t, 2, "XREADGROUP GROUP g dan BLOCK 0 CLAIM 200 STREAMS s >", "");
    /* T: CLAIM with two blocked clients */
    (void)talk(t, 0, "XADD s 1-0 f v");
    assert_string_equal(told(talk_heard(t, 1)), "1-0:0:0");
    until_heard(t, 2);
    assert_string_equal(told(t->text), "1-0:0:1");
}

/* T: CLAIM BLOCK wakes on new message before min-idle-time reached */
static void who_waits_is_given_what_is_new(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    talk_connect(t, 1);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >", "");
    (void)talk(t, 0, "XADD s 2-0 f v");
    assert_string_equal(told(talk_heard(t, 1)), "2-0:0:0");
    assert_memory_equal(talk(t, 1, "HELLO 3"), "%7", 2);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >", "");
    (void)talk(t, 0, "XADD s 3-0 f v");
    assert_string_equal(talk_heard(t, 1),
                        "%1\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n"
                        "$1\r\nv\r\n:0\r\n:0\r\n");
}

/* T: CLAIM block times out with no claimable messages */
static void a_wait_for_nothing_ends(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    talk_connect(t, 1);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 20 CLAIM 3600000 STREAMS s >", "");
    until_heard(t, 1);
    assert_string_equal(t->text, "*-1\r\n");
    /* Of oxbow: what the stream has no more never becomes claimable, and keeps nobody busy. */
    (void)talk(t, 0, "XDEL s 1-0");
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 20 CLAIM 0 STREAMS s >", "");
    until_heard(t, 1);
    assert_string_equal(t->text, "*-1\r\n");
}

static void who_waits_is_told_that_the_group_is_gone(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    talk_connect(t, 1);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >", "");
    (void)talk(t, 0, "XGROUP DESTROY s g");
    assert_string_equal(
        talk_heard(t, 1),
        "-NOGROUP the consumer group this client was blocked on no longer exists\r\n");
}

/* ---- around it ---- */

/* T: CLAIM within MULTI/EXEC transaction; nobody waits there */
static void transactions_claim(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >");
    (void)talk(t, 0, "XREADGROUP GROUP g eve CLAIM 0 STREAMS s >");
    (void)talk(t, 0, "XPENDING s g");
    assert_memory_equal(talk(t, 0, "EXEC"),
                        "*3\r\n*-1\r\n*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n1-0\r\n", 37);
    assert_non_null(strstr(t->text, "*1\r\n*2\r\n$3\r\neve\r\n$1\r\n1\r\n"));
}

/* T: CLAIM state persists ..., high delivery counts persist ...; of oxbow: also how long it was idle */
static void claims_outlive_the_server(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    for (int i = 1; i <= 10; i++) {
        char want[32];

        idle(t, 1, 60000);
        (void)snprintf(want, sizeof want, "1-0:6:%d", i);
        assert_told(t, "XREADGROUP GROUP g eve CLAIM 50000 STREAMS s >", want);
    }
    idle(t, 1, 60000);
    talk_again(t);
    talk_connect(t, 0);
    assert_told(t, "XREADGROUP GROUP g eve CLAIM 50000 STREAMS s >", "1-0:6:11");
}

/* Of oxbow: in a group with options, what comes back by itself has its count too. */
static void what_comes_back_by_itself_says_how_often_it_was_given(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    assert_reply(t, 0, "OXBOW GROUP SET s g visibility 1ms", "+OK\r\n");
    talk_connect(t, 1);
    if (talk(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >")[0] == '\0') {
        until_heard(t, 1);
    }
    assert_string_equal(told(t->text), "1-0:0:1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)
    const struct CMUnitTest tests[] = {
        T(replies_have_two_integers_more),
        T(the_longest_idle_come_first_then_what_is_new),
        T(the_count_is_of_both_together),
        T(what_is_not_idle_enough_is_not_claimed),
        T(a_group_that_was_set_back_gives_what_is_pending_twice),
        T(what_was_deleted_is_not_given_and_stays_pending),
        T(noack_is_of_new_ones_alone),
        T(history_is_as_without),
        T(long_pending_lists_are_claimed_in_parts),
        T(wrong_arguments_are_refused),
        T(who_finds_something_idle_does_not_wait),
        T(who_waits_is_given_what_has_become_idle_enough),
        T(what_one_was_given_becomes_idle_for_the_next),
        T(who_waits_is_given_what_is_new),
        T(a_wait_for_nothing_ends),
        T(who_waits_is_told_that_the_group_is_gone),
        T(transactions_claim),
        T(claims_outlive_the_server),
        T(what_comes_back_by_itself_says_how_often_it_was_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
