/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills the record from the hook's calls. A sync is noted when it has succeeded, with the number of
 * events that there were when it began: what was written before that is durable, what was written
 * while it ran may not be.
 */
#include "tests/crash/record.h"

#include "tests/support/iohook/iohook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct record record;
static size_t base_len;
static unsigned lying;
static unsigned fail_one_in;
static uint64_t fail_random;
static const char *memory;

/* ---- the record ---- */

const struct record *recorder_get(void)
{
    return &record;
}

static void clear(void)
{
    for (size_t i = 0; i < record.count; i++) {
        free(record.events[i].data);
        free(record.events[i].path);
        free(record.events[i].from);
    }
    free(record.events);
    record = (struct record){0};
}

void recorder_start(const char *base, const char *name)
{
    char path[4096];
    recorder_stop();
    clear();
    base_len = strlen(base) + 1;
    snprintf(path, sizeof path, "%s/%s", base, name);
    iohook_sync_cost(false, 0);
    iohook_watch(path);
}

void recorder_stop(void)
{
    iohook_watch(NULL);
}

void recorder_fini(void)
{
    recorder_stop();
    clear();
}

void recorder_lie(unsigned lie)
{
    lying = lie;
}

void recorder_fail(unsigned one_in, uint64_t seed)
{
    fail_one_in = one_in;
    fail_random = seed;
}

static bool fails(void)
{
    return fail_one_in != 0 && lab_random(&fail_random) % fail_one_in == 0;
}

static char *relative(const char *path)
{
    if (path == NULL)
        return NULL;
    char *copy = strdup(strlen(path) >= base_len ? path + base_len : "");
    if (copy == NULL)
        lab_die("memory", "out of it");
    return copy;
}

static struct event *add(struct event e)
{
    if (record.count == record.cap) {
        record.cap = record.cap == 0 ? 256 : 2 * record.cap;
        record.events = lab_grow(record.events, record.cap * sizeof e);
    }
    record.kinds[e.kind]++;
    record.events[record.count] = e;
    return &record.events[record.count++];
}

/* ---- what lies in memory ---- */

void recorder_memory(const char *path)
{
    memory = path;
}

static bool in_memory(const char *path)
{
    size_t len = memory == NULL ? 0 : strlen(memory);
    return len > 0 && strncmp(path, memory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool file_in_memory(const struct iofile *f)
{
    char link[64], path[4096];
    if (memory == NULL)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", f->fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= (ssize_t)base_len)
        return false;
    path[len] = '\0';
    return in_memory(path + base_len);
}

/* After an event of a file or a name: had it been synced, nothing would be in flight. */
static void settle_file(const struct iofile *f)
{
    if (file_in_memory(f))
        add((struct event){.kind = EVENT_SYNC,
                           .file = f->ino,
                           .len = IOHOOK_TO_END,
                           .begin = record.count,
                           .number = EVENT_OF_MEMORY});
}

static void settle_name(const char *path)
{
    char *dir = relative(path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL || !in_memory(dir)) {
        free(dir);
        return;
    }
    *slash = '\0';
    add((struct event){
        .kind = EVENT_DIRSYNC, .path = dir, .begin = record.count, .number = EVENT_OF_MEMORY});
}

void recorder_mark(enum event_kind kind, uint64_t number)
{
    iohook_lock();
    add((struct event){.kind = kind, .number = number});
    iohook_unlock();
}

/* ---- the observer ---- */

void on_write(struct iofile *f, uint64_t pos, const struct iovec *iov, int count, uint64_t len)
{
    uint8_t *data = lab_alloc((size_t)len);
    size_t have = 0;
    for (int i = 0; i < count; i++) {
        memcpy(data + have, iov[i].iov_base, iov[i].iov_len);
        have += iov[i].iov_len;
    }
    add((struct event){.kind = EVENT_WRITE, .file = f->ino, .pos = pos, .len = len, .data = data});
    settle_file(f);
}

void on_resize(struct iofile *f, uint64_t old, uint64_t size)
{
    (void)old;
    add((struct event){.kind = EVENT_RESIZE, .file = f->ino, .pos = size});
    settle_file(f);
}

void on_zero(struct iofile *f, uint64_t pos, uint64_t len)
{
    add((struct event){.kind = EVENT_ZERO, .file = f->ino, .pos = pos, .len = len});
    settle_file(f);
}

/* 0 means that the device lies, so a token is the number of events and one. */
uint64_t on_sync_begin(struct iofile *f, uint64_t pos, uint64_t len)
{
    if (fails()) {
        add((struct event){
            .kind = EVENT_FAILED, .file = f->ino, .pos = pos, .len = len, .begin = record.count});
        return IOHOOK_FAIL;
    }
    return (lying & RECORD_LIE_DATA) != 0 ? 0 : record.count + 1;
}

void on_sync_end(struct iofile *f, uint64_t token, uint64_t pos, uint64_t len)
{
    add((struct event){
        .kind = EVENT_SYNC, .file = f->ino, .pos = pos, .len = len, .begin = (size_t)(token - 1)});
}

void on_sync_fail(struct iofile *f, uint64_t token)
{
    (void)f;
    (void)token;
}

void on_create(const char *path, struct iofile *f)
{
    add((struct event){
        .kind = EVENT_CREATE, .path = relative(path), .file = f == NULL ? 0 : f->ino});
    settle_name(path);
}

void on_unlink(const char *path, struct iofile *f)
{
    (void)f;
    add((struct event){.kind = EVENT_UNLINK, .path = relative(path)});
    settle_name(path);
}

void on_rename(const char *from, const char *to, struct iofile *f, struct iofile *replaced)
{
    (void)replaced;
    add((struct event){.kind = EVENT_RENAME,
                       .path = relative(to),
                       .from = relative(from),
                       .file = f == NULL ? 0 : f->ino});
    settle_name(to);
}

void on_mkdir(const char *path)
{
    add((struct event){.kind = EVENT_MKDIR, .path = relative(path)});
    settle_name(path);
}

void on_rmdir(const char *path)
{
    add((struct event){.kind = EVENT_RMDIR, .path = relative(path)});
    settle_name(path);
}

uint64_t on_dirsync_begin(const char *dir)
{
    if (fails()) {
        add((struct event){.kind = EVENT_FAILED, .path = relative(dir), .begin = record.count});
        return IOHOOK_FAIL;
    }
    return (lying & RECORD_LIE_DIR) != 0 ? 0 : record.count + 1;
}

void on_dirsync_end(const char *dir, uint64_t token)
{
    add((struct event){.kind = EVENT_DIRSYNC, .path = relative(dir), .begin = (size_t)(token - 1)});
}

void on_done(void)
{
}

/* ---- printing ---- */

const char *event_name(enum event_kind kind)
{
    static const char *const names[EVENT_KINDS] = {
        "write", "resize", "zero",    "sync",  "failed", "create",  "unlink", "rename",
        "mkdir", "rmdir",  "dirsync", "issue", "ack",    "written", "opened"};
    return kind < EVENT_KINDS ? names[kind] : "?";
}

void event_print(size_t idx, const struct event *e)
{
    fprintf(stderr, "  %5zu %-7s", idx, event_name(e->kind));
    if (e->file != 0)
        fprintf(stderr, " inode %llu", (unsigned long long)e->file);
    if (e->kind == EVENT_WRITE || e->kind == EVENT_ZERO || e->kind == EVENT_RESIZE)
        fprintf(stderr, " at %llu", (unsigned long long)e->pos);
    if (e->len != 0 && e->len != IOHOOK_TO_END)
        fprintf(stderr, " len %llu", (unsigned long long)e->len);
    if (e->from != NULL)
        fprintf(stderr, " %s ->", e->from);
    if (e->path != NULL)
        fprintf(stderr, " %s", e->path);
    if (e->kind == EVENT_SYNC || e->kind == EVENT_DIRSYNC)
        fprintf(stderr, " begun at %zu", e->begin);
    if (e->kind >= EVENT_ISSUE && e->kind <= EVENT_OPENED)
        fprintf(stderr, " %llu", (unsigned long long)e->number);
    fputc('\n', stderr);
}
