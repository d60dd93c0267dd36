/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's directory: LOCK, FORMAT and data.mdb, made in an order that a crash cannot confuse.
 *
 *   LOCK      first: nothing else is looked at without it. Never removed.
 *   data.mdb  written under another name, synced, renamed, the directory synced
 *   FORMAT    likewise, last: with it the store is initialised and never made again
 *
 *   DOUBT     when a store is closed that met a damaged value or page: the next open looks at all
 *   META      before a destroyed meta page is written again, until that is told as a loss
 *
 * Without FORMAT there is no store: a data file that is exactly an empty one is what a crash left
 * of the making, and is made again; any other belongs to somebody else and is refused, or set aside
 * if that was asked for: foreign.c.
 */
#include "engine/base/buf.h"
#include "engine/store/salvage.h"

#include <stdio.h>
#include <string.h>

#define FILE_DOUBT "DOUBT"
#define FILE_META  "META"
#define FILE_LOCK  "LOCK"
#define FILE_NEW   ".new"
#define FREE_LOW   (16u << 20) /* less on the file system than that is worth a warning */

const char *directory_path(struct oxbow *db, const char *name)
{
    (void)snprintf(db->path, db->path_bytes, "%s/%s", db->config.dir, name);
    return db->path;
}

static enum oxbow_err open_file(struct oxbow *db, const char *name, uint32_t flags, int *fd)
{
    return db->port->files.open(db->port->files.ctx, directory_path(db, name), flags, fd);
}

enum oxbow_err directory_close_file(struct oxbow *db, int fd, enum oxbow_err before)
{
    enum oxbow_err err = db->port->files.close(db->port->files.ctx, fd);

    return before != OXBOW_OK ? before : err;
}

static bool readonly(const struct oxbow *db)
{
    return (db->config.flags & OXBOW_OPEN_READONLY) != 0;
}

/* ---- marks ---- */

/* Files without content. */
static enum oxbow_err mark_look(struct oxbow *db, const char *name, bool *there)
{
    int fd;
    enum oxbow_err err = open_file(db, name, OXBOW_FILE_READ, &fd);

    *there = err == OXBOW_OK;
    if (err == OXBOW_OK) {
        return directory_close_file(db, fd, OXBOW_OK);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err mark_set(struct oxbow *db, const char *name, bool on)
{
    const struct oxbow_files *files = &db->port->files;
    int fd;
    enum oxbow_err err;

    if (on) {
        err = open_file(db, name, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
        err = err == OXBOW_OK ? directory_close_file(db, fd, OXBOW_OK) : err;
    } else {
        err = files->unlink(files->ctx, directory_path(db, name));
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return err == OXBOW_OK ? files->sync_dir(files->ctx, db->config.dir) : err;
}

enum oxbow_err directory_doubted(struct oxbow *db, bool *doubted)
{
    return mark_look(db, FILE_DOUBT, doubted);
}

void directory_doubt(struct oxbow *db, bool doubt)
{
    if (mark_set(db, FILE_DOUBT, doubt) != OXBOW_OK) {
        store_log(db, OXBOW_LOG_WARN, "store: the mark of doubt cannot be set or removed");
    }
}

enum oxbow_err directory_meta_written(struct oxbow *db, bool *written)
{
    return mark_look(db, FILE_META, written);
}

enum oxbow_err directory_meta_write(struct oxbow *db, bool begun)
{
    return mark_set(db, FILE_META, begun);
}

/* ---- the lock ---- */

static enum oxbow_err take_lock(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    char text[96];
    int64_t owner = 0;
    int fd;
    enum oxbow_err err =
        open_file(db, FILE_LOCK, OXBOW_FILE_READ | OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);

    if (err == OXBOW_EREADONLY && readonly(db)) {
        err = open_file(db, FILE_LOCK, OXBOW_FILE_READ, &fd);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = files->lock(files->ctx, fd, &owner);
    if (err == OXBOW_ELOCKED) {
        (void)snprintf(text, sizeof text, "store: locked by process %lld", (long long)owner);
        store_log(db, OXBOW_LOG_ERROR, text);
    }
    if (err != OXBOW_OK) {
        return directory_close_file(db, fd, err);
    }
    db->lock_fd = fd;
    if (!readonly(db)) {
        wear_note(db, WEAR_OTHER, TREE_PAGE_BYTES); /* a port may leave the owner's number there */
    }
    return OXBOW_OK;
}

void directory_lend_lock(struct oxbow *from, struct oxbow *to)
{
    const struct oxbow_files *files = &from->port->files;
    bool same = false;

    if (from->lock_fd >= 0 && to->lock_fd < 0 &&
        files->same(files->ctx, from->lock_fd, directory_path(to, FILE_LOCK), &same) == OXBOW_OK &&
        same) {
        to->lock_fd = from->lock_fd;
        from->lock_fd = -1;
    }
}

/* ---- making and checking files ---- */

enum oxbow_err directory_make(struct oxbow *db, const char *name, const void *data, size_t len)
{
    const struct oxbow_files *files = &db->port->files;
    char part[STORE_PATH_ROOM];
    int fd;
    enum oxbow_err err;

    (void)snprintf(part, sizeof part, "%s" FILE_NEW, name);
    err = open_file(db, part, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
    if (err != OXBOW_OK) {
        return err;
    }
    err = files->truncate(files->ctx, fd, 0);
    if (err == OXBOW_OK) {
        err = files->write(files->ctx, fd, data, len, 0);
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    err = directory_close_file(db, fd, err);
    if (err == OXBOW_OK) {
        err = directory_rename(db, part, name);
    }
    if (err == OXBOW_OK) {
        err = files->sync_dir(files->ctx, db->config.dir);
    }
    return err;
}

enum oxbow_err directory_rename(struct oxbow *db, const char *from, const char *to)
{
    const struct oxbow_files *files = &db->port->files;
    char old[STORE_DIR_MAX + STORE_PATH_ROOM];

    (void)snprintf(old, sizeof old, "%s", directory_path(db, from));
    return files->rename(files->ctx, old, directory_path(db, to));
}

enum oxbow_err directory_read(struct oxbow *db, const char *name, void *buf, size_t len,
                              uint64_t *size)
{
    const struct oxbow_files *files = &db->port->files;
    size_t got = 0;
    int fd;
    enum oxbow_err err = open_file(db, name, OXBOW_FILE_READ, &fd);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(buf, 0, len);
    err = files->size(files->ctx, fd, size);
    if (err == OXBOW_OK) {
        err = files->read(files->ctx, fd, buf, len, 0, &got);
    }
    return directory_close_file(db, fd, err);
}

/* Whether the data file is what format_meta makes, but for the size of the map. */
static bool is_empty_tree(uint8_t *raw, uint64_t size)
{
    uint8_t want[META_BYTES];
    size_t map_at = 2 * sizeof(size_t) + 16; /* see format.c */
    size_t page;

    if (size == 0) {
        return true; /* created, and the power went before anything was written */
    }
    if (size != META_BYTES) {
        return false;
    }
    format_meta(want, 0);
    for (page = 0; page < 2; page++) {
        memset(raw + page * TREE_PAGE_BYTES + map_at, 0, sizeof(size_t));
    }
    return memcmp(raw, want, META_BYTES) == 0;
}

/* The parent must remember the directory, or a store made before a power cut is gone after it. Done
 * by whoever makes the store: an open that made the directory may have failed at this. */
static enum oxbow_err sync_parent(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    size_t len = strlen(db->config.dir);

    while (len > 1 && db->config.dir[len - 1] == '/') {
        len--;
    }
    while (len > 0 && db->config.dir[len - 1] != '/') {
        len--;
    }
    (void)snprintf(db->path, db->path_bytes, "%.*s", (int)len, len == 0 ? "" : db->config.dir);
    return files->sync_dir(files->ctx, len == 0 ? "." : db->path);
}

static enum oxbow_err make_store(struct oxbow *db)
{
    struct store_format format;
    uint8_t raw[META_BYTES];
    char text[FORMAT_BYTES_MAX];
    uint64_t size;
    enum oxbow_err err;

    if ((db->config.flags & (OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY)) != 0) {
        return OXBOW_ENOENT;
    }
    err = directory_read(db, TREE_FILE, raw, sizeof raw, &size);
    if (err == OXBOW_OK && !is_empty_tree(raw, size)) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: there is a data file without FORMAT: not made by oxbow, left alone");
        return OXBOW_EFORMAT;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    format_meta(raw, db->config.map_bytes);
    err = sync_parent(db);
    if (err != OXBOW_OK) {
        return err;
    }
    err = db->port->random.fill(db->port->random.ctx, &db->store_id, sizeof db->store_id);
    if (err == OXBOW_OK) {
        format = (struct store_format){db->store_id, db->config.level};
        err = directory_make(db, TREE_FILE, raw, sizeof raw);
    }
    if (err == OXBOW_OK) {
        err = directory_make(db, STORE_FORMAT, text, format_text(text, &format));
    }
    if (err == OXBOW_OK) {
        wear_note(db, WEAR_OTHER, sizeof raw + TREE_PAGE_BYTES);
        db->level = format.level;
    }
    return err;
}

/* *whole: what was refused is not damaged. */
static enum oxbow_err check_format(struct oxbow *db, bool *whole)
{
    struct format_verdict verdict = {"", false};
    struct store_format format;
    char text[FORMAT_BYTES_MAX];
    char line[160];
    uint64_t size;
    enum oxbow_err err = directory_read(db, STORE_FORMAT, text, sizeof text, &size);

    if (err != OXBOW_OK) {
        return err;
    }
    if (size == 0) {
        store_log(db, OXBOW_LOG_ERROR, "store: FORMAT is empty");
        return OXBOW_ECORRUPT;
    }
    err = format_parse(text, size < sizeof text ? (size_t)size : sizeof text, &format, &verdict);
    if (err != OXBOW_OK) {
        (void)snprintf(line, sizeof line, "store: %s", verdict.why);
        store_log(db, OXBOW_LOG_ERROR, line);
        *whole = verdict.whole;
        return err;
    }
    db->store_id = format.id;
    db->level = format.level;
    return OXBOW_OK;
}

/* Checks or makes FORMAT and data file, after setting aside what is there if it is to be. */
static enum oxbow_err find_store(struct oxbow *db)
{
    bool whole = false;
    bool aside = db->aside;
    enum oxbow_err err = aside ? OXBOW_EFORMAT : check_format(db, &whole);

    if (err == OXBOW_ENOENT) {
        err = make_store(db);
    }
    if (err == OXBOW_EFORMAT && !aside) {
        enum oxbow_err judged = foreign_judge(db, whole, &aside);

        err = judged == OXBOW_OK ? err : judged;
    }
    if (err == OXBOW_EFORMAT && aside) {
        err = foreign_set_aside(db);
        err = err == OXBOW_OK ? make_store(db) : err;
    }
    return err;
}

/* FORMAT is there, so the data file must be. */
static enum oxbow_err check_data(struct oxbow *db)
{
    uint8_t raw[1];
    uint64_t size = 0;
    enum oxbow_err err = directory_read(db, TREE_FILE, raw, sizeof raw, &size);

    if (err == OXBOW_ENOENT || (err == OXBOW_OK && size < META_BYTES)) {
        store_log(db, OXBOW_LOG_ERROR,
                  err == OXBOW_OK ? "store: the data file was cut off"
                                  : "store: the data file is missing");
        return OXBOW_ECORRUPT;
    }
    return err;
}

bool directory_network(const char *kind)
{
    static const char *const network[] = {"nfs",  "nfs4", "smb", "cifs",
                                          "smb2", "9p",   "afs", "ceph"};
    size_t i;

    for (i = 0; i < sizeof network / sizeof network[0]; i++) {
        if (strcmp(kind, network[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum oxbow_err check_space(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    char kind[16] = "";
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    enum oxbow_err err = files->space(files->ctx, db->config.dir, &free_bytes, &total, kind);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOTSUP ? OXBOW_OK : err;
    }
    if (directory_network(kind)) {
        store_log(db, OXBOW_LOG_ERROR, "store: a network file system cannot hold a store");
        return OXBOW_ENOTSUP;
    }
    if (strcmp(kind, "tmpfs") == 0) {
        store_log(db, OXBOW_LOG_WARN, "store: tmpfs: nothing survives a power cut");
    }
    if (free_bytes < FREE_LOW) {
        store_log(db, OXBOW_LOG_WARN, "store: the file system is nearly full");
    }
    return OXBOW_OK;
}

static enum oxbow_err make_directory(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err;

    if ((db->config.flags & (OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY)) != 0) {
        return OXBOW_OK; /* then opening LOCK says whether it is there */
    }
    err = files->mkdir(files->ctx, db->config.dir);
    return err == OXBOW_EEXIST ? OXBOW_OK : err;
}

/* Makes durable what may be in the page cache alone. When the sync of a meta page fails, LMDB
 * writes the old one over it and leaves it at that; were pages of the commit that failed written
 * again before that is durable, a power cut could bring its meta page back without them. The meta
 * pages are written again because a sync after one that failed says nothing about older writes. */
static enum oxbow_err settle_data(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    uint8_t raw[META_BYTES];
    size_t got = 0;
    enum oxbow_err err = files->read(files->ctx, db->data_fd, raw, sizeof raw, 0, &got);

    if (err == OXBOW_OK && got < sizeof raw) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = files->write(files->ctx, db->data_fd, raw, sizeof raw, 0);
    }
    if (err == OXBOW_OK) {
        wear_note(db, WEAR_OTHER, sizeof raw);
        err = files->sync(files->ctx, db->data_fd);
    }
    if (err == OXBOW_OK) {
        err = files->sync_dir(files->ctx, db->config.dir); /* the same for names */
    }
    return err;
}

/* ---- whether it is still there ---- */

static enum oxbow_err still_there(const struct oxbow *db, bool *there)
{
    const struct oxbow_files *files = &db->port->files;

    *there = true;
    return files->same(files->ctx, db->data_fd, db->data_path, there);
}

/* Where the file is not known by its path right after it was opened, comparing means nothing. */
static enum oxbow_err note_path(struct oxbow *db)
{
    bool there;

    db->data_path = mem_new(&db->port->alloc, db->path_bytes);
    if (db->data_path == NULL) {
        return OXBOW_ENOMEM;
    }
    (void)snprintf(db->data_path, db->path_bytes, "%s", directory_path(db, TREE_FILE));
    if (still_there(db, &there) != OXBOW_OK || !there) {
        mem_free(&db->port->alloc, db->data_path, db->path_bytes);
        db->data_path = NULL;
    }
    return OXBOW_OK;
}

enum oxbow_err directory_check(const struct oxbow *db)
{
    bool there;
    enum oxbow_err err;

    if (db->data_path == NULL) {
        return OXBOW_OK;
    }
    err = still_there(db, &there);
    if (err == OXBOW_OK && !there) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: its directory was removed, moved or unmounted while it was open");
        err = OXBOW_ENOENT;
    }
    return err;
}

enum oxbow_err directory_open(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = make_directory(db);
    int fd;

    if (err == OXBOW_OK && db->lock_fd < 0) {
        err = take_lock(db);
    }
    if (err == OXBOW_OK) {
        err = check_space(db);
    }
    if (err == OXBOW_OK) {
        err = foreign_resume(db);
    }
    if (err == OXBOW_OK) {
        err = find_store(db);
    }
    if (err == OXBOW_OK) {
        err = salvage_resume(db);
    }
    if (err == OXBOW_OK) {
        err = check_data(db);
    }
    if (err == OXBOW_OK) {
        err = open_file(db, TREE_FILE,
                        readonly(db) ? OXBOW_FILE_READ : OXBOW_FILE_READ | OXBOW_FILE_WRITE, &fd);
        if (err == OXBOW_OK) {
            db->data_fd = fd;
            err = readonly(db) ? OXBOW_OK : settle_data(db);
        }
        if (err == OXBOW_OK && !readonly(db)) {
            (void)files->unlink(files->ctx, directory_path(db, COMPACT_FILE)); /* cut short */
        }
        if (err == OXBOW_OK) {
            err = note_path(db);
        }
    }
    return err;
}

void directory_close(struct oxbow *db)
{
    mem_free(&db->port->alloc, db->data_path, db->path_bytes);
    db->data_path = NULL;
    if (db->data_fd >= 0) {
        (void)db->port->files.close(db->port->files.ctx, db->data_fd);
        db->data_fd = -1;
    }
    if (db->lock_fd >= 0) {
        (void)db->port->files.close(db->port->files.ctx, db->lock_fd);
        db->lock_fd = -1;
    }
}
