/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's port: the default one but for its clock. The clock runs with the real one, so that
 * nothing that waits for it waits for ever, and is turned on by hours by the device's own thread.
 * Who waits with a timeout is woken then, and looks at the clock again.
 */
#include "tests/sim/year.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define CONDS_MAX   64u
#define WAIT_MAX_US 20000u

static struct {
    atomic_uint_least64_t turned_us; /* since the start of this life */
    uint64_t real_us;                /* then */
    uint64_t from_ms, uptime_ms;
    atomic_int_least64_t wrong_ms; /* the wall clock's error */
    atomic_bool set;
    struct oxbow_port port;
    pthread_mutex_t lock; /* of the following */
    struct oxbow_cond *conds[CONDS_MAX];
} now = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t real_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t passed_us(void)
{
    return atomic_load(&now.turned_us) + (real_us() - now.real_us);
}

uint64_t clock_true_ms(void)
{
    return now.from_ms + passed_us() / 1000;
}

uint64_t clock_uptime_ms(void)
{
    return now.uptime_ms + passed_us() / 1000;
}

static uint64_t mono_us(void *ctx)
{
    (void)ctx;
    return now.uptime_ms * 1000 + passed_us();
}

static uint64_t wall_ms(void *ctx)
{
    (void)ctx;
    return (uint64_t)((int64_t)clock_true_ms() + atomic_load(&now.wrong_ms));
}

static bool wall_is_set(void *ctx)
{
    (void)ctx;
    return atomic_load(&now.set);
}

/* ---- those who wait ---- */

static enum oxbow_err cond_open(void *ctx, struct oxbow_cond **out)
{
    enum oxbow_err err = oxbow_port_default()->threads.cond_open(ctx, out);
    pthread_mutex_lock(&now.lock);
    for (unsigned i = 0; err == OXBOW_OK && i < CONDS_MAX; i++)
        if (now.conds[i] == NULL) {
            now.conds[i] = *out;
            break;
        }
    pthread_mutex_unlock(&now.lock);
    return err;
}

static void cond_close(struct oxbow_cond *c)
{
    pthread_mutex_lock(&now.lock);
    for (unsigned i = 0; i < CONDS_MAX; i++)
        if (now.conds[i] == c)
            now.conds[i] = NULL;
    pthread_mutex_unlock(&now.lock);
    oxbow_port_default()->threads.cond_close(c);
}

static void cond_wait(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us)
{
    bool timed = timeout_us != UINT64_MAX && timeout_us > WAIT_MAX_US;
    oxbow_port_default()->threads.cond_wait(c, m, timed ? WAIT_MAX_US : timeout_us);
}

void clock_pass_ms(uint64_t ms)
{
    atomic_fetch_add(&now.turned_us, ms * 1000);
    pthread_mutex_lock(&now.lock);
    for (unsigned i = 0; i < CONDS_MAX; i++)
        if (now.conds[i] != NULL)
            oxbow_port_default()->threads.cond_broadcast(now.conds[i]);
    pthread_mutex_unlock(&now.lock);
}

/* ---- the wall clock ---- */

void clock_jump(enum year_wall wall)
{
    int64_t true_ms = (int64_t)clock_true_ms(), years = 56ll * 365 * (int64_t)DAY_MS;
    int64_t wrong = 0;
    switch (wall) {
    case WALL_UNSET:
        wrong = (int64_t)clock_uptime_ms() - true_ms;
        break;
    case WALL_AHEAD:
        wrong = years;
        break;
    case WALL_MONTHS:
        wrong = 200 * (int64_t)DAY_MS;
        break;
    case WALL_RIGHT:
    case WALLS:
        break;
    }
    atomic_store(&now.set, wall != WALL_UNSET);
    atomic_store(&now.wrong_ms, wrong);
}

static void log_nothing(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

void clock_begin(const struct year_life *life)
{
    now.real_us = real_us();
    now.from_ms = life->from_ms;
    now.uptime_ms = life->uptime_ms;
    clock_jump(life->wall);
    now.port = *oxbow_port_default();
    now.port.clock = (struct oxbow_clock){NULL, wall_ms, mono_us, wall_is_set};
    now.port.threads.cond_open = cond_open;
    now.port.threads.cond_close = cond_close;
    now.port.threads.cond_wait = cond_wait;
    if (getenv("YEAR_LOG") == NULL)
        now.port.log.line = log_nothing;
}

const struct oxbow_port *clock_port(void)
{
    return &now.port;
}
