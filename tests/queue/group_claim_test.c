/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

/* Three entries, pending for bob. */
static void setup(struct streams *f)
{
    struct oxbow_group_create_options opt = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, g(), &opt));
    streams_fill(f, "s", 3);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), NULL, &f->result));
}

static const char *claim(struct streams *f, struct oxbow_claim_options opt, struct oxbow_id id)
{
    opt.ids = &id;
    opt.count = 1;
    assert_ok(oxbow_group_claim(f->txn, g(), BYTES("eve"), &opt, &f->result));
    return streams_entries(&f->result);
}

static struct oxbow_pending row(struct streams *f, struct oxbow_id id)
{
    struct oxbow_pending_filter filter = {.from = id, .to = id, .count = 1};
    struct oxbow_pending row = {0};
    size_t count;

    assert_ok(oxbow_group_pending(f->txn, g(), &filter, &f->result, &row, &count));
    assert_int_equal(count, 1);
    return row;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static void only_what_was_idle_long_enough_is_claimed(void **state)
{
    struct streams *f = *state;

    setup(f);
    pass(f, 999);
    assert_string_equal(claim(f, (struct oxbow_claim_options){.min_idle_ms = 1000}, ID(1, 0)), "");
    pass(f, 1);
    assert_string_equal(claim(f, (struct oxbow_claim_options){.min_idle_ms = 1000}, ID(1, 0)),
                        "1-0{f=1}");
    assert_memory_equal(row(f, ID(1, 0)).consumer.data, "eve", 3);
    assert_int_equal(row(f, ID(1, 0)).deliveries, 2);
    assert_int_equal(row(f, ID(1, 0)).idle_ms, 0);
    assert_int_equal(row(f, ID(2, 0)).idle_ms, 1000);
}

static void idle_time_and_count_can_be_told(void **state)
{
    struct streams *f = *state;
    struct oxbow_claim_options opt = {.has_idle = true, .idle_ms = 77};

    setup(f);
    claim(f, opt, ID(1, 0));
    assert_int_equal(row(f, ID(1, 0)).idle_ms, 77);
    opt = (struct oxbow_claim_options){
        .has_time = true, .time_ms = f->rig.wall_ms - 88, .has_deliveries = true, .deliveries = 9};
    claim(f, opt, ID(1, 0));
    assert_int_equal(row(f, ID(1, 0)).idle_ms, 88);
    assert_int_equal(row(f, ID(1, 0)).deliveries, 9);
    opt.time_ms = f->rig.wall_ms + 1; /* in the future: now */
    claim(f, opt, ID(1, 0));
    assert_int_equal(row(f, ID(1, 0)).idle_ms, 0);
    opt.has_idle = true;
    assert_err(oxbow_group_claim(f->txn, g(), BYTES("eve"), &opt, &f->result), OXBOW_EINVAL);
    opt = (struct oxbow_claim_options){.has_deliveries = true, .deliveries = (uint64_t)1 << 48};
    assert_err(oxbow_group_claim(f->txn, g(), BYTES("eve"), &opt, &f->result), OXBOW_EINVAL);
    opt.deliveries--;
    claim(f, opt, ID(1, 0));
    assert_int_equal(row(f, ID(1, 0)).deliveries, ((uint64_t)1 << 48) - 1);
}

static void just_ids_counts_no_delivery(void **state)
{
    struct streams *f = *state;

    setup(f);
    assert_string_equal(claim(f, (struct oxbow_claim_options){.just_id = true}, ID(2, 0)), "2-0{}");
    assert_int_equal(row(f, ID(2, 0)).deliveries, 1);
}

static void force_makes_pending_what_was_not(void **state)
{
    struct streams *f = *state;

    setup(f);
    streams_fill(f, "t", 1);
    assert_ok(streams_put(f, "s", ID(9, 0), "9"));
    assert_string_equal(claim(f, (struct oxbow_claim_options){0}, ID(9, 0)), "");
    assert_string_equal(claim(f, (struct oxbow_claim_options){.force = true}, ID(9, 0)),
                        "9-0{f=9}");
    assert_string_equal(claim(f, (struct oxbow_claim_options){.force = true}, ID(8, 0)), "");
}

static void a_deleted_entry_is_dropped_by_a_claim(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {2, 0};
    struct oxbow_pending_summary sum;

    setup(f);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_string_equal(claim(f, (struct oxbow_claim_options){.min_idle_ms = 5000}, id), "");
    assert_ok(oxbow_group_pending_summary(f->txn, g(), &sum));
    assert_int_equal(sum.count, 2);
}

static void last_id_only_rises(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_info info;

    setup(f);
    claim(f, (struct oxbow_claim_options){.has_last_id = true, .last_id = {1, 0}}, ID(1, 0));
    assert_ok(oxbow_group_info(f->txn, g(), &info));
    assert_id(info.last_id, "3-0");
    claim(f, (struct oxbow_claim_options){.has_last_id = true, .last_id = {5, 0}}, ID(7, 0));
    assert_ok(oxbow_group_info(f->txn, g(), &info));
    assert_id(info.last_id, "5-0");
}

static void an_autoclaim_goes_on_where_it_stopped(void **state)
{
    struct streams *f = *state;
    struct oxbow_autoclaim_options opt = {.count = 2};
    struct oxbow_id next, id = {3, 0};

    setup(f);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_ok(oxbow_group_autoclaim(f->txn, g(), BYTES("eve"), &opt, &f->result, &next));
    assert_string_equal(streams_entries(&f->result), "1-0{f=1} 2-0{f=2}");
    assert_id(next, "3-0");
    opt.start = next;
    assert_ok(oxbow_group_autoclaim(f->txn, g(), BYTES("eve"), &opt, &f->result, &next));
    assert_string_equal(streams_entries(&f->result), "3-0!");
    assert_id(next, "0-0");
}

static void an_autoclaim_looks_at_ten_times_its_count(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_autoclaim_options opt = {.count = 3, .min_idle_ms = 1};
    struct oxbow_id next;

    assert_ok(oxbow_group_create(f->txn, g(), &create));
    streams_fill(f, "s", 100);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), NULL, &f->result));
    assert_ok(oxbow_group_autoclaim(f->txn, g(), BYTES("eve"), &opt, &f->result, &next));
    assert_int_equal(f->result.entry_count, 0);
    assert_id(next, "31-0");
}

static void claiming_needs_a_group(void **state)
{
    struct streams *f = *state;
    struct oxbow_claim_options opt = {0};
    struct oxbow_autoclaim_options autoclaim = {0};
    struct oxbow_id next;

    assert_err(oxbow_group_claim(f->txn, g(), BYTES("eve"), &opt, &f->result), OXBOW_ENOGROUP);
    streams_fill(f, "s", 1);
    assert_err(oxbow_group_claim(f->txn, g(), BYTES("eve"), &opt, &f->result), OXBOW_ENOGROUP);
    assert_err(oxbow_group_autoclaim(f->txn, g(), BYTES("eve"), &autoclaim, &f->result, &next),
               OXBOW_ENOGROUP);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(only_what_was_idle_long_enough_is_claimed),
        T(idle_time_and_count_can_be_told),
        T(just_ids_counts_no_delivery),
        T(force_makes_pending_what_was_not),
        T(a_deleted_entry_is_dropped_by_a_claim),
        T(last_id_only_rises),
        T(an_autoclaim_goes_on_where_it_stopped),
        T(an_autoclaim_looks_at_ten_times_its_count),
        T(claiming_needs_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
