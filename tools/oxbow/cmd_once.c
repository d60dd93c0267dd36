/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands of idempotent producers: what is added twice under one name is there once. */
#include "oxbow/once.h"
#include "oxbow/stream.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static int once_of(const struct cli *cli, struct oxbow_once *once)
{
    if ((cli->opt.id == NULL) == (cli->opt.producer == NULL) ||
        (cli->opt.producer != NULL) != (cli->opt.sequence > 0)) {
        return cli_usage(cli, "%s: name it with --id, or with --producer and --sequence",
                         cli->command->name);
    }
    *once = (struct oxbow_once){.sequence = (uint64_t)cli->opt.sequence};
    if (cli->opt.id != NULL) {
        once->id = bytes_of(cli->opt.id);
    } else {
        once->producer = bytes_of(cli->opt.producer);
    }
    return EXIT_DONE;
}

static int print_outcome(const struct cli *cli, const struct oxbow_once_outcome *outcome)
{
    static const char *const columns[] = {"duplicate", "id", NULL};
    struct out *out = out_open(cli->opt.json, true, columns);

    out_text(out, outcome->duplicate ? "yes" : "no");
    if (outcome->id.ms != 0 || outcome->id.seq != 0) {
        out_id(out, outcome->id);
    } else {
        out_none(out);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_push(struct cli *cli)
{
    const enum oxbow_end end = cli->opt.left != 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    struct oxbow_once_outcome outcome = {0};
    struct oxbow_once once;
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = once_of(cli, &once);

    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("once push", err);
    }
    err =
        oxbow_once_push(txn, bytes_of(cli->args[0]), end, &once, bytes_of(cli->args[1]), &outcome);
    code = cli_finish(txn, "once push", err);
    return code == EXIT_DONE ? print_outcome(cli, &outcome) : code;
}

static int run_add(struct cli *cli)
{
    struct oxbow_once_outcome outcome = {0};
    uint32_t count = 0;
    struct oxbow_field *fields = NULL;
    struct oxbow_once once;
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = once_of(cli, &once);

    if (code != EXIT_DONE) {
        return code;
    }
    if (cli->opt.priority < 0 || cli->opt.priority >= (int)OXBOW_PRIORITIES_MAX) {
        return cli_usage(cli, "--priority: want 0 to %u", OXBOW_PRIORITIES_MAX - 1);
    }
    once.priority = (uint32_t)cli->opt.priority;
    code = cli_fields(cli, "once add", &fields, &count);
    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        free(fields);
        return cli_fail("once add", err);
    }
    err = oxbow_once_add(txn, bytes_of(cli->args[0]), &once, fields, count, &outcome);
    free(fields);
    code = cli_finish(txn, "once add", err);
    return code == EXIT_DONE ? print_outcome(cli, &outcome) : code;
}

static int run_sequence(struct cli *cli)
{
    static const char *const columns[] = {"sequence", NULL};
    struct oxbow_txn *txn;
    uint64_t sequence = 0;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("once sequence", err);
    }
    err = oxbow_once_sequence(txn, bytes_of(cli->args[0]), bytes_of(cli->args[1]), &sequence);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "once sequence", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, sequence);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_forget(struct cli *cli)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("once forget", err);
    }
    err = oxbow_once_forget(txn, bytes_of(cli->args[0]), bytes_of(cli->args[1]));
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    return cli_finish(txn, "once forget", err);
}

#define ONCE_ROWS                                                                                  \
    {"id",                                                                                         \
     0,                                                                                            \
     OPTION_TEXT,                                                                                  \
     offsetof(struct options, id),                                                                 \
     "ID",                                                                                         \
     "bytes that name the entry, remembered for a while (oxbow queue: dedupe, dedupe-count)"},     \
        {"producer",  0,                                                                           \
         OPTION_TEXT, offsetof(struct options, producer),                                          \
         "NAME",      "who adds it; its last sequence is remembered for ever"},                    \
    {                                                                                              \
        "sequence", 0, OPTION_COUNT, offsetof(struct options, sequence), "N",                      \
            "the producer's number of it, growing, from 1 on"                                      \
    }

static const struct option_row push_options[] = {
    ONCE_ROWS,
    {"left", 'l', OPTION_FLAG, offsetof(struct options, left), NULL, "at the head (default: tail)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row add_options[] = {
    ONCE_ROWS,
    {"priority", 0, OPTION_INT, offsetof(struct options, priority), "N",
     "the higher, the sooner groups are given it (default: 0; queue set KEY priorities=N)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_once[] = {
    {"once push", "KEY VALUE", 2, 2, COMMAND_STORE, "push a value unless that was done already",
     run_push, push_options},
    {"once add", "KEY FIELD VALUE...", 3, SIZE_MAX, COMMAND_STORE,
     "append an entry unless that was done already", run_add, add_options},
    {"once sequence", "KEY PRODUCER", 2, 2, COMMAND_READ, "print a producer's last sequence",
     run_sequence, NULL},
    {"once forget", "KEY PRODUCER", 2, 2, COMMAND_EXIST, "forget a producer", run_forget, NULL},
    {0},
};
