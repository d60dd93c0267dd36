/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow_compact: copies the tree, key by key, into a new data file, and puts that in the old one's
 * place.
 *
 *   data.mdb --copy--> compact/data.mdb, whole and synced --rename--> data.mdb
 *
 * The new tree has the header of the old one, LSN and boot with it: the journal goes on from there.
 *
 * Invariants: (1) data.mdb is never written to, and is a whole tree at any moment. (2) It is replaced
 * only by a file that our own reader has found sound, with the same number and digest of keys.
 */
#include "oxbow/compact.h"

#include "engine/base/buf.h"
#include "engine/store/check.h"
#include "engine/store/store.h"

#include <stdio.h>
#include <string.h>

#define COMPACT_LOCK COMPACT_DIR "/lock.mdb"

#define BATCH_BYTES   (1u << 20) /* in a commit of the new tree */
#define SPARE_BYTES   (4u << 20) /* what commits replace, and growth */
#define SPARE_PART    32u        /* and so much of the pages in use */
#define PROGRESS_KEYS 1024u

struct compact {
    struct oxbow *db; /* its directory alone */
    const struct oxbow_compact_options *options;
    struct oxbow_compact_report *report;
    struct tree *from;
    struct tree *to;
    uint64_t batch; /* bytes in the transaction under way */
    bool writing;
};

/* ---- before ---- */

static enum oxbow_err check(const struct compact *c, int fd)
{
    static const struct oxbow_check_options options = {.skip_values = true};
    struct check_file file = {.port = c->db->port, .fd = fd, .options = &options};
    struct oxbow_check_report report;
    enum oxbow_err err = check_walk(&file, &report);

    return err == OXBOW_OK && report.damage > 0 ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err open_from(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;
    struct tree_config config = {.port = c->db->port, .dir = c->db->config.dir, .readonly = true};
    uint64_t bytes = 0;
    enum oxbow_err err = check(c, c->db->data_fd);

    if (err == OXBOW_OK) {
        err = files->size(files->ctx, c->db->data_fd, &bytes);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    config.map_bytes = (bytes + 0xffff) & ~(uint64_t)0xffff;
    err = tree_open(&config, &c->from);
    if (err == OXBOW_OK && tree_header(c->from)->boot > 0 &&
        tree_header(c->from)->store_id != c->db->store_id) {
        err = OXBOW_ECORRUPT; /* FORMAT is of another store */
    }
    return err;
}

static enum oxbow_err ask_for_space(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;
    struct oxbow_compact_report *r = c->report;
    struct tree_usage usage;
    uint64_t total = 0;
    char kind[16];
    enum oxbow_err err;

    tree_usage(c->from, &usage);
    r->keys = tree_header(c->from)->keys;
    r->file_bytes = usage.pages * TREE_PAGE_BYTES;
    r->need_bytes = (usage.pages - usage.free_pages) * TREE_PAGE_BYTES;
    r->need_bytes += r->need_bytes / SPARE_PART + SPARE_BYTES;
    err = files->space(files->ctx, c->db->config.dir, &r->free_bytes, &total, kind);
    if (err == OXBOW_ENOTSUP) {
        r->free_bytes = UINT64_MAX;
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && c->options->begin != NULL) {
        c->options->begin(c->options->ctx, r);
    }
    return err == OXBOW_OK && r->free_bytes < r->need_bytes ? OXBOW_ENOSPC : err;
}

/* ---- the new file ---- */

static enum oxbow_err make_empty(struct compact *c, uint64_t map_bytes)
{
    const struct oxbow_files *files = &c->db->port->files;
    uint8_t raw[META_BYTES];
    enum oxbow_err closed;
    int fd;
    enum oxbow_err err = files->mkdir(files->ctx, directory_path(c->db, COMPACT_DIR));

    if (err != OXBOW_OK && err != OXBOW_EEXIST) {
        return err;
    }
    err = files->open(files->ctx, directory_path(c->db, COMPACT_FILE),
                      OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
    if (err != OXBOW_OK) {
        return err;
    }
    format_meta(raw, map_bytes);
    err = files->truncate(files->ctx, fd, 0);
    if (err == OXBOW_OK) {
        wear_note(c->db, WEAR_OTHER, sizeof raw);
        err = files->write(files->ctx, fd, raw, sizeof raw, 0);
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    closed = files->close(files->ctx, fd);
    return err != OXBOW_OK ? err : closed;
}

static enum oxbow_err open_to(struct compact *c)
{
    char dir[STORE_DIR_MAX + STORE_PATH_ROOM];
    struct tree_config config = {.port = c->db->port, .dir = dir};
    struct tree_usage usage;
    enum oxbow_err err;

    /* Twice over what it will take; the next open of the store says how large the map is. */
    config.map_bytes = (2 * c->report->need_bytes + 0xffff) & ~(uint64_t)0xffff;
    err = make_empty(c, config.map_bytes);
    if (err == OXBOW_OK) {
        (void)snprintf(dir, sizeof dir, "%s", directory_path(c->db, COMPACT_DIR));
        err = tree_open(&config, &c->to);
    }
    if (err == OXBOW_OK) {
        tree_usage(c->from, &usage);
        tree_inherit(c->to, usage.lifetime);
    }
    return err;
}

static enum oxbow_err batch_commit(struct compact *c)
{
    struct tree_header header = *tree_header(c->from);

    header.wear.other += c->db->wear.bytes[WEAR_OTHER]; /* the copy's pages the tree counts */
    c->writing = false;
    c->batch = 0;
    return tree_write_commit(c->to, &header);
}

static enum oxbow_err copy_item(struct compact *c, const struct tree_item *item)
{
    struct oxbow_bytes value;
    enum oxbow_err err = tree_unwrap(c->from, item, &value);

    if (err == OXBOW_OK && !c->writing) {
        err = tree_write_begin(c->to);
        c->writing = err == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = tree_write_put(c->to, item->key, value);
    }
    c->batch += item->key.len + item->raw.len;
    if (err == OXBOW_OK && c->batch >= BATCH_BYTES) {
        err = batch_commit(c);
    }
    return err;
}

static enum oxbow_err copy_all(struct compact *c, struct tree_cursor *cursor)
{
    const uint8_t first = 0;
    const struct oxbow_bytes header = header_key();
    struct tree_item item;
    uint64_t done = 0;
    enum oxbow_err err = tree_cursor_seek(cursor, (struct oxbow_bytes){&first, 1}, TREE_GE, &item);

    while (err == OXBOW_OK) {
        if (key_compare(item.key, header) != 0) {
            err = copy_item(c, &item);
            done++;
        }
        if (done % PROGRESS_KEYS == 0 && c->options->progress != NULL) {
            c->options->progress(c->options->ctx, done, c->report->keys);
        }
        if (err == OXBOW_OK) {
            err = tree_cursor_step(cursor, false, &item);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err copy(struct compact *c)
{
    struct tree_cursor *cursor;
    enum oxbow_err err = tree_cursor_open(c->from, &cursor);

    if (err != OXBOW_OK) {
        return err;
    }
    err = copy_all(c, cursor);
    tree_cursor_close(cursor);
    if (err == OXBOW_OK && !c->writing) {
        err = tree_write_begin(c->to);
        c->writing = err == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = batch_commit(c);
    }
    if (err == OXBOW_OK && (tree_header(c->to)->keys != tree_header(c->from)->keys ||
                            tree_header(c->to)->digest != tree_header(c->from)->digest)) {
        err = OXBOW_ECORRUPT;
    }
    return err;
}

/* ---- afterwards ---- */

static void close_to(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;

    if (c->to != NULL) {
        if (c->writing) {
            tree_write_abort(c->to);
        }
        tree_close(c->to);
        c->to = NULL;
        (void)files->unlink(files->ctx, directory_path(c->db, COMPACT_LOCK));
    }
}

/* Looks at the new file as an open would, and makes it durable. */
static enum oxbow_err vouch(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;
    enum oxbow_err closed;
    int fd;
    enum oxbow_err err = files->open(files->ctx, directory_path(c->db, COMPACT_FILE),
                                     OXBOW_FILE_READ | OXBOW_FILE_WRITE, &fd);

    if (err != OXBOW_OK) {
        return err;
    }
    err = check(c, fd);
    if (err == OXBOW_OK) {
        err = files->size(files->ctx, fd, &c->report->new_bytes);
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    closed = files->close(files->ctx, fd);
    return err != OXBOW_OK ? err : closed;
}

static enum oxbow_err replace(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;
    char from[STORE_DIR_MAX + STORE_PATH_ROOM];
    enum oxbow_err err = files->sync_dir(files->ctx, directory_path(c->db, COMPACT_DIR));

    (void)snprintf(from, sizeof from, "%s", directory_path(c->db, COMPACT_FILE));
    if (err == OXBOW_OK) {
        err = files->rename(files->ctx, from, directory_path(c->db, TREE_FILE));
    }
    if (err == OXBOW_OK) {
        err = files->sync_dir(files->ctx, c->db->config.dir);
    }
    return err;
}

static enum oxbow_err compact(struct compact *c)
{
    const struct oxbow_files *files = &c->db->port->files;
    enum oxbow_err err = open_from(c);

    if (err == OXBOW_OK) {
        err = ask_for_space(c);
    }
    if (err == OXBOW_OK) {
        err = open_to(c);
        if (err == OXBOW_OK) {
            err = copy(c);
        }
        close_to(c);
        if (err == OXBOW_OK) {
            err = vouch(c);
        }
        if (err == OXBOW_OK) {
            err = replace(c);
        } else {
            (void)files->unlink(files->ctx, directory_path(c->db, COMPACT_FILE));
            c->report->new_bytes = 0;
        }
    }
    if (c->from != NULL) {
        tree_close(c->from);
    }
    return err;
}

enum oxbow_err oxbow_compact(const char *dir, const struct oxbow_compact_options *options,
                             struct oxbow_compact_report *report)
{
    static const struct oxbow_compact_options plain = {0};
    struct compact c = {.options = options != NULL ? options : &plain, .report = report};
    const struct oxbow_port *port =
        c.options->port != NULL ? c.options->port : oxbow_port_default();
    enum oxbow_err err = OXBOW_ENOMEM;

    if (dir == NULL || dir[0] == '\0' || strlen(dir) > STORE_DIR_MAX) {
        return OXBOW_EINVAL;
    }
    memset(report, 0, sizeof *report);
    c.db = mem_new(&port->alloc, sizeof *c.db);
    if (c.db == NULL) {
        return OXBOW_ENOMEM;
    }
    c.db->port = port;
    c.db->config.dir = dir;
    c.db->config.flags = OXBOW_OPEN_EXISTING;
    c.db->lock_fd = -1;
    c.db->data_fd = -1;
    c.db->path_bytes = strlen(dir) + STORE_PATH_ROOM;
    c.db->path = mem_new(&port->alloc, c.db->path_bytes);
    if (c.db->path != NULL) {
        err = directory_open(c.db);
        if (err == OXBOW_OK && c.db->level > OXBOW_FORMAT_LEVEL) {
            err =
                OXBOW_EFORMAT; /* what it holds is for the version to judge that knows the level */
        }
        if (err == OXBOW_OK) {
            err = compact(&c);
        }
        directory_close(c.db);
        mem_free(&port->alloc, c.db->path, c.db->path_bytes);
    }
    mem_free(&port->alloc, c.db, sizeof *c.db);
    return err;
}
