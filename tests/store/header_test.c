/* SPDX-License-Identifier: Apache-2.0 */
/* The header record: its bytes, and what is refused. */
#include "engine/store/header.h"

#include "engine/base/codec.h"
#include "engine/store/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const struct tree_header some = {0x1011121314151617,
                                        0x2021222324252627,
                                        0x3031323334353637,
                                        0x4041424344454647,
                                        0x5051525354555657,
                                        0x6061626364656667,
                                        0x7071727374757677,
                                        {0x8081828384858687, 0x9091929394959697, 0xa0a1a2a3a4a5a6a7,
                                         0xb0b1b2b3b4b5b6b7, 0xc0c1c2c3c4c5c6c7, 0xd0d1d2d3d4d5d6d7,
                                         0xe0e1e2e3e4e5e6e7},
                                        {0xf0f1f2f3f4f5f6f7, 0x0001020304050607, 0x1011121314151617,
                                         0x2021222324252627, 0x3031323334353637},
                                        true,
                                        true};
/* Wraps the bytes as the tree does and decodes them. */
static enum oxbow_err decode(const uint8_t *bytes, size_t len, struct tree_header *h)
{
    uint8_t *raw = malloc(ENVELOPE_BYTES + len);
    enum oxbow_err err;

    assert_non_null(raw);
    envelope_put(crc32c, raw, header_key(), (struct oxbow_bytes){bytes, len});
    err = header_decode((struct oxbow_bytes){raw, ENVELOPE_BYTES + len}, h);
    free(raw);
    return err;
}

static void what_is_encoded_is_decoded(void **state)
{
    uint8_t bytes[HEADER_BYTES];
    struct tree_header h;

    (void)state;
    header_encode(bytes, &some);
    memset(&h, 0, sizeof h);
    assert_int_equal(decode(bytes, sizeof bytes, &h), OXBOW_OK);
    assert_memory_equal(&h, &some, sizeof h);
}

static void the_bytes_are_those_of_the_format(void **state)
{
    uint8_t bytes[HEADER_BYTES];
    size_t field;
    size_t i;

    (void)state;
    header_encode(bytes, &some);
    assert_int_equal(get_le64(bytes), 1 | (uint64_t)3 << 32); /* version, closed, journal */
    for (field = 1; field < HEADER_BYTES / 8; field++) {
        for (i = 0; i < 8; i++) {
            assert_int_equal(bytes[field * 8 + i], (uint8_t)(field * 16 + 7 - i));
        }
    }
    assert_int_equal(header_key().len, HEADER_KEY_BYTES);
    assert_memory_equal(header_key().data, "\x01h", 2);
}

static void another_version_is_another_format(void **state)
{
    uint8_t bytes[HEADER_BYTES];
    struct tree_header h = {.lsn = 99};
    uint32_t version;

    (void)state;
    header_encode(bytes, &some);
    for (version = 0; version < 3; version++) {
        put_le32(bytes, version);
        assert_int_equal(decode(bytes, sizeof bytes, &h), version == 1 ? OXBOW_OK : OXBOW_EFORMAT);
    }
    put_le32(bytes, UINT32_MAX);
    assert_int_equal(decode(bytes, sizeof bytes, &h), OXBOW_EFORMAT);
}

static void a_record_that_is_cut_or_damaged_is_refused(void **state)
{
    uint8_t bytes[HEADER_BYTES];
    uint8_t raw[ENVELOPE_BYTES + HEADER_BYTES];
    struct tree_header h = {.lsn = 99};
    size_t i;

    (void)state;
    header_encode(bytes, &some);
    for (i = 0; i < HEADER_BYTES; i++) {
        if (i != 64 && i < 120) {
            assert_int_equal(decode(bytes, i, &h), OXBOW_ECORRUPT);
        }
    }
    envelope_put(crc32c, raw, header_key(), (struct oxbow_bytes){bytes, sizeof bytes});
    for (i = 0; i < sizeof raw * 8; i++) {
        raw[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(header_decode((struct oxbow_bytes){raw, sizeof raw}, &h), OXBOW_ECORRUPT);
        raw[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (i = 0; i < sizeof raw; i++) {
        assert_int_equal(header_decode((struct oxbow_bytes){raw, i}, &h), OXBOW_ECORRUPT);
    }
    assert_int_equal(h.lsn, 99);
}

static void a_record_without_the_account_of_wear_is_read_with_none(void **state)
{
    static const struct header_wear none;
    uint8_t bytes[HEADER_BYTES];
    struct tree_header h;

    (void)state;
    header_encode(bytes, &some);
    memset(&h, 0xff, sizeof h);
    assert_int_equal(decode(bytes, 64, &h), OXBOW_OK);
    assert_int_equal(h.keys, some.keys);
    assert_memory_equal(&h.wear, &none, sizeof none);
}

static void a_record_without_a_clock_is_read_with_none(void **state)
{
    static const struct clock_mark none;
    uint8_t bytes[HEADER_BYTES];
    struct tree_header h;

    (void)state;
    header_encode(bytes, &some);
    for (size_t len = 120; len < 152; len++) {
        memset(&h, 0xff, sizeof h);
        assert_int_equal(decode(bytes, len, &h), OXBOW_OK);
        assert_memory_equal(&h.wear, &some.wear, sizeof h.wear);
        assert_memory_equal(&h.clock, &none, sizeof none);
    }
}

static void a_record_that_does_not_say_what_the_clock_has_leapt_is_read_with_nothing(void **state)
{
    uint8_t bytes[HEADER_BYTES];
    struct tree_header h;

    (void)state;
    header_encode(bytes, &some);
    for (size_t len = 152; len < HEADER_BYTES; len++) {
        memset(&h, 0xff, sizeof h);
        assert_int_equal(decode(bytes, len, &h), OXBOW_OK);
        assert_int_equal(h.clock.wall_at, some.clock.wall_at);
        assert_int_equal(h.clock.added_ms, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(another_version_is_another_format),
        cmocka_unit_test(a_record_that_is_cut_or_damaged_is_refused),
        cmocka_unit_test(a_record_without_the_account_of_wear_is_read_with_none),
        cmocka_unit_test(a_record_without_a_clock_is_read_with_none),
        cmocka_unit_test(a_record_that_does_not_say_what_the_clock_has_leapt_is_read_with_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
