/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers: the cap at, below and above; failure leaves everything as it was. */
#include "engine/base/buf.h"

#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define CAP 1000

static void a_buffer_takes_bytes_up_to_its_cap_and_not_one_more(void **state)
{
    struct fault f;
    struct buf b;
    uint8_t data[CAP + 1] = {0};

    (void)state;
    fault_init(&f, oxbow_port_default());
    buf_init(&b, &f.port.alloc, CAP);
    assert_int_equal(buf_append(&b, data, CAP - 1), OXBOW_OK);
    assert_int_equal(buf_append(&b, data, 2), OXBOW_ETOOBIG);
    assert_int_equal(b.len, CAP - 1);
    assert_int_equal(buf_append(&b, data, 1), OXBOW_OK);
    assert_int_equal(buf_append(&b, data, 1), OXBOW_ETOOBIG);
    assert_int_equal(buf_append(&b, NULL, 0), OXBOW_OK);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), OXBOW_ETOOBIG);
    assert_int_equal(b.len, CAP);
    assert_int_equal(b.cap, CAP);
    buf_fini(&b);
    assert_int_equal(f.live_bytes, 0);
}

static void appending_byte_by_byte_allocates_a_logarithm_of_times(void **state)
{
    struct fault f;
    struct buf b;

    (void)state;
    fault_init(&f, oxbow_port_default());
    fault_arm_alloc(&f, 0, 0);
    buf_init(&b, &f.port.alloc, SIZE_MAX);
    for (int i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)i;

        assert_int_equal(buf_append(&b, &byte, 1), OXBOW_OK);
    }
    assert_in_range(f.alloc_calls, 5, 12);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(b.data[i], (uint8_t)i);
    }
    buf_fini(&b);
    assert_int_equal(f.live_bytes, 0);
}

static void consuming_drops_from_the_front(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, &oxbow_port_default()->alloc, CAP);
    buf_consume(&b, 0);
    buf_consume(&b, 5);
    assert_int_equal(b.len, 0);
    assert_int_equal(buf_append(&b, "abcdef", 6), OXBOW_OK);
    buf_consume(&b, 0);
    assert_int_equal(b.len, 6);
    buf_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "cdef", 4);
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    assert_int_equal(buf_append(&b, "x", 1), OXBOW_OK);
    buf_consume(&b, 2);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void when_memory_is_out_the_buffer_stays_as_it_was(void **state)
{
    struct fault f;
    struct buf b;
    uint8_t data[CAP] = {0};

    (void)state;
    fault_init(&f, oxbow_port_default());
    buf_init(&b, &f.port.alloc, CAP);
    assert_int_equal(buf_append(&b, "abc", 3), OXBOW_OK);
    fault_arm_alloc(&f, 1, 1);
    assert_int_equal(buf_append(&b, data, 500), OXBOW_ENOMEM);
    assert_int_equal(f.alloc_failed, 1);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "abc", 3);
    assert_int_equal(buf_append(&b, data, 500), OXBOW_OK);
    buf_fini(&b);
    assert_int_equal(f.live_bytes, 0);
}

static void new_memory_is_zeroed_and_failure_is_null(void **state)
{
    struct fault f;
    uint8_t zeros[200] = {0};
    void *p;

    (void)state;
    fault_init(&f, oxbow_port_default());
    p = mem_new(&f.port.alloc, sizeof zeros);
    assert_non_null(p);
    assert_memory_equal(p, zeros, sizeof zeros);
    mem_free(&f.port.alloc, p, sizeof zeros);
    mem_free(&f.port.alloc, NULL, 0);
    assert_int_equal(f.live_bytes, 0);
    fault_arm_alloc(&f, 1, 1);
    assert_null(mem_new(&f.port.alloc, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_takes_bytes_up_to_its_cap_and_not_one_more),
        cmocka_unit_test(appending_byte_by_byte_allocates_a_logarithm_of_times),
        cmocka_unit_test(consuming_drops_from_the_front),
        cmocka_unit_test(when_memory_is_out_the_buffer_stays_as_it_was),
        cmocka_unit_test(new_memory_is_zeroed_and_failure_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
