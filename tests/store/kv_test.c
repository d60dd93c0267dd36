/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes of a transaction, one by one: bounds, plain answers, and what they leave. */
#include "tests/store/kv_fixture.h"

static void keys_are_1_to_64_bytes(void **state)
{
    struct oxbow_bytes value;
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    static const uint8_t key[KV_KEY_MAX + 1];

    assert_int_equal(kv_put(txn, BYTES(""), BYTES("v")), OXBOW_EINVAL);
    assert_int_equal(kv_get(txn, BYTES(""), &value), OXBOW_EINVAL);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){key, KV_KEY_MAX + 1}, BYTES("v")),
                     OXBOW_EINVAL);
    assert_int_equal(kv_get(txn, (struct oxbow_bytes){key, KV_KEY_MAX + 1}, &value), OXBOW_EINVAL);
    assert_int_equal(kv_del(txn, (struct oxbow_bytes){key, KV_KEY_MAX + 1}), OXBOW_EINVAL);
    put(txn, (struct oxbow_bytes){key, KV_KEY_MAX}, BYTES("longest"));
    put(txn, (struct oxbow_bytes){key, KV_KEY_MAX - 1}, BYTES("shorter"));
    put(txn, (struct oxbow_bytes){key, 1}, BYTES(""));
    rig_commit(txn); /* plain answers have not spoiled it */
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, (struct oxbow_bytes){key, KV_KEY_MAX}, BYTES("longest"));
    assert_value(txn, (struct oxbow_bytes){key, KV_KEY_MAX - 1}, BYTES("shorter"));
    assert_value(txn, (struct oxbow_bytes){key, 1}, BYTES(""));
    rig_commit(txn);
}

static void a_patch_reaches_up_to_the_end_and_beyond_it(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("x")), OXBOW_ENOENT);
    put(txn, BYTES("k"), BYTES("0123456789"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 11, BYTES("x")), OXBOW_EINVAL);
    assert_int_equal(kv_patch(txn, BYTES("k"), SIZE_MAX, BYTES("x")), OXBOW_EINVAL);
    assert_value(txn, BYTES("k"), BYTES("0123456789"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("a")), OXBOW_OK);
    assert_int_equal(kv_patch(txn, BYTES("k"), 9, BYTES("bc")), OXBOW_OK);
    assert_value(txn, BYTES("k"), BYTES("a12345678bc"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 11, BYTES("d")), OXBOW_OK);
    assert_int_equal(kv_patch(txn, BYTES("k"), 12, BYTES("")), OXBOW_OK);
    assert_value(txn, BYTES("k"), BYTES("a12345678bcd"));
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("x")), OXBOW_ENOENT);
    rig_commit(txn);
}

static void a_borrowed_value_may_be_put_elsewhere_and_back(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    struct oxbow_bytes value;

    put(txn, BYTES("a"), BYTES("0123456789"));
    assert_int_equal(kv_get(txn, BYTES("a"), &value), OXBOW_OK);
    assert_int_equal(kv_put(txn, BYTES("b"), value), OXBOW_OK);
    assert_int_equal(kv_get(txn, BYTES("a"), &value), OXBOW_OK);
    value.data = (const uint8_t *)value.data + 3;
    value.len -= 3;
    assert_int_equal(kv_put(txn, BYTES("a"), value), OXBOW_OK); /* overlaps itself */
    assert_value(txn, BYTES("a"), BYTES("3456789"));
    assert_int_equal(kv_get(txn, BYTES("b"), &value), OXBOW_OK);
    assert_int_equal(kv_patch(txn, BYTES("b"), 10, value), OXBOW_OK); /* and grows by itself */
    assert_value(txn, BYTES("b"), BYTES("01234567890123456789"));
    rig_commit(txn);
}

static void a_deleted_key_is_gone_in_every_layer(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);

    put(txn, BYTES("disk"), BYTES("v"));
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("memory"), BYTES("v"));
    assert_int_equal(kv_del(txn, BYTES("disk")), OXBOW_OK);
    assert_int_equal(kv_del(txn, BYTES("memory")), OXBOW_OK);
    assert_int_equal(kv_del(txn, BYTES("never")), OXBOW_OK);
    assert_absent(txn, BYTES("disk"));
    assert_absent(txn, BYTES("memory"));
    put(txn, BYTES("again"), BYTES("1"));
    assert_int_equal(kv_del(txn, BYTES("again")), OXBOW_OK);
    put(txn, BYTES("again"), BYTES("2"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_absent(txn, BYTES("disk"));
    assert_absent(txn, BYTES("memory"));
    assert_absent(txn, BYTES("never"));
    assert_value(txn, BYTES("again"), BYTES("2"));
    rig_commit(txn);
}

static void fill(struct oxbow_txn *txn, const char *keys)
{
    for (; *keys != '\0'; keys++) {
        put(txn, (struct oxbow_bytes){keys, 1}, (struct oxbow_bytes){keys, 1});
    }
}

static void a_range_is_deleted_up_to_its_end_and_its_limit(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    bool more = true;

    fill(txn, "bdfh");
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    fill(txn, "aceg");
    assert_int_equal(kv_del_range(txn, BYTES("c"), BYTES("c"), 9, &more), OXBOW_OK);
    assert_false(more);
    assert_int_equal(kv_del_range(txn, BYTES("f"), BYTES("c"), 9, &more), OXBOW_OK);
    assert_false(more);
    assert_value(txn, BYTES("d"), BYTES("d"));
    assert_int_equal(kv_del_range(txn, BYTES("c"), BYTES("f"), 0, &more), OXBOW_OK);
    assert_true(more);
    assert_int_equal(kv_del_range(txn, BYTES("c"), BYTES("f"), 2, &more), OXBOW_OK);
    assert_true(more); /* e */
    assert_value(txn, BYTES("e"), BYTES("e"));
    assert_int_equal(kv_del_range(txn, BYTES("c"), BYTES("f"), 1, &more), OXBOW_OK);
    assert_false(more);
    assert_value(txn, BYTES("b"), BYTES("b"));
    assert_value(txn, BYTES("f"), BYTES("f"));
    assert_absent(txn, BYTES("c"));
    assert_absent(txn, BYTES("d"));
    assert_absent(txn, BYTES("e"));
    assert_int_equal(kv_del_range(txn, BYTES("a"), BYTES("z"), 5, &more), OXBOW_OK);
    assert_false(more);
    assert_absent(txn, BYTES("h"));
    rig_commit(txn);
}

static void a_transaction_has_room_up_to_its_cap_and_none_above(void **state)
{
    static uint8_t big[65536];
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    size_t over;

    for (over = 0; over < 2; over++) {
        const enum oxbow_err want = over == 0 ? OXBOW_OK : OXBOW_ETXNBIG;

        txn = rig_begin(rig, 0);
        put(txn, BYTES("k1"), (struct oxbow_bytes){big, 30000});
        assert_int_equal(kv_patch(txn, BYTES("k1"), 0, BYTES("1234567890")), OXBOW_OK);
        /* 30002 + 12 + 2 and what is left of 65536 */
        assert_int_equal(kv_put(txn, BYTES("k2"), (struct oxbow_bytes){big, 65536 - 30016 + over}),
                         want);
        if (want != OXBOW_OK) {
            struct oxbow_bytes value;

            /* Nothing but its end is possible now. */
            assert_int_equal(kv_put(txn, BYTES("k3"), BYTES("")), want);
            assert_int_equal(kv_del(txn, BYTES("k1")), want);
            assert_int_equal(kv_get(txn, BYTES("k1"), &value), OXBOW_OK);
        }
        assert_int_equal(rig_try_commit(txn, NULL), want);
        if (over == 0) {
            txn = rig_begin(rig, 0);
            assert_int_equal(kv_del(txn, BYTES("k1")), OXBOW_OK);
            assert_int_equal(kv_del(txn, BYTES("k2")), OXBOW_OK);
            rig_commit(txn);
        }
    }
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_absent(txn, BYTES("k1"));
    assert_absent(txn, BYTES("k2"));
    rig_commit(txn);
}

static void a_reader_cannot_write_and_goes_on_reading(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    bool more;

    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(kv_put(txn, BYTES("k"), BYTES("w")), OXBOW_EREADONLY);
    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("w")), OXBOW_EREADONLY);
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_EREADONLY);
    assert_int_equal(kv_del_range(txn, BYTES("a"), BYTES("z"), 5, &more), OXBOW_EREADONLY);
    assert_value(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
}

static int set_up_small(void **state)
{
    return kv_setup_with(state, &(struct oxbow_config){.txn_bytes = 65536});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KV_TEST(keys_are_1_to_64_bytes),
        KV_TEST(a_patch_reaches_up_to_the_end_and_beyond_it),
        KV_TEST(a_borrowed_value_may_be_put_elsewhere_and_back),
        KV_TEST(a_deleted_key_is_gone_in_every_layer),
        KV_TEST(a_range_is_deleted_up_to_its_end_and_its_limit),
        cmocka_unit_test_setup_teardown(a_transaction_has_room_up_to_its_cap_and_none_above,
                                        set_up_small, kv_teardown),
        KV_TEST(a_reader_cannot_write_and_goes_on_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
