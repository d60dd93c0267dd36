/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells all that the store holds: entries, what is pending, what was dropped and why, how far the
 * forwards are. It looks through the functions that anybody uses, and judges nothing but time: what
 * is too old must go by itself, without a hand, as soon as the store has a moment.
 */
#include "tests/sim/year_device.h"

#include <time.h>

#define SETTLE_TRIES 20000 /* of a few milliseconds */

static void tell_stream(struct device *d, enum year_queue q)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    DEVICE_MUST(d, oxbow_stream_range(d->txn, queue_key(q), &all, &d->result));
    for (size_t i = 0; i < d->result.entry_count; i++) {
        const struct oxbow_entry *e = &d->result.entries[i];
        tell(&d->teller, (struct tell){.kind = TELL_HAVE,
                                       .queue = q,
                                       .number = number_of_entry(e),
                                       .v = {e->id.ms, e->id.seq}});
    }
}

static void tell_list(struct device *d, enum year_queue q)
{
    DEVICE_MUST(d, oxbow_list_range(d->txn, queue_key(q), 0, -1, &d->result));
    for (size_t i = 0; i < d->result.item_count; i++)
        tell(&d->teller, (struct tell){.kind = TELL_HAVE,
                                       .queue = q,
                                       .number = number_of_item(&d->result.items[i])});
}

static void tell_pending(struct device *d, enum year_queue q)
{
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 64};
    struct oxbow_pending rows[64];
    struct oxbow_result names = {0};
    size_t count;
    do {
        DEVICE_MUST(d, oxbow_group_pending(d->txn, queue_group(q), &filter, &names, rows, &count));
        for (size_t i = 0; i < count; i++) {
            const struct oxbow_stream_range one = {.from = rows[i].id, .to = rows[i].id};
            DEVICE_MUST(d, oxbow_stream_range(d->txn, queue_key(q), &one, &d->result));
            tell(&d->teller,
                 (struct tell){.kind = TELL_PENDING,
                               .queue = q,
                               .number = d->result.entry_count == 1
                                             ? number_of_entry(&d->result.entries[0])
                                             : 0,
                               .v = {rows[i].deliveries, rows[i].id.ms, rows[i].id.seq}});
            filter.from = (struct oxbow_id){rows[i].id.ms, rows[i].id.seq + 1};
        }
    } while (count == 64);
    oxbow_result_fini(&names);
}

static void tell_position(struct device *d, enum year_queue q)
{
    struct oxbow_group_info info;
    DEVICE_MUST(d, oxbow_group_info(d->txn, queue_group(q), &info));
    tell(
        &d->teller,
        (struct tell){.kind = TELL_POSITION, .queue = q, .v = {info.last_id.ms, info.last_id.seq}});
}

/* Numbers of the dead are those of tasks. */
static void tell_letters(struct device *d)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    enum oxbow_err err = oxbow_stream_range(d->txn, queue_key(Q_LETTERS), &all, &d->result);
    DEVICE_MUST(d, err);
    for (size_t i = 0; i < d->result.entry_count; i++) {
        const struct oxbow_entry *e = &d->result.entries[i];
        tell(&d->teller, (struct tell){.kind = TELL_LETTER,
                                       .queue = Q_TASKS,
                                       .number = number_of_entry(e),
                                       .v = {number_in_field(e, "oxbow.deliveries")}});
    }
}

static void tell_waiting(struct device *d)
{
    struct oxbow_delay_place place = {.wall = false};
    struct oxbow_delay_info info;
    enum oxbow_err err;
    while ((err = oxbow_delay_next(d->txn, &place, &info)) == OXBOW_OK) {
        DEVICE_MUST(d, oxbow_delay_get(d->txn, info.id, &d->result));
        tell(&d->teller, (struct tell){.kind = TELL_WAITING,
                                       .queue = Q_LATER,
                                       .number = number_of_item(&d->result.items[0])});
    }
    if (err != OXBOW_ENOENT)
        device_fail(d, err, __LINE__);
}

static void tell_drops(struct device *d, enum year_queue q)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    struct oxbow_drops drops;
    size_t count = 0;
    for (unsigned cause = 1; cause <= OXBOW_DROP_CAUSES; cause++) {
        DEVICE_MUST(d,
                    oxbow_policy_drops(d->txn, queue_key(q), (enum oxbow_drop_cause)cause, &drops));
        tell(&d->teller, (struct tell){.kind = TELL_DROPS,
                                       .queue = q,
                                       .number = cause,
                                       .v = {drops.entries, drops.bytes}});
    }
    DEVICE_MUST(d, oxbow_policy_gaps(d->txn, queue_key(q), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX,
                                     &count));
    for (size_t i = 0; i < count; i++)
        tell(&d->teller, (struct tell){.kind = TELL_GAP,
                                       .queue = q,
                                       .number = gaps[i].entries,
                                       .v = {gaps[i].from.ms, gaps[i].from.seq, gaps[i].to.ms,
                                             gaps[i].to.seq}});
}

static void tell_forward(struct device *d, enum year_queue q)
{
    struct oxbow_forward_status s;
    DEVICE_MUST(d, oxbow_forward_status(d->txn, year_queues[q].key, &s));
    tell(&d->teller,
         (struct tell){.kind = TELL_FORWARD,
                       .queue = q,
                       .number = s.backlog_entries,
                       .v = {s.dropped_entries, s.gaps, s.confirmed.ms, s.confirmed.seq}});
}

/* The oldest entry that drops by age: 0 when there is none. */
static uint64_t oldest_aging(struct device *d, uint64_t *clock_ms, struct oxbow_stamp *stamp)
{
    const struct oxbow_stream_range first = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX, .count = 1};
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_time time;
    uint64_t number = 0;
    DEVICE_MUST(d, oxbow_txn_begin(d->db, &opt, &d->txn));
    DEVICE_MUST(d, oxbow_time_now(d->txn, &time));
    DEVICE_MUST(d, oxbow_stream_range(d->txn, queue_key(Q_AGE), &first, &d->result));
    if (d->result.entry_count == 1) {
        number = number_of_entry(&d->result.entries[0]);
        DEVICE_MUST(d,
                    oxbow_stream_stamp(d->txn, queue_key(Q_AGE), d->result.entries[0].id, stamp));
    }
    oxbow_txn_abort(d->txn);
    *clock_ms = time.clock_ms;
    return number;
}

void audit_look(struct device *d)
{
    struct oxbow_stamp stamp;
    uint64_t clock_ms, before = clock_true_ms();
    uint64_t number = oldest_aging(d, &clock_ms, &stamp);
    tell(&d->teller, (struct tell){.kind = TELL_LOOK,
                                   .queue = Q_AGE,
                                   .number = number,
                                   .v = {before, clock_ms, clock_true_ms()}});
}

/* Begins a transaction in which all that has expired is gone: what no reader is
 * given any more goes soon after. */
static void settle_brief(struct device *d, const struct oxbow_txn_options *opt)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    const struct timespec moment = {0, 2000000};
    for (int i = 0; i < SETTLE_TRIES; i++) {
        uint64_t length = 0;
        DEVICE_MUST(d, oxbow_txn_begin(d->db, opt, &d->txn));
        DEVICE_MUST(d, oxbow_stream_range(d->txn, queue_key(Q_BRIEF), &all, &d->result));
        DEVICE_MUST(d, oxbow_stream_len(d->txn, queue_key(Q_BRIEF), &length));
        if (length == d->result.entry_count)
            return;
        oxbow_txn_abort(d->txn);
        (void)nanosleep(&moment, NULL);
    }
    device_fail(d, OXBOW_ETIMEDOUT, __LINE__);
}

void audit(struct device *d, bool settled)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_time time;
    settle_brief(d, &opt);
    DEVICE_MUST(d, oxbow_time_now(d->txn, &time));
    tell(&d->teller, (struct tell){.kind = TELL_AUDIT,
                                   .number = settled,
                                   .v = {clock_true_ms(), time.clock_ms, time.boot}});
    for (int i = 0; i < QUEUES; i++) {
        enum year_queue q = (enum year_queue)i;
        if (q == Q_LETTERS)
            tell_letters(d);
        else if (year_queues[q].list)
            tell_list(d, q);
        else
            tell_stream(d, q);
        if (year_queues[q].group)
            tell_pending(d, q);
        if (year_queues[q].options != NULL)
            tell_position(d, q);
        if (q == Q_LATER)
            tell_waiting(d);
        if (year_limited(q))
            tell_drops(d, q);
        if (year_queues[q].forwarded)
            tell_forward(d, q);
    }
    tell(&d->teller, (struct tell){.kind = TELL_AUDITED});
    DEVICE_MUST(d, oxbow_txn_commit(d->txn, NULL));
    tell_send(&d->teller);
}
