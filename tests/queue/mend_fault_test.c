/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th call fails while a damaged store is opened, for n = 1, 2, 3 ... until a run meets no fault:
 * of the port's file functions, of its allocator, and of what LMDB asks of the C library. Each run works or says what failed; what it
 * serves, and what the next open serves, is what an undisturbed one does: the same entries, the same
 * losses told once, the same damaged file kept. */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/salvage.h"
#include "oxbow/check.h"
#include "tests/queue/damaged.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct damaged store;
static struct fault f;

static enum oxbow_err open_store(uint32_t flags, struct oxbow **db)
{
    struct oxbow_config config;

    damaged_config(&store, &config);
    config.port = &f.port;
    config.flags = flags;
    return oxbow_open(&config, db);
}

/* What an undisturbed open of the damaged store gives. */
static char *wanted;
static bool rebuilt;        /* with a new data file */
static uint64_t lmdb_armed; /* the call of LMDB that fails; 0: none */

/* False when the store has failed: what it does at its leisure, after an open that worked, may be what
 * meets the fault. */
static bool assert_same_or_failed(struct oxbow *db)
{
    char *got = damaged_describe(db);

    if (got == NULL) {
        return false;
    }
    if (strcmp(got, wanted) != 0) {
        print_message("call %llu, allocation %llu, call of LMDB %llu, wanted:\n%sgot:\n%s",
                      (unsigned long long)f.file_last, (unsigned long long)f.alloc_last,
                      (unsigned long long)lmdb_armed, wanted, got);
        fail();
    }
    free(got);
    assert_true(!rebuilt || damaged_kept(&store));
    return true;
}

static void assert_same(struct oxbow *db)
{
    assert_true(assert_same_or_failed(db));
}

static void assert_sound(void)
{
    const struct oxbow_check_options options = {.port = &f.port};
    struct oxbow_check_report report;

    assert_int_equal(oxbow_check(store.dir, &options, &report), OXBOW_OK);
    assert_int_equal(report.damage + report.values_bad + report.lost_pages, 0);
}

/* The n-th page of the kind is one that is in use: something is told. */
static void undisturbed(enum damaged_kind kind, uint32_t flags)
{
    struct oxbow *db;
    unsigned nth = 0;

    for (bool told = false; !told; nth++) {
        assert_true(damaged_hurt(&store, kind, nth));
        damaged_put(&store);
        assert_int_equal(open_store(flags, &db), OXBOW_OK);
        free(wanted);
        wanted = damaged_describe(db);
        assert_non_null(wanted);
        told = strstr(wanted, "loss ") != NULL;
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        rebuilt = damaged_kept(&store);
    }
    assert_sound();
    assert_true(strstr(wanted, "list OXBOW_OK") != NULL || kind == DAMAGED_CUT);
}

static bool fits(enum oxbow_err err, enum oxbow_err injected)
{
    return err == injected || err == OXBOW_EINDOUBT || err == OXBOW_EFAILED;
}

static void disarm(void)
{
    fault_disarm(&f);
    (void)lmdb_fault_disarm();
}

/* One run with whatever is armed. */
static void run(uint32_t flags, enum oxbow_err injected)
{
    struct oxbow *db;
    enum oxbow_err err;

    err = open_store(flags, &db);
    if (err == OXBOW_OK) {
        bool works;

        disarm();
        works = assert_same_or_failed(db);
        err = oxbow_close(db);
        if (!works) {
            assert_true(f.file_failed + f.alloc_failed + lmdb_fault_disarm() > 0);
            assert_int_not_equal(err, OXBOW_OK);
        }
    }
    assert_true(err == OXBOW_OK || fits(err, injected));
    disarm();
    assert_int_equal(f.live_bytes, 0);
    assert_int_equal(open_store(flags, &db), OXBOW_OK);
    assert_same(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_sound();
    assert_int_equal(f.live_bytes, 0);
}

static uint64_t file_faults(uint32_t flags, uint32_t kinds, enum oxbow_err what)
{
    for (uint64_t n = 1;; n++) {
        damaged_put(&store);
        fault_arm_files(&f, kinds, n, 1, what);
        run(flags, what);
        if (f.file_failed == 0) {
            return n - 1;
        }
        assert_int_equal(f.file_failed, 1);
    }
}

static uint64_t alloc_faults(uint32_t flags)
{
    for (uint64_t n = 1;; n++) {
        damaged_put(&store);
        fault_arm_alloc(&f, n, 1);
        run(flags, OXBOW_ENOMEM);
        if (f.alloc_failed == 0) {
            return n - 1;
        }
        assert_int_equal(f.alloc_failed, 1);
    }
}

static uint64_t lmdb_faults(uint32_t flags, uint32_t kinds, int err, enum oxbow_err what)
{
    fault_init(&f, oxbow_port_default());
    for (lmdb_armed = 1;; lmdb_armed++) {
        damaged_put(&store);
        lmdb_fault_arm(kinds, lmdb_armed, err);
        run(flags, what);
        if (lmdb_fault_disarm() == 0) {
            return lmdb_armed - 1;
        }
    }
}

static void every_fault_of_lmdb(uint32_t flags)
{
    uint64_t reads, writes, full, memory;

    reads = lmdb_faults(flags, LMDB_FAULT_READING, EIO, OXBOW_EIO);
    writes = lmdb_faults(flags, LMDB_FAULT_WRITING, EIO, OXBOW_EIO);
    full = lmdb_faults(flags, LMDB_FAULT_WRITING, ENOSPC, OXBOW_ENOSPC);
    memory = lmdb_faults(flags, LMDB_FAULT_MEMORY, ENOMEM, OXBOW_ENOMEM);
    lmdb_armed = 0;
    print_message("calls of LMDB: %llu to read, %llu to write, %llu for want of space, %llu for "
                  "memory\n",
                  (unsigned long long)reads, (unsigned long long)writes, (unsigned long long)full,
                  (unsigned long long)memory);
    assert_true(reads >= 8);
    assert_true(writes >= 12);
    assert_true(full >= 12);
    assert_true(memory >= 40);
}

static void every_fault(enum damaged_kind kind, uint32_t flags)
{
    uint64_t broken, full, memory;

    undisturbed(kind, flags);
    broken = file_faults(flags, FAULT_ALL, OXBOW_EIO);
    full = file_faults(flags, FAULT_WRITING, OXBOW_ENOSPC);
    memory = alloc_faults(flags);
    print_message("%s: %llu calls, %llu for want of space, %llu allocations\n%s",
                  damaged_name(kind), (unsigned long long)broken, (unsigned long long)full,
                  (unsigned long long)memory, wanted);
    assert_true(broken >= 60);
    assert_true(full >= 10);
    assert_true(memory >= 20);
    every_fault_of_lmdb(flags);
}

static void a_destroyed_meta_page_is_written_again_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_META_0, 0);
    every_fault(DAMAGED_META_1, 0);
}

static void a_damaged_leaf_is_left_out_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_LEAF, 0);
}

static void a_damaged_branch_is_left_out_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_BRANCH, 0);
}

static void a_file_cut_off_is_mended_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_CUT, 0);
}

static void a_bad_value_is_repaired_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_VALUE, OXBOW_OPEN_REPAIR);
}

static void a_leaf_is_repaired_whatever_call_fails(void **state)
{
    (void)state;
    every_fault(DAMAGED_LEAF, OXBOW_OPEN_REPAIR);
}

static int fresh(void **state)
{
    (void)state;
    fault_init(&f, oxbow_port_default());
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_destroyed_meta_page_is_written_again_whatever_call_fails),
        TEST(a_damaged_leaf_is_left_out_whatever_call_fails),
        TEST(a_damaged_branch_is_left_out_whatever_call_fails),
        TEST(a_file_cut_off_is_mended_whatever_call_fails),
        TEST(a_bad_value_is_repaired_whatever_call_fails),
        TEST(a_leaf_is_repaired_whatever_call_fails),
    };
    char dir[] = "/dev/shm/oxbow-mend-fault-XXXXXX";
    char elsewhere[] = "/tmp/oxbow-mend-fault-XXXXXX";
    const char *at = mkdtemp(dir);
    int failed;

    fault_init(&f, oxbow_port_default());
    damaged_make(&store, at != NULL ? at : mkdtemp(elsewhere));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    damaged_free(&store);
    free(wanted);
    return failed;
}
