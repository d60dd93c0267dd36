/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store: whichever file call fails, the next attempt makes or finds it; and what a crash
 * in the middle leaves is taken up. */
#include "tests/store/kv_fixture.h"
#include "tests/support/fault.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fault fault;

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    fault_init(&fault, &rig->port);
    rig->config.port = &fault.port;
    *state = rig;
    return 0;
}

static const char *path_of(const struct rig *rig, const char *name)
{
    static char path[400];

    snprintf(path, sizeof path, "%s/%s", rig->store, name);
    return path;
}

static bool exists(const struct rig *rig, const char *name)
{
    return access(path_of(rig, name), F_OK) == 0;
}

static void write_to(const struct rig *rig, const char *name, const void *data, size_t len)
{
    FILE *f = fopen(path_of(rig, name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void put_and_check(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
}

static void whichever_call_fails_the_next_attempt_succeeds(void **state)
{
    struct rig *rig = *state;
    char kept[sizeof rig->store];
    unsigned points = 0;
    uint64_t n;

    memcpy(kept, rig->store, sizeof kept);
    for (n = 1;; n++) {
        enum oxbow_err err;
        bool failed;

        snprintf(rig->store, sizeof rig->store, "%.200s/%llu", rig->dir, (unsigned long long)n);
        fault_arm_files(&fault, FAULT_ALL & ~FAULT_CLOSE & ~FAULT_SPACE & ~FAULT_RESERVE, n, 1,
                        OXBOW_EIO);
        err = oxbow_open(&rig->config, &rig->db);
        failed = fault.file_failed > 0;
        fault_disarm(&fault);
        if (err != OXBOW_OK) {
            assert_true(failed);
            assert_null(rig->db);
            assert_int_equal(fault.live_bytes, 0);
            rig_open(rig);
            points++;
        }
        assert_false(exists(rig, "FORMAT.new"));
        put_and_check(rig);
        rig_close(rig);
        if (!failed) {
            break;
        }
    }
    assert_true(points >= 15);
    memcpy(rig->store, kept, sizeof kept);
}

static void a_making_that_was_cut_short_is_taken_up(void **state)
{
    static uint8_t meta[META_BYTES];
    static const char *const left[] = {"data.mdb", "data.mdb.new", "FORMAT.new"};
    struct rig *rig = *state;
    size_t i;
    size_t cut;

    for (i = 0; i < 3; i++) {
        for (cut = 0; cut < 2; cut++) {
            snprintf(rig->store, sizeof rig->store, "%.200s/%zu-%zu", rig->dir, i, cut);
            assert_int_equal(mkdir(rig->store, 0700), 0);
            write_to(rig, "LOCK", "", 0);
            format_meta(meta, 64u << 20);
            /* All of it, or nothing: what a power cut leaves of a file that was not synced. */
            write_to(rig, left[i], meta, cut == 0 ? sizeof meta : 0);
            rig_open(rig);
            put_and_check(rig);
            rig_close(rig);
        }
    }
}

static void what_is_not_ours_is_refused_and_left_as_it_is(void **state)
{
    static const char theirs[] = "somebody else's file, longer than nothing";
    struct rig *rig = *state;
    char got[sizeof theirs];
    FILE *f;

    assert_int_equal(mkdir(rig->store, 0700), 0);
    write_to(rig, "data.mdb", theirs, sizeof theirs);
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EFORMAT);
    assert_false(exists(rig, "FORMAT"));
    f = fopen(path_of(rig, "data.mdb"), "rb");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got, f), sizeof got);
    fclose(f);
    assert_memory_equal(got, theirs, sizeof got);
    assert_int_equal(fault.live_bytes, 0);
}

static void a_path_has_room_up_to_its_limit(void **state)
{
    struct rig *rig = *state;
    char dir[STORE_DIR_MAX + 2];

    rig->config.dir = dir;
    memset(dir, 'x', sizeof dir);
    dir[STORE_DIR_MAX + 1] = '\0';
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EINVAL);
    dir[0] = '\0';
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EINVAL);
    rig->config.dir = NULL;
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EINVAL);
    assert_int_equal(fault.live_bytes, 0);
}

static void the_lock_outlives_the_store(void **state)
{
    struct rig *rig = *state;
    struct oxbow *second = NULL;

    rig_open(rig);
    assert_int_equal(oxbow_open(&rig->config, &second), OXBOW_ELOCKED);
    assert_null(second);
    put_and_check(rig);
    rig_close(rig);
    assert_true(exists(rig, "LOCK"));
    rig_open(rig);
}

/* What a program that this one starts inherits of the directory; said by that program. One
 * descriptor is left open to it on purpose: else there might just be nothing to see. */
static void expect_nothing_inherited(const struct rig *rig)
{
    char line[600];
    unsigned planted = 0;
    unsigned of_ours = 0;
    FILE *said;
    int fd = open(path_of(rig, "FORMAT"), O_RDONLY);

    assert_true(fd >= 0);
    said = popen("ls -l /proc/self/fd", "r");
    assert_non_null(said);
    while (fgets(line, sizeof line, said) != NULL) {
        if (strstr(line, rig->dir) == NULL && strstr(line, "eventfd") == NULL) {
            continue;
        }
        if (strstr(line, "/FORMAT") != NULL) {
            planted++;
        } else {
            print_message("inherited: %s", line);
            of_ours++;
        }
    }
    assert_int_equal(pclose(said), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(planted, 1);
    assert_int_equal(of_ours, 0);
}

static void programs_that_this_one_starts_inherit_nothing(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    put_and_check(rig); /* closed and opened again on its way */
    assert_true(oxbow_durable_fd(rig->db) >= 0);
    expect_nothing_inherited(rig);
    rig_close(rig);
    rig->config.flags |= OXBOW_OPEN_READONLY;
    rig_open(rig);
    expect_nothing_inherited(rig);
}

static void a_data_file_that_cannot_be_kept_private_is_not_opened(void **state)
{
    struct rig *rig = *state;

    fault_arm_files(&fault, FAULT_KEEP, 1, 1, OXBOW_ESYS);
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_ESYS);
    assert_int_equal(fault.file_failed, 1);
    fault_disarm(&fault);
    assert_int_equal(fault.live_bytes, 0);
    rig_open(rig);
}

/* Commits `name` and says what became of it. */
static enum oxbow_err commit_one(struct rig *rig, const char *name)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    put(txn, (struct oxbow_bytes){name, strlen(name)}, BYTES("v"));
    return rig_try_commit(txn, NULL);
}

static void assert_failed(struct rig *rig)
{
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(rig->db, NULL, &txn), OXBOW_EFAILED);
    assert_int_equal(oxbow_close(rig->db), OXBOW_ENOENT);
    rig->db = NULL;
    assert_true(atomic_load(&fault.log_errors) > 0);
}

static void nothing_is_acknowledged_once_the_directory_was_removed(void **state)
{
    struct rig *rig = *state;

    rig->config.sync = OXBOW_SYNC_ALWAYS;
    rig_open(rig);
    assert_int_equal(commit_one(rig, "a"), OXBOW_OK);
    assert_int_equal(unlink(path_of(rig, "data.mdb")), 0);
    assert_int_equal(unlink(path_of(rig, "FORMAT")), 0);
    assert_int_equal(commit_one(rig, "b"), OXBOW_EINDOUBT);
    assert_failed(rig);
}

static void nothing_is_acknowledged_once_the_directory_was_moved(void **state)
{
    struct rig *rig = *state;
    char away[300];
    struct oxbow_txn *txn;

    snprintf(away, sizeof away, "%s/away", rig->dir);
    rig->config.sync = OXBOW_SYNC_ALWAYS;
    rig_open(rig);
    assert_int_equal(commit_one(rig, "a"), OXBOW_OK);
    assert_int_equal(rename(rig->store, away), 0);
    assert_int_equal(commit_one(rig, "b"), OXBOW_EINDOUBT);
    assert_failed(rig);
    assert_int_equal(rename(away, rig->store), 0);
    rig_open(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("a"), BYTES("v"));
    rig_commit(txn);
}

static void nothing_is_acknowledged_once_another_store_took_the_place(void **state)
{
    struct rig *rig = *state;

    rig->config.sync = OXBOW_SYNC_ALWAYS;
    rig_open(rig);
    assert_int_equal(commit_one(rig, "a"), OXBOW_OK);
    assert_int_equal(unlink(path_of(rig, "data.mdb")), 0);
    write_to(rig, "data.mdb", "other", 5);
    assert_int_equal(commit_one(rig, "b"), OXBOW_EINDOUBT);
    assert_failed(rig);
}

static void a_port_that_cannot_compare_is_believed(void **state)
{
    struct rig *rig = *state;

    rig->config.sync = OXBOW_SYNC_ALWAYS;
    fault_arm_files(&fault, FAULT_SAME, 1, UINT64_MAX, OXBOW_ENOTSUP);
    rig_open(rig);
    assert_int_equal(commit_one(rig, "a"), OXBOW_OK);
    fault_arm_files(&fault, FAULT_SAME, 2, 1, OXBOW_EIO);
    rig_reopen(rig);
    assert_int_equal(commit_one(rig, "b"), OXBOW_EINDOUBT);
    assert_int_equal(oxbow_close(rig->db), OXBOW_EIO);
    rig->db = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kv_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whichever_call_fails_the_next_attempt_succeeds),
        TEST(a_making_that_was_cut_short_is_taken_up),
        TEST(what_is_not_ours_is_refused_and_left_as_it_is),
        TEST(a_path_has_room_up_to_its_limit),
        TEST(the_lock_outlives_the_store),
        TEST(nothing_is_acknowledged_once_the_directory_was_removed),
        TEST(nothing_is_acknowledged_once_the_directory_was_moved),
        TEST(nothing_is_acknowledged_once_another_store_took_the_place),
        TEST(a_port_that_cannot_compare_is_believed),
        TEST(programs_that_this_one_starts_inherit_nothing),
        TEST(a_data_file_that_cannot_be_kept_private_is_not_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
