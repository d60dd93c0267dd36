/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow top: a running oxbowd at a glance, again and again: what it does in a second, how far the
 * device is behind, what waits, what the device takes. All of it is what INFO says, and the lengths of
 * the keys that are named; rates are differences between two answers.
 *
 * On a terminal it draws over itself, on a screen of its own that is gone at the end; elsewhere it
 * prints one picture of one interval.
 */
#include "tools/oxbow/command.h"
#include "tools/oxbow/daemon.h"
#include "tools/oxbow/when.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS_LEAST 40u
#define COLUMNS_PLAIN 100u
#define COLUMNS_MAX   240u
#define ROWS_PLAIN    10000u
#define INTERVAL_MS   1000u
#define KEYS_MAX      32u
#define FORWARDS_MAX  256u
#define TEXT_MAX      64u
#define SCREEN_ON     "\033[?1049h\033[?25l"
#define SCREEN_OFF    "\033[?25h\033[?1049l"

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* ---- what was seen ---- */

enum figure {
    COMMANDS,
    NET_IN,
    NET_OUT,
    COMMITS,
    SYNCS,
    SYNC_US,
    WRITTEN,
    PAYLOAD,
    UPLINK_ENTRIES,
    UPLINK_OUT,
    FIGURES
};

static const char *const figure_names[FIGURES] = {
    [COMMANDS] = "total_commands_processed", [NET_IN] = "total_net_input_bytes",
    [NET_OUT] = "total_net_output_bytes",    [COMMITS] = "store_lsn_applied",
    [SYNCS] = "store_journal_syncs",         [SYNC_US] = "store_journal_sync_us",
    [WRITTEN] = "store_written_bytes",       [PAYLOAD] = "store_payload_bytes",
    [UPLINK_ENTRIES] = "uplink_entries",     [UPLINK_OUT] = "uplink_out_bytes",
};

struct key_seen {
    char type[TEXT_MAX];
    uint64_t length;
    bool known;
};

struct sample {
    uint64_t at_us;
    uint64_t process; /* another one counts anew */
    uint64_t figures[FIGURES];
    struct key_seen keys[KEYS_MAX];
};

struct top {
    struct cli *cli;
    struct daemon *daemon;
    struct sample now;
    struct sample before;
    char *info; /* a copy: the keys are asked for after it */
    size_t info_len;
    bool terminal;
    unsigned columns;
    unsigned rows;
    unsigned row; /* printed so far */
};

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* that clock is always there */
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct oxbow_bytes info_of(const struct top *t)
{
    return (struct oxbow_bytes){t->info, t->info_len};
}

static int look_at_info(struct top *t)
{
    struct oxbow_bytes text;
    int code = daemon_info(t->daemon, NULL, &text);

    if (code != EXIT_DONE) {
        return code;
    }
    free(t->info);
    t->info_len = text.len;
    t->info = malloc(text.len + 1);
    if (t->info == NULL) {
        return cli_fail("top", OXBOW_ENOMEM);
    }
    memcpy(t->info, text.data, text.len);
    t->now.at_us = now_us();
    t->now.process = info_number(info_of(t), "process_id");
    for (size_t i = 0; i < FIGURES; i++) {
        t->now.figures[i] = info_number(info_of(t), figure_names[i]);
    }
    return EXIT_DONE;
}

/* The command that tells a key's length, by its type. NULL: none. */
static const char *length_command(const char *type)
{
    static const char *const commands[][2] = {{"list", "LLEN"},  {"stream", "XLEN"},
                                              {"hash", "HLEN"},  {"set", "SCARD"},
                                              {"zset", "ZCARD"}, {"string", "STRLEN"}};

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(type, commands[i][0]) == 0) {
            return commands[i][1];
        }
    }
    return NULL;
}

static int look_at_key(struct top *t, size_t n)
{
    const char *words[] = {"TYPE", t->cli->args[n], NULL};
    struct key_seen *k = &t->now.keys[n];
    struct daemon_answer answer;
    int code = daemon_ask(t->daemon, words, &answer);

    *k = (struct key_seen){.known = false};
    if (code != EXIT_DONE || answer.count != 1) {
        return code;
    }
    (void)snprintf(k->type, sizeof k->type, "%.*s",
                   (int)(answer.values[0].text.len < TEXT_MAX ? answer.values[0].text.len : 0),
                   (const char *)answer.values[0].text.data);
    words[0] = length_command(k->type);
    if (words[0] == NULL) {
        return EXIT_DONE;
    }
    code = daemon_ask(t->daemon, words, &answer);
    if (code == EXIT_DONE && answer.count == 1 && answer.values[0].number >= 0) {
        k->length = (uint64_t)answer.values[0].number;
        k->known = true;
    }
    return code;
}

static int look(struct top *t)
{
    int code;

    t->before = t->now;
    code = look_at_info(t);
    for (size_t n = 0; code == EXIT_DONE && n < t->cli->arg_count; n++) {
        code = look_at_key(t, n);
    }
    return code;
}

/* ---- printing ---- */

/* A line, cut to the width; what a peer says has no hold on the terminal. */
static void line(struct top *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct top *t, const char *format, ...)
{
    char text[COLUMNS_MAX + 1];
    va_list ap;

    if (t->row >= t->rows) {
        return;
    }
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    for (size_t i = 0; text[i] != '\0'; i++) {
        text[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    }
    if (t->row > 0) {
        putchar('\n');
    }
    printf("%.*s%s", (int)t->columns, text, t->terminal ? "\033[K" : "");
    t->row++;
}

/* Bytes as 1.2 MiB. */
static const char *size_text(char out[TEXT_MAX], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, TEXT_MAX, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
    return out;
}

static const char *time_text(char out[TEXT_MAX], double us)
{
    if (us < 1) {
        (void)snprintf(out, TEXT_MAX, "0");
    } else if (us < 1000) {
        (void)snprintf(out, TEXT_MAX, "%.0f us", us);
    } else if (us < 1e6) {
        (void)snprintf(out, TEXT_MAX, "%.1f ms", us / 1e3);
    } else if (us < 6e7) {
        (void)snprintf(out, TEXT_MAX, "%.1f s", us / 1e6);
    } else {
        (void)snprintf(out, TEXT_MAX, "%.0f min", us / 6e7);
    }
    return out;
}

static const char *text_of(const struct top *t, const char *name, char out[TEXT_MAX])
{
    struct oxbow_bytes value = {"-", 1};

    if (!info_find(info_of(t), name, &value) || value.len == 0) {
        value = (struct oxbow_bytes){"-", 1};
    }
    (void)snprintf(out, TEXT_MAX, "%.*s", (int)(value.len < TEXT_MAX ? value.len : TEXT_MAX - 1),
                   (const char *)value.data);
    return out;
}

/* A counter of a process that began anew is less than it was. */
static double grown(const struct top *t, enum figure f)
{
    uint64_t now = t->now.figures[f];
    uint64_t before = t->before.process == t->now.process ? t->before.figures[f] : now;

    return now > before ? (double)(now - before) : 0;
}

static double rate(const struct top *t, enum figure f)
{
    uint64_t us = t->now.at_us - t->before.at_us;

    return us > 0 ? grown(t, f) * 1e6 / (double)us : 0;
}

static uint64_t number(const struct top *t, const char *name)
{
    return info_number(info_of(t), name);
}

static void print_head(struct top *t)
{
    char up[TEXT_MAX];

    line(t, "oxbow top - %s  process %" PRIu64 ", up %s  clients %" PRIu64 ", %" PRIu64 " blocked",
         daemon_where(t->daemon), t->now.process,
         time_text(up, (double)number(t, "uptime_in_seconds") * 1e6),
         number(t, "connected_clients"), number(t, "blocked_clients"));
    line(t, "%s", "");
}

static void print_rates(struct top *t)
{
    char a[TEXT_MAX];
    char b[TEXT_MAX];
    char c[TEXT_MAX];
    double syncs = grown(t, SYNCS);

    line(t, "%-10s %10.0f/s   in %s/s, out %s/s", "commands", rate(t, COMMANDS),
         size_text(a, rate(t, NET_IN)), size_text(b, rate(t, NET_OUT)));
    line(t, "%-10s %10.0f/s   policy %s, oldest not on the device %s", "commits", rate(t, COMMITS),
         text_of(t, "store_sync", a), time_text(b, (double)number(t, "store_unsynced_us")));
    line(t, "%-10s %10.0f/s   latency %s", "syncs", rate(t, SYNCS),
         syncs > 0 ? time_text(a, grown(t, SYNC_US) / syncs) : "-");
    line(t, "%-10s %12s   of %s; file %s, free in it %s", "used",
         size_text(a, (double)number(t, "store_used_bytes")),
         size_text(b, (double)number(t, "store_quota_bytes")),
         size_text(c, (double)number(t, "store_file_bytes")),
         size_text((char[TEXT_MAX]){0}, (double)number(t, "store_free_bytes")));
    if (grown(t, PAYLOAD) > 0) {
        (void)snprintf(b, sizeof b, "%.2f", grown(t, WRITTEN) / grown(t, PAYLOAD));
    } else {
        (void)snprintf(b, sizeof b, "-");
    }
    line(t, "%-10s %10s/s   per byte of payload %s; %s since it was opened", "written",
         size_text(a, rate(t, WRITTEN)), b, size_text(c, (double)t->now.figures[WRITTEN]));
    if (number(t, "store_in_memory") != 0) {
        line(t, "%s", "THE DEVICE HAS FAILED: what comes is held in memory only");
    }
}

static void print_uplink(struct top *t)
{
    char a[TEXT_MAX];
    char b[TEXT_MAX];
    char c[TEXT_MAX];

    if (t->now.figures[UPLINK_ENTRIES] == 0 && strcmp(text_of(t, "uplink_state", a), "none") == 0) {
        return;
    }
    line(t, "%s", "");
    line(t, "%-10s %12s   target %s, round trip %s, trouble %s", "uplink",
         text_of(t, "uplink_state", a), text_of(t, "uplink_target", b),
         time_text((char[TEXT_MAX]){0}, (double)number(t, "uplink_rtt_us")),
         text_of(t, "uplink_trouble", c));
    line(t, "%-10s %10.0f/s   %s/s", "entries", rate(t, UPLINK_ENTRIES),
         size_text(a, rate(t, UPLINK_OUT)));
}

static const char *part_of(struct oxbow_bytes value, const char *name, char out[TEXT_MAX])
{
    struct oxbow_bytes part = {"-", 1};

    (void)!info_part(value, name, &part);
    (void)snprintf(out, TEXT_MAX, "%.*s", (int)(part.len < TEXT_MAX ? part.len : TEXT_MAX - 1),
                   (const char *)part.data);
    return out;
}

static void print_forwards(struct top *t)
{
    struct oxbow_bytes name;
    struct oxbow_bytes value;
    struct oxbow_bytes bytes = {"0", 1};
    size_t pos = 0;

    for (unsigned n = 0; info_next(info_of(t), "forward_", &pos, &name, &value); n++) {
        char a[TEXT_MAX];
        char b[TEXT_MAX];
        char c[TEXT_MAX];
        char d[TEXT_MAX];

        if (n == 0) {
            line(t, "%s", "");
            line(t, "%-24s %-10s %12s %12s %12s", "forward", "state", "backlog", "bytes", "unsent");
        }
        (void)!info_part(value, "backlog_bytes", &bytes);
        line(t, "%-24.*s %-10s %12s %12s %12s", (int)(name.len < TEXT_MAX ? name.len : TEXT_MAX),
             (const char *)name.data, part_of(value, "state", a), part_of(value, "backlog", b),
             size_text(c, (double)info_count(bytes)), part_of(value, "unsent", d));
    }
}

static void print_keys(struct top *t)
{
    uint64_t us = t->now.at_us - t->before.at_us;

    for (size_t n = 0; n < t->cli->arg_count; n++) {
        const struct key_seen *now = &t->now.keys[n];
        const struct key_seen *before = &t->before.keys[n];
        double change = (double)now->length - (double)before->length;

        if (n == 0) {
            line(t, "%s", "");
            line(t, "%-24s %-10s %12s %12s", "key", "type", "length", "change/s");
        }
        if (!now->known) {
            line(t, "%-24s %-10s %12s %12s", t->cli->args[n], now->type, "-", "-");
        } else {
            line(t, "%-24s %-10s %12" PRIu64 " %+12.0f", t->cli->args[n], now->type, now->length,
                 before->known && us > 0 ? change * 1e6 / (double)us : 0);
        }
    }
}

static bool draw(struct top *t)
{
    struct winsize size = {0};

    t->row = 0;
    t->columns = COLUMNS_PLAIN;
    t->rows = ROWS_PLAIN;
    if (t->terminal) {
        bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

        t->columns = known && size.ws_col >= COLUMNS_LEAST ? size.ws_col : 80;
        t->columns = t->columns < COLUMNS_MAX ? t->columns : COLUMNS_MAX;
        t->rows = known && size.ws_row > 0 ? size.ws_row : 24;
        fputs("\033[H", stdout);
    }
    print_head(t);
    print_rates(t);
    print_uplink(t);
    print_forwards(t);
    print_keys(t);
    fputs(t->terminal ? "\033[J" : "\n", stdout);
    return fflush(stdout) == 0;
}

/* ---- again and again ---- */

static void rest(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};

    (void)nanosleep(&t, NULL); /* a signal is to end it */
}

static int watch(struct top *t, uint64_t interval_ms)
{
    uint64_t shots = t->cli->opt.count > 0 ? (uint64_t)t->cli->opt.count : t->terminal ? 0 : 1;
    int code = look(t);

    for (uint64_t n = 0; code == EXIT_DONE && !ended && (shots == 0 || n < shots); n++) {
        rest(interval_ms);
        if (ended) {
            break;
        }
        code = look(t);
        if (code == EXIT_DONE && !draw(t)) {
            code = EXIT_FAILED; /* nobody reads it */
        }
    }
    return code;
}

/* What goes wrong is told on the screen that was there before. */
static int watch_terminal(struct top *t, uint64_t interval_ms)
{
    struct sigaction act = {.sa_handler = on_signal};
    int code;

    (void)sigaction(SIGINT, &act, NULL); /* these exist */
    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGHUP, &act, NULL);
    fputs(SCREEN_ON, stdout);
    code = watch(t, interval_ms);
    fputs(SCREEN_OFF, stdout);
    return fflush(stdout) == 0 || ended ? code : EXIT_FAILED;
}

static int run_top(struct cli *cli)
{
    uint64_t interval_ms = INTERVAL_MS;
    struct top *t;
    int code;

    if (cli->opt.at != NULL &&
        (!when_age(cli->opt.at, &interval_ms) || interval_ms == 0 || interval_ms > 3600000)) {
        return cli_usage(cli, "--interval %s: a span like 500ms or 10s, up to 1h", cli->opt.at);
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        return cli_fail("top", OXBOW_ENOMEM);
    }
    t->cli = cli;
    t->terminal = isatty(STDOUT_FILENO) != 0;
    code = daemon_open(cli, "top", &t->daemon);
    if (code == EXIT_DONE) {
        code = t->terminal ? watch_terminal(t, interval_ms) : watch(t, interval_ms);
        daemon_close(t->daemon);
    }
    free(t->info);
    free(t);
    return code;
}

static const struct option_row top_options[] = {
    DAEMON_OPTIONS(DAEMON_SERVER_HELP),
    {"interval", 0, OPTION_TEXT, offsetof(struct options, at), "SPAN",
     "between two looks, like 500ms or 10s (default 1s)"},
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "end after N pictures (default: at Ctrl-C; not on a terminal: 1)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_top[] = {
    {"top", "[KEY...]", 0, KEYS_MAX, 0,
     "watch a running oxbowd: rates, lag, sync latency, wear, uplink, lengths of keys", run_top,
     top_options},
    {0},
};
