/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "oxbow/policy.h"

#include <stdlib.h>

static struct oxbow_bytes key(void)
{
    return bytes_of("l");
}

static void set(struct fixture *f, struct oxbow_policy p)
{
    assert_ok(oxbow_policy_set(f->txn, key(), &p));
}

static enum oxbow_err push(struct fixture *f, enum oxbow_end end, const char *value)
{
    struct oxbow_bytes v = bytes_of(value);

    return oxbow_list_push(f->txn, key(), end, &v, 1, NULL);
}

static const char *all(struct fixture *f)
{
    assert_ok(oxbow_list_range(f->txn, key(), 0, -1, &f->result));
    return fixture_items(&f->result);
}

static uint64_t dropped(struct fixture *f, enum oxbow_drop_cause cause)
{
    struct oxbow_drops d;

    assert_ok(oxbow_policy_drops(f->txn, key(), cause, &d));
    return d.entries;
}

static void the_oldest_go_from_the_other_end(void **state)
{
    struct fixture *f = *state;
    struct oxbow_drops d;
    uint64_t len;

    set(f, (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(push(f, OXBOW_RIGHT, "a"));
    assert_ok(push(f, OXBOW_RIGHT, "b"));
    assert_ok(push(f, OXBOW_RIGHT, "c"));
    assert_string_equal(all(f), "b c");
    assert_ok(push(f, OXBOW_LEFT, "d"));
    assert_string_equal(all(f), "d b");
    assert_ok(oxbow_list_push(f->txn, key(), OXBOW_RIGHT,
                              (struct oxbow_bytes[]){{"1", 1}, {"2", 1}, {"3", 1}}, 3, &len));
    assert_int_equal(len, 2);
    assert_string_equal(all(f), "2 3");
    assert_ok(oxbow_policy_drops(f->txn, key(), OXBOW_DROP_LENGTH, &d));
    assert_int_equal(d.entries, 5);
    assert_int_equal(d.first.seq, 1);
    assert_int_equal(d.to.seq, 5);
    assert_int_equal(d.bytes, 5);
}

static void bytes_are_kept_to_the_element(void **state)
{
    struct fixture *f = *state;
    struct oxbow_list_info info;
    char value[5000];

    set(f, (struct oxbow_policy){.max_bytes = 20000, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 1; i <= 600; i++) {
        size_t len = i * 37 % sizeof value;

        memset(value, 'x', len);
        value[len] = '\0';
        assert_ok(push(f, i % 3 == 0 ? OXBOW_LEFT : OXBOW_RIGHT, value));
        assert_ok(oxbow_list_info(f->txn, key(), &info));
        assert_true(info.bytes <= 20000);
        assert_int_equal(dropped(f, OXBOW_DROP_BYTES) + info.length, i);
    }
    assert_true(info.bytes > 15000);
}

static void a_full_list_refuses_until_something_is_taken(void **state)
{
    struct fixture *f = *state;
    int64_t len;

    set(f, (struct oxbow_policy){.max_entries = 2, .max_bytes = 5});
    assert_ok(push(f, OXBOW_RIGHT, "abc"));
    assert_err(push(f, OXBOW_RIGHT, "def"), OXBOW_EFULL);
    assert_ok(push(f, OXBOW_RIGHT, "de"));
    assert_err(push(f, OXBOW_RIGHT, ""), OXBOW_EFULL);
    assert_err(oxbow_list_insert(f->txn, key(), true, bytes_of("de"), bytes_of(""), &len),
               OXBOW_EFULL);
    assert_err(oxbow_list_push(f->txn, key(), OXBOW_LEFT,
                               (struct oxbow_bytes[]){{"1", 1}, {"2", 1}}, 2, NULL),
               OXBOW_EFULL);
    assert_string_equal(all(f), "abc de");
    assert_ok(oxbow_list_pop(f->txn, key(), OXBOW_LEFT, 1, &f->result));
    assert_ok(push(f, OXBOW_RIGHT, "x"));
    assert_ok(oxbow_list_trim(f->txn, key(), 1, 0)); /* all of it: the list is gone */
    assert_err(push(f, OXBOW_RIGHT, "123456"), OXBOW_ETOOBIG);
    assert_ok(push(f, OXBOW_RIGHT, "12345"));
    fixture_commit(f);
    fixture_begin(f);
}

static void a_move_keeps_the_limit_of_where_it_goes(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes from = bytes_of("from");

    set(f, (struct oxbow_policy){.max_entries = 2});
    assert_ok(oxbow_list_push(f->txn, from, OXBOW_RIGHT,
                              (struct oxbow_bytes[]){{"1", 1}, {"2", 1}, {"3", 1}}, 3, NULL));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(oxbow_list_move(f->txn, from, key(), OXBOW_LEFT, OXBOW_RIGHT, &f->result));
    }
    assert_err(oxbow_list_move(f->txn, from, key(), OXBOW_LEFT, OXBOW_RIGHT, &f->result),
               OXBOW_EFULL);
    assert_ok(oxbow_list_move(f->txn, key(), key(), OXBOW_LEFT, OXBOW_RIGHT, &f->result));
    assert_string_equal(all(f), "2 1");
    set(f, (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(oxbow_list_move(f->txn, from, key(), OXBOW_LEFT, OXBOW_LEFT, &f->result));
    assert_string_equal(all(f), "3 2");
}

static void an_insert_drops_the_oldest_too(void **state)
{
    struct fixture *f = *state;
    int64_t len;

    assert_ok(oxbow_list_push(f->txn, key(), OXBOW_RIGHT,
                              (struct oxbow_bytes[]){{"1", 1}, {"2", 1}, {"3", 1}}, 3, NULL));
    set(f, (struct oxbow_policy){.max_entries = 3, .on_full = OXBOW_POLICY_DROP_OLDEST});
    assert_ok(oxbow_list_insert(f->txn, key(), true, bytes_of("3"), bytes_of("x"), &len));
    assert_string_equal(all(f), "2 x 3");
    assert_int_equal(len, 3);
}

static void the_policy_is_there_when_the_list_comes_again(void **state)
{
    struct fixture *f = *state;

    set(f, (struct oxbow_policy){.max_entries = 1});
    assert_ok(push(f, OXBOW_RIGHT, "a"));
    assert_ok(oxbow_list_pop(f->txn, key(), OXBOW_LEFT, 1, &f->result));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_ok(push(f, OXBOW_RIGHT, "b"));
    assert_err(push(f, OXBOW_RIGHT, "c"), OXBOW_EFULL);
}

static void a_lowered_limit_is_reached_in_steps(void **state)
{
    struct fixture *f = *state;
    unsigned pushes = 0;
    uint64_t len;

    for (unsigned i = 0; i < 10000; i++) {
        assert_ok(push(f, OXBOW_RIGHT, "x"));
    }
    set(f, (struct oxbow_policy){.max_entries = 10, .on_full = OXBOW_POLICY_DROP_OLDEST});
    do {
        assert_ok(push(f, OXBOW_RIGHT, "x"));
        assert_ok(oxbow_list_len(f->txn, key(), &len));
        assert_true(++pushes <= 3);
    } while (len > 10);
    assert_int_equal(dropped(f, OXBOW_DROP_LENGTH), 9990 + pushes);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_oldest_go_from_the_other_end),
        T(bytes_are_kept_to_the_element),
        T(a_full_list_refuses_until_something_is_taken),
        T(a_move_keeps_the_limit_of_where_it_goes),
        T(an_insert_drops_the_oldest_too),
        T(the_policy_is_there_when_the_list_comes_again),
        T(a_lowered_limit_is_reached_in_steps),
    };

    return cmocka_run_group_tests_name("policy_list", tests, NULL, NULL);
}
