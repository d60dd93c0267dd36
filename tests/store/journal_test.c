/* SPDX-License-Identifier: Apache-2.0 */
/* The journal through the store: what was committed and not checkpointed is there after a crash. */
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>

#define TXNS 3000u

static struct oxbow_bytes key_of(uint8_t raw[3], uint32_t i)
{
    raw[0] = KV_SPACE_OBJECT;
    raw[1] = (uint8_t)(i >> 8);
    raw[2] = (uint8_t)i;
    return (struct oxbow_bytes){raw, 3};
}

static enum oxbow_err put_one(struct oxbow *db, uint32_t i, enum oxbow_sync sync, size_t len)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    static uint8_t bytes[200000];
    uint8_t raw[3];
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(bytes, (int)(i % 251), len);
    assert_int_equal(kv_put(txn, key_of(raw, i), (struct oxbow_bytes){bytes, len}), OXBOW_OK);
    return oxbow_txn_commit(txn, NULL);
}

static void expect_upto(struct oxbow *db, uint32_t count, size_t len)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t raw[3];

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(kv_get(txn, key_of(raw, i), &value), OXBOW_OK);
        assert_int_equal(value.len, len);
        assert_int_equal(((const uint8_t *)value.data)[len - 1], i % 251);
    }
    assert_int_equal(kv_get(txn, key_of(raw, count), &value), OXBOW_ENOENT);
    oxbow_txn_abort(txn);
}

/* A child opens the store, does `count` puts and dies without closing it. */
static void crash_after(const char *dir, uint32_t count, enum oxbow_sync sync, size_t len)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct oxbow *db;

        if (oxbow_open(&(struct oxbow_config){.dir = dir,
                                              .journal = OXBOW_JOURNAL_ON,
                                              .journal_bytes = RING_BYTES_MIN},
                       &db) != OXBOW_OK) {
            _exit(2);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (put_one(db, i, sync, len) != OXBOW_OK) {
                _exit(3);
            }
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void crash_and_look(enum oxbow_sync sync, uint32_t count, size_t len, const char *name)
{
    char dir[SCRATCH_MAX];
    struct oxbow_recovery rec;
    struct oxbow *db;

    scratch_name(dir, name);
    scratch_remove(dir);
    crash_after(dir, count, sync, len);
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir}, &db), OXBOW_OK);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.lost_from, 0);
    expect_upto(db, count, len);
    assert_int_equal(put_one(db, count, OXBOW_SYNC_ALWAYS, len), OXBOW_OK);
    expect_upto(db, count + 1, len);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir}, &db), OXBOW_OK);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.replayed, 0);
    expect_upto(db, count + 1, len);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
}

static void what_always_acknowledged_is_there_after_a_crash(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_ALWAYS, 10, 100, "journal-a");
    crash_and_look(OXBOW_SYNC_ALWAYS, 500, 100, "journal-a");
}

static void what_interval_acknowledged_is_there_after_the_process_died(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_INTERVAL, TXNS, 100, "journal-i");
}

static void what_none_acknowledged_is_there_after_the_process_died(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_NONE, TXNS, 1000, "journal-n");
}

static void long_transactions_go_past_the_journal(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_ALWAYS, 20, 150000, "journal-l");
    crash_and_look(OXBOW_SYNC_INTERVAL, 20, 150000, "journal-l");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_always_acknowledged_is_there_after_a_crash),
        cmocka_unit_test(what_interval_acknowledged_is_there_after_the_process_died),
        cmocka_unit_test(what_none_acknowledged_is_there_after_the_process_died),
        cmocka_unit_test(long_transactions_go_past_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
