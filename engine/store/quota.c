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

#define STEP_MAX      (4u << 20) /* the data file grows by a part of the quota at a time */
#define STEP_MIN      (256u << 10)
#define STEP_PART     16u
#define LOOK_AHEAD    3u /* times the table's pages, for the checkpoints after the next */
#define LIMIT_OVER    3u /* times quota_headroom, between the quota and the limit of the file */
#define LIMIT_LEAST   2u
#define JOURNAL_PART  64u /* of the quota, for a segment */
#define JOURNAL_MAX   (4u << 20)
#define SMALL_FILES   (64u << 10)
#define RECORDS_PART  1024u
#define BAND_PART     64u /* of the quota, left to those who have nothing to give up */
#define QUOTA_DEFAULT (sizeof(size_t) > 4 ? 1ull << 30 : 256ull << 20)
#define COST_BYTES    (TREE_PAGE_BYTES / MEM_COST_PAGE)

uint64_t quota_used(const struct oxbow *db)
{
    uint64_t used = (db->usage.pages - db->usage.free_pages) * TREE_PAGE_BYTES;

    used += db->active->net * COST_BYTES;
    if (db->frozen != NULL) {
        used += db->frozen->net * COST_BYTES;
    }
    return used;
}

/* There are no more leaf pages to dirty than the tree has pages, and those that the table before it
 * will add. */
uint64_t quota_cost(const struct oxbow *db, const struct memtable *t)
{
    uint64_t most = (db->usage.pages - db->usage.free_pages) * MEM_COST_PAGE;

    if (db->frozen != NULL && t != db->frozen) {
        most += db->frozen->cost - db->frozen->leaves;
    }
    return t->leaves > most ? t->cost - t->leaves + most : t->cost;
}

uint64_t quota_reserve(const struct oxbow *db)
{
    return RESERVE_PAGES * TREE_PAGE_BYTES + 3 * db->largest_txn;
}

uint64_t quota_pages_most(const struct oxbow_config *c)
{
    uint64_t over = (uint64_t)c->dirty_pages * PAGES_OVER;

    return c->dirty_pages + (over < PAGES_OVER_MAX ? over : PAGES_OVER_MAX);
}

/* What one checkpoint may need at most, and the next while the first one's pages are not free. */
uint64_t quota_headroom(const struct oxbow_config *c)
{
    uint64_t pages = quota_pages_most(c) * TREE_PAGE_BYTES;

    return 2 * (pages + c->txn_bytes) + RESERVE_PAGES * TREE_PAGE_BYTES;
}

/* The journal, and as much again for a damaged one that was set aside. */
static uint64_t journal_bytes(const struct oxbow_config *c)
{
    uint64_t bytes = c->journal_bytes != 0 ? c->journal_bytes : quota_journal_bytes(c);
    uint64_t count = c->journal_segments != 0 ? c->journal_segments : JOURNAL_SEGMENTS;

    return c->journal == OXBOW_JOURNAL_OFF ? 0 : 2 * count * bytes;
}

/* All but the data file; the file system's own records of a file in pieces belong to that. */
static uint64_t beside_data(const struct oxbow_config *c)
{
    return SMALL_FILES + journal_bytes(c) + c->disk_bytes / RECORDS_PART;
}

uint32_t quota_journal_bytes(const struct oxbow_config *c)
{
    uint64_t whole = c->quota_bytes != 0 ? c->quota_bytes : c->disk_bytes;
    uint64_t bytes = whole / JOURNAL_PART;

    bytes = bytes < RING_BYTES_MIN ? RING_BYTES_MIN : bytes > JOURNAL_MAX ? JOURNAL_MAX : bytes;
    return (uint32_t)(bytes & ~(uint64_t)(RING_BLOCK - 1));
}

uint64_t quota_data_limit(const struct oxbow_config *c)
{
    uint64_t beside = beside_data(c);
    uint64_t limit = c->disk_bytes > beside ? c->disk_bytes - beside : 0;

    return limit < c->map_bytes ? limit : c->map_bytes;
}

bool quota_fits(const struct oxbow_config *c)
{
    return quota_data_limit(c) >= c->quota_bytes + LIMIT_LEAST * quota_headroom(c);
}

void quota_limits(struct oxbow_config *c)
{
    uint64_t over = LIMIT_OVER * quota_headroom(c);

    if (c->disk_bytes == 0) {
        c->quota_bytes = c->quota_bytes != 0 ? c->quota_bytes : QUOTA_DEFAULT;
        c->disk_bytes = c->quota_bytes + over;
        c->disk_bytes += c->disk_bytes / RECORDS_PART;
        c->disk_bytes += beside_data(c);
    } else if (c->quota_bytes == 0) {
        over += beside_data(c);
        c->quota_bytes = c->disk_bytes > over + QUOTA_MIN ? c->disk_bytes - over : QUOTA_MIN;
    }
}

bool quota_overrun(const struct oxbow *db)
{
    return quota_used(db) + quota_headroom(&db->config) > quota_data_limit(&db->config);
}

/* Bytes of pages that the tables, `more` bytes and the reserve need at most. */
static uint64_t dirty_need(const struct oxbow *db, uint64_t more)
{
    uint64_t dirty = quota_cost(db, db->active) * COST_BYTES + more + quota_reserve(db);

    if (db->frozen != NULL) {
        dirty += quota_cost(db, db->frozen) * COST_BYTES;
    }
    return dirty;
}

/* Of that, what the free pages with blocks do not give. */
static uint64_t lack(const struct oxbow *db, uint64_t more)
{
    uint64_t dirty = dirty_need(db, more);
    uint64_t spare = db->usage.old_pages * TREE_PAGE_BYTES;

    return dirty > spare ? dirty - spare : 0;
}

/* A file system that cannot reserve is asked for its free space instead. */
static enum oxbow_err reserve_by_space(const struct oxbow *db, uint64_t bytes)
{
    const struct oxbow_files *files = &db->port->files;
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    char kind[16];
    enum oxbow_err err = files->space(files->ctx, db->config.dir, &free_bytes, &total, kind);

    if (err == OXBOW_ENOTSUP) {
        return OXBOW_OK; /* then nobody can know */
    }
    if (err == OXBOW_OK && free_bytes < bytes) {
        err = OXBOW_ENOSPC;
    }
    return err;
}

static enum oxbow_err reserve_upto(struct oxbow *db, uint64_t upto)
{
    const struct oxbow_files *files = &db->port->files;
    uint64_t from = db->reserved_bytes;
    enum oxbow_err err;

    if (upto > quota_data_limit(&db->config)) {
        return OXBOW_EQUOTA; /* whether there are holes in it or not: they may be filled */
    }
    err = files->reserve(files->ctx, db->data_fd, from, upto - from);
    if (err == OXBOW_ENOTSUP) {
        err = reserve_by_space(db, upto - from);
    }
    if (err == OXBOW_OK) {
        db->reserved_bytes = upto;
    }
    return err;
}

/* Sees to the device for what the tables and `more` bytes need. Free pages give it as far as they
 * go, and the file's end the rest; that end is also for the runs of pages of long values, for which
 * the free pages may have no place. */
static enum oxbow_err reserve_file(struct oxbow *db, uint64_t more)
{
    bool holes = db->hole_pages > 0;
    uint64_t end = db->usage.pages * TREE_PAGE_BYTES;
    uint64_t lacking = lack(db, more);
    uint64_t must = end + (holes ? 0 : lacking);
    uint64_t want = end + (holes || more > KV_PAGE_MAX ? dirty_need(db, more) : quota_reserve(db));
    uint64_t step = db->config.quota_bytes / STEP_PART;
    enum oxbow_err err = OXBOW_OK;

    want = want > must ? want : must;
    if (want > db->reserved_bytes) {
        step = step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step;
        err = reserve_upto(db, want + step);
    }
    if (err == OXBOW_ENOSPC || err == OXBOW_EQUOTA) {
        err = reserve_upto(db, want); /* what is left may do */
    }
    if ((err == OXBOW_ENOSPC || err == OXBOW_EQUOTA) && must < want) {
        err = must <= db->reserved_bytes ? OXBOW_OK : reserve_upto(db, must);
    }
    if (err == OXBOW_OK && holes && lacking > 0) {
        err = reserve_by_space(db, lacking); /* the holes are filled before commits come to them */
    }
    return err;
}

enum oxbow_err quota_reserve_file(struct oxbow *db)
{
    return reserve_file(db, 0);
}

enum oxbow_err quota_admit_run(const struct oxbow *db, size_t len)
{
    return db->hole_pages == 0 ? OXBOW_OK : reserve_by_space(db, dirty_need(db, len));
}

void quota_look_ahead(struct oxbow *db)
{
    uint64_t spare = quota_cost(db, db->active) * COST_BYTES * LOOK_AHEAD;

    db->device_full = reserve_file(db, spare) != OXBOW_OK;
}

uint64_t quota_device_cost(const struct oxbow *db)
{
    uint64_t reserved = db->reserved_bytes / TREE_PAGE_BYTES;
    uint64_t ahead = reserved > db->usage.pages ? reserved - db->usage.pages : 0;
    uint64_t pages = db->usage.old_pages + (db->hole_pages == 0 ? ahead : 0);
    uint64_t cost = pages * MEM_COST_PAGE;
    uint64_t frozen = db->frozen != NULL ? quota_cost(db, db->frozen) : 0;

    return cost > frozen ? cost - frozen : 0;
}

enum oxbow_err txn_reserve_bytes(struct oxbow_txn *txn, size_t bytes)
{
    struct oxbow *db = txn->db;
    enum oxbow_err err;

    if (txn_in_cache(txn)) {
        return cache_reserve(txn, bytes);
    }
    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    if (quota_used(db) + bytes > db->config.quota_bytes) {
        db->freeze_soon = true; /* the account is better after a checkpoint */
        store_lock(db);
        db->quota_tight = true;
        store_unlock(db);
        return OXBOW_EQUOTA;
    }
    if (db->in_memory) {
        return hold_reserve(db, bytes);
    }
    err = reserve_file(db, bytes);
    if (err != OXBOW_OK) {
        db->freeze_soon = true; /* pages may come free with one */
        atomic_store(&db->backup.pressed, true);
    }
    return err;
}

/* Above it an append of a queue that drops the oldest makes its own room. */
static uint64_t band_line(const struct oxbow *db)
{
    return db->config.quota_bytes - db->config.quota_bytes / BAND_PART;
}

/* Whether the active table has grown by as much as such queues may live off until a checkpoint. */
static bool band_grown(const struct oxbow *db)
{
    return db->active->net * COST_BYTES > db->config.quota_bytes / BAND_PART;
}

bool quota_waits(const struct oxbow *db)
{
    return band_grown(db) && quota_used(db) > band_line(db);
}

bool txn_quota_tight(const struct oxbow_txn *txn, size_t bytes, uint64_t *free_bytes)
{
    const struct oxbow *db = txn->db;
    uint64_t line = band_line(db);
    uint64_t lies = (db->usage.pages - db->usage.free_pages) * TREE_PAGE_BYTES;
    uint64_t comes = db->active->spared + (db->frozen != NULL ? db->frozen->spared : 0);

    *free_bytes = lies > line + comes ? 2 * (uint64_t)bytes : bytes;
    return !db->in_memory && !txn_in_cache(txn) && quota_used(db) + bytes > line;
}

void txn_quota_spare(struct oxbow_txn *txn, uint64_t bytes)
{
    txn->db->active->spared += bytes;
}

enum oxbow_err txn_reserve_freed(struct oxbow_txn *txn, size_t bytes)
{
    struct oxbow *db = txn->db;
    enum oxbow_err err = OXBOW_EQUOTA;

    if ((txn->flags & OXBOW_TXN_READ) != 0) {
        return OXBOW_EREADONLY;
    }
    if (txn_in_cache(txn)) {
        return cache_reserve(txn, bytes);
    }
    if (!quota_overrun(db)) {
        err = reserve_file(db, bytes);
    }
    if (err != OXBOW_OK || band_grown(db)) {
        db->freeze_soon = true; /* what was given up comes free with a checkpoint */
    }
    return err;
}
