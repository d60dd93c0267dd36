/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XNACK of Redis 8.8: entries that a consumer gives back to its group. The type and the group come
 * before the arguments, and all of these before anything is done.
 */
#include "engine/resp/cmd_stream.h"

#include "engine/resp/args.h"

struct nack_args {
    struct oxbow_group_release_options opt;
    uint32_t first; /* argument of the first id; 0: IDS was not there yet */
    uint32_t count;
};

static const char *mode_arg(struct oxbow_bytes arg, enum oxbow_release *how)
{
    static const struct {
        const char *word;
        enum oxbow_release how;
    } modes[] = {{"silent", OXBOW_RELEASE_SILENT},
                 {"fail", OXBOW_RELEASE_FAIL},
                 {"fatal", OXBOW_RELEASE_FATAL}};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (resp_arg_is(arg, modes[i].word)) {
            *how = modes[i].how;
            return NULL;
        }
    }
    return "ERR mode must be SILENT, FAIL, or FATAL";
}

static const char *retry_arg(struct oxbow_bytes arg, struct oxbow_group_release_options *opt)
{
    int64_t v;

    if (!resp_arg_int(arg, &v)) {
        return "ERR value is not an integer or out of range";
    }
    if (v < 0) {
        return "ERR Invalid RETRYCOUNT value, must be >= 0";
    }
    opt->has_deliveries = true;
    opt->deliveries = (uint64_t)v < STREAM_DELIVERIES_MAX ? (uint64_t)v : STREAM_DELIVERIES_MAX;
    return NULL;
}

/* One option, from argument *at on; *at goes to its last one. NULL, or what is to be replied; "" for an
 * unknown. */
static const char *option(const struct resp_call *call, uint32_t *at, struct nack_args *a)
{
    static const struct stream_counted_texts texts = {
        .most = INT32_MAX,
        .no_number = "ERR numids must be a positive integer",
        .too_few = "ERR number of IDs doesn't match numids"};
    const struct oxbow_bytes *arg = call->args + *at;
    bool more = *at + 1 < call->count;

    if (more && resp_arg_is(arg[0], "ids")) {
        const char *bad = stream_counted_ids(call, at, &a->first, &texts);

        a->count = bad == NULL ? *at - a->first + 1 : 0;
        return bad;
    }
    if (resp_arg_is(arg[0], "force")) {
        a->opt.force = true;
        return NULL;
    }
    if (more && resp_arg_is(arg[0], "retrycount")) {
        *at += 1;
        return retry_arg(arg[1], &a->opt);
    }
    return "";
}

/* Sets *done when it has replied. */
static void args_read(struct resp_call *call, struct nack_args *a, bool *done)
{
    const char *bad = mode_arg(call->args[3], &a->opt.how);
    uint32_t i = 4;

    for (; bad == NULL && i < call->count; i++) {
        bad = option(call, &i, a);
        if (bad != NULL) {
            break;
        }
    }
    if (bad == NULL && a->count == 0) {
        bad = "ERR syntax error, expected IDS keyword";
    }
    *done = bad != NULL;
    if (bad != NULL && *bad == '\0') {
        resp_error_format(call->reply, "ERR Unrecognized XNACK option '%.*s'",
                          stream_shown(call->args[i]), (const char *)call->args[i].data);
    } else if (bad != NULL) {
        resp_error(call->reply, bad);
    }
}

static enum oxbow_err release(struct resp_call *call, struct oxbow_group group, struct nack_args *a)
{
    size_t len = a->count * sizeof(struct oxbow_id);
    struct oxbow_id *ids = mem_new(resp_alloc(call->server), len);
    uint64_t released = 0;
    enum oxbow_err err;

    if (ids == NULL) {
        return OXBOW_ENOMEM;
    }
    err = stream_ids_of(call, a->first, a->count, ids);
    a->opt.ids = ids;
    a->opt.count = a->count;
    if (err == OXBOW_OK) {
        err = oxbow_group_release(call->txn, group, &a->opt, &released);
    }
    mem_free(resp_alloc(call->server), ids, len);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)released);
    }
    return err;
}

enum oxbow_err cmd_xnack(struct resp_call *call)
{
    struct oxbow_group group = {call->args[1], call->args[2]};
    struct nack_args a = {.first = 0};
    bool there = false;
    bool found = false;
    bool done = false;
    enum oxbow_err err = stream_there(call, group.key, &there);

    if (err == OXBOW_OK && there) {
        err = stream_group_there(call, group, &found);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!found) {
        return stream_refuse_group(call, group, "");
    }
    args_read(call, &a, &done);
    return done ? OXBOW_OK : release(call, group, &a);
}
