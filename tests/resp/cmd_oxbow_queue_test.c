/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW's words for queues, groups and entries: what each does, and how each refuses what makes no sense. */
#include "tests/resp/talk.h"

#include <time.h>

#define PATIENCE 3000 /* rounds of 10 ms */

static void assert_says(struct talk *t, uint32_t n, const char *words, const char *part)
{
    const char *said = talk(t, n, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

/* Asks until the answer has the part: what the store does by itself takes its time. */
static void until_says(struct talk *t, uint32_t n, const char *words, const char *part)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < PATIENCE; i++) {
        if (strstr(talk(t, n, words), part) != NULL) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%s: '%s' never came: %s", words, part, t->text);
}

/* ---- QUEUE ---- */

static void policies_are_set_changed_told_and_removed(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "OXBOW QUEUE GET q", "*-1\r\n");
    assert_reply(t, 0, "OXBOW QUEUE SET q MAX-ENTRIES 2 on-full Refuse max-age 7d", "+OK\r\n");
    assert_reply(t, 0, "oxbow queue set q max-bytes 1kb priority-weights 1,0,9 priorities 3",
                 "+OK\r\n");
    assert_says(t, 0, "OXBOW QUEUE GET q",
                "*44\r\n$11\r\nmax-entries\r\n:2\r\n$9\r\nmax-bytes\r\n:1024\r\n$7\r\nmax-age\r\n"
                ":604800000\r\n$7\r\non-full\r\n$6\r\nrefuse\r\n");
    assert_says(t, 0, "OXBOW QUEUE GET q", "$16\r\npriority-weights\r\n$5\r\n1,0,9\r\n");
    assert_reply(t, 0, "RPUSH q a b", ":2\r\n");
    assert_reply(t, 0, "RPUSH q c", "-OOM the queue is full: its policy's limit is reached\r\n");
    assert_says(t, 0, "OXBOW QUEUE GET q", "$7\r\nentries\r\n:2\r\n");
    assert_says(t, 0, "OXBOW QUEUE GET q", "$4\r\nfull\r\n$3\r\nyes\r\n$7\r\nrefused\r\n:1\r\n");
    assert_reply(t, 0, "OXBOW QUEUE LIST", "*1\r\n$1\r\nq\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "RPUSH q c", "-OOM the queue is full: its policy's limit is reached\r\n");
    assert_reply(t, 0, "OXBOW QUEUE SET q on-full drop-oldest", "+OK\r\n");
    assert_reply(t, 0, "RPUSH q c", ":2\r\n");
    assert_reply(t, 0, "LRANGE q 0 -1", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_says(t, 0, "OXBOW QUEUE GET q",
                "dropped\r\n*14\r\n$3\r\nage\r\n:0\r\n$6\r\nlength\r\n:1\r\n");
    assert_reply(t, 0, "OXBOW QUEUE DEL q", ":1\r\n");
    assert_reply(t, 0, "OXBOW QUEUE DEL q", ":0\r\n");
    assert_reply(t, 0, "OXBOW QUEUE GET q", "*-1\r\n");
    assert_reply(t, 0, "OXBOW QUEUE LIST", "*0\r\n");
    assert_reply(t, 0, "RPUSH q d", ":3\r\n");
    (void)talk(t, 0, "HELLO 3");
    (void)talk(t, 0, "OXBOW QUEUE SET q max-entries 9");
    assert_says(t, 0, "OXBOW QUEUE GET q", "%22\r\n");
}

static void what_was_dropped_makes_gaps(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "OXBOW GAPS s", "*0\r\n");
    (void)talk(t, 0, "OXBOW QUEUE SET s max-entries 2 on-full drop-oldest");
    for (int i = 1; i <= 5; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 a b", i);
        (void)talk(t, 0, words);
    }
    assert_says(
        t, 0, "OXBOW GAPS s",
        "*1\r\n*10\r\n$4\r\nfrom\r\n$3\r\n1-0\r\n$2\r\nto\r\n$3\r\n3-0\r\n$7\r\nentries\r\n:3\r\n");
    assert_says(t, 0, "OXBOW GAPS s", "$6\r\ncauses\r\n*2\r\n$6\r\nlength\r\n:3\r\n");
    assert_says(t, 0, "OXBOW GAPS s 2-0", "*1\r\n*10\r\n"); /* in part */
    assert_reply(t, 0, "OXBOW GAPS s 3-0", "*0\r\n");
    assert_reply(t, 0, "OXBOW GAPS s x",
                 "-ERR Invalid stream ID specified as stream command argument\r\n");
    assert_reply(t, 0, "OXBOW GAPS s 1-0 2-0",
                 "-ERR wrong number of arguments for 'oxbow|gaps' command\r\n");
}

static void figures_are_the_table_of_metrics(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XADD s * a b");
    (void)talk(t, 0, "XGROUP CREATE s g 0");
    (void)talk(t, 0, "OXBOW QUEUE SET s max-entries 7");
    assert_says(
        t, 0, "OXBOW FIGURES s",
        "$6\r\nmetric\r\n$19\r\noxbow_queue_entries\r\n$5\r\nvalue\r\n:1\r\n$8\r\ndatabase\r\n"
        ":0\r\n$5\r\nqueue\r\n$1\r\ns\r\n");
    assert_says(t, 0, "OXBOW FIGURES s", "$5\r\ngroup\r\n$1\r\ng\r\n");
    assert_says(t, 0, "OXBOW FIGURES s", "$5\r\ncause\r\n$6\r\nlength\r\n");
    assert_says(t, 0, "OXBOW FIGURES", "\r\noxbow_queue_entries\r\n");
    assert_says(t, 0, "OXBOW FIGURES", "\r\noxbow_store_");
    assert_reply(t, 0, "OXBOW FIGURES none", "-ERR no such key\r\n");
    assert_reply(t, 0, "OXBOW FIGURES s s",
                 "-ERR wrong number of arguments for 'oxbow|figures' command\r\n");
}

/* ---- GROUP, NACK, EXTEND, REDRIVE ---- */

static void options_of_a_group_stay_until_they_are_changed(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    assert_says(t, 0, "OXBOW GROUP GET s g", "*32\r\n$10\r\nvisibility\r\n:0\r\n");
    assert_reply(t, 0, "OXBOW GROUP SET s g VISIBILITY 30s max-deliveries 5 dead-letter 77",
                 "+OK\r\n");
    assert_reply(t, 0, "OXBOW GROUP SET s g prefetch 9 dead-letter-remove yes", "+OK\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_says(t, 0, "OXBOW GROUP GET s g",
                "$10\r\nvisibility\r\n:30000\r\n$14\r\nmax-deliveries\r\n:5\r\n$11\r\n"
                "dead-letter\r\n$2\r\n77\r\n");
    assert_says(t, 0, "OXBOW GROUP GET s g", "$8\r\nprefetch\r\n:9\r\n");
    assert_says(t, 0, "OXBOW GROUP GET s g", "$18\r\ndead-letter-remove\r\n$3\r\nyes\r\n");
    assert_says(t, 0, "OXBOW GROUP GET s g", "$11\r\nredelivered\r\n:0\r\n");
    assert_says(t, 0, "OXBOW GROUP GET s g", "$6\r\ndue-ms\r\n$-1\r\n");
}

static void a_nack_brings_back_and_buries(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    (void)talk(t, 0, "XADD s 1-0 n one");
    (void)talk(t, 0, "XADD s 2-0 n two");
    assert_says(t, 0, "OXBOW NACK s g 1-0", "-ERR the group has no options: OXBOW GROUP SET");
    (void)talk(t, 0, "OXBOW GROUP SET s g visibility 1h");
    assert_says(t, 0, "OXBOW NACK s g 1-0 DEAD", "-ERR the group has no dead letters");
    (void)talk(t, 0, "OXBOW GROUP SET s g max-deliveries 3 dead-letter dead");
    assert_reply(t, 0, "OXBOW NACK s g 1-0", ":0\r\n"); /* not pending */
    assert_says(t, 0, "XREADGROUP GROUP g a STREAMS s >", "$3\r\n2-0\r\n");
    assert_reply(t, 1, "XREADGROUP GROUP g b BLOCK 0 STREAMS s >", "");
    assert_reply(t, 0, "OXBOW NACK s g 1-0 DELAY 0", ":1\r\n");
    assert_non_null(strstr(talk_heard(t, 1), "$3\r\n1-0\r\n")); /* who waited got it */
    assert_reply(t, 0, "OXBOW EXTEND s g 60000 1-0 CONSUMER a", ":0\r\n");
    assert_reply(t, 0, "OXBOW EXTEND s g 60000 1-0 CONSUMER b", ":1\r\n");
    assert_reply(t, 0, "OXBOW NACK s g 2-0 DELAY 3600000", ":1\r\n");
    assert_reply(t, 0, "XREADGROUP GROUP g a STREAMS s >", "*-1\r\n");
    assert_reply(t, 0, "OXBOW NACK s g 1-0 DEAD bad", ":1\r\n");
    assert_says(t, 0, "XRANGE dead - +", "$12\r\noxbow.reason\r\n$3\r\nbad\r\n");
    assert_says(t, 0, "OXBOW GROUP GET s g", "$12\r\ndead-letters\r\n:1\r\n");
    assert_reply(t, 0, "XPENDING s g - + 9 b", "*0\r\n");
    /* And back, to one who waits for it. */
    assert_reply(t, 1, "XREADGROUP GROUP g b BLOCK 0 STREAMS s >", "");
    assert_reply(t, 0, "OXBOW REDRIVE dead",
                 "*6\r\n$8\r\nredriven\r\n:1\r\n$7\r\nskipped\r\n:0\r\n$4\r\nnext\r\n$-1\r\n");
    talk_turn(t);
    assert_non_null(strstr(talk_heard(t, 1), "$3\r\n1-0\r\n"));
    assert_reply(t, 0, "XLEN dead", ":0\r\n");
}

static void dead_letters_are_sent_back_by_number_and_by_id(void **state)
{
    struct talk *t = *state;
    char first[64];
    char words[128];

    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    (void)talk(t, 0, "OXBOW GROUP SET s g visibility 1h max-deliveries 3 dead-letter dead");
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(words, sizeof words, "XADD s %d-0 a b", i);
        (void)talk(t, 0, words);
    }
    (void)talk(t, 0, "XREADGROUP GROUP g a STREAMS s >");
    assert_reply(t, 0, "OXBOW NACK s g 1-0 2-0 3-0 DEAD", ":3\r\n");
    assert_says(t, 0, "OXBOW REDRIVE dead COUNT 1", "$8\r\nredriven\r\n:1\r\n");
    assert_says(t, 0, "OXBOW REDRIVE dead COUNT 1 FROM +", "$8\r\nredriven\r\n:0\r\n");
    (void)talk(t, 0, "XRANGE dead - + COUNT 1");
    assert_int_equal(sscanf(t->text, "*1\r\n*2\r\n$%*d\r\n%63s", first), 1);
    (void)snprintf(words, sizeof words, "OXBOW REDRIVE dead %s 1-1", first);
    assert_says(t, 0, words, "$8\r\nredriven\r\n:1\r\n$7\r\nskipped\r\n:1\r\n");
    assert_reply(t, 0, "XLEN dead", ":1\r\n");
    assert_says(t, 0, "XREADGROUP GROUP g a STREAMS s >", "$3\r\n2-0\r\n");
}

/* ---- ADD, PUSH, DELAY ---- */

static void entries_are_added_as_they_are_said(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    assert_reply(t, 0, "OXBOW ADD s NOMKSTREAM * a b", "$-1\r\n");
    assert_reply(t, 0, "EXISTS s", ":0\r\n");
    assert_reply(t, 1, "XREAD BLOCK 0 STREAMS s $", "");
    assert_reply(t, 0, "OXBOW ADD s 5-1 delay b", "$3\r\n5-1\r\n"); /* a field may be called so */
    assert_non_null(strstr(talk_heard(t, 1), "$3\r\n5-1\r\n"));
    assert_reply(t, 0, "OXBOW ADD s 5-* a b", "$3\r\n5-2\r\n");
    assert_reply(t, 0, "OXBOW ADD s TTL 1 6-0 a b", "$3\r\n6-0\r\n");
    until_says(t, 0, "XRANGE s 6 6", "*0\r\n");
    (void)talk(t, 0, "OXBOW QUEUE SET s priorities 3");
    (void)talk(t, 0, "XGROUP CREATE s g $");
    assert_reply(t, 0, "OXBOW ADD s PRIORITY 0 7-0 a b", "$3\r\n7-0\r\n");
    assert_reply(t, 0, "OXBOW ADD s priority 2 8-0 a b", "$3\r\n8-0\r\n");
    assert_says(t, 0, "XREADGROUP GROUP g a COUNT 1 STREAMS s >", "$3\r\n8-0\r\n");
    assert_reply(t, 0, "OXBOW PUSH l RIGHT b", ":1\r\n");
    assert_reply(t, 0, "OXBOW PUSH l left a", ":2\r\n");
    assert_reply(t, 0, "LRANGE l 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

static void what_is_added_once_is_there_once(void **state)
{
    struct talk *t = *state;
    char first[64];
    char again[64];

    (void)talk(t, 0, "OXBOW ADD s ONCE order-7 * a b");
    assert_int_equal(sscanf(t->text, "*2\r\n$%*d\r\n%63s", first), 1);
    assert_non_null(strstr(t->text, "\r\n:1\r\n"));
    (void)talk(t, 0, "OXBOW ADD s ONCE order-7 * a b");
    assert_int_equal(sscanf(t->text, "*2\r\n$%*d\r\n%63s", again), 1);
    assert_string_equal(first, again);
    assert_non_null(strstr(t->text, "\r\n:0\r\n"));
    assert_says(t, 0, "OXBOW ADD s PRODUCER p SEQ 4 * a b", "\r\n:1\r\n");
    assert_says(t, 0, "OXBOW ADD s SEQ 4 PRODUCER p * a b", "\r\n:0\r\n");
    assert_reply(t, 0, "OXBOW ADD s PRODUCER p SEQ 3 * a b", "*2\r\n$-1\r\n:0\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_reply(t, 0, "OXBOW PUSH l RIGHT ONCE x a", ":1\r\n");
    assert_reply(t, 0, "OXBOW PUSH l RIGHT ONCE x a", ":0\r\n");
    assert_reply(t, 0, "LLEN l", ":1\r\n");
}

static void what_is_put_off_comes_when_it_is_due(void **state)
{
    struct talk *t = *state;
    char id[64];
    char words[128];

    talk_connect(t, 1);
    (void)talk(t, 0, "OXBOW ADD s DELAY 3600000 PRIORITY 1 * a b");
    assert_int_equal(sscanf(t->text, "$%*d\r\n%63s", id), 1);
    (void)talk(t, 0, "OXBOW PUSH l LEFT AT 32503680000000 c"); /* in the year 3000 */
    assert_says(t, 0, "OXBOW DELAY LIST s", "*1\r\n*14\r\n$2\r\nid\r\n");
    assert_says(t, 0, "OXBOW DELAY LIST s", id);
    assert_says(
        t, 0, "OXBOW DELAY LIST s COUNT 1",
        "$5\r\nclock\r\n$5\r\nstore\r\n$4\r\ntype\r\n$6\r\nstream\r\n$8\r\npriority\r\n:1\r\n");
    assert_says(t, 0, "OXBOW DELAY LIST l",
                "$5\r\nclock\r\n$4\r\nwall\r\n$4\r\ntype\r\n$4\r\nlist\r\n");
    assert_reply(t, 0, "EXISTS s l", ":0\r\n");
    (void)snprintf(words, sizeof words, "OXBOW DELAY CANCEL l %s", id); /* another key's */
    assert_reply(t, 0, words, ":0\r\n");
    (void)snprintf(words, sizeof words, "OXBOW DELAY CANCEL s %s", id);
    assert_reply(t, 0, words, ":1\r\n");
    assert_reply(t, 0, words, ":0\r\n");
    assert_reply(t, 0, "OXBOW DELAY LIST s", "*0\r\n");
    (void)talk(t, 0, "OXBOW ADD s DELAY 1 * a b");
    until_says(t, 0, "XLEN s", ":1\r\n");
    (void)talk(t, 0, "OXBOW PUSH m RIGHT AT 1 v");
    until_says(t, 0, "LRANGE m 0 -1", "*1\r\n$1\r\nv\r\n");
    assert_reply(t, 1, "BLPOP n 0", "");
    (void)talk(t, 0, "OXBOW PUSH n RIGHT DELAY 1 v");
    for (int i = 0; i < PATIENCE && talk_heard(t, 1)[0] == '\0'; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};

        (void)nanosleep(&pause, NULL);
        talk_turn(t);
    }
    assert_reply(t, 0, "LLEN n", ":0\r\n"); /* who waited has it */
}

/* ---- what makes no sense ---- */

static const char *const senseless[][2] = {
    {"OXBOW QUEUE x", "-ERR unknown subcommand or wrong number of arguments for 'QUEUE x'. Try"},
    {"OXBOW QUEUE", "-ERR wrong number of arguments for 'oxbow|queue' command"},
    {"OXBOW QUEUE SET q", "arguments for 'QUEUE SET'"},
    {"OXBOW QUEUE SET q max-entries", "arguments for 'QUEUE SET'"},
    {"OXBOW QUEUE SET q max-entries 1 max-age", "-ERR max-age has no value: want a time"},
    {"OXBOW QUEUE SET q size 5", "-ERR 'size' is none of: max-entries"},
    {"OXBOW QUEUE SET q max-entries x", "-ERR max-entries 'x': want a number"},
    {"OXBOW QUEUE SET q on-full drop", "-ERR on-full 'drop': want one of refuse drop-oldest"},
    {"OXBOW QUEUE SET q priorities 9", "-ERR priorities '9': too large"},
    {"OXBOW QUEUE GET q x", "arguments for 'QUEUE GET'"},
    {"OXBOW QUEUE LIST x", "arguments for 'QUEUE LIST'"},
    {"OXBOW GROUP SET s g visibility", "arguments for 'GROUP SET'"},
    {"OXBOW GROUP SET s g visibility soon", "-ERR visibility 'soon': want a time"},
    {"OXBOW GROUP SET s g x 1", "-ERR 'x' is none of: visibility"},
    {"OXBOW GROUP SET s g max-deliveries 1", "-ERR max-deliveries needs dead-letter"},
    {"OXBOW GROUP SET s g dead-letter s", "-ERR the dead letters of a group are another stream"},
    {"OXBOW GROUP SET s h visibility 1", "-NOGROUP No such key 's' or consumer group 'h'"},
    {"OXBOW GROUP SET none g visibility 1", "-NOGROUP No such key 'none' or consumer group 'g'"},
    {"OXBOW GROUP GET s h", "-NOGROUP "},
    {"OXBOW GROUP GET string g", "-WRONGTYPE "},
    {"OXBOW NACK s h 1-0", "-NOGROUP "},
    {"OXBOW NACK s g x", "-ERR Invalid stream ID"},
    {"OXBOW NACK s g", "-ERR wrong number of arguments for 'oxbow|nack' command"},
    {"OXBOW NACK s g 1-0 DELAY x", "-ERR DELAY is a number of milliseconds"},
    {"OXBOW NACK s g 1-0 DELAY -1", "-ERR DELAY is a number of milliseconds"},
    {"OXBOW NACK s g 1-0 DELAY 400000000000", "-ERR DELAY is a number of milliseconds"},
    {"OXBOW NACK s g DEAD", "-ERR Invalid stream ID"},
    {"OXBOW EXTEND s g x 1-0", "-ERR the time is a number of milliseconds"},
    {"OXBOW EXTEND s g 1 x", "-ERR Invalid stream ID"},
    {"OXBOW EXTEND s h 1 1-0", "-NOGROUP "},
    {"OXBOW EXTEND s g 1 1-0", "-ERR the group has no options"},
    {"OXBOW REDRIVE dead x", "-ERR syntax error"},
    {"OXBOW REDRIVE dead COUNT", "-ERR syntax error"},
    {"OXBOW REDRIVE dead COUNT 0", "-ERR COUNT is a number from 1 to 1000"},
    {"OXBOW REDRIVE dead COUNT 1001", "-ERR COUNT is a number from 1 to 1000"},
    {"OXBOW REDRIVE dead FROM x", "-ERR Invalid stream ID"},
    {"OXBOW REDRIVE dead 1-0 x", "-ERR Invalid stream ID"},
    {"OXBOW REDRIVE string", "-WRONGTYPE "},
    {"OXBOW ADD s * a", "-ERR wrong number of arguments for 'oxbow|add' command"},
    {"OXBOW ADD s * a b c", "-ERR wrong number of arguments for 'oxbow|add' command"},
    {"OXBOW ADD s x a b", "-ERR Invalid stream ID"},
    {"OXBOW ADD s 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0"},
    {"OXBOW ADD s DELAY x * a b", "-ERR DELAY is a number of milliseconds"},
    {"OXBOW ADD s DELAY 99999999999999 * a b", "-ERR DELAY is a number of milliseconds"},
    {"OXBOW ADD s AT -1 * a b", "-ERR AT is a number of milliseconds since 1970"},
    {"OXBOW ADD s TTL 0 * a b", "-ERR TTL is a number of milliseconds from 1"},
    {"OXBOW ADD s PRIORITY 8 * a b", "-ERR PRIORITY is a number from 0 to 7"},
    {"OXBOW ADD s PRIORITY 3 * a b", "-ERR the queue has not so many priorities"},
    {"OXBOW ADD s ONCE x PRIORITY 3 * a b", "-ERR the queue has not so many priorities"},
    {"OXBOW ADD s SEQ 0 PRODUCER p * a b", "-ERR SEQ is a number from 1"},
    {"OXBOW ADD s PRODUCER p * a b", "-ERR PRODUCER and SEQ go together"},
    {"OXBOW ADD s SEQ 1 * a b", "-ERR PRODUCER and SEQ go together"},
    {"OXBOW ADD s ONCE x PRODUCER p SEQ 1 * a b", "-ERR an entry is named by ONCE, or by"},
    {"OXBOW ADD s ONCE x DELAY 1 * a b", "-ERR what is added once cannot be put off"},
    {"OXBOW ADD s DELAY 1 AT 1 * a b", "-ERR an entry is put off by DELAY or by AT"},
    {"OXBOW ADD s DELAY 1 DELAY 1 * a b", "-ERR syntax error"},
    {"OXBOW ADD s TTL 1 DELAY 1 * a b", "-ERR TTL does not go with"},
    {"OXBOW ADD s NOMKSTREAM ONCE x * a b", "-ERR NOMKSTREAM does not go with"},
    {"OXBOW ADD s DELAY 1 5-0 a b", "-ERR with DELAY, AT, ONCE and PRODUCER the id is *"},
    {"OXBOW ADD string * a b", "-WRONGTYPE "},
    {"OXBOW ADD string ONCE x * a b", "-WRONGTYPE "},
    {"OXBOW PUSH l UP a", "-ERR a value is pushed LEFT or RIGHT"},
    {"OXBOW PUSH l LEFT TTL 1 a", "-ERR syntax error"},
    {"OXBOW PUSH l LEFT DELAY a", "-ERR syntax error"},
    {"OXBOW PUSH l LEFT ONCE x y a", "-ERR syntax error"},
    {"OXBOW PUSH string LEFT a", "-WRONGTYPE "},
    {"OXBOW DELAY x s", "arguments for 'DELAY x'"},
    {"OXBOW DELAY CANCEL s x", "-ERR the id of a delayed entry is DUE-NUMBER"},
    {"OXBOW DELAY CANCEL s 5-0", "-ERR the id of a delayed entry is DUE-NUMBER"},
    {"OXBOW DELAY LIST s COUNT", "-ERR syntax error"},
    {"OXBOW DELAY LIST s COUNT 0", "-ERR COUNT is a number from 1 to 1000"},
    {"OXBOW DELAY LIST s LIMIT 1", "-ERR syntax error"},
};

static void what_makes_no_sense_is_refused(void **state)
{
    char words[2048];
    struct talk *t = *state;

    (void)talk(t, 0, "SET string x");
    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    for (size_t i = 0; i < sizeof senseless / sizeof senseless[0]; i++) {
        assert_says(t, 0, senseless[i][0], senseless[i][1]);
    }
    (void)snprintf(words, sizeof words, "OXBOW QUEUE SET %01025d max-entries 1", 0);
    assert_says(t, 0, words, "-ERR the name of a queue with a policy has at most 1024 bytes");
    (void)snprintf(words, sizeof words, "OXBOW ADD s ONCE %0513d * a b", 0);
    assert_says(t, 0, words, "-ERR ONCE is an id of 1 to 512 bytes");
    (void)snprintf(words, sizeof words, "OXBOW ADD s PRODUCER %0513d SEQ 1 * a b", 0);
    assert_says(t, 0, words, "-ERR PRODUCER is a name of 1 to 512 bytes");
    (void)snprintf(words, sizeof words, "OXBOW NACK s g 1-0 DEAD %0256d", 0);
    assert_says(t, 0, words, "-ERR a reason has at most 255 bytes");
    assert_reply(t, 0, "DBSIZE", ":2\r\n"); /* nothing of all that was done */
    assert_reply(t, 0, "XLEN s", ":0\r\n");
    assert_reply(t, 0, "OXBOW QUEUE LIST", "*0\r\n");
}

/* What fails half way leaves nothing, in a transaction of one's own as in one with others. */
static void dead_letters_that_cannot_be_kept_stay_pending(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    (void)talk(t, 0, "OXBOW GROUP SET s g visibility 1h max-deliveries 3 dead-letter dead");
    (void)talk(t, 0, "OXBOW QUEUE SET dead max-entries 1");
    (void)talk(t, 0, "XADD s 1-0 a b");
    (void)talk(t, 0, "XADD s 2-0 a b");
    (void)talk(t, 0, "XREADGROUP GROUP g a STREAMS s >");
    assert_reply(t, 0, "OXBOW NACK s g 1-0 2-0 DEAD",
                 "-OOM the queue is full: its policy's limit is reached\r\n");
    assert_reply(t, 0, "XLEN dead", ":0\r\n");
    assert_says(t, 0, "XPENDING s g", "*4\r\n:2\r\n");
    assert_reply(t, 0, "OXBOW NACK s g 1-0 DEAD", ":1\r\n");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "SET other x", "+QUEUED\r\n");
    assert_reply(t, 0, "OXBOW ADD s 3-0 a b", "+QUEUED\r\n");
    assert_reply(t, 0, "EXEC", "*2\r\n+OK\r\n$3\r\n3-0\r\n");
}

static void rights_are_those_of_operators_and_of_keys(void **state)
{
    static const char *const rows[][2] = {
        {"OXBOW QUEUE SET mine max-entries 1", "-NOPERM "},
        {"OXBOW GROUP GET mine g", "-NOPERM "},
        {"OXBOW REDRIVE mine", "-NOPERM "},
        {"OXBOW FIGURES", "-NOPERM "},
        {"OXBOW ADD other * a b", "-NOPERM "},
        {"OXBOW ADD mine 1-0 a b", "$3\r\n1-0\r\n"},
        {"OXBOW GAPS mine", "*0\r\n"},
        {"OXBOW PUSH minelist RIGHT a", ":1\r\n"},
        {"OXBOW DELAY LIST other", "-NOPERM "},
        {"OXBOW NACK mine none 1-0", "-NOGROUP "},
    };
    struct talk *t = *state;

    talk_connect(t, 1);
    talk_connect(t, 2);
    (void)talk(t, 0, "XGROUP CREATE mine g $ MKSTREAM");
    (void)talk(t, 0, "ACL SETUSER w on >w ~mine* +@all -@dangerous");
    (void)talk(t, 0, "ACL SETUSER o on >o ~mine* %R~seen +@all");
    (void)talk(t, 1, "AUTH w w");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_says(t, 1, rows[i][0], rows[i][1]);
    }
    (void)talk(t, 2, "AUTH o o");
    assert_reply(t, 2, "OXBOW GROUP SET mine g dead-letter minedead", "+OK\r\n");
    assert_says(t, 2, "OXBOW GROUP SET mine g visibility 1 dead-letter other", "-NOPERM ");
    assert_says(t, 2, "OXBOW QUEUE SET seen max-entries 1", "-NOPERM ");
    assert_reply(t, 2, "OXBOW QUEUE GET seen", "*-1\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW GROUP SET a g visibility 1 dead-letter b",
                 "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW GROUP GET a g", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW ADD a DELAY 1 * f v", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS OXBOW QUEUE DEL a", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XGROUP CREATE a g 0", "*1\r\n$1\r\na\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XGROUP x a", "-ERR Invalid command specified\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(policies_are_set_changed_told_and_removed),
        TEST(what_was_dropped_makes_gaps),
        TEST(figures_are_the_table_of_metrics),
        TEST(options_of_a_group_stay_until_they_are_changed),
        TEST(a_nack_brings_back_and_buries),
        TEST(dead_letters_are_sent_back_by_number_and_by_id),
        TEST(entries_are_added_as_they_are_said),
        TEST(what_is_added_once_is_there_once),
        TEST(what_is_put_off_comes_when_it_is_due),
        TEST(what_makes_no_sense_is_refused),
        TEST(dead_letters_that_cannot_be_kept_stay_pending),
        TEST(rights_are_those_of_operators_and_of_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
