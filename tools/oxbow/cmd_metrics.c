/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All figures of a store, in Prometheus' text format or as JSON. The samples of a figure must stand
 * together there, so the walk is collected, each sample as its line, and sorted by row and labels.
 */
#include "oxbow/metrics.h"
#include "tools/oxbow/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    const struct oxbow_metric *metric;
    char *labels; /* {a="b"} */
    char *value;
};

struct lines {
    struct line *all;
    size_t count;
    size_t room;
    bool json;
    bool failed; /* no memory */
};

/* ---- text ---- */

/* The length of the UTF-8 sequence at p, 0: it is none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;

    if (n == 0 || n > left || (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static bool is_utf8(struct oxbow_bytes b)
{
    const uint8_t *p = b.data;
    size_t i = 0;

    while (i < b.len) {
        size_t n = utf8_len(p + i, b.len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* A label; bytes that are not UTF-8 as NAME_hex. Both formats escape \, " and the line feed alike;
 * JSON wants other control characters escaped too. */
static void put_label(FILE *out, const struct lines *l, const char *name, struct oxbow_bytes b,
                      bool *first)
{
    const uint8_t *p = b.data;
    bool text = is_utf8(b);

    fprintf(out, l->json ? "%s\"%s%s\": \"" : "%s%s%s=\"",
            *first    ? ""
            : l->json ? ", "
                      : ",",
            name, text ? "" : "_hex");
    *first = false;
    for (size_t i = 0; i < b.len; i++) {
        if (!text) {
            fprintf(out, "%02x", p[i]);
        } else if (p[i] == '\\' || p[i] == '"') {
            fprintf(out, "\\%c", p[i]);
        } else if (p[i] == '\n') {
            fputs("\\n", out);
        } else if (l->json && p[i] < ' ') {
            fprintf(out, "\\u%04x", p[i]);
        } else {
            fputc(p[i], out);
        }
    }
    fputc('"', out);
}

static void put_labels(FILE *out, const struct lines *l, const struct oxbow_sample *s)
{
    enum oxbow_metric_scope scope = s->metric->scope;
    bool first = true;
    char number[16];

    if (scope == OXBOW_METRIC_STORE) {
        return;
    }
    (void)snprintf(number, sizeof number, "%u", (unsigned)s->database);
    put_label(out, l, "database", bytes_of(number), &first);
    put_label(out, l, "queue", s->queue, &first);
    if (scope == OXBOW_METRIC_GROUP || scope == OXBOW_METRIC_FORWARD) {
        put_label(out, l, scope == OXBOW_METRIC_GROUP ? "group" : "forward", s->name, &first);
    }
    if (s->cause != NULL) {
        put_label(out, l, "cause", bytes_of(s->cause), &first);
    }
}

/* The value in its unit, exact. */
static void put_value(FILE *out, const struct oxbow_sample *s)
{
    uint64_t whole = s->value / s->metric->per;
    uint64_t rest = s->value % s->metric->per;
    char digits[16];
    int n = 0;

    for (uint32_t per = s->metric->per; per > 1; per /= 10) {
        n++;
    }
    fprintf(out, "%llu", (unsigned long long)whole);
    if (rest > 0) {
        int len = snprintf(digits, sizeof digits, "%0*llu", n, (unsigned long long)rest);

        while (digits[len - 1] == '0') {
            digits[--len] = '\0';
        }
        fprintf(out, ".%s", digits);
    }
}

/* ---- collecting ---- */

static bool make_text(const struct lines *l, const struct oxbow_sample *s, bool value, char **text)
{
    size_t len = 0;
    FILE *out = open_memstream(text, &len);

    if (out == NULL) {
        return false;
    }
    if (value) {
        put_value(out, s);
    } else {
        put_labels(out, l, s);
    }
    return fclose(out) == 0;
}

static void collect(void *ctx, const struct oxbow_sample *s)
{
    struct lines *l = ctx;
    struct line line = {.metric = s->metric};

    if (l->count == l->room) {
        size_t room = l->room == 0 ? 256 : l->room * 2;
        struct line *all = realloc(l->all, room * sizeof *all);

        if (all == NULL) {
            l->failed = true;
            return;
        }
        l->all = all;
        l->room = room;
    }
    if (make_text(l, s, false, &line.labels) && make_text(l, s, true, &line.value)) {
        l->all[l->count++] = line;
    } else {
        l->failed = true;
    }
}

static int by_row(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;

    if (x->metric != y->metric) {
        return x->metric < y->metric ? -1 : 1;
    }
    return strcmp(x->labels, y->labels);
}

static enum oxbow_err collect_named(struct cli *cli, const struct oxbow_metrics_sink *sink)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; err == OXBOW_OK && i < cli->arg_count; i++) {
        err = oxbow_metrics_queue(txn, bytes_of(cli->args[i]), sink);
    }
    oxbow_txn_abort(txn);
    return err;
}

static enum oxbow_err collect_all(struct cli *cli, const struct oxbow_metrics_sink *sink)
{
    struct oxbow_metrics_walk walk = {0};
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        struct oxbow_txn *txn;

        err = cli_begin(cli, OXBOW_TXN_READ, &txn);
        if (err == OXBOW_OK) {
            err = oxbow_metrics_step(txn, &walk, sink, &more);
            oxbow_txn_abort(txn);
        }
    }
    return err;
}

/* ---- printing ---- */

static void print_head(const struct oxbow_metric *m)
{
    printf("# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
           m->kind == OXBOW_METRIC_COUNTER ? "counter" : "gauge");
}

static void print_lines(const struct lines *l)
{
    const struct line *last = NULL;

    if (l->json) {
        putchar('[');
    }
    for (size_t i = 0; i < l->count; i++) {
        const struct line *line = &l->all[i];

        if (last != NULL && by_row(last, line) == 0) {
            continue; /* told twice */
        }
        if (l->json) {
            printf("%s{\"name\": \"%s\", \"labels\": {%s}, \"value\": %s}",
                   last != NULL ? ",\n " : "", line->metric->name, line->labels, line->value);
        } else {
            if (last == NULL || last->metric != line->metric) {
                print_head(line->metric);
            }
            printf("%s%s%s%s %s\n", line->metric->name, line->labels[0] != '\0' ? "{" : "",
                   line->labels, line->labels[0] != '\0' ? "}" : "", line->value);
        }
        last = line;
    }
    if (l->json) {
        puts("]");
    }
}

static int run_metrics(struct cli *cli)
{
    struct lines lines = {.json = cli->opt.json != 0};
    const struct oxbow_metrics_sink sink = {&lines, collect};
    enum oxbow_err err = cli->arg_count > 0 ? collect_named(cli, &sink) : collect_all(cli, &sink);
    int code = EXIT_DONE;

    if (err == OXBOW_OK && lines.failed) {
        err = OXBOW_ENOMEM;
    }
    if (err != OXBOW_OK) {
        code = cli_fail("metrics", err);
    } else {
        if (lines.count > 0) {
            qsort(lines.all, lines.count, sizeof *lines.all, by_row);
        }
        print_lines(&lines);
        code = fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
    }
    for (size_t i = 0; i < lines.count; i++) {
        free(lines.all[i].labels);
        free(lines.all[i].value);
    }
    free(lines.all);
    return code;
}

const struct command commands_metrics[] = {
    {"metrics", "[KEY...]", 0, SIZE_MAX, COMMAND_READ,
     "print all figures, or those of some queues, in Prometheus' text format", run_metrics, NULL},
    {0},
};
