/* SPDX-License-Identifier: Apache-2.0 */
/* The file of users: read as a whole, and replaced by a new one. */
#include "tools/oxbowd/users.h"

#include "tools/oxbowd/file.h"

#include <errno.h>
#include <stdio.h>

#define PIECE_BYTES 4096u

static enum oxbow_err
file_read(void *ctx, enum oxbow_err (*take)(void *to, const void *data, size_t len), void *to)
{
    FILE *file = fopen(ctx, "re");
    enum oxbow_err err = OXBOW_OK;
    char piece[PIECE_BYTES];
    size_t len;

    if (file == NULL) {
        return file_error(errno);
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

static enum oxbow_err file_write(void *ctx, const void *text, size_t len)
{
    return file_replace(ctx, text, len, NULL, NULL);
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
