/* SPDX-License-Identifier: Apache-2.0 */
/* The quota to the byte, and the reserve above it. */
#include "tests/store/kv_fixture.h"

#define QUOTA (1u << 20)

static int set_up(void **state)
{
    return kv_setup_with(state, &(struct oxbow_config){.quota_bytes = QUOTA});
}

static void the_last_byte_fits_and_the_one_after_it_does_not(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t used = quota_used(rig->db);

    assert_true(used < QUOTA);
    assert_int_equal(txn_reserve_bytes(txn, QUOTA - used - 1), OXBOW_OK);
    assert_int_equal(txn_reserve_bytes(txn, QUOTA - used), OXBOW_OK);
    assert_int_equal(txn_reserve_bytes(txn, QUOTA - used + 1), OXBOW_EQUOTA);
    assert_int_equal(txn_reserve_bytes(txn, SIZE_MAX / 2), OXBOW_EQUOTA);
    put(txn, BYTES("k"), BYTES("v")); /* the refusal has not spoiled the transaction */
    rig_commit(txn);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(txn_reserve_bytes(txn, 1), OXBOW_EREADONLY);
    assert_value(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
}

static void the_reserve_grows_with_the_largest_transaction(void **state)
{
    static uint8_t big[100000];
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    struct oxbow_stat stat;

    put(txn, BYTES("k"), (struct oxbow_bytes){big, sizeof big - 1});
    rig_commit(txn);
    oxbow_stat(rig->db, &stat);
    assert_int_equal(stat.reserve_bytes, 64 * 4096 + 3 * sizeof big);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("small"));
    rig_commit(txn);
    rig_reopen(rig);
    oxbow_stat(rig->db, &stat);
    assert_int_equal(stat.reserve_bytes, 64 * 4096 + 3 * sizeof big);
    assert_int_equal(stat.quota_bytes, QUOTA);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kv_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_byte_fits_and_the_one_after_it_does_not),
        TEST(the_reserve_grows_with_the_largest_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
