/* SPDX-License-Identifier: Apache-2.0 */
/* The hash family. */
#include "engine/base/buf.h"
#include "engine/base/decimal.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_scan.h"
#include "engine/resp/server.h"
#include "oxbow/hash.h"

/* ---- set ---- */

static enum oxbow_err set_all(struct resp_call *call, uint64_t *added)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    size_t count = (call->count - 2) / 2;
    struct oxbow_field *fields = mem_new(alloc, count * sizeof *fields);
    enum oxbow_err err;

    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        fields[i] = (struct oxbow_field){call->args[2 + 2 * i], call->args[3 + 2 * i]};
    }
    err = oxbow_hash_set(call->txn, call->args[1], fields, count, added);
    mem_free(alloc, fields, count * sizeof *fields);
    if (err == OXBOW_OK) {
        resp_changed(call, RESP_EVENT_HASH, "hset", call->args[1]);
    }
    return err;
}

static enum oxbow_err cmd_hset(struct resp_call *call)
{
    uint64_t added;
    enum oxbow_err err;

    if (call->count % 2 != 0) {
        return resp_refuse_arity(call);
    }
    err = set_all(call, &added);
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)added);
    }
    return err;
}

static enum oxbow_err cmd_hmset(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->count % 2 != 0) {
        return resp_refuse_arity(call);
    }
    err = set_all(call, NULL);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err cmd_hsetnx(struct resp_call *call)
{
    bool set;
    enum oxbow_err err =
        oxbow_hash_set_new(call->txn, call->args[1], call->args[2], call->args[3], &set);

    if (err == OXBOW_OK) {
        resp_int(call->reply, set);
        if (set) {
            resp_changed(call, RESP_EVENT_HASH, "hset", call->args[1]);
        }
    }
    return err;
}

static enum oxbow_err cmd_hdel(struct resp_call *call)
{
    uint64_t deleted;
    uint64_t left = 1;
    enum oxbow_err err =
        oxbow_hash_delete(call->txn, call->args[1], call->args + 2, call->count - 2, &deleted);

    if (err == OXBOW_OK && deleted > 0) {
        err = oxbow_hash_count(call->txn, call->args[1], &left);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)deleted);
    if (deleted > 0) {
        resp_changed(call, RESP_EVENT_HASH, "hdel", call->args[1]);
    }
    if (left == 0) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_hincrby(struct resp_call *call)
{
    int64_t by;
    int64_t value;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[3], &by)) {
        return resp_refuse_integer(call);
    }
    err = oxbow_hash_add(call->txn, call->args[1], call->args[2], by, &value);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, "ERR hash value is not an integer");
    }
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR increment or decrement would overflow");
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, value);
        resp_changed(call, RESP_EVENT_HASH, "hincrby", call->args[1]);
    }
    return err;
}

static enum oxbow_err cmd_hincrbyfloat(struct resp_call *call)
{
    long double by;
    enum oxbow_err err;

    if (!decimal_of(call->args[3], &by)) {
        return resp_refuse(call, "ERR value is not a valid float");
    }
    if (!decimal_is_finite(by)) {
        return resp_refuse(call, "ERR value is NaN or Infinity");
    }
    err =
        oxbow_hash_add_float(call->txn, call->args[1], call->args[2], call->args[3], call->result);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, "ERR hash value is not a float");
    }
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR increment would produce NaN or Infinity");
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
        resp_changed(call, RESP_EVENT_HASH, "hincrbyfloat", call->args[1]);
    }
    return err;
}

/* ---- get ---- */

static enum oxbow_err cmd_hget(struct resp_call *call)
{
    enum oxbow_err err = oxbow_hash_get(call->txn, call->args[1], call->args[2], call->result);

    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return err;
}

static enum oxbow_err cmd_hmget(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    size_t count = call->count - 2;
    bool *present = mem_new(alloc, count * sizeof *present);
    enum oxbow_err err;

    if (present == NULL) {
        return OXBOW_ENOMEM;
    }
    err =
        oxbow_hash_get_many(call->txn, call->args[1], call->args + 2, count, present, call->result);
    if (err == OXBOW_OK) {
        resp_array(call->reply, count);
        for (size_t i = 0; i < count; i++) {
            if (present[i]) {
                resp_bulk(call->reply, call->result->items[i]);
            } else {
                resp_null(call->reply);
            }
        }
    }
    mem_free(alloc, present, count * sizeof *present);
    return err;
}

static void reply_items(struct resp_call *call)
{
    for (size_t i = 0; i < call->result->item_count; i++) {
        resp_bulk(call->reply, call->result->items[i]);
    }
}

static enum oxbow_err get_all(struct resp_call *call, enum oxbow_hash_what what)
{
    enum oxbow_err err = oxbow_hash_get_all(call->txn, call->args[1], what, call->result);

    if (err != OXBOW_OK) {
        return err;
    }
    if (what == OXBOW_HASH_BOTH) {
        resp_map(call->reply, call->result->item_count / 2);
    } else {
        resp_array(call->reply, call->result->item_count);
    }
    reply_items(call);
    return OXBOW_OK;
}

static enum oxbow_err cmd_hgetall(struct resp_call *call)
{
    return get_all(call, OXBOW_HASH_BOTH);
}

static enum oxbow_err cmd_hkeys(struct resp_call *call)
{
    return get_all(call, OXBOW_HASH_FIELDS);
}

static enum oxbow_err cmd_hvals(struct resp_call *call)
{
    return get_all(call, OXBOW_HASH_VALUES);
}

static enum oxbow_err cmd_hexists(struct resp_call *call)
{
    bool has;
    enum oxbow_err err = oxbow_hash_has(call->txn, call->args[1], call->args[2], &has);

    if (err == OXBOW_OK) {
        resp_int(call->reply, has);
    }
    return err;
}

static enum oxbow_err cmd_hlen(struct resp_call *call)
{
    uint64_t count;
    enum oxbow_err err = oxbow_hash_count(call->txn, call->args[1], &count);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)count);
    }
    return err;
}

static enum oxbow_err cmd_hstrlen(struct resp_call *call)
{
    uint64_t len;
    enum oxbow_err err = oxbow_hash_value_len(call->txn, call->args[1], call->args[2], &len);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
    }
    return err;
}

static void value_beside(struct resp_call *call, size_t i)
{
    resp_bulk(call->reply, call->result->items[i + 1]);
}

static enum oxbow_err cmd_hscan(struct resp_call *call)
{
    return resp_scan_members(call, oxbow_hash_scan, 2, value_beside);
}

/* With values: pairs in RESP3, one after the other in RESP2. */
static void reply_random(struct resp_call *call, bool values)
{
    size_t n = call->result->item_count;

    if (!values || call->reply->version == 2) {
        resp_array(call->reply, n);
        reply_items(call);
        return;
    }
    resp_array(call->reply, n / 2);
    for (size_t i = 0; i + 1 < n; i += 2) {
        resp_array(call->reply, 2);
        resp_bulk(call->reply, call->result->items[i]);
        resp_bulk(call->reply, call->result->items[i + 1]);
    }
}

static enum oxbow_err cmd_hrandfield(struct resp_call *call)
{
    bool values = call->count == 4 && resp_arg_is(call->args[3], "withvalues");
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count >= 3 && !resp_arg_int(call->args[2], &count)) {
        return resp_refuse_integer(call);
    }
    if (count == INT64_MIN) {
        return resp_refuse(call, "ERR value is out of range, value must between "
                                 "-9223372036854775807 and 9223372036854775807");
    }
    if (call->count > 4 || (call->count == 4 && !values)) {
        return resp_refuse_syntax(call);
    }
    if (values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
        return resp_refuse(call, "ERR value is out of range");
    }
    if (count > OXBOW_HASH_RANDOM_MAX) {
        count = OXBOW_HASH_RANDOM_MAX;
    }
    err = oxbow_hash_random(call->txn, call->args[1], count,
                            values ? OXBOW_HASH_BOTH : OXBOW_HASH_FIELDS, call->result);
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR value is out of range");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (call->count > 2) {
        reply_random(call, values);
    } else if (call->result->item_count > 0) {
        resp_bulk(call->reply, call->result->items[0]);
    } else {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define W  RESP_WRITE
#define R  RESP_READONLY
#define F  RESP_FAST
#define H  RESP_CAT_HASH

const struct resp_command resp_hash_commands[] = {
    {"hset", cmd_hset, -4, WM | F, H, 1, 1, 1, "2.0.0", "Gives fields their values", NULL},
    {"hmset", cmd_hmset, -4, WM | F, H, 1, 1, 1, "2.0.0",
     "Gives fields their values: HSET's old form", NULL},
    {"hsetnx", cmd_hsetnx, 4, WM | F, H, 1, 1, 1, "2.0.0",
     "Gives a field that is not there a value", NULL},
    {"hget", cmd_hget, 3, R | F, H, 1, 1, 1, "2.0.0", "The value of a field", NULL},
    {"hmget", cmd_hmget, -3, R | F, H, 1, 1, 1, "2.0.0", "The values of fields", NULL},
    {"hgetall", cmd_hgetall, 2, R, H, 1, 1, 1, "2.0.0", "All fields with their values", NULL},
    {"hkeys", cmd_hkeys, 2, R, H, 1, 1, 1, "2.0.0", "All fields", NULL},
    {"hvals", cmd_hvals, 2, R, H, 1, 1, 1, "2.0.0", "All values", NULL},
    {"hdel", cmd_hdel, -3, W | F, H, 1, 1, 1, "2.0.0", "Deletes fields", NULL},
    {"hexists", cmd_hexists, 3, R | F, H, 1, 1, 1, "2.0.0", "Whether a field is there", NULL},
    {"hlen", cmd_hlen, 2, R | F, H, 1, 1, 1, "2.0.0", "How many fields a hash has", NULL},
    {"hstrlen", cmd_hstrlen, 3, R | F, H, 1, 1, 1, "3.2.0", "How long a field's value is", NULL},
    {"hincrby", cmd_hincrby, 4, WM | F, H, 1, 1, 1, "2.0.0", "Adds to a field's number", NULL},
    {"hincrbyfloat", cmd_hincrbyfloat, 4, WM | F, H, 1, 1, 1, "2.6.0",
     "Adds to a field's number that has a fraction", NULL},
    {"hscan", cmd_hscan, -3, R, H, 1, 1, 1, "2.8.0", "Some of the fields, from a cursor on", NULL},
    {"hrandfield", cmd_hrandfield, -2, R, H, 1, 1, 1, "6.2.0", "Fields drawn by chance", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
