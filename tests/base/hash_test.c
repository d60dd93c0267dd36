/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and hashes: values are stored, so they are fixed here. */
#include "engine/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_LEN 300

/* The definition, a bit at a time: shares nothing with the tables. */
static uint32_t crc32c_by_bits(const uint8_t *p, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        }
    }
    return ~crc;
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t seed_start(void)
{
    const char *text = getenv("OXBOW_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 0x0b0ed;

    print_message("OXBOW_SEED=%llu\n", (unsigned long long)seed);
    return seed != 0 ? seed : 1;
}

static void crc32c_gives_the_published_values(void **state)
{
    uint8_t p[32];

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    /* RFC 3720, B.4 */
    memset(p, 0, sizeof p);
    assert_int_equal(crc32c(0, p, 32), 0x8a9136aau);
    memset(p, 0xff, sizeof p);
    assert_int_equal(crc32c(0, p, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) {
        p[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, p, 32), 0x46dd794eu);
}

static void crc32c_agrees_with_its_definition_at_every_length_and_alignment(void **state)
{
    uint64_t seed = seed_start();
    uint8_t p[RANDOM_LEN];

    (void)state;
    for (int i = 0; i < RANDOM_LEN; i++) {
        p[i] = (uint8_t)(random_next(&seed) >> 32);
    }
    for (size_t from = 0; from < 8; from++) {
        for (size_t len = 0; len <= RANDOM_LEN - from; len++) {
            assert_int_equal(crc32c(0, p + from, len), crc32c_by_bits(p + from, len));
        }
    }
    /* Every entry of every table: single bytes at each place of a step of eight. */
    for (int at = 0; at < 8; at++) {
        for (int byte = 0; byte < 256; byte++) {
            uint8_t step[8] = {0};

            step[at] = (uint8_t)byte;
            assert_int_equal(crc32c(0, step, 8), crc32c_by_bits(step, 8));
        }
    }
}

static void crc32c_of_two_parts_is_that_of_the_whole(void **state)
{
    static const char text[] = "an oxbow keeps its water until the flood";
    size_t len = sizeof text - 1;

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, len - cut), crc32c(0, text, len));
    }
}

static void hash64_gives_the_values_that_stores_already_hold(void **state)
{
    (void)state;
    assert_true(hash64(NULL, 0, 0) == UINT64_C(0x4d437ecbb9fe87a2));
    assert_true(hash64("queue", 5, 0) == UINT64_C(0x7960662bc9ff4a53));
    assert_true(hash64("sensor:temperature", 18, 7) == UINT64_C(0x48ebdc0c10f618ba));
}

static void hash64_tells_lengths_seeds_and_zeros_apart(void **state)
{
    static const uint8_t zeros[64] = {0};
    uint64_t seen[64];

    (void)state;
    for (size_t len = 0; len < 64; len++) {
        seen[len] = hash64(zeros, len, 0);
        assert_true(seen[len] != hash64(zeros, len, 1));
        for (size_t i = 0; i < len; i++) {
            assert_true(seen[i] != seen[len]);
        }
    }
}

/* Each input bit, when flipped, flips each output bit in about half of the trials. With 2,000
 * trials a share outside 0.40 to 0.60 is nine standard deviations off. */
static void each_input_bit_of_hash64_reaches_every_output_bit(void **state)
{
    enum { TRIALS = 2000, LEN = 13 };
    uint64_t seed = seed_start();

    (void)state;
    for (int bit = 0; bit < LEN * 8; bit++) {
        int flips[64] = {0};

        for (int trial = 0; trial < TRIALS; trial++) {
            uint8_t p[LEN];
            uint64_t before;
            uint64_t diff;

            for (int i = 0; i < LEN; i++) {
                p[i] = (uint8_t)(random_next(&seed) >> 32);
            }
            before = hash64(p, LEN, 0);
            p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            diff = before ^ hash64(p, LEN, 0);
            for (int out = 0; out < 64; out++) {
                flips[out] += (int)(diff >> out & 1);
            }
        }
        for (int out = 0; out < 64; out++) {
            assert_in_range(flips[out], TRIALS * 2 / 5, TRIALS * 3 / 5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_agrees_with_its_definition_at_every_length_and_alignment),
        cmocka_unit_test(crc32c_of_two_parts_is_that_of_the_whole),
        cmocka_unit_test(hash64_gives_the_values_that_stores_already_hold),
        cmocka_unit_test(hash64_tells_lengths_seeds_and_zeros_apart),
        cmocka_unit_test(each_input_bit_of_hash64_reaches_every_output_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
