/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on time: what the clocks show, when entries were truly written. */
#include "oxbow/stream.h"
#include "oxbow/time.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/entry.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>

#define ROWS_DEFAULT 1000u

static int print_clocks(struct cli *cli)
{
    static const char *const columns[] = {"clock_ms", "boot",     "uptime_ms", "wall_ms",
                                          "wall_set", "believed", NULL};
    struct oxbow_time now;
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("time", err);
    }
    code = cli_finish(txn, "time", oxbow_time_now(txn, &now));
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, now.clock_ms);
    out_number(out, now.boot);
    out_number(out, now.uptime_ms);
    out_number(out, now.wall_ms);
    out_text(out, now.wall_set ? "yes" : "no");
    out_text(out, now.wall_believed ? "yes" : "no");
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static void bound(struct out *out, uint64_t ms)
{
    if (ms == 0 || ms == UINT64_MAX) {
        out_none(out);
    } else {
        out_number(out, ms);
    }
}

static enum oxbow_err true_times(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_result *result, struct out *out)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < result->entry_count; i++) {
        struct oxbow_true_time t;

        err = oxbow_stream_true_time(txn, key, result->entries[i].id, &t);
        if (err == OXBOW_OK) {
            out_id(out, result->entries[i].id);
            out_text(out, t.known ? "yes" : "no");
            bound(out, t.from_ms);
            bound(out, t.to_ms);
        }
    }
    return err;
}

static int run_time(struct cli *cli)
{
    static const char *const columns[] = {"id", "known", "from_ms", "to_ms", NULL};
    struct oxbow_stream_range range = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err;
    int code;

    if (cli->arg_count == 0) {
        return print_clocks(cli);
    }
    if (cli->arg_count == 2) {
        if (!entry_id_of(cli->args[1], 0, &range.from) ||
            !entry_id_of(cli->args[1], UINT64_MAX, &range.to)) {
            return cli_usage(cli, "time: an id is MS or MS-SEQ");
        }
    }
    range.count = cli->opt.count > 0 ? (uint64_t)cli->opt.count : ROWS_DEFAULT;
    range.reverse = cli->opt.reverse != 0;
    err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("time", err);
    }
    out = out_open(cli->opt.json, false, columns);
    err = oxbow_stream_range(txn, bytes_of(cli->args[0]), &range, &result);
    if (err == OXBOW_OK) {
        err = true_times(txn, bytes_of(cli->args[0]), &result, out);
    }
    code = cli_finish(txn, "time", err);
    if (code != EXIT_DONE || (result.entry_count == 0 && !cli->opt.json)) {
        code = code != EXIT_DONE ? code : EXIT_NOTHING;
        out_drop(out);
    } else if (!out_close(out)) {
        code = EXIT_FAILED;
    }
    oxbow_result_fini(&result);
    return code;
}

static const struct option_row time_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many entries (default 1000)"},
    {"reverse", 'r', OPTION_FLAG, offsetof(struct options, reverse), NULL, "newest first"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_time[] = {
    {"time", "[KEY [ID]]", 0, 2, COMMAND_READ,
     "print the store's clocks, or when a stream's entries were truly written", run_time,
     time_options},
    {0},
};
