/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, conditions on the monotonic clock, events that a loop can poll. */
#include "port/posix/posix.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 10000

struct shared {
    struct oxbow_mutex *mutex;
    struct oxbow_cond *cond;
    struct oxbow_event *event;
    uint64_t count;
    bool go;
    char name[32];
    sigset_t blocked;
};

static int shared_open(void **state)
{
    static struct shared s;

    memset(&s, 0, sizeof s);
    *state = &s;
    return posix_mutex_open(NULL, &s.mutex) != OXBOW_OK ||
           posix_cond_open(NULL, &s.cond) != OXBOW_OK ||
           posix_event_open(NULL, &s.event) != OXBOW_OK;
}

static int shared_close(void **state)
{
    struct shared *s = *state;

    posix_event_close(s->event);
    posix_cond_close(s->cond);
    posix_mutex_close(s->mutex);
    posix_event_close(NULL);
    posix_cond_close(NULL);
    posix_mutex_close(NULL);
    return 0;
}

static void count_up(void *arg)
{
    struct shared *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        posix_mutex_lock(s->mutex);
        s->count++;
        posix_mutex_unlock(s->mutex);
    }
}

static void a_mutex_lets_one_thread_in_at_a_time(void **state)
{
    struct shared *s = *state;
    struct oxbow_thread *t[4];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(posix_thread_open(NULL, "count", count_up, s, &t[i]), OXBOW_OK);
    }
    for (int i = 0; i < 4; i++) {
        posix_thread_join(t[i]);
    }
    assert_int_equal(s->count, 4 * ROUNDS);
}

static void look_at_self(void *arg)
{
    struct shared *s = arg;

    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
}

static void a_thread_has_its_name_and_takes_no_signals_but_its_own_faults(void **state)
{
    struct shared *s = *state;
    struct oxbow_thread *t;
    sigset_t own;

    assert_int_equal(
        posix_thread_open(NULL, "a name that is too long for the kernel", look_at_self, s, &t),
        OXBOW_OK);
    posix_thread_join(t);
    assert_string_equal(s->name, "a name that is ");
    assert_true(sigismember(&s->blocked, SIGTERM));
    assert_true(sigismember(&s->blocked, SIGUSR1));
    assert_false(sigismember(&s->blocked, SIGBUS));
    assert_false(sigismember(&s->blocked, SIGSEGV));
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    assert_false(sigismember(&own, SIGTERM));
}

static void wait_for_go(void *arg)
{
    struct shared *s = arg;

    posix_mutex_lock(s->mutex);
    while (!s->go) {
        posix_cond_wait(s->cond, s->mutex, UINT64_MAX);
    }
    s->count++;
    posix_mutex_unlock(s->mutex);
}

static void a_broadcast_wakes_all_and_a_signal_at_least_one(void **state)
{
    struct shared *s = *state;
    struct oxbow_thread *t[3];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(posix_thread_open(NULL, "wait", wait_for_go, s, &t[i]), OXBOW_OK);
    }
    usleep(5000);
    posix_mutex_lock(s->mutex);
    assert_int_equal(s->count, 0);
    s->go = true;
    posix_cond_signal(s->cond);
    posix_mutex_unlock(s->mutex);
    posix_cond_broadcast(s->cond);
    for (int i = 0; i < 3; i++) {
        posix_thread_join(t[i]);
    }
    assert_int_equal(s->count, 3);
}

static void a_wait_ends_by_itself_after_its_time_and_not_long_before(void **state)
{
    static const uint64_t each_us[] = {0, 1, 1000, 999999 / 50, 20000};
    struct shared *s = *state;

    posix_mutex_lock(s->mutex);
    for (size_t i = 0; i < sizeof each_us / sizeof each_us[0]; i++) {
        uint64_t start = posix_mono_us(NULL);
        uint64_t took = 0;
        int wakes = 0;

        /* It may wake early; a spurious wake does not end the round. */
        while (took < each_us[i] && wakes++ < 100) {
            posix_cond_wait(s->cond, s->mutex, each_us[i] - took);
            took = posix_mono_us(NULL) - start;
        }
        if (each_us[i] == 0) {
            posix_cond_wait(s->cond, s->mutex, 0);
        }
        assert_true(took >= each_us[i]);
        assert_true(wakes < 100);
    }
    posix_mutex_unlock(s->mutex);
}

static void wake_soon(void *arg)
{
    struct shared *s = arg;

    usleep(5000);
    posix_mutex_lock(s->mutex);
    s->go = true;
    posix_cond_broadcast(s->cond);
    posix_mutex_unlock(s->mutex);
}

/* Its deadline would be past the end of the clock; it must neither fail nor come back at once. */
static void the_longest_timeout_still_waits(void **state)
{
    struct shared *s = *state;
    struct oxbow_thread *t;
    int wakes = 0;

    posix_mutex_lock(s->mutex);
    assert_int_equal(posix_thread_open(NULL, "wake", wake_soon, s, &t), OXBOW_OK);
    while (!s->go && wakes++ < 100) {
        posix_cond_wait(s->cond, s->mutex, UINT64_MAX - 1);
    }
    posix_mutex_unlock(s->mutex);
    assert_in_range(wakes, 1, 99);
    posix_thread_join(t);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

static void an_event_is_readable_from_set_until_clear(void **state)
{
    struct shared *s = *state;
    int fd = posix_event_fd(s->event);

    assert_true(fd >= 0);
    assert_false(readable(fd));
    posix_event_clear(s->event);
    assert_false(readable(fd));
    posix_event_set(s->event);
    posix_event_set(s->event);
    assert_true(readable(fd));
    posix_event_clear(s->event);
    assert_false(readable(fd));
}

static void set_event(void *arg)
{
    struct shared *s = arg;

    posix_event_set(s->event);
}

static void an_event_wakes_a_loop_from_another_thread(void **state)
{
    struct shared *s = *state;
    struct pollfd p = {.fd = posix_event_fd(s->event), .events = POLLIN};
    struct oxbow_thread *t;

    assert_int_equal(posix_thread_open(NULL, "set", set_event, s, &t), OXBOW_OK);
    assert_int_equal(poll(&p, 1, 10000), 1);
    posix_thread_join(t);
}

/* What a child does wrong must end it by SIGABRT. */
static void assert_panics(void (*wrong)(struct shared *s), struct shared *s)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        wrong(s);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
#ifdef __SANITIZE_THREAD__
    assert_int_not_equal(status, 0); /* ThreadSanitizer sees it first, and exits by itself */
#else
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
#endif
}

static void lock_twice(struct shared *s)
{
    posix_mutex_lock(s->mutex);
    posix_mutex_lock(s->mutex);
}

static void unlock_unlocked(struct shared *s)
{
    posix_mutex_unlock(s->mutex);
}

static void misuse_of_a_mutex_panics(void **state)
{
    assert_panics(lock_twice, *state);
    assert_panics(unlock_unlocked, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shared_open, shared_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(misuse_of_a_mutex_panics),
        TEST(a_mutex_lets_one_thread_in_at_a_time),
        TEST(a_thread_has_its_name_and_takes_no_signals_but_its_own_faults),
        TEST(a_broadcast_wakes_all_and_a_signal_at_least_one),
        TEST(a_wait_ends_by_itself_after_its_time_and_not_long_before),
        TEST(the_longest_timeout_still_waits),
        TEST(an_event_is_readable_from_set_until_clear),
        TEST(an_event_wakes_a_loop_from_another_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
