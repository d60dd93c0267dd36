/* SPDX-License-Identifier: Apache-2.0 */
/* Requests split anywhere, malformed in every way, at each limit, and with memory running out. */
#include "engine/resp/reader.h"

#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a run of the reader gave: "[arg][arg]\n" per request, then "! error". */
struct heard {
    char text[1 << 17];
    size_t len;
    size_t requests;
};

static void heard_put(struct heard *h, const void *data, size_t len)
{
    assert_true(h->len + len <= sizeof h->text);
    if (len > 0) {
        memcpy(h->text + h->len, data, len);
    }
    h->len += len;
}

/* Takes all that is there; false once broken. */
static bool hear(struct resp_reader *r, struct heard *h)
{
    struct resp_request q;

    for (;;) {
        switch (resp_reader_next(r, &q)) {
        case RESP_READ_MORE:
            return true;
        case RESP_READ_BROKEN:
            heard_put(h, "! ", 2);
            heard_put(h, q.error, strlen(q.error));
            return false;
        case RESP_READ_REQUEST:
            assert_true(q.count > 0);
            h->requests++;
            for (size_t i = 0; i < q.count; i++) {
                heard_put(h, "[", 1);
                heard_put(h, q.args[i].data, q.args[i].len);
                heard_put(h, "]", 1);
            }
            heard_put(h, "\n", 1);
        }
    }
}

/* Hands over `len` bytes, at most `step` at a time; false once broken. */
static bool feed(struct resp_reader *r, const void *data, size_t len, size_t step, struct heard *h)
{
    const uint8_t *p = data;

    while (len > 0) {
        uint8_t *buf;
        size_t room;
        size_t n = len < step ? len : step;

        assert_int_equal(resp_reader_room(r, n, &buf, &room), OXBOW_OK);
        assert_true(room > 0);
        n = n < room ? n : room;
        memcpy(buf, p, n);
        resp_reader_fed(r, n);
        p += n;
        len -= n;
        if (!hear(r, h)) {
            return false;
        }
    }
    return true;
}

static void assert_heard(const struct heard *h, const char *expect)
{
    if (h->len != strlen(expect) || memcmp(h->text, expect, h->len) != 0) {
        print_error("heard %.*s\nexpected %s\n", (int)h->len, h->text, expect);
        fail();
    }
}

static struct heard heard, heard_whole;

/* One reader, all at once. */
static void assert_read(const void *data, size_t len, const struct resp_limits *limits,
                        const char *expect)
{
    struct fault f;
    struct resp_reader r;

    fault_init(&f, oxbow_port_default());
    for (size_t step = 1; step <= len; step = step < 16 ? step + 1 : step * 2) {
        heard.len = 0;
        resp_reader_init(&r, &f.port.alloc, limits);
        (void)feed(&r, data, len, step, &heard);
        resp_reader_fini(&r);
        assert_heard(&heard, expect);
        assert_int_equal(f.live_bytes, 0);
    }
}

static const char pipeline[] =
    "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$3\r\nabc\r\n"
    "*1\r\n$4\r\nPING\r\n"
    "*0\r\n*-1\r\n\r\n  \r\n"
    "ECHO \"a b\\x41\" 'c\\'d'\r\n"
    "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"
    "PING\n"
    "*12\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n"
    "5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$2\r\n\r\n\r\n$1\r\nb\r\n"
    "*2\r\n$4\r\nECHO\r\n$12\r\n*1\r\n$2\r\nxx\r\n\r\n";
static const char pipeline_heard[] = "[SET][key:1][abc]\n[PING]\n[ECHO][a bA][c'd]\n[ECHO][]\n"
                                     "[PING]\n[0][1][2][3][4][5][6][7][8][9][\r\n][b]\n"
                                     "[ECHO][*1\r\n$2\r\nxx\r\n]\n";

static void requests_are_the_same_however_they_are_split(void **state)
{
    size_t len = sizeof pipeline - 1;

    (void)state;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b += 7) {
            struct resp_reader r;

            heard.len = 0;
            resp_reader_init(&r, &oxbow_port_default()->alloc, NULL);
            assert_true(feed(&r, pipeline, a, len, &heard));
            assert_true(feed(&r, pipeline + a, b - a, len, &heard));
            assert_true(feed(&r, pipeline + b, len - b, len, &heard));
            assert_int_equal(resp_reader_pending(&r), 0);
            resp_reader_fini(&r);
            assert_heard(&heard, pipeline_heard);
        }
    }
}

static void each_request_says_how_many_bytes_it_took(void **state)
{
    struct resp_reader r;
    struct resp_request q;
    uint8_t *buf;
    size_t room;

    (void)state;
    resp_reader_init(&r, &oxbow_port_default()->alloc, NULL);
    assert_int_equal(resp_reader_room(&r, 100, &buf, &room), OXBOW_OK);
    memcpy(buf, "PING\r\n*1\r\n$4\r\nPING\r\nrest", 24);
    resp_reader_fed(&r, 24);
    assert_int_equal(resp_reader_pending(&r), 24);
    assert_int_equal(resp_reader_next(&r, &q), RESP_READ_REQUEST);
    assert_int_equal(q.bytes, 6);
    assert_int_equal(resp_reader_pending(&r), 18);
    assert_int_equal(resp_reader_next(&r, &q), RESP_READ_REQUEST);
    assert_int_equal(q.bytes, 14);
    assert_int_equal(resp_reader_next(&r, &q), RESP_READ_MORE);
    assert_int_equal(resp_reader_pending(&r), 4);
    resp_reader_fini(&r);
}

static void requests_come_again_after_a_rewind(void **state)
{
    struct resp_reader r;
    struct resp_request q;
    uint8_t *buf;
    size_t room, mark;

    (void)state;
    resp_reader_init(&r, &oxbow_port_default()->alloc, NULL);
    assert_false(resp_reader_begins_inline(&r));
    assert_int_equal(resp_reader_room(&r, 100, &buf, &room), OXBOW_OK);
    memcpy(buf, "PING\r\n*1\r\n$2\r\nab\r\n*1\r\n$2\r\ncd\r\n*1\r\n$2", 36);
    resp_reader_fed(&r, 36);
    assert_false(resp_reader_was_inline(&r));
    assert_true(resp_reader_begins_inline(&r));
    assert_int_equal(resp_reader_next(&r, &q), RESP_READ_REQUEST);
    assert_true(resp_reader_was_inline(&r));
    assert_false(resp_reader_begins_inline(&r));
    mark = resp_reader_mark(&r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(resp_reader_next(&r, &q), RESP_READ_REQUEST);
        assert_false(resp_reader_was_inline(&r));
        assert_memory_equal(q.args[0].data, "ab", 2);
        assert_int_equal(resp_reader_next(&r, &q), RESP_READ_REQUEST);
        assert_memory_equal(q.args[0].data, "cd", 2);
        assert_int_equal(resp_reader_next(&r, &q), RESP_READ_MORE);
        assert_int_equal(resp_reader_pending(&r), 6);
        resp_reader_rewind(&r, mark);
        assert_int_equal(resp_reader_pending(&r), 30);
    }
    heard.len = 0;
    assert_true(feed(&r, "\r\nef\r\n", 6, 6, &heard));
    assert_heard(&heard, "[ab]\n[cd]\n[ef]\n");
    resp_reader_fini(&r);
}

static void what_is_malformed_is_answered_in_redis_words(void **state)
{
    static const struct {
        const char *sent, *heard;
    } rows[] = {
        {"*2147483648\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*99999999999999999999\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*01\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*+1\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*-0\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*a\r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*1 \r\n", "! ERR Protocol error: invalid multibulk length"},
        {"*1\r\nx\r\n", "! ERR Protocol error: expected '$', got 'x'"},
        {"*1\r\nx\n\r\n", "! ERR Protocol error: expected '$', got 'x'"},
        {"*1\r\n\r\n", "! ERR Protocol error: expected '$', got ' '"},
        {"*1\r\n\n\r\n", "! ERR Protocol error: expected '$', got ' '"},
        {"*1\r\n\xff\r\n", "! ERR Protocol error: expected '$', got '\xff'"},
        {"*1\r\n$-1\r\n", "! ERR Protocol error: invalid bulk length"},
        {"*1\r\n$536870913\r\n", "! ERR Protocol error: invalid bulk length"},
        {"*1\r\n$04\r\nPING\r\n", "! ERR Protocol error: invalid bulk length"},
        {"*1\r\n$4\n\r\n", "! ERR Protocol error: invalid bulk length"},
        {"*1\r\n$\r\n", "! ERR Protocol error: invalid bulk length"},
        {"PING\r\nPING \"a\r\n", "[PING]\n! ERR Protocol error: unbalanced quotes in request"},
        {"PING \"a\"b\r\n", "! ERR Protocol error: unbalanced quotes in request"},
        {"PING '\r\n", "! ERR Protocol error: unbalanced quotes in request"},
        /* As odd, and read all the same. */
        {"*2147483647\r\n", ""},
        {"*1\r\n$536870912\r\n", ""},
        {"*1\rX$4\rYPINGXXPING\r\n", "[PING]\n[PING]\n"},
        {"*1\r\n$4\r\nPING\n\nPING\r\r\n", "[PING]\n[PING]\n"},
        {"*-5\r\nPING\r\n", "[PING]\n"},
        {"*-9223372036854775808\r\nPING\r\n", "[PING]\n"},
        {"*1\r\n$0\r\n\r\n", "[]\n"},
        {" \t \r\n\r\n\nPING\n", "[PING]\n"},
        {"$4\r\n", "[$4]\n"},
        {"*1\r\n$4\r\nPI", ""},
        {"PING", ""},
        {"*1\r", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_read(rows[i].sent, strlen(rows[i].sent), NULL, rows[i].heard);
    }
    assert_read("*1\r\n\0\r\n", 7, NULL, "");
    assert_read("PING a\0b\r\nPING\r\n", 16, NULL, "");
    assert_read("*1\0\r\n", 5, NULL, "");
}

static void a_broken_reader_stays_broken_and_gives_no_room(void **state)
{
    struct resp_reader r;
    struct resp_request q;
    uint8_t *buf;
    size_t room;

    (void)state;
    heard.len = 0;
    resp_reader_init(&r, &oxbow_port_default()->alloc, NULL);
    assert_false(feed(&r, "*x\r\n", 4, 4, &heard));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(resp_reader_next(&r, &q), RESP_READ_BROKEN);
        assert_string_equal(q.error, "ERR Protocol error: invalid multibulk length");
        assert_int_equal(q.count, 0);
    }
    assert_int_equal(resp_reader_room(&r, 1, &buf, &room), OXBOW_EPARSE);
    resp_reader_fini(&r);
}

/* `head`, then `len` times `fill`, then `tail`. */
static char *filled(const char *head, char fill, size_t len, const char *tail, size_t *total)
{
    size_t a = strlen(head), b = strlen(tail);
    char *text = malloc(a + len + b + 1);

    assert_non_null(text);
    memcpy(text, head, a);
    memset(text + a, fill, len);
    memcpy(text + a + len, tail, b + 1);
    *total = a + len + b;
    return text;
}

static void assert_line_limit(const char *head, char fill, size_t len, const char *tail,
                              const char *expect)
{
    const struct resp_limits limits = {.inline_max = 1000};
    size_t total;
    char *text = filled(head, fill, len, tail, &total);

    assert_read(text, total, &limits, expect);
    free(text);
}

static void lines_end_within_their_limit(void **state)
{
    (void)state;
    assert_line_limit("PING ", ' ', 994, "\n", "[PING]\n");
    assert_line_limit("PING ", ' ', 995, "\n", "[PING]\n");
    assert_line_limit("PING ", ' ', 996, "\n", "! ERR Protocol error: too big inline request");
    assert_line_limit("PING ", ' ', 995, "", "");
    assert_line_limit("PING ", ' ', 996, "", "! ERR Protocol error: too big inline request");
    assert_line_limit("*", '1', 999, "\r\n", "! ERR Protocol error: invalid multibulk length");
    assert_line_limit("*", '1', 1000, "\r\n", "! ERR Protocol error: too big mbulk count string");
    assert_line_limit("*", '1', 999, "", "");
    assert_line_limit("*1\r\n$", '1', 999, "\r\n", "! ERR Protocol error: invalid bulk length");
    assert_line_limit("*1\r\n$", '1', 1000, "", "! ERR Protocol error: too big bulk count string");
}

static void arguments_and_bulks_go_up_to_their_limits(void **state)
{
    const struct resp_limits limits = {.args_max = 2, .bulk_max = 3};

    (void)state;
    assert_read("*1\r\n$2\r\nab\r\n", 12, &limits, "[ab]\n");
    assert_read("*2\r\n$3\r\nabc\r\n$0\r\n\r\n", 19, &limits, "[abc][]\n");
    assert_read("*3\r\n", 4, &limits, "! ERR Protocol error: invalid multibulk length");
    assert_read("*1\r\n$4\r\n", 8, &limits, "! ERR Protocol error: invalid bulk length");
}

static void a_guest_has_ten_arguments_of_16384_bytes(void **state)
{
    struct resp_limits limits = {.guest = true};
    struct resp_reader r;
    size_t total;
    char *text;

    (void)state;
    assert_read("*10\r\n", 5, &limits, "");
    assert_read("*11\r\n", 5, &limits, "! ERR Protocol error: unauthenticated multibulk length");
    assert_read("*1\r\n$16385\r\n", 12, &limits,
                "! ERR Protocol error: unauthenticated bulk length");
    heard.len = 0;
    heard.requests = 0;
    resp_reader_init(&r, &oxbow_port_default()->alloc, &limits);
    text = filled("*1\r\n$16384\r\n", 'x', 16384, "\r\n", &total);
    assert_true(feed(&r, text, total, 1000, &heard));
    assert_int_equal(heard.requests, 1);
    free(text);
    /* Once known to the server, the same connection may say more. */
    limits.guest = false;
    resp_reader_limits(&r, &limits);
    text = filled("*1\r\n$16385\r\n", 'x', 16385, "\r\n", &total);
    assert_true(feed(&r, text, total, 1000, &heard));
    assert_int_equal(heard.requests, 2);
    free(text);
    resp_reader_fini(&r);
}

static void an_announced_length_takes_no_memory_before_its_bytes_come(void **state)
{
    struct fault f;
    struct resp_reader r;
    size_t sent = 0;
    char piece[4096] = {0};

    (void)state;
    fault_init(&f, oxbow_port_default());
    resp_reader_init(&r, &f.port.alloc, NULL);
    heard.len = 0;
    assert_true(feed(&r, "*2147483647\r\n$536870912\r\n", 25, 25, &heard));
    assert_true(f.live_bytes < 1024);
    while (sent < 1 << 22) {
        assert_true(feed(&r, piece, sizeof piece, sizeof piece, &heard));
        sent += sizeof piece;
        assert_true((size_t)f.live_bytes <= 2 * sent + 2 * sizeof piece);
    }
    /* Doubling: each byte is copied a bounded number of times. */
    assert_in_range(f.alloc_calls, 1, 20);
    resp_reader_fini(&r);
    assert_int_equal(f.live_bytes, 0);
}

static void a_buffer_that_is_full_without_a_request_is_refused(void **state)
{
    const struct resp_limits limits = {.buffer_max = 1000};
    const char head[] = "*2\r\n$4\r\nECHO\r\n$";
    struct resp_reader r;
    size_t total;
    char *text;

    (void)state;
    for (int over = 0; over <= 1; over++) {
        char start[40];
        uint8_t *buf;
        size_t room;

        (void)snprintf(start, sizeof start, "%s%d\r\n", head, 978 + over);
        text = filled(start, 'x', (size_t)(978 + over), "\r\n", &total);
        assert_int_equal(total, 1000 + over);
        heard.len = 0;
        heard.requests = 0;
        resp_reader_init(&r, &oxbow_port_default()->alloc, &limits);
        assert_true(feed(&r, text, 1000, 100, &heard));
        assert_int_equal(heard.requests, 1 - over);
        assert_int_equal(resp_reader_room(&r, 1, &buf, &room), over ? OXBOW_ETOOBIG : OXBOW_OK);
        assert_true(resp_reader_memory(&r) <= 1000 + 16 * 24);
        resp_reader_fini(&r);
        free(text);
    }
}

static void arguments_are_counted_against_the_buffer_too(void **state)
{
    const struct resp_limits limits = {.buffer_max = 2400}; /* 100 arguments */
    struct resp_reader r;

    (void)state;
    for (int over = 0; over <= 1; over++) {
        char head[16];
        bool fine;

        (void)snprintf(head, sizeof head, "*%d\r\n", 100 + over);
        heard.len = 0;
        heard.requests = 0;
        resp_reader_init(&r, &oxbow_port_default()->alloc, &limits);
        fine = feed(&r, head, strlen(head), 100, &heard);
        for (int i = 0; fine && i < 100 + over; i++) {
            fine = feed(&r, "$0\r\n\r\n", 6, 6, &heard);
        }
        assert_int_equal(fine, !over);
        assert_int_equal(heard.requests, 1 - over);
        if (over) {
            assert_heard(&heard, "! ");
        }
        resp_reader_fini(&r);
    }
}

static void a_steady_connection_allocates_nothing(void **state)
{
    struct fault f;
    struct resp_reader r;

    (void)state;
    fault_init(&f, oxbow_port_default());
    resp_reader_init(&r, &f.port.alloc, NULL);
    for (int round = 0; round < 1000; round++) {
        size_t split = (size_t)round % (sizeof pipeline - 1);

        if (round == 100) {
            fault_arm_alloc(&f, 0, 0);
        }
        heard.len = 0;
        assert_true(feed(&r, pipeline, split, 16384, &heard));
        assert_true(feed(&r, pipeline + split, sizeof pipeline - 1 - split, 16384, &heard));
    }
    assert_int_equal(f.alloc_calls, 0);
    resp_reader_fini(&r);
    assert_int_equal(f.live_bytes, 0);
}

static void memory_is_given_back_after_a_big_request_and_when_idle(void **state)
{
    struct fault f;
    struct resp_reader r;
    uint8_t *buf;
    size_t room, total;
    char *text = filled("*1\r\n$100000\r\n", 'x', 100000, "\r\n", &total);

    (void)state;
    fault_init(&f, oxbow_port_default());
    resp_reader_init(&r, &f.port.alloc, NULL);
    heard.len = 0;
    assert_true(feed(&r, text, total, 16384, &heard));
    assert_true(resp_reader_memory(&r) > 100000);
    assert_int_equal(resp_reader_memory(&r), f.live_bytes);
    assert_int_equal(resp_reader_room(&r, 512, &buf, &room), OXBOW_OK);
    assert_true(f.live_bytes < 1024);
    memcpy(buf, "PI", 2);
    resp_reader_fed(&r, 2);
    resp_reader_idle(&r);
    heard.len = 0;
    assert_true(feed(&r, "NG\r\n", 4, 4, &heard));
    assert_heard(&heard, "[PING]\n");
    resp_reader_idle(&r);
    assert_int_equal(f.live_bytes, 0);
    assert_true(feed(&r, "PING\r\n", 6, 6, &heard));
    resp_reader_fini(&r);
    free(text);
}

static void when_memory_is_out_nothing_is_lost_and_nothing_leaks(void **state)
{
    int points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct fault f;
        struct resp_reader r;
        bool fine = true;

        fault_init(&f, oxbow_port_default());
        fault_arm_alloc(&f, n, 1);
        resp_reader_init(&r, &f.port.alloc, NULL);
        heard.len = 0;
        for (size_t i = 0; fine && i < sizeof pipeline - 1; i += 16) {
            size_t len = sizeof pipeline - 1 - i < 16 ? sizeof pipeline - 1 - i : 16;
            uint8_t *buf;
            size_t room;
            enum oxbow_err err = resp_reader_room(&r, len * 4, &buf, &room);

            if (err != OXBOW_OK) {
                /* Out of memory here leaves the reader as it was. */
                assert_int_equal(err, OXBOW_ENOMEM);
                assert_int_equal(resp_reader_room(&r, len * 4, &buf, &room), OXBOW_OK);
            }
            assert_true(room >= len);
            memcpy(buf, pipeline + i, len);
            resp_reader_fed(&r, len);
            fine = hear(&r, &heard);
        }
        resp_reader_fini(&r);
        assert_int_equal(f.live_bytes, 0);
        if (fine) {
            assert_heard(&heard, pipeline_heard);
        } else {
            assert_memory_equal(heard.text + heard.len - 2, "! ", 2);
        }
        if (f.alloc_failed == 0) {
            break;
        }
        points++;
    }
    assert_in_range(points, 4, 100);
}

static uint64_t seed_next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Bytes that look like requests, with faults in them. */
static size_t noise(uint64_t *s, char *text, size_t max)
{
    static const char *const parts[] = {"*1\r\n",
                                        "*2\r\n",
                                        "*0\r\n",
                                        "$4\r\nPING\r\n",
                                        "$0\r\n\r\n",
                                        "PING\r\n",
                                        "\r\n",
                                        "\"a b\" ",
                                        "'x' ",
                                        "\\x41",
                                        "$-1\r\n",
                                        "*99\r\n",
                                        "$2\r\n",
                                        "\n",
                                        "\r",
                                        "abc",
                                        "*1\r\n$3\r\nGET\r\n",
                                        "$3\r\nabc\r\n"};
    size_t len = 0;
    size_t count = 1 + seed_next(s) % 40;

    for (size_t i = 0; i < count; i++) {
        const char *part = parts[seed_next(s) % (sizeof parts / sizeof parts[0])];
        size_t n = strlen(part);

        if (len + n + 1 > max) {
            break;
        }
        memcpy(text + len, part, n);
        len += n;
        if (seed_next(s) % 16 == 0) {
            text[len++] = (char)seed_next(s);
        }
    }
    return len;
}

static void random_bytes_read_the_same_in_any_pieces(void **state)
{
    const char *given = getenv("OXBOW_SEED");
    uint64_t s = given != NULL ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15u;
    char text[1024];
    size_t requests = 0;

    (void)state;
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)s);
    for (int round = 0; round < 20000; round++) {
        size_t len = noise(&s, text, sizeof text);
        const struct resp_limits limits = {.inline_max = 64, .bulk_max = 100};
        struct resp_reader r;

        for (int pass = 0; pass < 2; pass++) {
            heard.len = 0;
            heard.requests = 0;
            resp_reader_init(&r, &oxbow_port_default()->alloc, &limits);
            for (size_t at = 0, n; at < len; at += n) {
                n = pass == 0 ? len : 1 + seed_next(&s) % 9;
                n = n < len - at ? n : len - at;
                if (!feed(&r, text + at, n, 8192, &heard)) {
                    break;
                }
            }
            resp_reader_fini(&r);
            if (pass == 0) {
                heard_whole.len = heard.len;
                memcpy(heard_whole.text, heard.text, heard.len);
            }
        }
        requests += heard.requests;
        assert_int_equal(heard.len, heard_whole.len);
        assert_memory_equal(heard.text, heard_whole.text, heard.len);
    }
    assert_true(requests > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_same_however_they_are_split),
        cmocka_unit_test(each_request_says_how_many_bytes_it_took),
        cmocka_unit_test(requests_come_again_after_a_rewind),
        cmocka_unit_test(what_is_malformed_is_answered_in_redis_words),
        cmocka_unit_test(a_broken_reader_stays_broken_and_gives_no_room),
        cmocka_unit_test(lines_end_within_their_limit),
        cmocka_unit_test(arguments_and_bulks_go_up_to_their_limits),
        cmocka_unit_test(a_guest_has_ten_arguments_of_16384_bytes),
        cmocka_unit_test(an_announced_length_takes_no_memory_before_its_bytes_come),
        cmocka_unit_test(a_buffer_that_is_full_without_a_request_is_refused),
        cmocka_unit_test(arguments_are_counted_against_the_buffer_too),
        cmocka_unit_test(a_steady_connection_allocates_nothing),
        cmocka_unit_test(memory_is_given_back_after_a_big_request_and_when_idle),
        cmocka_unit_test(when_memory_is_out_nothing_is_lost_and_nothing_leaks),
        cmocka_unit_test(random_bytes_read_the_same_in_any_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
