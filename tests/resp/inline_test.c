/* SPDX-License-Identifier: Apache-2.0 */
/* Words of inline commands: quoting and its faults. */
#include "engine/resp/inline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void words_are_taken_apart_as_redis_does(void **state)
{
    /* Each word in brackets, "!" where the quotes are unbalanced. */
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"", ""},
        {" \t\v\f\r ", ""},
        {"PING", "[PING]"},
        {"  a  b\tc ", "[a][b][c]"},
        {"\"a b\"", "[a b]"},
        {"\"\"", "[]"},
        {"'' x", "[][x]"},
        {"\"\\n\\r\\t\\b\\a\\q\\\"\\\\\"", "[\n\r\t\b\aq\"\\]"},
        {"\"\\x41\\x4\\xg1\\x7a\"", "[Ax4xg1z]"},
        {"\"\\xfF\"", "[\xff]"},
        {"'a\\'b\\n'", "[a'b\\n]"},
        {"a\"b c\"", "[ab c]"},
        {"a'b c' d", "[ab c][d]"},
        {"a\vb\f", "[a\vb\f]"},
        {"\va\v", "[a\v]"},
        {"\"a\"\vb", "[a][b]"},
        {"\"a\"b", "!"},
        {"'a'b", "!"},
        {"\"a", "!"},
        {"'a", "!"},
        {"x \"a\\", "[x]!"},
        {"\"a\\\"", "!"},
        {"'a\\'", "!"},
        {"\"", "!"},
        {"\\n \\", "[\\n][\\]"},
        {"\"\\x4\"", "[x4]"},
        {"\"\\x\"", "[x]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t line[64];
        char words[128] = "";
        size_t len = strlen(rows[i].line);
        size_t at = 0, n = 0;
        struct resp_span span;
        enum inline_arg arg;

        memcpy(line, rows[i].line, len);
        while ((arg = inline_next(line, len, &at, &span)) == INLINE_ARG) {
            assert_true(span.pos + span.len <= at && at <= len);
            words[n++] = '[';
            memcpy(words + n, line + span.pos, span.len);
            n += span.len;
            words[n++] = ']';
        }
        if (arg == INLINE_UNBALANCED) {
            words[n++] = '!';
        }
        words[n] = '\0';
        assert_string_equal(words, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_taken_apart_as_redis_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
