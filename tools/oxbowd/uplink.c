/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink inside the daemon. It shares the loop with the server, so nothing here waits but the
 * commits at the start, before anybody is served; the server watches the store's descriptor for
 * both.
 */
#include "tools/oxbowd/uplink.h"

#include "oxbow/uplink_uv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct uplink {
    struct oxbow_uplink *session;
    struct oxbow_uplink_uv *driver; /* NULL: none (any more) */
    void (*done)(void *ctx);
    void *done_ctx;
    char user[CONFIG_TEXT_MAX];
    char password_file[CONFIG_TEXT_MAX];
};

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* ---- secrets ---- */

/* The first line, so that no password stands in a process list or in the configuration. */
static bool password_read(const char *path, char out[OXBOW_UPLINK_SECRET_MAX + 1])
{
    FILE *f;
    size_t len;
    bool ok;

    errno = 0;
    f = fopen(path, "re");
    ok = f != NULL && fgets(out, OXBOW_UPLINK_SECRET_MAX + 1, f) != NULL;
    len = ok ? strcspn(out, "\r\n") : 0;
    ok = len > 0 && (out[len] != '\0' || feof(f) != 0);
    if (f != NULL) {
        (void)fclose(f); /* it was only read */
    }
    out[len] = '\0';
    return ok;
}

/* Asked at each connect, so that a password can be renewed. */
static enum oxbow_err secrets(void *ctx, struct oxbow_uplink_secret *out)
{
    const struct uplink *u = ctx;

    (void)snprintf(out->user, sizeof out->user, "%s", u->user);
    return password_read(u->password_file, out->password) ? OXBOW_OK : OXBOW_EIO;
}

/* ---- the store's side ---- */

/* What is still to be committed is in *txn. */
static bool identity_take(const struct config_uplink *c, struct oxbow_txn *txn,
                          struct daemon_log *log)
{
    struct oxbow_identity id;
    enum oxbow_err err = oxbow_identity_get(txn, &id);
    const char *device = c->device[0] != '\0' ? c->device : id.device;

    if (err == OXBOW_ENOENT && c->device[0] == '\0') {
        daemon_log_say(log, OXBOW_LOG_ERROR,
                       "uplink-device: the store has no name yet: give it one");
        return false;
    }
    if (err == OXBOW_OK && (strcmp(device, id.device) != 0 ||
                            (c->machine[0] != '\0' && strcmp(c->machine, id.machine) != 0))) {
        daemon_log_say(log, OXBOW_LOG_ERROR,
                       "uplink-device: the store is '%s' of machine '%s' already (oxbow identity "
                       "--force gives it another name)",
                       id.device, id.machine);
        return false;
    }
    if (err == OXBOW_ENOENT) {
        err = oxbow_identity_set(txn, device, text_or_null(c->machine));
    }
    if (err != OXBOW_OK) {
        daemon_log_say(log, OXBOW_LOG_ERROR, "uplink-device: %s (%s)", oxbow_err_text(err),
                       oxbow_err_name(err));
    }
    return err == OXBOW_OK;
}

static const char *forward_error(enum oxbow_err err)
{
    switch (err) {
    case OXBOW_EEXIST:
        return "another forward has this key or this target already";
    case OXBOW_ERANGE:
        return "there are 256 forwards already";
    case OXBOW_EWRONGTYPE:
        return "the key holds another type";
    case OXBOW_EINVAL:
        return "the store has it with another type, key or target: OXBOW FORWARD DEL removes it";
    default:
        return oxbow_err_text(err);
    }
}

/* Makes it, or gives it the options that are configured now; how far it is stays. */
static enum oxbow_err forward_take(struct oxbow_txn *txn, const struct config_forward *f,
                                   struct oxbow_forward *now)
{
    enum oxbow_err err = oxbow_txn_select(txn, f->database);

    if (err == OXBOW_OK) {
        err = oxbow_forward_get(txn, f->name, now);
    }
    if (err == OXBOW_ENOENT) {
        return oxbow_forward_create(txn, f->name, &f->options);
    }
    if (err == OXBOW_OK && now->database != f->database) {
        return OXBOW_EINVAL;
    }
    return err == OXBOW_OK ? oxbow_forward_change(txn, f->name, &f->options) : err;
}

static bool forwards_take(const struct config_forwards *all, struct oxbow_txn *txn,
                          struct daemon_log *log)
{
    struct oxbow_forward *now = malloc(sizeof *now);
    enum oxbow_err err = now == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    struct config_forward f = {.name = ""};
    size_t pos = 0;

    while (err == OXBOW_OK && pos < all->len) {
        char *words[CONFIG_WORDS_MAX];
        struct config_why why;
        uint32_t count = config_forward_words(all, &pos, words);

        err = config_forward_parse(words, count, &f, &why) ? forward_take(txn, &f, now)
                                                           : OXBOW_EINVAL;
    }
    if (err != OXBOW_OK) {
        daemon_log_say(log, OXBOW_LOG_ERROR, "uplink-forward %s: %s (%s)", f.name,
                       forward_error(err), oxbow_err_name(err));
    }
    free(now);
    return err == OXBOW_OK;
}

static bool store_take(const struct config_uplink *c, struct oxbow *db, struct daemon_log *log)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err == OXBOW_OK) {
        if (!identity_take(c, txn, log) || !forwards_take(&c->forwards, txn, log)) {
            oxbow_txn_abort(txn);
            return false;
        }
        err = oxbow_txn_commit(txn, NULL);
    }
    if (err != OXBOW_OK && err != OXBOW_EVOLATILE) { /* in memory it is carried all the same */
        daemon_log_say(log, OXBOW_LOG_ERROR, "uplink: %s (%s)", oxbow_err_text(err),
                       oxbow_err_name(err));
        return false;
    }
    return true;
}

/* ---- session and driver ---- */

static enum oxbow_err session_open(struct uplink *u, const struct config_uplink *c,
                                   struct oxbow *db)
{
    struct oxbow_uplink_target targets[OXBOW_UPLINK_TARGETS_MAX];
    const struct oxbow_uplink_config config = {
        .targets = targets,
        .target_count = c->targets.count,
        .database = (uint32_t)c->database,
        .user = text_or_null(c->user),
        .secrets = c->password_file[0] != '\0' ? secrets : NULL,
        .secrets_ctx = u,
        .link = (enum oxbow_uplink_link)c->link,
        .mode = (enum oxbow_uplink_mode)c->mode,
        .function = text_or_null(c->function),
        .rate_bytes_s_max = (uint32_t)c->max_rate,
        .first_spread_ms = (uint32_t)c->spread_ms,
    };

    for (uint32_t i = 0; i < c->targets.count; i++) {
        targets[i] = (struct oxbow_uplink_target){c->targets.at[i].host, c->targets.at[i].port};
    }
    return oxbow_uplink_open(db, &config, &u->session);
}

static enum oxbow_err driver_open(struct uplink *u, const struct config_uplink *c, struct oxbow *db,
                                  struct uv_loop_s *loop, struct oxbow_tls_why *why)
{
    bool tls = c->targets.at[0].tls;
    const struct oxbow_tls_config tls_config = {
        .ca.path = text_or_null(c->tls_ca),
        .crl.path = text_or_null(c->tls_crl),
        .cert.path = text_or_null(c->tls_cert),
        .key.path = text_or_null(c->tls_key),
        .key_password = text_or_null(c->tls_key_pass),
        .server_name = c->tls_server_name[0] != '\0' ? c->tls_server_name : c->targets.at[0].host,
        .clock = (enum oxbow_tls_clock)c->tls_clock,
    };
    const struct oxbow_uplink_uv_config config = {
        .db = db,
        .tls = tls ? oxbow_tls_mbedtls() : NULL,
        .tls_config = tls ? &tls_config : NULL,
        .plain = !tls,
        .told = true,
    };

    return oxbow_uplink_uv_open(u->session, loop, &config, why, &u->driver);
}

static bool refuse(struct daemon_log *log, const char *text, enum oxbow_err err)
{
    daemon_log_say(log, OXBOW_LOG_ERROR, "uplink: %s (%s)",
                   text[0] != '\0' ? text : oxbow_err_text(err), oxbow_err_name(err));
    return false;
}

bool uplink_open(const struct config *config, struct oxbow *db, struct uv_loop_s *loop,
                 struct daemon_log *log, struct uplink **out)
{
    const struct config_uplink *c = &config->uplink;
    char password[OXBOW_UPLINK_SECRET_MAX + 1] = "";
    struct oxbow_tls_why why = {.text = ""};
    struct uplink *u;
    enum oxbow_err err;

    *out = NULL;
    if (c->targets.count == 0) {
        return true;
    }
    if (c->password_file[0] != '\0' && !password_read(c->password_file, password)) {
        daemon_log_say(log, OXBOW_LOG_ERROR, "uplink-password-file: %s: %s", c->password_file,
                       errno != 0 ? strerror(errno) : "its first line is empty or too long");
        return false;
    }
    memset(password, 0, sizeof password);
    if (!store_take(c, db, log)) {
        return false;
    }
    u = calloc(1, sizeof *u);
    if (u == NULL) {
        return refuse(log, "", OXBOW_ENOMEM);
    }
    memcpy(u->user, c->user, sizeof u->user);
    memcpy(u->password_file, c->password_file, sizeof u->password_file);
    err = session_open(u, c, db);
    if (err == OXBOW_OK) {
        err = driver_open(u, c, db, loop, &why);
    }
    if (err != OXBOW_OK) {
        uplink_free(u);
        return refuse(log, why.text, err);
    }
    *out = u;
    return true;
}

struct oxbow_uplink *uplink_session(const struct uplink *u)
{
    return u != NULL ? u->session : NULL;
}

const struct oxbow_uplink_ops *uplink_session_ops(const struct uplink *u)
{
    return u != NULL ? oxbow_uplink_ops() : NULL;
}

void uplink_durable(void *ctx)
{
    struct uplink *u = ctx;

    if (u->driver != NULL) {
        oxbow_uplink_uv_durable(u->driver);
    }
}

void uplink_reload(struct uplink *u)
{
    oxbow_uplink_command(u->session, OXBOW_UPLINK_RELOAD);
}

static void on_driver_closed(void *ctx)
{
    struct uplink *u = ctx;

    if (u->done != NULL) {
        u->done(u->done_ctx);
    }
}

void uplink_end(struct uplink *u, void (*done)(void *ctx), void *ctx)
{
    struct oxbow_uplink_uv *driver = u->driver;

    u->done = done;
    u->done_ctx = ctx;
    u->driver = NULL;
    oxbow_uplink_uv_close(driver, on_driver_closed, u);
}

void uplink_free(struct uplink *u)
{
    if (u != NULL) {
        oxbow_uplink_close(u->session);
        free(u);
    }
}
