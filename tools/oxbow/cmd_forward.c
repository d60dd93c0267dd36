/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on forwards, kept in the store: they need no link. */
#include "oxbow/forward.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_identity(struct cli *cli)
{
    static const char *const columns[] = {"device", "machine", "owner", NULL};
    struct oxbow_identity id;
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, cli->opt.force ? OXBOW_TXN_FORCE : 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("identity", err);
    }
    if (cli->arg_count > 0) {
        err = oxbow_identity_set(txn, cli->args[0], cli->arg_count > 1 ? cli->args[1] : NULL);
    }
    if (err == OXBOW_EEXIST && oxbow_identity_get(txn, &id) == OXBOW_OK) {
        oxbow_txn_abort(txn);
        fprintf(stderr, "oxbow: identity: this store is %s already (--force gives a new name)\n",
                id.device);
        return EXIT_FAILED;
    }
    if (err == OXBOW_OK) {
        err = oxbow_identity_get(txn, &id);
    }
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        fputs("oxbow: the store has no identity yet: oxbow identity DEVICE\n", stderr);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "identity", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_text(out, id.device);
    out_text(out, id.machine);
    out_text(out, id.owner);
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* "WORD" or "WORD:REST" among the words, whose index it gives; -1: none of them. */
static int word_of(const char *text, const char *const *words, const char **rest)
{
    for (int i = 0; words[i] != NULL; i++) {
        size_t len = strlen(words[i]);

        if (strncmp(text, words[i], len) == 0 && (text[len] == '\0' || text[len] == ':')) {
            *rest = text[len] == ':' ? text + len + 1 : NULL;
            return i;
        }
    }
    return -1;
}

static int parse_select(const struct cli *cli, struct oxbow_forward_options *opt)
{
    static const char *const words[] = {"durable", "acked", NULL};
    const char *rest = NULL;
    int at = cli->opt.select == NULL ? 0 : word_of(cli->opt.select, words, &rest);

    if (at < 0 || (at == OXBOW_SELECT_ACKED) != (rest != NULL)) {
        return cli_usage(cli, "--select %s: durable or acked:GROUP", cli->opt.select);
    }
    opt->select = (enum oxbow_forward_select)at;
    opt->group = bytes_of(rest == NULL ? "" : rest);
    return EXIT_DONE;
}

static int parse_confirm(const struct cli *cli, struct oxbow_forward_options *opt)
{
    static const char *const words[] = {"master", "replicas", "aof", NULL};
    const char *rest = NULL;
    int at = cli->opt.confirm == NULL ? 0 : word_of(cli->opt.confirm, words, &rest);

    if (at < 0 || (at == OXBOW_CONFIRM_MASTER && rest != NULL) ||
        (rest != NULL && strspn(rest, "0123456789") != strlen(rest))) {
        return cli_usage(cli, "--confirm %s: master, replicas:N or aof[:N]", cli->opt.confirm);
    }
    opt->confirm = (enum oxbow_forward_confirm)at;
    opt->replicas = rest == NULL ? 0 : (uint32_t)strtoul(rest, NULL, 10);
    return EXIT_DONE;
}

static int parse_rest(const struct cli *cli, struct oxbow_forward_options *opt)
{
    static const char *const after[] = {"trim", "keep", NULL};
    static const char *const full[] = {"refuse", "drop_oldest", NULL};
    const char *rest = NULL;
    int at = cli->opt.after == NULL ? 0 : word_of(cli->opt.after, after, &rest);

    if (at < 0 || rest != NULL) {
        return cli_usage(cli, "--after %s: trim or keep", cli->opt.after);
    }
    opt->after = (enum oxbow_forward_after)at;
    at = cli->opt.on_full == NULL ? 0 : word_of(cli->opt.on_full, full, &rest);
    if (at < 0 || rest != NULL) {
        return cli_usage(cli, "--on-full %s: refuse or drop_oldest", cli->opt.on_full);
    }
    opt->on_full = (enum oxbow_forward_full)at;
    if (cli->opt.max_bytes < 0 || cli->opt.hold_ms < 0 || cli->opt.hold_ms > UINT32_MAX) {
        return cli_usage(cli, "a number is out of range");
    }
    opt->max_bytes = (uint64_t)cli->opt.max_bytes;
    opt->hold_ms = (uint32_t)cli->opt.hold_ms;
    opt->urgent = cli->opt.urgent != 0;
    opt->true_time = cli->opt.true_time != 0;
    return EXIT_DONE;
}

static int run_add(struct cli *cli)
{
    struct oxbow_forward_options opt = {
        .key = bytes_of(cli->args[1]),
        .type = cli->opt.list ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM,
        .target = bytes_of(cli->opt.target != NULL ? cli->opt.target : "")};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code = parse_select(cli, &opt);

    if (code == EXIT_DONE) {
        code = parse_confirm(cli, &opt);
    }
    if (code == EXIT_DONE) {
        code = parse_rest(cli, &opt);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("forward add", err);
    }
    err = oxbow_forward_create(txn, cli->args[0], &opt);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        fputs("oxbow: forward add: name a --target, or first give the store a name: "
              "oxbow identity DEVICE\n",
              stderr);
        return EXIT_FAILED;
    }
    return cli_finish(txn, "forward add", err);
}

static int run_del(struct cli *cli)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, cli->opt.force ? OXBOW_TXN_FORCE : 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("forward del", err);
    }
    return cli_finish(txn, "forward del", oxbow_forward_remove(txn, cli->args[0]));
}

static void print_age(struct out *out, uint64_t ms)
{
    if (ms == UINT64_MAX) {
        out_none(out);
    } else {
        out_age(out, ms);
    }
}

static enum oxbow_err print_forward(struct oxbow_txn *txn, struct oxbow_bytes item, struct out *out)
{
    struct oxbow_forward_status s;
    struct oxbow_forward *f;
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    enum oxbow_err err = OXBOW_ENOMEM;

    snprintf(name, sizeof name, "%.*s", (int)item.len, (const char *)item.data);
    f = malloc(sizeof *f);
    if (f != NULL) {
        err = oxbow_forward_get(txn, name, f);
    }
    if (err == OXBOW_OK) {
        err = oxbow_forward_status(txn, name, &s);
    }
    if (err == OXBOW_OK) {
        out_text(out, name);
        out_bytes(out, f->options.key);
        out_bytes(out, f->options.target);
        out_id(out, s.sent);
        out_id(out, s.confirmed);
        out_id(out, s.end);
        out_number(out, s.backlog_entries);
        out_size(out, s.backlog_bytes);
        print_age(out, s.oldest_age_ms);
        out_number(out, s.dropped_entries);
        out_number(out, s.gaps);
        out_number(out, s.rewinds);
        if (s.blocked_by.ms == 0 && s.blocked_by.seq == 0) {
            out_none(out);
        } else {
            out_id(out, s.blocked_by);
        }
    }
    free(f);
    return err;
}

static int run_list(struct cli *cli)
{
    static const char *const columns[] = {"forward", "key",     "target",     "sent",   "confirmed",
                                          "end",     "backlog", "bytes",      "oldest", "dropped",
                                          "gaps",    "rewinds", "blocked_by", NULL};
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    struct out *out;
    size_t count;
    enum oxbow_err err;
    int code;

    if (cli->opt.server != NULL) {
        return server_uplink(cli);
    }
    err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("uplink status", err);
    }
    out = out_open(cli->opt.json, !cli->opt.json, columns); /* too wide for a table */
    err = oxbow_forward_list(txn, &names);
    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        err = print_forward(txn, names.items[i], out);
    }
    count = names.item_count;
    oxbow_result_fini(&names);
    code = cli_finish(txn, "uplink status", err);
    if (code == EXIT_DONE && count == 0 && !cli->opt.json) {
        fputs("oxbow: there are no forwards: oxbow forward add NAME KEY\n", stderr);
    }
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static const struct option_row force_options[] = {
    {"force", 0, OPTION_FLAG, offsetof(struct options, force), NULL,
     "although something would be lost or replaced"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row add_options[] = {
    {"target", 0, OPTION_TEXT, offsetof(struct options, target), "KEY",
     "key at the target (default: oxbow:{DEVICE}:KEY)"},
    {"list", 0, OPTION_FLAG, offsetof(struct options, list), NULL,
     "KEY is a list, whose elements are moved (default: a stream)"},
    {"select", 0, OPTION_TEXT, offsetof(struct options, select), "WHAT",
     "durable (default), or acked:GROUP"},
    {"confirm", 0, OPTION_TEXT, offsetof(struct options, confirm), "LEVEL",
     "master (default), replicas:N or aof[:N]"},
    {"after", 0, OPTION_TEXT, offsetof(struct options, after), "WHAT", "trim (default) or keep"},
    {"hold-ms", 0, OPTION_COUNT, offsetof(struct options, hold_ms), "MS",
     "keep what is confirmed so long (default 15 minutes)"},
    {"max-bytes", 0, OPTION_COUNT, offsetof(struct options, max_bytes), "N",
     "budget for what is not confirmed (default: the quota)"},
    {"on-full", 0, OPTION_TEXT, offsetof(struct options, on_full), "WHAT",
     "refuse (default) or drop_oldest"},
    {"urgent", 0, OPTION_FLAG, offsetof(struct options, urgent), NULL, "before all others"},
    {"true-time", 0, OPTION_FLAG, offsetof(struct options, true_time), NULL,
     "entries whose id does not tell when they were written get the field oxbow:time"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_forward[] = {
    {"identity", "[DEVICE [MACHINE]]", 0, 2, COMMAND_STORE | COMMAND_LOOKS,
     "name this device at the target, or print its name", run_identity, force_options},
    {"forward add", "NAME KEY", 2, 2, COMMAND_STORE, "carry a stream or list to the target",
     run_add, add_options},
    {"forward del", "NAME", 1, 1, COMMAND_EXIST, "carry it no more", run_del, force_options},
    {"uplink status", "", 0, 0, COMMAND_READ | COMMAND_ASKS,
     "how far each forward is, and what waits", run_list, ask_options},
    {0},
};
