/* SPDX-License-Identifier: Apache-2.0 */
/* XGROUP and XACK: groups and consumers made, moved, ended; entries acked. */
#include "engine/resp/cmd_stream.h"

#include "engine/resp/args.h"

#include <string.h>

static struct oxbow_group group_at(const struct resp_call *call, uint32_t key)
{
    return (struct oxbow_group){call->args[key], call->args[key + 1]};
}

/* The subcommand as it was written. */
static enum oxbow_err refuse_sub(struct resp_call *call)
{
    resp_error_format(call->reply,
                      "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP "
                      "HELP.",
                      stream_shown(call->args[1]), (const char *)call->args[1].data);
    return OXBOW_OK;
}

/* Sets *done when it has replied that there is no such stream, or not the group that is needed. */
static enum oxbow_err need(struct resp_call *call, bool group_too, bool *done)
{
    struct oxbow_group group = group_at(call, 2);
    bool there = false;
    bool found = true;
    enum oxbow_err err = stream_there(call, group.key, &there);

    if (err == OXBOW_OK && there && group_too) {
        err = stream_group_there(call, group, &found);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *done = !there || !found;
    if (!there) {
        return resp_refuse(call, "ERR The XGROUP subcommand requires the key to exist. Note that "
                                 "for CREATE you may want to use the MKSTREAM option to create an "
                                 "empty stream automatically.");
    }
    if (!found) {
        resp_error_format(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                          stream_shown(group.name), (const char *)group.name.data,
                          stream_shown(group.key), (const char *)group.key.data);
    }
    return OXBOW_OK;
}

/* Options of CREATE and SETID. *bad: what is to be replied; "" stands for refuse_sub. */
static const char *create_args(struct resp_call *call, bool create,
                               struct oxbow_group_create_options *opt)
{
    for (uint32_t i = 5; i < call->count; i++) {
        int64_t read;

        if (create && resp_arg_is(call->args[i], "mkstream")) {
            opt->make_stream = true;
        } else if (i + 1 < call->count && resp_arg_is(call->args[i], "entriesread")) {
            if (!resp_arg_int(call->args[++i], &read)) {
                return "ERR value is not an integer or out of range";
            }
            if (read < -1) {
                return "ERR value for ENTRIESREAD must be positive or -1";
            }
            opt->has_entries_read = read >= 0;
            opt->entries_read = read >= 0 ? (uint64_t)read : 0;
        } else {
            return "";
        }
    }
    return NULL;
}

static bool is_end(struct oxbow_bytes arg)
{
    return arg.len == 1 && *(const char *)arg.data == '$';
}

static enum oxbow_err create(struct resp_call *call)
{
    struct oxbow_group_create_options opt = {.at_end = is_end(call->args[4])};
    const char *bad = create_args(call, true, &opt);
    bool there = false;
    bool done = false;
    enum oxbow_err err;

    if (bad != NULL) {
        return *bad != '\0' ? resp_refuse(call, bad) : refuse_sub(call);
    }
    err = opt.make_stream ? stream_there(call, call->args[2], &there) : need(call, false, &done);
    if (err != OXBOW_OK || done) {
        return err;
    }
    if (call->count > 8) {
        return refuse_sub(call);
    }
    if (!opt.at_end && !stream_id(call->args[4], 0, &opt.id)) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    err = oxbow_group_create(call->txn, group_at(call, 2), &opt);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        if (opt.make_stream && !there) {
            resp_changed(call, RESP_EVENT_STREAM, "xgroup-create", call->args[2]);
        } else {
            resp_noted(call, RESP_EVENT_STREAM, "xgroup-create", call->args[2]);
        }
    }
    return err;
}

static enum oxbow_err set_id(struct resp_call *call)
{
    struct oxbow_group_create_options opt = {.at_end = is_end(call->args[4])};
    const char *bad = create_args(call, false, &opt);
    bool done = false;
    enum oxbow_err err;

    if (bad != NULL) {
        return *bad != '\0' ? resp_refuse(call, bad) : refuse_sub(call);
    }
    err = need(call, true, &done);
    if (err != OXBOW_OK || done) {
        return err;
    }
    if (call->count > 7) {
        return refuse_sub(call);
    }
    if (!opt.at_end && !stream_id_or_end(call->args[4], 0, &opt.id)) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    err = oxbow_group_set_id(call->txn, group_at(call, 2), &opt);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        resp_noted(call, RESP_EVENT_STREAM, "xgroup-setid", call->args[2]);
    }
    return err;
}

static enum oxbow_err destroy(struct resp_call *call)
{
    bool existed = false;
    bool done = false;
    enum oxbow_err err = need(call, false, &done);

    if (err != OXBOW_OK || done) {
        return err;
    }
    err = oxbow_group_destroy(call->txn, group_at(call, 2), &existed);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, existed);
    if (existed) {
        resp_noted(call, RESP_EVENT_STREAM, "xgroup-destroy", call->args[2]);
    }
    return OXBOW_OK;
}

static enum oxbow_err create_consumer(struct resp_call *call)
{
    bool created = false;
    bool done = false;
    enum oxbow_err err = need(call, true, &done);

    if (err != OXBOW_OK || done) {
        return err;
    }
    err = oxbow_group_consumer_create(call->txn, group_at(call, 2), call->args[4], &created);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, created);
    if (created) {
        resp_noted(call, RESP_EVENT_STREAM, "xgroup-createconsumer", call->args[2]);
    }
    return OXBOW_OK;
}

static enum oxbow_err delete_consumer(struct resp_call *call)
{
    struct oxbow_consumer_info info;
    uint64_t pending = 0;
    bool done = false;
    enum oxbow_err err = need(call, true, &done);

    if (err != OXBOW_OK || done) {
        return err;
    }
    err = oxbow_group_consumer_info(call->txn, group_at(call, 2), call->args[4], &info);
    if (err == OXBOW_ENOENT) {
        resp_int(call->reply, 0);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_consumer_delete(call->txn, group_at(call, 2), call->args[4], &pending);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)pending);
        resp_noted(call, RESP_EVENT_STREAM, "xgroup-delconsumer", call->args[2]);
    }
    return err;
}

static enum oxbow_err help(struct resp_call *call)
{
    static const char *const lines[] = {
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [MKSTREAM] [ENTRIESREAD n]",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "DELCONSUMER <key> <groupname> <consumer>",
        "DESTROY <key> <groupname>",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD n]",
        "HELP",
    };

    resp_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

enum oxbow_err cmd_xack(struct resp_call *call)
{
    struct oxbow_group group = group_at(call, 1);
    struct oxbow_id *ids = NULL;
    uint64_t acked = 0;
    bool there = false;
    bool found = false;
    enum oxbow_err err = stream_there(call, group.key, &there);

    if (err == OXBOW_OK && there) {
        err = stream_group_there(call, group, &found);
    }
    if (err == OXBOW_OK && found) {
        err = stream_ids(call, 3, &ids);
        if (err == OXBOW_EPARSE) {
            return resp_refuse(call, STREAM_BAD_ID);
        }
        if (err == OXBOW_OK) {
            err = oxbow_group_ack(call->txn, group, ids, call->count - 3, &acked);
            stream_ids_free(call, 3, ids);
        }
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)acked);
    }
    return err;
}

#define W  RESP_WRITE
#define WM (RESP_WRITE | RESP_DENYOOM)
#define S  RESP_CAT_STREAM

const struct resp_command resp_xgroup_subs[] = {
    {"xgroup|create", create, -5, WM, S, 2, 2, 1, "5.0.0", "Makes a group", NULL},
    {"xgroup|setid", set_id, -5, W, S, 2, 2, 1, "5.0.0", "Sets what a group was given last", NULL},
    {"xgroup|destroy", destroy, 4, W, S, 2, 2, 1, "5.0.0", "Removes a group", NULL},
    {"xgroup|createconsumer", create_consumer, 5, WM, S, 2, 2, 1, "6.2.0", "Makes a consumer",
     NULL},
    {"xgroup|delconsumer", delete_consumer, 5, W, S, 2, 2, 1, "5.0.0",
     "Removes a consumer and what it has pending", NULL},
    {"xgroup|help", help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, S, 0, 0, 0, "5.0.0",
     "What XGROUP can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
