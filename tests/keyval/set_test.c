/* SPDX-License-Identifier: Apache-2.0 */
/* Sets by the book. */
#include "tests/keyval/set_fixture.h"

#include "engine/store/kv.h"

static void members_come_and_go_and_the_key_with_them(void **state)
{
    const struct oxbow_bytes two[] = {BYTES("b"), BYTES("x"), BYTES("b")};
    const struct oxbow_bytes rest[] = {BYTES("a"), BYTES("c")};
    struct streams *f = *state;
    enum oxbow_type type;
    bool present[3];
    uint64_t n;
    bool has;

    assert_string_equal(sall(f, "s"), "");
    assert_int_equal(sadd(f, "s", "abca"), 3);
    assert_int_equal(sadd(f, "s", "ab"), 0);
    streams_reopen(f);
    assert_string_equal(sall(f, "s"), "abc");
    assert_ok(oxbow_key_type(f->txn, BYTES("s"), &type));
    assert_int_equal(type, OXBOW_TYPE_SET);
    assert_ok(oxbow_set_has(f->txn, BYTES("s"), BYTES("b"), &has));
    assert_true(has);
    assert_ok(oxbow_set_has_many(f->txn, BYTES("s"), two, 3, present));
    assert_true(present[0] && !present[1] && present[2]);
    assert_ok(oxbow_set_has_many(f->txn, BYTES("none"), two, 3, present));
    assert_false(present[0] || present[1] || present[2]);
    assert_ok(oxbow_set_remove(f->txn, BYTES("s"), two, 3, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_set_remove(f->txn, BYTES("s"), rest, 2, &n));
    assert_int_equal(n, 2);
    assert_ok(oxbow_set_remove(f->txn, BYTES("s"), rest, 2, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

/* More than one transaction could take in or out one by one, in any order. */
static void many_members_come_and_go_in_one_transaction(void **state)
{
    enum { MANY = 40000 };
    static struct oxbow_bytes all[MANY];
    static char text[MANY][16];
    static bool present[MANY];
    struct streams *f = *state;
    uint64_t left = 0;
    uint64_t n;

    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "m%06d", i);
        all[i] = text_bytes(text[i]);
    }
    assert_ok(oxbow_set_add(f->txn, BYTES("s"), all, MANY, &n));
    assert_int_equal(n, MANY);
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_set_pop(f->txn, BYTES("s"), MANY / 2 + 7, &f->result));
    assert_int_equal(f->result.item_count, MANY / 2 + 7);
    assert_ok(
        oxbow_set_has_many(f->txn, BYTES("s"), f->result.items, f->result.item_count, present));
    for (size_t i = 0; i < f->result.item_count; i++) {
        assert_false(present[i]); /* and so none was given twice: they are as many as are gone */
    }
    assert_ok(oxbow_set_has_many(f->txn, BYTES("s"), all, MANY, present));
    for (int i = 0; i < MANY; i++) {
        left += present[i];
    }
    assert_int_equal(left, MANY / 2 - 7);
    assert_ok(oxbow_set_remove(f->txn, BYTES("s"), all + 1, MANY - 1, &n));
    assert_int_equal(n, left - present[0]);
    assert_ok(oxbow_set_count(f->txn, BYTES("s"), &n));
    assert_int_equal(n, present[0]);
    assert_ok(oxbow_set_remove(f->txn, BYTES("s"), all, MANY, &n));
    streams_reopen(f);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

static void members_are_popped_by_chance_until_none_is_left(void **state)
{
    struct streams *f = *state;
    uint64_t n;

    assert_ok(oxbow_set_pop(f->txn, BYTES("s"), 3, &f->result));
    assert_int_equal(f->result.item_count, 0);
    sadd(f, "s", "abcdefgh");
    assert_ok(oxbow_set_pop(f->txn, BYTES("s"), 0, &f->result));
    assert_int_equal(f->result.item_count, 0);
    for (unsigned left = 8; left > 2; left -= 2) {
        bool has;

        assert_ok(oxbow_set_pop(f->txn, BYTES("s"), 2, &f->result));
        assert_int_equal(f->result.item_count, 2);
        assert_ok(oxbow_set_has(f->txn, BYTES("s"), f->result.items[0], &has));
        assert_false(has);
        assert_int_equal(strlen(sall(f, "s")), left - 2);
    }
    assert_ok(oxbow_set_pop(f->txn, BYTES("s"), UINT64_MAX, &f->result));
    assert_int_equal(f->result.item_count, 2);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

static void a_member_moves_from_one_set_to_another(void **state)
{
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    bool moved;

    assert_ok(oxbow_list_push(f->txn, BYTES("list"), OXBOW_RIGHT, &element, 1, NULL));
    assert_ok(oxbow_set_move(f->txn, BYTES("s"), BYTES("list"), BYTES("a"), &moved));
    assert_false(moved);
    sadd(f, "s", "ab");
    assert_err(oxbow_set_move(f->txn, BYTES("s"), BYTES("list"), BYTES("x"), &moved),
               OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_move(f->txn, BYTES("s"), BYTES("list"), BYTES("a"), &moved),
               OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_move(f->txn, BYTES("list"), BYTES("s"), BYTES("a"), &moved),
               OXBOW_EWRONGTYPE);
    assert_string_equal(sall(f, "s"), "ab");
    assert_ok(oxbow_set_move(f->txn, BYTES("s"), BYTES("t"), BYTES("a"), &moved));
    assert_true(moved);
    assert_ok(oxbow_set_move(f->txn, BYTES("s"), BYTES("t"), BYTES("a"), &moved));
    assert_false(moved);
    assert_ok(oxbow_set_move(f->txn, BYTES("s"), BYTES("s"), BYTES("b"), &moved));
    assert_true(moved);
    assert_string_equal(sall(f, "s"), "b");
    assert_string_equal(sall(f, "t"), "a");
    sadd(f, "t", "b");
    assert_ok(oxbow_set_move(f->txn, BYTES("s"), BYTES("t"), BYTES("b"), &moved));
    assert_true(moved);
    assert_string_equal(sall(f, "s"), "");
    assert_string_equal(sall(f, "t"), "ab");
}

static void scans_and_chance_give_what_is_there(void **state)
{
    struct streams *f = *state;
    uint64_t cursor = 0;
    size_t n = 0;

    sadd(f, "s", "abcdefghijklmnopqrstuvwxyz");
    do {
        assert_ok(oxbow_set_scan(f->txn, BYTES("s"), &cursor, 5, &f->result));
        n += f->result.item_count;
        streams_reopen(f);
    } while (cursor != 0);
    assert_int_equal(n, 26);
    assert_ok(oxbow_set_random(f->txn, BYTES("s"), 26, &f->result));
    assert_string_equal(letters(&f->result), "abcdefghijklmnopqrstuvwxyz");
    assert_ok(oxbow_set_random(f->txn, BYTES("s"), 5, &f->result));
    assert_int_equal(f->result.item_count, 5);
    assert_ok(oxbow_set_random(f->txn, BYTES("s"), -50, &f->result));
    assert_int_equal(f->result.item_count, 50);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    const struct oxbow_bytes null = {NULL, 1};
    const struct oxbow_bytes big = {
        "", (size_t)txn_entry_bytes_max(((struct streams *)*state)->txn) + 1};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;
    bool b;

    assert_err(oxbow_set_add(f->txn, BYTES("s"), &null, 1, &n), OXBOW_EINVAL);
    assert_err(oxbow_set_add(f->txn, BYTES("s"), NULL, 1, &n), OXBOW_EINVAL);
    assert_err(oxbow_set_add(f->txn, BYTES("s"), &element, 0, &n), OXBOW_EINVAL);
    assert_err(oxbow_set_add(f->txn, BYTES("s"), &big, 1, &n), OXBOW_ETOOBIG);
    assert_err(oxbow_set_has(f->txn, BYTES("s"), null, &b), OXBOW_EINVAL);
    assert_err(oxbow_set_has(f->txn, BYTES("s"), element, NULL), OXBOW_EINVAL);
    assert_err(oxbow_set_move(f->txn, BYTES("s"), BYTES("t"), element, NULL), OXBOW_EINVAL);
    assert_err(oxbow_set_pop(f->txn, BYTES("s"), 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_set_random(f->txn, BYTES("s"), INT64_MIN, &f->result), OXBOW_ERANGE);
    assert_err(oxbow_set_scan(f->txn, BYTES("s"), &n, OXBOW_SET_SCAN_MAX + 1, &f->result),
               OXBOW_EINVAL);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_list_push(f->txn, BYTES("s"), OXBOW_RIGHT, &element, 1, NULL));
    assert_err(oxbow_set_add(f->txn, BYTES("s"), &element, 1, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_all(f->txn, BYTES("s"), &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_set_pop(f->txn, BYTES("s"), 1, &f->result), OXBOW_EWRONGTYPE);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_set_add(f->txn, BYTES("t"), &element, 1, &n), OXBOW_EREADONLY);
    assert_err(oxbow_set_pop(f->txn, BYTES("t"), 1, &f->result), OXBOW_EREADONLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_come_and_go_and_the_key_with_them),
        TEST(many_members_come_and_go_in_one_transaction),
        TEST(members_are_popped_by_chance_until_none_is_left),
        TEST(a_member_moves_from_one_set_to_another),
        TEST(scans_and_chance_give_what_is_there),
        TEST(bad_input_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
