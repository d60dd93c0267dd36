/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW BACKUP: a copy of the store, handed out in pieces over the connection that asked for it.
 *
 *   BEGIN            -> a thread of its own, which alone waits for the checkpoint and reads the device;
 *                       WAIT while that of the one before has not come to its end
 *   READ, again and again, until it says "end": the loop gives what the thread has ready, or "wait"
 *   END, RESET, or the end of the connection: it is given up
 *
 *   thread: open --> read a piece --> wait until it was taken --+--> close
 *                        ^                                      |
 *                        +--------------------------------------+
 *
 * Invariants: (1) `buf` is the thread's while `ready` is false, and the loop's while it is true. (2) The
 * loop never waits for the thread: it joins one that has said that it is over. (3) A backup that nobody
 * reads is closed after IDLE_US, so that it keeps nothing in the store for longer.
 */
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "oxbow/backup.h"

#include <string.h>

#define CHUNK   (256u << 10)
#define IDLE_US 30000000u

struct resp_backup {
    const struct oxbow_port *port;
    struct oxbow *db;
    struct oxbow_thread *thread;
    uint64_t client; /* whose it is, by its id */
    uint8_t *buf;
    /* What the mutex guards: */
    struct oxbow_mutex *mutex;
    struct oxbow_cond *moved; /* any of these has changed */
    size_t len;               /* of buf; 0: the end */
    bool ready;
    bool stop; /* the thread is to end */
    bool over; /* it has done all that takes long */
    enum oxbow_err err;
    struct oxbow_backup_info info;
};

/* ---- the thread ---- */

static void lock(struct resp_backup *b)
{
    b->port->threads.mutex_lock(b->mutex);
}

static void unlock(struct resp_backup *b)
{
    b->port->threads.mutex_unlock(b->mutex);
}

/* Shows what is in buf until it is taken. False: nobody wants any more. */
static bool show(struct resp_backup *b, const struct oxbow_backup *from, size_t len)
{
    uint64_t until = b->port->clock.mono_us(b->port->clock.ctx) + IDLE_US;
    uint64_t now = 0;
    bool on;

    lock(b);
    oxbow_backup_info(from, &b->info);
    b->len = len;
    b->ready = true;
    while (b->ready && !b->stop && now < until && len > 0) {
        b->port->threads.cond_wait(b->moved, b->mutex,
                                   until - now < IDLE_US ? until - now : IDLE_US);
        now = b->port->clock.mono_us(b->port->clock.ctx);
    }
    on = !b->ready && !b->stop;
    if (b->ready && len > 0) {
        b->ready = false;
        b->err = OXBOW_ETIMEDOUT;
    }
    unlock(b);
    return on;
}

/* What is left to be told has no bytes any more. */
static void finish(struct resp_backup *b, enum oxbow_err err)
{
    lock(b);
    b->err = b->err == OXBOW_OK ? err : b->err;
    b->ready = b->ready && b->len == 0;
    mem_free(&b->port->alloc, b->buf, CHUNK);
    b->buf = NULL;
    b->over = true;
    unlock(b);
}

static void run(void *arg)
{
    struct resp_backup *b = arg;
    struct oxbow_backup *from = NULL;
    bool on = true;
    size_t len;
    enum oxbow_err err = oxbow_backup_open(b->db, &from);

    while (err == OXBOW_OK && on) {
        err = oxbow_backup_read(from, b->buf, CHUNK, &len);
        if (err == OXBOW_OK) {
            on = show(b, from, len) && len > 0;
        }
    }
    oxbow_backup_close(from);
    finish(b, err);
}

/* ---- its life ---- */

static void release(struct oxbow_resp *s)
{
    struct resp_backup *b = s->backup;

    s->backup = NULL;
    if (b->thread != NULL) {
        b->port->threads.thread_join(b->thread);
    }
    if (b->moved != NULL) {
        b->port->threads.cond_close(b->moved);
    }
    if (b->mutex != NULL) {
        b->port->threads.mutex_close(b->mutex);
    }
    mem_free(&b->port->alloc, b->buf, CHUNK);
    mem_free(&b->port->alloc, b, sizeof *b);
}

static void stop(struct resp_backup *b)
{
    lock(b);
    b->stop = true;
    b->port->threads.cond_signal(b->moved);
    unlock(b);
}

/* Whether there is one whose thread may still take its time. What is over is gone after this. */
static bool under_way(struct oxbow_resp *s)
{
    struct resp_backup *b = s->backup;
    bool over;

    if (b == NULL) {
        return false;
    }
    lock(b);
    over = b->over;
    unlock(b);
    if (over) {
        release(s);
    }
    return !over;
}

void resp_backup_left(struct oxbow_resp_client *c)
{
    struct resp_backup *b = c->server->backup;

    if (b != NULL && b->client == c->id) {
        b->client = 0;
        stop(b);
        (void)under_way(c->server);
    }
}

void resp_backup_end(struct oxbow_resp *s)
{
    if (s->backup != NULL) {
        stop(s->backup);
        release(s);
    }
}

static enum oxbow_err start(struct oxbow_resp *s, uint64_t client)
{
    const struct oxbow_threads *threads = &s->port->threads;
    struct resp_backup *b = mem_new(&s->port->alloc, sizeof *b);
    enum oxbow_err err;

    if (b == NULL) {
        return OXBOW_ENOMEM;
    }
    s->backup = b;
    b->port = s->port;
    b->db = s->db;
    b->client = client;
    b->buf = mem_new(&s->port->alloc, CHUNK);
    err = b->buf == NULL ? OXBOW_ENOMEM : threads->mutex_open(threads->ctx, &b->mutex);
    if (err == OXBOW_OK) {
        err = threads->cond_open(threads->ctx, &b->moved);
    }
    if (err == OXBOW_OK) {
        err = threads->thread_open(threads->ctx, "oxbow-backup", run, b, &b->thread);
    }
    if (err != OXBOW_OK) {
        release(s);
    }
    return err;
}

/* ---- the command ---- */

static enum oxbow_err backup_begin(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->server->backup != NULL && call->server->backup->client == call->client->id) {
        resp_backup_left(call->client); /* it begins again */
    }
    if (under_way(call->server)) {
        if (call->server->backup->client != 0) {
            return resp_refuse(call, "BUSY another connection's backup is under way");
        }
        resp_simple(call->reply, "WAIT"); /* its thread comes to its end in a moment */
        return OXBOW_OK;
    }
    err = start(call->server, call->client->id);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static void tell(struct resp_call *call, const struct resp_backup *b, const char *state)
{
    const struct oxbow_bytes none = {"", 0};
    const struct oxbow_bytes piece = {b->buf, b->len};

    resp_array(call->reply, 5);
    resp_bulk_text(call->reply, state);
    resp_int(call->reply, (int64_t)b->info.lsn);
    resp_int(call->reply, (int64_t)b->info.done);
    resp_int(call->reply, (int64_t)b->info.records);
    resp_bulk(call->reply, b->ready && b->len > 0 ? piece : none);
}

static const char *why(enum oxbow_err err)
{
    switch (err) {
    case OXBOW_ECORRUPT:
        return "something in the store is damaged: `oxbow check` tells what, `oxbow repair` mends";
    case OXBOW_ENOSPC:
        return "the store needed the room that a backup keeps for what was written meanwhile";
    case OXBOW_EVOLATILE:
        return "the store is in memory: its device has failed";
    case OXBOW_ETIMEDOUT:
        return "nobody has read it for 30 seconds";
    default:
        return oxbow_err_text(err);
    }
}

static enum oxbow_err backup_read(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    struct resp_backup *b = s->backup;
    bool end = false;

    if (b == NULL || b->client != call->client->id) {
        return resp_refuse(call, "ERR no backup of this connection's is under way: BACKUP BEGIN");
    }
    lock(b);
    if (b->ready) {
        end = b->len == 0;
        tell(call, b, end ? "end" : "ready");
        b->ready = false;
        b->port->threads.cond_signal(b->moved);
    } else if (b->err != OXBOW_OK) {
        resp_error_format(call->reply, "ERR the backup has ended: %s (%s)", why(b->err),
                          oxbow_err_name(b->err));
        end = true;
    } else {
        tell(call, b, "wait");
    }
    unlock(b);
    if (end) {
        resp_backup_left(call->client);
    }
    return OXBOW_OK;
}

static enum oxbow_err backup_end(struct resp_call *call)
{
    resp_backup_left(call->client);
    resp_ok(call->reply);
    return OXBOW_OK;
}

enum oxbow_err cmd_oxbow_backup(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"begin", backup_begin, 3, 3},
        {"read", backup_read, 3, 3},
        {"end", backup_end, 3, 3},
        {NULL, NULL, 0, 0},
    };

    return oxbow_verb_run(call, verbs);
}
