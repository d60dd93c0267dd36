/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the POSIX port: each call is the system's, completed where the system may do a part of
 * it. Knows nothing of what is in the files and keeps nothing between calls.
 *
 * 1. A handle is never 0, 1 or 2: a log line on a closed standard error must not end up in a store.
 * 2. A sync is tried once. After a failed one the kernel has dropped what it could not write, and a
 *    second call would report success.
 */
#include "port/posix/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0600
#define DIR_MODE  0700
#define FD_MIN    3

#define BLOCK_BYTES 512u /* of st_blocks, whatever the file system's blocks are */

/* Moves a descriptor out of the way of the standard streams. */
static int fd_above_standard(int fd)
{
    int moved;
    int error;

    if (fd < 0 || fd >= FD_MIN) {
        return fd;
    }
    moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
    error = errno;
    close(fd);
    errno = error;
    return moved;
}

enum oxbow_err posix_open(void *ctx, const char *path, uint32_t flags, int *fd)
{
    int mode = O_CLOEXEC | O_NOCTTY;
    int opened;

    (void)ctx;
    mode |= !(flags & OXBOW_FILE_WRITE) ? O_RDONLY : flags & OXBOW_FILE_READ ? O_RDWR : O_WRONLY;
    mode |= flags & OXBOW_FILE_CREATE ? O_CREAT : 0;
    mode |= flags & OXBOW_FILE_CREATE && flags & OXBOW_FILE_EXCL ? O_EXCL : 0;
    do {
        opened = open(path, mode, FILE_MODE);
    } while (opened < 0 && errno == EINTR);
    opened = fd_above_standard(opened);
    if (opened < 0) {
        return posix_error(errno);
    }
    *fd = opened;
    return OXBOW_OK;
}

enum oxbow_err posix_close(void *ctx, int fd)
{
    (void)ctx;
    /* After EINTR the descriptor is gone on Linux: never close twice. */
    return close(fd) == 0 || errno == EINTR ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_size(void *ctx, int fd, uint64_t *bytes)
{
    struct stat st;

    (void)ctx;
    if (fstat(fd, &st) != 0) {
        return posix_error(errno);
    }
    *bytes = (uint64_t)st.st_size;
    return OXBOW_OK;
}

enum oxbow_err posix_read(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *got)
{
    uint8_t *p = buf;
    size_t done = 0;

    (void)ctx;
    if (pos > INT64_MAX - len) {
        return posix_error(EOVERFLOW);
    }
    while (done < len) {
        ssize_t n = pread(fd, p + done, len - done, (off_t)(pos + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return posix_error(errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    *got = done;
    return OXBOW_OK;
}

enum oxbow_err posix_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
    const uint8_t *p = buf;
    size_t done = 0;

    (void)ctx;
    if (pos > INT64_MAX - len) {
        return posix_error(EFBIG);
    }
    while (done < len) {
        ssize_t n = pwrite(fd, p + done, len - done, (off_t)(pos + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return posix_error(n < 0 ? errno : EIO);
        }
        done += (size_t)n;
    }
    return OXBOW_OK;
}

enum oxbow_err posix_truncate(void *ctx, int fd, uint64_t bytes)
{
    int rc;

    (void)ctx;
    if (bytes > INT64_MAX) {
        return posix_error(EFBIG);
    }
    do {
        rc = ftruncate(fd, (off_t)bytes);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_reserve(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    int rc;

    (void)ctx;
    if (pos > INT64_MAX || len > INT64_MAX - pos) {
        return posix_error(EFBIG);
    }
    if (len == 0) {
        return OXBOW_OK;
    }
    do {
        rc = fallocate(fd, 0, (off_t)pos, (off_t)len);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_punch(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    int rc;

    (void)ctx;
    if (pos > INT64_MAX || len > INT64_MAX - pos) {
        return posix_error(EFBIG);
    }
    if (len == 0) {
        return OXBOW_OK;
    }
    do {
        rc = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)len);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_occupied(void *ctx, int fd, uint64_t *bytes)
{
    struct stat st;

    (void)ctx;
    if (fstat(fd, &st) != 0) {
        return posix_error(errno);
    }
    *bytes = (uint64_t)st.st_blocks * BLOCK_BYTES;
    return OXBOW_OK;
}

/* A relative path may mean another place by now, if the program has changed its directory. */
enum oxbow_err posix_same(void *ctx, int fd, const char *path, bool *same)
{
    struct stat mine;
    struct stat there;

    (void)ctx;
    if (fstat(fd, &mine) != 0) {
        return posix_error(errno);
    }
    if (mine.st_nlink == 0 || path[0] != '/') {
        *same = mine.st_nlink > 0;
        return OXBOW_OK;
    }
    if (stat(path, &there) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return posix_error(errno);
        }
        *same = false;
        return OXBOW_OK;
    }
    *same = mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
    return OXBOW_OK;
}

enum oxbow_err posix_sync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_sync_dir(void *ctx, const char *dir)
{
    enum oxbow_err err = OXBOW_OK;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)ctx;
    if (fd < 0) {
        return posix_error(errno);
    }
    if (fsync(fd) != 0) {
        err = posix_error(errno);
    }
    if (close(fd) != 0 && err == OXBOW_OK) {
        err = posix_error(errno);
    }
    return err;
}

enum oxbow_err posix_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    return rename(from, to) == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_unlink(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_mkdir(void *ctx, const char *path)
{
    (void)ctx;
    return mkdir(path, DIR_MODE) == 0 ? OXBOW_OK : posix_error(errno);
}

enum oxbow_err posix_keep_private(void *ctx, int system_fd)
{
    int flags = fcntl(system_fd, F_GETFD);

    (void)ctx;
    if (flags < 0 || fcntl(system_fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
        return posix_error(errno);
    }
    return OXBOW_OK;
}
