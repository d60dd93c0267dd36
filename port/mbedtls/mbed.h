/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: the objects behind include/oxbow/tls.h. */
#ifndef OXBOW_MBEDTLS_MBED_H
#define OXBOW_MBEDTLS_MBED_H

#include "engine/base/buf.h"
#include "oxbow/tls.h"
#include "port/mbedtls/compat.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>

#define DIGEST_LEN 32u

/* ---- creds.c: what the files say; never changed once opened ---- */

struct creds {
    const struct oxbow_port *port;
    uint32_t refs; /* one for the context, one per connection */
    mbedtls_x509_crt ca;
    mbedtls_x509_crl crl;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    bool has_cert;
    bool has_crl;
    uint8_t digest[DIGEST_LEN]; /* of library, ca, crl, cert and name: what a session depends on */
};

/* Errors as oxbow_tls_ops.open. `rng` must outlive it. */
OXBOW_MUST_CHECK enum oxbow_err mbed_creds_open(const struct oxbow_tls_config *config,
                                                mbedtls_ctr_drbg_context *rng,
                                                struct oxbow_tls_why *why, struct creds **out);
struct creds *mbed_creds_ref(struct creds *c);
void mbed_creds_unref(struct creds *c); /* NULL is fine */
/* Makes the mbedTLS configuration of one connection, which must not outlive `c`. Each has its own:
 * TLS 1.3 in mbedTLS 3.5 asks only the configuration for its verify callback. `conf` was set up
 * with mbedtls_ssl_config_init. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err mbed_creds_configure(struct creds *c,
                                                     const struct oxbow_tls_config *config,
                                                     mbedtls_ctr_drbg_context *rng,
                                                     mbedtls_ssl_config *conf);

/* ---- session.c: the session to resume ---- */

struct session {
    const struct oxbow_tls_config *config; /* the context's copy */
    struct buf blob;                       /* as mbedTLS saves it; empty: none */
    uint8_t digest[DIGEST_LEN];            /* of the credentials that it was made with */
    uint64_t made_mono_us;                 /* the full handshake that verified the server; or */
    uint64_t made_wall_ms;                 /* the same, wall clock; 0: that was not set */
    uint64_t not_after_ms;                 /* end of the server's certificate */
    uint64_t stored_mono_us;               /* last written to disk; 0: never */
};

/* Reads the file, if the configuration says so. Nothing usable there: no session. */
void mbed_session_init(struct session *s, const struct oxbow_tls_config *config,
                       const uint8_t *digest);
void mbed_session_fini(struct session *s);
/* Forgets it, in the file as well. */
void mbed_session_drop(struct session *s);
/* Hands it to a new connection if it is fit for use; says whether it did. */
bool mbed_session_offer(struct session *s, const uint8_t *digest, mbedtls_ssl_context *ssl);
/* Keeps the connection's session. `not_after_ms` is 0 when the connection was itself resumed: then
 * the age still counts from the last full handshake. */
void mbed_session_keep(struct session *s, const uint8_t *digest, const mbedtls_ssl_context *ssl,
                       uint64_t not_after_ms);

/* ---- the context, tls.c ---- */

struct oxbow_tls {
    struct oxbow_tls_config config; /* all that it points to is ours, but the port */
    const struct oxbow_port *port;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context rng;
    struct creds *creds;
    struct session session;
    uint64_t floor_ms;
};

/* When oxbow was built, ms since 1970, to the day. */
uint64_t mbed_build_ms(void);

/* ---- the connection, conn.c ---- */

#define IN_MAX    4096u  /* mbedTLS keeps an incomplete record itself: less than one is enough */
#define OUT_MAX   40960u /* two records and the rest of a handshake */
#define SNIFF_MAX 16u

struct oxbow_tls_conn {
    struct oxbow_tls *tls;
    struct creds *creds;
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    uint8_t in[IN_MAX];
    size_t in_pos;
    size_t in_len;
    struct buf out;
    size_t write_len; /* a write that must be repeated with this length; 0: none */
    bool offered;     /* a session was */
    bool verified;    /* the server showed a certificate: the handshake is a full one */
    bool open;        /* the handshake is over */
    bool heard;       /* plaintext came */
    bool goodbye;     /* close_notify was sent or tried */
    enum oxbow_err failed;
    size_t why_row;           /* of verify's table; what a more telling row has said stays */
    uint64_t peer_until_ms;   /* end of the server's certificate */
    uint8_t sniff[SNIFF_MAX]; /* the first bytes from the peer */
    size_t sniff_len;
    uint8_t head[7]; /* of the record that is arriving, and two bytes of its body */
    size_t record_pos;
    int alert; /* the last one that came in clear; -1: none */
    struct oxbow_tls_why why;
};

OXBOW_MUST_CHECK enum oxbow_err mbed_conn_open(struct oxbow_tls *tls, struct oxbow_tls_conn **out);
void mbed_conn_close(struct oxbow_tls_conn *c);
enum oxbow_err mbed_conn_feed(struct oxbow_tls_conn *c, const void *data, size_t len, size_t *used);
enum oxbow_err mbed_conn_handshake(struct oxbow_tls_conn *c);
enum oxbow_err mbed_conn_read(struct oxbow_tls_conn *c, void *out, size_t len, size_t *got);
enum oxbow_err mbed_conn_write(struct oxbow_tls_conn *c, const void *data, size_t len,
                               size_t *took);
struct oxbow_bytes mbed_conn_peek(const struct oxbow_tls_conn *c);
void mbed_conn_sent(struct oxbow_tls_conn *c, size_t len);
void mbed_conn_end(struct oxbow_tls_conn *c);
const char *mbed_conn_error(const struct oxbow_tls_conn *c);
bool mbed_conn_retry_without_session(struct oxbow_tls_conn *c);
struct oxbow_tls_info mbed_conn_info(const struct oxbow_tls_conn *c);

/* ---- verify.c: is this the server, and is its time right ---- */

/* mbedTLS' verify callback; `ctx` is the connection. */
int mbed_verify_step(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* Milliseconds since 1970; 0 before that. */
uint64_t mbed_time_ms(const mbedtls_x509_time *t);
/* "2026-11-21" */
struct date_text {
    char text[16];
};
struct date_text mbed_date_of(const mbedtls_x509_time *t);
/* What a certificate's dates come to under the context's policy, right now. */
enum date_verdict { DATE_GOOD, DATE_PAST, DATE_FUTURE };
enum date_verdict mbed_date_judge(const struct oxbow_tls *tls, const mbedtls_x509_time *from,
                                  const mbedtls_x509_time *to);

/* ---- explain.c: words for an operator ---- */

/* Translates an mbedTLS error of this connection, keeps it as the connection's error with the
 * reason in words, and returns it. */
enum oxbow_err mbed_explain(struct oxbow_tls_conn *c, int ret);
/* What the other side is called. */
static inline const char *mbed_peer_word(const struct oxbow_tls_conn *c)
{
    return c->tls->config.server ? "client" : "server";
}
/* printf into *why. */
void mbed_why_set(struct oxbow_tls_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
