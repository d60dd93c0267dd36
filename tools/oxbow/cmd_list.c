/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on lists. */
#include "oxbow/list.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define LINES_A_TXN 256u

static int print_number(const struct cli *cli, const char *name, uint64_t value)
{
    const char *const columns[] = {name, NULL};
    struct out *out = out_open(cli->opt.json, true, columns);

    out_number(out, value);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int print_items(const struct cli *cli, const struct oxbow_result *result)
{
    static const char *const columns[] = {"value", NULL};
    struct out *out;

    if (cli->opt.json) {
        out = out_open(true, false, columns);
        for (size_t i = 0; i < result->item_count; i++) {
            out_bytes(out, result->items[i]);
        }
        return out_close(out) ? EXIT_DONE : EXIT_FAILED;
    }
    for (size_t i = 0; i < result->item_count; i++) {
        if (result->items[i].len > 0) {
            fwrite(result->items[i].data, 1, result->items[i].len, stdout);
        }
        putchar('\n');
    }
    return EXIT_DONE;
}

static enum oxbow_err push_values(struct cli *cli, struct oxbow_txn *txn,
                                  const struct oxbow_bytes *values, size_t count, uint64_t *len)
{
    enum oxbow_end end = cli->opt.left ? OXBOW_LEFT : OXBOW_RIGHT;
    struct oxbow_bytes key = bytes_of(cli->args[0]);

    return cli->opt.existing ? oxbow_list_push_existing(txn, key, end, values, count, len)
                             : oxbow_list_push(txn, key, end, values, count, len);
}

static int push_batch(struct cli *cli, const struct oxbow_bytes *values, size_t count,
                      uint64_t *len)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("push", err);
    }
    return cli_finish(txn, "push", push_values(cli, txn, values, count, len));
}

/* Lines of standard input, so many to a transaction: what was acknowledged is whole batches. */
static int push_lines(struct cli *cli)
{
    struct oxbow_bytes values[LINES_A_TXN];
    char *copies[LINES_A_TXN];
    char *line = NULL;
    size_t cap = 0;
    size_t count = 0;
    uint64_t len = 0;
    int code = EXIT_DONE;
    ssize_t n;

    while (code == EXIT_DONE && (n = getline(&line, &cap, stdin)) >= 0) {
        size_t bytes = (size_t)n - (n > 0 && line[n - 1] == '\n');
        char *copy = malloc(bytes + 1);

        if (copy == NULL) {
            code = cli_fail("push", OXBOW_ENOMEM);
            break;
        }
        memcpy(copy, line, bytes);
        copies[count] = copy;
        values[count++] = (struct oxbow_bytes){copy, bytes};
        if (count == LINES_A_TXN) {
            code = push_batch(cli, values, count, &len);
            while (count > 0) {
                free(copies[--count]);
            }
        }
    }
    if (code == EXIT_DONE && count > 0) {
        code = push_batch(cli, values, count, &len);
    }
    while (count > 0) {
        free(copies[--count]);
    }
    free(line);
    return code == EXIT_DONE ? print_number(cli, "length", len) : code;
}

static int run_push(struct cli *cli)
{
    struct oxbow_bytes *values;
    uint64_t len = 0;
    int code;

    if (cli->opt.stdin_lines) {
        return cli->arg_count == 1 ? push_lines(cli)
                                   : cli_usage(cli, "push: values or --stdin, not both");
    }
    if (cli->arg_count < 2) {
        return cli_usage(cli, "push: no values (give some, or --stdin)");
    }
    values = calloc(cli->arg_count, sizeof *values);
    if (values == NULL) {
        return cli_fail("push", OXBOW_ENOMEM);
    }
    for (size_t i = 1; i < cli->arg_count; i++) {
        values[i - 1] = bytes_of(cli->args[i]);
    }
    code = push_batch(cli, values, cli->arg_count - 1, &len);
    free(values);
    return code == EXIT_DONE ? print_number(cli, "length", len) : code;
}

static int run_pop(struct cli *cli)
{
    size_t count = cli->opt.count > 0 ? (size_t)cli->opt.count : 1;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("pop", err);
    }
    err = oxbow_list_pop(txn, bytes_of(cli->args[0]), cli->opt.right ? OXBOW_RIGHT : OXBOW_LEFT,
                         count, &result);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "pop", err);
    if (code == EXIT_DONE) {
        code = result.item_count > 0 ? print_items(cli, &result) : EXIT_NOTHING;
    }
    oxbow_result_fini(&result);
    return code;
}

static bool number_of(const char *text, int64_t *out)
{
    char *end;
    long long v = strtoll(text, &end, 10);

    *out = v;
    return *text != '\0' && *end == '\0';
}

static int run_range(struct cli *cli)
{
    int64_t start = 0;
    int64_t stop = -1;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code;

    if ((cli->arg_count > 1 && !number_of(cli->args[1], &start)) ||
        (cli->arg_count > 2 && !number_of(cli->args[2], &stop))) {
        return cli_usage(cli, "range: START and STOP are numbers (negative: from the end)");
    }
    err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("range", err);
    }
    err = oxbow_list_range(txn, bytes_of(cli->args[0]), start, stop, &result);
    code = cli_finish(txn, "range", err);
    if (code == EXIT_DONE) {
        code = result.item_count > 0 ? print_items(cli, &result) : EXIT_NOTHING;
    }
    oxbow_result_fini(&result);
    return code;
}

static int run_len(struct cli *cli)
{
    struct oxbow_txn *txn;
    uint64_t len = 0;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("len", err);
    }
    code = cli_finish(txn, "len", oxbow_list_len(txn, bytes_of(cli->args[0]), &len));
    return code == EXIT_DONE ? print_number(cli, "length", len) : code;
}

static const struct option_row push_options[] = {
    {"left", 'l', OPTION_FLAG, offsetof(struct options, left), NULL, "at the head (default: tail)"},
    {"existing", 'x', OPTION_FLAG, offsetof(struct options, existing), NULL,
     "only if the list is there"},
    {"stdin", 0, OPTION_FLAG, offsetof(struct options, stdin_lines), NULL,
     "one value a line from standard input"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row pop_options[] = {
    {"right", 'r', OPTION_FLAG, offsetof(struct options, right), NULL,
     "at the tail (default: head)"},
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default 1)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_list[] = {
    {"push", "KEY [VALUE...]", 1, SIZE_MAX, COMMAND_STORE, "append values to a list", run_push,
     push_options},
    {"pop", "KEY", 1, 1, COMMAND_EXIST, "take values from a list and print them", run_pop,
     pop_options},
    {"range", "KEY [START [STOP]]", 1, 3, COMMAND_READ, "print a list's values", run_range, NULL},
    {"len", "KEY", 1, 1, COMMAND_READ, "print a list's length", run_len, NULL},
    {0},
};
