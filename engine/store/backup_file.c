/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups in files: verifying one, and making a store of one. The file is outside data: nothing in it
 * is believed before it was checked, no length is allocated that the file has not.
 *
 *   oxbow_restore:  walk, verifying --> make an empty store --> walk again, putting --> look at it
 *
 * Invariants: (1) Nothing is made before all of the file was found sound. (2) The second walk checks
 * again: the file may have changed. (3) The store that is made is looked at by our own reader, as an
 * open would, and has the number and digest of keys that the header record of the backup names.
 */
#include "engine/store/backup.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/check.h"
#include "engine/store/envelope.h"
#include "engine/store/store.h"

#include <stdio.h>
#include <string.h>

#define WINDOW         (256u << 10) /* read at a time */
#define BATCH_BYTES    (1u << 20)   /* in a commit of the new tree */
#define SPARE_BYTES    (4u << 20)   /* what commits replace, and growth */
#define SPARE_PART     16u          /* and so much of the file: pages are not full */
#define PROGRESS_EVERY 1024u

/* One walk over a file. */
struct walk {
    const struct oxbow_port *port;
    const struct oxbow_backup_options *options;
    struct oxbow_backup_info *info;
    int fd;
    uint64_t size;
    uint64_t pos;
    uint32_t crc;
    struct buf buf;   /* what was read ahead */
    size_t taken;     /* of it */
    uint64_t read_at; /* where the next read begins */
    uint64_t digest;
    uint8_t last[KV_KEY_MAX]; /* the key before */
    size_t last_len;
    bool has_header;
    struct tree_header header;
    struct tree *to; /* NULL: only verifying */
    bool writing;
    uint64_t batch;
    const struct tree_header *final; /* of the new tree */
};

/* ---- bytes of the file ---- */

/* The next `len` bytes, borrowed until the next call. OXBOW_ECORRUPT: the file ends before. */
static enum oxbow_err take(struct walk *w, size_t len, const uint8_t **out)
{
    const struct oxbow_files *files = &w->port->files;
    enum oxbow_err err = OXBOW_OK;

    if (len > w->size - w->pos) {
        return OXBOW_ECORRUPT;
    }
    if (w->buf.len - w->taken < len) {
        buf_consume(&w->buf, w->taken);
        w->taken = 0;
    }
    while (err == OXBOW_OK && w->buf.len < len + w->taken) {
        size_t want = len > WINDOW ? len : WINDOW;
        size_t got = 0;

        want -= w->buf.len;
        err = buf_reserve(&w->buf, want);
        if (err == OXBOW_OK) {
            err = files->read(files->ctx, w->fd, w->buf.data + w->buf.len, want, w->read_at, &got);
        }
        if (err == OXBOW_OK && got == 0) {
            err = OXBOW_ECORRUPT; /* it is shorter than it was */
        }
        if (err == OXBOW_OK) {
            w->buf.len += got;
            w->read_at += got;
        }
    }
    if (err == OXBOW_OK) {
        *out = w->buf.data + w->taken;
        w->taken += len;
        w->pos += len;
    }
    return err;
}

static enum oxbow_err take_summed(struct walk *w, size_t len, const uint8_t **out)
{
    enum oxbow_err err = take(w, len, out);

    if (err == OXBOW_OK) {
        w->crc = crc32c_of(w->port)(w->crc, *out, len);
    }
    return err;
}

/* ---- records ---- */

static enum oxbow_err put(struct walk *w, struct oxbow_bytes key, struct oxbow_bytes value)
{
    enum oxbow_err err = OXBOW_OK;

    if (!w->writing) {
        err = tree_write_begin(w->to);
        w->writing = err == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = tree_write_put(w->to, key, value);
    }
    w->batch += key.len + value.len;
    if (err == OXBOW_OK && w->batch >= BATCH_BYTES) {
        w->writing = false;
        w->batch = 0;
        err = tree_write_commit(w->to, w->final);
    }
    return err;
}

static enum oxbow_err note_header(struct walk *w, struct oxbow_bytes raw)
{
    enum oxbow_err err = header_decode(raw, &w->header);

    w->has_header = err == OXBOW_OK;
    return err;
}

static enum oxbow_err note_record(struct walk *w, struct oxbow_bytes key, struct oxbow_bytes raw)
{
    const struct oxbow_bytes last = {w->last, w->last_len};
    struct oxbow_bytes value;
    enum oxbow_err err = envelope_get(crc32c_of(w->port), key, raw, &value);

    if (err != OXBOW_OK) {
        return err;
    }
    if (w->last_len > 0 && key_compare(last, key) >= 0) {
        return OXBOW_ECORRUPT;
    }
    memcpy(w->last, key.data, key.len);
    w->last_len = key.len;
    if (key_compare(key, header_key()) == 0) {
        return note_header(w, raw);
    }
    w->info->done++;
    w->digest += hash64(key.data, key.len, 0);
    if (w->info->done % PROGRESS_EVERY == 0 && w->options->progress != NULL) {
        w->info->bytes = w->pos;
        if (!w->options->progress(w->options->ctx, w->info)) {
            return OXBOW_ECANCELED;
        }
    }
    return w->to != NULL ? put(w, key, value) : OXBOW_OK;
}

/* *more: it was no tail. */
static enum oxbow_err walk_record(struct walk *w, bool *more)
{
    const uint8_t *p;
    uint32_t key_len;
    uint32_t raw_len;
    enum oxbow_err err = take_summed(w, BACKUP_RECORD_BYTES, &p);

    if (err != OXBOW_OK) {
        return err;
    }
    key_len = get_le32(p);
    raw_len = get_le32(p + 4);
    *more = key_len != 0;
    if (key_len == 0) {
        return raw_len == 0 ? OXBOW_OK : OXBOW_ECORRUPT;
    }
    if (key_len > KV_KEY_MAX || raw_len < ENVELOPE_BYTES ||
        (uint64_t)key_len + raw_len > w->size - w->pos) {
        return OXBOW_ECORRUPT;
    }
    err = take_summed(w, (size_t)key_len + raw_len, &p);
    if (err == OXBOW_OK) {
        err = note_record(w, (struct oxbow_bytes){p, key_len},
                          (struct oxbow_bytes){p + key_len, raw_len});
    }
    return err;
}

/* The rest of the tail, behind its two zeros. */
static enum oxbow_err walk_tail(struct walk *w)
{
    const uint8_t *p;
    enum oxbow_err err = take(w, BACKUP_TAIL_BYTES - BACKUP_RECORD_BYTES, &p);

    if (err != OXBOW_OK) {
        return err;
    }
    w->crc = crc32c_of(w->port)(w->crc, p, 12);
    if (get_le32(p + 12) != w->crc || get_le64(p) != w->info->done ||
        w->info->done != w->info->records || w->pos != w->size || !w->has_header ||
        w->header.keys != w->info->records || w->header.digest != w->digest ||
        w->header.lsn != w->info->lsn) {
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

static enum oxbow_err walk_all(struct walk *w)
{
    const uint8_t *p;
    bool more = true;
    enum oxbow_err err = take_summed(w, BACKUP_HEAD_BYTES, &p);

    if (err != OXBOW_OK) {
        return err;
    }
    err = backup_head_decode(p, w->info);
    while (err == OXBOW_OK && more) {
        err = walk_record(w, &more);
    }
    if (err == OXBOW_OK) {
        err = walk_tail(w);
    }
    w->info->bytes = w->pos;
    return err;
}

static enum oxbow_err walk_file(struct walk *w, const char *path)
{
    const struct oxbow_files *files = &w->port->files;
    enum oxbow_err closed;
    enum oxbow_err err = files->open(files->ctx, path, OXBOW_FILE_READ, &w->fd);

    if (err != OXBOW_OK) {
        return err;
    }
    memset(w->info, 0, sizeof *w->info);
    err = files->size(files->ctx, w->fd, &w->size);
    if (err == OXBOW_OK && w->size < BACKUP_HEAD_BYTES) {
        err = w->size == 0 ? OXBOW_ECORRUPT : OXBOW_EFORMAT;
    }
    if (err == OXBOW_OK) {
        buf_init(&w->buf, &w->port->alloc, SIZE_MAX / 2);
        err = walk_all(w);
        buf_fini(&w->buf);
    }
    closed = files->close(files->ctx, w->fd);
    return err != OXBOW_OK ? err : closed;
}

static const struct oxbow_backup_options plain = {0};

enum oxbow_err oxbow_backup_check(const char *file, const struct oxbow_backup_options *options,
                                  struct oxbow_backup_info *out)
{
    struct walk w = {.options = options != NULL ? options : &plain, .info = out};

    w.port = w.options->port != NULL ? w.options->port : oxbow_port_default();
    return walk_file(&w, file);
}

/* ---- the new store ---- */

/* Names that a store's files have: where one of them is, there is something already. */
static enum oxbow_err look_for_store(struct oxbow *db)
{
    static const char *const names[] = {STORE_FORMAT, TREE_FILE};
    const struct oxbow_files *files = &db->port->files;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int fd;
        enum oxbow_err err =
            files->open(files->ctx, directory_path(db, names[i]), OXBOW_FILE_READ, &fd);

        if (err == OXBOW_OK) {
            return directory_close_file(db, fd, OXBOW_EEXIST);
        }
        if (err != OXBOW_ENOENT) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err ask_for_space(const struct oxbow *db, uint64_t bytes)
{
    const struct oxbow_files *files = &db->port->files;
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    char kind[16];
    enum oxbow_err err = files->space(files->ctx, db->config.dir, &free_bytes, &total, kind);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOTSUP ? OXBOW_OK : err;
    }
    return free_bytes < bytes + bytes / SPARE_PART + SPARE_BYTES ? OXBOW_ENOSPC : OXBOW_OK;
}

/* What the new store's header says: the same state of the same openings and clock, of another store
 * that was cut off in it, and on a device that has written nothing for it yet. */
static struct tree_header new_header(const struct oxbow *db, const struct tree_header *from)
{
    struct tree_header h = *from;

    h.store_id = db->store_id;
    h.closed = false;
    h.journal = false;
    h.wear = (struct header_wear){.other = db->wear.bytes[WEAR_OTHER]};
    return h;
}

static enum oxbow_err fill(struct oxbow *db, const char *file, const struct tree_header *from,
                           struct walk *w)
{
    struct tree_config config = {
        .port = db->port, .dir = db->config.dir, .map_bytes = db->config.map_bytes};
    const struct tree_header final = new_header(db, from);
    enum oxbow_err err = tree_open(&config, &w->to);

    if (err != OXBOW_OK) {
        return err;
    }
    if (tree_header(w->to)->boot != 0) { /* somebody was faster */
        tree_close(w->to);
        return OXBOW_EEXIST;
    }
    w->final = &final;
    err = walk_file(w, file);
    if (err == OXBOW_OK && !w->writing) {
        err = tree_write_begin(w->to);
        w->writing = err == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        w->writing = false;
        err = tree_write_commit(w->to, &final);
    }
    if (err == OXBOW_OK &&
        (tree_header(w->to)->keys != from->keys || tree_header(w->to)->digest != from->digest)) {
        err = OXBOW_ECORRUPT; /* it is another file than the one that was verified */
    }
    if (w->writing) {
        tree_write_abort(w->to);
    }
    tree_close(w->to);
    return err;
}

/* Looks at what was made as an open would, and makes it durable. */
static enum oxbow_err vouch(struct oxbow *db)
{
    static const struct oxbow_check_options all = {.skip_values = false};
    const struct oxbow_files *files = &db->port->files;
    const struct check_file file = {.port = db->port, .fd = db->data_fd, .options = &all};
    struct oxbow_check_report report;
    enum oxbow_err err;

    memset(&report, 0, sizeof report);
    err = check_walk(&file, &report);
    if (err == OXBOW_OK && (report.damage > 0 || report.values_bad > 0)) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, db->data_fd);
    }
    return err == OXBOW_OK ? files->sync_dir(files->ctx, db->config.dir) : err;
}

/* LOCK goes last and while it is held: who finds none of the others makes a store of its own. */
static void remove_files(struct oxbow *db)
{
    static const char *const names[] = {STORE_FORMAT,     STORE_FORMAT ".new", TREE_FILE,
                                        TREE_FILE ".new", "lock.mdb",          "LOCK"};
    const struct oxbow_files *files = &db->port->files;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)files->unlink(files->ctx, directory_path(db, names[i]));
    }
}

static enum oxbow_err make(struct oxbow *db, const char *file, struct walk *w)
{
    const struct tree_header from = w->header;
    struct walk second = {.port = w->port, .options = w->options, .info = w->info};
    enum oxbow_err err = look_for_store(db);

    if (err != OXBOW_OK) {
        return err;
    }
    err = directory_open(db);
    if (err == OXBOW_OK) {
        err = ask_for_space(db, w->info->bytes);
    }
    if (err == OXBOW_OK) {
        err = fill(db, file, &from, &second);
    }
    if (err == OXBOW_OK) {
        err = vouch(db);
    }
    if (err != OXBOW_OK && err != OXBOW_EEXIST && db->lock_fd >= 0) {
        remove_files(db);
    }
    directory_close(db);
    return err;
}

enum oxbow_err oxbow_restore(const char *file, const char *dir,
                             const struct oxbow_backup_options *options,
                             struct oxbow_backup_info *out)
{
    struct walk w = {.options = options != NULL ? options : &plain, .info = out};
    struct oxbow *db;
    enum oxbow_err err;

    if (dir == NULL || dir[0] == '\0' || strlen(dir) > STORE_DIR_MAX) {
        return OXBOW_EINVAL;
    }
    w.port = w.options->port != NULL ? w.options->port : oxbow_port_default();
    err = walk_file(&w, file);
    if (err != OXBOW_OK) {
        return err;
    }
    db = mem_new(&w.port->alloc, sizeof *db);
    if (db == NULL) {
        return OXBOW_ENOMEM;
    }
    db->port = w.port;
    db->config.dir = dir;
    db->config.level = out->level;
    /* Twice over what it will take; the next open of the store says how large the map is. */
    db->config.map_bytes = (2 * out->bytes + 2 * SPARE_BYTES + 0xffff) & ~(uint64_t)0xffff;
    db->lock_fd = -1;
    db->data_fd = -1;
    db->path_bytes = strlen(dir) + STORE_PATH_ROOM;
    db->path = mem_new(&w.port->alloc, db->path_bytes);
    err = db->path != NULL ? make(db, file, &w) : OXBOW_ENOMEM;
    mem_free(&w.port->alloc, db->path, db->path_bytes);
    mem_free(&w.port->alloc, db, sizeof *db);
    return err;
}
