/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG: settings told, and changed while the server runs. */
#include "engine/base/word.h"
#include "engine/resp/args.h"
#include "engine/resp/glob.h"
#include "engine/resp/rules.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

/* Classes of keyspace notifications, in the order in which Redis gives them back. */
static const struct {
    char letter;
    enum resp_event kind;
} classes[] = {
    {'g', RESP_EVENT_GENERIC}, {'$', RESP_EVENT_STRING},  {'l', RESP_EVENT_LIST},
    {'s', RESP_EVENT_SET},     {'h', RESP_EVENT_HASH},    {'z', RESP_EVENT_ZSET},
    {'x', RESP_EVENT_EXPIRED}, {'e', RESP_EVENT_EVICTED}, {'t', RESP_EVENT_STREAM},
};

#define CLASSES     (sizeof classes / sizeof classes[0])
#define ALL_CLASSES ((1u << CLASSES) - 1)

static void notify_text(uint32_t flags, char out[32])
{
    size_t n = 0;

    if ((flags & ALL_CLASSES) == ALL_CLASSES) {
        out[n++] = 'A';
    } else {
        for (size_t i = 0; i < CLASSES; i++) {
            if ((flags & (1u << classes[i].kind)) != 0) {
                out[n++] = classes[i].letter;
            }
        }
    }
    if ((flags & RESP_NOTIFY_KEYSPACE) != 0) {
        out[n++] = 'K';
    }
    if ((flags & RESP_NOTIFY_KEYEVENT) != 0) {
        out[n++] = 'E';
    }
    out[n] = '\0';
}

/* What a letter stands for; 0: what never happens here; UINT32_MAX: it is none. */
static uint32_t class_of(char letter)
{
    for (size_t i = 0; i < CLASSES; i++) {
        if (classes[i].letter == letter) {
            return 1u << classes[i].kind;
        }
    }
    switch (letter) {
    case 'A':
        return ALL_CLASSES;
    case 'K':
        return RESP_NOTIFY_KEYSPACE;
    case 'E':
        return RESP_NOTIFY_KEYEVENT;
    case 'm':
    case 'd':
    case 'n':
        return 0;
    default:
        return UINT32_MAX;
    }
}

static bool notify_parse(struct oxbow_bytes text, uint32_t *flags)
{
    const char *p = text.data;

    *flags = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t one = class_of(p[i]);

        if (one == UINT32_MAX) {
            return false;
        }
        *flags |= one;
    }
    return true;
}

#define VALUE_MAX  RESP_VALUE_MAX
#define BULK_LEAST ((uint64_t)1 << 20) /* proto-max-bulk-len, as in Redis */

static void get_notify(struct oxbow_resp *s, char out[VALUE_MAX])
{
    notify_text(s->notify, out);
}

static bool set_notify(struct oxbow_resp *s, struct oxbow_bytes value)
{
    uint32_t flags;

    if (!notify_parse(value, &flags)) {
        return false;
    }
    return resp_expired_watch(s, flags);
}

static void get_clients(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)snprintf(out, VALUE_MAX, "%u", s->config.clients_max);
}

static bool set_clients(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t n;

    if (!resp_arg_int(value, &n) || n < 1 || n > UINT32_MAX) {
        return false;
    }
    s->config.clients_max = (uint32_t)n;
    return true;
}

static void get_timeout(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)snprintf(out, VALUE_MAX, "%u", s->config.timeout_s);
}

static bool set_timeout(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t n;

    if (!resp_arg_int(value, &n) || n < 0 || n > INT32_MAX) {
        return false;
    }
    s->config.timeout_s = (uint32_t)n;
    resp_idle_again(s);
    return true;
}

static void get_bulk(struct oxbow_resp *s, char out[VALUE_MAX])
{
    const uint64_t max = s->config.bulk_bytes_max;

    (void)snprintf(out, VALUE_MAX, "%llu", (unsigned long long)(max != 0 ? max : RESP_BULK_MAX));
}

static bool set_bulk(struct oxbow_resp *s, struct oxbow_bytes value)
{
    uint64_t max;

    if (!word_size(value, &max) || max < BULK_LEAST) {
        return false;
    }
    s->config.bulk_bytes_max = max;
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        resp_client_limits(LINK_OF(l, struct oxbow_resp_client, all));
    }
    return true;
}

/* 0 is none, as in Redis. */
static void get_script_time(struct oxbow_resp *s, char out[VALUE_MAX])
{
    uint32_t ms = s->config.script_ms_max;

    (void)snprintf(out, VALUE_MAX, "%u", ms == 0 ? 5000u : ms == UINT32_MAX ? 0 : ms);
}

static bool set_script_time(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t ms;

    if (!resp_arg_int(value, &ms) || ms < 0 || ms >= UINT32_MAX) {
        return false;
    }
    s->config.script_ms_max = ms == 0 ? UINT32_MAX : (uint32_t)ms;
    return true;
}

static void get_port(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)snprintf(out, VALUE_MAX, "%u", s->config.port);
}

static void get_empty(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)s;
    out[0] = '\0';
}

static void get_yes(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)s;
    (void)snprintf(out, VALUE_MAX, "yes");
}

static void get_databases(struct oxbow_resp *s, char out[VALUE_MAX])
{
    (void)s;
    (void)snprintf(out, VALUE_MAX, "%u", OXBOW_RESP_DATABASES);
}

/* What clients ask for. A row without `set` cannot be changed while the server runs; one without `get` is
 * of rules.c, and of any length. */
static const struct {
    const char *name;
    void (*get)(struct oxbow_resp *s, char out[VALUE_MAX]);
    bool (*set)(struct oxbow_resp *s, struct oxbow_bytes value);
} settings[] = {
    {"acl-pubsub-default", resp_get_acl_pubsub, resp_set_acl_pubsub},
    {"aclfile", resp_get_aclfile, NULL},
    {"acllog-max-len", resp_get_acllog, resp_set_acllog},
    {"appendfsync", resp_get_sync, resp_set_sync},
    {"appendonly", get_yes, NULL},
    {"busy-reply-threshold", get_script_time, set_script_time},
    {"client-output-buffer-limit", resp_get_output, resp_set_output},
    {"databases", get_databases, NULL},
    {"db", resp_get_own_sync, resp_set_own_sync},
    {"enable-debug-command", resp_get_debug, NULL},
    {"group", NULL, NULL},
    {"latency-monitor-threshold", resp_get_latency, resp_set_latency},
    {"latency-tracking", resp_get_tracking, resp_set_tracking},
    {"lua-time-limit", get_script_time, set_script_time},
    {"maxclients", get_clients, set_clients},
    {"maxmemory", resp_get_maxmemory, resp_set_maxmemory},
    {"maxmemory-policy", resp_get_evict, resp_set_evict},
    {"maxmemory-samples", resp_get_samples, resp_set_samples},
    {"notify-keyspace-events", get_notify, set_notify},
    {"port", get_port, NULL},
    {"proto-max-bulk-len", get_bulk, set_bulk},
    {"protected-mode", resp_get_protected, resp_set_protected},
    {"queue", NULL, NULL},
    {"replica-announce-ip", resp_get_announce_host, resp_set_announce_host},
    {"replica-announce-port", resp_get_announce_port, resp_set_announce_port},
    {"requirepass", resp_get_requirepass, resp_set_requirepass},
    {"save", get_empty, NULL},
    {"sentinel-master-name", resp_get_master_names, NULL},
    {"sentinel-port", resp_get_sentinel_port, NULL},
    {"slowlog-log-slower-than", resp_get_slow_time, resp_set_slow_time},
    {"slowlog-max-len", resp_get_slow_count, resp_set_slow_count},
    {"timeout", get_timeout, set_timeout},
    {"tracking-table-max-keys", resp_get_track_keys, resp_set_track_keys},
};

#define SETTINGS (sizeof settings / sizeof settings[0])

static enum oxbow_err setting_reply(struct resp_call *call, size_t i)
{
    char value[VALUE_MAX];

    if (settings[i].get == NULL) {
        return resp_rules_reply(call, strcmp(settings[i].name, "queue") == 0);
    }
    settings[i].get(call->server, value);
    resp_bulk_text(call->reply, value);
    return OXBOW_OK;
}

static size_t setting_of(struct oxbow_bytes name)
{
    size_t i = 0;

    while (i < SETTINGS && !resp_arg_is(name, settings[i].name)) {
        i++;
    }
    return i;
}

/* What the program has told of itself; NULL: no such name. */
static const struct oxbow_resp_setting *told_of(const struct oxbow_resp *s, struct oxbow_bytes name)
{
    for (uint32_t i = 0; i < s->config.told_count; i++) {
        if (resp_arg_is(name, s->config.told[i].name)) {
            return &s->config.told[i];
        }
    }
    return NULL;
}

/* Whether it may be said, and changes nothing. */
static bool means_nothing(const struct oxbow_resp *s, struct oxbow_bytes name)
{
    const char *const *at = s->config.without_meaning;

    while (at != NULL && *at != NULL && !resp_arg_is(name, *at)) {
        at++;
    }
    return at != NULL && *at != NULL;
}

static bool name_asked(const struct resp_call *call, struct oxbow_bytes name)
{
    bool takes = false;

    for (uint32_t a = 2; !takes && a < call->count; a++) {
        takes = resp_glob(call->args[a], name, true);
    }
    return takes;
}

static enum oxbow_err config_get(struct resp_call *call)
{
    struct resp_later later = resp_map_later(call->reply);
    enum oxbow_err err = OXBOW_OK;
    size_t n = 0;

    for (size_t i = 0; err == OXBOW_OK && i < SETTINGS; i++) {
        const struct oxbow_bytes name = {settings[i].name, strlen(settings[i].name)};

        if (name_asked(call, name)) {
            resp_bulk(call->reply, name);
            err = setting_reply(call, i);
            n++;
        }
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < call->server->config.told_count; i++) {
        const struct oxbow_resp_setting *told = &call->server->config.told[i];
        const struct oxbow_bytes name = {told->name, strlen(told->name)};

        if (setting_of(name) == SETTINGS && name_asked(call, name)) {
            resp_bulk(call->reply, name);
            resp_bulk_text(call->reply, told->value);
            n++;
        }
    }
    resp_later_set(call->reply, later, n);
    return err;
}

bool resp_setting_get(struct oxbow_resp *s, uint32_t *i, const char **name, char value[VALUE_MAX])
{
    while (*i < SETTINGS && settings[*i].set == NULL) {
        (*i)++;
    }
    if (*i == SETTINGS) {
        return false;
    }
    *name = settings[*i].name;
    settings[*i].get(s, value);
    return true;
}

bool resp_setting_set(struct oxbow_resp *s, struct oxbow_bytes name, struct oxbow_bytes value)
{
    size_t i = 0;

    while (i < SETTINGS && !resp_arg_is(name, settings[i].name)) {
        i++;
    }
    return i < SETTINGS && settings[i].set != NULL && settings[i].set(s, value);
}

static void refuse_setting(struct resp_call *call, const char *name, const char *why)
{
    resp_error_format(call->reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
                      name, why);
}

/* Whether all that are named are there, may be set, and each once; else that is said. */
static bool settings_known(struct resp_call *call)
{
    for (uint32_t a = 2; a < call->count; a += 2) {
        size_t i = setting_of(call->args[a]);
        const struct oxbow_resp_setting *told = told_of(call->server, call->args[a]);

        if (means_nothing(call->server, call->args[a])) {
            continue;
        }
        if (i == SETTINGS && told != NULL) {
            refuse_setting(call, told->name, "can't set immutable config");
            return false;
        }
        if (i == SETTINGS) {
            resp_error_format(call->reply,
                              "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                              (int)(call->args[a].len < 64 ? call->args[a].len : 64),
                              (const char *)call->args[a].data);
            return false;
        }
        if (settings[i].set == NULL) {
            refuse_setting(call, settings[i].name, "can't set immutable config");
            return false;
        }
        for (uint32_t before = 2; before < a; before += 2) {
            if (setting_of(call->args[before]) == i) {
                refuse_setting(call, settings[i].name, "duplicate parameter");
                return false;
            }
        }
    }
    return true;
}

/* What settings were before they were set, for the case that a later one is refused. */
struct before {
    struct buf texts; /* of those that were set, in their order, a zero behind each */
    struct resp_own_sync own[OXBOW_RESP_DATABASES];
};

/* The password goes last, when nothing else is left that could be refused: the text of the old one does not
 * say what the default user may have beside it, and so cannot bring it back. */
static bool goes_last(size_t setting)
{
    return settings[setting].set == resp_set_requirepass;
}

static void settings_one_back(struct oxbow_resp *s, size_t i, const char *was,
                              const struct before *before)
{
    bool back = true;

    if (settings[i].set == resp_set_own_sync) { /* its text does not tell of what has none */
        resp_own_sync_back(s, before->own);
    } else {
        back = settings[i].set(s, (struct oxbow_bytes){was, strlen(was)});
    }
    if (!back) {
        char line[160];

        (void)snprintf(line, sizeof line, "resp: CONFIG SET: %s cannot be put back: %s",
                       settings[i].name, s->set_why);
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_ERROR, line);
    }
}

/* Sets those that are named, the last ones or the others. OXBOW_EINVAL: one of them was refused, and told. */
static enum oxbow_err settings_set(struct resp_call *call, bool last, struct before *before)
{
    struct oxbow_resp *s = call->server;
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t a = 2; err == OXBOW_OK && a < call->count; a += 2) {
        size_t i = setting_of(call->args[a]);
        char was[VALUE_MAX];

        if (means_nothing(s, call->args[a]) || goes_last(i) != last) {
            continue;
        }
        settings[i].get(s, was);
        s->set_why = "argument couldn't be parsed";
        if (!settings[i].set(s, call->args[a + 1])) {
            refuse_setting(call, settings[i].name, s->set_why);
            err = OXBOW_EINVAL;
        } else if (!last && (err = buf_append(&before->texts, was, strlen(was) + 1)) != OXBOW_OK) {
            settings_one_back(s, i, was, before);
        }
    }
    return err;
}

/* All that were set are as they were. */
static void settings_back(struct resp_call *call, const struct before *before)
{
    size_t at = 0;

    for (uint32_t a = 2; at < before->texts.len && a < call->count; a += 2) {
        size_t i = setting_of(call->args[a]);

        if (!means_nothing(call->server, call->args[a]) && !goes_last(i)) {
            const char *was = (const char *)before->texts.data + at;

            settings_one_back(call->server, i, was, before);
            at += strlen(was) + 1;
        }
    }
}

/* All or nothing, as Redis since 7.0 does. */
static enum oxbow_err config_set(struct resp_call *call)
{
    struct before before;
    enum oxbow_err err;

    if (call->count % 2 != 0) {
        return resp_refuse_syntax(call);
    }
    if (!settings_known(call)) {
        return OXBOW_OK;
    }
    buf_init(&before.texts, resp_alloc(call->server), SETTINGS * VALUE_MAX);
    memcpy(before.own, call->server->own, sizeof before.own);
    err = settings_set(call, false, &before);
    err = err == OXBOW_OK ? settings_set(call, true, &before) : err;
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    } else {
        settings_back(call, &before);
    }
    buf_fini(&before.texts);
    return err == OXBOW_EINVAL ? OXBOW_OK : err;
}

static enum oxbow_err config_resetstat(struct resp_call *call)
{
    call->server->stats = (struct resp_stats){.connections = 0};
    resp_histograms_forget(call->server);
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err config_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern> [<pattern> ...]",
        "SET <directive> <value> [<directive> <value> ...]",
        "RESETSTAT",
        "REWRITE",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

#define ADMIN (RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE)
#define D     RESP_CAT_DANGEROUS

const struct resp_command resp_config_subs[] = {
    {"config|get", config_get, -3, ADMIN | RESP_PURE, D, 0, 0, 0, "2.0.0",
     "Settings whose names match patterns", NULL},
    {"config|set", config_set, -4, ADMIN | RESP_ALONE | RESP_NO_MULTI, D, 0, 0, 0, "2.0.0",
     "Changes settings", NULL},
    {"config|rewrite", resp_config_rewrite, 2, ADMIN | RESP_ALONE, D, 0, 0, 0, "2.8.0",
     "Writes what is set now into the configuration's file", NULL},
    {"config|resetstat", config_resetstat, 2, ADMIN | RESP_ALONE, D, 0, 0, 0, "2.0.0",
     "Has the counters of INFO and LATENCY HISTOGRAM begin anew", NULL},
    {"config|help", config_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "5.0.0",
     "What CONFIG can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
