/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids: order, neighbours, keys, text. */
#include "engine/base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct oxbow_id ordered[] = {
    {0, 0},
    {0, 1},
    {0, UINT64_MAX},
    {1, 0},
    {1, 1},
    {255, 0},
    {256, 0},
    {UINT32_MAX, UINT64_MAX},
    {UINT64_MAX, 0},
    {UINT64_MAX, 1},
    {UINT64_MAX, UINT64_MAX},
};
#define ORDERED_COUNT (sizeof ordered / sizeof ordered[0])

static void ids_and_their_keys_have_one_order(void **state)
{
    (void)state;
    for (size_t a = 0; a < ORDERED_COUNT; a++) {
        for (size_t b = 0; b < ORDERED_COUNT; b++) {
            uint8_t key_a[ID_KEY_LEN];
            uint8_t key_b[ID_KEY_LEN];
            int expect = a < b ? -1 : a > b;
            int by_key;

            id_to_key(key_a, ordered[a]);
            id_to_key(key_b, ordered[b]);
            by_key = memcmp(key_a, key_b, ID_KEY_LEN);
            assert_int_equal(id_compare(ordered[a], ordered[b]), expect);
            assert_int_equal((by_key > 0) - (by_key < 0), expect);
            assert_int_equal(id_compare(id_from_key(key_a), ordered[a]), 0);
        }
    }
    assert_true(id_is_zero(OXBOW_ID_MIN));
    assert_false(id_is_zero((struct oxbow_id){0, 1}));
    assert_false(id_is_zero((struct oxbow_id){1, 0}));
}

static void neighbours_step_over_the_edge_of_a_millisecond(void **state)
{
    struct oxbow_id id = {5, UINT64_MAX};

    (void)state;
    assert_true(id_next(&id));
    assert_int_equal(id_compare(id, (struct oxbow_id){6, 0}), 0);
    assert_true(id_prev(&id));
    assert_int_equal(id_compare(id, (struct oxbow_id){5, UINT64_MAX}), 0);
    assert_true(id_prev(&id));
    assert_int_equal(id_compare(id, (struct oxbow_id){5, UINT64_MAX - 1}), 0);
}

static void there_is_nothing_past_either_end(void **state)
{
    struct oxbow_id id = OXBOW_ID_MAX;

    (void)state;
    assert_false(id_next(&id));
    assert_int_equal(id_compare(id, OXBOW_ID_MAX), 0);
    id = OXBOW_ID_MIN;
    assert_false(id_prev(&id));
    assert_int_equal(id_compare(id, OXBOW_ID_MIN), 0);
}

static void an_id_comes_back_from_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORDERED_COUNT; i++) {
        char text[ID_TEXT_MAX];
        struct oxbow_id id = {7, 7};
        size_t len = id_to_text(text, ordered[i]);

        assert_int_equal(len, strlen(text));
        assert_int_equal(id_from_text((struct oxbow_bytes){text, len}, 9, &id), OXBOW_OK);
        assert_int_equal(id_compare(id, ordered[i]), 0);
    }
}

static void the_longest_text_fills_its_buffer(void **state)
{
    char text[ID_TEXT_MAX];

    (void)state;
    assert_int_equal(id_to_text(text, OXBOW_ID_MAX), ID_TEXT_MAX - 1);
    assert_string_equal(text, "18446744073709551615-18446744073709551615");
}

static void half_an_id_takes_the_default(void **state)
{
    struct oxbow_id id;

    (void)state;
    assert_int_equal(id_from_text((struct oxbow_bytes){"12", 2}, UINT64_MAX, &id), OXBOW_OK);
    assert_int_equal(id_compare(id, (struct oxbow_id){12, UINT64_MAX}), 0);
    assert_int_equal(id_from_text((struct oxbow_bytes){"12-3", 4}, UINT64_MAX, &id), OXBOW_OK);
    assert_int_equal(id_compare(id, (struct oxbow_id){12, 3}), 0);
}

static void leading_zeros_are_fine_as_for_redis(void **state)
{
    struct oxbow_id id;

    (void)state;
    assert_int_equal(id_from_text((struct oxbow_bytes){"007-01", 6}, 0, &id), OXBOW_OK);
    assert_int_equal(id_compare(id, (struct oxbow_id){7, 1}), 0);
    assert_int_equal(
        id_from_text((struct oxbow_bytes){"0000000000000000000000000000001-00", 34}, 0, &id),
        OXBOW_OK);
    assert_int_equal(id_compare(id, (struct oxbow_id){1, 0}), 0);
}

static void malformed_ids_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "1-",
        "-1",
        "--",
        "1--1",
        "1-2-3",
        "1-*",
        "*",
        "+",
        " 1",
        "1 -1",
        "1- 1",
        "a-1",
        "1-a",
        "0x1",
        "1.5-1",
        "+1-1",
        "1-+1",
        "18446744073709551616",
        "1-18446744073709551616",
    };
    struct oxbow_id id = {7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(id_from_text((struct oxbow_bytes){bad[i], strlen(bad[i])}, 0, &id),
                         OXBOW_EPARSE);
    }
    assert_int_equal(id_from_text((struct oxbow_bytes){NULL, 0}, 0, &id), OXBOW_EPARSE);
    assert_int_equal(id_from_text((struct oxbow_bytes){"1\0-1", 4}, 0, &id), OXBOW_EPARSE);
    assert_int_equal(id_compare(id, (struct oxbow_id){7, 7}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_their_keys_have_one_order),
        cmocka_unit_test(neighbours_step_over_the_edge_of_a_millisecond),
        cmocka_unit_test(there_is_nothing_past_either_end),
        cmocka_unit_test(an_id_comes_back_from_its_text),
        cmocka_unit_test(the_longest_text_fills_its_buffer),
        cmocka_unit_test(half_an_id_takes_the_default),
        cmocka_unit_test(leading_zeros_are_fine_as_for_redis),
        cmocka_unit_test(malformed_ids_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
