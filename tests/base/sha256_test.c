/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the examples of its standard, and lengths around a block's. */
#include "engine/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *hex_of(const void *data, size_t len)
{
    static char text[2 * SHA256_LEN + 1];
    uint8_t digest[SHA256_LEN];

    sha256(digest, data, len);
    for (size_t i = 0; i < SHA256_LEN; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    return text;
}

static void the_examples_of_the_standard_come_out(void **state)
{
    char *million = malloc(1000000);

    (void)state;
    assert_string_equal(hex_of(NULL, 0),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(hex_of("abc", 3),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_non_null(million);
    memset(million, 'a', 1000000);
    assert_string_equal(hex_of(million, 1000000),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* The digest of the digests of all lengths up to three blocks. */
static void lengths_around_a_block_come_out(void **state)
{
    uint8_t all[193 * SHA256_LEN];
    uint8_t text[193];

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < 193; len++) {
        sha256(all + len * SHA256_LEN, text, len);
    }
    assert_string_equal(hex_of(all, sizeof all),
                        "78f583891c90f00e11c28b6cb4048bad529a50213a5a1f2b89ef4697a8eecf48");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_come_out),
        cmocka_unit_test(lengths_around_a_block_come_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
