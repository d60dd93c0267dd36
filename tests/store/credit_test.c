/* SPDX-License-Identifier: Apache-2.0 */
/* What is put while the wall clock is not believed comes, goes and is forgotten never too early, though
 * the store's clock is credited with time without power later; and what was put before that time is
 * not late. */
#include "engine/store/credit.h"

#include "engine/queue/expire.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"

#define HOUR    3600000u
#define DAY     (24u * (uint64_t)HOUR)
#define NOT_SET 1000u
#define BOOT_MS 20000u

/* Beside the rig's clocks: the true time. */
static uint64_t true_ms;

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    true_ms += ms;
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static int setup(void **state)
{
    int result = streams_setup(state);
    struct streams *f = *state;

    true_ms = f->rig.wall_ms;
    pass(f, 1);
    return result;
}

/* Off for that long, and BOOT_MS to come up, with the time or without. Something is written before, so
 * that the store's clock has counted all until then. */
static void reboot(struct streams *f, uint64_t off_ms, bool knows)
{
    const struct oxbow_bytes value = text_bytes("v");

    assert_ok(oxbow_list_push(f->txn, text_bytes("written"), OXBOW_RIGHT, &value, 1, NULL));
    streams_commit(f);
    rig_close(&f->rig);
    true_ms += off_ms + BOOT_MS;
    f->rig.wall_ms = knows ? true_ms : NOT_SET + BOOT_MS;
    f->rig.mono_us = BOOT_MS * 1000u;
    rig_open(&f->rig);
    streams_begin(f);
}

/* The link came. */
static void set_clock(struct streams *f)
{
    streams_commit(f);
    f->rig.wall_ms = true_ms;
    streams_begin(f);
    assert_false(txn_clock_unsure(f->txn));
}

static void push(struct streams *f, uint64_t ms, struct oxbow_delay_id *id)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, ms};

    assert_ok(oxbow_delay_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &when, text_bytes("v"), id));
}

static uint64_t arrived(struct streams *f)
{
    bool more = true;
    uint64_t len;

    while (more) {
        assert_ok(oxbow_delay_run(f->txn, 0, NULL, &more));
    }
    assert_ok(oxbow_list_len(f->txn, text_bytes("l"), &len));
    return len;
}

static struct oxbow_id add(struct streams *f, uint64_t ttl_ms)
{
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    const struct oxbow_stream_add_options opt = {.ttl_ms = ttl_ms};
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, &id));
    return id;
}

static size_t alive(struct streams *f)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    size_t before;
    bool more = true;

    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result));
    before = f->result.entry_count;
    while (more) {
        more = false;
        assert_ok(expire_step(f->txn, &more));
    }
    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result));
    assert_int_equal(f->result.entry_count, before); /* idle work changes nothing that is seen */
    return before;
}

static bool duplicate(struct streams *f)
{
    const struct oxbow_once once = {.id = text_bytes("id")};
    struct oxbow_once_outcome outcome;

    assert_ok(
        oxbow_once_push(f->txn, text_bytes("o"), OXBOW_RIGHT, &once, text_bytes("v"), &outcome));
    return outcome.duplicate;
}

static uint64_t since(struct streams *f, uint64_t from_ms)
{
    uint64_t ms = 99;

    assert_ok(credit_since(f->txn, from_ms, &ms));
    return ms;
}

static void a_delay_given_before_the_clock_was_set_is_not_early(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_id id;

    reboot(f, 8 * DAY, false);
    push(f, HOUR, &id);
    pass(f, 60000);
    set_clock(f); /* eight days are credited */
    assert_int_equal(arrived(f), 0);
    assert_ok(oxbow_delay_get(f->txn, id, &f->result)); /* still named so */
    pass(f, HOUR - 60001);
    assert_int_equal(arrived(f), 0);
    pass(f, 1);
    assert_int_equal(arrived(f), 1);
    assert_err(oxbow_delay_cancel(f->txn, id), OXBOW_ENOENT);
}

static void nor_one_of_an_opening_that_never_knew_the_time(void **state)
{
    struct streams *f = *state;

    reboot(f, 8 * DAY, false);
    push(f, HOUR, NULL);
    pass(f, 1000);
    reboot(f, 600000, true); /* 8 days and ten minutes are credited; the ten count or not */
    assert_int_equal(arrived(f), 0);
    pass(f, HOUR - 1000 - 600000 - BOOT_MS - 1);
    assert_int_equal(arrived(f), 0);
    pass(f, 600000 + 1);
    assert_int_equal(arrived(f), 1);
}

static void one_given_while_the_time_was_known_counts_all_of_it(void **state)
{
    struct streams *f = *state;

    push(f, DAY, NULL);
    reboot(f, HOUR, false);
    push(f, 10 * DAY, NULL);
    pass(f, 1000);
    reboot(f, HOUR, true);
    pass(f, DAY - 2 * HOUR - 2 * BOOT_MS - 1001);
    assert_int_equal(arrived(f), 0);
    pass(f, 1);
    assert_int_equal(arrived(f), 1);
    /* And what is put when the clock has been set counts what comes later. */
    push(f, DAY, NULL);
    reboot(f, DAY - BOOT_MS, true);
    assert_int_equal(arrived(f), 2);
}

static void credits_of_several_openings_are_kept_apart(void **state)
{
    struct streams *f = *state;

    reboot(f, 5 * DAY, false);
    push(f, 20 * DAY, NULL);
    set_clock(f);
    pass(f, 1000);
    reboot(f, 7 * DAY, false); /* counts for the first one, not for the second */
    push(f, 20 * DAY, NULL);
    set_clock(f);
    pass(f, 13 * DAY - 2000 - BOOT_MS);
    assert_int_equal(arrived(f), 0);
    pass(f, 1000);
    assert_int_equal(arrived(f), 1);
    pass(f, 7 * DAY);
    assert_int_equal(arrived(f), 1);
    pass(f, BOOT_MS + 1000);
    assert_int_equal(arrived(f), 2);
}

static void one_that_is_due_by_what_the_clock_shows_is_taken_at_its_word(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_when when = {OXBOW_DELAY_CLOCK, 0};

    reboot(f, 8 * DAY, false);
    when.ms = txn_clock_ms(f->txn) + HOUR;
    assert_ok(oxbow_delay_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &when, text_bytes("v"), NULL));
    set_clock(f);
    assert_int_equal(arrived(f), 1);
}

static void one_that_was_put_off_can_be_moved_and_taken_back(void **state)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, HOUR};
    struct streams *f = *state;
    struct oxbow_delay_id ids[2];

    reboot(f, 8 * DAY, false);
    push(f, HOUR, &ids[0]);
    push(f, HOUR, &ids[1]);
    set_clock(f);
    assert_int_equal(arrived(f), 0);
    assert_ok(oxbow_delay_cancel(f->txn, ids[0]));
    assert_ok(oxbow_delay_move(f->txn, ids[1], &when, &ids[1]));
    pass(f, HOUR - 1);
    assert_int_equal(arrived(f), 0);
    pass(f, 1);
    assert_int_equal(arrived(f), 1);
}

static void a_time_to_live_given_before_the_clock_was_set_is_not_short(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id;
    uint64_t left;

    reboot(f, 8 * DAY, false);
    id = add(f, HOUR);
    (void)add(f, 2 * HOUR);
    set_clock(f);
    assert_ok(oxbow_stream_ttl(f->txn, text_bytes("s"), id, &left));
    assert_int_equal(left, HOUR);
    assert_int_equal(alive(f), 2);
    assert_ok(oxbow_stream_ttl(f->txn, text_bytes("s"), id, &left));
    assert_int_equal(left, HOUR);
    pass(f, HOUR - 1);
    assert_int_equal(alive(f), 2);
    pass(f, 1);
    assert_int_equal(alive(f), 1);
    (void)add(f, DAY);
    reboot(f, DAY, true);
    assert_int_equal(alive(f), 0);
}

static void an_id_is_not_forgotten_early(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy policy = {.dedupe_ms = HOUR};

    assert_ok(oxbow_policy_set(f->txn, text_bytes("o"), &policy));
    reboot(f, 8 * DAY, false);
    assert_false(duplicate(f));
    set_clock(f);
    assert_true(duplicate(f));
    pass(f, HOUR - 1);
    assert_true(duplicate(f));
    pass(f, 1);
    assert_false(duplicate(f));
}

static void a_board_that_always_or_never_knows_the_time_notes_nothing(void **state)
{
    static const uint8_t key[] = {KV_SPACE_TIME, 'c'};
    struct streams *f = *state;
    struct oxbow_bytes value;

    for (unsigned i = 0; i < 3; i++) {
        push(f, 100 * DAY, NULL);
        assert_err(kv_get(f->txn, (struct oxbow_bytes){key, 2}, &value), OXBOW_ENOENT);
        reboot(f, DAY, true);
    }
    streams_commit(f);
    rig_fini(&f->rig);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.wall_ms = NOT_SET;
    rig_open(&f->rig);
    streams_begin(f);
    for (unsigned i = 0; i < 3; i++) {
        push(f, 100 * DAY, NULL);
        assert_err(kv_get(f->txn, (struct oxbow_bytes){key, 2}, &value), OXBOW_ENOENT);
        reboot(f, DAY, false);
    }
}

static void what_an_aborted_transaction_noted_is_not_there(void **state)
{
    struct streams *f = *state;
    uint64_t made;

    reboot(f, 8 * DAY, false);
    made = txn_clock_ms(f->txn);
    assert_ok(credit_note(f->txn));
    streams_abort(f);
    streams_begin(f);
    set_clock(f);
    assert_int_equal(since(f, made), 0);
    pass(f, 1);
    reboot(f, 8 * DAY, false);
    made = txn_clock_ms(f->txn);
    assert_ok(credit_note(f->txn));
    set_clock(f);
    assert_int_equal(since(f, made), 8 * DAY);
    assert_int_equal(since(f, made - 1), 0);
    assert_int_equal(since(f, made + 8 * DAY),
                     8 * DAY); /* nothing is closed before somebody asks */
    assert_ok(credit_note(f->txn));
    assert_int_equal(since(f, made), 8 * DAY);
    assert_int_equal(since(f, made + 8 * DAY), 0);
    streams_abort(f); /* and the row is open again */
    streams_begin(f);
    assert_int_equal(since(f, made + 8 * DAY), 8 * DAY);
}

static void when_there_is_no_room_old_ones_are_taken_together_and_nothing_is_early(void **state)
{
    struct streams *f = *state;
    uint64_t made[50];

    for (unsigned i = 0; i < 50; i++) {
        reboot(f, (i + 1) * (uint64_t)HOUR, false);
        made[i] = txn_clock_ms(f->txn);
        assert_ok(credit_note(f->txn));
        pass(f, 1000);
        set_clock(f);
        assert_ok(credit_note(f->txn));
        pass(f, 1000);
    }
    for (unsigned i = 0; i < 50; i++) {
        uint64_t ms = since(f, made[i]);

        assert_true(ms >= (i + 1) * (uint64_t)HOUR);
        assert_true(i < 20 || ms == (i + 1) * (uint64_t)HOUR);
    }
}

static void a_clock_that_is_raised_is_not_credited(void **state)
{
    struct streams *f = *state;
    uint64_t made;

    reboot(f, DAY, false);
    made = txn_clock_ms(f->txn);
    assert_ok(credit_note(f->txn));
    assert_ok(credit_raise(f->txn, made + 100 * DAY));
    assert_int_equal(txn_clock_ms(f->txn), made + 100 * DAY);
    assert_int_equal(since(f, made), 0);
}

static void a_record_that_is_damaged_is_as_if_it_were_not_there(void **state)
{
    static const uint8_t key[] = {KV_SPACE_TIME, 'c'};
    struct streams *f = *state;

    assert_ok(kv_put(f->txn, (struct oxbow_bytes){key, 2}, (struct oxbow_bytes){"nonsense", 8}));
    assert_int_equal(since(f, 1), 0);
    reboot(f, DAY, false);
    assert_ok(credit_note(f->txn));
    assert_int_equal(since(f, txn_clock_ms(f->txn)), 0);
}

/* ---- a random life of a board, with power cuts, beside the true time ---- */

#define LIFE_MAX 400u

/* ---- groups ---- */

static struct oxbow_group tasks(void)
{
    return (struct oxbow_group){text_bytes("tasks"), text_bytes("g")};
}

/* A group whose consumers have an hour for each of its entries. */
static void group_make(struct streams *f, uint64_t entries)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_options opt = {.visibility_ms = HOUR};

    assert_ok(oxbow_group_create(f->txn, tasks(), &create));
    assert_ok(oxbow_group_options_set(f->txn, tasks(), &opt));
    streams_fill(f, "tasks", entries);
}

/* How many entries a consumer is given. */
static size_t given(struct streams *f, const char *consumer, uint64_t count)
{
    const struct oxbow_group_read_options opt = {.count = count};

    assert_ok(oxbow_group_read(f->txn, tasks(), text_bytes(consumer), &opt, &f->result));
    return f->result.entry_count;
}

static void nack(struct streams *f, uint64_t n, uint64_t delay_ms)
{
    const struct oxbow_id id = {n, 0};
    const struct oxbow_group_nack_options opt = {
        .ids = &id, .count = 1, .how = OXBOW_NACK_DELAY, .delay_ms = delay_ms};

    assert_ok(oxbow_group_nack(f->txn, tasks(), &opt, NULL));
}

static void what_is_delivered_before_the_clock_was_set_has_all_of_its_time(void **state)
{
    struct streams *f = *state;

    group_make(f, 2);
    reboot(f, 8 * DAY, false);
    assert_int_equal(given(f, "bob", 0), 2);
    nack(f, 2, 2 * (uint64_t)HOUR);
    pass(f, HOUR / 2);
    set_clock(f); /* eight days are credited */
    assert_int_equal(given(f, "eve", 0), 0);
    pass(f, HOUR / 2 - 1);
    assert_int_equal(given(f, "eve", 0), 0);
    pass(f, 1);
    assert_int_equal(given(f, "eve", 0), 1);
    pass(f, HOUR - 1);
    assert_int_equal(given(f, "ann", 0), 0);
    pass(f, 1);
    assert_int_equal(given(f, "ann", 0), 2);
}

static void time_without_power_counts_for_what_was_delivered_before(void **state)
{
    struct streams *f = *state;

    group_make(f, 2);
    assert_int_equal(given(f, "bob", 0), 2);
    nack(f, 2, 7 * DAY);
    reboot(f, 8 * DAY, false);
    assert_int_equal(given(f, "eve", 0), 0); /* nothing is written by that */
    set_clock(f);
    assert_int_equal(given(f, "eve", 0), 2);
}

static void
where_a_group_was_used_meanwhile_it_does_not_and_nothing_is_later_than_its_own_time(void **state)
{
    struct streams *f = *state;

    group_make(f, 3);
    assert_int_equal(given(f, "bob", 2), 2);
    nack(f, 2, 2 * (uint64_t)HOUR);
    reboot(f, 8 * DAY, false);
    assert_int_equal(given(f, "eve", 1), 1);
    set_clock(f);
    assert_int_equal(given(f, "ann", 0), 0);
    pass(f, HOUR); /* as much as bob had in all */
    assert_int_equal(given(f, "ann", 0), 2);
    pass(f, HOUR);
    assert_int_equal(given(f, "ann", 0), 3);
}

static void nothing_is_ever_early(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("credit_test");
    uint64_t due[LIFE_MAX]; /* in truth, by value */
    size_t given = 0;
    size_t met = 0;

    for (unsigned turn = 0; turn < 1500; turn++) {
        uint64_t dice = rig_random(&seed) % 100;
        uint64_t ms = rig_random(&seed) % (dice % 5 == 0 ? 3 * DAY : 20 * 60000);
        uint64_t len = 0;

        if (dice < 40 && given < LIFE_MAX) {
            const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, ms};
            uint32_t value = (uint32_t)given;

            due[given++] = true_ms + ms;
            assert_ok(oxbow_delay_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &when,
                                       (struct oxbow_bytes){&value, sizeof value}, NULL));
        } else if (dice < 70) {
            pass(f, ms);
        } else if (dice < 80 && !txn_clock_unsure(f->txn)) {
            reboot(f, ms, rig_random(&seed) % 2 == 0);
        } else if (dice < 90) {
            reboot(f, ms, false);
        } else if (f->rig.wall_ms < 100 * DAY) {
            streams_commit(f);
            f->rig.wall_ms = true_ms;
            streams_begin(f);
        }
        (void)arrived(f);
        assert_ok(oxbow_list_range(f->txn, text_bytes("l"), 0, -1, &f->result));
        len = f->result.item_count;
        for (size_t i = 0; i < len; i++) {
            uint32_t value;

            memcpy(&value, f->result.items[i].data, sizeof value);
            assert_true(value < given);
            if (due[value] > true_ms) {
                fail_msg("turn %u: %u came %llu ms early", turn, value,
                         (unsigned long long)(due[value] - true_ms));
            }
            met++;
        }
        assert_ok(oxbow_key_delete(f->txn, text_bytes("l"), NULL));
    }
    assert_true(met > given / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, streams_teardown)
        TEST(a_delay_given_before_the_clock_was_set_is_not_early),
        TEST(nor_one_of_an_opening_that_never_knew_the_time),
        TEST(one_given_while_the_time_was_known_counts_all_of_it),
        TEST(credits_of_several_openings_are_kept_apart),
        TEST(one_that_is_due_by_what_the_clock_shows_is_taken_at_its_word),
        TEST(one_that_was_put_off_can_be_moved_and_taken_back),
        TEST(a_time_to_live_given_before_the_clock_was_set_is_not_short),
        TEST(an_id_is_not_forgotten_early),
        TEST(a_board_that_always_or_never_knows_the_time_notes_nothing),
        TEST(what_an_aborted_transaction_noted_is_not_there),
        TEST(when_there_is_no_room_old_ones_are_taken_together_and_nothing_is_early),
        TEST(a_clock_that_is_raised_is_not_credited),
        TEST(what_is_delivered_before_the_clock_was_set_has_all_of_its_time),
        TEST(time_without_power_counts_for_what_was_delivered_before),
        TEST(where_a_group_was_used_meanwhile_it_does_not_and_nothing_is_later_than_its_own_time),
        TEST(a_record_that_is_damaged_is_as_if_it_were_not_there),
        TEST(nothing_is_ever_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
