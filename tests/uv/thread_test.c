/* SPDX-License-Identifier: Apache-2.0 */
/* The driver in its thread, while others write, command and ask. */
#include "tests/uv/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world w;
static struct oxbow_uplink_thread *thread;

static int begin(void **state)
{
    (void)state;
    world_init(&w, &(struct redis_config){0});
    w.config.finished = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void open_thread(void)
{
    enum oxbow_err err;

    assert_int_equal(oxbow_uplink_open(w.rig.db, &w.session_config, &w.session), OXBOW_OK);
    err = oxbow_uplink_thread_open(w.session, &w.config, &w.why, &thread);
    if (err != OXBOW_OK) {
        fail_msg("%s: %s", oxbow_err_name(err), w.why.text);
    }
}

static void close_thread(void)
{
    oxbow_uplink_thread_close(thread);
    oxbow_uplink_close(w.session);
}

static void what_was_added_is_there_after_a_drain(void **state)
{
    int i;

    (void)state;
    open_thread();
    for (i = 0; i < 20; i++) {
        world_add(&w, 25);
        (void)world_status(&w);
    }
    assert_int_equal(oxbow_uplink_drain(w.session, NULL, 20000), OXBOW_OK);
    world_check(&w);
    close_thread();
}

static void commands_from_another_thread_are_obeyed(void **state)
{
    int i;

    (void)state;
    open_thread();
    for (i = 0; i < 10; i++) {
        world_add(&w, 5);
        oxbow_uplink_command(w.session, i % 2 == 0 ? OXBOW_UPLINK_DOWN : OXBOW_UPLINK_UP);
        oxbow_uplink_command(w.session, OXBOW_UPLINK_FLUSH);
    }
    oxbow_uplink_command(w.session, OXBOW_UPLINK_UP);
    assert_int_equal(oxbow_uplink_drain(w.session, NULL, 20000), OXBOW_OK);
    world_check(&w);
    close_thread();
}

static void stop_ends_the_wait(void **state)
{
    (void)state;
    open_thread();
    assert_int_equal(oxbow_uplink_thread_wait(thread, 50), OXBOW_ETIMEDOUT);
    oxbow_uplink_command(w.session, OXBOW_UPLINK_STOP);
    assert_int_equal(oxbow_uplink_thread_wait(thread, 5000), OXBOW_OK);
    assert_int_equal(oxbow_uplink_thread_wait(thread, -1), OXBOW_OK);
    close_thread();
}

static void it_may_be_closed_at_once_and_opened_again(void **state)
{
    int i;

    (void)state;
    world_add(&w, 100);
    for (i = 0; i < 10; i++) {
        open_thread();
        close_thread();
    }
    open_thread();
    assert_int_equal(oxbow_uplink_drain(w.session, NULL, 20000), OXBOW_OK);
    world_check(&w);
    close_thread();
    oxbow_uplink_thread_close(NULL);
}

static void what_is_wrong_is_told_before_a_thread_begins(void **state)
{
    (void)state;
    w.tls.key.path = certs_file(w.certs, "client2.key");
    assert_int_equal(oxbow_uplink_open(w.rig.db, &w.session_config, &w.session), OXBOW_OK);
    assert_int_equal(oxbow_uplink_thread_open(w.session, &w.config, &w.why, &thread), OXBOW_ECERT);
    assert_non_null(strstr(w.why.text, "does not belong"));
    w.config.plain = true;
    assert_int_equal(oxbow_uplink_thread_open(w.session, &w.config, NULL, &thread), OXBOW_EINVAL);
    oxbow_uplink_close(w.session);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_added_is_there_after_a_drain),
        TEST(commands_from_another_thread_are_obeyed),
        TEST(stop_ends_the_wait),
        TEST(it_may_be_closed_at_once_and_opened_again),
        TEST(what_is_wrong_is_told_before_a_thread_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
