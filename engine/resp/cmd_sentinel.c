/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a sentinel that watches itself, so that clients which are configured for Redis
 * Sentinel find it: one master, up, without replicas and without other sentinels. It is where the client
 * has come to, unless the configuration says where: whoever reaches a sentinel by an address reaches
 * the master by it too.
 *
 * Nothing is remembered and nothing is ever announced: what would change something is refused. A
 * connection is a sentinel's or a server's from its beginning (oxbow_resp_peer.sentinel), and what it may
 * know of the table follows from that, as it does in Redis: RESP_SENTINEL, RESP_ONLY_SENTINEL.
 */
#include "engine/resp/args.h"
#include "engine/resp/cmd_info.h"
#include "engine/resp/glob.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define INFO_BYTES_MAX 524288u
#define HELLO_CHANNEL  "__sentinel__:hello"
#define STANDARD_NAME  "mymaster"

/* What Redis Sentinel would do with one that it watches alone, and says of it. */
#define DOWN_AFTER_MS       30000
#define FAILOVER_TIMEOUT_MS 180000

/* ---- which commands there are ---- */

bool resp_served_to(const struct oxbow_resp_client *c, const struct resp_command *row)
{
    return c->sentinel ? (row->flags & (RESP_SENTINEL | RESP_ONLY_SENTINEL)) != 0
                       : (row->flags & RESP_ONLY_SENTINEL) == 0;
}

const struct resp_command *resp_find(const struct oxbow_resp_client *c, struct oxbow_bytes name)
{
    const struct resp_command *row = resp_table_find(&c->server->table, name);

    return row != NULL && resp_served_to(c, row) ? row : NULL;
}

/* ---- the configuration ---- */

static bool consists_of(struct oxbow_bytes text, const char *letters)
{
    const char *p = text.data;

    for (size_t i = 0; i < text.len; i++) {
        if (p[i] == '\0' || strchr(letters, p[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool host_fits(struct oxbow_bytes host)
{
    return host.len <= RESP_HOST_MAX && consists_of(host, OXBOW_RESP_HOST_LETTERS);
}

static bool names_fit(const char *names)
{
    const struct oxbow_bytes text = {names, strlen(names)};

    return text.len > 0 && text.len <= OXBOW_RESP_NAMES_MAX && names[0] != ' ' &&
           consists_of(text, OXBOW_RESP_NAME_LETTERS " ");
}

enum oxbow_err resp_sentinel_begin(struct oxbow_resp *s)
{
    const struct oxbow_resp_sentinel *config = &s->config.sentinel;
    const char *host = config->host != NULL ? config->host : "";
    const char *wrong = NULL;

    if (config->names != NULL && !names_fit(config->names)) {
        wrong = "the names of the master consist of letters, digits and . - _";
    } else if (!resp_set_announce_host(s, (struct oxbow_bytes){host, strlen(host)})) {
        wrong = "the master's host is no name and no address";
    }
    s->announce_port = config->port;
    s->config.sentinel.host = NULL; /* the copy is the one to look at */
    if (wrong != NULL && s->config.why != NULL) {
        (void)snprintf(s->config.why->text, sizeof s->config.why->text, "%s", wrong);
    }
    return wrong == NULL ? OXBOW_OK : OXBOW_EINVAL;
}

static const char *all_names(const struct oxbow_resp *s)
{
    return s->config.sentinel.names != NULL ? s->config.sentinel.names : STANDARD_NAME;
}

struct oxbow_bytes resp_master_name(const struct oxbow_resp *s, size_t *pos)
{
    const char *at = all_names(s) + *pos;
    const char *end = strchr(at, ' ');
    size_t len = end != NULL ? (size_t)(end - at) : strlen(at);

    *pos += len;
    while (end != NULL && *end == ' ') {
        end++;
        (*pos)++;
    }
    return (struct oxbow_bytes){at, len};
}

/* Without the port, and without the brackets of IPv6. */
static void host_of(const char *laddr, char host[RESP_ADDR_MAX])
{
    const char *end = strrchr(laddr, ':');
    size_t len = end != NULL ? (size_t)(end - laddr) : strlen(laddr);

    if (len >= 2 && laddr[0] == '[' && laddr[len - 1] == ']') {
        laddr++;
        len -= 2;
    }
    (void)snprintf(host, RESP_ADDR_MAX, "%.*s", (int)len, laddr);
}

void resp_master_address(const struct oxbow_resp_client *c, char host[RESP_ADDR_MAX],
                         uint16_t *port)
{
    const struct oxbow_resp *s = c->server;

    if (s->announce_host[0] != '\0') {
        (void)snprintf(host, RESP_ADDR_MAX, "%s", s->announce_host);
    } else {
        host_of(c->laddr, host);
    }
    *port = s->announce_port != 0 ? s->announce_port
            : s->config.port != 0 ? s->config.port
                                  : s->config.tls_port;
}

void resp_get_sentinel_port(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%u", s->config.sentinel_port);
}

void resp_get_master_names(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s", all_names(s));
}

void resp_get_announce_host(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s", s->announce_host);
}

bool resp_set_announce_host(struct oxbow_resp *s, struct oxbow_bytes value)
{
    if (!host_fits(value)) {
        return false;
    }
    if (value.len > 0) {
        memcpy(s->announce_host, value.data, value.len);
    }
    s->announce_host[value.len] = '\0';
    return true;
}

void resp_get_announce_port(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%u", s->announce_port);
}

bool resp_set_announce_port(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t port;

    if (!resp_arg_int(value, &port) || port < 0 || port > UINT16_MAX) {
        return false;
    }
    s->announce_port = (uint16_t)port;
    return true;
}

/* ---- what the master is like ---- */

static bool is_name(const struct oxbow_resp *s, struct oxbow_bytes word)
{
    struct oxbow_bytes name;
    size_t pos = 0;

    do {
        name = resp_master_name(s, &pos);
    } while (name.len > 0 && (name.len != word.len || memcmp(name.data, word.data, word.len) != 0));
    return name.len > 0;
}

static size_t name_count(const struct oxbow_resp *s)
{
    size_t pos = 0;
    size_t n = 0;

    while (resp_master_name(s, &pos).len > 0) {
        n++;
    }
    return n;
}

static void field_text(struct resp_reply *r, const char *name, const char *value)
{
    resp_bulk_text(r, name);
    resp_bulk_text(r, value);
}

static void field_int(struct resp_reply *r, const char *name, uint64_t value)
{
    resp_bulk_text(r, name);
    resp_bulk_int(r, (int64_t)value);
}

/* The fields of Redis 7.0 in their order. */
static void reply_master(struct resp_call *call, struct oxbow_bytes name)
{
    const struct oxbow_resp *s = call->server;
    struct resp_reply *r = call->reply;
    char host[RESP_ADDR_MAX];
    uint16_t port;

    resp_master_address(call->client, host, &port);
    resp_map(r, 20);
    resp_bulk_text(r, "name");
    resp_bulk(r, name);
    field_text(r, "ip", host);
    field_int(r, "port", port);
    field_text(r, "runid", s->run_id);
    field_text(r, "flags", "master");
    field_int(r, "link-pending-commands", 0);
    field_int(r, "link-refcount", 1);
    field_int(r, "last-ping-sent", 0);
    field_int(r, "last-ok-ping-reply", 0);
    field_int(r, "last-ping-reply", 0);
    field_int(r, "down-after-milliseconds", DOWN_AFTER_MS);
    field_int(r, "info-refresh", 0);
    field_text(r, "role-reported", "master");
    field_int(r, "role-reported-time", (s->now_us - s->opened_us) / 1000);
    field_int(r, "config-epoch", 0);
    field_int(r, "num-slaves", 0);
    field_int(r, "num-other-sentinels", 0);
    field_int(r, "quorum", 1);
    field_int(r, "failover-timeout", FAILOVER_TIMEOUT_MS);
    field_int(r, "parallel-syncs", 1);
}

static enum oxbow_err refuse_name(struct resp_call *call)
{
    return resp_refuse(call, "ERR No such master with that name");
}

static enum oxbow_err sentinel_masters(struct resp_call *call)
{
    struct oxbow_bytes name;
    size_t pos = 0;

    resp_array(call->reply, name_count(call->server));
    while ((name = resp_master_name(call->server, &pos)).len > 0) {
        reply_master(call, name);
    }
    return OXBOW_OK;
}

static enum oxbow_err sentinel_master(struct resp_call *call)
{
    if (!is_name(call->server, call->args[2])) {
        return refuse_name(call);
    }
    reply_master(call, call->args[2]);
    return OXBOW_OK;
}

/* Replicas and other sentinels. */
static enum oxbow_err sentinel_none(struct resp_call *call)
{
    if (!is_name(call->server, call->args[2])) {
        return refuse_name(call);
    }
    resp_array(call->reply, 0);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_address(struct resp_call *call)
{
    char host[RESP_ADDR_MAX];
    uint16_t port;

    if (!is_name(call->server, call->args[2])) {
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    resp_master_address(call->client, host, &port);
    resp_array(call->reply, 2);
    resp_bulk_text(call->reply, host);
    resp_bulk_int(call->reply, port);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_ckquorum(struct resp_call *call)
{
    if (!is_name(call->server, call->args[2])) {
        return refuse_name(call);
    }
    resp_simple(call->reply,
                "OK 1 usable Sentinels. Quorum and failover authorization can be reached");
    return OXBOW_OK;
}

/* Asked by other sentinels: nothing is down, and it votes for nobody. */
static enum oxbow_err sentinel_is_down(struct resp_call *call)
{
    int64_t port;
    int64_t epoch;

    if (!resp_arg_int(call->args[3], &port) || !resp_arg_int(call->args[4], &epoch)) {
        return resp_refuse_integer(call);
    }
    resp_array(call->reply, 3);
    resp_int(call->reply, 0);
    resp_bulk_text(call->reply, "*");
    resp_int(call->reply, 0);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_myid(struct resp_call *call)
{
    resp_bulk_text(call->reply, call->server->sentinel_id);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_pending_scripts(struct resp_call *call)
{
    resp_array(call->reply, 0);
    return OXBOW_OK;
}

static bool is_asked_for(const struct resp_call *call, struct oxbow_bytes name)
{
    for (uint32_t i = 2; i < call->count; i++) {
        if (call->args[i].len == name.len && memcmp(call->args[i].data, name.data, name.len) == 0) {
            return true;
        }
    }
    return false;
}

/* INFO of the master itself, which is never older than now. */
static enum oxbow_err sentinel_info_cache(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply); /* in RESP3 too, as in Redis */
    struct oxbow_bytes name;
    struct buf text;
    size_t pos = 0;
    size_t n = 0;
    enum oxbow_err err;

    buf_init(&text, resp_alloc(call->server), INFO_BYTES_MAX);
    err = resp_info_master(call, &text);
    while (err == OXBOW_OK && (name = resp_master_name(call->server, &pos)).len > 0) {
        if (!is_asked_for(call, name)) {
            continue;
        }
        resp_bulk(call->reply, name);
        resp_array(call->reply, 1);
        resp_array(call->reply, 2);
        resp_int(call->reply, 0);
        resp_bulk(call->reply, (struct oxbow_bytes){text.data, text.len});
        n += 2;
    }
    resp_later_set(call->reply, later, n);
    buf_fini(&text);
    return err;
}

/* ---- what would change something ---- */

static enum oxbow_err refuse_change(struct resp_call *call)
{
    return resp_refuse(call,
                       "ERR This sentinel is a part of the server that it watches: nothing of "
                       "it can be changed");
}

static enum oxbow_err sentinel_failover(struct resp_call *call)
{
    if (!is_name(call->server, call->args[2])) {
        return refuse_name(call);
    }
    return resp_refuse(call, "NOGOODSLAVE No suitable replica to promote");
}

/* SET and REMOVE, of one that there is. */
static enum oxbow_err sentinel_change(struct resp_call *call)
{
    return is_name(call->server, call->args[2]) ? refuse_change(call) : refuse_name(call);
}

static enum oxbow_err sentinel_monitor(struct resp_call *call)
{
    return is_name(call->server, call->args[2]) ? resp_refuse(call, "ERR Duplicate master name.")
                                                : refuse_change(call);
}

/* It has found out nothing that it could forget: this is done before it begins. */
static enum oxbow_err sentinel_reset(struct resp_call *call)
{
    struct oxbow_bytes name;
    size_t pos = 0;
    int64_t n = 0;

    while ((name = resp_master_name(call->server, &pos)).len > 0) {
        n += resp_glob(call->args[2], name, true) ? 1 : 0;
    }
    resp_int(call->reply, n);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_config(struct resp_call *call)
{
    char port[8];
    const struct {
        const char *name;
        const char *value;
    } all[] = {
        {"resolve-hostnames", "no"},
        {"announce-hostnames", "no"},
        {"announce-ip", call->server->announce_host},
        {"announce-port", port},
        {"sentinel-user", ""},
        {"sentinel-pass", ""},
    };
    struct resp_later later;
    size_t n = 0;

    if (resp_arg_is(call->args[2], "set") && call->count == 5) {
        return refuse_change(call);
    }
    if (!resp_arg_is(call->args[2], "get") || call->count != 4) {
        return resp_refuse(call, "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are "
                                 "supported.");
    }
    (void)snprintf(port, sizeof port, "%u", call->server->announce_port);
    later = resp_map_later(call->reply);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct oxbow_bytes name = {all[i].name, strlen(all[i].name)};

        if (resp_glob(call->args[3], name, true)) {
            field_text(call->reply, all[i].name, all[i].value);
            n++;
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err sentinel_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "SENTINEL <subcommand> [<arg> ...]. Subcommands are:",
        "GET-MASTER-ADDR-BY-NAME <name>",
        "    Where the master is: this server.",
        "MASTERS, MASTER <name>",
        "    What it is like.",
        "REPLICAS <name>, SENTINELS <name>",
        "    None.",
        "CKQUORUM <name>, IS-MASTER-DOWN-BY-ADDR <ip> <port> <epoch> <runid>",
        "    That it is up.",
        "INFO-CACHE <name> [<name> ...]",
        "    The master's INFO.",
        "CONFIG GET <pattern>, MYID, PENDING-SCRIPTS, RESET <pattern>",
        "    As Redis Sentinel has them.",
        "CONFIG SET, DEBUG, FAILOVER, FLUSHCONFIG, MONITOR, REMOVE, SET, SIMULATE-FAILURE",
        "    Refused: nothing can be changed.",
        NULL,
    };

    return resp_lines(call, lines);
}

/* ---- commands that a server has too ---- */

enum oxbow_err resp_sentinel_role(struct resp_call *call)
{
    struct oxbow_bytes name;
    size_t pos = 0;

    resp_array(call->reply, 2);
    resp_bulk_text(call->reply, "sentinel");
    resp_array(call->reply, name_count(call->server));
    while ((name = resp_master_name(call->server, &pos)).len > 0) {
        resp_bulk(call->reply, name);
    }
    return OXBOW_OK;
}

/* Other sentinels say that they are there, which changes nothing. */
enum oxbow_err resp_sentinel_publish(struct resp_call *call)
{
    const struct oxbow_bytes *channel = &call->args[1];

    if (channel->len != strlen(HELLO_CHANNEL) ||
        memcmp(channel->data, HELLO_CHANNEL, channel->len) != 0) {
        return resp_refuse(call, "ERR Only HELLO messages are accepted by Sentinel instances.");
    }
    resp_int(call->reply, 1);
    return OXBOW_OK;
}

#define ONLY (RESP_ADMIN | RESP_ONLY_SENTINEL)
#define TELL (ONLY | RESP_PURE)

static const struct resp_command sentinel_subs[] = {
    {"sentinel|get-master-addr-by-name", sentinel_address, 3, TELL, 0, 0, 0, 0, "2.8.4",
     "Where the master is: here", NULL},
    {"sentinel|masters", sentinel_masters, 2, TELL, 0, 0, 0, 0, "2.8.4",
     "What the master is like, under each of its names", NULL},
    {"sentinel|master", sentinel_master, 3, TELL, 0, 0, 0, 0, "2.8.4", "What the master is like",
     NULL},
    {"sentinel|replicas", sentinel_none, 3, TELL, 0, 0, 0, 0, "5.0.0", "Its replicas: none", NULL},
    {"sentinel|slaves", sentinel_none, 3, TELL, 0, 0, 0, 0, "2.8.0", "The same", NULL},
    {"sentinel|sentinels", sentinel_none, 3, TELL, 0, 0, 0, 0, "2.8.4", "Other sentinels: none",
     NULL},
    {"sentinel|ckquorum", sentinel_ckquorum, 3, TELL, 0, 0, 0, 0, "2.8.4",
     "Whether there are sentinels enough: there are", NULL},
    {"sentinel|is-master-down-by-addr", sentinel_is_down, 6, TELL, 0, 0, 0, 0, "2.8.4",
     "Whether a master is down: none is", NULL},
    {"sentinel|myid", sentinel_myid, 2, TELL, 0, 0, 0, 0, "6.2.0", "A name of this sentinel's own",
     NULL},
    {"sentinel|info-cache", sentinel_info_cache, -3, ONLY, 0, 0, 0, 0, "3.2.0", "The master's INFO",
     NULL},
    {"sentinel|pending-scripts", sentinel_pending_scripts, 2, TELL, 0, 0, 0, 0, "2.8.4",
     "Programs that are to be run: none", NULL},
    {"sentinel|config", sentinel_config, -3, TELL, 0, 0, 0, 0, "6.2.0",
     "Settings of the sentinel: GET alone", NULL},
    {"sentinel|reset", sentinel_reset, 3, TELL, 0, 0, 0, 0, "2.8.4",
     "Forgets what was found out: nothing", NULL},
    {"sentinel|failover", sentinel_failover, 3, TELL, 0, 0, 0, 0, "2.8.4",
     "Refused: there is no replica", NULL},
    {"sentinel|monitor", sentinel_monitor, 6, TELL, 0, 0, 0, 0, "2.8.4", "Refused", NULL},
    {"sentinel|remove", sentinel_change, 3, TELL, 0, 0, 0, 0, "2.8.4", "Refused", NULL},
    {"sentinel|set", sentinel_change, -5, TELL, 0, 0, 0, 0, "2.8.4", "Refused", NULL},
    {"sentinel|flushconfig", refuse_change, 2, TELL, 0, 0, 0, 0, "2.8.4", "Refused", NULL},
    {"sentinel|debug", refuse_change, -2, TELL, 0, 0, 0, 0, "7.0.0", "Refused", NULL},
    {"sentinel|simulate-failure", refuse_change, -3, TELL, 0, 0, 0, 0, "3.2.0", "Refused", NULL},
    {"sentinel|help", sentinel_help, 2, RESP_LOADING | RESP_STALE | RESP_ONLY_SENTINEL | RESP_PURE,
     0, 0, 0, 0, "6.2.0", "What subcommands there are", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_sentinel_commands[] = {
    {"sentinel", NULL, -2, ONLY, 0, 0, 0, 0, "2.8.4", "Where clients find their master",
     sentinel_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
