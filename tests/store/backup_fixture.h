/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of backups: a store with known content, its backup as a file, and the store made of
 * that. */
#ifndef OXBOW_TESTS_STORE_BACKUP_FIXTURE_H
#define OXBOW_TESTS_STORE_BACKUP_FIXTURE_H

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/store.h"
#include "oxbow/backup.h"
#include "oxbow/check.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS     3000u
#define FILE_MAX (32u << 20)

static struct fault fault;
static char file[300];
static char made[300];
static uint8_t bytes[FILE_MAX]; /* of the file */
static size_t len;

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    fault_init(&fault, &rig->port);
    rig->config.port = &fault.port;
    snprintf(file, sizeof file, "%s/file", rig->dir);
    snprintf(made, sizeof made, "%s/made", rig->dir);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static struct oxbow_bytes key_of(uint8_t out[9], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i);
    return (struct oxbow_bytes){out, 9};
}

static struct oxbow_bytes value_of(uint8_t out[9000], uint32_t i, uint32_t round)
{
    size_t n = i % 50 == 0 ? 9000 : i % 7 == 0 ? 3000 : 60;

    memset(out, (int)(i * 11 + round), n);
    put_le32(out, i + round);
    return (struct oxbow_bytes){out, n};
}

static void put_round(struct rig *rig, uint32_t count, uint32_t round)
{
    static uint8_t value[9000];
    uint8_t key[9];

    for (uint32_t i = 0; i < count;) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        for (uint32_t end = i + 50; i < end && i < count; i++) {
            assert_int_equal(kv_put(txn, key_of(key, i), value_of(value, i, round)), OXBOW_OK);
        }
        rig_commit(txn);
    }
}

static void write_file(void)
{
    FILE *f = fopen(file, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Reads all of it in pieces of several sizes. */
static enum oxbow_err drain(struct oxbow_backup *b)
{
    enum oxbow_err err;
    size_t room = OXBOW_BACKUP_ROOM;
    size_t n;

    for (len = 0; (err = oxbow_backup_read(b, bytes + len, room, &n)) == OXBOW_OK && n > 0;
         len += n) {
        assert_true(n <= room && len + n + 100000 < FILE_MAX);
        room = OXBOW_BACKUP_ROOM + (room * 7 + 13) % 90000;
    }
    return err;
}

static void back_up(struct rig *rig)
{
    struct oxbow_backup *b;

    assert_int_equal(oxbow_backup_open(rig->db, &b), OXBOW_OK);
    assert_int_equal(drain(b), OXBOW_OK);
    oxbow_backup_close(b);
    write_file();
}

static enum oxbow_err check_file(struct oxbow_backup_info *info)
{
    const struct oxbow_backup_options options = {.port = &fault.port};

    return oxbow_backup_check(file, &options, info);
}

static enum oxbow_err restore(struct oxbow_backup_info *info)
{
    const struct oxbow_backup_options options = {.port = &fault.port};

    return oxbow_restore(file, made, &options, info);
}

/* Opens what was made and sees that it has this round of these keys. */
static void assert_made(struct rig *rig, uint32_t count, uint32_t round)
{
    static uint8_t want[9000];
    struct oxbow_config config = rig->config;
    struct oxbow_check_report report;
    struct oxbow_bytes got;
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint8_t key[9];

    assert_int_equal(oxbow_check(made, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage + report.values_bad + report.lost_pages, 0);
    config.dir = made;
    config.flags = OXBOW_OPEN_EXISTING | OXBOW_OPEN_STRICT;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < count + 10; i++) {
        enum oxbow_err err = kv_get(txn, key_of(key, i), &got);
        struct oxbow_bytes w = value_of(want, i, round);

        assert_int_equal(err, i < count ? OXBOW_OK : OXBOW_ENOENT);
        if (err == OXBOW_OK) {
            assert_int_equal(got.len, w.len);
            assert_memory_equal(got.data, w.data, w.len);
        }
    }
    assert_int_equal(kv_put(txn, key_of(key, count + 1), value_of(want, 1, 1)), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void remove_made(void)
{
    static const char *const names[] = {"FORMAT",    "data.mdb",  "lock.mdb",  "LOCK",
                                        "journal.0", "journal.1", "journal.2", "journal.3"};
    char path[400];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", made, names[i]);
        (void)unlink(path);
    }
    assert_true(rmdir(made) == 0 || errno == ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
