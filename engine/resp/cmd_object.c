/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OBJECT and MEMORY: what a key is like inside.
 *
 * Values are not kept as Redis keeps them, so OBJECT ENCODING says what Redis with its default limits
 * would have made of a value of this content, had it been written at once, and MEMORY USAGE what the
 * store holds for the key: its name, its content, and a few bytes for each part.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/set.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "oxbow/zset.h"

#include <string.h>

/* Redis' limits, those of its defaults. */
#define EMBEDDED_MAX     44u
#define INTEGER_MAX      20u
#define HASH_ITEMS_MAX   512u
#define ZSET_ITEMS_MAX   128u
#define INTSET_ITEMS_MAX 512u
#define ITEM_BYTES_MAX   64u

#define SCAN_STEP       64u /* members looked at in one step */
#define SAMPLES_DEFAULT 5
#define NAME_BYTES      64u /* of a key's record, beside its name */
#define ITEM_BYTES      16u /* of a member's or a field's */

static enum oxbow_err scan(struct resp_call *call, enum oxbow_type type, uint64_t *cursor,
                           size_t step)
{
    struct oxbow_bytes key = call->args[2];

    switch (type) {
    case OXBOW_TYPE_HASH:
        return oxbow_hash_scan(call->txn, key, cursor, step, call->result);
    case OXBOW_TYPE_SET:
        return oxbow_set_scan(call->txn, key, cursor, step, call->result);
    default:
        return oxbow_zset_scan(call->txn, key, cursor, step, call->result);
    }
}

static enum oxbow_err members(struct resp_call *call, enum oxbow_type type, uint64_t *count)
{
    struct oxbow_bytes key = call->args[2];

    switch (type) {
    case OXBOW_TYPE_HASH:
        return oxbow_hash_count(call->txn, key, count);
    case OXBOW_TYPE_SET:
        return oxbow_set_count(call->txn, key, count);
    default:
        return oxbow_zset_count(call->txn, key, count);
    }
}

/* The key's type. False: there is no such key, and it replied so. */
static bool there(struct resp_call *call, enum oxbow_type *type, enum oxbow_err *err)
{
    *err = oxbow_key_type(call->txn, call->args[2], type);
    if (*err == OXBOW_OK && *type == OXBOW_TYPE_NONE) {
        resp_null(call->reply);
        return false;
    }
    return *err == OXBOW_OK;
}

/* ---- OBJECT ---- */

static bool is_integer(struct oxbow_bytes b)
{
    int64_t n;

    return resp_arg_int(b, &n);
}

static bool is_short(struct oxbow_bytes b)
{
    return b.len <= ITEM_BYTES_MAX;
}

/* Whether there are at most `max` members and each is fit. */
static enum oxbow_err compact(struct resp_call *call, enum oxbow_type type, uint64_t max,
                              bool (*fit)(struct oxbow_bytes), bool *is)
{
    uint64_t cursor = 0;
    uint64_t count;
    enum oxbow_err err = members(call, type, &count);

    *is = count <= max;
    while (err == OXBOW_OK && *is) {
        err = scan(call, type, &cursor, SCAN_STEP);
        for (size_t i = 0; err == OXBOW_OK && i < call->result->item_count; i++) {
            *is = *is && fit(call->result->items[i]);
        }
        if (cursor == 0) {
            break;
        }
    }
    return err;
}

static enum oxbow_err encoding_of_string(struct resp_call *call, const char **name)
{
    uint64_t len;
    enum oxbow_err err = oxbow_string_len(call->txn, call->args[2], &len);

    *name = len <= EMBEDDED_MAX ? "embstr" : "raw";
    if (err == OXBOW_OK && len <= INTEGER_MAX) {
        err = oxbow_string_get(call->txn, call->args[2], call->result);
        if (err == OXBOW_OK && is_integer(call->result->items[0])) {
            *name = "int";
        }
    }
    return err;
}

static enum oxbow_err encoding_of(struct resp_call *call, enum oxbow_type type, const char **name)
{
    enum oxbow_err err = OXBOW_OK;
    uint64_t timed = 0;
    bool is = false;

    switch (type) {
    case OXBOW_TYPE_STRING:
        return encoding_of_string(call, name);
    case OXBOW_TYPE_HASH:
        err = compact(call, type, HASH_ITEMS_MAX, is_short, &is);
        if (err == OXBOW_OK) {
            err = oxbow_hash_timed(call->txn, call->args[2], &timed);
        }
        *name = !is ? "hashtable" : timed > 0 ? "listpackex" : "listpack";
        return err;
    case OXBOW_TYPE_SET:
        err = compact(call, type, INTSET_ITEMS_MAX, is_integer, &is);
        *name = is ? "intset" : "hashtable";
        return err;
    case OXBOW_TYPE_ZSET:
        err = compact(call, type, ZSET_ITEMS_MAX, is_short, &is);
        *name = is ? "listpack" : "skiplist";
        return err;
    default:
        *name = type == OXBOW_TYPE_STREAM ? "stream" : "quicklist";
        return OXBOW_OK;
    }
}

static enum oxbow_err object_encoding(struct resp_call *call)
{
    const char *name;
    enum oxbow_type type;
    enum oxbow_err err;

    if (!there(call, &type, &err)) {
        return err;
    }
    err = encoding_of(call, type, &name);
    if (err == OXBOW_OK) {
        resp_bulk_text(call->reply, name);
    }
    return err;
}

/* Nobody else holds a value. */
static enum oxbow_err object_refcount(struct resp_call *call)
{
    enum oxbow_type type;
    enum oxbow_err err;

    if (there(call, &type, &err)) {
        resp_int(call->reply, 1);
    }
    return err;
}

#define WHEN_SWITCHED                                                                              \
    "Please note that when switching between policies at runtime LRU and LFU data will take some " \
    "time to adjust."

/* How a key is used is kept of databases in memory alone: writing that down would wear the flash. Nothing
 * else may look at the key before, which would be a use. False: there is no such key, and it replied so. */
static bool used(struct resp_call *call, uint64_t *idle_ms, uint32_t *frequency,
                 enum oxbow_err *err)
{
    enum oxbow_type type;

    *idle_ms = 0;
    *frequency = 0;
    if (!resp_cache_has(call->server, call->client->database)) {
        return there(call, &type, err);
    }
    *err = oxbow_cache_use(call->txn, call->args[2], idle_ms, frequency);
    if (*err == OXBOW_ENOENT) {
        resp_null(call->reply);
        *err = OXBOW_OK;
        return false;
    }
    return *err == OXBOW_OK;
}

static enum oxbow_err object_idletime(struct resp_call *call)
{
    uint64_t idle_ms;
    uint32_t frequency;
    enum oxbow_err err;

    if (!used(call, &idle_ms, &frequency, &err)) {
        return err;
    }
    if (resp_evict_is_lfu(call->server) && resp_cache_has(call->server, call->client->database)) {
        return resp_refuse(call, "ERR An LFU maxmemory policy is selected, idle time not "
                                 "tracked. " WHEN_SWITCHED);
    }
    resp_int(call->reply, (int64_t)(idle_ms / 1000));
    return OXBOW_OK;
}

static enum oxbow_err object_freq(struct resp_call *call)
{
    uint64_t idle_ms;
    uint32_t frequency;
    enum oxbow_err err;

    if (!used(call, &idle_ms, &frequency, &err)) {
        return err;
    }
    if (!resp_evict_is_lfu(call->server)) {
        return resp_refuse(call, "ERR An LFU maxmemory policy is not selected, access frequency "
                                 "not tracked. " WHEN_SWITCHED);
    }
    if (!resp_cache_has(call->server, call->client->database)) {
        return resp_refuse(call, "ERR access frequency is tracked in databases that are kept in "
                                 "memory, and this is none");
    }
    resp_int(call->reply, frequency);
    return OXBOW_OK;
}

static enum oxbow_err object_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "FREQ <key>",
        "IDLETIME <key>",
        "REFCOUNT <key>",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

/* ---- MEMORY ---- */

/* Of hashes, sets and sorted sets: as many members as the samples are looked at, the others taken to
 * be like them. */
static enum oxbow_err bytes_of_members(struct resp_call *call, enum oxbow_type type,
                                       uint64_t samples, uint64_t *bytes)
{
    uint64_t cursor = 0;
    uint64_t seen = 0;
    uint64_t sum = 0;
    uint64_t count;
    enum oxbow_err err = members(call, type, &count);

    while (err == OXBOW_OK) {
        uint64_t left = samples - seen;

        err = scan(call, type, &cursor, (size_t)(left < SCAN_STEP ? left : SCAN_STEP));
        for (size_t i = 0; err == OXBOW_OK && i < call->result->item_count; i++) {
            sum += call->result->items[i].len;
        }
        if (err == OXBOW_OK) {
            seen += call->result->item_count / (type == OXBOW_TYPE_HASH ? 2 : 1);
        }
        if (cursor == 0 || seen >= samples) {
            break;
        }
    }
    if (err == OXBOW_OK) {
        *bytes = count * ITEM_BYTES +
                 (seen > 0 ? (uint64_t)((double)sum / (double)seen * (double)count) : 0);
    }
    return err;
}

static enum oxbow_err bytes_of(struct resp_call *call, enum oxbow_type type, uint64_t samples,
                               uint64_t *bytes)
{
    struct oxbow_stream_info stream;
    struct oxbow_list_info list;
    enum oxbow_err err;

    switch (type) {
    case OXBOW_TYPE_STRING:
        return oxbow_string_len(call->txn, call->args[2], bytes);
    case OXBOW_TYPE_LIST:
        err = oxbow_list_info(call->txn, call->args[2], &list);
        *bytes = err == OXBOW_OK ? list.bytes : 0;
        return err;
    case OXBOW_TYPE_STREAM:
        err = oxbow_stream_info(call->txn, call->args[2], &stream);
        *bytes = err == OXBOW_OK ? stream.bytes : 0;
        return err;
    default:
        return bytes_of_members(call, type, samples, bytes);
    }
}

enum oxbow_err resp_object_look(struct resp_call *call, const char **encoding, uint64_t *bytes)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[2], &type);

    if (err == OXBOW_OK && type == OXBOW_TYPE_NONE) {
        return OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = encoding_of(call, type, encoding);
    }
    return err == OXBOW_OK ? bytes_of(call, type, SAMPLES_DEFAULT, bytes) : err;
}

static enum oxbow_err memory_usage(struct resp_call *call)
{
    int64_t samples = SAMPLES_DEFAULT;
    enum oxbow_type type;
    uint64_t bytes = 0;
    enum oxbow_err err;

    for (uint32_t i = 3; i < call->count; i += 2) {
        if (!resp_arg_is(call->args[i], "samples") || i + 1 >= call->count) {
            return resp_refuse_syntax(call);
        }
        if (!resp_arg_int(call->args[i + 1], &samples)) {
            return resp_refuse_integer(call);
        }
        if (samples < 0) {
            return resp_refuse_syntax(call);
        }
    }
    if (!there(call, &type, &err)) {
        return err;
    }
    err = bytes_of(call, type, samples == 0 ? UINT64_MAX : (uint64_t)samples, &bytes);
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)(NAME_BYTES + call->args[2].len + bytes));
    }
    return err;
}

static enum oxbow_err memory_doctor(struct resp_call *call)
{
    struct oxbow_stat stat;
    struct oxbow_cache_stat cache;
    const char *text = "Nothing to be worried about: values are on the device, and what is kept in "
                       "memory has a limit of its own.";
    enum oxbow_err err = resp_cache_stat(call, &cache);

    if (err != OXBOW_OK) {
        return err;
    }
    oxbow_stat(call->server->db, &stat);
    if (stat.in_memory) {
        text =
            "The device has failed and what is written is held in memory: see store_in_memory in "
            "INFO.";
    } else if (stat.quota_bytes > 0 && stat.used_bytes >= stat.quota_bytes / 10 * 9) {
        text = "Over nine tenths of the quota are used: see store_used_bytes in INFO.";
    } else if (cache.databases != 0 && cache.limit.bytes == 0) {
        text = "Databases are kept in memory and may take all of it: set maxmemory.";
    } else if (cache.limit.bytes > 0 && cache.limit.evict == OXBOW_EVICT_NONE &&
               cache.bytes >= cache.limit.bytes / 10 * 9) {
        text = "Over nine tenths of maxmemory are used, and nothing goes by itself: see "
               "used_memory_cache in INFO, and maxmemory-policy.";
    }
    resp_verbatim(call->reply, (struct oxbow_bytes){text, strlen(text)});
    return OXBOW_OK;
}

static enum oxbow_err keys_of_all(struct resp_call *call, uint64_t *keys)
{
    enum oxbow_err err = OXBOW_OK;

    *keys = 0;
    for (uint32_t db = 0; err == OXBOW_OK && db < OXBOW_RESP_DATABASES; db++) {
        uint64_t n = 0;

        err = oxbow_txn_select(call->txn, db);
        err = err == OXBOW_OK ? oxbow_key_count(call->txn, &n) : err;
        *keys += n;
    }
    return err;
}

/* What has a meaning here of what Redis tells: memory of the store's and of connections' buffers. */
static enum oxbow_err memory_stats(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    struct oxbow_stat stat;
    struct oxbow_cache_stat cache;
    uint64_t clients = 0;
    uint64_t keys;
    enum oxbow_err err = keys_of_all(call, &keys);

    err = err == OXBOW_OK ? resp_cache_stat(call, &cache) : err;
    if (err != OXBOW_OK) {
        return err;
    }
    oxbow_stat(s->db, &stat);
    for (const struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        const struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        clients += resp_reader_memory(&c->in) + resp_reply_memory(&c->out) + sizeof *c;
    }
    resp_map(call->reply, 6);
    resp_bulk_text(call->reply, "total.allocated");
    resp_int(call->reply, (int64_t)(stat.memtable_bytes + cache.bytes + clients));
    resp_bulk_text(call->reply, "caches");
    resp_int(call->reply, (int64_t)cache.bytes);
    resp_bulk_text(call->reply, "clients.normal");
    resp_int(call->reply, (int64_t)clients);
    resp_bulk_text(call->reply, "keys.count");
    resp_int(call->reply, (int64_t)keys);
    resp_bulk_text(call->reply, "keys.bytes-per-key");
    resp_int(call->reply, (int64_t)(keys > 0 ? (stat.used_bytes + cache.bytes) / keys : 0));
    resp_bulk_text(call->reply, "dataset.bytes");
    resp_int(call->reply, (int64_t)(stat.used_bytes + cache.bytes));
    return OXBOW_OK;
}

/* Memory that holds nothing is given back by those who had it. */
static enum oxbow_err memory_purge(struct resp_call *call)
{
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err memory_malloc_stats(struct resp_call *call)
{
    static const char text[] = "Stats not supported for the current allocator";

    resp_verbatim(call->reply, (struct oxbow_bytes){text, sizeof text - 1});
    return OXBOW_OK;
}

static enum oxbow_err memory_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "MALLOC-STATS",
        "PURGE",
        "STATS",
        "USAGE <key> [SAMPLES <count>]",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

#define R    RESP_READONLY
#define HELP (RESP_LOADING | RESP_STALE | RESP_PURE)
#define K    RESP_CAT_KEYSPACE

static const struct resp_command object_subs[] = {
    {"object|encoding", object_encoding, 3, R, K, 2, 2, 1, "2.2.3",
     "How Redis would keep such a value", NULL},
    {"object|refcount", object_refcount, 3, R, K, 2, 2, 1, "2.2.3",
     "How many hold the value: always one", NULL},
    {"object|idletime", object_idletime, 3, R, K, 2, 2, 1, "2.2.3",
     "Since when a key was not used: 0 where that is not kept", NULL},
    {"object|freq", object_freq, 3, R, K, 2, 2, 1, "4.0.0",
     "How often a key is used, in databases in memory", NULL},
    {"object|help", object_help, 2, HELP, K, 0, 0, 0, "6.2.0", "What OBJECT can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const struct resp_command memory_subs[] = {
    {"memory|usage", memory_usage, -3, R, 0, 2, 2, 1, "4.0.0", "How many bytes a key takes", NULL},
    {"memory|doctor", memory_doctor, 2, RESP_PURE, 0, 0, 0, 0, "4.0.0", "What is amiss with memory",
     NULL},
    {"memory|stats", memory_stats, 2, 0, 0, 0, 0, 0, "4.0.0", "Memory in numbers", NULL},
    {"memory|purge", memory_purge, 2, RESP_PURE, 0, 0, 0, 0, "4.0.0",
     "Accepted without effect: memory is given back by itself", NULL},
    {"memory|malloc-stats", memory_malloc_stats, 2, RESP_PURE, 0, 0, 0, 0, "4.0.0",
     "What the allocator says: nothing", NULL},
    {"memory|help", memory_help, 2, HELP, 0, 0, 0, 0, "4.0.0", "What MEMORY can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_object_commands[] = {
    {"object", NULL, -2, 0, 0, 0, 0, 0, "2.2.3", "Of what keys are like inside", object_subs},
    {"memory", NULL, -2, 0, 0, 0, 0, 0, "4.0.0", "Of memory", memory_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
