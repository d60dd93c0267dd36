/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash lab: runs a workload on the real store under the recorder, cuts the power after every
 * event in every way that the strategies know, and has each distinct outcome judged.
 *
 * For an outcome that stands after P steps it holds that: acknowledged <= P <= issued, where both
 * were noted in the record; and once oxbow_open had returned, the store is that store and not a new
 * one.
 */
#include "tests/crash/enumerate.h"
#include "tests/crash/judge.h"
#include "tests/crash/options.h"
#include "tests/crash/record.h"
#include "tests/support/iohook/iohook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH      64u
#define SLOTS      (1u << 20) /* for images, a power of two */
#define LOG_KINDS  24u
#define SAVED_MAX  5u
#define FAILED_MAX 200u /* then the lab stops early */

/* A distinct image and where it came from. */
struct found {
    uint64_t hash;
    struct state state;
    uint64_t acked, issued; /* the tightest bounds under which it appeared */
    bool opened;
    bool judged;
    bool failed;
    enum verdict_kind verdict;
    uint64_t step;
    uint64_t store_id;
};

struct log_kind {
    char line[96];
    uint64_t count;
};

struct lab {
    struct options opt;
    char base[64];
    const struct subject *subject;
    struct judge_config judge;
    uint64_t *hashes, *lsns; /* lsns: when a step was first taken */
    uint64_t *lsns_now;      /* when it was last taken */
    uint64_t run_acked;      /* of the run */
    uint64_t store_id;
    struct disk *disk;
    uint64_t acked, issued; /* as of the disk's event */
    bool opened;
    struct found *slots[SLOTS];
    struct found *batch[BATCH];
    size_t batch_count;
    struct verdict *verdicts; /* shared */
    time_t started;
    bool stop;
    /* for the report */
    uint64_t states, images, deeper, failed;
    uint64_t by_strategy[STRATEGIES], by_verdict[VERDICT_KINDS], lost, risen, remade;
    uint64_t at_issued, at_acked, between, empty;
    struct log_kind logs[LOG_KINDS];
    struct state saved[SAVED_MAX];
    size_t saved_count;
};

/* ---- the run ---- */

static void check(enum oxbow_err err, const char *what)
{
    if (err != OXBOW_OK)
        lab_die(what, oxbow_err_name(err));
}

/* When syncs fail, opening may take several goes. */
static struct oxbow *open_live(struct lab *lab)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/live/store", lab->base);
    struct oxbow_config config;
    judge_store_config(&config, dir);
    config.sync = lab->opt.policy;
    struct oxbow *db = NULL;
    enum oxbow_err err = oxbow_open(&config, &db);
    for (int i = 0; i < 50 && err != OXBOW_OK && lab->opt.fail_one_in != 0; i++)
        err = oxbow_open(&config, &db);
    check(err, "open");
    return db;
}

/* Notes which steps are durable. The number is read before the mark is made. */
static void note_durable(struct lab *lab, struct oxbow *db, uint64_t steps)
{
    uint64_t lsn = oxbow_durable_lsn(db), acked = steps;
    while (acked > 0 && lab->lsns_now[acked] > lsn)
        acked--;
    recorder_mark(EVENT_ACK, acked);
    lab->run_acked = acked > lab->run_acked ? acked : lab->run_acked;
}

static void note_acked(struct lab *lab, uint64_t steps)
{
    recorder_mark(EVENT_ACK, steps);
    lab->run_acked = steps;
}

/* Any error is that of a failed sync. */
static enum oxbow_err take_step(struct lab *lab, struct oxbow *db, struct model *m, uint64_t step,
                                uint64_t *random)
{
    struct oxbow_txn_options opt = {0};
    bool wait = lab->opt.policy == OXBOW_SYNC_ALWAYS && lab_random(random) % 4 != 0;
    bool flush = !wait && lab_random(random) % 6 == 0;
    uint64_t lsn = 0;
    opt.flags = wait ? 0 : OXBOW_TXN_NOWAIT;
    struct oxbow_stat before;
    oxbow_stat(db, &before);
    recorder_mark(EVENT_ISSUE, step + 1);
    enum oxbow_err err = lab->subject->step(m, lab->opt.seed, step, db, &opt, &lsn);
    if (err != OXBOW_OK) {
        /* In doubt: it may be on the disk all the same, under the number that came next then. */
        if (lab->lsns[step + 1] == 0)
            lab->lsns[step + 1] = before.lsn_applied + 1;
        return err;
    }
    lab->lsns_now[step + 1] = lsn;
    if (lab->lsns[step + 1] == 0)
        lab->lsns[step + 1] = lsn;
    if (wait)
        note_acked(lab, step + 1);
    else
        note_durable(lab, db, step + 1);
    err = flush ? oxbow_flush(db) : OXBOW_OK;
    if (err == OXBOW_OK && flush)
        note_acked(lab, step + 1);
    uint64_t hash = err == OXBOW_OK ? judge_hash_store(lab->subject, db, &err) : 0;
    if (err == OXBOW_OK && hash != lab->hashes[step + 1])
        lab_die("the running store differs from the model", "");
    return err;
}

/* After a failed sync: opens the store again and sees where it stands. What it stands at is durable
 * now, or so it says. */
static uint64_t resume(struct lab *lab, struct oxbow **db, struct model **m, uint64_t issued)
{
    enum oxbow_err err = *db == NULL ? OXBOW_OK : oxbow_close(*db);
    *db = open_live(lab);
    uint64_t step = 0, hash = judge_hash_store(lab->subject, *db, &err);
    while (step <= issued && lab->hashes[step] != hash)
        step++;
    if (err != OXBOW_OK || step > issued || step < lab->run_acked)
        lab_die("after a failed sync the store", err != OXBOW_OK ? oxbow_err_name(err)
                                                 : step > issued ? "holds what never was"
                                                                 : "lost what it acknowledged");
    struct oxbow_stat stat;
    oxbow_stat(*db, &stat);
    lab->lsns_now[step] = step > 0 ? stat.lsn_applied : 0;
    if (lab->lsns[step] == 0)
        lab->lsns[step] = lab->lsns_now[step]; /* its commit never told */
    recorder_mark(EVENT_ISSUE, step);
    note_durable(lab, *db, step);
    lab->subject->close(*m);
    *m = judge_model(&lab->judge, step);
    return step;
}

static void hash_steps(struct lab *lab)
{
    struct model *m = lab->subject->open();
    for (uint64_t i = 0; i <= lab->opt.steps; i++) {
        lab->hashes[i] = judge_hash_model(lab->subject, m);
        for (uint64_t j = 0; j < i; j++)
            if (lab->hashes[i] == lab->hashes[j])
                lab_die("the workload", "came back to an earlier state");
        check(lab->subject->step(m, lab->opt.seed, i, NULL, NULL, NULL), "model");
    }
    lab->subject->close(m);
}

static void run_steps(struct lab *lab, struct oxbow **db, struct model **m)
{
    uint64_t random = lab->opt.seed, failures = 0;
    bool closed = false;
    for (uint64_t step = 0; step < lab->opt.steps;) {
        enum oxbow_err err = take_step(lab, *db, *m, step, &random);
        step++;
        if (err == OXBOW_OK && step > lab->opt.steps / 2 && !closed) {
            closed = true;
            err = oxbow_close(*db);
            if (err == OXBOW_OK)
                note_acked(lab, step);
            *db = err == OXBOW_OK ? open_live(lab) : NULL;
        }
        if (err != OXBOW_OK && lab->opt.fail_one_in == 0)
            lab_die("step", oxbow_err_name(err));
        if (err != OXBOW_OK)
            step = resume(lab, db, m, step);
        if (err != OXBOW_OK && ++failures > 10u * lab->opt.steps)
            lab_die("the workload", "gets nowhere");
    }
}

static void run_workload(struct lab *lab)
{
    char live[80];
    snprintf(live, sizeof live, "%s/live", lab->base);
    if (mkdir(live, 0755) != 0)
        lab_die("cannot make", live);
    hash_steps(lab);
    mutant_set(lab->opt.mutant);
    recorder_start(live, "store");
    recorder_fail(lab->opt.fail_one_in, lab->opt.seed);
    struct oxbow *db = open_live(lab);
    recorder_mark(EVENT_OPENED, 0);
    struct oxbow_stat stat;
    oxbow_stat(db, &stat);
    lab->store_id = stat.store_id;
    lab->lsns[0] = stat.lsn_applied;
    struct model *m = lab->subject->open();
    run_steps(lab, &db, &m);
    recorder_fail(0, 0);
    enum oxbow_err err = oxbow_close(db);
    if (err == OXBOW_OK)
        note_acked(lab, lab->opt.steps);
    else if (lab->opt.fail_one_in == 0)
        lab_die("close", oxbow_err_name(err));
    recorder_stop();
    mutant_set(MUTANT_NONE);
    lab->subject->close(m);
}

/* A hook that misses LMDB's or the port's calls must not pass green. */
static void check_record(const struct lab *lab)
{
    const struct record *r = recorder_get();
    bool lies = lab->opt.mutant == MUTANT_NO_SYNC, dir_lies = lab->opt.mutant == MUTANT_NO_DIR_SYNC;
    printf("recorded ");
    for (int k = 0; k < EVENT_KINDS; k++)
        if (r->kinds[k] > 0)
            printf(" %s %llu", event_name((enum event_kind)k), (unsigned long long)r->kinds[k]);
    printf("\n");
    unsigned commits = lab->opt.policy == OXBOW_SYNC_ALWAYS ? lab->opt.steps / 3 : 2;
    if (r->kinds[EVENT_WRITE] < 2 * commits + 3 || r->kinds[EVENT_CREATE] < 3)
        lab_die("the recorder", "saw too few writes: it is blind");
    if ((r->kinds[EVENT_SYNC] < 2 * commits + 2) != lies ||
        (r->kinds[EVENT_DIRSYNC] < 1) != dir_lies)
        lab_die("the recorder", "saw too few syncs, or too many: it is blind");
    if (lab->opt.mutant == MUTANT_LSN && mutant_moved() < commits)
        lab_die("the mutant", "did nothing");
    if (lab->opt.fail_one_in != 0 && r->kinds[EVENT_FAILED] < 3)
        lab_die("too few syncs failed:", "take more steps");
    if (iohook_failed_writes() > 0)
        lab_die("a write", "was cut short");
}

/* ---- outcomes ---- */

static void print_failure(const struct found *f, const char *what, const char *reason)
{
    printf("FAILED    after event %zu, %s %llu: %s: %s (acked %llu, issued %llu)\n", f->state.event,
           strategy_name(f->state.strategy), (unsigned long long)f->state.ordinal, what, reason,
           (unsigned long long)f->acked, (unsigned long long)f->issued);
}

static void failed(struct lab *lab, struct found *f, const char *what, const char *reason)
{
    f->failed = true;
    lab->failed++;
    if (lab->saved_count < SAVED_MAX) {
        lab->saved[lab->saved_count++] = f->state;
        print_failure(f, what, reason);
    }
    lab->stop = lab->failed >= FAILED_MAX;
}

/* The bounds, for an image that opened well. Each image fails at most once. */
static void check_bounds(struct lab *lab, struct found *f)
{
    char reason[80];
    if (f->failed || f->verdict != VERDICT_GOOD)
        return;
    snprintf(reason, sizeof reason, "it stands at step %llu", (unsigned long long)f->step);
    if (f->step < f->acked) {
        lab->lost++;
        failed(lab, f, "LOST", reason);
    } else if (f->step > f->issued) {
        lab->risen++;
        failed(lab, f, "FROM THE FUTURE", reason);
    } else if (f->opened && f->store_id != lab->store_id) {
        lab->remade++;
        failed(lab, f, "MADE ANEW", "the store was open and is another one now");
    }
}

static void count_log(struct lab *lab, const char *line)
{
    for (size_t i = 0; i < LOG_KINDS && line[0] != '\0'; i++) {
        struct log_kind *k = &lab->logs[i];
        if (k->count == 0)
            memcpy(k->line, line, sizeof k->line);
        if (strcmp(k->line, line) == 0) {
            k->count++;
            return;
        }
    }
}

static void take_verdict(struct lab *lab, struct found *f, const struct verdict *v)
{
    f->judged = true;
    f->verdict = v->kind;
    f->step = v->step;
    f->store_id = v->store_id;
    lab->by_verdict[v->kind]++;
    lab->deeper += v->deeper;
    for (unsigned i = 0; i < VERDICT_LOGS; i++)
        count_log(lab, v->log[i]);
    if (v->kind != VERDICT_GOOD) {
        failed(lab, f, verdict_name(v->kind), v->reason);
        return;
    }
    *(f->step == 0           ? &lab->empty
      : f->step == f->issued ? &lab->at_issued
      : f->step == f->acked  ? &lab->at_acked
                             : &lab->between) += 1;
    check_bounds(lab, f);
}

static void judge_now(struct lab *lab)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/states", lab->base);
    memset(lab->verdicts, 0, BATCH * sizeof *lab->verdicts);
    judge_batch(&lab->judge, dir, lab->verdicts, lab->batch_count, lab->opt.jobs);
    for (size_t i = 0; i < lab->batch_count; i++)
        take_verdict(lab, lab->batch[i], &lab->verdicts[i]);
    lab->batch_count = 0;
    lab_remove_tree(dir);
}

static struct found **slot_of(struct lab *lab, uint64_t hash)
{
    size_t i = (size_t)hash % SLOTS;
    while (lab->slots[i] != NULL && lab->slots[i]->hash != hash)
        i = (i + 1) % SLOTS;
    return &lab->slots[i];
}

static void tighten(struct lab *lab, struct found *f)
{
    f->acked = lab->acked > f->acked ? lab->acked : f->acked;
    f->issued = lab->issued < f->issued ? lab->issued : f->issued;
    f->opened = f->opened || lab->opened;
    if (f->judged)
        check_bounds(lab, f);
}

static bool full(const struct lab *lab)
{
    return lab->stop || (lab->opt.images_max != 0 && lab->images >= lab->opt.images_max) ||
           (lab->opt.seconds != 0 && time(NULL) - lab->started >= (time_t)lab->opt.seconds);
}

static void take_image(void *ctx, const struct state *s, struct image *image)
{
    struct lab *lab = ctx;
    struct found **slot = slot_of(lab, image_hash(image));
    lab->states++;
    if (*slot != NULL) {
        tighten(lab, *slot);
    } else if (!full(lab)) {
        *slot = lab_alloc(sizeof **slot);
        **slot = (struct found){.hash = image_hash(image),
                                .state = *s,
                                .acked = lab->acked,
                                .issued = lab->issued,
                                .opened = lab->opened};
        char dir[160];
        snprintf(dir, sizeof dir, "%s/states", lab->base);
        if (lab->batch_count == 0 && mkdir(dir, 0755) != 0)
            lab_die("cannot make", dir);
        snprintf(dir, sizeof dir, "%s/states/%zu", lab->base, lab->batch_count);
        if (mkdir(dir, 0755) != 0)
            lab_die("cannot make", dir);
        image_write(image, dir);
        lab->images++;
        lab->by_strategy[s->strategy]++;
        lab->batch[lab->batch_count++] = *slot;
        if (lab->batch_count == BATCH)
            judge_now(lab);
    }
    image_free(image);
}

static void judge_all(struct lab *lab)
{
    const struct record *r = recorder_get();
    lab->disk = disk_open(r, NULL);
    for (size_t i = 0; i < r->count && !full(lab); i++) {
        disk_advance(lab->disk);
        const struct event *e = &r->events[i];
        if (e->kind == EVENT_ACK && e->number > lab->acked)
            lab->acked = e->number;
        if (e->kind == EVENT_ISSUE)
            lab->issued = e->number;
        lab->opened = lab->opened || e->kind == EVENT_OPENED;
        enumerate_states(lab->disk, &lab->opt.enumerate, take_image, lab);
    }
    if (lab->batch_count > 0)
        judge_now(lab);
    disk_close(lab->disk);
}

/* ---- keeping what failed ---- */

struct saver {
    const struct lab *lab;
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

static void save_failures(struct lab *lab)
{
    for (size_t i = 0; i < lab->saved_count && lab->opt.save != NULL; i++) {
        char dir[4096];
        const struct state *s = &lab->saved[i];
        snprintf(dir, sizeof dir, "%s/seed%llu-event%zu-state%llu", lab->opt.save,
                 (unsigned long long)lab->opt.seed, s->event, (unsigned long long)s->ordinal);
        struct saver sv = {lab, s, dir};
        struct disk *d = disk_open(recorder_get(), NULL);
        while (disk_event(d) < s->event)
            disk_advance(d);
        enumerate_states(d, &lab->opt.enumerate, save_image, &sv);
        disk_close(d);
        if (lab->opt.verbose)
            for (size_t e = s->event > 40 ? s->event - 40 : 0; e < s->event; e++)
                event_print(e, &recorder_get()->events[e]);
    }
}

/* ---- the report ---- */

static void report(const struct lab *lab)
{
    printf("states    %llu possible, %llu distinct; of recoveries cut short %llu\n",
           (unsigned long long)lab->states, (unsigned long long)lab->images,
           (unsigned long long)lab->deeper);
    printf("strategy ");
    for (int s = 0; s < STRATEGIES; s++)
        printf(" %s %llu", strategy_name((enum strategy)s),
               (unsigned long long)lab->by_strategy[s]);
    printf("\nrecovered at the last step issued %llu, at the last one acknowledged %llu, between "
           "%llu, empty %llu\n",
           (unsigned long long)lab->at_issued, (unsigned long long)lab->at_acked,
           (unsigned long long)lab->between, (unsigned long long)lab->empty);
    for (size_t i = 0; i < LOG_KINDS && lab->logs[i].count > 0; i++)
        printf("said      %7llu x %s\n", (unsigned long long)lab->logs[i].count, lab->logs[i].line);
    printf("verdicts ");
    for (int v = 1; v < VERDICT_KINDS; v++)
        if (lab->by_verdict[v] > 0)
            printf(" %s %llu", verdict_name((enum verdict_kind)v),
                   (unsigned long long)lab->by_verdict[v]);
    printf("; lost %llu, from the future %llu, made anew %llu\n", (unsigned long long)lab->lost,
           (unsigned long long)lab->risen, (unsigned long long)lab->remade);
}

static int conclude(const struct lab *lab)
{
    bool caught = lab->failed > 0;
    printf("%s      seed %llu, %ld s: ", caught == lab->opt.expect_caught ? "PASS" : "FAIL",
           (unsigned long long)lab->opt.seed, (long)(time(NULL) - lab->started));
    if (lab->opt.expect_caught)
        printf(caught ? "the broken store was caught %llu times\n"
                      : "a broken store was NOT caught (%llu failures)\n",
               (unsigned long long)lab->failed);
    else
        printf("%llu of %llu states are bad\n", (unsigned long long)lab->failed,
               (unsigned long long)lab->images);
    return caught == lab->opt.expect_caught ? 0 : 1;
}

/* ---- the program ---- */

static void prepare(struct lab *lab)
{
    const struct options *o = &lab->opt;
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(lab->base, sizeof lab->base, "%s/oxbow-crash-XXXXXX", tmp);
    if (mkdtemp(lab->base) == NULL)
        lab_die("cannot make", lab->base);
    lab->subject = subject_find(o->subject);
    lab->hashes = lab_alloc((o->steps + 1) * sizeof *lab->hashes);
    lab->lsns = lab_alloc((o->steps + 1) * sizeof *lab->lsns);
    lab->lsns_now = lab_alloc((o->steps + 1) * sizeof *lab->lsns_now);
    lab->judge = (struct judge_config){.subject = lab->subject,
                                       .seed = o->seed,
                                       .hashes = lab->hashes,
                                       .lsns = lab->lsns,
                                       .steps = o->steps,
                                       .deeper_max = o->deeper_every};
    lab->verdicts = mmap(NULL, BATCH * sizeof *lab->verdicts, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lab->verdicts == MAP_FAILED)
        lab_die("memory", "cannot be shared");
}

static void finish(struct lab *lab)
{
    lab_remove_tree(lab->base);
    recorder_fini();
    for (size_t i = 0; i < SLOTS; i++)
        free(lab->slots[i]);
    munmap(lab->verdicts, BATCH * sizeof *lab->verdicts);
    free(lab->hashes);
    free(lab->lsns);
    free(lab->lsns_now);
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
    printf("crash lab %s, %u steps, %s, mutant %s, seed %llu\n", lab->opt.subject, lab->opt.steps,
           lab->opt.policy == OXBOW_SYNC_ALWAYS ? "always" : "interval",
           mutant_name(lab->opt.mutant), (unsigned long long)lab->opt.seed);
    lab->started = time(NULL);
    run_workload(lab);
    check_record(lab);
    judge_all(lab);
    report(lab);
    save_failures(lab);
    status = conclude(lab);
    finish(lab);
    return status;
}
