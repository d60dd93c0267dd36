/* SPDX-License-Identifier: Apache-2.0 */
/* The lock and its owner, and the file system's figures. */
#include "port/posix/posix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW (OXBOW_FILE_READ | OXBOW_FILE_WRITE | OXBOW_FILE_CREATE)

static char path[] = "/tmp/oxbow-volume-test-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_second_handle_is_refused_and_told_the_owner(void **state)
{
    int64_t owner = -1;
    int first = -1;
    int second = -1;

    (void)state;
    assert_int_equal(posix_open(NULL, path, RW, &first), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, RW, &second), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, first, &owner), OXBOW_OK);
    assert_int_equal(owner, -1);
    assert_int_equal(posix_lock(NULL, second, &owner), OXBOW_ELOCKED);
    assert_int_equal(owner, getpid());
    /* Closing the second handle does not drop the first one's lock. */
    assert_int_equal(posix_close(NULL, second), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, RW, &second), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, second, &owner), OXBOW_ELOCKED);
    assert_int_equal(posix_close(NULL, first), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, second, &owner), OXBOW_OK);
    assert_int_equal(posix_close(NULL, second), OXBOW_OK);
}

static void handles_that_only_read_share_the_lock_but_not_with_a_writer(void **state)
{
    int64_t owner = -1;
    int writer = -1;
    int first = -1;
    int second = -1;

    (void)state;
    assert_int_equal(posix_open(NULL, path, RW, &writer), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, OXBOW_FILE_READ, &first), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, OXBOW_FILE_READ, &second), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, writer, &owner), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, first, &owner), OXBOW_ELOCKED);
    assert_int_equal(owner, getpid());
    assert_int_equal(posix_close(NULL, writer), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, first, &owner), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, second, &owner), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, RW, &writer), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, writer, &owner), OXBOW_ELOCKED);
    assert_int_equal(posix_close(NULL, first), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, writer, &owner), OXBOW_ELOCKED);
    assert_int_equal(posix_close(NULL, second), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, writer, &owner), OXBOW_OK);
    assert_int_equal(posix_close(NULL, writer), OXBOW_OK);
}

static void the_death_of_the_owner_frees_the_lock(void **state)
{
    int64_t owner = 0;
    int ready[2];
    int fd = -1;
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (posix_open(NULL, path, RW, &fd) != OXBOW_OK ||
            posix_lock(NULL, fd, &owner) != OXBOW_OK || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(posix_open(NULL, path, RW, &fd), OXBOW_OK);
    assert_int_equal(posix_lock(NULL, fd, &owner), OXBOW_ELOCKED);
    assert_int_equal(owner, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(posix_lock(NULL, fd, &owner), OXBOW_OK);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    close(ready[0]);
    close(ready[1]);
}

static void an_owner_that_wrote_nothing_readable_is_unknown(void **state)
{
    static const char *const texts[] = {"", "12", "not a number at all!\n"};
    int first = -1;
    int second = -1;

    (void)state;
    assert_int_equal(posix_open(NULL, path, RW, &first), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path, RW, &second), OXBOW_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t owner = -1;

        assert_int_equal(posix_lock(NULL, first, &owner), OXBOW_OK);
        assert_int_equal(posix_truncate(NULL, first, 0), OXBOW_OK);
        assert_int_equal(posix_write(NULL, first, texts[i], strlen(texts[i]), 0), OXBOW_OK);
        assert_int_equal(posix_lock(NULL, second, &owner), OXBOW_ELOCKED);
        assert_int_equal(owner, 0);
    }
    assert_int_equal(posix_close(NULL, first), OXBOW_OK);
    assert_int_equal(posix_close(NULL, second), OXBOW_OK);
}

static void the_file_system_gives_its_figures_and_its_kind(void **state)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    char kind[16];

    (void)state;
    assert_int_equal(posix_space(NULL, "/tmp", &free_bytes, &total_bytes, kind), OXBOW_OK);
    assert_true(total_bytes > 0);
    assert_true(free_bytes <= total_bytes);
    assert_in_range(strlen(kind), 1, 15);
    assert_int_equal(posix_space(NULL, "/proc", &free_bytes, &total_bytes, kind), OXBOW_OK);
    assert_string_equal(kind, "0x9fa0"); /* not in the table: its number */
    assert_int_equal(posix_space(NULL, "/no/such/place", &free_bytes, &total_bytes, kind),
                     OXBOW_ENOENT);
}

static void memory_file_systems_are_told_apart(void **state)
{
    uint64_t free_bytes;
    uint64_t total_bytes;
    char kind[16];

    (void)state;
    if (access("/dev/shm", F_OK) != 0) {
        skip();
    }
    assert_int_equal(posix_space(NULL, "/dev/shm", &free_bytes, &total_bytes, kind), OXBOW_OK);
    assert_string_equal(kind, "tmpfs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_handle_is_refused_and_told_the_owner),
        cmocka_unit_test(handles_that_only_read_share_the_lock_but_not_with_a_writer),
        cmocka_unit_test(the_death_of_the_owner_frees_the_lock),
        cmocka_unit_test(an_owner_that_wrote_nothing_readable_is_unknown),
        cmocka_unit_test(the_file_system_gives_its_figures_and_its_kind),
        cmocka_unit_test(memory_file_systems_are_told_apart),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
