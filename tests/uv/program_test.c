/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a program: signals and ticks come, and it ends when told to. */
#include "port/uv/program.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    struct uvprogram *program;
    int signals[4];
    unsigned signal_count;
    unsigned ticks;
};

static void on_signal(void *ctx, int number)
{
    struct seen *s = ctx;

    s->signals[s->signal_count++] = number;
    if (s->signal_count == 2) {
        uvprogram_stop(s->program);
    }
}

static void on_tick(void *ctx)
{
    struct seen *s = ctx;

    if (++s->ticks == 3) {
        uvprogram_stop(s->program);
    }
}

static void signals_come_on_the_loop(void **state)
{
    struct seen seen = {.program = NULL};
    const struct uvprogram_config config = {
        .signals = {SIGHUP, SIGTERM}, .signal = on_signal, .ctx = &seen};

    (void)state;
    assert_int_equal(uvprogram_open(&config, &seen.program), OXBOW_OK);
    assert_non_null(uvprogram_loop(seen.program));
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    uvprogram_run(seen.program);
    assert_int_equal(seen.signal_count, 2);
    assert_int_equal(seen.signals[0] + seen.signals[1], SIGHUP + SIGTERM);
    uvprogram_close(seen.program);
}

static void it_ticks_until_it_is_stopped(void **state)
{
    struct seen seen = {.program = NULL};
    const struct uvprogram_config config = {.tick_ms = 2, .tick = on_tick, .ctx = &seen};

    (void)state;
    assert_int_equal(uvprogram_open(&config, &seen.program), OXBOW_OK);
    uvprogram_run(seen.program);
    assert_int_equal(seen.ticks, 3);
    uvprogram_close(seen.program);
}

static void *no_memory(void *ctx, void *p, size_t old_len, size_t new_len)
{
    (void)ctx;
    (void)p;
    (void)old_len;
    (void)new_len;
    return NULL;
}

static void without_memory_it_says_so(void **state)
{
    struct oxbow_port port = *oxbow_port_default();
    const struct uvprogram_config config = {.port = &port};
    struct uvprogram *none = NULL;

    (void)state;
    port.alloc.resize = no_memory;
    assert_int_equal(uvprogram_open(&config, &none), OXBOW_ENOMEM);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_come_on_the_loop),
        cmocka_unit_test(it_ticks_until_it_is_stopped),
        cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
