/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEBUG, as far as programs' own tests need it, and only where the configuration lets it
 * (enable-debug-command): SLEEP keeps everybody waiting, RELOAD closes the store and opens it again. What would
 * change how Redis works inside has nothing to change here and is accepted, so that such tests go on.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_TEXT_MAX 32u
#define SLEEP_S_MAX      86400.0

bool resp_may_debug(const struct oxbow_resp_client *c)
{
    enum oxbow_resp_debug debug = c->server->config.debug;

    return debug == OXBOW_RESP_DEBUG_YES || (debug == OXBOW_RESP_DEBUG_LOCAL && c->local);
}

/* Nothing is done meanwhile: that is what it is for. */
static enum oxbow_err pause_for(struct oxbow_resp *s, uint64_t us)
{
    const struct oxbow_threads *threads = &s->port->threads;
    const struct oxbow_clock *clock = &s->port->clock;
    uint64_t until = clock->mono_us(clock->ctx) + us;
    struct oxbow_mutex *mutex;
    struct oxbow_cond *cond;
    uint64_t now;
    enum oxbow_err err = threads->mutex_open(threads->ctx, &mutex);

    if (err != OXBOW_OK) {
        return err;
    }
    err = threads->cond_open(threads->ctx, &cond);
    if (err == OXBOW_OK) {
        threads->mutex_lock(mutex);
        while ((now = clock->mono_us(clock->ctx)) < until) {
            threads->cond_wait(cond, mutex, until - now);
        }
        threads->mutex_unlock(mutex);
        threads->cond_close(cond);
    }
    threads->mutex_close(mutex);
    return err;
}

/* What is no number is no time at all, as in Redis. */
static enum oxbow_err debug_sleep(struct resp_call *call)
{
    struct oxbow_bytes arg = call->args[2];
    char text[SECONDS_TEXT_MAX] = "";
    double seconds;
    enum oxbow_err err;

    if (arg.len > 0 && arg.len < sizeof text) {
        memcpy(text, arg.data, arg.len);
    }
    seconds = strtod(text, NULL);
    if (!(seconds > 0)) {
        seconds = 0;
    } else if (seconds > SLEEP_S_MAX) {
        seconds = SLEEP_S_MAX;
    }
    err = pause_for(call->server, (uint64_t)(seconds * 1e6));
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

/* In EXEC's transaction, or else in one of its own: what it tells may leave when *lsn is durable. */
static enum oxbow_err look(struct resp_call *call, const char **encoding, uint64_t *bytes,
                           uint64_t *lsn)
{
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (call->txn != NULL) {
        return resp_object_look(call, encoding, bytes);
    }
    err = resp_txn_begin(call->server, call->client->database, &txn);
    if (err == OXBOW_OK) {
        call->txn = txn;
        err = resp_object_look(call, encoding, bytes);
        call->txn = NULL;
        if (err == OXBOW_OK || err == OXBOW_ENOENT) {
            enum oxbow_err ended = resp_txn_end(call->server, txn, lsn);

            err = ended == OXBOW_OK ? err : ended;
        } else {
            oxbow_txn_abort(txn);
        }
    }
    return err;
}

static enum oxbow_err debug_object(struct resp_call *call)
{
    const char *encoding;
    uint64_t bytes;
    uint64_t lsn = 0;
    enum oxbow_err err = look(call, &encoding, &bytes, &lsn);
    char text[160];

    if (err == OXBOW_ENOENT) {
        resp_error(call->reply, "ERR no such key");
        err = OXBOW_OK;
    } else if (err == OXBOW_OK) {
        (void)snprintf(text, sizeof text,
                       "Value at:0x0 refcount:1 encoding:%s serializedlength:%llu lru:0 "
                       "lru_seconds_idle:0",
                       encoding, (unsigned long long)bytes);
        resp_simple(call->reply, text);
    }
    if (lsn != 0) {
        resp_client_gate(call->client, lsn);
    }
    return err;
}

/* What stands in the way of closing the store; NULL: nothing does. */
static const char *why_not(const struct resp_call *call)
{
    const struct oxbow_resp *s = call->server;

    if (call->txn != NULL) {
        return "ERR DEBUG RELOAD is not possible within MULTI: a transaction is open in the store";
    }
    if (s->config.reopen == NULL) {
        return "ERR DEBUG RELOAD: this server's program does not close its store";
    }
    if (s->config.uplink != NULL) {
        return "ERR DEBUG RELOAD: the uplink works on the store, which cannot be closed before the "
               "server ends";
    }
    if (s->backup != NULL) {
        return "ERR DEBUG RELOAD: a backup of the store is being read: try again when it is over";
    }
    return NULL;
}

static enum oxbow_err debug_reload(struct resp_call *call)
{
    const char *why = why_not(call);
    enum oxbow_err err;

    if (why != NULL) {
        return resp_refuse(call, why);
    }
    err = resp_reload(call->server);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

/* Of snapshots and logs that are loaded: there are none. */
static enum oxbow_err debug_reload_with(struct resp_call *call)
{
    for (uint32_t i = 2; i < call->count; i++) {
        if (!resp_arg_is(call->args[i], "merge") && !resp_arg_is(call->args[i], "noflush") &&
            !resp_arg_is(call->args[i], "nosave")) {
            return resp_refuse(
                call, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
        }
    }
    return resp_refuse(call, "ERR DEBUG RELOAD takes no options here: nothing is loaded from a "
                             "snapshot, the store is opened again as it is");
}

static enum oxbow_err debug_accept(struct resp_call *call)
{
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err debug_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LOADAOF",
        "    The same as RELOAD.",
        "OBJECT <key>",
        "RELOAD",
        "    Closes the store and opens it again.",
        "SLEEP <seconds>",
        "HELP",
        "and, without effect: CHANGE-REPL-ID, JMAP, PAUSE-CRON <0|1>,",
        "QUICKLIST-PACKED-THRESHOLD <size>, SET-ACTIVE-EXPIRE <0|1>,",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        NULL,
    };

    return resp_lines(call, lines);
}

/* ---- DEBUG ---- */

static const struct {
    const char *name;
    uint32_t count; /* of arguments, DEBUG among them; 0: any */
    enum oxbow_err (*run)(struct resp_call *call);
} subs[] = {
    {"change-repl-id", 2, debug_accept},
    {"help", 2, debug_help},
    {"jmap", 0, debug_accept},
    {"loadaof", 2, debug_reload},
    {"object", 3, debug_object},
    {"pause-cron", 3, debug_accept},
    {"quicklist-packed-threshold", 3, debug_accept},
    {"reload", 2, debug_reload},
    {"reload", 0, debug_reload_with},
    {"set-active-expire", 3, debug_accept},
    {"set-disable-deny-scripts", 3, debug_accept},
    {"sleep", 3, debug_sleep},
};

static enum oxbow_err cmd_debug(struct resp_call *call)
{
    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++) {
        if (resp_arg_is(call->args[1], subs[i].name) &&
            (subs[i].count == 0 || subs[i].count == call->count)) {
            return subs[i].run(call);
        }
    }
    return resp_refuse_subcommand(call);
}

void resp_get_debug(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s",
                   s->config.debug == OXBOW_RESP_DEBUG_YES     ? "yes"
                   : s->config.debug == OXBOW_RESP_DEBUG_LOCAL ? "local"
                                                               : "no");
}

const struct resp_command resp_debug_commands[] = {
    {"debug", cmd_debug, -2,
     RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_PROTECTED | RESP_ALONE,
     RESP_CAT_DANGEROUS, 0, 0, 0, "1.0.0",
     "For tests of programs: keeps everybody waiting, or opens the store again", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
