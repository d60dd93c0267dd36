/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all figures that can be told of a store, and the walk over them. How each is read is
 * metric_read.c's; a row here names a member of the struct that its scope is read into, and a member
 * that is METRIC_UNKNOWN is not told.
 */
#include "engine/queue/metric.h"

#include "engine/queue/policy.h"
#include "oxbow/binding.h"
#include "oxbow/forward.h"
#include "oxbow/group.h"

#include <string.h>

#define G OXBOW_METRIC_GAUGE
#define C OXBOW_METRIC_COUNTER
#define ROW(prefix, group, holder, name, unit, kind, per, member, help)                            \
    {                                                                                              \
        "oxbow_" prefix "_" name, unit, help, kind, OXBOW_METRIC_##group, per,                     \
            offsetof(struct metric_##holder, member)                                               \
    }
#define S(...) ROW("store", STORE, store, __VA_ARGS__)
#define Q(...) ROW("queue", QUEUE, queue, __VA_ARGS__)
#define D(...) ROW("queue", DROPS, drops, __VA_ARGS__)
#define P(...) ROW("group", GROUP, group, __VA_ARGS__)
#define F(...) ROW("forward", FORWARD, forward, __VA_ARGS__)
#define R(...) ROW("source", SOURCE, source, __VA_ARGS__)

/* clang-format off */
static const struct oxbow_metric rows[] = {
    S("transactions_applied_total", "", C, 1, lsn_applied, "Number of the newest transaction."),
    S("transactions_durable_total", "", C, 1, lsn_durable, "Number of the newest one on the device."),
    S("unsynced_seconds", "seconds", G, 1000000, unsynced_us, "Age of the oldest commit that is not durable."),
    S("quota_bytes", "bytes", G, 1, quota, "How far pushes may fill the store."),
    S("used_bytes", "bytes", G, 1, used, "How much of the quota is used."),
    S("reserve_bytes", "bytes", G, 1, reserve, "Kept above the quota for what frees space."),
    S("file_bytes", "bytes", G, 1, file, "Length of the data file."),
    S("free_bytes", "bytes", G, 1, free, "Free pages in it."),
    S("hole_bytes", "bytes", G, 1, holes, "Of those, given back to the file system."),
    S("disk_limit_bytes", "bytes", G, 1, disk_max, "What all files together never exceed."),
    S("memtable_bytes", "bytes", G, 1, memtable, "Changes that wait for a checkpoint."),
    S("checkpoints_total", "", C, 1, checkpoints, "Checkpoints since the store was opened."),
    S("device_written_bytes_total", "bytes", C, 1, device, "Written to the device since the store was opened."),
    S("payload_bytes_total", "bytes", C, 1, payload, "Of these, what callers put in."),
    S("keys", "", G, 1, keys, "Records in the data file."),
    S("values_bad_total", "", C, 1, values_bad, "Values that failed their checksum since the store was opened."),
    S("journal", "", G, 1, journal, "1 if there is a journal."),
    S("journal_frames_total", "", C, 1, journal_frames, "Frames written since the store was opened."),
    S("journal_written_bytes_total", "bytes", C, 1, journal_bytes, "Bytes of them."),
    S("journal_syncs_total", "", C, 1, journal_syncs, "Syncs of the journal since the store was opened."),
    S("in_memory", "", G, 1, in_memory, "1 if the device has failed and what comes is held in memory only."),
    S("in_memory_transactions", "", G, 1, held, "Transactions that are held in memory only."),
    S("in_memory_seconds", "seconds", G, 1000000, held_us, "For how long the store has been in memory."),
    S("in_memory_total", "", C, 1, held_times, "Times that the store went into memory since it was opened."),
    S("stand_in", "", G, 1, stand_in, "1 if the store could not be opened and this is its stand-in."),
    S("device_back", "", G, 1, device_back, "1 if this is a stand-in and the store can be opened now."),
    S("boot", "", G, 1, boot, "How often the store was opened."),
    S("life_written_bytes_total", "bytes", C, 1, life_device, "Written to the device since the store was made."),
    S("endurance_used_ratio", "ratio", G, 1000000, endurance_ppm, "Part of the device's endurance that this store has used."),
    S("lost_transactions", "", G, 1, lost, "Acknowledged transactions that the last recovery found lost."),
    S("delayed_entries", "entries", G, 1, delayed, "Entries that wait to become due."),
    S("delayed_bytes", "bytes", G, 1, delayed_bytes, "Bytes of them."),

    Q("unreadable", "", G, 1, unreadable, "1 if damage keeps the queue's figures from being read."),
    Q("entries", "entries", G, 1, entries, "Entries in the queue."),
    Q("bytes", "bytes", G, 1, bytes, "Bytes of them."),
    Q("oldest_age_seconds", "seconds", G, 1000, oldest_ms, "Age of the oldest entry, by the store's own clock."),
    Q("added_entries_total", "entries", C, 1, added, "Entries ever added to a stream."),
    Q("in_per_second", "entries/second", G, 1000, in_milli, "Entries added, per second."),
    Q("out_per_second", "entries/second", G, 1000, out_milli, "Entries that left, per second."),
    Q("in_bytes_per_second", "bytes/second", G, 1000, in_bytes_milli, "Bytes added, per second."),
    Q("out_bytes_per_second", "bytes/second", G, 1000, out_bytes_milli, "Bytes that left, per second."),
    Q("limit_entries", "entries", G, 1, max_entries, "The queue's limit in entries."),
    Q("limit_bytes", "bytes", G, 1, max_bytes, "The queue's limit in bytes."),
    Q("full", "", G, 1, full, "1 if a limit is reached."),
    Q("refused_total", "", C, 1, refused, "Appends refused for a limit since the store was opened or the policy set."),

    D("dropped_entries_total", "entries", C, 1, entries, "Entries that a rule of the queue removed, by cause."),
    D("dropped_bytes_total", "bytes", C, 1, bytes, "Bytes of them."),

    P("lag_entries", "entries", G, 1, lag, "Entries that the group has yet to be given."),
    P("pending_entries", "entries", G, 1, pending, "Entries that were given and not acked."),
    P("consumers", "", G, 1, consumers, "Consumers that the group knows."),
    P("redelivered_total", "", C, 1, redelivered, "Deliveries that were not an entry's first, by the group's options."),
    P("dead_letters_total", "", C, 1, dead_letters, "Entries moved to the group's dead letters."),
    P("dead_refused_total", "", C, 1, dead_refused, "Times that the dead letters took nothing."),

    F("backlog_entries", "entries", G, 1, backlog, "Entries that the target has not confirmed."),
    F("backlog_bytes", "bytes", G, 1, backlog_bytes, "Bytes of them."),
    F("unsent_entries", "entries", G, 1, unsent, "Entries that were not sent yet."),
    F("oldest_age_seconds", "seconds", G, 1000, oldest_ms, "Age of the oldest entry that the target has not confirmed."),
    F("blocked_seconds", "seconds", G, 1000, blocked_ms, "How long a pending entry has held up the forward."),
    F("sent_entries_total", "entries", C, 1, sent, "Entries sent, those sent again counted again."),
    F("sent_per_second", "entries/second", G, 1000, sent_milli, "Entries sent, per second."),
    F("sent_bytes_per_second", "bytes/second", G, 1000, sent_bytes_milli, "Bytes sent, per second."),
    F("dropped_entries_total", "entries", C, 1, dropped, "Entries that the forward's budget dropped."),
    F("dropped_bytes_total", "bytes", C, 1, dropped_bytes, "Bytes of them."),
    F("gaps_total", "", C, 1, gaps, "Gaps that the target was told of."),
    F("rewinds_total", "", C, 1, rewinds, "Times that sending went back."),
    F("refused_total", "", C, 1, refused, "Pushes refused for the budget since the store was opened."),

    R("bindings", "", G, 1, bindings, "Bindings that lead from the stream."),
    R("entries_total", "entries", C, 1, entries, "Entries that were added to it since it became a source."),
    R("routed_entries_total", "entries", C, 1, routed, "Entries that went to destinations, each counted on its own."),
    R("unroutable_entries_total", "entries", C, 1, unroutable, "Entries that no binding took."),
    R("alternated_entries_total", "entries", C, 1, alternated, "Of these, entries that went to the alternate."),
    R("dropped_entries_total", "entries", C, 1, dropped, "Deliveries that a destination went without."),
};
/* clang-format on */
#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct oxbow_metric *oxbow_metrics(size_t *count)
{
    *count = ROW_COUNT;
    return rows;
}

const struct oxbow_metric *oxbow_metric_find(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* ---- giving samples ---- */

static void give(const struct oxbow_metrics_sink *sink, enum oxbow_metric_scope scope,
                 const void *values, const struct oxbow_sample *labels)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct oxbow_sample sample = *labels;

        if (rows[i].scope != scope) {
            continue;
        }
        sample.metric = &rows[i];
        sample.value = metric_value(&rows[i], values);
        if (sample.value != METRIC_UNKNOWN) {
            sink->sample(sink->ctx, &sample);
        }
    }
}

static enum oxbow_err give_store(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink)
{
    const struct oxbow_sample labels = {0};
    struct metric_store values;
    enum oxbow_err err = metric_read_store(txn, &values);

    if (err == OXBOW_OK) {
        give(sink, OXBOW_METRIC_STORE, &values, &labels);
    }
    return err;
}

/* Whether it says that this one thing has gone, is damaged or of another kind: the others are told. */
static bool passed_over(enum oxbow_err err)
{
    return err == OXBOW_ENOENT || err == OXBOW_ENOGROUP || err == OXBOW_EWRONGTYPE ||
           err == OXBOW_ECORRUPT;
}

static enum oxbow_err give_drops(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink,
                                 struct oxbow_sample *labels)
{
    enum oxbow_err err = OXBOW_OK;

    for (unsigned i = 1; i <= OXBOW_DROP_CAUSES && err == OXBOW_OK; i++) {
        struct metric_drops values;

        err = metric_read_drops(txn, labels->queue, (enum oxbow_drop_cause)i, &values);
        if (err == OXBOW_OK) {
            labels->cause = oxbow_drop_cause_name((enum oxbow_drop_cause)i);
            give(sink, OXBOW_METRIC_DROPS, &values, labels);
        }
    }
    labels->cause = NULL;
    return passed_over(err) ? OXBOW_OK : err;
}

static enum oxbow_err give_groups(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink,
                                  struct oxbow_sample *labels)
{
    struct oxbow_result names = {0};
    enum oxbow_err err = oxbow_group_list(txn, labels->queue, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        struct metric_group values;

        err = metric_read_group(txn, labels->queue, names.items[i], &values);
        if (err == OXBOW_OK) {
            labels->name = names.items[i];
            give(sink, OXBOW_METRIC_GROUP, &values, labels);
        }
        err = passed_over(err) ? OXBOW_OK : err;
    }
    oxbow_result_fini(&names);
    return passed_over(err) ? OXBOW_OK : err;
}

static enum oxbow_err give_source(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink,
                                  struct oxbow_bytes key)
{
    const struct oxbow_sample labels = {.database = txn_database(txn), .queue = key};
    struct metric_source values;
    enum oxbow_err err = metric_read_source(txn, key, &values);

    if (err == OXBOW_OK) {
        give(sink, OXBOW_METRIC_SOURCE, &values, &labels);
    }
    return passed_over(err) ? OXBOW_OK : err;
}

static enum oxbow_err give_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_metrics_sink *sink)
{
    struct oxbow_sample labels = {.database = txn_database(txn), .queue = key};
    struct metric_queue values;
    enum oxbow_err err = metric_read_queue(txn, key, &values);

    if (err != OXBOW_OK) {
        return err;
    }
    give(sink, OXBOW_METRIC_QUEUE, &values, &labels);
    err = give_drops(txn, sink, &labels);
    return err == OXBOW_OK && values.added != METRIC_UNKNOWN ? give_groups(txn, sink, &labels)
                                                             : err;
}

enum oxbow_err oxbow_metrics_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   const struct oxbow_metrics_sink *sink)
{
    enum oxbow_err err;

    if (sink == NULL || sink->sample == NULL || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = give_queue(txn, key, sink);
    return err == OXBOW_OK && key.len > 0 ? give_source(txn, sink, key) : err;
}

static enum oxbow_err give_forward(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink,
                                   struct oxbow_bytes name)
{
    struct metric_forward values;
    struct oxbow_forward forward;
    char text[OXBOW_FORWARD_NAME_MAX + 1];
    enum oxbow_err err;

    if (name.len > OXBOW_FORWARD_NAME_MAX) {
        return OXBOW_OK;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    err = oxbow_forward_get(txn, text, &forward);
    if (err == OXBOW_OK) {
        err = metric_read_forward(txn, text, &values);
    }
    if (err == OXBOW_OK) {
        const struct oxbow_sample labels = {
            .database = forward.database, .queue = forward.options.key, .name = name};

        give(sink, OXBOW_METRIC_FORWARD, &values, &labels);
    }
    return passed_over(err) ? OXBOW_OK : err;
}

static enum oxbow_err give_forwards(struct oxbow_txn *txn, const struct oxbow_metrics_sink *sink)
{
    struct oxbow_result names = {0};
    enum oxbow_err err = oxbow_forward_list(txn, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        err = give_forward(txn, sink, names.items[i]);
    }
    oxbow_result_fini(&names);
    return err;
}

/* ---- the walk ---- */

enum part { PART_STORE, PART_QUEUES, PART_FORWARDS, PART_SOURCES, PART_END };

static enum oxbow_err give_some_queues(struct oxbow_txn *txn, struct oxbow_metrics_walk *walk,
                                       const struct oxbow_metrics_sink *sink)
{
    struct oxbow_result names = {0};
    uint64_t cursor = walk->cursor;
    enum oxbow_err err = oxbow_key_scan(txn, &cursor, OXBOW_METRICS_STEP, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        err = give_queue(txn, names.items[i], sink);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    oxbow_result_fini(&names);
    if (err == OXBOW_OK) {
        walk->cursor = cursor;
        walk->database += cursor == 0;
        walk->part = walk->database == CATALOG_DATABASES ? PART_FORWARDS : PART_QUEUES;
    }
    return err;
}

/* Databases without keys are passed over within a step. */
static enum oxbow_err give_queues(struct oxbow_txn *txn, struct oxbow_metrics_walk *walk,
                                  const struct oxbow_metrics_sink *sink)
{
    uint32_t own = txn_database(txn);
    uint64_t count = 0;
    enum oxbow_err err = oxbow_txn_select(txn, walk->database);
    enum oxbow_err back;

    while (err == OXBOW_OK && walk->cursor == 0) {
        err = oxbow_key_count(txn, &count);
        if (err != OXBOW_OK || count > 0 || ++walk->database == CATALOG_DATABASES) {
            break;
        }
        err = oxbow_txn_select(txn, walk->database);
    }
    if (err == OXBOW_OK && walk->database == CATALOG_DATABASES) {
        walk->part = PART_FORWARDS;
    } else if (err == OXBOW_OK) {
        err = give_some_queues(txn, walk, sink);
    }
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

static enum oxbow_err give_some_sources(struct oxbow_txn *txn, struct oxbow_metrics_walk *walk,
                                        const struct oxbow_metrics_sink *sink)
{
    struct oxbow_source_info info = {.database = 0};
    uint32_t place = walk->cursor > UINT32_MAX ? UINT32_MAX : (uint32_t)walk->cursor;
    uint32_t own = txn_database(txn);
    enum oxbow_err err = OXBOW_OK;
    enum oxbow_err back;

    for (unsigned i = 0; i < OXBOW_METRICS_STEP && err == OXBOW_OK; i++) {
        err = oxbow_source_next(txn, &place, &info);
        if (err == OXBOW_OK) {
            err = oxbow_txn_select(txn, info.database);
        }
        if (err == OXBOW_OK) {
            err = give_source(txn, sink, info.key);
        }
    }
    back = oxbow_txn_select(txn, own);
    walk->part += err == OXBOW_ENOENT;
    walk->cursor = err == OXBOW_ENOENT ? 0 : place;
    return err == OXBOW_OK || err == OXBOW_ENOENT ? back : err;
}

enum oxbow_err oxbow_metrics_step(struct oxbow_txn *txn, struct oxbow_metrics_walk *walk,
                                  const struct oxbow_metrics_sink *sink, bool *more)
{
    enum oxbow_err err = OXBOW_OK;

    if (walk == NULL || sink == NULL || sink->sample == NULL || more == NULL ||
        walk->part > PART_END ||
        (walk->part == PART_QUEUES && walk->database >= CATALOG_DATABASES)) {
        return OXBOW_EINVAL;
    }
    if (walk->part == PART_STORE) {
        err = give_store(txn, sink);
        walk->part += err == OXBOW_OK;
    } else if (walk->part == PART_QUEUES) {
        err = give_queues(txn, walk, sink);
    } else if (walk->part == PART_FORWARDS) {
        err = give_forwards(txn, sink);
        walk->part += err == OXBOW_OK;
    } else if (walk->part == PART_SOURCES) {
        err = give_some_sources(txn, walk, sink);
    }
    if (err == OXBOW_OK) {
        *more = walk->part != PART_END;
    }
    return err;
}
