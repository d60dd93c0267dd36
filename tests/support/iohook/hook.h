/* SPDX-License-Identifier: Apache-2.0 */
/* What the hook's own files share. The files' rules are in registry.c. */
#ifndef OXBOW_TESTS_SUPPORT_IOHOOK_HOOK_H
#define OXBOW_TESTS_SUPPORT_IOHOOK_HOOK_H

#include "tests/support/iohook/iohook.h"

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

/* The functions behind ours. Filled by hook_watching or hook_resolve. */
struct hook_real {
    int (*open)(const char *, int, ...);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev)(int, const struct iovec *, int, off64_t);
    int (*ftruncate)(int, off64_t);
    int (*fallocate)(int, int, off64_t, off64_t);
    int (*posix_fallocate)(int, off64_t, off64_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*rename)(const char *, const char *);
    int (*unlink)(const char *);
    int (*rmdir)(const char *);
    int (*mkdir)(const char *, mode_t);
    int (*link)(const char *, const char *);
};
extern struct hook_real hook_real;
extern pthread_mutex_t hook_lock;

void hook_resolve(void);
/* Whether this thread's calls are to be looked at. */
bool hook_watching(void);
int hook_give(int result, int err); /* sets errno */
_Noreturn void hook_die(const char *what, const char *path);

/* The watched path behind a name: absolute, links resolved but for the last part. errno is kept. */
bool hook_path(const char *path, char out[PATH_MAX]);
/* A path relative to a directory's descriptor, as an ordinary one. */
const char *hook_at(int dir, const char *path, char out[PATH_MAX]);
/* Whether changes of names in the directory at `path` are watched. */
bool hook_names_in(const char *path);

/* The watched file behind a descriptor, or NULL; *st describes it. With the lock held. */
struct iofile *hook_find(int fd, struct stat64 *st);
/* Makes the file at `path` known. NULL for what is not a regular file we may write to. With the
 * lock held. */
struct iofile *hook_adopt(const char *path);

#endif
