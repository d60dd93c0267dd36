/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets aside what is in the store's directory and is no store that this version can open. It does not
 * decide that: directory.c and feature.c do; it only tells a damaged store of this version from one.
 *
 *   foreign-N/   made; nobody else's, since making it succeeded
 *   FOREIGN      made, durably: from here on the whole is done, by this opening or a later one
 *   FORMAT       moved, and both directories synced: what is left is no store for anybody
 *   the others   moved, synced
 *   FOREIGN      removed, synced
 *
 * Invariants: (1) Nothing is deleted or overwritten. (2) Once FOREIGN is there, no opening looks at
 * anything else in the directory before it has moved the rest.
 */
#include "engine/base/buf.h"
#include "engine/base/num.h"
#include "engine/store/memtable.h"
#include "engine/store/page.h"
#include "engine/store/salvage.h"

#include <stdio.h>
#include <string.h>

#define MARK           "FOREIGN"
#define MARK_BYTES     (sizeof FOREIGN_DIR + NUM_TEXT_MAX)
#define LMDB_LOCK      "lock.mdb"
#define LOCK_HEAD      64u
#define DIRECTORIES    999u
#define SEGMENT_KINDS  3u
#define NAME_BYTES     24u
#define JOURNAL_MAGIC  "oxbowjnl"
#define LOOK_PAGES_MAX ((uint64_t)1 << 18) /* of a data file, for a header record */

static const char *const names[] = {
    STORE_FORMAT, "FORMAT.new", TREE_FILE, TREE_FILE ".new", SALVAGE_MENDED,
    LMDB_LOCK,    "DOUBT",      "META",    COMPACT_DIR,      SALVAGE_DIR,
};
#define NAMED      (sizeof names / sizeof names[0])
#define NAME_COUNT (NAMED + (size_t)RING_SEGMENTS * SEGMENT_KINDS)

static void name_at(size_t i, char out[NAME_BYTES])
{
    static const char *const kinds[SEGMENT_KINDS] = {"", ".new", ".bad"};

    if (i < NAMED) {
        (void)snprintf(out, NAME_BYTES, "%s", names[i]);
    } else {
        (void)snprintf(out, NAME_BYTES, "journal.%u%s", (unsigned)((i - NAMED) / SEGMENT_KINDS),
                       kinds[(i - NAMED) % SEGMENT_KINDS]);
    }
}

static void place_of(uint32_t n, const char *name, char out[STORE_PATH_ROOM])
{
    (void)snprintf(out, STORE_PATH_ROOM, FOREIGN_DIR "%u%s%s", (unsigned)n,
                   name[0] != '\0' ? "/" : "", name);
}

/* ---- whose it is ---- */

/* Whether any page of the data file is a leaf that begins with a header record of this version: also
 * a page that was freed long ago says what the file was. */
static enum oxbow_err has_header(struct oxbow *db, int fd, bool *ours)
{
    const struct oxbow_files *files = &db->port->files;
    uint8_t *page = mem_new(&db->port->alloc, TREE_PAGE_BYTES);
    uint64_t number;
    enum oxbow_err err = OXBOW_OK;

    if (page == NULL) {
        return OXBOW_ENOMEM;
    }
    for (number = 2; err == OXBOW_OK && !*ours && number < LOOK_PAGES_MAX; number++) {
        struct tree_header header;
        struct page_node n;
        size_t count = 0;
        size_t got = 0;

        err = files->read(files->ctx, fd, page, TREE_PAGE_BYTES, number * TREE_PAGE_BYTES, &got);
        if (err == OXBOW_OK && got < TREE_PAGE_BYTES) {
            break;
        }
        *ours = err == OXBOW_OK && page_check(page, number, &count) &&
                page_flags(page) == PAGE_LEAF && count > 0 && page_node(page, 0, &n) &&
                key_compare(n.key, header_key()) == 0 && !n.big &&
                header_decode(n.data, &header) == OXBOW_OK;
    }
    mem_free(&db->port->alloc, page, TREE_PAGE_BYTES);
    return err;
}

static enum oxbow_err has_journal(struct oxbow *db, bool *ours)
{
    char head[sizeof JOURNAL_MAGIC - 1];
    char name[NAME_BYTES];
    uint64_t size;
    unsigned i;

    for (i = 0; i < RING_SEGMENTS && !*ours; i++) {
        enum oxbow_err err;

        name_at(NAMED + (size_t)i * SEGMENT_KINDS, name);
        err = directory_read(db, name, head, sizeof head, &size);
        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
        *ours = err == OXBOW_OK && memcmp(head, JOURNAL_MAGIC, sizeof head) == 0;
    }
    return OXBOW_OK;
}

static enum oxbow_err looks_ours(struct oxbow *db, bool *ours)
{
    const struct oxbow_files *files = &db->port->files;
    int fd;
    enum oxbow_err err;

    *ours = false;
    err = files->open(files->ctx, directory_path(db, TREE_FILE), OXBOW_FILE_READ, &fd);
    if (err == OXBOW_OK) {
        err = directory_close_file(db, fd, has_header(db, fd, ours));
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    return err == OXBOW_OK && !*ours ? has_journal(db, ours) : err;
}

enum oxbow_err foreign_judge(struct oxbow *db, bool whole, bool *aside)
{
    bool ours = false;
    enum oxbow_err err = OXBOW_OK;

    *aside = false;
    if (db->config.on_foreign != OXBOW_FOREIGN_SET_ASIDE ||
        (db->config.flags & (OXBOW_OPEN_EXISTING | OXBOW_OPEN_READONLY)) != 0) {
        return OXBOW_OK;
    }
    if (!whole) {
        err = looks_ours(db, &ours);
    }
    if (err == OXBOW_OK && ours) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: the other files are of a store of this version: FORMAT is damaged or "
                  "missing, and nothing is set aside");
    }
    *aside = err == OXBOW_OK && !ours;
    return err;
}

/* ---- moving ---- */

/* Takes the lock and lets it go again. A port may write its owner's number at the beginning of the
 * file; what was there is put back. */
static enum oxbow_err try_lock(struct oxbow *db, int fd)
{
    const struct oxbow_files *files = &db->port->files;
    uint8_t head[LOCK_HEAD];
    uint64_t size = 0;
    int64_t owner = 0;
    size_t got = 0;
    enum oxbow_err err = files->size(files->ctx, fd, &size);

    if (err == OXBOW_OK) {
        err = files->read(files->ctx, fd, head, sizeof head, 0, &got);
    }
    if (err == OXBOW_OK) {
        err = files->lock(files->ctx, fd, &owner);
    }
    if (err == OXBOW_OK && got > 0) {
        err = files->write(files->ctx, fd, head, got, 0);
    }
    if (err == OXBOW_OK && got < sizeof head) {
        err = files->truncate(files->ctx, fd, size);
    }
    return err;
}

/* What has the data file open holds a lock on LMDB's file, as long as it uses one. */
static enum oxbow_err check_free(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    int fd;
    enum oxbow_err err = files->open(files->ctx, directory_path(db, LMDB_LOCK),
                                     OXBOW_FILE_READ | OXBOW_FILE_WRITE, &fd);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = directory_close_file(db, fd, try_lock(db, fd));
    if (err == OXBOW_ELOCKED) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: another program has the data file open: nothing is set aside");
    }
    return err;
}

static enum oxbow_err sync_both(struct oxbow *db, uint32_t n)
{
    const struct oxbow_files *files = &db->port->files;
    char place[STORE_PATH_ROOM];
    enum oxbow_err err;

    place_of(n, "", place);
    err = files->sync_dir(files->ctx, directory_path(db, place));
    return err == OXBOW_OK ? files->sync_dir(files->ctx, db->config.dir) : err;
}

static enum oxbow_err move_one(struct oxbow *db, uint32_t n, size_t i)
{
    char name[NAME_BYTES];
    char place[STORE_PATH_ROOM];
    enum oxbow_err err;

    name_at(i, name);
    place_of(n, name, place);
    err = directory_rename(db, name, place);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* What is in foreign-N now, also of an opening that was interrupted. */
static void tell(struct oxbow *db, uint32_t n)
{
    const struct oxbow_files *files = &db->port->files;
    char name[NAME_BYTES];
    char place[STORE_PATH_ROOM];
    char line[160];
    size_t i;

    db->recovery.foreign = n;
    db->recovery.foreign_files = 0;
    for (i = 0; i < NAME_COUNT; i++) {
        int fd;

        name_at(i, name);
        place_of(n, name, place);
        if (files->open(files->ctx, directory_path(db, place), OXBOW_FILE_READ, &fd) == OXBOW_OK) {
            (void)files->close(files->ctx, fd);
            db->recovery.foreign_files++;
            (void)snprintf(line, sizeof line, "store: %s is %s now", name, place);
            store_log(db, OXBOW_LOG_WARN, line);
        }
    }
    (void)snprintf(line, sizeof line,
                   "store: what was there is no store for this version: %u files were set aside",
                   (unsigned)db->recovery.foreign_files);
    store_log(db, OXBOW_LOG_WARN, line);
}

static enum oxbow_err move_all(struct oxbow *db, uint32_t n)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err = move_one(db, n, 0);
    size_t i;

    if (err == OXBOW_OK) {
        err = sync_both(db, n);
    }
    for (i = 1; i < NAME_COUNT && err == OXBOW_OK; i++) {
        err = move_one(db, n, i);
    }
    if (err == OXBOW_OK) {
        err = sync_both(db, n);
    }
    if (err == OXBOW_OK) {
        err = files->unlink(files->ctx, directory_path(db, MARK));
    }
    if (err == OXBOW_OK) {
        err = files->sync_dir(files->ctx, db->config.dir);
    }
    if (err == OXBOW_OK) {
        tell(db, n);
    }
    return err;
}

enum oxbow_err foreign_set_aside(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    char place[STORE_PATH_ROOM];
    char text[MARK_BYTES];
    uint32_t n = 0;
    enum oxbow_err err = check_free(db);

    if (err != OXBOW_OK) {
        return err;
    }
    do {
        n++;
        place_of(n, "", place);
        err = files->mkdir(files->ctx, directory_path(db, place));
    } while (err == OXBOW_EEXIST && n < DIRECTORIES);
    if (err == OXBOW_OK) {
        int len = snprintf(text, sizeof text, "%s\n", place);

        err = directory_make(db, MARK, text, (size_t)len);
    }
    return err == OXBOW_OK ? move_all(db, n) : err;
}

static bool mark_read(const char *text, uint64_t size, uint32_t *n)
{
    const size_t head = sizeof FOREIGN_DIR - 1;
    uint64_t v;

    if (size <= head + 1 || size >= MARK_BYTES || text[size - 1] != '\n' ||
        memcmp(text, FOREIGN_DIR, head) != 0 ||
        num_u64((struct oxbow_bytes){text + head, (size_t)size - head - 1}, &v) != OXBOW_OK ||
        v == 0 || v > DIRECTORIES) {
        return false;
    }
    *n = (uint32_t)v;
    return true;
}

enum oxbow_err foreign_resume(struct oxbow *db)
{
    char text[MARK_BYTES];
    uint64_t size = 0;
    uint32_t n;
    enum oxbow_err err = directory_read(db, MARK, text, sizeof text, &size);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (!mark_read(text, size, &n)) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: FOREIGN is damaged: see the directories " FOREIGN_DIR "N, and remove it");
        return OXBOW_ECORRUPT;
    }
    if ((db->config.flags & OXBOW_OPEN_READONLY) != 0) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: setting aside what was there was interrupted: open it for writing");
        return OXBOW_ECORRUPT;
    }
    err = check_free(db);
    return err == OXBOW_OK ? move_all(db, n) : err;
}
