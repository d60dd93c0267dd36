/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/uplink/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One reply in two pieces; the parser's answer. */
static enum oxbow_err parse(struct reply_parser *p, const char *raw, size_t split, bool *done)
{
    size_t len = strlen(raw), used = 0;
    enum oxbow_err err = OXBOW_OK;

    reply_parser_init(p);
    *done = false;
    if (split > 0) {
        err = reply_feed(p, raw, split, &used, done);
        if (err || *done) {
            return err;
        }
        assert_int_equal(used, split);
    }
    if (split < len) {
        err = reply_feed(p, raw + split, len - split, &used, done);
    }
    return err;
}

static struct reply_parser parser; /* 20 KiB */

static const struct reply *parsed(const char *raw)
{
    bool done;

    assert_int_equal(parse(&parser, raw, 0, &done), OXBOW_OK);
    assert_true(done);
    return &parser.reply;
}

static void every_kind_of_value_is_understood(void **state)
{
    const struct reply *r;

    (void)state;
    r = parsed("+OK\r\n");
    assert_int_equal(r->nodes[0].type, REPLY_STATUS);
    assert_string_equal(r->nodes[0].text, "OK");
    assert_int_equal(parsed("-ERR x\r\n")->nodes[0].type, REPLY_ERROR);
    assert_int_equal(parsed(":-42\r\n")->nodes[0].integer, -42);
    assert_string_equal(parsed("$3\r\na\r\n\r\n")->nodes[0].text, "a\r\n");
    assert_int_equal(parsed("$0\r\n\r\n")->nodes[0].type, REPLY_BULK);
    assert_int_equal(parsed("$-1\r\n")->nodes[0].type, REPLY_NIL);
    assert_int_equal(parsed("*-1\r\n")->nodes[0].type, REPLY_NIL);
    assert_int_equal(parsed("*0\r\n")->nodes[0].type, REPLY_ARRAY);
    assert_int_equal(parsed("_\r\n")->nodes[0].type, REPLY_NIL);
    assert_int_equal(parsed("#t\r\n")->nodes[0].integer, 1);
    assert_string_equal(parsed(",1.5\r\n")->nodes[0].text, "1.5");
    assert_string_equal(parsed("=5\r\ntxt:a\r\n")->nodes[0].text, "txt:a");
    assert_int_equal(parsed("!3\r\nERR\r\n")->nodes[0].type, REPLY_ERROR);
    assert_int_equal(parsed("%1\r\n+a\r\n:1\r\n")->nodes[0].integer, 2);
    assert_true(parsed(">1\r\n+a\r\n")->push);
    assert_false(parsed("~1\r\n+a\r\n")->push);
}

static void pairs_and_places_are_found_past_nested_values(void **state)
{
    const struct reply *r = parsed("*6\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n-bad inside\r\n"
                                   "$4\r\nrole\r\n$6\r\nmaster\r\n$1\r\nb\r\n*0\r\n");

    (void)state;
    assert_string_equal(reply_find(r, "role")->text, "master");
    assert_null(reply_find(r, "nothing"));
    assert_string_equal(reply_at(r, 4)->text, "b");
    assert_null(reply_at(r, 6));
    assert_string_equal(r->error.text, "bad inside");
}

static void attributes_are_skipped_wherever_they_stand(void **state)
{
    const struct reply *r = parsed("|1\r\n+k\r\n*1\r\n:9\r\n*2\r\n|1\r\n+x\r\n+y\r\n:1\r\n:2\r\n");

    (void)state;
    assert_int_equal(r->seen, 3);
    assert_int_equal(reply_at(r, 0)->integer, 1);
    assert_int_equal(reply_at(r, 1)->integer, 2);
}

static void a_reply_may_be_split_anywhere(void **state)
{
    static const char raw[] = "*4\r\n:1\r\n$5\r\n1-234\r\n*2\r\n+a\r\n-ERR b\r\n$-1\r\n";
    size_t split;

    (void)state;
    for (split = 0; split <= strlen(raw); split++) {
        bool done;

        assert_int_equal(parse(&parser, raw, split, &done), OXBOW_OK);
        assert_true(done);
        assert_int_equal(parser.reply.seen, 7);
        assert_string_equal(reply_at(&parser.reply, 1)->text, "1-234");
        assert_string_equal(parser.reply.error.text, "ERR b");
    }
}

static void only_one_reply_is_taken_at_a_time(void **state)
{
    static const char raw[] = "+a\r\n+b\r\n";
    size_t used;
    bool done;

    (void)state;
    reply_parser_init(&parser);
    assert_int_equal(reply_feed(&parser, raw, 8, &used, &done), OXBOW_OK);
    assert_true(done);
    assert_int_equal(used, 4);
    assert_int_equal(reply_feed(&parser, raw + 4, 4, &used, &done), OXBOW_OK);
    assert_true(done);
    assert_string_equal(parser.reply.nodes[0].text, "b");
}

static void what_is_no_protocol_is_refused(void **state)
{
    static const char *const bad[] = {
        "HTTP/1.1 200\r\n", "*x\r\n",       "*1a\r\n", "*-2\r\n",
        "$-2\r\n",          ":\r\n",        ":1\n",    "+a\rb",
        "$1\r\nab\r\n",     "_x\r\n",       "#x\r\n",  "%-1\r\n",
        "$536870913\r\n",   "*1048577\r\n", "\r\n",    "$01\r\n",
    };
    size_t i;
    bool done;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(&parser, bad[i], 0, &done), OXBOW_EPARSE);
    }
    assert_int_equal(parse(&parser, "*1048576\r\n", 0, &done), OXBOW_OK);
    assert_int_equal(parse(&parser, "$536870912\r\n", 0, &done), OXBOW_OK);
}

static void nesting_is_bounded(void **state)
{
    char raw[5 * (REPLY_DEPTH_MAX + 1)];
    size_t len = 0;
    uint32_t i;
    bool done;

    (void)state;
    for (i = 0; i < REPLY_DEPTH_MAX; i++) {
        len += (size_t)snprintf(raw + len, sizeof(raw) - len, "*1\r\n");
    }
    assert_int_equal(parse(&parser, raw, 0, &done), OXBOW_OK);
    snprintf(raw + len, sizeof(raw) - len, "*1\r\n");
    assert_int_equal(parse(&parser, raw, 0, &done), OXBOW_EPARSE);
}

static void long_texts_and_long_arrays_are_cut_not_kept(void **state)
{
    size_t n = 100000, i, len;
    char *raw = malloc(n + 64);
    size_t used;
    bool done;

    (void)state;
    assert_non_null(raw);
    len = (size_t)snprintf(raw, 64, "$%zu\r\n", n);
    memset(raw + len, 'x', n);
    memcpy(raw + len + n, "\r\n", 2);
    reply_parser_init(&parser);
    assert_int_equal(reply_feed(&parser, raw, len + n + 2, &used, &done), OXBOW_OK);
    assert_true(done);
    assert_int_equal(parser.reply.nodes[0].len, REPLY_TEXT_MAX);
    assert_true(parser.reply.nodes[0].cut);
    len = (size_t)snprintf(raw, 64, "*%u\r\n", 1000);
    for (i = 0; i < 1000; i++) {
        len += (size_t)snprintf(raw + len, 64, ":%zu\r\n", i);
    }
    reply_parser_init(&parser);
    assert_int_equal(reply_feed(&parser, raw, len, &used, &done), OXBOW_OK);
    assert_true(done);
    assert_int_equal(parser.reply.seen, 1001);
    assert_int_equal(parser.reply.node_count, REPLY_NODES_MAX);
    free(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_understood),
        cmocka_unit_test(pairs_and_places_are_found_past_nested_values),
        cmocka_unit_test(attributes_are_skipped_wherever_they_stand),
        cmocka_unit_test(a_reply_may_be_split_anywhere),
        cmocka_unit_test(only_one_reply_is_taken_at_a_time),
        cmocka_unit_test(what_is_no_protocol_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(long_texts_and_long_arrays_are_cut_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
