/* SPDX-License-Identifier: Apache-2.0 */
/* Times to live of keys: EXPIRE and its like. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"

/* Reads NX, XX, GT, LT. *refused: they do not go together, and that was replied. */
static enum oxbow_err flags_of(struct resp_call *call, uint32_t *flags, bool *refused)
{
    static const struct {
        const char *word;
        uint32_t flag;
    } words[] = {{"nx", OXBOW_EXPIRE_NX},
                 {"xx", OXBOW_EXPIRE_XX},
                 {"gt", OXBOW_EXPIRE_GT},
                 {"lt", OXBOW_EXPIRE_LT}};

    *flags = 0;
    *refused = true;
    for (uint32_t i = 3; i < call->count; i++) {
        size_t w = 0;

        while (w < 4 && !resp_arg_is(call->args[i], words[w].word)) {
            w++;
        }
        if (w == 4) {
            resp_error_format(call->reply, "ERR Unsupported option %.*s",
                              (int)(call->args[i].len < 64 ? call->args[i].len : 64),
                              (const char *)call->args[i].data);
            return OXBOW_OK;
        }
        *flags |= words[w].flag;
    }
    if ((*flags & OXBOW_EXPIRE_NX) != 0 && *flags != OXBOW_EXPIRE_NX) {
        return resp_refuse(call,
                           "ERR NX and XX, GT or LT options at the same time are not compatible");
    }
    if ((*flags & OXBOW_EXPIRE_GT) != 0 && (*flags & OXBOW_EXPIRE_LT) != 0) {
        return resp_refuse(call, "ERR GT and LT options at the same time are not compatible");
    }
    *refused = false;
    return OXBOW_OK;
}

/* `unit`: milliseconds of one of the argument's. */
static enum oxbow_err expire(struct resp_call *call, int64_t unit, bool at)
{
    struct oxbow_bytes key = call->args[1];
    enum oxbow_expire_done done;
    uint32_t flags;
    bool refused;
    int64_t when;
    enum oxbow_err err = flags_of(call, &flags, &refused);

    if (err != OXBOW_OK || refused) {
        return err;
    }
    if (!resp_arg_int(call->args[2], &when)) {
        return resp_refuse_integer(call);
    }
    if (when > INT64_MAX / unit || when < INT64_MIN / unit ||
        (!at && when * unit > INT64_MAX - (int64_t)resp_wall_ms(call->server))) {
        resp_error_format(call->reply, "ERR invalid expire time in '%s' command", call->row->name);
        return OXBOW_OK;
    }
    err = at ? oxbow_key_expire_at(call->txn, key, when * unit, flags, &done)
             : oxbow_key_expire(call->txn, key, when * unit, flags, &done);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, done != OXBOW_EXPIRE_NOT);
    if (done != OXBOW_EXPIRE_NOT) {
        resp_changed(call, RESP_EVENT_GENERIC, done == OXBOW_EXPIRE_SET ? "expire" : "del", key);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_expire(struct resp_call *call)
{
    return expire(call, 1000, false);
}

static enum oxbow_err cmd_pexpire(struct resp_call *call)
{
    return expire(call, 1, false);
}

static enum oxbow_err cmd_expireat(struct resp_call *call)
{
    return expire(call, 1000, true);
}

static enum oxbow_err cmd_pexpireat(struct resp_call *call)
{
    return expire(call, 1, true);
}

/* -2: no such key; -1: for ever. */
static enum oxbow_err tell(struct resp_call *call, enum oxbow_err err, uint64_t ms, uint64_t unit)
{
    if (err == OXBOW_ENOENT) {
        resp_int(call->reply, -2);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, ms == UINT64_MAX ? -1 : (int64_t)((ms + unit / 2) / unit));
    }
    return err;
}

static enum oxbow_err ttl(struct resp_call *call, uint64_t unit)
{
    uint64_t ms = 0;
    enum oxbow_err err = oxbow_key_ttl(call->txn, call->args[1], &ms);

    return tell(call, err, ms, unit);
}

static enum oxbow_err cmd_ttl(struct resp_call *call)
{
    return ttl(call, 1000);
}

static enum oxbow_err cmd_pttl(struct resp_call *call)
{
    return ttl(call, 1);
}

static enum oxbow_err expire_time(struct resp_call *call, uint64_t unit)
{
    uint64_t ms = 0;
    enum oxbow_err err = oxbow_key_expire_time(call->txn, call->args[1], &ms);

    return tell(call, err, ms, unit);
}

static enum oxbow_err cmd_expiretime(struct resp_call *call)
{
    return expire_time(call, 1000);
}

static enum oxbow_err cmd_pexpiretime(struct resp_call *call)
{
    return expire_time(call, 1);
}

static enum oxbow_err cmd_persist(struct resp_call *call)
{
    bool had;
    enum oxbow_err err = oxbow_key_persist(call->txn, call->args[1], &had);

    if (err == OXBOW_OK) {
        resp_int(call->reply, had);
        if (had) {
            resp_changed(call, RESP_EVENT_GENERIC, "persist", call->args[1]);
        }
    }
    return err;
}

#define W (RESP_WRITE | RESP_FAST)
#define R (RESP_READONLY | RESP_FAST)
#define K RESP_CAT_KEYSPACE

const struct resp_command resp_expire_commands[] = {
    {"expire", cmd_expire, -3, W, K, 1, 1, 1, "1.0.0", "Gives a key a time to live, in seconds",
     NULL},
    {"pexpire", cmd_pexpire, -3, W, K, 1, 1, 1, "2.6.0",
     "Gives a key a time to live, in milliseconds", NULL},
    {"expireat", cmd_expireat, -3, W, K, 1, 1, 1, "1.2.0",
     "Has a key end at a time of the wall clock, in seconds", NULL},
    {"pexpireat", cmd_pexpireat, -3, W, K, 1, 1, 1, "2.6.0",
     "Has a key end at a time of the wall clock, in milliseconds", NULL},
    {"ttl", cmd_ttl, 2, R, K, 1, 1, 1, "1.0.0", "How many seconds a key has left", NULL},
    {"pttl", cmd_pttl, 2, R, K, 1, 1, 1, "2.6.0", "How many milliseconds a key has left", NULL},
    {"expiretime", cmd_expiretime, 2, R, K, 1, 1, 1, "7.0.0",
     "What the wall clock will show when a key ends, in seconds", NULL},
    {"pexpiretime", cmd_pexpiretime, 2, R, K, 1, 1, 1, "7.0.0",
     "What the wall clock will show when a key ends, in milliseconds", NULL},
    {"persist", cmd_persist, 2, W, K, 1, 1, 1, "2.2.0", "Takes a key's time to live away", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
