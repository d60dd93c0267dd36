/* SPDX-License-Identifier: Apache-2.0 */
/* Full stores and full disks: pushing stops with an error, emptying goes on, pushing comes back by
 * itself, and the store opens at every step. */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "engine/store/store.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define QUOTA (2u << 20)

static char dir[SCRATCH_MAX];
static struct fault f;

static struct oxbow_config config_of(void)
{
    return (struct oxbow_config){.dir = dir,
                                 .journal = OXBOW_JOURNAL_OFF,
                                 .port = &f.port,
                                 .sync = OXBOW_SYNC_INTERVAL,
                                 .quota_bytes = QUOTA,
                                 .dirty_pages = 64,
                                 .memtable_bytes = 128 << 10,
                                 .txn_bytes = 256 << 10};
}

static int fresh(void **state)
{
    (void)state;
    scratch_name(dir, "quota");
    scratch_remove(dir);
    fault_init(&f, oxbow_port_default());
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow *reopen(struct oxbow *db)
{
    struct oxbow_config config = config_of();

    if (db != NULL) {
        assert_int_equal(oxbow_close(db), OXBOW_OK);
    }
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    return db;
}

static struct oxbow_bytes key_of(uint8_t out[13], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i % 10);
    put_be32(out + 9, i);
    return (struct oxbow_bytes){out, 13};
}

/* Pushes a value of `len` bytes as number i. */
static enum oxbow_err push(struct oxbow *db, uint32_t i, size_t len)
{
    static uint8_t value[KV_PAGE_MAX];
    struct oxbow_txn *txn;
    uint8_t key[13];
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    err = txn_reserve_bytes(txn, len);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    assert_int_equal(kv_put(txn, key_of(key, i), (struct oxbow_bytes){value, len}), OXBOW_OK);
    return oxbow_txn_commit(txn, NULL);
}

static void del(struct oxbow *db, uint32_t i)
{
    struct oxbow_txn *txn;
    uint8_t key[13];

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

/* Pushes until it is refused, even after a checkpoint; returns how many from `from` on. */
static uint32_t fill(struct oxbow *db, uint32_t from, size_t len, enum oxbow_err until)
{
    uint32_t i = from;
    uint32_t refusals = 0;

    while (refusals < 3) {
        enum oxbow_err err = push(db, i, len);

        if (err == OXBOW_OK) {
            i++;
            refusals = 0;
        } else {
            assert_int_equal(err, until);
            assert_int_equal(oxbow_flush(db), OXBOW_OK);
            refusals++;
        }
        assert_true(i < 200000);
    }
    return i - from;
}

static void a_full_store_refuses_pushes_and_can_be_emptied(void **state)
{
    static const size_t lens[] = {100, 1500, KV_PAGE_MAX};

    (void)state;
    for (size_t l = 0; l < 3; l++) {
        struct oxbow *db = reopen(NULL);
        struct oxbow_stat stat;
        uint32_t n = fill(db, 0, lens[l], OXBOW_EQUOTA);

        oxbow_stat(db, &stat);
        assert_true(n * lens[l] > QUOTA / 3);
        print_message("%zu bytes: %u pushed, used %llu of %u, file %llu\n", lens[l], n,
                      (unsigned long long)stat.used_bytes, QUOTA,
                      (unsigned long long)stat.file_bytes);
        assert_true(stat.used_bytes <= QUOTA + stat.reserve_bytes);
        assert_true(stat.file_bytes <= QUOTA + (4u << 20));
        for (uint32_t i = 0; i < n; i++) {
            if (i % (n / 8) == 0) {
                db = reopen(db);
            }
            del(db, i);
        }
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        assert_true(fill(db, n, lens[l], OXBOW_EQUOTA) > n * 9 / 10);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        scratch_remove(dir);
    }
}

static void filling_and_emptying_for_ever_keeps_the_file_bounded(void **state)
{
    struct oxbow *db = reopen(NULL);
    struct oxbow_stat stat;
    uint32_t from = 0;

    (void)state;
    for (int round = 0; round < 6; round++) {
        uint32_t n = fill(db, from, 1200, OXBOW_EQUOTA);

        for (uint32_t i = from; i < from + n; i++) {
            del(db, i);
        }
        from += n;
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        oxbow_stat(db, &stat);
        assert_true(stat.file_bytes <= QUOTA + (4u << 20));
    }
    assert_int_equal(stat.keys, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_store_at_its_quota_opens_time_and_again(void **state)
{
    struct oxbow *db = reopen(NULL);
    struct oxbow_stat stat;

    (void)state;
    (void)fill(db, 0, 1000, OXBOW_EQUOTA);
    for (int i = 0; i < 50; i++) {
        db = reopen(db);
        assert_int_equal(push(db, 1000000, 1000), OXBOW_EQUOTA);
    }
    oxbow_stat(db, &stat);
    assert_int_equal(stat.boot, 51);
    assert_true(stat.file_bytes <= QUOTA + (4u << 20));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_full_disk_refuses_pushes_until_there_is_room(void **state)
{
    struct oxbow *db = reopen(NULL);
    uint32_t n;

    (void)state;
    fault_arm_files(&f, FAULT_RESERVE, 1, UINT64_MAX, OXBOW_ENOSPC);
    n = fill(db, 0, 1000, OXBOW_ENOSPC);
    for (uint32_t i = 0; i < n; i++) {
        del(db, i);
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    fault_disarm(&f);
    assert_true(fill(db, n, 1000, OXBOW_EQUOTA) > 1000);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* Puts (or deletes) a value of an object of its own; the objects of neighbouring numbers lie far
 * apart. */
static void scattered(struct oxbow *db, uint32_t i, bool there)
{
    static const uint8_t value[300];
    struct oxbow_txn *txn;
    uint8_t key[13];

    key[0] = KV_SPACE_OBJECT;
    put_be64(key + 1, i * 2654435761u);
    put_be32(key + 9, 0);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    if (there) {
        assert_int_equal(
            kv_put(txn, (struct oxbow_bytes){key, 13}, (struct oxbow_bytes){value, sizeof value}),
            OXBOW_OK);
    } else {
        assert_int_equal(kv_del(txn, (struct oxbow_bytes){key, 13}), OXBOW_OK);
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void emptying_on_a_full_disk_keeps_to_what_the_file_has(void **state)
{
    const uint32_t n = 10000;
    struct oxbow_config config = {.dir = dir,
                                  .journal = OXBOW_JOURNAL_OFF,
                                  .port = &f.port,
                                  .sync = OXBOW_SYNC_INTERVAL,
                                  .interval_ms = 60000,
                                  .quota_bytes = 32 << 20};
    struct oxbow *db;
    struct oxbow_stat stat;

    (void)state;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    for (uint32_t i = 0; i < n; i++) {
        scattered(db, i, true);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(push(db, n, 100), OXBOW_OK); /* has the reserve */
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    fault_arm_files(&f, FAULT_RESERVE, 1, UINT64_MAX, OXBOW_ENOSPC);
    for (uint32_t i = 0; i < n; i++) {
        scattered(db, i, false);
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    oxbow_stat(db, &stat);
    print_message("file %llu of %llu, %llu checkpoints\n", (unsigned long long)stat.file_bytes,
                  (unsigned long long)db->reserved_bytes, (unsigned long long)stat.checkpoints);
    assert_true(stat.file_bytes <= db->reserved_bytes);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_file_system_that_cannot_reserve_is_asked_for_its_space(void **state)
{
    struct oxbow *db;

    (void)state;
    fault_arm_files(&f, FAULT_RESERVE, 1, UINT64_MAX, OXBOW_ENOTSUP);
    db = reopen(NULL);
    assert_int_equal(push(db, 0, 1000), OXBOW_OK);
    assert_true(f.file_failed > 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void large_values_count_and_are_reaped(void **state)
{
    static uint8_t data[600000];
    struct oxbow *db = reopen(NULL);
    struct oxbow_txn *txn;
    struct oxbow_stat stat;
    uint64_t blob[8];
    uint32_t n = 0;
    uint8_t got[100];
    enum oxbow_err err;

    (void)state;
    memset(data, 7, sizeof data);
    do {
        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        err = kv_blob_write(txn, (struct oxbow_bytes){data, sizeof data}, &blob[n]);
        if (err == OXBOW_OK) {
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
            n++;
        } else {
            oxbow_txn_abort(txn);
        }
    } while (err == OXBOW_OK && n < 8);
    assert_int_equal(err, OXBOW_EQUOTA);
    assert_int_equal(n, 3);
    db = reopen(db);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob[1], 500000, got, sizeof got), OXBOW_OK);
    assert_memory_equal(got, data, sizeof got);
    assert_int_equal(kv_blob_read(txn, blob[1], sizeof data - 99, got, sizeof got), OXBOW_ERANGE);
    assert_int_equal(kv_blob_read(txn, blob[2] + 1, 0, got, 1), OXBOW_ENOENT);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(kv_blob_delete(txn, blob[i]), OXBOW_OK);
        assert_int_equal(kv_blob_delete(txn, blob[i]), OXBOW_ENOENT);
        assert_int_equal(kv_blob_read(txn, blob[i], 0, got, 1), OXBOW_ENOENT);
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        oxbow_stat(db, &stat);
        if (stat.keys == 0) {
            break;
        }
        assert_int_equal(usleep(5000), 0);
    }
    assert_int_equal(stat.keys, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_large_value_of_an_aborted_transaction_is_reaped(void **state)
{
    static uint8_t data[600000];
    struct oxbow *db = reopen(NULL);
    struct oxbow_txn *txn;
    struct oxbow_stat stat;
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){data, sizeof data}, &first), OXBOW_OK);
    oxbow_txn_abort(txn);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        oxbow_stat(db, &stat);
        if (stat.keys == 0) {
            break;
        }
        assert_int_equal(usleep(5000), 0);
    }
    assert_int_equal(stat.keys, 0);
    db = reopen(db);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){data, 1}, &second), OXBOW_OK);
    assert_true(second > first);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void what_is_reaped_comes_free_although_callers_never_rest(void **state)
{
    static uint8_t data[1500000];
    struct oxbow *db = reopen(NULL);
    struct oxbow_txn *txn;
    time_t until;
    enum oxbow_err err;
    uint64_t blob;

    (void)state;
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){data, sizeof data}, &blob), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_delete(txn, blob), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    until = time(NULL) + 120;
    do {
        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        err = txn_reserve_bytes(txn, sizeof data);
        oxbow_txn_abort(txn);
        assert_true(err == OXBOW_OK || err == OXBOW_EQUOTA);
    } while (err != OXBOW_OK && time(NULL) < until);
    assert_int_equal(err, OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* Writes one value of each of `count` objects, as many names do. */
static void write_each(struct oxbow *db, uint32_t count)
{
    static const uint8_t value[30];

    for (uint32_t i = 0; i < count; i++) {
        struct oxbow_txn *txn;
        uint8_t key[9] = {KV_SPACE_OBJECT};

        put_be64(key + 1, i);
        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, sizeof key},
                                (struct oxbow_bytes){value, sizeof value}),
                         OXBOW_OK);
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    }
}

/* How many checkpoints it takes to write them all once more. */
static uint64_t checkpoints_to_rewrite(uint32_t count)
{
    struct oxbow_config config = config_of();
    struct oxbow_stat stat;
    struct oxbow *db;
    uint64_t before;
    uint64_t cost;
    uint64_t written;

    config.interval_ms = 3600000; /* none for want of time */
    config.checkpoint_ms = 3600000;
    config.quota_bytes = 64u << 20;
    config.dirty_pages = 256;
    config.memtable_bytes = 16u << 20;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    write_each(db, count);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    oxbow_stat(db, &stat);
    before = stat.checkpoints;
    write_each(db, count);
    oxbow_stat(db, &stat);
    store_lock(db);
    cost = quota_cost(db, db->active) / MEM_COST_PAGE;
    written = db->usage.written;
    store_unlock(db);
    if (stat.checkpoints == before) { /* then all is in one table */
        assert_true(cost > 0);
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        written = db->usage.written - written;
        print_message("%u objects: %llu pages estimated, %llu written\n", count,
                      (unsigned long long)cost, (unsigned long long)written);
        assert_in_range(written, 1, cost + RESERVE_PAGES);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
    return stat.checkpoints - before;
}

static void a_table_dirties_no_more_pages_than_there_are(void **state)
{
    (void)state;
    assert_int_equal(checkpoints_to_rewrite(2000), 0); /* far more objects than a table has pages */
    assert_true(checkpoints_to_rewrite(30000) > 0);    /* the tree is larger */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_table_dirties_no_more_pages_than_there_are),
        TEST(a_full_store_refuses_pushes_and_can_be_emptied),
        TEST(filling_and_emptying_for_ever_keeps_the_file_bounded),
        TEST(a_store_at_its_quota_opens_time_and_again),
        TEST(a_full_disk_refuses_pushes_until_there_is_room),
        TEST(emptying_on_a_full_disk_keeps_to_what_the_file_has),
        TEST(a_file_system_that_cannot_reserve_is_asked_for_its_space),
        TEST(large_values_count_and_are_reaped),
        TEST(a_large_value_of_an_aborted_transaction_is_reaped),
        TEST(what_is_reaped_comes_free_although_callers_never_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
