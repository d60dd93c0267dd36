/* SPDX-License-Identifier: Apache-2.0 */
/* Space given back: a drained backlog leaves the device, its pages are used again, and no fault of
 * punching or of taking back costs more than the space. */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "oxbow/check.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/stat.h>

#define QUOTA (16u << 20)
#define NONE  (-1) /* holes that are waited for */
#define LEN   2000u

#define SMALL_COUNT 900u /* values that fill a quarter of the quota */

static char dir[SCRATCH_MAX];
static struct fault f;
static uint64_t quota;

static struct oxbow_config config_of(void)
{
    return (struct oxbow_config){.dir = dir,
                                 .port = &f.port,
                                 .sync = OXBOW_SYNC_INTERVAL,
                                 .quota_bytes = quota,
                                 .dirty_pages = 32,
                                 .memtable_bytes = 128 << 10,
                                 .txn_bytes = 128 << 10};
}

static int fresh(void **state)
{
    (void)state;
    scratch_name(dir, "space");
    scratch_remove(dir);
    fault_init(&f, oxbow_port_default());
    quota = QUOTA;
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow *open_store(void)
{
    struct oxbow_config config = config_of();
    struct oxbow *db = NULL;

    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    return db;
}

static struct oxbow_bytes key_of(uint8_t out[13], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i / 1000);
    put_be32(out + 9, i);
    return (struct oxbow_bytes){out, 13};
}

static enum oxbow_err push(struct oxbow *db, uint32_t i)
{
    uint8_t value[LEN];
    struct oxbow_txn *txn;
    uint8_t key[13];
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(value, (int)(i * 7 + 1), sizeof value);
    err = txn_reserve_bytes(txn, sizeof value);
    if (err == OXBOW_OK) {
        err = kv_put(txn, key_of(key, i), (struct oxbow_bytes){value, sizeof value});
    }
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

/* The account is exact after a checkpoint only. */
static enum oxbow_err push_at_last(struct oxbow *db, uint32_t i)
{
    enum oxbow_err err = push(db, i);

    for (int tries = 0; err == OXBOW_EQUOTA && tries < 3; tries++) {
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        err = push(db, i);
    }
    return err;
}

static void pop(struct oxbow *db, uint32_t i)
{
    struct oxbow_txn *txn;
    uint8_t key[13];

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void assert_there(struct oxbow *db, uint32_t i)
{
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t key[13];

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_get(txn, key_of(key, i), &value), OXBOW_OK);
    assert_int_equal(value.len, LEN);
    for (size_t at = 0; at < LEN; at++) {
        assert_int_equal(((const uint8_t *)value.data)[at], (uint8_t)(i * 7 + 1));
    }
    oxbow_txn_abort(txn);
}

/* Fills up to `count` and drains it again, but for each hundredth; returns how many there were. */
static uint32_t fill_and_drain(struct oxbow *db, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        assert_int_equal(push_at_last(db, i), OXBOW_OK);
    }
    for (uint32_t i = from; i < from + count; i++) {
        if (i % 100 != 0) {
            pop(db, i);
        }
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    return count;
}

/* Waits until no more is given back, and for more holes than that, for a while. */
static struct oxbow_stat settled_within(struct oxbow *db, int64_t holes, int tries)
{
    struct oxbow_stat before;
    struct oxbow_stat stat;
    int same = 0;

    oxbow_stat(db, &stat);
    for (int i = 0; i < tries && (same < 6 || (int64_t)stat.hole_bytes <= holes); i++) {
        before = stat;
        assert_int_equal(usleep(10000), 0);
        oxbow_stat(db, &stat);
        same = stat.hole_bytes == before.hole_bytes ? same + 1 : 0;
    }
    return stat;
}

static struct oxbow_stat settled(struct oxbow *db, int64_t holes)
{
    return settled_within(db, holes, 6000);
}

static uint64_t occupied(void)
{
    char path[SCRATCH_MAX + 16];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void assert_sound(void)
{
    struct oxbow_check_report report;

    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage, 0);
    assert_int_equal(report.values_bad, 0);
    assert_int_equal(report.lost_pages, 0);
}

static bool can_punch(void)
{
    const struct oxbow_files *files = &oxbow_port_default()->files;
    char path[SCRATCH_MAX + 16];
    enum oxbow_err err;
    int fd = -1;

    (void)snprintf(path, sizeof path, "%s.try", dir);
    assert_int_equal(files->open(files->ctx, path, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd),
                     OXBOW_OK);
    assert_int_equal(files->truncate(files->ctx, fd, 65536), OXBOW_OK);
    err = files->punch(files->ctx, fd, 0, 65536);
    assert_int_equal(files->close(files->ctx, fd), OXBOW_OK);
    assert_int_equal(unlink(path), 0);
    if (err == OXBOW_ENOTSUP) {
        print_message("space_test: skipped: this file system cannot punch holes\n");
    }
    return err == OXBOW_OK;
}

static void a_drained_backlog_leaves_the_device(void **state)
{
    struct oxbow *db;
    struct oxbow_stat stat;
    uint64_t full;
    uint32_t n;

    (void)state;
    if (!can_punch()) {
        skip();
    }
    db = open_store();
    for (n = 0; push_at_last(db, n) == OXBOW_OK; n++) {
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    full = occupied();
    for (uint32_t i = 0; i < n; i++) {
        if (i % 100 != 0) {
            pop(db, i);
        }
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    stat = settled(db, QUOTA / 3);
    print_message("full %llu, drained %llu: file %llu, free %llu, holes %llu\n",
                  (unsigned long long)full, (unsigned long long)occupied(),
                  (unsigned long long)stat.file_bytes, (unsigned long long)stat.free_bytes,
                  (unsigned long long)stat.hole_bytes);
    assert_true(full > QUOTA * 3 / 4);
    assert_true(stat.hole_bytes > QUOTA / 3);
    assert_true(occupied() <= full - stat.hole_bytes + (64u << 10));
    /* What is kept is what the next checkpoints and some change of load need. */
    assert_true(stat.free_bytes - stat.hole_bytes >= QUOTA / 16);
    for (uint32_t i = 0; i < n; i += 100) {
        assert_there(db, i);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_sound();
    db = open_store(); /* holes are found again */
    oxbow_stat(db, &stat);
    assert_true(stat.hole_bytes > QUOTA / 3);
    for (uint32_t i = 0; i < n; i += 100) {
        assert_there(db, i);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void pages_given_back_are_used_again(void **state)
{
    struct oxbow *db;
    struct oxbow_stat stat;
    uint64_t length;
    uint32_t from = 0;

    (void)state;
    if (!can_punch()) {
        skip();
    }
    db = open_store();
    from += fill_and_drain(db, from, 3600);
    stat = settled(db, 0);
    length = stat.file_bytes;
    assert_true(stat.hole_bytes > 0);
    for (int round = 0; round < 3; round++) {
        from += fill_and_drain(db, from, 3000);
        stat = settled(db, 0);
        assert_true(stat.hole_bytes > 0);
        assert_true(stat.file_bytes <= length + (4u << 20));
        if (round == 1) {
            assert_int_equal(oxbow_close(db), OXBOW_OK);
            assert_sound();
            db = open_store();
        }
    }
    for (uint32_t i = 0; i < from; i += 100) {
        assert_there(db, i);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_sound();
}

static void a_file_system_without_holes_keeps_the_space(void **state)
{
    struct oxbow *db;
    struct oxbow_stat stat;

    (void)state;
    fault_arm_files(&f, FAULT_PUNCH, 1, UINT64_MAX, OXBOW_ENOTSUP);
    db = open_store();
    (void)fill_and_drain(db, 0, 3600);
    for (int i = 0; i < 6000 && f.file_failed == 0; i++) {
        assert_int_equal(usleep(10000), 0);
    }
    stat = settled(db, NONE);
    assert_true(stat.free_bytes > QUOTA / 4);
    assert_int_equal(f.file_failed, 1); /* once is enough */
    assert_int_equal(push(db, 3600), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_sound();
}

static void a_port_that_cannot_say_what_a_file_occupies_gives_nothing_back(void **state)
{
    struct oxbow *db;
    struct oxbow_stat stat;

    (void)state;
    fault_arm_files(&f, FAULT_OCCUPIED, 1, UINT64_MAX, OXBOW_ENOTSUP);
    db = open_store();
    (void)fill_and_drain(db, 0, 3600);
    stat = settled(db, NONE);
    assert_int_equal(stat.hole_bytes, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* What a commit frees is free with the next ones: how many it takes until there is enough to be given
 * back depends on when the checkpoints came. */
static bool wants_holes(struct oxbow *db, uint32_t kind)
{
    struct oxbow_stat stat;

    oxbow_stat(db, &stat);
    return kind != FAULT_RESERVE && f.file_failed == 0 && stat.hole_bytes == 0;
}

/* Fills and drains twice while the n-th call of a kind fails: pushes may say so, what was pushed stays,
 * and all is given back after the next open at the latest. Goes on with small commits, so many at most,
 * until space is given back. True: the call was met. */
static bool drain_twice(uint32_t kind, uint64_t n, enum oxbow_err what, int tries)
{
    static bool there[2 * SMALL_COUNT];
    const struct oxbow_config config = config_of();
    struct oxbow *db;
    uint64_t failed;
    enum oxbow_err opened;

    fault_arm_files(&f, kind, n, 1, what);
    opened = oxbow_open(&config, &db);
    if (opened != OXBOW_OK) { /* then it says so */
        assert_int_equal(opened, what);
        assert_int_equal(f.file_failed, 1);
        fault_disarm(&f);
        return true;
    }
    for (uint32_t from = 0; from < 2 * SMALL_COUNT; from += SMALL_COUNT) {
        for (uint32_t i = from; i < from + SMALL_COUNT; i++) {
            enum oxbow_err err = push_at_last(db, i);

            assert_true(err == OXBOW_OK || err == what);
            there[i] = err == OXBOW_OK;
        }
        for (uint32_t i = from; i < from + SMALL_COUNT; i++) {
            if (i % 100 != 0 && there[i]) {
                pop(db, i);
            }
        }
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        for (int i = 0; i < tries && wants_holes(db, kind); i++) {
            assert_true(push_at_last(db, 2 * SMALL_COUNT) == OXBOW_OK || f.file_failed > 0);
            assert_int_equal(oxbow_flush(db), OXBOW_OK);
            pop(db, 2 * SMALL_COUNT);
            assert_int_equal(oxbow_flush(db), OXBOW_OK);
            (void)settled_within(db, NONE, 3);
        }
        (void)settled_within(db, NONE, 30);
    }
    failed = f.file_failed;
    fault_disarm(&f);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_sound();
    db = open_store();
    for (uint32_t i = 0; i < 2 * SMALL_COUNT; i += 100) {
        if (there[i]) {
            assert_there(db, i);
        }
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
    return failed > 0;
}

static void a_fault_while_space_is_given_or_taken_costs_nothing_but_space(void **state)
{
    static const struct {
        const char *name;
        uint32_t kind;
        uint64_t points_min;
    } kinds[] = {
        {"punch", FAULT_PUNCH, 1}, {"reserve", FAULT_RESERVE, 4}, {"occupied", FAULT_OCCUPIED, 1}};
    static const enum oxbow_err errors[] = {OXBOW_EIO, OXBOW_ENOSPC};

    (void)state;
    if (!can_punch()) {
        skip();
    }
    quota = QUOTA / 4;
    for (size_t i = 0; i < 6; i++) {
        const uint32_t kind = kinds[i / 2].kind;
        uint64_t n = 1;

        /* Space is given back in steps, as time allows: those that there must be are waited for, and
         * after them there is one more look before it is the last. */
        while (drain_twice(kind, n, errors[i % 2], n <= kinds[i / 2].points_min ? 1000 : 10) ||
               drain_twice(kind, n, errors[i % 2], 10)) {
            n++;
        }
        print_message("%s: %llu fault points\n", kinds[i / 2].name, (unsigned long long)(n - 1));
        assert_true(n - 1 >= kinds[i / 2].points_min);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_drained_backlog_leaves_the_device),
        TEST(pages_given_back_are_used_again),
        TEST(a_file_system_without_holes_keeps_the_space),
        TEST(a_port_that_cannot_say_what_a_file_occupies_gives_nothing_back),
        TEST(a_fault_while_space_is_given_or_taken_costs_nothing_but_space),
    };

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* many syncs, of which none is looked at */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
