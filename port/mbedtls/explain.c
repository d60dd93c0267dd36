/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for an operator: the one place where mbedTLS' codes and TLS' alerts become oxbow's errors.
 * What verification has already put in words is kept.
 */
#include "port/mbedtls/mbed.h"

#include <stdarg.h>
#include <stdio.h>

void mbed_why_set(struct oxbow_tls_why *why, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (vsnprintf(why->text, sizeof why->text, format, ap) < 0) {
        why->text[0] = '\0';
    }
    va_end(ap);
}

/* What the server's alert says about us. RFC 8446, section 6. */
static const struct alert {
    int code;
    enum oxbow_err err;
    const char *text;
} alerts[] = {
    {42, OXBOW_ECERT, "the server says that our certificate is damaged"},
    {43, OXBOW_ECERT, "the server does not support our kind of certificate"},
    {44, OXBOW_ECERT, "the server says that our certificate is revoked"},
    {45, OXBOW_ECERT, "the server says that our certificate has expired"},
    {46, OXBOW_ECERT, "the server does not accept our certificate"},
    {48, OXBOW_ECERT, "the server does not know the authority that signed our certificate"},
    {49, OXBOW_ECERT, "the server denies us access"},
    {51, OXBOW_ECERT, "the server says that our signature is wrong"},
    {70, OXBOW_EPARSE, "the server speaks no version of TLS that we accept (1.2 or newer)"},
    {71, OXBOW_EPARSE, "the server finds our cipher suites too weak"},
    {80, OXBOW_EPIPE, "the server had an internal error"},
    {112, OXBOW_ECERT, "the server does not know the name that we asked for"},
    {116, OXBOW_ECERT, "the server wants a client certificate, and none is configured"},
};

static enum oxbow_err explain_alert(struct oxbow_tls_conn *c)
{
    struct oxbow_tls_why *why = &c->why;
    const mbedtls_x509_crt *own = &c->creds->cert;
    size_t i;

    if (c->tls->config.server) {
        mbed_why_set(why, "the client ended the connection with alert %d%s", c->alert,
                     c->alert >= 42 && c->alert <= 51 ? ": it does not accept our certificate"
                                                      : "");
        return OXBOW_EPIPE;
    }
    for (i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
        if (alerts[i].code == c->alert) {
            mbed_why_set(why, "%s", alerts[i].text);
            if (alerts[i].err == OXBOW_ECERT && c->creds->has_cert) {
                mbed_why_set(why, "%s; ours is valid from %s to %s", alerts[i].text,
                             mbed_date_of(&own->valid_from).text,
                             mbed_date_of(&own->valid_to).text);
            }
            return alerts[i].err;
        }
    }
    if (!c->heard && !c->creds->has_cert) {
        mbed_why_set(why, "the server refused us; none is configured, and it may want a client "
                          "certificate");
        return OXBOW_ECERT;
    }
    if (!c->heard && c->creds->has_cert && c->alert != 40) {
        /* In TLS 1.3 the alert is encrypted, and the library keeps it to itself. */
        bool past = mbed_date_judge(c->tls, &own->valid_from, &own->valid_to) == DATE_PAST;
        mbed_why_set(why, "the server refused us, %s our certificate (valid from %s to %s)%s",
                     past ? "surely for" : "perhaps for", mbed_date_of(&own->valid_from).text,
                     mbed_date_of(&own->valid_to).text, past ? "" : "; its log may say more");
        return OXBOW_ECERT;
    }
    if (c->alert >= 0) {
        mbed_why_set(why, "the server ended the connection with alert %d", c->alert);
    } else {
        mbed_why_set(why, "the server ended the connection with a fatal alert");
    }
    return OXBOW_EPIPE;
}

/* A record starts with its type, 20 to 23, and the major version, 3. */
static bool looks_like_tls(const struct oxbow_tls_conn *c)
{
    return c->sniff_len == 0 ||
           (c->sniff[0] >= 20 && c->sniff[0] <= 23 && (c->sniff_len == 1 || c->sniff[1] == 3));
}

static enum oxbow_err explain_not_tls(struct oxbow_tls_conn *c)
{
    char seen[SNIFF_MAX + 1];
    size_t i;

    for (i = 0; i < c->sniff_len; i++) {
        seen[i] = c->sniff[i] >= ' ' && c->sniff[i] <= '~' ? (char)c->sniff[i] : '.';
    }
    seen[i] = '\0';
    mbed_why_set(&c->why,
                 "the peer does not speak TLS: it began with \"%s\"; is this the TLS port?", seen);
    return OXBOW_EPARSE;
}

static enum oxbow_err translate(struct oxbow_tls_conn *c, int ret)
{
    if (mbed_compat_is_no_cert(ret)) {
        mbed_why_set(&c->why, "the client showed no certificate");
        return OXBOW_ECERT;
    }
    switch (ret) {
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case 0:
        mbed_why_set(&c->why, "the %s closed the connection", mbed_peer_word(c));
        return OXBOW_EPIPE;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        if (c->why.text[0] == '\0') {
            mbed_why_set(&c->why, "the %s's certificate is refused", mbed_peer_word(c));
        }
        return OXBOW_ECERT;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return explain_alert(c);
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
        mbed_why_set(&c->why, "out of memory");
        return OXBOW_ENOMEM;
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        mbed_why_set(&c->why, "what arrived was damaged or forged on its way");
        return OXBOW_EPARSE;
    default:
        if (!looks_like_tls(c)) {
            return explain_not_tls(c);
        }
        mbed_why_set(&c->why, "the peer broke the TLS protocol (%s error -0x%04x)", COMPAT_NAME,
                     (unsigned)-ret);
        return OXBOW_EPARSE;
    }
}

enum oxbow_err mbed_explain(struct oxbow_tls_conn *c, int ret)
{
    c->failed = translate(c, ret);
    return c->failed;
}
