/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side, with our own client's for a peer: who is accepted, and bytes of any length. */
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *certs;
static struct clocked clocked;
static const struct oxbow_tls_ops *ops;

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    clocked_init(&clocked);
    clocked.set = true;
    clocked.wall_ms = NOW_MS;
    ops = oxbow_tls_mbedtls();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

/* The path, which stays: certs_file may give another one the same memory. */
static const char *file(const char *name, char room[256])
{
    (void)snprintf(room, 256, "%s", certs_file(certs, name));
    return room;
}

struct pair {
    struct oxbow_tls *server;
    struct oxbow_tls *client;
    struct oxbow_tls_conn *at_server;
    struct oxbow_tls_conn *at_client;
    char room[5][256];
};

/* Takes what the one has for the other. */
static bool carry(struct oxbow_tls_conn *from, struct oxbow_tls_conn *to)
{
    struct oxbow_bytes out = ops->peek(from);
    size_t used = 0;

    if (out.len == 0 ||
        ops->feed(to, out.data, out.len < 1000 ? out.len : 1000, &used) != OXBOW_OK) {
        return false;
    }
    ops->sent(from, used);
    return used > 0;
}

/* A context for the server; what `clients` says, and which certificate its client has (NULL: none). */
static void open_pair(struct pair *p, enum oxbow_tls_clients clients, const char *name)
{
    struct oxbow_tls_config server = {.port = &clocked.port, .server = true, .clients = clients};
    struct oxbow_tls_config client = {.port = &clocked.port, .server_name = "redis.test"};
    char part[64];

    server.cert.path = file("server.crt", p->room[0]);
    server.key.path = file("server.key", p->room[1]);
    server.ca.path = clients != OXBOW_TLS_CLIENTS_NONE ? file("ca.crt", p->room[2]) : NULL;
    p->server = must_open(&server);
    client.ca.path = file("ca.crt", p->room[2]);
    if (name != NULL) {
        (void)snprintf(part, sizeof part, "%s.crt", name);
        client.cert.path = file(part, p->room[3]);
        (void)snprintf(part, sizeof part, "%s.key", name);
        client.key.path = file(part, p->room[4]);
    }
    p->client = must_open(&client);
    assert_int_equal(ops->conn_open(p->server, &p->at_server), OXBOW_OK);
    assert_int_equal(ops->conn_open(p->client, &p->at_client), OXBOW_OK);
}

static void close_pair(struct pair *p)
{
    ops->conn_close(p->at_server);
    ops->conn_close(p->at_client);
    ops->close(p->server);
    ops->close(p->client);
}

/* Shakes hands; what the server says of it in the end. */
static enum oxbow_err shake_pair(struct pair *p)
{
    enum oxbow_err err = OXBOW_EAGAIN;

    for (int quiet = 0; quiet < 3; quiet++) {
        (void)!ops->handshake(p->at_client);
        err = ops->handshake(p->at_server);
        while (carry(p->at_client, p->at_server) || carry(p->at_server, p->at_client)) {
            uint8_t byte;
            size_t got;

            quiet = -1;
            (void)!ops->handshake(p->at_client);
            err = ops->handshake(p->at_server);
            if (ops->handshake(p->at_client) == OXBOW_OK) {
                (void)!ops->read(p->at_client, &byte, 1, &got); /* tickets, alerts */
            }
        }
    }
    return err;
}

static void certificates_are_asked_for_as_configured(void **state)
{
    static const struct {
        enum oxbow_tls_clients clients;
        const char *name;
        enum oxbow_err err;
        const char *text;
    } rows[] = {
        {OXBOW_TLS_CLIENTS_ALL, "client", OXBOW_OK, ""},
        {OXBOW_TLS_CLIENTS_ALL, NULL, OXBOW_ECERT, "showed no certificate"},
        {OXBOW_TLS_CLIENTS_ALL, "foreign", OXBOW_ECERT, "unknown authority: the client's"},
        {OXBOW_TLS_CLIENTS_ALL, "oldclient", OXBOW_ECERT, "expired"},
        {OXBOW_TLS_CLIENTS_OPTIONAL, "client", OXBOW_OK, ""},
        {OXBOW_TLS_CLIENTS_OPTIONAL, NULL, OXBOW_OK, ""},
        {OXBOW_TLS_CLIENTS_OPTIONAL, "foreign", OXBOW_ECERT, "unknown authority"},
        {OXBOW_TLS_CLIENTS_OPTIONAL, "oldclient", OXBOW_ECERT, "expired"},
        {OXBOW_TLS_CLIENTS_NONE, "foreign", OXBOW_OK, ""},
        {OXBOW_TLS_CLIENTS_NONE, NULL, OXBOW_OK, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        enum oxbow_err err;

        open_pair(&p, rows[i].clients, rows[i].name);
        err = shake_pair(&p);
        if (err != rows[i].err || strstr(ops->error(p.at_server), rows[i].text) == NULL) {
            fail_msg("row %zu: %s: %s", i, oxbow_err_name(err), ops->error(p.at_server));
        }
        close_pair(&p);
    }
}

static void bytes_go_both_ways(void **state)
{
    static uint8_t data[100000];
    static uint8_t heard[sizeof data];
    struct pair p;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    open_pair(&p, OXBOW_TLS_CLIENTS_ALL, "client");
    assert_int_equal(shake_pair(&p), OXBOW_OK);
    for (int way = 0; way < 2; way++) {
        struct oxbow_tls_conn *from = way == 0 ? p.at_client : p.at_server;
        struct oxbow_tls_conn *to = way == 0 ? p.at_server : p.at_client;
        size_t sent = 0;
        size_t came = 0;

        memset(heard, 0, sizeof heard);
        for (int rounds = 0; came < sizeof data; rounds++) {
            size_t n = 0;

            assert_true(rounds < 100000);
            if (sent < sizeof data &&
                ops->write(from, data + sent, sizeof data - sent, &n) == OXBOW_OK) {
                sent += n;
            }
            (void)carry(from, to);
            while (ops->read(to, heard + came, sizeof heard - came + (came == sizeof heard), &n) ==
                   OXBOW_OK) {
                came += n;
            }
        }
        assert_memory_equal(heard, data, sizeof data);
    }
    ops->end(p.at_client);
    while (carry(p.at_client, p.at_server)) {
    }
    {
        size_t n;

        assert_int_equal(ops->read(p.at_server, heard, 1, &n), OXBOW_EPIPE);
    }
    close_pair(&p);
}

static void a_server_needs_a_certificate_and_its_key(void **state)
{
    struct oxbow_tls_config config = {.port = &clocked.port, .server = true};
    struct oxbow_tls *tls;
    char cert[256];
    char key[256];

    (void)state;
    assert_int_equal(ops->open(&config, &why, &tls), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "needs a certificate"));
    config.cert.path = file("server.crt", cert);
    config.key.path = file("server.key", key);
    assert_int_equal(ops->open(&config, &why, &tls), OXBOW_EINVAL);
    assert_non_null(strstr(why.text, "whom should clients be signed by"));
    config.clients = OXBOW_TLS_CLIENTS_NONE;
    assert_int_equal(ops->open(&config, &why, &tls), OXBOW_OK);
    assert_int_equal(ops->reload(tls, &why), OXBOW_OK);
    ops->close(tls);
    config.key.path = file("client.key", key);
    assert_int_equal(ops->open(&config, &why, &tls), OXBOW_ECERT);
    assert_non_null(strstr(why.text, "does not belong to the certificate"));
}

static void what_is_no_tls_is_told(void **state)
{
    struct pair p;
    size_t used;

    (void)state;
    open_pair(&p, OXBOW_TLS_CLIENTS_ALL, "client");
    assert_int_equal(ops->feed(p.at_server, "PING\r\n", 6, &used), OXBOW_OK);
    assert_int_equal(ops->handshake(p.at_server), OXBOW_EPARSE);
    assert_non_null(strstr(ops->error(p.at_server), "does not speak TLS"));
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_asked_for_as_configured),
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(a_server_needs_a_certificate_and_its_key),
        cmocka_unit_test(what_is_no_tls_is_told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
