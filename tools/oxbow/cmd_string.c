/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on strings. */
#include "oxbow/string.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int run_set(struct cli *cli)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("set", err);
    }
    err = oxbow_string_set(txn, bytes_of(cli->args[0]), bytes_of(cli->args[1]));
    return cli_finish(txn, "set", err);
}

static int print_value(const struct cli *cli, struct oxbow_bytes value)
{
    static const char *const columns[] = {"value", NULL};
    struct out *out;

    if (!cli->opt.json) {
        if (value.len > 0) {
            fwrite(value.data, 1, value.len, stdout);
        }
        putchar('\n');
        return EXIT_DONE;
    }
    out = out_open(true, true, columns);
    out_bytes(out, value);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_get(struct cli *cli)
{
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("get", err);
    }
    err = oxbow_string_get(txn, bytes_of(cli->args[0]), &result);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "get", err);
    if (code == EXIT_DONE) {
        code = print_value(cli, result.items[0]);
    }
    oxbow_result_fini(&result);
    return code;
}

static int print_number(const struct cli *cli, int64_t value)
{
    char text[24];
    struct oxbow_bytes bytes = {text, 0};

    bytes.len = (size_t)snprintf(text, sizeof text, "%" PRId64, value);
    return print_value(cli, bytes);
}

static int run_incr(struct cli *cli)
{
    struct oxbow_txn *txn;
    long long by = 1;
    int64_t value = 0;
    char *end;
    enum oxbow_err err;
    int code;

    if (cli->arg_count > 1) {
        errno = 0;
        by = strtoll(cli->args[1], &end, 10);
        if (errno != 0 || end == cli->args[1] || *end != '\0') {
            return cli_usage(cli, "incr: %s: want a whole number", cli->args[1]);
        }
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("incr", err);
    }
    code = cli_finish(txn, "incr", oxbow_string_add(txn, bytes_of(cli->args[0]), by, &value));
    return code == EXIT_DONE ? print_number(cli, value) : code;
}

static int run_append(struct cli *cli)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("append", err);
    }
    err = oxbow_string_append(txn, bytes_of(cli->args[0]), bytes_of(cli->args[1]), NULL);
    return cli_finish(txn, "append", err);
}

const struct command commands_string[] = {
    {"set", "KEY VALUE", 2, 2, COMMAND_STORE, "set a key to a value", run_set, NULL},
    {"get", "KEY", 1, 1, COMMAND_READ, "print a key's value", run_get, NULL},
    {"incr", "KEY [N]", 1, 2, COMMAND_STORE, "add to the number that a key holds, and print it",
     run_incr, NULL},
    {"append", "KEY VALUE", 2, 2, COMMAND_STORE, "append to the value that a key holds", run_append,
     NULL},
    {0},
};
