/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the workload on the real store, beside the model, and notes in the record what was begun and
 * what was promised. The running store must never differ from the model, nor may it lose what it
 * called durable when it is opened again after a sync that failed.
 */
#include "tests/crash/life.h"

#include "tests/crash/record.h"
#include "tests/support/iohook/iohook.h"

#include <stdio.h>
#include <sys/stat.h>

#define OPENINGS_MAX 50u /* when syncs fail, opening may take several goes */

static struct oxbow *open_live(const struct life *l)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/live/store", l->base);
    struct oxbow_config config;
    judge_store_config(&config, dir);
    config.on_failure = l->opt->hold ? OXBOW_FAILURE_MEMORY : OXBOW_FAILURE_STOP;
    config.sync = l->opt->policy == OXBOW_SYNC_DEFAULT ? OXBOW_SYNC_ALWAYS : l->opt->policy;
    struct oxbow *db = NULL;
    enum oxbow_err err = oxbow_open(&config, &db);
    for (unsigned i = 0; i < OPENINGS_MAX && err != OXBOW_OK && l->opt->fail_one_in != 0; i++)
        err = oxbow_open(&config, &db);
    if (err != OXBOW_OK)
        lab_die("open", oxbow_err_name(err));
    return db;
}

/* ---- promises ---- */

static void note_acked(struct life *l, uint64_t step)
{
    recorder_mark(EVENT_ACK, step);
    l->acked = step > l->acked ? step : l->acked;
}

/* The newest step that has come to `lsn`. */
static uint64_t step_of(const struct life *l, uint64_t lsn, uint64_t step)
{
    while (step > 0 && l->lsns_now[step] > lsn)
        step--;
    return step;
}

/* Notes which steps are durable. The number is read before the mark is made. */
static void note_durable(struct life *l, struct oxbow *db, uint64_t step)
{
    struct oxbow_stat stat;
    oxbow_stat(db, &stat);
    note_acked(l, step_of(l, stat.lsn_durable, step));
    recorder_mark(EVENT_WRITTEN, step_of(l, stat.lsn_written, step));
}

/* ---- steps ---- */

static enum oxbow_sync draw_policy(struct life *l)
{
    static const enum oxbow_sync mix[] = {OXBOW_SYNC_ALWAYS, OXBOW_SYNC_ALWAYS, OXBOW_SYNC_INTERVAL,
                                          OXBOW_SYNC_NONE};
    if (l->opt->policy != OXBOW_SYNC_DEFAULT)
        return l->opt->policy;
    bool journal = l->opt->shape.segments > 0;
    return mix[lab_random(&l->random) % (sizeof mix / sizeof mix[0] - !journal)];
}

/* In doubt: it may be on the disk all the same, under the number that came next then. */
static enum oxbow_err in_doubt(struct life *l, uint64_t step, uint64_t lsn, enum oxbow_err err)
{
    if (l->path->at[step].lsn == 0)
        l->path->at[step].lsn = lsn + 1;
    return err;
}

/* A store that goes on in memory is asked for the promise, and now and then to go back, which may fail as
 * well. */
static enum oxbow_err wait_or_hold(struct life *l, struct oxbow *db, uint64_t step, uint64_t lsn)
{
    enum oxbow_err err = oxbow_wait(db, lsn, -1);
    if (err == OXBOW_OK)
        note_acked(l, step);
    if (err != OXBOW_EVOLATILE)
        return err;
    l->held++;
    if (lab_random(&l->random) % 3 == 0 && oxbow_return(db) == OXBOW_OK)
        l->returned++;
    note_durable(l, db, step);
    return OXBOW_OK;
}

/* Any error is that of a failed sync. */
static enum oxbow_err take_step(struct life *l, struct oxbow *db, struct model *m, uint64_t step)
{
    enum oxbow_sync policy = draw_policy(l);
    bool wait = lab_random(&l->random) % 8 < l->opt->waits;
    bool flush = l->opt->waits > 0 && lab_random(&l->random) % 10 == 0;
    struct oxbow_txn_options opt = {.sync = policy,
                                    .flags = wait && !l->opt->hold ? 0 : OXBOW_TXN_NOWAIT};
    struct oxbow_stat before;
    uint64_t lsn = 0;
    oxbow_stat(db, &before);
    recorder_mark(EVENT_ISSUE, step + 1);
    enum oxbow_err err =
        l->path->subject->step(m, l->path->at[step + 1].salt, step, db, &opt, &lsn);
    step++;
    if (err != OXBOW_OK)
        return in_doubt(l, step, before.lsn_applied, err);
    l->lsns_now[step] = lsn;
    if (l->path->at[step].lsn == 0)
        l->path->at[step].lsn = lsn;
    note_durable(l, db, step);
    if (wait && l->opt->hold)
        err = wait_or_hold(l, db, step, lsn);
    else if (wait && policy == OXBOW_SYNC_ALWAYS)
        note_acked(l, step);
    else if (wait && before.journal) /* when it cannot be made the store goes on without */
        recorder_mark(EVENT_WRITTEN, step);
    if (err == OXBOW_OK && flush) {
        err = oxbow_flush(db);
        if (err == OXBOW_OK)
            note_acked(l, step);
        err = l->opt->hold && err == OXBOW_EVOLATILE ? OXBOW_OK : err;
    }
    if (err != OXBOW_OK || lab_random(&l->random) % 4 != 0)
        return err;
    uint64_t hash = judge_hash_store(l->path->subject, db, &err);
    err = l->opt->hold && err == OXBOW_EVOLATILE ? OXBOW_OK : err;
    if (err == OXBOW_OK && hash != l->path->at[step].hash)
        lab_die("the running store differs from the model", "");
    return err;
}

/* Sees where a store stands that was just opened. What it stands at is durable now, or so it says.
 */
static uint64_t stand(struct life *l, struct oxbow *db, uint64_t low, uint64_t high)
{
    enum oxbow_err err;
    uint64_t step = path_find(l->path, judge_hash_store(l->path->subject, db, &err));
    if (err != OXBOW_OK || step > high || step < low)
        lab_die("the store that was opened", err != OXBOW_OK ? oxbow_err_name(err)
                                             : step < low    ? "lost what it acknowledged"
                                                             : "holds what never was");
    struct oxbow_stat stat;
    oxbow_stat(db, &stat);
    l->lsns_now[step] = step > 0 ? stat.lsn_applied : 0;
    if (l->path->at[step].lsn == 0)
        l->path->at[step].lsn = stat.lsn_applied; /* its commit never told */
    l->store_id = stat.store_id;
    recorder_mark(EVENT_OPENED, stat.store_id);
    recorder_mark(EVENT_ISSUE, step);
    note_durable(l, db, step);
    return step;
}

/* After a failed sync. */
static uint64_t resume(struct life *l, struct oxbow **db, struct model **m, uint64_t issued)
{
    if (*db != NULL)
        (void)!oxbow_close(*db); /* which only says again what failed */
    *db = open_live(l);
    uint64_t step = stand(l, *db, l->acked, issued);
    l->path->subject->close(*m);
    *m = path_model(l->path, step);
    return step;
}

static struct oxbow *close_and_open(struct life *l, struct oxbow *db, uint64_t step,
                                    enum oxbow_err *err)
{
    *err = oxbow_close(db);
    if (*err != OXBOW_OK)
        return NULL;
    note_acked(l, step);
    db = open_live(l);
    (void)stand(l, db, step, step);
    return db;
}

static void run_steps(struct life *l, struct oxbow **db, struct model **m)
{
    uint64_t failures = 0, part = (l->end - l->start) / (l->opt->reopens + 1) + 1;
    for (uint64_t step = l->start; step < l->end;) {
        enum oxbow_err err = take_step(l, *db, *m, step);
        step++;
        if (err == OXBOW_OK && (step - l->start) % part == 0 && step < l->end)
            *db = close_and_open(l, *db, step, &err);
        if (err != OXBOW_OK && l->opt->fail_one_in == 0)
            lab_die("step", oxbow_err_name(err));
        if (err != OXBOW_OK)
            step = resume(l, db, m, step);
        if (err != OXBOW_OK && ++failures > 10u * l->opt->steps)
            lab_die("the workload", "gets nowhere");
    }
}

/* The last life's end is a part of the record, the others end wherever the power is cut. */
static void finish(struct life *l, struct oxbow *db)
{
    recorder_fail(0, 0);
    if (!l->last)
        recorder_stop();
    enum oxbow_err err = oxbow_close(db);
    if (err == OXBOW_OK && l->last)
        note_acked(l, l->end);
    else if (err != OXBOW_OK && l->opt->fail_one_in == 0)
        lab_die("close", oxbow_err_name(err));
    recorder_stop();
}

void life_run(struct life *l)
{
    char live[80];
    snprintf(live, sizeof live, "%s/live", l->base);
    l->disk = disk_open(recorder_get(), live);
    l->again = l->opt->save != NULL ? disk_open(recorder_get(), live) : NULL;
    recorder_start(live, "store");
    iohook_sync_cost(false, l->opt->sync_us);
    recorder_fail(l->opt->fail_one_in, l->opt->seed + l->number);
    struct oxbow *db = open_live(l);
    (void)stand(l, db, l->start, l->start);
    struct model *m = path_model(l->path, l->start);
    run_steps(l, &db, &m);
    finish(l, db);
    l->path->subject->close(m);
}

void life_check_record(const struct life *l)
{
    const struct record *r = recorder_get();
    unsigned broken = l->opt->mutant->broken;
    bool lies = (broken & BREAK_SYNC) != 0, dir_lies = (broken & BREAK_DIR_SYNC) != 0;
    printf("recorded ");
    for (int k = 0; k < EVENT_KINDS; k++)
        if (r->kinds[k] > 0)
            printf(" %s %llu", event_name((enum event_kind)k), (unsigned long long)r->kinds[k]);
    printf("\n");
    /* What was drawn may ask for next to nothing: then all that open does must be there. */
    uint64_t steps = l->opt->drawn || l->opt->policy != OXBOW_SYNC_ALWAYS ? 0 : l->end - l->start;
    if (r->kinds[EVENT_WRITE] < 2 * (steps / 3) + 2 ||
        (l->number == 0 && r->kinds[EVENT_CREATE] < 3))
        lab_die("the recorder", "saw too few writes: it is blind");
    if ((r->kinds[EVENT_SYNC] < steps / 3 + 2) != lies || (r->kinds[EVENT_DIRSYNC] < 1) != dir_lies)
        lab_die("the recorder", "saw too few syncs, or too many: it is blind");
    if (l->opt->fail_one_in != 0 && !l->opt->drawn && r->kinds[EVENT_FAILED] < 3)
        lab_die("too few syncs failed:", "take more steps");
    if (l->opt->hold)
        printf("in memory at %u steps, back %u times before the end\n", l->held, l->returned);
    if (l->opt->hold && (l->held < 3 || l->returned < 1))
        lab_die("the store", "was not in memory, or never came back: take more steps");
    if (l->opt->shape.holes && !l->opt->drawn && r->kinds[EVENT_ZERO] < 1)
        lab_die("nothing was given back:", "take more steps");
    if (iohook_failed_writes() > 0)
        lab_die("a write", "was cut short");
}
