/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY where the engine does not copy records: values over 64 KiB have one owner. Here they are read and
 * added like any others, a few at a time, in the one transaction that the command is.
 */
#include "engine/resp/cmd_copy.h"

#include "engine/base/buf.h"
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"

#include <string.h>

#define STEP 32u /* values, each of which may be long */

/* How far it has come. */
struct walk {
    enum oxbow_type type;
    uint64_t at; /* position in a list, else a scan's cursor */
    bool ended;
    struct buf left_ms; /* uint64_t of each field in the result: how long it still has */
};

/* Of the fields that the result has. */
static enum oxbow_err times_read(struct resp_call *call, struct oxbow_bytes key, struct walk *w)
{
    const struct oxbow_result *r = call->result;
    enum oxbow_err err = OXBOW_OK;

    w->left_ms.len = 0;
    for (size_t i = 0; err == OXBOW_OK && i < r->item_count; i += 2) {
        const struct oxbow_fields one = {&r->items[i], 1};
        uint64_t left_ms = 0;

        err = oxbow_hash_ttl(call->txn, key, &one, &left_ms);
        if (err == OXBOW_OK) {
            err = buf_append(&w->left_ms, &left_ms, sizeof left_ms);
        }
    }
    return err;
}

/* The next values into the result. */
static enum oxbow_err values_read(struct resp_call *call, struct oxbow_bytes key, struct walk *w)
{
    struct oxbow_result *r = call->result;
    enum oxbow_err err;

    switch (w->type) {
    case OXBOW_TYPE_LIST:
        err = oxbow_list_range(call->txn, key, (int64_t)w->at, (int64_t)(w->at + STEP - 1), r);
        if (err == OXBOW_OK) {
            w->at += r->item_count;
            w->ended = r->item_count < STEP;
        }
        return err;
    case OXBOW_TYPE_HASH:
        err = oxbow_hash_scan(call->txn, key, &w->at, STEP, r);
        if (err == OXBOW_OK) {
            err = times_read(call, key, w);
        }
        break;
    case OXBOW_TYPE_SET:
        err = oxbow_set_scan(call->txn, key, &w->at, STEP, r);
        break;
    default:
        err = oxbow_zset_scan(call->txn, key, &w->at, STEP, r);
        break;
    }
    w->ended = w->at == 0;
    return err;
}

static enum oxbow_err fields_put(struct resp_call *call, struct oxbow_bytes key,
                                 const struct walk *w)
{
    const struct oxbow_result *r = call->result;
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i + 1 < r->item_count; i += 2) {
        const struct oxbow_field field = {.name = r->items[i], .value = r->items[i + 1]};
        struct oxbow_hash_set_options opt = {.timed = false};
        uint64_t left_ms;
        bool set;

        memcpy(&left_ms, w->left_ms.data + i / 2 * sizeof left_ms, sizeof left_ms);
        opt.timed = left_ms != UINT64_MAX;
        opt.ttl_ms = opt.timed ? (int64_t)left_ms : 0;
        err = oxbow_hash_set_timed(call->txn, key, &field, 1, &opt, &set);
    }
    return err;
}

static enum oxbow_err scored_put(struct resp_call *call, struct oxbow_bytes key)
{
    const struct oxbow_result *r = call->result;
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < r->item_count; i++) {
        const struct oxbow_scored member = {.member = r->items[i], .score = r->scores[i]};

        err = oxbow_zset_add(call->txn, key, 0, &member, 1, NULL);
    }
    return err;
}

static enum oxbow_err values_put(struct resp_call *call, struct oxbow_bytes key,
                                 const struct walk *w)
{
    const struct oxbow_result *r = call->result;

    if (r->item_count == 0) {
        return OXBOW_OK;
    }
    switch (w->type) {
    case OXBOW_TYPE_LIST:
        return oxbow_list_push(call->txn, key, OXBOW_RIGHT, r->items, r->item_count, NULL);
    case OXBOW_TYPE_HASH:
        return fields_put(call, key, w);
    case OXBOW_TYPE_SET:
        return oxbow_set_add(call->txn, key, r->items, r->item_count, NULL);
    default:
        return scored_put(call, key);
    }
}

/* In the database of the copy: whether there is room for it. */
static enum oxbow_err room(struct resp_call *call, const struct resp_copying *c, bool *copied)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(call->txn, c->to, &type);

    if (err != OXBOW_OK) {
        return err;
    }
    *copied = type == OXBOW_TYPE_NONE || c->replace;
    return *copied ? oxbow_key_delete(call->txn, c->to, NULL) : OXBOW_OK;
}

static enum oxbow_err values_copy(struct resp_call *call, const struct resp_copying *c,
                                  enum oxbow_type type)
{
    struct walk w = {.type = type};
    enum oxbow_err err = OXBOW_OK;

    buf_init(&w.left_ms, resp_alloc(call->server), SIZE_MAX / 2);
    while (err == OXBOW_OK && !w.ended) {
        err = oxbow_txn_select(call->txn, call->client->database);
        if (err == OXBOW_OK) {
            err = values_read(call, c->from, &w);
        }
        if (err == OXBOW_OK) {
            err = oxbow_txn_select(call->txn, c->database);
        }
        if (err == OXBOW_OK) {
            err = values_put(call, c->to, &w);
        }
    }
    buf_fini(&w.left_ms);
    return err;
}

enum oxbow_err resp_copy_values(struct resp_call *call, const struct resp_copying *c, bool *copied)
{
    enum oxbow_expire_done done;
    enum oxbow_type type;
    uint64_t ttl_ms = UINT64_MAX;
    enum oxbow_err back;
    enum oxbow_err err = oxbow_key_type(call->txn, c->from, &type);

    if (err == OXBOW_OK && type != OXBOW_TYPE_LIST && type != OXBOW_TYPE_HASH &&
        type != OXBOW_TYPE_SET && type != OXBOW_TYPE_ZSET) {
        return OXBOW_ENOTSUP;
    }
    if (err == OXBOW_OK) {
        err = oxbow_key_ttl(call->txn, c->from, &ttl_ms);
    }
    if (err == OXBOW_OK) {
        err = oxbow_txn_select(call->txn, c->database);
    }
    if (err == OXBOW_OK) {
        err = room(call, c, copied);
    }
    if (err == OXBOW_OK && *copied) {
        err = values_copy(call, c, type);
        if (err == OXBOW_OK && ttl_ms != UINT64_MAX) {
            err = oxbow_key_expire(call->txn, c->to, (int64_t)ttl_ms, 0, &done);
        }
    }
    back = oxbow_txn_select(call->txn, call->client->database);
    return err == OXBOW_OK ? back : err;
}
