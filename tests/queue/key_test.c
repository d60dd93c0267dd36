/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "oxbow/forward.h"
#include "oxbow/stream.h"

static void push(struct fixture *f, const char *key, const char *value)
{
    struct oxbow_bytes v = bytes_of(value);

    assert_ok(oxbow_list_push(f->txn, bytes_of(key), OXBOW_RIGHT, &v, 1, NULL));
}

static enum oxbow_type type_of(struct fixture *f, const char *key)
{
    enum oxbow_type type;

    assert_ok(oxbow_key_type(f->txn, bytes_of(key), &type));
    return type;
}

static uint64_t count_of(struct fixture *f)
{
    uint64_t count;

    assert_ok(oxbow_key_count(f->txn, &count));
    return count;
}

static void type_tells_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct oxbow_stream_add_options add = {0};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_id id;

    push(f, "l", "v");
    assert_ok(oxbow_stream_add(f->txn, bytes_of("s"), &add, &field, 1, &id));
    assert_int_equal(type_of(f, "l"), OXBOW_TYPE_LIST);
    assert_int_equal(type_of(f, "s"), OXBOW_TYPE_STREAM);
    assert_int_equal(type_of(f, "x"), OXBOW_TYPE_NONE);
    assert_err(oxbow_key_type(f->txn, bytes_of("l"), NULL), OXBOW_EINVAL);
}

static void delete_says_whether_there_was_something(void **state)
{
    struct fixture *f = *state;
    bool existed;

    push(f, "l", "v");
    assert_ok(oxbow_key_delete(f->txn, bytes_of("l"), &existed));
    assert_true(existed);
    assert_ok(oxbow_key_delete(f->txn, bytes_of("l"), &existed));
    assert_false(existed);
    assert_ok(oxbow_key_delete(f->txn, bytes_of("l"), NULL));
    push(f, "l", "new"); /* a new list, not the old one's rest */
    assert_ok(oxbow_list_range(f->txn, bytes_of("l"), 0, -1, &f->result));
    assert_items(f, "new");
}

static void rename_takes_the_content_along(void **state)
{
    struct fixture *f = *state;

    assert_err(oxbow_key_rename(f->txn, bytes_of("a"), bytes_of("b"), false), OXBOW_ENOENT);
    push(f, "a", "1");
    push(f, "b", "2");
    assert_err(oxbow_key_rename(f->txn, bytes_of("a"), bytes_of("b"), true), OXBOW_EEXIST);
    assert_ok(oxbow_key_rename(f->txn, bytes_of("a"), bytes_of("b"), false));
    assert_ok(oxbow_list_range(f->txn, bytes_of("b"), 0, -1, &f->result));
    assert_items(f, "1");
    assert_int_equal(count_of(f), 1);
}

static void scan_gives_every_name_in_bounded_steps(void **state)
{
    struct fixture *f = *state;
    uint64_t cursor = 0;
    size_t seen = 0;
    char name[24];

    for (int i = 0; i < 95; i++) {
        snprintf(name, sizeof(name), "key-%d", i);
        push(f, name, "v");
    }
    do {
        assert_ok(oxbow_key_scan(f->txn, &cursor, 0, &f->result));
        assert_true(f->result.item_count <= 10);
        seen += f->result.item_count;
    } while (cursor != 0);
    assert_int_equal(seen, 95);
    assert_ok(oxbow_key_scan(f->txn, &cursor, 10000, &f->result));
    assert_int_equal(f->result.item_count, 95);
    assert_int_equal(cursor, 0);
    assert_err(oxbow_key_scan(f->txn, &cursor, 10001, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_key_scan(f->txn, NULL, 1, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_key_scan(f->txn, &cursor, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_key_count(f->txn, NULL), OXBOW_EINVAL);
}

static void flush_and_swap_work_on_databases(void **state)
{
    struct fixture *f = *state;

    push(f, "a", "zero");
    assert_ok(oxbow_txn_select(f->txn, 15));
    push(f, "a", "fifteen");
    assert_ok(oxbow_key_swap(f->txn, 0, 15));
    assert_ok(oxbow_list_range(f->txn, bytes_of("a"), 0, -1, &f->result));
    assert_items(f, "zero");
    assert_ok(oxbow_key_flush(f->txn));
    assert_int_equal(count_of(f), 0);
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_int_equal(count_of(f), 1);
    assert_err(oxbow_key_swap(f->txn, 0, 16), OXBOW_ENODB);
    assert_err(oxbow_key_swap(f->txn, 16, 0), OXBOW_ENODB);
}

/* A key that a forward carries is left alone, but at its tail. */
static void what_a_forward_carries_is_protected(void **state)
{
    struct fixture *f = *state;
    struct oxbow_forward_options opt = {
        .key = bytes_of("l"), .type = OXBOW_TYPE_LIST, .target = bytes_of("t")};
    struct oxbow_txn_options forced = {.flags = OXBOW_TXN_FORCE};
    struct oxbow_bytes v = bytes_of("v");
    uint64_t n;
    int64_t len;

    push(f, "l", "1");
    push(f, "l", "2");
    push(f, "other", "3");
    assert_ok(oxbow_forward_create(f->txn, "fw", &opt));
    push(f, "l", "4");
    assert_err(oxbow_list_push(f->txn, bytes_of("l"), OXBOW_LEFT, &v, 1, NULL), OXBOW_EPROTECTED);
    assert_err(oxbow_list_pop(f->txn, bytes_of("l"), OXBOW_LEFT, 1, &f->result), OXBOW_EPROTECTED);
    assert_err(oxbow_list_pop(f->txn, bytes_of("l"), OXBOW_RIGHT, 1, &f->result), OXBOW_EPROTECTED);
    assert_err(oxbow_list_trim(f->txn, bytes_of("l"), 0, 0), OXBOW_EPROTECTED);
    assert_err(oxbow_list_set(f->txn, bytes_of("l"), 0, v), OXBOW_EPROTECTED);
    assert_err(oxbow_list_insert(f->txn, bytes_of("l"), true, bytes_of("2"), v, &len),
               OXBOW_EPROTECTED);
    assert_err(oxbow_list_remove(f->txn, bytes_of("l"), 0, v, &n), OXBOW_EPROTECTED);
    assert_err(
        oxbow_list_move(f->txn, bytes_of("l"), bytes_of("x"), OXBOW_LEFT, OXBOW_LEFT, &f->result),
        OXBOW_EPROTECTED);
    assert_err(oxbow_list_move(f->txn, bytes_of("other"), bytes_of("l"), OXBOW_LEFT, OXBOW_LEFT,
                               &f->result),
               OXBOW_EPROTECTED);
    assert_ok(oxbow_list_move(f->txn, bytes_of("other"), bytes_of("l"), OXBOW_LEFT, OXBOW_RIGHT,
                              &f->result));
    assert_err(oxbow_key_delete(f->txn, bytes_of("l"), NULL), OXBOW_EPROTECTED);
    assert_err(oxbow_key_rename(f->txn, bytes_of("l"), bytes_of("x"), false), OXBOW_EPROTECTED);
    assert_err(oxbow_key_flush(f->txn), OXBOW_EPROTECTED);
    assert_err(oxbow_key_swap(f->txn, 3, 0), OXBOW_EPROTECTED);
    assert_int_equal(type_of(f, "l"), OXBOW_TYPE_LIST);
    assert_ok(oxbow_list_range(f->txn, bytes_of("l"), 0, -1, &f->result));
    assert_items(f, "1 2 4 3");
    fixture_commit(f);
    assert_ok(oxbow_txn_begin(f->db, &forced, &f->txn));
    assert_ok(oxbow_list_pop(f->txn, bytes_of("l"), OXBOW_LEFT, 1, &f->result));
    assert_items(f, "1");
    fixture_commit(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(type_tells_what_is_there),         TEST(delete_says_whether_there_was_something),
        TEST(rename_takes_the_content_along),   TEST(scan_gives_every_name_in_bounded_steps),
        TEST(flush_and_swap_work_on_databases), TEST(what_a_forward_carries_is_protected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
