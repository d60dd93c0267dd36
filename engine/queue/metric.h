/* SPDX-License-Identifier: Apache-2.0 */
/* Reading figures, for the files metric*.c. */
#ifndef OXBOW_QUEUE_METRIC_H
#define OXBOW_QUEUE_METRIC_H

#include "engine/store/catalog.h"
#include "oxbow/metrics.h"
#include "oxbow/policy.h"
#include "oxbow/result.h"

#define METRIC_UNKNOWN UINT64_MAX /* and not told */

/* The figures of each scope; `at` of a row is an offset in one of these. */
struct metric_store {
    uint64_t lsn_applied, lsn_durable, unsynced_us;
    uint64_t quota, used, reserve, file, free, holes, disk_max, memtable;
    uint64_t checkpoints, device, payload, keys, values_bad;
    uint64_t journal, journal_frames, journal_bytes, journal_syncs;
    uint64_t in_memory, held, held_us, held_times, stand_in, device_back;
    uint64_t boot, life_device, endurance_ppm, lost, delayed, delayed_bytes;
};
struct metric_queue {
    uint64_t unreadable, entries, bytes, oldest_ms, added;
    uint64_t in_milli, out_milli, in_bytes_milli, out_bytes_milli;
    uint64_t max_entries, max_bytes, full, refused;
};
struct metric_drops {
    uint64_t entries, bytes;
};
struct metric_group {
    uint64_t lag, pending, consumers, redelivered, dead_letters, dead_refused;
};
struct metric_forward {
    uint64_t backlog, backlog_bytes, unsent, oldest_ms, blocked_ms;
    uint64_t sent, sent_milli, sent_bytes_milli, dropped, dropped_bytes, gaps, rewinds, refused;
};
struct metric_source {
    uint64_t bindings, entries, routed, unroutable, alternated, dropped;
};

/* The fullest of them. */
union metric_values {
    struct metric_store store;
    struct metric_queue queue;
    struct metric_drops drops;
    struct metric_group group;
    struct metric_forward forward;
    struct metric_source source;
};

/* The value of a row whose scope's figures are at `values`. */
static inline uint64_t metric_value(const struct oxbow_metric *metric, const void *values)
{
    return *(const uint64_t *)(const void *)((const uint8_t *)values + metric->at);
}

/* ---- metric_read.c ---- */

OXBOW_MUST_CHECK enum oxbow_err metric_read_store(struct oxbow_txn *txn, struct metric_store *out);
/* OXBOW_ENOENT: no such queue. Damage is no error: then all but `unreadable` is METRIC_UNKNOWN. */
OXBOW_MUST_CHECK enum oxbow_err metric_read_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct metric_queue *out);
/* OXBOW_ENOENT: no policy. */
OXBOW_MUST_CHECK enum oxbow_err metric_read_drops(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  enum oxbow_drop_cause cause,
                                                  struct metric_drops *out);
/* OXBOW_ENOENT, OXBOW_ENOGROUP, OXBOW_EWRONGTYPE, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err metric_read_group(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_bytes group,
                                                  struct metric_group *out);
/* By its name, as a closed text. OXBOW_ENOENT, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err metric_read_forward(struct oxbow_txn *txn, const char *name,
                                                    struct metric_forward *out);
/* OXBOW_ENOENT: no such source. */
OXBOW_MUST_CHECK enum oxbow_err metric_read_source(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   struct metric_source *out);

/* ---- metric_watch.c ---- */

struct metric_watches;

/* What is kept with the store: who watches. */
struct metric_state {
    struct oxbow *db;
    struct metric_watches *watches; /* NULL: none yet */
};

/* Makes it if need be. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err metric_state_get(struct oxbow_txn *txn, struct metric_state **out);
void metric_watches_free(const struct oxbow_alloc *alloc, struct metric_watches *w);

#endif
