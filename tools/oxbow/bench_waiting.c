/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation costs while ever more waits: delayed entries, entries of a lower priority, ids that
 * are remembered. Look-ups that are not logarithmic show here.
 */
#include "tools/oxbow/bench_oxbow.h"

#include "oxbow/delay.h"
#include "oxbow/group.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <string.h>

#define FEW        1000u
#define MANY       100000u
#define MOST       10000000u
#define FILL_BATCH 1000u
#define BATCH      64u
#define OPS        200000u
#define DAY_MS     86400000u
#define SPACE_MS   86u

static const struct oxbow_bytes stream_key = {"s", 1};
static const struct oxbow_group the_group = {{"s", 1}, {"g", 1}};

/* Something done so many times from the number `first` on, in one transaction. */
typedef int (*step_fn)(struct oxbow_txn *txn, uint64_t first, uint32_t count);

static int repeat(struct oxbow *db, step_fn step, uint64_t first, uint64_t count, uint32_t batch)
{
    for (uint64_t done = 0; done < count; done += batch) {
        uint32_t n = count - done < batch ? (uint32_t)(count - done) : batch;
        struct oxbow_txn *txn;

        TRY(oxbow_txn_begin(db, NULL, &txn));
        if (step(txn, first + done, n) != 0) {
            oxbow_txn_abort(txn);
            return -1;
        }
        TRY(oxbow_txn_commit(txn, NULL));
    }
    return 0;
}

/* Fills the store by `fill` until `waiting` wait, and measures `step`. */
struct plan {
    step_fn begin; /* once; may be NULL */
    step_fn fill;
    step_fn step;
    uint64_t waiting;
};

static int measure(const struct bench_run *run, const struct plan *p, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, OPS);
    struct bench_store s;

    if (bench_store_open(run, OXBOW_SYNC_INTERVAL, &s) != 0 ||
        (p->begin != NULL && repeat(s.db, p->begin, 0, 1, 1) != 0) ||
        (p->waiting > 0 && repeat(s.db, p->fill, 0, p->waiting, FILL_BATCH) != 0)) {
        return -1;
    }
    TRY(oxbow_flush(s.db));
    bench_store_start(run, &s);
    if (repeat(s.db, p->step, p->waiting, count, BATCH) != 0) {
        return -1;
    }
    bench_store_stop(&s, count, out);
    return bench_store_close(run, &s, count, out);
}

/* Numbers in no order: neighbours in time are none in the index. */
static uint64_t scatter(uint64_t i)
{
    i *= 0x9e3779b97f4a7c15u;
    return i ^ i >> 32;
}

/* ---- delayed entries ---- */

static int put_off_for(struct oxbow_txn *txn, uint64_t number, uint64_t ms)
{
    uint8_t payload[BENCH_PAYLOAD];
    const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, DAY_MS + ms};

    bench_payload(payload, number);
    TRY(oxbow_delay_add(txn, stream_key, &when, &field, 1, NULL));
    return 0;
}

/* In the order in which they will be due, over some days. */
static int put_off_in_order(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (put_off_for(txn, i, i * SPACE_MS) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Anywhere among those. */
static int put_off(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (put_off_for(txn, i, scatter(i) % (first * SPACE_MS + 1)) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Entries that are due at once, put off and added. */
static int come_due(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    uint8_t payload[BENCH_PAYLOAD];
    uint64_t moved;

    for (uint64_t i = first; i < first + count; i++) {
        const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};
        const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 0};

        bench_payload(payload, i);
        TRY(oxbow_delay_add(txn, stream_key, &when, &field, 1, NULL));
    }
    TRY(oxbow_delay_run(txn, count, &moved, NULL));
    return moved == count ? 0 : -1;
}

int bench_delay_few(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, put_off, FEW}, out);
}

int bench_delay_many(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, put_off, MANY}, out);
}

int bench_delay_most(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, put_off, bench_scaled(run, MOST)},
                   out);
}

int bench_due_few(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, come_due, FEW}, out);
}

int bench_due_many(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, come_due, MANY}, out);
}

int bench_due_most(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, put_off_in_order, come_due, bench_scaled(run, MOST)},
                   out);
}

/* ---- priorities ---- */

static int add_with(struct oxbow_txn *txn, uint64_t first, uint32_t count, uint32_t priority)
{
    const struct oxbow_stream_add_options opt = {.priority = priority};
    uint8_t payload[BENCH_PAYLOAD];

    for (uint64_t i = first; i < first + count; i++) {
        const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};

        bench_payload(payload, i);
        TRY(oxbow_stream_add(txn, stream_key, &opt, &field, 1, NULL));
    }
    return 0;
}

static int add_low(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return add_with(txn, first, count, 0);
}

static int make_group(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    const struct oxbow_group_create_options opt = {.make_stream = true};

    (void)first;
    (void)count;
    TRY(oxbow_group_create(txn, the_group, &opt));
    return 0;
}

static int make_priorities(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    const struct oxbow_policy policy = {.priorities = 2};

    TRY(oxbow_policy_set(txn, stream_key, &policy));
    return make_group(txn, first, count);
}

static int take_all(struct oxbow_txn *txn, uint32_t count)
{
    const struct oxbow_group_read_options opt = {.count = count};
    struct oxbow_result result = {0};
    struct oxbow_id ids[BATCH];
    uint64_t acked = 0;

    TRY(oxbow_group_read(txn, the_group, (struct oxbow_bytes){"c", 1}, &opt, &result));
    for (size_t i = 0; i < result.entry_count && i < BATCH; i++) {
        ids[i] = result.entries[i].id;
    }
    oxbow_result_fini(&result);
    TRY(oxbow_group_ack(txn, the_group, ids, count, &acked));
    return acked == count ? 0 : -1;
}

/* What goes first is added, read and acked, past all that waits. */
static int take_high(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return add_with(txn, first, count, 1) == 0 ? take_all(txn, count) : -1;
}

static int take_low(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return add_with(txn, first, count, 0) == 0 ? take_all(txn, count) : -1;
}

/* A queue that had priorities, and has run empty without them. */
static int make_off(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    const struct oxbow_stream_trim none = {.by = OXBOW_TRIM_MAXLEN};

    if (make_priorities(txn, first, count) != 0 || take_high(txn, 0, BATCH) != 0) {
        return -1;
    }
    TRY(oxbow_policy_clear(txn, stream_key, NULL));
    TRY(oxbow_stream_trim(txn, stream_key, &none, NULL));
    return 0;
}

int bench_take_plain(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_group, NULL, take_low, 0}, out);
}

int bench_take_off(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_off, NULL, take_low, 0}, out);
}

int bench_take_none(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_priorities, add_low, take_high, 0}, out);
}

int bench_take_few(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_priorities, add_low, take_high, FEW}, out);
}

int bench_take_many(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_priorities, add_low, take_high, MANY}, out);
}

int bench_take_most(const struct bench_run *run, struct bench_sample *out)
{
    return measure(
        run, &(struct plan){make_priorities, add_low, take_high, bench_scaled(run, MOST)}, out);
}

/* ---- ids ---- */

static int make_window(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    const struct oxbow_policy policy = {.dedupe_count = OXBOW_ONCE_COUNT_MAX};

    (void)first;
    (void)count;
    TRY(oxbow_policy_set(txn, stream_key, &policy));
    return 0;
}

static int once(struct oxbow_txn *txn, uint64_t number, bool duplicate)
{
    uint8_t payload[BENCH_PAYLOAD];
    const struct oxbow_field field = {{"v", 1}, {payload, sizeof payload}};
    const struct oxbow_once id = {.id = {&number, sizeof number}};
    struct oxbow_once_outcome outcome;

    bench_payload(payload, number);
    TRY(oxbow_once_add(txn, stream_key, &id, &field, 1, &outcome));
    return outcome.duplicate == duplicate ? 0 : -1;
}

static int remember(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (once(txn, scatter(i), false) != 0) {
            return -1;
        }
    }
    return 0;
}

/* By turns one that is new, and one that is remembered. */
static int look_up(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        bool again = i % 2 != 0 && first > 1;
        uint64_t even = again ? scatter(i) % first & ~(uint64_t)1 : i;

        if (once(txn, scatter(even), again) != 0) {
            return -1;
        }
    }
    return 0;
}

int bench_once_few(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_window, remember, look_up, FEW}, out);
}

int bench_once_many(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){make_window, remember, look_up, MANY}, out);
}

int bench_once_most(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t most = MOST - bench_scaled(run, OPS); /* none is forgotten meanwhile */

    return measure(run, &(struct plan){make_window, remember, look_up, bench_scaled(run, most)},
                   out);
}

/* ---- sequences ---- */

static int push_next(struct oxbow_txn *txn, uint64_t producer, uint64_t sequence)
{
    uint8_t payload[BENCH_PAYLOAD];
    const struct oxbow_bytes value = {payload, sizeof payload};
    const struct oxbow_once once = {.producer = {&producer, sizeof producer}, .sequence = sequence};
    struct oxbow_once_outcome outcome;

    bench_payload(payload, producer);
    TRY(oxbow_once_push(txn, (struct oxbow_bytes){"q", 1}, OXBOW_RIGHT, &once, value, &outcome));
    return outcome.duplicate ? -1 : 0;
}

/* Each producer's first one. */
static int begin_sequences(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (push_next(txn, scatter(i), 1) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Some producer's next one: `first` is how many producers there were, and what was pushed since. */
static int go_on(struct oxbow_txn *txn, uint64_t first, uint32_t count, uint64_t producers)
{
    for (uint64_t i = first; producers > 0 && i < first + count; i++) {
        if (push_next(txn, scatter(scatter(i) % producers), i + 2) != 0) {
            return -1;
        }
    }
    return 0;
}

static int go_on_few(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return go_on(txn, first, count, FEW);
}

static int go_on_many(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return go_on(txn, first, count, MANY);
}

/* `first` is little above their number: one in fifty goes to a producer that is new. */
static int go_on_most(struct oxbow_txn *txn, uint64_t first, uint32_t count)
{
    return go_on(txn, first, count, first);
}

int bench_sequence_few(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, begin_sequences, go_on_few, FEW}, out);
}

int bench_sequence_many(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, begin_sequences, go_on_many, MANY}, out);
}

int bench_sequence_most(const struct bench_run *run, struct bench_sample *out)
{
    return measure(run, &(struct plan){NULL, begin_sequences, go_on_most, bench_scaled(run, MOST)},
                   out);
}
