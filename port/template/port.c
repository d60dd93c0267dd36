/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port to copy for a new system; docs/PORTING.md says how. What plain C11 can do is done:
 * memory, clocks, log, threads. What asks for a system answers OXBOW_ENOTSUP, and the comment above
 * it says what it must do. What each function promises stands in oxbow/port.h; here stands what is
 * easily got wrong.
 *
 * As it is, no store can be opened with it: OXBOW_ENOTSUP says so at once, and nothing pretends to
 * be durable.
 */
#include "oxbow/port.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

#define WALL_SET_FROM_MS UINT64_C(1704067200000) /* 2024-01-01 00:00:00 UTC */

/* ---- memory ---- */

/* A pool or a region of its own may stand here: the old length is handed back for that. */
static void *template_resize(void *ctx, void *p, size_t old_len, size_t new_len)
{
    (void)ctx;
    (void)old_len;
    if (new_len == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_len);
}

/* ---- time ---- */

static uint64_t template_wall_ms(void *ctx)
{
    struct timespec now;

    (void)ctx;
    if (timespec_get(&now, TIME_UTC) != TIME_UTC || now.tv_sec < 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* To be replaced by the system's uptime. C11 has no such clock: this one never goes back, but it
 * leaps when the wall clock is set, and intervals of sync then end early. */
static uint64_t template_mono_us(void *ctx)
{
    static atomic_uint_least64_t newest;
    uint64_t seen = atomic_load(&newest);
    struct timespec now = {0};
    uint64_t us;

    (void)ctx;
    (void)timespec_get(&now, TIME_UTC);
    us = now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
    while (seen < us && !atomic_compare_exchange_weak(&newest, &seen, us)) {
        /* `seen` is what another thread has stored meanwhile */
    }
    return seen < us ? us : seen;
}

/* A board with a battery behind its clock may know better; so may one that asked the network. */
static bool template_wall_is_set(void *ctx)
{
    return template_wall_ms(ctx) >= WALL_SET_FROM_MS;
}

/* ---- random bytes, log, panic ---- */

/* All of `len` or an error, from the system's cryptographic generator: a store's identity and the
 * seed of its hash come from here. A counter, rand() or the time are not good enough: devices of
 * one batch boot alike. */
static enum oxbow_err template_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    (void)out;
    (void)len;
    return OXBOW_ENOTSUP;
}

/* Lines of several threads must not mix. A log that blocks blocks the store. */
static void template_log(void *ctx, enum oxbow_log_level level, const char *text)
{
    static const char *const names[] = {
        [OXBOW_LOG_ERROR] = "error", [OXBOW_LOG_WARN] = "warning", [OXBOW_LOG_INFO] = "info"};

    (void)ctx;
    if (level < OXBOW_LOG_DEBUG) {
        (void)fprintf(stderr, "oxbow: %s: %s\n", names[level], text);
    }
}

/* Must not return. On a board: write it where the next boot finds it, then reset. */
static void template_panic(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "oxbow: panic: %s:%d: %s\n", file, line, what);
    abort();
}

/* ---- files ---- */

/* Never handle 0, 1 or 2 where those are standard streams: a log line must not end up in a store.
 * Not inherited by programs that this one starts. Readable by nobody else. */
static enum oxbow_err template_open(void *ctx, const char *path, uint32_t flags, int *fd)
{
    (void)ctx;
    (void)path;
    (void)flags;
    (void)fd;
    return OXBOW_ENOTSUP;
}

/* Reports an error that the system kept until now, and closes in any case. */
static enum oxbow_err template_close(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return OXBOW_ENOTSUP;
}

static enum oxbow_err template_size(void *ctx, int fd, uint64_t *bytes)
{
    (void)ctx;
    (void)fd;
    (void)bytes;
    return OXBOW_ENOTSUP;
}

/* Goes on until all is read or the file ends. Called from several threads with one handle: no file
 * position that they would share. */
static enum oxbow_err template_read(void *ctx, int fd, void *buf, size_t len, uint64_t pos,
                                    size_t *got)
{
    (void)ctx;
    (void)fd;
    (void)buf;
    (void)len;
    (void)pos;
    (void)got;
    return OXBOW_ENOTSUP;
}

/* All of it or an error, likewise; past the end the file grows, with zeros between. */
static enum oxbow_err template_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
    (void)ctx;
    (void)fd;
    (void)buf;
    (void)len;
    (void)pos;
    return OXBOW_ENOTSUP;
}

static enum oxbow_err template_truncate(void *ctx, int fd, uint64_t bytes)
{
    (void)ctx;
    (void)fd;
    (void)bytes;
    return OXBOW_ENOTSUP;
}

/* May stay: then the store asks `space` and hopes. Where it works, a full disk is found while it
 * can still be handled. */
static enum oxbow_err template_reserve(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    (void)ctx;
    (void)fd;
    (void)pos;
    (void)len;
    return OXBOW_ENOTSUP;
}

/* May stay: then a file keeps the blocks that it once took. */
static enum oxbow_err template_punch(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    (void)ctx;
    (void)fd;
    (void)pos;
    (void)len;
    return OXBOW_ENOTSUP;
}

/* May stay. */
static enum oxbow_err template_occupied(void *ctx, int fd, uint64_t *bytes)
{
    (void)ctx;
    (void)fd;
    (void)bytes;
    return OXBOW_ENOTSUP;
}

static enum oxbow_err template_same(void *ctx, int fd, const char *path, bool *same)
{
    (void)ctx;
    (void)fd;
    (void)path;
    (void)same;
    return OXBOW_ENOTSUP;
}

/* The promise of the whole store. The data and the length have reached the medium, through every
 * cache, that of the device included; a flush of the C library's buffer is nothing of the kind. One
 * attempt: after a failed one the system may have dropped what it could not write, and a second
 * would succeed for nothing. */
static enum oxbow_err template_sync(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return OXBOW_ENOTSUP;
}

/* The same for names: what was made, renamed or removed in `dir` stays so after a power cut. A file
 * system that writes names through may answer OXBOW_OK. */
static enum oxbow_err template_sync_dir(void *ctx, const char *dir)
{
    (void)ctx;
    (void)dir;
    return OXBOW_ENOTSUP;
}

/* Replaces `to` if it is there, in one step: whoever looks finds the old file or the new one, after
 * a power cut too. C's rename() promises no such thing. */
static enum oxbow_err template_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    (void)from;
    (void)to;
    return OXBOW_ENOTSUP;
}

static enum oxbow_err template_unlink(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return OXBOW_ENOTSUP;
}

static enum oxbow_err template_mkdir(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return OXBOW_ENOTSUP;
}

/* Belongs to the handle, so that two handles of one program exclude each other too, and dies with
 * the program. Where there is only ever one program, keep a table of open paths instead. */
static enum oxbow_err template_lock(void *ctx, int fd, int64_t *owner_pid)
{
    (void)ctx;
    (void)fd;
    (void)owner_pid;
    return OXBOW_ENOTSUP;
}

/* May stay: then a network file system is not recognised, nor a nearly full one. */
static enum oxbow_err template_space(void *ctx, const char *dir, uint64_t *free_bytes,
                                     uint64_t *total_bytes, char kind[16])
{
    (void)ctx;
    (void)dir;
    (void)free_bytes;
    (void)total_bytes;
    (void)kind;
    return OXBOW_ENOTSUP;
}

/* OXBOW_OK where no program starts another. */
static enum oxbow_err template_keep_private(void *ctx, int system_fd)
{
    (void)ctx;
    (void)system_fd;
    return OXBOW_ENOTSUP;
}

/* ---- threads ---- */

struct oxbow_mutex {
    mtx_t mutex;
};

struct oxbow_cond {
    cnd_t cond;
};

struct oxbow_thread {
    thrd_t thread;
    void (*run)(void *arg);
    void *arg;
};

/* What cannot fail but for a bug, or for a lock that is none any more. */
static void must(int rc, const char *what)
{
    if (rc != thrd_success) {
        template_panic(__FILE__, __LINE__, what);
    }
}

static enum oxbow_err template_mutex_open(void *ctx, struct oxbow_mutex **out)
{
    struct oxbow_mutex *m = malloc(sizeof *m);

    (void)ctx;
    if (m == NULL || mtx_init(&m->mutex, mtx_plain) != thrd_success) {
        free(m);
        return OXBOW_ENOMEM;
    }
    *out = m;
    return OXBOW_OK;
}

static void template_mutex_close(struct oxbow_mutex *m)
{
    if (m != NULL) {
        mtx_destroy(&m->mutex);
        free(m);
    }
}

static void template_mutex_lock(struct oxbow_mutex *m)
{
    must(mtx_lock(&m->mutex), "mtx_lock");
}

static void template_mutex_unlock(struct oxbow_mutex *m)
{
    must(mtx_unlock(&m->mutex), "mtx_unlock");
}

static enum oxbow_err template_cond_open(void *ctx, struct oxbow_cond **out)
{
    struct oxbow_cond *c = malloc(sizeof *c);

    (void)ctx;
    if (c == NULL || cnd_init(&c->cond) != thrd_success) {
        free(c);
        return OXBOW_ENOMEM;
    }
    *out = c;
    return OXBOW_OK;
}

static void template_cond_close(struct oxbow_cond *c)
{
    if (c != NULL) {
        cnd_destroy(&c->cond);
        free(c);
    }
}

/* To be replaced by a wait on the clock of mono_us: C11 waits until a wall time, and when somebody
 * sets that clock back a wait lasts as much longer. */
static void template_cond_wait(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us)
{
    struct timespec end;
    uint64_t ns;

    if (timeout_us == UINT64_MAX || timespec_get(&end, TIME_UTC) != TIME_UTC) {
        must(cnd_wait(&c->cond, &m->mutex), "cnd_wait");
        return;
    }
    if (timeout_us > UINT64_C(3600000000)) {
        timeout_us = UINT64_C(3600000000); /* to wake early is allowed: no overflow to think of */
    }
    ns = (uint64_t)end.tv_nsec + timeout_us % 1000000u * 1000u;
    end.tv_sec += (time_t)(timeout_us / 1000000u + ns / 1000000000u);
    end.tv_nsec = (long)(ns % 1000000000u);
    if (cnd_timedwait(&c->cond, &m->mutex, &end) == thrd_error) {
        template_panic(__FILE__, __LINE__, "cnd_timedwait");
    }
}

static void template_cond_signal(struct oxbow_cond *c)
{
    must(cnd_signal(&c->cond), "cnd_signal");
}

static void template_cond_broadcast(struct oxbow_cond *c)
{
    must(cnd_broadcast(&c->cond), "cnd_broadcast");
}

static int thread_main(void *arg)
{
    struct oxbow_thread *t = arg;

    t->run(t->arg);
    return 0;
}

/* The name is for a debugger. Signals, where there are any, are the program's own threads'
 * business: block them here. 64 KiB of stack are plenty. */
static enum oxbow_err template_thread_open(void *ctx, const char *name, void (*run)(void *arg),
                                           void *arg, struct oxbow_thread **out)
{
    struct oxbow_thread *t = malloc(sizeof *t);

    (void)ctx;
    (void)name;
    if (t == NULL) {
        return OXBOW_ENOMEM;
    }
    t->run = run;
    t->arg = arg;
    if (thrd_create(&t->thread, thread_main, t) != thrd_success) {
        free(t);
        return OXBOW_ESYS;
    }
    *out = t;
    return OXBOW_OK;
}

static void template_thread_join(struct oxbow_thread *t)
{
    must(thrd_join(t->thread, NULL), "thrd_join");
    free(t);
}

/* May stay, with the four below: then nobody can poll for durability or for entries, and waits in
 * threads instead. */
static enum oxbow_err template_event_open(void *ctx, struct oxbow_event **out)
{
    (void)ctx;
    (void)out;
    return OXBOW_ENOTSUP;
}

static void template_event_close(struct oxbow_event *e)
{
    (void)e;
}

static void template_event_set(struct oxbow_event *e)
{
    (void)e;
}

static void template_event_clear(struct oxbow_event *e)
{
    (void)e;
}

static int template_event_fd(const struct oxbow_event *e)
{
    (void)e;
    return -1;
}

/* ---- the table ---- */

static const struct oxbow_port template_port = {
    .alloc = {.resize = template_resize},
    .clock = {.wall_ms = template_wall_ms,
              .mono_us = template_mono_us,
              .wall_is_set = template_wall_is_set},
    .random = {.fill = template_random},
    .log = {.line = template_log},
    .files = {.open = template_open,
              .close = template_close,
              .size = template_size,
              .read = template_read,
              .write = template_write,
              .truncate = template_truncate,
              .reserve = template_reserve,
              .punch = template_punch,
              .occupied = template_occupied,
              .same = template_same,
              .sync = template_sync,
              .sync_dir = template_sync_dir,
              .rename = template_rename,
              .unlink = template_unlink,
              .mkdir = template_mkdir,
              .lock = template_lock,
              .space = template_space,
              .keep_private = template_keep_private},
    .threads = {.mutex_open = template_mutex_open,
                .mutex_close = template_mutex_close,
                .mutex_lock = template_mutex_lock,
                .mutex_unlock = template_mutex_unlock,
                .cond_open = template_cond_open,
                .cond_close = template_cond_close,
                .cond_wait = template_cond_wait,
                .cond_signal = template_cond_signal,
                .cond_broadcast = template_cond_broadcast,
                .thread_open = template_thread_open,
                .thread_join = template_thread_join,
                .event_open = template_event_open,
                .event_close = template_event_close,
                .event_set = template_event_set,
                .event_clear = template_event_clear,
                .event_fd = template_event_fd},
    .crc32c = NULL, /* yours, if the machine has an instruction or a unit for it */
    .panic = template_panic,
};

const struct oxbow_port *oxbow_port_default(void)
{
    return &template_port;
}
