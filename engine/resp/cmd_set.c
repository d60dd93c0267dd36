/* SPDX-License-Identifier: Apache-2.0 */
/* The set family. */
#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_scan.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"
#include "oxbow/set.h"

#include <string.h>

static void reply_items(struct resp_call *call, bool as_set)
{
    if (as_set) {
        resp_set(call->reply, call->result->item_count);
    } else {
        resp_array(call->reply, call->result->item_count);
    }
    for (size_t i = 0; i < call->result->item_count; i++) {
        resp_bulk(call->reply, call->result->items[i]);
    }
}

/* Told after members were taken: the set may be gone with the last of them. */
static enum oxbow_err changed_by_taking(struct resp_call *call, const char *event,
                                        struct oxbow_bytes key)
{
    uint64_t left;
    enum oxbow_err err = oxbow_set_count(call->txn, key, &left);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_changed(call, RESP_EVENT_SET, event, key);
    if (left == 0) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", key);
    }
    return OXBOW_OK;
}

/* ---- one set ---- */

static enum oxbow_err cmd_sadd(struct resp_call *call)
{
    uint64_t added;
    enum oxbow_err err =
        oxbow_set_add(call->txn, call->args[1], call->args + 2, call->count - 2, &added);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)added);
        if (added > 0) {
            resp_changed(call, RESP_EVENT_SET, "sadd", call->args[1]);
        }
    }
    return err;
}

static enum oxbow_err cmd_srem(struct resp_call *call)
{
    uint64_t removed;
    enum oxbow_err err =
        oxbow_set_remove(call->txn, call->args[1], call->args + 2, call->count - 2, &removed);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)removed);
    return removed > 0 ? changed_by_taking(call, "srem", call->args[1]) : OXBOW_OK;
}

/* As in Redis a destination that has the member already has not changed. */
static enum oxbow_err cmd_smove(struct resp_call *call)
{
    struct oxbow_bytes from = call->args[1];
    struct oxbow_bytes to = call->args[2];
    bool has = false;
    bool moved;
    enum oxbow_err err = oxbow_set_has(call->txn, to, call->args[3], &has);

    if (err == OXBOW_OK || err == OXBOW_EWRONGTYPE) { /* not even that is an error without `from` */
        err = oxbow_set_move(call->txn, from, to, call->args[3], &moved);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, moved);
    if (!moved ||
        (from.len == to.len && (to.len == 0 || memcmp(from.data, to.data, to.len) == 0))) {
        return OXBOW_OK;
    }
    err = changed_by_taking(call, "srem", from);
    if (err == OXBOW_OK && !has) {
        resp_changed(call, RESP_EVENT_SET, "sadd", to);
    }
    return err;
}

static enum oxbow_err cmd_smembers(struct resp_call *call)
{
    enum oxbow_err err = oxbow_set_all(call->txn, call->args[1], call->result);

    if (err == OXBOW_OK) {
        reply_items(call, true);
    }
    return err;
}

static enum oxbow_err cmd_sismember(struct resp_call *call)
{
    bool has;
    enum oxbow_err err = oxbow_set_has(call->txn, call->args[1], call->args[2], &has);

    if (err == OXBOW_OK) {
        resp_int(call->reply, has);
    }
    return err;
}

static enum oxbow_err cmd_smismember(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    size_t count = call->count - 2;
    bool *present = mem_new(alloc, count * sizeof *present);
    enum oxbow_err err;

    if (present == NULL) {
        return OXBOW_ENOMEM;
    }
    err = oxbow_set_has_many(call->txn, call->args[1], call->args + 2, count, present);
    if (err == OXBOW_OK) {
        resp_array(call->reply, count);
        for (size_t i = 0; i < count; i++) {
            resp_int(call->reply, present[i]);
        }
    }
    mem_free(alloc, present, count * sizeof *present);
    return err;
}

static enum oxbow_err cmd_scard(struct resp_call *call)
{
    uint64_t count;
    enum oxbow_err err = oxbow_set_count(call->txn, call->args[1], &count);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)count);
    }
    return err;
}

static enum oxbow_err cmd_spop(struct resp_call *call)
{
    bool many = call->count == 3;
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count > 3) {
        return resp_refuse_syntax(call);
    }
    if (many && (!resp_arg_int(call->args[2], &count) || count < 0)) {
        return resp_refuse(call, "ERR value is out of range, must be positive");
    }
    err = oxbow_set_pop(call->txn, call->args[1], (uint64_t)count, call->result);
    if (err != OXBOW_OK) {
        return err;
    }
    if (many) {
        reply_items(call, true);
    } else if (call->result->item_count > 0) {
        resp_bulk(call->reply, call->result->items[0]);
    } else {
        resp_null(call->reply);
    }
    return call->result->item_count > 0 ? changed_by_taking(call, "spop", call->args[1]) : OXBOW_OK;
}

static enum oxbow_err cmd_srandmember(struct resp_call *call)
{
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count > 3) {
        return resp_refuse_syntax(call);
    }
    if (call->count == 3 && !resp_arg_int(call->args[2], &count)) {
        return resp_refuse_integer(call);
    }
    if (count == INT64_MIN) {
        return resp_refuse(call, "ERR value is out of range, value must between "
                                 "-9223372036854775807 and 9223372036854775807");
    }
    if (count > OXBOW_SET_RANDOM_MAX) {
        count = OXBOW_SET_RANDOM_MAX;
    }
    err = oxbow_set_random(call->txn, call->args[1], count, call->result);
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR value is out of range");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (call->count == 3) {
        reply_items(call, false);
    } else if (call->result->item_count > 0) {
        resp_bulk(call->reply, call->result->items[0]);
    } else {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_sscan(struct resp_call *call)
{
    return resp_scan_members(call, oxbow_set_scan, 1, NULL);
}

/* ---- several sets ---- */

static enum oxbow_err combine(struct resp_call *call, enum oxbow_set_op op)
{
    enum oxbow_err err =
        oxbow_set_combine(call->txn, op, call->args + 1, call->count - 1, call->result);

    if (err == OXBOW_OK) {
        reply_items(call, true);
    }
    return err;
}

static enum oxbow_err cmd_sinter(struct resp_call *call)
{
    return combine(call, OXBOW_SET_INTER);
}

static enum oxbow_err cmd_sunion(struct resp_call *call)
{
    return combine(call, OXBOW_SET_UNION);
}

static enum oxbow_err cmd_sdiff(struct resp_call *call)
{
    return combine(call, OXBOW_SET_DIFF);
}

static enum oxbow_err store(struct resp_call *call, enum oxbow_set_op op, const char *event)
{
    struct oxbow_bytes to = call->args[1];
    enum oxbow_type type;
    uint64_t stored;
    enum oxbow_err err = oxbow_key_type(call->txn, to, &type);

    if (err == OXBOW_OK) {
        err = oxbow_set_combine_store(call->txn, to, op, call->args + 2, call->count - 2, &stored);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)stored);
    if (stored > 0) {
        resp_changed(call, RESP_EVENT_SET, event, to);
    } else if (type != OXBOW_TYPE_NONE) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", to);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_sinterstore(struct resp_call *call)
{
    return store(call, OXBOW_SET_INTER, "sinterstore");
}

static enum oxbow_err cmd_sunionstore(struct resp_call *call)
{
    return store(call, OXBOW_SET_UNION, "sunionstore");
}

static enum oxbow_err cmd_sdiffstore(struct resp_call *call)
{
    return store(call, OXBOW_SET_DIFF, "sdiffstore");
}

static enum oxbow_err cmd_sintercard(struct resp_call *call)
{
    int64_t keys;
    int64_t limit = 0;
    uint64_t found;
    uint32_t after;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[1], &keys) || keys <= 0) {
        return resp_refuse(call, "ERR numkeys should be greater than 0");
    }
    if (keys > (int64_t)call->count - 2) {
        return resp_refuse(call, "ERR Number of keys can't be greater than number of args");
    }
    after = 2 + (uint32_t)keys;
    if (after < call->count) {
        if (after + 1 == call->count || !resp_arg_is(call->args[after], "limit")) {
            return resp_refuse_syntax(call);
        }
        if (!resp_arg_int(call->args[after + 1], &limit) || limit < 0) {
            return resp_refuse(call, "ERR LIMIT can't be negative");
        }
        if (after + 2 != call->count) {
            return resp_refuse_syntax(call);
        }
    }
    err = oxbow_set_inter_count(call->txn, call->args + 2, (size_t)keys, (uint64_t)limit, &found);
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)found);
    }
    return err;
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define W  RESP_WRITE
#define R  RESP_READONLY
#define F  RESP_FAST
#define T  RESP_CAT_SET

const struct resp_command resp_set_commands[] = {
    {"sadd", cmd_sadd, -3, WM | F, T, 1, 1, 1, "1.0.0", "Adds members", NULL},
    {"srem", cmd_srem, -3, W | F, T, 1, 1, 1, "1.0.0", "Removes members", NULL},
    {"smove", cmd_smove, 4, W | F, T, 1, 2, 1, "1.0.0", "Moves a member to another set", NULL},
    {"smembers", cmd_smembers, 2, R, T, 1, 1, 1, "1.0.0", "All members", NULL},
    {"sismember", cmd_sismember, 3, R | F, T, 1, 1, 1, "1.0.0", "Whether a member is there", NULL},
    {"smismember", cmd_smismember, -3, R | F, T, 1, 1, 1, "6.2.0",
     "Whether each of several members is there", NULL},
    {"scard", cmd_scard, 2, R | F, T, 1, 1, 1, "1.0.0", "How many members a set has", NULL},
    {"spop", cmd_spop, -2, W | F, T, 1, 1, 1, "1.0.0", "Takes members by chance", NULL},
    {"srandmember", cmd_srandmember, -2, R, T, 1, 1, 1, "1.0.0", "Members drawn by chance", NULL},
    {"sscan", cmd_sscan, -3, R, T, 1, 1, 1, "2.8.0", "Some of the members, from a cursor on", NULL},
    {"sinter", cmd_sinter, -2, R, T, 1, -1, 1, "1.0.0", "The members of all of the sets", NULL},
    {"sunion", cmd_sunion, -2, R, T, 1, -1, 1, "1.0.0", "The members of any of the sets", NULL},
    {"sdiff", cmd_sdiff, -2, R, T, 1, -1, 1, "1.0.0",
     "The members of the first set that none of the others has", NULL},
    {"sinterstore", cmd_sinterstore, -3, WM, T, 1, -1, 1, "1.0.0", "Keeps what SINTER gives", NULL},
    {"sunionstore", cmd_sunionstore, -3, WM, T, 1, -1, 1, "1.0.0", "Keeps what SUNION gives", NULL},
    {"sdiffstore", cmd_sdiffstore, -3, WM, T, 1, -1, 1, "1.0.0", "Keeps what SDIFF gives", NULL},
    {"sintercard", cmd_sintercard, -3, R | RESP_MOVABLE, T, 0, 0, 0, "7.0.0",
     "How many members all of the sets have", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
