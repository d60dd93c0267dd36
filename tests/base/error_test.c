/* SPDX-License-Identifier: Apache-2.0 */
/* The error table: whole, and safe to ask about anything. */
#include "oxbow/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct {
    enum oxbow_err err;
    const char *name;
    const char *prefix;
    const char *text;
} rows[] = {
#define ROW(name, value, prefix, text) {name, #name, prefix, text},
    OXBOW_ERRORS(ROW)
#undef ROW
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static void every_error_gives_its_own_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        assert_string_equal(oxbow_err_name(rows[i].err), rows[i].name);
        assert_string_equal(oxbow_err_prefix(rows[i].err), rows[i].prefix);
        assert_string_equal(oxbow_err_text(rows[i].err), rows[i].text);
    }
}

static void values_are_dense_and_texts_differ(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        assert_int_equal(rows[i].err, i);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].text, rows[j].text);
        }
    }
}

static void a_value_outside_the_table_is_unknown(void **state)
{
    static const int strange[] = {(int)ROW_COUNT, -1, 1000, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        enum oxbow_err err;

        memcpy(&err, &strange[i], sizeof err);
        assert_string_equal(oxbow_err_name(err), "OXBOW_E?");
        assert_string_equal(oxbow_err_prefix(err), "ERR");
        assert_string_equal(oxbow_err_text(err), "unknown error");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_gives_its_own_row),
        cmocka_unit_test(values_are_dense_and_texts_differ),
        cmocka_unit_test(a_value_outside_the_table_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
