/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads and writes, the flags, and an error for everything that cannot be. */
#include "port/posix/posix.h"

#include <fcntl.h>
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW (OXBOW_FILE_READ | OXBOW_FILE_WRITE)

static char dir[] = "/tmp/oxbow-file-test-XXXXXX";

static char *path_of(const char *name)
{
    static char path[2][PATH_MAX];
    static int turn;

    turn = !turn;
    snprintf(path[turn], PATH_MAX, "%s/%s", dir, name);
    return path[turn];
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char command[PATH_MAX];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static int open_file(const char *name, uint32_t flags)
{
    int fd = -1;

    assert_int_equal(posix_open(NULL, path_of(name), flags, &fd), OXBOW_OK);
    assert_true(fd >= 3);
    return fd;
}

static void open_makes_only_what_it_was_told_to(void **state)
{
    int fd = -7;
    struct stat st;

    (void)state;
    assert_int_equal(posix_open(NULL, path_of("new"), RW, &fd), OXBOW_ENOENT);
    assert_int_equal(fd, -7);
    fd = open_file("new", RW | OXBOW_FILE_CREATE | OXBOW_FILE_EXCL);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0); /* what is queued is nobody else's business */
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    assert_int_equal(
        posix_open(NULL, path_of("new"), RW | OXBOW_FILE_CREATE | OXBOW_FILE_EXCL, &fd),
        OXBOW_EEXIST);
    fd = open_file("new", RW | OXBOW_FILE_CREATE);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    assert_int_equal(posix_open(NULL, path_of("new/below"), RW | OXBOW_FILE_CREATE, &fd),
                     OXBOW_ENOENT);
    assert_int_equal(posix_open(NULL, dir, RW, &fd), OXBOW_ESYS);
    assert_int_equal(posix_unlink(NULL, path_of("new")), OXBOW_OK);
    assert_int_equal(posix_unlink(NULL, path_of("new")), OXBOW_ENOENT);
}

static void a_file_takes_its_access_from_the_flags(void **state)
{
    uint8_t byte = 1;
    size_t got;
    int fd = open_file("access", OXBOW_FILE_WRITE | OXBOW_FILE_CREATE);

    (void)state;
    assert_int_equal(posix_write(NULL, fd, &byte, 1, 0), OXBOW_OK);
    assert_int_equal(posix_read(NULL, fd, &byte, 1, 0, &got), OXBOW_ESYS);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    fd = open_file("access", OXBOW_FILE_READ);
    assert_int_equal(posix_read(NULL, fd, &byte, 1, 0, &got), OXBOW_OK);
    assert_int_equal(posix_write(NULL, fd, &byte, 1, 0), OXBOW_ESYS);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
}

/* In a child, since cmocka's own output goes there. */
static void a_handle_is_never_a_standard_stream(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        int fd = -1;

        close(0);
        close(2);
        if (posix_open(NULL, path_of("low"), RW | OXBOW_FILE_CREATE, &fd) != OXBOW_OK || fd < 3 ||
            fcntl(0, F_GETFD) != -1 || fcntl(2, F_GETFD) != -1 ||
            (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) {
            _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void what_is_written_is_read_back_and_the_end_is_the_end(void **state)
{
    enum { LEN = 3 * 1024 * 1024 + 17 };
    uint8_t *out = malloc(LEN);
    uint8_t *in = calloc(1, LEN);
    uint64_t size = 0;
    size_t got = 99;
    int fd = open_file("data", RW | OXBOW_FILE_CREATE);

    (void)state;
    for (size_t i = 0; i < LEN; i++) {
        out[i] = (uint8_t)(i * 31 >> 3);
    }
    assert_int_equal(posix_write(NULL, fd, out, LEN, 5000), OXBOW_OK);
    assert_int_equal(posix_size(NULL, fd, &size), OXBOW_OK);
    assert_int_equal(size, LEN + 5000);
    assert_int_equal(posix_read(NULL, fd, in, LEN, 5000, &got), OXBOW_OK);
    assert_int_equal(got, LEN);
    assert_memory_equal(in, out, LEN);
    assert_int_equal(posix_read(NULL, fd, in, 100, LEN + 5000 - 99, &got), OXBOW_OK);
    assert_int_equal(got, 99);
    assert_int_equal(posix_read(NULL, fd, in, 100, LEN + 5000, &got), OXBOW_OK);
    assert_int_equal(got, 0);
    assert_int_equal(posix_read(NULL, fd, in, 5000, 0, &got), OXBOW_OK);
    assert_int_equal(in[0] | in[4999], 0);
    assert_int_equal(posix_write(NULL, fd, NULL, 0, 0), OXBOW_OK);
    assert_int_equal(posix_sync(NULL, fd), OXBOW_OK);
    assert_int_equal(posix_truncate(NULL, fd, 10), OXBOW_OK);
    assert_int_equal(posix_size(NULL, fd, &size), OXBOW_OK);
    assert_int_equal(size, 10);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    free(out);
    free(in);
}

static void a_position_past_what_the_system_can_is_an_error(void **state)
{
    uint8_t byte = 1;
    size_t got;
    int fd = open_file("far", RW | OXBOW_FILE_CREATE);

    (void)state;
    assert_int_equal(posix_write(NULL, fd, &byte, 1, INT64_MAX), OXBOW_ENOSPC);
    assert_int_equal(posix_write(NULL, fd, &byte, 1, UINT64_MAX), OXBOW_ENOSPC);
    assert_int_equal(posix_read(NULL, fd, &byte, 1, UINT64_MAX, &got), OXBOW_ESYS);
    assert_int_equal(posix_truncate(NULL, fd, UINT64_MAX), OXBOW_ENOSPC);
    assert_int_equal(posix_reserve(NULL, fd, UINT64_MAX, 1), OXBOW_ENOSPC);
    assert_int_equal(posix_reserve(NULL, fd, 1, INT64_MAX), OXBOW_ENOSPC);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
}

static void reserving_extends_with_zeros_or_says_it_cannot(void **state)
{
    uint8_t page[4096];
    uint64_t size;
    size_t got;
    struct stat st;
    int fd = open_file("reserved", RW | OXBOW_FILE_CREATE);
    enum oxbow_err err = posix_reserve(NULL, fd, 4096, 65536);

    (void)state;
    assert_int_equal(posix_reserve(NULL, fd, 0, 0), OXBOW_OK);
    if (err == OXBOW_ENOTSUP) {
        print_message("this file system cannot reserve\n");
        assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
        skip();
    }
    assert_int_equal(err, OXBOW_OK);
    assert_int_equal(posix_size(NULL, fd, &size), OXBOW_OK);
    assert_int_equal(size, 4096 + 65536);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks * 512 >= 65536);
    assert_int_equal(posix_read(NULL, fd, page, sizeof page, 65536, &got), OXBOW_OK);
    assert_int_equal(got, sizeof page);
    assert_int_equal(page[0] | page[4095], 0);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
}

/* A write that the limit cuts in the middle: the part that fits does not make it a success. */
static void a_write_that_is_cut_short_fails(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        static uint8_t data[8192];
        const struct rlimit limit = {4096, 4096};
        int fd = -1;

        signal(SIGXFSZ, SIG_IGN);
        if (posix_open(NULL, path_of("cut"), RW | OXBOW_FILE_CREATE, &fd) != OXBOW_OK ||
            setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
            posix_write(NULL, fd, data, 4096, 0) != OXBOW_OK ||
            posix_write(NULL, fd, data, 8192, 0) != OXBOW_ENOSPC) {
            _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_full_device_is_reported(void **state)
{
    uint8_t byte = 1;
    int fd = -1;

    (void)state;
    assert_int_equal(posix_open(NULL, "/dev/full", RW, &fd), OXBOW_OK);
    assert_int_equal(posix_write(NULL, fd, &byte, 1, 0), OXBOW_ENOSPC);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
}

static void directories_are_made_renamed_and_synced(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(posix_mkdir(NULL, path_of("sub")), OXBOW_OK);
    assert_int_equal(posix_mkdir(NULL, path_of("sub")), OXBOW_EEXIST);
    assert_int_equal(posix_mkdir(NULL, path_of("none/sub")), OXBOW_ENOENT);
    assert_int_equal(stat(path_of("sub"), &st), 0);
    assert_int_equal(st.st_mode & 0077, 0);
    fd = open_file("sub/a", RW | OXBOW_FILE_CREATE);
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    assert_int_equal(posix_rename(NULL, path_of("sub/a"), path_of("sub/b")), OXBOW_OK);
    assert_int_equal(posix_rename(NULL, path_of("sub/a"), path_of("sub/b")), OXBOW_ENOENT);
    assert_int_equal(posix_sync_dir(NULL, path_of("sub")), OXBOW_OK);
    assert_int_equal(posix_sync_dir(NULL, path_of("sub/b")), OXBOW_ENOENT);
    assert_int_equal(posix_sync_dir(NULL, path_of("none")), OXBOW_ENOENT);
}

static void a_descriptor_is_kept_from_programs_and_else_as_it_was(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_APPEND);
    int flags = fcntl(fd, F_GETFL);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(posix_keep_private(NULL, fd), OXBOW_OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(posix_keep_private(NULL, fd), OXBOW_OK);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    assert_int_equal(close(fd), 0);
    assert_int_equal(posix_keep_private(NULL, fd), OXBOW_ESYS);
}

static void a_punched_hole_reads_as_zeros_and_takes_no_space(void **state)
{
    static uint8_t bytes[1 << 20];
    int fd = open_file("holes", RW | OXBOW_FILE_CREATE);
    uint64_t before = 0;
    uint64_t after = 0;
    uint64_t size = 0;
    size_t got = 0;
    enum oxbow_err err;

    (void)state;
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(posix_write(NULL, fd, bytes, sizeof bytes, 0), OXBOW_OK);
    assert_int_equal(posix_sync(NULL, fd), OXBOW_OK);
    assert_int_equal(posix_occupied(NULL, fd, &before), OXBOW_OK);
    assert_true(before >= sizeof bytes);
    assert_int_equal(posix_punch(NULL, fd, UINT64_MAX, 1), OXBOW_ENOSPC);
    assert_int_equal(posix_punch(NULL, fd, 1, INT64_MAX), OXBOW_ENOSPC);
    assert_int_equal(posix_punch(NULL, fd, 4096, 0), OXBOW_OK);
    err = posix_punch(NULL, fd, 65536, 4 * 65536);
    if (err == OXBOW_ENOTSUP) {
        print_message("this file system cannot punch holes\n");
        assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
        return;
    }
    assert_int_equal(err, OXBOW_OK);
    assert_int_equal(posix_occupied(NULL, fd, &after), OXBOW_OK);
    assert_true(after <= before - 4 * 65536);
    assert_int_equal(posix_size(NULL, fd, &size), OXBOW_OK);
    assert_int_equal(size, sizeof bytes);
    assert_int_equal(posix_read(NULL, fd, bytes, sizeof bytes, 0, &got), OXBOW_OK);
    assert_int_equal(got, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(bytes[i], i >= 65536 && i < 5 * 65536 ? 0 : 7);
    }
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
}

static bool same(int fd, const char *path)
{
    bool answer = false;

    assert_int_equal(posix_same(NULL, fd, path, &answer), OXBOW_OK);
    return answer;
}

static void a_file_is_known_again_by_its_path_until_it_is_gone_or_replaced(void **state)
{
    int fd = open_file("one", RW | OXBOW_FILE_CREATE);
    int other = open_file("other", RW | OXBOW_FILE_CREATE);

    (void)state;
    assert_true(same(fd, path_of("one")));
    assert_false(same(fd, path_of("other")));
    assert_false(same(fd, path_of("none")));
    assert_false(same(fd, path_of("one/below")));
    assert_true(same(fd, "somewhere/else")); /* it cannot say: the program may have moved */
    assert_int_equal(posix_rename(NULL, path_of("one"), path_of("two")), OXBOW_OK);
    assert_false(same(fd, path_of("one")));
    assert_true(same(fd, path_of("two")));
    assert_int_equal(posix_rename(NULL, path_of("other"), path_of("two")), OXBOW_OK);
    assert_false(same(fd, path_of("two")));
    assert_true(same(other, path_of("two")));
    assert_false(same(fd, "somewhere/else")); /* nobody finds it any more */
    assert_int_equal(posix_close(NULL, fd), OXBOW_OK);
    assert_int_equal(posix_close(NULL, other), OXBOW_OK);
}

static void a_handle_that_is_not_open_is_an_error_everywhere(void **state)
{
    bool is = true;
    uint8_t byte = 0;
    uint64_t size = 5;
    size_t got = 5;
    int64_t pid = 5;

    (void)state;
    assert_int_equal(posix_close(NULL, -1), OXBOW_ESYS);
    assert_int_equal(posix_size(NULL, -1, &size), OXBOW_ESYS);
    assert_int_equal(posix_read(NULL, -1, &byte, 1, 0, &got), OXBOW_ESYS);
    assert_int_equal(posix_write(NULL, -1, &byte, 1, 0), OXBOW_ESYS);
    assert_int_equal(posix_truncate(NULL, -1, 0), OXBOW_ESYS);
    assert_int_equal(posix_reserve(NULL, -1, 0, 1), OXBOW_ESYS);
    assert_int_equal(posix_punch(NULL, -1, 0, 1), OXBOW_ESYS);
    assert_int_equal(posix_occupied(NULL, -1, &size), OXBOW_ESYS);
    assert_int_equal(posix_same(NULL, -1, "/", &is), OXBOW_ESYS);
    assert_int_equal(posix_sync(NULL, -1), OXBOW_ESYS);
    assert_int_equal(posix_lock(NULL, -1, &pid), OXBOW_ESYS);
    assert_true(is);
    assert_int_equal(size, 5);
    assert_int_equal(got, 5);
    assert_int_equal(pid, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_makes_only_what_it_was_told_to),
        cmocka_unit_test(a_file_takes_its_access_from_the_flags),
        cmocka_unit_test(a_handle_is_never_a_standard_stream),
        cmocka_unit_test(what_is_written_is_read_back_and_the_end_is_the_end),
        cmocka_unit_test(a_position_past_what_the_system_can_is_an_error),
        cmocka_unit_test(reserving_extends_with_zeros_or_says_it_cannot),
        cmocka_unit_test(a_write_that_is_cut_short_fails),
        cmocka_unit_test(a_full_device_is_reported),
        cmocka_unit_test(directories_are_made_renamed_and_synced),
        cmocka_unit_test(a_descriptor_is_kept_from_programs_and_else_as_it_was),
        cmocka_unit_test(a_punched_hole_reads_as_zeros_and_takes_no_space),
        cmocka_unit_test(a_file_is_known_again_by_its_path_until_it_is_gone_or_replaced),
        cmocka_unit_test(a_handle_that_is_not_open_is_an_error_everywhere),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
