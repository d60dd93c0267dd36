/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random list commands given to a real redis-server and to oxbow: every reply must be the same,
 * error texts included.
 */
#include "tests/queue/fixture.h"

#include "oxbow/stream.h"
#include "tests/support/redis.h"

#include <stdlib.h>

enum { ARGS = 64, ROUNDS = 12000 };

struct run {
    struct fixture f;
    struct redis *redis;
    uint64_t rng;
    size_t argc;
    const char *argv[ARGS];
    char args[ARGS][128];
    char text[1 << 20]; /* our reply */
    size_t len;
};

static const char *const KEYS[] = {"l1", "l2", "l3", "stream"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return fixture_random(&r->rng) % n;
}

static const char *arg(struct run *r, const char *text)
{
    assert_true(r->argc < ARGS);
    snprintf(r->args[r->argc], sizeof(r->args[0]), "%s", text);
    r->argv[r->argc] = r->args[r->argc];
    return r->argv[r->argc++];
}

static int64_t arg_int(struct run *r, int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    arg(r, text);
    return v;
}

static struct oxbow_bytes arg_key(struct run *r)
{
    return bytes_of(arg(r, KEYS[rnd(r, 30) == 0 ? 3 : rnd(r, 3)]));
}

/* Few different values, some of them long. */
static struct oxbow_bytes arg_value(struct run *r)
{
    char text[120];
    uint64_t v = rnd(r, 12);

    snprintf(text, sizeof(text), "v%llu%.*s", (unsigned long long)v, v > 8 ? 90 : 0,
             "----------------------------------------------------------------------------------"
             "------------------");
    return bytes_of(arg(r, text));
}

static enum oxbow_end arg_end(struct run *r, const char *left, const char *right)
{
    enum oxbow_end end = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;

    arg(r, end == OXBOW_LEFT ? left : right);
    return end;
}

static void out(struct run *r, const char *data, size_t len)
{
    assert_true(r->len + len + 2 < sizeof(r->text));
    if (r->len > 0) {
        r->text[r->len++] = '\n';
    }
    memcpy(r->text + r->len, data, len);
    r->len += len;
    r->text[r->len] = '\0';
}

static void out_int(struct run *r, int64_t v)
{
    char text[24];

    out(r, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

static bool out_err(struct run *r, enum oxbow_err err)
{
    char text[256];

    if (err == OXBOW_OK) {
        return false;
    }
    out(r, text,
        (size_t)snprintf(text, sizeof(text), "-%s %s", oxbow_err_prefix(err), oxbow_err_text(err)));
    return true;
}

static void out_items(struct run *r)
{
    for (size_t i = 0; i < r->f.result.item_count; i++) {
        out(r, r->f.result.items[i].data, r->f.result.items[i].len);
    }
}

/* nil for OXBOW_ENOENT, an error for others, the items for none. */
static void out_found(struct run *r, enum oxbow_err err)
{
    if (err == OXBOW_ENOENT) {
        out(r, "(nil)", 5);
    } else if (!out_err(r, err)) {
        out_items(r);
    }
}

/* ---- the commands ---- */

static void do_push(struct run *r)
{
    bool x = rnd(r, 5) == 0;
    enum oxbow_end end = x ? arg_end(r, "LPUSHX", "RPUSHX") : arg_end(r, "LPUSH", "RPUSH");
    struct oxbow_bytes key = arg_key(r);
    struct oxbow_bytes values[60];
    size_t n = rnd(r, 6) == 0 ? 1 + rnd(r, 50) : 1 + rnd(r, 3);
    uint64_t len;
    enum oxbow_err err;

    for (size_t i = 0; i < n; i++) {
        values[i] = arg_value(r);
    }
    err = x ? oxbow_list_push_existing(r->f.txn, key, end, values, n, &len)
            : oxbow_list_push(r->f.txn, key, end, values, n, &len);
    if (!out_err(r, err)) {
        out_int(r, (int64_t)len);
    }
}

static void do_pop(struct run *r)
{
    enum oxbow_end end = arg_end(r, "LPOP", "RPOP");
    struct oxbow_bytes key = arg_key(r);
    size_t n = 1;

    if (rnd(r, 2) == 0) {
        n = (size_t)arg_int(r, (int64_t)rnd(r, 6));
    }
    out_found(r, oxbow_list_pop(r->f.txn, key, end, n, &r->f.result));
}

static void do_len(struct run *r)
{
    uint64_t len;

    arg(r, "LLEN");
    if (!out_err(r, oxbow_list_len(r->f.txn, arg_key(r), &len))) {
        out_int(r, (int64_t)len);
    }
}

static int64_t arg_index(struct run *r)
{
    return arg_int(r, rnd(r, 50) == 0 ? INT64_MIN / 2 : (int64_t)rnd(r, 60) - 30);
}

static void do_range(struct run *r)
{
    struct oxbow_bytes key;
    int64_t start;

    arg(r, "LRANGE");
    key = arg_key(r);
    start = rnd(r, 2) == 0 ? arg_int(r, 0) : arg_index(r);
    out_found(r, oxbow_list_range(r->f.txn, key, start,
                                  rnd(r, 2) == 0 ? arg_int(r, -1) : arg_index(r), &r->f.result));
}

static void do_index(struct run *r)
{
    struct oxbow_bytes key;

    arg(r, "LINDEX");
    key = arg_key(r);
    out_found(r, oxbow_list_index(r->f.txn, key, arg_index(r), &r->f.result));
}

static void out_ok(struct run *r, enum oxbow_err err)
{
    if (!out_err(r, err)) {
        out(r, "OK", 2);
    }
}

static void do_set(struct run *r)
{
    struct oxbow_bytes key;
    int64_t idx;

    arg(r, "LSET");
    key = arg_key(r);
    idx = arg_index(r);
    out_ok(r, oxbow_list_set(r->f.txn, key, idx, arg_value(r)));
}

static void do_insert(struct run *r)
{
    struct oxbow_bytes key;
    struct oxbow_bytes pivot;
    bool before;
    int64_t len;

    arg(r, "LINSERT");
    key = arg_key(r);
    before = arg_end(r, "BEFORE", "AFTER") == OXBOW_LEFT;
    pivot = arg_value(r);
    if (!out_err(r, oxbow_list_insert(r->f.txn, key, before, pivot, arg_value(r), &len))) {
        out_int(r, len);
    }
}

static void do_remove(struct run *r)
{
    struct oxbow_bytes key;
    int64_t count;
    uint64_t removed;

    arg(r, "LREM");
    key = arg_key(r);
    count = arg_int(r, (int64_t)rnd(r, 9) - 4);
    if (!out_err(r, oxbow_list_remove(r->f.txn, key, count, arg_value(r), &removed))) {
        out_int(r, (int64_t)removed);
    }
}

static void do_trim(struct run *r)
{
    struct oxbow_bytes key;
    int64_t start;

    arg(r, "LTRIM");
    key = arg_key(r);
    start = rnd(r, 4) == 0 ? arg_index(r) : arg_int(r, (int64_t)rnd(r, 4));
    out_ok(r, oxbow_list_trim(r->f.txn, key, start,
                              rnd(r, 4) == 0 ? arg_index(r) : arg_int(r, -1 - (int64_t)rnd(r, 4))));
}

static void do_move(struct run *r)
{
    bool old = rnd(r, 3) == 0;
    struct oxbow_bytes from;
    struct oxbow_bytes to;
    enum oxbow_end a = OXBOW_RIGHT;
    enum oxbow_end b = OXBOW_LEFT;

    arg(r, old ? "RPOPLPUSH" : "LMOVE");
    from = arg_key(r);
    to = arg_key(r);
    if (!old) {
        a = arg_end(r, "LEFT", "RIGHT");
        b = arg_end(r, "LEFT", "RIGHT");
    }
    out_found(r, oxbow_list_move(r->f.txn, from, to, a, b, &r->f.result));
}

static void do_pos(struct run *r)
{
    struct oxbow_list_pos_options opt = {0};
    uint64_t positions[4096];
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    bool many = rnd(r, 2) == 0;
    size_t found;

    arg(r, "LPOS");
    key = arg_key(r);
    value = arg_value(r);
    if (rnd(r, 2) == 0) {
        arg(r, "RANK");
        opt.rank = arg_int(r, rnd(r, 2) == 0 ? 1 + (int64_t)rnd(r, 4) : -1 - (int64_t)rnd(r, 4));
    }
    if (many) {
        arg(r, "COUNT");
        opt.max = (size_t)arg_int(r, (int64_t)rnd(r, 4));
        opt.max = opt.max == 0 ? 4096 : opt.max;
    }
    if (rnd(r, 2) == 0) {
        arg(r, "MAXLEN");
        opt.maxlen = (uint64_t)arg_int(r, (int64_t)rnd(r, 30));
    }
    if (out_err(r, oxbow_list_pos(r->f.txn, key, value, &opt, positions, &found))) {
        return;
    }
    if (!many && found == 0) {
        out(r, "(nil)", 5);
    }
    for (size_t i = 0; i < found; i++) {
        out_int(r, (int64_t)positions[i]);
    }
}

static void do_mpop(struct run *r)
{
    struct oxbow_bytes keys[3];
    struct oxbow_list_pop_options pop = {.keys = keys};
    size_t which;
    enum oxbow_err err;

    arg(r, "LMPOP");
    pop.key_count = (size_t)arg_int(r, 1 + (int64_t)rnd(r, 3));
    for (size_t i = 0; i < pop.key_count; i++) {
        keys[i] = arg_key(r);
    }
    pop.end = arg_end(r, "LEFT", "RIGHT");
    arg(r, "COUNT");
    pop.count = (size_t)arg_int(r, 1 + (int64_t)rnd(r, 5));
    err = oxbow_list_pop_first(r->f.txn, &pop, &which, &r->f.result);
    if (err == OXBOW_OK) {
        out(r, keys[which].data, keys[which].len);
    }
    out_found(r, err);
}

static void do_delete(struct run *r)
{
    bool existed;

    arg(r, "DEL");
    if (!out_err(r, oxbow_key_delete(r->f.txn, bytes_of(arg(r, KEYS[rnd(r, 3)])), &existed))) {
        out_int(r, existed);
    }
}

static void do_rename(struct run *r)
{
    bool nx = rnd(r, 2) == 0;
    struct oxbow_bytes from;
    enum oxbow_err err;

    arg(r, nx ? "RENAMENX" : "RENAME");
    from = bytes_of(arg(r, KEYS[rnd(r, 3)]));
    err = oxbow_key_rename(r->f.txn, from, bytes_of(arg(r, KEYS[rnd(r, 3)])), nx);
    if (!nx) {
        out_ok(r, err);
    } else if (err == OXBOW_EEXIST) {
        out_int(r, 0);
    } else if (!out_err(r, err)) {
        out_int(r, 1);
    }
}

static void do_type(struct run *r)
{
    enum oxbow_type type;

    arg(r, "TYPE");
    assert_ok(oxbow_key_type(r->f.txn, arg_key(r), &type));
    if (type == OXBOW_TYPE_NONE) {
        out(r, "none", 4);
    } else {
        out(r, type == OXBOW_TYPE_LIST ? "list" : "stream", type == OXBOW_TYPE_LIST ? 4 : 6);
    }
}

static void do_size(struct run *r)
{
    uint64_t count;

    arg(r, "DBSIZE");
    assert_ok(oxbow_key_count(r->f.txn, &count));
    out_int(r, (int64_t)count);
}

typedef void command(struct run *r);
static command *const commands[] = {
    do_push,   do_push,   do_push,   do_push,   do_push,   do_push, do_push,
    do_pop,    do_pop,    do_len,    do_range,  do_index,  do_set,  do_set,
    do_insert, do_insert, do_remove, do_remove, do_trim,   do_move, do_move,
    do_pos,    do_pos,    do_mpop,   do_delete, do_rename, do_type, do_size};

static void one(struct run *r)
{
    const char *theirs;

    r->argc = 0;
    r->len = 0;
    r->text[0] = '\0';
    commands[rnd(r, sizeof(commands) / sizeof(commands[0]))](r);
    theirs = redis_command_array(r->redis, r->argv, r->argc);
    while (r->len > 0 && theirs[strlen(theirs)] == '\n') {
        r->len--;
    }
    if (strcmp(theirs, r->text) != 0) {
        for (size_t i = 0; i < r->argc; i++) {
            print_message("%s ", r->argv[i]);
        }
        print_message("\nredis: %s\noxbow: %s\n", theirs, r->text);
        fail();
    }
}

static void every_reply_is_that_of_redis(void **state)
{
    static struct run r;
    struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {1, 1}};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_id id;

    (void)state;
    r.rng = fixture_seed();
    r.redis = redis_open(&(struct redis_config){0});
    fixture_init(&r.f, NULL);
    fixture_begin(&r.f);
    assert_ok(oxbow_stream_add(r.f.txn, bytes_of("stream"), &add, &field, 1, &id));
    assert_string_equal(redis_command(r.redis, "XADD", "stream", "1-1", "f", "v", NULL), "1-1");
    for (unsigned i = 0; i < ROUNDS; i++) {
        one(&r);
        if (rnd(&r, 50) == 0) {
            fixture_commit(&r.f);
            if (rnd(&r, 10) == 0) {
                fixture_reopen(&r.f);
            }
            fixture_begin(&r.f);
        }
    }
    fixture_fini(&r.f);
    redis_close(r.redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_reply_is_that_of_redis)};

    if (system("command -v redis-server >/dev/null") != 0) {
        printf("skipped: no redis-server\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
