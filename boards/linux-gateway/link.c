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

#define FORWARD "readings"

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

    if (opt->user != NULL)
        (void)snprintf(out->user, sizeof out->user, "%s", opt->user);
    if (opt->password_file == NULL)
        return OXBOW_OK;
    file = fopen(opt->password_file, "re");
    if (file == NULL)
        return OXBOW_ENOENT;
    setbuf(file, NULL); /* no copy is left in a buffer */
    line = fgets(out->password, sizeof out->password, file);
    (void)fclose(file);
    if (line == NULL)
        return OXBOW_ENOENT;
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

    if (colon == NULL || colon == target || (size_t)(colon - target) >= sizeof link->host)
        return false;
    port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX)
        return false;
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

    if (err == OXBOW_EEXIST) /* made on an earlier boot: follow the board's present numbers */
        err = oxbow_forward_change(txn, FORWARD, &forward);
    return err;
}

/* Identity and forward in one transaction: after a power cut there are both or neither. */
static enum oxbow_err prepare_store(struct oxbow *db, const struct options *opt)
{
    struct oxbow_txn *txn;
    enum oxbow_err err;

    err = oxbow_txn_begin(db, NULL, &txn);
    if (err != OXBOW_OK)
        return err;
    err = oxbow_identity_set(txn, opt->device, NULL);
    if (err == OXBOW_EEXIST)
        fprintf(stderr, "oxbow-sensor: this store belongs to another device than %s\n",
                opt->device);
    if (err == OXBOW_OK)
        err = make_forward(txn, opt);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}
