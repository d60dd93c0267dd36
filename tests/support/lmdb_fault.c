/* SPDX-License-Identifier: Apache-2.0 */
/* Each function asks whether it is its turn to fail, and otherwise calls the real one. */
#include "tests/support/lmdb_fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>

static atomic_uint_least32_t armed; /* kinds */
static atomic_int_least64_t countdown;
static atomic_uint_least64_t fired;
static atomic_int what;

void lmdb_fault_arm(uint32_t kinds, uint64_t n, int err)
{
    atomic_store(&countdown, (int64_t)n);
    atomic_store(&what, err);
    atomic_store(&fired, 0);
    atomic_store(&armed, kinds);
}

uint64_t lmdb_fault_disarm(void)
{
    atomic_store(&armed, 0);
    return atomic_load(&fired);
}

static int hit(uint32_t kind)
{
    if ((atomic_load(&armed) & kind) == 0 || atomic_fetch_sub(&countdown, 1) != 1) {
        return 0;
    }
    atomic_fetch_add(&fired, 1);
    errno = atomic_load(&what);
    return 1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
ssize_t __real_pread(int fd, void *b, size_t n, off_t o);
ssize_t __wrap_pread(int fd, void *b, size_t n, off_t o);
void *__real_mmap(void *p, size_t n, int prot, int flags, int fd, off_t o);
void *__wrap_mmap(void *p, size_t n, int prot, int flags, int fd, off_t o);
ssize_t __real_pwrite(int fd, const void *b, size_t n, off_t o);
ssize_t __wrap_pwrite(int fd, const void *b, size_t n, off_t o);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);
int __real_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__wrap_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    return hit(LMDB_FAULT_READING) ? -1 : __real_open(path, flags, mode);
}

int __wrap_fcntl(int fd, int cmd, ...)
{
    va_list args;
    void *arg;

    va_start(args, cmd);
    arg = va_arg(args, void *);
    va_end(args);
    return hit(LMDB_FAULT_READING) ? -1 : __real_fcntl(fd, cmd, arg);
}

ssize_t __wrap_pread(int fd, void *b, size_t n, off_t o)
{
    return hit(LMDB_FAULT_READING) ? -1 : __real_pread(fd, b, n, o);
}

void *__wrap_mmap(void *p, size_t n, int prot, int flags, int fd, off_t o)
{
    return hit(LMDB_FAULT_READING) ? MAP_FAILED : __real_mmap(p, n, prot, flags, fd, o);
}

ssize_t __wrap_pwrite(int fd, const void *b, size_t n, off_t o)
{
    return hit(LMDB_FAULT_WRITING) ? -1 : __real_pwrite(fd, b, n, o);
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
    return hit(LMDB_FAULT_WRITING) ? -1 : __real_writev(fd, v, n);
}

int __wrap_ftruncate(int fd, off_t n)
{
    return hit(LMDB_FAULT_WRITING) ? -1 : __real_ftruncate(fd, n);
}

int __wrap_fdatasync(int fd)
{
    return hit(LMDB_FAULT_WRITING) ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return hit(LMDB_FAULT_WRITING) ? -1 : __real_fsync(fd);
}

void *__wrap_malloc(size_t n)
{
    return hit(LMDB_FAULT_MEMORY) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t each)
{
    return hit(LMDB_FAULT_MEMORY) ? NULL : __real_calloc(n, each);
}

void *__wrap_realloc(void *p, size_t n)
{
    return hit(LMDB_FAULT_MEMORY) ? NULL : __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    return hit(LMDB_FAULT_MEMORY) ? ENOMEM : __real_posix_memalign(p, align, n);
}
