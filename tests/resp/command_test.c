/* SPDX-License-Identifier: Apache-2.0 */
/* The table: every row is sound, and found in any case. */
#include "engine/resp/command.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static struct oxbow_bytes bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static void check_row(const struct resp_command *row)
{
    assert_true(row->arity != 0);
    assert_non_null(row->summary);
    assert_non_null(row->since);
    assert_true(strlen(row->name) < RESP_NAME_MAX);
    assert_true(row->run != NULL || row->subs != NULL);
    assert_true((row->first == 0) == (row->step == 0));
    /* What changes data has keys, or concerns all; what only reads does not write. */
    assert_false((row->flags & RESP_WRITE) != 0 && (row->flags & RESP_READONLY) != 0);
    assert_false((row->flags & RESP_ALONE) != 0 && (row->flags & RESP_PURE) != 0);
    assert_false((row->flags & (RESP_ALONE | RESP_PURE)) != 0 &&
                 (row->flags & (RESP_WRITE | RESP_READONLY)) != 0);
}

static void every_row_is_sound_and_found(void **state)
{
    struct resp_table table;
    const struct resp_command *row;
    uint32_t n = 0;

    (void)state;
    resp_table_init(&table);
    while ((row = resp_table_row(n)) != NULL) {
        char upper[RESP_NAME_MAX];
        size_t i;

        check_row(row);
        for (i = 0; row->name[i] != '\0'; i++) {
            upper[i] = (char)(row->name[i] >= 'a' && row->name[i] <= 'z' ? row->name[i] - 32
                                                                         : row->name[i]);
        }
        upper[i] = '\0';
        assert_ptr_equal(resp_table_find(&table, bytes(row->name)), row);
        assert_ptr_equal(resp_table_find(&table, bytes(upper)), row);
        for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
            check_row(sub);
            assert_memory_equal(sub->name, row->name, strlen(row->name));
            assert_ptr_equal(resp_sub_find(row, bytes(strchr(sub->name, '|') + 1)), sub);
            assert_ptr_equal(resp_table_find_full(&table, bytes(sub->name)), sub);
            assert_null(resp_table_find(&table, bytes(sub->name)));
        }
        n++;
    }
    assert_int_equal(n, table.count);
    assert_true(n < RESP_COMMAND_SLOTS / 2);
    assert_null(resp_table_find(&table, bytes("nonsense")));
    assert_null(resp_table_find(&table, bytes("")));
    assert_null(resp_table_find(&table, (struct oxbow_bytes){"get\0", 4}));
    assert_null(resp_table_find(&table, bytes("a_name_that_is_longer_than_any_of_them")));
}

static void keys_are_where_the_row_says(void **state)
{
    const struct oxbow_bytes args[] = {{"x", 1}, {"a", 1}, {"b", 1}, {"c", 1}, {"0", 1}};
    struct resp_table table;
    struct resp_keys keys;

    (void)state;
    resp_table_init(&table);
    assert_int_equal(resp_command_keys(resp_table_find(&table, bytes("blpop")), args, 5, &keys),
                     RESP_KEYS_FOUND);
    assert_int_equal(keys.first, 1);
    assert_int_equal(keys.count, 3);
    assert_int_equal(resp_command_keys(resp_table_find(&table, bytes("mset")), args, 5, &keys),
                     RESP_KEYS_FOUND);
    assert_int_equal(keys.count, 2);
    assert_int_equal(keys.step, 2);
    assert_int_equal(resp_command_keys(resp_table_find(&table, bytes("get")), args, 2, &keys),
                     RESP_KEYS_FOUND);
    assert_int_equal(keys.count, 1);
    assert_int_equal(resp_command_keys(resp_table_find(&table, bytes("ping")), args, 2, &keys),
                     RESP_KEYS_NONE);
}

/* As Redis 7.0's key specifications have it: one of each kind, and the first and the last of the table. */
static void what_is_done_with_a_key_is_told_in_redis_words(void **state)
{
    static const struct {
        const char *name;
        uint8_t first;
        uint8_t rest;
    } cases[] = {
        {"get", RESP_USE_RO | RESP_USE_ACCESS, RESP_USE_RO | RESP_USE_ACCESS},
        {"exists", RESP_USE_RO, RESP_USE_RO},
        {"set", RESP_USE_OW | RESP_USE_UPDATE, RESP_USE_OW | RESP_USE_UPDATE},
        {"incr", RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_UPDATE,
         RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_UPDATE},
        {"append", RESP_USE_RW | RESP_USE_INSERT, RESP_USE_RW | RESP_USE_INSERT},
        {"zrem", RESP_USE_RW | RESP_USE_DELETE, RESP_USE_RW | RESP_USE_DELETE},
        {"zremrangebyscore", RESP_USE_RW | RESP_USE_DELETE, RESP_USE_RW | RESP_USE_DELETE},
        {"del", RESP_USE_RM | RESP_USE_DELETE, RESP_USE_RM | RESP_USE_DELETE},
        {"lmove", RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_DELETE, RESP_USE_RW | RESP_USE_INSERT},
        {"rename", RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_DELETE, RESP_USE_OW | RESP_USE_UPDATE},
        {"copy", RESP_USE_RO | RESP_USE_ACCESS, RESP_USE_OW | RESP_USE_UPDATE},
        {"msetnx", RESP_USE_OW | RESP_USE_INSERT, RESP_USE_OW | RESP_USE_INSERT},
        {"xgroup|create", RESP_USE_RW | RESP_USE_INSERT, RESP_USE_RW | RESP_USE_INSERT},
    };
    const struct oxbow_bytes args[] = {{"x", 1}, {"a", 1}, {"b", 1}};
    struct resp_table table;

    (void)state;
    resp_table_init(&table);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct resp_command *row = resp_table_find_full(&table, bytes(cases[i].name));

        assert_non_null(row);
        assert_int_equal(resp_key_use(row, args, 3, 0), cases[i].first);
        assert_int_equal(resp_key_use(row, args, 3, 1), cases[i].rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_sound_and_found),
        cmocka_unit_test(keys_are_where_the_row_says),
        cmocka_unit_test(what_is_done_with_a_key_is_told_in_redis_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
