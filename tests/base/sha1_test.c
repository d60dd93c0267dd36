/* SPDX-License-Identifier: Apache-2.0 */
/* Digests whose values are published (FIPS 180, RFC 3174), and lengths around a block's. */
#include "engine/base/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void assert_digest(const char *text, const char *want)
{
    char out[SHA1_HEX_LEN + 1];

    sha1_hex(text, strlen(text), out);
    assert_string_equal(out, want);
}

static void the_published_digests_are_met(void **state)
{
    (void)state;
    assert_digest("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_digest("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

static void lengths_around_a_block_are_padded_right(void **state)
{
    static const struct {
        size_t len;
        const char *digest;
    } cases[] = {
        {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
        {1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    };
    static char text[1000000];
    char out[SHA1_HEX_LEN + 1];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sha1_hex(text, cases[i].len, out);
        assert_string_equal(out, cases[i].digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_digests_are_met),
        cmocka_unit_test(lengths_around_a_block_are_padded_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
