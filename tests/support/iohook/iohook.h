/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program does to the files below one directory, told to an observer.
 *
 * These files define the C library's file functions (open, pwrite, writev, ftruncate, fallocate,
 * fdatasync, rename, unlink, mkdir and their relatives); linked into a program with `-rdynamic`, or
 * preloaded as a shared object, it sees the calls of the program, of its port and of liblmdb alike,
 * at one level, so that nothing is counted twice. Each call reaches the real function, and the
 * observer, which is a set of functions that the program links beside it.
 *
 * Every write runs under one lock, through a descriptor of the hook's own that never syncs; a sync
 * runs outside the lock, so that writers go on meanwhile, as they do in a kernel. A write to a
 * descriptor opened with O_DSYNC or O_SYNC is told as a write and then as a sync of its range.
 *
 * Not seen: stores through a shared mapping (LMDB's lock file), stdio, sendfile, copy_file_range,
 * io_uring, sync(), syncfs(), and rename of a directory, which ends the program.
 */
#ifndef OXBOW_TESTS_SUPPORT_IOHOOK_H
#define OXBOW_TESTS_SUPPORT_IOHOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define IOHOOK_TO_END UINT64_MAX /* a range without an end */

/* A regular file below the watched directory, known since its first open there. It is told from
 * others by its inode, so descriptors may be duplicated and names changed. */
struct iofile {
    uint64_t id; /* from 1, in the order of first sight, never reused */
    dev_t dev;
    ino_t ino;
    int fd; /* the hook's own: read and write, no O_DSYNC, no O_APPEND */
    void *user;
    struct iofile *next;
};

/* ---- the hook ---- */

/* Watches `dir` and what is below it from now on; NULL watches nothing. `dir` itself need not exist
 * yet, its parent must. Making `dir` counts as an operation in its parent. */
void iohook_watch(const char *dir);

/* Lets this thread's own calls pass unseen while `on`. */
void iohook_bypass(bool on);

/* Under the lock nothing below the directory changes. Not recursive. */
void iohook_lock(void);
void iohook_unlock(void);

/* All files seen since iohook_watch, newest first. Read under the lock. */
struct iofile *iohook_files(void);

/* Writes that the kernel cut short or refused, since the program started. */
uint64_t iohook_failed_writes(void);

/* Whether syncs reach the kernel (at first they do), and how long each takes at least. */
void iohook_sync_cost(bool real_syncs, uint64_t min_us);

/* ---- the observer: defined by the program, called under the lock ---- */

/* Before bytes change. */
void on_write(struct iofile *f, uint64_t pos, const struct iovec *iov, int count, uint64_t len);
/* Before a file's length changes from `old` to `size` by truncation or reservation. */
void on_resize(struct iofile *f, uint64_t old, uint64_t size);
/* Before bytes in a range turn to zeros (holes punched, ranges zeroed). */
void on_zero(struct iofile *f, uint64_t pos, uint64_t len);

#define IOHOOK_FAIL UINT64_MAX

/* A sync of [pos, pos+len) starts. The answer is handed to on_sync_end; 0 means that the device
 * lies: the call reports success and neither syncs nor ends; IOHOOK_FAIL that it fails with EIO. */
uint64_t on_sync_begin(struct iofile *f, uint64_t pos, uint64_t len);
void on_sync_end(struct iofile *f, uint64_t token, uint64_t pos, uint64_t len);
void on_sync_fail(struct iofile *f, uint64_t token);

/* Names. `path` is absolute and free of symbolic links. `f` may be NULL for what is not a regular
 * file. After the change, but for on_unlink's and on_rename's files, which are already known. */
void on_create(const char *path, struct iofile *f);
void on_unlink(const char *path, struct iofile *f);
void on_rename(const char *from, const char *to, struct iofile *f, struct iofile *replaced);
void on_mkdir(const char *path);
void on_rmdir(const char *path);
uint64_t on_dirsync_begin(const char *dir);
void on_dirsync_end(const char *dir, uint64_t token);

/* After each of the above took effect. A sync is told by this before it starts. */
void on_done(void);

#endif
