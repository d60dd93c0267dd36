/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash that rots: damages the files of a closed store, one spot at a time, and sees what the
 * library makes of it. It may not notice because the spot was not in use, mend the store and say
 * exactly what is lost, or, where nothing tells what the store is, refuse to open; it must not die,
 * hang, serve what was never stored, or lose what it does not say.
 */
#include "tests/crash/judge.h"
#include "tests/crash/pages.h"
#include "tests/crash/record.h"
#include "tests/crash/salvaged.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64u
#define STEPS 60u
#define PAGE  4096u

enum damage {
    DAMAGE_BIT,
    DAMAGE_SECTOR,
    DAMAGE_PAGE,
    DAMAGE_GARBAGE,
    DAMAGE_SHIFT,
    DAMAGE_CUT,
    DAMAGES
};
enum spot { SPOT_META, SPOT_BRANCH, SPOT_LEAF, SPOT_LARGE, SPOT_OTHER, SPOT_FORMAT, SPOTS };
enum outcome {
    OUTCOME_REFUSED,  /* open says so */
    OUTCOME_UNUSED,   /* everything is there and goes on */
    OUTCOME_MENDED,   /* what is missing is told, the rest is there and goes on */
    OUTCOME_REPAIRED, /* the same, after a read had said that a repair is due */
    OUTCOME_FAILED,   /* a read or a write says so, and goes on saying so */
    OUTCOME_PAGES,    /* goes on, with a page that has two owners or none */
    OUTCOME_WRONG,    /* serves what never was, or lacks what it does not say */
    OUTCOME_DIED,
    OUTCOMES
};

static const char *const damage_names[DAMAGES] = {"bit",     "zeroed sector", "zeroed page",
                                                  "garbage", "other page",    "cut off"};
static const char *const spot_names[SPOTS] = {"meta", "branch", "leaf", "large", "other", "FORMAT"};
static const char *const outcome_names[OUTCOMES] = {"refused", "unused", "mended", "repaired",
                                                    "FAILED",  "PAGES",  "WRONG",  "DIED"};

struct file {
    const char *name;
    uint8_t *bytes;
    size_t len;
    size_t used; /* what comes behind is reserved */
};

struct trial {
    enum damage damage;
    enum spot spot;
    uint64_t seed;
    size_t at;
};

struct flip {
    char base[64];
    uint64_t seed, random, trials;
    unsigned jobs;
    struct judge_config judge;
    struct model_path path;
    struct file files[2]; /* data.mdb, FORMAT */
    struct verdict *verdicts;
    struct trial batch[BATCH];
    uint64_t counts[SPOTS][OUTCOMES], by_damage[DAMAGES][OUTCOMES];
    uint64_t bad;
};

/* ---- the store ---- */

static struct file read_file(const char *dir, const char *name)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        lab_die("cannot read", path);
    struct file f = {.name = name, .len = (size_t)st.st_size, .used = (size_t)st.st_size};
    f.bytes = lab_alloc(f.len);
    if (read(fd, f.bytes, f.len) != (ssize_t)f.len)
        lab_die("cannot read", path);
    close(fd);
    return f;
}

static void make_store(struct flip *flip)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/store", flip->base);
    struct oxbow_config config;
    judge_store_config(&config, dir);
    config.sync = OXBOW_SYNC_INTERVAL;
    struct oxbow *db = NULL;
    struct model *m = path_model(&flip->path, 0);
    path_turn(&flip->path, 0, flip->seed, STEPS);
    enum oxbow_err err = oxbow_open(&config, &db);
    for (uint64_t i = 0; i < STEPS && err == OXBOW_OK; i++) {
        err = flip->path.subject->step(m, flip->seed, i, db, NULL, &flip->path.at[i + 1].lsn);
        if (err == OXBOW_OK && i % 8 == 7)
            err = oxbow_flush(db);
    }
    if (err == OXBOW_OK)
        err = oxbow_close(db);
    if (err != OXBOW_OK)
        lab_die("the store", oxbow_err_name(err));
    flip->path.subject->close(m);
    flip->files[0] = read_file(dir, "data.mdb");
    flip->files[1] = read_file(dir, "FORMAT");
    char path[100];
    struct pages_report pages;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (!pages_check(path, &pages))
        lab_die("the store", pages.fault);
    flip->files[0].used = (size_t)(pages.last + 1) * PAGE;
}

/* ---- damage ---- */

static enum spot spot_of(const struct file *f, size_t at)
{
    const uint8_t *page = f->bytes + at / PAGE * PAGE;
    if (f->len < PAGE)
        return SPOT_FORMAT;
    switch (page[10]) {
    case 0x08:
        return SPOT_META;
    case 0x01:
        return SPOT_BRANCH;
    case 0x02:
        return SPOT_LEAF;
    case 0x04:
        return SPOT_LARGE;
    default:
        return SPOT_OTHER;
    }
}

/* Meta and branch pages are few: half of the trials look for a spot in one of them. */
static size_t choose(struct flip *flip, const struct file *f)
{
    enum spot wanted = lab_random(&flip->random) % 4 == 0   ? SPOT_META
                       : lab_random(&flip->random) % 3 == 0 ? SPOT_BRANCH
                                                            : SPOTS;
    size_t at = 0;
    for (unsigned i = 0; i < 400; i++) {
        at = (size_t)(lab_random(&flip->random) % f->used);
        if (wanted == SPOTS || f->len < PAGE || spot_of(f, at) == wanted)
            break;
    }
    /* Most bytes of a page's head decide something, most of its body are data. */
    if (lab_random(&flip->random) % 3 == 0 && f->len >= PAGE)
        at = at / PAGE * PAGE + (size_t)(lab_random(&flip->random) % 160);
    return at;
}

static void write_file(const char *dir, const struct file *f, const uint8_t *bytes, size_t len)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, f->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        lab_die("cannot write", path);
    close(fd);
}

/* Damages a copy; gives its length. */
static size_t hurt(struct flip *flip, const struct trial *t, uint8_t *bytes, size_t len)
{
    size_t sector = t->at / 512 * 512, page = t->at / PAGE * PAGE;
    size_t sector_end = sector + 512 < len ? sector + 512 : len;
    size_t page_end = page + PAGE < len ? page + PAGE : len;
    switch (t->damage) {
    case DAMAGE_BIT:
        bytes[t->at] ^= (uint8_t)(1u << lab_random(&flip->random) % 8);
        return len;
    case DAMAGE_SECTOR:
        memset(bytes + sector, 0, sector_end - sector);
        return len;
    case DAMAGE_PAGE:
        memset(bytes + page, 0, page_end - page);
        return len;
    case DAMAGE_GARBAGE:
        for (size_t i = sector; i < sector_end; i++)
            bytes[i] = (uint8_t)(lab_random(&flip->random) >> 16);
        return len;
    case DAMAGE_SHIFT:
        if (page_end + PAGE <= len)
            memcpy(bytes + page, bytes + page_end, PAGE);
        return len;
    default:
        return t->at;
    }
}

static void prepare(struct flip *flip, size_t idx)
{
    struct trial *t = &flip->batch[idx];
    const struct file *f = &flip->files[lab_random(&flip->random) % 16 == 0];
    t->seed = flip->random;
    t->damage = (enum damage)(lab_random(&flip->random) % (2 * DAMAGES));
    if (t->damage >= DAMAGES)
        t->damage = DAMAGE_BIT;
    t->at = choose(flip, f);
    t->spot = spot_of(f, t->at);
    char dir[160];
    snprintf(dir, sizeof dir, "%s/states/%zu", flip->base, idx);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
    snprintf(dir, sizeof dir, "%s/states/%zu/store", flip->base, idx);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *copy = lab_alloc(flip->files[i].len);
        size_t len = flip->files[i].len;
        memcpy(copy, flip->files[i].bytes, len);
        if (&flip->files[i] == f)
            len = hurt(flip, t, copy, len);
        write_file(dir, &flip->files[i], copy, len);
        free(copy);
    }
}

/* ---- outcomes ---- */

static enum outcome outcome_of(const struct verdict *v)
{
    switch (v->kind) {
    case VERDICT_GOOD:
        return v->deeper > 0 ? OUTCOME_REPAIRED : v->step > 0 ? OUTCOME_MENDED : OUTCOME_UNUSED;
    case VERDICT_NO_OPEN:
        return OUTCOME_REFUSED;
    case VERDICT_NO_READ:
    case VERDICT_NO_WRITE:
        return OUTCOME_FAILED;
    case VERDICT_PAGES:
        return OUTCOME_PAGES;
    case VERDICT_UNKNOWN:
    case VERDICT_LSN:
        return OUTCOME_WRONG;
    default:
        return OUTCOME_DIED;
    }
}

/* Without FORMAT, or with both meta pages gone, nobody knows what it is. */
static bool may_refuse(const struct trial *t)
{
    return t->spot == SPOT_FORMAT || t->damage == DAMAGE_CUT;
}

static void judge_now(struct flip *flip, size_t count)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/states", flip->base);
    memset(flip->verdicts, 0, BATCH * sizeof *flip->verdicts);
    judge_batch(&flip->judge, dir, flip->verdicts, count, flip->jobs);
    for (size_t i = 0; i < count; i++) {
        const struct trial *t = &flip->batch[i];
        const struct verdict *v = &flip->verdicts[i];
        enum outcome o = outcome_of(v);
        flip->counts[t->spot][o]++;
        flip->by_damage[t->damage][o]++;
        if (o == OUTCOME_REFUSED ? may_refuse(t) : o < OUTCOME_FAILED)
            continue;
        flip->bad++;
        if (flip->bad <= 8)
            printf("%s: %s in a %s page (byte %zu): %s%s%s\n", outcome_names[o],
                   damage_names[t->damage], spot_names[t->spot], t->at, v->reason,
                   v->log[1][0] != '\0' ? "; the log says: " : "", v->log[VERDICT_LOGS - 1]);
    }
    lab_remove_tree(dir);
}

static void print_row(const char *name, const uint64_t row[OUTCOMES])
{
    printf("%-14s", name);
    for (int o = 0; o < OUTCOMES; o++)
        printf(" %9llu", (unsigned long long)row[o]);
    printf("\n");
}

static void report(const struct flip *flip)
{
    printf("\n%-14s", "");
    for (int o = 0; o < OUTCOMES; o++)
        printf(" %9s", outcome_names[o]);
    printf("\n");
    for (int s = 0; s < SPOTS; s++)
        print_row(spot_names[s], flip->counts[s]);
    printf("\n");
    for (int d = 0; d < DAMAGES; d++)
        print_row(damage_names[d], flip->by_damage[d]);
    printf("\n");
}

static uint64_t argument(int argc, char **argv, int idx, uint64_t otherwise)
{
    return argc > idx ? strtoull(argv[idx], NULL, 10) : otherwise;
}

/* flip_lab [TRIALS [SEED [deaf]]]. A deaf judge hears of no loss: it must find fault. */
int main(int argc, char **argv)
{
    struct flip *flip = lab_alloc(sizeof *flip);
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(flip->base, sizeof flip->base, "%s/oxbow-flip-XXXXXX", tmp);
    if (mkdtemp(flip->base) == NULL)
        lab_die("cannot make", flip->base);
    flip->trials = argument(argc, argv, 1, 1000);
    flip->seed = flip->random = argument(argc, argv, 2, (uint64_t)time(NULL));
    flip->jobs = 2;
    bool deaf = argc > 3 && strcmp(argv[3], "deaf") == 0;
    flip->judge = (struct judge_config){.path = &flip->path,
                                        .seed = flip->seed,
                                        .judge = deaf ? salvaged_state_deaf : salvaged_state};
    flip->verdicts = mmap(NULL, BATCH * sizeof *flip->verdicts, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (flip->verdicts == MAP_FAILED)
        lab_die("no", "memory");
    path_init(&flip->path, subject_find("queue"));
    judge_set_shape(&(struct judge_shape){.memtable_bytes = 64 << 10});
    printf("flip lab, %llu trials, seed %llu\n", (unsigned long long)flip->trials,
           (unsigned long long)flip->seed);
    make_store(flip);
    for (uint64_t done = 0; done < flip->trials;) {
        char dir[80];
        size_t count = 0;
        snprintf(dir, sizeof dir, "%s/states", flip->base);
        if (mkdir(dir, 0755) != 0)
            lab_die("cannot make", dir);
        for (; count < BATCH && done < flip->trials; count++, done++)
            prepare(flip, count);
        judge_now(flip, count);
    }
    report(flip);
    bool pass = (flip->bad == 0) != deaf;
    printf("%s      %llu bad outcomes%s\n", pass ? "PASS" : "FAIL", (unsigned long long)flip->bad,
           deaf ? ", as a deaf judge should find" : "");
    lab_remove_tree(flip->base);
    int status = pass ? 0 : 1;
    path_fini(&flip->path);
    free(flip->files[0].bytes);
    free(flip->files[1].bytes);
    munmap(flip->verdicts, BATCH * sizeof *flip->verdicts);
    free(flip);
    return status;
}
