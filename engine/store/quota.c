/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quota: our own account of what the data file will hold, kept well below the map's size, since
 * a map that is full cannot even be emptied. What only deletes does not ask here and lives off the
 * reserve above the quota. And the space on the device: it is reserved ahead, so that a full disk
 * is found out by whoever wants to push and not by a checkpoint.
 *
 * The account: pages in use as of the last checkpoint, plus what the tables will add, by their
 * estimate. It may be too high by what one checkpoint replaces, never for longer than that.
 */
#include "engine/store/store.h"

#define STEP_MAX   (4u << 20) /* the data file grows by a part of the quota at a time */
#define STEP_MIN   (256u << 10)
#define STEP_PART  16u
#define LOOK_AHEAD 3u /* times the table's pages, for the checkpoints after the next */
#define COST_BYTES (TREE_PAGE_BYTES / MEM_COST_PAGE)

uint64_t quota_used(const struct oxbow *db)
{
    uint64_t used = (db->usage.pages - db->usage.free_pages) * TREE_PAGE_BYTES;

    used += db->active->net * COST_BYTES;
    if (db->frozen != NULL) {
        used += db->frozen->net * COST_BYTES;
    }
    return used;
}

uint64_t quota_reserve(const struct oxbow *db)
{
    return RESERVE_PAGES * TREE_PAGE_BYTES + 3 * db->largest_txn;
}

/* What one checkpoint may need at most, and the next while the first one's pages are not free. */
uint64_t quota_headroom(const struct oxbow_config *c)
{
    uint64_t pages = (uint64_t)c->dirty_pages * PAGES_OVER * TREE_PAGE_BYTES;

    return 2 * (pages + c->txn_bytes) + RESERVE_PAGES * TREE_PAGE_BYTES;
}

bool quota_overrun(const struct oxbow *db)
{
    return quota_used(db) + quota_headroom(&db->config) > db->config.map_bytes;
}

/* Bytes that the data file must have on the device for the tables, `more` bytes, and the reserve.
 */
static uint64_t file_need(const struct oxbow *db, uint64_t more)
{
    uint64_t dirty = db->active->cost * COST_BYTES + more + quota_reserve(db);
    uint64_t spare = db->usage.old_pages * TREE_PAGE_BYTES;

    if (db->frozen != NULL) {
        dirty += db->frozen->cost * COST_BYTES;
    }
    return db->usage.pages * TREE_PAGE_BYTES + (dirty > spare ? dirty - spare : 0);
}

/* A file system that cannot reserve is asked for its free space instead. */
static enum oxbow_err reserve_by_space(struct oxbow *db, uint64_t upto)
{
    const struct oxbow_files *files = &db->port->files;
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    char kind[16];
    enum oxbow_err err = files->space(files->ctx, db->config.dir, &free_bytes, &total, kind);

    if (err == OXBOW_ENOTSUP) {
        return OXBOW_OK; /* then nobody can know */
    }
    if (err == OXBOW_OK && free_bytes < upto - db->reserved_bytes) {
        err = OXBOW_ENOSPC;
    }
    return err;
}

static enum oxbow_err reserve_upto(struct oxbow *db, uint64_t upto)
{
    const struct oxbow_files *files = &db->port->files;
    uint64_t from = db->reserved_bytes;
    enum oxbow_err err = files->reserve(files->ctx, db->data_fd, from, upto - from);

    if (err == OXBOW_ENOTSUP) {
        err = reserve_by_space(db, upto);
    }
    if (err == OXBOW_OK) {
        db->reserved_bytes = upto;
    }
    return err;
}

enum oxbow_err quota_reserve_file(struct oxbow *db, uint64_t more)
{
    uint64_t need = file_need(db, more);
    uint64_t step = db->config.quota_bytes / STEP_PART;
    enum oxbow_err err;

    if (need <= db->reserved_bytes) {
        return OXBOW_OK;
    }
    step = step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step;
    err = reserve_upto(db, need + step);
    if (err == OXBOW_ENOSPC) {
        err = reserve_upto(db, need); /* what is left may do */
    }
    return err;
}

void quota_look_ahead(struct oxbow *db)
{
    uint64_t spare = db->active->cost * COST_BYTES * LOOK_AHEAD;

    if (file_need(db, spare) > db->reserved_bytes || db->device_full) {
        db->device_full = quota_reserve_file(db, spare) != OXBOW_OK;
    }
}

uint64_t quota_device_cost(const struct oxbow *db)
{
    uint64_t reserved = db->reserved_bytes / TREE_PAGE_BYTES;
    uint64_t ahead = reserved > db->usage.pages ? reserved - db->usage.pages : 0;
    uint64_t cost = (ahead + db->usage.old_pages) * MEM_COST_PAGE;
    uint64_t frozen = db->frozen != NULL ? db->frozen->cost : 0;

    return cost > frozen ? cost - frozen : 0;
}

enum oxbow_err txn_reserve_bytes(struct oxbow_txn *txn, size_t bytes)
{
    struct oxbow *db = txn->db;

    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    if (quota_used(db) + bytes > db->config.quota_bytes) {
        db->freeze_soon = true; /* the account is better after a checkpoint */
        return OXBOW_EQUOTA;
    }
    return quota_reserve_file(db, bytes);
}
