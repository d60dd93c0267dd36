/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/oxbowd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512u
#define OWNER_ONLY 0600u

enum oxbow_err file_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return OXBOW_ENOENT;
    case EACCES:
    case EPERM:
    case EROFS:
        return OXBOW_EREADONLY;
    case ENOSPC:
    case EDQUOT:
        return OXBOW_ENOSPC;
    default:
        return OXBOW_EIO;
    }
}

static enum oxbow_err write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR) {
            return file_error(errno);
        }
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? OXBOW_OK : file_error(errno);
}

static enum oxbow_err dir_sync(const char *path)
{
    char copy[PATH_BYTES];
    enum oxbow_err err;
    int fd;

    (void)snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return file_error(errno);
    }
    err = fsync(fd) == 0 ? OXBOW_OK : file_error(errno);
    (void)close(fd);
    return err;
}

enum oxbow_err file_replace(const char *path, const void *text, size_t len,
                            bool (*fits)(void *ctx, const char *fresh), void *ctx)
{
    char fresh[PATH_BYTES];
    struct stat at;
    mode_t mode = stat(path, &at) == 0 ? at.st_mode & 07777u : OWNER_ONLY;
    enum oxbow_err err;
    int fd;

    if (snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid()) >= (int)sizeof fresh) {
        return OXBOW_ETOOBIG;
    }
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, OWNER_ONLY);
    if (fd < 0) {
        return file_error(errno);
    }
    err = fchmod(fd, mode) == 0 ? write_all(fd, text, len) : file_error(errno);
    if (close(fd) != 0 && err == OXBOW_OK) {
        err = file_error(errno);
    }
    if (err == OXBOW_OK && fits != NULL && !fits(ctx, fresh)) {
        err = OXBOW_EINVAL;
    }
    if (err == OXBOW_OK && rename(fresh, path) != 0) {
        err = file_error(errno);
    }
    if (err != OXBOW_OK) {
        (void)unlink(fresh); /* the first failure is the one to tell */
        return err;
    }
    return dir_sync(path);
}
