/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A year offline, in seconds: one device, its store, its power, its clock, its link and its target.
 * Real are the store, its files, threads and processes, the session and the server; made up are the
 * time, the link and what a power cut takes (powercut.so puts back what no sync covers).
 *
 *   year_sim SHIM [--seeds N] [--days D] [--control NAME] [--keep DIR]
 *
 * Runs N seeds from OXBOW_SEED on. After each year every entry that was accepted must have exactly
 * one fate (year_judge.c). With a control something is wrong on purpose, and the program succeeds
 * when it was found in every seed.
 */
#include "tests/crash/harness.h"
#include "tests/sim/year_account.h"
#include "tests/support/redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIVES_MAX     400u
#define LIFE_REAL_S   600   /* a life that takes longer hangs */
#define QUIET_REAL_MS 60000 /* one that says nothing for so long is looked at */
#define CLOCK_REST_MS 2000u /* of real time, that a device may have lived after its last word */

static const char *const control_names[CONTROLS] = {
    "none",   "forget",  "rollback", "nosync",  "clock",  "stolen", "forged", "eager",
    "buried", "unkeyed", "shared",   "hurried", "mortal", "again",  "hasty"};

/* What all seeds of a run had together: a year without any of it proves little. */
struct tally {
    uint64_t years, lives, cuts, crashes, entries, taken_back, refused, aborted, gaps;
    uint64_t dead, lost_replies, link_drops, transactions;
    uint64_t redelivered, letters, redriven, duplicates, expired, delayed;
    uint64_t drops[OXBOW_DROP_CAUSES + 1];
};

struct year {
    const char *shim;
    uint64_t seed, random, days;
    enum year_control control;
    const char *keep;
    bool verbose;
    struct redis *redis;
    char base[80], store[96], copy[96], order[96];
    struct account account;
    struct year_life life;
    struct tally *tally;
    uint64_t copied; /* CONTROL_ROLLBACK: what was durable in the copy */
    bool struck;     /* the control has happened */
};

uint64_t year_random(uint64_t *state)
{
    return lab_random(state);
}

uint64_t year_below(uint64_t *state, uint64_t below)
{
    return below == 0 ? 0 : lab_random(state) % below;
}

bool year_chance(uint64_t *state, uint64_t in, uint64_t of)
{
    return year_below(state, of) < in;
}

/* ---- a life, seen from the world ---- */

static void set(const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    if (setenv(name, text, 1) != 0)
        lab_die("cannot set", name);
}

/* The power goes at the n-th write or sync; 0: not at all. */
static _Noreturn void become_device(const struct year *y, uint64_t cut_at)
{
    static const uint64_t modes[] = {0, 0, 1};
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LIFE_REAL_S);
    if (setenv("LD_PRELOAD", y->shim, 1) != 0 || setenv("POWERCUT_DIR", y->store, 1) != 0 ||
        setenv("POWERCUT_REPORT", "/dev/null", 1) != 0)
        lab_die("cannot set", "the environment");
    uint64_t random = y->life.seed + y->life.idx;
    (void)setenv(
        "POWERCUT_MODE",
        y->control == CONTROL_NOSYNC || modes[lab_random(&random) % 3] == 1 ? "drop" : "mix", 1);
    (void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
    if (y->control == CONTROL_NOSYNC)
        (void)setenv("POWERCUT_LIE", "all", 1);
    (void)setenv("POWERCUT_REAL", "0", 1);
    set("POWERCUT_SEED", random);
    set("POWERCUT_AT", cut_at);
    execl(self, self, "--live", y->order, (char *)NULL);
    lab_die("cannot run", self);
}

static void write_order(const struct year *y)
{
    FILE *f = fopen(y->order, "wb");
    if (f == NULL || fwrite(&y->life, sizeof y->life, 1, f) != 1 || fclose(f) != 0)
        lab_die("cannot write", y->order);
}

static _Noreturn void live(const char *order)
{
    static struct year_life life;
    FILE *f = fopen(order, "rb");
    if (f == NULL || fread(&life, sizeof life, 1, f) != 1)
        lab_die("cannot read", order);
    fclose(f);
    device_live(&life);
}

static void hear_life(struct year *y, int fd, pid_t pid)
{
    static struct listener l;
    struct tell t;
    l = (struct listener){.fd = fd, .quiet_ms = QUIET_REAL_MS, .pid = pid};
    while (listen_next(&l, &t))
        account_hear(&y->account, &t);
    close(fd);
}

/* What ended a process, in words. */
static void fail_death(struct year *y, int status, const struct rusage *used)
{
    char how[64];
    long ms = (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000 +
              (used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1000;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(how, sizeof how, "went on for more than %d s of real time", LIFE_REAL_S);
    else if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "ended with exit code %d", WEXITSTATUS(status));
    account_fail(&y->account,
                 "life %llu %s, and was not to: it had %ld ms of the processor, the last it told "
                 "was transaction %llu at %llu",
                 (unsigned long long)y->life.idx, how, ms, (unsigned long long)y->account.serial,
                 (unsigned long long)(y->account.true_ms - START_MS));
}

/* How a life ended that was to end by itself or by a cut. */
static void judge_death(struct year *y, int status, const struct rusage *used, bool cut)
{
    bool struck = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!struck && !y->account.ended && y->account.failures == 0)
        fail_death(y, status, used);
    if (struck && !cut)
        account_fail(&y->account, "life %llu was killed by nobody",
                     (unsigned long long)y->life.idx);
    y->tally->cuts += struck;
    y->tally->crashes += !struck && y->life.crash;
    y->tally->lives++;
}

static bool run_life(struct year *y, uint64_t cut_at)
{
    struct rusage used;
    int p[2], status = 0;
    write_order(y);
    fflush(stdout);
    if (pipe2(p, O_CLOEXEC) != 0)
        lab_die("cannot make", "a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], STDOUT_FILENO);
        become_device(y, cut_at);
    }
    close(p[1]);
    hear_life(y, p[0], pid);
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
        lab_die("lost", "the device");
    judge_death(y, status, &used, cut_at != 0);
    return WIFSIGNALED(status);
}

/* ---- between lives ---- */

/* Seconds mostly, sometimes weeks. */
static uint64_t time_off(struct year *y)
{
    uint64_t kind = year_below(&y->random, 20);
    uint64_t most = kind < 12 ? 5 * 60000 : kind < 18 ? 12 * HOUR_MS : 15 * DAY_MS;
    return 3000 + year_below(&y->random, most);
}

static enum year_wall any_wall(struct year *y)
{
    static const enum year_wall walls[] = {WALL_RIGHT, WALL_RIGHT, WALL_RIGHT, WALL_UNSET,
                                           WALL_UNSET, WALL_AHEAD, WALL_UNSET};
    return walls[year_below(&y->random, sizeof walls / sizeof *walls)];
}

/* A producer keeps what it made until it knows that it was taken; how much it
 * knows is not the same as how much was. */
static void plan_resend(struct year_life *l, const struct account *a)
{
    static const enum year_queue queues[2] = {Q_ONCE, Q_IDS};
    for (int i = 0; i < 2; i++) {
        size_t count = a->number_count[queues[i]], from = count > RESEND ? count - RESEND : 0;
        l->resend_count[i] = (uint32_t)(count - from);
        if (count > from)
            memcpy(l->resend[i], a->numbers_of[queues[i]] + from,
                   (count - from) * sizeof l->resend[i][0]);
    }
}

static void plan_life(struct year *y, bool cut_before)
{
    struct year_life *l = &y->life;
    struct account *a = &y->account;
    uint64_t end = START_MS + y->days * DAY_MS;
    /* A life may end before it can say what time it is. */
    uint64_t told = a->true_ms > l->from_ms ? a->true_ms : l->from_ms;
    uint64_t stopped = l->idx == 0 ? START_MS : told + CLOCK_REST_MS;
    /* Of a process that ended the machine may go on: so does the monotonic clock. */
    bool machine_up = l->crash && !cut_before && year_chance(&y->random, 1, 2);
    uint64_t off = l->idx == 0 ? 0 : machine_up ? 3000 : time_off(y);
    account_life(a, l->crash && !cut_before);
    l->uptime_ms =
        machine_up ? l->uptime_ms + (stopped - l->from_ms) + off
                   : 1000 + year_below(&y->random, off == 0 || off > 60000 ? 60000 : off - 1000);
    if (!machine_up)
        l->wall = l->idx == 0 ? WALL_RIGHT : any_wall(y);
    l->from_ms = stopped + off;
    l->until_ms = l->from_ms + year_below(&y->random, 25 * DAY_MS);
    l->last = l->until_ms >= end;
    l->until_ms = l->last ? end : l->until_ms;
    l->crash = !l->last && year_chance(&y->random, 1, 5);
    l->serial = a->serial + 1;
    l->number = a->numbers + 1;
    plan_resend(l, a);
    l->idx++;
    if (getenv("YEAR_TRACE") != NULL)
        printf("life %llu: from %llu until %llu, off %llu ms, uptime %llu ms, wall "
               "%d%s%s%s\n",
               (unsigned long long)l->idx, (unsigned long long)(l->from_ms - START_MS),
               (unsigned long long)(l->until_ms - START_MS), (unsigned long long)off,
               (unsigned long long)l->uptime_ms, l->wall, machine_up ? ", machine up" : "",
               l->crash ? ", no close" : "", l->last ? ", last" : "");
}

static uint64_t plan_cut(struct year *y)
{
    static const uint64_t most[] = {40, 400, 1500};
    if (y->life.last || !year_chance(&y->random, 1, 2))
        return 0;
    y->life.crash = false;
    return 1 + year_below(&y->random, most[year_below(&y->random, 3)]);
}

/* ---- controls ---- */

static void copy_store(const char *from, const char *to)
{
    char command[256];
    if (snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to, from, to) >=
        (int)sizeof command)
        lab_die("too long a path", to);
    if (system(command) != 0)
        lab_die("cannot copy", from);
}

static void strike(struct year *y)
{
    if (y->control == CONTROL_CLOCK)
        y->life.wall = y->life.idx > 3 ? WALL_MONTHS : WALL_RIGHT;
    if (y->control != CONTROL_ROLLBACK || y->struck)
        return;
    if (y->life.idx == 3) {
        copy_store(y->store, y->copy);
        y->copied = y->account.durable;
    }
    if (y->life.idx >= 5 && y->account.durable > y->copied) {
        copy_store(y->copy, y->store);
        y->struck = true;
    }
}

static void strike_target(struct year *y)
{
    static const char *const key = "oxbow:{dev}:log";
    char number[24], id[64] = "";
    uint64_t n = y->account.numbers;
    while (n > 1 && (y->account.items[n].queue != Q_LOG || y->account.items[n].state != ITEM_IN))
        n--;
    snprintf(number, sizeof number, "%llu", (unsigned long long)n);
    if (y->control == CONTROL_STOLEN) {
        const char *reply = redis_command(y->redis, "XRANGE", key, "-", "+", "COUNT", "1", NULL);
        snprintf(id, sizeof id, "%.*s", (int)strcspn(reply, "\n"), reply);
        redis_command(y->redis, "XDEL", key, id, NULL);
    }
    if (y->control == CONTROL_FORGED)
        redis_command(y->redis, "XADD", key, "*", "n", number, "p", "x", NULL);
}

/* ---- a year ---- */

static void add_up(struct year *y)
{
    struct tally *t = y->tally;
    const struct account *a = &y->account;
    t->years++;
    t->taken_back += a->taken_back;
    t->aborted += a->aborted;
    t->transactions += a->serial;
    t->redelivered += a->redelivered;
    t->letters += a->letters;
    t->redriven += a->redriven;
    t->duplicates += a->duplicates;
    t->expired += a->expired;
    t->delayed += a->delayed;
    t->lost_replies += a->lost_replies;
    t->link_drops += a->link_drops;
    for (int q = 0; q < QUEUES; q++) {
        t->refused += a->refused[q];
        t->gaps += a->gap_count[q];
    }
    for (unsigned c = 0; c <= OXBOW_DROP_CAUSES; c++)
        t->drops[c] += a->drops[c];
    for (uint64_t n = 1; n <= a->numbers; n++) {
        t->entries += a->items[n].state == ITEM_IN;
        t->dead += a->items[n].dead;
    }
}

static void run_lives(struct year *y)
{
    bool cut = false;
    do {
        plan_life(y, cut);
        uint64_t at = plan_cut(y);
        strike(y);
        cut = run_life(y, at);
    } while (!(y->life.last && y->account.closed) && y->life.idx < LIVES_MAX &&
             y->account.failures == 0);
    if (y->account.failures == 0 && y->life.idx == LIVES_MAX)
        account_fail(&y->account, "the year does not end");
}

static void keep_store(const struct year *y)
{
    char to[512];
    if (y->keep == NULL)
        return;
    (void)mkdir(y->keep, 0755);
    snprintf(to, sizeof to, "%s/seed-%llu", y->keep, (unsigned long long)y->seed);
    copy_store(y->base, to);
    printf("  kept in %s\n", to);
}

/* Whether the year was as it must be: right, or found to be wrong by a control. */
static bool run_year(struct year *y, uint64_t seed)
{
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(y->base, sizeof y->base, "%s/oxbow-year-XXXXXX", tmp);
    if (mkdtemp(y->base) == NULL)
        lab_die("cannot make", y->base);
    snprintf(y->store, sizeof y->store, "%s/store", y->base);
    snprintf(y->copy, sizeof y->copy, "%s/copy", y->base);
    snprintf(y->order, sizeof y->order, "%s/life", y->base);
    y->seed = y->random = seed;
    y->struck = false;
    y->life = (struct year_life){.seed = seed, .control = y->control};
    snprintf(y->life.dir, sizeof y->life.dir, "%s", y->store);
    snprintf(y->life.server, sizeof y->life.server, "%s", redis_socket(y->redis));
    redis_command(y->redis, "FLUSHALL", NULL);
    account_open(&y->account, seed);
    run_lives(y);
    strike_target(y);
    if (y->account.failures == 0) {
        target_read(&y->account, y->redis);
        judge_end(&y->account, y->verbose);
    }
    bool good = (y->account.failures == 0) == (y->control == CONTROL_NONE);
    if (!good)
        keep_store(y);
    add_up(y);
    account_close(&y->account);
    lab_remove_tree(y->base);
    return good;
}

static void print_tally(const struct tally *t)
{
    printf("  %llu years: %llu lives, %llu power cuts, %llu ends without a "
           "close; %llu entries "
           "accepted by %llu transactions, %llu taken back by cuts, %llu "
           "refused; %llu "
           "transactions met a full quota\n",
           (unsigned long long)t->years, (unsigned long long)t->lives, (unsigned long long)t->cuts,
           (unsigned long long)t->crashes, (unsigned long long)t->entries,
           (unsigned long long)t->transactions, (unsigned long long)t->taken_back,
           (unsigned long long)t->refused, (unsigned long long)t->aborted);
    printf("  dropped:");
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++)
        printf(" %s %llu", oxbow_drop_cause_name((enum oxbow_drop_cause)c),
               (unsigned long long)t->drops[c]);
    printf("; gaps at the target %llu; dead %llu; link: %llu breaks, %llu lost "
           "replies\n",
           (unsigned long long)t->gaps, (unsigned long long)t->dead,
           (unsigned long long)t->link_drops, (unsigned long long)t->lost_replies);
    printf("  given again %llu; dead letters at the end %llu, sent back %llu; "
           "known again %llu; "
           "expired %llu; delayed and seen %llu\n",
           (unsigned long long)t->redelivered, (unsigned long long)t->letters,
           (unsigned long long)t->redriven, (unsigned long long)t->duplicates,
           (unsigned long long)t->expired, (unsigned long long)t->delayed);
}

/* Several years must have met everything. */
static bool met_all(const struct tally *t)
{
    return t->cuts > 0 && t->crashes > 0 && t->taken_back > 0 && t->refused > 0 && t->aborted > 0 &&
           t->gaps > 0 && t->dead > 0 && t->lost_replies > 0 && t->drops[OXBOW_DROP_LENGTH] > 0 &&
           t->drops[OXBOW_DROP_BYTES] > 0 && t->drops[OXBOW_DROP_DELIVERED] > 0 &&
           t->redelivered > 0 && t->letters > 0 && t->redriven > 0 && t->duplicates > 0 &&
           t->expired > 0 && t->delayed > 0;
}

static enum year_control control_of(const char *name)
{
    for (int c = 0; c < CONTROLS; c++)
        if (strcmp(control_names[c], name) == 0)
            return (enum year_control)c;
    lab_die("no such control", name);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    struct year y = {.shim = argc > 1 ? argv[1] : "", .days = 365, .tally = &tally};
    uint64_t seeds = 1, bad = 0;
    if (argc == 3 && strcmp(argv[1], "--live") == 0)
        live(argv[2]);
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--days") == 0)
            y.days = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--control") == 0)
            y.control = control_of(argv[i + 1]);
        else if (strcmp(argv[i], "--keep") == 0)
            y.keep = argv[i + 1];
        else
            lab_die("not understood", argv[i]);
    }
    if (access(y.shim, R_OK) != 0)
        lab_die("usage", "year_sim SHIM [--seeds N] [--days D] [--control NAME] [--keep DIR]");
    const char *given = getenv("OXBOW_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("year_sim: OXBOW_SEED=%llu, %llu seeds, control %s\n", (unsigned long long)seed,
           (unsigned long long)seeds, control_names[y.control]);
    y.redis = redis_open(&(struct redis_config){0});
    y.verbose = seeds == 1;
    for (uint64_t i = 0; i < seeds; i++)
        bad += !run_year(&y, seed + i);
    redis_close(y.redis);
    print_tally(&tally);
    bool empty = y.control == CONTROL_NONE && bad == 0 && seeds >= 5 && !met_all(&tally);
    if (empty)
        printf("  these years did not meet all that there is to meet\n");
    printf("%s      %llu of %llu years %s\n", bad == 0 && !empty ? "PASS" : "FAIL",
           (unsigned long long)bad, (unsigned long long)seeds,
           y.control == CONTROL_NONE ? "went wrong" : "were not found out");
    return bad == 0 && !empty ? 0 : 1;
}
