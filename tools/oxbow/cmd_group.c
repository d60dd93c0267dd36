/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on consumer groups. */
#include "oxbow/group.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/entry.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define READ_DEFAULT    10u
#define PENDING_DEFAULT 100u

static struct oxbow_group group_of(const struct cli *cli)
{
    return (struct oxbow_group){bytes_of(cli->args[0]), bytes_of(cli->args[1])};
}

static int print_count(const struct cli *cli, const char *name, uint64_t n)
{
    const char *const columns[] = {name, NULL};
    struct out *out = out_open(cli->opt.json, true, columns);

    out_number(out, n);
    return out_close(out) ? (n > 0 ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
}

static int run_create(struct cli *cli)
{
    struct oxbow_group_create_options opt = {.at_end = cli->opt.at_end != 0,
                                             .make_stream = cli->opt.make_stream != 0};
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (cli->opt.from != NULL && !entry_id_of(cli->opt.from, 0, &opt.id)) {
        return cli_usage(cli, "--from %s: want MS or MS-SEQ", cli->opt.from);
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("group create", err);
    }
    return cli_finish(txn, "group create", oxbow_group_create(txn, group_of(cli), &opt));
}

static int run_destroy(struct cli *cli)
{
    struct oxbow_txn *txn;
    bool existed = false;
    enum oxbow_err err = cli_begin(cli, 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("group destroy", err);
    }
    code = cli_finish(txn, "group destroy", oxbow_group_destroy(txn, group_of(cli), &existed));
    return code == EXIT_DONE ? print_count(cli, "destroyed", existed) : code;
}

static int run_read(struct cli *cli)
{
    struct oxbow_group_read_options opt = {
        .count = READ_DEFAULT, .noack = cli->opt.noack != 0, .history = cli->opt.history != 0};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code;

    if (cli->opt.count > 0) {
        opt.count = (uint64_t)cli->opt.count;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("group read", err);
    }
    err = oxbow_group_read(txn, group_of(cli), bytes_of(cli->args[2]), &opt, &result);
    code = cli_finish(txn, "group read", err);
    if (code == EXIT_DONE) {
        code = entry_print(cli, &result);
    }
    oxbow_result_fini(&result);
    return code;
}

static int run_ack(struct cli *cli)
{
    size_t count = cli->arg_count - 2;
    struct oxbow_id *ids = calloc(count, sizeof *ids);
    struct oxbow_txn *txn;
    uint64_t acked = 0;
    enum oxbow_err err;
    int code;

    if (ids == NULL) {
        return cli_fail("group ack", OXBOW_ENOMEM);
    }
    for (size_t i = 0; i < count; i++) {
        if (!entry_id_of(cli->args[i + 2], 0, &ids[i])) {
            free(ids);
            return cli_usage(cli, "%s: want MS-SEQ", cli->args[i + 2]);
        }
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        free(ids);
        return cli_fail("group ack", err);
    }
    code = cli_finish(txn, "group ack", oxbow_group_ack(txn, group_of(cli), ids, count, &acked));
    free(ids);
    return code == EXIT_DONE ? print_count(cli, "acked", acked) : code;
}

static int print_pending(const struct cli *cli, const struct oxbow_pending *rows, size_t count)
{
    static const char *const columns[] = {"id", "consumer", "idle", "deliveries", NULL};
    struct out *out = out_open(cli->opt.json, false, columns);

    for (size_t i = 0; i < count; i++) {
        out_id(out, rows[i].id);
        out_bytes(out, rows[i].consumer);
        out_age(out, rows[i].idle_ms);
        out_number(out, rows[i].deliveries);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_pending(struct cli *cli)
{
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = PENDING_DEFAULT};
    struct oxbow_result names = {0};
    struct oxbow_pending *rows;
    struct oxbow_txn *txn;
    size_t count = 0;
    enum oxbow_err err;
    int code;

    filter.count = cli->opt.count > 0 ? (uint64_t)cli->opt.count : filter.count;
    filter.min_idle_ms = (uint64_t)cli->opt.idle_ms;
    if (cli->opt.consumer != NULL) {
        filter.has_consumer = true;
        filter.consumer = bytes_of(cli->opt.consumer);
    }
    rows = calloc(filter.count, sizeof *rows);
    err = rows == NULL ? OXBOW_ENOMEM : cli_begin(cli, OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        free(rows);
        return cli_fail("group pending", err);
    }
    err = oxbow_group_pending(txn, group_of(cli), &filter, &names, rows, &count);
    code = cli_finish(txn, "group pending", err);
    if (code == EXIT_DONE) {
        code = count > 0 || cli->opt.json ? print_pending(cli, rows, count) : EXIT_NOTHING;
    }
    oxbow_result_fini(&names);
    free(rows);
    return code;
}

static enum oxbow_err group_rows(struct cli *cli, struct oxbow_txn *txn,
                                 const struct oxbow_result *names, struct out *out)
{
    for (size_t i = 0; i < names->item_count; i++) {
        const struct oxbow_group group = {bytes_of(cli->args[0]), names->items[i]};
        struct oxbow_group_info info;
        enum oxbow_err err = oxbow_group_info(txn, group, &info);

        if (err != OXBOW_OK) {
            return err;
        }
        out_bytes(out, names->items[i]);
        out_number(out, info.consumers);
        out_number(out, info.pending);
        out_id(out, info.last_id);
        if (info.has_lag) {
            out_signed(out, info.lag);
        } else {
            out_none(out);
        }
    }
    return OXBOW_OK;
}

static int run_list(struct cli *cli)
{
    static const char *const columns[] = {"group", "consumers", "pending", "last_id", "lag", NULL};
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("group list", err);
    }
    out = out_open(cli->opt.json, false, columns);
    err = oxbow_group_list(txn, bytes_of(cli->args[0]), &names);
    if (err == OXBOW_OK) {
        err = group_rows(cli, txn, &names, out);
    }
    oxbow_result_fini(&names);
    code = cli_finish(txn, "group list", err);
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static const struct option_row create_options[] = {
    {"from", 0, OPTION_TEXT, offsetof(struct options, from), "ID",
     "entries after this id are new (default: 0, all)"},
    {"at-end", 0, OPTION_FLAG, offsetof(struct options, at_end), NULL,
     "only entries added from now on are new"},
    {"make-stream", 0, OPTION_FLAG, offsetof(struct options, make_stream), NULL,
     "make the stream if it is not there"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row read_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default 10)"},
    {"noack", 0, OPTION_FLAG, offsetof(struct options, noack), NULL, "do not make them pending"},
    {"history", 0, OPTION_FLAG, offsetof(struct options, history), NULL,
     "what is pending for this consumer, instead of new entries"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row pending_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default 100)"},
    {"idle-ms", 0, OPTION_COUNT, offsetof(struct options, idle_ms), "MS",
     "only what has been idle for so long"},
    {"consumer", 0, OPTION_TEXT, offsetof(struct options, consumer), "NAME", "of this one alone"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_group[] = {
    {"group create", "KEY GROUP", 2, 2, COMMAND_STORE, "make a consumer group", run_create,
     create_options},
    {"group destroy", "KEY GROUP", 2, 2, COMMAND_EXIST, "remove a consumer group", run_destroy,
     NULL},
    {"group list", "KEY", 1, 1, COMMAND_READ, "list a stream's groups", run_list, NULL},
    {"group read", "KEY GROUP CONSUMER", 3, 3, COMMAND_EXIST,
     "read entries for a consumer; they stay pending until acked", run_read, read_options},
    {"group ack", "KEY GROUP ID...", 3, SIZE_MAX, COMMAND_EXIST, "ack entries", run_ack, NULL},
    {"group pending", "KEY GROUP", 2, 2, COMMAND_READ, "list entries that wait for an ack",
     run_pending, pending_options},
    {0},
};
