/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow: looks at a store and works with it from a shell. Finds the subcommand's row, parses the
 * options that the row names, opens the store as the row says, runs the handler, closes.
 */
#include "oxbow/delay.h"
#include "oxbow/schedule.h"
#include "tools/oxbow/command.h"

#include <inttypes.h>
#include <popt.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_LEAST (1u << 20) /* oxbow_config.memory_max */
#define MEMORY_MOST  (128u << 20)

const struct option_row global_options[] = {
    {"dir", 'd', OPTION_TEXT, offsetof(struct options, dir), "DIR",
     "the store's directory (default: $OXBOW_DIR, else ./oxbow-data)"},
    {"database", 'n', OPTION_INT, offsetof(struct options, database), "N", "database, 0 to 15"},
    {"json", 0, OPTION_FLAG, offsetof(struct options, json), NULL, "print JSON, for programs"},
    {"sync", 0, OPTION_TEXT, offsetof(struct options, sync), "POLICY",
     "always (default), interval or none"},
    {"interval-ms", 0, OPTION_INT, offsetof(struct options, interval_ms), "MS",
     "for --sync interval (default 1000)"},
    {"quota", 0, OPTION_COUNT, offsetof(struct options, quota), "BYTES",
     "what the data may occupy (default 1 GiB)"},
    {"endurance", 0, OPTION_TEXT, offsetof(struct options, endurance), "SIZE",
     "what the device bears in its life, like 30T (default: $OXBOW_ENDURANCE)"},
    {"journal", 0, OPTION_TEXT, offsetof(struct options, journal), "on|off",
     "whether the store has a journal (default on; off removes it)"},
    {"on-foreign", 0, OPTION_TEXT, offsetof(struct options, foreign), "refuse|set-aside",
     "what to do with files there that are no store of this version (default refuse)"},
    {"stand-in", 0, OPTION_TEXT, offsetof(struct options, stand_in), "DIR",
     "a place in memory for when a store that was made cannot be opened; merged when it can"},
    {"help", 'h', OPTION_FLAG, offsetof(struct options, help), NULL, "this help"},
    {"version", 0, OPTION_FLAG, offsetof(struct options, version), NULL, "the version"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command *const command_groups[] = {
    commands_list,     commands_stream,  commands_string,
    commands_key,      commands_binding, commands_group,
    commands_consumer, commands_queue,   commands_store,
    commands_backup,   commands_forward, commands_uplink,
    commands_time,     commands_delay,   commands_schedule,
    commands_once,     commands_metrics, commands_server,
    commands_top,      commands_self,    NULL};

const struct command *command_next(size_t *group, size_t *row)
{
    while (command_groups[*group] != NULL) {
        const struct command *c = &command_groups[*group][*row];

        if (c->name != NULL) {
            (*row)++;
            return c;
        }
        (*group)++;
        *row = 0;
    }
    return NULL;
}

struct oxbow_bytes bytes_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

int cli_fail(const char *what, enum oxbow_err err)
{
    fprintf(stderr, "oxbow: %s: %s (%s)\n", what, oxbow_err_text(err), oxbow_err_name(err));
    return EXIT_FAILED;
}

int cli_fail_open(const struct cli *cli, bool make, enum oxbow_err err)
{
    const char *why = oxbow_err_text(err);
    char text[80];

    if (err == OXBOW_ENOENT) {
        why = make ? "cannot be made: its parent is missing or is no directory"
                   : "no store is there (--dir and $OXBOW_DIR say where to look)";
    } else if (err == OXBOW_EREADONLY) {
        why = "no right to write there";
    } else if (err == OXBOW_ELOCKED && cli->owner[0] != '\0') {
        (void)snprintf(text, sizeof text, "the store is in use by %s%s", cli->owner,
                       (cli->command->flags & COMMAND_ASKS) != 0 ? " (--server asks a daemon)"
                                                                 : "");
        why = text;
    }
    fprintf(stderr, "oxbow: %s: %s (%s)\n", cli_dir(cli), why, oxbow_err_name(err));
    return EXIT_FAILED;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    fputs("oxbow: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (cli->command != NULL) {
        fprintf(stderr, "\nusage: oxbow %s%s%s\nsee: oxbow %s --help\n", cli->command->name,
                cli->command->args[0] != '\0' ? " " : "", cli->command->args, cli->command->name);
    } else {
        fputs("\nsee: oxbow --help\n", stderr);
    }
    return EXIT_USAGE;
}

enum oxbow_err cli_begin(struct cli *cli, uint32_t flags, struct oxbow_txn **txn)
{
    const struct oxbow_txn_options opt = {.flags = flags, .database = (uint32_t)cli->opt.database};

    return oxbow_txn_begin(cli->db, &opt, txn);
}

int cli_fields(const struct cli *cli, const char *what, struct oxbow_field **fields,
               uint32_t *count)
{
    size_t n = (cli->arg_count - 1) / 2;

    if (cli->arg_count % 2 != 1 || n == 0) {
        return cli_usage(cli, "%s: fields come in pairs, FIELD VALUE", what);
    }
    *fields = calloc(n, sizeof **fields);
    if (*fields == NULL) {
        return cli_fail(what, OXBOW_ENOMEM);
    }
    for (size_t i = 0; i < n; i++) {
        (*fields)[i] =
            (struct oxbow_field){bytes_of(cli->args[1 + 2 * i]), bytes_of(cli->args[2 + 2 * i])};
    }
    *count = (uint32_t)n;
    return EXIT_DONE;
}

int cli_finish(struct oxbow_txn *txn, const char *what, enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return cli_fail(what, err);
    }
    err = oxbow_txn_commit(txn, NULL);
    if (err == OXBOW_EVOLATILE) { /* the log has said that this is a stand-in */
        return EXIT_DONE;
    }
    return err == OXBOW_OK ? EXIT_DONE : cli_fail(what, err);
}

static void print_options(const struct option_row *rows)
{
    for (; rows->name != NULL; rows++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%c%c --%s%s%s", rows->letter != 0 ? '-' : ' ',
                       rows->letter != 0 ? rows->letter : ' ', rows->name,
                       rows->value != NULL ? " " : "", rows->value != NULL ? rows->value : "");
        printf("  %-26s %s\n", left, rows->help);
    }
}

static int help_of(const struct command *c)
{
    printf("usage: oxbow %s%s%s\n\n%s\n", c->name, c->args[0] != '\0' ? " " : "", c->args,
           c->summary);
    if (c->options != NULL) {
        puts("\noptions:");
        print_options(c->options);
    }
    puts("\noptions of every command:");
    print_options(global_options);
    return EXIT_DONE;
}

/* Is `word` the first of several commands, like "group" or "uplink"? */
static bool is_family(const char *word)
{
    const struct command *c;
    size_t len = strlen(word);
    size_t group = 0;
    size_t row = 0;

    while ((c = command_next(&group, &row)) != NULL) {
        if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

/* Of all commands, or of those alone that begin with the word `family`. */
static int help(const char *family)
{
    const struct command *c;
    size_t len = family != NULL ? strlen(family) : 0;
    size_t group = 0;
    size_t row = 0;

    printf("usage: oxbow [OPTIONS] %s%sCOMMAND [ARGUMENTS]\n\n"
           "Looks at an oxbow store and works with it.\n\ncommands:\n",
           family != NULL ? family : "", family != NULL ? " " : "");
    while ((c = command_next(&group, &row)) != NULL) {
        if (family == NULL || (strncmp(c->name, family, len) == 0 && c->name[len] == ' ')) {
            printf("  %-20s %s\n", c->name, c->summary);
        }
    }
    puts("\noptions:");
    print_options(global_options);
    puts("\nexit status: 0 done, 1 nothing there, 2 wrong usage, 3 failed\n"
         "more on a command: oxbow COMMAND --help");
    return EXIT_DONE;
}

/* How many of the words at the front are the row's name; 0: not this row. */
static size_t name_words(const struct command *c, char *const *words, size_t count)
{
    const char *space = strchr(c->name, ' ');
    size_t len = space == NULL ? strlen(c->name) : (size_t)(space - c->name);

    if (count == 0 || strlen(words[0]) != len || memcmp(words[0], c->name, len) != 0) {
        return 0;
    }
    if (space == NULL) {
        return 1;
    }
    return count > 1 && strcmp(words[1], space + 1) == 0 ? 2 : 0;
}

static const struct command *find(char *const *words, size_t count, size_t *used)
{
    const struct command *c;
    size_t group = 0;
    size_t row = 0;

    while ((c = command_next(&group, &row)) != NULL) {
        *used = name_words(c, words, count);
        if (*used > 0) {
            return c;
        }
    }
    return NULL;
}

/* Appends the rows as popt's, pointing into *opt. */
static size_t fill(struct poptOption *out, size_t n, const struct option_row *rows,
                   struct options *opt)
{
    static const int kinds[] = {[OPTION_FLAG] = POPT_ARG_NONE,
                                [OPTION_INT] = POPT_ARG_INT,
                                [OPTION_COUNT] = POPT_ARG_LONGLONG,
                                [OPTION_TEXT] = POPT_ARG_STRING};

    for (; rows != NULL && rows->name != NULL; rows++) {
        out[n].longName = rows->name;
        out[n].shortName = rows->letter;
        out[n].argInfo = (unsigned)kinds[rows->kind];
        out[n].arg = (char *)opt + rows->offset;
        n++;
    }
    return n;
}

/* Words before the command are global options too, so all is parsed at once; which rows hold is
 * known from the first words that are no options. */
static const struct command *peek_command(int argc, char **argv)
{
    char *words[2] = {NULL, NULL};
    size_t count = 0;
    size_t used;

    for (int i = 1; i < argc && count < 2; i++) {
        const struct option_row *row = global_options;

        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            words[count++] = argv[i];
            continue;
        }
        if (count > 0 || strchr(argv[i], '=') != NULL) {
            continue;
        }
        for (; row->name != NULL; row++) {
            bool named = (argv[i][1] == '-' && strcmp(argv[i] + 2, row->name) == 0) ||
                         (row->letter != 0 && argv[i][1] == row->letter && argv[i][2] == '\0');

            if (named && row->kind != OPTION_FLAG) {
                i++;
            }
        }
    }
    return find(words, count, &used);
}

const char *cli_dir(const struct cli *cli)
{
    const char *dir = cli->opt.dir != NULL ? cli->opt.dir : getenv("OXBOW_DIR");

    return dir != NULL ? dir : "oxbow-data";
}

bool cli_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "kMGT";
    const char *end = text + strspn(text, "0123456789");
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    uint64_t times = 1;
    uint64_t n;

    if (end == text || end - text > 19 || (*end != '\0' && (unit == NULL || end[1] != '\0'))) {
        return false;
    }
    for (const char *u = units; unit != NULL && u <= unit; u++) {
        times *= 1000;
    }
    n = strtoull(text, NULL, 10);
    if (n > UINT64_MAX / times) {
        return false;
    }
    *bytes = n * times;
    return true;
}

static const char *endurance_text(const struct cli *cli)
{
    return cli->opt.endurance != NULL ? cli->opt.endurance : getenv("OXBOW_ENDURANCE");
}

/* The library's lines, on a line of their own below a line of progress. */
static void log_line(void *ctx, enum oxbow_log_level level, const char *text)
{
    const struct oxbow_log *log = &oxbow_port_default()->log;
    static const char locked[] = "store: locked by ";
    struct cli *cli = ctx;

    if (strncmp(text, locked, sizeof locked - 1) == 0) {
        (void)snprintf(cli->owner, sizeof cli->owner, "%s", text + sizeof locked - 1);
        return; /* whoever hears OXBOW_ELOCKED tells it */
    }
    if ((cli->command->flags & COMMAND_TELLS) != 0 && strncmp(text, "uplink: ", 8) == 0) {
        return;
    }
    if (level < OXBOW_LOG_DEBUG && isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    log->line(log->ctx, level, text);
}

const struct oxbow_port *cli_port(struct cli *cli)
{
    cli->port = *oxbow_port_default();
    cli->port.log = (struct oxbow_log){.ctx = cli, .line = log_line};
    return &cli->port;
}

/* Which of the words it is, from 1 on; 0: none of them. */
static unsigned word_of(const char *const *words, const char *text)
{
    unsigned i;

    for (i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* In the order of enum oxbow_sync, enum oxbow_journal, enum oxbow_on_foreign, enum oxbow_on_failure. */
static const char *const policies[] = {"always", "interval", "none", NULL};
static const char *const journals[] = {"on", "off", NULL};
static const char *const foreigns[] = {"refuse", "set-aside", NULL};
static const char *const failures[] = {"stop", "memory", NULL};

enum oxbow_err cli_open(struct cli *cli, const char *dir, uint32_t flags, struct oxbow **out)
{
    const struct options *o = &cli->opt;
    struct oxbow_config config = {
        .dir = dir,
        .port = cli_port(cli),
        .flags = flags,
        .sync = o->sync != NULL ? (enum oxbow_sync)word_of(policies, o->sync) : OXBOW_SYNC_DEFAULT,
        .journal = o->journal != NULL ? (enum oxbow_journal)word_of(journals, o->journal)
                                      : OXBOW_JOURNAL_DEFAULT,
        .interval_ms = (uint32_t)cli->opt.interval_ms,
        .quota_bytes = (uint64_t)cli->opt.quota,
        .members = oxbow_members(),
        .on_foreign = o->foreign != NULL
                          ? (enum oxbow_on_foreign)(word_of(foreigns, o->foreign) - 1)
                          : OXBOW_FOREIGN_REFUSE,
        .on_failure = o->failure != NULL
                          ? (enum oxbow_on_failure)(word_of(failures, o->failure) - 1)
                          : OXBOW_FAILURE_STOP,
    };

    if (o->memory != NULL && !cli_size(o->memory, &config.memory_max)) {
        return OXBOW_EINVAL;
    }
    if (cli->may_stand_in && o->stand_in != NULL) {
        config.on_failure = OXBOW_FAILURE_MEMORY;
        config.stand_in = o->stand_in;
        config.flags = (flags | OXBOW_OPEN_EXISTING) & ~OXBOW_OPEN_READONLY;
    }
    if (endurance_text(cli) != NULL && !cli_size(endurance_text(cli), &config.endurance_bytes)) {
        return OXBOW_EINVAL;
    }
    return oxbow_open(&config, out);
}

static bool makes_store(const struct cli *cli)
{
    uint32_t flags = cli->command->flags;

    return (flags & COMMAND_STORE) != 0 && ((flags & COMMAND_LOOKS) == 0 || cli->arg_count > 0);
}

/* What became due while the store was closed is there before the command looks. What keeps it from
 * that keeps no command from its work. */
static void add_due(struct cli *cli, enum oxbow_err (*run)(struct oxbow_txn *txn, uint64_t max,
                                                           uint64_t *done, bool *more))
{
    uint64_t added = 0;
    struct oxbow_txn *txn;

    if (oxbow_txn_begin(cli->db, NULL, &txn) != OXBOW_OK) {
        return;
    }
    if (run(txn, 0, &added, NULL) != OXBOW_OK || added == 0) {
        oxbow_txn_abort(txn);
    } else {
        enum oxbow_err err = oxbow_txn_commit(txn, NULL);

        if (err != OXBOW_OK && err != OXBOW_EVOLATILE) {
            fputs("oxbow: entries that are due could not be added\n", stderr);
        }
    }
}

enum oxbow_err cli_open_store(struct cli *cli)
{
    bool read = (cli->command->flags & COMMAND_READ) != 0;
    enum oxbow_err err;

    cli->may_stand_in = true;
    err = cli_open(cli, cli_dir(cli),
                   (makes_store(cli) ? 0 : OXBOW_OPEN_EXISTING) | (read ? OXBOW_OPEN_READONLY : 0),
                   &cli->db);
    cli->may_stand_in = false;
    if (err == OXBOW_OK && !read) {
        add_due(cli, oxbow_schedule_run);
        add_due(cli, oxbow_delay_run);
    }
    return err;
}

static bool opens_store(const struct cli *cli)
{
    uint32_t flags = cli->command->flags;

    return (flags & (COMMAND_STORE | COMMAND_EXIST | COMMAND_READ)) != 0 &&
           ((flags & COMMAND_ASKS) == 0 || cli->opt.server == NULL);
}

static int check_globals(const struct cli *cli)
{
    const struct options *o = &cli->opt;
    uint64_t endurance;
    uint64_t size;

    if (o->database < 0 || o->database > 15) {
        return cli_usage(cli, "-n %d: databases are 0 to 15", o->database);
    }
    if (o->sync != NULL && word_of(policies, o->sync) == 0) {
        return cli_usage(cli, "--sync %s: always, interval or none", o->sync);
    }
    if (o->journal != NULL && word_of(journals, o->journal) == 0) {
        return cli_usage(cli, "--journal %s: on or off", o->journal);
    }
    if (o->failure != NULL && word_of(failures, o->failure) == 0) {
        return cli_usage(cli, "--on-failure %s: stop or memory", o->failure);
    }
    if (o->stand_in != NULL && o->failure != NULL && strcmp(o->failure, "memory") != 0) {
        return cli_usage(cli, "--stand-in goes with --on-failure memory");
    }
    if (o->memory != NULL &&
        (!cli_size(o->memory, &size) || size < MEMORY_LEAST || size > MEMORY_MOST)) {
        return cli_usage(cli, "--memory-max %s: bytes, like 16M, 1048576 to 134217728", o->memory);
    }
    if (o->foreign != NULL && word_of(foreigns, o->foreign) == 0) {
        return cli_usage(cli, "--on-foreign %s: refuse or set-aside", o->foreign);
    }
    if (endurance_text(cli) != NULL && !cli_size(endurance_text(cli), &endurance)) {
        return cli_usage(cli, "endurance %s: a number of bytes, or one with k, M, G or T",
                         endurance_text(cli));
    }
    if (o->server != NULL && o->dir != NULL) {
        return cli_usage(cli, "--server and --dir do not go together");
    }
    if (o->tls != 0 && opens_store(cli)) {
        return cli_usage(cli, "--tls goes with --server");
    }
    if (o->interval_ms < 0 || o->quota < 0 || o->count < 0) {
        return cli_usage(cli, "a number must not be negative");
    }
    if (cli->arg_count < cli->command->args_min) {
        return cli_usage(cli, "%s: too few arguments", cli->command->name);
    }
    if (cli->arg_count > cli->command->args_max) {
        return cli_usage(cli, "%s: too many arguments", cli->command->name);
    }
    return EXIT_DONE;
}

static int run(struct cli *cli)
{
    enum oxbow_err err = OXBOW_OK;
    int code = check_globals(cli);

    if (code != EXIT_DONE) {
        return code;
    }
    if (opens_store(cli)) {
        err = cli_open_store(cli);
        if (err != OXBOW_OK) {
            return cli_fail_open(cli, makes_store(cli), err);
        }
    }
    code = cli->command->run(cli);
    if (cli->db != NULL) {
        err = oxbow_close(cli->db);
    }
    return err == OXBOW_OK ? code : cli_fail("closing the store", err);
}

/* A word like -2 is a number, not an option: popt is shown it with another first letter. */
#define NUMBER_MARK '\x01'

static void hide_numbers(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9') {
            argv[i][0] = NUMBER_MARK;
        }
    }
}

static void show_numbers(char **words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i][0] == NUMBER_MARK) {
            words[i][0] = '-';
        }
    }
}

/* Drops the command's own words from the arguments. */
static int take_arguments(struct cli *cli, poptContext context)
{
    const char **words = poptGetArgs(context);
    size_t used = 0;
    size_t count = 0;

    while (words != NULL && words[count] != NULL) {
        count++;
    }
    show_numbers((char **)words, count); /* popt's own copies */
    if (cli->opt.version) {
        return print_version(cli);
    }
    if (cli->command == NULL) {
        bool family = count > 0 && is_family(words[0]);

        if (cli->opt.help || count == 0) {
            help(family ? words[0] : NULL);
            return count == 0 && !cli->opt.help ? EXIT_USAGE : EXIT_DONE;
        }
        if (family && count > 1) {
            return cli_usage(cli, "%s %s: no such command, oxbow %s --help lists them", words[0],
                             words[1], words[0]);
        }
        if (family) {
            return cli_usage(cli, "%s: which command? oxbow %s --help lists them", words[0],
                             words[0]);
        }
        return cli_usage(cli, "%s: no such command", words[0]);
    }
    if (cli->opt.help) {
        return help_of(cli->command);
    }
    find((char *const *)words, count, &used);
    cli->args = words + used;
    cli->arg_count = count - used;
    return run(cli);
}

/* popt gives each text in memory of its own. */
static void free_texts(const struct option_row *rows, struct options *opt)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        if (rows->kind == OPTION_TEXT) {
            char **text = (char **)(void *)((char *)opt + rows->offset);

            free(*text);
            *text = NULL;
        }
    }
}

int main(int argc, char **argv)
{
    struct poptOption table[COMMAND_OPTIONS_MAX + 16] = {{0}};
    struct cli cli = {.command = peek_command(argc, argv), .argv = argv};
    poptContext context;
    size_t n = fill(table, 0, global_options, &cli.opt);
    int code;
    int rc;

    signal(SIGPIPE, SIG_IGN);
    if (cli.command != NULL) {
        fill(table, n, cli.command->options, &cli.opt);
    }
    hide_numbers(argc, argv);
    context = poptGetContext("oxbow", argc, (const char **)argv, table, 0);
    rc = poptGetNextOpt(context);
    if (rc < -1) {
        code = cli_usage(&cli, "%s: %s", poptBadOption(context, 0), poptStrerror(rc));
    } else {
        code = take_arguments(&cli, context);
    }
    poptFreeContext(context);
    free_texts(global_options, &cli.opt);
    free_texts(cli.command != NULL ? cli.command->options : NULL, &cli.opt);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        fputs("oxbow: could not write the output\n", stderr);
        code = EXIT_FAILED;
    }
    return code;
}
