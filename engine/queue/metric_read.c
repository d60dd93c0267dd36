/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the figures of a store, a queue, a group, a forward. */
#include "engine/base/buf.h"
#include "engine/queue/metric.h"
#include "engine/queue/policy.h"
#include "engine/queue/rate.h"
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/forward.h"
#include "oxbow/group.h"
#include "oxbow/group_options.h"
#include "oxbow/stream.h"

static uint64_t known_or(bool known, uint64_t value)
{
    return known ? value : METRIC_UNKNOWN;
}

/* ---- what is kept ---- */

static void state_close(struct oxbow *db, void *p)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct metric_state *s = p;

    if (s->watches != NULL) {
        metric_watches_free(alloc, s->watches);
    }
    mem_free(alloc, s, sizeof *s);
}

enum oxbow_err metric_state_get(struct oxbow_txn *txn, struct metric_state **out)
{
    struct oxbow *db = txn_store(txn);
    struct metric_state *s = store_slot_get(db, STORE_SLOT_METRIC);

    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        s->db = db;
        store_slot_set(db, STORE_SLOT_METRIC, s, state_close);
    }
    *out = s;
    return OXBOW_OK;
}

/* ---- the store ---- */

enum oxbow_err metric_read_store(struct oxbow_txn *txn, struct metric_store *out)
{
    struct oxbow *db = txn_store(txn);
    struct oxbow_delay_stat delay = {0};
    struct oxbow_recovery rec;
    struct oxbow_stat stat;
    struct oxbow_wear wear;
    enum oxbow_err err = oxbow_delay_stat(txn, &delay);

    if (err != OXBOW_OK && err != OXBOW_ECORRUPT) {
        return err;
    }
    oxbow_stat(db, &stat);
    oxbow_wear(db, &wear);
    oxbow_recovery(db, &rec);
    *out = (struct metric_store){
        .lsn_applied = stat.lsn_applied,
        .lsn_durable = stat.lsn_durable,
        .unsynced_us = stat.oldest_unsynced_us,
        .quota = stat.quota_bytes,
        .used = stat.used_bytes,
        .reserve = stat.reserve_bytes,
        .file = stat.file_bytes,
        .free = stat.free_bytes,
        .holes = stat.hole_bytes,
        .disk_max = stat.disk_bytes_max,
        .memtable = stat.memtable_bytes,
        .checkpoints = stat.checkpoints,
        .device = stat.device_bytes,
        .payload = stat.payload_bytes,
        .keys = stat.keys,
        .values_bad = stat.values_bad,
        .journal = stat.journal,
        .journal_frames = stat.journal_frames,
        .journal_bytes = stat.journal_written,
        .journal_syncs = stat.journal_syncs,
        .in_memory = stat.in_memory,
        .held = stat.memory_held,
        .held_us = stat.memory_us,
        .held_times = stat.memory_times,
        .stand_in = stat.stand_in,
        .device_back = stat.device_back,
        .boot = stat.boot,
        .life_device = wear.life.journal_bytes + wear.life.checkpoint_bytes + wear.life.other_bytes,
        .endurance_ppm = known_or(wear.endurance_bytes > 0, wear.used_ppm),
        .lost = rec.lost_from == 0 ? 0 : rec.lost_upto - rec.lost_from + 1,
        .delayed = known_or(err == OXBOW_OK, delay.waiting),
        .delayed_bytes = known_or(err == OXBOW_OK, delay.bytes),
    };
    return OXBOW_OK;
}

/* ---- a queue ---- */

static enum oxbow_err read_added(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct metric_queue *out)
{
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(txn, key, &info);

    if (err == OXBOW_OK) {
        out->added = info.entries_added;
    }
    return err;
}

static enum oxbow_err read_rates(struct oxbow_txn *txn, const struct object *object,
                                 struct metric_queue *out)
{
    struct rate rate;
    enum oxbow_err err = rate_of_queue(txn, object->tag, &rate);

    if (err == OXBOW_OK) {
        out->in_milli = rate.in;
        out->out_milli = rate.out;
        out->in_bytes_milli = rate.in_bytes;
        out->out_bytes_milli = rate.out_bytes;
    }
    return err;
}

static enum oxbow_err read_policy(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct metric_queue *out)
{
    struct oxbow_policy policy;
    struct oxbow_policy_info info;
    enum oxbow_err err = oxbow_policy_get(txn, key, &policy);

    if (err == OXBOW_OK) {
        err = oxbow_policy_info(txn, key, &info);
    }
    if (err == OXBOW_OK) {
        out->max_entries = known_or(policy.max_entries > 0, policy.max_entries);
        out->max_bytes = known_or(policy.max_bytes > 0, policy.max_bytes);
        out->full = info.full;
        out->refused = info.refused;
    }
    return err == OXBOW_ENOENT || err == OXBOW_ENOTSUP ? OXBOW_OK : err;
}

static void unknown(struct metric_queue *out)
{
    *out = (struct metric_queue){
        .unreadable = METRIC_UNKNOWN,
        .entries = METRIC_UNKNOWN,
        .bytes = METRIC_UNKNOWN,
        .oldest_ms = METRIC_UNKNOWN,
        .added = METRIC_UNKNOWN,
        .in_milli = METRIC_UNKNOWN,
        .out_milli = METRIC_UNKNOWN,
        .in_bytes_milli = METRIC_UNKNOWN,
        .out_bytes_milli = METRIC_UNKNOWN,
        .max_entries = METRIC_UNKNOWN,
        .max_bytes = METRIC_UNKNOWN,
        .full = METRIC_UNKNOWN,
        .refused = METRIC_UNKNOWN,
    };
}

enum oxbow_err metric_read_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct metric_queue *out)
{
    struct oxbow_policy_info info = {.oldest_age_ms = UINT64_MAX};
    struct object object;
    enum oxbow_err err = catalog_find(txn, key, &object);

    unknown(out);
    if (err == OXBOW_OK && object.type != OXBOW_TYPE_LIST && object.type != OXBOW_TYPE_STREAM) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = policy_depth(txn, key, &info);
    }
    if (err == OXBOW_OK) {
        out->entries = info.entries;
        out->bytes = info.bytes;
        out->oldest_ms = info.entries == 0 ? 0 : info.oldest_age_ms;
    }
    if (err == OXBOW_OK && object.type == OXBOW_TYPE_STREAM) {
        err = read_added(txn, key, out);
    }
    if (err == OXBOW_OK) {
        err = read_rates(txn, &object, out);
    }
    if (err == OXBOW_OK) {
        err = read_policy(txn, key, out);
    }
    if (err == OXBOW_ECORRUPT) {
        unknown(out);
        out->unreadable = 1;
        err = OXBOW_OK;
    }
    return err;
}

enum oxbow_err metric_read_drops(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 enum oxbow_drop_cause cause, struct metric_drops *out)
{
    struct oxbow_drops drops;
    enum oxbow_err err = oxbow_policy_drops(txn, key, cause, &drops);

    if (err == OXBOW_OK) {
        *out = (struct metric_drops){drops.entries, drops.bytes};
    }
    return err;
}

/* ---- groups, forwards and sources ---- */

enum oxbow_err metric_read_group(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_bytes group, struct metric_group *out)
{
    const struct oxbow_group who = {key, group};
    struct oxbow_group_status status;
    struct oxbow_group_options rules;
    struct oxbow_result memory = {0};
    struct oxbow_group_info info;
    bool ruled = false;
    enum oxbow_err err = oxbow_group_info(txn, who, &info);

    if (err == OXBOW_OK) {
        err = oxbow_group_status(txn, who, &status);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_options_get(txn, who, &memory, &rules);
        ruled = err == OXBOW_OK &&
                (rules.visibility_ms > 0 || rules.max_deliveries > 0 || status.redelivered > 0);
    }
    oxbow_result_fini(&memory);
    if (err == OXBOW_OK) {
        *out = (struct metric_group){
            .lag = known_or(info.has_lag && info.lag >= 0, (uint64_t)info.lag),
            .pending = info.pending,
            .consumers = info.consumers,
            .redelivered = known_or(ruled, status.redelivered),
            .dead_letters = known_or(ruled, status.dead_letters),
            .dead_refused = known_or(ruled, status.dead_refused),
        };
    }
    return err;
}

enum oxbow_err metric_read_forward(struct oxbow_txn *txn, const char *name,
                                   struct metric_forward *out)
{
    struct oxbow_forward_status s;
    struct rate rate;
    enum oxbow_err err = oxbow_forward_status(txn, name, &s);

    if (err == OXBOW_OK) {
        err = rate_of_forward(txn, name, &rate);
    }
    if (err == OXBOW_OK) {
        *out = (struct metric_forward){
            .backlog = s.backlog_entries,
            .backlog_bytes = s.backlog_bytes,
            .unsent = s.unsent_entries,
            .oldest_ms = s.backlog_entries == 0 ? 0 : s.oldest_age_ms,
            .blocked_ms = known_or(s.blocked_by.ms != 0 || s.blocked_by.seq != 0, s.blocked_age_ms),
            .sent = s.sent_entries,
            .sent_milli = rate.out,
            .sent_bytes_milli = rate.out_bytes,
            .dropped = s.dropped_entries,
            .dropped_bytes = s.dropped_bytes,
            .gaps = s.gaps,
            .rewinds = s.rewinds,
            .refused = s.refused,
        };
    }
    return err;
}

enum oxbow_err metric_read_source(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct metric_source *out)
{
    struct oxbow_source_info info;
    enum oxbow_err err = oxbow_source_get(txn, key, &info);

    if (err == OXBOW_OK) {
        *out = (struct metric_source){
            .bindings = info.bindings,
            .entries = info.entries,
            .routed = info.routed,
            .unroutable = info.unroutable,
            .alternated = info.alternated,
            .dropped = info.dropped,
        };
    }
    return err;
}
