/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DUMP and RESTORE: a value as a text that can be put elsewhere, and only here. What it looks like is
 * oxbow's own:
 *
 *   0  "oxd"   what it is
 *   3  u8      version: 1, or 2 of a hash whose fields expire
 *   4  u8      type (enum oxbow_type)
 *   5  le64    how many items follow: of a string 1, of a hash fields and values
 *  13  items   le32 length, its bytes; of a sorted set le64 before these: the bits of its score. In version
 *              2 behind each value le64: the wall clock's millisecond at which the field expires; 0: never
 *   n  le32    CRC-32C of all before
 *
 * It holds what the key holds and neither its name nor its time to live. A string can have any length;
 * other values are as large as a transaction may be by default. Of streams there is none: what groups have
 * pending, and what is forwarded, is no value. What a client sends is taken apart in full before
 * anything is changed.
 */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/set.h"
#include "oxbow/string.h"
#include "oxbow/zset.h"

#include <string.h>

#define VERSION_AT   3u
#define HEAD_LEN     13u
#define SUM_LEN      4u
#define LENGTH_LEN   4u
#define SCORE_LEN    8u
#define STRING_MAX   ((size_t)512 * 1024 * 1024 + HEAD_LEN + LENGTH_LEN + SUM_LEN)
#define VALUES_MAX   ((size_t)16 * 1024 * 1024)
#define TIME_LEN     8u
#define DUMP_VERSION 1u
#define DUMP_TIMED   2u
#define STEP         64u

static const uint8_t magic[3] = {'o', 'x', 'd'};

/* ---- out ---- */

static enum oxbow_err item_out(struct buf *out, struct oxbow_bytes item, const double *score)
{
    uint8_t head[SCORE_LEN + LENGTH_LEN];
    size_t len = 0;
    enum oxbow_err err;

    if (score != NULL) {
        uint64_t bits;

        memcpy(&bits, score, sizeof bits);
        put_le64(head, bits);
        len = SCORE_LEN;
    }
    put_le32(head + len, (uint32_t)item.len);
    err = buf_append(out, head, len + LENGTH_LEN);
    return err == OXBOW_OK && item.len > 0 ? buf_append(out, item.data, item.len) : err;
}

static enum oxbow_err result_out(struct buf *out, const struct oxbow_result *result,
                                 uint64_t *count)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < result->item_count; i++) {
        err = item_out(out, result->items[i], result->scores != NULL ? &result->scores[i] : NULL);
    }
    *count += result->item_count;
    return err;
}

/* Fields with their values, and when they expire. */
static enum oxbow_err timed_out(struct resp_call *call, struct buf *out, uint64_t *count)
{
    const struct oxbow_result *result = call->result;
    uint8_t time[TIME_LEN];
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i + 1 < result->item_count; i += 2) {
        const struct oxbow_fields one = {&result->items[i], 1};
        uint64_t wall_ms = 0;

        err = oxbow_hash_expire_time(call->txn, call->args[1], &one, &wall_ms);
        put_le64(time, wall_ms == UINT64_MAX ? 0 : wall_ms);
        if (err == OXBOW_OK) {
            err = item_out(out, result->items[i], NULL);
        }
        if (err == OXBOW_OK) {
            err = item_out(out, result->items[i + 1], NULL);
        }
        if (err == OXBOW_OK) {
            err = buf_append(out, time, sizeof time);
        }
    }
    *count += result->item_count;
    return err;
}

static enum oxbow_err members_out(struct resp_call *call, enum oxbow_type type, struct buf *out,
                                  uint64_t *count)
{
    uint64_t cursor = 0;
    enum oxbow_err err;

    do {
        switch (type) {
        case OXBOW_TYPE_HASH:
            err = oxbow_hash_scan(call->txn, call->args[1], &cursor, STEP, call->result);
            break;
        case OXBOW_TYPE_SET:
            err = oxbow_set_scan(call->txn, call->args[1], &cursor, STEP, call->result);
            break;
        default:
            err = oxbow_zset_scan(call->txn, call->args[1], &cursor, STEP, call->result);
            break;
        }
        if (err == OXBOW_OK) {
            err = out->data[VERSION_AT] == DUMP_TIMED ? timed_out(call, out, count)
                                                      : result_out(out, call->result, count);
        }
    } while (err == OXBOW_OK && cursor != 0);
    return err;
}

static enum oxbow_err list_out(struct resp_call *call, struct buf *out, uint64_t *count)
{
    struct oxbow_list_info info;
    enum oxbow_err err = oxbow_list_info(call->txn, call->args[1], &info);

    if (err == OXBOW_OK && info.bytes > VALUES_MAX) {
        return OXBOW_ETOOBIG;
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_range(call->txn, call->args[1], 0, -1, call->result);
    }
    return err == OXBOW_OK ? result_out(out, call->result, count) : err;
}

static enum oxbow_err items_out(struct resp_call *call, enum oxbow_type type, struct buf *out,
                                uint64_t *count)
{
    enum oxbow_err err;

    switch (type) {
    case OXBOW_TYPE_STRING:
        err = oxbow_string_get(call->txn, call->args[1], call->result);
        return err == OXBOW_OK ? result_out(out, call->result, count) : err;
    case OXBOW_TYPE_LIST:
        return list_out(call, out, count);
    default:
        return members_out(call, type, out, count);
    }
}

static enum oxbow_err dump(struct resp_call *call, enum oxbow_type type, struct buf *out)
{
    uint8_t head[HEAD_LEN] = {magic[0], magic[1], magic[2], 0, (uint8_t)type};
    uint8_t sum[SUM_LEN];
    uint64_t count = 0;
    uint64_t timed = 0;
    enum oxbow_err err =
        type == OXBOW_TYPE_HASH ? oxbow_hash_timed(call->txn, call->args[1], &timed) : OXBOW_OK;

    head[VERSION_AT] = timed > 0 ? DUMP_TIMED : DUMP_VERSION;
    if (err == OXBOW_OK) {
        err = buf_append(out, head, sizeof head);
    }
    if (err == OXBOW_OK) {
        err = items_out(call, type, out, &count);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(out->data + 5, count);
    put_le32(sum, crc32c_of(call->server->port)(0, out->data, out->len));
    return buf_append(out, sum, sizeof sum);
}

static enum oxbow_err cmd_dump(struct resp_call *call)
{
    struct buf out;
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    if (err != OXBOW_OK) {
        return err;
    }
    if (type == OXBOW_TYPE_NONE) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (type == OXBOW_TYPE_STREAM) {
        return resp_refuse(call, "ERR a stream cannot be dumped: read it and add its entries "
                                 "where they are wanted");
    }
    buf_init(&out, resp_alloc(call->server), type == OXBOW_TYPE_STRING ? STRING_MAX : VALUES_MAX);
    err = dump(call, type, &out);
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, (struct oxbow_bytes){out.data, out.len});
    }
    buf_fini(&out);
    if (err == OXBOW_ETOOBIG) {
        return resp_refuse(call, "ERR the value is too large to be dumped: what is no string may "
                                 "have up to 16 MiB");
    }
    return err;
}

/* ---- in ---- */

/* A payload whose head and checksum are right, and how far it was read. */
struct payload {
    const uint8_t *data;
    size_t at;
    size_t end; /* where the checksum is */
    enum oxbow_type type;
    bool timed; /* version 2 */
    uint64_t count;
    uint64_t left;
};

struct item {
    struct oxbow_scored scored;
    uint64_t wall_ms; /* of a value: when its field expires; 0: never */
};

static bool payload_open(const struct resp_call *call, struct payload *p)
{
    struct oxbow_bytes text = call->args[3];

    if (text.len < HEAD_LEN + SUM_LEN) {
        return false;
    }
    *p = (struct payload){.data = text.data, .at = HEAD_LEN, .end = text.len - SUM_LEN};
    p->type = (enum oxbow_type)p->data[4];
    p->count = get_le64(p->data + 5);
    p->left = p->count;
    p->timed = p->data[VERSION_AT] == DUMP_TIMED && p->type == OXBOW_TYPE_HASH;
    return memcmp(p->data, magic, sizeof magic) == 0 &&
           (p->timed || p->data[VERSION_AT] == DUMP_VERSION) &&
           crc32c_of(call->server->port)(0, p->data, p->end) == get_le32(p->data + p->end);
}

/* The time behind a value. False: it is cut short, or none. */
static bool time_next(struct payload *p, uint64_t *wall_ms)
{
    if (p->end - p->at < TIME_LEN) {
        return false;
    }
    *wall_ms = get_le64(p->data + p->at);
    p->at += TIME_LEN;
    return *wall_ms <= (uint64_t)OXBOW_HASH_TTL_MS_MAX;
}

/* The next item. False: it is not whole, or its score is no number. */
static bool payload_next(struct payload *p, struct item *item)
{
    size_t head = LENGTH_LEN + (p->type == OXBOW_TYPE_ZSET ? SCORE_LEN : 0);
    struct oxbow_scored *scored = &item->scored;
    uint32_t len;

    *item = (struct item){.wall_ms = 0};
    if (p->end - p->at < head) {
        return false;
    }
    if (p->type == OXBOW_TYPE_ZSET) {
        uint64_t bits = get_le64(p->data + p->at);

        memcpy(&scored->score, &bits, sizeof bits);
    }
    len = get_le32(p->data + p->at + head - LENGTH_LEN);
    p->at += head;
    if (p->end - p->at < len || scored->score != scored->score) {
        return false;
    }
    scored->member = (struct oxbow_bytes){p->data + p->at, len};
    p->at += len;
    p->left--;
    return !p->timed || p->left % 2 != 0 || time_next(p, &item->wall_ms);
}

/* Whether it makes sense from the first item to the last. */
static bool payload_is_sound(struct payload p)
{
    struct item item;

    if (p.count == 0 || p.type < OXBOW_TYPE_LIST || p.type > OXBOW_TYPE_ZSET ||
        p.type == OXBOW_TYPE_STREAM || (p.type == OXBOW_TYPE_STRING && p.count != 1) ||
        (p.type == OXBOW_TYPE_HASH && p.count % 2 != 0)) {
        return false;
    }
    while (p.left > 0) {
        if (!payload_next(&p, &item)) {
            return false;
        }
    }
    return p.at == p.end;
}

/* Fields and values in turn. One that has expired meanwhile is not there. */
static enum oxbow_err put_fields(struct resp_call *call, const struct item *some, size_t count)
{
    struct oxbow_bytes key = call->args[1];
    struct oxbow_field fields[STEP / 2];
    size_t i;
    enum oxbow_err err;

    for (i = 0; i + 1 < count; i += 2) {
        fields[i / 2] = (struct oxbow_field){some[i].scored.member, some[i + 1].scored.member};
    }
    err = oxbow_hash_set(call->txn, key, fields, count / 2, NULL);
    for (i = 0; err == OXBOW_OK && i + 1 < count; i += 2) {
        const struct oxbow_fields one = {&fields[i / 2].name, 1};
        enum oxbow_field_done done;

        if (some[i + 1].wall_ms != 0) {
            err =
                oxbow_hash_expire_at(call->txn, key, &one, (int64_t)some[i + 1].wall_ms, 0, &done);
        }
    }
    return err;
}

static enum oxbow_err put_some(struct resp_call *call, enum oxbow_type type,
                               const struct item *some, size_t count)
{
    struct oxbow_bytes key = call->args[1];
    struct oxbow_scored scored[STEP];
    struct oxbow_bytes values[STEP] = {{NULL, 0}};

    for (size_t i = 0; i < count; i++) {
        scored[i] = some[i].scored;
        values[i] = some[i].scored.member;
    }
    switch (type) {
    case OXBOW_TYPE_STRING:
        return oxbow_string_set(call->txn, key, values[0]);
    case OXBOW_TYPE_LIST:
        return oxbow_list_push(call->txn, key, OXBOW_RIGHT, values, count, NULL);
    case OXBOW_TYPE_HASH:
        return put_fields(call, some, count);
    case OXBOW_TYPE_SET:
        return oxbow_set_add(call->txn, key, values, count, NULL);
    default:
        return oxbow_zset_add(call->txn, key, 0, scored, count, NULL);
    }
}

static enum oxbow_err put(struct resp_call *call, struct payload *p)
{
    struct item some[STEP];
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && p->left > 0) {
        size_t n = 0;

        while (n < STEP && p->left > 0 && payload_next(p, &some[n])) {
            n++;
        }
        err = put_some(call, p->type, some, n);
    }
    return err;
}

/* ---- RESTORE's options ---- */

struct options {
    bool replace;
    bool absolute;
    bool idle; /* given: of either no use is made */
    bool freq;
    int64_t ttl_ms;
};

/* A number behind IDLETIME or FREQ. False: it was refused. */
static bool number_fits(struct resp_call *call, uint32_t i, int64_t max, const char *refusal)
{
    int64_t n;

    if (!resp_arg_int(call->args[i], &n)) {
        (void)!resp_refuse_integer(call);
        return false;
    }
    if (n < 0 || n > max) {
        (void)!resp_refuse(call, refusal);
        return false;
    }
    return true;
}

static bool options_of(struct resp_call *call, struct options *opt)
{
    for (uint32_t i = 4; i < call->count; i++) {
        bool more = i + 1 < call->count;

        if (resp_arg_is(call->args[i], "replace")) {
            opt->replace = true;
        } else if (resp_arg_is(call->args[i], "absttl")) {
            opt->absolute = true;
        } else if (resp_arg_is(call->args[i], "idletime") && more && !opt->freq) {
            opt->idle = true;
            if (!number_fits(call, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0")) {
                return false;
            }
        } else if (resp_arg_is(call->args[i], "freq") && more && !opt->idle) {
            opt->freq = true;
            if (!number_fits(call, ++i, 255, "ERR Invalid FREQ value, must be >= 0 and <= 255")) {
                return false;
            }
        } else {
            (void)!resp_refuse_syntax(call);
            return false;
        }
    }
    return true;
}

static bool ttl_of(struct resp_call *call, struct options *opt)
{
    if (!resp_arg_int(call->args[2], &opt->ttl_ms)) {
        (void)!resp_refuse_integer(call);
        return false;
    }
    if (opt->ttl_ms < 0) {
        (void)!resp_refuse(call, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    return true;
}

static enum oxbow_err expire(struct resp_call *call, const struct options *opt)
{
    enum oxbow_expire_done done;

    if (opt->ttl_ms == 0) {
        return OXBOW_OK;
    }
    return opt->absolute ? oxbow_key_expire_at(call->txn, call->args[1], opt->ttl_ms, 0, &done)
                         : oxbow_key_expire(call->txn, call->args[1], opt->ttl_ms, 0, &done);
}

static enum oxbow_err restore(struct resp_call *call, const struct options *opt, struct payload *p)
{
    bool over =
        opt->ttl_ms > 0 && opt->absolute && (uint64_t)opt->ttl_ms <= resp_wall_ms(call->server);
    bool existed;
    enum oxbow_err err = oxbow_key_delete(call->txn, call->args[1], &existed);

    if (err == OXBOW_OK && !over) {
        err = put(call, p);
        err = err == OXBOW_OK ? expire(call, opt) : err;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!over) {
        resp_changed(call, RESP_EVENT_GENERIC, "restore", call->args[1]);
    } else if (existed) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err cmd_restore(struct resp_call *call)
{
    struct options opt = {.replace = false};
    struct payload payload;
    enum oxbow_type type;
    enum oxbow_err err;

    if (!options_of(call, &opt)) {
        return OXBOW_OK;
    }
    err = oxbow_key_type(call->txn, call->args[1], &type);
    if (err != OXBOW_OK) {
        return err;
    }
    if (type != OXBOW_TYPE_NONE && !opt.replace) {
        return resp_refuse(call, "BUSYKEY Target key name already exists.");
    }
    if (!ttl_of(call, &opt)) {
        return OXBOW_OK;
    }
    if (!payload_open(call, &payload)) {
        return resp_refuse(call, "ERR DUMP payload version or checksum are wrong");
    }
    if (!payload_is_sound(payload)) {
        return resp_refuse(call, "ERR Bad data format");
    }
    return restore(call, &opt, &payload);
}

#define K RESP_CAT_KEYSPACE

const struct resp_command resp_dump_commands[] = {
    {"dump", cmd_dump, 2, RESP_READONLY, K, 1, 1, 1, "2.6.0",
     "What a key holds, as a text for RESTORE", NULL},
    {"restore", cmd_restore, -4, RESP_WRITE | RESP_DENYOOM, K | RESP_CAT_DANGEROUS, 1, 1, 1,
     "2.6.0", "Makes a key of what DUMP gave", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
