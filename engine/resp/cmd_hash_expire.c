/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of hashes that expire: as Redis has them since 7.4 (HEXPIRE and its like) and 8.0 (HGETDEL, HGETEX,
 * HSETEX). In what order arguments are judged, and with which words, is as there.
 */
#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/hash_expire.h"

/* From a time of the wall clock that is made of two clocks, up to whole seconds: two milliseconds more are
 * none. */
#define NEARLY_SECOND 997u

/* ---- arguments ---- */

/* A time to live, or a time of the wall clock. */
struct when {
    int64_t ms;
    bool at;
};

/* `unit`: milliseconds of one of the argument's. False: it was refused. */
static bool when_of(struct resp_call *call, struct oxbow_bytes arg, int64_t unit, struct when *when)
{
    int64_t now = when->at ? 0 : (int64_t)resp_wall_ms(call->server);

    if (!resp_arg_int(arg, &when->ms)) {
        (void)!resp_refuse_integer(call);
        return false;
    }
    if (when->ms < 0) {
        (void)!resp_refuse(call, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (when->ms > OXBOW_HASH_TTL_MS_MAX / unit || when->ms * unit > OXBOW_HASH_TTL_MS_MAX - now) {
        resp_error_format(call->reply, "ERR invalid expire time in '%s' command", call->row->name);
        return false;
    }
    when->ms *= unit;
    return true;
}

/* Reads `FIELDS count field ...` from argument `at` to the end. `bad_count` is what a count is answered with
 * that is none. False: it was refused. */
static bool fields_of(struct resp_call *call, uint32_t at, const char *bad_count,
                      struct oxbow_fields *fields)
{
    int64_t count;

    if (at >= call->count || !resp_arg_is(call->args[at], "fields")) {
        (void)!resp_refuse(call,
                           "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (at + 1 >= call->count) {
        (void)!resp_refuse_arity(call);
        return false;
    }
    if (!resp_arg_int(call->args[at + 1], &count) || count < 1) {
        (void)!resp_refuse(call, bad_count);
        return false;
    }
    if (count != (int64_t)call->count - at - 2) {
        (void)!resp_refuse(call,
                           "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    *fields = (struct oxbow_fields){call->args + at + 2, (size_t)count};
    return true;
}

#define BAD_COUNT "ERR Number of fields must be a positive integer"

/* OXBOW_EWRONGTYPE comes before what is wrong with the arguments. */
static enum oxbow_err type_check(struct resp_call *call)
{
    uint64_t ignored;

    return oxbow_hash_count(call->txn, call->args[1], &ignored);
}

/* ---- what came of it ---- */

static enum oxbow_err reply_done(struct resp_call *call, const struct oxbow_fields *fields,
                                 const enum oxbow_field_done *done)
{
    resp_array(call->reply, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        resp_int(call->reply, done[i]);
    }
    return OXBOW_OK;
}

/* Says `event`, and that the hash is gone if it is. */
static enum oxbow_err tell(struct resp_call *call, const char *event)
{
    uint64_t left;
    enum oxbow_err err = oxbow_hash_count(call->txn, call->args[1], &left);

    if (err == OXBOW_OK) {
        resp_changed(call, RESP_EVENT_HASH, event, call->args[1]);
    }
    if (err == OXBOW_OK && left == 0) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    return err;
}

static bool any(const enum oxbow_field_done *done, size_t count, enum oxbow_field_done what)
{
    bool is = false;

    for (size_t i = 0; i < count; i++) {
        is = is || done[i] == what;
    }
    return is;
}

/* ---- HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT ---- */

static uint32_t flag_of(struct oxbow_bytes arg)
{
    return resp_arg_is(arg, "nx")   ? OXBOW_EXPIRE_NX
           : resp_arg_is(arg, "xx") ? OXBOW_EXPIRE_XX
           : resp_arg_is(arg, "gt") ? OXBOW_EXPIRE_GT
           : resp_arg_is(arg, "lt") ? OXBOW_EXPIRE_LT
                                    : 0;
}

static enum oxbow_err give(struct resp_call *call, const struct oxbow_fields *fields,
                           const struct when *when, uint32_t flags, enum oxbow_field_done *done)
{
    int64_t span = when->at ? oxbow_hash_span(call->txn, when->ms) : when->ms;

    return oxbow_hash_expire(call->txn, call->args[1], fields, span, flags, done);
}

static enum oxbow_err expire(struct resp_call *call, int64_t unit, bool at)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    uint32_t flags = flag_of(call->args[3]);
    struct when when = {.at = at};
    struct oxbow_fields fields = {NULL, 0};
    enum oxbow_field_done *done;
    enum oxbow_err err = type_check(call);

    if (err != OXBOW_OK || !when_of(call, call->args[2], unit, &when) ||
        !fields_of(call, flags != 0 ? 4 : 3, "ERR Parameter `numFields` should be greater than 0",
                   &fields)) {
        return err;
    }
    done = mem_new(alloc, fields.count * sizeof *done);
    if (done == NULL) {
        return OXBOW_ENOMEM;
    }
    err = give(call, &fields, &when, flags, done);
    if (err == OXBOW_OK) {
        err = reply_done(call, &fields, done);
    }
    if (err == OXBOW_OK && any(done, fields.count, OXBOW_FIELD_DELETED)) {
        err = tell(call, "hdel");
    } else if (err == OXBOW_OK && any(done, fields.count, OXBOW_FIELD_SET)) {
        err = tell(call, "hexpire");
    }
    mem_free(alloc, done, fields.count * sizeof *done);
    return err;
}

static enum oxbow_err cmd_hexpire(struct resp_call *call)
{
    return expire(call, 1000, false);
}

static enum oxbow_err cmd_hpexpire(struct resp_call *call)
{
    return expire(call, 1, false);
}

static enum oxbow_err cmd_hexpireat(struct resp_call *call)
{
    return expire(call, 1000, true);
}

static enum oxbow_err cmd_hpexpireat(struct resp_call *call)
{
    return expire(call, 1, true);
}

static enum oxbow_err cmd_hpersist(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct oxbow_fields fields = {NULL, 0};
    enum oxbow_field_done *done;
    enum oxbow_err err = type_check(call);

    if (err != OXBOW_OK || !fields_of(call, 2, BAD_COUNT, &fields)) {
        return err;
    }
    done = mem_new(alloc, fields.count * sizeof *done);
    if (done == NULL) {
        return OXBOW_ENOMEM;
    }
    err = oxbow_hash_persist(call->txn, call->args[1], &fields, done);
    if (err == OXBOW_OK) {
        err = reply_done(call, &fields, done);
    }
    if (err == OXBOW_OK && any(done, fields.count, OXBOW_FIELD_SET)) {
        err = tell(call, "hpersist");
    }
    mem_free(alloc, done, fields.count * sizeof *done);
    return err;
}

/* ---- HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME ---- */

/* In units of `unit` milliseconds, with `up` added before it is divided. */
static enum oxbow_err times(struct resp_call *call,
                            enum oxbow_err (*ask)(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_fields *fields, uint64_t *ms),
                            uint64_t unit, uint64_t up)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct oxbow_fields fields = {NULL, 0};
    enum oxbow_err err = type_check(call);
    uint64_t *ms;

    if (err != OXBOW_OK || !fields_of(call, 2, BAD_COUNT, &fields)) {
        return err;
    }
    ms = mem_new(alloc, fields.count * sizeof *ms);
    if (ms == NULL) {
        return OXBOW_ENOMEM;
    }
    err = ask(call->txn, call->args[1], &fields, ms);
    if (err == OXBOW_OK) {
        resp_array(call->reply, fields.count);
    }
    for (size_t i = 0; err == OXBOW_OK && i < fields.count; i++) {
        resp_int(call->reply, ms[i] == 0            ? OXBOW_FIELD_NONE
                              : ms[i] == UINT64_MAX ? OXBOW_FIELD_NEVER
                                                    : (int64_t)((ms[i] + up) / unit));
    }
    mem_free(alloc, ms, fields.count * sizeof *ms);
    return err;
}

static enum oxbow_err cmd_httl(struct resp_call *call)
{
    return times(call, oxbow_hash_ttl, 1000, 999);
}

static enum oxbow_err cmd_hpttl(struct resp_call *call)
{
    return times(call, oxbow_hash_ttl, 1, 0);
}

static enum oxbow_err cmd_hexpiretime(struct resp_call *call)
{
    return times(call, oxbow_hash_expire_time, 1000, NEARLY_SECOND);
}

static enum oxbow_err cmd_hpexpiretime(struct resp_call *call)
{
    return times(call, oxbow_hash_expire_time, 1, 0);
}

/* ---- HGETDEL ---- */

/* A field's value is replied, or nil. *found says whether it is there. */
static enum oxbow_err reply_field(struct resp_call *call, struct oxbow_bytes field, bool *found)
{
    enum oxbow_err err = oxbow_hash_get(call->txn, call->args[1], field, call->result);

    *found = err == OXBOW_OK;
    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return err;
}

static enum oxbow_err cmd_hgetdel(struct resp_call *call)
{
    struct oxbow_fields fields = {NULL, 0};
    bool deleted = false;
    enum oxbow_err err = type_check(call);

    if (err != OXBOW_OK || !fields_of(call, 2, BAD_COUNT, &fields)) {
        return err;
    }
    resp_array(call->reply, fields.count);
    for (size_t i = 0; err == OXBOW_OK && i < fields.count; i++) {
        bool found;

        err = reply_field(call, fields.names[i], &found);
        if (err == OXBOW_OK && found) {
            err = oxbow_hash_delete(call->txn, call->args[1], &fields.names[i], 1, NULL);
            deleted = true;
        }
    }
    return err == OXBOW_OK && deleted ? tell(call, "hdel") : err;
}

/* ---- HGETEX ---- */

struct way {
    const char *word;
    int64_t unit;
    bool at;
};

static const struct way ways[] = {
    {"ex", 1000, false}, {"px", 1, false}, {"exat", 1000, true}, {"pxat", 1, true}};

/* NULL: it is none of them. */
static const struct way *way_of(struct oxbow_bytes arg)
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (resp_arg_is(arg, ways[i].word)) {
            return &ways[i];
        }
    }
    return NULL;
}

/* What is to be done with each field that is there. */
struct change {
    bool persist;
    bool timed;
    struct when when;
};

static enum oxbow_err change_field(struct resp_call *call, const struct oxbow_fields *one,
                                   const struct change *change, enum oxbow_field_done *done)
{
    *done = OXBOW_FIELD_NOT;
    if (change->persist) {
        return oxbow_hash_persist(call->txn, call->args[1], one, done);
    }
    return change->timed ? give(call, one, &change->when, 0, done) : OXBOW_OK;
}

/* `at`: of the argument FIELDS. */
static enum oxbow_err get_and_change(struct resp_call *call, uint32_t at,
                                     const struct change *change)
{
    struct oxbow_fields fields = {NULL, 0};
    bool updated = false;
    bool deleted = false;
    enum oxbow_err err = OXBOW_OK;

    if (!fields_of(call, at, BAD_COUNT, &fields)) {
        return OXBOW_OK;
    }
    resp_array(call->reply, fields.count);
    for (size_t i = 0; err == OXBOW_OK && i < fields.count; i++) {
        const struct oxbow_fields one = {&fields.names[i], 1};
        enum oxbow_field_done done = OXBOW_FIELD_NOT;
        bool found;

        err = reply_field(call, fields.names[i], &found);
        if (err == OXBOW_OK && found) {
            err = change_field(call, &one, change, &done);
        }
        updated = updated || done == OXBOW_FIELD_SET;
        deleted = deleted || done == OXBOW_FIELD_DELETED;
    }
    if (err != OXBOW_OK || !(updated || deleted)) {
        return err;
    }
    return tell(call, deleted ? "hdel" : change->persist ? "hpersist" : "hexpire");
}

static enum oxbow_err cmd_hgetex(struct resp_call *call)
{
    const struct way *way = way_of(call->args[2]);
    struct change change = {.persist = resp_arg_is(call->args[2], "persist"), .timed = way != NULL};
    enum oxbow_err err = type_check(call);

    if (err != OXBOW_OK) {
        return err;
    }
    if (way != NULL) {
        change.when.at = way->at;
        if (!when_of(call, call->args[3], way->unit, &change.when)) {
            return OXBOW_OK;
        }
    }
    return get_and_change(call, way != NULL ? 4 : change.persist ? 3 : 2, &change);
}

/* ---- HSETEX ---- */

struct setting {
    struct oxbow_hash_set_options opt;
    struct when when;
    uint32_t first; /* argument that is a field */
    uint32_t count; /* of fields */
};

/* FIELDS and what is behind it. False: it was refused. */
static bool pairs_of(struct resp_call *call, uint32_t i, struct setting *set)
{
    int64_t count;

    if (i + 3 >= call->count) {
        (void)!resp_refuse_arity(call);
        return false;
    }
    if (!resp_arg_int(call->args[i + 1], &count) || count < 1 || count > INT32_MAX) {
        (void)!resp_refuse(call, "ERR invalid number of fields");
        return false;
    }
    if ((int64_t)(call->count - i - 2) != count * 2) {
        (void)!resp_refuse_arity(call);
        return false;
    }
    set->first = i + 2;
    set->count = (uint32_t)count;
    return true;
}

/* KEEPTTL, or EX and its like with their time behind them at *i. False: it was refused. */
static bool expiry_of(struct resp_call *call, uint32_t *i, const struct way *way,
                      struct setting *set)
{
    if (set->opt.keep || set->opt.timed) {
        (void)!resp_refuse(call, "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be "
                                 "specified");
        return false;
    }
    set->opt.keep = way == NULL;
    set->opt.timed = way != NULL;
    if (way == NULL) {
        return true;
    }
    if (*i + 1 >= call->count) {
        (void)!resp_refuse(call, "ERR missing expire time");
        return false;
    }
    set->when.at = way->at;
    return when_of(call, call->args[++*i], way->unit, &set->when);
}

static bool condition_of(struct resp_call *call, enum oxbow_hash_if condition, struct setting *set)
{
    if (set->opt.condition != OXBOW_HASH_ALWAYS) {
        (void)!resp_refuse(call, "ERR Only one of FXX or FNX arguments can be specified");
        return false;
    }
    set->opt.condition = condition;
    return true;
}

static bool setting_of(struct resp_call *call, struct setting *set)
{
    for (uint32_t i = 2; i < call->count; i++) {
        struct oxbow_bytes arg = call->args[i];
        const struct way *way = way_of(arg);
        bool fine;

        if (resp_arg_is(arg, "fields")) {
            return pairs_of(call, i, set);
        }
        if (way != NULL || resp_arg_is(arg, "keepttl")) {
            fine = expiry_of(call, &i, way, set);
        } else if (resp_arg_is(arg, "fxx") || resp_arg_is(arg, "fnx")) {
            fine = condition_of(
                call, resp_arg_is(arg, "fxx") ? OXBOW_HASH_IF_ALL : OXBOW_HASH_IF_NONE, set);
        } else {
            resp_error_format(call->reply, "ERR unknown argument: %.*s",
                              (int)(arg.len < 64 ? arg.len : 64), (const char *)arg.data);
            return false;
        }
        if (!fine) {
            return false;
        }
    }
    (void)!resp_refuse_syntax(call);
    return false;
}

/* Events as Redis has them: it was set, and then it got its time to live or was gone at once. */
static enum oxbow_err tell_set(struct resp_call *call, const struct oxbow_hash_set_options *opt)
{
    if (!opt->timed) {
        return tell(call, "hset");
    }
    resp_changed(call, RESP_EVENT_HASH, "hset", call->args[1]);
    return tell(call, opt->ttl_ms > 0 ? "hexpire" : "hdel");
}

static enum oxbow_err cmd_hsetex(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct setting set = {.count = 0};
    struct oxbow_field *fields;
    bool done = false;
    enum oxbow_err err;

    if (!setting_of(call, &set)) {
        return OXBOW_OK;
    }
    fields = mem_new(alloc, set.count * sizeof *fields);
    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    for (uint32_t i = 0; i < set.count; i++) {
        fields[i] =
            (struct oxbow_field){call->args[set.first + 2 * i], call->args[set.first + 2 * i + 1]};
    }
    set.opt.ttl_ms = set.when.at ? oxbow_hash_span(call->txn, set.when.ms) : set.when.ms;
    err = oxbow_hash_set_timed(call->txn, call->args[1], fields, set.count, &set.opt, &done);
    mem_free(alloc, fields, set.count * sizeof *fields);
    if (err == OXBOW_OK) {
        resp_int(call->reply, done);
    }
    return err == OXBOW_OK && done ? tell_set(call, &set.opt) : err;
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define W  RESP_WRITE
#define R  RESP_READONLY
#define F  RESP_FAST
#define H  RESP_CAT_HASH

const struct resp_command resp_hash_expire_commands[] = {
    {"hexpire", cmd_hexpire, -6, WM | F, H, 1, 1, 1, "7.4.0",
     "Gives fields a time to live in seconds", NULL},
    {"hpexpire", cmd_hpexpire, -6, WM | F, H, 1, 1, 1, "7.4.0",
     "Gives fields a time to live in milliseconds", NULL},
    {"hexpireat", cmd_hexpireat, -6, WM | F, H, 1, 1, 1, "7.4.0",
     "Gives fields a second at which they expire", NULL},
    {"hpexpireat", cmd_hpexpireat, -6, WM | F, H, 1, 1, 1, "7.4.0",
     "Gives fields a millisecond at which they expire", NULL},
    {"hpersist", cmd_hpersist, -5, W | F, H, 1, 1, 1, "7.4.0", "Takes fields' times to live away",
     NULL},
    {"httl", cmd_httl, -5, R | F, H, 1, 1, 1, "7.4.0", "How many seconds fields still have", NULL},
    {"hpttl", cmd_hpttl, -5, R | F, H, 1, 1, 1, "7.4.0", "How many milliseconds fields still have",
     NULL},
    {"hexpiretime", cmd_hexpiretime, -5, R | F, H, 1, 1, 1, "7.4.0",
     "The second at which fields expire", NULL},
    {"hpexpiretime", cmd_hpexpiretime, -5, R | F, H, 1, 1, 1, "7.4.0",
     "The millisecond at which fields expire", NULL},
    {"hgetdel", cmd_hgetdel, -5, W | F, H, 1, 1, 1, "8.0.0",
     "Deletes fields and gives their values", NULL},
    {"hgetex", cmd_hgetex, -5, W | F, H, 1, 1, 1, "8.0.0",
     "The values of fields, and changes their times to live", NULL},
    {"hsetex", cmd_hsetex, -6, WM | F, H, 1, 1, 1, "8.0.0",
     "Gives fields their values and a time to live", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
