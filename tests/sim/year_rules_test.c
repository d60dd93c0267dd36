/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict itself, told a few lives by hand: what is right must not be called wrong, and what is
 * wrong must be found.
 */
#include "tests/sim/year_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FIRST 5u /* tasks of one key: FIRST, FIRST + KEYS, ... */
#define OTHER 6u /* of another */
#define GOOD  0u
#define BAD   1u

struct life {
    struct account a;
    uint64_t serial, now_ms;
};

static int begin(void **state)
{
    static struct life l;
    l = (struct life){.now_ms = START_MS + DAY_MS};
    account_open(&l.a, 1);
    account_life(&l.a, false);
    *state = &l;
    return 0;
}

static int end(void **state)
{
    struct life *l = *state;
    account_close(&l->a);
    return 0;
}

static void txn(struct life *l)
{
    account_hear(&l->a, &(struct tell){.kind = TELL_TXN,
                                       .number = ++l->serial,
                                       .v = {l->now_ms, l->now_ms, l->now_ms - START_MS}});
}

static void task(struct life *l, enum tell_kind kind, uint64_t number, uint64_t v)
{
    account_hear(
        &l->a, &(struct tell){.kind = kind, .queue = Q_TASKS, .number = number, .v = {v, number}});
}

static void done(struct life *l, bool durable)
{
    account_hear(&l->a,
                 &(struct tell){.kind = TELL_DONE, .number = l->serial, .v = {durable, true}});
}

static void add(struct life *l, uint64_t number)
{
    txn(l);
    task(l, TELL_ADD, number, l->serial);
    done(l, true);
}

static void read_of(struct life *l, uint64_t who, const uint64_t *numbers, size_t count)
{
    txn(l);
    for (size_t i = 0; i < count; i++)
        task(l, TELL_GIVEN, numbers[i], who);
    task(l, TELL_GAVE, 0, who);
    done(l, false);
}

static void open_again(struct life *l, uint64_t serial)
{
    account_life(&l->a, false);
    account_hear(&l->a, &(struct tell){.kind = TELL_OPEN, .v = {serial, l->now_ms, 2, l->now_ms}});
}

static void add_tasks(struct life *l)
{
    add(l, FIRST);
    add(l, OTHER);
    add(l, FIRST + KEYS);
    add(l, OTHER + KEYS);
}

/* ---- what is right ---- */

static void a_later_read_of_the_same_moment_does_not_accuse_an_earlier_one(void **state)
{
    struct life *l = *state;
    const uint64_t both[] = {FIRST, FIRST + KEYS}, other[] = {OTHER};
    add_tasks(l);
    read_of(l, GOOD, both, 2);
    txn(l);
    task(l, TELL_NACKED, FIRST, HOUR_MS);
    task(l, TELL_REMOVED, FIRST + KEYS, GOOD);
    done(l, false);
    read_of(l, GOOD, other, 1);
    assert_int_equal(l->a.failures, 0);
}

static void what_failed_after_it_was_given_together_accuses_nobody(void **state)
{
    struct life *l = *state;
    const uint64_t both[] = {FIRST, FIRST + KEYS}, other[] = {OTHER};
    add_tasks(l);
    read_of(l, GOOD, both, 2);
    txn(l);
    task(l, TELL_NACKED, FIRST, HOUR_MS);
    done(l, false);
    read_of(l, GOOD, other, 1);
    assert_int_equal(l->a.failures, 0);
}

static void what_a_cut_took_back_accuses_nobody(void **state)
{
    struct life *l = *state;
    const uint64_t first[] = {FIRST}, second[] = {FIRST + KEYS};
    add_tasks(l);
    uint64_t durable = l->serial;
    read_of(l, BAD, first, 1);
    txn(l);
    task(l, TELL_NACKED, FIRST, HOUR_MS);
    done(l, false);
    open_again(l, durable);
    read_of(l, GOOD, second, 1);
    assert_int_equal(l->a.failures, 0);
}

/* Told, and its power goes before it is said to be done: the next life finds it or not. */
static void add_brief(struct life *l, bool finished)
{
    txn(l);
    account_hear(&l->a, &(struct tell){.kind = TELL_ADD,
                                       .queue = Q_BRIEF,
                                       .number = FIRST,
                                       .v = {l->serial, FIRST, HOUR_MS}});
    if (finished)
        done(l, true);
}

/* All that is there is that one entry. */
static void audit_brief(struct life *l)
{
    account_hear(&l->a, &(struct tell){.kind = TELL_AUDIT, .v = {l->now_ms, l->now_ms}});
    account_hear(
        &l->a, &(struct tell){
                   .kind = TELL_HAVE, .queue = Q_BRIEF, .number = FIRST, .v = {l->serial, FIRST}});
    account_hear(&l->a, &(struct tell){.kind = TELL_AUDITED});
}

static void what_was_left_open_by_a_cut_is_of_the_life_that_told_it(void **state)
{
    struct life *l = *state;
    add_brief(l, false);
    l->now_ms += 7 * DAY_MS; /* off, and for how long the store does not know */
    open_again(l, l->serial);
    audit_brief(l);
    assert_int_equal(l->a.failures, 0);
}

/* ---- controls: what is wrong ---- */

static void it_is_found_when_something_outstays_its_time(void **state)
{
    struct life *l = *state;
    add_brief(l, true);
    l->now_ms += HOUR_MS - 1;
    audit_brief(l);
    assert_int_equal(l->a.failures, 0);
    l->now_ms += 2000;
    audit_brief(l);
    assert_int_equal(l->a.failures, 1);
}

static void it_is_found_when_what_came_before_is_with_another(void **state)
{
    struct life *l = *state;
    const uint64_t first[] = {FIRST}, second[] = {FIRST + KEYS};
    add_tasks(l);
    read_of(l, BAD, first, 1);
    read_of(l, GOOD, second, 1);
    assert_int_equal(l->a.failures, 1);
}

static void it_is_found_when_what_came_before_rests(void **state)
{
    struct life *l = *state;
    const uint64_t first[] = {FIRST}, second[] = {FIRST + KEYS};
    add_tasks(l);
    read_of(l, GOOD, first, 1);
    txn(l);
    task(l, TELL_NACKED, FIRST, HOUR_MS);
    done(l, false);
    read_of(l, GOOD, second, 1);
    assert_int_equal(l->a.failures, 1);
}

static void it_is_found_when_what_came_before_was_never_given(void **state)
{
    struct life *l = *state;
    const uint64_t second[] = {FIRST + KEYS};
    add_tasks(l);
    read_of(l, GOOD, second, 1);
    assert_int_equal(l->a.failures, 1);
}

static void two_deliveries_at_one_moment_are_found_each_in_its_read(void **state)
{
    struct life *l = *state;
    const uint64_t first[] = {FIRST}, second[] = {FIRST + KEYS}, third[] = {FIRST + 2 * KEYS};
    add_tasks(l);
    add(l, FIRST + 2 * KEYS);
    read_of(l, BAD, first, 1);
    read_of(l, GOOD, second, 1);
    read_of(l, GOOD, third, 1);
    assert_int_equal(l->a.failures, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_later_read_of_the_same_moment_does_not_accuse_an_earlier_one, begin, end),
        cmocka_unit_test_setup_teardown(what_failed_after_it_was_given_together_accuses_nobody,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_a_cut_took_back_accuses_nobody, begin, end),
        cmocka_unit_test_setup_teardown(what_was_left_open_by_a_cut_is_of_the_life_that_told_it,
                                        begin, end),
        cmocka_unit_test_setup_teardown(it_is_found_when_something_outstays_its_time, begin, end),
        cmocka_unit_test_setup_teardown(it_is_found_when_what_came_before_is_with_another, begin,
                                        end),
        cmocka_unit_test_setup_teardown(it_is_found_when_what_came_before_rests, begin, end),
        cmocka_unit_test_setup_teardown(it_is_found_when_what_came_before_was_never_given, begin,
                                        end),
        cmocka_unit_test_setup_teardown(two_deliveries_at_one_moment_are_found_each_in_its_read,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
