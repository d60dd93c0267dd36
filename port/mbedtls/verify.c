/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification: what mbedTLS found about each certificate of the server's chain, with the dates
 * judged again by the context's clock policy, and the most telling fault put in words.
 *
 * 1. Only date flags are ever taken away here. Authority, name, revocation and strength stand as
 *    mbedTLS found them.
 * 2. The policies: with a clock that can be believed, a date is past or future by the wall clock.
 *    `floor` with a clock that cannot: what begins later is accepted, what ended before the floor
 *    is not. A clock behind the floor cannot be believed, however set it claims to be.
 */
#include "port/mbedtls/mbed.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 128u
#define SECOND_MS    1000ull

#define DATE_FLAGS                                                                                 \
    ((uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE |                       \
                MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE))

/* Days since 1970-01-01 of a date in the Gregorian calendar; years begin in March, so that the
 * leap day is the last of its year. */
static int64_t days_of(int year, int mon, int day)
{
    int64_t y = mon <= 2 ? year - 1 : year;
    int64_t m = mon <= 2 ? mon + 9 : mon - 3;
    int64_t leaps = y / 4 - y / 100 + y / 400;

    return y * 365 + leaps + (m * 153 + 2) / 5 + day - 1 - 719468;
}

uint64_t mbed_time_ms(const mbedtls_x509_time *t)
{
    int64_t s = days_of(t->year, t->mon, t->day) * 86400 + t->hour * 3600 + t->min * 60 + t->sec;

    return s > 0 ? (uint64_t)s * SECOND_MS : 0;
}

struct date_text mbed_date_of(const mbedtls_x509_time *t)
{
    struct date_text d;

    (void)snprintf(d.text, sizeof d.text, "%04u-%02u-%02u", (unsigned)t->year % 10000u,
                   (unsigned)t->mon % 100u, (unsigned)t->day % 100u);
    return d;
}

static enum date_verdict judge_by(uint64_t now_ms, const mbedtls_x509_time *from,
                                  const mbedtls_x509_time *to)
{
    if (mbed_time_ms(to) + SECOND_MS <= now_ms) {
        return DATE_PAST;
    }
    return mbed_time_ms(from) > now_ms ? DATE_FUTURE : DATE_GOOD;
}

enum date_verdict mbed_date_judge(const struct oxbow_tls *tls, const mbedtls_x509_time *from,
                                  const mbedtls_x509_time *to)
{
    const struct oxbow_clock *clock = &tls->port->clock;
    uint64_t now_ms = clock->wall_ms(clock->ctx);

    switch (tls->config.clock) {
    case OXBOW_TLS_CLOCK_INSECURE:
        return DATE_GOOD;
    case OXBOW_TLS_CLOCK_STRICT:
        return judge_by(now_ms, from, to);
    case OXBOW_TLS_CLOCK_FLOOR:
        break;
    }
    if (clock->wall_is_set(clock->ctx) && now_ms >= tls->floor_ms) {
        return judge_by(now_ms, from, to);
    }
    return judge_by(tls->floor_ms, from, to) == DATE_PAST ? DATE_PAST : DATE_GOOD;
}

static uint32_t cert_dates(const struct oxbow_tls *tls, const mbedtls_x509_crt *crt)
{
    switch (mbed_date_judge(tls, &crt->valid_from, &crt->valid_to)) {
    case DATE_PAST:
        return MBEDTLS_X509_BADCERT_EXPIRED;
    case DATE_FUTURE:
        return MBEDTLS_X509_BADCERT_FUTURE;
    case DATE_GOOD:
        break;
    }
    return 0;
}

/* The dates of the lists that speak for this certificate's issuer. */
static uint32_t crl_dates(const struct oxbow_tls *tls, const struct creds *creds,
                          const mbedtls_x509_crt *crt)
{
    const mbedtls_x509_crl *crl;
    uint32_t flags = 0;

    for (crl = creds->has_crl ? &creds->crl : NULL; crl != NULL; crl = crl->next) {
        if (crl->version == 0 || crl->issuer_raw.len != crt->issuer_raw.len ||
            memcmp(crl->issuer_raw.p, crt->issuer_raw.p, crt->issuer_raw.len) != 0) {
            continue;
        }
        switch (mbed_date_judge(tls, &crl->this_update, &crl->next_update)) {
        case DATE_PAST:
            flags |= MBEDTLS_X509_BADCRL_EXPIRED;
            break;
        case DATE_FUTURE:
            flags |= MBEDTLS_X509_BADCRL_FUTURE;
            break;
        case DATE_GOOD:
            break;
        }
    }
    return flags;
}

/* ---- words ---- */

/* What a row says about the certificate `crt` to the operator of `c`. */
typedef void say_fn(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject);

static void say_untrusted(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt,
                          const char *subject)
{
    char issuer[NAME_MAX_LEN];

    if (mbedtls_x509_dn_gets(issuer, sizeof issuer, &crt->issuer) < 0) {
        (void)snprintf(issuer, sizeof issuer, "somebody");
    }
    mbed_why_set(&c->why,
                 "unknown authority: the %s's certificate %s was issued by %s, which is not among "
                 "the configured authorities",
                 mbed_peer_word(c), subject, issuer);
}

static void say_revoked(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    mbed_why_set(&c->why, "revoked: the certificate %s is on the revocation list", subject);
}

static struct date_text today(const struct oxbow_tls *tls)
{
    uint64_t now_ms = tls->port->clock.wall_ms(tls->port->clock.ctx);
    int64_t z = (int64_t)(now_ms / 86400000u) + 719468;
    int64_t era = z / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;
    mbedtls_x509_time t = {0};

    t.day = (int)(doy - (153 * m + 2) / 5 + 1);
    t.mon = (int)(m < 10 ? m + 3 : m - 9);
    t.year = (int)(yoe + era * 400 + (t.mon <= 2 ? 1 : 0));
    return mbed_date_of(&t);
}

static void say_expired(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    mbed_why_set(&c->why, "expired: the certificate %s was valid until %s (clock: %s)", subject,
                 mbed_date_of(&crt->valid_to).text, today(c->tls).text);
}

static void say_future(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    mbed_why_set(&c->why, "not yet valid: the certificate %s begins on %s (clock: %s)", subject,
                 mbed_date_of(&crt->valid_from).text, today(c->tls).text);
}

static void say_name(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    char names[NAME_MAX_LEN] = "";
    const mbedtls_x509_sequence *at = &crt->subject_alt_names;
    size_t used = 0;

    for (; at != NULL && at->buf.p != NULL; at = at->next) {
        size_t room = sizeof names - used;
        int n = snprintf(names + used, room, "%s%.*s", used > 0 ? ", " : "", (int)at->buf.len,
                         (const char *)at->buf.p);
        if (n < 0 || (size_t)n >= room) {
            break;
        }
        used += (size_t)n;
    }
    mbed_why_set(&c->why, "wrong name: the server's certificate is for %s, not for %s",
                 names[0] != '\0' ? names : subject, c->tls->config.server_name);
}

static void say_old_list(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    (void)subject;
    mbed_why_set(&c->why, "the revocation list is out of date (clock: %s): fetch a new one",
                 today(c->tls).text);
}

static void say_bad_list(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    (void)subject;
    mbed_why_set(&c->why, "the revocation list is not signed by the authority, or too weakly");
}

static void say_weak(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    mbed_why_set(&c->why, "too weak: the certificate %s has a key or signature that is refused",
                 subject);
}

static void say_missing(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    (void)subject;
    mbed_why_set(&c->why, "the %s showed no certificate", mbed_peer_word(c));
}

static void say_misused(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    mbed_why_set(&c->why, "the certificate %s is not meant for a %s", subject, mbed_peer_word(c));
}

static void say_other(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, const char *subject)
{
    (void)crt;
    mbed_why_set(&c->why, "the certificate %s is refused", subject);
}

/* The more telling first: of several faults, one is told. */
static const struct {
    uint32_t flags;
    say_fn *say;
} rows[] = {
    {MBEDTLS_X509_BADCERT_REVOKED, say_revoked},
    {MBEDTLS_X509_BADCERT_EXPIRED, say_expired},
    {MBEDTLS_X509_BADCERT_FUTURE, say_future},
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, say_untrusted},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, say_name},
    {MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE, say_old_list},
    {MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK |
         MBEDTLS_X509_BADCRL_BAD_KEY,
     say_bad_list},
    {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
     say_weak},
    {MBEDTLS_X509_BADCERT_MISSING, say_missing},
    {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
         MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
     say_misused},
    {UINT32_MAX, say_other},
};

static void tell(struct oxbow_tls_conn *c, const mbedtls_x509_crt *crt, uint32_t flags)
{
    char subject[NAME_MAX_LEN];
    size_t row = 0;

    while ((rows[row].flags & flags) == 0) {
        row++;
    }
    if (c->why.text[0] != '\0' && c->why_row <= row) {
        return;
    }
    if (mbedtls_x509_dn_gets(subject, sizeof subject, &crt->subject) <= 0) {
        (void)snprintf(subject, sizeof subject, "(without a name)");
    }
    c->why_row = row;
    rows[row].say(c, crt, subject);
}

int mbed_verify_step(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct oxbow_tls_conn *c = ctx;

    c->verified = true;
    if (depth == 0) {
        c->peer_until_ms = mbed_time_ms(&crt->valid_to);
    }
    *flags &= ~DATE_FLAGS;
    *flags |= cert_dates(c->tls, crt) | crl_dates(c->tls, c->creds, crt);
    if (*flags != 0) {
        tell(c, crt, *flags);
    }
    return 0;
}
