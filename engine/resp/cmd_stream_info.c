/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XINFO: a stream, its groups, their consumers. Times of pending entries and consumers are said as
 * Redis says them, as wall times: worked out from how long ago the group's clock has them.
 */
#include "engine/resp/cmd_stream.h"

#include "engine/base/id.h"
#include "engine/resp/args.h"

#define FULL_COUNT    10 /* entries of each kind, as Redis' default */
#define PENDING_PIECE 256u

/* What FULL goes through. */
struct full {
    struct oxbow_bytes key;
    struct oxbow_group group;
    uint64_t count; /* 0: no limit */
    uint64_t now_ms;
    struct oxbow_result names; /* of groups, while call->result is for what is read of each */
    struct oxbow_result consumers;
};

/* Those that XINFO's replies are made of: a name and its value. */
static void put_int(struct resp_call *call, const char *name, uint64_t v)
{
    resp_bulk_text(call->reply, name);
    resp_int(call->reply, (int64_t)v);
}

static void put_id(struct resp_call *call, const char *name, struct oxbow_id id)
{
    resp_bulk_text(call->reply, name);
    resp_bulk_id(call->reply, id);
}

static void put_known(struct resp_call *call, const char *name, bool known, int64_t v)
{
    resp_bulk_text(call->reply, name);
    if (known) {
        resp_int(call->reply, v);
    } else {
        resp_null(call->reply);
    }
}

static void put_name(struct resp_call *call, struct oxbow_bytes name)
{
    resp_bulk_text(call->reply, "name");
    resp_bulk(call->reply, name);
}

static enum oxbow_err refuse_sub(struct resp_call *call)
{
    resp_error_format(call->reply,
                      "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO "
                      "HELP.",
                      stream_shown(call->args[1]), (const char *)call->args[1].data);
    return OXBOW_OK;
}

/* ---- groups and consumers ---- */

static enum oxbow_err groups(struct resp_call *call)
{
    enum oxbow_err err = oxbow_group_list(call->txn, call->args[2], call->result);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, call->result->item_count);
    for (size_t i = 0; i < call->result->item_count; i++) {
        struct oxbow_group group = {call->args[2], call->result->items[i]};
        struct oxbow_group_info info;

        err = oxbow_group_info(call->txn, group, &info);
        if (err != OXBOW_OK) {
            return err;
        }
        resp_map(call->reply, 6);
        put_name(call, group.name);
        put_int(call, "consumers", info.consumers);
        put_int(call, "pending", info.pending);
        put_id(call, "last-delivered-id", info.last_id);
        put_known(call, "entries-read", info.has_entries_read, (int64_t)info.entries_read);
        put_known(call, "lag", info.has_lag, info.lag);
    }
    return OXBOW_OK;
}

static enum oxbow_err consumers(struct resp_call *call)
{
    struct oxbow_group group = {call->args[2], call->args[3]};
    bool there = false;
    enum oxbow_err err = stream_there(call, group.key, &there);

    if (err == OXBOW_OK && !there) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_consumers(call->txn, group, call->result);
    }
    if (err == OXBOW_ENOGROUP) {
        resp_error_format(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                          stream_shown(group.name), (const char *)group.name.data,
                          stream_shown(group.key), (const char *)group.key.data);
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, call->result->item_count);
    for (size_t i = 0; i < call->result->item_count; i++) {
        struct oxbow_consumer_info info;

        err = oxbow_group_consumer_info(call->txn, group, call->result->items[i], &info);
        if (err != OXBOW_OK) {
            return err;
        }
        resp_map(call->reply, 3);
        put_name(call, call->result->items[i]);
        put_int(call, "pending", info.pending);
        put_int(call, "idle", info.idle_ms);
    }
    return OXBOW_OK;
}

/* ---- a stream ---- */

static void stream_head(struct resp_call *call, const struct oxbow_stream_info *info)
{
    put_int(call, "length", info->length);
    put_int(call, "radix-tree-keys", info->chunks);
    put_int(call, "radix-tree-nodes", info->chunks + 1);
    put_id(call, "last-generated-id", info->last_id);
    put_id(call, "max-deleted-entry-id", info->max_deleted_id);
    put_int(call, "entries-added", info->entries_added);
    put_id(call, "recorded-first-entry-id", info->recorded_first_id);
}

/* The first or the last entry, or nil. */
static enum oxbow_err end_entry(struct resp_call *call, const char *name, bool last)
{
    const struct oxbow_stream_range range = {
        .from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX, .count = 1, .reverse = last};
    enum oxbow_err err = oxbow_stream_range(call->txn, call->args[2], &range, call->result);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_bulk_text(call->reply, name);
    if (call->result->entry_count > 0) {
        stream_entry(call->reply, &call->result->entries[0]);
    } else {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

static enum oxbow_err stream_short(struct resp_call *call)
{
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(call->txn, call->args[2], &info);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_map(call->reply, 10);
    stream_head(call, &info);
    put_int(call, "groups", info.groups);
    err = end_entry(call, "first-entry", false);
    return err == OXBOW_OK ? end_entry(call, "last-entry", true) : err;
}

/* ---- FULL ---- */

static void full_one(struct resp_call *call, const struct full *f, const struct oxbow_pending *p,
                     bool named)
{
    uint64_t idle = p->idle_ms < f->now_ms ? p->idle_ms : f->now_ms;

    idle = p->nobody ? f->now_ms : idle; /* as if never delivered */
    resp_array(call->reply, named ? 4 : 3);
    resp_bulk_id(call->reply, p->id);
    if (named) {
        resp_bulk(call->reply, p->consumer);
    }
    resp_int(call->reply, (int64_t)(f->now_ms - idle));
    resp_int(call->reply, stream_deliveries(p->deliveries));
}

/* Pending entries of the group, or of one consumer, whose name is then left out. */
static enum oxbow_err full_pending(struct resp_call *call, const struct full *f,
                                   const struct oxbow_bytes *consumer)
{
    struct oxbow_pending piece[PENDING_PIECE];
    struct oxbow_pending_filter filter = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct resp_later later;
    size_t total = 0;
    bool more = true;

    filter.has_consumer = consumer != NULL;
    filter.consumer = consumer != NULL ? *consumer : (struct oxbow_bytes){NULL, 0};
    resp_bulk_text(call->reply, "pending");
    later = resp_array_later(call->reply);
    while (more) {
        uint64_t rest = f->count > 0 ? f->count - total : PENDING_PIECE;
        size_t got = 0;
        enum oxbow_err err;

        filter.count = rest < PENDING_PIECE ? rest : PENDING_PIECE;
        err = oxbow_group_pending(call->txn, f->group, &filter, call->result, piece, &got);
        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < got; i++) {
            full_one(call, f, &piece[i], consumer == NULL);
        }
        total += got;
        more = got == filter.count && (f->count == 0 || total < f->count);
        if (more) {
            filter.from = piece[got - 1].id;
            more = id_next(&filter.from);
        }
    }
    resp_later_set(call->reply, later, total);
    return OXBOW_OK;
}

static enum oxbow_err full_consumers(struct resp_call *call, struct full *f)
{
    enum oxbow_err err = oxbow_group_consumers(call->txn, f->group, &f->consumers);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_bulk_text(call->reply, "consumers");
    resp_array(call->reply, f->consumers.item_count);
    for (size_t i = 0; i < f->consumers.item_count; i++) {
        struct oxbow_bytes name = f->consumers.items[i];
        struct oxbow_consumer_info info;

        err = oxbow_group_consumer_info(call->txn, f->group, name, &info);
        if (err != OXBOW_OK) {
            return err;
        }
        resp_map(call->reply, 4);
        put_name(call, name);
        put_int(call, "seen-time", f->now_ms - (info.idle_ms < f->now_ms ? info.idle_ms : 0));
        put_int(call, "pel-count", info.pending);
        err = full_pending(call, f, &name);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err full_group(struct resp_call *call, struct full *f)
{
    struct oxbow_group_info info;
    enum oxbow_err err = oxbow_group_info(call->txn, f->group, &info);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_map(call->reply, 7);
    put_name(call, f->group.name);
    put_id(call, "last-delivered-id", info.last_id);
    put_known(call, "entries-read", info.has_entries_read, (int64_t)info.entries_read);
    put_known(call, "lag", info.has_lag, info.lag);
    put_int(call, "pel-count", info.pending);
    err = full_pending(call, f, NULL);
    return err == OXBOW_OK ? full_consumers(call, f) : err;
}

static enum oxbow_err full_fill(struct resp_call *call, struct full *f)
{
    const struct oxbow_stream_range range = {
        .from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX, .count = f->count};
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(call->txn, f->key, &info);

    if (err == OXBOW_OK) {
        err = oxbow_stream_range(call->txn, f->key, &range, call->result);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_map(call->reply, 9);
    stream_head(call, &info);
    resp_bulk_text(call->reply, "entries");
    stream_entries(call);
    err = oxbow_group_list(call->txn, f->key, &f->names);
    resp_bulk_text(call->reply, "groups");
    resp_array(call->reply, f->names.item_count);
    for (size_t i = 0; err == OXBOW_OK && i < f->names.item_count; i++) {
        f->group = (struct oxbow_group){f->key, f->names.items[i]};
        err = full_group(call, f);
    }
    return err;
}

static enum oxbow_err stream_full(struct resp_call *call, int64_t count)
{
    const struct oxbow_clock *clock = &call->server->port->clock;
    struct full f = {.key = call->args[2],
                     .count = count >= 0 ? (uint64_t)count : FULL_COUNT,
                     .now_ms = clock->wall_ms(clock->ctx)};
    enum oxbow_err err = full_fill(call, &f);

    oxbow_result_fini(&f.names);
    oxbow_result_fini(&f.consumers);
    return err;
}

static enum oxbow_err stream(struct resp_call *call)
{
    int64_t count = FULL_COUNT;
    bool there = false;
    enum oxbow_err err = stream_there(call, call->args[2], &there);

    if (err != OXBOW_OK || !there) {
        return err != OXBOW_OK ? err : OXBOW_ENOENT;
    }
    if (call->count == 3) {
        return stream_short(call);
    }
    if ((call->count != 4 && call->count != 6) || !resp_arg_is(call->args[3], "full") ||
        (call->count == 6 && !resp_arg_is(call->args[4], "count"))) {
        return refuse_sub(call);
    }
    if (call->count == 6 && !resp_arg_int(call->args[5], &count)) {
        return resp_refuse_integer(call);
    }
    return stream_full(call, count);
}

static enum oxbow_err help(struct resp_call *call)
{
    static const char *const lines[] = {
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "GROUPS <key>",
        "STREAM <key> [FULL [COUNT <count>]]",
        "HELP",
    };

    resp_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

#define R RESP_READONLY
#define S RESP_CAT_STREAM

const struct resp_command resp_xinfo_subs[] = {
    {"xinfo|stream", stream, -3, R, S, 2, 2, 1, "5.0.0", "What a stream has", NULL},
    {"xinfo|groups", groups, 3, R, S, 2, 2, 1, "5.0.0", "A stream's groups", NULL},
    {"xinfo|consumers", consumers, 4, R, S, 2, 2, 1, "5.0.0", "A group's consumers", NULL},
    {"xinfo|help", help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, S, 0, 0, 0, "5.0.0",
     "What XINFO can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
