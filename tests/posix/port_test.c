/* SPDX-License-Identifier: Apache-2.0 */
/* The table is whole: an engine may call each of its functions. */
#include "oxbow/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void no_function_of_the_default_port_is_missing(void **state)
{
    const struct oxbow_port *p = oxbow_port_default();

    (void)state;
    assert_non_null(p);
    assert_ptr_equal(p, oxbow_port_default());
    assert_non_null(p->alloc.resize);
    assert_non_null(p->clock.wall_ms);
    assert_non_null(p->clock.mono_us);
    assert_non_null(p->clock.wall_is_set);
    assert_non_null(p->random.fill);
    assert_non_null(p->log.line);
    assert_non_null(p->panic);
    assert_non_null(p->files.open);
    assert_non_null(p->files.close);
    assert_non_null(p->files.size);
    assert_non_null(p->files.read);
    assert_non_null(p->files.write);
    assert_non_null(p->files.truncate);
    assert_non_null(p->files.reserve);
    assert_non_null(p->files.punch);
    assert_non_null(p->files.occupied);
    assert_non_null(p->files.same);
    assert_non_null(p->files.sync);
    assert_non_null(p->files.sync_dir);
    assert_non_null(p->files.rename);
    assert_non_null(p->files.unlink);
    assert_non_null(p->files.mkdir);
    assert_non_null(p->files.lock);
    assert_non_null(p->files.space);
    assert_non_null(p->files.keep_private);
    assert_non_null(p->threads.mutex_open);
    assert_non_null(p->threads.mutex_close);
    assert_non_null(p->threads.mutex_lock);
    assert_non_null(p->threads.mutex_unlock);
    assert_non_null(p->threads.cond_open);
    assert_non_null(p->threads.cond_close);
    assert_non_null(p->threads.cond_wait);
    assert_non_null(p->threads.cond_signal);
    assert_non_null(p->threads.cond_broadcast);
    assert_non_null(p->threads.thread_open);
    assert_non_null(p->threads.thread_join);
    assert_non_null(p->threads.event_open);
    assert_non_null(p->threads.event_close);
    assert_non_null(p->threads.event_set);
    assert_non_null(p->threads.event_clear);
    assert_non_null(p->threads.event_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_function_of_the_default_port_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
