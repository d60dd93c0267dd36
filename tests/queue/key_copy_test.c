/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are copied, moved to another database, or chosen by chance. */
#include "oxbow/forward.h"
#include "oxbow/string.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

static const struct oxbow_bytes a = BYTES("a"), b = BYTES("b");

static void set(struct streams *f, struct oxbow_bytes key, const char *value)
{
    assert_ok(oxbow_string_set(f->txn, key, text_bytes(value)));
}

static void push(struct streams *f, struct oxbow_bytes key, const char *value)
{
    const struct oxbow_bytes element = text_bytes(value);

    assert_ok(oxbow_list_push(f->txn, key, OXBOW_RIGHT, &element, 1, NULL));
}

static bool copy(struct streams *f, uint32_t database, bool replace)
{
    bool copied;

    assert_ok(oxbow_key_copy(f->txn, a, database, b, replace, &copied));
    return copied;
}

static void assert_string(struct streams *f, struct oxbow_bytes key, const char *want)
{
    assert_ok(oxbow_string_get(f->txn, key, &f->result));
    assert_int_equal(f->result.items[0].len, strlen(want));
    assert_memory_equal(f->result.items[0].data, want, strlen(want));
}

static uint64_t ttl(struct streams *f, struct oxbow_bytes key)
{
    uint64_t ms;

    assert_ok(oxbow_key_ttl(f->txn, key, &ms));
    return ms;
}

static void a_copy_lives_apart_and_carries_its_time_to_live(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;

    assert_false(copy(f, 0, false));
    set(f, a, "one");
    assert_ok(oxbow_key_expire(f->txn, a, 500, 0, &done));
    assert_true(copy(f, 0, false));
    assert_int_equal(ttl(f, b), 500);
    set(f, a, "two");
    assert_string(f, b, "one");
    assert_false(copy(f, 0, false));
    assert_string(f, b, "one");
    assert_true(copy(f, 0, true));
    assert_string(f, b, "two");
    assert_true(ttl(f, b) == UINT64_MAX);
    assert_true(copy(f, 7, false));
    assert_int_equal(oxbow_txn_select(f->txn, 7), OXBOW_OK);
    streams_reopen(f);
    assert_ok(oxbow_txn_select(f->txn, 7));
    assert_string(f, b, "two");
}

static void a_list_is_copied_with_all_its_elements(void **state)
{
    struct streams *f = *state;
    char text[3000];
    uint64_t len;

    memset(text, 'x', sizeof text);
    for (int i = 0; i < 200; i++) { /* in several chunks, and some outside of chunks */
        snprintf(text, sizeof text, "element %d of a list that is to be copied", i);
        text[strlen(text)] = i % 10 == 0 ? 'x' : '\0';
        text[sizeof text - 1] = '\0';
        push(f, a, text);
    }
    set(f, b, "in the way");
    assert_true(copy(f, 0, true));
    streams_reopen(f);
    assert_ok(oxbow_list_pop(f->txn, a, OXBOW_LEFT, 150, &f->result));
    assert_ok(oxbow_list_len(f->txn, b, &len));
    assert_int_equal(len, 200);
    push(f, b, "one more");
    assert_ok(oxbow_list_range(f->txn, b, -2, -1, &f->result));
    assert_memory_equal(f->result.items[0].data, "element 199", 11);
    assert_memory_equal(f->result.items[1].data, "one more", 8);
    assert_ok(oxbow_list_range(f->txn, b, 0, -1, &f->result));
    assert_int_equal(f->result.item_count, 201);
    assert_memory_equal(f->result.items[10].data, "element 10 ", 11);
    assert_int_equal(f->result.items[10].len, sizeof text - 1);
}

static void what_cannot_be_copied_is_refused_and_nothing_changes(void **state)
{
    static uint8_t big[300000];
    struct streams *f = *state;
    const struct oxbow_bytes large = {big, 100000};
    const struct oxbow_bytes small = {big, 60000};
    bool copied;

    set(f, b, "stays");
    assert_ok(oxbow_list_push(f->txn, a, OXBOW_RIGHT, &large, 1, NULL));
    assert_err(oxbow_key_copy(f->txn, a, 0, b, true, &copied), OXBOW_ENOTSUP);
    assert_ok(oxbow_key_delete(f->txn, a, NULL));
    for (int i = 0; i < 300; i++) { /* 17 MiB */
        assert_ok(oxbow_list_push(f->txn, a, OXBOW_RIGHT, &small, 1, NULL));
        if (i % 50 == 0) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_err(oxbow_key_copy(f->txn, a, 0, b, true, &copied), OXBOW_ETXNBIG);
    assert_string(f, b, "stays");
    assert_ok(oxbow_list_pop(f->txn, a, OXBOW_LEFT, 30, &f->result));
    streams_commit(f);
    streams_begin(f);
    assert_true(copy(f, 0, true)); /* what fits a transaction is copied */
    streams_reopen(f);
    assert_err(oxbow_key_copy(f->txn, a, 0, a, true, &copied), OXBOW_EINVAL);
    assert_err(oxbow_key_copy(f->txn, a, 16, b, true, &copied), OXBOW_ENODB);
    assert_err(oxbow_key_copy(f->txn, a, 0, b, true, NULL), OXBOW_EINVAL);
    assert_ok(oxbow_string_set(f->txn, b, (struct oxbow_bytes){big, sizeof big}));
    assert_ok(
        oxbow_key_copy(f->txn, b, 0, text_bytes("c"), false, &copied)); /* strings of any length */
    assert_ok(oxbow_string_get(f->txn, text_bytes("c"), &f->result));
    assert_int_equal(f->result.items[0].len, sizeof big);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_key_copy(f->txn, a, 0, text_bytes("d"), false, &copied), OXBOW_EREADONLY);
    assert_err(oxbow_key_move(f->txn, a, 1, &copied), OXBOW_EREADONLY);
}

static void a_move_takes_the_key_along_unless_there_is_one(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    enum oxbow_type type;
    bool moved;

    assert_ok(oxbow_key_move(f->txn, a, 3, &moved));
    assert_false(moved);
    push(f, a, "e");
    assert_ok(oxbow_key_expire(f->txn, a, 500, 0, &done));
    assert_err(oxbow_key_move(f->txn, a, 0, &moved), OXBOW_EINVAL);
    assert_err(oxbow_key_move(f->txn, a, 16, &moved), OXBOW_ENODB);
    assert_ok(oxbow_key_move(f->txn, a, 3, &moved));
    assert_true(moved);
    assert_ok(oxbow_key_type(f->txn, a, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    set(f, a, "another");
    assert_ok(oxbow_key_move(f->txn, a, 3, &moved));
    assert_false(moved);
    streams_reopen(f);
    assert_string(f, a, "another");
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(ttl(f, a), 500);
    assert_ok(oxbow_list_pop(f->txn, a, OXBOW_LEFT, 1, &f->result));
    assert_memory_equal(f->result.items[0].data, "e", 1);
}

static void what_a_forward_carries_is_neither_moved_nor_copied_over(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {.key = b, .type = OXBOW_TYPE_LIST};
    bool done;

    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    push(f, b, "e");
    push(f, a, "e");
    assert_err(oxbow_key_copy(f->txn, a, 0, b, true, &done), OXBOW_EPROTECTED);
    assert_err(oxbow_key_move(f->txn, b, 3, &done), OXBOW_EPROTECTED);
    assert_ok(oxbow_txn_select(f->txn, 3));
    push(f, b, "e");
    assert_err(oxbow_key_move(f->txn, b, 0, &done), OXBOW_EPROTECTED);
    streams_reopen(f);
}

static void any_key_may_be_chosen(void **state)
{
    struct streams *f = *state;
    enum oxbow_expire_done done;
    bool seen[8] = {false};
    size_t found = 0;
    char name[] = "k0";

    assert_err(oxbow_key_random(f->txn, &f->result), OXBOW_ENOENT);
    for (int i = 0; i < 9; i++) {
        name[1] = (char)('0' + i);
        set(f, text_bytes(name), "v");
    }
    assert_ok(oxbow_key_expire(f->txn, text_bytes("k8"), 5, 0, &done));
    streams_commit(f);
    rig_pass_ms(&f->rig, 5);
    streams_begin(f);
    for (int i = 0; i < 20000 && found < 8; i++) {
        const char *got;

        assert_ok(oxbow_key_random(f->txn, &f->result));
        assert_int_equal(f->result.item_count, 1);
        got = f->result.items[0].data;
        assert_in_range(got[1], '0', '7');
        found += !seen[got[1] - '0'];
        seen[got[1] - '0'] = true;
    }
    assert_int_equal(found, 8);
    assert_err(oxbow_key_random(f->txn, NULL), OXBOW_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_lives_apart_and_carries_its_time_to_live),
        TEST(a_list_is_copied_with_all_its_elements),
        TEST(what_cannot_be_copied_is_refused_and_nothing_changes),
        TEST(a_move_takes_the_key_along_unless_there_is_one),
        TEST(what_a_forward_carries_is_neither_moved_nor_copied_over),
        TEST(any_key_may_be_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
