/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through the data file: it finds a sound store sound, and whatever is flipped in one it
 * finds, or does no harm. Nothing is ever served that was not written. */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "oxbow/check.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <time.h>

#define KEYS  3000u
#define FLIPS 450u

static char dir[SCRATCH_MAX];
static char path[SCRATCH_MAX + 16];
static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

static struct oxbow_bytes key_of(uint8_t out[10], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i / 50);
    out[9] = (uint8_t)(i % 50);
    return (struct oxbow_bytes){out, 10};
}

/* What key i holds: every thirtieth is longer than a page, every third one long. */
static struct oxbow_bytes value_of(uint8_t out[9000], uint32_t i)
{
    size_t len = i % 30 == 0 ? 9000 : i % 3 == 0 ? 700 : 20;

    memset(out, (int)(i * 7), len);
    put_le32(out, i);
    return (struct oxbow_bytes){out, len};
}

static bool deleted(uint32_t i)
{
    return i % 7 == 0;
}

static void fill(void)
{
    static uint8_t bytes[9000];
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint8_t key[10];

    scratch_name(dir, "check");
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    scratch_remove(dir);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
            if (pass == 0) {
                assert_int_equal(kv_put(txn, key_of(key, i), value_of(bytes, i)), OXBOW_OK);
            } else if (deleted(i)) {
                assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
            }
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
            if (i % 500 == 0) {
                assert_int_equal(oxbow_flush(db), OXBOW_OK);
            }
        }
        assert_int_equal(oxbow_flush(db), OXBOW_OK);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* Every key is there with its value, or its value is known to be bad. */
static uint32_t check_content(struct oxbow *db)
{
    static uint8_t bytes[9000];
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    uint8_t key[10];
    uint32_t bad = 0;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct oxbow_bytes got;
        struct oxbow_bytes want = value_of(bytes, i);
        enum oxbow_err err = kv_get(txn, key_of(key, i), &got);

        if (deleted(i)) {
            assert_int_equal(err, OXBOW_ENOENT);
        } else if (err == OXBOW_ECORRUPT) {
            bad++;
        } else {
            assert_int_equal(err, OXBOW_OK);
            assert_int_equal(got.len, want.len);
            assert_memory_equal(got.data, want.data, got.len);
        }
    }
    oxbow_txn_abort(txn);
    return bad;
}

static void count_finding(void *ctx, const struct oxbow_finding *finding)
{
    uint32_t *kinds = ctx;

    assert_non_null(finding->text);
    *kinds |= 1u << finding->kind;
}

static void a_sound_store_is_found_sound(void **state)
{
    struct oxbow_check_report report;
    uint32_t kinds = 0;
    struct oxbow_check_options options = {.ctx = &kinds, .finding = count_finding};

    (void)state;
    fill();
    assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_OK);
    assert_int_equal(report.damage, 0);
    assert_int_equal(report.values_bad, 0);
    assert_int_equal(report.lost_pages, 0);
    assert_int_equal(kinds, 0);
    assert_int_equal(report.keys, KEYS - (KEYS + 6) / 7);
    assert_int_equal(report.values_checked, report.keys + 1);
    assert_true(report.branch_pages > 0 && report.leaf_pages > 10 && report.overflow_pages > 100);
    assert_true(report.free_pages > 0);
    assert_int_equal(report.pages, 2 + report.branch_pages + report.leaf_pages +
                                       report.overflow_pages + report.free_pages);
    assert_int_equal(report.boot, 1);
    assert_true(report.store_id != 0 && report.lsn > KEYS);
    scratch_remove(dir);
}

static void a_check_says_what_it_cannot_look_at(void **state)
{
    struct oxbow_config config = {.dir = dir};
    struct oxbow_check_report report;
    struct fault quiet;
    struct oxbow_check_options options = {.port = &quiet.port};
    struct oxbow *db;

    (void)state;
    fault_init(&quiet, oxbow_port_default());
    scratch_name(dir, "check");
    assert_int_equal(oxbow_check("", &options, &report), OXBOW_EINVAL);
    assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_ENOENT);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_ELOCKED);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_OK);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_OK);
    assert_int_equal(report.damage, 1);
    assert_int_equal(quiet.live_bytes, 0);
    scratch_remove(dir);
}

static void flip(off_t pos, uint8_t bit)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, pos), 1);
    byte ^= bit;
    assert_int_equal(pwrite(fd, &byte, 1, pos), 1);
    assert_int_equal(close(fd), 0);
}

static void whatever_is_flipped_is_found_or_does_no_harm(void **state)
{
    const char *seed = getenv("OXBOW_SEED");
    struct oxbow_check_report sound;
    struct oxbow_check_report report;
    struct fault quiet;
    struct oxbow_config config = {.dir = dir, .flags = OXBOW_OPEN_READONLY, .port = &quiet.port};
    uint32_t refused = 0;
    uint32_t served_bad = 0;
    uint32_t doubted = 0;
    uint32_t kinds = 0;
    struct oxbow_check_options options = {
        .port = &quiet.port, .ctx = &kinds, .finding = count_finding};

    (void)state;
    dice_state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)dice_state);
    fill();
    fault_init(&quiet, oxbow_port_default());
    assert_int_equal(oxbow_check(dir, &options, &sound), OXBOW_OK);
    for (uint32_t i = 0; i < FLIPS; i++) {
        off_t pos = (off_t)dice((uint32_t)sound.pages * 4096);
        uint8_t bit = (uint8_t)(1u << dice(8));
        struct oxbow *db;
        enum oxbow_err err;

        if (i % 3 == 0) {
            pos = pos % 8192 % 200 + (pos & 4096); /* the meta pages are few and matter most */
        } else if (i % 3 == 1) {
            pos = pos / 4096 * 4096 + pos % 64; /* as do the heads of pages */
        }
        flip(pos, bit);
        kinds = 0;
        assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_OK);
        err = oxbow_open(&config, &db);
        if (err == OXBOW_OK && (kinds & 1u << OXBOW_FINDING_DOUBT) != 0) {
            doubted++; /* the one bit that takes back the last commit: said, but not refused */
            assert_int_equal(oxbow_close(db), OXBOW_OK);
        } else if (err == OXBOW_OK) {
            uint32_t bad = check_content(db);

            assert_int_equal(bad, report.values_bad);
            served_bad += bad;
            assert_int_equal(oxbow_close(db), OXBOW_OK);
        } else {
            assert_true(err == OXBOW_ECORRUPT || err == OXBOW_EFORMAT);
            refused++;
        }
        flip(pos, bit);
    }
    print_message("%u flips: %u stores refused, %u values known to be bad, %u in doubt\n", FLIPS,
                  refused, served_bad, doubted);
    assert_true(doubted < 10);
    assert_true(refused > 30);
    assert_true(served_bad > 20);
    assert_int_equal(quiet.live_bytes, 0);
    scratch_remove(dir);
}

/* Deletes everything, each key in a transaction; OXBOW_OK or why the store failed. */
static enum oxbow_err delete_all(struct oxbow *db)
{
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; i < KEYS && err == OXBOW_OK; i++) {
        struct oxbow_txn *txn;
        uint8_t key[10];

        err = oxbow_txn_begin(db, NULL, &txn);
        if (err == OXBOW_OK) {
            assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
            err = oxbow_txn_commit(txn, NULL);
        }
    }
    return err == OXBOW_OK ? oxbow_flush(db) : err;
}

/* LMDB frees the pages that the head of an overflow page names. */
static void a_damaged_head_of_an_overflow_page_is_not_acted_upon(void **state)
{
    struct fault quiet;
    struct oxbow_config config = {
        .dir = dir, .sync = OXBOW_SYNC_INTERVAL, .port = &quiet.port, .journal = OXBOW_JOURNAL_OFF};
    struct oxbow_check_options options = {.port = &quiet.port};
    struct oxbow_check_report report;
    uint32_t failed = 0;

    (void)state;
    fault_init(&quiet, oxbow_port_default());
    for (uint32_t i = 0; i < 24; i++) {
        uint8_t head[16];
        struct oxbow *db;
        uint32_t page = 0;
        FILE *f;

        fill();
        f = fopen(path, "r");
        assert_non_null(f);
        do {
            page = page == 0 ? 2 + i * 10 : page + 1;
            assert_int_equal(fseek(f, (long)page * 4096, SEEK_SET), 0);
            assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
        } while (head[sizeof(size_t) + 2] != 4 || head[0] != (page & 0xff));
        assert_int_equal(fclose(f), 0);
        flip((off_t)page * 4096 + (i % 2 == 0 ? 0 : (off_t)sizeof(size_t) + 4), 1);
        assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
        if (delete_all(db) != OXBOW_OK) {
            failed++;
            assert_true(oxbow_close(db) != OXBOW_OK);
            flip((off_t)page * 4096 + (i % 2 == 0 ? 0 : (off_t)sizeof(size_t) + 4), 1);
        } else {
            assert_int_equal(oxbow_close(db), OXBOW_OK); /* the page may hold something else now */
        }
        assert_int_equal(oxbow_check(dir, &options, &report), OXBOW_OK);
        assert_int_equal(report.damage, 0);
    }
    assert_true(failed > 5);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_store_is_found_sound),
        cmocka_unit_test(a_check_says_what_it_cannot_look_at),
        cmocka_unit_test(whatever_is_flipped_is_found_or_does_no_harm),
        cmocka_unit_test(a_damaged_head_of_an_overflow_page_is_not_acted_upon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
