/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash lab: runs a workload on the real store under the recorder, cuts the power after every
 * event in every way that the strategies know, and has each distinct outcome judged. The store then
 * goes on from one of them, and so a few times over: what a power cut left behind must not come
 * back to life at the next.
 *
 * For an outcome that stands after P steps it holds that: acknowledged <= P <= issued, where both
 * were noted in the record; that nothing which was written is lost when the process alone ends; and
 * once oxbow_open had returned, the store is that store and not a new one.
 */
#include "tests/crash/life.h"
#include "tests/crash/record.h"
#include "tests/crash/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH      64u
#define FAILED_MAX 200u /* then the lab stops early */
#define PART_ALL   65536u

struct lab {
    struct options opt;
    char base[64];
    struct model_path path;
    struct judge_config judge;
    struct life life;
    struct tally tally;
    struct enumerate_config enumerate; /* of this event */
    uint32_t part;                     /* of this event's states, as in `enumerate` */
    uint64_t event_new, event_max;     /* distinct states of this event, and how many may be */
    struct promise now;                /* as of this event */
    struct found *batch[BATCH];
    size_t batch_count;
    struct verdict *verdicts; /* shared */
    uint64_t random;
    uint64_t likely;     /* survivors that were drawn from */
    struct found *heir;  /* the state that the next life begins with, in <base>/heir; NULL: none */
    uint64_t begun_with; /* hash of the state that this life began with */
    time_t started;
};

/* ---- judging ---- */

static void judge_now(struct lab *lab)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/states", lab->base);
    memset(lab->verdicts, 0, BATCH * sizeof *lab->verdicts);
    for (size_t i = 0; i < lab->batch_count; i++) {
        uint64_t chance = lab->batch[i]->hash >> 20;
        lab->verdicts[i].cut = lab->opt.deeper_max > 0 && chance % lab->opt.deeper_one_in == 0;
        lab->verdicts[i].stop = chance % lab->opt.go_on_one_in != 0;
        lab->tally.stopped += lab->verdicts[i].stop;
    }
    judge_batch(&lab->judge, dir, lab->verdicts, lab->batch_count, lab->opt.jobs);
    for (size_t i = 0; i < lab->batch_count; i++)
        tally_verdict(&lab->tally, lab->batch[i], &lab->verdicts[i]);
    lab->batch_count = 0;
    lab_remove_tree(dir);
}

/* Each life has its share of the time. */
static bool full(const struct lab *lab)
{
    uint64_t share = (uint64_t)lab->opt.seconds * (lab->life.number + 1) / lab->opt.lives;
    return lab->tally.failed >= FAILED_MAX ||
           (lab->opt.seconds != 0 && (uint64_t)(time(NULL) - lab->started) >= share);
}

static void make_dir(const char *dir)
{
    if (mkdir(dir, 0755) != 0)
        lab_die("cannot make", dir);
}

/* Any state that an open store may have left may be what the next life begins with; those in which
 * much was lost out of order are drawn more often. */
static void maybe_inherit(struct lab *lab, struct found *f, const struct image *image)
{
    uint64_t weight = f->state.strategy >= STRATEGY_PAIRS ? 3 : 1;
    if (lab->life.last || lab->now.store_id == 0)
        return;
    lab->likely += weight;
    if (lab_random(&lab->random) % lab->likely >= weight)
        return;
    char dir[80];
    snprintf(dir, sizeof dir, "%s/heir", lab->base);
    lab_remove_tree(dir);
    make_dir(dir);
    image_write(image, dir);
    lab->heir = f;
}

static void take_new(struct lab *lab, struct found *f, const struct image *image)
{
    char dir[160];
    snprintf(dir, sizeof dir, "%s/states", lab->base);
    if (lab->batch_count == 0)
        make_dir(dir);
    snprintf(dir, sizeof dir, "%s/states/%zu", lab->base, lab->batch_count);
    make_dir(dir);
    image_write(image, dir);
    maybe_inherit(lab, f, image);
    if (++lab->event_new >= lab->event_max)
        lab->enumerate.part = 1; /* enough: hardly any more are made */
    if (f->hash != lab->begun_with) {
        lab->tally.images++;
        lab->tally.by_strategy[f->state.strategy]++;
    }
    lab->batch[lab->batch_count++] = f;
    if (lab->batch_count == BATCH)
        judge_now(lab);
}

static void take_image(void *ctx, const struct state *s, struct image *image)
{
    struct lab *lab = ctx;
    bool is_new = false;
    lab->tally.states++;
    if (!full(lab) && lab->event_new < lab->event_max) {
        struct found *f = tally_find(&lab->tally, image_hash(image), &is_new);
        if (is_new)
            f->state = *s;
        tally_tighten(&lab->tally, f, s, &lab->now);
        if (is_new)
            take_new(lab, f, image);
    }
    image_free(image);
}

/* ---- a life ---- */

static void note_mark(struct promise *now, const struct event *e)
{
    if (e->kind == EVENT_ACK && e->number > now->acked)
        now->acked = e->number;
    if (e->kind == EVENT_ISSUE)
        now->issued = e->number;
    if (e->kind == EVENT_WRITTEN || (e->kind == EVENT_ISSUE && e->number < now->written))
        now->written = e->number;
    if (e->kind == EVENT_OPENED)
        now->store_id = e->number;
}

/* How many of the next event's states are taken, so that what --images allows lasts for the rest
 * of the record: as many as this event had, or so, it will have new ones. */
static void plan_event(struct lab *lab, size_t events_left)
{
    uint64_t lives_left = lab->opt.lives - lab->life.number;
    uint64_t part = lab->part == 0 ? PART_ALL : lab->part;
    uint64_t expected = 1 + lab->event_new * PART_ALL / part;
    lab->event_max = UINT64_MAX;
    if (lab->opt.images_max == 0)
        return;
    uint64_t left = lab->opt.images_max > lab->tally.images
                        ? (lab->opt.images_max - lab->tally.images) / lives_left
                        : 0;
    uint64_t cap = (lab->now.store_id == 0 ? 1 : 2) * left / (events_left + 1);
    lab->part = expected <= cap ? 0 : (uint32_t)(1 + (cap + 1) * (PART_ALL - 1) / (expected + 1));
    lab->enumerate.part = lab->part;
    lab->event_max = cap > 0 ? 4 * cap : lab_random(&lab->random) % (events_left + 1) < 2 * left;
    lab->event_new = 0;
}

static void judge_life(struct lab *lab)
{
    const struct record *r = recorder_get();
    lab->enumerate = lab->opt.enumerate;
    lab->enumerate.seed += lab->life.number;
    while (disk_event(lab->life.disk) < r->count && !full(lab)) {
        plan_event(lab, r->count - disk_event(lab->life.disk));
        note_mark(&lab->now, &r->events[disk_event(lab->life.disk)]);
        disk_advance(lab->life.disk);
        enumerate_states(lab->life.disk, &lab->enumerate, take_image, lab);
    }
    if (lab->batch_count > 0)
        judge_now(lab);
    disk_close(lab->life.disk);
}

/* ---- keeping what failed ---- */

struct saver {
    const struct state *wanted;
    const char *dir;
};

static void save_image(void *ctx, const struct state *s, struct image *image)
{
    const struct saver *sv = ctx;
    if (s->ordinal == sv->wanted->ordinal && mkdir(sv->dir, 0755) == 0) {
        image_write(image, sv->dir);
        printf("saved     %s\n", sv->dir);
    }
    image_free(image);
}

static int by_event(const void *a, const void *b)
{
    const struct state *x = a, *y = b;
    return x->event < y->event ? -1 : x->event > y->event;
}

/* Goes through the record once more. */
static void save_failures(struct lab *lab)
{
    struct tally *t = &lab->tally;
    struct disk *d = lab->life.again;
    if (d == NULL)
        return;
    qsort(t->saved, t->saved_count, sizeof t->saved[0], by_event);
    for (size_t i = 0; i < t->saved_count; i++) {
        char dir[4096];
        const struct state *s = &t->saved[i];
        snprintf(dir, sizeof dir, "%s/seed%llu-life%u-event%zu-state%llu", lab->opt.save,
                 (unsigned long long)lab->opt.seed, lab->life.number, s->event,
                 (unsigned long long)s->ordinal);
        struct saver sv = {s, dir};
        while (disk_event(d) < s->event)
            disk_advance(d);
        lab->enumerate.part = 0;
        enumerate_states(d, &lab->enumerate, save_image, &sv);
        if (lab->opt.verbose)
            for (size_t e = s->event > 40 ? s->event - 40 : 0; e < s->event; e++)
                event_print(e, &recorder_get()->events[e]);
    }
    disk_close(d);
}

/* ---- lives ---- */

/* What the next life begins with is put where it lives. False: nothing fit is there. */
static bool inherit(struct lab *lab)
{
    char heir[80], live[80];
    snprintf(heir, sizeof heir, "%s/heir", lab->base);
    snprintf(live, sizeof live, "%s/live", lab->base);
    lab_remove_tree(live);
    if (lab->heir == NULL || lab->heir->failed || !lab->heir->judged)
        return false;
    if (rename(heir, live) != 0)
        lab_die("cannot rename", heir);
    lab->life.start = lab->heir->step;
    lab->begun_with = lab->heir->hash;
    return true;
}

static void live(struct lab *lab)
{
    struct life *l = &lab->life;
    lab->heir = NULL;
    lab->likely = 0;
    l->last = l->number + 1 == lab->opt.lives;
    l->acked = l->start;
    l->end = l->start + lab->opt.steps / lab->opt.lives + 1;
    l->random = lab->opt.seed + l->number;
    l->lsns_now = lab_grow(l->lsns_now, (size_t)(l->end + 1) * sizeof *l->lsns_now);
    memset(l->lsns_now, 0, (size_t)(l->end + 1) * sizeof *l->lsns_now);
    for (uint64_t i = 0; i <= l->start; i++)
        l->lsns_now[i] = lab->path.at[i].lsn;
    path_turn(&lab->path, l->start, lab->opt.seed + ((uint64_t)l->number << 48), l->end);
    lab->now = (struct promise){.acked = l->start,
                                .written = l->start,
                                .issued = l->start,
                                .store_id = l->number > 0 ? l->store_id : 0};
    life_run(l);
    life_check_record(l);
    judge_life(lab);
    save_failures(lab);
}

static void live_all(struct lab *lab)
{
    char dir[80];
    snprintf(dir, sizeof dir, "%s/live", lab->base);
    make_dir(dir);
    for (bool more = true; more && lab->tally.failed < FAILED_MAX; lab->life.number++) {
        live(lab);
        more = !lab->life.last && inherit(lab);
        tally_next_life(&lab->tally);
    }
}

/* ---- the program ---- */

/* A mutant that is not to be caught shows that others of the store's defences hold. */
static int conclude(const struct lab *lab)
{
    uint64_t count = lab->tally.failed;
    bool broken = !lab->opt.mutant->survives || subject_find(lab->opt.subject)->broken,
         wanted = lab->opt.expect_caught && broken, pass = (count > 0) == wanted;
    const char *unseen =
        lab->opt.drawn ? NULL : tally_unseen(&lab->tally, subject_find(lab->opt.subject)->marks);
    printf("%s      seed %llu, %ld s, %u lives: ", pass ? "PASS" : "FAIL",
           (unsigned long long)lab->opt.seed, (long)(time(NULL) - lab->started), lab->life.number);
    if (wanted)
        printf(pass ? "the broken store was caught %llu times\n"
                    : "a broken store was NOT caught (%llu failures)\n",
               (unsigned long long)count);
    else
        printf("%llu of %llu states are bad\n", (unsigned long long)count,
               (unsigned long long)lab->tally.images);
    if (unseen != NULL)
        printf("FAIL      no state showed what the workload is to come by: %s\n", unseen);
    return pass && unseen == NULL ? 0 : 1;
}

static void prepare(struct lab *lab)
{
    const struct options *o = &lab->opt;
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(lab->base, sizeof lab->base, "%s/oxbow-crash-XXXXXX", tmp);
    if (mkdtemp(lab->base) == NULL)
        lab_die("cannot make", lab->base);
    tally_init(&lab->tally);
    path_init(&lab->path, subject_find(o->subject));
    lab->judge =
        (struct judge_config){.path = &lab->path, .seed = o->seed, .deeper_max = o->deeper_max};
    lab->life = (struct life){.opt = &lab->opt, .base = lab->base, .path = &lab->path};
    lab->random = o->seed;
    judge_set_shape(&o->shape);
    subject_kv_ballast(o->shape.holes);
    mutant_set(o->mutant);
    lab->verdicts = mmap(NULL, BATCH * sizeof *lab->verdicts, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab->verdicts == MAP_FAILED)
        lab_die("memory", "cannot be shared");
}

static void finish(struct lab *lab)
{
    lab_remove_tree(lab->base);
    recorder_fini();
    tally_fini(&lab->tally);
    path_fini(&lab->path);
    free(lab->life.lsns_now);
    munmap(lab->verdicts, BATCH * sizeof *lab->verdicts);
    free(lab);
}

int main(int argc, char **argv)
{
    struct lab *lab = lab_alloc(sizeof *lab);
    int status = 0;
    if (!options_read(&lab->opt, argc, argv, &status)) {
        free(lab);
        return status;
    }
    prepare(lab);
    printf("crash lab %s, %u steps, %u lives, %s, %u segments, mutant %s, seed %llu\n",
           lab->opt.subject, lab->opt.steps, lab->opt.lives, options_policy(&lab->opt),
           lab->opt.shape.segments, lab->opt.mutant->name, (unsigned long long)lab->opt.seed);
    lab->started = time(NULL);
    live_all(lab);
    tally_report(&lab->tally, subject_find(lab->opt.subject)->marks);
    status = conclude(lab);
    finish(lab);
    return status;
}
