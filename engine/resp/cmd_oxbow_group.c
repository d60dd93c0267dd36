/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW GROUP, NACK, EXTEND and REDRIVE: groups that survive bad consumers, by hand. What a read finds
 * due, or sends to the dead letters, is the group's own doing (group_options.h).
 */
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "engine/resp/cmd_stream.h"
#include "oxbow/group_options.h"

#define REDRIVE_MAX 1000u /* dead letters that one command sends back */

static struct oxbow_group group_at(const struct resp_call *call, uint32_t key)
{
    return (struct oxbow_group){call->args[key], call->args[key + 1]};
}

/* ---- GROUP ---- */

/* The options that are not named stay as they are. */
static enum oxbow_err group_set(struct resp_call *call)
{
    struct oxbow_group group = group_at(call, 3);
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_group_options opt;
    struct oxbow_group_why why;
    enum oxbow_err err = oxbow_group_options_get(call->txn, group, call->result, &opt);

    if (err == OXBOW_ENOGROUP) {
        return stream_refuse_group(call, group, "");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (oxbow_group_words(call->args + 5, call->count - 5, &opt, &why) != OXBOW_OK ||
        oxbow_group_options_check(&opt, &why) != OXBOW_OK) {
        resp_error_format(call->reply, "ERR %s", why.text);
        return OXBOW_OK;
    }
    err = oxbow_group_options_set(call->txn, group, &opt);
    if (err == OXBOW_EINVAL) {
        return resp_refuse(call, "ERR the dead letters of a group are another stream than its own");
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        resp_changed(call, RESP_EVENT_STREAM, "xgroup-options", group.key);
    }
    return oxbow_settle(call, changes, err);
}

static size_t reply_options(struct resp_reply *r, const struct oxbow_group_options *opt)
{
    struct oxbow_group_word word;
    size_t i;

    for (i = 0; oxbow_group_word(opt, i, &word); i++) {
        if (word.kind == OXBOW_GROUP_WORD_MS || word.kind == OXBOW_GROUP_WORD_COUNT) {
            oxbow_pair_int(r, word.name, word.value);
        } else {
            oxbow_pair_bytes(r, word.name, word.text);
        }
    }
    return i;
}

/* Its options, all zero when they never were set, and how it goes. */
static enum oxbow_err group_get(struct resp_call *call)
{
    struct oxbow_group group = group_at(call, 3);
    struct resp_reply *r = call->reply;
    struct oxbow_group_status status;
    struct oxbow_group_options opt;
    struct resp_later later;
    size_t pairs;
    enum oxbow_err err = oxbow_group_status(call->txn, group, &status);

    if (err == OXBOW_OK) {
        err = oxbow_group_options_get(call->txn, group, call->result, &opt);
    }
    if (err == OXBOW_ENOGROUP) {
        return stream_refuse_group(call, group, "");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    later = resp_map_later(r);
    pairs = reply_options(r, &opt) + 5;
    oxbow_pair_int(r, "redelivered", status.redelivered);
    oxbow_pair_int(r, "dead-letters", status.dead_letters);
    oxbow_pair_int(r, "dead-refused", status.dead_refused);
    oxbow_pair_text(r, "dead-problem",
                    status.dead_problem != OXBOW_OK ? oxbow_err_text(status.dead_problem) : "");
    oxbow_pair_int(r, "due-ms", status.has_due ? status.due_ms : UINT64_MAX);
    resp_later_set(r, later, pairs);
    return OXBOW_OK;
}

enum oxbow_err cmd_oxbow_group(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"set", group_set, 7, UINT32_MAX},
        {"get", group_get, 5, 5},
        {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}

/* ---- NACK and EXTEND ---- */

/* What says how, at the command's end: *ids_end is where ids stop. NULL, or what is to be replied. */
static const char *nack_args(const struct resp_call *call, struct oxbow_group_nack_options *opt,
                             uint32_t *ids_end)
{
    const struct oxbow_bytes *args = call->args;
    uint32_t n = call->count;
    int64_t ms;

    *ids_end = n;
    if (n > 6 && resp_arg_is(args[n - 2], "dead")) {
        opt->how = OXBOW_NACK_DEAD;
        opt->reason = args[n - 1];
        *ids_end = n - 2;
        if (opt->reason.len > OXBOW_GROUP_REASON_MAX) {
            return "ERR a reason has at most 255 bytes";
        }
    } else if (n > 5 && resp_arg_is(args[n - 1], "dead")) {
        opt->how = OXBOW_NACK_DEAD;
        *ids_end = n - 1;
    } else if (n > 6 && resp_arg_is(args[n - 2], "delay")) {
        if (!resp_arg_int(args[n - 1], &ms) || ms < 0 || (uint64_t)ms > OXBOW_GROUP_MS_MAX) {
            return "ERR DELAY is a number of milliseconds, up to ten years";
        }
        opt->how = OXBOW_NACK_DELAY;
        opt->delay_ms = (uint64_t)ms;
        *ids_end = n - 2;
    }
    return NULL;
}

/* Arguments [first, end) as ids, for as long as the call is the same. */
static enum oxbow_err ids_of(struct resp_call *call, uint32_t first, uint32_t end,
                             struct oxbow_id **ids)
{
    uint32_t count = call->count;
    enum oxbow_err err;

    call->count = end;
    err = stream_ids(call, first, ids);
    call->count = count;
    return err;
}

static void ids_free(struct resp_call *call, uint32_t first, uint32_t end, struct oxbow_id *ids)
{
    uint32_t count = call->count;

    call->count = end;
    stream_ids_free(call, first, ids);
    call->count = count;
}

#define NO_OPTIONS "ERR the group has no options: OXBOW GROUP SET key group visibility ms"

enum oxbow_err cmd_oxbow_nack(struct resp_call *call)
{
    struct oxbow_group group = group_at(call, 2);
    struct oxbow_group_nack_options opt = {.how = OXBOW_NACK_RETRY};
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_id *ids = NULL;
    uint64_t nacked = 0;
    uint32_t end;
    const char *bad = nack_args(call, &opt, &end);
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = ids_of(call, 4, end, &ids);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    opt.ids = ids;
    opt.count = end - 4;
    err = oxbow_group_nack(call->txn, group, &opt, &nacked);
    ids_free(call, 4, end, ids);
    if (err == OXBOW_ENOGROUP) {
        return stream_refuse_group(call, group, "");
    }
    if (err == OXBOW_EINVAL) {
        return resp_refuse(call, opt.how == OXBOW_NACK_DEAD
                                     ? "ERR the group has no dead letters: OXBOW GROUP SET key "
                                       "group dead-letter key"
                                     : NO_OPTIONS);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)nacked);
    }
    if (err == OXBOW_OK && nacked > 0) {
        resp_changed(call, RESP_EVENT_STREAM, "xnack", group.key);
    }
    return oxbow_settle(call, changes, err);
}

enum oxbow_err cmd_oxbow_extend(struct resp_call *call)
{
    struct oxbow_group group = group_at(call, 2);
    struct oxbow_group_extend_options opt = {.visible_ms = 0};
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_id *ids = NULL;
    uint64_t extended = 0;
    uint32_t end = call->count;
    int64_t ms;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[4], &ms) || ms < 0 || (uint64_t)ms > OXBOW_GROUP_MS_MAX) {
        return resp_refuse(call, "ERR the time is a number of milliseconds, up to ten years");
    }
    if (end > 7 && resp_arg_is(call->args[end - 2], "consumer")) {
        opt.has_consumer = true;
        opt.consumer = call->args[end - 1];
        end -= 2;
    }
    err = ids_of(call, 5, end, &ids);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    opt.visible_ms = (uint64_t)ms;
    opt.ids = ids;
    opt.count = end - 5;
    err = oxbow_group_extend(call->txn, group, &opt, &extended);
    ids_free(call, 5, end, ids);
    if (err == OXBOW_ENOGROUP) {
        return stream_refuse_group(call, group, "");
    }
    if (err == OXBOW_EINVAL) {
        return resp_refuse(call, NO_OPTIONS);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)extended);
    }
    if (err == OXBOW_OK && extended > 0) {
        resp_changed(call, RESP_EVENT_STREAM, "xextend", group.key);
    }
    return oxbow_settle(call, changes, err);
}

/* ---- REDRIVE ---- */

/* [COUNT n] [FROM id], or ids. NULL, or what is to be replied. */
static const char *redrive_args(const struct resp_call *call, struct oxbow_redrive_options *opt)
{
    for (uint32_t i = 3; i < call->count; i += 2) {
        bool more = i + 1 < call->count;
        int64_t n;

        if (more && resp_arg_is(call->args[i], "count")) {
            if (!resp_arg_int(call->args[i + 1], &n) || n < 1 || n > REDRIVE_MAX) {
                return "ERR COUNT is a number from 1 to 1000";
            }
            opt->count = (size_t)n;
        } else if (more && resp_arg_is(call->args[i], "from")) {
            if (!stream_id_or_end(call->args[i + 1], 0, &opt->from)) {
                return STREAM_BAD_ID;
            }
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

static enum oxbow_err redrive(struct resp_call *call, const struct oxbow_redrive_options *opt)
{
    struct resp_reply *r = call->reply;
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_redrive out = {.redriven = 0};
    enum oxbow_err err = oxbow_redrive(call->txn, call->args[2], opt, &out);

    if (err != OXBOW_OK) {
        return oxbow_settle(call, changes, err);
    }
    resp_map(r, 3);
    oxbow_pair_int(r, "redriven", out.redriven);
    oxbow_pair_int(r, "skipped", out.skipped);
    resp_bulk_text(r, "next");
    if (out.more) {
        resp_bulk_id(r, out.next);
    } else {
        resp_null(r);
    }
    if (out.redriven > 0) {
        resp_changed(call, RESP_EVENT_STREAM, "xdel", call->args[2]);
    }
    return OXBOW_OK;
}

enum oxbow_err cmd_oxbow_redrive(struct resp_call *call)
{
    struct oxbow_redrive_options opt = {.count = 0};
    struct oxbow_id first;
    struct oxbow_id *ids = NULL;
    const char *bad;
    enum oxbow_err err;

    if (call->count == 3 || !stream_id(call->args[3], 0, &first)) {
        bad = redrive_args(call, &opt);
        return bad != NULL ? resp_refuse(call, bad) : redrive(call, &opt);
    }
    if (call->count - 3 > REDRIVE_MAX) {
        return resp_refuse(call, "ERR at most 1000 ids in one command");
    }
    err = stream_ids(call, 3, &ids);
    if (err == OXBOW_EPARSE) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    opt.ids = ids;
    opt.count = call->count - 3;
    err = redrive(call, &opt);
    stream_ids_free(call, 3, ids);
    return err;
}
