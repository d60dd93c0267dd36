/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the server itself: INFO, COMMAND, TIME and their like; CONFIG is cmd_config.c's. */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_info.h"
#include "engine/resp/glob.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define INFO_BYTES_MAX 524288u /* 256 forwards have a line each */

static enum oxbow_err cmd_info(struct resp_call *call)
{
    struct buf text;
    enum oxbow_err err;

    buf_init(&text, resp_alloc(call->server), INFO_BYTES_MAX);
    err = resp_info(call, &text);
    if (err == OXBOW_OK) {
        resp_verbatim(call->reply, (struct oxbow_bytes){text.data, text.len});
    }
    buf_fini(&text);
    return err;
}

static enum oxbow_err cmd_time(struct resp_call *call)
{
    const struct oxbow_clock *clock = &call->server->port->clock;
    uint64_t ms = clock->wall_ms(clock->ctx);

    resp_array(call->reply, 2);
    resp_bulk_int(call->reply, (int64_t)(ms / 1000));
    resp_bulk_int(call->reply, (int64_t)(ms % 1000 * 1000 + clock->mono_us(clock->ctx) % 1000));
    return OXBOW_OK;
}

static enum oxbow_err cmd_role(struct resp_call *call)
{
    if (call->client->sentinel) {
        return resp_sentinel_role(call);
    }
    resp_array(call->reply, 3);
    resp_bulk_text(call->reply, "master");
    resp_int(call->reply, 0);
    resp_array(call->reply, 0);
    return OXBOW_OK;
}

/* It is a master already, and stays one. */
static enum oxbow_err cmd_replicaof(struct resp_call *call)
{
    if (!resp_arg_is(call->args[1], "no") || !resp_arg_is(call->args[2], "one")) {
        return resp_refuse(call,
                           "ERR This server cannot be a replica: NO ONE is all that it takes");
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* NULL, or what is wrong with the arguments: how data is saved and who is waited for is nothing that
 * could be chosen here, but what makes no sense is refused as in Redis. */
static const char *shutdown_options(const struct resp_call *call)
{
    uint32_t save = 0;
    uint32_t nosave = 0;
    uint32_t abort = 0;

    for (uint32_t i = 1; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "save")) {
            save++;
        } else if (resp_arg_is(call->args[i], "nosave")) {
            nosave++;
        } else if (resp_arg_is(call->args[i], "abort")) {
            abort++;
        } else if (!resp_arg_is(call->args[i], "now") && !resp_arg_is(call->args[i], "force")) {
            return "ERR syntax error";
        }
    }
    if ((save > 0 && nosave > 0) || (abort > 0 && abort + 1 < call->count)) {
        return "ERR syntax error";
    }
    return abort > 0 ? "ERR No shutdown in progress." : NULL;
}

static enum oxbow_err cmd_shutdown(struct resp_call *call)
{
    const char *wrong = shutdown_options(call);

    if (wrong != NULL) {
        return resp_refuse(call, wrong);
    }
    if (call->server->config.shutdown == NULL) {
        return resp_refuse(call, "ERR Errors trying to SHUTDOWN. Check logs.");
    }
    call->server->config.shutdown(call->server->config.ctx);
    resp_client_end_soon(call->client);
    return OXBOW_OK;
}

/* ---- COMMAND ---- */

static const struct {
    uint32_t flag;
    const char *name;
} flag_names[] = {
    {RESP_WRITE, "write"},         {RESP_READONLY, "readonly"},      {RESP_DENYOOM, "denyoom"},
    {RESP_ADMIN, "admin"},         {RESP_PUBSUB, "pubsub"},          {RESP_NOSCRIPT, "noscript"},
    {RESP_BLOCKING, "blocking"},   {RESP_LOADING, "loading"},        {RESP_STALE, "stale"},
    {RESP_FAST, "fast"},           {RESP_NO_AUTH, "no_auth"},        {RESP_NO_MULTI, "no_multi"},
    {RESP_MOVABLE, "movablekeys"}, {RESP_SKIP_LOGS, "skip_slowlog"},
};

static void row_flags(struct resp_reply *r, const struct resp_command *row)
{
    struct resp_later later = resp_set_later(r);
    size_t n = 0;

    for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++) {
        if ((row->flags & flag_names[i].flag) != 0) {
            resp_simple(r, flag_names[i].name);
            n++;
        }
    }
    resp_later_set(r, later, n);
}

static void row_categories(struct resp_reply *r, const struct resp_command *row)
{
    struct resp_later later = resp_set_later(r);
    size_t n = 0;

    for (const struct acl_category *cat = acl_categories; cat->name != NULL; cat++) {
        if (acl_in_category(cat, row)) {
            char name[RESP_NAME_MAX];

            (void)snprintf(name, sizeof name, "@%s", cat->name);
            resp_simple(r, name);
            n++;
        }
    }
    resp_later_set(r, later, n);
}

static void row_head(struct resp_reply *r, const struct resp_command *row)
{
    resp_array(r, 10);
    resp_bulk_text(r, row->name);
    resp_int(r, row->arity);
    row_flags(r, row);
    resp_int(r, row->first);
    resp_int(r, row->last);
    resp_int(r, row->step);
    row_categories(r, row);
    resp_array(r, 0); /* tips */
    resp_array(r, 0); /* key specifications */
}

static void row_info(struct resp_reply *r, const struct resp_command *row)
{
    size_t subs = 0;

    if (row == NULL) {
        resp_null(r);
        return;
    }
    row_head(r, row);
    while (row->subs != NULL && row->subs[subs].name != NULL) {
        subs++;
    }
    resp_array(r, subs);
    for (size_t i = 0; i < subs; i++) {
        row_head(r, &row->subs[i]);
        resp_array(r, 0);
    }
}

static void row_docs(struct resp_reply *r, const struct resp_command *row)
{
    resp_bulk_text(r, row->name);
    resp_map(r, 2);
    resp_bulk_text(r, "summary");
    resp_bulk_text(r, row->summary);
    resp_bulk_text(r, "since");
    resp_bulk_text(r, row->since);
}

/* The next row that is served to the client; *i goes behind it. NULL: that was the last. */
static const struct resp_command *next_row(const struct resp_call *call, uint32_t *i)
{
    const struct resp_command *row;

    do {
        row = resp_table_row((*i)++);
    } while (row != NULL && !resp_served_to(call->client, row));
    return row;
}

static enum oxbow_err cmd_command(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply);
    const struct resp_command *row;
    uint32_t i = 0;
    size_t n = 0;

    while ((row = next_row(call, &i)) != NULL) {
        row_info(call->reply, row);
        n++;
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err command_count(struct resp_call *call)
{
    uint32_t i = 0;
    int64_t n = 0;

    while (next_row(call, &i) != NULL) {
        n++;
    }
    resp_int(call->reply, n);
    return OXBOW_OK;
}

/* A command, or a subcommand by its full name, as "config|get". NULL: the client has none. */
static const struct resp_command *named(const struct resp_call *call, struct oxbow_bytes name)
{
    const char *bar = name.len > 0 ? memchr(name.data, '|', name.len) : NULL;
    const struct oxbow_bytes first = {
        name.data, bar == NULL ? name.len : (size_t)(bar - (const char *)name.data)};

    return resp_find(call->client, first) != NULL ? resp_table_find_full(&call->server->table, name)
                                                  : NULL;
}

static enum oxbow_err command_info(struct resp_call *call)
{
    if (call->count == 2) {
        return cmd_command(call);
    }
    resp_array(call->reply, call->count - 2);
    for (uint32_t i = 2; i < call->count; i++) {
        row_info(call->reply, named(call, call->args[i]));
    }
    return OXBOW_OK;
}

static enum oxbow_err command_docs(struct resp_call *call)
{
    struct resp_later later = resp_map_later(call->reply);
    const struct resp_command *row;
    uint32_t at = 0;
    size_t n = 0;

    for (uint32_t i = 2; i < call->count; i++) {
        row = named(call, call->args[i]);
        if (row != NULL) {
            row_docs(call->reply, row);
            n++;
        }
    }
    while (call->count == 2 && (row = next_row(call, &at)) != NULL) {
        row_docs(call->reply, row);
        n++;
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static void key_use(struct resp_reply *r, uint8_t use)
{
    static const char *const names[] = {"RO",     "RW",     "OW",     "RM",
                                        "access", "update", "insert", "delete"};
    struct resp_later later = resp_set_later(r);
    size_t n = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((use >> i & 1u) != 0) {
            resp_simple(r, names[i]);
            n++;
        }
    }
    resp_later_set(r, later, n);
}

static enum oxbow_err getkeys(struct resp_call *call, bool uses)
{
    const struct resp_command *row = resp_find(call->client, call->args[2]);
    uint32_t count = call->count - 2;
    struct resp_keys keys;

    if (row != NULL && row->subs != NULL && count > 1) {
        row = resp_sub_find(row, call->args[3]);
    }
    if (row == NULL) {
        return resp_refuse(call, "ERR Invalid command specified");
    }
    if (!resp_command_has_keys(row)) {
        return resp_refuse(call, "ERR The command has no key arguments");
    }
    if ((row->arity > 0 && count != (uint32_t)row->arity) ||
        (row->arity < 0 && count < (uint32_t)-row->arity)) {
        return resp_refuse(call, "ERR Invalid number of arguments specified for command");
    }
    if (resp_command_keys(row, call->args + 2, count, &keys) != RESP_KEYS_FOUND) {
        if (strncmp(row->name, "eval", 4) == 0) { /* scripts need no keys */
            resp_array(call->reply, 0);
            return OXBOW_OK;
        }
        return resp_refuse(call, "ERR Invalid arguments specified for command");
    }
    resp_array(call->reply, resp_keys_count(&keys));
    for (uint32_t i = 0; i < resp_keys_count(&keys); i++) {
        if (uses) {
            resp_array(call->reply, 2);
        }
        resp_bulk(call->reply, call->args[2 + resp_keys_at(&keys, i)]);
        if (uses) {
            key_use(call->reply, resp_key_use(row, call->args + 2, count, i));
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err command_getkeys(struct resp_call *call)
{
    return getkeys(call, false);
}

static enum oxbow_err command_getkeysandflags(struct resp_call *call)
{
    return getkeys(call, true);
}

static enum oxbow_err command_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "COUNT",
        "DOCS [<command> ...]",
        "GETKEYS <full-command>",
        "GETKEYSANDFLAGS <full-command>",
        "INFO [<command> ...]",
        "LIST [FILTERBY MODULE|ACLCAT|PATTERN <value>]",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

#define FREE  (RESP_LOADING | RESP_STALE | RESP_PURE)
#define ADMIN (RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE)
#define D     RESP_CAT_DANGEROUS

static const struct resp_command command_subs[] = {
    {"command|count", command_count, 2, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "2.8.13",
     "How many commands there are", NULL},
    {"command|info", command_info, -2, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "2.8.13",
     "What commands are like", NULL},
    {"command|docs", command_docs, -2, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "7.0.0",
     "What commands are for", NULL},
    {"command|list", resp_command_list, -2, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "7.0.0",
     "The names of commands: all, or those of a category or pattern", NULL},
    {"command|getkeys", command_getkeys, -4, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "2.8.13",
     "The keys among a command's arguments", NULL},
    {"command|getkeysandflags", command_getkeysandflags, -4, FREE, RESP_CAT_CONNECTION, 0, 0, 0,
     "7.0.0", "The keys among a command's arguments, and what it does with them", NULL},
    {"command|help", command_help, 2, FREE, RESP_CAT_CONNECTION, 0, 0, 0, "5.0.0",
     "What COMMAND can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

#define REPLICA (RESP_ADMIN | RESP_NOSCRIPT | RESP_STALE | RESP_PURE)

const struct resp_command resp_server_commands[] = {
    {"info", cmd_info, -1, RESP_LOADING | RESP_STALE | RESP_SENTINEL, D, 0, 0, 0, "1.0.0",
     "The server as text", NULL},
    {"time", cmd_time, 1, FREE | RESP_FAST, 0, 0, 0, 0, "2.6.0", "What time it is here", NULL},
    {"role", cmd_role, 1, FREE | RESP_FAST | RESP_NOSCRIPT | RESP_SENTINEL, D | RESP_CAT_ADMIN, 0,
     0, 0, "2.8.12", "Which part in replication: always a master", NULL},
    {"replicaof", cmd_replicaof, 3, REPLICA, D, 0, 0, 0, "5.0.0",
     "Of NO ONE: it is a master anyway", NULL},
    {"slaveof", cmd_replicaof, 3, REPLICA, D, 0, 0, 0, "1.0.0", "The same", NULL},
    {"shutdown", cmd_shutdown, -1, ADMIN | RESP_ALONE | RESP_NO_MULTI | RESP_SENTINEL, D, 0, 0, 0,
     "1.0.0", "Ends the server in order", NULL},
    {"config", NULL, -2, 0, 0, 0, 0, 0, "2.0.0", "Of settings", resp_config_subs},
    {"command", cmd_command, -1, FREE | RESP_SENTINEL, RESP_CAT_CONNECTION, 0, 0, 0, "2.8.13",
     "What commands are like", command_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
