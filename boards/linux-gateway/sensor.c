/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow-sensor, the example firmware: takes readings and writes them to a durable stream, which an
 * uplink forwards to a central Redis. What to look at:
 *
 *   sensor_open   opens the store with the board's numbers
 *   store_reading one reading, one transaction; how each error is met
 *   main          signals, start, stop
 *
 * Under `always` a reading is accepted when oxbow_txn_commit has returned OXBOW_OK: from then on
 * neither a crash nor a power cut loses it, and it will reach the target once and in order. Only
 * then is it told to whoever listens on --ack-fd.
 */
#include "board.h"
#include "clock.h"
#include "link.h"
#include "options.h"
#include "readings.h"

#include "oxbow/oxbow.h"
#include "oxbow/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_MS 200
#define ROOM_MS   250 /* between two tries when there is no room */
#define DRAIN_MS  250 /* between two looks at the signals while waiting for the target */

struct sensor_app {
    struct options opt;
    struct board_clock clock;
    struct oxbow_port port;
    struct oxbow *db;
    struct link *link; /* NULL: no uplink */
    struct readings *src;
    long long taken; /* like src, touched only within a transaction: those never overlap */
    atomic_bool stop;
    atomic_bool failed;
    atomic_bool waiting_for_room;
    atomic_ullong accepted;
    atomic_int running; /* producers */
};

struct producer {
    struct sensor_app *app;
    pthread_t thread;
    bool holds; /* a reading that is not stored yet */
    struct reading reading;
};

static void fail(struct sensor_app *app, const char *what, enum oxbow_err err)
{
    fprintf(stderr, "oxbow-sensor: %s: %s (%s)\n", what, oxbow_err_text(err), oxbow_err_name(err));
    atomic_store(&app->failed, true);
    atomic_store(&app->stop, true);
}

/* ---- taking and storing ---- */

/* Sees to it that the producer holds a reading. Called within the transaction that will store it,
 * so the stream's order is the order in which readings were taken. False: no more of them. */
static bool hold_reading(struct producer *p)
{
    struct sensor_app *app = p->app;
    enum reading_outcome outcome;

    if (p->holds) {
        return true;
    }
    if (app->opt.count > 0 && app->taken >= app->opt.count) {
        return false;
    }
    outcome = readings_take(app->src, &p->reading);
    if (outcome == READING_BAD) {
        atomic_store(&app->failed, true);
        atomic_store(&app->stop, true);
    }
    p->holds = outcome == READING_TAKEN;
    app->taken += p->holds;
    return p->holds;
}

/* One reading, one transaction. OXBOW_OK: it is as durable as the policy says. OXBOW_ENOENT: there
 * are no more readings. After any other error the producer still holds its reading. */
static enum oxbow_err store_reading(struct producer *p, struct oxbow_id *id)
{
    const char *name = p->app->opt.stream;
    const struct oxbow_bytes key = {name, strlen(name)};
    struct oxbow_txn *txn;
    enum oxbow_err err;

    err = oxbow_txn_begin(p->app->db, NULL, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!hold_reading(p)) {
        oxbow_txn_abort(txn);
        return OXBOW_ENOENT;
    }
    err = oxbow_stream_add(txn, key, NULL, p->reading.fields, p->reading.field_count, id);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    err = oxbow_txn_commit(txn, NULL);
    p->holds = err != OXBOW_OK;
    return err;
}

/* Tells the other process. A pipe that nobody reads any more ends the program, like any failure. */
static void acknowledge(struct producer *p, struct oxbow_id id)
{
    char line[96];
    int len;

    atomic_fetch_add(&p->app->accepted, 1);
    if (p->app->opt.ack_fd < 0) {
        return;
    }
    len = snprintf(line, sizeof line, "%" PRIu64 "-%" PRIu64 " %08" PRIx32 " %" PRIu64 "\n", id.ms,
                   id.seq, reading_checksum(&p->reading), p->reading.row);
    if (write(p->app->opt.ack_fd, line, (size_t)len) != len) {
        fail(p->app, "--ack-fd", OXBOW_EPIPE);
    }
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

/* There is no room: the quota, the forward's budget or the disk is full. Nothing was stored and
 * nothing is dropped: the reading is kept until the target has taken something. */
static void wait_for_room(struct sensor_app *app, enum oxbow_err err)
{
    if (!atomic_exchange(&app->waiting_for_room, true)) {
        fprintf(stderr, "oxbow-sensor: waiting for room: %s\n", oxbow_err_text(err));
    }
    sleep_ms(ROOM_MS);
}

/* Keeps the chosen pace: the n-th reading of this producer comes n steps after the start. When the
 * store is slower than that, the readings that were due are taken at once. */
static void keep_pace(const struct sensor_app *app, const struct timespec *start, uint64_t n)
{
    double due_s = (double)n * app->opt.producers / app->opt.rate;
    struct timespec at = {.tv_sec = start->tv_sec + (time_t)due_s,
                          .tv_nsec =
                              start->tv_nsec + (long)((due_s - (double)(time_t)due_s) * 1e9)};

    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void *producer_run(void *arg)
{
    struct producer *p = arg;
    struct sensor_app *app = p->app;
    struct timespec start;
    struct oxbow_id id;
    uint64_t n = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    while (!atomic_load(&app->stop)) {
        enum oxbow_err err;

        if (app->opt.rate > 0) {
            keep_pace(app, &start, n);
        }
        err = store_reading(p, &id);
        if (err == OXBOW_ENOENT) {
            break;
        }
        if (err == OXBOW_OK) {
            n++;
            acknowledge(p, id);
            atomic_store(&app->waiting_for_room, false);
        } else if (err == OXBOW_EQUOTA || err == OXBOW_EBUDGET || err == OXBOW_ENOSPC) {
            wait_for_room(app, err);
        } else {
            fail(app, "the reading could not be stored", err);
        }
    }
    atomic_fetch_sub(&app->running, 1);
    return NULL;
}

/* ---- status ---- */

/* Flat JSON; only names and numbers, so nothing has to be escaped. */
static void write_status(struct sensor_app *app)
{
    struct oxbow_stat stat;
    struct oxbow_uplink_status up = {0};
    char line[1024];
    int len;

    if (app->opt.status_fd < 0) {
        return;
    }
    oxbow_stat(app->db, &stat);
    if (app->link != NULL) {
        link_status(app->link, &up);
    }
    len = snprintf(line, sizeof line,
                   "{\"accepted\":%llu,\"lsn_durable\":%" PRIu64 ",\"device_bytes\":%" PRIu64
                   ",\"payload_bytes\":%" PRIu64 ",\"checkpoints\":%" PRIu64 ",\"boot\":%" PRIu64
                   ",\"link\":\"%s\",\"next_try_ms\":%" PRIu64 ",\"connects\":%" PRIu64
                   ",\"batches\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"inflight\":%" PRIu64
                   ",\"lost_replies\":%" PRIu64 ",\"refused_full\":%" PRIu64 ",\"rewinds\":%" PRIu64
                   ",\"gaps\":%" PRIu64 ",\"trouble\":\"%s\"}\n",
                   (unsigned long long)atomic_load(&app->accepted), stat.lsn_durable,
                   stat.device_bytes, stat.payload_bytes, stat.checkpoints, stat.boot,
                   app->link != NULL ? oxbow_uplink_state_name(up.state) : "none", up.next_try_ms,
                   up.connects, up.batches, up.entries, up.inflight_bytes, up.lost_replies,
                   up.refused[OXBOW_TROUBLE_FULL], up.rewinds, up.gaps,
                   oxbow_uplink_trouble_name(up.trouble));
    if (len > 0 && (size_t)len < sizeof line &&
        write(app->opt.status_fd, line, (size_t)len) != len) {
        app->opt.status_fd = -1; /* nobody looks any more, which is no reason to stop */
    }
}

/* ---- start and stop ---- */

/* A store that cannot be opened is told and left alone: nothing here ever starts a new one over
 * it. */
static enum oxbow_err sensor_open(struct sensor_app *app)
{
    struct oxbow_config config = {
        .dir = app->opt.store,
        .port = &app->port,
        .sync = app->opt.sync,
        .quota_bytes = BOARD_QUOTA_BYTES,
        .dirty_pages = BOARD_DIRTY_PAGES,
        .memtable_bytes = BOARD_MEMTABLE_BYTES,
        .checkpoint_ms = BOARD_CHECKPOINT_MS,
        .txn_bytes = BOARD_TXN_BYTES,
        .entry_bytes = BOARD_ENTRY_BYTES,
    };
    enum oxbow_err err;

    board_clock_init(&app->clock, &app->port, app->opt.clock_offset_s, app->opt.clock_set_after_s);
    app->src = app->opt.replay != NULL
                   ? readings_open_csv(app->opt.replay, (uint64_t)app->opt.replay_from)
                   : readings_open_system();
    if (app->src == NULL) {
        return OXBOW_ENOENT;
    }
    err = oxbow_open(&config, &app->db);
    if (err != OXBOW_OK) {
        fail(app, app->opt.store, err);
        if (err == OXBOW_ENOENT) {
            fprintf(stderr, "oxbow-sensor: the directory that is to hold the store is not there\n");
        }
        return err;
    }
    return app->opt.target != NULL ? link_open(app->db, &app->opt, &app->link) : OXBOW_OK;
}

/* The uplink first, then the store: closing makes everything durable, whatever the policy. */
static void sensor_close(struct sensor_app *app)
{
    enum oxbow_err err;

    link_close(app->link);
    if (app->db != NULL) {
        err = oxbow_close(app->db);
        if (err != OXBOW_OK) {
            fail(app, "closing the store", err);
        }
    }
    readings_close(app->src);
}

/* Runs until a signal, the last reading, or a failure. */
static void sensor_run(struct sensor_app *app, const sigset_t *signals)
{
    static struct producer producers[OPTIONS_PRODUCERS_MAX];
    const struct timespec step = {.tv_nsec = STATUS_MS * 1000000L};
    int started = 0;

    for (; started < app->opt.producers; started++) {
        producers[started].app = app;
        atomic_fetch_add(&app->running, 1);
        if (pthread_create(&producers[started].thread, NULL, producer_run, &producers[started])) {
            atomic_fetch_sub(&app->running, 1);
            fail(app, "starting a thread", OXBOW_ESYS);
            break;
        }
    }
    while (!atomic_load(&app->stop) && atomic_load(&app->running) > 0) {
        if (sigtimedwait(signals, NULL, &step) > 0) {
            atomic_store(&app->stop, true);
        }
        write_status(app);
    }
    for (int i = 0; i < started; i++) {
        (void)pthread_join(producers[i].thread, NULL);
    }
}

/* Waits until the target has everything, the time is up, or another signal comes. */
static void sensor_drain(struct sensor_app *app, const sigset_t *signals)
{
    const struct timespec now = {0};
    enum oxbow_err err = OXBOW_ETIMEDOUT;

    for (int left = app->opt.drain_s * 1000; left > 0 && err == OXBOW_ETIMEDOUT; left -= DRAIN_MS) {
        if (sigtimedwait(signals, NULL, &now) > 0) {
            break;
        }
        err = link_drain(app->link, DRAIN_MS);
        write_status(app);
    }
    if (err != OXBOW_OK) {
        fail(app, "the target does not have everything yet", err);
    }
}

int main(int argc, const char **argv)
{
    static struct sensor_app app;
    sigset_t signals;
    int status;

    if (!options_parse(argc, argv, &app.opt, &status)) {
        return status;
    }
    /* Blocked before the first thread starts, so that only sigtimedwait ever sees them. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    if (sensor_open(&app) != OXBOW_OK) {
        sensor_close(&app);
        return 1;
    }
    sensor_run(&app, &signals);
    if (app.link != NULL && app.opt.drain_s > 0 && !atomic_load(&app.failed)) {
        sensor_drain(&app, &signals);
    }
    write_status(&app);
    sensor_close(&app);
    return atomic_load(&app.failed) ? 1 : 0;
}
