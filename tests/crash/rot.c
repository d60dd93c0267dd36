/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal that rots: damages the segments of a store whose process has ended in mid-work, one
 * spot at a time, and sees what the library makes of it. Which frames are hit is worked out here,
 * byte by byte. The store must open and stand exactly before the first frame that is hit; and when
 * a frame behind it proves that it was acknowledged, that must be said. Only of the last frame no
 * trace may be left.
 *
 *   rot_lab [TRIALS [SEED [SUBJECT]]]
 */
#include "tests/crash/judge.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64u
#define STEPS       90u
#define PAGE        4096u
#define SECTOR      512u
#define FILES_MAX   24u
#define FRAMES_MAX  1024u
#define HEAD_BYTES  56u
#define LABEL_BYTES 40u

enum damage {
    DAMAGE_BIT,
    DAMAGE_ZEROED,
    DAMAGE_GARBAGE,
    DAMAGE_SWAPPED, /* two sectors */
    DAMAGE_PAGE,
    DAMAGE_OTHER, /* a page holds another one's content */
    DAMAGE_CUT,
    DAMAGE_MISSING,
    DAMAGES
};
enum outcome {
    OUTCOME_WHOLE,  /* no frame that is needed was hit: everything is there, nothing is said */
    OUTCOME_LOST,   /* said to be acknowledged and lost */
    OUTCOME_DOUBT,  /* said to be possibly acknowledged */
    OUTCOME_UNTOLD, /* the last frame, of which no trace is left */
    OUTCOME_ALARM,  /* WRONG: loss is told and there is none */
    OUTCOME_SILENT, /* WRONG: acknowledged and lost, and a frame knows it, but nothing is said */
    OUTCOME_PLACE,  /* WRONG: it stands elsewhere */
    OUTCOME_BAD,    /* WRONG: what the judge says */
    OUTCOMES
};

static const char *const damage_names[DAMAGES] = {"bit",  "zeroed sector", "garbage", "swapped",
                                                  "page", "other page",    "cut off", "missing"};
static const char *const outcome_names[OUTCOMES] = {"whole", "lost",   "doubt", "untold",
                                                    "ALARM", "SILENT", "PLACE", "BAD"};

struct file {
    char name[256];
    uint8_t *bytes;
    size_t len;
    bool segment;
};

/* A frame above the checkpoint. */
struct frame_at {
    size_t file, pos, len;
    uint64_t first, count, durable, generation;
};

struct trial {
    enum damage damage;
    size_t file, at;
    size_t hit; /* the first frame that is, in the order of LSNs; frames_count: none */
    bool known; /* a whole frame behind it says that it was durable */
};

struct rot {
    char base[64];
    uint64_t seed, random, trials;
    struct judge_config judge;
    struct model_path path;
    struct file files[FILES_MAX];
    size_t files_count;
    struct frame_at frames[FRAMES_MAX];
    size_t frames_count;
    uint64_t checkpoint; /* its LSN */
    struct verdict *verdicts;
    struct trial batch[BATCH];
    uint64_t counts[DAMAGES][OUTCOMES];
    uint64_t bad;
};

/* ---- the store ---- */

static void read_files(struct rot *r, const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    if (d == NULL)
        lab_die("cannot list", dir);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        struct file *f = &r->files[r->files_count];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        *f = (struct file){.len = (size_t)st.st_size, .bytes = lab_alloc((size_t)st.st_size)};
        snprintf(f->name, sizeof f->name, "%s", e->d_name);
        f->segment = strncmp(f->name, "journal.", 8) == 0;
        if (fd < 0 || read(fd, f->bytes, f->len) != (ssize_t)f->len ||
            ++r->files_count == FILES_MAX)
            lab_die("cannot read", path);
        close(fd);
    }
    closedir(d);
}

/* The files are taken while the store is open: the process might have ended here. */
static void make_store(struct rot *r)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/store", r->base);
    struct oxbow_config config;
    judge_store_config(&config, dir);
    struct oxbow *db = NULL;
    struct model *m = path_model(&r->path, 0);
    path_turn(&r->path, 0, r->seed, STEPS);
    enum oxbow_err err = oxbow_open(&config, &db);
    for (uint64_t i = 0; i < STEPS && err == OXBOW_OK; i++) {
        bool wait = lab_random(&r->random) % 3 != 0 || i + 1 == STEPS;
        struct oxbow_txn_options opt = {.flags = wait ? 0 : OXBOW_TXN_NOWAIT};
        err = r->path.subject->step(m, r->seed, i, db, &opt, &r->path.at[i + 1].lsn);
        if (err == OXBOW_OK && i == STEPS / 3)
            err = oxbow_close(db); /* frames of an earlier life lie about */
        if (err == OXBOW_OK && i == STEPS / 3)
            err = oxbow_open(&config, &db);
    }
    if (err == OXBOW_OK)
        err = oxbow_flush(db);
    if (err != OXBOW_OK)
        lab_die("the store", oxbow_err_name(err));
    read_files(r, dir);
    r->path.subject->close(m);
    if (oxbow_close(db) != OXBOW_OK)
        lab_die("the store", "does not close");
}

/* ---- frames ---- */

static uint64_t number(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

static int by_lsn(const void *a, const void *b)
{
    const struct frame_at *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* All heads of one incarnation; those that recovery needs are sorted out by LSN. */
static void find_frames(struct rot *r, uint64_t incarnation, uint64_t above)
{
    for (size_t i = 0; i < r->files_count; i++) {
        const struct file *f = &r->files[i];
        for (size_t pos = PAGE; f->segment && pos + HEAD_BYTES <= f->len; pos += 8) {
            const uint8_t *p = f->bytes + pos;
            if (memcmp(p, "OJNL", 4) != 0 || number(p + 24, 8) != incarnation)
                continue;
            struct frame_at at = {.file = i,
                                  .pos = pos,
                                  .len = HEAD_BYTES + (size_t)number(p + 8, 4),
                                  .first = number(p + 32, 8),
                                  .count = number(p + 12, 4),
                                  .durable = number(p + 40, 8),
                                  .generation = number(p + 16, 8)};
            if (at.first + at.count - 1 > above)
                r->frames[r->frames_count++] = at;
            if (r->frames_count == FRAMES_MAX)
                lab_die("the journal", "has too many frames");
        }
    }
    qsort(r->frames, r->frames_count, sizeof r->frames[0], by_lsn);
}

/* What recovery finds in the undamaged store: where its checkpoint is. */
static void look_at_store(struct rot *r)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < r->files_count; i++)
        for (size_t pos = PAGE; r->files[i].segment && pos + HEAD_BYTES <= r->files[i].len;
             pos += 8)
            if (memcmp(r->files[i].bytes + pos, "OJNL", 4) == 0 &&
                number(r->files[i].bytes + pos + 24, 8) > newest)
                newest = number(r->files[i].bytes + pos + 24, 8);
    r->checkpoint = r->verdicts[0].recovery.replayed_upto - r->verdicts[0].recovery.replayed;
    if (r->verdicts[0].kind != VERDICT_GOOD || r->verdicts[0].step != STEPS)
        lab_die("the undamaged store", r->verdicts[0].reason);
    find_frames(r, newest, r->checkpoint);
    if (r->frames_count < 8)
        lab_die("the journal", "has too few frames: it shows nothing");
    printf(
        "rot lab, %s, %llu trials, seed %llu: %zu frames above the checkpoint, in %llu segments\n",
        r->path.subject->name, (unsigned long long)r->trials, (unsigned long long)r->seed,
        r->frames_count,
        (unsigned long long)(r->frames[r->frames_count - 1].generation - r->frames[0].generation +
                             1));
}

/* ---- damage ---- */

/* Most spots are in frames that are needed. */
static void choose(struct rot *r, struct trial *t)
{
    t->damage = (enum damage)(lab_random(&r->random) % DAMAGES);
    if (lab_random(&r->random) % 4 != 0) {
        const struct frame_at *f = &r->frames[lab_random(&r->random) % r->frames_count];
        bool head = lab_random(&r->random) % 3 == 0;
        t->file = f->file;
        t->at = f->pos + (size_t)(lab_random(&r->random) % (head ? HEAD_BYTES : f->len));
        return;
    }
    do
        t->file = (size_t)(lab_random(&r->random) % r->files_count);
    while (!r->files[t->file].segment);
    t->at = (size_t)(lab_random(&r->random) % r->files[t->file].len);
}

static void swap_sectors(uint8_t *a, uint8_t *b)
{
    uint8_t old[SECTOR];
    memcpy(old, a, SECTOR);
    memcpy(a, b, SECTOR);
    memcpy(b, old, SECTOR);
}

/* Gives the new length. */
static size_t hurt(struct rot *r, const struct trial *t, uint8_t *bytes, size_t len)
{
    size_t sector = t->at / SECTOR * SECTOR, page = t->at / PAGE * PAGE;
    uint64_t chance = lab_random(&r->random);
    switch (t->damage) {
    case DAMAGE_BIT:
        bytes[t->at] ^= (uint8_t)(1u << chance % 8);
        return len;
    case DAMAGE_ZEROED:
        memset(bytes + sector, 0, SECTOR);
        return len;
    case DAMAGE_GARBAGE:
        for (size_t i = sector; i < sector + SECTOR; i++)
            bytes[i] = (uint8_t)(lab_random(&r->random) >> 16);
        return len;
    case DAMAGE_SWAPPED: /* with one near by, which is often of another frame */
        swap_sectors(bytes + sector,
                     bytes + (sector + (1 + chance % 16) * SECTOR) % (len - len % SECTOR));
        return len;
    case DAMAGE_PAGE:
        memset(bytes + page, 0, PAGE);
        return len;
    case DAMAGE_OTHER:
        memmove(bytes + page, bytes + (page + (1 + chance % 8) * PAGE) % len, PAGE);
        return len;
    default:
        return t->damage == DAMAGE_CUT ? t->at : 0;
    }
}

/* What lies behind the end of a file that was cut off counts as zeros. */
static bool same_bytes(const uint8_t *was, const uint8_t *is, size_t pos, size_t len,
                       size_t file_len)
{
    size_t there = pos >= file_len ? 0 : file_len - pos < len ? file_len - pos : len;
    bool same = there == 0 || memcmp(was + pos, is + pos, there) == 0;
    for (size_t i = there; i < len && same; i++)
        same = was[pos + i] == 0;
    return same;
}

/* Which frame is the first that differs from what was written. Of a segment without a label nothing
 * is known. */
static void work_out(const struct rot *r, struct trial *t, const uint8_t *bytes, size_t len)
{
    const uint8_t *was = r->files[t->file].bytes;
    bool label = len >= PAGE && memcmp(bytes, was, LABEL_BYTES) == 0;
    t->hit = r->frames_count;
    t->known = false;
    for (size_t i = 0; i < r->frames_count; i++) {
        const struct frame_at *f = &r->frames[i];
        bool same = f->file != t->file || (label && same_bytes(was, bytes, f->pos, f->len, len));
        if (!same && t->hit == r->frames_count)
            t->hit = i;
        else if (same && t->hit < i)
            t->known = t->known || f->durable >= r->frames[t->hit].first;
    }
}

static void write_file(const char *dir, const char *name, const uint8_t *bytes, size_t len)
{
    static const uint8_t zeros[PAGE];
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)len) != 0)
        lab_die("cannot make", path);
    for (size_t pos = 0; pos < len; pos += PAGE) {
        size_t n = len - pos < PAGE ? len - pos : PAGE;
        if (memcmp(bytes + pos, zeros, n) != 0 &&
            pwrite(fd, bytes + pos, n, (off_t)pos) != (ssize_t)n)
            lab_die("cannot write", path);
    }
    close(fd);
}

static void write_store(struct rot *r, size_t idx, struct trial *t)
{
    char dir[160];
    snprintf(dir, sizeof dir, "%s/states/%zu", r->base, idx);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
    snprintf(dir, sizeof dir, "%s/states/%zu/store", r->base, idx);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
    for (size_t i = 0; i < r->files_count; i++) {
        const struct file *f = &r->files[i];
        if (t == NULL || t->file != i) {
            write_file(dir, f->name, f->bytes, f->len);
            continue;
        }
        uint8_t *copy = lab_alloc(f->len);
        memcpy(copy, f->bytes, f->len);
        size_t len = hurt(r, t, copy, f->len);
        work_out(r, t, copy, len);
        if (t->damage != DAMAGE_MISSING)
            write_file(dir, f->name, copy, len);
        free(copy);
    }
}

/* ---- outcomes ---- */

/* The newest step before an LSN. */
static uint64_t step_before(const struct rot *r, uint64_t lsn)
{
    uint64_t step = STEPS;
    while (step > 0 && r->path.at[step].lsn >= lsn)
        step--;
    return step;
}

static enum outcome outcome_of(const struct rot *r, const struct trial *t, const struct verdict *v)
{
    bool lost = v->recovery.lost_from != 0, doubt = v->recovery.doubt_from != 0;
    bool none = t->hit == r->frames_count;
    uint64_t first = none ? UINT64_MAX : r->frames[t->hit].first;
    first = first > r->checkpoint ? first : r->checkpoint + 1;
    uint64_t step = step_before(r, first);
    if (v->kind != VERDICT_GOOD)
        return OUTCOME_BAD;
    /* Of the first frame that is needed a copy somewhere else will do. */
    bool moved = t->damage == DAMAGE_SWAPPED || t->damage == DAMAGE_OTHER;
    if (v->step != step && !(moved && t->hit == 0 && v->step > step))
        return OUTCOME_PLACE;
    if (moved && v->step == STEPS)
        return lost ? OUTCOME_ALARM : OUTCOME_WHOLE;
    if (none)
        return lost || doubt ? OUTCOME_ALARM : OUTCOME_WHOLE;
    if (lost)
        return v->recovery.lost_from <= first || moved ? OUTCOME_LOST : OUTCOME_ALARM;
    if (t->known)
        return OUTCOME_SILENT;
    return doubt ? OUTCOME_DOUBT : OUTCOME_UNTOLD;
}

static void take_outcome(struct rot *r, const struct trial *t, const struct verdict *v)
{
    enum outcome o = outcome_of(r, t, v);
    r->counts[t->damage][o]++;
    if (o < OUTCOME_ALARM)
        return;
    if (++r->bad <= 8)
        printf(
            "FAILED    %s: %s at byte %zu of %s: it stands at step %llu; frame %zu of %zu is the "
            "first that is hit%s; lost from %llu, in doubt from %llu; %s\n",
            outcome_names[o], damage_names[t->damage], t->at, r->files[t->file].name,
            (unsigned long long)v->step, t->hit, r->frames_count,
            t->known ? " and was acknowledged" : "", (unsigned long long)v->recovery.lost_from,
            (unsigned long long)v->recovery.doubt_from, v->reason);
}

static void judge_now(struct rot *r, size_t count)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/states", r->base);
    memset(r->verdicts, 0, BATCH * sizeof *r->verdicts);
    judge_batch(&r->judge, dir, r->verdicts, count, 2);
    lab_remove_tree(dir);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
}

static int report(const struct rot *r)
{
    printf("\n%-14s", "");
    for (int o = 0; o < OUTCOMES; o++)
        printf(" %9s", outcome_names[o]);
    printf("\n");
    uint64_t told = 0;
    for (int d = 0; d < DAMAGES; d++) {
        printf("%-14s", damage_names[d]);
        for (int o = 0; o < OUTCOMES; o++)
            printf(" %9llu", (unsigned long long)r->counts[d][o]);
        printf("\n");
        told += r->counts[d][OUTCOME_LOST];
    }
    bool pass = r->bad == 0 && told > r->trials / 10;
    printf("\n%s      %llu bad outcomes\n", pass ? "PASS" : "FAIL", (unsigned long long)r->bad);
    return pass ? 0 : 1;
}

/* ---- the program ---- */

static uint64_t argument(int argc, char **argv, int idx, uint64_t otherwise)
{
    return argc > idx ? strtoull(argv[idx], NULL, 10) : otherwise;
}

static void prepare(struct rot *r, const char *subject)
{
    /* Many segments, each small: what stands above a checkpoint is in several. */
    static const struct judge_shape shape = {
        .segments = 16, .segment_bytes = 64 << 10, .memtable_bytes = 1 << 20};
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(r->base, sizeof r->base, "%s/oxbow-rot-XXXXXX", tmp);
    r->verdicts = mmap(NULL, BATCH * sizeof *r->verdicts, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (subject_find(subject) == NULL || mkdtemp(r->base) == NULL || r->verdicts == MAP_FAILED)
        lab_die("no such subject, or no room:", subject);
    path_init(&r->path, subject_find(subject));
    r->judge = (struct judge_config){.path = &r->path, .seed = r->seed};
    judge_set_shape(&shape);
    char dir[80];
    snprintf(dir, sizeof dir, "%s/states", r->base);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
}

int main(int argc, char **argv)
{
    struct rot *r = lab_alloc(sizeof *r);
    r->trials = argument(argc, argv, 1, 1000);
    r->random = argument(argc, argv, 2, (uint64_t)time(NULL));
    r->seed = 2 * r->random + 1; /* odd: small steps */
    prepare(r, argc > 3 ? argv[3] : "queue");
    make_store(r);
    write_store(r, 0, NULL);
    judge_now(r, 1);
    look_at_store(r);
    for (uint64_t done = 0; done < r->trials;) {
        size_t count = 0;
        for (; count < BATCH && done < r->trials; count++, done++) {
            choose(r, &r->batch[count]);
            write_store(r, count, &r->batch[count]);
        }
        judge_now(r, count);
        for (size_t i = 0; i < count; i++)
            take_outcome(r, &r->batch[i], &r->verdicts[i]);
    }
    int status = report(r);
    lab_remove_tree(r->base);
    for (size_t i = 0; i < r->files_count; i++)
        free(r->files[i].bytes);
    path_fini(&r->path);
    munmap(r->verdicts, BATCH * sizeof *r->verdicts);
    free(r);
    return status;
}
