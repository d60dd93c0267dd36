/* SPDX-License-Identifier: Apache-2.0 */
/* What docs/EXACTLY_ONCE.md promises of workers: results, state and ack are one, and of two workers on
 * one entry one is kept. */
#include "tests/queue/binding_fixture.h"

#include "engine/base/id.h"
#include "oxbow/group_options.h"
#include "oxbow/string.h"

static struct oxbow_group g(void)
{
    return group_of("in", "g");
}

static void begin_all(struct streams *f)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_options opt = {.visibility_ms = 1000};

    assert_ok(oxbow_group_create(f->txn, g(), &create));
    assert_ok(oxbow_group_options_set(f->txn, g(), &opt));
    for (int i = 0; i < 3; i++) {
        assert_ok(route_one(f, "in", "k", "1"));
    }
}

static struct oxbow_id take_one(struct streams *f, const char *worker)
{
    const struct oxbow_group_read_options one = {.count = 1};

    assert_ok(oxbow_group_read(f->txn, g(), text_bytes(worker), &one, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    return f->result.entries[0].id;
}

/* The second transaction of long work. */
static bool finish(struct streams *f, struct oxbow_id id, const char *worker)
{
    uint64_t acked;

    assert_ok(route_one(f, "out", "k", worker));
    assert_ok(oxbow_string_set(f->txn, text_bytes("last"), text_bytes(worker)));
    assert_ok(oxbow_group_ack(f->txn, g(), &id, 1, &acked));
    if (acked == 1) {
        streams_commit(f);
    } else {
        streams_abort(f);
    }
    streams_begin(f);
    return acked == 1;
}

static void an_abort_leaves_an_entry_as_if_never_taken(void **state)
{
    struct streams *f = *state;
    struct oxbow_pending_summary sum;
    struct oxbow_id id, again;

    begin_all(f);
    streams_commit(f);
    streams_begin(f);
    id = take_one(f, "a");
    assert_ok(route_one(f, "out", "k", "a"));
    assert_ok(oxbow_string_set(f->txn, text_bytes("last"), text_bytes("a")));
    assert_ok(oxbow_group_ack(f->txn, g(), &id, 1, NULL));
    streams_abort(f);
    streams_begin(f);
    assert_numbers(f, "out", "");
    assert_err(oxbow_string_get(f->txn, text_bytes("last"), &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_group_pending_summary(f->txn, g(), &sum));
    assert_int_equal(sum.count, 0);
    again = take_one(f, "b");
    assert_int_equal(id_compare(id, again), 0);
}

static void of_two_workers_on_one_entry_one_is_kept(void **state)
{
    struct streams *f = *state;
    struct oxbow_id slow, fast;

    begin_all(f);
    slow = take_one(f, "slow");
    streams_commit(f);
    rig_pass_ms(&f->rig, 2000); /* it takes longer than it may */
    streams_begin(f);
    fast = take_one(f, "fast");
    assert_int_equal(id_compare(slow, fast), 0);
    streams_commit(f);
    streams_begin(f);
    assert_true(finish(f, fast, "fast"));
    assert_false(finish(f, slow, "slow"));
    assert_numbers(f, "out", "fast");
    assert_ok(oxbow_string_get(f->txn, text_bytes("last"), &f->result));
    assert_memory_equal(f->result.items[0].data, "fast", 4);
}

static void the_slow_one_may_be_the_first_to_finish(void **state)
{
    struct streams *f = *state;
    struct oxbow_id slow, fast;

    begin_all(f);
    slow = take_one(f, "slow");
    streams_commit(f);
    rig_pass_ms(&f->rig, 2000);
    streams_begin(f);
    fast = take_one(f, "fast");
    streams_commit(f);
    streams_begin(f);
    assert_true(finish(f, slow, "slow"));
    assert_false(finish(f, fast, "fast"));
    assert_numbers(f, "out", "slow");
}

static void what_a_worker_died_with_comes_back_and_is_kept_once(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id, again;

    begin_all(f);
    id = take_one(f, "a");
    streams_reopen(f); /* it died */
    streams_commit(f);
    rig_pass_ms(&f->rig, 2000);
    streams_begin(f);
    again = take_one(f, "b");
    assert_int_equal(id_compare(id, again), 0);
    assert_true(finish(f, again, "b"));
    assert_numbers(f, "out", "b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_abort_leaves_an_entry_as_if_never_taken),
        TEST(of_two_workers_on_one_entry_one_is_kept),
        TEST(the_slow_one_may_be_the_first_to_finish),
        TEST(what_a_worker_died_with_comes_back_and_is_kept_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
