/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, transactions, durability and what the store says of itself. */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "engine/store/store.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

static char dir[SCRATCH_MAX];

static int fresh(void **state)
{
    (void)state;
    scratch_name(dir, "store");
    scratch_remove(dir);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow *open_with(struct oxbow_config config)
{
    struct oxbow *db = NULL;

    config.dir = dir;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    return db;
}

static struct oxbow *open_plain(void)
{
    return open_with((struct oxbow_config){.sync = OXBOW_SYNC_INTERVAL});
}

static struct oxbow_txn *begin(struct oxbow *db)
{
    struct oxbow_txn *txn = NULL;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    return txn;
}

static uint64_t commit(struct oxbow_txn *txn)
{
    uint64_t lsn = 0;

    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    return lsn;
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static uint64_t put_one(struct oxbow *db, const char *key, const char *value)
{
    struct oxbow_txn *txn = begin(db);

    assert_int_equal(kv_put(txn, text(key), text(value)), OXBOW_OK);
    return commit(txn);
}

static void assert_value(struct oxbow *db, const char *key, const char *value)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_bytes got;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    if (value == NULL) {
        assert_int_equal(kv_get(txn, text(key), &got), OXBOW_ENOENT);
    } else {
        assert_int_equal(kv_get(txn, text(key), &got), OXBOW_OK);
        assert_int_equal(got.len, strlen(value));
        assert_memory_equal(got.data, value, got.len);
    }
    oxbow_txn_abort(txn);
}

static void write_file(const char *name, const char *data, size_t len)
{
    char path[SCRATCH_MAX + 16];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static enum oxbow_err try_open(uint32_t flags)
{
    struct oxbow_config config = {.dir = dir, .flags = flags};
    struct oxbow *db = NULL;
    struct fault quiet;
    enum oxbow_err err;

    fault_init(&quiet, oxbow_port_default());
    config.port = &quiet.port;
    err = oxbow_open(&config, &db);
    if (err == OXBOW_OK) {
        assert_int_equal(oxbow_close(db), OXBOW_OK);
    } else {
        assert_null(db);
    }
    assert_int_equal(quiet.live_bytes, 0);
    return err;
}

/* ---- open ---- */

static void a_store_is_made_once_and_found_again(void **state)
{
    struct oxbow_stat first;
    struct oxbow_stat second;
    struct oxbow *db;

    (void)state;
    assert_int_equal(try_open(OXBOW_OPEN_EXISTING), OXBOW_ENOENT);
    assert_int_equal(try_open(OXBOW_OPEN_READONLY), OXBOW_ENOENT);
    db = open_plain();
    (void)put_one(db, "k", "v");
    oxbow_stat(db, &first);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_plain();
    oxbow_stat(db, &second);
    assert_value(db, "k", "v");
    assert_int_equal(first.boot, 1);
    assert_int_equal(second.boot, 2);
    assert_true(first.store_id != 0 && first.store_id == second.store_id);
    assert_int_equal(second.lsn_applied, first.lsn_applied);
    assert_int_equal(second.lsn_durable, second.lsn_applied);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void fields_out_of_their_range_are_refused(void **state)
{
    static const struct oxbow_config bad[] = {
        {.flags = 0x80},
        {.interval_ms = 3600001},
        {.quota_bytes = (1 << 20) - 1},
        {.quota_bytes = 8 << 20, .map_bytes = 8 << 20},
        {.dirty_pages = 15},
        {.memtable_bytes = 65535},
        {.names_max = 31},
        {.names_max = (1u << 20) + 1},
        {.txn_bytes = 65535},
        {.entry_bytes = (256u << 20) + 1},
        {.sync = 4},
    };
    static const uint32_t names[] = {32, 1u << 20};
    struct oxbow *db = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct oxbow_config config = bad[i];

        config.dir = dir;
        assert_int_equal(oxbow_open(&config, &db), OXBOW_EINVAL);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        db = open_with((struct oxbow_config){.names_max = names[i]});
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        db = NULL;
    }
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = ""}, &db), OXBOW_EINVAL);
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir,
                                                       .sync = OXBOW_SYNC_NONE,
                                                       .journal = OXBOW_JOURNAL_OFF},
                                &db),
                     OXBOW_ENOTSUP);
    assert_null(db);
}

static void a_store_has_one_owner(void **state)
{
    struct oxbow *db = open_plain();

    (void)state;
    assert_int_equal(try_open(0), OXBOW_ELOCKED);
    assert_int_equal(try_open(OXBOW_OPEN_READONLY), OXBOW_ELOCKED);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(try_open(0), OXBOW_OK);
}

static void a_read_only_store_refuses_writers_and_writes_nothing(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn = NULL;
    struct oxbow_stat stat;

    (void)state;
    (void)put_one(db, "k", "v");
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_with((struct oxbow_config){.flags = OXBOW_OPEN_READONLY});
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_EREADONLY);
    assert_value(db, "k", "v");
    oxbow_stat(db, &stat);
    assert_int_equal(stat.boot, 1);
    assert_int_equal(stat.device_bytes, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void what_is_not_a_store_of_this_kind_is_left_alone(void **state)
{
    static const struct {
        const char *text;
        enum oxbow_err err;
    } formats[] = {
        {"", OXBOW_ECORRUPT},
        {"something else\n", OXBOW_EFORMAT},
        {"oxbow store\nformat 2\n", OXBOW_EFORMAT},
        {"oxbow store\nformat 1\nword 16\n", OXBOW_EFORMAT},
        {"oxbow store\nformat 1\nword 64\norder middle\n", OXBOW_EFORMAT},
        {"oxbow store\nformat 1\nword 64\norder little\npage 8192\n", OXBOW_EFORMAT},
        {"oxbow store\nformat 1\nword 64\norder little\npage 4096\nid 12\n", OXBOW_EFORMAT},
    };
    char data[8192] = "not a data file";
    char path[SCRATCH_MAX + 16];
    struct stat before;
    struct stat after;

    (void)state;
    assert_int_equal(mkdir(dir, 0755), 0);
    write_file("data.mdb", data, sizeof data);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(try_open(0), OXBOW_EFORMAT);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        write_file("FORMAT", formats[i].text, strlen(formats[i].text));
        assert_int_equal(try_open(0), formats[i].err);
        assert_int_equal(try_open(OXBOW_OPEN_READONLY), formats[i].err);
    }
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void a_data_file_that_is_missing_empty_or_cut_off_is_damage(void **state)
{
    char path[SCRATCH_MAX + 16];
    struct oxbow *db = open_plain();

    (void)state;
    for (int i = 0; i < 200; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "k%d", i);
        (void)put_one(db, key, "some value that takes room in a page of the tree");
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    assert_int_equal(truncate(path, 3 * 4096), 0);
    assert_int_equal(try_open(OXBOW_OPEN_STRICT), OXBOW_ECORRUPT); /* else salvage_test.c */
    assert_int_equal(try_open(OXBOW_OPEN_READONLY), OXBOW_ECORRUPT);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(try_open(0), OXBOW_ECORRUPT);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(try_open(0), OXBOW_ECORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_open(0), OXBOW_ECORRUPT);
}

/* ---- transactions ---- */

static void a_transaction_applies_whole_or_not_at_all(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn;

    (void)state;
    (void)put_one(db, "a", "1");
    txn = begin(db);
    assert_int_equal(kv_put(txn, text("a"), text("2")), OXBOW_OK);
    assert_int_equal(kv_put(txn, text("b"), text("2")), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_value(db, "a", "1");
    assert_value(db, "b", NULL);
    txn = begin(db);
    assert_int_equal(kv_put(txn, text("a"), text("3")), OXBOW_OK);
    assert_int_equal(txn_fail(txn, OXBOW_EWRONGTYPE), OXBOW_EWRONGTYPE);
    assert_int_equal(kv_put(txn, text("b"), text("3")), OXBOW_EWRONGTYPE);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EWRONGTYPE);
    assert_value(db, "a", "1");
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_transaction_over_the_cap_applies_nothing(void **state)
{
    static uint8_t bytes[65536];
    struct oxbow *db =
        open_with((struct oxbow_config){.txn_bytes = 65536, .sync = OXBOW_SYNC_INTERVAL});
    struct oxbow_txn *txn = begin(db);

    (void)state;
    /* One byte for the key. */
    assert_int_equal(kv_put(txn, text("a"), (struct oxbow_bytes){bytes, 65535}), OXBOW_OK);
    (void)commit(txn);
    txn = begin(db);
    assert_int_equal(kv_put(txn, text("b"), (struct oxbow_bytes){bytes, 65000}), OXBOW_OK);
    assert_int_equal(kv_put(txn, text("c"), (struct oxbow_bytes){bytes, 535}), OXBOW_ETXNBIG);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_ETXNBIG);
    assert_value(db, "b", NULL);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_reader_cannot_write(void **state)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn;
    uint64_t at = put_one(db, "a", "1");
    uint64_t lsn = 0;
    uint64_t blob;
    bool more;

    (void)state;
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_true(txn_readonly(txn));
    assert_int_equal(kv_put(txn, text("a"), text("2")), OXBOW_EREADONLY);
    assert_int_equal(kv_patch(txn, text("a"), 0, text("2")), OXBOW_EREADONLY);
    assert_int_equal(kv_del(txn, text("a")), OXBOW_EREADONLY);
    assert_int_equal(kv_del_range(txn, text("a"), text("b"), 9, &more), OXBOW_EREADONLY);
    assert_int_equal(kv_blob_write(txn, text("x"), &blob), OXBOW_EREADONLY);
    assert_int_equal(txn_reserve_bytes(txn, 1), OXBOW_EREADONLY);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    assert_int_equal(lsn, at);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void options_are_checked(void **state)
{
    const struct oxbow_config config = {.dir = dir, .journal = OXBOW_JOURNAL_OFF};
    struct oxbow *db;
    struct oxbow_txn *txn = NULL;

    (void)state;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, &(struct oxbow_txn_options){.database = 16}, &txn),
                     OXBOW_ENODB);
    assert_int_equal(
        oxbow_txn_begin(db, &(struct oxbow_txn_options){.sync = OXBOW_SYNC_NONE}, &txn),
        OXBOW_ENOTSUP);
    assert_int_equal(oxbow_txn_begin(db, &(struct oxbow_txn_options){.flags = 0x100}, &txn),
                     OXBOW_EINVAL);
    assert_int_equal(oxbow_txn_begin(db, &(struct oxbow_txn_options){.database = 15}, &txn),
                     OXBOW_OK);
    assert_int_equal(txn_database(txn), 15);
    assert_int_equal(oxbow_txn_select(txn, 16), OXBOW_ENODB);
    assert_int_equal(oxbow_txn_select(txn, 3), OXBOW_OK);
    assert_int_equal(txn_database(txn), 3);
    oxbow_txn_abort(txn);
    assert_int_equal(oxbow_set_sync(db, OXBOW_SYNC_NONE, 0), OXBOW_ENOTSUP);
    assert_int_equal(oxbow_set_sync(db, OXBOW_SYNC_ALWAYS, 3600001), OXBOW_EINVAL);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void keys_have_their_bounds(void **state)
{
    static const uint8_t key[KV_KEY_MAX + 1] = {1};
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn = begin(db);
    struct oxbow_bytes got;

    (void)state;
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, 0}, text("")), OXBOW_EINVAL);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, KV_KEY_MAX + 1}, text("")),
                     OXBOW_EINVAL);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, KV_KEY_MAX}, text("")), OXBOW_OK);
    assert_int_equal(kv_get(txn, (struct oxbow_bytes){key, KV_KEY_MAX}, &got), OXBOW_OK);
    assert_int_equal(got.len, 0);
    (void)commit(txn);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- durability ---- */

static void always_returns_when_it_is_on_the_device(void **state)
{
    struct oxbow *db = open_with((struct oxbow_config){0});
    uint64_t before = oxbow_durable_lsn(db);

    (void)state;
    for (uint64_t i = 1; i < 20; i++) {
        assert_int_equal(put_one(db, "k", "v"), before + i);
        assert_int_equal(oxbow_durable_lsn(db), before + i);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void interval_returns_at_once_and_syncs_in_time(void **state)
{
    struct oxbow *db =
        open_with((struct oxbow_config){.sync = OXBOW_SYNC_INTERVAL, .interval_ms = 3600000});
    uint64_t lsn = put_one(db, "k", "v");
    struct oxbow_stat stat;

    (void)state;
    assert_true(oxbow_durable_lsn(db) < lsn);
    oxbow_stat(db, &stat);
    assert_in_range(stat.oldest_unsynced_us, 1, 3600000000u - 1);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_with((struct oxbow_config){.sync = OXBOW_SYNC_INTERVAL, .interval_ms = 200});
    lsn = put_one(db, "k", "w");
    for (int i = 0; i < 30000 && oxbow_durable_lsn(db) < lsn; i++) {
        assert_int_equal(usleep(1000), 0);
    }
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    oxbow_stat(db, &stat);
    assert_int_equal(stat.oldest_unsynced_us, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static uint64_t standing_clock(void *ctx)
{
    (void)ctx;
    return 1000000;
}

static void what_is_not_durable_has_an_age_from_the_first(void **state)
{
    struct oxbow_port port = *oxbow_port_default();
    struct oxbow_stat stat;
    struct oxbow *db;

    (void)state;
    port.clock.mono_us = standing_clock;
    db = open_with(
        (struct oxbow_config){.port = &port, .sync = OXBOW_SYNC_INTERVAL, .interval_ms = 3600000});
    oxbow_stat(db, &stat);
    assert_int_equal(stat.oldest_unsynced_us, 0);
    (void)put_one(db, "k", "v");
    oxbow_stat(db, &stat);
    assert_int_equal(stat.oldest_unsynced_us, 1);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    oxbow_stat(db, &stat);
    assert_int_equal(stat.oldest_unsynced_us, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void waiting_starts_a_sync_and_has_a_timeout(void **state)
{
    struct oxbow *db =
        open_with((struct oxbow_config){.sync = OXBOW_SYNC_INTERVAL, .interval_ms = 3600000});
    struct oxbow_txn_options reader = {.sync = OXBOW_SYNC_ALWAYS, .flags = OXBOW_TXN_READ};
    uint64_t lsn = put_one(db, "k", "v");
    struct oxbow_txn *txn;

    (void)state;
    assert_int_equal(oxbow_wait(db, lsn, -1), OXBOW_OK);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    assert_int_equal(oxbow_wait(db, lsn + 1, 0), OXBOW_ETIMEDOUT);
    assert_int_equal(oxbow_wait(db, lsn + 1, 5), OXBOW_ETIMEDOUT);
    lsn = put_one(db, "k", "w");
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    lsn = put_one(db, "k", "x");
    oxbow_sync_start(db, lsn);
    for (int i = 0; i < 60000 && oxbow_durable_lsn(db) < lsn; i++) {
        assert_int_equal(usleep(1000), 0);
    }
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    lsn = put_one(db, "k", "y");
    assert_int_equal(oxbow_txn_begin(db, &reader, &txn), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void the_descriptor_tells_of_durability(void **state)
{
    struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_ALWAYS, .flags = OXBOW_TXN_NOWAIT};
    struct oxbow *db = open_plain();
    struct pollfd p = {.fd = oxbow_durable_fd(db), .events = POLLIN};
    struct oxbow_txn *txn;
    uint64_t lsn = 0;

    (void)state;
    assert_true(p.fd >= 0);
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(kv_put(txn, text("k"), text("v")), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    while (oxbow_durable_lsn(db) < lsn) {
        assert_int_equal(poll(&p, 1, 120000), 1);
        oxbow_durable_clear(db);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void *wait_for_ever(void *arg)
{
    struct oxbow *db = arg;

    return (void *)(intptr_t)oxbow_wait(db, UINT64_MAX, -1);
}

/* Closing is for who is inside: one that has not come so far would find no store. */
static void until_waiting(struct oxbow *db)
{
    for (unsigned i = 0; i < 60000; i++) {
        bool in;

        store_lock(db);
        in = db->waiting > 0;
        store_unlock(db);
        if (in) {
            return;
        }
        assert_int_equal(usleep(1000), 0);
    }
    fail_msg("it never waits");
}

static void close_wakes_who_waits(void **state)
{
    struct oxbow *db = open_plain();
    pthread_t thread;
    void *result = NULL;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, db), 0);
    until_waiting(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, OXBOW_ECLOSED);
}

/* ---- hooks ---- */

static uint64_t touched[4];
static size_t touched_count;

static void on_touch(void *ctx, uint64_t object, uint64_t lsn)
{
    *(uint64_t *)ctx = lsn;
    touched[touched_count++ % 4] = object;
}

static void commit_tells_of_each_touched_object_once(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn;
    uint64_t seen = 0;
    uint64_t lsn;

    (void)state;
    touched_count = 0;
    store_set_touch_hook(db, on_touch, &seen);
    txn = begin(db);
    assert_int_equal(txn_touch(txn, 7), OXBOW_OK);
    oxbow_txn_abort(txn);
    assert_int_equal(touched_count, 0);
    txn = begin(db);
    assert_int_equal(kv_put(txn, text("k"), text("v")), OXBOW_OK);
    assert_int_equal(txn_touch(txn, 7), OXBOW_OK);
    assert_int_equal(txn_touch(txn, 8), OXBOW_OK);
    assert_int_equal(txn_touch(txn, 7), OXBOW_OK);
    lsn = commit(txn);
    assert_int_equal(touched_count, 2);
    assert_int_equal(seen, lsn);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static int closed;

static void on_close(struct oxbow *db, void *p)
{
    assert_non_null(db);
    closed += *(int *)p;
}

static void slots_are_closed_with_the_store(void **state)
{
    struct oxbow *db = open_plain();
    int five = 5;

    (void)state;
    closed = 0;
    store_slot_set(db, STORE_SLOT_WAIT, &five, on_close);
    assert_ptr_equal(store_slot_get(db, STORE_SLOT_WAIT), &five);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(closed, 5);
}

static enum oxbow_err idle(struct oxbow_txn *txn, bool *more)
{
    struct oxbow_bytes got;
    enum oxbow_err err = kv_get(txn, text("count"), &got);
    char next[2] = "1";

    if (err == OXBOW_OK) {
        next[0] = (char)(*(const char *)got.data + 1);
    }
    if (next[0] > '3') {
        *more = false;
        return OXBOW_OK;
    }
    *more = true;
    return kv_put(txn, text("count"), text(next));
}

static void idle_work_is_done_in_steps(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_stat stat;

    (void)state;
    store_set_idle_hook(db, STORE_IDLE_POLICY, idle);
    do {
        assert_int_equal(usleep(1000), 0);
        oxbow_stat(db, &stat);
    } while (stat.lsn_applied < 3);
    assert_value(db, "count", "3");
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* Every 30 ms. */
static enum oxbow_err timed(struct oxbow_txn *txn, bool *more)
{
    uint64_t now = txn_clock_ms(txn);
    struct oxbow_bytes got;
    enum oxbow_err err = kv_get(txn, text("ticks"), &got);
    uint8_t ticks[9] = {0};

    *more = false;
    if (err == OXBOW_OK) {
        memcpy(ticks, got.data, sizeof ticks);
    }
    if (get_le64(ticks + 1) > now) {
        txn_idle_at(txn, get_le64(ticks + 1)); /* a call for another reason */
        return OXBOW_OK;
    }
    ticks[0]++;
    put_le64(ticks + 1, now + 30);
    txn_idle_at(txn, now + 30);
    return kv_put(txn, text("ticks"), (struct oxbow_bytes){ticks, sizeof ticks});
}

static enum oxbow_err fails(struct oxbow_txn *txn, bool *more)
{
    *more = false;
    return txn_fail(txn, OXBOW_ENOMEM);
}

static void idle_work_is_called_when_it_is_due(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_stat stat;
    struct oxbow_txn *txn;
    uint64_t first;
    uint64_t last;

    (void)state;
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    first = txn_clock_ms(txn);
    oxbow_txn_abort(txn);
    store_set_idle_hook(db, STORE_IDLE_GROUP, timed);
    do {
        assert_int_equal(usleep(1000), 0);
        oxbow_stat(db, &stat);
    } while (stat.lsn_applied < 10);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    last = txn_clock_ms(txn);
    oxbow_txn_abort(txn);
    assert_true(last - first >= 9 * 30);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void idle_work_that_fails_does_not_keep_others_from_theirs(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_stat stat;

    (void)state;
    store_set_idle_hook(db, STORE_IDLE_DUE, fails);
    store_set_idle_hook(db, STORE_IDLE_GROUP, idle);
    do {
        assert_int_equal(usleep(1000), 0);
        oxbow_stat(db, &stat);
    } while (stat.lsn_applied < 1);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static unsigned failures;

static enum oxbow_err fails_for_ever(struct oxbow_txn *txn, bool *more)
{
    failures++;
    *more = true;
    return txn_fail(txn, OXBOW_ECORRUPT);
}

static void idle_work_that_fails_does_not_hold_up_a_close(void **state)
{
    struct oxbow *db = open_plain();
    struct oxbow_txn *txn;

    (void)state;
    failures = 0;
    store_set_idle_hook(db, STORE_IDLE_DUE, fails_for_ever);
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_put(txn, text("k"), text("v")), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_in_range(failures, 1, STORE_IDLE_COUNT + 2); /* and not until its time is up */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_once_and_found_again),
        TEST(fields_out_of_their_range_are_refused),
        TEST(a_store_has_one_owner),
        TEST(a_read_only_store_refuses_writers_and_writes_nothing),
        TEST(what_is_not_a_store_of_this_kind_is_left_alone),
        TEST(a_data_file_that_is_missing_empty_or_cut_off_is_damage),
        TEST(a_transaction_applies_whole_or_not_at_all),
        TEST(a_transaction_over_the_cap_applies_nothing),
        TEST(a_reader_cannot_write),
        TEST(options_are_checked),
        TEST(keys_have_their_bounds),
        TEST(always_returns_when_it_is_on_the_device),
        TEST(interval_returns_at_once_and_syncs_in_time),
        TEST(what_is_not_durable_has_an_age_from_the_first),
        TEST(waiting_starts_a_sync_and_has_a_timeout),
        TEST(the_descriptor_tells_of_durability),
        TEST(close_wakes_who_waits),
        TEST(commit_tells_of_each_touched_object_once),
        TEST(slots_are_closed_with_the_store),
        TEST(idle_work_is_done_in_steps),
        TEST(idle_work_is_called_when_it_is_due),
        TEST(idle_work_that_fails_does_not_keep_others_from_theirs),
        TEST(idle_work_that_fails_does_not_hold_up_a_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
