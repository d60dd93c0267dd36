/* SPDX-License-Identifier: Apache-2.0 */
/* What an arena hands out, takes back and keeps. */
#include "engine/store/arena.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define BLOCK 65536u

static struct fault fault;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    fault_init(&fault, oxbow_port_default());
    arena_init(&arena, &fault.port.alloc);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    assert_int_equal(fault.live_bytes, 0);
    assert_int_equal(arena.held, 0);
    return 0;
}

static void a_block_has_room_for_what_was_asked_and_is_aligned(void **state)
{
    static const size_t lens[] = {0,    1,    7,    8,    15,    16,    17,    24,      25,   32,
                                  33,   255,  256,  257,  1023,  1024,  1025,  3072,    3073, 4095,
                                  4096, 4097, 8192, 8193, 65535, 65536, 65537, 1u << 20};
    uint8_t *p[sizeof lens / sizeof lens[0]];
    uint32_t cap[sizeof lens / sizeof lens[0]];
    size_t live = 0;
    size_t i;
    size_t k;

    (void)state;
    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        p[i] = arena_take(&arena, lens[i], &cap[i]);
        assert_non_null(p[i]);
        assert_true(cap[i] >= lens[i]);
        assert_int_equal((uintptr_t)p[i] % 8, 0);
        memset(p[i], (int)i + 1, cap[i]);
        live += cap[i];
        assert_int_equal(arena.live, live);
    }
    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (k = 0; k < cap[i]; k++) {
            assert_int_equal(p[i][k], i + 1);
        }
        arena_give(&arena, p[i], cap[i]);
    }
    assert_int_equal(arena.live, 0);
}

static void what_is_given_back_is_handed_out_again(void **state)
{
    uint32_t cap;
    uint32_t cap_again;
    uint8_t *a = arena_take(&arena, 100, &cap);
    uint8_t *b = arena_take(&arena, 100, &cap);
    size_t used = arena.used;

    (void)state;
    assert_true(a != b);
    arena_give(&arena, a, cap);
    arena_give(&arena, b, cap);
    /* 97 and 128 are of the class of 100. */
    assert_ptr_equal(arena_take(&arena, 97, &cap_again), b);
    assert_int_equal(cap_again, cap);
    assert_ptr_equal(arena_take(&arena, 128, &cap_again), a);
    assert_int_equal(arena.used, used);
    assert_true(arena_take(&arena, 128, &cap_again) != a);
    assert_true(arena.used > used);
    arena_give(&arena, NULL, 128);
}

static void what_is_too_big_for_a_block_is_freed_at_once(void **state)
{
    uint32_t cap[3];
    uint8_t *p[3];
    int64_t before = fault.live_bytes;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        p[i] = arena_take(&arena, 4097 + i, &cap[i]);
        assert_non_null(p[i]);
    }
    /* The middle one, the newest, the oldest. */
    arena_give(&arena, p[1], cap[1]);
    arena_give(&arena, p[2], cap[2]);
    assert_true(fault.live_bytes > before);
    arena_give(&arena, p[0], cap[0]);
    assert_int_equal(fault.live_bytes, before);
    assert_int_equal(arena.used, 0);
    assert_int_equal(arena.live, 0);
}

static void bumped_memory_is_apart_from_block_to_block(void **state)
{
    uint8_t *p[100];
    size_t i;
    size_t k;

    (void)state;
    for (i = 0; i < 100; i++) {
        p[i] = arena_bump(&arena, i % 2 == 0 ? 4096 : 4091);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 8, 0);
        memset(p[i], (int)i, i % 2 == 0 ? 4096 : 4091);
    }
    for (i = 0; i < 100; i++) {
        for (k = 0; k < 4091; k++) {
            assert_int_equal(p[i][k], i);
        }
    }
    assert_int_equal(arena.held, 7 * BLOCK);
}

static void use_blocks(size_t count)
{
    while (arena.held < count * BLOCK) {
        assert_non_null(arena_bump(&arena, 4096));
    }
}

static void a_reset_keeps_no_more_than_it_was_told(void **state)
{
    uint32_t cap;

    (void)state;
    use_blocks(5);
    assert_non_null(arena_take(&arena, 100000, &cap));
    arena_reset(&arena, 3 * BLOCK);
    assert_int_equal(arena.held, 3 * BLOCK);
    assert_int_equal(fault.live_bytes, 3 * BLOCK);
    assert_int_equal(arena.live, 0);
    assert_int_equal(arena.used, 0);
    use_blocks(3);
    assert_int_equal(fault.live_bytes, 3 * BLOCK);
    arena_reset(&arena, 3 * BLOCK - 1);
    assert_int_equal(arena.held, 2 * BLOCK);
    arena_reset(&arena, 0);
    assert_int_equal(fault.live_bytes, 0);
}

static void a_reset_forgets_what_was_given_back(void **state)
{
    uint32_t cap;
    uint8_t *first = arena_take(&arena, 64, &cap);
    uint8_t *p = arena_take(&arena, 64, &cap);

    (void)state;
    arena_give(&arena, p, cap);
    arena_reset(&arena, BLOCK);
    assert_ptr_equal(arena_take(&arena, 64, &cap), first);
    assert_ptr_equal(arena_take(&arena, 64, &cap), p);
    assert_int_equal(arena.live, 2 * cap);
}

static void without_memory_it_gives_null_and_goes_on_later(void **state)
{
    uint32_t cap = 77;
    size_t live;

    (void)state;
    fault_arm_alloc(&fault, 1, UINT64_MAX);
    assert_null(arena_take(&arena, 10, &cap));
    assert_null(arena_take(&arena, 5000, &cap));
    assert_null(arena_bump(&arena, 10));
    assert_int_equal(cap, 77);
    assert_int_equal(arena.live, 0);
    assert_int_equal(arena.held, 0);
    fault_disarm(&fault);
    use_blocks(1);
    live = arena.live;
    fault_arm_alloc(&fault, 1, UINT64_MAX);
    while (arena_bump(&arena, 4096) != NULL) {
        live += 4096;
    }
    assert_int_equal(arena.live, live);
    fault_disarm(&fault);
    assert_non_null(arena_bump(&arena, 4096));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_block_has_room_for_what_was_asked_and_is_aligned, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_given_back_is_handed_out_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_big_for_a_block_is_freed_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bumped_memory_is_apart_from_block_to_block, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reset_keeps_no_more_than_it_was_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_forgets_what_was_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_it_gives_null_and_goes_on_later, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
