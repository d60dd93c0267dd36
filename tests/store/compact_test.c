/* SPDX-License-Identifier: Apache-2.0 */
/* Compacting: the same content in a shorter file, or the store as it was. */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "oxbow/check.h"
#include "oxbow/compact.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS 4000u

static uint32_t keys; /* of them, that a test stores */

static struct fault fault;
static uint64_t room; /* what the port says is free; 0: the truth */

static enum oxbow_err space(void *ctx, const char *dir, uint64_t *free_bytes, uint64_t *total_bytes,
                            char kind[16])
{
    const struct oxbow_files *files = &oxbow_port_default()->files;
    enum oxbow_err err = files->space(files->ctx, dir, free_bytes, total_bytes, kind);

    (void)ctx;
    *free_bytes = room != 0 ? room : *free_bytes;
    return err;
}

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    room = 0;
    keys = KEYS;
    rig->port.files.space = space;
    fault_init(&fault, &rig->port);
    rig->config.port = &fault.port;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static bool kept(uint32_t i)
{
    return i % 20 == 0;
}

static struct oxbow_bytes key_of(uint8_t out[9], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i);
    return (struct oxbow_bytes){out, 9};
}

static struct oxbow_bytes value_of(uint8_t out[9000], uint32_t i)
{
    size_t len = i % 50 == 0 ? 9000 : i % 3 == 0 ? 4000 : 100;

    memset(out, (int)(i * 11), len);
    return (struct oxbow_bytes){out, len};
}

/* Stores many values and deletes most. */
static void fill(struct rig *rig)
{
    static uint8_t value[9000];
    uint8_t key[9];
    struct oxbow_txn *txn;

    rig_open(rig);
    for (uint32_t i = 0; i < keys;) {
        txn = rig_begin(rig, 0);
        for (uint32_t end = i + 100; i < end; i++) {
            assert_int_equal(kv_put(txn, key_of(key, i), value_of(value, i)), OXBOW_OK);
        }
        rig_commit(txn);
    }
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    for (uint32_t i = 0; i < keys; i++) {
        if (!kept(i)) {
            assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
        }
    }
    rig_commit(txn);
}

static void assert_whole(struct rig *rig)
{
    static uint8_t want[9000];
    struct oxbow_check_report report;
    struct oxbow_bytes got;
    struct oxbow_txn *txn;
    uint8_t key[9];

    rig_open(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    for (uint32_t i = 0; i < keys; i++) {
        enum oxbow_err err = kv_get(txn, key_of(key, i), &got);

        assert_int_equal(err, kept(i) ? OXBOW_OK : OXBOW_ENOENT);
        if (err == OXBOW_OK) {
            struct oxbow_bytes w = value_of(want, i);

            assert_int_equal(got.len, w.len);
            assert_memory_equal(got.data, w.data, w.len);
        }
    }
    rig_abort(txn);
    rig_close(rig);
    assert_int_equal(oxbow_check(rig->store, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage + report.values_bad + report.lost_pages, 0);
}

static bool exists(const struct rig *rig, const char *name)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s", rig->store, name);
    return access(path, F_OK) == 0;
}

static enum oxbow_err compact(const struct rig *rig, struct oxbow_compact_report *report)
{
    const struct oxbow_compact_options options = {.port = &fault.port};

    (void)rig;
    return oxbow_compact(rig->store, &options, report);
}

static void a_compacted_store_is_short_and_holds_the_same(void **state)
{
    struct rig *rig = *state;
    struct oxbow_compact_report report;
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow_wear wear;
    uint64_t written;
    uint64_t other, reopening;

    fill(rig);
    oxbow_stat(rig->db, &before);
    rig_close(rig);
    rig_open(rig);
    oxbow_wear(rig->db, &wear);
    other = wear.life.other_bytes;
    rig_reopen(rig);
    oxbow_wear(rig->db, &wear);
    written = wear.life.checkpoint_bytes;
    reopening = wear.life.other_bytes - other;
    other = wear.life.other_bytes;
    rig_close(rig);
    assert_int_equal(compact(rig, &report), OXBOW_OK);
    print_message("file %llu, then %llu; needed %llu\n", (unsigned long long)report.file_bytes,
                  (unsigned long long)report.new_bytes, (unsigned long long)report.need_bytes);
    assert_int_equal(report.keys, KEYS / 20);
    assert_true(report.new_bytes < report.file_bytes / 5);
    assert_true(report.new_bytes <= report.need_bytes);
    assert_false(exists(rig, "compact/data.mdb"));
    assert_false(exists(rig, "compact/lock.mdb"));
    assert_whole(rig);
    rig_open(rig);
    oxbow_stat(rig->db, &after);
    oxbow_wear(rig->db, &wear);
    assert_true(after.lsn_applied >= before.lsn_applied);
    assert_int_equal(after.boot, 5);
    assert_int_equal(after.store_id, before.store_id);
    assert_true(wear.life.checkpoint_bytes >= written + report.new_bytes * 9 / 10);
    assert_true(wear.life.other_bytes >= other + 2 * reopening); /* it opens the store, too */
    rig_close(rig);
}

/* What the journal holds above the tree belongs to the copy as to the original. */
static void a_store_that_crashed_is_compacted_without_losing_its_journal(void **state)
{
    struct rig *rig = *state;
    struct oxbow_compact_report report;
    struct oxbow_txn *txn;
    struct oxbow_bytes got;
    char aside[400];
    char command[1000];

    fill(rig);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_put(txn, BYTES("\x20late"), BYTES("value")), OXBOW_OK);
    assert_int_equal(rig_try_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    /* As a crash would leave it. */
    snprintf(aside, sizeof aside, "%s/crashed", rig->dir);
    snprintf(command, sizeof command, "cp -r '%s' '%s'", rig->store, aside);
    assert_int_equal(system(command), 0);
    rig_close(rig);
    assert_int_equal(oxbow_compact(aside, NULL, &report), OXBOW_OK);
    rig->config.dir = aside;
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_OK);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(kv_get(txn, BYTES("\x20late"), &got), OXBOW_OK);
    assert_int_equal(got.len, 5);
    rig_abort(txn);
    rig_close(rig);
    rig->config.dir = rig->store;
}

static void too_little_space_is_refused_with_the_numbers(void **state)
{
    struct rig *rig = *state;
    struct oxbow_compact_report report;
    uint64_t need;

    fill(rig);
    rig_close(rig);
    room = 1000;
    assert_int_equal(compact(rig, &report), OXBOW_ENOSPC);
    assert_int_equal(report.free_bytes, 1000);
    assert_int_equal(report.new_bytes, 0);
    need = report.need_bytes;
    assert_true(need > 100000 && need < report.file_bytes);
    assert_false(exists(rig, "compact"));
    room = need - 1;
    assert_int_equal(compact(rig, &report), OXBOW_ENOSPC);
    assert_whole(rig);
    room = need + (64u << 10); /* opening has changed it a little */
    assert_int_equal(compact(rig, &report), OXBOW_OK);
    assert_whole(rig);
}

static void a_store_that_is_open_or_not_there_is_not_compacted(void **state)
{
    struct rig *rig = *state;
    struct oxbow_compact_report report;

    assert_int_equal(compact(rig, &report), OXBOW_ENOENT);
    assert_int_equal(oxbow_compact("", NULL, &report), OXBOW_EINVAL);
    assert_int_equal(oxbow_compact(NULL, NULL, &report), OXBOW_EINVAL);
    fill(rig);
    assert_int_equal(compact(rig, &report), OXBOW_ELOCKED);
    rig_close(rig);
    assert_whole(rig);
}

/* One compaction with whatever is armed: it works, or says what failed; the store is whole, and a copy
 * that was begun is gone when it was opened once. */
static void compact_with_fault(struct rig *rig, enum oxbow_err what)
{
    struct oxbow_compact_report report;
    enum oxbow_err err = compact(rig, &report);

    fault_disarm(&fault);
    (void)lmdb_fault_disarm();
    assert_true(err == OXBOW_OK || err == what || err == OXBOW_EFAILED);
    assert_int_equal(atomic_load(&fault.live_bytes), 0);
    assert_whole(rig);
    assert_false(exists(rig, "compact/data.mdb"));
}

static uint64_t file_faults(struct rig *rig, uint32_t kinds, enum oxbow_err what)
{
    for (uint64_t n = 1;; n++) {
        fault_arm_files(&fault, kinds, n, 1, what);
        compact_with_fault(rig, what);
        if (fault.file_failed == 0) {
            return n - 1;
        }
    }
}

static uint64_t lmdb_faults(struct rig *rig, uint32_t kinds, int err, enum oxbow_err what)
{
    for (uint64_t n = 1;; n++) {
        lmdb_fault_arm(kinds, n, err);
        compact_with_fault(rig, what);
        if (lmdb_fault_disarm() == 0) {
            return n - 1;
        }
    }
}

static void a_call_that_fails_leaves_the_store_as_it_was(void **state)
{
    struct rig *rig = *state;
    uint64_t broken, full, memory;

    keys = 6000; /* more than one transaction of the copy */
    fill(rig);
    rig_close(rig);
    broken = file_faults(rig, FAULT_ALL, OXBOW_EIO);
    full = file_faults(rig, FAULT_WRITING, OXBOW_ENOSPC);
    for (memory = 0;; memory++) {
        fault_arm_alloc(&fault, memory + 1, 1);
        compact_with_fault(rig, OXBOW_ENOMEM);
        if (fault.alloc_failed == 0) {
            break;
        }
    }
    print_message("%llu calls, %llu for want of space, %llu allocations\n",
                  (unsigned long long)broken, (unsigned long long)full, (unsigned long long)memory);
    assert_true(broken >= 50);
    assert_true(full >= 8);
    assert_true(memory >= 10);
}

static void a_call_of_lmdb_that_fails_leaves_the_store_as_it_was(void **state)
{
    struct rig *rig = *state;
    uint64_t reads, writes, full, memory;

    keys = 6000; /* more than one transaction of the copy */
    fill(rig);
    rig_close(rig);
    reads = lmdb_faults(rig, LMDB_FAULT_READING, EIO, OXBOW_EIO);
    writes = lmdb_faults(rig, LMDB_FAULT_WRITING, EIO, OXBOW_EIO);
    full = lmdb_faults(rig, LMDB_FAULT_WRITING, ENOSPC, OXBOW_ENOSPC);
    memory = lmdb_faults(rig, LMDB_FAULT_MEMORY, ENOMEM, OXBOW_ENOMEM);
    print_message("%llu calls to read, %llu to write, %llu for want of space, %llu for memory\n",
                  (unsigned long long)reads, (unsigned long long)writes, (unsigned long long)full,
                  (unsigned long long)memory);
    assert_true(reads >= 8);
    assert_true(writes >= 5);
    assert_int_equal(full, writes);
    assert_true(memory >= 100);
}

static void what_a_crash_left_of_a_compaction_is_removed(void **state)
{
    struct rig *rig = *state;
    char path[400];
    FILE *f;

    fill(rig);
    rig_close(rig);
    snprintf(path, sizeof path, "%s/compact", rig->store);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/compact/data.mdb", rig->store);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fputs("half a file", f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    assert_whole(rig);
    assert_false(exists(rig, "compact/data.mdb"));
}

static void a_damaged_store_is_left_alone(void **state)
{
    struct rig *rig = *state;
    struct oxbow_compact_report report;
    char path[400];
    char zeros[4096] = {0};
    FILE *f;

    fill(rig);
    rig_close(rig);
    snprintf(path, sizeof path, "%s/data.mdb", rig->store);
    f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, f), sizeof zeros);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(compact(rig, &report), OXBOW_ECORRUPT);
    assert_false(exists(rig, "compact"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_compacted_store_is_short_and_holds_the_same),
        TEST(a_store_that_crashed_is_compacted_without_losing_its_journal),
        TEST(too_little_space_is_refused_with_the_numbers),
        TEST(a_store_that_is_open_or_not_there_is_not_compacted),
        TEST(a_call_that_fails_leaves_the_store_as_it_was),
        TEST(a_call_of_lmdb_that_fails_leaves_the_store_as_it_was),
        TEST(what_a_crash_left_of_a_compaction_is_removed),
        TEST(a_damaged_store_is_left_alone),
    };

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* many syncs, of which none is looked at */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
