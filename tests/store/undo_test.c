/* SPDX-License-Identifier: Apache-2.0 */
/* The undo log: an abort restores every entry, a commit gives back what was replaced. */
#include "engine/store/undo.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static struct fault fault;
static struct memtable table;
static struct undo_log undo;

static int set_up(void **state)
{
    (void)state;
    fault_init(&fault, oxbow_port_default());
    assert_int_equal(memtable_init(&table, &fault.port.alloc), OXBOW_OK);
    undo_init(&undo, &fault.port.alloc);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    undo_fini(&undo);
    memtable_fini(&table);
    assert_int_equal(fault.live_bytes, 0);
    return 0;
}

static struct mem_entry *entry(const char *key)
{
    struct oxbow_bytes k = {key, strlen(key)};
    struct mem_entry *e = mem_find(&table, k, mem_hash(k));

    return e != NULL ? e : mem_make(&table, k, mem_hash(k));
}

/* As a put does it: remembered, then replaced by a block of its own. */
static void set(struct mem_entry *e, const void *value, size_t len, enum mem_state state)
{
    uint32_t cap = 0;
    uint8_t *data = len > 0 ? arena_take(&table.arena, len, &cap) : NULL;

    assert_int_equal(undo_entry(&undo, e), OXBOW_OK);
    if (len > 0) {
        assert_non_null(data);
        memcpy(data, value, len);
    }
    e->data = data;
    e->front = NULL;
    e->patch = NULL;
    e->cap = cap;
    e->len = (uint32_t)len;
    e->base = 0;
    e->state = (uint8_t)state;
    mem_cost(&table, e);
}

static void overwrite(struct mem_entry *e, uint32_t pos, const char *bytes)
{
    uint32_t len = (uint32_t)strlen(bytes);

    assert_int_equal(undo_bytes(&undo, e, pos, len), OXBOW_OK);
    memcpy(e->data + (pos - e->base), bytes, len);
}

static void assert_says(const struct mem_entry *e, const char *value)
{
    assert_int_equal(e->state, MEM_VALUE);
    assert_int_equal(e->len, strlen(value));
    assert_memory_equal(e->data, value, e->len);
}

static void an_abort_takes_back_from_the_last_to_the_first(void **state)
{
    struct mem_entry *e = entry("e");
    struct mem_entry *gone = entry("gone");
    struct mem_entry *young;
    size_t live;
    uint64_t cost;

    (void)state;
    set(e, "0123456789", 10, MEM_VALUE);
    set(gone, "there", 5, MEM_VALUE);
    undo_commit(&undo, &table);
    live = table.arena.live;
    cost = table.cost;

    overwrite(e, 2, "ab");
    overwrite(e, 3, "XY");
    set(e, "second", 6, MEM_VALUE);
    overwrite(e, 0, "S");
    set(e, "a third and longer one", 22, MEM_VALUE);
    set(gone, NULL, 0, MEM_TOMB);
    young = entry("young");
    set(young, "new", 3, MEM_VALUE);
    undo_abort(&undo, &table);

    assert_says(e, "0123456789");
    assert_says(gone, "there");
    assert_int_equal(young->state, MEM_ABSENT);
    assert_int_equal(young->len, 0);
    assert_null(young->data);
    assert_int_equal(table.cost, cost);
    /* The young entry itself stays until the table is emptied; its value does not. */
    assert_true(table.arena.live >= live);
    assert_true(table.arena.live - live < 300);
}

static void a_commit_keeps_what_is_and_gives_back_what_was(void **state)
{
    struct mem_entry *e = entry("e");
    uint8_t *first;
    uint32_t cap;

    (void)state;
    set(e, "first", 5, MEM_VALUE);
    undo_commit(&undo, &table);
    first = e->data;
    set(e, "second", 6, MEM_VALUE);
    assert_true(e->data != first);
    undo_commit(&undo, &table);
    assert_says(e, "second");
    assert_ptr_equal(arena_take(&table.arena, 5, &cap), first);
    undo_abort(&undo, &table); /* nothing is left to take back */
    assert_says(e, "second");
}

static void growing_in_place_is_taken_back_by_its_length(void **state)
{
    struct mem_entry *e = entry("e");

    (void)state;
    set(e, "0123456789", 10, MEM_VALUE);
    undo_commit(&undo, &table);
    assert_true(e->cap >= 14);
    assert_int_equal(undo_bytes(&undo, e, 10, 0), OXBOW_OK);
    memcpy(e->data + 10, "tail", 4);
    e->len = 14;
    undo_abort(&undo, &table);
    assert_says(e, "0123456789");
}

static void bytes_are_put_back_also_when_the_value_was_made_whole_since(void **state)
{
    struct mem_entry *e = entry("e");
    uint8_t *tail;
    uint8_t *whole;
    uint32_t tail_cap;
    uint32_t cap;

    (void)state;
    set(e, "45678", 5, MEM_VALUE);
    e->base = 4; /* "0123" is below */
    e->len = 9;
    undo_commit(&undo, &table);
    overwrite(e, 6, "xy");
    assert_memory_equal(e->data, "45xy8", 5);

    tail = e->data;
    tail_cap = e->cap;
    whole = arena_take(&table.arena, 9, &cap);
    assert_non_null(whole);
    memcpy(whole, "0123", 4);
    memcpy(whole + 4, tail, 5);
    arena_give(&table.arena, tail, tail_cap);
    e->data = whole;
    e->cap = cap;
    e->base = 0;
    undo_abort(&undo, &table);
    assert_says(e, "012345678");
}

static void bytes_of_a_tail_are_put_back_where_they_were(void **state)
{
    struct mem_entry *e = entry("e");

    (void)state;
    set(e, "45678", 5, MEM_VALUE);
    e->base = 4;
    e->len = 9;
    undo_commit(&undo, &table);
    overwrite(e, 4, "x");
    overwrite(e, 7, "yz");
    assert_memory_equal(e->data, "x56yz", 5);
    undo_abort(&undo, &table);
    assert_memory_equal(e->data, "45678", 5);
    assert_int_equal(e->base, 4);
    assert_int_equal(e->len, 9);
}

static void extend(struct mem_entry *e, const char *more)
{
    uint32_t cap;
    struct mem_piece *node = arena_take(&table.arena, sizeof *node, &cap);
    uint8_t *data = arena_take(&table.arena, strlen(more), &cap);

    assert_non_null(node);
    assert_non_null(data);
    assert_int_equal(undo_extend(&undo, e), OXBOW_OK);
    mem_extend(e, node, data, cap);
    memcpy(data, more, strlen(more));
    e->len += (uint32_t)strlen(more);
}

static void assert_gathers(const struct mem_entry *e, const char *want)
{
    char got[64] = {0};

    assert_int_equal(e->len, strlen(want));
    mem_gather(e, (uint8_t *)got, e->len);
    assert_string_equal(got, want);
}

static void blocks_that_came_behind_are_taken_off_again(void **state)
{
    struct mem_entry *e = entry("e");
    size_t live;

    (void)state;
    set(e, "first,", 6, MEM_VALUE);
    extend(e, "second,");
    undo_commit(&undo, &table);
    live = table.arena.live;
    extend(e, "third,");
    extend(e, "fourth");
    assert_gathers(e, "first,second,third,fourth");
    undo_abort(&undo, &table);
    assert_gathers(e, "first,second,");
    assert_int_equal(table.arena.live, live);
    extend(e, "third.");
    set(e, "another", 7, MEM_VALUE);
    undo_abort(&undo, &table);
    assert_gathers(e, "first,second,");
    assert_int_equal(table.arena.live, live);
    extend(e, "third.");
    set(e, "another", 7, MEM_VALUE);
    undo_commit(&undo, &table); /* which gives back all that was in pieces */
    assert_says(e, "another");
    assert_true(table.arena.live < live);
}

static void a_patch_is_taken_back_for_the_one_before_it(void **state)
{
    struct mem_entry *e = entry("e");
    size_t live;
    char got[8] = "0123456";

    (void)state;
    set(e, "67", 2, MEM_VALUE);
    e->base = 6;
    e->len = 8;
    assert_int_equal(undo_patch(&undo, e), OXBOW_OK);
    e->patch = mem_patch_new(&table);
    assert_non_null(e->patch);
    *e->patch = (struct mem_patch){.at = 2, .len = 2, .bytes = "xy"};
    undo_commit(&undo, &table);
    live = table.arena.live;
    assert_int_equal(undo_patch(&undo, e), OXBOW_OK);
    e->patch = mem_patch_new(&table);
    assert_non_null(e->patch);
    *e->patch = (struct mem_patch){.at = 2, .len = 2, .bytes = "!!"};
    undo_abort(&undo, &table);
    assert_int_equal(table.arena.live, live);
    mem_gather(e, (uint8_t *)got, sizeof got);
    assert_memory_equal(got, "01xy4567", 8);
    set(e, "whole", 5, MEM_VALUE);
    undo_commit(&undo, &table);
    assert_says(e, "whole");
    assert_true(table.arena.live < live);
}

static void a_record_of_any_size_has_room(void **state)
{
    static const uint32_t lens[] = {1, 16000, 16384, 16385, 100000, 3};
    static uint8_t big[100000];
    struct mem_entry *e = entry("e");
    size_t i;
    size_t round;

    (void)state;
    memset(big, 'o', sizeof big);
    set(e, big, sizeof big, MEM_VALUE);
    undo_commit(&undo, &table);
    for (round = 0; round < 2; round++) {
        for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            assert_int_equal(undo_bytes(&undo, e, 0, lens[i]), OXBOW_OK);
            memset(e->data, 'a' + (int)i, lens[i]);
        }
        undo_abort(&undo, &table);
        assert_memory_equal(e->data, big, sizeof big);
    }
}

static void after_a_large_transaction_little_memory_is_kept(void **state)
{
    struct mem_entry *e = entry("e");
    int64_t before = fault.live_bytes;
    unsigned i;

    (void)state;
    set(e, "0123456789", 10, MEM_VALUE);
    for (i = 0; i < 20000; i++) {
        overwrite(e, 0, "0123456789");
    }
    assert_true(fault.live_bytes - before > 1000000);
    undo_abort(&undo, &table);
    assert_true(fault.live_bytes - before < 300000);
    assert_int_equal(e->state, MEM_ABSENT);
}

static void without_memory_the_entry_is_untouched_and_the_rest_can_be_taken_back(void **state)
{
    struct mem_entry *e = entry("e");
    enum oxbow_err err = OXBOW_OK;

    (void)state;
    set(e, "0123456789", 10, MEM_VALUE);
    undo_commit(&undo, &table);
    undo_fini(&undo);
    undo_init(&undo, &fault.port.alloc);
    fault_arm_alloc(&fault, 1, 1);
    assert_int_equal(undo_entry(&undo, e), OXBOW_ENOMEM);
    fault_arm_alloc(&fault, 1, 1);
    assert_int_equal(undo_bytes(&undo, e, 0, 10), OXBOW_ENOMEM);
    assert_says(e, "0123456789");
    overwrite(e, 0, "first");
    fault_arm_alloc(&fault, 1, UINT64_MAX);
    while (err == OXBOW_OK) {
        err = undo_bytes(&undo, e, 5, 5);
        if (err == OXBOW_OK) {
            memcpy(e->data + 5, "AGAIN", 5);
        }
    }
    assert_int_equal(err, OXBOW_ENOMEM);
    undo_abort(&undo, &table);
    fault_disarm(&fault);
    assert_says(e, "0123456789");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_abort_takes_back_from_the_last_to_the_first),
        TEST(a_commit_keeps_what_is_and_gives_back_what_was),
        TEST(growing_in_place_is_taken_back_by_its_length),
        TEST(bytes_are_put_back_also_when_the_value_was_made_whole_since),
        TEST(bytes_of_a_tail_are_put_back_where_they_were),
        TEST(blocks_that_came_behind_are_taken_off_again),
        TEST(a_patch_is_taken_back_for_the_one_before_it),
        TEST(a_record_of_any_size_has_room),
        TEST(after_a_large_transaction_little_memory_is_kept),
        TEST(without_memory_the_entry_is_untouched_and_the_rest_can_be_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
