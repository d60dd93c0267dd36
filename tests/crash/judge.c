/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle. A recovered store must stand exactly after some step of the model; it must take more
 * steps, keep them over a flush and a second open, own each of its pages once; and a power cut
 * during its recovery must lead to the same step again.
 */
#include "tests/crash/judge.h"

#include "tests/crash/branch.h"
#include "tests/crash/pages.h"
#include "tests/crash/record.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_PER_STATE 120
#define MORE_STEPS        3u
#define CLOCK_SPEED       100u                /* the store's clock runs that many times as fast */
#define LSN_JUMP          ((uint64_t)1 << 32) /* that far LSNs go on after a crash */
#define IDLE_STEPS        64u /* commits that a store may have made of its own since it was opened */

static struct verdict *current; /* of this process: where the log goes */

/* ---- the port ---- */

static void keep_line(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    if (current == NULL || level > OXBOW_LOG_INFO)
        return;
    char line[sizeof current->log[0]];
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < sizeof line; n++)
        line[n] = text[n] >= '0' && text[n] <= '9' ? '#' : text[n];
    line[n] = '\0';
    for (unsigned i = 0; i < VERDICT_LOGS; i++) {
        if (strcmp(current->log[i], line) == 0)
            return;
        if (current->log[i][0] == '\0') {
            memcpy(current->log[i], line, n + 1);
            return;
        }
    }
}

/* What a store does at its leisure would otherwise take most of the lab's time. */
static uint64_t fast_mono_us(void *ctx)
{
    const struct oxbow_port *real = oxbow_port_default();
    (void)ctx;
    return real->clock.mono_us(real->clock.ctx) * CLOCK_SPEED;
}

static bool judging; /* in a child */

/* Recovery must come to the same on a device that has forgotten the time. */
static uint64_t forgetful_wall_ms(void *ctx)
{
    return judging ? 1000 : oxbow_port_default()->clock.wall_ms(ctx);
}

static void fast_cond_wait(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us)
{
    bool ever = timeout_us == UINT64_MAX;
    oxbow_port_default()->threads.cond_wait(c, m, ever ? timeout_us : timeout_us / CLOCK_SPEED + 1);
}

/* Holes instead of blocks: the lab's memory never runs out where a store's device would. */
static enum oxbow_err reserve_hole(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    const struct oxbow_files *files = &oxbow_port_default()->files;
    uint64_t bytes = 0;
    enum oxbow_err err = files->size(ctx, fd, &bytes);
    return err == OXBOW_OK && pos + len > bytes ? files->truncate(ctx, fd, pos + len) : err;
}

const struct oxbow_port *judge_port(void)
{
    static struct oxbow_port port;
    if (port.panic == NULL) {
        port = *oxbow_port_default();
        port.files.reserve = reserve_hole;
        port.log = (struct oxbow_log){.line = keep_line};
        port.clock.mono_us = fast_mono_us;
        port.clock.wall_ms = forgetful_wall_ms;
        port.threads.cond_wait = fast_cond_wait;
    }
    return &port;
}

static struct judge_shape shape = {.memtable_bytes = 64 << 10};

void judge_set_shape(const struct judge_shape *s)
{
    shape = *s;
}

/* Small tables, so that checkpoints come often and both tables are in use. */
void judge_store_config(struct oxbow_config *config, const char *dir)
{
    *config =
        (struct oxbow_config){.dir = dir,
                              .port = judge_port(),
                              .interval_ms = 3600000,
                              .quota_bytes = 16u << 20,
                              .map_bytes = 256u << 20,
                              .dirty_pages = shape.memtable_bytes / 4096,
                              .memtable_bytes = shape.memtable_bytes,
                              .flags = shape.flags,
                              .journal = shape.segments == 0 ? OXBOW_JOURNAL_OFF : OXBOW_JOURNAL_ON,
                              .journal_segments = shape.segments,
                              .journal_bytes = shape.segment_bytes};
    if (shape.quota_bytes != 0)
        config->quota_bytes = shape.quota_bytes;
    if (shape.holes) {
        config->quota_bytes = 4u << 20;
        config->txn_bytes = 96u << 10;
    }
}

/* ---- helpers ---- */

__attribute__((format(printf, 3, 4))) static bool say(struct verdict *v, enum verdict_kind kind,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->reason, sizeof v->reason, format, args);
    va_end(args);
    v->kind = kind;
    return false;
}

uint64_t judge_hash_store(const struct subject *s, struct oxbow *db, enum oxbow_err *err)
{
    struct dump d = {0};
    *err = s->dump_store(db, &d);
    uint64_t hash = lab_hash(d.bytes, d.len, DUMP_SEED);
    dump_free(&d);
    return hash;
}

static bool open_store(const char *base, struct oxbow **db, struct verdict *v)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/store", base);
    struct oxbow_config config;
    judge_store_config(&config, dir);
    enum oxbow_err err = oxbow_open(&config, db);
    return err == OXBOW_OK || say(v, VERDICT_NO_OPEN, "open: %s", oxbow_err_name(err));
}

static bool close_store(struct oxbow *db, struct verdict *v)
{
    enum oxbow_err err = oxbow_close(db);
    return err == OXBOW_OK || say(v, VERDICT_NO_WRITE, "close: %s", oxbow_err_name(err));
}

/* The store's own commits come between steps. Each recovery goes on 2^32 above what it found, and a
 * step that is taken again after one may have fewer of those commits before it than it had first. */
static bool lsn_fits(uint64_t lsn, uint64_t first)
{
    uint64_t more = lsn - first;
    if (lsn < first)
        return false;
    return more <= IDLE_STEPS ||
           (more >= LSN_JUMP - IDLE_STEPS && (more + IDLE_STEPS) % LSN_JUMP <= 2 * IDLE_STEPS);
}

/* Which step a store stands at. */
static bool place(const struct judge_config *c, struct oxbow *db, struct verdict *v)
{
    struct dump d = {0};
    enum oxbow_err err = c->path->subject->dump_store(db, &d);
    uint64_t hash = lab_hash(d.bytes, d.len, DUMP_SEED);
    v->marks = d.marks;
    dump_free(&d);
    if (err != OXBOW_OK)
        return say(v, VERDICT_NO_READ, "dump: %s", oxbow_err_name(err));
    uint64_t step = path_find(c->path, hash);
    if (step == PATH_NOWHERE)
        return say(v, VERDICT_UNKNOWN, "its content is that of no step");
    v->step = step;
    struct oxbow_stat stat;
    oxbow_stat(db, &stat);
    v->store_id = stat.store_id;
    oxbow_recovery(db, &v->recovery);
    uint64_t lsn = c->path->at[step].lsn;
    if (step > 0 && !lsn_fits(stat.lsn_applied, lsn))
        return say(v, VERDICT_LSN, "content of step %llu has LSN %llu and not %llu",
                   (unsigned long long)step, (unsigned long long)stat.lsn_applied,
                   (unsigned long long)lsn);
    return true;
}

/* ---- after recovery ---- */

static bool more_steps(const struct judge_config *c, struct oxbow *db, struct model *m,
                       struct verdict *v)
{
    for (uint64_t i = 0; i < MORE_STEPS; i++) {
        struct oxbow_txn_options opt = {.sync = i == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL};
        uint64_t lsn = 0;
        enum oxbow_err err = c->path->subject->step(m, ~c->seed, v->step + i, db, &opt, &lsn);
        if (err != OXBOW_OK)
            return say(v, VERDICT_NO_WRITE, "step after recovery: %s", oxbow_err_name(err));
    }
    enum oxbow_err err = oxbow_flush(db);
    return err == OXBOW_OK || say(v, VERDICT_NO_WRITE, "flush: %s", oxbow_err_name(err));
}

static bool still_there(const struct judge_config *c, const char *base, const struct model *m,
                        struct verdict *v)
{
    struct oxbow *db = NULL;
    if (!open_store(base, &db, v))
        return false;
    enum oxbow_err err;
    bool same = judge_hash_store(c->path->subject, db, &err) == path_hash(c->path->subject, m);
    bool closed = close_store(db, v);
    if (err != OXBOW_OK || !same)
        return say(v, VERDICT_NO_WRITE, "steps after recovery are lost: %s", oxbow_err_name(err));
    return closed;
}

static bool pages_owned(const char *base, struct verdict *v)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/store/data.mdb", base);
    struct pages_report r;
    return pages_check(path, &r) || say(v, VERDICT_PAGES, "%s", r.fault);
}

/* ---- a power cut during recovery ---- */

struct deeper {
    const struct judge_config *config;
    const char *base; /* where images go */
    struct verdict *v;
    uint64_t step;
    uint64_t seen[256]; /* images */
    size_t seen_count;
    bool good;
};

static void take_deeper(void *ctx, const struct state *s, struct image *image)
{
    struct deeper *d = ctx;
    uint64_t hash = image_hash(image);
    bool wanted = d->good && d->seen_count < d->config->deeper_max && d->seen_count < 256;
    for (size_t i = 0; i < d->seen_count && wanted; i++)
        wanted = d->seen[i] != hash;
    if (wanted) {
        d->seen[d->seen_count++] = hash;
        lab_remove_tree(d->base);
        if (mkdir(d->base, 0755) != 0)
            lab_die("cannot make", d->base);
        image_write(image, d->base);
        struct oxbow *db = NULL;
        struct verdict v = {.kind = VERDICT_PENDING};
        bool ok = open_store(d->base, &db, &v) && place(d->config, db, &v);
        if (db != NULL)
            ok = close_store(db, &v) && ok;
        if (!ok || v.step != d->step)
            d->good = say(d->v, VERDICT_RECOVERY,
                          "recovery cut after its event %zu (%s %llu): step %llu and not %llu: %s",
                          s->event, strategy_name(s->strategy), (unsigned long long)s->ordinal,
                          (unsigned long long)v.step, (unsigned long long)d->step, v.reason);
        d->v->deeper++;
    }
    image_free(image);
}

/* Recovers <base>/store under the recorder, then cuts that short in many ways. The state itself is
 * put back first. */
static bool cut_recovery(const struct judge_config *c, const char *base, struct verdict *v)
{
    static const struct record nothing;
    struct disk *before = disk_open(&nothing, base);
    char below[4096];
    snprintf(below, sizeof below, "%s/deeper", base);
    if (mkdir(below, 0755) != 0)
        lab_die("cannot make", below);
    size_t units;
    (void)disk_units(before, &units);
    struct image *start = disk_image(before, NULL, 0);
    image_write(start, below);
    image_free(start);
    disk_close(before);

    struct disk *d = disk_open(recorder_get(), below);
    recorder_start(below, "store");
    struct oxbow *db = NULL;
    bool ok = open_store(below, &db, v) && place(c, db, v);
    if (db != NULL)
        ok = close_store(db, v) && ok;
    recorder_stop();
    char images[4096];
    snprintf(images, sizeof images, "%s/cut", base);
    struct deeper deeper = {.config = c, .base = images, .v = v, .step = v->step, .good = ok};
    struct enumerate_config ec = {.seed = c->seed + v->step,
                                  .exhaustive_max = 4,
                                  .random_subsets = 4,
                                  .singles_max = 3,
                                  .fresh_events = 64};
    while (deeper.good && disk_event(d) < recorder_get()->count) {
        disk_advance(d);
        enumerate_states(d, &ec, take_deeper, &deeper);
    }
    disk_close(d);
    lab_remove_tree(images);
    lab_remove_tree(below);
    return deeper.good;
}

/* ---- one state ---- */

void judge_state(const struct judge_config *config, const char *base, struct verdict *v)
{
    current = v;
    if (config->judge != NULL) {
        config->judge(config, base, v);
        return;
    }
    if (v->cut && !cut_recovery(config, base, v))
        return;
    struct oxbow *db = NULL;
    branch_collect(&v->branches);
    bool opened = open_store(base, &db, v);
    branch_collect(NULL);
    if (!opened)
        return;
    struct model *m = NULL;
    bool ok = place(config, db, v);
    if (ok && !v->stop) {
        m = path_model(config->path, v->step);
        ok = more_steps(config, db, m, v);
    }
    ok = close_store(db, v) && ok;
    ok = ok && pages_owned(base, v);
    if (m != NULL) {
        ok = ok && still_there(config, base, m, v) && pages_owned(base, v);
        config->path->subject->close(m);
    }
    if (ok)
        v->kind = VERDICT_GOOD;
}

/* ---- batches ---- */

/* A child judges every jobs-th state from `first` on, and dies of the first that kills it. */
static pid_t start_child(const struct judge_config *config, const char *base,
                         struct verdict *verdicts, size_t count, size_t first, unsigned jobs)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        lab_die("cannot fork", "a judge");
    if (pid > 0)
        return pid;
    judging = true;
    subject_kv_ballast(false); /* which would wait for idle work at every state */
    subject_drops_hurry();
    for (size_t i = first; i < count; i += jobs) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s/%zu", base, i);
        alarm(SECONDS_PER_STATE);
        judge_state(config, dir, &verdicts[i]);
    }
    _exit(0);
}

/* After a child's death: the state that it died of. Gives the next one to judge. */
static size_t blame(struct verdict *verdicts, size_t count, size_t first, unsigned jobs, int status)
{
    for (size_t i = first; i < count; i += jobs)
        if (verdicts[i].kind == VERDICT_PENDING) {
            if (WIFSIGNALED(status))
                say(&verdicts[i], VERDICT_DIED, "%s",
                    WTERMSIG(status) == SIGALRM ? "no end" : strsignal(WTERMSIG(status)));
            else
                say(&verdicts[i], VERDICT_DIED, "exit status %d", WEXITSTATUS(status));
            return i + jobs;
        }
    return count;
}

void judge_batch(const struct judge_config *config, const char *base, struct verdict *verdicts,
                 size_t count, unsigned jobs)
{
    pid_t pids[16];
    size_t firsts[16];
    jobs = jobs > 16 ? 16 : jobs;
    for (unsigned j = 0; j < jobs; j++) {
        firsts[j] = j;
        pids[j] = j < count ? start_child(config, base, verdicts, count, j, jobs) : -1;
    }
    for (unsigned j = 0; j < jobs; j++) {
        while (pids[j] > 0) {
            int status = 0;
            if (waitpid(pids[j], &status, 0) != pids[j])
                lab_die("lost", "a judge");
            pids[j] = -1;
            firsts[j] = blame(verdicts, count, firsts[j], jobs, status);
            if (firsts[j] < count)
                pids[j] = start_child(config, base, verdicts, count, firsts[j], jobs);
        }
    }
}

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const names[VERDICT_KINDS] = {
        "pending",         "good",      "died",     "no open", "no read",
        "unknown content", "wrong LSN", "no write", "pages",   "recovery"};
    return kind < VERDICT_KINDS ? names[kind] : "?";
}
