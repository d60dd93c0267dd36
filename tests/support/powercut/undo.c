/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The former bytes of every page that is not durable.
 *
 * Each file counts the syncs that started on it (its generation). The first write to a page in a
 * generation saves the page as it was. When a sync ends well, what was saved up to the generation
 * in which it started is dropped; what was saved since stays, because such a write may have come
 * too late for that sync. Rolling back restores each page's oldest image.
 *
 * 1. A page's oldest image is what the device surely holds.
 * 2. A sync that failed drops nothing: neither does a later one cover for it more than it should,
 *    since the images that it left are dropped only by a sync that succeeded.
 */
#include "tests/support/powercut/powercut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 1024u

struct image {
    uint64_t page;
    uint64_t gen;
    uint64_t order; /* of first touch, over all files */
    struct image *next;
    bool kept; /* decided at the cut */
    uint8_t bytes[POWERCUT_PAGE];
};

struct length {
    uint64_t gen;
    uint64_t bytes;
    struct length *next; /* older */
};

struct undo {
    uint64_t gen;
    struct length *lengths; /* newest first */
    uint64_t images;
    bool synced; /* ever, in this process */
    struct image *bucket[BUCKETS];
};

static unsigned lying;
static uint64_t touched, syncs, syncs_running;

uint64_t powercut_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void undo_set_lie(unsigned lie)
{
    lying = lie;
    names_set_lie((lie & POWERCUT_LIE_DIR) != 0);
}

static void *must(void *p)
{
    if (p == NULL) {
        fputs("powercut: out of memory\n", stderr);
        abort();
    }
    return p;
}

static struct undo *undo_of(struct iofile *f)
{
    if (f->user == NULL) {
        struct undo *u = must(calloc(1, sizeof *u));
        u->gen = 1;
        f->user = u;
    }
    return f->user;
}

static uint64_t file_bytes(const struct iofile *f)
{
    struct stat st;
    return fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* The page as the file has it now, zeros past the end. */
static void read_page(const struct iofile *f, uint64_t page, uint8_t out[POWERCUT_PAGE])
{
    ssize_t n = pread(f->fd, out, POWERCUT_PAGE, (off_t)(page * POWERCUT_PAGE));
    size_t have = n > 0 ? (size_t)n : 0;
    memset(out + have, 0, POWERCUT_PAGE - have);
}

/* Saves the pages of a range, once per generation. */
static void save_range(struct iofile *f, uint64_t pos, uint64_t len)
{
    struct undo *u = undo_of(f);
    if (len == 0)
        return;
    for (uint64_t page = pos / POWERCUT_PAGE; page <= (pos + len - 1) / POWERCUT_PAGE; page++) {
        struct image **at = &u->bucket[page % BUCKETS];
        const struct image *i = *at;
        while (i != NULL && (i->page != page || i->gen != u->gen))
            i = i->next;
        if (i != NULL)
            continue;
        struct image *new = must(malloc(sizeof *new));
        *new = (struct image){.page = page, .gen = u->gen, .order = ++touched, .next = *at};
        read_page(f, page, new->bytes);
        *at = new;
        u->images++;
    }
}

static void save_length(struct iofile *f, uint64_t bytes)
{
    struct undo *u = undo_of(f);
    if (u->lengths != NULL && u->lengths->gen == u->gen)
        return;
    struct length *new = must(malloc(sizeof *new));
    *new = (struct length){.gen = u->gen, .bytes = bytes, .next = u->lengths};
    u->lengths = new;
}

void on_write(struct iofile *f, uint64_t pos, const struct iovec *iov, int count, uint64_t len)
{
    (void)iov;
    (void)count;
    uint64_t now = file_bytes(f);
    save_range(f, pos, len);
    if (pos + len > now)
        save_length(f, now);
}

void on_resize(struct iofile *f, uint64_t old, uint64_t size)
{
    if (size < old)
        save_range(f, size, old - size);
    if (size != old)
        save_length(f, old);
}

void on_zero(struct iofile *f, uint64_t pos, uint64_t len)
{
    uint64_t now = file_bytes(f);
    if (pos < now)
        save_range(f, pos, len < now - pos ? len : now - pos);
}

/* ---- syncs ---- */

uint64_t on_sync_begin(struct iofile *f, uint64_t pos, uint64_t len)
{
    (void)pos;
    if ((lying & POWERCUT_LIE_DATA) != 0)
        return 0;
    struct undo *u = undo_of(f);
    syncs_running++;
    return len == IOHOOK_TO_END ? u->gen++ : u->gen;
}

static void drop_images(struct undo *u, uint64_t gen)
{
    for (unsigned b = 0; b < BUCKETS && u->images > 0; b++) {
        struct image **at = &u->bucket[b];
        while (*at != NULL) {
            struct image *i = *at;
            if (i->gen > gen) {
                at = &i->next;
                continue;
            }
            *at = i->next;
            free(i);
            u->images--;
        }
    }
}

static void drop_lengths(struct undo *u, uint64_t gen)
{
    struct length **at = &u->lengths;
    while (*at != NULL) {
        struct length *l = *at;
        if (l->gen > gen) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        free(l);
    }
}

/* The range is durable as it stands: writes it into the images of one page, and drops those that no
 * longer differ from the file. */
static void settle_page(struct iofile *f, uint64_t page, uint64_t from, uint64_t to)
{
    struct undo *u = undo_of(f);
    uint8_t now[POWERCUT_PAGE];
    read_page(f, page, now);
    uint64_t start = page * POWERCUT_PAGE;
    size_t a = from > start ? (size_t)(from - start) : 0;
    size_t b = to < start + POWERCUT_PAGE ? (size_t)(to - start) : POWERCUT_PAGE;
    struct image **at = &u->bucket[page % BUCKETS];
    while (*at != NULL) {
        struct image *i = *at;
        if (i->page == page)
            memcpy(i->bytes + a, now + a, b - a);
        if (i->page != page || memcmp(i->bytes, now, POWERCUT_PAGE) != 0) {
            at = &i->next;
            continue;
        }
        *at = i->next;
        free(i);
        u->images--;
    }
}

static void settle_range(struct iofile *f, uint64_t pos, uint64_t len)
{
    uint64_t end = pos + len;
    for (uint64_t page = pos / POWERCUT_PAGE; len > 0 && page * POWERCUT_PAGE < end; page++)
        settle_page(f, page, pos, end);
    uint64_t now = file_bytes(f);
    for (struct length *l = undo_of(f)->lengths; l != NULL; l = l->next)
        if (l->bytes < end && end <= now)
            l->bytes = end;
}

void on_sync_end(struct iofile *f, uint64_t token, uint64_t pos, uint64_t len)
{
    struct undo *u = undo_of(f);
    syncs_running--;
    syncs++;
    u->synced = true;
    if (len != IOHOOK_TO_END) {
        settle_range(f, pos, len);
        return;
    }
    drop_images(u, token);
    drop_lengths(u, token);
}

void on_sync_fail(struct iofile *f, uint64_t token)
{
    (void)f;
    (void)token;
    syncs_running--;
}

/* ---- the cut ---- */

static const struct length *durable_length(const struct undo *u)
{
    const struct length *l = u->lengths;
    while (l != NULL && l->next != NULL)
        l = l->next;
    return l;
}

/* Whether an older image of the same page exists: only the oldest is what the device holds. */
static bool has_older(const struct undo *u, const struct image *i)
{
    const struct image *other = u->bucket[i->page % BUCKETS];
    while (other != NULL && (other->page != i->page || other->gen >= i->gen))
        other = other->next;
    return other != NULL;
}

static void restore_page(struct iofile *f, const struct image *i, enum powercut_mode mode,
                         bool keep, uint64_t *random, struct powercut_report *report)
{
    uint8_t now[POWERCUT_PAGE];
    read_page(f, i->page, now);
    uint64_t lost = 0;
    for (size_t s = 0; s < POWERCUT_PAGE; s += POWERCUT_SECTOR) {
        if (mode == POWERCUT_SECTORS)
            keep = (powercut_random(random) & 1) != 0;
        if (keep || memcmp(now + s, i->bytes + s, POWERCUT_SECTOR) == 0)
            continue;
        memcpy(now + s, i->bytes + s, POWERCUT_SECTOR);
        lost += POWERCUT_SECTOR;
    }
    report->bytes_lost += lost;
    *(lost > 0 ? &report->pages_lost : &report->pages_kept) += 1;
    if (lost > 0 &&
        pwrite(f->fd, now, POWERCUT_PAGE, (off_t)(i->page * POWERCUT_PAGE)) != POWERCUT_PAGE) {
        perror("powercut: roll-back");
        abort();
    }
}

struct chance {
    enum powercut_mode mode;
    uint64_t random;
    uint64_t part;  /* of 256: how likely a page is kept */
    uint64_t limit; /* prefix: images up to this order are kept */
};

static bool keeps(struct chance *c, const struct image *i)
{
    if (c->mode == POWERCUT_PAGES)
        return powercut_random(&c->random) % 256 < c->part;
    return c->mode == POWERCUT_PREFIX && i->order <= c->limit;
}

static void undo_file(struct iofile *f, struct chance *c, struct powercut_report *report)
{
    struct undo *u = f->user;
    uint64_t now = file_bytes(f);
    const struct length *was = durable_length(u);
    uint64_t end = now;
    if (was != NULL && (c->mode == POWERCUT_DROP || (powercut_random(&c->random) & 1) != 0))
        end = was->bytes;
    for (unsigned b = 0; b < BUCKETS && u->images > 0; b++)
        for (const struct image *i = u->bucket[b]; i != NULL; i = i->next)
            if (!has_older(u, i))
                restore_page(f, i, c->mode, keeps(c, i), &c->random, report);
    if (ftruncate(f->fd, (off_t)end) != 0) {
        perror("powercut: roll-back");
        abort();
    }
    if (end < now)
        report->bytes_lost += now - end;
}

void undo_all(enum powercut_mode mode, uint64_t seed, struct powercut_report *report)
{
    struct chance c = {.mode = mode, .random = seed};
    if (mode == POWERCUT_MIX)
        c.mode = (enum powercut_mode)(powercut_random(&c.random) % POWERCUT_MIX);
    c.part = powercut_random(&c.random) % 257;
    c.limit = touched == 0 ? 0 : powercut_random(&c.random) % (touched + 1);
    *report = (struct powercut_report){.in_sync = syncs_running, .syncs = syncs};
    for (struct iofile *f = iohook_files(); f != NULL; f = f->next) {
        const struct undo *u = f->user;
        if (u == NULL || (u->images == 0 && u->lengths == NULL))
            continue;
        report->files++;
        report->mid_commit = report->mid_commit || u->synced;
        if (c.mode != POWERCUT_KEEP)
            undo_file(f, &c, report);
        else
            report->pages_kept += u->images;
    }
    report->mid_commit = report->mid_commit || syncs_running > 0;
    names_undo(c.mode, &c.random, report);
}
