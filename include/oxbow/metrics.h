/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be told of a store while it works: figures of the store, of each queue, group and forward,
 * all of them rows of one table; and being told when one crosses a line.
 *
 * Nothing is counted for this before somebody asks: a store that nobody asks pays nothing.
 * Durations go by the store's own clock or the monotonic one, never by the wall clock.
 */
#ifndef OXBOW_METRICS_H
#define OXBOW_METRICS_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum oxbow_metric_kind {
    OXBOW_METRIC_GAUGE = 0,  /* goes up and down */
    OXBOW_METRIC_COUNTER = 1 /* only grows, unless what it belongs to is made anew */
};

/* What a figure belongs to, and so what a sample of it names. */
enum oxbow_metric_scope {
    OXBOW_METRIC_STORE = 0,
    OXBOW_METRIC_QUEUE = 1,   /* database and queue */
    OXBOW_METRIC_DROPS = 2,   /* database, queue and cause: of a queue with a policy (policy.h) */
    OXBOW_METRIC_GROUP = 3,   /* database, queue and name of the group */
    OXBOW_METRIC_FORWARD = 4, /* database, queue and name of the forward */
    OXBOW_METRIC_SOURCE = 5   /* database and queue: of a stream with bindings (binding.h) */
};

struct oxbow_metric {
    const char *name; /* "oxbow_queue_oldest_age_seconds" */
    const char *unit; /* "entries", "bytes", "seconds"; "" for a plain number */
    const char *help;
    enum oxbow_metric_kind kind;
    enum oxbow_metric_scope scope;
    uint32_t per; /* a sample's value divided by this is in the unit: 1000 for ms */
    size_t at;    /* the library's own */
};

/* All figures, *count of them, those of one scope together. Static. Any thread. */
const struct oxbow_metric *oxbow_metrics(size_t *count);
/* The one of that name; NULL: there is none. Any thread. */
const struct oxbow_metric *oxbow_metric_find(const char *name);

/* One figure. What it points to is borrowed until the function that was given it returns. */
struct oxbow_sample {
    const struct oxbow_metric *metric;
    uint64_t value; /* in units of 1 / metric->per */
    uint32_t database;
    struct oxbow_bytes queue;
    struct oxbow_bytes name; /* of the group or forward */
    const char *cause;       /* of drops: "age", "length", ...; NULL otherwise */
};

/* Gets samples, one call each. It runs inside the transaction and must not use it or the store. */
struct oxbow_metrics_sink {
    void *ctx;
    void (*sample)(void *ctx, const struct oxbow_sample *sample);
};

/* Where a walk over all figures stands. All zero: at its beginning. */
struct oxbow_metrics_walk {
    uint32_t part;
    uint32_t database;
    uint64_t cursor;
};

/* One bounded step of a walk over everything that there is to tell: the store, or OXBOW_METRICS_STEP
 * queues or so with their groups, or all forwards, or so many sources. *more: call again, in this transaction or in
 * another one, so that nobody waits long. Figures that are not known are left out. What is
 * there from the first step to the last is told at least once; a queue may be told twice if names come
 * and go meanwhile. A queue whose records are damaged has the figure oxbow_queue_unreadable instead.
 * OXBOW_ENOMEM, OXBOW_EIO. */
#define OXBOW_METRICS_STEP 32u
OXBOW_MUST_CHECK enum oxbow_err oxbow_metrics_step(struct oxbow_txn *txn,
                                                   struct oxbow_metrics_walk *walk,
                                                   const struct oxbow_metrics_sink *sink,
                                                   bool *more);
/* What there is to tell of one queue, its groups and its bindings, in the transaction's database. OXBOW_ENOENT: no
 * such queue. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_metrics_queue(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_metrics_sink *sink);

/* Rates (oxbow_queue_in_per_second, _out_per_second, the same in bytes, and what forwards send) are
 * counted in memory from a queue's or forward's first reading on, by its name: one that is emptied
 * and comes again is counted on. What is deleted, renamed or flushed with its name is not counted as
 * leaving, nor is the difference in bytes when LSET replaces an element; transactions that are
 * aborted count for nothing. They are taken between a reading now and one that is at least a second old: the last but one
 * of those that are kept every OXBOW_RATE_WINDOW_MS, so over one to two windows for who reads often,
 * and since the last reading for who reads seldom. By the monotonic clock. The first reading of a queue since
 * the store was opened has none. For the first OXBOW_RATE_QUEUES queues and forwards that are read. */
#define OXBOW_RATE_WINDOW_MS 10000u
#define OXBOW_RATE_QUEUES    4096u

/* ---- being told ---- */

struct oxbow_crossing {
    uint64_t watch; /* as oxbow_watch gave it */
    uint64_t value; /* that was seen */
    bool over;      /* it has crossed; false: it has come back */
};

enum oxbow_watch_side {
    OXBOW_WATCH_ABOVE = 0, /* crossed at `limit` or more, back at `back` or less */
    OXBOW_WATCH_BELOW = 1  /* crossed at `limit` or less, back at `back` or more */
};

struct oxbow_watch_options {
    const char *metric;
    uint32_t database;
    struct oxbow_bytes queue; /* as far as the metric's scope has them; copied */
    struct oxbow_bytes name;
    const char *cause;
    enum oxbow_watch_side side;
    uint64_t limit; /* in units of 1 / per, as samples are */
    uint64_t back;  /* so that a figure that trembles at the limit is told once: not beyond `limit`;
                       0: nine tenths of it, or eleven */
    /* Called once at each crossing and each return, from a thread of the store's, within a second or
     * so of a change. It must be short and must not call oxbow. May be NULL: a line is logged in any
     * case, a warning at a crossing. */
    void (*crossed)(void *ctx, const struct oxbow_crossing *crossing);
    void *ctx;
};

#define OXBOW_WATCHES_MAX 256u

/* Watches a figure, once a second for as long as the store is open; one that is not known or not there
 * (a queue that is yet to come) is as it was last, at first not crossed. Takes the store's lock for a moment;
 * no transaction may be open in this thread. *watch names it.
 * OXBOW_EINVAL   no such metric or cause, a name missing, `back` beyond `limit`
 * OXBOW_ETOOBIG  a name over 1,024 bytes
 * OXBOW_ERANGE   OXBOW_WATCHES_MAX are there
 * OXBOW_EREADONLY, OXBOW_ECLOSED, OXBOW_EFAILED, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_watch(struct oxbow *db, const struct oxbow_watch_options *opt,
                                            uint64_t *watch);
/* When it returns, the callback is not running and will not be called again. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_unwatch(struct oxbow *db, uint64_t watch);

#ifdef __cplusplus
}
#endif

#endif
