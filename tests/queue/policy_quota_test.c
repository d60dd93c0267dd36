/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that drop the oldest, in a store that is full. */
#include "tests/queue/fixture.h"

#include "oxbow/forward.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <stdlib.h>

#define QUOTA   (2u << 20)
#define PAYLOAD 300u

static const struct oxbow_policy ring = {.on_full = OXBOW_POLICY_DROP_OLDEST};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    struct oxbow_config config = {
        .sync = OXBOW_SYNC_INTERVAL, .quota_bytes = QUOTA, .memtable_bytes = 256u << 10};

    assert_non_null(f);
    fixture_init(f, &config);
    fixture_begin(f);
    *state = f;
    return 0;
}

static enum oxbow_err add(struct fixture *f, const char *name, size_t len, uint64_t ttl_ms)
{
    static char payload[256u << 10];
    const struct oxbow_stream_add_options opt = {.ttl_ms = ttl_ms};
    const struct oxbow_field field = {bytes_of("v"), {payload, len}};

    return oxbow_stream_add(f->txn, bytes_of(name), &opt, &field, 1, NULL);
}

static void next_txn(struct fixture *f)
{
    fixture_commit(f);
    fixture_begin(f);
}

/* After a checkpoint the account is exact. */
static void checkpoint(struct fixture *f)
{
    fixture_commit(f);
    assert_ok(oxbow_flush(f->db));
    fixture_begin(f);
}

static void fill(struct fixture *f, const char *name, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        assert_ok(add(f, name, PAYLOAD, 0));
        if (i % 50 == 0) {
            next_txn(f);
        }
    }
}

static void set(struct fixture *f, const char *name)
{
    assert_ok(oxbow_policy_set(f->txn, bytes_of(name), &ring));
}

static uint64_t entries(struct fixture *f, const char *name)
{
    struct oxbow_policy_info i;

    assert_ok(oxbow_policy_info(f->txn, bytes_of(name), &i));
    return i.entries;
}

static struct oxbow_drops drops(struct fixture *f, const char *name)
{
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(f->txn, bytes_of(name), OXBOW_DROP_QUOTA, &d));
    return d;
}

/* A queue that refuses takes what is left of the store. */
static uint64_t take_the_rest(struct fixture *f, const char *name)
{
    uint64_t taken = 0;
    unsigned refused = 0;

    while (refused < 3) {
        enum oxbow_err err = add(f, name, PAYLOAD, 0);

        if (err == OXBOW_EQUOTA) {
            refused++;
            checkpoint(f);
        } else {
            assert_ok(err);
            taken++;
        }
        if (taken % 50 == 0) {
            next_txn(f);
        }
    }
    return taken;
}

static void a_full_store_makes_a_ring_of_what_drops_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    size_t count;
    uint64_t sum = 0;

    set(f, "ring");
    fill(f, "ring", 30000); /* four times the quota */
    assert_int_equal(entries(f, "ring") + drops(f, "ring").entries, 30000);
    assert_true(entries(f, "ring") * PAYLOAD > QUOTA * 6 / 10);
    assert_ok(oxbow_policy_gaps(f->txn, bytes_of("ring"), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX,
                                &count));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(gaps[i].entries, gaps[i].by_cause[OXBOW_DROP_QUOTA - 1]);
        sum += gaps[i].entries;
    }
    assert_int_equal(sum, drops(f, "ring").entries);
    assert_true(drops(f, "ring").bytes >= sum * PAYLOAD);
    assert_ok(oxbow_stream_read(f->txn, bytes_of("ring"), OXBOW_ID_MIN, 1, &f->result));
    assert_int_equal(f->result.missed, sum);
    assert_true(drops(f, "ring").to.ms < f->result.entries[0].id.ms ||
                drops(f, "ring").to.seq < f->result.entries[0].id.seq);
}

static void what_has_nothing_to_give_up_finds_room_beside_it(void **state)
{
    struct fixture *f = *state;

    set(f, "ring");
    fill(f, "ring", 10000);
    assert_true(drops(f, "ring").entries > 0);
    checkpoint(f);
    assert_ok(add(f, "alarms", PAYLOAD, 0));
}

/* How much it holds while so many more are added, by half of them with names, some with a time to live
 * that none of them sees. A ring swings by what is dropped from one checkpoint to the next. */
static uint64_t mean_bytes(struct fixture *f, const char *name, unsigned from, unsigned count)
{
    uint64_t sum = 0;

    for (unsigned i = from; i < from + count; i++) {
        const struct oxbow_field field = {bytes_of("v"), bytes_of("once")};
        struct oxbow_policy_info info;
        struct oxbow_once_outcome out;
        char id[16];

        snprintf(id, sizeof id, "%u", i);
        assert_ok(i % 2 == 0
                      ? add(f, name, PAYLOAD, i % 20 == 0 ? 1000000 : 0)
                      : oxbow_once_add(f->txn, bytes_of(name),
                                       &(struct oxbow_once){.id = bytes_of(id)}, &field, 1, &out));
        assert_ok(oxbow_policy_info(f->txn, bytes_of(name), &info));
        sum += info.bytes;
        if (i % 50 == 0) {
            next_txn(f);
        }
    }
    return sum / count;
}

static void it_goes_on_in_a_store_that_others_have_filled(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_policy remembers = {.on_full = OXBOW_POLICY_DROP_OLDEST, .dedupe_count = 16};
    struct oxbow_policy_info before, after;

    assert_ok(oxbow_policy_set(f->txn, bytes_of("ring"), &remembers));
    fill(f, "ring", 1000);
    assert_int_equal(drops(f, "ring").entries, 0);
    assert_true(take_the_rest(f, "other") > 1000);
    assert_ok(oxbow_policy_info(f->txn, bytes_of("ring"), &before));
    for (unsigned part = 0; part < 3;
         part++) { /* thirty times what it holds, and it does not shrink */
        assert_in_range(mean_bytes(f, "ring", part * 10000, 10000), before.bytes / 4, before.bytes);
    }
    assert_ok(oxbow_policy_info(f->txn, bytes_of("ring"), &after));
    assert_true(after.bytes <= before.bytes);
    assert_int_equal(after.entries + drops(f, "ring").entries, 31000);
    assert_int_equal(entries(f, "ring"), after.entries);
}

static void what_it_cannot_hold_drops_nothing(void **state)
{
    struct fixture *f = *state;
    struct oxbow_policy small = {.on_full = OXBOW_POLICY_DROP_OLDEST, .max_bytes = 4000};

    set(f, "ring");
    assert_ok(oxbow_policy_set(f->txn, bytes_of("small"), &small));
    fill(f, "ring", 10);
    fill(f, "small", 5);
    (void)take_the_rest(f, "other");
    assert_err(add(f, "ring", 200000, 0), OXBOW_EQUOTA);
    assert_err(add(f, "ring", 100000, 0), OXBOW_EQUOTA);
    assert_err(add(f, "small", 100000, 0), OXBOW_EQUOTA);
    assert_int_equal(drops(f, "ring").entries + drops(f, "small").entries, 0);
    assert_int_equal(entries(f, "ring"), 10);
    assert_int_equal(entries(f, "small"), 5);
}

static void the_forward_wins_and_is_named(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_forward_options opt = {
        .key = bytes_of("ring"), .type = OXBOW_TYPE_STREAM, .target = bytes_of("t")};
    struct oxbow_policy_info info;
    struct oxbow_stream_info s;
    bool more;

    set(f, "ring");
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    fill(f, "ring", 1000);
    (void)take_the_rest(f, "other");
    assert_err(add(f, "ring", PAYLOAD, 0), OXBOW_EQUOTA);
    assert_int_equal(entries(f, "ring"), 1000);
    assert_ok(oxbow_policy_info(f->txn, bytes_of("ring"), &info));
    assert_string_equal(info.held_by, "up");
    assert_ok(oxbow_stream_info(f->txn, bytes_of("ring"), &s));
    assert_ok(oxbow_forward_confirmed(f->txn, "up", s.last_id, &more));
    next_txn(f);
    for (unsigned i = 0; i < 20 && add(f, "ring", PAYLOAD, 0) == OXBOW_EQUOTA; i++) {
        checkpoint(f);
    }
    assert_ok(add(f, "ring", PAYLOAD, 0));
}

static void lists_are_rings_too(void **state)
{
    struct fixture *f = *state;
    static char payload[PAYLOAD];
    struct oxbow_bytes value = {payload, sizeof payload};
    uint64_t len = 0;

    set(f, "ring");
    for (unsigned i = 1; i <= 30000; i++) {
        memcpy(payload, &i, sizeof i);
        assert_ok(oxbow_list_push(f->txn, bytes_of("ring"), OXBOW_LEFT, &value, 1, &len));
        if (i % 50 == 0) {
            next_txn(f);
        }
    }
    assert_true(len * PAYLOAD > QUOTA * 6 / 10);
    assert_int_equal(len + drops(f, "ring").entries, 30000);
    assert_int_equal(drops(f, "ring").from.seq, 1);
    assert_int_equal(drops(f, "ring").to.seq, drops(f, "ring").entries);
    assert_ok(oxbow_list_index(f->txn, bytes_of("ring"), -1, &f->result));
    unsigned oldest;
    memcpy(&oldest, f->result.items[0].data, sizeof oldest);
    assert_int_equal(oldest, drops(f, "ring").entries + 1);
}

static void an_abort_brings_back_and_a_reopening_keeps(void **state)
{
    struct fixture *f = *state;
    uint64_t had;

    set(f, "ring");
    fill(f, "ring", 10000);
    had = drops(f, "ring").entries;
    for (unsigned i = 0; i < 5000 && drops(f, "ring").entries == had; i++) {
        assert_ok(add(f, "ring", PAYLOAD, 0)); /* a checkpoint may have made room for some */
    }
    assert_true(drops(f, "ring").entries > had);
    fixture_abort(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(drops(f, "ring").entries, had);
    assert_int_equal(entries(f, "ring") + had, 10000);
    fill(f, "ring", 1000);
    assert_int_equal(entries(f, "ring") + drops(f, "ring").entries, 11000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_full_store_makes_a_ring_of_what_drops_the_oldest),
        T(what_has_nothing_to_give_up_finds_room_beside_it),
        T(it_goes_on_in_a_store_that_others_have_filled),
        T(what_it_cannot_hold_drops_nothing),
        T(the_forward_wins_and_is_named),
        T(lists_are_rings_too),
        T(an_abort_brings_back_and_a_reopening_keeps),
    };

    return cmocka_run_group_tests_name("policy_quota", tests, NULL, NULL);
}
