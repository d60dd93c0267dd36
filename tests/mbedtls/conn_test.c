/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: bytes in, bytes out, however they are cut. */
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
    ops = oxbow_tls_mbedtls();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

/* A whole exchange with every transfer cut to `chunk` bytes: handshake, question, echo. */
static void exchange(struct oxbow_tls *tls, struct peer *p, size_t chunk)
{
    static const char question[] = "*1\r\n$4\r\nPING\r\n";
    struct oxbow_tls_conn *conn;
    char echo[64];
    size_t len = sizeof echo;
    size_t took;

    peer_reset(p);
    assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
    assert_int_equal(pass(conn, p, chunk, NULL, NULL), OXBOW_EAGAIN);
    assert_int_equal(ops->handshake(conn), OXBOW_OK);
    assert_int_equal(ops->write(conn, question, sizeof question, &took), OXBOW_OK);
    assert_int_equal(took, sizeof question);
    assert_int_equal(pass(conn, p, chunk, echo, &len), OXBOW_EAGAIN);
    assert_int_equal(len, sizeof question);
    assert_memory_equal(echo, question, sizeof question);
    assert_int_equal(ops->peek(conn).len, 0);
    assert_string_equal(ops->error(conn), "");
    ops->conn_close(conn);
}

static void an_exchange_goes_well_however_the_bytes_are_cut(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs, .client_auth = true});
    struct oxbow_tls *tls;
    size_t chunk;

    (void)state;
    config.sessions = OXBOW_TLS_SESSIONS_OFF;
    tls = must_open(&config);
    exchange(tls, p, 0);
    for (chunk = 1; chunk <= 40; chunk++) {
        exchange(tls, p, chunk);
    }
    exchange(tls, p, 1023);
    ops->close(tls);
    peer_close(p);
}

static void a_resumed_exchange_goes_well_however_the_bytes_are_cut(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    size_t chunk;

    (void)state;
    for (chunk = 0; chunk <= 12; chunk++) {
        exchange(tls, p, chunk);
    }
    ops->close(tls);
    peer_close(p);
}

/* Feeds the server's flight in two pieces, cut at every byte there is. */
static void a_record_may_be_split_at_every_byte(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    size_t cut = 1;
    size_t len;

    (void)state;
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    do {
        char got[64];
        size_t used;
        size_t have;
        enum oxbow_err err = OXBOW_EAGAIN;

        peer_write(p, "first", 5);
        peer_write(p, "and second", 10);
        len = peer_peek(p).len;
        assert_int_equal(ops->feed(conn, peer_peek(p).data, cut, &used), OXBOW_OK);
        assert_int_equal(used, cut);
        peer_taken(p, used);
        for (have = 0; (err = ops->read(conn, got + have, sizeof got - have, &used)) == OXBOW_OK;) {
            have += used;
        }
        assert_int_equal(err, OXBOW_EAGAIN);
        assert_int_equal(ops->feed(conn, peer_peek(p).data, peer_peek(p).len, &used), OXBOW_OK);
        peer_taken(p, used);
        for (; (err = ops->read(conn, got + have, sizeof got - have, &used)) == OXBOW_OK;) {
            have += used;
        }
        assert_int_equal(have, 15);
        assert_memory_equal(got, "firstand second", 15);
        assert_int_equal(peer_peek(p).len, 0);
    } while (++cut < len);
    assert_true(cut > 40);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void a_megabyte_goes_both_ways_although_the_buffers_are_small(void **state)
{
    enum { TOTAL = 1 << 20 };
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    uint8_t *sent = malloc(TOTAL);
    uint8_t *got = malloc(TOTAL);
    size_t out = 0;
    size_t in = 0;
    int refused = 0;
    size_t i;

    (void)state;
    for (i = 0; i < TOTAL; i++) {
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    while (in < TOTAL) {
        size_t took = 0;
        size_t len = TOTAL - in;

        while (out < TOTAL && ops->write(conn, sent + out, TOTAL - out, &took) == OXBOW_OK) {
            out += took;
        }
        refused += out < TOTAL;
        assert_int_equal(pass(conn, p, 5000, got + in, &len), OXBOW_EAGAIN);
        assert_true(len > 0);
        in += len;
    }
    assert_true(refused > 10);
    assert_int_equal(out, TOTAL);
    assert_memory_equal(got, sent, TOTAL);
    free(sent);
    free(got);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void the_servers_goodbye_ends_the_connection(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    char got[16];
    size_t len = sizeof got;

    (void)state;
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    peer_write(p, "last", 4);
    peer_goodbye(p);
    assert_int_equal(pass(conn, p, 0, got, &len), OXBOW_EPIPE);
    assert_int_equal(len, 4);
    assert_string_equal(ops->error(conn), "the server closed the connection");
    assert_int_equal(ops->read(conn, got, sizeof got, &len), OXBOW_EPIPE);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void our_goodbye_reaches_the_server_once(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    struct oxbow_bytes out;

    (void)state;
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    assert_int_equal(ops->peek(conn).len, 0);
    ops->end(conn);
    out = ops->peek(conn);
    assert_true(out.len > 0);
    assert_true(peer_feed(p, out.data, out.len) != 0);
    ops->sent(conn, out.len);
    ops->end(conn);
    assert_int_equal(ops->peek(conn).len, 0);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void a_flipped_bit_is_noticed_and_ends_the_connection(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    uint8_t bytes[256];
    char got[16];
    size_t n;
    size_t used;

    (void)state;
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    peer_write(p, "precious", 8);
    n = peer_peek(p).len;
    assert_true(n <= sizeof bytes);
    memcpy(bytes, peer_peek(p).data, n);
    bytes[n - 1] ^= 1;
    assert_int_equal(ops->feed(conn, bytes, n, &used), OXBOW_OK);
    assert_int_equal(ops->read(conn, got, sizeof got, &used), OXBOW_EPARSE);
    assert_non_null(strstr(ops->error(conn), "damaged or forged"));
    assert_true(ops->peek(conn).len > 0);
    assert_int_equal(ops->feed(conn, bytes, n, &used), OXBOW_EPARSE);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void a_connection_may_be_closed_in_every_state(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    size_t bytes;
    size_t used;

    (void)state;
    for (bytes = 0; bytes < 1500; bytes += 97) {
        peer_reset(p);
        assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
        assert_int_equal(ops->handshake(conn), OXBOW_EAGAIN);
        assert_int_equal(peer_feed(p, ops->peek(conn).data, ops->peek(conn).len), 0);
        ops->sent(conn, ops->peek(conn).len);
        used = bytes < peer_peek(p).len ? bytes : peer_peek(p).len;
        assert_int_equal(ops->feed(conn, peer_peek(p).data, used, &used), OXBOW_OK);
        (void)ops->handshake(conn);
        ops->end(conn);
        ops->conn_close(conn);
    }
    ops->conn_close(NULL);
    ops->close(tls);
    ops->close(NULL);
    peer_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_goes_well_however_the_bytes_are_cut),
        cmocka_unit_test(a_resumed_exchange_goes_well_however_the_bytes_are_cut),
        cmocka_unit_test(a_record_may_be_split_at_every_byte),
        cmocka_unit_test(a_megabyte_goes_both_ways_although_the_buffers_are_small),
        cmocka_unit_test(the_servers_goodbye_ends_the_connection),
        cmocka_unit_test(our_goodbye_reaches_the_server_once),
        cmocka_unit_test(a_flipped_bit_is_noticed_and_ends_the_connection),
        cmocka_unit_test(a_connection_may_be_closed_in_every_state),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
