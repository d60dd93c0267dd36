/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of sorted sets: by index, by score, by the members' bytes. */
#include "engine/resp/args.h"
#include "engine/resp/cmd_zset.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"

void resp_zset_reply(struct resp_call *call, bool scores, bool pairs)
{
    const struct oxbow_result *r = call->result;
    bool nested = scores && pairs && call->reply->version == 3;

    resp_array(call->reply, scores && !nested ? 2 * r->item_count : r->item_count);
    for (size_t i = 0; i < r->item_count; i++) {
        if (nested) {
            resp_array(call->reply, 2);
        }
        resp_bulk(call->reply, r->items[i]);
        if (scores) {
            resp_double(call->reply, r->scores[i]);
        }
    }
}

/* A bound by score: a number, with "(" before it not itself. Nothing is 0, and blanks before it do not
 * matter: as strtod has it, which Redis takes here and nowhere else. */
static bool score_bound(struct oxbow_bytes arg, double *score, bool *open)
{
    const char *p = arg.data;

    *open = arg.len > 0 && p[0] == '(';
    if (*open) {
        arg = (struct oxbow_bytes){p + 1, arg.len - 1};
    }
    *score = 0;
    while (arg.len > 1 && *(const char *)arg.data == ' ') {
        arg = (struct oxbow_bytes){(const char *)arg.data + 1, arg.len - 1};
    }
    return arg.len == 0 || resp_arg_double(arg, score);
}

/* A bound by bytes: "[" or "(" and the bytes, "-" or "+". */
static bool lex_bound(struct oxbow_bytes arg, struct oxbow_zset_range *r, bool low)
{
    const char *p = arg.data;
    bool lowest = arg.len == 1 && p[0] == '-';
    bool highest = arg.len == 1 && p[0] == '+';

    if (!lowest && !highest && (arg.len == 0 || (p[0] != '[' && p[0] != '('))) {
        return false;
    }
    if (low) {
        r->from_lowest = lowest;
        r->from_highest = highest;
        r->low_open = !lowest && !highest && p[0] == '(';
        r->from = (struct oxbow_bytes){p + 1, arg.len - 1};
    } else {
        r->to_lowest = lowest;
        r->to_highest = highest;
        r->high_open = !lowest && !highest && p[0] == '(';
        r->to = (struct oxbow_bytes){p + 1, arg.len - 1};
    }
    return true;
}

/* Reads the bounds at arguments `at` and after it; the text of what is wrong, or NULL. With reverse the
 * higher one stands first, but not of an index. */
static const char *bounds(struct resp_call *call, uint32_t at, struct oxbow_zset_range *r)
{
    struct oxbow_bytes low = call->args[r->reverse ? at + 1 : at];
    struct oxbow_bytes high = call->args[r->reverse ? at : at + 1];

    switch (r->by) {
    case OXBOW_ZSET_BY_SCORE:
        return score_bound(low, &r->min, &r->low_open) && score_bound(high, &r->max, &r->high_open)
                   ? NULL
                   : "ERR min or max is not a float";
    case OXBOW_ZSET_BY_LEX:
        return lex_bound(low, r, true) && lex_bound(high, r, false)
                   ? NULL
                   : "ERR min or max not valid string range item";
    default:
        return resp_arg_int(call->args[at], &r->start) && resp_arg_int(call->args[at + 1], &r->stop)
                   ? NULL
                   : "ERR value is not an integer or out of range";
    }
}

struct options {
    bool scores;
    bool by;  /* BYSCORE, BYLEX, REV are allowed: ZRANGE alone */
    bool has; /* WITHSCORES is */
};

/* Reads what comes after the bounds. */
static const char *options(struct resp_call *call, uint32_t at, struct oxbow_zset_range *r,
                           struct options *o)
{
    for (uint32_t i = at; i < call->count; i++) {
        if (o->has && resp_arg_is(call->args[i], "withscores")) {
            o->scores = true;
        } else if (resp_arg_is(call->args[i], "limit") && i + 2 < call->count) {
            if (!resp_arg_int(call->args[i + 1], &r->offset) ||
                !resp_arg_int(call->args[i + 2], &r->limit)) {
                return "ERR value is not an integer or out of range";
            }
            r->limited = true;
            i += 2;
        } else if (o->by && resp_arg_is(call->args[i], "rev")) {
            r->reverse = true;
        } else if (o->by && resp_arg_is(call->args[i], "byscore")) {
            r->by = OXBOW_ZSET_BY_SCORE;
        } else if (o->by && resp_arg_is(call->args[i], "bylex")) {
            r->by = OXBOW_ZSET_BY_LEX;
        } else {
            return "ERR syntax error";
        }
    }
    if (r->by == OXBOW_ZSET_BY_INDEX && r->limited && r->limit != -1) {
        return "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
               "BYLEX";
    }
    r->limited = r->limited && r->by != OXBOW_ZSET_BY_INDEX;
    if (o->scores && r->by == OXBOW_ZSET_BY_LEX) {
        return "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    }
    return NULL;
}

static enum oxbow_err range(struct resp_call *call, struct oxbow_zset_range r, struct options o)
{
    const char *bad = options(call, 4, &r, &o);
    enum oxbow_err err;

    if (bad == NULL) {
        bad = bounds(call, 2, &r);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_zset_range(call->txn, call->args[1], &r, call->result);
    if (err == OXBOW_OK) {
        resp_zset_reply(call, o.scores, true);
    }
    return err;
}

static enum oxbow_err cmd_zrangestore(struct resp_call *call)
{
    struct oxbow_zset_range r = {.reverse = false};
    struct options o = {.by = true};
    const char *bad = options(call, 5, &r, &o);
    enum oxbow_type type;
    uint64_t count = 0;
    enum oxbow_err err;

    if (bad == NULL) {
        bad = bounds(call, 3, &r);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_key_type(call->txn, call->args[1], &type);
    if (err == OXBOW_OK) {
        err = oxbow_zset_range_store(call->txn, call->args[1], call->args[2], &r, &count);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (count > 0) {
        resp_changed(call, RESP_EVENT_ZSET, "zrangestore", call->args[1]);
    } else if (type != OXBOW_TYPE_NONE) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[1]);
    }
    resp_int(call->reply, (int64_t)count);
    return OXBOW_OK;
}

static enum oxbow_err cmd_zrange(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.reverse = false},
                 (struct options){.by = true, .has = true});
}

static enum oxbow_err cmd_zrevrange(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.reverse = true}, (struct options){.has = true});
}

static enum oxbow_err cmd_zrangebyscore(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.by = OXBOW_ZSET_BY_SCORE},
                 (struct options){.has = true});
}

static enum oxbow_err cmd_zrevrangebyscore(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.by = OXBOW_ZSET_BY_SCORE, .reverse = true},
                 (struct options){.has = true});
}

static enum oxbow_err cmd_zrangebylex(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.by = OXBOW_ZSET_BY_LEX},
                 (struct options){.has = false});
}

static enum oxbow_err cmd_zrevrangebylex(struct resp_call *call)
{
    return range(call, (struct oxbow_zset_range){.by = OXBOW_ZSET_BY_LEX, .reverse = true},
                 (struct options){.has = false});
}

static enum oxbow_err count(struct resp_call *call, enum oxbow_zset_by by)
{
    struct oxbow_zset_range r = {.by = by};
    const char *bad = bounds(call, 2, &r);
    uint64_t n;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_zset_range_count(call->txn, call->args[1], &r, &n);
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)n);
    }
    return err;
}

static enum oxbow_err cmd_zcount(struct resp_call *call)
{
    return count(call, OXBOW_ZSET_BY_SCORE);
}

static enum oxbow_err cmd_zlexcount(struct resp_call *call)
{
    return count(call, OXBOW_ZSET_BY_LEX);
}

static enum oxbow_err remove_range(struct resp_call *call, enum oxbow_zset_by by, const char *event)
{
    struct oxbow_zset_range r = {.by = by};
    const char *bad = bounds(call, 2, &r);
    uint64_t n;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = oxbow_zset_range_remove(call->txn, call->args[1], &r, &n);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)n);
    return n > 0 ? resp_zset_taken(call, event, call->args[1]) : OXBOW_OK;
}

static enum oxbow_err cmd_zremrangebyrank(struct resp_call *call)
{
    return remove_range(call, OXBOW_ZSET_BY_INDEX, "zremrangebyrank");
}

static enum oxbow_err cmd_zremrangebyscore(struct resp_call *call)
{
    return remove_range(call, OXBOW_ZSET_BY_SCORE, "zremrangebyscore");
}

static enum oxbow_err cmd_zremrangebylex(struct resp_call *call)
{
    return remove_range(call, OXBOW_ZSET_BY_LEX, "zremrangebylex");
}

#define W RESP_WRITE
#define R RESP_READONLY
#define F RESP_FAST
#define Z RESP_CAT_ZSET

const struct resp_command resp_zset_range_commands[] = {
    {"zrange", cmd_zrange, -4, R, Z, 1, 1, 1, "1.2.0",
     "The members of a range of indexes, scores or bytes", NULL},
    {"zrangestore", cmd_zrangestore, -5, RESP_WRITE | RESP_DENYOOM, Z, 1, 2, 1, "6.2.0",
     "Keeps what ZRANGE gives", NULL},
    {"zrevrange", cmd_zrevrange, -4, R, Z, 1, 1, 1, "1.2.0",
     "The members of a range of indexes, the highest first", NULL},
    {"zrangebyscore", cmd_zrangebyscore, -4, R, Z, 1, 1, 1, "1.0.5",
     "The members of a range of scores", NULL},
    {"zrevrangebyscore", cmd_zrevrangebyscore, -4, R, Z, 1, 1, 1, "2.2.0",
     "The members of a range of scores, the highest first", NULL},
    {"zrangebylex", cmd_zrangebylex, -4, R, Z, 1, 1, 1, "2.8.9", "The members of a range of bytes",
     NULL},
    {"zrevrangebylex", cmd_zrevrangebylex, -4, R, Z, 1, 1, 1, "2.8.9",
     "The members of a range of bytes, the highest first", NULL},
    {"zcount", cmd_zcount, 4, R | F, Z, 1, 1, 1, "2.0.0", "How many members a range of scores has",
     NULL},
    {"zlexcount", cmd_zlexcount, 4, R | F, Z, 1, 1, 1, "2.8.9",
     "How many members a range of bytes has", NULL},
    {"zremrangebyrank", cmd_zremrangebyrank, 4, W, Z, 1, 1, 1, "2.0.0",
     "Removes the members of a range of indexes", NULL},
    {"zremrangebyscore", cmd_zremrangebyscore, 4, W, Z, 1, 1, 1, "1.2.0",
     "Removes the members of a range of scores", NULL},
    {"zremrangebylex", cmd_zremrangebylex, 4, W, Z, 1, 1, 1, "2.8.9",
     "Removes the members of a range of bytes", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
