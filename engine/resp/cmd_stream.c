/* SPDX-License-Identifier: Apache-2.0 */
/* The stream family: adding, cutting, looking; and the family's table. */
#include "engine/resp/cmd_stream.h"

#include "engine/base/id.h"
#include "engine/resp/args.h"

#include <string.h>

static const char two_trims[] =
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";

/* ---- options of XADD and XTRIM ---- */

struct add_args {
    struct oxbow_stream_add_options opt;
    int64_t limit;
    bool limit_given;
    bool refs_given;
    uint32_t at; /* XADD: the id's argument */
};

static bool is_char(struct oxbow_bytes arg, char c)
{
    return arg.len == 1 && *(const char *)arg.data == c;
}

/* MAXLEN|MINID [=|~] threshold, from argument *at on; *at goes to its last one. */
static const char *trim_arg(struct resp_call *call, uint32_t *at, struct oxbow_stream_trim *trim)
{
    const struct oxbow_bytes *args = call->args;
    enum oxbow_trim_by by = resp_arg_is(args[*at], "maxlen") ? OXBOW_TRIM_MAXLEN : OXBOW_TRIM_MINID;
    int64_t maxlen;

    if (trim->by != OXBOW_TRIM_NONE) {
        return two_trims;
    }
    trim->by = by;
    *at += 1;
    if (*at + 1 < call->count && (is_char(args[*at], '~') || is_char(args[*at], '='))) {
        trim->approx = is_char(args[*at], '~');
        *at += 1;
    }
    if (by == OXBOW_TRIM_MINID) {
        return stream_id(args[*at], 0, &trim->minid) ? NULL : STREAM_BAD_ID;
    }
    if (!resp_arg_int(args[*at], &maxlen)) {
        return "ERR value is not an integer or out of range";
    }
    trim->maxlen = (uint64_t)maxlen;
    return maxlen < 0 ? "ERR The MAXLEN argument must be >= 0." : NULL;
}

static const char *limit_arg(struct oxbow_bytes arg, struct add_args *a)
{
    if (!resp_arg_int(arg, &a->limit)) {
        return "ERR value is not an integer or out of range";
    }
    a->limit_given = true;
    return a->limit < 0 ? "ERR The LIMIT argument must be >= 0." : NULL;
}

/* "ms-*" too. */
static const char *add_id(struct oxbow_bytes arg, struct oxbow_stream_add_options *opt)
{
    const char *p = arg.data;

    if (is_char(arg, '*')) {
        opt->id_mode = OXBOW_ID_AUTO;
        return NULL;
    }
    opt->id_mode = OXBOW_ID_EXPLICIT;
    if (arg.len > 2 && p[arg.len - 1] == '*' && p[arg.len - 2] == '-' &&
        memchr(p, '-', arg.len) == p + arg.len - 2) {
        opt->id_mode = OXBOW_ID_PARTIAL;
        arg.len -= 2;
    }
    return stream_id(arg, 0, &opt->id) ? NULL : STREAM_BAD_ID;
}

/* What of the options does not go together. */
static const char *trim_check(struct add_args *a, bool add)
{
    struct oxbow_stream_trim *trim = &a->opt.trim;

    if (a->limit != 0 && trim->by == OXBOW_TRIM_NONE) {
        return "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    }
    if (!add && trim->by == OXBOW_TRIM_NONE) {
        return "ERR syntax error, XTRIM must be called with trimming strategy";
    }
    if (a->limit_given && !trim->approx) {
        return "ERR syntax error, LIMIT cannot be used without the special ~ option";
    }
    if (a->limit_given) {
        trim->limit = a->limit > 0 ? (uint64_t)a->limit : UINT64_MAX;
    }
    return NULL;
}

/* NULL, or what is to be replied. */
static const char *add_args_read(struct resp_call *call, bool add, struct add_args *a)
{
    const struct oxbow_bytes *args = call->args;
    uint32_t i;

    *a = (struct add_args){.limit = 0};
    for (i = 2; i < call->count; i++) {
        bool more = i + 1 < call->count;
        const char *bad = NULL;

        if (more && (resp_arg_is(args[i], "maxlen") || resp_arg_is(args[i], "minid"))) {
            bad = trim_arg(call, &i, &a->opt.trim);
        } else if (more && resp_arg_is(args[i], "limit")) {
            bad = limit_arg(args[++i], a);
        } else if (!a->refs_given && stream_refs_word(args[i], &a->opt.trim.refs)) {
            a->refs_given = true;
        } else if (add && resp_arg_is(args[i], "nomkstream")) {
            a->opt.no_create = true;
        } else if (add) {
            bad = add_id(args[i], &a->opt);
            if (bad == NULL) {
                break;
            }
        } else {
            bad = "ERR syntax error";
        }
        if (bad != NULL) {
            return bad;
        }
    }
    a->at = i;
    return trim_check(a, add);
}

/* ---- add and cut ---- */

static enum oxbow_err cmd_xadd(struct resp_call *call)
{
    /* Names and values stand in pairs already. */
    _Static_assert(sizeof(struct oxbow_field) == 2 * sizeof(struct oxbow_bytes), "a pair");
    struct add_args a;
    struct oxbow_id id;
    const char *bad = add_args_read(call, true, &a);
    uint64_t before = 0, after = 0;
    uint32_t fields;
    enum oxbow_err err = OXBOW_OK;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    fields = a.at < call->count ? call->count - a.at - 1 : 0;
    if (fields < 2 || fields % 2 == 1) {
        return resp_refuse_arity(call);
    }
    if (a.opt.id_mode == OXBOW_ID_EXPLICIT && id_is_zero(a.opt.id)) {
        return OXBOW_EIDZERO;
    }
    if (a.opt.trim.by != OXBOW_TRIM_NONE) {
        err = oxbow_stream_len(call->txn, call->args[1], &before);
    }
    if (err == OXBOW_OK) {
        err =
            oxbow_stream_add(call->txn, call->args[1], &a.opt,
                             (const struct oxbow_field *)(call->args + a.at + 1), fields / 2, &id);
    }
    if (err == OXBOW_EAGAIN) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && a.opt.trim.by != OXBOW_TRIM_NONE) {
        err = oxbow_stream_len(call->txn, call->args[1], &after);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_bulk_id(call->reply, id);
    resp_changed(call, RESP_EVENT_STREAM, "xadd", call->args[1]);
    if (a.opt.trim.by != OXBOW_TRIM_NONE && after <= before) {
        resp_changed(call, RESP_EVENT_STREAM, "xtrim", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_xtrim(struct resp_call *call)
{
    struct add_args a;
    const char *bad = add_args_read(call, false, &a);
    uint64_t removed = 0;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_stream_trim(call->txn, call->args[1], &a.opt.trim, &removed);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)removed);
    if (removed > 0) {
        resp_changed(call, RESP_EVENT_STREAM, "xtrim", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_xdel(struct resp_call *call)
{
    struct oxbow_id *ids = NULL;
    uint64_t removed = 0;
    bool there;
    enum oxbow_err err = stream_there(call, call->args[1], &there);

    if (err == OXBOW_OK && there) {
        err = stream_ids(call, 2, &ids);
        if (err == OXBOW_EPARSE) {
            return resp_refuse(call, STREAM_BAD_ID);
        }
        if (err == OXBOW_OK) {
            err = oxbow_stream_delete(call->txn, call->args[1], ids, call->count - 2, &removed);
            stream_ids_free(call, 2, ids);
        }
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)removed);
    if (removed > 0) {
        resp_changed(call, RESP_EVENT_STREAM, "xdel", call->args[1]);
    }
    return OXBOW_OK;
}

/* ---- look ---- */

static enum oxbow_err cmd_xlen(struct resp_call *call)
{
    uint64_t len;
    enum oxbow_err err = oxbow_stream_len(call->txn, call->args[1], &len);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
    }
    return err;
}

static enum oxbow_err range(struct resp_call *call, bool reverse)
{
    struct oxbow_stream_range range = {.reverse = reverse};
    int64_t count = -1;
    const char *bad = stream_id_from(call->args[reverse ? 3 : 2], &range.from);
    bool there;
    enum oxbow_err err;

    if (bad == NULL) {
        bad = stream_id_to(call->args[reverse ? 2 : 3], &range.to);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    for (uint32_t i = 4; i < call->count; i += 2) {
        if (!resp_arg_is(call->args[i], "count") || i + 1 == call->count) {
            return resp_refuse_syntax(call);
        }
        if (!resp_arg_int(call->args[i + 1], &count)) {
            return resp_refuse_integer(call);
        }
        count = count > 0 ? count : 0;
    }
    err = stream_there(call, call->args[1], &there);
    if (err != OXBOW_OK) {
        return err;
    }
    if (there && count == 0) {
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    range.count = count > 0 ? (uint64_t)count : 0;
    err = oxbow_stream_range(call->txn, call->args[1], &range, call->result);
    if (err == OXBOW_OK) {
        stream_entries(call);
    }
    return err;
}

static enum oxbow_err cmd_xrange(struct resp_call *call)
{
    return range(call, false);
}

static enum oxbow_err cmd_xrevrange(struct resp_call *call)
{
    return range(call, true);
}

/* ---- ids ---- */

static const char *set_id_args(struct resp_call *call, struct oxbow_stream_set_id_options *opt)
{
    int64_t added;

    if (!stream_id(call->args[2], 0, &opt->last_id)) {
        return STREAM_BAD_ID;
    }
    for (uint32_t i = 3; i < call->count; i += 2) {
        bool more = i + 1 < call->count;

        if (more && resp_arg_is(call->args[i], "entriesadded")) {
            if (!resp_arg_int(call->args[i + 1], &added)) {
                return "ERR value is not an integer or out of range";
            }
            if (added < 0) {
                return "ERR entries_added must be positive";
            }
            opt->has_entries_added = true;
            opt->entries_added = (uint64_t)added;
        } else if (more && resp_arg_is(call->args[i], "maxdeletedid")) {
            if (!stream_id(call->args[i + 1], 0, &opt->max_deleted_id)) {
                return STREAM_BAD_ID;
            }
            opt->has_max_deleted_id = true;
            if (id_compare(opt->last_id, opt->max_deleted_id) < 0) {
                return resp_error_text(OXBOW_EIDGIVEN);
            }
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

static enum oxbow_err cmd_xsetid(struct resp_call *call)
{
    struct oxbow_stream_set_id_options opt = {.has_entries_added = false};
    const char *bad = set_id_args(call, &opt);
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_stream_set_id(call->txn, call->args[1], &opt);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        resp_noted(call, RESP_EVENT_STREAM, "xsetid", call->args[1]);
    }
    return err;
}

#define W  RESP_WRITE
#define WM (RESP_WRITE | RESP_DENYOOM)
#define R  RESP_READONLY
#define F  RESP_FAST
#define B  (RESP_BLOCKING | RESP_MOVABLE)
#define S  RESP_CAT_STREAM

const struct resp_command resp_stream_commands[] = {
    {"xadd", cmd_xadd, -5, WM | F, S, 1, 1, 1, "5.0.0", "Appends an entry", NULL},
    {"xtrim", cmd_xtrim, -4, W, S, 1, 1, 1, "5.0.0", "Cuts off the oldest entries", NULL},
    {"xdel", cmd_xdel, -3, W | F, S, 1, 1, 1, "5.0.0", "Removes entries by their ids", NULL},
    {"xlen", cmd_xlen, 2, R | F, S, 1, 1, 1, "5.0.0", "How many entries a stream has", NULL},
    {"xrange", cmd_xrange, -4, R, S, 1, 1, 1, "5.0.0", "The entries between two ids", NULL},
    {"xrevrange", cmd_xrevrange, -4, R, S, 1, 1, 1, "5.0.0",
     "The entries between two ids, newest first", NULL},
    {"xsetid", cmd_xsetid, -3, WM | F, S, 1, 1, 1, "5.0.0", "Sets what id comes last", NULL},
    {"xread", cmd_xread, -4, R | B, S, 0, 0, 0, "5.0.0",
     "The entries of streams behind given ids, or waits for some", NULL},
    {"xreadgroup", cmd_xreadgroup, -7, W | B, S, 0, 0, 0, "5.0.0",
     "Entries for a consumer of a group, new ones or its own again, or waits for some", NULL},
    {"xack", cmd_xack, -4, W | F, S, 1, 1, 1, "5.0.0", "Says that entries are dealt with", NULL},
    {"xackdel", cmd_xackdel, -6, W | F, S, 1, 1, 1, "8.2.0",
     "Says that entries are dealt with, and removes them", NULL},
    {"xdelex", cmd_xdelex, -5, W | F, S, 1, 1, 1, "8.2.0",
     "Removes entries by their ids, with or without what groups hold of them", NULL},
    {"xnack", cmd_xnack, -7, W | F, S, 1, 1, 1, "8.8.0",
     "Gives pending entries back to the group, for whoever claims", NULL},
    {"xpending", cmd_xpending, -3, R, S, 1, 1, 1, "5.0.0", "What a group has delivered, not acked",
     NULL},
    {"xclaim", cmd_xclaim, -6, W | F, S, 1, 1, 1, "5.0.0",
     "Takes over pending entries by their ids", NULL},
    {"xautoclaim", cmd_xautoclaim, -6, W | F, S, 1, 1, 1, "6.2.0",
     "Takes over what has been pending for too long", NULL},
    {"xgroup", NULL, -2, 0, 0, 0, 0, 0, "5.0.0", "Makes and changes groups and consumers",
     resp_xgroup_subs},
    {"xinfo", NULL, -2, 0, 0, 0, 0, 0, "5.0.0", "What there is to know of a stream",
     resp_xinfo_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
