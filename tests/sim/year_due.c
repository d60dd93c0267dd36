/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes by time and by name: delayed elements, entries with a time to live,
 * a replay window, and two producers that do not know after a start which of
 * their entries were taken, and send the newest of them again: one counts them,
 * one gives them ids.
 */
#include "tests/sim/year_device.h"

#include <stdio.h>
#include <time.h>

#define RESEND_STEP  32u /* in one transaction */
#define DRAIN_ROUNDS 400u
#define MORE_ROUNDS  20000u /* in which no time passes: its thread may not have had the processor */

/* A number in front of padding, as number_of_item reads it. */
static struct oxbow_bytes item_text(char out[64], uint64_t number)
{
    int len = snprintf(out, 64, "%llu:x", (unsigned long long)number);
    return (struct oxbow_bytes){out, (size_t)len};
}

static void entry_fields(struct oxbow_field fields[2], char text[64], uint64_t number, size_t pad)
{
    static char padding[256];
    memset(padding, 'x', sizeof padding);
    snprintf(text, 64, "%llu", (unsigned long long)number);
    fields[0] = (struct oxbow_field){text_bytes("n"), text_bytes(text)};
    fields[1] = (struct oxbow_field){text_bytes("p"), {padding, pad}};
}

static void tell_add(struct device *d, enum year_queue q, uint64_t number, struct oxbow_id id,
                     uint64_t span_ms)
{
    device_tell(d,
                (struct tell){
                    .kind = TELL_ADD, .queue = q, .number = number, .v = {id.ms, id.seq, span_ms}});
}

/* ---- adding ---- */

static enum oxbow_err add_delayed(struct device *d)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, year_below(&d->random, 20 * DAY_MS)};
    char text[64];
    enum oxbow_err err = oxbow_delay_push(d->txn, queue_key(Q_LATER), OXBOW_RIGHT, &when,
                                          item_text(text, d->number), NULL);
    if (err == OXBOW_OK)
        tell_add(d, Q_LATER, d->number, OXBOW_ID_MIN, when.ms);
    return err;
}

static enum oxbow_err add_plain(struct device *d, enum year_queue q, size_t pad)
{
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_AUTO};
    struct oxbow_field fields[2];
    struct oxbow_id id;
    char text[64];
    if (q == Q_BRIEF && year_chance(&d->random, 3, 4))
        opt.ttl_ms = HOUR_MS + year_below(&d->random, 10 * DAY_MS);
    entry_fields(fields, text, d->number, pad);
    enum oxbow_err err = oxbow_stream_add(d->txn, queue_key(q), &opt, fields, 2, &id);
    if (err == OXBOW_OK)
        tell_add(d, q, d->number, id, opt.ttl_ms);
    return err;
}

/* Adds a number once, as its producer does. */
static enum oxbow_err add_once(struct device *d, enum year_queue q, uint64_t number)
{
    const bool counts = q == Q_ONCE;
    struct oxbow_once_outcome said = {.duplicate = false};
    struct oxbow_field fields[2];
    struct oxbow_once once = {.sequence = 0};
    char text[64], name[64];
    enum oxbow_err err;
    snprintf(name, sizeof name, "message %llu", (unsigned long long)number);
    if (counts) {
        once = (struct oxbow_once){.producer = text_bytes("meter"), .sequence = number};
        err = oxbow_once_push(d->txn, queue_key(q), OXBOW_RIGHT, &once, item_text(text, number),
                              &said);
    } else {
        once.id = text_bytes(name);
        entry_fields(fields, text, number, 40);
        err = oxbow_once_add(d->txn, queue_key(q), &once, fields, 2, &said);
    }
    if (err == OXBOW_OK && said.duplicate)
        device_tell(d, (struct tell){.kind = TELL_DUPLICATE,
                                     .queue = q,
                                     .number = number,
                                     .v = {said.id.ms, said.id.seq}});
    else if (err == OXBOW_OK)
        tell_add(d, q, number, said.id, 0);
    return err;
}

enum oxbow_err due_add(struct device *d, enum year_queue q, size_t pad)
{
    switch (q) {
    case Q_LATER:
        return add_delayed(d);
    case Q_ONCE:
    case Q_IDS:
        return add_once(d, q, d->number);
    default:
        return add_plain(d, q, pad);
    }
}

/* ---- producers ---- */

void due_begin(struct device *d)
{
    for (int i = 0; i < 2; i++) {
        struct producer *p = &d->producers[i];
        p->count = d->life->resend_count[i];
        p->at = 0;
        memcpy(p->numbers, d->life->resend[i], sizeof d->life->resend[i]);
    }
}

/* New numbers come when all others are known to be taken. */
static void produce(struct device *d, enum year_queue q)
{
    struct producer *p = &d->producers[q == Q_ONCE ? 0 : 1];
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    uint32_t at;
    if (p->at == p->count) {
        p->at = 0;
        for (p->count = 0; p->count < 1 + year_below(&d->random, 4); p->count++)
            p->numbers[p->count] = d->number++;
    }
    device_begin(d, how);
    for (at = p->at; at < p->count && at - p->at < RESEND_STEP && err == OXBOW_OK; at++)
        err = add_once(d, q, p->numbers[at]);
    if (device_commit(d, err, how))
        p->at = at;
}

/* ---- consumers ---- */

static void take_back_delayed(struct device *d)
{
    enum device_commit how = work_any_commit(d);
    struct oxbow_delay_place place = {.wall = false};
    struct oxbow_delay_info info;
    device_begin(d, how);
    enum oxbow_err err = oxbow_delay_next(d->txn, &place, &info);
    if (err == OXBOW_OK) {
        struct oxbow_delay_id id = info.id;
        err = oxbow_delay_get(d->txn, id, &d->result);
        if (err == OXBOW_OK)
            err = oxbow_delay_cancel(d->txn, id);
        if (err == OXBOW_OK)
            device_tell(d, (struct tell){.kind = TELL_REMOVED,
                                         .queue = Q_LATER,
                                         .number = number_of_item(&d->result.items[0])});
    }
    (void)device_commit(d, err == OXBOW_ENOENT ? OXBOW_OK : err, how);
}

static void remove_brief(struct device *d)
{
    const struct oxbow_stream_range first = {.to = OXBOW_ID_MAX, .count = 3};
    enum device_commit how = work_any_commit(d);
    uint64_t removed = 0;
    device_begin(d, how);
    enum oxbow_err err = oxbow_stream_range(d->txn, queue_key(Q_BRIEF), &first, &d->result);
    for (size_t i = 0; err == OXBOW_OK && i < d->result.entry_count; i++) {
        const struct oxbow_id id = d->result.entries[i].id;
        err = oxbow_stream_delete(d->txn, queue_key(Q_BRIEF), &id, 1, &removed);
        if (err == OXBOW_OK && removed != 1)
            device_fail(d, err, __LINE__);
        device_tell(d, (struct tell){.kind = TELL_REMOVED,
                                     .queue = Q_BRIEF,
                                     .number = number_of_entry(&d->result.entries[i])});
    }
    (void)device_commit(d, err, how);
}

/* ---- controls ---- */

static enum oxbow_err hurry(struct device *d)
{
    const struct oxbow_delay_when now = {OXBOW_DELAY_FOR, 0};
    struct oxbow_delay_place place = {.wall = false};
    struct oxbow_delay_info info;
    enum oxbow_err err = oxbow_delay_next(d->txn, &place, &info);
    return err == OXBOW_OK ? oxbow_delay_move(d->txn, info.id, &now, NULL) : OXBOW_OK;
}

static enum oxbow_err shorten(struct device *d)
{
    const struct oxbow_stream_range first = {.to = OXBOW_ID_MAX, .count = 1};
    enum oxbow_err err = oxbow_stream_range(d->txn, queue_key(Q_BRIEF), &first, &d->result);
    return err == OXBOW_OK && d->result.entry_count > 0
               ? oxbow_stream_expire(d->txn, queue_key(Q_BRIEF), d->result.entries[0].id, 1000)
               : err;
}

static enum oxbow_err forget(struct device *d)
{
    enum oxbow_err err = oxbow_once_forget(d->txn, queue_key(Q_ONCE), text_bytes("meter"));
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static void misbehave(struct device *d)
{
    const struct oxbow_policy hasty = {.keep_ms = DAY_MS};
    enum oxbow_err err = OXBOW_OK;
    if (d->life->control < CONTROL_HURRIED)
        return;
    device_begin(d, COMMIT_ALWAYS);
    if (d->life->control == CONTROL_HURRIED)
        err = hurry(d);
    else if (d->life->control == CONTROL_MORTAL)
        err = shorten(d);
    else if (d->life->control == CONTROL_AGAIN)
        err = forget(d);
    else
        err = oxbow_policy_set(d->txn, queue_key(Q_REPLAY), &hasty);
    (void)device_commit(d, err, COMMIT_ALWAYS);
}

/* ---- a step ---- */

static void add_some(struct device *d)
{
    static const enum year_queue queues[] = {Q_LATER, Q_BRIEF, Q_REPLAY};
    enum device_commit how = work_any_commit(d);
    enum oxbow_err err = OXBOW_OK;
    device_begin(d, how);
    for (unsigned i = 0; i < 3 && err == OXBOW_OK; i++)
        if (year_chance(&d->random, 1, 2))
            err = work_add(d, queues[i], 1 + year_below(&d->random, 100));
    (void)device_commit(d, err, how);
}

void due_step(struct device *d)
{
    if (year_chance(&d->random, 1, 2))
        add_some(d);
    produce(d, Q_ONCE);
    produce(d, Q_IDS);
    if (work_consumer_comes(d, Q_LATER))
        work_pop(d, Q_LATER, 8);
    if (work_consumer_comes(d, Q_ONCE))
        work_pop(d, Q_ONCE, 12);
    if (work_consumer_comes(d, Q_REPLAY))
        work_consume(d, Q_REPLAY);
    if (year_chance(&d->random, 1, 20))
        take_back_delayed(d);
    if (year_chance(&d->random, 1, 12))
        remove_brief(d);
    misbehave(d);
}

static bool nothing_waits(struct device *d)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_delay_stat stat;
    DEVICE_MUST(d, oxbow_txn_begin(d->db, &opt, &d->txn));
    DEVICE_MUST(d, oxbow_delay_stat(d->txn, &stat));
    oxbow_txn_abort(d->txn);
    return stat.waiting == 0;
}

void due_drain(struct device *d)
{
    const struct timespec moment = {0, 2000000}; /* for what the store does by itself */
    unsigned rounds = 0;
    for (int i = 0; i < 2; i++)
        while (d->producers[i].at < d->producers[i].count)
            produce(d, i == 0 ? Q_ONCE : Q_IDS);
    while (!nothing_waits(d)) {
        if (rounds++ == DRAIN_ROUNDS + MORE_ROUNDS)
            device_fail(d, OXBOW_ETIMEDOUT, __LINE__);
        if (rounds <= DRAIN_ROUNDS)
            device_pass(d, 7 * HOUR_MS);
        (void)nanosleep(&moment, NULL);
    }
    for (int i = 0; i < 60; i++) {
        work_pop(d, Q_LATER, 20);
        work_pop(d, Q_ONCE, 20);
    }
}
