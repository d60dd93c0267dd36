/* SPDX-License-Identifier: Apache-2.0 */
/* Reads single pages of a damaged data file, and finds out which of its two trees is the newer. */
#include "engine/store/salvage_page.h"

#include "engine/store/memtable.h"

#include <string.h>

/* ---- reading pages ---- */

enum oxbow_err salvage_page(const struct salvage_reader *s, uint64_t number, uint8_t *out, bool *ok)
{
    const struct oxbow_files *files = &s->port->files;
    size_t got = 0;
    enum oxbow_err err;

    *ok = false;
    if (number >= s->pages) {
        return OXBOW_OK;
    }
    err = files->read(files->ctx, s->fd, out, PAGE_BYTES, number * PAGE_BYTES, &got);
    if (err == OXBOW_EIO && s->unreadable_is_lost) { /* given up only when it fails twice */
        err = files->read(files->ctx, s->fd, out, PAGE_BYTES, number * PAGE_BYTES, &got);
        if (err == OXBOW_EIO) {
            return OXBOW_OK;
        }
    }
    *ok = err == OXBOW_OK && got == PAGE_BYTES;
    return err;
}

bool salvage_take(struct salvage_reader *s, uint64_t number, uint64_t run)
{
    uint64_t i;

    if (number < 2 || number >= s->pages || run > s->pages - number) {
        return false;
    }
    for (i = number; i < number + run; i++) {
        if (salvage_bit(s->seen, i)) {
            return false;
        }
        if (s->free_known && salvage_bit(s->free, i)) {
            s->conflicts++; /* one of the two that claim it is wrong */
            if (!s->trusting) {
                return false;
            }
        }
    }
    for (i = number; i < number + run; i++) {
        salvage_mark(s->seen, i);
    }
    return true;
}

enum oxbow_err salvage_enter(struct salvage_reader *s, uint64_t number, struct salvage_level *l,
                             bool *ok)
{
    enum oxbow_err err;

    *ok = false;
    if (!salvage_take(s, number, 1)) {
        s->gap = true;
        return OXBOW_OK;
    }
    err = salvage_page(s, number, l->page, ok);
    if (err != OXBOW_OK) {
        return err;
    }
    *ok = *ok && page_check(l->page, number, &l->count) && l->count > 0 &&
          l->count <= (PAGE_BYTES - PAGE_HEAD_BYTES) / 2;
    s->gap = s->gap || !*ok;
    l->number = number;
    l->next = 0;
    return OXBOW_OK;
}

/* ---- which tree ---- */

/* The header record of a tree: its first key. */
static enum oxbow_err first_header(struct salvage_reader *s, const struct page_meta *meta,
                                   struct tree_header *out, bool *found)
{
    uint64_t number = meta->main.root;
    size_t depth;

    *found = false;
    for (depth = 0; depth < SALVAGE_LEVELS && number >= 2; depth++) {
        struct page_node n;
        size_t count = 0;
        bool ok;
        enum oxbow_err err = salvage_page(s, number, s->extra, &ok);

        if (err != OXBOW_OK || !ok || !page_check(s->extra, number, &count) || count == 0 ||
            !page_node(s->extra, 0, &n)) {
            return err;
        }
        if (page_flags(s->extra) == PAGE_LEAF) {
            *found = key_compare(n.key, header_key()) == 0 && !n.big &&
                     header_decode(n.data, out) == OXBOW_OK;
            return OXBOW_OK;
        }
        number = n.child;
    }
    return OXBOW_OK;
}

static bool in_a_row(const struct page_meta m[2])
{
    return m[0].txn == 0
               ? m[1].txn <= 1
               : (m[0].txn & 1) == 0 && (m[0].txn + 1 == m[1].txn || m[1].txn + 1 == m[0].txn);
}

static bool is_later(const struct tree_header *a, const struct tree_header *b)
{
    if (a->lsn != b->lsn) {
        return a->lsn > b->lsn;
    }
    return a->boot != b->boot ? a->boot > b->boot : a->next_blob > b->next_blob;
}

/* The newer one of two by their own word, if that can be believed; by their headers if not. */
static unsigned choose(const struct page_meta m[2], const bool ok[2], const struct tree_header h[2],
                       const bool found[2])
{
    if (ok[0] != ok[1]) {
        return ok[1];
    }
    if (in_a_row(m) || found[0] != found[1]) {
        return in_a_row(m) ? m[1].txn > m[0].txn : found[1];
    }
    if (is_later(&h[0], &h[1]) || is_later(&h[1], &h[0])) {
        return is_later(&h[1], &h[0]);
    }
    return m[1].txn > m[0].txn;
}

enum oxbow_err salvage_choose(struct salvage_reader *s)
{
    struct page_meta m[2];
    struct tree_header h[2];
    bool ok[2];
    bool found[2] = {false, false};
    unsigned i;

    memset(m, 0, sizeof m);
    memset(h, 0, sizeof h);
    for (i = 0; i < 2; i++) {
        enum oxbow_err err = salvage_page(s, i, s->extra, &ok[i]);

        if (err != OXBOW_OK) {
            return err;
        }
        ok[i] = ok[i] && page_meta(s->extra, i, &m[i]);
        if (ok[i]) {
            err = first_header(s, &m[i], &h[i], &found[i]);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    if (!ok[0] && !ok[1]) {
        return OXBOW_ECORRUPT;
    }
    i = choose(m, ok, h, found);
    s->meta = m[i];
    s->header_other = !found[i] && found[1 - i];
    s->header = h[found[i] ? i : 1 - i];
    if (ok[0] && ok[1] && m[1 - i].last_page > s->meta.last_page && !in_a_row(m)) {
        s->meta.last_page = m[1 - i].last_page;
    }
    return OXBOW_OK;
}
