/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interposed functions that change or sync the bytes of a file: they tell the observer, then do
 * the real thing.
 */
#include "tests/support/iohook/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The functions of the C library are seen by everybody; in a shared object nothing else is. */
#pragma GCC visibility push(default)

static uint64_t failed_writes;
static uint64_t sync_us;
static bool sync_really = true;

uint64_t iohook_failed_writes(void)
{
    return failed_writes;
}

void iohook_sync_cost(bool real_syncs, uint64_t min_us)
{
    sync_really = real_syncs;
    sync_us = min_us;
}

/* ---- open ---- */

static int hooked_open(const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    if (!hook_watching() || (flags & O_TMPFILE) == O_TMPFILE || !hook_path(path, full))
        return hook_real.open(path, flags, mode);
    pthread_mutex_lock(&hook_lock);
    struct stat64 st;
    bool existed = lstat64(full, &st) == 0;
    bool cut = existed && S_ISREG(st.st_mode) && (flags & O_TRUNC) != 0;
    int fd = hook_real.open(path, cut ? flags & ~O_TRUNC : flags, mode);
    int err = errno;
    if (fd >= 0) {
        struct iofile *f = (flags & O_DIRECTORY) != 0 ? NULL : hook_adopt(full);
        if (!existed && (flags & O_CREAT) != 0) {
            on_create(full, f);
            on_done();
        }
        if (cut && f != NULL) {
            on_resize(f, (uint64_t)st.st_size, 0);
            if (hook_real.ftruncate(f->fd, 0) != 0)
                hook_die("cannot truncate", full);
            on_done();
        }
    }
    pthread_mutex_unlock(&hook_lock);
    return hook_give(fd, err);
}

static mode_t mode_argument(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define HOOK_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...);                                                    \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_argument(flags, args);                                                  \
        va_end(args);                                                                              \
        return hooked_open(path, flags, mode);                                                     \
    }
#define HOOK_OPENAT(name)                                                                          \
    int name(int dir, const char *path, int flags, ...);                                           \
    int name(int dir, const char *path, int flags, ...)                                            \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_argument(flags, args);                                                  \
        va_end(args);                                                                              \
        char full[PATH_MAX];                                                                       \
        return hooked_open(hook_at(dir, path, full), flags, mode);                                 \
    }
/* What a fortified caller uses instead. */
#define HOOK_OPEN_2(name)                                                                          \
    int name(const char *path, int flags);                                                         \
    int name(const char *path, int flags)                                                          \
    {                                                                                              \
        return hooked_open(path, flags, 0);                                                        \
    }
#define HOOK_OPENAT_2(name)                                                                        \
    int name(int dir, const char *path, int flags);                                                \
    int name(int dir, const char *path, int flags)                                                 \
    {                                                                                              \
        char full[PATH_MAX];                                                                       \
        return hooked_open(hook_at(dir, path, full), flags, 0);                                    \
    }
#define HOOK_CREAT(name)                                                                           \
    int name(const char *path, mode_t mode);                                                       \
    int name(const char *path, mode_t mode)                                                        \
    {                                                                                              \
        return hooked_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);                              \
    }
HOOK_OPEN(open)
HOOK_OPEN(open64)
HOOK_OPENAT(openat)
HOOK_OPENAT(openat64)
HOOK_OPEN_2(__open_2)
HOOK_OPEN_2(__open64_2)
HOOK_OPENAT_2(__openat_2)
HOOK_OPENAT_2(__openat64_2)
HOOK_CREAT(creat)
HOOK_CREAT(creat64)

/* ---- syncs ---- */

/* The device at work. */
static int device_sync(int fd, int (*how)(int))
{
    struct timespec cost = {(time_t)(sync_us / 1000000), (long)(sync_us % 1000000) * 1000};
    if (sync_us > 0)
        nanosleep(&cost, NULL);
    return sync_really ? how(fd) : 0;
}

/* Called with the lock held, which it gives up while the kernel works. */
static int sync_range(struct iofile *f, uint64_t pos, uint64_t len)
{
    on_done();
    uint64_t token = on_sync_begin(f, pos, len);
    if (token == 0)
        return 0;
    if (token == IOHOOK_FAIL)
        return hook_give(-1, EIO);
    pthread_mutex_unlock(&hook_lock);
    int result = device_sync(f->fd, hook_real.fdatasync);
    int err = errno;
    pthread_mutex_lock(&hook_lock);
    if (result == 0)
        on_sync_end(f, token, pos, len);
    else
        on_sync_fail(f, token);
    return hook_give(result, err);
}

/* Whether `fd` is a directory whose names are watched; its path. */
static bool watched_dir(int fd, const struct stat64 *st, char out[PATH_MAX])
{
    if (!S_ISDIR(st->st_mode))
        return false;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    return hook_names_in(out);
}

static int sync_dir(int fd, const char *dir, int (*how)(int))
{
    pthread_mutex_lock(&hook_lock);
    on_done();
    uint64_t token = on_dirsync_begin(dir);
    pthread_mutex_unlock(&hook_lock);
    if (token == 0 || token == IOHOOK_FAIL)
        return token == 0 ? 0 : hook_give(-1, EIO);
    int result = device_sync(fd, how);
    int err = errno;
    if (result == 0) {
        pthread_mutex_lock(&hook_lock);
        on_dirsync_end(dir, token);
        pthread_mutex_unlock(&hook_lock);
    }
    return hook_give(result, err);
}

static int hooked_sync(int fd, int (*how)(int))
{
    struct stat64 st;
    char dir[PATH_MAX];
    if (!hook_watching() || fstat64(fd, &st) != 0)
        return how(fd);
    if (watched_dir(fd, &st, dir))
        return sync_dir(fd, dir, how);
    pthread_mutex_lock(&hook_lock);
    struct iofile *f = hook_find(fd, &st);
    int result = f == NULL ? -1 : sync_range(f, 0, IOHOOK_TO_END);
    int err = errno;
    pthread_mutex_unlock(&hook_lock);
    return f == NULL ? how(fd) : hook_give(result, err);
}

int fsync(int fd)
{
    hook_resolve();
    return hooked_sync(fd, hook_real.fsync);
}

int fdatasync(int fd)
{
    hook_resolve();
    return hooked_sync(fd, hook_real.fdatasync);
}

/* ---- writes ---- */

static uint64_t iov_bytes(const struct iovec *iov, int count)
{
    uint64_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

/* Writes to a watched file at `pos`, or where the descriptor stands when that is negative. Called
 * with the lock held. */
static ssize_t write_watched(struct iofile *f, int fd, const struct iovec *iov, int count,
                             int64_t pos, const struct stat64 *st)
{
    int mode = fcntl(fd, F_GETFL);
    bool moves = pos < 0;
    if (moves)
        pos = (mode & O_APPEND) != 0 ? st->st_size : lseek64(fd, 0, SEEK_CUR);
    uint64_t len = iov_bytes(iov, count);
    on_write(f, (uint64_t)pos, iov, count, len);
    ssize_t n = hook_real.pwritev(f->fd, iov, count, pos);
    int err = errno;
    if (n < 0 || (uint64_t)n != len)
        failed_writes++;
    if (n < 0)
        return hook_give(-1, err);
    if (moves)
        (void)lseek64(fd, pos + n, SEEK_SET);
    on_done();
    if ((mode & O_DSYNC) != 0 && sync_range(f, (uint64_t)pos, (uint64_t)n) != 0)
        return -1;
    return n;
}

/* The real call for a descriptor that is not watched, or that the kernel must refuse. */
static ssize_t write_plain(int fd, const struct iovec *iov, int count, int64_t pos)
{
    if (pos >= 0)
        return hook_real.pwritev(fd, iov, count, pos);
    return count == 1 ? hook_real.write(fd, iov->iov_base, iov->iov_len)
                      : hook_real.writev(fd, iov, count);
}

static ssize_t hooked_write(int fd, const struct iovec *iov, int count, int64_t pos)
{
    struct stat64 st;
    if (!hook_watching())
        return write_plain(fd, iov, count, pos);
    pthread_mutex_lock(&hook_lock);
    struct iofile *f = hook_find(fd, &st);
    bool writable = f != NULL && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    ssize_t n = writable ? write_watched(f, fd, iov, count, pos, &st) : 0;
    int err = errno;
    pthread_mutex_unlock(&hook_lock);
    if (!writable)
        return write_plain(fd, iov, count, pos);
    errno = err;
    return n;
}

/* const is lost in struct iovec. */
static struct iovec one_iov(const void *buf, size_t len)
{
    union {
        const void *in;
        void *out;
    } u = {.in = buf};
    return (struct iovec){.iov_base = u.out, .iov_len = len};
}

/* A position below zero is the kernel's to refuse, and must not be taken for "where it stands". */
static ssize_t hooked_pwrite(int fd, const struct iovec *iov, int count, int64_t pos)
{
    hook_resolve();
    return pos < 0 ? hook_real.pwritev(fd, iov, count, pos) : hooked_write(fd, iov, count, pos);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    struct iovec iov = one_iov(buf, len);
    return hooked_write(fd, &iov, 1, -1);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return hooked_write(fd, iov, count, -1);
}

#define HOOK_PWRITE(name, off_type)                                                                \
    ssize_t name(int fd, const void *buf, size_t len, off_type pos);                               \
    ssize_t name(int fd, const void *buf, size_t len, off_type pos)                                \
    {                                                                                              \
        struct iovec iov = one_iov(buf, len);                                                      \
        return hooked_pwrite(fd, &iov, 1, pos);                                                    \
    }
#define HOOK_PWRITEV(name, off_type)                                                               \
    ssize_t name(int fd, const struct iovec *iov, int count, off_type pos);                        \
    ssize_t name(int fd, const struct iovec *iov, int count, off_type pos)                         \
    {                                                                                              \
        return hooked_pwrite(fd, iov, count, pos);                                                 \
    }
HOOK_PWRITE(pwrite, off_t)
HOOK_PWRITE(pwrite64, off64_t)
HOOK_PWRITEV(pwritev, off_t)
HOOK_PWRITEV(pwritev64, off64_t)

/* ---- lengths ---- */

static int hooked_ftruncate(int fd, int64_t size)
{
    struct stat64 st;
    if (!hook_watching() || size < 0)
        return hook_real.ftruncate(fd, size);
    pthread_mutex_lock(&hook_lock);
    struct iofile *f = hook_find(fd, &st);
    if (f != NULL)
        on_resize(f, (uint64_t)st.st_size, (uint64_t)size);
    int result = hook_real.ftruncate(fd, size);
    int err = errno;
    if (f != NULL)
        on_done();
    pthread_mutex_unlock(&hook_lock);
    return hook_give(result, err);
}

/* Tells the observer what a reservation changes. True when the file is watched. */
static bool tell_reserve(int fd, int mode, int64_t pos, int64_t len)
{
    struct stat64 st;
    struct iofile *f = hook_find(fd, &st);
    if (f == NULL || pos < 0 || len <= 0)
        return false;
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
        hook_die("fallocate mode that is not modelled", "");
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
        on_zero(f, (uint64_t)pos, (uint64_t)len);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && pos + len > st.st_size)
        on_resize(f, (uint64_t)st.st_size, (uint64_t)(pos + len));
    return true;
}

static int hooked_fallocate(int fd, int mode, int64_t pos, int64_t len)
{
    if (!hook_watching())
        return hook_real.fallocate(fd, mode, pos, len);
    pthread_mutex_lock(&hook_lock);
    bool told = tell_reserve(fd, mode, pos, len);
    int result = hook_real.fallocate(fd, mode, pos, len);
    int err = errno;
    if (told)
        on_done();
    pthread_mutex_unlock(&hook_lock);
    return hook_give(result, err);
}

static int hooked_posix_fallocate(int fd, int64_t pos, int64_t len)
{
    if (!hook_watching())
        return hook_real.posix_fallocate(fd, pos, len);
    pthread_mutex_lock(&hook_lock);
    bool told = tell_reserve(fd, 0, pos, len);
    int result = hook_real.posix_fallocate(fd, pos, len);
    if (told)
        on_done();
    pthread_mutex_unlock(&hook_lock);
    return result;
}

#define HOOK_FTRUNCATE(name, off_type)                                                             \
    int name(int fd, off_type size);                                                               \
    int name(int fd, off_type size)                                                                \
    {                                                                                              \
        return hooked_ftruncate(fd, size);                                                         \
    }
#define HOOK_FALLOCATE(name, off_type)                                                             \
    int name(int fd, int mode, off_type pos, off_type len);                                        \
    int name(int fd, int mode, off_type pos, off_type len)                                         \
    {                                                                                              \
        return hooked_fallocate(fd, mode, pos, len);                                               \
    }
#define HOOK_POSIX_FALLOCATE(name, off_type)                                                       \
    int name(int fd, off_type pos, off_type len);                                                  \
    int name(int fd, off_type pos, off_type len)                                                   \
    {                                                                                              \
        return hooked_posix_fallocate(fd, pos, len);                                               \
    }
HOOK_FTRUNCATE(ftruncate, off_t)
HOOK_FTRUNCATE(ftruncate64, off64_t)
HOOK_FALLOCATE(fallocate, off_t)
HOOK_FALLOCATE(fallocate64, off64_t)
HOOK_POSIX_FALLOCATE(posix_fallocate, off_t)
HOOK_POSIX_FALLOCATE(posix_fallocate64, off64_t)
