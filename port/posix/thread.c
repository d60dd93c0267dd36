/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the POSIX port: pthreads, conditions on the monotonic clock, events as eventfds.
 * Misuse (unlocking what another thread holds, locking twice) panics: the mutexes check it.
 */
#include "port/posix/posix.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MAX_US                                                                                \
    (UINT64_C(24) * 3600 * 1000000) /* waits may end early: no overflow to think of */
#define NAME_LEN 16                 /* the kernel's limit, closing zero included */

struct oxbow_mutex {
    pthread_mutex_t mutex;
};

struct oxbow_cond {
    pthread_cond_t cond;
};

struct oxbow_thread {
    pthread_t thread;
    void (*run)(void *arg);
    void *arg;
    char name[NAME_LEN];
};

struct oxbow_event {
    int fd;
};

static void must(int rc, int line, const char *what)
{
    if (rc != 0) {
        posix_panic(__FILE__, line, what);
    }
}
#define MUST(call) must((call), __LINE__, #call)

enum oxbow_err posix_mutex_open(void *ctx, struct oxbow_mutex **out)
{
    struct oxbow_mutex *m = malloc(sizeof *m);
    pthread_mutexattr_t attr;
    int rc;

    (void)ctx;
    if (m == NULL) {
        return OXBOW_ENOMEM;
    }
    MUST(pthread_mutexattr_init(&attr));
    MUST(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
    rc = pthread_mutex_init(&m->mutex, &attr);
    MUST(pthread_mutexattr_destroy(&attr));
    if (rc != 0) {
        free(m);
        return posix_error(rc);
    }
    *out = m;
    return OXBOW_OK;
}

void posix_mutex_close(struct oxbow_mutex *m)
{
    if (m != NULL) {
        MUST(pthread_mutex_destroy(&m->mutex));
        free(m);
    }
}

void posix_mutex_lock(struct oxbow_mutex *m)
{
    MUST(pthread_mutex_lock(&m->mutex));
}

void posix_mutex_unlock(struct oxbow_mutex *m)
{
    MUST(pthread_mutex_unlock(&m->mutex));
}

enum oxbow_err posix_cond_open(void *ctx, struct oxbow_cond **out)
{
    struct oxbow_cond *c = malloc(sizeof *c);
    pthread_condattr_t attr;
    int rc;

    (void)ctx;
    if (c == NULL) {
        return OXBOW_ENOMEM;
    }
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    rc = pthread_cond_init(&c->cond, &attr);
    MUST(pthread_condattr_destroy(&attr));
    if (rc != 0) {
        free(c);
        return posix_error(rc);
    }
    *out = c;
    return OXBOW_OK;
}

void posix_cond_close(struct oxbow_cond *c)
{
    if (c != NULL) {
        MUST(pthread_cond_destroy(&c->cond));
        free(c);
    }
}

void posix_cond_wait(struct oxbow_cond *c, struct oxbow_mutex *m, uint64_t timeout_us)
{
    struct timespec until;
    uint64_t ns;
    int rc;

    if (timeout_us == UINT64_MAX) {
        MUST(pthread_cond_wait(&c->cond, &m->mutex));
        return;
    }
    if (timeout_us > WAIT_MAX_US) {
        timeout_us = WAIT_MAX_US;
    }
    MUST(clock_gettime(CLOCK_MONOTONIC, &until));
    ns = (uint64_t)until.tv_nsec + timeout_us % 1000000u * 1000u;
    until.tv_sec += (time_t)(timeout_us / 1000000u + ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    rc = pthread_cond_timedwait(&c->cond, &m->mutex, &until);
    MUST(rc == ETIMEDOUT ? 0 : rc);
}

void posix_cond_signal(struct oxbow_cond *c)
{
    MUST(pthread_cond_signal(&c->cond));
}

void posix_cond_broadcast(struct oxbow_cond *c)
{
    MUST(pthread_cond_broadcast(&c->cond));
}

static void *thread_main(void *arg)
{
    struct oxbow_thread *t = arg;

    /* A name is a help for the one who debugs, no more: refused is fine. */
    (void)pthread_setname_np(pthread_self(), t->name);
    t->run(t->arg);
    return NULL;
}

/* Signals that a thread brings upon itself. Blocked they would kill the process without the
 * program's crash handler having been asked. */
static void leave_out_faults(sigset_t *set)
{
    sigdelset(set, SIGBUS);
    sigdelset(set, SIGFPE);
    sigdelset(set, SIGILL);
    sigdelset(set, SIGSEGV);
}

/* The program's signals go to the program's own threads. */
enum oxbow_err posix_thread_open(void *ctx, const char *name, void (*run)(void *arg), void *arg,
                                 struct oxbow_thread **out)
{
    struct oxbow_thread *t = calloc(1, sizeof *t);
    sigset_t all;
    sigset_t before;
    int rc;

    (void)ctx;
    if (t == NULL) {
        return OXBOW_ENOMEM;
    }
    t->run = run;
    t->arg = arg;
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    sigfillset(&all);
    leave_out_faults(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before));
    rc = pthread_create(&t->thread, NULL, thread_main, t);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (rc != 0) {
        free(t);
        return rc == EAGAIN ? OXBOW_ENOMEM : posix_error(rc);
    }
    *out = t;
    return OXBOW_OK;
}

void posix_thread_join(struct oxbow_thread *t)
{
    MUST(pthread_join(t->thread, NULL));
    free(t);
}

enum oxbow_err posix_event_open(void *ctx, struct oxbow_event **out)
{
    struct oxbow_event *e = malloc(sizeof *e);

    (void)ctx;
    if (e == NULL) {
        return OXBOW_ENOMEM;
    }
    e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->fd < 0) {
        free(e);
        return posix_error(errno);
    }
    *out = e;
    return OXBOW_OK;
}

void posix_event_close(struct oxbow_event *e)
{
    if (e != NULL) {
        close(e->fd);
        free(e);
    }
}

/* EAGAIN: the counter is at its top, so the event is set already. */
void posix_event_set(struct oxbow_event *e)
{
    uint64_t one = 1;

    while (write(e->fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        MUST(errno != EINTR);
    }
}

/* EAGAIN: it was not set. */
void posix_event_clear(struct oxbow_event *e)
{
    uint64_t count;

    while (read(e->fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        MUST(errno != EINTR);
    }
}

int posix_event_fd(const struct oxbow_event *e)
{
    return e->fd;
}
