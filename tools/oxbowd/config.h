/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What oxbowd is told: by a file of redis.conf's form and by its command line, from one table.
 *
 * Names are Redis' where the concept is Redis'. Each line is `name value...`; words may be quoted
 * ("\n", "\xff" in double quotes), what begins with # is a comment, `include FILE` reads another one.
 * What is unknown or malformed is an error that names file, line and option: nothing is passed over in
 * silence.
 */
#ifndef OXBOWD_CONFIG_H
#define OXBOWD_CONFIG_H

#include "oxbow/cache.h"
#include "oxbow/forward.h"
#include "oxbow/oxbow.h"
#include "oxbow/resp_uv.h"
#include "oxbow/uplink.h"

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_TEXT_MAX     256u
#define CONFIG_WORDS_MAX    64u
#define CONFIG_LINE_MAX     4096u
#define CONFIG_WHY_MAX      512u
#define CONFIG_USERS_MAX    65536u
#define CONFIG_FORWARDS_MAX 65536u
#define CONFIG_RULES_MAX    256u /* of queues, and of groups */
#define CONFIG_RULES_BYTES  65536u
#define CONFIG_NAMES_MIN    32u /* of names-max, but for 0 */

struct config_binds {
    char text[OXBOW_RESP_UV_BINDS_MAX][CONFIG_TEXT_MAX];
    uint32_t count;
};

/* One that the uplink may connect to. */
struct config_target {
    char host[OXBOW_UPLINK_HOST_MAX + 1]; /* or "unix:/path" */
    uint16_t port;                        /* 0: 6379 */
    bool tls;
};

struct config_targets {
    struct config_target at[OXBOW_UPLINK_TARGETS_MAX];
    uint32_t count;
};

/* Words, each with its zero, of one forward after the other, each of which ends with another zero. */
struct config_forwards {
    char text[CONFIG_FORWARDS_MAX];
    size_t len;
    uint32_t count;
};

/* One of them, understood; texts are borrowed from its words. */
struct config_forward {
    const char *name;
    uint32_t database;
    struct oxbow_forward_options options;
};

/* What queues and groups are given by patterns of their names; texts lie in `text`. */
struct config_rules {
    struct oxbow_resp_queue_rule queues[CONFIG_RULES_MAX];
    struct oxbow_resp_group_rule groups[CONFIG_RULES_MAX];
    uint32_t queue_count;
    uint32_t group_count;
    char text[CONFIG_RULES_BYTES];
    size_t len;
};

/* What clients of a class may leave unread: client-output-buffer-limit. */
struct config_limit {
    uint64_t hard;
    uint64_t soft;
    uint64_t soft_s;
};

#define CONFIG_LIMITS_CLASSES 3u

struct config_limits {
    struct config_limit at[CONFIG_LIMITS_CLASSES];
};

/* Databases that differ: db N sync POLICY, db N memory. */
struct config_own_sync {
    bool memory; /* kept in memory alone; then nothing else is said of it */
    bool said;
    enum oxbow_sync sync; /* OXBOW_SYNC_DEFAULT: the store's */
    uint64_t interval_ms; /* 0: the store's */
};

#define CONFIG_DATABASES_COUNT OXBOW_RESP_DATABASES

struct config_databases {
    struct config_own_sync at[CONFIG_DATABASES_COUNT];
};

struct config_uplink {
    struct config_targets targets;
    struct config_forwards forwards;
    uint64_t database;
    char device[CONFIG_TEXT_MAX];
    char machine[CONFIG_TEXT_MAX];
    char user[CONFIG_TEXT_MAX];
    char password_file[CONFIG_TEXT_MAX];
    char tls_ca[CONFIG_TEXT_MAX];
    char tls_crl[CONFIG_TEXT_MAX];
    char tls_cert[CONFIG_TEXT_MAX];
    char tls_key[CONFIG_TEXT_MAX];
    char tls_key_pass[CONFIG_TEXT_MAX];
    char tls_server_name[CONFIG_TEXT_MAX];
    uint64_t tls_clock; /* enum oxbow_tls_clock */
    uint64_t link;      /* enum oxbow_uplink_link */
    uint64_t mode;      /* enum oxbow_uplink_mode */
    char function[CONFIG_TEXT_MAX];
    uint64_t max_rate;
    uint64_t spread_ms;
};

/* One field per row of the table; config_init fills in the defaults. */
struct config {
    struct config_binds bind;
    uint64_t port;
    uint64_t tls_port;
    char tls_cert[CONFIG_TEXT_MAX];
    char tls_key[CONFIG_TEXT_MAX];
    char tls_key_pass[CONFIG_TEXT_MAX];
    char tls_ca[CONFIG_TEXT_MAX];
    uint64_t tls_clients; /* enum oxbow_tls_clients */
    char unixsocket[CONFIG_TEXT_MAX];
    uint64_t unixsocketperm;
    uint64_t sentinel_port;
    char sentinel_names[OXBOW_RESP_NAMES_MAX + 1]; /* separated by blanks */
    char announce_ip[CONFIG_TEXT_MAX];
    uint64_t announce_port;
    char requirepass[CONFIG_TEXT_MAX];
    bool protected_mode;
    char aclfile[CONFIG_TEXT_MAX];
    char users[CONFIG_USERS_MAX]; /* lines "user NAME RULE..." */
    uint64_t acllog_max;
    uint64_t acl_pubsub; /* 1: allchannels */
    uint64_t debug;      /* enum oxbow_resp_debug */
    uint64_t timeout;
    uint64_t maxclients;
    uint64_t tcp_backlog;
    uint64_t tcp_keepalive;
    uint64_t databases;
    uint64_t query_limit;
    uint64_t bulk_max;
    uint64_t reply_limit;
    struct config_limits output_limits;
    uint64_t script_ms;
    uint64_t script_memory;
    uint64_t maxmemory;
    uint64_t maxmemory_policy; /* enum oxbow_evict */
    uint64_t maxmemory_samples;
    char keyspace_events[CONFIG_TEXT_MAX];
    int64_t slow_us; /* -1: nothing is noted */
    uint64_t slow_max;
    uint64_t latency_ms;
    bool latency_tracking;
    uint64_t track_keys;
    uint64_t daemonize;
    uint64_t supervised;
    char dir[CONFIG_TEXT_MAX];
    uint64_t appendfsync; /* enum oxbow_sync */
    uint64_t interval_ms;
    struct config_databases own_sync;
    uint64_t quota;
    uint64_t disk_limit;
    uint64_t journal; /* enum oxbow_journal */
    uint64_t journal_segments;
    uint64_t journal_segment_size;
    uint64_t dirty_pages;
    uint64_t memtable;
    uint64_t names;
    uint64_t checkpoint_ms;
    uint64_t entry_max;
    uint64_t endurance;
    uint64_t on_foreign; /* enum oxbow_on_foreign */
    uint64_t on_failure; /* enum oxbow_on_failure */
    uint64_t memory_max;
    char stand_in[CONFIG_TEXT_MAX];
    uint64_t loglevel; /* enum oxbow_log_level */
    char logfile[CONFIG_TEXT_MAX];
    char pidfile[CONFIG_TEXT_MAX];
    struct config_uplink uplink;
    struct config_rules rules;

    char file[CONFIG_TEXT_MAX]; /* that was read; empty: none */
    uint32_t without_meaning; /* how many options were given that Redis has and oxbowd needs not */
    char without_meaning_first[CONFIG_TEXT_MAX];
};

enum config_kind {
    CONFIG_NUMBER,         /* least to most */
    CONFIG_NUMBER_OR_NONE, /* likewise, or -1 */
    CONFIG_OCTAL,
    CONFIG_SIZE, /* with k, kb, m, mb, ...; least to most */
    CONFIG_YESNO,
    CONFIG_TEXT,
    CONFIG_WORD, /* one of `words` */
    CONFIG_ADDRESSES,
    CONFIG_NAMES, /* of the master, for Sentinel's clients */
    CONFIG_USERS, /* may be given more than once: a line each */
    CONFIG_TARGETS,
    CONFIG_FORWARDS, /* may be given more than once: one each */
    CONFIG_QUEUES,   /* likewise */
    CONFIG_GROUPS,
    CONFIG_LIMITS,   /* of several classes, in one line or more */
    CONFIG_DATABASES /* likewise of several databases */
};

struct config_word {
    const char *name; /* NULL: the end */
    uint64_t value;
};

struct config_row {
    const char *name;
    enum config_kind kind;
    size_t offset;        /* in struct config */
    const char *standard; /* the default, as it would stand in a file */
    uint64_t least;
    uint64_t most;
    const struct config_word *words;
    const char *help;
};

/* Ends with a row without a name. */
extern const struct config_row config_rows[];
/* Names that Redis has and that have no meaning here: accepted and counted. Ends with NULL. */
extern const char *const config_without_meaning[];

/* Why something was refused: "oxbowd.conf:3: port: ...". */
struct config_why {
    char text[CONFIG_WHY_MAX];
};

void config_init(struct config *c);
/* In any case; NULL: there is none. */
const struct config_row *config_row_of(const char *name);
/* Whether the option has the same value in both. Not for those that may be given more than once. */
bool config_same(const struct config_row *row, const struct config *a, const struct config *b);
/* Splits a line into words, in place. False: unbalanced quotes or too many words. */
bool config_split(char *line, char *words[CONFIG_WORDS_MAX], uint32_t *count);
/* Takes one option; `where` is what the complaint begins with. */
bool config_set(struct config *c, const char *where, char *const *words, uint32_t count,
                struct config_why *why);
/* Reads a file ("-": standard input), and those that it includes. */
bool config_read(struct config *c, const char *path, struct config_why *why);
/* Whether it listens where others than this machine may come from. */
bool config_is_public(const struct config *c);
/* Whether the options go together. */
bool config_check(const struct config *c, struct config_why *why);
/* ---- config_uplink.c ---- */

bool config_targets_take(struct config_targets *out, char *const *words, uint32_t count,
                         struct config_why *why);
/* Adds the forward. */
bool config_forwards_take(struct config_forwards *out, char *const *words, uint32_t count,
                          struct config_why *why);
/* The words of the forward at *pos, which moves to the next; the last one ends at all->len. */
uint32_t config_forward_words(const struct config_forwards *all, size_t *pos,
                              char *words[CONFIG_WORDS_MAX]);
bool config_forward_parse(char *const *words, uint32_t count, struct config_forward *out,
                          struct config_why *why);
/* Whether it goes together; if not, *name is the option at fault. */
bool config_uplink_check(const struct config *c, const char **name, struct config_why *why);

/* ---- config_rules.c ---- */

/* Adds the rule: PATTERN [FIELD VALUE]..., KEY-PATTERN GROUP-PATTERN [OPTION VALUE]... */
bool config_queues_take(struct config_rules *out, char *const *words, uint32_t count,
                        struct config_why *why);
bool config_groups_take(struct config_rules *out, char *const *words, uint32_t count,
                        struct config_why *why);

/* ---- config_limits.c ---- */

/* CLASS HARD SOFT SECONDS, of one class or of several: the others stay as they are. */
bool config_limits_take(struct config_limits *out, char *const *words, uint32_t count,
                        struct config_why *why);
/* All of them, as config_limits_take reads them. */
void config_limits_text(const struct config_limits *limits, char *out, size_t len);

/* ---- config_databases.c ---- */

/* NUMBER sync POLICY or NUMBER memory, of one database or of several: the others stay as they are. */
bool config_databases_take(struct config_databases *out, char *const *words, uint32_t count,
                           struct config_why *why);
bool config_databases_same(const struct config_databases *a, const struct config_databases *b);
/* Whether one of them has the policy that needs the journal. */
bool config_databases_none(const struct config_databases *all);
/* Those that are kept in memory, a bit each. */
uint32_t config_databases_memory(const struct config_databases *all);
/* All that were said, as config_databases_take reads them. */
void config_databases_text(const struct config_databases *all, char *out, size_t len);

/* ---- config_told.c ---- */

#define CONFIG_ROWS_MAX    128u
#define CONFIG_TOLD_NUMBER 24u

/* What CONFIG GET tells beside what the server knows itself: one value each, none of them secret. */
struct config_told {
    struct oxbow_resp_setting at[CONFIG_ROWS_MAX];
    uint32_t count;
    char numbers[CONFIG_ROWS_MAX][CONFIG_TOLD_NUMBER];
    char addresses[OXBOW_RESP_UV_BINDS_MAX * CONFIG_TEXT_MAX];
};

/* Borrows from `c`. */
void config_told(const struct config *c, struct config_told *out);

/* Bytes as redis.conf has them: k is 1000, kb 1024. */
bool config_size_of(const char *text, uint64_t *n);

/* The table, for people. */
void config_print_help(void);
/* The same as the rows of a table in Markdown. */
void config_print_markdown(void);

#endif
