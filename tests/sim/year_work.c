/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device does in a step: appends to several queues in one transaction; consumers that are
 * good, away for weeks, or bad; poison that goes to the dead after some deliveries; now and then a
 * burst that fills the quota.
 *
 * Whatever meets a full quota is aborted, told so, and not tried again.
 */
#include "tests/sim/year_device.h"

#include <stdio.h>

#define BURST_BYTES 30000u
#define BURST_TXNS  60u
#define BURST_EACH  6u

static char padding[BURST_BYTES + 1];

/* ---- appends ---- */

static enum oxbow_err add_to_stream(struct device *d, enum year_queue q, size_t pad)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_AUTO};
    char text[24], key[24];
    struct oxbow_field fields[3];
    struct oxbow_id id;
    snprintf(text, sizeof text, "%llu", (unsigned long long)d->number);
    snprintf(key, sizeof key, "%llu", (unsigned long long)year_key(d->number));
    fields[0] = (struct oxbow_field){text_bytes("n"), text_bytes(text)};
    fields[1] = (struct oxbow_field){text_bytes("p"), {padding, pad}};
    fields[2] = (struct oxbow_field){text_bytes("k"), text_bytes(key)};
    enum oxbow_err err =
        oxbow_stream_add(d->txn, queue_key(q), &opt, fields, q == Q_TASKS ? 3 : 2, &id);
    if (err == OXBOW_OK)
        device_tell(
            d,
            (struct tell){.kind = TELL_ADD, .queue = q, .number = d->number, .v = {id.ms, id.seq}});
    return err;
}

static enum oxbow_err push_to_list(struct device *d, enum year_queue q, uint64_t number, size_t pad)
{
    static char text[BURST_BYTES + 32];
    int len =
        snprintf(text, sizeof text, "%llu:%.*s", (unsigned long long)number, (int)pad, padding);
    const struct oxbow_bytes value = {text, (size_t)len};
    enum oxbow_err err = oxbow_list_push(d->txn, queue_key(q), OXBOW_RIGHT, &value, 1, NULL);
    if (err == OXBOW_OK)
        device_tell(d, (struct tell){.kind = q == Q_DEAD ? TELL_DEAD : TELL_ADD,
                                     .queue = q,
                                     .number = number});
    return err;
}

enum oxbow_err work_add(struct device *d, enum year_queue q, size_t pad)
{
    memset(padding, 'x', pad);
    enum oxbow_err err = q >= Q_LATER          ? due_add(d, q, pad)
                         : year_queues[q].list ? push_to_list(d, q, d->number, pad)
                                               : add_to_stream(d, q, pad);
    if (err == OXBOW_EFULL || err == OXBOW_EBUDGET) {
        device_tell(
            d, (struct tell){
                   .kind = TELL_REFUSED, .queue = q, .number = d->number, .v = {(uint64_t)err}});
        err = OXBOW_OK;
    }
    d->number++;
    return err;
}

enum device_commit work_any_commit(struct device *d)
{
    static const enum device_commit ways[] = {COMMIT_ALWAYS, COMMIT_ALWAYS, COMMIT_NOWAIT,
                                              COMMIT_INTERVAL};
    return ways[year_below(&d->random, 4)];
}

static void append(struct device *d)
{
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    device_begin(d, how);
    for (int q = 0; q < Q_DEAD && err == OXBOW_OK; q++) {
        uint64_t count = year_chance(&d->random, 1, 3) ? 1 + year_below(&d->random, 4) : 0;
        for (; count > 0 && err == OXBOW_OK; count--)
            err = work_add(d, (enum year_queue)q, 1 + year_below(&d->random, 200));
    }
    (void)device_commit(d, err, how);
}

static void burst(struct device *d)
{
    bool full = false;
    for (unsigned i = 0; i < BURST_TXNS && !full; i++) {
        enum oxbow_err err = OXBOW_OK;
        device_begin(d, COMMIT_NOWAIT);
        for (unsigned j = 0; j < BURST_EACH && err == OXBOW_OK; j++)
            err = work_add(d, Q_BURST, BURST_BYTES);
        full = !device_commit(d, err, COMMIT_NOWAIT);
    }
}

/* ---- consumers ---- */

void work_pop(struct device *d, enum year_queue q, size_t count)
{
    enum device_commit how = work_any_commit(d);
    bool forget = d->life->control == CONTROL_FORGET && !d->forgot && d->life->idx > 2;
    device_begin(d, how);
    enum oxbow_err err = oxbow_list_pop(d->txn, queue_key(q), OXBOW_LEFT, count, &d->result);
    if (err == OXBOW_ENOENT) {
        oxbow_txn_abort(d->txn);
        tell_drop(&d->teller, d->told);
        return;
    }
    for (size_t i = 0; err == OXBOW_OK && i < d->result.item_count; i++) {
        if (forget && i == 0) {
            d->forgot = true;
            continue;
        }
        device_tell(d, (struct tell){.kind = TELL_POP,
                                     .queue = q,
                                     .number = number_of_item(&d->result.items[i])});
    }
    (void)device_commit(d, err, how);
}

/* Reads what is new; the ids into `ids`, how many. */
static size_t read_new(struct device *d, enum year_queue q, const char *consumer,
                       struct oxbow_id ids[READ_COUNT], enum oxbow_err *err)
{
    const struct oxbow_group_read_options opt = {.count = READ_COUNT};
    *err = oxbow_group_read(d->txn, queue_group(q), text_bytes(consumer), &opt, &d->result);
    if (*err != OXBOW_OK)
        return 0;
    if (d->result.missed > 0)
        device_tell(d, (struct tell){.kind = TELL_MISSED, .queue = q, .v = {d->result.missed}});
    for (size_t i = 0; i < d->result.entry_count; i++) {
        ids[i] = d->result.entries[i].id;
        device_tell(d, (struct tell){.kind = TELL_READ,
                                     .queue = q,
                                     .number = number_of_entry(&d->result.entries[i])});
    }
    return d->result.entry_count;
}

/* Reads and acks in one transaction. */
void work_consume(struct device *d, enum year_queue q)
{
    enum device_commit how = work_any_commit(d);
    struct oxbow_id ids[READ_COUNT];
    enum oxbow_err err;
    device_begin(d, how);
    size_t count = read_new(d, q, "good", ids, &err);
    for (size_t i = 0; i < count; i++)
        device_tell(d, (struct tell){.kind = TELL_ACK,
                                     .queue = q,
                                     .number = number_of_entry(&d->result.entries[i])});
    uint64_t acked = 0;
    if (count > 0 && err == OXBOW_OK)
        err = oxbow_group_ack(d->txn, queue_group(q), ids, count, &acked);
    if (err == OXBOW_OK && acked != count)
        device_fail(d, err, __LINE__);
    (void)device_commit(d, err, how);
}

/* ---- jobs: two transactions, so that a cut between them leaves something pending ---- */

static enum oxbow_err finish_job(struct device *d, struct oxbow_id id, uint64_t number)
{
    enum oxbow_delete_outcome outcome = OXBOW_DELETE_NONE;
    const struct oxbow_group_ack_delete_options opt = {
        .refs = OXBOW_REFS_ACKED, .ids = &id, .count = 1};
    enum oxbow_err err = oxbow_group_ack_delete(d->txn, queue_group(Q_JOBS), &opt, &outcome);
    if (err == OXBOW_OK && outcome != OXBOW_DELETE_DONE)
        device_fail(d, err, __LINE__);
    device_tell(d, (struct tell){.kind = TELL_REMOVED, .queue = Q_JOBS, .number = number});
    return err;
}

static void work_on_jobs(struct device *d, const char *consumer, bool good)
{
    enum device_commit how = work_any_commit(d);
    struct oxbow_id ids[READ_COUNT];
    uint64_t numbers[READ_COUNT];
    enum oxbow_err err;
    device_begin(d, how);
    size_t count = read_new(d, Q_JOBS, consumer, ids, &err);
    for (size_t i = 0; i < count; i++)
        numbers[i] = number_of_entry(&d->result.entries[i]);
    if (!device_commit(d, err, how) || !good)
        return;
    how = work_any_commit(d);
    device_begin(d, how);
    for (size_t i = 0; i < count && err == OXBOW_OK; i++)
        if (!year_poison(numbers[i]))
            err = finish_job(d, ids[i], numbers[i]);
    (void)device_commit(d, err, how);
}

static enum oxbow_err deliveries_of(struct device *d, struct oxbow_id id, uint64_t *deliveries)
{
    const struct oxbow_pending_filter filter = {.from = id, .to = id, .count = 1};
    struct oxbow_result names = {0};
    struct oxbow_pending row = {.deliveries = 0};
    size_t count = 0;
    enum oxbow_err err =
        oxbow_group_pending(d->txn, queue_group(Q_JOBS), &filter, &names, &row, &count);
    oxbow_result_fini(&names);
    *deliveries = row.deliveries;
    return err;
}

/* What nobody acked: done now, or poison that was delivered often enough and goes to the dead. */
static void take_over_jobs(struct device *d)
{
    const struct oxbow_autoclaim_options opt = {.min_idle_ms = 2 * HOUR_MS, .count = READ_COUNT};
    enum device_commit how = work_any_commit(d);
    struct oxbow_id next;
    device_begin(d, how);
    enum oxbow_err err = oxbow_group_autoclaim(d->txn, queue_group(Q_JOBS), text_bytes("rescue"),
                                               &opt, &d->result, &next);
    for (size_t i = 0; err == OXBOW_OK && i < d->result.entry_count; i++) {
        const struct oxbow_entry *e = &d->result.entries[i];
        uint64_t number = number_of_entry(e), deliveries = 0;
        if (!year_poison(number)) {
            err = finish_job(d, e->id, number);
            continue;
        }
        err = deliveries_of(d, e->id, &deliveries);
        if (err == OXBOW_OK && deliveries >= DELIVERIES)
            err = push_to_list(d, Q_DEAD, number, 10);
        if (err == OXBOW_OK && deliveries >= DELIVERIES)
            err = finish_job(d, e->id, number);
    }
    (void)device_commit(d, err, how);
}

/* ---- a step ---- */

bool work_consumer_comes(struct device *d, enum year_queue q)
{
    uint64_t now = clock_true_ms();
    if (now < d->quiet_until[q])
        return false;
    if (year_chance(&d->random, 1, 60))
        d->quiet_until[q] = now + year_below(&d->random, 25 * DAY_MS);
    return year_chance(&d->random, 1, 2);
}

void work_step(struct device *d)
{
    append(d);
    if (year_chance(&d->random, 1, 150))
        burst(d);
    if (work_consumer_comes(d, Q_BYTES))
        work_pop(d, Q_BYTES, 1 + year_below(&d->random, 9));
    if (work_consumer_comes(d, Q_REFUSE))
        work_pop(d, Q_REFUSE, 1 + year_below(&d->random, 9));
    if (work_consumer_comes(d, Q_BURST))
        work_pop(d, Q_BURST, 7);
    if (work_consumer_comes(d, Q_RING))
        work_consume(d, Q_RING);
    if (work_consumer_comes(d, Q_BLOCK))
        work_consume(d, Q_BLOCK);
    if (work_consumer_comes(d, Q_JOBS))
        work_on_jobs(d, "good", true);
    if (year_chance(&d->random, 1, 12))
        work_on_jobs(d, "bad", false);
    if (year_chance(&d->random, 1, 3))
        take_over_jobs(d);
    task_step(d);
    due_step(d);
}

void work_go_on(struct device *d)
{
    static const enum year_queue lists[] = {Q_BURST, Q_BYTES, Q_REFUSE};
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
        for (int j = 0; j < 60; j++)
            work_pop(d, lists[i], 7);
    for (int j = 0; j < 8; j++)
        work_consume(d, Q_BLOCK);
    task_drain(d);
    due_drain(d);
    for (int q = 0; q < QUEUES; q++) {
        uint64_t before = d->number;
        device_begin(d, COMMIT_ALWAYS);
        bool grave = year_grave((enum year_queue)q);
        enum oxbow_err err = grave ? OXBOW_OK : work_add(d, (enum year_queue)q, 20);
        tell(&d->teller,
             (struct tell){.kind = TELL_TRIED, .queue = (uint32_t)q, .number = grave ? 0 : before});
        if (!device_commit(d, err, COMMIT_ALWAYS))
            device_fail(d, err, __LINE__);
    }
}
