/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands on policies of queues. */
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/policy_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 8192
#define WORDS_MAX      32u
#define FIELDS_SHOWN   20u

/* ---- commands ---- */

static int run_set(struct cli *cli)
{
    struct oxbow_bytes name = bytes_of(cli->args[0]);
    struct oxbow_policy p = {0};
    char why[POLICY_WHY_MAX];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    for (size_t i = 1; i < cli->arg_count; i++) {
        if (!policy_word_set(cli->args[i], &p, why)) {
            return cli_usage(cli, "%s", why);
        }
    }
    err = cli_begin(cli, 0, &txn);
    if (err != OXBOW_OK) {
        return cli_fail("queue set", err);
    }
    p = (struct oxbow_policy){0};
    err = oxbow_policy_get(txn, name, &p);
    for (size_t i = 1; i < cli->arg_count; i++) {
        (void)policy_word_set(cli->args[i], &p, why); /* it was right before */
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = oxbow_policy_set(txn, name, &p);
    }
    return cli_finish(txn, "queue set", err);
}

static int run_clear(struct cli *cli)
{
    struct oxbow_txn *txn;
    bool existed = false;
    enum oxbow_err err = cli_begin(cli, 0, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("queue clear", err);
    }
    err = oxbow_policy_clear(txn, bytes_of(cli->args[0]), &existed);
    code = cli_finish(txn, "queue clear", err);
    return code != EXIT_DONE ? code : existed ? EXIT_DONE : EXIT_NOTHING;
}

/* How many entries rules have taken from a queue for good. */
static enum oxbow_err count_dropped(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *sum)
{
    *sum = 0;
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        struct oxbow_drops d;
        enum oxbow_err err = oxbow_policy_drops(txn, key, (enum oxbow_drop_cause)c, &d);

        if (err != OXBOW_OK) {
            return err;
        }
        *sum += c != OXBOW_DROP_DELIVERED ? d.entries : 0;
    }
    return OXBOW_OK;
}

static void put_fields(struct out *out, const struct oxbow_policy *p)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    for (size_t i = 0; i < count && i < FIELDS_SHOWN; i++) {
        uint64_t value = oxbow_policy_value(p, &fields[i]);

        if (fields[i].kind == OXBOW_POLICY_WORD || fields[i].kind == OXBOW_POLICY_WEIGHTS) {
            char text[POLICY_VALUE_MAX];

            policy_value_print(text, &fields[i], value);
            out_text(out, text);
        } else {
            out_number(out, value);
        }
    }
}

static enum oxbow_err show_one(struct cli *cli, struct oxbow_txn *txn, struct oxbow_bytes key,
                               struct out *out)
{
    struct oxbow_policy_info info;
    struct oxbow_policy p;
    char text[POLICY_TEXT_MAX];
    uint64_t dropped;
    enum oxbow_err err = oxbow_policy_get(txn, key, &p);

    if (err == OXBOW_OK) {
        err = oxbow_policy_info(txn, key, &info);
    }
    if (err == OXBOW_OK) {
        err = count_dropped(txn, key, &dropped);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    out_bytes(out, key);
    if (cli->opt.json) {
        put_fields(out, &p);
    } else {
        policy_words_print(text, &p);
        out_text(out, text);
    }
    out_number(out, info.entries);
    out_size(out, info.bytes);
    if (info.oldest_age_ms == UINT64_MAX) {
        out_none(out);
    } else {
        out_age(out, info.oldest_age_ms);
    }
    out_text(out, info.full ? "yes" : "no");
    out_number(out, dropped);
    if (info.held_by[0] != '\0') {
        out_text(out, info.held_by);
    } else {
        out_none(out);
    }
    return OXBOW_OK;
}

/* Column names: for people the policy is one text, in JSON each field has its own. */
static void name_columns(const struct cli *cli, const char *columns[])
{
    static const char *const status[] = {"entries", "bytes",   "oldest",
                                         "full",    "dropped", "held_by"};
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    size_t n = 0;

    columns[n++] = "queue";
    if (!cli->opt.json) {
        columns[n++] = "policy";
    }
    for (size_t i = 0; cli->opt.json && i < count && i < FIELDS_SHOWN; i++) {
        columns[n++] = fields[i].name;
    }
    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++) {
        columns[n++] = status[i];
    }
    columns[n] = NULL;
}

static int run_show(struct cli *cli)
{
    const char *columns[FIELDS_SHOWN + 12];
    bool one = cli->arg_count > 0;
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    struct out *out;
    size_t count = 0;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("queue show", err);
    }
    name_columns(cli, columns);
    out = out_open(cli->opt.json, one, columns);
    if (one) {
        err = show_one(cli, txn, bytes_of(cli->args[0]), out);
        count = err == OXBOW_OK;
    } else {
        err = oxbow_policy_list(txn, &names);
        count = names.item_count;
        for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
            err = show_one(cli, txn, names.items[i], out);
        }
    }
    oxbow_result_fini(&names);
    if (one && err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        out_drop(out);
        fprintf(stderr, "oxbow: %s has no policy: oxbow queue set %s FIELD=VALUE...\n",
                cli->args[0], cli->args[0]);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "queue show", err);
    if (code == EXIT_DONE && count == 0 && !cli->opt.json) {
        fputs("oxbow: no queue has a policy: oxbow queue set NAME FIELD=VALUE...\n", stderr);
    }
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static enum oxbow_err drops_rows(struct oxbow_txn *txn, struct oxbow_bytes key, struct out *out)
{
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        struct oxbow_drops d;
        enum oxbow_err err = oxbow_policy_drops(txn, key, (enum oxbow_drop_cause)c, &d);

        if (err != OXBOW_OK) {
            return err;
        }
        if (d.entries > 0) {
            out_text(out, oxbow_drop_cause_name((enum oxbow_drop_cause)c));
            out_number(out, d.entries);
            out_size(out, d.bytes);
            out_id(out, d.first);
            out_id(out, d.from);
            out_id(out, d.to);
            out_number(out, d.wall_ms);
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err gap_rows(struct oxbow_txn *txn, struct oxbow_bytes key, struct out *out)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    size_t count;
    enum oxbow_err err =
        oxbow_policy_gaps(txn, key, OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count);

    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        char causes[128] = "";
        size_t len = 0;

        for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
            if (gaps[i].by_cause[c - 1] > 0 && len < sizeof causes) {
                len +=
                    (size_t)snprintf(causes + len, sizeof causes - len, "%s%s", len > 0 ? " " : "",
                                     oxbow_drop_cause_name((enum oxbow_drop_cause)c));
            }
        }
        out_id(out, gaps[i].from);
        out_id(out, gaps[i].to);
        out_number(out, gaps[i].entries);
        out_size(out, gaps[i].bytes);
        out_text(out, causes);
    }
    return err;
}

static int print_rows(struct cli *cli, const char *const *columns,
                      enum oxbow_err (*rows)(struct oxbow_txn *txn, struct oxbow_bytes key,
                                             struct out *out))
{
    struct oxbow_policy p;
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail(cli->command->name, err);
    }
    err = oxbow_policy_get(txn, bytes_of(cli->args[0]), &p);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        fprintf(stderr, "oxbow: %s has no policy\n", cli->args[0]);
        return EXIT_NOTHING;
    }
    out = out_open(cli->opt.json, false, columns);
    if (err == OXBOW_OK || err == OXBOW_ENOTSUP) {
        err = rows(txn, bytes_of(cli->args[0]), out);
    }
    code = cli_finish(txn, cli->command->name, err);
    if (code != EXIT_DONE) {
        out_drop(out);
        return code;
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

static int run_drops(struct cli *cli)
{
    static const char *const columns[] = {"cause", "entries", "bytes",   "first",
                                          "from",  "to",      "wall_ms", NULL};

    return print_rows(cli, columns, drops_rows);
}

static int run_gaps(struct cli *cli)
{
    static const char *const columns[] = {"from", "to", "entries", "bytes", "causes", NULL};

    return print_rows(cli, columns, gap_rows);
}

/* The priorities that the policy has, and others of which there is something. */
static int run_priorities(struct cli *cli)
{
    static const char *const columns[] = {"priority", "entries", NULL};
    struct oxbow_stream_priorities info;
    struct oxbow_txn *txn;
    struct out *out;
    enum oxbow_err err = cli_begin(cli, OXBOW_TXN_READ, &txn);
    int code;

    if (err != OXBOW_OK) {
        return cli_fail("queue priorities", err);
    }
    err = oxbow_stream_priorities(txn, bytes_of(cli->args[0]), &info);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return EXIT_NOTHING;
    }
    code = cli_finish(txn, "queue priorities", err);
    if (code != EXIT_DONE) {
        return code;
    }
    out = out_open(cli->opt.json, false, columns);
    for (uint32_t i = OXBOW_PRIORITIES_MAX; i > 0; i--) {
        if (i <= info.count || info.entries[i - 1] > 0) {
            out_number(out, i - 1);
            out_number(out, info.entries[i - 1]);
        }
    }
    return out_close(out) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- a file of policies ---- */

struct load {
    const char *file;
    unsigned line;
    struct oxbow_txn *txn;
    size_t set;
    size_t same;
};

static int load_fail(const struct load *l, const char *why)
{
    fprintf(stderr, "oxbow: %s:%u: %s\n", l->file, l->line, why);
    return EXIT_USAGE;
}

static bool same_policy(const struct oxbow_policy *a, const struct oxbow_policy *b)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    for (size_t i = 0; i < count; i++) {
        if (oxbow_policy_value(a, &fields[i]) != oxbow_policy_value(b, &fields[i])) {
            return false;
        }
    }
    return true;
}

static int load_policy(struct load *l, const char *name, const struct oxbow_policy *p)
{
    struct oxbow_policy now;
    enum oxbow_err err = oxbow_policy_get(l->txn, bytes_of(name), &now);

    if (err == OXBOW_OK && same_policy(&now, p)) {
        l->same++;
        return EXIT_DONE;
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = oxbow_policy_set(l->txn, bytes_of(name), p);
    }
    l->set += err == OXBOW_OK;
    return err == OXBOW_OK ? EXIT_DONE : cli_fail(name, err);
}

/* "bind ..." and "route ...": here a # is a word like any other. */
static int load_routing(struct load *l, const char *what, char *rest)
{
    const char *words[WORDS_MAX];
    const char *why = NULL;
    const char *word;
    size_t count = 0;
    uint32_t id = 0;
    enum oxbow_err err;

    while ((word = strtok_r(NULL, " \t\r\n", &rest)) != NULL) {
        if (count == WORDS_MAX) {
            return load_fail(l, "too many words");
        }
        words[count++] = word;
    }
    err = strcmp(what, "bind") == 0 ? binding_words(l->txn, words, count, &id, &why)
                                    : source_words(l->txn, words, count, &why);
    l->set += err == OXBOW_OK;
    return why != NULL ? load_fail(l, why) : err == OXBOW_OK ? EXIT_DONE : cli_fail(what, err);
}

/* "queue NAME FIELD=VALUE..."; what stands behind # is passed over. */
static int load_line(struct load *l, char *text)
{
    static const char blanks[] = " \t\r\n";
    struct oxbow_policy p = {0};
    char why[POLICY_WHY_MAX];
    char *rest = text;
    char *word = strtok_r(text, blanks, &rest);
    const char *name;

    if (word == NULL || word[0] == '#') {
        return EXIT_DONE;
    }
    if (strcmp(word, "bind") == 0 || strcmp(word, "route") == 0) {
        return load_routing(l, word, rest);
    }
    name = strtok_r(NULL, blanks, &rest);
    if (strcmp(word, "queue") != 0 || name == NULL) {
        return load_fail(l, "want: queue NAME FIELD=VALUE..., bind ... or route ...");
    }
    while ((word = strtok_r(NULL, blanks, &rest)) != NULL && word[0] != '#') {
        if (!policy_word_set(word, &p, why)) {
            return load_fail(l, why);
        }
    }
    return load_policy(l, name, &p);
}

static int load_lines(struct load *l, FILE *in)
{
    char text[LINE_BYTES_MAX];
    int code = EXIT_DONE;

    for (l->line = 1; code == EXIT_DONE && fgets(text, sizeof text, in) != NULL; l->line++) {
        if (strchr(text, '\n') == NULL && !feof(in)) {
            return load_fail(l, "the line is too long");
        }
        code = load_line(l, text);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    return code == EXIT_DONE && ferror(in) ? load_fail(l, "cannot be read") : code;
}

static int run_load(struct cli *cli)
{
    struct load l = {.file = cli->args[0]};
    FILE *in = fopen(l.file, "r");
    enum oxbow_err err;
    int code;

    if (in == NULL) {
        fprintf(stderr, "oxbow: %s cannot be opened\n", l.file);
        return EXIT_FAILED;
    }
    err = cli_begin(cli, 0, &l.txn);
    if (err != OXBOW_OK) {
        fclose(in);
        return cli_fail("queue load", err);
    }
    code = load_lines(&l, in);
    fclose(in);
    if (code != EXIT_DONE) {
        oxbow_txn_abort(l.txn);
        return code;
    }
    code = cli_finish(l.txn, "queue load", OXBOW_OK);
    if (code == EXIT_DONE && !cli->opt.json) {
        printf("%zu set, %zu unchanged\n", l.set, l.same);
    }
    return code;
}

const struct command commands_queue[] = {
    {"queue set", "NAME FIELD=VALUE...", 2, SIZE_MAX, COMMAND_STORE,
     "set limits of a queue: max-entries, max-bytes, max-age, on-full, ...", run_set, NULL},
    {"queue show", "[NAME]", 0, 1, COMMAND_READ, "queues' policies, and how they stand to them",
     run_show, NULL},
    {"queue clear", "NAME", 1, 1, COMMAND_EXIST, "remove a queue's policy; its entries stay",
     run_clear, NULL},
    {"queue drops", "NAME", 1, 1, COMMAND_READ, "what its policy has dropped, by cause", run_drops,
     NULL},
    {"queue gaps", "NAME", 1, 1, COMMAND_READ, "where in the queue entries were dropped", run_gaps,
     NULL},
    {"queue priorities", "NAME", 1, 1, COMMAND_READ, "how much a stream has of each priority",
     run_priorities, NULL},
    {"queue load", "FILE", 1, 1, COMMAND_STORE,
     "set policies and bindings from lines: queue NAME FIELD=VALUE..., bind ..., route ...",
     run_load, NULL},
    {0},
};
