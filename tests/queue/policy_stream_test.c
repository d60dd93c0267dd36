/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "oxbow/forward.h"
#include "oxbow/group.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <stdlib.h>

static struct oxbow_bytes key(void)
{
    return bytes_of("s");
}

static enum oxbow_err add(struct fixture *f, uint64_t id, const char *value)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {id, 0}};
    const struct oxbow_field field = {bytes_of("v"), bytes_of(value)};

    return oxbow_stream_add(f->txn, key(), &opt, &field, 1, NULL);
}

static void set(struct fixture *f, struct oxbow_policy p)
{
    assert_ok(oxbow_policy_set(f->txn, key(), &p));
}

static struct oxbow_stream_info info(struct fixture *f)
{
    struct oxbow_stream_info i = {0};
    enum oxbow_err err = oxbow_stream_info(f->txn, key(), &i);

    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    return i;
}

static uint64_t dropped(struct fixture *f, enum oxbow_drop_cause cause)
{
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(f->txn, key(), cause, &d));
    return d.entries;
}

static void the_oldest_make_room_exactly_to_the_entry(void **state)
{
    struct fixture *f = *state;
    struct oxbow_drops d;

    set(f, (struct oxbow_policy){.max_entries = 5, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 500; i++) {
        assert_ok(add(f, i, "x"));
        assert_int_equal(info(f).length, i < 5 ? i : 5);
    }
    assert_int_equal(info(f).recorded_first_id.ms, 496);
    assert_ok(oxbow_policy_drops(f->txn, key(), OXBOW_DROP_LENGTH, &d));
    assert_int_equal(d.entries, 495);
    assert_int_equal(d.first.ms, 1);
    assert_int_equal(d.from.ms, 1);
    assert_int_equal(d.to.ms, 495);
    assert_true(d.bytes > 0);
    assert_int_equal(dropped(f, OXBOW_DROP_BYTES), 0);
}

static void bytes_are_kept_to_the_entry(void **state)
{
    struct fixture *f = *state;
    char value[3000];
    uint64_t most = 0;

    set(f, (struct oxbow_policy){.max_bytes = 20000, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 600; i++) {
        size_t len = i * 37 % sizeof value;

        memset(value, 'x', len);
        value[len] = '\0';
        assert_ok(add(f, i, value));
        assert_true(info(f).bytes <= 20000);
        most = info(f).bytes > most ? info(f).bytes : most;
    }
    assert_true(most > 20000 - 3100);
    assert_int_equal(dropped(f, OXBOW_DROP_BYTES) + info(f).length, 600);
}

static void a_full_stream_refuses_and_goes_on_as_soon_as_there_is_room(void **state)
{
    struct fixture *f = *state;
    uint64_t removed;

    set(f, (struct oxbow_policy){.max_entries = 3});
    for (unsigned i = 1; i <= 3; i++) {
        assert_ok(add(f, i, "x"));
    }
    assert_err(add(f, 4, "x"), OXBOW_EFULL);
    assert_int_equal(info(f).length, 3);
    assert_int_equal(info(f).last_id.ms, 3);
    assert_ok(oxbow_stream_delete(f->txn, key(), (struct oxbow_id[]){{2, 0}}, 1, &removed));
    assert_ok(add(f, 4, "x"));
    assert_err(add(f, 5, "x"), OXBOW_EFULL);
    assert_ok(oxbow_key_delete(f->txn, key(), NULL));
    assert_ok(add(f, 5, "x"));
    fixture_commit(f); /* a refusal leaves the transaction usable */
    fixture_begin(f);
}

static void bytes_are_refused_only_when_they_do_not_fit(void **state)
{
    struct fixture *f = *state;
    uint64_t one;

    assert_ok(add(f, 1, "0123456789"));
    assert_ok(add(f, 2, "0123456789"));
    one = info(f).bytes;
    assert_ok(add(f, 3, "0123456789"));
    one = info(f).bytes - one; /* of an entry whose names are known */
    set(f, (struct oxbow_policy){.max_bytes = info(f).bytes + one});
    assert_ok(add(f, 4, "0123456789"));
    assert_err(add(f, 5, ""), OXBOW_EFULL);
    set(f, (struct oxbow_policy){.max_bytes = info(f).bytes + one - 1});
    assert_err(add(f, 5, "0123456789"), OXBOW_EFULL);
    assert_ok(add(f, 5, "012345678"));
    assert_int_equal(info(f).length, 5);
}

static void an_entry_over_the_limit_drops_nothing(void **state)
{
    struct fixture *f = *state;
    char value[400] = {0};

    memset(value, 'x', sizeof value - 1);
    set(f, (struct oxbow_policy){.max_bytes = 200, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(add(f, 1, "x"));
    assert_err(add(f, 2, value), OXBOW_ETOOBIG);
    assert_int_equal(info(f).length, 1);
    assert_ok(add(f, 2, "y"));
}

static void what_all_groups_have_acked_makes_room(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_group a = {key(), bytes_of("a")};
    const struct oxbow_group b = {key(), bytes_of("b")};
    const struct oxbow_group_create_options from_start = {.make_stream = true};
    struct oxbow_id ids[] = {{1, 0}, {2, 0}};
    uint64_t acked;

    set(f, (struct oxbow_policy){.max_entries = 3});
    assert_ok(oxbow_group_create(f->txn, a, &from_start));
    assert_ok(oxbow_group_create(f->txn, b, &from_start));
    for (unsigned i = 1; i <= 3; i++) {
        assert_ok(add(f, i, "x"));
    }
    assert_ok(oxbow_group_read(f->txn, a, bytes_of("c"), NULL, &f->result));
    assert_ok(oxbow_group_read(f->txn, b, bytes_of("c"), NULL, &f->result));
    assert_ok(oxbow_group_ack(f->txn, a, ids, 2, &acked));
    assert_err(add(f, 4, "x"), OXBOW_EFULL); /* the other group still needs it */
    assert_ok(oxbow_group_ack(f->txn, b, ids, 1, &acked));
    assert_ok(add(f, 4, "x"));
    assert_err(add(f, 5, "x"), OXBOW_EFULL);
    assert_int_equal(info(f).recorded_first_id.ms, 2);
    assert_int_equal(dropped(f, OXBOW_DROP_DELIVERED), 1);
    assert_ok(oxbow_group_ack(f->txn, b, ids + 1, 1, &acked));
    assert_ok(add(f, 5, "x"));
}

static void a_lowered_limit_is_reached_in_steps(void **state)
{
    struct fixture *f = *state;
    unsigned adds = 0;

    for (unsigned i = 1; i <= 10000; i++) {
        assert_ok(add(f, i, "x"));
    }
    set(f, (struct oxbow_policy){.max_entries = 10, .on_full = OXBOW_POLICY_DROP_OLDEST});
    while (info(f).length > 10) {
        assert_ok(add(f, 10001 + adds++, "x"));
        assert_true(adds <= 3);
    }
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 9990 + adds);
}

static void a_reader_is_told_what_it_missed(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_group g = {key(), bytes_of("g")};
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    size_t count;

    assert_ok(add(f, 1, "x"));
    assert_ok(oxbow_group_create(f->txn, g, &(struct oxbow_group_create_options){.at_end = false}));
    set(f, (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 2; i <= 7; i++) {
        assert_ok(add(f, i, "x"));
    }
    assert_ok(oxbow_stream_read(f->txn, key(), (struct oxbow_id){0, 0}, 0, &f->result));
    assert_int_equal(f->result.entry_count, 2);
    assert_int_equal(f->result.missed, 5);
    assert_ok(oxbow_stream_read(f->txn, key(), (struct oxbow_id){5, 0}, 0, &f->result));
    assert_int_equal(f->result.missed, 0);
    assert_ok(oxbow_group_read(f->txn, g, bytes_of("c"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 2);
    assert_int_equal(f->result.missed, 5);
    assert_ok(oxbow_group_read(f->txn, g, bytes_of("c"), NULL, &f->result));
    assert_int_equal(f->result.missed, 0);
    assert_ok(oxbow_policy_gaps(f->txn, key(), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count));
    assert_int_equal(count, 1);
    assert_int_equal(gaps[0].from.ms, 1);
    assert_int_equal(gaps[0].to.ms, 5);
    assert_int_equal(gaps[0].entries, 5);
    assert_int_equal(gaps[0].by_cause[OXBOW_DROP_LENGTH - 1], 5);
    assert_ok(oxbow_policy_gaps(f->txn, key(), (struct oxbow_id){5, 0}, gaps, 1, &count));
    assert_int_equal(count, 0);
}

static void gaps_stay_few_and_sum_up(void **state)
{
    struct fixture *f = *state;
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    uint64_t sum = 0;
    size_t count;

    set(f, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 12001; i++) {
        assert_ok(add(f, i, "x"));
    }
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_ok(oxbow_policy_gaps(f->txn, key(), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count));
    assert_in_range(count, 10, OXBOW_DROP_GAPS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(gaps[i].from.ms == (i == 0 ? 1 : gaps[i - 1].to.ms + 1));
        assert_int_equal(gaps[i].to.ms - gaps[i].from.ms + 1, gaps[i].entries);
        sum += gaps[i].entries;
    }
    assert_int_equal(sum, 12000);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 12000);
}

static void a_dropped_entry_comes_back_with_an_abort(void **state)
{
    struct fixture *f = *state;

    set(f, (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(add(f, 1, "x"));
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(add(f, 2, "x"));
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 1);
    fixture_abort(f);
    fixture_begin(f);
    assert_int_equal(info(f).recorded_first_id.ms, 1);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_oldest_make_room_exactly_to_the_entry),
        T(bytes_are_kept_to_the_entry),
        T(a_full_stream_refuses_and_goes_on_as_soon_as_there_is_room),
        T(bytes_are_refused_only_when_they_do_not_fit),
        T(an_entry_over_the_limit_drops_nothing),
        T(what_all_groups_have_acked_makes_room),
        T(a_lowered_limit_is_reached_in_steps),
        T(a_reader_is_told_what_it_missed),
        T(gaps_stay_few_and_sum_up),
        T(a_dropped_entry_comes_back_with_an_abort),
    };

    return cmocka_run_group_tests_name("policy_stream", tests, NULL, NULL);
}
