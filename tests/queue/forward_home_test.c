/* SPDX-License-Identifier: Apache-2.0 */
/* A forward is known by its name in every database, and acts upon the key of its own. */
#include "oxbow/forward.h"

#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HOME 3u

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, OXBOW_SYNC_INTERVAL);
    rig_open(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static struct oxbow_txn *begin_in(uint32_t database, uint32_t flags)
{
    struct oxbow_txn *txn = rig_begin(&rig, flags);

    assert_int_equal(oxbow_txn_select(txn, database), OXBOW_OK);
    return txn;
}

static void add(struct oxbow_txn *txn, uint64_t ms)
{
    const struct oxbow_field field = {BYTES("n"), BYTES("v")};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

    assert_int_equal(oxbow_stream_add(txn, BYTES("readings"), &opt, &field, 1, NULL), OXBOW_OK);
}

static uint64_t length_in(uint32_t database)
{
    struct oxbow_txn *txn = begin_in(database, OXBOW_TXN_READ);
    uint64_t len;

    assert_int_equal(oxbow_stream_len(txn, BYTES("readings"), &len), OXBOW_OK);
    rig_commit(txn);
    return len;
}

/* Streams of one name: 10 entries in database 0, two in the forward's. */
static void prepare(const struct oxbow_forward_options *opt)
{
    struct oxbow_txn *txn = begin_in(HOME, 0);

    assert_int_equal(oxbow_forward_create(txn, "f", opt), OXBOW_OK);
    add(txn, 100);
    add(txn, 101);
    rig_commit(txn);
    txn = begin_in(0, 0);
    for (uint64_t ms = 1; ms <= 10; ms++) {
        add(txn, ms);
    }
    rig_commit(txn);
}

static void a_stream_of_its_own_database_is_carried(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = BYTES("readings"), .type = OXBOW_TYPE_STREAM, .target = BYTES("t"), .hold_ms = 1};
    const struct oxbow_forward_fetch want = {.bytes = 0};
    struct oxbow_forward_status status;
    struct oxbow_forward_resync resync;
    struct oxbow_forward_batch batch;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    uint64_t removed = 0;
    uint64_t len;
    bool more;

    (void)state;
    prepare(&opt);
    txn = begin_in(0, 0);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    assert_int_equal(status.backlog_entries, 2);
    assert_int_equal(status.end.ms, 101);
    assert_int_equal(oxbow_forward_fetch(txn, "f", &want, &result, &batch), OXBOW_OK);
    assert_int_equal(batch.count, 2);
    assert_int_equal(result.entries[0].id.ms, 100);
    assert_int_equal(oxbow_stream_len(txn, BYTES("readings"), &len), OXBOW_OK);
    assert_int_equal(len, 10); /* the transaction is where it was */
    assert_int_equal(oxbow_forward_sent(txn, "f", (struct oxbow_id){100, 0}), OXBOW_OK);
    assert_int_equal(oxbow_forward_resync(txn, "f", (struct oxbow_id){101, 0}, &resync), OXBOW_OK);
    assert_int_equal(resync.outcome, OXBOW_RESYNC_AHEAD);
    assert_int_equal(oxbow_forward_confirmed(txn, "f", (struct oxbow_id){101, 0}, &more), OXBOW_OK);
    rig_commit(txn);
    oxbow_result_fini(&result);
    rig_pass_ms(&rig, 10); /* the hold is over */
    txn = begin_in(0, 0);
    assert_int_equal(oxbow_forward_trim(txn, "f", &removed, &more), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(removed, 2);
    assert_int_equal(length_in(HOME), 0);
    assert_int_equal(length_in(0), 10);
    txn = begin_in(7, 0);
    assert_int_equal(oxbow_forward_adopt(txn, "f", (struct oxbow_id){500, 0}), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    assert_int_equal(status.end.ms, 500);
    assert_int_equal(oxbow_forward_remove(txn, "f"), OXBOW_OK);
    rig_commit(txn);
}

static void a_list_of_its_own_database_is_moved(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = BYTES("jobs"), .type = OXBOW_TYPE_LIST, .target = BYTES("t")};
    const struct oxbow_bytes value = BYTES("v");
    struct oxbow_forward_status status;
    struct oxbow_txn *txn = begin_in(HOME, 0);
    uint64_t len;
    bool more;

    (void)state;
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, BYTES("jobs"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_select(txn, 0), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, BYTES("jobs"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    assert_int_equal(oxbow_forward_confirmed(txn, "f", status.end, &more), OXBOW_OK);
    assert_int_equal(oxbow_list_len(txn, BYTES("jobs"), &len), OXBOW_OK);
    assert_int_equal(len, 1);
    assert_int_equal(oxbow_txn_select(txn, HOME), OXBOW_OK);
    assert_int_equal(oxbow_list_len(txn, BYTES("jobs"), &len), OXBOW_OK);
    assert_int_equal(len, 0);
    rig_commit(txn);
}

static void one_that_is_not_there_leaves_the_transaction_where_it_is(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = BYTES("readings"), .type = OXBOW_TYPE_STREAM, .target = BYTES("t")};
    struct oxbow_forward_status status;
    struct oxbow_txn *txn;
    uint64_t len;

    (void)state;
    prepare(&opt);
    txn = begin_in(HOME, 0);
    assert_int_equal(oxbow_forward_status(txn, "none", &status), OXBOW_ENOENT);
    assert_int_equal(oxbow_forward_sent(txn, "f", (struct oxbow_id){999, 0}), OXBOW_ERANGE);
    assert_int_equal(oxbow_stream_len(txn, BYTES("readings"), &len), OXBOW_OK);
    assert_int_equal(len, 2);
    rig_commit(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_of_its_own_database_is_carried),
        TEST(a_list_of_its_own_database_is_moved),
        TEST(one_that_is_not_there_leaves_the_transaction_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
