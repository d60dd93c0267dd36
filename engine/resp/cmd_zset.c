/* SPDX-License-Identifier: Apache-2.0 */
/* The sorted set family: members, scores, taking from the ends. Ranges: cmd_zset_range.c. */
#include "engine/resp/cmd_zset.h"
#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_scan.h"
#include "engine/resp/server.h"

enum oxbow_err resp_zset_taken(struct resp_call *call, const char *event, struct oxbow_bytes key)
{
    uint64_t left;
    enum oxbow_err err = oxbow_zset_count(call->txn, key, &left);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_changed(call, RESP_EVENT_ZSET, event, key);
    if (left == 0) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", key);
    }
    return OXBOW_OK;
}

/* ---- add ---- */

struct add {
    unsigned flags;
    bool ch;
    uint32_t first; /* argument that is the first score */
};

static const char *add_options(struct resp_call *call, struct add *add)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"nx", OXBOW_ZSET_NX},
                 {"xx", OXBOW_ZSET_XX},
                 {"gt", OXBOW_ZSET_GT},
                 {"lt", OXBOW_ZSET_LT},
                 {"incr", OXBOW_ZSET_INCR}};
    unsigned gt_lt;

    for (add->first = 2; add->first < call->count; add->first++) {
        size_t w = 0;

        while (w < 5 && !resp_arg_is(call->args[add->first], words[w].word)) {
            w++;
        }
        if (w < 5) {
            add->flags |= words[w].flag;
        } else if (resp_arg_is(call->args[add->first], "ch")) {
            add->ch = true;
        } else {
            break;
        }
    }
    gt_lt = add->flags & (OXBOW_ZSET_GT | OXBOW_ZSET_LT);
    if (add->first == call->count || (call->count - add->first) % 2 != 0) {
        return "ERR syntax error";
    }
    if ((add->flags & OXBOW_ZSET_NX) != 0 && (add->flags & OXBOW_ZSET_XX) != 0) {
        return "ERR XX and NX options at the same time are not compatible";
    }
    if (((add->flags & OXBOW_ZSET_NX) != 0 && gt_lt != 0) ||
        gt_lt == (OXBOW_ZSET_GT | OXBOW_ZSET_LT)) {
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    }
    if ((add->flags & OXBOW_ZSET_INCR) != 0 && call->count - add->first != 2) {
        return "ERR INCR option supports a single increment-element pair";
    }
    return NULL;
}

static enum oxbow_err add_members(struct resp_call *call, const struct add *add,
                                  struct oxbow_zset_added *out, bool *refused)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    size_t count = (call->count - add->first) / 2;
    struct oxbow_scored *members = mem_new(alloc, count * sizeof *members);
    enum oxbow_err err = OXBOW_OK;

    *refused = false;
    if (members == NULL) {
        return OXBOW_ENOMEM;
    }
    for (size_t i = 0; i < count && !*refused; i++) {
        members[i].member = call->args[add->first + 2 * i + 1];
        *refused = !resp_arg_double(call->args[add->first + 2 * i], &members[i].score);
    }
    if (*refused) {
        err = resp_refuse(call, "ERR value is not a valid float");
    } else {
        err = oxbow_zset_add(call->txn, call->args[1], add->flags, members, count, out);
    }
    mem_free(alloc, members, count * sizeof *members);
    if (err == OXBOW_ERANGE) {
        *refused = true;
        return resp_refuse(call, "ERR resulting score is not a number (NaN)");
    }
    return err;
}

static enum oxbow_err add(struct resp_call *call, const struct add *add)
{
    bool incr = (add->flags & OXBOW_ZSET_INCR) != 0;
    struct oxbow_zset_added out;
    bool refused;
    enum oxbow_err err = add_members(call, add, &out, &refused);

    if (err != OXBOW_OK || refused) {
        return err;
    }
    if (incr && out.done) {
        resp_double(call->reply, out.score);
    } else if (incr) {
        resp_null(call->reply);
    } else {
        resp_int(call->reply, (int64_t)(out.added + (add->ch ? out.changed : 0)));
    }
    if (out.added + out.changed > 0) {
        resp_changed(call, RESP_EVENT_ZSET, incr ? "zincr" : "zadd", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_zadd(struct resp_call *call)
{
    struct add how = {.flags = 0};
    const char *bad = add_options(call, &how);

    return bad != NULL ? resp_refuse(call, bad) : add(call, &how);
}

static enum oxbow_err cmd_zincrby(struct resp_call *call)
{
    const struct add how = {.flags = OXBOW_ZSET_INCR, .first = 2};

    return add(call, &how);
}

static enum oxbow_err cmd_zrem(struct resp_call *call)
{
    uint64_t removed;
    enum oxbow_err err =
        oxbow_zset_remove(call->txn, call->args[1], call->args + 2, call->count - 2, &removed);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)removed);
    return removed > 0 ? resp_zset_taken(call, "zrem", call->args[1]) : OXBOW_OK;
}

/* ---- members ---- */

static enum oxbow_err cmd_zscore(struct resp_call *call)
{
    double score;
    enum oxbow_err err = oxbow_zset_score(call->txn, call->args[1], call->args[2], &score);

    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_double(call->reply, score);
    }
    return err;
}

static enum oxbow_err cmd_zmscore(struct resp_call *call)
{
    resp_array(call->reply, call->count - 2);
    for (uint32_t i = 2; i < call->count; i++) {
        double score;
        enum oxbow_err err = oxbow_zset_score(call->txn, call->args[1], call->args[i], &score);

        if (err == OXBOW_OK) {
            resp_double(call->reply, score);
        } else if (err == OXBOW_ENOENT) {
            resp_null(call->reply);
        } else {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_zcard(struct resp_call *call)
{
    uint64_t count;
    enum oxbow_err err = oxbow_zset_count(call->txn, call->args[1], &count);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)count);
    }
    return err;
}

static enum oxbow_err rank(struct resp_call *call, enum oxbow_zset_end end)
{
    uint64_t rank;
    enum oxbow_err err = oxbow_zset_rank(call->txn, call->args[1], call->args[2], end, &rank, NULL);

    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)rank);
    }
    return err;
}

static enum oxbow_err cmd_zrank(struct resp_call *call)
{
    return rank(call, OXBOW_ZSET_MIN);
}

static enum oxbow_err cmd_zrevrank(struct resp_call *call)
{
    return rank(call, OXBOW_ZSET_MAX);
}

/* A score as RESP2 has it, in any version. */
static void reply_text(struct resp_reply *r, double score)
{
    uint8_t version = r->version;

    r->version = 2;
    resp_double(r, score);
    r->version = version;
}

static enum oxbow_err cmd_zrandmember(struct resp_call *call)
{
    bool scores = call->count == 4 && resp_arg_is(call->args[3], "withscores");
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count >= 3 && !resp_arg_int(call->args[2], &count)) {
        return resp_refuse_integer(call);
    }
    if (count == INT64_MIN) {
        return resp_refuse(call, "ERR value is out of range, value must between "
                                 "-9223372036854775807 and 9223372036854775807");
    }
    if (call->count > 4 || (call->count == 4 && !scores)) {
        return resp_refuse_syntax(call);
    }
    if (scores && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
        return resp_refuse(call, "ERR value is out of range");
    }
    if (count > OXBOW_ZSET_RANDOM_MAX) {
        count = OXBOW_ZSET_RANDOM_MAX;
    }
    err = oxbow_zset_random(call->txn, call->args[1], count, call->result);
    if (err == OXBOW_ERANGE) {
        return resp_refuse(call, "ERR value is out of range");
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (call->count > 2) {
        resp_zset_reply(call, scores, true);
    } else if (call->result->item_count > 0) {
        resp_bulk(call->reply, call->result->items[0]);
    } else {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

static void score_beside(struct resp_call *call, size_t i)
{
    reply_text(call->reply, call->result->scores[i]);
}

static enum oxbow_err cmd_zscan(struct resp_call *call)
{
    return resp_scan_members(call, oxbow_zset_scan, 1, score_beside);
}

/* ---- taking from an end ---- */

static enum oxbow_err pop(struct resp_call *call, enum oxbow_zset_end end)
{
    bool many = call->count == 3;
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count > 3) {
        return resp_refuse_syntax(call);
    }
    if (many && (!resp_arg_int(call->args[2], &count) || count < 0)) {
        return resp_refuse(call, "ERR value is out of range, must be positive");
    }
    err = oxbow_zset_pop(call->txn, call->args[1], end, (uint64_t)count, call->result);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_zset_reply(call, true, many);
    return call->result->item_count == 0
               ? OXBOW_OK
               : resp_zset_taken(call, end == OXBOW_ZSET_MIN ? "zpopmin" : "zpopmax",
                                 call->args[1]);
}

static enum oxbow_err cmd_zpopmin(struct resp_call *call)
{
    return pop(call, OXBOW_ZSET_MIN);
}

static enum oxbow_err cmd_zpopmax(struct resp_call *call)
{
    return pop(call, OXBOW_ZSET_MAX);
}

static enum oxbow_err blocking_pop(struct resp_call *call, enum oxbow_zset_end end)
{
    struct resp_wait wait = {.keys = call->args + 1, .key_count = call->count - 2};
    const char *bad = resp_arg_timeout(call->args[call->count - 1], &wait.timeout_us);

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    for (uint32_t i = 0; i < wait.key_count; i++) {
        enum oxbow_err err = OXBOW_OK;

        if (!resp_call_may(call, wait.keys[i])) {
            continue;
        }
        err = oxbow_zset_pop(call->txn, wait.keys[i], end, 1, call->result);
        if (err == OXBOW_EWRONGTYPE && call->again) {
            continue;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (call->result->item_count > 0) {
            resp_array(call->reply, 3);
            resp_bulk(call->reply, wait.keys[i]);
            resp_bulk(call->reply, call->result->items[0]);
            resp_double(call->reply, call->result->scores[0]);
            return resp_zset_taken(call, end == OXBOW_ZSET_MIN ? "zpopmin" : "zpopmax",
                                   wait.keys[i]);
        }
    }
    return resp_wait_for(call, &wait);
}

static enum oxbow_err cmd_bzpopmin(struct resp_call *call)
{
    return blocking_pop(call, OXBOW_ZSET_MIN);
}

static enum oxbow_err cmd_bzpopmax(struct resp_call *call)
{
    return blocking_pop(call, OXBOW_ZSET_MAX);
}

/* ---- several members of the first sorted set that has any ---- */

struct many {
    enum oxbow_zset_end end;
    int64_t count;
};

/* numkeys key ... MIN|MAX [COUNT n], from argument `at` on; the text of what is wrong, or NULL. */
static const char *many_of(struct resp_call *call, uint32_t at, struct resp_wait *wait,
                           struct many *m)
{
    int64_t keys;

    if (!resp_arg_int(call->args[at], &keys) || keys <= 0) {
        return "ERR numkeys should be greater than 0";
    }
    if (keys >= (int64_t)(call->count - at - 1)) {
        return "ERR syntax error";
    }
    wait->keys = call->args + at + 1;
    wait->key_count = (uint32_t)keys;
    at += (uint32_t)keys + 1;
    m->end = resp_arg_is(call->args[at], "min") ? OXBOW_ZSET_MIN : OXBOW_ZSET_MAX;
    m->count = 1;
    if (m->end == OXBOW_ZSET_MAX && !resp_arg_is(call->args[at], "max")) {
        return "ERR syntax error";
    }
    if (at + 1 == call->count) {
        return NULL;
    }
    if (at + 2 == call->count || !resp_arg_is(call->args[at + 1], "count")) {
        return "ERR syntax error";
    }
    if (!resp_arg_int(call->args[at + 2], &m->count) || m->count <= 0) {
        return "ERR count should be greater than 0";
    }
    return at + 3 == call->count ? NULL : "ERR syntax error";
}

/* Takes from the first of the keys that has a member: OXBOW_ENOENT when there is none. */
static enum oxbow_err pop_many(struct resp_call *call, const struct resp_wait *wait, struct many m)
{
    for (uint32_t i = 0; i < wait->key_count; i++) {
        enum oxbow_err err;

        if (!resp_call_may(call, wait->keys[i])) {
            continue;
        }
        err = oxbow_zset_pop(call->txn, wait->keys[i], m.end, (uint64_t)m.count, call->result);
        if (err == OXBOW_EWRONGTYPE && call->again) {
            continue;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (call->result->item_count > 0) {
            resp_array(call->reply, 2);
            resp_bulk(call->reply, wait->keys[i]);
            resp_array(call->reply, call->result->item_count);
            for (size_t n = 0; n < call->result->item_count; n++) {
                resp_array(call->reply, 2);
                resp_bulk(call->reply, call->result->items[n]);
                resp_double(call->reply, call->result->scores[n]);
            }
            return resp_zset_taken(call, m.end == OXBOW_ZSET_MIN ? "zpopmin" : "zpopmax",
                                   wait->keys[i]);
        }
    }
    return OXBOW_ENOENT;
}

static enum oxbow_err cmd_zmpop(struct resp_call *call)
{
    struct resp_wait wait = {.keys = NULL};
    struct many m;
    const char *bad = many_of(call, 1, &wait, &m);
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = pop_many(call, &wait, m);
    if (err == OXBOW_ENOENT) {
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    return err;
}

static enum oxbow_err cmd_bzmpop(struct resp_call *call)
{
    struct resp_wait wait = {.keys = NULL};
    struct many m;
    const char *bad = many_of(call, 2, &wait, &m);
    enum oxbow_err err;

    if (bad == NULL) {
        bad = resp_arg_timeout(call->args[1], &wait.timeout_us);
    }
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = pop_many(call, &wait, m);
    return err == OXBOW_ENOENT ? resp_wait_for(call, &wait) : err;
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define W  RESP_WRITE
#define R  RESP_READONLY
#define F  RESP_FAST
#define Z  RESP_CAT_ZSET

const struct resp_command resp_zset_commands[] = {
    {"zadd", cmd_zadd, -4, WM | F, Z, 1, 1, 1, "1.2.0", "Adds members, or changes their scores",
     NULL},
    {"zincrby", cmd_zincrby, 4, WM | F, Z, 1, 1, 1, "1.2.0", "Adds to a member's score", NULL},
    {"zrem", cmd_zrem, -3, W | F, Z, 1, 1, 1, "1.2.0", "Removes members", NULL},
    {"zscore", cmd_zscore, 3, R | F, Z, 1, 1, 1, "1.2.0", "A member's score", NULL},
    {"zmscore", cmd_zmscore, -3, R | F, Z, 1, 1, 1, "6.2.0", "The scores of members", NULL},
    {"zcard", cmd_zcard, 2, R | F, Z, 1, 1, 1, "1.2.0", "How many members a sorted set has", NULL},
    {"zrank", cmd_zrank, 3, R | F, Z, 1, 1, 1, "2.0.0", "How many members are below one", NULL},
    {"zrevrank", cmd_zrevrank, 3, R | F, Z, 1, 1, 1, "2.0.0", "How many members are above one",
     NULL},
    {"zscan", cmd_zscan, -3, R, Z, 1, 1, 1, "2.8.0", "Some of the members, from a cursor on", NULL},
    {"zrandmember", cmd_zrandmember, -2, R, Z, 1, 1, 1, "6.2.0", "Members drawn by chance", NULL},
    {"zpopmin", cmd_zpopmin, -2, W | F, Z, 1, 1, 1, "5.0.0", "Takes the lowest members", NULL},
    {"zpopmax", cmd_zpopmax, -2, W | F, Z, 1, 1, 1, "5.0.0", "Takes the highest members", NULL},
    {"bzpopmin", cmd_bzpopmin, -3, W | F | RESP_BLOCKING | RESP_NOSCRIPT, Z, 1, -2, 1, "5.0.0",
     "Takes the lowest member of the first sorted set that has one, or waits", NULL},
    {"bzpopmax", cmd_bzpopmax, -3, W | F | RESP_BLOCKING | RESP_NOSCRIPT, Z, 1, -2, 1, "5.0.0",
     "Takes the highest member of the first sorted set that has one, or waits", NULL},
    {"zmpop", cmd_zmpop, -4, W | RESP_MOVABLE, Z, 0, 0, 0, "7.0.0",
     "Takes members of the first sorted set that has any", NULL},
    {"bzmpop", cmd_bzmpop, -5, W | RESP_BLOCKING | RESP_MOVABLE, Z, 0, 0, 0, "7.0.0",
     "Takes members of the first sorted set that has any, or waits", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
