/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a key whatever its type. */
#include "engine/resp/args.h"
#include "engine/resp/cmd_copy.h"
#include "engine/resp/cmd_scan.h"
#include "engine/resp/glob.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"

#include <string.h>

#define KEYS_STEP 1000u /* names looked at in one step */

static enum oxbow_err cmd_del(struct resp_call *call)
{
    int64_t n = 0;

    for (uint32_t i = 1; i < call->count; i++) {
        bool existed;
        enum oxbow_err err = oxbow_key_delete(call->txn, call->args[i], &existed);

        if (err != OXBOW_OK) {
            return err;
        }
        if (existed) {
            n++;
            resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[i]);
        }
    }
    resp_int(call->reply, n);
    return OXBOW_OK;
}

static enum oxbow_err cmd_exists(struct resp_call *call)
{
    int64_t n = 0;

    for (uint32_t i = 1; i < call->count; i++) {
        enum oxbow_type type;
        enum oxbow_err err = oxbow_key_type(call->txn, call->args[i], &type);

        if (err != OXBOW_OK) {
            return err;
        }
        n += type != OXBOW_TYPE_NONE;
    }
    resp_int(call->reply, n);
    return OXBOW_OK;
}

static const char *type_name(enum oxbow_type type)
{
    static const char *const names[] = {"none", "list", "stream", "string", "hash", "set", "zset"};

    return (size_t)type < sizeof names / sizeof names[0] ? names[type] : "none";
}

static enum oxbow_err cmd_type(struct resp_call *call)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    if (err == OXBOW_OK) {
        resp_simple(call->reply, type_name(type));
    }
    return err;
}

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static enum oxbow_err rename_key(struct resp_call *call, bool only_new)
{
    struct oxbow_bytes from = call->args[1];
    struct oxbow_bytes to = call->args[2];
    enum oxbow_err err = oxbow_key_rename(call->txn, from, to, only_new);

    if (err == OXBOW_EEXIST && only_new) {
        resp_int(call->reply, 0);
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!same(from, to)) {
        resp_changed(call, RESP_EVENT_GENERIC, "rename_from", from);
        resp_changed(call, RESP_EVENT_GENERIC, "rename_to", to);
    }
    if (only_new) {
        resp_int(call->reply, 1);
    } else {
        resp_ok(call->reply);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_rename(struct resp_call *call)
{
    return rename_key(call, false);
}

static enum oxbow_err cmd_renamenx(struct resp_call *call)
{
    return rename_key(call, true);
}

/* ---- to another database, or twice ---- */

/* The number of a database; false: it replied with what is wrong. */
static bool database_of(struct resp_call *call, struct oxbow_bytes arg, uint32_t *database)
{
    int64_t n;

    if (!resp_arg_int(arg, &n)) {
        (void)!resp_refuse_integer(call);
        return false;
    }
    if (n < INT32_MIN || n > INT32_MAX) {
        (void)!resp_refuse(call, "ERR value is out of range, value must between -2147483648 and "
                                 "2147483647");
        return false;
    }
    if (n < 0 || n >= OXBOW_RESP_DATABASES) {
        (void)!resp_refuse(call, "ERR DB index is out of range");
        return false;
    }
    *database = (uint32_t)n;
    return true;
}

static enum oxbow_err cmd_move(struct resp_call *call)
{
    struct oxbow_bytes key = call->args[1];
    uint32_t database;
    bool moved;
    enum oxbow_err err;

    if (!database_of(call, call->args[2], &database)) {
        return OXBOW_OK;
    }
    if (database == call->client->database) {
        return resp_refuse(call, "ERR source and destination objects are the same");
    }
    err = oxbow_key_move(call->txn, key, database, &moved);
    if (err != OXBOW_OK) {
        return err;
    }
    if (moved) {
        resp_changed(call, RESP_EVENT_GENERIC, "move_from", key);
        resp_changed_in(call, database, RESP_EVENT_GENERIC, "move_to", key);
    }
    resp_int(call->reply, moved);
    return OXBOW_OK;
}

static enum oxbow_err cmd_copy(struct resp_call *call)
{
    uint32_t database = call->client->database;
    bool replace = false;
    bool copied;
    enum oxbow_err err;

    for (uint32_t i = 3; i < call->count; i++) {
        if (resp_arg_is(call->args[i], "replace")) {
            replace = true;
        } else if (resp_arg_is(call->args[i], "db") && i + 1 < call->count) {
            if (!database_of(call, call->args[++i], &database)) {
                return OXBOW_OK;
            }
        } else {
            return resp_refuse_syntax(call);
        }
    }
    if (database == call->client->database && same(call->args[1], call->args[2])) {
        return resp_refuse(call, "ERR source and destination objects are the same");
    }
    err = oxbow_key_copy(call->txn, call->args[1], database, call->args[2], replace, &copied);
    if (err == OXBOW_ENOTSUP) {
        err = resp_copy_values(call,
                               &(struct resp_copying){.from = call->args[1],
                                                      .to = call->args[2],
                                                      .database = database,
                                                      .replace = replace},
                               &copied);
    }
    if (err == OXBOW_ENOTSUP) {
        return resp_refuse(call, "ERR a stream with priorities, or with a group that has options, "
                                 "cannot be copied");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (copied) {
        resp_changed_in(call, database, RESP_EVENT_GENERIC, "copy_to", call->args[2]);
    }
    resp_int(call->reply, copied);
    return OXBOW_OK;
}

/* ---- many names ---- */

static enum oxbow_err cmd_randomkey(struct resp_call *call)
{
    enum oxbow_err err = oxbow_key_random(call->txn, call->result);

    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return err;
}

static enum oxbow_err cmd_keys(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply);
    uint64_t cursor = 0;
    size_t n = 0;

    do {
        enum oxbow_err err = oxbow_key_scan(call->txn, &cursor, KEYS_STEP, call->result);

        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < call->result->item_count; i++) {
            if (resp_glob(call->args[1], call->result->items[i], false)) {
                resp_bulk(call->reply, call->result->items[i]);
                n++;
            }
        }
    } while (cursor != 0);
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err scan_takes(struct resp_call *call, const struct resp_scan *scan,
                                 struct oxbow_bytes name, bool *takes)
{
    enum oxbow_type type;
    enum oxbow_err err;

    *takes = scan->match == NULL || resp_glob(*scan->match, name, false);
    if (!*takes || scan->type == NULL) {
        return OXBOW_OK;
    }
    err = oxbow_key_type(call->txn, name, &type);
    *takes = err == OXBOW_OK && resp_arg_is(*scan->type, type_name(type));
    return err;
}

static enum oxbow_err cmd_scan(struct resp_call *call)
{
    struct resp_later later;
    struct resp_scan scan;
    size_t n = 0;
    enum oxbow_err err;

    if (!resp_scan_parse(call, 1, true, &scan)) {
        return OXBOW_OK;
    }
    err = oxbow_key_scan(call->txn, &scan.cursor, scan.count, call->result);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_scan_cursor(call, scan.cursor);
    later = resp_array_later(call->reply);
    for (size_t i = 0; i < call->result->item_count; i++) {
        bool takes;

        err = scan_takes(call, &scan, call->result->items[i], &takes);
        if (err != OXBOW_OK) {
            return err;
        }
        if (takes) {
            resp_bulk(call->reply, call->result->items[i]);
            n++;
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err cmd_dbsize(struct resp_call *call)
{
    uint64_t n;
    enum oxbow_err err = oxbow_key_count(call->txn, &n);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)n);
    }
    return err;
}

static bool flush_mode_is_fine(const struct resp_call *call)
{
    return call->count == 1 || (call->count == 2 && (resp_arg_is(call->args[1], "async") ||
                                                     resp_arg_is(call->args[1], "sync")));
}

static enum oxbow_err cmd_flushdb(struct resp_call *call)
{
    enum oxbow_err err;

    if (!flush_mode_is_fine(call)) {
        return resp_refuse_syntax(call);
    }
    err = resp_changed_all(call, call->client->database, call->client->database);
    if (err == OXBOW_OK) {
        err = oxbow_key_flush(call->txn);
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err cmd_flushall(struct resp_call *call)
{
    enum oxbow_err err = OXBOW_OK;

    if (!flush_mode_is_fine(call)) {
        return resp_refuse_syntax(call);
    }
    for (uint32_t db = 0; err == OXBOW_OK && db < OXBOW_RESP_DATABASES; db++) {
        err = oxbow_txn_select(call->txn, db);
        if (err == OXBOW_OK) {
            err = resp_changed_all(call, db, db);
        }
        if (err == OXBOW_OK) {
            err = oxbow_key_flush(call->txn);
        }
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err cmd_swapdb(struct resp_call *call)
{
    int64_t a;
    int64_t b;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[1], &a)) {
        return resp_refuse(call, "ERR invalid first DB index");
    }
    if (!resp_arg_int(call->args[2], &b)) {
        return resp_refuse(call, "ERR invalid second DB index");
    }
    if (a < 0 || b < 0 || a >= OXBOW_RESP_DATABASES || b >= OXBOW_RESP_DATABASES) {
        return resp_refuse(call, "ERR DB index is out of range");
    }
    if (resp_cache_has(call->server, (uint32_t)a) != resp_cache_has(call->server, (uint32_t)b)) {
        return resp_refuse(call, "ERR one of the databases is kept in memory and the other is not");
    }
    if (a == b) { /* nothing changes, for nobody */
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    err = resp_changed_all(call, (uint32_t)a, (uint32_t)b);
    if (err == OXBOW_OK) {
        err = resp_changed_all(call, (uint32_t)b, (uint32_t)a);
    }
    if (err == OXBOW_OK) {
        err = oxbow_key_swap(call->txn, (uint32_t)a, (uint32_t)b);
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

#define W RESP_WRITE
#define R RESP_READONLY
#define F RESP_FAST
#define K RESP_CAT_KEYSPACE

const struct resp_command resp_key_commands[] = {
    {"del", cmd_del, -2, W, K, 1, -1, 1, "1.0.0", "Deletes keys", NULL},
    {"unlink", cmd_del, -2, W | F, K, 1, -1, 1, "4.0.0", "Deletes keys", NULL},
    {"exists", cmd_exists, -2, R | F, K, 1, -1, 1, "1.0.0", "How many of the keys are there", NULL},
    {"touch", cmd_exists, -2, R | F, K, 1, -1, 1, "3.2.1", "How many of the keys are there", NULL},
    {"type", cmd_type, 2, R | F, K, 1, 1, 1, "1.0.0", "What type of value a key holds", NULL},
    {"rename", cmd_rename, 3, W, K, 1, 2, 1, "1.0.0", "Gives a key another name", NULL},
    {"renamenx", cmd_renamenx, 3, W | F, K, 1, 2, 1, "1.0.0",
     "Gives a key another name if that is free", NULL},
    {"move", cmd_move, 3, W | F, K, 1, 1, 1, "1.0.0", "Takes a key to another database", NULL},
    {"copy", cmd_copy, -3, W | RESP_DENYOOM, K, 1, 2, 1, "6.2.0", "Copies a key", NULL},
    {"randomkey", cmd_randomkey, 1, R, K, 0, 0, 0, "1.0.0", "A key drawn by chance", NULL},
    {"keys", cmd_keys, 2, R, K | RESP_CAT_DANGEROUS, 0, 0, 0, "1.0.0",
     "All keys that match a pattern", NULL},
    {"scan", cmd_scan, -2, R, K, 0, 0, 0, "2.8.0", "Some of the keys, from a cursor on", NULL},
    {"dbsize", cmd_dbsize, 1, R | F, K, 0, 0, 0, "1.0.0", "How many keys a database has", NULL},
    {"flushdb", cmd_flushdb, -1, W, K | RESP_CAT_DANGEROUS, 0, 0, 0, "1.0.0",
     "Deletes all keys of a database", NULL},
    {"flushall", cmd_flushall, -1, W, K | RESP_CAT_DANGEROUS, 0, 0, 0, "1.0.0",
     "Deletes all keys of all databases", NULL},
    {"swapdb", cmd_swapdb, 3, W | F, K | RESP_CAT_DANGEROUS, 0, 0, 0, "4.0.0",
     "Has two databases change places", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
