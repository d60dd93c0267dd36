/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes KEY = {"s", 1};

static struct oxbow_stream_info info(struct streams *f)
{
    struct oxbow_stream_info info;

    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    return info;
}

static uint64_t del(struct streams *f, struct oxbow_id id)
{
    uint64_t removed = 99;

    assert_ok(oxbow_stream_delete(f->txn, KEY, &id, 1, &removed));
    return removed;
}

static void a_deleted_entry_is_gone_and_counted_once(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[] = {{2, 0}, {9, 9}, {2, 0}};
    uint64_t removed;

    assert_int_equal(del(f, ID(1, 0)), 0);
    streams_fill(f, "s", 3);
    assert_ok(oxbow_stream_delete(f->txn, KEY, ids, 3, &removed));
    assert_int_equal(removed, 1);
    assert_string_equal(streams_all(f, "s"), "1-0{f=1} 3-0{f=3}");
    assert_int_equal(info(f).length, 2);
    assert_id(info(f).max_deleted_id, "2-0");
}

static void the_first_id_follows_deletions(void **state)
{
    struct streams *f = *state;

    streams_fill(f, "s", 4);
    assert_int_equal(del(f, ID(2, 0)), 1);
    assert_id(info(f).recorded_first_id, "1-0");
    assert_int_equal(del(f, ID(1, 0)), 1);
    assert_id(info(f).recorded_first_id, "3-0");
    assert_id(info(f).max_deleted_id, "2-0");
}

static void deleting_everything_leaves_no_chunks(void **state)
{
    struct streams *f = *state;
    uint64_t i;

    streams_fill(f, "s", 2000);
    assert_true(info(f).chunks > 1);
    for (i = 2000; i > 0; i--) {
        assert_int_equal(del(f, ID(i, 0)), 1);
    }
    assert_int_equal(info(f).chunks, 0);
    assert_int_equal(info(f).bytes, 0);
    assert_string_equal(streams_all(f, "s"), "");
    assert_ok(streams_put(f, "s", ID(2001, 0), "on"));
    assert_string_equal(streams_all(f, "s"), "2001-0{f=on}");
}

static enum oxbow_err set_id(struct streams *f, struct oxbow_stream_set_id_options opt)
{
    return oxbow_stream_set_id(f->txn, KEY, &opt);
}

static void the_last_id_can_be_set_but_not_below_what_is_there(void **state)
{
    struct streams *f = *state;

    assert_err(set_id(f, (struct oxbow_stream_set_id_options){.last_id = {5, 0}}), OXBOW_ENOENT);
    streams_fill(f, "s", 3);
    assert_err(set_id(f, (struct oxbow_stream_set_id_options){.last_id = {2, 9}}), OXBOW_EIDSMALL);
    assert_ok(set_id(f, (struct oxbow_stream_set_id_options){.last_id = {3, 0}}));
    assert_ok(set_id(f, (struct oxbow_stream_set_id_options){.last_id = {9, 0}}));
    assert_err(streams_put(f, "s", ID(9, 0), "x"), OXBOW_EIDORDER);
    assert_int_equal(del(f, ID(3, 0)), 1);
    assert_err(set_id(f, (struct oxbow_stream_set_id_options){.last_id = {2, 9}}),
               OXBOW_EIDDELETED);
}

static void counters_set_by_hand_must_make_sense(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_set_id_options opt = {
        .last_id = {5, 0}, .has_entries_added = true, .entries_added = 2};

    streams_fill(f, "s", 3);
    assert_err(set_id(f, opt), OXBOW_EADDEDSMALL);
    opt.entries_added = 3;
    assert_ok(set_id(f, opt));
    opt.has_max_deleted_id = true;
    opt.max_deleted_id = ID(5, 1);
    assert_err(set_id(f, opt), OXBOW_EIDGIVEN);
    opt.max_deleted_id = ID(4, 0);
    assert_ok(set_id(f, opt));
    assert_id(info(f).max_deleted_id, "4-0");
    opt.max_deleted_id = OXBOW_ID_MIN;
    assert_ok(set_id(f, opt));
    assert_id(info(f).max_deleted_id, "4-0");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(a_deleted_entry_is_gone_and_counted_once),
        T(the_first_id_follows_deletions),
        T(deleting_everything_leaves_no_chunks),
        T(the_last_id_can_be_set_but_not_below_what_is_there),
        T(counters_set_by_hand_must_make_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
