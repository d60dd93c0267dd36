/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XNACK: what Redis 8.8 does, which is not here to be asked. Each case says where the behaviour is
 * written down: T is redis/redis, tests/unit/type/stream-cgroups.tcl, S its src/t_stream.c, D is
 * redis/docs, content/commands/xnack.md.
 */
#include "tests/resp/talk.h"

#include <stdlib.h>

#define MOST "9223372036854775807"

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

/* What is pending: "1-0 nobody 1, 2-0 bob 3": ids, consumers, deliveries. Nobody's have been idle for -1,
 * others are somewhere between 0 and ever. */
static const char *rows(struct talk *t)
{
    static char out[4096];
    const char *p = talk(t, 0, "XPENDING s g - + 1000");
    size_t len = 0;

    out[0] = '\0';
    while ((p = strstr(p, "\r\n*4\r\n$")) != NULL) {
        const char *id = strstr(p + 7, "\r\n") + 2;
        const char *name = strstr(strstr(id, "\r\n") + 2, "\r\n") + 2;
        char *ints = strstr(name, "\r\n:");
        long long idle = strtoll(ints + 3, &ints, 10);

        assert_true(*name == '\r' ? idle == -1 : idle >= 0);
        len += (size_t)snprintf(
            out + len, sizeof out - len, "%s%.*s %.*s %.*s", len > 0 ? ", " : "",
            (int)strcspn(id, "\r"), id, *name == '\r' ? 6 : (int)strcspn(name, "\r"),
            *name == '\r' ? "nobody" : name, (int)strcspn(ints + 3, "\r"), ints + 3);
        p = ints;
    }
    return out;
}

#define assert_rows(t, want) assert_string_equal(rows(t), (want))

/* The ids of the entries that a read with CLAIM gives. */
static const char *ids(const char *reply)
{
    static char out[1024];
    size_t len = 0;

    out[0] = '\0';
    for (const char *p = reply; (p = strstr(p, "*4\r\n$")) != NULL; p++) {
        const char *id = strstr(p + 4, "\r\n") + 2;

        len += (size_t)snprintf(out + len, sizeof out - len, "%s%.*s", len > 0 ? " " : "",
                                (int)strcspn(id, "\r"), id);
    }
    return out;
}

/* Until the millisecond is another one: the order of what is given back is kept by it. */
static void tick(struct talk *t)
{
    (void)talk(t, 0, "XADD clock 1-0 f v");
    (void)talk(t, 0, "XGROUP CREATE clock g 0");
    (void)talk(t, 0, "XREADGROUP GROUP g c STREAMS clock >");
    for (int i = 0;
         i < 10000000 && strcmp(talk(t, 0, "XPENDING clock g IDLE 2 - + 1"), "*0\r\n") == 0; i++) {
    }
    (void)talk(t, 0, "DEL clock");
}

/* ---- arguments ---- */

/* T: argument and error validation */
static void wrong_arguments_are_refused(void **state)
{
    static const struct {
        const char *words;
        const char *want;
    } cases[] = {
        {"XNACK", "wrong number of arguments for 'xnack' command"},
        {"XNACK s g FAIL", "wrong number of arguments for 'xnack' command"},
        {"XNACK s g FAIL IDS 1", "wrong number of arguments for 'xnack' command"},
        {"XNACK s g FAIL RETRYCOUNT", "wrong number of arguments for 'xnack' command"},
        {"XNACK s g x IDS 1 1-0", "mode must be SILENT, FAIL, or FATAL"},
        {"XNACK s g IDS 1 1-0 2-0", "mode must be SILENT, FAIL, or FATAL"},
        {"XNACK s g FAIL x IDS 1 1-0", "Unrecognized XNACK option 'x'"},
        {"XNACK s g FAIL IDS 1 1-0 x", "Unrecognized XNACK option 'x'"},
        {"XNACK s g SILENT FORCE x IDS 1 1-0", "Unrecognized XNACK option 'x'"},
        {"XNACK s g FAIL RETRYCOUNT 5 x IDS 1 1-0", "Unrecognized XNACK option 'x'"},
        {"XNACK s g FAIL FATAL IDS 1 1-0", "Unrecognized XNACK option 'FATAL'"},
        {"XNACK s g SILENT NOTIDS 1 1-0", "Unrecognized XNACK option 'NOTIDS'"},
        {"XNACK s g FAIL IDS 1 1-0 2-0", "Unrecognized XNACK option '2-0'"},
        {"XNACK s g FAIL IDS 1 1-0 RETRYCOUNT", "Unrecognized XNACK option 'RETRYCOUNT'"},
        {"XNACK s g FAIL IDS 1 1-0 IDS", "Unrecognized XNACK option 'IDS'"},
        {"XNACK s g SILENT FORCE RETRYCOUNT 5", "syntax error, expected IDS keyword"},
        {"XNACK s g SILENT FORCE FORCE FORCE", "syntax error, expected IDS keyword"},
        {"XNACK s g FAIL IDS abc 1-0", "numids must be a positive integer"},
        {"XNACK s g FAIL IDS 0 1-0", "numids must be a positive integer"},
        {"XNACK s g FAIL IDS -1 1-0", "numids must be a positive integer"},
        {"XNACK s g FAIL IDS 2147483648 1-0", "numids must be a positive integer"},
        {"XNACK s g FAIL IDS 2147483647 1-0", "number of IDs doesn't match numids"},
        {"XNACK s g FAIL IDS 2 1-0", "number of IDs doesn't match numids"},
        {"XNACK s g FAIL IDS 1 x", "Invalid stream ID specified as stream command argument"},
        {"XNACK s g FAIL IDS 2 1-0 -", "Invalid stream ID specified as stream command argument"},
        {"XNACK s g FAIL IDS 1 1-0 RETRYCOUNT x", "value is not an integer or out of range"},
        {"XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 99999999999999999999",
         "value is not an integer or out of range"},
        {"XNACK s g FAIL IDS 1 1-0 RETRYCOUNT -1", "Invalid RETRYCOUNT value, must be >= 0"},
    };
    struct talk *t = *state;

    fill(t, 2);
    for (int version = 2; version <= 3; version++) {
        char line[160];

        (void)snprintf(line, sizeof line, "HELLO %d", version);
        (void)talk(t, 0, line);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            (void)snprintf(line, sizeof line, "-ERR %s\r\n", cases[i].want);
            assert_reply(t, 0, cases[i].words, line);
        }
        /* S: the type, then the group, then the rest */
        assert_reply(t, 0, "XNACK nothing g x IDS 1 1-0",
                     "-NOGROUP No such key 'nothing' or consumer group 'g'\r\n");
        assert_reply(t, 0, "XNACK s nobody x IDS 1 1-0",
                     "-NOGROUP No such key 's' or consumer group 'nobody'\r\n");
        (void)talk(t, 0, "SET k v");
        assert_memory_equal(talk(t, 0, "XNACK k g x IDS 1 1-0"), "-WRONGTYPE ", 11);
    }
    (void)talk(t, 0, "HELLO 2");
    assert_rows(t, "1-0 bob 1, 2-0 bob 1");
}

/* T: flexible IDS position */
static void options_come_before_and_behind_the_ids(void **state)
{
    static const char *const forms[] = {
        "XNACK s g FAIL FORCE IDS 1 1-0",        "XNACK s g fail FORCE RETRYCOUNT 42 IDS 1 1-0",
        "XNACK s g FAIL RETRYCOUNT 5 IDS 1 1-0", "XNACK s g FAIL FORCE ids 1 1-0 retrycount 3",
        "XNACK s g FAIL IDS 1 9-9 IDS 1 1-0",
    };
    struct talk *t = *state;

    fill(t, 1);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_reply(t, 0, forms[i], ":1\r\n");
    }
    assert_rows(t, "1-0 nobody 3");
}

/* ---- deliveries ---- */

/* T: SILENT mode delivery_count behavior */
static void silent_takes_the_last_delivery_back(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody 0");
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody 0");
    for (int i = 0; i < 3; i++) {
        (void)talk(t, 0, "XCLAIM s g eve 0 1-0");
    }
    assert_rows(t, "1-0 eve 3");
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody 2");
}

/* T: FAIL mode keeps ..., FATAL mode sets ..., on already-NACKed entry ... */
static void fail_keeps_them_and_fatal_counts_the_most(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0", ":1\r\n");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody 1");
    assert_reply(t, 0, "XNACK s g FATAL IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody " MOST);
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0", ":1\r\n");
    assert_rows(t, "1-0 nobody " MOST);
    /* S: it is counted no further */
    assert_string_equal(ids(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 5 STREAMS s >")), "1-0");
    assert_non_null(strstr(t->text, ":" MOST "\r\n"));
    assert_rows(t, "1-0 eve " MOST);
    talk_again(t);
    talk_connect(t, 0);
    assert_rows(t, "1-0 eve " MOST);
}

/* T: RETRYCOUNT overrides delivery_count */
static void a_count_that_is_given_holds_whatever_the_mode(void **state)
{
    struct talk *t = *state;

    fill(t, 1);
    assert_reply(t, 0, "XNACK s g FATAL IDS 1 1-0 RETRYCOUNT 42", ":1\r\n");
    assert_rows(t, "1-0 nobody 42");
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 1-0 RETRYCOUNT 10", ":1\r\n");
    assert_rows(t, "1-0 nobody 10");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 0", ":1\r\n");
    assert_rows(t, "1-0 nobody 0");
    /* Of oxbow: 48 bits are counted, more is as much as can be said. */
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 281474976710654", ":1\r\n");
    assert_rows(t, "1-0 nobody 281474976710654");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 281474976710655", ":1\r\n");
    assert_rows(t, "1-0 nobody " MOST);
}

/* ---- which entries ---- */

/* T: return count and edge cases; releases entries and removes from consumer PEL; effect on consumer
 * state */
static void what_is_pending_is_given_back_and_counted(void **state)
{
    struct talk *t = *state;

    fill(t, 3);
    (void)talk(t, 0, "XCLAIM s g eve 0 3-0");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 9-9", ":0\r\n");
    assert_reply(t, 0, "XNACK s g FAIL IDS 5 1-0 9-9 3-0 8-8 1-0", ":3\r\n");
    assert_rows(t, "1-0 nobody 1, 2-0 bob 1, 3-0 nobody 2");
    assert_reply(t, 0, "XPENDING s g",
                 "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*1\r\n*2\r\n$3\r\nbob\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "XPENDING s g - + 10 eve", "*0\r\n");
    assert_memory_equal(talk(t, 0, "XINFO CONSUMERS s g"), "*2\r\n", 4);
    assert_reply(t, 0, "XACK s g 1-0 2-0 3-0", ":3\r\n");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0", ":0\r\n");
}

/* T: FORCE behavior, FORCE + RETRYCOUNT combination */
static void force_adds_what_the_stream_has(void **state)
{
    struct talk *t = *state;

    fill(t, 0);
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0 FORCE", ":0\r\n");
    for (int i = 1; i <= 4; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 f v", i);
        (void)talk(t, 0, words);
    }
    assert_reply(t, 0, "XNACK s g FAIL IDS 2 1-0 9-9 FORCE", ":1\r\n");
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 2-0 FORCE", ":1\r\n");
    assert_reply(t, 0, "XNACK s g FATAL IDS 1 3-0 FORCE", ":1\r\n");
    assert_reply(t, 0, "XNACK s g FATAL IDS 1 4-0 FORCE RETRYCOUNT 7", ":1\r\n");
    assert_rows(t, "1-0 nobody 0, 2-0 nobody 0, 3-0 nobody " MOST ", 4-0 nobody 7");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0 FORCE", ":1\r\n");
    /* What the group reads afterwards it reads as new: XGROUP's last id is not moved. */
    assert_memory_equal(talk(t, 0, "XREADGROUP GROUP g bob COUNT 1 STREAMS s >"),
                        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n", 31);
    assert_rows(t, "1-0 bob 1, 2-0 nobody 0, 3-0 nobody " MOST ", 4-0 nobody 7");
}

/* ---- having them again ---- */

/* T: NACKed entries claimable via XCLAIM, XAUTOCLAIM, and XREADGROUP CLAIM */
static void whoever_claims_has_them_at_once(void **state)
{
    struct talk *t = *state;

    fill(t, 3);
    assert_reply(t, 0, "XNACK s g FAIL IDS 3 1-0 2-0 3-0", ":3\r\n");
    assert_memory_equal(talk(t, 0, "XCLAIM s g eve 99999 1-0"), "*1\r\n*2\r\n$3\r\n1-0\r\n", 16);
    assert_memory_equal(talk(t, 0, "XAUTOCLAIM s g eve 99999 0-0 COUNT 1"),
                        "*3\r\n$3\r\n3-0\r\n*1\r\n*2\r\n$3\r\n2-0\r\n", 26);
    assert_string_equal(ids(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 99999 STREAMS s >")), "3-0");
    assert_rows(t, "1-0 eve 2, 2-0 eve 2, 3-0 eve 2");
    /* S: they were delivered in 1970 */
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 3-0", ":1\r\n");
    (void)talk(t, 0, "XREADGROUP GROUP g eve CLAIM 99999 STREAMS s >");
    assert_true(strtoll(strstr(t->text, "v3\r\n:") + 5, NULL, 10) > 1600000000000);
}

/* T: ordering: NACKed entries at head of PEL with FIFO order, re-NACK moves entry to end */
static void what_was_given_back_first_comes_first(void **state)
{
    struct talk *t = *state;

    fill(t, 4);
    (void)talk(t, 0, "XCLAIM s g bob 0 4-0 IDLE 90000 JUSTID");
    (void)talk(t, 0, "XNACK s g FAIL IDS 2 1-0 2-0");
    tick(t);
    (void)talk(t, 0, "XNACK s g FAIL IDS 1 3-0");
    tick(t);
    (void)talk(t, 0, "XNACK s g FAIL IDS 1 1-0");
    assert_string_equal(ids(talk(t, 0, "XREADGROUP GROUP g eve COUNT 1 CLAIM 5 STREAMS s >")),
                        "2-0");
    assert_string_equal(ids(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 80000 STREAMS s >")),
                        "3-0 1-0 4-0");
}

/* T: ordering ...: XINFO; S: XPENDING with IDLE */
static void they_are_shown_as_nobodys(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    (void)talk(t, 0, "XNACK s g FAIL IDS 1 1-0");
    assert_reply(t, 0, "XPENDING s g IDLE 99999 - + 10",
                 "*1\r\n*4\r\n$3\r\n1-0\r\n$0\r\n\r\n:-1\r\n:1\r\n");
    assert_reply(t, 0, "XPENDING s g IDLE 9223372036854775807 - + 10",
                 "*1\r\n*4\r\n$3\r\n1-0\r\n$0\r\n\r\n:-1\r\n:1\r\n");
    assert_reply(t, 0, "XPENDING s g IDLE 99999 - + 10 bob", "*0\r\n");
    assert_non_null(
        strstr(talk(t, 0, "XINFO STREAM s FULL"),
               "pending\r\n*2\r\n*4\r\n$3\r\n1-0\r\n$0\r\n\r\n:0\r\n:1\r\n*4\r\n$3\r\n2-0"));
}

/* T: entries persist after XDEL and XTRIM, XCLAIM/XAUTOCLAIM of deleted ..., pending read excludes ... */
static void what_the_stream_has_no_more_stays_until_it_is_claimed(void **state)
{
    struct talk *t = *state;

    fill(t, 4);
    (void)talk(t, 0, "XNACK s g FAIL IDS 3 1-0 2-0 4-0");
    (void)talk(t, 0, "XDEL s 1-0 4-0");
    assert_rows(t, "1-0 nobody 1, 2-0 nobody 1, 3-0 bob 1, 4-0 nobody 1");
    assert_reply(t, 0, "XREADGROUP GROUP g bob STREAMS s 0-0",
                 "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv3\r\n");
    assert_reply(t, 0, "XCLAIM s g eve 0 1-0", "*0\r\n");
    assert_string_equal(ids(talk(t, 0, "XREADGROUP GROUP g eve CLAIM 50000 STREAMS s >")), "2-0");
    assert_rows(t, "2-0 eve 2, 3-0 bob 2, 4-0 nobody 1");
    (void)talk(t, 0, "XAUTOCLAIM s g eve 0 0-0 JUSTID");
    assert_string_equal(strrchr(t->text, '*'), "*1\r\n$3\r\n4-0\r\n");
    assert_rows(t, "2-0 eve 2, 3-0 eve 2");
}

/* T: XGROUP DELCONSUMER ..., XGROUP DESTROY ... */
static void they_outlive_the_consumer_and_not_the_group(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    (void)talk(t, 0, "XNACK s g FAIL IDS 1 1-0");
    assert_reply(t, 0, "XGROUP DELCONSUMER s g bob", ":1\r\n");
    assert_rows(t, "1-0 nobody 1");
    talk_again(t);
    talk_connect(t, 0);
    assert_rows(t, "1-0 nobody 1");
    assert_reply(t, 0, "XGROUP DESTROY s g", ":1\r\n");
    assert_reply(t, 0, "XGROUP CREATE s g 0", "+OK\r\n");
    assert_rows(t, "");
}

/* T: XREADGROUP BLOCK CLAIM wakes up on NACKed entries */
static void who_waits_is_given_what_is_given_back(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "XREADGROUP GROUP g eve BLOCK 0 CLAIM 3600000 STREAMS s >", "");
    assert_reply(t, 2, "XREADGROUP GROUP g dan BLOCK 0 STREAMS s >", "");
    assert_reply(t, 0, "XNACK s g FAIL IDS 2 1-0 2-0", ":2\r\n");
    assert_string_equal(ids(talk_heard(t, 1)), "1-0 2-0");
    assert_string_equal(talk_heard(t, 2), ""); /* who does not claim waits on */
    assert_rows(t, "1-0 eve 2, 2-0 eve 2");
}

/* ---- around it ---- */

static void transactions_scripts_and_rights_know_it(void **state)
{
    struct talk *t = *state;

    fill(t, 2);
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "XNACK s g FAIL IDS 1 1-0");
    (void)talk(t, 0, "XNACK s g x IDS 1 1-0");
    (void)talk(t, 0, "XREADGROUP GROUP g eve COUNT 1 CLAIM 50000 STREAMS s >");
    assert_memory_equal(talk(t, 0, "EXEC"),
                        "*3\r\n:1\r\n-ERR mode must be SILENT, FAIL, or FATAL\r\n*1\r\n", 54);
    /* src/commands/xnack.json of 8.8 */
    assert_reply(t, 0, "COMMAND INFO xnack",
                 "*1\r\n*10\r\n$5\r\nxnack\r\n:-7\r\n*2\r\n+write\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
                 "*3\r\n+@write\r\n+@stream\r\n+@fast\r\n*0\r\n*0\r\n*0\r\n");
    assert_non_null(strstr(talk(t, 0, "COMMAND DOCS xnack"), "since\r\n$5\r\n8.8.0\r\n"));
    assert_reply(t, 0, "COMMAND GETKEYS XNACK s g FAIL IDS 1 1-0", "*1\r\n$1\r\ns\r\n");
    (void)talk(t, 0, "ACL SETUSER w on nopass %W~s +@stream");
    (void)talk(t, 0, "ACL SETUSER r on nopass %R~s +@stream");
    assert_reply(t, 0, "ACL DRYRUN w XNACK s g FAIL IDS 1 1-0", "+OK\r\n");
    assert_true(talk(t, 0, "ACL DRYRUN r XNACK s g FAIL IDS 1 1-0")[0] != '+');
}

/* Of oxbow: in a group with options it is a negative ack. */
static void in_a_group_with_options_it_is_a_negative_ack(void **state)
{
    struct talk *t = *state;

    fill(t, 3);
    assert_reply(t, 0,
                 "OXBOW GROUP SET s g visibility 1h retry-base 1h max-deliveries 5 dead-letter d",
                 "+OK\r\n");
    assert_reply(t, 0, "XNACK s g FAIL IDS 1 1-0", ":1\r\n");
    assert_reply(t, 0, "XNACK s g SILENT IDS 1 2-0", ":1\r\n");
    assert_reply(t, 0, "XNACK s g FATAL IDS 1 3-0", ":1\r\n");
    assert_rows(t, "1-0 nobody 1, 2-0 nobody 0");
    assert_reply(t, 0, "XLEN d", ":1\r\n");
    assert_non_null(strstr(talk(t, 0, "XRANGE d - +"), "oxbow.deliveries\r\n$1\r\n1\r\n"));
    assert_memory_equal(talk(t, 0, "XREADGROUP GROUP g eve STREAMS s >"),
                        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n", 31);
    assert_rows(t, "1-0 nobody 1, 2-0 eve 1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)
    const struct CMUnitTest tests[] = {
        T(wrong_arguments_are_refused),
        T(options_come_before_and_behind_the_ids),
        T(silent_takes_the_last_delivery_back),
        T(fail_keeps_them_and_fatal_counts_the_most),
        T(a_count_that_is_given_holds_whatever_the_mode),
        T(what_is_pending_is_given_back_and_counted),
        T(force_adds_what_the_stream_has),
        T(whoever_claims_has_them_at_once),
        T(what_was_given_back_first_comes_first),
        T(they_are_shown_as_nobodys),
        T(what_the_stream_has_no_more_stays_until_it_is_claimed),
        T(they_outlive_the_consumer_and_not_the_group),
        T(who_waits_is_given_what_is_given_back),
        T(transactions_scripts_and_rights_know_it),
        T(in_a_group_with_options_it_is_a_negative_ack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
