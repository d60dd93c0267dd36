/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands on policies of queues. Fields come from the engine's own table: what is added there can
 * be set and is shown here.
 */
#include "oxbow/policy.h"

#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 8192
#define WHY_MAX        256
#define WORDS_MAX      32u
#define TEXT_MAX       512
#define FIELDS_SHOWN   20u

struct unit {
    const char *name;
    uint64_t ms;
};

/* The greatest first, for printing. */
static const struct unit units[] = {
    {"w", 7 * 86400000ull}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

/* "90s", "7d", "250ms"; a number without a unit is not taken: of what would it be? */
static bool parse_ms(const char *text, uint64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t n = digits > 0 && digits < 19 ? strtoull(text, NULL, 10) : 0;

    if (digits == 0 || digits >= 19) {
        return false;
    }
    if (n == 0 && text[digits] == '\0') {
        *ms = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].name) == 0 && n <= UINT64_MAX / units[i].ms) {
            *ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

static void print_ms(char out[32], uint64_t ms)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms % units[i].ms == 0) {
            (void)snprintf(out, 32, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
            return;
        }
    }
}

static void print_size(char out[32], uint64_t bytes)
{
    static const char letters[] = "TGMk";
    uint64_t times = 1000000000000ull;

    for (size_t i = 0; letters[i] != '\0'; i++, times /= 1000) {
        if (bytes > 0 && bytes % times == 0) {
            (void)snprintf(out, 32, "%" PRIu64 "%c", bytes / times, letters[i]);
            return;
        }
    }
    (void)snprintf(out, 32, "%" PRIu64, bytes);
}

/* A field's value as it is set on the command line. */
static void print_value(char out[32], const struct oxbow_policy_field *f, uint64_t value)
{
    if (f->kind == OXBOW_POLICY_WORD) {
        (void)snprintf(out, 32, "%s", f->words[value]);
    } else if (f->kind == OXBOW_POLICY_MS) {
        print_ms(out, value);
    } else if (f->kind == OXBOW_POLICY_BYTES) {
        print_size(out, value);
    } else {
        (void)snprintf(out, 32, "%" PRIu64, value);
    }
}

/* All fields that are set, as words; "-" when none is. */
static void print_policy(char out[TEXT_MAX], const struct oxbow_policy *p)
{
    size_t count;
    size_t len = 0;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    (void)snprintf(out, TEXT_MAX, "-");
    for (size_t i = 0; i < count; i++) {
        uint64_t value = oxbow_policy_value(p, &fields[i]);
        char text[32];

        if (value != 0 && len < TEXT_MAX) {
            print_value(text, &fields[i], value);
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s=%s", len > 0 ? " " : "",
                                    fields[i].name, text);
        }
    }
}

/* ---- fields from words ---- */

static void tell_names(char why[WHY_MAX], const char *word)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    size_t len = (size_t)snprintf(why, WHY_MAX, "%.60s: fields are FIELD=VALUE with", word);

    for (size_t i = 0; i < count && len < WHY_MAX; i++) {
        len +=
            (size_t)snprintf(why + len, WHY_MAX - len, "%s %s", i > 0 ? "," : "", fields[i].name);
    }
}

static bool parse_word(const struct oxbow_policy_field *f, const char *text, uint64_t *value,
                       char why[WHY_MAX])
{
    size_t len = (size_t)snprintf(why, WHY_MAX, "%s=%.60s: want one of", f->name, text);

    for (size_t i = 0; f->words[i] != NULL; i++) {
        if (strcmp(f->words[i], text) == 0) {
            *value = i;
            return true;
        }
        if (len < WHY_MAX) {
            len += (size_t)snprintf(why + len, WHY_MAX - len, " %s", f->words[i]);
        }
    }
    return false;
}

static bool parse_value(const struct oxbow_policy_field *f, const char *text, uint64_t *value,
                        char why[WHY_MAX])
{
    if (f->kind == OXBOW_POLICY_WORD) {
        return parse_word(f, text, value, why);
    }
    if (f->kind == OXBOW_POLICY_MS) {
        (void)snprintf(why, WHY_MAX, "%s=%.60s: want a time like 250ms, 90s, 15m, 12h, 7d or 4w",
                       f->name, text);
        return parse_ms(text, value);
    }
    (void)snprintf(why, WHY_MAX, "%s=%.60s: want a number like 5000, 64k, 10M or 2G", f->name,
                   text);
    return cli_size(text, value);
}

/* Sets what "FIELD=VALUE" says. */
static bool parse_field(const char *word, struct oxbow_policy *p, char why[WHY_MAX])
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    const char *eq = strchr(word, '=');

    for (size_t i = 0; eq != NULL && i < count; i++) {
        uint64_t value = 0;

        if (strlen(fields[i].name) != (size_t)(eq - word) ||
            memcmp(fields[i].name, word, (size_t)(eq - word)) != 0) {
            continue;
        }
        if (!parse_value(&fields[i], eq + 1, &value, why)) {
            return false;
        }
        if (oxbow_policy_value_set(p, &fields[i], value) != OXBOW_OK) {
            (void)snprintf(why, WHY_MAX, "%.80s: too large", word);
            return false;
        }
        return true;
    }
    tell_names(why, word);
    return false;
}

/* ---- commands ---- */

static int run_set(struct cli *cli)
{
    struct oxbow_bytes name = bytes_of(cli->args[0]);
    struct oxbow_policy p = {0};
    char why[WHY_MAX];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    for (size_t i = 1; i < cli->arg_count; i++) {
        if (!parse_field(cli->args[i], &p, why)) {
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
        (void)parse_field(cli->args[i], &p, why); /* it was right before */
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

        if (fields[i].kind == OXBOW_POLICY_WORD) {
            out_text(out, fields[i].words[value]);
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
    char text[TEXT_MAX];
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
        print_policy(text, &p);
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
    char why[WHY_MAX];
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
        if (!parse_field(word, &p, why)) {
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
    {"queue load", "FILE", 1, 1, COMMAND_STORE,
     "set policies and bindings from lines: queue NAME FIELD=VALUE..., bind ..., route ...",
     run_load, NULL},
    {0},
};
