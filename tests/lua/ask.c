/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lua/ask.h"

#include "oxbow/lua.h"

#define REQUEST_MAX 65536

static void send_bytes(struct talk *t, uint32_t n, const char *script, size_t len, const char *rest)
{
    static char request[REQUEST_MAX];
    int count = 2;
    size_t at;

    for (const char *p = rest; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " ")) {
        count++;
    }
    at = (size_t)snprintf(request, sizeof request, "*%d\r\n$4\r\nEVAL\r\n$%zu\r\n", count, len);
    assert_true(at + len + 3 < sizeof request);
    memcpy(request + at, script, len);
    at += len;
    at += (size_t)snprintf(request + at, sizeof request - at, "\r\n");
    for (const char *p = rest; *p != '\0'; p += strspn(p, " ")) {
        int part = (int)strcspn(p, " ");

        at += (size_t)snprintf(request + at, sizeof request - at, "$%d\r\n%.*s\r\n", part, part, p);
        assert_true(at < sizeof request);
        p += part;
    }
    talk_feed(t, n, request, at);
}

void ask_send(struct talk *t, uint32_t n, const char *script, const char *rest)
{
    send_bytes(t, n, script, strlen(script), rest);
}

const char *ask(struct talk *t, uint32_t n, const char *script, const char *rest)
{
    ask_send(t, n, script, rest);
    talk_turn(t);
    return talk_heard(t, n);
}

void ask_cases(struct talk *t, const struct ask_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ask_case *c = &cases[i];

        send_bytes(t, 0, c->script, c->script_len, c->rest);
        talk_turn(t);
        (void)talk_heard(t, 0);
        if (memcmp(t->text, c->want, c->want_len) != 0 || t->text[c->want_len] != '\0') {
            fail_msg("case %zu: %s\n  wanted %s\n  heard  %s", i, c->script, c->want, t->text);
        }
    }
}

int ask_setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->config.scripting = oxbow_lua();
    talk_open(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "SET s x", "+OK\r\n");
    assert_reply(t, 0, "HSET h a 1", ":1\r\n");
    assert_reply(t, 0, "ZADD z 1.5 m", ":1\r\n");
    assert_reply(t, 0, "SADD st m", ":1\r\n");
    *state = t;
    return 0;
}
