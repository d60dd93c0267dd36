/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotent producers: by id within a window of time and count, by sequence without one. */
#include "engine/base/id.h"
#include "engine/store/kv.h"
#include "oxbow/once.h"

#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define HOUR 3600000u

static struct oxbow_once_outcome add(struct streams *f, const struct oxbow_once *once)
{
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    struct oxbow_once_outcome outcome;

    assert_ok(oxbow_once_add(f->txn, text_bytes("s"), once, &field, 1, &outcome));
    return outcome;
}

static struct oxbow_once_outcome add_id(struct streams *f, const char *id)
{
    return add(f, &(struct oxbow_once){.id = text_bytes(id)});
}

static struct oxbow_once_outcome add_sequence(struct streams *f, const char *producer, uint64_t n)
{
    return add(f, &(struct oxbow_once){.producer = text_bytes(producer), .sequence = n});
}

static void set_window(struct streams *f, uint64_t ms, uint64_t count)
{
    const struct oxbow_policy policy = {.dedupe_ms = ms, .dedupe_count = count};

    assert_ok(oxbow_policy_set(f->txn, text_bytes("s"), &policy));
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static uint64_t len_of(struct streams *f)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(f->txn, text_bytes("s"), &len));
    return len;
}

static void what_is_added_twice_is_there_once_and_gives_the_first_id(void **state)
{
    struct streams *f = *state;
    struct oxbow_once_outcome first = add_id(f, "a");
    struct oxbow_once_outcome again;

    assert_false(first.duplicate);
    assert_false(add_id(f, "b").duplicate);
    pass(f, 1000);
    streams_reopen(f);
    again = add_id(f, "a");
    assert_true(again.duplicate);
    assert_int_equal(id_compare(again.id, first.id), 0);
    assert_int_equal(len_of(f), 2);
}

static void a_list_is_pushed_to_once(void **state)
{
    struct streams *f = *state;
    const struct oxbow_once once = {.id = text_bytes("x")};
    struct oxbow_once_outcome outcome;
    uint64_t len;

    for (int i = 0; i < 3; i++) {
        assert_ok(oxbow_once_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &once, text_bytes("v"),
                                  &outcome));
        assert_int_equal(outcome.duplicate, i > 0);
    }
    assert_ok(oxbow_list_len(f->txn, text_bytes("l"), &len));
    assert_int_equal(len, 1);
    assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, 1, &f->result));
    /* The list is gone; what was seen at its name is not. */
    assert_ok(
        oxbow_once_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &once, text_bytes("v"), &outcome));
    assert_true(outcome.duplicate);
}

static void the_window_is_one_of_time(void **state)
{
    struct streams *f = *state;

    set_window(f, HOUR, 0);
    (void)add_id(f, "a");
    pass(f, HOUR - 1);
    f->rig.wall_ms += 56ull * 366 * 24 * HOUR; /* jumps do not matter */
    assert_true(add_id(f, "a").duplicate);
    pass(f, 1);
    assert_false(add_id(f, "a").duplicate);
    pass(f, HOUR - 1);
    assert_true(add_id(f, "a").duplicate);
}

static void the_window_is_one_of_count(void **state)
{
    struct streams *f = *state;
    char id[16];

    set_window(f, 0, 10);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_false(add_id(f, id).duplicate);
    }
    assert_true(add_id(f, "0").duplicate);
    assert_false(add_id(f, "10").duplicate); /* pushes 0 out */
    assert_true(add_id(f, "1").duplicate);
    assert_false(add_id(f, "0").duplicate); /* and this 1 */
    assert_false(add_id(f, "1").duplicate);
    assert_true(add_id(f, "10").duplicate);
}

static void without_a_policy_there_is_a_default_window(void **state)
{
    struct streams *f = *state;
    struct oxbow_policy policy;

    (void)add_id(f, "a");
    assert_ok(oxbow_policy_get(f->txn, text_bytes("s"), &policy));
    assert_int_equal(policy.dedupe_ms, 0);
    pass(f, OXBOW_ONCE_MS_DEFAULT - 1);
    assert_true(add_id(f, "a").duplicate);
    pass(f, 1);
    assert_false(add_id(f, "a").duplicate);
}

static void a_window_that_is_made_smaller_forgets_in_steps(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    char id[16];

    set_window(f, 0, 5000);
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "%d", i);
        (void)add_id(f, id);
    }
    streams_reopen(f);
    oxbow_stat(f->rig.db, &before);
    set_window(f, 0, 10);
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof id, "n%d", i);
        assert_false(add_id(f, id).duplicate);
    }
    assert_false(add_id(f, "2999").duplicate);
    assert_true(add_id(f, "n29").duplicate);
    streams_reopen(f);
    oxbow_stat(f->rig.db, &after);
    assert_true(after.keys + 5900 < before.keys);
}

static void a_sequence_is_remembered_without_a_window(void **state)
{
    struct streams *f = *state;
    struct oxbow_once_outcome first = add_sequence(f, "p", 5);
    uint64_t sequence;

    assert_false(first.duplicate);
    assert_true(add_sequence(f, "p", 5).duplicate);
    assert_int_equal(id_compare(add_sequence(f, "p", 5).id, first.id), 0);
    assert_true(add_sequence(f, "p", 4).duplicate);
    assert_int_equal(add_sequence(f, "p", 4).id.ms, 0);
    assert_false(add_sequence(f, "p", 9).duplicate); /* gaps are fine */
    assert_false(add_sequence(f, "q", 5).duplicate);
    pass(f, 1000ull * 24 * HOUR);
    streams_reopen(f);
    assert_true(add_sequence(f, "p", 9).duplicate);
    assert_ok(oxbow_once_sequence(f->txn, text_bytes("s"), text_bytes("p"), &sequence));
    assert_int_equal(sequence, 9);
    assert_ok(oxbow_once_forget(f->txn, text_bytes("s"), text_bytes("p")));
    assert_err(oxbow_once_forget(f->txn, text_bytes("s"), text_bytes("p")), OXBOW_ENOENT);
    assert_err(oxbow_once_sequence(f->txn, text_bytes("s"), text_bytes("p"), &sequence),
               OXBOW_ENOENT);
    assert_false(add_sequence(f, "p", 1).duplicate);
    assert_int_equal(len_of(f), 4);
}

static void ids_and_producers_of_one_name_are_apart(void **state)
{
    struct streams *f = *state;

    assert_false(add_id(f, "x").duplicate);
    assert_false(add_sequence(f, "x", 1).duplicate);
    assert_true(add_id(f, "x").duplicate);
    assert_true(add_sequence(f, "x", 1).duplicate);
}

static void an_abort_takes_back_the_entry_and_what_was_remembered(void **state)
{
    struct streams *f = *state;

    streams_commit(f);
    streams_begin(f);
    (void)add_id(f, "a");
    (void)add_sequence(f, "p", 1);
    streams_abort(f);
    streams_begin(f);
    assert_false(add_id(f, "a").duplicate);
    assert_false(add_sequence(f, "p", 1).duplicate);
    assert_int_equal(len_of(f), 2);
}

static void what_is_refused_is_not_remembered(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy full = {.max_entries = 1};
    const struct oxbow_once once = {.id = text_bytes("b")};
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    struct oxbow_once_outcome outcome;

    assert_ok(oxbow_policy_set(f->txn, text_bytes("s"), &full));
    (void)add_id(f, "a");
    assert_err(oxbow_once_add(f->txn, text_bytes("s"), &once, &field, 1, &outcome), OXBOW_EFULL);
    set_window(f, 0, 0);
    assert_false(add_id(f, "b").duplicate);
    assert_true(add_id(f, "a").duplicate);
}

static void clearing_the_policy_forgets_everything(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat stat;
    char id[16];
    bool existed;

    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "%d", i);
        (void)add_id(f, id);
    }
    (void)add_sequence(f, "p", 1);
    assert_ok(oxbow_policy_clear(f->txn, text_bytes("s"), &existed));
    assert_true(existed);
    assert_false(add_id(f, "5").duplicate);
    assert_ok(oxbow_policy_clear(f->txn, text_bytes("s"), &existed));
    for (int i = 0; i < 100; i++) { /* idle work does the rest */
        streams_reopen(f);
        oxbow_stat(f->rig.db, &stat);
        if (stat.keys < 100) {
            break;
        }
    }
    assert_true(stat.keys < 100);
}

static void bad_input_is_refused(void **state)
{
    struct streams *f = *state;
    static char big[OXBOW_ONCE_NAME_MAX + 1];
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    const struct oxbow_once bad[] = {
        {.sequence = 1},
        {.id = text_bytes("a"), .producer = text_bytes("p"), .sequence = 1},
        {.producer = text_bytes("p")},
        {.id = {big, sizeof big}},
        {.producer = {big, sizeof big}, .sequence = 1},
        {.id = {NULL, 1}},
    };
    const struct oxbow_once longest = {.id = {big, OXBOW_ONCE_NAME_MAX}};
    struct oxbow_once_outcome outcome;
    uint64_t sequence;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_err(oxbow_once_add(f->txn, text_bytes("s"), &bad[i], &field, 1, &outcome),
                   OXBOW_EINVAL);
        assert_err(oxbow_once_push(f->txn, text_bytes("l"), OXBOW_LEFT, &bad[i], text_bytes("v"),
                                   &outcome),
                   OXBOW_EINVAL);
    }
    assert_err(oxbow_once_add(f->txn, text_bytes("s"), NULL, &field, 1, &outcome), OXBOW_EINVAL);
    assert_err(oxbow_once_add(f->txn, text_bytes("s"), &longest, &field, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_once_add(f->txn, text_bytes("s"), &longest, &field, 0, &outcome),
               OXBOW_EINVAL);
    assert_false(add(f, &longest).duplicate);
    assert_true(add(f, &longest).duplicate);
    assert_err(oxbow_once_push(f->txn, text_bytes("s"), OXBOW_LEFT,
                               &(struct oxbow_once){.id = text_bytes("z")}, text_bytes("v"),
                               &outcome),
               OXBOW_EWRONGTYPE);
    assert_err(
        oxbow_once_sequence(f->txn, text_bytes("s"), (struct oxbow_bytes){NULL, 0}, &sequence),
        OXBOW_EINVAL);
    assert_err(oxbow_once_sequence(f->txn, text_bytes("s"), text_bytes("p"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_once_forget(f->txn, text_bytes("t"), text_bytes("p")), OXBOW_ENOENT);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_once_add(f->txn, text_bytes("s"), &longest, &field, 1, &outcome),
               OXBOW_EREADONLY);
}

/* Random ids in a small window, against a model that remembers them all. */
static void it_does_what_a_model_does(void **state)
{
    enum { IDS = 60, COUNT = 20 };
    struct streams *f = *state;
    uint64_t seed = rig_seed("once_test");
    struct {
        uint64_t clock;
        uint64_t number; /* 0: never */
    } model[IDS] = {{0}};
    uint64_t last = 0;
    uint64_t live;

    set_window(f, 10000, COUNT);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned n = (unsigned)(rig_random(&seed) % IDS);
        uint64_t now = txn_clock_ms(f->txn);
        char id[8];
        bool want;

        snprintf(id, sizeof id, "%u", n);
        live = last >= COUNT ? last - COUNT + 1 : 1;
        want = model[n].number >= live && now - model[n].clock < 10000;
        assert_int_equal(add_id(f, id).duplicate, want);
        if (!want) {
            model[n].number = ++last;
            model[n].clock = now;
        }
        if (i % 7 == 0) {
            pass(f, rig_random(&seed) % 3000);
        }
        if (i % 500 == 0) {
            streams_reopen(f);
        }
    }
    assert_in_range(last, 500, 2900);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_added_twice_is_there_once_and_gives_the_first_id),
        TEST(a_list_is_pushed_to_once),
        TEST(the_window_is_one_of_time),
        TEST(the_window_is_one_of_count),
        TEST(without_a_policy_there_is_a_default_window),
        TEST(a_window_that_is_made_smaller_forgets_in_steps),
        TEST(a_sequence_is_remembered_without_a_window),
        TEST(ids_and_producers_of_one_name_are_apart),
        TEST(an_abort_takes_back_the_entry_and_what_was_remembered),
        TEST(what_is_refused_is_not_remembered),
        TEST(clearing_the_policy_forgets_everything),
        TEST(bad_input_is_refused),
        TEST(it_does_what_a_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
