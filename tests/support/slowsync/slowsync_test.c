/* SPDX-License-Identifier: Apache-2.0 */
/* The slowed calls, in this very program started again with the library preloaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DELAY_US 20000u

static char path[] = "/tmp/oxbow-slowsync-XXXXXX";
static int fd = -1;    /* an ordinary descriptor */
static int dsync = -1; /* one that syncs with each write */

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

/* What the call took, in microseconds; the call must succeed. */
#define TOOK(call) (began = now_us(), assert_true((call) >= 0), (uint64_t)now_us() - began)

static int set_up(void **state)
{
    (void)state;
    fd = mkstemp(path);
    dsync = open(path, O_WRONLY | O_DSYNC);
    return fd >= 0 && dsync >= 0 && ftruncate(fd, 4096) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    close(dsync);
    return unlink(path);
}

static void every_sync_takes_its_time(void **state)
{
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint64_t began;

    (void)state;
    assert_true(map != MAP_FAILED);
    assert_true(TOOK(fsync(fd)) >= DELAY_US);
    assert_true(TOOK(fdatasync(fd)) >= DELAY_US);
    assert_true(TOOK(msync(map, 4096, MS_SYNC)) >= DELAY_US);
    munmap(map, 4096);
}

static void a_write_that_syncs_takes_its_time(void **state)
{
    struct iovec v = {path, 4};
    uint64_t began;

    (void)state;
    assert_true(TOOK(write(dsync, "1234", 4)) >= DELAY_US);
    assert_true(TOOK(pwrite(dsync, "1234", 4, 0)) >= DELAY_US);
    assert_true(TOOK(pwrite64(dsync, "1234", 4, 0)) >= DELAY_US);
    assert_true(TOOK(writev(dsync, &v, 1)) >= DELAY_US);
}

static void what_does_not_sync_is_not_slowed(void **state)
{
    uint64_t least = UINT64_MAX;
    uint64_t began;
    unsigned i;

    (void)state;
    for (i = 0; i < 20; i++) { /* the machine may be busy: one of them is quick */
        uint64_t took = TOOK(pwrite(fd, "1234", 4, 0));

        least = took < least ? took : least;
    }
    assert_true(least < DELAY_US / 2);
}

static void errors_pass(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(fdatasync(-1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(pwrite(-1, "x", 1, 0), -1);
    assert_int_equal(errno, EBADF);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sync_takes_its_time),
        cmocka_unit_test(a_write_that_syncs_takes_its_time),
        cmocka_unit_test(what_does_not_sync_is_not_slowed),
        cmocka_unit_test(errors_pass),
    };

    (void)argc;
    if (getenv("SLOWSYNC_US") == NULL) {
        setenv("SLOWSYNC_US", "20000", 1);
        setenv("LD_PRELOAD", SLOWSYNC_SO, 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
