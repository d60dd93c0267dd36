/* SPDX-License-Identifier: Apache-2.0 */
/* Every way in which a file can be wrong, in words that name the file. */
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

static void write_file(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(certs_file(certs, name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    clocked_init(&clocked);
    ops = oxbow_tls_mbedtls();
    write_file("empty.pem", "", 0);
    write_file("garbage.pem", "not a certificate at all\n", 25);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

#define REFUSED(config, err, words)                                                                \
    do {                                                                                           \
        struct oxbow_tls *none = NULL;                                                             \
        why.text[0] = '\0';                                                                        \
        assert_int_equal(ops->open(config, &why, &none), err);                                     \
        assert_null(none);                                                                         \
        if (strstr(why.text, words) == NULL) {                                                     \
            fail_msg("\"%s\" lacks \"%s\"", why.text, words);                                      \
        }                                                                                          \
    } while (0)

static void a_missing_file_is_named(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.ca.path = "/nowhere/ca.crt";
    REFUSED(&config, OXBOW_ENOENT, "the authority file is missing: /nowhere/ca.crt");
    config = client_config(&clocked, certs);
    config.crl.path = "/nowhere/crl.pem";
    REFUSED(&config, OXBOW_ENOENT, "the revocation list is missing: /nowhere/crl.pem");
    config = client_config(&clocked, certs);
    config.cert.path = "/nowhere/client.crt";
    REFUSED(&config, OXBOW_ENOENT, "the client certificate is missing: /nowhere/client.crt");
    config = client_config(&clocked, certs);
    config.key.path = "/nowhere/client.key";
    REFUSED(&config, OXBOW_ENOENT, "the client key is missing: /nowhere/client.key");
}

static void a_file_that_is_empty_or_something_else_is_named(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.ca.path = certs_file(certs, "empty.pem");
    REFUSED(&config, OXBOW_ECERT, "the authority file is empty");
    config.ca.path = certs_file(certs, "garbage.pem");
    REFUSED(&config, OXBOW_ECERT, "holds no certificate");
    config = client_config(&clocked, certs);
    config.crl.path = certs_file(certs, "garbage.pem");
    REFUSED(&config, OXBOW_ECERT, "garbage.pem is not a revocation list");
    config = client_config(&clocked, certs);
    config.cert.path = certs_file(certs, "client.key");
    REFUSED(&config, OXBOW_ECERT, "client.key is not a certificate");
    config = client_config(&clocked, certs);
    config.key.path = certs_file(certs, "client.crt");
    REFUSED(&config, OXBOW_ECERT, "client.crt is not a private key");
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.key.path = certs_file(certs, "client2.key");
    REFUSED(&config, OXBOW_ECERT, "client2.key does not belong to the client certificate");
}

static void a_file_over_the_limit_is_refused(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    size_t len = (4u << 20) + 1;
    char *much = malloc(len);

    (void)state;
    assert_non_null(much);
    memset(much, '\n', len);
    write_file("much.pem", much, len);
    config.ca.path = certs_file(certs, "much.pem");
    REFUSED(&config, OXBOW_ECERT, "longer than 4194304 bytes");
    write_file("much.pem", much, len - 1);
    REFUSED(&config, OXBOW_ECERT, "holds no certificate");
    free(much);
}

static void pem_in_memory_does_as_well_as_files(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs, .client_auth = true});
    struct oxbow_tls_pem *pems[] = {&config.ca, &config.cert, &config.key};
    char text[3][8192];
    struct oxbow_tls *tls;
    struct oxbow_tls_conn *conn;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        FILE *f = fopen(pems[i]->path, "rb");
        assert_non_null(f);
        pems[i]->bytes = (struct oxbow_bytes){text[i], fread(text[i], 1, sizeof text[i], f)};
        pems[i]->path = NULL;
        fclose(f);
    }
    tls = must_open(&config);
    memset(text, 'x', sizeof text); /* it was copied */
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    ops->conn_close(conn);
    assert_int_equal(ops->reload(tls, &why), OXBOW_OK);
    ops->close(tls);
    peer_close(p);
}

static void a_bundle_with_one_bad_certificate_serves_with_the_others(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    static const char bad[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    char bundle[8192];
    FILE *f = fopen(config.ca.path, "rb");
    struct oxbow_tls_conn *conn;
    struct oxbow_tls *tls;
    size_t n;

    (void)state;
    assert_non_null(f);
    memcpy(bundle, bad, sizeof bad - 1);
    n = sizeof bad - 1 + fread(bundle + sizeof bad - 1, 1, 4096, f);
    fclose(f);
    write_file("bundle.pem", bundle, n);
    config.ca.path = certs_file(certs, "bundle.pem");
    tls = must_open(&config);
    assert_non_null(strstr(clocked.last_log, "1 certificate(s)"));
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_file_that_is_empty_or_something_else_is_named),
        cmocka_unit_test(a_key_of_another_certificate_is_refused),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(pem_in_memory_does_as_well_as_files),
        cmocka_unit_test(a_bundle_with_one_bad_certificate_serves_with_the_others),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
