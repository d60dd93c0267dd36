/* SPDX-License-Identifier: Apache-2.0 */
/* Several sorted sets as one: unions, intersections, differences, shown, kept or counted. */
#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_zset.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"

struct combining {
    struct oxbow_zset_combination what;
    double *weights; /* room for one of each key */
    int64_t limit;   /* of ZINTERCARD; 0: none */
    bool store;
    bool count;
    bool scores;
};

/* ---- what is asked for ---- */

/* The keys behind the number at argument `at`; false: it replied with what is wrong. */
static bool keys_at(struct resp_call *call, uint32_t at, struct combining *c)
{
    int64_t n;

    if (!resp_arg_int(call->args[at], &n)) {
        (void)!resp_refuse_integer(call);
    } else if (n < 1) {
        resp_error_format(call->reply, "ERR at least 1 input key is needed for '%s' command",
                          call->row->name);
    } else if (n > (int64_t)(call->count - at - 1)) {
        (void)!resp_refuse_syntax(call);
    } else {
        c->what.keys = call->args + at + 1;
        c->what.count = (size_t)n;
        return true;
    }
    return false;
}

/* Sets and sorted sets alone, which Redis looks at before the options. */
static enum oxbow_err types_are_fine(struct resp_call *call, const struct combining *c)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < c->what.count; i++) {
        enum oxbow_type type;

        err = oxbow_key_type(call->txn, c->what.keys[i], &type);
        if (err == OXBOW_OK && type != OXBOW_TYPE_NONE && type != OXBOW_TYPE_SET &&
            type != OXBOW_TYPE_ZSET) {
            err = OXBOW_EWRONGTYPE;
        }
    }
    return err;
}

static bool sum_named(struct oxbow_bytes arg, enum oxbow_zset_sum *sum)
{
    static const char *const names[] = {"sum", "min", "max"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (resp_arg_is(arg, names[i])) {
            *sum = (enum oxbow_zset_sum)i;
            return true;
        }
    }
    return false;
}

/* One option at argument *i; the text of what is wrong, or NULL. */
static const char *option_at(const struct resp_call *call, uint32_t *i, struct combining *c)
{
    uint32_t left = call->count - *i;
    struct oxbow_bytes name = call->args[*i];
    bool weighs = !c->count && c->what.op != OXBOW_ZSET_DIFF;

    if (weighs && left > c->what.count && resp_arg_is(name, "weights")) {
        for (size_t k = 0; k < c->what.count; k++) {
            if (!resp_arg_double(call->args[++*i], &c->weights[k])) {
                return "ERR weight value is not a float";
            }
        }
        c->what.weights = c->weights;
    } else if (weighs && left > 1 && resp_arg_is(name, "aggregate")) {
        return sum_named(call->args[++*i], &c->what.sum) ? NULL : "ERR syntax error";
    } else if (!c->store && !c->count && resp_arg_is(name, "withscores")) {
        c->scores = true;
    } else if (c->count && left > 1 && resp_arg_is(name, "limit")) {
        return resp_arg_int(call->args[++*i], &c->limit) && c->limit >= 0
                   ? NULL
                   : "ERR LIMIT can't be negative";
    } else {
        return "ERR syntax error";
    }
    return NULL;
}

/* ---- what is done ---- */

static enum oxbow_err keep(struct resp_call *call, const struct combining *c)
{
    static const char *const events[] = {"zinterstore", "zunionstore", "zdiffstore"};
    enum oxbow_type type;
    uint64_t stored = 0;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    if (err == OXBOW_OK) {
        err = oxbow_zset_combine_store(call->txn, call->args[1], &c->what, &stored);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (stored > 0) {
        resp_changed(call, RESP_EVENT_ZSET, events[c->what.op], call->args[1]);
    } else if (type != OXBOW_TYPE_NONE) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    resp_int(call->reply, (int64_t)stored);
    return OXBOW_OK;
}

static enum oxbow_err carry_out(struct resp_call *call, const struct combining *c)
{
    uint64_t found = 0;
    enum oxbow_err err;

    if (c->store) {
        return keep(call, c);
    }
    if (c->count) {
        err = oxbow_zset_inter_count(call->txn, c->what.keys, c->what.count, (uint64_t)c->limit,
                                     &found);
        if (err == OXBOW_OK) {
            resp_int(call->reply, (int64_t)found);
        }
        return err;
    }
    err = oxbow_zset_combine(call->txn, &c->what, call->result);
    if (err == OXBOW_OK) {
        resp_zset_reply(call, c->scores, true);
    }
    return err;
}

static enum oxbow_err combine(struct resp_call *call, struct combining c)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    uint32_t at = c.store ? 2 : 1;
    const char *bad = NULL;
    enum oxbow_err err;

    if (!keys_at(call, at, &c)) {
        return OXBOW_OK;
    }
    err = types_are_fine(call, &c);
    if (err != OXBOW_OK) {
        return err;
    }
    c.weights = mem_new(alloc, c.what.count * sizeof *c.weights);
    if (c.weights == NULL) {
        return OXBOW_ENOMEM;
    }
    for (uint32_t i = at + 1 + (uint32_t)c.what.count; bad == NULL && i < call->count; i++) {
        bad = option_at(call, &i, &c);
    }
    err = bad != NULL ? resp_refuse(call, bad) : carry_out(call, &c);
    mem_free(alloc, c.weights, c.what.count * sizeof *c.weights);
    return err;
}

static enum oxbow_err cmd_zunion(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_UNION});
}

static enum oxbow_err cmd_zinter(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_INTER});
}

static enum oxbow_err cmd_zdiff(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_DIFF});
}

static enum oxbow_err cmd_zunionstore(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_UNION, .store = true});
}

static enum oxbow_err cmd_zinterstore(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_INTER, .store = true});
}

static enum oxbow_err cmd_zdiffstore(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_DIFF, .store = true});
}

static enum oxbow_err cmd_zintercard(struct resp_call *call)
{
    return combine(call, (struct combining){.what.op = OXBOW_ZSET_INTER, .count = true});
}

#define WM (RESP_WRITE | RESP_DENYOOM | RESP_MOVABLE)
#define R  (RESP_READONLY | RESP_MOVABLE)
#define Z  RESP_CAT_ZSET

const struct resp_command resp_zset_combine_commands[] = {
    {"zunion", cmd_zunion, -3, R, Z, 0, 0, 0, "6.2.0", "The members of any of the sorted sets",
     NULL},
    {"zinter", cmd_zinter, -3, R, Z, 0, 0, 0, "6.2.0", "The members of all of the sorted sets",
     NULL},
    {"zdiff", cmd_zdiff, -3, R, Z, 0, 0, 0, "6.2.0",
     "The members of the first sorted set that none of the others has", NULL},
    {"zunionstore", cmd_zunionstore, -4, WM, Z, 1, 1, 1, "2.0.0", "Keeps what ZUNION gives", NULL},
    {"zinterstore", cmd_zinterstore, -4, WM, Z, 1, 1, 1, "2.0.0", "Keeps what ZINTER gives", NULL},
    {"zdiffstore", cmd_zdiffstore, -4, WM, Z, 1, 1, 1, "6.2.0", "Keeps what ZDIFF gives", NULL},
    {"zintercard", cmd_zintercard, -3, R, Z, 0, 0, 0, "7.0.0",
     "How many members all of the sorted sets have", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
