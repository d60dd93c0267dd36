/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on streams. */
#include "oxbow/expire.h"
#include "oxbow/stream.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/entry.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/when.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 1000u

static int run_add(struct cli *cli)
{
    static const char *const columns[] = {"id", NULL};
    struct oxbow_stream_add_options opt = {0};
    struct oxbow_field *fields = NULL;
    uint32_t count = 0;
    struct oxbow_txn *txn;
    struct oxbow_id id;
    struct out *out;
    enum oxbow_err err;
    int code;

    if (cli->opt.id != NULL && !entry_id_mode(cli->opt.id, &opt.id_mode, &opt.id)) {
        return cli_usage(cli, "--id %s: want *, MS-* or MS-SEQ", cli->opt.id);
    }
    if (cli->opt.ttl != NULL &&
        (!when_age(cli->opt.ttl, &opt.ttl_ms) || opt.ttl_ms > OXBOW_TTL_MS_MAX)) {
        return cli_usage(cli, "--ttl %s: want a time like 500ms, 90s, 5m, 2h, 7d, or 0 for none",
                         cli->opt.ttl);
    }
    if (cli->opt.ttl != NULL && opt.ttl_ms == 0) {
        opt.ttl_ms = OXBOW_STREAM_TTL_NONE;
    }
    if (cli->opt.priority < 0 || cli->opt.priority >= (int)OXBOW_PRIORITIES_MAX) {
        return cli_usage(cli, "--priority: want 0 to %u", OXBOW_PRIORITIES_MAX - 1);
    }
    opt.priority = (uint32_t)cli->opt.priority;
    opt.undelayed = cli->opt.now;
    if (cli->opt.maxlen > 0) {
        opt.trim = (struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN,
                                              .maxlen = (uint64_t)cli->opt.maxlen};
    }
    code = cli_fields(cli, "add", &fields, &count);
    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        free(fields);
        return cli_fail("add", err);
    }
    err = oxbow_stream_add(txn, bytes_of(cli->args[0]), &opt, fields, count, &id);
    free(fields);
    code = cli_finish(txn, "add", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_id(out, id);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_read(struct cli *cli)
{
    struct oxbow_stream_range range = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code;

    if ((cli->opt.from != NULL && !entry_id_of(cli->opt.from, 0, &range.from)) ||
        (cli->opt.to != NULL && !entry_id_of(cli->opt.to, UINT64_MAX, &range.to))) {
        return cli_usage(cli, "read: ids are MS or MS-SEQ");
    }
    range.count = cli->opt.count > 0 ? (uint64_t)cli->opt.count : ROWS_DEFAULT;
    range.reverse = cli->opt.reverse != 0;
    range.true_time = cli->opt.true_time != 0;
    err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("read", err);
    }
    err = oxbow_stream_range(txn, bytes_of(cli->args[0]), &range, &result);
    code = cli_finish(txn, "read", err);
    if (code == EXIT_DONE) {
        code = entry_print(cli, &result);
    }
    if (code == EXIT_DONE && cli->opt.count == 0 && result.entry_count == ROWS_DEFAULT) {
        fprintf(stderr, "oxbow: stopped at %u entries; --count N for another limit\n",
                ROWS_DEFAULT);
    }
    oxbow_result_fini(&result);
    return code;
}

/* KEY ID TIME: 0 for no end. */
static int run_expire(struct cli *cli)
{
    struct oxbow_txn *txn;
    struct oxbow_id id;
    uint64_t ttl_ms;
    enum oxbow_err err;

    if (!entry_id_of(cli->args[1], 0, &id)) {
        return cli_usage(cli, "expire: an id is MS or MS-SEQ");
    }
    if (!when_age(cli->args[2], &ttl_ms) || ttl_ms > OXBOW_TTL_MS_MAX) {
        return cli_usage(cli, "expire: %s: want a time like 500ms, 90s, 5m, 2h, 7d, or 0",
                         cli->args[2]);
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("expire", err);
    }
    err = oxbow_stream_expire(txn, bytes_of(cli->args[0]), id, ttl_ms);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    return cli_finish(txn, "expire", err);
}

static const struct option_row add_options[] = {
    {"ttl", 0, OPTION_TEXT, offsetof(struct options, ttl), "TIME",
     "how long it is given to readers: 500ms, 90s, 5m, 2h, 7d"},
    {"priority", 0, OPTION_INT, offsetof(struct options, priority), "N",
     "the higher, the sooner groups are given it (default: 0; queue set KEY priorities=N)"},
    {"id", 0, OPTION_TEXT, offsetof(struct options, id), "ID", "*, MS-* or MS-SEQ (default: *)"},
    {"maxlen", 0, OPTION_COUNT, offsetof(struct options, maxlen), "N",
     "then keep only the newest N entries"},
    {"now", 0, OPTION_FLAG, offsetof(struct options, now), NULL,
     "whatever delay the queue gives entries (queue set KEY default-delay=TIME)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row read_options[] = {
    {"from", 0, OPTION_TEXT, offsetof(struct options, from), "ID", "from this id on (default: -)"},
    {"to", 0, OPTION_TEXT, offsetof(struct options, to), "ID", "up to this id (default: +)"},
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default 1000)"},
    {"reverse", 'r', OPTION_FLAG, offsetof(struct options, reverse), NULL, "newest first"},
    {"true-time", 0, OPTION_FLAG, offsetof(struct options, true_time), NULL,
     "and when each was truly written: ms since 1970, or FROM..TO"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_stream[] = {
    {"add", "KEY FIELD VALUE...", 3, SIZE_MAX, COMMAND_STORE, "append an entry to a stream",
     run_add, add_options},
    {"expire", "KEY ID TIME", 3, 3, COMMAND_EXIST, "give an entry a time to live (0: take it away)",
     run_expire, NULL},
    {"read", "KEY", 1, 1, COMMAND_READ, "print a stream's entries", run_read, read_options},
    {0},
};
