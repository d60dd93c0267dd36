/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is: AUTH and HELLO; and whether it may give a command: what is refused is logged. */
#include "engine/resp/args.h"
#include "engine/resp/cmd_acl.h"
#include "engine/resp/server.h"

#include <string.h>

#define LINE_MAX 4096u

/* ---- what it may do ---- */

bool resp_must_login(const struct oxbow_resp_client *c)
{
    const struct acl_user *standard = c->server->acl.standard;

    return !c->authenticated && !(standard->nopass && standard->on);
}

void resp_login_default(struct oxbow_resp_client *c)
{
    c->who = c->server->acl.standard;
    c->authenticated = c->who->nopass && c->who->on;
    resp_client_limits(c);
}

static void note(struct oxbow_resp_client *c, enum acl_verdict verdict, const char *context,
                 struct oxbow_bytes object, struct oxbow_bytes user)
{
    struct buf line;
    struct oxbow_bytes text = {"", 0};

    buf_init(&line, resp_alloc(c->server), LINE_MAX);
    if (resp_client_line(c, &line) == OXBOW_OK) {
        text = (struct oxbow_bytes){line.data, line.len - 1};
    }
    acl_log_add(&c->server->acl, verdict, context, object, user, text);
    buf_fini(&line);
}

enum acl_verdict resp_acl_check(const struct resp_call *call, const char *context)
{
    struct oxbow_resp_client *c = call->client;
    uint32_t arg;
    enum acl_verdict verdict;

    if (acl_root(c->who)->all_commands && acl_root(c->who)->all_keys &&
        acl_root(c->who)->all_channels) {
        return ACL_ALLOWED;
    }
    verdict = acl_check(&c->server->acl, c->who, call, &arg);
    if (verdict == ACL_DENIED_COMMAND) {
        note(c, verdict, context, (struct oxbow_bytes){call->row->name, strlen(call->row->name)},
             acl_name(c->who));
    } else if (verdict != ACL_ALLOWED) {
        note(c, verdict, context, call->args[arg], acl_name(c->who));
    }
    return verdict;
}

/* ---- authentication ---- */

static bool login(struct resp_call *call, struct oxbow_bytes name, struct oxbow_bytes password)
{
    struct oxbow_resp_client *c = call->client;
    struct acl_user *user = acl_find(&c->server->acl, name);
    /* An unknown name takes as long as a known one. */
    bool fits = acl_password_fits(user != NULL ? user : c->server->acl.standard, password);

    if (user == NULL || !fits) {
        note(c, ACL_DENIED_AUTH, call->txn != NULL ? "multi" : "toplevel", call->args[0], name);
        return false;
    }
    c->who = user;
    c->authenticated = true;
    resp_client_limits(c);
    return true;
}

#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."

static enum oxbow_err cmd_auth(struct resp_call *call)
{
    bool named = call->count == 3;

    if (call->count > 3) {
        return resp_refuse_syntax(call);
    }
    if (!named && call->server->acl.standard->nopass) {
        return resp_refuse(call, "ERR AUTH <password> called without any password configured for "
                                 "the default user. Are you sure your configuration is correct?");
    }
    if (!login(call, named ? call->args[1] : acl_name(call->server->acl.standard),
               call->args[named ? 2 : 1])) {
        return resp_refuse(call, WRONG_PASSWORD);
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* ---- HELLO ---- */

static void hello_reply(struct resp_call *call)
{
    bool sentinel = call->client->sentinel;

    resp_map(call->reply, sentinel ? 6 : 7);
    resp_bulk_text(call->reply, "server");
    resp_bulk_text(call->reply, "redis");
    resp_bulk_text(call->reply, "version");
    resp_bulk_text(call->reply, RESP_VERSION);
    resp_bulk_text(call->reply, "proto");
    resp_int(call->reply, call->reply->version);
    resp_bulk_text(call->reply, "id");
    resp_int(call->reply, (int64_t)call->client->id);
    resp_bulk_text(call->reply, "mode");
    resp_bulk_text(call->reply, sentinel ? "sentinel" : "standalone");
    if (!sentinel) {
        resp_bulk_text(call->reply, "role");
        resp_bulk_text(call->reply, "master");
    }
    resp_bulk_text(call->reply, "modules");
    resp_array(call->reply, 0);
}

struct hello {
    int64_t version;
    uint32_t auth; /* argument that is the user's name; 0: none */
    const struct oxbow_bytes *name;
};

/* Reads the arguments. False: they were refused. */
static bool hello_options(struct resp_call *call, struct hello *h)
{
    if (call->count >= 2 && !resp_arg_int(call->args[1], &h->version)) {
        resp_error(call->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (h->version < 2 || h->version > 3) {
        resp_error(call->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    for (uint32_t i = 2; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "auth") && i + 2 < call->count) {
            h->auth = i + 1;
            i += 2;
        } else if (resp_arg_is(call->args[i], "setname") && i + 1 < call->count) {
            h->name = &call->args[++i];
        } else {
            resp_error_format(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                              (int)(call->args[i].len < 64 ? call->args[i].len : 64),
                              (const char *)call->args[i].data);
            return false;
        }
    }
    return true;
}

static enum oxbow_err cmd_hello(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    struct hello h = {.version = call->reply->version};

    if (!hello_options(call, &h)) {
        return OXBOW_OK;
    }
    if (h.auth != 0 && !login(call, call->args[h.auth], call->args[h.auth + 1])) {
        return resp_refuse(call, WRONG_PASSWORD);
    }
    if (resp_must_login(c)) {
        return resp_refuse(call,
                           "NOAUTH HELLO must be called with the client already authenticated, "
                           "otherwise the HELLO AUTH <user> <pass> option can be used to "
                           "authenticate the client and select the RESP protocol version at the "
                           "same time");
    }
    if (h.name != NULL) {
        enum oxbow_err err =
            resp_name_fits(*h.name) ? resp_text_set(&c->name, *h.name) : OXBOW_EINVAL;

        if (err != OXBOW_OK) {
            return err != OXBOW_EINVAL
                       ? err
                       : resp_refuse(call, "ERR Client names cannot contain spaces, newlines or "
                                           "special characters.");
        }
    }
    call->client->out.version = (uint8_t)h.version;
    call->reply->version = (uint8_t)h.version;
    hello_reply(call);
    return OXBOW_OK;
}

#define C RESP_CAT_CONNECTION
#define ALWAYS                                                                                     \
    (RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_FAST | RESP_NO_AUTH | RESP_ALONE |           \
     RESP_SENTINEL)

const struct resp_command resp_auth_commands[] = {
    {"auth", cmd_auth, -2, ALWAYS, C, 0, 0, 0, "1.0.0", "Says who it is", NULL},
    {"hello", cmd_hello, -1, ALWAYS, C, 0, 0, 0, "6.0.0",
     "Agrees on the protocol's version, and says who it is", NULL},
    {"acl", NULL, -2, RESP_SENTINEL, 0, 0, 0, 0, "6.0.0", "Who may do what", resp_acl_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
