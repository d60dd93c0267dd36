/* SPDX-License-Identifier: Apache-2.0 */
/* The interposed functions that change names: they do the real thing, then tell the observer. */
#include "tests/support/iohook/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* The functions of the C library are seen by everybody; in a shared object nothing else is. */
#pragma GCC visibility push(default)

static bool is_dir(const char *path)
{
    struct stat64 st;
    return lstat64(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int rename(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    if (!hook_watching() || !hook_path(from, a) || !hook_path(to, b))
        return hook_real.rename(from, to);
    pthread_mutex_lock(&hook_lock);
    if (is_dir(a))
        hook_die("rename of a directory is not modelled", a);
    struct iofile *f = hook_adopt(a);
    struct iofile *replaced = hook_adopt(b);
    int result = hook_real.rename(from, to);
    int err = errno;
    if (result == 0 && f != replaced) {
        on_rename(a, b, f, replaced);
        on_done();
    }
    pthread_mutex_unlock(&hook_lock);
    return hook_give(result, err);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    return rename(hook_at(from_dir, from, a), hook_at(to_dir, to, b));
}

int unlink(const char *path)
{
    char full[PATH_MAX];
    if (!hook_watching() || !hook_path(path, full))
        return hook_real.unlink(path);
    pthread_mutex_lock(&hook_lock);
    struct iofile *f = hook_adopt(full);
    int result = hook_real.unlink(path);
    int err = errno;
    if (result == 0) {
        on_unlink(full, f);
        on_done();
    }
    pthread_mutex_unlock(&hook_lock);
    return hook_give(result, err);
}

/* link, mkdir and rmdir: done, then told. */
static int told(int result, const char *full, void (*tell)(const char *path))
{
    int err = errno;
    if (result == 0) {
        tell(full);
        on_done();
    }
    pthread_mutex_unlock(&hook_lock);
    return hook_give(result, err);
}

static void tell_link(const char *path)
{
    on_create(path, hook_adopt(path));
}

int link(const char *from, const char *to)
{
    char full[PATH_MAX];
    if (!hook_watching() || !hook_path(to, full))
        return hook_real.link(from, to);
    pthread_mutex_lock(&hook_lock);
    return told(hook_real.link(from, to), full, tell_link);
}

int mkdir(const char *path, mode_t mode)
{
    char full[PATH_MAX];
    if (!hook_watching() || !hook_path(path, full))
        return hook_real.mkdir(path, mode);
    pthread_mutex_lock(&hook_lock);
    return told(hook_real.mkdir(path, mode), full, on_mkdir);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    return mkdir(hook_at(dir, path, full), mode);
}

int rmdir(const char *path)
{
    char full[PATH_MAX];
    if (!hook_watching() || !hook_path(path, full))
        return hook_real.rmdir(path);
    pthread_mutex_lock(&hook_lock);
    return told(hook_real.rmdir(path), full, on_rmdir);
}

int unlinkat(int dir, const char *path, int flags)
{
    char full[PATH_MAX];
    const char *at = hook_at(dir, path, full);
    return (flags & AT_REMOVEDIR) != 0 ? rmdir(at) : unlink(at);
}
