/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of names: what it gives is what was put in last, and what was dropped is gone. */
#include "engine/store/name_cache.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MAX 2048u

static struct fault fault;
static struct name_cache cache;

static int set_up(void **state)
{
    (void)state;
    fault_init(&fault, oxbow_port_default());
    name_cache_init(&cache, &fault.port.alloc, MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    name_cache_fini(&cache);
    assert_int_equal(fault.live_bytes, 0);
    return 0;
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void put(uint32_t database, uint64_t hash, const char *name, uint64_t id)
{
    const struct object object = {.id = id, .type = OXBOW_TYPE_LIST};

    name_cache_put(&cache, database, hash, text(name), &object);
}

/* The id that the cache has for the name; 0: none. */
static uint64_t id_of(uint32_t database, uint64_t hash, const char *name)
{
    struct object object = {0};

    if (!name_cache_get(&cache, database, hash, text(name), &object)) {
        return 0;
    }
    assert_int_equal(object.type, OXBOW_TYPE_LIST);
    return object.id;
}

static void an_empty_cache_knows_nothing_and_takes_no_memory(void **state)
{
    (void)state;
    assert_int_equal(id_of(0, 7, "a"), 0);
    name_cache_drop(&cache, 0, 7, text("a"));
    name_cache_clear(&cache);
    assert_int_equal(fault.live_bytes, 0);
}

static void names_of_one_hash_and_databases_are_told_apart(void **state)
{
    (void)state;
    put(0, 7, "a", 1);
    put(0, 7, "b", 2);
    put(1, 7, "a", 3);
    put(0, 7, "", 4);
    assert_int_equal(id_of(0, 7, "a"), 1);
    assert_int_equal(id_of(0, 7, "b"), 2);
    assert_int_equal(id_of(1, 7, "a"), 3);
    assert_int_equal(id_of(0, 7, ""), 4);
    assert_int_equal(id_of(0, 7, "c"), 0);
    assert_int_equal(id_of(2, 7, "a"), 0);
    name_cache_drop(&cache, 0, 7, text("a"));
    assert_int_equal(id_of(0, 7, "a"), 0);
    assert_int_equal(id_of(1, 7, "a"), 3);
    assert_int_equal(id_of(0, 7, "b"), 2);
}

static void a_full_set_gives_its_oldest_away_when_it_may_not_grow(void **state)
{
    char name[8];
    uint64_t i;

    (void)state;
    for (i = 1; i <= 6; i++) { /* one hash: growing does not part them */
        (void)snprintf(name, sizeof name, "n%u", (unsigned)i);
        put(0, 9, name, i);
        assert_int_equal(id_of(0, 9, name), i);
    }
    assert_true(cache.count <= MAX);
    for (i = 1; i <= 32; i++) {
        (void)snprintf(name, sizeof name, "m%u", (unsigned)i);
        put(0, 9, name, i);
    }
    assert_int_equal(cache.count, MAX);
    assert_int_equal(id_of(0, 9, "m32"), 32);
    assert_int_equal(id_of(0, 9, "m29"), 29);
    assert_int_equal(id_of(0, 9, "m28"), 0);
    assert_true(fault.live_bytes >= MAX * 64);
}

/* From there on all are forgotten without a walk through the table. */
static void a_large_table_is_cleared_as_a_small_one_is(void **state)
{
    enum { LARGE = 8192, ROUNDS = 5, NAMES = 3000 };
    char name[16];

    (void)state;
    name_cache_init(&cache, &fault.port.alloc, LARGE);
    for (uint64_t i = 1; i <= 40; i++) { /* of one set */
        (void)snprintf(name, sizeof name, "m%u", (unsigned)i);
        put(0, 9, name, i);
    }
    assert_int_equal(cache.count, LARGE);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        unsigned kept = 0;

        for (uint64_t i = 1; i <= NAMES; i++) {
            (void)snprintf(name, sizeof name, "n%u", (unsigned)i);
            assert_int_equal(id_of(0, i << 33, name), 0);
            if ((i + round) % 2 == 0) { /* half of them are of the round before */
                put(0, i << 33, name, i + round * NAMES);
            }
        }
        for (uint64_t i = 1; i <= NAMES; i++) {
            bool put_now = (i + round) % 2 == 0;
            uint64_t id;

            (void)snprintf(name, sizeof name, "n%u", (unsigned)i);
            id = id_of(0, i << 33, name);
            assert_true(id == 0 || (put_now && id == i + round * NAMES));
            kept += id != 0;
        }
        assert_int_equal(kept, NAMES / 2);
        name_cache_clear(&cache);
    }
}

/* The table grows by a factor of four: a limit between two sizes is the lower one. */
static void a_limit_is_never_passed(void **state)
{
    static const struct {
        size_t max;
        size_t count;
    } limits[] = {{NAME_CACHE_MIN, 32},
                  {NAME_CACHE_MIN + 1, 32},
                  {127, 32},
                  {128, 128},
                  {129, 128},
                  {2047, 512},
                  {MAX, MAX},
                  {8191, MAX},
                  {(size_t)1 << 20, 524288u}};
    char name[16];

    (void)state;
    for (size_t n = 0; n < sizeof limits / sizeof limits[0]; n++) {
        name_cache_init(&cache, &fault.port.alloc, limits[n].max);
        for (uint64_t i = 1; i <= 60; i++) { /* of one set */
            (void)snprintf(name, sizeof name, "m%u", (unsigned)i);
            put(0, 9, name, i);
            assert_int_equal(id_of(0, 9, name), i);
            assert_true(cache.count <= limits[n].max);
        }
        assert_int_equal(cache.count, limits[n].count);
        assert_int_equal(fault.live_bytes, limits[n].count * 64);
        name_cache_fini(&cache);
        assert_int_equal(fault.live_bytes, 0);
    }
}

static void a_name_that_is_too_long_is_looked_for_each_time(void **state)
{
    char name[NAME_CACHE_NAME + 2];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    put(0, 3, name, 5);
    assert_int_equal(id_of(0, 3, name), 0);
    name[NAME_CACHE_NAME] = '\0';
    put(0, 3, name, 6);
    assert_int_equal(id_of(0, 3, name), 6);
}

static void without_memory_it_remembers_nothing_or_what_it_had(void **state)
{
    (void)state;
    fault_arm_alloc(&fault, 1, 1);
    put(0, 1, "a", 1);
    assert_int_equal(id_of(0, 1, "a"), 0);
    put(0, 1, "a", 1);
    assert_int_equal(id_of(0, 1, "a"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_cache_knows_nothing_and_takes_no_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_of_one_hash_and_databases_are_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_set_gives_its_oldest_away_when_it_may_not_grow,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_table_is_cleared_as_a_small_one_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limit_is_never_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_looked_for_each_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_it_remembers_nothing_or_what_it_had, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
