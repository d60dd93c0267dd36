/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that expire, by the book: gone for every function at once, removed soon, whatever the clocks do; what
 * keeps a time to live, what carries it and what takes it away. */
#include "oxbow/hash_expire.h"

#include "engine/keyval/table.h"
#include "oxbow/expired.h"
#include "tests/queue/stream_fixture.h"

#define HOUR  3600000
#define NEVER UINT64_MAX

static const struct oxbow_bytes key = {"h", 1};

static void set(struct streams *f, const char *field, const char *value)
{
    const struct oxbow_field fv = {text_bytes(field), text_bytes(value)};

    assert_ok(oxbow_hash_set(f->txn, key, &fv, 1, NULL));
}

static enum oxbow_field_done expire(struct streams *f, const char *field, int64_t ms,
                                    uint32_t flags)
{
    const struct oxbow_bytes name = text_bytes(field);
    const struct oxbow_fields one = {&name, 1};
    enum oxbow_field_done done;

    assert_ok(oxbow_hash_expire(f->txn, key, &one, ms, flags, &done));
    return done;
}

static uint64_t left_in(struct streams *f, struct oxbow_bytes hash, const char *field)
{
    const struct oxbow_bytes name = text_bytes(field);
    const struct oxbow_fields one = {&name, 1};
    uint64_t ms;

    assert_ok(oxbow_hash_ttl(f->txn, hash, &one, &ms));
    return ms;
}

static uint64_t left(struct streams *f, const char *field)
{
    return left_in(f, key, field);
}

static uint64_t count(struct streams *f)
{
    uint64_t n;

    assert_ok(oxbow_hash_count(f->txn, key, &n));
    return n;
}

/* In this transaction alone: idle work sees nothing of it. */
static void clock_on(struct streams *f, uint64_t ms)
{
    txn_clock_raise(f->txn, txn_clock_ms(f->txn) + ms);
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static void sweep(struct streams *f)
{
    bool more = true;

    while (more) {
        more = false;
        assert_ok(table_time_step(f->txn, &more));
    }
}

static void conditions_decide(void **state)
{
    const struct oxbow_bytes names[] = {BYTES("a"), BYTES("none"), BYTES("a")};
    const struct oxbow_fields three = {names, 3};
    const struct oxbow_fields zero = {names, 0};
    struct streams *f = *state;
    enum oxbow_field_done done[3];

    assert_ok(oxbow_hash_expire(f->txn, key, &three, 1000, 0, done));
    assert_int_equal(done[0], OXBOW_FIELD_NONE);
    set(f, "a", "1");
    assert_int_equal(expire(f, "a", 1000, OXBOW_EXPIRE_XX), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", 1000, OXBOW_EXPIRE_GT), OXBOW_FIELD_NOT);
    assert_true(left(f, "a") == NEVER);
    assert_int_equal(expire(f, "a", 1000, OXBOW_EXPIRE_LT), OXBOW_FIELD_SET);
    assert_int_equal(left(f, "a"), 1000);
    assert_int_equal(expire(f, "a", 2000, OXBOW_EXPIRE_NX), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", 2000, OXBOW_EXPIRE_LT), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", 1000, OXBOW_EXPIRE_GT), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", 1000, OXBOW_EXPIRE_LT), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", 2000, OXBOW_EXPIRE_GT), OXBOW_FIELD_SET);
    assert_int_equal(expire(f, "a", 1500, OXBOW_EXPIRE_XX), OXBOW_FIELD_SET);
    assert_int_equal(left(f, "a"), 1500);
    assert_int_equal(expire(f, "a", 0, OXBOW_EXPIRE_NX), OXBOW_FIELD_NOT);
    assert_int_equal(expire(f, "a", OXBOW_HASH_TTL_MS_MAX, 0), OXBOW_FIELD_SET);
    assert_int_equal(left(f, "a"), OXBOW_HASH_TTL_MS_MAX);
    set(f, "b", "2");
    assert_ok(oxbow_hash_expire(f->txn, key, &three, -5, 0, done));
    assert_int_equal(done[0], OXBOW_FIELD_DELETED);
    assert_int_equal(done[1], OXBOW_FIELD_NONE);
    assert_int_equal(done[2], OXBOW_FIELD_NONE);
    assert_int_equal(count(f), 1);
    assert_err(oxbow_hash_expire(f->txn, key, &three, 1, OXBOW_EXPIRE_XX | OXBOW_EXPIRE_GT, done),
               OXBOW_EINVAL);
    assert_err(oxbow_hash_expire(f->txn, key, &three, 1, 16, done), OXBOW_EINVAL);
    assert_err(oxbow_hash_expire(f->txn, key, &three, OXBOW_HASH_TTL_MS_MAX + 1, 0, done),
               OXBOW_EINVAL);
    assert_err(oxbow_hash_expire_at(f->txn, key, &three, OXBOW_HASH_TTL_MS_MAX + 1, 0, done),
               OXBOW_EINVAL);
    assert_err(oxbow_hash_expire(f->txn, key, &zero, 1, 0, done), OXBOW_EINVAL);
    assert_err(oxbow_hash_expire(f->txn, key, NULL, 1, 0, done), OXBOW_EINVAL);
    assert_err(oxbow_hash_expire(f->txn, key, &three, 1, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_hash_persist(f->txn, key, &three, NULL), OXBOW_EINVAL);
    assert_err(oxbow_hash_ttl(f->txn, key, &three, NULL), OXBOW_EINVAL);
    assert_err(oxbow_hash_timed(f->txn, key, NULL), OXBOW_EINVAL);
}

static void the_last_field_takes_the_hash_with_it(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;

    set(f, "a", "1");
    (void)expire(f, "a", 100, 0);
    assert_int_equal(expire(f, "a", 0, 0), OXBOW_FIELD_DELETED);
    assert_ok(oxbow_key_type(f->txn, key, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    set(f, "a", "1");
    set(f, "b", "1");
    (void)expire(f, "a", 100, 0);
    (void)expire(f, "b", 200, 0);
    clock_on(f, 200);
    sweep(f);
    assert_ok(oxbow_key_type(f->txn, key, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
}

/* Of four fields a has expired, c will. */
static void four(struct streams *f)
{
    set(f, "a", "10");
    set(f, "b", "20");
    set(f, "c", "30");
    set(f, "d", "40");
    (void)expire(f, "a", 100, 0);
    (void)expire(f, "c", 5000, 0);
    clock_on(f, 100);
}

static void a_field_that_has_expired_is_there_for_nobody(void **state)
{
    const struct oxbow_bytes names[] = {BYTES("a"), BYTES("b")};
    const struct oxbow_fields both = {names, 2};
    struct streams *f = *state;
    enum oxbow_field_done done[2];
    uint64_t cursor = 0;
    bool present[2];
    uint64_t n;
    bool has;

    four(f);
    assert_err(oxbow_hash_get(f->txn, key, names[0], &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_hash_get_many(f->txn, key, names, 2, present, &f->result));
    assert_true(!present[0] && present[1]);
    assert_int_equal(f->result.items[0].len, 0);
    assert_ok(oxbow_hash_get_all(f->txn, key, OXBOW_HASH_BOTH, &f->result));
    assert_int_equal(f->result.item_count, 6);
    assert_ok(oxbow_hash_scan(f->txn, key, &cursor, 100, &f->result));
    assert_int_equal(f->result.item_count, 6);
    assert_ok(oxbow_hash_has(f->txn, key, names[0], &has));
    assert_false(has);
    assert_ok(oxbow_hash_value_len(f->txn, key, names[0], &n));
    assert_int_equal(n, 0);
    assert_int_equal(left(f, "a"), 0);
    assert_int_equal(left(f, "c"), 4900);
    assert_ok(oxbow_hash_persist(f->txn, key, &both, done));
    assert_int_equal(done[0], OXBOW_FIELD_NONE);
    assert_int_equal(done[1], OXBOW_FIELD_NEVER);
    assert_int_equal(expire(f, "a", 1000, 0), OXBOW_FIELD_NONE);
    assert_int_equal(count(f), 4); /* as Redis counts it until it was removed */
    sweep(f);
    assert_int_equal(count(f), 3);
    assert_int_equal(left(f, "c"), 4900);
}

static void chance_draws_what_is_there(void **state)
{
    struct streams *f = *state;

    four(f);
    for (int i = 0; i < 50; i++) {
        static const int64_t counts[] = {1, 2, 3, 4, -7};

        assert_ok(oxbow_hash_random(f->txn, key, counts[i % 5], OXBOW_HASH_FIELDS, &f->result));
        assert_int_equal(f->result.item_count, i % 5 == 4 ? 7 : i % 5 == 3 ? 3 : i % 5 + 1);
        for (size_t k = 0; k < f->result.item_count; k++) {
            assert_memory_not_equal(f->result.items[k].data, "a", 1);
        }
    }
    clock_on(f, 5000);
    (void)expire(f, "b", 0, 0);
    (void)expire(f, "d", 0, 0);
    assert_ok(oxbow_hash_random(f->txn, key, 3, OXBOW_HASH_BOTH, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_ok(oxbow_hash_random(f->txn, key, -3, OXBOW_HASH_BOTH, &f->result));
    assert_int_equal(f->result.item_count, 0);
}

static void what_writes_to_an_expired_field_makes_a_new_one(void **state)
{
    const struct oxbow_bytes a = BYTES("a");
    struct streams *f = *state;
    const struct oxbow_field fv = {BYTES("a"), BYTES("new")};
    int64_t sum;
    uint64_t n;
    bool done;

    four(f);
    assert_ok(oxbow_hash_add(f->txn, key, a, 5, &sum));
    assert_int_equal(sum, 5);
    assert_true(left(f, "a") == NEVER);
    (void)expire(f, "a", 10, 0);
    clock_on(f, 10);
    assert_ok(oxbow_hash_add_float(f->txn, key, a, BYTES("1.5"), &f->result));
    assert_memory_equal(f->result.items[0].data, "1.5", 3);
    (void)expire(f, "a", 10, 0);
    clock_on(f, 10);
    assert_ok(oxbow_hash_set_new(f->txn, key, a, BYTES("x"), &done));
    assert_true(done);
    (void)expire(f, "a", 10, 0);
    clock_on(f, 10);
    assert_ok(oxbow_hash_set(f->txn, key, &fv, 1, &n));
    assert_int_equal(n, 1);
    assert_true(left(f, "a") == NEVER);
    (void)expire(f, "a", 10, 0);
    clock_on(f, 10);
    assert_ok(oxbow_hash_delete(f->txn, key, &a, 1, &n));
    assert_int_equal(n, 1); /* as in Redis: it was there to be deleted */
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 1);
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_expired_fields(f->txn, &n));
    assert_int_equal(n, 4);
}

static void setting_takes_a_time_to_live_away_and_adding_keeps_it(void **state)
{
    const struct oxbow_bytes names[] = {BYTES("a"), BYTES("none")};
    const struct oxbow_fields both = {names, 2};
    struct streams *f = *state;
    enum oxbow_field_done done[2];
    uint64_t n;

    set(f, "a", "1");
    (void)expire(f, "a", HOUR, 0);
    assert_ok(oxbow_hash_add(f->txn, key, names[0], 5, NULL));
    assert_ok(oxbow_hash_add_float(f->txn, key, names[0], BYTES("0.25"), &f->result));
    assert_int_equal(left(f, "a"), HOUR);
    set(f, "a", "2");
    assert_true(left(f, "a") == NEVER);
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 0);
    (void)expire(f, "a", HOUR, 0);
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_hash_persist(f->txn, key, &both, done));
    assert_int_equal(done[0], OXBOW_FIELD_SET);
    assert_int_equal(done[1], OXBOW_FIELD_NONE);
    assert_true(left(f, "a") == NEVER);
    assert_ok(oxbow_hash_persist(f->txn, BYTES("no hash"), &both, done));
    assert_int_equal(done[0], OXBOW_FIELD_NONE);
    assert_ok(oxbow_hash_timed(f->txn, BYTES("no hash"), &n));
    assert_int_equal(n, 0);
}

static bool set_timed(struct streams *f, const char *field, struct oxbow_hash_set_options opt)
{
    const struct oxbow_field fv[] = {{text_bytes(field), BYTES("v")}, {BYTES("also"), BYTES("w")}};
    bool done = false;

    assert_ok(oxbow_hash_set_timed(f->txn, key, fv, 2, &opt, &done));
    return done;
}

static void fields_are_set_with_a_time_to_live_if_the_condition_allows_it(void **state)
{
    const struct oxbow_hash_set_options both = {.keep = true, .timed = true, .ttl_ms = 1};
    const struct oxbow_field fv = {BYTES("a"), BYTES("v")};
    struct streams *f = *state;
    bool done;

    assert_false(
        set_timed(f, "a", (struct oxbow_hash_set_options){.condition = OXBOW_HASH_IF_ALL}));
    assert_int_equal(count(f), 0);
    assert_true(set_timed(f, "a",
                          (struct oxbow_hash_set_options){
                              .condition = OXBOW_HASH_IF_NONE, .timed = true, .ttl_ms = 100}));
    assert_int_equal(left(f, "a"), 100);
    assert_int_equal(left(f, "also"), 100);
    assert_false(
        set_timed(f, "b", (struct oxbow_hash_set_options){.condition = OXBOW_HASH_IF_NONE}));
    assert_true(set_timed(
        f, "a", (struct oxbow_hash_set_options){.condition = OXBOW_HASH_IF_ALL, .keep = true}));
    assert_int_equal(left(f, "a"), 100);
    assert_true(set_timed(f, "a", (struct oxbow_hash_set_options){.timed = true, .ttl_ms = 200}));
    assert_int_equal(left(f, "a"), 200);
    clock_on(f, 200);
    assert_true(set_timed(
        f, "a", (struct oxbow_hash_set_options){.condition = OXBOW_HASH_IF_NONE, .keep = true}));
    assert_true(left(f, "a") == NEVER); /* what has expired leaves nothing to be kept */
    assert_true(set_timed(f, "a", (struct oxbow_hash_set_options){.timed = true}));
    assert_int_equal(count(f), 0);
    assert_err(oxbow_hash_set_timed(f->txn, key, &fv, 1, &both, &done), OXBOW_EINVAL);
    assert_err(oxbow_hash_set_timed(f->txn, key, &fv, 1, NULL, &done), OXBOW_EINVAL);
    assert_err(
        oxbow_hash_set_timed(f->txn, key, &fv, 0, &(struct oxbow_hash_set_options){0}, &done),
        OXBOW_EINVAL);
}

static void what_expires_is_told(void **state)
{
    struct streams *f = *state;
    struct oxbow_expired e;
    uint64_t n;

    assert_ok(oxbow_expired_watch(f->txn, 4096));
    assert_ok(oxbow_txn_select(f->txn, 3));
    four(f);
    sweep(f);
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_expired_next(f->txn, &e, &f->result));
    assert_int_equal(e.database, 3);
    assert_int_equal(e.what, OXBOW_EXPIRED_FIELDS);
    assert_memory_equal(f->result.items[0].data, "h", 1);
    assert_err(oxbow_expired_next(f->txn, &e, &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_txn_select(f->txn, 3));
    (void)expire(f, "b", 10, 0);
    (void)expire(f, "d", 10, 0);
    clock_on(f, 5000);
    sweep(f);
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_expired_next(f->txn, &e, &f->result));
    assert_int_equal(e.database, 3);
    assert_int_equal(e.what, OXBOW_EXPIRED_HASH);
    assert_err(oxbow_expired_next(f->txn, &e, &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_expired_fields(f->txn, &n));
    assert_int_equal(n, 4);
    assert_ok(oxbow_expired_count(f->txn, &n));
    assert_int_equal(n, 0); /* of keys */
    assert_err(oxbow_expired_fields(f->txn, NULL), OXBOW_EINVAL);
}

static void it_survives_a_reopening_and_goes_by_the_time_that_passed(void **state)
{
    struct streams *f = *state;
    uint64_t n = 9;

    set(f, "a", "1");
    set(f, "b", "2");
    (void)expire(f, "a", 10 * HOUR, 0);
    streams_reopen(f);
    assert_in_range(left(f, "a"), 10 * HOUR - 1000, 10 * HOUR);
    streams_commit(f);
    rig_close(&f->rig);
    rig_pass_ms(&f->rig, 11 * HOUR);
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(left(f, "a"), 0);
    assert_true(left(f, "b") == NEVER);
    sweep(f);
    assert_int_equal(count(f), 1);
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 0);
}

static void a_wall_clock_that_jumps_moves_nothing(void **state)
{
    const struct oxbow_bytes a = BYTES("a");
    const struct oxbow_fields one = {&a, 1};
    struct streams *f = *state;
    int64_t wall = (int64_t)f->rig.wall_ms;
    enum oxbow_field_done done;
    uint64_t at;

    set(f, "a", "1");
    assert_ok(oxbow_hash_expire_at(f->txn, key, &one, wall + HOUR, 0, &done));
    assert_int_equal(done, OXBOW_FIELD_SET);
    assert_int_equal(left(f, "a"), HOUR);
    assert_ok(oxbow_hash_expire_time(f->txn, key, &one, &at));
    assert_int_equal(at, wall + HOUR);
    streams_commit(f);
    f->rig.wall_ms += 100 * HOUR;
    streams_begin(f);
    assert_int_equal(left(f, "a"), HOUR);
    streams_commit(f);
    f->rig.wall_ms -= 200 * HOUR;
    streams_begin(f);
    assert_int_equal(left(f, "a"), HOUR);
    pass(f, HOUR);
    assert_int_equal(left(f, "a"), 0);
    sweep(f);
    set(f, "a", "1");
    assert_ok(oxbow_hash_expire_at(f->txn, key, &one, -1, 0, &done));
    assert_int_equal(done, OXBOW_FIELD_DELETED);
}

static void what_is_given_while_the_clock_is_not_believed_is_never_early(void **state)
{
    struct streams *f = *state;
    uint64_t set_ms = f->rig.wall_ms;
    uint64_t n;

    set(f, "before", "v");
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = 1000; /* the board was off, and its clock is not set */
    f->rig.mono_us = 5000000;
    rig_open(&f->rig);
    streams_begin(f);
    set(f, "a", "v");
    (void)expire(f, "a", HOUR, 0);
    pass(f, 1000);
    f->rig.wall_ms = set_ms + 10ull * HOUR; /* nearly as much had gone by before */
    pass(f, 2000);
    assert_in_range(left(f, "a"), HOUR - 3000, HOUR + 20ull * HOUR);
    sweep(f); /* its time has come by what is written down: it is put off */
    assert_in_range(left(f, "a"), HOUR - 3000, HOUR + 20ull * HOUR);
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 1);
    pass(f, 22ull * HOUR);
    sweep(f);
    assert_int_equal(left(f, "a"), 0);
    assert_int_equal(count(f), 1);
}

static void a_copy_and_another_name_take_it_along(void **state)
{
    static const struct oxbow_bytes to = {"to", 2}, copy = {"copy", 4};
    struct streams *f = *state;
    enum oxbow_type type;
    bool done;
    uint64_t n;

    four(f);
    sweep(f);
    assert_ok(oxbow_key_copy(f->txn, key, 0, copy, false, &done));
    assert_ok(oxbow_key_rename(f->txn, key, to, false));
    assert_int_equal(left_in(f, to, "c"), 4900);
    assert_int_equal(left_in(f, copy, "c"), 4900);
    assert_ok(oxbow_key_move(f->txn, copy, 5, &done));
    assert_true(done);
    assert_ok(oxbow_key_swap(f->txn, 5, 6));
    clock_on(f, 4900);
    sweep(f);
    assert_ok(oxbow_hash_count(f->txn, to, &n));
    assert_int_equal(n, 2);
    assert_ok(oxbow_txn_select(f->txn, 6));
    assert_ok(oxbow_hash_count(f->txn, copy, &n));
    assert_int_equal(n, 2);
    assert_ok(oxbow_key_type(f->txn, to, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
}

static void fields_of_a_cache_expire_as_others_do(void **state)
{
    static const struct oxbow_bytes copy = {"copy", 4};
    struct streams *f = *state;
    uint64_t n;
    bool done;

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.cache_databases = 1u << 3;
    rig_open(&f->rig);
    streams_begin(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    four(f);
    assert_int_equal(left(f, "a"), 0);
    assert_int_equal(left(f, "c"), 4900);
    sweep(f);
    assert_int_equal(count(f), 3);
    assert_ok(oxbow_key_copy(f->txn, key, 3, copy, false, &done));
    assert_int_equal(left_in(f, copy, "c"), 4900);
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    clock_on(f, 4900);
    sweep(f);
    assert_ok(oxbow_hash_count(f->txn, copy, &n));
    assert_int_equal(n, 2);
    assert_int_equal(count(f), 2);
    streams_reopen(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(count(f), 0); /* it is gone, and its deadlines with it */
    sweep(f);
}

static void a_key_may_expire_before_its_fields(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    enum oxbow_type type;

    four(f);
    assert_ok(oxbow_key_expire(f->txn, key, 1000, 0, &done));
    clock_on(f, 5000);
    sweep(f);
    assert_ok(oxbow_key_type(f->txn, key, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    set(f, "c", "another");
    sweep(f);
    assert_true(left(f, "c") == NEVER);
    assert_int_equal(count(f), 1);
}

static void long_fields_expire_too(void **state)
{
    static char text[70000];
    static const size_t lens[] = {256, 257, 65536, 65537};
    struct streams *f = *state;
    uint64_t n;

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < 4; i++) {
        const struct oxbow_field fv = {{text, lens[i]}, {text, 400}};
        const struct oxbow_fields one = {&fv.name, 1};
        enum oxbow_field_done done;

        assert_ok(oxbow_hash_set(f->txn, key, &fv, 1, NULL));
        assert_ok(oxbow_hash_expire(f->txn, key, &one, 100 + (int64_t)i, 0, &done));
        assert_ok(oxbow_hash_expire(f->txn, key, &one, 50, 0, &done));
        assert_int_equal(done, OXBOW_FIELD_SET);
    }
    streams_reopen(f);
    assert_ok(oxbow_hash_timed(f->txn, key, &n));
    assert_int_equal(n, 4);
    clock_on(f, 50);
    sweep(f);
    assert_int_equal(count(f), 0);
}

static void a_transaction_that_only_reads_refuses(void **state)
{
    const struct oxbow_bytes a = BYTES("a");
    const struct oxbow_fields one = {&a, 1};
    const struct oxbow_field fv = {BYTES("a"), BYTES("1")};
    const struct oxbow_hash_set_options opt = {.timed = true, .ttl_ms = 5};
    struct streams *f = *state;
    enum oxbow_field_done done = OXBOW_FIELD_NOT;
    bool set_it;
    uint64_t ms;

    set(f, "a", "1");
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_hash_expire(f->txn, key, &one, 5, 0, &done), OXBOW_EREADONLY);
    assert_err(oxbow_hash_persist(f->txn, key, &one, &done), OXBOW_EREADONLY);
    assert_err(oxbow_hash_set_timed(f->txn, key, &fv, 1, &opt, &set_it), OXBOW_EREADONLY);
    assert_ok(oxbow_hash_ttl(f->txn, key, &one, &ms));
    assert_true(ms == NEVER);
}

static void a_key_of_another_type_is_refused(void **state)
{
    const struct oxbow_bytes a = BYTES("a");
    const struct oxbow_fields one = {&a, 1};
    struct streams *f = *state;
    enum oxbow_field_done done;
    uint64_t ms;

    assert_ok(oxbow_list_push(f->txn, key, OXBOW_RIGHT, &a, 1, NULL));
    assert_err(oxbow_hash_expire(f->txn, key, &one, 5, 0, &done), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_persist(f->txn, key, &one, &done), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_ttl(f->txn, key, &one, &ms), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_timed(f->txn, key, &ms), OXBOW_EWRONGTYPE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(conditions_decide),
        TEST(the_last_field_takes_the_hash_with_it),
        TEST(a_field_that_has_expired_is_there_for_nobody),
        TEST(chance_draws_what_is_there),
        TEST(what_writes_to_an_expired_field_makes_a_new_one),
        TEST(setting_takes_a_time_to_live_away_and_adding_keeps_it),
        TEST(fields_are_set_with_a_time_to_live_if_the_condition_allows_it),
        TEST(what_expires_is_told),
        TEST(it_survives_a_reopening_and_goes_by_the_time_that_passed),
        TEST(a_wall_clock_that_jumps_moves_nothing),
        TEST(what_is_given_while_the_clock_is_not_believed_is_never_early),
        TEST(a_copy_and_another_name_take_it_along),
        TEST(fields_of_a_cache_expire_as_others_do),
        TEST(a_key_may_expire_before_its_fields),
        TEST(long_fields_expire_too),
        TEST(a_transaction_that_only_reads_refuses),
        TEST(a_key_of_another_type_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
