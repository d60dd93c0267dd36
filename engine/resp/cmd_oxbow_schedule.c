/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW SCHEDULE: entries that the store adds again and again (schedule.h). */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "engine/resp/rules.h"
#include "oxbow/schedule.h"

#include <string.h>

static const char *const missed_names[] = {"skip", "once", "all"};

/* The name of an argument. False: no schedule can be called so. */
static bool name_of(struct oxbow_bytes arg, char name[OXBOW_SCHEDULE_NAME_MAX + 1])
{
    if (arg.len == 0 || arg.len > OXBOW_SCHEDULE_NAME_MAX || memchr(arg.data, 0, arg.len) != NULL) {
        return false;
    }
    memcpy(name, arg.data, arg.len);
    name[arg.len] = '\0';
    return true;
}

static enum oxbow_err refuse_name(struct resp_call *call)
{
    return resp_refuse(call, "ERR a schedule's name has 1 to 48 letters, digits, '_', '.' and '-'");
}

static enum oxbow_err refuse_unknown(struct resp_call *call)
{
    resp_error_format(call->reply, "ERR there is no schedule '%.*s'", oxbow_shown(call->args[3]),
                      (const char *)call->args[3].data);
    return OXBOW_OK;
}

/* ---- ADD ---- */

static const char *take_offset(struct oxbow_bytes value, struct oxbow_schedule_options *opt)
{
    int64_t n;

    if (!resp_arg_int(value, &n) || n < -OXBOW_SCHEDULE_OFFSET_MAX ||
        n > OXBOW_SCHEDULE_OFFSET_MAX) {
        return "ERR OFFSET is a number of minutes east of UTC, from -1440 to 1440";
    }
    opt->offset_min = (int32_t)n;
    return NULL;
}

static const char *take_missed(struct oxbow_bytes value, struct oxbow_schedule_options *opt)
{
    for (unsigned i = 0; i < sizeof missed_names / sizeof missed_names[0]; i++) {
        if (resp_arg_is(value, missed_names[i])) {
            opt->missed = (enum oxbow_schedule_missed)i;
            return NULL;
        }
    }
    return "ERR MISSED is skip, once or all";
}

static const char *take_missed_max(struct oxbow_bytes value, struct oxbow_schedule_options *opt)
{
    uint64_t n;

    if (num_u64(value, &n) != OXBOW_OK || n > OXBOW_SCHEDULE_MADE_UP) {
        return "ERR MISSED-MAX is a number up to 10000";
    }
    opt->missed_max = (uint32_t)n;
    return NULL;
}

static const char *take_late(struct oxbow_bytes value, struct oxbow_schedule_options *opt)
{
    return num_u64(value, &opt->late_ms) == OXBOW_OK && opt->late_ms <= OXBOW_SCHEDULE_LATE_MAX
               ? NULL
               : "ERR LATE is a number of milliseconds, up to a year";
}

/* ENTRY field value ..., PUSH LEFT|RIGHT value: the last arguments. */
static const char *take_entry(const struct oxbow_bytes *args, uint32_t count, bool push,
                              struct oxbow_schedule_options *opt)
{
    /* Names and values stand in pairs already. */
    _Static_assert(sizeof(struct oxbow_field) == 2 * sizeof(struct oxbow_bytes), "a pair");

    if (!push) {
        opt->fields = (const struct oxbow_field *)args;
        opt->field_count = count / 2;
        return count > 0 && count % 2 == 0 ? NULL : "ERR want ENTRY field value ...";
    }
    if (count != 2 || (!resp_arg_is(args[0], "left") && !resp_arg_is(args[0], "right"))) {
        return "ERR want PUSH LEFT|RIGHT value";
    }
    opt->end = resp_arg_is(args[0], "left") ? OXBOW_LEFT : OXBOW_RIGHT;
    opt->value = args[1];
    return NULL;
}

static const char *add_args(const struct resp_call *call, struct oxbow_schedule_options *opt)
{
    static const struct {
        const char *name;
        const char *(*take)(struct oxbow_bytes value, struct oxbow_schedule_options *opt);
    } rows[] = {{"offset", take_offset},
                {"missed", take_missed},
                {"missed-max", take_missed_max},
                {"late", take_late}};
    const struct oxbow_bytes *args = call->args;

    *opt = (struct oxbow_schedule_options){.key = args[4], .when = args[5]};
    for (uint32_t i = 6; i < call->count; i += 2) {
        const char *bad = "ERR syntax error";

        if (resp_arg_is(args[i], "entry") || resp_arg_is(args[i], "push")) {
            return take_entry(args + i + 1, call->count - i - 1, resp_arg_is(args[i], "push"), opt);
        }
        for (size_t k = 0; i + 1 < call->count && k < sizeof rows / sizeof rows[0]; k++) {
            if (resp_arg_is(args[i], rows[k].name)) {
                bad = rows[k].take(args[i + 1], opt);
            }
        }
        if (bad != NULL) {
            return bad;
        }
    }
    return "ERR a schedule adds ENTRY field value ..., or PUSH LEFT|RIGHT value";
}

/* Makes one, or changes it: counters stay. */
static enum oxbow_err schedule_add(struct resp_call *call)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    struct oxbow_schedule_fault fault = {0, ""};
    struct oxbow_schedule_options opt;
    const char *bad = add_args(call, &opt);
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    if (oxbow_schedule_check(opt.when, &fault) != OXBOW_OK) {
        resp_error_format(call->reply, "ERR '%.*s': at character %llu: %s", oxbow_shown(opt.when),
                          (const char *)opt.when.data, (unsigned long long)fault.position + 1,
                          fault.what);
        return OXBOW_OK;
    }
    err = oxbow_schedule_set(call->txn, name, &opt);
    if (err == OXBOW_EINVAL && oxbow_txn_changes(call->txn) == changes) {
        return refuse_name(call);
    }
    if (err == OXBOW_ERANGE && oxbow_txn_changes(call->txn) == changes) {
        return resp_refuse(call, "ERR 1024 schedules are there already");
    }
    if (err == OXBOW_OK) {
        err = resp_rules_queue(call, opt.key); /* the store adds to it, and no command */
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return oxbow_settle(call, changes, err);
}

/* ---- DEL, PAUSE, RESUME ---- */

static enum oxbow_err schedule_del(struct resp_call *call)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    err = oxbow_schedule_remove(call->txn, name);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        resp_int(call->reply, err == OXBOW_OK);
        return OXBOW_OK;
    }
    return oxbow_settle(call, changes, err);
}

static enum oxbow_err set_pause(struct resp_call *call, bool paused)
{
    uint64_t changes = oxbow_txn_changes(call->txn);
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    err = oxbow_schedule_pause(call->txn, name, paused);
    if (err == OXBOW_ENOENT) {
        return refuse_unknown(call);
    }
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return oxbow_settle(call, changes, err);
}

static enum oxbow_err schedule_pause(struct resp_call *call)
{
    return set_pause(call, true);
}

static enum oxbow_err schedule_resume(struct resp_call *call)
{
    return set_pause(call, false);
}

/* ---- LIST ---- */

static void reply_info(struct resp_reply *r, const struct oxbow_schedule_info *info)
{
    resp_map(r, 17);
    oxbow_pair_text(r, "name", info->name);
    oxbow_pair_int(r, "database", info->database);
    oxbow_pair_bytes(r, "key", info->key);
    oxbow_pair_text(r, "type", info->type == OXBOW_TYPE_LIST ? "list" : "stream");
    oxbow_pair_bytes(r, "when", info->when);
    oxbow_pair_text(r, "clock", info->wall ? "wall" : "store");
    resp_bulk_text(r, "offset");
    resp_int(r, info->offset_min);
    oxbow_pair_text(r, "missed-do", missed_names[info->missed_do]);
    oxbow_pair_int(r, "missed-max", info->missed_max);
    oxbow_pair_int(r, "late", info->late_ms);
    oxbow_pair_text(r, "paused", info->paused ? "yes" : "no");
    oxbow_pair_int(r, "next-ms", info->planned ? info->next_ms : UINT64_MAX);
    oxbow_pair_int(r, "last-ms", info->last_ms);
    oxbow_pair_int(r, "added", info->added);
    oxbow_pair_int(r, "missed", info->missed);
    oxbow_pair_int(r, "refused", info->refused);
    oxbow_pair_text(r, "why", info->refused > 0 ? oxbow_err_text(info->why) : "");
}

static enum oxbow_err reply_one(struct resp_call *call, struct oxbow_bytes item)
{
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    struct oxbow_schedule_info info;
    enum oxbow_err err =
        name_of(item, name) ? oxbow_schedule_get(call->txn, name, &info) : OXBOW_ENOENT;

    if (err == OXBOW_OK) {
        reply_info(call->reply, &info);
    }
    return err;
}

/* All of the store, or an array of the one that is named. */
static enum oxbow_err schedule_list(struct resp_call *call)
{
    struct oxbow_result *names = call->result;
    uint64_t mark = resp_reply_mark(call->reply);
    enum oxbow_err err;

    if (call->count == 4) {
        resp_array(call->reply, 1);
        err = reply_one(call, call->args[3]);
        if (err == OXBOW_ENOENT) {
            resp_reply_rewind(call->reply, mark);
            return refuse_unknown(call);
        }
        return err;
    }
    err = oxbow_schedule_list(call->txn, names);
    if (err == OXBOW_OK) {
        resp_array(call->reply, names->item_count);
    }
    for (size_t i = 0; err == OXBOW_OK && i < names->item_count; i++) {
        err = reply_one(call, names->items[i]);
    }
    return err;
}

enum oxbow_err cmd_oxbow_schedule(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"add", schedule_add, 8, UINT32_MAX}, {"del", schedule_del, 4, 4},
        {"list", schedule_list, 3, 4},        {"pause", schedule_pause, 4, 4},
        {"resume", schedule_resume, 4, 4},    {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}
