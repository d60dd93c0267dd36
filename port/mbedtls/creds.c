/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: the authorities, the revocation list, our certificate and its key. Read whole,
 * checked against each other, and never changed again; one count per user. Whoever reloads opens
 * new ones.
 *
 * Says in words which file is missing, empty, damaged, or belongs to another key.
 */
#include "port/mbedtls/mbed.h"

#include "engine/base/codec.h"

#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include <string.h>

#define FILE_MAX (4u << 20) /* a bundle of all public authorities has 250 KB */

/* One of the four texts while it is read. Ends with a zero that `len` does not count. */
struct text {
    struct buf buf;
    const char *name; /* its path, or what it is */
    size_t len;
};

static void text_init(struct text *t, const struct oxbow_port *port, const char *what)
{
    buf_init(&t->buf, &port->alloc, FILE_MAX + 1);
    t->name = what;
    t->len = 0;
}

/* It may hold a key. */
static void text_fini(struct text *t)
{
    if (t->buf.data != NULL) {
        mbedtls_platform_zeroize(t->buf.data, t->buf.cap);
    }
    buf_fini(&t->buf);
}

static enum oxbow_err file_read(const struct oxbow_port *port, int fd, struct buf *out)
{
    const struct oxbow_files *files = &port->files;
    uint64_t size;
    size_t got;
    enum oxbow_err err = files->size(files->ctx, fd, &size);

    if (err == OXBOW_OK && size > FILE_MAX) {
        return OXBOW_ETOOBIG;
    }
    if (err == OXBOW_OK) {
        err = buf_reserve(out, (size_t)size + 1);
    }
    if (err == OXBOW_OK) {
        err = files->read(files->ctx, fd, out->data, (size_t)size, 0, &got);
    }
    if (err == OXBOW_OK) {
        out->len = got;
    }
    return err;
}

static enum oxbow_err path_read(const struct oxbow_port *port, const char *path, struct buf *out)
{
    const struct oxbow_files *files = &port->files;
    int fd;
    enum oxbow_err err = files->open(files->ctx, path, OXBOW_FILE_READ, &fd);
    enum oxbow_err closed;

    if (err != OXBOW_OK) {
        return err;
    }
    err = file_read(port, fd, out);
    closed = files->close(files->ctx, fd);
    return err != OXBOW_OK ? err : closed;
}

static enum oxbow_err text_read(struct text *t, const struct oxbow_port *port,
                                const struct oxbow_tls_pem *pem, struct oxbow_tls_why *why)
{
    const char *what = t->name;
    enum oxbow_err err;

    if (pem->path != NULL) {
        t->name = pem->path;
        err = path_read(port, pem->path, &t->buf);
    } else {
        err = buf_reserve(&t->buf, pem->bytes.len + 1);
        err = err != OXBOW_OK ? err : buf_append(&t->buf, pem->bytes.data, pem->bytes.len);
    }
    t->len = t->buf.len;
    if (err == OXBOW_OK) {
        err = buf_append(&t->buf, "", 1);
    }
    if (err == OXBOW_ENOENT) {
        mbed_why_set(why, "%s is missing: %s does not exist", what, t->name);
    } else if (err == OXBOW_ENOMEM) {
        mbed_why_set(why, "out of memory reading %s", t->name);
    } else if (err == OXBOW_ETOOBIG) {
        mbed_why_set(why, "%s: %s is longer than %u bytes", what, t->name, FILE_MAX);
        err = OXBOW_ECERT;
    } else if (err != OXBOW_OK) {
        mbed_why_set(why, "%s cannot be read: %s: %s", what, t->name, oxbow_err_text(err));
    } else if (t->len == 0) {
        mbed_why_set(why, "%s is empty: %s", what, t->name);
        err = OXBOW_ECERT;
    }
    return err;
}

/* PEM is parsed up to its zero, DER without. */
static size_t parse_len(const struct text *t)
{
    static const char begin[] = "-----BEGIN";
    size_t i;

    for (i = 0; i + sizeof begin - 1 <= t->len; i++) {
        if (memcmp(t->buf.data + i, begin, sizeof begin - 1) == 0) {
            return t->len + 1;
        }
    }
    return t->len;
}

static bool pem_given(const struct oxbow_tls_pem *pem)
{
    return pem->path != NULL || pem->bytes.data != NULL;
}

static void log_line(const struct oxbow_port *port, enum oxbow_log_level level, const char *text)
{
    if (port->log.line != NULL) {
        port->log.line(port->log.ctx, level, text);
    }
}

static enum oxbow_err ca_parse(struct creds *c, const struct text *t, struct oxbow_tls_why *why)
{
    int ret = mbedtls_x509_crt_parse(&c->ca, t->buf.data, parse_len(t));
    struct oxbow_tls_why note;

    if (ret < 0) {
        mbed_why_set(why, "the authority file %s holds no certificate that can be read", t->name);
        return OXBOW_ECERT;
    }
    if (ret > 0) {
        mbed_why_set(&note, "tls: %d certificate(s) in %s cannot be read and are not trusted", ret,
                     t->name);
        log_line(c->port, OXBOW_LOG_WARN, note.text);
    }
    return OXBOW_OK;
}

static enum oxbow_err crl_parse(struct creds *c, const struct text *t, struct oxbow_tls_why *why)
{
    if (mbedtls_x509_crl_parse(&c->crl, t->buf.data, parse_len(t)) != 0) {
        mbed_why_set(why, "%s is not a revocation list", t->name);
        return OXBOW_ECERT;
    }
    c->has_crl = true;
    return OXBOW_OK;
}

static enum oxbow_err cert_parse(struct creds *c, const struct text *t, struct oxbow_tls_why *why)
{
    if (mbedtls_x509_crt_parse(&c->cert, t->buf.data, parse_len(t)) != 0) {
        mbed_why_set(why, "%s is not a certificate", t->name);
        return OXBOW_ECERT;
    }
    return OXBOW_OK;
}

/* Parses key, and holds it against the certificate that is already there. */
static enum oxbow_err key_parse(struct creds *c, const struct text *t,
                                const struct oxbow_tls_config *config,
                                mbedtls_ctr_drbg_context *rng, struct oxbow_tls_why *why)
{
    const char *password = config->key_password;
    const char *cert_name = config->server ? "the certificate" : "the client certificate";

    if (mbed_compat_key_parse(&c->key, t->buf.data, parse_len(t), password, rng) != 0) {
        mbed_why_set(why, "%s is not a private key%s", t->name,
                     password != NULL ? ", or the password is wrong" : ", or it needs a password");
        return OXBOW_ECERT;
    }
    if (mbed_compat_key_matches(&c->cert.pk, &c->key, rng) != 0) {
        mbed_why_set(why, "the key %s does not belong to %s", t->name, cert_name);
        return OXBOW_ECERT;
    }
    c->has_cert = true;
    return OXBOW_OK;
}

static bool md_add(mbedtls_md_context_t *md, const void *data, size_t len)
{
    uint8_t head[8];

    put_le64(head, len);
    return mbedtls_md_update(md, head, sizeof head) == 0 &&
           (len == 0 || mbedtls_md_update(md, data, len) == 0);
}

/* What a session depends on: another library, authority, list, certificate or name, another
 * digest. */
static enum oxbow_err digest_make(struct creds *c, const char *server_name,
                                  const struct text *texts, size_t count)
{
    static const char library[] = COMPAT_NAME;
    mbedtls_md_context_t md;
    bool ok;
    size_t i;

    mbedtls_md_init(&md);
    ok = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
         mbedtls_md_starts(&md) == 0 && md_add(&md, library, sizeof library) &&
         md_add(&md, server_name, strlen(server_name));
    for (i = 0; ok && i < count; i++) {
        ok = md_add(&md, texts[i].buf.data, texts[i].len);
    }
    ok = ok && mbedtls_md_finish(&md, c->digest) == 0;
    mbedtls_md_free(&md);
    return ok ? OXBOW_OK : OXBOW_ENOMEM;
}

enum { CA, CRL, CERT, KEY, TEXTS };

static enum oxbow_err texts_parse(struct creds *c, const struct oxbow_tls_config *config,
                                  struct text *t, mbedtls_ctr_drbg_context *rng,
                                  struct oxbow_tls_why *why)
{
    enum oxbow_err err = OXBOW_OK;

    if (pem_given(&config->ca)) {
        err = text_read(&t[CA], c->port, &config->ca, why);
        err = err != OXBOW_OK ? err : ca_parse(c, &t[CA], why);
    }
    if (err == OXBOW_OK && pem_given(&config->crl)) {
        err = text_read(&t[CRL], c->port, &config->crl, why);
        err = err != OXBOW_OK ? err : crl_parse(c, &t[CRL], why);
    }
    if (err == OXBOW_OK && pem_given(&config->cert)) {
        err = text_read(&t[CERT], c->port, &config->cert, why);
        err = err != OXBOW_OK ? err : cert_parse(c, &t[CERT], why);
        err = err != OXBOW_OK ? err : text_read(&t[KEY], c->port, &config->key, why);
        err = err != OXBOW_OK ? err : key_parse(c, &t[KEY], config, rng, why);
    }
    if (err == OXBOW_OK) {
        err = digest_make(c, config->server ? "" : config->server_name, t, KEY);
        if (err != OXBOW_OK) {
            mbed_why_set(why, "out of memory preparing TLS");
        }
    }
    return err;
}

enum oxbow_err mbed_creds_open(const struct oxbow_tls_config *config, mbedtls_ctr_drbg_context *rng,
                               struct oxbow_tls_why *why, struct creds **out)
{
    static const char *const what[TEXTS] = {"the authority file", "the revocation list",
                                            "the client certificate", "the client key"};
    static const char *const what_server[TEXTS] = {"the authority file", "the revocation list",
                                                   "the certificate", "the key"};
    struct text texts[TEXTS];
    struct creds *c = mem_new(&config->port->alloc, sizeof *c);
    enum oxbow_err err;
    size_t i;

    if (c == NULL) {
        mbed_why_set(why, "out of memory");
        return OXBOW_ENOMEM;
    }
    c->port = config->port;
    c->refs = 1;
    mbedtls_x509_crt_init(&c->ca);
    mbedtls_x509_crl_init(&c->crl);
    mbedtls_x509_crt_init(&c->cert);
    mbedtls_pk_init(&c->key);
    for (i = 0; i < TEXTS; i++) {
        text_init(&texts[i], c->port, config->server ? what_server[i] : what[i]);
    }
    err = texts_parse(c, config, texts, rng, why);
    for (i = 0; i < TEXTS; i++) {
        text_fini(&texts[i]);
    }
    if (err != OXBOW_OK) {
        mbed_creds_unref(c);
        return err;
    }
    *out = c;
    return OXBOW_OK;
}

struct creds *mbed_creds_ref(struct creds *c)
{
    c->refs++;
    return c;
}

void mbed_creds_unref(struct creds *c)
{
    if (c == NULL || --c->refs > 0) {
        return;
    }
    mbedtls_pk_free(&c->key);
    mbedtls_x509_crt_free(&c->cert);
    mbedtls_x509_crl_free(&c->crl);
    mbedtls_x509_crt_free(&c->ca);
    mem_free(&c->port->alloc, c, sizeof *c);
}

static int authmode_of(const struct oxbow_tls_config *config)
{
    if (!config->server || config->clients == OXBOW_TLS_CLIENTS_ALL) {
        return MBEDTLS_SSL_VERIFY_REQUIRED;
    }
    return config->clients == OXBOW_TLS_CLIENTS_OPTIONAL ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                                         : MBEDTLS_SSL_VERIFY_NONE;
}

enum oxbow_err mbed_creds_configure(struct creds *c, const struct oxbow_tls_config *config,
                                    mbedtls_ctr_drbg_context *rng, mbedtls_ssl_config *conf)
{
    uint32_t f = config->server ? 0 : config->fragment_max;
    int ret = mbedtls_ssl_config_defaults(
        conf, config->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    mbed_compat_configure(conf);
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, rng);
    mbedtls_ssl_conf_authmode(conf, authmode_of(config));
    mbedtls_ssl_conf_ca_chain(conf, &c->ca, c->has_crl ? &c->crl : NULL);
    if (ret == 0 && c->has_cert) {
        ret = mbedtls_ssl_conf_own_cert(conf, &c->cert, &c->key);
    }
    if (ret == 0 && f != 0) {
        ret = mbedtls_ssl_conf_max_frag_len(conf, f == 512    ? MBEDTLS_SSL_MAX_FRAG_LEN_512
                                                  : f == 1024 ? MBEDTLS_SSL_MAX_FRAG_LEN_1024
                                                  : f == 2048 ? MBEDTLS_SSL_MAX_FRAG_LEN_2048
                                                              : MBEDTLS_SSL_MAX_FRAG_LEN_4096);
    }
    return ret == 0 ? OXBOW_OK : OXBOW_ENOMEM;
}
