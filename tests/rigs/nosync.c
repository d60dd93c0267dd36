/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the kernel itself: the C library's functions are what it replaces. */
#include "tests/rigs/nosync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_bool off;
static atomic_uint_fast64_t count;

void nosync_begin(void)
{
    atomic_store(&off, true);
}

uint64_t nosync_count(void)
{
    return atomic_load(&count);
}

static bool skip(void)
{
    if (!atomic_load(&off))
        return false;
    atomic_fetch_add(&count, 1);
    return true;
}

int fsync(int fd)
{
    return skip() ? 0 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return skip() ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int msync(void *addr, size_t len, int flags)
{
    return skip() ? 0 : (int)syscall(SYS_msync, addr, len, flags);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_DSYNC) != 0 && skip())
        flags &= ~(O_SYNC | O_DSYNC);
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_at(AT_FDCWD, path, flags, mode_of(flags, args));
    va_end(args);
    return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_at(dir, path, flags, mode_of(flags, args));
    va_end(args);
    return fd;
}
