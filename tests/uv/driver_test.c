/* SPDX-License-Identifier: Apache-2.0 */
/* The driver on a loop, with a real store, session and server. */
#include "tests/uv/world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world w;

static int begin(void **state)
{
    (void)state;
    world_init(&w, &(struct redis_config){.aof = true});
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void new_entries_are_sent_without_being_asked_for(void **state)
{
    int i;

    (void)state;
    w.session_config.ping_ms = UINT32_MAX;
    w.session_config.persist_ms = 60000;
    world_add(&w, 1);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    for (i = 0; i < 20; i++) {
        world_add(&w, 1);
        assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    }
    world_check(&w);
    world_end(&w);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    assert_int_equal(status, 0);
    oxbow_durable_clear(w.rig.db);
    oxbow_uplink_uv_durable(poll->data);
}

static void the_program_may_watch_the_store_for_it(void **state)
{
    uv_poll_t poll;
    int i;

    (void)state;
    w.session_config.ping_ms = UINT32_MAX;
    w.session_config.persist_ms = 60000;
    w.config.told = true;
    world_begin(&w);
    assert_int_equal(uv_poll_init(&w.loop, &poll, oxbow_durable_fd(w.rig.db)), 0);
    poll.data = w.driver;
    assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
    for (i = 0; i < 20; i++) {
        world_add(&w, 1);
        assert_true(world_run(&w, world_arrived, 30000));
    }
    uv_close((uv_handle_t *)&poll, NULL);
    world_check(&w);
    world_end(&w);
}

static uint64_t seen; /* entries at the target, or connections */

static bool some_arrived(struct world *world)
{
    return redis_integer(world->redis, "XLEN", TARGET, NULL) > (int64_t)seen;
}

static bool connected_again(struct world *world)
{
    return world_status(world).connects > seen;
}

static void everything_arrives_once_although_the_server_is_killed(void **state)
{
    unsigned i;

    (void)state;
    world_begin(&w);
    for (i = 0; i < 3; i++) {
        seen = i;
        assert_true(world_run(&w, connected_again, PATIENCE_MS));
        seen = w.added;
        world_add(&w, 2000);
        assert_true(world_run(&w, some_arrived, PATIENCE_MS));
        redis_kill(w.redis);
        (void)world_run(&w, world_done, 30);
        redis_start(w.redis);
        world_add(&w, 100);
    }
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    assert_true(world_status(&w).connects >= 4);
    world_end(&w);
}

static void a_bad_server_gets_nothing_and_the_operator_a_reason(void **state)
{
    static const struct {
        const char *cert;
        const char *words;
    } rows[] = {
        {"wrongname", "wrong name: the server's certificate is for other.test"},
        {"expired", "expired: the certificate CN=redis.test was valid until 2020-01-01"},
        {"future", "not yet valid: the certificate CN=redis.test begins on 2090-01-01"},
    };
    size_t i;

    (void)state;
    world_add(&w, 5);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct redis *bad =
            redis_open(&(struct redis_config){.certs = w.certs, .cert = rows[i].cert});

        w.target.port = redis_tls_port(bad);
        world_begin(&w);
        assert_true(world_run(&w, world_troubled, PATIENCE_MS));
        world_told(&w, OXBOW_TROUBLE_TLS, rows[i].words);
        assert_int_equal(redis_integer(bad, "DBSIZE", NULL), 0);
        world_end(&w);
        redis_close(bad);
    }
}

static void a_server_that_refuses_us_is_quoted(void **state)
{
    (void)state;
    w.tls.cert.path = certs_file(w.certs, "foreign.crt");
    w.tls.key.path = certs_file(w.certs, "foreign.key");
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_TLS, "our certificate");
    world_end(&w);
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    struct oxbow_uplink_uv_config config = w.config;
    struct oxbow_uplink_uv *none = NULL;
    struct oxbow_uplink_thread *thread;

    (void)state;
    assert_int_equal(oxbow_uplink_open(w.rig.db, &w.session_config, &w.session), OXBOW_OK);
    config.plain = true;
    assert_int_equal(oxbow_uplink_uv_open(w.session, &w.loop, &config, &w.why, &none),
                     OXBOW_EINVAL);
    config = w.config;
    config.tls = NULL;
    assert_int_equal(oxbow_uplink_uv_open(w.session, &w.loop, &config, &w.why, &none),
                     OXBOW_EINVAL);
    config = w.config;
    config.db = NULL;
    assert_int_equal(oxbow_uplink_uv_open(w.session, &w.loop, &config, NULL, &none), OXBOW_EINVAL);
    config = w.config;
    config.told = true; /* nobody on a thread's loop watches the store */
    assert_int_equal(oxbow_uplink_thread_open(w.session, &config, NULL, &thread), OXBOW_EINVAL);
    w.tls.ca.path = "/nowhere/ca.crt";
    assert_int_equal(oxbow_uplink_uv_open(w.session, &w.loop, &w.config, &w.why, &none),
                     OXBOW_ENOENT);
    assert_non_null(strstr(w.why.text, "/nowhere/ca.crt"));
    assert_null(none);
    oxbow_uplink_close(w.session);
}

static bool finished(struct world *world)
{
    return world->finished;
}

static void stop_finishes_the_session_and_says_so(void **state)
{
    (void)state;
    world_add(&w, 5);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    assert_false(w.finished);
    oxbow_uplink_command(w.session, OXBOW_UPLINK_STOP);
    assert_true(world_run(&w, finished, PATIENCE_MS));
    world_end(&w);
}

static bool down(struct world *world)
{
    return world_status(world).state == OXBOW_UPLINK_IS_DOWN;
}

static void down_closes_the_connection_and_up_makes_it_again(void **state)
{
    (void)state;
    world_add(&w, 5);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    oxbow_uplink_command(w.session, OXBOW_UPLINK_DOWN);
    assert_true(world_run(&w, down, PATIENCE_MS));
    world_add(&w, 5);
    assert_false(world_run(&w, world_arrived, 200));
    assert_int_equal(redis_integer(w.redis, "XLEN", TARGET, NULL), 5);
    oxbow_uplink_command(w.session, OXBOW_UPLINK_UP);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    world_end(&w);
}

static void copy_file(const char *from, const char *to)
{
    char data[8192];
    FILE *f = fopen(certs_file(w.certs, from), "rb");
    size_t n;

    assert_non_null(f);
    n = fread(data, 1, sizeof data, f);
    fclose(f);
    f = fopen(certs_file(w.certs, to), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static bool connected_twice(struct world *world)
{
    return world_status(world).connects >= 2;
}

static void complaint_20_certificates_are_rotated_without_a_restart(void **state)
{
    (void)state;
    copy_file("foreign.crt", "live.crt");
    copy_file("foreign.key", "live.key");
    w.tls.cert.path = certs_file(w.certs, "live.crt");
    w.tls.key.path = certs_file(w.certs, "live.key");
    world_add(&w, 5);
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    copy_file("client.crt", "live.crt");
    copy_file("client.key", "live.key");
    oxbow_uplink_command(w.session, OXBOW_UPLINK_RELOAD);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    copy_file("client2.crt", "live.crt");
    copy_file("client2.key", "live.key");
    oxbow_uplink_command(w.session, OXBOW_UPLINK_RELOAD);
    assert_true(world_run(&w, connected_twice, PATIENCE_MS));
    world_end(&w);
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

/* Closes the driver after every number of turns of the loop there is, from none to a connection
 * that works; the address sanitizer and uv_loop_close judge. */
static void the_driver_may_be_closed_at_any_moment(void **state)
{
    uv_timer_t beat;
    unsigned turns;

    (void)state;
    world_add(&w, 50);
    uv_timer_init(&w.loop, &beat);
    uv_timer_start(&beat, on_beat, 1, 1); /* so that a turn with nothing to do ends */
    for (turns = 0; turns < 24; turns++) {
        unsigned i;

        world_begin(&w);
        for (i = 0; i < turns; i++) {
            uv_run(&w.loop, UV_RUN_ONCE);
        }
        world_end(&w);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    world_end(&w);
}

static void a_reset_connection_does_not_end_the_process(void **state)
{
    struct sigaction now;

    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    world_begin(&w);
    assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
    world_end(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_entries_are_sent_without_being_asked_for),
        TEST(the_program_may_watch_the_store_for_it),
        TEST(everything_arrives_once_although_the_server_is_killed),
        TEST(a_bad_server_gets_nothing_and_the_operator_a_reason),
        TEST(a_server_that_refuses_us_is_quoted),
        TEST(a_configuration_that_makes_no_sense_is_refused),
        TEST(stop_finishes_the_session_and_says_so),
        TEST(down_closes_the_connection_and_up_makes_it_again),
        TEST(complaint_20_certificates_are_rotated_without_a_restart),
        TEST(the_driver_may_be_closed_at_any_moment),
        TEST(a_reset_connection_does_not_end_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
