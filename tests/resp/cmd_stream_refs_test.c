/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDELEX, XACKDEL, and KEEPREF, DELREF and ACKED of XADD and XTRIM: what Redis 8.2 does, which is not
 * here to be asked. Each case says where the behaviour is written down; T is redis/redis, tests/unit/type/, D is redis/docs,
 * content/commands/, both of 8.2, S is src/t_stream.c of 8.2.
 */
#include "tests/resp/talk.h"

/* Entries 1 to 4; group a has read all of them, group b the first two. */
static void fill(struct talk *t)
{
    (void)talk(t, 0, "DEL s");
    for (int i = 1; i <= 4; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 f v", i);
        (void)talk(t, 0, words);
    }
    (void)talk(t, 0, "XGROUP CREATE s a 0");
    (void)talk(t, 0, "XGROUP CREATE s b 0");
    (void)talk(t, 0, "XREADGROUP GROUP a c STREAMS s >");
    (void)talk(t, 0, "XREADGROUP GROUP b c COUNT 2 STREAMS s >");
}

/* How many entries each group has pending. */
static void assert_pending(struct talk *t, int a, int b)
{
    char want[32];

    (void)snprintf(want, sizeof want, "*4\r\n:%d\r\n", a);
    assert_memory_equal(talk(t, 0, "XPENDING s a"), want, strlen(want));
    (void)snprintf(want, sizeof want, "*4\r\n:%d\r\n", b);
    assert_memory_equal(talk(t, 0, "XPENDING s b"), want, strlen(want));
}

/* Each case in both protocols: integers and arrays are the same in them. */
static void in_both(void **state, void (*body)(struct talk *t))
{
    struct talk *t = *state;

    body(t);
    assert_memory_equal(talk(t, 0, "HELLO 3"), "%7", 2);
    body(t);
}

/* ---- arguments ---- */

static void wrong(struct talk *t)
{
    static const char number[] = "-ERR Number of IDs must be a positive integer\r\n";
    static const char match[] =
        "-ERR The `numids` parameter must match the number of arguments\r\n";
    static const char syntax[] = "-ERR syntax error\r\n";
    static const char id[] = "-ERR Invalid stream ID specified as stream command argument\r\n";
    static const struct {
        const char *words; /* behind the key and group */
        const char *want;
    } cases[] = {
        /* T stream-cgroups.tcl, stream.tcl: IDS parameter validation */
        {"IDS abc 1-1", number},
        {"IDS 0 1-1", number},
        {"IDS -5 1-1", number},
        {"IDS 1.5 1-1", number},
        {"IDS 9223372036854775808 1-1", number},
        {"IDS 3 1-1 2-2", match},
        {"IDS 9223372036854775807 1-1", match},
        {"IDS 1 1-1 2-2", syntax},
        /* T stream-cgroups.tcl, stream.tcl: KEEPREF/DELREF/ACKED parameter validation */
        {"KEEPREF DELREF IDS 1 1-1", syntax},
        {"KEEPREF ACKED IDS 1 1-1", syntax},
        {"DELREF ACKED IDS 1 1-1", syntax},
        {"ACKED IDS 1 1-1 ACKED", syntax},
        /* S streamParseAckDelArgsOrReply */
        {"1-1 2-2 3-3", syntax},
        {"KEEPREF 1 1-1", syntax},
        {"KEEPREF KEEPREF IDS", syntax},
        {"IDS 1 1-1 IDS", syntax},
        {"IDS 1 x", id},
        {"IDS 2 1-1 -", id},
        {"IDS 1 +", id},
        {"delref ids 1 1-1-1", id},
    };
    char words[128];

    fill(t);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(words, sizeof words, "XDELEX s %s", cases[i].words);
        assert_reply(t, 0, words, cases[i].want);
        (void)snprintf(words, sizeof words, "XACKDEL s a %s", cases[i].words);
        assert_reply(t, 0, words, cases[i].want);
    }
    /* T stream-cgroups.tcl: XACKDEL wrong number of args; the arity is that of the commands' json */
    assert_reply(t, 0, "XDELEX", "-ERR wrong number of arguments for 'xdelex' command\r\n");
    assert_reply(t, 0, "XDELEX s IDS 1", "-ERR wrong number of arguments for 'xdelex' command\r\n");
    assert_reply(t, 0, "XACKDEL", "-ERR wrong number of arguments for 'xackdel' command\r\n");
    assert_reply(t, 0, "XACKDEL s g IDS 1",
                 "-ERR wrong number of arguments for 'xackdel' command\r\n");
    /* S xdelexCommand, xackdelCommand: the type comes before the arguments */
    (void)talk(t, 0, "SET k v");
    assert_memory_equal(talk(t, 0, "XDELEX k IDS x 1"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "XACKDEL k g IDS x 1"), "-WRONGTYPE ", 11);
    assert_pending(t, 4, 2);
    assert_reply(t, 0, "XLEN s", ":4\r\n");
}

static void wrong_arguments_are_refused_and_nothing_is_deleted(void **state)
{
    in_both(state, wrong);
}

/* T stream-cgroups.tcl: XACKDEL should return ... when key doesn't exist or group doesn't exist; S: ids
 * are not looked at then, the arguments are */
static void absent(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XDELEX nothing IDS 2 1-1 x", "*2\r\n:-1\r\n:-1\r\n");
    assert_reply(t, 0, "XDELEX nothing IDS 0 1-1",
                 "-ERR Number of IDs must be a positive integer\r\n");
    assert_reply(t, 0, "XACKDEL nothing g IDS 2 1-1 2-2", "*2\r\n:-1\r\n:-1\r\n");
    assert_reply(t, 0, "XACKDEL s nobody IDS 2 1-0 x", "*2\r\n:-1\r\n:-1\r\n");
    assert_reply(t, 0, "EXISTS nothing", ":0\r\n");
}

static void what_is_not_there_is_told_for_each_id(void **state)
{
    in_both(state, absent);
}

/* ---- XDELEX ---- */

/* T stream.tcl: XDELEX with KEEPREF; D xdelex.md: -1 and 1, KEEPREF is the default */
static void xdelex_keeping(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XDELEX s IDS 3 1-0 9-9 1-0", "*3\r\n:1\r\n:-1\r\n:-1\r\n");
    assert_reply(t, 0, "XDELEX s IDS 1 2 KEEPREF", "*1\r\n:1\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_pending(t, 4, 2);
    /* S: IDS twice, the last one counts */
    assert_reply(t, 0, "XDELEX s IDS 1 3-0 IDS 1 4-0", "*1\r\n:1\r\n");
    assert_memory_equal(talk(t, 0, "XRANGE s - +"), "*1\r\n*2\r\n$3\r\n3-0\r\n", 16);
}

static void xdelex_leaves_references_unless_told_otherwise(void **state)
{
    in_both(state, xdelex_keeping);
}

/* T stream.tcl: XDELEX with DELREF ...; D xdelex.md: references of what the stream has no more go too */
static void xdelex_delref(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XDEL s 2-0", ":1\r\n");
    assert_pending(t, 4, 2);
    assert_reply(t, 0, "XDELEX s DELREF IDS 2 1-0 2-0", "*2\r\n:1\r\n:-1\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_pending(t, 2, 0);
    assert_reply(t, 0, "XPENDING s a",
                 "*4\r\n:2\r\n$3\r\n3-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n");
}

static void xdelex_takes_references_along(void **state)
{
    in_both(state, xdelex_delref);
}

/* T stream.tcl: XDELEX with ACKED option only deletes ..., ... won't delete messages when new consumer
 * groups are created */
static void xdelex_acked(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XDELEX s ACKED IDS 4 1-0 2-0 3-0 9-9", "*4\r\n:2\r\n:2\r\n:2\r\n:-1\r\n");
    assert_reply(t, 0, "XACK s a 1 2 3", ":3\r\n");
    assert_reply(t, 0, "XDELEX s ACKED IDS 2 1-0 3-0", "*2\r\n:2\r\n:2\r\n");
    assert_reply(t, 0, "XACK s b 1", ":1\r\n");
    assert_reply(t, 0, "XDELEX s ACKED IDS 3 1-0 2-0 3-0", "*3\r\n:1\r\n:2\r\n:2\r\n");
    assert_reply(t, 0, "XACK s b 2", ":1\r\n");
    assert_reply(t, 0, "XGROUP CREATE s late 0", "+OK\r\n");
    assert_reply(t, 0, "XDELEX s ACKED IDS 1 2-0", "*1\r\n:2\r\n");
    assert_reply(t, 0, "XGROUP DESTROY s late", ":1\r\n");
    assert_reply(t, 0, "XDELEX s ACKED IDS 1 2-0", "*1\r\n:1\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
}

static void xdelex_leaves_what_a_group_still_needs(void **state)
{
    in_both(state, xdelex_acked);
}

/* ---- XACKDEL ---- */

/* T stream-cgroups.tcl: XACKDEL with KEEPREF; S: what was pending and is gone from the stream counts as
 * deleted */
static void xackdel_keeping(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XACKDEL s a IDS 2 1-0 2-0", "*2\r\n:1\r\n:1\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_pending(t, 2, 2);
    assert_reply(t, 0, "XACKDEL s b KEEPREF IDS 3 1-0 2-0 3-0", "*3\r\n:1\r\n:1\r\n:-1\r\n");
    assert_pending(t, 2, 0);
    assert_reply(t, 0, "XLEN s", ":2\r\n");
}

static void xackdel_leaves_references_of_other_groups(void **state)
{
    in_both(state, xackdel_keeping);
}

/* T stream-cgroups.tcl: XACKDEL with DELREF ... */
static void xackdel_delref(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XDEL s 2-0", ":1\r\n");
    assert_reply(t, 0, "XACKDEL s a DELREF IDS 2 1-0 2-0", "*2\r\n:1\r\n:1\r\n");
    assert_pending(t, 2, 0);
    assert_reply(t, 0, "XACKDEL s b DELREF IDS 2 1-0 2-0", "*2\r\n:-1\r\n:-1\r\n");
    /* S: an id that is not pending in the group leaves the others' alone */
    assert_reply(t, 0, "XACKDEL s b DELREF IDS 1 3-0", "*1\r\n:-1\r\n");
    assert_pending(t, 2, 0);
    assert_reply(t, 0, "XLEN s", ":2\r\n");
}

static void xackdel_takes_references_of_other_groups_along(void **state)
{
    in_both(state, xackdel_delref);
}

/* T stream-cgroups.tcl: XACKDEL with ACKED option only deletes ... */
static void xackdel_acked(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XACKDEL s a ACKED IDS 3 1-0 2-0 3-0", "*3\r\n:2\r\n:2\r\n:2\r\n");
    assert_reply(t, 0, "XLEN s", ":4\r\n");
    assert_pending(t, 1, 2);
    assert_reply(t, 0, "XACKDEL s b ACKED IDS 2 1-0 2-0", "*2\r\n:1\r\n:1\r\n");
    assert_pending(t, 1, 0);
    assert_reply(t, 0, "XLEN s", ":2\r\n");
}

static void xackdel_deletes_what_was_the_last_ones(void **state)
{
    in_both(state, xackdel_acked);
}

/* T stream-cgroups.tcl: XACKDEL with IDs exceeding STREAMID_STATIC_VECTOR_LEN ... */
static void many_ids_are_taken(void **state)
{
    struct talk *t = *state;
    char words[2048] = "XACKDEL s a IDS 200";
    size_t len = strlen(words);

    fill(t);
    for (int i = 1; i <= 200; i++) {
        len += (size_t)snprintf(words + len, sizeof words - len, " %d-0", i);
    }
    assert_memory_equal(talk(t, 0, words), "*200\r\n:1\r\n:1\r\n:1\r\n:1\r\n:-1\r\n", 27);
    assert_reply(t, 0, "XLEN s", ":0\r\n");
}

/* ---- trims ---- */

/* S streamParseAddOrTrimArgsOrReply: once, before the id; what else it is, is an id or a syntax error */
static void trim_words(struct talk *t)
{
    static const char id[] = "-ERR Invalid stream ID specified as stream command argument\r\n";

    fill(t);
    assert_reply(t, 0, "XADD s KEEPREF ACKED MAXLEN 1 9-0 f v", id);
    assert_reply(t, 0, "XADD s MAXLEN 1 DELREF DELREF 9-0 f v", id);
    assert_reply(t, 0, "XTRIM s MAXLEN 1 KEEPREF DELREF", "-ERR syntax error\r\n");
    assert_reply(t, 0, "XTRIM s ACKED ACKED MAXLEN 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "XTRIM s DELREF x", "-ERR syntax error\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN 1 DELREF LIMIT 1",
                 "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN DELREF", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "XADD s ACKED", "-ERR wrong number of arguments for 'xadd' command\r\n");
    assert_pending(t, 4, 2);
    assert_reply(t, 0, "XLEN s", ":4\r\n");
    /* Without a trim they mean nothing. */
    assert_reply(t, 0, "XADD s ACKED NOMKSTREAM 5-0 f v", "$3\r\n5-0\r\n");
    assert_reply(t, 0, "XADD s nomkstream delref 6-0 f v", "$3\r\n6-0\r\n");
    assert_reply(t, 0, "XTRIM nothing ACKED MAXLEN 0", ":0\r\n");
    assert_pending(t, 4, 2);
}

static void words_of_trims_are_read_as_redis_reads_them(void **state)
{
    in_both(state, trim_words);
}

/* T stream.tcl: XADD with MAXLEN/MINID and KEEPREF, XTRIM with KEEPREF: as without */
static void trim_keeping(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XTRIM s MAXLEN = 3 KEEPREF", ":1\r\n");
    assert_reply(t, 0, "XADD s KEEPREF MINID 4 5-0 f v", "$3\r\n5-0\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_pending(t, 4, 2);
}

static void a_trim_leaves_references_unless_told_otherwise(void **state)
{
    in_both(state, trim_keeping);
}

/* T stream.tcl: XADD with MAXLEN/MINID and DELREF, XTRIM with DELREF */
static void trim_delref(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XTRIM s DELREF MAXLEN = 3", ":1\r\n");
    assert_pending(t, 3, 1);
    assert_reply(t, 0, "XADD s MINID 3 DELREF 5-0 f v", "$3\r\n5-0\r\n");
    assert_pending(t, 2, 0);
    assert_reply(t, 0, "XADD s MAXLEN 1 DELREF 6-0 f v", "$3\r\n6-0\r\n");
    assert_pending(t, 0, 0);
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    assert_non_null(strstr(talk(t, 0, "XINFO STREAM s"), "max-deleted-entry-id\r\n$3\r\n0-0\r\n"));
}

static void a_trim_takes_references_along(void **state)
{
    in_both(state, trim_delref);
}

/* T stream.tcl: XADD with MAXLEN/MINID and ACKED, XTRIM with ACKED: what nobody needs goes, also from
 * between what somebody does */
static void trim_acked(struct talk *t)
{
    fill(t);
    assert_reply(t, 0, "XTRIM s MAXLEN 0 ACKED", ":0\r\n");
    assert_reply(t, 0, "XACK s a 1 2 3 4", ":4\r\n");
    assert_reply(t, 0, "XACK s b 2", ":1\r\n");
    assert_reply(t, 0, "XADD s MAXLEN 1 ACKED 5-0 f v", "$3\r\n5-0\r\n");
    assert_reply(t, 0, "XLEN s", ":4\r\n");
    assert_memory_equal(talk(t, 0, "XRANGE s - + COUNT 2"), "*2\r\n*2\r\n$3\r\n1-0\r\n", 17);
    assert_reply(t, 0, "XACK s b 1", ":1\r\n");
    (void)talk(t, 0, "XREADGROUP GROUP b c NOACK STREAMS s >");
    (void)talk(t, 0, "XREADGROUP GROUP a c NOACK STREAMS s >");
    assert_reply(t, 0, "XTRIM s MINID 4 ACKED", ":2\r\n");
    assert_reply(t, 0, "XTRIM s ACKED MAXLEN 1", ":1\r\n");
    assert_memory_equal(talk(t, 0, "XRANGE s - +"), "*1\r\n*2\r\n$3\r\n5-0\r\n", 17);
    assert_pending(t, 0, 0);
}

static void a_trim_leaves_what_a_group_still_needs(void **state)
{
    in_both(state, trim_acked);
}

/* S streamTrim: with DELREF and ACKED `~` does not stop at whole nodes; the limit holds */
static void about_so_many_is_exact_with_references(void **state)
{
    struct talk *t = *state;

    fill(t);
    assert_reply(t, 0, "XTRIM s MAXLEN ~ 3 KEEPREF", ":0\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN ~ 3 DELREF", ":1\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN ~ 0 LIMIT 2 DELREF", ":2\r\n");
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    assert_pending(t, 1, 0);
}

/* More than are looked at together, with what is needed in the middle. */
static void long_streams_are_trimmed_around_what_is_needed(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    for (int i = 1; i <= 700; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d-0 f v", i);
        (void)talk(t, 0, words);
    }
    (void)talk(t, 0, "XREADGROUP GROUP g c NOACK COUNT 300 STREAMS s >");
    (void)talk(t, 0, "XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    (void)talk(t, 0, "XREADGROUP GROUP g c NOACK COUNT 299 STREAMS s >");
    assert_reply(t, 0, "XTRIM s MAXLEN ~ 0 LIMIT 100 ACKED", ":100\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN 350 ACKED", ":250\r\n");
    assert_reply(t, 0, "XTRIM s MAXLEN 0 ACKED", ":249\r\n");
    assert_reply(t, 0, "XLEN s", ":101\r\n"); /* one is pending, a hundred are new */
    assert_memory_equal(talk(t, 0, "XRANGE s - + COUNT 1"), "*1\r\n*2\r\n$5\r\n301-0\r\n", 19);
    assert_reply(t, 0, "XACK s g 301", ":1\r\n");
    assert_reply(t, 0, "XTRIM s MINID 700 ACKED", ":1\r\n");
    assert_reply(t, 0, "XTRIM s MINID 700 DELREF", ":99\r\n");
    assert_memory_equal(talk(t, 0, "XRANGE s - +"), "*1\r\n*2\r\n$5\r\n700-0\r\n", 19);
}

/* ---- around them ---- */

/* S: "xdel" is told when entries went, and only then; an ack alone is not told */
static void deletions_are_told_once(void **state)
{
    struct talk *t = *state;

    fill(t);
    (void)talk(t, 0, "CONFIG SET notify-keyspace-events Et");
    talk_connect(t, 1);
    (void)talk(t, 1, "SUBSCRIBE __keyevent@0__:xdel");
    (void)talk(t, 0, "XDELEX s IDS 2 1-0 2-0");
    assert_non_null(strstr(talk_heard(t, 1), "__keyevent@0__:xdel\r\n$1\r\ns\r\n"));
    assert_null(strstr(strstr(t->text, "message") + 1, "message"));
    (void)talk(t, 0, "XDELEX s IDS 1 1-0");
    (void)talk(t, 0, "XACKDEL s a IDS 2 1-0 2-0");
    (void)talk(t, 0, "XACKDEL s b ACKED IDS 1 2-0");
    (void)talk(t, 0, "XDELEX s ACKED IDS 1 3-0");
    assert_string_equal(talk_heard(t, 1), "");
    (void)talk(t, 0, "XACKDEL s a IDS 1 3-0");
    assert_non_null(strstr(talk_heard(t, 1), "__keyevent@0__:xdel\r\n$1\r\ns\r\n"));
}

/* oxbow's own: as after XACK, who has as many pending as he may have can read again */
static void who_waits_for_an_ack_goes_on(void **state)
{
    struct talk *t = *state;

    fill(t);
    assert_reply(t, 0, "XGROUP CREATE s p 0", "+OK\r\n");
    assert_reply(t, 0, "OXBOW GROUP SET s p prefetch 1", "+OK\r\n");
    talk_connect(t, 1);
    assert_memory_equal(talk(t, 1, "XREADGROUP GROUP p c STREAMS s >"),
                        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n", 31);
    assert_reply(t, 1, "XREADGROUP GROUP p c BLOCK 0 STREAMS s >", "");
    assert_reply(t, 0, "XACKDEL s p ACKED IDS 1 1-0", "*1\r\n:2\r\n");
    assert_memory_equal(talk_heard(t, 1), "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n", 31);
}

static void transactions_and_watches_know_them(void **state)
{
    struct talk *t = *state;

    fill(t);
    talk_connect(t, 1);
    (void)talk(t, 1, "WATCH s");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "PING");
    (void)talk(t, 0, "XDELEX s IDS 1 1-0");
    assert_reply(t, 1, "EXEC", "*-1\r\n");
    (void)talk(t, 1, "MULTI");
    assert_reply(t, 1, "XDELEX s IDS 1 2-0", "+QUEUED\r\n");
    assert_reply(t, 1, "XACKDEL s a IDS 1 3-0", "+QUEUED\r\n");
    assert_reply(t, 1, "XACKDEL s a IDS 1 x", "+QUEUED\r\n");
    assert_reply(t, 1, "EXEC",
                 "*3\r\n*1\r\n:1\r\n*1\r\n:1\r\n"
                 "-ERR Invalid stream ID specified as stream command argument\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_memory_equal(talk(t, 0, "XRANGE s - +"), "*1\r\n*2\r\n$3\r\n4-0\r\n", 16);
    assert_pending(t, 3, 2);
}

/* The rows: src/commands/xdelex.json and xackdel.json of 8.2 */
static void the_table_has_them(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "COMMAND INFO xackdel",
                 "*1\r\n*10\r\n$7\r\nxackdel\r\n:-6\r\n*2\r\n+write\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
                 "*3\r\n+@write\r\n+@stream\r\n+@fast\r\n*0\r\n*0\r\n*0\r\n");
    assert_non_null(strstr(talk(t, 0, "COMMAND INFO xdelex"), "$6\r\nxdelex\r\n:-5\r\n"));
    assert_non_null(strstr(talk(t, 0, "COMMAND DOCS xdelex"), "since\r\n$5\r\n8.2.0\r\n"));
    assert_reply(t, 0, "COMMAND GETKEYS XDELEX s IDS 1 1-0", "*1\r\n$1\r\ns\r\n");
    assert_reply(t, 0, "COMMAND GETKEYS XACKDEL s g IDS 1 1-0", "*1\r\n$1\r\ns\r\n");
    (void)talk(t, 0, "ACL SETUSER w on nopass %W~s +@stream");
    (void)talk(t, 0, "ACL SETUSER r on nopass %R~s +@stream");
    assert_reply(t, 0, "ACL DRYRUN w XDELEX s IDS 1 1-0", "+OK\r\n");
    assert_reply(t, 0, "ACL DRYRUN w XACKDEL s g IDS 1 1-0", "+OK\r\n");
    assert_true(talk(t, 0, "ACL DRYRUN r XDELEX s IDS 1 1-0")[0] != '+');
    assert_true(talk(t, 0, "ACL DRYRUN r XACKDEL s g IDS 1 1-0")[0] != '+');
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)
    const struct CMUnitTest tests[] = {
        T(wrong_arguments_are_refused_and_nothing_is_deleted),
        T(what_is_not_there_is_told_for_each_id),
        T(xdelex_leaves_references_unless_told_otherwise),
        T(xdelex_takes_references_along),
        T(xdelex_leaves_what_a_group_still_needs),
        T(xackdel_leaves_references_of_other_groups),
        T(xackdel_takes_references_of_other_groups_along),
        T(xackdel_deletes_what_was_the_last_ones),
        T(many_ids_are_taken),
        T(words_of_trims_are_read_as_redis_reads_them),
        T(a_trim_leaves_references_unless_told_otherwise),
        T(a_trim_takes_references_along),
        T(a_trim_leaves_what_a_group_still_needs),
        T(about_so_many_is_exact_with_references),
        T(long_streams_are_trimmed_around_what_is_needed),
        T(deletions_are_told_once),
        T(who_waits_for_an_ack_goes_on),
        T(transactions_and_watches_know_them),
        T(the_table_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
