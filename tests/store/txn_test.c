/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: what they know, what they count, and how they fail. */
#include "tests/store/kv_fixture.h"

#define TOUCHES 100u

static uint64_t commit(struct oxbow_txn *txn)
{
    uint64_t lsn = UINT64_MAX;

    assert_int_equal(rig_try_commit(txn, &lsn), OXBOW_OK);
    return lsn;
}

static void a_writer_is_the_next_lsn_and_a_reader_the_one_it_saw(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t first;

    put(txn, BYTES("k"), BYTES("1"));
    first = commit(txn);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("2"));
    assert_int_equal(commit(txn), first + 1);
    assert_int_equal(commit(rig_begin(rig, OXBOW_TXN_READ)), first + 1);
    assert_int_equal(commit(rig_begin(rig, 0)), first + 1); /* it wrote nothing */
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("3"));
    rig_abort(txn);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("4"));
    assert_int_equal(commit(txn), first + 2);
}

static void it_knows_what_it_was_begun_with(void **state)
{
    struct rig *rig = *state;
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_FORCE, .database = 15};
    struct oxbow_stat stat;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(rig->db, &opt, &txn), OXBOW_OK);
    oxbow_stat(rig->db, &stat);
    assert_ptr_equal(txn_store(txn), rig->db);
    assert_ptr_equal(txn_port(txn), &rig->port);
    assert_int_equal(txn_database(txn), 15);
    assert_true(txn_forced(txn));
    assert_false(txn_readonly(txn));
    assert_int_equal(txn_entry_bytes_max(txn), 64u << 20);
    assert_int_equal(txn_boot(txn), 1);
    assert_int_equal(txn_store_id(txn), stat.store_id);
    assert_int_equal(oxbow_txn_select(txn, 16), OXBOW_ENODB);
    assert_int_equal(txn_database(txn), 15);
    assert_int_equal(oxbow_txn_select(txn, 0), OXBOW_OK);
    assert_int_equal(txn_database(txn), 0);
    rig_abort(txn);
    txn = rig_begin(rig, OXBOW_TXN_READ); /* nothing is left of the one before */
    assert_int_equal(txn_database(txn), 0);
    assert_false(txn_forced(txn));
    assert_true(txn_readonly(txn));
    rig_abort(txn);
}

static void the_wall_clock_stands_while_it_runs(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t wall = txn_wall_ms(txn);

    assert_int_equal(wall, rig->wall_ms);
    assert_int_equal(txn_uptime_ms(txn), rig->mono_us / 1000);
    rig->wall_ms += 5000;
    assert_int_equal(txn_wall_ms(txn), wall);
    rig_abort(txn);
    txn = rig_begin(rig, 0);
    assert_int_equal(txn_wall_ms(txn), wall + 5000);
    rig_abort(txn);
}

static void the_first_failure_is_the_one_that_commit_gives(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t lsn = 99;

    put(txn, BYTES("k"), BYTES("v"));
    assert_int_equal(txn_fail(txn, OXBOW_ECORRUPT), OXBOW_ECORRUPT);
    assert_int_equal(txn_fail(txn, OXBOW_ENOMEM), OXBOW_ENOMEM);
    assert_int_equal(kv_put(txn, BYTES("k"), BYTES("w")), OXBOW_ECORRUPT);
    assert_int_equal(rig_try_commit(txn, &lsn), OXBOW_ECORRUPT);
    assert_int_equal(lsn, 99);
    txn = rig_begin(rig, 0);
    assert_absent(txn, BYTES("k"));
    put(txn, BYTES("k"), BYTES("after it"));
    commit(txn);
}

static void aborts_of_writers_are_counted(void **state)
{
    struct rig *rig = *state;
    uint64_t before = store_abort_count(rig->db);
    struct oxbow_txn *txn;

    rig_abort(rig_begin(rig, OXBOW_TXN_READ));
    commit(rig_begin(rig, 0));
    assert_int_equal(store_abort_count(rig->db), before);
    rig_abort(rig_begin(rig, 0));
    assert_int_equal(store_abort_count(rig->db), before + 1);
    txn = rig_begin(rig, 0);
    (void)txn_fail(txn, OXBOW_EQUOTA);
    assert_int_equal(rig_try_commit(txn, NULL), OXBOW_EQUOTA);
    assert_int_equal(store_abort_count(rig->db), before + 2);
}

struct touched {
    uint64_t sum;
    unsigned calls;
    uint64_t lsn;
};

static void on_touch(void *ctx, uint64_t object, uint64_t lsn)
{
    struct touched *t = ctx;

    t->sum += object;
    t->calls++;
    t->lsn = lsn;
}

static void touches_are_told_once_each_and_only_by_a_commit(void **state)
{
    struct rig *rig = *state;
    struct touched t = {0};
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t lsn;
    unsigned i;

    store_set_touch_hook(rig->db, on_touch, &t);
    put(txn, BYTES("k"), BYTES("v"));
    for (i = 1; i <= TOUCHES; i++) {
        assert_int_equal(txn_touch(txn, i), OXBOW_OK);
        assert_int_equal(txn_touch(txn, i), OXBOW_OK);
    }
    assert_int_equal(t.calls, 0);
    lsn = commit(txn);
    assert_int_equal(t.calls, TOUCHES);
    assert_int_equal(t.sum, TOUCHES * (TOUCHES + 1) / 2);
    assert_int_equal(t.lsn, lsn);
    txn = rig_begin(rig, 0);
    assert_int_equal(txn_touch(txn, 7), OXBOW_OK);
    rig_abort(txn);
    commit(rig_begin(rig, 0));
    assert_int_equal(t.calls, TOUCHES);
    store_set_touch_hook(rig->db, NULL, NULL);
}

static void on_commit(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void a_commit_that_wrote_is_told_and_no_other(void **state)
{
    struct rig *rig = *state;
    unsigned calls = 0;
    struct oxbow_txn *txn = rig_begin(rig, 0);

    store_set_commit_hook(rig->db, on_commit, &calls);
    put(txn, BYTES("k"), BYTES("v"));
    assert_int_equal(calls, 0);
    commit(txn);
    assert_int_equal(calls, 1);
    commit(rig_begin(rig, 0));
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("w"));
    rig_abort(txn);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("w"));
    assert_int_equal(txn_fail(txn, OXBOW_EIO), OXBOW_EIO);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_EIO);
    assert_int_equal(calls, 1);
    store_set_commit_hook(rig->db, NULL, NULL);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("x"));
    commit(txn);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KV_TEST(a_writer_is_the_next_lsn_and_a_reader_the_one_it_saw),
        KV_TEST(it_knows_what_it_was_begun_with),
        KV_TEST(the_wall_clock_stands_while_it_runs),
        KV_TEST(the_first_failure_is_the_one_that_commit_gives),
        KV_TEST(aborts_of_writers_are_counted),
        KV_TEST(touches_are_told_once_each_and_only_by_a_commit),
        KV_TEST(a_commit_that_wrote_is_told_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
