/* SPDX-License-Identifier: Apache-2.0 */
/* Deletions that heed groups: XDELEX and XACKDEL of Redis 8.2. */
#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes KEY = {"s", 1};

/* Entries 1 to 4; group a has read all, group b the first two. */
static void setup(struct streams *f)
{
    struct oxbow_group_create_options opt = {.make_stream = true};
    struct oxbow_group_read_options two = {.count = 2};

    streams_fill(f, "s", 4);
    assert_ok(oxbow_group_create(f->txn, group_of("s", "a"), &opt));
    assert_ok(oxbow_group_create(f->txn, group_of("s", "b"), &opt));
    assert_ok(oxbow_group_read(f->txn, group_of("s", "a"), BYTES("c"), NULL, &f->result));
    assert_ok(oxbow_group_read(f->txn, group_of("s", "b"), BYTES("c"), &two, &f->result));
}

static int del(struct streams *f, enum oxbow_refs refs, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};
    enum oxbow_delete_outcome out;

    assert_ok(oxbow_stream_delete_refs(f->txn, KEY, refs, &id, 1, &out));
    return (int)out;
}

static int ack_del(struct streams *f, const char *group, enum oxbow_refs refs, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};
    struct oxbow_group_ack_delete_options opt = {.refs = refs, .ids = &id, .count = 1};
    enum oxbow_delete_outcome out;

    assert_ok(oxbow_group_ack_delete(f->txn, group_of("s", group), &opt, &out));
    return (int)out;
}

static uint64_t pending(struct streams *f, const char *group)
{
    struct oxbow_pending_summary sum;

    assert_ok(oxbow_group_pending_summary(f->txn, group_of("s", group), &sum));
    return sum.count;
}

static void keeping_references_leaves_pending_lists_alone(void **state)
{
    struct streams *f = *state;

    assert_int_equal(del(f, OXBOW_REFS_KEEP, 1), OXBOW_DELETE_NONE);
    setup(f);
    assert_int_equal(del(f, OXBOW_REFS_KEEP, 1), OXBOW_DELETE_DONE);
    assert_int_equal(del(f, OXBOW_REFS_KEEP, 1), OXBOW_DELETE_NONE);
    assert_int_equal(pending(f, "a"), 4);
    assert_int_equal(pending(f, "b"), 2);
    assert_string_equal(streams_all(f, "s"), "2-0{f=2} 3-0{f=3} 4-0{f=4}");
}

static void deleting_references_takes_them_from_every_group(void **state)
{
    struct streams *f = *state;
    struct oxbow_consumer_info info;

    setup(f);
    assert_int_equal(del(f, OXBOW_REFS_DELETE, 1), OXBOW_DELETE_DONE);
    assert_int_equal(pending(f, "a"), 3);
    assert_int_equal(pending(f, "b"), 1);
    assert_ok(oxbow_group_consumer_info(f->txn, group_of("s", "b"), BYTES("c"), &info));
    assert_int_equal(info.pending, 1);
}

static void what_a_group_still_needs_is_left(void **state)
{
    struct streams *f = *state;

    setup(f);
    assert_int_equal(del(f, OXBOW_REFS_ACKED, 1), OXBOW_DELETE_REFERENCED);
    assert_int_equal(ack_del(f, "a", OXBOW_REFS_ACKED, 1), OXBOW_DELETE_REFERENCED);
    assert_int_equal(pending(f, "a"), 3);
    assert_int_equal(ack_del(f, "b", OXBOW_REFS_ACKED, 1), OXBOW_DELETE_DONE);
    /* Group b has not read it yet. */
    assert_int_equal(ack_del(f, "a", OXBOW_REFS_ACKED, 3), OXBOW_DELETE_REFERENCED);
    assert_string_equal(streams_all(f, "s"), "2-0{f=2} 3-0{f=3} 4-0{f=4}");
}

static void acking_and_deleting_is_one_step(void **state)
{
    struct streams *f = *state;

    assert_int_equal(ack_del(f, "a", OXBOW_REFS_KEEP, 1), OXBOW_DELETE_NONE);
    setup(f);
    assert_int_equal(ack_del(f, "a", OXBOW_REFS_KEEP, 1), OXBOW_DELETE_DONE);
    assert_int_equal(ack_del(f, "a", OXBOW_REFS_KEEP, 1), OXBOW_DELETE_NONE);
    assert_int_equal(pending(f, "a"), 3);
    assert_int_equal(pending(f, "b"), 2);
    assert_int_equal(ack_del(f, "a", OXBOW_REFS_DELETE, 2), OXBOW_DELETE_DONE);
    assert_int_equal(pending(f, "a"), 2);
    assert_int_equal(pending(f, "b"), 1);
    assert_string_equal(streams_all(f, "s"), "3-0{f=3} 4-0{f=4}");
    /* Gone from the stream but still pending in b. */
    assert_int_equal(ack_del(f, "b", OXBOW_REFS_KEEP, 1), OXBOW_DELETE_DONE);
    assert_int_equal(pending(f, "b"), 0);
}

static void references_to_what_is_gone_are_deleted_too(void **state)
{
    struct streams *f = *state;

    setup(f);
    assert_int_equal(del(f, OXBOW_REFS_KEEP, 1), OXBOW_DELETE_DONE);
    assert_int_equal(del(f, OXBOW_REFS_KEEP, 2), OXBOW_DELETE_DONE);
    assert_int_equal(del(f, OXBOW_REFS_DELETE, 1), OXBOW_DELETE_NONE);
    assert_int_equal(pending(f, "a"), 3);
    assert_int_equal(pending(f, "b"), 1);
    assert_int_equal(ack_del(f, "b", OXBOW_REFS_DELETE, 2), OXBOW_DELETE_DONE);
    assert_int_equal(pending(f, "a"), 2);
    assert_int_equal(pending(f, "b"), 0);
}

/* ---- trims ---- */

static uint64_t trim(struct streams *f, struct oxbow_stream_trim trim)
{
    uint64_t removed = 99;

    assert_ok(oxbow_stream_trim(f->txn, KEY, &trim, &removed));
    return removed;
}

static void a_trim_can_take_references_along(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_info info;

    setup(f);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 3}), 1);
    assert_int_equal(pending(f, "a"), 4);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MINID,
                                                        .minid = {4, 0},
                                                        .refs = OXBOW_REFS_DELETE}),
                     2);
    assert_int_equal(pending(f, "a"), 2); /* the first is from before */
    assert_int_equal(pending(f, "b"), 1);
    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    assert_id(info.max_deleted_id, "0-0");
    assert_id(info.recorded_first_id, "4-0");
}

static void a_trim_can_leave_what_a_group_still_needs(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_trim all = {.by = OXBOW_TRIM_MAXLEN, .refs = OXBOW_REFS_ACKED};
    struct oxbow_id ids[] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
    uint64_t removed;
    bool more;

    setup(f);
    assert_int_equal(trim(f, all), 0);
    assert_ok(oxbow_group_ack(f->txn, group_of("s", "a"), ids, 4, NULL));
    assert_int_equal(trim(f, all), 0);
    assert_ok(oxbow_group_ack(f->txn, group_of("s", "b"), ids + 1, 1, NULL));
    assert_int_equal(trim(f, all), 1);
    assert_string_equal(streams_all(f, "s"), "1-0{f=1} 3-0{f=3} 4-0{f=4}");
    assert_ok(oxbow_group_destroy(f->txn, group_of("s", "b"), NULL));
    assert_ok(oxbow_stream_trim_step(f->txn, KEY, &all, 2, &removed, &more));
    assert_int_equal(removed, 2);
    assert_true(more);
    assert_ok(oxbow_stream_trim_step(f->txn, KEY, &all, 2, &removed, &more));
    assert_int_equal(removed, 1);
    assert_false(more);
    assert_string_equal(streams_all(f, "s"), "");
    streams_reopen(f);
    assert_int_equal(trim(f, all), 0);
}

static void a_limit_is_of_what_goes(void **state)
{
    struct streams *f = *state;

    setup(f);
    assert_int_equal(trim(f, (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN,
                                                        .approx = true,
                                                        .limit = 2,
                                                        .refs = OXBOW_REFS_DELETE}),
                     2);
    assert_string_equal(streams_all(f, "s"), "3-0{f=3} 4-0{f=4}");
}

static void an_unknown_way_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {1, 0};
    struct oxbow_group_ack_delete_options opt = {.refs = (enum oxbow_refs)7, .ids = &id};
    enum oxbow_delete_outcome out;

    assert_err(oxbow_stream_delete_refs(f->txn, KEY, (enum oxbow_refs)7, &id, 1, &out),
               OXBOW_EINVAL);
    assert_err(oxbow_group_ack_delete(f->txn, group_of("s", "a"), &opt, &out), OXBOW_EINVAL);
    assert_err(oxbow_stream_trim(
                   f->txn, KEY,
                   &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .refs = (enum oxbow_refs)7},
                   NULL),
               OXBOW_EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(keeping_references_leaves_pending_lists_alone),
        T(deleting_references_takes_them_from_every_group),
        T(what_a_group_still_needs_is_left),
        T(acking_and_deleting_is_one_step),
        T(references_to_what_is_gone_are_deleted_too),
        T(a_trim_can_take_references_along),
        T(a_trim_can_leave_what_a_group_still_needs),
        T(a_limit_is_of_what_goes),
        T(an_unknown_way_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
