/* SPDX-License-Identifier: Apache-2.0 */
/* The one translation of errno. */
#include "port/posix/posix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

static void each_cause_has_its_own_error(void **state)
{
    (void)state;
    assert_int_equal(posix_error(EIO), OXBOW_EIO);
    assert_int_equal(posix_error(ENOSPC), OXBOW_ENOSPC);
    assert_int_equal(posix_error(EDQUOT), OXBOW_ENOSPC);
    assert_int_equal(posix_error(EFBIG), OXBOW_ENOSPC);
    assert_int_equal(posix_error(ENOENT), OXBOW_ENOENT);
    assert_int_equal(posix_error(ENOTDIR), OXBOW_ENOENT);
    assert_int_equal(posix_error(EEXIST), OXBOW_EEXIST);
    assert_int_equal(posix_error(EROFS), OXBOW_EREADONLY);
    assert_int_equal(posix_error(EACCES), OXBOW_EREADONLY);
    assert_int_equal(posix_error(EOPNOTSUPP), OXBOW_ENOTSUP);
    assert_int_equal(posix_error(EINVAL), OXBOW_ENOTSUP);
    assert_int_equal(posix_error(ENOMEM), OXBOW_ENOMEM);
}

static void no_errno_at_all_passes_for_success(void **state)
{
    (void)state;
    for (int error = -200; error < 4096; error++) {
        assert_int_not_equal(posix_error(error), OXBOW_OK);
    }
    assert_int_equal(posix_error(0), OXBOW_ESYS);
    assert_int_equal(posix_error(EMFILE), OXBOW_ESYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_has_its_own_error),
        cmocka_unit_test(no_errno_at_all_passes_for_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
