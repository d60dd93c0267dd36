/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver in a thread of its own, with its own loop. The caller opens everything, so that what
 * is wrong with the configuration is told at once; the thread only runs the loop, until
 * oxbow_uplink_thread_close asks it, over the loop's own async handle, to end.
 *
 * `mutex` guards `finished`; all else belongs to the thread while it runs.
 */
#include "port/uv/uplink.h"

#include "engine/base/buf.h"

#include <signal.h>

struct oxbow_uplink_thread {
    const struct oxbow_port *port;
    uv_loop_t loop;
    uv_async_t stop;
    struct oxbow_uplink_uv *driver;
    struct oxbow_thread *thread;
    struct oxbow_mutex *mutex;
    struct oxbow_cond *cond;
    bool finished;
};

static void on_finished(void *ctx)
{
    struct oxbow_uplink_thread *t = ctx;

    t->port->threads.mutex_lock(t->mutex);
    t->finished = true;
    t->port->threads.cond_broadcast(t->cond);
    t->port->threads.mutex_unlock(t->mutex);
}

static void on_stop(uv_async_t *async)
{
    struct oxbow_uplink_thread *t = async->data;

    uv_close((uv_handle_t *)async, NULL);
    oxbow_uplink_uv_close(t->driver, NULL, NULL);
}

/* Ends when nothing is left on the loop. */
static void run(void *arg)
{
    struct oxbow_uplink_thread *t = arg;
    sigset_t pipe;

    /* A write to a reset connection is an error, not the end of the process. */
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    (void)uv_run(&t->loop, UV_RUN_DEFAULT);
}

/* Frees what does not need the loop. */
static void release(struct oxbow_uplink_thread *t)
{
    if (t->cond != NULL) {
        t->port->threads.cond_close(t->cond);
    }
    if (t->mutex != NULL) {
        t->port->threads.mutex_close(t->mutex);
    }
    mem_free(&t->port->alloc, t, sizeof *t);
}

static void loop_fini(struct oxbow_uplink_thread *t)
{
    (void)uv_run(&t->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&t->loop);
}

static enum oxbow_err sync_open(struct oxbow_uplink_thread *t)
{
    const struct oxbow_threads *threads = &t->port->threads;
    enum oxbow_err err = threads->mutex_open(threads->ctx, &t->mutex);

    return err != OXBOW_OK ? err : threads->cond_open(threads->ctx, &t->cond);
}

/* Opens the driver on the loop, and starts the thread that runs it. */
static enum oxbow_err start(struct oxbow_uplink_thread *t, struct oxbow_uplink *session,
                            const struct oxbow_uplink_uv_config *config, struct oxbow_tls_why *why)
{
    const struct oxbow_threads *threads = &t->port->threads;
    struct oxbow_uplink_uv_config mine = *config;
    enum oxbow_err err;

    mine.finished = on_finished;
    mine.finished_ctx = t;
    err = uvdriver_open(session, &t->loop, &mine, why, &t->driver);
    if (err != OXBOW_OK) {
        return err;
    }
    err = uverror_of(uv_async_init(&t->loop, &t->stop, on_stop));
    if (err != OXBOW_OK) {
        oxbow_uplink_uv_close(t->driver, NULL, NULL);
        return err;
    }
    t->stop.data = t;
    err = threads->thread_open(threads->ctx, "oxbow-uplink", run, t, &t->thread);
    if (err != OXBOW_OK) {
        on_stop(&t->stop);
    }
    return err;
}

enum oxbow_err oxbow_uplink_thread_open(struct oxbow_uplink *session,
                                        const struct oxbow_uplink_uv_config *config,
                                        struct oxbow_tls_why *why, struct oxbow_uplink_thread **out)
{
    const struct oxbow_port *port;
    struct oxbow_uplink_thread *t;
    struct oxbow_tls_why unread;
    enum oxbow_err err;

    why = why != NULL ? why : &unread;
    why->text[0] = '\0';
    if (config->db == NULL || config->finished != NULL || config->told) {
        return OXBOW_EINVAL;
    }
    port = oxbow_port_of(config->db);
    t = mem_new(&port->alloc, sizeof *t);
    if (t == NULL) {
        return OXBOW_ENOMEM;
    }
    t->port = port;
    err = sync_open(t);
    err = err != OXBOW_OK ? err : uverror_of(uv_loop_init(&t->loop));
    if (err != OXBOW_OK) {
        release(t);
        return err;
    }
    err = start(t, session, config, why);
    if (err != OXBOW_OK) {
        loop_fini(t);
        release(t);
        return err;
    }
    *out = t;
    return OXBOW_OK;
}

enum oxbow_err oxbow_uplink_thread_wait(struct oxbow_uplink_thread *t, int64_t timeout_ms)
{
    const struct oxbow_threads *threads = &t->port->threads;
    const struct oxbow_clock *clock = &t->port->clock;
    uint64_t until_us =
        timeout_ms < 0 ? UINT64_MAX : clock->mono_us(clock->ctx) + (uint64_t)timeout_ms * 1000;
    enum oxbow_err err = OXBOW_OK;

    threads->mutex_lock(t->mutex);
    while (!t->finished && err == OXBOW_OK) {
        uint64_t now_us = clock->mono_us(clock->ctx);
        if (now_us >= until_us) {
            err = OXBOW_ETIMEDOUT;
        } else {
            threads->cond_wait(t->cond, t->mutex,
                               until_us == UINT64_MAX ? UINT64_MAX : until_us - now_us);
        }
    }
    threads->mutex_unlock(t->mutex);
    return err;
}

void oxbow_uplink_thread_close(struct oxbow_uplink_thread *t)
{
    if (t == NULL) {
        return;
    }
    (void)uv_async_send(&t->stop);
    t->port->threads.thread_join(t->thread);
    loop_fini(t);
    release(t);
}
