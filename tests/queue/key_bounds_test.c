/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on keys at their limits, by readers, and in transactions that are aborted. */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

static void push(struct streams *f, const char *key, const char *value)
{
    struct oxbow_bytes bytes = text_bytes(value);

    assert_ok(oxbow_list_push(f->txn, text_bytes(key), OXBOW_RIGHT, &bytes, 1, NULL));
}

static enum oxbow_type type_of(struct streams *f, const char *key)
{
    enum oxbow_type type = OXBOW_TYPE_ZSET;

    assert_ok(oxbow_key_type(f->txn, text_bytes(key), &type));
    return type;
}

static uint64_t count_of(struct streams *f)
{
    uint64_t count = 99;

    assert_ok(oxbow_key_count(f->txn, &count));
    return count;
}

static void a_rename_takes_the_content_along_and_replaces_what_was_there(void **state)
{
    struct streams *f = *state;

    assert_ok(streams_put(f, "from", ID(1, 0), "moved"));
    push(f, "to", "replaced");
    assert_err(oxbow_key_rename(f->txn, text_bytes("from"), text_bytes("to"), true), OXBOW_EEXIST);
    assert_int_equal(type_of(f, "to"), OXBOW_TYPE_LIST);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("from"), text_bytes("to"), false));
    assert_int_equal(type_of(f, "from"), OXBOW_TYPE_NONE);
    assert_string_equal(streams_all(f, "to"), "1-0{f=moved}");
    assert_int_equal(count_of(f), 1);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("to"), text_bytes("new"), true));
    assert_string_equal(streams_all(f, "new"), "1-0{f=moved}");
    assert_err(oxbow_key_rename(f->txn, text_bytes("to"), text_bytes("x"), false), OXBOW_ENOENT);
    /* Onto itself. */
    assert_ok(oxbow_key_rename(f->txn, text_bytes("new"), text_bytes("new"), false));
    assert_err(oxbow_key_rename(f->txn, text_bytes("new"), text_bytes("new"), true), OXBOW_EEXIST);
    assert_string_equal(streams_all(f, "new"), "1-0{f=moved}");
}

static void a_name_is_any_bytes_up_to_its_limit(void **state)
{
    static char name[OXBOW_KEY_NAME_MAX + 1];
    struct streams *f = *state;
    struct oxbow_bytes longest = {name, OXBOW_KEY_NAME_MAX};
    struct oxbow_bytes shorter = {name, OXBOW_KEY_NAME_MAX - 1};
    struct oxbow_bytes over = {name, OXBOW_KEY_NAME_MAX + 1};
    struct oxbow_bytes none = {NULL, 0};
    struct oxbow_bytes value = BYTES("v");
    enum oxbow_type type;

    assert_ok(oxbow_list_push(f->txn, longest, OXBOW_LEFT, &value, 1, NULL));
    assert_ok(oxbow_list_push(f->txn, shorter, OXBOW_LEFT, &value, 1, NULL));
    assert_ok(oxbow_list_push(f->txn, none, OXBOW_LEFT, &value, 1, NULL));
    assert_err(oxbow_list_push(f->txn, over, OXBOW_LEFT, &value, 1, NULL), OXBOW_ETOOBIG);
    assert_err(oxbow_key_rename(f->txn, none, over, false), OXBOW_ETOOBIG);
    assert_ok(oxbow_key_type(f->txn, over, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    assert_int_equal(count_of(f), 3);
    assert_ok(oxbow_key_type(f->txn, none, &type));
    assert_int_equal(type, OXBOW_TYPE_LIST);
}

static void a_scan_takes_up_to_ten_thousand_at_once(void **state)
{
    struct streams *f = *state;
    uint64_t cursor = 0;
    size_t found = 0;
    unsigned i;

    for (i = 0; i < 35; i++) {
        char name[8];

        snprintf(name, sizeof name, "%u", i);
        push(f, name, "v");
    }
    do {
        assert_ok(oxbow_key_scan(f->txn, &cursor, 0, &f->result));
        assert_true(f->result.item_count <= 11);
        found += f->result.item_count;
    } while (cursor != 0);
    assert_int_equal(found, 35);
    assert_ok(oxbow_key_scan(f->txn, &cursor, 10000, &f->result));
    assert_int_equal(f->result.item_count, 35);
    assert_int_equal(cursor, 0);
    assert_err(oxbow_key_scan(f->txn, &cursor, 10001, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_key_scan(f->txn, NULL, 1, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_key_scan(f->txn, &cursor, 1, NULL), OXBOW_EINVAL);
    /* Any number is a cursor. */
    cursor = UINT64_MAX;
    assert_ok(oxbow_key_scan(f->txn, &cursor, 10, &f->result));
}

static void databases_are_flushed_and_swapped_alone(void **state)
{
    struct streams *f = *state;

    push(f, "zero", "v");
    assert_ok(oxbow_txn_select(f->txn, 15));
    push(f, "fifteen", "v");
    assert_err(oxbow_key_swap(f->txn, 0, 16), OXBOW_ENODB);
    assert_err(oxbow_key_swap(f->txn, 16, 0), OXBOW_ENODB);
    assert_ok(oxbow_key_swap(f->txn, 0, 15));
    assert_int_equal(type_of(f, "zero"), OXBOW_TYPE_LIST);
    assert_int_equal(type_of(f, "fifteen"), OXBOW_TYPE_NONE);
    assert_ok(oxbow_key_swap(f->txn, 3, 3));
    assert_ok(oxbow_key_flush(f->txn));
    assert_int_equal(count_of(f), 0);
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_int_equal(type_of(f, "fifteen"), OXBOW_TYPE_LIST);
    assert_int_equal(count_of(f), 1);
}

static void a_reader_changes_nothing(void **state)
{
    struct streams *f = *state;
    bool existed = true;

    push(f, "k", "v");
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_key_delete(f->txn, text_bytes("k"), &existed), OXBOW_EREADONLY);
    assert_err(oxbow_key_delete(f->txn, text_bytes("none"), NULL), OXBOW_EREADONLY);
    assert_err(oxbow_key_rename(f->txn, text_bytes("k"), text_bytes("n"), false), OXBOW_EREADONLY);
    assert_err(oxbow_key_flush(f->txn), OXBOW_EREADONLY);
    assert_err(oxbow_key_swap(f->txn, 0, 1), OXBOW_EREADONLY);
    assert_true(existed);
    assert_int_equal(type_of(f, "k"), OXBOW_TYPE_LIST);
    streams_commit(f);
}

static void what_an_aborted_transaction_did_to_keys_never_was(void **state)
{
    struct streams *f = *state;

    push(f, "a", "1");
    push(f, "b", "2");
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("a"), NULL));
    assert_ok(oxbow_key_rename(f->txn, text_bytes("b"), text_bytes("c"), false));
    assert_ok(oxbow_key_flush(f->txn));
    assert_ok(oxbow_key_swap(f->txn, 0, 1));
    push(f, "d", "4");
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(count_of(f), 2);
    assert_int_equal(type_of(f, "a"), OXBOW_TYPE_LIST);
    assert_int_equal(type_of(f, "b"), OXBOW_TYPE_LIST);
    assert_int_equal(type_of(f, "d"), OXBOW_TYPE_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rename_takes_the_content_along_and_replaces_what_was_there),
        TEST(a_name_is_any_bytes_up_to_its_limit),
        TEST(a_scan_takes_up_to_ten_thousand_at_once),
        TEST(databases_are_flushed_and_swapped_alone),
        TEST(a_reader_changes_nothing),
        TEST(what_an_aborted_transaction_did_to_keys_never_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
