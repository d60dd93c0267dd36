/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator reads when the peer refuses us, or is not what it should be. */
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include "port/mbedtls/mbed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* What the client makes of these bytes as the server's first. */
static enum oxbow_err told(const struct oxbow_tls_config *config, const void *bytes, size_t len)
{
    struct oxbow_tls *tls = must_open(config);
    struct oxbow_tls_conn *conn;
    enum oxbow_err err;
    size_t used;

    assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
    assert_int_equal(ops->handshake(conn), OXBOW_EAGAIN);
    assert_int_equal(ops->feed(conn, bytes, len, &used), OXBOW_OK);
    assert_int_equal(used, len);
    err = ops->handshake(conn);
    snprintf(why.text, sizeof why.text, "%s", ops->error(conn));
    ops->conn_close(conn);
    ops->close(tls);
    return err;
}

#define TELLS(words)                                                                               \
    do {                                                                                           \
        if (strstr(why.text, words) == NULL) {                                                     \
            fail_msg("\"%s\" lacks \"%s\"", why.text, words);                                      \
        }                                                                                          \
    } while (0)

static enum oxbow_err alerted(const struct oxbow_tls_config *config, int code)
{
    uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)code};

    return told(config, record, sizeof record);
}

static void the_servers_alert_is_told_in_words(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls_config anonymous = config;

    (void)state;
    anonymous.cert.path = anonymous.key.path = NULL;
    assert_int_equal(alerted(&config, 45), OXBOW_ECERT);
    TELLS("the server says that our certificate has expired; ours is valid from 2024-01-01 to "
          "2049-01-01");
    assert_int_equal(alerted(&config, 48), OXBOW_ECERT);
    TELLS("does not know the authority that signed our certificate");
    assert_int_equal(alerted(&anonymous, 116), OXBOW_ECERT);
    TELLS("wants a client certificate, and none is configured");
    assert_int_equal(alerted(&anonymous, 40), OXBOW_ECERT);
    TELLS("none is configured, and it may want a client certificate");
    assert_int_equal(alerted(&config, 40), OXBOW_EPIPE);
    TELLS("alert 40");
    assert_int_equal(alerted(&config, 70), OXBOW_EPARSE);
    TELLS("1.2 or newer");
}

static void a_peer_without_tls_is_recognised_and_quoted(void **state)
{
    static const char redis[] = "-ERR Protocol error: too big inline request\r\n";
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    assert_int_equal(told(&config, redis, sizeof redis - 1), OXBOW_EPARSE);
    TELLS("does not speak TLS: it began with \"-ERR Protocol er\"; is this the TLS port?");
    assert_int_equal(told(&config, http, sizeof http - 1), OXBOW_EPARSE);
    TELLS("\"HTTP/1.1 400 Bad\"");
}

static void a_broken_record_is_a_broken_protocol(void **state)
{
    static const uint8_t hello[] = {22, 3, 3, 0, 4, 2, 0, 0, 0};
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    assert_int_equal(told(&config, hello, sizeof hello), OXBOW_EPARSE);
    TELLS("broke the TLS protocol");
}

static void an_error_is_given_again_and_the_words_stay(void **state)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 45};
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;
    char byte;
    size_t used;

    (void)state;
    assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
    assert_string_equal(ops->error(conn), "");
    assert_int_equal(ops->handshake(conn), OXBOW_EAGAIN);
    assert_int_equal(ops->feed(conn, alert, sizeof alert, &used), OXBOW_OK);
    assert_int_equal(ops->read(conn, &byte, 1, &used), OXBOW_ECERT);
    assert_int_equal(ops->read(conn, &byte, 1, &used), OXBOW_ECERT);
    assert_int_equal(ops->handshake(conn), OXBOW_ECERT);
    assert_int_equal(ops->write(conn, "x", 1, &used), OXBOW_ECERT);
    assert_non_null(strstr(ops->error(conn), "expired"));
    ops->conn_close(conn);
    ops->close(tls);
}

static void words_that_are_too_long_are_cut(void **state)
{
    struct oxbow_tls_why long_why;
    char name[2 * OXBOW_TLS_WHY_MAX];

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mbed_why_set(&long_why, "%s is missing", name);
    assert_int_equal(strlen(long_why.text), OXBOW_TLS_WHY_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_servers_alert_is_told_in_words),
        cmocka_unit_test(a_peer_without_tls_is_recognised_and_quoted),
        cmocka_unit_test(a_broken_record_is_a_broken_protocol),
        cmocka_unit_test(an_error_is_given_again_and_the_words_stay),
        cmocka_unit_test(words_that_are_too_long_are_cut),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
