/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one store: producers under both policies, readers with cursors, one that asks for
 * the state and changes the policy, one that waits. Meant for TSan as much as for its assertions.
 */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#define PRODUCERS 6u
#define TXNS      400u

static struct oxbow *db;
static atomic_bool over;

static struct oxbow_bytes key_of(uint8_t out[6], uint8_t who, uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    out[1] = who;
    put_be32(out + 2, i);
    return (struct oxbow_bytes){out, 6};
}

/* Keeps an interval of keys [tail, head) and a counter that says so, all in one transaction. */
static void *produce(void *arg)
{
    uint8_t who = (uint8_t)(uintptr_t)arg;
    struct oxbow_txn_options opt = {.sync = who % 2 == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL};
    uint8_t value[300];
    uint8_t key[6];
    uint64_t last = 0;
    bool dropped = false;

    memset(value, who, sizeof value);
    for (uint32_t i = 0; i < TXNS; i++) {
        struct oxbow_txn *txn;
        uint64_t lsn = 0;
        uint8_t head[4];

        put_be32(head, i + 1);
        assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
        assert_int_equal(txn_reserve_bytes(txn, sizeof value), OXBOW_OK);
        assert_int_equal(kv_put(txn, key_of(key, who, i), (struct oxbow_bytes){value, 300}),
                         OXBOW_OK);
        if (i >= 20) {
            assert_int_equal(kv_del(txn, key_of(key, who, i - 20)), OXBOW_OK);
        }
        assert_int_equal(
            kv_put(txn, key_of(key, who, UINT32_MAX), (struct oxbow_bytes){head, sizeof head}),
            OXBOW_OK);
        assert_int_equal(txn_touch(txn, who), OXBOW_OK);
        if (i % 10 == 9 && !dropped) {
            oxbow_txn_abort(txn);
            dropped = true; /* and once more */
            i--;
            continue;
        }
        dropped = false;
        assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
        assert_true(lsn > last);
        last = lsn;
        if (opt.sync == OXBOW_SYNC_ALWAYS) {
            assert_true(oxbow_durable_lsn(db) >= lsn);
        }
    }
    return NULL;
}

/* What a reader sees of one producer is a state that one of its commits made. */
static void *read_all(void *arg)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};

    while (!atomic_load(&over)) {
        uint8_t who = (uint8_t)((uintptr_t)arg % PRODUCERS);
        struct oxbow_bytes value;
        struct oxbow_bytes k;
        struct oxbow_txn *txn;
        struct kv_cursor c;
        uint8_t key[6];
        uint32_t newest = 0;
        uint32_t count = 0;
        enum oxbow_err err;

        assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
        assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
        err = kv_cursor_seek(&c, key_of(key, who, 0), &k, &value);
        while (err == OXBOW_OK && k.len == 6 && ((const uint8_t *)k.data)[1] == who) {
            uint32_t i = get_be32((const uint8_t *)k.data + 2);

            if (i == UINT32_MAX) {
                assert_int_equal(get_be32(value.data), newest + 1);
                break;
            }
            assert_int_equal(value.len, 300);
            newest = i;
            count++;
            err = kv_cursor_next(&c, &k, &value);
        }
        assert_true(count <= 24);
        kv_cursor_fini(&c);
        oxbow_txn_abort(txn);
    }
    return NULL;
}

static void *watch(void *arg)
{
    uint32_t n = 0;

    (void)arg;
    while (!atomic_load(&over)) {
        struct oxbow_stat stat;

        oxbow_stat(db, &stat);
        assert_true(stat.lsn_durable <= stat.lsn_applied);
        assert_int_equal(
            oxbow_set_sync(db, n % 2 == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL, 20 + n % 50),
            OXBOW_OK);
        n++;
        oxbow_sync_start(db, stat.lsn_applied);
        oxbow_durable_clear(db);
        assert_int_equal(usleep(500), 0);
    }
    return NULL;
}

static void *flush(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        enum oxbow_err err = oxbow_wait(db, oxbow_durable_lsn(db) + 3, 5);

        assert_true(err == OXBOW_OK || err == OXBOW_ETIMEDOUT);
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
    }
    return NULL;
}

static atomic_uint touches;

static void on_touch(void *ctx, uint64_t object, uint64_t lsn)
{
    (void)ctx;
    (void)object;
    (void)lsn;
    atomic_fetch_add(&touches, 1);
}

static void threads_share_a_store(void **state)
{
    char dir[SCRATCH_MAX];
    struct oxbow_config config = {.dir = dir,
                                  .sync = OXBOW_SYNC_INTERVAL,
                                  .interval_ms = 30,
                                  .memtable_bytes = 64 << 10,
                                  .dirty_pages = 16};
    pthread_t producers[PRODUCERS];
    pthread_t others[4];
    void *(*const run[4])(void *) = {read_all, read_all, watch, flush};
    struct oxbow_stat stat;

    (void)state;
    scratch_name(dir, "threads");
    scratch_remove(dir);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    store_set_touch_hook(db, on_touch, NULL);
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&others[i], NULL, run[i], (void *)i), 0);
    }
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_create(&producers[i], NULL, produce, (void *)i), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(producers[i], NULL), 0);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(others[i], NULL), 0);
    }
    oxbow_stat(db, &stat);
    assert_int_equal(stat.lsn_applied, atomic_load(&touches));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    oxbow_stat(db, &stat);
    assert_int_equal(stat.lsn_applied & UINT32_MAX, atomic_load(&touches)); /* or a jump above */
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
}

/* ---- syncs that are shared ---- */

#define SHARERS 8u
#define PUSHES  50u

static atomic_uint_least64_t clock_us;

/* Goes on by a little with each look at it, and by what a sync takes. */
static uint64_t slow_clock(void *ctx)
{
    (void)ctx;
    return atomic_fetch_add(&clock_us, 10);
}

static enum oxbow_err slow_sync(void *ctx, int fd)
{
    atomic_fetch_add(&clock_us, 20000);
    return oxbow_port_default()->files.sync(ctx, fd);
}

static void *share(void *arg)
{
    uint8_t who = (uint8_t)(uintptr_t)arg;
    uint8_t key[6];

    for (uint32_t i = 0; i < PUSHES; i++) {
        struct oxbow_txn *txn;

        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        assert_int_equal(kv_put(txn, key_of(key, who, i), (struct oxbow_bytes){key, 6}), OXBOW_OK);
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    }
    return NULL;
}

/* How many syncs all of them together take, in a store of their own. */
static uint64_t syncs_shared(void)
{
    static char dir[SCRATCH_MAX];
    struct oxbow_port port = *oxbow_port_default();
    struct oxbow_config config = {.dir = dir, .port = &port, .journal = OXBOW_JOURNAL_ON};
    pthread_t threads[SHARERS];
    struct oxbow_stat before;
    struct oxbow_stat stat;

    scratch_name(dir, "share");
    scratch_remove(dir);
    port.clock.mono_us = slow_clock;
    port.files.sync = slow_sync;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    oxbow_stat(db, &before);
    for (uintptr_t i = 0; i < SHARERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share, (void *)i), 0);
    }
    for (size_t i = 0; i < SHARERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    oxbow_stat(db, &stat);
    assert_true(before.journal);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
    return stat.journal_syncs - before.journal_syncs;
}

/* Without the leader's moment for the others they would settle in two halves: 100 syncs, each time. A
 * machine with much else to do may keep threads from being there in time: not each time. */
static void those_whom_a_sync_released_share_the_next(void **state)
{
    uint64_t least = UINT64_MAX;

    (void)state;
    for (int tries = 0; tries < 5 && least > PUSHES * 3 / 2; tries++) {
        uint64_t n = syncs_shared();

        assert_true(n >= PUSHES);
        least = n < least ? n : least;
    }
    print_message("%llu syncs for %u pushes each of %u threads\n", (unsigned long long)least,
                  PUSHES, SHARERS);
    assert_in_range(least, PUSHES, PUSHES * 3 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_store),
        cmocka_unit_test(those_whom_a_sync_released_share_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
