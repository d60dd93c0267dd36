/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes: what was put in comes out, and nothing else ever does. */
#include "engine/store/envelope.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const struct oxbow_bytes nothing = {NULL, 0};

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

/* Asks about a copy that ends where its memory ends. */
static enum oxbow_err get_copy(struct oxbow_bytes key, const uint8_t *raw, size_t len)
{
    struct oxbow_bytes value = {NULL, 0};
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum oxbow_err err;

    assert_non_null(copy);
    memcpy(copy, raw, len);
    err = envelope_get(crc32c, key, (struct oxbow_bytes){copy, len}, &value);
    if (err != OXBOW_OK) {
        assert_null(value.data);
    }
    free(copy);
    return err;
}

static void a_value_comes_out_where_it_lies(void **state)
{
    uint8_t raw[ENVELOPE_BYTES + 10];
    struct oxbow_bytes value;

    (void)state;
    envelope_put(crc32c, raw, text("key"), text("front-back"));
    assert_int_equal(
        envelope_get(crc32c, text("key"), (struct oxbow_bytes){raw, sizeof raw}, &value), OXBOW_OK);
    assert_int_equal(value.len, 10);
    assert_memory_equal(value.data, "front-back", 10);
    assert_ptr_equal(value.data, raw + ENVELOPE_BYTES);
}

static void a_value_that_grew_is_the_same_bytes_as_one_put_whole(void **state)
{
    static const char whole[] = "what was there, and then what came to it at its end";
    uint8_t old[ENVELOPE_BYTES + sizeof whole];
    uint8_t grown[ENVELOPE_BYTES + sizeof whole];
    uint8_t put[ENVELOPE_BYTES + sizeof whole];
    size_t base;

    (void)state;
    envelope_put(crc32c, put, text("key"), (struct oxbow_bytes){whole, sizeof whole});
    for (base = 0; base <= sizeof whole; base++) {
        const struct envelope_change change = {.back = {whole + base, sizeof whole - base}};

        envelope_put(crc32c, old, text("key"), (struct oxbow_bytes){whole, base});
        envelope_extend(crc32c, grown, (struct oxbow_bytes){old, ENVELOPE_BYTES + base}, &change);
        assert_memory_equal(grown, put, sizeof put);
    }
}

static void damage_to_what_is_stored_is_found_out_after_a_change(void **state)
{
    const struct envelope_change change = {
        .at = 20, .patch = text("patch"), .back = text("what follows")};
    uint8_t old[ENVELOPE_BYTES + 30];
    uint8_t grown[sizeof old + 12];
    size_t bit;

    (void)state;
    for (bit = 0; bit < 8 * sizeof old; bit++) {
        envelope_put(crc32c, old, text("key"), text("012345678901234567890123456789"));
        old[bit / 8] ^= (uint8_t)(1u << bit % 8);
        envelope_extend(crc32c, grown, (struct oxbow_bytes){old, sizeof old}, &change);
        assert_int_equal(get_copy(text("key"), grown, sizeof grown), OXBOW_ECORRUPT);
    }
}

static void a_value_that_was_patched_is_the_same_bytes_as_one_put_whole(void **state)
{
    static char whole[1000];
    static uint8_t old[ENVELOPE_BYTES + sizeof whole];
    static uint8_t changed[ENVELOPE_BYTES + sizeof whole + 5];
    static uint8_t put[sizeof changed];
    static char then[sizeof whole + 5];
    size_t at;
    size_t n;

    (void)state;
    for (at = 0; at < sizeof whole; at++) {
        whole[at] = (char)(at * 31 + at / 256);
    }
    envelope_put(crc32c, old, text("key"), (struct oxbow_bytes){whole, sizeof whole});
    for (at = 0; at < sizeof whole; at++) {
        for (n = 1; n <= 16 && at + n <= sizeof whole; n += 5) {
            const struct envelope_change change = {
                .at = at, .patch = {"0123456789abcdef", n}, .back = text("after")};

            memcpy(then, whole, sizeof whole);
            memcpy(then + at, change.patch.data, n);
            memcpy(then + sizeof whole, "after", 5);
            envelope_put(crc32c, put, text("key"), (struct oxbow_bytes){then, sizeof then});
            envelope_extend(crc32c, changed, (struct oxbow_bytes){old, sizeof old}, &change);
            assert_memory_equal(changed, put, sizeof put);
        }
    }
}

static void an_empty_value_is_a_value(void **state)
{
    uint8_t raw[ENVELOPE_BYTES];
    struct oxbow_bytes value;

    (void)state;
    envelope_put(crc32c, raw, text("k"), nothing);
    assert_int_equal(envelope_get(crc32c, text("k"), (struct oxbow_bytes){raw, sizeof raw}, &value),
                     OXBOW_OK);
    assert_int_equal(value.len, 0);
}

static void the_bytes_are_those_of_the_format(void **state)
{
    /* CRC-32C of "k" 01 "v", worked out apart from this code. */
    static const uint8_t golden[] = {0x93, 0x0d, 0xa1, 0xd0, 0x01, 'v'};
    uint8_t raw[sizeof golden];

    (void)state;
    envelope_put(crc32c, raw, text("k"), text("v"));
    assert_memory_equal(raw, golden, sizeof golden);
}

static void any_flipped_bit_is_found_out(void **state)
{
    uint8_t raw[ENVELOPE_BYTES + 40];
    size_t bit;

    (void)state;
    envelope_put(crc32c, raw, text("key"), text("0123456789012345678901234567890123456789"));
    assert_int_equal(get_copy(text("key"), raw, sizeof raw), OXBOW_OK);
    for (bit = 0; bit < 8 * sizeof raw; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(get_copy(text("key"), raw, sizeof raw), OXBOW_ECORRUPT);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void any_cut_is_found_out(void **state)
{
    uint8_t raw[ENVELOPE_BYTES + 20] = {0};
    size_t len;

    (void)state;
    for (len = 0; len < sizeof raw; len++) {
        /* Zeros too: a page that was never written. */
        assert_int_equal(get_copy(text("key"), raw, len), OXBOW_ECORRUPT);
    }
    envelope_put(crc32c, raw, text("key"), text("01234567890123456789"));
    for (len = 0; len < sizeof raw; len++) {
        assert_int_equal(get_copy(text("key"), raw, len), OXBOW_ECORRUPT);
    }
}

static void a_value_under_another_key_is_found_out(void **state)
{
    uint8_t raw[ENVELOPE_BYTES + 5];

    (void)state;
    envelope_put(crc32c, raw, text("key"), text("value"));
    assert_int_equal(get_copy(text("kez"), raw, sizeof raw), OXBOW_ECORRUPT);
    assert_int_equal(get_copy(text("ke"), raw, sizeof raw), OXBOW_ECORRUPT);
    assert_int_equal(get_copy(text("keyy"), raw, sizeof raw), OXBOW_ECORRUPT);
}

static void an_envelope_of_the_future_is_refused(void **state)
{
    uint8_t raw[ENVELOPE_BYTES + 5];
    unsigned type;

    (void)state;
    envelope_put(crc32c, raw, text("key"), text("value"));
    for (type = 0; type < 256; type++) {
        raw[4] = (uint8_t)type;
        put_le32(raw, crc32c(crc32c(0, "key", 3), raw + 4, sizeof raw - 4));
        assert_int_equal(get_copy(text("key"), raw, sizeof raw),
                         type == ENVELOPE_PLAIN ? OXBOW_OK : OXBOW_ECORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_comes_out_where_it_lies),
        cmocka_unit_test(a_value_that_grew_is_the_same_bytes_as_one_put_whole),
        cmocka_unit_test(a_value_that_was_patched_is_the_same_bytes_as_one_put_whole),
        cmocka_unit_test(damage_to_what_is_stored_is_found_out_after_a_change),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(any_flipped_bit_is_found_out),
        cmocka_unit_test(any_cut_is_found_out),
        cmocka_unit_test(a_value_under_another_key_is_found_out),
        cmocka_unit_test(an_envelope_of_the_future_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
