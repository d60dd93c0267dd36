/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/stream.h"

#include <stdlib.h>

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

static enum oxbow_err create(struct streams *f, struct oxbow_group_create_options opt)
{
    return oxbow_group_create(f->txn, g(), &opt);
}

static struct oxbow_group_info info(struct streams *f)
{
    struct oxbow_group_info info;

    assert_ok(oxbow_group_info(f->txn, g(), &info));
    return info;
}

static void a_group_needs_a_stream_or_makes_one(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;
    uint64_t len;

    assert_err(create(f, (struct oxbow_group_create_options){.at_end = true}), OXBOW_ENOENT);
    assert_ok(oxbow_key_type(f->txn, BYTES("s"), &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    assert_ok(create(f, (struct oxbow_group_create_options){.make_stream = true}));
    assert_ok(oxbow_stream_len(f->txn, BYTES("s"), &len));
    assert_int_equal(len, 0);
    assert_err(create(f, (struct oxbow_group_create_options){.make_stream = true}),
               OXBOW_EBUSYGROUP);
}

static void a_group_begins_at_an_id_or_at_the_end(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options opt = {.id = {2, 0}};

    streams_fill(f, "s", 4);
    assert_ok(create(f, opt));
    assert_id(info(f).last_id, "2-0");
    assert_false(info(f).has_entries_read);
    opt.at_end = true;
    opt.has_entries_read = true;
    opt.entries_read = 4;
    assert_ok(oxbow_group_set_id(f->txn, g(), &opt));
    assert_id(info(f).last_id, "4-0");
    assert_int_equal(info(f).entries_read, 4);
    assert_true(info(f).has_lag);
    assert_int_equal(info(f).lag, 0);
    opt.entries_read = (uint64_t)INT64_MAX + 1;
    assert_err(oxbow_group_set_id(f->txn, g(), &opt), OXBOW_EINVAL);
    assert_err(oxbow_group_create(f->txn, group_of("s", "h"), &opt), OXBOW_EINVAL);
}

static void what_needs_a_group_says_that_there_is_none(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options opt = {0};
    struct oxbow_consumer_info consumer;
    struct oxbow_group_info group;
    bool flag = true;

    assert_err(oxbow_group_set_id(f->txn, g(), &opt), OXBOW_ENOENT);
    assert_err(oxbow_group_destroy(f->txn, g(), &flag), OXBOW_ENOENT);
    assert_err(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), &flag), OXBOW_ENOENT);
    assert_err(oxbow_group_consumer_delete(f->txn, g(), BYTES("c"), NULL), OXBOW_ENOENT);
    assert_err(oxbow_group_info(f->txn, g(), &group), OXBOW_ENOENT);
    assert_err(oxbow_group_list(f->txn, BYTES("s"), &f->result), OXBOW_ENOENT);
    streams_fill(f, "s", 1);
    assert_err(oxbow_group_set_id(f->txn, g(), &opt), OXBOW_ENOGROUP);
    assert_ok(oxbow_group_destroy(f->txn, g(), &flag));
    assert_false(flag);
    assert_err(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), &flag), OXBOW_ENOGROUP);
    assert_err(oxbow_group_consumer_delete(f->txn, g(), BYTES("c"), NULL), OXBOW_ENOGROUP);
    assert_err(oxbow_group_info(f->txn, g(), &group), OXBOW_ENOGROUP);
    assert_ok(create(f, opt));
    assert_err(oxbow_group_consumer_info(f->txn, g(), BYTES("c"), &consumer), OXBOW_ENOENT);
}

static void consumers_are_made_once_and_leave_with_what_they_had(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.count = 2};
    uint64_t pending;
    bool made;

    streams_fill(f, "s", 3);
    assert_ok(create(f, (struct oxbow_group_create_options){0}));
    assert_ok(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), &made));
    assert_true(made);
    assert_ok(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), &made));
    assert_false(made);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), &opt, &f->result));
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("d"), &opt, &f->result));
    assert_int_equal(info(f).consumers, 2);
    assert_int_equal(info(f).pending, 3);
    assert_ok(oxbow_group_consumer_delete(f->txn, g(), BYTES("c"), &pending));
    assert_int_equal(pending, 2);
    assert_int_equal(info(f).consumers, 1);
    assert_int_equal(info(f).pending, 1);
    assert_ok(oxbow_group_consumer_delete(f->txn, g(), BYTES("c"), &pending));
    assert_int_equal(pending, 0);
}

static void a_destroyed_group_leaves_nothing_to_its_successor(void **state)
{
    struct streams *f = *state;
    bool existed;

    streams_fill(f, "s", 3);
    assert_ok(create(f, (struct oxbow_group_create_options){0}));
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result));
    assert_int_equal(info(f).pending, 3);
    assert_ok(oxbow_group_destroy(f->txn, g(), &existed));
    assert_true(existed);
    assert_ok(oxbow_group_list(f->txn, BYTES("s"), &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_ok(create(f, (struct oxbow_group_create_options){0}));
    assert_int_equal(info(f).pending, 0);
    assert_int_equal(info(f).consumers, 0);
}

static void groups_and_consumers_are_listed_in_the_order_of_their_names(void **state)
{
    struct streams *f = *state;
    static const char *const names[] = {"m", "", "zz", "a", "z", "aa", "mm", "b"};
    struct oxbow_group_create_options opt = {.make_stream = true};
    size_t i;

    for (i = 0; i < 8; i++) {
        assert_ok(oxbow_group_create(f->txn, group_of("s", names[i]), &opt));
        assert_ok(
            oxbow_group_consumer_create(f->txn, group_of("s", "m"), text_bytes(names[i]), NULL));
    }
    for (i = 0; i < 2; i++) {
        static const char *const want[] = {"", "a", "aa", "b", "m", "mm", "z", "zz"};
        size_t k;

        if (i == 0) {
            assert_ok(oxbow_group_list(f->txn, BYTES("s"), &f->result));
        } else {
            assert_ok(oxbow_group_consumers(f->txn, group_of("s", "m"), &f->result));
        }
        assert_int_equal(f->result.item_count, 8);
        for (k = 0; k < 8; k++) {
            assert_int_equal(f->result.items[k].len, strlen(want[k]));
            assert_memory_equal(f->result.items[k].data, want[k], strlen(want[k]));
        }
    }
}

static void names_may_be_long_but_not_too_long(void **state)
{
    struct streams *f = *state;
    char *name = calloc(1, OXBOW_GROUP_NAME_MAX + 1);
    struct oxbow_group long_one = {BYTES("s"), {name, OXBOW_GROUP_NAME_MAX}};
    struct oxbow_group_create_options opt = {.make_stream = true};
    bool made;

    assert_non_null(name);
    assert_ok(oxbow_group_create(f->txn, long_one, &opt));
    assert_ok(oxbow_group_consumer_create(f->txn, long_one, long_one.name, &made));
    streams_reopen(f);
    assert_err(oxbow_group_create(f->txn, long_one, &opt), OXBOW_EBUSYGROUP);
    assert_ok(oxbow_group_consumer_create(f->txn, long_one, long_one.name, &made));
    assert_false(made);
    assert_ok(oxbow_group_consumers(f->txn, long_one, &f->result));
    assert_int_equal(f->result.items[0].len, OXBOW_GROUP_NAME_MAX);
    assert_err(oxbow_group_consumer_create(
                   f->txn, long_one, (struct oxbow_bytes){name, OXBOW_GROUP_NAME_MAX + 1}, &made),
               OXBOW_EINVAL);
    long_one.name.len++;
    assert_err(oxbow_group_create(f->txn, long_one, &opt), OXBOW_EINVAL);
    free(name);
}

static uint32_t dead_groups(struct streams *f)
{
    struct stream s;

    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    return s.groups_dead;
}

static void what_a_large_group_leaves_behind_goes_in_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options opt = {.make_stream = true};
    bool existed;
    int i;

    assert_ok(create(f, opt));
    for (i = 0; i < 5000; i++) {
        char name[16];

        snprintf(name, sizeof name, "c%d", i);
        assert_ok(oxbow_group_consumer_create(f->txn, g(), text_bytes(name), NULL));
    }
    assert_ok(oxbow_group_destroy(f->txn, g(), &existed));
    assert_int_equal(dead_groups(f), 1);
    streams_reopen(f);
    for (i = 0; i < 40 && dead_groups(f) > 0; i++) {
        assert_ok(create(f, opt));
        assert_int_equal(info(f).consumers, 0);
        assert_ok(oxbow_group_destroy(f->txn, g(), &existed));
    }
    assert_int_equal(dead_groups(f), 0);
}

static void a_reader_changes_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options opt = {.make_stream = true};
    struct oxbow_claim_options claim = {0};
    struct oxbow_autoclaim_options autoclaim = {0};
    struct oxbow_group_ack_delete_options ack = {0};
    struct oxbow_id next;
    uint64_t n;

    assert_ok(create(f, opt));
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(create(f, opt), OXBOW_EREADONLY);
    assert_err(oxbow_group_set_id(f->txn, g(), &opt), OXBOW_EREADONLY);
    assert_err(oxbow_group_destroy(f->txn, g(), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_group_consumer_create(f->txn, g(), BYTES("c"), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_group_consumer_delete(f->txn, g(), BYTES("c"), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result), OXBOW_EREADONLY);
    assert_err(oxbow_group_ack(f->txn, g(), NULL, 0, &n), OXBOW_EREADONLY);
    assert_err(oxbow_group_ack_delete(f->txn, g(), &ack, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_group_claim(f->txn, g(), BYTES("c"), &claim, &f->result), OXBOW_EREADONLY);
    assert_err(oxbow_group_autoclaim(f->txn, g(), BYTES("c"), &autoclaim, &f->result, &next),
               OXBOW_EREADONLY);
    assert_int_equal(info(f).consumers, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(a_group_needs_a_stream_or_makes_one),
        T(a_group_begins_at_an_id_or_at_the_end),
        T(what_needs_a_group_says_that_there_is_none),
        T(consumers_are_made_once_and_leave_with_what_they_had),
        T(a_destroyed_group_leaves_nothing_to_its_successor),
        T(groups_and_consumers_are_listed_in_the_order_of_their_names),
        T(names_may_be_long_but_not_too_long),
        T(what_a_large_group_leaves_behind_goes_in_steps),
        T(a_reader_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
