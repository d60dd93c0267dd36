/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on schedules. */
#include "oxbow/schedule.h"
#include "oxbow/time.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/when.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const missed_names[] = {"skip", "once", "all"};

/* ---- the words of the command line ---- */

/* One or two digits at *text, which moves behind them. */
static bool digits_of(const char **text, int32_t *value)
{
    const char *p = *text;

    *value = 0;
    for (; p < *text + 2 && *p >= '0' && *p <= '9'; p++) {
        *value = *value * 10 + (*p - '0');
    }
    if (p == *text) {
        return false;
    }
    *text = p;
    return true;
}

/* +HH:MM, -HH:MM, +HH, or Z. */
static bool offset_of(const char *text, int32_t *minutes)
{
    const char *p = text + 1;
    int32_t hours;
    int32_t rest = 0;

    if (strcmp(text, "Z") == 0) {
        *minutes = 0;
        return true;
    }
    if ((text[0] != '+' && text[0] != '-') || !digits_of(&p, &hours)) {
        return false;
    }
    if (*p == ':') {
        p++;
        if (!digits_of(&p, &rest)) {
            return false;
        }
    }
    if (*p != '\0' || rest > 59) {
        return false;
    }
    *minutes = (hours * 60 + rest) * (text[0] == '-' ? -1 : 1);
    return *minutes >= -OXBOW_SCHEDULE_OFFSET_MAX && *minutes <= OXBOW_SCHEDULE_OFFSET_MAX;
}

/* Says what is wrong in a text that should say when, and where. */
static int check_when(const struct cli *cli, const char *text)
{
    struct oxbow_schedule_fault fault = {0, ""};

    if (oxbow_schedule_check(bytes_of(text), &fault) == OXBOW_OK) {
        return EXIT_DONE;
    }
    return cli_usage(cli, "\"%s\": at character %zu: %s", text, fault.position + 1, fault.what);
}

static int options_of(const struct cli *cli, struct oxbow_schedule_options *opt)
{
    const char *missed = cli->opt.missed;
    int code = check_when(cli, cli->args[1]);

    if (code != EXIT_DONE) {
        return code;
    }
    *opt = (struct oxbow_schedule_options){.when = bytes_of(cli->args[1]),
                                           .key = bytes_of(cli->args[2]),
                                           .missed_max = (uint32_t)cli->opt.missed_max};
    if (cli->opt.offset != NULL && !offset_of(cli->opt.offset, &opt->offset_min)) {
        return cli_usage(cli, "--offset %s: want +02:00, -05:30 or Z", cli->opt.offset);
    }
    while (missed != NULL && strcmp(missed, missed_names[opt->missed]) != 0) {
        if (opt->missed == OXBOW_MISSED_ALL) {
            return cli_usage(cli, "--missed %s: want skip, once or all", missed);
        }
        opt->missed = (enum oxbow_schedule_missed)(opt->missed + 1);
    }
    if (cli->opt.missed_max > OXBOW_SCHEDULE_MADE_UP) {
        return cli_usage(cli, "--missed-max: at most %u", OXBOW_SCHEDULE_MADE_UP);
    }
    if (cli->opt.late != NULL && (!when_age(cli->opt.late, &opt->late_ms) || opt->late_ms == 0 ||
                                  opt->late_ms > OXBOW_SCHEDULE_LATE_MAX)) {
        return cli_usage(cli, "--late %s: want a time like 500ms, 90s, 5m, 2h, up to a year",
                         cli->opt.late);
    }
    return EXIT_DONE;
}

/* ---- setting ---- */

static int set(struct cli *cli, const struct oxbow_schedule_options *opt)
{
    const char *what = cli->command->name;
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail(what, err);
    }
    err = oxbow_schedule_set(txn, cli->args[0], opt);
    if (err == OXBOW_EINVAL) {
        oxbow_txn_abort(txn);
        return cli_usage(cli, "%s: a name is 1 to %u letters, digits, '_', '.', '-'", cli->args[0],
                         OXBOW_SCHEDULE_NAME_MAX);
    }
    return cli_finish(txn, what, err);
}

static int run_add(struct cli *cli)
{
    struct oxbow_schedule_options opt;
    struct oxbow_field *fields = NULL;
    struct cli rest = *cli;
    int code = options_of(cli, &opt);

    rest.args += 2; /* KEY FIELD VALUE... */
    rest.arg_count -= 2;
    if (code == EXIT_DONE) {
        code = cli_fields(&rest, "schedule add", &fields, &opt.field_count);
    }
    if (code == EXIT_DONE) {
        opt.fields = fields;
        code = set(cli, &opt);
        free(fields);
    }
    return code;
}

static int run_push(struct cli *cli)
{
    struct oxbow_schedule_options opt;
    int code = options_of(cli, &opt);

    if (code != EXIT_DONE) {
        return code;
    }
    opt.end = cli->opt.left != 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    opt.value = bytes_of(cli->args[3]);
    return set(cli, &opt);
}

/* One of those that want a name alone. */
static int named(struct cli *cli, enum oxbow_err (*call)(struct oxbow_txn *txn, const char *name))
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail(cli->command->name, err);
    }
    err = call(txn, cli->args[0]);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    return cli_finish(txn, cli->command->name, err);
}

static enum oxbow_err call_pause(struct oxbow_txn *txn, const char *name)
{
    return oxbow_schedule_pause(txn, name, true);
}

static enum oxbow_err call_resume(struct oxbow_txn *txn, const char *name)
{
    return oxbow_schedule_pause(txn, name, false);
}

static int run_pause(struct cli *cli)
{
    return named(cli, call_pause);
}

static int run_resume(struct cli *cli)
{
    return named(cli, call_resume);
}

static int run_remove(struct cli *cli)
{
    return named(cli, oxbow_schedule_remove);
}

/* ---- looking ---- */

static void out_date(struct out *out, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        out_none(out);
    } else {
        out_text(out, text);
    }
}

/* When it is next: a date, or so long from now. */
static void out_next(struct out *out, const struct oxbow_schedule_info *info, uint64_t clock_ms)
{
    if (info->planned && info->wall) {
        out_date(out, info->next_ms);
    } else if (info->planned) {
        out_age(out, info->next_ms > clock_ms ? info->next_ms - clock_ms : 0);
    } else {
        out_none(out);
    }
}

static const char *clock_name(const struct oxbow_schedule_info *info)
{
    return info->wall ? "wall" : "store";
}

static const char *type_name(const struct oxbow_schedule_info *info)
{
    return info->type == OXBOW_TYPE_LIST ? "list" : "stream";
}

static void print_row(struct out *out, const struct oxbow_schedule_info *info, uint64_t clock_ms)
{
    out_text(out, info->name);
    out_bytes(out, info->when);
    out_text(out, clock_name(info));
    out_bytes(out, info->key);
    out_text(out, info->paused ? "yes" : "no");
    out_next(out, info, clock_ms);
    out_number(out, info->added);
    out_number(out, info->missed);
    out_number(out, info->refused);
}

static enum oxbow_err print_rows(struct oxbow_txn *txn, const struct oxbow_result *names,
                                 struct out *out)
{
    struct oxbow_time now;
    enum oxbow_err err = oxbow_time_now(txn, &now);

    for (size_t i = 0; err == OXBOW_OK && i < names->item_count; i++) {
        char name[OXBOW_SCHEDULE_NAME_MAX + 1] = "";
        struct oxbow_schedule_info info;

        memcpy(name, names->items[i].data, names->items[i].len);
        err = oxbow_schedule_get(txn, name, &info);
        if (err == OXBOW_OK) {
            print_row(out, &info, now.clock_ms);
        }
    }
    return err;
}

static int run_list(struct cli *cli)
{
    static const char *const columns[] = {"name", "when",  "clock",  "key",     "paused",
                                          "next", "added", "missed", "refused", NULL};
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("schedule list", err);
    }
    out = out_open(cli->opt.json, false, columns);
    err = oxbow_schedule_list(txn, &names);
    if (err == OXBOW_OK) {
        err = print_rows(txn, &names, out);
    }
    code = cli_finish(txn, "schedule list", err);
    if (code != EXIT_DONE || (names.item_count == 0 && !cli->opt.json)) {
        code = code != EXIT_DONE ? code : EXIT_NOTHING;
        out_drop(out);
    } else if (!out_close(out)) {
        code = EXIT_FAILED;
    }
    oxbow_result_fini(&names);
    return code;
}

static void print_all(struct out *out, const struct oxbow_schedule_info *info, uint64_t clock_ms)
{
    print_row(out, info, clock_ms);
    if (info->planned) {
        out_number(out, info->next_ms);
    } else {
        out_none(out);
    }
    if (info->last_ms > 0) {
        out_number(out, info->last_ms);
    } else {
        out_none(out);
    }
    if (info->why != OXBOW_OK) {
        out_text(out, oxbow_err_name(info->why));
    } else {
        out_none(out);
    }
    out_signed(out, info->offset_min);
    out_text(out, missed_names[info->missed_do]);
    out_number(out, info->missed_max);
    out_age(out, info->late_ms);
    out_number(out, info->database);
    out_text(out, type_name(info));
    out_size(out, info->bytes);
}

static int run_show(struct cli *cli)
{
    static const char *const columns[] = {
        "name",       "when",    "clock",    "key",     "paused", "next",       "added",
        "missed",     "refused", "next_ms",  "last_ms", "why",    "offset_min", "on_missed",
        "missed_max", "late",    "database", "type",    "bytes",  NULL};
    struct oxbow_schedule_info info;
    struct oxbow_time now = {0};
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("schedule show", err);
    }
    err = oxbow_time_now(txn, &now);
    if (err == OXBOW_OK) {
        err = oxbow_schedule_get(txn, cli->args[0], &info);
    }
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    out = out_open(cli->opt.json, true, columns);
    if (err == OXBOW_OK) {
        print_all(out, &info, now.clock_ms); /* before the texts that it borrows go */
    }
    code = cli_finish(txn, "schedule show", err);
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* Prints when it will be, from now on or from a date; asks no store. */
static int run_next(struct cli *cli)
{
    static const char *const columns[] = {"next", "next_ms", NULL};
    uint64_t at = (uint64_t)time(NULL) * 1000;
    long long left = cli->opt.count > 0 ? cli->opt.count : 5;
    int32_t offset = 0;
    struct out *out;
    enum oxbow_err err = OXBOW_OK;
    int code = check_when(cli, cli->args[0]);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->opt.offset != NULL && !offset_of(cli->opt.offset, &offset)) {
        return cli_usage(cli, "--offset %s: want +02:00, -05:30 or Z", cli->opt.offset);
    }
    if (cli->opt.from != NULL && !when_date(cli->opt.from, &at)) {
        return cli_usage(cli, "--from %s: want 2027-01-31T12:00:00Z or milliseconds since 1970",
                         cli->opt.from);
    }
    out = out_open(cli->opt.json, false, columns);
    for (; left > 0 && err == OXBOW_OK; left--) {
        err = oxbow_schedule_after(bytes_of(cli->args[0]), offset, at, &at);
        if (err == OXBOW_OK) {
            out_date(out, at);
            out_number(out, at);
        }
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the table ---- */

#define SET_ROWS                                                                                   \
    {"offset",    0,                                                                               \
     OPTION_TEXT, offsetof(struct options, offset),                                                \
     "+HH:MM",    "the fields are in this offset from UTC (default: UTC)"},                        \
        {"missed",                                                                                 \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         offsetof(struct options, missed),                                                         \
         "WHAT",                                                                                   \
         "skip (default): count missed times; once: one entry for all; all: the newest"},          \
        {"missed-max", 0,                                                                          \
         OPTION_COUNT, offsetof(struct options, missed_max),                                       \
         "N",          "for --missed=all (default 100)"},                                          \
    {                                                                                              \
        "late", 0, OPTION_TEXT, offsetof(struct options, late), "TIME",                            \
            "what is later is missed (default 1m, or a shorter period)"                            \
    }

static const struct option_row add_options[] = {
    SET_ROWS,
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row push_options[] = {
    SET_ROWS,
    {"left", 'l', OPTION_FLAG, offsetof(struct options, left), NULL, "at the head (default: tail)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row next_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N", "so many (default 5)"},
    {"offset", 0, OPTION_TEXT, offsetof(struct options, offset), "+HH:MM",
     "the fields are in this offset from UTC (default: UTC)"},
    {"from", 0, OPTION_TEXT, offsetof(struct options, from), "DATE",
     "after 2027-01-31T12:00:00Z, or so many ms since 1970 (default: now)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_schedule[] = {
    {"schedule add", "NAME WHEN KEY FIELD VALUE...", 5, SIZE_MAX, COMMAND_STORE,
     "append an entry to a stream again and again: '*/5 * * * *', @daily, 'every 30s'", run_add,
     add_options},
    {"schedule push", "NAME WHEN KEY VALUE", 4, 4, COMMAND_STORE,
     "push a value onto a list again and again", run_push, push_options},
    {"schedule list", "", 0, 0, COMMAND_READ, "print the schedules", run_list, NULL},
    {"schedule show", "NAME", 1, 1, COMMAND_READ, "print all about one", run_show, NULL},
    {"schedule remove", "NAME", 1, 1, COMMAND_EXIST, "forget a schedule", run_remove, NULL},
    {"schedule pause", "NAME", 1, 1, COMMAND_EXIST, "let it add nothing", run_pause, NULL},
    {"schedule resume", "NAME", 1, 1, COMMAND_EXIST, "let it go on, from now", run_resume, NULL},
    {"schedule next", "WHEN", 1, 1, 0, "print the next times that a text says", run_next,
     next_options},
    {0},
};
