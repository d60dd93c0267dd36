/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS server in memory over mbedTLS, and the wire between it and a client. */
#include "tests/mbedtls/peer.h"

#include "port/mbedtls/compat.h"
#include "tests/support/redis.h"

#include <mbedtls/entropy.h>
#include <mbedtls/ssl_ticket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUFFER_MAX (1u << 20)
#define FILE_BYTES 65536u

struct oxbow_tls_why why;

struct peer {
    struct peer_config config;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context rng;
    mbedtls_ssl_config conf;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_x509_crt cert;
    mbedtls_x509_crt ca;
    mbedtls_pk_context key;
    mbedtls_ssl_context ssl;
    uint8_t *in;
    size_t in_len;
    size_t in_pos;
    uint8_t *out;
    size_t out_len;
    size_t heard;
    bool open;
    int failed;
};

static int bio_recv(void *ctx, unsigned char *out, size_t len)
{
    struct peer *p = ctx;
    size_t n = p->in_len - p->in_pos < len ? p->in_len - p->in_pos : len;

    if (n == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(out, p->in + p->in_pos, n);
    p->in_pos += n;
    return (int)n;
}

static int bio_send(void *ctx, const unsigned char *data, size_t len)
{
    struct peer *p = ctx;

    assert_true(p->out_len + len <= BUFFER_MAX);
    memcpy(p->out + p->out_len, data, len);
    p->out_len += len;
    return (int)len;
}

static size_t slurp(const char *dir, const char *name, const char *end, unsigned char *out)
{
    char path[160];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/%s%s", dir, name, end);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(out, 1, FILE_BYTES - 1, f);
    fclose(f);
    out[n] = '\0';
    return n + 1;
}

static void load(struct peer *p)
{
    unsigned char *text = malloc(FILE_BYTES);
    const char *name = p->config.cert != NULL ? p->config.cert : "server";
    size_t n;

    assert_non_null(text);
    n = slurp(p->config.certs, name, ".crt", text);
    assert_int_equal(mbedtls_x509_crt_parse(&p->cert, text, n), 0);
    n = slurp(p->config.certs, name, ".key", text);
    assert_int_equal(mbed_compat_key_parse(&p->key, text, n, NULL, &p->rng), 0);
    n = slurp(p->config.certs, "ca", ".crt", text);
    assert_int_equal(mbedtls_x509_crt_parse(&p->ca, text, n), 0);
    free(text);
}

struct peer *peer_open(const struct peer_config *config)
{
    struct peer *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->config = *config;
    p->in = malloc(BUFFER_MAX);
    p->out = malloc(BUFFER_MAX);
    assert_true(p->in != NULL && p->out != NULL);
    mbedtls_entropy_init(&p->entropy);
    mbedtls_ctr_drbg_init(&p->rng);
    mbedtls_ssl_config_init(&p->conf);
    mbedtls_ssl_ticket_init(&p->tickets);
    mbedtls_x509_crt_init(&p->cert);
    mbedtls_x509_crt_init(&p->ca);
    mbedtls_pk_init(&p->key);
    mbedtls_ssl_init(&p->ssl);
    assert_int_equal(mbed_compat_init(), 0);
    assert_int_equal(mbedtls_ctr_drbg_seed(&p->rng, mbedtls_entropy_func, &p->entropy, NULL, 0), 0);
    load(p);
    assert_int_equal(mbedtls_ssl_config_defaults(&p->conf, MBEDTLS_SSL_IS_SERVER,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbed_compat_configure(&p->conf);
    mbedtls_ssl_conf_rng(&p->conf, mbedtls_ctr_drbg_random, &p->rng);
    mbedtls_ssl_conf_authmode(&p->conf, config->client_auth ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                            : MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_ca_chain(&p->conf, &p->ca, NULL);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&p->conf, &p->cert, &p->key), 0);
    if (!config->no_tickets) {
        assert_int_equal(mbedtls_ssl_ticket_setup(&p->tickets, mbedtls_ctr_drbg_random, &p->rng,
                                                  MBEDTLS_CIPHER_AES_256_GCM, 86400),
                         0);
        mbedtls_ssl_conf_session_tickets_cb(&p->conf, mbedtls_ssl_ticket_write,
                                            mbedtls_ssl_ticket_parse, &p->tickets);
    }
    assert_int_equal(mbedtls_ssl_setup(&p->ssl, &p->conf), 0);
    mbedtls_ssl_set_bio(&p->ssl, p, bio_send, bio_recv, NULL);
    return p;
}

void peer_close(struct peer *p)
{
    mbedtls_ssl_free(&p->ssl);
    mbedtls_pk_free(&p->key);
    mbedtls_x509_crt_free(&p->ca);
    mbedtls_x509_crt_free(&p->cert);
    mbedtls_ssl_ticket_free(&p->tickets);
    mbedtls_ssl_config_free(&p->conf);
    mbedtls_ctr_drbg_free(&p->rng);
    mbedtls_entropy_free(&p->entropy);
    free(p->in);
    free(p->out);
    free(p);
}

void peer_reset(struct peer *p)
{
    p->in_len = p->in_pos = p->out_len = p->heard = 0;
    p->open = false;
    p->failed = 0;
    assert_int_equal(mbedtls_ssl_session_reset(&p->ssl), 0);
}

static bool only_waits(int ret)
{
    return ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE ||
           mbed_compat_is_ticket(ret);
}

static int step(struct peer *p)
{
    uint8_t data[4096];
    int ret = p->open ? 0 : mbedtls_ssl_handshake(&p->ssl);

    if (ret != 0) {
        return ret;
    }
    p->open = true;
    ret = mbedtls_ssl_read(&p->ssl, data, sizeof data);
    if (ret > 0) {
        p->heard += (size_t)ret;
        peer_write(p, data, (size_t)ret);
    }
    return ret;
}

int peer_feed(struct peer *p, const void *data, size_t len)
{
    size_t before;
    int ret;
    int idle = 0;

    if (p->failed != 0) {
        return p->failed;
    }
    assert_true(p->in_len + len <= BUFFER_MAX);
    memcpy(p->in + p->in_len, data, len);
    p->in_len += len;
    while (idle < 2) {
        before = p->in_pos;
        ret = step(p);
        if (ret < 0 && !only_waits(ret)) {
            p->failed = ret;
            return ret;
        }
        idle = p->in_pos == before && ret <= 0 ? idle + 1 : 0;
    }
    if (p->in_pos == p->in_len) {
        p->in_pos = p->in_len = 0;
    }
    return 0;
}

struct oxbow_bytes peer_peek(const struct peer *p)
{
    return (struct oxbow_bytes){p->out, p->out_len};
}

void peer_taken(struct peer *p, size_t len)
{
    memmove(p->out, p->out + len, p->out_len - len);
    p->out_len -= len;
}

void peer_write(struct peer *p, const void *data, size_t len)
{
    const unsigned char *at = data;

    while (len > 0) {
        int n = mbedtls_ssl_write(&p->ssl, at, len);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

void peer_goodbye(struct peer *p)
{
    assert_int_equal(mbedtls_ssl_close_notify(&p->ssl), 0);
}

size_t peer_heard(const struct peer *p)
{
    return p->heard;
}

/* ---- the port ---- */

static uint64_t clocked_wall(void *ctx)
{
    return ((struct clocked *)ctx)->wall_ms;
}

static uint64_t clocked_mono(void *ctx)
{
    return ((struct clocked *)ctx)->mono_us;
}

static bool clocked_set(void *ctx)
{
    return ((struct clocked *)ctx)->set;
}

static void clocked_log(void *ctx, enum oxbow_log_level level, const char *text)
{
    struct clocked *c = ctx;

    (void)level;
    snprintf(c->last_log, sizeof c->last_log, "%s", text);
}

void clocked_init(struct clocked *c)
{
    memset(c, 0, sizeof *c);
    c->port = *oxbow_port_default();
    c->port.clock = (struct oxbow_clock){
        .ctx = c, .wall_ms = clocked_wall, .mono_us = clocked_mono, .wall_is_set = clocked_set};
    c->port.log = (struct oxbow_log){.ctx = c, .line = clocked_log};
    c->wall_ms = NOW_MS;
    c->mono_us = 5000000;
    c->set = true;
}

struct oxbow_tls_config client_config(struct clocked *c, const char *certs)
{
    return (struct oxbow_tls_config){
        .port = &c->port,
        .ca.path = certs_file(certs, "ca.crt"),
        .cert.path = certs_file(certs, "client.crt"),
        .key.path = certs_file(certs, "client.key"),
        .server_name = "redis.test",
    };
}

/* ---- the wire ---- */

struct sink {
    uint8_t *data;
    size_t cap;
    size_t len;
};

static enum oxbow_err drain(struct oxbow_tls_conn *conn, struct sink *sink)
{
    const struct oxbow_tls_ops *ops = oxbow_tls_mbedtls();
    uint8_t data[1000];
    size_t got;
    enum oxbow_err err;

    for (;;) {
        err = ops->handshake(conn);
        err = err != OXBOW_OK ? err : ops->read(conn, data, sizeof data, &got);
        if (err != OXBOW_OK) {
            return err;
        }
        if (sink->data != NULL) {
            assert_true(sink->len + got <= sink->cap);
            memcpy(sink->data + sink->len, data, got);
        }
        sink->len += got;
    }
}

static size_t portion(size_t len, size_t chunk)
{
    return chunk != 0 && chunk < len ? chunk : len;
}

static bool to_server(struct oxbow_tls_conn *conn, struct peer *p, size_t chunk)
{
    const struct oxbow_tls_ops *ops = oxbow_tls_mbedtls();
    struct oxbow_bytes out = ops->peek(conn);
    size_t n = portion(out.len, chunk);

    if (n > 0) {
        (void)peer_feed(p, out.data, n);
        ops->sent(conn, n);
    }
    return n > 0;
}

static bool to_client(struct oxbow_tls_conn *conn, struct peer *p, size_t chunk)
{
    struct oxbow_bytes out = peer_peek(p);
    size_t n = portion(out.len, chunk);
    size_t used = 0;

    if (n > 0 && oxbow_tls_mbedtls()->feed(conn, out.data, n, &used) == OXBOW_OK) {
        peer_taken(p, used);
    }
    return used > 0;
}

enum oxbow_err pass(struct oxbow_tls_conn *conn, struct peer *p, size_t chunk, void *got,
                    size_t *got_len)
{
    struct sink sink = {got, got_len != NULL ? *got_len : 0, 0};
    enum oxbow_err err;
    bool moved;

    do {
        err = drain(conn, &sink);
        moved = to_server(conn, p, chunk);
        moved = to_client(conn, p, chunk) || moved;
    } while (moved);
    err = drain(conn, &sink);
    if (got_len != NULL) {
        *got_len = sink.len;
    }
    return err;
}

enum oxbow_err shake(struct oxbow_tls *tls, struct peer *p, struct oxbow_tls_conn **conn)
{
    const struct oxbow_tls_ops *ops = oxbow_tls_mbedtls();
    enum oxbow_err err;

    assert_int_equal(ops->conn_open(tls, conn), OXBOW_OK);
    err = pass(*conn, p, 0, NULL, NULL);
    return err == OXBOW_EAGAIN ? ops->handshake(*conn) : err;
}

struct oxbow_tls *must_open(const struct oxbow_tls_config *config)
{
    struct oxbow_tls *tls = NULL;
    enum oxbow_err err = oxbow_tls_mbedtls()->open(config, &why, &tls);

    if (err != OXBOW_OK) {
        fail_msg("open: %s: %s", oxbow_err_name(err), why.text);
    }
    return tls;
}
