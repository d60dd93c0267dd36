/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One life of the device: opens the store, tells what is in it, works until its time is up or its
 * power goes. It knows nothing of earlier lives but what the store says, as firmware does; what it
 * is told beside that only numbers what it makes.
 */
#include "tests/sim/year_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TELL_FD STDOUT_FILENO

_Noreturn void device_fail(struct device *d, enum oxbow_err err, int line)
{
    tell(&d->teller, (struct tell){.kind = TELL_FAIL, .v = {(uint64_t)err, (uint64_t)line}});
    tell_send(&d->teller);
    _exit(3);
}

void device_pass(struct device *d, uint64_t ms)
{
    tell(&d->teller, (struct tell){.kind = TELL_TIME, .v = {clock_true_ms() + ms}});
    tell_send(&d->teller);
    clock_pass_ms(ms);
}

/* ---- transactions ---- */

void device_tell(struct device *d, struct tell record)
{
    tell(&d->teller, record);
    d->told++;
}

void device_begin(struct device *d, enum device_commit how)
{
    struct oxbow_txn_options opt = {.sync = how == COMMIT_INTERVAL ? OXBOW_SYNC_INTERVAL : 0,
                                    .flags = how == COMMIT_NOWAIT ? OXBOW_TXN_NOWAIT : 0};
    struct oxbow_time time;
    DEVICE_MUST(d, oxbow_txn_begin(d->db, &opt, &d->txn));
    DEVICE_MUST(d, oxbow_time_now(d->txn, &time));
    d->told = 0;
    device_tell(d, (struct tell){.kind = TELL_TXN,
                                 .number = d->serial,
                                 .v = {clock_true_ms(), time.clock_ms, clock_uptime_ms()}});
}

static enum oxbow_err leave_serial(struct device *d)
{
    const struct oxbow_stream_set_id_options opt = {.last_id = {d->serial, 0}};
    return oxbow_stream_set_id(d->txn, text_bytes("serial"), &opt);
}

static void tell_durable(struct device *d)
{
    uint64_t lsn = oxbow_durable_lsn(d->db), newest = d->durable;
    for (unsigned i = 0; i < RECENT; i++)
        if (d->recent[i].lsn != 0 && d->recent[i].lsn <= lsn && d->recent[i].serial > newest)
            newest = d->recent[i].serial;
    if (newest > d->durable) {
        d->durable = newest;
        tell(&d->teller, (struct tell){.kind = TELL_DURABLE, .number = newest});
    }
}

bool device_commit(struct device *d, enum oxbow_err err, enum device_commit how)
{
    uint64_t lsn = 0;
    if (err == OXBOW_OK)
        err = leave_serial(d);
    if (err == OXBOW_OK) {
        tell_send(&d->teller);
        err = oxbow_txn_commit(d->txn, &lsn);
    } else {
        oxbow_txn_abort(d->txn);
    }
    d->txn = NULL;
    if (err != OXBOW_OK && err != OXBOW_EQUOTA)
        device_fail(d, err, __LINE__);
    tell(&d->teller, (struct tell){.kind = err == OXBOW_OK ? TELL_DONE : TELL_ABORTED,
                                   .number = d->serial,
                                   .v = {how == COMMIT_ALWAYS, how != COMMIT_NOWAIT}});
    if (err == OXBOW_OK) {
        d->recent[d->serial % RECENT].serial = d->serial;
        d->recent[d->serial % RECENT].lsn = lsn;
        d->committed = d->serial;
    }
    d->serial++;
    tell_durable(d);
    tell_send(&d->teller);
    return err == OXBOW_OK;
}

uint64_t number_of_entry(const struct oxbow_entry *e)
{
    char text[24] = {0};
    if (e->field_count < 1 || e->fields[0].value.len >= sizeof text)
        return 0;
    memcpy(text, e->fields[0].value.data, e->fields[0].value.len);
    return strtoull(text, NULL, 10);
}

uint64_t number_in_field(const struct oxbow_entry *e, const char *name)
{
    char text[24] = {0};
    for (uint32_t i = 0; i < e->field_count; i++) {
        const struct oxbow_field *f = &e->fields[i];
        if (f->name.len == strlen(name) && memcmp(f->name.data, name, f->name.len) == 0 &&
            f->value.len < sizeof text)
            memcpy(text, f->value.data, f->value.len);
    }
    return strtoull(text, NULL, 10);
}

uint64_t number_of_item(const struct oxbow_bytes *item)
{
    char text[24] = {0};
    memcpy(text, item->data, item->len < sizeof text ? item->len : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

/* ---- the store ---- */

static void open_store(struct device *d)
{
    const struct oxbow_config config = {.dir = d->life->dir,
                                        .port = clock_port(),
                                        .flags = OXBOW_OPEN_STRICT,
                                        .interval_ms = 5000,
                                        .quota_bytes = 3u << 20,
                                        .map_bytes = 128u << 20,
                                        .dirty_pages = 64,
                                        .memtable_bytes = 192u << 10,
                                        .txn_bytes = 256u << 10,
                                        .journal = OXBOW_JOURNAL_ON,
                                        .journal_segments = 3,
                                        .journal_bytes = 64u << 10};
    DEVICE_MUST(d, oxbow_open(&config, &d->db));
}

static enum oxbow_err set_up_queue(struct device *d, enum year_queue q)
{
    const struct year_queue_kind *kind = &year_queues[q];
    const struct oxbow_group_create_options group = {.make_stream = true};
    enum oxbow_err err = OXBOW_OK;
    if (kind->group)
        err = oxbow_group_create(d->txn, queue_group(q), &group);
    if (err == OXBOW_OK && kind->options != NULL)
        err = oxbow_group_options_set(d->txn, queue_group(q), kind->options);
    if (err == OXBOW_OK && year_limited(q))
        err = oxbow_policy_set(d->txn, queue_key(q), &kind->policy);
    if (err == OXBOW_OK && kind->forwarded) {
        const struct oxbow_forward_options forward = {.key = queue_key(q),
                                                      .type = kind->list ? OXBOW_TYPE_LIST
                                                                         : OXBOW_TYPE_STREAM,
                                                      .hold_ms = 10 * 60000,
                                                      .max_bytes = kind->budget,
                                                      .on_full = kind->budget_full,
                                                      .linger_ms = -1};
        err = oxbow_forward_create(d->txn, kind->key, &forward);
    }
    return err;
}

/* In the first life that gets so far, all of it or nothing. */
static void set_up(struct device *d)
{
    const struct oxbow_group_create_options serial = {.make_stream = true};
    const struct oxbow_group group = {text_bytes("serial"), text_bytes("none")};
    enum oxbow_err err;
    device_begin(d, COMMIT_ALWAYS);
    err = oxbow_identity_set(d->txn, "dev", NULL);
    for (int q = 0; q < QUEUES && err == OXBOW_OK; q++)
        err = set_up_queue(d, (enum year_queue)q);
    if (err == OXBOW_OK)
        err = oxbow_group_create(d->txn, group, &serial);
    DEVICE_MUST(d, err);
    (void)device_commit(d, err, COMMIT_ALWAYS);
}

static void wake_up(struct device *d)
{
    struct oxbow_stream_info info = {.last_id = {0, 0}};
    struct oxbow_time time;
    open_store(d);
    DEVICE_MUST(d, oxbow_txn_begin(d->db, NULL, &d->txn));
    enum oxbow_err err = oxbow_stream_info(d->txn, text_bytes("serial"), &info);
    if (err != OXBOW_OK && err != OXBOW_ENOENT)
        device_fail(d, err, __LINE__);
    DEVICE_MUST(d, oxbow_time_now(d->txn, &time));
    oxbow_txn_abort(d->txn);
    tell(&d->teller,
         (struct tell){.kind = TELL_OPEN,
                       .v = {info.last_id.ms, time.clock_ms, time.boot, clock_true_ms()}});
    if (err == OXBOW_ENOENT)
        set_up(d);
    else
        audit(d, false);
    due_begin(d);
    link_open(d);
}

static _Noreturn void fall_asleep(struct device *d)
{
    DEVICE_MUST(d, oxbow_flush(d->db));
    if (d->committed > d->durable)
        tell(&d->teller, (struct tell){.kind = TELL_DURABLE, .number = d->committed});
    audit(d, true);
    link_close(d);
    DEVICE_MUST(d, oxbow_close(d->db));
    tell(&d->teller, (struct tell){.kind = TELL_END, .v = {1}});
    tell_send(&d->teller);
    _exit(0);
}

/* ---- a life ---- */

/* Once a day there may be a link for a minute; in one week of five there is none. */
static void meet_link(struct device *d)
{
    uint64_t day = clock_true_ms() / DAY_MS, random = d->life->seed ^ (day / 7) * 77;
    if (day == d->link_day || year_chance(&random, 1, 5))
        return;
    d->link_day = day;
    if (year_chance(&d->random, 3, 4))
        (void)link_window(d, 60000, true);
}

static void meet_clock(struct device *d)
{
    static const enum year_wall jumps[] = {WALL_RIGHT, WALL_RIGHT, WALL_UNSET, WALL_AHEAD};
    if (d->life->control != CONTROL_CLOCK && year_chance(&d->random, 1, 60))
        clock_jump(jumps[year_below(&d->random, 4)]);
}

/* Several windows: the server lives in real time, and on a busy machine may not answer within one. */
static bool deliver_all(struct device *d)
{
    bool done = link_window(d, 60000, false);
    for (int i = 0; i < 400 && !done; i++) {
        device_pass(d, HOUR_MS);
        done = link_window(d, 60000, false);
    }
    return done;
}

static void drain(struct device *d)
{
    (void)deliver_all(d); /* what a full quota keeps here goes when room was made */
    work_go_on(d);
    if (!deliver_all(d))
        device_fail(d, OXBOW_ETIMEDOUT, __LINE__);
}

_Noreturn void device_live(const struct year_life *life)
{
    static struct device d;
    d = (struct device){.life = life,
                        .random = life->seed * 1000003 + life->idx,
                        .teller.fd = TELL_FD,
                        .serial = life->serial,
                        .number = life->number,
                        .socket = -1};
    clock_begin(life);
    wake_up(&d);
    while (clock_true_ms() < life->until_ms) {
        device_pass(&d, 20 * 60000 + year_below(&d.random, 9 * HOUR_MS));
        meet_clock(&d);
        work_step(&d);
        meet_link(&d);
        audit_look(&d);
    }
    if (life->crash) {
        tell(&d.teller, (struct tell){.kind = TELL_END});
        tell_send(&d.teller);
        _exit(0);
    }
    if (life->last)
        drain(&d);
    fall_asleep(&d);
}
