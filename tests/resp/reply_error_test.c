/* SPDX-License-Identifier: Apache-2.0 */
/* Every error of the engine has one line for a Redis client. */
#include "engine/resp/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void every_error_has_a_text_that_begins_with_its_code(void **state)
{
    static const enum oxbow_err all[] = {
#define ROW(name, value, prefix, text) name,
        OXBOW_ERRORS(ROW)
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *text = resp_error_text(all[i]);
        const char *prefix = oxbow_err_prefix(all[i]);

        assert_int_equal(strncmp(text, prefix, strlen(prefix)), 0);
        assert_int_equal(text[strlen(prefix)], ' ');
        assert_null(strpbrk(text, "\r\n"));
    }
    assert_string_equal(resp_error_text((enum oxbow_err)1000), "ERR unknown error");
    assert_string_equal(resp_error_text((enum oxbow_err) - 1), "ERR unknown error");
}

static void what_redis_has_words_for_is_said_in_them(void **state)
{
    (void)state;
    assert_string_equal(resp_error_text(OXBOW_EWRONGTYPE),
                        "WRONGTYPE Operation against a key holding the wrong kind of value");
    assert_string_equal(resp_error_text(OXBOW_ENOENT), "ERR no such key");
    assert_string_equal(resp_error_text(OXBOW_ERANGE), "ERR index out of range");
    assert_string_equal(resp_error_text(OXBOW_EQUOTA),
                        "OOM command not allowed when used memory > 'maxmemory'.");
    assert_string_equal(resp_error_text(OXBOW_ENODB), "ERR DB index is out of range");
    assert_string_equal(resp_error_text(OXBOW_EBUSYGROUP),
                        "BUSYGROUP Consumer Group name already exists");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_text_that_begins_with_its_code),
        cmocka_unit_test(what_redis_has_words_for_is_said_in_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
