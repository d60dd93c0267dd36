/* SPDX-License-Identifier: Apache-2.0 */
/* Backups of a store that works: one moment of it, whatever goes on meanwhile. */
#include "tests/store/backup_fixture.h"

#include <pthread.h>

#define MANY 15000u

/* ---- what it holds ---- */

static void a_backup_holds_what_was_committed_when_it_was_opened(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup_info info, read;
    struct oxbow_backup *b;
    struct oxbow_stat stat;

    rig_open(rig);
    put_round(rig, KEYS, 1);
    oxbow_stat(rig->db, &stat);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    oxbow_backup_info(b, &info);
    assert_int_equal(info.lsn, stat.lsn_applied);
    assert_int_equal(info.store_id, stat.store_id);
    assert_int_equal(info.boot, stat.boot);
    assert_int_equal(info.level, OXBOW_FORMAT_LEVEL);
    assert_int_equal(info.wall_ms, rig->wall_ms);
    assert_true(info.records >= KEYS);
    put_round(rig, KEYS + 500, 2); /* many checkpoints' worth */
    assert_int_equal(drain(b), OXBOW_OK);
    oxbow_backup_info(b, &read);
    assert_int_equal(read.done, info.records);
    assert_int_equal(read.bytes, len);
    oxbow_backup_close(b);
    write_file();
    assert_int_equal(check_file(&read), OXBOW_OK);
    assert_int_equal(read.lsn, info.lsn);
    assert_int_equal(read.records, info.records);
    assert_int_equal(read.bytes, len);
    assert_int_equal(restore(&read), OXBOW_OK);
    assert_made(rig, KEYS, 1);
    remove_made();
    back_up(rig); /* and the next one has the newest */
    assert_int_equal(restore(&read), OXBOW_OK);
    assert_true(read.lsn > info.lsn);
    assert_made(rig, KEYS + 500, 2);
}

static void a_store_that_was_restored_is_another_one_that_was_cut_off(void **state)
{
    struct rig *rig = *state;
    struct oxbow_config config = rig->config;
    struct oxbow_backup_info info;
    struct oxbow_stat old, new;
    struct oxbow_wear wear;
    struct oxbow *db;

    rig_open(rig);
    put_round(rig, 100, 1);
    back_up(rig);
    oxbow_stat(rig->db, &old);
    assert_int_equal(restore(&info), OXBOW_OK);
    config.dir = made;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    oxbow_stat(db, &new);
    assert_int_not_equal(new.store_id, old.store_id);
    assert_int_equal(new.boot, old.boot + 1);
    assert_true(new.lsn_applied > old.lsn_applied);
    assert_true(store_cut_off(db));
    oxbow_wear(db, &wear);
    assert_int_equal(wear.life.payload_bytes, 0); /* its device is another one */
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(restore(&info), OXBOW_EEXIST);
    assert_made(rig, 100, 1);
}

static void an_empty_store_is_backed_up_too(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup_info info;

    rig->config.journal = OXBOW_JOURNAL_OFF;
    rig_open(rig);
    back_up(rig);
    assert_int_equal(restore(&info), OXBOW_OK);
    assert_made(rig, 0, 0);
}

/* The device fails: the store is in memory now. */
static void fail_device(struct rig *rig, uint32_t round)
{
    static uint8_t value[9000];
    uint8_t key[9];
    struct oxbow_txn *txn;

    fault_arm_files(&fault, FAULT_WRITING, 1, UINT64_MAX, OXBOW_EIO);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_put(txn, key_of(key, 1), value_of(value, 1, round)), OXBOW_OK);
    assert_int_equal(rig_try_commit(txn, NULL), OXBOW_EVOLATILE);
}

static void there_is_one_at_a_time_and_none_of_what_is_on_no_device(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup *b, *other;
    size_t n;

    rig->config.on_failure = OXBOW_FAILURE_MEMORY;
    rig->config.journal = OXBOW_JOURNAL_ON; /* whose writes the port can fail */
    rig_open(rig);
    put_round(rig, 100, 1);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    assert_int_equal(oxbow_backup_open(rig->db, &other), OXBOW_EBUSY);
    assert_int_equal(oxbow_backup_read(b, bytes, OXBOW_BACKUP_ROOM - 1, &n), OXBOW_EINVAL);
    oxbow_backup_close(b);
    oxbow_backup_close(NULL);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    assert_int_equal(oxbow_backup_read(b, bytes, OXBOW_BACKUP_ROOM, &n), OXBOW_OK);
    /* The device fails under it, and comes back: what it reads is gone then. */
    fail_device(rig, 2);
    assert_int_equal(oxbow_backup_open(rig->db, &other), OXBOW_EBUSY);
    fault_disarm(&fault);
    assert_int_equal(oxbow_return(rig->db), OXBOW_OK);
    assert_int_equal(oxbow_backup_read(b, bytes, OXBOW_BACKUP_ROOM, &n), OXBOW_EVOLATILE);
    assert_int_equal(oxbow_backup_read(b, bytes, OXBOW_BACKUP_ROOM, &n), OXBOW_EVOLATILE);
    oxbow_backup_close(b);
    fail_device(rig, 3);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_EVOLATILE);
    fault_disarm(&fault);
    assert_int_equal(oxbow_return(rig->db), OXBOW_OK);
    back_up(rig);
    rig_close(rig);
    rig->config.on_failure = OXBOW_FAILURE_STOP;
    rig->config.flags = OXBOW_OPEN_READONLY;
    rig_open(rig);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_EREADONLY);
}

/* ---- beside the store's work ---- */

struct writer {
    struct rig *rig;
    atomic_bool stop;
    atomic_uint rounds;
};

/* Two keys that are equal in every commit. */
static void *write_on(void *arg)
{
    struct writer *w = arg;
    static uint8_t value[9000];
    uint8_t key[9];

    while (!atomic_load(&w->stop)) {
        uint32_t n = atomic_load(&w->rounds) + 1;
        struct oxbow_txn *txn;

        if (oxbow_txn_begin(w->rig->db, NULL, &txn) != OXBOW_OK) {
            return w;
        }
        put_le32(value, n);
        if (kv_put(txn, key_of(key, 1), (struct oxbow_bytes){value, 9000}) != OXBOW_OK ||
            kv_put(txn, key_of(key, 900000), (struct oxbow_bytes){value, 4}) != OXBOW_OK ||
            kv_put(txn, key_of(key, 1000 + n % 100), (struct oxbow_bytes){value, 3000}) !=
                OXBOW_OK) {
            oxbow_txn_abort(txn);
            return w;
        }
        if (oxbow_txn_commit(txn, NULL) != OXBOW_OK) {
            return w;
        }
        atomic_store(&w->rounds, n);
    }
    return NULL;
}

static uint32_t number_in(struct oxbow *db, uint32_t i)
{
    struct oxbow_bytes got;
    struct oxbow_txn *txn;
    uint8_t key[9];
    uint32_t n;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_get(txn, key_of(key, i), &got), OXBOW_OK);
    n = get_le32(got.data);
    oxbow_txn_abort(txn);
    return n;
}

static void it_is_one_moment_while_others_write(void **state)
{
    struct rig *rig = *state;
    struct writer w = {.rig = rig};
    struct oxbow_config config;
    struct oxbow_backup_info info;
    struct oxbow *db;
    pthread_t thread;
    void *failed;

    rig->config.memtable_bytes = 256u << 10; /* a checkpoint every few dozen commits */
    rig_open(rig);
    put_round(rig, 500, 1);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    for (int i = 0; i < 5; i++) {
        uint32_t before, n;

        while (atomic_load(&w.rounds) < (uint32_t)(i + 1) * 200) {
            usleep(100);
        }
        before = atomic_load(&w.rounds);
        back_up(rig);
        assert_int_equal(restore(&info), OXBOW_OK);
        config = rig->config;
        config.dir = made;
        assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
        n = number_in(db, 1);
        assert_true(n >= before);
        assert_int_equal(number_in(db, 900000), n);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        remove_made();
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static void delete_all(struct rig *rig)
{
    uint8_t key[9];

    for (uint32_t i = 0; i < MANY;) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        for (uint32_t end = i + 20; i < end && i < MANY; i++) {
            assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
        }
        rig_commit(txn);
    }
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
}

/* Gives the store time for holes, and commits from which pages come free. */
static uint64_t holes_in_time(struct rig *rig, int tries)
{
    static uint8_t value[9000];
    struct oxbow_stat stat = {.hole_bytes = 0};
    uint8_t key[9];

    for (int i = 0; i < tries && stat.hole_bytes == 0; i++) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        assert_int_equal(kv_put(txn, key_of(key, 7), value_of(value, 7, (uint32_t)i)), OXBOW_OK);
        rig_commit(txn);
        usleep(1000);
        oxbow_stat(rig->db, &stat);
    }
    return stat.hole_bytes;
}

/* What the store gives back to the file system while a backup is open is not what that holds. */
static void holes_are_not_made_where_it_reads(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup_info info;
    struct oxbow_backup *b;

    rig->config.quota_bytes = 32u << 20;
    rig->config.dirty_pages = 32;
    rig->config.memtable_bytes = 128u << 10;
    rig->config.txn_bytes = 128u << 10;
    rig->config.checkpoint_ms = 20;
    fault.port.clock = oxbow_port_default()->clock; /* holes are made in their own time */
    rig_open(rig);
    put_round(rig, MANY, 1);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    delete_all(rig);
    (void)holes_in_time(rig, 1000);
    assert_true(atomic_load(&rig->db->backup.on)); /* it was not ended for want of room */
    assert_int_equal(drain(b), OXBOW_OK);
    oxbow_backup_close(b);
    write_file();
    assert_int_equal(restore(&info), OXBOW_OK);
    assert_made(rig, MANY, 1);
    /* Without one it does give that back. */
    put_round(rig, MANY, 3);
    delete_all(rig);
    assert_true(holes_in_time(rig, 20000) > 0);
}

/* It goes before a push is refused for its sake. */
static void a_backup_that_takes_too_much_room_is_ended(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup *b;
    struct oxbow_stat stat;
    uint32_t round = 1;
    size_t n;

    rig->config.quota_bytes = 4u << 20;
    rig->config.dirty_pages = 64;
    rig->config.memtable_bytes = 128u << 10;
    rig->config.txn_bytes = 256u << 10;
    rig_open(rig);
    put_round(rig, 1000, 0);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    while (atomic_load(&rig->db->backup.on)) {
        static uint8_t value[9000];
        uint8_t key[9];
        struct oxbow_txn *txn = rig_begin(rig, 0);

        assert_int_equal(txn_reserve_bytes(txn, 9000), OXBOW_OK);
        assert_int_equal(kv_put(txn, key_of(key, round % 20 * 50), value_of(value, 0, round)),
                         OXBOW_OK);
        rig_commit(txn);
        oxbow_stat(rig->db, &stat);
        assert_true(stat.file_bytes <= stat.disk_bytes_max);
        assert_true(round++ < 1000000);
    }
    print_message("after %u writes, the file had %llu of %llu bytes\n", round,
                  (unsigned long long)stat.file_bytes, (unsigned long long)stat.disk_bytes_max);
    assert_true(round > 100);
    assert_int_equal(oxbow_backup_read(b, bytes, OXBOW_BACKUP_ROOM, &n), OXBOW_ENOSPC);
    oxbow_backup_close(b);
    back_up(rig);
    assert_int_equal(check_file(&(struct oxbow_backup_info){0}), OXBOW_OK);
}

static void a_damaged_value_ends_it(void **state)
{
    struct rig *rig = *state;
    static uint8_t value[9000];
    struct oxbow_bytes v = value_of(value, 49, 1);
    struct oxbow_backup *b;
    char path[400];
    uint8_t *at;
    FILE *f;

    rig_open(rig);
    put_round(rig, 100, 1);
    rig_close(rig);
    snprintf(path, sizeof path, "%s/data.mdb", rig->store);
    f = fopen(path, "r+b");
    assert_non_null(f);
    len = fread(bytes, 1, FILE_MAX, f);
    at = memmem(bytes, len, v.data, v.len);
    assert_non_null(at);
    assert_int_equal(fseek(f, (long)(at - bytes) + 10, SEEK_SET), 0);
    assert_int_equal(fputc('x', f), 'x');
    assert_int_equal(fclose(f), 0);
    rig_open(rig);
    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    assert_int_equal(drain(b), OXBOW_ECORRUPT);
    oxbow_backup_close(b);
    assert_true(tree_values_bad(rig->db->tree) > 0); /* the next opening looks for it */
}

static void memory_that_is_out_ends_a_backup_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct oxbow_backup *b;
    uint64_t points;

    rig_open(rig);
    put_round(rig, 10, 1);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    for (points = 0;; points++) {
        enum oxbow_err err;

        fault_arm_alloc(&fault, points + 1, 1);
        err = oxbow_backup_open(rig->db, &b);
        fault_disarm(&fault);
        if (err == OXBOW_OK) {
            break;
        }
        assert_int_equal(err, OXBOW_ENOMEM);
    }
    assert_true(points >= 2);
    oxbow_backup_close(b);
    back_up(rig);
    assert_int_equal(check_file(&(struct oxbow_backup_info){0}), OXBOW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_holds_what_was_committed_when_it_was_opened),
        TEST(a_store_that_was_restored_is_another_one_that_was_cut_off),
        TEST(an_empty_store_is_backed_up_too),
        TEST(there_is_one_at_a_time_and_none_of_what_is_on_no_device),
        TEST(it_is_one_moment_while_others_write),
        TEST(holes_are_not_made_where_it_reads),
        TEST(a_backup_that_takes_too_much_room_is_ended),
        TEST(a_damaged_value_ends_it),
        TEST(memory_that_is_out_ends_a_backup_and_nothing_else),
    };

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* many syncs, of which none is looked at */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
