/* SPDX-License-Identifier: Apache-2.0 */
/* A store on real file systems that are full, read-only, broken or gone: what docs/STORAGE.md says,
 * row by row. Needs the right to mount; says skipped where there is none. */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "oxbow/check.h"
#include "tests/rigs/mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEN   1500u
#define QUOTA (24u << 20)

static char base[] = "/tmp/oxbow-storage-XXXXXX";
static struct mounts fs;
static bool has_fs;
static char dir[300];
static struct oxbow *db;
static enum oxbow_journal journal;

/* ---- file systems ---- */

static void make_fs(const char *kind)
{
    char why[200] = "";

    if (strcmp(kind, "tmpfs") == 0) {
        fs = (struct mounts){.kind = kind};
        snprintf(fs.dir, sizeof fs.dir, "%s/tmpfs", base);
        assert_int_equal(mkdir(fs.dir, 0700), 0);
        assert_int_equal(mount("oxbow-test", fs.dir, kind, 0, "size=64m"), 0);
    } else {
        if (!mounts_init(&fs, kind, base, why, sizeof why)) {
            mounts_fini(&fs);
            print_message("storage_test: skipped: %s\n", why);
            skip();
        }
        assert_true(mounts_mount(&fs));
    }
    has_fs = true;
    snprintf(dir, sizeof dir, "%s/store", fs.dir);
}

static int tidy_up(void **state)
{
    (void)state;
    journal = OXBOW_JOURNAL_DEFAULT;
    if (db != NULL) {
        (void)!oxbow_close(db);
        db = NULL;
    }
    if (has_fs) {
        mounts_fini(&fs);
        has_fs = false;
    }
    return 0;
}

static int enter(void **state)
{
    char why[200];

    (void)state;
    if (mkdtemp(base) == NULL) {
        return -1;
    }
    if (!mounts_enter(why, sizeof why)) {
        printf("storage_test: skipped: %s\n", why);
        rmdir(base);
        exit(77);
    }
    return 0;
}

static int leave(void **state)
{
    (void)state;
    return rmdir(base);
}

/* ---- the store ---- */

static enum oxbow_err open_with(uint32_t flags)
{
    const struct oxbow_config config = {.dir = dir,
                                        .flags = flags,
                                        .journal = journal,
                                        .quota_bytes = QUOTA,
                                        .dirty_pages = 64,
                                        .memtable_bytes = 256 << 10,
                                        .txn_bytes = 256 << 10};

    return oxbow_open(&config, &db);
}

static enum oxbow_err close_store(void)
{
    enum oxbow_err err = oxbow_close(db);

    db = NULL;
    return err;
}

static struct oxbow_bytes key_of(uint8_t out[13], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i / 5000);
    put_be32(out + 9, i);
    return (struct oxbow_bytes){out, 13};
}

static enum oxbow_err push(uint32_t i, enum oxbow_sync sync)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    uint8_t value[LEN];
    struct oxbow_txn *txn;
    uint8_t key[13];
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(value, (int)i, sizeof value);
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

static void pop(uint32_t i, enum oxbow_sync sync)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    struct oxbow_txn *txn;
    uint8_t key[13];

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static bool there(uint32_t i)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t key[13];
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = kv_get(txn, key_of(key, i), &value);
    if (err == OXBOW_OK) {
        assert_int_equal(value.len, LEN);
        assert_int_equal(((const uint8_t *)value.data)[LEN - 1], (uint8_t)i);
    } else {
        assert_int_equal(err, OXBOW_ENOENT);
    }
    oxbow_txn_abort(txn);
    return err == OXBOW_OK;
}

static void assert_sound(void)
{
    struct oxbow_check_report report;

    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage + report.values_bad + report.lost_pages, 0);
}

/* Until it is refused with `until`, also after a checkpoint; the next number. */
static uint32_t fill(uint32_t from, uint32_t most, enum oxbow_err until)
{
    uint32_t refused = 0;

    for (; refused < 3 && most > 0; most--) {
        enum oxbow_err err = push(from, OXBOW_SYNC_INTERVAL);

        if (err == OXBOW_OK) {
            from++;
            refused = 0;
            continue;
        }
        assert_int_equal(err, until);
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
        refused++;
    }
    return from;
}

/* Somebody else takes the last byte. */
static void hog(bool on)
{
    static const size_t steps[] = {1 << 20, 65536, 4096, 512, 1};
    static char zeros[1 << 20];
    char path[300];
    int fd;

    snprintf(path, sizeof path, "%s/somebody-elses", fs.dir);
    if (!on) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        while (write(fd, zeros, steps[i]) > 0) {
        }
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(fd), 0);
}

static struct oxbow_stat wait_for_holes(void)
{
    struct oxbow_stat stat;
    uint64_t last = 0;
    int same = 0;

    for (int i = 0; i < 500 && same < 5; i++) {
        assert_int_equal(usleep(25000), 0);
        oxbow_stat(db, &stat);
        same = stat.hole_bytes == last && last > 0 ? same + 1 : 0;
        last = stat.hole_bytes;
    }
    return stat;
}

/* ---- full ---- */

/* The long way: filled, drained and given back; then somebody takes the space; what is left is still
 * drained one by one, with holes in the way; and all comes back by itself. */
static void full_disk(const char *kind, enum oxbow_journal with)
{
    uint32_t first = 0;
    uint32_t next;
    struct oxbow_stat stat;

    journal = with;
    make_fs(kind);
    assert_int_equal(open_with(0), OXBOW_OK);
    next = fill(0, UINT32_MAX, OXBOW_EQUOTA);
    for (; first < next / 2; first++) {
        pop(first, OXBOW_SYNC_INTERVAL);
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    stat = wait_for_holes();
    print_message("%s: %u pushed, holes %llu\n", kind, next, (unsigned long long)stat.hole_bytes);
    assert_true(stat.hole_bytes > QUOTA / 8);
    hog(true);
    next = fill(next, UINT32_MAX, OXBOW_ENOSPC);
    print_message("%s: full at %u, then drained from %u\n", kind, next, first);
    for (; first < next; first++) {
        pop(first, first % 7 == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL);
        assert_false(there(first));
        if (first % 500 == 0) {
            assert_true(first + 1 == next || there(next - 1));
        }
    }
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    assert_int_equal(close_store(), OXBOW_OK);
    assert_sound();
    assert_int_equal(open_with(0), OXBOW_OK); /* on the full disk, holes and all */
    hog(false);
    first = next;
    next = fill(first, 3000, OXBOW_EQUOTA);
    assert_true(next - first > 2500);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    for (uint32_t i = first; i < next; i += 50) {
        assert_true(there(i));
    }
    assert_int_equal(close_store(), OXBOW_OK);
    assert_sound();
}

static void a_full_ext4_is_drained_over_holes_and_filled_again(void **state)
{
    (void)state;
    full_disk("ext4", OXBOW_JOURNAL_ON);
}

static void without_a_journal_a_full_ext4_is_drained_as_well(void **state)
{
    (void)state;
    full_disk("ext4", OXBOW_JOURNAL_OFF);
}

static void a_full_xfs_is_drained_over_holes_and_filled_again(void **state)
{
    (void)state;
    full_disk("xfs", OXBOW_JOURNAL_ON);
}

static void a_full_tmpfs_is_drained_over_holes_and_filled_again(void **state)
{
    (void)state;
    full_disk("tmpfs", OXBOW_JOURNAL_ON);
}

/* ---- read-only ---- */

static void assert_failed_with(enum oxbow_err why, enum oxbow_err or_why)
{
    struct oxbow_txn *txn;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_EFAILED);
    err = close_store();
    assert_true(err == why || err == or_why);
}

static void a_store_on_a_read_only_file_system_can_be_read(void **state)
{
    (void)state;
    make_fs("ext4");
    assert_int_equal(open_with(0), OXBOW_OK);
    assert_int_equal(push(1, OXBOW_SYNC_ALWAYS), OXBOW_OK);
    assert_int_equal(close_store(), OXBOW_OK);
    assert_true(mounts_unmount(&fs));
    assert_true(mounts_mount_as(&fs, MS_RDONLY));
    assert_int_equal(open_with(0), OXBOW_EREADONLY);
    assert_int_equal(open_with(OXBOW_OPEN_READONLY), OXBOW_OK);
    assert_true(there(1));
    assert_false(there(2));
    assert_int_equal(push(2, OXBOW_SYNC_ALWAYS), OXBOW_EREADONLY);
    assert_int_equal(close_store(), OXBOW_OK);
    snprintf(dir, sizeof dir, "%s/none", fs.dir);
    assert_int_equal(open_with(0), OXBOW_EREADONLY);
}

/* As the kernel does it after an error of the device. */
static void break_ext4(void)
{
    char path[100];
    int fd;

    assert_int_equal(mount(fs.device, fs.dir, NULL, MS_REMOUNT, "errors=remount-ro"), 0);
    snprintf(path, sizeof path, "/sys/fs/ext4/%s/trigger_fs_error", fs.device + 5);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        print_message("storage_test: skipped: %s: %s\n", path, strerror(errno));
        skip();
    }
    assert_true(write(fd, "oxbow", 5) == 5);
    assert_int_equal(close(fd), 0);
}

static void a_file_system_that_turns_read_only_loses_nothing_acknowledged(void **state)
{
    uint32_t acked;
    enum oxbow_err err;

    (void)state;
    make_fs("ext4");
    assert_int_equal(open_with(0), OXBOW_OK);
    for (acked = 0; acked < 100; acked++) {
        assert_int_equal(push(acked, OXBOW_SYNC_ALWAYS), OXBOW_OK);
    }
    break_ext4();
    do {
        err = push(acked, OXBOW_SYNC_ALWAYS);
        acked += err == OXBOW_OK;
    } while (err == OXBOW_OK && acked < 10000);
    print_message("refused with %s after %u\n", oxbow_err_name(err), acked - 100);
    assert_true(err == OXBOW_EINDOUBT || err == OXBOW_EFAILED || err == OXBOW_EREADONLY ||
                err == OXBOW_EIO);
    if (err == OXBOW_EINDOUBT || err == OXBOW_EFAILED) {
        assert_failed_with(OXBOW_EREADONLY, OXBOW_EIO);
    } else {
        (void)close_store();
    }
    assert_true(mounts_unmount(&fs));
    assert_true(mounts_mount(&fs));
    assert_int_equal(open_with(0), OXBOW_OK);
    for (uint32_t i = 0; i < acked; i++) {
        assert_true(there(i));
    }
    assert_false(there(acked + 1));
    assert_int_equal(close_store(), OXBOW_OK);
    assert_sound();
}

/* ---- broken and gone ---- */

static void broken(const char *kind)
{
    uint32_t acked;
    enum oxbow_err err;

    make_fs(kind);
    assert_int_equal(open_with(0), OXBOW_OK);
    for (acked = 0; acked < 50; acked++) {
        assert_int_equal(push(acked, OXBOW_SYNC_ALWAYS), OXBOW_OK);
    }
    assert_true(mounts_shutdown(&fs, SHUTDOWN_NOW));
    err = push(acked, OXBOW_SYNC_ALWAYS);
    /* EFAILED: a checkpoint, or idle work, met it first. */
    assert_true(err == OXBOW_EINDOUBT || err == OXBOW_EIO || err == OXBOW_EFAILED);
    if (err != OXBOW_EIO) {
        assert_failed_with(OXBOW_EIO, OXBOW_EIO);
    } else {
        (void)close_store();
    }
    assert_true(mounts_unmount(&fs));
    assert_true(mounts_mount(&fs));
    assert_int_equal(open_with(0), OXBOW_OK);
    for (uint32_t i = 0; i < acked; i++) {
        assert_true(there(i));
    }
    assert_int_equal(push(acked + 1, OXBOW_SYNC_ALWAYS), OXBOW_OK);
    assert_int_equal(close_store(), OXBOW_OK);
    assert_sound();
}

static void a_broken_ext4_fails_the_store_and_loses_nothing_acknowledged(void **state)
{
    (void)state;
    broken("ext4");
}

static void a_broken_xfs_fails_the_store_and_loses_nothing_acknowledged(void **state)
{
    (void)state;
    broken("xfs");
}

static void nothing_is_acknowledged_on_a_file_system_that_was_unmounted(void **state)
{
    (void)state;
    make_fs("ext4");
    assert_int_equal(open_with(0), OXBOW_OK);
    assert_int_equal(push(1, OXBOW_SYNC_ALWAYS), OXBOW_OK);
    assert_int_equal(umount2(fs.dir, MNT_DETACH), 0);
    assert_int_equal(push(2, OXBOW_SYNC_ALWAYS), OXBOW_EINDOUBT);
    assert_failed_with(OXBOW_ENOENT, OXBOW_ENOENT);
    assert_true(mounts_mount(&fs));
    assert_int_equal(open_with(OXBOW_OPEN_EXISTING), OXBOW_OK);
    assert_true(there(1));
}

#define TEST(name) cmocka_unit_test_teardown(name, tidy_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_ext4_is_drained_over_holes_and_filled_again),
        TEST(without_a_journal_a_full_ext4_is_drained_as_well),
        TEST(a_full_xfs_is_drained_over_holes_and_filled_again),
        TEST(a_full_tmpfs_is_drained_over_holes_and_filled_again),
        TEST(a_store_on_a_read_only_file_system_can_be_read),
        TEST(a_file_system_that_turns_read_only_loses_nothing_acknowledged),
        TEST(a_broken_ext4_fails_the_store_and_loses_nothing_acknowledged),
        TEST(a_broken_xfs_fails_the_store_and_loses_nothing_acknowledged),
        TEST(nothing_is_acknowledged_on_a_file_system_that_was_unmounted),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
