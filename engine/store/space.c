/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holes in the data file. LMDB never makes its file shorter: a backlog of months that was drained
 * stays as a free list. Groups of pages that are free in the newest commit and in the one before it
 * are punched out of the file, when there are more free pages than the next checkpoints and some
 * change of the load will take.
 *
 * A checkpoint must not meet a hole: on a full device its write would fail, and the store with it.
 * LMDB takes free pages in the order of tree_free_walk, so the first space_keep of them are given
 * blocks before the next commit begins. On a full device this takes from the other end what it needs
 * here: a store that is emptied on a full device frees as much as it takes.
 *
 *   has blocks --give_back--> hole --fill--> has blocks
 *
 * Invariants: (1) A hole is made only of pages that no commit on the disk uses, and only between the
 * retirement of one table and the freezing of the next, when the snapshot is the newest commit. (2)
 * A group that is not marked as a hole has blocks, as far as this process can know. (3) Nothing here
 * is needed to read the file: a crash forgets all of it, and open finds out by comparing the file's
 * length with what it occupies.
 */
#include "engine/store/space.h"

#include "engine/base/buf.h"
#include "engine/store/store.h"

#define GROUP_BYTES ((uint64_t)SPACE_GROUP_PAGES * TREE_PAGE_BYTES)
/* A group's byte: how many of its pages are free, and: */
#define GROUP_FREE 0x1fu
#define GROUP_KEPT 0x20u /* one of its pages is to keep its block */
#define GROUP_HOLE 0x40u

#define SURPLUS_PART   8u /* of the quota */
#define SURPLUS_GROUPS 4u /* at least */
#define STEP_BYTES     (8u << 20)
#define STEP_RUNS      64u
#define STEP_US        20000u /* between two steps */

uint64_t space_keep(const struct oxbow_config *c)
{
    return quota_headroom(c) / TREE_PAGE_BYTES;
}

/* Free pages beyond space_keep that are still no reason to give any back. */
static uint64_t surplus(const struct oxbow_config *c)
{
    uint64_t pages = c->quota_bytes / SURPLUS_PART / TREE_PAGE_BYTES;
    uint64_t least = (uint64_t)SURPLUS_GROUPS * SPACE_GROUP_PAGES;

    return pages > least ? pages : least;
}

static uint64_t low_pages(const struct oxbow_config *c)
{
    return space_keep(c) / 2;
}

/* More free pages with blocks than this are too many. */
static uint64_t enough(const struct oxbow_config *c)
{
    return space_keep(c) + low_pages(c) + surplus(c);
}

/* ---- walks over the free list ---- */

struct look {
    struct space *space;
    uint64_t pages; /* seen */
    uint64_t max;
};

static uint8_t *group_of(const struct space *s, uint64_t page)
{
    uint64_t idx = page / SPACE_GROUP_PAGES;

    return idx < s->count ? &s->groups[idx] : NULL;
}

static bool before_hole(void *ctx, uint64_t page)
{
    struct look *l = ctx;
    const uint8_t *g = group_of(l->space, page);

    if (g != NULL && (*g & GROUP_HOLE) != 0) {
        return false;
    }
    return ++l->pages < l->max;
}

/* Counts each group's free pages, and keeps the groups of the first pages. */
static bool count_page(void *ctx, uint64_t page)
{
    struct look *l = ctx;
    uint8_t *g = group_of(l->space, page);

    if (g != NULL && (*g & GROUP_FREE) < SPACE_GROUP_PAGES) {
        ++*g;
    }
    if (g != NULL && l->pages < l->max) {
        *g |= GROUP_KEPT;
    }
    l->pages++;
    return true;
}

/* Keeps what the next commits will take: the first pages, and the lowest, where runs of pages are
 * looked for. */
static enum oxbow_err count_groups(struct oxbow *db, uint64_t keep)
{
    struct space *s = &db->space;
    struct look look = {.space = s, .max = keep};
    uint64_t low = 0;
    enum oxbow_err err;
    size_t i;

    for (i = 0; i < s->count; i++) {
        s->groups[i] &= GROUP_HOLE;
    }
    err = tree_free_walk(db->tree, count_page, &look);
    for (i = 0; i < s->count && low < low_pages(&db->config); i++) {
        low += s->groups[i] & GROUP_FREE;
        s->groups[i] |= GROUP_KEPT;
    }
    return err;
}

/* ---- giving back ---- */

static bool can_go(uint8_t group)
{
    return group == SPACE_GROUP_PAGES; /* all free, not kept, no hole */
}

static void punch_failed(struct oxbow *db, enum oxbow_err err)
{
    db->space.unable = true;
    if (err != OXBOW_ENOTSUP) {
        store_log(
            db, OXBOW_LOG_WARN,
            "store: free space cannot be given back to the file system; it stays the store's");
    }
}

/* These groups have their blocks. */
static void unmark(struct space *s, size_t from, size_t end)
{
    for (; from < end; from++) {
        s->groups[from] &= (uint8_t)~GROUP_HOLE;
        s->holes--;
    }
}

/* Makes holes of what is free beyond the first `keep` pages that have blocks, from the file's end
 * on, as far as one step may go; *bytes is how much. */
static enum oxbow_err give_back(struct oxbow *db, uint64_t keep, uint64_t *bytes)
{
    const struct oxbow_files *files = &db->port->files;
    struct space *s = &db->space;
    enum oxbow_err err = count_groups(db, keep);
    uint64_t given = 0;
    unsigned runs = 0;
    size_t end = s->count;

    while (err == OXBOW_OK && end > 0 && given < STEP_BYTES && runs < STEP_RUNS) {
        size_t from = end;

        while (from > 0 && can_go(s->groups[from - 1]) &&
               (end - from) * GROUP_BYTES + given < STEP_BYTES) {
            s->groups[--from] |= GROUP_HOLE; /* from before the call on: it may fail half-way */
            s->holes++;
        }
        if (from == end) {
            end--;
            continue;
        }
        err = files->punch(files->ctx, db->data_fd, from * GROUP_BYTES, (end - from) * GROUP_BYTES);
        given += err == OXBOW_OK ? (end - from) * GROUP_BYTES : 0;
        runs++;
        if (err == OXBOW_ENOTSUP) {
            unmark(s, from, end);
        }
        end = from;
    }
    if (err != OXBOW_OK) {
        punch_failed(db, err);
    }
    *bytes = given;
    return err;
}

/* ---- taking back ---- */

static bool wanted(uint8_t group)
{
    return (group & GROUP_KEPT) != 0 && (group & GROUP_HOLE) != 0;
}

/* Gives blocks to all groups that are wanted. */
static enum oxbow_err fill_wanted(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    struct space *s = &db->space;
    enum oxbow_err err = OXBOW_OK;
    size_t from = 0;

    while (from < s->count && err == OXBOW_OK) {
        size_t end = from;

        while (end < s->count && wanted(s->groups[end])) {
            end++;
        }
        if (end == from) {
            from++;
            continue;
        }
        err =
            files->reserve(files->ctx, db->data_fd, from * GROUP_BYTES, (end - from) * GROUP_BYTES);
        if (err == OXBOW_ENOTSUP) {
            s->unable = true; /* what cannot be had again is not given away */
            err = OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            unmark(s, from, end);
        }
        from = end;
    }
    return err;
}

static enum oxbow_err fill_head(struct oxbow *db)
{
    uint64_t keep = space_keep(&db->config);
    uint64_t given = 0;
    enum oxbow_err err = count_groups(db, keep);

    if (err == OXBOW_OK) {
        err = fill_wanted(db);
    }
    if (err == OXBOW_ENOSPC && !db->space.unable && give_back(db, keep, &given) == OXBOW_OK &&
        given > 0) {
        err = fill_wanted(db); /* give_back has counted the same */
    }
    return err;
}

void space_settle(struct oxbow *db)
{
    struct space *s = &db->space;
    struct look look = {.space = s, .max = space_keep(&db->config)};
    enum oxbow_err err;

    s->head = UINT64_MAX;
    if (s->holes == 0) {
        return;
    }
    err = fill_head(db);
    if (err != OXBOW_OK && !s->short_of) {
        store_log(db, OXBOW_LOG_WARN,
                  "store: free pages of the data file get no space on the device");
    }
    s->short_of = err != OXBOW_OK;
    if (s->holes > 0) {
        err = tree_free_walk(db->tree, before_hole, &look);
        s->head = err == OXBOW_OK ? look.pages : 0;
    }
}

void space_publish(struct oxbow *db)
{
    const struct space *s = &db->space;

    db->hole_pages = s->holes * SPACE_GROUP_PAGES;
    if (s->head < db->usage.old_pages) {
        db->usage.old_pages = s->head;
    }
}

/* ---- steps ---- */

uint64_t space_due(const struct oxbow *db, uint64_t now)
{
    const struct space *s = &db->space;
    struct tree_usage usage;

    if (s->groups == NULL || s->unable || db->frozen != NULL || db->failed != OXBOW_OK) {
        return UINT64_MAX;
    }
    tree_usage(db->tree, &usage);
    if (usage.free_pages <= enough(&db->config) + s->holes * SPACE_GROUP_PAGES ||
        s->barren == usage.commits + 1) {
        return UINT64_MAX; /* little is free, or nothing has changed since */
    }
    return s->step_at_us > now ? s->step_at_us - now : 0;
}

/* What the newest commit has freed is in use in the one before it, and stays so while nobody writes:
 * a commit of nothing makes that one the older of the two. */
static enum oxbow_err commit_nothing(struct oxbow *db)
{
    const struct tree_header header = *tree_header(db->tree);
    enum oxbow_err err = tree_write_begin(db->tree);

    if (err == OXBOW_OK) {
        err = tree_write_commit(db->tree, &header);
    }
    if (err == OXBOW_OK) {
        space_settle(db);
    }
    return err;
}

void space_step(struct oxbow *db)
{
    struct space *s = &db->space;
    uint64_t keep = space_keep(&db->config) + surplus(&db->config) / 2;
    uint64_t given = 0;
    struct tree_usage usage;
    enum oxbow_err fatal = OXBOW_OK;

    tree_usage(db->tree, &usage);
    store_unlock(db);
    if (usage.new_pages > surplus(&db->config)) {
        fatal = commit_nothing(db);
    } else if (give_back(db, keep, &given) != OXBOW_OK || given == 0) {
        s->barren = usage.commits + 1;
    }
    if (given > 0) {
        space_settle(db); /* counts `head` anew */
    }
    store_lock(db);
    s->step_at_us = store_now_us(db) + STEP_US;
    if (fatal != OXBOW_OK) {
        store_fail(db, fatal);
    } else if (!db->busy && db->frozen == NULL) {
        tree_usage(db->tree, &db->usage);
        space_publish(db);
    }
}

/* ---- open and close ---- */

/* Any group that is all free may be a hole, when the file occupies less than its length. */
static enum oxbow_err find_holes(struct oxbow *db)
{
    struct space *s = &db->space;
    enum oxbow_err err = count_groups(db, 0);
    size_t i;

    for (i = 0; i < s->count && err == OXBOW_OK; i++) {
        if (can_go(s->groups[i])) {
            s->groups[i] |= GROUP_HOLE;
            s->holes++;
        }
    }
    return err;
}

enum oxbow_err space_open(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    struct space *s = &db->space;
    uint64_t occupied = 0;
    uint64_t size = 0;
    struct tree_usage usage;
    enum oxbow_err err;

    s->head = UINT64_MAX;
    tree_usage(db->tree, &usage);
    db->reserved_bytes = usage.pages * TREE_PAGE_BYTES; /* what is in use has blocks */
    err = files->occupied(files->ctx, db->data_fd, &occupied);
    if (err == OXBOW_ENOTSUP) {
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = files->size(files->ctx, db->data_fd, &size);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    s->count = (size_t)(quota_data_limit(&db->config) / GROUP_BYTES);
    s->groups = mem_new(&db->port->alloc, s->count);
    if (s->groups == NULL) {
        return OXBOW_ENOMEM;
    }
    if (occupied < size) {
        err = find_holes(db);
        space_settle(db);
    }
    return err;
}

void space_close(struct oxbow *db)
{
    mem_free(&db->port->alloc, db->space.groups, db->space.count);
}
