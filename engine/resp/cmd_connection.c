/* SPDX-License-Identifier: Apache-2.0 */
/* The connection's own commands: database, CLIENT. Who it is: cmd_auth.c. */
#include "engine/resp/args.h"
#include "engine/resp/cmd_client.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

/* ---- small ones ---- */

static enum oxbow_err cmd_ping(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;

    if (call->count > 2) {
        return resp_refuse_arity(call);
    }
    if (resp_subscribed(c) > 0 && call->reply->version == 2) {
        resp_array(call->reply, 2);
        resp_bulk_text(call->reply, "pong");
        resp_bulk(call->reply, call->count == 2 ? call->args[1] : (struct oxbow_bytes){"", 0});
    } else if (call->count == 2) {
        resp_bulk(call->reply, call->args[1]);
    } else {
        resp_simple(call->reply, "PONG");
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_echo(struct resp_call *call)
{
    resp_bulk(call->reply, call->args[1]);
    return OXBOW_OK;
}

static enum oxbow_err cmd_quit(struct resp_call *call)
{
    resp_ok(call->reply);
    resp_client_end_soon(call->client);
    return OXBOW_OK;
}

static enum oxbow_err cmd_reset(struct resp_call *call)
{
    resp_client_reset(call->client);
    resp_simple(resp_client_answer(call->client), "RESET"); /* it wants answers again */
    return OXBOW_OK;
}

static enum oxbow_err cmd_select(struct resp_call *call)
{
    int64_t database;

    if (!resp_arg_int(call->args[1], &database)) {
        return resp_refuse_integer(call);
    }
    if (database < 0 || database >= OXBOW_RESP_DATABASES) {
        return resp_refuse(call, "ERR DB index is out of range");
    }
    call->client->database = (uint32_t)database;
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* ---- CLIENT ---- */

bool resp_name_fits(struct oxbow_bytes name)
{
    const char *p = name.data;

    for (size_t i = 0; i < name.len; i++) {
        if (p[i] < '!' || p[i] > '~') {
            return false;
        }
    }
    return true;
}

enum oxbow_err resp_text_set(struct buf *to, struct oxbow_bytes text)
{
    to->len = 0;
    return text.len == 0 ? OXBOW_OK : buf_append(to, text.data, text.len);
}

static enum oxbow_err client_id(struct resp_call *call)
{
    resp_int(call->reply, (int64_t)call->client->id);
    return OXBOW_OK;
}

static enum oxbow_err client_setname(struct resp_call *call)
{
    enum oxbow_err err;

    if (!resp_name_fits(call->args[2])) {
        return resp_refuse(
            call, "ERR Client names cannot contain spaces, newlines or special characters.");
    }
    err = resp_text_set(&call->client->name, call->args[2]);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err client_getname(struct resp_call *call)
{
    const struct buf *name = &call->client->name;

    if (name->len == 0) {
        resp_null(call->reply);
    } else {
        resp_bulk(call->reply, (struct oxbow_bytes){name->data, name->len});
    }
    return OXBOW_OK;
}

static enum oxbow_err client_setinfo(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    bool is_name = resp_arg_is(call->args[2], "lib-name");
    enum oxbow_err err;

    if (!is_name && !resp_arg_is(call->args[2], "lib-ver")) {
        resp_error_format(call->reply, "ERR Unrecognized option '%.*s'",
                          (int)(call->args[2].len < 64 ? call->args[2].len : 64),
                          (const char *)call->args[2].data);
        return OXBOW_OK;
    }
    if (!resp_name_fits(call->args[3])) {
        resp_error_format(call->reply,
                          "ERR %s cannot contain spaces, newlines or special characters.",
                          is_name ? "lib-name" : "lib-ver");
        return OXBOW_OK;
    }
    err = resp_text_set(is_name ? &c->lib_name : &c->lib_version, call->args[3]);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

#define FLAGS_MAX 12u

/* Redis' letters, in its order. */
static void flags_of(const struct oxbow_resp_client *c, char out[FLAGS_MAX])
{
    const struct {
        char letter;
        bool is;
    } flags[] = {{'O', !link_alone(&c->monitor)},
                 {'P', resp_subscribed(c) > 0},
                 {'x', c->multi.on},
                 {'b', c->block.on || !link_alone(&c->paused)},
                 {'t', c->tracking.on},
                 {'R', c->tracking.broken},
                 {'B', c->tracking.bcast},
                 {'d', c->multi.dirty},
                 {'c', c->closing},
                 {'U', c->addr[0] == '/'}, /* the path of a Unix socket */
                 {'e', c->no_evict}};
    size_t n = 0;

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].is) {
            out[n++] = flags[i].letter;
        }
    }
    if (n == 0) {
        out[n++] = 'N';
    }
    out[n] = '\0';
}

static void refuse_type(struct resp_call *call, struct oxbow_bytes type)
{
    resp_error_format(call->reply, "ERR Unknown client type '%.*s'",
                      (int)(type.len < 64 ? type.len : 64), (const char *)type.data);
}

enum oxbow_err resp_client_line(const struct oxbow_resp_client *c, struct buf *out)
{
    const struct oxbow_resp *s = c->server;
    const struct resp_command *last = c->last;
    char text[1024];
    char flags[FLAGS_MAX];
    int len;

    flags_of(c, flags);
    len = snprintf(
        text, sizeof text,
        "id=%llu addr=%s laddr=%s fd=%d name=%.*s age=%llu idle=%llu flags=%s db=%u sub=%u psub=%u "
        "ssub=%u multi=%d qbuf=%zu qbuf-free=0 argv-mem=0 multi-mem=%zu rbs=%zu rbp=0 obl=%zu "
        "oll=0 "
        "omem=%zu tot-mem=%zu events=r cmd=%s user=%.*s redir=%lld resp=%d lib-name=%.*s "
        "lib-ver=%.*s\n",
        (unsigned long long)c->id, c->addr, c->laddr, c->fd,
        (int)(c->name.len < 128 ? c->name.len : 128), (const char *)c->name.data,
        (unsigned long long)((s->now_us - c->opened_us) / 1000000),
        (unsigned long long)((s->now_us - c->used_us) / 1000000), flags, c->database, c->channels,
        c->patterns, c->shards, c->multi.on ? (int)c->multi.count : -1, resp_reader_pending(&c->in),
        c->multi.queue.cap, resp_reply_memory(&c->out), resp_reply_pending(&c->out),
        resp_reply_memory(&c->out),
        sizeof *c + resp_reader_memory(&c->in) + resp_reply_memory(&c->out),
        last != NULL ? last->name : "NULL", (int)(c->who->len < 128 ? c->who->len : 128),
        (const char *)c->who->name, c->tracking.on ? (long long)c->tracking.redirect : -1LL,
        c->out.version, (int)(c->lib_name.len < 64 ? c->lib_name.len : 64),
        (const char *)c->lib_name.data, (int)(c->lib_version.len < 64 ? c->lib_version.len : 64),
        (const char *)c->lib_version.data);
    return buf_append(out, text, (size_t)len);
}

static enum oxbow_err reply_text(struct resp_call *call, struct buf *text, enum oxbow_err err)
{
    if (err == OXBOW_OK) {
        resp_verbatim(call->reply, (struct oxbow_bytes){text->data, text->len});
    }
    buf_fini(text);
    return err;
}

#define LIST_BYTES_MAX ((size_t)64 << 20)

static enum oxbow_err client_info(struct resp_call *call)
{
    struct buf text;

    buf_init(&text, resp_alloc(call->server), LIST_BYTES_MAX);
    return reply_text(call, &text, resp_client_line(call->client, &text));
}

static bool is_of_type(const struct oxbow_resp_client *c, struct oxbow_bytes type)
{
    bool pubsub = resp_subscribed(c) > 0;

    return resp_arg_is(type, pubsub ? "pubsub" : "normal");
}

static bool type_known(struct oxbow_bytes type)
{
    return resp_arg_is(type, "normal") || resp_arg_is(type, "pubsub") ||
           resp_arg_is(type, "master") || resp_arg_is(type, "replica") ||
           resp_arg_is(type, "slave");
}

static bool is_among(const struct resp_call *call, uint32_t first, uint64_t id)
{
    for (uint32_t i = first; i < call->count; i++) {
        int64_t v;

        if (resp_arg_int(call->args[i], &v) && v > 0 && (uint64_t)v == id) {
            return true;
        }
    }
    return false;
}

static enum oxbow_err client_list(struct resp_call *call)
{
    bool by_type = call->count == 4 && resp_arg_is(call->args[2], "type");
    bool by_id = call->count >= 4 && resp_arg_is(call->args[2], "id");
    enum oxbow_err err = OXBOW_OK;
    struct buf text;

    if (call->count > 2 && !by_type && !by_id) {
        return resp_refuse_syntax(call);
    }
    if (by_type && !type_known(call->args[3])) {
        refuse_type(call, call->args[3]);
        return OXBOW_OK;
    }
    for (uint32_t i = 3; by_id && i < call->count; i++) {
        int64_t v;

        if (!resp_arg_int(call->args[i], &v) || v <= 0) {
            return resp_refuse(call, "ERR Invalid client ID");
        }
    }
    buf_init(&text, resp_alloc(call->server), LIST_BYTES_MAX);
    for (const struct link *l = call->server->clients.next;
         err == OXBOW_OK && l != &call->server->clients; l = l->next) {
        const struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if ((!by_type || is_of_type(c, call->args[3])) && (!by_id || is_among(call, 3, c->id))) {
            err = resp_client_line(c, &text);
        }
    }
    return reply_text(call, &text, err);
}

/* ---- CLIENT KILL ---- */

struct kill {
    uint64_t id; /* 0: any */
    const struct oxbow_bytes *type;
    const struct oxbow_bytes *addr;
    const struct oxbow_bytes *laddr;
    const struct oxbow_bytes *user;
    bool skip_me;
};

static bool text_is(const char *text, const struct oxbow_bytes *b)
{
    return strlen(text) == b->len && memcmp(text, b->data, b->len) == 0;
}

static bool kill_matches(const struct kill *k, const struct oxbow_resp_client *c)
{
    return (k->id == 0 || k->id == c->id) && (k->type == NULL || is_of_type(c, *k->type)) &&
           (k->addr == NULL || text_is(c->addr, k->addr)) &&
           (k->laddr == NULL || text_is(c->laddr, k->laddr)) &&
           (k->user == NULL ||
            (k->user->len == c->who->len && memcmp(k->user->data, c->who->name, c->who->len) == 0));
}

static int64_t kill_all(struct resp_call *call, const struct kill *k)
{
    int64_t n = 0;

    for (struct link *l = call->server->clients.next; l != &call->server->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (c->closing || !kill_matches(k, c) || (c == call->client && k->skip_me)) {
            continue;
        }
        n++;
        if (c == call->client) {
            resp_client_end_soon(c); /* its reply comes first */
        } else {
            resp_client_kill(c);
        }
    }
    return n;
}

/* NULL, or empty: there is no such user, which was said. */
static const char *kill_user(struct resp_call *call, struct kill *k, const struct oxbow_bytes *name)
{
    k->user = name;
    if (acl_find(&call->server->acl, *name) != NULL) {
        return NULL;
    }
    resp_error_format(call->reply, "ERR No such user '%.*s'",
                      (int)(name->len < 64 ? name->len : 64), (const char *)name->data);
    return "";
}

/* Reads filter and value pairs; the text of what is wrong, empty if that was said; or NULL. */
static const char *kill_options(struct resp_call *call, struct kill *k)
{
    for (uint32_t i = 2; i < call->count; i += 2) {
        const struct oxbow_bytes *v = &call->args[i + 1];
        int64_t id;

        if (i + 1 == call->count) {
            return "ERR syntax error";
        }
        if (resp_arg_is(call->args[i], "id")) {
            if (!resp_arg_int(*v, &id) || id <= 0) {
                return "ERR client-id should be greater than 0";
            }
            k->id = (uint64_t)id;
        } else if (resp_arg_is(call->args[i], "type")) {
            if (!type_known(*v)) {
                refuse_type(call, *v);
                return "";
            }
            k->type = v;
        } else if (resp_arg_is(call->args[i], "addr")) {
            k->addr = v;
        } else if (resp_arg_is(call->args[i], "laddr")) {
            k->laddr = v;
        } else if (resp_arg_is(call->args[i], "user")) {
            const char *bad = kill_user(call, k, v);

            if (bad != NULL) {
                return bad;
            }
        } else if (resp_arg_is(call->args[i], "skipme") &&
                   (resp_arg_is(*v, "yes") || resp_arg_is(*v, "no"))) {
            k->skip_me = resp_arg_is(*v, "yes");
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

static enum oxbow_err client_kill(struct resp_call *call)
{
    struct kill k = {.skip_me = true};
    const char *bad;

    if (call->count == 3) {
        k.addr = &call->args[2];
        k.skip_me = false;
        if (kill_all(call, &k) == 0) {
            return resp_refuse(call, "ERR No such client");
        }
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    bad = kill_options(call, &k);
    if (bad != NULL) {
        return bad[0] == '\0' ? OXBOW_OK : resp_refuse(call, bad);
    }
    resp_int(call->reply, kill_all(call, &k));
    return OXBOW_OK;
}

static enum oxbow_err client_unblock(struct resp_call *call)
{
    bool as_error = call->count == 4 && resp_arg_is(call->args[3], "error");
    int64_t id;

    if (call->count > 4) {
        return resp_refuse_subcommand(call);
    }
    if (call->count == 4 && !as_error && !resp_arg_is(call->args[3], "timeout")) {
        return resp_refuse(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    }
    if (!resp_arg_int(call->args[2], &id)) {
        return resp_refuse_integer(call);
    }
    for (struct link *l = call->server->clients.next; l != &call->server->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (c->id == (uint64_t)id && c->block.on) {
            if (as_error) {
                resp_error(resp_client_answer(c), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
            } else {
                resp_block_nothing(c);
            }
            resp_client_gate(c, 0);
            resp_block_end(c);
            resp_int(call->reply, 1);
            return OXBOW_OK;
        }
    }
    resp_int(call->reply, 0);
    return OXBOW_OK;
}

static enum oxbow_err client_no_evict(struct resp_call *call)
{
    bool on = resp_arg_is(call->args[2], "on");

    if (!on && !resp_arg_is(call->args[2], "off")) {
        return resp_refuse_syntax(call);
    }
    call->client->no_evict = on;
    resp_ok(call->reply);
    return OXBOW_OK;
}

#define SUB      (RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_ALONE)
#define SUB_FREE (RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_PURE)
#define C        RESP_CAT_CONNECTION

static const struct resp_command client_subs[] = {
    {"client|id", client_id, 2, SUB_FREE, C, 0, 0, 0, "5.0.0", "This connection's number", NULL},
    {"client|setname", client_setname, 3, SUB, C, 0, 0, 0, "2.6.9", "Names this connection", NULL},
    {"client|getname", client_getname, 2, SUB_FREE, C, 0, 0, 0, "2.6.9", "This connection's name",
     NULL},
    {"client|setinfo", client_setinfo, 4, SUB, C, 0, 0, 0, "7.2.0",
     "Notes which library this connection is made by", NULL},
    {"client|info", client_info, 2, SUB_FREE, C, 0, 0, 0, "6.2.0", "What this connection is like",
     NULL},
    {"client|list", client_list, -2, SUB_FREE | RESP_ADMIN, C, 0, 0, 0, "2.4.0",
     "What all connections are like", NULL},
    {"client|kill", client_kill, -3, SUB | RESP_ADMIN, C, 0, 0, 0, "2.4.0", "Closes connections",
     NULL},
    {"client|unblock", client_unblock, -3, SUB | RESP_ADMIN | RESP_NO_MULTI, C, 0, 0, 0, "5.0.0",
     "Ends another connection's wait", NULL},
    {"client|no-evict", client_no_evict, 3, SUB | RESP_ADMIN, C, 0, 0, 0, "7.0.0",
     "Accepted without effect: connections are not evicted", NULL},
    {"client|reply", resp_client_reply, 3, SUB, C, 0, 0, 0, "3.2.0",
     "Answers this connection from now on, or does not, or not its next command", NULL},
    {"client|pause", resp_client_pause, -3, SUB | RESP_ADMIN, C, 0, 0, 0, "2.9.50",
     "Has commands wait for a while, all or those that write", NULL},
    {"client|unpause", resp_client_unpause, 2, SUB | RESP_ADMIN, C, 0, 0, 0, "6.2.0",
     "Has them wait no longer", NULL},
    {"client|tracking", resp_client_tracking, -3, SUB, C, 0, 0, 0, "6.0.0",
     "Tells this connection, or another, when keys change that it has read", NULL},
    {"client|caching", resp_client_caching, 3, SUB, C, 0, 0, 0, "6.0.0",
     "Says whether what the next command reads is tracked", NULL},
    {"client|getredir", resp_client_getredir, 2, SUB_FREE, C, 0, 0, 0, "6.0.0",
     "The number of the connection that is told", NULL},
    {"client|trackinginfo", resp_client_trackinginfo, 2, SUB_FREE, C, 0, 0, 0, "6.2.0",
     "What is tracked for this connection", NULL},
    {"client|help", resp_client_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, C, 0, 0, 0, "5.0.0",
     "Says what CLIENT takes", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

#define ALWAYS (RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_FAST | RESP_NO_AUTH)

const struct resp_command resp_connection_commands[] = {
    {"ping", cmd_ping, -1, RESP_FAST | RESP_PURE | RESP_SUBSCRIBED | RESP_SENTINEL, C, 0, 0, 0,
     "1.0.0", "Answers", NULL},
    {"echo", cmd_echo, 2, RESP_FAST | RESP_LOADING | RESP_STALE | RESP_PURE, C, 0, 0, 0, "1.0.0",
     "Answers what it was given", NULL},
    {"select", cmd_select, 2, RESP_LOADING | RESP_STALE | RESP_FAST | RESP_ALONE, C, 0, 0, 0,
     "1.0.0", "Goes on in another database", NULL},
    {"quit", cmd_quit, -1, ALWAYS | RESP_ALONE | RESP_NOT_QUEUED | RESP_SUBSCRIBED, C, 0, 0, 0,
     "1.0.0", "Ends the connection", NULL},
    {"reset", cmd_reset, 1, ALWAYS | RESP_ALONE | RESP_NOT_QUEUED | RESP_SUBSCRIBED, C, 0, 0, 0,
     "6.2.0", "Makes the connection as it was when it began", NULL},
    {"client", NULL, -2, RESP_SENTINEL, 0, 0, 0, 0, "2.4.0", "Of connections", client_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
