/* SPDX-License-Identifier: Apache-2.0 */
/* The journal on a device that is slow, stalls or fails: what was promised holds, and who waits is
 * woken. */
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define INTERVAL_MS 200u
#define SLACK_MS    150u /* the store's clock is looked at a little later than ours */
#define LATE_MS                                                                                    \
    20000u /* of a machine that has other things to do; a checkpoint takes it along later */
#define BLOB_BYTES (24u << 20)

static char dir[SCRATCH_MAX];
static struct oxbow_port port;
static atomic_uint stall_ms; /* each sync takes so long */
static atomic_uint stalls;   /* so many more of them, then none */
static atomic_bool sync_fails;
static atomic_uint in_sync;

static void sleep_ms(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
    return port.clock.mono_us(port.clock.ctx) / 1000;
}

static enum oxbow_err slow_sync(void *ctx, int fd)
{
    unsigned left = atomic_load(&stalls);

    atomic_fetch_add(&in_sync, 1);
    if (left > 0 && atomic_compare_exchange_strong(&stalls, &left, left - 1)) {
        sleep_ms(atomic_load(&stall_ms));
    }
    atomic_fetch_sub(&in_sync, 1);
    return atomic_load(&sync_fails) ? OXBOW_EIO : oxbow_port_default()->files.sync(ctx, fd);
}

static void quiet(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

static int setup(void **state)
{
    (void)state;
    port = *oxbow_port_default();
    port.files.sync = slow_sync;
    port.log.line = quiet;
    atomic_store(&stalls, 0);
    atomic_store(&sync_fails, false);
    scratch_name(dir, "journal-io");
    scratch_remove(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow *open_store(enum oxbow_sync sync)
{
    const struct oxbow_config config = {.dir = dir,
                                        .port = &port,
                                        .sync = sync,
                                        .interval_ms = INTERVAL_MS,
                                        .journal = OXBOW_JOURNAL_ON,
                                        .journal_segments = 2};
    struct oxbow *db;

    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    return db;
}

static uint64_t put(struct oxbow *db, enum oxbow_sync sync, uint32_t flags, size_t len)
{
    const struct oxbow_txn_options opt = {.sync = sync, .flags = flags};
    static const uint8_t key[2] = {KV_SPACE_OBJECT, 1};
    static uint8_t bytes[100000];
    struct oxbow_txn *txn;
    uint64_t lsn = 0;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, 2}, (struct oxbow_bytes){bytes, len}),
                     OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    return lsn;
}

static void *put_always(void *arg)
{
    (void)put(arg, OXBOW_SYNC_ALWAYS, 0, 100);
    return NULL;
}

/* Stalls the next sync, and comes back when one is in it. */
static pthread_t begin_slow_sync(struct oxbow *db, unsigned ms)
{
    pthread_t thread;

    atomic_store(&stall_ms, ms);
    atomic_store(&stalls, 1);
    assert_int_equal(pthread_create(&thread, NULL, put_always, db), 0);
    while (atomic_load(&stalls) > 0) {
        sleep_ms(1);
    }
    return thread;
}

/* Nothing else comes along that would take it there. */
static void expect_durable_in_time(struct oxbow *db, uint64_t lsn, unsigned after_ms)
{
    uint64_t end = now_ms() + after_ms + INTERVAL_MS + LATE_MS;

    while (oxbow_durable_lsn(db) < lsn) {
        assert_true(now_ms() < end);
        sleep_ms(5);
    }
}

static void what_comes_under_interval_during_a_sync_is_synced_in_time(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_INTERVAL);
    pthread_t thread = begin_slow_sync(db, 100);
    uint64_t lsn = put(db, OXBOW_SYNC_INTERVAL, 0, 100);

    (void)state;
    expect_durable_in_time(db, lsn, 100);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void what_comes_under_interval_after_a_long_transaction_is_synced_in_time(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_INTERVAL);
    uint64_t lsn;

    (void)state;
    (void)put(db, OXBOW_SYNC_ALWAYS, OXBOW_TXN_NOWAIT, 90000);
    lsn = put(db, OXBOW_SYNC_INTERVAL, 0, 100);
    expect_durable_in_time(db, lsn, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* At any moment no more than an interval's worth of what was accepted can be lost. */
static void a_device_that_stalls_holds_back_interval(void **state)
{
    enum { COUNT = 60, MOST = 2000 };
    struct oxbow *db = open_store(OXBOW_SYNC_INTERVAL);
    static uint64_t done[MOST];
    static uint64_t lsns[MOST];
    unsigned oldest = 0;

    (void)state;
    atomic_store(&stall_ms, 700);
    atomic_store(&stalls, 2);
    for (unsigned i = 0; i < COUNT || (i < MOST && atomic_load(&stalls) > 0); i++) {
        uint64_t asked = now_ms(); /* it may be long after it that this thread goes on */

        lsns[i] = put(db, OXBOW_SYNC_INTERVAL, 0, 100);
        done[i] = now_ms();
        while (oldest < i && oxbow_durable_lsn(db) >= lsns[oldest]) {
            oldest++;
        }
        assert_true(asked <= done[oldest] + INTERVAL_MS + SLACK_MS);
        sleep_ms(20);
    }
    assert_int_equal(atomic_load(&stalls), 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void what_was_promised_a_short_interval_is_synced_when_it_becomes_long(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_INTERVAL);
    uint64_t lsn = put(db, OXBOW_SYNC_INTERVAL, 0, 100);

    (void)state;
    assert_int_equal(oxbow_set_sync(db, OXBOW_SYNC_INTERVAL, 3600000), OXBOW_OK);
    expect_durable_in_time(db, lsn, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- waiting for what is not there yet ---- */

struct waiter {
    struct oxbow *db;
    uint64_t lsn;
    enum oxbow_err err;
};

static void *wait_for(void *arg)
{
    struct waiter *w = arg;

    w->err = oxbow_wait(w->db, w->lsn, -1);
    return NULL;
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
        sleep_ms(1);
    }
    fail_msg("it never waits");
}

static void who_waits_for_an_lsn_before_its_commit_is_woken_under_every_policy(void **state)
{
    static const enum oxbow_sync all[] = {OXBOW_SYNC_ALWAYS, OXBOW_SYNC_INTERVAL, OXBOW_SYNC_NONE};
    struct oxbow *db = open_store(OXBOW_SYNC_ALWAYS);

    (void)state;
    assert_int_equal(oxbow_set_sync(db, OXBOW_SYNC_ALWAYS, 3600000), OXBOW_OK);
    for (size_t i = 0; i < 3; i++) {
        struct waiter w = {.db = db, .lsn = put(db, all[i], OXBOW_TXN_NOWAIT, 10) + 2};
        uint64_t end = now_ms() + 60000;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wait_for, &w), 0);
        until_waiting(db);
        (void)put(db, all[i], OXBOW_TXN_NOWAIT, 10);
        assert_int_equal(put(db, all[i], OXBOW_TXN_NOWAIT, 10), w.lsn);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(w.err, OXBOW_OK);
        assert_true(now_ms() < end);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void a_wait_that_timed_out_hastens_nothing(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_NONE);
    struct oxbow_stat before;
    struct oxbow_stat after;

    (void)state;
    assert_int_equal(oxbow_wait(db, UINT64_MAX, 20), OXBOW_ETIMEDOUT);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
    oxbow_stat(db, &before);
    for (unsigned i = 0; i < 20; i++) {
        (void)put(db, OXBOW_SYNC_NONE, 0, 10);
        sleep_ms(2);
    }
    oxbow_stat(db, &after);
    assert_int_equal(after.journal_syncs, before.journal_syncs);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void closing_wakes_who_waits_for_what_never_comes(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_ALWAYS);
    struct waiter w = {.db = db, .lsn = UINT64_MAX};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &w), 0);
    until_waiting(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(w.err, OXBOW_ECLOSED);
}

/* ---- failing ---- */

static void a_large_value_is_not_let_go_before_its_writer_has_done_with_it(void **state)
{
    struct oxbow *db = open_store(OXBOW_SYNC_ALWAYS);
    void *data = mmap(NULL, BLOB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    uint64_t blob;
    uint64_t lsn;
    enum oxbow_err err;

    (void)state;
    assert_true(data != MAP_FAILED);
    memset(data, 7, BLOB_BYTES);
    lsn = put(db, OXBOW_SYNC_ALWAYS, 0, 10);
    atomic_store(&stall_ms, 60);
    atomic_store(&stalls, 1);
    atomic_store(&sync_fails, true);
    (void)put(db, OXBOW_SYNC_ALWAYS, OXBOW_TXN_NOWAIT, 10);
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = kv_blob_write(txn, (struct oxbow_bytes){data, BLOB_BYTES}, &blob);
    assert_true(err == OXBOW_OK || err == OXBOW_EFAILED);
    assert_int_equal(munmap(data, BLOB_BYTES), 0);
    while (atomic_load(&in_sync) > 0) {
        sleep_ms(1);
    }
    sleep_ms(20);
    assert_int_not_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_wait(db, lsn, 0), OXBOW_OK);
    assert_int_equal(oxbow_wait(db, lsn + 1, -1), OXBOW_EINDOUBT);
    assert_int_equal(oxbow_close(db), OXBOW_EIO);
    atomic_store(&sync_fails, false);
    db = open_store(OXBOW_SYNC_ALWAYS);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_comes_under_interval_during_a_sync_is_synced_in_time,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_comes_under_interval_after_a_long_transaction_is_synced_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_stalls_holds_back_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_was_promised_a_short_interval_is_synced_when_it_becomes_long, setup, teardown),
        cmocka_unit_test_setup_teardown(
            who_waits_for_an_lsn_before_its_commit_is_woken_under_every_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_that_timed_out_hastens_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_wakes_who_waits_for_what_never_comes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_large_value_is_not_let_go_before_its_writer_has_done_with_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
