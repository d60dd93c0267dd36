/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes to the reader and to a real redis-server: the same requests must be seen, and the
 * same said of what is malformed. No command in here exists, so that the server's replies ("unknown
 * command 'x', with args beginning with: ...") show what it has read. And its KEYS against glob.
 */
#include "engine/resp/glob.h"
#include "engine/resp/reader.h"
#include "engine/resp/reply.h"

#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SHOWN_MAX 128

static struct redis *redis;

static int start(void **state)
{
    const struct redis_config config = {0};

    (void)state;
    redis = redis_open(&config);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_close(redis);
    return 0;
}

/* What the server says to these bytes, until it closes. */
static size_t redis_says(const void *data, size_t len, char *out, size_t out_max)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t got = 0;

    assert_true(fd >= 0);
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", redis_socket(redis));
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    /* It may close before it has read all. */
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);

        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    (void)shutdown(fd, SHUT_WR);
    for (;;) {
        ssize_t n = read(fd, out + got, out_max - got);

        if (n <= 0) {
            break;
        }
        got += (size_t)n;
        assert_true(got < out_max);
    }
    (void)close(fd);
    return got;
}

static void unknown_command(struct resp_reply *r, const struct resp_request *q)
{
    char args[256] = "";
    size_t len = 0;
    char name[SHOWN_MAX + 1];

    for (size_t i = 1; i < q->count && len < SHOWN_MAX; i++) {
        char arg[SHOWN_MAX + 1];
        size_t n = q->args[i].len < SHOWN_MAX ? q->args[i].len : SHOWN_MAX;

        if (n > 0) {
            memcpy(arg, q->args[i].data, n);
        }
        arg[n] = '\0';
        len +=
            (size_t)snprintf(args + len, sizeof args - len, "'%.*s' ", (int)(SHOWN_MAX - len), arg);
    }
    (void)snprintf(name, sizeof name, "%.*s",
                   (int)(q->args[0].len < SHOWN_MAX ? q->args[0].len : SHOWN_MAX),
                   (const char *)q->args[0].data);
    resp_error_format(r, "ERR unknown command '%s', with args beginning with: %s", name, args);
}

/* What a server without commands says to these bytes; how many requests there were. */
static size_t reader_says(const void *data, size_t len, struct resp_reply *out)
{
    struct resp_reader r;
    struct resp_request q;
    uint8_t *buf;
    size_t room;
    size_t requests = 0;
    enum resp_read read = RESP_READ_MORE;

    resp_reader_init(&r, &oxbow_port_default()->alloc, NULL);
    for (size_t at = 0; at < len && read == RESP_READ_MORE;) {
        size_t n = len - at < 16384 ? len - at : 16384;

        assert_int_equal(resp_reader_room(&r, n, &buf, &room), OXBOW_OK);
        n = n < room ? n : room;
        memcpy(buf, (const char *)data + at, n);
        resp_reader_fed(&r, n);
        at += n;
        while ((read = resp_reader_next(&r, &q)) == RESP_READ_REQUEST) {
            requests++;
            unknown_command(out, &q);
        }
    }
    if (read == RESP_READ_BROKEN) {
        resp_error(out, q.error);
    }
    resp_reader_fini(&r);
    return requests;
}

static char said[1 << 20];

static size_t compare(const void *data, size_t len)
{
    struct resp_reply r;
    struct oxbow_bytes expect;
    size_t got = redis_says(data, len, said, sizeof said);
    size_t requests;

    resp_reply_init(&r, &oxbow_port_default()->alloc, 0);
    requests = reader_says(data, len, &r);
    expect = resp_reply_peek(&r, UINT64_MAX);
    if (got != expect.len || (got > 0 && memcmp(said, expect.data, got) != 0)) {
        print_error("sent %.*s\nredis says %.*s\nwe say %.*s\n", (int)(len < 2000 ? len : 2000),
                    (const char *)data, (int)got, said, (int)expect.len, (const char *)expect.data);
        fail();
    }
    resp_reply_fini(&r);
    return requests;
}

#define COMPARE(text) (void)compare((text), sizeof(text) - 1)

static void malformed_requests_are_answered_as_redis_does(void **state)
{
    (void)state;
    COMPARE("*2147483647\r\n");
    COMPARE("*2147483648\r\n");
    COMPARE("*99999999999999999999\r\n");
    COMPARE("*-5\r\nPONG\r\n");
    COMPARE("*0\r\nPONG\r\n");
    COMPARE("*-0\r\n");
    COMPARE("*01\r\n");
    COMPARE("*+1\r\n");
    COMPARE("* 1\r\n");
    COMPARE("*1 \r\n");
    COMPARE("*\r\n");
    COMPARE("*a\r\n");
    COMPARE("*1\n$4\nPONG\n");
    COMPARE("*1\rX$4\rYPONGZZ");
    COMPARE("*1\r\nx\r\n");
    COMPARE("*1\r\n\r\n");
    COMPARE("*1\r\n\n\r\n");
    COMPARE("*1\r\n\xff\r\n");
    COMPARE("*1\r\n\0\r\n");
    COMPARE("*1\r\n$-1\r\n");
    COMPARE("*1\r\n$536870912\r\n");
    COMPARE("*1\r\n$536870913\r\n");
    COMPARE("*1\r\n$04\r\nPONG\r\n");
    COMPARE("*1\r\n$0\r\n\r\nPONG\r\n");
    COMPARE("*1\r\n$4\r\nPONGxyPONG\r\n");
    COMPARE("*1\r\n$4\n\r\n");
    COMPARE("*2\r\n$1\r\na\r\nb\r\n");
    COMPARE("PONG \"a\r\n");
    COMPARE("PONG \"a\"b\r\n");
    COMPARE("PONG 'a\\'b' \"\\x41\\n\\q\\x4\\\"\"\r\n");
    COMPARE("PONG a\"b c\" '' \"\"\r\n");
    COMPARE("PONG \vx\v \"a\"\vb\r\n");
    COMPARE("\r\n\nPONG\nPONG\r\r\n \t \r\nPONG\r\n");
    COMPARE("PONG\0\r\nPONG\r\n");
    COMPARE("PONG a\0b\r\nPONG\r\n");
}

static void lines_that_are_too_long_are_answered_as_redis_does(void **state)
{
    static const struct {
        const char *head;
        size_t len;
        const char *tail;
    } rows[] = {
        {"x", 65534, "\r\n"},   {"x", 65536, ""},     {"x", 65537, ""},
        {"*", 65535, ""},       {"*", 65536, ""},     {"*1\r\n$", 65535, ""},
        {"*1\r\n$", 65536, ""}, {"*", 65535, "\r\n"}, {"*1\r\n$", 65535, "\r\n"},
    };
    static char text[70000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t head = strlen(rows[i].head), tail = strlen(rows[i].tail);

        memcpy(text, rows[i].head, head);
        memset(text + head, '1', rows[i].len);
        memcpy(text + head + rows[i].len, rows[i].tail, tail);
        (void)compare(text, head + rows[i].len + tail);
    }
}

static uint64_t seed_next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void noise_is_read_as_redis_reads_it(void **state)
{
    static const char *const parts[] = {"*1\r\n",
                                        "*2\r\n",
                                        "*0\r\n",
                                        "$4\r\nPONG\r\n",
                                        "$0\r\n\r\n",
                                        "PONG\r\n",
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
                                        "$3\r\nabc\r\n",
                                        "*2\r\n$4\r\nPONG\r\n$3\r\na\rb\r\n",
                                        "*1\r\n$4\r\nPONG\r\n",
                                        "'",
                                        "\"",
                                        "PONG a b\r\n"};
    const char *given = getenv("OXBOW_SEED");
    uint64_t s = given != NULL ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15u;
    size_t requests = 0;

    (void)state;
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)s);
    for (int round = 0; round < 5000; round++) {
        char text[1024];
        size_t len = 0;
        size_t count = 1 + seed_next(&s) % 30;

        for (size_t i = 0; i < count; i++) {
            const char *part = parts[seed_next(&s) % (sizeof parts / sizeof parts[0])];

            memcpy(text + len, part, strlen(part));
            len += strlen(part);
            if (seed_next(&s) % 20 == 0) {
                text[len++] = (char)seed_next(&s);
            }
        }
        requests += compare(text, len);
    }
    assert_true(requests > 5000);
}

static void patterns_match_as_in_keys(void **state)
{
    static const char letters[] = "aab[]^-\\**?z\xe4";
    const char *given = getenv("OXBOW_SEED");
    uint64_t s = given != NULL ? strtoull(given, NULL, 0) : 0x2545f4914f6cdd1du;
    size_t matched = 0;

    (void)state;
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)s);
    for (int round = 0; round < 20000; round++) {
        char pattern[12], text[8];
        size_t n = 1 + seed_next(&s) % 6, m = 1 + seed_next(&s) % 3;
        bool ours, theirs;

        for (size_t i = 0; i < m; i++) {
            text[i] = "ab-z\\]^\xe4"[seed_next(&s) % 8];
        }
        for (size_t i = 0; i < n; i++) {
            uint64_t dice = seed_next(&s);

            /* Half of it is the text itself, lest nothing matches. */
            pattern[i] = dice % 2 == 0 ? text[i % m] : letters[dice / 2 % (sizeof letters - 1)];
        }
        pattern[n] = '\0';
        text[m] = '\0';
        if (strcmp(pattern, "*") == 0) {
            continue; /* KEYS does not even look at the names then */
        }
        (void)redis_command(redis, "FLUSHALL", NULL);
        (void)redis_command(redis, "SET", text, "1", NULL);
        theirs = redis_integer(redis, "EVAL", "return #redis.call('KEYS', ARGV[1])", "0", pattern,
                               NULL) == 1;
        ours = resp_glob((struct oxbow_bytes){pattern, n}, (struct oxbow_bytes){text, m}, false);
        if (ours != theirs) {
            fail_msg("pattern %s, text %s: redis says %d", pattern, text, theirs);
        }
        matched += ours;
    }
    assert_true(matched > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_requests_are_answered_as_redis_does),
        cmocka_unit_test(lines_that_are_too_long_are_answered_as_redis_does),
        cmocka_unit_test(noise_is_read_as_redis_reads_it),
        cmocka_unit_test(patterns_match_as_in_keys),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
