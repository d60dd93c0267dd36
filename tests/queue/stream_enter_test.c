/* SPDX-License-Identifier: Apache-2.0 */
/* What entries get from their queue's policy when they say nothing themselves. */
#include "tests/queue/stream_fixture.h"

#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"

#include <stdlib.h>

#define HOUR 3600000u

static const struct oxbow_field field = {{"v", 1}, {"x", 1}};

static void set(struct streams *f, struct oxbow_policy p)
{
    assert_ok(oxbow_policy_set(f->txn, BYTES("s"), &p));
}

static struct oxbow_id add(struct streams *f, const struct oxbow_stream_add_options *opt)
{
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, BYTES("s"), opt, &field, 1, &id));
    return id;
}

static uint64_t ttl(struct streams *f, struct oxbow_id id)
{
    uint64_t left;

    assert_ok(oxbow_stream_ttl(f->txn, BYTES("s"), id, &left));
    return left;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static uint64_t length(struct streams *f)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(f->txn, BYTES("s"), &len));
    return len;
}

static uint64_t waiting(struct streams *f)
{
    struct oxbow_delay_stat stat;

    assert_ok(oxbow_delay_stat(f->txn, &stat));
    return stat.waiting;
}

static void entries_that_give_no_time_to_live_get_their_queues(void **state)
{
    struct streams *f = *state;
    struct oxbow_id before = add(f, NULL);

    set(f, (struct oxbow_policy){.default_ttl_ms = HOUR});
    assert_int_equal(ttl(f, before), UINT64_MAX);
    assert_int_equal(ttl(f, add(f, NULL)), HOUR);
    assert_int_equal(ttl(f, add(f, &(struct oxbow_stream_add_options){.ttl_ms = 5000})), 5000);
    assert_int_equal(
        ttl(f, add(f, &(struct oxbow_stream_add_options){.ttl_ms = OXBOW_STREAM_TTL_NONE})),
        UINT64_MAX);
    streams_reopen(f);
    {
        struct oxbow_policy p;

        assert_ok(oxbow_policy_get(f->txn, BYTES("s"), &p));
        assert_int_equal(p.default_ttl_ms, HOUR);
    }
    assert_int_equal(ttl(f, add(f, NULL)), HOUR);
    set(f, (struct oxbow_policy){.max_entries = 100});
    assert_int_equal(ttl(f, add(f, NULL)), UINT64_MAX);
    pass(f, HOUR + 1);
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), OXBOW_ID_MIN, 0, &f->result));
    assert_int_equal(f->result.entry_count, 3);
}

static void entries_that_give_no_time_wait_for_as_long_as_their_queue_says(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_add_options now = {.undelayed = true};
    struct oxbow_stream_add_options named = {.id_mode = OXBOW_ID_EXPLICIT, .id = {1, 1}};

    set(f, (struct oxbow_policy){.default_delay_ms = HOUR, .default_ttl_ms = 2 * HOUR});
    assert_id(add(f, NULL), "0-0");
    assert_int_equal(length(f), 0);
    assert_int_equal(waiting(f), 1);
    assert_id(add(f, &named), "1-1");
    assert_true(add(f, &now).ms > 1);
    assert_int_equal(waiting(f), 1);
    assert_int_equal(length(f), 2);
    pass(f, HOUR - 1);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_int_equal(length(f), 2);
    pass(f, 1);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_int_equal(length(f), 3);
    assert_int_equal(waiting(f), 0);
    assert_ok(oxbow_stream_read(f->txn, BYTES("s"), OXBOW_ID_MIN, 0, &f->result));
    assert_int_equal(ttl(f, f->result.entries[2].id), 2 * HOUR); /* from when it was added */
}

static void priorities_and_names_go_through_the_wait(void **state)
{
    struct streams *f = *state;
    const struct oxbow_once once = {.id = BYTES("x"), .priority = 2};
    struct oxbow_stream_add_options high = {.priority = 3};
    struct oxbow_once_outcome said;
    struct oxbow_delay_place place = {.wall = false};
    struct oxbow_delay_info info;

    set(f, (struct oxbow_policy){.default_delay_ms = HOUR, .priorities = 3});
    assert_err(oxbow_stream_add(f->txn, BYTES("s"), &high, &field, 1, NULL), OXBOW_EINVAL);
    assert_ok(oxbow_once_add(f->txn, BYTES("s"), &once, &field, 1, &said));
    assert_false(said.duplicate);
    assert_id(said.id, "0-0");
    assert_ok(oxbow_once_add(f->txn, BYTES("s"), &once, &field, 1, &said));
    assert_true(said.duplicate);
    assert_int_equal(waiting(f), 1);
    assert_ok(oxbow_delay_next(f->txn, &place, &info));
    assert_int_equal(info.priority, 2);
}

static void what_is_added_once_has_a_priority(void **state)
{
    struct streams *f = *state;
    struct oxbow_once once = {.id = BYTES("x"), .priority = 3};
    const struct oxbow_group g = group_of("s", "g");
    struct oxbow_once_outcome said;

    set(f, (struct oxbow_policy){.priorities = 3});
    assert_err(oxbow_once_add(f->txn, BYTES("s"), &once, &field, 1, &said), OXBOW_EINVAL);
    streams_abort(f);
    streams_begin(f);
    set(f, (struct oxbow_policy){.priorities = 3});
    once.priority = 2;
    add(f, NULL);
    assert_ok(oxbow_once_add(f->txn, BYTES("s"), &once, &field, 1, &said));
    assert_ok(oxbow_group_create(f->txn, g, &(struct oxbow_group_create_options){0}));
    assert_ok(oxbow_group_read(f->txn, g, BYTES("c"),
                               &(struct oxbow_group_read_options){.count = 1}, &f->result));
    assert_true(f->result.entries[0].id.ms == said.id.ms &&
                f->result.entries[0].id.seq == said.id.seq);
    once = (struct oxbow_once){.id = BYTES("y"), .priority = 1};
    assert_err(oxbow_once_push(f->txn, BYTES("l"), OXBOW_LEFT, &once, BYTES("v"), &said),
               OXBOW_EINVAL);
}

static void a_source_routes_what_was_put_off_when_it_is_due(void **state)
{
    struct streams *f = *state;
    uint64_t len;

    set(f, (struct oxbow_policy){.default_delay_ms = 1000});
    assert_ok(oxbow_bind(
        f->txn, &(struct oxbow_binding){.source = BYTES("s"), .destination = BYTES("d")}, NULL));
    add(f, NULL);
    assert_ok(oxbow_stream_len(f->txn, BYTES("d"), &len));
    assert_int_equal(len, 0);
    pass(f, 1000);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_ok(oxbow_stream_len(f->txn, BYTES("d"), &len));
    assert_int_equal(len, 1);
}

static void out_of_range_defaults_are_refused(void **state)
{
    struct streams *f = *state;

    assert_err(oxbow_policy_set(f->txn, BYTES("s"),
                                &(struct oxbow_policy){.default_ttl_ms = OXBOW_TTL_MS_MAX + 1}),
               OXBOW_EINVAL);
    assert_err(oxbow_policy_set(f->txn, BYTES("s"),
                                &(struct oxbow_policy){.default_delay_ms = OXBOW_DELAY_MS_MAX + 1}),
               OXBOW_EINVAL);
    set(f, (struct oxbow_policy){.default_ttl_ms = OXBOW_TTL_MS_MAX,
                                 .default_delay_ms = OXBOW_DELAY_MS_MAX});
    add(f, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(entries_that_give_no_time_to_live_get_their_queues),
        TEST(entries_that_give_no_time_wait_for_as_long_as_their_queue_says),
        TEST(priorities_and_names_go_through_the_wait),
        TEST(what_is_added_once_has_a_priority),
        TEST(a_source_routes_what_was_put_off_when_it_is_due),
        TEST(out_of_range_defaults_are_refused),
    };

    return cmocka_run_group_tests_name("stream_enter", tests, NULL, NULL);
}
