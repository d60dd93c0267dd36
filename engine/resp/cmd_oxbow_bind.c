/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW BIND: what is added to a stream goes to other queues as well (binding.h). */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "engine/resp/rules.h"
#include "oxbow/binding.h"

#include <string.h>

/* How a kind is said. */
static const struct kind_row {
    const char *name;
    enum oxbow_binding_kind kind;
    bool any;
    const char *want; /* if its arguments are off */
} kinds[] = {
    {"all", OXBOW_BIND_ALL, false, "ERR ALL has no arguments"},
    {"direct", OXBOW_BIND_DIRECT, false, "ERR want DIRECT field value"},
    {"topic", OXBOW_BIND_TOPIC, false, "ERR want TOPIC field pattern"},
    {"headers", OXBOW_BIND_HEADERS, false, "ERR want HEADERS field value ..., at most 8 pairs"},
    {"any-header", OXBOW_BIND_HEADERS, true,
     "ERR want ANY-HEADER field value ..., at most 8 pairs"},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static bool is_same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ---- ADD and DEL ---- */

/* The kind's arguments, which are the last ones. NULL, or what is to be replied. */
static const char *take_kind(const struct kind_row *row, const struct oxbow_bytes *args,
                             uint32_t count, struct oxbow_binding *b, struct oxbow_field *headers)
{
    b->kind = row->kind;
    b->any = row->any;
    switch (row->kind) {
    case OXBOW_BIND_ALL:
        return count == 0 ? NULL : row->want;
    case OXBOW_BIND_DIRECT:
    case OXBOW_BIND_TOPIC:
        if (count != 2) {
            return row->want;
        }
        b->field = args[0];
        b->pattern = args[1];
        return NULL;
    case OXBOW_BIND_HEADERS:
        break;
    }
    if (count == 0 || count % 2 != 0 || count / 2 > OXBOW_BINDING_HEADERS_MAX) {
        return row->want;
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        headers[i] = (struct oxbow_field){args[2 * (size_t)i], args[2 * (size_t)i + 1]};
    }
    b->headers = headers;
    b->header_count = count / 2;
    return NULL;
}

static const char *take_setting(struct oxbow_bytes name, struct oxbow_bytes value,
                                struct oxbow_binding *b)
{
    if (resp_arg_is(name, "list")) {
        b->type = OXBOW_TYPE_LIST;
        b->value_field = value;
        return value.len > 0 ? NULL : "ERR LIST names the field whose value is pushed";
    }
    b->on_full = resp_arg_is(value, "skip") ? OXBOW_BINDING_SKIP : OXBOW_BINDING_REFUSE;
    return resp_arg_is(value, "skip") || resp_arg_is(value, "refuse")
               ? NULL
               : "ERR ON-FULL is refuse or skip";
}

static const char *bind_args(const struct resp_call *call, struct oxbow_binding *b,
                             struct oxbow_field *headers)
{
    const struct oxbow_bytes *args = call->args;

    *b = (struct oxbow_binding){.source = args[3], .destination = args[4]};
    for (uint32_t i = 5; i < call->count; i += 2) {
        const char *bad;

        for (size_t k = 0; k < KINDS; k++) {
            if (resp_arg_is(args[i], kinds[k].name)) {
                return take_kind(&kinds[k], args + i + 1, call->count - i - 1, b, headers);
            }
        }
        if ((!resp_arg_is(args[i], "on-full") && !resp_arg_is(args[i], "list")) ||
            i + 1 == call->count) {
            return "ERR syntax error";
        }
        bad = take_setting(args[i], args[i + 1], b);
        if (bad != NULL) {
            return bad;
        }
    }
    return NULL;
}

/* What the engine's errors mean here; NULL: what they say. */
static const char *why_not(enum oxbow_err err)
{
    switch (err) {
    case OXBOW_ETOOBIG:
        return "ERR a queue's name has at most 1024 bytes here, a field, value or pattern 255";
    case OXBOW_ERANGE:
        return "ERR 65536 bindings are there already";
    case OXBOW_EINVAL:
        return "ERR names of queues, fields and patterns have at least one byte";
    default:
        return NULL;
    }
}

static enum oxbow_err bind_add(struct resp_call *call)
{
    struct oxbow_field headers[OXBOW_BINDING_HEADERS_MAX];
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_binding b;
    const char *bad = bind_args(call, &b, headers);
    uint32_t id = 0;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_bind(call->txn, &b, &id);
    if (err != OXBOW_OK && why_not(err) != NULL && oxbow_txn_changes(call->txn) == changes) {
        return resp_refuse(call, why_not(err));
    }
    if (err == OXBOW_OK) {
        err = resp_rules_queue(call, b.destination); /* the store adds to it, and no command */
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, id);
    }
    return oxbow_settle(call, changes, err);
}

/* The binding of that id, if it leads from args[3] of the client's database. OXBOW_ENOENT. */
static enum oxbow_err find(struct resp_call *call, uint32_t id, struct oxbow_binding_info *info)
{
    enum oxbow_err err = oxbow_binding_next(call->txn, id - 1, info);

    if (err != OXBOW_OK) {
        return err;
    }
    return info->id == id && info->database == call->client->database &&
                   is_same(info->binding.source, call->args[3])
               ? OXBOW_OK
               : OXBOW_ENOENT;
}

static enum oxbow_err bind_del(struct resp_call *call)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_binding_info info;
    uint64_t id;
    enum oxbow_err err;

    if (num_u64(call->args[4], &id) != OXBOW_OK || id == 0 || id > UINT32_MAX) {
        return resp_refuse(call,
                           "ERR the id of a binding is a number, as OXBOW BIND LIST gives it");
    }
    err = find(call, (uint32_t)id, &info);
    if (err == OXBOW_OK) {
        err = oxbow_unbind(call->txn, (uint32_t)id);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        resp_int(call->reply, err == OXBOW_OK);
        return OXBOW_OK;
    }
    return oxbow_settle(call, changes, err);
}

/* ---- LIST ---- */

static const char *kind_name(const struct oxbow_binding *b)
{
    return b->any ? "any-header" : oxbow_binding_kind_name(b->kind);
}

/* What the kind looks for: fields and values, as ADD takes them. */
static void reply_takes(struct resp_reply *r, const struct oxbow_binding *b)
{
    resp_bulk_text(r, "takes");
    if (b->kind == OXBOW_BIND_DIRECT || b->kind == OXBOW_BIND_TOPIC) {
        resp_array(r, 2);
        resp_bulk(r, b->field);
        resp_bulk(r, b->pattern);
        return;
    }
    resp_array(r, 2 * (size_t)b->header_count);
    for (uint32_t i = 0; i < b->header_count; i++) {
        resp_bulk(r, b->headers[i].name);
        resp_bulk(r, b->headers[i].value);
    }
}

static void reply_binding(struct resp_reply *r, const struct oxbow_binding_info *info)
{
    const struct oxbow_binding *b = &info->binding;

    resp_map(r, 10);
    oxbow_pair_int(r, "id", info->id);
    oxbow_pair_bytes(r, "source", b->source);
    oxbow_pair_bytes(r, "destination", b->destination);
    oxbow_pair_text(r, "kind", kind_name(b));
    reply_takes(r, b);
    oxbow_pair_bytes(r, "list", b->value_field);
    oxbow_pair_text(r, "on-full", b->on_full == OXBOW_BINDING_SKIP ? "skip" : "refuse");
    oxbow_pair_int(r, "dropped", info->dropped);
    oxbow_pair_text(r, "why", info->dropped > 0 ? oxbow_err_text(info->why) : "");
    oxbow_pair_int(r, "refused", info->refused);
}

/* All of the client's database, or those of one source. */
static enum oxbow_err bind_list(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply);
    struct oxbow_binding_info info = {.id = 0};
    size_t count = 0;
    enum oxbow_err err;

    while ((err = oxbow_binding_next(call->txn, info.id, &info)) == OXBOW_OK) {
        if (info.database == call->client->database &&
            (call->count == 3 || is_same(info.binding.source, call->args[3]))) {
            reply_binding(call->reply, &info);
            count++;
        }
    }
    resp_later_set(call->reply, later, count);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- sources ---- */

/* What is not named stays. */
static enum oxbow_err bind_set(struct resp_call *call)
{
    const struct oxbow_bytes *args = call->args;
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_source_info info = {.bindings = 0};
    struct oxbow_source source;
    enum oxbow_err err = oxbow_source_get(call->txn, args[3], &info);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    source = info.source;
    for (uint32_t i = 4; i < call->count; i += 2) {
        if (i + 1 < call->count && resp_arg_is(args[i], "alternate")) {
            source.alternate = args[i + 1];
        } else if (i + 1 < call->count && resp_arg_is(args[i], "keep") &&
                   (resp_arg_is(args[i + 1], "yes") || resp_arg_is(args[i + 1], "no"))) {
            source.keeps_nothing = resp_arg_is(args[i + 1], "no");
        } else {
            return resp_refuse_syntax(call);
        }
    }
    err = oxbow_source_set(call->txn, args[3], &source);
    if (err != OXBOW_OK && why_not(err) != NULL && oxbow_txn_changes(call->txn) == changes) {
        return resp_refuse(call, why_not(err));
    }
    if (err == OXBOW_OK && source.alternate.len > 0) {
        err = resp_rules_queue(call, source.alternate);
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return oxbow_settle(call, changes, err);
}

static enum oxbow_err bind_get(struct resp_call *call)
{
    struct resp_reply *r = call->reply;
    struct oxbow_source_info info;
    enum oxbow_err err = oxbow_source_get(call->txn, call->args[3], &info);

    if (err == OXBOW_ENOENT) {
        resp_null_array(r);
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_map(r, 8);
    oxbow_pair_text(r, "keep", info.source.keeps_nothing ? "no" : "yes");
    oxbow_pair_bytes(r, "alternate", info.source.alternate);
    oxbow_pair_int(r, "bindings", info.bindings);
    oxbow_pair_int(r, "entries", info.entries);
    oxbow_pair_int(r, "routed", info.routed);
    oxbow_pair_int(r, "unroutable", info.unroutable);
    oxbow_pair_int(r, "alternated", info.alternated);
    oxbow_pair_int(r, "dropped", info.dropped);
    return OXBOW_OK;
}

enum oxbow_err cmd_oxbow_bind(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"add", bind_add, 5, UINT32_MAX}, {"del", bind_del, 5, 5}, {"list", bind_list, 3, 4},
        {"set", bind_set, 6, 8},          {"get", bind_get, 4, 4}, {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}
