/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cycle: a life of the load on the store that the last cycle left, its end at a moment drawn by
 * chance, a copy of what that left, and a verification: of the store itself, which recovers it, or
 * of the copy, so that the next life recovers it and may be ended while it does, or of neither.
 * After some cycles, or when the log has become long, a fresh store.
 */
#include "tests/rigs/campaign.h"

#include "tests/rigs/mounts.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MORE            10u /* times as many ends at most, where what was asked for shows too little */
#define STORE_LIVES_MAX 40u
#define STORE_ROWS_MAX  12000u
#define PATH_LEN        320u

struct campaign {
    const struct options *o;
    uint64_t random;
    uint64_t end_us; /* the newest moment when its end had not begun */
    char log[PATH_LEN], base[PATH_LEN], store[PATH_LEN], copy[PATH_LEN], before[PATH_LEN];
    struct mounts mounts; /* of RUN_SHUTDOWN */
    struct witness witness;
    struct load_options load;
    uint64_t store_lives, store_rows;
    /* the report */
    uint64_t ends, stores, told, while_opening, closed, errors, signals;
    uint64_t in_place, copies, unseen, checks, unseen_in_a_row;
    uint64_t beyond; /* operations found that nobody was told of */
    uint64_t lost;   /* operations told as applied, not durable, and gone */
    uint64_t replayed,
        doubts; /* transactions out of journals; lives that left half a write there */
    uint64_t bad;
};

static uint64_t draw(struct campaign *c, uint64_t below)
{
    return plan_random(&c->random) % below;
}

/* ---- a store ---- */

static void fresh_store(struct campaign *c)
{
    if (c->o->what == RUN_SHUTDOWN && !mounts_mount(&c->mounts))
        die("mount");
    remove_tree(c->store);
    if (c->o->what == RUN_SHUTDOWN && !mounts_unmount(&c->mounts))
        die("umount");
    remove_tree(c->copy);
    witness_free(&c->witness);
    c->witness = (struct witness){.seed = plan_random(&c->random),
                                  .page_cache_survives = c->o->what == RUN_KILL};
    c->store_lives = c->store_rows = c->unseen_in_a_row = 0;
    c->stores++;
}

/* How the next life is to be. */
static void shape_life(struct campaign *c)
{
    static const enum oxbow_sync policies[8] = {
        OXBOW_SYNC_ALWAYS, OXBOW_SYNC_ALWAYS,   OXBOW_SYNC_ALWAYS,   OXBOW_SYNC_ALWAYS,
        OXBOW_SYNC_NONE,   OXBOW_SYNC_INTERVAL, OXBOW_SYNC_INTERVAL, OXBOW_SYNC_INTERVAL};
    int policy = c->o->policy, journal = c->o->journal;

    if (journal == JOURNAL_MIX)
        journal = draw(c, 5) != 0 ? OXBOW_JOURNAL_ON : OXBOW_JOURNAL_OFF;
    if (policy == POLICY_MIX)
        policy = policies[draw(c, 8)];
    if (policy == OXBOW_SYNC_NONE && journal == OXBOW_JOURNAL_OFF)
        policy = OXBOW_SYNC_INTERVAL; /* refused without one */
    c->load = (struct load_options){
        .dir = c->store,
        .seed = c->witness.seed,
        .shape = plan_random(&c->random),
        .threads = 1 + (uint32_t)draw(c, 12),
        .sync = (enum oxbow_sync)policy,
        .interval_ms = 5 + (uint32_t)draw(c, 40),
        .journal = (enum oxbow_journal)journal,
        .log = c->log,
        .close_after_ms = draw(c, 16) == 0 ? 1 + (uint32_t)draw(c, 30) : 0,
    };
}

static uint64_t draw_life_us(struct campaign *c)
{
    uint64_t dice = draw(c, 100);

    if (dice < 20)
        return draw(c, 15000); /* mostly while it opens and recovers */
    return dice < 92 ? 10000 + draw(c, 70000) : 80000 + draw(c, 250000);
}

/* ---- what is wrong ---- */

static void keep_failure(struct campaign *c, const char *why)
{
    char to[PATH_LEN + 64];
    FILE *f;

    c->bad++;
    if (c->o->control == CONTROL_NONE || c->o->verbose)
        printf("BAD cycle %" PRIu64 " (seed %" PRIu64 ", store's seed %" PRIu64 "): %s\n", c->ends,
               c->o->seed, c->witness.seed, why);
    if (c->o->save == NULL || c->o->control != CONTROL_NONE)
        return;
    snprintf(to, sizeof to, "%s/%" PRIu64 "-%" PRIu64, c->o->save, c->o->seed, c->ends);
    (void)mkdir(c->o->save, 0700);
    if (!copy_tree(c->copy, to))
        printf("cannot keep it as %s\n", to);
    snprintf(to, sizeof to, "%s/%" PRIu64 "-%" PRIu64 ".txt", c->o->save, c->o->seed, c->ends);
    f = fopen(to, "w");
    if (f == NULL)
        return;
    fprintf(f,
            "%s\nended after %" PRIu64 ", first failure told at %" PRIu64 "\nstore's seed %" PRIu64
            "\n",
            why, c->end_us, c->witness.failed_us, c->witness.seed);
    for (uint32_t t = 0; t < THREADS_MAX; t++)
        fprintf(f, "thread %u durable %" PRIu64 " applied %" PRIu64 "\n", t, c->witness.durable[t],
                c->witness.applied[t]);
    for (size_t i = 0; i < c->witness.count; i++) {
        const struct record *r = &c->witness.records[i];
        fprintf(f, "%d policy %d thread %u n %" PRIu64 " lsn %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                (int)r->kind, (int)r->policy, r->thread, r->n, r->lsn, r->begin_us, r->end_us);
    }
    fclose(f);
    snprintf(to, sizeof to, "%s/%" PRIu64 "-%" PRIu64 ".log", c->o->save, c->o->seed, c->ends);
    (void)run_quietly((const char *const[]){"cp", c->log, to, NULL});
}

/* ---- the end of a life ---- */

static void note_end(struct campaign *c, const struct life *life, uint64_t end_us)
{
    bool killed = WIFSIGNALED(life->status) && WTERMSIG(life->status) == SIGKILL;
    c->end_us = end_us;
    bool early = c->witness.failed && c->witness.failed_us < end_us;
    char why[160];

    c->ends++;
    c->store_lives++;
    c->closed += c->witness.closed;
    if (killed && !early)
        return;
    if (!early && WIFEXITED(life->status) && (WEXITSTATUS(life->status) == 0 || c->witness.failed))
        return;
    if (c->o->what == RUN_SHUTDOWN && WIFSIGNALED(life->status) &&
        WTERMSIG(life->status) == SIGBUS) {
        c->signals++; /* a page of the map that the dead file system cannot give any more */
        return;
    }
    snprintf(why, sizeof why, "the load ended by itself: %s %d, error %s",
             WIFSIGNALED(life->status) ? "signal" : "exit",
             WIFSIGNALED(life->status) ? WTERMSIG(life->status) : WEXITSTATUS(life->status),
             oxbow_err_name((enum oxbow_err)c->witness.error));
    keep_failure(c, why);
}

static void kill_one(struct campaign *c)
{
    struct life life;
    uint64_t until = draw_life_us(c);

    life_begin(&life, &c->load, &c->witness, false);
    until += clock_us();
    (void)life_listen(&life, until);
    life_kill(&life);
    note_end(c, &life, UINT64_MAX);
}

static void shutdown_one(struct campaign *c)
{
    uint64_t dice = draw(c, 20), until = draw_life_us(c), end_us;
    enum shutdown_how how = dice < 16   ? SHUTDOWN_NOW
                            : dice < 19 ? SHUTDOWN_FLUSH_LOG
                                        : SHUTDOWN_FLUSH_ALL;
    bool linger = draw(c, 2) == 0;
    struct life life;

    if (!mounts_mount(&c->mounts))
        die("mount");
    life_begin(&life, &c->load, &c->witness, c->o->control == CONTROL_NOSYNC);
    until += clock_us();
    (void)life_listen(&life, until);
    end_us = clock_us();
    if (!mounts_shutdown(&c->mounts, how))
        die("shutdown");
    if (linger) /* its threads meet the dead file system */
        (void)life_listen(&life, clock_us() + 5000);
    c->errors += c->witness.failed;
    life_kill(&life);
    note_end(c, &life, end_us);
    if (!mounts_unmount(&c->mounts) || !mounts_mount(&c->mounts))
        die("remount");
}

/* ---- a cycle ---- */

static void count_found(struct campaign *c, const struct verdict *v)
{
    for (uint32_t t = 0; t < THREADS_MAX; t++) {
        if (v->found[t] > c->witness.applied[t])
            c->beyond += v->found[t] - c->witness.applied[t];
        else
            c->lost += c->witness.applied[t] - v->found[t];
    }
}

/* The store as the crash left it is copied first: a failure is kept from there. */
static bool look(struct campaign *c)
{
    struct load_options options = c->load;
    struct stat st;
    struct verdict v;
    uint64_t dice = draw(c, 8);
    bool check = draw(c, 4) == 0, in_place = dice >= 4;

    if (dice < 2 && c->o->control == CONTROL_NONE && c->unseen_in_a_row < 3) {
        c->unseen++;
        c->unseen_in_a_row++;
        return true;
    }
    c->unseen_in_a_row = 0;
    remove_tree(c->copy);
    if (stat(c->store, &st) == 0 && !copy_tree(c->store, c->copy))
        die("copy");
    options.dir = in_place ? c->store : c->copy;
    verify_apart(&options, &c->witness, check, &v);
    c->checks += check;
    *(in_place ? &c->in_place : &c->copies) += 1;
    c->store_rows = v.rows;
    c->replayed += v.recovery.replayed;
    c->doubts += v.recovery.doubt_upto != 0;
    if (!v.good) {
        keep_failure(c, v.why);
        return false;
    }
    count_found(c, &v);
    if (in_place)
        witness_found(&c->witness, v.found);
    return true;
}

static void begin_control(struct campaign *c)
{
    struct stat st;

    remove_tree(c->before);
    if (c->o->control == CONTROL_ROLLBACK && stat(c->store, &st) == 0 &&
        !copy_tree(c->store, c->before))
        die("copy");
    if (c->o->control == CONTROL_SKIP)
        c->load.skip = true;
}

static void end_control(struct campaign *c)
{
    struct stat st;

    if (c->o->control == CONTROL_FORGED)
        c->witness.durable[0] = c->witness.applied[0] += 2;
    if (c->o->control == CONTROL_ROLLBACK && stat(c->before, &st) == 0) {
        remove_tree(c->store);
        if (!copy_tree(c->before, c->store))
            die("copy");
    }
}

static void cycle(struct campaign *c)
{
    size_t told = c->witness.told;
    bool good;

    shape_life(c);
    begin_control(c);
    if (c->o->what == RUN_SHUTDOWN)
        shutdown_one(c);
    else
        kill_one(c);
    c->while_opening += c->witness.told == told;
    c->told += c->witness.told - told;
    end_control(c);
    good = look(c);
    if (c->o->what == RUN_SHUTDOWN && !mounts_unmount(&c->mounts))
        die("umount");
    if (!good || c->store_lives >= STORE_LIVES_MAX || c->store_rows >= STORE_ROWS_MAX)
        fresh_store(c);
}

/* ---- the campaign ---- */

/* A rig that looked at nothing has shown nothing. */
static bool enough_was_seen(const struct campaign *c)
{
    bool replays = c->replayed > 0 || c->o->journal == OXBOW_JOURNAL_OFF || c->ends < 30;

    return c->told > c->ends &&
           (c->o->control != CONTROL_NONE || (replays && c->in_place + c->copies > c->ends / 2));
}

/* How far a life comes in its milliseconds, nobody knows beforehand. */
static bool has_shown(const struct campaign *c)
{
    return enough_was_seen(c) && (c->o->control == CONTROL_NONE || c->bad > 0);
}

static int report(const struct campaign *c, uint64_t us)
{
    bool control = c->o->control != CONTROL_NONE;
    bool enough = enough_was_seen(c);
    bool pass = enough && (control ? c->bad > 0 : c->bad == 0);

    printf("%s %s%s%s: %" PRIu64 " ends of %" PRIu64 " stores in %.1f s, %" PRIu64
           " before anything was told, %" PRIu64 " after a close; %" PRIu64
           " operations told, %" PRIu64 " found that nobody was told of, %" PRIu64
           " lost that were not durable; verified %" PRIu64 " in place, %" PRIu64
           " as a copy, %" PRIu64 " left to the next life, oxbow_check %" PRIu64
           "; replayed %" PRIu64 " transactions of journals, %" PRIu64
           " with a torn end; lives that met errors %" PRIu64 ", SIGBUS %" PRIu64 "; BAD %" PRIu64
           "%s (seed %" PRIu64 ")\n",
           pass ? "PASS" : "FAIL", c->o->what == RUN_KILL ? "kill" : "shutdown ",
           c->o->what == RUN_KILL ? "" : c->o->fs, control ? " (control)" : "", c->ends, c->stores,
           (double)us / 1e6, c->while_opening, c->closed, c->told, c->beyond, c->lost, c->in_place,
           c->copies, c->unseen, c->checks, c->replayed, c->doubts, c->errors, c->signals, c->bad,
           control ? " (must be caught)" : "", c->o->seed);
    if (!enough)
        printf("too little was done or seen for this to mean anything\n");
    return pass ? 0 : 1;
}

static int set_up(struct campaign *c)
{
    const char *where = c->base;
    char why[400];

    snprintf(c->base, sizeof c->base, "%.*s/oxbow-rig-XXXXXX", (int)(PATH_LEN - 64), c->o->dir);
    if (mkdtemp(c->base) == NULL)
        die(c->base);
    if (c->o->what == RUN_SHUTDOWN) {
        if (!mounts_enter(why, sizeof why) ||
            !mounts_init(&c->mounts, c->o->fs, c->base, why, sizeof why)) {
            printf("rig_shutdown_%s: skipped: %s\n", c->o->fs, why);
            return 77;
        }
        where = c->mounts.dir;
    }
    snprintf(c->store, sizeof c->store, "%.256s/store", where);
    snprintf(c->copy, sizeof c->copy, "%.256s/copy", c->base);
    snprintf(c->log, sizeof c->log, "%.256s/log", c->base);
    snprintf(c->before, sizeof c->before, "%.256s/before", c->base);
    fresh_store(c);
    return 0;
}

int campaign_run(const struct options *o)
{
    struct campaign c = {.o = o, .random = o->seed};
    uint64_t start = clock_us();
    int status;

    printf("rig: OXBOW_SEED=%" PRIu64 "\n", o->seed);
    status = set_up(&c);
    while (status == 0 &&
           (c.ends < o->count || (c.ends < MORE * (uint64_t)o->count && !has_shown(&c)))) {
        cycle(&c);
        if (c.ends % 500 == 0)
            printf("... %" PRIu64 " ends, %" PRIu64 " operations told, BAD %" PRIu64 "\n", c.ends,
                   c.told, c.bad);
        fflush(stdout);
        if (c.bad >= 20 && o->control == CONTROL_NONE)
            break;
    }
    if (status == 0)
        status = report(&c, clock_us() - start);
    if (o->what == RUN_SHUTDOWN)
        mounts_fini(&c.mounts);
    remove_tree(c.base);
    witness_free(&c.witness);
    return status;
}
