/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consumers of groups with options. Of tasks there are three: one that is good,
 * one that takes and does nothing, one that refuses. Poison fails with all of
 * them. What is given up goes to the dead letters by itself, and back from
 * there by hand. The group of solo has two, of which one works at a time.
 *
 * A read and what comes of it are two transactions, so that a cut between them
 * leaves something.
 */
#include "tests/sim/year_device.h"

#define GOOD         0u
#define IDLER        1u
#define REFUSER      2u
#define DRAIN_ROUNDS 200u
#define REDRIVE_MAX  3u

static const char *const names[CONSUMERS] = {"anna", "bert", "carl"};

struct taken {
    struct oxbow_id ids[READ_COUNT];
    uint64_t numbers[READ_COUNT];
    size_t count;
};

static bool take(struct device *d, enum year_queue q, uint32_t who, struct taken *t)
{
    const struct oxbow_group_read_options opt = {.count = READ_COUNT};
    enum device_commit how = work_any_commit(d);
    device_begin(d, how);
    enum oxbow_err err =
        oxbow_group_read(d->txn, queue_group(q), text_bytes(names[who]), &opt, &d->result);
    t->count = err == OXBOW_OK ? d->result.entry_count : 0;
    for (size_t i = 0; i < t->count; i++) {
        t->ids[i] = d->result.entries[i].id;
        t->numbers[i] = number_of_entry(&d->result.entries[i]);
        device_tell(
            d, (struct tell){.kind = TELL_GIVEN, .queue = q, .number = t->numbers[i], .v = {who}});
    }
    if (t->count > 0)
        device_tell(d, (struct tell){.kind = TELL_GAVE, .queue = q, .v = {who}});
    return device_commit(d, err, how) && t->count > 0;
}

static enum oxbow_err finish(struct device *d, enum year_queue q, uint32_t who, struct oxbow_id id,
                             uint64_t number)
{
    enum oxbow_delete_outcome outcome = OXBOW_DELETE_NONE;
    const struct oxbow_group_ack_delete_options opt = {
        .refs = OXBOW_REFS_ACKED, .ids = &id, .count = 1};
    enum oxbow_err err = oxbow_group_ack_delete(d->txn, queue_group(q), &opt, &outcome);
    if (err == OXBOW_OK && outcome != OXBOW_DELETE_DONE)
        device_fail(d, err, __LINE__);
    device_tell(d, (struct tell){.kind = TELL_REMOVED, .queue = q, .number = number, .v = {who}});
    return err;
}

static enum oxbow_err refuse(struct device *d, enum oxbow_nack nack, struct oxbow_id id,
                             uint64_t number)
{
    const struct oxbow_group_nack_options opt = {
        .ids = &id,
        .count = 1,
        .how = nack,
        .delay_ms = nack == OXBOW_NACK_DELAY ? year_below(&d->random, 2 * DAY_MS) : 0};
    uint64_t rest =
        nack == OXBOW_NACK_DELAY ? opt.delay_ms : REST_MS * (100 - JITTER_PERCENT) / 100;
    uint64_t nacked = 0;
    enum oxbow_err err = oxbow_group_nack(d->txn, queue_group(Q_TASKS), &opt, &nacked);
    if (err == OXBOW_OK && nacked != 1)
        device_fail(d, err, __LINE__);
    if (nack == OXBOW_NACK_DEAD)
        device_tell(d, (struct tell){.kind = TELL_REJECTED, .queue = Q_TASKS, .number = number});
    else
        device_tell(
            d, (struct tell){.kind = TELL_NACKED, .queue = Q_TASKS, .number = number, .v = {rest}});
    return err;
}

static void work_on_tasks(struct device *d, uint32_t who)
{
    struct taken t;
    if (!take(d, Q_TASKS, who, &t) || who == IDLER)
        return;
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    device_begin(d, how);
    for (size_t i = 0; i < t.count && err == OXBOW_OK; i++) {
        bool poison = year_poison(t.numbers[i]);
        if (who == GOOD && !poison)
            err = finish(d, Q_TASKS, who, t.ids[i], t.numbers[i]);
        else if (poison && year_chance(&d->random, 1, 8))
            err = refuse(d, OXBOW_NACK_DEAD, t.ids[i], t.numbers[i]);
        else if (year_chance(&d->random, 2, 3))
            err = refuse(d, year_chance(&d->random, 1, 2) ? OXBOW_NACK_RETRY : OXBOW_NACK_DELAY,
                         t.ids[i], t.numbers[i]);
    }
    (void)device_commit(d, err, how);
}

static void work_alone(struct device *d, uint32_t who)
{
    struct taken t;
    if (!take(d, Q_SOLO, who, &t))
        return;
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    size_t done = year_chance(&d->random, 1, 6) ? t.count / 2 : t.count; /* it dies in mid-work */
    device_begin(d, how);
    for (size_t i = 0; i < done && err == OXBOW_OK; i++)
        err = finish(d, Q_SOLO, who, t.ids[i], t.numbers[i]);
    (void)device_commit(d, err, how);
}

/* Some of the dead letters go back. `tell`: and the account hears of it. */
static void redrive(struct device *d, bool tell)
{
    const struct oxbow_stream_range first = {.to = OXBOW_ID_MAX, .count = REDRIVE_MAX};
    enum device_commit how = work_any_commit(d);
    struct oxbow_id ids[REDRIVE_MAX];
    struct oxbow_redrive out = {0};
    device_begin(d, how);
    enum oxbow_err err = oxbow_stream_range(d->txn, queue_key(Q_LETTERS), &first, &d->result);
    size_t count = err == OXBOW_OK ? d->result.entry_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct oxbow_entry *e = &d->result.entries[i];
        ids[i] = e->id;
        if (tell)
            device_tell(d, (struct tell){.kind = TELL_REDRIVEN,
                                         .queue = Q_TASKS,
                                         .number = number_of_entry(e),
                                         .v = {number_in_field(e, "oxbow.deliveries")}});
    }
    const struct oxbow_redrive_options opt = {.ids = ids, .count = count};
    if (count > 0 && err == OXBOW_OK)
        err = oxbow_redrive(d->txn, queue_key(Q_LETTERS), &opt, &out);
    if (err == OXBOW_OK && out.redriven != count)
        device_fail(d, err, __LINE__);
    (void)device_commit(d, err, how);
}

/* ---- controls ---- */

/* Has what is pending fail at once. */
static void give_up(struct device *d)
{
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = READ_COUNT};
    struct oxbow_pending rows[READ_COUNT];
    struct oxbow_result memory = {0};
    size_t count = 0;
    device_begin(d, COMMIT_ALWAYS);
    enum oxbow_err err =
        oxbow_group_pending(d->txn, queue_group(Q_TASKS), &all, &memory, rows, &count);
    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        const struct oxbow_group_extend_options opt = {.ids = &rows[i].id, .count = 1};
        err = oxbow_group_extend(d->txn, queue_group(Q_TASKS), &opt, NULL);
    }
    oxbow_result_fini(&memory);
    (void)device_commit(d, err, COMMIT_ALWAYS);
}

static void change_options(struct device *d, enum year_queue q)
{
    struct oxbow_group_options opt = *year_queues[q].options;
    opt.key_field = (struct oxbow_bytes){NULL, 0};
    opt.exclusive_ms = 0;
    device_begin(d, COMMIT_ALWAYS);
    (void)device_commit(d, oxbow_group_options_set(d->txn, queue_group(q), &opt), COMMIT_ALWAYS);
}

static void misbehave(struct device *d)
{
    switch (d->life->control) {
    case CONTROL_EAGER:
        give_up(d);
        break;
    case CONTROL_BURIED:
        redrive(d, false);
        break;
    case CONTROL_UNKEYED:
        change_options(d, Q_TASKS);
        break;
    case CONTROL_SHARED:
        change_options(d, Q_SOLO);
        break;
    default:
        break;
    }
}

/* ---- a step ---- */

static void add_some(struct device *d)
{
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    device_begin(d, how);
    for (uint64_t count = 1 + year_below(&d->random, 4); count > 0 && err == OXBOW_OK; count--)
        err = work_add(d, count % 2 == 0 ? Q_SOLO : Q_TASKS, 1 + year_below(&d->random, 100));
    (void)device_commit(d, err, how);
}

void task_step(struct device *d)
{
    if (year_chance(&d->random, 1, 2))
        add_some(d);
    if (work_consumer_comes(d, Q_TASKS))
        work_on_tasks(d, GOOD);
    if (year_chance(&d->random, 1, 10))
        work_on_tasks(d, IDLER);
    if (year_chance(&d->random, 1, 10))
        work_on_tasks(d, REFUSER);
    if (year_chance(&d->random, 1, 3))
        work_alone(d, (uint32_t)year_below(&d->random, 2));
    if (year_chance(&d->random, 1, 60))
        redrive(d, true);
    misbehave(d);
}

static bool all_done(struct device *d, enum year_queue q)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_stream_info stream;
    struct oxbow_group_info group;
    DEVICE_MUST(d, oxbow_txn_begin(d->db, &opt, &d->txn));
    DEVICE_MUST(d, oxbow_group_info(d->txn, queue_group(q), &group));
    DEVICE_MUST(d, oxbow_stream_info(d->txn, queue_key(q), &stream));
    oxbow_txn_abort(d->txn);
    return group.pending == 0 && group.last_id.ms == stream.last_id.ms &&
           group.last_id.seq == stream.last_id.seq;
}

void task_drain(struct device *d)
{
    unsigned rounds = 0;
    while (!all_done(d, Q_TASKS) || !all_done(d, Q_SOLO)) {
        if (rounds++ == DRAIN_ROUNDS)
            device_fail(d, OXBOW_ETIMEDOUT, __LINE__);
        for (int i = 0; i < 4; i++) {
            work_on_tasks(d, GOOD);
            work_alone(d, 0);
            work_alone(d, 1);
        }
        device_pass(d, 7 * HOUR_MS);
    }
}
