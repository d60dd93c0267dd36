/* SPDX-License-Identifier: Apache-2.0 */
/* See peer.h. */
#include "tests/uplink/peer.h"

#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

void peer_open(struct peer *p)
{
    struct oxbow_config config = {.port = wire_port()};
    struct oxbow_txn *txn;

    memset(p, 0, sizeof(*p));
    snprintf(p->dir, sizeof(p->dir), "/tmp/oxbow-peer-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    config.dir = p->dir;
    assert_int_equal(oxbow_open(&config, &p->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(p->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", "board7"), OXBOW_OK);
    assert_int_equal(oxbow_identity_get(txn, &p->identity), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    p->targets[0] = (struct oxbow_uplink_target){"one", 1};
    p->targets[1] = (struct oxbow_uplink_target){"two", 2};
    p->config = (struct oxbow_uplink_config){.targets = p->targets,
                                             .target_count = 1,
                                             .first_spread_ms = 1,
                                             .password = "secret",
                                             .user = "dev"};
}

void peer_forward(struct peer *p, const struct oxbow_forward_options *options)
{
    struct oxbow_forward_options opt = {.linger_ms = -1};
    struct oxbow_txn *txn;

    if (options != NULL) {
        opt = *options;
    }
    opt.key = bytes("s");
    opt.type = opt.type ? opt.type : OXBOW_TYPE_STREAM;
    assert_int_equal(oxbow_txn_begin(p->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

void peer_session(struct peer *p)
{
    assert_int_equal(oxbow_uplink_open(p->db, &p->config, &p->u), OXBOW_OK);
}

void peer_close(struct peer *p)
{
    char command[96];

    oxbow_uplink_close(p->u);
    assert_int_equal(oxbow_close(p->db), OXBOW_OK);
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
}

void peer_add(struct peer *p, uint64_t ms)
{
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};
    const struct oxbow_field field = {bytes("n"), bytes("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;

    assert_int_equal(oxbow_txn_begin(p->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("s"), &options, &field, 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    if (p->u != NULL) {
        oxbow_uplink_tick(p->u);
    }
}

void peer_pass(struct peer *p, uint64_t ms)
{
    wire_clock_jump(ms * 1000);
    oxbow_uplink_tick(p->u);
}

static uint64_t now_us(void)
{
    const struct oxbow_clock *clock = &wire_port()->clock;

    return clock->mono_us(clock->ctx);
}

enum oxbow_uplink_action peer_next(struct peer *p)
{
    uint64_t end = now_us() + 3600000000u;

    for (;;) {
        oxbow_uplink_next(p->u, &p->next);
        if (p->next.action != OXBOW_UPLINK_SLEEP || p->next.wake_us > end) {
            return p->next.action;
        }
        if (p->next.wake_us > now_us()) {
            wire_clock_jump(p->next.wake_us - now_us());
        }
        oxbow_uplink_tick(p->u);
    }
}

void peer_connect(struct peer *p)
{
    assert_int_equal(peer_next(p), OXBOW_UPLINK_CONNECT);
    oxbow_uplink_connected(p->u, "test");
}

/* One number of a line "*3\r\n" or "$5\r\n"; moves *at behind it. */
static size_t line_number(const char *data, size_t len, size_t *at, char kind)
{
    size_t n = 0;

    assert_true(*at < len);
    assert_int_equal(data[*at], kind);
    for ((*at)++; *at < len && data[*at] != '\r'; (*at)++) {
        n = n * 10 + (size_t)(data[*at] - '0');
    }
    *at += 2;
    return n;
}

const char *peer_command(struct peer *p)
{
    struct oxbow_bytes out;
    size_t at = 0, count, i, len = 0;

    p->text[0] = 0;
    oxbow_uplink_output(p->u, &out);
    if (out.len == 0) {
        return p->text;
    }
    count = line_number(out.data, out.len, &at, '*');
    for (i = 0; i < count; i++) {
        size_t n = line_number(out.data, out.len, &at, '$');
        const char *arg = (const char *)out.data + at;

        assert_true(at + n + 2 <= out.len);
        if (n > 400) {
            arg = "<script>";
        }
        len += (size_t)snprintf(p->text + len, sizeof(p->text) - len, "%s%.*s", i ? " " : "",
                                n > 400 ? 8 : (int)n, arg);
        assert_true(len < sizeof(p->text));
        at += n + 2;
    }
    oxbow_uplink_sent(p->u, at);
    return p->text;
}

const char *peer_wait_command(struct peer *p)
{
    int i;

    for (i = 0; i < 1000; i++) {
        if (peer_command(p)[0] != 0) {
            return p->text;
        }
        oxbow_uplink_next(p->u, &p->next);
        assert_int_equal(p->next.action, OXBOW_UPLINK_STAY);
        assert_true(p->next.wake_us != UINT64_MAX);
        if (p->next.wake_us > now_us()) {
            wire_clock_jump(p->next.wake_us - now_us());
        }
        oxbow_uplink_tick(p->u);
    }
    fail_msg("no command came");
    return p->text;
}

void peer_reply(struct peer *p, const char *raw)
{
    oxbow_uplink_feed(p->u, raw, strlen(raw));
}

void peer_greet(struct peer *p)
{
    char owner[256];

    assert_string_equal(peer_command(p), "HELLO 2 AUTH dev secret SETNAME dev");
    peer_reply(p, "*6\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                  "$7\r\nmodules\r\n*0\r\n");
    assert_string_equal(peer_command(p), "GET oxbow:{dev}:owner");
    assert_string_equal(peer_command(p), "TIME");
    snprintf(owner, sizeof(owner), "$%zu\r\n%s\r\n", strlen(p->identity.owner), p->identity.owner);
    peer_reply(p, owner);
    peer_reply(p, "-NOPERM this user has no permissions to run the 'time' command\r\n");
}

void peer_guard(struct peer *p, int flag, const char *position)
{
    char raw[96];

    snprintf(raw, sizeof(raw), "*2\r\n:%d\r\n$%zu\r\n%s\r\n", flag, strlen(position), position);
    peer_reply(p, raw);
}

void peer_up(struct peer *p, const char *position)
{
    peer_connect(p);
    peer_greet(p);
    assert_non_null(strstr(peer_command(p), " 1 oxbow:{dev}:s ? read"));
    peer_guard(p, 0, position);
}

bool peer_closing(struct peer *p)
{
    oxbow_uplink_next(p->u, &p->next);
    return p->next.action == OXBOW_UPLINK_CLOSE;
}

void peer_closed(struct peer *p, enum oxbow_err why)
{
    oxbow_uplink_closed(p->u, why, NULL);
}

struct oxbow_uplink_status peer_status(struct peer *p)
{
    struct oxbow_uplink_status s;

    oxbow_uplink_status(p->u, &s);
    return s;
}

struct oxbow_uplink_forward_status peer_flow(struct peer *p)
{
    struct oxbow_uplink_forward_status s;

    assert_int_equal(oxbow_uplink_forward_status(p->u, "f", &s), OXBOW_OK);
    return s;
}

struct oxbow_forward_status peer_stored(struct peer *p)
{
    struct oxbow_txn_options options = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_forward_status s;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(p->db, &options, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &s), OXBOW_OK);
    oxbow_txn_abort(txn);
    return s;
}

void peer_open_up(struct peer *p, uint64_t entries)
{
    uint64_t i;

    peer_open(p);
    peer_forward(p, NULL);
    for (i = 1; i <= entries; i++) {
        peer_add(p, i);
    }
    peer_session(p);
    peer_up(p, "0-0");
}
