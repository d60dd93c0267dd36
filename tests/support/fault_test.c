/* SPDX-License-Identifier: Apache-2.0 */
/* The failing port fails what it was told to, hands on the rest, and counts both. */
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void the_nth_allocation_fails_and_the_next_works(void **state)
{
    (void)state;
    struct fault f;
    fault_init(&f, oxbow_port_default());
    fault_arm_alloc(&f, 2, 1);
    const struct oxbow_alloc *a = &f.port.alloc;
    void *one = a->resize(a->ctx, NULL, 0, 10);
    assert_non_null(one);
    assert_null(a->resize(a->ctx, NULL, 0, 20));
    void *two = a->resize(a->ctx, NULL, 0, 30);
    assert_non_null(two);
    assert_int_equal(f.alloc_failed, 1);
    assert_int_equal(f.alloc_calls, 3);
    assert_int_equal(f.live_bytes, 40);
    one = a->resize(a->ctx, one, 10, 0);
    two = a->resize(a->ctx, two, 30, 0);
    assert_null(one);
    assert_null(two);
    assert_int_equal(f.live_bytes, 0);
}

static void a_failed_write_is_cut_in_half_and_reported(void **state)
{
    (void)state;
    struct fault f;
    fault_init(&f, oxbow_port_default());
    const struct oxbow_files *io = &f.port.files;
    char path[] = "fault_test_XXXXXX";
    int made = mkstemp(path);
    assert_true(made >= 0);
    close(made);

    int fd = -1;
    assert_int_equal(io->open(io->ctx, path, OXBOW_FILE_READ | OXBOW_FILE_WRITE, &fd), OXBOW_OK);
    fault_arm_files(&f, FAULT_WRITING, 2, 1, OXBOW_ENOSPC);
    assert_int_equal(io->write(io->ctx, fd, "0123456789", 10, 0), OXBOW_OK);
    assert_int_equal(io->write(io->ctx, fd, "abcdefghij", 10, 10), OXBOW_ENOSPC);
    assert_int_equal(f.file_failed, 1);
    uint64_t size = 0;
    assert_int_equal(io->size(io->ctx, fd, &size), OXBOW_OK);
    assert_int_equal(size, 15);
    assert_int_equal(io->sync(io->ctx, fd), OXBOW_OK);
    assert_int_equal(f.file_calls, 3); /* size is not among the armed kinds */
    fault_disarm(&f);
    assert_int_equal(io->close(io->ctx, fd), OXBOW_OK);
    assert_int_equal(io->unlink(io->ctx, path), OXBOW_OK);
}

static void all_calls_from_the_nth_on_can_fail(void **state)
{
    (void)state;
    struct fault f;
    fault_init(&f, oxbow_port_default());
    const struct oxbow_files *io = &f.port.files;
    fault_arm_files(&f, FAULT_OPEN, 1, UINT64_MAX, OXBOW_EIO);
    int fd = -1;
    for (int i = 0; i < 5; i++)
        assert_int_equal(io->open(io->ctx, "/", OXBOW_FILE_READ, &fd), OXBOW_EIO);
    assert_int_equal(f.file_failed, 5);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_and_the_next_works),
        cmocka_unit_test(a_failed_write_is_cut_in_half_and_reported),
        cmocka_unit_test(all_calls_from_the_nth_on_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
