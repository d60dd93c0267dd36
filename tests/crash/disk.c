/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows a record and builds images.
 *
 * Each file has its base, the bytes that are surely on the device, and the list of its operations
 * since; so have the names. A sync marks those that it covers, and the covered ones at the head of
 * a list move into the base. An image is the base, then the list in order: what is covered always,
 * the rest as the caller chooses. A covered operation behind one in flight stays in the list, so
 * that the order of two writes to the same bytes is kept.
 */
#include "tests/crash/disk.h"

#include "tests/crash/content.h"
#include "tests/support/iohook/iohook.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct op {
    size_t event;
    bool covered;
    bool doomed; /* a sync of it failed: no later one covers it, though the cache may say so */
};

struct ops {
    struct op *at;
    size_t count, cap;
};

struct dfile {
    uint64_t inode;
    struct content base;
    struct ops ops;
    uint64_t bytes_now; /* as the running program sees it */
};

struct name {
    char *path;
    uint64_t inode; /* 0: a directory */
};

struct names {
    struct name *at;
    size_t count, cap;
};

struct disk {
    const struct record *record;
    size_t event;
    struct dfile *files;
    size_t files_count;
    struct names names; /* surely there */
    struct ops changes; /* of names, since */
    struct unit *units;
    size_t units_count, units_cap;
};

struct image_file {
    char *path;
    bool is_dir;
    struct content content;
    struct owned own; /* pages that belong to the image */
};

struct image {
    struct image_file *files;
    size_t count;
    uint64_t hash;
};

/* ---- the disk's lists ---- */

static void apply(struct writer *w, const struct event *e)
{
    if (e->kind == EVENT_WRITE)
        content_write(w, e->pos, e->data, e->len);
    else if (e->kind == EVENT_ZERO)
        content_write(w, e->pos, NULL, e->len);
    else
        content_cut(w, e->pos);
}

static void ops_add(struct ops *ops, size_t event)
{
    if (ops->count == ops->cap) {
        ops->cap = ops->cap == 0 ? 64 : 2 * ops->cap;
        ops->at = lab_grow(ops->at, ops->cap * sizeof *ops->at);
    }
    ops->at[ops->count++] = (struct op){.event = event};
}

static void ops_drop_first(struct ops *ops, size_t count)
{
    if (count == 0)
        return;
    memmove(ops->at, ops->at + count, (ops->count - count) * sizeof *ops->at);
    ops->count -= count;
}

static size_t file_index(struct disk *d, uint64_t inode)
{
    for (size_t i = 0; i < d->files_count; i++)
        if (d->files[i].inode == inode)
            return i;
    d->files = lab_grow(d->files, (d->files_count + 1) * sizeof *d->files);
    d->files[d->files_count] = (struct dfile){.inode = inode};
    return d->files_count++;
}

/* Valid until the next call with another inode. */
static struct dfile *file_of(struct disk *d, uint64_t inode)
{
    size_t idx = file_index(d, inode);
    return &d->files[idx];
}

static void names_set(struct names *n, const char *path, uint64_t inode)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i].path, path) == 0) {
            n->at[i].inode = inode;
            return;
        }
    if (n->count == n->cap) {
        n->cap = n->cap == 0 ? 16 : 2 * n->cap;
        n->at = lab_grow(n->at, n->cap * sizeof *n->at);
    }
    char *copy = strdup(path);
    if (copy == NULL)
        lab_die("memory", "out of it");
    n->at[n->count++] = (struct name){.path = copy, .inode = inode};
}

static void names_unset(struct names *n, const char *path)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i].path, path) == 0) {
            free(n->at[i].path);
            n->at[i] = n->at[--n->count];
            return;
        }
}

static bool names_has(const struct names *n, const char *path)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i].path, path) == 0)
            return true;
    return strcmp(path, DISK_TOP) == 0;
}

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->at[i].path);
    free(n->at);
}

static void names_apply(struct names *n, const struct event *e)
{
    if (e->kind == EVENT_UNLINK || e->kind == EVENT_RMDIR) {
        names_unset(n, e->path);
        return;
    }
    if (e->kind == EVENT_RENAME)
        names_unset(n, e->from);
    names_set(n, e->path, e->kind == EVENT_MKDIR ? 0 : e->file);
}

static void parent_of(const char *path, char out[4096])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(out, path, len);
    out[len] = '\0';
}

/* ---- opening ---- */

static void load_file(struct disk *d, const char *path, uint64_t inode)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        lab_die("cannot read", path);
    struct dfile *f = file_of(d, inode);
    struct writer w = {.content = &f->base};
    uint8_t buf[DISK_PAGE];
    static const uint8_t zeros[DISK_PAGE];
    uint64_t pos = 0;
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0; pos += (uint64_t)n)
        if (memcmp(buf, zeros, (size_t)n) != 0)
            content_write(&w, pos, buf, (uint64_t)n);
    content_resize(&f->base, pos);
    f->bytes_now = pos;
    close(fd);
}

/* What a directory has is added behind what is known, directories among it. */
static void load_dir(struct disk *d, const char *base, const char *below)
{
    char path[4096], name[4096];
    snprintf(path, sizeof path, "%s/%s", base, below);
    DIR *dir = opendir(path);
    if (dir == NULL)
        lab_die("cannot list", path);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int n = snprintf(name, sizeof name, "%s%s%s", below, *below == '\0' ? "" : "/", e->d_name);
        int m = snprintf(path, sizeof path, "%s/%s", base, name);
        struct stat st;
        if (n < 0 || m < 0 || (size_t)m >= sizeof path || lstat(path, &st) != 0)
            lab_die("cannot look at", path);
        names_set(&d->names, name, S_ISDIR(st.st_mode) ? 0 : st.st_ino);
        if (S_ISREG(st.st_mode))
            load_file(d, path, st.st_ino);
    }
    closedir(dir);
}

struct disk *disk_open(const struct record *record, const char *base)
{
    struct disk *d = lab_alloc(sizeof *d);
    d->record = record;
    if (base == NULL)
        return d;
    load_dir(d, base, "");
    for (size_t i = 0; i < d->names.count; i++)
        if (d->names.at[i].inode == 0)
            load_dir(d, base, d->names.at[i].path);
    return d;
}

void disk_close(struct disk *d)
{
    for (size_t i = 0; i < d->files_count; i++) {
        struct content *c = &d->files[i].base;
        for (size_t p = 0; p < c->count; p++)
            free(c->pages[p]);
        free(c->pages);
        free(c->hashes);
        free(d->files[i].ops.at);
    }
    free(d->files);
    names_free(&d->names);
    free(d->changes.at);
    free(d->units);
    free(d);
}

/* ---- advancing ---- */

static void settle_file(struct disk *d, struct dfile *f)
{
    size_t n = 0;
    struct writer w = {.content = &f->base};
    for (; n < f->ops.count && f->ops.at[n].covered; n++)
        apply(&w, &d->record->events[f->ops.at[n].event]);
    ops_drop_first(&f->ops, n);
}

static bool covers(const struct event *sync, const struct event *e)
{
    if (sync->len == IOHOOK_TO_END)
        return true;
    return e->kind == EVENT_WRITE && e->pos >= sync->pos &&
           e->pos + e->len <= sync->pos + sync->len;
}

static void take_sync(struct disk *d, const struct event *sync)
{
    struct dfile *f = file_of(d, sync->file);
    for (size_t i = 0; i < f->ops.count; i++)
        if (f->ops.at[i].event < sync->begin && !f->ops.at[i].doomed &&
            covers(sync, &d->record->events[f->ops.at[i].event]))
            f->ops.at[i].covered = true;
    settle_file(d, f);
}

/* After a failed sync the kernel takes the pages for clean and never writes them again. */
static void take_failure(struct disk *d, const struct event *sync)
{
    if (sync->file == 0)
        return;
    struct dfile *f = file_of(d, sync->file);
    for (size_t i = 0; i < f->ops.count; i++)
        if (!f->ops.at[i].covered && covers(sync, &d->record->events[f->ops.at[i].event]))
            f->ops.at[i].doomed = true;
}

/* A rename between directories counts as covered by either's sync: none of ours is such a one. */
static void take_dirsync(struct disk *d, const struct event *sync)
{
    char parent[4096];
    for (size_t i = 0; i < d->changes.count; i++) {
        parent_of(d->record->events[d->changes.at[i].event].path, parent);
        if (d->changes.at[i].event < sync->begin && strcmp(parent, sync->path) == 0)
            d->changes.at[i].covered = true;
    }
    size_t n = 0;
    for (; n < d->changes.count && d->changes.at[n].covered; n++)
        names_apply(&d->names, &d->record->events[d->changes.at[n].event]);
    ops_drop_first(&d->changes, n);
}

static void take_content(struct disk *d, const struct event *e, size_t idx)
{
    struct dfile *f = file_of(d, e->file);
    ops_add(&f->ops, idx);
    if (e->kind == EVENT_RESIZE)
        f->bytes_now = e->pos;
    else if (e->pos + e->len > f->bytes_now)
        f->bytes_now = e->pos + e->len;
}

void disk_advance(struct disk *d)
{
    size_t idx = d->event++;
    const struct event *e = &d->record->events[idx];
    switch (e->kind) {
    case EVENT_WRITE:
    case EVENT_RESIZE:
    case EVENT_ZERO:
        take_content(d, e, idx);
        break;
    case EVENT_SYNC:
        take_sync(d, e);
        break;
    case EVENT_FAILED:
        take_failure(d, e);
        break;
    case EVENT_DIRSYNC:
        take_dirsync(d, e);
        break;
    case EVENT_CREATE:
    case EVENT_UNLINK:
    case EVENT_RENAME:
    case EVENT_MKDIR:
    case EVENT_RMDIR:
        ops_add(&d->changes, idx);
        break;
    default:
        break;
    }
}

size_t disk_event(const struct disk *d)
{
    return d->event;
}

/* ---- units ---- */

static void unit_add(struct disk *d, struct unit u)
{
    if (d->units_count == d->units_cap) {
        d->units_cap = d->units_cap == 0 ? 64 : 2 * d->units_cap;
        d->units = lab_grow(d->units, d->units_cap * sizeof *d->units);
    }
    d->units[d->units_count++] = u;
}

static void file_units(struct disk *d, size_t file)
{
    const struct dfile *f = &d->files[file];
    size_t newest = SIZE_MAX;
    for (size_t i = 0; i < f->ops.count; i++) {
        const struct event *e = &d->record->events[f->ops.at[i].event];
        struct unit u = {.kind = UNIT_CHANGE, .file = file, .event = f->ops.at[i].event};
        if (f->ops.at[i].covered || (e->kind == EVENT_WRITE && e->len == 0))
            continue;
        newest = u.event;
        if (e->kind != EVENT_WRITE) {
            unit_add(d, u);
            continue;
        }
        u.kind = UNIT_PAGE;
        for (u.page = e->pos / DISK_PAGE; u.page * DISK_PAGE < e->pos + e->len; u.page++)
            unit_add(d, u);
    }
    if (newest != SIZE_MAX && f->bytes_now != f->base.bytes)
        unit_add(d, (struct unit){.kind = UNIT_LENGTH, .file = file, .event = newest});
}

static int by_event(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->event != y->event)
        return x->event < y->event ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->page < y->page ? -1 : x->page > y->page;
}

const struct unit *disk_units(struct disk *d, size_t *count)
{
    d->units_count = 0;
    for (size_t i = 0; i < d->files_count; i++)
        file_units(d, i);
    for (size_t i = 0; i < d->changes.count; i++)
        if (!d->changes.at[i].covered)
            unit_add(d, (struct unit){.kind = UNIT_NAME, .event = d->changes.at[i].event});
    if (d->units_count > 1)
        qsort(d->units, d->units_count, sizeof *d->units, by_event);
    *count = d->units_count;
    return d->units;
}

/* ---- images ---- */

struct choice {
    const uint8_t *keep;
    uint64_t garbage; /* seed; 0: new bytes are zeros */
};

/* The part of a write in one page, or of it the chosen sectors. */
static void write_unit(struct writer *w, const struct event *e, uint64_t page, uint8_t sectors)
{
    for (unsigned s = 0; s < DISK_PAGE / DISK_SECTOR; s++) {
        uint64_t from = page * DISK_PAGE + s * DISK_SECTOR, to = from + DISK_SECTOR;
        if ((sectors >> s & 1) == 0)
            continue;
        from = from < e->pos ? e->pos : from;
        to = to > e->pos + e->len ? e->pos + e->len : to;
        if (from < to)
            content_write(w, from, e->data + (from - e->pos), to - from);
    }
}

/* Plays the operations of one file in order. Its units stand in the same order in the list. */
static void play_file(struct disk *d, size_t file, struct writer *w, const struct choice *c)
{
    const struct dfile *f = &d->files[file];
    size_t u = 0;
    bool length = false;
    for (size_t i = 0; i < f->ops.count; i++) {
        const struct event *e = &d->record->events[f->ops.at[i].event];
        if (f->ops.at[i].covered) {
            apply(w, e);
            continue;
        }
        while (u < d->units_count && d->units[u].event < f->ops.at[i].event)
            u++;
        for (; u < d->units_count && d->units[u].event == f->ops.at[i].event; u++) {
            bool kept = c->keep[u] != 0;
            if (d->units[u].kind == UNIT_LENGTH)
                length = kept;
            else if (kept && d->units[u].kind == UNIT_CHANGE)
                apply(w, e);
            else if (kept)
                write_unit(w, e, d->units[u].page, c->keep[u]);
        }
    }
    if (length)
        content_cut(w, f->bytes_now);
}

/* A page that the device held before: of one of the files, or bytes by chance. */
static void old_block(struct disk *d, uint64_t *random, uint8_t out[DISK_PAGE])
{
    const struct content *c = &d->files[lab_random(random) % d->files_count].base;
    size_t page = c->count > 0 ? (size_t)(lab_random(random) % c->count) : 0;
    if (c->count > 0 && c->pages[page] != NULL) {
        memcpy(out, c->pages[page], DISK_PAGE);
        return;
    }
    for (size_t i = 0; i < DISK_PAGE; i += 8) {
        uint64_t word = lab_random(random);
        memcpy(out + i, &word, 8);
    }
}

/* Fills the pages past the durable length that nothing was written to. */
static void spoil(struct disk *d, struct writer *w, uint64_t durable, uint64_t seed)
{
    uint8_t old[DISK_PAGE];
    uint64_t bytes = w->content->bytes;
    for (uint64_t pos = (durable + DISK_PAGE - 1) & ~(uint64_t)(DISK_PAGE - 1); pos < bytes;
         pos += DISK_PAGE)
        if (w->content->pages[pos / DISK_PAGE] == NULL) {
            old_block(d, &seed, old);
            content_write(w, pos, old, bytes - pos < DISK_PAGE ? bytes - pos : DISK_PAGE);
        }
}

static void image_add(struct image *img, struct disk *d, const struct name *name,
                      const struct choice *c)
{
    img->files = lab_grow(img->files, (img->count + 1) * sizeof *img->files);
    struct image_file *f = &img->files[img->count++];
    *f = (struct image_file){.path = strdup(name->path), .is_dir = name->inode == 0};
    if (f->path == NULL)
        lab_die("memory", "out of it");
    if (!f->is_dir) {
        size_t idx = file_index(d, name->inode);
        struct content *base = &d->files[idx].base;
        (void)content_hash(base);
        content_resize(&f->content, base->count * (uint64_t)DISK_PAGE);
        if (base->count > 0) {
            memcpy(f->content.pages, base->pages, base->count * sizeof *base->pages);
            memcpy(f->content.hashes, base->hashes, base->count * sizeof *base->hashes);
        }
        f->content.bytes = base->bytes;
        struct writer w = {.content = &f->content, .own = &f->own};
        play_file(d, idx, &w, c);
        if (c->garbage != 0)
            spoil(d, &w, base->bytes, c->garbage);
    }
    uint64_t hash = lab_hash(f->path, strlen(f->path), f->is_dir ? 1 : 2);
    img->hash += hash ^ (f->is_dir ? 0 : content_hash(&f->content) * 0xbf58476d1ce4e5b9u);
}

struct image *disk_image(struct disk *d, const uint8_t *keep, uint64_t garbage)
{
    struct choice c = {.keep = keep, .garbage = garbage};
    struct names names = {0};
    for (size_t i = 0; i < d->names.count; i++)
        names_set(&names, d->names.at[i].path, d->names.at[i].inode);
    size_t u = 0;
    for (size_t i = 0; i < d->changes.count; i++) {
        const struct op *op = &d->changes.at[i];
        while (u < d->units_count && d->units[u].event < op->event)
            u++;
        if (op->covered || keep[u])
            names_apply(&names, &d->record->events[op->event]);
    }
    struct image *img = lab_alloc(sizeof *img);
    for (size_t i = 0; i < names.count; i++) {
        char parent[4096];
        parent_of(names.at[i].path, parent);
        if (names_has(&names, parent))
            image_add(img, d, &names.at[i], &c);
    }
    names_free(&names);
    return img;
}

void image_free(struct image *i)
{
    for (size_t f = 0; f < i->count; f++) {
        for (size_t p = 0; p < i->files[f].own.count; p++)
            free(i->files[f].own.pages[p]);
        free(i->files[f].own.pages);
        free(i->files[f].content.pages);
        free(i->files[f].content.hashes);
        free(i->files[f].path);
    }
    free(i->files);
    free(i);
}

uint64_t image_hash(const struct image *i)
{
    return i->hash;
}

/* Directories first: they stand anywhere in the list. */
void image_write(const struct image *i, const char *base)
{
    char path[4096];
    for (size_t f = 0; f < i->count; f++) {
        snprintf(path, sizeof path, "%s/%s", base, i->files[f].path);
        if (i->files[f].is_dir && mkdir(path, 0755) != 0)
            lab_die("cannot make", path);
    }
    for (size_t f = 0; f < i->count; f++) {
        snprintf(path, sizeof path, "%s/%s", base, i->files[f].path);
        if (!i->files[f].is_dir)
            content_save(&i->files[f].content, path);
    }
}
