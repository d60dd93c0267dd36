/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-width integers and varints, in both directions. */
#include "engine/base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void big_endian_bytes_sort_as_their_numbers(void **state)
{
    static const uint8_t expect[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t got[8];

    (void)state;
    put_be64(got, UINT64_C(0x0102030405060708));
    assert_memory_equal(got, expect, 8);
    assert_true(get_be64(expect) == UINT64_C(0x0102030405060708));
    assert_true(get_be32(expect) == 0x01020304u);
}

static void little_endian_bytes_come_lowest_first(void **state)
{
    static const uint8_t expect[8] = {8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t got[8];

    (void)state;
    put_le64(got, UINT64_C(0x0102030405060708));
    assert_memory_equal(got, expect, 8);
    assert_true(get_le64(expect) == UINT64_C(0x0102030405060708));
    assert_true(get_le32(expect) == 0x05060708u);
    assert_true(get_le16(expect) == 0x0708u);
}

static void a_varint_comes_back_at_every_length(void **state)
{
    int bits;

    (void)state;
    for (bits = 0; bits < 64; bits++) {
        uint64_t edge = UINT64_C(1) << bits;
        uint64_t each[3] = {edge - 1, edge, edge | 1};

        for (int i = 0; i < 3; i++) {
            uint8_t p[VARINT_MAX];
            uint64_t back = ~each[i];
            size_t len = varint_put(p, each[i]);

            assert_int_equal(len, varint_len(each[i]));
            assert_int_equal(varint_get(p, len, &back), len);
            assert_true(back == each[i]);
            assert_int_equal(varint_get(p, len - 1, &back), 0);
        }
    }
    assert_int_equal(varint_len(UINT64_MAX), VARINT_MAX);
}

static void a_varint_that_is_cut_too_long_or_too_large_is_refused(void **state)
{
    static const struct {
        uint8_t p[11];
        size_t len;
    } bad[] = {
        {{0}, 0},
        {{0x80}, 1},
        {{0x80, 0x00}, 2}, /* zero in two bytes */
        {{0xff, 0x80, 0x00}, 3},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10}, /* bit 64 */
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x01}, 11},
    };
    uint64_t untouched = 77;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(varint_get(bad[i].p, bad[i].len, &untouched), 0);
        assert_int_equal(untouched, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_endian_bytes_sort_as_their_numbers),
        cmocka_unit_test(little_endian_bytes_come_lowest_first),
        cmocka_unit_test(a_varint_comes_back_at_every_length),
        cmocka_unit_test(a_varint_that_is_cut_too_long_or_too_large_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
