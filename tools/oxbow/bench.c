/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases, in child processes and by turns, and prints medians and ratios. */
#include "tools/oxbow/bench.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 9u
#define LOOK_MS    20 /* between two looks at a child's memory */

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

uint64_t bench_anon_bytes(void)
{
    return proc_number("/proc/self/status", "RssAnon:") * 1024;
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
    out->worst_us = (double)us[count - 1 - count / 1000];
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
    char path[64];
    uint64_t peak = 0;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    do {
        uint64_t now = proc_number(path, "RssAnon:") * 1024;

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

static void maybe_real(struct out *out, double value, int digits)
{
    if (value > 0) {
        out_real(out, value, digits);
    } else {
        out_none(out);
    }
}

static void report(struct out *out, const struct bench_case *c, size_t who,
                   const struct bench_sample *samples, unsigned rounds, double own)
{
    const struct bench_sample *s = &samples[rounds / 2];
    int digits = s->rate < 100 ? 1 : 0;

    out_text(out, c->name);
    out_text(out, c->contenders[who].name);
    out_real(out, s->rate, digits);
    out_real(out, s->rate > 0 ? (samples[rounds - 1].rate - samples[0].rate) / s->rate : 0, 2);
    out_real(out, s->rate > 0 ? own / s->rate : 0, 2);
    maybe_real(out, s->half_us / 1000, 2);
    maybe_real(out, s->worst_us / 1000, 2);
    out_size(out, s->anon_bytes);
    maybe_real(out, s->bytes_per_byte, 2);
    maybe_real(out, (double)s->checkpoints, 0);
    if (s->failed) {
        fprintf(stderr, "oxbow: bench: %s, %s: failed\n", c->name, c->contenders[who].name);
    }
}

static bool run_case(const struct bench_case *c, const struct bench_run *run, unsigned rounds,
                     struct out *out)
{
    struct bench_sample samples[BENCH_CONTENDERS_MAX][ROUNDS_MAX];
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
        report(out, c, i, samples[i], rounds, samples[0][rounds / 2].rate);
    }
    return ok;
}

/* What figures mean nothing without. */
static void describe(FILE *to, const struct bench_run *run, unsigned rounds)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } kinds[] = {{0xef53, "ext4"},     {0x58465342, "xfs"},       {0x9123683e, "btrfs"},
                 {0xf2f52010, "f2fs"}, {0x01021994, "tmpfs"},     {0x24051905, "ubifs"},
                 {0x65735546, "fuse"}, {0x794c7630, "overlayfs"}, {0x6969, "nfs"}};
    const char *kind = "unknown file system";
    struct utsname uts = {.sysname = "?"};
    struct statfs fs = {0};

    (void)uname(&uts);
    if (statfs(run->dir, &fs) == 0) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (kinds[i].magic == ((unsigned long)fs.f_type & 0xffffffffu)) {
                kind = kinds[i].name;
            }
        }
    }
    fprintf(to,
            "%s, %s %s %s, %ld CPUs, warm page cache; messages of %u bytes; %.4g times full size; "
            "%u rounds\n"
            "spread: (highest - lowest) / median; ratio: oxbow to this one; disk/byte: device "
            "bytes by message byte\n\n",
            kind, uts.sysname, uts.release, uts.machine, sysconf(_SC_NPROCESSORS_ONLN),
            BENCH_PAYLOAD, run->scale, rounds);
}

int bench_main(const struct cli *cli)
{
    static const char *const columns[] = {"case",      "who",    "median/s", "spread",
                                          "ratio",     "p50 ms", "p99.9",    "peak anon",
                                          "disk/byte", "ckpts",  NULL};
    struct bench_run run = {.dir = cli->arg_count > 0 ? cli->args[0] : ".",
                            .scale = cli->opt.quick ? 0.1 : 1};
    unsigned rounds = cli->opt.count > 0 ? (unsigned)cli->opt.count : cli->opt.quick ? 1 : 5;
    struct out *out;
    bool ok = true;
    bool any = false;

    if (rounds > ROUNDS_MAX) {
        return cli_usage(cli, "bench: at most %u rounds", ROUNDS_MAX);
    }
    if (access(run.dir, W_OK) != 0) {
        return cli_usage(cli, "bench: %s: %s", run.dir, strerror(errno));
    }
    describe(cli->opt.json ? stderr : stdout, &run, rounds);
    watch_signals(on_signal);
    out = out_open(cli->opt.json, false, columns);
    for (const struct bench_case *c = bench_cases; c->name != NULL && !interrupted; c++) {
        if (cli->opt.only == NULL || strstr(c->name, cli->opt.only) != NULL) {
            any = true;
            ok = run_case(c, &run, rounds, out) && ok;
        }
    }
    if (interrupted) {
        fputs("oxbow: bench: stopped\n", stderr);
        out_drop(out);
        return EXIT_FAILED;
    }
    if (!out_close(out)) {
        return EXIT_FAILED;
    }
    if (!any) {
        return cli_usage(cli, "bench: no case is called like %s", cli->opt.only);
    }
    return ok ? EXIT_DONE : EXIT_FAILED;
}
