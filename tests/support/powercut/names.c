/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of names that no sync of their directory covers yet, in the order they happened.
 *
 * They are taken back from the newest to the oldest. In a mode of chance, each directory keeps a
 * first part of its own changes, as a journaling file system would. A file that lost its name to
 * unlink or rename is held open by the hook; its content, already rolled back, is copied into a new
 * file of the old name.
 */
#include "tests/support/powercut/powercut.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { NAME_CREATE, NAME_UNLINK, NAME_RENAME, NAME_MKDIR, NAME_RMDIR };

struct change {
    uint64_t seq;
    enum kind kind;
    char *path;           /* of a rename: the new name */
    char *from;           /* of a rename */
    struct iofile *lost;  /* the file that lost `path`, or NULL */
    bool half;            /* a rename between directories of which one was synced */
    struct change *older; /* newest first */
};

static struct change *newest;
static uint64_t last_seq;
static bool lying;

void names_set_lie(bool lie)
{
    lying = lie;
}

static char *copy_of(const char *path)
{
    char *copy = path == NULL ? NULL : strdup(path);
    if (path != NULL && copy == NULL)
        abort();
    return copy;
}

static void record(enum kind kind, const char *path, const char *from, struct iofile *lost)
{
    struct change *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    *c = (struct change){.seq = ++last_seq,
                         .kind = kind,
                         .path = copy_of(path),
                         .from = copy_of(from),
                         .lost = lost,
                         .older = newest};
    newest = c;
}

void on_create(const char *path, struct iofile *f)
{
    (void)f;
    record(NAME_CREATE, path, NULL, NULL);
}

void on_unlink(const char *path, struct iofile *f)
{
    record(NAME_UNLINK, path, NULL, f);
}

void on_rename(const char *from, const char *to, struct iofile *f, struct iofile *replaced)
{
    (void)f;
    record(NAME_RENAME, to, from, replaced);
}

void on_mkdir(const char *path)
{
    record(NAME_MKDIR, path, NULL, NULL);
}

void on_rmdir(const char *path)
{
    record(NAME_RMDIR, path, NULL, NULL);
}

static bool is_parent(const char *dir, const char *path)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    return strlen(dir) == (len == 0 ? 1 : len) && strncmp(dir, path, len) == 0;
}

uint64_t on_dirsync_begin(const char *dir)
{
    (void)dir;
    return lying ? 0 : last_seq + 1;
}

/* Whether the sync of `dir` makes the change durable. */
static bool settles(struct change *c, const char *dir)
{
    bool here = is_parent(dir, c->path);
    if (c->from == NULL)
        return here;
    bool there = is_parent(dir, c->from);
    if (here == there)
        return here;
    bool both = c->half;
    c->half = true;
    return both;
}

static void release(struct change *c)
{
    free(c->path);
    free(c->from);
    free(c);
}

void on_dirsync_end(const char *dir, uint64_t token)
{
    struct change **at = &newest;
    while (*at != NULL) {
        struct change *c = *at;
        if (c->seq >= token || !settles(c, dir)) {
            at = &c->older;
            continue;
        }
        *at = c->older;
        release(c);
    }
}

/* ---- the cut ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

/* Gives a file that has no name any more its old one. */
static void bring_back(const struct iofile *f, const char *path)
{
    if (f == NULL)
        return;
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    uint8_t buf[POWERCUT_PAGE];
    off_t pos = 0;
    ssize_t n = out < 0 ? -1 : pread(f->fd, buf, sizeof buf, pos);
    while (n > 0 && pwrite(out, buf, (size_t)n, pos) == n) {
        pos += n;
        n = pread(f->fd, buf, sizeof buf, pos);
    }
    if (n != 0) {
        perror("powercut: roll-back");
        abort();
    }
    close(out);
}

static void undo_change(const struct change *c)
{
    switch (c->kind) {
    case NAME_CREATE:
        unlink(c->path);
        break;
    case NAME_UNLINK:
        bring_back(c->lost, c->path);
        break;
    case NAME_RENAME:
        rename(c->path, c->from);
        bring_back(c->lost, c->path);
        break;
    case NAME_MKDIR:
        nftw(c->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        break;
    case NAME_RMDIR:
        mkdir(c->path, 0755);
        break;
    }
}

/* From which change on a directory loses its changes: a number drawn from the directory's name and
 * the seed, so that all its changes get the same answer. */
static uint64_t first_lost(const char *path, uint64_t random, uint64_t oldest)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    for (size_t i = 0; i < len; i++)
        random = (random ^ (uint8_t)path[i]) * 0x100000001b3u;
    return oldest + powercut_random(&random) % (last_seq - oldest + 2);
}

void names_undo(enum powercut_mode mode, uint64_t *random, struct powercut_report *report)
{
    uint64_t oldest = last_seq;
    for (const struct change *c = newest; c != NULL; c = c->older)
        oldest = c->seq;
    uint64_t draw = powercut_random(random);
    for (const struct change *c = newest; c != NULL; c = c->older) {
        bool lose = mode == POWERCUT_DROP ||
                    (mode != POWERCUT_KEEP && c->seq >= first_lost(c->path, draw, oldest));
        *(lose ? &report->names_lost : &report->names_kept) += 1;
        if (lose)
            undo_change(c);
    }
}
