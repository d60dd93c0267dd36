/* SPDX-License-Identifier: Apache-2.0 */
/* The string family, but for bits. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"
#include "oxbow/string.h"

#include <string.h>

#define STRING_MAX ((uint64_t)512 << 20) /* proto-max-bulk-len: no value grows beyond it */

/* ---- get ---- */

static enum oxbow_err reply_value(struct resp_call *call, enum oxbow_err err)
{
    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return err;
}

static enum oxbow_err cmd_get(struct resp_call *call)
{
    return reply_value(call, oxbow_string_get(call->txn, call->args[1], call->result));
}

static enum oxbow_err cmd_getdel(struct resp_call *call)
{
    enum oxbow_err err = oxbow_string_take(call->txn, call->args[1], call->result);

    if (err == OXBOW_OK) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    return reply_value(call, err);
}

static enum oxbow_err cmd_mget(struct resp_call *call)
{
    resp_array(call->reply, call->count - 1);
    for (uint32_t i = 1; i < call->count; i++) {
        enum oxbow_err err = oxbow_string_get(call->txn, call->args[i], call->result);

        err = reply_value(call, err == OXBOW_EWRONGTYPE ? OXBOW_ENOENT : err);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_getrange(struct resp_call *call)
{
    int64_t from;
    int64_t to;

    if (!resp_arg_int(call->args[2], &from) || !resp_arg_int(call->args[3], &to)) {
        return resp_refuse_integer(call);
    }
    return reply_value(call, oxbow_string_range(call->txn, call->args[1], from, to, call->result));
}

static enum oxbow_err cmd_strlen(struct resp_call *call)
{
    uint64_t len;
    enum oxbow_err err = oxbow_string_len(call->txn, call->args[1], &len);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
    }
    return err;
}

/* ---- times ---- */

/* How long a value is to live: one of EX, PX, EXAT, PXAT, or KEEPTTL, PERSIST. */
struct life {
    int64_t ttl_ms;
    int64_t wall_ms;
    bool given;
    bool keep;
    bool persist;
};

static const struct {
    const char *word;
    int64_t unit;
    bool at;
} life_words[] = {{"ex", 1000, false}, {"px", 1, false}, {"exat", 1000, true}, {"pxat", 1, true}};

/* Takes EX and its like at argument *i. False: it is none. *bad: what is wrong with its time. */
static bool life_of(struct resp_call *call, uint32_t *i, struct life *life, const char **bad)
{
    for (size_t w = 0; w < sizeof life_words / sizeof life_words[0]; w++) {
        int64_t when;
        int64_t unit = life_words[w].unit;

        if (!resp_arg_is(call->args[*i], life_words[w].word) || life->given || life->keep ||
            life->persist || *i + 1 >= call->count) {
            continue;
        }
        *i += 1;
        life->given = true;
        if (!resp_arg_int(call->args[*i], &when)) {
            *bad = "ERR value is not an integer or out of range";
        } else if (when <= 0 || when > INT64_MAX / unit ||
                   (!life_words[w].at &&
                    when * unit > INT64_MAX - (int64_t)resp_wall_ms(call->server))) {
            *bad = ""; /* the text has the command's name */
        } else if (life_words[w].at) {
            life->wall_ms = when * unit;
        } else {
            life->ttl_ms = when * unit;
        }
        return true;
    }
    return false;
}

static enum oxbow_err refuse_life(struct resp_call *call, const char *bad)
{
    if (bad[0] != '\0') {
        return resp_refuse(call, bad);
    }
    resp_error_format(call->reply, "ERR invalid expire time in '%s' command", call->row->name);
    return OXBOW_OK;
}

/* ---- set ---- */

static enum oxbow_err set(struct resp_call *call, struct oxbow_bytes key, struct oxbow_bytes value,
                          const struct oxbow_string_set_options *opt, bool *done)
{
    enum oxbow_err err = oxbow_string_set_with(
        call->txn, key, value, opt, done, (opt->flags & OXBOW_SET_GET) != 0 ? call->result : NULL);

    if (err == OXBOW_OK && *done) {
        resp_changed(call, RESP_EVENT_STRING, "set", key);
        if (opt->ttl_ms != 0 || opt->expire_wall_ms != 0) {
            resp_changed(call, RESP_EVENT_GENERIC, "expire", key);
        }
    }
    return err;
}

static enum oxbow_err cmd_set(struct resp_call *call)
{
    struct oxbow_string_set_options opt = {.flags = 0};
    struct life life = {.given = false};
    const char *bad = NULL;
    bool done;
    enum oxbow_err err;

    for (uint32_t i = 3; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "nx") && (opt.flags & OXBOW_SET_XX) == 0) {
            opt.flags |= OXBOW_SET_NX;
        } else if (resp_arg_is(call->args[i], "xx") && (opt.flags & OXBOW_SET_NX) == 0) {
            opt.flags |= OXBOW_SET_XX;
        } else if (resp_arg_is(call->args[i], "get")) {
            opt.flags |= OXBOW_SET_GET;
        } else if (resp_arg_is(call->args[i], "keepttl") && !life.given) {
            life.keep = true;
        } else if (!life_of(call, &i, &life, &bad)) {
            return resp_refuse_syntax(call);
        }
    }
    if (bad != NULL) {
        return refuse_life(call, bad);
    }
    opt.flags |= life.keep ? OXBOW_SET_KEEPTTL : 0;
    opt.ttl_ms = life.ttl_ms;
    opt.expire_wall_ms = life.wall_ms;
    err = set(call, call->args[1], call->args[2], &opt, &done);
    if (err != OXBOW_OK) {
        return err;
    }
    if ((opt.flags & OXBOW_SET_GET) != 0) {
        return reply_value(call, call->result->item_count == 0 ? OXBOW_ENOENT : OXBOW_OK);
    }
    if (done) {
        resp_ok(call->reply);
    } else {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_setnx(struct resp_call *call)
{
    const struct oxbow_string_set_options opt = {.flags = OXBOW_SET_NX};
    bool done;
    enum oxbow_err err = set(call, call->args[1], call->args[2], &opt, &done);

    if (err == OXBOW_OK) {
        resp_int(call->reply, done);
    }
    return err;
}

static enum oxbow_err cmd_getset(struct resp_call *call)
{
    const struct oxbow_string_set_options opt = {.flags = OXBOW_SET_GET};
    bool done;
    enum oxbow_err err = set(call, call->args[1], call->args[2], &opt, &done);

    return err != OXBOW_OK
               ? err
               : reply_value(call, call->result->item_count == 0 ? OXBOW_ENOENT : OXBOW_OK);
}

static enum oxbow_err set_for(struct resp_call *call, int64_t unit)
{
    struct oxbow_string_set_options opt = {.flags = 0};
    int64_t when;
    bool done;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &when)) {
        return resp_refuse_integer(call);
    }
    if (when <= 0 || when > INT64_MAX / unit ||
        when * unit > INT64_MAX - (int64_t)resp_wall_ms(call->server)) {
        return refuse_life(call, "");
    }
    opt.ttl_ms = when * unit;
    err = set(call, call->args[1], call->args[3], &opt, &done);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err cmd_setex(struct resp_call *call)
{
    return set_for(call, 1000);
}

static enum oxbow_err cmd_psetex(struct resp_call *call)
{
    return set_for(call, 1);
}

static enum oxbow_err set_all(struct resp_call *call)
{
    static const struct oxbow_string_set_options plain = {.flags = 0};

    for (uint32_t i = 1; i < call->count; i += 2) {
        bool done;
        enum oxbow_err err = set(call, call->args[i], call->args[i + 1], &plain, &done);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_mset(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->count % 2 == 0) {
        return resp_refuse_arity(call);
    }
    err = set_all(call);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err cmd_msetnx(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->count % 2 == 0) {
        return resp_refuse_arity(call);
    }
    for (uint32_t i = 1; i < call->count; i += 2) {
        enum oxbow_type type;

        err = oxbow_key_type(call->txn, call->args[i], &type);
        if (err != OXBOW_OK) {
            return err;
        }
        if (type != OXBOW_TYPE_NONE) {
            resp_int(call->reply, 0);
            return OXBOW_OK;
        }
    }
    err = set_all(call);
    if (err == OXBOW_OK) {
        resp_int(call->reply, 1);
    }
    return err;
}

static enum oxbow_err cmd_getex(struct resp_call *call)
{
    struct oxbow_bytes key = call->args[1];
    struct life life = {.given = false};
    enum oxbow_expire_done done = OXBOW_EXPIRE_NOT;
    const char *bad = NULL;
    bool had = false;
    enum oxbow_err err;

    for (uint32_t i = 2; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "persist") && !life.given) {
            life.persist = true;
        } else if (!life_of(call, &i, &life, &bad)) {
            return resp_refuse_syntax(call);
        }
    }
    err = oxbow_string_get(call->txn, key, call->result);
    if (err != OXBOW_OK) {
        return reply_value(call, err);
    }
    if (bad != NULL) {
        return refuse_life(call, bad);
    }
    if (life.persist) {
        err = oxbow_key_persist(call->txn, key, &had);
    } else if (life.wall_ms != 0) {
        err = oxbow_key_expire_at(call->txn, key, life.wall_ms, 0, &done);
    } else if (life.ttl_ms != 0) {
        err = oxbow_key_expire(call->txn, key, life.ttl_ms, 0, &done);
    }
    if (err == OXBOW_OK && (had || done != OXBOW_EXPIRE_NOT)) {
        resp_changed(call, RESP_EVENT_GENERIC,
                     had                        ? "persist"
                     : done == OXBOW_EXPIRE_SET ? "expire"
                                                : "del",
                     key);
    }
    return reply_value(call, err);
}

/* ---- change ---- */

static enum oxbow_err cmd_append(struct resp_call *call)
{
    uint64_t len;
    enum oxbow_err err = oxbow_string_len(call->txn, call->args[1], &len);

    if (err == OXBOW_OK && len + call->args[2].len > STRING_MAX) {
        return resp_refuse(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    }
    if (err == OXBOW_OK) {
        err = oxbow_string_append(call->txn, call->args[1], call->args[2], &len);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
        resp_changed(call, RESP_EVENT_STRING, "append", call->args[1]);
    }
    return err;
}

static enum oxbow_err cmd_setrange(struct resp_call *call)
{
    uint64_t len;
    int64_t pos;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &pos)) {
        return resp_refuse_integer(call);
    }
    if (pos < 0) {
        return resp_refuse(call, "ERR offset is out of range");
    }
    err = oxbow_string_len(call->txn, call->args[1], &len); /* another type comes first */
    if (err != OXBOW_OK) {
        return err;
    }
    if (call->args[3].len > 0 && (uint64_t)pos + call->args[3].len > STRING_MAX) {
        return resp_refuse(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    }
    err = oxbow_string_write(call->txn, call->args[1], (uint64_t)pos, call->args[3], &len);
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
        if (call->args[3].len > 0) {
            resp_changed(call, RESP_EVENT_STRING, "setrange", call->args[1]);
        }
    }
    return err;
}

/* ---- numbers ---- */

static enum oxbow_err add(struct resp_call *call, int64_t by)
{
    int64_t value;
    enum oxbow_err err = oxbow_string_add(call->txn, call->args[1], by, &value);

    if (err == OXBOW_EPARSE) {
        return resp_refuse_integer(call);
    }
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR increment or decrement would overflow");
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, value);
        resp_changed(call, RESP_EVENT_STRING, "incrby", call->args[1]);
    }
    return err;
}

static enum oxbow_err cmd_incr(struct resp_call *call)
{
    return add(call, 1);
}

static enum oxbow_err cmd_decr(struct resp_call *call)
{
    return add(call, -1);
}

static enum oxbow_err cmd_incrby(struct resp_call *call)
{
    int64_t by;

    return resp_arg_int(call->args[2], &by) ? add(call, by) : resp_refuse_integer(call);
}

static enum oxbow_err cmd_decrby(struct resp_call *call)
{
    int64_t by;

    if (!resp_arg_int(call->args[2], &by)) {
        return resp_refuse_integer(call);
    }
    if (by == INT64_MIN) {
        return resp_refuse(call, "ERR decrement would overflow");
    }
    return add(call, -by);
}

static enum oxbow_err cmd_incrbyfloat(struct resp_call *call)
{
    enum oxbow_err err =
        oxbow_string_add_float(call->txn, call->args[1], call->args[2], call->result);

    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, "ERR value is not a valid float");
    }
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR increment would produce NaN or Infinity");
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
        resp_changed(call, RESP_EVENT_STRING, "incrbyfloat", call->args[1]);
    }
    return err;
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define W  RESP_WRITE
#define R  RESP_READONLY
#define F  RESP_FAST
#define S  RESP_CAT_STRING

const struct resp_command resp_string_commands[] = {
    {"get", cmd_get, 2, R | F, S, 1, 1, 1, "1.0.0", "The value of a key", NULL},
    {"set", cmd_set, -3, WM, S, 1, 1, 1, "1.0.0", "Gives a key a value", NULL},
    {"setnx", cmd_setnx, 3, WM | F, S, 1, 1, 1, "1.0.0", "Gives a key that is not there a value",
     NULL},
    {"setex", cmd_setex, 4, WM, S, 1, 1, 1, "2.0.0", "Gives a key a value for some seconds", NULL},
    {"psetex", cmd_psetex, 4, WM, S, 1, 1, 1, "2.6.0", "Gives a key a value for some milliseconds",
     NULL},
    {"getset", cmd_getset, 3, WM | F, S, 1, 1, 1, "1.0.0",
     "Gives a key a value and answers the one before", NULL},
    {"getdel", cmd_getdel, 2, W | F, S, 1, 1, 1, "6.2.0", "The value of a key, which is deleted",
     NULL},
    {"getex", cmd_getex, -2, W | F, S, 1, 1, 1, "6.2.0",
     "The value of a key, which gets another time to live", NULL},
    {"mget", cmd_mget, -2, R | F, S, 1, -1, 1, "1.0.0", "The values of keys", NULL},
    {"mset", cmd_mset, -3, WM, S, 1, -1, 2, "1.0.1", "Gives keys their values, all at once", NULL},
    {"msetnx", cmd_msetnx, -3, WM, S, 1, -1, 2, "1.0.1",
     "Gives keys their values if none of them is there", NULL},
    {"append", cmd_append, 3, WM | F, S, 1, 1, 1, "2.0.0", "Adds to the end of a value", NULL},
    {"getrange", cmd_getrange, 4, R, S, 1, 1, 1, "2.4.0", "A part of a value", NULL},
    {"substr", cmd_getrange, 4, R, S, 1, 1, 1, "1.0.0", "A part of a value: GETRANGE's old name",
     NULL},
    {"setrange", cmd_setrange, 4, WM, S, 1, 1, 1, "2.2.0", "Writes over a part of a value", NULL},
    {"strlen", cmd_strlen, 2, R | F, S, 1, 1, 1, "2.2.0", "How long a value is", NULL},
    {"lcs", resp_lcs, -3, R, S, 1, 2, 1, "7.0.0",
     "The longest sequence of bytes that two values have in common", NULL},
    {"incr", cmd_incr, 2, WM | F, S, 1, 1, 1, "1.0.0", "Adds one to a number", NULL},
    {"decr", cmd_decr, 2, WM | F, S, 1, 1, 1, "1.0.0", "Takes one from a number", NULL},
    {"incrby", cmd_incrby, 3, WM | F, S, 1, 1, 1, "1.0.0", "Adds to a number", NULL},
    {"decrby", cmd_decrby, 3, WM | F, S, 1, 1, 1, "1.0.0", "Takes from a number", NULL},
    {"incrbyfloat", cmd_incrbyfloat, 3, WM | F, S, 1, 1, 1, "2.6.0",
     "Adds to a number that has a fraction", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
