/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differences between mbedTLS 2.28 and 3.6, all of them. Every name that one of the two has
 * removed or deprecated appears here alone, behind its guard.
 */
#include "port/mbedtls/compat.h"

#include <string.h>

#if MBEDTLS_VERSION_MAJOR >= 3 && defined(MBEDTLS_PSA_CRYPTO_C)
#include <psa/crypto.h>
#endif

int mbed_compat_init(void)
{
#if MBEDTLS_VERSION_MAJOR >= 3 && defined(MBEDTLS_PSA_CRYPTO_C)
    /* TLS 1.3 keeps its keys there. */
    return psa_crypto_init() == PSA_SUCCESS ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#else
    return 0;
#endif
}

void mbed_compat_configure(mbedtls_ssl_config *conf)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#endif
#if defined(MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED) &&                              \
    defined(MBEDTLS_SSL_SESSION_TICKETS) && defined(MBEDTLS_SSL_PROTO_TLS1_3)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
}

bool mbed_compat_is_ticket(int ret)
{
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    return ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
#else
    (void)ret;
    return false;
#endif
}

bool mbed_compat_is_no_cert(int ret)
{
#if defined(MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
    return ret == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE;
#else
    (void)ret;
    return false;
#endif
}

bool mbed_compat_ticket_later(const mbedtls_ssl_context *ssl)
{
    return strcmp(mbedtls_ssl_get_version(ssl), "TLSv1.3") == 0;
}

int mbed_compat_key_parse(mbedtls_pk_context *key, const unsigned char *text, size_t len,
                          const char *password, mbedtls_ctr_drbg_context *rng)
{
    const unsigned char *word = (const unsigned char *)password;
    size_t word_len = password != NULL ? strlen(password) : 0;

#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(key, text, len, word, word_len, mbedtls_ctr_drbg_random, rng);
#else
    (void)rng;
    return mbedtls_pk_parse_key(key, text, len, word, word_len);
#endif
}

int mbed_compat_key_matches(const mbedtls_pk_context *public_key, const mbedtls_pk_context *key,
                            mbedtls_ctr_drbg_context *rng)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_check_pair(public_key, key, mbedtls_ctr_drbg_random, rng);
#else
    (void)rng;
    return mbedtls_pk_check_pair(public_key, key);
#endif
}
