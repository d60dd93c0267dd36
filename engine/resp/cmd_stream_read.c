/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XREAD and XREADGROUP. Both look at all streams first (types, groups, ids), then read one after the
 * other, and wait when none had anything. Who waits is tried again with the same arguments: `$` is
 * remembered as the id that it meant. It is then given what one stream has, as Redis does.
 */
#include "engine/resp/cmd_stream.h"

#include "engine/base/id.h"
#include "engine/resp/args.h"

#define WAITER_COUNT 1000u /* entries at most for who waited and named no count */
#define US_PER_MS    1000u

struct read {
    bool of_group;
    struct oxbow_bytes group;
    struct oxbow_bytes consumer;
    uint64_t count; /* 0: no limit */
    bool noack;
    bool claim; /* CLAIM: what has been idle for so long comes before what is new */
    uint64_t min_idle_ms;
    bool block;
    uint64_t timeout_us;
    uint32_t first; /* the first stream's argument */
    uint32_t streams;
};

static bool is_char(struct oxbow_bytes arg, char c)
{
    return arg.len == 1 && *(const char *)arg.data == c;
}

static const char *block_arg(const struct resp_call *call, struct oxbow_bytes arg, struct read *q)
{
    int64_t ms;

    if (call->script != NULL) {
        return q->of_group ? "ERR xreadgroup command is not allowed with BLOCK option from scripts"
                           : "ERR xread command is not allowed with BLOCK option from scripts";
    }

    if (!resp_arg_int(arg, &ms)) {
        return "ERR timeout is not an integer or out of range";
    }
    if (ms < 0) {
        return "ERR timeout is negative";
    }
    q->block = true;
    q->timeout_us = (uint64_t)ms > UINT64_MAX / US_PER_MS ? 0 : (uint64_t)ms * US_PER_MS;
    return NULL;
}

static const char *claim_arg(struct oxbow_bytes arg, struct read *q)
{
    int64_t ms;

    if (!q->of_group) {
        return "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.";
    }
    if (!resp_arg_int(arg, &ms)) {
        return "ERR min-idle-time is not an integer or out of range";
    }
    if (ms < 0) {
        return "ERR min-idle-time must be a positive integer";
    }
    q->claim = true;
    q->min_idle_ms = (uint64_t)ms;
    return NULL;
}

static const char *streams_arg(struct resp_call *call, uint32_t at, struct read *q)
{
    uint32_t rest = call->count - at - 1;

    if (rest % 2 != 0) {
        return "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
               "specified."; /* also of XREADGROUP: Redis 7.0 */
    }
    q->first = at + 1;
    q->streams = rest / 2;
    return NULL;
}

/* One option, from argument *at on; *at goes to its last one. */
static const char *option(struct resp_call *call, uint32_t *at, struct read *q)
{
    const struct oxbow_bytes *arg = call->args + *at;
    uint32_t more = call->count - *at - 1;
    int64_t count;

    if (more > 0 && resp_arg_is(arg[0], "block")) {
        *at += 1;
        return block_arg(call, arg[1], q);
    }
    if (more > 0 && resp_arg_is(arg[0], "claim")) {
        *at += 1;
        return claim_arg(arg[1], q);
    }
    if (more > 0 && resp_arg_is(arg[0], "count")) {
        *at += 1;
        if (!resp_arg_int(arg[1], &count)) {
            return "ERR value is not an integer or out of range";
        }
        q->count = count > 0 ? (uint64_t)count : 0;
        return NULL;
    }
    if (more >= 2 && resp_arg_is(arg[0], "group")) {
        *at += 2;
        q->group = arg[1];
        q->consumer = arg[2];
        return q->of_group ? NULL
                           : "ERR The GROUP option is only supported by XREADGROUP. You called "
                             "XREAD instead.";
    }
    if (resp_arg_is(arg[0], "noack")) {
        q->noack = true;
        return q->of_group ? NULL
                           : "ERR The NOACK option is only supported by XREADGROUP. You called "
                             "XREAD instead.";
    }
    return "ERR syntax error";
}

static const char *read_args(struct resp_call *call, struct read *q)
{
    const char *bad = NULL;

    for (uint32_t i = 1; bad == NULL && q->first == 0 && i < call->count; i++) {
        if (i + 1 < call->count && resp_arg_is(call->args[i], "streams")) {
            bad = streams_arg(call, i, q);
        } else {
            bad = option(call, &i, q);
        }
    }
    if (bad != NULL) {
        return bad;
    }
    if (q->first == 0) {
        return "ERR syntax error";
    }
    if (q->of_group && q->group.data == NULL) {
        return "ERR Missing GROUP option for XREADGROUP";
    }
    return NULL;
}

static struct oxbow_bytes key_of(const struct resp_call *call, const struct read *q, uint32_t i)
{
    return call->args[q->first + i];
}

static struct oxbow_bytes id_of(const struct resp_call *call, const struct read *q, uint32_t i)
{
    return call->args[q->first + q->streams + i];
}

/* ---- looking at all streams before any is read ---- */

/* What is told in the place of a read that cannot be; false: nothing. */
static bool refused(struct resp_call *call, const char *text)
{
    if (text != NULL) {
        resp_error(call->reply, text);
    }
    return text != NULL;
}

/* The group of one who waits may have gone meanwhile. */
static enum oxbow_err group_check(struct resp_call *call, const struct read *q, uint32_t i,
                                  bool there, bool *done)
{
    struct oxbow_group group = {key_of(call, q, i), q->group};
    bool found = false;
    enum oxbow_err err = there ? stream_group_there(call, group, &found) : OXBOW_OK;

    if (err != OXBOW_OK || found) {
        return err;
    }
    *done = true;
    if (!call->again) {
        return stream_refuse_group(call, group, " in XREADGROUP with GROUP option");
    }
    return resp_refuse(call, there ? "NOGROUP the consumer group this client was blocked on no "
                                     "longer exists"
                                   : "UNBLOCKED the stream key no longer exists");
}

static const char *id_check(const struct resp_call *call, const struct read *q, uint32_t i)
{
    struct oxbow_bytes arg = id_of(call, q, i);
    struct oxbow_id id;

    if (is_char(arg, '$')) {
        return q->of_group
                   ? "ERR The $ ID is meaningless in the context of XREADGROUP: you want to "
                     "read the history of this consumer by specifying a proper ID, or use "
                     "the > ID to get new messages. The $ ID would just return an empty "
                     "result set."
                   : NULL;
    }
    if (is_char(arg, '>')) {
        return q->of_group ? NULL
                           : "ERR The > ID can be specified only when calling XREADGROUP using the "
                             "GROUP <group> <consumer> option.";
    }
    return stream_id(arg, 0, &id) ? NULL : STREAM_BAD_ID;
}

/* Sets *done when it has replied. */
static enum oxbow_err check_all(struct resp_call *call, const struct read *q, bool *done)
{
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; err == OXBOW_OK && !*done && i < q->streams; i++) {
        bool there = false;

        err = stream_there(call, key_of(call, q, i), &there);
        if (err == OXBOW_EWRONGTYPE && call->again) {
            err = OXBOW_OK; /* for who waits it is as if there was nothing */
        }
        if (err == OXBOW_OK && q->of_group) {
            err = group_check(call, q, i, there, done);
        }
        if (err == OXBOW_OK && !*done) {
            *done = refused(call, id_check(call, q, i));
        }
    }
    return err;
}

/* ---- reading ---- */

static void read_put(struct resp_call *call, const struct read *q, uint32_t i)
{
    if (call->reply->version == 2) {
        resp_array(call->reply, 2);
    }
    resp_bulk(call->reply, key_of(call, q, i));
    stream_entries(call);
}

/* What comes after `$` from now on: told to the next try. */
static enum oxbow_err remember_last(struct resp_call *call, const struct read *q, uint32_t i)
{
    struct oxbow_stream_info info = {.last_id = OXBOW_ID_MIN};
    char text[ID_TEXT_MAX];
    enum oxbow_err err = oxbow_stream_info(call->txn, key_of(call, q, i), &info);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    return resp_remember(call, q->first + q->streams + i,
                         (struct oxbow_bytes){text, id_to_text(text, info.last_id)});
}

static enum oxbow_err wait_for_all(struct resp_call *call, const struct read *q)
{
    struct resp_wait wait = {.keys = call->args + q->first,
                             .key_count = q->streams,
                             .stream = true,
                             .timeout_us = q->timeout_us};

    for (uint32_t i = 0; call->may_wait && i < q->streams; i++) {
        if (is_char(id_of(call, q, i), '$')) {
            enum oxbow_err err = remember_last(call, q, i);

            if (err != OXBOW_OK) {
                return err;
            }
        }
    }
    return resp_wait_for(call, &wait);
}

/* One stream of XREAD; *any: it had something, which is in the reply. */
static enum oxbow_err read_stream(struct resp_call *call, const struct read *q, uint32_t i,
                                  bool *any)
{
    struct oxbow_id after = OXBOW_ID_MIN;
    enum oxbow_err err;

    if (is_char(id_of(call, q, i), '$')) {
        return OXBOW_OK; /* nothing comes after the last one */
    }
    (void)!stream_id(id_of(call, q, i), 0, &after); /* checked */
    err = oxbow_stream_read(call->txn, key_of(call, q, i), after, q->count, call->result);
    if (err == OXBOW_EWRONGTYPE && call->again) {
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && call->result->entry_count > 0) {
        *any = true;
        read_put(call, q, i);
    }
    return err;
}

/* What was read, each entry with how long ago it was delivered last and how often; both 0: it is new. */
static void put_delivered(struct resp_call *call)
{
    for (size_t i = 0; i < call->result->entry_count; i++) {
        const struct oxbow_entry *entry = &call->result->entries[i];
        uint64_t idle = entry->idle_ms;

        if (idle == OXBOW_IDLE_RETURNED) {
            idle = resp_wall_ms(call->server); /* as if delivered in 1970 */
        }
        resp_array(call->reply, 4);
        stream_entry_parts(call->reply, entry);
        resp_int(call->reply, (int64_t)idle);
        resp_int(call->reply, stream_deliveries(entry->deliveries));
    }
}

/* With CLAIM: what has been idle for long enough, then what is new, as many as are wanted of both. When
 * there is more that is idle than one read claims, what is new waits for the next. */
static enum oxbow_err read_claiming(struct resp_call *call, const struct read *q,
                                    struct oxbow_group group, bool *any)
{
    struct oxbow_claim_idle_options claim = {.min_idle_ms = q->min_idle_ms, .count = q->count};
    struct oxbow_group_read_options fresh = {.noack = q->noack};
    uint64_t mark = resp_reply_mark(call->reply);
    struct resp_later later;
    size_t given = 0;
    enum oxbow_err err =
        oxbow_group_claim_idle(call->txn, group, q->consumer, &claim, call->result);

    if (err != OXBOW_OK) {
        return err;
    }
    if (call->reply->version == 2) {
        resp_array(call->reply, 2);
    }
    resp_bulk(call->reply, group.key);
    later = resp_array_later(call->reply);
    put_delivered(call);
    given = call->result->entry_count;
    if (given < OXBOW_CLAIM_IDLE_MAX && (q->count == 0 || given < q->count)) {
        fresh.count = q->count > 0 ? q->count - given : 0;
        err = oxbow_group_read(call->txn, group, q->consumer, &fresh, call->result);
        if (err != OXBOW_OK) {
            return err;
        }
        put_delivered(call);
        given += call->result->entry_count;
    }
    if (given == 0) {
        resp_reply_rewind(call->reply, mark);
        return OXBOW_OK;
    }
    resp_later_set(call->reply, later, given);
    *any = true;
    return OXBOW_OK;
}

static enum oxbow_err read_group(struct resp_call *call, const struct read *q, uint32_t i,
                                 bool *any)
{
    struct oxbow_group group = {key_of(call, q, i), q->group};
    struct oxbow_group_read_options opt = {
        .history = !is_char(id_of(call, q, i), '>'), .count = q->count, .noack = q->noack};
    enum oxbow_err err;

    if (q->claim && !opt.history) {
        return read_claiming(call, q, group, any);
    }
    if (opt.history) {
        (void)!stream_id(id_of(call, q, i), 0, &opt.after); /* checked */
    }
    err = oxbow_group_read(call->txn, group, q->consumer, &opt, call->result);
    if (err != OXBOW_OK) {
        return err;
    }
    if (opt.history || call->result->entry_count > 0) {
        *any = true;
        read_put(call, q, i);
    }
    return OXBOW_OK;
}

static enum oxbow_err read_all(struct resp_call *call, struct read *q)
{
    uint64_t mark = resp_reply_mark(call->reply);
    struct resp_later later =
        call->reply->version == 2 ? resp_array_later(call->reply) : resp_map_later(call->reply);
    size_t given = 0;

    for (uint32_t i = 0; i < q->streams; i++) {
        bool any = false;
        enum oxbow_err err = OXBOW_OK;

        if (resp_call_may(call, key_of(call, q, i))) {
            err = q->of_group ? read_group(call, q, i, &any) : read_stream(call, q, i, &any);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        given += any;
        if (any && call->again) {
            break;
        }
    }
    if (given > 0) {
        resp_later_set(call->reply, later, given);
        return OXBOW_OK;
    }
    resp_reply_rewind(call->reply, mark);
    if (q->block) {
        return wait_for_all(call, q);
    }
    resp_null_array(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err read_streams(struct resp_call *call, bool of_group)
{
    struct read q = {.of_group = of_group};
    const char *bad = read_args(call, &q);
    bool done = false;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = check_all(call, &q, &done);
    if (err != OXBOW_OK || done) {
        return err;
    }
    if (call->again && q.count == 0) {
        q.count = WAITER_COUNT;
    }
    return read_all(call, &q);
}

enum oxbow_err cmd_xread(struct resp_call *call)
{
    return read_streams(call, false);
}

enum oxbow_err cmd_xreadgroup(struct resp_call *call)
{
    return read_streams(call, true);
}
