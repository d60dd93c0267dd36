/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose device fails goes on in memory, says so, and goes back with everything it holds, once. */
#include "engine/store/kv.h"
#include "oxbow/check.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#define B(text) ((struct oxbow_bytes){(text), sizeof(text) - 1})

struct hold_rig {
    char dir[SCRATCH_MAX];
    struct fault f;
    struct oxbow_config config;
    struct oxbow *db;
};

static struct hold_rig rig;

static void begin(enum oxbow_journal journal)
{
    memset(&rig, 0, sizeof rig);
    scratch_name(rig.dir, "hold");
    scratch_remove(rig.dir);
    fault_init(&rig.f, oxbow_port_default());
    rig.config = (struct oxbow_config){.dir = rig.dir,
                                       .port = &rig.f.port,
                                       .sync = OXBOW_SYNC_ALWAYS,
                                       .journal = journal,
                                       .quota_bytes = 64u << 20,
                                       .on_failure = OXBOW_FAILURE_MEMORY};
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
}

static void end(void)
{
    fault_disarm(&rig.f);
    if (rig.db != NULL) {
        assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    }
    assert_int_equal(rig.f.live_bytes, 0);
    scratch_remove(rig.dir);
}

/* Closes the store, which has gone back to a sound file, and opens it again. */
static void reopen(void)
{
    struct oxbow_check_report report;

    assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    assert_int_equal(oxbow_check(rig.dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage, 0);
    assert_int_equal(report.values_bad, 0);
    assert_int_equal(report.lost_pages, 0);
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
}

static void device_fails(void)
{
    fault_arm_files(&rig.f, FAULT_WRITING, 1, UINT64_MAX, OXBOW_EIO);
}

static bool in_memory(void)
{
    struct oxbow_stat stat;

    oxbow_stat(rig.db, &stat);
    return stat.in_memory;
}

static enum oxbow_err push(const char *text, enum oxbow_sync sync)
{
    struct oxbow_txn_options opt = {.sync = sync};
    struct oxbow_bytes value = {text, strlen(text)};
    struct oxbow_txn *txn;
    uint64_t len;
    enum oxbow_err err = oxbow_txn_begin(rig.db, &opt, &txn);

    assert_int_equal(err, OXBOW_OK);
    err = oxbow_list_push(txn, B("l"), OXBOW_RIGHT, &value, 1, &len);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

/* The list's elements, with a comma behind each. */
static const char *list_text(void)
{
    static char text[4096];
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    size_t at = 0;

    text[0] = '\0';
    assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_list_range(txn, B("l"), 0, -1, &result), OXBOW_OK);
    for (size_t i = 0; i < result.item_count; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%.*s,", (int)result.items[i].len,
                               (const char *)result.items[i].data);
    }
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
    return text;
}

/* ---- what it says ---- */

static void a_store_whose_journal_fails_goes_on_in_memory_and_back(void **state)
{
    struct oxbow_stat stat;

    (void)state;
    begin(OXBOW_JOURNAL_ON);
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_OK);
    oxbow_stat(rig.db, &stat);
    assert_false(stat.in_memory);
    assert_int_equal(stat.memory_max, 16u << 20);
    device_fails();
    assert_int_equal(push("b", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    oxbow_stat(rig.db, &stat);
    assert_true(stat.in_memory);
    assert_int_equal(stat.memory_why, OXBOW_EIO);
    assert_int_equal(stat.memory_held, 1);
    assert_int_equal(stat.memory_times, 1);
    assert_true(rig.f.log_errors > 0);
    assert_string_equal(list_text(), "a,b,");
    assert_int_equal(push("c", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EIO);
    assert_true(in_memory());
    oxbow_stat(rig.db, &stat);
    assert_int_equal(stat.memory_last, OXBOW_EIO);
    assert_string_equal(list_text(), "a,b,c,");
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
    assert_false(in_memory());
    oxbow_stat(rig.db, &stat);
    assert_int_equal(stat.lsn_durable, stat.lsn_applied);
    assert_true(stat.journal);
    assert_int_equal(push("d", OXBOW_SYNC_ALWAYS), OXBOW_OK);
    assert_string_equal(list_text(), "a,b,c,d,");
    reopen();
    assert_string_equal(list_text(), "a,b,c,d,");
    end();
}

static void nothing_is_called_durable_under_any_policy(void **state)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_txn *txn;
    uint64_t lsn = 0;

    (void)state;
    begin(OXBOW_JOURNAL_ON);
    device_fails();
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    assert_int_equal(push("b", OXBOW_SYNC_INTERVAL), OXBOW_EVOLATILE);
    assert_int_equal(push("c", OXBOW_SYNC_NONE), OXBOW_EVOLATILE);
    assert_int_equal(oxbow_flush(rig.db), OXBOW_EVOLATILE);
    assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_EVOLATILE);
    assert_true(lsn > oxbow_durable_lsn(rig.db));
    assert_int_equal(oxbow_settled_lsn(rig.db), lsn);
    assert_int_equal(oxbow_wait(rig.db, lsn, 1000), OXBOW_EVOLATILE);
    opt.flags = OXBOW_TXN_NOWAIT;
    for (opt.sync = OXBOW_SYNC_ALWAYS; opt.sync <= OXBOW_SYNC_NONE; opt.sync++) {
        assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
        assert_int_equal(kv_put(txn, B("\x20k"), B("v")), OXBOW_OK);
        assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    }
    opt.sync = OXBOW_SYNC_DEFAULT;
    opt.flags |= OXBOW_TXN_READ;
    assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
    assert_int_equal(oxbow_wait(rig.db, lsn, 1000), OXBOW_OK);
    assert_int_equal(oxbow_settled_lsn(rig.db), oxbow_durable_lsn(rig.db));
    end();
}

static void a_store_without_the_policy_stops(void **state)
{
    struct oxbow_stat stat;

    (void)state;
    begin(OXBOW_JOURNAL_ON);
    assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    rig.config.on_failure = OXBOW_FAILURE_STOP;
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
    device_fails();
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_EINDOUBT);
    oxbow_stat(rig.db, &stat);
    assert_false(stat.in_memory);
    assert_int_equal(stat.memory_max, 0);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EFAILED);
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_close(rig.db), OXBOW_EIO);
    rig.db = NULL;
    end();
}

static void senseless_configurations_are_refused(void **state)
{
    struct oxbow *db;

    (void)state;
    begin(OXBOW_JOURNAL_ON);
    assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    rig.db = NULL;
    rig.config.memory_max = (1u << 20) - 1;
    assert_int_equal(oxbow_open(&rig.config, &db), OXBOW_EINVAL);
    rig.config.memory_max = (128u << 20) + 1;
    assert_int_equal(oxbow_open(&rig.config, &db), OXBOW_EINVAL);
    rig.config.memory_max = 0;
    rig.config.flags = OXBOW_OPEN_READONLY;
    assert_int_equal(oxbow_open(&rig.config, &db), OXBOW_EINVAL);
    rig.config.flags = 0;
    rig.config.on_failure = (enum oxbow_on_failure)2;
    assert_int_equal(oxbow_open(&rig.config, &db), OXBOW_EINVAL);
    end();
}

/* ---- the end in memory ---- */

static void a_store_closed_in_memory_tries_once_more(void **state)
{
    (void)state;
    begin(OXBOW_JOURNAL_ON);
    device_fails();
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    fault_disarm(&rig.f);
    reopen();
    assert_string_equal(list_text(), "a,");
    end();
}

static void a_store_closed_in_memory_says_what_it_loses(void **state)
{
    (void)state;
    begin(OXBOW_JOURNAL_ON);
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_OK);
    device_fails();
    assert_int_equal(push("b", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    assert_int_equal(oxbow_close(rig.db), OXBOW_EIO);
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
    assert_true(strncmp(list_text(), "a,", 2) == 0);
    end();
}

/* ---- bounds ---- */

static void a_store_full_in_memory_refuses_and_drains_and_takes_again(void **state)
{
    static char text[3000];
    struct oxbow_stat stat;
    uint32_t rounds;
    uint32_t most = 0;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    begin(OXBOW_JOURNAL_ON);
    assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    rig.config.memory_max = 1u << 20;
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
    assert_int_equal(push("first", OXBOW_SYNC_ALWAYS), OXBOW_OK);
    device_fails();
    for (rounds = 0; rounds < 12; rounds++) {
        uint32_t n = 0;
        uint32_t tries;
        enum oxbow_err err = OXBOW_EVOLATILE;

        /* What deletions left is tidied up beside it: until then there is room for a few alone. */
        for (tries = 0; tries < 2000 && n <= most / 3; tries++) {
            while ((err = push(text, OXBOW_SYNC_ALWAYS)) == OXBOW_EVOLATILE) {
                n++;
            }
            assert_int_equal(err, OXBOW_EQUOTA);
            if (n <= most / 3) {
                (void)usleep(5000);
            }
        }
        oxbow_stat(rig.db, &stat);
        assert_true(stat.memtable_bytes <= (1u << 20) + (1u << 19));
        most = n > most ? n : most;
        assert_true(n > most / 3);
        while (n > 0) {
            struct oxbow_result result = {0};
            struct oxbow_txn *txn;

            assert_int_equal(oxbow_txn_begin(rig.db, NULL, &txn), OXBOW_OK);
            assert_int_equal(oxbow_list_pop(txn, B("l"), OXBOW_RIGHT, 1, &result), OXBOW_OK);
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EVOLATILE);
            oxbow_result_fini(&result);
            n--;
        }
    }
    assert_true(most > 100);
    assert_string_equal(list_text(), "first,");
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
    reopen();
    assert_string_equal(list_text(), "first,");
    end();
}

static void a_large_value_can_be_held(void **state)
{
    static uint8_t big[500000];
    struct oxbow_txn *txn;
    uint64_t blob = 0;
    uint64_t none = 0;
    uint8_t got[100];

    (void)state;
    begin(OXBOW_JOURNAL_ON);
    device_fails();
    assert_int_equal(push("a", OXBOW_SYNC_ALWAYS), OXBOW_EVOLATILE);
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * 7 + i / 251);
    }
    assert_int_equal(oxbow_txn_begin(rig.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){big, sizeof big}, &blob), OXBOW_OK);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){big, (64u << 20) + 1}, &none),
                     OXBOW_ETOOBIG);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EVOLATILE);
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
    reopen();
    assert_int_equal(oxbow_txn_begin(rig.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob, sizeof big - sizeof got, got, sizeof got), OXBOW_OK);
    assert_memory_equal(got, big + sizeof big - sizeof got, sizeof got);
    oxbow_txn_abort(txn);
    end();
}

/* ---- against a model, with failures at any call ---- */

#define KEYS      60u
#define VALUE_MAX 6000u

static struct {
    bool there;
    size_t len;
    uint8_t bytes[VALUE_MAX];
} model[KEYS];

static uint64_t dice;

static uint32_t roll(uint32_t n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % n;
}

static struct oxbow_bytes key_of(uint8_t out[3], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    out[1] = (uint8_t)i;
    out[2] = 7;
    return (struct oxbow_bytes){out, 3};
}

/* One write, in the model as well. */
static void write_any(struct oxbow_txn *txn)
{
    static uint8_t bytes[VALUE_MAX];
    uint32_t i = roll(KEYS);
    uint32_t what = roll(10);
    size_t len = roll(4) == 0 ? roll(3000) + 1 : roll(60) + 1;
    uint8_t key[3];

    memset(bytes, (int)roll(256), len);
    if (what < 2) {
        assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
        model[i].there = false;
    } else if (what < 4 || !model[i].there) {
        assert_int_equal(kv_put(txn, key_of(key, i), (struct oxbow_bytes){bytes, len}), OXBOW_OK);
        model[i].there = true;
        model[i].len = len;
        memcpy(model[i].bytes, bytes, len);
    } else {
        size_t pos = roll(3) > 0 ? model[i].len : roll((uint32_t)model[i].len);

        len = len > 12 && roll(2) == 0 ? 8 : len; /* short ones are kept as patches */
        len = pos + len > VALUE_MAX ? VALUE_MAX - pos : len;
        assert_int_equal(kv_patch(txn, key_of(key, i), pos, (struct oxbow_bytes){bytes, len}),
                         OXBOW_OK);
        memcpy(model[i].bytes + pos, bytes, len);
        model[i].len = pos + len > model[i].len ? pos + len : model[i].len;
    }
}

static void write_some(uint32_t txns)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_NOWAIT};

    while (txns-- > 0) {
        struct oxbow_txn *txn;
        enum oxbow_err err;

        opt.flags = roll(3) == 0 ? 0 : OXBOW_TXN_NOWAIT;
        assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
        for (uint32_t n = roll(4) + 1; n > 0; n--) {
            write_any(txn);
        }
        err = oxbow_txn_commit(txn, NULL);
        assert_true(err == OXBOW_OK || err == OXBOW_EVOLATILE);
    }
}

static void check_model(void)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_bytes got;
    struct oxbow_bytes at;
    struct oxbow_txn *txn;
    struct kv_cursor c;
    uint8_t key[3];
    uint8_t from[2] = {KV_SPACE_OBJECT, 0};
    uint32_t count = 0;
    uint32_t seen = 0;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        err = kv_get(txn, key_of(key, i), &got);
        assert_int_equal(err, model[i].there ? OXBOW_OK : OXBOW_ENOENT);
        if (err == OXBOW_OK) {
            count++;
            assert_int_equal(got.len, model[i].len);
            assert_memory_equal(got.data, model[i].bytes, got.len);
        }
    }
    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    for (err = kv_cursor_seek(&c, (struct oxbow_bytes){from, 2}, &at, &got);
         err == OXBOW_OK && at.len == 3 && *(const uint8_t *)at.data == KV_SPACE_OBJECT;
         err = kv_cursor_next(&c, &at, &got)) {
        seen++;
    }
    kv_cursor_fini(&c);
    oxbow_txn_abort(txn);
    assert_int_equal(seen, count);
}

static uint64_t seed_of(uint64_t fallback)
{
    const char *text = getenv("OXBOW_SEED");

    return text != NULL ? strtoull(text, NULL, 10) : fallback;
}

static void model_begin(enum oxbow_journal journal, uint64_t seed)
{
    dice = seed;
    memset(model, 0, sizeof model);
    begin(journal);
    assert_int_equal(oxbow_close(rig.db), OXBOW_OK);
    rig.config.memtable_bytes = 64u << 10; /* checkpoints all the time */
    rig.config.memory_max = 2u << 20;      /* and tidying up */
    rig.config.journal_bytes = 64u << 10;
    rig.config.journal_segments = 2;
    assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_OK);
}

/* Fails a random call of port or LMDB, or all of the port's; whatever it is, nothing is missed. There
 * are more rounds where chance draws too many calls that never come. */
static void rounds_with(enum oxbow_journal journal, uint64_t seed, uint32_t rounds)
{
    uint32_t held = 0;
    uint32_t done = 0;

    print_message("seed %llu\n", (unsigned long long)seed);
    model_begin(journal, seed);
    for (; done < rounds || (held <= rounds / 4 && done < 20 * rounds); done++) {
        enum oxbow_err err;

        write_some(roll(60));
        switch (roll(3)) {
        case 0:
            lmdb_fault_arm(LMDB_FAULT_WRITING, roll(12) + 1, roll(2) == 0 ? EIO : ENOSPC);
            break;
        case 1:
            fault_arm_files(&rig.f, FAULT_WRITING, roll(6) + 1, UINT64_MAX, OXBOW_EIO);
            break;
        default:
            fault_arm_files(&rig.f, FAULT_SYNC | FAULT_WRITE, roll(6) + 1, 1, OXBOW_EIO);
            break;
        }
        write_some(roll(120));
        err = oxbow_flush(rig.db);
        assert_true(err == OXBOW_OK || err == OXBOW_EVOLATILE);
        held += in_memory();
        check_model();
        write_some(roll(120));
        (void)lmdb_fault_disarm();
        fault_disarm(&rig.f);
        if (roll(3) > 0) {
            assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
            assert_false(in_memory());
            check_model();
        }
        if (roll(2) == 0) {
            reopen();
            check_model();
        }
    }
    print_message("%u of %u rounds in memory\n", held, done);
    assert_true(held > rounds / 4);
    reopen();
    check_model();
    end();
}

static void whatever_fails_the_store_holds_what_was_committed(void **state)
{
    (void)state;
    rounds_with(OXBOW_JOURNAL_ON, seed_of(1), 60);
    rounds_with(OXBOW_JOURNAL_ON, seed_of(2), 60);
    rounds_with(OXBOW_JOURNAL_OFF, seed_of(3), 60);
}

/* The n-th call of the way back fails: it stays in memory with all it has, and goes back at the next
 * try. */
static void a_way_back_that_fails_at_any_call_is_gone_again(void **state)
{
    uint32_t points = 0;
    bool lmdb = false;
    uint64_t n = 1;

    (void)state;
    model_begin(OXBOW_JOURNAL_ON, seed_of(4));
    for (;;) {
        uint64_t fired;
        enum oxbow_err err;

        write_some(20);
        device_fails();
        write_some(20);
        assert_int_equal(oxbow_flush(rig.db), OXBOW_EVOLATILE);
        fault_disarm(&rig.f);
        if (lmdb) {
            lmdb_fault_arm(LMDB_FAULT_WRITING | LMDB_FAULT_READING, n, EIO);
        } else {
            fault_arm_files(&rig.f, FAULT_ALL & ~(FAULT_CLOSE | FAULT_UNLINK), n, 1, OXBOW_EIO);
        }
        err = oxbow_return(rig.db);
        fired = lmdb ? lmdb_fault_disarm() : (uint64_t)rig.f.file_failed;
        fault_disarm(&rig.f);
        check_model();
        write_some(10);
        check_model();
        points += fired > 0;
        n++;
        if (err != OXBOW_OK) {
            assert_true(fired > 0);
            assert_true(in_memory());
            assert_int_equal(oxbow_return(rig.db), OXBOW_OK);
            check_model();
        }
        assert_false(in_memory());
        if (n % 8 == 0) {
            reopen();
            check_model();
        }
        if (fired == 0 && lmdb) {
            break;
        }
        if (fired == 0) {
            print_message("%u fault points of the port\n", points);
            assert_true(points >= 20);
            lmdb = true;
            points = 0;
            n = 1;
        }
    }
    print_message("%u fault points of LMDB\n", points);
    assert_true(points >= 8);
    reopen();
    check_model();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_whose_journal_fails_goes_on_in_memory_and_back),
        cmocka_unit_test(nothing_is_called_durable_under_any_policy),
        cmocka_unit_test(a_store_without_the_policy_stops),
        cmocka_unit_test(senseless_configurations_are_refused),
        cmocka_unit_test(a_store_closed_in_memory_tries_once_more),
        cmocka_unit_test(a_store_closed_in_memory_says_what_it_loses),
        cmocka_unit_test(a_store_full_in_memory_refuses_and_drains_and_takes_again),
        cmocka_unit_test(a_large_value_can_be_held),
        cmocka_unit_test(whatever_fails_the_store_holds_what_was_committed),
        cmocka_unit_test(a_way_back_that_fails_at_any_call_is_gone_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
