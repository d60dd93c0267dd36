/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line program: one table of subcommands.
 *
 * A subcommand is a row: name, arguments, summary, options, handler. Parser, help, completion and
 * the manual are made from the rows. A handler gets the parsed command line and gives an exit code.
 */
#ifndef OXBOW_TOOLS_COMMAND_H
#define OXBOW_TOOLS_COMMAND_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NOTHING = 1, /* it worked, and there was nothing: an empty queue, a finding-free "no" */
    EXIT_USAGE = 2,   /* the words are off */
    EXIT_FAILED = 3   /* it did not work; standard error says why */
};

/* Everything that an option can set. All zero means not given. */
struct options {
    char *dir;       /* -d */
    int json;        /* --json */
    int database;    /* -n */
    char *sync;      /* --sync */
    int interval_ms; /* --interval-ms */
    long long quota; /* --quota, bytes */
    char *endurance; /* --endurance, a size */
    char *journal;   /* --journal */
    char *foreign;   /* --on-foreign */
    char *failure;   /* --on-failure, of what stays for long */
    char *memory;    /* --memory-max */
    char *max_rate;  /* of the uplink */
    char *stand_in;  /* --stand-in */
    int help, version;
    /* of subcommands */
    int right, left, existing, reverse, noack, history, make_stream, at_end, force, quick, list,
        urgent, plain, drain;
    int stdin_lines;
    long long count, idle_ms, maxlen, max_bytes, hold_ms;
    char *id, *from, *to, *consumer, *target, *select, *confirm, *after, *on_full;
    char *ca, *cert, *key, *server_name, *user, *password_file;
    char *in, *at, *ttl, *producer;
    char *offset, *missed, *late;
    int true_time;
    long long missed_max;
    long long sequence;
    char *only;
    char *size;
    int seconds;
    int large, sync_delay;
    int dry_run, forget;
    char *delay, *reason;
    int priority;
    int now;
    int redis;
    int dead;
    char *timeout, *dead_list;
    char *server; /* of a running daemon */
    int tls;
    long long max_returns;
};

enum option_kind { OPTION_FLAG, OPTION_INT, OPTION_COUNT, OPTION_TEXT };

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    size_t offset;     /* of the member in struct options */
    const char *value; /* what its value is called in the help; NULL for a flag */
    const char *help;
};

struct cli {
    struct options opt;
    const char **args; /* closed by NULL */
    char **argv;       /* of main */
    size_t arg_count;
    const struct command *command;
    struct oxbow *db;       /* open when the row says so */
    struct oxbow_port port; /* that stores are opened with: it outlives them */
    char owner[32];         /* "process 7": who has the store, if it did not open for that */
    bool may_stand_in;      /* --stand-in holds for what is opened now */
};

#define COMMAND_STORE 0x01u /* opens the store, making it if absent */
#define COMMAND_EXIST 0x02u /* opens it only if it exists */
#define COMMAND_READ  0x04u /* opens it read-only */
#define COMMAND_TELLS 0x08u /* tells what the uplink logs: those lines are left out */

#define COMMAND_LOOKS 0x10u /* without arguments it makes no store */
#define COMMAND_ASKS  0x20u /* with --server it opens no store */

#define COMMAND_OPTIONS_MAX 16

struct command {
    const char *name; /* one or two words: "push", "group read" */
    const char *args; /* "KEY VALUE..." */
    size_t args_min;
    size_t args_max; /* SIZE_MAX: any number */
    uint32_t flags;
    const char *summary;
    int (*run)(struct cli *cli);
    const struct option_row *options; /* closed by an all-zero row; may be NULL */
};

extern const struct command *const command_groups[]; /* tables, each closed by an all-zero row */
extern const struct option_row global_options[];

/* The tables, one per file. */
extern const struct command commands_list[];
extern const struct command commands_stream[];
extern const struct command commands_string[];
extern const struct command commands_key[];
extern const struct command commands_binding[];
extern const struct command commands_group[];
extern const struct command commands_queue[];
extern const struct command commands_consumer[];
extern const struct command commands_store[];
extern const struct command commands_forward[];
extern const struct command commands_uplink[];
extern const struct command commands_time[];
extern const struct command commands_once[];
extern const struct command commands_delay[];
extern const struct command commands_schedule[];
extern const struct command commands_metrics[];
extern const struct command commands_server[];
extern const struct command commands_backup[];
extern const struct command commands_top[];
extern const struct command commands_self[];

/* Walks all rows of all tables: start with *group = *row = 0; NULL at the end. */
const struct command *command_next(size_t *group, size_t *row);

/* Prints "oxbow: what: why" to standard error and gives EXIT_FAILED. */
int cli_fail(const char *what, enum oxbow_err err);
/* The same of a store that did not open; with `make` it was to be made if absent. */
int cli_fail_open(const struct cli *cli, bool make, enum oxbow_err err);
int cli_usage(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends the transaction by its outcome: commit when `err` is OK, else abort. Gives the exit code,
 * having said what went wrong. */
int cli_finish(struct oxbow_txn *txn, const char *what, enum oxbow_err err);
/* Begins a transaction in the database that the command line names. */
OXBOW_MUST_CHECK enum oxbow_err cli_begin(struct cli *cli, uint32_t flags, struct oxbow_txn **txn);

struct oxbow_bytes bytes_of(const char *text);
/* The pairs FIELD VALUE that follow the command's first argument, to be freed; their texts are
 * borrowed. Gives EXIT_DONE, or the exit code, having said what is wrong; `what` is the command. */
int cli_fields(const struct cli *cli, const char *what, struct oxbow_field **fields,
               uint32_t *count);

/* The store's directory: -d, else $OXBOW_DIR, else ./oxbow-data. */
const char *cli_dir(const struct cli *cli);
/* Bytes, as a number or with one of k, M, G, T (decimal, as on data sheets). False: neither. */
bool cli_size(const char *text, uint64_t *bytes);
/* The port for its stores: what they log goes below a line of progress. */
const struct oxbow_port *cli_port(struct cli *cli);
/* Opens a store in `dir` as the command line's options say. */
/* The command's own store, as its row says, into cli->db; also after it was closed. */
OXBOW_MUST_CHECK enum oxbow_err cli_open_store(struct cli *cli);
OXBOW_MUST_CHECK enum oxbow_err cli_open(struct cli *cli, const char *dir, uint32_t flags,
                                         struct oxbow **out);

/* cmd_binding.c: bindings and sources said in words. *why is NULL, or what is wrong with the words: then
 * nothing was done. */
OXBOW_MUST_CHECK enum oxbow_err binding_words(struct oxbow_txn *txn, const char *const *words,
                                              size_t count, uint32_t *id, const char **why);
OXBOW_MUST_CHECK enum oxbow_err source_words(struct oxbow_txn *txn, const char *const *words,
                                             size_t count, const char **why);

/* cmd_check.c */
int check_main(struct cli *cli);
int compact_main(struct cli *cli);

/* cmd_repair.c */
int repair_main(struct cli *cli);
extern const struct option_row repair_options[];

/* cmd_probe.c */
int probe_main(struct cli *cli);
extern const struct option_row probe_options[];

/* cmd_self.c */
int print_version(struct cli *cli);

/* cmd_server.c: what a running daemon says, with --server. */
int server_stat(struct cli *cli);
int server_uplink(struct cli *cli);
extern const struct option_row ask_options[];

/* bench.c */
int bench_main(const struct cli *cli);

#endif
