/* SPDX-License-Identifier: Apache-2.0 */
/* What producers add once, to the store and to its stand-in, is in the store once. */
#include "engine/queue/merge.h"
#include "oxbow/expire.h"
#include "oxbow/once.h"
#include "tests/queue/merge_fixture.h"

#include <time.h>

/* Whether it was there already. */
static bool add_once(const char *key, const struct oxbow_once *once, int n)
{
    char text[16];
    struct oxbow_field field = {bytes_of("n"), {text, 0}};
    struct oxbow_once_outcome outcome;
    struct oxbow_txn *txn = rig_txn(&rig);

    field.value.len = (size_t)snprintf(text, sizeof text, "%d", n);
    assert_int_equal(oxbow_once_add(txn, bytes_of(key), once, &field, 1, &outcome), OXBOW_OK);
    rig_commit(&rig, txn);
    return outcome.duplicate;
}

static bool add_named(int n)
{
    char name[16];
    const struct oxbow_once once = {.id = {name, (size_t)snprintf(name, sizeof name, "id-%d", n)}};

    return add_once("q", &once, n);
}

static bool add_numbered(const char *producer, uint64_t sequence, int n)
{
    const struct oxbow_once once = {.producer = bytes_of(producer), .sequence = sequence};

    return add_once("p", &once, n);
}

static void what_producers_add_once_is_there_once(void **state)
{
    const int there = 20;
    const int again = 10; /* from there on they never heard an answer */
    const int all = MERGE_BATCH + 300;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    for (int n = 0; n < there; n++) {
        assert_false(add_named(n));
    }
    assert_false(add_numbered("a", 7, 0));
    assert_false(add_numbered("b", 1, 1));
    rig_close(&rig);
    begin_stand_in();
    for (int n = again; n < all; n++) {
        assert_false(add_named(n));
        assert_true(add_named(n));
    }
    assert_false(add_numbered("a", 7, 0)); /* the same again */
    assert_false(add_numbered("b", 2, 2));
    assert_false(add_numbered("c", 5, 3));
    come_back();
    assert_int_equal(recovery_of().merged, all - there + 2);
    assert_numbers(&rig, "q", false, 0, all);
    assert_numbers(&rig, "p", false, 0, 4);
    for (int n = 0; n < all; n++) {
        assert_true(add_named(n));
    }
    assert_false(add_named(all));
    assert_true(add_numbered("a", 7, 0));
    assert_true(add_numbered("b", 2, 2));
    assert_true(add_numbered("c", 5, 3));
    assert_false(add_numbered("c", 6, 4));
    rig_free(&rig);
}

/* A stand-in takes 30 entries, of which the store has no room for more than 10. */
static void leave_twenty(const char *key, void (*add)(int n))
{
    const struct oxbow_policy refuse = {.max_entries = 10, .on_full = OXBOW_POLICY_REFUSE};
    const struct oxbow_policy roomy = {.max_entries = 100, .on_full = OXBOW_POLICY_REFUSE};

    rig_make(&rig);
    rig_open_store(&rig);
    set_policy(key, &refuse);
    rig_close(&rig);
    begin_stand_in();
    for (int n = 0; n < 30; n++) {
        add(n);
    }
    rig_close(&rig);
    device_back(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    set_policy(key, &roomy);
}

static void assert_these(const char *key, bool list, const int *want, int count)
{
    int got[64] = {0};

    assert_int_equal(numbers_in(&rig, key, list, got, 64), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(got[i], want[i]);
    }
}

static void add_new(int n)
{
    assert_false(add_named(n));
}

static void what_is_left_is_no_duplicate_yet_and_comes_once(void **state)
{
    const int want[30] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  25, 10, 11, 12, 13,
                          14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29};

    (void)state;
    leave_twenty("q", add_new);
    assert_numbers(&rig, "q", false, 0, 10);
    assert_true(add_named(5));
    assert_false(add_named(25)); /* in the stand-in alone */
    rig_close(&rig);
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 19);
    assert_these("q", false, want, 30);
    for (int n = 0; n < 30; n++) {
        assert_true(add_named(n));
    }
    rig_free(&rig);
}

static bool push_named(int n)
{
    char name[16];
    char text[16];
    const struct oxbow_once once = {.id = {name, (size_t)snprintf(name, sizeof name, "id-%d", n)}};
    const struct oxbow_bytes value = {text, (size_t)snprintf(text, sizeof text, "%d", n)};
    struct oxbow_once_outcome outcome;
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_once_push(txn, bytes_of("l"), OXBOW_RIGHT, &once, value, &outcome),
                     OXBOW_OK);
    assert_int_equal(outcome.id.ms, 0);
    rig_commit(&rig, txn);
    return outcome.duplicate;
}

static void push_new(int n)
{
    assert_false(push_named(n));
    assert_true(push_named(n));
}

static void what_is_left_of_a_list_comes_once(void **state)
{
    const int want[30] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  25, 10, 11, 12, 13,
                          14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29};

    (void)state;
    leave_twenty("l", push_new);
    assert_true(push_named(5));
    assert_false(push_named(25));
    rig_close(&rig);
    rig_open_store(&rig);
    assert_these("l", true, want, 30);
    for (int n = 0; n < 30; n++) {
        assert_true(push_named(n));
    }
    rig_free(&rig);
}

static void add_counted(int n)
{
    assert_false(add_numbered("a", (uint64_t)n + 1, n));
}

static uint64_t sequence_of(const char *producer)
{
    struct oxbow_txn *txn = rig_txn(&rig);
    uint64_t sequence = 0;

    assert_int_equal(oxbow_once_sequence(txn, bytes_of("p"), bytes_of(producer), &sequence),
                     OXBOW_OK);
    oxbow_txn_abort(txn);
    return sequence;
}

static void a_producer_that_goes_on_meanwhile_loses_nothing_that_is_left(void **state)
{
    const int want[31] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  30, 10, 11, 12, 13, 14,
                          15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29};

    (void)state;
    leave_twenty("p", add_counted);
    assert_int_equal(sequence_of("a"), 10);
    assert_true(add_numbered("a", 10, 9));
    assert_false(add_numbered("a", 31, 30));
    rig_close(&rig);
    rig_open_store(&rig);
    assert_these("p", false, want, 31);
    assert_int_equal(sequence_of("a"), 31);
    rig_free(&rig);
}

static bool came_here(uint64_t sequence)
{
    struct oxbow_txn *txn = rig_txn(&rig);
    struct once o;
    bool has = false;

    assert_int_equal(once_queue(txn, bytes_of("p"), &o), OXBOW_OK);
    assert_int_equal(once_run_has(&o, bytes_of("a"), sequence, &has), OXBOW_OK);
    oxbow_txn_abort(txn);
    return has;
}

/* In one piece, with gaps, and going on behind all that is left. */
static void what_a_producer_repeats_of_what_is_left_comes_once(void **state)
{
    const int want[33] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 15, 20, 21, 30,
                          31, 32, 13, 14, 16, 17, 18, 19, 22, 23, 24, 25, 26, 27, 28, 29};
    const int again[] = {10, 11, 12, 15, 20, 21, 30, 31, 32};

    (void)state;
    leave_twenty("p", add_counted);
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        assert_false(came_here((uint64_t)again[i] + 1));
        add_counted(again[i]);
        assert_true(add_numbered("a", (uint64_t)again[i] + 1, again[i]));
        assert_true(came_here((uint64_t)again[i] + 1));
    }
    for (int n = 0; n < 40; n++) {
        bool there = false;

        for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
            there = there || again[i] == n;
        }
        assert_int_equal(came_here((uint64_t)n + 1), there);
    }
    rig_close(&rig);
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_OK);
    assert_int_equal(recovery_of().merged, 14);
    assert_these("p", false, want, 33);
    assert_int_equal(sequence_of("a"), 33);
    assert_false(came_here(11)); /* nothing is left: nothing is noted */
    add_counted(33);
    assert_false(came_here(34));
    rig_free(&rig);
}

static void numbers_are_noted_through_openings_that_leave_something(void **state)
{
    const struct oxbow_policy tight = {.max_entries = 13, .on_full = OXBOW_POLICY_REFUSE};
    const struct oxbow_policy roomy = {.max_entries = 100, .on_full = OXBOW_POLICY_REFUSE};

    (void)state;
    leave_twenty("p", add_counted);
    set_policy("p", &tight);
    add_counted(10);
    add_counted(11);
    rig_close(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    assert_numbers(&rig, "p", false, 0, 13);
    assert_true(came_here(11) && came_here(12));
    set_policy("p", &roomy);
    assert_true(add_numbered("a", 13, 12)); /* has come with the merge */
    add_counted(13);
    rig_close(&rig);
    rig_open_store(&rig);
    assert_numbers(&rig, "p", false, 0, 30);
    rig_free(&rig);
}

static void who_is_forgotten_meanwhile_counts_anew(void **state)
{
    struct oxbow_txn *txn;

    (void)state;
    leave_twenty("p", add_counted);
    add_counted(10);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_once_forget(txn, bytes_of("p"), bytes_of("a")), OXBOW_OK);
    rig_commit(&rig, txn);
    assert_false(came_here(11));
    assert_false(add_numbered("a", 1, 40));
    assert_true(came_here(1));
    rig_close(&rig);
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 20);
    assert_int_equal(sequence_of("a"), 30);
    rig_free(&rig);
}

/* Who leaves out numbers for ever is not noted for ever, and neither is a producer without a merge. */
static void what_is_noted_of_a_producer_is_bounded(void **state)
{
    const struct oxbow_policy some = {.max_entries = 5000};

    (void)state;
    leave_twenty("p", add_counted);
    set_policy("p", &some);
    for (uint64_t n = 100; n <= 2100; n += 2) {
        assert_false(add_numbered("a", n, 0));
    }
    assert_true(came_here(100) && came_here(2098));
    assert_false(came_here(101));
    assert_false(came_here(2100)); /* the thousand-and-first */
    rig_free(&rig);
}

static void entries_that_a_producer_repeats_are_left_out_one_by_one(void **state)
{
    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    for (int n = 0; n < 20; n++) {
        add_counted(n);
    }
    rig_close(&rig);
    begin_stand_in();
    for (int n = 12; n < 40; n++) {
        add_counted(n);
    }
    come_back();
    assert_int_equal(recovery_of().merged, 20);
    assert_numbers(&rig, "p", false, 0, 40);
    rig_free(&rig);
}

static void a_producer_that_was_forgotten_counts_anew(void **state)
{
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_counted(0);
    rig_close(&rig);
    begin_stand_in();
    for (int n = 1; n < 10; n++) {
        add_counted(n);
    }
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_once_forget(txn, bytes_of("p"), bytes_of("a")), OXBOW_OK);
    rig_commit(&rig, txn);
    for (int n = 0; n < 5; n++) {
        assert_false(add_numbered("a", (uint64_t)n + 1, 10 + n));
    }
    come_back();
    assert_numbers(&rig, "p", false, 0, 15);
    assert_int_equal(sequence_of("a"), 5);
    rig_free(&rig);
}

/* Elements without a name that come to where one with a name was are not taken for it. */
static void a_list_is_not_taken_for_what_it_was(void **state)
{
    const int want[] = {0, 1, 2, 7, 8};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    for (int n = 0; n < 3; n++) {
        push_new(n);
    }
    rig_close(&rig);
    begin_stand_in();
    push_new(2); /* which the store has */
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_pop(txn, bytes_of("l"), OXBOW_RIGHT, 1, &result), OXBOW_OK);
    rig_commit(&rig, txn);
    push_numbers(&rig, "l", 7, 1); /* to the same place */
    push_new(1);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_pop(txn, bytes_of("l"), OXBOW_RIGHT, 1, &result), OXBOW_OK);
    rig_commit(&rig, txn);
    push_numbers(&rig, "l", 8, 1);
    come_back();
    assert_these("l", true, want, 5);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

static void an_edited_list_comes_whole_and_its_names_after_it(void **state)
{
    const int want[] = {0, 0, 2, 3};
    struct oxbow_txn *txn;
    uint64_t removed;

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    push_new(0);
    rig_close(&rig);
    begin_stand_in();
    for (int n = 0; n < 4; n++) {
        push_new(n);
    }
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_remove(txn, bytes_of("l"), 0, bytes_of("1"), &removed), OXBOW_OK);
    rig_commit(&rig, txn);
    come_back();
    assert_these("l", true, want, 4);
    for (int n = 0; n < 4; n++) {
        assert_true(push_named(n));
    }
    rig_free(&rig);
}

static unsigned notes_of(const char *key)
{
    struct once_place place = {.id = OXBOW_ID_MIN};
    struct oxbow_txn *txn = rig_txn(&rig);
    struct once_name at;
    struct once o;
    unsigned count = 0;

    assert_int_equal(once_queue(txn, bytes_of(key), &o), OXBOW_OK);
    while (once_place_find(&o, place.id, false, &place, &at) == OXBOW_OK) {
        place.id.seq++;
        count++;
    }
    oxbow_txn_abort(txn);
    return count;
}

/* One more in the stream, which is emptied, and one through the list in that direction. */
static void one_through(int n, enum oxbow_end in)
{
    const enum oxbow_end out = in == OXBOW_LEFT ? OXBOW_RIGHT : OXBOW_LEFT;
    const struct oxbow_once once = {.producer = bytes_of("a"), .sequence = (uint64_t)n + 1};
    const struct oxbow_stream_trim all = {.by = OXBOW_TRIM_MAXLEN};
    struct oxbow_field field = {bytes_of("n"), bytes_of("v")};
    struct oxbow_result result = {0};
    struct oxbow_once_outcome outcome;
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_once_add(txn, bytes_of("p"), &once, &field, 1, &outcome), OXBOW_OK);
    assert_int_equal(oxbow_stream_trim(txn, bytes_of("p"), &all, NULL), OXBOW_OK);
    assert_int_equal(oxbow_once_push(txn, bytes_of("l"), in, &once, bytes_of("v"), &outcome),
                     OXBOW_OK);
    if (n % 400 > 2) {
        assert_int_equal(oxbow_list_pop(txn, bytes_of("l"), out, 1, &result), OXBOW_OK);
    }
    rig_commit(&rig, txn);
    oxbow_result_fini(&result);
}

static void what_is_noted_of_entries_goes_when_they_have_gone(void **state)
{
    (void)state;
    rig_make(&rig);
    begin_stand_in();
    for (int n = 0; n < 800; n++) {
        one_through(n, n < 400 ? OXBOW_LEFT : OXBOW_RIGHT);
    }
    assert_in_range(notes_of("p"), 1, 2);
    assert_in_range(notes_of("l"), 6, 8);
    come_back();
    assert_int_equal(notes_of("p") + notes_of("l"), 0);
    assert_true(add_numbered("a", 800, 0));
    rig_free(&rig);
}

static void names_outlive_the_entries_of_a_list_that_was_emptied(void **state)
{
    const struct oxbow_once once = {.id = bytes_of("x")};
    struct oxbow_once_outcome outcome;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    for (int round = 0; round < 2; round++) {
        txn = rig_txn(&rig);
        assert_int_equal(
            oxbow_once_push(txn, bytes_of("l"), OXBOW_RIGHT, &once, bytes_of("v"), &outcome),
            OXBOW_OK);
        assert_int_equal(outcome.duplicate, round);
        if (round == 0) {
            assert_int_equal(oxbow_list_pop(txn, bytes_of("l"), OXBOW_LEFT, 1, &result), OXBOW_OK);
        }
        rig_commit(&rig, txn);
        if (round == 0) {
            come_back();
        }
    }
    oxbow_result_fini(&result);
    rig_free(&rig);
}

/* How many entries the stand-in has, expired ones that its idle work has not met included. */
static uint64_t left_in_stand_in(void)
{
    char dir[100];
    const struct oxbow_config config = {.dir = dir, .port = &rig.f.port, .quota_bytes = 4u << 20};
    struct oxbow_stream_info info = {0};
    struct oxbow_txn *txn;
    struct oxbow *db;

    snprintf(dir, sizeof dir, "%s/1", rig.memory);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    for (int i = 0; i < 30000 && (i == 0 || info.length > 3); i++) {
        const struct timespec nap = {0, 1000000};

        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        assert_int_equal(oxbow_stream_info(txn, bytes_of("q"), &info), OXBOW_OK);
        oxbow_txn_abort(txn);
        nanosleep(&nap, NULL);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    return info.length;
}

/* The state after a batch was appended and before it was taken out; by then some of it has gone. */
static void entries_that_expire_in_the_middle_of_a_merge_do_not_stop_it(void **state)
{
    const struct timespec nap = {2, 100000000};
    struct oxbow_result all;
    struct oxbow_txn *txn;
    char command[256];

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    for (int n = 0; n < 5; n++) {
        assert_false(add_named(n));
    }
    all = entries_of("q");
    txn = rig_txn(&rig);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(oxbow_stream_expire(txn, bytes_of("q"), all.entries[i].id, 2000),
                         OXBOW_OK);
    }
    rig_commit(&rig, txn);
    oxbow_result_fini(&all);
    rig_close(&rig);
    snprintf(command, sizeof command, "cp -a '%s' '%s/kept'", rig.memory, rig.base);
    assert_int_equal(system(command), 0);
    device_back(&rig);
    rig_open_store(&rig);
    rig_close(&rig);
    snprintf(command, sizeof command, "rm -rf '%s' && mv '%s/kept' '%s'", rig.memory, rig.base,
             rig.memory);
    assert_int_equal(system(command), 0);
    nanosleep(&nap, NULL);
    assert_int_equal(left_in_stand_in(), 3);
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 0);
    assert_numbers(&rig, "q", false, 2, 3);
    assert_true(add_named(4));
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_producers_add_once_is_there_once),
        cmocka_unit_test(what_is_left_is_no_duplicate_yet_and_comes_once),
        cmocka_unit_test(what_is_left_of_a_list_comes_once),
        cmocka_unit_test(a_producer_that_goes_on_meanwhile_loses_nothing_that_is_left),
        cmocka_unit_test(what_a_producer_repeats_of_what_is_left_comes_once),
        cmocka_unit_test(numbers_are_noted_through_openings_that_leave_something),
        cmocka_unit_test(who_is_forgotten_meanwhile_counts_anew),
        cmocka_unit_test(what_is_noted_of_a_producer_is_bounded),
        cmocka_unit_test(entries_that_a_producer_repeats_are_left_out_one_by_one),
        cmocka_unit_test(a_producer_that_was_forgotten_counts_anew),
        cmocka_unit_test(a_list_is_not_taken_for_what_it_was),
        cmocka_unit_test(an_edited_list_comes_whole_and_its_names_after_it),
        cmocka_unit_test(what_is_noted_of_entries_goes_when_they_have_gone),
        cmocka_unit_test(names_outlive_the_entries_of_a_list_that_was_emptied),
        cmocka_unit_test(entries_that_expire_in_the_middle_of_a_merge_do_not_stop_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
