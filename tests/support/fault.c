/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The failing port: each function asks whether this call's number is among those that shall fail,
 * and otherwise hands the call on unchanged. It knows nothing of the store.
 */
#include "tests/support/fault.h"

#include <stdlib.h>

static bool in_window(uint64_t call, uint64_t first, uint64_t last)
{
    return first != 0 && call >= first && call <= last;
}

static bool file_hit(struct fault *f, uint32_t kind)
{
    if ((atomic_load(&f->file_kinds) & kind) == 0)
        return false;
    uint64_t call = atomic_fetch_add(&f->file_calls, 1) + 1;
    if (!in_window(call, atomic_load(&f->file_first), atomic_load(&f->file_last)))
        return false;
    atomic_fetch_add(&f->file_failed, 1);
    return true;
}

static enum oxbow_err file_err(const struct fault *f)
{
    return (enum oxbow_err)atomic_load(&f->file_err);
}

static const struct oxbow_files *below(const struct fault *f)
{
    return &f->base->files;
}

/* ---- files ---- */

static enum oxbow_err fault_open(void *ctx, const char *path, uint32_t flags, int *fd)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_OPEN) ? file_err(f) : below(f)->open(below(f)->ctx, path, flags, fd);
}

static enum oxbow_err fault_close(void *ctx, int fd)
{
    struct fault *f = ctx;
    bool hit = file_hit(f, FAULT_CLOSE);
    enum oxbow_err err = below(f)->close(below(f)->ctx, fd);
    return hit ? file_err(f) : err;
}

static enum oxbow_err fault_size(void *ctx, int fd, uint64_t *bytes)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_SIZE) ? file_err(f) : below(f)->size(below(f)->ctx, fd, bytes);
}

static enum oxbow_err fault_read(void *ctx, int fd, void *buf, size_t len, uint64_t pos,
                                 size_t *got)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_READ) ? file_err(f)
                                   : below(f)->read(below(f)->ctx, fd, buf, len, pos, got);
}

static enum oxbow_err fault_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
    struct fault *f = ctx;
    bool hit = file_hit(f, FAULT_WRITE);
    enum oxbow_err err = below(f)->write(below(f)->ctx, fd, buf, hit ? len / 2 : len, pos);
    return hit ? file_err(f) : err;
}

static enum oxbow_err fault_truncate(void *ctx, int fd, uint64_t bytes)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_TRUNCATE) ? file_err(f) : below(f)->truncate(below(f)->ctx, fd, bytes);
}

static enum oxbow_err fault_reserve(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_RESERVE) ? file_err(f)
                                      : below(f)->reserve(below(f)->ctx, fd, pos, len);
}

static enum oxbow_err fault_punch(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_PUNCH) ? file_err(f) : below(f)->punch(below(f)->ctx, fd, pos, len);
}

static enum oxbow_err fault_occupied(void *ctx, int fd, uint64_t *bytes)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_OCCUPIED) ? file_err(f) : below(f)->occupied(below(f)->ctx, fd, bytes);
}

static enum oxbow_err fault_same(void *ctx, int fd, const char *path, bool *same)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_SAME) ? file_err(f) : below(f)->same(below(f)->ctx, fd, path, same);
}

static enum oxbow_err fault_sync(void *ctx, int fd)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_SYNC) ? file_err(f) : below(f)->sync(below(f)->ctx, fd);
}

static enum oxbow_err fault_sync_dir(void *ctx, const char *dir)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_SYNC_DIR) ? file_err(f) : below(f)->sync_dir(below(f)->ctx, dir);
}

static enum oxbow_err fault_rename(void *ctx, const char *from, const char *to)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_RENAME) ? file_err(f) : below(f)->rename(below(f)->ctx, from, to);
}

static enum oxbow_err fault_unlink(void *ctx, const char *path)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_UNLINK) ? file_err(f) : below(f)->unlink(below(f)->ctx, path);
}

static enum oxbow_err fault_mkdir(void *ctx, const char *path)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_MKDIR) ? file_err(f) : below(f)->mkdir(below(f)->ctx, path);
}

static enum oxbow_err fault_lock(void *ctx, int fd, int64_t *owner_pid)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_LOCK) ? file_err(f) : below(f)->lock(below(f)->ctx, fd, owner_pid);
}

static enum oxbow_err fault_space(void *ctx, const char *dir, uint64_t *free_bytes,
                                  uint64_t *total_bytes, char kind[16])
{
    struct fault *f = ctx;
    if (file_hit(f, FAULT_SPACE))
        return file_err(f);
    return below(f)->space(below(f)->ctx, dir, free_bytes, total_bytes, kind);
}

static enum oxbow_err fault_keep_private(void *ctx, int system_fd)
{
    struct fault *f = ctx;
    return file_hit(f, FAULT_KEEP) ? file_err(f) : below(f)->keep_private(below(f)->ctx, system_fd);
}

/* ---- memory and log ---- */

static void *fault_resize(void *ctx, void *p, size_t old_len, size_t new_len)
{
    struct fault *f = ctx;
    if (new_len > 0) {
        uint64_t call = atomic_fetch_add(&f->alloc_calls, 1) + 1;
        if (in_window(call, atomic_load(&f->alloc_first), atomic_load(&f->alloc_last))) {
            atomic_fetch_add(&f->alloc_failed, 1);
            return NULL;
        }
    }
    void *out = f->base->alloc.resize(f->base->alloc.ctx, p, old_len, new_len);
    if (out != NULL || new_len == 0)
        atomic_fetch_add(&f->live_bytes, (int64_t)new_len - (int64_t)old_len);
    return out;
}

static void fault_log(void *ctx, enum oxbow_log_level level, const char *text)
{
    struct fault *f = ctx;
    if (level == OXBOW_LOG_ERROR)
        atomic_fetch_add(&f->log_errors, 1);
    if (atomic_load(&f->verbose))
        f->base->log.line(f->base->log.ctx, level, text);
}

/* ---- arming ---- */

void fault_init(struct fault *f, const struct oxbow_port *base)
{
    *f = (struct fault){.base = base, .port = *base};
    f->port.files = (struct oxbow_files){
        .ctx = f,
        .open = fault_open,
        .close = fault_close,
        .size = fault_size,
        .read = fault_read,
        .write = fault_write,
        .truncate = fault_truncate,
        .reserve = fault_reserve,
        .punch = fault_punch,
        .occupied = fault_occupied,
        .same = fault_same,
        .sync = fault_sync,
        .sync_dir = fault_sync_dir,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .lock = fault_lock,
        .space = fault_space,
        .keep_private = fault_keep_private,
    };
    f->port.alloc = (struct oxbow_alloc){.ctx = f, .resize = fault_resize};
    f->port.log = (struct oxbow_log){.ctx = f, .line = fault_log};
    atomic_store(&f->file_kinds, FAULT_ALL);
    atomic_store(&f->file_err, (int)OXBOW_EIO);
    atomic_store(&f->verbose, getenv("OXBOW_FAULT_LOG") != NULL);
}

static uint64_t window_end(uint64_t n, uint64_t count)
{
    return count > UINT64_MAX - n ? UINT64_MAX : n + count - 1;
}

void fault_arm_files(struct fault *f, uint32_t kinds, uint64_t n, uint64_t count,
                     enum oxbow_err err)
{
    atomic_store(&f->file_first, 0);
    atomic_store(&f->file_kinds, kinds);
    atomic_store(&f->file_err, (int)err);
    atomic_store(&f->file_calls, 0);
    atomic_store(&f->file_failed, 0);
    atomic_store(&f->file_last, window_end(n, count));
    atomic_store(&f->file_first, count == 0 ? 0 : n);
}

void fault_arm_alloc(struct fault *f, uint64_t n, uint64_t count)
{
    atomic_store(&f->alloc_first, 0);
    atomic_store(&f->alloc_calls, 0);
    atomic_store(&f->alloc_failed, 0);
    atomic_store(&f->alloc_last, window_end(n, count));
    atomic_store(&f->alloc_first, count == 0 ? 0 : n);
}

void fault_disarm(struct fault *f)
{
    atomic_store(&f->file_first, 0);
    atomic_store(&f->alloc_first, 0);
}
