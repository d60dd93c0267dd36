/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/uplink/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void commands_are_arrays_of_bulk_strings(void **state)
{
    static const char expected[] = "*4\r\n$4\r\nXADD\r\n$3\r\na\0b\r\n$22\r\n"
                                   "18446744073709551615-7\r\n$1\r\n0\r\n";
    struct buf out;

    (void)state;
    buf_init(&out, &oxbow_port_default()->alloc, 1024);
    assert_int_equal(command_begin(&out, 4), OXBOW_OK);
    assert_int_equal(command_text(&out, "XADD"), OXBOW_OK);
    assert_int_equal(command_bytes(&out, (struct oxbow_bytes){"a\0b", 3}), OXBOW_OK);
    assert_int_equal(command_id(&out, (struct oxbow_id){UINT64_MAX, 7}), OXBOW_OK);
    assert_int_equal(command_u64(&out, 0), OXBOW_OK);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    buf_fini(&out);
}

static void a_command_that_does_not_fit_leaves_nothing_behind(void **state)
{
    static const char *const ping[] = {"PING", NULL};
    struct buf out;

    (void)state;
    buf_init(&out, &oxbow_port_default()->alloc, 20);
    assert_int_equal(command_put(&out, ping), OXBOW_OK);
    assert_int_equal(out.len, 14);
    assert_int_equal(command_put(&out, ping), OXBOW_ETOOBIG);
    assert_int_equal(out.len, 14);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_arrays_of_bulk_strings),
        cmocka_unit_test(a_command_that_does_not_fit_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
