/* SPDX-License-Identifier: Apache-2.0 */
/* INFO: sections of `name:value` lines. Names are Redis' where the figure is; clients choose what to
 * send by some of them (redis_version, loading, maxmemory_policy, role). */
#include "engine/resp/cmd_info.h"

#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/expired.h"
#include "oxbow/forward.h"
#include "oxbow/key.h"
#include "oxbow/uplink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 1024u
#define ULL(v)         ((unsigned long long)(v))

struct info {
    struct resp_call *call;
    struct buf *text;
    struct oxbow_stat stat;
    struct oxbow_cache_stat cache;
    enum oxbow_err err;
    bool sentinel; /* for those who ask for one */
};

static void line(struct info *i, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct info *i, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text - 2, format, args);
    va_end(args);
    if (len > (int)sizeof text - 3) {
        len = (int)sizeof text - 3;
    }
    memcpy(text + len, "\r\n", 2);
    if (i->err == OXBOW_OK) {
        i->err = buf_append(i->text, text, (size_t)len + 2);
    }
}

static void section_server(struct info *i)
{
    const struct oxbow_resp *s = i->call->server;
    uint64_t uptime = (s->now_us - s->opened_us) / 1000000;

    line(i, "redis_version:" RESP_VERSION);
    line(i, "redis_mode:%s", i->sentinel ? "sentinel" : "standalone");
    line(i, "server_name:oxbow");
    line(i, "arch_bits:%zu", sizeof(void *) * 8);
    line(i, "multiplexing_api:libuv");
    line(i, "process_id:%u", s->config.pid);
    line(i, "run_id:%s", s->run_id);
    line(i, "tcp_port:%u", i->sentinel ? s->config.sentinel_port : s->config.port);
    line(i, "server_time_usec:%llu", ULL(s->port->clock.wall_ms(s->port->clock.ctx) * 1000));
    line(i, "uptime_in_seconds:%llu", ULL(uptime));
    line(i, "uptime_in_days:%llu", ULL(uptime / 86400));
    line(i, "hz:10");
    line(i, "config_file:%s", s->config.config_file != NULL ? s->config.config_file : "");
}

static void section_clients(struct info *i)
{
    const struct oxbow_resp *s = i->call->server;

    line(i, "connected_clients:%u", s->client_count);
    line(i, "maxclients:%u", s->config.clients_max);
    line(i, "blocked_clients:%u", s->blocked + resp_pause_count(s));
    line(i, "tracking_clients:%u", s->track.clients);
}

/* A size as Redis writes it for people. */
static void line_size(struct info *i, const char *name, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    double size = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        line(i, "%s_human:%lluB", name, ULL(bytes));
        return;
    }
    while (size >= 1024) {
        size /= 1024;
        unit++;
    }
    line(i, "%s_human:%.2f%c", name, size, units[unit]);
}

/* The limit is that of the databases that are kept in memory: used_memory_cache is to be held against it. */
static void section_memory(struct info *i)
{
    uint64_t used = i->stat.memtable_bytes + i->cache.bytes;

    line(i, "used_memory:%llu", ULL(used));
    line_size(i, "used_memory", used);
    line(i, "used_memory_cache:%llu", ULL(i->cache.bytes));
    line_size(i, "used_memory_cache", i->cache.bytes);
    line(i, "used_memory_cache_peak:%llu", ULL(i->cache.bytes_peak));
    line(i, "maxmemory:%llu", ULL(i->cache.limit.bytes));
    line_size(i, "maxmemory", i->cache.limit.bytes);
    line(i, "maxmemory_policy:%s", resp_evict_name(i->cache.limit.evict));
}

static const char *sync_name(enum oxbow_sync sync)
{
    return sync == OXBOW_SYNC_INTERVAL ? "everysec" : sync == OXBOW_SYNC_NONE ? "no" : "always";
}

static void section_persistence(struct info *i)
{
    line(i, "loading:0");
    line(i, "async_loading:0");
    line(i, "rdb_changes_since_last_save:0");
    line(i, "rdb_bgsave_in_progress:0");
    line(i, "rdb_last_save_time:%llu",
         ULL(i->call->server->port->clock.wall_ms(i->call->server->port->clock.ctx) / 1000));
    line(i, "rdb_last_bgsave_status:ok");
    line(i, "aof_enabled:1");
    line(i, "aof_rewrite_in_progress:0");
    line(i, "aof_last_write_status:%s", i->stat.in_memory ? "err" : "ok");
}

static void section_stats(struct info *i)
{
    const struct oxbow_resp *s = i->call->server;
    uint64_t expired = 0;
    uint64_t fields = 0;

    line(i, "total_connections_received:%llu", ULL(s->stats.connections));
    line(i, "total_commands_processed:%llu", ULL(s->stats.commands));
    line(i, "total_net_input_bytes:%llu", ULL(s->stats.in_bytes));
    line(i, "total_net_output_bytes:%llu", ULL(s->stats.out_bytes));
    line(i, "rejected_connections:%llu", ULL(s->stats.refused));
    if (i->err == OXBOW_OK) {
        i->err = oxbow_expired_count(i->call->txn, &expired);
    }
    if (i->err == OXBOW_OK) {
        i->err = oxbow_expired_fields(i->call->txn, &fields);
    }
    line(i, "expired_keys:%llu", ULL(expired));
    line(i, "expired_subkeys:%llu", ULL(fields));
    line(i, "evicted_keys:%llu", ULL(i->cache.evicted));
    line(i, "client_output_buffer_limit_disconnections:%llu", ULL(s->stats.overcome));
    line(i, "pubsub_channels:%u", s->channel_count);
    line(i, "pubsub_patterns:%u", s->pattern_count);
    line(i, "pubsubshard_channels:%u", s->shard_count);
    line(i, "tracking_total_keys:%llu", ULL(s->track.keys));
    line(i, "tracking_total_items:%llu", ULL(s->track.items));
    line(i, "tracking_total_prefixes:%u", s->track.prefixes);
}

static void section_replication(struct info *i)
{
    line(i, "role:master");
    line(i, "connected_slaves:0");
    line(i, "master_failover_state:no-failover");
    line(i, "master_replid:%s", i->call->server->run_id);
    line(i, "master_replid2:%040d", 0);
    line(i, "master_repl_offset:0");
    line(i, "second_repl_offset:-1");
    line(i, "repl_backlog_active:0");
    line(i, "repl_backlog_size:0");
    line(i, "repl_backlog_first_byte_offset:0");
    line(i, "repl_backlog_histlen:0");
}

static void section_sentinel(struct info *i)
{
    const struct oxbow_resp *s = i->call->server;
    char host[RESP_ADDR_MAX];
    struct oxbow_bytes name;
    size_t pos = 0;
    uint16_t port;
    unsigned n = 0;

    while (resp_master_name(s, &pos).len > 0) {
        n++;
    }
    line(i, "sentinel_masters:%u", n);
    line(i, "sentinel_tilt:0");
    line(i, "sentinel_tilt_since_seconds:-1");
    line(i, "sentinel_running_scripts:0");
    line(i, "sentinel_scripts_queue_length:0");
    line(i, "sentinel_simulate_failure_flags:0");
    resp_master_address(i->call->client, host, &port);
    pos = 0;
    for (n = 0; (name = resp_master_name(s, &pos)).len > 0; n++) {
        line(i, "master%u:name=%.*s,status=ok,address=%s:%u,slaves=0,sentinels=1", n, (int)name.len,
             (const char *)name.data, host, port);
    }
}

static void section_keyspace(struct info *i)
{
    for (uint32_t db = 0; i->err == OXBOW_OK && db < OXBOW_RESP_DATABASES; db++) {
        uint64_t keys = 0;

        i->err = oxbow_txn_select(i->call->txn, db);
        if (i->err == OXBOW_OK) {
            i->err = oxbow_key_count(i->call->txn, &keys);
        }
        if (i->err == OXBOW_OK && keys > 0) {
            line(i, "db%u:keys=%llu,expires=0,avg_ttl=0", db, ULL(keys));
        }
    }
}

static void section_oxbow(struct info *i)
{
    const struct oxbow_stat *t = &i->stat;

    line(i, "store_id:%016llx", ULL(t->store_id));
    line(i, "store_sync:%s", sync_name(t->sync));
    line(i, "store_sync_interval_ms:%u", t->interval_ms);
    for (uint32_t n = 0; n < OXBOW_RESP_DATABASES; n++) {
        char policy[64];

        if (resp_cache_has(i->call->server, n)) {
            line(i, "db%u_sync:memory", n);
        } else if (i->call->server->own[n].said) {
            (void)resp_own_sync_text(&i->call->server->own[n], policy, sizeof policy);
            line(i, "db%u_sync:%s", n, policy);
        }
    }
    line(i, "store_lsn_applied:%llu", ULL(t->lsn_applied));
    line(i, "store_lsn_durable:%llu", ULL(t->lsn_durable));
    line(i, "store_unsynced_us:%llu", ULL(t->oldest_unsynced_us));
    line(i, "store_quota_bytes:%llu", ULL(t->quota_bytes));
    line(i, "store_used_bytes:%llu", ULL(t->used_bytes));
    line(i, "store_file_bytes:%llu", ULL(t->file_bytes));
    line(i, "store_free_bytes:%llu", ULL(t->free_bytes));
    line(i, "store_disk_bytes_max:%llu", ULL(t->disk_bytes_max));
    line(i, "store_in_memory:%d", t->in_memory);
    line(i, "store_checkpoints:%llu", ULL(t->checkpoints));
    line(i, "store_journal_syncs:%llu", ULL(t->journal_syncs));
    line(i, "store_journal_sync_us:%llu", ULL(t->journal_sync_us));
    line(i, "store_written_bytes:%llu", ULL(t->device_bytes));
    line(i, "store_payload_bytes:%llu", ULL(t->payload_bytes));
    line(i, "store_values_bad:%llu", ULL(t->values_bad));
    line(i, "store_losses:%lld", (long long)i->call->server->losses); /* -1: cannot be read */
}

/* A text of a peer's has a line of its own, whatever is in it. */
static void line_text(struct info *i, const char *name, const char *text)
{
    char clean[LINE_MAX_BYTES / 2];
    size_t len = 0;

    for (; text[len] != '\0' && len + 1 < sizeof clean; len++) {
        clean[len] = (unsigned char)text[len] < ' ' || text[len] == 127 ? ' ' : text[len];
    }
    clean[len] = '\0';
    line(i, "%s:%s", name, clean);
}

static void uplink_session(struct info *i)
{
    const struct oxbow_uplink_ops *ops = i->call->server->config.uplink_ops;
    struct oxbow_uplink_status s;

    ops->status(i->call->server->config.uplink, &s);
    line(i, "uplink_state:%s", ops->state_name(s.state));
    line(i, "uplink_paused:%d", s.paused);
    line_text(i, "uplink_target", s.target);
    line_text(i, "uplink_connection", s.about);
    line_text(i, "uplink_target_version", s.server);
    line(i, "uplink_trouble:%s", ops->trouble_name(s.trouble));
    line_text(i, "uplink_trouble_text", s.trouble_text);
    line(i, "uplink_trouble_age_ms:%llu", ULL(s.trouble_age_ms));
    line(i, "uplink_connected_ms:%llu", ULL(s.connected_ms));
    line(i, "uplink_next_try_ms:%llu", ULL(s.next_try_ms));
    line(i, "uplink_rtt_us:%u", s.rtt_us);
    line(i, "uplink_rate_bytes_s:%llu", ULL(s.rate_bytes_s));
    line(i, "uplink_window_bytes:%llu", ULL(s.window_bytes));
    line(i, "uplink_inflight_bytes:%llu", ULL(s.inflight_bytes));
    line(i, "uplink_attempts:%llu", ULL(s.attempts));
    line(i, "uplink_connects:%llu", ULL(s.connects));
    line(i, "uplink_batches:%llu", ULL(s.batches));
    line(i, "uplink_entries:%llu", ULL(s.entries));
    line(i, "uplink_payload_bytes:%llu", ULL(s.payload_bytes));
    line(i, "uplink_out_bytes:%llu", ULL(s.bytes_out));
    line(i, "uplink_in_bytes:%llu", ULL(s.bytes_in));
    line(i, "uplink_lost_replies:%llu", ULL(s.lost_replies));
    line(i, "uplink_rewinds:%llu", ULL(s.rewinds));
    line(i, "uplink_gaps:%llu", ULL(s.gaps));
}

static void uplink_forward(struct info *i, const char *name)
{
    const struct oxbow_resp_config *c = &i->call->server->config;
    struct oxbow_uplink_forward_status f = {.state = OXBOW_UPLINK_FORWARD_NEW};
    struct oxbow_forward_status s;

    if (i->err == OXBOW_OK) {
        i->err = oxbow_forward_status(i->call->txn, name, &s);
    }
    if (i->err != OXBOW_OK) {
        return;
    }
    if (c->uplink != NULL) {
        /* One that the session has not seen yet is new. */
        (void)!c->uplink_ops->forward_status(c->uplink, name, &f);
    }
    line(i,
         "forward_%s:state=%s,paused=%d,trouble=%s,backlog=%llu,backlog_bytes=%llu,unsent=%llu,"
         "accepted=%llu-%llu,sent=%llu-%llu,confirmed=%llu-%llu,end=%llu-%llu,dropped=%llu,gaps=%"
         "llu,rewinds=%llu",
         name, c->uplink != NULL ? c->uplink_ops->forward_state_name(f.state) : "none", f.paused,
         c->uplink != NULL ? c->uplink_ops->trouble_name(f.trouble) : "none",
         ULL(s.backlog_entries), ULL(s.backlog_bytes), ULL(s.unsent_entries), ULL(f.accepted.ms),
         ULL(f.accepted.seq), ULL(s.sent.ms), ULL(s.sent.seq), ULL(s.confirmed.ms),
         ULL(s.confirmed.seq), ULL(s.end.ms), ULL(s.end.seq), ULL(s.dropped_entries), ULL(s.gaps),
         ULL(s.rewinds));
}

static void section_uplink(struct info *i)
{
    struct oxbow_result *names = i->call->result;

    if (i->call->server->config.uplink != NULL) {
        uplink_session(i);
    } else {
        line(i, "uplink_state:none");
    }
    if (i->err == OXBOW_OK) {
        i->err = oxbow_forward_list(i->call->txn, names);
    }
    line(i, "uplink_forwards:%zu", i->err == OXBOW_OK ? names->item_count : 0);
    for (size_t n = 0; i->err == OXBOW_OK && n < names->item_count; n++) {
        char name[OXBOW_FORWARD_NAME_MAX + 1];

        (void)snprintf(name, sizeof name, "%.*s", (int)names->items[n].len,
                       (const char *)names->items[n].data);
        uplink_forward(i, name);
    }
}

static const struct {
    const char *name;
    const char *title;
    void (*write)(struct info *i);
    uint32_t flags; /* RESP_SENTINEL, RESP_ONLY_SENTINEL: whom it is for, as of commands */
} sections[] = {
    {"server", "Server", section_server, RESP_SENTINEL},
    {"clients", "Clients", section_clients, RESP_SENTINEL},
    {"memory", "Memory", section_memory, 0},
    {"persistence", "Persistence", section_persistence, 0},
    {"stats", "Stats", section_stats, RESP_SENTINEL},
    {"replication", "Replication", section_replication, 0},
    {"oxbow", "Oxbow", section_oxbow, 0},
    {"uplink", "Uplink", section_uplink, 0},
    {"keyspace", "Keyspace", section_keyspace, 0},
    {"sentinel", "Sentinel", section_sentinel, RESP_ONLY_SENTINEL},
};

static bool wanted(const struct resp_call *call, const char *name)
{
    for (uint32_t i = 1; i < call->count; i++) {
        if (resp_arg_is(call->args[i], name) || resp_arg_is(call->args[i], "all") ||
            resp_arg_is(call->args[i], "everything") || resp_arg_is(call->args[i], "default")) {
            return true;
        }
    }
    return call->count == 1;
}

static enum oxbow_err write_sections(struct resp_call *call, bool sentinel, struct buf *text)
{
    struct info i = {.call = call, .text = text, .sentinel = sentinel};

    i.err = resp_cache_stat(call, &i.cache);
    oxbow_stat(call->server->db, &i.stat);
    for (size_t n = 0; n < sizeof sections / sizeof sections[0]; n++) {
        uint32_t flags = sections[n].flags;
        bool here = sentinel ? flags != 0 : flags != RESP_ONLY_SENTINEL;

        if (here && wanted(call, sections[n].name)) {
            if (text->len > 0) {
                line(&i, "%s", "");
            }
            line(&i, "# %s", sections[n].title);
            sections[n].write(&i);
        }
    }
    return i.err;
}

enum oxbow_err resp_info(struct resp_call *call, struct buf *text)
{
    return write_sections(call, call->client->sentinel, text);
}

enum oxbow_err resp_info_master(struct resp_call *call, struct buf *text)
{
    struct resp_call usual = *call;

    usual.count = 1;
    return write_sections(&usual, false, text);
}
