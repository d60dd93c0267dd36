/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power fails while a damaged store is mended, repaired, or a sound one compacted: after every event
 * of it, in the ways that the strategies know. Whatever a cut leaves, the next open gives what an
 * undisturbed run gives: the same entries, the same losses told once, the damaged file in quarantine.
 */
#include "oxbow/check.h"
#include "oxbow/compact.h"
#include "tests/crash/judge.h"
#include "tests/crash/mutant.h"
#include "tests/crash/record.h"
#include "tests/queue/damaged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH    64u
#define NTH_MAX  40u
#define SEEN_MAX 65536u /* a power of two */
#define SHOWN    2u     /* of the states that are wrong */

struct scenario {
    const char *name;
    enum damaged_kind kind; /* DAMAGED_KINDS: none */
    uint32_t flags;         /* of oxbow_open */
    bool compact;
    bool rebuilt; /* the undisturbed run puts the damaged file in quarantine */
};

static const struct scenario scenarios[] = {
    {"a meta page", DAMAGED_META_0, 0, false, false},
    {"the other meta page", DAMAGED_META_1, 0, false, false},
    {"a leaf", DAMAGED_LEAF, 0, false, true},
    {"a branch", DAMAGED_BRANCH, 0, false, true},
    {"cut off", DAMAGED_CUT, 0, false, true},
    {"repair of a value", DAMAGED_VALUE, OXBOW_OPEN_REPAIR, false, true},
    {"compaction", DAMAGED_KINDS, 0, true, false},
};

struct lab {
    char base[64];
    struct damaged store;
    const struct scenario *now;
    char *wanted;
    struct verdict *verdicts; /* shared */
    struct state batch[BATCH];
    size_t batch_count;
    uint64_t seen[SEEN_MAX]; /* hashes of images */
    uint64_t states, images, wrong;
    struct judge_config judge;
};

static struct lab lab;

/* ---- one run ---- */

static enum oxbow_err open_in(const char *dir, uint32_t flags, struct oxbow **db)
{
    struct damaged at = {.count = 0};
    struct oxbow_config config;
    snprintf(at.dir, sizeof at.dir, "%s", dir);
    damaged_config(&at, &config);
    config.port = judge_port();
    config.flags = flags;
    return oxbow_open(&config, db);
}

static enum oxbow_err compact(const char *dir)
{
    const struct oxbow_compact_options options = {.port = judge_port()};
    struct oxbow_compact_report report;
    return oxbow_compact(dir, &options, &report);
}

static bool sound(const char *dir)
{
    const struct oxbow_check_options options = {.port = judge_port()};
    struct oxbow_check_report r;
    return oxbow_check(dir, &options, &r) == OXBOW_OK && r.damage + r.values_bad == 0;
}

/* What the run that is cut does, up to its end. */
static void run(void)
{
    const struct scenario *s = lab.now;
    struct oxbow *db = NULL;
    enum oxbow_err err = s->compact ? compact(lab.store.dir) : OXBOW_OK;
    if (err == OXBOW_OK)
        err = open_in(lab.store.dir, s->flags, &db);
    if (err != OXBOW_OK)
        lab_die(s->name, oxbow_err_name(err));
    free(lab.wanted);
    lab.wanted = damaged_describe(db);
    if (lab.wanted == NULL)
        lab_die(s->name, "the store has failed");
    err = oxbow_close(db);
    if (err != OXBOW_OK)
        lab_die(s->name, oxbow_err_name(err));
}

/* ---- judging ---- */

static void wrong(struct verdict *v, enum verdict_kind kind, const char *what)
{
    v->kind = kind;
    snprintf(v->reason, sizeof v->reason, "%s", what);
}

/* In a child. */
static void judge(const struct judge_config *config, const char *base, struct verdict *v)
{
    struct damaged at = lab.store;
    struct oxbow *db = NULL;
    (void)config;
    snprintf(at.dir, sizeof at.dir, "%s/store", base);
    enum oxbow_err err = open_in(at.dir, lab.now->flags, &db);
    if (err != OXBOW_OK) {
        wrong(v, VERDICT_NO_OPEN, oxbow_err_name(err));
        return;
    }
    char *got = damaged_describe(db);
    bool same = got != NULL && strcmp(got, lab.wanted) == 0;
    err = oxbow_close(db);
    if (!same)
        wrong(v, VERDICT_UNKNOWN, got != NULL ? got : "the store has failed");
    else if (err != OXBOW_OK)
        wrong(v, VERDICT_NO_WRITE, oxbow_err_name(err));
    else if (lab.now->rebuilt && !damaged_kept(&at))
        wrong(v, VERDICT_UNKNOWN, "the damaged file is not what it was");
    else if (!sound(at.dir))
        wrong(v, VERDICT_PAGES, "it is not sound");
    else
        v->kind = VERDICT_GOOD;
    free(got);
}

static void judge_now(void)
{
    char dir[128];
    if (lab.batch_count == 0)
        return;
    snprintf(dir, sizeof dir, "%s/states", lab.base);
    memset(lab.verdicts, 0, BATCH * sizeof *lab.verdicts);
    judge_batch(&lab.judge, dir, lab.verdicts, lab.batch_count, 2);
    for (size_t i = 0; i < lab.batch_count; i++) {
        const struct verdict *v = &lab.verdicts[i];
        const struct state *s = &lab.batch[i];
        if (v->kind == VERDICT_GOOD || lab.wrong++ >= SHOWN)
            continue;
        printf("%s: cut after event %zu (%s %llu): %s: %s\n", lab.now->name, s->event,
               strategy_name(s->strategy), (unsigned long long)s->ordinal, verdict_name(v->kind),
               v->reason);
        for (size_t e = s->event > 12 ? s->event - 12 : 0; e < s->event; e++)
            event_print(e, &recorder_get()->events[e]);
    }
    lab.images += lab.batch_count;
    lab.batch_count = 0;
    lab_remove_tree(dir);
}

static bool is_new(uint64_t hash)
{
    size_t at = (size_t)hash & (SEEN_MAX - 1);
    hash |= 1;
    while (lab.seen[at] != 0 && lab.seen[at] != hash)
        at = (at + 1) & (SEEN_MAX - 1);
    if (lab.seen[at] == hash || lab.images + lab.batch_count >= SEEN_MAX / 2)
        return false;
    lab.seen[at] = hash;
    return true;
}

static void take(void *ctx, const struct state *s, struct image *image)
{
    char dir[160];
    (void)ctx;
    lab.states++;
    if (is_new(image_hash(image))) {
        snprintf(dir, sizeof dir, "%s/states", lab.base);
        if (lab.batch_count == 0 && mkdir(dir, 0755) != 0)
            lab_die("cannot make", dir);
        snprintf(dir, sizeof dir, "%s/states/%zu", lab.base, lab.batch_count);
        if (mkdir(dir, 0755) != 0)
            lab_die("cannot make", dir);
        image_write(image, dir);
        lab.batch[lab.batch_count] = *s;
        if (++lab.batch_count == BATCH)
            judge_now();
    }
    image_free(image);
}

/* ---- a scenario ---- */

/* A page that is in use: something is told of it. */
static void choose(const struct scenario *s)
{
    for (unsigned nth = 0;; nth++) {
        if (nth == NTH_MAX || !damaged_hurt(&lab.store, s->kind, nth))
            lab_die(s->name, "tells of no loss");
        damaged_put(&lab.store);
        run();
        if (s->kind == DAMAGED_KINDS || strstr(lab.wanted, "loss ") != NULL)
            break;
    }
    if (damaged_kept(&lab.store) != s->rebuilt)
        lab_die(s->name, "is mended in another way");
}

static void cut(const struct scenario *s, unsigned scale)
{
    const struct enumerate_config ec = {.seed = 31,
                                        .exhaustive_max = 4,
                                        .random_subsets = scale,
                                        .singles_max = scale,
                                        .fresh_events = 24};
    char live[80];
    uint64_t states = lab.states, images = lab.images, wrong_before = lab.wrong;
    lab.now = s;
    memset(lab.seen, 0, sizeof lab.seen);
    choose(s);
    damaged_put(&lab.store);
    snprintf(live, sizeof live, "%s/live", lab.base);
    struct disk *d = disk_open(recorder_get(), live);
    recorder_start(live, "store");
    run();
    recorder_stop();
    const struct record *r = recorder_get();
    size_t events = r->count;
    uint64_t syncs = r->kinds[EVENT_SYNC], renames = r->kinds[EVENT_RENAME];
    while (disk_event(d) < events) {
        disk_advance(d);
        enumerate_states(d, &ec, take, NULL);
    }
    judge_now();
    disk_close(d);
    images = lab.images - images;
    printf("%-20s %4zu events, %3llu syncs, %llu renames: %llu states, %llu distinct, %llu wrong\n",
           s->name, events, (unsigned long long)syncs, (unsigned long long)renames,
           (unsigned long long)(lab.states - states), (unsigned long long)images,
           (unsigned long long)(lab.wrong - wrong_before));
    fflush(stdout);
    if (events < 20 || images < events)
        lab_die("the recorder", "saw too little: it is blind");
}

static void prepare(const char *control)
{
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char dir[80];
    snprintf(lab.base, sizeof lab.base, "%s/oxbow-mend-XXXXXX", tmp);
    if (mkdtemp(lab.base) == NULL)
        lab_die("cannot make", lab.base);
    snprintf(dir, sizeof dir, "%s/live", lab.base);
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
    lab.judge = (struct judge_config){.judge = judge};
    lab.verdicts = mmap(NULL, BATCH * sizeof *lab.verdicts, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab.verdicts == MAP_FAILED)
        lab_die("memory", "cannot be shared");
    snprintf(dir, sizeof dir, "%s/live/store", lab.base);
    damaged_make(&lab.store, dir);
    if (control != NULL && mutant_find(control) == NULL)
        lab_die("no such control", control);
    if (control != NULL)
        mutant_set(mutant_find(control));
}

/* mend_lab [SCALE [CONTROL]]. How many states are tried of each event; a store that is broken in
 * this way (mutant.h), which must be caught. */
int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    const char *control = argc > 2 ? argv[2] : NULL;
    prepare(control);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        cut(&scenarios[i], scale);
    bool pass = (lab.wrong == 0) == (control == NULL);
    printf("%s      %llu states, %llu distinct, %llu wrong%s%s\n", pass ? "PASS" : "FAIL",
           (unsigned long long)lab.states, (unsigned long long)lab.images,
           (unsigned long long)lab.wrong, control != NULL ? ", with " : "",
           control != NULL ? control : "");
    damaged_free(&lab.store);
    recorder_fini();
    lab_remove_tree(lab.base);
    free(lab.wanted);
    munmap(lab.verdicts, BATCH * sizeof *lab.verdicts);
    return pass ? 0 : 1;
}
