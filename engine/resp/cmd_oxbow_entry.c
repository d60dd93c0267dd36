/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW ADD, PUSH and DELAY: entries with more said of them than XADD and RPUSH have words for. What is put
 * off is added by the store itself when it is due.
 */
#include "engine/base/id.h"
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "engine/resp/cmd_stream.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"

#include <stdio.h>
#include <string.h>

#define LIST_COUNT_DEFAULT 100
#define LIST_COUNT_MAX     1000
#define PLACE_MAX          64u

/* What is said of an entry. */
struct entry_args {
    struct oxbow_stream_add_options add;
    struct oxbow_delay_when when;
    struct oxbow_once once;
    bool later;    /* `when` was given */
    bool named;    /* `once` was: by an id, or by a producer */
    bool sequence; /* the producer's number was */
    bool stream;   /* it is one's: TTL, PRIORITY and NOMKSTREAM are for those alone */
    uint32_t at;   /* the argument behind the options */
};

static bool number_of(struct oxbow_bytes arg, uint64_t max, uint64_t *n)
{
    return num_u64(arg, n) == OXBOW_OK && *n <= max;
}

/* ---- options ---- */

#define TWO_TIMES "ERR an entry is put off by DELAY or by AT, not by both"

static const char *take_delay(struct oxbow_bytes value, struct entry_args *a)
{
    if (a->later) {
        return TWO_TIMES;
    }
    a->when.by = OXBOW_DELAY_FOR;
    a->later = true;
    return number_of(value, OXBOW_DELAY_MS_MAX, &a->when.ms)
               ? NULL
               : "ERR DELAY is a number of milliseconds, up to 200 years";
}

static const char *take_at(struct oxbow_bytes value, struct entry_args *a)
{
    if (a->later) {
        return TWO_TIMES;
    }
    a->when.by = OXBOW_DELAY_WALL;
    a->later = true;
    return number_of(value, INT64_MAX, &a->when.ms)
               ? NULL
               : "ERR AT is a number of milliseconds since 1970-01-01 UTC";
}

static const char *take_ttl(struct oxbow_bytes value, struct entry_args *a)
{
    return number_of(value, OXBOW_TTL_MS_MAX, &a->add.ttl_ms) && a->add.ttl_ms > 0
               ? NULL
               : "ERR TTL is a number of milliseconds from 1, up to 200 years";
}

static const char *take_priority(struct oxbow_bytes value, struct entry_args *a)
{
    uint64_t n;

    if (!number_of(value, OXBOW_PRIORITIES_MAX - 1, &n)) {
        return "ERR PRIORITY is a number from 0 to 7";
    }
    a->add.priority = (uint32_t)n;
    a->once.priority = (uint32_t)n;
    return NULL;
}

static const char *take_once(struct oxbow_bytes value, struct entry_args *a)
{
    a->once.id = value;
    a->named = true;
    return value.len > 0 && value.len <= OXBOW_ONCE_NAME_MAX
               ? NULL
               : "ERR ONCE is an id of 1 to 512 bytes";
}

static const char *take_producer(struct oxbow_bytes value, struct entry_args *a)
{
    a->once.producer = value;
    a->named = true;
    return value.len > 0 && value.len <= OXBOW_ONCE_NAME_MAX
               ? NULL
               : "ERR PRODUCER is a name of 1 to 512 bytes";
}

static const char *take_sequence(struct oxbow_bytes value, struct entry_args *a)
{
    a->sequence = true;
    return number_of(value, UINT64_MAX, &a->once.sequence) && a->once.sequence > 0
               ? NULL
               : "ERR SEQ is a number from 1";
}

static const struct option_row {
    const char *name;
    const char *(*take)(struct oxbow_bytes value, struct entry_args *a);
    bool stream; /* for those alone */
} options[] = {
    {"delay", take_delay, false},  {"at", take_at, false},
    {"ttl", take_ttl, true},       {"priority", take_priority, true},
    {"once", take_once, false},    {"producer", take_producer, false},
    {"seq", take_sequence, false},
};

#define OPTIONS (sizeof options / sizeof options[0])

/* What of the options does not go together. */
static const char *check(const struct entry_args *a)
{
    bool producer = a->once.producer.len > 0;

    if (producer != a->sequence) {
        return "ERR PRODUCER and SEQ go together";
    }
    if (producer && a->once.id.len > 0) {
        return "ERR an entry is named by ONCE, or by PRODUCER and SEQ, not by both";
    }
    if (a->named && a->later) {
        return "ERR what is added once cannot be put off: DELAY and AT do not go with ONCE and "
               "PRODUCER";
    }
    if (a->add.ttl_ms > 0 && (a->named || a->later)) {
        return "ERR TTL does not go with DELAY, AT, ONCE and PRODUCER: such entries have the "
               "queue's default-ttl";
    }
    if (a->add.no_create && (a->named || a->later)) {
        return "ERR NOMKSTREAM does not go with DELAY, AT, ONCE and PRODUCER";
    }
    return NULL;
}

/* The options from argument `at` on, before `end`. NULL, or what is to be replied. */
static const char *options_read(const struct resp_call *call, uint32_t at, uint32_t end,
                                struct entry_args *a)
{
    uint32_t given = 0;

    while (at < end) {
        const char *bad;
        size_t i = 0;

        if (a->stream && resp_arg_is(call->args[at], "nomkstream")) {
            a->add.no_create = true;
            at++;
            continue;
        }
        while (i < OPTIONS && (!resp_arg_is(call->args[at], options[i].name) ||
                               (options[i].stream && !a->stream))) {
            i++;
        }
        if (i == OPTIONS) {
            break;
        }
        if (at + 1 >= end || (given & (1u << i)) != 0) {
            return "ERR syntax error";
        }
        given |= 1u << i;
        bad = options[i].take(call->args[at + 1], a);
        if (bad != NULL) {
            return bad;
        }
        at += 2;
    }
    a->at = at;
    return check(a);
}

/* ---- replies ---- */

static void reply_delay_id(struct resp_reply *r, struct oxbow_delay_id id)
{
    char text[PLACE_MAX];

    (void)snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)id.due_ms,
                   (unsigned long long)id.number);
    resp_bulk_text(r, text);
}

/* 0-0: the queue put it off, keeps nothing, or is a list. */
static void reply_id(struct resp_reply *r, struct oxbow_id id)
{
    if (id_is_zero(id)) {
        resp_null(r);
    } else {
        resp_bulk_id(r, id);
    }
}

static void reply_once(struct resp_reply *r, const struct oxbow_once_outcome *outcome)
{
    resp_array(r, 2);
    reply_id(r, outcome->id);
    resp_int(r, !outcome->duplicate);
}

/* ---- ADD ---- */

/* "*", "ms-*" or "ms-seq". */
static const char *add_id(struct oxbow_bytes arg, struct entry_args *a)
{
    const char *p = arg.data;

    if (resp_arg_is(arg, "*")) {
        a->add.id_mode = OXBOW_ID_AUTO;
        return NULL;
    }
    if (a->named || a->later) {
        return "ERR with DELAY, AT, ONCE and PRODUCER the id is *";
    }
    a->add.id_mode = OXBOW_ID_EXPLICIT;
    if (arg.len > 2 && p[arg.len - 1] == '*' && p[arg.len - 2] == '-' &&
        memchr(p, '-', arg.len) == p + arg.len - 2) {
        a->add.id_mode = OXBOW_ID_PARTIAL;
        arg.len -= 2;
    }
    return stream_id(arg, 0, &a->add.id) ? NULL : STREAM_BAD_ID;
}

static enum oxbow_err add_later(struct resp_call *call, const struct entry_args *a,
                                const struct oxbow_field *fields, uint32_t count)
{
    struct oxbow_delay_id id;
    enum oxbow_err err = oxbow_delay_add(call->txn, call->args[2], &a->when, fields, count, &id);

    if (err == OXBOW_OK && a->add.priority > 0) {
        err = oxbow_delay_set_priority(call->txn, id, a->add.priority);
    }
    if (err == OXBOW_OK) {
        reply_delay_id(call->reply, id);
    }
    return err;
}

static enum oxbow_err add_once(struct resp_call *call, const struct entry_args *a,
                               const struct oxbow_field *fields, uint32_t count)
{
    struct oxbow_once_outcome outcome;
    enum oxbow_err err =
        oxbow_once_add(call->txn, call->args[2], &a->once, fields, count, &outcome);

    if (err == OXBOW_OK) {
        reply_once(call->reply, &outcome);
        if (!outcome.duplicate) {
            resp_changed(call, RESP_EVENT_STREAM, "xadd", call->args[2]);
        }
    }
    return err;
}

static enum oxbow_err add_now(struct resp_call *call, const struct entry_args *a,
                              const struct oxbow_field *fields, uint32_t count)
{
    struct oxbow_id id;
    enum oxbow_err err;

    if (a->add.id_mode == OXBOW_ID_EXPLICIT && id_is_zero(a->add.id)) {
        return OXBOW_EIDZERO;
    }
    err = oxbow_stream_add(call->txn, call->args[2], &a->add, fields, count, &id);
    if (err == OXBOW_EAGAIN) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        reply_id(call->reply, id);
        resp_changed(call, RESP_EVENT_STREAM, "xadd", call->args[2]);
    }
    return err;
}

/* Whether the queue has the priority now: asked before anything is done. One that is put off gets the
 * highest that there is when it is due. */
static enum oxbow_err priority_fits(struct resp_call *call, const struct entry_args *a, bool *fits)
{
    struct oxbow_policy policy;
    enum oxbow_err err;

    *fits = a->add.priority == 0 || a->later;
    if (*fits) {
        return OXBOW_OK;
    }
    err = oxbow_policy_get(call->txn, call->args[2], &policy);
    *fits = err == OXBOW_OK && a->add.priority < policy.priorities;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err cmd_oxbow_add(struct resp_call *call)
{
    /* Names and values stand in pairs already. */
    _Static_assert(sizeof(struct oxbow_field) == 2 * sizeof(struct oxbow_bytes), "a pair");
    struct entry_args a = {.stream = true};
    const char *bad = options_read(call, 3, call->count, &a);
    uint64_t changes = oxbow_txn_changes(call->txn);
    const struct oxbow_field *fields;
    bool fits = true;
    uint32_t count;
    enum oxbow_err err;

    if (bad == NULL && a.at == call->count) {
        bad = "ERR syntax error";
    }
    if (bad == NULL) {
        bad = add_id(call->args[a.at], &a);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    count = call->count - a.at - 1;
    if (count < 2 || count % 2 == 1) {
        return resp_refuse_arity(call);
    }
    fields = (const struct oxbow_field *)(call->args + a.at + 1);
    err = priority_fits(call, &a, &fits);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!fits) {
        return resp_refuse(call, "ERR the queue has not so many priorities: OXBOW QUEUE SET key "
                                 "priorities n");
    }
    if (a.later) {
        err = add_later(call, &a, fields, count / 2);
    } else if (a.named) {
        err = add_once(call, &a, fields, count / 2);
    } else {
        err = add_now(call, &a, fields, count / 2);
    }
    return oxbow_settle(call, changes, err);
}

/* ---- PUSH ---- */

enum oxbow_err cmd_oxbow_push(struct resp_call *call)
{
    const struct oxbow_bytes key = call->args[2];
    const struct oxbow_bytes value = call->args[call->count - 1];
    struct entry_args a = {.stream = false};
    bool left = resp_arg_is(call->args[3], "left");
    enum oxbow_end end = left ? OXBOW_LEFT : OXBOW_RIGHT;
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_once_outcome outcome = {.duplicate = false};
    struct oxbow_delay_id id;
    uint64_t len = 0;
    const char *bad = options_read(call, 4, call->count - 1, &a);
    enum oxbow_err err;

    if (!left && !resp_arg_is(call->args[3], "right")) {
        return resp_refuse(call, "ERR a value is pushed LEFT or RIGHT");
    }
    if (bad == NULL && a.at != call->count - 1) {
        bad = "ERR syntax error";
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    if (a.later) {
        err = oxbow_delay_push(call->txn, key, end, &a.when, value, &id);
        if (err == OXBOW_OK) {
            reply_delay_id(call->reply, id);
        }
        return oxbow_settle(call, changes, err);
    }
    if (a.named) {
        err = oxbow_once_push(call->txn, key, end, &a.once, value, &outcome);
        if (err == OXBOW_OK) {
            resp_int(call->reply, !outcome.duplicate);
        }
    } else {
        err = oxbow_list_push(call->txn, key, end, &value, 1, &len);
        if (err == OXBOW_OK) {
            resp_int(call->reply, (int64_t)len);
        }
    }
    if (err == OXBOW_OK && !outcome.duplicate) {
        resp_changed(call, RESP_EVENT_LIST, left ? "lpush" : "rpush", key);
    }
    return oxbow_settle(call, changes, err);
}

/* ---- DELAY ---- */

/* "due-number", as ADD and PUSH reply. */
static bool delay_id(struct oxbow_bytes arg, struct oxbow_delay_id *id)
{
    const char *p = arg.data;
    const char *dash = arg.len > 0 ? memchr(p, '-', arg.len) : NULL;

    return dash != NULL &&
           num_u64((struct oxbow_bytes){p, (size_t)(dash - p)}, &id->due_ms) == OXBOW_OK &&
           num_u64((struct oxbow_bytes){dash + 1, arg.len - (size_t)(dash - p) - 1}, &id->number) ==
               OXBOW_OK &&
           id->number > 0;
}

/* Whether one waits under the id for the key: who may not touch another key is not to take back what is
 * added there. */
static enum oxbow_err delay_find(struct resp_call *call, struct oxbow_delay_id id, bool *found)
{
    const struct oxbow_bytes key = call->args[3];
    struct oxbow_delay_place place = {.wall = false, .after = {id.due_ms, id.number - 1}};
    struct oxbow_delay_info info;

    *found = false;
    for (int wall = 0; wall < 2; wall++) {
        enum oxbow_err err;

        place.wall = wall != 0;
        place.after = (struct oxbow_delay_id){id.due_ms, id.number - 1};
        err = oxbow_delay_next(call->txn, &place, &info);
        if (err == OXBOW_OK && info.id.due_ms == id.due_ms && info.id.number == id.number) {
            *found = info.database == call->client->database && info.key.len == key.len &&
                     (key.len == 0 || memcmp(info.key.data, key.data, key.len) == 0);
            return OXBOW_OK;
        }
        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err delay_cancel(struct resp_call *call)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_delay_id id;
    bool found = false;
    enum oxbow_err err;

    if (!delay_id(call->args[4], &id)) {
        return resp_refuse(call,
                           "ERR the id of a delayed entry is DUE-NUMBER, as OXBOW ADD gave it");
    }
    err = delay_find(call, id, &found);
    if (err == OXBOW_OK && found) {
        err = oxbow_delay_cancel(call->txn, id);
    }
    if (err == OXBOW_ENOENT) {
        found = false;
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, found);
    }
    return oxbow_settle(call, changes, err);
}

static void reply_delayed(struct resp_reply *r, const struct oxbow_delay_info *info)
{
    resp_map(r, 7);
    resp_bulk_text(r, "id");
    reply_delay_id(r, info->id);
    oxbow_pair_text(r, "clock", info->wall ? "wall" : "store");
    oxbow_pair_text(r, "type", info->type == OXBOW_TYPE_LIST ? "list" : "stream");
    oxbow_pair_int(r, "priority", info->priority);
    oxbow_pair_int(r, "bytes", info->bytes);
    oxbow_pair_int(r, "tries", info->tries);
    oxbow_pair_text(r, "refused", info->refused != OXBOW_OK ? oxbow_err_text(info->refused) : "");
}

/* What waits for one key, the next due first. */
static enum oxbow_err delay_list(struct resp_call *call)
{
    const struct oxbow_bytes key = call->args[3];
    struct oxbow_delay_place place = {.wall = false};
    int64_t most = LIST_COUNT_DEFAULT;
    struct oxbow_delay_info info;
    struct resp_later later;
    int64_t count = 0;
    enum oxbow_err err = OXBOW_OK;

    if (call->count == 5 || (call->count == 6 && !resp_arg_is(call->args[4], "count"))) {
        return resp_refuse_syntax(call);
    }
    if (call->count == 6 &&
        (!resp_arg_int(call->args[5], &most) || most < 1 || most > LIST_COUNT_MAX)) {
        return resp_refuse(call, "ERR COUNT is a number from 1 to 1000");
    }
    later = resp_array_later(call->reply);
    while (count < most && (err = oxbow_delay_next(call->txn, &place, &info)) == OXBOW_OK) {
        if (info.database == call->client->database && info.key.len == key.len &&
            (key.len == 0 || memcmp(info.key.data, key.data, key.len) == 0)) {
            reply_delayed(call->reply, &info);
            count++;
        }
    }
    resp_later_set(call->reply, later, (size_t)count);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err cmd_oxbow_delay(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"cancel", delay_cancel, 5, 5},
        {"list", delay_list, 4, 6},
        {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}
