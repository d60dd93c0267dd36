/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a data file page by page through the port, before LMDB may map it: LMDB believes what it
 * reads, so a flipped bit in a tree page makes keys vanish or ends the process.
 *
 * Invariants: (1) Every page number is compared with the last page before it is read, and marked in
 * `seen`: a page met twice is a finding and not gone into, so the walk ends. (2) A stack of
 * LEVELS_MAX pages takes the place of recursion. (3) Keys of a page lie between the keys that its
 * parent has for it and its neighbour.
 */
#include "engine/store/check.h"

#include "engine/base/buf.h"
#include "engine/base/hash.h"
#include "engine/store/envelope.h"
#include "engine/store/header.h"
#include "engine/store/memtable.h"
#include "engine/store/page.h"

#include <string.h>

#define LEVELS_MAX     16u
#define PROGRESS_PAGES 1024u
#define VALUE_MAX      (1u << 30)

struct level {
    uint8_t page[PAGE_BYTES];
    uint64_t number;
    size_t count; /* of nodes */
    size_t next;  /* the node to look at */
};

struct walk {
    const struct check_file *file;
    struct oxbow_check_report *report;
    uint64_t file_pages;
    uint64_t pages; /* that the meta page speaks of */
    uint8_t *seen;  /* a bit each */
    size_t seen_bytes;
    uint64_t seen_count;
    struct level *levels; /* LEVELS_MAX */
    uint8_t *extra;       /* one more page, for overflow */
    uint64_t digest;
    uint64_t entries;
    bool free_list; /* which tree it is in */
    struct page_db counted;
    bool header_found;
    struct tree_header header;
};

static void found(struct walk *w, enum oxbow_finding_kind kind, uint64_t page, const char *text)
{
    const struct oxbow_check_options *o = w->file->options;
    struct oxbow_finding f = {kind, page, text};

    if (kind != OXBOW_FINDING_LOST && kind != OXBOW_FINDING_VALUE && kind != OXBOW_FINDING_DOUBT) {
        w->report->damage++;
    }
    if (o->finding != NULL) {
        o->finding(o->ctx, &f);
    }
}

static enum oxbow_err read_pages(const struct walk *w, uint64_t number, uint8_t *out, size_t len)
{
    const struct oxbow_files *files = &w->file->port->files;
    size_t got = 0;
    enum oxbow_err err = files->read(files->ctx, w->file->fd, out, len, number * PAGE_BYTES, &got);

    return err == OXBOW_OK && got < len ? OXBOW_EIO : err;
}

/* Marks `run` pages; false when one is outside the file or was met before. */
static bool mark(struct walk *w, uint64_t number, uint64_t run)
{
    const struct oxbow_check_options *o = w->file->options;
    uint64_t i;

    if (number < 2 || run == 0 || number >= w->pages || run > w->pages - number) {
        return false;
    }
    for (i = number; i < number + run; i++) {
        uint8_t bit = (uint8_t)(1u << (i & 7));

        if ((w->seen[i >> 3] & bit) != 0) {
            return false;
        }
        w->seen[i >> 3] |= bit;
        if (++w->seen_count % PROGRESS_PAGES == 0 && o->progress != NULL) {
            o->progress(o->ctx, w->seen_count, w->pages);
        }
    }
    return true;
}

/* ---- what a leaf holds ---- */

/* Reads a value of several pages in pieces; the checksum covers key, type and value. */
static enum oxbow_err overflow_sum(struct walk *w, const struct page_node *n, bool *good)
{
    uint64_t number = n->overflow;
    size_t left = n->data_len;
    size_t skip = PAGE_HEAD_BYTES;
    uint32_t sum = crc32c(0, n->key.data, n->key.len);
    uint32_t want = 0;
    bool first = true;

    while (left > 0) {
        size_t len = PAGE_BYTES - skip < left ? PAGE_BYTES - skip : left;
        const uint8_t *p = w->extra + skip;
        enum oxbow_err err = read_pages(w, number++, w->extra, PAGE_BYTES);

        if (err != OXBOW_OK) {
            return err;
        }
        left -= len;
        if (first) {
            want =
                (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            p += 4;
            len -= 4;
            first = false;
        }
        sum = crc32c(sum, p, len);
        skip = 0;
    }
    *good = sum == want;
    return OXBOW_OK;
}

static enum oxbow_err check_value(struct walk *w, const struct page_node *n, uint64_t page)
{
    struct oxbow_bytes value;
    bool good = n->data_len >= ENVELOPE_BYTES;
    enum oxbow_err err = OXBOW_OK;

    if (w->free_list || w->file->options->skip_values) {
        return OXBOW_OK;
    }
    if (good && n->big) {
        err = overflow_sum(w, n, &good);
    } else if (good) {
        good = envelope_get(crc32c, n->key, n->data, &value) == OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        w->report->values_checked++;
        if (!good) {
            w->report->values_bad++;
            found(w, OXBOW_FINDING_VALUE, page, "a value fails its checksum");
        }
    }
    return err;
}

static enum oxbow_err check_big(struct walk *w, const struct page_node *n, uint64_t page, bool *ok)
{
    uint64_t run = (PAGE_HEAD_BYTES - 1 + n->data_len) / PAGE_BYTES + 1;
    enum oxbow_err err;

    *ok = false;
    if (n->data_len > VALUE_MAX || !mark(w, n->overflow, run)) {
        found(w, OXBOW_FINDING_PAGE, page, "a value's pages are outside the file or used twice");
        return OXBOW_OK;
    }
    w->counted.overflow_pages += run;
    *ok = true;
    if (!w->free_list && w->file->options->skip_values) {
        return OXBOW_OK; /* its head is looked at again before LMDB acts on it: tree.c */
    }
    *ok = false;
    err = read_pages(w, n->overflow, w->extra, PAGE_BYTES);
    if (err != OXBOW_OK) {
        return err;
    }
    if (page_number(w->extra) != n->overflow || page_flags(w->extra) != PAGE_OVERFLOW ||
        page_run(w->extra) != run) {
        found(w, OXBOW_FINDING_PAGE, n->overflow, "an overflow page is damaged");
        return OXBOW_OK;
    }
    *ok = true;
    return OXBOW_OK;
}

/* A record of the free list: how many pages, then their numbers. w->extra has its first page if it
 * is big. */
static enum oxbow_err check_free(struct walk *w, const struct page_node *n, uint64_t page)
{
    const uint8_t *p = n->big ? w->extra + PAGE_HEAD_BYTES : n->data.data;
    uint64_t number = n->overflow;
    size_t in_page = n->big ? PAGE_BYTES - PAGE_HEAD_BYTES : n->data_len;
    size_t left = 0;
    size_t word;

    if (n->data_len < sizeof word || n->key.len != sizeof word) {
        found(w, OXBOW_FINDING_FREE, page, "a record of the free list is cut short");
        return OXBOW_OK;
    }
    memcpy(&left, p, sizeof left);
    if (left > n->data_len / sizeof word - 1) {
        found(w, OXBOW_FINDING_FREE, page, "a record of the free list is longer than its value");
        return OXBOW_OK;
    }
    p += sizeof word;
    in_page -= sizeof word;
    for (; left > 0; left--) {
        if (in_page < sizeof word) {
            enum oxbow_err err = read_pages(w, ++number, w->extra, PAGE_BYTES);

            if (err != OXBOW_OK) {
                return err;
            }
            p = w->extra;
            in_page = PAGE_BYTES;
        }
        memcpy(&word, p, sizeof word);
        p += sizeof word;
        in_page -= sizeof word;
        if (!mark(w, word, 1)) {
            found(w, OXBOW_FINDING_FREE, word, "a free page is outside the file or used");
            return OXBOW_OK;
        }
        w->report->free_pages++;
    }
    return OXBOW_OK;
}

static void note_key(struct walk *w, const struct page_node *n, uint64_t page)
{
    w->entries++;
    if (w->free_list) {
        return;
    }
    if (key_compare(n->key, header_key()) != 0) {
        w->digest += hash64(n->key.data, n->key.len, 0);
        w->report->keys++;
        return;
    }
    w->header_found = !n->big && header_decode(n->data, &w->header) == OXBOW_OK;
    if (!w->header_found) {
        found(w, OXBOW_FINDING_HEADER, page, "the header record is damaged");
    }
}

static enum oxbow_err check_leaf_node(struct walk *w, const struct page_node *n, uint64_t page)
{
    bool ok = true;
    enum oxbow_err err = OXBOW_OK;

    note_key(w, n, page);
    if (n->big) {
        err = check_big(w, n, page, &ok);
    }
    if (err == OXBOW_OK && ok) {
        err = w->free_list ? check_free(w, n, page) : check_value(w, n, page);
    }
    return err;
}

/* ---- the trees ---- */

static int compare(const struct walk *w, struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t x = 0;
    size_t y = 0;

    if (!w->free_list) {
        return key_compare(a, b);
    }
    if (a.len == sizeof x && b.len == sizeof y) { /* native integers */
        memcpy(&x, a.data, sizeof x);
        memcpy(&y, b.data, sizeof y);
    }
    return x == y ? 0 : x < y ? -1 : 1;
}

/* The key that the parents have for a page, or for its right neighbour: a bound of its keys. */
static bool bound(const struct walk *w, size_t depth, bool upper, struct oxbow_bytes *out)
{
    struct page_node n;

    while (depth-- > 0) {
        const struct level *l = &w->levels[depth];
        size_t idx = upper ? l->next : l->next - 1; /* `next` is past the child */

        if (idx < l->count && idx > 0 && page_node(l->page, idx, &n)) {
            *out = n.key;
            return true;
        }
    }
    return false;
}

/* All nodes of a page just read: inside it, in order, between the bounds, and filling it as they must. */
static bool nodes_fit(const struct walk *w, const struct level *l, size_t depth)
{
    bool branch = page_flags(l->page) == PAGE_BRANCH;
    struct oxbow_bytes low = {NULL, 0};
    struct oxbow_bytes high = {NULL, 0};
    bool has_low = bound(w, depth, false, &low);
    bool has_high = bound(w, depth, true, &high);
    struct oxbow_bytes before = {NULL, 0};
    size_t i;

    if (l->count == 0 || (branch && l->count < 2 && !w->free_list)) {
        return false;
    }
    for (i = 0; i < l->count; i++) {
        struct page_node n;

        if (!page_node(l->page, i, &n)) {
            return false;
        }
        if (branch && i == 0) {
            continue; /* its key counts for nothing */
        }
        if (n.key.len == 0 || (w->free_list && n.key.len != sizeof(size_t)) ||
            (before.len > 0 && compare(w, before, n.key) >= 0) ||
            (has_low && compare(w, n.key, low) < 0) || (has_high && compare(w, n.key, high) >= 0)) {
            return false;
        }
        before = n.key;
    }
    return page_packed(l->page, l->count);
}

/* Reads a page into the level; *ok is false when it is not to be gone into. */
static enum oxbow_err enter(struct walk *w, uint64_t number, size_t depth, size_t leaf_depth,
                            bool *ok)
{
    struct level *l = &w->levels[depth];
    enum oxbow_err err;

    *ok = false;
    if (!mark(w, number, 1)) {
        found(w, OXBOW_FINDING_PAGE, number, "a page is outside the file or used twice");
        return OXBOW_OK;
    }
    err = read_pages(w, number, l->page, PAGE_BYTES);
    if (err != OXBOW_OK) {
        return err;
    }
    l->number = number;
    l->next = 0;
    if (!page_check(l->page, number, &l->count) ||
        (page_flags(l->page) == PAGE_LEAF) != (depth == leaf_depth) || !nodes_fit(w, l, depth)) {
        found(w, OXBOW_FINDING_PAGE, number, "a tree page is damaged");
        return OXBOW_OK;
    }
    if (depth == leaf_depth) {
        w->counted.leaf_pages++;
    } else {
        w->counted.branch_pages++;
    }
    *ok = true;
    return OXBOW_OK;
}

static enum oxbow_err leave_leaf(struct walk *w, const struct level *l)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < l->count && err == OXBOW_OK; i++) {
        struct page_node n;

        if (page_node(l->page, i, &n)) {
            err = check_leaf_node(w, &n, l->number);
        }
    }
    return err;
}

static enum oxbow_err descend(struct walk *w, const struct page_db *db)
{
    size_t leaf_depth = db->depth - 1u;
    size_t depth = 0;
    bool ok;
    enum oxbow_err err = enter(w, db->root, 0, leaf_depth, &ok);

    if (err != OXBOW_OK || !ok) {
        return err;
    }
    for (;;) {
        struct level *l = &w->levels[depth];
        struct page_node n;

        if (depth == leaf_depth) {
            err = leave_leaf(w, l);
            l->next = l->count;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (l->next == l->count) {
            if (depth == 0) {
                return OXBOW_OK;
            }
            depth--;
            continue;
        }
        (void)page_node(l->page, l->next++, &n); /* nodes_fit has seen it */
        err = enter(w, n.child, depth + 1, leaf_depth, &ok);
        depth += ok ? 1 : 0;
    }
}

static enum oxbow_err walk_tree(struct walk *w, const struct page_db *db, bool free_list)
{
    enum oxbow_err err;

    w->free_list = free_list;
    w->entries = 0;
    memset(&w->counted, 0, sizeof w->counted);
    if (db->root == PAGE_NONE) {
        if (db->entries != 0 || db->depth != 0) {
            found(w, OXBOW_FINDING_COUNT, 0, "a tree without a root has entries on record");
        }
        return OXBOW_OK;
    }
    if (db->depth == 0 || db->depth > LEVELS_MAX) {
        found(w, OXBOW_FINDING_META, 0, "a tree's depth on record is impossible");
        return OXBOW_OK;
    }
    err = descend(w, db);
    if (err == OXBOW_OK && w->report->damage == 0 &&
        (w->entries != db->entries || w->counted.leaf_pages != db->leaf_pages ||
         w->counted.branch_pages != db->branch_pages ||
         w->counted.overflow_pages != db->overflow_pages)) {
        found(w, OXBOW_FINDING_COUNT, 0, "a tree's numbers on record differ from what it holds");
    }
    w->report->leaf_pages += w->counted.leaf_pages;
    w->report->branch_pages += w->counted.branch_pages;
    w->report->overflow_pages += w->counted.overflow_pages;
    return err;
}

/* ---- the whole file ---- */

static void compare_header(struct walk *w, const struct page_meta *meta)
{
    if (!w->header_found) {
        if (meta->main.root != PAGE_NONE || meta->txn != 0) {
            found(w, OXBOW_FINDING_HEADER, 0, "the header record is missing");
        }
        return;
    }
    w->report->lsn = w->header.lsn;
    w->report->boot = w->header.boot;
    w->report->closed = w->header.closed;
    w->report->journal = w->header.journal;
    w->report->store_id = w->header.store_id;
    if (w->header.keys != w->report->keys || w->header.digest != w->digest) {
        found(w, OXBOW_FINDING_DIGEST, 0, "keys are missing, or there are strange ones");
    }
}

static void count_lost(struct walk *w)
{
    uint64_t i;

    for (i = 2; i < w->pages; i++) {
        if ((w->seen[i >> 3] & 1u << (i & 7)) == 0) {
            w->report->lost_pages++;
            found(w, OXBOW_FINDING_LOST, i, "a page is neither used nor free");
        }
    }
}

static enum oxbow_err walk_file(struct walk *w, const struct page_meta *meta)
{
    enum oxbow_err err;

    w->pages = meta->last_page + 1;
    w->report->pages = w->pages;
    if (meta->last_page < 1 || w->pages > w->file_pages) {
        found(w, OXBOW_FINDING_LENGTH, w->file_pages, "the file is shorter than its last page");
        return OXBOW_OK;
    }
    if (meta->free_list.flags != PAGE_KEYS_NATIVE || meta->main.flags != 0) {
        found(w, OXBOW_FINDING_META, meta->txn & 1, "the trees are of another make");
        return OXBOW_OK;
    }
    w->seen_bytes = (size_t)(w->pages / 8 + 1);
    w->seen = mem_new(&w->file->port->alloc, w->seen_bytes);
    if (w->seen == NULL) {
        return OXBOW_ENOMEM;
    }
    err = walk_tree(w, &meta->free_list, true);
    if (err == OXBOW_OK) {
        err = walk_tree(w, &meta->main, false);
    }
    if (err == OXBOW_OK && w->report->damage == 0) {
        compare_header(w, meta);
        count_lost(w);
    }
    return err;
}

/* Compares a meta page with the commit that its own trees tell of. */
static enum oxbow_err check_age(struct walk *w, const struct page_meta *meta, uint64_t meta_page,
                                bool *newer)
{
    uint64_t commit;
    enum oxbow_err err = check_meta_commit(w->file, meta, w->extra, &commit);

    if (err == OXBOW_OK && commit > meta->txn) {
        found(w, OXBOW_FINDING_DOUBT, meta_page,
              "a meta page is older than its trees: the last commit may be missing");
    } else if (err == OXBOW_OK && commit != 0 && commit < meta->txn) {
        *newer = true;
        found(w, OXBOW_FINDING_META, meta_page, "a meta page is newer than its trees");
    }
    return err;
}

/* Both meta pages must be sound, as LMDB will have it; the newer one counts. */
static enum oxbow_err read_metas(struct walk *w, struct page_meta *meta, bool *ok)
{
    struct page_meta other;
    bool first;
    bool second;
    bool newer = false;
    enum oxbow_err err;

    *ok = false;
    if (w->file_pages < 2) {
        found(w, OXBOW_FINDING_LENGTH, 0, "the file is shorter than its meta pages");
        return OXBOW_OK;
    }
    err = read_pages(w, 0, w->levels[0].page, PAGE_BYTES);
    if (err == OXBOW_OK) {
        err = read_pages(w, 1, w->levels[1].page, PAGE_BYTES);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    first = page_meta(w->levels[0].page, 0, meta);
    second = page_meta(w->levels[1].page, 1, &other);
    if (!first) {
        found(w, OXBOW_FINDING_META, 0, "meta page 0 is damaged");
    }
    if (!second) {
        found(w, OXBOW_FINDING_META, 1, "meta page 1 is damaged");
    }
    if (first) {
        err = check_age(w, meta, 0, &newer);
    }
    if (second && err == OXBOW_OK) {
        err = check_age(w, &other, 1, &newer);
    }
    /* Commits write the two in turn, so their numbers are neighbours: else the newer one may have
     * been made to look older, and with it goes the last commit. */
    if (first && second && !newer && (meta->txn != 0 || other.txn != 0) &&
        ((meta->txn & 1) != 0 || (other.txn & 1) != 1 ||
         (meta->txn + 1 != other.txn && other.txn + 1 != meta->txn))) {
        found(w, OXBOW_FINDING_META, 0, "the meta pages are not of two commits in a row");
    }
    if (second && (!first || other.txn > meta->txn)) {
        *meta = other;
    }
    *ok = first || second;
    return err;
}

enum oxbow_err check_walk(const struct check_file *file, struct oxbow_check_report *report)
{
    const struct oxbow_alloc *alloc = &file->port->alloc;
    size_t levels_bytes = LEVELS_MAX * sizeof(struct level);
    struct walk w = {.file = file, .report = report};
    struct page_meta meta;
    uint64_t bytes = 0;
    bool ok = false;
    enum oxbow_err err;

    memset(report, 0, sizeof *report);
    memset(&meta, 0, sizeof meta);
    w.levels = mem_new(alloc, levels_bytes);
    w.extra = mem_new(alloc, PAGE_BYTES);
    if (w.levels == NULL || w.extra == NULL) {
        err = OXBOW_ENOMEM;
        goto out;
    }
    err = file->port->files.size(file->port->files.ctx, file->fd, &bytes);
    if (err == OXBOW_OK) {
        w.file_pages = bytes / PAGE_BYTES;
        err = read_metas(&w, &meta, &ok);
    }
    if (err == OXBOW_OK && ok) {
        err = walk_file(&w, &meta);
    }
out:
    mem_free(alloc, w.seen, w.seen_bytes);
    mem_free(alloc, w.extra, PAGE_BYTES);
    mem_free(alloc, w.levels, levels_bytes);
    return err;
}
