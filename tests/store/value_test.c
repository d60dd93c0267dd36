/* SPDX-License-Identifier: Apache-2.0 */
/* Values put together from layers: appends to what is on the device, at every length that is
 * treated in a way of its own. */
#include "engine/store/value.h"
#include "tests/store/kv_fixture.h"

#define MODEL_MAX 20000u

struct model {
    uint8_t bytes[MODEL_MAX];
    size_t len;
};

static void model_patch(struct model *m, size_t pos, const void *bytes, size_t len)
{
    memcpy(m->bytes + pos, bytes, len);
    m->len = pos + len > m->len ? pos + len : m->len;
}

static struct oxbow_bytes said(const struct model *m)
{
    return (struct oxbow_bytes){m->bytes, m->len};
}

static void patch(struct oxbow_txn *txn, struct model *m, size_t pos, struct oxbow_bytes bytes)
{
    assert_int_equal(kv_patch(txn, BYTES("k"), pos, bytes), OXBOW_OK);
    model_patch(m, pos, bytes.data, bytes.len);
}

static void start(struct rig *rig, struct model *m, size_t len)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    size_t i;

    for (i = 0; i < len; i++) {
        m->bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    m->len = len;
    put(txn, BYTES("k"), said(m));
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
}

static const size_t lens[] = {0,
                              1,
                              TAIL_BASE_MIN - 1,
                              TAIL_BASE_MIN,
                              TAIL_BASE_MIN + 1,
                              KV_PAGE_MAX,
                              TAIL_BASE_MAX - 1,
                              TAIL_BASE_MAX,
                              TAIL_BASE_MAX + 1};
#define LENS (sizeof lens / sizeof lens[0])

static void an_append_is_read_back_whole(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;
        unsigned round;

        start(rig, &m, lens[i]);
        for (round = 0; round < 3; round++) { /* within the table, then over the device again */
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("appended"));
            patch(txn, &m, m.len, BYTES("+"));
            assert_value(txn, BYTES("k"), said(&m));
            patch(txn, &m, m.len, BYTES("after being read"));
            rig_commit(txn);
            if (round > 0) {
                assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
            }
        }
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void an_append_of_nothing_changes_nothing(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, (struct oxbow_bytes){"", 0});
        assert_value(txn, BYTES("k"), said(&m)); /* which makes a tail whole */
        rig_commit(txn);
        assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, (struct oxbow_bytes){"", 0});
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void a_patch_in_front_of_a_tail_makes_it_whole(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 2; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("tail"));
        patch(txn, &m, 0, BYTES("front"));
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        txn = rig_begin(rig, 0);
        patch(txn, &m, lens[i] - 3, BYTES("across")); /* where they meet */
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void a_patch_anywhere_meets_the_tail_rightly(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;
    size_t k;

    for (i = 2; i < LENS; i++) {
        const size_t at[] = {0, lens[i] / 2, lens[i] - 2, lens[i] - 1, lens[i], lens[i] + 3};

        for (k = 0; k < sizeof at / sizeof at[0]; k++) {
            struct oxbow_txn *txn;

            start(rig, &m, lens[i]);
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("tail"));
            rig_commit(txn);
            txn = rig_begin(rig, 0);
            patch(txn, &m, at[k], BYTES("XY"));
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
        }
    }
}

static void tails_lie_over_tails(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;
    unsigned how;

    for (i = 0; i < LENS; i++) {
        for (how = 0; how < 4; how++) {
            struct oxbow_txn *txn;

            start(rig, &m, lens[i]);
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("frozen tail"));
            rig_commit(txn);
            txn = begin_over_frozen(rig);
            if (how % 2 == 0) {
                assert_value(txn, BYTES("k"), said(&m));
            }
            patch(txn, &m, m.len, BYTES("active tail"));
            if (how >= 2) {
                patch(txn, &m, lens[i] / 2, BYTES("whole"));
            }
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            rig_reopen(rig);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
        }
    }
}

static void a_key_deleted_in_the_frozen_table_is_gone_and_may_come_again(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_txn *txn;

    start(rig, &m, 1000);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
    rig_commit(txn);
    txn = begin_over_frozen(rig);
    assert_absent(txn, BYTES("k"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("x")), OXBOW_ENOENT);
    put(txn, BYTES("k"), BYTES("new"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 3, BYTES("er")), OXBOW_OK);
    assert_value(txn, BYTES("k"), BYTES("newer"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("k"), BYTES("newer"));
    rig_commit(txn);
}

static void an_aborted_append_leaves_what_was(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    static struct model before;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        before = m;
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("never"));
        patch(txn, &m, m.len / 2, BYTES("was"));
        rig_abort(txn);
        m = before;
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        patch(txn, &m, m.len, BYTES("kept"));
        rig_commit(txn);
        before = m;
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("dropped"));
        patch(txn, &m, 0, BYTES("dropped"));
        rig_abort(txn);
        m = before;
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
        rig_commit(txn);
    }
}

static void a_value_that_was_read_is_not_taken_for_one_that_was_written(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow_txn *txn;
    unsigned i;

    start(rig, &m, 200);
    oxbow_stat(rig->db, &before);
    for (i = 0; i < 3; i++) {
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    oxbow_stat(rig->db, &after);
    assert_int_equal(after.lsn_applied, before.lsn_applied);
    assert_int_equal(after.checkpoints, before.checkpoints);
    /* And it does not hide what is written later. */
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("new"));
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    assert_value(txn, BYTES("k"), BYTES("new"));
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_absent(txn, BYTES("k"));
    rig_commit(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KV_TEST(an_append_is_read_back_whole),
        KV_TEST(an_append_of_nothing_changes_nothing),
        KV_TEST(a_patch_in_front_of_a_tail_makes_it_whole),
        KV_TEST(a_patch_anywhere_meets_the_tail_rightly),
        KV_TEST(tails_lie_over_tails),
        KV_TEST(a_key_deleted_in_the_frozen_table_is_gone_and_may_come_again),
        KV_TEST(an_aborted_append_leaves_what_was),
        KV_TEST(a_value_that_was_read_is_not_taken_for_one_that_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
