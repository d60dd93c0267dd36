/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what is intact out of a damaged data file. It knows pages and keys, writes nothing, and has
 * no opinion on what a key means.
 *
 * Two ways to read, the first of which is believed only if it is proven:
 *   trusting  every page that the tree leads to is taken, in whatever order its keys are. When number
 *             and digest of all keys found are those that the header has on record, and no page is on
 *             the list of free ones, these are the keys that there were, and what was damaged
 *             decided nothing.
 *   strict    only pages and nodes are taken that fit their place: number, order, bounds, not on
 *             the list of free pages. Where a page is lost that leads to others, those are looked
 *             for: when the list of free pages is sound, a page that is neither free nor reached
 *             belongs to the tree, and its keys lie in what is missing. A page left from an earlier
 *             commit looks like one of this, with other values: see adoptable.
 *
 * Invariants: (1) No value is given whose checksum, over key and value, does not fit. (2) A page is
 * entered at most once, and the stack has SALVAGE_LEVELS pages: every read ends. (3) In a strict read
 * keys rise, so what is lost lies between the last key that was accepted and the next one.
 */
#include "engine/store/salvage_page.h"

#include "engine/base/buf.h"
#include "engine/base/hash.h"
#include "engine/store/envelope.h"
#include "engine/store/memtable.h"

#include <string.h>

#define PAGES_MAX ((uint64_t)1 << 34) /* 64 TiB: a bit for each fits a size_t */

static struct oxbow_bytes bound_bytes(const struct key_bound *b)
{
    return (struct oxbow_bytes){b->key, b->len};
}

static bool key_fits(struct oxbow_bytes key)
{
    return key.len > 0 && key.len <= KV_KEY_MAX;
}

static void bound_set(struct key_bound *b, struct oxbow_bytes key)
{
    memcpy(b->key, key.data, key.len);
    b->len = (uint8_t)key.len;
}

/* ---- what is lost ---- */

static void range_add(struct salvage_reader *s, struct oxbow_bytes low, struct oxbow_bytes high)
{
    struct salvage_range *r;

    if (s->range_count == SALVAGE_RANGES_MAX) {
        r = &s->ranges[SALVAGE_RANGES_MAX - 1]; /* what lies between is told as lost, too */
    } else {
        r = &s->ranges[s->range_count++];
        memset(r, 0, sizeof *r);
        r->low_len = (uint8_t)low.len;
        if (low.len > 0) {
            memcpy(r->low, low.data, low.len);
        }
    }
    r->high_len = (uint8_t)high.len;
    if (high.len > 0) {
        memcpy(r->high, high.data, high.len);
    }
}

static void range_add_key(struct salvage_reader *s, struct oxbow_bytes key)
{
    uint8_t after[KV_KEY_MAX + 1];

    memcpy(after, key.data, key.len);
    after[key.len] = 0;
    range_add(s, key, (struct oxbow_bytes){after, key.len + 1});
}

static void range_close(struct salvage_reader *s, struct oxbow_bytes next)
{
    if (s->gap) {
        range_add(s, (struct oxbow_bytes){s->last, s->last_len}, next);
        s->gap = false;
    }
}

static bool in_ranges(const struct salvage_reader *s, struct oxbow_bytes key)
{
    size_t i;

    for (i = 0; i < s->range_count; i++) {
        const struct salvage_range *r = &s->ranges[i];

        if (key_compare(key, (struct oxbow_bytes){r->low, r->low_len}) > 0 &&
            (r->high_len == 0 ||
             key_compare(key, (struct oxbow_bytes){r->high, r->high_len}) < 0)) {
            return true;
        }
    }
    return false;
}

/* ---- values ---- */

/* Reads a value of several pages in pieces, into s->value if `keep`. */
static enum oxbow_err overflow_read(struct salvage_reader *s, const struct page_node *n, bool keep,
                                    uint32_t *sum, uint32_t *want)
{
    uint64_t number = n->overflow;
    size_t pos = 0;
    size_t skip = PAGE_HEAD_BYTES;
    bool ok;

    *sum = crc32c(0, n->key.data, n->key.len);
    *want = 0;
    while (pos < n->data_len) {
        size_t len = PAGE_BYTES - skip < n->data_len - pos ? PAGE_BYTES - skip : n->data_len - pos;
        const uint8_t *p = s->extra + skip;
        size_t head = pos == 0 ? 4 : 0;
        enum oxbow_err err = salvage_page(s, number++, s->extra, &ok);

        if (err != OXBOW_OK) {
            return err;
        }
        if (!ok) {
            memset(s->extra, 0, PAGE_BYTES);
            *sum = ~*sum; /* will not fit */
        }
        if (head > 0) {
            *want =
                (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        }
        *sum = crc32c(*sum, p + head, len - head);
        if (keep) {
            memcpy(s->value + pos, p, len);
        }
        pos += len;
        skip = 0;
    }
    return OXBOW_OK;
}

static enum oxbow_err value_room(struct salvage_reader *s, size_t len)
{
    const struct oxbow_alloc *alloc = &s->port->alloc;

    if (len > s->value_bytes) {
        mem_free(alloc, s->value, s->value_bytes);
        s->value_bytes = len;
        s->value = mem_new(alloc, len);
        if (s->value == NULL) {
            s->value_bytes = 0;
            return OXBOW_ENOMEM;
        }
    }
    return OXBOW_OK;
}

/* The value of a leaf's node; *ok says whether it is good, *value is borrowed until the next. */
static enum oxbow_err node_value(struct salvage_reader *s, const struct page_node *n,
                                 struct oxbow_bytes *value, bool *ok)
{
    uint64_t run = (PAGE_HEAD_BYTES - 1 + n->data_len) / PAGE_BYTES + 1;
    uint32_t sum;
    uint32_t want;
    enum oxbow_err err;

    *ok = false;
    if (!n->big) {
        *ok = envelope_get(crc32c, n->key, n->data, value) == OXBOW_OK;
        return OXBOW_OK;
    }
    if (n->data_len < ENVELOPE_BYTES || n->data_len > SALVAGE_VALUE_MAX ||
        !salvage_take(s, n->overflow, run)) {
        return OXBOW_OK;
    }
    err = overflow_read(s, n, false, &sum, &want); /* before memory is asked for */
    if (err != OXBOW_OK || sum != want) {
        return err;
    }
    err = value_room(s, n->data_len);
    if (err == OXBOW_OK) {
        err = overflow_read(s, n, true, &sum, &want);
    }
    if (err == OXBOW_OK) {
        *ok = envelope_get(crc32c, n->key, (struct oxbow_bytes){s->value, n->data_len}, value) ==
              OXBOW_OK;
    }
    return err;
}

/* ---- keys ---- */

static void count_key(struct salvage_reader *s, struct oxbow_bytes key)
{
    s->keys++;
    s->digest += hash64(key.data, key.len, 0);
}

static void take_header(struct salvage_reader *s, const struct page_node *n)
{
    struct tree_header h;

    if (!n->big && header_decode(n->data, &h) == OXBOW_OK) {
        s->header = h;
        s->header_found = true;
        s->header_other = false;
    } else {
        s->gap = true;
    }
}

/* A key whose place is right. */
static enum oxbow_err take_node(struct salvage_reader *s, const struct page_node *n, bool adopted)
{
    struct oxbow_bytes value;
    bool ok = false;
    enum oxbow_err err;

    if (key_compare(n->key, header_key()) == 0) {
        take_header(s, n);
        return OXBOW_OK;
    }
    if (s->counting) {
        count_key(s, n->key);
        return OXBOW_OK;
    }
    err = node_value(s, n, &value, &ok);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!ok) {
        s->values_bad++;
        if (s->trusting) {
            count_key(s, n->key);
            range_add_key(s, n->key);
        } else {
            s->gap = true;
        }
        return OXBOW_OK;
    }
    if (!s->trusting && !adopted) {
        range_close(s, n->key);
        memcpy(s->last, n->key.data, n->key.len);
        s->last_len = (uint8_t)n->key.len;
    }
    count_key(s, n->key);
    return s->sink->item(s->sink->ctx, n->key, value);
}

/* Whether a key is where it belongs: above the last one, and within the leaf's bounds. */
static bool in_place(const struct salvage_reader *s, const struct salvage_level *l,
                     struct oxbow_bytes key)
{
    return key_fits(key) && key_compare(key, (struct oxbow_bytes){s->last, s->last_len}) > 0 &&
           (l->low.len == 0 || key_compare(key, bound_bytes(&l->low)) >= 0) &&
           (l->high.len == 0 || key_compare(key, bound_bytes(&l->high)) < 0);
}

/* Whether the idx-th node, whose key this is, leads to where a later one should: the next one lies
 * below it, and is in place. */
static bool ahead_of_next(const struct salvage_reader *s, const struct salvage_level *l, size_t idx,
                          struct oxbow_bytes key)
{
    struct page_node next;

    return idx + 1 < l->count && page_node(l->page, idx + 1, &next) && in_place(s, l, next.key) &&
           key_compare(next.key, key) < 0;
}

/* What a page's head hides, or what nothing of it leads to any more, would come last in it. */
static void gap_if_hidden(struct salvage_reader *s, const struct salvage_level *l)
{
    if (!s->trusting && !page_packed(l->page, l->count)) {
        s->gap = true;
    }
}

static enum oxbow_err read_leaf(struct salvage_reader *s, const struct salvage_level *l)
{
    size_t i;

    for (i = 0; i < l->count; i++) {
        struct page_node n;
        enum oxbow_err err = OXBOW_OK;
        bool fits = page_node(l->page, i, &n) && key_fits(n.key);

        if (fits && !s->trusting) {
            fits = in_place(s, l, n.key) && !ahead_of_next(s, l, i, n.key);
        }
        if (fits) {
            err = take_node(s, &n, false);
        } else {
            s->gap = true;
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* ---- the tree ---- */

/* The bounds of a branch's child: the nearest keys beside it that make sense. */
static void child_bounds(const struct salvage_level *l, size_t idx, struct key_bound *low,
                         struct key_bound *high)
{
    struct page_node n;
    size_t i;

    *low = l->low;
    *high = l->high;
    for (i = 1; i <= idx; i++) {
        if (page_node(l->page, i, &n) && key_fits(n.key) &&
            (low->len == 0 || key_compare(n.key, bound_bytes(low)) > 0) &&
            (l->high.len == 0 || key_compare(n.key, bound_bytes(&l->high)) < 0)) {
            bound_set(low, n.key);
        }
    }
    for (i = idx + 1; i < l->count; i++) {
        if (page_node(l->page, i, &n) && key_fits(n.key) &&
            (low->len == 0 || key_compare(n.key, bound_bytes(low)) > 0) &&
            (l->high.len == 0 || key_compare(n.key, bound_bytes(&l->high)) < 0)) {
            bound_set(high, n.key);
            return;
        }
    }
}

static enum oxbow_err read_children(struct salvage_reader *s)
{
    size_t depth = 0;

    for (;;) {
        struct salvage_level *l = &s->levels[depth];
        struct page_node n;
        enum oxbow_err err = OXBOW_OK;
        bool ok = false;

        if (page_flags(l->page) == PAGE_LEAF) {
            err = read_leaf(s, l);
            l->next = l->count;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (l->next == l->count) {
            gap_if_hidden(s, l);
            if (depth == 0) {
                return OXBOW_OK;
            }
            depth--;
            continue;
        }
        if (!page_node(l->page, l->next, &n) || depth + 1 == SALVAGE_LEVELS) {
            s->gap = true;
            l->next++;
            continue;
        }
        child_bounds(l, l->next, &s->levels[depth + 1].low, &s->levels[depth + 1].high);
        l->next++;
        err = salvage_enter(s, n.child, &s->levels[depth + 1], &ok);
        if (err != OXBOW_OK) {
            return err;
        }
        depth += ok ? 1 : 0;
    }
}

static enum oxbow_err read_tree(struct salvage_reader *s)
{
    struct salvage_level *root = &s->levels[0];
    bool ok;
    enum oxbow_err err;

    memset(s->seen, 0, s->map_bytes);
    s->keys = 0;
    s->digest = 0;
    s->values_bad = 0;
    s->conflicts = 0;
    s->range_count = 0;
    s->gap = false;
    s->last_len = 0;
    s->header_found = false;
    if (s->meta.main.root == PAGE_NONE) {
        return OXBOW_OK;
    }
    root->low.len = 0;
    root->high.len = 0;
    err = salvage_enter(s, s->meta.main.root, root, &ok);
    if (err == OXBOW_OK && ok) {
        err = read_children(s);
    }
    if (err == OXBOW_OK) {
        range_close(s, (struct oxbow_bytes){NULL, 0});
    }
    return err;
}

/* ---- pages that nothing leads to ---- */

static enum oxbow_err adopt_leaf(struct salvage_reader *s, const struct salvage_level *l)
{
    size_t i;

    for (i = 0; i < l->count; i++) {
        struct page_node n;
        enum oxbow_err err = OXBOW_OK;

        if (page_node(l->page, i, &n) && key_fits(n.key) && in_ranges(s, n.key)) {
            err = take_node(s, &n, true);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* Whether pages that nothing leads to may be taken for the tree's. Where the tree leads to a free page
 * and one page is left over, nobody can say which of the two is of this commit. A wrong number in the
 * list leaves one over, and a wrong way down the tree as many as it should have led to. */
static bool adoptable(const struct salvage_reader *s)
{
    uint64_t last = s->meta.last_page < s->pages ? s->meta.last_page : s->pages - 1;
    uint64_t over = 0;
    uint64_t number;

    if (!s->free_known || s->range_count == 0 || s->conflicts == 0) {
        return s->free_known && s->range_count > 0;
    }
    for (number = 2; number <= last; number++) {
        over += !salvage_bit(s->seen, number) && !salvage_bit(s->free, number);
    }
    return over > 1;
}

static enum oxbow_err adopt(struct salvage_reader *s)
{
    uint64_t last = s->meta.last_page < s->pages ? s->meta.last_page : s->pages - 1;
    struct salvage_level *l = &s->levels[0];
    uint64_t number;

    for (number = 2; number <= last; number++) {
        enum oxbow_err err;
        bool ok;

        if (salvage_bit(s->seen, number) || salvage_bit(s->free, number)) {
            continue;
        }
        err = salvage_page(s, number, l->page, &ok);
        if (err != OXBOW_OK) {
            return err;
        }
        if (!ok) {
            continue;
        }
        if (page_number(l->page) == number && page_flags(l->page) == PAGE_OVERFLOW &&
            page_run(l->page) > 1) {
            number += page_run(l->page) - 1; /* what follows is a value's middle */
            continue;
        }
        if (!page_check(l->page, number, &l->count) || page_flags(l->page) != PAGE_LEAF) {
            continue;
        }
        salvage_mark(s->seen, number);
        err = adopt_leaf(s, l);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err salvage_init(struct salvage_reader *s, const struct oxbow_port *port, int fd,
                            bool unreadable_is_lost)
{
    const struct oxbow_alloc *alloc = &port->alloc;
    uint64_t bytes = 0;
    enum oxbow_err err = port->files.size(port->files.ctx, fd, &bytes);

    memset(s, 0, sizeof *s);
    s->port = port;
    s->fd = fd;
    s->unreadable_is_lost = unreadable_is_lost;
    if (err != OXBOW_OK) {
        return err;
    }
    s->pages = bytes / PAGE_BYTES;
    if (s->pages > PAGES_MAX) {
        return OXBOW_EFORMAT;
    }
    s->map_bytes = (size_t)(s->pages / 8 + 1);
    s->levels = mem_new(alloc, SALVAGE_LEVELS * sizeof *s->levels);
    s->ranges = mem_new(alloc, SALVAGE_RANGES_MAX * sizeof *s->ranges);
    s->extra = mem_new(alloc, PAGE_BYTES);
    s->seen = mem_new(alloc, s->map_bytes);
    s->free = mem_new(alloc, s->map_bytes);
    if (s->levels == NULL || s->ranges == NULL || s->extra == NULL || s->seen == NULL ||
        s->free == NULL) {
        return OXBOW_ENOMEM;
    }
    return salvage_choose(s);
}

void salvage_fini(struct salvage_reader *s)
{
    const struct oxbow_alloc *alloc = &s->port->alloc;

    mem_free(alloc, s->levels, SALVAGE_LEVELS * sizeof *s->levels);
    mem_free(alloc, s->ranges, SALVAGE_RANGES_MAX * sizeof *s->ranges);
    mem_free(alloc, s->extra, PAGE_BYTES);
    mem_free(alloc, s->seen, s->map_bytes);
    mem_free(alloc, s->free, s->map_bytes);
    mem_free(alloc, s->value, s->value_bytes);
}

/* ---- all of it ---- */

static bool all_there(const struct salvage_reader *s, const struct tree_header *h)
{
    return s->header_found && s->keys == h->keys && s->digest == h->digest;
}

enum oxbow_err salvage_read(struct salvage_reader *s, const struct salvage_sink *sink)
{
    struct tree_header other = s->header;
    bool has_other = s->header_other;
    bool proven;
    enum oxbow_err err = salvage_free(s);

    s->sink = sink;
    s->trusting = true;
    s->counting = true;
    if (err == OXBOW_OK) {
        err = read_tree(s);
    }
    proven = all_there(s, &s->header) && s->conflicts == 0;
    s->counting = false;
    s->trusting = proven;
    if (err == OXBOW_OK) {
        err = read_tree(s);
    }
    if (err == OXBOW_OK && !proven && adoptable(s)) {
        err = adopt(s);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    s->complete = proven || all_there(s, &s->header) ||
                  (s->meta.main.root == PAGE_NONE && s->meta.txn == 0); /* never written to */
    if (s->complete && !proven) {
        s->range_count = 0;
    }
    if (!s->complete && s->range_count == 0) {
        range_add(s, (struct oxbow_bytes){NULL, 0}, (struct oxbow_bytes){NULL, 0}); /* somewhere */
    }
    if (!s->header_found) {
        s->header = other;
        s->header_other = has_other;
    }
    return OXBOW_OK;
}
