/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meta pages have no checksum, and LMDB takes the one with the higher number. What can be told of a
 * damaged one, by the other one and by the trees that it names, is mended in place.
 */
#include "engine/base/buf.h"
#include "engine/store/check.h"
#include "engine/store/salvage.h"

static enum oxbow_err read_page(const struct oxbow *db, uint64_t number, uint8_t *page)
{
    const struct oxbow_files *files = &db->port->files;
    size_t got = 0;
    enum oxbow_err err =
        files->read(files->ctx, db->data_fd, page, PAGE_BYTES, number * PAGE_BYTES, &got);

    return err == OXBOW_OK && got < PAGE_BYTES ? OXBOW_EIO : err;
}

static enum oxbow_err write_meta(struct oxbow *db, uint64_t number, const uint8_t *page)
{
    const struct oxbow_files *files = &db->port->files;
    enum oxbow_err err;

    wear_note(db, WEAR_OTHER, PAGE_BYTES);
    err = files->write(files->ctx, db->data_fd, page, PAGE_BYTES, number * PAGE_BYTES);
    return err == OXBOW_OK ? files->sync(files->ctx, db->data_fd) : err;
}

/* Which meta page says that it is newer than the trees that it names, read into `page`. 2: neither. */
static enum oxbow_err find_liar(struct oxbow *db, uint8_t *page, uint8_t *extra, uint64_t *number,
                                uint64_t *commit)
{
    const struct check_file file = {.port = db->port, .fd = db->data_fd};
    struct page_meta meta;

    for (*number = 0; *number < 2; ++*number) {
        enum oxbow_err err = read_page(db, *number, page);

        if (err == OXBOW_OK && page_meta(page, *number, &meta)) {
            err = check_meta_commit(&file, &meta, extra, commit);
            if (err == OXBOW_OK && *commit != 0 && *commit < meta.txn) {
                return OXBOW_OK;
            }
        }
        if (err != OXBOW_OK && err != OXBOW_EIO) { /* what cannot be read the walk has told */
            return err;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err salvage_meta_restate(struct oxbow *db, bool sound, bool *restated)
{
    uint8_t *pages = mem_new(&db->port->alloc, (size_t)2 * PAGE_BYTES);
    uint64_t number = 2;
    uint64_t commit = 0;
    enum oxbow_err err = OXBOW_ENOMEM;

    *restated = false;
    if (pages != NULL) {
        err = find_liar(db, pages, pages + PAGE_BYTES, &number, &commit);
    }
    if (err == OXBOW_OK && number < 2) {
        *restated = sound && (commit & 1) == number;
        if (*restated) {
            store_log(db, OXBOW_LOG_ERROR, "store: its number is set right: nothing is missing");
            page_meta_turn(pages, number, commit);
            err = write_meta(db, number, pages);
        } else {
            db->commit_doubt = true;
            err = directory_meta_write(db, true);
        }
    }
    mem_free(&db->port->alloc, pages, (size_t)2 * PAGE_BYTES);
    return err;
}

/* Reads the sound meta page into `page`, and gives the number of the other one. OXBOW_ECORRUPT: they
 * are not one and one. */
static enum oxbow_err sound_meta(const struct oxbow *db, uint8_t *page, struct page_meta *meta,
                                 uint64_t *destroyed)
{
    bool sound;
    enum oxbow_err err = read_page(db, 0, page);

    if (err != OXBOW_OK) {
        return err;
    }
    sound = page_meta(page, 0, meta);
    *destroyed = sound;
    err = read_page(db, 1, page);
    if (err == OXBOW_OK && sound == page_meta(page, 1, meta)) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK && sound) {
        err = read_page(db, 0, page);
        (void)page_meta(page, 0, meta);
    }
    return err == OXBOW_OK && meta->txn == 0 ? OXBOW_ECORRUPT : err;
}

enum oxbow_err salvage_meta_mend(struct oxbow *db)
{
    uint8_t *page = mem_new(&db->port->alloc, PAGE_BYTES);
    struct page_meta meta;
    uint64_t destroyed = 0;
    enum oxbow_err err = page == NULL ? OXBOW_ENOMEM : sound_meta(db, page, &meta, &destroyed);

    if (err == OXBOW_OK) {
        err = directory_meta_write(db, true);
    }
    if (err == OXBOW_OK) {
        page_meta_turn(page, destroyed, meta.txn - 1);
        err = write_meta(db, destroyed, page);
    }
    mem_free(&db->port->alloc, page, PAGE_BYTES);
    if (err == OXBOW_OK) {
        db->commit_doubt = true;
        store_log(db, OXBOW_LOG_ERROR,
                  "store: a destroyed meta page was written again: if it was the newer one, the "
                  "last checkpoint is missing");
    }
    return err;
}
