/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the server is the one, and whose dates are right: every fault, in words. */
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include "port/mbedtls/mbed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS 86400000ull

static char *certs;
static struct clocked clocked;
static const struct oxbow_tls_ops *ops;

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    ops = oxbow_tls_mbedtls();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

/* Connects `config` to a server with the certificate `cert`; the words end up in why.text. */
static enum oxbow_err try_server(const struct oxbow_tls_config *config, const char *cert)
{
    struct peer *p = peer_open(&(struct peer_config){.certs = certs, .cert = cert});
    struct oxbow_tls *tls = must_open(config);
    struct oxbow_tls_conn *conn;
    enum oxbow_err err = shake(tls, p, &conn);

    snprintf(why.text, sizeof why.text, "%s", ops->error(conn));
    if (err == OXBOW_ECERT) {
        /* The alert is there to be sent. */
        assert_true(ops->peek(conn).len > 0 || peer_feed(p, "", 0) != 0);
    }
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
    return err;
}

static struct oxbow_tls_config fresh(void)
{
    clocked_init(&clocked);
    return client_config(&clocked, certs);
}

#define REFUSED(config, cert, words)                                                               \
    do {                                                                                           \
        assert_int_equal(try_server(config, cert), OXBOW_ECERT);                                   \
        if (strstr(why.text, words) == NULL) {                                                     \
            fail_msg("\"%s\" lacks \"%s\"", why.text, words);                                      \
        }                                                                                          \
    } while (0)

static void a_good_server_is_accepted(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    config.server_name = "localhost";
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
}

static void another_name_is_refused_and_told(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    REFUSED(&config, "wrongname",
            "wrong name: the server's certificate is for other.test, not for redis.test");
}

static void an_unknown_authority_is_refused_and_told(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    config.ca.path = certs_file(certs, "other-ca.crt");
    REFUSED(&config, "server",
            "unknown authority: the server's certificate CN=redis.test was "
            "issued by CN=oxbow test CA");
    config.ca.path = certs_file(certs, "both-ca.crt");
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
}

static void a_revoked_certificate_is_refused_and_told(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    assert_int_equal(try_server(&config, "revoked"), OXBOW_OK);
    config.crl.path = certs_file(certs, "crl.pem");
    REFUSED(&config, "revoked", "revoked: the certificate CN=redis.test");
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
}

static void an_old_revocation_list_is_refused_but_by_insecure(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    config.crl.path = certs_file(certs, "crl-old.pem");
    REFUSED(&config, "server", "the revocation list is out of date");
    config.clock = OXBOW_TLS_CLOCK_INSECURE;
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    REFUSED(&config, "revoked", "revoked:");
}

static void strict_believes_the_wall_clock(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    config.clock = OXBOW_TLS_CLOCK_STRICT;
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    REFUSED(&config, "expired",
            "expired: the certificate CN=redis.test was valid until 2020-01-01 (clock: "
            "2027-01-15)");
    REFUSED(&config, "future", "not yet valid: the certificate CN=redis.test begins on 2090-01-01");
    clocked.wall_ms = DAY_MS; /* 1970, and it says that it is set or not: no matter */
    clocked.set = false;
    REFUSED(&config, "server", "not yet valid:");
}

static void floor_believes_a_clock_that_is_set(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    REFUSED(&config, "expired", "expired: ");
    REFUSED(&config, "future", "not yet valid: ");
}

static void floor_on_a_board_in_1970_refuses_only_what_ended_before_the_floor(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    clocked.wall_ms = DAY_MS;
    clocked.set = false;
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    assert_int_equal(try_server(&config, "future"), OXBOW_OK);
    REFUSED(&config, "expired", "expired: "); /* before oxbow was built */
    config.floor_ms = 2600000000000ull;       /* 2052: the server's certificate ends in 2049 */
    REFUSED(&config, "server", "expired: ");
    assert_int_equal(try_server(&config, "future"), OXBOW_OK);
}

static void a_clock_behind_the_floor_is_not_believed_even_if_set(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    clocked.wall_ms = 1704067199000ull; /* the last second of 2023: before `server` begins */
    assert_int_equal(try_server(&config, "server"), OXBOW_OK);
    config.clock = OXBOW_TLS_CLOCK_STRICT;
    REFUSED(&config, "server", "not yet valid:");
}

static void the_floor_can_be_raised_and_never_falls(void **state)
{
    struct oxbow_tls_config config = fresh();
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;

    (void)state;
    clocked.set = false;
    ops->raise_floor(tls, 2600000000000ull);
    ops->raise_floor(tls, 1);
    assert_int_equal(shake(tls, p, &conn), OXBOW_ECERT);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void insecure_ignores_dates_and_nothing_else(void **state)
{
    struct oxbow_tls_config config = fresh();

    (void)state;
    config.clock = OXBOW_TLS_CLOCK_INSECURE;
    assert_int_equal(try_server(&config, "expired"), OXBOW_OK);
    assert_int_equal(try_server(&config, "future"), OXBOW_OK);
    REFUSED(&config, "wrongname", "wrong name:");
    config.ca.path = certs_file(certs, "other-ca.crt");
    REFUSED(&config, "server", "unknown authority:");
}

static void the_calendar_is_right_over_leap_years_and_centuries(void **state)
{
    static const struct {
        mbedtls_x509_time t;
        uint64_t ms;
    } rows[] = {
        {{1970, 1, 1, 0, 0, 0}, 0},
        {{1969, 12, 31, 23, 59, 59}, 0},
        {{1970, 1, 2, 0, 0, 1}, 86401000},
        {{2000, 2, 29, 12, 0, 0}, 951825600000},
        {{2000, 3, 1, 0, 0, 0}, 951868800000},
        {{2024, 2, 29, 0, 0, 0}, 1709164800000},
        {{2027, 1, 15, 8, 0, 0}, NOW_MS},
        {{2038, 1, 19, 3, 14, 8}, 2147483648000},
        {{2100, 3, 1, 0, 0, 0}, 4107542400000},
        {{9999, 12, 31, 23, 59, 59}, 253402300799000},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mbed_time_ms(&rows[i].t), rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_server_is_accepted),
        cmocka_unit_test(another_name_is_refused_and_told),
        cmocka_unit_test(an_unknown_authority_is_refused_and_told),
        cmocka_unit_test(a_revoked_certificate_is_refused_and_told),
        cmocka_unit_test(an_old_revocation_list_is_refused_but_by_insecure),
        cmocka_unit_test(strict_believes_the_wall_clock),
        cmocka_unit_test(floor_believes_a_clock_that_is_set),
        cmocka_unit_test(floor_on_a_board_in_1970_refuses_only_what_ended_before_the_floor),
        cmocka_unit_test(a_clock_behind_the_floor_is_not_believed_even_if_set),
        cmocka_unit_test(the_floor_can_be_raised_and_never_falls),
        cmocka_unit_test(insecure_ignores_dates_and_nothing_else),
        cmocka_unit_test(the_calendar_is_right_over_leap_years_and_centuries),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
