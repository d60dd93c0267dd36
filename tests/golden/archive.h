/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of golden stores do with an archive: unpack it, and look whether the store in it is sound. */
#ifndef OXBOW_TESTS_GOLDEN_ARCHIVE_H
#define OXBOW_TESTS_GOLDEN_ARCHIVE_H

#include "oxbow/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_ok(expr) assert_string_equal(oxbow_err_name(expr), "OXBOW_OK")

static inline void run(const char *const argv[])
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        union {
            const char *const *in;
            char *const *out;
        } args = {argv};

        (void)execvp(argv[0], args.out);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static inline void check_sound(const char *dir)
{
    struct oxbow_check_report report;

    assert_ok(oxbow_check(dir, NULL, &report));
    assert_int_equal(report.damage, 0);
    assert_int_equal(report.values_bad, 0);
    assert_int_equal(report.recovery.lost_from, 0);
}

#endif
