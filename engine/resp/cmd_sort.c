/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SORT and SORT_RO.
 *
 * The elements are copied into one buffer and sorted by index, with a heap: no more memory, no
 * recursion, and no worst case. What is equal by weight is ordered by its bytes, so that a result is
 * the same every time; text is compared by its bytes whatever the locale is.
 */
#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/hash.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/set.h"
#include "oxbow/string.h"
#include "oxbow/zset.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define SORT_BYTES_MAX  ((size_t)512 * 1024 * 1024)
#define NUMBER_TEXT_MAX 400u /* no double needs as many digits to be told from all others */
#define PUSH_STEP       64u

struct item {
    size_t at;
    size_t len;
    double score;
    size_t weight_at;
    size_t weight_len;
    bool weighed; /* there is a weight to compare */
};

/* In the text. */
struct span {
    size_t at;
    size_t len;
};

struct sort {
    struct resp_call *call;
    enum oxbow_type type;
    bool reverse;
    bool alpha;
    bool unsorted;                  /* BY a pattern without * */
    const struct oxbow_bytes *by;   /* NULL: by themselves */
    const struct oxbow_bytes *dest; /* NULL: to the client */
    int64_t offset;
    int64_t limit; /* below 0: all */
    uint32_t gets;
    struct buf text;
    struct buf name; /* of a key that a pattern makes */
    struct item *items;
    size_t count;
    struct span *kept; /* for the destination */
    size_t kept_count;
};

/* ---- arguments ---- */

/* How many arguments the word at `i` has behind it; -1: it is refused, and was. */
static int take_word(struct sort *s, uint32_t i, bool may_store)
{
    struct resp_call *call = s->call;
    const struct oxbow_bytes *args = call->args;
    uint32_t left = call->count - i - 1;
    bool pattern = left >= 1 && (resp_arg_is(args[i], "by") || resp_arg_is(args[i], "get"));

    if (resp_arg_is(args[i], "asc") || resp_arg_is(args[i], "desc")) {
        s->reverse = resp_arg_is(args[i], "desc");
        return 0;
    }
    if (resp_arg_is(args[i], "alpha")) {
        s->alpha = true;
        return 0;
    }
    if (left >= 2 && resp_arg_is(args[i], "limit")) {
        if (!resp_arg_int(args[i + 1], &s->offset) || !resp_arg_int(args[i + 2], &s->limit)) {
            (void)!resp_refuse_integer(call);
            return -1;
        }
        return 2;
    }
    if (left >= 1 && may_store && resp_arg_is(args[i], "store")) {
        s->dest = &args[i + 1];
        return 1;
    }
    if (!pattern) {
        (void)!resp_refuse_syntax(call);
        return -1;
    }
    if (resp_arg_is(args[i], "get")) {
        s->gets++;
    } else {
        s->by = &args[i + 1];
        s->unsorted = s->by->len == 0 || memchr(s->by->data, '*', s->by->len) == NULL;
    }
    /* What keys a pattern names nobody can tell before: only who may read all of them may. */
    if ((resp_arg_is(args[i], "get") || !s->unsorted) &&
        !acl_may_read_all(&call->server->acl, call->client->who, call)) {
        resp_error_format(call->reply,
                          "ERR %s option of SORT denied due to insufficient ACL permissions",
                          resp_arg_is(args[i], "get") ? "GET" : "BY");
        return -1;
    }
    return 1;
}

static bool parse(struct sort *s, bool may_store)
{
    s->limit = -1;
    for (uint32_t i = 2; i < s->call->count; i++) {
        int taken = take_word(s, i, may_store);

        if (taken < 0) {
            return false;
        }
        i += (uint32_t)taken;
    }
    return true;
}

/* ---- elements ---- */

static enum oxbow_err load(struct sort *s)
{
    const struct oxbow_zset_range all = {.stop = -1, .reverse = s->reverse && s->unsorted};
    const struct oxbow_alloc *alloc = resp_alloc(s->call->server);
    struct oxbow_result *result = s->call->result;
    struct oxbow_bytes key = s->call->args[1];
    enum oxbow_err err;

    switch (s->type) {
    case OXBOW_TYPE_NONE:
        return OXBOW_OK;
    case OXBOW_TYPE_LIST:
        err = oxbow_list_range(s->call->txn, key, 0, -1, result);
        break;
    case OXBOW_TYPE_SET:
        err = oxbow_set_all(s->call->txn, key, result);
        break;
    case OXBOW_TYPE_ZSET:
        err = oxbow_zset_range(s->call->txn, key, &all, result);
        break;
    default:
        return OXBOW_EWRONGTYPE;
    }
    if (err != OXBOW_OK || result->item_count == 0) {
        return err;
    }
    s->items = mem_new(alloc, result->item_count * sizeof s->items[0]);
    if (s->items == NULL) {
        return OXBOW_ENOMEM;
    }
    s->count = result->item_count;
    for (size_t i = 0; err == OXBOW_OK && i < s->count; i++) {
        s->items[i] = (struct item){.at = s->text.len, .len = result->items[i].len};
        err = buf_append(&s->text, result->items[i].data, result->items[i].len);
    }
    return err;
}

static struct oxbow_bytes text_of(const struct sort *s, const struct item *item)
{
    return (struct oxbow_bytes){s->text.data + item->at, item->len};
}

/* ---- patterns ---- */

/* Where "->" is, with something behind it, from `from` on; the length if there is none. */
static size_t arrow_of(struct oxbow_bytes pattern, size_t from)
{
    const char *p = pattern.data;

    for (size_t i = from; i + 2 < pattern.len; i++) {
        if (p[i] == '-' && p[i + 1] == '>') {
            return i;
        }
    }
    return pattern.len;
}

/* What a pattern gives for an element: a string key's value, or a hash's field; *found says whether there
 * is one. Good until the next command of the engine. */
static enum oxbow_err look_up(struct sort *s, struct oxbow_bytes pattern, const struct item *item,
                              struct oxbow_bytes *value, bool *found)
{
    const char *p = pattern.data;
    const char *star;
    struct resp_call *call = s->call;
    size_t arrow;
    enum oxbow_err err;

    *found = false;
    star = pattern.len > 0 ? memchr(p, '*', pattern.len) : NULL;
    if (star == NULL) {
        return OXBOW_OK;
    }
    arrow = arrow_of(pattern, (size_t)(star - p) + 1);
    s->name.len = 0;
    err = buf_append(&s->name, p, (size_t)(star - p));
    err = err == OXBOW_OK ? buf_append(&s->name, s->text.data + item->at, item->len) : err;
    err = err == OXBOW_OK ? buf_append(&s->name, star + 1, arrow - (size_t)(star - p) - 1) : err;
    if (err != OXBOW_OK) {
        return err;
    }
    if (arrow < pattern.len) {
        const struct oxbow_bytes field = {p + arrow + 2, pattern.len - arrow - 2};

        err = oxbow_hash_get(call->txn, (struct oxbow_bytes){s->name.data, s->name.len}, field,
                             call->result);
    } else {
        err = oxbow_string_get(call->txn, (struct oxbow_bytes){s->name.data, s->name.len},
                               call->result);
    }
    if (err == OXBOW_ENOENT || err == OXBOW_EWRONGTYPE) {
        return OXBOW_OK;
    }
    *found = err == OXBOW_OK;
    if (*found) {
        *value = call->result->items[0];
    }
    return err;
}

/* ---- weights ---- */

/* As strtod reads it up to the first zero byte; what is empty is 0. A number that no double reaches is
 * none, but for one that is written as infinity. */
static bool number_of(struct oxbow_bytes text, double *score)
{
    char copy[NUMBER_TEXT_MAX];
    char *end;

    if (text.len >= sizeof copy) {
        return false;
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    *score = strtod(copy, &end);
    if ((*score > DBL_MAX || *score < -DBL_MAX) && strchr(copy, 'i') == NULL &&
        strchr(copy, 'I') == NULL) {
        return false;
    }
    return *end == '\0' && *score == *score;
}

/* *fine: each has a number. */
static enum oxbow_err weigh(struct sort *s, bool *fine)
{
    for (size_t i = 0; i < s->count; i++) {
        struct item *item = &s->items[i];
        struct oxbow_bytes value = text_of(s, item);
        bool found = true;
        enum oxbow_err err = OXBOW_OK;

        if (s->by != NULL) {
            err = look_up(s, *s->by, item, &value, &found);
        }
        if (err == OXBOW_OK && found && s->alpha && s->by != NULL) {
            item->weighed = true;
            item->weight_at = s->text.len;
            item->weight_len = value.len;
            err = buf_append(&s->text, value.data, value.len);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (found && !s->alpha && !number_of(value, &item->score)) {
            *fine = false;
        }
    }
    return OXBOW_OK;
}

/* ---- order ---- */

static int bytes_order(const struct sort *s, size_t a, size_t a_len, size_t b, size_t b_len)
{
    size_t least = a_len < b_len ? a_len : b_len;
    int order = least > 0 ? memcmp(s->text.data + a, s->text.data + b, least) : 0;

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int weight_order(const struct sort *s, const struct item *a, const struct item *b)
{
    if (!s->alpha) {
        return (a->score > b->score) - (a->score < b->score);
    }
    if (s->by == NULL || !a->weighed || !b->weighed) {
        return a->weighed - b->weighed;
    }
    return bytes_order(s, a->weight_at, a->weight_len, b->weight_at, b->weight_len);
}

static bool before(const struct sort *s, const struct item *a, const struct item *b)
{
    int order = weight_order(s, a, b);

    if (order == 0) {
        order = bytes_order(s, a->at, a->len, b->at, b->len);
    }
    return s->reverse ? order > 0 : order < 0;
}

static void sift(struct sort *s, size_t at, size_t count)
{
    struct item moved = s->items[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < count && before(s, &s->items[child], &s->items[child + 1])) {
            child++;
        }
        if (child >= count || !before(s, &moved, &s->items[child])) {
            break;
        }
        s->items[at] = s->items[child];
        at = child;
    }
    s->items[at] = moved;
}

static void heap_sort(struct sort *s)
{
    for (size_t i = s->count / 2; i > 0; i--) {
        sift(s, i - 1, s->count);
    }
    for (size_t end = s->count; end > 1; end--) {
        struct item last = s->items[end - 1];

        s->items[end - 1] = s->items[0];
        s->items[0] = last;
        sift(s, 0, end - 1);
    }
}

/* A list that is not sorted is turned round by DESC; a sorted set was read so. */
static void turn_round(struct sort *s)
{
    for (size_t i = 0; i < s->count / 2; i++) {
        struct item first = s->items[i];

        s->items[i] = s->items[s->count - 1 - i];
        s->items[s->count - 1 - i] = first;
    }
}

/* ---- what comes of it ---- */

static uint32_t skipped(struct oxbow_bytes word)
{
    if (resp_arg_is(word, "limit")) {
        return 2;
    }
    return resp_arg_is(word, "by") || resp_arg_is(word, "store");
}

/* One value of the result, NULL: nil; to the client, or kept for the list. */
static enum oxbow_err give(struct sort *s, const struct oxbow_bytes *value)
{
    if (s->dest != NULL) {
        struct span *span = &s->kept[s->kept_count++];

        *span = (struct span){.at = s->text.len, .len = value != NULL ? value->len : 0};
        return span->len > 0 ? buf_append(&s->text, value->data, value->len) : OXBOW_OK;
    }
    if (value == NULL) {
        resp_null(s->call->reply);
    } else {
        resp_bulk(s->call->reply, *value);
    }
    return OXBOW_OK;
}

/* The element itself. What is kept of it is in the text already. */
static void give_self(struct sort *s, const struct item *item)
{
    if (s->dest != NULL) {
        s->kept[s->kept_count++] = (struct span){.at = item->at, .len = item->len};
    } else {
        resp_bulk(s->call->reply, text_of(s, item));
    }
}

/* What the patterns of GET give for an element, in their order. */
static enum oxbow_err give_gets(struct sort *s, const struct item *item)
{
    const struct oxbow_bytes *args = s->call->args;
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 2; err == OXBOW_OK && i < s->call->count; i++) {
        struct oxbow_bytes value;
        bool found;

        if (!resp_arg_is(args[i], "get")) {
            i += skipped(args[i]);
            continue;
        }
        if (resp_arg_is(args[++i], "#")) {
            give_self(s, item);
            continue;
        }
        err = look_up(s, args[i], item, &value, &found);
        if (err == OXBOW_OK) {
            err = give(s, found ? &value : NULL);
        }
    }
    return err;
}

static enum oxbow_err give_all(struct sort *s, size_t from, size_t to)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = from; err == OXBOW_OK && i < to; i++) {
        if (s->gets > 0) {
            err = give_gets(s, &s->items[i]);
        } else {
            give_self(s, &s->items[i]);
        }
    }
    return err;
}

/* Puts a list of what was kept where something else may be. */
static enum oxbow_err replace(struct sort *s)
{
    struct resp_call *call = s->call;
    struct oxbow_bytes values[PUSH_STEP];
    bool existed;
    enum oxbow_err err = oxbow_key_delete(call->txn, *s->dest, &existed);

    for (size_t i = 0; err == OXBOW_OK && i < s->kept_count;) {
        size_t n = 0;

        for (; n < PUSH_STEP && i < s->kept_count; i++) {
            values[n++] = (struct oxbow_bytes){s->text.data + s->kept[i].at, s->kept[i].len};
        }
        err = oxbow_list_push(call->txn, *s->dest, OXBOW_RIGHT, values, n, NULL);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (s->kept_count > 0) {
        resp_changed(call, RESP_EVENT_LIST, "sortstore", *s->dest);
    } else if (existed) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", *s->dest);
    }
    resp_int(call->reply, (int64_t)s->kept_count);
    return OXBOW_OK;
}

/* Patterns may name the destination and mean what it held before: so all is read, and only then is it
 * another. */
static enum oxbow_err store(struct sort *s, size_t from, size_t to)
{
    const struct oxbow_alloc *alloc = resp_alloc(s->call->server);
    size_t bytes = (to - from) * (s->gets > 0 ? s->gets : 1) * sizeof s->kept[0];
    enum oxbow_err err = OXBOW_OK;

    if (bytes > 0) {
        s->kept = mem_new(alloc, bytes);
        err = s->kept != NULL ? give_all(s, from, to) : OXBOW_ENOMEM;
    }
    if (err == OXBOW_OK) {
        err = replace(s);
    }
    mem_free(alloc, s->kept, bytes);
    return err;
}

/* Which of the elements are asked for: LIMIT's arguments are moved into what there is. */
static void window(const struct sort *s, size_t *from, size_t *to)
{
    size_t offset = s->offset < 0 ? 0 : (size_t)s->offset;

    *from = (uint64_t)offset < s->count ? offset : s->count;
    *to = s->count;
    if (s->limit >= 0 && (uint64_t)s->limit < s->count - *from) {
        *to = *from + (size_t)s->limit;
    }
}

static enum oxbow_err order(struct sort *s, bool *fine)
{
    enum oxbow_err err;

    *fine = true;
    if (s->unsorted) {
        if (s->type == OXBOW_TYPE_LIST && s->reverse) {
            turn_round(s);
        }
        return OXBOW_OK;
    }
    err = weigh(s, fine);
    if (err == OXBOW_OK && *fine) {
        heap_sort(s);
    }
    return err;
}

static enum oxbow_err run(struct sort *s)
{
    size_t from;
    size_t to;
    bool fine = true;
    enum oxbow_err err = load(s);

    err = err == OXBOW_OK ? order(s, &fine) : err;
    if (err != OXBOW_OK) {
        return err;
    }
    if (!fine) {
        return resp_refuse(s->call, "ERR One or more scores can't be converted into double");
    }
    window(s, &from, &to);
    if (s->dest != NULL) {
        return store(s, from, to);
    }
    resp_array(s->call->reply, (to - from) * (s->gets > 0 ? s->gets : 1));
    return give_all(s, from, to);
}

static enum oxbow_err sort(struct resp_call *call, bool may_store)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct sort s = {.call = call};
    enum oxbow_err err;

    if (!parse(&s, may_store)) {
        return OXBOW_OK;
    }
    err = oxbow_key_type(call->txn, call->args[1], &s.type);
    if (err != OXBOW_OK) {
        return err;
    }
    if (s.unsorted && s.type == OXBOW_TYPE_SET && (s.dest != NULL || call->script != NULL)) {
        s.unsorted = false; /* as in Redis: what is kept is in some order that comes again */
        s.alpha = true;
        s.by = NULL;
    }
    buf_init(&s.text, alloc, SORT_BYTES_MAX);
    buf_init(&s.name, alloc, SORT_BYTES_MAX);
    err = run(&s);
    mem_free(alloc, s.items, s.count * sizeof s.items[0]);
    buf_fini(&s.text);
    buf_fini(&s.name);
    return err;
}

static enum oxbow_err cmd_sort(struct resp_call *call)
{
    return sort(call, true);
}

static enum oxbow_err cmd_sort_ro(struct resp_call *call)
{
    return sort(call, false);
}

#define ANY (RESP_CAT_SET | RESP_CAT_ZSET | RESP_CAT_LIST | RESP_CAT_DANGEROUS)

const struct resp_command resp_sort_commands[] = {
    {"sort", cmd_sort, -2, RESP_WRITE | RESP_DENYOOM | RESP_MOVABLE, ANY, 1, 1, 1, "1.0.0",
     "What a list, a set or a sorted set holds, sorted; or keeps that as a list", NULL},
    {"sort_ro", cmd_sort_ro, -2, RESP_READONLY | RESP_MOVABLE, ANY, 1, 1, 1, "7.0.0",
     "What a list, a set or a sorted set holds, sorted", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
