/* SPDX-License-Identifier: Apache-2.0 */
/* The journal through the store: what was committed and not checkpointed is there after a crash. */
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>

#define TXNS 3000u

static struct oxbow_bytes key_of(uint8_t raw[3], uint32_t i)
{
    raw[0] = KV_SPACE_OBJECT;
    raw[1] = (uint8_t)(i >> 8);
    raw[2] = (uint8_t)i;
    return (struct oxbow_bytes){raw, 3};
}

static enum oxbow_err put_one(struct oxbow *db, uint32_t i, enum oxbow_sync sync, size_t len)
{
    const struct oxbow_txn_options opt = {.sync = sync};
    static uint8_t bytes[200000];
    uint8_t raw[3];
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(bytes, (int)(i % 251), len);
    assert_int_equal(kv_put(txn, key_of(raw, i), (struct oxbow_bytes){bytes, len}), OXBOW_OK);
    return oxbow_txn_commit(txn, NULL);
}

static void expect_upto(struct oxbow *db, uint32_t count, size_t len)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t raw[3];

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(kv_get(txn, key_of(raw, i), &value), OXBOW_OK);
        assert_int_equal(value.len, len);
        assert_int_equal(((const uint8_t *)value.data)[len - 1], i % 251);
    }
    assert_int_equal(kv_get(txn, key_of(raw, count), &value), OXBOW_ENOENT);
    oxbow_txn_abort(txn);
}

/* A child opens the store, does `count` puts and dies without closing it. */
static void crash_after(const char *dir, uint32_t count, enum oxbow_sync sync, size_t len)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct oxbow *db;

        if (oxbow_open(&(struct oxbow_config){.dir = dir,
                                              .journal = OXBOW_JOURNAL_ON,
                                              .journal_bytes = RING_BYTES_MIN},
                       &db) != OXBOW_OK) {
            _exit(2);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (put_one(db, i, sync, len) != OXBOW_OK) {
                _exit(3);
            }
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void crash_and_look(enum oxbow_sync sync, uint32_t count, size_t len, const char *name)
{
    char dir[SCRATCH_MAX];
    struct oxbow_recovery rec;
    struct oxbow *db;

    scratch_name(dir, name);
    scratch_remove(dir);
    crash_after(dir, count, sync, len);
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir}, &db), OXBOW_OK);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.lost_from, 0);
    expect_upto(db, count, len);
    assert_int_equal(put_one(db, count, OXBOW_SYNC_ALWAYS, len), OXBOW_OK);
    expect_upto(db, count + 1, len);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir}, &db), OXBOW_OK);
    oxbow_recovery(db, &rec);
    assert_int_equal(rec.replayed, 0);
    expect_upto(db, count + 1, len);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
}

static void what_always_acknowledged_is_there_after_a_crash(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_ALWAYS, 10, 100, "journal-a");
    crash_and_look(OXBOW_SYNC_ALWAYS, 500, 100, "journal-a");
}

static void what_interval_acknowledged_is_there_after_the_process_died(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_INTERVAL, TXNS, 100, "journal-i");
}

static void what_none_acknowledged_is_there_after_the_process_died(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_NONE, TXNS, 1000, "journal-n");
}

static void long_transactions_go_past_the_journal(void **state)
{
    (void)state;
    crash_and_look(OXBOW_SYNC_ALWAYS, 20, 150000, "journal-l");
    crash_and_look(OXBOW_SYNC_INTERVAL, 20, 150000, "journal-l");
}

/* Puts values of 1000 bytes until the transaction says that it is filled; how many. */
static uint32_t put_until_filled(struct oxbow *db, uint32_t most)
{
    static uint8_t bytes[1000];
    static uint8_t fill;
    struct oxbow_txn *txn;
    uint8_t raw[3];
    uint32_t i = 0;

    memset(bytes, ++fill, sizeof bytes); /* else nothing changes */
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    while (i < most && !oxbow_txn_filled(txn)) {
        assert_int_equal(kv_put(txn, key_of(raw, i++), (struct oxbow_bytes){bytes, sizeof bytes}),
                         OXBOW_OK);
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    return i;
}

static void a_transaction_tells_when_it_is_worth_committing(void **state)
{
    char dir[SCRATCH_MAX];
    struct oxbow_config config = {
        .dir = dir, .journal = OXBOW_JOURNAL_ON, .journal_bytes = 1 << 20};
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow *db;

    (void)state;
    scratch_name(dir, "journal-f");
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    oxbow_stat(db, &before);
    for (int i = 0; i < 10; i++) { /* half of 32 KiB each */
        assert_int_equal(put_until_filled(db, 100), 17);
    }
    oxbow_stat(db, &after);
    assert_int_equal(after.checkpoints, before.checkpoints);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    config.journal = OXBOW_JOURNAL_OFF;
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(put_until_filled(db, 100), 100);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
}

/* ---- what effects come to ---- */

#define MODEL_KEYS 12u
#define MODEL_MAX  900u

struct model {
    size_t len[MODEL_KEYS]; /* 0: not there */
    uint8_t bytes[MODEL_KEYS][MODEL_MAX];
};

static uint64_t dice;

static uint32_t roll(uint32_t below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % below;
}

/* One random change of a key that several changes of a transaction may meet. */
static void change(struct oxbow_txn *txn, struct model *m)
{
    uint8_t bytes[300];
    uint8_t raw[3];
    uint32_t k = roll(MODEL_KEYS);
    struct oxbow_bytes key = key_of(raw, k);
    size_t len = 1 + roll(roll(2) == 0 ? 8 : sizeof bytes);
    size_t pos;

    memset(bytes, (int)roll(256), sizeof bytes);
    switch (roll(6)) {
    case 0:
        assert_int_equal(kv_put(txn, key, (struct oxbow_bytes){bytes, len}), OXBOW_OK);
        memcpy(m->bytes[k], bytes, len);
        m->len[k] = len;
        break;
    case 1:
        if (roll(4) == 0) {
            assert_int_equal(kv_del(txn, key), OXBOW_OK);
            m->len[k] = 0;
        }
        break;
    default:
        pos = roll(3) == 0 ? roll(4) * 4 : m->len[k];
        if (m->len[k] > pos || (m->len[k] == pos && pos > 0)) {
            if (pos + len <= MODEL_MAX) {
                assert_int_equal(kv_patch(txn, key, pos, (struct oxbow_bytes){bytes, len}),
                                 OXBOW_OK);
                memcpy(m->bytes[k] + pos, bytes, len);
                m->len[k] = pos + len > m->len[k] ? pos + len : m->len[k];
            }
        }
        break;
    }
}

/* Commits transactions of many changes each, drops some, and dies. */
static void model_run(const char *dir, uint32_t txns, struct model *m)
{
    const struct oxbow_config config = {.dir = dir,
                                        .sync = OXBOW_SYNC_NONE,
                                        .journal = OXBOW_JOURNAL_ON,
                                        .journal_bytes = RING_BYTES_MIN};
    struct model before;
    struct oxbow_txn *txn;
    struct oxbow *db;

    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    for (uint32_t i = 0; i < txns; i++) {
        before = *m;
        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        for (uint32_t c = roll(40); c > 0; c--) {
            change(txn, m);
        }
        if (roll(8) == 0) {
            oxbow_txn_abort(txn);
            *m = before;
        } else {
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
        }
    }
}

static void model_compare(const char *dir, const struct model *m)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_txn *txn;
    struct oxbow *db;

    assert_int_equal(oxbow_open(&(struct oxbow_config){.dir = dir}, &db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        uint8_t raw[3];
        struct oxbow_bytes value;
        enum oxbow_err err = kv_get(txn, key_of(raw, k), &value);

        assert_int_equal(err, m->len[k] > 0 ? OXBOW_OK : OXBOW_ENOENT);
        if (err == OXBOW_OK) {
            assert_int_equal(value.len, m->len[k]);
            assert_memory_equal(value.data, m->bytes[k], value.len);
        }
    }
    oxbow_txn_abort(txn);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void many_changes_of_a_key_come_to_the_same_when_replayed(void **state)
{
    const char *want = getenv("OXBOW_SEED");
    uint64_t seed = want != NULL ? strtoull(want, NULL, 10) : (uint64_t)getpid();
    static struct model m;
    char dir[SCRATCH_MAX];

    (void)state;
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)seed);
    scratch_name(dir, "journal-m");
    for (uint64_t round = 0; round < 60; round++) {
        int ends[2];
        int status;
        pid_t pid;

        scratch_remove(dir);
        assert_int_equal(pipe(ends), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            dice = seed + round;
            memset(&m, 0, sizeof m);
            model_run(dir, 1 + roll(60), &m);
            _exit(write(ends[1], &m, sizeof m) == sizeof m ? 0 : 1);
        }
        assert_int_equal(read(ends[0], &m, sizeof m), sizeof m);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(close(ends[0]) | close(ends[1]), 0);
        model_compare(dir, &m);
    }
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_always_acknowledged_is_there_after_a_crash),
        cmocka_unit_test(what_interval_acknowledged_is_there_after_the_process_died),
        cmocka_unit_test(what_none_acknowledged_is_there_after_the_process_died),
        cmocka_unit_test(many_changes_of_a_key_come_to_the_same_when_replayed),
        cmocka_unit_test(long_transactions_go_past_the_journal),
        cmocka_unit_test(a_transaction_tells_when_it_is_worth_committing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
