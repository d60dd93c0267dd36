/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"
#include "tests/store/scratch.h"

#include <poll.h>

#define REQUEST_MAX ((size_t)16 << 10)

static void on_shutdown(void *ctx)
{
    ((struct talk *)ctx)->shutdown = true;
}

static void serve(struct talk *t)
{
    t->config.db = t->db;
    t->config.shutdown = on_shutdown;
    t->config.ctx = t;
    assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
}

void talk_open(struct talk *t)
{
    scratch_name(t->dir, "resp");
    scratch_remove(t->dir);
    fault_init(&t->fault, oxbow_port_default());
    t->store.dir = t->dir;
    t->store.port = &t->fault.port;
    assert_int_equal(oxbow_open(&t->store, &t->db), OXBOW_OK);
    serve(t);
}

void talk_close(struct talk *t)
{
    oxbow_resp_close(t->server);
    memset(t->clients, 0, sizeof t->clients);
    (void)!oxbow_close(t->db); /* of a store that failed it gives an error */
    scratch_remove(t->dir);
}

void talk_again(struct talk *t)
{
    oxbow_resp_close(t->server);
    memset(t->clients, 0, sizeof t->clients);
    assert_int_equal(oxbow_close(t->db), OXBOW_OK);
    assert_int_equal(oxbow_open(&t->store, &t->db), OXBOW_OK);
    serve(t);
}

void talk_connect(struct talk *t, uint32_t n)
{
    const struct oxbow_resp_peer peer = {.addr = "test:1", .laddr = "test:2", .fd = -1};

    assert_null(t->clients[n]);
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &t->clients[n]), OXBOW_OK);
}

void talk_connect_sentinel(struct talk *t, uint32_t n, const char *laddr)
{
    const struct oxbow_resp_peer peer = {
        .addr = "test:1", .laddr = laddr, .fd = -1, .sentinel = true};

    assert_null(t->clients[n]);
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &t->clients[n]), OXBOW_OK);
}

void talk_hang_up(struct talk *t, uint32_t n)
{
    oxbow_resp_client_close(t->clients[n]);
    t->clients[n] = NULL;
}

void talk_feed(struct talk *t, uint32_t n, const char *bytes, size_t len)
{
    while (len > 0) {
        uint8_t *room;
        size_t part;

        assert_int_equal(oxbow_resp_client_room(t->clients[n], len, &room, &part), OXBOW_OK);
        part = part < len ? part : len;
        memcpy(room, bytes, part);
        oxbow_resp_client_fed(t->clients[n], part);
        bytes += part;
        len -= part;
    }
}

void talk_send(struct talk *t, uint32_t n, const char *words)
{
    char request[REQUEST_MAX];
    size_t len = 0;
    int count = 0;

    for (const char *p = words; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " ")) {
        count++;
    }
    len += (size_t)snprintf(request, sizeof request, "*%d\r\n", count);
    for (const char *p = words; *p != '\0'; p += strspn(p, " ")) {
        int part = (int)strcspn(p, " ");

        len +=
            (size_t)snprintf(request + len, sizeof request - len, "$%d\r\n%.*s\r\n", part, part, p);
        assert_true(len < sizeof request);
        p += part;
    }
    talk_feed(t, n, request, len);
}

void talk_turn(struct talk *t)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        struct pollfd wait = {.fd = oxbow_resp_fd(t->server), .events = POLLIN};

        oxbow_resp_turn(t->server);
        (void)!oxbow_flush(t->db);
        oxbow_resp_turn(t->server);
        if (t->server->no_room) {
            struct pollfd room = {.fd = oxbow_durable_fd(t->db), .events = POLLIN};

            (void)poll(&room, 1, 10);
            oxbow_durable_clear(t->db);
        }
        if (t->server->no_room || oxbow_resp_timeout_ms(t->server) == 0 || poll(&wait, 1, 0) > 0) {
            quiet = -1;
        }
    }
}

const char *talk_heard(struct talk *t, uint32_t n)
{
    struct oxbow_bytes part;
    size_t len = 0;

    while ((part = oxbow_resp_client_peek(t->clients[n])).len > 0) {
        assert_true(len + part.len < sizeof t->text);
        memcpy(t->text + len, part.data, part.len);
        len += part.len;
        oxbow_resp_client_sent(t->clients[n], part.len);
    }
    t->text[len] = '\0';
    return t->text;
}

const char *talk(struct talk *t, uint32_t n, const char *words)
{
    talk_send(t, n, words);
    talk_turn(t);
    return talk_heard(t, n);
}

int talk_setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    talk_open(t);
    talk_connect(t, 0);
    *state = t;
    return 0;
}

int talk_teardown(void **state)
{
    talk_close(*state);
    test_free(*state);
    return 0;
}
