/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traps that a journal in front of a tree is known to fall into, as far as no other test is
 * named after them: docs/TESTING.md has the list. Crashes are ends of a child process; power is the
 * crash lab's.
 */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/wait.h>

#define QUOTA (2u << 20)
#define VALUE 3000u

static char dir[SCRATCH_MAX];

static int fresh(void **state)
{
    (void)state;
    scratch_name(dir, "traps");
    scratch_remove(dir);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow_config small_store(void)
{
    return (struct oxbow_config){.dir = dir,
                                 .journal = OXBOW_JOURNAL_ON,
                                 .journal_segments = 2,
                                 .journal_bytes = RING_BYTES_MIN,
                                 .quota_bytes = QUOTA,
                                 .dirty_pages = 64,
                                 .memtable_bytes = 128 << 10,
                                 .txn_bytes = 256 << 10};
}

static struct oxbow *open_store(const struct oxbow_config *config)
{
    struct oxbow *db;

    assert_int_equal(oxbow_open(config, &db), OXBOW_OK);
    return db;
}

static struct oxbow_bytes key_of(uint8_t raw[5], uint32_t i)
{
    raw[0] = KV_SPACE_OBJECT;
    put_be32(raw + 1, i);
    return (struct oxbow_bytes){raw, 5};
}

static enum oxbow_err push(struct oxbow *db, uint32_t i, enum oxbow_sync sync)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    static uint8_t value[VALUE];
    struct oxbow_txn *txn;
    uint8_t raw[5];
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, VALUE);
    }
    if (err == OXBOW_OK) {
        err = kv_put(txn, key_of(raw, i), (struct oxbow_bytes){value, VALUE});
    }
    if (err == OXBOW_OK) {
        return oxbow_txn_commit(txn, NULL);
    }
    oxbow_txn_abort(txn);
    return err;
}

static enum oxbow_err drop(struct oxbow *db, uint32_t i, enum oxbow_sync sync)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    struct oxbow_txn *txn;
    uint8_t raw[5];
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err == OXBOW_OK) {
        err = kv_del(txn, key_of(raw, i));
        err = err == OXBOW_OK ? oxbow_txn_commit(txn, NULL) : err;
    }
    return err;
}

static bool there(struct oxbow *db, uint32_t i)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t raw[5];
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = kv_get(txn, key_of(raw, i), &value);
    oxbow_txn_abort(txn);
    return err == OXBOW_OK;
}

/* ---- T1: a replay that cannot succeed ---- */

/* What a child did before it died. */
struct full {
    uint32_t pushed; /* 0 to this */
    uint32_t gone;   /* 0 to this, of them */
};

/* Fills the store, then takes some out and fills it again, `more` times; and dies. */
static void fill_and_die(int out, uint32_t more, enum oxbow_sync sync)
{
    const struct oxbow_config config = small_store();
    struct full f = {0, 0};
    struct oxbow *db;
    uint32_t round;
    bool good = oxbow_open(&config, &db) == OXBOW_OK;

    for (round = 0; good && round <= more; round++) {
        enum oxbow_err err;

        while ((err = push(db, f.pushed, sync)) == OXBOW_OK) {
            f.pushed++;
        }
        good = err == OXBOW_EQUOTA;
        for (uint32_t i = 0; good && i < round % 7; i++) {
            good = drop(db, f.gone, sync) == OXBOW_OK;
            f.gone++;
        }
    }
    _exit(good && write(out, &f, sizeof f) == sizeof f ? 0 : 1);
}

static struct full crash_when_full(uint32_t more, enum oxbow_sync sync)
{
    struct full f;
    int ends[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fill_and_die(ends[1], more, sync);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &f, sizeof f), sizeof f);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
    return f;
}

static void a_store_that_dies_at_its_quota_opens_and_can_be_emptied(void **state)
{
    const struct oxbow_config config = small_store();

    (void)state;
    for (uint32_t more = 0; more < 12; more++) {
        struct full f = crash_when_full(more, more % 2 == 0 ? OXBOW_SYNC_NONE : OXBOW_SYNC_ALWAYS);
        struct oxbow *db = open_store(&config);

        assert_true(f.pushed > 300 && f.pushed < QUOTA / VALUE * 2);
        assert_true(f.gone == 0 || !there(db, f.gone - 1));
        assert_true(there(db, f.gone) && there(db, f.pushed - 1) && !there(db, f.pushed));
        for (uint32_t i = f.gone; i < f.pushed; i++) {
            assert_int_equal(drop(db, i, OXBOW_SYNC_INTERVAL), OXBOW_OK);
        }
        assert_int_equal(push(db, 0, OXBOW_SYNC_ALWAYS), OXBOW_OK);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        scratch_remove(dir);
    }
}

/* ---- T7: a replay that comes to something else ---- */

static uint64_t wall_in_1970(void *ctx)
{
    (void)ctx;
    return 1000;
}

static enum oxbow_err no_chance(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
    return OXBOW_OK;
}

/* A checkpoint may come between the last transaction and the end: then it dies once more. */
static struct full crash_with_frames(const struct oxbow_config *config, struct oxbow **db)
{
    struct oxbow_recovery rec;

    for (unsigned tries = 0;; tries++) {
        struct full f = crash_when_full(3, OXBOW_SYNC_NONE);

        *db = open_store(config);
        oxbow_recovery(*db, &rec);
        if (rec.replayed > 0 || tries == 50) {
            return f;
        }
        assert_int_equal(oxbow_close(*db), OXBOW_OK);
        scratch_remove(dir);
    }
}

static void a_replay_asks_neither_clock_nor_chance_nor_configuration(void **state)
{
    struct oxbow_config config = small_store();
    struct oxbow_port port = *oxbow_port_default();
    struct oxbow_recovery rec;
    struct full f;
    struct oxbow *db;

    (void)state;
    port.clock.wall_ms = wall_in_1970;
    port.random.fill = no_chance;
    config.port = &port;
    config.quota_bytes = 1 << 20; /* less than it holds */
    config.entry_bytes = 1;
    config.txn_bytes = 64 << 10;
    config.memtable_bytes = 64 << 10;
    config.dirty_pages = 16;
    config.journal_segments = 3;
    config.journal_bytes = 2 * RING_BYTES_MIN;
    f = crash_with_frames(&config, &db);
    oxbow_recovery(db, &rec);
    assert_true(rec.replayed > 0);
    assert_int_equal(rec.skipped, 0);
    for (uint32_t i = 0; i < f.pushed; i++) {
        assert_int_equal(there(db, i), i >= f.gone);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- T6: acting on what may yet be lost ---- */

static void a_reader_under_always_returns_when_what_it_saw_is_durable(void **state)
{
    const struct oxbow_config config = small_store();
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_ALWAYS, .flags = OXBOW_TXN_READ};
    struct oxbow *db = open_store(&config);
    struct oxbow_stat stat;
    struct oxbow_txn *txn;
    uint64_t saw;

    (void)state;
    assert_int_equal(push(db, 1, OXBOW_SYNC_NONE), OXBOW_OK);
    oxbow_stat(db, &stat);
    assert_true(stat.lsn_durable < stat.lsn_written);
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &saw), OXBOW_OK);
    assert_true(oxbow_durable_lsn(db) >= saw);
    assert_true(saw >= stat.lsn_written);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- T10, T14: names and lengths on the hot path ---- */

static uint32_t calls; /* that change a name, or the length of a file */

static enum oxbow_err count_rename(void *ctx, const char *from, const char *to)
{
    calls++;
    return oxbow_port_default()->files.rename(ctx, from, to);
}

static enum oxbow_err count_unlink(void *ctx, const char *path)
{
    calls++;
    return oxbow_port_default()->files.unlink(ctx, path);
}

static enum oxbow_err count_truncate(void *ctx, int fd, uint64_t bytes)
{
    calls++;
    return oxbow_port_default()->files.truncate(ctx, fd, bytes);
}

static enum oxbow_err count_open(void *ctx, const char *path, uint32_t flags, int *fd)
{
    calls++;
    return oxbow_port_default()->files.open(ctx, path, flags, fd);
}

static void a_ring_that_goes_round_changes_no_name_and_no_length(void **state)
{
    struct oxbow_config config = small_store();
    struct oxbow_port port = *oxbow_port_default();
    struct oxbow_stat stat;
    struct oxbow *db;

    (void)state;
    port.files.rename = count_rename;
    port.files.unlink = count_unlink;
    port.files.truncate = count_truncate;
    port.files.open = count_open;
    config.port = &port;
    db = open_store(&config);
    assert_true(calls > 5);
    calls = 0;
    for (uint32_t i = 0; i < 400; i++) {
        assert_int_equal(push(db, i % 50, i % 3 == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_NONE),
                         OXBOW_OK);
    }
    oxbow_stat(db, &stat);
    assert_true(stat.journal_written >
                4 * (uint64_t)config.journal_segments * config.journal_bytes);
    assert_int_equal(calls, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- T18: what is left of a journal ---- */

static uint32_t remove_segments(void)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    uint32_t count = 0;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        char path[2 * SCRATCH_MAX];

        if (strncmp(e->d_name, "journal.", 8) == 0) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
            assert_int_equal(unlink(path), 0);
            count++;
        }
    }
    assert_int_equal(closedir(d), 0);
    return count;
}

static void a_store_closed_in_order_needs_no_journal(void **state)
{
    const struct oxbow_config config = small_store();
    struct oxbow *db = open_store(&config);
    struct oxbow_recovery rec;

    (void)state;
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(push(db, i, OXBOW_SYNC_NONE), OXBOW_OK);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(remove_segments(), 2);
    db = open_store(&config);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.replayed, 0);
    assert_int_equal(rec.lost_from, 0);
    assert_int_equal(rec.doubt_from, 0);
    for (uint32_t i = 0; i < 60; i++) {
        assert_true(there(db, i));
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

#define TRAP(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRAP(a_store_that_dies_at_its_quota_opens_and_can_be_emptied),
        TRAP(a_replay_asks_neither_clock_nor_chance_nor_configuration),
        TRAP(a_reader_under_always_returns_when_what_it_saw_is_durable),
        TRAP(a_ring_that_goes_round_changes_no_name_and_no_length),
        TRAP(a_store_closed_in_order_needs_no_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
