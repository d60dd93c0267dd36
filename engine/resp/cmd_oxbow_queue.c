/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW QUEUE, GAPS and FIGURES: policies of lists and streams, what they dropped, how queues stand. */
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "engine/resp/cmd_stream.h"
#include "oxbow/metrics.h"
#include "oxbow/policy.h"

#include <string.h>

/* ---- QUEUE ---- */

/* What is said of a name that can have no policy; NULL: it can. */
static const char *wrong_name(struct oxbow_bytes key)
{
    if (key.len == 0) {
        return "ERR a queue's name has at least one byte";
    }
    return key.len > OXBOW_POLICY_NAME_MAX
               ? "ERR the name of a queue with a policy has at most 1024 bytes"
               : NULL;
}

/* The fields that are not named stay as they are. */
static enum oxbow_err queue_set(struct resp_call *call)
{
    struct oxbow_policy policy = {.max_entries = 0};
    const char *wrong = wrong_name(call->args[3]);
    struct oxbow_policy_why why;
    uint64_t changes = oxbow_txn_changes(call->txn);
    enum oxbow_err err;

    if (wrong != NULL) {
        return resp_refuse(call, wrong);
    }
    err = oxbow_policy_get(call->txn, call->args[3], &policy);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (oxbow_policy_words(call->args + 4, call->count - 4, &policy, &why) != OXBOW_OK) {
        resp_error_format(call->reply, "ERR %s", why.text);
        return OXBOW_OK;
    }
    err = oxbow_policy_set(call->txn, call->args[3], &policy);
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR 4096 queues have a policy already");
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return oxbow_settle(call, changes, err);
}

static enum oxbow_err queue_del(struct resp_call *call)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    bool existed = false;
    enum oxbow_err err = oxbow_policy_clear(call->txn, call->args[3], &existed);

    if (err == OXBOW_OK) {
        resp_int(call->reply, existed);
    }
    return oxbow_settle(call, changes, err);
}

/* Words as they are, numbers as numbers; gives how many pairs they are. */
static size_t reply_policy(struct resp_reply *r, const struct oxbow_policy *policy)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    char text[OXBOW_POLICY_WORD_MAX];
    const char *name;
    size_t len;

    for (size_t i = 0; oxbow_policy_word(policy, i, &name, text, &len); i++) {
        if (fields[i].kind == OXBOW_POLICY_WORD || fields[i].kind == OXBOW_POLICY_WEIGHTS) {
            oxbow_pair_bytes(r, name, (struct oxbow_bytes){text, len});
        } else {
            oxbow_pair_int(r, name, oxbow_policy_value(policy, &fields[i]));
        }
    }
    return count;
}

static enum oxbow_err reply_drops(struct resp_call *call)
{
    resp_bulk_text(call->reply, "dropped");
    resp_map(call->reply, OXBOW_DROP_CAUSES);
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        struct oxbow_drops drops;
        enum oxbow_err err =
            oxbow_policy_drops(call->txn, call->args[3], (enum oxbow_drop_cause)c, &drops);

        if (err != OXBOW_OK) {
            return err;
        }
        oxbow_pair_int(call->reply, oxbow_drop_cause_name((enum oxbow_drop_cause)c), drops.entries);
    }
    return OXBOW_OK;
}

/* The policy, and how the queue stands to it; nil: it has none. */
static enum oxbow_err queue_get(struct resp_call *call)
{
    struct resp_reply *r = call->reply;
    struct oxbow_policy_info info;
    struct oxbow_policy policy;
    struct resp_later later;
    size_t pairs;
    enum oxbow_err err = oxbow_policy_get(call->txn, call->args[3], &policy);

    if (err == OXBOW_ENOENT) {
        resp_null_array(r);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = oxbow_policy_info(call->txn, call->args[3], &info);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    later = resp_map_later(r);
    pairs = reply_policy(r, &policy) + 9;
    oxbow_pair_int(r, "entries", info.entries);
    oxbow_pair_int(r, "bytes", info.bytes);
    oxbow_pair_int(r, "over-entries", info.over_entries);
    oxbow_pair_int(r, "over-bytes", info.over_bytes);
    oxbow_pair_text(r, "held-by", info.held_by);
    oxbow_pair_text(r, "full", info.full ? "yes" : "no");
    oxbow_pair_int(r, "refused", info.refused);
    oxbow_pair_int(r, "oldest-ms", info.oldest_age_ms);
    err = reply_drops(call);
    resp_later_set(r, later, pairs);
    return err;
}

static enum oxbow_err queue_list(struct resp_call *call)
{
    enum oxbow_err err = oxbow_policy_list(call->txn, call->result);

    if (err == OXBOW_OK) {
        resp_array(call->reply, call->result->item_count);
    }
    for (size_t i = 0; err == OXBOW_OK && i < call->result->item_count; i++) {
        resp_bulk(call->reply, call->result->items[i]);
    }
    return err;
}

enum oxbow_err cmd_oxbow_queue(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"set", queue_set, 6, UINT32_MAX}, {"get", queue_get, 4, 4}, {"del", queue_del, 4, 4},
        {"list", queue_list, 3, 3},        {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}

/* ---- GAPS ---- */

static void reply_gap(struct resp_reply *r, const struct oxbow_drop_gap *gap)
{
    struct resp_later causes;
    size_t count = 0;

    resp_map(r, 5);
    oxbow_pair_id(r, "from", gap->from);
    oxbow_pair_id(r, "to", gap->to);
    oxbow_pair_int(r, "entries", gap->entries);
    oxbow_pair_int(r, "bytes", gap->bytes);
    resp_bulk_text(r, "causes");
    causes = resp_map_later(r);
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        if (gap->by_cause[c - 1] > 0) {
            oxbow_pair_int(r, oxbow_drop_cause_name((enum oxbow_drop_cause)c),
                           gap->by_cause[c - 1]);
            count++;
        }
    }
    resp_later_set(r, causes, count);
}

/* Those that reach beyond an id: a reader says what it has had. */
enum oxbow_err cmd_oxbow_gaps(struct resp_call *call)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    struct oxbow_id after = OXBOW_ID_MIN;
    size_t count = 0;
    enum oxbow_err err;

    if (call->count > 4) {
        return resp_refuse_arity(call);
    }
    if (call->count == 4 && !stream_id(call->args[3], 0, &after)) {
        return resp_refuse(call, STREAM_BAD_ID);
    }
    err = oxbow_policy_gaps(call->txn, call->args[2], after, gaps, OXBOW_DROP_GAPS_MAX, &count);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_gap(call->reply, &gaps[i]);
    }
    return OXBOW_OK;
}

/* ---- FIGURES ---- */

struct figures {
    struct resp_reply *reply;
    size_t count;
};

/* Rationals are told as numbers of their unit. */
static void reply_sample(void *ctx, const struct oxbow_sample *s)
{
    struct figures *f = ctx;
    struct resp_reply *r = f->reply;
    struct resp_later later = resp_map_later(r);
    size_t pairs = 2;

    oxbow_pair_text(r, "metric", s->metric->name);
    resp_bulk_text(r, "value");
    if (s->metric->per > 1) {
        resp_double(r, (double)s->value / s->metric->per);
    } else if (s->value > INT64_MAX) {
        resp_null(r);
    } else {
        resp_int(r, (int64_t)s->value);
    }
    if (s->metric->scope != OXBOW_METRIC_STORE) {
        oxbow_pair_int(r, "database", s->database);
        oxbow_pair_bytes(r, "queue", s->queue);
        pairs += 2;
    }
    if (s->metric->scope == OXBOW_METRIC_GROUP || s->metric->scope == OXBOW_METRIC_FORWARD) {
        oxbow_pair_bytes(r, s->metric->scope == OXBOW_METRIC_GROUP ? "group" : "forward", s->name);
        pairs++;
    }
    if (s->cause != NULL) {
        oxbow_pair_text(r, "cause", s->cause);
        pairs++;
    }
    resp_later_set(r, later, pairs);
    f->count++;
}

/* Of one queue, or of all that there is. */
enum oxbow_err cmd_oxbow_figures(struct resp_call *call)
{
    struct figures f = {.reply = call->reply};
    const struct oxbow_metrics_sink sink = {.ctx = &f, .sample = reply_sample};
    struct oxbow_metrics_walk walk = {.part = 0};
    bool more = call->count == 2;
    struct resp_later later;
    enum oxbow_err err = OXBOW_OK;

    if (call->count > 3) {
        return resp_refuse_arity(call);
    }
    later = resp_array_later(call->reply);
    if (!more) {
        err = oxbow_metrics_queue(call->txn, call->args[2], &sink);
    }
    while (err == OXBOW_OK && more) {
        err = oxbow_metrics_step(call->txn, &walk, &sink, &more);
    }
    resp_later_set(call->reply, later, f.count);
    return err;
}
