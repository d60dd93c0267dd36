/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on delayed entries. */
#include "oxbow/delay.h"
#include "oxbow/stream.h"
#include "oxbow/time.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/when.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --in or --at. */
static int when_of(const struct cli *cli, struct oxbow_delay_when *when)
{
    if ((cli->opt.in == NULL) == (cli->opt.at == NULL)) {
        return cli_usage(cli, "%s: say when, with --in or with --at", cli->command->name);
    }
    if (cli->opt.in != NULL) {
        *when = (struct oxbow_delay_when){.by = OXBOW_DELAY_FOR};
        if (!when_age(cli->opt.in, &when->ms) || when->ms > OXBOW_DELAY_MS_MAX) {
            return cli_usage(cli, "--in %s: want a time like 500ms, 90s, 5m, 2h, 7d", cli->opt.in);
        }
        return EXIT_DONE;
    }
    *when = (struct oxbow_delay_when){.by = OXBOW_DELAY_WALL};
    if (!when_date(cli->opt.at, &when->ms)) {
        return cli_usage(cli, "--at %s: want 2027-01-31T12:00:00Z or milliseconds since 1970",
                         cli->opt.at);
    }
    return EXIT_DONE;
}

static bool id_of(const char *text, struct oxbow_delay_id *id)
{
    char *end;

    if (*text < '0' || *text > '9') {
        return false;
    }
    id->due_ms = strtoull(text, &end, 10);
    if (*end != '-' || end[1] < '0' || end[1] > '9') {
        return false;
    }
    id->number = strtoull(end + 1, &end, 10);
    return *end == '\0';
}

static void out_delay(struct out *out, struct oxbow_delay_id id)
{
    char text[48];

    (void)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, id.due_ms, id.number);
    out_text(out, text);
}

static int print_id(const struct cli *cli, struct oxbow_delay_id id)
{
    static const char *const columns[] = {"delay", NULL};
    struct out *out = out_open(cli->opt.json, true, columns);

    out_delay(out, id);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_push(struct cli *cli)
{
    const enum oxbow_end end = cli->opt.left != 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    struct oxbow_delay_when when;
    struct oxbow_delay_id id = {0, 0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = when_of(cli, &when);

    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("delay push", err);
    }
    err = oxbow_delay_push(txn, bytes_of(cli->args[0]), end, &when, bytes_of(cli->args[1]), &id);
    code = cli_finish(txn, "delay push", err);
    return code == EXIT_DONE ? print_id(cli, id) : code;
}

static int run_add(struct cli *cli)
{
    uint32_t count = 0;
    struct oxbow_field *fields = NULL;
    struct oxbow_delay_when when;
    struct oxbow_delay_id id = {0, 0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = when_of(cli, &when);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->opt.priority < 0 || cli->opt.priority >= (int)OXBOW_PRIORITIES_MAX) {
        return cli_usage(cli, "--priority: want 0 to %u", OXBOW_PRIORITIES_MAX - 1);
    }
    code = cli_fields(cli, "delay add", &fields, &count);
    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        free(fields);
        return cli_fail("delay add", err);
    }
    err = oxbow_delay_add(txn, bytes_of(cli->args[0]), &when, fields, count, &id);
    if (err == OXBOW_OK && cli->opt.priority > 0) {
        err = oxbow_delay_set_priority(txn, id, (uint32_t)cli->opt.priority);
    }
    free(fields);
    code = cli_finish(txn, "delay add", err);
    return code == EXIT_DONE ? print_id(cli, id) : code;
}

static int run_cancel(struct cli *cli)
{
    struct oxbow_delay_id id;
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!id_of(cli->args[0], &id)) {
        return cli_usage(cli, "%s: an ID is DUE-NUMBER, as `delay list` prints it", cli->args[0]);
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("delay cancel", err);
    }
    err = oxbow_delay_cancel(txn, id);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    return cli_finish(txn, "delay cancel", err);
}

static int run_move(struct cli *cli)
{
    struct oxbow_delay_when when;
    struct oxbow_delay_id id;
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = when_of(cli, &when);

    if (code != EXIT_DONE) {
        return code;
    }
    if (!id_of(cli->args[0], &id)) {
        return cli_usage(cli, "%s: an ID is DUE-NUMBER, as `delay list` prints it", cli->args[0]);
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("delay move", err);
    }
    err = oxbow_delay_move(txn, id, &when, &id);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "delay move", err);
    return code == EXIT_DONE ? print_id(cli, id) : code;
}

static void print_row(struct out *out, const struct oxbow_delay_info *info)
{
    out_delay(out, info->id);
    out_text(out, info->wall ? "wall" : "store");
    out_number(out, info->database);
    out_bytes(out, info->key);
    out_text(out, info->type == OXBOW_TYPE_LIST ? "list" : "stream");
    out_size(out, info->bytes);
    out_number(out, info->tries);
    if (info->tries > 0) {
        out_text(out, oxbow_err_name(info->refused));
    } else {
        out_none(out);
    }
}

static int run_list(struct cli *cli)
{
    static const char *const columns[] = {"delay", "clock", "database", "key", "type",
                                          "bytes", "tries", "refused",  NULL};
    const struct oxbow_bytes only =
        cli->arg_count > 0 ? bytes_of(cli->args[0]) : (struct oxbow_bytes){NULL, 0};
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    struct oxbow_txn *txn;
    struct out *out;
    long long left = cli->opt.count > 0 ? cli->opt.count : 1000;
    bool any = false;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("delay list", err);
    }
    out = out_open(cli->opt.json, false, columns);
    while (left > 0 && (err = oxbow_delay_next(txn, &place, &info)) == OXBOW_OK) {
        if (only.data == NULL ||
            (info.database == (uint32_t)cli->opt.database && info.key.len == only.len &&
             memcmp(info.key.data, only.data, only.len) == 0)) {
            print_row(out, &info);
            any = true;
            left--;
        }
    }
    code = cli_finish(txn, "delay list", err == OXBOW_ENOENT ? OXBOW_OK : err);
    if (code == EXIT_DONE && (any || cli->opt.json)) {
        return out_close(out) ? (any ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
    }
    out_drop(out);
    return code == EXIT_DONE ? EXIT_NOTHING : code;
}

static int run_stat(struct cli *cli)
{
    static const char *const columns[] = {"waiting",  "bytes",   "added",        "damaged",
                                          "clock_ms", "next_ms", "wall_next_ms", NULL};
    struct oxbow_delay_stat stat = {0};
    struct oxbow_time now = {0};
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("delay stat", err);
    }
    err = oxbow_delay_stat(txn, &stat);
    if (err == OXBOW_OK) {
        err = oxbow_time_now(txn, &now);
    }
    code = cli_finish(txn, "delay stat", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, stat.waiting);
    out_size(out, stat.bytes);
    out_number(out, stat.added);
    out_number(out, stat.damaged);
    out_number(out, now.clock_ms);
    if (stat.next) {
        out_number(out, stat.next_ms);
    } else {
        out_none(out);
    }
    if (stat.wall_next) {
        out_number(out, stat.wall_next_ms);
    } else {
        out_none(out);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

#define WHEN_ROWS                                                                                  \
    {"in",        0,                                                                               \
     OPTION_TEXT, offsetof(struct options, in),                                                    \
     "TIME",      "so long from now, by the store's clock: 500ms, 90s, 5m, 2h, 7d"},               \
    {                                                                                              \
        "at", 0, OPTION_TEXT, offsetof(struct options, at), "DATE",                                \
            "when the wall clock shows 2027-01-31T12:00:00Z, or so many ms since 1970"             \
    }

static const struct option_row push_options[] = {
    WHEN_ROWS,
    {"left", 'l', OPTION_FLAG, offsetof(struct options, left), NULL, "at the head (default: tail)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row add_options[] = {
    WHEN_ROWS,
    {"priority", 0, OPTION_INT, offsetof(struct options, priority), "N",
     "that it is added with (default: 0)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row when_options[] = {
    WHEN_ROWS,
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row list_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default 1000)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_delay[] = {
    {"delay push", "KEY VALUE", 2, 2, COMMAND_STORE, "push a value onto a list later", run_push,
     push_options},
    {"delay add", "KEY FIELD VALUE...", 3, SIZE_MAX, COMMAND_STORE,
     "append an entry to a stream later", run_add, add_options},
    {"delay list", "[KEY]", 0, 1, COMMAND_READ, "print what waits to be added", run_list,
     list_options},
    {"delay cancel", "ID", 1, 1, COMMAND_EXIST, "take back what waits", run_cancel, NULL},
    {"delay move", "ID", 1, 1, COMMAND_EXIST, "give what waits another time", run_move,
     when_options},
    {"delay stat", "", 0, 0, COMMAND_READ, "print how much waits, and when the next is due",
     run_stat, NULL},
    {0},
};
