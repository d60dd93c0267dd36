/* SPDX-License-Identifier: Apache-2.0 */
/* What libuv's errors mean to the session. */
#include "port/uv/uplink.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_kind_of_trouble_has_its_error(void **state)
{
    static const struct {
        int status;
        enum oxbow_err err;
    } rows[] = {
        {0, OXBOW_OK},
        {UV_ECONNREFUSED, OXBOW_EPIPE},
        {UV_ECONNRESET, OXBOW_EPIPE},
        {UV_EOF, OXBOW_EPIPE},
        {UV_ETIMEDOUT, OXBOW_ETIMEDOUT},
        {UV_EAI_NONAME, OXBOW_ENOENT},
        {UV_EAI_AGAIN, OXBOW_ENOENT},
        {UV_ENOENT, OXBOW_ENOENT},
        {UV_ENOMEM, OXBOW_ENOMEM},
        {UV_ECANCELED, OXBOW_ECANCELED},
        {UV_EHOSTUNREACH, OXBOW_ESYS},
        {UV_EMFILE, OXBOW_ESYS},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(uverror_of(rows[i].status), rows[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_trouble_has_its_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
