/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to a running oxbowd, by libhiredis. The one file that knows that library. Over TLS
 * (daemon_tls.c) hiredis connects, puts requests together and takes answers apart, and the bytes between go
 * another way: what it has of TLS itself differs from version to version, and is another library's.
 */
#include "tools/oxbow/daemon.h"

#include "tools/oxbow/daemon_tls.h"
#include "tools/oxbow/password.h"
#include "tools/oxbow/when.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define WHERE_MAX      1024u
#define PASSWORD_MAX   1024u
#define TIMEOUT_MS     5000u
#define TIMEOUT_MS_MAX 3600000u
#define PORT_DEFAULT   6379
#define REPLY_TEXT_MAX 300
#define TLS_PREFIX     "rediss://"
#define UNIX_PREFIX    "unix:"
#define READ_BYTES     16384u

struct daemon {
    redisContext *context;
    struct daemon_tls *tls; /* NULL: in clear */
    bool over_tls;          /* as it was asked for */
    redisReply *reply;      /* the newest: answers are borrowed from it */
    const char *what;       /* the command, for what goes wrong */
    uint64_t timeout_ms;
    char where[WHERE_MAX];
    char password[PASSWORD_MAX]; /* until it was said */
};

const char *daemon_where(const struct daemon *d)
{
    return d->where;
}

/* ---- what goes wrong ---- */

/* What comes from there has no hold on the terminal. */
static int fail(const struct daemon *d, const char *why)
{
    fprintf(stderr, "oxbow: %s: %s: ", d->what, d->where);
    for (; *why != '\0'; why++) {
        fputc((unsigned char)*why < ' ' || *why == 127 ? '?' : *why, stderr);
    }
    fputc('\n', stderr);
    return EXIT_FAILED;
}

/* What errno was: it is not kept, but its text is. */
static bool is_number(const redisContext *c, int number)
{
    return c->err == REDIS_ERR_IO && strcmp(c->errstr, strerror(number)) == 0;
}

/* The text of what hiredis says, for people. */
static int fail_link(const struct daemon *d, bool connected)
{
    const redisContext *c = d->context;
    char why[256];

    if (c->err == REDIS_ERR_EOF) {
        return fail(
            d, "it closed the connection (a port for TLS: --tls; too many clients; or it ends)");
    }
    if (c->err == REDIS_ERR_PROTOCOL) {
        return fail(d, "what answers there does not speak the Redis protocol");
    }
    if (is_number(c, EAGAIN) || is_number(c, ETIMEDOUT)) {
        (void)snprintf(why, sizeof why, "no answer within %llu ms (--timeout)",
                       (unsigned long long)d->timeout_ms);
        return fail(d, why);
    }
    if (!connected && (is_number(c, ECONNREFUSED) || is_number(c, ENOENT))) {
        return fail(d, "nobody listens there: is oxbowd running? (--server ADDRESS)");
    }
    (void)snprintf(why, sizeof why, "%s", c->errstr);
    return fail(d, why);
}

static bool begins(const redisReply *r, const char *word)
{
    size_t len = strlen(word);

    return r->len >= len && memcmp(r->str, word, len) == 0;
}

static int fail_reply(const struct daemon *d, const redisReply *r)
{
    char why[REPLY_TEXT_MAX + 32];

    if (begins(r, "NOAUTH")) {
        return fail(d, "it wants a password: $REDISCLI_AUTH or --password-file FILE");
    }
    if (begins(r, "WRONGPASS")) {
        return fail(d, "wrong user or password");
    }
    (void)snprintf(why, sizeof why, "it says: %.*s",
                   (int)(r->len < REPLY_TEXT_MAX ? r->len : REPLY_TEXT_MAX), r->str);
    return fail(d, why);
}

/* ---- asking ---- */

static struct daemon_value value_of(const redisReply *r)
{
    struct daemon_value v = {.text = {"", 0}};

    if (r->type == REDIS_REPLY_INTEGER) {
        v.number = r->integer;
    } else if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) {
        v.text = (struct oxbow_bytes){r->str, r->len};
    }
    return v;
}

/* The next answer, over TLS; an exit code. */
static int hear(struct daemon *d, void **reply)
{
    redisReader *reader = d->context->reader;
    char bytes[READ_BYTES];
    size_t got = 0;

    *reply = NULL;
    for (;;) {
        if (redisReaderGetReply(reader, reply) != REDIS_OK) {
            return fail(d, "what answers there does not speak the Redis protocol");
        }
        if (*reply != NULL) {
            return EXIT_DONE;
        }
        if (daemon_tls_read(d->tls, bytes, sizeof bytes, &got) != OXBOW_OK) {
            return fail(d, daemon_tls_error(d->tls));
        }
        if (redisReaderFeed(reader, bytes, got) != REDIS_OK) {
            return cli_fail(d->what, OXBOW_ENOMEM);
        }
    }
}

static int ask_over_tls(struct daemon *d, int argc, const char **argv)
{
    char *request = NULL;
    void *reply = NULL;
    int len = redisFormatCommandArgv(&request, argc, argv, NULL);
    int code = EXIT_DONE;

    if (len < 0) {
        return cli_fail(d->what, OXBOW_ENOMEM);
    }
    if (daemon_tls_send(d->tls, request, (size_t)len) != OXBOW_OK) {
        code = fail(d, daemon_tls_error(d->tls));
    }
    redisFreeCommand(request);
    if (code == EXIT_DONE) {
        code = hear(d, &reply);
    }
    d->reply = reply;
    return code;
}

int daemon_ask(struct daemon *d, const char *const *words, struct daemon_answer *answer)
{
    const char *argv[DAEMON_WORDS_MAX];
    redisReply *r;
    int argc = 0;
    int code = EXIT_DONE;

    for (; words[argc] != NULL && argc < (int)DAEMON_WORDS_MAX; argc++) {
        argv[argc] = words[argc];
    }
    if (d->reply != NULL) {
        freeReplyObject(d->reply);
        d->reply = NULL;
    }
    if (d->tls != NULL) {
        code = ask_over_tls(d, argc, argv);
    } else {
        d->reply = redisCommandArgv(d->context, argc, argv, NULL);
        code = d->reply != NULL ? EXIT_DONE : fail_link(d, true);
    }
    r = d->reply;
    if (r == NULL) {
        return code;
    }
    if (r->type == REDIS_REPLY_ERROR) {
        return fail_reply(d, r);
    }
    answer->count = 1;
    answer->values[0] = value_of(r);
    if (r->type == REDIS_REPLY_ARRAY) {
        for (answer->count = 0; answer->count < r->elements && answer->count < DAEMON_VALUES_MAX;
             answer->count++) {
            answer->values[answer->count] = value_of(r->element[answer->count]);
        }
    }
    return EXIT_DONE;
}

/* ---- opening ---- */

/* HOST:PORT, HOST, [V6]:PORT; *host is what to free. False: it is none of these. */
static bool split(const char *text, char **host, int *port)
{
    const char *colon = strrchr(text, ':');
    size_t len = strlen(text);
    char *end;
    unsigned long n;

    *port = PORT_DEFAULT;
    if (len > 0 && text[len - 1] == ']') {
        colon = NULL;
    }
    if (colon != NULL) {
        n = strtoul(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || n == 0 || n > 65535) {
            return false;
        }
        *port = (int)n;
        len = (size_t)(colon - text);
    }
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    *host = len > 0 ? strndup(text, len) : NULL;
    return *host != NULL;
}

/* The address without what is before it. */
static const char *address(const struct daemon *d)
{
    static const char *const prefixes[] = {TLS_PREFIX, UNIX_PREFIX};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t len = strlen(prefixes[i]);

        if (strncmp(d->where, prefixes[i], len) == 0) {
            return d->where + len;
        }
    }
    return d->where;
}

static bool is_socket(const struct daemon *d)
{
    return strncmp(d->where, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ||
           strchr(address(d), '/') != NULL;
}

/* `host`: whom the certificate must name unless --sni says another. */
static int secure(const struct cli *cli, struct daemon *d, const char *host)
{
    const struct options *o = &cli->opt;
    const struct oxbow_tls_config config = {
        .ca = {.path = o->ca},
        .cert = {.path = o->cert},
        .key = {.path = o->key},
        .server_name = o->server_name != NULL ? o->server_name : host,
        .sessions = OXBOW_TLS_SESSIONS_OFF,
    };
    struct oxbow_tls_why why = {""};
    enum oxbow_err err = daemon_tls_open(&config, d->context->fd, &why, &d->tls);

    return err == OXBOW_OK ? EXIT_DONE : fail(d, why.text);
}

static int dial(const struct cli *cli, struct daemon *d)
{
    const struct timeval limit = {(time_t)(d->timeout_ms / 1000),
                                  (suseconds_t)(d->timeout_ms % 1000 * 1000)};
    const char *at = address(d);
    char *host = NULL;
    int port;
    int code = EXIT_DONE;

    if (is_socket(d)) {
        d->context = redisConnectUnixWithTimeout(at, limit);
    } else if (split(at, &host, &port)) {
        d->context = redisConnectWithTimeout(host, port, limit);
    } else {
        return cli_usage(cli, "%s: want HOST:PORT or the path of a socket", d->where);
    }
    if (d->context == NULL) {
        code = cli_fail(d->what, OXBOW_ENOMEM);
    } else if (d->context->err != 0) {
        code = fail_link(d, false);
    } else if (redisSetTimeout(d->context, limit) != REDIS_OK) {
        code = fail_link(d, true);
    } else if (d->over_tls) {
        code = secure(cli, d, host);
    }
    free(host);
    return code;
}

/* What is said of TLS fits together. */
static int check_tls(const struct cli *cli, struct daemon *d)
{
    const struct options *o = &cli->opt;
    bool said = o->ca != NULL || o->cert != NULL || o->key != NULL || o->server_name != NULL;

    d->over_tls = o->tls != 0 || strncmp(d->where, TLS_PREFIX, strlen(TLS_PREFIX)) == 0;
    if (!d->over_tls) {
        return said ? cli_usage(cli, "--cacert, --cert, --key and --sni need --tls or an address "
                                     "that begins with " TLS_PREFIX)
                    : EXIT_DONE;
    }
    if (is_socket(d)) {
        return cli_usage(cli, "%s: there is no TLS over a Unix socket", d->where);
    }
    if (o->ca == NULL) {
        return cli_usage(cli, "TLS needs --cacert FILE: who may have signed the daemon's "
                              "certificate");
    }
    return (o->cert == NULL) == (o->key == NULL) ? EXIT_DONE
                                                 : cli_usage(cli, "--cert and --key go together");
}

/* What is wrong with the words is told before anybody is asked. */
static int take_password(const struct cli *cli, struct daemon *d)
{
    const char *from = getenv("REDISCLI_AUTH");

    if (cli->opt.password_file != NULL) {
        return password_read(cli->opt.password_file, d->password, sizeof d->password)
                   ? EXIT_DONE
                   : cli_usage(cli, "--password-file %s: cannot be read, or is empty",
                               cli->opt.password_file);
    }
    if (from != NULL && strlen(from) >= sizeof d->password) {
        return cli_usage(cli, "$REDISCLI_AUTH: too long");
    }
    (void)snprintf(d->password, sizeof d->password, "%s", from != NULL ? from : "");
    return d->password[0] != '\0' || cli->opt.user == NULL
               ? EXIT_DONE
               : cli_usage(cli, "--user needs a password: $REDISCLI_AUTH or --password-file");
}

static int log_in(const struct cli *cli, struct daemon *d)
{
    const char *words[] = {"AUTH", d->password, NULL, NULL};
    struct daemon_answer answer;
    int code;

    if (d->password[0] == '\0') {
        return EXIT_DONE;
    }
    if (cli->opt.user != NULL) {
        words[1] = cli->opt.user;
        words[2] = d->password;
    }
    code = daemon_ask(d, words, &answer);
    memset(d->password, 0, sizeof d->password);
    return code;
}

/* A Redis has no store of ours behind it. */
static int recognise(struct daemon *d)
{
    struct oxbow_bytes info;
    struct oxbow_bytes name;
    struct oxbow_bytes version = {"", 0};
    char why[128];
    int code = daemon_info(d, "server", &info);

    if (code != EXIT_DONE) {
        return code;
    }
    if (info_find(info, "server_name", &name) && name.len == 5 &&
        memcmp(name.data, "oxbow", 5) == 0) {
        return EXIT_DONE;
    }
    (void)!info_find(info, "redis_version", &version);
    (void)snprintf(why, sizeof why, "this is not oxbowd but a Redis %.*s",
                   (int)(version.len < 32 ? version.len : 32), (const char *)version.data);
    return fail(d, why);
}

static int parse(struct cli *cli, struct daemon *d)
{
    const char *at = cli->opt.server != NULL ? cli->opt.server : getenv("OXBOW_SERVER");
    int code;

    at = at != NULL && at[0] != '\0' ? at : DAEMON_DEFAULT;
    if (strlen(at) >= sizeof d->where) {
        return cli_usage(cli, "--server: too long");
    }
    memcpy(d->where, at, strlen(at) + 1);
    d->timeout_ms = TIMEOUT_MS;
    if (cli->opt.timeout != NULL && (!when_age(cli->opt.timeout, &d->timeout_ms) ||
                                     d->timeout_ms == 0 || d->timeout_ms > TIMEOUT_MS_MAX)) {
        return cli_usage(cli, "--timeout %s: a span like 500ms or 10s, up to 1h", cli->opt.timeout);
    }
    code = check_tls(cli, d);
    return code == EXIT_DONE ? take_password(cli, d) : code;
}

int daemon_open(struct cli *cli, const char *what, struct daemon **out)
{
    struct daemon *d = calloc(1, sizeof *d);
    int code;

    if (d == NULL) {
        return cli_fail(what, OXBOW_ENOMEM);
    }
    d->what = what;
    code = parse(cli, d);
    if (code == EXIT_DONE) {
        code = dial(cli, d);
    }
    if (code == EXIT_DONE) {
        code = log_in(cli, d);
    }
    if (code == EXIT_DONE) {
        code = recognise(d);
    }
    if (code != EXIT_DONE) {
        daemon_close(d);
        return code;
    }
    *out = d;
    return EXIT_DONE;
}

void daemon_close(struct daemon *d)
{
    if (d->reply != NULL) {
        freeReplyObject(d->reply);
    }
    daemon_tls_close(d->tls);
    if (d->context != NULL) {
        redisFree(d->context);
    }
    free(d);
}
