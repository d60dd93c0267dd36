/* SPDX-License-Identifier: Apache-2.0 */
/* Results: what is filled in comes out, whatever the order and however the memory moved. */
#include "engine/base/result.h"
#include "oxbow/time.h"

#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CAP 4096

static struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static void assert_bytes(struct oxbow_bytes got, const char *expect)
{
    assert_int_equal(got.len, strlen(expect));
    assert_memory_equal(got.data, expect, got.len);
}

static void items_come_out_in_order_after_many_moves(void **state)
{
    struct oxbow_result r = {0};
    char text[32];

    (void)state;
    assert_int_equal(result_begin(&r, &oxbow_port_default()->alloc, SIZE_MAX), OXBOW_OK);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "item %d", i);
        assert_int_equal(result_item(&r, bytes_of(text)), OXBOW_OK);
    }
    assert_int_equal(result_count(&r), 5000);
    assert_int_equal(r.item_count, 0); /* not yet the reader's */
    result_finish(&r);
    assert_int_equal(r.item_count, 5000);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "item %d", i);
        assert_bytes(r.items[i], text);
    }
    oxbow_result_fini(&r);
}

static void entries_keep_their_own_fields(void **state)
{
    struct oxbow_result r = {0};
    uint8_t *space;

    (void)state;
    assert_int_equal(result_begin(&r, &oxbow_port_default()->alloc, CAP), OXBOW_OK);
    assert_int_equal(result_entry(&r, (struct oxbow_id){1, 2}, 0), OXBOW_OK);
    assert_int_equal(result_field(&r, bytes_of("a"), bytes_of("one")), OXBOW_OK);
    assert_int_equal(result_field(&r, bytes_of(""), bytes_of("")), OXBOW_OK);
    assert_int_equal(result_entry_deleted(&r, (struct oxbow_id){3, 4}), OXBOW_OK);
    assert_int_equal(result_item(&r, bytes_of("beside")), OXBOW_OK);
    assert_int_equal(result_entry(&r, (struct oxbow_id){5, 6}, 0), OXBOW_OK);
    assert_int_equal(result_field_space(&r, bytes_of("b"), 3, &space), OXBOW_OK);
    memcpy(space, "two", 3);
    assert_int_equal(result_bytes(&r), 14);
    result_finish(&r);
    assert_int_equal(r.entry_count, 3);
    assert_int_equal(r.entries[0].id.ms, 1);
    assert_int_equal(r.entries[0].field_count, 2);
    assert_int_equal(r.entries[0].deleted, 0);
    assert_bytes(r.entries[0].fields[0].name, "a");
    assert_bytes(r.entries[0].fields[0].value, "one");
    assert_bytes(r.entries[0].fields[1].name, "");
    assert_bytes(r.entries[0].fields[1].value, "");
    assert_int_equal(r.entries[1].deleted, 1);
    assert_int_equal(r.entries[1].field_count, 0);
    assert_null(r.entries[1].fields);
    assert_int_equal(r.entries[2].id.seq, 6);
    assert_bytes(r.entries[2].fields[0].name, "b");
    assert_bytes(r.entries[2].fields[0].value, "two");
    assert_int_equal(r.item_count, 1);
    assert_bytes(r.items[0], "beside");
    oxbow_result_fini(&r);
}

static void an_empty_fill_and_empty_items_are_fine(void **state)
{
    struct oxbow_result r = {0};
    uint8_t *space;

    (void)state;
    assert_int_equal(result_begin(&r, &oxbow_port_default()->alloc, 0), OXBOW_OK);
    result_finish(&r);
    assert_int_equal(r.item_count, 0);
    assert_int_equal(r.entry_count, 0);
    assert_int_equal(result_begin(&r, &oxbow_port_default()->alloc, 0), OXBOW_OK);
    assert_int_equal(result_item(&r, (struct oxbow_bytes){NULL, 0}), OXBOW_OK);
    assert_int_equal(result_item_space(&r, 0, &space), OXBOW_OK);
    assert_int_equal(result_item_space(&r, 1, &space), OXBOW_ETOOBIG);
    result_finish(&r);
    assert_int_equal(r.item_count, 2);
    assert_int_equal(r.items[1].len, 0);
    oxbow_result_fini(&r);
    oxbow_result_fini(&r);
    oxbow_result_fini(NULL);
}

static void the_cap_holds_exactly_and_what_is_refused_leaves_nothing(void **state)
{
    struct oxbow_result r = {0};
    uint8_t data[CAP] = {0};

    (void)state;
    assert_int_equal(result_begin(&r, &oxbow_port_default()->alloc, CAP), OXBOW_OK);
    assert_int_equal(result_entry(&r, (struct oxbow_id){1, 1}, 0), OXBOW_OK);
    assert_int_equal(
        result_field(&r, (struct oxbow_bytes){data, 10}, (struct oxbow_bytes){data, CAP - 9}),
        OXBOW_ETOOBIG);
    assert_int_equal(result_bytes(&r), 0);
    assert_int_equal(result_item(&r, (struct oxbow_bytes){data, CAP - 1}), OXBOW_OK);
    assert_int_equal(result_item(&r, (struct oxbow_bytes){data, 2}), OXBOW_ETOOBIG);
    assert_int_equal(result_item(&r, (struct oxbow_bytes){data, 1}), OXBOW_OK);
    assert_int_equal(result_item(&r, (struct oxbow_bytes){data, 1}), OXBOW_ETOOBIG);
    assert_int_equal(result_field(&r, bytes_of(""), bytes_of("")), OXBOW_OK);
    result_finish(&r);
    assert_int_equal(r.item_count, 2);
    assert_int_equal(r.entry_count, 1);
    assert_int_equal(r.entries[0].field_count, 1);
    assert_int_equal(r.entries[0].fields[0].value.len, 0);
    oxbow_result_fini(&r);
}

static void a_repeated_read_allocates_nothing(void **state)
{
    struct fault f;
    struct oxbow_result r = {0};

    (void)state;
    fault_init(&f, oxbow_port_default());
    for (int round = 0; round < 3; round++) {
        fault_arm_alloc(&f, 0, 0);
        assert_int_equal(result_begin(&r, &f.port.alloc, CAP), OXBOW_OK);
        assert_int_equal(r.item_count, 0);
        assert_null(r.items);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(result_item(&r, bytes_of("twelve bytes")), OXBOW_OK);
        }
        result_finish(&r);
        assert_true(round == 0 ? f.alloc_calls > 0 : f.alloc_calls == 0);
    }
    oxbow_result_fini(&r);
    assert_int_equal(f.live_bytes, 0);
}

static void memory_of_a_giant_is_given_back_once_it_is_not_needed(void **state)
{
    enum { GIANT = 8 * 1024 * 1024 };
    struct fault f;
    struct oxbow_result r = {0};
    uint8_t *space;

    (void)state;
    fault_init(&f, oxbow_port_default());
    assert_int_equal(result_begin(&r, &f.port.alloc, GIANT), OXBOW_OK);
    assert_int_equal(result_item_space(&r, GIANT, &space), OXBOW_OK);
    memset(space, 7, GIANT);
    result_finish(&r);
    assert_int_equal(((const uint8_t *)r.items[0].data)[GIANT - 1], 7);
    /* The next fill may need as much; the one after it knows better. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(result_begin(&r, &f.port.alloc, GIANT), OXBOW_OK);
        assert_int_equal(result_item(&r, bytes_of("small")), OXBOW_OK);
        result_finish(&r);
        assert_bytes(r.items[0], "small");
    }
    assert_true(f.live_bytes < 64 * 1024);
    oxbow_result_fini(&r);
    assert_int_equal(f.live_bytes, 0);
}

static enum oxbow_err fill_some(struct oxbow_result *r, const struct oxbow_alloc *alloc)
{
    enum oxbow_err err = result_begin(r, alloc, SIZE_MAX);

    for (uint64_t i = 0; i < 100 && err == OXBOW_OK; i++) {
        err = result_entry(r, (struct oxbow_id){i, i}, 0);
        if (err == OXBOW_OK) {
            err = result_field(r, bytes_of("some name"), bytes_of("some value"));
        }
        if (err == OXBOW_OK) {
            err = result_item(r, bytes_of("some item"));
        }
    }
    if (err == OXBOW_OK) {
        result_finish(r);
    }
    return err;
}

static void whichever_allocation_fails_it_is_reported_and_nothing_leaks(void **state)
{
    uint64_t points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct fault f;
        struct oxbow_result r = {0};
        enum oxbow_err err;

        fault_init(&f, oxbow_port_default());
        fault_arm_alloc(&f, n, 1);
        err = fill_some(&r, &f.port.alloc);
        assert_int_equal(err, f.alloc_failed > 0 ? OXBOW_ENOMEM : OXBOW_OK);
        assert_int_equal(r.entry_count, err == OXBOW_OK ? 100 : 0);
        if (err != OXBOW_OK) {
            assert_int_equal(fill_some(&r, &f.port.alloc), OXBOW_OK);
            assert_bytes(r.items[99], "some item");
        }
        oxbow_result_fini(&r);
        assert_int_equal(f.live_bytes, 0);
        if (f.alloc_failed == 0) {
            break;
        }
        points++;
    }
    assert_true(points >= 10);
}

static void times_stand_beside_entries_and_go_with_the_next_fill(void **state)
{
    const struct oxbow_alloc *alloc = &oxbow_port_default()->alloc;
    struct oxbow_result r = {0};

    (void)state;
    assert_int_equal(result_begin(&r, alloc, 100), OXBOW_OK);
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(result_entry(&r, (struct oxbow_id){i, 0}, 0), OXBOW_OK);
    }
    result_finish(&r);
    assert_null(r.times);
    for (uint64_t i = 0; i < 50; i++) {
        const struct oxbow_true_time t = {true, i, i + 1};

        assert_int_equal(result_time(&r, &t), OXBOW_OK);
    }
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(r.times[i].from_ms, i);
        assert_int_equal(r.times[i].to_ms, i + 1);
    }
    assert_int_equal(result_begin(&r, alloc, 100), OXBOW_OK);
    assert_null(r.times);
    result_finish(&r);
    oxbow_result_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_after_many_moves),
        cmocka_unit_test(entries_keep_their_own_fields),
        cmocka_unit_test(an_empty_fill_and_empty_items_are_fine),
        cmocka_unit_test(the_cap_holds_exactly_and_what_is_refused_leaves_nothing),
        cmocka_unit_test(a_repeated_read_allocates_nothing),
        cmocka_unit_test(memory_of_a_giant_is_given_back_once_it_is_not_needed),
        cmocka_unit_test(times_stand_beside_entries_and_go_with_the_next_fill),
        cmocka_unit_test(whichever_allocation_fails_it_is_reported_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
