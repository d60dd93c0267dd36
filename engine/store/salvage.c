/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a data file that may be damaged, and makes a sound one of it.
 *
 *   data.mdb damaged --rebuild--> quarantine/data.mdb, whole and synced
 *     --swap--> data.mended
 *     --salvage_resume--> quarantine/damaged.mdb, then data.mended becomes data.mdb
 *
 * Invariants: (1) The damaged file is never written to, but for a destroyed meta page when nothing
 * else is wrong. (2) data.mended exists only when it is whole and on the device, so whatever
 * moment the power goes: an open finds the damaged file, or the mended one, and goes on from there.
 * (3) What is lost is written down in the same commit as the last of what is not.
 *
 * What a lost key means is not known here: the layers above look when the store is open, and tell
 * of lists and streams (loss.h).
 */
#include "engine/store/salvage.h"

#include "engine/base/buf.h"
#include "engine/store/check.h"
#include "engine/store/loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FINDINGS_LOGGED 8u
#define LINE_BYTES      200u
/* What a rebuild takes beyond the pages in use: meta pages, commits on their way. */
#define SPARE_BYTES (1u << 20)
/* When no header is left, numbers go on above whatever there can have been. */
#define LOST_LSN     ((uint64_t)1 << 40)
#define LOST_BOOT    ((uint64_t)1 << 20)
#define LOST_BLOB    ((uint64_t)1 << 40)
#define SKIPPED_BLOB ((uint64_t)1 << 20) /* of one commit */

/* ---- finding out ---- */

struct findings {
    const struct oxbow *db;
    uint32_t logged;
};

static void on_finding(void *ctx, const struct oxbow_finding *f)
{
    struct findings *all = ctx;
    char line[LINE_BYTES];

    if (f->kind == OXBOW_FINDING_LOST || ++all->logged > FINDINGS_LOGGED) {
        return;
    }
    (void)snprintf(line, sizeof line, "store: page %" PRIu64 ": %s", f->page, f->text);
    store_log(all->db, f->kind == OXBOW_FINDING_DOUBT ? OXBOW_LOG_WARN : OXBOW_LOG_ERROR, line);
}

static bool repairing(const struct oxbow *db)
{
    return (db->config.flags & OXBOW_OPEN_REPAIR) != 0;
}

/* ---- a new file ---- */

struct rebuild {
    struct oxbow *db;
    struct salvage_reader reader;
    struct tree *tree;
    struct tree_header header;
    uint64_t batch_bytes; /* in the transaction under way */
    bool writing;
    struct loss_state state;
};

static enum oxbow_err batch_begin(struct rebuild *r)
{
    enum oxbow_err err = r->writing ? OXBOW_OK : tree_write_begin(r->tree);

    r->writing = r->writing || err == OXBOW_OK;
    return err;
}

static enum oxbow_err batch_commit(struct rebuild *r)
{
    enum oxbow_err err;

    if (!r->writing) {
        return OXBOW_OK;
    }
    r->writing = false;
    r->batch_bytes = 0;
    err = tree_write_commit(r->tree, &r->header);
    return err;
}

static enum oxbow_err put(struct rebuild *r, struct oxbow_bytes key, struct oxbow_bytes value)
{
    enum oxbow_err err = batch_begin(r);

    if (err == OXBOW_OK) {
        err = tree_write_put(r->tree, key, value);
    }
    r->batch_bytes += key.len + value.len + PAGE_NODE_BYTES;
    if (err == OXBOW_OK && r->batch_bytes >= (uint64_t)r->db->config.dirty_pages * PAGE_BYTES / 2) {
        err = batch_commit(r);
    }
    return err;
}

static enum oxbow_err on_item(void *ctx, struct oxbow_bytes key, struct oxbow_bytes value)
{
    return put(ctx, key, value);
}

static enum oxbow_err put_losses(struct rebuild *r)
{
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    uint8_t value[LOSS_RANGE_BYTES];
    uint8_t state[LOSS_STATE_BYTES];
    size_t i;
    enum oxbow_err err = batch_begin(r);

    for (i = 0; i < r->reader.range_count && err == OXBOW_OK; i++) {
        size_t len = loss_range_encode(value, &r->reader.ranges[i]);

        err = tree_write_put(r->tree, loss_range_key(key, (uint32_t)i),
                             (struct oxbow_bytes){value, len});
    }
    if (err == OXBOW_OK) {
        loss_state_encode(state, &r->state);
        err =
            tree_write_put(r->tree, loss_state_key(key), (struct oxbow_bytes){state, sizeof state});
    }
    return err == OXBOW_OK ? batch_commit(r) : err;
}

/* What the header of the new file says. Where the old one's is lost, the one before it stands in. */
static void make_header(struct rebuild *r)
{
    const struct salvage_reader *s = &r->reader;
    struct tree_header h = s->header;

    if (!s->header_found && s->header_other) {
        h.next_blob +=
            SKIPPED_BLOB; /* LSN and boot as they are: the journal is replayed from there */
    } else if (!s->header_found && s->meta.txn != 0) {
        h = (struct tree_header){.lsn = LOST_LSN, .boot = LOST_BOOT, .next_blob = LOST_BLOB};
    }
    h.store_id = r->db->store_id;
    r->header = h;
    /* What the newest commit of the damaged file wrote, its free list alone would say. */
    tree_inherit(r->tree, h.wear.pages);
}

/* A range without bounds: the newest commit may be gone, and nobody knows what was in it. */
static bool anything_may_be_missing(const struct salvage_reader *s)
{
    size_t i;

    for (i = 0; i < s->range_count; i++) {
        if (s->ranges[i].low_len == 0 && s->ranges[i].high_len == 0) {
            return true;
        }
    }
    return false;
}

static void make_state(struct rebuild *r)
{
    const struct salvage_reader *s = &r->reader;
    const struct oxbow_clock *clock = &r->db->port->clock;
    uint64_t good = s->keys - (s->complete ? s->values_bad : 0);

    r->state = (struct loss_state){.complete = s->complete,
                                   .commit_doubt = r->db->commit_doubt,
                                   .values_bad = s->values_bad,
                                   .ranges = s->range_count,
                                   .wall_ms = clock->wall_ms(clock->ctx),
                                   .keys_lost = UINT64_MAX};
    if (s->complete && anything_may_be_missing(s)) {
        return;
    }
    if (s->complete) {
        r->state.keys_lost = s->values_bad;
    } else if (s->header_found && s->header.keys >= good) {
        r->state.keys_lost = s->header.keys - good;
    }
}

static enum oxbow_err copy(struct rebuild *r)
{
    struct salvage_sink sink = {.ctx = r, .item = on_item};
    enum oxbow_err err = salvage_read(&r->reader, &sink);

    if (err != OXBOW_OK) {
        return err;
    }
    if (r->reader.keys == 0 && !r->reader.header_found && !r->reader.header_other &&
        r->reader.meta.txn != 0) {
        store_log(r->db, OXBOW_LOG_ERROR,
                  "store: nothing in the data file is intact: left as it is");
        return OXBOW_ECORRUPT;
    }
    make_header(r);
    make_state(r);
    return put_losses(r);
}

static enum oxbow_err make_quarantine(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = files->mkdir(files->ctx, directory_path(db, SALVAGE_DIR));

    return err == OXBOW_EEXIST ? OXBOW_OK : err;
}

/* An empty data file for the tree to open. */
static enum oxbow_err make_empty(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    uint8_t raw[META_BYTES];
    int fd;
    enum oxbow_err err = make_quarantine(db);

    if (err != OXBOW_OK) {
        return err;
    }
    err = files->open(files->ctx, directory_path(db, SALVAGE_NEW),
                      OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
    if (err != OXBOW_OK) {
        return err;
    }
    format_meta(raw, db->config.map_bytes);
    err = files->truncate(files->ctx, fd, 0);
    if (err == OXBOW_OK) {
        wear_note(db, WEAR_OTHER, sizeof raw);
        err = files->write(files->ctx, fd, raw, sizeof raw, 0);
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    return directory_close_file(db, fd, err);
}

static enum oxbow_err check_room(const struct rebuild *r)
{
    const struct oxbow_files *files = &r->db->port->files;
    const struct page_db *main = &r->reader.meta.main;
    uint64_t pages = main->branch_pages + main->leaf_pages + main->overflow_pages;
    uint64_t need = (pages < r->reader.pages ? pages : r->reader.pages) * PAGE_BYTES + SPARE_BYTES;
    uint64_t room = 0;
    uint64_t total = 0;
    char kind[16];
    char line[LINE_BYTES];
    enum oxbow_err err = files->space(files->ctx, r->db->config.dir, &room, &total, kind);

    if (err != OXBOW_OK || room >= need) {
        return err == OXBOW_ENOTSUP ? OXBOW_OK : err;
    }
    (void)snprintf(line, sizeof line,
                   "store: the data file is damaged, and to mend it %" PRIu64
                   " bytes must be free: there are %" PRIu64,
                   need, room);
    store_log(r->db, OXBOW_LOG_ERROR, line);
    return OXBOW_ENOSPC;
}

/* Looks at the new file as at any other. */
static enum oxbow_err check_new(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    struct findings all = {.db = db};
    struct oxbow_check_options options = {.skip_values = true, .ctx = &all, .finding = on_finding};
    struct check_file file = {.port = db->port, .options = &options};
    struct oxbow_check_report report;
    enum oxbow_err err =
        files->open(files->ctx, directory_path(db, SALVAGE_NEW), OXBOW_FILE_READ, &file.fd);

    if (err != OXBOW_OK) {
        return err;
    }
    err = check_walk(&file, &report);
    err = directory_close_file(db, file.fd, err);
    return err == OXBOW_OK && report.damage > 0 ? OXBOW_EIO : err;
}

static enum oxbow_err fill(struct rebuild *r)
{
    struct oxbow *db = r->db;
    char dir[STORE_DIR_MAX + STORE_PATH_ROOM];
    struct tree_config config = {
        .port = db->port, .dir = dir, .map_bytes = db->config.map_bytes, .readonly = false};
    enum oxbow_err err = make_empty(db);

    (void)snprintf(dir, sizeof dir, "%s", directory_path(db, SALVAGE_DIR));
    if (err == OXBOW_OK) {
        err = tree_open(&config, &r->tree);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = copy(r);
    if (r->writing) {
        tree_write_abort(r->tree);
    }
    tree_close(r->tree);
    return err == OXBOW_OK ? check_new(db) : err;
}

static void drop_new(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;

    (void)files->unlink(files->ctx, directory_path(db, SALVAGE_LOCK));
    (void)files->unlink(files->ctx, directory_path(db, SALVAGE_NEW));
}

static void tell(const struct rebuild *r)
{
    const struct loss_state *s = &r->state;
    char line[LINE_BYTES];

    if (s->keys_lost == UINT64_MAX) {
        (void)snprintf(line, sizeof line,
                       "store: the data file was damaged and is made anew with what is intact, "
                       "%" PRIu64 " values; how many are lost is not known",
                       r->reader.keys);
    } else {
        (void)snprintf(line, sizeof line,
                       "store: the data file was damaged and is made anew: %" PRIu64
                       " values are lost, %" PRIu64 " are intact",
                       s->keys_lost, r->reader.keys - (s->complete ? s->values_bad : 0));
    }
    store_log(r->db, OXBOW_LOG_ERROR, line);
    store_log(r->db, OXBOW_LOG_ERROR, "store: the damaged file is kept as " SALVAGE_DAMAGED);
}

static enum oxbow_err sync_dirs(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = files->sync_dir(files->ctx, directory_path(db, SALVAGE_DIR));

    return err == OXBOW_OK ? files->sync_dir(files->ctx, db->config.dir) : err;
}

static enum oxbow_err reopen(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = files->close(files->ctx, db->data_fd);

    db->data_fd = -1;
    if (err == OXBOW_OK) {
        err = files->open(files->ctx, directory_path(db, TREE_FILE),
                          OXBOW_FILE_READ | OXBOW_FILE_WRITE, &db->data_fd);
        db->data_fd = err == OXBOW_OK ? db->data_fd : -1;
    }
    return err;
}

static enum oxbow_err swap(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = directory_rename(db, SALVAGE_NEW, SALVAGE_MENDED);

    (void)files->unlink(files->ctx, directory_path(db, SALVAGE_LOCK));
    if (err == OXBOW_OK) {
        err = sync_dirs(db);
    }
    if (err == OXBOW_OK) {
        err = salvage_resume(db);
    }
    return err == OXBOW_OK ? reopen(db) : err;
}

static enum oxbow_err of_this_store(const struct rebuild *r)
{
    const struct salvage_reader *s = &r->reader;
    bool known = s->header.boot > 0;

    if (known && s->header.store_id != r->db->store_id) {
        store_log(r->db, OXBOW_LOG_ERROR,
                  "store: FORMAT and the data file are of different stores");
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

static enum oxbow_err rebuild(struct oxbow *db)
{
    struct rebuild *r = mem_new(&db->port->alloc, sizeof *r);
    enum oxbow_err err;

    if (r == NULL) {
        return OXBOW_ENOMEM;
    }
    r->db = db;
    err = salvage_init(&r->reader, db->port, db->data_fd, repairing(db));
    if (err == OXBOW_ECORRUPT) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: both meta pages of the data file are destroyed: it is left as it is");
    }
    if (err == OXBOW_OK) {
        err = of_this_store(r);
    }
    if (err == OXBOW_OK) {
        err = check_room(r);
    }
    if (err == OXBOW_OK) {
        err = fill(r);
        if (err != OXBOW_OK) {
            drop_new(db);
        }
    }
    if (err == OXBOW_OK) {
        tell(r);
        err = swap(db);
    }
    salvage_fini(&r->reader);
    mem_free(&db->port->alloc, r, sizeof *r);
    return err;
}

/* ---- the two that others call ---- */

/* Puts the damaged file in quarantine, and the one that is there behind it. It may be there already. */
static enum oxbow_err set_aside(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    int fd;
    enum oxbow_err err =
        files->open(files->ctx, directory_path(db, TREE_FILE), OXBOW_FILE_READ, &fd);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = directory_close_file(db, fd, OXBOW_OK);
    if (err == OXBOW_OK) {
        err = directory_rename(db, SALVAGE_DAMAGED, SALVAGE_DAMAGED2);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return err == OXBOW_OK ? directory_rename(db, TREE_FILE, SALVAGE_DAMAGED) : err;
}

enum oxbow_err salvage_resume(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    int fd;
    enum oxbow_err err =
        files->open(files->ctx, directory_path(db, SALVAGE_MENDED), OXBOW_FILE_READ, &fd);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = directory_close_file(db, fd, OXBOW_OK);
    if (err == OXBOW_OK && (db->config.flags & OXBOW_OPEN_READONLY) != 0) {
        store_log(db, OXBOW_LOG_ERROR, "store: mending was interrupted: open it for writing");
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = make_quarantine(db); /* a power cut may have kept the mended file and not this */
    }
    if (err == OXBOW_OK) {
        err = set_aside(db);
    }
    if (err == OXBOW_OK) {
        err = sync_dirs(db);
    }
    if (err == OXBOW_OK) {
        err = directory_rename(db, SALVAGE_MENDED, TREE_FILE);
    }
    return err == OXBOW_OK ? sync_dirs(db) : err;
}

/* *again: only a meta page was set right, and what it had hidden has not been walked. */
static enum oxbow_err mend(struct oxbow *db, const struct oxbow_check_report *report, bool *again)
{
    bool alone = report->damage == 1 && report->values_bad == 0;
    enum oxbow_err err;

    if ((db->config.flags & (OXBOW_OPEN_READONLY | OXBOW_OPEN_STRICT)) != 0) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: the data file is damaged: `oxbow repair` mends what can be mended");
        return OXBOW_ECORRUPT;
    }
    if (db->level > OXBOW_FORMAT_LEVEL) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: damaged, and of a newer version's level: let that one mend it");
        return OXBOW_ECORRUPT;
    }
    err = salvage_meta_restate(db, alone && report->lost_pages == 0, again);
    if (err != OXBOW_OK || *again) {
        return err;
    }
    err = alone ? salvage_meta_mend(db) : OXBOW_ECORRUPT;
    return err == OXBOW_ECORRUPT ? rebuild(db) : err;
}

enum oxbow_err salvage_open(struct oxbow *db)
{
    struct findings all = {.db = db};
    struct oxbow_check_options options = {.ctx = &all, .finding = on_finding};
    struct check_file file = {.port = db->port, .fd = db->data_fd, .options = &options};
    struct oxbow_check_report report;
    bool doubted = false;
    bool again = true;
    enum oxbow_err err = OXBOW_OK;

    if ((db->config.flags & OXBOW_OPEN_READONLY) == 0) {
        err = directory_doubted(db, &doubted);
        if (err == OXBOW_OK) {
            err = directory_meta_written(db, &db->commit_doubt);
        }
    }
    options.skip_values = !repairing(db) && !doubted;
    while (err == OXBOW_OK && again) {
        again = false;
        err = check_walk(&file, &report);
        if (err == OXBOW_EIO && repairing(db) && db->level <= OXBOW_FORMAT_LEVEL) {
            err = rebuild(db);
        } else if (err == OXBOW_OK && (report.damage > 0 || report.values_bad > 0 ||
                                       (repairing(db) && report.lost_pages > 0))) {
            err = mend(db, &report, &again);
        }
    }
    if (err == OXBOW_OK && doubted) {
        directory_doubt(db, false);
    }
    return err;
}
