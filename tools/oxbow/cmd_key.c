/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on keys that expire, of whatever type. */
#include "oxbow/key.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/when.h"

static int run_expire(struct cli *cli)
{
    enum oxbow_expire_done done = OXBOW_EXPIRE_NOT;
    struct oxbow_txn *txn;
    uint64_t ms;
    enum oxbow_err err;
    int code;

    if (!when_age(cli->args[1], &ms) || ms > INT64_MAX) {
        return cli_usage(cli, "key expire: %s: want a time like 500ms, 90s, 5m, 2h, 7d",
                         cli->args[1]);
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("key expire", err);
    }
    err = oxbow_key_expire(txn, bytes_of(cli->args[0]), (int64_t)ms, 0, &done);
    code = cli_finish(txn, "key expire", err);
    return code == EXIT_DONE && done == OXBOW_EXPIRE_NOT ? EXIT_NOTHING : code;
}

static int run_persist(struct cli *cli)
{
    struct oxbow_txn *txn;
    bool had = false;
    enum oxbow_err err = cli_begin(cli, 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("key persist", err);
    }
    code = cli_finish(txn, "key persist", oxbow_key_persist(txn, bytes_of(cli->args[0]), &had));
    return code == EXIT_DONE && !had ? EXIT_NOTHING : code;
}

static int run_ttl(struct cli *cli)
{
    static const char *const columns[] = {"left_ms", NULL};
    struct oxbow_txn *txn;
    struct out *out;
    uint64_t left_ms = 0;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("key ttl", err);
    }
    err = oxbow_key_ttl(txn, bytes_of(cli->args[0]), &left_ms);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "key ttl", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    if (left_ms == UINT64_MAX) {
        out_none(out);
    } else {
        out_number(out, left_ms);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

const struct command commands_key[] = {
    {"key expire", "KEY TIME", 2, 2, COMMAND_EXIST, "let a key go after a time; 0: at once",
     run_expire, NULL},
    {"key persist", "KEY", 1, 1, COMMAND_EXIST, "take a key's time to live away", run_persist,
     NULL},
    {"key ttl", "KEY", 1, 1, COMMAND_READ, "print how long a key still has, in ms", run_ttl, NULL},
    {0},
};
