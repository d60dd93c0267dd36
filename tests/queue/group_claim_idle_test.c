/* SPDX-License-Identifier: Apache-2.0 */
/* What XREADGROUP ... CLAIM of Redis 8.4 takes over: the longest idle first, of whomever it is. */
#include "tests/queue/group_fixture.h"

#include <stdlib.h>

static const char *claim(struct streams *f, uint64_t min_idle_ms, uint64_t count)
{
    const struct oxbow_claim_idle_options opt = {.min_idle_ms = min_idle_ms, .count = count};

    assert_ok(oxbow_group_claim_idle(f->txn, the_group(), BYTES("eve"), &opt, &f->result));
    return streams_entries(&f->result);
}

/* The entry is bob's, and has been idle for so long. */
static void age(struct streams *f, uint64_t ms, uint64_t idle_ms)
{
    struct oxbow_id id = {ms, 0};
    struct oxbow_claim_options opt = {
        .ids = &id, .count = 1, .has_idle = true, .idle_ms = idle_ms, .just_id = true};

    assert_ok(oxbow_group_claim(f->txn, the_group(), BYTES("bob"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 1);
}

static const struct oxbow_group_options none;

static void plain(struct streams *f, uint64_t n)
{
    struct oxbow_group_create_options create = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    streams_fill(f, "s", n);
    (void)take(f, "bob", 0);
}

static void the_longest_idle_come_first_with_what_they_were(void **state)
{
    struct streams *f = *state;

    plain(f, 4);
    age(f, 1, 2000);
    age(f, 2, 500);
    age(f, 3, 9000);
    age(f, 4, 1000);
    assert_string_equal(claim(f, 1000, 0), "3-0{f=3} 1-0{f=1} 4-0{f=4}");
    assert_int_equal(f->result.entries[0].idle_ms, 9000);
    assert_int_equal(f->result.entries[1].idle_ms, 2000);
    assert_int_equal(f->result.entries[2].idle_ms, 1000);
    assert_int_equal(f->result.entries[0].deliveries, 1);
    assert_string_equal(pending(f), "1-0:eve:2 2-0:bob:1 3-0:eve:2 4-0:eve:2");
    assert_string_equal(claim(f, 1000, 0), "");
    assert_string_equal(claim(f, 0, 2), "2-0{f=2} 1-0{f=1}");
    assert_int_equal(f->result.entries[1].deliveries, 2);
    pass(f, 1000);
    assert_string_equal(claim(f, 1001, 0), "");
    assert_string_equal(claim(f, 1000, 1), "1-0{f=1}");
}

static uint64_t idles[700];

static int older(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    if (idles[x] != idles[y]) {
        return idles[x] > idles[y] ? -1 : 1;
    }
    return x < y ? -1 : 1;
}

/* Against a sort of all of them, over several chunks of pending entries. */
static void the_oldest_are_picked_among_many(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("group_claim_idle_test");
    size_t order[700];

    plain(f, 700);
    for (size_t i = 0; i < 700; i++) {
        idles[i] = 1 + rig_random(&seed) % 900;
        order[i] = i;
        age(f, i + 1, idles[i]);
    }
    qsort(order, 700, sizeof order[0], older);
    for (size_t at = 0; at < 700;) {
        uint64_t count = 1 + rig_random(&seed) % 200;
        size_t old = 0;

        while (at + old < 700 && idles[order[at + old]] >= 300) {
            old++;
        }
        (void)claim(f, 300, count);
        assert_int_equal(f->result.entry_count, old < count ? old : count);
        for (size_t i = 0; i < f->result.entry_count; i++) {
            assert_int_equal(f->result.entries[i].id.ms, order[at + i] + 1);
            assert_int_equal(f->result.entries[i].idle_ms, idles[order[at + i]]);
        }
        at += f->result.entry_count;
        if (f->result.entry_count == 0) {
            break;
        }
    }
}

static void what_the_stream_has_no_more_is_passed_by(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[] = {{1, 0}, {3, 0}};

    plain(f, 4);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), ids, 2, NULL));
    assert_string_equal(claim(f, 0, 1), "2-0{f=2}");
    assert_string_equal(claim(f, 0, 0), "2-0{f=2} 4-0{f=4}");
    assert_string_equal(pending(f), "1-0:bob:1 2-0:eve:3 3-0:bob:1 4-0:eve:2");
}

static void nothing_to_claim_writes_nothing(void **state)
{
    struct streams *f = *state;
    uint64_t changes;
    struct oxbow_consumer_info info;

    plain(f, 2);
    streams_reopen(f);
    changes = oxbow_txn_changes(f->txn);
    assert_string_equal(claim(f, 60000, 0), "");
    assert_int_equal(oxbow_txn_changes(f->txn), changes);
    assert_err(oxbow_group_consumer_info(f->txn, the_group(), BYTES("eve"), &info), OXBOW_ENOENT);
}

static void one_call_claims_so_many_and_no_more(void **state)
{
    struct streams *f = *state;
    struct oxbow_consumer_info info;

    plain(f, OXBOW_CLAIM_IDLE_MAX + 10);
    pass(f, 5);
    (void)claim(f, 0, 0);
    assert_int_equal(f->result.entry_count, OXBOW_CLAIM_IDLE_MAX);
    assert_int_equal(f->result.entries[0].id.ms, 1);
    pass(f, 5);
    (void)claim(f, 10, OXBOW_CLAIM_IDLE_MAX + 1);
    assert_int_equal(f->result.entry_count, 10);
    assert_int_equal(f->result.entries[9].id.ms, OXBOW_CLAIM_IDLE_MAX + 10);
    assert_ok(oxbow_group_consumer_info(f->txn, the_group(), BYTES("eve"), &info));
    assert_int_equal(info.pending, OXBOW_CLAIM_IDLE_MAX + 10);
    assert_ok(oxbow_group_consumer_info(f->txn, the_group(), BYTES("bob"), &info));
    assert_int_equal(info.pending, 0);
}

/* ---- groups with options ---- */

static void an_exclusive_group_is_left_to_who_has_it(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.exclusive_ms = 60000};

    setup(f, &opt, 2);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(claim(f, 0, 0), "");
    assert_string_equal(pending(f), "1-0:bob:1 2-0:bob:1");
}

static void no_more_is_claimed_than_one_may_have_pending(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.prefetch = 3};

    setup(f, &opt, 5);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1} 2-0{f=2} 3-0{f=3}");
    assert_string_equal(take(f, "eve", 1), "4-0{f=4}");
    assert_string_equal(claim(f, 0, 0), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(claim(f, 0, 0), "");
}

static void what_rests_in_a_group_with_options_is_left_alone(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 60000, .retry_base_ms = 5000};

    setup(f, &opt, 2);
    (void)take(f, "bob", 0);
    assert_int_equal(nack(f, 1, OXBOW_NACK_RETRY, 0), 1);
    assert_string_equal(claim(f, 0, 0), "2-0{f=2}");
    assert_string_equal(pending(f), "1-0::1 2-0:eve:2");
    pass(f, 5000);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1}");
    assert_int_equal(f->result.entries[0].deliveries, 1);
    assert_int_equal(f->result.entries[0].idle_ms, 5000);
}

static void claiming_by_age_needs_a_group_and_sense(void **state)
{
    static char name[OXBOW_GROUP_NAME_MAX + 1];
    struct streams *f = *state;
    const struct oxbow_claim_idle_options opt = {.count = 1};

    assert_err(oxbow_group_claim_idle(f->txn, the_group(), BYTES("eve"), &opt, &f->result),
               OXBOW_ENOGROUP);
    setup(f, &none, 1);
    assert_err(oxbow_group_claim_idle(f->txn, the_group(), BYTES("eve"), NULL, &f->result),
               OXBOW_EINVAL);
    assert_err(oxbow_group_claim_idle(f->txn, the_group(), (struct oxbow_bytes){name, sizeof name},
                                      &opt, &f->result),
               OXBOW_EINVAL);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_group_claim_idle(f->txn, the_group(), BYTES("eve"), &opt, &f->result),
               OXBOW_EREADONLY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(the_longest_idle_come_first_with_what_they_were),
        T(the_oldest_are_picked_among_many),
        T(what_the_stream_has_no_more_is_passed_by),
        T(nothing_to_claim_writes_nothing),
        T(one_call_claims_so_many_and_no_more),
        T(an_exclusive_group_is_left_to_who_has_it),
        T(no_more_is_claimed_than_one_may_have_pending),
        T(what_rests_in_a_group_with_options_is_left_alone),
        T(claiming_by_age_needs_a_group_and_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
