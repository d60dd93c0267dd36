/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the list of free pages of a damaged data file. One that is wrong in any way is not believed at
 * all: what it says decides which pages may be adopted. */
#include "engine/store/salvage_page.h"

#include <string.h>

/* A record: how many pages, then their numbers, falling. *ok is false when it makes no sense. */
static enum oxbow_err free_record(struct salvage_reader *s, const struct page_node *n, bool *ok)
{
    const uint8_t *p = n->data.data;
    uint64_t number = n->overflow;
    size_t in_page = n->data_len;
    size_t word = 0;
    size_t before = SIZE_MAX;
    size_t left = 0;
    enum oxbow_err err = OXBOW_OK;

    *ok =
        n->key.len == sizeof word && n->data_len >= sizeof word && n->data_len <= SALVAGE_VALUE_MAX;
    if (*ok && n->big) {
        err = salvage_page(s, number, s->extra, ok);
        p = s->extra + PAGE_HEAD_BYTES;
        in_page = PAGE_BYTES - PAGE_HEAD_BYTES;
        *ok = *ok && page_number(s->extra) == number && page_flags(s->extra) == PAGE_OVERFLOW;
    }
    if (err != OXBOW_OK || !*ok) {
        return err;
    }
    memcpy(&left, p, sizeof left);
    *ok = left <= n->data_len / sizeof word - 1;
    for (p += sizeof word, in_page -= sizeof word; *ok && left > 0; left--) {
        if (in_page < sizeof word) {
            err = salvage_page(s, ++number, s->extra, ok);
            if (err != OXBOW_OK || !*ok) {
                return err;
            }
            p = s->extra;
            in_page = PAGE_BYTES;
        }
        memcpy(&word, p, sizeof word);
        p += sizeof word;
        in_page -= sizeof word;
        *ok = word >= 2 && word < s->pages && word < before && !salvage_bit(s->free, word);
        if (*ok) {
            salvage_mark(s->free, word);
        }
        before = word;
    }
    return err;
}

static enum oxbow_err free_leaf(struct salvage_reader *s, const struct salvage_level *l, bool *ok)
{
    struct page_node n;
    size_t key;
    size_t i;

    for (i = 0; i < l->count && *ok; i++) {
        enum oxbow_err err;

        *ok = page_node(l->page, i, &n);
        if (*ok && n.big) {
            uint64_t run = (PAGE_HEAD_BYTES - 1 + n.data_len) / PAGE_BYTES + 1;

            *ok = n.data_len <= SALVAGE_VALUE_MAX && salvage_take(s, n.overflow, run);
        }
        if (!*ok) {
            return OXBOW_OK;
        }
        err = free_record(s, &n, ok);
        if (err != OXBOW_OK) {
            return err;
        }
        if (*ok) {
            memcpy(&key, n.key.data, sizeof key);
            *ok = s->free_entries++ == 0 || key > s->free_newest;
            s->free_newest = key;
        }
    }
    return OXBOW_OK;
}

/* Reads it all; *ok is false, and nothing of it is believed, as soon as something is wrong. */
static enum oxbow_err free_tree(struct salvage_reader *s, bool *ok)
{
    size_t depth = 0;
    enum oxbow_err err = salvage_enter(s, s->meta.free_list.root, &s->levels[0], ok);

    while (err == OXBOW_OK && *ok) {
        struct salvage_level *l = &s->levels[depth];
        struct page_node n;

        if (page_flags(l->page) == PAGE_LEAF) {
            err = free_leaf(s, l, ok);
            l->next = l->count;
            if (err != OXBOW_OK || !*ok) {
                return err;
            }
        }
        if (l->next == l->count) {
            if (depth == 0) {
                return OXBOW_OK;
            }
            depth--;
            continue;
        }
        *ok = page_node(l->page, l->next++, &n) && ++depth < SALVAGE_LEVELS;
        if (*ok) {
            err = salvage_enter(s, n.child, &s->levels[depth], ok);
        }
    }
    return err;
}

enum oxbow_err salvage_free(struct salvage_reader *s)
{
    bool ok = s->meta.free_list.root == PAGE_NONE;
    size_t i;
    enum oxbow_err err = OXBOW_OK;

    memset(s->seen, 0, s->map_bytes);
    memset(s->free, 0, s->map_bytes);
    s->free_known = false;
    s->free_entries = 0;
    s->free_newest = 0;
    s->trusting = false;
    if (!ok) {
        err = free_tree(s, &ok);
        /* Each commit names what it replaced under its own number: an older list is sound, too. */
        ok = ok && s->free_entries == s->meta.free_list.entries && s->free_newest == s->meta.txn;
    }
    for (i = 0; i < s->map_bytes; i++) {
        ok = ok && (s->free[i] & s->seen[i]) == 0;
        s->free[i] |= s->seen[i];
    }
    s->free_known = ok;
    return err;
}
