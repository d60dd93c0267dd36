/* SPDX-License-Identifier: Apache-2.0 */
/* Large values: their lengths at every edge, positions, deletion, and what an abort leaves. */
#include "tests/store/kv_fixture.h"

#include <unistd.h>

#define STEP_BYTES (256u * KV_PAGE_MAX) /* written ahead in one transaction of the tree */
#define ENTRY_MAX  (2u * STEP_BYTES + 1000)

static uint8_t *pattern(void)
{
    static uint8_t bytes[ENTRY_MAX + 1];
    size_t i;

    for (i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / KV_PAGE_MAX);
    }
    return bytes;
}

static uint64_t blob_put(struct oxbow_txn *txn, size_t len)
{
    uint64_t blob = 0;

    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){pattern(), len}, &blob), OXBOW_OK);
    assert_true(blob > 0);
    return blob;
}

static void assert_blob(struct oxbow_txn *txn, uint64_t blob, size_t len)
{
    uint8_t *got = malloc(len);
    uint8_t one;

    assert_non_null(got);
    assert_int_equal(kv_blob_read(txn, blob, 0, got, len), OXBOW_OK);
    assert_memory_equal(got, pattern(), len);
    assert_int_equal(kv_blob_read(txn, blob, len - 1, &one, 1), OXBOW_OK);
    assert_int_equal(one, pattern()[len - 1]);
    assert_int_equal(kv_blob_read(txn, blob, len, &one, 1), OXBOW_ERANGE);
    assert_int_equal(kv_blob_read(txn, blob, len - 1, got, 2), OXBOW_ERANGE);
    assert_int_equal(kv_blob_read(txn, blob, UINT64_MAX, &one, 1), OXBOW_ERANGE);
    assert_int_equal(kv_blob_read(txn, blob, 0, NULL, 0), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob, UINT64_MAX, NULL, 0), OXBOW_OK);
    free(got);
}

static void every_length_is_kept(void **state)
{
    static const size_t lens[] = {1,
                                  KV_PAGE_MAX - 1,
                                  KV_PAGE_MAX,
                                  KV_PAGE_MAX + 1,
                                  2 * KV_PAGE_MAX,
                                  STEP_BYTES - 1,
                                  STEP_BYTES,
                                  STEP_BYTES + 1,
                                  ENTRY_MAX - 1,
                                  ENTRY_MAX};
    struct rig *rig = *state;
    uint64_t blobs[sizeof lens / sizeof lens[0]];
    struct oxbow_txn *txn;
    size_t i;

    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        txn = rig_begin(rig, 0);
        blobs[i] = blob_put(txn, lens[i]);
        assert_blob(txn, blobs[i], lens[i]);
        rig_commit(txn);
    }
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        assert_blob(txn, blobs[i], lens[i]);
    }
    rig_commit(txn);
}

static void an_empty_one_and_one_over_the_limit_are_refused(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t blob = 99;

    assert_int_equal(kv_blob_write(txn, BYTES(""), &blob), OXBOW_EINVAL);
    assert_int_equal(kv_blob_write(txn, (struct oxbow_bytes){pattern(), ENTRY_MAX + 1}, &blob),
                     OXBOW_ETOOBIG);
    assert_int_equal(blob, 99);
    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("k"), BYTES("v"));
    assert_int_equal(kv_blob_write(txn, BYTES("x"), &blob), OXBOW_EREADONLY);
    rig_commit(txn);
}

static void a_deleted_one_is_gone_at_once(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t blob = blob_put(txn, 10000);
    uint8_t byte;

    assert_int_equal(kv_blob_read(txn, blob + 1, 0, &byte, 1), OXBOW_ENOENT);
    assert_int_equal(kv_blob_read(txn, blob + 1, 0, NULL, 0), OXBOW_ENOENT);
    assert_int_equal(kv_blob_delete(txn, blob + 1), OXBOW_ENOENT);
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_blob_delete(txn, blob), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob, 0, &byte, 1), OXBOW_ENOENT);
    assert_int_equal(kv_blob_delete(txn, blob), OXBOW_ENOENT);
    rig_abort(txn);
    txn = rig_begin(rig, 0);
    assert_blob(txn, blob, 10000); /* the deletion never was */
    assert_int_equal(kv_blob_delete(txn, blob), OXBOW_OK);
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(kv_blob_read(txn, blob, 0, &byte, 1), OXBOW_ENOENT);
    rig_commit(txn);
}

/* The clock is turned on until no more than `want` keys are left. */
static void wait_for_keys(struct rig *rig, uint64_t want)
{
    struct oxbow_stat stat;
    unsigned i;

    for (i = 0; i < 20000; i++) {
        rig_pass_ms(rig, 50);
        assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
        oxbow_stat(rig->db, &stat);
        if (stat.keys <= want) {
            return;
        }
        usleep(2000);
    }
    fail_msg("%llu keys are left, not %llu", (unsigned long long)stat.keys,
             (unsigned long long)want);
}

static void what_an_aborted_transaction_wrote_ahead_is_reaped(void **state)
{
    struct rig *rig = *state;
    struct oxbow_stat stat;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t aborted;
    uint64_t kept;
    uint8_t byte;

    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    rig_reopen(rig);
    oxbow_stat(rig->db, &stat);
    txn = rig_begin(rig, 0);
    aborted = blob_put(txn, STEP_BYTES + 1);
    rig_abort(txn);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_blob_read(txn, aborted, 0, &byte, 1), OXBOW_ENOENT);
    kept = blob_put(txn, 10);
    assert_true(kept > aborted);
    rig_commit(txn);
    rig_reopen(rig);
    wait_for_keys(rig, stat.keys + 1);
    txn = rig_begin(rig, 0);
    assert_blob(txn, kept, 10);
    assert_true(blob_put(txn, 1) > kept);
    rig_abort(txn);
}

static void a_missing_piece_is_noticed(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t blob = blob_put(txn, 3 * KV_PAGE_MAX);
    uint8_t got[3 * KV_PAGE_MAX];
    uint8_t key[13] = {KV_SPACE_BLOB, 0, 0, 0, 0, 0, 0, 0, (uint8_t)blob, 0, 0, 0, 1};

    assert_true(blob < 256);
    assert_int_equal(kv_del(txn, (struct oxbow_bytes){key, sizeof key}), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob, 0, got, KV_PAGE_MAX), OXBOW_OK);
    assert_int_equal(kv_blob_read(txn, blob, 0, got, KV_PAGE_MAX + 1), OXBOW_ERANGE);
    assert_int_equal(kv_blob_read(txn, blob, 2 * KV_PAGE_MAX, got, KV_PAGE_MAX), OXBOW_OK);
    rig_commit(txn);
}

static int set_up(void **state)
{
    return kv_setup_with(state, &(struct oxbow_config){.entry_bytes = ENTRY_MAX});
}

static void the_number_of_an_aborted_one_is_not_used_again_after_a_reopen(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t aborted;
    uint64_t kept;

    put(txn, BYTES("k"), BYTES("v")); /* is still in the table when the blob is written ahead */
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    aborted = blob_put(txn, 3 * KV_PAGE_MAX);
    rig_abort(txn);
    rig_reopen(rig); /* begins to reap at once: what is deleted stands in the table */
    assert_int_equal(usleep(50000), 0);
    txn = rig_begin(rig, 0);
    kept = blob_put(txn, 3 * KV_PAGE_MAX);
    assert_true(kept > aborted);
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_blob(txn, kept, 3 * KV_PAGE_MAX);
    rig_commit(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kv_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_length_is_kept),
        TEST(an_empty_one_and_one_over_the_limit_are_refused),
        TEST(a_deleted_one_is_gone_at_once),
        TEST(what_an_aborted_transaction_wrote_ahead_is_reaped),
        TEST(the_number_of_an_aborted_one_is_not_used_again_after_a_reopen),
        TEST(a_missing_piece_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
