/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands on groups that survive bad consumers: options, negative acks, dead letters.
 */
#include "oxbow/group_options.h"
#include "oxbow/patrol.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/entry.h"
#include "tools/oxbow/out.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REDRIVE_STEP 100u

#define SETTINGS_MAX 16u

static struct oxbow_group group_of(const struct cli *cli)
{
    return (struct oxbow_group){bytes_of(cli->args[0]), bytes_of(cli->args[1])};
}

/* Digits alone, up to `max`. */
static bool number_of(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (len == 0 || len > 19) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *out = n;
    return n <= max;
}

/* "500", "500ms", "30s", "5m", "2h", "7d". */
static bool age_of(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t len = strspn(text, "0123456789");
    uint64_t n;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + len, units[i].unit) == 0) {
            if (!number_of(text, len, OXBOW_GROUP_MS_MAX / units[i].ms, &n)) {
                return false;
            }
            *ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

/* ---- ids ---- */

/* The ids from the given argument on; the caller frees. NULL: bad ones, and *code is what to end
 * with. */
static struct oxbow_id *ids_of(const struct cli *cli, size_t first, int *code)
{
    size_t count = cli->arg_count - first;
    struct oxbow_id *ids = calloc(count + 1, sizeof *ids);

    if (ids == NULL) {
        *code = cli_fail(cli->command->name, OXBOW_ENOMEM);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (!entry_id_of(cli->args[first + i], 0, &ids[i])) {
            *code = cli_usage(cli, "%s: want MS-SEQ", cli->args[first + i]);
            free(ids);
            return NULL;
        }
    }
    return ids;
}

static int print_count(const struct cli *cli, const char *name, uint64_t n)
{
    const char *const columns[] = {name, NULL};
    struct out *out = out_open(cli->opt.json, true, columns);

    out_number(out, n);
    return out_close(out) ? (n > 0 ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
}

/* ---- group options ---- */

/* Applies one NAME=VALUE. False: `why` says what is wrong with it. */
static bool setting_apply(struct oxbow_group_options *opt, const char *word,
                          struct oxbow_group_why *why)
{
    const char *eq = strchr(word, '=');
    struct oxbow_bytes words[2];

    if (eq == NULL) {
        (void)snprintf(why->text, sizeof why->text, "%.60s: want NAME=VALUE", word);
        return false;
    }
    words[0] = (struct oxbow_bytes){word, (size_t)(eq - word)};
    words[1] = bytes_of(eq + 1);
    return oxbow_group_words(words, 2, opt, why) == OXBOW_OK;
}

static int print_options(const struct cli *cli, const struct oxbow_group_options *opt)
{
    const char *columns[SETTINGS_MAX + 1] = {NULL};
    struct oxbow_group_word word;
    struct out *out;

    for (size_t i = 0; i < SETTINGS_MAX && oxbow_group_word(opt, i, &word); i++) {
        columns[i] = word.name;
    }
    out = out_open(cli->opt.json, true, columns);
    for (size_t i = 0; i < SETTINGS_MAX && oxbow_group_word(opt, i, &word); i++) {
        if (word.kind == OXBOW_GROUP_WORD_MS) {
            out_age(out, word.value);
        } else if (word.kind == OXBOW_GROUP_WORD_COUNT) {
            out_number(out, word.value);
        } else {
            out_bytes(out, word.text);
        }
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_options(struct cli *cli)
{
    bool change = cli->arg_count > 2;
    struct oxbow_group_options opt;
    struct oxbow_group_why why;
    struct oxbow_result memory = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err;
    int code;

    for (size_t i = 2; i < cli->arg_count; i++) {
        struct oxbow_group_options scratch = {0};

        if (!setting_apply(&scratch, cli->args[i], &why)) {
            return cli_usage(cli, "%s", why.text);
        }
    }
    err = cli_begin(cli, change ? 0 : OXBOW_TXN_READ, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("group options", err);
    }
    err = oxbow_group_options_get(txn, group_of(cli), &memory, &opt);
    for (size_t i = 2; i < cli->arg_count && err == OXBOW_OK; i++) {
        (void)setting_apply(&opt, cli->args[i], &why);
    }
    if (err == OXBOW_OK && change) {
        err = oxbow_group_options_set(txn, group_of(cli), &opt);
    }
    code = cli_finish(txn, "group options", err);
    if (code == EXIT_DONE) {
        code = print_options(cli, &opt);
    }
    oxbow_result_fini(&memory);
    return code;
}

/* ---- group status ---- */

static int run_status(struct cli *cli)
{
    static const char *const columns[] = {"redelivered",  "dead_letters", "dead_refused",
                                          "dead_problem", "due",          NULL};
    struct oxbow_group_status status;
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("group status", err);
    }
    err = oxbow_group_status(txn, group_of(cli), &status);
    code = cli_finish(txn, "group status", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, status.redelivered);
    out_number(out, status.dead_letters);
    out_number(out, status.dead_refused);
    if (status.dead_problem != OXBOW_OK) {
        out_text(out, oxbow_err_text(status.dead_problem));
    } else {
        out_none(out);
    }
    if (status.has_due) {
        out_age(out, status.due_ms);
    } else {
        out_none(out);
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- group nack, group extend ---- */

static int run_nack(struct cli *cli)
{
    struct oxbow_group_nack_options opt = {.count = cli->arg_count - 2};
    struct oxbow_txn *txn;
    struct oxbow_id *ids;
    uint64_t nacked = 0;
    enum oxbow_err err;
    int code = EXIT_DONE;

    if (cli->opt.delay != NULL && cli->opt.dead) {
        return cli_usage(cli, "--delay or --dead, not both");
    }
    if (cli->opt.reason != NULL && !cli->opt.dead) {
        return cli_usage(cli, "--reason goes with --dead");
    }
    if (cli->opt.delay != NULL) {
        opt.how = OXBOW_NACK_DELAY;
        if (!age_of(cli->opt.delay, &opt.delay_ms)) {
            return cli_usage(cli, "--delay %s: want a time like 500ms, 30s, 5m, 2h, 7d",
                             cli->opt.delay);
        }
    } else if (cli->opt.dead) {
        opt.how = OXBOW_NACK_DEAD;
        opt.reason = bytes_of(cli->opt.reason != NULL ? cli->opt.reason : "");
    }
    ids = ids_of(cli, 2, &code);
    if (ids == NULL) {
        return code;
    }
    opt.ids = ids;
    err = cli_begin(cli, 0, &txn);
    if (err == OXBOW_OK) {
        code = cli_finish(txn, "group nack", oxbow_group_nack(txn, group_of(cli), &opt, &nacked));
    } else {
        code = cli_fail("group nack", err);
    }
    free(ids);
    return code == EXIT_DONE ? print_count(cli, "nacked", nacked) : code;
}

static int run_extend(struct cli *cli)
{
    struct oxbow_group_extend_options opt = {.count = cli->arg_count - 3};
    struct oxbow_txn *txn;
    struct oxbow_id *ids;
    uint64_t extended = 0;
    enum oxbow_err err;
    int code = EXIT_DONE;

    if (!age_of(cli->args[2], &opt.visible_ms)) {
        return cli_usage(cli, "%s: want a time like 500ms, 30s, 5m, 2h, 7d", cli->args[2]);
    }
    if (cli->opt.consumer != NULL) {
        opt.has_consumer = true;
        opt.consumer = bytes_of(cli->opt.consumer);
    }
    ids = ids_of(cli, 3, &code);
    if (ids == NULL) {
        return code;
    }
    opt.ids = ids;
    err = cli_begin(cli, 0, &txn);
    if (err == OXBOW_OK) {
        code = cli_finish(txn, "group extend",
                          oxbow_group_extend(txn, group_of(cli), &opt, &extended));
    } else {
        code = cli_fail("group extend", err);
    }
    free(ids);
    return code == EXIT_DONE ? print_count(cli, "extended", extended) : code;
}

/* ---- redrive ---- */

/* One step, in a transaction of its own. */
static int redrive_step(struct cli *cli, const struct oxbow_redrive_options *opt,
                        struct oxbow_redrive *out)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("redrive", err);
    }
    return cli_finish(txn, "redrive", oxbow_redrive(txn, bytes_of(cli->args[0]), opt, out));
}

static int run_redrive(struct cli *cli)
{
    static const char *const columns[] = {"redriven", "skipped", NULL};
    uint64_t left = cli->opt.count > 0 ? (uint64_t)cli->opt.count : UINT64_MAX;
    struct oxbow_redrive_options opt = {.count = cli->arg_count - 1};
    struct oxbow_redrive all = {0};
    struct oxbow_id *ids = NULL;
    struct out *out;
    int code = EXIT_DONE;

    if (opt.count > 0) {
        ids = ids_of(cli, 1, &code);
        if (ids == NULL) {
            return code;
        }
    }
    opt.ids = ids;
    do {
        struct oxbow_redrive step = {0};

        if (ids == NULL) {
            opt.count = left < REDRIVE_STEP ? (size_t)left : REDRIVE_STEP;
        }
        code = redrive_step(cli, &opt, &step);
        all.redriven += step.redriven;
        all.skipped += step.skipped;
        all.more = step.more;
        left -= step.redriven < left ? step.redriven : left;
        opt.from = step.next;
    } while (code == EXIT_DONE && all.more && left > 0);
    free(ids);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, all.redriven);
    out_number(out, all.skipped);
    return out_close(out) ? (all.redriven > 0 ? EXIT_DONE : EXIT_NOTHING) : EXIT_FAILED;
}

/* ---- patrol ---- */

static int patrol_step(struct cli *cli, const struct oxbow_patrol_options *opt,
                       struct oxbow_patrol *out)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = cli_begin(cli, 0, &txn);

    if (err != OXBOW_OK) {
        return cli_fail("patrol", err);
    }
    return cli_finish(txn, "patrol", oxbow_list_patrol(txn, opt, out));
}

static int run_patrol(struct cli *cli)
{
    static const char *const columns[] = {"found", "returned", "dead", "problem", "next", NULL};
    struct oxbow_patrol_options opt = {.processing = bytes_of(cli->args[0]),
                                       .to = bytes_of(cli->args[1]),
                                       .to_end = cli->opt.left ? OXBOW_LEFT : OXBOW_RIGHT};
    struct oxbow_patrol step = {0};
    uint64_t returned = 0, dead = 0;
    struct out *out;
    int code;

    if (cli->opt.timeout == NULL || !age_of(cli->opt.timeout, &opt.timeout_ms)) {
        return cli_usage(cli, "--timeout: want a time like 500ms, 30s, 5m, 2h, 7d");
    }
    if (cli->opt.max_returns < 0 || cli->opt.max_returns > UINT32_MAX) {
        return cli_usage(cli, "--max-returns: out of range");
    }
    opt.max_returns = (uint32_t)cli->opt.max_returns;
    opt.dead = bytes_of(cli->opt.dead_list != NULL ? cli->opt.dead_list : "");
    do {
        code = patrol_step(cli, &opt, &step);
        returned += step.returned;
        dead += step.dead;
    } while (code == EXIT_DONE && step.more);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, true, columns);
    out_number(out, step.found);
    out_number(out, returned);
    out_number(out, dead);
    if (step.problem != OXBOW_OK) {
        out_text(out, oxbow_err_text(step.problem));
    } else {
        out_none(out);
    }
    if (step.has_next) {
        out_age(out, step.next_ms);
    } else {
        out_none(out);
    }
    if (!out_close(out) || step.problem != OXBOW_OK) {
        return EXIT_FAILED;
    }
    return returned + dead > 0 ? EXIT_DONE : EXIT_NOTHING;
}

static const struct option_row patrol_options[] = {
    {"timeout", 0, OPTION_TEXT, offsetof(struct options, timeout), "TIME",
     "what was found so long ago and is there still goes back"},
    {"left", 0, OPTION_FLAG, offsetof(struct options, left), NULL,
     "add it at the left end (default: right)"},
    {"max-returns", 0, OPTION_COUNT, offsetof(struct options, max_returns), "N",
     "after so many it goes to the dead (default: no limit)"},
    {"dead-list", 0, OPTION_TEXT, offsetof(struct options, dead_list), "KEY",
     "the list of the dead"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row nack_options[] = {
    {"delay", 0, OPTION_TEXT, offsetof(struct options, delay), "TIME",
     "not before so long (default: as long as the group's options say)"},
    {"dead", 0, OPTION_FLAG, offsetof(struct options, dead), NULL, "straight to the dead letters"},
    {"reason", 0, OPTION_TEXT, offsetof(struct options, reason), "TEXT",
     "what the dead letter says (default: rejected)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row extend_options[] = {
    {"consumer", 0, OPTION_TEXT, offsetof(struct options, consumer), "NAME",
     "only what is pending for this one"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row redrive_options[] = {
    {"count", 'c', OPTION_COUNT, offsetof(struct options, count), "N",
     "at most so many (default: all)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_consumer[] = {
    {"group options", "KEY GROUP [NAME=VALUE...]", 2, SIZE_MAX, COMMAND_EXIST,
     "show or set redelivery, limits and dead letters of a group (docs/CONSUMERS.md)", run_options,
     NULL},
    {"group status", "KEY GROUP", 2, 2, COMMAND_READ,
     "redeliveries, dead letters, and when something comes back", run_status, NULL},
    {"group nack", "KEY GROUP ID...", 3, SIZE_MAX, COMMAND_EXIST,
     "give entries back: to be delivered again later, or to the dead letters", run_nack,
     nack_options},
    {"group extend", "KEY GROUP TIME ID...", 4, SIZE_MAX, COMMAND_EXIST,
     "give a consumer more time for entries", run_extend, extend_options},
    {"redrive", "DEAD-KEY [ID...]", 1, SIZE_MAX, COMMAND_EXIST,
     "send dead letters back to their groups", run_redrive, redrive_options},
    {"patrol", "WORK-KEY QUEUE-KEY", 2, 2, COMMAND_EXIST,
     "send back what a consumer has left in its own list (LMOVE, BLMOVE)", run_patrol,
     patrol_options},
    {0},
};
