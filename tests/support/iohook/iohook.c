/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interposed file functions. Each one finds out whether its file is watched, tells the
 * observer, and does the real thing. It keeps the list of watched files and nothing else: what an
 * event means is the observer's business.
 *
 * 1. A watched file changes only under the lock, so an observer that never returns stops all
 *    writers.
 * 2. No lock is held while the kernel syncs.
 * 3. A descriptor of ours stays open as long as its directory is watched: closing it would drop the
 *    program's own POSIX locks on the file.
 */
#include "tests/support/iohook/iohook.h"

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

static struct {
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
} real;

static pthread_once_t resolved = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool bypass;
static char root[PATH_MAX]; /* empty: nothing is watched */
static struct iofile *files;
static uint64_t files_seen;
static uint64_t failed_writes;
static uint64_t sync_us;
static bool sync_really = true;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "iohook: %s: %s\n", what, path);
    abort();
}

static void resolve_one(void *slot, const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL)
        die("the C library lacks", name);
    memcpy(slot, &fn, sizeof fn);
}

static void fork_child(void)
{
    pthread_mutex_unlock(&lock);
}

static void resolve_all(void)
{
    resolve_one(&real.open, "open64");
    resolve_one(&real.write, "write");
    resolve_one(&real.writev, "writev");
    resolve_one(&real.pwritev, "pwritev64");
    resolve_one(&real.ftruncate, "ftruncate64");
    resolve_one(&real.fallocate, "fallocate64");
    resolve_one(&real.posix_fallocate, "posix_fallocate64");
    resolve_one(&real.fsync, "fsync");
    resolve_one(&real.fdatasync, "fdatasync");
    resolve_one(&real.rename, "rename");
    resolve_one(&real.unlink, "unlink");
    resolve_one(&real.rmdir, "rmdir");
    resolve_one(&real.mkdir, "mkdir");
    resolve_one(&real.link, "link");
    pthread_atfork(iohook_lock, iohook_unlock, fork_child);
}

/* Whether this thread's calls are to be looked at. */
static bool watching(void)
{
    pthread_once(&resolved, resolve_all);
    return !bypass && root[0] != '\0';
}

static int give(int result, int err)
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
static bool watched_path(const char *path, char out[PATH_MAX])
{
    int err = errno;
    bool yes = path != NULL && absolute(path, out) && below_root(out);
    errno = err;
    return yes;
}

/* Whether `path` is the parent of the root: making the root is an operation in it. */
static bool parent_of_root(const char *path)
{
    const char *slash = strrchr(root, '/');
    size_t len = (size_t)(slash - root);
    return (len == 0 && strcmp(path, "/") == 0) ||
           (strlen(path) == len && strncmp(path, root, len) == 0);
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
static struct iofile *find_fd(int fd, struct stat64 *st)
{
    int err = errno;
    struct iofile *f = NULL;
    if (fstat64(fd, st) == 0 && S_ISREG(st->st_mode))
        f = find_inode(st->st_dev, st->st_ino);
    errno = err;
    return f;
}

/* Makes the file at `path` known. NULL for what is not a regular file we may write to. */
static struct iofile *adopt(const char *path)
{
    struct stat64 st;
    if (lstat64(path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    struct iofile *f = find_inode(st.st_dev, st.st_ino);
    if (f != NULL)
        return f;
    int fd = real.open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    f = calloc(1, sizeof *f);
    if (f == NULL)
        die("out of memory", path);
    *f = (struct iofile){
        .id = ++files_seen, .dev = st.st_dev, .ino = st.st_ino, .fd = fd, .next = files};
    files = f;
    return f;
}

void iohook_watch(const char *dir)
{
    pthread_once(&resolved, resolve_all);
    pthread_mutex_lock(&lock);
    while (files != NULL) {
        struct iofile *f = files;
        files = f->next;
        close(f->fd);
        free(f);
    }
    files_seen = 0;
    root[0] = '\0';
    if (dir != NULL && !absolute(dir, root))
        die("no such directory to watch in", dir);
    char full[PATH_MAX];
    if (dir != NULL && realpath(root, full) != NULL)
        memcpy(root, full, sizeof root);
    pthread_mutex_unlock(&lock);
}

void iohook_bypass(bool on)
{
    bypass = on;
}

void iohook_sync_cost(bool real_syncs, uint64_t min_us)
{
    sync_really = real_syncs;
    sync_us = min_us;
}

void iohook_lock(void)
{
    pthread_mutex_lock(&lock);
}

void iohook_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

struct iofile *iohook_files(void)
{
    return files;
}

uint64_t iohook_failed_writes(void)
{
    return failed_writes;
}

/* ---- open ---- */

static int hooked_open(const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    if (!watching() || (flags & O_TMPFILE) == O_TMPFILE || !watched_path(path, full))
        return real.open(path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat64 st;
    bool existed = lstat64(full, &st) == 0;
    bool cut = existed && S_ISREG(st.st_mode) && (flags & O_TRUNC) != 0;
    int fd = real.open(path, cut ? flags & ~O_TRUNC : flags, mode);
    int err = errno;
    if (fd >= 0) {
        struct iofile *f = (flags & O_DIRECTORY) != 0 ? NULL : adopt(full);
        if (!existed && (flags & O_CREAT) != 0) {
            on_create(full, f);
            on_done();
        }
        if (cut && f != NULL) {
            on_resize(f, (uint64_t)st.st_size, 0);
            if (real.ftruncate(f->fd, 0) != 0)
                die("cannot truncate", full);
            on_done();
        }
    }
    pthread_mutex_unlock(&lock);
    return give(fd, err);
}

/* A path relative to a directory's descriptor, as an ordinary one. */
static const char *at_path(int dir, const char *path, char out[PATH_MAX])
{
    if (dir == AT_FDCWD || path == NULL || path[0] == '/')
        return path;
    int n = snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", dir, path);
    return n > 0 && n < PATH_MAX ? out : path;
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
        return hooked_open(at_path(dir, path, full), flags, mode);                                 \
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
        return hooked_open(at_path(dir, path, full), flags, 0);                                    \
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
    pthread_mutex_unlock(&lock);
    int result = device_sync(f->fd, real.fdatasync);
    int err = errno;
    pthread_mutex_lock(&lock);
    if (result == 0)
        on_sync_end(f, token, pos, len);
    else
        on_sync_fail(f, token);
    return give(result, err);
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
    return below_root(out) || parent_of_root(out);
}

static int sync_dir(int fd, const char *dir, int (*how)(int))
{
    pthread_mutex_lock(&lock);
    on_done();
    uint64_t token = on_dirsync_begin(dir);
    pthread_mutex_unlock(&lock);
    if (token == 0)
        return 0;
    int result = device_sync(fd, how);
    int err = errno;
    if (result == 0) {
        pthread_mutex_lock(&lock);
        on_dirsync_end(dir, token);
        pthread_mutex_unlock(&lock);
    }
    return give(result, err);
}

static int hooked_sync(int fd, int (*how)(int))
{
    struct stat64 st;
    char dir[PATH_MAX];
    if (!watching() || fstat64(fd, &st) != 0)
        return how(fd);
    if (watched_dir(fd, &st, dir))
        return sync_dir(fd, dir, how);
    pthread_mutex_lock(&lock);
    struct iofile *f = find_fd(fd, &st);
    int result = f == NULL ? -1 : sync_range(f, 0, IOHOOK_TO_END);
    int err = errno;
    pthread_mutex_unlock(&lock);
    return f == NULL ? how(fd) : give(result, err);
}

int fsync(int fd)
{
    pthread_once(&resolved, resolve_all);
    return hooked_sync(fd, real.fsync);
}

int fdatasync(int fd)
{
    pthread_once(&resolved, resolve_all);
    return hooked_sync(fd, real.fdatasync);
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
    ssize_t n = real.pwritev(f->fd, iov, count, pos);
    int err = errno;
    if (n < 0 || (uint64_t)n != len)
        failed_writes++;
    if (n < 0)
        return give(-1, err);
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
        return real.pwritev(fd, iov, count, pos);
    return count == 1 ? real.write(fd, iov->iov_base, iov->iov_len) : real.writev(fd, iov, count);
}

static ssize_t hooked_write(int fd, const struct iovec *iov, int count, int64_t pos)
{
    struct stat64 st;
    if (!watching())
        return write_plain(fd, iov, count, pos);
    pthread_mutex_lock(&lock);
    struct iofile *f = find_fd(fd, &st);
    bool writable = f != NULL && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    ssize_t n = writable ? write_watched(f, fd, iov, count, pos, &st) : 0;
    int err = errno;
    pthread_mutex_unlock(&lock);
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
    pthread_once(&resolved, resolve_all);
    return pos < 0 ? real.pwritev(fd, iov, count, pos) : hooked_write(fd, iov, count, pos);
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
    if (!watching() || size < 0)
        return real.ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    struct iofile *f = find_fd(fd, &st);
    if (f != NULL)
        on_resize(f, (uint64_t)st.st_size, (uint64_t)size);
    int result = real.ftruncate(fd, size);
    int err = errno;
    if (f != NULL)
        on_done();
    pthread_mutex_unlock(&lock);
    return give(result, err);
}

/* Tells the observer what a reservation changes. True when the file is watched. */
static bool tell_reserve(int fd, int mode, int64_t pos, int64_t len)
{
    struct stat64 st;
    struct iofile *f = find_fd(fd, &st);
    if (f == NULL || pos < 0 || len <= 0)
        return false;
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
        die("fallocate mode that is not modelled", "");
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
        on_zero(f, (uint64_t)pos, (uint64_t)len);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && pos + len > st.st_size)
        on_resize(f, (uint64_t)st.st_size, (uint64_t)(pos + len));
    return true;
}

static int hooked_fallocate(int fd, int mode, int64_t pos, int64_t len)
{
    if (!watching())
        return real.fallocate(fd, mode, pos, len);
    pthread_mutex_lock(&lock);
    bool told = tell_reserve(fd, mode, pos, len);
    int result = real.fallocate(fd, mode, pos, len);
    int err = errno;
    if (told)
        on_done();
    pthread_mutex_unlock(&lock);
    return give(result, err);
}

static int hooked_posix_fallocate(int fd, int64_t pos, int64_t len)
{
    if (!watching())
        return real.posix_fallocate(fd, pos, len);
    pthread_mutex_lock(&lock);
    bool told = tell_reserve(fd, 0, pos, len);
    int result = real.posix_fallocate(fd, pos, len);
    if (told)
        on_done();
    pthread_mutex_unlock(&lock);
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

/* ---- names ---- */

static bool is_dir(const char *path)
{
    struct stat64 st;
    return lstat64(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int rename(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    if (!watching() || !watched_path(from, a) || !watched_path(to, b))
        return real.rename(from, to);
    pthread_mutex_lock(&lock);
    if (is_dir(a))
        die("rename of a directory is not modelled", a);
    struct iofile *f = adopt(a);
    struct iofile *replaced = adopt(b);
    int result = real.rename(from, to);
    int err = errno;
    if (result == 0 && f != replaced) {
        on_rename(a, b, f, replaced);
        on_done();
    }
    pthread_mutex_unlock(&lock);
    return give(result, err);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    return rename(at_path(from_dir, from, a), at_path(to_dir, to, b));
}

int unlink(const char *path)
{
    char full[PATH_MAX];
    if (!watching() || !watched_path(path, full))
        return real.unlink(path);
    pthread_mutex_lock(&lock);
    struct iofile *f = adopt(full);
    int result = real.unlink(path);
    int err = errno;
    if (result == 0) {
        on_unlink(full, f);
        on_done();
    }
    pthread_mutex_unlock(&lock);
    return give(result, err);
}

/* link, mkdir and rmdir: done, then told. */
static int told(int result, const char *full, void (*tell)(const char *path))
{
    int err = errno;
    if (result == 0) {
        tell(full);
        on_done();
    }
    pthread_mutex_unlock(&lock);
    return give(result, err);
}

static void tell_link(const char *path)
{
    on_create(path, adopt(path));
}

int link(const char *from, const char *to)
{
    char full[PATH_MAX];
    if (!watching() || !watched_path(to, full))
        return real.link(from, to);
    pthread_mutex_lock(&lock);
    return told(real.link(from, to), full, tell_link);
}

int mkdir(const char *path, mode_t mode)
{
    char full[PATH_MAX];
    if (!watching() || !watched_path(path, full))
        return real.mkdir(path, mode);
    pthread_mutex_lock(&lock);
    return told(real.mkdir(path, mode), full, on_mkdir);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    return mkdir(at_path(dir, path, full), mode);
}

int rmdir(const char *path)
{
    char full[PATH_MAX];
    if (!watching() || !watched_path(path, full))
        return real.rmdir(path);
    pthread_mutex_lock(&lock);
    return told(real.rmdir(path), full, on_rmdir);
}

int unlinkat(int dir, const char *path, int flags)
{
    char full[PATH_MAX];
    const char *at = at_path(dir, path, full);
    return (flags & AT_REMOVEDIR) != 0 ? rmdir(at) : unlink(at);
}
