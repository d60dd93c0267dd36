/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between mbedTLS 2.28 and 3.6, under one name. Nothing else asks for the version. */
#ifndef OXBOW_MBEDTLS_COMPAT_H
#define OXBOW_MBEDTLS_COMPAT_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>

#include <stdbool.h>

/* Readies the library's own state, once per process or often: it does not matter. 0 or an mbedTLS
 * error. Must have returned before a second thread uses the library. */
int mbed_compat_init(void);

/* The library's name and version. */
#define COMPAT_NAME "mbedTLS " MBEDTLS_VERSION_STRING

/* TLS 1.2 or newer, renegotiation never, and what 3.6 only does when asked: say so when a session
 * ticket comes. */
void mbed_compat_configure(mbedtls_ssl_config *conf);

/* Whether `ret` only says that a session ticket came: the same call is to be made again. */
bool mbed_compat_is_ticket(int ret);

/* Whether `ret` says that a client showed no certificate and must. */
bool mbed_compat_is_no_cert(int ret);

/* Whether the session that can be resumed comes with a ticket after the handshake, as in TLS 1.3,
 * and not with the handshake itself. */
bool mbed_compat_ticket_later(const mbedtls_ssl_context *ssl);

/* As mbedtls_pk_parse_key and mbedtls_pk_check_pair. `text` ends with a zero if it is PEM. */
int mbed_compat_key_parse(mbedtls_pk_context *key, const unsigned char *text, size_t len,
                          const char *password, mbedtls_ctr_drbg_context *rng);
int mbed_compat_key_matches(const mbedtls_pk_context *public_key, const mbedtls_pk_context *key,
                            mbedtls_ctr_drbg_context *rng);

#endif
