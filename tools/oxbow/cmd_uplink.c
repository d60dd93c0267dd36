/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands that speak with the target, or about it: check, run, acl. */
#include "oxbow/forward.h"
#include "oxbow/uplink.h"
#include "oxbow/uplink_uv.h"
#include "tools/oxbow/command.h"
#include "tools/oxbow/out.h"
#include "tools/oxbow/password.h"

#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK_TIMEOUT_MS 60000
#define POLL_MS          200
#define ACL_MAX          65536u

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* What the command line says of the target. Texts are borrowed from the options. */
struct link {
    struct oxbow_uplink_target target;
    char host[OXBOW_UPLINK_HOST_MAX + 1];
    char password[OXBOW_UPLINK_SECRET_MAX + 1];
    struct oxbow_uplink_config session;
    struct oxbow_tls_config tls;
    struct oxbow_uplink_uv_config driver;
    struct oxbow_uplink *uplink;
    struct oxbow_uplink_thread *thread;
};

/* HOST:PORT, [V6]:PORT or unix:PATH; the port may be missing. */
static bool parse_target(const char *text, struct link *l)
{
    const char *colon = strrchr(text, ':');
    size_t len = strlen(text);
    char *end;
    unsigned long port;

    if (strncmp(text, "unix:", 5) == 0 || colon == NULL || text[len - 1] == ']') {
        colon = NULL;
    }
    if (colon != NULL) {
        port = strtoul(colon + 1, &end, 10);
        if (*end != '\0' || port == 0 || port > 65535) {
            return false;
        }
        l->target.port = (uint16_t)port;
        len = (size_t)(colon - text);
    }
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len > OXBOW_UPLINK_HOST_MAX) {
        return false;
    }
    memcpy(l->host, text, len);
    l->target.host = l->host;
    return true;
}

static int parse_link(struct cli *cli, struct link *l)
{
    const struct options *o = &cli->opt;

    if (!parse_target(cli->args[0], l)) {
        return cli_usage(cli, "%s: want HOST:PORT or unix:PATH", cli->args[0]);
    }
    if (!o->plain && o->ca == NULL) {
        return cli_usage(cli, "name the authority with --ca FILE (or say --plain: no TLS)");
    }
    if ((o->cert == NULL) != (o->key == NULL)) {
        return cli_usage(cli, "--cert and --key go together");
    }
    if (o->password_file != NULL &&
        !password_read(o->password_file, l->password, sizeof l->password)) {
        return cli_usage(cli, "--password-file %s: cannot be read, or is empty", o->password_file);
    }
    l->session = (struct oxbow_uplink_config){
        .targets = &l->target,
        .target_count = 1,
        .user = o->user,
        .password = o->password_file != NULL ? l->password : NULL,
        .first_spread_ms = 1,
    };
    l->tls = (struct oxbow_tls_config){
        .ca = {.path = o->ca},
        .cert = {.path = o->cert},
        .key = {.path = o->key},
        .server_name = o->server_name != NULL ? o->server_name : l->host,
    };
    l->driver = (struct oxbow_uplink_uv_config){
        .db = cli->db,
        .tls = o->plain ? NULL : oxbow_tls_mbedtls(),
        .tls_config = o->plain ? NULL : &l->tls,
        .plain = o->plain != 0,
    };
    return EXIT_DONE;
}

static int no_identity(void)
{
    fputs("oxbow: the store has no identity yet: oxbow identity DEVICE\n", stderr);
    return EXIT_FAILED;
}

static int start(struct link *l)
{
    struct oxbow_tls_why why = {""};
    enum oxbow_err err = oxbow_uplink_open(l->driver.db, &l->session, &l->uplink);

    if (err == OXBOW_ENOENT) {
        return no_identity();
    }
    if (err == OXBOW_OK) {
        err = oxbow_uplink_thread_open(l->uplink, &l->driver, &why, &l->thread);
        if (err != OXBOW_OK) {
            oxbow_uplink_close(l->uplink);
            l->uplink = NULL;
        }
    }
    if (err == OXBOW_OK) {
        return EXIT_DONE;
    }
    return cli_fail(why.text[0] != '\0' ? why.text : "uplink", err);
}

static void finish(struct link *l)
{
    oxbow_uplink_thread_close(l->thread);
    oxbow_uplink_close(l->uplink);
}

static int print_findings(const struct cli *cli, struct oxbow_uplink *u)
{
    static const char *const columns[] = {"", "what", "finding", NULL};
    static const char *const json_columns[] = {"level", "what", "finding", NULL};
    static const char *const levels[] = {"ok", "?", "warn", "BAD"};
    const struct oxbow_uplink_finding *f;
    struct out *out = out_open(cli->opt.json, false, cli->opt.json ? json_columns : columns);
    bool bad = false;
    size_t count;

    oxbow_uplink_findings(u, &f, &count);
    for (size_t i = 0; i < count; i++) {
        out_text(out, levels[(size_t)f[i].level % 4]);
        out_text(out, f[i].what);
        out_text(out, f[i].text);
        bad = bad || f[i].level == OXBOW_CHECK_BAD;
    }
    return out_close(out) && !bad && count > 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_check(struct cli *cli)
{
    struct link *l = calloc(1, sizeof *l);
    int code;

    if (l == NULL) {
        return cli_fail("uplink check", OXBOW_ENOMEM);
    }
    code = parse_link(cli, l);
    if (code == EXIT_DONE) {
        l->session.check = true;
        code = start(l);
    }
    if (code == EXIT_DONE) {
        enum oxbow_err err = oxbow_uplink_thread_wait(l->thread, CHECK_TIMEOUT_MS);

        oxbow_uplink_thread_close(l->thread);
        l->thread = NULL;
        code = print_findings(cli, l->uplink);
        if (err != OXBOW_OK) {
            code = cli_fail("uplink check", err);
        }
        finish(l);
    }
    free(l);
    return code;
}

static void show_progress(struct oxbow_uplink *u)
{
    struct oxbow_uplink_status s;

    oxbow_uplink_status(u, &s);
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K%s%s %s: %" PRIu64 " entries in %" PRIu64 " batches",
                s.in_memory ? "DEVICE FAILED, IN MEMORY: " : "", oxbow_uplink_state_name(s.state),
                s.target, s.entries, s.batches);
    }
}

static bool device_is_back(const struct cli *cli)
{
    struct oxbow_stat stat;

    oxbow_stat(cli->db, &stat);
    return stat.device_back;
}

/* Until everything is confirmed (--drain), or for ever; Ctrl-C ends it in order, and *back a
 * stand-in's. */
static int carry(struct cli *cli, struct link *l, bool *back)
{
    struct oxbow_uplink_status s;
    enum oxbow_err err = OXBOW_ETIMEDOUT;

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    while (!interrupted && err == OXBOW_ETIMEDOUT && !*back) {
        if (cli->opt.drain) {
            err = oxbow_uplink_drain(l->uplink, NULL, POLL_MS);
        } else {
            usleep(POLL_MS * 1000);
        }
        show_progress(l->uplink);
        *back = err == OXBOW_ETIMEDOUT && device_is_back(cli);
    }
    oxbow_uplink_status(l->uplink, &s);
    finish(l);
    fprintf(stderr, "%s%" PRIu64 " entries in %" PRIu64 " batches, %" PRIu64 " bytes sent\n",
            isatty(STDERR_FILENO) ? "\r\033[K" : "", s.entries, s.batches, s.bytes_out);
    if (err != OXBOW_OK && err != OXBOW_ETIMEDOUT) {
        return cli_fail("uplink run", err);
    }
    return cli->opt.drain && err != OXBOW_OK ? EXIT_NOTHING : EXIT_DONE;
}

static int parse_rate(const struct cli *cli, struct link *l)
{
    uint64_t rate = 0;

    if (cli->opt.max_rate != NULL && (!cli_size(cli->opt.max_rate, &rate) ||
                                      rate < OXBOW_UPLINK_RATE_MIN || rate > UINT32_MAX)) {
        return cli_usage(cli, "--max-rate %s: bytes a second, like 20k, at least %u",
                         cli->opt.max_rate, OXBOW_UPLINK_RATE_MIN);
    }
    l->session.rate_bytes_s_max = (uint32_t)rate;
    return EXIT_DONE;
}

/* The store instead of its stand-in, which it takes up. */
static int open_again(struct cli *cli, struct link *l)
{
    enum oxbow_err err = oxbow_close(cli->db);

    cli->db = NULL;
    if (err != OXBOW_OK) {
        return cli_fail("closing the stand-in", err);
    }
    err = cli_open_store(cli);
    l->driver.db = cli->db;
    return err == OXBOW_OK ? EXIT_DONE : cli_fail_open(cli, false, err);
}

static int run_run(struct cli *cli)
{
    struct link *l = calloc(1, sizeof *l);
    bool back;
    int code;

    if (l == NULL) {
        return cli_fail("uplink run", OXBOW_ENOMEM);
    }
    code = parse_link(cli, l);
    if (code == EXIT_DONE) {
        code = parse_rate(cli, l);
    }
    do {
        back = false;
        if (code == EXIT_DONE) {
            code = start(l);
        }
        if (code == EXIT_DONE) {
            code = carry(cli, l, &back);
        }
        if (back && !interrupted) {
            code = open_again(cli, l);
        }
    } while (back && !interrupted && code == EXIT_DONE);
    free(l);
    return code;
}

static int run_acl(struct cli *cli)
{
    char *line = malloc(ACL_MAX);
    enum oxbow_err err = OXBOW_ENOMEM;

    if (line != NULL) {
        err = oxbow_uplink_acl_line(cli->db, cli->opt.user, OXBOW_UPLINK_AUTO, line, ACL_MAX);
    }
    if (err == OXBOW_OK) {
        puts(line);
    }
    free(line);
    if (err == OXBOW_ENOENT) {
        return no_identity();
    }
    return err == OXBOW_OK ? EXIT_DONE : cli_fail("uplink acl", err);
}

#define LINK_OPTIONS                                                                               \
    {"ca",        0,                                                                               \
     OPTION_TEXT, offsetof(struct options, ca),                                                    \
     "FILE",      "authority that signs the target's certificate"},                                \
        {"cert", 0, OPTION_TEXT, offsetof(struct options, cert), "FILE", "our certificate"},       \
        {"key", 0, OPTION_TEXT, offsetof(struct options, key), "FILE", "its key"},                 \
        {"server-name", 0,                                                                         \
         OPTION_TEXT,   offsetof(struct options, server_name),                                     \
         "NAME",        "whom the certificate must name (default: the host)"},                     \
        {"user", 0, OPTION_TEXT, offsetof(struct options, user), "NAME", "ACL user"},              \
        {"password-file", 0,                                                                       \
         OPTION_TEXT,     offsetof(struct options, password_file),                                 \
         "FILE",          "its first line is the password"},                                       \
    {                                                                                              \
        "plain", 0, OPTION_FLAG, offsetof(struct options, plain), NULL,                            \
            "no TLS: everything goes in clear"                                                     \
    }

static const struct option_row check_options[] = {
    LINK_OPTIONS,
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row run_options[] = {
    LINK_OPTIONS,
    {"drain", 0, OPTION_FLAG, offsetof(struct options, drain), NULL,
     "end when everything is confirmed"},
    {"max-rate", 0, OPTION_TEXT, offsetof(struct options, max_rate), "SIZE",
     "bytes a second at most (default: as fast as it goes)"},
    {"on-failure", 0, OPTION_TEXT, offsetof(struct options, failure), "stop|memory",
     "what to do when the store's device fails: stop (default), or go on in memory until it is "
     "back"},
    {"memory-max", 0, OPTION_TEXT, offsetof(struct options, memory), "SIZE",
     "how much may be held there (default 16 MiB)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

static const struct option_row acl_options[] = {
    {"user", 0, OPTION_TEXT, offsetof(struct options, user), "NAME",
     "the user's name (default: the device's)"},
    {NULL, 0, OPTION_FLAG, 0, NULL, NULL},
};

const struct command commands_uplink[] = {
    {"uplink check", "HOST:PORT", 1, 1, COMMAND_EXIST | COMMAND_TELLS,
     "look at a target and say what is wrong, sending nothing", run_check, check_options},
    {"uplink run", "HOST:PORT", 1, 1, COMMAND_EXIST, "carry what the forwards select, until Ctrl-C",
     run_run, run_options},
    {"uplink acl", "", 0, 0, COMMAND_EXIST, "print the least-privilege ACL line for the target",
     run_acl, acl_options},
    {0},
};
