/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One store through many power cuts: a child under powercut.so takes steps and says on its standard
 * output which are durable, until its power goes at an event drawn by chance; then the parent opens
 * what is left, sees where it stands, and starts the next child there. Unlike in the lab nothing is
 * simulated but the loss: real processes, real files, real syncs, all threads at work.
 *
 *   cut_lab SHIM [LIVES [SEED [SUBJECT [LIE]]]]
 *
 * With LIE (data, dir or all; see powercut.h) the device lies, and the program succeeds when
 * something was lost.
 */
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 400u /* a life ends within so many */

struct cut {
    const char *shim;
    const struct subject *subject;
    uint64_t seed, random;
    const char *lie; /* NULL: the device is honest */
    char base[64], dir[80], report[80];
    uint64_t step;  /* where the store stands */
    uint64_t acked; /* in the life just ended */
    uint64_t lives, cuts, lost, unknown, refused, total_acked, in_flight;
};

static void store_config(struct oxbow_config *config, const char *dir)
{
    *config = (struct oxbow_config){.dir = dir,
                                    .quota_bytes = 16u << 20,
                                    .map_bytes = 256u << 20,
                                    .dirty_pages = 16,
                                    .memtable_bytes = 64 << 10};
}

static struct model *model_at(const struct subject *s, uint64_t seed, uint64_t step)
{
    struct model *m = s->open();
    for (uint64_t i = 0; i < step; i++)
        if (s->step(m, seed, i, NULL, NULL, NULL) != OXBOW_OK)
            lab_die("the model", "failed");
    return m;
}

/* ---- the child ---- */

static _Noreturn void live(const char *dir, const struct subject *s, uint64_t seed, uint64_t step)
{
    struct model *m = model_at(s, seed, step);
    struct oxbow_config config;
    struct oxbow *db = NULL;
    store_config(&config, dir);
    enum oxbow_err err = oxbow_open(&config, &db);
    uint64_t random = seed + step;
    while (err == OXBOW_OK) {
        struct oxbow_txn_options opt = {0};
        uint64_t lsn = 0;
        bool wait = lab_random(&random) % 3 != 0;
        opt.flags = wait ? 0 : OXBOW_TXN_NOWAIT;
        err = s->step(m, seed, step++, db, &opt, &lsn);
        if (err == OXBOW_OK && wait && write(STDOUT_FILENO, &step, sizeof step) != sizeof step)
            lab_die("cannot tell", "the parent");
    }
    lab_die("a step failed", oxbow_err_name(err));
}

/* ---- the parent ---- */

static void set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        lab_die("cannot set", name);
}

static _Noreturn void become_child(const struct cut *c, uint64_t life_seed)
{
    char self[512], number[3][24];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        lab_die("cannot find", "itself");
    self[n] = '\0';
    uint64_t events = c->lives % 8 == 0 ? 30 : EVENTS_MAX;
    snprintf(number[0], sizeof number[0], "%llu", (unsigned long long)life_seed);
    snprintf(number[1], sizeof number[1], "%llu", (unsigned long long)events);
    set("LD_PRELOAD", c->shim);
    set("POWERCUT_DIR", c->dir);
    set("POWERCUT_REPORT", c->report);
    set("POWERCUT_MODE", "mix");
    set("POWERCUT_SEED", number[0]);
    set("POWERCUT_AT_MAX", number[1]);
    set("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0");
    if (c->lie != NULL)
        set("POWERCUT_LIE", c->lie);
    snprintf(number[1], sizeof number[1], "%llu", (unsigned long long)c->seed);
    snprintf(number[2], sizeof number[2], "%llu", (unsigned long long)c->step);
    execl(self, self, "--live", c->dir, c->subject->name, number[1], number[2], (char *)NULL);
    lab_die("cannot run", self);
}

static void run_life(struct cut *c)
{
    int p[2], status = 0;
    uint64_t life_seed = lab_random(&c->random), step;
    if (pipe(p) != 0)
        lab_die("cannot make", "a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], STDOUT_FILENO);
        close(p[0]);
        close(p[1]);
        become_child(c, life_seed);
    }
    close(p[1]);
    c->acked = c->step;
    while (read(p[0], &step, sizeof step) == sizeof step)
        c->acked = step;
    close(p[0]);
    if (waitpid(pid, &status, 0) != pid)
        lab_die("lost", "the child");
    bool cut = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!cut && c->lie == NULL)
        lab_die("the child", "did not die of its power cut");
    c->cuts += cut;
    c->lives++;
}

static bool same(const struct cut *c, struct oxbow *db, const struct model *m)
{
    struct dump a = {0}, b = {0};
    enum oxbow_err err = c->subject->dump_store(db, &a);
    c->subject->dump_model(m, &b);
    bool yes =
        err == OXBOW_OK && a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
    dump_free(&a);
    dump_free(&b);
    return yes;
}

/* Finds the step at which the store stands, from where this life began on. */
static bool place(struct cut *c, struct oxbow *db)
{
    uint64_t from = c->lie == NULL ? c->step : 0, limit = c->acked + 64;
    struct model *m = model_at(c->subject, c->seed, from);
    while (from <= limit && !same(c, db, m))
        if (c->subject->step(m, c->seed, from++, NULL, NULL, NULL) != OXBOW_OK)
            lab_die("the model", "failed");
    c->subject->close(m);
    if (from > limit)
        return false;
    c->step = from;
    return true;
}

/* What a look at the store tells, from the process that looks to the one that waits. */
struct sight {
    bool opened, known;
    uint64_t step;
};

static struct sight look_at(struct cut *c)
{
    struct sight s = {.step = c->step};
    struct oxbow_config config;
    struct oxbow *db = NULL;
    store_config(&config, c->dir);
    s.opened = oxbow_open(&config, &db) == OXBOW_OK;
    if (!s.opened)
        return s;
    s.known = place(c, db);
    s.known = oxbow_close(db) == OXBOW_OK && s.known;
    s.step = c->step;
    return s;
}

/* In a process of its own, which a store beyond repair may end. False: it did, or the store cannot
 * be used; a new one is begun. */
static bool look(struct cut *c)
{
    struct sight s = {0};
    int p[2];
    if (pipe(p) != 0)
        lab_die("cannot make", "a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        s = look_at(c);
        _exit(write(p[1], &s, sizeof s) == sizeof s ? 0 : 1);
    }
    close(p[1]);
    bool told = read(p[0], &s, sizeof s) == sizeof s;
    close(p[0]);
    (void)waitpid(pid, NULL, 0);
    if (!told || !s.known) {
        printf("life %llu: %s\n", (unsigned long long)c->lives,
               !told       ? "the store ends the process that opens it"
               : !s.opened ? "the store cannot be opened"
                           : "its content is that of no step");
        *(told && !s.opened ? &c->refused : &c->unknown) += 1;
        return false;
    }
    c->step = s.step;
    if (c->step < c->acked) {
        printf("life %llu: stands at %llu, %llu was acknowledged\n", (unsigned long long)c->lives,
               (unsigned long long)c->step, (unsigned long long)c->acked);
        c->lost += c->acked - c->step;
    }
    c->total_acked = c->acked > c->total_acked ? c->acked : c->total_acked;
    c->in_flight += c->step > c->acked ? c->step - c->acked : 0;
    return true;
}

static uint64_t count_lines(const char *path, const char *what)
{
    char line[1024];
    uint64_t count = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        count += strstr(line, what) != NULL;
    if (f != NULL)
        fclose(f);
    return count;
}

static int conclude(const struct cut *c)
{
    uint64_t bad = c->lost + c->unknown + c->refused;
    uint64_t cuts = count_lines(c->report, "powercut "), mid = count_lines(c->report, "commit=yes");
    bool pass = c->lie != NULL ? bad > 0 : bad == 0 && c->total_acked > c->lives;
    pass = pass && cuts == c->cuts && (mid > 0) == (c->lie == NULL);
    printf("%s      %llu cuts, %llu in mid-commit; acknowledged up to step %llu, found beyond what "
           "was acknowledged %llu; lost %llu, unknown %llu, refused %llu (seed %llu)\n",
           pass ? "PASS" : "FAIL", (unsigned long long)cuts, (unsigned long long)mid,
           (unsigned long long)c->total_acked, (unsigned long long)c->in_flight,
           (unsigned long long)c->lost, (unsigned long long)c->unknown,
           (unsigned long long)c->refused, (unsigned long long)c->seed);
    return pass ? 0 : 1;
}

static uint64_t argument(int argc, char **argv, int idx, uint64_t otherwise)
{
    return argc > idx ? strtoull(argv[idx], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--live") == 0)
        live(argv[2], subject_find(argv[3]), argument(argc, argv, 4, 0),
             argument(argc, argv, 5, 0));
    struct cut c = {.shim = argc > 1 ? argv[1] : "",
                    .subject = subject_find(argc > 4 ? argv[4] : "queue"),
                    .lie = argc > 5 ? argv[5] : NULL};
    uint64_t lives = argument(argc, argv, 2, 20);
    c.seed = c.random = argument(argc, argv, 3, (uint64_t)time(NULL));
    snprintf(c.base, sizeof c.base, "/tmp/oxbow-cut-XXXXXX");
    if (c.subject == NULL || access(c.shim, R_OK) != 0 || mkdtemp(c.base) == NULL)
        lab_die("usage", "cut_lab SHIM [LIVES [SEED [SUBJECT [LIE]]]]");
    snprintf(c.dir, sizeof c.dir, "%s/store", c.base);
    snprintf(c.report, sizeof c.report, "%s/report", c.base);
    while (c.lives < lives) {
        run_life(&c);
        if (!look(&c)) {
            lab_remove_tree(c.dir);
            c.step = 0;
        }
    }
    int status = conclude(&c);
    lab_remove_tree(c.base);
    return status;
}
