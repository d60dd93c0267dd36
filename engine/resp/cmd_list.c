/* SPDX-License-Identifier: Apache-2.0 */
/* The list family. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"
#include "oxbow/list.h"

static void reply_items(struct resp_call *call)
{
    resp_array(call->reply, call->result->item_count);
    for (size_t i = 0; i < call->result->item_count; i++) {
        resp_bulk(call->reply, call->result->items[i]);
    }
}

/* Told after elements were taken: the list may be gone with the last of them. */
static enum oxbow_err changed_by_taking(struct resp_call *call, const char *event,
                                        struct oxbow_bytes key)
{
    uint64_t len;
    enum oxbow_err err = oxbow_list_len(call->txn, key, &len);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_changed(call, RESP_EVENT_LIST, event, key);
    if (len == 0) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", key);
    }
    return OXBOW_OK;
}

/* ---- push ---- */

static enum oxbow_err push(struct resp_call *call, enum oxbow_end end, bool existing)
{
    const struct oxbow_bytes *values = call->args + 2;
    size_t count = call->count - 2;
    uint64_t len;
    enum oxbow_err err =
        existing ? oxbow_list_push_existing(call->txn, call->args[1], end, values, count, &len)
                 : oxbow_list_push(call->txn, call->args[1], end, values, count, &len);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)len);
    if (len > 0) {
        resp_changed(call, RESP_EVENT_LIST, end == OXBOW_LEFT ? "lpush" : "rpush", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_lpush(struct resp_call *call)
{
    return push(call, OXBOW_LEFT, false);
}

static enum oxbow_err cmd_rpush(struct resp_call *call)
{
    return push(call, OXBOW_RIGHT, false);
}

static enum oxbow_err cmd_lpushx(struct resp_call *call)
{
    return push(call, OXBOW_LEFT, true);
}

static enum oxbow_err cmd_rpushx(struct resp_call *call)
{
    return push(call, OXBOW_RIGHT, true);
}

/* ---- pop ---- */

static enum oxbow_err pop(struct resp_call *call, enum oxbow_end end)
{
    bool many = call->count == 3;
    int64_t count = 1;
    enum oxbow_err err;

    if (call->count > 3) {
        return resp_refuse_arity(call);
    }
    if (many && (!resp_arg_int(call->args[2], &count) || count < 0)) {
        return resp_refuse(call, "ERR value is out of range, must be positive");
    }
    err = oxbow_list_pop(call->txn, call->args[1], end, (size_t)count, call->result);
    if (err == OXBOW_ENOENT) {
        if (many) {
            resp_null_array(call->reply);
        } else {
            resp_null(call->reply);
        }
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (many) {
        reply_items(call);
    } else {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return call->result->item_count == 0
               ? OXBOW_OK
               : changed_by_taking(call, end == OXBOW_LEFT ? "lpop" : "rpop", call->args[1]);
}

static enum oxbow_err cmd_lpop(struct resp_call *call)
{
    return pop(call, OXBOW_LEFT);
}

static enum oxbow_err cmd_rpop(struct resp_call *call)
{
    return pop(call, OXBOW_RIGHT);
}

/* From the first of the keys that has any. Of one that waits, a key of another type is as if it were
 * not there. *which is its index; OXBOW_ENOENT: none has. */
static enum oxbow_err pop_first(struct resp_call *call, const struct oxbow_bytes *keys,
                                uint32_t key_count, struct oxbow_list_pop_options opt,
                                uint32_t *which)
{
    for (uint32_t i = 0; i < key_count; i++) {
        enum oxbow_err err;

        if (!resp_call_may(call, keys[i])) {
            continue;
        }
        err = oxbow_list_pop(call->txn, keys[i], opt.end, opt.count, call->result);

        if (err == OXBOW_ENOENT || (err == OXBOW_EWRONGTYPE && call->again)) {
            continue;
        }
        *which = i;
        return err;
    }
    return OXBOW_ENOENT;
}

static enum oxbow_err blocking_pop(struct resp_call *call, enum oxbow_end end)
{
    struct resp_wait wait = {.keys = call->args + 1, .key_count = call->count - 2};
    const struct oxbow_list_pop_options opt = {.end = end, .count = 1};
    const char *bad = resp_arg_timeout(call->args[call->count - 1], &wait.timeout_us);
    uint32_t which;
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = pop_first(call, wait.keys, wait.key_count, opt, &which);
    if (err == OXBOW_ENOENT) {
        return resp_wait_for(call, &wait);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, 2);
    resp_bulk(call->reply, wait.keys[which]);
    resp_bulk(call->reply, call->result->items[0]);
    return changed_by_taking(call, end == OXBOW_LEFT ? "lpop" : "rpop", wait.keys[which]);
}

static enum oxbow_err cmd_blpop(struct resp_call *call)
{
    return blocking_pop(call, OXBOW_LEFT);
}

static enum oxbow_err cmd_brpop(struct resp_call *call)
{
    return blocking_pop(call, OXBOW_RIGHT);
}

static bool end_of(struct oxbow_bytes arg, enum oxbow_end *end)
{
    *end = resp_arg_is(arg, "left") ? OXBOW_LEFT : OXBOW_RIGHT;
    return *end == OXBOW_LEFT || resp_arg_is(arg, "right");
}

/* numkeys key ... LEFT|RIGHT [COUNT n], from argument `at` on. The text of what is wrong, or NULL. */
static const char *many_of(const struct resp_call *call, uint32_t at, struct resp_wait *wait,
                           struct oxbow_list_pop_options *opt)
{
    int64_t keys;
    int64_t count;

    if (!resp_arg_int(call->args[at], &keys) || keys <= 0) {
        return "ERR numkeys should be greater than 0";
    }
    if (keys >= (int64_t)(call->count - at - 1) ||
        !end_of(call->args[at + 1 + (uint32_t)keys], &opt->end)) {
        return "ERR syntax error";
    }
    wait->keys = call->args + at + 1;
    wait->key_count = (uint32_t)keys;
    at += (uint32_t)keys + 2;
    if (at == call->count) {
        return NULL;
    }
    if (at + 1 == call->count || !resp_arg_is(call->args[at], "count")) {
        return "ERR syntax error";
    }
    if (!resp_arg_int(call->args[at + 1], &count) || count <= 0) {
        return "ERR count should be greater than 0";
    }
    opt->count = (size_t)count;
    return at + 2 != call->count ? "ERR syntax error" : NULL;
}

static enum oxbow_err pop_many(struct resp_call *call, struct resp_wait *wait,
                               struct oxbow_list_pop_options opt, bool blocking)
{
    uint32_t which;
    enum oxbow_err err = pop_first(call, wait->keys, wait->key_count, opt, &which);

    if (err == OXBOW_ENOENT) {
        if (blocking) {
            return resp_wait_for(call, wait);
        }
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, 2);
    resp_bulk(call->reply, wait->keys[which]);
    reply_items(call);
    return changed_by_taking(call, opt.end == OXBOW_LEFT ? "lpop" : "rpop", wait->keys[which]);
}

static enum oxbow_err cmd_lmpop(struct resp_call *call)
{
    struct oxbow_list_pop_options opt = {.count = 1};
    struct resp_wait wait = {.keys = NULL};
    const char *bad = many_of(call, 1, &wait, &opt);

    return bad != NULL ? resp_refuse(call, bad) : pop_many(call, &wait, opt, false);
}

static enum oxbow_err cmd_blmpop(struct resp_call *call)
{
    struct oxbow_list_pop_options opt = {.count = 1};
    struct resp_wait wait = {.keys = NULL};
    const char *bad = many_of(call, 2, &wait, &opt);

    if (bad == NULL) {
        bad = resp_arg_timeout(call->args[1], &wait.timeout_us);
    }
    return bad != NULL ? resp_refuse(call, bad) : pop_many(call, &wait, opt, true);
}

/* ---- move ---- */

static enum oxbow_err move(struct resp_call *call, enum oxbow_end from_end, enum oxbow_end to_end)
{
    struct oxbow_bytes from = call->args[1];
    struct oxbow_bytes to = call->args[2];
    enum oxbow_type type = OXBOW_TYPE_NONE;
    enum oxbow_err err = OXBOW_OK;

    if (call->again) { /* whoever waits does not see what is of another type */
        err = oxbow_key_type(call->txn, from, &type);
        if (err == OXBOW_OK && type != OXBOW_TYPE_LIST) {
            return OXBOW_ENOENT;
        }
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_move(call->txn, from, to, from_end, to_end, call->result);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_bulk(call->reply, call->result->items[0]);
    resp_changed(call, RESP_EVENT_LIST, to_end == OXBOW_LEFT ? "lpush" : "rpush", to);
    return changed_by_taking(call, from_end == OXBOW_LEFT ? "lpop" : "rpop", from);
}

static enum oxbow_err move_or_nil(struct resp_call *call, enum oxbow_end from_end,
                                  enum oxbow_end to_end)
{
    enum oxbow_err err = move(call, from_end, to_end);

    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    return err;
}

static enum oxbow_err move_or_wait(struct resp_call *call, enum oxbow_end from_end,
                                   enum oxbow_end to_end)
{
    struct resp_wait wait = {.keys = call->args + 1, .key_count = 1};
    const char *bad = resp_arg_timeout(call->args[call->count - 1], &wait.timeout_us);
    enum oxbow_err err;

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = move(call, from_end, to_end);
    if (err == OXBOW_ENOENT && !call->may_wait) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    return err == OXBOW_ENOENT ? resp_wait_for(call, &wait) : err;
}

static enum oxbow_err cmd_rpoplpush(struct resp_call *call)
{
    return move_or_nil(call, OXBOW_RIGHT, OXBOW_LEFT);
}

static enum oxbow_err cmd_brpoplpush(struct resp_call *call)
{
    return move_or_wait(call, OXBOW_RIGHT, OXBOW_LEFT);
}

static enum oxbow_err cmd_lmove(struct resp_call *call)
{
    enum oxbow_end from_end;
    enum oxbow_end to_end;

    if (!end_of(call->args[3], &from_end) || !end_of(call->args[4], &to_end)) {
        return resp_refuse_syntax(call);
    }
    return move_or_nil(call, from_end, to_end);
}

static enum oxbow_err cmd_blmove(struct resp_call *call)
{
    enum oxbow_end from_end;
    enum oxbow_end to_end;

    if (!end_of(call->args[3], &from_end) || !end_of(call->args[4], &to_end)) {
        return resp_refuse_syntax(call);
    }
    return move_or_wait(call, from_end, to_end);
}

/* ---- look ---- */

static enum oxbow_err cmd_llen(struct resp_call *call)
{
    uint64_t len;
    enum oxbow_err err = oxbow_list_len(call->txn, call->args[1], &len);

    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)len);
    }
    return err;
}

static enum oxbow_err cmd_lrange(struct resp_call *call)
{
    int64_t start;
    int64_t stop;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &start) || !resp_arg_int(call->args[3], &stop)) {
        return resp_refuse_integer(call);
    }
    err = oxbow_list_range(call->txn, call->args[1], start, stop, call->result);
    if (err == OXBOW_OK) {
        reply_items(call);
    }
    return err;
}

static enum oxbow_err cmd_lindex(struct resp_call *call)
{
    enum oxbow_type type;
    int64_t idx;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    if (err != OXBOW_OK) {
        return err;
    }
    if (type == OXBOW_TYPE_NONE) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (type == OXBOW_TYPE_LIST && !resp_arg_int(call->args[2], &idx)) {
        return resp_refuse_integer(call);
    }
    if (type != OXBOW_TYPE_LIST) {
        return OXBOW_EWRONGTYPE;
    }
    err = oxbow_list_index(call->txn, call->args[1], idx, call->result);
    if (err == OXBOW_ENOENT) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, call->result->items[0]);
    }
    return err;
}

/* ---- edit ---- */

static enum oxbow_err cmd_lset(struct resp_call *call)
{
    enum oxbow_type type;
    int64_t idx;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    if (err != OXBOW_OK) {
        return err;
    }
    if (type == OXBOW_TYPE_NONE) {
        return OXBOW_ENOENT;
    }
    if (type == OXBOW_TYPE_LIST && !resp_arg_int(call->args[2], &idx)) {
        return resp_refuse_integer(call);
    }
    if (type != OXBOW_TYPE_LIST) {
        return OXBOW_EWRONGTYPE;
    }
    err = oxbow_list_set(call->txn, call->args[1], idx, call->args[3]);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        resp_changed(call, RESP_EVENT_LIST, "lset", call->args[1]);
    }
    return err;
}

static enum oxbow_err cmd_linsert(struct resp_call *call)
{
    bool before = resp_arg_is(call->args[2], "before");
    int64_t len;
    enum oxbow_err err;

    if (!before && !resp_arg_is(call->args[2], "after")) {
        return resp_refuse_syntax(call);
    }
    err = oxbow_list_insert(call->txn, call->args[1], before, call->args[3], call->args[4], &len);
    if (err == OXBOW_OK) {
        resp_int(call->reply, len);
        if (len > 0) {
            resp_changed(call, RESP_EVENT_LIST, "linsert", call->args[1]);
        }
    }
    return err;
}

static enum oxbow_err cmd_lrem(struct resp_call *call)
{
    uint64_t removed;
    int64_t count;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &count)) {
        return resp_refuse_integer(call);
    }
    err = oxbow_list_remove(call->txn, call->args[1], count, call->args[3], &removed);
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)removed);
    return removed > 0 ? changed_by_taking(call, "lrem", call->args[1]) : OXBOW_OK;
}

static enum oxbow_err cmd_ltrim(struct resp_call *call)
{
    uint64_t len;
    int64_t start;
    int64_t stop;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &start) || !resp_arg_int(call->args[3], &stop)) {
        return resp_refuse_integer(call);
    }
    err = oxbow_list_len(call->txn, call->args[1], &len);
    if (err == OXBOW_OK && len > 0) {
        err = oxbow_list_trim(call->txn, call->args[1], start, stop);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_ok(call->reply);
    return len > 0 ? changed_by_taking(call, "ltrim", call->args[1]) : OXBOW_OK;
}

/* ---- position ---- */

#define POS_ROOM 64u

/* Reads [RANK r] [COUNT n] [MAXLEN m]; the text of what is wrong, or NULL. */
static const char *pos_options(struct resp_call *call, struct oxbow_list_pos_options *opt,
                               int64_t *count)
{
    for (uint32_t i = 3; i < call->count; i += 2) {
        int64_t v;

        if (i + 1 == call->count) {
            return "ERR syntax error";
        }
        if (resp_arg_is(call->args[i], "rank")) {
            if (!resp_arg_int(call->args[i + 1], &v)) {
                return "ERR value is not an integer or out of range";
            }
            if (v == 0) {
                return "ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
                       "second ... or use negative to start from the end of the list";
            }
            if (v == INT64_MIN) {
                return "ERR value is out of range, must be greater than -9223372036854775808";
            }
            opt->rank = v;
        } else if (resp_arg_is(call->args[i], "count")) {
            if (!resp_arg_int(call->args[i + 1], count) || *count < 0) {
                return "ERR COUNT can't be negative";
            }
        } else if (resp_arg_is(call->args[i], "maxlen")) {
            if (!resp_arg_int(call->args[i + 1], &v) || v < 0) {
                return "ERR MAXLEN can't be negative";
            }
            opt->maxlen = (uint64_t)v;
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

static enum oxbow_err cmd_lpos(struct resp_call *call)
{
    struct oxbow_list_pos_options opt = {.rank = 1};
    uint64_t positions[POS_ROOM];
    struct resp_later later = {.at = 0};
    int64_t count = -1; /* none given */
    uint64_t total = 0;
    size_t found = POS_ROOM;
    const char *bad = pos_options(call, &opt, &count);

    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    if (count >= 0) {
        later = resp_array_later(call->reply);
    }
    while (found == POS_ROOM) { /* all, in steps: each goes on beyond the matches that were had */
        uint64_t left = count > 0 ? (uint64_t)count - total : count < 0 ? 1 : POS_ROOM;
        enum oxbow_err err;

        opt.max = left < POS_ROOM ? (size_t)left : POS_ROOM;
        if (opt.max == 0) {
            break;
        }
        err = oxbow_list_pos(call->txn, call->args[1], call->args[2], &opt, positions, &found);
        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < found; i++) {
            resp_int(call->reply, (int64_t)positions[i]);
        }
        total += found;
        opt.rank += opt.rank > 0 ? (int64_t)found : -(int64_t)found;
    }
    if (count >= 0) {
        resp_later_set(call->reply, later, total);
    } else if (total == 0) {
        resp_null(call->reply);
    }
    return OXBOW_OK;
}

#define W  RESP_WRITE
#define WM (RESP_WRITE | RESP_DENYOOM)
#define R  RESP_READONLY
#define F  RESP_FAST
#define B  (RESP_BLOCKING | RESP_NOSCRIPT)
#define L  RESP_CAT_LIST

const struct resp_command resp_list_commands[] = {
    {"lpush", cmd_lpush, -3, WM | F, L, 1, 1, 1, "1.0.0", "Adds elements at the left end", NULL},
    {"rpush", cmd_rpush, -3, WM | F, L, 1, 1, 1, "1.0.0", "Adds elements at the right end", NULL},
    {"lpushx", cmd_lpushx, -3, WM | F, L, 1, 1, 1, "2.2.0",
     "Adds elements at the left end of a list that is there", NULL},
    {"rpushx", cmd_rpushx, -3, WM | F, L, 1, 1, 1, "2.2.0",
     "Adds elements at the right end of a list that is there", NULL},
    {"lpop", cmd_lpop, -2, W | F, L, 1, 1, 1, "1.0.0", "Takes elements off the left end", NULL},
    {"rpop", cmd_rpop, -2, W | F, L, 1, 1, 1, "1.0.0", "Takes elements off the right end", NULL},
    {"blpop", cmd_blpop, -3, W | B, L, 1, -2, 1, "2.0.0",
     "Takes an element off the left end of the first list that has one, or waits", NULL},
    {"brpop", cmd_brpop, -3, W | B, L, 1, -2, 1, "2.0.0",
     "Takes an element off the right end of the first list that has one, or waits", NULL},
    {"lmpop", cmd_lmpop, -4, W | RESP_MOVABLE, L, 0, 0, 0, "7.0.0",
     "Takes elements off the first list that has any", NULL},
    {"blmpop", cmd_blmpop, -5, W | RESP_BLOCKING | RESP_MOVABLE, L, 0, 0, 0, "7.0.0",
     "Takes elements off the first list that has any, or waits", NULL},
    {"rpoplpush", cmd_rpoplpush, 3, WM, L, 1, 2, 1, "1.2.0",
     "Moves an element from one list's right end to another's left", NULL},
    {"brpoplpush", cmd_brpoplpush, 4, WM | B, L, 1, 2, 1, "2.2.0",
     "Moves an element from right end to left end, or waits for one", NULL},
    {"lmove", cmd_lmove, 5, WM, L, 1, 2, 1, "6.2.0", "Moves an element between lists", NULL},
    {"blmove", cmd_blmove, 6, WM | B, L, 1, 2, 1, "6.2.0",
     "Moves an element between lists, or waits for one", NULL},
    {"llen", cmd_llen, 2, R | F, L, 1, 1, 1, "1.0.0", "How many elements a list has", NULL},
    {"lrange", cmd_lrange, 4, R, L, 1, 1, 1, "1.0.0", "The elements of a range of indexes", NULL},
    {"lindex", cmd_lindex, 3, R, L, 1, 1, 1, "1.0.0", "The element at an index", NULL},
    {"lset", cmd_lset, 4, WM, L, 1, 1, 1, "1.0.0", "Replaces the element at an index", NULL},
    {"linsert", cmd_linsert, 5, WM, L, 1, 1, 1, "2.2.0", "Adds an element before or after another",
     NULL},
    {"lrem", cmd_lrem, 4, W, L, 1, 1, 1, "1.0.0", "Removes elements that equal a value", NULL},
    {"ltrim", cmd_ltrim, 4, W, L, 1, 1, 1, "1.0.0", "Keeps a range of indexes", NULL},
    {"lpos", cmd_lpos, -3, R, L, 1, 1, 1, "6.0.6", "The indexes of elements that equal a value",
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
