/* SPDX-License-Identifier: Apache-2.0 */
/* Keys with members: coming and going, refusals that change nothing, members whose hashes collide. */
#include "engine/keyval/table.h"

#include "engine/base/scan.h"
#include "oxbow/upgrade.h"
#include "tests/keyval/tree_check.h"
#include "tests/queue/stream_fixture.h"

static struct table made(struct streams *f, const char *name)
{
    struct table t;

    assert_ok(table_find_or_make(f->txn, text_bytes(name), OXBOW_TYPE_SET, 10, &t));
    return t;
}

static void add(struct table *t, const char *member, const char *value)
{
    struct btree_place p;
    struct btree_entry e;
    bool found;

    assert_ok(table_member_find(t, text_bytes(member), &p, &e, &found));
    assert_false(found);
    assert_ok(table_member_add(t, &p, text_bytes(member), text_bytes(value)));
}

static void many_members_are_added_by_their_hashes_and_few_as_they_come(void **state)
{
    enum { MANY = 500 };
    static struct oxbow_field all[MANY];
    static char text[MANY][16];
    static bool seen[MANY];
    struct streams *f = *state;
    struct table t = made(f, "t");
    struct table_order o;

    for (size_t i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "m%d", (int)i % 100);
        all[i].name = text_bytes(text[i]);
    }
    assert_ok(table_order_open(&t, all, sizeof all[0], MANY, &o));
    for (size_t i = 0; i < MANY; i++) {
        size_t at = table_order_at(&o, i);

        assert_true(at < MANY && !seen[at]);
        seen[at] = true;
        if (i > 0) {
            size_t last = table_order_at(&o, i - 1);
            uint64_t a = member_key(&t, all[last].name).order;
            uint64_t b = member_key(&t, all[at].name).order;

            assert_true(a < b || (a == b && last < at));
        }
    }
    table_order_close(&t, &o);
    assert_ok(table_order_open(&t, all, sizeof all[0], 31, &o));
    for (size_t i = 0; i < 31; i++) {
        assert_int_equal(table_order_at(&o, i), i);
    }
    table_order_close(&t, &o);
    add(&t, "one", "");
    assert_ok(table_close(&t, OXBOW_OK));
}

static void a_table_goes_with_its_last_member(void **state)
{
    const struct oxbow_bytes members[] = {BYTES("a"), BYTES("x"), BYTES("b")};
    struct streams *f = *state;
    uint64_t deleted;
    uint64_t count;
    struct table t = made(f, "t");

    add(&t, "a", "1");
    add(&t, "b", "2");
    assert_ok(table_close(&t, OXBOW_OK));
    assert_ok(table_count(f->txn, BYTES("t"), OXBOW_TYPE_SET, &count));
    assert_int_equal(count, 2);
    streams_reopen(f);
    assert_ok(table_find_to_write(f->txn, BYTES("t"), OXBOW_TYPE_SET, &t));
    assert_ok(table_delete(&t, members, 3, &deleted));
    assert_int_equal(deleted, 2);
    assert_err(table_find(f->txn, BYTES("t"), OXBOW_TYPE_SET, &t), OXBOW_ENOENT);
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 0);
    assert_ok(table_count(f->txn, BYTES("t"), OXBOW_TYPE_SET, &count));
    assert_int_equal(count, 0);
}

static void a_refusal_makes_nothing(void **state)
{
    static char name[OXBOW_KEY_NAME_MAX + 1];
    struct streams *f = *state;
    uint64_t count;
    struct table t = made(f, "t");

    add(&t, "a", "1");
    assert_ok(table_close(&t, OXBOW_OK));
    assert_err(table_find_or_make(f->txn, BYTES("t"), OXBOW_TYPE_HASH, 10, &t), OXBOW_EWRONGTYPE);
    assert_err(table_find(f->txn, BYTES("t"), OXBOW_TYPE_ZSET, &t), OXBOW_EWRONGTYPE);
    assert_err(
        table_find_or_make(f->txn, (struct oxbow_bytes){name, sizeof name}, OXBOW_TYPE_SET, 10, &t),
        OXBOW_ETOOBIG);
    assert_err(table_find_or_make(f->txn, (struct oxbow_bytes){NULL, 1}, OXBOW_TYPE_SET, 10, &t),
               OXBOW_EINVAL);
    assert_err(table_find_or_make(f->txn, BYTES("u"), OXBOW_TYPE_SET, (uint64_t)1 << 50, &t),
               OXBOW_EQUOTA);
    assert_ok(oxbow_key_count(f->txn, &count));
    assert_int_equal(count, 1);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(table_find_or_make(f->txn, BYTES("u"), OXBOW_TYPE_SET, 10, &t), OXBOW_EREADONLY);
    assert_err(table_find_to_write(f->txn, BYTES("t"), OXBOW_TYPE_SET, &t), OXBOW_EREADONLY);
    assert_ok(table_find(f->txn, BYTES("t"), OXBOW_TYPE_SET, &t));
}

static void what_is_too_long_and_what_is_null_is_told_apart(void **state)
{
    struct streams *f = *state;
    uint32_t max = txn_entry_bytes_max(f->txn);
    struct oxbow_bytes members[] = {BYTES("a"), {"", max}, {NULL, 0}};
    uint64_t bytes = 0;

    assert_ok(table_check(f->txn, members, 3, &bytes));
    assert_true(bytes > max);
    members[1].len = (size_t)max + 1;
    assert_err(table_check(f->txn, members, 3, &bytes), OXBOW_ETOOBIG);
    members[2].len = 1;
    assert_err(table_check(f->txn, members, 3, &bytes), OXBOW_EINVAL);
    assert_err(table_check(f->txn, members, 0, &bytes), OXBOW_EINVAL);
    assert_err(table_check(f->txn, NULL, 1, &bytes), OXBOW_EINVAL);
}

/* Put in under one hash, as if they had it. */
static void a_scan_gives_all_members_of_one_hash_together(void **state)
{
    struct streams *f = *state;
    struct table t = made(f, "t");
    uint64_t cursor = 0;
    size_t seen = 0;
    unsigned calls = 0;

    for (unsigned i = 0; i < 300; i++) {
        struct btree_place p;
        bool equal;
        char text[16];
        size_t len = (size_t)snprintf(text, sizeof text, "%u", i);
        uint64_t order = i < 250 ? scan_cursor_order(i < 100 ? i : 500) : UINT64_MAX;
        struct btree_key key = {order, {text, len}};
        struct btree_entry e = {.order = order, .member = {text, len, 0}};

        t.dirty = true;
        assert_ok(btree_find(&t.members, &key, &p, &equal));
        assert_ok(btree_insert(&p, &e));
    }
    tree_check(&t.members, NULL);
    do {
        assert_ok(result_begin(&f->result, &f->rig.port.alloc, 10000));
        assert_ok(table_scan(&t, &cursor, 30, TABLE_MEMBERS, &f->result));
        result_finish(&f->result);
        seen += f->result.item_count;
        calls++;
        assert_true(cursor == 0 || cursor < 100 || cursor == 500 || cursor == SCAN_CURSOR_MAX);
    } while (cursor != 0);
    assert_int_equal(seen, 300);
    assert_int_equal(calls, 5); /* 30, 30, 30, 10 + 150, 50 */
    cursor = SCAN_CURSOR_MAX + 1;
    assert_ok(result_begin(&f->result, &f->rig.port.alloc, 10000));
    assert_ok(table_scan(&t, &cursor, 30, TABLE_MEMBERS, &f->result));
    result_finish(&f->result);
    assert_int_equal(cursor, 0);
    assert_int_equal(f->result.item_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_members_are_added_by_their_hashes_and_few_as_they_come),
        TEST(a_table_goes_with_its_last_member),
        TEST(a_refusal_makes_nothing),
        TEST(what_is_too_long_and_what_is_null_is_told_apart),
        TEST(a_scan_gives_all_members_of_one_hash_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
