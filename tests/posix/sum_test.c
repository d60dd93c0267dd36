/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum by the processor's instructions: what is stored depends on its being the engine's. */
#include "port/posix/posix.h"

#include "engine/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LEN 4200u

static uint8_t bytes[LEN];

static void bytes_make(void)
{
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < LEN; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (uint8_t)(x >> 9);
    }
}

static void it_gives_the_published_values(void **state)
{
    (void)state;
    assert_int_equal(posix_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(posix_crc32c(0, "", 0), 0);
    assert_int_equal(posix_crc32c(0, NULL, 0), 0);
}

static void it_is_the_engines_own_at_every_length_and_alignment(void **state)
{
    (void)state;
    for (size_t from = 0; from < 8; from++) {
        for (size_t len = 0; len <= LEN - 8; len += len < 200 ? 1 : 97) {
            uint32_t start = (uint32_t)(len * 2654435761u);

            assert_int_equal(posix_crc32c(start, bytes + from, len),
                             crc32c(start, bytes + from, len));
        }
    }
}

static void it_goes_on_where_either_left_off(void **state)
{
    uint32_t whole = crc32c(0, bytes, LEN);

    (void)state;
    for (size_t cut = 0; cut <= LEN; cut += 13) {
        assert_int_equal(posix_crc32c(crc32c(0, bytes, cut), bytes + cut, LEN - cut), whole);
        assert_int_equal(crc32c(posix_crc32c(0, bytes, cut), bytes + cut, LEN - cut), whole);
    }
}

static void the_port_has_it(void **state)
{
    (void)state;
    assert_true(crc32c_of(oxbow_port_default()) == posix_crc32c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_the_published_values),
        cmocka_unit_test(it_is_the_engines_own_at_every_length_and_alignment),
        cmocka_unit_test(it_goes_on_where_either_left_off),
        cmocka_unit_test(the_port_has_it),
    };

    bytes_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
