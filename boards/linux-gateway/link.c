/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the central Redis. Three things make it: an identity, made on the first boot; a
 * forward, a record in the store that says what is carried and how far it is; and the uplink
 * session in a thread of its own, which may be absent for months without harm.
 */
#include "link.h"

#include "board.h"

#include "oxbow/forward.h"
#include "oxbow/tls.h"
#include "oxbow/uplink_uv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD            "readings"
#define BACKOFF_CAP_MIN_MS 1000u

struct link {
    const struct options *opt;
    struct oxbow_uplink *session;
    struct oxbow_uplink_thread *thread;
    char host[OXBOW_UPLINK_HOST_MAX + 1];
    uint16_t port;
};

/* Reads the password anew at every connect, so that it can be changed while the program runs. */
static enum oxbow_err read_secret(void *ctx, struct oxbow_uplink_secret *out)
{
    const struct options *opt = ctx;
    FILE *file;
    char *line;

    if (opt->user != NULL) {
        (void)snprintf(out->user, sizeof out->user, "%s", opt->user);
    }
    if (opt->password_file == NULL) {
        return OXBOW_OK;
    }
    file = fopen(opt->password_file, "re");
    if (file == NULL) {
        return OXBOW_ENOENT;
    }
    setbuf(file, NULL); /* no copy is left in a buffer */
    line = fgets(out->password, sizeof out->password, file);
    (void)fclose(file);
    if (line == NULL) {
        return OXBOW_ENOENT;
    }
    out->password[strcspn(out->password, "\r\n")] = '\0';
    return OXBOW_OK;
}

/* HOST:PORT, cut at the last colon. */
static bool parse_target(struct link *link)
{
    const char *target = link->opt->target;
    const char *colon = strrchr(target, ':');
    char *end = NULL;
    unsigned long port;

    if (colon == NULL || colon == target || (size_t)(colon - target) >= sizeof link->host) {
        return false;
    }
    port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX) {
        return false;
    }
    memcpy(link->host, target, (size_t)(colon - target));
    link->port = (uint16_t)port;
    return true;
}

static bool parse_preset(const char *name, enum oxbow_uplink_link *out)
{
    static const char *const names[] = {
        [OXBOW_LINK_LAN] = "lan",
        [OXBOW_LINK_CELLULAR] = "cellular",
        [OXBOW_LINK_SATELLITE] = "satellite",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum oxbow_uplink_link)i;
            return true;
        }
    }
    return false;
}

/* What the forward carries and what it may cost. */
static enum oxbow_err make_forward(struct oxbow_txn *txn, const struct options *opt)
{
    const struct oxbow_forward_options forward = {
        .key = {opt->stream, strlen(opt->stream)},
        .type = OXBOW_TYPE_STREAM,
        .hold_ms = BOARD_FORWARD_HOLD_MS,
        .max_bytes = BOARD_FORWARD_BYTES,
    };
    enum oxbow_err err = oxbow_forward_create(txn, FORWARD, &forward);

    if (err == OXBOW_EEXIST) { /* made on an earlier boot: follow the board's present numbers */
        err = oxbow_forward_change(txn, FORWARD, &forward);
    }
    return err;
}

/* Identity and forward in one transaction: after a power cut there are both or neither. */
static enum oxbow_err prepare_store(struct oxbow *db, const struct options *opt)
{
    struct oxbow_txn *txn;
    enum oxbow_err err;

    err = oxbow_txn_begin(db, NULL, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_identity_set(txn, opt->device, NULL);
    if (err == OXBOW_EEXIST) {
        fprintf(stderr, "oxbow-sensor: this store belongs to another device than %s\n",
                opt->device);
    }
    if (err == OXBOW_OK) {
        err = make_forward(txn, opt);
    }
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

/* The session says what it wants and what it would send; the thread owns the connection. */
static enum oxbow_err start_session(struct link *link, struct oxbow *db)
{
    const struct options *opt = link->opt;
    const struct oxbow_uplink_target target = {.host = link->host, .port = link->port};
    struct oxbow_uplink_config config = {
        .targets = &target,
        .target_count = 1,
        .secrets = read_secret,
        .secrets_ctx = (void *)opt,
    };

    if (!parse_preset(opt->link, &config.link)) {
        fprintf(stderr, "oxbow-sensor: %s: --link is lan, cellular or satellite\n", opt->link);
        return OXBOW_EINVAL;
    }
    if (opt->timeout_ms > 0) {
        config.connect_timeout_ms = (uint32_t)opt->timeout_ms;
        config.handshake_timeout_ms = (uint32_t)opt->timeout_ms;
        config.answer_timeout_ms = (uint32_t)opt->timeout_ms;
        config.backoff_base_ms = (uint32_t)opt->timeout_ms / 10 + 1;
        config.backoff_cap_ms = BACKOFF_CAP_MIN_MS;
        config.first_spread_ms = 1;
    }
    return oxbow_uplink_open(db, &config, &link->session);
}

static enum oxbow_err start_thread(struct link *link, struct oxbow *db)
{
    const struct options *opt = link->opt;
    const struct oxbow_tls_config tls = {
        .port = oxbow_port_of(db),
        .ca = {.path = opt->ca},
        .cert = {.path = opt->cert},
        .key = {.path = opt->key},
        .server_name = opt->server_name != NULL ? opt->server_name : link->host,
    };
    const struct oxbow_uplink_uv_config driver = {
        .db = db,
        .tls = oxbow_tls_mbedtls(),
        .tls_config = &tls,
    };
    struct oxbow_tls_why why = {""};
    enum oxbow_err err = oxbow_uplink_thread_open(link->session, &driver, &why, &link->thread);

    if (err != OXBOW_OK && why.text[0] != '\0') {
        fprintf(stderr, "oxbow-sensor: %s\n", why.text);
    }
    return err;
}

enum oxbow_err link_open(struct oxbow *db, const struct options *opt, struct link **out)
{
    struct link *link = calloc(1, sizeof *link);
    enum oxbow_err err;

    if (link == NULL) {
        return OXBOW_ENOMEM;
    }
    link->opt = opt;
    if (!parse_target(link)) {
        fprintf(stderr, "oxbow-sensor: --target %s: say HOST:PORT\n", opt->target);
        link_close(link);
        return OXBOW_EINVAL;
    }
    err = prepare_store(db, opt);
    if (err == OXBOW_OK) {
        err = start_session(link, db);
    }
    if (err == OXBOW_OK) {
        err = start_thread(link, db);
    }
    if (err != OXBOW_OK) {
        fprintf(stderr, "oxbow-sensor: --target %s: %s\n", opt->target, oxbow_err_text(err));
        link_close(link);
        return err;
    }
    *out = link;
    return OXBOW_OK;
}

/* The thread first: the session belongs to it while it runs. */
void link_close(struct link *link)
{
    if (link == NULL) {
        return;
    }
    oxbow_uplink_thread_close(link->thread);
    oxbow_uplink_close(link->session);
    free(link);
}

enum oxbow_err link_drain(struct link *link, int64_t timeout_ms)
{
    return oxbow_uplink_drain(link->session, FORWARD, timeout_ms);
}

void link_status(struct link *link, struct oxbow_uplink_status *out)
{
    oxbow_uplink_status(link->session, out);
}
