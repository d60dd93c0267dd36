/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that could not be opened comes back, what its stand-in took meanwhile is merged into it, and the
 * power fails at any moment of that. The stand-in lies in memory: what was written there is there as long
 * as the machine runs, and a power cut takes all of it. So each state of the device is judged twice.
 *
 *   kept   the device alone went (it was pulled), or the process: the next open goes on with the merge, and
 *          everything is there once, in order
 *   gone   so did the machine: of what the stand-in had the store has the beginning, and what the stand-in
 *          had given up by then is all among it; when oxbow_open had returned that is everything. Who
 *          adds once again is told of what the store has and of nothing else, and all is there once
 *
 * The next life goes on from one of these states: the device goes once more, another stand-in is used,
 * and the merge is cut again. A queue's entries are numbered through store and stand-ins: merge_work.c.
 */
#include "tests/crash/enumerate.h"
#include "tests/crash/judge.h"
#include "tests/crash/merge_work.h"
#include "tests/crash/mutant.h"
#include "tests/crash/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH     64u /* of verdicts: two for each image */
#define SEEN_MAX  65536u
#define LIVES     3u
#define SHOWN     3u
#define MORE      10u /* times as many seeds at most */
#define SEEDS_ALL 20u /* so many must show all marks; fewer those up to MARK_AHEAD */
#define MEMORY    "live/memory"

/* What states must have shown, or they prove too little. */
enum mark {
    MARK_NOTHING, /* the stand-in has given up nothing yet */
    MARK_PART,    /* some of its entries are merged */
    MARK_AHEAD,   /* the store has a batch that the stand-in has not given up */
    MARK_ALL,     /* everything is in the store, and the stand-in is not yet removed */
    MARK_SWEPT,   /* it is being removed, or is */
    MARK_SECOND,  /* two stand-ins are there */
    MARKS
};
static const char *const mark_names[MARKS] = {"nothing", "part", "ahead", "all", "swept", "second"};

struct lab {
    char base[64];
    uint64_t seed, random;
    unsigned life;
    struct work work; /* what there is to be found */
    bool opened;      /* as of this event oxbow_open had returned */
    bool forget;      /* a control: the store has no note of what it took */
    uint64_t likely;  /* states that the next life was drawn from */
    bool heir_gone;
    size_t per_life;          /* distinct images */
    struct verdict *verdicts; /* shared */
    struct state batch[BATCH];
    size_t batch_count;
    uint64_t seen[SEEN_MAX];
    uint64_t seen_count, states, images, wrong, marks[MARKS];
    struct judge_config judge;
};

static struct lab lab;

/* ---- judging, in a child ---- */

static bool wrong(struct verdict *v, enum verdict_kind kind, const char *what, uint64_t number)
{
    v->kind = kind;
    snprintf(v->reason, sizeof v->reason, "%s (%llu)", what, (unsigned long long)number);
    return false;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void set_mark(struct verdict *v, enum mark m)
{
    v->marks |= 1u << m;
}

/* Opens the store, merging or not, and reads what it holds. */
static bool look(struct verdict *v, bool merge, struct work_found *found, uint64_t *merged)
{
    struct oxbow *db = NULL;
    struct oxbow_recovery r;
    struct oxbow_stat stat;
    enum oxbow_err err = work_open("store", merge, &db);
    if (err != OXBOW_OK)
        return wrong(v, VERDICT_NO_OPEN, oxbow_err_name(err), merge);
    oxbow_stat(db, &stat);
    oxbow_recovery(db, &r);
    if (merged != NULL)
        *merged = r.merged;
    err = r.merge_left != OXBOW_OK ? r.merge_left : stat.stand_in ? OXBOW_EVOLATILE : OXBOW_OK;
    if (err == OXBOW_OK)
        err = work_read(db, &lab.work, found);
    enum oxbow_err closed = oxbow_close(db);
    err = err == OXBOW_OK ? closed : err;
    return err == OXBOW_OK || wrong(v, VERDICT_NO_READ, oxbow_err_name(err), merge);
}

/* Everything, once; and the next open finds nothing to merge. */
static bool judge_kept(struct verdict *v)
{
    struct work_found found;
    uint64_t merged = 0;
    struct oxbow *db = NULL;
    if (lab.forget && !work_forget())
        return wrong(v, VERDICT_NO_OPEN, "the note could not be taken away", 0);
    for (unsigned i = 0; i < 2; i++) {
        if (!look(v, true, &found, &merged))
            return false;
        for (unsigned q = 0; q < WORK_QUEUES; q++)
            if (!found.queues[q].whole || found.queues[q].from > 0 ||
                found.queues[q].to != lab.work.all[q])
                return wrong(v, VERDICT_UNKNOWN, work_name(q), found.queues[q].to);
        if (found.text != lab.work.text)
            return wrong(v, VERDICT_UNKNOWN, "the string", found.text);
        if (i > 0 && merged > 0)
            return wrong(v, VERDICT_UNKNOWN, "merged again", merged);
    }
    for (unsigned n = 1; n <= 4; n++) {
        char path[32];
        snprintf(path, sizeof path, "memory/%u/FORMAT", n);
        if (exists(path))
            return wrong(v, VERDICT_UNKNOWN, "a stand-in is left", n);
    }
    enum oxbow_err err = work_open("store", true, &db);
    if (err == OXBOW_OK)
        err = work_again(db, &lab.work);
    if (err == OXBOW_OK)
        err = oxbow_close(db);
    return err == OXBOW_OK || wrong(v, VERDICT_NO_WRITE, oxbow_err_name(err), 0);
}

/* What the stand-ins still had when the power failed; *used: how many of them there were. */
static bool look_aside(struct verdict *v, struct work_found *left, unsigned *used)
{
    memset(left, 0, sizeof *left);
    for (unsigned q = 0; q < WORK_QUEUES; q++)
        left->queues[q].whole = true;
    *used = 0;
    for (unsigned n = 1; n <= 4; n++) {
        char dir[32], path[48], mark[48];
        struct work_found one;
        struct oxbow *db = NULL;
        snprintf(dir, sizeof dir, "../aside/%u", n);
        snprintf(path, sizeof path, "%s/FORMAT", dir);
        snprintf(mark, sizeof mark, "%s/MERGED", dir);
        if (exists(mark))
            set_mark(v, MARK_SWEPT);
        if (!exists(path) || exists(mark))
            continue;
        enum oxbow_err err = work_open(dir, false, &db);
        if (err == OXBOW_OK)
            err = work_read(db, &lab.work, &one);
        if (err == OXBOW_OK)
            err = oxbow_close(db);
        if (err != OXBOW_OK)
            return wrong(v, VERDICT_NO_OPEN, oxbow_err_name(err), n);
        work_join(left, &one);
        ++*used;
    }
    return true;
}

/* Producers that had no durable answer add everything again. */
static bool resend(struct verdict *v, const struct work_found *have)
{
    struct oxbow *db = NULL;
    enum oxbow_err err = work_open("store", true, &db);
    if (err != OXBOW_OK)
        return wrong(v, VERDICT_NO_OPEN, oxbow_err_name(err), 0);
    for (unsigned q = 0; q < WORK_QUEUES && err == OXBOW_OK; q++) {
        if (work_named(q))
            err = work_resend(db, &lab.work, q, have->queues[q].to);
        if (err != OXBOW_OK)
            (void)wrong(v, VERDICT_UNKNOWN, "added again", q);
    }
    enum oxbow_err closed = oxbow_close(db);
    if (err == OXBOW_OK && closed != OXBOW_OK)
        return wrong(v, VERDICT_NO_WRITE, oxbow_err_name(closed), 0);
    return err == OXBOW_OK;
}

/* Nothing is in neither, and at most one batch in both. */
static bool judge_gone(struct verdict *v)
{
    struct work_found have, left;
    unsigned used = 0, ahead = 0;
    uint64_t remaining = 0, came = 0;
    if (!look(v, true, &have, NULL) || !look_aside(v, &left, &used))
        return false;
    for (unsigned q = 0; q < WORK_QUEUES; q++) {
        const struct work_part *h = &have.queues[q], *l = &left.queues[q];
        uint64_t all = lab.work.all[q], begin = l->to > l->from ? l->from : all;
        if (!h->whole || h->from > 0 || h->to > all || h->to < lab.work.had[q])
            return wrong(v, VERDICT_UNKNOWN, work_name(q), h->to);
        if (!l->whole || (l->to > l->from && l->to != all))
            return wrong(v, VERDICT_UNKNOWN, "the stand-in", l->to);
        if (h->to < begin)
            return wrong(v, VERDICT_UNKNOWN, "given up and not there", begin - h->to);
        if (h->to - begin > WORK_BATCH || (h->to > begin && ++ahead > 1))
            return wrong(v, VERDICT_UNKNOWN, "in both", h->to - begin);
        if (lab.opened && h->to < all)
            return wrong(v, VERDICT_UNKNOWN, "lost after the open", h->to);
        remaining += all - begin;
        came += h->to - lab.work.had[q];
    }
    if (left.text == 0 && have.text != lab.work.text)
        return wrong(v, VERDICT_UNKNOWN, "the string", have.text);
    if (!resend(v, &have))
        return false;
    if (ahead > 0)
        set_mark(v, MARK_AHEAD);
    if (used > 1)
        set_mark(v, MARK_SECOND);
    set_mark(v, used == 0        ? MARK_SWEPT
                : remaining == 0 ? MARK_ALL
                : came > 0       ? MARK_PART
                                 : MARK_NOTHING);
    return true;
}

static void judge(const struct judge_config *config, const char *base, struct verdict *v)
{
    char dir[160];
    (void)config;
    snprintf(dir, sizeof dir, "%s/live", base);
    if (chdir(dir) != 0)
        lab_die("cannot enter", dir);
    if (exists("../aside") ? judge_gone(v) : judge_kept(v))
        v->kind = VERDICT_GOOD;
}

/* ---- states ---- */

static void path_in(char *out, size_t room, const char *below)
{
    snprintf(out, room, "%s/%s", lab.base, below);
}

static void must_mkdir(const char *dir)
{
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
}

/* Writes an image; `gone`: its memory is put where only the judge looks. */
static void write_image(const struct image *image, const char *dir, bool gone)
{
    char from[200], to[200];
    must_mkdir(dir);
    image_write(image, dir);
    snprintf(from, sizeof from, "%s/live", dir);
    if (!exists(from))
        must_mkdir(from);
    snprintf(from, sizeof from, "%s/%s", dir, MEMORY);
    snprintf(to, sizeof to, "%s/aside", dir);
    if (!gone)
        return;
    if (exists(from) ? rename(from, to) != 0 : mkdir(to, 0755) != 0)
        lab_die("cannot make", to);
}

static void judge_now(void)
{
    char dir[80];
    path_in(dir, sizeof dir, "states");
    if (lab.batch_count == 0)
        return;
    memset(lab.verdicts, 0, BATCH * sizeof *lab.verdicts);
    judge_batch(&lab.judge, dir, lab.verdicts, lab.batch_count, 2);
    for (size_t i = 0; i < lab.batch_count; i++) {
        const struct verdict *v = &lab.verdicts[i];
        const struct state *s = &lab.batch[i];
        for (unsigned m = 0; m < MARKS; m++)
            lab.marks[m] += v->marks >> m & 1;
        if (v->kind == VERDICT_GOOD || lab.wrong++ >= SHOWN)
            continue;
        printf("seed %llu, life %u, %s, cut after event %zu (%s %llu): %s: %s\n",
               (unsigned long long)lab.seed, lab.life, i % 2 == 0 ? "kept" : "gone", s->event,
               strategy_name(s->strategy), (unsigned long long)s->ordinal, verdict_name(v->kind),
               v->reason);
        for (size_t e = s->event > 12 ? s->event - 12 : 0; e < s->event; e++)
            event_print(e, &recorder_get()->events[e]);
    }
    lab.batch_count = 0;
    lab_remove_tree(dir);
}

static bool is_new(uint64_t hash)
{
    size_t at = (size_t)hash & (SEEN_MAX - 1);
    hash |= 1;
    while (lab.seen[at] != 0 && lab.seen[at] != hash)
        at = (at + 1) & (SEEN_MAX - 1);
    if (lab.seen[at] == hash || lab.seen_count >= SEEN_MAX / 2)
        return false;
    lab.seen[at] = hash;
    lab.seen_count++;
    return true;
}

static void maybe_inherit(const struct image *image)
{
    char dir[80];
    if (lab_random(&lab.random) % ++lab.likely != 0)
        return;
    path_in(dir, sizeof dir, "heir");
    lab_remove_tree(dir);
    lab.heir_gone = lab_random(&lab.random) % 3 == 0;
    write_image(image, dir, lab.heir_gone);
}

static void take(void *ctx, const struct state *s, struct image *image)
{
    char dir[120];
    (void)ctx;
    lab.states++;
    if (is_new(image_hash(image))) {
        path_in(dir, sizeof dir, "states");
        if (lab.batch_count == 0)
            must_mkdir(dir);
        for (unsigned gone = 0; gone < 2; gone++) {
            snprintf(dir, sizeof dir, "%s/states/%zu", lab.base, lab.batch_count);
            write_image(image, dir, gone == 1);
            lab.batch[lab.batch_count++] = *s;
        }
        maybe_inherit(image);
        lab.images++;
        if (lab.batch_count == BATCH)
            judge_now();
    }
    image_free(image);
}

/* ---- a life ---- */

static bool is_sync(const struct event *e)
{
    return e->kind == EVENT_SYNC || e->kind == EVENT_DIRSYNC;
}

/* Whether the event before `idx` was of memory, and so is not to be torn from the one that settles it. */
static bool settled_next(const struct record *r, size_t idx)
{
    return idx < r->count && is_sync(&r->events[idx]) && r->events[idx].number == EVENT_OF_MEMORY;
}

static void judge_life(struct disk *d)
{
    struct enumerate_config ec = {.seed = lab.seed + lab.life,
                                  .exhaustive_max = 3,
                                  .random_subsets = 2,
                                  .singles_max = 2,
                                  .fresh_events = 24};
    const struct record *r = recorder_get();
    uint64_t before = lab.images;
    memset(lab.seen, 0, sizeof lab.seen);
    lab.seen_count = lab.likely = 0;
    lab.opened = false;
    while (disk_event(d) < r->count) {
        const struct event *e = &r->events[disk_event(d)];
        uint64_t left = r->count - disk_event(d), had = lab.images - before;
        if (e->kind == EVENT_OPENED) {
            judge_now();
            lab.opened = true; /* what was judged before is held to less */
            memset(lab.seen, 0, sizeof lab.seen);
            lab.seen_count = 0;
        }
        disk_advance(d);
        if (settled_next(r, disk_event(d)) || (is_sync(e) && e->number != EVENT_OF_MEMORY))
            continue; /* no state that there was; none that there was not */
        /* What the life may have is spread over its events by chance. */
        bool some =
            had < lab.per_life && lab_random(&lab.random) % (left + 1) < 4 * (lab.per_life - had);
        if (some) {
            uint64_t share = 65536 * (lab.per_life - had) / (left + 1) / 3;
            ec.part = share >= 65536 ? 0 : (uint32_t)share + 1;
            enumerate_states(d, &ec, take, NULL);
        }
    }
    judge_now();
}

static void cut(void)
{
    char run[80];
    path_in(run, sizeof run, "run");
    struct disk *d = disk_open(recorder_get(), run);
    recorder_memory(MEMORY);
    recorder_start(run, "live");
    struct oxbow *db = NULL;
    enum oxbow_err err = work_open("store", true, &db);
    if (err != OXBOW_OK)
        lab_die("the store could not be opened", oxbow_err_name(err));
    recorder_mark(EVENT_OPENED, 1);
    err = oxbow_close(db);
    if (err != OXBOW_OK)
        lab_die("close", oxbow_err_name(err));
    recorder_stop();
    if (recorder_get()->kinds[EVENT_SYNC] < 10 || recorder_get()->kinds[EVENT_WRITE] < 20)
        lab_die("the recorder", "saw too little: it is blind");
    judge_life(d);
    disk_close(d);
}

/* The next life's device is as one of the states left it. */
static void inherit(void)
{
    char run[80], heir[80];
    path_in(run, sizeof run, "run");
    path_in(heir, sizeof heir, "heir");
    lab_remove_tree(run);
    if (rename(heir, run) != 0)
        lab_die("cannot rename", heir);
    path_in(run, sizeof run, "run/aside");
    lab_remove_tree(run);
}

static void enter(void)
{
    char dir[80];
    path_in(dir, sizeof dir, "run/live");
    if (chdir(dir) != 0)
        lab_die("cannot enter", dir);
}

/* A store that is broken on purpose has been caught once one state is wrong; a next life on such a state
 * may not even begin. */
static void seed_run(uint64_t seed, bool broken)
{
    char dir[80];
    lab.seed = lab.random = seed;
    path_in(dir, sizeof dir, "run");
    must_mkdir(dir);
    path_in(dir, sizeof dir, MEMORY);
    path_in(dir, sizeof dir, "run/live");
    must_mkdir(dir);
    enter();
    work_begin(&lab.work, seed);
    for (lab.life = 0; lab.life < LIVES && !(broken && lab.wrong > 0); lab.life++) {
        if (lab.life > 0) {
            inherit();
            enter();
            work_stand(&lab.work, lab.heir_gone);
        }
        work_meanwhile(&lab.work, &lab.random);
        cut();
    }
    path_in(dir, sizeof dir, "run");
    lab_remove_tree(dir);
    path_in(dir, sizeof dir, "heir");
    lab_remove_tree(dir);
}

static void prepare(const char *control)
{
    static const struct judge_shape shape = {
        .segments = 2, .segment_bytes = 64 << 10, .memtable_bytes = 64 << 10};
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(lab.base, sizeof lab.base, "%s/oxbow-merge-XXXXXX", tmp);
    if (mkdtemp(lab.base) == NULL)
        lab_die("cannot make", lab.base);
    lab.judge = (struct judge_config){.judge = judge};
    lab.verdicts = mmap(NULL, BATCH * sizeof *lab.verdicts, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab.verdicts == MAP_FAILED)
        lab_die("memory", "cannot be shared");
    judge_set_shape(&shape);
    lab.forget = control != NULL && strcmp(control, "no-note") == 0;
    if (control != NULL && !lab.forget && mutant_find(control) == NULL)
        lab_die("no such control", control);
    if (control != NULL && !lab.forget)
        mutant_set(mutant_find(control));
}

/* A mark that so many seeds must show, and that these have not shown. */
static bool lacks(unsigned mark, uint64_t seeds)
{
    return lab.marks[mark] == 0 && (seeds >= SEEDS_ALL || mark <= MARK_AHEAD);
}

/* Whether what the states are to show has been shown. How they fall is a matter of threads and chance. */
static bool shown(uint64_t seeds, bool broken)
{
    bool all = !broken || lab.wrong > 0;
    for (unsigned m = 0; m < MARKS && !broken; m++)
        all = all && !lacks(m, seeds);
    return all;
}

/* merge_lab SEEDS [STATES [CONTROL]]. Distinct states of the device for each seed; a merge without its
 * note (no-note), or a store that is broken in this way (mutant.h), which must be caught. The first seed is
 * OXBOW_SEED, or 1; there are more where these do not show what they must. */
int main(int argc, char **argv)
{
    const char *env = getenv("OXBOW_SEED"), *control = argc > 3 ? argv[3] : NULL;
    uint64_t first = env != NULL ? strtoull(env, NULL, 10) : 1;
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 300;
    prepare(control);
    lab.per_life = wanted / LIVES;
    uint64_t ran = 0;
    for (; ran < seeds || (ran < MORE * seeds && !shown(seeds, control != NULL)); ran++) {
        if (lab.wrong >= SHOWN)
            break;
        seed_run(first + ran, control != NULL);
    }
    bool pass = (lab.wrong == 0) == (control == NULL) && shown(seeds, control != NULL);
    printf("marks    ");
    for (unsigned m = 0; m < MARKS; m++)
        printf(" %s %llu", mark_names[m], (unsigned long long)lab.marks[m]);
    printf("\n%s      OXBOW_SEED=%llu, %llu seeds: %llu states, %llu distinct, each judged twice, "
           "%llu "
           "wrong%s%s\n",
           pass ? "PASS" : "FAIL", (unsigned long long)first, (unsigned long long)ran,
           (unsigned long long)lab.states, (unsigned long long)lab.images,
           (unsigned long long)lab.wrong, control != NULL ? ", with " : "",
           control != NULL ? control : "");
    recorder_fini();
    if (chdir("/") == 0)
        lab_remove_tree(lab.base);
    munmap(lab.verdicts, BATCH * sizeof *lab.verdicts);
    return pass ? 0 : 1;
}
