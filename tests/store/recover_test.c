/* SPDX-License-Identifier: Apache-2.0 */
/* Opening after a crash: what the journal held is there, LSNs are not used twice, and what is wrong
 * with the journal is told and never keeps a store from being opened. */
#include "engine/store/store.h"
#include "oxbow/check.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[SCRATCH_MAX];

static int setup(void **state)
{
    (void)state;
    scratch_name(dir, "recover");
    scratch_remove(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static enum oxbow_err put(struct oxbow *db, uint8_t i, uint64_t *lsn)
{
    const uint8_t raw[2] = {KV_SPACE_OBJECT, i};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err == OXBOW_OK) {
        err = kv_put(txn, (struct oxbow_bytes){raw, 2}, (struct oxbow_bytes){&i, 1});
        if (err != OXBOW_OK) {
            oxbow_txn_abort(txn);
            return err;
        }
        err = oxbow_txn_commit(txn, lsn);
    }
    return err;
}

static bool there(struct oxbow *db, uint8_t i)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    const uint8_t raw[2] = {KV_SPACE_OBJECT, i};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = kv_get(txn, (struct oxbow_bytes){raw, 2}, &value);
    oxbow_txn_abort(txn);
    return err == OXBOW_OK;
}

/* Puts 0 to n-1 and dies; the LSN of the last through a pipe. */
static uint64_t crash_after(uint8_t n)
{
    uint64_t lsn = 0;
    int ends[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct oxbow *db;

        if (oxbow_open(&(struct oxbow_config){.dir = dir, .journal = OXBOW_JOURNAL_ON}, &db) !=
            OXBOW_OK) {
            _exit(1);
        }
        for (uint8_t i = 0; i < n; i++) {
            if (put(db, i, &lsn) != OXBOW_OK) {
                _exit(2);
            }
        }
        _exit(write(ends[1], &lsn, sizeof lsn) == sizeof lsn ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &lsn, sizeof lsn), sizeof lsn);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
    return lsn;
}

static struct oxbow *open_store(uint32_t flags, enum oxbow_journal journal)
{
    struct oxbow *db;

    assert_int_equal(
        oxbow_open(&(struct oxbow_config){.dir = dir, .flags = flags, .journal = journal}, &db),
        OXBOW_OK);
    return db;
}

static void an_lsn_is_not_used_twice(void **state)
{
    uint64_t before = crash_after(3);
    struct oxbow *db = open_store(0, OXBOW_JOURNAL_ON);
    uint64_t lsn;
    uint64_t next;

    (void)state;
    assert_int_equal(put(db, 9, &lsn), OXBOW_OK);
    assert_true(lsn > before + (1u << 30)); /* more than it can have handed out */
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_store(0, OXBOW_JOURNAL_ON);
    assert_int_equal(put(db, 10, &next), OXBOW_OK);
    assert_int_equal(next, lsn + 1); /* closed: nothing was in the air */
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_reader_sees_what_the_journal_holds(void **state)
{
    struct oxbow *db;

    (void)state;
    crash_after(5);
    db = open_store(OXBOW_OPEN_READONLY, OXBOW_JOURNAL_DEFAULT);
    assert_true(there(db, 0) && there(db, 4) && !there(db, 5));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_store(OXBOW_OPEN_READONLY, OXBOW_JOURNAL_DEFAULT);
    assert_true(there(db, 4));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void switching_the_journal_off_takes_what_it_holds_along(void **state)
{
    char path[2 * SCRATCH_MAX];
    struct oxbow_recovery rec;
    struct oxbow_stat stat;
    struct stat st;
    struct oxbow *db;

    (void)state;
    crash_after(5);
    db = open_store(0, OXBOW_JOURNAL_OFF);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.replayed, 5);
    assert_true(there(db, 4));
    oxbow_stat(db, &stat);
    assert_false(stat.journal);
    (void)snprintf(path, sizeof path, "%s/journal.0", dir);
    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(put(db, 5, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_store(0, OXBOW_JOURNAL_ON);
    assert_true(there(db, 5));
    oxbow_stat(db, &stat);
    assert_true(stat.journal);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* Flips a bit in the frame of the k-th LSN: each has a block of its own here. */
static void flip_frame(unsigned k)
{
    char path[2 * SCRATCH_MAX];
    uint8_t byte;
    int fd;

    (void)snprintf(path, sizeof path, "%s/journal.1", dir); /* boot 1 begins there */
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)k * RING_BLOCK + 60), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)k * RING_BLOCK + 60), 1);
    assert_int_equal(close(fd), 0);
}

static void a_damaged_journal_is_told_set_aside_and_the_store_opens(void **state)
{
    char path[2 * SCRATCH_MAX];
    struct oxbow_recovery rec;
    struct oxbow_stat stat;
    struct stat st;
    struct oxbow *db;

    (void)state;
    crash_after(8);
    flip_frame(4);
    db = open_store(0, OXBOW_JOURNAL_ON);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.replayed, 3);
    assert_int_equal(rec.lost_from, rec.replayed_upto + 1);
    assert_int_equal(rec.lost_upto, rec.replayed_upto + 4);
    assert_int_equal(rec.doubt_from, rec.replayed_upto + 5);
    assert_true(there(db, 2) && !there(db, 3) && !there(db, 7));
    oxbow_stat(db, &stat);
    assert_true(stat.journal);
    assert_int_equal(put(db, 3, NULL), OXBOW_OK);
    (void)snprintf(path, sizeof path, "%s/journal.1.bad", dir);
    assert_int_equal(stat.journal ? lstat(path, &st) : -1, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_store(0, OXBOW_JOURNAL_ON);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.lost_from, 0);
    assert_true(there(db, 3));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void without_space_for_a_journal_a_store_opens_without(void **state)
{
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_NONE};
    struct oxbow_stat stat;
    struct oxbow *db;
    struct fault f;

    (void)state;
    db = open_store(0, OXBOW_JOURNAL_OFF);
    assert_int_equal(put(db, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    fault_init(&f, oxbow_port_default());
    config.port = &f.port;
    config.journal = OXBOW_JOURNAL_ON;
    fault_arm_files(&f, FAULT_TRUNCATE, 1, UINT64_MAX, OXBOW_ENOSPC);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    fault_disarm(&f);
    oxbow_stat(db, &stat);
    assert_false(stat.journal);
    assert_int_equal(stat.sync, OXBOW_SYNC_INTERVAL);
    assert_true(there(db, 1));
    assert_int_equal(put(db, 2, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* After a sync of the journal that failed nothing is acknowledged, and it is not tried again. */
static void a_failed_sync_of_the_journal_fails_the_store(void **state)
{
    struct oxbow_config config = {.dir = dir, .journal = OXBOW_JOURNAL_ON};
    struct oxbow *db;
    struct fault f;

    (void)state;
    fault_init(&f, oxbow_port_default());
    config.port = &f.port;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(put(db, 1, NULL), OXBOW_OK);
    fault_arm_files(&f, FAULT_SYNC, 1, 1, OXBOW_EIO);
    assert_int_equal(put(db, 2, NULL), OXBOW_EINDOUBT);
    assert_int_equal(f.file_failed, 1);
    assert_int_equal(put(db, 3, NULL), OXBOW_EFAILED);
    assert_int_equal(f.file_calls, 1);
    fault_disarm(&f);
    assert_int_equal(oxbow_close(db), OXBOW_EIO);
    db = open_store(0, OXBOW_JOURNAL_ON);
    assert_true(there(db, 1));
    assert_false(there(db, 3));
    assert_int_equal(put(db, 3, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- files that are not there ---- */

static void remove_segment(unsigned i)
{
    char path[SCRATCH_MAX + 32];

    (void)snprintf(path, sizeof path, "%s/journal.%u", dir, i);
    assert_int_equal(unlink(path), 0);
}

static struct oxbow_recovery recovery_now(void)
{
    struct oxbow *db = open_store(0, OXBOW_JOURNAL_ON);
    struct oxbow_recovery rec;

    oxbow_recovery(db, &rec);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    return rec;
}

static void a_file_of_the_journal_that_is_missing_is_told(void **state)
{
    struct oxbow_check_report report;

    (void)state;
    (void)crash_after(3);
    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.recovery.replayed, 3);
    assert_false(report.recovery.journal_missing);
    remove_segment(1); /* where the first incarnation begins */
    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_true(report.recovery.journal_missing);
    assert_int_equal(report.damage, 0);
    assert_true(recovery_now().journal_missing);
    assert_false(recovery_now().journal_missing);
}

static void a_journal_that_is_gone_is_told(void **state)
{
    struct oxbow *db;
    uint64_t lsn;

    (void)state;
    (void)crash_after(3);
    for (unsigned i = 0; i < 4; i++) {
        remove_segment(i);
    }
    assert_true(recovery_now().journal_missing);
    db = open_store(0, OXBOW_JOURNAL_ON);
    assert_int_equal(put(db, 4, &lsn), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    for (unsigned i = 0; i < 4; i++) {
        remove_segment(i); /* closed: nobody needs them */
    }
    assert_false(recovery_now().journal_missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_of_the_journal_that_is_missing_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_journal_that_is_gone_is_told, setup, teardown),
        T(an_lsn_is_not_used_twice),
        T(a_reader_sees_what_the_journal_holds),
        T(switching_the_journal_off_takes_what_it_holds_along),
        T(a_damaged_journal_is_told_set_aside_and_the_store_opens),
        T(without_space_for_a_journal_a_store_opens_without),
        T(a_failed_sync_of_the_journal_fails_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
