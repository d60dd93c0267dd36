/* SPDX-License-Identifier: Apache-2.0 */
/* A memtable: found by key, in order, and what it says it costs. */
#include "engine/store/kv.h"
#include "engine/store/memtable.h"
#include "tests/support/fault.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fault fault;
static struct memtable table;

static int set_up(void **state)
{
    (void)state;
    fault_init(&fault, oxbow_port_default());
    assert_int_equal(memtable_init(&table, &fault.port.alloc), OXBOW_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    memtable_fini(&table);
    assert_int_equal(fault.live_bytes, 0);
    return 0;
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static struct mem_entry *make(struct oxbow_bytes key)
{
    struct mem_entry *e = mem_make(&table, key, mem_hash(key));

    assert_non_null(e);
    return e;
}

static struct mem_entry *find(struct oxbow_bytes key)
{
    return mem_find(&table, key, mem_hash(key));
}

static void a_key_is_found_by_all_its_bytes(void **state)
{
    uint8_t longest[KV_KEY_MAX];
    struct mem_entry *a;
    struct mem_entry *ab;
    struct mem_entry *zeros;
    struct mem_entry *big;

    (void)state;
    memset(longest, 0xff, sizeof longest);
    a = make(text("a"));
    ab = make(text("ab"));
    zeros = make((struct oxbow_bytes){"a\0", 2});
    big = make((struct oxbow_bytes){longest, sizeof longest});
    assert_int_equal(a->state, MEM_ABSENT);
    assert_false(mem_says(a));
    assert_ptr_equal(find(text("a")), a);
    assert_ptr_equal(find(text("ab")), ab);
    assert_ptr_equal(find((struct oxbow_bytes){"a\0", 2}), zeros);
    assert_ptr_equal(find((struct oxbow_bytes){longest, sizeof longest}), big);
    assert_null(find((struct oxbow_bytes){longest, sizeof longest - 1}));
    assert_null(find(text("b")));
    assert_int_equal(table.count, 4);
    assert_memory_equal(mem_key(big), longest, sizeof longest);
}

static void keys_are_ordered_bytewise_and_the_shorter_first(void **state)
{
    (void)state;
    assert_true(key_compare(text(""), text("")) == 0);
    assert_true(key_compare(text(""), text("a")) < 0);
    assert_true(key_compare(text("a"), text("ab")) < 0);
    assert_true(key_compare(text("ab"), text("a")) > 0);
    assert_true(key_compare(text("b"), text("ab")) > 0);
    assert_true(key_compare(text("\x7f"), text("\x80")) < 0);
    assert_true(key_compare(text("abc"), text("abc")) == 0);
}

static void a_seek_goes_to_the_nearest_key_on_its_side(void **state)
{
    struct mem_entry *b = make(text("b"));
    struct mem_entry *d = make(text("d"));

    (void)state;
    make(text("c")); /* not in the order: nobody sees it */
    mem_link(&table, d);
    mem_link(&table, b);
    mem_link(&table, b);
    assert_ptr_equal(mem_first(&table), b);
    assert_ptr_equal(mem_seek(&table, text("a"), MEM_GE), b);
    assert_ptr_equal(mem_seek(&table, text("b"), MEM_GE), b);
    assert_ptr_equal(mem_seek(&table, text("b"), MEM_GT), d);
    assert_ptr_equal(mem_seek(&table, text("c"), MEM_GE), d);
    assert_null(mem_seek(&table, text("d"), MEM_GT));
    assert_null(mem_seek(&table, text("e"), MEM_GE));
    assert_null(mem_seek(&table, text("a"), MEM_LE));
    assert_null(mem_seek(&table, text("b"), MEM_LT));
    assert_ptr_equal(mem_seek(&table, text("b"), MEM_LE), b);
    assert_ptr_equal(mem_seek(&table, text("c"), MEM_LE), b);
    assert_ptr_equal(mem_seek(&table, text("d"), MEM_LT), b);
    assert_ptr_equal(mem_seek(&table, text("z"), MEM_LT), d);
    assert_ptr_equal(b->next[0], d);
    assert_null(d->next[0]);
}

#define MANY 5000u

static void many_keys_in_any_order_are_found_and_walked_in_theirs(void **state)
{
    uint64_t rng = rig_seed("memtable");
    uint32_t *order = malloc(MANY * sizeof *order);
    struct mem_entry *e;
    size_t i;

    (void)state;
    assert_non_null(order);
    for (i = 0; i < MANY; i++) {
        size_t at = (size_t)(rig_random(&rng) % (i + 1));

        order[i] = order[at];
        order[at] = (uint32_t)i;
    }
    for (i = 0; i < MANY; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%08u", (unsigned)order[i]);
        mem_link(&table, make(text(key)));
    }
    assert_int_equal(table.count, MANY);
    assert_true(table.bucket_count > 1024);
    e = mem_first(&table);
    for (i = 0; i < MANY; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%08u", (unsigned)i);
        assert_non_null(e);
        assert_memory_equal(mem_key(e), key, 12);
        assert_ptr_equal(find(text(key)), e);
        assert_ptr_equal(mem_seek(&table, text(key), MEM_LE), e);
        e = e->next[0];
    }
    assert_null(e);
    free(order);
}

/* Whether each bucket has the marks of its entries, and no others. A loose table has none. */
static void assert_marks(const struct memtable *t)
{
    size_t entries = 0;

    assert_true((t->marks == NULL) == t->arena.loose);
    for (size_t i = 0; i < t->bucket_count; i++) {
        uint8_t marks = 0;

        for (const struct mem_entry *e = t->buckets[i]; e != NULL; e = e->hash_next) {
            marks |= (uint8_t)(1u << (e->hash >> 29));
            entries++;
        }
        assert_true(t->marks == NULL || t->marks[i] == marks);
    }
    assert_int_equal(entries, t->count);
}

static void a_reset_leaves_an_empty_table(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 3000; i++) {
        char key[16];
        struct mem_entry *e;

        snprintf(key, sizeof key, "%u", i);
        e = make(text(key));
        e->state = MEM_VALUE;
        e->len = 5;
        mem_link(&table, e);
        mem_cost(&table, e);
    }
    table.dirty = true;
    table.lsn = 7;
    table.oldest_us = 9;
    assert_true(table.cost > 0);
    memtable_reset(&table, 65536);
    assert_int_equal(table.count, 0);
    assert_int_equal(table.cost, 0);
    assert_int_equal(table.net, 0);
    assert_int_equal(table.lsn, 0);
    assert_int_equal(table.oldest_us, 0);
    assert_false(table.dirty);
    assert_null(mem_first(&table));
    assert_marks(&table);
    assert_null(find(text("1")));
    assert_null(mem_seek(&table, text("2999"), MEM_LE));
    assert_int_equal(table.arena.held, 65536);
    assert_non_null(make(text("1")));
    assert_int_equal(table.count, 1);
}

static uint64_t cost_of(struct mem_entry *e, enum mem_state state, uint32_t len)
{
    uint64_t before = table.cost - e->cost;

    e->state = (uint8_t)state;
    e->len = len;
    mem_cost(&table, e);
    assert_int_equal(table.cost - before, e->cost);
    return e->cost;
}

static void long_values_cost_pages_and_what_is_gone_costs_nothing(void **state)
{
    struct mem_entry *e = make(text("k"));

    (void)state;
    mem_link(&table, e);
    assert_int_equal(table.cost, MEM_COST_PAGE); /* the leaf that it dirties */
    assert_true(cost_of(e, MEM_VALUE, 10) < MEM_COST_PAGE);
    /* Inside a leaf it may cost its length twice, since pages split in halves. */
    assert_in_range(cost_of(e, MEM_VALUE, 2000), 2 * 2000 * MEM_COST_PAGE / 4096,
                    2 * MEM_COST_PAGE);
    assert_int_equal(cost_of(e, MEM_VALUE, 2001), MEM_COST_PAGE);
    assert_int_equal(cost_of(e, MEM_VALUE, KV_PAGE_MAX), MEM_COST_PAGE);
    assert_int_equal(cost_of(e, MEM_VALUE, KV_PAGE_MAX + 1), 2 * MEM_COST_PAGE);
    assert_int_equal(cost_of(e, MEM_VALUE, 1u << 20), 257 * MEM_COST_PAGE);
    assert_int_equal(table.net, e->cost);
    assert_int_equal(cost_of(e, MEM_TOMB, 0), 0);
    assert_int_equal(table.net, 0);
    assert_int_equal(cost_of(e, MEM_CLEAN, 100), 0);
    e->known = true;
    assert_true(cost_of(e, MEM_VALUE, 100) > 0);
    assert_int_equal(table.net, 0);
}

static void neighbours_of_one_object_share_a_leaf(void **state)
{
    (void)state;
    mem_link(&table, make(text("oooooooo1-a")));
    mem_link(&table, make(text("oooooooo1-c")));
    mem_link(&table, make(text("oooooooo1-b")));
    assert_int_equal(table.cost, MEM_COST_PAGE);
    mem_link(&table, make(text("oooooooo2-a")));
    assert_int_equal(table.cost, 2 * MEM_COST_PAGE);
    mem_link(&table, make(text("oooo"))); /* too short to be of an object */
    assert_int_equal(table.cost, 3 * MEM_COST_PAGE);
}

/* Hashes that the test chooses: all of one bucket, of all marks, and three keys to each hash. */
#define COLLIDING 72u

static void collide(struct memtable *t, struct mem_entry *made[COLLIDING])
{
    for (uint32_t i = 0; i < COLLIDING; i++) {
        /* In between lie bits that choose a bucket only when there are more of them. */
        uint32_t hash = (i / 3 % 8) << 29 | (i / 24) << 20 | 5;
        struct oxbow_bytes key = {&i, sizeof i};

        assert_null(mem_find(t, key, hash));
        made[i] = mem_make(t, key, hash);
        assert_non_null(made[i]);
        assert_null(mem_find(t, text("other"), hash));
        assert_null(mem_find(t, key, hash ^ 6));
        assert_marks(t);
    }
    assert_true(t->marks == NULL || t->marks[5] == 0xff);
}

static void assert_made(const struct memtable *t, struct mem_entry *const made[COLLIDING])
{
    for (uint32_t i = 0; i < COLLIDING; i++) {
        uint32_t hash = (i / 3 % 8) << 29 | (i / 24) << 20 | 5;

        assert_ptr_equal(mem_find(t, (struct oxbow_bytes){&i, sizeof i}, hash), made[i]);
    }
}

static void keys_of_one_bucket_are_told_apart_whatever_their_marks(void **state)
{
    struct mem_entry *made[COLLIDING];
    struct memtable loose;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        collide(&table, made);
        assert_made(&table, made);
        memtable_reset(&table, 65536);
    }
    assert_int_equal(memtable_init_loose(&loose, &fault.port.alloc), OXBOW_OK);
    collide(&loose, made);
    for (uint32_t i = 0; i < COLLIDING; i++) {
        uint32_t gone = i * 29 % COLLIDING; /* in another order than made */

        assert_made(&loose, made);
        mem_drop(&loose, made[gone]);
        made[gone] = NULL;
    }
    assert_made(&loose, made);
    memtable_fini(&loose);
}

static void assert_has(const struct memtable *t, const bool *there, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct oxbow_bytes key = {&i, sizeof i};

        assert_true((mem_find(t, key, mem_hash(key)) != NULL) == there[i]);
    }
    assert_marks(t);
}

/* Without memory for it, growing and shrinking leave the buckets as they are. */
static void grow_and_shrink(struct memtable *t, uint64_t *rng, bool may_fail)
{
    static bool there[MANY];
    size_t most = 0;

    memset(there, 0, sizeof there);
    for (uint32_t step = 0; step < 6 * MANY; step++) {
        bool more = step < 3 * MANY;
        uint32_t i = (uint32_t)(rig_random(rng) % MANY);
        struct oxbow_bytes key = {&i, sizeof i};

        if (may_fail) {
            fault_arm_alloc(&fault, 1 + rig_random(rng) % 3, 1);
        }
        if (there[i] && (!more || rig_random(rng) % 4 == 0)) {
            mem_drop(t, mem_find(t, key, mem_hash(key)));
            there[i] = false;
        } else if (!there[i] && (more || rig_random(rng) % 8 == 0)) {
            struct mem_entry *e = mem_make(t, key, mem_hash(key));

            assert_true(e != NULL || may_fail);
            there[i] = e != NULL;
            if (e != NULL) {
                mem_link(t, e);
            }
        }
        fault_disarm(&fault);
        most = t->bucket_count > most ? t->bucket_count : most;
        if (step % 997 == 0) {
            assert_has(t, there, MANY);
        }
    }
    assert_has(t, there, MANY);
    assert_true(most > 1024);
    while (mem_first(t) != NULL) {
        mem_drop(t, mem_first(t));
    }
    assert_int_equal(t->count, 0);
    assert_marks(t);
    assert_int_equal(t->bucket_count, 1024);
}

static void what_is_left_is_found_when_buckets_come_and_go(void **state)
{
    uint64_t rng = rig_seed("memtable buckets");
    struct memtable loose;

    (void)state;
    for (int may_fail = 0; may_fail < 2; may_fail++) {
        assert_int_equal(memtable_init_loose(&loose, &fault.port.alloc), OXBOW_OK);
        grow_and_shrink(&loose, &rng, may_fail != 0);
        grow_and_shrink(&loose, &rng, may_fail != 0);
        memtable_fini(&loose);
    }
}

/* As many buckets as there were before a reset are filled again; growing may fail in between. */
static void marks_come_along_when_buckets_do(void **state)
{
    uint64_t rng = rig_seed("memtable marks");
    static bool there[MANY];
    size_t most = 0;

    (void)state;
    for (unsigned round = 0; round < 12; round++) {
        uint32_t part = 1 + (uint32_t)(rig_random(&rng) % 3);

        memset(there, 0, sizeof there);
        for (uint32_t i = 0; i < MANY; i++) {
            struct oxbow_bytes key = {&i, sizeof i};

            if (rig_random(&rng) % part != 0) {
                continue;
            }
            if (round % 2 == 1) {
                fault_arm_alloc(&fault, 1 + rig_random(&rng) % 3, 1);
            }
            there[i] = mem_make(&table, key, mem_hash(key)) != NULL;
            assert_true(there[i] || round % 2 == 1);
            fault_disarm(&fault);
        }
        assert_has(&table, there, MANY);
        most = table.bucket_count > most ? table.bucket_count : most;
        memtable_reset(&table, 65536);
        assert_marks(&table);
    }
    assert_true(most > 1024);
}

static void every_allocation_may_fail(void **state)
{
    struct memtable t;
    uint64_t n;
    unsigned points = 0;

    (void)state;
    for (n = 1;; n++) {
        int64_t before = fault.live_bytes;
        enum oxbow_err err;
        unsigned i;

        fault_arm_alloc(&fault, n, 1);
        err = memtable_init(&t, &fault.port.alloc);
        if (err == OXBOW_OK) {
            for (i = 0; i < 3000; i++) {
                struct oxbow_bytes key = {&i, sizeof i};

                if (mem_find(&t, key, mem_hash(key)) == NULL &&
                    mem_make(&t, key, mem_hash(key)) == NULL) {
                    i--; /* only this once */
                }
            }
            assert_int_equal(t.count, 3000);
            memtable_fini(&t);
        } else {
            assert_int_equal(err, OXBOW_ENOMEM);
        }
        fault_disarm(&fault);
        assert_int_equal(fault.live_bytes, before);
        if (fault.alloc_failed == 0) {
            break;
        }
        points++;
    }
    assert_true(points >= 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_found_by_all_its_bytes),
        TEST(keys_are_ordered_bytewise_and_the_shorter_first),
        TEST(a_seek_goes_to_the_nearest_key_on_its_side),
        TEST(many_keys_in_any_order_are_found_and_walked_in_theirs),
        TEST(a_reset_leaves_an_empty_table),
        TEST(long_values_cost_pages_and_what_is_gone_costs_nothing),
        TEST(neighbours_of_one_object_share_a_leaf),
        TEST(keys_of_one_bucket_are_told_apart_whatever_their_marks),
        TEST(what_is_left_is_found_when_buckets_come_and_go),
        TEST(marks_come_along_when_buckets_do),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
