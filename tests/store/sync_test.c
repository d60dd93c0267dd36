/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits on behalf of many (oxbow_sync_gather), on a device whose syncs take ten milliseconds of a
 * clock that otherwise moves only when the test says so. */
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SYNC_US   10000u
#define GATHER_US 2000u /* what it lets the next one wait, at most */
#define A_WHILE   50u   /* ms in which what should not happen would have */
#define PATIENCE  60000u

static char dir[SCRATCH_MAX];
static struct oxbow_port port;
static atomic_ullong clock_us;
static atomic_bool sync_fails;
static struct oxbow *db;

static void sleep_ms(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

static uint64_t now_us(void *ctx)
{
    (void)ctx;
    return atomic_load(&clock_us);
}

static enum oxbow_err slow_sync(void *ctx, int fd)
{
    atomic_fetch_add(&clock_us, SYNC_US);
    return atomic_load(&sync_fails) ? OXBOW_EIO : oxbow_port_default()->files.sync(ctx, fd);
}

static void quiet(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

static void open_store(enum oxbow_journal journal, enum oxbow_on_failure on_failure)
{
    const struct oxbow_config config = {.dir = dir,
                                        .port = &port,
                                        .sync = OXBOW_SYNC_ALWAYS,
                                        .journal = journal,
                                        .on_failure = on_failure};

    port = *oxbow_port_default();
    port.clock.mono_us = now_us;
    port.files.sync = slow_sync;
    port.log.line = quiet;
    atomic_store(&clock_us, 1000000);
    atomic_store(&sync_fails, false);
    scratch_name(dir, "sync");
    scratch_remove(dir);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
}

static void close_store(void)
{
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
}

static uint64_t put(uint32_t flags)
{
    const struct oxbow_txn_options opt = {.flags = flags};
    static const uint8_t key[2] = {KV_SPACE_OBJECT, 1};
    struct oxbow_txn *txn;
    uint64_t lsn = 0;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, 2}, (struct oxbow_bytes){key, 2}),
                     OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    return lsn;
}

static uint64_t put_lazily(void)
{
    return put(OXBOW_TXN_NOWAIT | OXBOW_TXN_LAZY);
}

static void gather(uint64_t lsn, uint32_t waiters)
{
    assert_int_equal(oxbow_sync_gather(db, lsn, waiters), OXBOW_OK);
}

static void until_durable(uint64_t lsn)
{
    for (unsigned i = 0; i < PATIENCE && oxbow_durable_lsn(db) < lsn; i++) {
        sleep_ms(1);
    }
    assert_true(oxbow_durable_lsn(db) >= lsn);
}

static void not_yet_durable(uint64_t lsn)
{
    sleep_ms(A_WHILE);
    assert_true(oxbow_durable_lsn(db) < lsn);
}

static uint64_t syncs(void)
{
    struct oxbow_stat stat;

    oxbow_stat(db, &stat);
    return stat.journal_syncs;
}

/* A sync that `waiters` came for; the next one expects as many. */
static void expect_next(uint32_t waiters)
{
    uint64_t lsn = put_lazily();

    gather(lsn, waiters);
    until_durable(lsn);
}

static void a_lazy_commit_waits_until_it_is_asked_for(void **state)
{
    uint64_t lsn;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    lsn = put_lazily();
    not_yet_durable(lsn);
    gather(lsn, 0);
    until_durable(lsn);
    lsn = put(OXBOW_TXN_NOWAIT);
    until_durable(lsn); /* the others ask themselves */
    lsn = put_lazily();
    assert_int_equal(oxbow_wait(db, lsn, -1), OXBOW_OK);
    lsn = put_lazily();
    oxbow_sync_start(db, lsn);
    until_durable(lsn);
    close_store();
}

static void one_sync_is_for_all_who_are_expected(void **state)
{
    uint64_t first;
    uint64_t second;
    uint64_t before;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    expect_next(2);
    before = syncs();
    first = put_lazily();
    gather(first, 1);
    not_yet_durable(first);
    gather(first, 0); /* nobody new */
    not_yet_durable(first);
    second = put_lazily();
    gather(second, 1);
    until_durable(second);
    assert_int_equal(syncs(), before + 1);
    close_store();
}

static void who_does_not_come_is_not_waited_for_long(void **state)
{
    uint64_t lsn;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    expect_next(2);
    lsn = put_lazily();
    gather(lsn, 1);
    not_yet_durable(lsn);
    atomic_fetch_add(&clock_us, GATHER_US);
    until_durable(lsn);
    lsn = put_lazily(); /* and not expected the next time */
    gather(lsn, 1);
    until_durable(lsn);
    close_store();
}

static void *commit_one(void *arg)
{
    (void)arg;
    (void)put(0);
    return NULL;
}

static void threads_are_counted_along(void **state)
{
    pthread_t thread;
    uint64_t lsn;
    uint64_t before;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    expect_next(2);
    before = syncs();
    lsn = put_lazily();
    gather(lsn, 1);
    not_yet_durable(lsn);
    assert_int_equal(pthread_create(&thread, NULL, commit_one, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(oxbow_durable_lsn(db) >= lsn);
    assert_int_equal(syncs(), before + 1);
    close_store();
}

/* Who wants it at once does not wait for those who may come. */
static void closing_waits_for_nobody(void **state)
{
    uint64_t lsn;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    expect_next(100);
    lsn = put_lazily();
    gather(lsn, 1);
    not_yet_durable(lsn);
    close_store();
}

static void a_store_without_a_journal_is_asked_the_same_way(void **state)
{
    uint64_t lsn;

    (void)state;
    open_store(OXBOW_JOURNAL_OFF, OXBOW_FAILURE_STOP);
    lsn = put_lazily();
    not_yet_durable(lsn);
    gather(lsn, 1);
    for (unsigned i = 0; i < PATIENCE && oxbow_durable_lsn(db) < lsn; i++) {
        atomic_fetch_add(&clock_us, 1000);
        sleep_ms(1);
    }
    assert_true(oxbow_durable_lsn(db) >= lsn);
    close_store();
}

static void what_will_not_be_durable_is_told_at_once(void **state)
{
    enum oxbow_err err = OXBOW_OK;
    uint64_t lsn;

    (void)state;
    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_STOP);
    assert_int_equal(oxbow_sync_gather(db, put(0), 1), OXBOW_OK); /* it is */
    atomic_store(&sync_fails, true);
    lsn = put_lazily();
    for (unsigned i = 0; i < PATIENCE && err == OXBOW_OK; i++) {
        err = oxbow_sync_gather(db, lsn, i == 0);
        sleep_ms(1);
    }
    assert_int_equal(err, OXBOW_EINDOUBT);
    assert_int_not_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);

    open_store(OXBOW_JOURNAL_ON, OXBOW_FAILURE_MEMORY);
    atomic_store(&sync_fails, true);
    err = OXBOW_OK;
    lsn = put_lazily();
    for (unsigned i = 0; i < PATIENCE && err == OXBOW_OK; i++) {
        err = oxbow_sync_gather(db, lsn, i == 0);
        sleep_ms(1);
    }
    assert_int_equal(err, OXBOW_EVOLATILE);
    (void)!oxbow_close(db); /* what it says is hold_test.c's */
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lazy_commit_waits_until_it_is_asked_for),
        cmocka_unit_test(one_sync_is_for_all_who_are_expected),
        cmocka_unit_test(who_does_not_come_is_not_waited_for_long),
        cmocka_unit_test(threads_are_counted_along),
        cmocka_unit_test(closing_waits_for_nobody),
        cmocka_unit_test(a_store_without_a_journal_is_asked_the_same_way),
        cmocka_unit_test(what_will_not_be_durable_is_told_at_once),
    };

    return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
