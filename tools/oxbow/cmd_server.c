/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands that ask a running oxbowd: ping, and what stat and uplink status say with --server. */
#include "tools/oxbow/command.h"
#include "tools/oxbow/daemon.h"
#include "tools/oxbow/out.h"

#include <stdio.h>
#include <time.h>

#define FORWARD_NAME_MAX 128

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* that clock is always there */
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- what INFO says, as rows ---- */

enum info_kind { INFO_TEXT, INFO_NUMBER, INFO_SIZE, INFO_S, INFO_MS, INFO_US, INFO_FLAG };

/* A column, and where its value comes from. */
struct info_row {
    const char *column;
    const char *name;
    enum info_kind kind;
};

static void cell(struct out *out, enum info_kind kind, bool there, struct oxbow_bytes value)
{
    uint64_t n = there ? info_count(value) : 0;

    if (!there) {
        out_none(out);
        return;
    }
    switch (kind) {
    case INFO_TEXT:
        out_bytes(out, value);
        break;
    case INFO_NUMBER:
        out_number(out, n);
        break;
    case INFO_SIZE:
        out_size(out, n);
        break;
    case INFO_S:
        out_age(out, n < UINT64_MAX / 1000 ? n * 1000 : n);
        break;
    case INFO_MS:
        out_age(out, n);
        break;
    case INFO_US:
        out_age(out, n / 1000);
        break;
    case INFO_FLAG:
        out_text(out, n != 0 ? "yes" : "no");
        break;
    }
}

/* `columns` has room for them all, `before` that are there already, and the closing NULL. */
static void columns_of(const struct info_row *rows, const char **columns, size_t before)
{
    size_t n = before;

    for (; rows->column != NULL; rows++) {
        columns[n++] = rows->column;
    }
    columns[n] = NULL;
}

static void cells_of(const struct info_row *rows, struct oxbow_bytes info, struct out *out)
{
    for (; rows->column != NULL; rows++) {
        struct oxbow_bytes value = {"", 0};
        bool there = info_find(info, rows->name, &value);

        cell(out, rows->kind, there, value);
    }
}

/* ---- ping ---- */

static const struct info_row ping_rows[] = {
    {"process", "process_id", INFO_NUMBER},
    {"uptime", "uptime_in_seconds", INFO_S},
    {"serves", "redis_version", INFO_TEXT},
    {NULL, NULL, INFO_TEXT},
};

static int run_ping(struct cli *cli)
{
    static const char *const words[] = {"PING", NULL};
    const char *columns[OUT_COLUMNS_MAX] = {"server", "round_trip_us"};
    struct oxbow_bytes info;
    struct daemon_answer answer;
    struct daemon *d;
    struct out *out;
    uint64_t began;
    uint64_t us = 0;
    int code = daemon_open(cli, "ping", &d);

    if (code != EXIT_DONE) {
        return code;
    }
    began = now_us();
    code = daemon_ask(d, words, &answer);
    us = now_us() - began;
    if (code == EXIT_DONE) {
        code = daemon_info(d, "server", &info);
    }
    if (code == EXIT_DONE) {
        columns_of(ping_rows, columns, 2);
        out = out_open(cli->opt.json, true, columns);
        out_text(out, daemon_where(d));
        out_number(out, us);
        cells_of(ping_rows, info, out);
        code = out_close(out) ? EXIT_DONE : EXIT_FAILED;
    }
    daemon_close(d);
    return code;
}

/* ---- stat --server ---- */

static const struct info_row stat_rows[] = {
    {"process", "process_id", INFO_NUMBER},
    {"uptime", "uptime_in_seconds", INFO_S},
    {"clients", "connected_clients", INFO_NUMBER},
    {"blocked_clients", "blocked_clients", INFO_NUMBER},
    {"commands", "total_commands_processed", INFO_NUMBER},
    {"store", "store_id", INFO_TEXT},
    {"policy", "store_sync", INFO_TEXT},
    {"interval_ms", "store_sync_interval_ms", INFO_NUMBER},
    {"lsn_applied", "store_lsn_applied", INFO_NUMBER},
    {"lsn_durable", "store_lsn_durable", INFO_NUMBER},
    {"oldest_unsynced", "store_unsynced_us", INFO_US},
    {"used", "store_used_bytes", INFO_SIZE},
    {"quota", "store_quota_bytes", INFO_SIZE},
    {"file", "store_file_bytes", INFO_SIZE},
    {"free", "store_free_bytes", INFO_SIZE},
    {"disk_max", "store_disk_bytes_max", INFO_SIZE},
    {"memtable", "used_memory", INFO_SIZE},
    {"checkpoints", "store_checkpoints", INFO_NUMBER},
    {"journal_syncs", "store_journal_syncs", INFO_NUMBER},
    {"values_bad", "store_values_bad", INFO_NUMBER},
    {"losses", "store_losses", INFO_NUMBER},
    {"written", "store_written_bytes", INFO_SIZE},
    {"payload", "store_payload_bytes", INFO_SIZE},
    {"in_memory", "store_in_memory", INFO_FLAG},
    {"uplink", "uplink_state", INFO_TEXT},
    {NULL, NULL, INFO_TEXT},
};

/* Of all databases. */
static uint64_t keys_of(struct oxbow_bytes info)
{
    struct oxbow_bytes name;
    struct oxbow_bytes value;
    struct oxbow_bytes part;
    uint64_t keys = 0;
    size_t pos = 0;

    while (info_next(info, "db", &pos, &name, &value)) {
        keys += info_part(value, "keys", &part) ? info_count(part) : 0;
    }
    return keys;
}

static uint64_t backlog_of(struct oxbow_bytes info)
{
    struct oxbow_bytes name;
    struct oxbow_bytes value;
    struct oxbow_bytes part;
    uint64_t entries = 0;
    size_t pos = 0;

    while (info_next(info, "forward_", &pos, &name, &value)) {
        entries += info_part(value, "backlog", &part) ? info_count(part) : 0;
    }
    return entries;
}

int server_stat(struct cli *cli)
{
    const char *columns[OUT_COLUMNS_MAX] = {"server", "keys", "backlog"};
    struct oxbow_bytes info;
    struct daemon *d;
    struct out *out;
    int code = daemon_open(cli, "stat", &d);

    if (code != EXIT_DONE) {
        return code;
    }
    code = daemon_info(d, NULL, &info);
    if (code == EXIT_DONE) {
        columns_of(stat_rows, columns, 3);
        out = out_open(cli->opt.json, true, columns);
        out_text(out, daemon_where(d));
        out_number(out, keys_of(info));
        out_number(out, backlog_of(info));
        cells_of(stat_rows, info, out);
        code = out_close(out) ? EXIT_DONE : EXIT_FAILED;
    }
    daemon_close(d);
    return code;
}

/* ---- uplink status --server ---- */

static const struct info_row session_rows[] = {
    {"state", "uplink_state", INFO_TEXT},
    {"paused", "uplink_paused", INFO_FLAG},
    {"target", "uplink_target", INFO_TEXT},
    {"connection", "uplink_connection", INFO_TEXT},
    {"target_version", "uplink_target_version", INFO_TEXT},
    {"trouble", "uplink_trouble", INFO_TEXT},
    {"trouble_text", "uplink_trouble_text", INFO_TEXT},
    {"trouble_age", "uplink_trouble_age_ms", INFO_MS},
    {"connected", "uplink_connected_ms", INFO_MS},
    {"next_try", "uplink_next_try_ms", INFO_MS},
    {"round_trip_us", "uplink_rtt_us", INFO_NUMBER},
    {"rate", "uplink_rate_bytes_s", INFO_SIZE},
    {"under_way", "uplink_inflight_bytes", INFO_SIZE},
    {"connects", "uplink_connects", INFO_NUMBER},
    {"batches", "uplink_batches", INFO_NUMBER},
    {"entries", "uplink_entries", INFO_NUMBER},
    {"bytes_out", "uplink_out_bytes", INFO_SIZE},
    {"bytes_in", "uplink_in_bytes", INFO_SIZE},
    {"lost_replies", "uplink_lost_replies", INFO_NUMBER},
    {"rewinds", "uplink_rewinds", INFO_NUMBER},
    {"gaps", "uplink_gaps", INFO_NUMBER},
    {NULL, NULL, INFO_TEXT},
};

static const struct info_row forward_rows[] = {
    {"state", "state", INFO_TEXT},
    {"paused", "paused", INFO_FLAG},
    {"trouble", "trouble", INFO_TEXT},
    {"backlog", "backlog", INFO_NUMBER},
    {"bytes", "backlog_bytes", INFO_SIZE},
    {"unsent", "unsent", INFO_NUMBER},
    {"sent", "sent", INFO_TEXT},
    {"confirmed", "confirmed", INFO_TEXT},
    {"end", "end", INFO_TEXT},
    {"dropped", "dropped", INFO_NUMBER},
    {"gaps", "gaps", INFO_NUMBER},
    {"rewinds", "rewinds", INFO_NUMBER},
    {NULL, NULL, INFO_TEXT},
};

/* A row for each forward; *count of them. */
static struct out *forwards_of(const struct cli *cli, struct oxbow_bytes info, size_t *count)
{
    static const char *columns[OUT_COLUMNS_MAX] = {"forward"};
    struct out *out;
    struct oxbow_bytes name;
    struct oxbow_bytes value;
    size_t pos = 0;

    columns_of(forward_rows, columns, 1);
    out = out_open(cli->opt.json, false, columns);
    for (*count = 0; info_next(info, "forward_", &pos, &name, &value); ++*count) {
        out_bytes(out, name);
        for (const struct info_row *r = forward_rows; r->column != NULL; r++) {
            struct oxbow_bytes part = {"", 0};
            bool there = info_part(value, r->name, &part);

            cell(out, r->kind, there, part);
        }
    }
    return out;
}

static int print_uplink(const struct cli *cli, const struct daemon *d, struct oxbow_bytes info)
{
    const char *columns[OUT_COLUMNS_MAX] = {"server", cli->opt.json ? "forwards" : NULL};
    size_t count = 0;
    struct out *forwards = forwards_of(cli, info, &count);
    struct out *out;
    bool ok;

    columns_of(session_rows, columns, cli->opt.json ? 2 : 1);
    out = out_open(cli->opt.json, true, columns);
    out_text(out, daemon_where(d));
    if (cli->opt.json) {
        out_table(out, forwards);
        cells_of(session_rows, info, out);
        return out_close(out) ? EXIT_DONE : EXIT_FAILED;
    }
    cells_of(session_rows, info, out);
    ok = out_close(out);
    if (count == 0) {
        out_drop(forwards);
        fputs("oxbow: there are no forwards: OXBOW FORWARD ADD, or uplink-forward in the "
              "configuration\n",
              stderr);
        return ok ? EXIT_DONE : EXIT_FAILED;
    }
    putchar('\n');
    return out_close(forwards) && ok ? EXIT_DONE : EXIT_FAILED;
}

int server_uplink(struct cli *cli)
{
    struct oxbow_bytes info;
    struct daemon *d;
    int code = daemon_open(cli, "uplink status", &d);

    if (code == EXIT_DONE) {
        code = daemon_info(d, "uplink", &info);
        if (code == EXIT_DONE) {
            code = print_uplink(cli, d, info);
        }
        daemon_close(d);
    }
    return code;
}

const struct option_row ask_options[] = {
    DAEMON_OPTIONS("ask the oxbowd at HOST:PORT or a socket's path, instead of opening the store"),
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row ping_options[] = {
    DAEMON_OPTIONS(DAEMON_SERVER_HELP),
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_server[] = {
    {"ping", "", 0, 0, 0, "ask a running oxbowd whether it is there", run_ping, ping_options},
    {0},
};
