/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommand `probe`: runs the library's probe, reads the device's own counters around each
 * stage, and says what follows in words. */
#include "oxbow/probe.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/disk.h"
#include "tools/oxbow/out.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_BYTES   4096.0
#define SIZE_DEFAULT  ((uint64_t)32 << 20)
#define SIZE_MIN      ((uint64_t)1 << 20)
#define SIZE_MAX_     ((uint64_t)1 << 30)
#define SECONDS_DFLT  5
#define SECONDS_MAX   300
#define PUSHES_PLENTY 200u /* a second, singly: no advice needed */

const struct option_row probe_options[] = {
    {"seconds", 0, OPTION_INT, offsetof(struct options, seconds), "N",
     "about how long, 1 to 300 (default 5)"},
    {"size", 0, OPTION_TEXT, offsetof(struct options, size), "SIZE",
     "the most to write, 2M to 1G (default 32 MiB)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

struct look {
    const struct oxbow_probe_options *options;
    struct disk disk;
    struct disk_count begun;
    struct disk_count spent[OXBOW_PROBE_STAGES]; /* by the device, in each stage */
    bool counted;                                /* the device has counters */
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static bool watch(void *ctx, enum oxbow_probe_stage stage, bool begins)
{
    struct look *look = ctx;
    struct disk_count now;

    if (stage == OXBOW_PROBE_SEQUENTIAL && begins) {
        fprintf(stderr, "probing %s: about %u s, at most %.1f MiB written and removed again\n",
                look->options->dir, look->options->time_ms / 1000,
                (double)look->options->bytes / (double)SIZE_MIN);
    }
    look->counted = disk_read(&look->disk, &now);
    if (look->counted && begins) {
        look->begun = now;
    } else if (look->counted) {
        look->spent[stage].bytes += now.bytes - look->begun.bytes;
        look->spent[stage].flushes += now.flushes - look->begun.flushes;
    }
    return stopped != 0;
}

/* ---- what follows ---- */

static void advise(const struct oxbow_probe *p, const struct disk *disk, char *out, size_t len)
{
    unsigned long long alone = p->pushes_1;
    int n;

    if ((p->flags & OXBOW_PROBE_VOLATILE) != 0) {
        (void)snprintf(out, len, "%s is memory: nothing survives a power cut. No place for a store",
                       p->kind);
        return;
    }
    if ((p->flags & OXBOW_PROBE_TOO_FAST) != 0) {
        n = snprintf(out, len,
                     "a sync in %u us is faster than flash: unless its cache is known to survive a "
                     "power cut%s, do not trust it before you have cut its power under load",
                     p->syncs[OXBOW_PROBE_ZEROED].median_us,
                     strcmp(disk->write_cache, "write through") == 0
                         ? " (the system was told that there is none to flush)"
                         : "");
    } else if (alone >= PUSHES_PLENTY) {
        n = snprintf(out, len, "always carries about %llu single pushes a second", alone);
    } else {
        n = snprintf(out, len,
                     "always carries only about %llu single pushes a second: put several into one "
                     "transaction, or take interval for what may lose its last moments",
                     alone);
    }
    if ((p->flags & OXBOW_PROBE_STALLS) != 0 && n > 0 && (size_t)n < len) {
        (void)snprintf(out + n, len - (size_t)n,
                       "; a sync took over a second: producers must bear such waits");
    }
}

/* ---- printing ---- */

static void print_syncs(const char *name, const struct oxbow_probe *p, enum oxbow_probe_stage stage,
                        const struct look *look)
{
    const struct oxbow_probe_syncs *s = &p->syncs[stage];
    const struct disk_count *spent = &look->spent[stage];

    if (s->count == 0) {
        printf("  %-18s not possible there\n", name);
        return;
    }
    printf("  %-18s %6u %9.3f %9.3f %9.3f %9.3f", name, s->count, s->least_us / 1e3,
           s->median_us / 1e3, s->p99_us / 1e3, s->most_us / 1e3);
    if (look->counted) {
        printf(" %9.1f KiB %7.2f\n", (double)spent->bytes / s->count / 1024,
               (double)spent->flushes / s->count);
    } else {
        printf("           -       -\n");
    }
}

static double ratio(uint32_t a, uint32_t b)
{
    return b > 0 ? (double)a / b : 0;
}

static void print_text(const struct oxbow_probe *p, const struct look *look, const char *advice)
{
    const struct oxbow_probe_syncs *s = p->syncs;
    const double gib = 1 << 30;

    printf("file system  %s, %.1f GiB free of %.1f GiB\n", p->kind[0] != '\0' ? p->kind : "unknown",
           (double)p->free_bytes / gib, (double)p->total_bytes / gib);
    if (look->disk.name[0] != '\0') {
        printf("device       %s%s%s\n", look->disk.name,
               look->disk.write_cache[0] != '\0' ? ", cache: " : "", look->disk.write_cache);
    }
    printf(
        "sequential   %.1f MB/s, its sync included\n\n"
        "  4 KiB and a sync,  syncs  least ms    median       p99      most  device/sync flushes\n",
        (double)p->sequential_per_s / 1e6);
    print_syncs("over zeros", p, OXBOW_PROBE_ZEROED, look);
    print_syncs("into reserved", p, OXBOW_PROBE_RESERVED, look);
    print_syncs("at a growing end", p, OXBOW_PROBE_GROWING, look);
    printf("\nzero-filling a file ahead makes syncs %.1f times as fast as growing it",
           ratio(s[OXBOW_PROBE_GROWING].median_us, s[OXBOW_PROBE_ZEROED].median_us));
    if (s[OXBOW_PROBE_RESERVED].count > 0) {
        printf(", reserving alone %.1f times",
               ratio(s[OXBOW_PROBE_GROWING].median_us, s[OXBOW_PROBE_RESERVED].median_us));
    }
    printf("\nalways       about %llu pushes/s from one producer, %llu from 16 (estimated)\n"
           "interval     %u ms or longer\n"
           "advice       %s\n",
           (unsigned long long)p->pushes_1, (unsigned long long)p->pushes_16, p->interval_ms,
           advice);
}

static void out_counted(struct out *out, const struct look *look, uint64_t value, double by)
{
    if (look->counted && by > 0) {
        out_real(out, (double)value / by, 2);
    } else {
        out_none(out);
    }
}

/* The names of the columns are made of three stages and what is told of each. */
#define STAGE(name)                                                                                \
    name "_syncs", name "_least_us", name "_median_us", name "_p99_us", name "_most_us",           \
        name "_mean_us", name "_device_bytes_per_sync", name "_flushes_per_sync"

static bool print_json(const struct oxbow_probe *p, const struct look *look, const char *advice)
{
    static const char *const columns[] = {"file_system",
                                          "free",
                                          "total",
                                          "device",
                                          "write_cache",
                                          "sequential_per_s",
                                          STAGE("zeroed"),
                                          STAGE("reserved"),
                                          STAGE("growing"),
                                          "pushes_1_per_s",
                                          "pushes_16_per_s",
                                          "interval_ms",
                                          "volatile",
                                          "too_fast",
                                          "stalls",
                                          "advice",
                                          NULL};
    struct out *out = out_open(true, true, columns);
    unsigned i;

    out_text(out, p->kind);
    out_number(out, p->free_bytes);
    out_number(out, p->total_bytes);
    out_text(out, look->disk.name);
    out_text(out, look->disk.write_cache);
    out_number(out, p->sequential_per_s);
    for (i = OXBOW_PROBE_ZEROED; i < OXBOW_PROBE_STAGES; i++) {
        const struct oxbow_probe_syncs *s = &p->syncs[i];

        out_number(out, s->count);
        out_number(out, s->least_us);
        out_number(out, s->median_us);
        out_number(out, s->p99_us);
        out_number(out, s->most_us);
        out_number(out, s->mean_us);
        out_counted(out, look, look->spent[i].bytes, s->count);
        out_counted(out, look, look->spent[i].flushes, s->count);
    }
    out_number(out, p->pushes_1);
    out_number(out, p->pushes_16);
    out_number(out, p->interval_ms);
    out_number(out, (p->flags & OXBOW_PROBE_VOLATILE) != 0);
    out_number(out, (p->flags & OXBOW_PROBE_TOO_FAST) != 0);
    out_number(out, (p->flags & OXBOW_PROBE_STALLS) != 0);
    out_text(out, advice);
    return out_close(out);
}

/* ---- the command ---- */

static int fail(const char *dir, enum oxbow_err err, uint64_t size)
{
    char space[80];
    const char *why = oxbow_err_text(err);

    (void)snprintf(space, sizeof space, "too little space: %.1f MiB must be free for this",
                   (double)(size + SIZE_MIN) / (double)SIZE_MIN);
    why = err == OXBOW_ENOENT      ? "no such directory"
          : err == OXBOW_EREADONLY ? "cannot be written to"
          : err == OXBOW_ENOTSUP   ? "a network file system: no store can be there"
          : err == OXBOW_ENOSPC    ? space
          : err == OXBOW_ECANCELED ? "stopped; nothing is left behind"
                                   : why;
    fprintf(stderr, "oxbow: probe: %s: %s (%s)\n", dir, why, oxbow_err_name(err));
    return EXIT_FAILED;
}

int probe_main(struct cli *cli)
{
    struct look look = {.counted = false};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct oxbow_probe_options options = {.dir = cli->args[0], .ctx = &look, .watch = watch};
    int seconds = cli->opt.seconds != 0 ? cli->opt.seconds : SECONDS_DFLT;
    uint64_t size = SIZE_DEFAULT;
    struct oxbow_probe found;
    struct stat st;
    char advice[400];
    enum oxbow_err err;

    if (seconds < 1 || seconds > SECONDS_MAX) {
        return cli_usage(cli, "probe: --seconds %d: 1 to %d", seconds, SECONDS_MAX);
    }
    if (cli->opt.size != NULL &&
        (!cli_size(cli->opt.size, &size) || size < SIZE_MIN || size > SIZE_MAX_)) {
        return cli_usage(cli, "probe: --size %s: 2M to 1G", cli->opt.size);
    }
    if (stat(options.dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
        fprintf(stderr, "oxbow: probe: %s: %s\n", options.dir, strerror(ENOTDIR));
        return EXIT_FAILED;
    }
    options.time_ms = (uint32_t)seconds * 1000;
    options.bytes = (uint32_t)size;
    look.options = &options;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    disk_find(options.dir, &look.disk);
    err = oxbow_probe(&options, &found);
    if (err != OXBOW_OK) {
        return fail(options.dir, err, size);
    }
    advise(&found, &look.disk, advice, sizeof advice);
    if (cli->opt.json) {
        return print_json(&found, &look, advice) ? EXIT_DONE : EXIT_FAILED;
    }
    print_text(&found, &look, advice);
    return EXIT_DONE;
}
