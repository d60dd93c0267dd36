/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holes in the data file. LMDB never makes its file shorter: a backlog of months that was drained
 * stays as a free list. Groups of pages that are free in the newest commit and in the one before it
 * are punched out of the file, when there are more free pages than the next checkpoints and some
 * change of the load will take.
 *
 * A checkpoint must not meet a hole: on a full device its write would fail, and the store with it.
 * LMDB takes free pages in the order of tree_free_walk, so the first space_keep of them are given
 * blocks before the next commit begins. A device that has none left is given free pages of the other
 * end of the order in exchange, one by one: a store that is emptied on a full device frees as much
 * as it takes.
 *
 *   has blocks --give_back, donate--> hole --fill_page, fill_low--> has blocks
 *
 * Invariants: (1) A hole is made only of pages that no commit on the disk uses, nor the snapshot.
 * (2) A free page that is not marked as a hole has its block, as far as this process can know. (3)
 * Nothing here is needed to read the file: a crash forgets all of it, and open finds out by
 * comparing the file's length with what it occupies.
 */
#include "engine/store/space.h"

#include "engine/base/buf.h"
#include "engine/store/store.h"

#define GROUP_BYTES ((uint64_t)SPACE_GROUP_PAGES * TREE_PAGE_BYTES)
/* A group's byte: how many of its pages are free, and: */
#define GROUP_FREE 0x1fu
#define GROUP_KEPT 0x20u /* one of its pages is to keep its block */

#define SURPLUS_PART   8u /* of the quota */
#define SURPLUS_GROUPS 4u /* at least */
#define STEP_BYTES     (8u << 20)
#define STEP_RUNS      64u
#define STEP_US        20000u /* between two steps */
#define FILL_RUN       256u   /* pages given blocks in one call */
#define SHORT_HEAD     256u   /* pages that a full device is to leave us at the head */
#define SHORT_ROUNDS   4u
#define LOW_EVERY      16u  /* commits */
#define REACH_FIRST    512u /* pages looked at from the end of the order for some to exchange */

uint64_t space_keep(const struct oxbow_config *c)
{
    uint64_t pages = quota_headroom(c) / TREE_PAGE_BYTES;

    return pages > SPACE_KEEP_LEAST ? pages : SPACE_KEEP_LEAST;
}

static uint64_t low_pages(const struct oxbow_config *c)
{
    return space_keep(c) / 2;
}

/* Free pages beyond those kept that are still no reason to give any back. */
static uint64_t surplus(const struct oxbow_config *c)
{
    uint64_t pages = c->quota_bytes / SURPLUS_PART / TREE_PAGE_BYTES;
    uint64_t least = (uint64_t)SURPLUS_GROUPS * SPACE_GROUP_PAGES;

    return pages > least ? pages : least;
}

/* More free pages with blocks than this are too many. */
static uint64_t enough(const struct oxbow_config *c)
{
    return space_keep(c) + low_pages(c) + surplus(c);
}

/* ---- marks ---- */

static bool is_hole(const struct space *s, uint64_t page)
{
    return page < s->pages && (s->marks[page >> 3] & 1u << (page & 7)) != 0;
}

static void mark(struct space *s, uint64_t page, uint64_t count, bool hole)
{
    for (; count > 0 && page < s->pages; page++, count--) {
        uint8_t bit = (uint8_t)(1u << (page & 7));

        if (is_hole(s, page) != hole) {
            s->marks[page >> 3] ^= bit;
            s->holes += hole ? 1 : UINT64_MAX;
        }
    }
}

/* ---- walks over the free list ---- */

struct look {
    struct oxbow *db;
    uint64_t pages; /* seen */
    uint64_t max;   /* to see, or to keep */
    uint64_t run;   /* a run of pages to be punched: its first */
    uint64_t len;   /* and how many */
    enum oxbow_err err;
};

/* Counts each group's free pages, and keeps the groups of the first pages. */
static bool count_page(void *ctx, uint64_t page)
{
    struct look *l = ctx;
    struct space *s = &l->db->space;

    if (page < s->pages) {
        uint8_t *g = &s->groups[page / SPACE_GROUP_PAGES];

        *g += (*g & GROUP_FREE) < SPACE_GROUP_PAGES ? 1 : 0;
        *g |= l->pages < l->max ? GROUP_KEPT : 0;
    }
    l->pages++;
    return true;
}

/* Keeps what the next commits will take: the first pages, and the lowest, where runs of pages are
 * looked for. */
static enum oxbow_err count_groups(struct oxbow *db, uint64_t keep)
{
    struct space *s = &db->space;
    struct look look = {.db = db, .max = keep};
    uint64_t low = 0;
    enum oxbow_err err;
    size_t i;

    for (i = 0; i < s->pages / SPACE_GROUP_PAGES; i++) {
        s->groups[i] = 0;
    }
    err = tree_free_walk(db->tree, count_page, &look);
    for (i = 0; i < s->pages / SPACE_GROUP_PAGES && low < low_pages(&db->config); i++) {
        low += s->groups[i] & GROUP_FREE;
        s->groups[i] |= GROUP_KEPT;
    }
    return err;
}

/* ---- giving back ---- */

static enum oxbow_err punch(struct oxbow *db, uint64_t page, uint64_t count)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err;

    mark(&db->space, page, count, true); /* from before the call on: it may fail half-way */
    err = files->punch(files->ctx, db->data_fd, page * TREE_PAGE_BYTES, count * TREE_PAGE_BYTES);
    if (err == OXBOW_ENOTSUP) {
        mark(&db->space, page, count, false);
    } else if (err != OXBOW_OK) {
        store_log(
            db, OXBOW_LOG_WARN,
            "store: free space cannot be given back to the file system; it stays the store's");
    }
    db->space.unable = err != OXBOW_OK;
    return err;
}

/* All free, to be kept by none, with all its blocks. */
static bool can_go(const struct space *s, size_t group)
{
    return s->groups[group] == SPACE_GROUP_PAGES && s->marks[2 * group] == 0 &&
           s->marks[2 * group + 1] == 0;
}

/* Makes holes of what is free beyond the first `keep` pages, from the file's end on, as far as one
 * step may go; *bytes is how much. */
static enum oxbow_err give_back(struct oxbow *db, uint64_t keep, uint64_t *bytes)
{
    const struct space *s = &db->space;
    enum oxbow_err err = count_groups(db, keep);
    uint64_t given = 0;
    unsigned runs = 0;
    size_t end = s->pages / SPACE_GROUP_PAGES;

    while (err == OXBOW_OK && end > 0 && given < STEP_BYTES && runs < STEP_RUNS) {
        size_t from = end;

        while (from > 0 && can_go(s, from - 1) && (end - from) * GROUP_BYTES + given < STEP_BYTES) {
            from--;
        }
        if (from == end) {
            end--;
            continue;
        }
        err = punch(db, from * SPACE_GROUP_PAGES, (end - from) * SPACE_GROUP_PAGES);
        given += err == OXBOW_OK ? (end - from) * GROUP_BYTES : 0;
        runs++;
        end = from;
    }
    *bytes = given;
    return err;
}

/* ---- taking back ---- */

static enum oxbow_err fill(struct oxbow *db, uint64_t page, uint64_t count)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err =
        files->reserve(files->ctx, db->data_fd, page * TREE_PAGE_BYTES, count * TREE_PAGE_BYTES);

    if (err == OXBOW_ENOTSUP) {
        db->space.unable = true; /* what cannot be had again is not given away */
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        mark(&db->space, page, count, false);
    }
    return err;
}

/* Gives the page its block, and those behind it that are holes as well. */
static bool fill_page(void *ctx, uint64_t page)
{
    struct look *l = ctx;
    uint64_t count = 1;

    if (is_hole(&l->db->space, page)) {
        while (count < FILL_RUN && is_hole(&l->db->space, page + count)) {
            count++;
        }
        l->err = fill(l->db, page, count);
        if (l->err == OXBOW_ENOSPC && count > 1) {
            l->err = fill(l->db, page, 1); /* what is left may do */
        }
        if (l->err != OXBOW_OK) {
            return false;
        }
    }
    return ++l->pages < l->max;
}

/* The first `max` pages; `head` then says how many come before the first hole. */
static enum oxbow_err fill_head(struct oxbow *db, uint64_t max)
{
    struct look look = {.db = db, .max = max};
    enum oxbow_err err = tree_free_walk(db->tree, fill_page, &look);

    /* Behind the last of them commits take new pages, which are no holes. */
    db->space.head = look.err == OXBOW_OK && look.pages < max ? UINT64_MAX : look.pages;
    return err != OXBOW_OK ? err : look.err;
}

/* The lowest pages, as far as the device likes. */
static void fill_low(struct oxbow *db)
{
    const struct space *s = &db->space;
    enum oxbow_err err = count_groups(db, 0);
    size_t i;

    for (i = 0; err == OXBOW_OK && i < s->pages / SPACE_GROUP_PAGES; i++) {
        if ((s->groups[i] & GROUP_KEPT) != 0 && (s->marks[2 * i] | s->marks[2 * i + 1]) != 0) {
            err = fill(db, i * SPACE_GROUP_PAGES, SPACE_GROUP_PAGES);
        }
    }
}

/* ---- exchange, on a full device ---- */

static void donate_run(struct look *l)
{
    if (l->len > 0) {
        l->err = punch(l->db, l->run, l->len);
    }
    l->len = 0;
}

/* Makes a hole of a page behind the first `max`. */
static bool donate_page(void *ctx, uint64_t page)
{
    struct look *l = ctx;
    const struct space *s = &l->db->space;

    if (l->pages++ < l->max || page >= s->pages || (is_hole(s, page) && !s->unsure)) {
        return true;
    }
    if (l->len > 0 && page == l->run + l->len) {
        l->len++;
        return true;
    }
    donate_run(l);
    l->run = page;
    l->len = 1;
    return l->err == OXBOW_OK;
}

static bool count_all(void *ctx, uint64_t page)
{
    struct look *l = ctx;

    (void)page;
    l->pages++;
    return true;
}

/* Gives pages of the end of the order to the device, to ask it for as many at the head. */
static enum oxbow_err donate(struct oxbow *db)
{
    struct space *s = &db->space;
    struct look all = {.db = db};
    struct look look = {.db = db, .max = s->head + SHORT_HEAD};
    enum oxbow_err err = tree_free_walk(db->tree, count_all, &all);

    if (err != OXBOW_OK || s->unable || all.pages <= look.max) {
        return err != OXBOW_OK ? err : OXBOW_ENOSPC;
    }
    s->reach = s->reach == 0 ? REACH_FIRST : s->reach;
    if (all.pages > s->reach && all.pages - s->reach > look.max) {
        look.max = all.pages - s->reach;
    }
    s->reach *= 2; /* unless what this brings is enough */
    err = tree_free_walk(db->tree, donate_page, &look);
    if (err == OXBOW_OK && look.err == OXBOW_OK) {
        donate_run(&look);
    }
    return err != OXBOW_OK ? err : look.err;
}

static enum oxbow_err exchange(struct oxbow *db)
{
    enum oxbow_err err = OXBOW_ENOSPC;
    unsigned round;

    for (round = 0; round < SHORT_ROUNDS && err == OXBOW_ENOSPC && db->space.head < SHORT_HEAD;
         round++) {
        err = donate(db);
        if (err == OXBOW_OK) {
            err = fill_head(db, SHORT_HEAD);
        }
    }
    if (err == OXBOW_OK) {
        db->space.reach = 0;
    }
    return err;
}

void space_settle(struct oxbow *db)
{
    struct space *s = &db->space;
    enum oxbow_err err;

    s->head = UINT64_MAX;
    if (s->holes == 0) {
        s->unsure = false;
        return;
    }
    err = fill_head(db, space_keep(&db->config));
    if (err == OXBOW_OK) {
        s->short_of = false;
        if (s->settled++ % LOW_EVERY == 0) {
            fill_low(db); /* a walk of the whole list: they go slowly */
        }
        return;
    }
    if (err == OXBOW_ENOSPC) {
        err = exchange(db);
    }
    if (err != OXBOW_OK && !s->short_of) {
        store_log(db, OXBOW_LOG_WARN,
                  "store: the device is full, and free pages of the data file are holes");
        s->short_of = true;
    }
}

void space_publish(struct oxbow *db)
{
    const struct space *s = &db->space;

    db->hole_pages = s->holes;
    if (s->head < db->usage.old_pages) {
        db->usage.old_pages = s->head;
    }
}

/* ---- steps ---- */

uint64_t space_due(const struct oxbow *db, uint64_t now)
{
    const struct space *s = &db->space;
    struct tree_usage usage;

    if (s->groups == NULL || s->unable || db->frozen != NULL || store_halted(db)) {
        return UINT64_MAX;
    }
    tree_usage(db->tree, &usage);
    if (usage.free_pages <= enough(&db->config) + s->holes || s->barren == usage.commits + 1) {
        return UINT64_MAX; /* little is free, or nothing has changed since */
    }
    return s->step_at_us > now ? s->step_at_us - now : 0;
}

/* What the newest commit has freed is in use in the one before it, and stays so while nobody writes:
 * a commit of nothing makes that one the older of the two. */
static enum oxbow_err commit_nothing(struct oxbow *db, const struct tree_header *header)
{
    enum oxbow_err err = tree_write_begin(db->tree);

    if (err == OXBOW_OK) {
        err = tree_write_commit(db->tree, header);
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
    struct tree_header header = *tree_header(db->tree);
    struct tree_usage usage;
    enum oxbow_err fatal = OXBOW_OK;

    wear_save(db, &header);
    tree_usage(db->tree, &usage);
    store_unlock(db);
    if (usage.new_pages > surplus(&db->config)) {
        fatal = commit_nothing(db, &header);
    } else if (give_back(db, keep, &given) != OXBOW_OK || given == 0) {
        s->barren = usage.commits + 1;
    }
    if (given > 0) {
        space_settle(db); /* counts `head` anew */
    }
    store_lock(db);
    s->step_at_us = store_now_us(db) + STEP_US;
    if (fatal == OXBOW_OK && !db->busy && db->frozen == NULL) {
        fatal = tree_renew(db->tree);
    }
    if (fatal != OXBOW_OK) {
        store_fail(db, fatal);
    } else if (!db->busy && db->frozen == NULL) {
        tree_usage(db->tree, &db->usage);
        space_publish(db);
    }
}

/* ---- open and close ---- */

static bool note_hole(void *ctx, uint64_t page)
{
    struct look *l = ctx;

    mark(&l->db->space, page, 1, true);
    return true;
}

enum oxbow_err space_open(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    struct space *s = &db->space;
    struct look look = {.db = db};
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
    s->pages = (size_t)(db->config.disk_bytes / GROUP_BYTES) * SPACE_GROUP_PAGES;
    s->groups = mem_new(&db->port->alloc, s->pages / SPACE_GROUP_PAGES);
    s->marks = mem_new(&db->port->alloc, s->pages / 8);
    if (s->groups == NULL || s->marks == NULL) {
        return OXBOW_ENOMEM;
    }
    if (occupied < size) { /* then any free page may be a hole */
        s->unsure = true;
        err = tree_free_walk(db->tree, note_hole, &look);
        space_settle(db);
    }
    return err;
}

void space_close(struct oxbow *db)
{
    mem_free(&db->port->alloc, db->space.groups, db->space.pages / SPACE_GROUP_PAGES);
    mem_free(&db->port->alloc, db->space.marks, db->space.pages / 8);
}
