/* SPDX-License-Identifier: Apache-2.0 */
/* A loop with signals and a tick, for programs. */
#include "port/uv/program.h"

#include "engine/base/buf.h"
#include "port/uv/error.h"

#include <uv.h>

struct uvprogram {
    struct uvprogram_config config;
    uv_loop_t loop;
    uv_signal_t signals[UVPROGRAM_SIGNALS_MAX];
    uint32_t signal_count;
    uv_timer_t tick;
    bool ticks;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct uvprogram *p = handle->data;

    p->config.signal(p->config.ctx, number);
}

static void on_tick(uv_timer_t *timer)
{
    struct uvprogram *p = timer->data;

    p->config.tick(p->config.ctx);
}

static enum oxbow_err begin(struct uvprogram *p)
{
    int status = 0;
    uint32_t i;

    for (i = 0; i < UVPROGRAM_SIGNALS_MAX && p->config.signals[i] != 0 && status == 0; i++) {
        status = uv_signal_init(&p->loop, &p->signals[i]);
        if (status == 0) {
            p->signals[i].data = p;
            p->signal_count++;
            status = uv_signal_start(&p->signals[i], on_signal, p->config.signals[i]);
        }
    }
    if (status == 0 && p->config.tick_ms > 0) {
        (void)uv_timer_init(&p->loop, &p->tick); /* never fails */
        p->tick.data = p;
        p->ticks = true;
        status = uv_timer_start(&p->tick, on_tick, p->config.tick_ms, p->config.tick_ms);
    }
    return uverror_of(status);
}

enum oxbow_err uvprogram_open(const struct uvprogram_config *config, struct uvprogram **out)
{
    const struct oxbow_port *port = config->port != NULL ? config->port : oxbow_port_default();
    struct uvprogram *p = mem_new(&port->alloc, sizeof *p);
    enum oxbow_err err;

    if (p == NULL) {
        return OXBOW_ENOMEM;
    }
    p->config = *config;
    p->config.port = port;
    err = uverror_of(uv_loop_init(&p->loop));
    if (err != OXBOW_OK) {
        mem_free(&port->alloc, p, sizeof *p);
        return err;
    }
    err = begin(p);
    if (err != OXBOW_OK) {
        uvprogram_close(p);
        return err;
    }
    *out = p;
    return OXBOW_OK;
}

struct uv_loop_s *uvprogram_loop(struct uvprogram *p)
{
    return &p->loop;
}

void uvprogram_run(struct uvprogram *p)
{
    (void)uv_run(&p->loop, UV_RUN_DEFAULT); /* says only whether handles are left */
}

void uvprogram_stop(struct uvprogram *p)
{
    uv_stop(&p->loop);
}

void uvprogram_close(struct uvprogram *p)
{
    const struct oxbow_port *port = p->config.port;
    uint32_t i;

    for (i = 0; i < p->signal_count; i++) {
        uv_close((uv_handle_t *)&p->signals[i], NULL);
    }
    if (p->ticks) {
        uv_close((uv_handle_t *)&p->tick, NULL);
    }
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&p->loop) != 0) {
        port->panic(__FILE__, __LINE__, "a loop is closed that somebody still uses");
    }
    mem_free(&port->alloc, p, sizeof *p);
}
