/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port: everything that the engine asks of the system below it.
 *
 * The engine computes; a port touches the outside. A port is six tables of functions, and two functions. All tables
 * are read-only once a store was opened with them, must outlive the store, and are called from any
 * thread. `port/posix` is the one for POSIX systems; `oxbow_port_default()` is defined by exactly
 * one port archive that the program links. A program may hand its own to `oxbow_config.port`,
 * for example to use its allocator, its log or a virtual clock.
 */
#ifndef OXBOW_PORT_H
#define OXBOW_PORT_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory. `resize(NULL, 0, n)` allocates, `resize(p, n, 0)` frees and gives NULL. The old size is
 * handed back so that a port may use pools. Returns NULL when memory is out (p stays valid). The
 * result is aligned for any type. */
struct oxbow_alloc {
    void *ctx;
    void *(*resize)(void *ctx, void *p, size_t old_len, size_t new_len);
};

/* Time. `wall_ms`: since 1970-01-01 UTC, may jump. `mono_us`: since boot or any other fixed
 * start, never goes back within one boot. `wall_is_set`: whether the wall clock was set since
 * power-up, as far as the port can know (a year before 2024 counts as not set). */
struct oxbow_clock {
    void *ctx;
    uint64_t (*wall_ms)(void *ctx);
    uint64_t (*mono_us)(void *ctx);
    bool (*wall_is_set)(void *ctx);
};

/* Random bytes, unpredictable enough for identities and jitter. */
struct oxbow_random {
    void *ctx;
    enum oxbow_err (*fill)(void *ctx, void *out, size_t len);
};

enum oxbow_log_level { OXBOW_LOG_ERROR, OXBOW_LOG_WARN, OXBOW_LOG_INFO, OXBOW_LOG_DEBUG };

/* One line, no newline at its end, never secrets. May be called with the store's locks held, so it
 * must not call oxbow. */
struct oxbow_log {
    void *ctx;
    void (*line)(void *ctx, enum oxbow_log_level level, const char *text);
};

/* Files. Handles are small integers chosen by the port, never negative. All paths are byte strings
 * with '/' between parts. A write that is cut short is completed or fails: no partial results.
 * Errors: OXBOW_EIO, OXBOW_ENOSPC, OXBOW_ENOENT, OXBOW_EEXIST, OXBOW_EREADONLY, OXBOW_ELOCKED,
 * OXBOW_ENOTSUP, OXBOW_ESYS. Nothing here ever retries a failed sync. */
#define OXBOW_FILE_READ   0x01u
#define OXBOW_FILE_WRITE  0x02u
#define OXBOW_FILE_CREATE 0x04u /* if absent */
#define OXBOW_FILE_EXCL   0x08u /* with CREATE: fail with OXBOW_EEXIST if present */

struct oxbow_files {
    void *ctx;
    enum oxbow_err (*open)(void *ctx, const char *path, uint32_t flags, int *fd);
    enum oxbow_err (*close)(void *ctx, int fd);
    enum oxbow_err (*size)(void *ctx, int fd, uint64_t *bytes);
    /* Reads up to len at pos; *got is less only at the end of the file. */
    enum oxbow_err (*read)(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *got);
    enum oxbow_err (*write)(void *ctx, int fd, const void *buf, size_t len, uint64_t pos);
    enum oxbow_err (*truncate)(void *ctx, int fd, uint64_t bytes);
    /* Reserves blocks for [pos, pos+len) and extends the file; OXBOW_ENOTSUP where it cannot. */
    enum oxbow_err (*reserve)(void *ctx, int fd, uint64_t pos, uint64_t len);
    /* Gives the blocks of [pos, pos+len) back to the file system: those bytes read as zeros, and
     * the length stays. OXBOW_ENOTSUP where it cannot; nothing has changed then. */
    enum oxbow_err (*punch)(void *ctx, int fd, uint64_t pos, uint64_t len);
    /* How many bytes of the device the file takes; OXBOW_ENOTSUP where that cannot be known. */
    enum oxbow_err (*occupied)(void *ctx, int fd, uint64_t *bytes);
    /* Whether somebody who opens `path` now gets the file that is open here. Not when it was
     * removed, replaced or moved, or its file system is mounted there no more. Of a relative path
     * the port may say only whether the file was removed. */
    enum oxbow_err (*same)(void *ctx, int fd, const char *path, bool *same);
    /* Data and what is needed to read it back are on the device when this returns OXBOW_OK. */
    enum oxbow_err (*sync)(void *ctx, int fd);
    enum oxbow_err (*sync_dir)(void *ctx, const char *dir);
    enum oxbow_err (*rename)(void *ctx, const char *from, const char *to);
    enum oxbow_err (*unlink)(void *ctx, const char *path);
    enum oxbow_err (*mkdir)(void *ctx, const char *path); /* OXBOW_EEXIST if present */
    /* An exclusive lock for the life of the handle, released by close or by the process' death.
     * OXBOW_ELOCKED when another process or handle holds it; then *owner_pid is its pid or 0. A
     * handle that can only read may share the lock with others like it, never with a writer's. */
    enum oxbow_err (*lock)(void *ctx, int fd, int64_t *owner_pid);
    /* Free and total bytes of the file system that holds `dir`, and its kind ("ext4", "nfs"). */
    enum oxbow_err (*space)(void *ctx, const char *dir, uint64_t *free_bytes, uint64_t *total_bytes,
                            char kind[16]);
    /* Keeps a descriptor that a library opened from programs that this one starts. `system_fd` is
     * the system's own, not a handle of this table, whose files are kept from them in any case.
     * OXBOW_OK at once where programs inherit nothing. */
    enum oxbow_err (*keep_private)(void *ctx, int system_fd);
};

/* Threads. Objects are made by the port and freed by it. Mutexes are not recursive. */
struct oxbow_mutex;
struct oxbow_cond;
struct oxbow_thread;
struct oxbow_event;

struct oxbow_threads {
    void *ctx;
    enum oxbow_err (*mutex_open)(void *ctx, struct oxbow_mutex **out);
    void (*mutex_close)(struct oxbow_mutex *m);
    void (*mutex_lock)(struct oxbow_mutex *m);
    void (*mutex_unlock)(struct oxbow_mutex *m);
    enum oxbow_err (*cond_open)(void *ctx, struct oxbow_cond **out);
    void (*cond_close)(struct oxbow_cond *c);
    /* Waits at most timeout_us on the monotonic clock (UINT64_MAX: for ever). May wake early. */
    void (*cond_wait)(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us);
    void (*cond_signal)(struct oxbow_cond *c);
    void (*cond_broadcast)(struct oxbow_cond *c);
    enum oxbow_err (*thread_open)(void *ctx, const char *name, void (*run)(void *arg), void *arg,
                                  struct oxbow_thread **out);
    void (*thread_join)(struct oxbow_thread *t); /* waits for its end and frees it */
    /* An event that a poll loop can watch: `fd` is readable from set until clear. */
    enum oxbow_err (*event_open)(void *ctx, struct oxbow_event **out);
    void (*event_close)(struct oxbow_event *e);
    void (*event_set)(struct oxbow_event *e);
    void (*event_clear)(struct oxbow_event *e);
    int (*event_fd)(const struct oxbow_event *e); /* -1 where a port has no such thing */
};

struct oxbow_port {
    struct oxbow_alloc alloc;
    struct oxbow_clock clock;
    struct oxbow_random random;
    struct oxbow_log log;
    struct oxbow_files files;
    struct oxbow_threads threads;
    /* CRC-32C (Castagnoli, reflected, as in RFC 3720) of `len` bytes, continuing from `crc`, 0 at the
     * start: f(f(0, a), b) is that of a followed by b. By the machine's own instructions or its CRC
     * unit, if it has one for this polynomial; from any thread. NULL: the engine's own portable
     * C, which is several times slower than an instruction. What is stored depends on its values. */
    uint32_t (*crc32c)(uint32_t crc, const void *data, size_t len);
    /* A broken invariant: prints and ends the process. Does not return. */
    void (*panic)(const char *file, int line, const char *what);
};

/* The port of this program. Static, read-only. Defined by the port archive, not by the engine. */
const struct oxbow_port *oxbow_port_default(void);

#ifdef __cplusplus
}
#endif

#endif
