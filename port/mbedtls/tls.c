/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS context and the table of functions. A context owns a copy of its configuration, the
 * random generator, the credentials for new connections and the session to resume.
 *
 * 1. Credentials are immutable and counted: reload opens new ones before it lets the old ones go,
 *    and connections keep theirs.
 * 2. mbedTLS allocates with its own calloc; what is allocated here goes through the port.
 */
#include "port/mbedtls/mbed.h"

#include <mbedtls/platform_util.h>

#include <string.h>

#ifndef OXBOW_BUILD_DAY
#error "the build must say which day it is (days since 1970)"
#endif

#define DAY_MS          86400000ull
#define PEM_MAX         (4u << 20)
#define PERSONALISATION 32u

uint64_t mbed_build_ms(void)
{
    return OXBOW_BUILD_DAY * DAY_MS;
}

static void *copy_of(const struct oxbow_alloc *alloc, const void *data, size_t len)
{
    void *copy = mem_new(alloc, len + 1);

    if (copy != NULL && len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

static bool text_copy(const struct oxbow_alloc *alloc, const char **text)
{
    if (*text != NULL) {
        *text = copy_of(alloc, *text, strlen(*text));
        return *text != NULL;
    }
    return true;
}

static void text_free(const struct oxbow_alloc *alloc, const char *text)
{
    if (text != NULL) {
        union {
            const char *given;
            char *ours;
        } u = {.given = text};
        mem_free(alloc, u.ours, strlen(text) + 1);
    }
}

static bool pem_copy(const struct oxbow_alloc *alloc, struct oxbow_tls_pem *pem)
{
    bool ok = text_copy(alloc, &pem->path);

    if (pem->bytes.data != NULL) {
        pem->bytes.data = copy_of(alloc, pem->bytes.data, pem->bytes.len);
        ok = ok && pem->bytes.data != NULL;
    }
    return ok;
}

static void pem_free(const struct oxbow_alloc *alloc, struct oxbow_tls_pem *pem)
{
    text_free(alloc, pem->path);
    if (pem->bytes.data != NULL) {
        union {
            const void *given;
            void *ours;
        } u = {.given = pem->bytes.data};
        mbedtls_platform_zeroize(u.ours, pem->bytes.len);
        mem_free(alloc, u.ours, pem->bytes.len + 1);
    }
}

/* Makes all that the copied configuration points to our own. A copy that failed is NULL, so that
 * config_free can follow in any case. */
static bool config_own(const struct oxbow_alloc *alloc, struct oxbow_tls_config *c)
{
    bool ok = pem_copy(alloc, &c->ca);

    ok = pem_copy(alloc, &c->crl) && ok;
    ok = pem_copy(alloc, &c->cert) && ok;
    ok = pem_copy(alloc, &c->key) && ok;
    ok = text_copy(alloc, &c->key_password) && ok;
    ok = text_copy(alloc, &c->server_name) && ok;
    ok = text_copy(alloc, &c->session_path) && ok;
    return ok;
}

static void config_free(const struct oxbow_alloc *alloc, struct oxbow_tls_config *c)
{
    pem_free(alloc, &c->ca);
    pem_free(alloc, &c->crl);
    pem_free(alloc, &c->cert);
    pem_free(alloc, &c->key);
    text_free(alloc, c->key_password);
    text_free(alloc, c->server_name);
    text_free(alloc, c->session_path);
}

static bool pem_given(const struct oxbow_tls_pem *pem)
{
    return pem->path != NULL || pem->bytes.data != NULL;
}

static enum oxbow_err server_check(const struct oxbow_tls_config *c, struct oxbow_tls_why *why)
{
    if (!pem_given(&c->cert) || !pem_given(&c->key)) {
        mbed_why_set(why, "a server needs a certificate and its key");
    } else if (c->clients != OXBOW_TLS_CLIENTS_NONE && !pem_given(&c->ca)) {
        mbed_why_set(why, "no authority is configured: whom should clients be signed by?");
    } else {
        return OXBOW_OK;
    }
    return OXBOW_EINVAL;
}

static enum oxbow_err config_check(const struct oxbow_tls_config *c, struct oxbow_tls_why *why)
{
    uint32_t f = c->fragment_max;

    if (c->server) {
        return server_check(c, why);
    }
    if (!pem_given(&c->ca)) {
        mbed_why_set(why, "no authority is configured: whom should the server be signed by?");
    } else if (c->server_name == NULL || c->server_name[0] == '\0') {
        mbed_why_set(why, "no server name is configured: whom must the server's certificate name?");
    } else if (strlen(c->server_name) > MBEDTLS_SSL_MAX_HOST_NAME_LEN) {
        mbed_why_set(why, "the server name is longer than %d bytes", MBEDTLS_SSL_MAX_HOST_NAME_LEN);
    } else if (pem_given(&c->cert) != pem_given(&c->key)) {
        mbed_why_set(why, "a client certificate needs its key, and a key its certificate");
    } else if (f != 0 && f != 512 && f != 1024 && f != 2048 && f != 4096) {
        mbed_why_set(why, "fragment_max is %u; it may be 512, 1024, 2048 or 4096", (unsigned)f);
    } else if (c->sessions == OXBOW_TLS_SESSIONS_DISK && c->session_path == NULL) {
        mbed_why_set(why, "sessions are to be kept on disk, but no file is named");
    } else {
        return OXBOW_OK;
    }
    return OXBOW_EINVAL;
}

static enum oxbow_err rng_open(struct oxbow_tls *tls, struct oxbow_tls_why *why)
{
    uint8_t own[PERSONALISATION];
    enum oxbow_err err = tls->port->random.fill(tls->port->random.ctx, own, sizeof own);

    if (err == OXBOW_OK &&
        (mbed_compat_init() != 0 || mbedtls_ctr_drbg_seed(&tls->rng, mbedtls_entropy_func,
                                                          &tls->entropy, own, sizeof own) != 0)) {
        err = OXBOW_ESYS;
    }
    if (err != OXBOW_OK) {
        mbed_why_set(why, "the system gives no random bytes");
    }
    return err;
}

static void tls_close(struct oxbow_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    mbed_session_fini(&tls->session);
    mbed_creds_unref(tls->creds);
    mbedtls_ctr_drbg_free(&tls->rng);
    mbedtls_entropy_free(&tls->entropy);
    config_free(&tls->port->alloc, &tls->config);
    mem_free(&tls->port->alloc, tls, sizeof *tls);
}

static void tls_raise_floor(struct oxbow_tls *tls, uint64_t wall_ms)
{
    if (wall_ms > tls->floor_ms) {
        tls->floor_ms = wall_ms;
    }
}

static enum oxbow_err tls_open(const struct oxbow_tls_config *config, struct oxbow_tls_why *why,
                               struct oxbow_tls **out)
{
    const struct oxbow_port *port = config->port != NULL ? config->port : oxbow_port_default();
    struct oxbow_tls *tls;
    enum oxbow_err err = config_check(config, why);

    if (err != OXBOW_OK) {
        return err;
    }
    tls = mem_new(&port->alloc, sizeof *tls);
    if (tls == NULL) {
        mbed_why_set(why, "out of memory");
        return OXBOW_ENOMEM;
    }
    tls->port = port;
    tls->config = *config;
    tls->config.port = port;
    tls->floor_ms = mbed_build_ms();
    tls_raise_floor(tls, config->floor_ms);
    mbedtls_entropy_init(&tls->entropy);
    mbedtls_ctr_drbg_init(&tls->rng);
    buf_init(&tls->session.blob, &port->alloc, PEM_MAX);
    if (!config_own(&port->alloc, &tls->config)) {
        mbed_why_set(why, "out of memory");
        err = OXBOW_ENOMEM;
    }
    if (err == OXBOW_OK) {
        err = rng_open(tls, why);
    }
    if (err == OXBOW_OK) {
        err = mbed_creds_open(&tls->config, &tls->rng, why, &tls->creds);
    }
    if (err != OXBOW_OK) {
        tls_close(tls);
        return err;
    }
    if (!config->server) {
        mbed_session_init(&tls->session, &tls->config, tls->creds->digest);
    }
    *out = tls;
    return OXBOW_OK;
}

static enum oxbow_err tls_reload(struct oxbow_tls *tls, struct oxbow_tls_why *why)
{
    struct creds *fresh;
    enum oxbow_err err = mbed_creds_open(&tls->config, &tls->rng, why, &fresh);

    if (err != OXBOW_OK) {
        return err;
    }
    mbed_creds_unref(tls->creds);
    tls->creds = fresh;
    return OXBOW_OK;
}

static const struct oxbow_tls_ops ops = {
    .name = COMPAT_NAME,
    .open = tls_open,
    .reload = tls_reload,
    .close = tls_close,
    .raise_floor = tls_raise_floor,
    .conn_open = mbed_conn_open,
    .conn_close = mbed_conn_close,
    .feed = mbed_conn_feed,
    .handshake = mbed_conn_handshake,
    .read = mbed_conn_read,
    .write = mbed_conn_write,
    .peek = mbed_conn_peek,
    .sent = mbed_conn_sent,
    .end = mbed_conn_end,
    .error = mbed_conn_error,
    .retry_without_session = mbed_conn_retry_without_session,
    .info = mbed_conn_info,
};

const struct oxbow_tls_ops *oxbow_tls_mbedtls(void)
{
    return &ops;
}
