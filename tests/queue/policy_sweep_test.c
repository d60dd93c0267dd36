/* SPDX-License-Identifier: Apache-2.0 */
/* What is over a limit goes without an append, when the store has time. */
#include "tests/support/rig.h"

#include "engine/queue/policy.h"
#include "oxbow/forward.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_ok(expr) assert_int_equal((expr), OXBOW_OK)

static struct rig rig;
static const struct oxbow_bytes stream = {"s", 1};
static const struct oxbow_bytes list = {"l", 1};

static int setup(void **state)
{
    (void)state;
    rig_init(&rig, OXBOW_SYNC_ALWAYS);
    rig_open(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static void fill(unsigned count, enum oxbow_end end)
{
    const struct oxbow_field field = {{"v", 1}, {"0123456789", 10}};
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    for (unsigned i = 1; i <= count; i++) {
        const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i, 0}};
        struct oxbow_bytes v = {&i, sizeof i};

        assert_ok(oxbow_stream_add(txn, stream, &opt, &field, 1, NULL));
        assert_ok(oxbow_list_push(txn, list, end, &v, 1, NULL));
    }
    rig_commit(txn);
}

static void set(struct oxbow_bytes key, struct oxbow_policy p)
{
    struct oxbow_txn *txn = rig_begin(&rig, 0);

    p.on_full = p.on_full == OXBOW_POLICY_BLOCK ? p.on_full : OXBOW_POLICY_DROP_OLDEST;
    assert_ok(oxbow_policy_set(txn, key, &p));
    rig_commit(txn);
}

static void sweep(unsigned *steps)
{
    bool more = true;

    for (*steps = 0; more; (*steps)++) {
        struct oxbow_txn *txn = rig_begin(&rig, 0);

        assert_in_range(*steps, 0, 100);
        assert_ok(policy_sweep(txn, &more));
        rig_commit(txn);
    }
}

static struct oxbow_policy_info info(struct oxbow_bytes key)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_policy_info i;

    assert_ok(oxbow_policy_info(txn, key, &i));
    rig_abort(txn);
    return i;
}

static uint64_t dropped(struct oxbow_bytes key, enum oxbow_drop_cause cause)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(txn, key, cause, &d));
    rig_abort(txn);
    return d.entries;
}

static unsigned at(int64_t idx)
{
    struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
    struct oxbow_result r = {0};
    unsigned value;

    assert_ok(oxbow_list_index(txn, list, idx, &r));
    memcpy(&value, r.items[0].data, sizeof value);
    oxbow_result_fini(&r);
    rig_abort(txn);
    return value;
}

static void a_queue_that_nobody_adds_to_obeys_its_new_limit(void **state)
{
    unsigned steps;

    (void)state;
    fill(20000, OXBOW_RIGHT);
    set(stream, (struct oxbow_policy){.max_entries = 100});
    set(list, (struct oxbow_policy){.max_entries = 100});
    sweep(&steps);
    assert_int_equal(info(stream).entries, 100);
    assert_int_equal(info(list).entries, 100);
    assert_int_equal(dropped(stream, OXBOW_DROP_LENGTH), 19900);
    assert_int_equal(dropped(list, OXBOW_DROP_LENGTH), 19900);
    assert_int_equal(at(0), 19901);
    set(stream, (struct oxbow_policy){.max_bytes = info(stream).bytes / 2});
    set(list, (struct oxbow_policy){.max_bytes = info(list).bytes / 2});
    rig_reopen(&rig);
    sweep(&steps);
    assert_in_range(info(stream).entries, 45, 50);
    assert_int_equal(info(list).entries, 50);
    assert_int_equal(info(stream).over_bytes + info(list).over_bytes, 0);
    assert_int_equal(at(-1), 20000);
    sweep(&steps);
    assert_int_equal(steps, 1);
}

static void a_list_that_grew_to_the_left_loses_its_right_end(void **state)
{
    unsigned steps;

    (void)state;
    fill(5000, OXBOW_LEFT);
    set(list, (struct oxbow_policy){.max_entries = 10});
    sweep(&steps);
    assert_int_equal(info(list).entries, 10);
    assert_int_equal(at(0), 5000);
    assert_int_equal(at(-1), 4991);
}

static void one_step_is_bounded(void **state)
{
    struct oxbow_txn *txn;
    bool more;

    (void)state;
    fill(20000, OXBOW_RIGHT);
    txn = rig_begin(&rig, 0);
    assert_ok(oxbow_policy_set(
        txn, stream,
        &(struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST}));
    assert_ok(policy_sweep(txn, &more));
    assert_true(more);
    {
        struct oxbow_policy_info i;

        assert_ok(oxbow_policy_info(txn, stream, &i));
        assert_in_range(i.entries, 20000 - 4096 - 500, 20000 - 4096);
    }
    rig_abort(txn);
}

static void what_refuses_and_what_a_forward_holds_stays(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = stream, .type = OXBOW_TYPE_STREAM, .target = {"t", 1}};
    struct oxbow_txn *txn = rig_begin(&rig, 0);
    unsigned steps;
    bool more;

    (void)state;
    assert_ok(oxbow_forward_create(txn, "up", &opt));
    rig_commit(txn);
    fill(1000, OXBOW_RIGHT);
    set(list, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_BLOCK});
    set(stream, (struct oxbow_policy){.max_entries = 10});
    sweep(&steps);
    assert_int_equal(info(stream).entries, 1000);
    assert_string_equal(info(stream).held_by, "up");
    assert_int_equal(info(list).entries, 1000);
    txn = rig_begin(&rig, 0);
    assert_ok(oxbow_forward_confirmed(txn, "up", (struct oxbow_id){500, 0}, &more));
    rig_commit(txn);
    rig_pass_ms(&rig, 61000);
    sweep(&steps);
    assert_int_equal(info(stream).entries, 500);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_queue_that_nobody_adds_to_obeys_its_new_limit),
        T(a_list_that_grew_to_the_left_loses_its_right_end),
        T(one_step_is_bounded),
        T(what_refuses_and_what_a_forward_holds_stays),
    };

    return cmocka_run_group_tests_name("policy_sweep", tests, NULL, NULL);
}
