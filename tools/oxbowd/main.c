/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbowd: the engine behind the Redis protocol, for programs that queue through Redis. Reads its
 * configuration, opens the store, listens, and ends in order when it is told to: TERM, INT, SHUTDOWN.
 * A second signal ends it at once; what was acknowledged is safe as the policy says in any case.
 */
#include "oxbow/lua.h"
#include "port/uv/program.h"
#include "tools/oxbowd/config_rewrite.h"
#include "tools/oxbowd/log.h"
#include "tools/oxbowd/notify.h"
#include "tools/oxbowd/store.h"
#include "tools/oxbowd/uplink.h"
#include "tools/oxbowd/users.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FDS_OWN 64u /* of store, log, loop and listeners */

struct daemon {
    struct config config;
    struct config_command_line command_line;
    struct config_origin origin;
    struct config_told told;
    struct daemon_log log;
    struct oxbow_port port;
    struct oxbow *db; /* NULL: not open */
    struct uvprogram *program;
    struct oxbow_resp_uv *server;
    struct uplink *uplink; /* NULL: none */
    bool ending;
    bool failed; /* it ends since there is no store any more */
};

/* How TLS is spoken; NULL: this program was built without it. */
static const struct oxbow_tls_ops *tls_ops(void)
{
#ifdef OXBOWD_TLS
    return oxbow_tls_mbedtls();
#else
    return NULL;
#endif
}

/* ---- the command line ---- */

static int help(void)
{
    puts("usage: oxbowd [FILE] [--OPTION VALUE]...\n\n"
         "Serves an oxbow store by the Redis protocol. FILE has the form of redis.conf, - is "
         "standard\n"
         "input; options of the command line come after it. Without anything: 127.0.0.1:6379, the\n"
         "store in ./oxbow-data, every write on the device before it is answered.\n\n"
         "  -h, --help     this help\n"
         "  -v, --version  the version\n"
         "  --test-config  say what is wrong with the configuration, and end\n\n"
         "options, in FILE without the dashes (and their defaults):");
    config_print_help();
    puts("\nexit status: 0 ended in order, 1 wrong configuration or failed");
    return 0;
}

static int refuse(const char *text)
{
    fprintf(stderr, "oxbowd: %s\n", text);
    return 1;
}

/* The words of one option: --name value... or --name=value. Gives how many arguments it took. */
static int option_words(int argc, char **argv, int at, char *words[CONFIG_WORDS_MAX],
                        uint32_t *count)
{
    char *equals = strchr(argv[at], '=');
    int next = at + 1;

    words[0] = argv[at] + 2;
    *count = 1;
    if (equals != NULL) {
        *equals = '\0';
        words[(*count)++] = equals + 1;
    }
    while (next < argc && strncmp(argv[next], "--", 2) != 0 && *count < CONFIG_WORDS_MAX) {
        words[(*count)++] = argv[next++];
    }
    return next - at;
}

static bool is(const char *arg, const char *one, const char *other)
{
    return strcmp(arg, one) == 0 || (other != NULL && strcmp(arg, other) == 0);
}

/* False: `code` is the program's. */
static bool read_arguments(struct daemon *d, int argc, char **argv, bool *test, int *code)
{
    struct config *c = &d->config;
    struct config_why why;
    int at = 1;

    if (argc > 1 && (argv[1][0] != '-' || argv[1][1] == '\0')) {
        if (!config_read(c, argv[1], &why)) {
            *code = refuse(why.text);
            return false;
        }
        at = 2;
    }
    while (at < argc) {
        char *words[CONFIG_WORDS_MAX];
        uint32_t count;

        if (is(argv[at], "--test-config", NULL)) {
            *test = true;
            at++;
            continue;
        }
        if (strncmp(argv[at], "--", 2) != 0 || argv[at][2] == '\0') {
            fprintf(stderr, "oxbowd: %s: what is this? see: oxbowd --help\n", argv[at]);
            *code = 1;
            return false;
        }
        at += option_words(argc, argv, at, words, &count);
        if (!config_command_line_add(&d->command_line, words, count)) {
            *code = refuse("the command line is too long: put its options into a file");
            return false;
        }
        if (!config_set(c, "command line", words, count, &why)) {
            *code = refuse(why.text);
            return false;
        }
    }
    if (!config_check(c, &why)) {
        fprintf(stderr, "%s\n", why.text); /* it names the program, having no file and line */
        *code = 1;
        return false;
    }
    return true;
}

/* ---- the end ---- */

static void on_uplink_closed(void *ctx)
{
    struct daemon *d = ctx;

    uvprogram_stop(d->program);
}

static void on_closed(void *ctx)
{
    struct daemon *d = ctx;

    d->server = NULL;
    if (d->uplink != NULL) {
        uplink_end(d->uplink, on_uplink_closed, d);
    } else {
        uvprogram_stop(d->program);
    }
}

static void end(struct daemon *d, const char *why)
{
    if (d->ending) {
        return;
    }
    d->ending = true;
    daemon_log_say(&d->log, OXBOW_LOG_INFO, "%s: ending", why);
    notify_send("STOPPING=1");
    oxbow_resp_uv_close(d->server, on_closed, d);
}

static void on_shutdown(void *ctx)
{
    struct daemon *d = ctx;

    end(d, d->failed ? "there is no store" : "SHUTDOWN");
}

static void reload_tls(struct daemon *d)
{
    struct oxbow_tls_why why;

    if (d->config.tls_port == 0 || d->ending) {
        return;
    }
    if (oxbow_resp_uv_tls_reload(d->server, &why) == OXBOW_OK) {
        daemon_log_say(&d->log, OXBOW_LOG_INFO, "SIGHUP: the certificates are read again");
    } else {
        daemon_log_say(&d->log, OXBOW_LOG_ERROR, "SIGHUP: the certificates stay as they were: %s",
                       why.text);
    }
}

static void on_signal(void *ctx, int number)
{
    struct daemon *d = ctx;

    if (number == SIGHUP) {
        if (daemon_log_reopen(&d->log)) {
            daemon_log_say(&d->log, OXBOW_LOG_INFO, "SIGHUP: the log is open again");
        } else {
            daemon_log_say(&d->log, OXBOW_LOG_ERROR, "SIGHUP: the log stays as it was: %s",
                           strerror(errno));
        }
        reload_tls(d);
        if (d->uplink != NULL && !d->ending) {
            uplink_reload(d->uplink);
        }
        return;
    }
    if (d->ending) {
        daemon_log_say(&d->log, OXBOW_LOG_WARN, "a second signal: ending at once");
        _exit(1);
    }
    end(d, number == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_tick(void *ctx)
{
    (void)ctx;
    notify_send("WATCHDOG=1");
}

/* ---- the beginning ---- */

/* DEBUG RELOAD. What keeps it from going on has been logged: the server then asks for the end. */
static enum oxbow_err on_reopen(void *ctx, struct oxbow **db)
{
    struct daemon *d = ctx;
    enum oxbow_err err = daemon_store_close(&d->log, &d->db);

    if (err == OXBOW_OK) {
        err = daemon_store_open(&d->config, &d->port, &d->log, &d->db);
    }
    d->failed = err != OXBOW_OK;
    if (err == OXBOW_OK) {
        daemon_log_say(&d->log, OXBOW_LOG_INFO,
                       "DEBUG RELOAD: the store was closed and is open again");
        *db = d->db;
    }
    return err;
}

/* Descriptors for as many connections as the configuration has, or as many as there may be. */
static uint32_t clients_max(struct daemon *d)
{
    uint32_t wanted = (uint32_t)d->config.maxclients;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + FDS_OWN) {
        return wanted;
    }
    limit.rlim_cur = limit.rlim_max < wanted + FDS_OWN ? limit.rlim_max : wanted + FDS_OWN;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return wanted;
    }
    if (limit.rlim_cur < wanted + FDS_OWN) {
        uint32_t may = limit.rlim_cur > 2 * FDS_OWN ? (uint32_t)limit.rlim_cur - FDS_OWN : FDS_OWN;

        daemon_log_say(&d->log, OXBOW_LOG_WARN,
                       "maxclients is %" PRIu32 ", not %" PRIu32
                       ": the system allows %llu descriptors (ulimit -n)",
                       may, wanted, (unsigned long long)limit.rlim_cur);
        return may;
    }
    return wanted;
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static struct oxbow_tls_config tls_of(const struct config *c)
{
    return (struct oxbow_tls_config){
        .ca.path = text_or_null(c->tls_ca),
        .cert.path = text_or_null(c->tls_cert),
        .key.path = text_or_null(c->tls_key),
        .key_password = text_or_null(c->tls_key_pass),
        .server = true,
        .clients = (enum oxbow_tls_clients)c->tls_clients,
    };
}

static struct oxbow_resp_sentinel sentinel_of(const struct config *c)
{
    return (struct oxbow_resp_sentinel){
        .names = c->sentinel_names,
        .host = c->announce_ip,
        .port = (uint16_t)c->announce_port,
    };
}

static struct oxbow_resp_config session_of(struct daemon *d,
                                           const struct oxbow_resp_setting *settings,
                                           uint32_t setting_count, uint32_t clients)
{
    const struct config *c = &d->config;

    return (struct oxbow_resp_config){
        .db = d->db,
        .password = text_or_null(c->requirepass),
        .users = text_or_null(c->users),
        .users_file = users_file(c->aclfile),
        .all_channels = c->acl_pubsub != 0,
        .debug = (enum oxbow_resp_debug)c->debug,
        .acl_log_max = c->acllog_max != 0 ? (uint32_t)c->acllog_max : UINT32_MAX,
        .protected_mode = c->protected_mode,
        .clients_max = clients,
        .query_bytes_max = c->query_limit,
        .bulk_bytes_max = c->bulk_max,
        .reply_bytes_max = c->reply_limit,
        .timeout_s = (uint32_t)c->timeout,
        .pid = (uint32_t)getpid(),
        .config_file = text_or_null(c->file),
        .rewrite = config_rewriting(&d->origin),
        .settings = settings,
        .setting_count = setting_count,
        .told = d->told.at,
        .told_count = d->told.count,
        .without_meaning = config_without_meaning,
        .scripting = OXBOWD_SCRIPTING,
        .script_ms_max = c->script_ms != 0 ? (uint32_t)c->script_ms : UINT32_MAX,
        .script_bytes_max = c->script_memory,
        .queue_rules = c->rules.queues,
        .queue_rule_count = c->rules.queue_count,
        .group_rules = c->rules.groups,
        .group_rule_count = c->rules.group_count,
        .uplink = uplink_session(d->uplink),
        .uplink_ops = uplink_session_ops(d->uplink),
        .sentinel = sentinel_of(c),
        .shutdown = on_shutdown,
        .reopen = on_reopen,
        .ctx = d,
    };
}

static bool server_open(struct daemon *d)
{
    const struct config *c = &d->config;
    const struct oxbow_tls_config tls = tls_of(c);
    const char *binds[OXBOW_RESP_UV_BINDS_MAX];
    struct oxbow_resp_setting settings[CONFIG_SETTINGS_MAX];
    char room[CONFIG_SETTINGS_MAX][CONFIG_SETTING_TEXT];
    const uint32_t clients = clients_max(d);
    struct oxbow_resp_uv_why why = {.text = ""};
    const struct oxbow_resp_uv_config config = {
        .resp = session_of(d, settings, config_settings(c, settings, room), clients),
        .binds = binds,
        .bind_count = c->bind.count,
        .port = (uint16_t)c->port,
        .tls = tls_ops(),
        .tls_config = &tls,
        .tls_port = (uint16_t)c->tls_port,
        .sentinel_port = (uint16_t)c->sentinel_port,
        .unix_path = c->unixsocket[0] != '\0' ? c->unixsocket : NULL,
        .unix_mode = (uint32_t)c->unixsocketperm,
        .backlog = (uint32_t)c->tcp_backlog,
        .keepalive_s = c->tcp_keepalive != 0 ? (uint32_t)c->tcp_keepalive : UINT32_MAX,
        .durable = d->uplink != NULL ? uplink_durable : NULL,
        .durable_ctx = d->uplink,
    };
    enum oxbow_err err;

    d->origin.clients_max = clients != c->maxclients ? clients : 0;
    for (uint32_t i = 0; i < c->bind.count; i++) {
        binds[i] = c->bind.text[i];
    }
    err = oxbow_resp_uv_open(uvprogram_loop(d->program), &config, &why, &d->server);
    if (err != OXBOW_OK) {
        daemon_log_say(&d->log, OXBOW_LOG_ERROR, "%s (%s)", why.text, oxbow_err_name(err));
    }
    return err == OXBOW_OK;
}

static bool program_open(struct daemon *d)
{
    const struct uvprogram_config config = {
        .port = &d->port,
        .signals = {SIGTERM, SIGINT, SIGHUP},
        .signal = on_signal,
        .tick_ms = notify_watchdog_ms(),
        .tick = on_tick,
        .ctx = d,
    };
    enum oxbow_err err = uvprogram_open(&config, &d->program);

    if (err != OXBOW_OK) {
        daemon_log_say(&d->log, OXBOW_LOG_ERROR, "the loop cannot begin: %s", oxbow_err_text(err));
    }
    return err == OXBOW_OK;
}

static void pidfile_write(struct daemon *d)
{
    FILE *file = d->config.pidfile[0] != '\0' ? fopen(d->config.pidfile, "we") : NULL;
    bool ok = file != NULL && fprintf(file, "%ld\n", (long)getpid()) > 0;

    if (file != NULL && fclose(file) != 0) {
        ok = false;
    }
    if (d->config.pidfile[0] != '\0' && !ok) {
        daemon_log_say(&d->log, OXBOW_LOG_WARN, "%s: %s", d->config.pidfile, strerror(errno));
    }
}

/* ---- what it says of itself ---- */

static void say_policy(const struct daemon *d, char *out, size_t len)
{
    switch ((enum oxbow_sync)d->config.appendfsync) {
    case OXBOW_SYNC_INTERVAL:
        (void)snprintf(out, len,
                       "appendfsync everysec: a power cut takes at most the last %" PRIu64 " ms",
                       d->config.interval_ms);
        break;
    case OXBOW_SYNC_NONE:
        (void)snprintf(out, len,
                       "appendfsync no: a power cut takes what the system had not written");
        break;
    default:
        (void)snprintf(
            out, len,
            "appendfsync always: what is answered is on the device and survives a power cut");
        break;
    }
}

/* Databases that differ. */
static void say_databases(struct daemon *d)
{
    const struct config *c = &d->config;
    const uint32_t memory = config_databases_memory(&c->own_sync);
    char own[CONFIG_SETTING_TEXT];
    char list[4 * CONFIG_DATABASES_COUNT] = "";
    size_t len = 0;

    config_databases_text(&c->own_sync, own, sizeof own);
    if (own[0] != '\0') {
        daemon_log_say(&d->log, OXBOW_LOG_INFO, "databases with a policy of their own: %s", own);
    }
    if (memory == 0) {
        return;
    }
    for (uint32_t i = 0; i < CONFIG_DATABASES_COUNT; i++) {
        if ((memory >> i & 1u) != 0) {
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%u", len > 0 ? ", " : "", i);
        }
    }
    daemon_log_say(&d->log, OXBOW_LOG_INFO,
                   "databases that are kept in memory alone, and empty now: %s", list);
    if (c->maxmemory == 0) {
        daemon_log_say(&d->log, OXBOW_LOG_WARN,
                       "there is no limit to what they take: set maxmemory, and a maxmemory-policy "
                       "for what goes when it is reached");
    }
}

static void say_ready(struct daemon *d)
{
    const struct config *c = &d->config;
    char where[CONFIG_TEXT_MAX * 2] = "";
    char policy[128];
    size_t len = 0;
    uint32_t i;

    for (i = 0; c->port != 0 && i < c->bind.count && len < sizeof where; i++) {
        const char *bind = c->bind.text[i] + (c->bind.text[i][0] == '-');

        len += (size_t)snprintf(where + len, sizeof where - len,
                                strchr(bind, ':') != NULL ? "%s[%s]:%" PRIu64 : "%s%s:%" PRIu64,
                                len > 0 ? ", " : "", bind, c->port);
    }
    if (c->tls_port != 0 && len < sizeof where) {
        len += (size_t)snprintf(where + len, sizeof where - len, "%sTLS at port %" PRIu64,
                                len > 0 ? ", " : "", c->tls_port);
    }
    if (c->sentinel_port != 0 && len < sizeof where) {
        len += (size_t)snprintf(where + len, sizeof where - len,
                                ", Sentinel's clients at port %" PRIu64, c->sentinel_port);
    }
    if (c->unixsocket[0] != '\0' && len < sizeof where) {
        (void)snprintf(where + len, sizeof where - len, "%s%s", len > 0 ? ", " : "", c->unixsocket);
    }
    say_policy(d, policy, sizeof policy);
    if (c->without_meaning > 0) {
        daemon_log_say(&d->log, OXBOW_LOG_INFO,
                       "%" PRIu32 " options of Redis have no meaning here, %s first",
                       c->without_meaning, c->without_meaning_first);
    }
    if (config_is_public(c) && c->protected_mode && c->requirepass[0] == '\0' &&
        c->users[0] == '\0' && c->aclfile[0] == '\0') {
        daemon_log_say(&d->log, OXBOW_LOG_WARN,
                       "protected mode: there is no password, so connections from beyond this "
                       "machine are refused. Set requirepass, or protected-mode no");
    }
    if (c->uplink.targets.count > 0) {
        daemon_log_say(&d->log, OXBOW_LOG_INFO,
                       "uplink: carries to %s%s, %" PRIu32 " forwards are configured",
                       c->uplink.targets.at[0].host,
                       c->uplink.targets.count > 1 ? " and others" : "", c->uplink.forwards.count);
    }
    daemon_log_say(&d->log, OXBOW_LOG_INFO, "oxbowd " OXBOW_VERSION " serves %s from %s; %s", where,
                   c->dir, policy);
    say_databases(d);
}

/* ---- all of it ---- */

static bool serve(struct daemon *d)
{
    struct uv_loop_s *loop = uvprogram_loop(d->program);
    bool ok = uplink_open(&d->config, d->db, loop, &d->log, &d->uplink);

    if (ok && !server_open(d)) {
        ok = false;
        if (d->uplink != NULL) {
            uplink_end(d->uplink, NULL, NULL);
        }
    }
    if (ok) {
        pidfile_write(d);
        say_ready(d);
        notify_send("READY=1");
        uvprogram_run(d->program);
        if (d->config.pidfile[0] != '\0' && unlink(d->config.pidfile) != 0 && errno != ENOENT) {
            daemon_log_say(&d->log, OXBOW_LOG_WARN, "%s stays: %s", d->config.pidfile,
                           strerror(errno));
        }
    }
    uvprogram_close(d->program);
    uplink_free(d->uplink);
    return ok;
}

static bool run(struct daemon *d)
{
    bool ok;

    if (daemon_store_open(&d->config, &d->port, &d->log, &d->db) != OXBOW_OK) {
        return false;
    }
    ok = program_open(d) && serve(d) && !d->failed;
    if (daemon_store_close(&d->log, &d->db) != OXBOW_OK) {
        return false;
    }
    if (ok) {
        daemon_log_say(&d->log, OXBOW_LOG_INFO, "ended in order");
    }
    return ok;
}

int main(int argc, char **argv)
{
    static struct daemon d; /* too large for some stacks */
    bool test = false;
    int code = 0;

    for (int i = 1; i < argc; i++) {
        if (is(argv[i], "-h", "--help")) {
            return help();
        }
        if (is(argv[i], "-v", "--version")) {
            puts("oxbowd " OXBOW_VERSION);
            return 0;
        }
        if (is(argv[i], "--options-as-markdown", NULL)) {
            config_print_markdown();
            return 0;
        }
    }
    config_init(&d.config);
    if (!read_arguments(&d, argc, argv, &test, &code)) {
        return code;
    }
    d.origin = (struct config_origin){.path = d.config.file, .command_line = &d.command_line};
    config_told(&d.config, &d.told);
    if (test) {
        puts("oxbowd: the configuration is right");
        return 0;
    }
    if (!daemon_log_open(&d.log, d.config.logfile, (enum oxbow_log_level)d.config.loglevel)) {
        fprintf(stderr, "oxbowd: %s: %s\n", d.config.logfile, strerror(errno));
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads must not end it */
    d.port = *oxbow_port_default();
    d.port.log = (struct oxbow_log){.ctx = &d.log, .line = daemon_log_line};
    return run(&d) ? 0 : 1;
}
