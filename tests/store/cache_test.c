/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are kept in memory alone: what a transaction does there, what it costs the device
 * (nothing), what is left after closing (nothing). */
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expired.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/hash.h"
#include "oxbow/hash_expire.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/set.h"
#include "oxbow/time.h"
#include "oxbow/zset.h"
#include "tests/store/cache_fixture.h"

#include <stdlib.h>

static const struct oxbow_bytes a = BYTES("a"), b = BYTES("b");

/* One key of every type. */
static void fill(struct streams *f)
{
    const struct oxbow_bytes value = BYTES("v");
    const struct oxbow_field field = {BYTES("f"), BYTES("v")};
    const struct oxbow_scored scored = {BYTES("m"), 1.5};
    const struct oxbow_group_create_options first = {.id = {0, 0}};

    assert_ok(set_in(f, BYTES("string"), "one"));
    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &value, 1, NULL));
    assert_ok(oxbow_hash_set(f->txn, BYTES("hash"), &field, 1, NULL));
    assert_ok(oxbow_set_add(f->txn, BYTES("set"), &value, 1, NULL));
    assert_ok(oxbow_zset_add(f->txn, BYTES("zset"), 0, &scored, 1, NULL));
    assert_ok(streams_put(f, "stream", ID(1, 1), "x"));
    assert_ok(oxbow_group_create(f->txn, group_of("stream", "g"), &first));
}

static void every_type_works_and_nothing_is_left_after_closing(void **state)
{
    struct streams *f = *state;
    uint64_t len;
    bool has;

    in(f, CACHE);
    fill(f);
    streams_commit(f);
    streams_begin(f);
    in(f, CACHE);
    assert_int_equal(keys(f), 6);
    assert_string(f, BYTES("string"), "one");
    assert_ok(oxbow_list_len(f->txn, BYTES("list"), &len));
    assert_int_equal(len, 1);
    assert_ok(oxbow_hash_get(f->txn, BYTES("hash"), BYTES("f"), &f->result));
    assert_ok(oxbow_set_has(f->txn, BYTES("set"), BYTES("v"), &has));
    assert_true(has);
    assert_string_equal(streams_all(f, "stream"), "1-1{f=x}");
    in(f, OTHER_CACHE);
    assert_int_equal(keys(f), 0);
    in(f, 0);
    assert_int_equal(keys(f), 0);
    streams_reopen(f);
    in(f, CACHE);
    assert_int_equal(keys(f), 0);
    assert_false(there(f, BYTES("string")));
}

static void the_device_sees_nothing_of_it(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    uint64_t lsn = 0;
    uint64_t lsn_after = 0;

    assert_ok(set_in(f, a, "durable"));
    assert_ok(rig_try_commit(f->txn, &lsn));
    f->txn = NULL;
    assert_ok(oxbow_flush(f->rig.db));
    oxbow_stat(f->rig.db, &before);
    for (unsigned i = 0; i < 2000; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "k%u", i % 500);
        streams_begin(f);
        in(f, CACHE);
        assert_ok(set_in(f, text_bytes(name), "some value, again and again"));
        assert_ok(rig_try_commit(f->txn, &lsn_after));
        f->txn = NULL;
    }
    assert_int_equal(lsn_after, lsn);
    assert_ok(oxbow_flush(f->rig.db));
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.device_bytes, before.device_bytes);
    /* The cache holds 140 KB; a checkpoint moves the account by some pages. */
    assert_in_range(after.used_bytes, 0, before.used_bytes + 32768);
    /* The same in a database that is none is seen. */
    streams_begin(f);
    assert_ok(set_in(f, b, "durable"));
    assert_ok(rig_try_commit(f->txn, &lsn_after));
    f->txn = NULL;
    assert_ok(oxbow_flush(f->rig.db));
    oxbow_stat(f->rig.db, &after);
    assert_true(lsn_after > lsn);
    assert_true(after.device_bytes > before.device_bytes);
    streams_begin(f);
}

/* Their times are known all the same, and after a copy to the device at the next opening, too. */
static void queues_of_a_cache_write_nothing_either(void **state)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX, .true_time = true};
    const struct oxbow_policy policy = {.max_entries = 5};
    struct oxbow_policy_info info;
    const struct oxbow_bytes value = BYTES("v");
    const struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    uint64_t lsn = 0;
    uint64_t lsn_after = 0;
    bool copied;

    assert_ok(set_in(f, a, "durable"));
    assert_ok(rig_try_commit(f->txn, &lsn));
    f->txn = NULL;
    assert_ok(oxbow_flush(f->rig.db));
    oxbow_stat(f->rig.db, &before);
    streams_begin(f);
    in(f, CACHE);
    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &value, 1, NULL));
    assert_ok(oxbow_stream_add(f->txn, BYTES("stream"), NULL, &field, 1, NULL));
    assert_ok(rig_try_commit(f->txn, &lsn_after));
    f->txn = NULL;
    assert_int_equal(lsn_after, lsn);
    assert_ok(oxbow_flush(f->rig.db));
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.device_bytes, before.device_bytes);
    streams_begin(f);
    in(f, CACHE);
    assert_ok(oxbow_stream_range(f->txn, BYTES("stream"), &all, &f->result));
    assert_non_null(f->result.times);
    assert_true(f->result.times[0].known);
    assert_ok(oxbow_key_copy(f->txn, BYTES("list"), 0, BYTES("list"), false, &copied));
    assert_true(copied);
    assert_ok(rig_try_commit(f->txn, &lsn_after));
    f->txn = NULL;
    assert_true(lsn_after > lsn);
    streams_begin(f);
    streams_reopen(f);
    assert_ok(oxbow_policy_set(f->txn, BYTES("list"), &policy));
    assert_ok(oxbow_policy_info(f->txn, BYTES("list"), &info));
    assert_int_equal(info.entries, 1);
    assert_true(info.oldest_age_ms != UINT64_MAX);
}

static void a_transaction_over_both_is_one(void **state)
{
    struct streams *f = *state;
    struct oxbow_cache_stat before;

    in(f, CACHE);
    assert_ok(set_in(f, a, "old"));
    assert_ok(set_in(f, b, "a longer value that lies in a block of its own"));
    streams_commit(f);
    streams_begin(f);
    in(f, CACHE);
    before = cache_stat(f);
    assert_ok(set_in(f, a, "new"));
    assert_ok(oxbow_key_delete(f->txn, b, NULL));
    fill(f);
    in(f, 0);
    assert_ok(set_in(f, a, "durable"));
    streams_abort(f);
    streams_begin(f);
    assert_false(there(f, a));
    in(f, CACHE);
    assert_string(f, a, "old");
    assert_string(f, b, "a longer value that lies in a block of its own");
    assert_int_equal(keys(f), 2);
    assert_int_equal(cache_stat(f).bytes, before.bytes);
    assert_ok(set_in(f, a, "new"));
    in(f, 0);
    assert_ok(set_in(f, a, "durable"));
    streams_reopen(f);
    assert_string(f, a, "durable");
    in(f, CACHE);
    assert_false(there(f, a));
}

static void what_is_deleted_gives_its_memory_back(void **state)
{
    struct streams *f = *state;
    struct oxbow_cache_stat before;
    struct oxbow_cache_stat full;

    in(f, CACHE);
    before = cache_stat(f);
    for (unsigned i = 0; i < 500; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "k%u", i);
        assert_ok(set_in(f, text_bytes(name), "value"));
    }
    fill(f);
    streams_commit(f);
    streams_begin(f);
    in(f, CACHE);
    full = cache_stat(f);
    print_message("%u bytes a small string\n", (unsigned)((full.bytes - before.bytes) / 506));
    assert_true(full.bytes > before.bytes + 500 * 50);
    for (unsigned i = 0; i < 500; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "k%u", i);
        assert_ok(oxbow_key_delete(f->txn, text_bytes(name), NULL));
    }
    assert_ok(oxbow_key_flush(f->txn));
    streams_commit(f);
    streams_begin(f);
    /* What a FLUSHDB left is reaped by idle work. */
    for (unsigned i = 0; i < 3000 && cache_stat(f).bytes > before.bytes + 1024; i++) {
        streams_commit(f);
        rig_pass_ms(&f->rig, 1000);
        nap();
        streams_begin(f);
    }
    assert_in_range(cache_stat(f).bytes, before.bytes, before.bytes + 1024);
    assert_true(cache_stat(f).bytes_peak >= full.bytes);
}

static void keys_expire_in_both_orders(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    uint64_t count;

    assert_ok(set_in(f, a, "durable"));
    assert_ok(oxbow_key_expire(f->txn, a, 500, 0, &done));
    in(f, CACHE);
    assert_ok(set_in(f, a, "cached"));
    assert_ok(oxbow_key_expire(f->txn, a, 200, 0, &done));
    assert_ok(set_in(f, b, "cached"));
    assert_ok(oxbow_key_expire(f->txn, b, 900, 0, &done));
    streams_commit(f);
    rig_pass_ms(&f->rig, 300);
    streams_begin(f);
    in(f, CACHE);
    assert_false(there(f, a));
    assert_true(there(f, b));
    in(f, 0);
    assert_true(there(f, a));
    streams_commit(f);
    rig_pass_ms(&f->rig, 1000);
    for (unsigned i = 0; i < 3000; i++) { /* idle work removes both */
        streams_begin(f);
        in(f, CACHE);
        count = keys(f);
        in(f, 0);
        count += keys(f);
        if (count == 0) {
            break;
        }
        streams_commit(f);
        nap();
    }
    assert_int_equal(count, 0);
    assert_ok(oxbow_expired_count(f->txn, &count));
    assert_int_equal(count, 3);
}

static void keys_go_between_a_cache_and_the_device(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    uint64_t ms;
    bool moved;

    in(f, CACHE);
    fill(f);
    assert_ok(oxbow_key_expire(f->txn, BYTES("string"), 5000, 0, &done));
    assert_ok(oxbow_key_move(f->txn, BYTES("string"), 0, &moved));
    assert_true(moved);
    assert_ok(oxbow_key_move(f->txn, BYTES("hash"), 0, &moved));
    assert_true(moved);
    assert_ok(oxbow_key_copy(f->txn, BYTES("list"), 0, BYTES("list"), false, &moved));
    assert_true(moved);
    assert_ok(oxbow_key_move(f->txn, BYTES("zset"), OTHER_CACHE, &moved));
    assert_true(moved);
    assert_int_equal(keys(f), 3);
    in(f, OTHER_CACHE);
    assert_int_equal(keys(f), 1);
    in(f, 0);
    assert_ok(set_in(f, a, "to the cache"));
    assert_ok(oxbow_key_move(f->txn, a, CACHE, &moved));
    assert_true(moved);
    assert_false(there(f, a));
    assert_ok(oxbow_key_ttl(f->txn, BYTES("string"), &ms));
    assert_int_equal(ms, 5000);
    in(f, CACHE);
    assert_string(f, a, "to the cache");
    streams_reopen(f);
    assert_int_equal(keys(f), 3);
    assert_string(f, BYTES("string"), "one");
    assert_ok(oxbow_hash_get(f->txn, BYTES("hash"), BYTES("f"), &f->result));
}

static void databases_are_swapped_with_their_like_alone(void **state)
{
    struct streams *f = *state;

    in(f, CACHE);
    assert_ok(set_in(f, a, "cached"));
    assert_ok(oxbow_key_swap(f->txn, CACHE, OTHER_CACHE));
    assert_false(there(f, a));
    in(f, OTHER_CACHE);
    assert_string(f, a, "cached");
    assert_err(oxbow_key_swap(f->txn, 0, OTHER_CACHE), OXBOW_ENOTSUP);
    assert_err(oxbow_key_swap(f->txn, CACHE, 1), OXBOW_ENOTSUP);
    assert_string(f, a, "cached");
}

static void what_would_outlive_it_is_refused(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy policy = {.max_entries = 5};
    const struct oxbow_delay_when when = {.by = OXBOW_DELAY_FOR, .ms = 1000};
    const struct oxbow_forward_options forward = {.key = BYTES("s"), .type = OXBOW_TYPE_STREAM};
    const struct oxbow_stream_add_options ttl = {.ttl_ms = 1000};
    const struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_delay_id id;
    struct oxbow_id entry;

    in(f, CACHE);
    assert_err(oxbow_policy_set(f->txn, BYTES("s"), &policy), OXBOW_ENOTSUP);
    assert_err(oxbow_delay_add(f->txn, BYTES("s"), &when, &field, 1, &id), OXBOW_ENOTSUP);
    assert_err(oxbow_forward_create(f->txn, "up", &forward), OXBOW_ENOTSUP);
    assert_err(oxbow_stream_add(f->txn, BYTES("s"), &ttl, &field, 1, &entry), OXBOW_ENOTSUP);
    assert_err(oxbow_set_database_sync(f->rig.db, CACHE, OXBOW_SYNC_ALWAYS, 0), OXBOW_ENOTSUP);
    streams_abort(f);
    streams_begin(f);
    in(f, CACHE);
    assert_int_equal(keys(f), 0);
}

static void what_is_on_the_device_is_never_hidden(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options forward = {.key = BYTES("s"), .type = OXBOW_TYPE_STREAM};

    in(f, 5);
    assert_ok(set_in(f, a, "durable"));
    in(f, 6);
    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(oxbow_forward_create(f->txn, "up", &forward));
    streams_commit(f);
    rig_close(&f->rig);
    assert_err(open_with(f, 1u << 5), OXBOW_EEXIST);
    assert_err(open_with(f, 1u << 6), OXBOW_EEXIST);
    assert_err(open_with(f, 1u << 16), OXBOW_EINVAL);
    assert_ok(open_with(f, 1u << 7));
    rig_open(&f->rig);
    streams_begin(f);
    in(f, 5);
    assert_string(f, a, "durable");
}

/* A delayed entry would be added to what the next opening forgets, a policy would have records written. */
static void what_waits_for_a_database_or_rules_it_keeps_it_on_the_device(void **state)
{
    struct streams *f = *state;
    const struct oxbow_delay_when when = {.by = OXBOW_DELAY_FOR, .ms = 1000000};
    const struct oxbow_schedule_options schedule = {
        .when = BYTES("every 1h"), .key = BYTES("q"), .value = BYTES("v")};
    const struct oxbow_binding binding = {.source = BYTES("s"), .destination = BYTES("d")};
    const struct oxbow_policy policy = {.max_entries = 5, .dedupe_ms = 1000};
    const struct oxbow_field field = {BYTES("f"), BYTES("v")};
    bool existed;

    in(f, 5);
    assert_ok(oxbow_delay_push(f->txn, BYTES("q"), OXBOW_RIGHT, &when, BYTES("v"), NULL));
    in(f, 6);
    assert_ok(oxbow_delay_add(f->txn, BYTES("s"), &when, &field, 1, NULL));
    in(f, 7);
    assert_ok(oxbow_schedule_set(f->txn, "hourly", &schedule));
    in(f, 8);
    assert_ok(oxbow_policy_set(f->txn, BYTES("s"), &policy));
    in(f, 9);
    assert_ok(oxbow_bind(f->txn, &binding, NULL));
    streams_commit(f);
    rig_close(&f->rig);
    for (uint32_t i = 5; i < 10; i++) {
        assert_err(open_with(f, 1u << i), OXBOW_EEXIST);
    }
    assert_ok(open_with(f, 1u << 10));
    rig_open(&f->rig);
    streams_begin(f);
    in(f, 8);
    assert_ok(oxbow_policy_clear(f->txn, BYTES("s"), &existed));
    streams_commit(f);
    rig_close(&f->rig);
    assert_ok(open_with(f, 1u << 8));
    rig_open(&f->rig);
    streams_begin(f);
}

static void large_values_are_values_like_others(void **state)
{
    struct streams *f = *state;
    size_t len = (size_t)3 << 20;
    uint8_t *large = malloc(len);
    struct oxbow_cache_stat before;
    struct oxbow_bytes value = {large, len};

    assert_non_null(large);
    for (size_t i = 0; i < len; i++) {
        large[i] = (uint8_t)(i * 31 >> 4);
    }
    in(f, CACHE);
    before = cache_stat(f);
    assert_ok(oxbow_string_set(f->txn, a, value));
    assert_ok(oxbow_list_push(f->txn, b, OXBOW_RIGHT, &value, 1, NULL));
    streams_commit(f);
    streams_begin(f);
    in(f, CACHE);
    assert_in_range(cache_stat(f).bytes, 2 * len, 2 * len + 65536);
    assert_ok(oxbow_string_get(f->txn, a, &f->result));
    assert_int_equal(f->result.items[0].len, len);
    assert_memory_equal(f->result.items[0].data, large, len);
    assert_ok(oxbow_list_range(f->txn, b, 0, -1, &f->result));
    assert_memory_equal(f->result.items[0].data, large, len);
    assert_ok(oxbow_key_delete(f->txn, a, NULL));
    assert_ok(oxbow_key_delete(f->txn, b, NULL));
    assert_in_range(cache_stat(f).bytes, before.bytes, before.bytes + 4096);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(every_type_works_and_nothing_is_left_after_closing),
        CACHE_TEST(the_device_sees_nothing_of_it),
        CACHE_TEST(queues_of_a_cache_write_nothing_either),
        CACHE_TEST(a_transaction_over_both_is_one),
        CACHE_TEST(what_is_deleted_gives_its_memory_back),
        CACHE_TEST(keys_expire_in_both_orders),
        CACHE_TEST(keys_go_between_a_cache_and_the_device),
        CACHE_TEST(databases_are_swapped_with_their_like_alone),
        CACHE_TEST(what_would_outlive_it_is_refused),
        CACHE_TEST(what_is_on_the_device_is_never_hidden),
        CACHE_TEST(what_waits_for_a_database_or_rules_it_keeps_it_on_the_device),
        CACHE_TEST(large_values_are_values_like_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
