/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to be preloaded that makes a fast device slow: every call after which data must be on
 * the device takes SLOWSYNC_US microseconds at least. The real call is made first; what it took
 * counts. So programs are compared as they would do on an SD card, on a machine that has none.
 *
 * Slowed are fsync, fdatasync, msync with MS_SYNC, and writes to a descriptor opened with O_DSYNC or
 * O_SYNC. Not seen: sync_file_range, io_uring, and calls that the C library makes within itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct {
    uint64_t us;
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*msync)(void *, size_t, int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*pwrite64)(int, const void *, size_t, off64_t);
} real;

/* ISO C has no conversion from an object pointer to a function pointer. */
#define FIND(name) (*(void **)(void *)&real.name = dlsym(RTLD_NEXT, #name))

static void find(void)
{
    const char *us = getenv("SLOWSYNC_US");

    FIND(fsync);
    FIND(fdatasync);
    FIND(msync);
    FIND(write);
    FIND(writev);
    FIND(pwrite);
    FIND(pwrite64);
    real.us = us != NULL ? strtoull(us, NULL, 10) : 0;
}

__attribute__((constructor)) static void prepare(void)
{
    find();
}

/* Another library's constructor may come before ours. */
static void ready(void)
{
    if (real.fsync == NULL) {
        find();
    }
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Waits until SLOWSYNC_US have passed since `began`; errno stays. */
static void fill_up(uint64_t began)
{
    uint64_t end = began + real.us * 1000;
    struct timespec t = {.tv_sec = (time_t)(end / 1000000000u),
                         .tv_nsec = (long)(end % 1000000000u)};
    int kept = errno;

    if (now_ns() < end) {
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
        }
    }
    errno = kept;
}

static int is_sync(int fd)
{
    int kept = errno;
    int flags = real.us > 0 ? fcntl(fd, F_GETFL) : -1;

    errno = kept;
    return flags >= 0 && (flags & (O_DSYNC | O_SYNC)) != 0;
}

int fsync(int fd)
{
    uint64_t began = now_ns();
    int rc;

    ready();
    rc = real.fsync(fd);
    fill_up(began);
    return rc;
}

int fdatasync(int fd)
{
    uint64_t began = now_ns();
    int rc;

    ready();
    rc = real.fdatasync(fd);
    fill_up(began);
    return rc;
}

int msync(void *p, size_t len, int flags)
{
    uint64_t began = now_ns();
    int rc;

    ready();
    rc = real.msync(p, len, flags);
    if ((flags & MS_SYNC) != 0) {
        fill_up(began);
    }
    return rc;
}

/* A write of any kind: fills up when the descriptor syncs by itself. */
#define WRITE(name, parameters, arguments)                                                         \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        uint64_t began;                                                                            \
        ssize_t n;                                                                                 \
                                                                                                   \
        ready();                                                                                   \
        began = is_sync(fd) ? now_ns() : 0;                                                        \
        n = real.name arguments;                                                                   \
        if (began != 0) {                                                                          \
            fill_up(began);                                                                        \
        }                                                                                          \
        return n;                                                                                  \
    }

WRITE(write, (int fd, const void *p, size_t len), (fd, p, len))
WRITE(writev, (int fd, const struct iovec *v, int count), (fd, v, count))
WRITE(pwrite, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at))
WRITE(pwrite64, (int fd, const void *p, size_t len, off64_t at), (fd, p, len, at))
