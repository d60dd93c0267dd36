/* SPDX-License-Identifier: Apache-2.0 */
/* The file of users: read as a whole, and replaced by a new one of the same rights, which is on the device
 * before it has the name. */
#include "tools/oxbowd/users.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES  512u
#define PIECE_BYTES 4096u
#define OWNER_ONLY  0600u

static enum oxbow_err error_of(int error)
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

static enum oxbow_err
file_read(void *ctx, enum oxbow_err (*take)(void *to, const void *data, size_t len), void *to)
{
    FILE *file = fopen(ctx, "re");
    enum oxbow_err err = OXBOW_OK;
    char piece[PIECE_BYTES];
    size_t len;

    if (file == NULL) {
        return error_of(errno);
    }
    do {
        len = fread(piece, 1, sizeof piece, file);
        err = take(to, piece, len);
    } while (err == OXBOW_OK && len == sizeof piece);
    if (err == OXBOW_OK && ferror(file) != 0) {
        err = OXBOW_EIO;
    }
    (void)fclose(file); /* it was only read */
    return err;
}

static enum oxbow_err write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR) {
            return error_of(errno);
        }
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? OXBOW_OK : error_of(errno);
}

static enum oxbow_err dir_sync(const char *path)
{
    char copy[PATH_BYTES];
    enum oxbow_err err;
    int fd;

    (void)snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_of(errno);
    }
    err = fsync(fd) == 0 ? OXBOW_OK : error_of(errno);
    (void)close(fd);
    return err;
}

static enum oxbow_err file_write(void *ctx, const void *text, size_t len)
{
    const char *path = ctx;
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
        return error_of(errno);
    }
    err = fchmod(fd, mode) == 0 ? write_all(fd, text, len) : error_of(errno);
    if (close(fd) != 0 && err == OXBOW_OK) {
        err = error_of(errno);
    }
    if (err == OXBOW_OK && rename(fresh, path) != 0) {
        err = error_of(errno);
    }
    if (err != OXBOW_OK) {
        (void)unlink(fresh); /* the first failure is the one to tell */
        return err;
    }
    return dir_sync(path);
}

struct oxbow_resp_users users_file(const char *path)
{
    union {
        const char *path;
        void *ctx;
    } borrowed = {.path = path};

    return path[0] == '\0' ? (struct oxbow_resp_users){.name = NULL}
                           : (struct oxbow_resp_users){path, borrowed.ctx, file_read, file_write};
}
