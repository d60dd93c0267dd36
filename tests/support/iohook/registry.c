/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are watched, and the real functions behind the hooks. What an event means is the
 * observer's business.
 *
 * 1. A watched file changes only under the lock, so an observer that never returns stops all
 *    writers.
 * 2. No lock is held while the kernel syncs.
 * 3. A descriptor of ours stays open as long as its directory is watched: closing it would drop the
 *    program's own POSIX locks on the file.
 */
#include "tests/support/iohook/hook.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct hook_real hook_real;

static pthread_once_t resolved = PTHREAD_ONCE_INIT;
pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool bypass;
static char root[PATH_MAX]; /* empty: nothing is watched */
static struct iofile *files;
static uint64_t files_seen;

void hook_die(const char *what, const char *path)
{
    fprintf(stderr, "iohook: %s: %s\n", what, path);
    abort();
}

static void resolve_one(void *slot, const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL)
        hook_die("the C library lacks", name);
    memcpy(slot, &fn, sizeof fn);
}

/* A fork waits for the lock, so that its copy of the list is whole; but not one that is made under
 * the lock, which a thread that bypasses the hook may do. */
static void before_fork(void)
{
    if (!bypass)
        pthread_mutex_lock(&hook_lock);
}

static void after_fork(void)
{
    if (!bypass)
        pthread_mutex_unlock(&hook_lock);
}

static void resolve_all(void)
{
    resolve_one(&hook_real.open, "open64");
    resolve_one(&hook_real.write, "write");
    resolve_one(&hook_real.writev, "writev");
    resolve_one(&hook_real.pwritev, "pwritev64");
    resolve_one(&hook_real.ftruncate, "ftruncate64");
    resolve_one(&hook_real.fallocate, "fallocate64");
    resolve_one(&hook_real.posix_fallocate, "posix_fallocate64");
    resolve_one(&hook_real.fsync, "fsync");
    resolve_one(&hook_real.fdatasync, "fdatasync");
    resolve_one(&hook_real.rename, "rename");
    resolve_one(&hook_real.unlink, "unlink");
    resolve_one(&hook_real.rmdir, "rmdir");
    resolve_one(&hook_real.mkdir, "mkdir");
    resolve_one(&hook_real.link, "link");
    pthread_atfork(before_fork, after_fork, after_fork);
}

void hook_resolve(void)
{
    pthread_once(&resolved, resolve_all);
}

bool hook_watching(void)
{
    hook_resolve();
    return !bypass && root[0] != '\0';
}

int hook_give(int result, int err)
{
    errno = err;
    return result;
}

/* ---- paths ---- */

/* The parent with links resolved, and the last part as it is. */
static bool absolute(const char *path, char out[PATH_MAX])
{
    char copy[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, path, len);
    copy[len] = '\0';
    char *slash = strrchr(copy, '/');
    const char *base = slash == NULL ? copy : slash + 1;
    char parent[PATH_MAX];
    if (slash == NULL) {
        if (realpath(".", parent) == NULL)
            return false;
    } else {
        *slash = '\0';
        if (realpath(slash == copy ? "/" : copy, parent) == NULL)
            return false;
    }
    int n = snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, base);
    return n > 0 && n < PATH_MAX;
}

static bool below_root(const char *path)
{
    size_t len = strlen(root);
    return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The watched path behind a name. errno is kept. */
bool hook_path(const char *path, char out[PATH_MAX])
{
    int err = errno;
    bool yes = path != NULL && absolute(path, out) && below_root(out);
    errno = err;
    return yes;
}

/* The root's parent is among them: making the root is an operation in it. */
bool hook_names_in(const char *path)
{
    size_t len = (size_t)(strrchr(root, '/') - root);
    return below_root(path) || (len == 0 && strcmp(path, "/") == 0) ||
           (strlen(path) == len && strncmp(path, root, len) == 0);
}

/* A path relative to a directory's descriptor, as an ordinary one. */
const char *hook_at(int dir, const char *path, char out[PATH_MAX])
{
    if (dir == AT_FDCWD || path == NULL || path[0] == '/')
        return path;
    int n = snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", dir, path);
    return n > 0 && n < PATH_MAX ? out : path;
}

/* ---- files ---- */

static struct iofile *find_inode(dev_t dev, ino_t ino)
{
    struct iofile *f = files;
    while (f != NULL && (f->ino != ino || f->dev != dev))
        f = f->next;
    return f;
}

/* The watched file behind a descriptor, or NULL. */
struct iofile *hook_find(int fd, struct stat64 *st)
{
    int err = errno;
    struct iofile *f = NULL;
    if (fstat64(fd, st) == 0 && S_ISREG(st->st_mode))
        f = find_inode(st->st_dev, st->st_ino);
    errno = err;
    return f;
}

/* Makes the file at `path` known. NULL for what is not a regular file we may write to. */
struct iofile *hook_adopt(const char *path)
{
    struct stat64 st;
    if (lstat64(path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    struct iofile *f = find_inode(st.st_dev, st.st_ino);
    if (f != NULL)
        return f;
    int fd = hook_real.open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    f = calloc(1, sizeof *f);
    if (f == NULL)
        hook_die("out of memory", path);
    *f = (struct iofile){
        .id = ++files_seen, .dev = st.st_dev, .ino = st.st_ino, .fd = fd, .next = files};
    files = f;
    return f;
}

void iohook_watch(const char *dir)
{
    pthread_once(&resolved, resolve_all);
    pthread_mutex_lock(&hook_lock);
    while (files != NULL) {
        struct iofile *f = files;
        files = f->next;
        close(f->fd);
        free(f);
    }
    files_seen = 0;
    root[0] = '\0';
    if (dir != NULL && !absolute(dir, root))
        hook_die("no such directory to watch in", dir);
    char full[PATH_MAX];
    if (dir != NULL && realpath(root, full) != NULL)
        memcpy(root, full, sizeof root);
    pthread_mutex_unlock(&hook_lock);
}

void iohook_bypass(bool on)
{
    bypass = on;
}

void iohook_lock(void)
{
    pthread_mutex_lock(&hook_lock);
}

void iohook_unlock(void)
{
    pthread_mutex_unlock(&hook_lock);
}

struct iofile *iohook_files(void)
{
    return files;
}
