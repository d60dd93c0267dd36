/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases, in child processes and by turns, and prints medians and ratios. */
#include "tools/oxbow/bench.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS    20   /* between two looks at a child's memory */
#define SYNCS_MS   1500 /* slowed syncs of one measurement take about that long */
#define SYNCS_MIN  15u
#define DELAY_MAX  1000 /* ms */
#define SYNC_TRIES 3

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* Without SA_RESTART: waiting for a child ends at once. */
static void watch_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t bench_scaled(const struct bench_run *run, uint64_t count)
{
    uint64_t n = (uint64_t)((double)count * run->scale);

    return n < 1 ? 1 : n;
}

uint64_t bench_syncs(const struct bench_run *run, uint64_t count)
{
    uint64_t n = bench_scaled(run, count);
    uint64_t most = run->sync_ms > 0 ? (uint64_t)(SYNCS_MS / run->sync_ms) : n;

    most = most < SYNCS_MIN ? SYNCS_MIN : most;
    return n < most ? n : most;
}

void bench_payload(uint8_t out[BENCH_PAYLOAD], uint64_t i)
{
    static const char text[BENCH_PAYLOAD + 1] =
        "{\"device\":\"0a1b2c3d4e5f\",\"at\":1700000000000,\"kind\":\"reading\",\"celsius\":21.75,"
        "\"volt\":3.301} ";

    memcpy(out, text, BENCH_PAYLOAD);
    memcpy(out + BENCH_PAYLOAD - sizeof i, &i, sizeof i);
}

static uint64_t proc_number(const char *path, const char *name)
{
    char line[256];
    uint64_t v = 0;
    FILE *f = fopen(path, "r");

    if (f == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            v = strtoull(line + strlen(name), NULL, 10);
        }
    }
    fclose(f);
    return v;
}

static uint64_t proc_of(pid_t pid, const char *file, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)(pid != 0 ? pid : getpid()), file);
    return proc_number(path, name);
}

uint64_t bench_anon_bytes(pid_t pid)
{
    return proc_of(pid, "status", "RssAnon:") * 1024;
}

uint64_t bench_disk_bytes(const struct bench_run *run)
{
    struct disk_count count;
    struct disk disk;

    disk_find(run->dir, &disk);
    return disk_read(&disk, &count) ? count.bytes : 0;
}

static int by_time(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return x < y ? -1 : x > y;
}

void bench_latency(float *us, uint64_t count, struct bench_sample *out)
{
    qsort(us, (size_t)count, sizeof *us, by_time);
    out->half_us = (double)us[count / 2];
    out->p999_us = (double)us[count - 1 - count / 1000];
    out->worst_us = (double)us[count - 1];
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void child(const struct bench_contender *who, const struct bench_run *run, int fd)
{
    struct bench_sample sample = {0};

    watch_signals(SIG_DFL);
    sample.failed = who->measure(run, &sample) != 0;
    if (write(fd, &sample, sizeof sample) != (ssize_t)sizeof sample) {
        _exit(1);
    }
    _exit(0);
}

/* Reads the child's sample, and looks at its memory until that comes. */
static void await(pid_t pid, int fd, struct bench_sample *sample)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t peak = 0;

    do {
        uint64_t now = bench_anon_bytes(pid);

        peak = now > peak ? now : peak;
    } while (poll(&ready, 1, LOOK_MS) == 0);
    if (interrupted) {
        kill(pid, SIGKILL);
    }
    if (read(fd, sample, sizeof *sample) != (ssize_t)sizeof *sample) {
        sample->failed = true;
    } else if (sample->anon_bytes == 0) {
        sample->anon_bytes = peak;
    }
}

static struct bench_sample measure(const struct bench_contender *who, const struct bench_run *like)
{
    struct bench_sample sample = {.failed = true};
    struct bench_run run = *like;
    char dir[4096];
    int fds[2];
    pid_t pid;

    snprintf(dir, sizeof dir, "%s/oxbow-bench-XXXXXX", like->dir);
    if (mkdtemp(dir) == NULL || pipe(fds) != 0) {
        return sample;
    }
    run.dir = dir;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(who, &run, fds[1]);
    }
    close(fds[1]);
    if (pid > 0) {
        await(pid, fds[0], &sample);
        waitpid(pid, NULL, 0);
    }
    close(fds[0]);
    if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        fprintf(stderr, "oxbow: bench: %s is left behind: %s\n", dir, strerror(errno));
    }
    return sample;
}

static int by_rate(const void *a, const void *b)
{
    double x = ((const struct bench_sample *)a)->rate;
    double y = ((const struct bench_sample *)b)->rate;

    return x < y ? -1 : x > y;
}

static size_t contenders(const struct bench_case *c)
{
    size_t n = 0;

    while (n < BENCH_CONTENDERS_MAX && c->contenders[n].name != NULL) {
        n++;
    }
    return n;
}

static bool run_case(const struct bench_case *c, const struct bench_run *run, unsigned rounds,
                     struct bench_report *report)
{
    struct bench_sample samples[BENCH_CONTENDERS_MAX][BENCH_ROUNDS_MAX];
    size_t n = contenders(c);
    bool ok = true;

    for (unsigned r = 0; r < rounds; r++) {
        for (size_t i = 0; i < n && !interrupted; i++) {
            size_t who = r % 2 == 0 ? i : n - 1 - i;

            if (isatty(STDERR_FILENO)) {
                fprintf(stderr, "\r\033[K%s: %s, round %u of %u", c->name, c->contenders[who].name,
                        r + 1, rounds);
            }
            samples[who][r] = measure(&c->contenders[who], run);
            ok = ok && !samples[who][r].failed;
        }
    }
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    for (size_t i = 0; i < n && !interrupted; i++) {
        qsort(samples[i], rounds, sizeof samples[i][0], by_rate);
        bench_report_row(report, c, i, samples[i], samples[0][rounds / 2].rate);
    }
    return ok;
}

/* ---- slow syncs ---- */

/* The library that slows syncs: beside the program, in ../lib, where the build puts it. */
static bool find_library(char *out, size_t len)
{
    const char *given = getenv("OXBOW_SLOWSYNC");
    char *slash;
    ssize_t n;

    if (given != NULL) {
        (void)snprintf(out, len, "%s", given);
        return access(out, R_OK) == 0;
    }
    n = readlink("/proc/self/exe", out, len - 32);
    if (n <= 0) {
        return false;
    }
    out[n] = '\0';
    for (int up = 0; up < 2; up++) {
        slash = strrchr(out, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    (void)snprintf(out + strlen(out), 32, "/lib/slowsync.so");
    return access(out, R_OK) == 0;
}

/* What the quickest of some syncs takes now, in seconds; 0: it does not work. */
static double sync_takes(const char *dir)
{
    char path[4096];
    double least = 0;
    int fd;

    (void)snprintf(path, sizeof path, "%s/oxbow-bench-XXXXXX", dir);
    fd = mkstemp(path);
    for (int i = 0; fd >= 0 && i < SYNC_TRIES; i++) {
        double began = bench_now();
        bool ok = pwrite(fd, "x", 1, i) == 1 && fdatasync(fd) == 0;
        double took = ok ? bench_now() - began : 0;

        least = i == 0 || took < least ? took : least;
    }
    if (fd >= 0) {
        close(fd);
        (void)unlink(path);
    }
    return least;
}

/* Starts this program again with the library, once; then sees to it that it works. */
static int slow_down(const struct cli *cli, const char *dir)
{
    char library[4096];
    char us[32];

    if (cli->opt.sync_delay < 0 || cli->opt.sync_delay > DELAY_MAX) {
        return cli_usage(cli, "bench: --sync-delay %d: at most %d ms", cli->opt.sync_delay,
                         DELAY_MAX);
    }
    if (cli->opt.sync_delay == 0) {
        return EXIT_DONE;
    }
    if (getenv("SLOWSYNC_US") == NULL) {
        if (!find_library(library, sizeof library)) {
            fputs("oxbow: bench: --sync-delay needs slowsync.so, which is in the build tree alone; "
                  "$OXBOW_SLOWSYNC may say where\n",
                  stderr);
            return EXIT_FAILED;
        }
        (void)snprintf(us, sizeof us, "%d000", cli->opt.sync_delay);
        setenv("SLOWSYNC_US", us, 1);
        setenv("LD_PRELOAD", library, 1);
        execv("/proc/self/exe", cli->argv);
    }
    if (sync_takes(dir) < cli->opt.sync_delay / 1e3) {
        fputs("oxbow: bench: --sync-delay does not work here\n", stderr);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* ---- the command ---- */

static bool wanted(const struct cli *cli, const struct bench_case *c)
{
    return (cli->opt.large || !c->large) &&
           (cli->opt.only == NULL || strstr(c->name, cli->opt.only) != NULL);
}

int bench_main(const struct cli *cli)
{
    struct bench_run run = {.dir = cli->arg_count > 0 ? cli->args[0] : ".",
                            .scale = cli->opt.quick ? 0.1 : 1,
                            .sync_ms = cli->opt.sync_delay};
    unsigned rounds = cli->opt.count > 0 ? (unsigned)cli->opt.count : cli->opt.quick ? 1 : 5;
    struct bench_report *report;
    bool ok = true;
    bool any = false;
    int code;

    if (rounds > BENCH_ROUNDS_MAX) {
        return cli_usage(cli, "bench: at most %u rounds", BENCH_ROUNDS_MAX);
    }
    if (access(run.dir, W_OK) != 0) {
        return cli_usage(cli, "bench: %s: %s", run.dir, strerror(errno));
    }
    for (const struct bench_case *c = bench_cases; c->name != NULL; c++) {
        any = any || wanted(cli, c);
    }
    if (!any) {
        return cli_usage(cli, "bench: no case is called like %s", cli->opt.only);
    }
    code = slow_down(cli, run.dir);
    if (code != EXIT_DONE) {
        return code;
    }
    watch_signals(on_signal);
    report = bench_report_open(cli->opt.json, &run, rounds);
    for (const struct bench_case *c = bench_cases; c->name != NULL && !interrupted; c++) {
        if (wanted(cli, c)) {
            ok = run_case(c, &run, rounds, report) && ok;
        }
    }
    if (interrupted) {
        fputs("oxbow: bench: stopped\n", stderr);
    }
    ok = bench_report_close(report, interrupted) && ok && !interrupted;
    return ok ? EXIT_DONE : EXIT_FAILED;
}
