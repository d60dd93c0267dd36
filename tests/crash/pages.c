/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the file as bytes, from the layout alone:
 *
 *   page   0 number u64 | 8 pad u16 | 10 flags u16 | 12 lower u16, 14 upper u16 (overflow: count
 * u32) | 16 offsets of nodes u16 ... meta   16 magic u32 | 20 version u32 | 24 address u64 | 32 map
 * bytes u64 | 40 free tree | 88 main tree | 136 last page u64 | 144 txn u64 tree   0 pad u32 | 4
 * flags u16 | 6 depth u16 | 8 branch u64 | 16 leaf u64 | 24 overflow u64 | 32 entries u64 | 40 root
 * u64 node   0 lo u16 | 2 hi u16 | 4 flags u16 | 6 key length u16 | 8 key, data
 *
 * In a leaf lo and hi are the data's length; in a branch lo, hi and flags are the child's number.
 * Pages are marked as they are met, so no damage can make the walk endless; what waits to be walked
 * stands in a list, not on the stack.
 */
#include "tests/crash/pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE       4096u
#define HEADER     16u
#define MAGIC      0xBEEFC0DEu
#define NO_PAGE    UINT64_MAX
#define F_BRANCH   0x01u
#define F_LEAF     0x02u
#define F_OVERFLOW 0x04u
#define N_BIG      0x01u
#define N_TREE     0x02u

struct todo {
    uint64_t page;
    unsigned depth; /* levels below the root */
};

struct walk {
    const uint8_t *file;
    uint64_t pages; /* in the file */
    uint64_t last;
    uint8_t *owner; /* per page: 0 nobody yet */
    struct todo *todo;
    size_t todo_count;
    uint64_t trees[64]; /* offsets of sub-trees' records in the file */
    size_t trees_count;
    struct pages_report *report;
};

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

static bool fault(struct walk *w, const char *what, uint64_t page)
{
    if (w->report->fault[0] == '\0')
        snprintf(w->report->fault, sizeof w->report->fault, "%s (page %llu)", what,
                 (unsigned long long)page);
    return false;
}

static const uint8_t *page_at(const struct walk *w, uint64_t page)
{
    return w->file + page * PAGE;
}

/* Takes `count` pages for one owner. */
static bool own(struct walk *w, uint64_t page, uint64_t count)
{
    if (page < 2 || count == 0 || page > w->last || count > w->last - page + 1)
        return fault(w, "a page outside the file is referred to", page);
    if (page + count > w->pages)
        return fault(w, "a page in use lies behind the end of the file", page);
    for (uint64_t i = page; i < page + count; i++) {
        if (w->owner[i] != 0)
            return fault(w, "a page has two owners", i);
        w->owner[i] = 1;
    }
    return true;
}

struct tree {
    uint64_t branch, leaf, overflow, entries, root;
    unsigned depth;
    bool free_list;
};

static struct tree tree_read(const uint8_t *p)
{
    return (struct tree){.depth = u16(p + 6),
                         .branch = u64(p + 8),
                         .leaf = u64(p + 16),
                         .overflow = u64(p + 24),
                         .entries = u64(p + 32),
                         .root = u64(p + 40)};
}

static const uint8_t *node_at(struct walk *w, uint64_t page, unsigned idx, unsigned least)
{
    const uint8_t *p = page_at(w, page);
    unsigned at = u16(p + HEADER + 2 * idx);
    if (at < u16(p + 14) || at + least > PAGE || at + 8u + u16(p + at + 6) > PAGE) {
        fault(w, "a node reaches out of its page", page);
        return NULL;
    }
    return p + at;
}

/* The free list's entry: a count, then that many page numbers. */
static bool take_free(struct walk *w, const uint8_t *data, uint64_t len, uint64_t page)
{
    uint64_t count = len < 8 ? 0 : u64(data);
    if (len < 8 || count > len / 8 - 1)
        return fault(w, "a free list record is cut short", page);
    for (uint64_t i = 1; i <= count; i++)
        if (!own(w, u64(data + 8 * i), 1))
            return false;
    w->report->free_listed += count;
    return true;
}

static bool take_leaf_node(struct walk *w, struct tree *found, uint64_t page, unsigned idx)
{
    const uint8_t *n = node_at(w, page, idx, 8);
    if (n == NULL)
        return false;
    uint64_t len = u32(n);
    unsigned flags = u16(n + 4);
    const uint8_t *data = n + 8 + u16(n + 6);
    found->entries++;
    if ((flags & N_BIG) != 0) {
        uint64_t at = u64(data), count = (len + HEADER + PAGE - 1) / PAGE;
        if (!own(w, at, count))
            return false;
        if (u16(page_at(w, at) + 10) != F_OVERFLOW || u64(page_at(w, at)) != at ||
            u32(page_at(w, at) + 12) != count)
            return fault(w, "an overflow page does not say that it is one", at);
        found->overflow += count;
        data = page_at(w, at) + HEADER;
    } else if (data + len > page_at(w, page) + PAGE) {
        return fault(w, "a value reaches out of its page", page);
    }
    if ((flags & N_TREE) != 0) {
        if (len != 48 || w->trees_count == 64)
            return fault(w, "a sub-tree's record is wrong", page);
        w->trees[w->trees_count++] = (uint64_t)(data - w->file);
    }
    return !found->free_list || take_free(w, data, len, page);
}

/* Keys of a page rise; the first of a branch page is empty. The free tree's are integers. */
static bool keys_rise(struct walk *w, const struct tree *t, uint64_t page, unsigned count,
                      bool branch)
{
    for (unsigned i = branch ? 2 : 1; i < count; i++) {
        const uint8_t *a = node_at(w, page, i - 1, 8), *b = node_at(w, page, i, 8);
        if (a == NULL || b == NULL)
            return false;
        unsigned la = u16(a + 6), lb = u16(b + 6);
        int c = memcmp(a + 8, b + 8, la < lb ? la : lb);
        bool rise = c < 0 || (c == 0 && la < lb);
        if (t->free_list)
            rise = la == 8 && lb == 8 && u64(a + 8) < u64(b + 8);
        if (!rise)
            return fault(w, "keys are out of order", page);
    }
    return true;
}

static bool take_page(struct walk *w, struct tree *found, struct todo at, unsigned depth)
{
    if (!own(w, at.page, 1))
        return false;
    const uint8_t *p = page_at(w, at.page);
    bool branch = u16(p + 10) == F_BRANCH;
    unsigned lower = u16(p + 12), upper = u16(p + 14), count = (lower - HEADER) / 2;
    if (u64(p) != at.page || (!branch && u16(p + 10) != F_LEAF))
        return fault(w, "a tree page does not say that it is one", at.page);
    if (lower < HEADER || lower > upper || upper > PAGE || count == 0)
        return fault(w, "a tree page's bounds are wrong", at.page);
    if ((at.depth == depth) == branch)
        return fault(w, "a leaf is not as deep as the others", at.page);
    if (!keys_rise(w, found, at.page, count, branch))
        return false;
    *(branch ? &found->branch : &found->leaf) += 1;
    for (unsigned i = 0; i < count; i++) {
        if (!branch) {
            if (!take_leaf_node(w, found, at.page, i))
                return false;
            continue;
        }
        const uint8_t *n = node_at(w, at.page, i, 8);
        if (n == NULL)
            return false;
        if (w->todo_count > w->last)
            return fault(w, "more pages are referred to than there are", at.page);
        w->todo[w->todo_count++] =
            (struct todo){(uint64_t)u32(n) | (uint64_t)u16(n + 4) << 32, at.depth + 1};
    }
    return true;
}

static bool take_tree(struct walk *w, uint64_t record, bool free_list)
{
    struct tree t = tree_read(w->file + record);
    struct tree found = {.free_list = free_list};
    w->todo_count = 0;
    if (t.root != NO_PAGE)
        w->todo[w->todo_count++] = (struct todo){t.root, 1};
    while (w->todo_count > 0)
        if (!take_page(w, &found, w->todo[--w->todo_count], t.depth))
            return false;
    w->report->branch += found.branch;
    w->report->leaf += found.leaf;
    w->report->overflow += found.overflow;
    w->report->entries += found.entries;
    if (found.branch != t.branch || found.leaf != t.leaf || found.overflow != t.overflow ||
        found.entries != t.entries)
        return fault(w, "a tree's counts are wrong", record / PAGE);
    return true;
}

static bool walk_file(struct walk *w)
{
    if (w->pages < 2)
        return fault(w, "there are no meta pages", 0);
    for (unsigned i = 0; i < 2; i++)
        if (u32(page_at(w, i) + 16) != MAGIC || u32(page_at(w, i) + 20) != 1)
            return fault(w, "a meta page is not one", i);
    unsigned newest = u64(page_at(w, 1) + 144) > u64(page_at(w, 0) + 144) ? 1 : 0;
    w->last = w->report->last = u64(page_at(w, newest) + 136);
    if (w->last + 1 > w->pages || w->last < 1)
        return fault(w, "the last page lies behind the end of the file", w->last);
    w->owner = calloc((size_t)w->last + 1, 1);
    w->todo = calloc((size_t)w->last + 2, sizeof *w->todo);
    if (w->owner == NULL || w->todo == NULL)
        return fault(w, "out of memory", 0);
    uint64_t meta = (uint64_t)newest * PAGE;
    if (!take_tree(w, meta + 40, true) || !take_tree(w, meta + 88, false))
        return false;
    for (size_t i = 0; i < w->trees_count; i++)
        if (!take_tree(w, w->trees[i], false))
            return false;
    for (uint64_t i = 2; i <= w->last; i++)
        if (w->owner[i] == 0)
            return fault(w, "a page has no owner", i);
    return true;
}

/* How much of the file the walk can come to: up to the last page in use, which walk_file checks. */
static size_t bytes_used(int fd, size_t len)
{
    uint8_t meta[2][160];
    uint64_t last = 1;
    for (unsigned i = 0; i < 2; i++)
        if (pread(fd, meta[i], sizeof meta[i], (off_t)i * PAGE) != (ssize_t)sizeof meta[i])
            return len;
        else if (u64(meta[i] + 136) > last)
            last = u64(meta[i] + 136);
    return last < len / PAGE ? (size_t)(last + 1) * PAGE : len;
}

bool pages_check(const char *path, struct pages_report *report)
{
    *report = (struct pages_report){0};
    struct walk w = {.report = report};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    size_t len = fd < 0 ? 0 : bytes_used(fd, (size_t)end);
    uint8_t *bytes = malloc(len + 1);
    bool ok = fd >= 0 && bytes != NULL && pread(fd, bytes, len, 0) == (ssize_t)len;
    w.file = bytes;
    w.pages = (uint64_t)len / PAGE;
    ok = ok ? walk_file(&w) : fault(&w, "the file cannot be read", 0);
    free(bytes);
    free(w.owner);
    free(w.todo);
    if (fd >= 0)
        close(fd);
    return ok;
}
