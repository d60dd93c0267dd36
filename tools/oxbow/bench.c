/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases, in child processes and by turns, and prints medians and ratios. */
#include "tools/oxbow/bench.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 9u

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
    for (size_t k = 0; k < BENCH_PAYLOAD; k++) {
        out[k] = (uint8_t)('a' + (i * 7 + k * (1 + i % 5)) % 26);
    }
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

    sample.failed = who->measure(run, &sample) != 0;
    if (sample.anon_bytes == 0) {
        sample.anon_bytes = proc_number("/proc/self/status", "RssAnon:") * 1024;
    }
    if (write(fd, &sample, sizeof sample) != (ssize_t)sizeof sample) {
        _exit(1);
    }
    _exit(0);
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
        if (read(fds[0], &sample, sizeof sample) != (ssize_t)sizeof sample) {
            sample.failed = true;
        }
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
                     struct out *out)
{
    struct bench_sample samples[BENCH_CONTENDERS_MAX][ROUNDS_MAX];
    size_t n = contenders(c);
    double own = 0;
    bool ok = true;

    for (unsigned r = 0; r < rounds; r++) {
        for (size_t i = 0; i < n; i++) {
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
    for (size_t i = 0; i < n; i++) {
        struct bench_sample *s = samples[i];

        qsort(s, rounds, sizeof *s, by_rate);
        s = &samples[i][rounds / 2];
        own = i == 0 ? s->rate : own;
        out_text(out, c->name);
        out_text(out, c->contenders[i].name);
        out_real(out, s->rate, s->rate < 100 ? 1 : 0);
        out_real(out, samples[i][0].rate, s->rate < 100 ? 1 : 0);
        out_real(out, samples[i][rounds - 1].rate, s->rate < 100 ? 1 : 0);
        out_text(out, c->unit);
        out_real(out, s->rate > 0 ? own / s->rate : 0, 2);
        out_size(out, s->anon_bytes);
        out_real(out, s->bytes_per_byte, 2);
        out_number(out, s->checkpoints);
        if (s->failed) {
            fprintf(stderr, "oxbow: bench: %s, %s: failed\n", c->name, c->contenders[i].name);
        }
    }
    return ok;
}

int bench_main(const struct cli *cli)
{
    static const char *const columns[] = {"case",         "who",         "median",   "min",
                                          "max",          "unit",        "oxbow/it", "anon memory",
                                          "written/byte", "checkpoints", NULL};
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
    out = out_open(cli->opt.json, false, columns);
    for (const struct bench_case *c = bench_cases; c->name != NULL; c++) {
        if (cli->opt.only == NULL || strstr(c->name, cli->opt.only) != NULL) {
            any = true;
            ok = run_case(c, &run, rounds, out) && ok;
        }
    }
    if (!out_close(out)) {
        return EXIT_FAILED;
    }
    if (!any) {
        return cli_usage(cli, "bench: no case is called like %s", cli->opt.only);
    }
    return ok ? EXIT_DONE : EXIT_FAILED;
}
