/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that expire: gone for every function at once, removed soon, whatever the clocks do; what keeps a
 * time to live, what carries it and what takes it away. */
#include "engine/queue/key_expire.h"

#include "oxbow/expired.h"
#include "oxbow/forward.h"
#include "oxbow/string.h"
#include "oxbow/time.h"
#include "oxbow/upgrade.h"
#include "tests/queue/stream_fixture.h"

#include <time.h>

#define HOUR 3600000u

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
        assert_ok(key_expire_step(f->txn, &more));
    }
}

static enum oxbow_expire_done expire(struct streams *f, const char *key, int64_t ms, uint32_t flags)
{
    enum oxbow_expire_done done;

    assert_ok(oxbow_key_expire(f->txn, text_bytes(key), ms, flags, &done));
    return done;
}

static void set(struct streams *f, const char *key, const char *value)
{
    assert_ok(oxbow_string_set(f->txn, text_bytes(key), text_bytes(value)));
}

static bool there(struct streams *f, const char *key)
{
    enum oxbow_type type;

    assert_ok(oxbow_key_type(f->txn, text_bytes(key), &type));
    return type != OXBOW_TYPE_NONE;
}

static uint64_t left(struct streams *f, const char *key)
{
    uint64_t ms;

    assert_ok(oxbow_key_ttl(f->txn, text_bytes(key), &ms));
    return ms;
}

static void push(struct streams *f, const char *key, const char *value)
{
    const struct oxbow_bytes element = text_bytes(value);

    assert_ok(oxbow_list_push(f->txn, text_bytes(key), OXBOW_RIGHT, &element, 1, NULL));
}

static uint64_t list_len(struct streams *f, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_list_len(f->txn, text_bytes(key), &len));
    return len;
}

static uint64_t count(struct streams *f)
{
    uint64_t n;

    assert_ok(oxbow_key_count(f->txn, &n));
    return n;
}

static void an_expired_key_is_not_there_for_any_function(void **state)
{
    struct streams *f = *state;
    uint64_t cursor = 0;
    uint64_t ms;
    bool existed;

    set(f, "s", "v");
    push(f, "l", "e");
    assert_ok(streams_put(f, "x", ID(1, 1), "v"));
    set(f, "stays", "v");
    assert_int_equal(expire(f, "s", 100, 0), OXBOW_EXPIRE_SET);
    assert_int_equal(expire(f, "l", 100, 0), OXBOW_EXPIRE_SET);
    assert_int_equal(expire(f, "x", 100, 0), OXBOW_EXPIRE_SET);
    pass(f, 99);
    assert_true(there(f, "s") && there(f, "l") && there(f, "x"));
    assert_int_equal(left(f, "s"), 1);
    pass(f, 1);
    assert_err(oxbow_string_get(f->txn, text_bytes("s"), &f->result), OXBOW_ENOENT);
    assert_int_equal(list_len(f, "l"), 0);
    assert_string_equal(streams_all(f, "x"), "");
    assert_err(oxbow_key_ttl(f->txn, text_bytes("s"), &ms), OXBOW_ENOENT);
    assert_int_equal(expire(f, "s", 100, 0), OXBOW_EXPIRE_NOT);
    assert_err(oxbow_key_rename(f->txn, text_bytes("s"), text_bytes("y"), false), OXBOW_ENOENT);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("l"), &existed));
    assert_false(existed);
    assert_ok(oxbow_key_scan(f->txn, &cursor, 100, &f->result));
    assert_int_equal(f->result.item_count, 1);
    assert_memory_equal(f->result.items[0].data, "stays", 5);
    sweep(f);
    assert_int_equal(count(f), 1);
}

static void a_new_key_of_that_name_has_nothing_of_the_old_one(void **state)
{
    struct streams *f = *state;

    push(f, "l", "old");
    push(f, "m", "old");
    (void)expire(f, "l", 10, 0);
    (void)expire(f, "m", 10, 0);
    pass(f, 10);
    push(f, "l", "new");
    set(f, "m", "another type");
    assert_int_equal(list_len(f, "l"), 1);
    assert_true(left(f, "l") == UINT64_MAX && left(f, "m") == UINT64_MAX);
    sweep(f);
    pass(f, HOUR);
    sweep(f);
    assert_int_equal(list_len(f, "l"), 1);
    assert_true(there(f, "m"));
    assert_int_equal(count(f), 2);
}

static void a_reading_transaction_does_not_see_it_either(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;

    set(f, "s", "v");
    (void)expire(f, "s", 100, 0);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_true(there(f, "s"));
    assert_err(oxbow_key_expire(f->txn, text_bytes("s"), 5, 0, &done), OXBOW_EREADONLY);
    assert_err(oxbow_key_persist(f->txn, text_bytes("s"), NULL), OXBOW_EREADONLY);
    oxbow_txn_abort(f->txn);
    rig_pass_ms(&f->rig, 100);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_false(there(f, "s"));
}

static void conditions_are_those_of_redis(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;

    set(f, "k", "v");
    assert_int_equal(expire(f, "k", 1000, OXBOW_EXPIRE_XX), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", 1000, OXBOW_EXPIRE_GT), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", 1000, OXBOW_EXPIRE_LT), OXBOW_EXPIRE_SET);
    assert_int_equal(expire(f, "k", 2000, OXBOW_EXPIRE_NX), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", 1000, OXBOW_EXPIRE_GT), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", 1001, OXBOW_EXPIRE_GT), OXBOW_EXPIRE_SET);
    assert_int_equal(expire(f, "k", 1001, OXBOW_EXPIRE_LT), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", 900, OXBOW_EXPIRE_LT | OXBOW_EXPIRE_XX), OXBOW_EXPIRE_SET);
    assert_int_equal(left(f, "k"), 900);
    assert_int_equal(expire(f, "k", -1, OXBOW_EXPIRE_GT), OXBOW_EXPIRE_NOT);
    assert_int_equal(expire(f, "k", -1, OXBOW_EXPIRE_NX), OXBOW_EXPIRE_NOT);
    assert_err(
        oxbow_key_expire(f->txn, text_bytes("k"), 1, OXBOW_EXPIRE_NX | OXBOW_EXPIRE_XX, &done),
        OXBOW_EINVAL);
    assert_err(
        oxbow_key_expire(f->txn, text_bytes("k"), 1, OXBOW_EXPIRE_GT | OXBOW_EXPIRE_LT, &done),
        OXBOW_EINVAL);
    assert_err(oxbow_key_expire(f->txn, text_bytes("k"), 1, 16, &done), OXBOW_EINVAL);
    assert_int_equal(expire(f, "k", 0, OXBOW_EXPIRE_LT), OXBOW_EXPIRE_DELETED);
    assert_false(there(f, "k"));
    assert_int_equal(expire(f, "k", 5, 0), OXBOW_EXPIRE_NOT);
    set(f, "k", "v");
    assert_int_equal(expire(f, "k", INT64_MAX, 0), OXBOW_EXPIRE_SET);
    pass(f, 1000ull * 366 * 24 * HOUR);
    assert_true(there(f, "k"));
}

static void what_changes_a_value_keeps_it_and_what_replaces_it_does_not(void **state)
{
    struct streams *f = *state;
    bool had;

    push(f, "l", "a");
    (void)expire(f, "l", 1000, 0);
    push(f, "l", "b");
    assert_int_equal(left(f, "l"), 1000);
    assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, 2, &f->result));
    push(f, "l", "c"); /* the key went with its last element */
    assert_true(left(f, "l") == UINT64_MAX);
    set(f, "s", "v");
    (void)expire(f, "s", 1000, 0);
    set(f, "s", "w");
    assert_true(left(f, "s") == UINT64_MAX);
    (void)expire(f, "s", 1000, 0);
    assert_ok(oxbow_key_persist(f->txn, text_bytes("s"), &had));
    assert_true(had);
    assert_ok(oxbow_key_persist(f->txn, text_bytes("s"), &had));
    assert_false(had);
    assert_ok(oxbow_key_persist(f->txn, text_bytes("none"), &had));
    assert_false(had);
    pass(f, 5000);
    sweep(f);
    assert_true(there(f, "s") && there(f, "l"));
}

static void a_rename_carries_it_to_a_name_that_loses_its_own(void **state)
{
    struct streams *f = *state;

    set(f, "a", "1");
    set(f, "b", "2");
    (void)expire(f, "a", 100, 0);
    (void)expire(f, "b", 50, 0);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("a"), text_bytes("b"), false));
    assert_int_equal(left(f, "b"), 100);
    set(f, "a", "3");
    pass(f, 99);
    sweep(f);
    assert_true(there(f, "b"));
    pass(f, 1);
    assert_false(there(f, "b"));
    /* Onto a name whose key has expired. */
    assert_err(oxbow_key_rename(f->txn, text_bytes("b"), text_bytes("a"), true), OXBOW_ENOENT);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("a"), text_bytes("b"), true));
    assert_true(left(f, "b") == UINT64_MAX);
    sweep(f);
    assert_true(there(f, "b"));
    assert_int_equal(count(f), 1);
}

static void databases_swap_with_it_and_a_flush_takes_it(void **state)
{
    struct streams *f = *state;

    set(f, "a", "1");
    (void)expire(f, "a", 100, 0);
    assert_ok(oxbow_key_swap(f->txn, 0, 3));
    pass(f, 50);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(left(f, "a"), 50);
    set(f, "b", "1");
    (void)expire(f, "b", HOUR, 0);
    assert_ok(oxbow_txn_select(f->txn, 0));
    pass(f, 50);
    sweep(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(count(f), 1);
    assert_ok(oxbow_key_flush(f->txn));
    set(f, "b", "another");
    pass(f, HOUR);
    sweep(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_true(there(f, "b"));
}

static void the_wall_clock_and_reboots_do_not_matter(void **state)
{
    struct streams *f = *state;

    set(f, "k", "v");
    (void)expire(f, "k", HOUR, 0);
    f->rig.wall_ms += 56ull * 366 * 24 * HOUR;
    pass(f, 0);
    assert_true(there(f, "k"));
    f->rig.wall_ms = 1000;
    pass(f, HOUR / 2);
    streams_reopen(f);
    assert_true(there(f, "k"));
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = HOUR / 2 * 1000ull - 1000; /* off for nobody knows how long */
    rig_open(&f->rig);
    streams_begin(f);
    assert_true(there(f, "k"));
    pass(f, 1);
    assert_false(there(f, "k"));
}

static void a_time_of_the_wall_clock_is_a_distance_from_now(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    struct oxbow_time now;
    uint64_t at;

    set(f, "k", "v");
    assert_ok(oxbow_time_now(f->txn, &now));
    assert_ok(oxbow_key_expire_at(f->txn, text_bytes("k"), (int64_t)now.wall_ms + 500, 0, &done));
    assert_int_equal(done, OXBOW_EXPIRE_SET);
    assert_int_equal(left(f, "k"), 500);
    assert_ok(oxbow_key_expire_time(f->txn, text_bytes("k"), &at));
    assert_int_equal(at, now.wall_ms + 500);
    assert_ok(oxbow_key_persist(f->txn, text_bytes("k"), NULL));
    assert_ok(oxbow_key_expire_time(f->txn, text_bytes("k"), &at));
    assert_true(at == UINT64_MAX);
    assert_ok(oxbow_key_expire_at(f->txn, text_bytes("k"), (int64_t)now.wall_ms, 0, &done));
    assert_int_equal(done, OXBOW_EXPIRE_DELETED);
    set(f, "k", "v");
    assert_ok(oxbow_key_expire_at(f->txn, text_bytes("k"), INT64_MIN, 0, &done));
    assert_int_equal(done, OXBOW_EXPIRE_DELETED);
    assert_err(oxbow_key_expire_time(f->txn, text_bytes("k"), &at), OXBOW_ENOENT);
}

static void what_is_given_while_the_clock_is_not_believed_is_never_early(void **state)
{
    struct streams *f = *state;
    uint64_t set_ms = f->rig.wall_ms;

    set(f, "before", "v");
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = 1000; /* the board was off, and its clock is not set */
    f->rig.mono_us = 5000000;
    rig_open(&f->rig);
    streams_begin(f);
    set(f, "k", "v");
    (void)expire(f, "k", HOUR, 0);
    pass(f, 1000);
    f->rig.wall_ms = set_ms + 10ull * HOUR; /* nearly as much had gone by before */
    pass(f, 2000);
    assert_true(there(f, "k"));
    assert_in_range(left(f, "k"), HOUR - 3000, HOUR + 20ull * HOUR);
    sweep(f);
    assert_true(there(f, "k"));
    pass(f, 22ull * HOUR);
    sweep(f);
    assert_false(there(f, "k"));
    assert_int_equal(count(f), 1);
}

static void an_abort_takes_it_back(void **state)
{
    struct streams *f = *state;

    set(f, "k", "v");
    set(f, "l", "v");
    (void)expire(f, "l", 100, 0);
    streams_commit(f);
    streams_begin(f);
    (void)expire(f, "k", 10, 0);
    assert_int_equal(left(f, "k"), 10);
    assert_ok(oxbow_key_persist(f->txn, text_bytes("l"), NULL));
    streams_abort(f);
    streams_begin(f);
    assert_true(left(f, "k") == UINT64_MAX);
    assert_int_equal(left(f, "l"), 100);
    pass(f, 100);
    sweep(f);
    assert_true(there(f, "k"));
    assert_false(there(f, "l"));
    streams_abort(f);
    streams_begin(f);
    assert_in_range(count(f), 1, 2); /* the removal was taken back, and comes again */
    sweep(f);
    assert_int_equal(count(f), 1);
}

static void what_a_forward_carries_does_not_expire(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {.key = text_bytes("s"), .type = OXBOW_TYPE_STREAM};
    enum oxbow_expire_done done;

    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(streams_put(f, "s", ID(1, 1), "v"));
    (void)expire(f, "s", 100, 0);
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    assert_true(left(f, "s") == UINT64_MAX);
    assert_err(oxbow_key_expire(f->txn, text_bytes("s"), 5, 0, &done), OXBOW_EPROTECTED);
    assert_err(oxbow_key_expire(f->txn, text_bytes("s"), 0, 0, &done), OXBOW_EPROTECTED);
    pass(f, 1000); /* the refusals left the transaction as it was */
    sweep(f);
    assert_true(there(f, "s"));
}

static void idle_work_removes_it_and_tells_who_watches(void **state)
{
    struct streams *f = *state;
    struct oxbow_expired told;
    uint64_t n = 0;

    assert_ok(oxbow_expired_watch(f->txn, 4096));
    set(f, "one", "v");
    (void)expire(f, "one", 20, 0);
    assert_err(oxbow_expired_next(f->txn, &told, &f->result), OXBOW_ENOENT);
    pass(f, 20);
    for (int i = 0; i < 12000 && n == 0; i++) {
        streams_commit(f);
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        streams_begin(f);
        assert_ok(oxbow_expired_count(f->txn, &n));
    }
    assert_int_equal(n, 1);
    assert_int_equal(count(f), 0);
    assert_ok(oxbow_expired_next(f->txn, &told, &f->result));
    assert_int_equal(told.database, 0);
    assert_int_equal(told.lost, 0);
    assert_memory_equal(f->result.items[0].data, "one", 3);
    assert_err(oxbow_expired_next(f->txn, &told, &f->result), OXBOW_ENOENT);
}

static void it_survives_reopening_and_leaves_nothing_behind(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    char name[32];

    set(f, "warm", "v");
    (void)expire(f, "warm", 1, 0);
    pass(f, 1);
    sweep(f);
    for (int i = 0; i < 50; i++) {
        streams_reopen(f);
    }
    oxbow_stat(f->rig.db, &before);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "key %d", i);
        set(f, name, "v");
        (void)expire(f, name, 100 + i, 0);
        if (i % 3 == 0) {
            (void)expire(f, name, 1000 + i, 0);
        }
    }
    streams_reopen(f);
    assert_int_equal(count(f), 200);
    pass(f, 400);
    sweep(f);
    assert_int_equal(count(f), 67);
    streams_reopen(f);
    pass(f, 1000);
    sweep(f);
    assert_int_equal(count(f), 0);
    for (int i = 0; i < 50; i++) {
        streams_reopen(f);
    }
    oxbow_stat(f->rig.db, &after);
    assert_in_range(after.keys, 0, before.keys + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_expired_key_is_not_there_for_any_function),
        TEST(a_new_key_of_that_name_has_nothing_of_the_old_one),
        TEST(a_reading_transaction_does_not_see_it_either),
        TEST(conditions_are_those_of_redis),
        TEST(what_changes_a_value_keeps_it_and_what_replaces_it_does_not),
        TEST(a_rename_carries_it_to_a_name_that_loses_its_own),
        TEST(databases_swap_with_it_and_a_flush_takes_it),
        TEST(the_wall_clock_and_reboots_do_not_matter),
        TEST(a_time_of_the_wall_clock_is_a_distance_from_now),
        TEST(what_is_given_while_the_clock_is_not_believed_is_never_early),
        TEST(an_abort_takes_it_back),
        TEST(what_a_forward_carries_does_not_expire),
        TEST(idle_work_removes_it_and_tells_who_watches),
        TEST(it_survives_reopening_and_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
