/* SPDX-License-Identifier: Apache-2.0 */
/* Databases with policies of their own: a transaction is as safe as the strictest of those it was in. */
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/wait.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#define NEVER_MS 3600000u
#define SOON     60000 /* steps of a millisecond, on a machine that has other things to do */
#define STRICT   3u    /* a database with `always`; the store is as safe as NEVER_MS says */
#define LOOSE    5u    /* one that says nothing of its own */

static char dir[SCRATCH_MAX];

static struct oxbow *open_with(enum oxbow_journal journal)
{
    const struct oxbow_config config = {
        .dir = dir, .sync = OXBOW_SYNC_INTERVAL, .interval_ms = NEVER_MS, .journal = journal};
    struct oxbow *db;

    scratch_name(dir, "databases");
    scratch_remove(dir);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    assert_int_equal(oxbow_set_database_sync(db, STRICT, OXBOW_SYNC_ALWAYS, 0), OXBOW_OK);
    return db;
}

static int setup(void **state)
{
    *state = open_with(OXBOW_JOURNAL_ON);
    return 0;
}

static int setup_without_journal(void **state)
{
    *state = open_with(OXBOW_JOURNAL_OFF);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(oxbow_close(*state), OXBOW_OK);
    scratch_remove(dir);
    return 0;
}

static struct oxbow_txn *begin(struct oxbow *db, uint32_t database, uint32_t flags)
{
    const struct oxbow_txn_options opt = {.database = database, .flags = flags};
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    return txn;
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void push(struct oxbow_txn *txn, const char *key)
{
    const struct oxbow_bytes value = text("value");
    uint64_t len;

    assert_int_equal(oxbow_list_push(txn, text(key), OXBOW_RIGHT, &value, 1, &len), OXBOW_OK);
}

static uint64_t commit(struct oxbow_txn *txn)
{
    uint64_t lsn;

    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    return lsn;
}

static uint64_t push_in(struct oxbow *db, uint32_t database, uint32_t flags)
{
    struct oxbow_txn *txn = begin(db, database, flags);

    push(txn, "k");
    return commit(txn);
}

static void until_durable(struct oxbow *db, uint64_t lsn)
{
    for (int i = 0; i < SOON && oxbow_durable_lsn(db) < lsn; i++) {
        assert_int_equal(usleep(1000), 0);
    }
    assert_true(oxbow_durable_lsn(db) >= lsn);
}

static void assert_policy(struct oxbow *db, uint32_t database, enum oxbow_sync sync, uint32_t ms)
{
    enum oxbow_sync got;
    uint32_t got_ms;

    assert_int_equal(oxbow_database_sync(db, database, &got, &got_ms), OXBOW_OK);
    assert_int_equal(got, sync);
    assert_int_equal(got_ms, ms);
}

static void a_database_has_the_stores_policy_until_it_is_given_one(void **state)
{
    struct oxbow *db = *state;
    enum oxbow_sync sync = OXBOW_SYNC_NONE;
    uint32_t ms = 7;

    assert_policy(db, LOOSE, OXBOW_SYNC_INTERVAL, NEVER_MS);
    assert_policy(db, STRICT, OXBOW_SYNC_ALWAYS, NEVER_MS);
    assert_int_equal(oxbow_set_database_sync(db, 15, OXBOW_SYNC_INTERVAL, 1), OXBOW_OK);
    assert_policy(db, 15, OXBOW_SYNC_INTERVAL, 1);
    assert_int_equal(oxbow_set_sync(db, OXBOW_SYNC_ALWAYS, 50), OXBOW_OK);
    assert_policy(db, LOOSE, OXBOW_SYNC_ALWAYS, 50);
    assert_policy(db, 15, OXBOW_SYNC_INTERVAL, 1);
    assert_int_equal(oxbow_set_database_sync(db, 15, OXBOW_SYNC_INTERVAL, 0), OXBOW_OK);
    assert_policy(db, 15, OXBOW_SYNC_INTERVAL, 50);
    assert_int_equal(oxbow_set_database_sync(db, 15, OXBOW_SYNC_DEFAULT, 0), OXBOW_OK);
    assert_policy(db, 15, OXBOW_SYNC_ALWAYS, 50);

    assert_int_equal(oxbow_set_database_sync(db, 16, OXBOW_SYNC_ALWAYS, 0), OXBOW_ENODB);
    assert_int_equal(oxbow_set_database_sync(db, 15, OXBOW_SYNC_NONE + 1, 0), OXBOW_EINVAL);
    assert_int_equal(oxbow_set_database_sync(db, 15, OXBOW_SYNC_INTERVAL, NEVER_MS + 1),
                     OXBOW_EINVAL);
    assert_int_equal(oxbow_database_sync(db, 16, &sync, &ms), OXBOW_ENODB);
    assert_int_equal(sync, OXBOW_SYNC_NONE);
    assert_int_equal(ms, 7);
}

static void none_needs_the_journal(void **state)
{
    struct oxbow *db = *state;

    assert_int_equal(oxbow_set_database_sync(db, 1, OXBOW_SYNC_NONE, 0), OXBOW_ENOTSUP);
    assert_policy(db, 1, OXBOW_SYNC_INTERVAL, NEVER_MS);
}

static void each_database_waits_as_its_policy_says(void **state)
{
    struct oxbow *db = *state;
    uint64_t lsn = push_in(db, LOOSE, 0);

    assert_true(oxbow_durable_lsn(db) < lsn);
    lsn = push_in(db, STRICT, 0);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    lsn = push_in(db, LOOSE, 0);
    assert_true(oxbow_durable_lsn(db) < lsn);
}

static void a_transaction_is_as_safe_as_the_strictest_that_it_was_in(void **state)
{
    struct oxbow *db = *state;

    for (int i = 0; i < 2; i++) {
        struct oxbow_txn *txn = begin(db, i == 0 ? LOOSE : STRICT, 0);

        push(txn, "a");
        assert_int_equal(oxbow_txn_select(txn, i == 0 ? STRICT : LOOSE), OXBOW_OK);
        push(txn, "b");
        assert_int_equal(oxbow_txn_select(txn, LOOSE), OXBOW_OK); /* where it ends tells nothing */
        uint64_t lsn = commit(txn);

        assert_int_equal(oxbow_durable_lsn(db), lsn);
        lsn = push_in(db, LOOSE, 0); /* and the next one knows nothing of it */
        assert_true(oxbow_durable_lsn(db) < lsn);
    }
}

static void moving_copying_and_swapping_are_in_both(void **state)
{
    struct oxbow *db = *state;
    struct oxbow_txn *txn;
    uint64_t lsn;
    bool done;

    for (int i = 0; i < 2; i++) {
        uint32_t from = i == 0 ? LOOSE : STRICT;
        uint32_t to = i == 0 ? STRICT : LOOSE;

        (void)push_in(db, from, 0);
        txn = begin(db, from, 0);
        assert_int_equal(oxbow_key_copy(txn, text("k"), to, text("copy"), true, &done), OXBOW_OK);
        assert_true(done);
        lsn = commit(txn);
        assert_int_equal(oxbow_durable_lsn(db), lsn);
        txn = begin(db, from, 0);
        assert_int_equal(oxbow_key_move(txn, text("k"), to, &done), OXBOW_OK);
        assert_true(done);
        lsn = commit(txn);
        assert_int_equal(oxbow_durable_lsn(db), lsn);
        txn = begin(db, to, 0);
        assert_int_equal(oxbow_key_delete(txn, text("k"), &done), OXBOW_OK);
        (void)commit(txn);
    }
    txn = begin(db, 0, 0);
    assert_int_equal(oxbow_key_swap(txn, LOOSE, STRICT), OXBOW_OK);
    lsn = commit(txn);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    txn = begin(db, 0, 0);
    assert_int_equal(oxbow_key_swap(txn, LOOSE, 6), OXBOW_OK);
    lsn = commit(txn);
    assert_true(oxbow_durable_lsn(db) < lsn);
}

static void a_reader_waits_for_what_it_may_have_seen(void **state)
{
    struct oxbow *db = *state;
    uint64_t lsn = push_in(db, LOOSE, 0);

    (void)commit(begin(db, LOOSE, OXBOW_TXN_READ));
    assert_true(oxbow_durable_lsn(db) < lsn);
    (void)commit(begin(db, STRICT, OXBOW_TXN_READ));
    assert_true(oxbow_durable_lsn(db) >= lsn);
}

static void a_transaction_that_says_its_policy_is_not_asked(void **state)
{
    const struct oxbow_txn_options loose = {.sync = OXBOW_SYNC_INTERVAL, .database = STRICT};
    const struct oxbow_txn_options strict = {.sync = OXBOW_SYNC_ALWAYS, .database = LOOSE};
    struct oxbow *db = *state;
    struct oxbow_txn *txn;
    uint64_t lsn;

    assert_int_equal(oxbow_txn_begin(db, &loose, &txn), OXBOW_OK);
    push(txn, "k");
    lsn = commit(txn);
    assert_true(oxbow_durable_lsn(db) < lsn);
    assert_int_equal(oxbow_txn_begin(db, &strict, &txn), OXBOW_OK);
    push(txn, "k");
    lsn = commit(txn);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
}

/* Without waiting for the device it is still with the system, as the looser of the two promises. */
static void who_does_not_wait_has_what_the_looser_database_promises(void **state)
{
    struct oxbow *db = *state;

    for (int i = 0; i < 200; i++) {
        struct oxbow_txn *txn = begin(db, LOOSE, OXBOW_TXN_NOWAIT);
        struct oxbow_stat stat;
        uint64_t lsn;

        push(txn, "a");
        assert_int_equal(oxbow_txn_select(txn, STRICT), OXBOW_OK);
        push(txn, "b");
        lsn = commit(txn);
        oxbow_stat(db, &stat);
        assert_true(stat.lsn_written >= lsn);
        if (i % 50 == 0) {
            until_durable(db, lsn); /* the stricter one has asked for it */
        }
    }
}

static void intervals_differ_and_the_first_that_is_due_counts(void **state)
{
    struct oxbow *db = *state;
    uint64_t lsn;

    assert_int_equal(oxbow_set_database_sync(db, 1, OXBOW_SYNC_INTERVAL, 40), OXBOW_OK);
    lsn = push_in(db, LOOSE, 0);
    assert_true(oxbow_durable_lsn(db) < lsn); /* in an hour */
    lsn = push_in(db, 1, 0);
    until_durable(db, lsn);
    lsn = push_in(db, 1, 0); /* again, and with the longer one behind it */
    (void)push_in(db, LOOSE, 0);
    until_durable(db, lsn);
}

static void what_is_there_is_synced_when_its_policy_changes(void **state)
{
    struct oxbow *db = *state;
    uint64_t lsn = push_in(db, LOOSE, 0);

    assert_int_equal(oxbow_set_database_sync(db, LOOSE, OXBOW_SYNC_ALWAYS, 0), OXBOW_OK);
    until_durable(db, lsn);
    lsn = push_in(db, LOOSE, 0);
    assert_int_equal(oxbow_durable_lsn(db), lsn);
    assert_int_equal(oxbow_set_database_sync(db, LOOSE, OXBOW_SYNC_DEFAULT, 0), OXBOW_OK);
    lsn = push_in(db, LOOSE, 0);
    assert_true(oxbow_durable_lsn(db) < lsn);
}

static enum oxbow_err push_both(void *ctx, struct oxbow_txn *txn, bool again)
{
    (void)ctx;
    (void)again;
    push(txn, "a");
    assert_int_equal(oxbow_txn_select(txn, STRICT), OXBOW_OK);
    return OXBOW_OK;
}

static void who_waits_for_a_queue_waits_as_the_transactions_databases_say(void **state)
{
    static const struct oxbow_bytes key = {"q", 1};
    const struct oxbow_wait_keys keys = {.keys = &key, .count = 1, .kind = OXBOW_WAIT_LIST};
    struct oxbow_wait_options opt = {.txn = {.database = LOOSE}, .timeout_ms = -1};
    struct oxbow *db = *state;
    struct oxbow_stat stat;

    assert_int_equal(oxbow_wait_for(db, &opt, &keys, push_both, NULL), OXBOW_OK);
    oxbow_stat(db, &stat);
    assert_int_equal(stat.lsn_durable, stat.lsn_applied);
}

static void a_transaction_tells_which_databases_it_was_in_since_it_was_asked(void **state)
{
    struct oxbow_txn *txn = begin(*state, 2, 0);

    assert_int_equal(oxbow_txn_databases(txn), 1u << 2);
    assert_int_equal(oxbow_txn_databases(txn), 0);
    assert_int_equal(oxbow_txn_select(txn, 15), OXBOW_OK);
    assert_int_equal(oxbow_txn_select(txn, 2), OXBOW_OK);
    assert_int_equal(oxbow_txn_select(txn, 16), OXBOW_ENODB);
    assert_int_equal(oxbow_txn_databases(txn), 1u << 2 | 1u << 15);
    assert_int_equal(oxbow_key_swap(txn, 0, 1), OXBOW_OK);
    assert_int_equal(oxbow_txn_databases(txn) & 3u, 3);
    oxbow_txn_abort(txn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BOTH(name)                                                                                 \
    TEST(name),                                                                                    \
    {                                                                                              \
#name "_without_journal", name, setup_without_journal, teardown, NULL                      \
    }
    const struct CMUnitTest tests[] = {
        BOTH(a_database_has_the_stores_policy_until_it_is_given_one),
        cmocka_unit_test_setup_teardown(none_needs_the_journal, setup_without_journal, teardown),
        BOTH(each_database_waits_as_its_policy_says),
        BOTH(a_transaction_is_as_safe_as_the_strictest_that_it_was_in),
        BOTH(moving_copying_and_swapping_are_in_both),
        BOTH(a_reader_waits_for_what_it_may_have_seen),
        BOTH(a_transaction_that_says_its_policy_is_not_asked),
        TEST(who_does_not_wait_has_what_the_looser_database_promises),
        BOTH(intervals_differ_and_the_first_that_is_due_counts),
        BOTH(what_is_there_is_synced_when_its_policy_changes),
        BOTH(who_waits_for_a_queue_waits_as_the_transactions_databases_say),
        BOTH(a_transaction_tells_which_databases_it_was_in_since_it_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
