/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session to resume: kept as mbedTLS serialises it, in memory, and in a file if configured.
 * A resumed handshake skips the check of the server's certificate, so a session is used only with
 * the credentials, library and name that it was made with, and only for a while after the full
 * handshake that did check; resuming does not prolong that.
 *
 * The file, little endian; what does not fit in every respect is ignored, and only costs a full
 * handshake:
 *
 *    0  8  "oxbowTLS"
 *    8  4  format, 1
 *   12 32  digest of credentials, library and name
 *   44  8  wall clock of the full handshake, ms since 1970
 *   52  8  end of the server's certificate, ms since 1970
 *   60  4  length of the session, n
 *   64  n  the session (secret)
 * 64+n  4  CRC-32C of all before
 *
 * 1. It is written as a temporary file, synced and renamed, at most every ten minutes.
 * 2. A session made while the clock was not set is never written: its age could not be told.
 */
#include "port/mbedtls/mbed.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <mbedtls/platform_util.h>

#include <stdio.h>
#include <string.h>

#define HEAD_LEN       64u
#define TAIL_LEN       4u
#define BLOB_MAX       65536u
#define FILE_FORMAT    1u
#define STORE_EVERY_US 600000000ull
#define AGE_MAX_S      86400u
#define PATH_MAX_LEN   1024u

static const char magic[8] = {'o', 'x', 'b', 'o', 'w', 'T', 'L', 'S'};

static void log_failure(const struct session *s, const char *what, enum oxbow_err err)
{
    const struct oxbow_log *log = &s->config->port->log;
    struct oxbow_tls_why line;

    if (log->line != NULL) {
        mbed_why_set(&line, "tls: the session file %s %s: %s", s->config->session_path, what,
                     oxbow_err_text(err));
        log->line(log->ctx, OXBOW_LOG_WARN, line.text);
    }
}

static bool on_disk(const struct session *s)
{
    return s->config->sessions == OXBOW_TLS_SESSIONS_DISK;
}

static void blob_clear(struct session *s)
{
    if (s->blob.data != NULL) {
        mbedtls_platform_zeroize(s->blob.data, s->blob.cap);
    }
    s->blob.len = 0;
}

/* ---- the file ---- */

/* Takes the session from the file's bytes; false if they are not one. */
static bool decode(struct session *s, const uint8_t *p, size_t len, uint64_t now_us,
                   uint64_t now_ms)
{
    uint64_t made_ms = get_le64(p + 44);
    size_t n = get_le32(p + 60);

    if (len < HEAD_LEN + TAIL_LEN || n != len - HEAD_LEN - TAIL_LEN ||
        memcmp(p, magic, sizeof magic) != 0 || get_le32(p + 8) != FILE_FORMAT ||
        get_le32(p + HEAD_LEN + n) != crc32c(0, p, HEAD_LEN + n) || made_ms > now_ms ||
        (now_ms - made_ms) / 1000 > AGE_MAX_S * 365ull ||
        buf_append(&s->blob, p + HEAD_LEN, n) != OXBOW_OK) {
        return false;
    }
    memcpy(s->digest, p + 12, DIGEST_LEN);
    s->made_wall_ms = made_ms;
    s->not_after_ms = get_le64(p + 52);
    /* Monotonic clocks start anew with a boot: work back from the age. */
    s->made_mono_us = now_us - (now_ms - made_ms) * 1000;
    return true;
}

static enum oxbow_err file_load(const struct oxbow_files *files, int fd, uint8_t *buf, size_t cap,
                                size_t *got)
{
    uint64_t size;
    enum oxbow_err err = files->size(files->ctx, fd, &size);

    if (err == OXBOW_OK && (size > cap || size < HEAD_LEN + TAIL_LEN)) {
        return OXBOW_EPARSE;
    }
    return err != OXBOW_OK ? err : files->read(files->ctx, fd, buf, (size_t)size, 0, got);
}

static void load(struct session *s)
{
    const struct oxbow_port *port = s->config->port;
    const struct oxbow_files *files = &port->files;
    size_t cap = HEAD_LEN + BLOB_MAX + TAIL_LEN;
    uint8_t *bytes;
    size_t got = 0;
    int fd;
    enum oxbow_err err = files->open(files->ctx, s->config->session_path, OXBOW_FILE_READ, &fd);

    if (err != OXBOW_OK) {
        if (err != OXBOW_ENOENT) {
            log_failure(s, "cannot be opened", err);
        }
        return;
    }
    bytes = mem_new(&port->alloc, cap);
    err = bytes != NULL ? file_load(files, fd, bytes, cap, &got) : OXBOW_ENOMEM;
    if (err == OXBOW_OK && port->clock.wall_is_set(port->clock.ctx) && got >= HEAD_LEN + TAIL_LEN &&
        !decode(s, bytes, got, port->clock.mono_us(port->clock.ctx),
                port->clock.wall_ms(port->clock.ctx))) {
        err = OXBOW_EPARSE;
    }
    if (err != OXBOW_OK) {
        log_failure(s, "is of no use", err);
    }
    if (bytes != NULL) {
        mbedtls_platform_zeroize(bytes, cap);
    }
    mem_free(&port->alloc, bytes, cap);
    err = files->close(files->ctx, fd);
    if (err != OXBOW_OK) {
        log_failure(s, "cannot be closed", err);
    }
}

static enum oxbow_err write_synced(const struct oxbow_files *files, const char *path,
                                   const uint8_t *bytes, size_t len)
{
    int fd;
    enum oxbow_err err = files->open(files->ctx, path, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
    enum oxbow_err closed;

    if (err != OXBOW_OK) {
        return err;
    }
    err = files->truncate(files->ctx, fd, 0);
    err = err != OXBOW_OK ? err : files->write(files->ctx, fd, bytes, len, 0);
    err = err != OXBOW_OK ? err : files->sync(files->ctx, fd);
    closed = files->close(files->ctx, fd);
    return err != OXBOW_OK ? err : closed;
}

static void encode(const struct session *s, uint8_t *p)
{
    memcpy(p, magic, sizeof magic);
    put_le32(p + 8, FILE_FORMAT);
    memcpy(p + 12, s->digest, DIGEST_LEN);
    put_le64(p + 44, s->made_wall_ms);
    put_le64(p + 52, s->not_after_ms);
    put_le32(p + 60, (uint32_t)s->blob.len);
    memcpy(p + HEAD_LEN, s->blob.data, s->blob.len);
    put_le32(p + HEAD_LEN + s->blob.len, crc32c(0, p, HEAD_LEN + s->blob.len));
}

/* A rename that a power cut undoes leaves the old file: the directory needs no sync. */
static void store(struct session *s)
{
    const struct oxbow_port *port = s->config->port;
    size_t len = HEAD_LEN + s->blob.len + TAIL_LEN;
    uint64_t now_us = port->clock.mono_us(port->clock.ctx);
    char temporary[PATH_MAX_LEN];
    uint8_t *bytes;
    enum oxbow_err err;
    int n;

    if (s->made_wall_ms == 0 ||
        (s->stored_mono_us != 0 && now_us - s->stored_mono_us < STORE_EVERY_US)) {
        return;
    }
    n = snprintf(temporary, sizeof temporary, "%s.new", s->config->session_path);
    bytes = mem_new(&port->alloc, len);
    if (bytes == NULL || n < 0 || (size_t)n >= sizeof temporary) {
        mem_free(&port->alloc, bytes, len);
        log_failure(s, "was not written", bytes == NULL ? OXBOW_ENOMEM : OXBOW_EINVAL);
        return;
    }
    encode(s, bytes);
    err = write_synced(&port->files, temporary, bytes, len);
    if (err == OXBOW_OK) {
        err = port->files.rename(port->files.ctx, temporary, s->config->session_path);
    }
    mbedtls_platform_zeroize(bytes, len);
    mem_free(&port->alloc, bytes, len);
    s->stored_mono_us = now_us;
    if (err != OXBOW_OK) {
        log_failure(s, "was not written", err);
    }
}

/* ---- the session ---- */

void mbed_session_init(struct session *s, const struct oxbow_tls_config *config,
                       const uint8_t *digest)
{
    *s = (struct session){.config = config};
    buf_init(&s->blob, &config->port->alloc, BLOB_MAX);
    if (on_disk(s)) {
        load(s);
        if (memcmp(s->digest, digest, DIGEST_LEN) != 0) {
            blob_clear(s);
        }
    }
}

void mbed_session_fini(struct session *s)
{
    blob_clear(s);
    buf_fini(&s->blob);
}

void mbed_session_drop(struct session *s)
{
    enum oxbow_err err = OXBOW_OK;

    if (s->blob.len > 0 && on_disk(s)) {
        err = s->config->port->files.unlink(s->config->port->files.ctx, s->config->session_path);
        s->stored_mono_us = 0;
    }
    blob_clear(s);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        log_failure(s, "cannot be removed", err);
    }
}

static bool too_old(const struct session *s)
{
    const struct oxbow_clock *clock = &s->config->port->clock;
    uint32_t age_max_s = s->config->session_age_max_s;
    uint64_t age_us = clock->mono_us(clock->ctx) - s->made_mono_us;

    return age_us / 1000000 > (age_max_s != 0 ? age_max_s : AGE_MAX_S) ||
           (clock->wall_is_set(clock->ctx) && clock->wall_ms(clock->ctx) > s->not_after_ms &&
            s->config->clock != OXBOW_TLS_CLOCK_INSECURE);
}

bool mbed_session_offer(struct session *s, const uint8_t *digest, mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session saved;
    bool ok;

    if (s->blob.len == 0) {
        return false;
    }
    if (memcmp(s->digest, digest, DIGEST_LEN) != 0 || too_old(s)) {
        mbed_session_drop(s);
        return false;
    }
    mbedtls_ssl_session_init(&saved);
    ok = mbedtls_ssl_session_load(&saved, s->blob.data, s->blob.len) == 0 &&
         mbedtls_ssl_set_session(ssl, &saved) == 0;
    mbedtls_ssl_session_free(&saved);
    if (!ok) {
        mbed_session_drop(s);
    }
    return ok;
}

/* Replaces the blob by the connection's session; empty if there is none to keep. */
static void blob_from(struct session *s, const mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session now;
    size_t len = 0;

    blob_clear(s);
    mbedtls_ssl_session_init(&now);
    if (mbedtls_ssl_get_session(ssl, &now) == 0 &&
        mbedtls_ssl_session_save(&now, NULL, 0, &len) == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL &&
        len > 0 && buf_reserve(&s->blob, len) == OXBOW_OK &&
        mbedtls_ssl_session_save(&now, s->blob.data, s->blob.cap, &len) == 0) {
        s->blob.len = len;
    }
    mbedtls_ssl_session_free(&now);
}

void mbed_session_keep(struct session *s, const uint8_t *digest, const mbedtls_ssl_context *ssl,
                       uint64_t not_after_ms)
{
    const struct oxbow_clock *clock = &s->config->port->clock;

    if (s->config->sessions == OXBOW_TLS_SESSIONS_OFF) {
        return;
    }
    blob_from(s, ssl);
    if (s->blob.len == 0) {
        return;
    }
    if (not_after_ms != 0) {
        memcpy(s->digest, digest, DIGEST_LEN);
        s->not_after_ms = not_after_ms;
        s->made_mono_us = clock->mono_us(clock->ctx);
        s->made_wall_ms = clock->wall_is_set(clock->ctx) ? clock->wall_ms(clock->ctx) : 0;
    }
    if (on_disk(s)) {
        store(s);
    }
}
