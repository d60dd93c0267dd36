/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a connection: names, several addresses, and sessions that are to blame. */
#include "tests/uv/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world w;

static int begin(void **state)
{
    (void)state;
    world_init(&w, &(struct redis_config){0});
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void a_name_is_resolved_and_every_address_of_it_tried(void **state)
{
    (void)state;
    /* The server listens on 127.0.0.1 alone; where localhost is ::1 as well, that is refused. */
    w.target.host = "localhost";
    world_add(&w, 20);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    assert_int_equal(world_status(&w).attempts, 1);
    world_check(&w);
    world_end(&w);
}

static void a_name_that_does_not_exist_is_told(void **state)
{
    (void)state;
    w.target.host = "not..a.name";
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_LINK, "not..a.name:");
    world_end(&w);
}

static void a_driver_that_is_closed_while_it_resolves_leaves_nothing_behind(void **state)
{
    (void)state;
    w.target.host = "localhost";
    world_begin(&w);
    world_end(&w); /* under the address sanitizer this is a test */
}

static bool connected_twice(struct world *world)
{
    return world_status(world).connects >= 2;
}

static void kill_connection(void)
{
    (void)redis_command(w.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
}

static void the_second_connection_resumes_the_first_ones_session(void **state)
{
    (void)state;
    world_add(&w, 1);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    assert_null(strstr(world_status(&w).about, "resumed"));
    kill_connection();
    assert_true(world_run(&w, connected_twice, PATIENCE_MS));
    assert_non_null(strstr(world_status(&w).about, "resumed"));
    world_end(&w);
}

/* Without its session cache, but with client certificates, Redis ends a handshake that offers a
 * session. The session never hears of it. */
static void a_server_that_chokes_on_a_session_costs_no_attempt(void **state)
{
    (void)state;
    redis_close(w.redis);
    w.redis =
        redis_open(&(struct redis_config){.certs = w.certs, .extra = "tls-session-caching no"});
    w.target.port = redis_tls_port(w.redis);
    world_add(&w, 1);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    kill_connection();
    assert_true(world_run(&w, connected_twice, PATIENCE_MS));
    assert_int_equal(world_status(&w).attempts, 2);
    assert_null(strstr(world_status(&w).about, "resumed"));
    world_end(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_resolved_and_every_address_of_it_tried),
        TEST(a_name_that_does_not_exist_is_told),
        TEST(a_driver_that_is_closed_while_it_resolves_leaves_nothing_behind),
        TEST(the_second_connection_resumes_the_first_ones_session),
        TEST(a_server_that_chokes_on_a_session_costs_no_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
