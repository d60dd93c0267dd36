/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, time, random bytes, log, panic. */
#include "port/posix/posix.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void memory_grows_keeps_its_bytes_and_is_freed(void **state)
{
    uint8_t *p = posix_resize(NULL, NULL, 0, 3);

    (void)state;
    assert_non_null(p);
    memcpy(p, "abc", 3);
    p = posix_resize(NULL, p, 3, 100000);
    assert_non_null(p);
    assert_memory_equal(p, "abc", 3);
    assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
    assert_null(posix_resize(NULL, p, 100000, 0));
    assert_null(posix_resize(NULL, NULL, 0, 0));
}

static void the_wall_clock_is_the_systems(void **state)
{
    uint64_t before = (uint64_t)time(NULL) * 1000u;
    uint64_t now = posix_wall_ms(NULL);

    (void)state;
    assert_in_range(now, before > 2000 ? before - 2000 : 0, before + 60000);
    assert_int_equal(posix_wall_is_set(NULL), now >= UINT64_C(1704067200000));
}

static void the_monotonic_clock_advances_and_never_goes_back(void **state)
{
    uint64_t start = posix_mono_us(NULL);
    uint64_t last = start;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = posix_mono_us(NULL);

        assert_true(now >= last);
        last = now;
    }
    usleep(2000);
    assert_true(posix_mono_us(NULL) >= start + 2000);
}

static void random_bytes_fill_exactly_what_was_asked(void **state)
{
    enum { LEN = 5000 };
    uint8_t a[LEN + 1] = {0};
    uint8_t b[LEN] = {0};
    int used[256] = {0};
    int kinds = 0;

    (void)state;
    assert_int_equal(posix_random(NULL, a, LEN), OXBOW_OK);
    assert_int_equal(posix_random(NULL, b, LEN), OXBOW_OK);
    assert_int_equal(posix_random(NULL, NULL, 0), OXBOW_OK);
    assert_int_equal(a[LEN], 0);
    assert_memory_not_equal(a, b, LEN);
    for (int i = 0; i < LEN; i++) {
        kinds += used[a[i]]++ == 0;
    }
    assert_true(kinds > 200);
}

/* Runs fn in a child with its standard error in a pipe; gives its text and its wait status. */
static int run_child(void (*fn)(void), char *text, size_t text_max)
{
    int ends[2];
    pid_t child;
    size_t len = 0;
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while (len + 1 < text_max) {
        ssize_t got = read(ends[0], text + len, text_max - 1 - len);

        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    text[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void log_each_level(void)
{
    posix_log(NULL, OXBOW_LOG_ERROR, "one");
    posix_log(NULL, OXBOW_LOG_WARN, "two");
    posix_log(NULL, OXBOW_LOG_INFO, "three");
    posix_log(NULL, OXBOW_LOG_DEBUG, "four");
}

static void log_lines_carry_their_level_and_debug_is_silent(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run_child(log_each_level, text, sizeof text), 0);
    assert_string_equal(text, "oxbow: error: one\noxbow: warning: two\noxbow: three\n");
}

static void log_long_line(void)
{
    char line[5001];

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    posix_log(NULL, OXBOW_LOG_INFO, line);
}

static void a_long_log_line_is_not_cut(void **state)
{
    char text[8192];

    (void)state;
    assert_int_equal(run_child(log_long_line, text, sizeof text), 0);
    assert_int_equal(strlen(text), strlen("oxbow: ") + 5000 + 1);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void panic_now(void)
{
    posix_panic("engine/some.c", 42, "count == 0");
}

static void panic_says_where_and_what_and_ends_the_process(void **state)
{
    char text[512];
    int status = run_child(panic_now, text, sizeof text);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "oxbow: panic: engine/some.c:42: count == 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_grows_keeps_its_bytes_and_is_freed),
        cmocka_unit_test(the_wall_clock_is_the_systems),
        cmocka_unit_test(the_monotonic_clock_advances_and_never_goes_back),
        cmocka_unit_test(random_bytes_fill_exactly_what_was_asked),
        cmocka_unit_test(log_lines_carry_their_level_and_debug_is_silent),
        cmocka_unit_test(a_long_log_line_is_not_cut),
        cmocka_unit_test(panic_says_where_and_what_and_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
