/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transaction per operation of the plan, each followed by a record for the witness. A thread
 * ends at its first error. What may be under way when the process dies is one operation of each
 * thread that has not been told of; whoever tells of one told of all before.
 */
#include "tests/rigs/load.h"

#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/rigs/steps.h"
#include "tests/rigs/witness.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATER_MAX 6u /* operations that a thread leaves unwaited for */

struct load {
    const struct load_options *options;
    struct oxbow *db;
    atomic_bool stop;
    atomic_bool failed;
    pthread_mutex_t tell; /* records leave whole: the port of a virtual machine is no pipe */
};

struct worker {
    struct load *load;
    struct step step;
    pthread_t thread;
    uint32_t later; /* operations since the last wait */
    uint64_t done;  /* of this life; counted for skips() alone */
};

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void tell(struct load *load, const struct record *r)
{
    uint8_t bytes[RECORD_BYTES];
    size_t at = 0;

    record_encode(r, bytes);
    pthread_mutex_lock(&load->tell);
    while (at < sizeof bytes) {
        ssize_t n = write(load->options->witness_fd, bytes + at, sizeof bytes - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(4); /* nobody listens: what is done now would not be witnessed */
        at += (size_t)n;
    }
    pthread_mutex_unlock(&load->tell);
}

static void tell_failure(struct load *load, uint32_t thread, enum oxbow_err err)
{
    const struct record r = {
        .kind = RECORD_FAILED, .thread = thread, .lsn = (uint64_t)err, .end_us = now_us()};

    atomic_store(&load->failed, true);
    tell(load, &r);
}

void load_config(const struct load_options *o, struct oxbow_config *config)
{
    static const uint32_t ages_ms[4] = {20, 100, 1000, 0};
    uint64_t state = o->shape, r = plan_random(&state);

    *config = (struct oxbow_config){
        .dir = o->dir,
        .port = o->port,
        .sync = o->sync,
        .interval_ms = o->interval_ms,
        .quota_bytes = 24u << 20,
        .map_bytes = 128u << 20,
        .dirty_pages = 16u << (r & 3),
        .memtable_bytes = (64u << 10) << (r >> 2 & 3),
        .checkpoint_ms = ages_ms[r >> 4 & 3],
        .journal = o->journal,
    };
    if ((r >> 6 & 3) == 0) { /* else as it is */
        config->journal_segments = 2 + (uint32_t)(r >> 8 & 3);
        config->journal_bytes = (64u << 10) << (r >> 10 & 3);
    }
}

/* ---- a worker ---- */

static enum oxbow_err abort_one(struct worker *w)
{
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = oxbow_txn_begin(w->load->db, NULL, &txn);

    if (err == OXBOW_OK) {
        err = step_spoil(&w->step, txn);
        oxbow_txn_abort(txn);
    }
    return err;
}

static enum oxbow_err transact(struct worker *w, const struct op *op, uint64_t *lsn)
{
    struct oxbow_txn_options opt = {0};
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err;

    opt.flags = op->wait == WAIT_LATER ? OXBOW_TXN_NOWAIT : 0;
    if (op->wait == WAIT_ALWAYS)
        opt.sync = OXBOW_SYNC_ALWAYS;
    if (op->wait == WAIT_INTERVAL)
        opt.sync = OXBOW_SYNC_INTERVAL;
    err = oxbow_txn_begin(w->load->db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    err = step_take(&w->step, op, txn);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, lsn);
}

static enum record_policy policy_of(const struct load_options *o, enum op_wait wait)
{
    if (wait == WAIT_LATER)
        return POLICY_NOWAIT;
    if (wait == WAIT_INTERVAL)
        return POLICY_INTERVAL;
    if (wait == WAIT_ALWAYS || o->sync == OXBOW_SYNC_ALWAYS)
        return POLICY_ALWAYS;
    return o->sync == OXBOW_SYNC_INTERVAL ? POLICY_INTERVAL : POLICY_NONE;
}

/* After an operation that nobody waited for: now and then its thread does. */
static enum oxbow_err wait_later(struct worker *w, uint64_t lsn)
{
    struct record r = {
        .kind = RECORD_REACHED, .thread = w->step.thread, .n = w->step.n, .lsn = lsn};
    enum oxbow_err err;

    if (++w->later < LATER_MAX)
        return OXBOW_OK;
    w->later = 0;
    err = oxbow_wait(w->load->db, lsn, -1);
    if (err == OXBOW_OK)
        tell(w->load, &r);
    return err;
}

/* The fault that a rig's control wants: the second operation of thread 0 in this life. */
static bool skips(struct worker *w)
{
    return w->load->options->skip && w->step.thread == 0 && ++w->done == 2;
}

static enum oxbow_err one(struct worker *w)
{
    struct op op;
    struct record r = {.thread = w->step.thread};
    enum oxbow_err err = OXBOW_OK;

    w->step.n++;
    op = plan_op(w->step.seed, w->step.thread, w->step.n);
    if (op.abort)
        err = abort_one(w);
    r.begin_us = now_us();
    r.n = w->step.n;
    if (err == OXBOW_OK && !skips(w))
        err = transact(w, &op, &r.lsn);
    if (err != OXBOW_OK)
        return err;
    r.end_us = now_us();
    r.policy = policy_of(w->load->options, op.wait);
    r.kind = r.policy == POLICY_ALWAYS ? RECORD_DURABLE : RECORD_APPLIED;
    tell(w->load, &r);
    return op.wait == WAIT_LATER ? wait_later(w, r.lsn) : OXBOW_OK;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && !atomic_load(&w->load->stop))
        err = one(w);
    if (err != OXBOW_OK)
        tell_failure(w->load, w->step.thread, err);
    return NULL;
}

/* ---- the life ---- */

/* The group that the plan wants, and where each thread stands. */
static enum oxbow_err begin(struct load *load, struct worker *workers)
{
    const struct load_options *o = load->options;
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = oxbow_txn_begin(load->db, NULL, &txn);

    if (err != OXBOW_OK)
        return err;
    err = step_prepare(txn);
    for (uint32_t t = 0; t < THREADS_MAX && err == OXBOW_OK; t++) {
        uint64_t n = 0;
        err = load_position(txn, o->seed, t, &n);
        workers[t].step.n = n;
    }
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

static int live(struct load *load, struct worker *workers)
{
    const struct load_options *o = load->options;
    struct record opened = {.kind = RECORD_OPENED};
    struct oxbow_stat stat;
    enum oxbow_err err = begin(load, workers);

    oxbow_stat(load->db, &stat);
    opened.lsn = stat.lsn_applied;
    opened.n = stat.journal ? 1 : 0;
    opened.begin_us = (uint64_t)stat.interval_ms * 1000;
    if (err != OXBOW_OK) {
        tell_failure(load, 0, err);
        return 3;
    }
    tell(load, &opened);
    for (uint32_t t = 0; t < THREADS_MAX; t++) {
        const struct record found = {.kind = RECORD_FOUND,
                                     .thread = t,
                                     .n = workers[t].step.n,
                                     .policy = o->sync == OXBOW_SYNC_ALWAYS ? POLICY_ALWAYS
                                                                            : POLICY_NONE};
        tell(load, &found);
    }
    for (uint32_t t = 0; t < o->threads; t++)
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0)
            _exit(4);
    if (o->close_after_ms != 0) {
        usleep(o->close_after_ms * 1000);
        atomic_store(&load->stop, true);
    }
    for (uint32_t t = 0; t < o->threads; t++)
        pthread_join(workers[t].thread, NULL);
    return atomic_load(&load->failed) ? 3 : 0;
}

int load_run(const struct load_options *o)
{
    struct load load = {.options = o, .tell = PTHREAD_MUTEX_INITIALIZER};
    struct worker workers[THREADS_MAX] = {0};
    struct oxbow_config config;
    struct record closed = {.kind = RECORD_CLOSED};
    enum oxbow_err err;
    int status;

    load_config(o, &config);
    err = oxbow_open(&config, &load.db);
    if (err != OXBOW_OK) {
        tell_failure(&load, 0, err);
        return 3;
    }
    for (uint32_t t = 0; t < o->threads; t++) {
        workers[t].load = &load;
        step_init(&workers[t].step, o->seed, t);
    }
    status = live(&load, workers);
    err = oxbow_close(load.db);
    closed.lsn = (uint64_t)err;
    closed.end_us = now_us();
    tell(&load, &closed);
    for (uint32_t t = 0; t < o->threads; t++)
        step_fini(&workers[t].step);
    return err == OXBOW_OK ? status : 3;
}
