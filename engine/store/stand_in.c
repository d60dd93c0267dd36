/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins at the level of directories and files: where they are, whether one may be used, looking
 * for the device that failed, and removing one whose content has been merged. What is merged, and how,
 * is engine/queue/merge.c.
 *
 * Invariants: (1) A look changes nothing in the store's directory but the owner's number in LOCK, as
 * every opening does. (2) A stand-in whose files are being removed has the file MERGED from before the
 * first one goes until after the last one has gone.
 */
#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/store/store.h"

#include <stdio.h>
#include <string.h>

#define RECORD_VERSION 1u
#define RECORD_BYTES   16u
#define LOOK_MAX_US    60000000u
#define LOOK_DOUBLINGS 6u
#define RETURN_TRY_US  10000u
#define FREE_LEAST     (64u << 10) /* less on the device than that is none */
#define JOURNAL_BYTES  (64u << 10)
#define DIRTY_PAGES    256u
#define TXN_DEFAULT    (16u << 20)
#define MEMORY_DEFAULT (16u << 20)
#define PATH_MAX_BYTES (STAND_IN_DIR_MAX + STORE_PATH_ROOM)
#define MERGED         "MERGED"
#define JOURNAL_NAME   "journal.%u%s"

static const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_STAND};

/* ---- configuration ---- */

static size_t trimmed_len(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    return len;
}

/* Whether `path` is `dir` or leads into it, as far as the text says. */
static bool is_within(const char *path, const char *dir)
{
    size_t len = trimmed_len(dir);

    return trimmed_len(path) >= len && memcmp(path, dir, len) == 0 &&
           (path[len] == '\0' || path[len] == '/' || dir[len - 1] == '/');
}

enum oxbow_err stand_in_check(const struct oxbow_config *config)
{
    const char *at = config->stand_in;

    if (at == NULL) {
        return OXBOW_OK;
    }
    if (config->on_failure != OXBOW_FAILURE_MEMORY || at[0] == '\0' ||
        strlen(at) > STORE_DIR_MAX - 2 || config->dir == NULL || is_within(at, config->dir) ||
        is_within(config->dir, at)) {
        return OXBOW_EINVAL;
    }
    return OXBOW_OK;
}

bool stand_in_takes(const struct oxbow_config *config, enum oxbow_err err)
{
    return config->on_failure == OXBOW_FAILURE_MEMORY &&
           (err == OXBOW_EIO || err == OXBOW_ENOSPC || err == OXBOW_EREADONLY ||
            err == OXBOW_ENOENT || err == OXBOW_ESYS || err == OXBOW_EFAILED);
}

void stand_in_config(const struct oxbow_config *config, uint32_t n, char dir[STAND_IN_DIR_MAX],
                     struct oxbow_config *out)
{
    uint64_t quota = config->memory_max != 0 ? config->memory_max : MEMORY_DEFAULT;
    uint32_t txn = config->txn_bytes != 0 ? config->txn_bytes : TXN_DEFAULT;

    (void)snprintf(dir, STAND_IN_DIR_MAX, "%s/%u", config->stand_in, (unsigned)n);
    *out = (struct oxbow_config){
        .dir = dir,
        .port = config->port != NULL ? config->port : oxbow_port_default(),
        .sync = config->sync,
        .interval_ms = config->interval_ms,
        .quota_bytes = quota,
        .dirty_pages = DIRTY_PAGES, /* the room above the quota follows from these two */
        .txn_bytes = txn < quota ? txn : (uint32_t)quota,
        .memtable_bytes = config->memtable_bytes,
        .names_max = config->names_max,
        .checkpoint_ms = config->checkpoint_ms,
        .entry_bytes = config->entry_bytes,
        .journal_bytes = JOURNAL_BYTES,
        .on_failure = config->on_failure,
        .memory_max = config->memory_max,
        .cache_databases = config->cache_databases,
        .cache = config->cache,
    };
}

/* ---- files ---- */

struct place {
    const struct oxbow_files *files;
    const char *dir;
    char path[PATH_MAX_BYTES];
};

static const char *path_of(struct place *p, const char *name)
{
    (void)snprintf(p->path, sizeof p->path, "%s/%s", p->dir, name);
    return p->path;
}

static enum oxbow_err file_open(struct place *p, const char *name, uint32_t flags, int *fd)
{
    return p->files->open(p->files->ctx, path_of(p, name), flags, fd);
}

static enum oxbow_err file_is_there(struct place *p, const char *name, bool *there)
{
    int fd;
    enum oxbow_err err = file_open(p, name, OXBOW_FILE_READ, &fd);

    *there = err == OXBOW_OK;
    if (err == OXBOW_OK) {
        return p->files->close(p->files->ctx, fd);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err file_remove(struct place *p, const char *name)
{
    enum oxbow_err err = p->files->unlink(p->files->ctx, path_of(p, name));

    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err remove_store(struct place *p)
{
    static const char *const names[] = {STORE_FORMAT, TREE_FILE, "lock.mdb",
                                        "DOUBT",      "META",    "LOCK"};
    static const char *const kinds[] = {"", ".new", ".bad"};
    enum oxbow_err err = OXBOW_OK;
    char name[STORE_PATH_ROOM];
    size_t i;

    for (i = 0; err == OXBOW_OK && i < sizeof names / sizeof names[0]; i++) {
        err = file_remove(p, names[i]);
    }
    for (i = 0; err == OXBOW_OK && i < (size_t)RING_SEGMENTS * 3; i++) {
        (void)snprintf(name, sizeof name, JOURNAL_NAME, (unsigned)(i / 3), kinds[i % 3]);
        err = file_remove(p, name);
    }
    return err == OXBOW_OK ? file_remove(p, MERGED) : err;
}

enum oxbow_err stand_in_sweep(const struct oxbow_config *one)
{
    struct place p = {.files = &one->port->files, .dir = one->dir};
    int fd;
    enum oxbow_err err = file_open(&p, MERGED, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);

    if (err == OXBOW_OK) {
        err = p.files->close(p.files->ctx, fd);
    }
    if (err == OXBOW_OK) {
        err = p.files->sync_dir(p.files->ctx, one->dir);
    }
    return err == OXBOW_OK ? remove_store(&p) : err;
}

enum oxbow_err stand_in_look(const struct oxbow_config *one, bool *there)
{
    struct place p = {.files = &one->port->files, .dir = one->dir};
    bool merged = false;
    enum oxbow_err err = file_is_there(&p, MERGED, &merged);

    if (err == OXBOW_OK && merged) {
        err = remove_store(&p);
    }
    return err == OXBOW_OK ? file_is_there(&p, STORE_FORMAT, there) : err;
}

/* ---- the record ---- */

enum oxbow_err stand_in_get(struct oxbow_txn *txn, struct stand_in_record *out)
{
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &value);

    *out = (struct stand_in_record){.state = STAND_IN_NONE};
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    p = value.data;
    if (value.len < RECORD_BYTES) {
        return OXBOW_ECORRUPT;
    }
    if (p[0] != RECORD_VERSION || p[1] < STAND_IN_USED || p[1] > STAND_IN_CHECKED) {
        return OXBOW_EFORMAT;
    }
    out->state = (enum stand_in_state)p[1];
    out->batches = get_le64(p + 8);
    out->dir = (struct oxbow_bytes){p + RECORD_BYTES, value.len - RECORD_BYTES};
    return OXBOW_OK;
}

enum oxbow_err stand_in_put(struct oxbow_txn *txn, const struct stand_in_record *record)
{
    uint8_t value[RECORD_BYTES + STORE_DIR_MAX] = {RECORD_VERSION, (uint8_t)record->state};

    if (record->dir.len > STORE_DIR_MAX) {
        return OXBOW_EINVAL;
    }
    put_le64(value + 8, record->batches);
    if (record->dir.len > 0) {
        memcpy(value + RECORD_BYTES, record->dir.data, record->dir.len);
    }
    return kv_put(txn, (struct oxbow_bytes){key, sizeof key},
                  (struct oxbow_bytes){value, RECORD_BYTES + record->dir.len});
}

/* ---- being one ---- */

enum oxbow_err stand_in_begin(struct oxbow *db, const struct oxbow_config *config,
                              enum oxbow_err why)
{
    size_t len = strlen(config->dir);
    char *dir = mem_new(&db->port->alloc, len + 1);
    char line[160];

    if (dir == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(dir, config->dir, len + 1);
    store_lock(db);
    db->stand = (struct stand_in){.why = why,
                                  .since_us = store_now_us(db),
                                  .look_us = store_now_us(db) + STAND_IN_LOOK_US,
                                  .lsn = db->lsn_applied,
                                  .given = true,
                                  .existing = (config->flags & OXBOW_OPEN_EXISTING) != 0,
                                  .dir = dir};
    db->port->threads.cond_signal(db->work);
    store_unlock(db);
    (void)snprintf(line, sizeof line,
                   "store: IT CANNOT BE OPENED (%s): a stand-in in memory is used, nothing is "
                   "safe from a power cut",
                   oxbow_err_name(why));
    store_log(db, OXBOW_LOG_ERROR, line);
    return OXBOW_OK;
}

bool store_stands_in(const struct oxbow *db)
{
    return db->stand.why != OXBOW_OK;
}

bool store_has_stand_in(const struct oxbow *db)
{
    return db->stand.given;
}

bool store_merge_left(const struct oxbow *db)
{
    return db->recovery.merge_left != OXBOW_OK;
}

void stand_in_told(struct oxbow *db, uint64_t merged, enum oxbow_err left)
{
    db->recovery.merged = merged;
    db->recovery.merge_left = left;
}

void stand_in_stat(const struct oxbow *db, struct oxbow_stat *out)
{
    const struct stand_in *s = &db->stand;

    if (s->why == OXBOW_OK) {
        return;
    }
    out->in_memory = out->stand_in = true;
    out->device_back = s->back;
    out->memory_why = s->why;
    out->memory_last = s->last;
    out->memory_us = store_now_us(db) - s->since_us;
    out->memory_held = db->lsn_applied - s->lsn;
    out->memory_times++;
}

void stand_in_free(struct oxbow *db)
{
    if (db->stand.dir != NULL) {
        mem_free(&db->port->alloc, db->stand.dir, strlen(db->stand.dir) + 1);
        db->stand.dir = NULL;
    }
}

/* ---- looking for the device ---- */

/* Whether the directory's parent can be reached, so that the store could be made. */
static enum oxbow_err look_at_parent(struct place *p)
{
    char kind[16];
    uint64_t free_bytes;
    uint64_t total;
    size_t len = trimmed_len(p->dir);
    enum oxbow_err err;

    while (len > 0 && p->dir[len - 1] != '/') {
        len--;
    }
    (void)snprintf(p->path, sizeof p->path, "%.*s", len == 0 ? 1 : (int)len,
                   len == 0 ? "." : p->dir);
    err = p->files->space(p->files->ctx, p->path, &free_bytes, &total, kind);
    return err == OXBOW_ENOTSUP ? OXBOW_OK : err;
}

/* Takes the lock and writes the owner's number, and gives the lock back. */
static enum oxbow_err look_at_lock(struct place *p)
{
    int64_t owner;
    int fd;
    enum oxbow_err err = file_open(p, "LOCK", OXBOW_FILE_READ | OXBOW_FILE_WRITE, &fd);
    enum oxbow_err closed;

    if (err != OXBOW_OK) {
        return err;
    }
    err = p->files->lock(p->files->ctx, fd, &owner);
    if (err == OXBOW_OK) {
        err = p->files->sync(p->files->ctx, fd);
    }
    closed = p->files->close(p->files->ctx, fd);
    return err == OXBOW_OK ? closed : err;
}

static enum oxbow_err look_at_file(struct place *p, const char *name, uint32_t flags)
{
    uint8_t head[512];
    size_t got;
    int fd;
    enum oxbow_err err = file_open(p, name, flags, &fd);
    enum oxbow_err closed;

    if (err != OXBOW_OK) {
        return err;
    }
    err = p->files->read(p->files->ctx, fd, head, sizeof head, 0, &got);
    closed = p->files->close(p->files->ctx, fd);
    return err == OXBOW_OK ? closed : err;
}

static enum oxbow_err look_at_space(struct place *p)
{
    char kind[16];
    uint64_t free_bytes = 0;
    uint64_t total;
    enum oxbow_err err = p->files->space(p->files->ctx, p->dir, &free_bytes, &total, kind);

    if (err == OXBOW_ENOTSUP) {
        return OXBOW_OK;
    }
    return err == OXBOW_OK && free_bytes < FREE_LEAST ? OXBOW_ENOSPC : err;
}

static enum oxbow_err look(const struct oxbow *db)
{
    struct place p = {.files = &db->port->files, .dir = db->stand.dir};
    enum oxbow_err err = look_at_lock(&p);

    if (err == OXBOW_ENOENT && !db->stand.existing) {
        return look_at_parent(&p);
    }
    if (err == OXBOW_OK) {
        err = look_at_file(&p, STORE_FORMAT, OXBOW_FILE_READ);
    }
    if (err == OXBOW_OK) {
        err = look_at_file(&p, TREE_FILE, OXBOW_FILE_READ | OXBOW_FILE_WRITE);
    }
    if (err == OXBOW_ENOENT && !db->stand.existing) {
        err = OXBOW_OK; /* it would be made, or refused as damaged: an open says so */
    }
    return err == OXBOW_OK ? look_at_space(&p) : err;
}

static void look_ended(struct oxbow *db, enum oxbow_err err)
{
    struct stand_in *s = &db->stand;
    uint64_t delay = STAND_IN_LOOK_US;

    if (err == OXBOW_OK && !s->back) {
        store_log(db, OXBOW_LOG_WARN,
                  "store: its device is back: close this stand-in and open the store");
    }
    s->back = err == OXBOW_OK;
    s->last = err;
    s->looks += s->looks < LOOK_DOUBLINGS;
    delay <<= s->looks;
    s->look_us = store_now_us(db) + (delay < LOOK_MAX_US ? delay : LOOK_MAX_US);
    s->asked = false;
    s->ended++;
    db->port->threads.cond_broadcast(db->settled);
}

bool stand_in_act(struct oxbow *db, uint64_t now)
{
    struct stand_in *s = &db->stand;
    enum oxbow_err err;

    if (s->why == OXBOW_OK || db->stop || (!s->asked && now < s->look_us)) {
        return false;
    }
    s->begun++;
    store_unlock(db);
    err = look(db);
    store_lock(db);
    look_ended(db, err);
    return true;
}

uint64_t stand_in_until(const struct oxbow *db, uint64_t now)
{
    const struct stand_in *s = &db->stand;

    if (s->why == OXBOW_OK) {
        return UINT64_MAX;
    }
    return s->look_us > now ? s->look_us - now : 1;
}

enum oxbow_err stand_in_return(struct oxbow *db)
{
    struct stand_in *s = &db->stand;
    uint64_t begun = s->begun; /* what these found may be over */
    enum oxbow_err err = OXBOW_OK;

    db->waiting++;
    while (s->ended <= begun && err == OXBOW_OK) {
        err = db->closing ? OXBOW_ECLOSED : OXBOW_OK;
        s->asked = true;
        db->port->threads.cond_signal(db->work);
        if (err == OXBOW_OK) {
            db->port->threads.cond_wait(db->settled, db->mutex, RETURN_TRY_US);
        }
    }
    db->waiting--;
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    if (err == OXBOW_OK) {
        err = s->back ? OXBOW_EAGAIN : s->last;
    }
    return err;
}
