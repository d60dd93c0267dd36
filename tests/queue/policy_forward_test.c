/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and what a forward protects: the table in docs/QUEUES.md, row by row. */
#include "tests/queue/fixture.h"

#include "engine/queue/policy.h"
#include "oxbow/forward.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <stdlib.h>

static struct oxbow_bytes key(void)
{
    return bytes_of("k");
}

static void set(struct fixture *f, struct oxbow_policy p)
{
    assert_ok(oxbow_policy_set(f->txn, key(), &p));
}

static void forward(struct fixture *f, enum oxbow_type type, uint64_t max_bytes,
                    enum oxbow_forward_full full)
{
    const struct oxbow_forward_options opt = {.key = key(),
                                              .type = type,
                                              .target = bytes_of("t"),
                                              .max_bytes = max_bytes,
                                              .on_full = full};

    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
}

static enum oxbow_err add(struct fixture *f, uint64_t id)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {id, 0}};
    const struct oxbow_field field = {bytes_of("v"), bytes_of("0123456789")};

    return oxbow_stream_add(f->txn, key(), &opt, &field, 1, NULL);
}

static enum oxbow_err push(struct fixture *f)
{
    struct oxbow_bytes v = bytes_of("x");

    return oxbow_list_push(f->txn, key(), OXBOW_RIGHT, &v, 1, NULL);
}

static void delivered(struct fixture *f, uint64_t id)
{
    bool more;

    assert_ok(oxbow_forward_confirmed(f->txn, "up", (struct oxbow_id){id, 0}, &more));
    assert_false(more);
}

static struct oxbow_policy_info info(struct fixture *f)
{
    struct oxbow_policy_info i;

    assert_ok(oxbow_policy_info(f->txn, key(), &i));
    return i;
}

static uint64_t dropped(struct fixture *f, enum oxbow_drop_cause cause)
{
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(f->txn, key(), cause, &d));
    return d.entries;
}

static void a_stream_that_refuses_keeps_its_limit(void **state)
{
    struct fixture *f = *state;

    forward(f, OXBOW_TYPE_STREAM, 0, OXBOW_FULL_REFUSE);
    set(f, (struct oxbow_policy){.max_entries = 2});
    assert_ok(add(f, 1));
    assert_ok(add(f, 2));
    assert_err(add(f, 3), OXBOW_EFULL);
    assert_true(info(f).full);
    assert_int_equal(info(f).refused, 1);
    assert_string_equal(info(f).held_by, ""); /* nothing is over */
    delivered(f, 1);
    assert_ok(add(f, 3));
    assert_err(add(f, 4), OXBOW_EFULL);
    assert_int_equal(dropped(f, OXBOW_DROP_DELIVERED), 1);
}

static void what_drops_the_oldest_grows_by_what_is_not_delivered(void **state)
{
    struct fixture *f = *state;

    forward(f, OXBOW_TYPE_STREAM, 0, OXBOW_FULL_REFUSE);
    set(f, (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 5; i++) {
        assert_ok(add(f, i));
    }
    assert_int_equal(info(f).entries, 5);
    assert_int_equal(info(f).over_entries, 3);
    assert_string_equal(info(f).held_by, "up");
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 0);
    delivered(f, 2);
    assert_ok(add(f, 6));
    assert_int_equal(info(f).entries, 4);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 2);
    delivered(f, 6);
    assert_ok(add(f, 7));
    assert_int_equal(info(f).entries, 2);
    assert_int_equal(info(f).over_entries, 0);
    assert_string_equal(info(f).held_by, "");
}

static void force_lets_a_policy_drop_nothing_that_is_protected(void **state)
{
    struct fixture *f = *state;

    forward(f, OXBOW_TYPE_STREAM, 0, OXBOW_FULL_REFUSE);
    set(f, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(add(f, 1));
    fixture_commit(f);
    assert_ok(
        oxbow_txn_begin(f->db, &(struct oxbow_txn_options){.flags = OXBOW_TXN_FORCE}, &f->txn));
    assert_ok(add(f, 2));
    assert_int_equal(info(f).entries, 2);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 0);
}

static void a_forwards_budget_bounds_what_it_holds(void **state)
{
    struct fixture *f = *state;

    forward(f, OXBOW_TYPE_STREAM, 33, OXBOW_FULL_REFUSE); /* three entries of 11 bytes */
    set(f, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 3; i++) {
        assert_ok(add(f, i));
    }
    assert_err(add(f, 4), OXBOW_EBUDGET);
    assert_int_equal(info(f).entries, 3);
    delivered(f, 1);
    assert_ok(add(f, 4));
    assert_int_equal(info(f).entries, 3);
}

static void what_a_forwards_budget_drops_is_told_here_as_well(void **state)
{
    struct fixture *f = *state;
    struct oxbow_forward_status status;

    forward(f, OXBOW_TYPE_STREAM, 33, OXBOW_FULL_DROP_OLDEST);
    set(f, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 5; i++) {
        assert_ok(add(f, i));
    }
    assert_int_equal(info(f).entries, 3);
    assert_int_equal(dropped(f, OXBOW_DROP_FORWARD), 2);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 0);
    assert_ok(oxbow_forward_status(f->txn, "up", &status));
    assert_int_equal(status.dropped_entries, 2);
    assert_ok(oxbow_stream_read(f->txn, key(), OXBOW_ID_MIN, 0, &f->result));
    assert_int_equal(f->result.missed, 2);
}

static void a_list_under_a_forward_is_all_backlog(void **state)
{
    struct fixture *f = *state;

    forward(f, OXBOW_TYPE_LIST, 0, OXBOW_FULL_REFUSE);
    set(f, (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 0; i < 4; i++) {
        assert_ok(push(f));
    }
    assert_int_equal(info(f).over_entries, 2);
    assert_string_equal(info(f).held_by, "up");
    set(f, (struct oxbow_policy){.max_entries = 2});
    assert_err(push(f), OXBOW_EFULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_stream_that_refuses_keeps_its_limit),
        T(what_drops_the_oldest_grows_by_what_is_not_delivered),
        T(force_lets_a_policy_drop_nothing_that_is_protected),
        T(a_forwards_budget_bounds_what_it_holds),
        T(what_a_forwards_budget_drops_is_told_here_as_well),
        T(a_list_under_a_forward_is_all_backlog),
    };

    return cmocka_run_group_tests_name("policy_forward", tests, NULL, NULL);
}
