/* SPDX-License-Identifier: Apache-2.0 */
/* XPENDING, XCLAIM, XAUTOCLAIM: what was delivered and not acked, and who takes it over. */
#include "engine/resp/cmd_stream.h"

#include "engine/base/id.h"
#include "engine/resp/args.h"

#define PENDING_PIECE 256u             /* entries looked up at once */
#define AUTOCLAIM_MAX (INT64_MAX / 16) /* as Redis limits COUNT */

static struct oxbow_group group_of(const struct resp_call *call)
{
    return (struct oxbow_group){call->args[1], call->args[2]};
}

/* Sets *done when it has replied that there is no such group. */
static enum oxbow_err need_group(struct resp_call *call, bool *done)
{
    bool there = false;
    bool found = false;
    enum oxbow_err err = stream_there(call, call->args[1], &there);

    if (err == OXBOW_OK && there) {
        err = stream_group_there(call, group_of(call), &found);
    }
    *done = !found;
    return err != OXBOW_OK || found ? err : stream_refuse_group(call, group_of(call), "");
}

/* ---- XPENDING ---- */

/* The consumers that have something, each with how much. */
static enum oxbow_err pending_consumers(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply);
    size_t count = 0;
    enum oxbow_err err = oxbow_group_consumers(call->txn, group_of(call), call->result);

    for (size_t i = 0; err == OXBOW_OK && i < call->result->item_count; i++) {
        struct oxbow_consumer_info info;

        err = oxbow_group_consumer_info(call->txn, group_of(call), call->result->items[i], &info);
        if (err == OXBOW_OK && info.pending > 0) {
            resp_array(call->reply, 2);
            resp_bulk(call->reply, call->result->items[i]);
            resp_bulk_int(call->reply, (int64_t)info.pending);
            count++;
        }
    }
    if (err == OXBOW_OK) {
        resp_later_set(call->reply, later, count);
    }
    return err;
}

static enum oxbow_err pending_summary(struct resp_call *call)
{
    struct oxbow_pending_summary summary;
    enum oxbow_err err = oxbow_group_pending_summary(call->txn, group_of(call), &summary);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, 4);
    resp_int(call->reply, (int64_t)summary.count);
    if (summary.count == 0) {
        resp_null(call->reply);
        resp_null(call->reply);
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    resp_bulk_id(call->reply, summary.first);
    resp_bulk_id(call->reply, summary.last);
    return pending_consumers(call);
}

static const char *pending_args(struct resp_call *call, struct oxbow_pending_filter *filter,
                                int64_t *count)
{
    uint32_t at = 3;
    int64_t idle;
    const char *bad;

    if (resp_arg_is(call->args[3], "idle")) {
        if (!resp_arg_int(call->args[4], &idle)) {
            return "ERR value is not an integer or out of range";
        }
        if (call->count < 8) {
            return "ERR syntax error";
        }
        filter->min_idle_ms = idle > 0 ? (uint64_t)idle : 0;
        at = 5;
    }
    if (!resp_arg_int(call->args[at + 2], count)) {
        return "ERR value is not an integer or out of range";
    }
    bad = stream_id_from(call->args[at], &filter->from);
    if (bad == NULL) {
        bad = stream_id_to(call->args[at + 1], &filter->to);
    }
    if (at + 3 < call->count) {
        filter->has_consumer = true;
        filter->consumer = call->args[at + 3];
    }
    return bad;
}

/* In pieces, each from behind the last one of the one before. */
static enum oxbow_err pending_list(struct resp_call *call, struct oxbow_pending_filter *filter,
                                   int64_t count)
{
    struct oxbow_pending piece[PENDING_PIECE];
    struct resp_later later = resp_array_later(call->reply);
    size_t total = 0;
    bool more = count > 0;

    while (more) {
        size_t got = 0;
        enum oxbow_err err;

        filter->count = count < (int64_t)PENDING_PIECE ? (uint64_t)count : PENDING_PIECE;
        err = oxbow_group_pending(call->txn, group_of(call), filter, call->result, piece, &got);
        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < got; i++) {
            resp_array(call->reply, 4);
            resp_bulk_id(call->reply, piece[i].id);
            resp_bulk(call->reply, piece[i].consumer);
            resp_int(call->reply, piece[i].nobody ? -1 : (int64_t)piece[i].idle_ms);
            resp_int(call->reply, stream_deliveries(piece[i].deliveries));
        }
        total += got;
        count -= (int64_t)got;
        more = got == filter->count && count > 0;
        if (more) {
            filter->from = piece[got - 1].id;
            more = id_next(&filter->from);
        }
    }
    resp_later_set(call->reply, later, total);
    return OXBOW_OK;
}

enum oxbow_err cmd_xpending(struct resp_call *call)
{
    struct oxbow_pending_filter filter = {.count = 0};
    int64_t count = 0;
    bool done = false;
    const char *bad = NULL;
    enum oxbow_err err;

    if (call->count != 3 && (call->count < 6 || call->count > 9)) {
        return resp_refuse_syntax(call);
    }
    if (call->count >= 6) {
        bad = pending_args(call, &filter, &count);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = need_group(call, &done);
    if (err != OXBOW_OK || done) {
        return err;
    }
    return call->count == 3 ? pending_summary(call) : pending_list(call, &filter, count);
}

/* ---- claiming ---- */

/* Entries, or their ids alone; what was deleted is left out. */
static void claimed(struct resp_call *call, bool just_id)
{
    struct resp_later later = resp_array_later(call->reply);
    size_t count = 0;

    for (size_t i = 0; i < call->result->entry_count; i++) {
        const struct oxbow_entry *entry = &call->result->entries[i];

        if (entry->deleted) {
            continue;
        }
        count++;
        if (just_id) {
            resp_bulk_id(call->reply, entry->id);
        } else {
            stream_entry(call->reply, entry);
        }
    }
    resp_later_set(call->reply, later, count);
}

static void claim_time(struct resp_call *call, bool idle, int64_t v,
                       struct oxbow_claim_options *opt)
{
    uint64_t now = call->server->port->clock.wall_ms(call->server->port->clock.ctx);

    /* What makes no sense is now, as in Redis. */
    opt->has_idle = true;
    if (idle) {
        opt->idle_ms = v > 0 && (uint64_t)v <= now ? (uint64_t)v : 0;
    } else {
        opt->idle_ms = v >= 0 && (uint64_t)v < now ? now - (uint64_t)v : 0;
    }
}

/* One option of XCLAIM, from argument *at on. NULL, or what is to be replied; "" for an unknown. */
static const char *claim_option(struct resp_call *call, uint32_t *at,
                                struct oxbow_claim_options *opt)
{
    const struct oxbow_bytes *arg = call->args + *at;
    bool more = *at + 1 < call->count;
    bool idle = resp_arg_is(arg[0], "idle");
    int64_t v;

    if (resp_arg_is(arg[0], "force")) {
        opt->force = true;
        return NULL;
    }
    if (resp_arg_is(arg[0], "justid")) {
        opt->just_id = true;
        return NULL;
    }
    if (more && (idle || resp_arg_is(arg[0], "time"))) {
        *at += 1;
        if (!resp_arg_int(arg[1], &v)) {
            return idle ? "ERR Invalid IDLE option argument for XCLAIM"
                        : "ERR Invalid TIME option argument for XCLAIM";
        }
        claim_time(call, idle, v, opt);
        return NULL;
    }
    if (more && resp_arg_is(arg[0], "retrycount")) {
        *at += 1;
        if (!resp_arg_int(arg[1], &v)) {
            return "ERR Invalid RETRYCOUNT option argument for XCLAIM";
        }
        opt->has_deliveries = v >= 0;
        opt->deliveries = v < 0                                 ? 0
                          : (uint64_t)v < STREAM_DELIVERIES_MAX ? (uint64_t)v
                                                                : STREAM_DELIVERIES_MAX;
        return NULL;
    }
    if (more && resp_arg_is(arg[0], "lastid")) {
        *at += 1;
        opt->has_last_id = true;
        return stream_id(arg[1], 0, &opt->last_id) ? NULL : STREAM_BAD_ID;
    }
    return "";
}

/* Ids, as many as there are; then options. Sets *done when it has replied. */
static void claim_args(struct resp_call *call, struct oxbow_claim_options *opt,
                       struct oxbow_id *ids, bool *done)
{
    uint32_t i = 5;

    while (i < call->count && stream_id(call->args[i], 0, &ids[opt->count])) {
        opt->count++;
        i++;
    }
    for (; i < call->count; i++) {
        struct oxbow_bytes name = call->args[i];
        const char *bad = claim_option(call, &i, opt);

        if (bad == NULL) {
            continue;
        }
        *done = true;
        if (*bad != '\0') {
            resp_error(call->reply, bad);
        } else {
            resp_error_format(call->reply, "ERR Unrecognized XCLAIM option '%.*s'",
                              stream_shown(name), (const char *)name.data);
        }
        return;
    }
}

static enum oxbow_err claim(struct resp_call *call, struct oxbow_claim_options *opt,
                            struct oxbow_id *ids)
{
    bool done = false;
    enum oxbow_err err;

    claim_args(call, opt, ids, &done);
    if (done) {
        return OXBOW_OK;
    }
    opt->ids = ids;
    err = oxbow_group_claim(call->txn, group_of(call), call->args[3], opt, call->result);
    if (err == OXBOW_OK) {
        claimed(call, opt->just_id);
    }
    return err;
}

enum oxbow_err cmd_xclaim(struct resp_call *call)
{
    struct oxbow_claim_options opt = {.count = 0};
    struct oxbow_id *ids;
    size_t len = (size_t)(call->count - 5) * sizeof *ids;
    int64_t min_idle;
    bool done = false;
    enum oxbow_err err = need_group(call, &done);

    if (err != OXBOW_OK || done) {
        return err;
    }
    if (!resp_arg_int(call->args[4], &min_idle)) {
        return resp_refuse(call, "ERR Invalid min-idle-time argument for XCLAIM");
    }
    opt.min_idle_ms = min_idle > 0 ? (uint64_t)min_idle : 0;
    ids = mem_new(resp_alloc(call->server), len);
    if (ids == NULL) {
        return OXBOW_ENOMEM;
    }
    err = claim(call, &opt, ids);
    mem_free(resp_alloc(call->server), ids, len);
    return err;
}

static const char *autoclaim_args(struct resp_call *call, struct oxbow_autoclaim_options *opt)
{
    int64_t min_idle;
    int64_t count;
    const char *bad;

    if (!resp_arg_int(call->args[4], &min_idle)) {
        return "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    }
    opt->min_idle_ms = min_idle > 0 ? (uint64_t)min_idle : 0;
    bad = stream_id_from(call->args[5], &opt->start);
    for (uint32_t i = 6; bad == NULL && i < call->count; i++) {
        if (i + 1 < call->count && resp_arg_is(call->args[i], "count")) {
            if (!resp_arg_int(call->args[++i], &count) || count < 1 || count > AUTOCLAIM_MAX) {
                return "ERR COUNT must be > 0";
            }
            opt->count = (uint64_t)count;
        } else if (resp_arg_is(call->args[i], "justid")) {
            opt->just_id = true;
        } else {
            return "ERR syntax error";
        }
    }
    return bad;
}

enum oxbow_err cmd_xautoclaim(struct resp_call *call)
{
    struct oxbow_autoclaim_options opt = {.count = 0};
    const char *bad = autoclaim_args(call, &opt);
    struct resp_later later;
    struct oxbow_id next;
    size_t deleted = 0;
    bool done = false;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = need_group(call, &done);
    if (err != OXBOW_OK || done) {
        return err;
    }
    err =
        oxbow_group_autoclaim(call->txn, group_of(call), call->args[3], &opt, call->result, &next);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, 3);
    resp_bulk_id(call->reply, next);
    claimed(call, opt.just_id);
    later = resp_array_later(call->reply);
    for (size_t i = 0; i < call->result->entry_count; i++) {
        if (call->result->entries[i].deleted) {
            resp_bulk_id(call->reply, call->result->entries[i].id);
            deleted++;
        }
    }
    resp_later_set(call->reply, later, deleted);
    return OXBOW_OK;
}
