/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the benchmark: a picture for people, within 100 columns, printed case by case; JSON
 * for programs, at the end. */
#include "tools/oxbow/bench.h"
#include "tools/oxbow/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

struct bench_report {
    struct out *out; /* NULL: for people */
    unsigned rounds;
    double scale;
    const char *last; /* case */
};

#define NAME_BYTES 64u

/* Figures mean nothing without these. */
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
            "%s, %s %s %s, %ld CPUs, warm page cache\n"
            "messages of %u bytes; %.4g times full size; %u rounds, by turns\n",
            kind, uts.sysname, uts.release, uts.machine, sysconf(_SC_NPROCESSORS_ONLN),
            BENCH_PAYLOAD, run->scale, rounds);
    if (run->sync_ms > 0) {
        fprintf(to, "every sync slowed to %.4g ms, of all contenders\n", run->sync_ms);
    }
}

static const char legend[] =
    "spread: (highest - lowest) / median. ratio: oxbow to this one. p50, p99.9, worst: of one "
    "operation.\nanon: memory at its highest. Bytes for a message: meter: oxbow's own count, of "
    "journal and\ncheckpoints; disk: what the device counted meanwhile, all that writes there "
    "included. m/sync: messages\nto a sync. ckpt: checkpoints\n";

struct bench_report *bench_report_open(bool json, const struct bench_run *run, unsigned rounds)
{
    static const char *const columns[] = {"case",
                                          "who",
                                          "per_s",
                                          "spread",
                                          "ratio",
                                          "p50_us",
                                          "p999_us",
                                          "worst_us",
                                          "anon_bytes",
                                          "device_bytes_per_message",
                                          "disk_bytes_per_message",
                                          "messages_per_sync",
                                          "checkpoints",
                                          "state",
                                          NULL};
    struct bench_report *report = calloc(1, sizeof *report);

    if (report == NULL) {
        fputs("oxbow: out of memory\n", stderr);
        exit(3);
    }
    describe(json ? stderr : stdout, run, rounds);
    report->rounds = rounds;
    report->scale = run->scale;
    if (json) {
        report->out = out_open(true, false, columns);
    } else {
        fputs(legend, stdout);
    }
    return report;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* The median of one figure over the rounds, by where it is in a sample. */
static double median(const struct bench_sample *samples, unsigned rounds, size_t offset)
{
    double v[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        memcpy(&v[i], (const char *)&samples[i] + offset, sizeof v[i]);
    }
    qsort(v, rounds, sizeof v[0], by_value);
    return v[rounds / 2];
}

#define MEDIAN(member) median(samples, report->rounds, offsetof(struct bench_sample, member))

/* ---- for people ---- */

/* Microseconds in at most 7 characters. */
static const char *time_text(char out[16], double us)
{
    if (us <= 0) {
        return "-";
    }
    if (us < 1000) {
        (void)snprintf(out, 16, us < 10 ? "%.1f us" : "%.0f us", us);
    } else if (us < 1e6) {
        (void)snprintf(out, 16, us < 1e4 ? "%.2f ms" : us < 1e5 ? "%.1f ms" : "%.0f ms", us / 1e3);
    } else {
        (void)snprintf(out, 16, "%.2f s", us / 1e6);
    }
    return out;
}

/* In at most 7 characters. */
static const char *size_text(char out[16], double bytes)
{
    static const char *const units[] = {"B", "K", "M", "G"};
    size_t unit = 0;

    if (bytes <= 0) {
        return "-";
    }
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, 16, bytes < 100 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}

/* A number with thousands apart: they are read, not computed with. */
static const char *rate_text(char out[24], double rate)
{
    char plain[24];
    size_t len;
    size_t n = 0;

    if (rate < 100) {
        (void)snprintf(out, 24, "%.1f", rate);
        return out;
    }
    (void)snprintf(plain, sizeof plain, "%.0f", rate);
    len = strlen(plain);
    for (size_t i = 0; i < len && n + 2 < 24; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[n++] = ',';
        }
        out[n++] = plain[i];
    }
    out[n] = '\0';
    return out;
}

/* A name with the size that was measured: cases of ten million are smaller on a smaller scale. */
static const char *name_text(const struct bench_report *report, const char *name,
                             char out[NAME_BYTES])
{
    static const char *const sizes[] = {"10,000,000", "10M"};
    char number[24];
    size_t i = 0;

    while (i < 2 && strstr(name, sizes[i]) == NULL) {
        i++;
    }
    if (i == 2 || report->scale == 1) {
        return name;
    }
    if (i == 0) {
        (void)rate_text(number, 1e7 * report->scale);
    } else {
        (void)snprintf(number, sizeof number, "%.4gM", 10 * report->scale);
    }
    (void)snprintf(out, NAME_BYTES, "%.*s%s%s", (int)(strstr(name, sizes[i]) - name), name, number,
                   strstr(name, sizes[i]) + strlen(sizes[i]));
    return out;
}

static const char *small_text(char out[16], double v)
{
    if (v <= 0) {
        return "-";
    }
    (void)snprintf(out, 16, v < 100 ? "%.1f" : "%.0f", v);
    return out;
}

static void print_row(struct bench_report *report, const struct bench_case *c, size_t who,
                      const struct bench_sample *samples, double own)
{
    const struct bench_sample *s = &samples[report->rounds / 2];
    double spread = (samples[report->rounds - 1].rate - samples[0].rate) / s->rate;
    char names[2][NAME_BYTES];
    const char *name = name_text(report, c->contenders[who].name, names[0]);
    char text[8][24];

    if (report->last != c->name) {
        printf("\n%-24s %10s %6s %5s %7s %7s %7s %7s %7s %7s %6s %4s\n",
               name_text(report, c->name, names[1]), "per s", "spread", "ratio", "p50", "p99.9",
               "worst", "anon", "meter", "disk", "m/sync", "ckpt");
        report->last = c->name;
    }
    if (s->absent || s->failed || s->rate <= 0) {
        printf("  %-22s %10s\n", name, s->absent ? "skipped: not installed" : "failed");
        return;
    }
    printf("  %-22s %10s %6.2f %5.2f %7s %7s %7s", name, rate_text(text[0], s->rate), spread,
           own / s->rate, time_text(text[1], MEDIAN(half_us)), time_text(text[2], MEDIAN(p999_us)),
           time_text(text[3], MEDIAN(worst_us)));
    printf(" %7s %7s %7s %6s %4llu\n", size_text(text[4], (double)s->anon_bytes),
           size_text(text[5], MEDIAN(device_bytes)), size_text(text[6], MEDIAN(disk_bytes)),
           small_text(text[7], MEDIAN(messages_per_sync)), (unsigned long long)s->checkpoints);
}

/* ---- for programs ---- */

static void maybe_real(struct out *out, double value, int digits)
{
    if (value > 0) {
        out_real(out, value, digits);
    } else {
        out_none(out);
    }
}

static void add_row(struct bench_report *report, const struct bench_case *c, size_t who,
                    const struct bench_sample *samples, double own)
{
    const struct bench_sample *s = &samples[report->rounds / 2];
    struct out *out = report->out;
    char name[NAME_BYTES];

    out_text(out, name_text(report, c->name, name));
    out_text(out, name_text(report, c->contenders[who].name, name));
    out_real(out, s->rate, 1);
    out_real(out, s->rate > 0 ? (samples[report->rounds - 1].rate - samples[0].rate) / s->rate : 0,
             3);
    out_real(out, s->rate > 0 ? own / s->rate : 0, 3);
    maybe_real(out, MEDIAN(half_us), 1);
    maybe_real(out, MEDIAN(p999_us), 1);
    maybe_real(out, MEDIAN(worst_us), 1);
    out_number(out, s->anon_bytes);
    maybe_real(out, MEDIAN(device_bytes), 1);
    maybe_real(out, MEDIAN(disk_bytes), 1);
    maybe_real(out, MEDIAN(messages_per_sync), 2);
    out_number(out, s->checkpoints);
    out_text(out, s->absent ? "absent" : s->failed ? "failed" : "measured");
}

void bench_report_row(struct bench_report *report, const struct bench_case *c, size_t who,
                      const struct bench_sample *samples, double own)
{
    if (report->out != NULL) {
        add_row(report, c, who, samples, own);
    } else {
        print_row(report, c, who, samples, own);
        (void)fflush(stdout);
    }
    if (samples[report->rounds / 2].failed) {
        fprintf(stderr, "oxbow: bench: %s, %s: failed\n", c->name, c->contenders[who].name);
    }
}

bool bench_report_close(struct bench_report *report, bool drop)
{
    bool ok = true;

    if (report->out != NULL && drop) {
        out_drop(report->out);
    } else if (report->out != NULL) {
        ok = out_close(report->out);
    } else {
        ok = fflush(stdout) == 0 && ferror(stdout) == 0;
    }
    free(report);
    return ok;
}
