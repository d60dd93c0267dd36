/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th call fails, for n = 1, 2, 3 ... until a run meets no fault any more: of the port's file
 * functions, of its allocator, and of what LMDB itself asks of the C library. Each run works or says what failed; afterwards the store opens and holds a
 * prefix of what was committed, with everything in it that was acknowledged. */
#include "engine/store/kv.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#define TXNS       24u
#define BLOB_BYTES 3000000u

static char dir[SCRATCH_MAX];
static uint8_t big[BLOB_BYTES];

/* ---- the scenario ---- */

struct outcome {
    uint32_t committed; /* transactions whose commit said OK, or that they are in doubt */
    uint32_t acked;     /* the newest known to be durable */
    bool complained;
    bool journal; /* there was one: without, something may have kept it from being made */
};

static struct oxbow_bytes key_of(uint8_t out[6], uint32_t i)
{
    memset(out, 0, 6);
    out[0] = KV_SPACE_OBJECT;
    out[4] = (uint8_t)(i >> 8);
    out[5] = (uint8_t)i;
    return (struct oxbow_bytes){out, 6};
}

static const uint8_t counter_key[2] = {KV_SPACE_OBJECT, 0xff};
static const uint8_t chunk_key[2] = {KV_SPACE_OBJECT, 0xfe};
#define COUNTER ((struct oxbow_bytes){counter_key, 2})
#define CHUNK   ((struct oxbow_bytes){chunk_key, 2})

/* Transaction i says that it is the i-th, adds a key, deletes an old one, and appends to a chunk.
 */
static enum oxbow_err write_one(struct oxbow_txn *txn, uint32_t i)
{
    uint8_t key[6];
    uint8_t value[200];
    uint64_t blob = 0;
    enum oxbow_err err;

    memset(value, (int)i, sizeof value);
    err = txn_reserve_bytes(txn, sizeof value);
    if (err == OXBOW_OK) {
        err = kv_put(txn, COUNTER, (struct oxbow_bytes){&i, sizeof i});
    }
    if (err == OXBOW_OK) {
        err = kv_put(txn, key_of(key, i), (struct oxbow_bytes){value, sizeof value});
    }
    if (err == OXBOW_OK && i >= 5) {
        err = kv_del(txn, key_of(key, i - 4));
    }
    if (err == OXBOW_OK) {
        err = i == 1 ? kv_put(txn, CHUNK, (struct oxbow_bytes){value, sizeof value})
                     : kv_patch(txn, CHUNK, (i - 1) * sizeof value,
                                (struct oxbow_bytes){value, sizeof value});
    }
    if (err == OXBOW_OK && i == 7) {
        err = kv_blob_write(txn, (struct oxbow_bytes){big, sizeof big}, &blob);
    }
    return err;
}

static enum oxbow_err run_one(struct oxbow *db, uint32_t i, struct outcome *o)
{
    struct oxbow_txn_options opt = {.sync = i % 3 == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = write_one(txn, i);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    err = oxbow_txn_commit(txn, NULL);
    if (err == OXBOW_OK || err == OXBOW_EINDOUBT) {
        o->committed = i;
    }
    if (err == OXBOW_OK && opt.sync == OXBOW_SYNC_ALWAYS) {
        o->acked = i;
    }
    return err;
}

static struct outcome run(const struct oxbow_port *port)
{
    struct oxbow_config config = {.dir = dir, .port = port, .sync = OXBOW_SYNC_INTERVAL};
    struct outcome o = {0, 0, false, false};
    struct oxbow_stat stat;
    struct oxbow *db;
    enum oxbow_err err = oxbow_open(&config, &db);

    if (err != OXBOW_OK) {
        o.complained = true;
        return o;
    }
    oxbow_stat(db, &stat);
    o.journal = stat.journal;
    for (uint32_t i = 1; i <= TXNS && err == OXBOW_OK; i++) {
        err = run_one(db, i, &o);
    }
    if (err != OXBOW_OK) {
        o.complained = true;
    }
    err = oxbow_close(db);
    if (err == OXBOW_OK) {
        o.acked = o.committed;
    } else {
        o.complained = true;
    }
    return o;
}

static void check_key(struct oxbow_txn *txn, uint32_t i, bool there)
{
    struct oxbow_bytes got;
    uint8_t key[6];
    uint8_t want[200];

    memset(want, (int)i, sizeof want);
    if (there) {
        assert_int_equal(kv_get(txn, key_of(key, i), &got), OXBOW_OK);
        assert_int_equal(got.len, sizeof want);
        assert_memory_equal(got.data, want, sizeof want);
    } else {
        assert_int_equal(kv_get(txn, key_of(key, i), &got), OXBOW_ENOENT);
    }
}

/* The store opens, and holds what the first n transactions made, all acknowledged ones among them.
 */
static void check_prefix(const struct outcome *o)
{
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_bytes got;
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint32_t n = 0;
    enum oxbow_err err;

    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    err = kv_get(txn, COUNTER, &got);
    if (err == OXBOW_OK) {
        memcpy(&n, got.data, sizeof n);
    } else {
        assert_int_equal(err, OXBOW_ENOENT);
    }
    assert_true(n >= o->acked);
    assert_true(n <= o->committed);
    for (uint32_t i = 1; i <= TXNS; i++) {
        check_key(txn, i, i <= n && i + 4 > n);
    }
    if (n > 0) {
        assert_int_equal(kv_get(txn, CHUNK, &got), OXBOW_OK);
        assert_int_equal(got.len, n * 200);
    }
    /* And it goes on. */
    assert_int_equal(kv_put(txn, COUNTER, (struct oxbow_bytes){&n, sizeof n}), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void new_dir(void)
{
    scratch_name(dir, "faults");
    scratch_remove(dir);
}

static void file_faults(uint32_t kinds, enum oxbow_err what, uint32_t points_min)
{
    struct fault f;
    uint32_t points = 0;

    for (uint64_t n = 1;; n++) {
        struct outcome o;

        new_dir();
        fault_init(&f, oxbow_port_default());
        fault_arm_files(&f, kinds, n, 1, what);
        o = run(&f.port);
        fault_disarm(&f);
        assert_int_equal(f.live_bytes, 0);
        check_prefix(&o);
        if (f.file_failed == 0) {
            assert_false(o.complained);
            break;
        }
        points++;
    }
    print_message("%u fault points\n", points);
    assert_true(points >= points_min);
    scratch_remove(dir);
}

static void a_file_call_that_fails_loses_nothing_acknowledged(void **state)
{
    (void)state;
    file_faults(FAULT_ALL, OXBOW_EIO, 30);
}

static void a_full_disk_loses_nothing_acknowledged(void **state)
{
    (void)state;
    file_faults(FAULT_WRITING, OXBOW_ENOSPC, 12);
}

static void an_allocation_that_fails_loses_nothing_acknowledged(void **state)
{
    struct fault f;
    uint32_t points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct outcome o;

        new_dir();
        fault_init(&f, oxbow_port_default());
        fault_arm_alloc(&f, n, 1);
        o = run(&f.port);
        fault_disarm(&f);
        assert_int_equal(f.live_bytes, 0);
        check_prefix(&o);
        if (f.alloc_failed == 0) {
            assert_false(o.complained);
            break;
        }
        points++;
    }
    print_message("%u fault points\n", points);
    assert_true(points >= 15);
    scratch_remove(dir);
}

static uint32_t lmdb_faults(uint32_t kinds, int what)
{
    uint32_t points = 0;
    struct fault f;

    for (uint64_t n = 1;; n++) {
        struct outcome o;
        uint64_t fired;

        new_dir();
        fault_init(&f, oxbow_port_default());
        lmdb_fault_arm(kinds, n, what);
        o = run(&f.port);
        fired = lmdb_fault_disarm();
        assert_int_equal(f.live_bytes, 0);
        check_prefix(&o);
        if (fired == 0) {
            assert_false(o.complained);
            break;
        }
        assert_true(o.complained || !o.journal || kinds == LMDB_FAULT_MEMORY); /* tried again */
        points++;
    }
    print_message("%u fault points\n", points);
    scratch_remove(dir);
    return points;
}

static void a_call_of_lmdb_that_fails_loses_nothing_acknowledged(void **state)
{
    (void)state;
    assert_true(lmdb_faults(LMDB_FAULT_READING, EIO) >= 8);
    assert_true(lmdb_faults(LMDB_FAULT_WRITING, EIO) >= 40);
    assert_true(lmdb_faults(LMDB_FAULT_WRITING, ENOSPC) >= 40);
    assert_true(lmdb_faults(LMDB_FAULT_MEMORY, ENOMEM) >= 40);
}

/* What was applied but is not on the device when the store fails has no known outcome, and nothing
 * is acknowledged after that until the store is opened again. */
static void a_store_that_failed_acknowledges_nothing_more(void **state)
{
    struct fault f;
    struct oxbow_config config = {.dir = dir, .port = &f.port, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_txn_options always = {.sync = OXBOW_SYNC_ALWAYS};
    struct oxbow_txn *txn;
    struct oxbow *db;
    struct outcome o = {0, 0, false, false};

    (void)state;
    new_dir();
    fault_init(&f, oxbow_port_default());
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(run_one(db, 1, &o), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, &always, &txn), OXBOW_OK);
    assert_int_equal(write_one(txn, 2), OXBOW_OK);
    lmdb_fault_arm(LMDB_FAULT_WRITING, 1, EIO);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EINDOUBT);
    assert_int_equal(lmdb_fault_disarm(), 1);
    assert_int_equal(oxbow_flush(db), OXBOW_EINDOUBT);
    assert_int_equal(oxbow_wait(db, 2, 1000), OXBOW_EINDOUBT);
    assert_int_equal(oxbow_txn_begin(db, &always, &txn), OXBOW_EFAILED);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_EFAILED);
    assert_true(oxbow_close(db) != OXBOW_OK);
    o.committed = 2;
    check_prefix(&o);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_call_that_fails_loses_nothing_acknowledged),
        cmocka_unit_test(a_full_disk_loses_nothing_acknowledged),
        cmocka_unit_test(an_allocation_that_fails_loses_nothing_acknowledged),
        cmocka_unit_test(a_call_of_lmdb_that_fails_loses_nothing_acknowledged),
        cmocka_unit_test(a_store_that_failed_acknowledges_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
