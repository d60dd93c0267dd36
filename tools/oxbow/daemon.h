/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running oxbowd, as its operator asks it: a connection by the Redis protocol, and the answers.
 * Everything here that gives an exit code has said on standard error what went wrong.
 *
 * Without libhiredis (OXBOW_CLIENT=OFF) daemon_none.c takes the place of daemon.c: the commands are
 * there and say so.
 */
#ifndef OXBOW_TOOLS_DAEMON_H
#define OXBOW_TOOLS_DAEMON_H

#include "tools/oxbow/command.h"

#include <stdbool.h>

#define DAEMON_DEFAULT    "127.0.0.1:6379"
#define DAEMON_WORDS_MAX  16u
#define DAEMON_VALUES_MAX 16u

struct daemon;

/* Connects to --server, else $OXBOW_SERVER, else DAEMON_DEFAULT, with --tls over TLS; logs in as --user with the password
 * of --password-file or $REDISCLI_AUTH; makes sure that it is an oxbowd. `what` is the command. */
int daemon_open(struct cli *cli, const char *what, struct daemon **out);
void daemon_close(struct daemon *d);
/* Where it is, as the command line says it. */
const char *daemon_where(const struct daemon *d);

/* What an answer is made of: a text, or a number. */
struct daemon_value {
    struct oxbow_bytes text; /* of a number: empty */
    long long number;        /* of a text: 0 */
};

struct daemon_answer {
    struct daemon_value values[DAEMON_VALUES_MAX]; /* of an array, or the one */
    size_t count;
};

/* Sends the words, up to a NULL, and waits for the answer, whose texts live until the next one. */
int daemon_ask(struct daemon *d, const char *const *words, struct daemon_answer *answer);

/* ---- INFO ---- */

/* The text of INFO, with these sections (NULL: all); lives until the next question. */
int daemon_info(struct daemon *d, const char *section, struct oxbow_bytes *text);
/* The value of a line `name:value`. False: there is none. */
bool info_find(struct oxbow_bytes info, const char *name, struct oxbow_bytes *value);
/* The same as a number; 0: there is none. */
uint64_t info_number(struct oxbow_bytes info, const char *name);
/* Of a value `a=1,b=2`: the text behind `name=`. */
bool info_part(struct oxbow_bytes value, const char *name, struct oxbow_bytes *part);
/* The next line whose name begins with `prefix`: the rest of the name, and the value. *pos begins
 * with 0. */
bool info_next(struct oxbow_bytes info, const char *prefix, size_t *pos, struct oxbow_bytes *name,
               struct oxbow_bytes *value);
/* The number that a text begins with. */
uint64_t info_count(struct oxbow_bytes text);

/* The rows that every command has that asks a daemon. */
#define DAEMON_OPTIONS(help)                                                                       \
    {"server", 0, OPTION_TEXT, offsetof(struct options, server), "ADDRESS", help},                 \
        {"user",      0,                                                                           \
         OPTION_TEXT, offsetof(struct options, user),                                              \
         "NAME",      "ACL user of the daemon (default: the default user)"},                       \
        {"password-file", 0,                                                                       \
         OPTION_TEXT,     offsetof(struct options, password_file),                                 \
         "FILE",          "its first line is the password (default: $REDISCLI_AUTH)"},             \
        {"tls",       0,                                                                           \
         OPTION_FLAG, offsetof(struct options, tls),                                               \
         NULL,        "over TLS, as with an address that begins with rediss://"},                  \
        {"cacert",    0,                                                                           \
         OPTION_TEXT, offsetof(struct options, ca),                                                \
         "FILE",      "who may have signed the daemon's certificate"},                             \
        {"cert", 0, OPTION_TEXT, offsetof(struct options, cert), "FILE", "our certificate"},       \
        {"key", 0, OPTION_TEXT, offsetof(struct options, key), "FILE", "its key"},                 \
        {"sni",       0,                                                                           \
         OPTION_TEXT, offsetof(struct options, server_name),                                       \
         "NAME",      "whom its certificate must name (default: the host)"},                       \
    {                                                                                              \
        "timeout", 0, OPTION_TEXT, offsetof(struct options, timeout), "SPAN",                      \
            "how long an answer may take, like 500ms or 1m (default 5s)"                           \
    }
#define DAEMON_SERVER_HELP                                                                         \
    "HOST:PORT, rediss://HOST:PORT or a socket's path (default: $OXBOW_SERVER, "                   \
    "else " DAEMON_DEFAULT ")"

#endif
