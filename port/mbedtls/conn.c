/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection as bytes in, bytes out. mbedTLS pulls from `in` and pushes to `out`.
 *
 *   handshake --mbed_conn_handshake--> open --mbed_conn_end--> goodbye said
 *        \__________ any error ________\___> failed: for good; `out` may hold the alert
 *
 * 1. "Want read" from mbedTLS does not mean that `in` is empty (a session ticket in TLS 1.3 gives
 *    it too): a call goes on until two rounds in a row took nothing from `in`.
 * 2. A write that mbedTLS could not finish is repeated with the same length, or it would be taken
 *    for another and lost.
 * 3. After an error mbedTLS is not called again for this connection, but to free it.
 */
#include "port/mbedtls/mbed.h"

#include "engine/base/check.h"

#include <string.h>

#define ROUNDS_IDLE_MAX 2
#define RECORD_MAX      16384u /* plaintext in one record */
#define RECORD_EXTRA    512u   /* more than any cipher adds */
#define RECORD_HEAD     5u
#define ALERT_TYPE      21u
#define ALERT_LEN       2u

/* ---- mbedTLS' ends of the two buffers ---- */

static int bio_recv(void *ctx, unsigned char *out, size_t len)
{
    struct oxbow_tls_conn *c = ctx;
    size_t n = c->in_len - c->in_pos;

    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < len ? n : len;
    memcpy(out, c->in + c->in_pos, n);
    c->in_pos += n;
    return (int)n;
}

static int bio_send(void *ctx, const unsigned char *data, size_t len)
{
    struct oxbow_tls_conn *c = ctx;
    size_t room = OUT_MAX - c->out.len;
    size_t n = room < len ? room : len;

    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    if (buf_append(&c->out, data, n) != OXBOW_OK) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    return (int)n;
}

/* ---- open, close ---- */

enum oxbow_err mbed_conn_open(struct oxbow_tls *tls, struct oxbow_tls_conn **out)
{
    struct oxbow_tls_conn *c = mem_new(&tls->port->alloc, sizeof *c);

    if (c == NULL) {
        return OXBOW_ENOMEM;
    }
    c->tls = tls;
    c->creds = mbed_creds_ref(tls->creds);
    c->alert = -1;
    buf_init(&c->out, &tls->port->alloc, OUT_MAX);
    mbedtls_ssl_config_init(&c->conf);
    mbedtls_ssl_init(&c->ssl);
    if (mbed_creds_configure(c->creds, &tls->config, &tls->rng, &c->conf) != OXBOW_OK ||
        mbedtls_ssl_setup(&c->ssl, &c->conf) != 0 ||
        (!tls->config.server && mbedtls_ssl_set_hostname(&c->ssl, tls->config.server_name) != 0)) {
        mbed_conn_close(c);
        return OXBOW_ENOMEM;
    }
    mbedtls_ssl_set_bio(&c->ssl, c, bio_send, bio_recv, NULL);
    mbedtls_ssl_conf_verify(&c->conf, mbed_verify_step, c);
    c->offered =
        !tls->config.server && mbed_session_offer(&tls->session, c->creds->digest, &c->ssl);
    *out = c;
    return OXBOW_OK;
}

void mbed_conn_close(struct oxbow_tls_conn *c)
{
    const struct oxbow_alloc *alloc;

    if (c == NULL) {
        return;
    }
    alloc = &c->tls->port->alloc;
    mbedtls_ssl_free(&c->ssl);
    mbedtls_ssl_config_free(&c->conf);
    buf_fini(&c->out);
    mbed_creds_unref(c->creds);
    mem_free(alloc, c, sizeof *c);
}

/* ---- ciphertext ---- */

/* Follows the records that arrive in clear during the handshake, for the server's alert: mbedTLS
 * does not hand it out. */
static void watch(struct oxbow_tls_conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t body = c->record_pos - RECORD_HEAD;
        size_t len;
        size_t step;

        if (c->record_pos < RECORD_HEAD) {
            c->head[c->record_pos++] = p[at++];
            continue;
        }
        len = (size_t)c->head[3] << 8 | c->head[4];
        if (body < ALERT_LEN && body < len) {
            c->head[c->record_pos++] = p[at++];
            body++;
            if (body == ALERT_LEN && len == ALERT_LEN && c->head[0] == ALERT_TYPE) {
                c->alert = c->head[RECORD_HEAD + 1];
            }
        } else {
            step = n - at < len - body ? n - at : len - body;
            at += step;
            c->record_pos += step;
            body += step;
        }
        if (body == len) {
            c->record_pos = 0;
        }
    }
}

enum oxbow_err mbed_conn_feed(struct oxbow_tls_conn *c, const void *data, size_t len, size_t *used)
{
    size_t room;
    size_t n;

    if (c->failed != OXBOW_OK) {
        return c->failed;
    }
    if (c->in_pos == c->in_len) {
        c->in_pos = c->in_len = 0;
    }
    room = IN_MAX - c->in_len;
    n = len < room ? len : room;
    memcpy(c->in + c->in_len, data, n);
    c->in_len += n;
    if (c->sniff_len < SNIFF_MAX) {
        size_t some = SNIFF_MAX - c->sniff_len < n ? SNIFF_MAX - c->sniff_len : n;
        memcpy(c->sniff + c->sniff_len, data, some);
        c->sniff_len += some;
    }
    if (!c->open) {
        watch(c, data, n);
    }
    *used = n;
    return OXBOW_OK;
}

struct oxbow_bytes mbed_conn_peek(const struct oxbow_tls_conn *c)
{
    return (struct oxbow_bytes){c->out.data, c->out.len};
}

void mbed_conn_sent(struct oxbow_tls_conn *c, size_t len)
{
    CHECK(c->tls->port, len <= c->out.len);
    buf_consume(&c->out, len);
}

/* ---- plaintext ---- */

static void keep_session(struct oxbow_tls_conn *c)
{
    if (c->tls->config.server) {
        return; /* that is the client's business */
    }
    mbed_session_keep(&c->tls->session, c->creds->digest, &c->ssl,
                      c->verified ? c->peer_until_ms : 0);
}

/* What one call into mbedTLS came to. */
enum step { STEP_DONE, STEP_AGAIN, STEP_WAIT, STEP_FAILED };

struct rounds {
    size_t in_pos;
    int idle;
};

static enum step step_of(struct oxbow_tls_conn *c, struct rounds *r, int ret)
{
    bool moved = c->in_pos != r->in_pos;

    r->in_pos = c->in_pos;
    if (mbed_compat_is_ticket(ret)) {
        keep_session(c);
        return STEP_AGAIN;
    }
    if (ret == MBEDTLS_ERR_SSL_WANT_WRITE) {
        return STEP_WAIT;
    }
    if (ret == MBEDTLS_ERR_SSL_WANT_READ) {
        r->idle = moved ? 0 : r->idle + 1;
        return r->idle < ROUNDS_IDLE_MAX ? STEP_AGAIN : STEP_WAIT;
    }
    return ret < 0 ? STEP_FAILED : STEP_DONE;
}

/* Where certificates are optional mbedTLS goes on with a bad one: we do not. */
static enum oxbow_err finish(struct oxbow_tls_conn *c)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&c->ssl);

    if (c->tls->config.server && c->tls->config.clients == OXBOW_TLS_CLIENTS_OPTIONAL &&
        c->verified && flags != 0) {
        /* The alert is a courtesy. */
        (void)mbedtls_ssl_send_alert_message(&c->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
        return mbed_explain(c, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    }
    c->open = true;
    if (!mbed_compat_ticket_later(&c->ssl)) {
        keep_session(c);
    }
    return OXBOW_OK;
}

enum oxbow_err mbed_conn_handshake(struct oxbow_tls_conn *c)
{
    struct rounds r = {.in_pos = c->in_pos};

    if (c->failed != OXBOW_OK || c->open) {
        return c->failed;
    }
    for (;;) {
        int ret = mbedtls_ssl_handshake(&c->ssl);

        switch (step_of(c, &r, ret)) {
        case STEP_DONE:
            return finish(c);
        case STEP_WAIT:
            return OXBOW_EAGAIN;
        case STEP_FAILED:
            return mbed_explain(c, ret);
        case STEP_AGAIN:
            break;
        }
    }
}

enum oxbow_err mbed_conn_read(struct oxbow_tls_conn *c, void *out, size_t len, size_t *got)
{
    struct rounds r = {.in_pos = c->in_pos};
    enum oxbow_err err = mbed_conn_handshake(c);

    if (err != OXBOW_OK) {
        return err;
    }
    for (;;) {
        int ret = mbedtls_ssl_read(&c->ssl, out, len);

        switch (step_of(c, &r, ret)) {
        case STEP_DONE:
            if (ret == 0) {
                return mbed_explain(c, ret);
            }
            c->heard = true;
            *got = (size_t)ret;
            return OXBOW_OK;
        case STEP_WAIT:
            return OXBOW_EAGAIN;
        case STEP_FAILED:
            return mbed_explain(c, ret);
        case STEP_AGAIN:
            break;
        }
    }
}

enum oxbow_err mbed_conn_write(struct oxbow_tls_conn *c, const void *data, size_t len, size_t *took)
{
    struct rounds r = {.in_pos = c->in_pos};
    enum oxbow_err err = mbed_conn_handshake(c);
    size_t n = len < RECORD_MAX ? len : RECORD_MAX;

    if (err != OXBOW_OK) {
        return err;
    }
    CHECK(c->tls->port, !c->goodbye && len > 0 && len >= c->write_len);
    if (c->write_len > 0) {
        n = c->write_len;
    } else if (OUT_MAX - c->out.len < n + RECORD_EXTRA) {
        return OXBOW_EAGAIN;
    }
    for (;;) {
        int ret = mbedtls_ssl_write(&c->ssl, data, n);

        switch (step_of(c, &r, ret)) {
        case STEP_DONE:
            c->write_len = 0;
            *took = (size_t)ret;
            return OXBOW_OK;
        case STEP_WAIT:
            c->write_len = n;
            return OXBOW_EAGAIN;
        case STEP_FAILED:
            return mbed_explain(c, ret);
        case STEP_AGAIN:
            break;
        }
    }
}

void mbed_conn_end(struct oxbow_tls_conn *c)
{
    if (c->open && c->failed == OXBOW_OK && !c->goodbye && c->write_len == 0) {
        /* A courtesy: one try, and whatever comes of it, the connection ends now. */
        (void)mbedtls_ssl_close_notify(&c->ssl);
    }
    c->goodbye = true;
}

/* ---- what became of it ---- */

const char *mbed_conn_error(const struct oxbow_tls_conn *c)
{
    return c->failed != OXBOW_OK ? c->why.text : "";
}

bool mbed_conn_retry_without_session(struct oxbow_tls_conn *c)
{
    /* A server that showed its certificate had declined the session: it is not to blame. */
    bool suspect = c->offered && !c->verified && !c->heard;

    if (suspect) {
        mbed_session_drop(&c->tls->session);
    }
    return suspect;
}

struct oxbow_tls_info mbed_conn_info(const struct oxbow_tls_conn *c)
{
    return (struct oxbow_tls_info){
        .version = mbedtls_ssl_get_version(&c->ssl),
        .suite = mbedtls_ssl_get_ciphersuite(&c->ssl),
        .resumed = c->offered && !c->verified,
    };
}
