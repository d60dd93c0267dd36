/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the library, and that it can be readied as often as one likes. */
#include "port/mbedtls/compat.h"
#include "tests/mbedtls/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void the_table_names_the_library_that_it_was_built_with(void **state)
{
    char linked[32];

    (void)state;
    mbedtls_version_get_string_full(linked);
    print_message("%s\n", linked);
    assert_string_equal(oxbow_tls_mbedtls()->name, COMPAT_NAME);
    assert_true(strncmp(COMPAT_NAME, "mbedTLS ", 8) == 0);
    /* Headers of one release and a library of another have other layouts. */
    assert_string_equal(strrchr(linked, ' '), strrchr(COMPAT_NAME, ' '));
}

static void readying_the_library_twice_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(mbed_compat_init(), 0);
    assert_int_equal(mbed_compat_init(), 0);
}

static void only_a_ticket_is_a_ticket(void **state)
{
    (void)state;
    assert_false(mbed_compat_is_ticket(0));
    assert_false(mbed_compat_is_ticket(MBEDTLS_ERR_SSL_WANT_READ));
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    assert_true(mbed_compat_is_ticket(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET));
#endif
}

static void nothing_older_than_tls_1_2_is_offered(void **state)
{
    struct mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;

    (void)state;
    mbedtls_ssl_config_init(&conf);
    mbedtls_ssl_init(&ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbed_compat_configure(&conf);
#if MBEDTLS_VERSION_MAJOR < 3
    assert_int_equal(conf.min_major_ver, MBEDTLS_SSL_MAJOR_VERSION_3);
    assert_int_equal(conf.min_minor_ver, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_names_the_library_that_it_was_built_with),
        cmocka_unit_test(readying_the_library_twice_does_no_harm),
        cmocka_unit_test(only_a_ticket_is_a_ticket),
        cmocka_unit_test(nothing_older_than_tls_1_2_is_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
