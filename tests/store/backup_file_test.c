/* SPDX-License-Identifier: Apache-2.0 */
/* Backups in files: what is damaged or made up is found out, and a store is made or none. */
#include "tests/store/backup_fixture.h"

/* ---- files ---- */

static void every_byte_that_is_wrong_or_missing_is_found(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup_info info;
    size_t whole;

    rig_open(rig);
    put_round(rig, 3, 1);
    back_up(rig);
    whole = len;
    print_message("%zu bytes\n", len);
    assert_int_equal(check_file(&info), OXBOW_OK);
    for (size_t i = 0; i < whole; i += i < 2000 || i + 200 > whole ? 1 : 37) {
        enum oxbow_err err;

        bytes[i] ^= 0x40;
        write_file();
        err = check_file(&info);
        assert_true(err == OXBOW_ECORRUPT || (err == OXBOW_EFORMAT && i < 8));
        bytes[i] ^= 0x40;
    }
    for (len = 0; len < whole; len += len < 2000 || len + 200 > whole ? 1 : 37) {
        enum oxbow_err err;

        write_file();
        err = check_file(&info);
        assert_true(err == OXBOW_ECORRUPT || (err == OXBOW_EFORMAT && len < BACKUP_HEAD_BYTES));
    }
    bytes[whole] = 0;
    len = whole + 1;
    write_file();
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    assert_int_equal(restore(&info), OXBOW_ECORRUPT);
    assert_int_equal(access(made, F_OK), -1);
    len = whole;
    write_file();
    assert_int_equal(restore(&info), OXBOW_OK);
    assert_made(rig, 3, 1);
}

/* Writes a file of these records with right checksums. */
struct made_up {
    const char *key;
    uint32_t key_len;
    uint32_t raw_len; /* 0: as it is */
};

static void append_record(struct made_up r, bool header, uint64_t keys, uint64_t digest)
{
    struct tree_header h = {.lsn = 7, .boot = 1, .keys = keys, .digest = digest};
    uint8_t value[HEADER_BYTES] = "value";
    uint8_t *p = bytes + len;
    size_t value_len = header ? HEADER_BYTES : 5;

    if (header) {
        header_encode(value, &h);
    }
    put_le32(p, r.key_len);
    put_le32(p + 4, r.raw_len != 0 ? r.raw_len : (uint32_t)(value_len + ENVELOPE_BYTES));
    memcpy(p + 8, r.key, r.key_len);
    envelope_put(crc32c, p + 8 + r.key_len, (struct oxbow_bytes){r.key, r.key_len},
                 (struct oxbow_bytes){value, value_len});
    len += 8 + r.key_len + ENVELOPE_BYTES + value_len;
}

static void make_up(const struct made_up *rows, size_t count, uint64_t keys, uint32_t version)
{
    struct oxbow_backup_info info = {.lsn = 7, .records = keys, .level = 1};
    uint64_t digest = 0;

    backup_head_encode(bytes, &info);
    put_le32(bytes + 8, version);
    put_le32(bytes + 60, crc32c(0, bytes, 60));
    len = BACKUP_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        digest += rows[i].key_len > 0 ? hash64(rows[i].key, rows[i].key_len, 0) : 0;
    }
    append_record((struct made_up){header_key().data, HEADER_KEY_BYTES, 0}, true, keys, digest);
    for (size_t i = 0; i < count; i++) {
        append_record(rows[i], false, 0, 0);
    }
    memset(bytes + len, 0, BACKUP_TAIL_BYTES);
    put_le64(bytes + len + 8, keys);
    put_le32(bytes + len + 20, crc32c(0, bytes, len + 20));
    len += BACKUP_TAIL_BYTES;
    write_file();
}

static void what_is_made_up_is_refused(void **state)
{
    static const char longest[100] = "\x7f";
    struct made_up fine[] = {{"\x7f"
                              "a",
                              2, 0},
                             {"\x7f"
                              "b",
                              2, 0}};
    struct made_up rows[] = {{"\x7f"
                              "a",
                              2, 0},
                             {"\x7f"
                              "b",
                              2, 0}};
    struct oxbow_backup_info info;

    (void)state;
    make_up(fine, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_OK); /* the control */
    make_up(fine, 2, 2, BACKUP_VERSION + 1);
    assert_int_equal(check_file(&info), OXBOW_EFORMAT);
    make_up(fine, 2, 3, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    make_up(fine, 1, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    rows[1] = fine[0]; /* twice the same */
    make_up(rows, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    rows[0] = fine[1]; /* not in order */
    make_up(rows, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    rows[0] = fine[0];
    rows[1] = (struct made_up){longest, KV_KEY_MAX, 0};
    make_up(rows, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT); /* below "\x7f" "a" */
    rows[0] = (struct made_up){"\x7f", 1, 0};
    make_up(rows, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_OK);
    rows[1].key_len = KV_KEY_MAX + 1;
    make_up(rows, 2, 2, BACKUP_VERSION);
    assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    for (uint32_t raw = 1; raw != 0; raw = raw < 0x80000000u   ? raw * 2
                                           : raw == UINT32_MAX ? 0
                                                               : UINT32_MAX) {
        rows[0] = (struct made_up){"\x7f"
                                   "a",
                                   2, raw};
        make_up(rows, 1, 1, BACKUP_VERSION);
        assert_int_equal(check_file(&info), OXBOW_ECORRUPT);
    }
}

static void what_is_no_file_is_told(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup_info info;

    assert_int_equal(check_file(&info), OXBOW_ENOENT);
    assert_int_equal(restore(&info), OXBOW_ENOENT);
    assert_int_equal(oxbow_restore(file, "", NULL, &info), OXBOW_EINVAL);
    assert_int_equal(oxbow_restore(file, NULL, NULL, &info), OXBOW_EINVAL);
    assert_true(oxbow_backup_check(rig->dir, NULL, &info) != OXBOW_OK);
    rig_open(rig);
    put_round(rig, 10, 1);
    back_up(rig);
    rig_close(rig);
    assert_int_equal(oxbow_restore(file, rig->store, NULL, &info), OXBOW_EEXIST);
    rig_open(rig);
    snprintf(made, sizeof made, "%s/none/made", rig->dir);
    assert_true(restore(&info) != OXBOW_OK);
}

static bool refuse(void *ctx, const struct oxbow_backup_info *info)
{
    unsigned *calls = ctx;

    assert_true(info->done > 0 && info->done <= info->records);
    return ++*calls < 3;
}

static void it_can_be_interrupted(void **state)
{
    struct rig *rig = *state;
    unsigned calls = 0;
    const struct oxbow_backup_options options = {
        .port = &fault.port, .ctx = &calls, .progress = refuse};
    struct oxbow_backup_info info;

    rig_open(rig);
    put_round(rig, KEYS, 1);
    back_up(rig);
    assert_int_equal(oxbow_restore(file, made, &options, &info), OXBOW_ECANCELED);
    assert_int_equal(calls, 3);
    assert_true(rmdir(made) == 0 || errno == ENOENT); /* nothing is in it */
}

/* ---- calls that fail ---- */

static void restore_with_fault(struct rig *rig, enum oxbow_err what)
{
    struct oxbow_backup_info info;
    enum oxbow_err err = restore(&info);

    fault_disarm(&fault);
    (void)lmdb_fault_disarm();
    assert_int_equal(atomic_load(&fault.live_bytes), 0);
    if (err == OXBOW_OK) {
        assert_made(rig, 2500, 1);
    } else {
        assert_true(err == what || err == OXBOW_EFAILED);
    }
    remove_made();
}

static uint64_t file_faults(struct rig *rig, uint32_t kinds, enum oxbow_err what)
{
    for (uint64_t n = 1;; n++) {
        fault_arm_files(&fault, kinds, n, 1, what);
        restore_with_fault(rig, what);
        if (fault.file_failed == 0) {
            return n - 1;
        }
    }
}

static uint64_t lmdb_faults(struct rig *rig, uint32_t kinds, int number, enum oxbow_err what)
{
    for (uint64_t n = 1;; n++) {
        lmdb_fault_arm(kinds, n, number);
        restore_with_fault(rig, what);
        if (lmdb_fault_disarm() == 0) {
            return n - 1;
        }
    }
}

static void a_call_that_fails_in_restoring_leaves_no_store_or_a_whole_one(void **state)
{
    struct rig *rig = *state;
    uint64_t broken, full, memory, lmdb;

    rig_open(rig);
    put_round(rig, 2500, 1);
    back_up(rig);
    rig_close(rig);
    broken = file_faults(rig, FAULT_ALL & ~FAULT_UNLINK, OXBOW_EIO);
    full = file_faults(rig, FAULT_WRITING & ~FAULT_UNLINK, OXBOW_ENOSPC);
    lmdb = lmdb_faults(rig, LMDB_FAULT_WRITING, ENOSPC, OXBOW_ENOSPC);
    for (memory = 0;; memory++) {
        fault_arm_alloc(&fault, memory + 1, 1);
        restore_with_fault(rig, OXBOW_ENOMEM);
        if (fault.alloc_failed == 0) {
            break;
        }
    }
    print_message("%llu calls, %llu for want of space, %llu of LMDB, %llu allocations\n",
                  (unsigned long long)broken, (unsigned long long)full, (unsigned long long)lmdb,
                  (unsigned long long)memory);
    assert_true(broken >= 50);
    assert_true(full >= 8);
    assert_true(lmdb >= 5);
    assert_true(memory >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_that_is_wrong_or_missing_is_found),
        TEST(what_is_made_up_is_refused),
        TEST(what_is_no_file_is_told),
        TEST(it_can_be_interrupted),
        TEST(a_call_that_fails_in_restoring_leaves_no_store_or_a_whole_one),
    };

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* many syncs, of which none is looked at */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
