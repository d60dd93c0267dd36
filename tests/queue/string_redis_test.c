/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random commands on strings and on times to live given to a real redis-server and to oxbow: every reply
 * must be the same. Replies are compared as text up to their first zero; what values have behind one is
 * seen by the bit commands.
 */
#include "tests/queue/fixture.h"

#include "oxbow/string.h"
#include "tests/support/redis.h"

#include <stdlib.h>

enum { ARGS = 40, ROUNDS = 20000, FIELDS = 6 };

struct run {
    struct fixture f;
    struct redis *redis;
    uint64_t rng;
    uint64_t round;
    size_t argc;
    const char *argv[ARGS];
    char args[ARGS][512];
    char text[1 << 20]; /* our reply */
    size_t len;
};

static const char *const KEYS[] = {"a", "b", "c", "d", "list"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return fixture_random(&r->rng) % n;
}

static const char *arg(struct run *r, const char *text)
{
    assert_true(r->argc < ARGS);
    snprintf(r->args[r->argc], sizeof r->args[0], "%s", text);
    r->argv[r->argc] = r->args[r->argc];
    return r->argv[r->argc++];
}

static int64_t arg_int(struct run *r, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)v);
    arg(r, text);
    return v;
}

static struct oxbow_bytes arg_key(struct run *r)
{
    return bytes_of(arg(r, KEYS[rnd(r, 40) == 0 ? 4 : rnd(r, 4)]));
}

static struct oxbow_bytes arg_value(struct run *r)
{
    static const char *const VALUES[] = {"",
                                         "0",
                                         "-1",
                                         "007",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "9223372036854775808",
                                         "1.5",
                                         "-0.1",
                                         "3.0e3",
                                         "1e400",
                                         "1e5000",
                                         "1e-5000",
                                         "inf",
                                         "-inf",
                                         "nan",
                                         "0x10",
                                         " 1",
                                         "1 ",
                                         "\xff\xf0\x01",
                                         "some text that is a little longer",
                                         "abc"};

    if (rnd(r, 3) == 0) {
        char text[24];

        snprintf(text, sizeof text, "%d", (int)rnd(r, 2000) - 1000);
        return bytes_of(arg(r, text));
    }
    return bytes_of(arg(r, VALUES[rnd(r, sizeof VALUES / sizeof VALUES[0])]));
}

static void out(struct run *r, const char *data, size_t len)
{
    const char *end = len > 0 ? memchr(data, 0, len) : NULL;

    len = end != NULL ? (size_t)(end - data) : len;
    assert_true(r->len + len + 2 < sizeof r->text);
    if (r->len > 0) {
        r->text[r->len++] = '\n';
    }
    if (len > 0) {
        memcpy(r->text + r->len, data, len);
    }
    r->len += len;
    r->text[r->len] = '\0';
}

static void out_int(struct run *r, int64_t v)
{
    char text[24];

    out(r, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v));
}

static void out_text(struct run *r, const char *text)
{
    out(r, text, strlen(text));
}

static bool out_err(struct run *r, enum oxbow_err err, const char *parse, const char *range)
{
    char text[256];

    if (err == OXBOW_OK) {
        return false;
    }
    if (err == OXBOW_EPARSE && parse != NULL) {
        out_text(r, parse);
    } else if (err == OXBOW_ERANGE && range != NULL) {
        out_text(r, range);
    } else {
        snprintf(text, sizeof text, "-%s %s", oxbow_err_prefix(err), oxbow_err_text(err));
        out_text(r, text);
    }
    return true;
}

static void out_item(struct run *r)
{
    if (r->f.result.item_count == 0) {
        out_text(r, "(nil)");
    } else {
        out(r, r->f.result.items[0].data, r->f.result.items[0].len);
    }
}

static void out_found(struct run *r, enum oxbow_err err)
{
    if (err == OXBOW_ENOENT) {
        out_text(r, "(nil)");
    } else if (!out_err(r, err, NULL, NULL)) {
        out_item(r);
    }
}

/* ---- the commands ---- */

/* Apart by more than the run takes, but never the same. */
static int64_t arg_ttl(struct run *r)
{
    return arg_int(r, (int64_t)((1 + rnd(r, 4)) * 10000000 + r->round * 20));
}

static void do_set(struct run *r)
{
    struct oxbow_string_set_options opt = {.flags = 0};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    bool done;
    enum oxbow_err err;

    arg(r, "SET");
    key = arg_key(r);
    value = arg_value(r);
    switch (rnd(r, 4)) {
    case 0:
        arg(r, "NX");
        opt.flags = OXBOW_SET_NX;
        break;
    case 1:
        arg(r, "XX");
        opt.flags = OXBOW_SET_XX;
        break;
    default:
        break;
    }
    if (rnd(r, 3) == 0) {
        arg(r, "GET");
        opt.flags |= OXBOW_SET_GET;
    }
    switch (rnd(r, 4)) {
    case 0:
        arg(r, "KEEPTTL");
        opt.flags |= OXBOW_SET_KEEPTTL;
        break;
    case 1:
        arg(r, "PX");
        opt.ttl_ms = arg_ttl(r);
        break;
    default:
        break;
    }
    err = oxbow_string_set_with(r->f.txn, key, value, &opt, &done, &r->f.result);
    if (out_err(r, err, NULL, NULL)) {
        return;
    }
    if ((opt.flags & OXBOW_SET_GET) != 0) {
        out_item(r);
    } else {
        out_text(r, done ? "OK" : "(nil)");
    }
}

static void do_get(struct run *r)
{
    bool take = rnd(r, 4) == 0;
    struct oxbow_bytes key;

    arg(r, take ? "GETDEL" : "GET");
    key = arg_key(r);
    out_found(r, take ? oxbow_string_take(r->f.txn, key, &r->f.result)
                      : oxbow_string_get(r->f.txn, key, &r->f.result));
}

static void do_strlen(struct run *r)
{
    uint64_t len;

    arg(r, "STRLEN");
    if (!out_err(r, oxbow_string_len(r->f.txn, arg_key(r), &len), NULL, NULL)) {
        out_int(r, (int64_t)len);
    }
}

static void do_append(struct run *r)
{
    struct oxbow_bytes key;
    uint64_t len;

    arg(r, "APPEND");
    key = arg_key(r);
    if (!out_err(r, oxbow_string_append(r->f.txn, key, arg_value(r), &len), NULL, NULL)) {
        out_int(r, (int64_t)len);
    }
}

static int64_t arg_pos(struct run *r)
{
    static const int64_t ENDS[] = {0, -1, 1, INT64_MAX, INT64_MIN, -200, 200};

    return arg_int(r, rnd(r, 4) == 0 ? ENDS[rnd(r, 7)] : (int64_t)rnd(r, 160) - 80);
}

static void do_getrange(struct run *r)
{
    struct oxbow_bytes key;
    int64_t from;

    arg(r, "GETRANGE");
    key = arg_key(r);
    from = arg_pos(r);
    out_found(r, oxbow_string_range(r->f.txn, key, from, arg_pos(r), &r->f.result));
}

static void do_setrange(struct run *r)
{
    struct oxbow_bytes key;
    uint64_t pos;
    uint64_t len;

    arg(r, "SETRANGE");
    key = arg_key(r);
    pos = (uint64_t)arg_int(r, (int64_t)rnd(r, rnd(r, 200) == 0 ? 70000 : 60));
    if (!out_err(r, oxbow_string_write(r->f.txn, key, pos, arg_value(r), &len), NULL, NULL)) {
        out_int(r, (int64_t)len);
    }
}

static void do_incr(struct run *r)
{
    static const int64_t BIG[] = {INT64_MAX, INT64_MIN, INT64_MAX - 5, 0, 1, -1};
    struct oxbow_bytes key;
    int64_t by;
    int64_t value;

    arg(r, "INCRBY");
    key = arg_key(r);
    by = arg_int(r, rnd(r, 5) == 0 ? BIG[rnd(r, 6)] : (int64_t)rnd(r, 400) - 200);
    if (!out_err(r, oxbow_string_add(r->f.txn, key, by, &value),
                 "-ERR value is not an integer or out of range",
                 "-ERR increment or decrement would overflow")) {
        out_int(r, value);
    }
}

static void do_incrbyfloat(struct run *r)
{
    struct oxbow_bytes key;

    arg(r, "INCRBYFLOAT");
    key = arg_key(r);
    if (!out_err(r, oxbow_string_add_float(r->f.txn, key, arg_value(r), &r->f.result),
                 "-ERR value is not a valid float",
                 "-ERR increment would produce NaN or Infinity")) {
        out_item(r);
    }
}

static uint64_t arg_bit(struct run *r)
{
    return (uint64_t)arg_int(r, (int64_t)rnd(r, rnd(r, 20) == 0 ? 6000 : 300));
}

static void do_bit(struct run *r)
{
    bool get = rnd(r, 3) == 0;
    struct oxbow_bytes key;
    uint64_t bit;
    bool on = false;
    enum oxbow_err err;

    arg(r, get ? "GETBIT" : "SETBIT");
    key = arg_key(r);
    bit = arg_bit(r);
    err = get ? oxbow_string_bit_get(r->f.txn, key, bit, &on)
              : oxbow_string_bit_set(r->f.txn, key, bit, arg_int(r, (int64_t)rnd(r, 2)) == 1, &on);
    if (!out_err(r, err, NULL, NULL)) {
        out_int(r, on);
    }
}

/* "from to [BIT]"; `open` allows "from" alone. */
static bool arg_span(struct run *r, struct oxbow_bit_span *span, bool open)
{
    if (rnd(r, 4) == 0) {
        return false;
    }
    *span = (struct oxbow_bit_span){.from = arg_pos(r), .open = open && rnd(r, 4) == 0};
    if (!span->open) {
        span->to = arg_pos(r);
        span->bits = rnd(r, 2) == 0;
        arg(r, span->bits ? "BIT" : "BYTE");
    }
    return true;
}

static void do_bitcount(struct run *r)
{
    struct oxbow_bit_span span;
    struct oxbow_bytes key;
    uint64_t count;
    bool given;

    arg(r, "BITCOUNT");
    key = arg_key(r);
    given = arg_span(r, &span, false);
    if (!out_err(r, oxbow_string_bit_count(r->f.txn, key, given ? &span : NULL, &count), NULL,
                 NULL)) {
        out_int(r, (int64_t)count);
    }
}

static void do_bitpos(struct run *r)
{
    struct oxbow_bit_span span;
    struct oxbow_bytes key;
    int64_t bit;
    bool given;
    bool on;

    arg(r, "BITPOS");
    key = arg_key(r);
    on = arg_int(r, (int64_t)rnd(r, 2)) == 1;
    given = arg_span(r, &span, true);
    if (!out_err(r, oxbow_string_bit_find(r->f.txn, key, on, given ? &span : NULL, &bit), NULL,
                 NULL)) {
        out_int(r, bit);
    }
}

static void do_bitop(struct run *r)
{
    static const char *const NAMES[] = {"AND", "OR", "XOR", "NOT"};
    enum oxbow_bit_op op = (enum oxbow_bit_op)rnd(r, 4);
    size_t n = op == OXBOW_BIT_NOT ? 1 : 1 + rnd(r, 3);
    struct oxbow_bytes keys[3];
    struct oxbow_bytes to;
    uint64_t len;

    arg(r, "BITOP");
    arg(r, NAMES[op]);
    to = bytes_of(arg(r, KEYS[rnd(r, 4)]));
    for (size_t i = 0; i < n; i++) {
        keys[i] = arg_key(r);
    }
    if (!out_err(r, oxbow_string_bit_op(r->f.txn, op, to, keys, n, &len), NULL, NULL)) {
        out_int(r, (int64_t)len);
    }
}

static void arg_field(struct run *r, struct oxbow_bit_field *f, enum oxbow_bit_overflow *overflow)
{
    static const char *const KINDS[] = {"GET", "SET", "INCRBY"};
    static const char *const OVERFLOWS[] = {"WRAP", "SAT", "FAIL"};
    static const uint8_t BITS[] = {1, 2, 7, 8, 13, 16, 32, 63, 64};
    char text[24];

    if (rnd(r, 3) == 0) {
        *overflow = (enum oxbow_bit_overflow)rnd(r, 3);
        arg(r, "OVERFLOW");
        arg(r, OVERFLOWS[*overflow]);
    }
    *f = (struct oxbow_bit_field){
        .kind = (enum oxbow_bit_kind)rnd(r, 3), .overflow = *overflow, .is_signed = rnd(r, 2) == 0};
    f->bits = BITS[rnd(r, f->is_signed ? 9 : 8)];
    arg(r, KINDS[f->kind]);
    snprintf(text, sizeof text, "%c%u", f->is_signed ? 'i' : 'u', f->bits);
    arg(r, text);
    f->bit = arg_bit(r);
    if (f->kind != OXBOW_BIT_GET) {
        f->value = arg_int(r, rnd(r, 6) == 0   ? INT64_MIN
                              : rnd(r, 6) == 0 ? INT64_MAX
                                               : (int64_t)rnd(r, 600) - 300);
    }
}

static void do_bitfield(struct run *r)
{
    enum oxbow_bit_overflow overflow = OXBOW_BIT_WRAP;
    struct oxbow_bit_field fields[FIELDS];
    size_t n = 1 + rnd(r, FIELDS);
    struct oxbow_bytes key;

    arg(r, "BITFIELD");
    key = arg_key(r);
    for (size_t i = 0; i < n; i++) {
        arg_field(r, &fields[i], &overflow);
    }
    if (out_err(r, oxbow_string_bit_fields(r->f.txn, key, fields, n), NULL, NULL)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].failed) {
            out_text(r, "(nil)");
        } else {
            out_int(r, fields[i].result);
        }
    }
}

static void do_expire(struct run *r)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } rows[] = {{"NX", OXBOW_EXPIRE_NX},
                {"XX", OXBOW_EXPIRE_XX},
                {"GT", OXBOW_EXPIRE_GT},
                {"LT", OXBOW_EXPIRE_LT},
                {"", 0}};
    size_t i = rnd(r, 5);
    enum oxbow_expire_done done;
    struct oxbow_bytes key;
    int64_t ms;

    arg(r, "PEXPIRE");
    key = arg_key(r);
    ms = rnd(r, 12) == 0 ? arg_int(r, -(int64_t)rnd(r, 2)) : arg_ttl(r);
    if (i < 4) {
        arg(r, rows[i].name);
    }
    assert_ok(oxbow_key_expire(r->f.txn, key, ms, rows[i].flags, &done));
    out_int(r, done != OXBOW_EXPIRE_NOT);
}

static void do_persist(struct run *r)
{
    bool had;

    arg(r, "PERSIST");
    assert_ok(oxbow_key_persist(r->f.txn, arg_key(r), &had));
    out_int(r, had);
}

static void do_rename(struct run *r)
{
    struct oxbow_bytes from;
    enum oxbow_err err;

    arg(r, "RENAME");
    from = arg_key(r);
    err = oxbow_key_rename(r->f.txn, from, arg_key(r), false);
    if (!out_err(r, err, NULL, NULL)) {
        out_text(r, "OK");
    }
}

static void do_rpush(struct run *r)
{
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    uint64_t len;

    arg(r, "RPUSH");
    key = bytes_of(arg(r, "list"));
    value = arg_value(r);
    if (!out_err(r, oxbow_list_push(r->f.txn, key, OXBOW_RIGHT, &value, 1, &len), NULL, NULL)) {
        out_int(r, (int64_t)len);
    }
}

static void do_del(struct run *r)
{
    bool existed;

    arg(r, "DEL");
    assert_ok(oxbow_key_delete(r->f.txn, arg_key(r), &existed));
    out_int(r, existed);
}

/* What a command left, as far as one number tells. */
static void assert_same_bits(struct run *r, const char *key, const char *after)
{
    uint64_t ones;
    enum oxbow_err err = oxbow_string_bit_count(r->f.txn, bytes_of(key), NULL, &ones);
    int64_t want = redis_integer(r->redis, "BITCOUNT", key, NULL);

    if (err == OXBOW_EWRONGTYPE ? want != INT64_MIN : (int64_t)ones != want) {
        fail_msg("round %llu: %s", (unsigned long long)r->round, after);
    }
}

static void step(struct run *r)
{
    static void (*const commands[])(struct run * r) = {
        do_set,      do_set,    do_get,    do_get,     do_strlen,      do_append,
        do_getrange, do_incr,   do_incr,   do_incr,    do_incrbyfloat, do_incrbyfloat,
        do_setrange, do_bit,    do_bit,    do_bit,     do_bitcount,    do_bitpos,
        do_bitop,    do_expire, do_expire, do_persist, do_bitfield,    do_bitfield,
        do_rpush,    do_rename, do_del};
    const char *want;
    static char shown[4096];

    r->argc = 0;
    r->len = 0;
    r->text[0] = '\0';
    commands[rnd(r, sizeof commands / sizeof commands[0])](r);
    want = redis_command_array(r->redis, r->argv, r->argc);
    shown[0] = 0;
    for (size_t i = 0; i < r->argc; i++) {
        snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s ", r->argv[i]);
    }
    if (strcmp(want, r->text) != 0) {
        print_message("round %llu: %s\n", (unsigned long long)r->round, shown);
    }
    assert_string_equal(r->text, want);
    assert_same_bits(r, r->args[strcmp(r->args[0], "BITOP") == 0 ? 2 : 1], shown);
}

static void replies_are_those_of_redis(void **state)
{
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    r->rng = fixture_seed();
    r->redis = redis_open(&(struct redis_config){.password = NULL});
    fixture_init(&r->f, NULL);
    fixture_begin(&r->f);
    for (r->round = 0; r->round < ROUNDS; r->round++) {
        step(r);
        if (rnd(r, 50) == 0) {
            fixture_commit(&r->f);
            if (rnd(r, 40) == 0) {
                fixture_reopen(&r->f);
            }
            fixture_begin(&r->f);
        }
    }
    fixture_fini(&r->f);
    redis_close(r->redis);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replies_are_those_of_redis)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
